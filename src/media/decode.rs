//! Bytes to pixels: whatever the file holds becomes 8-bit RGB the right way up, within stated budgets.

use std::fs::File;
use std::io::Cursor;
use std::io::Read as _;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::path::Path;
use std::sync::Arc;

use image::DynamicImage;
use image::ImageDecoder as _;
use image::ImageError;
use image::ImageFormat;
use image::ImageReader;
use image::Limits;
use image::metadata::Orientation;

use super::error::MediaError;
use super::probe::hash_bytes;
use super::whole;
use crate::domain::ContentHash;
use crate::domain::Picture;

/// Largest picture that is decoded: 64 Mi pixels, 192 MiB as RGB. A 20,000-pixel-wide strip passes,
/// a 20,000 x 20,000 square does not.
pub const MAX_PIXELS: u64 = 64 << 20;

/// Largest buffer that a decoder may fill; 64 Mi pixels of 16-bit RGBA would take twice as much.
pub const MAX_DECODER_BYTES: u64 = 256 << 20;

/// Largest file that is read into memory.
pub const MAX_FILE_BYTES: u64 = 256 << 20;

/// Reads and decodes a picture file.
///
/// The format is told from the content, never from the name. EXIF orientation is honoured, transparency is laid
/// over white, 16-bit, grey and CMYK pictures become 8-bit RGB, of an animation the first frame is taken.
pub fn load(path: &Path) -> Result<Picture, MediaError> {
    decode(&read_file(path)?)
}

/// As [`load`], for a model: transparency is dropped and not laid over white, as Pillow's `convert("RGB")` does it in
/// the code that published models were made with.
pub fn load_for_model(path: &Path) -> Result<Picture, MediaError> {
    decode_with(&read_file(path)?, Transparency::Dropped)
}

/// As [`load_for_model`], with the hash of the very bytes that were decoded: the file is read once.
pub fn load_and_hash_for_model(path: &Path) -> Result<(Picture, ContentHash), MediaError> {
    let bytes = read_file(path)?;
    let picture = decode_with(&bytes, Transparency::Dropped)?;
    Ok((picture, hash_bytes(&bytes)))
}

/// What becomes of transparent pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Transparency {
    /// They are laid over white, as an image viewer on paper would.
    OverWhite,
    /// They show the colour that they have.
    Dropped,
}

/// Decodes a picture from the bytes of a file; see [`load`].
pub fn decode(bytes: &[u8]) -> Result<Picture, MediaError> {
    decode_with(bytes, Transparency::OverWhite)
}

fn decode_with(bytes: &[u8], transparency: Transparency) -> Result<Picture, MediaError> {
    let format = format_of(bytes)?;
    if !whole::reaches_its_end(format, bytes) {
        return Err(MediaError::Truncated {
            format: format_name(format),
        });
    }
    // A decoder that panics on a hostile file has told us that the file is no good; the import goes on.
    match catch_unwind(AssertUnwindSafe(|| decode_as(bytes, format, transparency))) {
        Ok(result) => result,
        Err(_panic) => Err(MediaError::Damaged {
            format: format_name(format),
            reason: "the decoder failed on it".to_owned(),
        }),
    }
}

/// Reads a file into memory, within the budget.
pub(super) fn read_file(path: &Path) -> Result<Vec<u8>, MediaError> {
    let metadata = std::fs::metadata(path)?;
    if metadata.is_dir() {
        return Err(MediaError::UnknownFormat {
            looks_like: "this is a folder, not a picture".to_owned(),
        });
    }
    if metadata.len() > MAX_FILE_BYTES {
        return Err(MediaError::FileTooLarge {
            bytes: metadata.len(),
            limit: MAX_FILE_BYTES,
        });
    }
    let mut bytes = Vec::with_capacity(metadata.len() as usize);
    // The file may grow while it is read, and devices say that they are empty: the budget holds here too.
    File::open(path)?
        .take(MAX_FILE_BYTES)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The format of the content.
pub(super) fn format_of(bytes: &[u8]) -> Result<ImageFormat, MediaError> {
    if bytes.is_empty() {
        return Err(MediaError::Empty);
    }
    match image::guess_format(bytes) {
        Ok(format) if is_read(format) => Ok(format),
        Ok(_) | Err(_) => Err(MediaError::UnknownFormat {
            looks_like: looks_like(bytes),
        }),
    }
}

/// The format's name as people write it.
pub(super) const fn format_name(format: ImageFormat) -> &'static str {
    match format {
        ImageFormat::Png => "PNG",
        ImageFormat::Jpeg => "JPEG",
        ImageFormat::Gif => "GIF",
        ImageFormat::WebP => "WebP",
        ImageFormat::Tiff => "TIFF",
        ImageFormat::Bmp => "BMP",
        _ => "image",
    }
}

const fn is_read(format: ImageFormat) -> bool {
    matches!(
        format,
        ImageFormat::Png
            | ImageFormat::Jpeg
            | ImageFormat::Gif
            | ImageFormat::WebP
            | ImageFormat::Tiff
            | ImageFormat::Bmp
    )
}

fn looks_like(bytes: &[u8]) -> String {
    let head = &bytes[..bytes.len().min(512)];
    let kind = if head.get(4..8) == Some(b"ftyp") {
        "the file holds an AVIF, HEIC or video stream, which Assay does not read"
    } else if head.starts_with(b"%PDF") {
        "the file is a PDF document, not a picture"
    } else if head.starts_with(b"PK\x03\x04") {
        "the file is a ZIP archive, not a picture"
    } else if head.starts_with(b"\xff\x0a") || head.starts_with(b"\0\0\0\x0cJXL ") {
        "the file holds a JPEG XL picture, which Assay does not read"
    } else if std::str::from_utf8(head)
        .is_ok_and(|text| !text.contains('\0') && text.trim_start().starts_with('<'))
    {
        "the file is a web page or an SVG drawing, not a picture of pixels"
    } else if std::str::from_utf8(head).is_ok_and(|text| !text.contains('\0')) {
        "the file is text, not a picture"
    } else {
        "the content is of no picture format that Assay reads"
    };
    kind.to_owned()
}

fn decode_as(
    bytes: &[u8],
    format: ImageFormat,
    transparency: Transparency,
) -> Result<Picture, MediaError> {
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_DECODER_BYTES);
    reader.limits(limits);
    let damaged = |error: ImageError| in_words(&error, format);
    let mut decoder = reader.into_decoder().map_err(damaged)?;
    let (width, height) = decoder.dimensions();
    let too_many = u64::from(width) * u64::from(height) > MAX_PIXELS
        || decoder.total_bytes() > MAX_DECODER_BYTES;
    if too_many {
        return Err(MediaError::TooManyPixels {
            width,
            height,
            limit: MAX_PIXELS >> 20,
        });
    }
    // A file with a broken orientation tag is still a picture.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut image = DynamicImage::from_decoder(decoder).map_err(damaged)?;
    image.apply_orientation(orientation);
    Ok(to_picture(image, transparency))
}

fn in_words(error: &ImageError, format: ImageFormat) -> MediaError {
    let reason = error.to_string();
    let is_cut_off = matches!(error, ImageError::IoError(io) if io.kind() == std::io::ErrorKind::UnexpectedEof)
        || reason.contains("unexpected end of file")
        || reason.contains("UnexpectedEof");
    if is_cut_off {
        MediaError::Truncated {
            format: format_name(format),
        }
    } else {
        MediaError::Damaged {
            format: format_name(format),
            reason,
        }
    }
}

/// Converts to 8-bit RGB.
fn to_picture(image: DynamicImage, transparency: Transparency) -> Picture {
    let (width, height) = (image.width(), image.height());
    let is_laid = transparency == Transparency::OverWhite && image.color().has_alpha();
    let rgb: Vec<u8> = if is_laid {
        let rgba = image.into_rgba8();
        rgba.pixels()
            .flat_map(|pixel| over_white(pixel.0))
            .collect()
    } else {
        image.into_rgb8().into_raw()
    };
    Picture {
        width,
        height,
        rgb: Arc::from(rgb),
    }
}

fn over_white([red, green, blue, alpha]: [u8; 4]) -> [u8; 3] {
    let alpha = u32::from(alpha);
    [red, green, blue]
        .map(|value| ((u32::from(value) * alpha + 255 * (255 - alpha) + 127) / 255) as u8)
}

#[cfg(test)]
mod tests {
    use image::ImageBuffer;
    use image::Rgb;
    use image::Rgba;
    use proptest::prelude::*;

    use super::*;

    fn bytes_of(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        image
            .write_to(&mut bytes, format)
            .expect("small test pictures can be encoded");
        bytes.into_inner()
    }

    #[test]
    fn sixteen_bit_pictures_become_eight_bit() {
        let image = DynamicImage::ImageRgb16(ImageBuffer::from_pixel(3, 2, Rgb([65535, 32896, 0])));
        let picture = decode(&bytes_of(&image, ImageFormat::Png)).unwrap();
        assert_eq!((picture.width, picture.height), (3, 2));
        assert_eq!(&picture.rgb[..3], [255, 128, 0]);
    }

    #[test]
    fn transparency_is_laid_over_white() {
        let image = DynamicImage::ImageRgba8(ImageBuffer::from_pixel(1, 1, Rgba([0, 0, 0, 51])));
        let picture = decode(&bytes_of(&image, ImageFormat::Png)).unwrap();
        assert_eq!(&picture.rgb[..], [204, 204, 204]);
    }

    #[test]
    fn a_cmyk_jpeg_becomes_rgb() {
        let picture = decode(&super::super::whole::tests::cmyk_jpeg()).unwrap();
        assert_eq!((picture.width, picture.height), (8, 8));
        assert_eq!(picture.rgb.len(), 3 * 64);
    }

    #[test]
    fn every_cut_of_a_file_is_an_error_and_no_panic() {
        let image = DynamicImage::ImageRgb8(ImageBuffer::from_fn(40, 30, |x, y| {
            Rgb([(x * 6) as u8, (y * 8) as u8, (x * y) as u8])
        }));
        for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::Bmp] {
            let whole = bytes_of(&image, format);
            decode(&whole).unwrap();
            for cut in (0..whole.len() - 20).step_by(7) {
                assert!(decode(&whole[..cut]).is_err(), "{format:?} cut at {cut}");
            }
        }
    }

    #[test]
    fn too_many_pixels_are_refused_before_they_are_decoded() {
        let mut png = bytes_of(&DynamicImage::new_rgb8(1, 1), ImageFormat::Png);
        png[16..20].copy_from_slice(&20_000_u32.to_be_bytes());
        png[20..24].copy_from_slice(&20_000_u32.to_be_bytes());
        let crc = crc32(&png[12..29]);
        png[29..33].copy_from_slice(&crc.to_be_bytes());
        let error = decode(&png).unwrap_err();
        assert!(
            matches!(error, MediaError::TooManyPixels { width: 20_000, .. }),
            "{error}"
        );
    }

    #[test]
    fn a_wide_strip_is_decoded() {
        let image = DynamicImage::new_luma8(20_000, 8);
        let picture = decode(&bytes_of(&image, ImageFormat::Png)).unwrap();
        assert_eq!((picture.width, picture.height), (20_000, 8));
    }

    #[test]
    fn text_and_pages_are_named_as_what_they_are() {
        let words = |bytes: &[u8]| decode(bytes).unwrap_err().to_string();
        assert!(words(b"<html>404</html>").contains("web page"));
        assert!(words(b"not a picture").contains("text"));
        assert!(words(b"\0\0\0\x20ftypavif").contains("AVIF"));
        assert!(words(b"").contains("empty"));
    }

    /// A JPEG whose left half is white, with an EXIF block that says how to turn it (TIFF tag 0x0112).
    fn jpeg_to_be_turned(orientation: u8) -> Vec<u8> {
        let image = DynamicImage::ImageRgb8(ImageBuffer::from_fn(32, 16, |x, _| {
            Rgb([if x < 16 { 255 } else { 0 }; 3])
        }));
        let mut bytes = bytes_of(&image, ImageFormat::Jpeg);
        let mut exif = b"\xFF\xE1\x00\x22Exif\0\0MM\0\x2A\0\0\0\x08\0\x01".to_vec();
        exif.extend([0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, orientation, 0, 0]);
        exif.extend([0; 4]);
        bytes.splice(2..2, exif);
        bytes
    }

    #[test]
    fn a_picture_is_turned_the_right_way_up() {
        // Where the white half comes to lie: columns and rows of its middle.
        let expected = [
            (1, (32, 16), (4, 8)),
            (3, (32, 16), (28, 8)),
            (6, (16, 32), (8, 4)),
            (8, (16, 32), (8, 28)),
        ];
        for (orientation, size, (x, y)) in expected {
            let picture = decode(&jpeg_to_be_turned(orientation)).unwrap();
            assert_eq!((picture.width, picture.height), size, "{orientation}");
            let at = 3 * (y * picture.width + x) as usize;
            assert!(picture.rgb[at] > 200, "orientation {orientation}");
        }
    }

    /// Small pictures in every format that is read.
    fn pictures() -> Vec<Vec<u8>> {
        let image = DynamicImage::ImageRgb8(ImageBuffer::from_fn(24, 18, |x, y| {
            Rgb([(x * 10) as u8, (y * 13) as u8, (x * y) as u8])
        }));
        let formats = [
            ImageFormat::Png,
            ImageFormat::Jpeg,
            ImageFormat::Gif,
            ImageFormat::WebP,
            ImageFormat::Tiff,
            ImageFormat::Bmp,
        ];
        formats.map(|format| bytes_of(&image, format)).to_vec()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        #[test]
        fn damage_never_panics_and_never_makes_half_a_picture(
            which in 0..6_usize,
            cut in prop::option::weighted(0.3, any::<prop::sample::Index>()),
            flips in prop::collection::vec((any::<prop::sample::Index>(), 1..=255_u8), 0..6),
        ) {
            let mut bytes = pictures().swap_remove(which);
            if let Some(cut) = cut {
                bytes.truncate(cut.index(bytes.len()));
            }
            for (position, mask) in flips {
                if !bytes.is_empty() {
                    let position = position.index(bytes.len());
                    bytes[position] ^= mask;
                }
            }
            super::super::entropy::jpeg_fault(&bytes);
            super::super::prompt_in_bytes(&bytes);
            if let Ok(picture) = decode(&bytes) {
                let pixels = picture.width as usize * picture.height as usize;
                prop_assert_eq!(picture.rgb.len(), 3 * pixels);
                prop_assert!(pixels as u64 <= MAX_PIXELS);
            }
        }
    }

    fn crc32(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(u32::MAX, |crc, byte| {
            (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
                (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg())
            })
        })
    }
}
