//! The perceiver resampler: a fixed number of learned queries reads any number of patches.
//!
//! Source: MiniCPM-Llama3-V-2.5's `resampler.py`, as vLLM's `Resampler2_5` has it: keys carry a 2-D sine-cosine
//! position, values do not, queries have none.

use candle_core::{DType, Device, Result, Tensor};
use candle_nn::VarBuilder;

use super::config::Config;
use crate::ml::vlm::ops::{Mode, attention, linear, merge_heads, split_heads};

/// The resampler.
pub struct Resampler {
    heads: usize,
    query: Tensor,
    kv_proj: Option<Tensor>,
    in_proj_weight: Tensor,
    in_proj_bias: Tensor,
    out_proj_weight: Tensor,
    out_proj_bias: Tensor,
    norms: [(Tensor, Tensor); 3],
    proj: Tensor,
    mode: Mode,
}

/// Added to the variance in the norms.
const EPS: f64 = 1e-6;

impl Resampler {
    /// Loads `resampler.*`.
    ///
    /// # Errors
    /// Missing or wrongly shaped tensors.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "candle's builders are passed by value everywhere"
    )]
    pub fn new(cfg: &Config, mode: Mode, vb: VarBuilder<'_>) -> Result<Self> {
        let (width, kv) = (cfg.llm.hidden_size, cfg.vision_config.hidden_size);
        let norm = |name: &str| -> Result<(Tensor, Tensor)> {
            Ok((
                vb.pp(name).get(width, "weight")?,
                vb.pp(name).get(width, "bias")?,
            ))
        };
        let attn = vb.pp("attn");
        // The reference leaves the projection out where the widths agree already.
        let kv_proj = if kv == width {
            None
        } else {
            Some(vb.get((width, kv), "kv_proj.weight")?)
        };
        Ok(Self {
            heads: cfg.resampler_heads,
            query: vb.get((cfg.query_num, width), "query")?,
            kv_proj,
            in_proj_weight: attn.get((3 * width, width), "in_proj_weight")?,
            in_proj_bias: attn.get(3 * width, "in_proj_bias")?,
            out_proj_weight: attn.get((width, width), "out_proj.weight")?,
            out_proj_bias: attn.get(width, "out_proj.bias")?,
            norms: [norm("ln_q")?, norm("ln_kv")?, norm("ln_post")?],
            proj: vb.get((width, width), "proj")?,
            mode,
        })
    }

    /// Patch features `(batch, rows * cols, vision_hidden)` to image tokens `(batch, queries, hidden)`.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn forward(&self, patches: &Tensor, grid: [usize; 2]) -> Result<Tensor> {
        let batch = patches.dim(0)?;
        let width = self.query.dim(1)?;
        // 1. x: (batch, patches, hidden); keys carry the position, values do not
        let x = match &self.kv_proj {
            Some(weight) => linear(patches, weight, None)?,
            None => patches.clone(),
        };
        let x = self.norm(&x, 1)?;
        let position = position_2d(width, grid, x.dtype(), x.device())?;
        let keys = x.broadcast_add(&position)?;
        // 2. q: (batch, queries, hidden)
        let queries = self.norm(&self.query.unsqueeze(0)?, 0)?;
        let queries = queries
            .expand((batch, queries.dim(1)?, width))?
            .contiguous()?;
        // 3. Multi-head attention with torch's packed projections
        let [q, k, v] =
            [(0, &queries), (1, &keys), (2, &x)].map(|(part, input)| self.project(input, part));
        let out = merge_heads(&attention(self.mode, &q?, &k?, &v?, None)?)?;
        let out = linear(&out, &self.out_proj_weight, Some(&self.out_proj_bias))?;
        // 4. The last matrix is multiplied as it is, not transposed
        linear(&self.norm(&out, 2)?, &self.proj.t()?, None)
    }

    fn norm(&self, x: &Tensor, which: usize) -> Result<Tensor> {
        let (weight, bias) = &self.norms[which];
        self.mode.layer_norm(x, weight, bias, EPS)
    }

    fn project(&self, x: &Tensor, part: usize) -> Result<Tensor> {
        let width = self.query.dim(1)?;
        let weight = self.in_proj_weight.narrow(0, part * width, width)?;
        let bias = self.in_proj_bias.narrow(0, part * width, width)?;
        split_heads(&linear(x, &weight, Some(&bias))?, self.heads)
    }
}

/// Sine-cosine position `(1, rows * cols, width)`: the first half of the width encodes the column, the second the
/// row, each half `[sin | cos]` with wavelengths `10000^(i / (width / 4))`.
fn position_2d(
    width: usize,
    [rows, cols]: [usize; 2],
    dtype: DType,
    device: &Device,
) -> Result<Tensor> {
    let quarter = width / 4;
    let mut values = Vec::with_capacity(rows * cols * width);
    for patch in 0..rows * cols {
        for place in [patch % cols, patch / cols] {
            let angle = |i: usize| place as f32 / 10_000f32.powf(i as f32 / quarter as f32);
            values.extend((0..quarter).map(|i| angle(i).sin()));
            values.extend((0..quarter).map(|i| angle(i).cos()));
        }
    }
    Tensor::from_vec(values, (1, rows * cols, width), device)?.to_dtype(dtype)
}
