//! Convolutions with batch norm, in their trainable form: what the stem and its overview learn with.

use candle_core::{DType, Device, Result, Tensor, Var};
use rand::Rng as _;
use rand_chacha::ChaCha8Rng;

use crate::compute::kernels::{batch_norm_relu, channel_moments, conv2d, conv2d_rounded};
use crate::ml::vlm::minicpm_v::stem::{Stem, StemConfig};

/// A stem that learns: every convolution is followed by batch norm (Ioffe and Szegedy 2015) and ReLU.
pub(super) struct Trunk {
    config: StemConfig,
    weights: Vec<Var>,
    scales: Vec<Var>,
    shifts: Vec<Var>,
}

impl Trunk {
    /// Normal weights (He et al. 2015), scales 1, shifts 0.
    pub(super) fn new(config: &StemConfig, rng: &mut ChaCha8Rng) -> Result<Self> {
        let (mut weights, mut scales, mut shifts) = (Vec::new(), Vec::new(), Vec::new());
        for (index, layer) in config.layers.iter().enumerate() {
            let fan_in = layer.kernel * layer.kernel * config.in_channels(index);
            let deviation = (2.0 / fan_in as f64).sqrt();
            weights.push(normal((layer.channels, fan_in), deviation, rng)?);
            scales.push(Var::ones(layer.channels, DType::F32, &Device::Cpu)?);
            shifts.push(Var::zeros(layer.channels, DType::F32, &Device::Cpu)?);
        }
        Ok(Self {
            config: config.clone(),
            weights,
            scales,
            shifts,
        })
    }

    /// All that is trained, in a fixed order.
    pub(super) fn trained(&self) -> impl Iterator<Item = &Var> {
        let weights = self.weights.iter().chain(&self.scales);
        weights.chain(&self.shifts)
    }

    /// `pixels (batch, height, width, 3)` to the last feature map, with batch statistics.
    pub(super) fn forward(&self, pixels: &Tensor) -> Result<Tensor> {
        let mut x = pixels.clone();
        for (index, weight) in self.weights.iter().enumerate() {
            let y = conv2d_rounded(&x, weight, self.config.spec(index))?;
            x = batch_norm_relu(&y, &self.scales[index], &self.shifts[index])?;
        }
        Ok(x)
    }

    /// Folds batch norm into weights and biases, with statistics of `pixels` gathered layer by layer.
    pub(super) fn fold(&self, pixels: &Tensor) -> Result<Stem> {
        let mut layers = Vec::new();
        let mut x = pixels.clone();
        for (index, weight) in self.weights.iter().enumerate() {
            let y = conv2d(&x, weight, self.config.spec(index))?.detach();
            let (mean, var) = channel_moments(&y)?;
            let (scale, shift) = (
                self.scales[index].to_vec1::<f32>()?,
                self.shifts[index].to_vec1::<f32>()?,
            );
            let factor: Vec<f32> = scale
                .iter()
                .zip(&var)
                .map(|(s, v)| s / (v + 1e-5).sqrt())
                .collect();
            let bias: Vec<f32> = (0..factor.len())
                .map(|c| shift[c] - mean[c] * factor[c])
                .collect();
            let factor = Tensor::from_vec(factor, mean.len(), &Device::Cpu)?;
            let bias = Tensor::from_vec(bias, mean.len(), &Device::Cpu)?;
            layers.push((
                weight.broadcast_mul(&factor.unsqueeze(1)?)?.detach(),
                bias.clone(),
            ));
            x = y.broadcast_mul(&factor)?.broadcast_add(&bias)?.relu()?;
        }
        Ok(Stem::from_layers(self.config.clone(), layers))
    }
}

/// Normal numbers of mean 0 in a matrix.
pub(super) fn normal(shape: (usize, usize), deviation: f64, rng: &mut ChaCha8Rng) -> Result<Var> {
    let values: Vec<f32> = (0..shape.0 * shape.1)
        .map(|_| (gaussian(rng) * deviation) as f32)
        .collect();
    Var::from_vec(values, shape, &Device::Cpu)
}

/// A standard normal number (Box and Muller 1958).
pub(super) fn gaussian(rng: &mut ChaCha8Rng) -> f64 {
    let radius = (-2.0 * (1.0 - rng.random::<f64>()).ln()).sqrt();
    radius * (std::f64::consts::TAU * rng.random::<f64>()).cos()
}
