//! Softmax over the last dimension, and the gate of a feed-forward, each as one operation with a way back.

use std::marker::PhantomData;

use candle_core::CpuStorage;
use candle_core::CustomOp1;
use candle_core::CustomOp2;
use candle_core::DType;
use candle_core::Layout;
use candle_core::Result;
use candle_core::Shape;
use candle_core::Tensor;
use rayon::prelude::*;

use crate::compute::real::Real;
use crate::compute::real::contiguous;
use crate::compute::real::dot;
use crate::compute::real::softmax_row;
use crate::compute::real::with_values;

/// Values that one task takes.
const CHUNK: usize = 1 << 14;

/// `exp(x) / sum(exp(x))` over the last dimension; infinitely small values get nothing.
pub fn softmax(x: &Tensor) -> Result<Tensor> {
    let x = x.contiguous()?;
    match x.dtype() {
        DType::F64 => x.apply_op1(Softmax::<f64>(PhantomData)),
        _ => x.apply_op1(Softmax::<f32>(PhantomData)),
    }
}

/// `gate * sigmoid(gate) * up`, of tensors of one shape.
pub fn silu_times(gate: &Tensor, up: &Tensor) -> Result<Tensor> {
    let (gate, up) = (gate.contiguous()?, up.contiguous()?);
    match gate.dtype() {
        DType::F64 => gate.apply_op2(&up, SiluTimes::<f64>(PhantomData)),
        _ => gate.apply_op2(&up, SiluTimes::<f32>(PhantomData)),
    }
}

struct Softmax<T>(PhantomData<T>);

/// Whole rows of about [`CHUNK`] values.
fn chunk(width: usize) -> usize {
    (CHUNK / width.max(1)).max(1) * width.max(1)
}

impl<T: Real> CustomOp1 for Softmax<T> {
    fn name(&self) -> &'static str {
        "softmax-with-gradient"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let x = contiguous::<T>(storage, layout)?;
        let width = layout.dims().last().copied().unwrap_or(1);
        let mut out = vec![T::zero(); x.len()];
        let size = chunk(width);
        out.par_chunks_mut(size)
            .zip(x.par_chunks(size))
            .for_each(|(out, x)| {
                out.copy_from_slice(x);
                for row in out.chunks_mut(width) {
                    softmax_row(row, T::one());
                }
            });
        Ok((T::to_cpu_storage_owned(out), layout.shape().clone()))
    }

    fn bwd(&self, arg: &Tensor, res: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let width = arg.dims().last().copied().unwrap_or(1);
        let grad = grad.contiguous()?;
        let out = with_values([res, &grad], |[y, grad]: [&[T]; 2]| {
            let mut out = vec![T::zero(); y.len()];
            let size = chunk(width);
            out.par_chunks_mut(size)
                .zip(y.par_chunks(size))
                .zip(grad.par_chunks(size))
                .for_each(|((out, y), grad)| {
                    let rows = out.chunks_mut(width).zip(y.chunks(width));
                    for ((out, y), grad) in rows.zip(grad.chunks(width)) {
                        let along = dot(y, grad);
                        for ((out, y), grad) in out.iter_mut().zip(y).zip(grad) {
                            *out = *y * (*grad - along);
                        }
                    }
                });
            Ok(out)
        })?;
        Ok(Some(Tensor::from_vec(out, arg.shape(), arg.device())?))
    }
}

struct SiluTimes<T>(PhantomData<T>);

impl<T: Real> CustomOp2 for SiluTimes<T> {
    fn name(&self) -> &'static str {
        "silu-times"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (gate, up) = (contiguous::<T>(s1, l1)?, contiguous::<T>(s2, l2)?);
        let mut out = vec![T::zero(); gate.len()];
        out.par_chunks_mut(CHUNK)
            .zip(gate.par_chunks(CHUNK))
            .zip(up.par_chunks(CHUNK))
            .for_each(|((out, gate), up)| {
                for ((out, gate), up) in out.iter_mut().zip(gate).zip(up) {
                    *out = *gate * gate.sigmoid() * *up;
                }
            });
        Ok((T::to_cpu_storage_owned(out), l1.shape().clone()))
    }

    fn bwd(
        &self,
        arg1: &Tensor,
        arg2: &Tensor,
        _res: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let grad = grad.contiguous()?;
        let (of_gate, of_up) = with_values([arg1, arg2, &grad], |[gate, up, grad]: [&[T]; 3]| {
            let mut of_gate = vec![T::zero(); gate.len()];
            let mut of_up = vec![T::zero(); gate.len()];
            of_gate
                .par_chunks_mut(CHUNK)
                .zip(of_up.par_chunks_mut(CHUNK))
                .zip(gate.par_chunks(CHUNK).zip(up.par_chunks(CHUNK)))
                .zip(grad.par_chunks(CHUNK))
                .for_each(|(((of_gate, of_up), (gate, up)), grad)| {
                    for i in 0..grad.len() {
                        let sigmoid = gate[i].sigmoid();
                        let slope = sigmoid * (T::one() + gate[i] * (T::one() - sigmoid));
                        of_gate[i] = grad[i] * up[i] * slope;
                        of_up[i] = grad[i] * gate[i] * sigmoid;
                    }
                });
            Ok((of_gate, of_up))
        })?;
        let of_gate = Tensor::from_vec(of_gate, arg1.shape(), arg1.device())?;
        let of_up = Tensor::from_vec(of_up, arg2.shape(), arg2.device())?;
        Ok((Some(of_gate), Some(of_up)))
    }
}

#[cfg(test)]
mod tests {
    use candle_core::D;
    use candle_core::Device;

    use super::*;
    use crate::ml::layers::check;

    #[test]
    fn gradients_equal_finite_differences() -> Result<()> {
        let x = check::random(&[2, 3, 9], 1)?;
        let up = check::random(&[2, 3, 9], 2)?;
        check::gradients(&[x.clone(), up.clone()], |t| {
            (softmax(&t[0])? * &t[1])?.sqr()
        })?;
        check::gradients(&[x, up], |t| silu_times(&t[0], &t[1]))
    }

    #[test]
    fn they_are_candles_own_and_masks_hide() -> Result<()> {
        let x = (check::random(&[4, 7], 3)? * 9.0)?;
        let theirs = candle_nn::ops::softmax(&x, D::Minus1)?;
        check::assert_close(&softmax(&x)?, &theirs, 1e-12)?;
        let gated = (x.silu()? * &x)?;
        check::assert_close(&silu_times(&x, &x)?, &gated, 1e-9)?;
        let masked = Tensor::new(&[[0.5_f32, f32::NEG_INFINITY, -200.0, 0.5]], &Device::Cpu)?;
        let shares = softmax(&masked)?.to_vec2::<f32>()?;
        assert!((shares[0][0] - 0.5).abs() < 1e-6 && shares[0][1] == 0.0 && shares[0][2] < 1e-30);
        Ok(())
    }
}
