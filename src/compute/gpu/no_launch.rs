//! A build without CUDA has no kernel to launch.

use candle_core::{Result, Tensor, bail};

use super::Number;

/// Never asked: nobody finds a kernel in this build.
pub(super) fn launch(kernel: &str, _: &[&Tensor], _: &[Number], _: usize) -> Result<()> {
    bail!("{kernel} needs a build with CUDA")
}
