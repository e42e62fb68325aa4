//! Kernels by their name.

use candle_core::cuda_backend::cudarc::driver::{DevicePtr as _, LaunchConfig, PushKernelArg as _};
use candle_core::cuda_backend::{CudaStorageSlice, WrapErr as _};
use candle_core::{CudaStorage, Device, Layout, Result, Storage, Tensor, bail};

use super::{Number, THREADS};

#[expect(unreachable_pub, reason = "candle's builder of kernels writes it so")]
mod ptx {
    include!(concat!(env!("OUT_DIR"), "/ptx.rs"));
}

/// Under what candle keeps the kernels of this room.
const MODULE: &str = "assay";

/// Runs a kernel for the first tensor's type on contiguous tensors of one device, with the numbers behind them. What a
/// kernel writes belongs to the caller alone: the reading locks that are taken here let nobody free it meanwhile.
#[expect(
    unsafe_code,
    reason = "a kernel takes addresses; nothing holds its arguments against its source"
)]
pub(super) fn launch(
    kernel: &str,
    tensors: &[&Tensor],
    numbers: &[Number],
    blocks: usize,
) -> Result<()> {
    let Some(Device::Cuda(device)) = tensors.first().map(|first| first.device()) else {
        bail!("{kernel} runs on a CUDA device")
    };
    let name = format!("{kernel}_{}", tensors[0].dtype().as_str());
    let function = device.get_or_load_custom_func(&name, MODULE, ptx::KERNELS)?;
    let mut addresses = Vec::with_capacity(tensors.len());
    let mut locks = Vec::with_capacity(tensors.len());
    for tensor in tensors {
        let (storage, layout) = tensor.storage_and_layout();
        let Storage::Cuda(cuda) = &*storage else {
            bail!("{kernel} takes tensors of one device")
        };
        addresses.push(address(cuda, layout)?);
        locks.push(storage);
    }
    let flags: Vec<i32> = numbers
        .iter()
        .map(|number| i32::from(is_set(*number)))
        .collect();
    let mut builder = function.builder();
    for address in &addresses {
        builder.arg(address);
    }
    for (number, flag) in numbers.iter().zip(&flags) {
        match number {
            Number::Bits(bits) => builder.arg(bits),
            Number::Single(single) => builder.arg(single),
            Number::Flag(_) => builder.arg(flag),
        };
    }
    let config = LaunchConfig {
        grid_dim: (blocks as u32, 1, 1),
        block_dim: (THREADS as u32, 1, 1),
        shared_mem_bytes: 0,
    };
    // SAFETY: the callers in this room give each kernel the tensors and numbers of its parameters, in their order.
    unsafe { builder.launch(config) }.w()?;
    Ok(())
}

const fn is_set(number: Number) -> bool {
    matches!(number, Number::Flag(true))
}

/// Where a tensor's first value lies on the device.
fn address(storage: &CudaStorage, layout: &Layout) -> Result<u64> {
    if !layout.is_contiguous() {
        bail!("a kernel takes contiguous tensors")
    }
    let stream = storage.device.cuda_stream();
    let (start, bytes) = match &storage.slice {
        CudaStorageSlice::F32(slice) => (slice.device_ptr(&stream).0, 4),
        CudaStorageSlice::F64(slice) => (slice.device_ptr(&stream).0, 8),
        CudaStorageSlice::F16(slice) => (slice.device_ptr(&stream).0, 2),
        CudaStorageSlice::BF16(slice) => (slice.device_ptr(&stream).0, 2),
        _ => bail!("a kernel takes floats"),
    };
    Ok(start + (layout.start_offset() * bytes) as u64)
}
