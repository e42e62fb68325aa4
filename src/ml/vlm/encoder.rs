//! A pre-norm layer of a vision transformer (Dosovitskiy et al. 2021), which SigLIP and CLIP share but for their
//! activation.

use candle_core::{Result, Tensor};

use super::ops::{LayerNorm, Linear, Mode, attention, merge_heads, split_heads};
use super::weights::Weights;

/// Sizes of a layer.
#[derive(Debug, Clone, Copy)]
pub(super) struct EncoderSizes {
    /// Width of the residual stream.
    pub(super) width: usize,
    /// Width between the two products of the feed-forward part.
    pub(super) inner: usize,
    /// Attention heads.
    pub(super) heads: usize,
    /// Added to the variance in the norms.
    pub(super) eps: f64,
}

/// Weights of one layer.
pub(super) struct EncoderLayer {
    heads: usize,
    layer_norm1: LayerNorm,
    q_proj: Linear,
    k_proj: Linear,
    v_proj: Linear,
    out_proj: Linear,
    layer_norm2: LayerNorm,
    fc1: Linear,
    fc2: Linear,
}

impl EncoderLayer {
    /// Loads `self_attn.*`, `layer_norm{1,2}.*` and `mlp.fc{1,2}.*`.
    pub(super) fn new(sizes: EncoderSizes, weights: &Weights) -> Result<Self> {
        let EncoderSizes {
            width,
            inner,
            heads,
            eps,
        } = sizes;
        let attn = weights.pp("self_attn");
        let square = |name: &str| Linear::with_bias(width, width, &attn.pp(name));
        let norm = |name: &str| LayerNorm::new(width, eps, &weights.pp(name));
        Ok(Self {
            heads,
            layer_norm1: norm("layer_norm1")?,
            q_proj: square("q_proj")?,
            k_proj: square("k_proj")?,
            v_proj: square("v_proj")?,
            out_proj: square("out_proj")?,
            layer_norm2: norm("layer_norm2")?,
            fc1: Linear::with_bias(inner, width, &weights.pp("mlp").pp("fc1"))?,
            fc2: Linear::with_bias(width, inner, &weights.pp("mlp").pp("fc2"))?,
        })
    }

    /// `(batch, patches, width)` to the same shape.
    pub(super) fn forward(
        &self,
        mode: Mode,
        x: &Tensor,
        activation: impl Fn(&Tensor) -> Result<Tensor>,
    ) -> Result<Tensor> {
        let x = (self.attend(mode, &self.layer_norm1.forward(mode, x)?)? + x)?;
        let inner = self.fc1.forward(&self.layer_norm2.forward(mode, &x)?)?;
        self.fc2.forward(&activation(&inner)?)? + x
    }

    fn attend(&self, mode: Mode, x: &Tensor) -> Result<Tensor> {
        let [q, k, v] = [&self.q_proj, &self.k_proj, &self.v_proj]
            .map(|p| split_heads(&p.forward(x)?, self.heads));
        self.out_proj
            .forward(&merge_heads(&attention(mode, &q?, &k?, &v?)?)?)
    }
}
