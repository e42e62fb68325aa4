//! A quantised matrix on the CPU.
//!
//! candle's own product keeps up to two more copies of a matrix in layouts of its own, which makes 4 bits a weight
//! into 20 on CPUs with AMX; and it runs on candle's pool, which this program keeps to one thread. So blocks are kept
//! once here, in segments of rows that rayon's threads work on, and multiplied by `compute::packed` where the CPU has
//! the instructions for it. Elsewhere few vectors are multiplied block by block by candle, with activations in 8 bits;
//! many by segments that are widened to single precision.

use std::borrow::Cow;

use candle_core::quantized::{GgmlDType, QuantizedType};
use candle_core::{CpuStorage, CustomOp1, DType, Device, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

use super::matrix::{PART_ELEMENTS, quantised};
use crate::compute::kernels::by_columns;
use crate::compute::packed::{self, Vectors};

/// Segments of a matrix: enough that the threads of a desktop share them evenly.
const SEGMENTS: usize = 16;
/// Vectors up to which candle multiplies blocks as they are: beyond, widening a segment costs less than it saves.
const FEW: usize = 12;

/// The matrix `(out, width)`.
pub(super) struct Blocks {
    segments: Vec<Segment>,
    /// Rows of every segment but the last.
    rows: usize,
    out: usize,
    width: usize,
    kind: GgmlDType,
}

/// Some rows.
enum Segment {
    /// As a file holds them.
    Packed(packed::Layout, Vec<u8>),
    /// As candle holds them: kinds and CPUs that have no kernel here.
    Candle(Box<dyn QuantizedType>),
}

impl Segment {
    fn of_bytes(kind: GgmlDType, bytes: Cow<'_, [u8]>) -> Self {
        match layout_of(kind) {
            Some(layout) => Self::Packed(layout, bytes.into_owned()),
            None => Self::Candle(kind.from_data(bytes)),
        }
    }

    /// Rows `ids` of so many, side by side in single precision.
    fn widen(&self, ids: std::ops::Range<usize>, len: usize, out: &mut [f32]) -> Result<()> {
        let width = out.len() / ids.len().max(1);
        match self {
            Self::Packed(layout, bytes) => {
                let row = layout.row_bytes(width);
                packed::widen(*layout, &bytes[ids.start * row..ids.end * row], out);
            }
            Self::Candle(blocks) => {
                let ids: Vec<u32> = ids.map(|id| id as u32).collect();
                out.copy_from_slice(single(&blocks.embedding(&ids, len, width)?)?);
            }
        }
        Ok(())
    }
}

/// The layout of blocks that are multiplied by kernels of this program on this CPU.
fn layout_of(kind: GgmlDType) -> Option<packed::Layout> {
    let layout = match kind {
        GgmlDType::Q8_0 => packed::Layout::Q8,
        GgmlDType::Q4K => packed::Layout::Q4K,
        GgmlDType::Q6K => packed::Layout::Q6K,
        _ => return None,
    };
    Vectors::has_kernel(layout, 1).then_some(layout)
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
        let segment = |start: usize| -> Result<Segment> {
            let len = rows.min(out - start);
            let quantised = quantised(&read(start, len)?, kind)?;
            Ok(Segment::of_bytes(kind, quantised.data()?))
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
                .map(|bytes| Segment::of_bytes(kind, Cow::Borrowed(bytes)))
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
            .map(|segment| match segment {
                Segment::Packed(_, bytes) => bytes.len(),
                Segment::Candle(blocks) => blocks.storage_size_in_bytes(),
            })
            .sum()
    }

    /// `x (rows, width)` in single precision to `(rows, out)`.
    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let count = x.dim(0)?;
        let is_direct = match self.segments.first() {
            Some(Segment::Packed(layout, _)) => Vectors::has_kernel(*layout, count),
            _ => count <= FEW,
        };
        if is_direct {
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
        let len = self.segment_len(at);
        let mut values = vec![0_f32; len * self.width];
        let step = len.div_ceil(rayon::current_num_threads()).max(1);
        values
            .par_chunks_mut(step * self.width)
            .enumerate()
            .try_for_each(|(part, values)| {
                let start = part * step;
                let ids = start..start + values.len() / self.width;
                self.segments[at].widen(ids, len, values)
            })?;
        Tensor::from_vec(values, (len, self.width), &Device::Cpu)
    }

    fn segment_len(&self, at: usize) -> usize {
        self.rows.min(self.out - at * self.rows)
    }

    /// Rows `(ids, width)` in single precision.
    pub(super) fn rows(&self, ids: &Tensor) -> Result<Tensor> {
        let ids = ids.to_dtype(DType::U32)?.to_vec1::<u32>()?;
        let mut values = vec![0_f32; ids.len() * self.width];
        for (id, values) in ids.iter().zip(values.chunks_exact_mut(self.width)) {
            let id = *id as usize;
            if id >= self.out {
                bail!("row {id} of an embedding of {} rows", self.out)
            }
            let (segment, row) = (id / self.rows, id % self.rows);
            self.segments[segment].widen(row..row + 1, self.segment_len(segment), values)?;
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
        let vectors = match self.segments.first() {
            Some(Segment::Packed(layout, _)) => Vectors::new(*layout, x, width),
            _ => None,
        };
        let out = by_columns((rows, self.out), self.rows, &|at, part| match (
            &self.segments[at],
            &vectors,
        ) {
            (Segment::Packed(layout, bytes), Some(vectors)) => {
                vectors.times(*layout, bytes, part);
                Ok(())
            }
            (Segment::Candle(blocks), _) => {
                blocks.matmul_t((rows, width, self.segment_len(at)), x, part)
            }
            (Segment::Packed(..), None) => bail!("there is no kernel for {rows} vectors"),
        })?;
        Ok((CpuStorage::F32(out), Shape::from((rows, self.out))))
    }
}

/// Rows of a segment: a multiple of four, which candle multiplies together.
fn segment_rows(out: usize, width: usize) -> usize {
    let rows = out.div_ceil(SEGMENTS).min(PART_ELEMENTS / width);
    rows.next_multiple_of(4).max(4)
}

fn single(storage: &CpuStorage) -> Result<&[f32]> {
    match storage {
        CpuStorage::F32(values) => Ok(values),
        _ => bail!("expected single precision"),
    }
}
