//! Squares cut out of pictures, as tensors.

use candle_core::{Device, Result, Tensor};
use rayon::prelude::*;

use crate::domain::Picture;

/// A square of a picture.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cut<'a> {
    pub(super) picture: &'a Picture,
    /// Its first column and row, in pixels.
    pub(super) left: usize,
    pub(super) top: usize,
    /// Whether left and right are exchanged.
    pub(super) is_mirrored: bool,
}

/// Squares of `side` pixels as `(batch, side, side, 3)` in -1..1.
pub(super) fn cut_out(cuts: &[Cut<'_>], side: usize) -> Result<Tensor> {
    let mut values = vec![0f32; cuts.len() * side * side * 3];
    values
        .par_chunks_mut(side * side * 3)
        .zip(cuts)
        .for_each(|(out, cut)| fill(out, cut, side));
    Tensor::from_vec(values, (cuts.len(), side, side, 3), &Device::Cpu)
}

fn fill(out: &mut [f32], cut: &Cut<'_>, side: usize) {
    for (row, out) in out.chunks_exact_mut(side * 3).enumerate() {
        let start = ((cut.top + row) * cut.picture.width as usize + cut.left) * 3;
        let source = &cut.picture.rgb[start..start + side * 3];
        for (col, pixel) in out.chunks_exact_mut(3).enumerate() {
            let col = if cut.is_mirrored { side - 1 - col } else { col };
            for (value, byte) in pixel.iter_mut().zip(&source[col * 3..col * 3 + 3]) {
                *value = f32::from(*byte) / 127.5 - 1.0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_square_is_cut_where_it_lies_and_mirrored_if_wanted() -> Result<()> {
        let picture = Picture {
            width: 3,
            height: 2,
            rgb: (0..18).collect(),
        };
        let cut = |left, is_mirrored| Cut {
            picture: &picture,
            left,
            top: 0,
            is_mirrored,
        };
        let cuts = cut_out(&[cut(1, false), cut(1, true)], 2)?;
        assert_eq!(cuts.dims(), [2, 2, 2, 3]);
        let bytes: Vec<f32> = cuts.affine(127.5, 127.5)?.flatten_all()?.to_vec1()?;
        let bytes: Vec<u8> = bytes.into_iter().map(|byte| byte.round() as u8).collect();
        assert_eq!(bytes[..12], [3, 4, 5, 6, 7, 8, 12, 13, 14, 15, 16, 17]);
        assert_eq!(bytes[12..], [6, 7, 8, 3, 4, 5, 15, 16, 17, 12, 13, 14]);
        Ok(())
    }
}
