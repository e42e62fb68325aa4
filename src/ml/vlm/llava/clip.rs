//! The tower: CLIP's vision transformer (Radford et al. 2021), as far as the layer that is read.

use candle_core::{Result, Tensor};

use super::config::Config;
use crate::ml::vlm::encoder::{EncoderLayer, EncoderSizes};
use crate::ml::vlm::ops::{LayerNorm, Mode, quick_gelu};
use crate::ml::vlm::tape::Tape;
use crate::ml::vlm::weights::{Matrix, Weights};

/// The tower. Layers behind the one that is read are not loaded.
pub(super) struct ClipTower {
    feature_layers: Vec<usize>,
    class_embedding: Tensor,
    patch_embedding: Matrix,
    position_embedding: Tensor,
    pre_layrnorm: LayerNorm,
    layers: Vec<EncoderLayer>,
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
        let sizes = EncoderSizes {
            width,
            inner: cfg.intermediate_size,
            heads: cfg.num_attention_heads,
            eps,
        };
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
                .map(|index| EncoderLayer::new(sizes, &layers.pp(index)))
                .collect::<Result<_>>()?,
            feature_layers: config.feature_layers.clone(),
            mode,
        })
    }

    /// States `(1, 1 + patches, hidden)` before the first layer and after every one that is loaded, of patches
    /// `(1, patches, 3 * patch * patch)`, row by row.
    pub(super) fn states<'a>(
        &'a self,
        patches: &Tensor,
        tape: &mut Tape<'a>,
    ) -> Result<Vec<Tensor>> {
        let class = self.class_embedding.reshape((1, 1, ()))?;
        let x = Tensor::cat(&[&class, &self.patch_embedding.forward(patches)?], 1)?
            .broadcast_add(&self.position_embedding)?;
        let mut x = self.pre_layrnorm.forward(self.mode, &x)?;
        let mut states = vec![x.clone()];
        for layer in &self.layers {
            x = tape.layer(&x, |x| layer.forward(self.mode, x, quick_gelu))?;
            states.push(x.clone());
        }
        Ok(states)
    }

    /// The states that the projector reads, `(1, 1 + patches, hidden * layers)`.
    pub(super) fn features<'a>(&'a self, patches: &Tensor, tape: &mut Tape<'a>) -> Result<Tensor> {
        let states = self.states(patches, tape)?;
        let read: Vec<&Tensor> = self
            .feature_layers
            .iter()
            .map(|run| &states[*run])
            .collect();
        Tensor::cat(&read, 2)
    }
}
