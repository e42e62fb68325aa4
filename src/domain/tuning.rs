//! What the user chooses for the fine-tuning of a local model, and what a run of it is.
//!
//! **Source** arXiv 2502.13763, section 3 (`LoRA` on the vision encoder, the language model frozen) and section 4
//! (learning rate, steps); strawhatboy/M3-AGIQA at 2f76702 (`LoRA` on the language model's attention, vision tower and
//! resampler whole); `LoRA`: Hu et al. 2021, arXiv 2106.09685.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Aspect, MemoryNeed, ModelTag, RunStatus};

/// Which parts of a model are trained, by a name that every backbone has its own patterns for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TunePreset {
    /// `LoRA` of a low rank on the language model's attention; pictures are looked at by the model as it is.
    #[default]
    Light,
    /// The paper's text: `LoRA` on the vision encoder's attention, the language model frozen.
    Paper,
    /// The published code: `LoRA` on the language model's attention; vision tower, resampler (or projector) and token
    /// embedding are trained whole.
    Published,
}

impl TunePreset {
    /// All of them, the cheapest first.
    pub const ALL: [Self; 3] = [Self::Light, Self::Paper, Self::Published];

    /// The word on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Light => "light",
            Self::Paper => "paper",
            Self::Published => "published",
        }
    }

    /// One sentence for people.
    pub const fn summary(self) -> &'static str {
        match self {
            Self::Light => {
                "LoRA of a low rank on the language model's attention; the vision tower stays as it is"
            }
            Self::Paper => {
                "LoRA on the vision tower's attention, the language model frozen, as the paper says"
            }
            Self::Published => {
                "LoRA on the language model's attention; vision tower, resampler and token embedding whole, as the \
                 published code does it"
            }
        }
    }
}

impl fmt::Display for TunePreset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for TunePreset {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let word = text.trim().to_ascii_lowercase();
        let mut all = Self::ALL.into_iter();
        all.find(|preset| preset.name() == word)
            .ok_or_else(|| format!("expected light, paper or published, got {text:?}"))
    }
}

/// Everything that the user chose for a fine-tuning.
///
/// A step learns from `batch_size * accumulation` conversations; its loss is the mean over all of their target tokens,
/// so that only the product counts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TuneSettings {
    /// Name of what comes out: a folder of this name among the program's models.
    pub name: String,
    /// Base: a folder, or its name among the program's models; `None`: the model that the project uses.
    #[serde(default)]
    pub base: Option<String>,
    /// Aspects whose conversations are learned from.
    pub aspects: Vec<Aspect>,
    /// Only descriptions of this teacher (the name of its model, or the name of an imported file); `None`: all.
    #[serde(default)]
    pub teacher: Option<String>,
    /// Which parts are trained.
    pub preset: TunePreset,
    /// A regular expression for whole names of modules that get `LoRA`; `None`: the preset's own for this backbone.
    #[serde(default)]
    pub target: Option<String>,
    /// Modules that are trained whole, by name or last part of a name; `None`: the preset's own for this backbone.
    #[serde(default)]
    pub whole: Option<Vec<String>>,
    /// Rank of the changes.
    pub rank: usize,
    /// Numerator of their scale, `alpha / rank`.
    pub alpha: f64,
    /// Part of what enters a change that is left out while learning (0-1).
    pub dropout: f64,
    /// Peak learning rate of `AdamW`.
    pub learning_rate: f64,
    /// Part of all steps over which the rate rises (0-1); it then falls as a cosine.
    pub warmup: f64,
    /// Decoupled weight decay; norms and biases are spared.
    pub weight_decay: f64,
    /// Decay of `AdamW`'s second moment.
    pub beta2: f64,
    /// Conversations that go through the model before the next accumulation.
    pub batch_size: usize,
    /// Batches a step.
    pub accumulation: usize,
    /// Largest norm of a step's gradient over everything that is trained; `None`: no limit.
    pub max_norm: Option<f64>,
    /// Passes over the conversations.
    pub epochs: u32,
    /// Tokens after which a conversation is cut.
    pub max_len: usize,
    /// Part of the training images, cut by prompt, that chooses the best epoch (0-1), where the dataset has no
    /// validation part of its own.
    pub val_fraction: f64,
    /// Seed of the initial changes, the validation cut, the order of the data and what is left out.
    pub seed: u64,
}

impl TuneSettings {
    /// A preset's usual settings.
    pub fn new(name: &str, preset: TunePreset, aspects: Vec<Aspect>) -> Self {
        let light = Self {
            name: name.to_owned(),
            base: None,
            aspects,
            teacher: None,
            preset,
            target: None,
            whole: None,
            rank: 8,
            alpha: 16.0,
            dropout: 0.05,
            learning_rate: 2e-4,
            warmup: 0.03,
            weight_decay: 0.0,
            beta2: 0.999,
            batch_size: 1,
            accumulation: 8,
            max_norm: Some(1.0),
            epochs: 3,
            max_len: 512,
            val_fraction: 0.05,
            seed: 42,
        };
        match preset {
            TunePreset::Light => light,
            // arXiv 2502.13763, section 4, and the published script: rank and alpha 64, warm-up of 1 %, beta2 0.95,
            // weight decay 0.1; the paper's rate and batch, and the script's.
            TunePreset::Paper => Self {
                learning_rate: 2e-6,
                accumulation: 2,
                ..light.with_published()
            },
            TunePreset::Published => Self {
                learning_rate: 1e-6,
                accumulation: 1,
                ..light.with_published()
            },
        }
    }

    /// What the paper and its code have in common.
    fn with_published(self) -> Self {
        Self {
            rank: 64,
            alpha: 64.0,
            warmup: 0.01,
            weight_decay: 0.1,
            beta2: 0.95,
            ..self
        }
    }

    /// Conversations a step learns from.
    pub const fn step_size(&self) -> usize {
        self.batch_size * self.accumulation
    }

    /// What does not fit together, each with what to do; empty where all does.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let mut fault = |is_wrong: bool, words: &str| {
            if is_wrong {
                faults.push(words.to_owned());
            }
        };
        let is_part = |part: f64| (0.0..1.0).contains(&part);
        fault(
            !is_folder_name(&self.name),
            "The result becomes a folder: name it with letters, digits, dots, dashes and underscores",
        );
        fault(
            self.aspects.is_empty(),
            "Choose at least one aspect to learn",
        );
        fault(
            self.rank == 0 || self.rank > MAX_RANK,
            "The rank must be between 1 and 1024",
        );
        fault(
            !(self.alpha.is_finite() && self.alpha > 0.0),
            "Alpha must be above 0; twice the rank is usual",
        );
        fault(
            !is_part(self.dropout),
            "Dropout must be at least 0 and below 1",
        );
        fault(
            !is_part(self.warmup),
            "The warm-up is a part of all steps: at least 0 and below 1",
        );
        fault(
            !(self.learning_rate.is_finite() && self.learning_rate > 0.0),
            "The learning rate must be above 0",
        );
        fault(
            !(self.weight_decay.is_finite() && self.weight_decay >= 0.0),
            "Weight decay must be at least 0",
        );
        fault(!is_part(self.beta2), "Beta2 must be at least 0 and below 1");
        fault(
            self.batch_size == 0 || self.accumulation == 0,
            "A step learns from at least one conversation: batch and accumulation must be at least 1",
        );
        fault(
            self.max_norm
                .is_some_and(|norm| norm.is_nan() || norm <= 0.0),
            "The largest gradient norm must be above 0; leave it out for no limit",
        );
        fault(self.epochs == 0, "Train for at least 1 epoch");
        fault(
            self.max_len < MIN_LEN,
            "Conversations must not be cut before token 32: take a larger limit",
        );
        fault(
            !(self.val_fraction > 0.0 && self.val_fraction < 1.0),
            "The validation part must be between 0 and 1: it chooses the epoch that is kept",
        );
        faults
    }
}

/// Highest rank: as wide as the vision towers themselves.
const MAX_RANK: usize = 1024;

/// Shortest limit of tokens that leaves anything to learn.
const MIN_LEN: usize = 32;

/// Whether a word can be the name of a folder everywhere, and of none but below its parent.
fn is_folder_name(name: &str) -> bool {
    let is_sign = |sign: char| sign.is_ascii_alphanumeric() || matches!(sign, '.' | '-' | '_');
    !name.is_empty() && name.len() <= 100 && !name.starts_with('.') && name.chars().all(is_sign)
}

/// A fine-tuning run is known by the name of what comes out.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TuneId(pub String);

impl fmt::Display for TuneId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A step of a fine-tuning, as it is shown live. Not on disk.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TuneStep {
    /// Step over the whole run, counted from 1.
    pub step: u64,
    /// Steps of the whole run.
    pub steps: u64,
    /// Epoch, counted from 1.
    pub epoch: u32,
    /// Cross entropy of this step's target tokens, in nats a token.
    pub loss: f64,
    /// Learning rate of this step.
    pub learning_rate: f64,
    /// Norm of the gradient before it was cut.
    pub grad_norm: f64,
    /// Tokens (of text and pictures) that went through the model a second, over the last steps; `None` until known.
    pub tokens_per_second: Option<f64>,
    /// Seconds left; `None` until known.
    pub seconds_left: Option<f64>,
}

/// Figures of the validation part, which is read behind the teacher's own descriptions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct TuneFigures {
    /// Conversations.
    pub n: usize,
    /// Cross entropy of their target tokens, in nats a token.
    pub loss: f64,
    /// Conversations with a rating word.
    pub num_words: usize,
    /// Share of them whose word is the most likely of the five, given messages 1 to 3 with the teacher's description;
    /// `None` where there are no words.
    pub word_accuracy: Option<f64>,
    /// The same with the words beside it counted as right.
    pub rough_accuracy: Option<f64>,
}

/// One point of the curves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TuneEpoch {
    /// Epoch, counted from 1; 0 is the base before any step.
    pub epoch: u32,
    /// Mean loss over the steps of this epoch; `None` for epoch 0.
    pub train_loss: Option<f64>,
    /// Figures of the validation part after it.
    pub val: TuneFigures,
    /// Seconds that it took.
    pub seconds: f64,
}

/// A fine-tuning run as it stands on disk.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TuneRun {
    /// Its name.
    pub id: TuneId,
    /// What was chosen.
    pub settings: TuneSettings,
    /// The model that is tuned.
    pub base: ModelTag,
    /// Path of the project whose conversations it learns from.
    pub project: String,
    /// Name of the wording (prompt preset) of its conversations.
    pub wording: String,
    /// Conversations to learn from and of the validation part.
    pub num_conversations: [usize; 2],
    /// Parameters that are trained.
    pub num_trained: u64,
    /// State: a run that is `Running` and that no job works on can be resumed.
    pub status: RunStatus,
    /// Steps that are in the last checkpoint.
    pub steps_done: u64,
    /// Steps of the whole run.
    pub steps: u64,
    /// Curve so far; epoch 0 first.
    pub epochs: Vec<TuneEpoch>,
    /// Epoch whose weights are kept; `None` before the first.
    pub best_epoch: Option<u32>,
    /// The adapter that came out.
    pub adapter: Option<String>,
    /// What was estimated before, in bytes.
    pub estimated: Option<TuneNeed>,
    /// Largest resident memory of the program while it ran, in bytes; `None` where the system does not tell.
    pub measured_bytes: Option<u64>,
    /// Seconds of work so far.
    pub seconds: f64,
    /// Seconds since 1970-01-01 UTC at the start.
    pub unix_time: i64,
}

impl TuneRun {
    /// Whether it can go on where it was cut off.
    pub const fn can_resume(&self) -> bool {
        matches!(self.status, RunStatus::Running)
    }

    /// Whether it could end here, with the best epoch so far.
    pub const fn can_take(&self) -> bool {
        self.can_resume() && self.best_epoch.is_some()
    }
}

/// Memory that a fine-tuning takes, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TuneNeed {
    /// The frozen weights, inputs of all layers (in `cache`), and the activations of the largest layer with their
    /// gradients.
    pub model: MemoryNeed,
    /// What is trained: weights in single precision, gradient, two moments, and the best epoch's copy.
    pub trained: u64,
    /// What is kept of layers beside that because there is room for it, so that they run once a step and not twice.
    #[serde(default)]
    pub kept: u64,
}

impl TuneNeed {
    /// The least that it goes with: all but what is kept for speed.
    pub const fn total(&self) -> u64 {
        self.model.total() + self.trained
    }

    /// The most that it takes on this machine as it is: pictures of fewer slices have less to be kept.
    pub const fn roomy(&self) -> u64 {
        self.total() + self.kept
    }
}

/// What a fine-tuning would be, told before it begins.
#[derive(Debug, Clone, PartialEq)]
pub struct TuneEstimate {
    /// What was asked.
    pub settings: TuneSettings,
    /// The model that would be tuned.
    pub base: ModelTag,
    /// Conversations to learn from and of the validation part.
    pub num_conversations: [usize; 2],
    /// Steps of the whole run.
    pub steps: u64,
    /// Parameters that would be trained.
    pub num_trained: u64,
    /// Form of the frozen weights, e.g. `bf16`.
    pub form: String,
    /// Memory that it would take.
    pub need: TuneNeed,
    /// Bytes free on the device; `None` where it does not tell.
    pub free: Option<u64>,
}

impl TuneEstimate {
    /// Whether it fits; a device that does not tell is taken at its word.
    pub fn fits(&self) -> bool {
        self.free.is_none_or(|free| self.need.total() <= free)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_fits_together() {
        for preset in TunePreset::ALL {
            let settings = TuneSettings::new("a-b_1.0", preset, vec![Aspect::Quality]);
            assert_eq!(settings.faults(), Vec::<String>::new());
            assert_eq!(preset.name().parse(), Ok(preset));
            let text = serde_json::to_string(&settings).unwrap();
            let again: TuneSettings = serde_json::from_str(&text).unwrap();
            assert_eq!(again, settings);
        }
    }

    #[test]
    fn what_does_not_fit_together_is_said() {
        let says = |change: &dyn Fn(&mut TuneSettings), word: &str| {
            let mut settings = TuneSettings::new("a", TunePreset::Light, vec![Aspect::Quality]);
            change(&mut settings);
            let faults = settings.faults();
            assert!(faults.len() == 1 && faults[0].contains(word), "{faults:?}");
        };
        says(&|s| s.name = "../a".to_owned(), "folder");
        says(&|s| s.name = String::new(), "folder");
        says(&|s| s.aspects.clear(), "aspect");
        says(&|s| s.rank = 0, "rank");
        says(&|s| s.alpha = f64::NAN, "Alpha");
        says(&|s| s.dropout = 1.0, "Dropout");
        says(&|s| s.warmup = -0.1, "warm-up");
        says(&|s| s.learning_rate = 0.0, "learning rate");
        says(&|s| s.weight_decay = -1.0, "decay");
        says(&|s| s.beta2 = 1.0, "Beta2");
        says(&|s| s.accumulation = 0, "at least one conversation");
        says(&|s| s.max_norm = Some(0.0), "norm");
        says(&|s| s.epochs = 0, "epoch");
        says(&|s| s.max_len = 10, "token 32");
        says(&|s| s.val_fraction = 0.0, "validation");
    }
}
