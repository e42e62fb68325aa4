//! What is said about an image: the two-round conversation, its wording, and descriptions with their origin.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Aspect, ImageId, ModelTag, Rating};

/// A description's number in the project file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DescriptionId(pub i64);

/// Who wrote a description.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// The local model of this program.
    Local,
    /// A teacher that may have been shown the MOS: never text to score a test image from.
    Teacher,
    /// The fine-tuned model of a published system (`response_0` of its result files).
    Published,
}

impl Origin {
    /// Every origin, in display order.
    pub const ALL: [Self; 3] = [Self::Local, Self::Published, Self::Teacher];

    /// The word on its chip and in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Teacher => "teacher",
            Self::Published => "published",
        }
    }
}

/// Whose descriptions are read where features are taken, scores predicted and predictors trained.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Descriptions {
    /// The local model's own; made first where they are lacking.
    #[default]
    Local,
    /// Those that came with the dataset from a fine-tuned model ([`Origin::Published`]).
    Published,
}

impl Descriptions {
    /// The origin that is read. A teacher's is none of them: it may have been shown the score.
    pub const fn origin(self) -> Origin {
        match self {
            Self::Local => Origin::Local,
            Self::Published => Origin::Published,
        }
    }

    /// The word on the command line.
    pub const fn name(self) -> &'static str {
        self.origin().name()
    }
}

impl FromStr for Descriptions {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim().to_ascii_lowercase().as_str() {
            "local" => Ok(Self::Local),
            "published" => Ok(Self::Published),
            other => Err(format!("expected local or published, got {other:?}")),
        }
    }
}

/// What made a result: enough to make it again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// The model, where one made it.
    pub model: Option<ModelTag>,
    /// Name of the prompt preset.
    pub preset: Option<String>,
    /// Settings as one JSON object (decoding, sequence limit, ...).
    pub settings: serde_json::Value,
    /// Seed of everything random in it.
    pub seed: u64,
    /// Version of the program.
    pub program_version: String,
    /// Seconds since 1970-01-01 UTC.
    pub unix_time: i64,
}

/// A description of one image under one aspect, and the word that went with it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Description {
    /// Its number; 0 before it is stored.
    pub id: DescriptionId,
    /// The image described.
    pub image: ImageId,
    /// The aspect described.
    pub aspect: Aspect,
    /// Who wrote it.
    pub origin: Origin,
    /// Message 1: the analysis request as it was put.
    pub request: String,
    /// Message 2: the description.
    pub text: String,
    /// Message 3: the request for one word.
    pub question: String,
    /// Message 4 as answered; `None` where it was not asked.
    pub answer: Option<String>,
    /// What made it, and when.
    pub made: Provenance,
}

impl Description {
    /// The rating word of the answer.
    pub fn rating(&self) -> Option<Rating> {
        self.answer.as_deref().and_then(Rating::in_answer)
    }

    /// Messages 1 to 3 as the predictor reads them.
    pub fn conversation(&self) -> Conversation {
        Conversation {
            request: self.request.clone(),
            description: self.text.clone(),
            question: self.question.clone(),
        }
    }
}

/// Messages 1 to 3 of the two-round conversation, word for word. The picture stands before message 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conversation {
    /// Message 1, user: the analysis request, which quotes the generation prompt.
    pub request: String,
    /// Message 2, assistant: the description.
    pub description: String,
    /// Message 3, user: the request for one word.
    pub question: String,
}

impl Conversation {
    /// The messages in their order.
    pub fn messages(&self) -> [&str; 3] {
        [&self.request, &self.description, &self.question]
    }
}

/// Wording of the conversation, read from `assets/prompts/*.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preset {
    /// Its name, by which predictors are tied to it.
    pub name: String,
    /// Wording of the quality aspect.
    pub quality: PresetAspect,
    /// Wording of the correspondence aspect.
    pub correspondence: PresetAspect,
    /// Wording of the authenticity aspect.
    pub authenticity: PresetAspect,
}

/// Wording of one aspect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PresetAspect {
    /// Message 1, with `{prompt}` where the generation prompt is quoted.
    pub request: String,
    /// Message 3.
    pub question: String,
}

impl Preset {
    /// Name of the wording of a project that chose none.
    pub const DEFAULT: &str = "assay";

    /// The wording of one aspect.
    pub const fn aspect(&self, aspect: Aspect) -> &PresetAspect {
        match aspect {
            Aspect::Quality => &self.quality,
            Aspect::Correspondence => &self.correspondence,
            Aspect::Authenticity => &self.authenticity,
        }
    }

    /// Message 1 for an image's prompt.
    pub fn request(&self, aspect: Aspect, prompt: &str) -> String {
        self.aspect(aspect)
            .request
            .replace("{prompt}", prompt.trim())
    }
}
