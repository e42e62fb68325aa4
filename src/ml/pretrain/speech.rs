//! Second step of making a small model: resampler and language model learn to describe and to rate.
//!
//! The stem's patches are held in memory, so a step never touches pixels. Loss on the assistant's tokens only, as
//! the published fine-tuning has it, and beside it the opinion score read from the user's tokens behind the picture, so
//! that hidden states carry what people thought of it: in message 1 from picture and prompt alone, in message 3 from the
//! description as well.

use std::collections::HashMap;
use std::sync::Arc;

use candle_core::{DType, Device, Result, Tensor, Var};
use candle_nn::{AdamW, Optimizer as _, ParamsAdamW};
use rand::Rng as _;
use rand::SeedableRng as _;
use rand::seq::SliceRandom as _;
use rand_chacha::ChaCha8Rng;

use super::facts::{Facts, column_means, facts_loss};
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
    /// Decoupled weight decay of the matrices.
    pub weight_decay: f64,
    /// Weight of the score's squared error beside the words' cross entropy.
    pub score_weight: f64,
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

/// A model's trainable weights under the checkpoint's names, and the head that reads scores while training.
pub struct Weights {
    vars: HashMap<String, Var>,
    score_head: Var,
    /// `(facts, hidden)` and `(facts)`: foretells facts from the mean of the image tokens.
    facts_head: [Var; 2],
}

impl Weights {
    /// Fresh weights: normal with deviation 0.02 (matrices that feed a residual smaller by the depth), norms 1,
    /// biases 0. Names and shapes are those that [`MiniCpmV::new`] asks for.
    ///
    /// # Errors
    /// Failed tensor operations.
    pub fn fresh(
        config: &Config,
        frozen: &HashMap<String, Tensor>,
        facts: &[Facts],
        seed: u64,
    ) -> Result<Self> {
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
        let mut bias = column_means(&facts.iter().collect::<Vec<_>>());
        bias.extend(
            facts
                .iter()
                .take(1)
                .flat_map(|f| vec![-2.0; f.labels.len()]),
        );
        let outputs = bias.len();
        Ok(Self {
            vars,
            score_head: Var::from_vec(head, hidden + 1, &Device::Cpu)?,
            facts_head: [
                Var::zeros((outputs, hidden), DType::F32, &Device::Cpu)?,
                Var::from_vec(bias, outputs, &Device::Cpu)?,
            ],
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
        let (mut matrices, mut vectors): (Vec<Var>, Vec<Var>) = named
            .into_iter()
            .map(|(_, var)| var.clone())
            .partition(|var| var.rank() > 1);
        let [weight, bias] = &self.facts_head;
        matrices.push(weight.clone());
        vectors.extend([self.score_head.clone(), bias.clone()]);
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
    /// What is known of each picture.
    pub facts: &'a [Facts],
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
    let weights = Weights::fresh(config, frozen, data.facts, settings.seed)?;
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
            let views = views(&data, &batch, settings.smallest_window, &mut rng);
            let out = forward(&model, &weights, &data, (&batch, &views))?;
            let facts: Vec<&Facts> = batch.iter().map(|e| &data.facts[e.picture]).collect();
            let facts = facts_loss(&out.facts, &facts, settings.label_weight)?;
            let loss = (out.words + (out.score_error * settings.score_weight)?)?;
            let loss = (loss + (facts * settings.facts_weight)?)?;
            let grads = loss.backward()?;
            decayed.step(&grads)?;
            plain.step(&grads)?;
            let loss = f64::from(loss.to_scalar::<f32>()?);
            late = Some(late.map_or(loss, |late: f64| 0.95 * late + 0.05 * loss));
            (total, count, step) = (total + loss, count + 1, step + 1);
            on_step(step, steps, late.unwrap_or(loss));
        }
        let seen = validate(&model, &weights, &data, settings.batch_size)?;
        on_epoch(
            SpeechEpoch {
                epoch,
                loss: total / f64::from(count.max(1)),
                ..seen
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

/// A part of a picture's patches.
#[derive(Debug, Clone, Copy)]
struct View {
    is_mirrored: bool,
    /// First row and column.
    at: [usize; 2],
    /// Rows and columns.
    size: [usize; 2],
}

impl View {
    const fn whole(grid: [usize; 2]) -> Self {
        Self {
            is_mirrored: false,
            at: [0, 0],
            size: grid,
        }
    }

    /// `patches (rows * cols, values)`, as it is and mirrored, to those in view.
    fn of(self, patches: &[Tensor; 2], [rows, cols]: [usize; 2]) -> Result<Tensor> {
        let patches = &patches[usize::from(self.is_mirrored)];
        let values = patches.dim(1)?;
        let ([y, x], [height, width]) = (self.at, self.size);
        patches
            .reshape((rows, cols, values))?
            .narrow(0, y, height)?
            .narrow(1, x, width)?
            .reshape((height * width, values))
    }
}

/// Random views of one size for a batch.
fn views(
    data: &SpeechData<'_>,
    batch: &[&SpeechExample],
    smallest: usize,
    rng: &mut ChaCha8Rng,
) -> Vec<View> {
    let size = data
        .grid
        .map(|full| rng.random_range(smallest.min(full)..=full));
    let one = |_: &&SpeechExample| View {
        is_mirrored: rng.random_bool(0.5),
        at: [0, 1].map(|axis| rng.random_range(0..=data.grid[axis] - size[axis])),
        size,
    };
    batch.iter().map(one).collect()
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
    model: &MiniCpmV,
    weights: &Weights,
    data: &SpeechData<'_>,
    (batch, views): (&[&SpeechExample], &[View]),
) -> Result<Outcome> {
    let device = &Device::Cpu;
    let longest = batch
        .iter()
        .map(|example| example.ids.len())
        .max()
        .unwrap_or(0)
        .next_multiple_of(32);
    // 1. Image tokens: (batch, queries, hidden)
    let patches: Vec<Tensor> = batch
        .iter()
        .zip(views)
        .map(|(example, view)| view.of(&data.patches[example.picture], data.grid))
        .collect::<Result<_>>()?;
    let images = model.image_tokens(&Tensor::stack(&patches, 0)?, views[0].size)?;
    let [weight, bias] = &weights.facts_head;
    let facts = images.mean(1)?.matmul(&weight.t()?)?.broadcast_add(bias)?;
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
    let (mut rows, mut wanted) = (Vec::new(), Vec::new());
    for (index, example) in batch.iter().enumerate() {
        for &target in &example.targets {
            rows.push((index * longest + target - 1) as u32);
            wanted.push(example.ids[target]);
        }
    }
    let states_at = |rows: &[u32]| states.index_select(&Tensor::new(rows, device)?, 0);
    let logits = model
        .llm()
        .logits(&states_at(&rows)?.unsqueeze(0)?)?
        .squeeze(0)?;
    let words = candle_nn::loss::cross_entropy(&logits, &Tensor::new(wanted, device)?)?;
    // 4. Scores from the user's tokens behind the picture
    let (readings, head) = (readings(batch, longest), &weights.score_head);
    let scores = states_at(&readings.rows)?
        .matmul(&head.narrow(0, 0, hidden)?.unsqueeze(1)?)?
        .squeeze(1)?
        .broadcast_add(&head.narrow(0, hidden, 1)?)?;
    let error = (&scores - Tensor::new(readings.truth, device)?)?.sqr()?;
    let score_error = (error * Tensor::new(readings.shares, device)?)?.sum_all()?;
    Ok(Outcome {
        words,
        facts,
        score_error,
        untold: scores.index_select(&Tensor::new(readings.untold, device)?, 0)?,
    })
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

fn validate(
    model: &MiniCpmV,
    weights: &Weights,
    data: &SpeechData<'_>,
    size: usize,
) -> Result<SpeechEpoch> {
    let (mut words, mut tokens, mut error) = (0.0, 0, 0.0);
    let (mut scores, mut seen) = (Vec::new(), Vec::new());
    let columns = data.facts.first().map_or(0, |facts| facts.scores.len());
    for batch in data.val.chunks(size) {
        let batch: Vec<&SpeechExample> = batch.iter().collect();
        let views = vec![View::whole(data.grid); batch.len()];
        let out = forward(model, weights, data, (&batch, &views))?;
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
