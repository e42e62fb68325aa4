//! Bidirectional LSTM and GRU, several layers one on the other.
//!
//! Names, shapes, gates and first values are those of PyTorch's `nn.LSTM` and `nn.GRU`; layers have no dropout between
//! them. Both directions of a layer are heads of one scan, and the backward one begins at each sequence's own last
//! token.
//!
//! **Source** S. Hochreiter, J. Schmidhuber, "Long short-term memory", 1997; K. Cho et al., arXiv 1406.1078; the
//! documentation of PyTorch 2.

mod cells;

use candle_core::Result;
use candle_core::Tensor;
use candle_nn::VarBuilder;
use serde::Deserialize;
use serde::Serialize;

use super::Init;
use super::Parameter;
use super::parameter::by_fan_in;
use crate::ml::layers::linear;
use crate::ml::layers::scan::Course;
use crate::ml::layers::scan::scan;

/// The cell of a [`RecurrentStack`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RecurrentKind {
    Lstm,
    Gru,
}

impl RecurrentKind {
    const fn gates(self) -> usize {
        match self {
            Self::Lstm => 4,
            Self::Gru => 3,
        }
    }
}

/// Everything that fixes the shapes of a stack of recurrent layers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RecurrentConfig {
    /// Width of the input, and of each direction's output.
    pub dim: usize,
    /// Layers one on the other.
    pub num_layers: usize,
    /// Longest sequence.
    pub context_length: usize,
}

const DIRECTIONS: [&str; 2] = ["", "_reverse"];

impl RecurrentConfig {
    /// Width of what comes out: both directions.
    pub const fn out_dim(&self) -> usize {
        2 * self.dim
    }

    pub(crate) fn parameters(&self, kind: RecurrentKind) -> Vec<Parameter> {
        let rows = kind.gates() * self.dim;
        let init = || -> Init { by_fan_in(self.dim) };
        let mut list = Vec::new();
        for layer in 0..self.num_layers {
            let inputs = self.inputs(layer);
            for direction in DIRECTIONS {
                let mut push = |name: &str, shape: &[usize]| {
                    let name = format!("{name}_l{layer}{direction}");
                    list.push(Parameter::new(name, shape, init()));
                };
                push("weight_ih", &[rows, inputs]);
                push("weight_hh", &[rows, self.dim]);
                push("bias_ih", &[rows]);
                push("bias_hh", &[rows]);
            }
        }
        list
    }

    const fn inputs(&self, layer: usize) -> usize {
        if layer == 0 { self.dim } else { self.out_dim() }
    }
}

/// Weights of a stack.
#[derive(Debug, Clone)]
pub(crate) struct RecurrentStack {
    kind: RecurrentKind,
    layers: Vec<Layer>,
}

/// Weights of one layer; the backward direction's stand second.
#[derive(Debug, Clone)]
struct Layer {
    input: [Tensor; 2],
    input_bias: [Tensor; 2],
    recurrent: [Tensor; 2],
    recurrent_bias: [Tensor; 2],
}

impl RecurrentStack {
    pub(crate) fn new(
        config: &RecurrentConfig,
        kind: RecurrentKind,
        vb: &VarBuilder<'_>,
    ) -> Result<Self> {
        let rows = kind.gates() * config.dim;
        let layer = |layer: usize| -> Result<Layer> {
            let matrix = |name: &str, inputs: usize| -> Result<[Tensor; 2]> {
                let [a, b] = DIRECTIONS.map(|direction| {
                    vb.get((rows, inputs), &format!("{name}_l{layer}{direction}"))
                });
                Ok([a?, b?])
            };
            let bias = |name: &str| -> Result<[Tensor; 2]> {
                let [a, b] = DIRECTIONS
                    .map(|direction| vb.get(rows, &format!("{name}_l{layer}{direction}")));
                Ok([a?, b?])
            };
            Ok(Layer {
                input: matrix("weight_ih", config.inputs(layer))?,
                input_bias: bias("bias_ih")?,
                recurrent: matrix("weight_hh", config.dim)?,
                recurrent_bias: bias("bias_hh")?,
            })
        };
        let layers = (0..config.num_layers).map(layer).collect::<Result<_>>()?;
        Ok(Self { kind, layers })
    }

    /// `(batch, seq, dim)` to `(batch, seq, 2 * dim)`, zeros behind each sequence.
    pub(crate) fn forward(&self, x: &Tensor, lengths: &[usize]) -> Result<Tensor> {
        let mut x = x.clone();
        for layer in &self.layers {
            x = layer.forward(&x, lengths, self.kind)?;
        }
        Ok(x)
    }
}

impl Layer {
    fn forward(&self, x: &Tensor, lengths: &[usize], kind: RecurrentKind) -> Result<Tensor> {
        let gates = kind.gates();
        let (rows, inputs) = self.input[0].dims2()?;
        let width = rows / gates;
        // Gates outermost, then directions: (gates * 2 * width, inputs).
        let weight = Tensor::stack(&self.input, 0)?
            .reshape((2, gates, width, inputs))?
            .transpose(0, 1)?
            .reshape((2 * rows, inputs))?;
        let bias = Tensor::stack(&self.input_bias, 0)?
            .reshape((2, gates, width))?
            .transpose(0, 1)?
            .reshape(2 * rows)?;
        let wx = linear(x, &weight, Some(&bias))?;
        let recurrent = Tensor::stack(&self.recurrent, 0)?;
        let bias = Tensor::stack(&self.recurrent_bias, 0)?;
        let course = Course {
            lengths: lengths.to_vec(),
            reversed: vec![false, true],
        };
        match kind {
            RecurrentKind::Lstm => scan::<cells::Lstm>(&wx, &recurrent, &bias, course),
            RecurrentKind::Gru => scan::<cells::Gru>(&wx, &recurrent, &bias, course),
        }
    }
}
