//! Which backbone a model's files are for, and how it is put together of them.

use std::path::Path;

use serde::Deserialize;

use super::backbone::Backbone;
use super::decoding::GenerateSettings;
use super::files::{Manifest, ModelFiles};
use super::fit::Sizes;
use super::llava::{self, Llava};
use super::minicpm_v::{self, Chat, MiniCpmBackbone, MiniCpmV};
use super::ops::Mode;
use super::qwen2_5_vl::{self, Qwen2_5Vl};
use super::weights::Weights;
use crate::ml::MlError;

/// The backbones that this program runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Architecture {
    /// `minicpm_v`.
    MiniCpmV,
    /// `llava`.
    Llava,
    /// `qwen2_5_vl`.
    Qwen2_5Vl,
}

#[derive(Deserialize)]
struct Kind {
    model_type: Option<String>,
}

impl Architecture {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::MiniCpmV, Self::Llava, Self::Qwen2_5Vl];

    /// Its word in `model.toml`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::MiniCpmV => "minicpm-v-2.5",
            Self::Llava => "llava-1.5",
            Self::Qwen2_5Vl => "qwen2.5-vl",
        }
    }

    /// What stands before the names of the decoder: a GGUF file of a language model has them without.
    pub(super) const fn decoder(self) -> &'static str {
        match self {
            Self::MiniCpmV => "llm.",
            Self::Llava => "language_model.",
            Self::Qwen2_5Vl => "",
        }
    }

    /// Its `model_type` in the hub's `config.json`.
    const fn model_type(self) -> &'static str {
        match self {
            Self::MiniCpmV => "minicpmv",
            Self::Llava => "llava",
            Self::Qwen2_5Vl => "qwen2_5_vl",
        }
    }

    const fn summary(self) -> &'static str {
        match self {
            Self::MiniCpmV => "MiniCPM-Llama3-V-2.5: pictures in slices of 96 tokens each, Llama 3",
            Self::Llava => "LLaVA-1.5: the middle square of a picture at 336 pixels, Vicuna",
            Self::Qwen2_5Vl => "Qwen2.5-VL: pictures at their own size, Qwen2.5",
        }
    }

    /// That of a word in `model.toml`.
    ///
    /// # Errors
    /// A word that names none, with those that do.
    pub fn of_word(word: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|architecture| architecture.word() == word)
            .ok_or_else(|| {
                let known = Self::ALL.map(Self::word).join(", ");
                format!("expected one of the architectures {known}, got {word:?}")
            })
    }

    /// That of a hub's `config.json`; `None` for models of other kinds.
    pub fn of_config(config: &str) -> Option<Self> {
        let kind = serde_json::from_str::<Kind>(config).ok()?.model_type?;
        Self::ALL
            .into_iter()
            .find(|architecture| architecture.model_type() == kind)
    }

    /// What a hub's folder without a `model.toml` says of itself.
    pub(super) fn manifest(self, folder: &Path) -> Manifest {
        Manifest {
            name: hub_name(folder),
            summary: self.summary().to_owned(),
            architecture: self.word().to_owned(),
            source: "a folder in the hub's layout".to_owned(),
            licence: "see the model's page".to_owned(),
            generation: GenerateSettings::default(),
            adapters: std::collections::BTreeMap::new(),
        }
    }

    /// Regular expressions for the names of the attention's products: of the language model, and of the vision tower.
    pub const fn attention_patterns(self) -> [&'static str; 2] {
        match self {
            // Source of the first: the published adapters of strawhatboy/M3-AGIQA.
            Self::MiniCpmV => [
                r"llm\..*layers\.\d+\.self_attn\.(q_proj|k_proj|v_proj|o_proj)",
                r"vpm\..*layers\.\d+\.self_attn\.(q_proj|k_proj|v_proj|out_proj)",
            ],
            Self::Llava => [
                r".*language_model\..*layers\.\d+\.self_attn\.(q_proj|k_proj|v_proj|o_proj)",
                r".*vision_tower\..*layers\.\d+\.self_attn\.(q_proj|k_proj|v_proj|out_proj)",
            ],
            Self::Qwen2_5Vl => [
                r"model\.(language_model\.)?layers\.\d+\.self_attn\.(q_proj|k_proj|v_proj|o_proj)",
                r"(model\.)?visual\.blocks\.\d+\.attn\.(qkv|proj)",
            ],
        }
    }

    /// Beginnings of names that mean the same in different layouts of a checkpoint. The last of each is that of the
    /// module in memory in transformers 5, which is what peft names adapters by.
    const fn same_beginnings(self) -> &'static [&'static [&'static str]] {
        match self {
            Self::MiniCpmV => &[],
            Self::Llava => &[
                &["language_model.model.", "model.language_model."],
                &["language_model.lm_head.", "lm_head."],
                &[
                    "vision_tower.vision_model.",
                    "model.vision_tower.vision_model.",
                    "vision_tower.",
                    "model.vision_tower.",
                ],
                &["multi_modal_projector.", "model.multi_modal_projector."],
            ],
            Self::Qwen2_5Vl => &[
                &["visual.", "model.visual."],
                &["model.", "model.language_model."],
            ],
        }
    }

    /// A tensor's name as the module in memory has it.
    pub fn name_in_memory(self, name: &str) -> String {
        let mut others = self.other_names(name);
        others.pop().unwrap_or_else(|| name.to_owned())
    }

    /// The names that a tensor has in the layouts of this backbone, the one in memory last; none where all agree.
    pub fn other_names(self, name: &str) -> Vec<String> {
        for same in self.same_beginnings() {
            // The longest beginning that fits is the one that is meant.
            let fitting = same.iter().filter(|start| name.starts_with(**start));
            if let Some(start) = fitting.max_by_key(|start| start.len()) {
                let rest = &name[start.len()..];
                return same.iter().map(|start| format!("{start}{rest}")).collect();
            }
        }
        Vec::new()
    }

    /// What the published code trains whole: vision tower, what joins it to the language model, and token embedding.
    pub const fn whole_modules(self) -> &'static [&'static str] {
        match self {
            Self::MiniCpmV => &["vpm", "resampler", "embed_tokens"],
            Self::Llava => &["vision_tower", "multi_modal_projector", "embed_tokens"],
            // The merger is a part of the tower.
            Self::Qwen2_5Vl => &["visual", "embed_tokens"],
        }
    }

    /// Sizes, without loading anything.
    ///
    /// # Errors
    /// Missing or malformed configuration.
    pub(super) fn sizes(self, files: &ModelFiles) -> Result<Sizes, MlError> {
        Ok(match self {
            Self::MiniCpmV => files.config()?.sizes(),
            Self::Llava => files.read_config(llava::Config::read)?.sizes(),
            Self::Qwen2_5Vl => files.read_config(qwen2_5_vl::Config::read)?.sizes(),
        })
    }

    /// Asks weights for everything that the backbone of a hub's configuration reads, and answers its sizes.
    ///
    /// # Errors
    /// A malformed configuration.
    pub(super) fn list_of_config(
        self,
        config: &str,
        preprocessor: Option<&str>,
        weights: &Weights,
    ) -> Result<Sizes, MlError> {
        let read =
            |error: String| MlError::Input(format!("its config.json makes no sense: {error}"));
        let mode = Mode::Inference;
        Ok(match self {
            Self::MiniCpmV => {
                let config = minicpm_v::Config::read(config, preprocessor).map_err(read)?;
                drop(MiniCpmV::new(&config, mode, weights)?);
                config.sizes()
            }
            Self::Llava => {
                let config = llava::Config::read(config, preprocessor).map_err(read)?;
                llava::list(&config, mode, weights)?;
                config.sizes()
            }
            Self::Qwen2_5Vl => {
                let config = qwen2_5_vl::Config::read(config, preprocessor).map_err(read)?;
                qwen2_5_vl::list(&config, mode, weights)?;
                config.sizes()
            }
        })
    }

    /// Asks weights for everything that the backbone reads, and keeps nothing.
    ///
    /// # Errors
    /// Missing or malformed files, missing or wrongly shaped tensors.
    pub(super) fn list(self, files: &ModelFiles, weights: &Weights) -> Result<(), MlError> {
        match self {
            Self::MiniCpmV => drop(MiniCpmV::new(&files.config()?, Mode::Inference, weights)?),
            Self::Llava => {
                let config = files.read_config(llava::Config::read)?;
                llava::list(&config, Mode::Inference, weights)?;
            }
            Self::Qwen2_5Vl => {
                let config = files.read_config(qwen2_5_vl::Config::read)?;
                qwen2_5_vl::list(&config, Mode::Inference, weights)?;
            }
        }
        Ok(())
    }

    /// Puts the backbone together of its files and of weights, which need not be those of the files.
    ///
    /// # Errors
    /// Missing or malformed files, missing or wrongly shaped tensors.
    pub(super) fn backbone(
        self,
        files: &ModelFiles,
        mode: Mode,
        weights: &Weights,
    ) -> Result<Box<dyn Backbone>, MlError> {
        let tokenizer = files.tokenizer()?;
        Ok(match self {
            Self::MiniCpmV => {
                let model = MiniCpmV::new(&files.config()?, mode, weights)?;
                Box::new(MiniCpmBackbone::new(model, Chat::new(tokenizer)?))
            }
            Self::Llava => {
                let config = files.read_config(llava::Config::read)?;
                Box::new(Llava::new(&config, mode, weights, tokenizer)?)
            }
            Self::Qwen2_5Vl => {
                let config = files.read_config(qwen2_5_vl::Config::read)?;
                Box::new(Qwen2_5Vl::new(&config, mode, weights, tokenizer)?)
            }
        })
    }
}

/// A folder's name; in a download cache of the hub (`models--OWNER--NAME/snapshots/REVISION`) that of the repository.
fn hub_name(folder: &Path) -> String {
    let name = |path: &Path| {
        let name = path.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    };
    let above = folder.parent().unwrap_or(folder);
    let repository = above.parent().map(name).unwrap_or_default();
    match repository.strip_prefix("models--") {
        Some(repository) if name(above) == "snapshots" => {
            let parts = repository.rsplit("--");
            parts.take(1).collect()
        }
        _ => name(folder),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_and_every_kind_is_found_again() {
        for architecture in Architecture::ALL {
            assert_eq!(Architecture::of_word(architecture.word()), Ok(architecture));
            let config = format!(r#"{{"model_type": "{}"}}"#, architecture.model_type());
            assert_eq!(Architecture::of_config(&config), Some(architecture));
        }
        assert_eq!(Architecture::of_config(r#"{"model_type": "bert"}"#), None);
        let refused = Architecture::of_word("gpt-2");
        assert!(refused.is_err_and(|why| why.contains("qwen2.5-vl")));
    }

    #[test]
    fn a_folder_of_the_hubs_cache_is_known_by_its_repository() {
        let cached = "/cache/models--llava-hf--llava-1.5-7b-hf/snapshots/a272c74";
        assert_eq!(hub_name(Path::new(cached)), "llava-1.5-7b-hf");
        assert_eq!(hub_name(Path::new("/models/my-llava")), "my-llava");
    }
}
