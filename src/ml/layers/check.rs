//! Help for tests: seeded tensors, comparison, gradients against finite differences.

use candle_core::DType;
use candle_core::Device;
use candle_core::Result;
use candle_core::Tensor;
use candle_core::Var;
use candle_core::bail;

use crate::stats::SplitMix64;

/// Doubles from -1 to 1; equal seeds give equal tensors.
pub(crate) fn random(dims: &[usize], seed: u64) -> Result<Tensor> {
    let mut random = SplitMix64::new(seed);
    let unit = |bits: u64| (bits >> 11) as f64 / (1u64 << 52) as f64 - 1.0;
    let values: Vec<f64> = (0..dims.iter().product())
        .map(|_| unit(random.next_bits()))
        .collect();
    Tensor::from_vec(values, dims, &Device::Cpu)
}

/// The largest difference is at most `tolerance` of the largest value; what is below 1e-9 everywhere counts as 0.
pub(crate) fn assert_close(ours: &Tensor, theirs: &Tensor, tolerance: f64) -> Result<()> {
    assert_eq!(ours.dims(), theirs.dims());
    let largest = |t: &Tensor| -> Result<f64> {
        t.abs()?
            .flatten_all()?
            .max(0)?
            .to_dtype(DType::F64)?
            .to_scalar()
    };
    let difference = largest(&(ours - theirs)?)?;
    let scale = largest(theirs)?.max(1e-9);
    if difference.is_nan() || difference > tolerance * scale {
        bail!("differs by {difference:e} of {scale:e}")
    }
    Ok(())
}

/// Gradients of a random weighting of `f`'s output by every input equal central differences within 1e-6.
pub(crate) fn gradients(inputs: &[Tensor], f: impl Fn(&[Tensor]) -> Result<Tensor>) -> Result<()> {
    gradients_within(1e-6, inputs, f)
}

/// The same within a tolerance of the caller's.
pub(crate) fn gradients_within(
    tolerance: f64,
    inputs: &[Tensor],
    f: impl Fn(&[Tensor]) -> Result<Tensor>,
) -> Result<()> {
    const STEP: f64 = 1e-5;
    let vars = inputs
        .iter()
        .map(Var::from_tensor)
        .collect::<Result<Vec<_>>>()?;
    let loss = |inputs: &[Tensor]| -> Result<Tensor> {
        let out = f(inputs)?;
        let weights = random(out.dims(), 99)?;
        (out * weights)?.sum_all()
    };
    let tracked: Vec<Tensor> = vars.iter().map(|var| var.as_tensor().clone()).collect();
    let grads = loss(&tracked)?.backward()?;
    for (position, input) in inputs.iter().enumerate() {
        let Some(grad) = grads.get(vars[position].as_tensor()) else {
            bail!("input {position} has no gradient")
        };
        let values: Vec<f64> = input.flatten_all()?.to_vec1()?;
        let mut differences = Vec::with_capacity(values.len());
        for element in 0..values.len() {
            let moved = |by: f64| -> Result<f64> {
                let mut values = values.clone();
                values[element] += by;
                let mut inputs = inputs.to_vec();
                inputs[position] = Tensor::from_vec(values, input.dims(), &Device::Cpu)?;
                loss(&inputs)?.to_scalar()
            };
            differences.push((moved(STEP)? - moved(-STEP)?) / (2.0 * STEP));
        }
        let numeric = Tensor::from_vec(differences, input.dims(), &Device::Cpu)?;
        assert_close(grad, &numeric, tolerance)?;
    }
    Ok(())
}
