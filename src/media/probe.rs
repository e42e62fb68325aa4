//! What a row's file is: there, missing, or unreadable, with the reason in words.

use std::fs::File;
use std::io;
use std::path::Path;

use image::ImageFormat;
use sha2::Digest as _;
use sha2::Sha256;

use super::decode::decode;
use super::decode::format_name;
use super::decode::format_of;
use super::decode::read_file;
use super::entropy;
use super::error::MediaError;
use crate::domain::ContentHash;
use crate::domain::FileState;

/// A file's state, and what is worth knowing about a usable file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// State of the file.
    pub state: FileState,
    /// Something odd that does no harm, such as a PNG that is called `.jpg`.
    pub note: Option<String>,
}

/// Hashes and fully decodes a file once, so that a broken one is known before anything is done with it.
pub fn probe(path: &Path) -> FileState {
    inspect(path).state
}

/// Like [`probe`], with a note where the file is odd but usable.
pub fn inspect(path: &Path) -> Probe {
    match read_and_decode(path) {
        Ok(probe) => probe,
        Err(MediaError::NotFound) => Probe {
            state: FileState::Missing {
                reason: MediaError::NotFound.to_string(),
            },
            note: None,
        },
        Err(error) => Probe {
            state: FileState::Unreadable {
                reason: error.to_string(),
            },
            note: None,
        },
    }
}

/// SHA-256 of a file's bytes, read as a stream.
pub fn hash_file(path: &Path) -> io::Result<ContentHash> {
    let mut hasher = Sha256::new();
    io::copy(&mut File::open(path)?, &mut hasher)?;
    Ok(ContentHash(hasher.finalize().into()))
}

/// SHA-256 of bytes at hand.
pub fn hash_bytes(bytes: &[u8]) -> ContentHash {
    ContentHash(Sha256::digest(bytes).into())
}

fn read_and_decode(path: &Path) -> Result<Probe, MediaError> {
    let bytes = read_file(path)?;
    let format = format_of(&bytes)?;
    let picture = decode(&bytes)?;
    if format == ImageFormat::Jpeg
        && let Some(fault) = entropy::jpeg_fault(&bytes)
    {
        return Err(MediaError::Damaged {
            format: format_name(format),
            reason: fault.to_owned(),
        });
    }
    Ok(Probe {
        state: FileState::Present {
            hash: hash_bytes(&bytes),
            width: picture.width,
            height: picture.height,
        },
        note: misnamed(path, format),
    })
}

fn misnamed(path: &Path, format: ImageFormat) -> Option<String> {
    let extension = path.extension()?.to_str()?.to_ascii_lowercase();
    let named = ImageFormat::from_extension(&extension)?;
    (named != format).then(|| {
        format!(
            "the file is called .{extension} but holds a {}; it was read by its content, renaming it is up to you",
            format_name(format)
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Picture;
    use crate::media::encode_png;

    fn png() -> Vec<u8> {
        let picture = Picture {
            width: 2,
            height: 2,
            rgb: std::sync::Arc::from(vec![9; 12]),
        };
        encode_png(&picture).expect("a small picture can be encoded")
    }

    #[test]
    fn a_good_file_is_present_with_its_hash_and_size() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        std::fs::write(&path, png()).unwrap();
        let FileState::Present {
            hash,
            width,
            height,
        } = probe(&path)
        else {
            panic!("expected a present file");
        };
        assert_eq!((width, height), (2, 2));
        assert_eq!(hash, hash_file(&path).unwrap());
    }

    #[test]
    fn a_wrongly_named_file_is_read_by_its_content_with_a_note() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jpg");
        std::fs::write(&path, png()).unwrap();
        let probe = inspect(&path);
        assert!(probe.state.is_present());
        assert!(probe.note.unwrap().contains("holds a PNG"));
    }

    #[test]
    fn missing_empty_and_folder_say_so() {
        let folder = tempfile::tempdir().unwrap();
        let missing = probe(&folder.path().join("none.png"));
        assert!(matches!(missing, FileState::Missing { .. }));
        let path = folder.path().join("empty.png");
        std::fs::write(&path, []).unwrap();
        assert!(probe(&path).reason().unwrap().contains("empty"));
        assert!(probe(folder.path()).reason().unwrap().contains("folder"));
    }
}
