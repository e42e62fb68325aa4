//! Weights on their way into a backbone: read by the backbone's own names from wherever they are, and put into the
//! form that was asked for, one tensor after the other.
//!
//! A backbone asks [`Weights`] for vectors and small tensors by [`Weights::get`] and for every matrix by
//! [`Weights::matrix`]; it never learns whether they came from safetensors, a pickle or a GGUF file, or whether an
//! adapter was merged on the way.

mod adapter;
mod blocks;
mod census;
mod files;
mod form;
pub mod gguf;
mod joined;
mod matrix;
mod memory;
mod packed_product;
mod pickle;
mod shelf;
mod tuned;

use std::collections::BTreeSet;
use std::fmt::Display;
use std::sync::Arc;

use candle_core::quantized::GgmlDType;
use candle_core::{DType, Device, Result, Shape, Tensor};

pub use adapter::{Adapter, AdapterConfig};
pub use census::{Census, Slot, Wanted};
pub use files::SafetensorsFiles;
pub use form::{Form, Kind};
pub use joined::Joined;
pub use matrix::{Matrix, PART_ELEMENTS};
pub use memory::{SafetensorsBytes, TensorMap};
pub use pickle::PickleFiles;
pub use shelf::Shelf;
pub use tuned::{TuneScope, Tuned};

use self::shelf::Share;

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

    /// Some rows of a tensor as it is stored, on the CPU.
    ///
    /// # Errors
    /// As [`Source::read`].
    fn read_rows(&self, name: &str, start: usize, len: usize) -> Result<Tensor> {
        self.read(name)?.narrow(0, start, len)
    }

    /// Whether rows are read without reading the whole tensor.
    fn has_cheap_rows(&self, name: &str) -> bool {
        let _ = name;
        false
    }

    /// The bytes of a matrix that is stored in blocks; `None` for everything else.
    ///
    /// # Errors
    /// Bytes that cannot be read.
    fn read_blocks(&self, name: &str) -> Result<Option<(GgmlDType, Vec<u8>)>> {
        let _ = name;
        Ok(None)
    }

    /// Every name, in order.
    fn names(&self) -> Vec<String>;
}

/// A source, and the name of one matrix in it.
pub type NamedMatrix = (Arc<dyn Source>, String);

/// A view on a source below a prefix, with the form that matrices get and the device that they go to.
#[derive(Clone)]
pub struct Weights {
    source: Arc<dyn Source>,
    prefix: String,
    form: Form,
    device: Device,
    share: Option<Share>,
    tuned: Option<Arc<Tuned>>,
    rounds: bool,
}

impl Weights {
    /// Weights of a source, to be used on `device` in `form`.
    pub fn new(source: Arc<dyn Source>, form: Form, device: &Device) -> Self {
        Self {
            source,
            prefix: String::new(),
            form,
            device: device.clone(),
            share: None,
            tuned: None,
            rounds: false,
        }
    }

    /// Plain matrices round what they multiply to 16 bits, where the CPU has tiles for that: for training from nothing,
    /// where speed counts and the third digit does not.
    #[must_use]
    pub fn rounded(self) -> Self {
        Self {
            rounds: true,
            ..self
        }
    }

    /// Takes what is there already from a shelf, and puts the rest there; `own` are the names that belong to this model
    /// alone.
    pub fn with_shelf(self, shelf: &Arc<Shelf>, own: BTreeSet<String>) -> Self {
        Self {
            share: Some(Share::new(shelf.clone(), Arc::new(own))),
            ..self
        }
    }

    /// For training: what `tuned` names is made variables, and no gradient is computed for any other matrix.
    pub fn with_tuned(self, tuned: &Arc<Tuned>) -> Self {
        Self {
            tuned: Some(tuned.clone()),
            ..self
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
        if let Some(trained) = self.whole(&full)? {
            return Ok(trained);
        }
        Share::tensor(self.share.as_ref(), &full, || {
            let stored = self.source.read(&full)?;
            stored.to_device(&self.device)?.to_dtype(self.dtype())
        })
    }

    /// The matrix `(out, width)` of a linear layer or an embedding.
    ///
    /// # Errors
    /// A missing or wrongly shaped tensor, named.
    pub fn matrix(&self, (out, width): (usize, usize), name: &str) -> Result<Matrix> {
        let full = self.full(name);
        self.source.expect(&full, &[out, width], true)?;
        if let Some(trained) = self.whole(&full)? {
            return Matrix::plain(trained);
        }
        let stored = Share::matrix(self.share.as_ref(), &full, || {
            self.load(&full, (out, width))
        })?;
        let Some(tuned) = &self.tuned else {
            return Ok(stored);
        };
        let place = (self.dtype(), &self.device);
        Ok(match tuned.low_rank(&full, (out, width), place)? {
            Some(change) => stored.adapted(change),
            None => stored.frozen(),
        })
    }

    /// The tensor of a module that is trained whole.
    fn whole(&self, full: &str) -> Result<Option<Tensor>> {
        let Some(tuned) = &self.tuned else {
            return Ok(None);
        };
        let place = (self.dtype(), &self.device);
        tuned.whole(full, place, || self.source.read(full))
    }

    fn load(&self, full: &str, (out, width): (usize, usize)) -> Result<Matrix> {
        let (dtype, device) = (self.dtype(), &self.device);
        let loaded = match (
            self.source.read_blocks(full)?,
            self.form.kind_of(full, &[out, width]),
        ) {
            (Some((blocks, bytes)), _) => {
                Matrix::from_bytes((out, width), blocks, &bytes, dtype, device)
            }
            (None, Kind::Blocks(blocks)) if self.source.has_cheap_rows(full) => {
                let rows = |start, len| self.source.read_rows(full, start, len);
                Matrix::blocks((out, width), blocks, dtype, device, &rows)
            }
            (None, Kind::Plain(kept)) if self.source.has_cheap_rows(full) => {
                let rows = |start, len| self.source.read_rows(full, start, len);
                Matrix::plain_rows((out, width), kept, dtype, device, &rows)
            }
            (None, _) => return self.put(&self.source.read(full)?, full),
        };
        loaded.map_err(|error| error.context(full.to_owned()))
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
        if let Some(trained) = self.whole(&full)? {
            return Matrix::plain(make(trained)?);
        }
        let made = self.put(&make(self.source.read(&full)?)?, &full)?;
        Ok(match self.tuned {
            Some(_) => made.frozen(),
            None => made,
        })
    }

    fn put(&self, tensor: &Tensor, full: &str) -> Result<Matrix> {
        let kind = self.form.kind_of(full, tensor.dims());
        let matrix = Matrix::new(tensor, kind, self.dtype(), &self.device)
            .map_err(|error| error.context(full.to_owned()))?;
        Ok(if self.rounds {
            matrix.rounded()
        } else {
            matrix
        })
    }

    fn full(&self, name: &str) -> String {
        if self.prefix.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.prefix)
        }
    }
}
