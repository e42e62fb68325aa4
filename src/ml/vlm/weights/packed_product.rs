//! Products with matrices that are multiplied by `compute::packed` or by candle, some rows a thread.

use candle_core::{CpuStorage, CustomOp1, DType, Layout, Result, Shape, Storage, Tensor, bail};
use rayon::prelude::*;

use crate::compute::packed::{self, Vectors, bytes_of};
use crate::ml::layers::{contiguous, dot};

/// Rows that a thread takes at once.
const ROWS: usize = 256;

/// Vectors up to which a matrix in single precision is read once for all of them: candle packs it first, which is worth it
/// for many.
const FEW: usize = 4;

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

/// A matrix `(out, width)` in single precision on the CPU.
struct Single<'a>(&'a Tensor);

/// `x (count, width)` times a matrix in single precision; `None` for many vectors, and where a gradient is wanted.
pub(super) fn few(x: &Tensor, weight: &Tensor) -> Option<Result<Tensor>> {
    let is_plain = |x: &Tensor| x.device().is_cpu() && x.dtype() == DType::F32 && !x.track_op();
    let is_few = x.dim(0).ok()? <= FEW;
    (is_few && is_plain(x) && is_plain(weight) && weight.is_contiguous())
        .then(|| x.contiguous()?.apply_op1_no_bwd(&Single(weight)))
}

impl CustomOp1 for Single<'_> {
    fn name(&self) -> &'static str {
        "single"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (count, width) = layout.shape().dims2()?;
        let (weight, place) = self.0.storage_and_layout();
        let (out, expected) = place.shape().dims2()?;
        let Storage::Cpu(weight) = &*weight else {
            bail!("expected weights on the CPU")
        };
        if width != expected {
            bail!("vectors of {width} do not fit a matrix of width {expected}")
        }
        let (x, weight) = (
            contiguous::<f32>(storage, layout)?,
            contiguous::<f32>(weight, place)?,
        );
        let values = product(count, out, ROWS, &|at, part| {
            let rows = &weight[at * ROWS * width..out.min((at + 1) * ROWS) * width];
            let len = rows.len() / width;
            for (row, weight) in rows.chunks_exact(width).enumerate() {
                for (vector, x) in x.chunks_exact(width).enumerate() {
                    part[vector * len + row] = dot(x, weight);
                }
            }
            Ok(())
        })?;
        Ok((CpuStorage::F32(values), Shape::from((count, out))))
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn a_few_vectors_are_multiplied_as_candle_does() -> Result<()> {
        let weight = Tensor::randn(0f32, 1.0, (600, 37), &Device::Cpu)?;
        for count in [1, 3, FEW] {
            let x = Tensor::randn(0f32, 1.0, (count, 37), &Device::Cpu)?;
            let ours = few(&x, &weight).expect("few vectors")?;
            let apart = (ours - x.matmul(&weight.t()?)?)?.abs()?.max_all()?;
            assert!(apart.to_scalar::<f32>()? < 1e-4);
        }
        let many = Tensor::zeros((FEW + 1, 37), DType::F32, &Device::Cpu)?;
        assert!(few(&many, &weight).is_none());
        let trained = candle_core::Var::zeros((1, 37), DType::F32, &Device::Cpu)?;
        assert!(few(&trained, &weight).is_none());
        Ok(())
    }
}
