//! A matrix of weights in whatever form it is kept.

use std::borrow::Cow;
use std::sync::Arc;

use candle_core::quantized::{GgmlDType, QStorage, QTensor};
use candle_core::{DType, Device, Result, Tensor, WithDType, bail};
use rayon::prelude::*;

use super::blocks::Blocks;
use super::form::Kind;
use super::packed_product;
use super::tuned::LowRank;
use crate::compute::kernels::linear_rounded;
use crate::ml::layers::linear;
use crate::ml::vlm::known::known;

/// Elements that are read, quantised or widened at once, by every thread that does so.
pub const PART_ELEMENTS: usize = 1 << 21;

/// The matrix `(out, width)` of a linear layer or an embedding.
#[derive(Debug, Clone)]
pub struct Matrix(Kept);

#[derive(Debug, Clone)]
enum Kept {
    /// In the activations' own type: differentiable, so training has nothing else.
    Plain(Tensor),
    /// The same, with operands of products rounded to 16 bits.
    Rounded(Tensor),
    /// Narrower than the activations; widened as it is used.
    Narrow(Tensor, DType),
    /// In blocks on the CPU. Products are computed in single precision.
    Blocks(Arc<Blocks>),
    /// In blocks on a GPU, whose products take single precision; activations are of this type.
    GpuBlocks(Arc<QTensor>, DType),
    /// Of a model that is trained elsewhere: gradients go through it and none is computed for it.
    Frozen(Arc<Matrix>),
    /// The same with a low-rank change that is trained.
    Adapted(Arc<Matrix>, Arc<LowRank>),
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
                let rows = |start, len| tensor.narrow(0, start, len);
                return Self::blocks(tensor.dims2()?, kind, activations, device, &rows);
            }
        }))
    }

    /// Keeps a matrix `(out, width)` as a tensor of `kept`, whose rows are read some at a time by every thread: on the CPU
    /// it is never there twice, and goes to another device as one.
    ///
    /// # Errors
    /// Another type than a float; whatever `rows` answers.
    pub(super) fn plain_rows(
        shape: (usize, usize),
        kept: DType,
        activations: DType,
        device: &Device,
        rows: &(dyn Fn(usize, usize) -> Result<Tensor> + Sync),
    ) -> Result<Self> {
        let tensor = match kept {
            DType::F32 => filled::<f32>(shape, kept, rows)?,
            DType::F16 => filled::<half::f16>(shape, kept, rows)?,
            DType::BF16 => filled::<half::bf16>(shape, kept, rows)?,
            other => candle_core::bail!("weights are not kept as {other:?}"),
        };
        let tensor = tensor.to_device(device)?;
        Ok(Self(match kept == activations {
            true => Kept::Plain(tensor),
            false => Kept::Narrow(tensor, activations),
        }))
    }

    /// Quantises a matrix `(out, width)` whose rows are read some at a time, so that no more of it than those is ever
    /// there in another form.
    ///
    /// # Errors
    /// A width that the blocks do not divide; whatever `rows` answers.
    pub(super) fn blocks(
        (out, width): (usize, usize),
        kind: GgmlDType,
        activations: DType,
        device: &Device,
        rows: &(dyn Fn(usize, usize) -> Result<Tensor> + Sync),
    ) -> Result<Self> {
        if device.is_cpu() {
            let blocks = Blocks::quantise((out, width), kind, rows)?;
            return Ok(Self(Kept::Blocks(Arc::new(blocks))));
        }
        // ggml's quantisation runs on the CPU, by parts; the bytes then go to the device as one.
        let row_bytes = width / kind.block_size() * kind.type_size();
        let step = (PART_ELEMENTS / width.max(1)).clamp(1, out.max(1));
        let mut bytes = vec![0_u8; out * row_bytes];
        bytes
            .par_chunks_mut(step * row_bytes)
            .enumerate()
            .try_for_each(|(part, bytes)| -> Result<()> {
                let part = rows(part * step, bytes.len() / row_bytes)?;
                bytes.copy_from_slice(&quantised(&part, kind)?.data()?);
                Ok(())
            })?;
        Self::from_bytes((out, width), kind, &bytes, activations, device)
    }

    /// A matrix that a file holds in blocks.
    ///
    /// # Errors
    /// Bytes that do not fit the shape.
    pub(super) fn from_bytes(
        shape: (usize, usize),
        kind: GgmlDType,
        bytes: &[u8],
        activations: DType,
        device: &Device,
    ) -> Result<Self> {
        if device.is_cpu() {
            let blocks = Blocks::of_bytes(shape, kind, bytes)?;
            return Ok(Self(Kept::Blocks(Arc::new(blocks))));
        }
        let storage = QStorage::from_data(Cow::Borrowed(bytes), device, kind)?;
        let blocks = QTensor::new(storage, shape)?;
        Ok(Self(Kept::GpuBlocks(Arc::new(blocks), activations)))
    }

    /// A plain tensor, kept as it is.
    ///
    /// # Errors
    /// A tensor that is no matrix.
    pub fn plain(tensor: Tensor) -> Result<Self> {
        tensor.dims2()?;
        Ok(Self(Kept::Plain(tensor)))
    }

    /// A plain matrix that rounds what it multiplies; any other as it is.
    pub(super) fn rounded(self) -> Self {
        match self.0 {
            Kept::Plain(weight) => Self(Kept::Rounded(weight)),
            kept => Self(kept),
        }
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
        if let Kept::Rounded(weight) = &self.0
            && fills_tiles(x)
        {
            return linear_rounded(x, weight);
        }
        // One product over all rows: candle would repeat the weights for each batch.
        let rows = x.reshape((dims.iter().product::<usize>(), width))?;
        let out = self.product(&rows)?;
        dims.push(out.dim(1)?);
        out.reshape(dims)
    }

    /// `x (rows, width)` to `(rows, out)`.
    fn product(&self, rows: &Tensor) -> Result<Tensor> {
        match &self.0 {
            Kept::Plain(weight) | Kept::Rounded(weight) => {
                packed_product::few(rows, weight).unwrap_or_else(|| linear(rows, weight, None))
            }
            Kept::Narrow(weight, _) if weight.device().is_cpu() => narrow_product(rows, weight),
            Kept::Narrow(weight, activations) => rows.matmul(&weight.to_dtype(*activations)?.t()?),
            Kept::Blocks(weight) => weight.forward(rows),
            Kept::GpuBlocks(weight, activations) => rows
                .to_dtype(DType::F32)?
                .contiguous()?
                .apply_op1_no_bwd(weight.as_ref())?
                .to_dtype(*activations),
            Kept::Frozen(matrix) => {
                if let Some(weight) = self.single_on_cpu() {
                    return linear(rows, &weight, None);
                }
                let out = matrix.product(&rows.detach())?;
                // candle would compute the matrix's own gradient as well, which costs as much as the other one and as
                // much memory as the matrix.
                let matrix = matrix.clone();
                known([rows], out, move |_, grad| Ok([Some(matrix.pull(grad)?)]))
            }
            Kept::Adapted(matrix, change) => {
                let frozen = Self(Kept::Frozen(matrix.clone()));
                frozen.product(rows)? + change.forward(rows)?
            }
        }
    }

    /// The way back through a product: its gradient `(rows, out)` to that of the operand, `(rows, width)`.
    fn pull(&self, grad: &Tensor) -> Result<Tensor> {
        match &self.0 {
            Kept::Plain(weight) | Kept::Rounded(weight) => grad.matmul(weight),
            Kept::Narrow(weight, activations) => grad.matmul(&weight.to_dtype(*activations)?),
            Kept::Blocks(weight) => weight.pull(grad),
            Kept::GpuBlocks(weight, activations) => {
                let weight = weight.dequantize(&weight.device())?;
                grad.matmul(&weight.to_dtype(*activations)?)
            }
            Kept::Frozen(matrix) | Kept::Adapted(matrix, _) => matrix.pull(grad),
        }
    }

    /// The same matrix in a model that is trained: gradients go through it, and none is computed for it.
    pub(super) fn frozen(self) -> Self {
        Self(Kept::Frozen(Arc::new(self)))
    }

    /// The same with a change that is trained.
    pub(super) fn adapted(self, change: LowRank) -> Self {
        Self(Kept::Adapted(Arc::new(self), Arc::new(change)))
    }

    /// Rows `(ids, width)` of an embedding.
    ///
    /// # Errors
    /// Ids beyond the last row.
    pub fn rows(&self, ids: &Tensor) -> Result<Tensor> {
        match &self.0 {
            Kept::Plain(weight) | Kept::Rounded(weight) => weight.index_select(ids, 0),
            Kept::Narrow(weight, activations) => {
                weight.index_select(ids, 0)?.to_dtype(*activations)
            }
            Kept::Blocks(weight) => weight.rows(ids),
            Kept::GpuBlocks(weight, activations) => weight.embedding(ids)?.to_dtype(*activations),
            Kept::Frozen(matrix) => matrix.rows(ids),
            Kept::Adapted(..) => bail!("an embedding cannot have a low-rank change here"),
        }
    }

    /// Rows and columns: `(out, width)`.
    ///
    /// # Errors
    /// Never: every matrix has two dimensions.
    pub fn dims(&self) -> Result<(usize, usize)> {
        match &self.0 {
            Kept::Plain(weight) | Kept::Rounded(weight) | Kept::Narrow(weight, _) => weight.dims2(),
            Kept::Blocks(weight) => Ok(weight.dims()),
            Kept::GpuBlocks(weight, _) => weight.shape().dims2(),
            Kept::Frozen(matrix) | Kept::Adapted(matrix, _) => matrix.dims(),
        }
    }

    /// The tensor as it is kept, where that is in single precision on the CPU and nothing is rounded; without a gradient of
    /// its own where it is frozen.
    pub(in crate::ml::vlm) fn single_on_cpu(&self) -> Option<Tensor> {
        match &self.0 {
            Kept::Plain(weight) if weight.device().is_cpu() && weight.dtype() == DType::F32 => {
                Some(weight.clone())
            }
            Kept::Frozen(matrix) => Some(matrix.single_on_cpu()?.detach()),
            _ => None,
        }
    }

    /// The whole matrix in single precision on its device.
    ///
    /// # Errors
    /// Failed tensor operations.
    pub fn to_f32(&self) -> Result<Tensor> {
        match &self.0 {
            Kept::Plain(weight) | Kept::Rounded(weight) | Kept::Narrow(weight, _) => {
                weight.to_dtype(DType::F32)
            }
            Kept::Blocks(weight) => weight.to_f32(),
            Kept::GpuBlocks(weight, _) => weight.dequantize(&weight.device()),
            Kept::Frozen(matrix) => matrix.to_f32(),
            Kept::Adapted(matrix, change) => matrix.to_f32()? + change.product()?,
        }
    }

    /// Bytes that it takes.
    pub fn bytes(&self) -> usize {
        match &self.0 {
            Kept::Plain(weight) | Kept::Rounded(weight) | Kept::Narrow(weight, _) => {
                weight.elem_count() * weight.dtype().size_in_bytes()
            }
            Kept::Blocks(weight) => weight.num_bytes(),
            Kept::GpuBlocks(weight, _) => weight.storage_size_in_bytes(),
            Kept::Frozen(matrix) | Kept::Adapted(matrix, _) => matrix.bytes(),
        }
    }

    /// How it is kept, in a word: "f32", "bf16", "q4k".
    pub fn kept_as(&self) -> String {
        match &self.0 {
            Kept::Plain(weight) | Kept::Rounded(weight) | Kept::Narrow(weight, _) => {
                weight.dtype().as_str().to_owned()
            }
            Kept::Blocks(weight) => blocks_name(weight.kind()),
            Kept::GpuBlocks(weight, _) => blocks_name(weight.dtype()),
            Kept::Frozen(matrix) | Kept::Adapted(matrix, _) => matrix.kept_as(),
        }
    }
}

/// Rows in blocks. candle quantises all that a tensor's memory holds, also where the tensor is a part of it, so the rows
/// get memory of their own.
pub(super) fn quantised(rows: &Tensor, kind: GgmlDType) -> Result<QTensor> {
    let values = rows.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>()?;
    QTensor::quantize(&Tensor::from_vec(values, rows.shape(), &Device::Cpu)?, kind)
}

/// `x (rows, width)` times a narrow matrix of the CPU, which is widened some rows at a time.
fn narrow_product(x: &Tensor, weight: &Tensor) -> Result<Tensor> {
    if let Some(product) = packed_product::narrow(x, weight) {
        return product;
    }
    let (out, width) = weight.dims2()?;
    let step = (PART_ELEMENTS / width.max(1)).clamp(1, out.max(1));
    let parts = (0..out).step_by(step).map(|start| {
        let part = weight.narrow(0, start, step.min(out - start))?;
        x.matmul(&part.to_dtype(x.dtype())?.t()?)
    });
    Tensor::cat(&parts.collect::<Result<Vec<_>>>()?, 1)
}

/// A matrix `(out, width)` of values that are read and converted some rows at a time.
fn filled<T: WithDType>(
    (out, width): (usize, usize),
    dtype: DType,
    rows: &(dyn Fn(usize, usize) -> Result<Tensor> + Sync),
) -> Result<Tensor> {
    let mut values = vec![T::zero(); out * width];
    let step = (PART_ELEMENTS / width.max(1)).clamp(1, out.max(1));
    values
        .par_chunks_mut(step * width.max(1))
        .enumerate()
        .try_for_each(|(part, values)| -> Result<()> {
            let read = rows(part * step, values.len() / width.max(1))?;
            values.copy_from_slice(&read.to_dtype(dtype)?.flatten_all()?.to_vec1::<T>()?);
            Ok(())
        })?;
    Tensor::from_vec(values, (out, width), &Device::Cpu)
}

/// Whether the rows behind the first dimension fill tiles; a few rows are multiplied as they are.
fn fills_tiles(x: &Tensor) -> bool {
    let dims = x.dims();
    let rows: usize = dims[1..dims.len().max(2) - 1].iter().product();
    dims.len() > 2 && rows.is_multiple_of(32)
}

fn blocks_name(kind: GgmlDType) -> String {
    match kind {
        GgmlDType::Q8_0 => "q8_0".to_owned(),
        GgmlDType::Q4K => "q4_k".to_owned(),
        GgmlDType::Q6K => "q6_k".to_owned(),
        other => format!("{other:?}").to_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(out: usize, width: usize) -> Result<Tensor> {
        let values = (0..out * width).map(|i| ((i * 2_654_435_761) % 1000) as f32 / 500.0 - 1.0);
        Tensor::from_iter(values, &Device::Cpu)?.reshape((out, width))
    }

    /// Largest difference of a product, by the largest value.
    fn distance(kind: Kind) -> Result<f32> {
        let weight = sample(72, 512)?;
        let mut worst = 0_f32;
        for count in [5, 40] {
            let x = sample(count, 512)?.unsqueeze(0)?;
            let plain = Matrix::plain(weight.clone())?.forward(&x)?;
            let kept = Matrix::new(&weight, kind, DType::F32, &Device::Cpu)?;
            assert_eq!(kept.dims()?, (72, 512));
            assert_eq!(kept.bytes() as u64, kind.bytes(72 * 512));
            let ids = Tensor::new(&[3u32, 71], &Device::Cpu)?;
            let rows = (kept.rows(&ids)? - weight.index_select(&ids, 0)?)?;
            assert!(rows.abs()?.max_all()?.to_scalar::<f32>()? < 0.1);
            let apart = (kept.forward(&x)? - &plain)?.abs()?.max_all()?;
            let largest = plain.abs()?.max_all()?;
            worst = worst.max(apart.to_scalar::<f32>()? / largest.to_scalar::<f32>()?);
        }
        Ok(worst)
    }

    #[test]
    fn every_form_multiplies_like_the_plain_one() -> Result<()> {
        for (kind, within) in [
            (Kind::Plain(DType::F32), 1e-6),
            (Kind::Plain(DType::F16), 1e-3),
            (Kind::Plain(DType::BF16), 8e-3),
            (Kind::Blocks(GgmlDType::Q8_0), 2e-2),
            (Kind::Blocks(GgmlDType::Q6K), 4e-2),
            (Kind::Blocks(GgmlDType::Q4K), 1e-1),
        ] {
            let distance = distance(kind)?;
            assert!(distance <= within, "{kind:?}: {distance}");
        }
        Ok(())
    }

    #[test]
    fn quantising_by_parts_equals_quantising_at_once() -> Result<()> {
        let weight = sample(20_000, 256)?;
        let kept = Matrix::new(
            &weight,
            Kind::Blocks(GgmlDType::Q8_0),
            DType::F32,
            &Device::Cpu,
        )?;
        let at_once = QTensor::quantize(&weight, GgmlDType::Q8_0)?.dequantize(&Device::Cpu)?;
        let apart = (kept.to_f32()? - at_once)?.abs()?.max_all()?;
        assert!(apart.to_scalar::<f32>()? == 0.0);
        Ok(())
    }
}
