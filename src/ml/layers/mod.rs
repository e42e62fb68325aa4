//! Layers that several heads and models share, with gradients that candle's fused operations lack.
//!
//! Each custom operation runs on the CPU over plain slices, forward and backward, and is checked against finite
//! differences. Sums over rows are taken in chunks of a fixed size and added in order, so results do not depend on
//! the number of threads.

mod bias;
#[cfg(test)]
pub(crate) mod check;
mod conv;
mod gelu;
mod headwise;
mod linear;
pub(crate) mod linear_attention;
mod norm;
mod panels;
mod rms;
pub(crate) mod scan;
mod silu;

pub use bias::add_bias;
pub use conv::causal_conv_silu;
pub(crate) use conv::{by_channel, by_tap, conv_silu_back, convolve};
pub use gelu::{gelu, quick_gelu};
pub use headwise::headwise_linear;
pub use linear::linear;
pub use norm::{layer_norm, layer_norm_eps, residual_group_norm};
pub(crate) use norm::{norm_rows, norm_rows_back};
pub use rms::{rms_norm, rms_norm_eps};
pub use silu::silu_times;

use candle_core::Result;
use candle_core::Tensor;

/// `ln(1 + e^x)`, exact at both ends.
pub fn softplus(x: &Tensor) -> Result<Tensor> {
    x.relu()? + (x.abs()?.neg()?.exp()? + 1.0)?.log()?
}
