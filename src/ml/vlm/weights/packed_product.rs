//! Products with matrices that are multiplied by `compute::packed` or by candle, some rows a thread.

use std::ops::Range;

use candle_core::{CpuStorage, CustomOp1, DType, Layout, Result, Shape, Storage, Tensor, bail};
use half::{bf16, f16};

use crate::compute::kernels::{self, FEW, by_columns};
use crate::compute::packed::{self, Vectors, bytes_of};
use crate::compute::real::contiguous;

/// Rows that a thread takes at once.
const ROWS: usize = 128;

/// `x (count, width)` times a matrix of a half type; `None` where this CPU has no kernel for so many.
pub(super) fn narrow(x: &Tensor, weight: &Tensor) -> Option<Result<Tensor>> {
    let layout = layout_of(weight.dtype())?;
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

const fn layout_of(dtype: DType) -> Option<packed::Layout> {
    match dtype {
        DType::BF16 => Some(packed::Layout::Bf16),
        DType::F16 => Some(packed::Layout::F16),
        _ => None,
    }
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
        let some = |at: usize| at * ROWS..out.min((at + 1) * ROWS);
        let bytes = match weight {
            CpuStorage::BF16(_) => bytes_of(contiguous::<bf16>(weight, place)?),
            CpuStorage::F16(_) => bytes_of(contiguous::<f16>(weight, place)?),
            _ => {
                let weight = contiguous::<f32>(weight, place)?;
                let values = by_columns((count, out), ROWS, &|at, part| {
                    let Range { start, end } = some(at);
                    kernels::few(x, &weight[start * width..end * width], width, part);
                    Ok(())
                })?;
                return Ok((CpuStorage::F32(values), Shape::from((count, out))));
            }
        };
        let vectors = layout_of(self.0.dtype())
            .and_then(|layout| Some((layout, Vectors::new(layout, x, width)?)));
        let Some((layout, vectors)) = vectors else {
            bail!(
                "there is no product of {count} vectors with {:?}",
                self.0.dtype()
            )
        };
        let row = layout.row_bytes(width);
        let values = by_columns((count, out), ROWS, &|at, part| {
            let Range { start, end } = some(at);
            vectors.times(layout, &bytes[start * row..end * row], part);
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
