//! The networks of a predictor between its projection and its regression: sequences in, sequences out.
//!
//! Each is what the published code builds at width 512, at any width. Where that code has a slip, the right thing is
//! built unless [`HeadSettings::published_quirks`] asks for the slip.
//!
//! **Source** arXiv 2502.13763, section 4.4; strawhatboy/M3-AGIQA at 2f76702, `models/MiniCPM.py` (names of the
//! weights, without their `model.`; the projection is called `W` for every head).

mod budget;
pub(crate) mod dropout;
pub mod mamba2;
mod parameter;
mod pooling;
pub mod recurrent;
#[cfg(test)]
mod reference;
mod regressor;
#[cfg(test)]
mod tests;
pub mod transformer;
pub mod xlstm;

pub(crate) use dropout::Dropout;
pub(crate) use parameter::xavier;
pub use parameter::{Init, Parameter};
pub(crate) use pooling::pool;
pub(crate) use regressor::{Regressor, hidden_dim, regression};

use candle_core::Result;
use candle_core::Tensor;
use candle_nn::VarBuilder;
use serde::Deserialize;
use serde::Serialize;

use self::mamba2::Mamba2;
use self::mamba2::Mamba2Config;
use self::recurrent::RecurrentConfig;
use self::recurrent::RecurrentKind;
use self::recurrent::RecurrentStack;
use self::transformer::Transformer;
use self::transformer::TransformerConfig;
use self::xlstm::XlstmConfig;
use self::xlstm::XlstmStack;
use crate::domain::HeadKind;
use crate::domain::HeadSettings;
use crate::domain::Pooling;
use crate::ml::layers::layer_norm;

/// A head's kind with its dimensions; as JSON an object with the kind as its only key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeadConfig {
    /// xLSTM blocks.
    Xlstm(XlstmConfig),
    /// Bidirectional LSTM.
    Lstm(RecurrentConfig),
    /// Bidirectional GRU.
    Gru(RecurrentConfig),
    /// Transformer encoder.
    Transformer(TransformerConfig),
    /// Mamba2 layers.
    Mamba2(Mamba2Config),
    /// Nothing between projection and pooling: two linear maps on the pooled tokens.
    Mlp(MlpConfig),
}

/// Dimensions of an MLP.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MlpConfig {
    /// Width between its two linear maps; the projection is the first.
    pub dim: usize,
    /// Longest sequence.
    pub context_length: usize,
}

impl HeadConfig {
    /// The published head of this kind at a width and length of choice.
    pub fn new(settings: &HeadSettings, context_length: usize) -> Self {
        let dim = settings.dim;
        let recurrent = |num_layers| RecurrentConfig {
            dim,
            num_layers,
            context_length,
        };
        match settings.kind {
            HeadKind::Xlstm => Self::Xlstm(XlstmConfig::m3_agiqa(dim, context_length)),
            HeadKind::Lstm => Self::Lstm(recurrent(4)),
            HeadKind::Gru => Self::Gru(recurrent(2)),
            HeadKind::Transformer => Self::Transformer(TransformerConfig {
                dim,
                num_layers: 6,
                num_heads: 2,
                ff_dim: 4 * dim,
                dropout: dropout::RATE,
                attends_to_itself: settings.published_quirks,
                context_length,
            }),
            HeadKind::Mamba2 => Self::Mamba2(Mamba2Config {
                dim,
                num_layers: 4,
                state: 16,
                expand: 2,
                // 64 as published, or the largest part of it that divides the inner width.
                head_dim: 1 << (2 * dim).trailing_zeros().min(6),
                conv_kernel: 4,
                shares_weights: settings.published_quirks,
                context_length,
            }),
            HeadKind::Mlp => Self::Mlp(MlpConfig {
                dim,
                context_length,
            }),
        }
    }

    /// The pooling that goes with it: the published LSTM and GRU heads know one only.
    pub fn pooling(settings: &HeadSettings) -> Pooling {
        match settings.kind {
            HeadKind::Lstm | HeadKind::Gru if settings.published_quirks => Pooling::FirstLast,
            _ => settings.pooling,
        }
    }

    /// Its kind.
    pub const fn kind(&self) -> HeadKind {
        match self {
            Self::Xlstm(_) => HeadKind::Xlstm,
            Self::Lstm(_) => HeadKind::Lstm,
            Self::Gru(_) => HeadKind::Gru,
            Self::Transformer(_) => HeadKind::Transformer,
            Self::Mamba2(_) => HeadKind::Mamba2,
            Self::Mlp(_) => HeadKind::Mlp,
        }
    }

    /// Width of its input: the projection's output.
    pub const fn dim(&self) -> usize {
        match self {
            Self::Xlstm(config) => config.dim,
            Self::Lstm(config) | Self::Gru(config) => config.dim,
            Self::Transformer(config) => config.dim,
            Self::Mamba2(config) => config.dim,
            Self::Mlp(config) => config.dim,
        }
    }

    /// Width of its output.
    pub const fn out_dim(&self) -> usize {
        match self {
            Self::Lstm(config) | Self::Gru(config) => config.out_dim(),
            _ => self.dim(),
        }
    }

    /// Longest sequence that it was made for; longer ones are cut.
    pub const fn context_length(&self) -> usize {
        match self {
            Self::Xlstm(config) => config.context_length,
            Self::Lstm(config) | Self::Gru(config) => config.context_length,
            Self::Transformer(config) => config.context_length,
            Self::Mamba2(config) => config.context_length,
            Self::Mlp(config) => config.context_length,
        }
    }

    /// In words, e.g. "xLSTM m,s,m,m".
    pub fn words(&self) -> String {
        let name = self.kind().name();
        match self {
            Self::Xlstm(config) => format!("{name} {}", config.pattern()),
            Self::Transformer(config) if config.attends_to_itself => {
                format!("{name} whose tokens see themselves alone, as published")
            }
            Self::Mamba2(config) if config.shares_weights => {
                format!(
                    "{name} of one layer applied {} times, as published",
                    config.num_layers
                )
            }
            _ => name.to_owned(),
        }
    }

    /// Why these dimensions do not fit together, if they do not.
    pub fn problem(&self) -> Option<String> {
        if self.dim() == 0 {
            return Some("a head's width must be at least 1".to_owned());
        }
        if self.context_length() == 0 {
            return Some("a head must take sequences of at least 1 token".to_owned());
        }
        match self {
            Self::Xlstm(config) => config.problem(),
            Self::Transformer(config) => config.problem(),
            Self::Mamba2(config) => config.problem(),
            Self::Lstm(config) | Self::Gru(config) if config.num_layers == 0 => {
                Some("a recurrent head has at least 1 layer".to_owned())
            }
            Self::Lstm(_) | Self::Gru(_) | Self::Mlp(_) => None,
        }
    }

    /// Name of its weights in the published state dict.
    const fn prefix(&self) -> &'static str {
        match self {
            Self::Xlstm(_) => "xlstm_pooler.xlstm_stack",
            Self::Lstm(_) => "lstm",
            Self::Gru(_) => "gru",
            Self::Transformer(_) => "trm_layers",
            Self::Mamba2(_) => "mamba_layers",
            Self::Mlp(_) => "",
        }
    }

    /// Whether a layer norm stands behind it.
    const fn has_norm(&self) -> bool {
        matches!(self, Self::Transformer(_) | Self::Mamba2(_))
    }

    /// Every weight of the head with its first values.
    pub fn parameters(&self) -> Vec<Parameter> {
        let list = match self {
            Self::Xlstm(config) => config.parameters(),
            Self::Lstm(config) => config.parameters(RecurrentKind::Lstm),
            Self::Gru(config) => config.parameters(RecurrentKind::Gru),
            Self::Transformer(config) => config.parameters(),
            Self::Mamba2(config) => config.parameters(),
            Self::Mlp(_) => Vec::new(),
        };
        let mut list: Vec<Parameter> = list.into_iter().map(|p| p.under(self.prefix())).collect();
        if self.has_norm() {
            let mut push = |name: &str, value| {
                let name = format!("{NORM}.{name}");
                list.push(Parameter::new(name, &[self.dim()], Init::Constant(value)));
            };
            push("weight", 1.0);
            push("bias", 0.0);
        }
        list
    }
}

/// Name of the norm behind a head in the published state dict.
const NORM: &str = "norm_after";

/// A head's weights at work.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    network: HeadNetwork,
    /// Weight and bias.
    norm: Option<(Tensor, Tensor)>,
}

#[derive(Debug, Clone)]
enum HeadNetwork {
    Xlstm(XlstmStack),
    Recurrent(RecurrentStack),
    Transformer(Transformer),
    Mamba2(Mamba2),
    Nothing,
}

impl Head {
    /// Takes the weights that [`HeadConfig::parameters`] names.
    pub(crate) fn new(config: &HeadConfig, vb: &VarBuilder<'_>) -> Result<Self> {
        let inner = vb.pp(config.prefix());
        let recurrent = |config, kind| -> Result<HeadNetwork> {
            Ok(HeadNetwork::Recurrent(RecurrentStack::new(
                config, kind, &inner,
            )?))
        };
        let network = match config {
            HeadConfig::Xlstm(config) => HeadNetwork::Xlstm(XlstmStack::new(config, &inner)?),
            HeadConfig::Lstm(config) => recurrent(config, RecurrentKind::Lstm)?,
            HeadConfig::Gru(config) => recurrent(config, RecurrentKind::Gru)?,
            HeadConfig::Transformer(config) => {
                HeadNetwork::Transformer(Transformer::new(config, &inner)?)
            }
            HeadConfig::Mamba2(config) => HeadNetwork::Mamba2(Mamba2::new(config, &inner)?),
            HeadConfig::Mlp(_) => HeadNetwork::Nothing,
        };
        let norm = match config.has_norm() {
            true => {
                let vb = vb.pp(NORM);
                Some((
                    vb.get(config.dim(), "weight")?,
                    vb.get(config.dim(), "bias")?,
                ))
            }
            false => None,
        };
        Ok(Self { network, norm })
    }

    /// Whether its output is its input.
    pub(crate) const fn is_nothing(&self) -> bool {
        matches!(self.network, HeadNetwork::Nothing) && self.norm.is_none()
    }

    /// `(batch, seq, dim)` to `(batch, seq, out_dim)`; what lies behind a sequence's length changes nothing in it.
    pub(crate) fn forward(
        &self,
        x: &Tensor,
        lengths: &[usize],
        dropout: &Dropout,
    ) -> Result<Tensor> {
        let y = match &self.network {
            HeadNetwork::Xlstm(stack) => stack.forward(x)?,
            HeadNetwork::Recurrent(stack) => stack.forward(x, lengths)?,
            HeadNetwork::Transformer(encoder) => encoder.forward(x, lengths, dropout)?,
            HeadNetwork::Mamba2(stack) => stack.forward(x)?,
            HeadNetwork::Nothing => x.clone(),
        };
        match &self.norm {
            Some((weight, bias)) => layer_norm(&y, weight, bias),
            None => Ok(y),
        }
    }
}
