//! The gate of a feed-forward as one operation with a way back.

use std::marker::PhantomData;

use candle_core::CpuStorage;
use candle_core::CustomOp2;
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

/// `gate * sigmoid(gate) * up`, of tensors of one shape.
pub fn silu_times(gate: &Tensor, up: &Tensor) -> Result<Tensor> {
    let (gate, up) = (gate.contiguous()?, up.contiguous()?);
    match gate.dtype() {
        DType::F64 => gate.apply_op2(&up, SiluTimes::<f64>(PhantomData)),
        _ => gate.apply_op2(&up, SiluTimes::<f32>(PhantomData)),
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
    use super::*;
    use crate::ml::layers::check;

    #[test]
    fn gradients_equal_finite_differences() -> Result<()> {
        let x = check::random(&[2, 3, 9], 1)?;
        let up = check::random(&[2, 3, 9], 2)?;
        check::gradients(&[x, up], |t| silu_times(&t[0], &t[1]))
    }

    #[test]
    fn it_is_candles_own() -> Result<()> {
        let x = (check::random(&[4, 7], 3)? * 9.0)?;
        let gated = (x.silu()? * &x)?;
        check::assert_close(&silu_times(&x, &x)?, &gated, 1e-9)
    }
}
