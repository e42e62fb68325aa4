//! `adapter_config.json`: which modules an adapter changes, and how strongly.

use std::path::Path;

use fancy_regex::Regex;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::ml::MlError;

/// The part of peft's `LoraConfig` that says what merging does.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct AdapterConfig {
    /// "LORA"; others are refused.
    pub peft_type: String,
    /// Rank of the changes, unless `rank_pattern` says otherwise.
    pub r: usize,
    /// Numerator of their scale, unless `alpha_pattern` says otherwise.
    pub lora_alpha: f64,
    /// A regular expression for whole names of modules, or a list of their last parts.
    #[serde(default)]
    pub target_modules: Value,
    /// Modules that are kept whole.
    #[serde(default)]
    pub modules_to_save: Option<Vec<String>>,
    /// Whether the scale is `alpha / sqrt(r)` in place of `alpha / r`.
    #[serde(default)]
    pub use_rslora: bool,
    /// Whether layers keep their inputs first.
    #[serde(default)]
    pub fan_in_fan_out: bool,
    /// Ranks by regular expressions for the ends of names, the first that matches counts.
    #[serde(default)]
    pub rank_pattern: Map<String, Value>,
    /// The same for `lora_alpha`.
    #[serde(default)]
    pub alpha_pattern: Map<String, Value>,
    /// What it was made for.
    #[serde(default)]
    pub base_model_name_or_path: Option<String>,
    #[serde(flatten)]
    others: Map<String, Value>,
}

/// Settings that change what merging does and that are not known here, with what they have to be.
const REFUSED: [(&str, &str); 9] = [
    ("use_dora", "weight-decomposed changes (DoRA)"),
    ("use_qalora", "QALoRA"),
    ("use_bdlora", "block-diagonal LoRA"),
    ("lora_bias", "biases within the changes"),
    ("layer_replication", "replicated layers"),
    ("trainable_token_indices", "single token rows"),
    ("target_parameters", "changes of bare parameters"),
    ("kasa_config", "KaSA"),
    ("velora_config", "VeLoRA"),
];

impl AdapterConfig {
    /// Reads the file.
    ///
    /// # Errors
    /// A missing or malformed file, and kinds of adapters that are not known here.
    pub fn read(path: &Path) -> Result<Self, MlError> {
        let text = std::fs::read_to_string(path).map_err(|source| MlError::Read {
            what: "the adapter's configuration",
            path: path.to_owned(),
            source,
        })?;
        let config: Self = serde_json::from_str(&text)
            .map_err(|error| error.to_string())
            .and_then(|config: Self| match config.unknown() {
                Some(reason) => Err(reason),
                None => Ok(config),
            })
            .map_err(|reason| MlError::Malformed {
                what: "the adapter's configuration",
                reason,
                path: path.to_owned(),
            })?;
        Ok(config)
    }

    /// Why this is an adapter of a kind that is not known here, if it is.
    fn unknown(&self) -> Option<String> {
        if self.peft_type != "LORA" {
            return Some(format!(
                "expected an adapter of the kind LORA, got {}: merge it into its base with peft",
                self.peft_type
            ));
        }
        if self.r == 0 {
            return Some("its rank r is 0".to_owned());
        }
        let is_off = |value: &Value| match value {
            Value::Null => true,
            Value::Bool(on) => !on,
            Value::Array(members) => members.is_empty(),
            Value::Object(members) => members.is_empty(),
            _ => false,
        };
        let bias = self.others.get("bias").and_then(Value::as_str);
        if bias.is_some_and(|bias| bias != "none") {
            return Some(
                "it trains biases, which is not known here: merge it into its base with peft"
                    .to_owned(),
            );
        }
        let on = REFUSED
            .iter()
            .find(|(key, _)| self.others.get(*key).is_some_and(|value| !is_off(value)));
        on.map(|(key, words)| {
            format!(
                "it uses {words} ({key}), which is not known here: merge it into its base with peft"
            )
        })
    }

    /// Which modules it changes.
    pub(super) fn targets(&self) -> Result<Targets, String> {
        let is_set = |key: &str| self.others.get(key).is_some_and(|value| !value.is_null());
        if is_set("exclude_modules") || is_set("layers_to_transform") {
            return Ok(Targets::Unsaid);
        }
        match &self.target_modules {
            Value::String(text) if text == "all-linear" => Ok(Targets::Unsaid),
            Value::String(pattern) => Targets::pattern(pattern),
            Value::Array(names) => {
                let names = names.iter().filter_map(Value::as_str);
                Ok(Targets::Ends(names.map(str::to_owned).collect()))
            }
            _ => Ok(Targets::Unsaid),
        }
    }

    /// Whether a tensor belongs to a module that is kept whole.
    pub(super) fn saves_whole(&self, name: &str) -> bool {
        let Some(modules) = &self.modules_to_save else {
            return false;
        };
        is_within(modules, name)
    }

    /// Rank of a module's change.
    pub(super) fn rank(&self, module: &str) -> Result<usize, String> {
        let set = by_pattern(&self.rank_pattern, module)?;
        Ok(set.map_or(self.r, |rank| rank as usize))
    }

    /// What its product is multiplied with.
    pub(super) fn scale(&self, module: &str) -> Result<f64, String> {
        let alpha = by_pattern(&self.alpha_pattern, module)?.unwrap_or(self.lora_alpha);
        let rank = self.rank(module)? as f64;
        Ok(alpha / if self.use_rslora { rank.sqrt() } else { rank })
    }
}

/// Whether a tensor belongs to one of these modules, named whole or by their last parts.
pub(in crate::ml::vlm::weights) fn is_within(modules: &[String], name: &str) -> bool {
    let dotted = format!(".{name}");
    modules
        .iter()
        .any(|module| dotted.contains(&format!(".{module}.")))
}

/// Which modules an adapter changes.
pub(in crate::ml::vlm::weights) enum Targets {
    /// Those whose whole name matches.
    Pattern(Regex),
    /// Those whose name ends like this.
    Ends(Vec<String>),
    /// It cannot be told from the configuration alone.
    Unsaid,
}

impl Targets {
    /// Those whose whole name matches a regular expression.
    pub(in crate::ml::vlm::weights) fn pattern(pattern: &str) -> Result<Self, String> {
        Ok(Self::Pattern(regex(&format!("^(?:{pattern})$"))?))
    }

    pub(in crate::ml::vlm::weights) fn take(&self, module: &str) -> bool {
        match self {
            Self::Pattern(pattern) => pattern.is_match(module).unwrap_or(false),
            Self::Ends(ends) => ends.iter().any(|end| {
                let before = module.strip_suffix(end.as_str());
                before.is_some_and(|before| before.is_empty() || before.ends_with('.'))
            }),
            Self::Unsaid => false,
        }
    }
}

fn by_pattern(patterns: &Map<String, Value>, module: &str) -> Result<Option<f64>, String> {
    for (pattern, value) in patterns {
        if regex(&format!(r"^(.*\.)?({pattern})$"))?
            .is_match(module)
            .unwrap_or(false)
        {
            return Ok(value.as_f64());
        }
    }
    Ok(None)
}

fn regex(pattern: &str) -> Result<Regex, String> {
    Regex::new(pattern).map_err(|error| format!("the pattern {pattern:?} cannot be read: {error}"))
}
