//! Products with matrices that are multiplied by `compute::packed` or by candle, some rows a thread.

use candle_core::{CpuStorage, CustomOp1, DType, Layout, Result, Shape, Storage, Tensor, bail};
use half::{bf16, f16};

use crate::compute::kernels::{self, FEW, by_columns};
use crate::compute::packed::{self, Vectors, bytes_of};
use crate::compute::real::contiguous;

/// Rows that a thread takes at once.
const ROWS: usize = 128;

/// `x (count, width)` times a matrix of a half type; `None` where this CPU has no kernel for so many.
pub(super) fn narrow(x: &Tensor, weight: &Tensor) -> Option<Result<Tensor>> {
    let layout = match weight.dtype() {
        DType::BF16 => packed::Layout::Bf16,
        DType::F16 => packed::Layout::F16,
        _ => return None,
    };
    let is_fit = x.device().is_cpu() && x.dtype() == DType::F32 && weight.is_contiguous();
    let count = x.dim(0).ok()?;
    (is_fit && Vectors::has_kernel(layout, count))
        .then(|| x.contiguous()?.apply_op1_no_bwd(&AsItLies(weight)))
}

/// `x (count, width)` times a matrix in single precision; `None` for many vectors, and where a gradient is wanted.
pub(super) fn few(x: &Tensor, weight: &Tensor) -> Option<Result<Tensor>> {
    let is_plain = |x: &Tensor| x.device().is_cpu() && x.dtype() == DType::F32 && !x.track_op();
    let is_few = x.dim(0).ok()? <= FEW;
    (is_few && is_plain(x) && is_plain(weight) && weight.is_contiguous())
        .then(|| x.contiguous()?.apply_op1_no_bwd(&AsItLies(weight)))
}

/// The product with a matrix `(out, width)` on the CPU that is neither packed nor widened first.
struct AsItLies<'a>(&'a Tensor);

impl CustomOp1 for AsItLies<'_> {
    fn name(&self) -> &'static str {
        "product-as-it-lies"
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
        let x = contiguous::<f32>(storage, layout)?;
        let values = match weight {
            CpuStorage::BF16(_) => {
                let bytes = bytes_of(contiguous::<bf16>(weight, place)?);
                of_bytes(packed::Layout::Bf16, bytes, (x, width), out)
            }
            CpuStorage::F16(_) => {
                let bytes = bytes_of(contiguous::<f16>(weight, place)?);
                of_bytes(packed::Layout::F16, bytes, (x, width), out)
            }
            _ => {
                let rows = contiguous::<f32>(weight, place)?;
                by_columns((count, out), ROWS, &|at, part| {
                    kernels::few(x, some_rows(rows, at, width), width, part);
                    Ok(())
                })
            }
        };
        Ok((CpuStorage::F32(values?), Shape::from((count, out))))
    }
}

/// Vectors `x (count, width)` times rows of a half type.
fn of_bytes(
    layout: packed::Layout,
    rows: &[u8],
    (x, width): (&[f32], usize),
    out: usize,
) -> Result<Vec<f32>> {
    let count = x.len() / width;
    let Some(vectors) = Vectors::new(layout, x, width) else {
        bail!("there is no product of {count} vectors with {layout:?}")
    };
    by_columns((count, out), ROWS, &|at, part| {
        let rows = some_rows(rows, at, layout.row_bytes(width));
        vectors.times(layout, rows, part);
        Ok(())
    })
}

/// The rows of a part, `row` values each.
fn some_rows<T>(rows: &[T], at: usize, row: usize) -> &[T] {
    let some = &rows[at * ROWS * row..];
    &some[..some.len().min(ROWS * row)]
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
