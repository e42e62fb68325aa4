//! The perceiver resampler: a fixed number of learned queries reads any number of patches.
//!
//! Source: MiniCPM-Llama3-V-2.5's `resampler.py`, as vLLM's `Resampler2_5` has it: keys carry a 2-D sine-cosine
//! position, values do not, queries have none.

use candle_core::{DType, Device, Result, Tensor};

use super::config::Config;
use crate::ml::vlm::ops::{LayerNorm, Linear, Mode, attention, merge_heads, split_heads};
use crate::ml::vlm::weights::Weights;

/// The resampler.
pub struct Resampler {
    heads: usize,
    query: Tensor,
    kv_proj: Option<Linear>,
    /// The packed projection's three parts.
    in_proj: [Linear; 3],
    out_proj: Linear,
    ln_q: LayerNorm,
    ln_kv: LayerNorm,
    ln_post: LayerNorm,
    proj: Linear,
    mode: Mode,
}

/// Added to the variance in the norms.
const EPS: f64 = 1e-6;

impl Resampler {
    /// Loads `resampler.*`.
    ///
    /// # Errors
    /// Missing or wrongly shaped tensors.
    pub fn new(cfg: &Config, mode: Mode, weights: &Weights) -> Result<Self> {
        let (width, kv) = (cfg.llm.hidden_size, cfg.vision_config.hidden_size);
        let norm = |name: &str| LayerNorm::new(width, EPS, &weights.pp(name));
        let attn = weights.pp("attn");
        // The reference leaves the projection out where the widths agree already.
        let kv_proj = if kv == width {
            None
        } else {
            Some(Linear::new(width, kv, &weights.pp("kv_proj"))?)
        };
        // torch's packed projection: queries, keys and values one below the other
        let bias = attn.get(3 * width, "in_proj_bias")?;
        let part = |at: usize| -> Result<Linear> {
            let rows = |packed: Tensor| packed.narrow(0, at * width, width);
            let weight = attn.matrix_of((3 * width, width), "in_proj_weight", rows)?;
            Ok(Linear::of(weight, Some(bias.narrow(0, at * width, width)?)))
        };
        Ok(Self {
            heads: cfg.resampler_heads,
            query: weights.get((cfg.query_num, width), "query")?,
            kv_proj,
            in_proj: [part(0)?, part(1)?, part(2)?],
            out_proj: Linear::with_bias(width, width, &attn.pp("out_proj"))?,
            ln_q: norm("ln_q")?,
            ln_kv: norm("ln_kv")?,
            ln_post: norm("ln_post")?,
            // The last matrix is multiplied as it is, not transposed.
            proj: Linear::of(
                weights.matrix_of((width, width), "proj", |stored| stored.t())?,
                None,
            ),
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
            Some(kv_proj) => kv_proj.forward(patches)?,
            None => patches.clone(),
        };
        let x = self.ln_kv.forward(self.mode, &x)?;
        let position = position_2d(width, grid, x.dtype(), x.device())?;
        let keys = x.broadcast_add(&position)?;
        // 2. q: (batch, queries, hidden)
        let queries = self.ln_q.forward(self.mode, &self.query.unsqueeze(0)?)?;
        let queries = queries
            .expand((batch, queries.dim(1)?, width))?
            .contiguous()?;
        // 3. Multi-head attention
        let [q, k, v] = [(0, &queries), (1, &keys), (2, &x)]
            .map(|(part, input)| split_heads(&self.in_proj[part].forward(input)?, self.heads));
        let out = self
            .out_proj
            .forward(&merge_heads(&attention(self.mode, &q?, &k?, &v?)?)?)?;
        self.proj.forward(&self.ln_post.forward(self.mode, &out)?)
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
    let omega: Vec<f32> = (0..quarter)
        .map(|i| 1.0 / 10_000f32.powf(i as f32 / quarter as f32))
        .collect();
    // (places, width / 2): a patch's two halves are its column's and its row's
    let of_places = |count: usize| {
        let mut values = Vec::with_capacity(count * width / 2);
        for place in 0..count {
            let angle = |i: usize| place as f32 * omega[i];
            values.extend((0..quarter).map(|i| angle(i).sin()));
            values.extend((0..quarter).map(|i| angle(i).cos()));
        }
        Tensor::from_vec(values, (count, width / 2), device)
    };
    let half = (rows, cols, width / 2);
    let of_cols = of_places(cols)?.unsqueeze(0)?.broadcast_as(half)?;
    let of_rows = of_places(rows)?.unsqueeze(1)?.broadcast_as(half)?;
    Tensor::cat(&[of_cols, of_rows], 2)?
        .reshape((1, rows * cols, width))?
        .to_dtype(dtype)
}
