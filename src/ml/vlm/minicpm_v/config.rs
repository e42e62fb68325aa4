//! Sizes of the model, read from `config.json`.

use serde::{Deserialize, Serialize};

use super::stem::StemConfig;
use crate::ml::vlm::llama::LlmConfig;

/// The whole model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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

/// The two readings of the tower's position ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PositionIds {
    /// Row and column bucket of every patch.
    Grid,
    /// As MiniCPM-Llama3-V-2.5 was published: all patches in one row, so that only the column bucket varies.
    Published,
}

impl Config {
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
