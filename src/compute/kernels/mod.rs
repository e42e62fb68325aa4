//! Fused operations with a backward pass of their own, as candle custom operations.
//!
//! candle's own convolution is several times slower than torch's on a CPU, and a batch norm made of elementwise
//! operations reads memory twenty times. These run on all cores, and every backward pass is held against finite
//! differences. They have a CPU form only: on a GPU the models that ship use folded weights and plain operations.

mod attention;
mod batch_norm;
mod conv;
mod conv_tiles;
mod matmul;
mod product;
mod tiles;

pub use attention::{QUERIES, Sees, attention};
pub use batch_norm::{batch_norm_relu, channel_moments};
pub use conv::{ConvSpec, conv2d, conv2d_rounded, linear_rounded};
pub use matmul::{Matrix, multiply};
pub use product::{Hands, Mat, Put, product};

use candle_core::{CpuStorage, Layout, Result, Storage, Tensor, bail};

/// The contiguous f32 values of an operand.
fn values<'a>(storage: &'a CpuStorage, layout: &Layout, op: &'static str) -> Result<&'a [f32]> {
    let CpuStorage::F32(data) = storage else {
        bail!("{op} expects f32")
    };
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&data[start..end]),
        None => bail!("{op} expects contiguous operands"),
    }
}

/// Runs `work` on the contiguous f32 values of tensors without copying them.
fn with_values<const N: usize, T>(
    tensors: [&Tensor; N],
    op: &'static str,
    work: impl FnOnce([&[f32]; N]) -> T,
) -> Result<T> {
    let guards = tensors.map(Tensor::storage_and_layout);
    let mut slices: [&[f32]; N] = [&[]; N];
    for (slice, (storage, layout)) in slices.iter_mut().zip(&guards) {
        let Storage::Cpu(storage) = &**storage else {
            bail!("{op} runs on the CPU only")
        };
        *slice = values(storage, layout, op)?;
    }
    Ok(work(slices))
}
