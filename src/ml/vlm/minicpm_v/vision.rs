//! The vision tower: SigLIP (Zhai et al. 2023) in the idefics2 form, which keeps aspect ratios, or with a
//! convolutional stem in place of its patch embedding.

use candle_core::{DType, Device, Result, Tensor};

use super::config::{PositionIds, VisionConfig};
use super::stem::Stem;
use crate::ml::vlm::encoder::{EncoderLayer, EncoderSizes};
use crate::ml::vlm::ops::{LayerNorm, Linear, Mode, gelu};
use crate::ml::vlm::tape::Tape;
use crate::ml::vlm::weights::Weights;

const fn layer_sizes(cfg: &VisionConfig) -> EncoderSizes {
    EncoderSizes {
        width: cfg.hidden_size,
        inner: cfg.intermediate_size,
        heads: cfg.num_attention_heads,
        eps: cfg.layer_norm_eps,
    }
}

/// The tower.
pub struct VisionTower {
    cfg: VisionConfig,
    stem: Option<Stem>,
    patch_embedding: Linear,
    position_embedding: Tensor,
    layers: Vec<EncoderLayer>,
    post_layernorm: LayerNorm,
    mode: Mode,
}

impl VisionTower {
    /// Loads `vpm.*`; the patch embedding is read as a matrix over the values of a patch.
    ///
    /// # Errors
    /// Missing or wrongly shaped tensors.
    pub fn new(cfg: &VisionConfig, mode: Mode, weights: &Weights) -> Result<Self> {
        let embeddings = weights.pp("embeddings");
        let stem = cfg
            .stem
            .as_ref()
            .map(|stem| Stem::new(stem, &embeddings.pp("stem")))
            .transpose()?;
        let (width, buckets) = (cfg.hidden_size, cfg.position_grid * cfg.position_grid);
        Ok(Self {
            cfg: cfg.clone(),
            patch_embedding: patch_embedding(cfg, &embeddings.pp("patch_embedding"))?,
            stem,
            position_embedding: embeddings.get((buckets, width), "position_embedding.weight")?,
            layers: (0..cfg.num_hidden_layers)
                .map(|index| {
                    EncoderLayer::new(
                        layer_sizes(cfg),
                        &weights.pp("encoder").pp("layers").pp(index),
                    )
                })
                .collect::<Result<_>>()?,
            post_layernorm: LayerNorm::new(
                width,
                cfg.layer_norm_eps,
                &weights.pp("post_layernorm"),
            )?,
            mode,
        })
    }

    /// Patches `(1, rows * cols, values)` of one picture `(1, height, width, 3)`, with their rows and columns. They do
    /// not depend on anything that is trained with the language model, so training reads them from memory.
    ///
    /// # Errors
    /// Sides that are no multiple of the patch.
    pub fn patches(&self, pixels: &Tensor) -> Result<(Tensor, [usize; 2])> {
        let (_, height, width, _) = pixels.dims4()?;
        let patch = self.cfg.patch_size;
        let grid = [height / patch, width / patch];
        let patches = match &self.stem {
            Some(stem) => stem.patches(pixels)?,
            None => pixels
                .reshape((1, grid[0], patch, grid[1], patch, 3))?
                .permute((0, 1, 3, 5, 2, 4))?
                .reshape((1, grid[0], grid[1], 3 * patch * patch))?,
        };
        Ok((patches.reshape((1, grid[0] * grid[1], ()))?, grid))
    }

    /// Patches `(batch, rows * cols, values)` of pictures of one size to features `(batch, rows * cols, hidden)`; each
    /// picture is alone in its conversation.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn forward(&self, patches: &Tensor, grid: [usize; 2]) -> Result<Tensor> {
        self.forward_taped(patches, grid, &mut Tape::off())
    }

    fn forward_taped<'a>(
        &'a self,
        patches: &Tensor,
        grid: [usize; 2],
        tape: &mut Tape<'a>,
    ) -> Result<Tensor> {
        let ids = self.position_ids(grid, grid[0] * grid[1]);
        self.attend_all(patches, &ids, tape)
    }

    /// Features `(rows * cols, hidden)` of all pictures of one conversation, each patches `(1, rows * cols, values)` with
    /// its rows and columns, in order.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn forward_all<'a>(
        &'a self,
        pictures: &[(Tensor, [usize; 2])],
        tape: &mut Tape<'a>,
    ) -> Result<Vec<Tensor>> {
        if self.cfg.position_ids == PositionIds::Published {
            return self.forward_padded(pictures, tape);
        }
        let mut alone = |(patches, grid): &(Tensor, [usize; 2])| {
            self.forward_taped(patches, *grid, tape)?.squeeze(0)
        };
        pictures.iter().map(&mut alone).collect()
    }

    /// One batch, padded to the longest picture with patches of zeros that are attended to like any other.
    fn forward_padded<'a>(
        &'a self,
        pictures: &[(Tensor, [usize; 2])],
        tape: &mut Tape<'a>,
    ) -> Result<Vec<Tensor>> {
        let longest = longest(pictures);
        let padded = |(patches, _): &(Tensor, [usize; 2])| {
            patches.pad_with_zeros(1, 0, longest - patches.dim(1)?)
        };
        let padded: Vec<Tensor> = pictures.iter().map(padded).collect::<Result<_>>()?;
        // All patches stand in one row, so their ids are the batch's and not a picture's.
        let ids = self.position_ids([1, longest], longest);
        // No picture sees another one, so how many go together is a matter of memory alone.
        let together = match padded.first().is_some_and(|first| first.device().is_cpu()) {
            true => TOGETHER,
            false => padded.len().max(1),
        };
        let features: Vec<Tensor> = padded
            .chunks(together)
            .map(|some| self.attend_all(&Tensor::cat(some, 0)?, &ids, tape))
            .collect::<Result<_>>()?;
        let own = |(index, (_, [rows, cols])): (usize, &(Tensor, [usize; 2]))| {
            let features = features[index / together].get(index % together)?;
            features.narrow(0, 0, rows * cols)
        };
        pictures.iter().enumerate().map(own).collect()
    }

    fn attend_all<'a>(
        &'a self,
        patches: &Tensor,
        ids: &[u32],
        tape: &mut Tape<'a>,
    ) -> Result<Tensor> {
        let ids = Tensor::new(ids, patches.device())?;
        // Single precision, so that the gradients of patches that share a position add up in it.
        let positions = self.position_embedding.to_dtype(DType::F32)?;
        let positions = positions.index_select(&ids, 0)?.to_dtype(patches.dtype())?;
        let mut x = self
            .patch_embedding
            .forward(patches)?
            .broadcast_add(&positions)?;
        for layer in &self.layers {
            x = tape.layer(&x, |x| layer.forward(self.mode, x, gelu))?;
        }
        self.post_layernorm.forward(self.mode, &x)
    }

    /// Position id of every patch of a picture in a conversation whose longest picture has `longest` patches.
    pub fn position_ids(&self, [rows, cols]: [usize; 2], longest: usize) -> Vec<u32> {
        let side = self.cfg.position_grid;
        let count = match self.cfg.position_ids {
            PositionIds::Grid => {
                let id = |patch: usize| {
                    bucket(patch / cols, rows, side) * side + bucket(patch % cols, cols, side)
                };
                return (0..rows * cols).map(|patch| id(patch) as u32).collect();
            }
            PositionIds::Published => longest,
            PositionIds::Masked => rows * cols,
        };
        (0..rows * cols)
            .map(|patch| bucket(patch, count, side) as u32)
            .collect()
    }
}

/// Pictures of a conversation that go through the tower together on a CPU: a thumbnail and the two slices of a square.
pub const TOGETHER: usize = 3;

/// Patches of the longest picture.
pub fn longest(pictures: &[(Tensor, [usize; 2])]) -> usize {
    let lengths = pictures.iter().map(|(_, [rows, cols])| rows * cols);
    lengths.max().unwrap_or(0)
}

/// The bucket of position `index` of `count` among `side`: the fraction `index * f32(1 / count)` cut at
/// `1/side, 2/side, ...`, right-closed as torch's `bucketize(right=True)`. At a count of 1036, torch's own fractions
/// depend on the width of the CPU's vectors; this is the plain product.
fn bucket(index: usize, count: usize, side: usize) -> usize {
    let fraction = index as f32 * (1.0 / count as f32);
    (1..side)
        .filter(|&boundary| boundary as f32 / side as f32 <= fraction)
        .count()
}

/// The patch embedding as a matrix: `(hidden, values)`, or a convolution kernel `(hidden, 3, patch, patch)` flattened.
fn patch_embedding(cfg: &VisionConfig, weights: &Weights) -> Result<Linear> {
    let (width, values) = (cfg.hidden_size, cfg.patch_values());
    if cfg.stem.is_some() {
        return Linear::with_bias(width, values, weights);
    }
    let kernel = (width, 3, cfg.patch_size, cfg.patch_size);
    let weight = weights.matrix_of(kernel, "weight", |kernel| kernel.reshape((width, values)))?;
    Ok(Linear::of(weight, Some(weights.get(width, "bias")?)))
}

/// Pixels of a picture as `(1, height, width, 3)` in -1..1: `(x / 255 - 0.5) / 0.5`.
///
/// # Errors
/// A picture whose pixels do not fit its size.
pub fn pixels(picture: &crate::domain::Picture, device: &Device) -> Result<Tensor> {
    let values: Vec<f32> = picture
        .rgb
        .iter()
        .map(|byte| (f32::from(*byte) / 255.0 - 0.5) / 0.5)
        .collect();
    Tensor::from_vec(
        values,
        (1, picture.height as usize, picture.width as usize, 3),
        device,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_follow_the_published_fractions() {
        // The fractions i * f32(1 / L) differ from floor(70 i / L) at these places for L = 1035 and 1024.
        let ids: Vec<usize> = [207, 414, 621, 828]
            .iter()
            .map(|&i| bucket(i, 1035, 70))
            .collect();
        assert_eq!(ids, [13, 27, 41, 55]);
        assert!((0..1024).all(|i| bucket(i, 1024, 70) == 70 * i / 1024));
    }
}
