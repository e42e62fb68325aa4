//! `P (W h) + b = (P W) h + b`: the projection of logits and the head of the model as one matrix.

use candle_core::{DType, Tensor};

use crate::ml::MlError;
use crate::ml::vlm::weights::NamedMatrix;

/// Rows of the head that are multiplied at once: 128 MB at the published width.
const ROWS: usize = 8192;

/// The matrix `(vocabulary, hidden)` that makes logits of hidden states, read some rows at a time.
pub trait HeadMatrix {
    /// Vocabulary and width.
    fn shape(&self) -> (usize, usize);

    /// Some rows in single precision, on the CPU.
    ///
    /// # Errors
    /// Rows that cannot be read.
    fn rows(&self, start: usize, len: usize) -> candle_core::Result<Tensor>;
}

impl HeadMatrix for Tensor {
    fn shape(&self) -> (usize, usize) {
        self.dims2().unwrap_or_default()
    }

    fn rows(&self, start: usize, len: usize) -> candle_core::Result<Tensor> {
        let rows = self.narrow(0, start, len)?;
        rows.to_device(&candle_core::Device::Cpu)?
            .to_dtype(DType::F32)
    }
}

impl HeadMatrix for NamedMatrix {
    fn shape(&self) -> (usize, usize) {
        match self.0.shape(&self.1).as_deref() {
            Some([vocabulary, hidden]) => (*vocabulary, *hidden),
            _ => (0, 0),
        }
    }

    fn rows(&self, start: usize, len: usize) -> candle_core::Result<Tensor> {
        self.0.read_rows(&self.1, start, len)?.to_dtype(DType::F32)
    }
}

/// `projection (dim, vocabulary) @ head (vocabulary, hidden)`, summed over parts of the vocabulary, so that the head
/// is never there whole.
pub(super) fn fold(
    projection: &Tensor,
    head: &dyn HeadMatrix,
    hidden: usize,
    alive: &mut dyn FnMut() -> Result<(), MlError>,
) -> Result<Tensor, MlError> {
    let (dim, vocabulary) = projection.dims2()?;
    let mut sum = Tensor::zeros((dim, hidden), DType::F32, projection.device())?;
    for start in (0..vocabulary).step_by(ROWS) {
        alive()?;
        let len = ROWS.min(vocabulary - start);
        let part = projection.narrow(1, start, len)?.contiguous()?;
        sum = (sum + part.matmul(&head.rows(start, len)?)?)?;
    }
    Ok(sum)
}
