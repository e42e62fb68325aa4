//! The join: a picture through tower and projector into the place that the conversation holds for it.

use candle_core::{Device, Result, Tensor};
use tokenizers::Tokenizer;

use super::chat::Chat;
use super::clip::ClipTower;
use super::config::Config;
use super::image::square;
use super::names::Parts;
use crate::domain::Picture;
use crate::ml::MlError;
use crate::ml::vlm::backbone::{Backbone, Ending, Facts, Inspected, Seen, Sequence};
use crate::ml::vlm::hub_config::Normalisation;
use crate::ml::vlm::kv_cache::KvCache;
use crate::ml::vlm::llama::Llama;
use crate::ml::vlm::ops::{Linear, Mode};
use crate::ml::vlm::tape::Tape;
use crate::ml::vlm::weights::Weights;

/// The whole model.
pub struct Llava {
    config: Config,
    chat: Chat,
    normalisation: Normalisation,
    vision: ClipTower,
    linear_1: Linear,
    linear_2: Linear,
    llm: Llama,
    device: Device,
    dtype: candle_core::DType,
}

/// What is read from weights.
struct Network {
    vision: ClipTower,
    linear_1: Linear,
    linear_2: Linear,
    llm: Llama,
}

impl Network {
    fn new(config: &Config, mode: Mode, weights: &Weights) -> std::result::Result<Self, MlError> {
        let parts = Parts::find(weights).map_err(MlError::Weights)?;
        let (inner, width) = (
            config.vision.hidden_size * config.feature_layers.len(),
            config.llm.hidden_size,
        );
        let linear = |name: &str, inner| match config.projector_bias {
            true => Linear::with_bias(width, inner, &parts.projector.pp(name)),
            false => Linear::new(width, inner, &parts.projector.pp(name)),
        };
        let head = parts.head(config.is_tied);
        Ok(Self {
            vision: ClipTower::new(config, mode, &parts.vision)?,
            linear_1: linear("linear_1", inner)?,
            linear_2: linear("linear_2", width)?,
            llm: Llama::of_parts(&config.llm, mode, &parts.llm, head.as_ref())?,
        })
    }
}

/// Asks weights for everything that the model reads, and keeps nothing.
///
/// # Errors
/// Missing or wrongly shaped tensors, named.
pub fn list(config: &Config, mode: Mode, weights: &Weights) -> std::result::Result<(), MlError> {
    Network::new(config, mode, weights).map(drop)
}

impl Llava {
    /// Loads a checkpoint in any of the hub's layouts.
    ///
    /// # Errors
    /// Missing or wrongly shaped tensors, named; a tokenizer of another model.
    pub fn new(
        config: &Config,
        mode: Mode,
        weights: &Weights,
        tokenizer: Tokenizer,
    ) -> std::result::Result<Self, MlError> {
        let Network {
            vision,
            linear_1,
            linear_2,
            llm,
        } = Network::new(config, mode, weights)?;
        Ok(Self {
            chat: Chat::new(tokenizer)?,
            normalisation: Normalisation::new(config.image.mean, config.image.std),
            vision,
            linear_1,
            linear_2,
            llm,
            config: config.clone(),
            device: weights.device().clone(),
            dtype: weights.dtype(),
        })
    }

    /// Patches `(1, patches, 3 * patch * patch)` of a picture of the tower's size, row by row, normalised.
    pub(super) fn patches(&self, picture: &Picture) -> Result<Tensor> {
        let (side, patch) = (self.config.vision.image_size, self.config.vision.patch_size);
        let count = side / patch;
        let values: Vec<f32> = picture
            .rgb
            .iter()
            .enumerate()
            .map(|(at, byte)| self.normalisation.value(*byte, at % 3))
            .collect();
        Tensor::from_vec(values, (count, patch, count, patch, 3), &Device::Cpu)?
            .permute((0, 2, 4, 1, 3))?
            .reshape((1, count * count, 3 * patch * patch))?
            .to_device(&self.device)?
            .to_dtype(self.dtype)
    }

    #[cfg(test)]
    pub(super) const fn image_config(&self) -> &super::config::ImageConfig {
        &self.config.image
    }

    #[cfg(test)]
    pub(super) const fn vision(&self) -> &ClipTower {
        &self.vision
    }

    #[cfg(test)]
    pub(super) const fn llm(&self) -> &Llama {
        &self.llm
    }

    /// What the projector reads, `(1, patches, hidden * layers)`.
    fn read<'a>(&'a self, patches: &Tensor, tape: &mut Tape<'a>) -> Result<Tensor> {
        let states = self.vision.features(patches, tape)?;
        match self.config.drops_class {
            true => states.narrow(1, 1, states.dim(1)? - 1),
            false => Ok(states),
        }
    }

    /// Image tokens `(1, tokens, hidden)`.
    pub(super) fn project(&self, read: &Tensor) -> Result<Tensor> {
        self.linear_2
            .forward(&self.linear_1.forward(read)?.gelu_erf()?)
    }

    /// A picture of the tower's size.
    fn squared(&self, picture: &Picture) -> std::result::Result<Picture, MlError> {
        if picture.width == 0 || picture.height == 0 {
            return Err(MlError::Input("the picture has no pixels".to_owned()));
        }
        Ok(square(picture, &self.config.image))
    }

    fn ids(&self, ids: &[u32]) -> Result<Tensor> {
        Tensor::new(ids, &self.device)
    }
}

impl Backbone for Llava {
    fn facts(&self) -> Facts {
        Facts {
            hidden_size: self.config.llm.hidden_size,
            vocab_size: self.config.llm.vocab_size,
            max_len: self.config.max_len,
            max_prompt: self.config.max_positions,
        }
    }

    fn ends(&self) -> &[u32] {
        self.chat.ends()
    }

    fn decode(&self, ids: &[u32]) -> std::result::Result<String, MlError> {
        self.chat.decode(ids)
    }

    fn look_taped<'a>(
        &'a self,
        picture: &Picture,
        tape: &mut Tape<'a>,
    ) -> std::result::Result<Seen, MlError> {
        let patches = self.patches(&self.squared(picture)?)?;
        let read = self.read(&patches, tape)?;
        let image = tape.layer(&read, |read| self.project(read))?;
        Ok(Seen {
            images: vec![image.squeeze(0)?],
            grid: None,
        })
    }

    fn inspect(&self, picture: &Picture) -> std::result::Result<Vec<Inspected>, MlError> {
        let patches = self.patches(&self.squared(picture)?)?;
        let read = self.read(&patches, &mut Tape::off())?;
        let (side, patch) = (self.config.vision.image_size, self.config.vision.patch_size);
        let count = side / patch;
        let positions: Vec<u32> = (0..=(count * count) as u32).collect();
        Ok(vec![Inspected {
            pixels: patches
                .reshape((count, count, 3, patch, patch))?
                .permute((2, 0, 3, 1, 4))?
                .reshape((3, side, side))?,
            position_ids: self.ids(&positions)?,
            features: self.project(&read)?.squeeze(0)?,
            vision: read.squeeze(0)?,
        }])
    }

    fn sequence(
        &self,
        _seen: &Seen,
        messages: &[&str],
        ending: Ending,
    ) -> std::result::Result<Sequence, MlError> {
        self.chat
            .sequence(self.config.image_tokens(), messages, ending)
    }

    fn embeds(&self, sequence: &Sequence, seen: &Seen) -> std::result::Result<Tensor, MlError> {
        let all = 0..sequence.ids.len();
        Ok(self.llm.embed_sequence(sequence, &seen.images, all)?)
    }

    fn pass(
        &self,
        sequence: &Sequence,
        end: usize,
        seen: &Seen,
        cache: &mut KvCache,
    ) -> std::result::Result<Tensor, MlError> {
        let start = cache.len();
        let embeds = self
            .llm
            .embed_sequence(sequence, &seen.images, start..end)?;
        Ok(self.llm.forward(&embeds.unsqueeze(0)?, cache)?)
    }

    fn whole_taped<'a>(
        &'a self,
        sequence: &Sequence,
        seen: &Seen,
        tape: &mut Tape<'a>,
    ) -> std::result::Result<Tensor, MlError> {
        let embeds = self.embeds(sequence, seen)?.unsqueeze(0)?;
        Ok(self.llm.forward_taped(&embeds, tape)?)
    }

    fn step(&self, ids: &[u32], cache: &mut KvCache) -> std::result::Result<Tensor, MlError> {
        let embeds = self.llm.embed(&self.ids(ids)?)?.unsqueeze(1)?;
        Ok(self.llm.forward(&embeds, cache)?)
    }

    fn logits(&self, hidden: &Tensor) -> std::result::Result<Tensor, MlError> {
        Ok(self.llm.logits(hidden)?)
    }

    fn lm_head(&self) -> std::result::Result<Tensor, MlError> {
        Ok(self.llm.lm_head()?)
    }
}
