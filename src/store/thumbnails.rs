//! Thumbnails on disk as JPEG, so that the gallery of a project opens without decoding its pictures.

use std::path::Path;
use std::path::PathBuf;

use super::StoreError;
use super::cache;
use crate::domain::ContentHash;

const MAGIC: [u8; 4] = *b"ASYT";

/// Thumbnails by content hash, in `NAME.assay.cache/thumbnails`.
#[derive(Debug, Clone)]
pub struct ThumbnailCache {
    folder: PathBuf,
}

impl ThumbnailCache {
    /// The thumbnails in a cache folder (see [`super::cache_folder`]). Touches no file.
    pub fn open(cache_folder: &Path) -> Self {
        Self {
            folder: cache_folder.join("thumbnails"),
        }
    }

    /// The JPEG bytes of a picture's thumbnail; `None` where there are none that can be trusted.
    pub fn get(&self, image: ContentHash) -> Option<Vec<u8>> {
        cache::read(&self.file(image), MAGIC).map(|entry| entry.payload)
    }

    /// Keeps the JPEG bytes of a picture's thumbnail.
    pub fn put(&self, image: ContentHash, jpeg: &[u8]) -> Result<(), StoreError> {
        let entry = cache::Entry {
            numbers: [0; 2],
            payload: jpeg.to_vec(),
        };
        cache::write(&self.file(image), MAGIC, &entry)
    }

    /// The JPEG bytes of some thumbnails, the same ones each time: a look at a project without opening it.
    pub fn some(&self, most: usize) -> Vec<Vec<u8>> {
        let mut files = cache::paths(&self.folder);
        files.sort();
        files
            .iter()
            .filter_map(|file| cache::read(file, MAGIC))
            .map(|entry| entry.payload)
            .take(most)
            .collect()
    }

    /// Bytes of all thumbnails on disk.
    pub fn size_bytes(&self) -> u64 {
        cache::size_bytes(&self.folder)
    }

    /// Deletes the oldest thumbnails until at most `max_bytes` are left; answers the bytes freed.
    pub fn prune(&self, max_bytes: u64) -> Result<u64, StoreError> {
        cache::prune(&self.folder, max_bytes)
    }

    /// One folder for each first byte, so that no folder grows to many thousands of files.
    fn file(&self, image: ContentHash) -> PathBuf {
        let name = image.to_string();
        self.folder.join(&name[..2]).join(format!("{name}.thumb"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::hash;
    use super::*;

    #[test]
    fn thumbnails_come_back_and_a_spoiled_one_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let cache = ThumbnailCache::open(folder.path());
        assert_eq!(cache.get(hash(1)), None);
        cache.put(hash(1), b"jpeg").unwrap();
        assert_eq!(cache.get(hash(1)).unwrap(), b"jpeg");
        assert_eq!(cache.get(hash(2)), None);
        assert_eq!(cache.some(3), [b"jpeg"]);
        assert!(cache.some(0).is_empty());
        std::fs::write(cache.file(hash(1)), b"jpeg").unwrap();
        assert_eq!(cache.get(hash(1)), None);
        assert_eq!(cache.size_bytes(), 4);
        assert_eq!(cache.prune(0).unwrap(), 4);
    }
}
