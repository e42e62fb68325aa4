//! How well models speak and predictors score on one list, model beside model.

use serde::{Deserialize, Serialize};

use super::{Aspect, Figures, ModelTag, Origin, PredictorId, Split};

/// How well the words that a model answered with follow the opinion scores. Undefined figures are `None`, with the
/// reason.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct WordFigures {
    /// Pictures with an answer and an opinion score.
    pub n: usize,
    /// Answers without one of the five words among them: these count as wrong.
    pub without_word: usize,
    /// Share of exact hits.
    pub accuracy: Option<f64>,
    /// Share of words at most one step away from the true one.
    pub rough_accuracy: Option<f64>,
    /// Precision by word, weighted with the pictures that truly have it.
    pub precision: Option<f64>,
    /// F1 by word, weighted likewise.
    pub f1: Option<f64>,
    /// Why a figure is undefined.
    pub reason: Option<String>,
}

/// One model that has described pictures, with what can be said of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Speaker {
    /// Its name: a model of this program, or "published".
    pub name: String,
    /// Whether the program's own model said it, or a published system.
    pub origin: Origin,
    /// The model; `None` for published descriptions.
    pub model: Option<ModelTag>,
    /// Wording that it was asked in; `None` for published descriptions.
    pub preset: Option<String>,
    /// Pictures of the list that it has described.
    pub num_described: usize,
    /// Its words.
    pub words: WordFigures,
    /// The predictor whose scores read its descriptions: the one in use if it is among them, else the newest.
    pub predictor: Option<PredictorId>,
    /// Name of that predictor.
    pub predictor_name: Option<String>,
    /// Its scores.
    pub scores: Figures,
    /// Seconds since 1970-01-01 UTC of its newest description.
    pub unix_time: i64,
}

/// Everything that can be said of one aspect on one list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// What was described and rated.
    pub aspect: Aspect,
    /// The list; `None` means all pictures.
    pub split: Option<Split>,
    /// Pictures of the list with a file and an opinion score.
    pub num_images: usize,
    /// Whose opinions are the truth.
    pub truth: String,
    /// Models that have described any of them, in the order of their newest description.
    pub speakers: Vec<Speaker>,
}
