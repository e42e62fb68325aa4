//! Which images are shown, described or exported, and in which order.

use serde::{Deserialize, Serialize};

use super::{Aspect, Split};

/// Conditions that all have to hold. The default lets everything through.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Filter {
    /// Words that all have to stand in prompt or file name, case ignored.
    pub search: String,
    /// The aspect that split, scores, errors and descriptions are about; `None` means quality.
    pub aspect: Option<Aspect>,
    /// In this split of the aspect.
    pub split: Option<Split>,
    /// Made by this generator.
    pub generator: Option<String>,
    /// Carrying this tag.
    pub tag: Option<String>,
    /// Ground-truth MOS within this range, ends included.
    pub mos_range: Option<[f64; 2]>,
    /// Predicted score within this range, ends included.
    pub score_range: Option<[f64; 2]>,
    /// Prediction minus ground truth within this range, ends included.
    pub error_range: Option<[f64; 2]>,
    /// With (`true`) or without (`false`) a readable file.
    pub has_file: Option<bool>,
    /// With or without a description of the local model.
    pub has_description: Option<bool>,
    /// With or without a score.
    pub has_score: Option<bool>,
}

/// What the order goes by. Images that lack the value come last.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum SortKey {
    /// File path.
    #[default]
    Path,
    /// Prompt text.
    Prompt,
    /// Ground-truth MOS of an aspect.
    Mos(Aspect),
    /// Predicted score of an aspect.
    Score(Aspect),
    /// Absolute difference of prediction and truth.
    Error(Aspect),
}
