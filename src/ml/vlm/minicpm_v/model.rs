//! The join: pictures through tower and resampler into the places that the conversation holds for them.

use std::ops::Range;

use candle_core::{DType, Device, Result, Tensor};

use super::config::Config;
use super::resampler::Resampler;
use super::vision::{VisionTower, longest, pixels};
use crate::domain::Picture;
use crate::ml::vlm::backbone::{Inspected, Sequence};
use crate::ml::vlm::kv_cache::KvCache;
use crate::ml::vlm::llama::Llama;
use crate::ml::vlm::ops::Mode;
use crate::ml::vlm::tape::Tape;
use crate::ml::vlm::weights::Weights;

/// The whole model.
pub struct MiniCpmV {
    config: Config,
    vision: VisionTower,
    resampler: Resampler,
    llm: Llama,
    device: Device,
    dtype: DType,
}

impl MiniCpmV {
    /// Loads `vpm.*`, `resampler.*` and `llm.*`.
    ///
    /// # Errors
    /// Missing or wrongly shaped tensors, named.
    pub fn new(config: &Config, mode: Mode, weights: &Weights) -> Result<Self> {
        Ok(Self {
            vision: VisionTower::new(&config.vision_config, mode, &weights.pp("vpm"))?,
            resampler: Resampler::new(config, mode, &weights.pp("resampler"))?,
            llm: Llama::new(&config.llm, mode, &weights.pp("llm"))?,
            config: config.clone(),
            device: weights.device().clone(),
            dtype: weights.dtype(),
        })
    }

    /// Its sizes.
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// The decoder.
    pub const fn llm(&self) -> &Llama {
        &self.llm
    }

    /// Patches of one picture, before anything that is trained with the language model.
    ///
    /// # Errors
    /// Sides that are no multiple of the patch.
    pub fn patches(&self, picture: &Picture) -> Result<(Tensor, [usize; 2])> {
        self.vision
            .patches(&pixels(picture, &self.device)?.to_dtype(self.dtype)?)
    }

    /// Image tokens `(batch, queries, hidden)` of patches `(batch, rows * cols, values)`.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn image_tokens(&self, patches: &Tensor, grid: [usize; 2]) -> Result<Tensor> {
        self.resampler
            .forward(&self.vision.forward(patches, grid)?, grid)
    }

    /// Image tokens `(queries, hidden)` of every picture of a sliced image.
    ///
    /// # Errors
    /// Failed tensor operations.
    pub fn encode<'a>(&'a self, pictures: &[Picture], tape: &mut Tape<'a>) -> Result<Vec<Tensor>> {
        let patches = self.patches_of_all(pictures)?;
        let features = self.vision.forward_all(&patches, tape)?;
        let pairs = features.iter().zip(&patches);
        pairs
            .map(|(features, (_, grid))| {
                let grid = *grid;
                let read = move |features: &Tensor| self.resampler.forward(features, grid);
                tape.layer(&features.unsqueeze(0)?, read)?.squeeze(0)
            })
            .collect()
    }

    fn patches_of_all(&self, pictures: &[Picture]) -> Result<Vec<(Tensor, [usize; 2])>> {
        pictures
            .iter()
            .map(|picture| self.patches(picture))
            .collect()
    }

    /// As [`MiniCpmV::encode`], with everything on the way.
    ///
    /// # Errors
    /// Failed tensor operations.
    pub fn inspect(&self, pictures: &[Picture]) -> Result<Vec<Inspected>> {
        let patches = self.patches_of_all(pictures)?;
        let (features, longest) = (
            self.vision.forward_all(&patches, &mut Tape::off())?,
            longest(&patches),
        );
        let read = self.encode(pictures, &mut Tape::off())?;
        let all = pictures
            .iter()
            .zip(&patches)
            .zip(features.into_iter().zip(read));
        all.map(|((picture, (_, grid)), (vision, features))| {
            let pixels = pixels(picture, &self.device)?.squeeze(0)?;
            let ids = self.vision.position_ids(*grid, longest);
            Ok(Inspected {
                pixels: pixels.permute((2, 0, 1))?.contiguous()?,
                position_ids: Tensor::new(ids, &self.device)?,
                vision,
                features,
            })
        })
        .collect()
    }

    /// Embeddings `(tokens, hidden)` of the tokens of a sequence in `range`, image tokens in their places.
    ///
    /// # Errors
    /// Ids outside the vocabulary.
    pub fn embed(
        &self,
        sequence: &Sequence,
        images: &[Tensor],
        range: Range<usize>,
    ) -> Result<Tensor> {
        self.llm.embed_sequence(sequence, images, range)
    }

    /// Last hidden states `(rows, 1, hidden)` of one token of text a row behind what the cache holds.
    ///
    /// # Errors
    /// Failed tensor operations.
    pub fn step(&self, ids: &[u32], cache: &mut KvCache) -> Result<Tensor> {
        let embeds = self.llm.embed(&Tensor::new(ids, &self.device)?)?;
        self.llm.forward(&embeds.unsqueeze(1)?, cache)
    }
}
