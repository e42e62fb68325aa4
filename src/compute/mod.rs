//! Devices and fused kernels: the only room with `unsafe` and feature gates.
//!
//! Every other room compiles the same with or without a GPU.

#[cfg(test)]
pub(crate) mod check;
mod device;
pub mod gpu;
pub mod kernels;
mod mapped;
mod memory;
pub mod packed;
pub mod real;
pub mod scratch;

pub use device::{DeviceChoice, OpenDevice, settle};
pub use mapped::MappedFile;
pub use memory::{PeakMeter, free_memory, give_back, give_back_pages, has_bf16};
