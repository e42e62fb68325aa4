//! AdamW whose state can be written down, so that a resumed run goes on as if it had not stopped.

use candle_core::Result;
use candle_core::Tensor;
use candle_core::Var;
use candle_core::backprop::GradStore;

/// Decay of the mean of gradients.
const BETA1: f32 = 0.9;
/// Decay of the mean of squared gradients.
const BETA2: f32 = 0.999;
/// Added to the root of the latter.
const EPS: f32 = 1e-8;

/// Adam with decoupled weight decay on every weight, as in PyTorch, and a limit on the norm of the whole gradient.
///
/// **Source** I. Loshchilov, F. Hutter, "Decoupled weight decay regularization", arXiv 1711.05101, algorithm 2.
#[derive(Debug, Clone, PartialEq)]
pub struct AdamW {
    /// Decoupled weight decay, multiplied by the learning rate.
    pub weight_decay: f64,
    /// Largest norm of the gradient over all weights; a larger one is shrunk to it.
    pub max_norm: f64,
    /// Steps taken.
    pub steps: u64,
    /// Means of gradients and of squared gradients, by weight.
    pub moments: Vec<[Vec<f32>; 2]>,
}

impl AdamW {
    /// An optimiser that has seen nothing yet.
    pub fn new(vars: &[Var], weight_decay: f64, max_norm: f64) -> Self {
        let empty = |var: &Var| {
            let zeros = vec![0.0; var.elem_count()];
            [zeros.clone(), zeros]
        };
        Self {
            weight_decay,
            max_norm,
            steps: 0,
            moments: vars.iter().map(empty).collect(),
        }
    }

    /// One step; a weight without a gradient stays as it is.
    pub fn step(&mut self, vars: &[Var], grads: &GradStore, learning_rate: f64) -> Result<()> {
        self.steps += 1;
        let mut gradients = Vec::with_capacity(vars.len());
        for var in vars {
            let gradient = grads.get(var.as_tensor());
            let values = gradient.map(|g| g.flatten_all()?.to_vec1::<f32>());
            gradients.push(values.transpose()?);
        }
        let shrink = self.shrink(&gradients);
        let correct = |beta: f32| 1.0 - f64::from(beta).powi(self.steps.min(1 << 30) as i32);
        let rate = (learning_rate / correct(BETA1)) as f32;
        let correction = correct(BETA2).sqrt() as f32;
        let keep = (1.0 - learning_rate * self.weight_decay) as f32;
        for ((var, gradient), [mean, square]) in vars.iter().zip(gradients).zip(&mut self.moments) {
            let Some(gradient) = gradient else {
                continue;
            };
            let mut values: Vec<f32> = var.flatten_all()?.to_vec1()?;
            for i in 0..values.len() {
                let g = gradient[i] * shrink;
                mean[i] = BETA1 * mean[i] + (1.0 - BETA1) * g;
                square[i] = BETA2 * square[i] + (1.0 - BETA2) * g * g;
                let step = mean[i] / (square[i].sqrt() / correction + EPS);
                values[i] = values[i] * keep - rate * step;
            }
            var.set(&Tensor::from_vec(values, var.shape(), var.device())?)?;
        }
        Ok(())
    }

    fn shrink(&self, gradients: &[Option<Vec<f32>>]) -> f32 {
        let values = gradients.iter().flatten().flatten();
        let square: f64 = values.map(|&g| f64::from(g) * f64::from(g)).sum();
        (self.max_norm / square.sqrt().max(1e-12)).min(1.0) as f32
    }
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
            let optimiser = ours.get_or_insert_with(|| AdamW::new(&vars, 0.1, 1e9));
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
    fn a_gradient_beyond_the_limit_is_shrunk() {
        let optimiser = AdamW::new(&[], 0.0, 1.0);
        assert!((optimiser.shrink(&[Some(vec![3.0]), None, Some(vec![4.0])]) - 0.2).abs() < 1e-6);
        assert!((optimiser.shrink(&[Some(vec![0.3])]) - 1.0).abs() < 1e-6);
    }
}
