//! A picture as the tower reads it: the shorter edge to 336 pixels, the middle square of it, CLIP's normalisation.
//!
//! Source: `CLIPImageProcessorPil` and `LlavaImageProcessorPil` of transformers 5.23, to the bit: Pillow's bicubic on
//! bytes. The processor on torchvision, which transformers prefers where that is installed, differs by a grey level
//! here and there.

use super::config::ImageConfig;
use crate::domain::Picture;
use crate::ml::vlm::bicubic::resize;

/// The square that is cut from the middle of the resized picture. What a longer side has beyond it is not seen, unless
/// the configuration pads.
pub(super) fn square(picture: &Picture, config: &ImageConfig) -> Picture {
    let padded = config.pads.then(|| pad(picture, config.mean));
    let picture = padded.as_ref().unwrap_or(picture);
    let edge = u64::from(config.shortest_edge);
    let (width, height) = (u64::from(picture.width), u64::from(picture.height));
    let size = if width <= height {
        [edge, edge * height / width]
    } else {
        [edge * width / height, edge]
    };
    middle(&resize(picture, size.map(|side| side as u32)), config.crop)
}

/// The middle square of `side` pixels of a picture that is nowhere smaller.
fn middle(picture: &Picture, side: u32) -> Picture {
    let (left, top) = ((picture.width - side) / 2, (picture.height - side) / 2);
    let rows = picture.rgb.chunks_exact(picture.width as usize * 3);
    let rgb: Vec<u8> = rows
        .skip(top as usize)
        .take(side as usize)
        .flat_map(|row| &row[left as usize * 3..(left + side) as usize * 3])
        .copied()
        .collect();
    Picture {
        width: side,
        height: side,
        rgb: rgb.into(),
    }
}

/// A square around the picture in the colour of the mean.
fn pad(picture: &Picture, mean: [f64; 3]) -> Picture {
    let side = picture.width.max(picture.height);
    let colour = mean.map(|mean| (mean * 255.0) as u8);
    let mut rgb = colour.repeat(side as usize * side as usize);
    let (left, top) = ((side - picture.width) / 2, (side - picture.height) / 2);
    let width = picture.width as usize * 3;
    for (row, pixels) in picture.rgb.chunks_exact(width).enumerate() {
        let start = ((top as usize + row) * side as usize + left as usize) * 3;
        rgb[start..start + width].copy_from_slice(pixels);
    }
    Picture {
        width: side,
        height: side,
        rgb: rgb.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ml::vlm::hub_config::{CLIP_MEAN, CLIP_STD};

    #[test]
    fn a_padded_picture_keeps_its_edges() {
        let config = ImageConfig {
            pads: true,
            shortest_edge: 6,
            crop: 6,
            mean: CLIP_MEAN,
            std: CLIP_STD,
        };
        let picture = Picture {
            width: 6,
            height: 3,
            rgb: vec![200; 6 * 3 * 3].into(),
        };
        let square = square(&picture, &config);
        assert_eq!(&square.rgb[..3], [122, 116, 104]);
        assert_eq!(square.rgb[18..18 * 4], [200; 54]);
        assert_eq!(&square.rgb[18 * 4..18 * 4 + 3], [122, 116, 104]);
    }
}
