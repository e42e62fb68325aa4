//! A picture as the tower reads it: sides that are multiples of 28 near its own, CLIP's normalisation, patches in
//! groups of 2 x 2.
//!
//! Source: `Qwen2VLImageProcessorPil` of transformers 5.23, to the bit: Pillow's bicubic on bytes, Python's rounding.
//! The processor on torchvision, which transformers prefers where that is installed, differs by a grey level here and
//! there.

use super::config::{ImageConfig, VisionConfig};
use crate::domain::Picture;
use crate::ml::vlm::hub_config::Normalisation;

/// Longest side as a multiple of the shortest.
const MAX_RATIO: f64 = 200.0;

/// The size `[width, height]` that a picture is brought to.
///
/// # Errors
/// A picture more than 200 times as long as wide, or without pixels.
pub(super) fn smart_resize(
    [width, height]: [u32; 2],
    config: &ImageConfig,
) -> Result<[u32; 2], String> {
    let (short, long) = (width.min(height), width.max(height));
    if short == 0 {
        return Err("the picture has no pixels".to_owned());
    }
    if f64::from(long) / f64::from(short) > MAX_RATIO {
        return Err(format!(
            "the picture is {width} x {height}: this model reads none that is more than {MAX_RATIO} times as long as \
             wide, so cut it"
        ));
    }
    let factor = f64::from(config.factor);
    let sides = [width, height].map(f64::from);
    let area = sides[0] * sides[1];
    let near = sides.map(|side| (side / factor).round_ties_even() * factor);
    let (least, most) = (f64::from(config.min_pixels), f64::from(config.max_pixels));
    let fitted = if near[0] * near[1] > most {
        let shrink = (area / most).sqrt();
        sides.map(|side| ((side / shrink / factor).floor() * factor).max(factor))
    } else if near[0] * near[1] < least {
        let grow = (least / area).sqrt();
        sides.map(|side| (side * grow / factor).ceil() * factor)
    } else {
        near
    };
    Ok(fitted.map(|side| side as u32))
}

/// Values of every patch of a resized picture, `rows * cols` times `channel, frame, y, x`, and `[rows, cols]`. The
/// patches of one image token stand together. Both frames of a still picture are the same.
pub(super) fn patches(
    picture: &Picture,
    vision: &VisionConfig,
    normalisation: &Normalisation,
) -> (Vec<f32>, [usize; 2]) {
    let (patch, merge) = (vision.patch_size, vision.spatial_merge_size);
    let width = picture.width as usize;
    let grid = [picture.height as usize / patch, width / patch];
    let mut values = Vec::with_capacity(grid[0] * grid[1] * vision.patch_values());
    for [row, col] in in_groups(grid, merge) {
        for channel in 0..3 {
            let start = values.len();
            for y in row * patch..(row + 1) * patch {
                let pixels =
                    (col * patch..(col + 1) * patch).map(|x| (y * width + x) * 3 + channel);
                values.extend(pixels.map(|at| normalisation.value(picture.rgb[at], channel)));
            }
            let end = values.len();
            for _ in 1..vision.temporal_patch_size {
                values.extend_from_within(start..end);
            }
        }
    }
    (values, grid)
}

/// Row and column of every patch, group by group of `merge` x `merge`.
pub(super) fn in_groups(
    [rows, cols]: [usize; 2],
    merge: usize,
) -> impl Iterator<Item = [usize; 2]> {
    let groups =
        (0..rows / merge).flat_map(move |row| (0..cols / merge).map(move |col| [row, col]));
    groups.flat_map(move |[row, col]| {
        (0..merge * merge).map(move |at| [row * merge + at / merge, col * merge + at % merge])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strip_is_refused_in_words() {
        let config = ImageConfig {
            factor: 28,
            min_pixels: 3136,
            max_pixels: 1_003_520,
            mean: [0.5; 3],
            std: [0.5; 3],
        };
        let refused = smart_resize([4000, 10], &config);
        assert!(refused.is_err_and(|why| why.contains("4000 x 10")));
    }
}
