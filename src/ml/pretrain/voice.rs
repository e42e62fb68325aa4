//! The recipe of the embedded small model, step by step.
//!
//! `see` trains the convolutional stem and leaves a file; `speak` reads it, has the resampler look at the stem's patches,
//! and then trains the language model with it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use tokenizers::Tokenizer;

use super::facts::Facts;
use super::lesson::{LabelNames, Lesson};
use super::look::{LookData, LookEpoch, LookSettings, train_look};
use super::passes::Passes;
use super::pupil::{BothPatches, Pupil, Tensors, Weights};
use super::speech::{SpeechData, SpeechEpoch, SpeechExample, SpeechSettings, train_speech};
use super::tokens::{Opening, Told, speech_example, train_tokenizer};
use super::tower::{TowerEpoch, TowerExample, TowerSettings, train_tower};
use crate::domain::{Aspect, Conversation, Picture, Preset};
use crate::ml::MlError;
use crate::ml::vlm::minicpm_v::spectrum;
use crate::ml::vlm::minicpm_v::stem::{Stem, StemConfig, StemLayer};
use crate::ml::vlm::minicpm_v::vision::pixels;
use crate::ml::vlm::minicpm_v::{Chat, Config};
use crate::ml::vlm::weights;
use crate::stats;

/// Where a small model learns from, and how long. Read from `recipe.toml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recipe {
    /// Demo scenes, generated with a seed of their own so that the program's demo stays unseen.
    pub demo_count: usize,
    /// Their seed.
    pub demo_seed: u64,
    /// Teacher words that the stem learns as labels.
    pub label_words: usize,
    /// Channels of the stem's six convolutions.
    pub channels: [usize; 6],
    /// Side of the blocks whose frequencies are told of every patch beside what the stem learns; without it none are.
    #[serde(default)]
    pub spectrum: Option<usize>,
    /// Share of the pooled values left out while the stem learns.
    pub see_dropout: f64,
    /// Weight of the labels beside the opinion scores while the stem learns.
    pub label_weight: f64,
    /// Passes of the first step.
    pub see_epochs: usize,
    /// Passes in which the resampler alone learns to tell what is known of a picture, before the language model does.
    #[serde(default)]
    pub look_epochs: usize,
    /// Passes of the second step.
    pub speak_epochs: usize,
    /// Share of the second step's learning rate at which what makes image tokens goes on learning.
    #[serde(default = "whole_rate")]
    pub vision_rate: f64,
    /// Times that the first sentence about a demo scene, which says what is wrong with it, counts in the second step.
    #[serde(default = "once")]
    pub lead_weight: f64,
    /// Weight of the opinion scores' squared error beside the words' cross entropy in the second step.
    pub score_weight: f64,
    /// Weight beside them of what is known of the picture, foretold from the image tokens alone.
    pub facts_weight: f64,
    /// Tokens of the tokenizer.
    pub vocab_size: usize,
    /// Seed of everything else.
    pub seed: u64,
}

const fn whole_rate() -> f64 {
    1.0
}

const fn once() -> f64 {
    1.0
}

/// Opinion-score columns that the stem learns: real quality and correspondence, then the demo's three aspects.
const COLUMNS: usize = 5;

/// Those of real pictures, which come first.
const REAL_COLUMNS: usize = 2;

/// The stem of a recipe: what a few neighbouring pixels look like, then four times and twice halved.
pub fn mini_stem(recipe: &Recipe) -> StemConfig {
    let strides = [(4, 4), (3, 1), (3, 2), (3, 1), (3, 2), (3, 1)];
    let layer = |(channels, (kernel, stride)): (usize, (usize, usize))| StemLayer {
        channels,
        kernel,
        stride,
    };
    let layers = recipe.channels.into_iter().zip(strides).map(layer);
    StemConfig {
        layers: layers.collect(),
        cell: 4,
        spectrum: recipe.spectrum,
    }
}

/// First step: trains the stem and keeps the epoch that ranks the validation pictures best, in `steps/stem.safetensors`.
///
/// # Errors
/// Failed tensor operations; a folder that cannot be written.
pub fn see(
    recipe: &Recipe,
    lessons: &[Lesson],
    out: &Path,
    say: &mut dyn FnMut(String),
) -> Result<(), MlError> {
    let names = LabelNames::of(lessons, recipe.label_words);
    let (val, train): (Vec<&Lesson>, Vec<&Lesson>) =
        lessons.iter().partition(|lesson| lesson.is_val);
    let example = |lesson: &&Lesson| TowerExample {
        picture: lesson.picture.clone(),
        facts: facts(&names, lesson),
    };
    let train: Vec<TowerExample> = train.iter().map(example).collect();
    let val: Vec<TowerExample> = val.iter().map(example).collect();
    say(format!(
        "{} pictures to learn from, {} to choose by, {} labels",
        train.len(),
        val.len(),
        names.len()
    ));
    let settings = TowerSettings {
        epochs: recipe.see_epochs,
        batch_size: 32,
        crop: 256,
        learning_rate: 3e-3,
        weight_decay: 0.05,
        label_weight: recipe.label_weight,
        hidden: 128,
        dropout: recipe.see_dropout,
        seed: recipe.seed,
    };
    let start = std::time::Instant::now();
    let passes = Passes::new(out, "see", identity(recipe, lessons), f64::NEG_INFINITY);
    begun(&passes, recipe.see_epochs, say)?;
    train_tower(
        &mini_stem(recipe),
        (&train, &val),
        &settings,
        &passes,
        &mut |epoch| {
            let seconds = start.elapsed().as_secs();
            if epoch.predicted.is_empty() {
                say(format!(
                    "epoch {} loss {:.4} after {seconds} s",
                    epoch.epoch, epoch.loss
                ));
                return Ok(true);
            }
            let known: Vec<&Facts> = val.iter().map(|example| &example.facts).collect();
            let figures = agreement(&epoch.predicted, &known);
            let mean = mean_of_told(&figures);
            say(format!(
                "epoch {} loss {:.4} val SRCC {figures:.3?} after {seconds} s",
                epoch.epoch, epoch.loss
            ));
            if mean > passes.best() {
                passes.set_best(mean);
                save_stem(&epoch, out)?;
            }
            Ok(true)
        },
    )?;
    Ok(())
}

/// Takes away what the steps have noted on their way: the model is made.
pub fn end(out: &Path) {
    for step in ["see", "speak"] {
        Passes::new(out, step, String::new(), 0.0).end();
    }
}

/// What a step's notes belong to: the recipe, and whatever is learned from.
fn identity(recipe: &Recipe, lessons: &[Lesson]) -> String {
    let one = |lesson: &Lesson| {
        let [width, height] = [lesson.picture.width, lesson.picture.height];
        let said = lesson.talks.iter().map(|talk| talk.description.as_str());
        let said: Vec<&str> = said.collect();
        format!(
            "{} {width} {height} {:?} {said:?}",
            lesson.prompt, lesson.mos
        )
    };
    let hash = stats::fnv1a(&lessons.iter().map(one).collect::<String>());
    format!("{recipe:?} {} {hash:x}", lessons.len())
}

/// Passes that an earlier run has done, if there was one, of which it is told.
fn begun(
    passes: &Passes,
    all: usize,
    say: &mut dyn FnMut(String),
) -> Result<Option<usize>, MlError> {
    let done = passes.begun()?;
    if let Some(done) = done {
        say(format!(
            "goes on behind {done} of {all} passes that an earlier run has done"
        ));
    }
    Ok(done)
}

/// Mean SRCC of the columns that choose the epoch: the real pictures', where there are any. The demo's correspondence and
/// authenticity are hardly seen in crops: their SRCC on some fifty pictures is noise, which must not choose.
fn mean_of_told(figures: &[Option<f64>]) -> f64 {
    let mean = |figures: &[Option<f64>]| {
        let known: Vec<f64> = figures.iter().flatten().copied().collect();
        (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
    };
    let (real, demo) = figures.split_at(REAL_COLUMNS);
    mean(real).or_else(|| mean(demo)).unwrap_or(0.0)
}

/// SRCC of every column, foretold of pictures, with what is known of them.
fn agreement(foretold: &[Vec<f32>], known: &[&Facts]) -> Vec<Option<f64>> {
    (0..COLUMNS)
        .map(|column| {
            let pairs = known.iter().zip(&foretold[column]);
            srcc(pairs.filter_map(|(facts, foretold)| Some((*foretold, facts.scores[column]?))))
        })
        .collect()
}

/// SRCC of pairs of what was foretold and what people said; `None` where there is none.
fn srcc(pairs: impl Iterator<Item = (f32, f32)>) -> Option<f64> {
    let (foretold, truth): (Vec<f64>, Vec<f64>) = pairs
        .map(|(foretold, truth)| (f64::from(foretold), f64::from(truth)))
        .unzip();
    stats::srcc(&foretold, &truth).ok()
}

fn facts(names: &LabelNames, lesson: &Lesson) -> Facts {
    Facts {
        scores: score_columns(lesson),
        labels: names.labels(lesson),
    }
}

fn score_columns(lesson: &Lesson) -> Vec<Option<f32>> {
    let mos = |aspect| lesson.mos.get(aspect).map(|mos| mos as f32);
    let [quality, correspondence, authenticity] = Aspect::ALL.map(mos);
    if lesson.is_demo {
        vec![None, None, quality, correspondence, authenticity]
    } else {
        vec![quality, correspondence, None, None, None]
    }
}

fn save_stem(epoch: &TowerEpoch, out: &Path) -> candle_core::Result<()> {
    let mut tensors = HashMap::new();
    for (index, (weight, bias)) in epoch.stem.layers().iter().enumerate() {
        tensors.insert(
            format!("layers.{index}.weight"),
            weight.to_device(&Device::Cpu)?,
        );
        tensors.insert(
            format!("layers.{index}.bias"),
            bias.to_device(&Device::Cpu)?,
        );
    }
    let file = stem_file(out);
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder)?;
    }
    candle_core::safetensors::save(&tensors, file)
}

/// Where the first step leaves its stem: below the model's folder, since weights within are taken for the model's own.
fn stem_file(out: &Path) -> PathBuf {
    out.join("steps").join("stem.safetensors")
}

/// The steps behind the first: trains tokenizer, resampler (alone first) and language model on the stem's patches, and
/// writes the model folder: `tokenizer.json`, `config.json`, `model.safetensors` (half precision) of the epoch whose loss
/// on the validation conversations, words and scores, is least.
///
/// # Errors
/// A first step that was not made; failed tensor operations; a folder that cannot be written.
pub fn speak(
    recipe: &Recipe,
    (lessons, preset): (&[Lesson], &Preset),
    out: &Path,
    say: &mut dyn FnMut(String),
) -> Result<(), MlError> {
    let conversations: Vec<Spoken> = lessons
        .iter()
        .enumerate()
        .flat_map(|(i, l)| spoken(preset, i, l))
        .collect();
    let material = Material::gather(recipe, lessons, &conversations, out)?;
    say(format!(
        "{} conversations on {} pictures, {} tokens in the vocabulary",
        conversations.len(),
        lessons.len(),
        material.config.llm.vocab_size
    ));
    let pupil = Pupil::fresh(
        &material.config,
        &material.frozen,
        &material.facts,
        recipe.seed,
    )?;
    let passes = Passes::new(out, "speak", identity(recipe, lessons), f64::INFINITY);
    if begun(&passes, recipe.speak_epochs, say)?.is_none() {
        look(recipe, &pupil, (lessons, &material), say)?;
    }
    let (val, train): (Vec<&Spoken>, Vec<&Spoken>) = conversations
        .iter()
        .partition(|c| lessons[c.picture].is_val);
    let columns: Vec<usize> = val.iter().map(|c| c.column).collect();
    let (train, val) = (material.examples(&train)?, material.examples(&val)?);
    let data = SpeechData {
        patches: &material.patches,
        facts: &material.facts,
        grid: GRID,
        train: &train,
        val: &val,
    };
    let say = std::cell::RefCell::new(say);
    let mut on_step = |step: usize, steps: usize, loss: f64| {
        if step.is_multiple_of(25) {
            (say.borrow_mut())(format!("step {step} of {steps} loss {loss:.4}"));
        }
    };
    let mut on_epoch = |epoch: SpeechEpoch, weights: &Weights| {
        (say.borrow_mut())(line_of(&epoch, &val, &columns));
        let whole = epoch.val_words + recipe.score_weight * epoch.val_score_error;
        if whole >= passes.best() {
            return Ok(());
        }
        passes.set_best(whole);
        save_model(weights, &material.frozen, &out.join("model.safetensors"))
    };
    let settings = speech_settings(recipe);
    train_speech(
        &pupil,
        data,
        &settings,
        &passes,
        &mut on_step,
        &mut on_epoch,
    )?;
    Ok(())
}

/// What the last two steps work on.
struct Material {
    config: Config,
    chat: Chat,
    /// The stem's tensors, which are not trained any more.
    frozen: Tensors,
    patches: Vec<BothPatches>,
    names: LabelNames,
    facts: Vec<Facts>,
}

impl Material {
    /// Trains the tokenizer, writes it and the configuration, and takes the patches of all pictures.
    fn gather(
        recipe: &Recipe,
        lessons: &[Lesson],
        conversations: &[Spoken],
        out: &Path,
    ) -> Result<Self, MlError> {
        let tokenizer = tokenizer_for(conversations, recipe.vocab_size)?;
        tokenizer
            .save(out.join("tokenizer.json"), false)
            .map_err(|error| {
                MlError::Input(format!("tokenizer.json cannot be written: {error}"))
            })?;
        let config = Config::mini(tokenizer.get_vocab_size(true), mini_stem(recipe));
        write_config(&config, &out.join("config.json"))?;
        let mut frozen = frozen_stem(&stem_file(out))?;
        frozen.extend(spectrum_of(recipe, lessons)?);
        let patches = patches_of(recipe, lessons, &frozen)?;
        let names = LabelNames::of(lessons, recipe.label_words);
        Ok(Self {
            config,
            chat: Chat::new(tokenizer)?,
            frozen,
            patches,
            facts: lessons.iter().map(|lesson| facts(&names, lesson)).collect(),
            names,
        })
    }

    fn examples(&self, spoken: &[&Spoken]) -> Result<Vec<SpeechExample>, MlError> {
        let queries = self.config.query_num;
        let one = |c: &&Spoken| {
            let told = Told {
                picture: c.picture,
                score: c.score,
                opening: c.opening,
            };
            speech_example(&self.chat, queries, &c.conversation, &c.answer, told)
        };
        spoken.iter().map(one).collect()
    }
}

/// What is said of a pass over the conversations.
fn line_of(epoch: &SpeechEpoch, val: &[SpeechExample], columns: &[usize]) -> String {
    let agree = |scores: &[f32]| score_columns_agree(scores, val, columns);
    let seen: Vec<f32> = epoch
        .val_seen
        .iter()
        .zip(columns)
        .map(|(scores, column)| scores[*column])
        .collect();
    format!(
        "epoch {} loss {:.4} val words {:.4} scores {:.4} val SRCC of image tokens {:.3?}, before the description {:.3?}",
        epoch.epoch,
        epoch.loss,
        epoch.val_words,
        epoch.val_score_error,
        agree(&seen),
        agree(&epoch.val_scores)
    )
}

/// The resampler's passes before the language model's.
fn look(
    recipe: &Recipe,
    pupil: &Pupil,
    (lessons, material): (&[Lesson], &Material),
    say: &mut dyn FnMut(String),
) -> Result<(), MlError> {
    let square = |index: &usize| is_square(&lessons[*index].picture);
    let (val, train): (Vec<usize>, Vec<usize>) = (0..lessons.len())
        .filter(square)
        .partition(|&index| lessons[index].is_val);
    let settings = LookSettings {
        epochs: recipe.look_epochs,
        batch_size: 32,
        learning_rate: 1e-3,
        weight_decay: 0.05,
        label_weight: recipe.label_weight,
        smallest_window: SMALLEST_WINDOW,
        seed: recipe.seed,
    };
    let data = LookData {
        patches: &material.patches,
        facts: &material.facts,
        grid: GRID,
        train: &train,
        val: &val,
    };
    let val: Vec<&Facts> = val.iter().map(|&index| &material.facts[index]).collect();
    let mut figure = |LookEpoch { epoch, loss, seen }: LookEpoch<'_>| {
        let columns: Vec<Vec<f32>> = (0..COLUMNS)
            .map(|column| seen.iter().map(|row| row[column]).collect())
            .collect();
        let figures = agreement(&columns, &val);
        say(format!(
            "look {epoch} loss {loss:.4} val SRCC of image tokens {figures:.3?}"
        ));
        mean_of_told(&figures)
    };
    let kept = train_look(pupil, data, &settings, &mut figure)?;
    let told = defects_told(&material.names, &kept, &val);
    say(format!(
        "kept; area under the ROC curve by planted defect: {told}"
    ));
    Ok(())
}

/// How well image tokens tell every planted defect from its absence.
fn defects_told(names: &LabelNames, seen: &[Vec<f32>], known: &[&Facts]) -> String {
    let (start, tags) = names.tags();
    let one = |(at, tag): (usize, &String)| {
        let pairs = seen.iter().zip(known).filter_map(|(row, facts)| {
            let has = facts.labels[start + at]?;
            Some((f64::from(row[COLUMNS + start + at]), has))
        });
        let (logits, has): (Vec<f64>, Vec<bool>) = pairs.unzip();
        match stats::auc(&logits, &has) {
            Ok(auc) => format!("{tag} {auc:.2}"),
            Err(_) => format!("{tag} -"),
        }
    };
    let all: Vec<String> = tags.iter().enumerate().map(one).collect();
    all.join(", ")
}

const fn speech_settings(recipe: &Recipe) -> SpeechSettings {
    SpeechSettings {
        epochs: recipe.speak_epochs,
        batch_size: 16,
        learning_rate: 1.5e-3,
        vision_rate: recipe.vision_rate,
        weight_decay: 0.05,
        score_weight: recipe.score_weight,
        lead_weight: recipe.lead_weight,
        facts_weight: recipe.facts_weight,
        label_weight: recipe.label_weight,
        smallest_window: SMALLEST_WINDOW,
        seed: recipe.seed,
    }
}

fn tokenizer_for(conversations: &[Spoken], vocab_size: usize) -> Result<Tokenizer, MlError> {
    let texts: Vec<String> = conversations
        .iter()
        .map(|spoken| &spoken.conversation)
        .flat_map(|c| [c.request.clone(), c.description.clone(), c.question.clone()])
        .collect();
    train_tokenizer(&texts, vocab_size)
}

/// Rows and columns of patches of a 512-pixel picture.
const GRID: [usize; 2] = [8, 8];

/// Fewest of them that are shown while learning.
const SMALLEST_WINDOW: usize = 5;

/// Whether a picture has the grid.
const fn is_square(picture: &Picture) -> bool {
    picture.width == 512 && picture.height == 512
}

struct Spoken {
    picture: usize,
    conversation: Conversation,
    answer: String,
    score: f32,
    opening: Opening,
    column: usize,
}

fn spoken(preset: &Preset, picture: usize, lesson: &Lesson) -> Vec<Spoken> {
    let column = |aspect| {
        Aspect::ALL.iter().position(|a| *a == aspect).unwrap_or(0)
            + if lesson.is_demo { 2 } else { 0 }
    };
    let talks = lesson.talks.iter().filter(|_| is_square(&lesson.picture));
    talks
        .filter_map(|talk| {
            let score = (*lesson.mos.get(talk.aspect))? as f32;
            let conversation = Conversation {
                request: preset.request(talk.aspect, &lesson.prompt),
                description: talk.description.clone(),
                question: preset.aspect(talk.aspect).question.clone(),
            };
            Some(Spoken {
                picture,
                conversation,
                answer: talk.answer.clone(),
                score,
                opening: if lesson.is_demo {
                    Opening::Lead
                } else {
                    Opening::Usual
                },
                column: column(talk.aspect),
            })
        })
        .collect()
}

fn score_columns_agree(
    scores: &[f32],
    val: &[SpeechExample],
    columns: &[usize],
) -> Vec<Option<f64>> {
    (0..COLUMNS)
        .map(|column| {
            let rows = columns.iter().zip(scores).zip(val);
            let own = rows.filter(|((own, _), _)| **own == column);
            srcc(own.map(|((_, score), example)| (*score, example.score)))
        })
        .collect()
}

/// The stem's tensors under the names that the model loads them by.
fn frozen_stem(file: &Path) -> Result<Tensors, MlError> {
    let tensors = candle_core::safetensors::load(file, &Device::Cpu).map_err(|error| {
        let text = format!(
            "the first step has left no stem ({error}); run it first: {}",
            file.display()
        );
        MlError::Input(text)
    })?;
    Ok(tensors
        .into_iter()
        .map(|(name, tensor)| (format!("vpm.embeddings.stem.{name}"), tensor))
        .collect())
}

fn patches_of(
    recipe: &Recipe,
    lessons: &[Lesson],
    frozen: &Tensors,
) -> Result<Vec<BothPatches>, MlError> {
    let weights = weights::Weights::from_tensors(frozen.clone()).pp("vpm.embeddings.stem");
    let stem = Stem::new(&mini_stem(recipe), &weights)?.rounded();
    let one = |picture: &Picture| -> candle_core::Result<Tensor> {
        let patches = stem.patches(&pixels(picture, &Device::Cpu)?)?;
        let (_, rows, cols, values) = patches.dims4()?;
        patches.reshape((rows * cols, values))
    };
    let both = |lesson: &Lesson| Ok([one(&lesson.picture)?, one(&mirrored(&lesson.picture))?]);
    Ok(lessons
        .par_iter()
        .map(both)
        .collect::<candle_core::Result<_>>()?)
}

/// Mean and scale of the frequencies' strengths over the pictures that are learned from, under the names that the model
/// loads them by; nothing where the recipe wants none.
fn spectrum_of(recipe: &Recipe, lessons: &[Lesson]) -> Result<Tensors, MlError> {
    let Some(block) = recipe.spectrum else {
        return Ok(HashMap::new());
    };
    let patch = mini_stem(recipe).patch_pixels();
    let one = |lesson: &Lesson| {
        let pixels = pixels(&lesson.picture, &Device::Cpu)?;
        spectrum::raw_patches(&pixels, block, patch)?.flatten_to(2)
    };
    let patches: Vec<Tensor> = lessons
        .par_iter()
        .filter(|lesson| !lesson.is_val)
        .map(one)
        .collect::<candle_core::Result<_>>()?;
    let [mean, scale] = spectrum::statistics(&Tensor::cat(&patches, 0)?)?;
    let name = |name: &str| format!("vpm.embeddings.stem.spectrum.{name}");
    Ok(HashMap::from([
        (name("mean"), mean),
        (name("scale"), scale),
    ]))
}

/// The picture with left and right exchanged: as good or bad as before, and new to the resampler.
fn mirrored(picture: &Picture) -> Picture {
    let mut rgb = picture.rgb.to_vec();
    for row in rgb.chunks_exact_mut(picture.width as usize * 3) {
        row.reverse();
        row.chunks_exact_mut(3).for_each(<[u8]>::reverse);
    }
    Picture {
        rgb: rgb.into(),
        ..*picture
    }
}

fn save_model(weights: &Weights, frozen: &Tensors, file: &Path) -> candle_core::Result<()> {
    let mut tensors = weights.tensors();
    tensors.extend(
        frozen
            .iter()
            .map(|(name, tensor)| (name.clone(), tensor.clone())),
    );
    let half = tensors
        .into_iter()
        .map(|(name, tensor)| Ok((name, tensor.to_dtype(DType::F16)?)));
    candle_core::safetensors::save(&half.collect::<candle_core::Result<Tensors>>()?, file)
}

fn write_config(config: &Config, file: &Path) -> Result<(), MlError> {
    let text =
        serde_json::to_string_pretty(config).map_err(|error| MlError::Input(error.to_string()))?;
    std::fs::write(file, text)
        .map_err(|error| MlError::Input(format!("cannot write {}: {error}", file.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn real_pictures_choose_the_epoch_and_the_demo_only_without_them() {
        let figures = [Some(0.7), Some(0.5), Some(0.9), Some(-0.9), None];
        assert!((mean_of_told(&figures) - 0.6).abs() < 1e-9);
        let demo = [None, None, Some(0.9), Some(-0.5), None];
        assert!((mean_of_told(&demo) - 0.2).abs() < 1e-9);
    }

    #[test]
    fn mirroring_exchanges_left_and_right_and_keeps_colours_and_rows() {
        let picture = Picture {
            width: 2,
            height: 2,
            rgb: vec![1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12].into(),
        };
        let other = mirrored(&picture);
        assert_eq!(*other.rgb, [4, 5, 6, 1, 2, 3, 10, 11, 12, 7, 8, 9]);
        assert_eq!(mirrored(&other).rgb, picture.rgb);
    }
}
