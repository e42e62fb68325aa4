//! AdamW whose state can be written down, so that a resumed run goes on as if it had not stopped.

use std::cell::RefCell;

use candle_core::CpuStorage;
use candle_core::InplaceOp2;
use candle_core::Layout;
use candle_core::Result;
use candle_core::Tensor;
use candle_core::Var;
use candle_core::backprop::GradStore;
use candle_core::bail;
use rayon::prelude::*;

use crate::compute::gpu::AdamFactors;
use crate::compute::real::contiguous;
use crate::compute::real::with_values;

/// Decay of the mean of gradients.
const BETA1: f32 = 0.9;
/// Usual decay of the mean of squared gradients.
const BETA2: f64 = 0.999;
/// Added to the root of the latter.
const EPS: f32 = 1e-8;
/// Values that one task takes; sums of squares are added by such chunks in their order.
const CHUNK: usize = 1 << 14;

/// Adam with decoupled weight decay, as in PyTorch, and a limit on the norm of the whole gradient.
///
/// **Source** I. Loshchilov, F. Hutter, "Decoupled weight decay regularization", arXiv 1711.05101, algorithm 2.
#[derive(Debug, Clone, PartialEq)]
pub struct AdamW {
    /// Decoupled weight decay, multiplied by the learning rate.
    pub weight_decay: f64,
    /// Largest norm of the gradient over all weights; a larger one is shrunk to it. `None`: no limit.
    pub max_norm: Option<f64>,
    /// Steps taken.
    pub steps: u64,
    /// Means of gradients and of squared gradients, by weight.
    pub moments: Vec<[Vec<f32>; 2]>,
    /// Whether the decay reaches a weight.
    pub decays: Vec<bool>,
    /// Decay of the mean of squared gradients.
    pub beta2: f64,
}

/// Whether weight decay reaches a weight by usual practice: matrices, and neither norms, biases, gates of cells, skips
/// nor Mamba's `dt`, `A` and `D`.
pub(super) fn decays_by_usage(name: &str, dims: &[usize]) -> bool {
    const LEFT_OUT: [&str; 6] = ["norm", "bias", "gate", "skip", "A_log", "dt_"];
    dims.len() > 1
        && name.rsplit('.').next() != Some("D")
        && !LEFT_OUT.iter().any(|word| name.contains(word))
}

/// The factors of one step, the same for every weight.
#[derive(Debug, Clone, Copy)]
pub(in crate::ml) struct Step {
    /// Of the gradient, so that its norm stays within the limit.
    pub(in crate::ml) shrink: f32,
    /// Learning rate over the correction of the mean.
    rate: f32,
    /// Root of the correction of the mean square.
    correction: f32,
    /// What the decay leaves of a weight.
    keep: f32,
    /// Decay of the mean of squared gradients.
    beta2: f32,
}

impl Step {
    /// Step number `steps`, counted from 1, with the usual decay of squares.
    #[cfg(test)]
    pub(super) fn new(steps: u64, learning_rate: f64, weight_decay: f64) -> Self {
        Self::with_beta2(BETA2, steps, learning_rate, weight_decay)
    }

    fn with_beta2(beta2: f64, steps: u64, learning_rate: f64, weight_decay: f64) -> Self {
        let beta2 = beta2 as f32;
        let correct = |beta: f32| 1.0 - f64::from(beta).powi(steps.min(1 << 30) as i32);
        Self {
            shrink: 1.0,
            rate: (learning_rate / correct(BETA1)) as f32,
            correction: correct(beta2).sqrt() as f32,
            keep: (1.0 - learning_rate * weight_decay) as f32,
            beta2,
        }
    }

    const fn without_decay(self) -> Self {
        Self { keep: 1.0, ..self }
    }

    /// The same for a kernel; `decays`: whether the decay reaches the weight.
    pub(in crate::ml) const fn factors(self, decays: bool) -> AdamFactors {
        AdamFactors {
            shrink: self.shrink,
            rate: self.rate,
            correction: self.correction,
            keep: if decays { self.keep } else { 1.0 },
            betas: [BETA1, self.beta2],
            eps: EPS,
        }
    }

    /// Moves weights along their gradient.
    pub(super) fn apply(
        &self,
        weights: &mut [f32],
        gradient: &[f32],
        [mean, square]: [&mut [f32]; 2],
    ) {
        let chunks = weights
            .par_chunks_mut(CHUNK)
            .zip(gradient.par_chunks(CHUNK));
        let moments = mean.par_chunks_mut(CHUNK).zip(square.par_chunks_mut(CHUNK));
        chunks
            .zip(moments)
            .for_each(|((weights, gradient), (mean, square))| {
                let n = weights.len();
                let (gradient, mean, square) = (&gradient[..n], &mut mean[..n], &mut square[..n]);
                for i in 0..n {
                    let g = gradient[i] * self.shrink;
                    mean[i] = BETA1 * mean[i] + (1.0 - BETA1) * g;
                    square[i] = self.beta2 * square[i] + (1.0 - self.beta2) * g * g;
                    let step = mean[i] / (square[i].sqrt() / self.correction + EPS);
                    weights[i] = weights[i] * self.keep - self.rate * step;
                }
            });
    }
}

/// One weight's share of a step, where the weight lies.
struct Update<'a> {
    step: Step,
    moments: RefCell<&'a mut [Vec<f32>; 2]>,
}

impl InplaceOp2 for Update<'_> {
    fn name(&self) -> &'static str {
        "adamw"
    }

    fn cpu_fwd(
        &self,
        s1: &mut CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> Result<()> {
        let (CpuStorage::F32(weights), Some((start, end))) = (s1, l1.contiguous_offsets()) else {
            bail!("AdamW moves contiguous weights in single precision")
        };
        let mut moments = self.moments.borrow_mut();
        let [mean, square] = &mut **moments;
        let gradient = contiguous::<f32>(s2, l2)?;
        self.step
            .apply(&mut weights[start..end], gradient, [mean, square]);
        Ok(())
    }
}

impl AdamW {
    /// An optimiser that has seen nothing yet; the decay reaches every weight.
    pub fn new(vars: &[Var], weight_decay: f64, max_norm: Option<f64>) -> Self {
        let empty = |var: &Var| {
            let zeros = vec![0.0; var.elem_count()];
            [zeros.clone(), zeros]
        };
        Self {
            weight_decay,
            max_norm,
            steps: 0,
            moments: vars.iter().map(empty).collect(),
            decays: vec![true; vars.len()],
            beta2: BETA2,
        }
    }

    /// One step; a weight without a gradient stays as it is.
    pub fn step(&mut self, vars: &[Var], grads: &GradStore, learning_rate: f64) -> Result<()> {
        let gradients = gradients(vars, grads)?;
        let square = match self.max_norm {
            Some(_) => squared_norm(&gradients)?,
            None => 0.0,
        };
        let step = self.begin(square, learning_rate);
        self.apply(vars, &gradients, step)
    }

    /// Counts a step whose gradient has this squared norm, and answers its factors.
    pub(in crate::ml) fn begin(&mut self, squared_norm: f64, learning_rate: f64) -> Step {
        self.steps += 1;
        let shrink = self.max_norm.map_or(1.0, |limit| {
            (limit / squared_norm.sqrt().max(1e-12)).min(1.0) as f32
        });
        Step {
            shrink,
            ..Step::with_beta2(self.beta2, self.steps, learning_rate, self.weight_decay)
        }
    }

    /// Moves the weights that have a gradient.
    pub(in crate::ml) fn apply(
        &mut self,
        vars: &[Var],
        gradients: &[Option<Tensor>],
        step: Step,
    ) -> Result<()> {
        let weights = vars.iter().zip(gradients).zip(&self.decays);
        for (((var, gradient), decays), moments) in weights.zip(&mut self.moments) {
            let Some(gradient) = gradient else {
                continue;
            };
            let update = Update {
                step: if *decays { step } else { step.without_decay() },
                moments: RefCell::new(moments),
            };
            var.as_tensor().inplace_op2(gradient, &update)?;
        }
        Ok(())
    }
}

/// Contiguous gradients of the weights that have one.
pub(super) fn gradients(vars: &[Var], grads: &GradStore) -> Result<Vec<Option<Tensor>>> {
    vars.iter()
        .map(|var| {
            let gradient = grads.get(var.as_tensor());
            gradient.map(Tensor::contiguous).transpose()
        })
        .collect()
}

/// Sum of the squares of all gradients.
pub(in crate::ml) fn squared_norm(gradients: &[Option<Tensor>]) -> Result<f64> {
    let mut total = 0.0;
    for gradient in gradients.iter().flatten() {
        total += with_values([gradient], |[values]: [&[f32]; 1]| {
            let chunks = values.par_chunks(CHUNK).map(|chunk| {
                let squares = chunk.iter().map(|&g| f64::from(g) * f64::from(g));
                squares.sum::<f64>()
            });
            Ok(chunks.collect::<Vec<f64>>().iter().sum::<f64>())
        })?;
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use candle_core::Device;
    use candle_nn::Optimizer as _;

    use super::*;

    /// Five steps on a bowl, as a function of how a step is made.
    fn descend(mut step: impl FnMut(&Var, &GradStore) -> Result<()>) -> Result<Vec<f32>> {
        let start = Tensor::new(&[1.0_f32, -2.0, 3.0], &Device::Cpu)?;
        let var = Var::from_tensor(&start)?;
        for _ in 0..5 {
            let loss = (var.as_tensor() * 0.01)?.sqr()?.sum_all()?;
            step(&var, &loss.backward()?)?;
        }
        var.to_vec1()
    }

    #[test]
    fn it_steps_as_candles_does() -> Result<()> {
        let mut ours = None;
        let ours = descend(|var, grads| {
            let vars = [var.clone()];
            let optimiser = ours.get_or_insert_with(|| AdamW::new(&vars, 0.1, None));
            optimiser.step(&vars, grads, 0.05)
        })?;
        let mut theirs = None;
        let theirs = descend(|var, grads| {
            if theirs.is_none() {
                let settings = candle_nn::ParamsAdamW {
                    lr: 0.05,
                    weight_decay: 0.1,
                    ..Default::default()
                };
                theirs = Some(candle_nn::AdamW::new(vec![var.clone()], settings)?);
            }
            theirs
                .as_mut()
                .map_or(Ok(()), |optimiser| optimiser.step(grads))
        })?;
        for (ours, theirs) in ours.iter().zip(theirs) {
            assert!((ours - theirs).abs() < 1e-5, "{ours} against {theirs}");
        }
        Ok(())
    }

    #[test]
    fn a_gradient_beyond_the_limit_is_shrunk() -> Result<()> {
        let mut optimiser = AdamW::new(&[], 0.0, Some(1.0));
        let of = |values: Vec<f32>| Tensor::from_vec(values, 2, &Device::Cpu);
        let square = squared_norm(&[Some(of(vec![3.0, 0.0])?), None, Some(of(vec![0.0, 4.0])?)])?;
        assert!((square - 25.0).abs() < 1e-9);
        assert!((optimiser.begin(square, 0.1).shrink - 0.2).abs() < 1e-6);
        assert!((optimiser.begin(0.09, 0.1).shrink - 1.0).abs() < 1e-6);
        optimiser.max_norm = None;
        assert!((optimiser.begin(square, 0.1).shrink - 1.0).abs() < 1e-6);
        Ok(())
    }

    #[test]
    fn decay_reaches_matrices_only() {
        let matrix = [4, 4];
        for name in [
            "W.weight",
            "fc.0.weight",
            "blocks.0.xlstm.proj_up.weight",
            "lstm.weight_ih_l0",
        ] {
            assert!(decays_by_usage(name, &matrix), "{name}");
        }
        for name in [
            "blocks.0.xlstm.mlstm_cell.igate.weight",
            "norm_after.weight",
            "mamba_layers.0.A_log",
            "lstm.bias_ih_l0",
        ] {
            assert!(!decays_by_usage(name, &matrix), "{name}");
        }
        assert!(!decays_by_usage("W.bias", &[4]));
        assert!(!decays_by_usage("mamba_layers.0.D", &[4]));
    }
}
