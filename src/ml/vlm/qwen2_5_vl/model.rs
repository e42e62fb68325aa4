//! The join: a picture through tower and merger into the place that the conversation holds for it.

use candle_core::{DType, Device, Tensor};
use tokenizers::Tokenizer;

use super::chat::Chat;
use super::config::Config;
use super::image::{patches, smart_resize};
use super::positions::{positions, rotary};
use super::vision::VisionTower;
use crate::domain::Picture;
use crate::ml::MlError;
use crate::ml::vlm::backbone::{Backbone, Ending, Facts, Inspected, Seen, Sequence};
use crate::ml::vlm::bicubic::resize;
use crate::ml::vlm::hub_config::Normalisation;
use crate::ml::vlm::kv_cache::KvCache;
use crate::ml::vlm::llama::Llama;
use crate::ml::vlm::ops::Mode;
use crate::ml::vlm::tape::Tape;
use crate::ml::vlm::weights::Weights;

/// The whole model.
pub struct Qwen2_5Vl {
    config: Config,
    chat: Chat,
    normalisation: Normalisation,
    vision: VisionTower,
    llm: Llama,
    device: Device,
    dtype: DType,
}

/// What is read from weights.
struct Network {
    vision: VisionTower,
    llm: Llama,
}

impl Network {
    fn new(config: &Config, mode: Mode, weights: &Weights) -> Result<Self, MlError> {
        // The hub's names, unless the weights have those that transformers keeps in memory since version 4.52.
        let below = |names: [&str; 2], probe: &str| {
            let newer = weights.pp(names[1]);
            match newer.contains(probe) {
                true => newer,
                false => weights.pp(names[0]),
            }
        };
        let visual = below(["visual", "model.visual"], "patch_embed.proj.weight");
        let llm = below(["model", "model.language_model"], "embed_tokens.weight");
        let head = weights.pp("lm_head");
        let head = (!config.is_tied).then_some(&head);
        Ok(Self {
            vision: VisionTower::new(&config.vision, mode, &visual)?,
            llm: Llama::of_parts(&config.llm, mode, &llm, head)?,
        })
    }
}

/// Asks weights for everything that the model reads, and keeps nothing.
///
/// # Errors
/// Missing or wrongly shaped tensors, named.
pub fn list(config: &Config, mode: Mode, weights: &Weights) -> Result<(), MlError> {
    Network::new(config, mode, weights).map(drop)
}

impl Qwen2_5Vl {
    /// Loads a checkpoint in any of the hub's layouts.
    ///
    /// # Errors
    /// Missing or wrongly shaped tensors, named; a tokenizer of another model.
    pub fn new(
        config: &Config,
        mode: Mode,
        weights: &Weights,
        tokenizer: Tokenizer,
    ) -> Result<Self, MlError> {
        let Network { vision, llm } = Network::new(config, mode, weights)?;
        Ok(Self {
            chat: Chat::new(tokenizer)?,
            normalisation: Normalisation::new(config.image.mean, config.image.std),
            vision,
            llm,
            config: config.clone(),
            device: weights.device().clone(),
            dtype: weights.dtype(),
        })
    }

    /// Patches `(1, patches, values)` of a picture in groups, and rows and columns of patches.
    pub(super) fn patches(&self, picture: &Picture) -> Result<(Tensor, [usize; 2]), MlError> {
        let size = [picture.width, picture.height];
        let size = smart_resize(size, &self.config.image).map_err(MlError::Input)?;
        let resized = resize(picture, size);
        let (values, grid) = patches(&resized, &self.config.vision, &self.normalisation);
        let shape = (1, grid[0] * grid[1], self.config.vision.patch_values());
        let patches = Tensor::from_vec(values, shape, &self.device)?.to_dtype(self.dtype)?;
        Ok((patches, grid))
    }

    #[cfg(test)]
    pub(super) const fn vision(&self) -> &VisionTower {
        &self.vision
    }

    #[cfg(test)]
    pub(super) const fn llm(&self) -> &Llama {
        &self.llm
    }

    /// Rows and columns of a picture's image tokens.
    fn merged(&self, grid: [usize; 2]) -> [usize; 2] {
        grid.map(|patches| patches / self.config.vision.spatial_merge_size)
    }

    fn ids(&self, ids: &[u32]) -> candle_core::Result<Tensor> {
        Tensor::new(ids, &self.device)
    }
}

/// Rows and columns of image tokens.
fn grid_of(seen: &Seen) -> [usize; 2] {
    let [cols, rows] = seen.grid.unwrap_or([1, 1]);
    [rows as usize, cols as usize]
}

impl Backbone for Qwen2_5Vl {
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

    fn decode(&self, ids: &[u32]) -> Result<String, MlError> {
        self.chat.decode(ids)
    }

    fn look_taped<'a>(&'a self, picture: &Picture, tape: &mut Tape<'a>) -> Result<Seen, MlError> {
        let (patches, grid) = self.patches(picture)?;
        let last = self.vision.last(&patches, grid, tape)?;
        let [rows, cols] = self.merged(grid);
        let merged = tape.layer(&last, move |last| self.vision.merge(last, grid))?;
        Ok(Seen {
            images: vec![merged],
            grid: Some([cols as u32, rows as u32]),
        })
    }

    fn inspect(&self, picture: &Picture) -> Result<Vec<Inspected>, MlError> {
        let (patches, grid) = self.patches(picture)?;
        let last = self.vision.last(&patches, grid, &mut Tape::off())?;
        let cfg = &self.config.vision;
        let (patch, merge) = (cfg.patch_size, cfg.spatial_merge_size);
        let [rows, cols] = self.merged(grid);
        let frame = patches
            .reshape((
                rows,
                cols,
                merge,
                merge,
                3,
                cfg.temporal_patch_size * patch * patch,
            ))?
            .narrow(5, 0, patch * patch)?
            .reshape(vec![rows, cols, merge, merge, 3, patch, patch])?;
        let positions: Vec<u32> = (0..(grid[0] * grid[1]) as u32).collect();
        Ok(vec![Inspected {
            pixels: frame.permute(vec![4, 0, 2, 5, 1, 3, 6])?.reshape((
                3,
                grid[0] * patch,
                grid[1] * patch,
            ))?,
            position_ids: self.ids(&positions)?,
            features: self.vision.merge(&last, grid)?,
            vision: last.squeeze(0)?,
        }])
    }

    fn sequence(
        &self,
        seen: &Seen,
        messages: &[&str],
        ending: Ending,
    ) -> Result<Sequence, MlError> {
        let [rows, cols] = grid_of(seen);
        self.chat.sequence(rows * cols, messages, ending)
    }

    fn embeds(&self, sequence: &Sequence, seen: &Seen) -> Result<Tensor, MlError> {
        let all = 0..sequence.ids.len();
        Ok(self.llm.embed_sequence(sequence, &seen.images, all)?)
    }

    fn pass(
        &self,
        sequence: &Sequence,
        end: usize,
        seen: &Seen,
        cache: &mut KvCache,
    ) -> Result<Tensor, MlError> {
        let start = cache.len();
        let embeds = self
            .llm
            .embed_sequence(sequence, &seen.images, start..end)?;
        let places = positions(sequence, grid_of(seen));
        let next = places[end].iter().copied().max().unwrap_or(0) as usize;
        let turns = rotary(&places[start..end], &self.config, self.dtype, &self.device)?;
        let embeds = embeds.unsqueeze(0)?;
        Ok(self.llm.forward_at(&embeds, &turns, &[next], cache)?)
    }

    fn whole_taped<'a>(
        &'a self,
        sequence: &Sequence,
        seen: &Seen,
        tape: &mut Tape<'a>,
    ) -> Result<Tensor, MlError> {
        let embeds = self.embeds(sequence, seen)?.unsqueeze(0)?;
        let places = positions(sequence, grid_of(seen));
        let places = &places[..sequence.ids.len()];
        let turns = rotary(places, &self.config, self.dtype, &self.device)?;
        Ok(self.llm.forward_taped_at(&embeds, &turns, tape)?)
    }

    fn step(&self, ids: &[u32], cache: &mut KvCache) -> Result<Tensor, MlError> {
        // In text all three positions are one, so that plain rotary positions are the same.
        let embeds = self.llm.embed(&self.ids(ids)?)?.unsqueeze(1)?;
        Ok(self.llm.forward(&embeds, cache)?)
    }

    fn logits(&self, hidden: &Tensor) -> Result<Tensor, MlError> {
        Ok(self.llm.logits(hidden)?)
    }

    fn lm_head(&self) -> Result<Tensor, MlError> {
        Ok(self.llm.lm_head()?)
    }
}
