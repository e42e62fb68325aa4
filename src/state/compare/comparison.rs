//! Pairs of prediction and truth, and every figure that Compare shows of them.

use std::collections::BTreeMap;

use crate::domain::{Aspect, ImageId, Split};
use crate::state::Project;
use crate::state::Row;
use crate::stats;
use crate::stats::Agreement;
use crate::stats::StatsError;

use super::known;

/// Bars of the histogram of errors.
pub const BARS: usize = 25;

/// Order of the curve through the points, as in the papers' plots.
const CURVE_ORDER: usize = 4;

/// Pieces of which the curve is drawn.
const CURVE_PIECES: u32 = 64;

/// One picture with both values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pair {
    /// The picture.
    pub image: ImageId,
    /// What people said.
    pub truth: f64,
    /// What the predictor says.
    pub predicted: f64,
}

impl Pair {
    /// Prediction minus truth.
    pub fn error(self) -> f64 {
        self.predicted - self.truth
    }
}

/// Pictures of one generator.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// The generator.
    pub name: String,
    /// Its pictures that have both values.
    pub images: Vec<ImageId>,
    /// Spearman's rank correlation.
    pub srcc: Result<f64, StatsError>,
    /// Pearson's correlation.
    pub plcc: Result<f64, StatsError>,
    /// Root mean square error.
    pub rmse: Result<f64, StatsError>,
}

/// Everything that Compare shows of one aspect and one part of the dataset.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// The part of the dataset; `None` is all of it.
    pub split: Option<Split>,
    /// Pictures with both values, in the order of the rows.
    pub pairs: Vec<Pair>,
    /// Correlations and errors.
    pub figures: Agreement,
    /// Points of the fourth-order curve of predictions over truth.
    pub curve: Result<Vec<[f64; 2]>, StatsError>,
    /// Positions in `pairs`, smallest error first.
    pub by_error: Vec<usize>,
    /// How many errors fall into each of equal steps from `-reach` to `reach`.
    pub histogram: [u32; BARS],
    /// The largest error, whatever its sign.
    pub reach: f64,
    /// Figures by generator, in the order of their names.
    pub groups: Vec<Group>,
    /// Pictures among the pairs that the predictor learned from.
    pub num_learned: usize,
    /// Pictures of the part that people rated.
    pub num_rated: usize,
    /// Rated pictures with a file that have no score yet.
    pub to_score: Vec<ImageId>,
    /// How good that is against known methods, where the dataset is one that they were measured on.
    pub verdict: Option<String>,
}

impl Default for Comparison {
    fn default() -> Self {
        Self::of_pairs(Vec::new())
    }
}

/// The test part where it has pairs, or where nothing has any yet; otherwise everything.
pub(super) fn usual_split(project: &Project, aspect: Aspect) -> Option<Split> {
    let test = Some(Split::Test);
    let is_test = |row: &&Row| *row.record.split.get(aspect) == test;
    let mut paired = project
        .rows
        .iter()
        .filter(|row| row.error(aspect).is_some())
        .peekable();
    let has_test = match paired.peek() {
        Some(_) => paired.any(|row| is_test(&row)),
        None => project
            .rows
            .iter()
            .filter(is_test)
            .any(|row| row.record.mos(aspect).is_some()),
    };
    test.filter(|_| has_test)
}

impl Comparison {
    /// Compares one aspect over one part of the dataset.
    pub(super) fn of(project: &Project, aspect: Aspect, split: Option<Split>) -> Self {
        let rows: Vec<&Row> = project
            .rows
            .iter()
            .filter(|row| split.is_none() || *row.record.split.get(aspect) == split)
            .filter(|row| row.record.mos(aspect).is_some())
            .collect();
        let mut comparison =
            Self::of_pairs(rows.iter().filter_map(|row| pair(row, aspect)).collect());
        comparison.split = split;
        comparison.num_rated = rows.len();
        comparison.to_score = rows
            .iter()
            .filter(|row| row.record.file.is_present() && row.predicted(aspect).is_none())
            .map(|row| row.record.id)
            .collect();
        comparison.groups = groups(&rows, aspect);
        if learned_here(project, aspect) {
            comparison.num_learned = rows
                .iter()
                .filter(|row| row.predicted(aspect).is_some() && is_lesson(row, aspect))
                .count();
        }
        comparison.verdict = match project.settings.ground_truth.get(aspect) {
            None => known::verdict(&project.info.dataset, aspect, &comparison),
            Some(_) => known::against_study(&project.info.dataset, aspect),
        };
        comparison
    }

    /// The figures that hang on the pairs alone.
    pub(in crate::state) fn of_pairs(pairs: Vec<Pair>) -> Self {
        let (predicted, truth) = columns(&pairs);
        let mut by_error: Vec<usize> = (0..pairs.len()).collect();
        by_error.sort_by(|&a, &b| pairs[a].error().abs().total_cmp(&pairs[b].error().abs()));
        let reach = by_error.last().map_or(0.0, |&idx| pairs[idx].error().abs());
        Self {
            split: None,
            figures: stats::agreement(&predicted, &truth),
            curve: curve(&predicted, &truth),
            by_error,
            histogram: histogram(&pairs, reach),
            reach,
            groups: Vec::new(),
            num_learned: 0,
            num_rated: 0,
            to_score: Vec::new(),
            verdict: None,
            pairs,
        }
    }
}

fn pair(row: &Row, aspect: Aspect) -> Option<Pair> {
    Some(Pair {
        image: row.record.id,
        truth: row.record.mos(aspect)?,
        predicted: row.predicted(aspect)?,
    })
}

fn columns(pairs: &[Pair]) -> (Vec<f64>, Vec<f64>) {
    pairs
        .iter()
        .map(|pair| (pair.predicted, pair.truth))
        .unzip()
}

fn curve(predicted: &[f64], truth: &[f64]) -> Result<Vec<[f64; 2]>, StatsError> {
    let polynomial = stats::polynomial_fit(truth, predicted, CURVE_ORDER)?;
    let low = truth.iter().copied().fold(f64::INFINITY, f64::min);
    let high = truth.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let points = (0..=CURVE_PIECES).map(|piece| {
        let x = low + (high - low) * f64::from(piece) / f64::from(CURVE_PIECES);
        [x, polynomial.predict(x)]
    });
    Ok(points.collect())
}

fn histogram(pairs: &[Pair], reach: f64) -> [u32; BARS] {
    let mut bars = [0; BARS];
    for pair in pairs {
        let place = match reach > 0.0 {
            true => f64::midpoint(pair.error() / reach, 1.0),
            false => 0.5,
        };
        let bar = (place * BARS as f64) as usize;
        bars[bar.min(BARS - 1)] += 1;
    }
    bars
}

fn groups(rows: &[&Row], aspect: Aspect) -> Vec<Group> {
    let mut by_name: BTreeMap<&str, Vec<Pair>> = BTreeMap::new();
    for row in rows {
        if let (Some(name), Some(pair)) = (&row.record.generator, pair(row, aspect)) {
            by_name.entry(name).or_default().push(pair);
        }
    }
    by_name
        .into_iter()
        .map(|(name, pairs)| {
            let (predicted, truth) = columns(&pairs);
            Group {
                name: name.to_owned(),
                images: pairs.iter().map(|pair| pair.image).collect(),
                srcc: stats::srcc(&predicted, &truth),
                plcc: stats::plcc(&predicted, &truth),
                rmse: stats::rmse(&predicted, &truth),
            }
        })
        .collect()
}

/// Whether the predictor in use learned from this dataset.
fn learned_here(project: &Project, aspect: Aspect) -> bool {
    project.predictor_card(aspect).is_some_and(|card| {
        let (ours, theirs) = (&project.info.dataset, &card.dataset);
        card.run.is_some()
            || (!ours.is_empty() && theirs.to_lowercase().contains(&ours.to_lowercase()))
    })
}

/// Whether a picture is one that a training learns from or chooses its best epoch by.
fn is_lesson(row: &Row, aspect: Aspect) -> bool {
    matches!(
        row.record.split.get(aspect),
        Some(Split::Train | Split::Val)
    )
}
