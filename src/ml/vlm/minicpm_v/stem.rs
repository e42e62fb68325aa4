//! A small convolutional stem in place of SigLIP's patch embedding, for models trained from nothing on little data.
//!
//! A deviation from MiniCPM-V-2.5, chosen by `vision_config.stem`: a few convolutions on native-resolution pixels,
//! then mean and standard deviation over cells, one cell a patch. What makes a picture blurred or noisy is local and
//! high in frequency; the deviation within a cell keeps it where a mean alone would not. What makes a shape unnatural is
//! wide: an overview of the picture, made smaller, may tell it of every patch beside.

use candle_core::{D, DType, Result, Tensor, bail};
use serde::{Deserialize, Serialize};

use super::spectrum::{self, Spectrum};
use crate::compute::kernels::{ConvSpec, conv2d, conv2d_rounded, means_of_squares};
use crate::compute::real::with_values;
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
    /// What a smaller picture tells of every patch beside; without it nothing is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overview: Option<OverviewConfig>,
}

/// Convolutions on a picture made smaller, whose cells are the stem's patches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OverviewConfig {
    /// Pixels, across and down, that become one: their mean.
    pub reduce: usize,
    /// Convolutions, each followed by ReLU; odd kernels are padded to keep the size.
    pub layers: Vec<StemLayer>,
    /// Height and width of a cell on the last feature map.
    pub cell: usize,
}

impl OverviewConfig {
    /// The stem that sees the smaller picture.
    pub fn stem(&self) -> StemConfig {
        StemConfig {
            layers: self.layers.clone(),
            cell: self.cell,
            spectrum: None,
            overview: None,
        }
    }
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

    /// Values a patch: those that are learned, the strengths of its frequencies, and what the overview tells of it.
    pub fn patch_values(&self) -> usize {
        let overview = self.overview.as_ref();
        self.learned_values()
            + self.spectrum.map_or(0, spectrum::values)
            + overview.map_or(0, |overview| overview.stem().learned_values())
    }

    /// Mean and deviation of the last convolution's channels; a cell of one pixel has no deviation.
    pub fn learned_values(&self) -> usize {
        let channels = self.layers.last().map_or(3, |layer| layer.channels);
        if self.cell == 1 {
            channels
        } else {
            2 * channels
        }
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
    overview: Option<Overview>,
    convolution: Convolution,
}

/// The stem of the smaller picture.
#[derive(Debug, Clone)]
struct Overview {
    reduce: usize,
    stem: Box<Stem>,
}

impl Overview {
    fn new(config: &OverviewConfig, weights: &Weights) -> Result<Self> {
        Ok(Self {
            reduce: config.reduce,
            stem: Box::new(Stem::new(&config.stem(), weights)?),
        })
    }

    /// What it tells of the patches of `pixels (batch, height, width, 3)`.
    fn patches(&self, pixels: &Tensor) -> Result<Tensor> {
        self.stem.patches(&reduced(pixels, self.reduce)?)
    }
}

/// Means of squares of `by` pixels: `(batch, height, width, channels)` to `(batch, height / by, width / by, channels)`.
///
/// # Errors
/// Sides that are no multiples.
pub fn reduced(pixels: &Tensor, by: usize) -> Result<Tensor> {
    let (batch, height, width, channels) = pixels.dims4()?;
    let (rows, cols) = (height / by, width / by);
    if (rows * by, cols * by) != (height, width) {
        bail!("{width} x {height} pixels are not cut into whole squares of {by}")
    }
    let shape = (batch, rows, cols, channels);
    if pixels.device().is_cpu() && pixels.dtype() == DType::F32 {
        let means = with_values([&pixels.contiguous()?], |[pixels]: [&[f32]; 1]| {
            Ok(means_of_squares(pixels, [width, channels], by))
        })?;
        return Tensor::from_vec(means, shape, pixels.device());
    }
    let of_rows = pixels
        .reshape((batch * rows, by, width * channels))?
        .mean(1)?;
    of_rows
        .reshape((batch * rows * cols, by, channels))?
        .mean(1)?
        .reshape(shape)
}

/// How a stem on a CPU convolves.
pub(super) type Convolution = fn(&Tensor, &Tensor, ConvSpec) -> Result<Tensor>;

impl Stem {
    /// Loads `layers.N.weight (out, kernel * kernel * in)`, `layers.N.bias (out)`, where it tells frequencies
    /// `spectrum.mean` and `spectrum.scale`, and where there is an overview `overview.layers.N`.
    ///
    /// # Errors
    /// Missing or wrongly shaped tensors; an overview whose patches are of another size.
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
        let overview = config.overview.as_ref();
        let overview = overview.map(|overview| {
            let own = overview.reduce * overview.stem().patch_pixels();
            if own != config.patch_pixels() {
                let patch = config.patch_pixels();
                bail!("the overview has patches of {own} pixels, the stem of {patch}")
            }
            Overview::new(overview, &weights.pp("overview"))
        });
        Ok(Self {
            config: config.clone(),
            layers,
            spectrum,
            overview: overview.transpose()?,
            convolution: conv2d,
        })
    }

    /// A stem of folded weights, for feature maps: it tells no frequencies and has no overview.
    pub fn from_layers(config: StemConfig, layers: Vec<(Tensor, Tensor)>) -> Self {
        Self {
            config: StemConfig {
                spectrum: None,
                overview: None,
                ..config
            },
            layers,
            spectrum: None,
            overview: None,
            convolution: conv2d,
        }
    }

    /// The same stem with operands rounded to 16 bits where the CPU has tiles: for training on many pictures, where
    /// speed counts and the third digit does not.
    #[must_use]
    pub fn rounded(self) -> Self {
        let overview = self.overview.map(|overview| Overview {
            stem: Box::new(overview.stem.rounded()),
            ..overview
        });
        Self {
            convolution: conv2d_rounded,
            overview,
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
    /// then the strengths of frequencies, then what the overview tells. Sides must be multiples of
    /// [`StemConfig::patch_pixels`].
    ///
    /// # Errors
    /// Sides that are no such multiples.
    pub fn patches(&self, pixels: &Tensor) -> Result<Tensor> {
        let map = self.feature_map(pixels)?;
        let mut told = vec![cells(&map, self.config.cell)?];
        if let Some(spectrum) = &self.spectrum {
            told.push(spectrum.patches(pixels, self.config.patch_pixels())?);
        }
        if let Some(overview) = &self.overview {
            told.push(overview.patches(pixels)?);
        }
        Tensor::cat(&told, D::Minus1)
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

/// Mean, then deviation, over the cells of feature maps `(batch, height, width, channels)`: `(batch, height / cell,
/// width / cell, 2 * channels)`. Cells of one pixel are the map itself.
///
/// # Errors
/// Sides that are no multiples of a cell's.
pub fn cells(map: &Tensor, cell: usize) -> Result<Tensor> {
    if cell == 1 {
        return Ok(map.clone());
    }
    let (batch, height, width, channels) = map.dims4()?;
    let (rows, cols) = (height / cell, width / cell);
    let cells = map
        .reshape((batch, rows, cell, cols, cell, channels))?
        .permute((0, 1, 3, 2, 4, 5))?
        .reshape((batch, rows, cols, cell * cell, channels))?;
    mean_and_deviation(&cells, 3)
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
            overview: None,
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

    #[test]
    fn a_reduced_picture_is_made_of_means_of_squares() -> Result<()> {
        // Value of a pixel: 10 times its row, its column, and a tenth for the second channel.
        let value = |i: usize| (10 * (i / 12) + i % 12 / 2) as f32 + 0.1 * (i % 2) as f32;
        let values: Vec<f32> = (0..4 * 6 * 2).map(value).collect();
        let pixels = Tensor::from_vec(values, (1, 4, 6, 2), &Device::Cpu)?;
        let small = reduced(&pixels, 2)?;
        assert_eq!(small.dims(), [1, 2, 3, 2]);
        let means = small.flatten_all()?.to_vec1::<f32>()?;
        let expected = [
            5.5, 5.6, 7.5, 7.6, 9.5, 9.6, 25.5, 25.6, 27.5, 27.6, 29.5, 29.6,
        ];
        let apart = means.iter().zip(expected).map(|(a, b)| (a - b).abs());
        assert!(apart.fold(0.0, f32::max) < 1e-5, "{means:?}");
        Ok(())
    }

    #[test]
    fn an_overview_tells_of_every_patch_what_is_at_its_place() -> Result<()> {
        let layer = |kernel, stride| StemLayer {
            channels: 3,
            kernel,
            stride,
        };
        let config = StemConfig {
            layers: vec![layer(4, 4)],
            cell: 2,
            spectrum: None,
            overview: Some(OverviewConfig {
                reduce: 4,
                layers: vec![layer(1, 1)],
                cell: 2,
            }),
        };
        assert_eq!((config.patch_pixels(), config.patch_values()), (8, 12));
        let eye = Tensor::eye(3, DType::F32, &Device::Cpu)?;
        let tensors = [
            (
                "layers.0.weight",
                Tensor::zeros((3, 48), DType::F32, &Device::Cpu)?,
            ),
            ("layers.0.bias", Tensor::zeros(3, DType::F32, &Device::Cpu)?),
            ("overview.layers.0.weight", eye),
            (
                "overview.layers.0.bias",
                Tensor::zeros(3, DType::F32, &Device::Cpu)?,
            ),
        ];
        let tensors = tensors.map(|(name, tensor)| (name.to_owned(), tensor));
        let stem = Stem::new(&config, &Weights::from_tensors(tensors.into()))?;
        // Patches of one grey each, the left one darker.
        let grey = |i: usize| if i / 3 % 16 < 8 { 0.25 } else { 0.75 };
        let values: Vec<f32> = (0..8 * 16 * 3).map(grey).collect();
        let pixels = Tensor::from_vec(values, (1, 8, 16, 3), &Device::Cpu)?;
        let patches = stem
            .patches(&pixels)?
            .squeeze(0)?
            .squeeze(0)?
            .to_vec2::<f32>()?;
        assert!((patches[0][6] - 0.25).abs() < 1e-6 && (patches[1][6] - 0.75).abs() < 1e-6);
        Ok(())
    }
}
