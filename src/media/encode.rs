//! Pixels to bytes, for thumbnails and for the demo's pictures.

use image::ExtendedColorType;
use image::ImageEncoder as _;
use image::ImageError;
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;

use super::error::MediaError;
use crate::domain::Picture;

/// Encodes as a baseline JPEG of a quality from 1 to 100.
pub fn encode_jpeg(picture: &Picture, quality: u8) -> Result<Vec<u8>, MediaError> {
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, quality.clamp(1, 100))
        .write_image(
            &picture.rgb,
            picture.width,
            picture.height,
            ExtendedColorType::Rgb8,
        )
        .map_err(|error| in_words(picture, "JPEG", &error))?;
    Ok(bytes)
}

/// Encodes as an 8-bit RGB PNG.
pub fn encode_png(picture: &Picture) -> Result<Vec<u8>, MediaError> {
    let mut bytes = Vec::new();
    PngEncoder::new(&mut bytes)
        .write_image(
            &picture.rgb,
            picture.width,
            picture.height,
            ExtendedColorType::Rgb8,
        )
        .map_err(|error| in_words(picture, "PNG", &error))?;
    Ok(bytes)
}

fn in_words(picture: &Picture, format: &'static str, error: &ImageError) -> MediaError {
    MediaError::Encode {
        width: picture.width,
        height: picture.height,
        format,
        reason: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::media::decode;

    #[test]
    fn a_png_comes_back_as_it_was() {
        let picture = Picture {
            width: 3,
            height: 2,
            rgb: Arc::from((0..18).map(|value| value * 14).collect::<Vec<u8>>()),
        };
        assert_eq!(decode(&encode_png(&picture).unwrap()).unwrap(), picture);
    }

    #[test]
    fn a_jpeg_comes_back_nearly_as_it_was() {
        let picture = Picture {
            width: 16,
            height: 16,
            rgb: Arc::from(vec![90; 768]),
        };
        let again = decode(&encode_jpeg(&picture, 92).unwrap()).unwrap();
        assert!(again.rgb.iter().all(|value| value.abs_diff(90) <= 2));
    }
}
