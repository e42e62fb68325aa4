//! Everything that the next step of a run needs, as one block of bytes.

use serde::Deserialize;
use serde::Serialize;

use super::FullProjection;
use super::TrainData;
use super::learner::Learner;
use crate::domain::EpochFigures;
use crate::domain::TrainSettings;
use crate::ml::MlError;
use crate::ml::network::PredictorConfig;
use crate::ml::state_dict::StateDict;

/// Key of the document in the metadata.
const KEY: &str = "checkpoint";

/// A run after some of its steps. Order and batches of an epoch, and what dropout leaves out in a step, follow from the
/// seed and the numbers of epoch and step: there is no other random state.
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
    /// How far the epoch after those is.
    #[serde(default)]
    pub(super) within: Within,
    /// Training loss, validation loss and validation SRCC of each epoch to the bit: reading a number back from its digits
    /// may be off in the last one, which would decide ties between epochs otherwise.
    #[serde(default)]
    exact: Vec<[u64; 3]>,
}

/// An epoch that is not over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Within {
    /// Steps taken.
    pub(super) steps: usize,
    /// Bits of the sum of the losses, each times its number of images.
    pub(super) sum: u64,
    /// Images seen.
    pub(super) count: usize,
    /// Seconds spent.
    pub(super) seconds: f64,
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
            within: Within::default(),
            exact: Vec::new(),
        }
    }

    /// A copy to be written down.
    fn written(&self) -> Self {
        let exact = self.epochs.iter().map(|epoch| {
            let srcc = epoch.val.srcc.unwrap_or(f64::NAN);
            [epoch.train_loss, epoch.val_loss, srcc].map(f64::to_bits)
        });
        Self {
            exact: exact.collect(),
            ..self.clone()
        }
    }

    /// Puts the numbers of the curve back as they were.
    fn restore(&mut self) {
        for (epoch, bits) in self.epochs.iter_mut().zip(self.exact.drain(..)) {
            let [train_loss, val_loss, srcc] = bits.map(f64::from_bits);
            (epoch.train_loss, epoch.val_loss) = (train_loss, val_loss);
            epoch.val.srcc = epoch.val.srcc.map(|_| srcc);
        }
    }
}

/// Writes a checkpoint: weights, best weights, optimiser, progress.
pub(super) fn write(
    progress: &Progress,
    learner: &Learner,
    best: &StateDict,
) -> Result<Vec<u8>, MlError> {
    let mut dict = StateDict::default();
    dict.extend("weight.", &learner.weights()?);
    dict.extend("best.", best);
    learner.write_state(&mut dict);
    dict.to_bytes(KEY, &progress.written())
}

/// Reads a checkpoint back and checks that it is one of this very run.
pub(super) fn read(
    bytes: &[u8],
    expected: &Progress,
    full: Option<FullProjection>,
) -> Result<(Progress, Learner, StateDict), MlError> {
    let (dict, mut progress) = StateDict::from_bytes::<Progress>(bytes, KEY)?;
    progress.restore();
    let same = progress.config == expected.config
        && progress.settings == expected.settings
        && progress.num_examples == expected.num_examples;
    if !same {
        let why = "this checkpoint belongs to other settings or other data: start the run anew";
        return Err(MlError::Weights(why.to_owned()));
    }
    let weights = dict.part("weight.");
    let mut learner = Learner::new(&progress.config, &weights, &progress.settings, full)?;
    learner.read_state(&dict)?;
    learner.optimiser.steps = progress.steps;
    let best = dict.part("best.");
    Ok((progress, learner, best))
}
