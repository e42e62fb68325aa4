//! What a run would learn from: counts over the rows of an aspect, and what is doubtful about them in sentences.

mod sentences;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::domain::study;
use crate::domain::{Aspect, ContentHash, Descriptions, ModelTag, Origin, Split, TrainSettings};
use crate::state::project::Project;
use crate::state::project::Row;

pub use sentences::images;

/// Part of the prompts that is set aside for testing where a dataset comes without a split, as the workers do it.
const TEST_FRACTION: f64 = 0.2;

/// Differences of opinion scores below this are none.
const SAME_MOS: f64 = 1e-9;

/// Counts over the rows of one aspect. Rows count where they have a file and an opinion score.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DataSummary {
    /// The aspect counted; `None` before anything was counted.
    pub aspect: Option<Aspect>,
    /// Rows of the split `train`; all rows where the dataset has no split.
    pub num_train: usize,
    /// Rows of the split `val`, where the dataset has one.
    pub num_val: usize,
    /// Rows of the split `test`.
    pub num_test: usize,
    /// Rows of `train` and `val` that the choice of generators or the tag leaves out.
    pub num_filtered: usize,
    /// Rows without a split while others have one: they take no part.
    pub num_left_out: usize,
    /// Rows with an opinion score whose file is missing or cannot be read.
    pub num_without_file: usize,
    /// Rows that take part and are described by the model in use.
    pub num_described: usize,
    /// Rows that would take part and have no published description, where those are read.
    pub num_lacking: usize,
    /// Rows that take part and were described by another model or in another wording alone.
    pub num_of_others: usize,
    /// Who described those, e.g. "mini with the wording assay".
    pub others: Option<String>,
    /// Training rows that will choose the best epoch, about.
    pub num_cut: usize,
    /// Whether the dataset has a split for the aspect.
    pub has_split: bool,
    /// Whether the test list chooses the best epoch.
    pub selects_on_test: bool,
    /// Parts of the cross-validation, where one is wanted.
    pub folds: Option<u32>,
    /// Different prompts of the training rows.
    pub num_prompts: usize,
    /// Prompts that stand in both train and test.
    pub shared_with_test: usize,
    /// Prompts that stand in both train and the dataset's own validation split.
    pub shared_with_val: usize,
    /// Whether all training rows have the same opinion score.
    pub is_constant: bool,
}

/// Rows that take part, by role.
struct Roles<'a> {
    train: Vec<&'a Row>,
    val: Vec<&'a Row>,
    test: Vec<&'a Row>,
}

impl DataSummary {
    /// Counts. `model` is the one in use, where it is known: descriptions of another one must be made anew.
    pub fn count(project: &Project, settings: &TrainSettings, model: Option<&ModelTag>) -> Self {
        let mut summary = Self {
            aspect: Some(settings.aspect),
            selects_on_test: settings.selects_on_test(),
            folds: settings.fold.map(|fold| fold.of),
            ..Self::default()
        };
        let truth = Truths::of(project, settings);
        let mut roles = summary.roles(project, settings, &truth);
        summary.drop_lacking(&mut roles, settings);
        let Roles { train, val, test } = &roles;
        (summary.num_train, summary.num_val, summary.num_test) =
            (train.len(), val.len(), test.len());
        summary.descriptions(project, &roles, settings, model);
        summary.overlaps(train, val, test);
        summary.is_constant = is_constant(train, &truth);
        if !summary.has_split {
            summary.num_test = (summary.num_train as f64 * TEST_FRACTION).round() as usize;
            summary.num_train -= summary.num_test;
        }
        summary.num_cut = match (summary.folds, summary.selects_on_test) {
            (Some(folds), _) => summary.num_train / folds.max(1) as usize,
            (None, true) => 0,
            (None, false) if summary.num_val > 0 => 0,
            (None, false) => {
                let part = settings.val_fraction.clamp(0.0, 1.0);
                (summary.num_train as f64 * part).round() as usize
            }
        };
        summary
    }

    /// Parts the rows by their split, and counts those that take no part.
    fn roles<'a>(
        &mut self,
        project: &'a Project,
        settings: &TrainSettings,
        truth: &Truths,
    ) -> Roles<'a> {
        let aspect = settings.aspect;
        let mut by_split: BTreeMap<Option<Split>, Vec<&Row>> = BTreeMap::new();
        for row in &project.rows {
            if truth.mos(row).is_none() {
                continue;
            }
            if row.record.file.is_present() {
                let split = *row.record.split.get(aspect);
                by_split.entry(split).or_default().push(row);
            } else {
                self.num_without_file += 1;
            }
        }
        self.has_split = by_split.keys().any(Option::is_some);
        if !self.has_split
            && let Some(rows) = by_split.remove(&None)
        {
            by_split.insert(Some(Split::Train), rows);
        }
        let mut rows_of = |split| by_split.remove(&split).unwrap_or_default();
        let mut roles = Roles {
            train: rows_of(Some(Split::Train)),
            val: rows_of(Some(Split::Val)),
            test: rows_of(Some(Split::Test)),
        };
        self.num_left_out = rows_of(None).len();
        let before = roles.train.len() + roles.val.len();
        let from = &settings.learn_from;
        roles.train.retain(|row| from.takes(&row.record));
        roles.val.retain(|row| from.takes(&row.record));
        self.num_filtered = before - roles.train.len() - roles.val.len();
        roles
    }

    /// Where published descriptions are read, rows without one take no part; a training image may read its teacher's.
    fn drop_lacking(&mut self, roles: &mut Roles<'_>, settings: &TrainSettings) {
        if settings.descriptions != Descriptions::Published {
            return;
        }
        let aspect = settings.aspect;
        let has = |row: &Row, origin| row.newest_description(aspect, origin).is_some();
        let before = roles.train.len() + roles.val.len() + roles.test.len();
        roles
            .train
            .retain(|row| has(row, Origin::Published) || has(row, Origin::Teacher));
        roles.val.retain(|row| has(row, Origin::Published));
        roles.test.retain(|row| has(row, Origin::Published));
        self.num_lacking = before - roles.train.len() - roles.val.len() - roles.test.len();
    }

    /// Counts rows that are described, and those that only another model or wording described.
    fn descriptions(
        &mut self,
        project: &Project,
        roles: &Roles<'_>,
        settings: &TrainSettings,
        model: Option<&ModelTag>,
    ) {
        let Roles { train, val, test } = roles;
        if settings.descriptions == Descriptions::Published {
            self.num_described = train.len() + val.len() + test.len();
            return;
        }
        for row in train.iter().chain(val).chain(test) {
            if project.is_described(row, settings.aspect, model) {
                self.num_described += 1;
                continue;
            }
            let Some(description) = row.local_description(settings.aspect) else {
                continue;
            };
            self.num_of_others += 1;
            self.others.get_or_insert_with(|| {
                let made = &description.made;
                let name = made.model.as_ref().map_or("another model", |tag| &tag.name);
                match &made.preset {
                    Some(preset) => format!("{name} with the wording {preset}"),
                    None => name.to_owned(),
                }
            });
        }
    }

    fn overlaps(&mut self, train: &[&Row], val: &[&Row], test: &[&Row]) {
        let (train, val, test) = (prompts(train), prompts(val), prompts(test));
        self.num_prompts = train.len();
        let is_known = |prompt: &&String| !prompt.is_empty();
        self.shared_with_test = train.intersection(&test).filter(is_known).count();
        self.shared_with_val = train.intersection(&val).filter(is_known).count();
    }

    /// Rows that take part: learned from, choosing the best epoch, or only reported.
    pub const fn num_taking_part(&self) -> usize {
        self.num_train + self.num_val + self.num_test
    }

    /// Rows that must be described before training can begin.
    pub const fn num_to_describe(&self) -> usize {
        self.num_taking_part().saturating_sub(self.num_described)
    }

    /// Rows that are learned from, about: without those that choose the best epoch.
    pub const fn num_learned(&self) -> usize {
        self.num_train.saturating_sub(self.num_cut)
    }
}

/// The opinions that a run takes for the truth: the project's, or those of one study alone.
enum Truths {
    Project(Aspect),
    Study(HashMap<ContentHash, f64>),
}

impl Truths {
    fn of(project: &Project, settings: &TrainSettings) -> Self {
        let id = settings.learn_from.study;
        let chosen = id.and_then(|id| project.studies.iter().find(|study| study.id == id));
        let Some(chosen) = chosen else {
            return Self::Project(settings.aspect);
        };
        // Plain means suffice to count: screening leaves pictures rated, and equal scores equal.
        let tally = study::tally(chosen, project.votes_of(chosen.id), settings.aspect);
        let means = tally.pictures.iter().zip(&tally.scores);
        Self::Study(
            means
                .filter_map(|(hash, scores)| {
                    let given = || scores.iter().filter(|score| !score.is_nan());
                    let num = given().count();
                    (num > 0).then(|| (*hash, given().sum::<f64>() / num as f64))
                })
                .collect(),
        )
    }

    fn mos(&self, row: &Row) -> Option<f64> {
        match self {
            Self::Project(aspect) => row.record.mos(*aspect),
            Self::Study(means) => means.get(&row.record.file.hash()?).copied(),
        }
    }
}

/// Prompts as the workers compare them: case and outer blanks do not count.
fn prompts(rows: &[&Row]) -> BTreeSet<String> {
    rows.iter()
        .map(|row| row.record.prompt.trim().to_lowercase())
        .collect()
}

fn is_constant(rows: &[&Row], truth: &Truths) -> bool {
    let mut values = rows.iter().filter_map(|row| truth.mos(row));
    let Some(first) = values.next() else {
        return false;
    };
    rows.len() > 1 && values.all(|value| (value - first).abs() < SAME_MOS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        AspectMap, Catalog, ContentHash, FileState, ImageId, ImageRecord, ProjectInfo, Truth,
    };

    fn record(number: i64, prompt: &str, split: Option<Split>, mos: f64) -> ImageRecord {
        let truth = Truth {
            mos,
            std: None,
            num_ratings: None,
        };
        ImageRecord {
            id: ImageId(number),
            path: format!("{number}.png"),
            file: FileState::Present {
                hash: ContentHash([number as u8; 32]),
                width: 8,
                height: 8,
            },
            prompt: prompt.to_owned(),
            prompt_source: String::new(),
            generator: None,
            style: None,
            tags: Vec::new(),
            truth: AspectMap::from_fn(|aspect| (aspect == Aspect::Quality).then_some(truth)),
            split: AspectMap::from_fn(|_| split),
        }
    }

    fn count(images: Vec<ImageRecord>, aspect: Aspect) -> DataSummary {
        let catalog = Catalog {
            images,
            ..Catalog::of(ProjectInfo::any())
        };
        let project = Project::new(catalog, Vec::new());
        DataSummary::count(&project, &TrainSettings::new(aspect), None)
    }

    fn rows(number: i64, prompt: impl Fn(i64) -> String, split: Option<Split>) -> Vec<ImageRecord> {
        (1..=number)
            .map(|idx| record(idx, &prompt(idx), split, idx as f64 / 20.0))
            .collect()
    }

    #[test]
    fn a_prompt_in_train_and_test_is_a_leak_whatever_its_case() {
        let mut images = rows(40, |idx| format!("scene {idx}"), Some(Split::Train));
        images.push(record(50, " SCENE 3 ", Some(Split::Test), 1.0));
        images.push(record(51, "elsewhere", Some(Split::Test), 1.0));
        let summary = count(images, Aspect::Quality);
        assert_eq!(summary.shared_with_test, 1);
        assert_eq!((summary.num_train, summary.num_test), (40, 2));
        assert!(summary.warnings()[0].starts_with("1 prompt stands in both"));
        assert_eq!(summary.obstacle(), None);
    }

    #[test]
    fn unknown_prompts_are_no_leak_but_cannot_be_cut() {
        let mut images = rows(40, |_| String::new(), Some(Split::Train));
        images.push(record(50, "", Some(Split::Test), 1.0));
        let summary = count(images, Aspect::Quality);
        assert_eq!(summary.shared_with_test, 0);
        assert!(
            summary
                .obstacle()
                .is_some_and(|text| text.contains("prompt"))
        );
    }

    #[test]
    fn equal_scores_and_few_images_are_said() {
        let images = (1..=20)
            .map(|idx| record(idx, &format!("{idx}"), Some(Split::Train), 3.0))
            .collect();
        let summary = count(images, Aspect::Quality);
        assert!(summary.is_constant);
        assert_eq!(summary.warnings().len(), 2);
    }

    #[test]
    fn an_aspect_without_scores_cannot_be_trained() {
        let images = rows(40, |idx| format!("{idx}"), Some(Split::Train));
        let summary = count(images, Aspect::Authenticity);
        assert!(
            summary
                .obstacle()
                .is_some_and(|text| text.contains("authenticity"))
        );
    }

    #[test]
    fn without_a_split_a_fifth_is_set_aside() {
        let summary = count(rows(100, |idx| format!("{idx}"), None), Aspect::Quality);
        assert!(!summary.has_split);
        assert_eq!((summary.num_train, summary.num_test), (80, 20));
        assert_eq!((summary.num_cut, summary.num_learned()), (8, 72));
        assert_eq!(summary.num_to_describe(), 100);
        assert!(summary.sentences()[1].contains("no split"));
    }

    #[test]
    fn pictures_without_a_file_take_no_part() {
        let mut images = rows(40, |idx| format!("{idx}"), Some(Split::Train));
        images[0].file = FileState::Missing {
            reason: "gone".to_owned(),
        };
        let summary = count(images, Aspect::Quality);
        assert_eq!((summary.num_train, summary.num_without_file), (39, 1));
    }
}
