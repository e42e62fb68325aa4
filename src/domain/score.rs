//! Opinion scores, the scale they stand on, and the five words.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The scale on which opinion scores of a dataset stand. A score is never shown without it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct OpinionScale {
    /// Lowest score that a rater can give.
    pub min: f64,
    /// Highest score that a rater can give.
    pub max: f64,
}

impl OpinionScale {
    /// The 0-5 scale of AGIQA-3K, AIGIQA-20K and the published predictors.
    pub const ZERO_TO_FIVE: Self = Self { min: 0.0, max: 5.0 };

    /// Where `value` stands on the scale, 0 at the lowest and 1 at the highest score, clamped.
    pub fn fraction(self, value: f64) -> f64 {
        ((value - self.min) / (self.max - self.min)).clamp(0.0, 1.0)
    }
}

impl fmt::Display for OpinionScale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.min, self.max)
    }
}

/// One of the five words of an absolute category rating, worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rating {
    /// Lowest fifth of the scale.
    Bad,
    /// Second fifth.
    Poor,
    /// Middle fifth.
    Fair,
    /// Fourth fifth.
    Good,
    /// Highest fifth, closed at the top.
    Excellent,
}

impl Rating {
    /// All five words, worst first: also the order in which a free answer is searched.
    pub const ALL: [Self; 5] = [
        Self::Bad,
        Self::Poor,
        Self::Fair,
        Self::Good,
        Self::Excellent,
    ];

    /// The word of a score: five equal parts of the scale, each closed below and open above,
    /// the last one closed (M3-AGIQA, section 4.1: MOS on 0-5 cut at 1, 2, 3, 4).
    pub fn of_score(score: f64, scale: OpinionScale) -> Self {
        let fifth = (score - scale.min) / (scale.max - scale.min) * 5.0;
        match fifth {
            f if f < 1.0 => Self::Bad,
            f if f < 2.0 => Self::Poor,
            f if f < 3.0 => Self::Fair,
            f if f < 4.0 => Self::Good,
            _ => Self::Excellent,
        }
    }

    /// The first of the five words that stands in a free answer, searched in the order of
    /// [`Rating::ALL`] as the published code does; `None` if the answer names none of them.
    pub fn in_answer(answer: &str) -> Option<Self> {
        let answer = answer.to_lowercase();
        Self::ALL
            .into_iter()
            .find(|rating| answer.contains(rating.word()))
    }

    /// The word itself.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Bad => "bad",
            Self::Poor => "poor",
            Self::Fair => "fair",
            Self::Good => "good",
            Self::Excellent => "excellent",
        }
    }
}

impl fmt::Display for Rating {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for Rating {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let word = text.trim().to_ascii_lowercase();
        Self::ALL
            .into_iter()
            .find(|rating| rating.word() == word)
            .ok_or_else(|| {
                format!("expected one of bad, poor, fair, good, excellent, got {text:?}")
            })
    }
}

/// Which part of a dataset an image belongs to, for one aspect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// Learned from.
    Train,
    /// Used to choose the best epoch, never learned from.
    Val,
    /// Only reported.
    Test,
}

impl Split {
    /// Every split in the order train, val, test.
    pub const ALL: [Self; 3] = [Self::Train, Self::Val, Self::Test];

    /// The lower-case name used in tables and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Val => "val",
            Self::Test => "test",
        }
    }
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Split {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim().to_ascii_lowercase().as_str() {
            "train" | "training" => Ok(Self::Train),
            "val" | "valid" | "validation" => Ok(Self::Val),
            "test" | "testing" => Ok(Self::Test),
            other => Err(format!("expected train, val or test, got {other:?}")),
        }
    }
}

/// A predicted mean opinion score of one image and aspect.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// The image that was scored.
    pub image: super::ImageId,
    /// The aspect that was scored.
    pub aspect: super::Aspect,
    /// The predicted MOS on the predictor's scale. Always finite.
    pub value: f64,
    /// The predictor that gave it; its card names scale, data and figures.
    pub predictor: super::PredictorId,
    /// The description (message 2) that the predictor read.
    pub description: Option<super::DescriptionId>,
    /// What made it, and when.
    pub made: super::Provenance,
}

/// Somebody asked the work to stop. Cancelling is an ordinary error that travels up to the worker's loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("stopped on request")]
pub struct Interrupted;
