//! Group norm over the last dimension with the scale stored as an offset from one, as xLSTM has it.

use std::marker::PhantomData;

use candle_core::CpuStorage;
use candle_core::CustomOp2;
use candle_core::DType;
use candle_core::Layout;
use candle_core::Result;
use candle_core::Shape;
use candle_core::Tensor;
use rayon::prelude::*;

use super::bias::add_bias;
use crate::compute::real::Real;
use crate::compute::real::contiguous;
use crate::compute::real::sum_of;
use crate::compute::real::total;
use crate::compute::real::with_values;

/// Epsilon of every norm of xLSTM.
const EPS: f64 = 1e-5;
/// Rows that one task takes.
const ROWS: usize = 64;

/// Normalises each of `groups` equal parts of the last dimension and scales by `1 + weight`.
///
/// `x (..., width)`, `weight (width)`. One group is a layer norm; one group a head is xLSTM's multi-head norm.
pub fn residual_group_norm(x: &Tensor, weight: &Tensor, groups: usize) -> Result<Tensor> {
    group_norm(x, weight, Form::residual(groups))
}

fn group_norm(x: &Tensor, weight: &Tensor, form: Form) -> Result<Tensor> {
    let x = x.contiguous()?;
    match x.dtype() {
        DType::F64 => x.apply_op2(weight, GroupNorm::<f64>(form, PhantomData)),
        _ => x.apply_op2(weight, GroupNorm::<f32>(form, PhantomData)),
    }
}

/// What norms differ by.
#[derive(Debug, Clone, Copy)]
struct Form {
    groups: usize,
    /// Added to the variance.
    eps: f64,
    /// Added to the weight.
    offset: f64,
}

impl Form {
    const fn residual(groups: usize) -> Self {
        Self {
            groups,
            eps: EPS,
            offset: 1.0,
        }
    }
}

/// Layer norm with weight and bias over the last dimension, epsilon 1e-5, as PyTorch has it.
///
/// `x (..., width)`, `weight (width)`, `bias (width)`.
pub fn layer_norm(x: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor> {
    layer_norm_eps(x, weight, bias, EPS)
}

/// The same with another epsilon.
pub fn layer_norm_eps(x: &Tensor, weight: &Tensor, bias: &Tensor, eps: f64) -> Result<Tensor> {
    let form = Form {
        groups: 1,
        eps,
        offset: 0.0,
    };
    add_bias(&group_norm(x, &weight.contiguous()?, form)?, bias)
}

struct GroupNorm<T>(Form, PhantomData<T>);

impl<T: Real> CustomOp2 for GroupNorm<T> {
    fn name(&self) -> &'static str {
        "residual-group-norm"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let x = contiguous::<T>(s1, l1)?;
        let weight = contiguous::<T>(s2, l2)?;
        let width = weight.len();
        let mut out = vec![T::zero(); x.len()];
        out.par_chunks_mut(ROWS * width)
            .zip(x.par_chunks(ROWS * width))
            .for_each(|(out, x)| norm_rows_in(self.0, x, weight, out));
        Ok((T::to_cpu_storage_owned(out), l1.shape().clone()))
    }

    fn bwd(
        &self,
        arg1: &Tensor,
        arg2: &Tensor,
        _res: &Tensor,
        grad_res: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let grad_res = grad_res.contiguous()?;
        let (grad_x, grad_weight) = with_values([arg1, arg2, &grad_res], |[x, weight, grad]| {
            let width = weight.len();
            let mut grad_x = vec![T::zero(); x.len()];
            let partial: Vec<Vec<T>> = grad_x
                .par_chunks_mut(ROWS * width)
                .zip(x.par_chunks(ROWS * width))
                .zip(grad.par_chunks(ROWS * width))
                .map(|((grad_x, x), grad)| {
                    let mut grad_weight = vec![T::zero(); width];
                    norm_rows_back_in(self.0, (x, weight), grad, grad_x, &mut grad_weight);
                    grad_weight
                })
                .collect();
            Ok((grad_x, sum_rows(partial, width)))
        })?;
        Ok((
            Some(Tensor::from_vec(grad_x, arg1.shape(), arg1.device())?),
            Some(Tensor::from_vec(grad_weight, arg2.shape(), arg2.device())?),
        ))
    }
}

/// The norm over rows of `weight.len()` values each.
pub(crate) fn norm_rows<T: Real>(x: &[T], weight: &[T], groups: usize, out: &mut [T]) {
    norm_rows_in(Form::residual(groups), x, weight, out);
}

fn norm_rows_in<T: Real>(form: Form, x: &[T], weight: &[T], out: &mut [T]) {
    let (part, offset) = (weight.len() / form.groups, T::from_f64(form.offset));
    for (i, (out, x)) in out.chunks_mut(part).zip(x.chunks(part)).enumerate() {
        let weight = &weight[i % form.groups * part..][..part];
        let (mean, scale) = moments(x, form.eps);
        for ((y, &x), &w) in out.iter_mut().zip(x).zip(weight) {
            *y = (x - mean) * scale * (offset + w);
        }
    }
}

/// Gradients of [`norm_rows`], added to those of the rows and of the weight.
pub(crate) fn norm_rows_back<T: Real>(
    both: (&[T], &[T]),
    groups: usize,
    grad: &[T],
    grad_x: &mut [T],
    grad_weight: &mut [T],
) {
    norm_rows_back_in(Form::residual(groups), both, grad, grad_x, grad_weight);
}

fn norm_rows_back_in<T: Real>(
    form: Form,
    (x, weight): (&[T], &[T]),
    grad: &[T],
    grad_x: &mut [T],
    grad_weight: &mut [T],
) {
    let part = weight.len() / form.groups;
    let rows = grad_x.chunks_mut(part).zip(x.chunks(part));
    for (i, ((grad_x, x), grad)) in rows.zip(grad.chunks(part)).enumerate() {
        let at = i % form.groups * part;
        let grad_weight = &mut grad_weight[at..][..part];
        back_row(form, (x, &weight[at..][..part]), grad, grad_x, grad_weight);
    }
}

/// Adds partial sums in their order.
pub(crate) fn sum_rows<T: Real>(partial: Vec<Vec<T>>, width: usize) -> Vec<T> {
    let mut total = vec![T::zero(); width];
    for row in partial {
        for (sum, value) in total.iter_mut().zip(row) {
            *sum += value;
        }
    }
    total
}

/// Mean and one over the deviation.
fn moments<T: Real>(x: &[T], eps: f64) -> (T, T) {
    let n = T::from_f64(x.len() as f64);
    let mean = total(x) / n;
    let square = sum_of(x, x, |x, _, sum| (x - mean).mul_add(x - mean, sum));
    (mean, T::one() / (square / n + T::from_f64(eps)).sqrt())
}

fn back_row<T: Real>(
    form: Form,
    (x, weight): (&[T], &[T]),
    grad: &[T],
    grad_x: &mut [T],
    grad_weight: &mut [T],
) {
    let n = x.len();
    let count = T::from_f64(n as f64);
    let (mean, scale) = moments(x, form.eps);
    let offset = T::from_f64(form.offset);
    let (weight, grad, grad_x) = (&weight[..n], &grad[..n], &mut grad_x[..n]);
    let grad_weight = &mut grad_weight[..n];
    for i in 0..n {
        grad_weight[i] += grad[i] * ((x[i] - mean) * scale);
    }
    let sum = sum_of(grad, weight, |g, w, sum| g.mul_add(offset + w, sum)) / count;
    let mut along = [T::zero(); 16];
    let whole = n / 16 * 16;
    for start in (0..whole).step_by(16) {
        for (lane, along) in along.iter_mut().enumerate() {
            let i = start + lane;
            let g = grad[i] * (offset + weight[i]);
            *along = g.mul_add((x[i] - mean) * scale, *along);
        }
    }
    let rest = (whole..n).fold(T::zero(), |sum, i| {
        (grad[i] * (offset + weight[i])).mul_add((x[i] - mean) * scale, sum)
    });
    let along = along.into_iter().fold(rest, |sum, lane| sum + lane) / count;
    for i in 0..n {
        let unit = (x[i] - mean) * scale;
        let g = grad[i] * (offset + weight[i]);
        grad_x[i] += scale * (g - sum - unit * along);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ml::layers::check;

    #[test]
    fn gradients_equal_finite_differences() -> Result<()> {
        let x = check::random(&[2, 3, 8], 1)?;
        let weight = check::random(&[8], 2)?;
        check::gradients(&[x.clone(), weight.clone()], |t| {
            residual_group_norm(&t[0], &t[1], 1)
        })?;
        check::gradients(&[x.clone(), weight.clone()], |t| {
            residual_group_norm(&t[0], &t[1], 4)
        })?;
        let bias = check::random(&[8], 3)?;
        check::gradients(&[x, weight, bias], |t| {
            layer_norm_eps(&t[0], &t[1], &t[2], 0.1)
        })
    }
}
