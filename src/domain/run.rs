//! Training runs and the predictors that come out of them.

use serde::{Deserialize, Serialize};

use super::{Aspect, ModelTag, OpinionScale, TrainSettings};

/// A training run's number in the project file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RunId(pub i64);

/// A predictor's number in the project file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PredictorId(pub i64);

/// How well predictions follow the ground truth. Undefined figures are `None`, with the reason.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Number of pictures behind the figures.
    pub n: usize,
    /// Spearman rank correlation.
    pub srcc: Option<f64>,
    /// Pearson correlation of the raw predictions.
    pub plcc: Option<f64>,
    /// Pearson correlation after the monotone four-parameter logistic fit.
    pub plcc_fit4: Option<f64>,
    /// Pearson correlation after the five-parameter logistic fit.
    pub plcc_fit5: Option<f64>,
    /// Kendall's tau-b.
    pub krcc: Option<f64>,
    /// Root mean square error of the raw predictions, on the scale of the MOS.
    pub rmse: Option<f64>,
    /// Why a figure is undefined ("no correlation: all scores equal").
    pub reason: Option<String>,
}

/// What a predictor is, and what may be expected of it. Shown beside every score.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PredictorCard {
    /// Its number; 0 for one that is not in a project (embedded, or a file).
    pub id: PredictorId,
    /// A name for people.
    pub name: String,
    /// What it scores.
    pub aspect: Aspect,
    /// The scale its scores stand on.
    pub scale: OpinionScale,
    /// Dataset it learned from, in words.
    pub dataset: String,
    /// Split it learned from, in words.
    pub split: String,
    /// The MLLM whose features it reads: no other's are accepted.
    pub model: ModelTag,
    /// The prompt preset of those features.
    pub preset: String,
    /// Head and pooling in words, e.g. "xLSTM m,s,m,m, mean pooling".
    pub head: String,
    /// Figures on the validation part.
    pub val: Option<Figures>,
    /// Figures on the test list.
    pub test: Option<Figures>,
    /// The run that made it.
    pub run: Option<RunId>,
}

/// One point of the curves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EpochFigures {
    /// Epoch, counted from 1.
    pub epoch: u32,
    /// Mean squared error over the training images of this epoch.
    pub train_loss: f64,
    /// Figures on the validation part after this epoch.
    pub val: Figures,
    /// Mean squared error on the validation part.
    pub val_loss: f64,
    /// Seconds that the epoch took.
    pub seconds: f64,
}

/// How a run ended, or that it has not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum RunStatus {
    /// Started and not finished: going on, or cut off and ready to resume.
    Running,
    /// Finished.
    Done,
    /// Stopped by the user; the best epoch so far was kept.
    Stopped,
    /// Ended by an error.
    Failed(String),
}

/// One training run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// Its number.
    pub id: RunId,
    /// What was chosen.
    pub settings: TrainSettings,
    /// The MLLM whose features were learned from.
    pub model: ModelTag,
    /// Prompt preset of the features.
    pub preset: String,
    /// Numbers of training, validation and test images.
    pub num_images: [usize; 3],
    /// State.
    pub status: RunStatus,
    /// Curve so far.
    pub epochs: Vec<EpochFigures>,
    /// Epoch whose weights are kept.
    pub best_epoch: Option<u32>,
    /// The predictor in use before this run, to go back to.
    pub previous: Option<PredictorId>,
    /// The predictor that came out.
    pub predictor: Option<PredictorId>,
    /// Test figures of the predictor in use before, on the same images.
    pub test_before: Option<Figures>,
    /// Test figures of the new predictor.
    pub test_after: Option<Figures>,
    /// Seconds since 1970-01-01 UTC at the start.
    pub unix_time: i64,
}
