//! What models said, held against opinion scores: the word that each answered with, and the scores that predictors made
//! of its descriptions.

use std::collections::BTreeMap;

use crate::domain::Aspect;
use crate::domain::Catalog;
use crate::domain::Description;
use crate::domain::Evaluation;
use crate::domain::Figures;
use crate::domain::ImageId;
use crate::domain::ImageRecord;
use crate::domain::ModelTag;
use crate::domain::Origin;
use crate::domain::PredictorId;
use crate::domain::Rating;
use crate::domain::Score;
use crate::domain::Speaker;
use crate::domain::Split;
use crate::domain::WordFigures;
use crate::jobs::error::JobError;
use crate::jobs::evaluate;
use crate::jobs::message::Event;
use crate::jobs::store_worker::StoreHandle;
use crate::stats::classification;

/// The class of an answer without one of the five words. It lies two steps beyond the best one, so that it is neither
/// exactly nor roughly right for any picture.
const NO_WORD: usize = Rating::ALL.len() + 1;

/// Classes with that one.
const NUM_CLASSES: usize = NO_WORD + 1;

/// Who speaks: a model in a wording, or a published system.
type Voice<'a> = (Origin, Option<&'a ModelTag>, Option<&'a str>);

/// Holds every model that has described pictures of a list (`None`: of all) against their opinion scores.
pub fn speakers(catalog: &Catalog, aspect: Aspect, split: Option<Split>) -> Evaluation {
    let rows: BTreeMap<ImageId, &ImageRecord> = catalog
        .images
        .iter()
        .filter(|record| record.file.is_present() && record.mos(aspect).is_some())
        .filter(|record| split.is_none() || *record.split.get(aspect) == split)
        .map(|record| (record.id, record))
        .collect();
    let mut voices: Vec<(Voice<'_>, BTreeMap<ImageId, &Description>)> = Vec::new();
    let is_spoken = |told: &&Description| {
        told.aspect == aspect && told.origin != Origin::Teacher && rows.contains_key(&told.image)
    };
    for told in catalog.descriptions.iter().filter(is_spoken) {
        let voice: Voice<'_> = match told.origin {
            Origin::Local => (
                told.origin,
                told.made.model.as_ref(),
                told.made.preset.as_deref(),
            ),
            Origin::Published | Origin::Teacher => (told.origin, None, None),
        };
        let known = voices.iter().position(|(known, _)| *known == voice);
        let at = known.unwrap_or_else(|| {
            voices.push((voice, BTreeMap::new()));
            voices.len() - 1
        });
        // The newest of each picture counts; the list is oldest first.
        voices[at].1.insert(told.image, told);
    }
    let mut speakers: Vec<Speaker> = voices
        .into_iter()
        .map(|(voice, texts)| speaker(catalog, (aspect, &rows), voice, &texts))
        .collect();
    speakers.sort_by_key(|speaker| speaker.unix_time);
    Evaluation {
        aspect,
        split,
        num_images: rows.len(),
        truth: catalog.truth_name(aspect),
        speakers,
    }
}

fn speaker(
    catalog: &Catalog,
    (aspect, rows): (Aspect, &BTreeMap<ImageId, &ImageRecord>),
    (origin, model, preset): Voice<'_>,
    texts: &BTreeMap<ImageId, &Description>,
) -> Speaker {
    let (predictor, scores) = scores_of(catalog, (aspect, rows), texts);
    let card = catalog
        .predictors
        .iter()
        .find(|card| Some(card.id) == predictor);
    Speaker {
        name: model.map_or_else(|| origin.name().to_owned(), |model| model.name.clone()),
        origin,
        model: model.cloned(),
        preset: preset.map(str::to_owned),
        num_described: texts.len(),
        words: words_of(catalog, (aspect, rows), texts),
        predictor,
        predictor_name: match (card, predictor) {
            (Some(card), _) => Some(card.name.clone()),
            (None, Some(evaluate::EMBEDDED)) => Some("embedded".to_owned()),
            (None, _) => None,
        },
        scores,
        unix_time: texts
            .values()
            .map(|told| told.made.unix_time)
            .max()
            .unwrap_or(0),
    }
}

/// Figures of the answered words. Pictures whose description was never followed by the question are left out.
fn words_of(
    catalog: &Catalog,
    (aspect, rows): (Aspect, &BTreeMap<ImageId, &ImageRecord>),
    texts: &BTreeMap<ImageId, &Description>,
) -> WordFigures {
    let scale = catalog.info.scale;
    let answered = texts.iter().filter(|(_, told)| told.answer.is_some());
    let (pred, truth): (Vec<usize>, Vec<usize>) = answered
        .filter_map(|(image, told)| {
            let mos = rows.get(image)?.mos(aspect)?;
            let said = told.rating().map_or(NO_WORD, |rating| rating as usize);
            Some((said, Rating::of_score(mos, scale) as usize))
        })
        .unzip();
    let without_word = pred.iter().filter(|class| **class == NO_WORD).count();
    let nothing = WordFigures {
        n: pred.len(),
        without_word,
        ..WordFigures::default()
    };
    if pred.is_empty() {
        return WordFigures {
            reason: Some("no answer of this model stands beside an opinion score".to_owned()),
            ..nothing
        };
    }
    match classification(&pred, &truth, NUM_CLASSES) {
        Ok(found) => WordFigures {
            accuracy: Some(found.accuracy),
            rough_accuracy: Some(found.rough_accuracy),
            precision: Some(found.precision),
            f1: Some(found.f1),
            ..nothing
        },
        Err(error) => WordFigures {
            reason: Some(error.to_string()),
            ..nothing
        },
    }
}

/// Scores that were made of these very descriptions, by one predictor.
fn scores_of(
    catalog: &Catalog,
    (aspect, rows): (Aspect, &BTreeMap<ImageId, &ImageRecord>),
    texts: &BTreeMap<ImageId, &Description>,
) -> (Option<PredictorId>, Figures) {
    let is_of_texts = |score: &&Score| {
        score.aspect == aspect
            && texts
                .get(&score.image)
                .is_some_and(|told| score.description == Some(told.id))
    };
    let scores: Vec<&Score> = catalog.scores.iter().filter(is_of_texts).collect();
    let in_use = evaluate::predictor_in_use(catalog, aspect);
    let newest = scores.last().map(|score| score.predictor);
    let predictor = scores
        .iter()
        .map(|score| score.predictor)
        .find(|predictor| *predictor == in_use)
        .or(newest);
    let of_one = scores
        .iter()
        .filter(|score| Some(score.predictor) == predictor);
    let (pred, truth): (Vec<f64>, Vec<f64>) = of_one
        .filter_map(|score| Some((score.value, rows.get(&score.image)?.mos(aspect)?)))
        .unzip();
    let mut figures = evaluate::figures(&pred, &truth);
    if pred.is_empty() {
        figures.reason = Some("no predictor has scored what this model says".to_owned());
    }
    (predictor, figures)
}

/// The job behind [`Event::Evaluated`].
pub(super) fn tell(
    store: &StoreHandle,
    aspect: Aspect,
    split: Option<Split>,
) -> Result<(), JobError> {
    let (catalog, _) = store.snapshot()?;
    let found = speakers(&catalog, aspect, split);
    store.call(move |state| {
        state.events().send(Event::Evaluated(Box::new(found)));
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::AspectMap;
    use crate::domain::ContentHash;
    use crate::domain::DescriptionId;
    use crate::domain::FileState;
    use crate::domain::ProjectInfo;
    use crate::domain::Provenance;
    use crate::domain::Truth;

    fn made(model: &str, unix_time: i64) -> Provenance {
        Provenance {
            model: Some(ModelTag {
                name: model.to_owned(),
                sha256: model.to_owned(),
            }),
            preset: Some("assay".to_owned()),
            settings: serde_json::json!({}),
            seed: 0,
            program_version: String::new(),
            unix_time,
        }
    }

    fn told(id: i64, image: i64, model: &str, answer: &str) -> Description {
        Description {
            id: DescriptionId(id),
            image: ImageId(image),
            aspect: Aspect::Quality,
            origin: Origin::Local,
            request: String::new(),
            text: String::new(),
            question: String::new(),
            answer: Some(answer.to_owned()),
            made: made(model, id),
        }
    }

    /// Five test pictures, bad to excellent, and a training picture.
    fn catalog(descriptions: Vec<Description>) -> Catalog {
        let record = |number: i64| ImageRecord {
            id: ImageId(number),
            path: format!("{number}.png"),
            file: FileState::Present {
                hash: ContentHash([number as u8; 32]),
                width: 8,
                height: 8,
            },
            prompt: String::new(),
            prompt_source: String::new(),
            generator: None,
            style: None,
            tags: Vec::new(),
            truth: AspectMap::from_fn(|_| {
                Some(Truth {
                    mos: number as f64 + 0.5,
                    std: None,
                    num_ratings: None,
                })
            }),
            split: AspectMap::from_fn(|_| {
                Some(if number < 5 {
                    Split::Test
                } else {
                    Split::Train
                })
            }),
        };
        Catalog {
            images: (0..6).map(record).collect(),
            descriptions,
            ..Catalog::of(ProjectInfo::any())
        }
    }

    #[test]
    fn each_model_is_held_against_the_test_list_by_itself() {
        let words = ["bad", "poor", "good", "excellent", "a fine picture"];
        let mut all: Vec<Description> = words
            .iter()
            .enumerate()
            .map(|(image, word)| told(image as i64 + 1, image as i64, "before", word))
            .collect();
        // The newest answer counts, and a training picture does not.
        all.push(told(10, 1, "after", "excellent"));
        all.push(told(11, 1, "after", "poor"));
        all.push(told(12, 5, "after", "bad"));
        let found = speakers(&catalog(all), Aspect::Quality, Some(Split::Test));
        assert_eq!(found.num_images, 5);
        let [before, after] = found.speakers.as_slice() else {
            panic!("{found:?}");
        };
        assert_eq!((before.words.n, before.words.without_word), (5, 1));
        let close = |value: Option<f64>, expected: f64| {
            assert!((value.unwrap() - expected).abs() < 1e-12, "{value:?}");
        };
        close(before.words.accuracy, 0.4);
        close(before.words.rough_accuracy, 0.8);
        close(before.words.precision, 0.4);
        assert_eq!((after.words.n, after.num_described), (1, 1));
        close(after.words.accuracy, 1.0);
        assert!(after.scores.srcc.is_none());
        let reason = after.scores.reason.as_deref().unwrap_or_default();
        assert!(reason.contains("no predictor"), "{reason}");
    }

    #[test]
    fn a_model_that_was_never_asked_for_a_word_has_no_figures() {
        let mut silent = told(1, 0, "silent", "");
        silent.answer = None;
        let found = speakers(&catalog(vec![silent]), Aspect::Quality, Some(Split::Test));
        let words = &found.speakers[0].words;
        assert_eq!((words.n, words.accuracy), (0, None));
        assert!(words.reason.is_some());
    }
}
