//! Causal depthwise convolution over time with SiLU behind it.

use std::marker::PhantomData;

use candle_core::CpuStorage;
use candle_core::CustomOp3;
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

/// `silu(b + sum_k w[:, k] x[t - K + 1 + k])`: every channel sees its own past only, zeros before the start.
///
/// `x (batch, seq, channels)`, `weight (channels, 1, kernel)`, `bias (channels)`.
pub fn causal_conv_silu(x: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor> {
    let (x, weight) = (x.contiguous()?, weight.contiguous()?);
    match x.dtype() {
        DType::F64 => x.apply_op3(&weight, bias, ConvSilu::<f64>(PhantomData)),
        _ => x.apply_op3(&weight, bias, ConvSilu::<f32>(PhantomData)),
    }
}

struct ConvSilu<T>(PhantomData<T>);

impl<T: Real> CustomOp3 for ConvSilu<T> {
    fn name(&self) -> &'static str {
        "causal-conv-silu"
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
        let x = contiguous::<T>(s1, l1)?;
        let bias = contiguous::<T>(s3, l3)?;
        let taps = by_tap(contiguous::<T>(s2, l2)?, bias.len());
        let (_, seq, channels) = l1.shape().dims3()?;
        let mut out = vec![T::zero(); x.len()];
        out.par_chunks_mut(seq * channels)
            .zip(x.par_chunks(seq * channels))
            .for_each(|(out, x)| {
                convolve(x, &taps, bias, out);
                for y in out {
                    *y *= y.sigmoid();
                }
            });
        Ok((T::to_cpu_storage_owned(out), l1.shape().clone()))
    }

    fn bwd(
        &self,
        arg1: &Tensor,
        arg2: &Tensor,
        arg3: &Tensor,
        _res: &Tensor,
        grad_res: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (_, seq, channels) = arg1.dims3()?;
        let grad_res = grad_res.contiguous()?;
        let tensors = [arg1, arg2, arg3, &grad_res];
        let (grad_x, grad_weight, grad_bias) = with_values(tensors, |[x, weight, bias, grad]| {
            let taps = by_tap(weight, channels);
            let mut grad_x = vec![T::zero(); x.len()];
            let partial: Vec<Vec<T>> = grad_x
                .par_chunks_mut(seq * channels)
                .zip(x.par_chunks(seq * channels))
                .zip(grad.par_chunks(seq * channels))
                .map(|((grad_x, x), grad)| {
                    let mut before = vec![T::zero(); x.len()];
                    convolve(x, &taps, bias, &mut before);
                    let mut grad_weight = vec![T::zero(); taps.len() + channels];
                    conv_silu_back((x, &taps), (&mut before, grad), grad_x, &mut grad_weight);
                    grad_weight
                })
                .collect();
            let total = sum_rows(partial, taps.len() + channels);
            let (grad_taps, grad_bias) = total.split_at(taps.len());
            Ok((grad_x, by_channel(grad_taps, channels), grad_bias.to_vec()))
        })?;
        let device = arg1.device();
        Ok((
            Some(Tensor::from_vec(grad_x, arg1.shape(), device)?),
            Some(Tensor::from_vec(grad_weight, arg2.shape(), device)?),
            Some(Tensor::from_vec(grad_bias, arg3.shape(), device)?),
        ))
    }
}

/// Weights as `(kernel, channels)`, so that the inner loop runs over channels.
pub(crate) fn by_tap<T: Real>(weight: &[T], channels: usize) -> Vec<T> {
    let kernel = weight.len() / channels;
    (0..weight.len())
        .map(|i| weight[i % channels * kernel + i / channels])
        .collect()
}

/// The way back of [`by_tap`].
pub(crate) fn by_channel<T: Real>(taps: &[T], channels: usize) -> Vec<T> {
    let kernel = taps.len() / channels;
    (0..taps.len())
        .map(|i| taps[i % kernel * channels + i / kernel])
        .collect()
}

/// One sequence without the SiLU; `out` is overwritten.
pub(crate) fn convolve<T: Real>(x: &[T], taps: &[T], bias: &[T], out: &mut [T]) {
    let channels = bias.len();
    let kernel = taps.len() / channels;
    for (t, out) in out.chunks_mut(channels).enumerate() {
        out.copy_from_slice(bias);
        for k in (0..kernel).filter(|k| t + k + 1 >= kernel) {
            let x = &x[(t + k + 1 - kernel) * channels..][..channels];
            let tap = &taps[k * channels..][..channels];
            for ((y, &x), &w) in out.iter_mut().zip(x).zip(tap) {
                *y = w.mul_add(x, *y);
            }
        }
    }
}

/// Gradient of one sequence through SiLU and convolution, added to that of `x` and to `[taps, bias]`. `before` holds what
/// the SiLU saw, and its gradient afterwards.
pub(crate) fn conv_silu_back<T: Real>(
    (x, taps): (&[T], &[T]),
    (before, grad): (&mut [T], &[T]),
    grad_x: &mut [T],
    grad_weight: &mut [T],
) {
    let channels = grad_weight.len() - taps.len();
    let kernel = taps.len() / channels;
    for (a, &g) in before.iter_mut().zip(grad) {
        let s = a.sigmoid();
        *a = g * s * (T::one() + *a * (T::one() - s));
    }
    let (grad_taps, grad_bias) = grad_weight.split_at_mut(taps.len());
    for (t, g) in before.chunks(channels).enumerate() {
        for (sum, &g) in grad_bias.iter_mut().zip(g) {
            *sum += g;
        }
        for k in (0..kernel).filter(|k| t + k + 1 >= kernel) {
            let from = (t + k + 1 - kernel) * channels;
            let tap = &taps[k * channels..][..channels];
            let grad_tap = &mut grad_taps[k * channels..][..channels];
            let (x, grad_x) = (&x[from..][..channels], &mut grad_x[from..][..channels]);
            let g = &g[..channels];
            for c in 0..channels {
                grad_x[c] = g[c].mul_add(tap[c], grad_x[c]);
                grad_tap[c] = g[c].mul_add(x[c], grad_tap[c]);
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
        let x = check::random(&[2, 6, 3], 1)?;
        let weight = check::random(&[3, 1, 4], 2)?;
        let bias = check::random(&[3], 3)?;
        check::gradients(&[x, weight, bias], |t| {
            causal_conv_silu(&t[0], &t[1], &t[2])
        })
    }

    #[test]
    fn it_equals_candles_convolution() -> Result<()> {
        let x = check::random(&[2, 6, 3], 1)?;
        let weight = check::random(&[3, 1, 4], 2)?;
        let bias = check::random(&[3], 3)?;
        let theirs = x
            .transpose(1, 2)?
            .contiguous()?
            .conv1d(&weight, 3, 1, 1, 3)?
            .narrow(2, 0, 6)?
            .transpose(1, 2)?
            .broadcast_add(&bias)?
            .silu()?;
        check::assert_close(&causal_conv_silu(&x, &weight, &bias)?, &theirs, 1e-12)
    }
}
