//! The mLSTM layer: projections, causal convolution, the cell, its norm, skip and output gate.

use candle_core::Result;
use candle_core::Tensor;
use candle_nn::VarBuilder;

use super::MlstmForm;
use super::XlstmConfig;
use super::mlstm_cell::mlstm_cell;
use crate::ml::layers::causal_conv_silu;
use crate::ml::layers::headwise_linear;
use crate::ml::layers::linear;
use crate::ml::layers::residual_group_norm;

/// Weights of one mLSTM layer.
#[derive(Debug, Clone)]
pub(super) struct MlstmLayer {
    proj_up: Tensor,
    conv_weight: Tensor,
    conv_bias: Tensor,
    q_proj: Tensor,
    k_proj: Tensor,
    v_proj: Tensor,
    input_gate: (Tensor, Tensor),
    forget_gate: (Tensor, Tensor),
    outnorm: Tensor,
    skip: Tensor,
    proj_down: Tensor,
    inner: usize,
    heads: usize,
}

impl MlstmLayer {
    pub(super) fn new(config: &XlstmConfig, vb: &VarBuilder<'_>) -> Result<Self> {
        let (dim, inner, heads) = (config.dim, config.inner(), config.num_heads);
        let part = config.qkv_block_size;
        let qkv = |name: &str| vb.get((inner / part, part, part), name);
        let gate = |name: &str| -> Result<(Tensor, Tensor)> {
            let vb = vb.pp("mlstm_cell").pp(name);
            Ok((
                vb.get((heads, 3 * inner), "weight")?,
                vb.get(heads, "bias")?,
            ))
        };
        Ok(Self {
            proj_up: vb.get((2 * inner, dim), "proj_up.weight")?,
            conv_weight: vb.get((inner, 1, config.conv_kernel), "conv1d.conv.weight")?,
            conv_bias: vb.get(inner, "conv1d.conv.bias")?,
            q_proj: qkv("q_proj.weight")?,
            k_proj: qkv("k_proj.weight")?,
            v_proj: qkv("v_proj.weight")?,
            input_gate: gate("igate")?,
            forget_gate: gate("fgate")?,
            outnorm: vb.get(inner, "mlstm_cell.outnorm.weight")?,
            skip: vb.get(inner, "learnable_skip")?,
            proj_down: vb.get((dim, inner), "proj_down.weight")?,
            inner,
            heads,
        })
    }

    /// All weights in the order that the fused block reads them in.
    pub(super) fn weights(&self) -> [&Tensor; 13] {
        [
            &self.proj_up,
            &self.conv_weight,
            &self.conv_bias,
            &self.q_proj,
            &self.k_proj,
            &self.v_proj,
            &self.input_gate.0,
            &self.forget_gate.0,
            &self.input_gate.1,
            &self.forget_gate.1,
            &self.outnorm,
            &self.skip,
            &self.proj_down,
        ]
    }

    /// `(batch, seq, dim)` to the same shape.
    pub(super) fn forward(&self, x: &Tensor, form: MlstmForm) -> Result<Tensor> {
        // 1. Up: the halves of the weight apart, so that both results are contiguous. (batch, seq, inner) each.
        let memory = linear(x, &self.proj_up.narrow(0, 0, self.inner)?, None)?;
        let output = linear(x, &self.proj_up.narrow(0, self.inner, self.inner)?, None)?;
        // 2. Queries and keys see the convolved half, values the plain one. (batch, seq, 3 * inner)
        let convolved = causal_conv_silu(&memory, &self.conv_weight, &self.conv_bias)?;
        let q = headwise_linear(&convolved, &self.q_proj)?;
        let k = headwise_linear(&convolved, &self.k_proj)?;
        let v = headwise_linear(&memory, &self.v_proj)?;
        let qkv = Tensor::cat(&[q, k, v], 2)?;
        // 3. Both gates of every head in one product. (batch, seq, 2 * heads)
        let weight = Tensor::cat(&[&self.input_gate.0, &self.forget_gate.0], 0)?;
        let bias = Tensor::cat(&[&self.input_gate.1, &self.forget_gate.1], 0)?;
        let gates = linear(&qkv, &weight, Some(&bias))?;
        // 4. The cell, a norm by head, the skip around it, the output gate, and down.
        let h = residual_group_norm(&mlstm_cell(&qkv, &gates, form)?, &self.outnorm, self.heads)?;
        let h = ((h + convolved.broadcast_mul(&self.skip)?)? * output.silu()?)?;
        linear(&h, &self.proj_down, None)
    }
}
