//! What a run would learn from: counts over the rows of an aspect, and what is doubtful about them in sentences.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::domain::{Aspect, ModelTag, Split, TrainSettings};
use crate::state::actions::grouped;
use crate::state::project::Project;
use crate::state::project::Row;

/// Fewest training pictures that the workers accept.
const LEAST_TO_TRAIN: usize = 8;

/// Below so many training pictures the outcome is mostly chance.
const FEW: usize = 30;

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
    /// Rows without a split while others have one: they take no part.
    pub num_left_out: usize,
    /// Rows with an opinion score whose file is missing or cannot be read.
    pub num_without_file: usize,
    /// Rows that take part and are described by the model in use.
    pub num_described: usize,
    /// Training rows that will choose the best epoch, about.
    pub num_cut: usize,
    /// Whether the dataset has a split for the aspect.
    pub has_split: bool,
    /// Different prompts of the training rows.
    pub num_prompts: usize,
    /// Prompts that stand in both train and test.
    pub shared_with_test: usize,
    /// Prompts that stand in both train and the dataset's own validation split.
    pub shared_with_val: usize,
    /// Whether all training rows have the same opinion score.
    pub is_constant: bool,
}

impl DataSummary {
    /// Counts. `model` is the one in use, where it is known: descriptions of another one must be made anew.
    pub fn count(project: &Project, settings: &TrainSettings, model: Option<&ModelTag>) -> Self {
        let aspect = settings.aspect;
        let mut summary = Self {
            aspect: Some(aspect),
            ..Self::default()
        };
        let mut by_split: BTreeMap<Option<Split>, Vec<&Row>> = BTreeMap::new();
        for row in &project.rows {
            if row.record.mos(aspect).is_none() {
                continue;
            }
            if row.record.file.is_present() {
                let split = *row.record.split.get(aspect);
                by_split.entry(split).or_default().push(row);
            } else {
                summary.num_without_file += 1;
            }
        }
        summary.has_split = by_split.keys().any(Option::is_some);
        if !summary.has_split
            && let Some(rows) = by_split.remove(&None)
        {
            by_split.insert(Some(Split::Train), rows);
        }
        let rows_of = |split| by_split.get(&split).map_or(&[][..], Vec::as_slice);
        let train = rows_of(Some(Split::Train));
        let val = rows_of(Some(Split::Val));
        let test = rows_of(Some(Split::Test));
        summary.num_left_out = rows_of(None).len();
        (summary.num_train, summary.num_val, summary.num_test) =
            (train.len(), val.len(), test.len());
        let preset = project.settings.preset.as_deref();
        summary.num_described = train
            .iter()
            .chain(val)
            .chain(test)
            .filter(|row| is_described(row, aspect, model, preset))
            .count();
        summary.overlaps(train, val, test);
        summary.is_constant = is_constant(train, aspect);
        if !summary.has_split {
            summary.num_test = (summary.num_train as f64 * TEST_FRACTION).round() as usize;
            summary.num_train -= summary.num_test;
        }
        if summary.num_val == 0 {
            let part = settings.val_fraction.clamp(0.0, 1.0);
            summary.num_cut = (summary.num_train as f64 * part).round() as usize;
        }
        summary
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

    /// Why training is not possible with these rows, and what to do; `None` where it is.
    pub fn obstacle(&self) -> Option<String> {
        let aspect = self.aspect?;
        if self.num_train + self.num_val + self.num_test == 0 {
            return Some(match self.num_without_file {
                0 => format!(
                    "No picture has an opinion score of {aspect}; choose another aspect, or import a table with scores"
                ),
                number => format!(
                    "All {} pictures with a score of {aspect} have no file; put the files back and import again",
                    grouped(number)
                ),
            });
        }
        if self.num_learned() < LEAST_TO_TRAIN {
            return Some(format!(
                "Only {} training images; training needs at least {LEAST_TO_TRAIN}",
                self.num_learned()
            ));
        }
        if self.num_val == 0 && self.num_cut == 0 {
            return Some(
                "No image is left to choose the best epoch; make the validation part larger"
                    .to_owned(),
            );
        }
        if self.num_val == 0 && self.num_prompts < 2 {
            return Some(
                "All training images have the same prompt (or none is known), so no validation part can be cut by prompt; import prompts, or a split with val rows"
                    .to_owned(),
            );
        }
        None
    }

    /// What takes part, in sentences.
    pub fn sentences(&self) -> Vec<String> {
        let mut sentences = vec![match self.num_val {
            0 => format!(
                "Learns from {}; about {} more, cut from the training images by prompt, choose the best epoch.",
                images(self.num_learned()),
                grouped(self.num_cut)
            ),
            number => format!(
                "Learns from {}; the {} of the validation list choose the best epoch.",
                images(self.num_train),
                images(number)
            ),
        }];
        sentences.push(match (self.num_test, self.has_split) {
            (0, _) => "There is no test image, so nothing can be reported but validation figures.".to_owned(),
            (number, true) => format!(
                "{} of the test list are only reported, never learned from.",
                capital(&images(number))
            ),
            (number, false) => format!(
                "The dataset has no split: about {} will be set aside by prompt for testing, the same ones in every run.",
                images(number)
            ),
        });
        if self.num_without_file > 0 {
            sentences.push(format!(
                "{} with a score but without a usable file are left out.",
                capital(&images(self.num_without_file))
            ));
        }
        if self.num_left_out > 0 {
            sentences.push(format!(
                "{} stand in no list and are left out.",
                capital(&images(self.num_left_out))
            ));
        }
        sentences
    }

    /// What is doubtful about the data, in sentences.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.shared_with_test > 0 {
            warnings.push(format!(
                "{} in both train and test: test figures will look better than they are.",
                prompts_stand(self.shared_with_test)
            ));
        }
        if self.shared_with_val > 0 {
            warnings.push(format!(
                "{} in both train and validation: the best epoch may be chosen too late.",
                prompts_stand(self.shared_with_val)
            ));
        }
        if self.is_constant {
            warnings.push(
                "All training images have the same score: there is nothing to learn from them."
                    .to_owned(),
            );
        }
        if (1..FEW).contains(&self.num_learned()) {
            warnings.push(format!(
                "Only {} to learn from: with fewer than {FEW} the outcome is mostly chance.",
                images(self.num_learned())
            ));
        }
        warnings
    }
}

fn prompts_stand(number: usize) -> String {
    match number {
        1 => "1 prompt stands".to_owned(),
        number => format!("{} prompts stand", grouped(number)),
    }
}

/// "1 image", "2,982 images".
pub fn images(number: usize) -> String {
    match number {
        1 => "1 image".to_owned(),
        number => format!("{} images", grouped(number)),
    }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(chars).collect()
    })
}

/// Prompts as the workers compare them: case and outer blanks do not count.
fn prompts(rows: &[&Row]) -> BTreeSet<String> {
    rows.iter()
        .map(|row| row.record.prompt.trim().to_lowercase())
        .collect()
}

fn is_constant(rows: &[&Row], aspect: Aspect) -> bool {
    let mut values = rows.iter().filter_map(|row| row.record.mos(aspect));
    let Some(first) = values.next() else {
        return false;
    };
    rows.len() > 1 && values.all(|value| (value - first).abs() < SAME_MOS)
}

fn is_described(row: &Row, aspect: Aspect, model: Option<&ModelTag>, preset: Option<&str>) -> bool {
    row.local_description(aspect).is_some_and(|description| {
        let made = &description.made;
        let is_of_model = model.is_none_or(|model| made.model.as_ref() == Some(model));
        let is_of_preset = preset.is_none_or(|preset| made.preset.as_deref() == Some(preset));
        is_of_model && is_of_preset
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        AspectMap, Catalog, ContentHash, FileState, ImageId, ImageRecord, OpinionScale,
        ProjectInfo, Settings, Truth,
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
            info: ProjectInfo {
                path: String::new(),
                dataset: "D".to_owned(),
                layout: String::new(),
                root: String::new(),
                scale: OpinionScale::ZERO_TO_FIVE,
                is_demo: false,
            },
            settings: Settings::default(),
            images,
            descriptions: Vec::new(),
            scores: Vec::new(),
            predictors: Vec::new(),
            runs: Vec::new(),
            studies: Vec::new(),
            votes: Vec::new(),
            undo: None,
            redo: None,
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
