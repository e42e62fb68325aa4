//! A linear layer whose gradients are computed for what is trained, and for nothing else.
//!
//! candle computes the gradients of both operands of a matrix product: of data that nobody trains, which at the published
//! geometry of the predictor would be a third of the projection's work and as large as the features of a batch; and of
//! frozen weights. It also lays the gradient of a transposed weight the other way and clears every result first.

use std::marker::PhantomData;

use candle_core::CpuStorage;
use candle_core::CustomOp2;
use candle_core::CustomOp3;
use candle_core::DType;
use candle_core::Layout;
use candle_core::Result;
use candle_core::Shape;
use candle_core::Tensor;
use candle_core::bail;

use super::bias::{add_bias, column_sums};
use crate::compute::kernels::Mat;
use crate::compute::kernels::large_product;
use crate::compute::real::Real;
use crate::compute::real::contiguous;
use crate::compute::real::with_values;

/// `x W^T + b` over the last dimension: `(..., in)` and `(out, in)` to `(..., out)`.
///
/// # Errors
/// Shapes that do not fit.
pub fn linear(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let (dtype, is_cpu) = (x.dtype(), x.device().is_cpu());
    if !is_cpu || weight.dtype() != dtype || bias.is_some_and(|bias| bias.dtype() != dtype) {
        return plain(x, weight, bias);
    }
    match dtype {
        DType::F64 => ours::<f64>(x, weight, bias),
        DType::F32 => ours::<f32>(x, weight, bias),
        _ => plain(x, weight, bias),
    }
}

/// By candle's operations.
fn plain(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let mut shape = x.dims().to_vec();
    let (out, width) = weight.dims2()?;
    // The leading dimensions are flattened first, so that it is one large product forward and backward.
    let rows = x.elem_count() / width.max(1);
    let mut y = x.reshape((rows, width))?.matmul(&weight.t()?)?;
    if let Some(bias) = bias {
        y = add_bias(&y, bias)?;
    }
    if let Some(last) = shape.last_mut() {
        *last = out;
    }
    y.reshape(shape)
}

fn ours<T: Real>(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let (x, weight) = (x.contiguous()?, weight.contiguous()?);
    let op = Linear::<T>(PhantomData);
    match bias {
        Some(bias) => x.apply_op3(&weight, &bias.contiguous()?, op),
        None => x.apply_op2(&weight, op),
    }
}

struct Linear<T>(PhantomData<T>);

impl<T: Real> Linear<T> {
    fn forward(
        (x, of_x): (&CpuStorage, &Layout),
        (weight, of_weight): (&CpuStorage, &Layout),
        bias: Option<(&CpuStorage, &Layout)>,
    ) -> Result<(CpuStorage, Shape)> {
        let (out, width) = of_weight.shape().dims2()?;
        let mut shape = of_x.dims().to_vec();
        match shape.last_mut() {
            Some(last) if *last == width => *last = out,
            _ => bail!("vectors of {shape:?} do not fit a matrix of width {width}"),
        }
        let rows: usize = shape.iter().rev().skip(1).product();
        let bias = bias.map(|(bias, layout)| contiguous::<T>(bias, layout));
        let bias = bias.transpose()?;
        if bias.is_some_and(|bias| bias.len() != out) {
            bail!("a bias does not fit {out} outputs")
        }
        let x = contiguous::<T>(x, of_x)?;
        let weight = contiguous::<T>(weight, of_weight)?;
        let operands = (Mat::rows(x, width), Mat::rows(weight, width).t());
        let values = large_product(operands, bias, [rows, width, out]);
        Ok((T::to_cpu_storage_owned(values), shape.into()))
    }

    /// Gradients of those of `x` and `weight` that lead back to something trained.
    fn back(x: &Tensor, weight: &Tensor, grad: &Tensor) -> Result<[Option<Tensor>; 2]> {
        let (out, width) = weight.dims2()?;
        let rows = grad.elem_count() / out.max(1);
        let [of_x, of_weight] = with_values([x, weight, grad], |[xs, weights, grads]| {
            let grads = Mat::<T>::rows(grads, out);
            let of_x = (grads, Mat::rows(weights, width));
            let of_weight = (grads.t(), Mat::rows(xs, width));
            let product = |operands, shape| large_product(operands, None, shape);
            Ok([
                x.track_op().then(|| product(of_x, [rows, out, width])),
                weight
                    .track_op()
                    .then(|| product(of_weight, [out, rows, width])),
            ])
        })?;
        let shaped = |values: Option<Vec<T>>, like: &Tensor| {
            let tensor = values.map(|v| Tensor::from_vec(v, like.shape(), like.device()));
            tensor.transpose()
        };
        Ok([shaped(of_x, x)?, shaped(of_weight, weight)?])
    }
}

impl<T: Real> CustomOp2 for Linear<T> {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        Self::forward((s1, l1), (s2, l2), None)
    }

    fn bwd(
        &self,
        arg1: &Tensor,
        arg2: &Tensor,
        _res: &Tensor,
        grad_res: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let [of_x, of_weight] = Self::back(arg1, arg2, &grad_res.contiguous()?)?;
        Ok((of_x, of_weight))
    }
}

impl<T: Real> CustomOp3 for Linear<T> {
    fn name(&self) -> &'static str {
        "linear-with-bias"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
        s3: &CpuStorage,
        l3: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        Self::forward((s1, l1), (s2, l2), Some((s3, l3)))
    }

    fn bwd(
        &self,
        arg1: &Tensor,
        arg2: &Tensor,
        arg3: &Tensor,
        _res: &Tensor,
        grad_res: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let grad = grad_res.contiguous()?;
        let [of_x, of_weight] = Self::back(arg1, arg2, &grad)?;
        let of_bias = arg3.track_op().then(|| column_sums::<T>(&grad, arg3));
        Ok((of_x, of_weight, of_bias.transpose()?))
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};

    use super::*;
    use crate::ml::layers::check;

    fn operands() -> Result<[Tensor; 3]> {
        Ok([
            check::random(&[2, 3, 5], 7)?,
            check::random(&[4, 5], 8)?,
            check::random(&[4], 9)?,
        ])
    }

    #[test]
    fn it_is_candles_product_and_its_gradients_are_those_of_finite_differences() -> Result<()> {
        let all = operands()?;
        let [x, weight, bias] = &all;
        for bias in [None, Some(bias)] {
            check::assert_close(&linear(x, weight, bias)?, &plain(x, weight, bias)?, 1e-12)?;
        }
        check::gradients(&all, |t| linear(&t[0], &t[1], Some(&t[2])))?;
        check::gradients(&all[..2], |t| linear(&t[0], &t[1], None))
    }

    #[test]
    fn what_is_not_trained_gets_no_gradient() -> Result<()> {
        let [x, weight, bias] = operands()?;
        let trained = Var::from_tensor(&weight)?;
        let out = linear(&x, &trained, Some(&bias))?;
        let grads = out.sqr()?.sum_all()?.backward()?;
        assert!(grads.get(&trained).is_some());
        assert!(grads.get(&x).is_none() && grads.get(&bias).is_none());
        Ok(())
    }

    #[test]
    fn shapes_that_do_not_fit_are_told() -> Result<()> {
        let [x, weight, bias] = operands()?;
        let narrow = Tensor::zeros((2, 4), DType::F64, &Device::Cpu)?;
        assert!(linear(&narrow, &weight, None).is_err());
        assert!(linear(&x, &weight, Some(&bias.narrow(0, 0, 3)?)).is_err());
        Ok(())
    }
}
