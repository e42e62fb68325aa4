//! One residual block: a norm and a cell; behind an sLSTM also a norm and a feed-forward part.

use candle_core::Result;
use candle_core::Tensor;
use candle_nn::VarBuilder;

use super::MlstmForm;
use super::XlstmConfig;
use super::fused;
use super::mlstm::MlstmLayer;
use super::slstm::FeedForward;
use super::slstm::SlstmLayer;
use crate::ml::layers::residual_group_norm;

/// Weights of one block.
#[derive(Debug, Clone)]
pub(super) struct Block {
    norm: Tensor,
    cell: Cell,
}

#[derive(Debug, Clone)]
enum Cell {
    Mlstm {
        layer: Box<MlstmLayer>,
        kernel: fused::Mlstm,
    },
    Slstm {
        layer: Box<SlstmLayer>,
        kernel: fused::Slstm,
        ffn_norm: Tensor,
        ffn: FeedForward,
    },
}

impl Block {
    pub(super) fn new(config: &XlstmConfig, index: usize, vb: &VarBuilder<'_>) -> Result<Self> {
        let cell = if config.is_slstm(index) {
            Cell::Slstm {
                layer: Box::new(SlstmLayer::new(config, &vb.pp("xlstm"))?),
                kernel: fused::Slstm::new(config),
                ffn_norm: vb.get(config.dim, "ffn_norm.weight")?,
                ffn: FeedForward::new(config, &vb.pp("ffn"))?,
            }
        } else {
            Cell::Mlstm {
                layer: Box::new(MlstmLayer::new(config, &vb.pp("xlstm"))?),
                kernel: fused::Mlstm::new(config),
            }
        };
        Ok(Self {
            norm: vb.get(config.dim, "xlstm_norm.weight")?,
            cell,
        })
    }

    /// `(batch, seq, dim)` to the same shape.
    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        match &self.cell {
            Cell::Mlstm { layer, kernel } => {
                let mut weights = vec![&self.norm];
                weights.extend(layer.weights());
                fused::run(*kernel, x, &weights)
            }
            Cell::Slstm {
                layer,
                kernel,
                ffn_norm,
                ffn,
            } => {
                let mut weights = vec![&self.norm];
                weights.extend(layer.weights());
                weights.push(ffn_norm);
                weights.extend(ffn.weights());
                fused::run(*kernel, x, &weights)
            }
        }
    }

    /// The same as a graph of operations: what the fused form is held against.
    pub(super) fn forward_by_operations(&self, x: &Tensor, form: MlstmForm) -> Result<Tensor> {
        let normed = residual_group_norm(x, &self.norm, 1)?;
        match &self.cell {
            Cell::Mlstm { layer, .. } => x + layer.forward(&normed, form)?,
            Cell::Slstm {
                layer,
                ffn_norm,
                ffn,
                ..
            } => {
                let x = (x + layer.forward(&normed)?)?;
                &x + ffn.forward(&residual_group_norm(&x, ffn_norm, 1)?)?
            }
        }
    }
}
