//! Products with matrices that are multiplied by `compute::packed` or by candle, some rows a thread.

use candle_core::{CpuStorage, CustomOp1, DType, Layout, Result, Shape, Storage, Tensor, bail};
use rayon::prelude::*;

use crate::compute::packed::{self, Vectors, bytes_of};

/// Rows of a half type that a thread takes at once.
const ROWS: usize = 256;

/// `(count, out)` of parts `(count, rows)`, the last of which may be smaller; `times` fills the part of a number.
pub(super) fn product(
    count: usize,
    out: usize,
    rows: usize,
    times: &(dyn Fn(usize, &mut [f32]) -> Result<()> + Sync),
) -> Result<Vec<f32>> {
    let parts: Vec<Vec<f32>> = (0..out.div_ceil(rows))
        .into_par_iter()
        .map(|at| {
            let mut part = vec![0_f32; count * rows.min(out - at * rows)];
            times(at, &mut part)?;
            Ok(part)
        })
        .collect::<Result<_>>()?;
    let mut whole = vec![0_f32; count * out];
    let fill = |(vector, whole): (usize, &mut [f32])| {
        for (part, whole) in parts.iter().zip(whole.chunks_mut(rows)) {
            let len = whole.len();
            whole.copy_from_slice(&part[vector * len..][..len]);
        }
    };
    match count {
        1 => whole.chunks_mut(out).enumerate().for_each(fill),
        _ => whole.par_chunks_mut(out).enumerate().for_each(fill),
    }
    Ok(whole)
}

/// A matrix `(out, width)` of a half type on the CPU.
struct Narrow<'a> {
    weight: &'a Tensor,
    layout: packed::Layout,
}

/// `x (count, width)` times a matrix of a half type; `None` where this CPU has no kernel for so many.
pub(super) fn narrow(x: &Tensor, weight: &Tensor) -> Option<Result<Tensor>> {
    let layout = match weight.dtype() {
        DType::BF16 => packed::Layout::Bf16,
        DType::F16 => packed::Layout::F16,
        _ => return None,
    };
    let is_fit = x.device().is_cpu() && x.dtype() == DType::F32 && weight.is_contiguous();
    let count = x.dim(0).ok()?;
    (is_fit && Vectors::has_kernel(layout, count)).then(|| {
        let op = Narrow { weight, layout };
        x.contiguous()?.apply_op1_no_bwd(&op)
    })
}

impl CustomOp1 for Narrow<'_> {
    fn name(&self) -> &'static str {
        "narrow"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (count, width) = layout.shape().dims2()?;
        let (weight, place) = self.weight.storage_and_layout();
        let (out, expected) = place.shape().dims2()?;
        let (Some((start, end)), Some((first, last))) =
            (layout.contiguous_offsets(), place.contiguous_offsets())
        else {
            bail!("vectors or weights that do not lie side by side")
        };
        let CpuStorage::F32(x) = storage else {
            bail!("expected vectors in single precision")
        };
        let bytes = match &*weight {
            Storage::Cpu(CpuStorage::BF16(values)) => bytes_of(&values[first..last]),
            Storage::Cpu(CpuStorage::F16(values)) => bytes_of(&values[first..last]),
            _ => bail!("expected weights in half precision on the CPU"),
        };
        let vectors = Vectors::new(self.layout, &x[start..end], width);
        let (Some(vectors), true) = (vectors, width == expected) else {
            bail!("{count} vectors of {width} do not fit a matrix of width {expected}")
        };
        let row = self.layout.row_bytes(width);
        let values = product(count, out, ROWS, &|at, part| {
            let rows = &bytes[at * ROWS * row..out.min((at + 1) * ROWS) * row];
            vectors.times(self.layout, rows, part);
            Ok(())
        })?;
        Ok((CpuStorage::F32(values), Shape::from((count, out))))
    }
}
