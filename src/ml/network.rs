//! The network of a predictor: projection, head, pooling, regression.
//!
//! The published predictor projects logits, `P (W h) + b`. Both maps are linear, so one product `P W` reads the hidden
//! states directly: that is the projection here.
//!
//! **Source** arXiv 2502.13763; strawhatboy/M3-AGIQA at 2f76702 (names of the weights, without their `model.`).

use candle_core::DType;
use candle_core::Device;
use candle_core::Result;
use candle_core::Tensor;
use candle_nn::VarBuilder;
use half::slice::HalfFloatSliceExt as _;
use serde::Deserialize;
use serde::Serialize;

use super::heads;
use super::heads::Dropout;
use super::heads::Head;
use super::heads::HeadConfig;
use super::heads::Init;
use super::heads::Parameter;
use super::heads::Regressor;
use super::layers::linear;
use crate::domain::Features;
use crate::domain::HeadSettings;
use crate::domain::Pooling;

/// Everything that fixes a predictor's shapes; stored as JSON beside its weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PredictorConfig {
    /// Width of the hidden states that it reads.
    pub hidden_in: usize,
    /// The head; in the JSON its kind is a key of this object, as `xlstm` was before there were others.
    #[serde(flatten)]
    pub head: HeadConfig,
    /// From a sequence to one vector.
    #[serde(default)]
    pub pooling: Pooling,
    /// Width of the regression's hidden layer.
    pub head_dim: usize,
}

impl PredictorConfig {
    /// The published xLSTM over hidden states of width `hidden_in`, at a width and length of choice.
    pub fn new(hidden_in: usize, dim: usize, context_length: usize) -> Self {
        let settings = HeadSettings {
            dim,
            ..HeadSettings::default()
        };
        Self::of(&settings, hidden_in, context_length)
    }

    /// The published head of a kind over hidden states of width `hidden_in`.
    pub fn of(settings: &HeadSettings, hidden_in: usize, context_length: usize) -> Self {
        Self {
            hidden_in,
            head: HeadConfig::new(settings, context_length),
            pooling: HeadConfig::pooling(settings),
            head_dim: heads::hidden_dim(settings.kind, settings.dim),
        }
    }

    /// Longest sequence; longer ones are cut.
    pub const fn context_length(&self) -> usize {
        self.head.context_length()
    }

    /// Head and pooling in words, for the card.
    pub fn words(&self) -> String {
        format!("{}, {} pooling", self.head.words(), self.pooling.name())
    }

    /// Why these dimensions do not fit together, if they do not.
    pub fn problem(&self) -> Option<String> {
        if self.hidden_in == 0 {
            return Some("a predictor reads hidden states of width 1 at least".to_owned());
        }
        self.head.problem()
    }

    /// Every weight with its first values, for targets of this mean and deviation: the last layer starts at the mean
    /// and moves in units of the deviation, so that a scale of 0-100 is learned as fast as one of 0-5.
    pub fn parameters(&self, target_mean: f64, target_deviation: f64) -> Vec<Parameter> {
        let (dim, hidden) = (self.head.dim(), self.hidden_in);
        let mut list = vec![
            Parameter::new("W.weight", &[dim, hidden], heads::xavier(hidden, dim)),
            Parameter::new("W.bias", &[dim], Init::Constant(0.0)),
        ];
        list.extend(self.head.parameters());
        list.extend(heads::regression(
            &self.head,
            self.head_dim,
            target_mean,
            target_deviation,
        ));
        list
    }
}

/// The weights at work.
#[derive(Debug, Clone)]
pub(crate) struct Network {
    projection: (Tensor, Tensor),
    head: Head,
    pooling: Pooling,
    regressor: Regressor,
}

impl Network {
    pub(crate) fn new(config: &PredictorConfig, vb: &VarBuilder<'_>) -> Result<Self> {
        let dim = config.head.dim();
        let projection = vb.pp("W");
        Ok(Self {
            projection: (
                projection.get((dim, config.hidden_in), "weight")?,
                projection.get(dim, "bias")?,
            ),
            head: Head::new(&config.head, vb)?,
            pooling: config.pooling,
            regressor: Regressor::new(&config.head, config.head_dim, vb)?,
        })
    }

    /// Scores `(batch)` of a batch. Padding changes none of them: heads that look ahead are told the lengths, the others
    /// are causal, and poolings see each sequence's own tokens only.
    pub(crate) fn forward(&self, batch: &Batch, dropout: &Dropout) -> Result<Tensor> {
        let raise = |x: &Tensor| linear(x, &self.projection.0, Some(&self.projection.1));
        // Without a head between them, projection and a mean over tokens may change places: the mean is taken first.
        if self.head.is_nothing() && self.pooling != Pooling::Max {
            let pooled = heads::pool(&batch.hidden, &batch.lengths, self.pooling)?;
            return self.regressor.forward(&raise(&pooled)?, dropout);
        }
        // 1. Hidden states to the width of the head: (batch, seq, dim).
        let x = raise(&batch.hidden)?;
        self.forward_projected(&x, batch, dropout)
    }

    /// The same behind the projection.
    pub(crate) fn forward_projected(
        &self,
        x: &Tensor,
        batch: &Batch,
        dropout: &Dropout,
    ) -> Result<Tensor> {
        // 2. The head: (batch, seq, out_dim).
        let x = self.head.forward(x, &batch.lengths, dropout)?;
        // 3. One vector a sequence, and its score.
        let pooled = heads::pool(&x, &batch.lengths, self.pooling)?;
        self.regressor.forward(&pooled, dropout)
    }
}

/// Sequences padded to one length.
#[derive(Debug, Clone)]
pub(crate) struct Batch {
    /// `(batch, seq, hidden)`, zeros behind each sequence.
    hidden: Tensor,
    /// Tokens of each sequence.
    lengths: Vec<usize>,
}

impl Batch {
    /// `(batch, seq, hidden)`.
    pub(crate) const fn hidden(&self) -> &Tensor {
        &self.hidden
    }

    /// Rows of the batch, padding among them.
    pub(crate) fn num_rows(&self) -> usize {
        self.hidden.dims().iter().take(2).product()
    }

    /// Pads features of equal width; each is cut at `context_length` tokens.
    pub(crate) fn new(features: &[&Features], context_length: usize) -> Result<Self> {
        let lengths: Vec<usize> = features
            .iter()
            .map(|f| f.num_tokens.min(context_length))
            .collect();
        let seq = lengths.iter().copied().max().unwrap_or(0);
        let width = features.first().map_or(0, |f| f.hidden);
        let mut hidden = vec![0.0_f32; features.len() * seq * width];
        for (row, (features, &length)) in features.iter().zip(&lengths).enumerate() {
            let out = &mut hidden[row * seq * width..][..length * width];
            features.values[..length * width].convert_to_f32_slice(out);
        }
        Ok(Self {
            hidden: Tensor::from_vec(hidden, (features.len(), seq, width), &Device::Cpu)?,
            lengths,
        })
    }

    /// One sequence of single precision, `width` numbers a token, cut at `context_length` tokens.
    #[cfg(test)]
    pub(crate) fn single(hidden: &[f32], width: usize, context_length: usize) -> Result<Self> {
        let length = (hidden.len() / width).min(context_length);
        let hidden = &hidden[..length * width];
        Ok(Self {
            hidden: Tensor::from_slice(hidden, (1, length, width), &Device::Cpu)?,
            lengths: vec![length],
        })
    }
}

/// A builder over tensors in memory, on the CPU in single precision.
pub(crate) fn builder(tensors: std::collections::HashMap<String, Tensor>) -> VarBuilder<'static> {
    VarBuilder::from_tensors(tensors, DType::F32, &Device::Cpu)
}
