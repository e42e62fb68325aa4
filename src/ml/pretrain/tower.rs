//! First step of making a small model: the convolutional stem learns what people saw in pictures.
//!
//! Random native-resolution crops and flips (never rescaled or recompressed: that would change what is judged), mean
//! and deviation pooling, one hidden layer, then opinion scores and yes/no labels (generator, planted defects, words
//! of the teacher's description). Only the stem is kept.

use candle_core::{DType, Device, Result, Tensor, Var};
use rand::Rng as _;
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::course::{Course, Pass};
use super::cut::{Cut, cut_out};
use super::facts::{Facts, column_means, facts_loss};
use super::passes::Passes;
use super::trunk::{Trunk, normal};
use crate::domain::Picture;
use crate::ml::layers::linear;
use crate::ml::vlm::minicpm_v::stem::{Stem, StemConfig, mean_and_deviation};
use crate::ml::vlm::minicpm_v::vision::pixels;

/// One picture and what is known of it.
#[derive(Debug, Clone)]
pub struct TowerExample {
    /// Pixels; at least one crop large.
    pub picture: Picture,
    /// Opinion scores and labels.
    pub facts: Facts,
}

/// How the stem is trained.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TowerSettings {
    /// Passes over the examples, a crop of each.
    pub course: Course,
    /// Side of a crop in pixels.
    pub crop: usize,
    /// Weight of the labels' loss beside the scores'.
    pub label_weight: f64,
    /// Width of the hidden layer.
    pub hidden: usize,
    /// Share of the pooled values, and of the hidden layer's, left out at random.
    pub dropout: f64,
    /// Seed.
    pub seed: u64,
}

/// What is told after every epoch.
#[derive(Debug, Clone)]
pub struct TowerEpoch {
    /// Epoch, counted from 1.
    pub epoch: usize,
    /// Mean loss of the epoch.
    pub loss: f64,
    /// Predicted scores of every validation picture, a column each; no columns after passes that are not measured.
    pub predicted: Vec<Vec<f32>>,
    /// The stem with batch norm folded in.
    pub stem: Stem,
}

/// The stem in its trainable form, with its pooling head.
struct Tower {
    trunk: Trunk,
    /// Hidden weight and bias, output weight and bias.
    head: [Var; 4],
}

impl Tower {
    fn new(
        config: &StemConfig,
        hidden: usize,
        means: &[f32],
        num_labels: usize,
        rng: &mut ChaCha8Rng,
    ) -> Result<Self> {
        let device = Device::Cpu;
        let trunk = Trunk::new(config, rng)?;
        let pooled = config.learned_values();
        let outputs = means.len() + num_labels;
        let mut bias = means.to_vec();
        bias.resize(outputs, -2.0);
        let head = [
            normal((hidden, pooled), (2.0 / pooled as f64).sqrt(), rng)?,
            Var::zeros(hidden, DType::F32, &device)?,
            normal((outputs, hidden), 0.01, rng)?,
            Var::from_vec(bias, outputs, &device)?,
        ];
        Ok(Self { trunk, head })
    }

    fn trained(&self) -> Vec<Var> {
        self.trunk.trained().chain(&self.head).cloned().collect()
    }

    /// `pixels (batch, crop, crop, 3)` to outputs `(batch, scores + labels)`, with batch statistics.
    fn forward(
        &self,
        pixels: &Tensor,
        leave_out: &mut dyn FnMut(&Tensor) -> Result<Tensor>,
    ) -> Result<Tensor> {
        self.pooled_head(&self.trunk.forward(pixels)?, leave_out)
    }

    fn pooled_head(
        &self,
        map: &Tensor,
        leave_out: &mut dyn FnMut(&Tensor) -> Result<Tensor>,
    ) -> Result<Tensor> {
        let (batch, height, width, channels) = map.dims4()?;
        let pooled = mean_and_deviation(&map.reshape((batch, height * width, channels))?, 1)?;
        let [w1, b1, w2, b2] = &self.head;
        let pooled = leave_out(&pooled)?;
        let hidden = linear(&pooled, w1, Some(b1.as_tensor()))?.relu()?;
        linear(&leave_out(&hidden)?, w2, Some(b2.as_tensor()))
    }
}

/// Trains a stem, behind the passes that were done before; `on_epoch` sees each epoch's stem and may stop the training by
/// answering `false`.
///
/// # Errors
/// Failed tensor operations; pictures smaller than the crop; passes that cannot be read or written.
pub fn train_tower(
    config: &StemConfig,
    (examples, val): (&[TowerExample], &[TowerExample]),
    settings: &TowerSettings,
    passes: &Passes,
    on_epoch: &mut dyn FnMut(TowerEpoch) -> Result<bool>,
) -> Result<()> {
    let mut rng = ChaCha8Rng::seed_from_u64(settings.seed);
    let facts: Vec<&Facts> = examples.iter().map(|example| &example.facts).collect();
    let means = column_means(&facts);
    let num_labels = examples
        .first()
        .map_or(0, |example| example.facts.labels.len());
    let tower = Tower::new(config, settings.hidden, &means, num_labels, &mut rng)?;
    settings.course.run(
        (tower.trained(), examples.len()),
        &mut rng,
        passes,
        &mut |batch, rng| batch_loss(&tower, examples, batch, settings, rng),
        &mut |Pass { epoch, loss, .. }, rng| {
            let stem = calibrated(&tower, examples, settings, rng)?;
            let predicted = match is_measured(epoch, settings.course.epochs) {
                true => predict(&tower, &stem.clone().rounded(), val, means.len())?,
                false => Vec::new(),
            };
            on_epoch(TowerEpoch {
                epoch,
                loss,
                predicted,
                stem,
            })
        },
    )
}

/// Every sixth pass and the last three: measuring whole pictures costs as much as a third of a pass.
const fn is_measured(epoch: usize, epochs: usize) -> bool {
    epoch.is_multiple_of(6) || epoch + 3 > epochs
}

/// Leaves out a share of the values, and makes the others larger by as much (Srivastava et al. 2014).
fn dropped(x: &Tensor, share: f64, rng: &mut ChaCha8Rng) -> Result<Tensor> {
    if share <= 0.0 {
        return Ok(x.clone());
    }
    let kept = (1.0 / (1.0 - share)) as f32;
    let mask: Vec<f32> = (0..x.elem_count())
        .map(|_| if rng.random_bool(share) { 0.0 } else { kept })
        .collect();
    x * Tensor::from_vec(mask, x.shape(), x.device())?
}

fn batch_loss(
    tower: &Tower,
    examples: &[TowerExample],
    batch: &[usize],
    settings: &TowerSettings,
    rng: &mut ChaCha8Rng,
) -> Result<Tensor> {
    let pixels = crops(examples, batch, settings.crop, rng)?;
    let out = tower.forward(&pixels, &mut |x| dropped(x, settings.dropout, rng))?;
    let facts: Vec<&Facts> = batch.iter().map(|&index| &examples[index].facts).collect();
    facts_loss(&out, &facts, settings.label_weight)
}

/// Random crops, flipped half of the time, as `(batch, crop, crop, 3)` in -1..1.
fn crops(
    examples: &[TowerExample],
    batch: &[usize],
    crop: usize,
    rng: &mut ChaCha8Rng,
) -> Result<Tensor> {
    let cut = |&index: &usize| {
        let picture = &examples[index].picture;
        Cut {
            picture,
            left: rng.random_range(0..=picture.width as usize - crop),
            top: rng.random_range(0..=picture.height as usize - crop),
            is_mirrored: rng.random_bool(0.5),
        }
    };
    let cuts: Vec<Cut<'_>> = batch.iter().map(cut).collect();
    cut_out(&cuts, crop)
}

/// Crops whose statistics fix the batch norms.
const CALIBRATION_CROPS: usize = 96;

fn calibrated(
    tower: &Tower,
    examples: &[TowerExample],
    settings: &TowerSettings,
    rng: &mut ChaCha8Rng,
) -> Result<Stem> {
    let batch: Vec<usize> = (0..CALIBRATION_CROPS.min(examples.len()))
        .map(|_| rng.random_range(0..examples.len()))
        .collect();
    tower
        .trunk
        .fold(&crops(examples, &batch, settings.crop, rng)?)
}

/// Scores of whole pictures, a column each.
fn predict(
    tower: &Tower,
    stem: &Stem,
    examples: &[TowerExample],
    columns: usize,
) -> Result<Vec<Vec<f32>>> {
    let mut predicted = vec![Vec::with_capacity(examples.len()); columns];
    let outputs: Vec<Vec<f32>> = examples
        .par_iter()
        .map(|example| {
            let map = stem.feature_map(&pixels(&example.picture, &Device::Cpu)?)?;
            tower
                .pooled_head(&map, &mut |x| Ok(x.clone()))?
                .narrow(1, 0, columns)?
                .flatten_all()?
                .to_vec1::<f32>()
        })
        .collect::<Result<_>>()?;
    for out in outputs {
        for (column, value) in predicted.iter_mut().zip(out) {
            column.push(value);
        }
    }
    Ok(predicted)
}
