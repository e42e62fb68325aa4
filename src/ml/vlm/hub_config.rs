//! What `config.json` and `preprocessor_config.json` of hub folders have in common, across the layouts that transformers
//! has written over the years.
//!
//! Source: `configuration_llama.py`, `configuration_qwen2_5_vl.py` and `image_processing_backends.py` of transformers
//! 5.23: names, defaults, and which older names stand for the same.

use serde::Deserialize;

use super::llama::LlmConfig;

/// Sizes of a decoder as they stand in `text_config`, or at the top of an older file. What is left out has the default
/// of its kind of model.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct HubLlm {
    hidden_size: Option<usize>,
    intermediate_size: Option<usize>,
    num_hidden_layers: Option<usize>,
    num_attention_heads: Option<usize>,
    num_key_value_heads: Option<usize>,
    vocab_size: Option<usize>,
    rms_norm_eps: Option<f64>,
    rope_theta: Option<f64>,
    rope_scaling: Option<HubRope>,
    rope_parameters: Option<HubRope>,
    head_dim: Option<usize>,
    attention_bias: Option<bool>,
    hidden_act: Option<String>,
    use_sliding_window: Option<bool>,
    max_position_embeddings: Option<usize>,
    /// Whether the token embedding is the head as well.
    pub tie_word_embeddings: Option<bool>,
}

/// Rotary positions: `rope_scaling` until transformers 4, `rope_parameters` since.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
struct HubRope {
    rope_theta: Option<f64>,
    rope_type: Option<String>,
    r#type: Option<String>,
    mrope_section: Option<[usize; 3]>,
}

impl HubLlm {
    /// Sizes, with `defaults` where the file is silent.
    ///
    /// # Errors
    /// What this decoder does not do, in words.
    pub fn sizes(&self, defaults: &LlmConfig) -> Result<LlmConfig, String> {
        let heads = self
            .num_attention_heads
            .unwrap_or(defaults.num_attention_heads);
        let hidden = self.hidden_size.unwrap_or(defaults.hidden_size);
        self.refuse(hidden, heads)?;
        // A file that names query heads alone means a key head for each of them.
        let kv_heads = self
            .num_key_value_heads
            .or(self.num_attention_heads)
            .unwrap_or(defaults.num_key_value_heads);
        if kv_heads == 0 || !heads.is_multiple_of(kv_heads) {
            return Err(format!(
                "{heads} query heads cannot share {kv_heads} key heads"
            ));
        }
        let theta = [&self.rope_parameters, &self.rope_scaling]
            .into_iter()
            .find_map(|rope| rope.as_ref()?.rope_theta);
        Ok(LlmConfig {
            hidden_size: hidden,
            intermediate_size: self.intermediate_size.unwrap_or(defaults.intermediate_size),
            num_hidden_layers: self.num_hidden_layers.unwrap_or(defaults.num_hidden_layers),
            num_attention_heads: heads,
            num_key_value_heads: kv_heads,
            vocab_size: self.vocab_size.unwrap_or(defaults.vocab_size),
            rms_norm_eps: self.rms_norm_eps.unwrap_or(defaults.rms_norm_eps),
            rope_theta: theta.or(self.rope_theta).unwrap_or(defaults.rope_theta),
            qkv_bias: self.attention_bias.unwrap_or(defaults.qkv_bias),
        })
    }

    /// Tokens that the decoder was made for.
    pub fn max_positions(&self, default: usize) -> usize {
        self.max_position_embeddings.unwrap_or(default)
    }

    /// How many of the rotary frequencies turn by time, row and column.
    pub fn mrope_section(&self) -> Option<[usize; 3]> {
        [&self.rope_parameters, &self.rope_scaling]
            .into_iter()
            .find_map(|rope| rope.as_ref()?.mrope_section)
    }

    fn refuse(&self, hidden: usize, heads: usize) -> Result<(), String> {
        if heads == 0 || !hidden.is_multiple_of(heads) {
            return Err(format!("{heads} heads do not divide the width {hidden}"));
        }
        if self.head_dim.is_some_and(|dim| dim != hidden / heads) {
            return Err(
                "heads wider than hidden_size / num_attention_heads are not supported".to_owned(),
            );
        }
        if self.use_sliding_window == Some(true) {
            return Err("sliding windows in the decoder are not supported".to_owned());
        }
        if self.hidden_act.as_deref().is_some_and(|act| act != "silu") {
            return Err(format!(
                "expected the activation silu in the decoder, got {:?}",
                self.hidden_act
            ));
        }
        for rope in [&self.rope_parameters, &self.rope_scaling]
            .into_iter()
            .flatten()
        {
            let kind = rope.rope_type.as_deref().or(rope.r#type.as_deref());
            if let Some(kind) = kind.filter(|kind| !["default", "mrope"].contains(kind)) {
                return Err(format!(
                    "rotary positions of the type {kind} are not supported"
                ));
            }
        }
        Ok(())
    }
}

/// `size` and `crop_size` in their spellings: a number, a side, both sides, or a range of pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum HubSize {
    /// One number: the shorter edge, or both sides.
    Side(u32),
    /// Named sides.
    Named {
        /// The shorter edge; for Qwen the least number of pixels.
        #[serde(default)]
        shortest_edge: Option<u32>,
        /// The longer edge; for Qwen the greatest number of pixels.
        #[serde(default)]
        longest_edge: Option<u32>,
        /// Height.
        #[serde(default)]
        height: Option<u32>,
        /// Width.
        #[serde(default)]
        width: Option<u32>,
    },
}

/// Pillow's number of the bicubic filter, which is the one that pictures are resized by here.
const BICUBIC: u32 = 3;

/// Refuses another filter than the one that is built in.
///
/// # Errors
/// Its number.
pub fn expect_bicubic(resample: Option<u32>) -> Result<(), String> {
    match resample {
        None | Some(BICUBIC) => Ok(()),
        Some(other) => Err(format!(
            "preprocessor_config.json: expected resample {BICUBIC} (bicubic), got {other}"
        )),
    }
}

/// How bytes become the numbers that a tower reads.
#[derive(Debug, Clone, PartialEq)]
pub struct Normalisation {
    values: Vec<[f32; 256]>,
}

/// Mean and deviation of the pictures that CLIP learned from (`OPENAI_CLIP_MEAN`, `OPENAI_CLIP_STD`).
pub const CLIP_MEAN: [f64; 3] = [0.481_454_66, 0.457_827_5, 0.408_210_73];
/// See [`CLIP_MEAN`].
pub const CLIP_STD: [f64; 3] = [0.268_629_54, 0.261_302_58, 0.275_777_11];

impl Normalisation {
    /// `(x / 255 - mean) / std` of a channel, rounded to singles where the processor on Pillow rounds.
    pub fn new(mean: [f64; 3], std: [f64; 3]) -> Self {
        let channel = |(mean, std): (f64, f64)| {
            let (mean, std) = (mean as f32, std as f32);
            std::array::from_fn(|byte| ((byte as f64 * (1.0 / 255.0)) as f32 - mean) / std)
        };
        Self {
            values: mean.into_iter().zip(std).map(channel).collect(),
        }
    }

    /// The number of a byte of a channel.
    pub fn value(&self, byte: u8, channel: usize) -> f32 {
        self.values[channel][usize::from(byte)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn llama() -> LlmConfig {
        LlmConfig {
            hidden_size: 4096,
            intermediate_size: 11008,
            num_hidden_layers: 32,
            num_attention_heads: 32,
            num_key_value_heads: 32,
            vocab_size: 32000,
            rms_norm_eps: 1e-6,
            rope_theta: 10_000.0,
            qkv_bias: false,
        }
    }

    fn read(json: &str) -> Result<LlmConfig, String> {
        let read: HubLlm = serde_json::from_str(json).map_err(|error| error.to_string())?;
        read.sizes(&llama())
    }

    #[test]
    fn what_the_file_leaves_out_has_its_default() {
        let sizes = read(r#"{"vocab_size": 32064, "rms_norm_eps": 1e-5, "model_type": "llama"}"#);
        let expected = LlmConfig {
            vocab_size: 32064,
            rms_norm_eps: 1e-5,
            ..llama()
        };
        assert_eq!(sizes, Ok(expected));
    }

    #[test]
    fn the_base_of_the_rotary_wavelengths_is_found_in_every_layout() {
        for json in [
            r#"{"rope_theta": 5e5}"#,
            r#"{"rope_parameters": {"rope_theta": 5e5, "rope_type": "default"}}"#,
        ] {
            assert_eq!(read(json).map(|sizes| sizes.rope_theta), Ok(5e5));
        }
    }

    #[test]
    fn what_this_decoder_does_not_do_is_refused_in_words() {
        for (json, word) in [
            (r#"{"rope_scaling": {"type": "yarn"}}"#, "yarn"),
            (r#"{"use_sliding_window": true}"#, "sliding"),
            (r#"{"head_dim": 256}"#, "heads"),
            (r#"{"num_key_value_heads": 5}"#, "key heads"),
            (r#"{"hidden_act": "gelu"}"#, "silu"),
        ] {
            assert!(
                read(json).is_err_and(|reason| reason.contains(word)),
                "{json}"
            );
        }
    }
}
