//! A small convolutional stem in place of SigLIP's patch embedding, for models trained from nothing on little data.
//!
//! A deviation from MiniCPM-V-2.5, chosen by `vision_config.stem`: a few convolutions on native-resolution pixels,
//! then mean and standard deviation over cells, one cell a patch. What makes a picture blurred or noisy is local and
//! high in frequency; the deviation within a cell keeps it where a mean alone would not.

use candle_core::{D, DType, Result, Tensor};
use serde::{Deserialize, Serialize};

use super::spectrum::{self, Spectrum};
use crate::compute::kernels::{ConvSpec, conv2d, conv2d_rounded};
use crate::ml::vlm::weights::Weights;

/// One convolution of the stem.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StemLayer {
    /// Channels out.
    pub channels: usize,
    /// Kernel height and width.
    pub kernel: usize,
    /// Step.
    pub stride: usize,
}

/// The stem's make-up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StemConfig {
    /// Convolutions, each followed by ReLU; odd kernels are padded to keep the size.
    pub layers: Vec<StemLayer>,
    /// Height and width of a cell on the last feature map.
    pub cell: usize,
    /// Side of the blocks whose frequencies a patch tells beside; without it none are told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spectrum: Option<usize>,
}

impl StemConfig {
    /// Pixels a patch: the product of all strides and the cell.
    pub fn patch_pixels(&self) -> usize {
        self.cell
            * self
                .layers
                .iter()
                .map(|layer| layer.stride)
                .product::<usize>()
    }

    /// Values a patch: those that are learned, and the strengths of its frequencies.
    pub fn patch_values(&self) -> usize {
        self.learned_values() + self.spectrum.map_or(0, spectrum::values)
    }

    /// Mean and deviation of the last convolution's channels.
    pub fn learned_values(&self) -> usize {
        2 * self.layers.last().map_or(3, |layer| layer.channels)
    }

    /// Geometry of a convolution.
    pub fn spec(&self, index: usize) -> ConvSpec {
        let StemLayer { kernel, stride, .. } = self.layers[index];
        ConvSpec {
            kernel,
            stride,
            padding: if kernel % 2 == 1 { kernel / 2 } else { 0 },
            input_gradient: index > 0,
        }
    }

    /// Channels into a convolution.
    pub fn in_channels(&self, index: usize) -> usize {
        if index == 0 {
            3
        } else {
            self.layers[index - 1].channels
        }
    }
}

/// The stem with batch norm folded into its weights.
#[derive(Debug, Clone)]
pub struct Stem {
    config: StemConfig,
    layers: Vec<(Tensor, Tensor)>,
    spectrum: Option<Spectrum>,
    convolution: Convolution,
}

/// How a stem on a CPU convolves.
pub(super) type Convolution = fn(&Tensor, &Tensor, ConvSpec) -> Result<Tensor>;

impl Stem {
    /// Loads `layers.N.weight (out, kernel * kernel * in)`, `layers.N.bias (out)` and, where it tells frequencies,
    /// `spectrum.mean` and `spectrum.scale`.
    ///
    /// # Errors
    /// Missing or wrongly shaped tensors.
    pub fn new(config: &StemConfig, weights: &Weights) -> Result<Self> {
        let layers = (0..config.layers.len())
            .map(|index| {
                let StemLayer {
                    channels, kernel, ..
                } = config.layers[index];
                let weights = weights.pp("layers").pp(index);
                Ok((
                    weights.get(
                        (channels, kernel * kernel * config.in_channels(index)),
                        "weight",
                    )?,
                    weights.get(channels, "bias")?,
                ))
            })
            .collect::<Result<_>>()?;
        let spectrum = config
            .spectrum
            .map(|block| Spectrum::new(block, &weights.pp("spectrum")))
            .transpose()?;
        Ok(Self {
            config: config.clone(),
            layers,
            spectrum,
            convolution: conv2d,
        })
    }

    /// A stem of folded weights, for feature maps: it tells no frequencies.
    pub fn from_layers(config: StemConfig, layers: Vec<(Tensor, Tensor)>) -> Self {
        Self {
            config: StemConfig {
                spectrum: None,
                ..config
            },
            layers,
            spectrum: None,
            convolution: conv2d,
        }
    }

    /// The same stem with operands rounded to 16 bits where the CPU has tiles: for training on many pictures, where
    /// speed counts and the third digit does not.
    #[must_use]
    pub fn rounded(self) -> Self {
        Self {
            convolution: conv2d_rounded,
            ..self
        }
    }

    /// Weights and biases in order.
    pub fn layers(&self) -> &[(Tensor, Tensor)] {
        &self.layers
    }

    /// `pixels (batch, height, width, 3)` in -1..1 to feature maps `(batch, height / s, width / s, channels)`.
    ///
    /// # Errors
    /// Pictures smaller than a kernel.
    pub fn feature_map(&self, pixels: &Tensor) -> Result<Tensor> {
        let mut x = pixels.contiguous()?;
        for (index, (weight, bias)) in self.layers.iter().enumerate() {
            x = convolve(&x, weight, self.config.spec(index), self.convolution)?
                .broadcast_add(bias)?
                .relu()?;
        }
        Ok(x)
    }

    /// `pixels (batch, height, width, 3)` to patches `(batch, rows, cols, values)`: mean, then deviation, of every cell,
    /// then the strengths of frequencies. Sides must be multiples of [`StemConfig::patch_pixels`].
    ///
    /// # Errors
    /// Sides that are no such multiples.
    pub fn patches(&self, pixels: &Tensor) -> Result<Tensor> {
        let map = self.feature_map(pixels)?;
        let (batch, height, width, channels) = map.dims4()?;
        let cell = self.config.cell;
        let cells = map
            .reshape((batch, height / cell, cell, width / cell, cell, channels))?
            .permute((0, 1, 3, 2, 4, 5))?
            .reshape((batch, height / cell, width / cell, cell * cell, channels))?;
        let learned = mean_and_deviation(&cells, 3)?;
        let Some(spectrum) = &self.spectrum else {
            return Ok(learned);
        };
        let strengths = spectrum.patches(pixels, self.config.patch_pixels())?;
        Tensor::cat(&[&learned, &strengths], D::Minus1)
    }
}

/// Convolution with `weight (out, kernel * kernel * in)`, on a CPU in single precision by our own kernel.
pub(super) fn convolve(
    x: &Tensor,
    weight: &Tensor,
    spec: ConvSpec,
    on_cpu: Convolution,
) -> Result<Tensor> {
    if x.device().is_cpu() && x.dtype() == DType::F32 {
        return on_cpu(x, weight, spec);
    }
    let (out, k) = (weight.dim(0)?, spec.kernel);
    let weight = weight
        .reshape((out, k, k, x.dim(D::Minus1)?))?
        .permute((0, 3, 1, 2))?
        .contiguous()?;
    let x = x.permute((0, 3, 1, 2))?.contiguous()?;
    x.conv2d(&weight, spec.padding, spec.stride, 1, 1)?
        .permute((0, 2, 3, 1))?
        .contiguous()
}

/// Mean and standard deviation over one dimension, side by side in the last.
///
/// # Errors
/// A dimension that is not there.
pub fn mean_and_deviation(x: &Tensor, dim: usize) -> Result<Tensor> {
    let mean = x.mean_keepdim(dim)?;
    let deviation = (x.broadcast_sub(&mean)?.sqr()?.mean(dim)? + 1e-5)?.sqrt()?;
    Tensor::cat(&[&mean.squeeze(dim)?, &deviation], D::Minus1)
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn patches_cover_the_picture_and_a_flat_cell_has_no_deviation() -> Result<()> {
        let config = StemConfig {
            layers: vec![StemLayer {
                channels: 3,
                kernel: 4,
                stride: 4,
            }],
            cell: 2,
            spectrum: None,
        };
        let eye: Vec<f32> = (0..3)
            .flat_map(|out| (0..48).map(move |i| if i == out { 1.0 } else { 0.0 }))
            .collect();
        let weight = Tensor::from_vec(eye, (3, 48), &Device::Cpu)?;
        let stem = Stem::from_layers(
            config,
            vec![(weight, Tensor::zeros(3, DType::F32, &Device::Cpu)?)],
        );
        let patches = stem.patches(&Tensor::full(0.5f32, (1, 16, 24, 3), &Device::Cpu)?)?;
        assert_eq!(patches.dims(), [1, 2, 3, 6]);
        let values = patches.flatten_all()?.to_vec1::<f32>()?;
        assert!((values[0] - 0.5).abs() < 1e-6 && values[3] < 4e-3);
        Ok(())
    }
}
