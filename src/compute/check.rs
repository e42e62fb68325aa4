//! Help for tests: numbers of any kind, and what a gradient is held against.

use candle_core::Device;
use candle_core::Result;
use candle_core::Tensor;

/// Numbers from -1 to 1; equal seeds give equal ones.
pub(crate) fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let angle = |at: usize| at as f64 * 12.9898 + seed as f64 * 78.233;
    let number = |at| (angle(at).sin() * 43_758.547).fract() as f32;
    (0..count).map(number).collect()
}

/// How much `loss` changes with one value of a tensor of singles: its central difference over `step` to either side.
pub(crate) fn central_difference(
    tensor: &Tensor,
    position: usize,
    step: f32,
    loss: impl Fn(&Tensor) -> Result<Tensor>,
) -> Result<f64> {
    let values = tensor.flatten_all()?.to_vec1::<f32>()?;
    let moved_by = |delta: f32| -> Result<f64> {
        let mut values = values.clone();
        values[position] += delta;
        let moved = Tensor::from_vec(values, tensor.shape(), &Device::Cpu)?;
        Ok(f64::from(loss(&moved)?.to_scalar::<f32>()?))
    };
    Ok((moved_by(step)? - moved_by(-step)?) / (2.0 * f64::from(step)))
}
