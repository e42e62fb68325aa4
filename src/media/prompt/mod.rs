//! Prompts that generators leave in image files: read, never guessed.
//!
//! Texts come from PNG chunks and EXIF; what they mean is told by key, in the order of the programs that write them.

mod comfy;
mod exif;
mod grammar;
mod png;

use std::fs::File;
use std::io::Cursor;
use std::io::Read as _;
use std::path::Path;

use image::ImageDecoder as _;
use image::ImageFormat;
use image::ImageReader;

use super::decode::MAX_FILE_BYTES;

/// Longest text that is taken from a file; a workflow of a thousand nodes stays below it.
const MAX_TEXT_BYTES: u64 = 16 << 20;

/// One text found in an image file.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Text {
    /// Keyword of the chunk, or `exif`.
    key: String,
    /// Its text.
    value: String,
}

/// The generation prompt that an image file carries, and where it stood (`png:parameters`, `exif:UserComment`, ...).
pub fn prompt_in_file(path: &Path) -> Option<(String, String)> {
    let mut bytes = Vec::new();
    File::open(path)
        .ok()?
        .take(MAX_FILE_BYTES)
        .read_to_end(&mut bytes)
        .ok()?;
    prompt_in_bytes(&bytes)
}

/// Like [`prompt_in_file`], for bytes at hand.
pub fn prompt_in_bytes(bytes: &[u8]) -> Option<(String, String)> {
    let (place, texts) = match image::guess_format(bytes).ok()? {
        ImageFormat::Png => ("png", png::texts(bytes)),
        format @ (ImageFormat::Jpeg | ImageFormat::WebP) => ("exif", exif_texts(bytes, format)),
        _ => return None,
    };
    let (prompt, key) = grammar::prompt(&texts)?;
    Some((prompt, format!("{place}:{key}")))
}

/// The prompt of a text file beside the picture: `NAME.txt` for `NAME.png`.
pub fn prompt_in_sidecar(path: &Path) -> Option<(String, String)> {
    let sidecar = path.with_extension("txt");
    let mut bytes = Vec::new();
    File::open(&sidecar)
        .ok()?
        .take(MAX_TEXT_BYTES)
        .read_to_end(&mut bytes)
        .ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let prompt = grammar::parameters(text.trim_start_matches('\u{feff}'));
    (!prompt.is_empty()).then(|| {
        (
            prompt,
            format!(
                "file:{}",
                sidecar
                    .file_name()
                    .map_or_else(Default::default, |name| name.to_string_lossy())
            ),
        )
    })
}

fn exif_texts(bytes: &[u8], format: ImageFormat) -> Vec<Text> {
    let Ok(mut decoder) = ImageReader::with_format(Cursor::new(bytes), format).into_decoder()
    else {
        return Vec::new();
    };
    match decoder.exif_metadata() {
        Ok(Some(exif)) => exif::texts(&exif),
        Ok(None) | Err(_) => Vec::new(),
    }
}
