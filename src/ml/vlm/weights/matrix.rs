//! A matrix of weights in whatever form it is kept.

use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{DType, Device, Result, Tensor};

use super::form::Kind;

/// The matrix `(out, width)` of a linear layer or an embedding.
#[derive(Debug, Clone)]
pub struct Matrix(Kept);

#[derive(Debug, Clone)]
enum Kept {
    /// In the activations' own type: differentiable, so training has nothing else.
    Plain(Tensor),
    /// Narrower than the activations; widened as it is used.
    Narrow(Tensor, DType),
    /// In blocks. Products are computed from single precision.
    Blocks(std::sync::Arc<QTensor>, DType),
}

impl Matrix {
    /// Puts a tensor `(out, width)` of the CPU into a form on a device.
    ///
    /// # Errors
    /// A tensor that is no matrix, or a width that the blocks do not divide.
    pub(super) fn new(
        tensor: &Tensor,
        kind: Kind,
        activations: DType,
        device: &Device,
    ) -> Result<Self> {
        tensor.dims2()?;
        Ok(Self(match kind {
            Kind::Plain(dtype) if dtype == activations => {
                Kept::Plain(tensor.to_device(device)?.to_dtype(dtype)?)
            }
            Kind::Plain(dtype) => Kept::Narrow(
                tensor.to_dtype(dtype)?.contiguous()?.to_device(device)?,
                activations,
            ),
            Kind::Blocks(kind) => {
                let blocks = QTensor::quantize_onto(&tensor.contiguous()?, kind, device)?;
                Kept::Blocks(std::sync::Arc::new(blocks), activations)
            }
        }))
    }

    /// A plain tensor, kept as it is.
    ///
    /// # Errors
    /// A tensor that is no matrix.
    pub fn plain(tensor: Tensor) -> Result<Self> {
        tensor.dims2()?;
        Ok(Self(Kept::Plain(tensor)))
    }

    /// A matrix that a file holds in blocks.
    pub(super) fn from_stored(stored: QTensor, activations: DType) -> Self {
        Self(Kept::Blocks(std::sync::Arc::new(stored), activations))
    }

    /// `x (.., width)` to `(.., out)`: `x @ self^T`.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let mut dims = x.dims().to_vec();
        let Some(width) = dims.pop() else {
            candle_core::bail!("a number has no last dimension to multiply")
        };
        // One product over all rows: candle would repeat the weights for each batch.
        let rows = x.reshape((dims.iter().product::<usize>(), width))?;
        let out = match &self.0 {
            Kept::Plain(weight) => rows.matmul(&weight.t()?)?,
            Kept::Narrow(weight, activations) => {
                rows.matmul(&weight.to_dtype(*activations)?.t()?)?
            }
            Kept::Blocks(weight, activations) => rows
                .to_dtype(DType::F32)?
                .contiguous()?
                .apply_op1_no_bwd(weight.as_ref())?
                .to_dtype(*activations)?,
        };
        dims.push(out.dim(1)?);
        out.reshape(dims)
    }

    /// Rows `(ids, width)` of an embedding.
    ///
    /// # Errors
    /// Ids beyond the last row.
    pub fn rows(&self, ids: &Tensor) -> Result<Tensor> {
        match &self.0 {
            Kept::Plain(weight) => weight.index_select(ids, 0),
            Kept::Narrow(weight, activations) => {
                weight.index_select(ids, 0)?.to_dtype(*activations)
            }
            Kept::Blocks(weight, activations) => weight.embedding(ids)?.to_dtype(*activations),
        }
    }

    /// Rows and columns: `(out, width)`.
    ///
    /// # Errors
    /// Never: every matrix has two dimensions.
    pub fn dims(&self) -> Result<(usize, usize)> {
        match &self.0 {
            Kept::Plain(weight) | Kept::Narrow(weight, _) => weight.dims2(),
            Kept::Blocks(weight, _) => weight.shape().dims2(),
        }
    }

    /// The plain tensor, where it is one: what training and tied heads read.
    pub const fn as_plain(&self) -> Option<&Tensor> {
        match &self.0 {
            Kept::Plain(weight) => Some(weight),
            _ => None,
        }
    }

    /// The whole matrix in single precision on its device.
    ///
    /// # Errors
    /// Failed tensor operations.
    pub fn to_f32(&self) -> Result<Tensor> {
        match &self.0 {
            Kept::Plain(weight) | Kept::Narrow(weight, _) => weight.to_dtype(DType::F32),
            Kept::Blocks(weight, _) => weight.dequantize(&weight.device()),
        }
    }

    /// Bytes that it takes.
    pub fn bytes(&self) -> usize {
        match &self.0 {
            Kept::Plain(weight) | Kept::Narrow(weight, _) => {
                weight.elem_count() * weight.dtype().size_in_bytes()
            }
            Kept::Blocks(weight, _) => weight.storage_size_in_bytes(),
        }
    }

    /// How it is kept, in a word: "f32", "bf16", "q4k".
    pub fn kept_as(&self) -> String {
        match &self.0 {
            Kept::Plain(weight) | Kept::Narrow(weight, _) => weight.dtype().as_str().to_owned(),
            Kept::Blocks(weight, _) => match weight.dtype() {
                GgmlDType::Q8_0 => "q8_0".to_owned(),
                GgmlDType::Q4K => "q4_k".to_owned(),
                GgmlDType::Q6K => "q6_k".to_owned(),
                other => format!("{other:?}").to_lowercase(),
            },
        }
    }
}
