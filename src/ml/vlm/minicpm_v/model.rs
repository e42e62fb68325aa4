//! The join: pictures through tower and resampler into the places that the conversation holds for them.

use candle_core::{DType, Device, Result, Tensor};
use candle_nn::VarBuilder;

use super::chat::Sequence;
use super::config::Config;
use super::resampler::Resampler;
use super::vision::{VisionTower, pixels};
use crate::domain::Picture;
use crate::ml::vlm::llama::{KvCache, Llama};
use crate::ml::vlm::ops::Mode;

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
    #[expect(
        clippy::needless_pass_by_value,
        reason = "candle's builders are passed by value everywhere"
    )]
    pub fn new(config: &Config, mode: Mode, vb: VarBuilder<'_>) -> Result<Self> {
        Ok(Self {
            vision: VisionTower::new(&config.vision_config, mode, vb.pp("vpm"))?,
            resampler: Resampler::new(config, mode, vb.pp("resampler"))?,
            llm: Llama::new(&config.llm, mode, vb.pp("llm"))?,
            config: config.clone(),
            device: vb.device().clone(),
            dtype: vb.dtype(),
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
    pub fn encode(&self, pictures: &[Picture]) -> Result<Vec<Tensor>> {
        pictures
            .iter()
            .map(|picture| {
                let (patches, grid) = self.patches(picture)?;
                self.image_tokens(&patches, grid)?.squeeze(0)
            })
            .collect()
    }

    /// Embeddings `(1, tokens, hidden)` with image tokens in their places; what the cut at `limit` leaves of a
    /// picture is used, the rest is dropped.
    ///
    /// # Errors
    /// Ids outside the vocabulary.
    pub fn embed(&self, sequence: &Sequence, images: &[Tensor], limit: usize) -> Result<Tensor> {
        let len = sequence.ids.len().min(limit);
        let ids = |range: std::ops::Range<usize>| Tensor::new(&sequence.ids[range], &self.device);
        let (mut parts, mut at) = (Vec::new(), 0);
        for (bounds, image) in sequence.image_bounds.iter().zip(images) {
            let [first, last] = bounds.map(|bound| bound.min(len));
            if first > at {
                parts.push(self.llm.embed(&ids(at..first)?)?);
            }
            if last > first {
                parts.push(image.narrow(0, 0, last - first)?);
            }
            at = last;
        }
        if at < len {
            parts.push(self.llm.embed(&ids(at..len)?)?);
        }
        Tensor::cat(&parts, 0)?.unsqueeze(0)
    }

    /// Last hidden states `(1, tokens, hidden)` of plain tokens behind what the cache holds.
    ///
    /// # Errors
    /// Failed tensor operations.
    pub fn step(&self, ids: &[u32], cache: &mut KvCache) -> Result<Tensor> {
        self.llm.forward(
            &self
                .llm
                .embed(&Tensor::new(ids, &self.device)?)?
                .unsqueeze(0)?,
            cache,
        )
    }
}
