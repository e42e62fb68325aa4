//! Transformer encoder: post-norm layers of attention and a feed-forward part, no positional encoding.
//!
//! Names, shapes and first values are those of PyTorch's `nn.TransformerEncoder`. The published code builds it for
//! sequences first and gives it sequences second, so that every token attends to itself alone; ours attends over the
//! tokens unless that slip is asked for.
//!
//! **Source** A. Vaswani et al., arXiv 1706.03762; the documentation of PyTorch 2; strawhatboy/M3-AGIQA at 2f76702.

use candle_core::D;
use candle_core::Device;
use candle_core::Result;
use candle_core::Tensor;
use candle_nn::VarBuilder;
use candle_nn::ops::softmax;
use serde::Deserialize;
use serde::Serialize;

use super::Init;
use super::Parameter;
use super::dropout::Dropout;
use super::parameter::by_fan_in;
use super::parameter::xavier;
use crate::ml::layers::layer_norm;
use crate::ml::layers::linear;

/// Everything that fixes the shapes of an encoder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TransformerConfig {
    /// Width of the residual stream.
    pub dim: usize,
    /// Layers one on the other.
    pub num_layers: usize,
    /// Heads of the attention.
    pub num_heads: usize,
    /// Inner width of the feed-forward part.
    pub ff_dim: usize,
    /// Share of values left out while learning.
    pub dropout: f64,
    /// Every token attends to itself alone: the published slip.
    pub attends_to_itself: bool,
    /// Longest sequence.
    pub context_length: usize,
}

impl TransformerConfig {
    pub(super) fn problem(&self) -> Option<String> {
        let divides = self.num_heads > 0 && self.dim.is_multiple_of(self.num_heads);
        (!divides).then(|| {
            format!(
                "a Transformer's width divides into {} heads, {} does not",
                self.num_heads, self.dim
            )
        })
    }

    pub(super) fn parameters(&self) -> Vec<Parameter> {
        let (dim, inner) = (self.dim, self.ff_dim);
        let mut list = Vec::new();
        for layer in 0..self.num_layers {
            let mut push = |name: &str, shape: &[usize], init: Init| {
                list.push(Parameter::new(
                    format!("layers.{layer}.{name}"),
                    shape,
                    init,
                ));
            };
            push(
                "self_attn.in_proj_weight",
                &[3 * dim, dim],
                xavier(dim, 3 * dim),
            );
            push("self_attn.in_proj_bias", &[3 * dim], Init::Constant(0.0));
            push("self_attn.out_proj.weight", &[dim, dim], by_fan_in(dim));
            push("self_attn.out_proj.bias", &[dim], Init::Constant(0.0));
            push("linear1.weight", &[inner, dim], by_fan_in(dim));
            push("linear1.bias", &[inner], by_fan_in(dim));
            push("linear2.weight", &[dim, inner], by_fan_in(inner));
            push("linear2.bias", &[dim], by_fan_in(inner));
            for norm in ["norm1", "norm2"] {
                push(&format!("{norm}.weight"), &[dim], Init::Constant(1.0));
                push(&format!("{norm}.bias"), &[dim], Init::Constant(0.0));
            }
        }
        list
    }
}

/// Weights of an encoder.
#[derive(Debug, Clone)]
pub(super) struct Transformer {
    config: TransformerConfig,
    layers: Vec<Layer>,
}

/// A weight with its bias.
type Pair = (Tensor, Tensor);

#[derive(Debug, Clone)]
struct Layer {
    in_proj: Pair,
    out_proj: Pair,
    linear1: Pair,
    linear2: Pair,
    norm1: Pair,
    norm2: Pair,
}

impl Transformer {
    pub(super) fn new(config: &TransformerConfig, vb: &VarBuilder<'_>) -> Result<Self> {
        let (dim, inner) = (config.dim, config.ff_dim);
        let layer = |index: usize| -> Result<Layer> {
            let vb = vb.pp("layers").pp(index);
            let map = |name: &str, out: usize, inputs: usize| -> Result<Pair> {
                let vb = vb.pp(name);
                Ok((vb.get((out, inputs), "weight")?, vb.get(out, "bias")?))
            };
            let norm = |name: &str| -> Result<Pair> {
                let vb = vb.pp(name);
                Ok((vb.get(dim, "weight")?, vb.get(dim, "bias")?))
            };
            let attention = vb.pp("self_attn");
            Ok(Layer {
                in_proj: (
                    attention.get((3 * dim, dim), "in_proj_weight")?,
                    attention.get(3 * dim, "in_proj_bias")?,
                ),
                out_proj: map("self_attn.out_proj", dim, dim)?,
                linear1: map("linear1", inner, dim)?,
                linear2: map("linear2", dim, inner)?,
                norm1: norm("norm1")?,
                norm2: norm("norm2")?,
            })
        };
        let layers = (0..config.num_layers).map(layer).collect::<Result<_>>()?;
        Ok(Self {
            config: config.clone(),
            layers,
        })
    }

    /// `(batch, seq, dim)` to the same shape; no token sees what lies behind its sequence.
    pub(super) fn forward(
        &self,
        x: &Tensor,
        lengths: &[usize],
        dropout: &Dropout,
    ) -> Result<Tensor> {
        let mask = match self.config.attends_to_itself {
            true => None,
            false => Some(padding_mask(x, lengths)?),
        };
        let rate = self.config.dropout;
        let mut x = x.clone();
        for layer in &self.layers {
            let seen = self.attend(layer, &x, mask.as_ref(), dropout)?;
            let (weight, bias) = &layer.norm1;
            x = layer_norm(&(&x + dropout.apply(&seen, rate)?)?, weight, bias)?;
            let inner = linear(&x, &layer.linear1.0, Some(&layer.linear1.1))?.relu()?;
            let inner = dropout.apply(&inner, rate)?;
            let out = linear(&inner, &layer.linear2.0, Some(&layer.linear2.1))?;
            let (weight, bias) = &layer.norm2;
            x = layer_norm(&(&x + dropout.apply(&out, rate)?)?, weight, bias)?;
        }
        Ok(x)
    }

    fn attend(
        &self,
        layer: &Layer,
        x: &Tensor,
        mask: Option<&Tensor>,
        dropout: &Dropout,
    ) -> Result<Tensor> {
        let (batch, seq, dim) = x.dims3()?;
        let TransformerConfig {
            num_heads,
            dropout: rate,
            ..
        } = self.config;
        let width = dim / num_heads;
        let qkv = linear(x, &layer.in_proj.0, Some(&layer.in_proj.1))?
            .reshape((batch, seq, 3, num_heads, width))?
            .permute((2, 0, 3, 1, 4))?
            .contiguous()?;
        // (batch, heads, seq, width)
        let (q, k, v) = (qkv.get(0)?, qkv.get(1)?, qkv.get(2)?);
        let seen = if let Some(mask) = mask {
            let scores = (q * (1.0 / (width as f64).sqrt()))?.matmul(&k.t()?)?;
            let weights = softmax(&scores.broadcast_add(mask)?, D::Minus1)?;
            dropout.apply(&weights, rate)?.matmul(&v)?
        } else {
            // The only weight is 1, which dropout may still leave out.
            let weights = v.narrow(D::Minus1, 0, 1)?.ones_like()?;
            v.broadcast_mul(&dropout.apply(&weights, rate)?)?
        };
        let merged = seen.transpose(1, 2)?.reshape((batch, seq, dim))?;
        linear(&merged, &layer.out_proj.0, Some(&layer.out_proj.1))
    }
}

/// `(batch, 1, 1, seq)`: 0 on tokens, on padding so low that nothing is left of it.
fn padding_mask(x: &Tensor, lengths: &[usize]) -> Result<Tensor> {
    let (batch, seq, _) = x.dims3()?;
    let mut mask = vec![0.0_f64; batch * seq];
    for (row, &length) in mask.chunks_mut(seq.max(1)).zip(lengths) {
        row[length..].fill(-1e9);
    }
    Tensor::from_vec(mask, (batch, 1, 1, seq), &Device::Cpu)?.to_dtype(x.dtype())
}
