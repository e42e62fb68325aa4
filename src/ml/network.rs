//! The network of a predictor: folded projection, xLSTM stack, mean over the tokens, two-layer head.
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

use super::heads::xlstm::Init;
use super::heads::xlstm::Parameter;
use super::heads::xlstm::XlstmConfig;
use super::heads::xlstm::XlstmStack;
use super::layers::linear;
use crate::domain::Features;

/// Everything that fixes a predictor's shapes; stored as JSON beside its weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PredictorConfig {
    /// Width of the hidden states that it reads.
    pub hidden_in: usize,
    /// The stack.
    pub xlstm: XlstmConfig,
    /// Width of the head's hidden layer.
    pub head_dim: usize,
}

impl PredictorConfig {
    /// The published architecture over hidden states of width `hidden_in`, at a width and length of choice.
    pub fn new(hidden_in: usize, dim: usize, context_length: usize) -> Self {
        Self {
            hidden_in,
            xlstm: XlstmConfig::m3_agiqa(dim, context_length),
            head_dim: 128,
        }
    }

    /// Head and pooling in words, for the card.
    pub fn words(&self) -> String {
        format!("xLSTM {}, mean pooling", self.xlstm.pattern())
    }

    /// Every weight with its first values, for targets of this mean and deviation: the last layer starts at the mean
    /// and moves in units of the deviation, so that a scale of 0-100 is learned as fast as one of 0-5.
    pub fn parameters(&self, target_mean: f64, target_deviation: f64) -> Vec<Parameter> {
        let (dim, hidden) = (self.xlstm.dim, self.hidden_in);
        let xavier = (6.0 / (dim + hidden) as f64).sqrt();
        let mut list = vec![
            Parameter::new("W.weight", &[dim, hidden], Init::Uniform(xavier)),
            Parameter::new("W.bias", &[dim], Init::Constant(0.0)),
        ];
        list.extend(self.xlstm.parameters().into_iter().map(|mut parameter| {
            parameter.name = format!("{STACK}.{}", parameter.name);
            parameter
        }));
        // PyTorch's default for linear layers.
        let first = 1.0 / (dim as f64).sqrt();
        let last = target_deviation / (self.head_dim as f64).sqrt();
        let inner = self.head_dim;
        list.push(Parameter::new(
            "fc.0.weight",
            &[inner, dim],
            Init::Uniform(first),
        ));
        list.push(Parameter::new("fc.0.bias", &[inner], Init::Uniform(first)));
        list.push(Parameter::new(
            "fc.2.weight",
            &[1, inner],
            Init::Uniform(last),
        ));
        list.push(Parameter::new(
            "fc.2.bias",
            &[1],
            Init::Constant(target_mean),
        ));
        list
    }
}

/// Name of the stack in the published state dict.
const STACK: &str = "xlstm_pooler.xlstm_stack";

/// The weights at work.
#[derive(Debug, Clone)]
pub(crate) struct Network {
    projection: (Tensor, Tensor),
    stack: XlstmStack,
    first: (Tensor, Tensor),
    last: (Tensor, Tensor),
}

impl Network {
    pub(crate) fn new(config: &PredictorConfig, vb: &VarBuilder<'_>) -> Result<Self> {
        let layer = |name: &str, out: usize, width: usize| -> Result<(Tensor, Tensor)> {
            let vb = vb.pp(name);
            Ok((vb.get((out, width), "weight")?, vb.get(out, "bias")?))
        };
        let dim = config.xlstm.dim;
        Ok(Self {
            projection: layer("W", dim, config.hidden_in)?,
            stack: XlstmStack::new(&config.xlstm, &vb.pp(STACK))?,
            first: layer("fc.0", config.head_dim, dim)?,
            last: layer("fc.2", 1, config.head_dim)?,
        })
    }

    /// Scores `(batch)` of a batch.
    pub(crate) fn forward(&self, batch: &Batch) -> Result<Tensor> {
        // 1. Hidden states to the width of the stack: (batch, seq, dim).
        let x = linear(&batch.hidden, &self.projection.0, Some(&self.projection.1))?;
        // 2. The stack; causal, so padding at the end reaches no token before it.
        let x = self.stack.forward(&x)?;
        // 3. Mean over each sequence's own tokens: (batch, 1, seq) x (batch, seq, dim).
        let pooled = batch.mean.matmul(&x)?.squeeze(1)?;
        // 4. Head: (batch, 1).
        let x = linear(&pooled, &self.first.0, Some(&self.first.1))?.relu()?;
        linear(&x, &self.last.0, Some(&self.last.1))?.squeeze(1)
    }
}

/// Sequences padded to one length.
#[derive(Debug, Clone)]
pub(crate) struct Batch {
    /// `(batch, seq, hidden)`, zeros behind each sequence.
    hidden: Tensor,
    /// `(batch, 1, seq)`: one over the sequence's length on its tokens, 0 on the padding.
    mean: Tensor,
}

impl Batch {
    /// Pads features of equal width; each is cut at `context_length` tokens.
    pub(crate) fn new(features: &[&Features], context_length: usize) -> Result<Self> {
        let lengths: Vec<usize> = features
            .iter()
            .map(|f| f.num_tokens.min(context_length))
            .collect();
        let seq = lengths.iter().copied().max().unwrap_or(0);
        let width = features.first().map_or(0, |f| f.hidden);
        let mut hidden = vec![0.0_f32; features.len() * seq * width];
        let mut mean = vec![0.0_f32; features.len() * seq];
        for (row, (features, &length)) in features.iter().zip(&lengths).enumerate() {
            let out = &mut hidden[row * seq * width..][..length * width];
            features.values[..length * width].convert_to_f32_slice(out);
            mean[row * seq..][..length].fill(1.0 / length as f32);
        }
        let device = Device::Cpu;
        Ok(Self {
            hidden: Tensor::from_vec(hidden, (features.len(), seq, width), &device)?,
            mean: Tensor::from_vec(mean, (features.len(), 1, seq), &device)?,
        })
    }
}

/// A builder over tensors in memory, on the CPU in single precision.
pub(crate) fn builder(tensors: std::collections::HashMap<String, Tensor>) -> VarBuilder<'static> {
    VarBuilder::from_tensors(tensors, DType::F32, &Device::Cpu)
}
