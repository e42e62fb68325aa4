//! Help for tests: what a gradient is held against.

use candle_core::Device;
use candle_core::Result;
use candle_core::Tensor;

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
