//! A quantised matrix on the CPU.
//!
//! candle's own product keeps up to two more copies of a matrix in layouts of its own, which makes 4 bits a weight
//! into 20 on CPUs with AMX; and it runs on candle's pool, which this program keeps to one thread. So blocks are kept
//! once here, in segments of rows that rayon's threads work on. Few vectors are multiplied block by block, with
//! activations in 8 bits; many are multiplied by segments that are widened to single precision.

use std::borrow::Cow;

use candle_core::quantized::{GgmlDType, QuantizedType};
use candle_core::{CpuStorage, CustomOp1, DType, Device, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

/// Segments of a matrix: enough that the threads of a desktop share them evenly.
const SEGMENTS: usize = 16;
/// Most elements of a segment: as many are widened at once, by every thread that quantises.
const MAX_ELEMENTS: usize = 1 << 23;
/// Vectors up to which blocks are multiplied as they are: beyond, widening a segment costs less than it saves.
const FEW: usize = 12;

/// The matrix `(out, width)`.
pub(super) struct Blocks {
    segments: Vec<Box<dyn QuantizedType>>,
    /// Rows of every segment but the last.
    rows: usize,
    out: usize,
    width: usize,
    kind: GgmlDType,
}

impl std::fmt::Debug for Blocks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Blocks({:?}, {} x {})", self.kind, self.out, self.width)
    }
}

impl Blocks {
    /// Quantises rows as `read` answers them, `(start, len)` at a time.
    ///
    /// # Errors
    /// A width that the blocks do not divide; whatever `read` answers.
    pub(super) fn quantise(
        (out, width): (usize, usize),
        kind: GgmlDType,
        read: &(dyn Fn(usize, usize) -> Result<Tensor> + Sync),
    ) -> Result<Self> {
        Self::check(width, kind)?;
        let rows = segment_rows(out, width);
        let segment = |start: usize| -> Result<Box<dyn QuantizedType>> {
            let len = rows.min(out - start);
            let part = read(start, len)?.to_dtype(DType::F32)?;
            let part = part.flatten_all()?.to_vec1::<f32>()?;
            let mut blocks = kind.cpu_zeros(part.len());
            blocks.from_float(&part);
            Ok(blocks)
        };
        let starts: Vec<usize> = (0..out).step_by(rows).collect();
        Ok(Self {
            segments: starts.into_par_iter().map(segment).collect::<Result<_>>()?,
            rows,
            out,
            width,
            kind,
        })
    }

    /// Takes blocks as a file holds them.
    ///
    /// # Errors
    /// Bytes that do not fit the shape.
    pub(super) fn of_bytes(
        (out, width): (usize, usize),
        kind: GgmlDType,
        bytes: &[u8],
    ) -> Result<Self> {
        Self::check(width, kind)?;
        let rows = segment_rows(out, width);
        let row = width / kind.block_size() * kind.type_size();
        if bytes.len() != out * row {
            bail!(
                "{} bytes of {kind:?} for {out} x {width}, expected {}",
                bytes.len(),
                out * row
            )
        }
        let segments = bytes.par_chunks(rows * row);
        Ok(Self {
            segments: segments
                .map(|bytes| kind.from_data(Cow::Borrowed(bytes)))
                .collect(),
            rows,
            out,
            width,
            kind,
        })
    }

    fn check(width: usize, kind: GgmlDType) -> Result<()> {
        if width == 0 || !width.is_multiple_of(kind.block_size()) {
            bail!(
                "blocks of {} do not divide a width of {width}",
                kind.block_size()
            )
        }
        Ok(())
    }

    pub(super) const fn dims(&self) -> (usize, usize) {
        (self.out, self.width)
    }

    pub(super) const fn kind(&self) -> GgmlDType {
        self.kind
    }

    pub(super) fn num_bytes(&self) -> usize {
        self.segments
            .iter()
            .map(|s| s.storage_size_in_bytes())
            .sum()
    }

    /// `x (rows, width)` in single precision to `(rows, out)`.
    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let rows = x.dim(0)?;
        if rows <= FEW {
            return x.contiguous()?.apply_op1_no_bwd(self);
        }
        let parts = (0..self.segments.len()).map(|at| x.matmul(&self.widened(at)?.t()?));
        Tensor::cat(&parts.collect::<Result<Vec<_>>>()?, 1)
    }

    /// The gradient `(rows, out)` of a product to that of its operand, `(rows, width)`.
    pub(super) fn pull(&self, grad: &Tensor) -> Result<Tensor> {
        let part = |at: usize| {
            let columns = grad.narrow(1, at * self.rows, self.segment_len(at))?;
            columns.matmul(&self.widened(at)?)
        };
        let mut sum = part(0)?;
        for at in 1..self.segments.len() {
            sum = (sum + part(at)?)?;
        }
        Ok(sum)
    }

    /// A segment in single precision.
    fn widened(&self, at: usize) -> Result<Tensor> {
        let segment = &self.segments[at];
        let len = self.segment_len(at);
        let mut values = vec![0_f32; len * self.width];
        let step = len.div_ceil(rayon::current_num_threads()).max(1);
        values
            .par_chunks_mut(step * self.width)
            .enumerate()
            .try_for_each(|(part, values)| {
                let start = (part * step) as u32;
                let ids: Vec<u32> = (start..start + (values.len() / self.width) as u32).collect();
                values.copy_from_slice(single(&segment.embedding(&ids, len, self.width)?)?);
                Ok::<_, candle_core::Error>(())
            })?;
        Tensor::from_vec(values, (len, self.width), &Device::Cpu)
    }

    fn segment_len(&self, at: usize) -> usize {
        self.rows.min(self.out - at * self.rows)
    }

    /// Rows `(ids, width)` in single precision.
    pub(super) fn rows(&self, ids: &Tensor) -> Result<Tensor> {
        let ids = ids.to_dtype(DType::U32)?.to_vec1::<u32>()?;
        let mut values = Vec::with_capacity(ids.len() * self.width);
        for id in &ids {
            let id = *id as usize;
            if id >= self.out {
                bail!("row {id} of an embedding of {} rows", self.out)
            }
            let segment = id / self.rows;
            let row = [(id % self.rows) as u32];
            let row =
                self.segments[segment].embedding(&row, self.segment_len(segment), self.width)?;
            values.extend_from_slice(single(&row)?);
        }
        Tensor::from_vec(values, (ids.len(), self.width), &Device::Cpu)
    }

    /// The whole matrix in single precision.
    pub(super) fn to_f32(&self) -> Result<Tensor> {
        let parts = (0..self.segments.len()).map(|at| self.widened(at));
        Tensor::cat(&parts.collect::<Result<Vec<_>>>()?, 0)
    }
}

impl CustomOp1 for Blocks {
    fn name(&self) -> &'static str {
        "blocks"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (rows, width) = layout.shape().dims2()?;
        let Some((start, end)) = layout.contiguous_offsets() else {
            bail!("vectors that do not lie side by side")
        };
        if width != self.width {
            bail!(
                "vectors of {width} do not fit a matrix of width {}",
                self.width
            )
        }
        let x = &single(storage)?[start..end];
        let parts: Vec<Vec<f32>> = (0..self.segments.len())
            .into_par_iter()
            .map(|at| {
                let mut part = vec![0_f32; rows * self.segment_len(at)];
                let shape = (rows, self.width, self.segment_len(at));
                self.segments[at].matmul_t(shape, x, &mut part)?;
                Ok(part)
            })
            .collect::<Result<_>>()?;
        let mut out = Vec::with_capacity(rows * self.out);
        for row in 0..rows {
            for (at, part) in parts.iter().enumerate() {
                let len = self.segment_len(at);
                out.extend_from_slice(&part[row * len..(row + 1) * len]);
            }
        }
        Ok((CpuStorage::F32(out), Shape::from((rows, self.out))))
    }
}

/// Rows of a segment: a multiple of four, which candle multiplies together.
fn segment_rows(out: usize, width: usize) -> usize {
    let rows = out.div_ceil(SEGMENTS).min(MAX_ELEMENTS / width);
    rows.next_multiple_of(4).max(4)
}

fn single(storage: &CpuStorage) -> Result<&[f32]> {
    match storage {
        CpuStorage::F32(values) => Ok(values),
        _ => bail!("expected single precision"),
    }
}
