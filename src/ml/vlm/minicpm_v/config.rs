//! Sizes of the model, read from `config.json`: in our own form, which says everything, or in the hub's, where some
//! things stand in `preprocessor_config.json` and others in the published code.

use serde::{Deserialize, Serialize};

use super::stem::StemConfig;
use super::vision::TOGETHER;
use crate::ml::vlm::fit::Sizes;
use crate::ml::vlm::llama::LlmConfig;

/// The whole model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "Written")]
pub struct Config {
    /// Llama decoder.
    #[serde(flatten)]
    pub llm: LlmConfig,
    /// Vision tower.
    pub vision_config: VisionConfig,
    /// Resampler queries, and so image tokens a picture or slice (96 in the published model).
    pub query_num: usize,
    /// Attention heads of the resampler (published: hidden / 128).
    pub resampler_heads: usize,
    /// Side of the square whose area a slice is brought to (448).
    pub scale_resolution: u32,
    /// Most slices a picture is cut into (9).
    pub max_slice_nums: u32,
    /// Token limit of a conversation whose features are taken (512 or 768).
    pub max_len: usize,
}

/// The vision tower: SigLIP in the idefics2 form, or with a convolutional stem.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "WrittenVision")]
pub struct VisionConfig {
    /// Width.
    pub hidden_size: usize,
    /// Width of the feed-forward.
    pub intermediate_size: usize,
    /// Layers.
    pub num_hidden_layers: usize,
    /// Heads.
    pub num_attention_heads: usize,
    /// Pixels a patch.
    pub patch_size: usize,
    /// Position buckets in each direction (70).
    pub position_grid: usize,
    /// Added to the variance in the norms.
    pub layer_norm_eps: f64,
    /// Convolutional stem in place of the patch embedding.
    pub stem: Option<StemConfig>,
    /// How position ids are made.
    pub position_ids: PositionIds,
}

impl VisionConfig {
    /// Values a patch brings to the embedding.
    pub fn patch_values(&self) -> usize {
        self.stem.as_ref().map_or(
            3 * self.patch_size * self.patch_size,
            StemConfig::patch_values,
        )
    }
}

/// The readings of the tower's position ids, and of what pictures of one conversation see of each other's length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PositionIds {
    /// Row and column bucket of every patch; every picture alone.
    Grid,
    /// As MiniCPM-Llama3-V-2.5 was published: all patches in one row, so that only the column bucket varies, and a
    /// mask that hides nothing, so that thumbnail and slices are padded to the longest of them and padding takes part.
    Published,
    /// As [`PositionIds::Published`] was probably meant: padding takes no part, and buckets are those of a picture's
    /// own length.
    Masked,
}

/// `config.json` as it may be written.
#[derive(Deserialize)]
struct Written {
    #[serde(flatten)]
    llm: LlmConfig,
    vision_config: VisionConfig,
    query_num: usize,
    resampler_heads: Option<usize>,
    scale_resolution: Option<u32>,
    max_slice_nums: Option<u32>,
    max_len: Option<usize>,
    slice_mode: Option<bool>,
    slice_config: Option<Slicing>,
    drop_vision_last_layer: Option<bool>,
}

/// What says how pictures are cut: `preprocessor_config.json`, or a part of the hub's `config.json`.
#[derive(Clone, Copy, Default, Deserialize)]
struct Slicing {
    scale_resolution: Option<u32>,
    max_slice_nums: Option<u32>,
}

/// The tower as it may be written. The hub's form names neither activation nor epsilon.
#[derive(Deserialize)]
struct WrittenVision {
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    patch_size: usize,
    image_size: Option<usize>,
    position_grid: Option<usize>,
    layer_norm_eps: Option<f64>,
    stem: Option<StemConfig>,
    position_ids: Option<PositionIds>,
}

/// Width of a resampler's head in the published code.
const RESAMPLER_HEAD: usize = 128;
/// Side of the published tower's picture of positions.
const POSITION_PIXELS: usize = 980;
/// Side of the square whose area a slice is brought to, in the published `preprocessor_config.json`.
const SCALE_RESOLUTION: u32 = 448;
/// Most slices, in the published `config.json` and code.
const MAX_SLICE_NUMS: u32 = 9;
/// Tokens after which M3-AGIQA cuts a conversation (AGIQA-3K, AIGCIQA2023; 768 for AIGIQA-20K).
const MAX_LEN: usize = 512;

impl From<Written> for Config {
    fn from(written: Written) -> Self {
        let slicing = written.slice_config.unwrap_or_default();
        let is_cut = written.slice_mode.unwrap_or(true);
        let most = written.max_slice_nums.or(slicing.max_slice_nums);
        let resolution = written.scale_resolution.or(slicing.scale_resolution);
        let heads = (written.llm.hidden_size / RESAMPLER_HEAD).max(1);
        let mut vision_config = written.vision_config;
        if written.drop_vision_last_layer == Some(true) {
            vision_config.num_hidden_layers = vision_config.num_hidden_layers.saturating_sub(1);
        }
        Self {
            llm: written.llm,
            vision_config,
            query_num: written.query_num,
            resampler_heads: written.resampler_heads.unwrap_or(heads),
            scale_resolution: resolution.unwrap_or(SCALE_RESOLUTION),
            max_slice_nums: match is_cut {
                true => most.unwrap_or(MAX_SLICE_NUMS),
                false => 1,
            },
            max_len: written.max_len.unwrap_or(MAX_LEN),
        }
    }
}

impl From<WrittenVision> for VisionConfig {
    fn from(written: WrittenVision) -> Self {
        let pixels = written.image_size.unwrap_or(POSITION_PIXELS);
        let side = pixels / written.patch_size.max(1);
        Self {
            hidden_size: written.hidden_size,
            intermediate_size: written.intermediate_size,
            num_hidden_layers: written.num_hidden_layers,
            num_attention_heads: written.num_attention_heads,
            patch_size: written.patch_size,
            position_grid: written.position_grid.unwrap_or(side),
            layer_norm_eps: written.layer_norm_eps.unwrap_or(1e-6),
            stem: written.stem,
            position_ids: written.position_ids.unwrap_or(PositionIds::Published),
        }
    }
}

impl Config {
    /// The sizes that memory depends on.
    pub fn sizes(self) -> Sizes {
        let vision = &self.vision_config;
        let side = self.scale_resolution as usize / vision.patch_size.max(1);
        Sizes {
            max_len: self.max_len,
            vision: [
                vision.hidden_size,
                vision.intermediate_size,
                vision.num_attention_heads,
            ],
            vision_layers: vision.num_hidden_layers,
            // Slices have about the area of the square, whatever their sides.
            patches: side * side * 21 / 20,
            pictures: match self.max_slice_nums as usize {
                0 | 1 => [1, 1],
                slices => [TOGETHER, slices + 1],
            },
            llm: self.llm,
        }
    }

    /// Reads `config.json` in either form; the hub's `preprocessor_config.json`, where it is there, says how pictures
    /// are cut.
    ///
    /// # Errors
    /// What cannot be read, in words.
    pub fn read(config: &str, preprocessor: Option<&str>) -> Result<Self, String> {
        let mut read: Self = serde_json::from_str(config).map_err(|error| error.to_string())?;
        if let Some(text) = preprocessor {
            let slicing: Slicing = serde_json::from_str(text)
                .map_err(|error| format!("preprocessor_config.json: {error}"))?;
            read.scale_resolution = slicing.scale_resolution.unwrap_or(read.scale_resolution);
            if read.max_slice_nums > 1 {
                read.max_slice_nums = slicing.max_slice_nums.unwrap_or(read.max_slice_nums);
            }
        }
        let llm = &read.llm;
        let vision = &read.vision_config;
        let divides = |width: usize, heads: usize| heads > 0 && width.is_multiple_of(heads);
        let is_sound = divides(llm.hidden_size, llm.num_attention_heads)
            && divides(llm.num_attention_heads, llm.num_key_value_heads)
            && divides(llm.hidden_size, read.resampler_heads)
            && divides(llm.hidden_size, 4)
            && divides(vision.hidden_size, vision.num_attention_heads)
            && vision.patch_size > 0;
        match is_sound {
            true => Ok(read),
            false => Err("its widths cannot be divided by its heads".to_owned()),
        }
    }

    /// The embedded small model: `vocab_size` tokens, a stem that keeps native pixels.
    pub fn mini(vocab_size: usize, stem: StemConfig) -> Self {
        Self {
            llm: LlmConfig {
                hidden_size: 192,
                intermediate_size: 512,
                num_hidden_layers: 3,
                num_attention_heads: 6,
                num_key_value_heads: 3,
                vocab_size,
                rms_norm_eps: 1e-5,
                rope_theta: 10_000.0,
                qkv_bias: false,
            },
            vision_config: VisionConfig {
                hidden_size: 192,
                intermediate_size: 384,
                num_hidden_layers: 1,
                num_attention_heads: 4,
                patch_size: stem.patch_pixels(),
                position_grid: 16,
                layer_norm_eps: 1e-6,
                stem: Some(stem),
                position_ids: PositionIds::Grid,
            },
            query_num: 24,
            resampler_heads: 4,
            scale_resolution: 512,
            max_slice_nums: 4,
            max_len: 512,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The published `config.json`, without what does not matter here.
    const HUB: &str = r#"{
        "architectures": ["MiniCPMV"], "batch_vision_input": true, "drop_vision_last_layer": false,
        "hidden_act": "silu", "hidden_size": 4096, "image_size": 448, "intermediate_size": 14336,
        "max_position_embeddings": 8192, "model_type": "minicpmv", "num_attention_heads": 32,
        "num_hidden_layers": 32, "num_key_value_heads": 8, "patch_size": 14, "query_num": 96,
        "rms_norm_eps": 1e-05, "rope_scaling": null, "rope_theta": 500000.0,
        "slice_config": {"max_slice_nums": 9, "patch_size": 14, "model_type": "minicpmv"}, "slice_mode": true,
        "torch_dtype": "float16", "version": "2.5", "vocab_size": 128256,
        "vision_config": {"hidden_size": 1152, "image_size": 980, "intermediate_size": 4304,
            "model_type": "idefics2", "num_attention_heads": 16, "num_hidden_layers": 27, "patch_size": 14}
    }"#;

    #[test]
    fn the_hubs_form_gives_the_published_geometry() -> Result<(), String> {
        let preprocessor = r#"{"max_slice_nums": 4, "scale_resolution": 448, "version": 2.5}"#;
        let config = Config::read(HUB, None)?;
        let vision = &config.vision_config;
        assert_eq!((config.resampler_heads, config.query_num), (32, 96));
        assert_eq!((config.scale_resolution, config.max_slice_nums), (448, 9));
        assert_eq!((vision.position_grid, vision.num_hidden_layers), (70, 27));
        assert_eq!(vision.position_ids, PositionIds::Published);
        assert_eq!(config.max_len, 512);
        assert_eq!(Config::read(HUB, Some(preprocessor))?.max_slice_nums, 4);
        Ok(())
    }

    #[test]
    fn what_is_written_is_read_again() -> Result<(), String> {
        let config = Config::read(HUB, None)?;
        let text = serde_json::to_string(&config).map_err(|error| error.to_string())?;
        assert_eq!(Config::read(&text, None)?, config);
        Ok(())
    }

    #[test]
    fn impossible_sizes_are_refused() {
        let odd = HUB.replace("\"num_key_value_heads\": 8", "\"num_key_value_heads\": 0");
        assert!(Config::read(&odd, None).is_err());
    }
}
