//! Smaller copies of pictures.

use std::sync::Arc;

use fast_image_resize::PixelType;
use fast_image_resize::Resizer;
use fast_image_resize::images::Image;
use fast_image_resize::images::ImageRef;

use crate::domain::Picture;

/// A copy whose longer side has at most `longest` pixels, in the picture's proportions. Never enlarges.
pub fn thumbnail(picture: &Picture, longest: u32) -> Picture {
    let side = picture.width.max(picture.height);
    if side <= longest || longest == 0 {
        return picture.clone();
    }
    let scale = f64::from(longest) / f64::from(side);
    let shrink = |length: u32| ((f64::from(length) * scale).round() as u32).max(1);
    let (width, height) = (shrink(picture.width), shrink(picture.height));
    resize(picture, width, height).unwrap_or_else(|| picture.clone())
}

/// Lanczos resampling; `None` only for pixels that do not match their size.
fn resize(picture: &Picture, width: u32, height: u32) -> Option<Picture> {
    let source =
        ImageRef::new(picture.width, picture.height, &picture.rgb, PixelType::U8x3).ok()?;
    let mut target = Image::new(width, height, PixelType::U8x3);
    Resizer::new().resize(&source, &mut target, None).ok()?;
    Some(Picture {
        width,
        height,
        rgb: Arc::from(target.into_vec()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(width: u32, height: u32) -> Picture {
        Picture {
            width,
            height,
            rgb: Arc::from(vec![77; (3 * width * height) as usize]),
        }
    }

    #[test]
    fn the_longer_side_shrinks_to_the_limit_and_colours_stay() {
        let small = thumbnail(&plain(600, 300), 256);
        assert_eq!((small.width, small.height), (256, 128));
        assert!(small.rgb.iter().all(|value| *value == 77));
    }

    #[test]
    fn a_strip_keeps_at_least_one_row() {
        let small = thumbnail(&plain(2000, 2), 256);
        assert_eq!((small.width, small.height), (256, 1));
    }

    #[test]
    fn small_pictures_stay_as_they_are() {
        assert_eq!(thumbnail(&plain(20, 10), 256), plain(20, 10));
    }
}
