//! Files of a cache: written beside and renamed, with a header that tells a whole file from any other.
//!
//! Header, little-endian: magic (4 bytes), version (u32), two numbers of the owner's (u32 each), length of the
//! payload (u64), checksum of numbers and payload (u64). Whatever does not fit is as good as not there.

use std::fs;
use std::io;
use std::io::Write as _;
use std::path::Path;
use std::time::SystemTime;

use super::StoreError;

/// Bytes before the payload.
pub(super) const HEADER_LEN: usize = 32;
const VERSION: u32 = 1;

/// A payload with two numbers that describe it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) numbers: [u32; 2],
    pub(super) payload: Vec<u8>,
}

/// Reads an entry; `None` for a file that is absent, cut off, changed, of another kind or of another version.
pub(super) fn read(path: &Path, magic: [u8; 4]) -> Option<Entry> {
    let mut bytes = fs::read(path).ok()?;
    let numbers = check(&bytes, magic)?;
    bytes.drain(..HEADER_LEN);
    Some(Entry {
        numbers,
        payload: bytes,
    })
}

/// The numbers of an entry whose payload begins at [`HEADER_LEN`], if the bytes are a whole one.
pub(super) fn check(bytes: &[u8], magic: [u8; 4]) -> Option<[u32; 2]> {
    let header = bytes.get(..HEADER_LEN)?;
    let numbers = [number(header, 8)?, number(header, 12)?];
    let len = u64::from_le_bytes(header.get(16..24)?.try_into().ok()?);
    let sum = u64::from_le_bytes(header.get(24..32)?.try_into().ok()?);
    let payload = &bytes[HEADER_LEN..];
    let is_whole = header.starts_with(&magic)
        && number(header, 4)? == VERSION
        && payload.len() as u64 == len
        && checksum(numbers, payload) == sum;
    is_whole.then_some(numbers)
}

/// Writes an entry so that a reader sees the old file or the whole new one. Folders are made as needed: the
/// cache may be deleted while the program runs.
pub(super) fn write(path: &Path, magic: [u8; 4], entry: &Entry) -> Result<(), StoreError> {
    let fault = |source| StoreError::Io {
        operation: "write to the cache",
        path: path.to_path_buf(),
        source,
    };
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(fault)?;
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(fault)?;
    let mut header = Vec::with_capacity(HEADER_LEN);
    header.extend(magic);
    header.extend(VERSION.to_le_bytes());
    header.extend(entry.numbers.iter().flat_map(|number| number.to_le_bytes()));
    header.extend((entry.payload.len() as u64).to_le_bytes());
    header.extend(checksum(entry.numbers, &entry.payload).to_le_bytes());
    file.write_all(&header)
        .and_then(|()| file.write_all(&entry.payload))
        .map_err(fault)?;
    // Not synced: after a power cut the checksum tells, and the entry is made again.
    file.persist(path).map_err(|error| fault(error.error))?;
    Ok(())
}

/// Bytes of all files below a folder; 0 where there is none.
pub(super) fn size_bytes(folder: &Path) -> u64 {
    files(folder).iter().map(|file| file.len).sum()
}

/// Deletes the files that were written longest ago until at most `max_bytes` are left; answers the bytes freed.
pub(super) fn prune(folder: &Path, max_bytes: u64) -> Result<u64, StoreError> {
    let mut files = files(folder);
    files.sort_by_key(|file| file.written);
    let total: u64 = files.iter().map(|file| file.len).sum();
    let mut freed = 0;
    for file in &files {
        if total - freed <= max_bytes {
            break;
        }
        match fs::remove_file(&file.path) {
            Ok(()) => freed += file.len,
            Err(error) if error.kind() == io::ErrorKind::NotFound => freed += file.len,
            Err(source) => {
                return Err(StoreError::Io {
                    operation: "delete from the cache",
                    path: file.path.clone(),
                    source,
                });
            }
        }
    }
    Ok(freed)
}

/// Paths of all files below a folder, in no order.
pub(super) fn paths(folder: &Path) -> Vec<std::path::PathBuf> {
    files(folder).into_iter().map(|file| file.path).collect()
}

struct CacheFile {
    path: std::path::PathBuf,
    len: u64,
    written: SystemTime,
}

/// Files below a folder; what vanishes meanwhile or cannot be looked at is left out.
fn files(folder: &Path) -> Vec<CacheFile> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries.flatten() {
            let Ok(meta) = entry.metadata() else {
                continue;
            };
            if meta.is_dir() {
                folders.push(entry.path());
            } else {
                found.push(CacheFile {
                    path: entry.path(),
                    len: meta.len(),
                    written: meta.modified().unwrap_or(SystemTime::UNIX_EPOCH),
                });
            }
        }
    }
    found
}

fn number(header: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(header.get(at..at + 4)?.try_into().ok()?))
}

/// FNV-1a over words of eight bytes, the last one padded with zeros. Against damage, not against intent.
fn checksum(numbers: [u32; 2], payload: &[u8]) -> u64 {
    let step = |sum: u64, word: u64| (sum ^ word).wrapping_mul(0x0000_0100_0000_01b3);
    let mut sum = 0xcbf2_9ce4_8422_2325;
    for number in numbers {
        sum = step(sum, u64::from(number));
    }
    for chunk in payload.chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        sum = step(sum, u64::from_le_bytes(word));
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAGIC: [u8; 4] = *b"TEST";

    fn entry(len: usize) -> Entry {
        Entry {
            numbers: [3, 4],
            payload: (0..len).map(|at| at as u8).collect(),
        }
    }

    #[test]
    fn what_was_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        for len in [0, 1, 7, 8, 9, 1000] {
            let path = folder.path().join("a/b/file");
            write(&path, MAGIC, &entry(len)).unwrap();
            assert_eq!(read(&path, MAGIC), Some(entry(len)));
        }
        let left = fs::read_dir(folder.path().join("a/b")).unwrap().count();
        assert_eq!(left, 1, "no temporary file stays");
    }

    #[test]
    fn every_cut_and_every_changed_byte_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        write(&path, MAGIC, &entry(21)).unwrap();
        let bytes = fs::read(&path).unwrap();
        for at in 0..bytes.len() {
            fs::write(&path, &bytes[..at]).unwrap();
            assert_eq!(read(&path, MAGIC), None, "cut at {at}");
            let mut spoiled = bytes.clone();
            spoiled[at] ^= 0x10;
            fs::write(&path, spoiled).unwrap();
            assert_eq!(read(&path, MAGIC), None, "changed at {at}");
        }
        assert_eq!(read(&folder.path().join("nothing"), MAGIC), None);
        assert_eq!(read(folder.path(), MAGIC), None);
    }

    #[test]
    fn pruning_deletes_the_oldest_first() {
        let folder = tempfile::tempdir().unwrap();
        let long_ago = SystemTime::UNIX_EPOCH;
        for (age, name) in ["old", "middle", "new"].iter().enumerate() {
            let path = folder.path().join(name);
            write(&path, MAGIC, &entry(68)).unwrap();
            let file = fs::File::options().write(true).open(&path).unwrap();
            let time = long_ago + std::time::Duration::from_secs(1_000 * age as u64);
            file.set_modified(time).unwrap();
        }
        assert_eq!(size_bytes(folder.path()), 300);
        assert_eq!(prune(folder.path(), 100).unwrap(), 200);
        assert!(folder.path().join("new").exists());
        assert_eq!(prune(folder.path(), 0).unwrap(), 100);
        assert_eq!(size_bytes(folder.path()), 0);
    }
}
