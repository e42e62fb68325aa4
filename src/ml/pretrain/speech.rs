//! Second step of making a small model: resampler and language model learn to describe and to rate.
//!
//! The stem's patches are held in memory, so a step never touches pixels. Loss on the assistant's tokens only, as
//! the published fine-tuning has it, and beside it the opinion score read from the user's tokens behind the picture, so
//! that hidden states carry what people thought of it: in message 1 from picture and prompt alone, in message 3 from the
//! description as well.

use candle_core::{Device, Result, Tensor};
use rand::SeedableRng as _;
use rand::seq::SliceRandom as _;
use rand_chacha::ChaCha8Rng;

use super::facts::facts_loss;
use super::passes::{Passes, State};
use super::pupil::{Pupil, Weights};
use super::view::{Pictures, View};
use crate::ml::vlm::minicpm_v::MiniCpmV;

/// One conversation to learn, as tokens.
#[derive(Debug, Clone, PartialEq)]
pub struct SpeechExample {
    /// Which picture's patches stand in the image's place.
    pub picture: usize,
    /// Token ids of messages 1 to 4.
    pub ids: Vec<u32>,
    /// First and one-past-last position of the image tokens.
    pub image: [usize; 2],
    /// Positions whose token the model must have foretold: the assistant's words and ends.
    pub targets: Vec<usize>,
    /// How many of them, from the first, are a sentence that counts more than the others.
    pub lead: usize,
    /// Positions at which the score is read: the user's tokens behind the picture, of message 1 and then of message 3.
    pub readings: Vec<usize>,
    /// Which of them is the last of message 1: what is read there no description has told.
    pub untold: usize,
    /// The opinion score.
    pub score: f32,
}

/// How the language model is trained.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SpeechSettings {
    /// Passes over the conversations.
    pub epochs: usize,
    /// Conversations a step.
    pub batch_size: usize,
    /// Peak learning rate; rises over the first twentieth, then falls as a cosine.
    pub learning_rate: f64,
    /// Share of the learning rate at which what makes image tokens goes on learning.
    pub vision_rate: f64,
    /// Decoupled weight decay of the matrices.
    pub weight_decay: f64,
    /// Weight of the score's squared error beside the words' cross entropy.
    pub score_weight: f64,
    /// Times that a leading sentence's tokens count.
    pub lead_weight: f64,
    /// Weight of the facts foretold from the image tokens.
    pub facts_weight: f64,
    /// Weight of labels among the facts.
    pub label_weight: f64,
    /// Fewest rows and columns of patches that are shown: a part of the picture, as it is, is a new picture.
    pub smallest_window: usize,
    /// Seed.
    pub seed: u64,
}

/// Figures of an epoch.
#[derive(Debug, Clone, PartialEq)]
pub struct SpeechEpoch {
    /// Epoch, counted from 1.
    pub epoch: usize,
    /// Mean training loss.
    pub loss: f64,
    /// Cross entropy a token on the validation conversations.
    pub val_words: f64,
    /// Mean squared error of the scores read on the validation conversations.
    pub val_score_error: f64,
    /// Scores read from the validation conversations before the description, in their order.
    pub val_scores: Vec<f32>,
    /// All score columns foretold from their image tokens.
    pub val_seen: Vec<Vec<f32>>,
}

/// What the model learns from.
#[derive(Debug, Clone, Copy)]
pub struct SpeechData<'a> {
    /// What the conversations are about.
    pub pictures: Pictures<'a>,
    /// Conversations to learn.
    pub train: &'a [SpeechExample],
    /// Conversations to measure.
    pub val: &'a [SpeechExample],
}

/// Trains, behind the passes that were done before; `on_step` hears (step, steps, mean loss of late), `on_epoch` the figures
/// and the weights.
///
/// # Errors
/// Failed tensor operations, passes that cannot be read or written, or whatever `on_epoch` answers.
pub fn train_speech(
    pupil: &Pupil,
    data: SpeechData<'_>,
    settings: &SpeechSettings,
    passes: &Passes,
    on_step: &mut dyn FnMut(usize, usize, f64),
    on_epoch: &mut dyn FnMut(SpeechEpoch, &Weights) -> Result<()>,
) -> Result<()> {
    let mut optimiser = pupil
        .weights
        .optimiser(settings.weight_decay, settings.vision_rate);
    let mut rng = ChaCha8Rng::seed_from_u64(settings.seed);
    let in_pass = data.pictures.count_in_pass(data.train, |e| e.picture);
    let steps = settings.epochs * in_pass.div_ceil(settings.batch_size);
    let mut order = Vec::new();
    let mut state = State {
        optimiser: &mut optimiser,
        rng: &mut rng,
        order: &mut order,
    };
    let done = passes.resume(&mut state)?;
    if done == 0 {
        // What the steps before brought is worth keeping as well.
        passes.save(0, &state)?;
    }
    let (mut step, mut late) = (done * (steps / settings.epochs.max(1)), None);
    for epoch in done + 1..=settings.epochs {
        let (mut total, mut count) = (0.0, 0);
        let heard = data.pictures.pass(data.train, |e| e.picture, state.rng);
        for batch in batches(heard, settings.batch_size, state.rng) {
            let rate = schedule(step as f64 / steps as f64) * settings.learning_rate;
            let loss = batch_loss(pupil, &data, &batch, settings, state.rng)?;
            state.optimiser.step(&loss, rate)?;
            let loss = f64::from(loss.to_scalar::<f32>()?);
            late = Some(late.map_or(loss, |late: f64| 0.95 * late + 0.05 * loss));
            (total, count, step) = (total + loss, count + 1, step + 1);
            on_step(step, steps, late.unwrap_or(loss));
        }
        let seen = validate(pupil, &data, settings.batch_size)?;
        on_epoch(
            SpeechEpoch {
                epoch,
                loss: total / f64::from(count.max(1)),
                ..seen
            },
            &pupil.weights,
        )?;
        passes.save(epoch, &state)?;
    }
    Ok(())
}

/// All that a step learns from: words, scores and facts.
fn batch_loss(
    pupil: &Pupil,
    data: &SpeechData<'_>,
    batch: &[&SpeechExample],
    settings: &SpeechSettings,
    rng: &mut ChaCha8Rng,
) -> Result<Tensor> {
    let pictures = pictures_of(batch);
    let shown = Shown {
        batch,
        pictures: &pictures,
        views: &data
            .pictures
            .views(&pictures, settings.smallest_window, rng),
        lead_weight: settings.lead_weight,
    };
    let out = forward(pupil, data, shown)?;
    let facts = data.pictures.facts_of(&pictures);
    let facts = facts_loss(&out.facts, &facts, settings.label_weight)?;
    let loss = (out.words + (out.score_error * settings.score_weight)?)?;
    loss + (facts * settings.facts_weight)?
}

/// Rises over a twentieth of the way, then falls as a cosine to nothing.
pub(super) fn schedule(done: f64) -> f64 {
    let warm = 0.05;
    if done < warm {
        done / warm
    } else {
        1.0f64.midpoint((std::f64::consts::PI * (done - warm) / (1.0 - warm)).cos())
    }
}

/// Batches of shuffled conversations of like length, in random order.
fn batches<'a>(
    mut order: Vec<&'a SpeechExample>,
    size: usize,
    rng: &mut ChaCha8Rng,
) -> Vec<Vec<&'a SpeechExample>> {
    let mut batches = Vec::new();
    for pool in order.chunks_mut(size * 24) {
        pool.sort_by_key(|example| example.ids.len());
        batches.extend(pool.chunks(size).map(<[_]>::to_vec));
    }
    batches.shuffle(rng);
    batches
}

fn pictures_of(batch: &[&SpeechExample]) -> Vec<usize> {
    batch.iter().map(|example| example.picture).collect()
}

/// What one step sees.
#[derive(Clone, Copy)]
struct Shown<'a> {
    batch: &'a [&'a SpeechExample],
    /// What each is about, in which view.
    pictures: &'a [usize],
    views: &'a [View],
    /// Times that a leading sentence's tokens count.
    lead_weight: f64,
}

struct Outcome {
    words: Tensor,
    /// Foretold from the image tokens, `(batch, facts)`.
    facts: Tensor,
    score_error: Tensor,
    /// The score read at the end of message 1, a conversation.
    untold: Tensor,
}

fn forward(
    Pupil { model, weights }: &Pupil,
    data: &SpeechData<'_>,
    shown: Shown<'_>,
) -> Result<Outcome> {
    let Shown { batch, .. } = shown;
    let lengths = batch.iter().map(|example| example.ids.len());
    let longest = lengths.max().unwrap_or(0).next_multiple_of(32);
    // 1. Image tokens: (batch, queries, hidden)
    let images = data
        .pictures
        .image_tokens(model, shown.pictures, shown.views)?;
    let facts = weights.facts_of(&images)?;
    // 2. Hidden states as rows
    let states = model
        .llm()
        .forward_whole(&embedded(model, batch, longest, &images)?)?
        .flatten(0, 1)?;
    // 3. The assistant's tokens from the rows before them, scores from the user's tokens behind the picture
    let wanted = wanted(batch, longest, shown.lead_weight);
    let foretelling = rows_of(&states, &wanted.rows)?.unsqueeze(0)?;
    let logits = model.llm().logits(&foretelling)?.squeeze(0)?;
    let (score_error, untold) =
        readings(batch, longest).scores(&states, weights.score_head.as_tensor())?;
    Ok(Outcome {
        words: wanted.cross_entropy(&logits)?,
        facts,
        score_error,
        untold,
    })
}

/// A batch's tokens `(batch, longest, hidden)`, with the image tokens in their place, the same in all conversations.
/// Padding stands behind and is never seen.
fn embedded(
    model: &MiniCpmV,
    batch: &[&SpeechExample],
    longest: usize,
    images: &Tensor,
) -> Result<Tensor> {
    let mut ids = Vec::with_capacity(batch.len() * longest);
    for example in batch {
        ids.extend(&example.ids);
        ids.resize(ids.len().next_multiple_of(longest), 0);
    }
    let ids = Tensor::from_vec(ids, batch.len() * longest, &Device::Cpu)?;
    let text = model
        .llm()
        .embed(&ids)?
        .reshape((batch.len(), longest, ()))?;
    let [first, last] = batch[0].image;
    let before = text.narrow(1, 0, first)?;
    let behind = text.narrow(1, last, longest - last)?;
    Tensor::cat(&[&before, images, &behind], 1)
}

fn rows_of(states: &Tensor, rows: &[u32]) -> Result<Tensor> {
    states.index_select(&Tensor::new(rows, states.device())?, 0)
}

/// Rows of a batch's hidden states that foretell the assistant's tokens, those tokens, and how much each counts.
#[derive(Default)]
struct Wanted {
    rows: Vec<u32>,
    ids: Vec<u32>,
    weights: Vec<f32>,
}

impl Wanted {
    /// Weighted mean of the cross entropy of `logits (tokens, vocabulary)`.
    fn cross_entropy(self, logits: &Tensor) -> Result<Tensor> {
        let device = logits.device();
        let (ids, weights) = (
            Tensor::new(self.ids, device)?,
            Tensor::new(self.weights, device)?,
        );
        let of_wanted = candle_nn::ops::log_softmax(logits, 1)?
            .gather(&ids.unsqueeze(1)?, 1)?
            .squeeze(1)?;
        let total = weights.sum_all()?;
        (of_wanted * weights)?.sum_all()?.neg()?.div(&total)
    }
}

fn wanted(batch: &[&SpeechExample], longest: usize, lead_weight: f64) -> Wanted {
    let mut all = Wanted::default();
    for (index, example) in batch.iter().enumerate() {
        for (at, &target) in example.targets.iter().enumerate() {
            all.rows.push((index * longest + target - 1) as u32);
            all.ids.push(example.ids[target]);
            let weight = if at < example.lead { lead_weight } else { 1.0 };
            all.weights.push(weight as f32);
        }
    }
    all
}

/// Where a batch's scores are read among the rows of its hidden states, and what stands against them.
#[derive(Default)]
struct Readings {
    rows: Vec<u32>,
    truth: Vec<f32>,
    /// Shares of the batch's error: a long request counts as much as a short one.
    shares: Vec<f32>,
    /// Of every conversation the reading that no description has told.
    untold: Vec<u32>,
}

impl Readings {
    /// Mean squared error of the scores read from `states (rows, hidden)`, and those that no description has told, a
    /// conversation.
    fn scores(self, states: &Tensor, head: &Tensor) -> Result<(Tensor, Tensor)> {
        let (device, hidden) = (states.device(), states.dim(1)?);
        let scores = rows_of(states, &self.rows)?
            .matmul(&head.narrow(0, 0, hidden)?.unsqueeze(1)?)?
            .squeeze(1)?
            .broadcast_add(&head.narrow(0, hidden, 1)?)?;
        let error = (&scores - Tensor::new(self.truth, device)?)?.sqr()?;
        let error = (error * Tensor::new(self.shares, device)?)?.sum_all()?;
        Ok((error, rows_of(&scores, &self.untold)?))
    }
}

fn readings(batch: &[&SpeechExample], longest: usize) -> Readings {
    let mut all = Readings::default();
    for (index, example) in batch.iter().enumerate() {
        let count = example.readings.len();
        all.untold.push((all.rows.len() + example.untold) as u32);
        all.rows.extend(
            example
                .readings
                .iter()
                .map(|at| (index * longest + at) as u32),
        );
        all.truth.extend(std::iter::repeat_n(example.score, count));
        let share = 1.0 / (count * batch.len()) as f32;
        all.shares.extend(std::iter::repeat_n(share, count));
    }
    all
}

fn validate(pupil: &Pupil, data: &SpeechData<'_>, size: usize) -> Result<SpeechEpoch> {
    let (mut words, mut tokens, mut error) = (0.0, 0, 0.0);
    let (mut scores, mut seen) = (Vec::new(), Vec::new());
    let columns = data
        .pictures
        .facts
        .first()
        .map_or(0, |facts| facts.scores.len());
    for batch in data.val.chunks(size) {
        let batch: Vec<&SpeechExample> = batch.iter().collect();
        let views = data.pictures.as_they_are(batch.len());
        let shown = Shown {
            batch: &batch,
            pictures: &pictures_of(&batch),
            views: &views,
            lead_weight: 1.0,
        };
        let out = forward(pupil, data, shown)?;
        let count: usize = batch.iter().map(|example| example.targets.len()).sum();
        words += f64::from(out.words.to_scalar::<f32>()?) * count as f64;
        tokens += count;
        error += f64::from(out.score_error.to_scalar::<f32>()?) * batch.len() as f64;
        scores.extend(out.untold.to_vec1::<f32>()?);
        seen.extend(out.facts.narrow(1, 0, columns)?.to_vec2::<f32>()?);
    }
    Ok(SpeechEpoch {
        epoch: 0,
        loss: 0.0,
        val_words: words / tokens.max(1) as f64,
        val_score_error: error / data.val.len().max(1) as f64,
        val_scores: scores,
        val_seen: seen,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example(targets: &[usize], lead: usize) -> SpeechExample {
        SpeechExample {
            picture: 0,
            ids: vec![0, 1, 2, 0, 2],
            image: [0, 1],
            targets: targets.to_vec(),
            lead,
            readings: vec![1],
            untold: 0,
            score: 1.0,
        }
    }

    #[test]
    fn a_leading_sentence_counts_as_often_as_is_said_and_else_every_token_once() {
        let (a, b) = (example(&[1, 2], 1), example(&[4], 0));
        let logits: Vec<f32> = vec![0.3, -1.0, 0.5, 0.1, 0.2, 0.9, -0.4, 0.8, 0.0];
        let logits = Tensor::from_vec(logits, (3, 3), &Device::Cpu).unwrap();
        let even = wanted(&[&a, &b], 8, 1.0);
        assert_eq!(even.rows, [0, 1, 8 + 3]);
        let ids = Tensor::new(even.ids.clone(), &Device::Cpu).unwrap();
        let of = |tensor: Tensor| tensor.to_scalar::<f32>().unwrap();
        let usual = of(candle_nn::loss::cross_entropy(&logits, &ids).unwrap());
        assert!((of(even.cross_entropy(&logits).unwrap()) - usual).abs() < 1e-6);
        let first = of(candle_nn::loss::cross_entropy(
            &logits.narrow(0, 0, 1).unwrap(),
            &ids.narrow(0, 0, 1).unwrap(),
        )
        .unwrap());
        let weighted = of(wanted(&[&a, &b], 8, 4.0).cross_entropy(&logits).unwrap());
        let by_hand = 3.0f32.mul_add(first, 3.0 * usual) / 6.0;
        assert!((weighted - by_hand).abs() < 1e-6);
    }
}
