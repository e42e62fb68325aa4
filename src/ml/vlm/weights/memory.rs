//! Tensors that are in memory already: those of a training run, and those inside the binary.

use std::collections::HashMap;

use candle_core::{DType, Device, Result, Tensor};
use safetensors::SafeTensors;

use super::Source;

/// Tensors by name, answered as they are.
pub struct TensorMap(HashMap<String, Tensor>);

impl TensorMap {
    /// Takes the tensors.
    pub const fn new(tensors: HashMap<String, Tensor>) -> Self {
        Self(tensors)
    }
}

impl Source for TensorMap {
    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.0.get(name).map(|tensor| tensor.dims().to_vec())
    }

    fn read(&self, name: &str) -> Result<Tensor> {
        match self.0.get(name) {
            Some(tensor) => Ok(tensor.clone()),
            None => candle_core::bail!("the weights lack {name}"),
        }
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.0.keys().cloned().collect();
        names.sort();
        names
    }
}

/// A safetensors file inside the binary.
pub struct SafetensorsBytes(SafeTensors<'static>);

impl SafetensorsBytes {
    /// Reads the header.
    ///
    /// # Errors
    /// Bytes that are no safetensors file.
    pub fn new(bytes: &'static [u8]) -> Result<Self> {
        Ok(Self(SafeTensors::deserialize(bytes)?))
    }
}

impl Source for SafetensorsBytes {
    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.0.tensor(name).ok().map(|view| view.shape().to_vec())
    }

    fn read(&self, name: &str) -> Result<Tensor> {
        let view = self.0.tensor(name)?;
        let dtype = DType::try_from(view.dtype())?;
        Tensor::from_raw_buffer(view.data(), dtype, view.shape(), &Device::Cpu)
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.0.names().into_iter().map(str::to_owned).collect();
        names.sort();
        names
    }
}
