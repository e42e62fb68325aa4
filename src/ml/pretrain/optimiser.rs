//! The optimiser of every step.

use std::collections::HashMap;

use candle_core::{Device, Result, Tensor, Var, bail};

use crate::ml::train::AdamW;

/// Names of the two moments.
const MOMENTS: [&str; 2] = ["mean", "square"];

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

    /// Weights and moments by a name each, and the steps of each group.
    ///
    /// # Errors
    /// Failed copies.
    pub(super) fn state(&self) -> Result<(HashMap<String, Tensor>, Vec<u64>)> {
        let mut tensors = HashMap::new();
        for (number, group) in self.groups.iter().enumerate() {
            for (at, (var, moments)) in group.vars.iter().zip(&group.adamw.moments).enumerate() {
                let name = |part: &str| format!("{number}.{at}.{part}");
                tensors.insert(name("weight"), var.copy()?);
                for (part, values) in MOMENTS.iter().zip(moments) {
                    let values = Tensor::from_slice(values, values.len(), &Device::Cpu)?;
                    tensors.insert(name(part), values);
                }
            }
        }
        let steps = self.groups.iter().map(|group| group.adamw.steps);
        Ok((tensors, steps.collect()))
    }

    /// Takes over what [`Self::state`] gave.
    ///
    /// # Errors
    /// Names that are lacking, or other shapes.
    pub(super) fn put_back(
        &mut self,
        tensors: &HashMap<String, Tensor>,
        steps: &[u64],
    ) -> Result<()> {
        for (number, (group, steps)) in self.groups.iter_mut().zip(steps).enumerate() {
            group.adamw.steps = *steps;
            let weights = group.vars.iter().zip(&mut group.adamw.moments);
            for (at, (var, moments)) in weights.enumerate() {
                let of = |part: &str| match tensors.get(&format!("{number}.{at}.{part}")) {
                    Some(tensor) => Ok(tensor),
                    None => bail!("what an earlier run left lacks the {part} of weight {at}"),
                };
                var.set(of("weight")?)?;
                for (part, moment) in MOMENTS.iter().zip(moments) {
                    *moment = of(part)?.to_vec1()?;
                }
            }
        }
        Ok(())
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
