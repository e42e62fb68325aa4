//! Figures of a study whose raters compared pictures.

use std::collections::BTreeMap;

use crate::domain::study::SceneTally;
use crate::domain::study::opinions;
use crate::domain::study::scene_tallies;
use crate::domain::{Aspect, ContentHash, ImageId, PairChoice, Shown, Study, Vote, VoteValue};
use crate::state::Project;
use crate::state::compare::Comparison;
use crate::stats::StatsError;
use crate::stats::raters::PairCounts;
use crate::stats::raters::strengths;

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

/// Computes everything of a study with comparisons.
pub(super) fn digest(project: &Project, study: &Study, aspect: Aspect) -> Result<Digest, String> {
    let votes = project.votes_of(study.id);
    let opinions = opinions(votes, aspect);
    if opinions.is_empty() {
        return Err(digest::no_votes(aspect));
    }
    let standing = digest::counted(votes, aspect);
    let pairs = rows(project, study, aspect);
    let raters = rater_rows(&opinions, &standing);
    let num_rated = study.protocol.rated_pictures().len();
    Ok(Digest {
        agreement: agreement(&standing),
        raters,
        pictures: Vec::new(),
        not_screened: None,
        change: None,
        comparison: Comparison::default(),
        num_votes: opinions.len(),
        num_unrated: num_rated.saturating_sub(pairs.len()),
        pairs,
    })
}

fn won(vote: &Vote) -> Option<(ContentHash, ContentHash, f64)> {
    let (Shown::Pair { left, right }, VoteValue::Pair(choice)) = (vote.shown, vote.value) else {
        return None;
    };
    Some((left, right, choice.left_won()))
}

fn rows(project: &Project, study: &Study, aspect: Aspect) -> Vec<PairRow> {
    let scenes = scene_tallies(study, project.votes_of(study.id), aspect);
    scenes
        .iter()
        .flat_map(|scene| of_prompt(project, study, scene))
        .collect()
}

fn of_prompt(project: &Project, study: &Study, scene: &SceneTally) -> Vec<PairRow> {
    let mut counts = PairCounts::new(scene.pictures.len());
    for comparison in &scene.comparisons {
        counts.add(comparison.left, comparison.right, comparison.won);
    }
    let fit = strengths(&counts);
    let row = |(idx, &hash): (usize, &ContentHash)| {
        let picture = study.protocol.picture(hash);
        PairRow {
            hash,
            image: project.row_with(hash).map(|row| row.record.id),
            path: picture.map_or_else(|| hash.to_string(), |picture| picture.path.clone()),
            prompt: scene.prompt.clone(),
            num_comparisons: counts.num_comparisons(idx).round() as usize,
            win_rate: counts.win_rate(idx).unwrap_or(0.5),
            strength: match &fit {
                Ok(fit) => Ok((fit.strength[idx], fit.ci95[idx])),
                Err(reason) => Err(reason.clone()),
            },
        }
    };
    let rows = scene.pictures.iter().enumerate().map(row);
    rows.filter(|row| row.num_comparisons > 0).collect()
}

fn rater_rows(opinions: &[&Vote], standing: &[&Vote]) -> Vec<RaterRow> {
    let mut by_rater: BTreeMap<&str, Vec<&Vote>> = BTreeMap::new();
    for vote in opinions {
        by_rater.entry(vote.rater.as_str()).or_default().push(vote);
    }
    by_rater
        .into_iter()
        .map(|(name, votes)| {
            let share = |choice: PairChoice| {
                let chosen = votes
                    .iter()
                    .filter(|vote| vote.value == VoteValue::Pair(choice));
                chosen.count() as f64 / votes.len() as f64
            };
            let own: Vec<&Vote> = standing
                .iter()
                .copied()
                .filter(|vote| vote.rater == name)
                .collect();
            let (num_repeats, num_other) = repeats(&own);
            RaterRow {
                name: name.to_owned(),
                num_votes: votes.len(),
                bias: Ok(share(PairChoice::Left)),
                inconsistency: Ok(share(PairChoice::Tie)),
                verdict: None,
                seconds: digest::seconds(standing, name),
                num_repeats,
                repeat_error: share_of(num_other, num_repeats),
            }
        })
        .collect()
}

fn share_of(num: usize, of: usize) -> Result<f64, StatsError> {
    match of {
        0 => Err(StatsError::NoRepeats),
        of => Ok(num as f64 / of as f64),
    }
}

/// Hidden repeats that have a first answer, and those among them that were answered otherwise. Repeats come with the
/// sides changed.
fn repeats(standing: &[&Vote]) -> (usize, usize) {
    let mut first: BTreeMap<(&str, ContentHash, ContentHash), f64> = BTreeMap::new();
    for vote in standing.iter().filter(|vote| !vote.is_repeat) {
        if let Some((left, right, won)) = won(vote) {
            first.insert((&vote.rater, left, right), won);
        }
    }
    let (mut num, mut num_other) = (0, 0);
    for vote in standing.iter().filter(|vote| vote.is_repeat) {
        let Some((left, right, won)) = won(vote) else {
            continue;
        };
        let turned = first
            .get(&(vote.rater.as_str(), right, left))
            .map(|won| 1.0 - won);
        let same = first.get(&(vote.rater.as_str(), left, right)).copied();
        if let Some(before) = turned.or(same) {
            num += 1;
            num_other += usize::from((before - won).abs() > 0.25);
        }
    }
    (num, num_other)
}

fn agreement(standing: &[&Vote]) -> Vec<Figure> {
    let (num, num_other) = repeats(standing);
    vec![Figure {
        name: "Repeats answered otherwise",
        hint: "Share of hidden repeats, shown with the sides changed, that were answered otherwise than before",
        value: share_of(num_other, num),
    }]
}
