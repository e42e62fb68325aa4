//! Bicubic resizing with antialiasing, to the bit as Pillow does it on 8-bit pictures.
//!
//! Source: Pillow `src/libImaging/Resample.c`: a = -0.5, support 2 * max(scale, 1), weights normalised in f64 and
//! rounded to 22 bits, horizontal pass first, 8-bit rounding between; a pass is skipped where that size is unchanged.

use crate::domain::Picture;

/// Fixed-point bits of a weight.
const PRECISION: u32 = 22;

/// Brings a picture to `[width, height]`.
pub fn resize(picture: &Picture, [width, height]: [u32; 2]) -> Picture {
    let mut out = picture.clone();
    if width != out.width {
        out = horizontal(&out, width);
    }
    if height != out.height {
        out = vertical(&out, height);
    }
    out
}

/// For one output position: the first input position and the weights from there on.
struct Window {
    first: usize,
    weights: Vec<i32>,
}

fn windows(from: u32, to: u32) -> Vec<Window> {
    let scale = f64::from(from) / f64::from(to);
    let filter_scale = scale.max(1.0);
    let support = 2.0 * filter_scale;
    (0..to)
        .map(|position| {
            let center = (f64::from(position) + 0.5) * scale;
            let first = ((center - support + 0.5) as i64).max(0) as usize;
            let last = ((center + support + 0.5) as i64).min(i64::from(from)) as usize;
            let raw: Vec<f64> = (first..last)
                .map(|i| bicubic((i as f64 - center + 0.5) / filter_scale))
                .collect();
            let total: f64 = raw.iter().sum();
            let fixed = |w: f64| (w / total * f64::from(1u32 << PRECISION)).round() as i32;
            Window {
                first,
                weights: raw.into_iter().map(fixed).collect(),
            }
        })
        .collect()
}

fn bicubic(x: f64) -> f64 {
    const A: f64 = -0.5;
    let x = x.abs();
    if x < 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * A
    } else {
        0.0
    }
}

fn clip(sum: i64) -> u8 {
    ((sum + (1 << (PRECISION - 1))) >> PRECISION).clamp(0, 255) as u8
}

fn horizontal(picture: &Picture, width: u32) -> Picture {
    let windows = windows(picture.width, width);
    let mut rgb = Vec::with_capacity(width as usize * picture.height as usize * 3);
    for row in picture.rgb.chunks_exact(picture.width as usize * 3) {
        for window in &windows {
            for channel in 0..3 {
                let values = row[window.first * 3 + channel..].iter().step_by(3);
                let sum = window
                    .weights
                    .iter()
                    .zip(values)
                    .map(|(w, v)| i64::from(*w) * i64::from(*v))
                    .sum();
                rgb.push(clip(sum));
            }
        }
    }
    Picture {
        width,
        height: picture.height,
        rgb: rgb.into(),
    }
}

fn vertical(picture: &Picture, height: u32) -> Picture {
    let stride = picture.width as usize * 3;
    let mut rgb = Vec::with_capacity(stride * height as usize);
    for window in windows(picture.height, height) {
        for at in 0..stride {
            let values = picture.rgb[window.first * stride + at..]
                .iter()
                .step_by(stride);
            let sum = window
                .weights
                .iter()
                .zip(values)
                .map(|(w, v)| i64::from(*w) * i64::from(*v))
                .sum();
            rgb.push(clip(sum));
        }
    }
    Picture {
        width: picture.width,
        height,
        rgb: rgb.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flat_picture_stays_flat_and_an_equal_size_stays_equal() {
        let picture = Picture {
            width: 9,
            height: 7,
            rgb: vec![130; 9 * 7 * 3].into(),
        };
        let small = resize(&picture, [4, 11]);
        assert_eq!((small.width, small.height), (4, 11));
        assert!(small.rgb.iter().all(|v| *v == 130));
        assert_eq!(resize(&picture, [9, 7]), picture);
    }
}
