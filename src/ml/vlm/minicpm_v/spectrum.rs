//! How strong each spatial frequency is in every patch of a picture.
//!
//! Blur, noise, ringing and resampling change the statistics of a picture's DCT coefficients in ways that are the same
//! for any content (Saad, Bovik and Charrier 2012, "Blind image quality assessment: a natural scene statistics approach
//! in the DCT domain"), and every generator leaves its own. A small convolutional stem finds little of this by itself
//! in a few thousand pictures.

use std::f64::consts::PI;

use candle_core::{D, DType, Device, Result, Tensor, bail};

use super::stem::{Convolution, convolve};
use crate::compute::kernels::{ConvSpec, DCT_BLOCK, Dct, conv2d, mean_strengths};
use crate::compute::real::with_values;
use crate::ml::vlm::weights::Weights;

/// Luma and two colour differences of red, green and blue (ITU-R BT.601, as JPEG has them).
const YCBCR: [[f64; 3]; 3] = [
    [0.299, 0.587, 0.114],
    [-0.168_736, -0.331_264, 0.5],
    [0.5, -0.418_688, -0.081_312],
];

/// Added to strengths before the logarithm, in grey levels: about the rounding of pixels to 8 bits.
const FLOOR: f64 = 0.5;

/// Logarithms of mean absolute DCT coefficients, brought to mean 0 and deviation 1 over the pictures learned from.
#[derive(Debug, Clone)]
pub struct Spectrum {
    basis: Tensor,
    block: usize,
    mean: Tensor,
    scale: Tensor,
}

impl Spectrum {
    /// Loads `mean (values)` and `scale (values)`, one value for each of [`values`].
    ///
    /// # Errors
    /// Missing or wrongly shaped tensors.
    pub fn new(block: usize, weights: &Weights) -> Result<Self> {
        let mean = weights.get(values(block), "mean")?;
        Ok(Self {
            basis: basis(block, mean.device())?.to_dtype(mean.dtype())?,
            block,
            scale: weights.get(values(block), "scale")?,
            mean,
        })
    }

    /// `pixels (batch, height, width, 3)` in -1..1 to `(batch, rows, cols, values)`, a row and column each `patch`
    /// pixels.
    ///
    /// # Errors
    /// Sides that are no multiples of `patch`, a patch that is no multiple of the block.
    pub fn patches(&self, pixels: &Tensor, patch: usize) -> Result<Tensor> {
        strengths(pixels, &self.basis, self.block, patch)?
            .broadcast_sub(&self.mean)?
            .broadcast_mul(&self.scale)
    }
}

/// Values a patch: a block's coefficients in three colour channels.
pub const fn values(block: usize) -> usize {
    3 * block * block
}

/// What [`Spectrum`] is made of, before mean and scale are taken out; on the CPU.
///
/// # Errors
/// As [`Spectrum::patches`].
pub fn raw_patches(pixels: &Tensor, block: usize, patch: usize) -> Result<Tensor> {
    strengths(pixels, &basis(block, &Device::Cpu)?, block, patch)
}

/// `ln(mean |coefficient| + floor)` over all blocks of a patch, taken every half block so that no grid is preferred.
fn strengths(pixels: &Tensor, basis: &Tensor, block: usize, patch: usize) -> Result<Tensor> {
    let is_usual = pixels.device().is_cpu() && pixels.dtype() == DType::F32 && block == DCT_BLOCK;
    let means = match is_usual {
        true => means_by_transform(pixels, patch)?,
        false => means_by_convolution(pixels, basis, block, patch)?,
    };
    (means + FLOOR)?.log()
}

/// Means of the absolute coefficients, `(batch, rows, cols, values)`.
fn means_by_transform(pixels: &Tensor, patch: usize) -> Result<Tensor> {
    let (batch, height, width, _) = pixels.dims4()?;
    let is_cut = |side: usize| side.is_multiple_of(patch) && side >= DCT_BLOCK;
    if !patch.is_multiple_of(DCT_BLOCK / 2) || !is_cut(height) || !is_cut(width) {
        bail!("{width} x {height} pixels are not cut into whole patches of {patch}")
    }
    let dct = Dct {
        colours: YCBCR.map(|channel| channel.map(|share| (share * GREY_LEVELS) as f32)),
        waves: std::array::from_fn(|frequency| {
            std::array::from_fn(|x| wave(DCT_BLOCK, frequency, x) as f32)
        }),
    };
    let means = with_values([&pixels.contiguous()?], |[pixels]: [&[f32]; 1]| {
        let pictures = pixels.chunks_exact(height * width * 3);
        let means =
            pictures.flat_map(|picture| mean_strengths(&dct, picture, [height, width], patch));
        Ok(means.collect::<Vec<f32>>())
    })?;
    let shape = (batch, height / patch, width / patch, values(DCT_BLOCK));
    Tensor::from_vec(means, shape, &Device::Cpu)
}

/// The same by a convolution with the basis pictures, where there is no kernel for it.
fn means_by_convolution(
    pixels: &Tensor,
    basis: &Tensor,
    block: usize,
    patch: usize,
) -> Result<Tensor> {
    let spec = ConvSpec {
        kernel: block,
        stride: block / 2,
        padding: 0,
        input_gradient: false,
    };
    let exact: Convolution = conv2d;
    let map = convolve(&pixels.contiguous()?, basis, spec, exact)?.abs()?;
    // The last half block of a side would reach over the edge; its neighbour stands in for it.
    let map = map.pad_with_same(1, 0, 1)?.pad_with_same(2, 0, 1)?;
    let (batch, height, width, values) = map.dims4()?;
    let cell = patch / spec.stride;
    let (rows, cols) = (height / cell, width / cell);
    let cells = map.reshape((batch * rows, cell, width, values))?.mean(1)?;
    let cells = cells.reshape((batch * rows, cols, cell, values))?.mean(2)?;
    cells.reshape((batch, rows, cols, values))
}

/// Grey levels of half the range of pixels.
const GREY_LEVELS: f64 = 127.5;

/// The orthonormal DCT's wave of a frequency over a side of `block` pixels.
fn wave(block: usize, frequency: usize, x: usize) -> f64 {
    let norm = if frequency == 0 { 1.0 } else { 2.0 } / block as f64;
    let phase = PI * (2 * x + 1) as f64 * frequency as f64 / (2 * block) as f64;
    norm.sqrt() * phase.cos()
}

/// The DCT's basis pictures as convolution weights `(values, block * block * 3)` that answer in grey levels.
fn basis(block: usize, device: &Device) -> Result<Tensor> {
    let mut weight = Vec::with_capacity(values(block) * values(block));
    for colour in YCBCR {
        for (v, u) in (0..block).flat_map(|v| (0..block).map(move |u| (v, u))) {
            for (y, x) in (0..block).flat_map(|y| (0..block).map(move |x| (y, x))) {
                let at = GREY_LEVELS * wave(block, v, y) * wave(block, u, x);
                weight.extend(colour.map(|share| (share * at) as f32));
            }
        }
    }
    Tensor::from_vec(weight, (values(block), values(block)), device)
}

/// Mean and reciprocal deviation of each value over patches `(n, values)`, as [`Spectrum::new`] loads them.
///
/// # Errors
/// Failed tensor operations.
pub fn statistics(patches: &Tensor) -> Result<[Tensor; 2]> {
    let mean = patches.mean_keepdim(0)?;
    let deviation = patches.broadcast_sub(&mean)?.sqr()?.mean(0)?.sqrt()?;
    let scale = (deviation + 1e-3)?.recip()?;
    Ok([mean.squeeze(0)?, scale.flatten(0, D::Minus1)?])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A picture of 32 by 32 pixels from a formula of grey levels around the middle.
    fn picture(grey: impl Fn(usize, usize) -> f64) -> Tensor {
        let values: Vec<f32> = (0..32 * 32)
            .flat_map(|i| [(grey(i / 32, i % 32) / 127.5) as f32; 3])
            .collect();
        Tensor::from_vec(values, (1, 32, 32, 3), &Device::Cpu).unwrap()
    }

    fn strength(pixels: &Tensor) -> Vec<f32> {
        let patches = raw_patches(pixels, 8, 16).unwrap();
        assert_eq!(patches.dims(), [1, 2, 2, 192]);
        patches.flatten_all().unwrap().to_vec1().unwrap()
    }

    #[test]
    fn a_flat_picture_has_a_mean_and_nothing_else() {
        let found = strength(&picture(|_, _| 10.0));
        // The coefficient of the mean is 8 times it.
        assert!((f64::from(found[0]) - 80.5f64.ln()).abs() < 1e-4);
        let floor = FLOOR.ln();
        assert!(
            found[1..192]
                .iter()
                .all(|v| (f64::from(*v) - floor).abs() < 1e-3)
        );
    }

    #[test]
    fn a_wave_is_found_at_its_frequency_and_direction() {
        // Cosine number 6 of 8 along x: it repeats every 8 / 3 pixels, in phase on blocks that start at multiples of 8.
        let wave = |x: usize| 20.0 * (PI * (2 * x + 1) as f64 * 6.0 / 16.0).cos();
        let found = strength(&picture(|_, x| wave(x)));
        let strongest = (0..192).max_by(|a, b| found[*a].total_cmp(&found[*b]));
        assert_eq!(strongest, Some(6));
        let turned = strength(&picture(|y, _| wave(y)));
        let strongest = (0..192).max_by(|a, b| turned[*a].total_cmp(&turned[*b]));
        assert_eq!(strongest, Some(6 * 8));
    }

    #[test]
    fn the_transform_gives_what_the_convolution_with_its_basis_gives() -> Result<()> {
        let values: Vec<f32> = (0..2 * 96 * 64 * 3)
            .map(|at: usize| ((at * at) % 251) as f32 / 125.0 - 1.0)
            .collect();
        let pixels = Tensor::from_vec(values, (2, 96, 64, 3), &Device::Cpu)?;
        let ours = means_by_transform(&pixels, 32)?;
        let basis = basis(DCT_BLOCK, &Device::Cpu)?;
        let theirs = means_by_convolution(&pixels, &basis, DCT_BLOCK, 32)?;
        assert_eq!(ours.dims(), [2, 3, 2, 192]);
        assert_eq!(ours.dims(), theirs.dims());
        let apart = ((ours - &theirs)? / theirs)?.abs()?.max_all()?;
        assert!(apart.to_scalar::<f32>()? < 1e-5);
        Ok(())
    }

    #[test]
    fn statistics_bring_values_to_mean_0_and_deviation_1() -> Result<()> {
        let patches = Tensor::new(&[[1f32, 10.0], [3.0, 30.0]], &Device::Cpu)?;
        let [mean, scale] = statistics(&patches)?;
        assert_eq!(mean.to_vec1::<f32>()?, [2.0, 20.0]);
        let scale = scale.to_vec1::<f32>()?;
        assert!((scale[0] - 1.0).abs() < 2e-3 && (scale[1] - 0.1).abs() < 1e-4);
        Ok(())
    }
}
