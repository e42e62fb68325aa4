//! How much room the cached features take.

use std::fs;
use std::path::Path;

use crate::domain::FeatureUsage;

/// Files and bytes of the features in a cache folder (see [`super::cache_folder`]); what cannot be read counts for nothing.
pub fn feature_usage(cache_folder: &Path) -> FeatureUsage {
    let mut usage = FeatureUsage::default();
    add(&cache_folder.join("features"), &mut usage);
    usage
}

fn add(folder: &Path, usage: &mut FeatureUsage) {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in entries {
        match entry.metadata() {
            Ok(about) if about.is_dir() => add(&entry.path(), usage),
            Ok(about) => {
                usage.files += 1;
                usage.bytes += about.len();
            }
            Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_are_counted_and_no_folder_is_no_mistake() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(feature_usage(folder.path()), FeatureUsage::default());
        let inner = folder.path().join("features").join("abc");
        fs::create_dir_all(&inner).unwrap();
        fs::write(inner.join("a.f16"), [0; 10]).unwrap();
        fs::write(inner.join("b.f16"), [0; 6]).unwrap();
        let usage = feature_usage(folder.path());
        assert_eq!((usage.files, usage.bytes), (2, 16));
        assert_eq!(usage.bytes_of(4), Some(32));
        assert_eq!(FeatureUsage::default().bytes_of(4), None);
    }
}
