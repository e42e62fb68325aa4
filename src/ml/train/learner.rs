//! A network with its trainable weights and their optimiser.

use candle_core::Device;
use candle_core::Tensor;
use candle_core::Var;
use candle_core::backprop::GradStore;

use super::AdamW;
use super::FullProjection;
use super::adamw::decays_by_usage;
use super::adamw::gradients;
use super::adamw::squared_norm;
use super::loss::loss_and_gradient;
use super::projection::logits_pay;
use super::projection::squares;
use crate::compute::real::with_values;
use crate::domain::Loss;
use crate::domain::TrainSettings;
use crate::ml::MlError;
use crate::ml::heads::Dropout;
use crate::ml::network::Batch;
use crate::ml::network::Network;
use crate::ml::network::PredictorConfig;
use crate::ml::network::builder;
use crate::ml::state_dict::StateDict;

/// Name of the projection's weight: of its product with the model's `lm_head`, where it reads logits.
pub(super) const PROJECTION: &str = "W.weight";
const PROJECTION_BIAS: &str = "W.bias";
/// Names of the full projection's state in a checkpoint.
const FULL: [&str; 3] = ["full.weight", "full.mean", "full.square"];

/// What a step makes smaller, and in which units.
#[derive(Debug, Clone, Copy)]
pub(super) struct Objective {
    pub(super) loss: Loss,
    /// Points of the scale that are one point of 0-5.
    pub(super) unit: f64,
    /// What the gradient is multiplied by, so that the limit on its norm means the same on every scale.
    pub(super) factor: f64,
}

/// What a step is for.
pub(super) struct Goal<'a> {
    pub(super) truth: &'a [f64],
    pub(super) objective: Objective,
    /// Which values the step leaves out.
    pub(super) dropout: &'a Dropout,
}

/// What a training run changes.
pub(super) struct Learner {
    names: Vec<String>,
    vars: Vec<Var>,
    network: Network,
    frozen: Network,
    full: Option<Full>,
    /// The optimiser.
    pub(super) optimiser: AdamW,
}

/// The projection of logits, where all of it is trained.
struct Full {
    projection: FullProjection,
    /// Places of the product and of its bias among the weights.
    at: [usize; 2],
    /// Whether the product lags behind the projection.
    is_stale: bool,
}

impl Learner {
    /// Makes trainable copies of the weights that `config` names.
    pub(super) fn new(
        config: &PredictorConfig,
        weights: &StateDict,
        settings: &TrainSettings,
        full: Option<FullProjection>,
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
        let mut optimiser = AdamW::new(&vars, settings.weight_decay, settings.max_norm);
        if !settings.decays_all {
            let weights = names.iter().zip(&vars);
            optimiser.decays = weights
                .map(|(name, var)| decays_by_usage(name, var.dims()))
                .collect();
        }
        let at = [PROJECTION, PROJECTION_BIAS]
            .map(|wanted| names.iter().position(|name| name == wanted).unwrap_or(0));
        let full = full.map(|projection| Full {
            projection,
            at,
            is_stale: false,
        });
        Ok(Self {
            names,
            vars,
            network,
            frozen,
            full,
            optimiser,
        })
    }

    /// One step on a batch; answers the value of its loss.
    ///
    /// # Errors
    /// A loss or a gradient that is no finite number, before any weight has moved.
    pub(super) fn step(
        &mut self,
        batch: &Batch,
        goal: &Goal<'_>,
        learning_rate: f64,
    ) -> Result<f64, MlError> {
        if let Some(full) = self.full.take() {
            let (full, value) = self.full_step(full, batch, goal, learning_rate);
            self.full = Some(full);
            return value;
        }
        let scores = self.network.forward(batch, goal.dropout)?;
        let (value, grads) = backward(&scores, goal)?;
        let gradients = gradients(&self.vars, &grads)?;
        let square = finite(squared_norm(&gradients)?)?;
        let step = self.optimiser.begin(square, learning_rate);
        self.optimiser.apply(&self.vars, &gradients, step)?;
        Ok(value)
    }

    fn full_step(
        &mut self,
        mut full: Full,
        batch: &Batch,
        goal: &Goal<'_>,
        learning_rate: f64,
    ) -> (Full, Result<f64, MlError>) {
        let product = &self.vars[full.at[0]];
        let pays = product
            .dims2()
            .is_ok_and(|(dim, hidden)| logits_pay(batch.num_rows(), dim, hidden));
        let value = match pays {
            true => self.step_by_logits(&mut full, batch, goal, learning_rate),
            false => self.step_by_product(&mut full, batch, goal, learning_rate),
        };
        (full, value)
    }

    /// Through the product of projection and `lm_head`.
    fn step_by_product(
        &mut self,
        full: &mut Full,
        batch: &Batch,
        goal: &Goal<'_>,
        learning_rate: f64,
    ) -> Result<f64, MlError> {
        self.catch_up(full)?;
        let scores = self.network.forward(batch, goal.dropout)?;
        let (value, grads) = backward(&scores, goal)?;
        let mut gradients = gradients(&self.vars, &grads)?;
        let Some(grad) = gradients[full.at[0]].take() else {
            return Err(MlError::Input("the projection has no gradient".to_owned()));
        };
        let grad: Vec<f32> = grad.flatten_all()?.to_vec1()?;
        let mut square = squared_norm(&gradients)?;
        square += match self.optimiser.max_norm {
            Some(_) => full.projection.squared_norm(&grad),
            None => squares(&grad),
        };
        let step = self.optimiser.begin(finite(square)?, learning_rate);
        self.optimiser.apply(&self.vars, &gradients, step)?;
        let product = full.projection.step(&grad, step);
        self.set_product(full, product)?;
        Ok(value)
    }

    /// Through the logits themselves; the product is left behind.
    fn step_by_logits(
        &mut self,
        full: &mut Full,
        batch: &Batch,
        goal: &Goal<'_>,
        learning_rate: f64,
    ) -> Result<f64, MlError> {
        let (rows, seq, _) = batch.hidden().dims3()?;
        let hidden = batch.hidden();
        let logits = with_values([hidden], |[x]: [&[f32]; 1]| Ok(full.projection.logits(x)))?;
        let projected = full.projection.project(&logits);
        let dim = projected.len() / (rows * seq);
        let projected = Tensor::from_vec(projected, (rows, seq, dim), &Device::Cpu)?;
        let projected = Var::from_tensor(&projected)?;
        let bias = self.vars[full.at[1]].as_tensor();
        let x = projected.as_tensor().broadcast_add(bias)?;
        let scores = self.network.forward_projected(&x, batch, goal.dropout)?;
        let (value, grads) = backward(&scores, goal)?;
        let gradients = gradients(&self.vars, &grads)?;
        let Some(grad) = grads.get(projected.as_tensor()) else {
            return Err(MlError::Input("the projection has no gradient".to_owned()));
        };
        let grad: Vec<f32> = grad.flatten_all()?.to_vec1()?;
        let grad = full.projection.gradient_by_logits(&logits, &grad);
        let square = squared_norm(&gradients)? + squares(&grad);
        let step = self.optimiser.begin(finite(square)?, learning_rate);
        self.optimiser.apply(&self.vars, &gradients, step)?;
        full.projection.step_by_gradient(&grad, step);
        full.is_stale = true;
        Ok(value)
    }

    fn set_product(&self, full: &Full, product: Vec<f32>) -> Result<(), MlError> {
        let var = &self.vars[full.at[0]];
        var.set(&Tensor::from_vec(product, var.dims(), &Device::Cpu)?)?;
        Ok(())
    }

    fn catch_up(&self, full: &mut Full) -> Result<(), MlError> {
        if full.is_stale {
            self.set_product(full, full.projection.product())?;
            full.is_stale = false;
        }
        Ok(())
    }

    /// Makes the network for scoring read the newest weights.
    pub(super) fn refresh(&mut self) -> Result<(), MlError> {
        let Some(mut full) = self.full.take() else {
            return Ok(());
        };
        let done = self.catch_up(&mut full);
        self.full = Some(full);
        done
    }

    /// The network for scoring; after [`Self::refresh`] it has the newest weights.
    pub(super) const fn frozen(&self) -> &Network {
        &self.frozen
    }

    /// The newest weights, as a predictor has them.
    pub(super) fn weights(&self) -> Result<StateDict, MlError> {
        let mut weights = StateDict::default();
        for (name, var) in self.names.iter().zip(&self.vars) {
            weights.insert(name.clone(), var.dims(), var.flatten_all()?.to_vec1()?);
        }
        Ok(weights)
    }

    /// The optimiser's state by weight, to be written down.
    pub(super) fn write_state(&self, dict: &mut StateDict) {
        for (which, prefix) in ["mean", "square"].into_iter().enumerate() {
            for (name, moments) in self.names.iter().zip(&self.optimiser.moments) {
                let values = moments[which].clone();
                dict.insert(format!("{prefix}.{name}"), &[values.len()], values);
            }
        }
        if let Some(full) = &self.full {
            for (name, values) in FULL.into_iter().zip(full.projection.state()) {
                dict.insert(name, &[values.len()], values.to_vec());
            }
        }
    }

    /// Takes over what [`Self::write_state`] wrote.
    pub(super) fn read_state(&mut self, dict: &StateDict) -> Result<(), MlError> {
        for (name, moments) in self.names.iter().zip(&mut self.optimiser.moments) {
            for (prefix, moment) in ["mean", "square"].into_iter().zip(moments) {
                let (_, values) = dict.get(&format!("{prefix}.{name}"))?;
                if values.len() != moment.len() {
                    let why = format!("the optimiser's state of {name} has another size");
                    return Err(MlError::Weights(why));
                }
                moment.copy_from_slice(values);
            }
        }
        if let Some(full) = &mut self.full {
            let [weights, mean, square] = FULL.map(|name| dict.get(name));
            full.projection
                .set_state([weights?.1, mean?.1, square?.1])?;
            full.is_stale = true;
        }
        Ok(())
    }
}

/// The loss of scores, and the gradients of everything behind them.
fn backward(scores: &Tensor, goal: &Goal<'_>) -> Result<(f64, GradStore), MlError> {
    let Goal {
        truth, objective, ..
    } = goal;
    let values: Vec<f32> = scores.to_vec1()?;
    let values: Vec<f64> = values.into_iter().map(f64::from).collect();
    let (value, gradient) = loss_and_gradient(objective.loss, &values, truth, objective.unit);
    let value = finite(value)?;
    let gradient: Vec<f32> = gradient
        .into_iter()
        .map(|g| (g * objective.factor) as f32)
        .collect();
    let gradient = Tensor::from_vec(gradient, values.len(), &Device::Cpu)?;
    let grads = (scores * gradient)?.sum_all()?.backward()?;
    Ok((value, grads))
}

fn finite(value: f64) -> Result<f64, MlError> {
    match value.is_finite() {
        true => Ok(value),
        false => Err(MlError::Diverged),
    }
}
