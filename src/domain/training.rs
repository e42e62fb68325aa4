//! What the user chooses for a training run: the network, what it learns from, and how.
//!
//! **Source** arXiv 2502.13763, section 4 (heads, poolings, protocol); strawhatboy/M3-AGIQA at 2f76702.

use serde::{Deserialize, Serialize};

use super::{Aspect, Descriptions, ImageRecord, Reading, StudyId};

/// The network that turns a conversation's hidden states into one score.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeadKind {
    /// Four xLSTM blocks (m, s, m, m): the paper's.
    #[default]
    Xlstm,
    /// Bidirectional LSTM.
    Lstm,
    /// Bidirectional GRU.
    Gru,
    /// Transformer encoder.
    Transformer,
    /// Mamba2 layers.
    Mamba2,
    /// Two linear layers on the mean over the tokens.
    Mlp,
}

impl HeadKind {
    /// All of them, the paper's first.
    pub const ALL: [Self; 6] = [
        Self::Xlstm,
        Self::Lstm,
        Self::Gru,
        Self::Transformer,
        Self::Mamba2,
        Self::Mlp,
    ];

    /// Its name as the field writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Xlstm => "xLSTM",
            Self::Lstm => "LSTM",
            Self::Gru => "GRU",
            Self::Transformer => "Transformer",
            Self::Mamba2 => "Mamba2",
            Self::Mlp => "MLP",
        }
    }

    /// The width at which a predictor of the embedded model's hidden states has as many weights as an xLSTM of width 96,
    /// within a twentieth.
    pub const fn usual_dim(self) -> usize {
        match self {
            Self::Xlstm | Self::Mamba2 => 96,
            Self::Lstm => 52,
            Self::Gru => 88,
            Self::Transformer => 60,
            Self::Mlp => 1440,
        }
    }
}

/// How a sequence becomes one vector. Padding takes part in none of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pooling {
    /// Mean over the tokens: the paper's.
    #[default]
    Mean,
    /// Largest value of each channel.
    Max,
    /// The last token.
    Last,
    /// Mean of the first and the last token.
    FirstLast,
}

impl Pooling {
    /// All of them, the paper's first.
    pub const ALL: [Self; 4] = [Self::Mean, Self::Max, Self::Last, Self::FirstLast];

    /// In words, e.g. "mean".
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mean => "mean",
            Self::Max => "max",
            Self::Last => "last",
            Self::FirstLast => "first and last",
        }
    }
}

/// What the projection reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeadInput {
    /// Logits over the vocabulary, through the folded product of projection and `lm_head`: the paper's.
    Logits,
    /// Last hidden states themselves (`w/o lm_head`).
    #[default]
    Hidden,
}

impl HeadInput {
    /// Both, the paper's first.
    pub const ALL: [Self; 2] = [Self::Logits, Self::Hidden];

    /// In words, e.g. "hidden states".
    pub const fn name(self) -> &'static str {
        match self {
            Self::Logits => "logits",
            Self::Hidden => "hidden states",
        }
    }
}

/// How the projection of logits is trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Projection {
    /// The product `P W` of width times hidden values itself.
    #[default]
    Folded,
    /// `P`, of width times vocabulary values, as published.
    Full,
}

impl Projection {
    /// Both, the one for retraining first.
    pub const ALL: [Self; 2] = [Self::Folded, Self::Full];

    /// In words, e.g. "folded".
    pub const fn name(self) -> &'static str {
        match self {
            Self::Folded => "folded",
            Self::Full => "full",
        }
    }
}

/// A head with its dimensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct HeadSettings {
    /// The network.
    pub kind: HeadKind,
    /// Its width; 512 as published.
    pub dim: usize,
    /// From a sequence to one vector.
    pub pooling: Pooling,
    /// What it reads.
    pub input: HeadInput,
    /// How the projection is trained, where it reads logits.
    pub projection: Projection,
    /// Rebuild the published code's slips instead of what it means: a Transformer that attends over a length of 1,
    /// Mamba2 layers that share one set of weights, and LSTM and GRU that always pool first and last.
    pub published_quirks: bool,
}

impl HeadSettings {
    /// A head of this kind at its usual width, as the published code means it.
    pub const fn of(kind: HeadKind) -> Self {
        Self {
            kind,
            dim: kind.usual_dim(),
            pooling: Pooling::Mean,
            input: HeadInput::Hidden,
            projection: Projection::Folded,
            published_quirks: false,
        }
    }

    /// The same choices for another kind of head. A usual width becomes the other's, so that the number of weights
    /// stays; a width of choice stays as it is.
    pub const fn with_kind(self, kind: HeadKind) -> Self {
        let dim = if self.dim == self.kind.usual_dim() {
            kind.usual_dim()
        } else {
            self.dim
        };
        Self { kind, dim, ..self }
    }
}

impl Default for HeadSettings {
    /// An xLSTM of a few hundred thousand weights, which suit a few thousand images.
    fn default() -> Self {
        Self::of(HeadKind::Xlstm)
    }
}

/// What a step makes smaller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Loss {
    /// Mean squared error: the paper's.
    #[default]
    Mse,
    /// Mean absolute error.
    Mae,
    /// Huber's, quadratic near 0 and linear beyond.
    Huber,
    /// Fidelity of the order of pairs.
    Fidelity,
    /// Hinge on the order of pairs.
    Margin,
    /// Cross entropy of the order of pairs (Burges et al. 2005).
    RankNet,
    /// Four parts mean squared error and one part [`Loss::Margin`] with a margin of 0.001.
    MarginMse,
    /// Four parts mean squared error and one part [`Loss::RankNet`].
    RankNetMse,
}

impl Loss {
    /// All of them, the paper's first.
    pub const ALL: [Self; 8] = [
        Self::Mse,
        Self::Mae,
        Self::Huber,
        Self::Fidelity,
        Self::Margin,
        Self::RankNet,
        Self::MarginMse,
        Self::RankNetMse,
    ];

    /// In words, e.g. "mean squared error".
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mse => "mean squared error",
            Self::Mae => "mean absolute error",
            Self::Huber => "Huber",
            Self::Fidelity => "fidelity of pairs",
            Self::Margin => "margin of pairs",
            Self::RankNet => "RankNet",
            Self::MarginMse => "squared error and margin",
            Self::RankNetMse => "squared error and RankNet",
        }
    }

    /// Whether it compares images of a step with each other, so that a step of one image teaches nothing of it.
    pub const fn is_of_pairs(self) -> bool {
        matches!(
            self,
            Self::Fidelity | Self::Margin | Self::RankNet | Self::MarginMse | Self::RankNetMse
        )
    }
}

/// How the learning rate moves over a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Schedule {
    /// Rises in a line, then falls as a cosine.
    #[default]
    Cosine,
    /// Stays the same: the paper's.
    Constant,
}

impl Schedule {
    /// Both, the usual one first.
    pub const ALL: [Self; 2] = [Self::Cosine, Self::Constant];

    /// In words, e.g. "cosine".
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cosine => "cosine",
            Self::Constant => "constant",
        }
    }
}

/// What chooses the epoch that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Selection {
    /// A part of the training images, cut by prompt; the test list is only reported.
    #[default]
    Validation,
    /// The test list, as the published code does it: figures on it are then too good, and are marked so.
    TestList,
}

impl Selection {
    /// Both, the sound one first.
    pub const ALL: [Self; 2] = [Self::Validation, Self::TestList];

    /// In words, e.g. "validation part".
    pub const fn name(self) -> &'static str {
        match self {
            Self::Validation => "validation part",
            Self::TestList => "test list",
        }
    }
}

/// One run of a cross-validation: the training images are cut by prompt into `of` parts of similar size; part `number`
/// is the validation part and the others are learned from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Fold {
    /// The part, counted from 0.
    pub number: u32,
    /// How many parts there are.
    pub of: u32,
}

/// Which of the training images are learned from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LearnFrom {
    /// Only pictures of these generators; empty means all.
    pub generators: Vec<String>,
    /// Only pictures with this tag.
    pub tag: Option<String>,
    /// Only pictures that this study's raters have rated, with its MOS as the truth.
    pub study: Option<StudyId>,
}

impl LearnFrom {
    /// Whether a training image is one of those. Which pictures a study's raters rated stands in their truth.
    pub fn takes(&self, record: &ImageRecord) -> bool {
        let is_of_generator = || {
            let generator = record.generator.as_ref();
            generator.is_some_and(|name| self.generators.contains(name))
        };
        let has_tag = |tag| record.tags.contains(tag);
        (self.generators.is_empty() || is_of_generator()) && self.tag.as_ref().is_none_or(has_tag)
    }

    /// In words for a card, e.g. "of alpha and beta, with the tag odd"; empty where all are learned from.
    pub fn words(&self) -> String {
        let mut parts = Vec::new();
        if let Some((last, rest)) = self.generators.split_last() {
            parts.push(match rest.is_empty() {
                true => format!("of {last}"),
                false => format!("of {} and {last}", rest.join(", ")),
            });
        }
        if let Some(tag) = &self.tag {
            parts.push(format!("with the tag {tag}"));
        }
        parts.join(", ")
    }
}

/// Everything that the user chose for a training run. Its fields have defaults, so that runs of former versions read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainSettings {
    /// The aspect to learn.
    pub aspect: Aspect,
    /// Passes over the training images at most.
    pub epochs: u32,
    /// Images per step.
    pub batch_size: usize,
    /// Peak learning rate of AdamW.
    pub learning_rate: f64,
    /// Decoupled weight decay.
    pub weight_decay: f64,
    /// Part of the training images, cut by prompt, that chooses the best epoch (0-1).
    pub val_fraction: f64,
    /// Seed of the initial weights, the validation cut and the order of the data.
    pub seed: u64,
    /// Whose descriptions the features are taken from.
    #[serde(default)]
    pub descriptions: Descriptions,
    /// Which messages are read.
    #[serde(default)]
    pub reading: Reading,
    /// The network.
    #[serde(default)]
    pub head: HeadSettings,
    /// What a step makes smaller.
    #[serde(default)]
    pub loss: Loss,
    /// How the learning rate moves.
    #[serde(default)]
    pub schedule: Schedule,
    /// Whether weight decay reaches norms, biases and gates as well, as in the published code and in former versions.
    #[serde(default = "TrainSettings::formerly")]
    pub decays_all: bool,
    /// Largest norm of a step's gradient; `None`: no limit.
    #[serde(default = "TrainSettings::usual_max_norm")]
    pub max_norm: Option<f64>,
    /// Stop after this many epochs without a better one; `None`: never.
    #[serde(default)]
    pub patience: Option<u32>,
    /// What chooses the epoch that is kept.
    #[serde(default)]
    pub selection: Selection,
    /// Which training images.
    #[serde(default)]
    pub learn_from: LearnFrom,
    /// Which run of a cross-validation; `None`: a run by itself, whose predictor is taken into use.
    #[serde(default)]
    pub fold: Option<Fold>,
}

impl TrainSettings {
    /// Epochs without a better one after which a run ends: on AGIQA-3K the best of them came within the first three,
    /// smaller datasets need more passes (`docs/EXPERIMENTS.md`).
    pub const USUAL_PATIENCE: u32 = 5;

    /// Settings that suit features of the embedded model and a few thousand images.
    pub fn new(aspect: Aspect) -> Self {
        Self {
            aspect,
            epochs: 20,
            batch_size: 16,
            learning_rate: 1e-3,
            weight_decay: 0.01,
            val_fraction: 0.1,
            seed: 42,
            descriptions: Descriptions::Local,
            reading: Reading::default(),
            head: HeadSettings::default(),
            loss: Loss::Mse,
            schedule: Schedule::Cosine,
            decays_all: false,
            max_norm: Self::usual_max_norm(),
            patience: Some(Self::USUAL_PATIENCE),
            selection: Selection::Validation,
            learn_from: LearnFrom::default(),
            fold: None,
        }
    }

    /// The runs of a cross-validation with these settings: one for each of `num_folds` parts.
    pub fn folds(&self, num_folds: u32) -> Vec<Self> {
        (0..num_folds)
            .map(|number| Self {
                fold: Some(Fold {
                    number,
                    of: num_folds,
                }),
                ..self.clone()
            })
            .collect()
    }

    /// The published protocol on AGIQA-3K: a head of width 512 that reads logits, one image a step, a constant rate, and
    /// the best epoch chosen on the test list.
    ///
    /// **Source** strawhatboy/M3-AGIQA at 2f76702, configuration of AGIQA-3K.
    pub fn published(aspect: Aspect) -> Self {
        Self {
            epochs: 20,
            batch_size: 1,
            learning_rate: 1e-5,
            weight_decay: 1e-5,
            head: HeadSettings {
                dim: 512,
                input: HeadInput::Logits,
                projection: Projection::Full,
                ..HeadSettings::default()
            },
            loss: Loss::Mse,
            schedule: Schedule::Constant,
            decays_all: true,
            max_norm: None,
            patience: None,
            selection: Selection::TestList,
            ..Self::new(aspect)
        }
    }

    /// The published protocol with the epochs and the rate that its code has for this dataset: 60 of 2e-5 for
    /// AIGCIQA2023, 30 of 2e-5 for AIGIQA-20K, and those of AGIQA-3K for any other.
    ///
    /// **Source** strawhatboy/M3-AGIQA at 2f76702, the three configurations.
    pub fn published_on(aspect: Aspect, dataset: &str) -> Self {
        let dataset = dataset.to_lowercase();
        let usual = Self::published(aspect);
        let epochs = if dataset.contains("2023") {
            60
        } else if dataset.contains("20k") {
            30
        } else {
            return usual;
        };
        Self {
            epochs,
            learning_rate: 2e-5,
            ..usual
        }
    }

    const fn formerly() -> bool {
        true
    }

    #[expect(
        clippy::unnecessary_wraps,
        reason = "the default of an optional field: runs of former versions had this limit"
    )]
    const fn usual_max_norm() -> Option<f64> {
        Some(1.0)
    }
}
