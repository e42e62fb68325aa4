//! The tower: a vision transformer over patches at the picture's own size, most layers within windows, and the merger
//! that makes one image token of a group of patches.

use std::rc::Rc;

use candle_core::{D, DType, Result, Tensor};

use super::config::VisionConfig;
use super::image::in_groups;
use super::window::Windows;
use crate::ml::vlm::llama::Rotary;
use crate::ml::vlm::ops::{Linear, Mode, attention, merge_heads};
use crate::ml::vlm::tape::Tape;
use crate::ml::vlm::weights::{Matrix, Weights};

/// Added to the mean square in the tower's norms; fixed in the reference too.
const EPS: f64 = 1e-6;

/// Queries that look at the whole picture at once: bounds the memory of the scores (1280 image tokens are 5120 patches,
/// whose scores would take 1.7 GB a layer).
const QUERIES: usize = 1024;

struct Block {
    norm1: Tensor,
    qkv: Linear,
    proj: Linear,
    norm2: Tensor,
    gate_proj: Linear,
    up_proj: Linear,
    down_proj: Linear,
}

impl Block {
    fn new(cfg: &VisionConfig, weights: &Weights) -> Result<Self> {
        let (width, inner) = (cfg.hidden_size, cfg.intermediate_size);
        let (attn, mlp) = (weights.pp("attn"), weights.pp("mlp"));
        let linear = |out, width, weights: Weights| Linear::with_bias(out, width, &weights);
        Ok(Self {
            norm1: weights.get(width, "norm1.weight")?,
            qkv: linear(3 * width, width, attn.pp("qkv"))?,
            proj: linear(width, width, attn.pp("proj"))?,
            norm2: weights.get(width, "norm2.weight")?,
            gate_proj: linear(inner, width, mlp.pp("gate_proj"))?,
            up_proj: linear(inner, width, mlp.pp("up_proj"))?,
            down_proj: linear(width, inner, mlp.pp("down_proj"))?,
        })
    }

    fn mlp(&self, x: &Tensor) -> Result<Tensor> {
        let gate = self.gate_proj.forward(x)?.silu()?;
        self.down_proj.forward(&(gate * self.up_proj.forward(x)?)?)
    }
}

/// The tower with its merger.
pub(super) struct VisionTower {
    cfg: VisionConfig,
    patch_embed: Matrix,
    blocks: Vec<Block>,
    ln_q: Tensor,
    mlp_0: Linear,
    mlp_2: Linear,
    mode: Mode,
}

/// How the patches of a picture lie.
struct Layout {
    windows: Windows,
    /// Patches of each window.
    window_lens: Vec<usize>,
    rotary: Rotary,
}

impl VisionTower {
    /// Loads `patch_embed`, `blocks` and `merger`.
    pub(super) fn new(cfg: &VisionConfig, mode: Mode, weights: &Weights) -> Result<Self> {
        let (width, patch) = (cfg.hidden_size, cfg.patch_size);
        let merged = width * cfg.spatial_merge_size * cfg.spatial_merge_size;
        let merger = weights.pp("merger");
        let mlp = merger.pp("mlp");
        Ok(Self {
            patch_embed: weights.matrix_of(
                (width, 3, cfg.temporal_patch_size, patch, patch),
                "patch_embed.proj.weight",
                |kernel| kernel.reshape((width, cfg.patch_values())),
            )?,
            blocks: (0..cfg.depth)
                .map(|index| Block::new(cfg, &weights.pp("blocks").pp(index)))
                .collect::<Result<_>>()?,
            ln_q: merger.get(width, "ln_q.weight")?,
            mlp_0: Linear::with_bias(merged, merged, &mlp.pp(0))?,
            mlp_2: Linear::with_bias(cfg.out_hidden_size, merged, &mlp.pp(2))?,
            cfg: cfg.clone(),
            mode,
        })
    }

    /// Patches `(1, patches, values)` in groups to states `(1, patches, hidden)` window by window: the embedded ones
    /// and those after every layer. `grid` is rows and columns of patches.
    #[cfg(test)]
    pub(super) fn states(&self, patches: &Tensor, grid: [usize; 2]) -> Result<Vec<Tensor>> {
        let mut states = Vec::new();
        let mut tape = Tape::off();
        self.run(patches, grid, &mut tape, &mut |state| {
            states.push(state.clone());
        })?;
        Ok(states)
    }

    fn run<'a>(
        &'a self,
        patches: &Tensor,
        grid: [usize; 2],
        tape: &mut Tape<'a>,
        on_state: &mut dyn FnMut(&Tensor),
    ) -> Result<Tensor> {
        let layout = Rc::new(self.layout(grid, patches)?);
        let embedded = self.patch_embed.forward(patches)?;
        let group = self.cfg.spatial_merge_size * self.cfg.spatial_merge_size;
        let order = Tensor::new(layout.windows.order.as_slice(), patches.device())?;
        let (_, seq, width) = embedded.dims3()?;
        let mut x = embedded
            .reshape((seq / group, group, width))?
            .index_select(&order, 0)?
            .reshape((1, seq, width))?;
        on_state(&x);
        for (index, block) in self.blocks.iter().enumerate() {
            let is_full = self.cfg.fullatt_block_indexes.contains(&index);
            let layout = Rc::clone(&layout);
            x = tape.layer(&x, move |x| self.block(block, x, &layout, is_full))?;
            on_state(&x);
        }
        Ok(x)
    }

    fn block(&self, block: &Block, x: &Tensor, layout: &Layout, is_full: bool) -> Result<Tensor> {
        let seq = [x.dim(1)?];
        let lens = match is_full {
            true => &seq[..],
            false => layout.window_lens.as_slice(),
        };
        let normed = self.mode.rms_norm(x, &block.norm1, EPS)?;
        let x = (self.attend(block, &normed, lens, layout)? + x)?;
        block.mlp(&self.mode.rms_norm(&x, &block.norm2, EPS)?)? + x
    }

    /// The last of [`VisionTower::states`].
    pub(super) fn last<'a>(
        &'a self,
        patches: &Tensor,
        grid: [usize; 2],
        tape: &mut Tape<'a>,
    ) -> Result<Tensor> {
        self.run(patches, grid, tape, &mut |_| ())
    }

    /// The last states of [`VisionTower::states`] as image tokens `(tokens, out_hidden)`, row by row.
    pub(super) fn merge(&self, last: &Tensor, grid: [usize; 2]) -> Result<Tensor> {
        let normed = self.mode.rms_norm(last, &self.ln_q, EPS)?;
        let group = self.cfg.spatial_merge_size * self.cfg.spatial_merge_size;
        let tokens = normed.reshape((1, last.dim(1)? / group, group * last.dim(2)?))?;
        let merged = self
            .mlp_2
            .forward(&self.mlp_0.forward(&tokens)?.gelu_erf()?)?;
        let back = Tensor::new(self.windows(grid).back, last.device())?;
        merged.squeeze(0)?.index_select(&back, 0)
    }

    fn windows(&self, grid: [usize; 2]) -> Windows {
        let side = self.cfg.window_size / self.cfg.spatial_merge_size / self.cfg.patch_size;
        Windows::new(
            grid.map(|patches| patches / self.cfg.spatial_merge_size),
            side,
        )
    }

    /// Rows turn the first half of a head's frequencies, columns the second.
    fn layout(&self, grid: [usize; 2], like: &Tensor) -> Result<Layout> {
        let windows = self.windows(grid);
        let group = self.cfg.spatial_merge_size * self.cfg.spatial_merge_size;
        let half = self.cfg.hidden_size / self.cfg.num_heads / 2;
        let frequencies = self.cfg.inverse_wavelengths();
        let places: Vec<[usize; 2]> = in_groups(grid, self.cfg.spatial_merge_size).collect();
        let mut angles = Vec::with_capacity(places.len() * half);
        for token in &windows.order {
            for place in &places[*token as usize * group..(*token as usize + 1) * group] {
                for side in place {
                    angles.extend(frequencies.iter().map(|frequency| *side as f32 * frequency));
                }
            }
        }
        // Turned in single precision, as in the reference: half of it would blur neighbouring patches.
        let angles = Tensor::from_vec(angles, (places.len(), half), like.device())?;
        Ok(Layout {
            window_lens: windows.lens.iter().map(|tokens| tokens * group).collect(),
            windows,
            rotary: Rotary::of_angles(&angles, DType::F32)?,
        })
    }

    fn attend(&self, block: &Block, x: &Tensor, lens: &[usize], layout: &Layout) -> Result<Tensor> {
        let (_, seq, width) = x.dims3()?;
        let heads = self.cfg.num_heads;
        // 1. Project: (1, seq, 3 * hidden) -> three times (1, heads, seq, head_dim)
        let qkv = block
            .qkv
            .forward(x)?
            .reshape((1, seq, 3, heads, width / heads))?
            .permute((2, 0, 3, 1, 4))?;
        let Rotary { cos, sin } = &layout.rotary;
        let part = |index: usize| qkv.get(index)?.contiguous();
        let turn = |x: Tensor| {
            self.mode
                .rope(&x.to_dtype(DType::F32)?, cos, sin)?
                .to_dtype(x.dtype())
        };
        let (q, k, v) = (turn(part(0)?)?, turn(part(1)?)?, part(2)?);
        // 2. Attend within each window; windows of one size that stand together are one product
        let (mut parts, mut start) = (Vec::new(), 0);
        for run in lens.chunk_by(PartialEq::eq) {
            let (count, len) = (run.len(), run[0]);
            let [q, k, v] = [&q, &k, &v].map(|x| {
                x.narrow(2, start, count * len)?
                    .reshape((heads, count, len, width / heads))
            });
            let out = self.windowed(&q?, &k?, &v?)?;
            parts.push(out.reshape((1, heads, count * len, width / heads))?);
            start += count * len;
        }
        block.proj.forward(&merge_heads(&Tensor::cat(&parts, 2)?)?)
    }

    /// Attention `(heads, windows, len, head_dim)`, some queries at a time where the scores of all would be there at once.
    fn windowed(&self, q: &Tensor, k: &Tensor, v: &Tensor) -> Result<Tensor> {
        let len = q.dim(2)?;
        if q.device().is_cpu() {
            return attention(self.mode, q, k, v);
        }
        let parts = (0..len).step_by(QUERIES).map(|start| {
            let q = q.narrow(D::Minus2, start, QUERIES.min(len - start))?;
            attention(self.mode, &q, k, v)
        });
        Tensor::cat(&parts.collect::<Result<Vec<_>>>()?, 2)
    }
}
