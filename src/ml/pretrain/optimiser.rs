//! The optimiser of every step.

use candle_core::{Result, Tensor, Var};

use crate::ml::train::AdamW;

/// AdamW whose decay reaches matrices only, over groups of weights that move at rates of their own.
pub(super) struct Optimiser {
    groups: Vec<Group>,
}

struct Group {
    vars: Vec<Var>,
    adamw: AdamW,
    /// Share of the step's rate.
    share: f64,
}

impl Optimiser {
    /// One with no memory of earlier steps, of groups and their shares of the rate; `beta2` is the decay of the mean of
    /// squared gradients.
    pub(super) fn new(groups: Vec<(Vec<Var>, f64)>, weight_decay: f64, beta2: f64) -> Self {
        let group = |(vars, share): (Vec<Var>, f64)| Group {
            adamw: AdamW {
                decays: vars.iter().map(|var| var.rank() > 1).collect(),
                beta2,
                ..AdamW::new(&vars, weight_decay, None)
            },
            vars,
            share,
        };
        Self {
            groups: groups.into_iter().map(group).collect(),
        }
    }

    /// One step down a loss; what the loss does not depend on stays as it is.
    ///
    /// # Errors
    /// Failed tensor operations.
    pub(super) fn step(&mut self, loss: &Tensor, rate: f64) -> Result<()> {
        let grads = loss.backward()?;
        let mut groups = self.groups.iter_mut();
        groups.try_for_each(|group| group.adamw.step(&group.vars, &grads, rate * group.share))
    }
}
