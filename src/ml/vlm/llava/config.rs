//! Sizes of the model, read from `config.json` and `preprocessor_config.json` of a hub folder.

use serde::Deserialize;

use crate::ml::vlm::fit::Sizes;
use crate::ml::vlm::hub_config::{CLIP_MEAN, CLIP_STD, HubLlm, HubSize, expect_bicubic};
use crate::ml::vlm::llama::LlmConfig;

/// Token limit of a conversation whose features are taken, where the folder does not say: the picture alone takes 576.
const MAX_LEN: usize = 1024;

/// The whole model.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Vicuna.
    pub llm: LlmConfig,
    /// Whether the token embedding is the head as well.
    pub is_tied: bool,
    /// CLIP.
    pub vision: VisionConfig,
    /// Hidden states of the tower that are read, as numbers of layers that were run (23 of 24), side by side.
    pub feature_layers: Vec<usize>,
    /// Whether the tower's first token, which stands for no patch, is left out.
    pub drops_class: bool,
    /// Whether the projector has biases.
    pub projector_bias: bool,
    /// How pictures are brought to the tower's size.
    pub image: ImageConfig,
    /// Token limit of a conversation whose features are taken.
    pub max_len: usize,
    /// Tokens that the decoder was made for.
    pub max_positions: usize,
}

/// The tower: CLIP ViT-L/14 at 336 pixels unless the file says otherwise.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default)]
pub struct VisionConfig {
    /// Width.
    pub hidden_size: usize,
    /// Width of the feed-forward.
    pub intermediate_size: usize,
    /// Layers.
    pub num_hidden_layers: usize,
    /// Heads.
    pub num_attention_heads: usize,
    /// Pixels a side of the picture.
    pub image_size: usize,
    /// Pixels a side of a patch.
    pub patch_size: usize,
    /// Added to the variance in the norms.
    pub layer_norm_eps: f64,
    /// Between the feed-forward's matrices.
    pub hidden_act: String,
    model_type: String,
}

impl Default for VisionConfig {
    fn default() -> Self {
        Self {
            hidden_size: 1024,
            intermediate_size: 4096,
            num_hidden_layers: 24,
            num_attention_heads: 16,
            image_size: 336,
            patch_size: 14,
            layer_norm_eps: 1e-5,
            hidden_act: "quick_gelu".to_owned(),
            model_type: "clip_vision_model".to_owned(),
        }
    }
}

impl VisionConfig {
    /// Patches of a picture.
    pub const fn num_patches(&self) -> usize {
        (self.image_size / self.patch_size) * (self.image_size / self.patch_size)
    }
}

/// How pictures are brought to the tower's size.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ImageConfig {
    /// Whether a picture is padded to a square before; otherwise what stands over on the longer side is cut off.
    pub pads: bool,
    /// What the shorter edge is brought to.
    pub shortest_edge: u32,
    /// Side of the square that is cut from the middle.
    pub crop: u32,
    /// Mean of each channel.
    pub mean: [f64; 3],
    /// Deviation of each channel.
    pub std: [f64; 3],
}

#[derive(Deserialize)]
struct Hub {
    #[serde(default)]
    text_config: HubLlm,
    #[serde(default)]
    vision_config: VisionConfig,
    #[serde(default = "second_to_last")]
    vision_feature_layer: Layers,
    #[serde(default = "default_strategy")]
    vision_feature_select_strategy: String,
    #[serde(default = "gelu")]
    projector_hidden_act: String,
    #[serde(default = "yes")]
    multimodal_projector_bias: bool,
    #[serde(default)]
    tie_word_embeddings: bool,
    max_len: Option<usize>,
}

/// Layers counted from the end where negative.
#[derive(Deserialize)]
#[serde(untagged)]
enum Layers {
    One(i64),
    Several(Vec<i64>),
}

#[derive(Deserialize, Default)]
struct Preprocessor {
    size: Option<HubSize>,
    crop_size: Option<HubSize>,
    do_pad: Option<bool>,
    do_center_crop: Option<bool>,
    image_mean: Option<[f64; 3]>,
    image_std: Option<[f64; 3]>,
    resample: Option<u32>,
}

const fn second_to_last() -> Layers {
    Layers::One(-2)
}

fn default_strategy() -> String {
    "default".to_owned()
}

fn gelu() -> String {
    "gelu".to_owned()
}

const fn yes() -> bool {
    true
}

/// Vicuna-7B: what `text_config` leaves out.
const fn vicuna() -> LlmConfig {
    LlmConfig {
        hidden_size: 4096,
        intermediate_size: 11_008,
        num_hidden_layers: 32,
        num_attention_heads: 32,
        num_key_value_heads: 32,
        vocab_size: 32_000,
        rms_norm_eps: 1e-6,
        rope_theta: 10_000.0,
        qkv_bias: false,
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
        hub.refuse()?;
        let layers = match &hub.vision_feature_layer {
            Layers::One(layer) => vec![*layer],
            Layers::Several(layers) => layers.clone(),
        };
        Ok(Self {
            llm: hub.text_config.sizes(&vicuna())?,
            is_tied: hub.tie_word_embeddings || hub.text_config.tie_word_embeddings == Some(true),
            feature_layers: layers
                .into_iter()
                .map(|layer| counted(layer, hub.vision_config.num_hidden_layers))
                .collect::<Result<_, _>>()?,
            drops_class: hub.vision_feature_select_strategy == "default",
            projector_bias: hub.multimodal_projector_bias,
            image: ImageConfig::new(&seen, &hub.vision_config)?,
            max_len: hub.max_len.unwrap_or(MAX_LEN),
            max_positions: hub.text_config.max_positions(4096),
            vision: hub.vision_config,
        })
    }

    /// What the memory of a conversation follows from.
    pub fn sizes(self) -> Sizes {
        Sizes {
            llm: self.llm,
            max_len: self.max_len,
            vision: [
                self.vision.hidden_size,
                self.vision.intermediate_size,
                self.vision.num_attention_heads,
            ],
            vision_layers: self.vision.num_hidden_layers,
            patches: self.vision.num_patches() + 1,
            pictures: [1, 1],
        }
    }

    /// Image tokens of a picture.
    pub const fn image_tokens(&self) -> usize {
        self.vision.num_patches() + if self.drops_class { 0 } else { 1 }
    }
}

impl Hub {
    fn refuse(&self) -> Result<(), String> {
        let vision = &self.vision_config;
        let expectations = [
            ("the tower", "clip_vision_model", &vision.model_type),
            ("the tower's activation", "quick_gelu", &vision.hidden_act),
            (
                "the projector's activation",
                "gelu",
                &self.projector_hidden_act,
            ),
        ];
        for (what, expected, got) in expectations {
            if got != expected {
                return Err(format!("expected {expected} as {what}, got {got}"));
            }
        }
        if vision.patch_size == 0 || !vision.image_size.is_multiple_of(vision.patch_size) {
            return Err(format!(
                "patches of {} pixels do not divide pictures of {}",
                vision.patch_size, vision.image_size
            ));
        }
        Ok(())
    }
}

/// A layer of `num_layers` as the number of layers that are run for it.
fn counted(layer: i64, num_layers: usize) -> Result<usize, String> {
    let from_end = num_layers as i64 + 1 + layer;
    let run = if layer < 0 { from_end } else { layer };
    usize::try_from(run)
        .ok()
        .filter(|run| *run <= num_layers)
        .ok_or_else(|| format!("a tower of {num_layers} layers has no feature layer {layer}"))
}

impl ImageConfig {
    fn new(seen: &Preprocessor, vision: &VisionConfig) -> Result<Self, String> {
        let side = vision.image_size as u32;
        let shortest_edge = match seen.size {
            None => side,
            Some(
                HubSize::Side(edge)
                | HubSize::Named {
                    shortest_edge: Some(edge),
                    ..
                },
            ) => edge,
            Some(other) => return Err(format!("expected a shortest_edge as size, got {other:?}")),
        };
        let crop = match seen.crop_size {
            None => side,
            Some(HubSize::Side(crop)) => crop,
            Some(HubSize::Named {
                height: Some(height),
                width: Some(width),
                ..
            }) if height == width => height,
            Some(other) => return Err(format!("expected a square as crop_size, got {other:?}")),
        };
        if crop != side || shortest_edge < crop || seen.do_center_crop == Some(false) {
            return Err(format!(
                "pictures are brought to a shorter edge of {shortest_edge} and cut to {crop} pixels, the tower reads \
                 {side}"
            ));
        }
        Ok(Self {
            pads: seen.do_pad == Some(true),
            shortest_edge,
            crop,
            mean: seen.image_mean.unwrap_or(CLIP_MEAN),
            std: seen.image_std.unwrap_or(CLIP_STD),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hubs_short_file_means_vicuna_and_vit_l() {
        let json = r#"{"model_type": "llava", "image_token_index": 32000, "vision_feature_layer": -2,
            "text_config": {"model_type": "llama", "rms_norm_eps": 1e-05, "vocab_size": 32064,
                "max_position_embeddings": 4096},
            "vision_config": {"model_type": "clip_vision_model", "hidden_size": 1024, "image_size": 336,
                "intermediate_size": 4096, "num_attention_heads": 16, "num_hidden_layers": 24, "patch_size": 14}}"#;
        let config = Config::read(json, None).unwrap();
        assert_eq!(config.llm.num_hidden_layers, 32);
        assert_eq!(config.llm.intermediate_size, 11_008);
        assert_eq!(config.feature_layers, [23]);
        assert_eq!(config.image_tokens(), 576);
        assert_eq!((config.image.shortest_edge, config.image.crop), (336, 336));
    }

    #[test]
    fn what_does_not_fit_together_is_said() {
        let other = r#"{"vision_config": {"model_type": "siglip_vision_model"}}"#;
        assert!(Config::read(other, None).is_err_and(|why| why.contains("clip_vision_model")));
        let layer = r#"{"vision_feature_layer": -26}"#;
        assert!(Config::read(layer, None).is_err_and(|why| why.contains("no feature layer -26")));
        let filter = Config::read("{}", Some(r#"{"resample": 2}"#));
        assert!(filter.is_err_and(|why| why.contains("bicubic")));
        let crop = r#"{"crop_size": {"height": 224, "width": 224}}"#;
        assert!(Config::read("{}", Some(crop)).is_err_and(|why| why.contains("224")));
    }
}
