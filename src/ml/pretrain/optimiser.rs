//! The optimiser of every step.

use candle_core::{Result, Tensor, Var};
use candle_nn::{AdamW, Optimizer as _, ParamsAdamW};

/// AdamW with decoupled weight decay on some weights and none on the others.
pub(super) struct Optimiser {
    decayed: AdamW,
    plain: AdamW,
}

impl Optimiser {
    /// One with no memory of earlier steps; `params` are those of the decayed weights.
    ///
    /// # Errors
    /// Failed tensor operations.
    pub(super) fn new(decayed: Vec<Var>, plain: Vec<Var>, params: ParamsAdamW) -> Result<Self> {
        let undecayed = ParamsAdamW {
            weight_decay: 0.0,
            ..params.clone()
        };
        Ok(Self {
            decayed: AdamW::new(decayed, params)?,
            plain: AdamW::new(plain, undecayed)?,
        })
    }

    /// One step down a loss; what the loss does not depend on stays as it is.
    ///
    /// # Errors
    /// Failed tensor operations.
    pub(super) fn step(&mut self, loss: &Tensor, rate: f64) -> Result<()> {
        let grads = loss.backward()?;
        for optimiser in [&mut self.decayed, &mut self.plain] {
            optimiser.set_learning_rate(rate);
            optimiser.step(&grads)?;
        }
        Ok(())
    }
}
