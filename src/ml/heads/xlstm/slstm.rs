//! The sLSTM layer: causal convolution, four gates by head, the recurrence, its norm.

use candle_core::Result;
use candle_core::Tensor;
use candle_nn::VarBuilder;

use super::XlstmConfig;
use super::slstm_cell::slstm_cell;
use crate::ml::layers::causal_conv_silu;
use crate::ml::layers::headwise_linear;
use crate::ml::layers::linear;
use crate::ml::layers::residual_group_norm;

/// Weights of one sLSTM layer.
#[derive(Debug, Clone)]
pub(super) struct SlstmLayer {
    conv_weight: Tensor,
    conv_bias: Tensor,
    /// Weights of the gates i, f, z, o.
    gates: [Tensor; 4],
    recurrent: Tensor,
    bias: Tensor,
    norm: Tensor,
    heads: usize,
}

impl SlstmLayer {
    pub(super) fn new(config: &XlstmConfig, vb: &VarBuilder<'_>) -> Result<Self> {
        let (dim, heads) = (config.dim, config.num_heads);
        let width = dim / heads;
        let gate = |name: &str| vb.get((heads, width, width), name);
        Ok(Self {
            conv_weight: vb.get((dim, 1, config.conv_kernel), "conv1d.conv.weight")?,
            conv_bias: vb.get(dim, "conv1d.conv.bias")?,
            // The reference feeds the input gate from the weight called `fgate` and the forget gate from `igate`.
            gates: [
                gate("fgate.weight")?,
                gate("igate.weight")?,
                gate("zgate.weight")?,
                gate("ogate.weight")?,
            ],
            recurrent: vb.get((heads, 4 * width, width), "slstm_cell._recurrent_kernel_")?,
            bias: vb.get(4 * dim, "slstm_cell._bias_")?,
            norm: vb.get(dim, "group_norm.weight")?,
            heads,
        })
    }

    /// All weights in the order that the fused block reads them in.
    pub(super) fn weights(&self) -> [&Tensor; 9] {
        let [i, f, z, o] = &self.gates;
        [
            &self.conv_weight,
            &self.conv_bias,
            i,
            f,
            z,
            o,
            &self.recurrent,
            &self.bias,
            &self.norm,
        ]
    }

    /// `(batch, seq, dim)` to the same shape.
    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let convolved = causal_conv_silu(x, &self.conv_weight, &self.conv_bias)?;
        let [i, f, z, o] = &self.gates;
        let gates = [
            headwise_linear(&convolved, i)?,
            headwise_linear(&convolved, f)?,
            headwise_linear(x, z)?,
            headwise_linear(x, o)?,
        ];
        let wx = Tensor::cat(&gates, 2)?.broadcast_add(&self.bias)?;
        let y = slstm_cell(&wx, &self.recurrent)?;
        residual_group_norm(&y, &self.norm, self.heads)
    }
}

/// The gated feed-forward part behind an sLSTM.
#[derive(Debug, Clone)]
pub(super) struct FeedForward {
    proj_up: Tensor,
    proj_down: Tensor,
    inner: usize,
}

impl FeedForward {
    pub(super) fn new(config: &XlstmConfig, vb: &VarBuilder<'_>) -> Result<Self> {
        let (dim, inner) = (config.dim, config.ffn_inner());
        Ok(Self {
            proj_up: vb.get((2 * inner, dim), "proj_up.weight")?,
            proj_down: vb.get((dim, inner), "proj_down.weight")?,
            inner,
        })
    }

    /// All weights in the order that the fused block reads them in.
    pub(super) const fn weights(&self) -> [&Tensor; 2] {
        [&self.proj_up, &self.proj_down]
    }

    /// `(batch, seq, dim)` to the same shape.
    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let gate = linear(x, &self.proj_up.narrow(0, 0, self.inner)?, None)?;
        let up = linear(x, &self.proj_up.narrow(0, self.inner, self.inner)?, None)?;
        linear(&(gate.gelu_erf()? * up)?, &self.proj_down, None)
    }
}
