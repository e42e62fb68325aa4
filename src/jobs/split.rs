//! The split of a dataset that came without one: cut by prompt, and kept in the project, so that every run and every
//! fine-tuning has the same test rows.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::domain::Aspect;
use crate::domain::Catalog;
use crate::domain::ImageId;
use crate::domain::ImageRecord;
use crate::domain::Split;
use crate::domain::TrainSettings;
use crate::jobs::context::JobContext;
use crate::jobs::error::JobError;
use crate::jobs::learn_from;
use crate::jobs::message::Event;
use crate::jobs::store_worker::Pinned;
use crate::ml::train::cut_validation;

/// Part of the prompts that become test rows where a dataset comes without a split, as 4:1 splits have it.
const TEST_FRACTION: f64 = 0.2;

/// Seed of that cut: always the same one, so that no run learns from another run's test rows.
const TEST_SEED: u64 = 42;

/// Whose images a split parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Parted {
    /// Those with an opinion score: predictors learn from nothing else.
    Scored,
    /// All, where none has a score: a model may learn from what a teacher said of them.
    AllIfUnscored,
}

/// The list of an image under an aspect. By the image's number: names of files are not always one image's alone.
type Listed = (ImageId, Aspect, Split);

/// A dataset without a split gets one, cut by prompt, kept in the project: the same test rows in every run.
pub(super) fn with_splits(
    catalog: Catalog,
    (settings, parted): (&TrainSettings, Parted),
    pinned: &Pinned,
    context: &JobContext,
) -> Result<Catalog, JobError> {
    let lists = cut(&catalog, settings, parted)?;
    if lists.is_empty() {
        return Ok(catalog);
    }
    let is_test = |listed: &&Listed| listed.2 == Split::Test;
    let words = format!(
        "The dataset has no {} split: {} of {} images were set aside for testing, by prompt",
        settings.aspect,
        lists.iter().filter(is_test).count(),
        lists.len()
    );
    pinned.call(move |project, _| Ok(project.set_splits(&lists)?))?;
    context.events().send(Event::Notice(words));
    pinned.announce()?;
    learn_from::with_truth(pinned.catalog()?, settings, pinned)
}

/// The catalog as [`with_splits`] would leave it for a fine-tuning of these aspects; nothing is saved.
pub(super) fn foreseen(mut catalog: Catalog, aspects: &[Aspect]) -> Result<Catalog, JobError> {
    for aspect in aspects {
        let settings = TrainSettings::new(*aspect);
        let lists = cut(&catalog, &settings, Parted::AllIfUnscored)?.into_iter();
        let lists: BTreeMap<ImageId, Split> =
            lists.map(|(image, _, split)| (image, split)).collect();
        for record in &mut catalog.images {
            if let Some(split) = lists.get(&record.id) {
                *record.split.get_mut(*aspect) = Some(*split);
            }
        }
    }
    Ok(catalog)
}

/// The split that an aspect lacks; empty where there is one, or nothing to part.
fn cut(
    catalog: &Catalog,
    settings: &TrainSettings,
    parted: Parted,
) -> Result<Vec<Listed>, JobError> {
    let aspect = settings.aspect;
    let has_split = |record: &&ImageRecord| record.split.get(aspect).is_some();
    let mut rows: Vec<&ImageRecord> = learn_from::rows_with_truth(catalog, settings).collect();
    let takes_all = rows.is_empty() && parted == Parted::AllIfUnscored;
    if takes_all {
        rows.extend(&catalog.images);
    }
    if rows.is_empty() || rows.iter().any(has_split) {
        return Ok(Vec::new());
    }
    if takes_all {
        let of_others = of_other_aspects(catalog, aspect);
        if !of_others.is_empty() {
            return Ok(of_others);
        }
    }
    let prompts: Vec<&str> = rows.iter().map(|record| record.prompt.as_str()).collect();
    let is_test = cut_validation(&prompts, TEST_FRACTION, TEST_SEED);
    // All of it for training would leave nothing to test by, now and in every later run: the split is kept.
    if !is_test.contains(&true) {
        let prompts = prompts.iter().map(|prompt| prompt.trim().to_lowercase());
        return Err(JobError::NoSplit {
            aspect,
            num_images: rows.len(),
            num_prompts: prompts.collect::<BTreeSet<_>>().len(),
        });
    }
    let split_of = |is_test| match is_test {
        true => Split::Test,
        false => Split::Train,
    };
    let rows = rows.iter().zip(is_test);
    Ok(rows
        .map(|(record, is_test)| (record.id, aspect, split_of(is_test)))
        .collect())
}

/// The lists that images have under other aspects, as lists of this one; an image that tests under any of them tests under
/// this one too.
fn of_other_aspects(catalog: &Catalog, aspect: Aspect) -> Vec<Listed> {
    let lists = |record: &ImageRecord| Aspect::ALL.map(|any| *record.split.get(any));
    let listed = catalog.images.iter().filter_map(|record| {
        let lists = lists(record);
        let order = [Split::Test, Split::Val, Split::Train];
        let split = order
            .into_iter()
            .find(|list| lists.contains(&Some(*list)))?;
        Some((record.id, aspect, split))
    });
    listed.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::AspectMap;
    use crate::domain::ContentHash;
    use crate::domain::FileState;
    use crate::domain::ProjectInfo;
    use crate::domain::Truth;

    /// An image with an opinion score of quality alone.
    fn image(number: usize, path: String, prompt: String) -> ImageRecord {
        let truth = Truth {
            mos: number as f64,
            std: None,
            num_ratings: None,
        };
        ImageRecord {
            id: ImageId(number as i64 + 1),
            path,
            file: FileState::Present {
                hash: ContentHash([number as u8; 32]),
                width: 8,
                height: 8,
            },
            prompt,
            prompt_source: String::new(),
            generator: None,
            style: None,
            tags: Vec::new(),
            truth: AspectMap::from_fn(|aspect| (aspect == Aspect::Quality).then_some(truth)),
            split: AspectMap::default(),
        }
    }

    /// Two generators' pictures of the same names, as AIGC datasets come: `sd/0.png` and `mj/0.png` show one prompt.
    fn catalog(prompt: impl Fn(usize) -> String) -> Catalog {
        let images = (0..40).map(|number| {
            let path = format!("{}/{}.png", ["sd", "mj"][number % 2], number / 2);
            image(number, path, prompt(number / 2))
        });
        Catalog {
            images: images.collect(),
            ..Catalog::of(ProjectInfo::any())
        }
    }

    fn quality() -> TrainSettings {
        TrainSettings::new(Aspect::Quality)
    }

    #[test]
    fn images_of_one_name_in_several_folders_all_get_a_list() {
        let catalog = catalog(|scene| format!("scene {scene}"));
        let lists = cut(&catalog, &quality(), Parted::Scored).unwrap();
        let images: BTreeSet<ImageId> = lists.iter().map(|listed| listed.0).collect();
        assert_eq!(images.len(), 40);
        let test = lists.iter().filter(|listed| listed.2 == Split::Test);
        assert_eq!(test.count(), 8);
        assert!(lists.iter().all(|listed| listed.1 == Aspect::Quality));
        // Both pictures of a prompt stand in one list.
        assert!(lists.chunks(2).all(|pair| pair[0].2 == pair[1].2));
    }

    #[test]
    fn what_is_foreseen_is_what_would_be_kept() {
        let catalog = catalog(|scene| format!("scene {scene}"));
        let lists = cut(&catalog, &quality(), Parted::Scored).unwrap();
        let seen = foreseen(catalog, &[Aspect::Quality, Aspect::Authenticity]).unwrap();
        for (record, (image, _, split)) in seen.images.iter().zip(lists) {
            assert_eq!(record.id, image);
            assert_eq!(*record.split.get(Aspect::Quality), Some(split));
            // Nobody has an opinion of it: what tests one aspect is not learned from under another.
            assert_eq!(*record.split.get(Aspect::Authenticity), Some(split));
        }
        // A split that is there is left alone.
        for parted in [Parted::Scored, Parted::AllIfUnscored] {
            assert!(cut(&seen, &quality(), parted).unwrap().is_empty());
        }
    }

    #[test]
    fn images_that_nobody_rated_are_parted_for_a_fine_tuning_alone() {
        let mut catalog = catalog(|scene| format!("scene {scene}"));
        for record in &mut catalog.images {
            record.truth = AspectMap::default();
        }
        let lists = cut(&catalog, &quality(), Parted::Scored).unwrap();
        assert!(lists.is_empty(), "a predictor has nothing to learn from");
        let lists = cut(&catalog, &quality(), Parted::AllIfUnscored).unwrap();
        assert_eq!(lists.len(), 40);
        let test = lists.iter().filter(|listed| listed.2 == Split::Test);
        assert_eq!(test.count(), 8);
    }

    #[test]
    fn a_split_without_test_rows_is_refused_with_what_to_do() {
        let catalog = catalog(|_| String::new());
        let refused = cut(&catalog, &quality(), Parted::Scored).unwrap_err();
        let words = refused.to_string();
        for part in ["quality", "40 images", "1 different", "prompts", "split"] {
            assert!(words.contains(part), "{words}");
        }
        assert!(foreseen(catalog, &[Aspect::Quality]).is_err());
    }
}
