//! The steps in which a small model that sees learns to speak: the resampler looks at the stem's patches, then the
//! language model learns with it.

use std::collections::HashMap;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use rayon::prelude::*;
use tokenizers::Tokenizer;

use super::facts::Facts;
use super::figures::{COLUMNS, agreement, defects_told, facts, mean_of_told, srcc};
use super::lesson::{LabelNames, Lesson};
use super::look::{LookData, LookEpoch, LookSettings, train_look};
use super::passes::Passes;
use super::pupil::{BothPatches, Pupil, Tensors, Weights};
use super::recipe::{GRID, Recipe, identity, mini_stem};
use super::sight::{begun, overview_file, stem_file};
use super::speech::{SpeechData, SpeechEpoch, SpeechExample, SpeechSettings, train_speech};
use super::tokens::{Opening, Told, speech_example, train_tokenizer};
use super::view::Pictures;
use crate::domain::{Aspect, Conversation, Picture, Preset};
use crate::ml::MlError;
use crate::ml::vlm::minicpm_v::spectrum;
use crate::ml::vlm::minicpm_v::stem::Stem;
use crate::ml::vlm::minicpm_v::vision::pixels;
use crate::ml::vlm::minicpm_v::{Chat, Config};
use crate::ml::vlm::weights;

/// Takes away what the steps have noted on their way: the model is made.
pub fn end(out: &Path) {
    for step in ["see", "survey", "speak"] {
        Passes::new(out, step, String::new(), 0.0).end();
    }
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
        pictures: material.pictures(),
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
    is_scene: Vec<bool>,
    scene_share: f64,
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
        let mut frozen = frozen_stem(&stem_file(out), "")?;
        if recipe.survey.is_some() {
            frozen.extend(frozen_stem(&overview_file(out), "overview.")?);
        }
        frozen.extend(spectrum_of(recipe, lessons)?);
        let patches = patches_of(recipe, lessons, &frozen)?;
        let names = LabelNames::of(lessons, recipe.label_words);
        Ok(Self {
            config,
            chat: Chat::new(tokenizer)?,
            frozen,
            patches,
            facts: lessons.iter().map(|lesson| facts(&names, lesson)).collect(),
            is_scene: lessons.iter().map(|lesson| lesson.is_demo).collect(),
            scene_share: recipe.demo_share,
            names,
        })
    }

    fn pictures(&self) -> Pictures<'_> {
        Pictures {
            patches: &self.patches,
            facts: &self.facts,
            is_scene: &self.is_scene,
            scene_share: self.scene_share,
            grid: GRID,
        }
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
        pictures: material.pictures(),
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

/// Fewest rows and columns of patches that are shown while learning.
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

/// The tensors of the stem, or of a part of it, under the names that the model loads them by.
fn frozen_stem(file: &Path, part: &str) -> Result<Tensors, MlError> {
    let tensors = candle_core::safetensors::load(file, &Device::Cpu).map_err(|error| {
        let text = format!(
            "an earlier step has left no stem ({error}); run it first: {}",
            file.display()
        );
        MlError::Input(text)
    })?;
    Ok(tensors
        .into_iter()
        .map(|(name, tensor)| (format!("vpm.embeddings.stem.{part}{name}"), tensor))
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
