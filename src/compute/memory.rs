//! How much memory a device has left.

use candle_core::Device;

#[cfg(feature = "cuda")]
use super::gpu::pool;

/// Tensors of many megabytes are taken and given back all the time; this allocator keeps their pages. It stands here, so
/// that tests and benches have what the program has.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Bytes that are free on a device; `None` where it does not tell.
pub fn free_memory(device: &Device) -> Option<u64> {
    match device {
        Device::Cpu => free_on_cpu(),
        Device::Cuda(_) => free_on_cuda(device),
        Device::Metal(_) => None,
    }
}

/// What the system can give without swapping, or what is left of the limit of the control group that we run in.
fn free_on_cpu() -> Option<u64> {
    let mut system = sysinfo::System::new().ok()?;
    system.refresh_memory();
    let available = system.available_memory();
    let limited = system.cgroup_limits().map(|limits| limits.free_memory);
    let free = limited.map_or(available, |free| free.min(available));
    (free > 0).then_some(free)
}

#[cfg(feature = "cuda")]
fn free_on_cuda(device: &Device) -> Option<u64> {
    let Device::Cuda(device) = device else {
        return None;
    };
    let stream = device.cuda_stream();
    let (free, _total) = stream.context().mem_get_info().ok()?;
    Some(free as u64 + pool::idle(device))
}

#[cfg(not(feature = "cuda"))]
const fn free_on_cuda(_: &Device) -> Option<u64> {
    None
}

/// Lets a device keep the memory of tensors that are gone for those to come; [`give_back`] ends that.
pub(super) fn keep(device: &Device) {
    #[cfg(feature = "cuda")]
    if let Device::Cuda(device) = device {
        pool::keep(device);
    }
    let _ = device;
}

/// Lets the allocator keep pages of tensors that are gone for longer than a step of fine-tuning takes.
///
/// It hands them to the system after a second otherwise, which then clears them anew for the next step: steps of 4 s took
/// a third longer. [`give_back_pages`] does not wait. A user's `MIMALLOC_PURGE_DELAY` is left alone.
#[expect(unsafe_code, reason = "the allocator's own interface")]
pub(super) fn keep_pages() {
    /// `mi_option_purge_delay` of mimalloc.h, in milliseconds; the crate has no name for it.
    const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;
    if std::env::var_os("MIMALLOC_PURGE_DELAY").is_none() {
        // SAFETY: called before any thread is started that could read the option.
        unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, 60_000) };
    }
}

/// Gives the pages of what is gone back to the system: work is done, and the next may come much later.
#[expect(unsafe_code, reason = "the allocator's own interface")]
pub fn give_back_pages() {
    // SAFETY: may be called at any time and by any thread.
    unsafe { libmimalloc_sys::mi_collect(true) };
}

/// Gives back what a device keeps of tensors that are gone: a model was unloaded, and others may want its room.
pub fn give_back(device: &Device) {
    give_back_pages();
    #[cfg(feature = "cuda")]
    if let Device::Cuda(device) = device {
        // What was let go may still be in use by what the device was told before.
        device.cuda_stream().synchronize().ok();
        pool::trim(device);
    }
    let _ = device;
}

/// The most memory that tensors take on a GPU while somebody watches.
#[derive(Debug, Clone)]
pub struct PeakMeter(Device);

impl PeakMeter {
    /// Forgets the peak so far.
    pub fn start(device: &Device) -> Self {
        #[cfg(feature = "cuda")]
        if let Device::Cuda(device) = device {
            pool::forget_peak(device);
        }
        Self(device.clone())
    }

    /// Bytes at the peak; `None` for a CPU, and where the driver does not tell.
    pub fn peak(&self) -> Option<u64> {
        match &self.0 {
            #[cfg(feature = "cuda")]
            Device::Cuda(device) => pool::peak(device),
            _ => None,
        }
    }

    /// Gives back what the device keeps of tensors that are gone.
    pub fn end(self) {
        give_back(&self.0);
    }
}

/// Whether a GPU computes in bf16: NVIDIA's do from compute capability 8.0 on, candle's Metal kernels do.
pub fn has_bf16(device: &Device) -> bool {
    match device {
        Device::Cpu => false,
        Device::Cuda(_) => cuda_generation(device).is_some_and(|major| major >= 8),
        Device::Metal(_) => true,
    }
}

/// The first number of a GPU's compute capability.
#[cfg(feature = "cuda")]
fn cuda_generation(device: &Device) -> Option<i32> {
    use candle_core::cuda_backend::cudarc::driver::sys::CUdevice_attribute as Attribute;

    let Device::Cuda(device) = device else {
        return None;
    };
    let stream = device.cuda_stream();
    let major = Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR;
    stream.context().attribute(major).ok()
}

#[cfg(not(feature = "cuda"))]
const fn cuda_generation(_: &Device) -> Option<i32> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_running_machine_has_some_memory_left() {
        assert!(free_memory(&Device::Cpu).is_some_and(|free| free > 1 << 20));
    }
}
