//! Attention of whole sequences, forward and back, some queries of one head at a time.
//!
//! Made of plain operations, attention writes a dozen matrices of queries by keys for all heads of a batch; here those of
//! some queries lie in the cache, and the way back computes their weights again.

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

use crate::compute::kernels::{Mat, Put, multiply};
use crate::compute::real::{contiguous, dot, softmax_row, with_values};

/// Queries whose weights are there at once: enough for the products to run well, few enough for a cache of 2 MB to hold
/// their weights against some thousand keys.
pub const QUERIES: usize = 128;

/// What a query sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sees {
    /// All keys.
    All,
    /// The key of its own place and those before: there are as many keys as queries.
    Before,
}

/// `softmax(q k^T / sqrt(width)) v`: `q (rows, heads, queries, width)`, `k` and `v (rows, kv_heads, keys, width)`, f32,
/// contiguous; neighbouring query heads share a key head.
///
/// # Errors
/// Wrong ranks, types or sizes.
pub fn attention(q: &Tensor, k: &Tensor, v: &Tensor, sees: Sees) -> Result<Tensor> {
    q.apply_op3(k, v, Attention(sees))
}

struct Attention(Sees);

const NAME: &str = "attention";

#[derive(Debug, Clone, Copy)]
struct Sizes {
    sees: Sees,
    keys: usize,
    width: usize,
    /// Values of a query head, and of the query heads that share a key head.
    query: usize,
    group: usize,
    /// Values of a key head.
    key: usize,
}

/// Neighbouring queries, and how many keys they see at most.
#[derive(Debug, Clone, Copy)]
struct Block {
    start: usize,
    rows: usize,
    cols: usize,
}

impl Sizes {
    fn new(sees: Sees, q: &[usize], k: &[usize], v: &[usize]) -> Result<Self> {
        let (&[rows, heads, queries, width], &[.., kv_heads, keys, _]) = (q, k) else {
            bail!("{NAME} expects (rows, heads, queries, width), got {q:?} and {k:?}")
        };
        if k != v
            || k != [rows, kv_heads, keys, width]
            || !heads.is_multiple_of(kv_heads.max(1))
            || (sees == Sees::Before && keys != queries)
        {
            bail!(
                "{NAME} expects keys and values (rows, kv_heads, keys, width) for {q:?}, got {k:?} and {v:?}"
            )
        }
        let query = queries * width;
        Ok(Self {
            sees,
            keys,
            width,
            query,
            group: heads / kv_heads.max(1) * query,
            key: keys * width,
        })
    }

    fn scale(self) -> f32 {
        (self.width as f32).sqrt().recip()
    }

    fn blocks(self) -> impl Iterator<Item = Block> {
        let queries = self.query / self.width;
        (0..queries).step_by(QUERIES).map(move |start| {
            let rows = QUERIES.min(queries - start);
            let cols = match self.sees {
                Sees::All => self.keys,
                Sees::Before => start + rows,
            };
            Block { start, rows, cols }
        })
    }

    /// A block's part of a query head.
    fn part(self, block: Block) -> std::ops::Range<usize> {
        block.start * self.width..(block.start + block.rows) * self.width
    }

    /// A key head `(keys, width)` turned to `(width, keys)`, once for all blocks: a product of its rows with queries would
    /// turn it over for each of them.
    fn turned(self, head: &[f32], out: &mut Vec<f32>) {
        /// Keys whose rows lie in the nearest cache together.
        const SIDE: usize = 16;
        out.resize(self.key, 0.0);
        for start in (0..self.keys).step_by(SIDE) {
            let end = self.keys.min(start + SIDE);
            for (column, out) in out.chunks_exact_mut(self.keys).enumerate() {
                for (key, place) in (start..end).zip(&mut out[start..end]) {
                    *place = head[key * self.width + column];
                }
            }
        }
    }

    /// Weights `(rows, cols)` of a block of one head, zero where a query does not see; the keys are turned.
    fn weights(self, block: Block, q: &[f32], turned: &[f32], weights: &mut [f32]) {
        let Block { start, rows, cols } = block;
        let operands = (Mat::rows(q, self.width), Mat::rows(turned, self.keys));
        multiply(weights, Put::Set, operands, [rows, self.width, cols]);
        for (row, weights) in weights.chunks_exact_mut(cols).take(rows).enumerate() {
            let seen = match self.sees {
                Sees::All => cols,
                Sees::Before => start + row + 1,
            };
            let (seen, unseen) = weights.split_at_mut(seen);
            softmax_row(seen, self.scale());
            unseen.fill(0.0);
        }
    }

    /// The most weights of a block.
    fn most(self) -> usize {
        QUERIES.min(self.query / self.width) * self.keys
    }

    fn forward(
        self,
        (q, k, v): (&[f32], &[f32], &[f32]),
        out: &mut [f32],
        [turned, weights]: &mut [Vec<f32>; 2],
    ) {
        self.turned(k, turned);
        weights.resize(self.most(), 0.0);
        let heads = q.chunks_exact(self.query);
        for (q, out) in heads.zip(out.chunks_exact_mut(self.query)) {
            for block in self.blocks() {
                self.weights(block, &q[self.part(block)], turned, weights);
                let operands = (Mat::rows(weights, block.cols), Mat::rows(v, self.width));
                let shape = [block.rows, block.cols, self.width];
                multiply(&mut out[self.part(block)], Put::Set, operands, shape);
            }
        }
    }

    /// Gradients of a key head and of the query heads that share it.
    fn backward(
        self,
        (q, k, v): (&[f32], &[f32], &[f32]),
        grad: &[f32],
        [grad_q, grad_k, grad_v]: [&mut [f32]; 3],
    ) {
        let mut turned = [Vec::new(), Vec::new()];
        self.turned(k, &mut turned[0]);
        self.turned(v, &mut turned[1]);
        let mut room = [vec![0.0; self.most()], vec![0.0; self.most()]];
        let heads = q.chunks_exact(self.query);
        let heads = heads.zip(grad_q.chunks_exact_mut(self.query));
        for ((q, grad_q), grad) in heads.zip(grad.chunks_exact(self.query)) {
            for block in self.blocks() {
                let part = self.part(block);
                let (q, grad_q) = (&q[part.clone()], &mut grad_q[part.clone()]);
                let into = [grad_q, &mut *grad_k, &mut *grad_v];
                self.block_back(block, (q, k, &turned), &grad[part], into, &mut room);
            }
        }
    }

    /// Gradients of a block's queries, and what it adds to those of keys and values.
    fn block_back(
        self,
        block: Block,
        (q, k, [turned_k, turned_v]): (&[f32], &[f32], &[Vec<f32>; 2]),
        grad: &[f32],
        [grad_q, grad_k, grad_v]: [&mut [f32]; 3],
        [weights, change]: &mut [Vec<f32>; 2],
    ) {
        let (Block { rows, cols, .. }, width) = (block, self.width);
        self.weights(block, q, turned_k, weights);
        let (across, along) = ([cols, rows, width], [rows, cols, width]);
        let g = Mat::rows(grad, width);
        multiply(grad_v, Put::Add, (Mat::rows(weights, cols).t(), g), across);
        let v = Mat::rows(turned_v, self.keys);
        multiply(change, Put::Set, (g, v), [rows, width, cols]);
        let pairs = change
            .chunks_exact_mut(cols)
            .zip(weights.chunks_exact(cols));
        for (change, weights) in pairs.take(rows) {
            // The mean of these very numbers: the output's product with its gradient is the same, rounded another way, and
            // where all changes are alike what is left of them would be that rounding.
            let mean = dot(weights, change);
            for (change, weight) in change.iter_mut().zip(weights) {
                *change = weight * (*change - mean) * self.scale();
            }
        }
        let (change, q, k) = (
            Mat::rows(change, cols),
            Mat::rows(q, width),
            Mat::rows(k, width),
        );
        multiply(grad_q, Put::Set, (change, k), along);
        multiply(grad_k, Put::Add, (change.t(), q), across);
    }
}

impl CustomOp3 for Attention {
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
        let sizes = Sizes::new(self.0, l1.dims(), l2.dims(), l3.dims())?;
        let (q, k, v) = (
            contiguous(s1, l1)?,
            contiguous(s2, l2)?,
            contiguous(s3, l3)?,
        );
        let mut out = vec![0.0; q.len()];
        let keys = k.par_chunks(sizes.key).zip(v.par_chunks(sizes.key));
        out.par_chunks_mut(sizes.group)
            .zip(q.par_chunks(sizes.group))
            .zip(keys)
            .for_each_init(Default::default, |room, ((out, q), (k, v))| {
                sizes.forward((q, k, v), out, room);
            });
        Ok((CpuStorage::F32(out), l1.shape().clone()))
    }

    fn bwd(
        &self,
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
        _out: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let sizes = Sizes::new(self.0, q.dims(), k.dims(), v.dims())?;
        let grad = grad.contiguous()?;
        let [of_q, of_k, of_v] = with_values([q, k, v, &grad], |[q, k, v, grad]: [&[f32]; 4]| {
            let [mut of_q, mut of_k, mut of_v] = [q, k, v].map(|values| vec![0.0; values.len()]);
            let grads = of_q.par_chunks_mut(sizes.group);
            let grads = grads.zip(
                of_k.par_chunks_mut(sizes.key)
                    .zip(of_v.par_chunks_mut(sizes.key)),
            );
            let given = q
                .par_chunks(sizes.group)
                .zip(k.par_chunks(sizes.key).zip(v.par_chunks(sizes.key)));
            let grad = grad.par_chunks(sizes.group);
            grads
                .zip(given)
                .zip(grad)
                .for_each(|(((of_q, (of_k, of_v)), (q, (k, v))), grad)| {
                    sizes.backward((q, k, v), grad, [of_q, of_k, of_v]);
                });
            Ok([of_q, of_k, of_v])
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
    use crate::compute::check::numbers;

    fn random(shape: &[usize], seed: u64) -> Result<Var> {
        let count = shape.iter().product();
        Var::from_vec(numbers(count, seed), shape, &Device::Cpu)
    }

    /// The same of plain operations.
    fn plain(q: &Tensor, k: &Tensor, v: &Tensor, sees: Sees) -> Result<Tensor> {
        let (rows, heads, seq, width) = q.dims4()?;
        let repeat = |x: &Tensor| {
            let (_, kv, keys, _) = x.dims4()?;
            let x = x
                .unsqueeze(2)?
                .broadcast_as((rows, kv, heads / kv, keys, width))?;
            x.reshape((rows, heads, keys, width))
        };
        let (k, v) = (repeat(k)?, repeat(v)?);
        let keys = k.dim(2)?;
        let mask: Vec<f32> = (0..seq * keys)
            .map(|at| {
                if sees == Sees::Before && at % keys > at / keys {
                    f32::NEG_INFINITY
                } else {
                    0.0
                }
            })
            .collect();
        let scores = (q.matmul(&k.t()?)? / (width as f64).sqrt())?;
        let scores = scores.broadcast_add(&Tensor::from_vec(mask, (seq, keys), &Device::Cpu)?)?;
        let scores = (scores.broadcast_sub(&scores.max_keepdim(D::Minus1)?)?).exp()?;
        scores
            .broadcast_div(&scores.sum_keepdim(D::Minus1)?)?
            .matmul(&v)
    }

    fn compare(sees: Sees, [queries, keys]: [usize; 2]) -> Result<()> {
        let (q, k, v) = (
            random(&[2, 6, queries, 16], 1)?,
            random(&[2, 3, keys, 16], 2)?,
            random(&[2, 3, keys, 16], 3)?,
        );
        let mix = random(&[2, 6, queries, 16], 4)?;
        let (ours, theirs) = (attention(&q, &k, &v, sees)?, plain(&q, &k, &v, sees)?);
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
            assert!(error < 2e-5, "{sees:?} {queries} {keys}: {error}");
        }
        Ok(())
    }

    #[test]
    fn values_and_gradients_equal_those_of_plain_operations() -> Result<()> {
        // Less than a block, whole blocks, and a block that is not full.
        for queries in [37, 2 * QUERIES, 2 * QUERIES + 19] {
            compare(Sees::Before, [queries, queries])?;
            compare(Sees::All, [queries, queries])?;
            compare(Sees::All, [queries, 50])?;
        }
        compare(Sees::All, [1, 300])
    }

    #[test]
    fn other_types_are_refused() -> Result<()> {
        let q = Tensor::zeros((1, 2, 4, 8), DType::F64, &Device::Cpu)?;
        assert!(attention(&q, &q, &q, Sees::All).is_err());
        let (q, k) = (random(&[1, 2, 4, 8], 1)?, random(&[1, 2, 5, 8], 2)?);
        assert!(attention(&q, &k, &k, Sees::Before).is_err());
        Ok(())
    }
}
