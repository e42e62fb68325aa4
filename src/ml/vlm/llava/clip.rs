//! The tower: CLIP's vision transformer (Radford et al. 2021), as far as the layer that is read.

use candle_core::{Result, Tensor};

use super::config::{Config, VisionConfig};
use crate::ml::vlm::ops::{LayerNorm, Linear, Mode, attention, merge_heads, split_heads};
use crate::ml::vlm::weights::{Matrix, Weights};

struct Layer {
    layer_norm1: LayerNorm,
    q_proj: Linear,
    k_proj: Linear,
    v_proj: Linear,
    out_proj: Linear,
    layer_norm2: LayerNorm,
    fc1: Linear,
    fc2: Linear,
}

impl Layer {
    fn new(cfg: &VisionConfig, weights: &Weights) -> Result<Self> {
        let (width, inner, eps) = (cfg.hidden_size, cfg.intermediate_size, cfg.layer_norm_eps);
        let attn = weights.pp("self_attn");
        let square = |name: &str| Linear::with_bias(width, width, &attn.pp(name));
        Ok(Self {
            layer_norm1: LayerNorm::new(width, eps, &weights.pp("layer_norm1"))?,
            q_proj: square("q_proj")?,
            k_proj: square("k_proj")?,
            v_proj: square("v_proj")?,
            out_proj: square("out_proj")?,
            layer_norm2: LayerNorm::new(width, eps, &weights.pp("layer_norm2"))?,
            fc1: Linear::with_bias(inner, width, &weights.pp("mlp").pp("fc1"))?,
            fc2: Linear::with_bias(width, inner, &weights.pp("mlp").pp("fc2"))?,
        })
    }
}

/// The tower. Layers behind the one that is read are not loaded.
pub(super) struct ClipTower {
    cfg: VisionConfig,
    feature_layers: Vec<usize>,
    class_embedding: Tensor,
    patch_embedding: Matrix,
    position_embedding: Tensor,
    pre_layrnorm: LayerNorm,
    layers: Vec<Layer>,
    mode: Mode,
}

impl ClipTower {
    /// Loads `embeddings`, `pre_layrnorm` (so it is spelled) and `encoder.layers` as far as they are read.
    pub(super) fn new(config: &Config, mode: Mode, weights: &Weights) -> Result<Self> {
        let cfg = &config.vision;
        let (width, patch, eps) = (cfg.hidden_size, cfg.patch_size, cfg.layer_norm_eps);
        let embeddings = weights.pp("embeddings");
        let needed = config.feature_layers.iter().copied().max().unwrap_or(0);
        let layers = weights.pp("encoder").pp("layers");
        Ok(Self {
            class_embedding: embeddings.get(width, "class_embedding")?,
            patch_embedding: embeddings.matrix_of(
                (width, 3, patch, patch),
                "patch_embedding.weight",
                |kernel| kernel.reshape((width, 3 * patch * patch)),
            )?,
            position_embedding: embeddings
                .get((cfg.num_patches() + 1, width), "position_embedding.weight")?,
            pre_layrnorm: LayerNorm::new(width, eps, &weights.pp("pre_layrnorm"))?,
            layers: (0..needed)
                .map(|index| Layer::new(cfg, &layers.pp(index)))
                .collect::<Result<_>>()?,
            feature_layers: config.feature_layers.clone(),
            cfg: cfg.clone(),
            mode,
        })
    }

    /// States `(1, 1 + patches, hidden)` before the first layer and after every one that is loaded, of patches
    /// `(1, patches, 3 * patch * patch)`, row by row.
    pub(super) fn states(&self, patches: &Tensor) -> Result<Vec<Tensor>> {
        let class = self.class_embedding.reshape((1, 1, ()))?;
        let x = Tensor::cat(&[&class, &self.patch_embedding.forward(patches)?], 1)?
            .broadcast_add(&self.position_embedding)?;
        let mut x = self.pre_layrnorm.forward(self.mode, &x)?;
        let mut states = vec![x.clone()];
        for layer in &self.layers {
            x = (self.attend(layer, &layer.layer_norm1.forward(self.mode, &x)?)? + x)?;
            let inner = layer
                .fc1
                .forward(&layer.layer_norm2.forward(self.mode, &x)?)?;
            x = (layer.fc2.forward(&quick_gelu(&inner)?)? + x)?;
            states.push(x.clone());
        }
        Ok(states)
    }

    /// The states that the projector reads, `(1, 1 + patches, hidden * layers)`.
    pub(super) fn features(&self, patches: &Tensor) -> Result<Tensor> {
        let states = self.states(patches)?;
        let read: Vec<&Tensor> = self
            .feature_layers
            .iter()
            .map(|run| &states[*run])
            .collect();
        Tensor::cat(&read, 2)
    }

    fn attend(&self, layer: &Layer, x: &Tensor) -> Result<Tensor> {
        let heads = self.cfg.num_attention_heads;
        let [q, k, v] = [&layer.q_proj, &layer.k_proj, &layer.v_proj]
            .map(|p| split_heads(&p.forward(x)?, heads));
        layer
            .out_proj
            .forward(&merge_heads(&attention(self.mode, &q?, &k?, &v?, None)?)?)
    }
}

/// `x * sigmoid(1.702 x)`.
fn quick_gelu(x: &Tensor) -> Result<Tensor> {
    x * candle_nn::ops::sigmoid(&(x * 1.702)?)?
}
