//! Choosing where tensors live, and saying why.

use std::str::FromStr;

use candle_core::Device;

use super::memory;

/// What the user asked for with `--device`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DeviceChoice {
    /// The first GPU that this build can use, else the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// The CUDA GPU of this number.
    Cuda(usize),
    /// The Metal GPU.
    Metal,
}

impl FromStr for DeviceChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "metal" => Ok(Self::Metal),
            "cuda" => Ok(Self::Cuda(0)),
            other => other
                .strip_prefix("cuda:")
                .and_then(|number| number.parse().ok())
                .map(Self::Cuda)
                .ok_or_else(|| format!("expected auto, cpu, cuda:N or metal, got {other:?}")),
        }
    }
}

/// An opened device and the sentence that explains the choice.
#[derive(Debug, Clone)]
pub struct OpenDevice {
    /// The device.
    pub device: Device,
    /// Its name, e.g. "CPU" or "CUDA 0".
    pub name: String,
    /// Why this one.
    pub reason: String,
}

impl DeviceChoice {
    /// Opens the device.
    ///
    /// # Errors
    /// A device that was asked for by name and cannot be had is an error that says which build is needed;
    /// `Auto` never fails.
    pub fn open(self) -> Result<OpenDevice, String> {
        match self {
            Self::Cpu => Ok(cpu("asked for")),
            Self::Cuda(number) => cuda(number),
            Self::Metal => metal(),
            Self::Auto => Ok(cuda(0)
                .or_else(|_| metal())
                .unwrap_or_else(|_| cpu("no GPU that this build can use"))),
        }
    }
}

/// Settles what the program computes with, before any thread is started: one thread for candle's elementwise operations,
/// while matrix products keep all cores, and an allocator that holds on to pages.
///
/// candle's own pool spins while it waits. On two cores shared with a build, describing 60 pictures with the embedded
/// model took 5.3-5.9 s with it and 4.5-4.9 s without. A user's `CANDLE_NUM_THREADS` is left alone.
#[expect(
    unsafe_code,
    reason = "setting the environment is unsafe where other threads may read it"
)]
pub fn settle() {
    if std::env::var_os("CANDLE_NUM_THREADS").is_none() {
        // SAFETY: called first thing in `main`, before any thread is started.
        unsafe { std::env::set_var("CANDLE_NUM_THREADS", "1") };
    }
    memory::keep_pages();
}

fn cpu(reason: &str) -> OpenDevice {
    OpenDevice {
        device: Device::Cpu,
        name: "CPU".to_owned(),
        reason: reason.to_owned(),
    }
}

fn cuda(number: usize) -> Result<OpenDevice, String> {
    if !cfg!(feature = "cuda") {
        return Err(
            "this build has no CUDA: build with `cargo build --release --features cuda`".to_owned(),
        );
    }
    let device = Device::new_cuda(number)
        .map_err(|error| format!("CUDA device {number} does not open: {}", in_words(&error)))?;
    one_stream(&device);
    memory::keep(&device);
    Ok(OpenDevice {
        device,
        name: format!("CUDA {number}"),
        reason: "a CUDA GPU is there".to_owned(),
    })
}

/// Spares every tensor the two events by which several streams would wait for each other: a worker tells a device
/// everything in one stream.
#[cfg_attr(
    feature = "cuda",
    expect(
        unsafe_code,
        reason = "nobody waits for another stream any more; there is none"
    )
)]
fn one_stream(device: &Device) {
    #[cfg(feature = "cuda")]
    if let Device::Cuda(device) = device {
        // SAFETY: candle opens a device with one stream, and no room of ours makes another.
        unsafe { device.disable_event_tracking() };
    }
    let _ = device;
}

/// What the driver said, without where in the program it was asked.
fn in_words(error: &candle_core::Error) -> String {
    let text = error.to_string();
    let first = text.lines().next().unwrap_or_default();
    match first {
        said if said.contains("NO_DEVICE") => {
            "there is no NVIDIA GPU, or its driver is not loaded (nvidia-smi tells)".to_owned()
        }
        said if said.contains("INVALID_DEVICE") => {
            "there is no GPU of this number (nvidia-smi lists them)".to_owned()
        }
        said => said.to_owned(),
    }
}

fn metal() -> Result<OpenDevice, String> {
    if !cfg!(feature = "metal") {
        return Err(
            "this build has no Metal: build with `cargo build --release --features metal`"
                .to_owned(),
        );
    }
    let device =
        Device::new_metal(0).map_err(|error| format!("the Metal device does not open: {error}"))?;
    Ok(OpenDevice {
        device,
        name: "Metal".to_owned(),
        reason: "a Metal GPU is there".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_words_parse() {
        assert_eq!("cuda:2".parse(), Ok(DeviceChoice::Cuda(2)));
        assert_eq!("cpu".parse(), Ok(DeviceChoice::Cpu));
        assert!("gpu".parse::<DeviceChoice>().is_err());
    }

    #[test]
    fn auto_always_opens_something() {
        assert!(DeviceChoice::Auto.open().is_ok());
    }
}
