//! A whole block as one operation over a batch, with a backward pass of its own.
//!
//! As a graph of operations a block writes and reads some forty tensors as large as the batch, most of them by one
//! thread; here a sequence's working set stays in the cache of the core that works on it. The weights come in as one
//! vector, since candle's custom operations take three arguments at most.
//!
//! Results do not depend on the number of threads: sequences are worked on alone, gradients of weights are summed over
//! fixed groups of sequences and then over the groups in their order.

mod cell;
mod headwise;
mod mlstm;
mod scan;
mod slstm;

use std::sync::OnceLock;

use candle_core::CpuStorage;
use candle_core::CustomOp2;
use candle_core::DType;
use candle_core::Layout;
use candle_core::Result;
use candle_core::Shape;
use candle_core::Tensor;
use candle_core::bail;
use rayon::prelude::*;

use crate::compute::kernels::Hands;
use crate::compute::real::Real;
use crate::compute::real::contiguous;
use crate::compute::real::with_values;
use crate::compute::scratch::Scratch;

pub(super) use mlstm::Mlstm;
pub(super) use slstm::Slstm;

/// From this number of sequences on, each is one thread's work; below, all threads share one.
const SPLIT: usize = 4;
/// Sums of weight gradients that stand side by side at most.
const GROUPS: usize = 8;

/// A block over one sequence at a time; `x` and `out` are `(seq, dim)`, row-major.
pub(super) trait Kernel: Copy + Send + Sync + 'static {
    /// What the backward pass reads.
    type Trace<T: Real>: Send + Sync;

    /// Width of the residual stream.
    fn dim(&self) -> usize;

    /// Number of weights.
    fn num_weights(&self) -> usize;

    /// `out` is overwritten.
    fn forward<T: Real>(
        &self,
        x: &[T],
        weights: &[T],
        out: &mut [T],
        hands: Hands,
    ) -> Self::Trace<T>;

    /// Overwrites the gradient of `x` and adds to that of the weights.
    fn backward<T: Real>(
        &self,
        given: Given<'_, T, Self::Trace<T>>,
        grad_x: &mut [T],
        grad_weights: &mut [T],
        hands: Hands,
    );
}

/// What a backward pass starts from.
#[derive(Clone, Copy)]
pub(super) struct Given<'a, T, Trace> {
    x: &'a [T],
    weights: &'a [T],
    trace: &'a Trace,
    grad: &'a [T],
}

/// Runs a block: `x (batch, seq, dim)` to the same shape. `weights` are flattened and put one behind the other.
pub(super) fn run<K: Kernel>(kernel: K, x: &Tensor, weights: &[&Tensor]) -> Result<Tensor> {
    let x = x.contiguous()?;
    let flat = weights.iter().map(|weight| weight.flatten_all());
    let packed = Tensor::cat(&flat.collect::<Result<Vec<_>>>()?, 0)?;
    if packed.elem_count() != kernel.num_weights() {
        bail!(
            "a block needs {} weights, there are {}",
            kernel.num_weights(),
            packed.elem_count()
        )
    }
    let keep = x.track_op() || packed.track_op();
    match x.dtype() {
        DType::F64 => x.apply_op2(&packed, Block::<f64, K>::new(kernel, keep)),
        _ => x.apply_op2(&packed, Block::<f32, K>::new(kernel, keep)),
    }
}

/// Sequences whose weight gradients are summed one after the other: the number of the group, where the gradient of its
/// inputs goes, and what its forward pass left.
type Group<'a, T, K> = (usize, (&'a mut [T], &'a [<K as Kernel>::Trace<T>]));

struct Block<T: Real, K: Kernel> {
    kernel: K,
    keep: bool,
    traces: OnceLock<Vec<K::Trace<T>>>,
}

impl<T: Real, K: Kernel> Block<T, K> {
    const fn new(kernel: K, keep: bool) -> Self {
        Self {
            kernel,
            keep,
            traces: OnceLock::new(),
        }
    }
}

impl<T: Real, K: Kernel> CustomOp2 for Block<T, K> {
    fn name(&self) -> &'static str {
        "xlstm-block"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (x, weights) = (contiguous::<T>(s1, l1)?, contiguous::<T>(s2, l2)?);
        let (batch, seq, dim) = l1.shape().dims3()?;
        if dim != self.kernel.dim() || seq == 0 {
            bail!(
                "a block of width {} got {:?}",
                self.kernel.dim(),
                l1.shape()
            )
        }
        let mut out = vec![T::zero(); x.len()];
        let one = |(out, x): (&mut [T], &[T]), hands| {
            let trace = self.kernel.forward(x, weights, out, hands);
            self.keep.then_some(trace)
        };
        let traces: Vec<Option<K::Trace<T>>> = if batch < SPLIT {
            let sequences = out.chunks_mut(seq * dim).zip(x.chunks(seq * dim));
            sequences.map(|pair| one(pair, Hands::All)).collect()
        } else {
            out.par_chunks_mut(seq * dim)
                .zip(x.par_chunks(seq * dim))
                .map(|pair| one(pair, Hands::One))
                .collect()
        };
        if self.keep {
            // A second forward of the same operation cannot happen; if it did, the first trace would stay.
            self.traces
                .get_or_init(|| traces.into_iter().flatten().collect());
        }
        Ok((T::to_cpu_storage_owned(out), l1.shape().clone()))
    }

    fn bwd(
        &self,
        arg1: &Tensor,
        arg2: &Tensor,
        _res: &Tensor,
        grad_res: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let Some(traces) = self.traces.get() else {
            bail!("a block's backward before its forward")
        };
        let grad_res = grad_res.contiguous()?;
        let (_, seq, dim) = arg1.dims3()?;
        let (grad_x, grad_weights) = with_values([arg1, arg2, &grad_res], |[x, weights, grad]| {
            Ok(self.backward(traces, [x, weights, grad], seq * dim))
        })?;
        let device = arg1.device();
        Ok((
            Some(Tensor::from_vec(grad_x, arg1.shape(), device)?),
            Some(Tensor::from_vec(grad_weights, arg2.shape(), device)?),
        ))
    }
}

impl<T: Real, K: Kernel> Block<T, K> {
    fn backward(
        &self,
        traces: &[K::Trace<T>],
        [x, weights, grad]: [&[T]; 3],
        len: usize,
    ) -> (Vec<T>, Vec<T>) {
        let is_split = traces.len() >= SPLIT;
        let (group, hands) = if is_split {
            (traces.len().div_ceil(GROUPS), Hands::One)
        } else {
            (traces.len().max(1), Hands::All)
        };
        let mut grad_x = vec![T::zero(); x.len()];
        let one_group = |(number, (grad_x, traces)): Group<'_, T, K>| {
            let mut grad_weights = vec![T::zero(); weights.len()];
            for (i, (grad_x, trace)) in grad_x.chunks_mut(len).zip(traces).enumerate() {
                let at = (number * group + i) * len;
                let given = Given {
                    x: &x[at..at + len],
                    weights,
                    trace,
                    grad: &grad[at..at + len],
                };
                self.kernel
                    .backward(given, grad_x, &mut grad_weights, hands);
            }
            grad_weights
        };
        let groups = grad_x
            .par_chunks_mut(group * len)
            .zip(traces.par_chunks(group));
        let sums: Vec<Vec<T>> = groups.enumerate().map(one_group).collect();
        (grad_x, sum(sums))
    }
}

/// Sums of equal length, added in their order.
fn sum<T: Real>(mut sums: Vec<Vec<T>>) -> Vec<T> {
    const CHUNK: usize = 4096;
    if sums.is_empty() {
        return Vec::new();
    }
    let mut first = sums.swap_remove(0);
    // `swap_remove` put the last one first among the others.
    if sums.len() > 1 {
        sums.rotate_left(1);
    }
    first
        .par_chunks_mut(CHUNK)
        .enumerate()
        .for_each(|(chunk, out)| {
            for other in &sums {
                let other = &other[chunk * CHUNK..][..out.len()];
                for (sum, &value) in out.iter_mut().zip(other) {
                    *sum += value;
                }
            }
        });
    first
}

/// Cuts a vector into parts of these sizes.
fn parts<T, const N: usize>(mut values: &[T], sizes: [usize; N]) -> [&[T]; N] {
    sizes.map(|size| {
        let (part, rest) = values.split_at(size);
        values = rest;
        part
    })
}

/// The same of a vector to be written.
fn parts_mut<T, const N: usize>(values: &mut [T], sizes: [usize; N]) -> [&mut [T]; N] {
    let mut values = values;
    sizes.map(|size| {
        let (part, rest) = std::mem::take(&mut values).split_at_mut(size);
        values = rest;
        part
    })
}

/// `x sigmoid(x)` of each.
fn silu<T: Real>(x: &[T]) -> Scratch<T> {
    Scratch::of(x.len(), x.iter().map(|&a| a * a.sigmoid()))
}

/// Adds the rows of `rows` to `out`.
fn add_columns<T: Real>(rows: &[T], out: &mut [T]) {
    for row in rows.chunks(out.len()) {
        for (sum, &value) in out.iter_mut().zip(row) {
            *sum += value;
        }
    }
}
