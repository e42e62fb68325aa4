//! The last maps of a predictor: a pooled vector in, one score out.

use candle_core::Result;
use candle_core::Tensor;
use candle_nn::VarBuilder;

use super::Dropout;
use super::HeadConfig;
use super::Init;
use super::Parameter;
use super::dropout::RATE;
use super::parameter::by_fan_in;
use crate::domain::HeadKind;
use crate::ml::layers::linear;

/// Narrowest hidden layer: a small head keeps the published xLSTM's.
const NARROWEST: usize = 128;

/// Maps of the published head of this kind.
#[derive(Debug, Clone, Copy)]
struct Shape {
    /// Width of the hidden layer as published, at a width of 512.
    published: usize,
    /// Whether values are left out behind the first map while learning.
    has_dropout: bool,
    /// Whether a ReLU stands between the maps.
    has_relu: bool,
    /// Names of the maps in the published state dict.
    names: [&'static str; 2],
}

impl Shape {
    /// `None`: a single map.
    const fn of(kind: HeadKind) -> Option<Self> {
        match kind {
            HeadKind::Xlstm => Some(Self {
                published: 128,
                has_dropout: false,
                has_relu: true,
                names: ["fc.0", "fc.2"],
            }),
            HeadKind::Lstm | HeadKind::Gru => Some(Self {
                published: 256,
                has_dropout: true,
                has_relu: true,
                names: ["fc.0", "fc.3"],
            }),
            HeadKind::Transformer | HeadKind::Mamba2 => Some(Self {
                published: 256,
                has_dropout: false,
                has_relu: false,
                names: ["fc.0", "fc.1"],
            }),
            HeadKind::Mlp => None,
        }
    }
}

/// Name of the single map.
const ONLY: &str = "fc.1";

/// Width of the hidden layer that goes with a head: the published one in proportion to the width.
pub(crate) fn hidden_dim(kind: HeadKind, dim: usize) -> usize {
    Shape::of(kind).map_or(0, |shape| (shape.published * dim / 512).max(NARROWEST))
}

/// Weights with their first values, for targets of this mean and deviation: the last map starts at the mean and moves
/// in units of the deviation, so that a scale of 0-100 is learned as fast as one of 0-5.
pub(crate) fn regression(
    config: &HeadConfig,
    hidden: usize,
    mean: f64,
    deviation: f64,
) -> Vec<Parameter> {
    let inputs = config.out_dim();
    let last = |name: &str, width: usize| {
        let bound = deviation / (width as f64).sqrt();
        [
            Parameter::new(format!("{name}.weight"), &[1, width], Init::Uniform(bound)),
            Parameter::new(format!("{name}.bias"), &[1], Init::Constant(mean)),
        ]
    };
    let Some(shape) = Shape::of(config.kind()) else {
        return last(ONLY, inputs).into();
    };
    // PyTorch's default for linear layers.
    let [first, second] = shape.names;
    let mut list = vec![
        Parameter::new(
            format!("{first}.weight"),
            &[hidden, inputs],
            by_fan_in(inputs),
        ),
        Parameter::new(format!("{first}.bias"), &[hidden], by_fan_in(inputs)),
    ];
    list.extend(last(second, hidden));
    list
}

/// The maps at work.
#[derive(Debug, Clone)]
pub(crate) struct Regressor {
    /// The first map, where there are two.
    first: Option<(Shape, Tensor, Tensor)>,
    last: (Tensor, Tensor),
}

impl Regressor {
    pub(crate) fn new(config: &HeadConfig, hidden: usize, vb: &VarBuilder<'_>) -> Result<Self> {
        let map = |name: &str, out: usize, inputs: usize| -> Result<(Tensor, Tensor)> {
            let vb = vb.pp(name);
            Ok((vb.get((out, inputs), "weight")?, vb.get(out, "bias")?))
        };
        let inputs = config.out_dim();
        Ok(match Shape::of(config.kind()) {
            Some(shape) => {
                let (weight, bias) = map(shape.names[0], hidden, inputs)?;
                Self {
                    first: Some((shape, weight, bias)),
                    last: map(shape.names[1], 1, hidden)?,
                }
            }
            None => Self {
                first: None,
                last: map(ONLY, 1, inputs)?,
            },
        })
    }

    /// `(batch, width)` to `(batch)`.
    pub(crate) fn forward(&self, pooled: &Tensor, dropout: &Dropout) -> Result<Tensor> {
        let mut x = pooled.clone();
        if let Some((shape, weight, bias)) = &self.first {
            x = linear(&x, weight, Some(bias))?;
            if shape.has_dropout {
                x = dropout.apply(&x, RATE)?;
            }
            if shape.has_relu {
                x = x.relu()?;
            }
        }
        linear(&x, &self.last.0, Some(&self.last.1))?.squeeze(1)
    }
}
