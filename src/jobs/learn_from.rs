//! Which pictures a run learns from, and whose opinions it takes for the truth.
//!
//! The test list is never made smaller: figures of runs that learned from different pictures stay comparable.

use std::collections::HashMap;

use crate::domain::Catalog;
use crate::domain::ContentHash;
use crate::domain::ImageRecord;
use crate::domain::Split;
use crate::domain::TrainSettings;
use crate::domain::Truth;
use crate::jobs::error::JobError;
use crate::jobs::store_worker::Pinned;
use crate::jobs::study::study_mos;

/// Rows of an aspect that have a picture and a ground truth, by role.
pub(super) struct Roles<'a> {
    pub(super) train: Vec<&'a ImageRecord>,
    pub(super) val: Vec<&'a ImageRecord>,
    pub(super) test: Vec<&'a ImageRecord>,
}

/// The catalog with the truth that a run takes: a study's, where one was chosen, and then nobody else's.
pub(super) fn with_truth(
    mut catalog: Catalog,
    settings: &TrainSettings,
    pinned: &Pinned,
) -> Result<Catalog, JobError> {
    let Some(id) = settings.learn_from.study else {
        return Ok(catalog);
    };
    let aspect = settings.aspect;
    let scale = catalog.info.scale;
    let truths: HashMap<ContentHash, Truth> = pinned.call(move |project, _| {
        let study = project.study(id)?;
        let own = study.protocol.method.scale();
        let opinions = study_mos(project, &study, aspect)?.into_iter();
        Ok(opinions
            .map(|opinion| (opinion.hash, opinion.on(own, scale)))
            .collect())
    })?;
    for image in &mut catalog.images {
        let truth = image.file.hash().and_then(|hash| truths.get(&hash));
        *image.truth.get_mut(aspect) = truth.copied();
    }
    *catalog.settings.ground_truth.get_mut(aspect) = Some(id);
    Ok(catalog)
}

/// Parts the rows that take part by their role.
pub(super) fn roles<'a>(
    catalog: &'a Catalog,
    settings: &TrainSettings,
) -> Result<Roles<'a>, JobError> {
    let aspect = settings.aspect;
    let from = &settings.learn_from;
    let with_truth: Vec<&ImageRecord> = rows_with_truth(catalog, settings).collect();
    if with_truth.is_empty() {
        return Err(JobError::NoTruth { aspect });
    }
    let of = |split| {
        let rows = with_truth.iter().copied();
        rows.filter(move |record| *record.split.get(aspect) == Some(split))
    };
    Ok(Roles {
        train: of(Split::Train).filter(|row| from.takes(row)).collect(),
        val: of(Split::Val).filter(|row| from.takes(row)).collect(),
        test: of(Split::Test).collect(),
    })
}

/// Rows with a picture and a ground truth of the aspect.
pub(super) fn rows_with_truth<'a>(
    catalog: &'a Catalog,
    settings: &TrainSettings,
) -> impl Iterator<Item = &'a ImageRecord> {
    let aspect = settings.aspect;
    let images = catalog.images.iter();
    images.filter(move |record| record.file.is_present() && record.mos(aspect).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Aspect;
    use crate::domain::AspectMap;
    use crate::domain::FileState;
    use crate::domain::ImageId;
    use crate::domain::LearnFrom;
    use crate::domain::ProjectInfo;

    fn record(number: i64, split: Split) -> ImageRecord {
        let truth = Truth {
            mos: number as f64,
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
            prompt: String::new(),
            prompt_source: String::new(),
            generator: Some(if number % 2 == 0 { "alpha" } else { "beta" }.to_owned()),
            style: None,
            tags: if number < 3 {
                vec!["odd".to_owned()]
            } else {
                Vec::new()
            },
            truth: AspectMap::from_fn(|_| Some(truth)),
            split: AspectMap::from_fn(|_| Some(split)),
        }
    }

    fn catalog() -> Catalog {
        let splits = [Split::Train, Split::Train, Split::Val, Split::Test];
        Catalog {
            images: (0..8)
                .map(|number| record(number, splits[number as usize / 2]))
                .collect(),
            ..Catalog::of(ProjectInfo::any())
        }
    }

    fn counts(learn_from: LearnFrom) -> [usize; 3] {
        let settings = TrainSettings {
            learn_from,
            ..TrainSettings::new(Aspect::Quality)
        };
        let catalog = catalog();
        let roles = roles(&catalog, &settings).unwrap();
        [roles.train.len(), roles.val.len(), roles.test.len()]
    }

    #[test]
    fn filters_touch_what_is_learned_from_and_never_the_test_list() {
        assert_eq!(counts(LearnFrom::default()), [4, 2, 2]);
        let alpha = LearnFrom {
            generators: vec!["alpha".to_owned()],
            ..LearnFrom::default()
        };
        assert_eq!(counts(alpha.clone()), [2, 1, 2]);
        let odd = LearnFrom {
            tag: Some("odd".to_owned()),
            ..alpha
        };
        assert_eq!(counts(odd.clone()), [2, 0, 2]);
        assert_eq!(odd.words(), "of alpha, with the tag odd");
    }
}
