//! A network with its trainable weights and their optimiser.

use candle_core::Tensor;
use candle_core::Var;

use super::AdamW;
use crate::ml::MlError;
use crate::ml::heads::Dropout;
use crate::ml::network::Batch;
use crate::ml::network::Network;
use crate::ml::network::PredictorConfig;
use crate::ml::network::builder;
use crate::ml::state_dict::StateDict;

/// Largest norm of a step's gradient.
const MAX_NORM: f64 = 1.0;

/// What a training run changes.
pub(super) struct Learner {
    names: Vec<String>,
    vars: Vec<Var>,
    network: Network,
    frozen: Network,
    /// The optimiser.
    pub(super) optimiser: AdamW,
}

impl Learner {
    /// Makes trainable copies of the weights that `config` names.
    pub(super) fn new(
        config: &PredictorConfig,
        weights: &StateDict,
        weight_decay: f64,
    ) -> Result<Self, MlError> {
        let tensors = weights.tensors()?;
        let (mut names, mut vars) = (Vec::new(), Vec::new());
        for parameter in config.parameters(0.0, 1.0) {
            let Some(tensor) = tensors.get(&parameter.name) else {
                return Err(MlError::Weights(format!("{} is missing", parameter.name)));
            };
            vars.push(Var::from_tensor(tensor)?);
            names.push(parameter.name);
        }
        let named = |tensor: fn(&Var) -> Tensor| {
            let tensors = names.iter().cloned().zip(vars.iter().map(tensor));
            builder(tensors.collect())
        };
        let network = Network::new(config, &named(|var| var.as_tensor().clone()))?;
        // Shares the memory of the trainable weights, but records no graph.
        let frozen = Network::new(config, &named(Var::as_detached_tensor))?;
        let optimiser = AdamW::new(&vars, weight_decay, MAX_NORM);
        Ok(Self {
            names,
            vars,
            network,
            frozen,
            optimiser,
        })
    }

    /// One step on a batch; answers its mean squared error. `unit` is the variance of the targets: the gradient is
    /// taken of the error in this unit, so that the limit on its norm means the same on every scale.
    pub(super) fn step(
        &mut self,
        batch: &Batch,
        targets: &[f32],
        unit: f64,
        learning_rate: f64,
        dropout: &Dropout,
    ) -> Result<f64, MlError> {
        let scores = self.network.forward(batch, dropout)?;
        let targets = Tensor::from_slice(targets, targets.len(), scores.device())?;
        let loss = (scores - targets)?.sqr()?.mean_all()?;
        let value = f64::from(loss.to_scalar::<f32>()?);
        if !value.is_finite() {
            let why = "training diverged: start again with a lower learning rate";
            return Err(MlError::Input(why.to_owned()));
        }
        let grads = (loss / unit)?.backward()?;
        self.optimiser.step(&self.vars, &grads, learning_rate)?;
        Ok(value)
    }

    /// The network for scoring, always at the newest weights.
    pub(super) const fn frozen(&self) -> &Network {
        &self.frozen
    }

    /// The newest weights.
    pub(super) fn weights(&self) -> Result<StateDict, MlError> {
        let mut weights = StateDict::default();
        for (name, var) in self.names.iter().zip(&self.vars) {
            weights.insert(name.clone(), var.dims(), var.flatten_all()?.to_vec1()?);
        }
        Ok(weights)
    }

    /// The optimiser's two means by weight, to be written down.
    pub(super) fn moments(&self) -> [StateDict; 2] {
        [0, 1].map(|which| {
            let mut dict = StateDict::default();
            let moments = self.names.iter().zip(&self.optimiser.moments);
            for (name, moments) in moments {
                let values = moments[which].clone();
                dict.insert(name.clone(), &[values.len()], values);
            }
            dict
        })
    }

    /// Takes over what [`Self::moments`] wrote.
    pub(super) fn set_moments(&mut self, written: &[StateDict; 2]) -> Result<(), MlError> {
        for (name, moments) in self.names.iter().zip(&mut self.optimiser.moments) {
            for (dict, moment) in written.iter().zip(moments) {
                let (_, values) = dict.get(name)?;
                if values.len() != moment.len() {
                    let why = format!("the optimiser's state of {name} has another size");
                    return Err(MlError::Weights(why));
                }
                moment.copy_from_slice(values);
            }
        }
        Ok(())
    }
}
