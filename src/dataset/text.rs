//! Text files as they come: UTF-8 with or without a mark, UTF-16 with one, or the Windows code page.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use encoding_rs::Encoding;
use encoding_rs::WINDOWS_1252;

use super::error::DatasetError;

/// Largest table or conversation file; the published ones have three megabytes.
const MAX_TEXT_BYTES: u64 = 512 << 20;

/// A file's text.
pub(super) struct Text {
    /// The text without its byte order mark.
    pub(super) text: String,
    /// Set where the file was not UTF-8, with what to do.
    pub(super) warning: Option<String>,
}

/// Reads a whole text file.
pub(super) fn read_text(path: &Path) -> Result<Text, DatasetError> {
    let failed = |source: std::io::Error| {
        if source.kind() == std::io::ErrorKind::NotFound {
            DatasetError::NotFound {
                path: path.to_owned(),
            }
        } else {
            DatasetError::Read {
                path: path.to_owned(),
                source,
            }
        }
    };
    let bytes = std::fs::metadata(path).map_err(failed)?.len();
    if bytes > MAX_TEXT_BYTES {
        return Err(DatasetError::TooLarge {
            path: path.to_owned(),
            bytes,
            limit: MAX_TEXT_BYTES,
        });
    }
    let mut content = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_TEXT_BYTES).read_to_end(&mut content))
        .map_err(failed)?;
    Ok(decode(content))
}

/// Tells the encoding by its mark; without one, whatever is not UTF-8 is taken for Windows-1252, of which
/// Latin-1 is the printable part.
pub(super) fn decode(bytes: Vec<u8>) -> Text {
    if let Some((encoding, _)) = Encoding::for_bom(&bytes) {
        let (text, had_errors) = encoding.decode_with_bom_removal(&bytes);
        return Text {
            text: text.into_owned(),
            warning: had_errors.then(|| {
                format!(
                    "some characters are no valid {} and were replaced; save the file again as UTF-8",
                    encoding.name()
                )
            }),
        };
    }
    match String::from_utf8(bytes) {
        Ok(text) => Text {
            text,
            warning: None,
        },
        Err(error) => {
            let bytes = error.into_bytes();
            Text {
                text: WINDOWS_1252.decode_without_bom_handling(&bytes).0.into_owned(),
                warning: Some(
                    "the file is not UTF-8 and was read as Latin-1 (Windows-1252); look at the accented letters, \
                     and save it as UTF-8 if they are wrong"
                        .to_owned(),
                ),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_removed_and_latin_1_is_read_with_a_warning() {
        let utf8 = decode(b"\xEF\xBB\xBFcaf\xC3\xA9".to_vec());
        assert_eq!((utf8.text.as_str(), utf8.warning), ("caf\u{e9}", None));
        let latin = decode(b"caf\xE9".to_vec());
        assert_eq!(latin.text, "caf\u{e9}");
        assert!(latin.warning.is_some());
        let utf16 = decode(b"\xFF\xFEa\0b\0".to_vec());
        assert_eq!(utf16.text, "ab");
    }
}
