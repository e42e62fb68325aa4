//! Blocks one behind the other, and a norm behind the last.

use candle_core::Result;
use candle_core::Tensor;
use candle_nn::VarBuilder;

use super::MlstmForm;
use super::XlstmConfig;
use super::block::Block;
use crate::ml::layers::residual_group_norm;

/// Weights of a whole stack.
#[derive(Debug, Clone)]
pub struct XlstmStack {
    blocks: Vec<Block>,
    norm: Tensor,
}

impl XlstmStack {
    /// Takes the weights that [`XlstmConfig::parameters`] names.
    pub fn new(config: &XlstmConfig, vb: &VarBuilder<'_>) -> Result<Self> {
        let blocks = (0..config.num_blocks)
            .map(|index| Block::new(config, index, &vb.pp("blocks").pp(index)))
            .collect::<Result<_>>()?;
        Ok(Self {
            blocks,
            norm: vb.get(config.dim, "post_blocks_norm.weight")?,
        })
    }

    /// `(batch, seq, dim)` to the same shape. Every position sees itself and those before it, so padding behind a
    /// sequence changes nothing in it.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let mut x = x.clone();
        for block in &self.blocks {
            x = block.forward(&x)?;
        }
        residual_group_norm(&x, &self.norm, 1)
    }

    /// The same as a graph of operations, with the memory of its mLSTM blocks in a form of choice.
    pub fn forward_as(&self, x: &Tensor, form: MlstmForm) -> Result<Tensor> {
        let mut x = x.clone();
        for block in &self.blocks {
            x = block.forward_by_operations(&x, form)?;
        }
        residual_group_norm(&x, &self.norm, 1)
    }
}
