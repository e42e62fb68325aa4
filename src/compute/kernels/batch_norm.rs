//! Batch norm over channels followed by ReLU, in one pass each way (Ioffe and Szegedy 2015, algorithm 1).

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

use crate::compute::real::{contiguous, with_values};

/// `relu((x - mean) / sqrt(var + eps) * scale + shift)` with mean and variance of each channel over all other
/// dimensions of `x (..., channels)`; f32, contiguous.
///
/// # Errors
/// Wrong types or sizes.
pub fn batch_norm_relu(x: &Tensor, scale: &Tensor, shift: &Tensor) -> Result<Tensor> {
    x.apply_op3(scale, shift, BatchNormRelu)
}

/// Mean and (biased) variance of each channel of `x (..., channels)`.
///
/// # Errors
/// Wrong types.
pub fn channel_moments(x: &Tensor) -> Result<(Vec<f32>, Vec<f32>)> {
    let channels = x.dim(candle_core::D::Minus1)?;
    with_values([&x.contiguous()?], |[x]| Ok(moments(x, channels)))
}

/// Added to the variance.
pub(crate) const EPS: f32 = 1e-5;

/// Positions that one task works on; fixed, so that sums do not depend on the number of threads.
const CHUNK: usize = 4096;

struct BatchNormRelu;

fn moments(x: &[f32], channels: usize) -> (Vec<f32>, Vec<f32>) {
    let count = (x.len() / channels) as f64;
    let sums: Vec<(Vec<f64>, Vec<f64>)> = x
        .par_chunks(CHUNK * channels)
        .map(|chunk| {
            let (mut sum, mut square) = (vec![0f32; channels], vec![0f32; channels]);
            let (mut sum_all, mut square_all) = (vec![0f64; channels], vec![0f64; channels]);
            for block in chunk.chunks(64 * channels) {
                sum.fill(0.0);
                square.fill(0.0);
                for row in block.chunks_exact(channels) {
                    for ((s, q), v) in sum.iter_mut().zip(&mut square).zip(row) {
                        *s += v;
                        *q += v * v;
                    }
                }
                for c in 0..channels {
                    sum_all[c] += f64::from(sum[c]);
                    square_all[c] += f64::from(square[c]);
                }
            }
            (sum_all, square_all)
        })
        .collect();
    let mean: Vec<f64> = (0..channels)
        .map(|c| sums.iter().map(|(sum, _)| sum[c]).sum::<f64>() / count)
        .collect();
    let var = (0..channels)
        .map(|c| {
            let square = sums.iter().map(|(_, square)| square[c]).sum::<f64>() / count;
            (square - mean[c] * mean[c]).max(0.0) as f32
        })
        .collect();
    (mean.into_iter().map(|m| m as f32).collect(), var)
}

/// Per channel: what makes `relu(x * factor + offset)` of the normalised form.
struct Affine {
    mean: Vec<f32>,
    inverse: Vec<f32>,
    factor: Vec<f32>,
    offset: Vec<f32>,
}

fn affine(x: &[f32], scale: &[f32], shift: &[f32]) -> Affine {
    let (mean, var) = moments(x, scale.len());
    let inverse: Vec<f32> = var.iter().map(|v| (v + EPS).sqrt().recip()).collect();
    let factor: Vec<f32> = scale.iter().zip(&inverse).map(|(s, i)| s * i).collect();
    let offset = (0..scale.len())
        .map(|c| shift[c] - mean[c] * factor[c])
        .collect();
    Affine {
        mean,
        inverse,
        factor,
        offset,
    }
}

impl CustomOp3 for BatchNormRelu {
    fn name(&self) -> &'static str {
        "batch-norm-relu"
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
        let (x, scale, shift) = (
            contiguous(s1, l1)?,
            contiguous(s2, l2)?,
            contiguous(s3, l3)?,
        );
        let channels = scale.len();
        if l1.dims().last() != Some(&channels) || shift.len() != channels {
            bail!(
                "batch-norm-relu expects {channels} channels last, got {:?}",
                l1.dims()
            )
        }
        let Affine { factor, offset, .. } = affine(x, scale, shift);
        let mut out = vec![0f32; x.len()];
        out.par_chunks_mut(CHUNK * channels)
            .zip(x.par_chunks(CHUNK * channels))
            .for_each(|(out, x)| {
                for (out, x) in out.chunks_exact_mut(channels).zip(x.chunks_exact(channels)) {
                    // Zipped and not indexed: bounds that are checked keep a loop from being vectorised.
                    let affine = factor.iter().zip(&offset);
                    for ((out, x), (factor, offset)) in out.iter_mut().zip(x).zip(affine) {
                        *out = (x * factor + offset).max(0.0);
                    }
                }
            });
        Ok((CpuStorage::F32(out), l1.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        scale: &Tensor,
        shift: &Tensor,
        out: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let grad = grad.contiguous()?;
        let grads = with_values(
            [x, out, &grad, scale, shift],
            |[x, out, grad, scale, shift]| Ok(backward(x, (out, grad), scale, shift)),
        )?;
        let device = x.device();
        Ok((
            Some(Tensor::from_vec(grads.x, x.shape(), device)?),
            Some(Tensor::from_vec(grads.scale, scale.shape(), device)?),
            Some(Tensor::from_vec(grads.shift, shift.shape(), device)?),
        ))
    }
}

struct Gradients {
    x: Vec<f32>,
    scale: Vec<f32>,
    shift: Vec<f32>,
}

/// Sums over positions of the gradient behind the ReLU, plain and times the normalised input.
fn gradient_sums(
    x: &[f32],
    (out, grad): (&[f32], &[f32]),
    mean: &[f32],
    inverse: &[f32],
) -> (Vec<f32>, Vec<f32>) {
    let channels = mean.len();
    let (mut plain, mut times) = (vec![0f32; channels], vec![0f32; channels]);
    let behind = out.chunks_exact(channels).zip(grad.chunks_exact(channels));
    for (x, (out, grad)) in x.chunks_exact(channels).zip(behind) {
        let values = x.iter().zip(mean).zip(out.iter().zip(grad));
        let sums = plain.iter_mut().zip(times.iter_mut());
        for ((plain, times), ((x, mean), (out, grad))) in sums.zip(values) {
            let g = if *out > 0.0 { *grad } else { 0.0 };
            *plain += g;
            *times += g * (x - mean);
        }
    }
    for (times, inverse) in times.iter_mut().zip(inverse) {
        *times *= inverse;
    }
    (plain, times)
}

fn backward(x: &[f32], (out, grad): (&[f32], &[f32]), scale: &[f32], shift: &[f32]) -> Gradients {
    let channels = scale.len();
    let Affine {
        mean,
        inverse,
        factor,
        ..
    } = affine(x, scale, shift);
    let parts: Vec<(Vec<f32>, Vec<f32>)> = x
        .par_chunks(CHUNK * channels)
        .zip(out.par_chunks(CHUNK * channels))
        .zip(grad.par_chunks(CHUNK * channels))
        .map(|((x, out), grad)| gradient_sums(x, (out, grad), &mean, &inverse))
        .collect();
    let grad_shift: Vec<f32> = (0..channels)
        .map(|c| {
            parts
                .iter()
                .map(|(plain, _)| f64::from(plain[c]))
                .sum::<f64>() as f32
        })
        .collect();
    let grad_scale: Vec<f32> = (0..channels)
        .map(|c| {
            parts
                .iter()
                .map(|(_, times)| f64::from(times[c]))
                .sum::<f64>() as f32
        })
        .collect();
    let count = (x.len() / channels) as f32;
    // The gradient is `factor * (g - (grad_shift + normalised * grad_scale) / count)`: affine in `g` and in `x`.
    let (times, plus): (Vec<f32>, Vec<f32>) = (0..channels)
        .map(|c| {
            let times = -factor[c] * inverse[c] * grad_scale[c] / count;
            (times, -factor[c] * grad_shift[c] / count - mean[c] * times)
        })
        .unzip();
    let mut grad_x = vec![0f32; x.len()];
    grad_x
        .par_chunks_mut(CHUNK * channels)
        .zip(x.par_chunks(CHUNK * channels))
        .zip(out.par_chunks(CHUNK * channels))
        .zip(grad.par_chunks(CHUNK * channels))
        .for_each(|(((grad_x, x), out), grad)| {
            let rows = grad_x
                .chunks_exact_mut(channels)
                .zip(x.chunks_exact(channels));
            let behind = out.chunks_exact(channels).zip(grad.chunks_exact(channels));
            for ((grad_x, x), (out, grad)) in rows.zip(behind) {
                let channel = factor.iter().zip(&times).zip(&plus);
                let behind = x.iter().zip(out).zip(grad);
                for ((into, ((x, out), grad)), ((factor, times), plus)) in
                    grad_x.iter_mut().zip(behind).zip(channel)
                {
                    let g = if *out > 0.0 { *grad } else { 0.0 };
                    *into = factor * g + (times * x + plus);
                }
            }
        });
    Gradients {
        x: grad_x,
        scale: grad_scale,
        shift: grad_shift,
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};

    use super::*;
    use crate::compute::check::central_difference;

    #[test]
    fn gradients_equal_finite_differences() -> Result<()> {
        let values: Vec<f32> = (0..24)
            .map(|i| ((i * 37 % 23) as f32 * 0.31).sin())
            .collect();
        let x = Var::from_vec(values, (2, 2, 2, 3), &Device::Cpu)?;
        let scale = Var::from_vec(vec![1.0f32, 0.5, -0.8], 3, &Device::Cpu)?;
        let shift = Var::from_vec(vec![0.3f32, -0.1, 0.6], 3, &Device::Cpu)?;
        let mix = Tensor::from_vec(
            (0..24).map(|i| (i as f32 * 0.7).cos()).collect(),
            (2, 2, 2, 3),
            &Device::Cpu,
        )?;
        let loss = |x: &Tensor, scale: &Tensor, shift: &Tensor| {
            (batch_norm_relu(x, scale, shift)? * &mix)?.sum_all()
        };
        let grads = loss(&x, &scale, &shift)?.backward()?;
        for (which, var) in [&x, &scale, &shift].into_iter().enumerate() {
            let grad = grads
                .get(var)
                .expect("has a gradient")
                .flatten_all()?
                .to_vec1::<f32>()?;
            for (probe, analytic) in grad.iter().enumerate() {
                let numeric = central_difference(var, probe, 2e-3, |moved| match which {
                    0 => loss(moved, &scale, &shift),
                    1 => loss(&x, moved, &shift),
                    _ => loss(&x, &scale, moved),
                })?;
                let analytic = f64::from(*analytic);
                assert!(
                    (numeric - analytic).abs() < 1e-2 * (1.0 + analytic.abs()),
                    "{which} {probe} {numeric} {analytic}"
                );
            }
        }
        Ok(())
    }
}
