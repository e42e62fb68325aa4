//! Hashes of large files beyond the end of the program: reading a model of 17 GB takes as long as loading it.
//!
//! A file counts as unchanged while its path, size and time of change are the same. What is lost or cannot be read is
//! hashed again.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::UNIX_EPOCH;

use super::fingerprint;
use crate::ml::MlError;

/// Where hashes are kept; nowhere unless somebody says so.
static PLACE: OnceLock<PathBuf> = OnceLock::new();

/// Bytes below which reading is as quick as looking up.
const LARGE: u64 = 64 << 20;

/// Keeps hashes in a file of this path from now on; the first word counts.
pub fn keep_hashes_at(path: PathBuf) {
    PLACE.set(path).ok();
}

/// SHA-256 over the bytes of files, one after the other.
///
/// # Errors
/// A file that cannot be read.
pub(super) fn of_files(files: &[PathBuf]) -> Result<String, MlError> {
    match PLACE.get() {
        Some(place) => remembered(place, files, LARGE),
        None => fingerprint::of_files(files),
    }
}

fn remembered(place: &Path, files: &[PathBuf], large: u64) -> Result<String, MlError> {
    let Some((key, bytes)) = stamp(files) else {
        return fingerprint::of_files(files);
    };
    if bytes < large {
        return fingerprint::of_files(files);
    }
    let read = || -> Option<BTreeMap<String, String>> {
        serde_json::from_slice(&fs::read(place).ok()?).ok()
    };
    if let Some(hash) = read().unwrap_or_default().remove(&key) {
        return Ok(hash);
    }
    let hash = fingerprint::of_files(files)?;
    // What changed while it was read is not what was hashed.
    if stamp(files).is_some_and(|(after, _)| after == key) {
        let mut all = read().unwrap_or_default();
        all.insert(key, hash.clone());
        let beside = place.with_extension("part");
        if let Ok(text) = serde_json::to_vec_pretty(&all)
            && fs::write(&beside, text).is_ok()
        {
            fs::rename(beside, place).ok();
        }
    }
    Ok(hash)
}

/// Paths, sizes and times of files in a text, and their bytes; `None` where the system does not tell.
fn stamp(files: &[PathBuf]) -> Option<(String, u64)> {
    let (mut key, mut bytes) = (String::new(), 0);
    for path in files {
        let whole = fs::canonicalize(path).ok()?;
        let meta = fs::metadata(&whole).ok()?;
        let changed = meta.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
        bytes += meta.len();
        writeln!(
            key,
            "{} {} {}",
            whole.display(),
            meta.len(),
            changed.as_nanos()
        )
        .ok()?;
    }
    Some((key, bytes))
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_large_file_is_read_once_and_again_after_it_changed() {
        let folder = tempfile::tempdir().unwrap();
        let (place, path) = (
            folder.path().join("hashes.json"),
            folder.path().join("model"),
        );
        let write = |text: &str, seconds: u64| {
            fs::write(&path, text).unwrap();
            let file = File::options().write(true).open(&path).unwrap();
            file.set_modified(UNIX_EPOCH + Duration::from_secs(seconds))
                .unwrap();
        };
        let files = [path.clone()];
        write("first", 1);
        let first = remembered(&place, &files, 1).unwrap();
        assert_eq!(first, fingerprint::of_parts(&[b"first"]));
        // What stands in the note is believed as long as the file is the same.
        let note = fs::read_to_string(&place).unwrap();
        fs::write(&place, note.replace(&first, "known")).unwrap();
        assert_eq!(remembered(&place, &files, 1).unwrap(), "known");
        write("other", 2);
        let other = fingerprint::of_parts(&[b"other"]);
        assert_eq!(remembered(&place, &files, 1).unwrap(), other);
        // A spoilt note is as good as none, and small files leave none.
        fs::write(&place, "nonsense").unwrap();
        assert_eq!(remembered(&place, &files, 1).unwrap(), other);
        fs::remove_file(&place).unwrap();
        assert_eq!(remembered(&place, &files, 100).unwrap(), other);
        assert!(!place.exists());
    }
}
