//! Weights on their way into a backbone: read by the backbone's own names from wherever they are, and put into the
//! form that was asked for, one tensor after the other.
//!
//! A backbone asks [`Weights`] for vectors and small tensors by [`Weights::get`] and for every matrix by
//! [`Weights::matrix`]; it never learns whether they came from safetensors, a pickle or a GGUF file, or whether an
//! adapter was merged on the way.

mod census;
mod files;
mod form;
mod matrix;
mod memory;

use std::fmt::Display;
use std::sync::Arc;

use candle_core::quantized::QTensor;
use candle_core::{DType, Device, Result, Shape, Tensor};

pub use census::{Census, Slot, Wanted};
pub use files::SafetensorsFiles;
pub use form::Form;
pub use matrix::Matrix;
pub use memory::{SafetensorsBytes, TensorMap};

/// Where tensors are read from, under a backbone's own names.
pub trait Source: Send + Sync {
    /// Shape of a tensor; `None` where there is none of this name.
    fn shape(&self, name: &str) -> Option<Vec<usize>>;

    /// Holds a name and a shape against what is there. `is_matrix` says how the tensor will be kept.
    ///
    /// # Errors
    /// A missing or wrongly shaped tensor, named.
    fn expect(&self, name: &str, shape: &[usize], is_matrix: bool) -> Result<()> {
        let _ = is_matrix;
        match self.shape(name) {
            Some(found) if found == shape => Ok(()),
            Some(found) => candle_core::bail!(
                "the weights hold {name} as {found:?}, expected {shape:?}: they belong to another model or \
                 configuration"
            ),
            None => candle_core::bail!("the weights lack {name} {shape:?}"),
        }
    }

    /// A tensor as it is stored, on the CPU.
    ///
    /// # Errors
    /// A name that is not there, or bytes that cannot be read.
    fn read(&self, name: &str) -> Result<Tensor>;

    /// A matrix that is stored quantised, as it is; `None` for everything else.
    ///
    /// # Errors
    /// Bytes that cannot be read.
    fn read_quantised(&self, name: &str, device: &Device) -> Result<Option<QTensor>> {
        let _ = (name, device);
        Ok(None)
    }

    /// Every name, in order.
    fn names(&self) -> Vec<String>;
}

/// A view on a source below a prefix, with the form that matrices get and the device that they go to.
#[derive(Clone)]
pub struct Weights {
    source: Arc<dyn Source>,
    prefix: String,
    form: Form,
    device: Device,
}

impl Weights {
    /// Weights of a source, to be used on `device` in `form`.
    pub fn new(source: Arc<dyn Source>, form: Form, device: &Device) -> Self {
        Self {
            source,
            prefix: String::new(),
            form,
            device: device.clone(),
        }
    }

    /// Tensors in memory as they are: variables stay variables, so that gradients reach them.
    pub fn from_tensors(tensors: std::collections::HashMap<String, Tensor>) -> Self {
        Self::new(Arc::new(TensorMap::new(tensors)), Form::F32, &Device::Cpu)
    }

    /// The weights whose names begin with `part` and a dot.
    pub fn pp(&self, part: impl Display) -> Self {
        Self {
            prefix: self.full(&part.to_string()),
            ..self.clone()
        }
    }

    /// The device that weights go to.
    pub const fn device(&self) -> &Device {
        &self.device
    }

    /// What activations are computed in.
    pub const fn dtype(&self) -> DType {
        self.form.activations(&self.device)
    }

    /// Whether there is such a tensor.
    pub fn contains(&self, name: &str) -> bool {
        self.source.shape(&self.full(name)).is_some()
    }

    /// A plain tensor in the activations' type.
    ///
    /// # Errors
    /// A missing or wrongly shaped tensor, named.
    pub fn get(&self, shape: impl Into<Shape>, name: &str) -> Result<Tensor> {
        let full = self.full(name);
        self.source.expect(&full, shape.into().dims(), false)?;
        let stored = self.source.read(&full)?;
        stored.to_device(&self.device)?.to_dtype(self.dtype())
    }

    /// The matrix `(out, width)` of a linear layer or an embedding.
    ///
    /// # Errors
    /// A missing or wrongly shaped tensor, named.
    pub fn matrix(&self, (out, width): (usize, usize), name: &str) -> Result<Matrix> {
        let full = self.full(name);
        self.source.expect(&full, &[out, width], true)?;
        if let Some(stored) = self.source.read_quantised(&full, &self.device)? {
            return Ok(Matrix::from_stored(stored, self.dtype()));
        }
        self.put(&self.source.read(&full)?, &full)
    }

    /// A matrix that is made out of a stored tensor of any shape: a part of it, or its transpose.
    ///
    /// # Errors
    /// A missing or wrongly shaped tensor, named; whatever `make` answers.
    pub fn matrix_of(
        &self,
        shape: impl Into<Shape>,
        name: &str,
        make: impl FnOnce(Tensor) -> Result<Tensor>,
    ) -> Result<Matrix> {
        let full = self.full(name);
        self.source.expect(&full, shape.into().dims(), true)?;
        self.put(&make(self.source.read(&full)?)?, &full)
    }

    fn put(&self, tensor: &Tensor, full: &str) -> Result<Matrix> {
        let kind = self.form.kind_of(full, tensor.dims());
        Matrix::new(tensor, kind, self.dtype(), &self.device)
            .map_err(|error| error.context(full.to_owned()))
    }

    fn full(&self, name: &str) -> String {
        if self.prefix.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.prefix)
        }
    }
}
