//! Causal attention for training, forward and back, one head at a time.
//!
//! Made of plain operations, attention writes a dozen matrices of sequence by sequence for all heads of a batch; here one
//! head's lie in the cache, and the way back computes its weights again.

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

use super::{Matrix, multiply, values, with_values};

/// `softmax(q k^T / sqrt(width)) v` where a position sees itself and what stands before it: `q (rows, heads, seq, width)`,
/// `k` and `v (rows, kv_heads, seq, width)`, f32, contiguous; neighbouring query heads share a key head.
///
/// # Errors
/// Wrong ranks, types or sizes.
pub fn causal_attention(q: &Tensor, k: &Tensor, v: &Tensor) -> Result<Tensor> {
    q.apply_op3(k, v, CausalAttention)
}

struct CausalAttention;

const NAME: &str = "causal-attention";

#[derive(Debug, Clone, Copy)]
struct Sizes {
    seq: usize,
    width: usize,
    /// Values of the query heads that share a key head, and of that key head.
    group: usize,
    key: usize,
}

impl Sizes {
    fn new(q: &[usize], k: &[usize], v: &[usize]) -> Result<Self> {
        let (&[rows, heads, seq, width], &[.., kv_heads, keys, _]) = (q, k) else {
            bail!("{NAME} expects (rows, heads, seq, width), got {q:?} and {k:?}")
        };
        if k != v
            || k != [rows, kv_heads, keys, width]
            || keys != seq
            || !heads.is_multiple_of(kv_heads.max(1))
        {
            bail!(
                "{NAME} expects keys and values (rows, kv_heads, seq, width) for {q:?}, got {k:?} and {v:?}"
            )
        }
        let key = seq * width;
        let group = heads / kv_heads.max(1) * key;
        Ok(Self {
            seq,
            width,
            group,
            key,
        })
    }

    const fn product(self) -> [usize; 3] {
        [self.seq, self.width, self.seq]
    }

    const fn sum(self) -> [usize; 3] {
        [self.seq, self.seq, self.width]
    }

    fn scale(self) -> f32 {
        (self.width as f32).sqrt().recip()
    }

    /// Weights of one head, zero above the diagonal.
    fn weights(self, q: &[f32], k: &[f32], weights: &mut Vec<f32>) {
        let Self { seq, width, .. } = self;
        weights.resize(seq * seq, 0.0);
        multiply(
            weights,
            Matrix::rows(q, width),
            Matrix::transposed(k, width),
            self.product(),
            0.0,
        );
        let scale = self.scale();
        for (row, weights) in weights.chunks_exact_mut(seq).enumerate() {
            let (seen, unseen) = weights.split_at_mut(row + 1);
            let most = seen.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let mut sum = 0.0;
            for weight in seen.iter_mut() {
                *weight = exp((*weight - most) * scale);
            }
            for weight in seen.iter() {
                sum += weight;
            }
            let part = 1.0 / sum;
            for weight in seen.iter_mut() {
                *weight *= part;
            }
            unseen.fill(0.0);
        }
    }

    fn forward(self, (q, k, v): (&[f32], &[f32], &[f32]), out: &mut [f32], weights: &mut Vec<f32>) {
        for (q, out) in q.chunks_exact(self.key).zip(out.chunks_exact_mut(self.key)) {
            self.weights(q, k, weights);
            multiply(
                out,
                Matrix::rows(weights, self.seq),
                Matrix::rows(v, self.width),
                self.sum(),
                0.0,
            );
        }
    }

    /// Gradients of a key head and of the query heads that share it.
    fn backward(
        self,
        (q, k, v): (&[f32], &[f32], &[f32]),
        (out, grad): (&[f32], &[f32]),
        into: [&mut [f32]; 3],
    ) {
        let Self {
            seq, width, key, ..
        } = self;
        let [grad_q, grad_k, grad_v] = into;
        let (mut weights, mut change) = (Vec::new(), vec![0.0; seq * seq]);
        let heads = q.chunks_exact(key).zip(grad_q.chunks_exact_mut(key));
        let behind = out.chunks_exact(key).zip(grad.chunks_exact(key));
        for ((q, grad_q), (out, grad)) in heads.zip(behind) {
            self.weights(q, k, &mut weights);
            multiply(
                grad_v,
                Matrix::transposed(&weights, seq),
                Matrix::rows(grad, width),
                self.sum(),
                1.0,
            );
            multiply(
                &mut change,
                Matrix::rows(grad, width),
                Matrix::transposed(v, width),
                self.product(),
                0.0,
            );
            let rows = change.chunks_exact_mut(seq).zip(weights.chunks_exact(seq));
            let behind = out.chunks_exact(width).zip(grad.chunks_exact(width));
            for ((change, weights), (out, grad)) in rows.zip(behind) {
                let mean: f32 = out.iter().zip(grad).map(|(out, grad)| out * grad).sum();
                for (change, weight) in change.iter_mut().zip(weights) {
                    *change = weight * (*change - mean) * self.scale();
                }
            }
            multiply(
                grad_q,
                Matrix::rows(&change, seq),
                Matrix::rows(k, width),
                self.sum(),
                0.0,
            );
            multiply(
                grad_k,
                Matrix::transposed(&change, seq),
                Matrix::rows(q, width),
                self.sum(),
                1.0,
            );
        }
    }
}

/// The exponential of a number that is not above 0, to six digits; without a call, so that loops are vectorised.
fn exp(x: f32) -> f32 {
    // The logarithm of 2 in two parts, of which the first has few digits: its multiples are exact (Cody and Waite 1980).
    const LN_2: [f32; 2] = [355.0 / 512.0, -2.121_944_4e-4];
    const ROUND: f32 = 12_582_912.0;
    let x = x.max(-87.0);
    let whole = (x * std::f32::consts::LOG2_E + ROUND) - ROUND;
    let rest = (x - whole * LN_2[0]) - whole * LN_2[1];
    let power = f32::from_bits(((whole as i32 + 127) << 23) as u32);
    let series = [1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0];
    power
        * series
            .iter()
            .fold(1.0 / 720.0, |sum: f32, term| sum.mul_add(rest, *term))
}

impl CustomOp3 for CausalAttention {
    fn name(&self) -> &'static str {
        NAME
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
        let sizes = Sizes::new(l1.dims(), l2.dims(), l3.dims())?;
        let (q, k, v) = (
            values(s1, l1, NAME)?,
            values(s2, l2, NAME)?,
            values(s3, l3, NAME)?,
        );
        let mut out = vec![0.0; q.len()];
        let keys = k.par_chunks(sizes.key).zip(v.par_chunks(sizes.key));
        out.par_chunks_mut(sizes.group)
            .zip(q.par_chunks(sizes.group))
            .zip(keys)
            .for_each_init(Vec::new, |weights, ((out, q), (k, v))| {
                sizes.forward((q, k, v), out, weights);
            });
        Ok((CpuStorage::F32(out), l1.shape().clone()))
    }

    fn bwd(
        &self,
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
        out: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let sizes = Sizes::new(q.dims(), k.dims(), v.dims())?;
        let grad = grad.contiguous()?;
        let [of_q, of_k, of_v] =
            with_values([q, k, v, out, &grad], NAME, |[q, k, v, out, grad]| {
                let [mut of_q, mut of_k, mut of_v] =
                    [q, k, v].map(|values| vec![0.0; values.len()]);
                let grads = of_q.par_chunks_mut(sizes.group);
                let grads = grads.zip(
                    of_k.par_chunks_mut(sizes.key)
                        .zip(of_v.par_chunks_mut(sizes.key)),
                );
                let given = q
                    .par_chunks(sizes.group)
                    .zip(k.par_chunks(sizes.key).zip(v.par_chunks(sizes.key)));
                let behind = out
                    .par_chunks(sizes.group)
                    .zip(grad.par_chunks(sizes.group));
                grads.zip(given).zip(behind).for_each(
                    |(((of_q, (of_k, of_v)), (q, (k, v))), behind)| {
                        sizes.backward((q, k, v), behind, [of_q, of_k, of_v]);
                    },
                );
                [of_q, of_k, of_v]
            })?;
        let tensor =
            |values, like: &Tensor| Tensor::from_vec(values, like.shape(), like.device()).map(Some);
        Ok((tensor(of_q, q)?, tensor(of_k, k)?, tensor(of_v, v)?))
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{D, DType, Device, Var};

    use super::*;

    fn random(shape: &[usize], seed: u64) -> Result<Var> {
        let count: usize = shape.iter().product();
        let value = |at: usize| {
            ((at as f64 * 12.9898 + seed as f64 * 78.233).sin() * 43_758.547).fract() as f32
        };
        Var::from_vec((0..count).map(value).collect(), shape, &Device::Cpu)
    }

    /// The same of plain operations.
    fn plain(q: &Tensor, k: &Tensor, v: &Tensor) -> Result<Tensor> {
        let (rows, heads, seq, width) = q.dims4()?;
        let repeat = |x: &Tensor| {
            let (_, kv, ..) = x.dims4()?;
            let x = x
                .unsqueeze(2)?
                .broadcast_as((rows, kv, heads / kv, seq, width))?;
            x.reshape((rows, heads, seq, width))
        };
        let (k, v) = (repeat(k)?, repeat(v)?);
        let mask: Vec<f32> = (0..seq * seq)
            .map(|at| {
                if at % seq > at / seq {
                    f32::NEG_INFINITY
                } else {
                    0.0
                }
            })
            .collect();
        let scores = (q.matmul(&k.t()?)? / (width as f64).sqrt())?;
        let scores = scores.broadcast_add(&Tensor::from_vec(mask, (seq, seq), &Device::Cpu)?)?;
        let scores = (scores.broadcast_sub(&scores.max_keepdim(D::Minus1)?)?).exp()?;
        scores
            .broadcast_div(&scores.sum_keepdim(D::Minus1)?)?
            .matmul(&v)
    }

    #[test]
    fn values_and_gradients_equal_those_of_plain_operations() -> Result<()> {
        let (q, k, v) = (
            random(&[2, 6, 37, 16], 1)?,
            random(&[2, 3, 37, 16], 2)?,
            random(&[2, 3, 37, 16], 3)?,
        );
        let mix = random(&[2, 6, 37, 16], 4)?;
        let (ours, theirs) = (causal_attention(&q, &k, &v)?, plain(&q, &k, &v)?);
        let grads = |out: &Tensor| (out * mix.as_tensor())?.sum_all()?.backward();
        let (a, b) = (grads(&ours)?, grads(&theirs)?);
        let mut pairs = vec![(ours, theirs)];
        for var in [&q, &k, &v] {
            pairs.push((
                a.get(var).expect("has one").clone(),
                b.get(var).expect("has one").clone(),
            ));
        }
        for (ours, theirs) in pairs {
            let error = (ours - theirs)?.abs()?.max_all()?.to_scalar::<f32>()?;
            assert!(error < 2e-5, "{error}");
        }
        Ok(())
    }

    #[test]
    fn the_exponential_has_six_digits() {
        for step in 0..4_000 {
            let x = -(step as f32) * 0.02;
            assert!((exp(x) - x.exp()).abs() <= 1e-6 * x.exp() + 2e-38, "{x}");
        }
    }

    #[test]
    fn other_types_are_refused() -> Result<()> {
        let q = Tensor::zeros((1, 2, 4, 8), DType::F64, &Device::Cpu)?;
        assert!(causal_attention(&q, &q, &q).is_err());
        Ok(())
    }
}
