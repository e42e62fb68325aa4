//! Root-mean-square norm over the last dimension.

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
use crate::compute::real::values;

/// Epsilon of Mamba2's norm.
const EPS: f64 = 1e-5;
/// Rows that one task takes.
const ROWS: usize = 64;

/// `x / sqrt(mean(x^2) + eps) * weight`: `x (..., width)`, `weight (width)`.
pub fn rms_norm(x: &Tensor, weight: &Tensor) -> Result<Tensor> {
    rms_norm_eps(x, weight, EPS)
}

/// The same with another epsilon.
pub fn rms_norm_eps(x: &Tensor, weight: &Tensor, eps: f64) -> Result<Tensor> {
    let (x, weight) = (x.contiguous()?, weight.contiguous()?);
    match x.dtype() {
        DType::F64 => x.apply_op2(&weight, RmsNorm::<f64>(eps, PhantomData)),
        _ => x.apply_op2(&weight, RmsNorm::<f32>(eps, PhantomData)),
    }
}

struct RmsNorm<T>(f64, PhantomData<T>);

fn scale<T: Real>(x: &[T], eps: f64) -> T {
    let n = T::from_f64(x.len() as f64);
    T::one() / (dot(x, x) / n + T::from_f64(eps)).sqrt()
}

impl<T: Real> CustomOp2 for RmsNorm<T> {
    fn name(&self) -> &'static str {
        "rms-norm"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (x, weight) = (contiguous::<T>(s1, l1)?, contiguous::<T>(s2, l2)?);
        let width = weight.len();
        let mut out = vec![T::zero(); x.len()];
        out.par_chunks_mut(ROWS * width)
            .zip(x.par_chunks(ROWS * width))
            .for_each(|(out, x)| {
                for (out, x) in out.chunks_mut(width).zip(x.chunks(width)) {
                    let scale = scale(x, self.0);
                    for ((y, &x), &w) in out.iter_mut().zip(x).zip(weight) {
                        *y = x * scale * w;
                    }
                }
            });
        Ok((T::to_cpu_storage_owned(out), l1.shape().clone()))
    }

    fn bwd(
        &self,
        arg1: &Tensor,
        arg2: &Tensor,
        _res: &Tensor,
        grad_res: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (x, weight) = (values::<T>(arg1)?, values::<T>(arg2)?);
        let grad = values::<T>(grad_res)?;
        let width = weight.len();
        let mut grad_x = vec![T::zero(); x.len()];
        let partial: Vec<Vec<T>> = grad_x
            .par_chunks_mut(ROWS * width)
            .zip(x.par_chunks(ROWS * width))
            .zip(grad.par_chunks(ROWS * width))
            .map(|((grad_x, x), grad)| {
                let mut grad_weight = vec![T::zero(); width];
                let rows = grad_x.chunks_mut(width).zip(x.chunks(width));
                for ((grad_x, x), grad) in rows.zip(grad.chunks(width)) {
                    back_row((x, self.0), &weight, grad, grad_x, &mut grad_weight);
                }
                grad_weight
            })
            .collect();
        let grad_weight = sum_rows(partial, width);
        Ok((
            Some(Tensor::from_vec(grad_x, arg1.shape(), arg1.device())?),
            Some(Tensor::from_vec(grad_weight, arg2.shape(), arg2.device())?),
        ))
    }
}

fn back_row<T: Real>(
    (x, eps): (&[T], f64),
    weight: &[T],
    grad: &[T],
    grad_x: &mut [T],
    grad_weight: &mut [T],
) {
    let scale = scale(x, eps);
    let mut along = T::zero();
    for i in 0..x.len() {
        grad_weight[i] += grad[i] * x[i] * scale;
        along += grad[i] * weight[i] * x[i];
    }
    let along = along * scale * scale / T::from_f64(x.len() as f64);
    for i in 0..x.len() {
        grad_x[i] = scale * (grad[i] * weight[i] - x[i] * along);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ml::layers::check;

    #[test]
    fn gradients_equal_finite_differences() -> Result<()> {
        let x = check::random(&[2, 3, 9], 1)?;
        let weight = check::random(&[9], 2)?;
        check::gradients(&[x, weight], |t| rms_norm_eps(&t[0], &t[1], 1e-3))
    }
}
