//! Sizes of the model, read from `config.json` and `preprocessor_config.json` of a hub folder.

use serde::Deserialize;

use crate::ml::vlm::fit::Sizes;
use crate::ml::vlm::hub_config::{CLIP_MEAN, CLIP_STD, HubLlm, HubSize, expect_bicubic};
use crate::ml::vlm::llama::LlmConfig;

/// Token limit of a conversation whose features are taken, where the folder does not say: room for [`MAX_PIXELS`] and
/// three messages.
const MAX_LEN: usize = 2048;

/// Most pixels of a picture: 1280 image tokens, the upper end of the range that the model's page recommends. The hub's
/// own limit of 16,384 tokens is there for pages of text and takes more memory than most cards have.
const MAX_PIXELS: u32 = 1280 * 28 * 28;

/// Base of the tower's rotary wavelengths.
const VISION_THETA: f32 = 10_000.0;

/// The whole model.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Qwen2.5.
    pub llm: LlmConfig,
    /// Whether the token embedding is the head as well, as in the model of 3B.
    pub is_tied: bool,
    /// How many of the rotary frequencies turn by time, row and column.
    pub mrope_section: [usize; 3],
    /// The tower.
    pub vision: VisionConfig,
    /// How pictures are brought to size.
    pub image: ImageConfig,
    /// Token limit of a conversation whose features are taken.
    pub max_len: usize,
    /// Tokens that the decoder was made for.
    pub max_positions: usize,
}

/// The tower.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct VisionConfig {
    /// Width.
    pub hidden_size: usize,
    /// Width of the gated feed-forward.
    pub intermediate_size: usize,
    /// Layers.
    pub depth: usize,
    /// Heads.
    pub num_heads: usize,
    /// Pixels a side of a patch.
    #[serde(default = "fourteen")]
    pub patch_size: usize,
    /// Frames of a patch; a still picture is two equal ones.
    #[serde(default = "two")]
    pub temporal_patch_size: usize,
    /// Patches a side of what becomes one image token.
    #[serde(default = "two")]
    pub spatial_merge_size: usize,
    /// Pixels a side of a window.
    #[serde(default = "window")]
    pub window_size: usize,
    /// Layers that see the whole picture.
    pub fullatt_block_indexes: Vec<usize>,
    /// Width of an image token.
    pub out_hidden_size: usize,
    #[serde(default = "silu")]
    hidden_act: String,
}

const fn fourteen() -> usize {
    14
}

const fn two() -> usize {
    2
}

const fn window() -> usize {
    112
}

fn silu() -> String {
    "silu".to_owned()
}

impl VisionConfig {
    /// The factor of each pair of a head's values that turns by rows: its angle at row 1. Columns have the same.
    pub fn inverse_wavelengths(&self) -> Vec<f32> {
        let width = self.hidden_size / self.num_heads / 2;
        let exponents = (0..width / 2).map(|i| (2 * i) as f32 / width as f32);
        exponents
            .map(|exponent| 1.0 / VISION_THETA.powf(exponent))
            .collect()
    }

    /// Numbers of a patch, both frames counted.
    pub const fn patch_values(&self) -> usize {
        3 * self.temporal_patch_size * self.patch_size * self.patch_size
    }

    /// Pixels a side of what becomes one image token.
    pub const fn factor(&self) -> u32 {
        (self.patch_size * self.spatial_merge_size) as u32
    }
}

/// How pictures are brought to size.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ImageConfig {
    /// Sides are multiples of this.
    pub factor: u32,
    /// Least pixels.
    pub min_pixels: u32,
    /// Most pixels.
    pub max_pixels: u32,
    /// Mean of each channel.
    pub mean: [f64; 3],
    /// Deviation of each channel.
    pub std: [f64; 3],
}

#[derive(Deserialize)]
struct Hub {
    text_config: Option<HubLlm>,
    #[serde(flatten)]
    flat: HubLlm,
    vision_config: VisionConfig,
    max_len: Option<usize>,
}

#[derive(Deserialize, Default)]
struct Preprocessor {
    size: Option<HubSize>,
    min_pixels: Option<u32>,
    max_pixels: Option<u32>,
    image_mean: Option<[f64; 3]>,
    image_std: Option<[f64; 3]>,
    resample: Option<u32>,
}

/// Qwen2.5-VL-7B: what a file leaves out.
const fn seven_billion() -> LlmConfig {
    LlmConfig {
        hidden_size: 3584,
        intermediate_size: 18_944,
        num_hidden_layers: 28,
        num_attention_heads: 28,
        num_key_value_heads: 4,
        vocab_size: 152_064,
        rms_norm_eps: 1e-6,
        rope_theta: 1_000_000.0,
        qkv_bias: true,
    }
}

impl Config {
    /// Reads the two files; the second may be missing.
    ///
    /// # Errors
    /// Malformed JSON, or what this model does not do, in words.
    pub fn read(config: &str, preprocessor: Option<&str>) -> Result<Self, String> {
        let hub: Hub = serde_json::from_str(config).map_err(|error| error.to_string())?;
        let seen: Preprocessor = preprocessor
            .map_or_else(|| Ok(Preprocessor::default()), serde_json::from_str)
            .map_err(|error| format!("preprocessor_config.json: {error}"))?;
        expect_bicubic(seen.resample)?;
        let text = hub.text_config.as_ref().unwrap_or(&hub.flat);
        let made = Self {
            llm: text.sizes(&seven_billion())?,
            is_tied: [text, &hub.flat]
                .iter()
                .any(|part| part.tie_word_embeddings == Some(true)),
            mrope_section: text.mrope_section().unwrap_or([16, 24, 24]),
            image: ImageConfig::new(&seen, &hub.vision_config),
            vision: hub.vision_config,
            max_len: hub.max_len.unwrap_or(MAX_LEN),
            max_positions: text.max_positions(128_000),
        };
        made.refuse()?;
        Ok(made)
    }

    /// What the memory of a conversation follows from.
    pub fn sizes(self) -> Sizes {
        let patch = self.vision.patch_size * self.vision.patch_size;
        Sizes {
            llm: self.llm,
            max_len: self.max_len,
            vision: [
                self.vision.hidden_size,
                self.vision.intermediate_size,
                self.vision.num_heads,
            ],
            vision_layers: self.vision.depth,
            patches: self.image.max_pixels as usize / patch,
            pictures: [1, 1],
        }
    }

    fn refuse(&self) -> Result<(), String> {
        let (llm, vision) = (&self.llm, &self.vision);
        let half = llm.hidden_size / llm.num_attention_heads / 2;
        let turned: usize = self.mrope_section.iter().sum();
        if turned != half {
            return Err(format!(
                "mrope_section {:?} names {turned} frequencies, heads have {half}",
                self.mrope_section
            ));
        }
        if vision.out_hidden_size != llm.hidden_size {
            return Err(format!(
                "the merger makes {} numbers a token, the decoder reads {}",
                vision.out_hidden_size, llm.hidden_size
            ));
        }
        if vision.hidden_act != "silu" {
            return Err(format!(
                "expected the activation silu in the tower, got {:?}",
                vision.hidden_act
            ));
        }
        let heads = vision.num_heads.max(1);
        if vision.patch_size == 0
            || vision.spatial_merge_size == 0
            || vision.window_size < vision.factor() as usize
            || !vision.hidden_size.is_multiple_of(heads * 4)
        {
            return Err("the tower's sizes do not fit together".to_owned());
        }
        Ok(())
    }
}

impl ImageConfig {
    fn new(seen: &Preprocessor, vision: &VisionConfig) -> Self {
        let (least, most) = match seen.size {
            Some(HubSize::Named {
                shortest_edge,
                longest_edge,
                ..
            }) => (shortest_edge, longest_edge),
            _ => (None, None),
        };
        let min_pixels = seen.min_pixels.or(least).unwrap_or(56 * 56);
        let max_pixels = seen.max_pixels.or(most).unwrap_or(MAX_PIXELS);
        Self {
            factor: vision.factor(),
            min_pixels,
            max_pixels: max_pixels.min(MAX_PIXELS).max(min_pixels),
            mean: seen.image_mean.unwrap_or(CLIP_MEAN),
            std: seen.image_std.unwrap_or(CLIP_STD),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/qwen2_5_vl");

    #[test]
    fn both_layouts_of_the_file_say_the_same() {
        let read = |name: &str| {
            let text = std::fs::read_to_string(format!("{FIXTURES}/{name}")).unwrap();
            Config::read(&text, None).unwrap()
        };
        let (flat, nested) = (read("model/config.json"), read("config-5.json"));
        assert_eq!(flat, nested);
        assert_eq!(flat.mrope_section, [2, 3, 3]);
        assert!((flat.llm.rope_theta - 1e6).abs() < 1e-9);
    }

    #[test]
    fn the_hubs_limit_for_pages_of_text_is_lowered() {
        let text = std::fs::read_to_string(format!("{FIXTURES}/model/config.json")).unwrap();
        let seen = r#"{"min_pixels": 3136, "max_pixels": 12845056}"#;
        let image = Config::read(&text, Some(seen)).unwrap().image;
        assert_eq!((image.min_pixels, image.max_pixels), (3136, 1_003_520));
    }
}
