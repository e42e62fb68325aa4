//! Linear maps that each see one block of the last dimension (block-diagonal weights).

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
use crate::compute::real::dot;
use crate::compute::real::with_values;

/// Rows that one task takes.
const ROWS: usize = 128;

/// Maps block `n` of the last dimension by `weight[n]`: `x (..., blocks * in)`, `weight (blocks, out, in)` to
/// `(..., blocks * out)`.
pub fn headwise_linear(x: &Tensor, weight: &Tensor) -> Result<Tensor> {
    let (x, weight) = (x.contiguous()?, weight.contiguous()?);
    match x.dtype() {
        DType::F64 => x.apply_op2(&weight, Headwise::<f64>(PhantomData)),
        _ => x.apply_op2(&weight, Headwise::<f32>(PhantomData)),
    }
}

struct Headwise<T>(PhantomData<T>);

impl<T: Real> CustomOp2 for Headwise<T> {
    fn name(&self) -> &'static str {
        "headwise-linear"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (x, weight) = (contiguous::<T>(s1, l1)?, contiguous::<T>(s2, l2)?);
        let (blocks, num_out, num_in) = l2.shape().dims3()?;
        let rows = x.len() / (blocks * num_in);
        let mut out = vec![T::zero(); rows * blocks * num_out];
        out.par_chunks_mut(ROWS * blocks * num_out)
            .zip(x.par_chunks(ROWS * blocks * num_in))
            .for_each(|(out, x)| {
                headwise_rows(x, weight, [blocks, num_out, num_in], out);
            });
        let mut dims = l1.dims().to_vec();
        if let Some(last) = dims.last_mut() {
            *last = blocks * num_out;
        }
        Ok((T::to_cpu_storage_owned(out), Shape::from(dims)))
    }

    fn bwd(
        &self,
        arg1: &Tensor,
        arg2: &Tensor,
        _res: &Tensor,
        grad_res: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let grad_res = grad_res.contiguous()?;
        let (blocks, num_out, num_in) = arg2.dims3()?;
        let dims = [blocks, num_out, num_in];
        let (grad_x, grad_weight) = with_values([arg1, arg2, &grad_res], |[x, weight, grad]| {
            let mut grad_x = vec![T::zero(); x.len()];
            let partial: Vec<Vec<T>> = grad_x
                .par_chunks_mut(ROWS * blocks * num_in)
                .zip(x.par_chunks(ROWS * blocks * num_in))
                .zip(grad.par_chunks(ROWS * blocks * num_out))
                .map(|((grad_x, x), grad)| {
                    let mut grad_weight = vec![T::zero(); weight.len()];
                    headwise_rows_back((x, weight), dims, grad, grad_x, &mut grad_weight);
                    grad_weight
                })
                .collect();
            Ok((grad_x, sum_rows(partial, weight.len())))
        })?;
        Ok((
            Some(Tensor::from_vec(grad_x, arg1.shape(), arg1.device())?),
            Some(Tensor::from_vec(grad_weight, arg2.shape(), arg2.device())?),
        ))
    }
}

/// The map of rows; `out` is overwritten.
fn headwise_rows<T: Real>(
    x: &[T],
    weight: &[T],
    [blocks, num_out, num_in]: [usize; 3],
    out: &mut [T],
) {
    let parts = out.chunks_mut(num_out).zip(x.chunks(num_in));
    for (i, (out, x)) in parts.enumerate() {
        let weight = &weight[i % blocks * num_out * num_in..][..num_out * num_in];
        for (y, row) in out.iter_mut().zip(weight.chunks(num_in)) {
            *y = dot(x, row);
        }
    }
}

/// Its gradients, added.
fn headwise_rows_back<T: Real>(
    (x, weight): (&[T], &[T]),
    [blocks, num_out, num_in]: [usize; 3],
    grad: &[T],
    grad_x: &mut [T],
    grad_weight: &mut [T],
) {
    let block = num_out * num_in;
    let parts = grad_x.chunks_mut(num_in).zip(x.chunks(num_in));
    for (i, ((grad_x, x), grad)) in parts.zip(grad.chunks(num_out)).enumerate() {
        let at = i % blocks * block;
        let rows = weight[at..][..block].chunks(num_in);
        let grad_rows = grad_weight[at..][..block].chunks_mut(num_in);
        for ((row, grad_row), &g) in rows.zip(grad_rows).zip(grad) {
            for j in 0..num_in {
                grad_x[j] = g.mul_add(row[j], grad_x[j]);
                grad_row[j] = g.mul_add(x[j], grad_row[j]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ml::layers::check;

    #[test]
    fn gradients_equal_finite_differences() -> Result<()> {
        let x = check::random(&[2, 3, 6], 1)?;
        let weight = check::random(&[3, 2, 2], 2)?;
        check::gradients(&[x, weight], |t| headwise_linear(&t[0], &t[1]))
    }

    #[test]
    fn one_block_is_a_linear_layer() -> Result<()> {
        let x = check::random(&[2, 3, 10], 1)?;
        let weight = check::random(&[1, 5, 10], 2)?;
        let theirs = crate::ml::layers::linear(&x, &weight.squeeze(0)?, None)?;
        check::assert_close(&headwise_linear(&x, &weight)?, &theirs, 1e-12)
    }
}
