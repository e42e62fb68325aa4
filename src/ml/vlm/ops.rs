//! The few operations that candle has in two forms, fused without gradient and plain with one, or only in a slow or a
//! coarse one.
//!
//! candle's fused softmax, norms and rotary embedding lose the gradient without an error, so a model that is to be
//! trained must never call them where something trained leads to them. Every model here asks this switch instead.

use candle_core::{D, DType, Result, Tensor, bail};

use super::fused;
use super::weights::{Matrix, Weights};
use crate::compute::kernels;
use crate::ml::layers;

/// Which form the operations take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Fused operations: fast, no gradient.
    Inference,
    /// The same results, every one with a way back.
    Training,
}

/// Whether operations of our own that have a way back can be taken: they are for the CPU. They are one form for both modes,
/// so that a layer that is computed again for its gradient is the same to the last bit.
pub(super) fn is_ours(x: &Tensor) -> bool {
    x.device().is_cpu() && x.dtype() == DType::F32
}

impl Mode {
    /// The form for these operands: where none of them leads back to anything trained, no gradient is lost.
    fn of(self, operands: &[&Tensor]) -> Self {
        match operands.iter().any(|operand| operand.track_op()) {
            true => self,
            false => Self::Inference,
        }
    }

    /// Softmax over the last dimension.
    ///
    /// # Errors
    /// Failed tensor operations.
    pub fn softmax(self, x: &Tensor) -> Result<Tensor> {
        match self.of(&[x]) {
            Self::Inference => candle_nn::ops::softmax_last_dim(&x.contiguous()?),
            Self::Training => fused::softmax(x),
        }
    }

    /// Root-mean-square norm over the last dimension, computed in f32.
    ///
    /// # Errors
    /// Failed tensor operations.
    pub fn rms_norm(self, x: &Tensor, weight: &Tensor, eps: f64) -> Result<Tensor> {
        match self.of(&[x, weight]) {
            _ if is_ours(x) => layers::rms_norm_eps(x, weight, eps),
            Self::Inference => candle_nn::ops::rms_norm(&x.contiguous()?, weight, eps as f32),
            Self::Training => fused::rms_norm(x, weight, eps),
        }
    }

    /// Layer norm over the last dimension.
    ///
    /// # Errors
    /// Failed tensor operations.
    pub fn layer_norm(
        self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        eps: f64,
    ) -> Result<Tensor> {
        match self.of(&[x, weight, bias]) {
            _ if is_ours(x) => layers::layer_norm_eps(x, weight, bias, eps),
            Self::Inference => {
                candle_nn::ops::layer_norm(&x.contiguous()?, weight, bias, eps as f32)
            }
            Self::Training => fused::layer_norm(x, weight, bias, eps),
        }
    }

    /// Rotary position embedding of `x (batch, heads, seq, head_dim)` in the half-split form of Llama; `cos` and `sin`
    /// are `(seq, head_dim / 2)`.
    ///
    /// # Errors
    /// Failed tensor operations.
    pub fn rope(self, x: &Tensor, cos: &Tensor, sin: &Tensor) -> Result<Tensor> {
        match self.of(&[x]) {
            Self::Inference => candle_nn::rotary_emb::rope(&x.contiguous()?, cos, sin),
            Self::Training => fused::rope(x, cos, sin),
        }
    }
}

/// `silu(gate) * up`, with a way back on every device.
///
/// # Errors
/// Failed tensor operations.
pub fn silu_times(gate: &Tensor, up: &Tensor) -> Result<Tensor> {
    match is_ours(gate) {
        true => layers::silu_times(gate, up),
        false => fused::silu_times(gate, up),
    }
}

/// GELU by its hyperbolic tangent, with a way back on every device.
///
/// # Errors
/// Failed tensor operations.
pub fn gelu(x: &Tensor) -> Result<Tensor> {
    match is_ours(x) {
        true => layers::gelu(x),
        false => fused::gelu(x),
    }
}

/// `x * sigmoid(1.702 x)`, likewise.
///
/// # Errors
/// Failed tensor operations.
pub fn quick_gelu(x: &Tensor) -> Result<Tensor> {
    match is_ours(x) {
        true => layers::quick_gelu(x),
        false => fused::quick_gelu(x),
    }
}

/// `x (.., width)` plus a bias, likewise.
///
/// # Errors
/// Failed tensor operations.
pub fn add_bias(x: &Tensor, bias: &Tensor) -> Result<Tensor> {
    match x.device().is_cpu() {
        true => layers::add_bias(x, bias),
        false => fused::add_bias(x, bias),
    }
}

/// `softmax(q k^T / sqrt(head_dim)) v` for `(batch, heads, seq, head_dim)` operands.
///
/// # Errors
/// Shapes that do not fit.
pub fn attention(mode: Mode, q: &Tensor, k: &Tensor, v: &Tensor) -> Result<Tensor> {
    if is_ours(q) {
        let [q, k, v] = [q.contiguous()?, k.contiguous()?, v.contiguous()?];
        return kernels::attention(&q, &k, &v, kernels::Sees::All);
    }
    let scale = (q.dim(D::Minus1)? as f64).sqrt().recip();
    let k = k.transpose(2, 3)?.contiguous()?;
    let scores = (q.contiguous()? * scale)?.matmul(&k)?;
    mode.softmax(&scores)?.matmul(&v.contiguous()?)
}

/// What a token does not see.
#[derive(Debug, Clone, Copy)]
pub enum Mask<'a> {
    /// It sees all.
    None,
    /// What is behind it; for tensors that [`crate::compute::gpu::has_kernels`] is true of.
    Before,
    /// What this takes away, `(rows or 1, 1, seq, keys)`, by numbers that are added to scores.
    Added(&'a Tensor),
}

/// The same where `q (rows, heads, seq, head_dim)` has more heads than `k` and `v (rows, kv_heads, keys, head_dim)`:
/// neighbouring query heads share a key head. Keys and values are read where they lie, never repeated.
///
/// # Errors
/// Shapes that do not fit.
pub fn grouped_attention(
    mode: Mode,
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    mask: Mask<'_>,
) -> Result<Tensor> {
    let (rows, heads, seq, width) = q.dims4()?;
    let (kv_heads, keys) = (k.dim(1)?, k.dim(2)?);
    let shared = (rows, kv_heads, heads / kv_heads * seq, width);
    // 1. scores: (rows, kv_heads, group * seq, keys)
    let scale = (width as f64).sqrt().recip();
    let scores = (q.reshape(shared)? * scale)?.matmul(&k.transpose(2, 3)?)?;
    // 2. The mask is every head's: (rows or 1, 1, seq, keys)
    let probs = match mask {
        Mask::Before => match fused::softmax_causal(&scores, seq) {
            Some(probs) => probs?,
            None => bail!("a mask is needed where no kernel does without"),
        },
        Mask::Added(mask) => {
            let scores = scores.reshape((rows, heads, seq, keys))?;
            let probs = mode.softmax(&scores.broadcast_add(mask)?)?;
            probs.reshape((rows, kv_heads, heads / kv_heads * seq, keys))?
        }
        Mask::None => mode.softmax(&scores)?,
    };
    // 3. (rows, kv_heads, group * seq, head_dim) -> (rows, heads, seq, head_dim)
    probs.matmul(v)?.reshape((rows, heads, seq, width))
}

/// `x (batch, seq, heads * head_dim)` to `(batch, heads, seq, head_dim)`.
///
/// # Errors
/// A width that the heads do not divide.
pub fn split_heads(x: &Tensor, heads: usize) -> Result<Tensor> {
    let (batch, seq, width) = x.dims3()?;
    x.reshape((batch, seq, heads, width / heads))?
        .transpose(1, 2)
}

/// The inverse of [`split_heads`].
///
/// # Errors
/// Failed tensor operations.
pub fn merge_heads(x: &Tensor) -> Result<Tensor> {
    let (batch, heads, seq, width) = x.dims4()?;
    x.transpose(1, 2)?.reshape((batch, seq, heads * width))
}

/// A matrix `(out, in)` with or without a bias: the one form in which layers hold their weights.
pub struct Linear {
    weight: Matrix,
    bias: Option<Tensor>,
}

impl Linear {
    /// Of a matrix at hand.
    pub const fn of(weight: Matrix, bias: Option<Tensor>) -> Self {
        Self { weight, bias }
    }

    /// Loads `weight`.
    ///
    /// # Errors
    /// A missing or wrongly shaped tensor.
    pub fn new(out: usize, width: usize, weights: &Weights) -> Result<Self> {
        Ok(Self::of(weights.matrix((out, width), "weight")?, None))
    }

    /// Loads `weight` and `bias`.
    ///
    /// # Errors
    /// Missing or wrongly shaped tensors.
    pub fn with_bias(out: usize, width: usize, weights: &Weights) -> Result<Self> {
        let bias = weights.get(out, "bias")?;
        Ok(Self::of(
            weights.matrix((out, width), "weight")?,
            Some(bias),
        ))
    }

    /// `x (batch, seq, in)` to `(batch, seq, out)`.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let Some(bias) = &self.bias else {
            return self.weight.forward(x);
        };
        let rows = x.elem_count() / x.dim(D::Minus1)?.max(1);
        match self.weight.single_on_cpu() {
            Some(weight) if rows > kernels::FEW => layers::linear(x, &weight, Some(bias)),
            _ => add_bias(&self.weight.forward(x)?, bias),
        }
    }

    /// The matrix in single precision.
    ///
    /// # Errors
    /// Failed tensor operations.
    pub fn weight(&self) -> Result<Tensor> {
        self.weight.to_f32()
    }
}

/// Weight and bias of a layer norm.
pub struct LayerNorm {
    weight: Tensor,
    bias: Tensor,
    eps: f64,
}

impl LayerNorm {
    /// Loads `weight` and `bias`.
    ///
    /// # Errors
    /// Missing or wrongly shaped tensors.
    pub fn new(width: usize, eps: f64, weights: &Weights) -> Result<Self> {
        Ok(Self {
            weight: weights.get(width, "weight")?,
            bias: weights.get(width, "bias")?,
            eps,
        })
    }

    /// Over the last dimension.
    ///
    /// # Errors
    /// Failed tensor operations.
    pub fn forward(&self, mode: Mode, x: &Tensor) -> Result<Tensor> {
        mode.layer_norm(x, &self.weight, &self.bias, self.eps)
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn our_attention_equals_the_plain_one() -> Result<()> {
        let values = |seq: usize| Tensor::randn(0f32, 1.0, (2, 3, seq, 8), &Device::Cpu);
        let (q, k, v) = (values(200)?, values(90)?, values(90)?);
        let ours = attention(Mode::Inference, &q, &k, &v)?.to_dtype(DType::F64)?;
        // Double precision goes the plain way.
        let [q, k, v] = [q, k, v].map(|x| x.to_dtype(DType::F64));
        let plain = attention(Mode::Inference, &q?, &k?, &v?)?;
        let apart = (ours - plain)?.abs()?.max_all()?.to_scalar::<f64>()?;
        assert!(apart < 1e-5, "{apart}");
        Ok(())
    }
}
