//! Files of half-precision values mapped into memory, paged in as they are read.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::path::PathBuf;

use half::f16;
use memmap2::Mmap;

/// A file mapped into memory, for reading.
///
/// The files of the feature cache are written beside and renamed, never changed in place. One that another program cuts
/// off while it is mapped would end this one: [`Self::problem`] is to be asked before each use, which narrows the gap to
/// nothing that a user would meet.
#[derive(Debug)]
pub struct MappedFile {
    map: Mmap,
    path: PathBuf,
}

impl MappedFile {
    /// Maps a file.
    ///
    /// # Errors
    /// A file that is not there or cannot be mapped.
    #[expect(
        unsafe_code,
        reason = "mapping a file is unsafe by nature; the caller gets slices only"
    )]
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        // SAFETY: see the type: the bytes of these files do not change while they are mapped.
        let map = unsafe { Mmap::map(&file)? };
        Ok(Self {
            map,
            path: path.to_path_buf(),
        })
    }

    /// All bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.map
    }

    /// Half-precision values in a range of bytes, little-endian; `None` where it does not lie on whole values, or the
    /// machine has another order of bytes.
    #[expect(
        unsafe_code,
        reason = "bytes are seen as values of two bytes, any of which is a number"
    )]
    pub fn halves(&self, range: Range<usize>) -> Option<&[f16]> {
        let bytes = self.map.get(range)?;
        // SAFETY: every pair of bytes is a half-precision number, and the ends that are not aligned are kept apart.
        let (before, values, behind) = unsafe { bytes.align_to::<f16>() };
        let is_whole = before.is_empty() && behind.is_empty() && cfg!(target_endian = "little");
        is_whole.then_some(values)
    }

    /// Why the file can no longer be read, if that is so.
    pub fn problem(&self) -> Option<String> {
        let why = match std::fs::metadata(&self.path) {
            Ok(meta) if meta.len() == self.map.len() as u64 => return None,
            Ok(_) => "was changed".to_owned(),
            Err(error) => format!("cannot be read any more ({error})"),
        };
        let path = self.path.display();
        Some(format!(
            "a file of the feature cache {why}: what was trained so far is kept; train again to make the features anew and go on: {path}"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_seen_where_they_lie_until_the_file_is_gone() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("values");
        let values = [1.0, -2.5, 0.125].map(f16::from_f32);
        let mut bytes = vec![0; 32];
        bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        std::fs::write(&path, &bytes)?;
        let mapped = MappedFile::open(&path)?;
        assert_eq!(mapped.bytes(), bytes);
        assert_eq!(mapped.halves(32..38), Some(&values[..]));
        assert_eq!(mapped.halves(33..37), None);
        assert_eq!(mapped.halves(32..40), None);
        assert_eq!(mapped.problem(), None);
        std::fs::remove_file(&path)?;
        assert!(
            mapped
                .problem()
                .is_some_and(|why| why.contains("train again"))
        );
        Ok(())
    }
}
