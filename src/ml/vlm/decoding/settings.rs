//! How an answer is generated.

use serde::{Deserialize, Serialize};

use crate::ml::MlError;

/// How a description is generated: greedily, by beams, or by drawing from the distribution.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct GenerateSettings {
    /// Most tokens of a description.
    pub max_new_tokens: usize,
    /// Logits of tokens that were generated already are divided by this (negative ones multiplied); 1 is off. With
    /// beams it acts on log-probabilities in the same way, as transformers has it.
    pub repetition_penalty: f32,
    /// No run of this many tokens is generated twice; 0 is off.
    pub no_repeat_ngram: usize,
    /// Answers that are followed side by side; 1 is greedy.
    pub num_beams: usize,
    /// Draws tokens instead of taking the likeliest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sampling: Option<Sampling>,
}

/// How tokens are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sampling {
    /// Logits are divided by this.
    pub temperature: f32,
    /// Only so many of the likeliest tokens are drawn; 0 is off.
    pub top_k: usize,
    /// Only the likeliest tokens that together have this probability are drawn; 1 is off.
    pub top_p: f32,
    /// Seed of an answer's draws, the same for every picture.
    pub seed: u64,
}

impl Default for Sampling {
    /// What the published `chat` of MiniCPM-Llama3-V-2.5 uses where it samples.
    fn default() -> Self {
        Self {
            temperature: 0.7,
            top_k: 100,
            top_p: 0.8,
            seed: 0,
        }
    }
}

impl Default for GenerateSettings {
    fn default() -> Self {
        Self {
            max_new_tokens: 160,
            repetition_penalty: 1.0,
            no_repeat_ngram: 0,
            num_beams: 1,
            sampling: None,
        }
    }
}

impl GenerateSettings {
    /// What the published `chat` of MiniCPM-Llama3-V-2.5 does with `sampling=False`, which the published tool calls:
    /// three beams.
    pub fn published_minicpm() -> Self {
        Self {
            max_new_tokens: 1024,
            repetition_penalty: 1.2,
            num_beams: 3,
            ..Self::default()
        }
    }

    /// The same with a seed for what is drawn.
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        if let Some(sampling) = &mut self.sampling {
            sampling.seed = seed;
        }
        self
    }

    /// Whether the settings make sense together.
    ///
    /// # Errors
    /// What does not, and what to do.
    pub fn check(&self) -> Result<(), MlError> {
        let wrong = |reason: &str| Err(MlError::Input(format!("[generation]: {reason}")));
        if self.max_new_tokens == 0 {
            return wrong("max_new_tokens is 0: allow at least one token");
        }
        if !(self.repetition_penalty > 0.0 && self.repetition_penalty.is_finite()) {
            return wrong("repetition_penalty must be a positive number; 1 is off");
        }
        if self.num_beams == 0 || self.num_beams > 1 && self.sampling.is_some() {
            return wrong("expected num_beams of at least 1, and of exactly 1 with sampling");
        }
        let is_wrong = |sampling: Sampling| {
            let is_hot = sampling.temperature > 0.0 && sampling.temperature.is_finite();
            let is_share = sampling.top_p > 0.0 && sampling.top_p <= 1.0;
            !(is_hot && is_share)
        };
        if self.sampling.is_some_and(is_wrong) {
            return wrong("sampling needs a temperature above 0, and top_p above 0 and at most 1");
        }
        Ok(())
    }
}
