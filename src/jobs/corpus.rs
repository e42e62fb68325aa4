//! Gathers what a small model learns from, leak-safe.
//!
//! A picture that stands in the test list of any aspect is never learned from under any aspect: the published test
//! lists of AGIQA-3K's two aspects differ, so that a picture of one may stand in the training list of the other.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::JobError;
use crate::dataset;
use crate::dataset::demo;
use crate::domain::{AspectMap, ImportBatch, Interrupted, Origin, Picture, Split};
use crate::media;
use crate::ml::MlError;
use crate::ml::pretrain::lesson::{Lesson, Talk};
use crate::ml::pretrain::recipe::{GRID, Recipe, Survey};
use crate::ml::pretrain::survey::Scene;
use crate::ml::pretrain::{sight, voice};

/// Every lesson of a recipe: the dataset's (where given), then those of demo scenes written below `work`.
///
/// # Errors
/// A dataset that cannot be read, a folder that cannot be written, nothing to learn from.
pub fn gather(
    recipe: &Recipe,
    dataset: Option<&Path>,
    work: &Path,
) -> Result<Vec<Lesson>, JobError> {
    let mut all = Vec::new();
    if let Some(folder) = dataset {
        all.extend(lessons(folder)?);
    }
    if recipe.demo_count > 0 {
        let folder = work.join("scenes");
        let settings = demo::DemoSettings {
            seed: recipe.demo_seed,
            count: recipe.demo_count,
        };
        demo::write(&folder, &settings, &mut |_, _| Ok::<(), Interrupted>(()))?;
        all.extend(lessons(&folder)?);
    }
    Ok(all)
}

/// Said to take the first step's stem from the folder, and the overview where there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeepStem;

/// Makes a small model as a recipe says; the folder then holds all but the `model.toml`. What an earlier run of the same
/// recipe and pictures left in the folder is gone on with, to the same bits.
///
/// # Errors
/// Nothing to learn from, a folder that cannot be written, failed tensor operations.
pub fn make_small_model(
    recipe: &Recipe,
    dataset: Option<&Path>,
    out: &Path,
    keep_stem: Option<KeepStem>,
    say: &mut dyn FnMut(String),
) -> Result<(), JobError> {
    std::fs::create_dir_all(out).map_err(|source| JobError::File {
        action: "make the model folder",
        source,
        path: out.to_owned(),
    })?;
    let lessons = gather(recipe, dataset, out)?;
    if lessons.is_empty() {
        let text = "nothing to learn from: give --dataset, or a demo_count above 0 in the recipe";
        return Err(MlError::Input(text.to_owned()).into());
    }
    if keep_stem.is_none() {
        sight::see(recipe, &lessons, out, say)?;
    }
    let is_kept = keep_stem.is_some() && sight::has_overview(out);
    if let Some(survey) = recipe.survey.as_ref().filter(|_| !is_kept) {
        make_overview(survey, out, say)?;
    }
    voice::speak(recipe, (&lessons, &dataset::default_preset()), out, say)?;
    voice::end(out);
    Ok(())
}

/// Paints the scenes of a survey and has the overview learn from them, unless an earlier run has.
fn make_overview(survey: &Survey, out: &Path, say: &mut dyn FnMut(String)) -> Result<(), JobError> {
    if sight::is_surveyed(survey, out)? {
        return Ok(());
    }
    let mut painted = |done: usize, all: usize| {
        if done.is_multiple_of(640) || done == all {
            say(format!("{done} of {all} scenes painted for the overview"));
        }
    };
    let settings = demo::DemoSettings {
        seed: survey.seed,
        count: survey.scenes,
    };
    let grid = GRID[0];
    let scene = |picture: Picture, cells| Scene {
        picture: sight::seen_small(&picture),
        cells,
    };
    let scenes = demo::located(&settings, grid, scene, &mut painted);
    let tags = demo::located_tags();
    Ok(sight::survey(survey, (&scenes, &tags), out, say)?)
}

/// Share of the prompts whose pictures choose the best epoch.
const VAL_PERCENT: u8 = 8;

/// Reads a dataset folder with the conversation files in it into lessons, without any picture of a test list.
///
/// # Errors
/// A dataset that cannot be read; pictures that cannot be decoded are left out.
pub fn lessons(folder: &Path) -> Result<Vec<Lesson>, dataset::DatasetError> {
    let source = dataset::Source {
        path: folder.to_owned(),
        layout: None,
        conversations: Vec::new(),
        columns: Vec::new(),
    };
    let batch = dataset::read(&source, &mut |_, _| Ok::<(), Interrupted>(()))?;
    let test = test_files(&batch);
    let mut talks = talks(&batch);
    let is_demo = batch.layout == "demo";
    let root = PathBuf::from(&batch.root);
    let wanted: Vec<_> = batch
        .rows
        .into_iter()
        .filter(|row| row.file.is_present() && !test.contains(file_name(&row.path)))
        .map(|row| {
            let talks = talks.remove(file_name(&row.path)).unwrap_or_default();
            (row, talks)
        })
        .collect();
    Ok(wanted
        .into_par_iter()
        .filter_map(|(row, talks)| {
            let file = root.join(&row.path);
            let picture = media::load(&file).ok()?;
            let mos = AspectMap::from_fn(|aspect| row.truth.get(aspect).map(|truth| truth.mos));
            let is_val = in_validation_part(&row.prompt);
            let (prompt, generator, tags) = (row.prompt, row.generator, row.tags);
            Some(Lesson {
                file,
                picture,
                prompt,
                generator,
                tags,
                is_demo,
                mos,
                talks,
                is_val,
            })
        })
        .collect())
}

/// Names of files that stand in the test list of any aspect.
fn test_files(batch: &ImportBatch) -> BTreeSet<String> {
    let listed = batch
        .splits
        .iter()
        .filter(|entry| entry.split == Split::Test)
        .map(|entry| entry.file_name.clone());
    let marked = batch.rows.iter().filter(|row| {
        row.split
            .iter()
            .any(|(_, split)| *split == Some(Split::Test))
    });
    listed
        .chain(marked.map(|row| file_name(&row.path).to_owned()))
        .collect()
}

fn talks(batch: &ImportBatch) -> HashMap<String, Vec<Talk>> {
    let mut talks: HashMap<String, Vec<Talk>> = HashMap::new();
    for entry in batch
        .conversations
        .iter()
        .filter(|entry| entry.origin == Origin::Teacher)
    {
        let Some(answer) = entry.answer.clone() else {
            continue;
        };
        let talk = Talk {
            aspect: entry.aspect,
            description: tidy(&entry.description),
            answer,
        };
        talks.entry(entry.file_name.clone()).or_default().push(talk);
    }
    talks
}

/// One line of whole sentences, without the teacher's escapes, stars and double spaces, and without what its broken JSON
/// left at the end (a brace, a comma, the quotation mark that closed the field).
fn tidy(text: &str) -> String {
    let text = text
        .replace("\\\"", "\"")
        .replace("\\n", " ")
        .replace(['*', '{', '}'], "");
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut text = text.trim_end_matches([',', ' ']);
    if text.matches('"').count() % 2 == 1 {
        text = text.strip_suffix('"').unwrap_or(text).trim_end();
    }
    whole_sentences(text).to_owned()
}

/// The text as far as its last sentence ends; all of it where none does.
fn whole_sentences(text: &str) -> &str {
    let closes = |c: char| matches!(c, '"' | '\'' | '\u{201d}' | ')' | '\u{2019}');
    if text.trim_end_matches(closes).ends_with(['.', '!', '?']) {
        return text;
    }
    let ends = [". ", "! ", "? "].iter().filter_map(|end| text.rfind(end));
    ends.max().map_or(text, |at| &text[..=at])
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Whether a prompt falls into the validation part: by its hash, so that all pictures of a prompt stay together and
/// the answer is the same in every run.
fn in_validation_part(prompt: &str) -> bool {
    let hash = media::hash_bytes(prompt.trim().to_lowercase().as_bytes());
    hash.0[0] % 100 < VAL_PERCENT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_teachers_broken_json_leaves_nothing_behind() {
        let cases = [
            (r#"It is a "cold" scene." }"#, r#"It is a "cold" scene."#),
            ("Soft and *diffused*.  }", "Soft and diffused."),
            (r#"A pale visual." ,"#, "A pale visual."),
            (
                r#"The font used for \"ciao.\""#,
                r#"The font used for "ciao.""#,
            ),
            (r"One.\n\nTwo is 'at work.'", "One. Two is 'at work.'"),
            ("It ends. And this one is cut of", "It ends."),
            ("no sentence at all", "no sentence at all"),
        ];
        for (from, to) in cases {
            assert_eq!(tidy(from), to);
        }
    }
}
