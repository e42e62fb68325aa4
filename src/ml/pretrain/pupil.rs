//! A small model in its trainable form.

use std::collections::HashMap;
use std::sync::Arc;

use candle_core::{DType, Device, Result, Tensor, Var};
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;

use super::facts::{Facts, column_means};
use super::optimiser::Optimiser;
use super::trunk::gaussian;
use crate::ml::layers::linear;
use crate::ml::vlm::minicpm_v::{Config, MiniCpmV};
use crate::ml::vlm::ops::Mode;
use crate::ml::vlm::weights;

/// Tensors by the names that a checkpoint gives them.
pub type Tensors = HashMap<String, Tensor>;

/// Patches `(rows * cols, values)` of a picture: as it is, and mirrored left to right.
pub type BothPatches = [Tensor; 2];

/// A model's trainable weights under the checkpoint's names, and the head that reads scores while training.
pub struct Weights {
    vars: HashMap<String, Var>,
    pub(super) score_head: Var,
    /// `(facts, hidden)` and `(facts)`: foretells facts from the mean of the image tokens.
    facts_head: [Var; 2],
}

impl Weights {
    /// Fresh weights: normal with deviation 0.02 (matrices that feed a residual smaller by the depth), norms 1,
    /// biases 0. Names and shapes are those that [`MiniCpmV::new`] asks for.
    ///
    /// # Errors
    /// Failed tensor operations.
    pub fn fresh(config: &Config, frozen: &Tensors, facts: &[Facts], seed: u64) -> Result<Self> {
        let shapes = shapes_of(config, frozen)?;
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let depth = (2.0 * config.llm.num_hidden_layers as f64).sqrt();
        let mut vars = HashMap::new();
        for (name, shape) in shapes {
            let count: usize = shape.iter().product();
            let is_norm = name.ends_with("norm.weight")
                || name.contains("layer_norm")
                || name.contains("ln_");
            let values: Vec<f32> = if name.ends_with("bias") {
                vec![0.0; count]
            } else if is_norm || name.ends_with("layernorm.weight") {
                vec![1.0; count]
            } else {
                let into_residual =
                    name.ends_with("o_proj.weight") || name.ends_with("down_proj.weight");
                let deviation = if into_residual { 0.02 / depth } else { 0.02 };
                let deviation = if name.starts_with("llm") {
                    deviation
                } else {
                    (shape[shape.len() - 1] as f64).sqrt().recip()
                };
                (0..count)
                    .map(|_| (gaussian(&mut rng) * deviation) as f32)
                    .collect()
            };
            vars.insert(name, Var::from_vec(values, shape, &Device::Cpu)?);
        }
        let hidden = config.llm.hidden_size;
        let mut head: Vec<f32> = (0..hidden)
            .map(|_| (gaussian(&mut rng) * 0.02) as f32)
            .collect();
        head.push(2.5);
        let mut bias = column_means(&facts.iter().collect::<Vec<_>>());
        bias.extend(
            facts
                .iter()
                .take(1)
                .flat_map(|f| vec![-2.0; f.labels.len()]),
        );
        let outputs = bias.len();
        Ok(Self {
            vars,
            score_head: Var::from_vec(head, hidden + 1, &Device::Cpu)?,
            facts_head: [
                Var::zeros((outputs, hidden), DType::F32, &Device::Cpu)?,
                Var::from_vec(bias, outputs, &Device::Cpu)?,
            ],
        })
    }

    /// Weights by name, to be saved.
    pub fn tensors(&self) -> Tensors {
        self.vars
            .iter()
            .map(|(name, var)| (name.clone(), var.as_tensor().clone()))
            .collect()
    }

    fn all(&self, frozen: &Tensors) -> weights::Weights {
        let mut tensors = self.tensors();
        tensors.extend(
            frozen
                .iter()
                .map(|(name, tensor)| (name.clone(), tensor.clone())),
        );
        weights::Weights::from_tensors(tensors).rounded()
    }

    /// Facts `(batch, facts)` foretold from image tokens `(batch, queries, hidden)`.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn facts_of(&self, images: &Tensor) -> Result<Tensor> {
        let [weight, bias] = &self.facts_head;
        linear(&images.mean(1)?, weight, Some(bias.as_tensor()))
    }

    /// What is trained of the way from patches to image tokens and to what they foretell, in the order of the names, and
    /// what is trained behind them.
    fn halves(&self) -> [Vec<Var>; 2] {
        let mut named: Vec<_> = self.vars.iter().collect();
        named.sort_by(|a, b| a.0.cmp(b.0));
        let (behind, before): (Vec<_>, Vec<_>) = named
            .into_iter()
            .partition(|(name, _)| name.starts_with("llm."));
        let with = |named: Vec<(&String, &Var)>, heads: &[&Var]| {
            let vars = named.into_iter().map(|(_, var)| var);
            vars.chain(heads.iter().copied()).cloned().collect()
        };
        let [weight, bias] = &self.facts_head;
        [
            with(before, &[weight, bias]),
            with(behind, &[&self.score_head]),
        ]
    }

    fn trained(&self) -> Vec<Var> {
        self.halves().concat()
    }

    /// AdamW over everything, with no memory of earlier steps; what makes image tokens moves at a share of the rate.
    pub(super) fn optimiser(&self, weight_decay: f64, vision_rate: f64) -> Optimiser {
        let [before, behind] = self.halves();
        Optimiser::new(
            vec![(before, vision_rate), (behind, 1.0)],
            weight_decay,
            0.95,
        )
    }

    /// A copy of everything, for [`Weights::put_back`].
    ///
    /// # Errors
    /// Failed tensor operations.
    pub(super) fn copy(&self) -> Result<Vec<Tensor>> {
        self.trained().iter().map(|var| var.copy()).collect()
    }

    /// Makes everything as it was copied.
    ///
    /// # Errors
    /// Failed tensor operations.
    pub(super) fn put_back(&self, copy: &[Tensor]) -> Result<()> {
        let mut pairs = self.trained().into_iter().zip(copy);
        pairs.try_for_each(|(var, tensor)| var.set(tensor))
    }
}

/// A model in its trainable form, and its weights.
pub struct Pupil {
    /// The model, made of the weights' variables.
    pub model: MiniCpmV,
    /// The weights.
    pub weights: Weights,
}

impl Pupil {
    /// A fresh one around frozen tensors; `facts` say what its heads start from.
    ///
    /// # Errors
    /// Failed tensor operations.
    pub fn fresh(config: &Config, frozen: &Tensors, facts: &[Facts], seed: u64) -> Result<Self> {
        let weights = Weights::fresh(config, frozen, facts, seed)?;
        let model = MiniCpmV::new(config, Mode::Training, &weights.all(frozen))?;
        Ok(Self { model, weights })
    }
}

/// Names and shapes of everything that the model loads and that is not frozen, by building it without weights.
fn shapes_of(config: &Config, frozen: &Tensors) -> Result<Vec<(String, Vec<usize>)>> {
    let census = Arc::new(weights::Census::default());
    let source = weights::Weights::new(census.clone(), weights::Form::F32, &Device::Cpu);
    MiniCpmV::new(config, Mode::Training, &source)?;
    let wanted = census.wanted().into_iter();
    Ok(wanted
        .filter(|(name, _)| !frozen.contains_key(name))
        .map(|(name, slot)| (name, slot.shape))
        .collect())
}
