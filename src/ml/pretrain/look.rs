//! Between seeing and speaking: patch embedding, tower layer and resampler learn to tell from the image tokens alone what
//! is known of a picture.
//!
//! A pass costs a small part of one with the language model, so that there can be many; the language model then learns
//! from image tokens that say something from its first step.

use candle_core::{Result, Tensor};
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;

use super::facts::facts_loss;
use super::pupil::Pupil;
use super::speech::schedule;
use super::view::{Pictures, View};

/// How it is trained.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LookSettings {
    /// Passes over the pictures.
    pub epochs: usize,
    /// Pictures a step.
    pub batch_size: usize,
    /// Peak learning rate; rises over the first twentieth, then falls as a cosine.
    pub learning_rate: f64,
    /// Decoupled weight decay of the matrices.
    pub weight_decay: f64,
    /// Weight of labels among the facts.
    pub label_weight: f64,
    /// Fewest rows and columns of patches that are shown.
    pub smallest_window: usize,
    /// Seed.
    pub seed: u64,
}

/// What is learned from.
#[derive(Debug, Clone, Copy)]
pub struct LookData<'a> {
    /// All pictures.
    pub pictures: Pictures<'a>,
    /// Those to learn.
    pub train: &'a [usize],
    /// Those to measure.
    pub val: &'a [usize],
}

/// What is told after every pass.
#[derive(Debug, Clone, Copy)]
pub struct LookEpoch<'a> {
    /// Pass, counted from 1.
    pub epoch: usize,
    /// Its mean loss.
    pub loss: f64,
    /// All facts foretold of the pictures to measure, score columns and then labels as logits, a row each.
    pub seen: &'a [Vec<f32>],
}

/// Trains, and keeps the pass whose figure is the highest: what it foretold of the pictures to measure is the answer, as
/// [`LookEpoch::seen`] has it; empty where there was no pass.
///
/// # Errors
/// Failed tensor operations.
pub fn train_look(
    pupil: &Pupil,
    data: LookData<'_>,
    settings: &LookSettings,
    figure: &mut dyn FnMut(LookEpoch<'_>) -> f64,
) -> Result<Vec<Vec<f32>>> {
    let mut optimiser = pupil.weights.optimiser(settings.weight_decay, 1.0);
    let mut rng = ChaCha8Rng::seed_from_u64(settings.seed);
    let pictures = &data.pictures;
    let in_pass = pictures.count_in_pass(data.train, |picture| *picture);
    let all = settings.epochs * in_pass.div_ceil(settings.batch_size);
    let (mut step, mut best) = (0_usize, None::<(f64, _, _)>);
    for epoch in 1..=settings.epochs {
        let order = pictures.pass(data.train, |picture| *picture, &mut rng);
        let order: Vec<usize> = order.into_iter().copied().collect();
        let mut total = 0.0;
        for batch in order.chunks(settings.batch_size) {
            let rate = schedule(step as f64 / all as f64) * settings.learning_rate;
            let views = pictures.views(batch, settings.smallest_window, &mut rng);
            let out = told(pupil, pictures, (batch, &views))?;
            let loss = facts_loss(&out, &pictures.facts_of(batch), settings.label_weight)?;
            optimiser.step(&loss, rate)?;
            total += f64::from(loss.to_scalar::<f32>()?) * batch.len() as f64;
            step += 1;
        }
        let seen = measured(pupil, &data, settings.batch_size)?;
        let figure = figure(LookEpoch {
            epoch,
            loss: total / in_pass.max(1) as f64,
            seen: &seen,
        });
        if best.as_ref().is_none_or(|(highest, ..)| figure > *highest) {
            best = Some((figure, pupil.weights.copy()?, seen));
        }
    }
    let Some((_, copy, seen)) = best else {
        return Ok(Vec::new());
    };
    pupil.weights.put_back(&copy)?;
    Ok(seen)
}

/// Facts `(batch, facts)` of pictures in views.
fn told(
    pupil: &Pupil,
    pictures: &Pictures<'_>,
    (batch, views): (&[usize], &[View]),
) -> Result<Tensor> {
    let images = pictures.image_tokens(&pupil.model, batch, views)?;
    pupil.weights.facts_of(&images)
}

/// All facts of the pictures to measure, a row each.
fn measured(pupil: &Pupil, data: &LookData<'_>, size: usize) -> Result<Vec<Vec<f32>>> {
    let mut all = Vec::with_capacity(data.val.len());
    for batch in data.val.chunks(size) {
        let views = data.pictures.as_they_are(batch.len());
        let out = told(pupil, &data.pictures, (batch, &views))?;
        all.extend(out.to_vec2::<f32>()?);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;
    use crate::ml::pretrain::facts::Facts;
    use crate::ml::pretrain::pupil::{BothPatches, Tensors};
    use crate::ml::vlm::minicpm_v::Config;
    use crate::ml::vlm::minicpm_v::stem::{StemConfig, StemLayer};

    const VALUES: usize = 4;

    /// Patches 2 by 2 whose first value is the picture's score.
    fn patches(score: f32) -> BothPatches {
        let values: Vec<f32> = (0..4).flat_map(|_| [score, 0.5, -0.5, 1.0]).collect();
        let one = Tensor::from_vec(values, (4, VALUES), &Device::Cpu).unwrap();
        [one.clone(), one]
    }

    fn pupil(facts: &[Facts]) -> Pupil {
        let layer = StemLayer {
            channels: VALUES / 2,
            kernel: 4,
            stride: 4,
        };
        let stem = StemConfig {
            layers: vec![layer],
            cell: 4,
            spectrum: None,
            overview: None,
        };
        let frozen = |name: &str, shape: &[usize]| {
            let tensor = Tensor::zeros(shape, candle_core::DType::F32, &Device::Cpu).unwrap();
            (format!("vpm.embeddings.stem.layers.0.{name}"), tensor)
        };
        let frozen = Tensors::from([frozen("weight", &[2, 48]), frozen("bias", &[2])]);
        Pupil::fresh(&Config::mini(64, stem), &frozen, facts, 1).unwrap()
    }

    #[test]
    fn image_tokens_of_views_of_two_sizes_stand_in_the_pictures_order() -> Result<()> {
        let patches: Vec<BothPatches> = (0..6).map(|i| patches(i as f32)).collect();
        let facts = vec![Facts::default(); 6];
        let pictures = Pictures {
            patches: &patches,
            facts: &facts,
            is_scene: &[true, false, false].repeat(2),
            scene_share: 1.0,
            grid: [2, 2],
        };
        let pupil = pupil(&facts);
        let batch = [4, 0, 5, 3, 1];
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for _ in 0..8 {
            let views = pictures.views(&batch, 1, &mut rng);
            let together = pictures.image_tokens(&pupil.model, &batch, &views)?;
            for (at, view) in views.into_iter().enumerate() {
                let alone = pictures.image_tokens(&pupil.model, &batch[at..=at], &[view])?;
                let apart = (together.narrow(0, at, 1)? - alone)?.abs()?.max_all()?;
                assert!(apart.to_scalar::<f32>()? < 1e-5);
            }
        }
        Ok(())
    }

    #[test]
    fn image_tokens_learn_to_tell_the_score_and_the_best_pass_is_kept() {
        let scores: Vec<f32> = (0..8).map(|i| i as f32 / 2.0).collect();
        let patches: Vec<BothPatches> = scores.iter().map(|score| patches(*score)).collect();
        let fact = |score: &f32| Facts {
            scores: vec![Some(*score)],
            labels: vec![Some(*score > 2.0)],
        };
        let facts: Vec<Facts> = scores.iter().map(fact).collect();
        let pupil = pupil(&facts);
        let all: Vec<usize> = (0..8).collect();
        let pictures = Pictures {
            patches: &patches,
            facts: &facts,
            is_scene: &[false, true].repeat(4),
            scene_share: 1.0,
            grid: [2, 2],
        };
        let data = LookData {
            pictures,
            train: &all,
            val: &all,
        };
        let settings = LookSettings {
            epochs: 30,
            batch_size: 4,
            learning_rate: 1e-3,
            weight_decay: 0.0,
            label_weight: 1.0,
            smallest_window: 1,
            seed: 1,
        };
        let (mut losses, mut kept) = (Vec::new(), Vec::new());
        let answer = train_look(&pupil, data, &settings, &mut |pass| {
            losses.push(pass.loss);
            if pass.epoch == 20 {
                kept = pass.seen.to_vec();
            }
            f64::from(pass.epoch == 20)
        })
        .unwrap();
        assert!(losses[29] < losses[0] / 4.0, "{losses:?}");
        assert_eq!(measured(&pupil, &data, 4).unwrap(), kept);
        assert_eq!(answer, kept);
    }
}
