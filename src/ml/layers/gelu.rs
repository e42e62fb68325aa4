//! GELU and its quick form, each as one operation with a way back.
//!
//! candle computes them value by value with the C library on one thread, and goes back by a dozen tensors.

use std::marker::PhantomData;

use candle_core::CpuStorage;
use candle_core::CustomOp1;
use candle_core::DType;
use candle_core::Layout;
use candle_core::Result;
use candle_core::Shape;
use candle_core::Tensor;
use rayon::prelude::*;

use crate::compute::real::Real;
use crate::compute::real::contiguous;
use crate::compute::real::with_values;

/// Values that one task takes.
const CHUNK: usize = 1 << 14;

/// `x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3)))`: what PyTorch calls `gelu(approximate="tanh")`.
pub fn gelu(x: &Tensor) -> Result<Tensor> {
    gated(x, [2.0 * (2.0 / std::f64::consts::PI).sqrt(), 0.044_715])
}

/// `x * sigmoid(1.702 x)`, as CLIP has it.
pub fn quick_gelu(x: &Tensor) -> Result<Tensor> {
    gated(x, [1.702, 0.0])
}

/// `x * sigmoid(a * (x + b x^3))`: GELU is that too, since `(1 + tanh(u)) / 2 = sigmoid(2 u)`.
fn gated(x: &Tensor, form: [f64; 2]) -> Result<Tensor> {
    let x = x.contiguous()?;
    match x.dtype() {
        DType::F64 => x.apply_op1(Gated::<f64>(form, PhantomData)),
        _ => x.apply_op1(Gated::<f32>(form, PhantomData)),
    }
}

struct Gated<T>([f64; 2], PhantomData<T>);

impl<T: Real> CustomOp1 for Gated<T> {
    fn name(&self) -> &'static str {
        "gelu-with-gradient"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let x = contiguous::<T>(storage, layout)?;
        let [a, b] = self.0.map(T::from_f64);
        let mut out = vec![T::zero(); x.len()];
        out.par_chunks_mut(CHUNK)
            .zip(x.par_chunks(CHUNK))
            .for_each(|(out, x)| {
                for (out, &x) in out.iter_mut().zip(x) {
                    *out = x * (a * x * (T::one() + b * x * x)).sigmoid();
                }
            });
        Ok((T::to_cpu_storage_owned(out), layout.shape().clone()))
    }

    fn bwd(&self, arg: &Tensor, _res: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let [a, b] = self.0.map(T::from_f64);
        let three = T::from_f64(3.0);
        let grad = grad.contiguous()?;
        let out = with_values([arg, &grad], |[x, grad]: [&[T]; 2]| {
            let mut out = vec![T::zero(); x.len()];
            out.par_chunks_mut(CHUNK)
                .zip(x.par_chunks(CHUNK).zip(grad.par_chunks(CHUNK)))
                .for_each(|(out, (x, grad))| {
                    for (out, (&x, &grad)) in out.iter_mut().zip(x.iter().zip(grad)) {
                        let open = (a * x * (T::one() + b * x * x)).sigmoid();
                        let slope = a * (T::one() + three * b * x * x);
                        *out = grad * open * (T::one() + x * (T::one() - open) * slope);
                    }
                });
            Ok(out)
        })?;
        Ok(Some(Tensor::from_vec(out, arg.shape(), arg.device())?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ml::layers::check;

    #[test]
    fn gradients_equal_finite_differences() -> Result<()> {
        let x = (check::random(&[2, 3, 9], 1)? * 2.0)?;
        check::gradients(std::slice::from_ref(&x), |t| gelu(&t[0])?.sqr())?;
        check::gradients(&[x], |t| quick_gelu(&t[0])?.sqr())
    }

    #[test]
    fn they_are_candles_own_to_the_ends() -> Result<()> {
        let x = (check::random(&[4, 70], 3)? * 20.0)?;
        check::assert_close(&gelu(&x)?, &x.gelu()?, 1e-12)?;
        let quick = (&x * candle_nn::ops::sigmoid(&(&x * 1.702)?)?)?;
        check::assert_close(&quick_gelu(&x)?, &quick, 1e-12)?;
        let single = x.to_dtype(DType::F32)?;
        let apart = (gelu(&single)? - single.gelu()?)?.abs()?.max_all()?;
        assert!(apart.to_scalar::<f32>()? < 1e-5);
        Ok(())
    }
}
