//! Mean strengths of DCT coefficients over the patches of a picture, without a map of coefficients in between.
//!
//! A block's transform is taken along columns and then along rows: 16 products a coefficient in place of 192, and what
//! is held is one row of blocks. Products and sums are not fused, so that every CPU gives the same bits.
#![cfg_attr(
    target_arch = "x86_64",
    expect(
        unsafe_code,
        reason = "wider vectors, after the CPU was asked for them"
    )
)]

use rayon::prelude::*;

/// Side of a block.
pub const BLOCK: usize = 8;

/// Pixels from block to block: half a block, so that no grid is preferred.
const STEP: usize = BLOCK / 2;

/// Values of one channel's block.
const VALUES: usize = BLOCK * BLOCK;

/// What is multiplied with what.
#[derive(Debug, Clone, Copy)]
pub struct Dct {
    /// Shares of red, green and blue in each of three channels.
    pub colours: [[f32; 3]; 3],
    /// `waves[frequency][position]`, the same along rows and columns.
    pub waves: [[f32; BLOCK]; BLOCK],
}

/// `pixels (height, width, 3)` to `(height / patch, width / patch, 3 * 64)`: means of the absolute coefficients of all
/// blocks that begin in a patch, a channel's vertical frequencies outside, horizontal ones inside. The last half block of
/// a side would reach over the edge; its neighbour stands in for it.
///
/// # Panics
/// Sides that are no multiples of `patch`, a patch that is no multiple of the step, fewer pixels than a block.
pub fn mean_strengths(
    dct: &Dct,
    pixels: &[f32],
    [height, width]: [usize; 2],
    patch: usize,
) -> Vec<f32> {
    assert!(
        pixels.len() == height * width * 3
            && height.is_multiple_of(patch)
            && width.is_multiple_of(patch)
            && patch.is_multiple_of(STEP)
            && height.min(width) >= BLOCK,
        "a picture is cut into whole patches"
    );
    let (rows, cols) = (height / patch, width / patch);
    let mut out = vec![0.0; rows * cols * 3 * VALUES];
    let picture = Picture {
        pixels,
        height,
        width,
        patch,
    };
    out.par_chunks_mut(cols * 3 * VALUES)
        .enumerate()
        .for_each(|(row, out)| {
            #[cfg(target_arch = "x86_64")]
            if is_x86_feature_detected!("avx2") {
                // SAFETY: the CPU has the instructions.
                unsafe { x86::row(dct, &picture, row, out) };
                return;
            }
            row_of_patches(dct, &picture, row, out);
        });
    out
}

struct Picture<'a> {
    pixels: &'a [f32],
    height: usize,
    width: usize,
    patch: usize,
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{Dct, Picture, row_of_patches};

    #[target_feature(enable = "avx2")]
    pub(super) fn row(dct: &Dct, picture: &Picture<'_>, row: usize, out: &mut [f32]) {
        row_of_patches(dct, picture, row, out);
    }
}

/// Sums of one channel's absolute coefficients, vertical frequencies side by side.
type Sums = [[f32; BLOCK]; BLOCK];

/// `out (cols, 3 * 64)` of one row of patches.
#[expect(
    clippy::inline_always,
    reason = "it takes the instructions of whoever calls it"
)]
#[inline(always)]
fn row_of_patches(dct: &Dct, picture: &Picture<'_>, row: usize, out: &mut [f32]) {
    let (width, cell) = (picture.width, picture.patch / STEP);
    let last = (picture.height - BLOCK) / STEP;
    let first_line = row * picture.patch;
    let lines = (picture.patch + BLOCK - STEP).min(picture.height - first_line);
    let lines = &picture.pixels[first_line * width * 3..][..lines * width * 3];
    let share = ((cell * cell) as f32).recip();
    let mut columns = vec![[0.0; BLOCK]; width];
    let mut plane = vec![0.0; lines.len() / 3];
    for (channel, colours) in dct.colours.iter().enumerate() {
        for (value, pixel) in plane.iter_mut().zip(lines.chunks_exact(3)) {
            *value = colours[0] * pixel[0] + colours[1] * pixel[1] + colours[2] * pixel[2];
        }
        let mut sums = vec![Sums::default(); width / picture.patch];
        for at in row * cell..(row + 1) * cell {
            let line = at.min(last) * STEP - first_line;
            along_columns(&dct.waves, &plane[line * width..], &mut columns);
            along_rows(&dct.waves, &columns, cell, &mut sums);
        }
        for (out, sums) in out.chunks_exact_mut(3 * VALUES).zip(&sums) {
            let out = &mut out[channel * VALUES..][..VALUES];
            for (at, out) in out.iter_mut().enumerate() {
                *out = sums[at % BLOCK][at / BLOCK] * share;
            }
        }
    }
}

/// Vertical frequencies of the column of a block below every pixel of its first line.
#[expect(
    clippy::inline_always,
    reason = "it takes the instructions of whoever calls it"
)]
#[inline(always)]
fn along_columns(waves: &[[f32; BLOCK]; BLOCK], plane: &[f32], columns: &mut [[f32; BLOCK]]) {
    let width = columns.len();
    let turned: [[f32; BLOCK]; BLOCK] =
        std::array::from_fn(|y| std::array::from_fn(|v| waves[v][y]));
    columns.fill([0.0; BLOCK]);
    for (line, waves) in plane.chunks_exact(width).zip(&turned) {
        for (column, value) in columns.iter_mut().zip(line) {
            for (sum, wave) in column.iter_mut().zip(waves) {
                *sum += wave * value;
            }
        }
    }
}

/// Adds the absolute coefficients of a row of blocks to the sums of the patches in which they begin.
#[expect(
    clippy::inline_always,
    reason = "it takes the instructions of whoever calls it"
)]
#[inline(always)]
fn along_rows(
    waves: &[[f32; BLOCK]; BLOCK],
    columns: &[[f32; BLOCK]],
    cell: usize,
    sums: &mut [Sums],
) {
    let last = (columns.len() - BLOCK) / STEP;
    for (patch, sums) in sums.iter_mut().enumerate() {
        for at in patch * cell..(patch + 1) * cell {
            let block = &columns[at.min(last) * STEP..][..BLOCK];
            for (sums, waves) in sums.iter_mut().zip(waves) {
                let mut values = [0.0; BLOCK];
                for (column, wave) in block.iter().zip(waves) {
                    for (value, part) in values.iter_mut().zip(column) {
                        *value += wave * part;
                    }
                }
                for (sum, value) in sums.iter_mut().zip(values) {
                    *sum += value.abs();
                }
            }
        }
    }
}
