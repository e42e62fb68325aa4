//! The passes in which a net learns to see, the stem as its overview.

use candle_core::{Result, Tensor, Var};
use rand::seq::SliceRandom as _;
use rand_chacha::ChaCha8Rng;

use super::optimiser::Optimiser;
use super::passes::{Passes, State};

/// AdamW in one cycle over shuffled examples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Course {
    /// Passes over the examples.
    pub epochs: usize,
    /// Examples a step; what is left over waits for the next pass.
    pub batch_size: usize,
    /// Peak of the one-cycle schedule.
    pub learning_rate: f64,
    /// Decoupled weight decay.
    pub weight_decay: f64,
}

/// A pass that is done.
pub(super) struct Pass<'a> {
    /// Counted from 1.
    pub(super) epoch: usize,
    /// Its mean loss.
    pub(super) loss: f64,
    /// The order in which it took the examples.
    pub(super) order: &'a [usize],
}

impl Course {
    /// Trains weights on so many examples, behind the passes that were done before; `loss_of` a batch's numbers, and
    /// `on_pass` may stop it by answering `false`.
    ///
    /// # Errors
    /// Failed tensor operations; passes that cannot be read or written; whatever the two answer.
    pub(super) fn run(
        &self,
        (trained, count): (Vec<Var>, usize),
        rng: &mut ChaCha8Rng,
        passes: &Passes,
        loss_of: &mut dyn FnMut(&[usize], &mut ChaCha8Rng) -> Result<Tensor>,
        on_pass: &mut dyn FnMut(Pass<'_>, &mut ChaCha8Rng) -> Result<bool>,
    ) -> Result<()> {
        let mut optimiser = Optimiser::new(vec![(trained, 1.0)], self.weight_decay, 0.999);
        let mut order: Vec<usize> = (0..count).collect();
        let steps = count / self.batch_size;
        let mut state = State {
            optimiser: &mut optimiser,
            rng,
            order: &mut order,
        };
        let done = passes.resume(&mut state)?;
        for epoch in done + 1..=self.epochs {
            state.order.shuffle(state.rng);
            let mut total = 0.0;
            for (step, batch) in state.order.chunks_exact(self.batch_size).enumerate() {
                let done = ((epoch - 1) * steps + step) as f64 / (self.epochs * steps) as f64;
                let loss = loss_of(batch, state.rng)?;
                state
                    .optimiser
                    .step(&loss, one_cycle(done) * self.learning_rate)?;
                total += f64::from(loss.to_scalar::<f32>()?);
            }
            let pass = Pass {
                epoch,
                loss: total / steps.max(1) as f64,
                order: state.order,
            };
            if !on_pass(pass, state.rng)? {
                break;
            }
            passes.save(epoch, &state)?;
        }
        Ok(())
    }
}

/// Rises for three tenths of the way, then falls as a cosine to nothing.
fn one_cycle(done: f64) -> f64 {
    let peak = 0.3;
    if done < peak {
        0.04 + 0.96 * (1.0 - (std::f64::consts::PI * done / peak).cos()) / 2.0
    } else {
        1.0f64.midpoint((std::f64::consts::PI * (done - peak) / (1.0 - peak)).cos())
    }
}
