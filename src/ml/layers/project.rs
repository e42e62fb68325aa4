//! A linear layer whose input is data: its backward pass leaves the input's gradient out.
//!
//! candle computes the gradients of both operands of a matrix product. At the published geometry that of the hidden states
//! would be a third of the projection's work, and as large as the features of the whole batch.

use candle_core::CpuStorage;
use candle_core::CustomOp2;
use candle_core::DType;
use candle_core::Layout;
use candle_core::Result;
use candle_core::Shape;
use candle_core::Tensor;
use candle_core::bail;

use crate::compute::kernels::Hands;
use crate::compute::kernels::Mat;
use crate::compute::kernels::Put;
use crate::compute::kernels::product;
use crate::compute::real::Real;
use crate::compute::real::contiguous;
use crate::compute::real::with_values;

/// `x W^T + b` over the last dimension: `x (..., in)`, `weight (out, in)`, `bias (out)` to `(..., out)`. No gradient reaches
/// `x`.
pub fn project(x: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor> {
    let x = x.detach().contiguous()?;
    let (weight, bias) = (weight.contiguous()?, bias.contiguous()?);
    match x.dtype() {
        DType::F64 => weight.apply_op2(&bias, Project::<f64>::new(x)),
        _ => weight.apply_op2(&bias, Project::<f32>::new(x)),
    }
}

struct Project<T> {
    x: Tensor,
    float: std::marker::PhantomData<T>,
}

impl<T> Project<T> {
    const fn new(x: Tensor) -> Self {
        Self {
            x,
            float: std::marker::PhantomData,
        }
    }
}

impl<T: Real> CustomOp2 for Project<T> {
    fn name(&self) -> &'static str {
        "project"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (weight, bias) = (contiguous::<T>(s1, l1)?, contiguous::<T>(s2, l2)?);
        let (dim, width) = l1.shape().dims2()?;
        let mut shape = self.x.dims().to_vec();
        match shape.last_mut() {
            Some(last) if *last == width && bias.len() == dim => *last = dim,
            _ => bail!(
                "a projection {dim} x {width} does not fit {:?}",
                self.x.shape()
            ),
        }
        let rows = self.x.elem_count() / width;
        let mut out = bias.repeat(rows);
        with_values([&self.x], |[x]: [&[T]; 1]| {
            let operands = (Mat::rows(x, width), Mat::rows(weight, width).t());
            let to = (&mut out[..], dim, Put::Add);
            product(to, operands, [rows, width, dim], T::one(), Hands::All);
            Ok(())
        })?;
        Ok((T::to_cpu_storage_owned(out), Shape::from(shape)))
    }

    fn bwd(
        &self,
        arg1: &Tensor,
        arg2: &Tensor,
        _res: &Tensor,
        grad_res: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (dim, width) = arg1.dims2()?;
        let grad_res = grad_res.contiguous()?;
        let (grad_weight, grad_bias) = with_values([&self.x, &grad_res], |[x, grad]| {
            let rows = grad.len() / dim;
            let mut grad_weight = vec![T::zero(); dim * width];
            let operands = (Mat::rows(grad, dim).t(), Mat::rows(x, width));
            let to = (&mut grad_weight[..], width, Put::Set);
            product(to, operands, [dim, rows, width], T::one(), Hands::All);
            let mut grad_bias = vec![T::zero(); dim];
            for row in grad.chunks(dim) {
                for (sum, &g) in grad_bias.iter_mut().zip(row) {
                    *sum += g;
                }
            }
            Ok((grad_weight, grad_bias))
        })?;
        Ok((
            Some(Tensor::from_vec(grad_weight, arg1.shape(), arg1.device())?),
            Some(Tensor::from_vec(grad_bias, arg2.shape(), arg2.device())?),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ml::layers::check;
    use crate::ml::layers::linear;

    #[test]
    fn it_is_a_linear_layer_with_gradients_of_its_weights() -> Result<()> {
        let x = check::random(&[2, 3, 5], 1)?;
        let weight = check::random(&[4, 5], 2)?;
        let bias = check::random(&[4], 3)?;
        let theirs = linear(&x, &weight, Some(&bias))?;
        check::assert_close(&project(&x, &weight, &bias)?, &theirs, 1e-12)?;
        check::gradients(&[weight, bias], |t| project(&x, &t[0], &t[1]))
    }
}
