//! Which conversations are learned from: a teacher's about training images, leak-safe.
//!
//! A picture that stands in the test list of any aspect teaches nothing under any aspect, and one of a validation list
//! only chooses the epoch: the teacher may have been shown the score.

use std::collections::BTreeMap;
use std::path::PathBuf;

use rayon::prelude::*;

use crate::domain::Aspect;
use crate::domain::Catalog;
use crate::domain::Description;
use crate::domain::ImageId;
use crate::domain::ImageRecord;
use crate::domain::Preset;
use crate::domain::Rating;
use crate::domain::Split;
use crate::domain::TunePreset;
use crate::domain::TuneSettings;
use crate::jobs::context::JobContext;
use crate::jobs::decode;
use crate::jobs::error::JobError;
use crate::jobs::message::FailedItem;
use crate::jobs::pipeline::failed;
use crate::jobs::store_worker::file_of;
use crate::ml::MlError;
use crate::ml::train::cut_validation;
use crate::ml::tune::Lesson;

/// Pictures that are looked at between two reports of progress.
const LOOKED_AT: usize = 64;

/// Conversations to learn from, and the pictures that they are about.
#[derive(Debug, Default)]
pub(super) struct Talks {
    pub(super) train: Vec<Lesson>,
    pub(super) val: Vec<Lesson>,
    /// Files of pictures by their number.
    pub(super) files: Vec<PathBuf>,
    /// Rows of pictures by their number.
    rows: Vec<ImageId>,
    /// Conversations without a rating word, and without an opinion score that gives one.
    pub(super) num_wordless: usize,
}

/// The part that a picture has in a fine-tuning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Train,
    Val,
}

/// The part of a picture under an aspect; `None` for one that must not be shown.
fn role(record: &ImageRecord, aspect: Aspect) -> Option<Role> {
    let stands_in = |split| {
        let mut splits = Aspect::ALL.iter().map(|aspect| *record.split.get(*aspect));
        splits.any(|own| own == Some(split))
    };
    if stands_in(Split::Test) || !record.file.is_present() {
        return None;
    }
    match (record.split.get(aspect), stands_in(Split::Val)) {
        (Some(_), true) => Some(Role::Val),
        (Some(Split::Train), false) => Some(Role::Train),
        _ => None,
    }
}

/// Whether a description is by the teacher that was asked for.
fn is_by(description: &Description, teacher: Option<&str>) -> bool {
    let Some(teacher) = teacher else {
        return true;
    };
    let said = |key: &str| description.made.settings.get(key)?.as_str();
    let file = said("imported_from").map(|source| {
        let name = source.rsplit(['/', '\\']).next();
        name.unwrap_or(source)
    });
    said("teacher") == Some(teacher)
        || said("imported_from") == Some(teacher)
        || file == Some(teacher)
}

/// Gathers the conversations that settings ask for, in the wording of a preset.
pub(super) fn gather(catalog: &Catalog, settings: &TuneSettings, preset: &Preset) -> Talks {
    let told = catalog.lessons_where(|description| {
        settings.aspects.contains(&description.aspect)
            && is_by(description, settings.teacher.as_deref())
            && !description.text.trim().is_empty()
    });
    let mut talks = Talks::default();
    let mut roles = Vec::new();
    for record in &catalog.images {
        for aspect in &settings.aspects {
            let (Some(description), Some(role)) =
                (told.get(&(record.id, *aspect)), role(record, *aspect))
            else {
                continue;
            };
            let Some(word) = word_of(catalog, settings, record, description) else {
                talks.num_wordless += 1;
                continue;
            };
            let picture = talks.number(catalog, record);
            let lesson = Lesson {
                picture,
                messages: [
                    preset.request(*aspect, &record.prompt),
                    description.text.trim().to_owned(),
                    preset.aspect(*aspect).question.clone(),
                    word.word().to_owned(),
                ],
                word: Some(word),
            };
            roles.push((record.prompt.as_str(), role, lesson));
        }
    }
    talks.part(roles, settings);
    talks
}

/// The word that a conversation ends with: that of the aspect's opinion score, or the one that came with the description.
/// The published code's preset takes the latter first, as that code does: in the published files of AGIQA-3K the
/// conversations about correspondence end with the word of quality (docs/EXPERIMENTS.md).
fn word_of(
    catalog: &Catalog,
    settings: &TuneSettings,
    record: &ImageRecord,
    description: &Description,
) -> Option<Rating> {
    let mos = record.mos(description.aspect);
    let of_score = mos.map(|mos| Rating::of_score(mos, catalog.info.scale));
    match settings.preset {
        TunePreset::Published => description.rating().or(of_score),
        _ => of_score.or_else(|| description.rating()),
    }
}

impl Talks {
    /// A picture's number.
    fn number(&mut self, catalog: &Catalog, record: &ImageRecord) -> usize {
        if self.rows.last() != Some(&record.id) {
            self.rows.push(record.id);
            self.files.push(file_of(&catalog.info.root, &record.path));
        }
        self.rows.len() - 1
    }

    /// Parts what chooses the epoch from what is learned from: the dataset's own validation part, or one cut by prompt.
    fn part(&mut self, rows: Vec<(&str, Role, Lesson)>, settings: &TuneSettings) {
        let has_own = rows.iter().any(|(_, role, _)| *role == Role::Val);
        let prompts: Vec<&str> = rows.iter().map(|(prompt, ..)| *prompt).collect();
        let cut = cut_validation(&prompts, settings.val_fraction, settings.seed);
        for ((_, role, lesson), is_cut) in rows.into_iter().zip(cut) {
            let is_val = if has_own { role == Role::Val } else { is_cut };
            match is_val {
                true => self.val.push(lesson),
                false => self.train.push(lesson),
            }
        }
    }

    /// Looks at every picture once, and leaves out the conversations about those that cannot be decoded.
    pub(super) fn look(
        &mut self,
        catalog: &Catalog,
        context: &mut JobContext,
    ) -> Result<Vec<FailedItem>, JobError> {
        let mut unusable = BTreeMap::new();
        for (part, files) in self.files.chunks(LOOKED_AT).enumerate() {
            let start = part * LOOKED_AT;
            let total = self.files.len() as u64;
            context.progress(start as u64, total, "Looking at the pictures")?;
            let faults: Vec<(usize, JobError)> = files
                .par_iter()
                .enumerate()
                .filter_map(|(at, file)| Some((start + at, decode::load_for_model(file).err()?)))
                .collect();
            unusable.extend(faults);
        }
        let failures = unusable.iter().filter_map(|(number, error)| {
            let id = self.rows[*number];
            let record = catalog.images.iter().find(|record| record.id == id)?;
            Some(failed(record, error))
        });
        let failures = failures.collect();
        for lessons in [&mut self.train, &mut self.val] {
            lessons.retain(|lesson| !unusable.contains_key(&lesson.picture));
        }
        Ok(failures)
    }

    /// Whether there is enough to learn from, in words where there is not.
    pub(super) fn check(&self, settings: &TuneSettings) -> Result<(), JobError> {
        if !self.train.is_empty() && !self.val.is_empty() {
            return Ok(());
        }
        let aspects: Vec<&str> = settings
            .aspects
            .iter()
            .map(|aspect| aspect.name())
            .collect();
        let by = settings
            .teacher
            .as_ref()
            .map_or_else(String::new, |name| format!(" by {name}"));
        let reason = format!(
            "there are {} conversations{by} about {} to learn from and {} to validate with{}: fine-tuning needs \
             descriptions by a teacher of pictures in the training list that stand in no test list, of at least two prompts; \
             import conversation files, or ask a teacher (assay teach)",
            self.train.len(),
            aspects.join(", "),
            self.val.len(),
            match self.num_wordless {
                0 => String::new(),
                num => format!(", and {num} without a rating word or an opinion score"),
            }
        );
        Err(MlError::Input(reason).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::AspectMap;
    use crate::domain::ContentHash;
    use crate::domain::FileState;

    fn record(splits: [Option<Split>; 3]) -> ImageRecord {
        ImageRecord {
            id: ImageId(1),
            path: "1.png".to_owned(),
            file: FileState::Present {
                hash: ContentHash([1; 32]),
                width: 8,
                height: 8,
            },
            prompt: "a fox".to_owned(),
            prompt_source: String::new(),
            generator: None,
            style: None,
            tags: Vec::new(),
            truth: AspectMap::from_fn(|_| None),
            split: AspectMap::from_fn(|aspect| {
                let at = Aspect::ALL.iter().position(|other| *other == aspect);
                at.and_then(|at| splits[at])
            }),
        }
    }

    #[test]
    fn a_picture_of_any_test_list_teaches_nothing() {
        let choices = [
            None,
            Some(Split::Train),
            Some(Split::Val),
            Some(Split::Test),
        ];
        let all = choices
            .into_iter()
            .flat_map(|a| choices.into_iter().map(move |b| [a, b]))
            .flat_map(|[a, b]| choices.into_iter().map(move |c| [a, b, c]));
        for splits in all {
            let record = record(splits);
            let stands_in = |split| splits.contains(&Some(split));
            for (aspect, own) in Aspect::ALL.into_iter().zip(splits) {
                let expected = match own {
                    None => None,
                    Some(_) if stands_in(Split::Test) => None,
                    Some(_) if stands_in(Split::Val) => Some(Role::Val),
                    Some(_) => Some(Role::Train),
                };
                assert_eq!(role(&record, aspect), expected, "{splits:?}");
            }
        }
    }
}
