//! Everything that the next epoch of a run needs, as one block of bytes.

use serde::Deserialize;
use serde::Serialize;

use super::TrainData;
use super::learner::Learner;
use crate::domain::EpochFigures;
use crate::domain::TrainSettings;
use crate::ml::MlError;
use crate::ml::network::PredictorConfig;
use crate::ml::state_dict::StateDict;

/// Key of the document in the metadata.
const KEY: &str = "checkpoint";

/// A run after some of its epochs. Order and batches of the next one follow from the seed and its number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Progress {
    /// Dimensions of the network.
    pub(super) config: PredictorConfig,
    /// Settings of the run; another run's checkpoint is refused.
    pub(super) settings: TrainSettings,
    /// Numbers of training and validation examples.
    pub(super) num_examples: [usize; 2],
    /// Steps of the optimiser.
    pub(super) steps: u64,
    /// Curve so far.
    pub(super) epochs: Vec<EpochFigures>,
    /// The best epoch so far.
    pub(super) best_epoch: Option<u32>,
}

impl Progress {
    /// A run that has not begun.
    pub(super) fn start(
        config: PredictorConfig,
        settings: &TrainSettings,
        data: &TrainData,
    ) -> Self {
        Self {
            config,
            settings: settings.clone(),
            num_examples: [data.train.len(), data.val.len()],
            steps: 0,
            epochs: Vec::new(),
            best_epoch: None,
        }
    }
}

/// Writes a checkpoint: weights, best weights, optimiser, progress.
pub(super) fn write(
    progress: &Progress,
    learner: &Learner,
    best: &StateDict,
) -> Result<Vec<u8>, MlError> {
    let [means, squares] = learner.moments();
    let mut dict = StateDict::default();
    dict.extend("weight.", &learner.weights()?);
    dict.extend("best.", best);
    dict.extend("mean.", &means);
    dict.extend("square.", &squares);
    dict.to_bytes(KEY, progress)
}

/// Reads a checkpoint back and checks that it is one of this very run.
pub(super) fn read(
    bytes: &[u8],
    expected: &Progress,
) -> Result<(Progress, Learner, StateDict), MlError> {
    let (dict, progress) = StateDict::from_bytes::<Progress>(bytes, KEY)?;
    let same = progress.config == expected.config
        && progress.settings == expected.settings
        && progress.num_examples == expected.num_examples;
    if !same {
        let why = "this checkpoint belongs to other settings or other data: start the run anew";
        return Err(MlError::Weights(why.to_owned()));
    }
    let weight_decay = progress.settings.weight_decay;
    let mut learner = Learner::new(&progress.config, &dict.part("weight."), weight_decay)?;
    learner.set_moments(&[dict.part("mean."), dict.part("square.")])?;
    learner.optimiser.steps = progress.steps;
    let best = dict.part("best.");
    Ok((progress, learner, best))
}
