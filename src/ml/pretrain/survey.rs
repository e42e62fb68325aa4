//! The overview learns where in demo scenes something is wrong.
//!
//! Whoever paints a defect knows which patches of the picture it has changed. Told of every patch and not of the picture
//! as a whole alone, a few thousand scenes are enough to recognise twisted, doubled and melted shapes, which a stem that
//! learned from crops does not see at all. Defects that are everywhere, such as noise, are told of the picture only: they
//! are easy, and in every patch they would drown what is in few.

use candle_core::{Device, Result, Tensor, Var};
use rand::Rng as _;
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::course::{Course, Pass};
use super::cut::{Cut, cut_out};
use super::facts::cross_entropies;
use super::passes::Passes;
use super::trunk::{Trunk, normal};
use crate::domain::Picture;
use crate::ml::layers::linear;
use crate::ml::vlm::minicpm_v::stem::{Stem, StemConfig, cells};
use crate::ml::vlm::minicpm_v::vision::pixels;

/// A scene to learn from.
#[derive(Debug, Clone)]
pub struct Scene {
    /// The whole picture, as small as the overview sees it; a square, all of one size.
    pub picture: Picture,
    /// Of every cell, row by row, what is wrong there: bit `n` for defect `n`.
    pub cells: Vec<u32>,
}

/// How the overview is trained.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SurveySettings {
    /// Passes over the scenes.
    pub course: Course,
    /// Times that a cell counts in which something is wrong: most have nothing.
    pub presence_weight: f64,
    /// Weight of what is foretold of pictures as a whole beside what is foretold of cells.
    pub picture_weight: f64,
    /// Seed.
    pub seed: u64,
}

/// What is told after every pass.
#[derive(Debug, Clone)]
pub struct SurveyEpoch {
    /// Pass, counted from 1.
    pub epoch: usize,
    /// Its mean loss.
    pub loss: f64,
    /// Of every scene to measure, by defect, the logit of the cell that shows it most; empty after passes that are not
    /// measured.
    pub seen: Vec<Vec<f32>>,
    /// The overview with batch norm folded in.
    pub stem: Stem,
}

/// The overview in its trainable form; every cell foretells its own defects.
struct Overview {
    trunk: Trunk,
    /// Weight `(defects, values of a cell)` and bias.
    head: [Var; 2],
    cell: usize,
}

impl Overview {
    fn new(config: &StemConfig, defects: usize, rng: &mut ChaCha8Rng) -> Result<Self> {
        let trunk = Trunk::new(config, rng)?;
        let bias = Tensor::full(-2f32, defects, &Device::Cpu)?;
        Ok(Self {
            trunk,
            head: [
                normal((defects, config.learned_values()), 0.01, rng)?,
                Var::from_tensor(&bias)?,
            ],
            cell: config.cell,
        })
    }

    fn trained(&self) -> Vec<Var> {
        self.trunk.trained().chain(&self.head).cloned().collect()
    }

    /// Logits `(batch, cells, defects)` of the last feature map.
    fn told(&self, map: &Tensor) -> Result<Tensor> {
        let cells = cells(map, self.cell)?;
        let [weight, bias] = &self.head;
        linear(&cells, weight, Some(bias.as_tensor()))?.flatten(1, 2)
    }

    fn forward(&self, pixels: &Tensor) -> Result<Tensor> {
        self.told(&self.trunk.forward(pixels)?)
    }
}

/// Trains an overview that knows `defects` things, behind the passes that were done before; `on_epoch` sees each pass.
///
/// # Errors
/// Failed tensor operations; passes that cannot be read or written; whatever `on_epoch` answers.
pub fn train_survey(
    config: &StemConfig,
    defects: usize,
    (scenes, val): (&[Scene], &[Scene]),
    settings: &SurveySettings,
    passes: &Passes,
    on_epoch: &mut dyn FnMut(SurveyEpoch) -> Result<()>,
) -> Result<()> {
    let mut rng = ChaCha8Rng::seed_from_u64(settings.seed);
    let overview = Overview::new(config, defects, &mut rng)?;
    let loss_of = Losses::new(scenes, defects, settings)?;
    settings.course.run(
        (overview.trained(), scenes.len()),
        &mut rng,
        passes,
        &mut |batch, rng| {
            let (pixels, truth) = shown(scenes, batch, defects, rng)?;
            loss_of.both(&overview.forward(&pixels)?, &truth)
        },
        &mut |Pass { epoch, loss, order }, rng| {
            let calibration = &order[..CALIBRATION_SCENES.min(order.len())];
            let (pixels, _) = shown(scenes, calibration, defects, rng)?;
            let stem = overview.trunk.fold(&pixels)?;
            let seen = match epoch.is_multiple_of(3) || epoch == settings.course.epochs {
                true => measured(&overview, &stem.clone().rounded(), val)?,
                false => Vec::new(),
            };
            on_epoch(SurveyEpoch {
                epoch,
                loss,
                seen,
                stem,
            })?;
            Ok(true)
        },
    )
}

/// Scenes whose statistics fix the batch norms.
const CALIBRATION_SCENES: usize = 256;

/// Whole pictures, flipped half of the time, as `(batch, side, side, 3)`, and whether each defect is in each cell,
/// `(batch, cells, defects)`.
fn shown(
    scenes: &[Scene],
    batch: &[usize],
    defects: usize,
    rng: &mut ChaCha8Rng,
) -> Result<(Tensor, Tensor)> {
    let cut = |&index: &usize| Cut {
        picture: &scenes[index].picture,
        left: 0,
        top: 0,
        is_mirrored: rng.random_bool(0.5),
    };
    let cuts: Vec<Cut<'_>> = batch.iter().map(cut).collect();
    let side = cuts.first().map_or(0, |cut| cut.picture.width as usize);
    let mut truth = Vec::new();
    for (&index, cut) in batch.iter().zip(&cuts) {
        let cells = &scenes[index].cells;
        let cols = cells.len().isqrt();
        for at in 0..cells.len() {
            let from = match cut.is_mirrored {
                true => at / cols * cols + (cols - 1 - at % cols),
                false => at,
            };
            let has = |defect| {
                if cells[from] >> defect & 1 == 1 {
                    1f32
                } else {
                    0.0
                }
            };
            truth.extend((0..defects).map(has));
        }
    }
    let truth = Tensor::from_vec(truth, (batch.len(), (), defects), &Device::Cpu)?;
    Ok((cut_out(&cuts, side)?, truth))
}

/// What logits are held against.
struct Losses {
    presence_weight: f64,
    picture_weight: f64,
    /// `(defects)`: what a defect's cells count, such that those that have a place count 1 on average and others not.
    placed: Tensor,
}

impl Losses {
    fn new(scenes: &[Scene], defects: usize, settings: &SurveySettings) -> Result<Self> {
        let mut placed = 0;
        for Scene { cells, .. } in scenes {
            let somewhere = cells.iter().fold(0, |all, cell| all | cell);
            let everywhere = cells.iter().fold(u32::MAX, |all, cell| all & cell);
            placed |= somewhere & !everywhere;
        }
        let share = defects as f32 / placed.count_ones().max(1) as f32;
        let weights = (0..defects).map(|at| share * (placed >> at & 1) as f32);
        Ok(Self {
            presence_weight: settings.presence_weight,
            picture_weight: settings.picture_weight,
            placed: Tensor::from_iter(weights, &Device::Cpu)?,
        })
    }

    /// Of logits `(batch, cells, defects)` against 0 and 1: of every cell, and of every picture by the logarithm of the
    /// mean of its cells' odds.
    fn both(&self, logits: &Tensor, truth: &Tensor) -> Result<Tensor> {
        let of_cells = cross_entropies(logits, truth, self.presence_weight)?;
        let of_cells = of_cells.broadcast_mul(&self.placed)?.mean_all()?;
        let cells = logits.dim(1)? as f64;
        let pictures = (logits.log_sum_exp(1)? - cells.ln())?;
        let of_pictures = cross_entropies(&pictures, &truth.max(1)?, 1.0)?.mean_all()?;
        of_cells + (of_pictures * self.picture_weight)?
    }
}

/// [`SurveyEpoch::seen`] of scenes.
fn measured(overview: &Overview, stem: &Stem, scenes: &[Scene]) -> Result<Vec<Vec<f32>>> {
    let one = |scene: &Scene| -> Result<Vec<f32>> {
        let map = stem.feature_map(&pixels(&scene.picture, &Device::Cpu)?)?;
        let told = overview.told(&map)?.squeeze(0)?;
        told.max(0)?.to_vec1::<f32>()
    };
    scenes.par_iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ml::vlm::minicpm_v::stem::StemLayer;

    const SIDE: u32 = 16;

    /// A grey picture of 16 by 16 pixels with one bright quarter, or with none; cells are its quarters.
    fn scene(bright: Option<usize>) -> Scene {
        let quarter = |at: u32| (at / SIDE / 8 * 2 + at % SIDE / 8) as usize;
        let value = |at: u32| if bright == Some(quarter(at)) { 220 } else { 90 };
        Scene {
            picture: Picture {
                width: SIDE,
                height: SIDE,
                rgb: (0..SIDE * SIDE).flat_map(|at| [value(at); 3]).collect(),
            },
            cells: (0..4)
                .map(|at| u32::from(bright == Some(at)) << 1)
                .collect(),
        }
    }

    fn config() -> StemConfig {
        let layer = |channels, kernel, stride| StemLayer {
            channels,
            kernel,
            stride,
        };
        StemConfig {
            layers: vec![layer(6, 4, 4), layer(6, 1, 1)],
            cell: 2,
            spectrum: None,
            overview: None,
        }
    }

    #[test]
    fn a_mirrored_scene_has_its_cells_on_the_other_side() -> Result<()> {
        let scenes = [scene(Some(2))];
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let (mut seen, mut sides) = (Vec::new(), Vec::new());
        for _ in 0..16 {
            let (pixels, truth) = shown(&scenes, &[0], 2, &mut rng)?;
            let corner = pixels.get(0)?.get(15)?.get(0)?.get(0)?.to_scalar::<f32>()?;
            let truth = truth.squeeze(0)?.to_vec2::<f32>()?;
            assert_eq!((truth[0][1], truth[1][1]), (0.0, 0.0));
            seen.push(truth[2][1] > 0.5);
            sides.push(corner > 0.0);
        }
        assert_eq!(seen, sides);
        assert!(seen.contains(&true) && seen.contains(&false));
        Ok(())
    }

    #[test]
    fn what_is_everywhere_is_told_of_the_picture_only() -> Result<()> {
        // Defect 0 is everywhere in its scene, defect 1 in one quarter.
        let mut noisy = scene(None);
        noisy.cells.fill(1);
        let losses = Losses::new(&[noisy, scene(Some(1))], 2, &settings())?;
        assert_eq!(losses.placed.to_vec1::<f32>()?, [0.0, 2.0]);
        let truth = Tensor::new(&[[[1f32, 0.0], [1.0, 1.0]]], &Device::Cpu)?;
        let logits = Tensor::new(&[[[0.5f32, -0.5], [1.5, 0.4]]], &Device::Cpu)?;
        let minus_log = |logit: f64| (1.0 + (-logit).exp()).ln();
        let pooled = |a: f64, b: f64| f64::midpoint(a.exp(), b.exp()).ln();
        let of_cells = (minus_log(0.5) + 2.0 * minus_log(0.4)) * 2.0 / 4.0;
        let of_picture = f64::midpoint(minus_log(pooled(0.5, 1.5)), minus_log(pooled(-0.5, 0.4)));
        let both = f64::from(losses.both(&logits, &truth)?.to_scalar::<f32>()?);
        assert!((both - of_cells - 0.6 * of_picture).abs() < 1e-6, "{both}");
        Ok(())
    }

    fn settings() -> SurveySettings {
        SurveySettings {
            course: Course {
                epochs: 12,
                batch_size: 5,
                learning_rate: 3e-2,
                weight_decay: 0.0,
            },
            presence_weight: 2.0,
            picture_weight: 0.6,
            seed: 2,
        }
    }

    /// Bits of the last stem's first weights, and what was seen last; cut off after `stop` passes where one is given.
    fn train(folder: &std::path::Path, stop: Option<usize>) -> (Vec<u32>, Vec<Vec<f32>>) {
        let scenes: Vec<Scene> = (0..20)
            .map(|n| scene((n % 5 < 4).then_some(n % 5)))
            .collect();
        let passes = Passes::new(folder, "survey", "recipe".to_owned(), 0.0);
        let mut last = (Vec::new(), Vec::new());
        let mut on_epoch = |epoch: SurveyEpoch| {
            if stop == Some(epoch.epoch) {
                candle_core::bail!("cut off")
            }
            let weights = epoch.stem.layers()[0].0.flatten_all()?.to_vec1::<f32>()?;
            last = (weights.into_iter().map(f32::to_bits).collect(), epoch.seen);
            Ok(())
        };
        let both = (scenes.as_slice(), &scenes[..5]);
        let end = train_survey(&config(), 2, both, &settings(), &passes, &mut on_epoch);
        assert_eq!(end.is_err(), stop.is_some());
        last
    }

    #[test]
    fn cells_learn_what_is_in_them_and_a_training_that_was_cut_off_ends_with_the_same_bits()
    -> Result<()> {
        let [whole, cut] = [tempfile::tempdir()?, tempfile::tempdir()?];
        let (bits, seen) = train(whole.path(), None);
        let logits: Vec<f32> = seen.iter().map(|row| row[1]).collect();
        assert!(
            logits[..4].iter().all(|logit| *logit > logits[4] + 2.0),
            "{logits:?}"
        );
        train(cut.path(), Some(7));
        assert_eq!(train(cut.path(), None), (bits, seen));
        Ok(())
    }
}
