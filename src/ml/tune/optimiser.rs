//! The optimiser where what is trained lies: on the CPU over slices, on a GPU over tensors that never leave it.

use candle_core::DType;
use candle_core::Result;
use candle_core::Tensor;
use candle_core::Var;

use crate::compute::gpu;
use crate::compute::gpu::AdamFactors;
use crate::domain::TuneSettings;
use crate::ml::train::AdamW;
use crate::ml::train::squared_norm;

/// Weights in single precision, and `AdamW` over them.
pub(super) struct Optimiser {
    rule: AdamW,
    /// What is trained.
    masters: Vec<Var>,
    /// Means of gradients and of squared gradients where the weights lie on a GPU; the rule keeps its own elsewhere.
    moments: Option<Vec<[Tensor; 2]>>,
}

/// Values in single precision, wherever they lie.
pub(super) enum Values<'a> {
    /// On the CPU.
    Slice(&'a [f32]),
    /// On any device.
    Tensor(&'a Tensor),
}

impl Optimiser {
    /// Of weights on one device; it has seen nothing yet.
    pub(super) fn new(masters: Vec<Var>, settings: &TuneSettings) -> Result<Self> {
        let on_gpu = masters.iter().any(|var| !var.device().is_cpu());
        let hosted = if on_gpu { &[][..] } else { &masters[..] };
        let mut rule = AdamW::new(hosted, settings.weight_decay, settings.max_norm);
        rule.beta2 = settings.beta2;
        rule.decays = masters.iter().map(|var| var.rank() > 1).collect();
        let empty = |var: &Var| Ok([var.zeros_like()?, var.zeros_like()?]);
        let moments = on_gpu.then(|| masters.iter().map(empty).collect::<Result<Vec<_>>>());
        Ok(Self {
            rule,
            moments: moments.transpose()?,
            masters,
        })
    }

    /// The weights.
    pub(super) fn masters(&self) -> &[Var] {
        &self.masters
    }

    /// Steps taken.
    pub(super) const fn steps(&self) -> u64 {
        self.rule.steps
    }

    /// Goes on behind so many steps.
    pub(super) const fn set_steps(&mut self, steps: u64) {
        self.rule.steps = steps;
    }

    /// Puts other values in place of a weight.
    pub(super) fn set(&self, at: usize, values: &Tensor) -> Result<()> {
        let master = &self.masters[at];
        master.set(&values.to_dtype(DType::F32)?.to_device(master.device())?)
    }

    /// Both moments of a weight.
    pub(super) fn moments(&self, at: usize) -> [Values<'_>; 2] {
        match &self.moments {
            Some(moments) => [0, 1].map(|which| Values::Tensor(&moments[at][which])),
            None => [0, 1].map(|which| Values::Slice(&self.rule.moments[at][which])),
        }
    }

    /// Takes over what [`Self::moments`] gave, in the weight's shape.
    pub(super) fn set_moment(&mut self, at: usize, which: usize, values: &Tensor) -> Result<()> {
        match &mut self.moments {
            Some(moments) => {
                let device = moments[at][which].device().clone();
                moments[at][which] = values.to_device(&device)?.contiguous()?;
            }
            None => self.rule.moments[at][which] = values.flatten_all()?.to_vec1()?,
        }
        Ok(())
    }

    /// Norm of a whole gradient.
    pub(super) fn norm(&self, gradients: &[Option<Tensor>]) -> Result<f64> {
        if self.moments.is_none() {
            return Ok(squared_norm(gradients)?.sqrt());
        }
        let sums = gradients.iter().flatten().map(|gradient| {
            gpu::squares(gradient).unwrap_or_else(|| {
                let square = gradient.detach().sqr()?.sum_all()?.reshape(1)?;
                square.to_dtype(DType::F64)
            })
        });
        let sums = sums.collect::<Result<Vec<_>>>()?;
        if sums.is_empty() {
            return Ok(0.0);
        }
        let sums = Tensor::cat(&sums, 0)?.to_vec1::<f64>()?;
        Ok(sums.iter().sum::<f64>().sqrt())
    }

    /// Moves the weights that have a gradient. Gradients are to be multiplied by `scale`; `norm` is that of all of them
    /// when they are.
    pub(super) fn step(
        &mut self,
        gradients: &[Option<Tensor>],
        scale: f64,
        norm: f64,
        learning_rate: f64,
    ) -> Result<()> {
        let mut step = self.rule.begin(norm * norm, learning_rate);
        step.shrink *= scale as f32;
        let Some(moments) = &mut self.moments else {
            return self.rule.apply(&self.masters, gradients, step);
        };
        let weights = self.masters.iter().zip(gradients).zip(&self.rule.decays);
        for (((var, gradient), decays), moments) in weights.zip(moments) {
            let Some(gradient) = gradient else {
                continue;
            };
            let factors = step.factors(*decays);
            let [means, squares] = &*moments;
            match gpu::adamw(var, gradient, [means, squares], factors) {
                Some(done) => done?,
                None => *moments = composed(var, gradient, [means, squares], factors)?,
            }
        }
        Ok(())
    }
}

/// A step put together of candle's operations, for devices without a kernel: the new moments.
fn composed(
    var: &Var,
    gradient: &Tensor,
    [means, squares]: [&Tensor; 2],
    factors: AdamFactors,
) -> Result<[Tensor; 2]> {
    let [beta1, beta2] = factors.betas.map(f64::from);
    let gradient = (gradient.detach() * f64::from(factors.shrink))?;
    let means = ((means * beta1)? + (&gradient * (1.0 - beta1))?)?;
    let squares = ((squares * beta2)? + (gradient.sqr()? * (1.0 - beta2))?)?;
    let root = (squares.sqrt()? / f64::from(factors.correction))?;
    let step = (&means / (root + f64::from(factors.eps))?)?;
    let kept = (var.as_detached_tensor() * f64::from(factors.keep))?;
    var.set(&(kept - (step * f64::from(factors.rate))?)?)?;
    Ok([means, squares])
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;
    use crate::domain::Aspect;
    use crate::domain::TunePreset;

    #[test]
    fn a_step_put_together_is_that_of_the_slices() -> Result<()> {
        let mut settings = TuneSettings::new("t", TunePreset::Light, vec![Aspect::Quality]);
        (settings.weight_decay, settings.beta2) = (0.1, 0.95);
        let values = |salt: f32| {
            let values = (0..12).map(|at| ((at as f32 + salt) * 1.7).sin());
            Tensor::from_vec(values.collect::<Vec<f32>>(), (3, 4), &Device::Cpu)
        };
        let weights = || Var::from_tensor(&values(0.0)?);
        let mut by_slices = Optimiser::new(vec![weights()?], &settings)?;
        let mut composed_of = Optimiser::new(vec![weights()?], &settings)?;
        let zeros = || values(0.0)?.zeros_like();
        composed_of.moments = Some(vec![[zeros()?, zeros()?]]);
        for step in 1..4 {
            let gradients = [Some(values(step as f32)?)];
            let norms = [by_slices.norm(&gradients)?, composed_of.norm(&gradients)?];
            assert!((norms[0] - norms[1]).abs() < 1e-5);
            by_slices.step(&gradients, 0.5, 0.5 * norms[0], 0.05)?;
            composed_of.step(&gradients, 0.5, 0.5 * norms[1], 0.05)?;
        }
        let of = |optimiser: &Optimiser| optimiser.masters[0].as_detached_tensor();
        let apart = (of(&by_slices) - of(&composed_of))?.abs()?.max_all()?;
        assert!(apart.to_scalar::<f32>()? < 1e-5);
        let [Values::Slice(means), _] = by_slices.moments(0) else {
            panic!("moments of the CPU are slices");
        };
        let [Values::Tensor(tensor), _] = composed_of.moments(0) else {
            panic!("moments of a GPU are tensors");
        };
        for (a, b) in means.iter().zip(tensor.flatten_all()?.to_vec1::<f32>()?) {
            assert!((a - b).abs() < 1e-6);
        }
        Ok(())
    }
}
