//! The hash by which a model is known. Reading gigabytes takes long, so files that have not changed are read once.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use sha2::{Digest as _, Sha256};

use crate::domain::ContentHash;
use crate::ml::MlError;

/// Hashes of files as they were when they were read. Nothing else is kept here, so a lost entry costs time only.
static KNOWN: Mutex<BTreeMap<Vec<Stamp>, String>> = Mutex::new(BTreeMap::new());

/// A file as it was when it was read: whoever changes it changes its size or its time as well.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Stamp {
    path: PathBuf,
    len: u64,
    modified: SystemTime,
}

/// SHA-256 over the bytes of files, one after the other.
///
/// # Errors
/// A file that cannot be read.
pub fn of_files(files: &[PathBuf]) -> Result<String, MlError> {
    // Where the system tells no times, every call reads the files.
    let stamps: Option<Vec<Stamp>> = files.iter().map(|path| stamp(path)).collect();
    if let Some(known) = stamps
        .as_ref()
        .and_then(|stamps| known().get(stamps).cloned())
    {
        return Ok(known);
    }
    let mut hasher = Sha256::new();
    for path in files {
        hash_file(path, &mut hasher)?;
    }
    let hash = ContentHash(hasher.finalize().into()).to_string();
    if let Some(stamps) = stamps {
        known().insert(stamps, hash.clone());
    }
    Ok(hash)
}

/// SHA-256 over parts, one after the other.
pub fn of_parts(parts: &[&[u8]]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    ContentHash(hasher.finalize().into()).to_string()
}

fn known() -> std::sync::MutexGuard<'static, BTreeMap<Vec<Stamp>, String>> {
    // Entries come whole, so the map is good even if a thread died while it held it.
    KNOWN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn stamp(path: &Path) -> Option<Stamp> {
    let meta = std::fs::metadata(path).ok()?;
    Some(Stamp {
        path: path.to_owned(),
        len: meta.len(),
        modified: meta.modified().ok()?,
    })
}

fn hash_file(path: &Path, hasher: &mut Sha256) -> Result<(), MlError> {
    let read = |source| MlError::Read {
        what: "a file of the model",
        path: path.to_owned(),
        source,
    };
    let mut file = File::open(path).map_err(read)?;
    io::copy(&mut file, hasher).map_err(read)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_file_is_read_again_only_after_it_changed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        let write = |text: &str, seconds: u64| {
            std::fs::write(&path, text).unwrap();
            let file = File::options().write(true).open(&path).unwrap();
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            file.set_modified(time).unwrap();
        };
        let files = [path.clone()];
        write("first", 1);
        let first = of_files(&files).unwrap();
        assert_eq!(first, of_parts(&[b"fir", b"st"]));
        write("other", 1);
        assert_eq!(of_files(&files).unwrap(), first, "the same size and time");
        write("other", 2);
        assert_eq!(of_files(&files).unwrap(), of_parts(&[b"other"]));
        std::fs::remove_file(&path).unwrap();
        assert!(of_files(&files).is_err());
    }
}
