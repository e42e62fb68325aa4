//! What Compare computes of a small project.

use crate::domain::{
    AspectMap, Catalog, ContentHash, FileState, ImageId, ImageRecord, PredictorId, ProjectInfo,
    Provenance, Score, Truth,
};
use crate::stats::StatsError;

use super::*;

fn record(number: i64) -> ImageRecord {
    let truth = Truth {
        mos: number as f64 / 2.0,
        std: None,
        num_ratings: None,
    };
    let split = match number % 4 {
        0 => Split::Test,
        _ => Split::Train,
    };
    ImageRecord {
        id: ImageId(number),
        path: format!("p{number:02}.png"),
        file: FileState::Present {
            hash: ContentHash([number as u8; 32]),
            width: 8,
            height: 8,
        },
        prompt: String::new(),
        prompt_source: String::new(),
        generator: Some(if number == 1 { "lone" } else { "many" }.to_owned()),
        style: None,
        tags: Vec::new(),
        truth: AspectMap::from_fn(|aspect| (aspect == Aspect::Quality).then_some(truth)),
        split: AspectMap::from_fn(|_| Some(split)),
    }
}

fn score(image: i64, value: f64) -> Score {
    Score {
        image: ImageId(image),
        aspect: Aspect::Quality,
        value,
        predictor: PredictorId(0),
        description: None,
        made: Provenance {
            model: None,
            preset: None,
            settings: serde_json::Value::Null,
            seed: 0,
            program_version: "0".to_owned(),
            unix_time: 0,
        },
    }
}

fn project(scores: Vec<Score>) -> Project {
    let catalog = Catalog {
        images: (1..=8).map(record).collect(),
        scores,
        ..Catalog::of(ProjectInfo::any())
    };
    Project::new(catalog, Vec::new())
}

fn compared(scores: Vec<Score>) -> CompareState {
    let mut state = CompareState::default();
    state.refresh(&project(scores));
    state
}

#[test]
fn the_test_part_comes_first_where_it_has_pairs() {
    let state = compared(vec![score(1, 1.0), score(4, 2.5), score(8, 3.0)]);
    assert_eq!(state.comparison.split, Some(Split::Test));
    assert_eq!(state.comparison.pairs.len(), 2);
    let state = compared(vec![score(1, 1.0), score(2, 2.5)]);
    assert_eq!(state.comparison.split, None);
    assert_eq!(state.comparison.pairs.len(), 2);
}

#[test]
fn nothing_scored_yet_asks_for_the_test_part() {
    let state = compared(Vec::new());
    assert_eq!(state.comparison.split, Some(Split::Test));
    assert_eq!(state.comparison.to_score, [ImageId(4), ImageId(8)]);
    let too_few = StatsError::TooFew { needed: 2, got: 0 };
    assert_eq!(state.comparison.figures.srcc, Err(too_few));
}

#[test]
fn a_chosen_part_stays_chosen() {
    let project = project(vec![score(4, 2.5), score(8, 3.0)]);
    let mut state = CompareState::default();
    state.update(CompareCommand::SetSplit(None), &project);
    assert_eq!(state.comparison.split, None);
    state.update(CompareCommand::Refresh, &project);
    assert_eq!(state.comparison.split, None);
    assert_eq!(state.comparison.to_score.len(), 6);
    assert_eq!(state.revision, 2);
}

#[test]
fn errors_are_signed_and_stand_in_order_of_their_size() {
    let state = compared(vec![score(1, 1.5), score(2, 0.2), score(3, 1.5)]);
    let comparison = &state.comparison;
    let images: Vec<i64> = comparison
        .by_error
        .iter()
        .map(|&idx| comparison.pairs[idx].image.0)
        .collect();
    assert_eq!(images, [3, 2, 1]);
    assert!((comparison.pairs[1].error() + 0.8).abs() < 1e-12);
    assert_eq!(comparison.histogram.iter().sum::<u32>(), 3);
    assert_eq!(comparison.histogram[BARS - 1], 1);
    assert_eq!(comparison.histogram[BARS / 2], 1);
}

#[test]
fn generators_have_figures_of_their_own_or_a_reason() {
    let scores = (1..=8).map(|image| score(image, 1.0 + image as f64));
    let mut state = CompareState::default();
    state.update(CompareCommand::SetSplit(None), &project(scores.collect()));
    let groups = &state.comparison.groups;
    assert_eq!(groups[0].name, "lone");
    assert_eq!(
        groups[0].srcc,
        Err(StatsError::TooFew { needed: 2, got: 1 })
    );
    assert_eq!(groups[1].images.len(), 7);
    let srcc = *groups[1].srcc.as_ref().expect("seven different scores");
    assert!((srcc - 1.0).abs() < 1e-12, "{srcc}");
}

#[test]
fn a_curve_needs_five_pictures() {
    let few = compared(vec![score(1, 1.0), score(2, 1.0)]);
    assert_eq!(
        few.comparison.curve,
        Err(StatsError::TooFew { needed: 5, got: 2 })
    );
    let scores = (1..=8).map(|image| score(image, image as f64));
    let mut many = CompareState::default();
    many.update(CompareCommand::SetSplit(None), &project(scores.collect()));
    let curve = many.comparison.curve.expect("eight different pictures");
    assert!(curve.iter().all(|[x, y]| (y - 2.0 * x).abs() < 1e-6));
}

#[test]
fn an_aspect_that_nobody_rated_has_nothing_to_score() {
    let mut state = CompareState::default();
    let project = project(Vec::new());
    state.update(CompareCommand::SetAspect(Aspect::Authenticity), &project);
    assert_eq!(state.comparison.num_rated, 0);
    assert!(state.comparison.to_score.is_empty());
}
