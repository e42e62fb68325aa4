//! The driver's pool that tensors on a CUDA device come from.
//!
//! Unless it is told otherwise, the driver gives memory that is not in use back to the system whenever somebody waits for
//! the device, and a model that asks for a number after each step pays for the same memory again and again.

use std::ffi::c_void;

use candle_core::CudaDevice;
use candle_core::cuda_backend::cudarc::driver::sys;
use sys::CUmemPool_attribute as Attribute;

/// Lets the pool keep what is not in use.
pub(in crate::compute) fn keep(device: &CudaDevice) {
    set(
        device,
        Attribute::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD,
        u64::MAX,
    );
}

/// Bytes that the pool keeps and nobody uses.
pub(in crate::compute) fn idle(device: &CudaDevice) -> u64 {
    let reserved = get(device, Attribute::CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT);
    let used = get(device, Attribute::CU_MEMPOOL_ATTR_USED_MEM_CURRENT);
    reserved.unwrap_or(0).saturating_sub(used.unwrap_or(0))
}

/// The most that was in use since the peak was forgotten.
pub(in crate::compute) fn peak(device: &CudaDevice) -> Option<u64> {
    get(device, Attribute::CU_MEMPOOL_ATTR_USED_MEM_HIGH)
}

/// Forgets the peak so far.
pub(in crate::compute) fn forget_peak(device: &CudaDevice) {
    set(device, Attribute::CU_MEMPOOL_ATTR_USED_MEM_HIGH, 0);
}

/// Gives the system back what nobody uses.
#[expect(unsafe_code, reason = "the driver's own interface")]
pub(in crate::compute) fn trim(device: &CudaDevice) {
    if let Some(pool) = of(device) {
        // SAFETY: the pool is the device's own, which lives as long as the process.
        let _ = unsafe { sys::cuMemPoolTrimTo(pool, 0) };
    }
}

#[expect(unsafe_code, reason = "the driver's own interface")]
fn of(device: &CudaDevice) -> Option<sys::CUmemoryPool> {
    let context = device.cuda_stream().context().clone();
    context.bind_to_thread().ok()?;
    let mut pool = std::ptr::null_mut();
    // SAFETY: the device was opened, and `pool` has room for the answer.
    let answer = unsafe { sys::cuDeviceGetDefaultMemPool(&raw mut pool, context.cu_device()) };
    (answer == sys::CUresult::CUDA_SUCCESS).then_some(pool)
}

#[expect(unsafe_code, reason = "the driver's own interface")]
fn get(device: &CudaDevice, attribute: Attribute) -> Option<u64> {
    let pool = of(device)?;
    let mut value = 0_u64;
    // SAFETY: the attributes that are asked for are 64 bits wide.
    let answer =
        unsafe { sys::cuMemPoolGetAttribute(pool, attribute, (&raw mut value).cast::<c_void>()) };
    (answer == sys::CUresult::CUDA_SUCCESS).then_some(value)
}

#[expect(unsafe_code, reason = "the driver's own interface")]
fn set(device: &CudaDevice, attribute: Attribute, mut value: u64) {
    if let Some(pool) = of(device) {
        // SAFETY: the attributes that are set are 64 bits wide.
        let _ = unsafe {
            sys::cuMemPoolSetAttribute(pool, attribute, (&raw mut value).cast::<c_void>())
        };
    }
}
