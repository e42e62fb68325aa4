//! How a picture is cut: a thumbnail and slices whose areas are near `scale_resolution` squared.
//!
//! Source: MiniCPM-Llama3-V-2.5 `modeling_minicpmv.py` (`slice_image`), with Python's semantics: banker's rounding,
//! f64 logarithms, the first of equal grids.

use crate::domain::Picture;
use crate::ml::vlm::bicubic::resize;

/// What to bring the picture to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlicePlan {
    /// Size of the thumbnail.
    pub source: [u32; 2],
    /// Columns and rows of slices, and the size of each; `None` where the thumbnail is enough.
    pub slices: Option<([u32; 2], [u32; 2])>,
}

/// The pictures that a plan makes: the thumbnail, then slices row by row.
#[derive(Debug, Clone)]
pub struct Slices {
    /// Thumbnail first.
    pub pictures: Vec<Picture>,
    /// Columns and rows of slices.
    pub grid: Option<[u32; 2]>,
}

/// Plans a picture of `[width, height]`.
pub fn plan([width, height]: [u32; 2], max_slices: u32, resolution: u32, patch: u32) -> SlicePlan {
    let size = [f64::from(width), f64::from(height)];
    let area = f64::from(resolution) * f64::from(resolution);
    let multiple = ((size[0] * size[1] / area).ceil() as u32).min(max_slices);
    if multiple <= 1 {
        return SlicePlan {
            source: best_resize(size, resolution, patch, Upscale::Allowed),
            slices: None,
        };
    }
    let source = best_resize(size, resolution, patch, Upscale::Never);
    let grid = best_grid((size[0] / size[1]).ln(), multiple, max_slices);
    let part = [0, 1].map(|i| f64::from(ensure_divide(size[i], grid[i])) / f64::from(grid[i]));
    SlicePlan {
        source,
        slices: Some((grid, best_resize(part, resolution, patch, Upscale::Allowed))),
    }
}

/// Cuts a picture as planned.
pub fn slice(picture: &Picture, plan: &SlicePlan) -> Slices {
    let mut pictures = vec![resize(picture, plan.source)];
    let Some((grid, [width, height])) = plan.slices else {
        return Slices {
            pictures,
            grid: None,
        };
    };
    let refined = resize(picture, [grid[0] * width, grid[1] * height]);
    for row in 0..grid[1] {
        for col in 0..grid[0] {
            pictures.push(cut(&refined, [col * width, row * height], [width, height]));
        }
    }
    Slices {
        pictures,
        grid: Some(grid),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Upscale {
    Allowed,
    Never,
}

fn best_resize(
    [mut width, mut height]: [f64; 2],
    resolution: u32,
    patch: u32,
    upscale: Upscale,
) -> [u32; 2] {
    let resolution = f64::from(resolution);
    if width * height > resolution * resolution || upscale == Upscale::Allowed {
        let ratio = width / height;
        height = (resolution / ratio.sqrt()).trunc();
        width = (height * ratio).trunc();
    }
    [ensure_divide(width, patch), ensure_divide(height, patch)]
}

/// The multiple of `patch` nearest to `length`, halves to the even multiple, at least one.
fn ensure_divide(length: f64, patch: u32) -> u32 {
    ((length / f64::from(patch)).round_ties_even() as u32 * patch).max(patch)
}

fn best_grid(log_ratio: f64, multiple: u32, max_slices: u32) -> [u32; 2] {
    let counts = [multiple - 1, multiple, multiple + 1]
        .into_iter()
        .filter(|&count| count != 1 && count <= max_slices);
    let grids = counts.flat_map(|count| {
        (1..=count)
            .filter(move |m| count % m == 0)
            .map(move |m| [m, count / m])
    });
    let (mut best, mut least) = ([1, 1], f64::INFINITY);
    for grid in grids {
        let error = (log_ratio - (f64::from(grid[0]) / f64::from(grid[1])).ln()).abs();
        if error < least {
            (best, least) = (grid, error);
        }
    }
    best
}

fn cut(picture: &Picture, [x, y]: [u32; 2], [width, height]: [u32; 2]) -> Picture {
    let row_bytes = picture.width as usize * 3;
    let rgb: Vec<u8> = (y..y + height)
        .flat_map(|row| {
            let start = row as usize * row_bytes + x as usize * 3;
            picture.rgb[start..start + width as usize * 3]
                .iter()
                .copied()
        })
        .collect();
    Picture {
        width,
        height,
        rgb: rgb.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_plans_are_met() {
        let cases = [
            ([512, 512], [448, 448], [1, 2], [630, 322]),
            ([1024, 1024], [448, 448], [3, 2], [364, 546]),
            ([768, 512], [546, 364], [2, 1], [392, 518]),
            ([1920, 1080], [602, 336], [4, 2], [420, 476]),
        ];
        for (size, source, grid, part) in cases {
            let plan = plan(size, 9, 448, 14);
            assert_eq!(
                plan,
                SlicePlan {
                    source,
                    slices: Some((grid, part))
                },
                "{size:?}"
            );
        }
    }

    #[test]
    fn slices_tile_the_picture() {
        let rgb: Vec<u8> = (0..1200u32 * 700 * 3).map(|i| (i % 251) as u8).collect();
        let picture = Picture {
            width: 1200,
            height: 700,
            rgb: rgb.into(),
        };
        let plan = plan([1200, 700], 4, 512, 64);
        let slices = slice(&picture, &plan);
        let [cols, rows] = slices.grid.expect("large pictures are sliced");
        assert_eq!(slices.pictures.len() as u32, 1 + cols * rows);
        assert!(
            slices
                .pictures
                .iter()
                .all(|p| p.width % 64 == 0 && p.height % 64 == 0)
        );
    }
}
