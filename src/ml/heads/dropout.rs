//! Values left out at random while learning.

use std::cell::RefCell;

use candle_core::DType;
use candle_core::Device;
use candle_core::Result;
use candle_core::Tensor;

use crate::stats::SplitMix64;

/// Share that is left out wherever the published heads leave something out.
pub(super) const RATE: f64 = 0.2;

/// What 32 random bits must not be below for a value to stay, and the factor of those that stay.
pub(crate) fn limit_and_factor(rate: f64) -> (u64, f32) {
    (
        (rate * 2.0_f64.powi(32)) as u64,
        (1.0 / (1.0 - rate)) as f32,
    )
}

/// Leaves values out, or nothing.
#[derive(Debug)]
pub(crate) struct Dropout(Option<RefCell<SplitMix64>>);

impl Dropout {
    /// Nothing is left out: a score is being asked for.
    pub(crate) const fn off() -> Self {
        Self(None)
    }

    /// The places that are left out follow from the seed, one layer after the other.
    pub(crate) const fn seeded(seed: u64) -> Self {
        Self(Some(RefCell::new(SplitMix64::new(seed))))
    }

    /// Sets a share `rate` of the values to 0 and raises the others, so that their sum is expected to stay.
    pub(crate) fn apply(&self, x: &Tensor, rate: f64) -> Result<Tensor> {
        let Some(random) = &self.0 else {
            return Ok(x.clone());
        };
        let mut random = random.borrow_mut();
        let (limit, kept) = limit_and_factor(rate);
        let mut mask = Vec::with_capacity(x.elem_count() + 1);
        while mask.len() < x.elem_count() {
            let bits = random.next_bits();
            for half in [bits >> 32, bits & 0xffff_ffff] {
                mask.push(if half < limit { 0.0 } else { kept });
            }
        }
        mask.truncate(x.elem_count());
        let mask = Tensor::from_vec(mask, x.shape(), &Device::Cpu)?.to_device(x.device())?;
        match x.dtype() {
            DType::F32 => x * mask,
            other => x * mask.to_dtype(other)?,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fifth_is_left_out_and_the_seed_says_which() -> Result<()> {
        let x = Tensor::ones((100, 101), DType::F32, &Device::Cpu)?;
        let run = |seed| -> Result<Vec<f32>> {
            Dropout::seeded(seed)
                .apply(&x, RATE)?
                .flatten_all()?
                .to_vec1()
        };
        let first = run(1)?;
        let zeros = first.iter().filter(|&&v| v == 0.0).count();
        assert!((1900..2140).contains(&zeros), "{zeros}");
        assert!(first.iter().all(|&v| v == 0.0 || (v - 1.25).abs() < 1e-6));
        assert_eq!(first, run(1)?);
        assert_ne!(first, run(2)?);
        assert_eq!(
            Dropout::off().apply(&x, RATE)?.to_vec2::<f32>()?,
            x.to_vec2::<f32>()?
        );
        Ok(())
    }
}
