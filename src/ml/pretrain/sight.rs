//! The steps in which a small model learns to see: the stem from crops, its overview from whole scenes.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::course::Course;
use super::facts::Facts;
use super::figures::{agreement, area_words, facts, mean_of_told};
use super::lesson::{LabelNames, Lesson};
use super::passes::Passes;
use super::recipe::{Recipe, Survey, identity, mini_overview, mini_stem};
use super::survey::{Scene, SurveyEpoch, SurveySettings, train_survey};
use super::tower::{TowerExample, TowerSettings, train_tower};
use crate::compute::kernels::means_of_squares;
use crate::domain::Picture;
use crate::ml::MlError;
use crate::ml::vlm::minicpm_v::stem::Stem;

/// Pictures a step.
const BATCH: usize = 32;

/// How both nets are trained.
const fn course(epochs: usize) -> Course {
    Course {
        epochs,
        batch_size: BATCH,
        learning_rate: 3e-3,
        weight_decay: 0.05,
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
        course: course(recipe.see_epochs),
        crop: 256,
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
                save_stem(&epoch.stem, &stem_file(out))?;
            }
            Ok(true)
        },
    )?;
    Ok(())
}

/// Whether a survey of the folder is through: then its scenes need not be painted again.
///
/// # Errors
/// What an earlier run left cannot be read, or is another survey's.
pub fn is_surveyed(survey: &Survey, out: &Path) -> Result<bool, MlError> {
    Ok(survey_passes(survey, out).begun()? == Some(survey.epochs))
}

/// Whether a folder has an overview, of whichever survey.
pub fn has_overview(out: &Path) -> bool {
    overview_file(out).exists()
}

/// Trains the overview on scenes that know where they are spoiled, and keeps its last pass, in
/// `steps/overview.safetensors`; the last scenes, a sixteenth, are not learned from and tell how it does.
///
/// # Errors
/// Too few scenes; failed tensor operations; a folder that cannot be written.
pub fn survey(
    survey: &Survey,
    (scenes, tags): (&[Scene], &[&str]),
    out: &Path,
    say: &mut dyn FnMut(String),
) -> Result<(), MlError> {
    let (train, val) = scenes.split_at(scenes.len() - scenes.len() / 16);
    if train.len() < BATCH {
        let text = format!(
            "a survey of {} scenes is too small: write at least {} into the recipe",
            scenes.len(),
            2 * BATCH
        );
        return Err(MlError::Input(text));
    }
    let settings = SurveySettings {
        course: course(survey.epochs),
        presence_weight: 4.0,
        picture_weight: 0.6,
        seed: survey.seed,
    };
    let passes = survey_passes(survey, out);
    begun(&passes, survey.epochs, say)?;
    let start = std::time::Instant::now();
    let mut on_epoch = |epoch: SurveyEpoch| {
        let told = places_told(&epoch.seen, val, tags);
        say(format!(
            "survey {} loss {:.4} after {} s {told}",
            epoch.epoch,
            epoch.loss,
            start.elapsed().as_secs()
        ));
        save_stem(&epoch.stem, &overview_file(out))
    };
    train_survey(
        &mini_overview().stem(),
        tags.len(),
        (train, val),
        &settings,
        &passes,
        &mut on_epoch,
    )?;
    Ok(())
}

fn survey_passes(survey: &Survey, out: &Path) -> Passes {
    let identity = format!("{survey:?} {:?}", mini_overview());
    Passes::new(out, "survey", identity, f64::NEG_INFINITY)
}

/// Passes that an earlier run has done, if there was one, of which it is told.
pub(super) fn begun(
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

/// How well the cell that shows a defect most tells scenes that have it from those that do not; nothing where no scene was
/// measured.
fn places_told(seen: &[Vec<f32>], scenes: &[Scene], tags: &[&str]) -> String {
    if seen.is_empty() {
        return String::new();
    }
    let one = |(at, tag): (usize, &&str)| {
        let logits: Vec<f64> = seen.iter().map(|row| f64::from(row[at])).collect();
        let has = |scene: &Scene| scene.cells.iter().any(|cell| cell >> at & 1 == 1);
        let has: Vec<bool> = scenes.iter().map(has).collect();
        area_words(tag, &logits, &has)
    };
    let all: Vec<String> = tags.iter().enumerate().map(one).collect();
    format!("area under the ROC curve: {}", all.join(", "))
}

fn save_stem(stem: &Stem, file: &Path) -> candle_core::Result<()> {
    let mut tensors = HashMap::new();
    for (index, (weight, bias)) in stem.layers().iter().enumerate() {
        tensors.insert(format!("layers.{index}.weight"), weight.clone());
        tensors.insert(format!("layers.{index}.bias"), bias.clone());
    }
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder)?;
    }
    candle_core::safetensors::save(&tensors, file)
}

/// Where the first step leaves its stem: below the model's folder, since weights within are taken for the model's own.
pub(super) fn stem_file(out: &Path) -> PathBuf {
    out.join("steps").join("stem.safetensors")
}

/// Where the survey leaves its overview.
pub(super) fn overview_file(out: &Path) -> PathBuf {
    out.join("steps").join("overview.safetensors")
}

/// A picture, whose sides are multiples of what becomes one pixel, as the overview sees it.
pub fn seen_small(picture: &Picture) -> Picture {
    let by = mini_overview().reduce;
    let values: Vec<f32> = picture.rgb.iter().map(|byte| f32::from(*byte)).collect();
    let means = means_of_squares(&values, [picture.width as usize, 3], by);
    Picture {
        width: picture.width / by as u32,
        height: picture.height / by as u32,
        rgb: means.into_iter().map(|mean| mean.round() as u8).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_picture_is_made_of_rounded_means_of_squares() {
        let by = mini_overview().reduce as u32;
        let byte = |at: u32| {
            if at % 3 == 1 {
                at / 3 % (2 * by) / by * 100 + at % 2
            } else {
                7
            }
        };
        let picture = Picture {
            width: 2 * by,
            height: by,
            rgb: (0..2 * by * by * 3).map(|at| byte(at) as u8).collect(),
        };
        let small = seen_small(&picture);
        assert_eq!((small.width, small.height), (2, 1));
        assert_eq!(*small.rgb, [7, 1, 7, 7, 101, 7]);
    }
}
