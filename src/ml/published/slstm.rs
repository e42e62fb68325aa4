//! The sLSTM's weights in the layouts of xlstm's two backends. Published checkpoints are of the CUDA one: kernel
//! `[head, in, gate * out]`, bias `[head, gate, dim]`; the plain one has `[head, gate * out, in]` and
//! `[gate, head, dim]`.

use candle_core::{Result, Tensor};

/// The recurrent kernel's name.
pub(super) const KERNEL: &str = "_recurrent_kernel_";
/// The bias's name.
pub(super) const BIAS: &str = "_bias_";

/// Whether a stored shape can be brought to the expected one.
pub(super) fn fits(name: &str, found: &[usize], expected: &[usize]) -> bool {
    found == expected || name.ends_with(KERNEL) && is_cuda(found) && swapped(found) == expected
}

/// Whether a kernel's shape is the CUDA backend's: four gates in the last dimension.
fn is_cuda(kernel: &[usize]) -> bool {
    matches!(kernel, [_, width, gates] if *gates == 4 * width)
}

fn swapped(kernel: &[usize]) -> Vec<usize> {
    match kernel {
        [heads, width, gates] => vec![*heads, *gates, *width],
        other => other.to_vec(),
    }
}

/// A weight in the plain layout; every other weight than the kernel is in it already.
pub(super) fn plain_kernel(name: &str, stored: &Tensor, expected: &[usize]) -> Result<Tensor> {
    if !name.ends_with(KERNEL) || stored.dims() == expected {
        return Ok(stored.clone());
    }
    let (heads, width, gates) = stored.dims3()?;
    // (head, in, gate, out) -> (head, gate, out, in)
    stored
        .reshape((heads, width, 4, gates / 4))?
        .permute((0, 2, 3, 1))?
        .reshape((heads, gates, width))
}

/// The bias in the plain layout; `kernel` is the stored kernel's shape, which tells the backend.
pub(super) fn plain_bias(stored: &Tensor, kernel: &[usize]) -> Result<Tensor> {
    let [heads, width, _] = kernel else {
        return Ok(stored.clone());
    };
    if !is_cuda(kernel) {
        return Ok(stored.clone());
    }
    stored
        .reshape((*heads, 4, *width))?
        .permute((1, 0, 2))?
        .reshape(4 * heads * width)
}
