//! Weights read by memory map, so that a model of many gigabytes opens at once and is paged in as it is used.

use std::path::PathBuf;

use candle_core::{DType, Device, Result};
use candle_nn::VarBuilder;

/// Safetensors files mapped into memory.
#[derive(Clone)]
pub struct MappedWeights {
    files: Vec<PathBuf>,
}

impl MappedWeights {
    /// Weights of these safetensors files; later files win where names repeat.
    pub const fn new(files: Vec<PathBuf>) -> Self {
        Self { files }
    }

    /// A builder whose tensors are converted to `dtype` on `device` as they are asked for.
    ///
    /// # Errors
    /// A file that cannot be opened or is no safetensors file.
    #[expect(
        unsafe_code,
        reason = "mapping a file is unsafe by nature; this is the one place that does it"
    )]
    pub fn builder(&self, dtype: DType, device: &Device) -> Result<VarBuilder<'static>> {
        // SAFETY: model files are only ever read by this program and replaced by rename, so that the bytes under a
        // mapping do not change while it lives.
        unsafe { VarBuilder::from_mmaped_safetensors(&self.files, dtype, device) }
    }
}

/// A builder over safetensors that are in memory already, such as those inside the binary.
///
/// # Errors
/// Bytes that are no safetensors file.
pub fn builder_from_bytes(
    bytes: &[u8],
    dtype: DType,
    device: &Device,
) -> Result<VarBuilder<'static>> {
    VarBuilder::from_buffered_safetensors(bytes.to_vec(), dtype, device)
}
