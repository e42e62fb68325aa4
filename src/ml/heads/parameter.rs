//! A weight's name, shape and first values.

/// First values of a weight.
#[derive(Debug, Clone, PartialEq)]
pub enum Init {
    /// All the same.
    Constant(f64),
    /// Normal around 0 with this standard deviation.
    Normal(f64),
    /// Uniform between minus and plus this bound.
    Uniform(f64),
    /// These values, repeated until the weight is full.
    Values(Vec<f64>),
    /// The logarithm of a value drawn evenly between these bounds.
    LogOfUniform(f64, f64),
    /// What softplus makes a value of that is drawn between these bounds with an even logarithm.
    InverseSoftplus(f64, f64),
}

/// One weight.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// Name in the state dict.
    pub name: String,
    /// Shape.
    pub shape: Vec<usize>,
    /// First values.
    pub init: Init,
}

impl Parameter {
    /// Names one weight.
    pub fn new(name: impl Into<String>, shape: &[usize], init: Init) -> Self {
        Self {
            name: name.into(),
            shape: shape.to_vec(),
            init,
        }
    }

    /// The same weight with `prefix.` before its name.
    pub fn under(mut self, prefix: &str) -> Self {
        self.name = format!("{prefix}.{}", self.name);
        self
    }

    /// Number of its values.
    pub fn count(&self) -> usize {
        self.shape.iter().product()
    }
}

/// Bound of an even distribution by Glorot and Bengio (Xavier) for a map of `inputs` to `outputs`.
pub(crate) fn xavier(inputs: usize, outputs: usize) -> Init {
    Init::Uniform((6.0 / (inputs + outputs) as f64).sqrt())
}

/// PyTorch's default for linear maps of `inputs` values and their biases.
pub(crate) fn by_fan_in(inputs: usize) -> Init {
    Init::Uniform(1.0 / (inputs as f64).sqrt())
}
