//! A bias over rows, whose gradient is a sum over all of them.
//!
//! candle sums over leading dimensions element by element, with a division for the place of each; that took a fifteenth
//! of a fine-tuning step with a trained vision tower.

use std::marker::PhantomData;

use candle_core::CpuStorage;
use candle_core::CustomOp2;
use candle_core::DType;
use candle_core::Layout;
use candle_core::Result;
use candle_core::Shape;
use candle_core::Tensor;
use rayon::prelude::*;

use super::norm::sum_rows;
use crate::compute::real::Real;
use crate::compute::real::contiguous;
use crate::compute::real::with_values;

/// Rows that one task takes: sums are cut alike whatever the number of threads.
const ROWS: usize = 64;

/// Adds `bias (width)` to every row of `x (..., width)`.
///
/// # Errors
/// Shapes that do not fit.
pub fn add_bias(x: &Tensor, bias: &Tensor) -> Result<Tensor> {
    let is_ours = x.device().is_cpu() && x.dtype() == bias.dtype();
    let width = x.dims().last().copied().unwrap_or(0);
    if !is_ours || bias.dims() != [width] || width == 0 {
        return x.broadcast_add(bias);
    }
    let (x, bias) = (x.contiguous()?, bias.contiguous()?);
    match x.dtype() {
        DType::F64 => x.apply_op2(&bias, AddBias::<f64>(PhantomData)),
        DType::F32 => x.apply_op2(&bias, AddBias::<f32>(PhantomData)),
        _ => x.broadcast_add(&bias),
    }
}

struct AddBias<T>(PhantomData<T>);

impl<T: Real> CustomOp2 for AddBias<T> {
    fn name(&self) -> &'static str {
        "add-bias"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (x, bias) = (contiguous::<T>(s1, l1)?, contiguous::<T>(s2, l2)?);
        let width = bias.len();
        let mut out = vec![T::zero(); x.len()];
        let add = |(out, x): (&mut [T], &[T])| {
            for (out, x) in out.chunks_exact_mut(width).zip(x.chunks_exact(width)) {
                for ((out, &x), &b) in out.iter_mut().zip(x).zip(bias) {
                    *out = x + b;
                }
            }
        };
        out.par_chunks_mut(ROWS * width)
            .zip(x.par_chunks(ROWS * width))
            .for_each(add);
        Ok((T::to_cpu_storage_owned(out), l1.shape().clone()))
    }

    fn bwd(
        &self,
        arg1: &Tensor,
        arg2: &Tensor,
        _res: &Tensor,
        grad_res: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let of_x = arg1.track_op().then(|| grad_res.clone());
        let of_bias = arg2.track_op().then(|| column_sums::<T>(grad_res, arg2));
        Ok((of_x, of_bias.transpose()?))
    }
}

/// The gradient of a `bias (width)` that was added to every row of a result, whose own is `grad (..., width)`.
///
/// # Errors
/// Failed tensor operations.
pub(super) fn column_sums<T: Real>(grad: &Tensor, bias: &Tensor) -> Result<Tensor> {
    let width = bias.elem_count();
    let sums = with_values([&grad.contiguous()?], |[grad]: [&[T]; 1]| {
        let partial = grad.par_chunks(ROWS * width).map(|rows| {
            let mut sums = vec![T::zero(); width];
            for row in rows.chunks_exact(width) {
                sums.iter_mut().zip(row).for_each(|(sum, &g)| *sum += g);
            }
            sums
        });
        Ok(sum_rows(partial.collect(), width))
    })?;
    Tensor::from_vec(sums, bias.shape(), bias.device())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ml::layers::check;

    #[test]
    fn a_bias_is_added_to_every_row_and_its_gradient_is_their_sum() -> Result<()> {
        let x = check::random(&[2, 70, 3], 1)?;
        let bias = check::random(&[3], 2)?;
        check::assert_close(&add_bias(&x, &bias)?, &x.broadcast_add(&bias)?, 0.0)?;
        check::gradients(&[x, bias], |t| add_bias(&t[0], &t[1]))
    }
}
