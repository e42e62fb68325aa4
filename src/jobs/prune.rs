//! Making room: the oldest features of the cache are deleted. They are made anew when they are needed.

use crate::jobs::context::JobContext;
use crate::jobs::error::JobError;
use crate::jobs::message::JobReport;
use crate::jobs::store_worker::StoreHandle;
use crate::store::FeatureCache;
use crate::store::cache_folder;

/// Prunes the open project's feature cache to at most `max_bytes`. A training run that reads a file which goes stops with its
/// last checkpoint and says so; it goes on when it is asked for again.
pub(super) fn prune(
    store: &StoreHandle,
    max_bytes: u64,
    context: &mut JobContext,
) -> Result<JobReport, JobError> {
    context.progress(0, 0, "Deleting old features")?;
    let (_, pinned) = store.snapshot()?;
    let cache = FeatureCache::open(&cache_folder(pinned.path()));
    let freed = cache.prune(max_bytes)?;
    let left = cache.size_bytes();
    Ok(JobReport {
        done: 1,
        summary: format!(
            "The feature cache gave back {} and holds {}",
            size_words(freed),
            size_words(left)
        ),
        ..JobReport::default()
    })
}

/// A size for people, e.g. "9.3 GB".
pub(super) fn size_words(bytes: u64) -> String {
    match bytes as f64 {
        bytes if bytes < 1e6 => format!("{:.0} kB", (bytes / 1e3).ceil()),
        bytes if bytes < 1e9 => format!("{:.0} MB", bytes / 1e6),
        bytes => format!("{:.1} GB", bytes / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_said_in_the_unit_that_suits() {
        assert_eq!(size_words(0), "0 kB");
        assert_eq!(size_words(1_001), "2 kB");
        assert_eq!(size_words(58_000_000), "58 MB");
        assert_eq!(size_words(9_320_000_000), "9.3 GB");
    }
}
