//! Figures of a study whose raters compared pictures, as the screen lists them.

use std::collections::HashMap;

use crate::domain::{ContentHash, ImageId, Study};
use crate::jobs::message::Analysis;
use crate::jobs::message::Scene;
use crate::jobs::message::Sides;
use crate::state::Project;
use crate::state::compare::Comparison;
use crate::stats::StatsError;
use crate::stats::raters::Screening;

use super::Digest;
use super::Figure;
use super::RaterRow;
use super::digest;

/// One picture among those of its prompt.
#[derive(Debug, Clone, PartialEq)]
pub struct PairRow {
    /// The picture.
    pub hash: ContentHash,
    /// Its row in the project, where it is there.
    pub image: Option<ImageId>,
    /// Its path when the study was made.
    pub path: String,
    /// The prompt within which it was compared.
    pub prompt: String,
    /// Comparisons with others.
    pub num_comparisons: usize,
    /// Share won, ties half.
    pub win_rate: f64,
    /// Bradley-Terry strength on the logit scale with half its 95 % interval, among the pictures of the prompt.
    pub strength: Result<(f64, f64), StatsError>,
}

impl PairRow {
    /// What the order goes by: the strength, or the share won where there is none.
    pub(super) fn value(&self) -> f64 {
        match &self.strength {
            Ok((strength, _)) => *strength,
            Err(_) => (self.win_rate - 0.5) * 2.0,
        }
    }
}

/// What the screen shows of a study with comparisons.
pub(super) fn digest(
    project: &Project,
    study: &Study,
    analysis: &Analysis,
) -> Result<Digest, String> {
    if analysis.num_votes == 0 {
        return Err(digest::no_votes(analysis.aspect));
    }
    let paths = digest::known_paths(study);
    let scenes = analysis.scenes.iter();
    let pairs: Vec<PairRow> = scenes
        .flat_map(|scene| of_prompt(project, &paths, scene))
        .collect();
    let num_rated = study.protocol.rated_pictures().len();
    Ok(Digest {
        screening: Screening::None,
        agreement: agreement(&analysis.sides),
        raters: analysis
            .sides
            .iter()
            .map(|own| rater_row(analysis, own))
            .collect(),
        pictures: Vec::new(),
        not_screened: None,
        change: None,
        comparison: Comparison::default(),
        num_votes: analysis.num_votes,
        num_unrated: num_rated.saturating_sub(pairs.len()),
        pairs,
    })
}

fn of_prompt(project: &Project, paths: &HashMap<ContentHash, &str>, scene: &Scene) -> Vec<PairRow> {
    let counts = &scene.counts;
    let row = |(idx, hash): (usize, &ContentHash)| PairRow {
        hash: *hash,
        image: project.row_with(*hash).map(|row| row.record.id),
        path: paths
            .get(hash)
            .map_or_else(|| hash.to_string(), |path| (*path).to_owned()),
        prompt: scene.prompt.clone(),
        num_comparisons: counts.num_comparisons(idx).round() as usize,
        win_rate: counts.win_rate(idx).unwrap_or(0.5),
        strength: match &scene.strengths {
            Ok(fit) => Ok((fit.strength[idx], fit.ci95[idx])),
            Err(reason) => Err(reason.clone()),
        },
    };
    let rows = scene.pictures.iter().enumerate().map(row);
    rows.filter(|row| row.num_comparisons > 0).collect()
}

fn rater_row(analysis: &Analysis, own: &Sides) -> RaterRow {
    let share = |num: usize| num as f64 / own.num_comparisons.max(1) as f64;
    RaterRow {
        name: own.rater.clone(),
        num_votes: own.num_comparisons,
        bias: Ok(share(own.num_left)),
        inconsistency: Ok(share(own.num_ties)),
        verdict: None,
        seconds: digest::seconds(analysis, &own.rater),
        num_repeats: own.num_repeats,
        repeat_error: share_of(own.num_otherwise, own.num_repeats),
    }
}

fn share_of(num: usize, of: usize) -> Result<f64, StatsError> {
    match of {
        0 => Err(StatsError::NoRepeats),
        of => Ok(num as f64 / of as f64),
    }
}

fn agreement(sides: &[Sides]) -> Vec<Figure> {
    let total = |num: fn(&Sides) -> usize| sides.iter().map(num).sum();
    let num_otherwise = total(|own| own.num_otherwise);
    let num_repeats = total(|own| own.num_repeats);
    vec![Figure {
        name: "Repeats answered otherwise",
        hint: "Share of hidden repeats, shown with the sides changed, that were answered otherwise than before",
        value: share_of(num_otherwise, num_repeats),
    }]
}
