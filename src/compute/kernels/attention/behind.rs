//! Attention of new tokens to what a cache holds and to each other, where the keys lie.

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

use super::QUERIES;
use crate::compute::kernels::{Mat, Put, few, multiply};
use crate::compute::real::{contiguous, softmax_row};

/// `softmax(q k^T / sqrt(width)) v` of the last `seq` keys' tokens: `q (rows, heads, seq, width)`, contiguous; `k` and
/// `v (rows, kv_heads, keys, width)`, f32, parts of larger tensors as a cache has them; neighbouring query heads share a
/// key head. A token sees its own key and those before, from `firsts[row]` on.
///
/// # Errors
/// Wrong ranks, types or sizes, keys that do not lie side by side.
pub fn attention_behind(q: &Tensor, k: &Tensor, v: &Tensor, firsts: &[usize]) -> Result<Tensor> {
    q.apply_op3_no_bwd(k, v, &Behind(firsts))
}

struct Behind<'a>(&'a [usize]);

const NAME: &str = "attention-behind";

#[derive(Debug, Clone, Copy)]
struct Sizes {
    kv_heads: usize,
    seq: usize,
    keys: usize,
    width: usize,
    /// Values of the query heads that share a key head.
    group: usize,
}

impl Sizes {
    fn new(firsts: &[usize], q: &Layout, k: &Layout, v: &Layout) -> Result<Self> {
        let (&[rows, heads, seq, width], &[_, kv_heads, keys, _]) = (q.dims(), k.dims()) else {
            bail!("{NAME} expects (rows, heads, seq, width), got {q:?} and {k:?}")
        };
        let is_fit = k.dims() == [rows, kv_heads, keys, width]
            && v.dims() == k.dims()
            && heads.is_multiple_of(kv_heads.max(1))
            && (1..=keys).contains(&seq);
        if !is_fit {
            bail!(
                "{NAME} expects keys and values (rows, kv_heads, keys, width), got {k:?} and {v:?}"
            )
        }
        if firsts.len() != rows || firsts.iter().any(|first| *first > keys - seq) {
            bail!("{NAME} expects a first key of each of {rows} rows, got {firsts:?}")
        }
        let group = heads / kv_heads.max(1) * seq * width;
        Ok(Self {
            kv_heads,
            seq,
            keys,
            width,
            group,
        })
    }

    /// Keys or values of a head from `first` on: `(keys - first, width)`.
    fn head<'a>(
        self,
        (values, layout): (&'a [f32], &Layout),
        (row, head): (usize, usize),
        first: usize,
    ) -> &'a [f32] {
        let stride = layout.stride();
        let start = layout.start_offset() + row * stride[0] + head * stride[1];
        &values[start + first * self.width..start + self.keys * self.width]
    }

    /// Of the query heads `q` that share the key head `keys (n, width)`.
    fn attend(
        self,
        q: &[f32],
        (keys, values): (&[f32], &[f32]),
        out: &mut [f32],
        weights: &mut Vec<f32>,
    ) {
        let n = keys.len() / self.width;
        let size = QUERIES * self.width;
        for (block, (q, out)) in q.chunks(size).zip(out.chunks_mut(size)).enumerate() {
            let count = q.len() / self.width;
            weights.resize(count * n, 0.0);
            few(q, keys, self.width, weights);
            for (query, weights) in weights.chunks_exact_mut(n).enumerate() {
                let token = (block * QUERIES + query) % self.seq;
                let (seen, unseen) = weights.split_at_mut(n - self.seq + token + 1);
                softmax_row(seen, (self.width as f32).sqrt().recip());
                unseen.fill(0.0);
            }
            let operands = (Mat::rows(weights, n), Mat::rows(values, self.width));
            multiply(out, Put::Set, operands, [count, n, self.width]);
        }
    }
}

/// The values, where those of a head lie side by side.
fn with_heads<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    let is_fit = matches!((layout.stride(), layout.dims()), ([_, _, apart, 1], [.., width]) if apart == width);
    if !is_fit {
        bail!("{NAME} expects keys and values that lie side by side, got {layout:?}")
    }
    storage.as_slice()
}

impl CustomOp3 for Behind<'_> {
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
        let sizes = Sizes::new(self.0, l1, l2, l3)?;
        let q = contiguous::<f32>(s1, l1)?;
        let (k, v) = ((with_heads(s2, l2)?, l2), (with_heads(s3, l3)?, l3));
        let mut out = vec![0.0; q.len()];
        out.par_chunks_mut(sizes.group)
            .zip(q.par_chunks(sizes.group))
            .enumerate()
            .for_each_init(Vec::new, |weights, (at, (out, q))| {
                let place = (at / sizes.kv_heads, at % sizes.kv_heads);
                let first = self.0[place.0];
                let head = (sizes.head(k, place, first), sizes.head(v, place, first));
                sizes.attend(q, head, out, weights);
            });
        Ok((CpuStorage::F32(out), l1.shape().clone()))
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};

    use super::*;
    use crate::compute::kernels::{Sees, attention};

    #[test]
    fn new_tokens_attend_as_they_would_in_a_whole_sequence() -> Result<()> {
        let random =
            |shape: (usize, usize, usize, usize)| Tensor::randn(0f32, 1.0, shape, &Device::Cpu);
        for (seq, keys) in [(1, 60), (7, 60), (60, 60), (QUERIES + 3, 150)] {
            let (q, k, v) = (
                random((2, 6, keys, 19))?,
                random((2, 3, keys + 9, 19))?,
                random((2, 3, keys + 9, 19))?,
            );
            let [k, v] = [k.narrow(2, 0, keys)?, v.narrow(2, 0, keys)?];
            let new = q.narrow(2, keys - seq, seq)?.contiguous()?;
            let firsts = [0, (keys - seq) / 2];
            let ours = attention_behind(&new, &k, &v, &firsts)?;
            for (row, first) in firsts.into_iter().enumerate() {
                let part = |x: &Tensor| {
                    let x = x.narrow(0, row, 1)?.narrow(2, first, keys - first)?;
                    x.contiguous()
                };
                let whole = attention(&part(&q)?, &part(&k)?, &part(&v)?, Sees::Before)?;
                let whole = whole.narrow(2, keys - seq - first, seq)?;
                let apart = (ours.narrow(0, row, 1)? - whole)?.abs()?.max_all()?;
                assert!(apart.to_scalar::<f32>()? < 1e-5, "{seq} {keys} {row}");
            }
        }
        Ok(())
    }

    #[test]
    fn what_does_not_fit_is_refused() -> Result<()> {
        let zeros =
            |shape: (usize, usize, usize, usize), dtype| Tensor::zeros(shape, dtype, &Device::Cpu);
        let q = zeros((1, 2, 3, 8), DType::F32)?;
        let k = zeros((1, 2, 5, 8), DType::F32)?;
        assert!(attention_behind(&q, &k, &k, &[2]).is_ok());
        assert!(attention_behind(&q, &k, &k, &[3]).is_err());
        assert!(attention_behind(&q, &k, &k, &[0, 0]).is_err());
        let turned = zeros((1, 2, 8, 5), DType::F32)?.transpose(2, 3)?;
        assert!(attention_behind(&q, &turned, &turned, &[0]).is_err());
        let double = zeros((1, 2, 5, 8), DType::F64)?;
        assert!(attention_behind(&q, &double, &double, &[0]).is_err());
        Ok(())
    }
}
