//! Mamba2 layers one on the other, without residual ways between them, as the published predictor stacks them.
//!
//! The published code applies one layer's weights four times; ours has four layers unless that slip is asked for.
//!
//! **Source** T. Dao, A. Gu, "Transformers are SSMs", arXiv 2405.21060; package `mamba-ssm` 2.2.2 (names, first values);
//! strawhatboy/M3-AGIQA at 2f76702.

mod ssd;

use candle_core::Result;
use candle_core::Tensor;
use candle_nn::VarBuilder;
use serde::Deserialize;
use serde::Serialize;

use super::Init;
use super::Parameter;
use super::parameter::by_fan_in;
use crate::ml::layers::causal_conv_silu;
use crate::ml::layers::linear;
use crate::ml::layers::rms_norm;
use crate::ml::layers::softplus;

/// Everything that fixes the shapes of a stack of Mamba2 layers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Mamba2Config {
    /// Width of input and output.
    pub dim: usize,
    /// Times that a layer is applied.
    pub num_layers: usize,
    /// Size of a channel's state.
    pub state: usize,
    /// Inner width by `dim`.
    pub expand: usize,
    /// Channels of a head.
    pub head_dim: usize,
    /// Taps of the causal convolution.
    pub conv_kernel: usize,
    /// One set of weights for every layer: the published slip.
    pub shares_weights: bool,
    /// Longest sequence.
    pub context_length: usize,
}

impl Mamba2Config {
    /// Inner width.
    pub const fn inner(&self) -> usize {
        self.expand * self.dim
    }

    const fn heads(&self) -> usize {
        self.inner() / self.head_dim
    }

    /// Channels of the convolution: inner values, B and C.
    const fn convolved(&self) -> usize {
        self.inner() + 2 * self.state
    }

    pub(super) fn problem(&self) -> Option<String> {
        let divides = self.head_dim > 0 && self.inner().is_multiple_of(self.head_dim);
        (!divides || self.state == 0 || self.conv_kernel == 0).then(|| {
            let (inner, head) = (self.inner(), self.head_dim);
            format!("Mamba2's inner width {inner} divides into heads of {head}, its state and taps are at least 1")
        })
    }

    pub(super) fn parameters(&self) -> Vec<Parameter> {
        let (dim, inner, heads) = (self.dim, self.inner(), self.heads());
        let mut list = Vec::new();
        let sets = if self.shares_weights {
            1
        } else {
            self.num_layers
        };
        for layer in 0..sets {
            let mut push = |name: &str, shape: &[usize], init: Init| {
                list.push(Parameter::new(format!("{layer}.{name}"), shape, init));
            };
            push("dt_bias", &[heads], Init::InverseSoftplus(1e-3, 0.1));
            push("A_log", &[heads], Init::LogOfUniform(1.0, 16.0));
            push("D", &[heads], Init::Constant(1.0));
            let rows = inner + self.convolved() + heads;
            push("in_proj.weight", &[rows, dim], by_fan_in(dim));
            let (channels, taps) = (self.convolved(), self.conv_kernel);
            push("conv1d.weight", &[channels, 1, taps], by_fan_in(taps));
            push("conv1d.bias", &[channels], by_fan_in(taps));
            push("norm.weight", &[inner], Init::Constant(1.0));
            push("out_proj.weight", &[dim, inner], by_fan_in(inner));
        }
        list
    }
}

/// Weights of a stack.
#[derive(Debug, Clone)]
pub(super) struct Mamba2 {
    layers: Vec<Layer>,
}

#[derive(Debug, Clone)]
struct Layer {
    in_proj: Tensor,
    conv: (Tensor, Tensor),
    dt_bias: Tensor,
    a_log: Tensor,
    d: Tensor,
    norm: Tensor,
    out_proj: Tensor,
    inner: usize,
    state: usize,
}

impl Mamba2 {
    pub(super) fn new(config: &Mamba2Config, vb: &VarBuilder<'_>) -> Result<Self> {
        let (dim, inner, heads) = (config.dim, config.inner(), config.heads());
        let convolved = config.convolved();
        let layer = |layer: usize| -> Result<Layer> {
            let vb = vb.pp(if config.shares_weights { 0 } else { layer });
            Ok(Layer {
                in_proj: vb.get((inner + convolved + heads, dim), "in_proj.weight")?,
                conv: (
                    vb.get((convolved, 1, config.conv_kernel), "conv1d.weight")?,
                    vb.get(convolved, "conv1d.bias")?,
                ),
                dt_bias: vb.get(heads, "dt_bias")?,
                a_log: vb.get(heads, "A_log")?,
                d: vb.get(heads, "D")?,
                norm: vb.get(inner, "norm.weight")?,
                out_proj: vb.get((dim, inner), "out_proj.weight")?,
                inner,
                state: config.state,
            })
        };
        let layers = (0..config.num_layers).map(layer).collect::<Result<_>>()?;
        Ok(Self { layers })
    }

    /// `(batch, seq, dim)` to the same shape; causal.
    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let mut x = x.clone();
        for layer in &self.layers {
            x = layer.forward(&x)?;
        }
        Ok(x)
    }
}

impl Layer {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let heads = self.d.dim(0)?;
        // The parts of the weight apart, so that each result is contiguous: z, then x with B and C, then dt.
        let part = |start: usize, len: usize| linear(x, &self.in_proj.narrow(0, start, len)?, None);
        let z = part(0, self.inner)?;
        let xbc = part(self.inner, self.inner + 2 * self.state)?;
        let dt = part(2 * self.inner + 2 * self.state, heads)?.broadcast_add(&self.dt_bias)?;
        let xbc = causal_conv_silu(&xbc, &self.conv.0, &self.conv.1)?;
        let a = self.a_log.exp()?.neg()?;
        let y = ssd::ssd(
            &xbc,
            &softplus(&dt)?,
            &Tensor::stack(&[&a, &self.d], 0)?,
            self.state,
        )?;
        let y = rms_norm(&(y * z.silu()?)?, &self.norm)?;
        linear(&y, &self.out_proj, None)
    }
}
