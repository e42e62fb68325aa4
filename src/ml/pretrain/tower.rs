//! First step of making a small model: the convolutional stem learns what people saw in pictures.
//!
//! Random native-resolution crops and flips (never rescaled or recompressed: that would change what is judged), mean
//! and deviation pooling, one hidden layer, then opinion scores and yes/no labels (generator, planted defects, words
//! of the teacher's description). Only the stem is kept.

use candle_core::{DType, Device, Result, Tensor, Var};
use rand::Rng as _;
use rand::SeedableRng as _;
use rand::seq::SliceRandom as _;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::facts::{Facts, column_means, facts_loss};
use super::optimiser::Optimiser;
use super::passes::{Passes, State};
use crate::compute::kernels::{batch_norm_relu, channel_moments, conv2d_rounded};
use crate::domain::Picture;
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
    /// Passes over the examples.
    pub epochs: usize,
    /// Crops a step.
    pub batch_size: usize,
    /// Side of a crop in pixels.
    pub crop: usize,
    /// Peak of the one-cycle schedule.
    pub learning_rate: f64,
    /// Decoupled weight decay.
    pub weight_decay: f64,
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
    config: StemConfig,
    weights: Vec<Var>,
    scales: Vec<Var>,
    shifts: Vec<Var>,
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
        let (mut weights, mut scales, mut shifts) = (Vec::new(), Vec::new(), Vec::new());
        for (index, layer) in config.layers.iter().enumerate() {
            let fan_in = layer.kernel * layer.kernel * config.in_channels(index);
            weights.push(normal(
                (layer.channels, fan_in),
                (2.0 / fan_in as f64).sqrt(),
                rng,
            )?);
            scales.push(Var::ones(layer.channels, DType::F32, &device)?);
            shifts.push(Var::zeros(layer.channels, DType::F32, &device)?);
        }
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
        Ok(Self {
            config: config.clone(),
            weights,
            scales,
            shifts,
            head,
        })
    }

    fn trained(&self) -> Vec<Var> {
        let layers = self.weights.iter().chain(&self.scales).chain(&self.shifts);
        layers.chain(&self.head).cloned().collect()
    }

    /// `pixels (batch, crop, crop, 3)` to outputs `(batch, scores + labels)`, with batch statistics.
    fn forward(
        &self,
        pixels: &Tensor,
        leave_out: &mut dyn FnMut(&Tensor) -> Result<Tensor>,
    ) -> Result<Tensor> {
        let mut x = pixels.clone();
        for (index, weight) in self.weights.iter().enumerate() {
            let y = conv2d_rounded(&x, weight, self.config.spec(index))?;
            x = batch_norm_relu(&y, &self.scales[index], &self.shifts[index])?;
        }
        self.pooled_head(&x, leave_out)
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
        let hidden = pooled.matmul(&w1.t()?)?.broadcast_add(b1)?.relu()?;
        leave_out(&hidden)?.matmul(&w2.t()?)?.broadcast_add(b2)
    }

    /// Folds batch norm into weights and biases, with statistics of `pixels` gathered layer by layer.
    fn fold(&self, pixels: &Tensor) -> Result<Stem> {
        let mut layers = Vec::new();
        let mut x = pixels.clone();
        for (index, weight) in self.weights.iter().enumerate() {
            let y = crate::compute::kernels::conv2d(&x, weight, self.config.spec(index))?.detach();
            let (mean, var) = channel_moments(&y)?;
            let (scale, shift) = (
                self.scales[index].to_vec1::<f32>()?,
                self.shifts[index].to_vec1::<f32>()?,
            );
            let factor: Vec<f32> = scale
                .iter()
                .zip(&var)
                .map(|(s, v)| s / (v + 1e-5).sqrt())
                .collect();
            let bias: Vec<f32> = (0..factor.len())
                .map(|c| shift[c] - mean[c] * factor[c])
                .collect();
            let factor = Tensor::from_vec(factor, mean.len(), &Device::Cpu)?;
            let bias = Tensor::from_vec(bias, mean.len(), &Device::Cpu)?;
            layers.push((
                weight.broadcast_mul(&factor.unsqueeze(1)?)?.detach(),
                bias.clone(),
            ));
            x = y.broadcast_mul(&factor)?.broadcast_add(&bias)?.relu()?;
        }
        Ok(Stem::from_layers(self.config.clone(), layers))
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
    let mut optimiser = Optimiser::new(vec![(tower.trained(), 1.0)], settings.weight_decay, 0.999);
    let mut order: Vec<usize> = (0..examples.len()).collect();
    let steps = examples.len() / settings.batch_size;
    let done = passes.resume(&mut State {
        optimiser: &mut optimiser,
        rng: &mut rng,
        order: &mut order,
    })?;
    for epoch in done + 1..=settings.epochs {
        order.shuffle(&mut rng);
        let mut total = 0.0;
        for (step, batch) in order.chunks_exact(settings.batch_size).enumerate() {
            let done = ((epoch - 1) * steps + step) as f64 / (settings.epochs * steps) as f64;
            let rate = one_cycle(done) * settings.learning_rate;
            let loss = batch_loss(&tower, examples, batch, settings, &mut rng)?;
            optimiser.step(&loss, rate)?;
            total += f64::from(loss.to_scalar::<f32>()?);
        }
        let stem = calibrated(&tower, examples, settings, &mut rng)?;
        let predicted = match is_measured(epoch, settings.epochs) {
            true => predict(&tower, &stem.clone().rounded(), val, means.len())?,
            false => Vec::new(),
        };
        if !on_epoch(TowerEpoch {
            epoch,
            loss: total / steps as f64,
            predicted,
            stem,
        })? {
            break;
        }
        let state = State {
            optimiser: &mut optimiser,
            rng: &mut rng,
            order: &mut order,
        };
        passes.save(epoch, &state)?;
    }
    Ok(())
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

/// Rises for three tenths of the way, then falls as a cosine to nothing.
fn one_cycle(done: f64) -> f64 {
    let peak = 0.3;
    if done < peak {
        0.04 + 0.96 * (1.0 - (std::f64::consts::PI * done / peak).cos()) / 2.0
    } else {
        1.0f64.midpoint((std::f64::consts::PI * (done - peak) / (1.0 - peak)).cos())
    }
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
    let cuts: Vec<(usize, usize, usize, bool)> = batch
        .iter()
        .map(|&index| {
            let picture = &examples[index].picture;
            let x = rng.random_range(0..=picture.width as usize - crop);
            let y = rng.random_range(0..=picture.height as usize - crop);
            (index, x, y, rng.random_bool(0.5))
        })
        .collect();
    let mut values = vec![0f32; batch.len() * crop * crop * 3];
    values
        .par_chunks_mut(crop * crop * 3)
        .zip(&cuts)
        .for_each(|(out, &(index, x, y, flip))| {
            let picture = &examples[index].picture;
            for (row, out) in out.chunks_exact_mut(crop * 3).enumerate() {
                let start = ((y + row) * picture.width as usize + x) * 3;
                let source = &picture.rgb[start..start + crop * 3];
                for (col, pixel) in out.chunks_exact_mut(3).enumerate() {
                    let from = if flip { crop - 1 - col } else { col } * 3;
                    for (value, byte) in pixel.iter_mut().zip(&source[from..from + 3]) {
                        *value = f32::from(*byte) / 127.5 - 1.0;
                    }
                }
            }
        });
    Tensor::from_vec(values, (batch.len(), crop, crop, 3), &Device::Cpu)
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
    tower.fold(&crops(examples, &batch, settings.crop, rng)?)
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

fn normal(shape: (usize, usize), deviation: f64, rng: &mut ChaCha8Rng) -> Result<Var> {
    let values: Vec<f32> = (0..shape.0 * shape.1)
        .map(|_| (gaussian(rng) * deviation) as f32)
        .collect();
    Var::from_vec(values, shape, &Device::Cpu)
}

/// A standard normal number (Box and Muller 1958).
pub(crate) fn gaussian(rng: &mut ChaCha8Rng) -> f64 {
    let radius = (-2.0 * (1.0 - rng.random::<f64>()).ln()).sqrt();
    radius * (std::f64::consts::TAU * rng.random::<f64>()).cos()
}
