//! Models beyond those at hand: what is known to exist, what a hub offers, what is on its way, what was added.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Aspect, Fit, OpinionScale};

/// What a folder of files is to the program.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ModelKind {
    /// A multimodal model that describes by itself.
    #[default]
    Model,
    /// Changes to a model's weights, made by fine-tuning; needs its base.
    Adapter,
    /// A checkpoint that scores what a model says.
    Predictor,
}

impl ModelKind {
    /// Its word on screen.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Adapter => "adapter",
            Self::Predictor => "predictor",
        }
    }
}

/// What a model was made for and comes from, as far as it is told.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Purpose {
    /// The model that an adapter or a predictor belongs to: a name of the list of known models, or a repository.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// The aspect that it was tuned for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aspect: Option<Aspect>,
    /// The dataset that it learned from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dataset: Option<String>,
    /// The scale of the scores that it learned from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale: Option<OpinionScale>,
    /// Anything else worth knowing before it is trusted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl Purpose {
    /// "quality, AGIQA-3K, scale 0-5"; empty where nothing is told.
    pub fn words(&self) -> String {
        let aspect = self.aspect.map(|aspect| aspect.name().to_owned());
        let scale = self.scale.map(|scale| format!("scale {scale}"));
        let parts: Vec<String> = [aspect, self.dataset.clone(), scale]
            .into_iter()
            .flatten()
            .collect();
        parts.join(", ")
    }
}

/// A model that the program knows of and can fetch. Sizes are the hub's to tell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KnownModel {
    /// Short name, also that of its folder.
    pub name: String,
    /// What it is.
    #[serde(default)]
    pub kind: ModelKind,
    /// One sentence.
    pub summary: String,
    /// `owner/name` on the hub.
    pub repository: String,
    /// Patterns of the files that are needed; none means what a model usually needs.
    #[serde(default)]
    pub include: Vec<String>,
    /// Its licence, where it is known without asking.
    #[serde(default)]
    pub licence: Option<String>,
    /// What it was made for.
    #[serde(flatten)]
    pub purpose: Purpose,
}

/// What a hub answered when it was asked for a model: shown before anything is fetched.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Offer {
    /// What was asked for: a known name, or a repository.
    pub source: String,
    /// Name of its folder.
    pub name: String,
    /// What it is.
    pub kind: ModelKind,
    /// `owner/name`.
    pub repository: String,
    /// Commit that the files are taken from.
    pub commit: String,
    /// Licence as the hub says it, else as the program knows it.
    pub licence: Option<String>,
    /// Where people read about it, and accept its licence.
    pub page: String,
    /// Whether the hub gives it only to people who asked or accepted.
    pub is_gated: bool,
    /// Number of parameters, where the hub counted them.
    pub parameters: Option<u64>,
    /// Whether it fits here, told from its configuration; `None` for what is no model of a kind that the program runs.
    pub fit: Option<Fit>,
    /// Files that are needed.
    pub num_files: usize,
    /// Bytes of them; `None` where the hub does not tell.
    pub bytes: Option<u64>,
    /// Bytes of them that are on this machine already.
    pub present: u64,
    /// Bytes that are free where they go.
    pub free: Option<u64>,
    /// Where they go.
    pub folder: PathBuf,
}

impl Offer {
    /// Bytes that are to come; `None` where the hub does not tell.
    pub fn to_come(&self) -> Option<u64> {
        self.bytes.map(|bytes| bytes.saturating_sub(self.present))
    }

    /// Whether there is room for it, as far as that is known.
    pub fn has_room(&self) -> bool {
        !matches!((self.to_come(), self.free), (Some(bytes), Some(free)) if bytes > free)
    }
}

/// A download that is not whole: running, or cut off.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HalfDownload {
    /// What was asked for.
    pub source: String,
    /// Name of its folder.
    pub name: String,
    /// What it is.
    pub kind: ModelKind,
    /// `owner/name`.
    pub repository: String,
    /// Revision that was asked for.
    pub revision: String,
    /// The commit that the files here are of; `None` where that is not known, or they may be of several.
    #[serde(default)]
    pub commit: Option<String>,
    /// Patterns that were asked for.
    pub include: Vec<String>,
    /// Its licence, which was accepted.
    pub licence: Option<String>,
    /// Bytes in all; `None` where the hub does not tell.
    pub bytes: Option<u64>,
    /// Bytes on this machine.
    #[serde(default)]
    pub present: u64,
    /// Where they are.
    #[serde(default)]
    pub folder: PathBuf,
}

/// An adapter or a predictor among the program's models.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AddOn {
    /// What it is.
    pub kind: ModelKind,
    /// Its name.
    pub name: String,
    /// One sentence.
    pub summary: String,
    /// Where it came from.
    pub source: String,
    /// Its licence.
    pub licence: String,
    /// What it was made for.
    pub purpose: Purpose,
    /// Bytes on disk.
    pub bytes: u64,
    /// Where it is.
    pub folder: PathBuf,
    /// Why it cannot be used; `None` where nothing is wrong.
    pub problem: Option<String>,
}

/// Everything among the program's models beside whole models, and what could be fetched.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Shelf {
    /// Models that the program knows of.
    pub known: Vec<KnownModel>,
    /// Adapters and predictors that are here.
    pub add_ons: Vec<AddOn>,
    /// Downloads that are not whole.
    pub halves: Vec<HalfDownload>,
    /// Names of models of the list that are here, whole.
    pub here: Vec<String>,
    /// The server that is asked.
    pub host: String,
    /// Bytes of memory that are free now; `None` where the system does not tell.
    pub free_memory: Option<u64>,
}

/// How weights are held in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// 32 bits a weight.
    F32,
    /// 16 bits a weight.
    Half,
    /// Blocks of 32 weights: 8 bits each and a 16-bit scale.
    Q8,
    /// Blocks of 256 weights in 144 bytes.
    Q4,
}

impl Precision {
    /// From the most exact one to the smallest.
    pub const ALL: [Self; 4] = [Self::F32, Self::Half, Self::Q8, Self::Q4];

    /// Its word of `--dtype`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Half => "bf16",
            Self::Q8 => "q8_0",
            Self::Q4 => "q4_k",
        }
    }

    /// Bytes of so many weights, by the block layouts of GGUF: 32 weights in 34 bytes (`q8_0`), 256 in 144 (`q4_k`).
    pub const fn bytes(self, weights: u64) -> u64 {
        match self {
            Self::F32 => weights * 4,
            Self::Half => weights * 2,
            Self::Q8 => weights.div_ceil(32) * 34,
            Self::Q4 => weights.div_ceil(256) * 144,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_purpose_is_told_as_far_as_it_is_known() {
        let purpose = Purpose {
            aspect: Some(Aspect::Quality),
            dataset: Some("AGIQA-3K".to_owned()),
            scale: Some(OpinionScale::ZERO_TO_FIVE),
            ..Purpose::default()
        };
        assert_eq!(purpose.words(), "quality, AGIQA-3K, scale 0-5");
        assert_eq!(Purpose::default().words(), "");
    }

    #[test]
    fn eight_billion_weights_have_the_sizes_that_they_are_known_for() {
        let mb = |precision: Precision| precision.bytes(8_000_000_000) / 1_000_000;
        assert_eq!(Precision::ALL.map(mb), [32_000, 16_000, 8_500, 4_500]);
    }
}
