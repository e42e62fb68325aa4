//! Kernels of ours for NVIDIA GPUs, `kernels.cu`: what a fine-tuning does there that candle has no kernel for.
//!
//! Each function answers `None` where it has no kernel for its operands (another device, a build without CUDA, another
//! type), and the caller puts the same together of candle's operations. Operands of any layout are taken; results are
//! contiguous.

#[cfg(feature = "cuda")]
mod launch;
#[cfg(not(feature = "cuda"))]
#[path = "no_launch.rs"]
mod launch;
#[cfg(feature = "cuda")]
pub(super) mod pool;

use candle_core::{DType, Result, Tensor};

use self::launch::launch;

/// Threads of a block, as `kernels.cu` has it.
const THREADS: usize = 256;
/// Blocks of a kernel that goes over single values; each thread takes several where there are more.
const BLOCKS: usize = 4096;
/// Blocks of the kernel that adds up squares: as many sums are added on the CPU.
const SUMS: usize = 256;

/// A number that a kernel takes behind its tensors.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(
    not(feature = "cuda"),
    expect(dead_code, reason = "only kernels read them")
)]
enum Number {
    /// A count or random bits.
    Bits(u64),
    /// A factor.
    Single(f32),
    /// A choice.
    Flag(bool),
}

/// Factors of a step of AdamW; `ml::train::AdamW` says what they are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamFactors {
    /// Of the gradient.
    pub shrink: f32,
    /// Learning rate over the correction of the mean.
    pub rate: f32,
    /// Root of the correction of the mean square.
    pub correction: f32,
    /// What weight decay leaves of a weight.
    pub keep: f32,
    /// Decay of the mean of gradients, and of squared ones.
    pub betas: [f32; 2],
    /// Added to the root of the mean square.
    pub eps: f32,
}

/// Whether there are kernels for a tensor.
pub fn has_kernels(x: &Tensor) -> bool {
    let is_known = matches!(x.dtype(), DType::F32 | DType::F16 | DType::BF16);
    cfg!(feature = "cuda") && is_known && x.device().is_cuda() && x.elem_count() > 0
}

/// The numbers of a kernel: how many values it takes, and others behind.
fn behind(count: usize, numbers: &[Number]) -> Vec<Number> {
    let mut all = vec![Number::Bits(count as u64)];
    all.extend_from_slice(numbers);
    all
}

/// Blocks of a kernel over so many single values.
fn blocks_of(count: usize) -> usize {
    count.div_ceil(THREADS).min(BLOCKS)
}

/// [`each`] with one result.
fn one(kernel: &str, operands: &[&Tensor], numbers: &[Number]) -> Option<Result<Tensor>> {
    each::<1>(kernel, operands, numbers).map(|made| made.map(|[out]| out))
}

/// Runs a kernel over single values: tensors of one size in, as many new ones out.
fn each<const N: usize>(
    kernel: &str,
    operands: &[&Tensor],
    numbers: &[Number],
) -> Option<Result<[Tensor; N]>> {
    let first = operands.first().filter(|first| has_kernels(first))?;
    let count = first.elem_count();
    let numbers = behind(count, numbers);
    Some(made(kernel, operands, first, &numbers, blocks_of(count)))
}

/// Runs a kernel that takes a row of the last dimension in every block: a new tensor like the first operand.
fn rows(kernel: &str, operands: &[&Tensor], numbers: &[Number]) -> Option<Result<Tensor>> {
    let first = operands.first().filter(|first| has_kernels(first))?;
    let width = *first.dims().last()?;
    let numbers = behind(width, numbers);
    let blocks = first.elem_count() / width.max(1);
    let made = made::<1>(kernel, operands, first, &numbers, blocks);
    Some(made.map(|[out]| out))
}

/// Runs a kernel whose results are like `like`.
#[expect(
    unsafe_code,
    reason = "memory for results is not cleared before it is written"
)]
fn made<const N: usize>(
    kernel: &str,
    operands: &[&Tensor],
    like: &Tensor,
    numbers: &[Number],
    blocks: usize,
) -> Result<[Tensor; N]> {
    let operands = operands
        .iter()
        .map(|operand| operand.detach().contiguous())
        .collect::<Result<Vec<_>>>()?;
    // SAFETY: every kernel writes all of its results, and nothing reads them before, since all run on one stream.
    let one = unsafe { Tensor::empty(like.shape(), like.dtype(), like.device())? };
    let mut out = [(); N].map(|()| one.clone());
    for result in out.iter_mut().skip(1) {
        // SAFETY: as above.
        *result = unsafe { Tensor::empty(like.shape(), like.dtype(), like.device())? };
    }
    let tensors: Vec<&Tensor> = operands.iter().chain(&out).collect();
    launch(kernel, &tensors, numbers, blocks)?;
    Ok(out)
}

/// `silu(gate) * up`.
pub fn silu_times(gate: &Tensor, up: &Tensor) -> Option<Result<Tensor>> {
    one("silu_times", &[gate, up], &[])
}

/// Gradients of both operands of [`silu_times`].
pub fn silu_times_back(gate: &Tensor, up: &Tensor, grad: &Tensor) -> Option<Result<[Tensor; 2]>> {
    each("silu_times_back", &[gate, up, grad], &[])
}

/// The gradient of GELU by its hyperbolic tangent.
pub fn gelu_back(x: &Tensor, grad: &Tensor) -> Option<Result<Tensor>> {
    one("gelu_back", &[x, grad], &[])
}

/// The gradient of `x * sigmoid(1.702 x)`.
pub fn quick_gelu_back(x: &Tensor, grad: &Tensor) -> Option<Result<Tensor>> {
    one("quick_gelu_back", &[x, grad], &[])
}

/// The gradient of softmax over the last dimension, of its result.
pub fn softmax_back(out: &Tensor, grad: &Tensor) -> Option<Result<Tensor>> {
    rows("softmax_back", &[out, grad], &[])
}

/// Softmax over the last dimension of scores `(.., seq, keys)`, in which the last of `seq` tokens sees all keys, and each
/// one before it a key less.
pub fn softmax_causal(scores: &Tensor, seq: usize) -> Option<Result<Tensor>> {
    rows("softmax_causal", &[scores], &[Number::Bits(seq as u64)])
}

/// The gradient of a norm over the last dimension with respect to its operand; `is_centred`: a layer norm, else a
/// root-mean-square norm.
pub fn norm_back(
    [x, weight, grad]: [&Tensor; 3],
    eps: f64,
    is_centred: bool,
) -> Option<Result<Tensor>> {
    let numbers = [Number::Single(eps as f32), Number::Flag(is_centred)];
    rows("norm_back", &[x, weight, grad], &numbers)
}

/// Values left out by the numbers of splitmix64 behind `seed`, two values a number, the upper half first: one below
/// `limit` leaves its value out. The others are multiplied by `kept`.
pub fn leave_out(x: &Tensor, seed: u64, limit: u64, kept: f32) -> Option<Result<Tensor>> {
    let numbers = [
        Number::Bits(seed),
        Number::Bits(limit),
        Number::Single(kept),
    ];
    one("leave_out", &[x], &numbers)
}

/// A step of AdamW where everything lies: weights and both moments are written over. All are contiguous and in single
/// precision.
pub fn adamw(
    weights: &Tensor,
    gradient: &Tensor,
    [means, squares]: [&Tensor; 2],
    factors: AdamFactors,
) -> Option<Result<()>> {
    let tensors = [weights, gradient, means, squares];
    let fits = |tensor: &&Tensor| tensor.dtype() == DType::F32 && tensor.is_contiguous();
    if !has_kernels(weights) || !tensors.iter().all(fits) {
        return None;
    }
    let AdamFactors {
        shrink,
        rate,
        correction,
        keep,
        betas: [beta1, beta2],
        eps,
    } = factors;
    let count = weights.elem_count();
    let factors = [shrink, rate, correction, keep, beta1, beta2, eps];
    let numbers = behind(count, &factors.map(Number::Single));
    Some(launch("adamw", &tensors, &numbers, blocks_of(count)))
}

/// Sums whose sum is that of the squares of single-precision values, `(256)` doubles on the device.
#[expect(
    unsafe_code,
    reason = "memory for results is not cleared before it is written"
)]
pub fn squares(x: &Tensor) -> Option<Result<Tensor>> {
    if !has_kernels(x) || x.dtype() != DType::F32 {
        return None;
    }
    let sums = || {
        let x = x.detach().contiguous()?;
        // SAFETY: the kernel writes all of them, and nothing reads them before, since all run on one stream.
        let out = unsafe { Tensor::empty(SUMS, DType::F64, x.device())? };
        let numbers = behind(x.elem_count(), &[]);
        launch("squares", &[&x, &out], &numbers, SUMS)?;
        Ok(out)
    };
    Some(sums())
}
