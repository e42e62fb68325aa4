//! Second step of making a small model: resampler and language model learn to describe and to rate.
//!
//! The stem's patches are held in memory, so a step never touches pixels. Loss on the assistant's tokens only, as
//! the published fine-tuning has it, and beside it the opinion score read from the last token of message 3, so that
//! hidden states carry what people thought of the picture.

use std::collections::HashMap;
use std::sync::Arc;

use candle_core::{Device, Result, Tensor, Var};
use candle_nn::{AdamW, Optimizer as _, ParamsAdamW};
use rand::Rng as _;
use rand::SeedableRng as _;
use rand::seq::SliceRandom as _;
use rand_chacha::ChaCha8Rng;

use super::tower::gaussian;
use crate::ml::vlm::minicpm_v::{Config, MiniCpmV};
use crate::ml::vlm::ops::Mode;
use crate::ml::vlm::weights;

/// Tensors by the names that a checkpoint gives them.
pub type Tensors = HashMap<String, Tensor>;

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
    /// Last position of message 3, at which the score is read.
    pub score_at: usize,
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
    /// Decoupled weight decay of the matrices.
    pub weight_decay: f64,
    /// Weight of the score's squared error beside the words' cross entropy.
    pub score_weight: f64,
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
    /// Scores read from the validation conversations, in their order.
    pub val_scores: Vec<f32>,
}

/// A model's trainable weights under the checkpoint's names, and the head that reads scores while training.
pub struct Weights {
    vars: HashMap<String, Var>,
    score_head: Var,
}

impl Weights {
    /// Fresh weights: normal with deviation 0.02 (matrices that feed a residual smaller by the depth), norms 1,
    /// biases 0. Names and shapes are those that [`MiniCpmV::new`] asks for.
    ///
    /// # Errors
    /// Failed tensor operations.
    pub fn fresh(config: &Config, frozen: &HashMap<String, Tensor>, seed: u64) -> Result<Self> {
        let shapes = shapes_of(config, frozen)?;
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let depth = (2.0 * config.llm.num_hidden_layers as f64).sqrt();
        let mut vars = HashMap::new();
        for (name, shape) in shapes {
            let count: usize = shape.iter().product();
            let is_norm = name.ends_with("norm.weight")
                || name.contains("layer_norm")
                || name.contains("ln_");
            let values: Vec<f32> = if name.ends_with("bias") {
                vec![0.0; count]
            } else if is_norm || name.ends_with("layernorm.weight") {
                vec![1.0; count]
            } else {
                let into_residual =
                    name.ends_with("o_proj.weight") || name.ends_with("down_proj.weight");
                let deviation = if into_residual { 0.02 / depth } else { 0.02 };
                let deviation = if name.starts_with("llm") {
                    deviation
                } else {
                    (shape[shape.len() - 1] as f64).sqrt().recip()
                };
                (0..count)
                    .map(|_| (gaussian(&mut rng) * deviation) as f32)
                    .collect()
            };
            vars.insert(name, Var::from_vec(values, shape, &Device::Cpu)?);
        }
        let hidden = config.llm.hidden_size;
        let mut head: Vec<f32> = (0..hidden)
            .map(|_| (gaussian(&mut rng) * 0.02) as f32)
            .collect();
        head.push(2.5);
        Ok(Self {
            vars,
            score_head: Var::from_vec(head, hidden + 1, &Device::Cpu)?,
        })
    }

    /// Weights by name, to be saved.
    pub fn tensors(&self) -> HashMap<String, Tensor> {
        self.vars
            .iter()
            .map(|(name, var)| (name.clone(), var.as_tensor().clone()))
            .collect()
    }

    fn all(&self, frozen: &HashMap<String, Tensor>) -> weights::Weights {
        let mut tensors = self.tensors();
        tensors.extend(
            frozen
                .iter()
                .map(|(name, tensor)| (name.clone(), tensor.clone())),
        );
        weights::Weights::from_tensors(tensors).rounded()
    }

    /// Variables in the order of their names, matrices apart from vectors.
    fn groups(&self) -> (Vec<Var>, Vec<Var>) {
        let mut named: Vec<_> = self.vars.iter().collect();
        named.sort_by(|a, b| a.0.cmp(b.0));
        let (matrices, mut vectors): (Vec<Var>, Vec<Var>) = named
            .into_iter()
            .map(|(_, var)| var.clone())
            .partition(|var| var.rank() > 1);
        vectors.push(self.score_head.clone());
        (matrices, vectors)
    }
}

/// Names and shapes of everything that the model loads and that is not frozen, by building it without weights.
fn shapes_of(
    config: &Config,
    frozen: &HashMap<String, Tensor>,
) -> Result<Vec<(String, Vec<usize>)>> {
    let census = Arc::new(weights::Census::default());
    let source = weights::Weights::new(census.clone(), weights::Form::F32, &Device::Cpu);
    MiniCpmV::new(config, Mode::Training, &source)?;
    let wanted = census.wanted().into_iter();
    Ok(wanted
        .filter(|(name, _)| !frozen.contains_key(name))
        .map(|(name, slot)| (name, slot.shape))
        .collect())
}

/// What the model learns from: patches `(rows * cols, values)` of each picture, all of one grid, and conversations.
#[derive(Debug, Clone, Copy)]
pub struct SpeechData<'a> {
    /// Patches by picture: as it is, and mirrored left to right.
    pub patches: &'a [[Tensor; 2]],
    /// Rows and columns of patches.
    pub grid: [usize; 2],
    /// Conversations to learn.
    pub train: &'a [SpeechExample],
    /// Conversations to measure.
    pub val: &'a [SpeechExample],
}

/// Trains; `on_step` hears (step, steps, mean loss of late), `on_epoch` the figures and the weights.
///
/// # Errors
/// Failed tensor operations, or whatever `on_epoch` answers.
pub fn train_speech(
    config: &Config,
    frozen: &Tensors,
    data: SpeechData<'_>,
    settings: &SpeechSettings,
    on_step: &mut dyn FnMut(usize, usize, f64),
    on_epoch: &mut dyn FnMut(SpeechEpoch, &Weights) -> Result<()>,
) -> Result<Weights> {
    let weights = Weights::fresh(config, frozen, settings.seed)?;
    let model = MiniCpmV::new(config, Mode::Training, &weights.all(frozen))?;
    let (matrices, vectors) = weights.groups();
    let params = ParamsAdamW {
        beta2: 0.95,
        weight_decay: settings.weight_decay,
        ..ParamsAdamW::default()
    };
    let mut decayed = AdamW::new(matrices, params.clone())?;
    let mut plain = AdamW::new(
        vectors,
        ParamsAdamW {
            weight_decay: 0.0,
            ..params
        },
    )?;
    let mut rng = ChaCha8Rng::seed_from_u64(settings.seed);
    let steps = settings.epochs * data.train.len().div_ceil(settings.batch_size);
    let (mut step, mut late) = (0, None);
    for epoch in 1..=settings.epochs {
        let (mut total, mut count) = (0.0, 0);
        for batch in batches(data.train, settings.batch_size, &mut rng) {
            let rate = schedule(step as f64 / steps as f64) * settings.learning_rate;
            decayed.set_learning_rate(rate);
            plain.set_learning_rate(rate);
            let mut mirror = || usize::from(rng.random_bool(0.5));
            let out = forward(&model, &weights.score_head, &data, &batch, &mut mirror)?;
            let loss = (out.words + (out.score_error * settings.score_weight)?)?;
            let grads = loss.backward()?;
            decayed.step(&grads)?;
            plain.step(&grads)?;
            let loss = f64::from(loss.to_scalar::<f32>()?);
            late = Some(late.map_or(loss, |late: f64| 0.95 * late + 0.05 * loss));
            (total, count, step) = (total + loss, count + 1, step + 1);
            on_step(step, steps, late.unwrap_or(loss));
        }
        let (val_words, val_scores) = validate(&model, &weights, &data, settings.batch_size)?;
        on_epoch(
            SpeechEpoch {
                epoch,
                loss: total / f64::from(count.max(1)),
                val_words,
                val_scores,
            },
            &weights,
        )?;
    }
    Ok(weights)
}

fn schedule(done: f64) -> f64 {
    let warm = 0.05;
    if done < warm {
        done / warm
    } else {
        1.0f64.midpoint((std::f64::consts::PI * (done - warm) / (1.0 - warm)).cos())
    }
}

/// Batches of conversations of like length, in random order.
fn batches<'a>(
    examples: &'a [SpeechExample],
    size: usize,
    rng: &mut ChaCha8Rng,
) -> Vec<Vec<&'a SpeechExample>> {
    let mut order: Vec<&SpeechExample> = examples.iter().collect();
    order.shuffle(rng);
    let mut batches = Vec::new();
    for pool in order.chunks_mut(size * 24) {
        pool.sort_by_key(|example| example.ids.len());
        batches.extend(pool.chunks(size).map(<[_]>::to_vec));
    }
    batches.shuffle(rng);
    batches
}

struct Outcome {
    words: Tensor,
    score_error: Tensor,
    scores: Tensor,
}

fn forward(
    model: &MiniCpmV,
    head: &Tensor,
    data: &SpeechData<'_>,
    batch: &[&SpeechExample],
    orientation: &mut dyn FnMut() -> usize,
) -> Result<Outcome> {
    let device = &Device::Cpu;
    let longest = batch
        .iter()
        .map(|example| example.ids.len())
        .max()
        .unwrap_or(0)
        .next_multiple_of(32);
    // 1. Image tokens: (batch, queries, hidden)
    let patches: Vec<&Tensor> = batch
        .iter()
        .map(|example| &data.patches[example.picture][orientation()])
        .collect();
    let images = model.image_tokens(&Tensor::stack(&patches, 0)?, data.grid)?;
    // 2. Embeddings: all conversations hold the picture at the same place. Padding stands behind and is never seen.
    let ids: Vec<u32> = batch
        .iter()
        .flat_map(|example| {
            let padding = std::iter::repeat_n(0, longest - example.ids.len());
            example.ids.iter().copied().chain(padding)
        })
        .collect();
    let hidden = model.config().llm.hidden_size;
    let text = model
        .llm()
        .embed(&Tensor::from_vec(ids, batch.len() * longest, device)?)?;
    let text = text.reshape((batch.len(), longest, hidden))?;
    let [first, last] = batch[0].image;
    let embeds = Tensor::cat(
        &[
            &text.narrow(1, 0, first)?,
            &images,
            &text.narrow(1, last, longest - last)?,
        ],
        1,
    )?;
    // 3. Hidden states as rows, and the rows that foretell the assistant's tokens
    let states = model
        .llm()
        .forward_whole(&embeds)?
        .reshape((batch.len() * longest, hidden))?;
    let (mut rows, mut wanted, mut ends) = (Vec::new(), Vec::new(), Vec::new());
    for (index, example) in batch.iter().enumerate() {
        for &target in &example.targets {
            rows.push((index * longest + target - 1) as u32);
            wanted.push(example.ids[target]);
        }
        ends.push((index * longest + example.score_at) as u32);
    }
    let states_at = |rows: &[u32]| states.index_select(&Tensor::new(rows, device)?, 0);
    let logits = model
        .llm()
        .logits(&states_at(&rows)?.unsqueeze(0)?)?
        .squeeze(0)?;
    let words = candle_nn::loss::cross_entropy(&logits, &Tensor::new(wanted, device)?)?;
    // 4. Scores from the last token of message 3
    let weight = head.narrow(0, 0, hidden)?.unsqueeze(1)?;
    let scores = states_at(&ends)?
        .matmul(&weight)?
        .squeeze(1)?
        .broadcast_add(&head.narrow(0, hidden, 1)?)?;
    let truth: Vec<f32> = batch.iter().map(|example| example.score).collect();
    let score_error = (&scores - Tensor::new(truth, device)?)?.sqr()?.mean_all()?;
    Ok(Outcome {
        words,
        score_error,
        scores,
    })
}

fn validate(
    model: &MiniCpmV,
    weights: &Weights,
    data: &SpeechData<'_>,
    size: usize,
) -> Result<(f64, Vec<f32>)> {
    let (mut words, mut tokens, mut scores) = (0.0, 0, Vec::new());
    for batch in data.val.chunks(size) {
        let batch: Vec<&SpeechExample> = batch.iter().collect();
        let out = forward(model, &weights.score_head, data, &batch, &mut || 0)?;
        let count: usize = batch.iter().map(|example| example.targets.len()).sum();
        words += f64::from(out.words.to_scalar::<f32>()?) * count as f64;
        tokens += count;
        scores.extend(out.scores.to_vec1::<f32>()?);
    }
    Ok((words / tokens.max(1) as f64, scores))
}
