//! What a study's votes come to under one aspect: the one computation behind window, report and command line.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use super::Sides;
use super::StudyRecord;
use super::sides::sides;
use crate::domain::Aspect;
use crate::domain::ContentHash;
use crate::domain::Vote;
use crate::domain::study::SceneTally;
use crate::domain::study::Tally;
use crate::domain::study::opinions;
use crate::domain::study::scene_tallies;
use crate::domain::study::standing;
use crate::domain::study::tally;
use crate::stats::StatsError;
use crate::stats::raters::BradleyTerry;
use crate::stats::raters::PairCounts;
use crate::stats::raters::Panel;
use crate::stats::raters::RatingMatrix;
use crate::stats::raters::Repeat;
use crate::stats::raters::Screening;
use crate::stats::raters::panel;
use crate::stats::raters::strengths;

/// A study under one aspect.
#[derive(Debug, Clone, PartialEq)]
pub struct Analysis {
    /// The aspect.
    pub aspect: Aspect,
    /// Votes under it that count.
    pub num_votes: usize,
    /// Scores as a table; without rows of interest in a pair comparison.
    pub tally: Tally,
    /// The panel's figures; an error where nobody scored anything.
    pub panel: Result<Panel, StatsError>,
    /// Comparisons by prompt; empty where pictures were scored.
    pub scenes: Vec<Scene>,
    /// How each rater went about it, by name.
    pub habits: Vec<Habits>,
    /// How each rater compared, by name; empty where pictures were scored.
    pub sides: Vec<Sides>,
}

/// Comparisons of one prompt and the strengths that they give.
#[derive(Debug, Clone, PartialEq)]
pub struct Scene {
    /// The prompt.
    pub prompt: String,
    /// Its pictures.
    pub pictures: Vec<ContentHash>,
    /// Who won how often.
    pub counts: PairCounts,
    /// Comparisons that count.
    pub num_comparisons: usize,
    /// Ties among them.
    pub num_ties: usize,
    /// Comparisons that the left picture won.
    pub num_left: usize,
    /// Strengths, or why there are none.
    pub strengths: Result<BradleyTerry, StatsError>,
}

/// How a rater went about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Habits {
    /// The rater's name.
    pub rater: String,
    /// Votes that count.
    pub num_votes: usize,
    /// Training votes, which never count.
    pub num_training: usize,
    /// Hidden repeats.
    pub num_repeats: usize,
    /// Votes taken back.
    pub num_taken_back: usize,
    /// Sessions.
    pub num_sessions: usize,
    /// The longest session in minutes, from the first picture to the last vote.
    pub longest_session_min: f64,
    /// Median milliseconds from picture to vote.
    pub median_reaction_ms: f64,
}

/// Takes every figure of a study under one aspect.
pub fn analyse(record: &StudyRecord<'_>, aspect: Aspect, screening: Screening) -> Analysis {
    let votes = record.owned_votes();
    let tally = tally(record.study, &votes, aspect);
    let repeats: Vec<Repeat> = tally
        .repeats
        .iter()
        .map(|repeat| Repeat {
            rater: repeat.rater,
            first: repeat.first,
            again: repeat.again,
        })
        .collect();
    let panel = RatingMatrix::from_rows(&tally.scores)
        .and_then(|matrix| panel(&matrix, &repeats, screening));
    let scenes = scene_tallies(record.study, &votes, aspect);
    Analysis {
        aspect,
        panel,
        scenes: scenes.into_iter().map(scene).collect(),
        habits: habits(record, aspect),
        sides: sides(&votes, aspect),
        num_votes: opinions(&votes, aspect).len(),
        tally,
    }
}

fn scene(tally: SceneTally) -> Scene {
    let mut counts = PairCounts::new(tally.pictures.len());
    for comparison in &tally.comparisons {
        counts.add(comparison.left, comparison.right, comparison.won);
    }
    let num_won = |low: f64, high: f64| {
        let won = tally.comparisons.iter().map(|comparison| comparison.won);
        won.filter(|won| (low..high).contains(won)).count()
    };
    Scene {
        strengths: strengths(&counts),
        num_comparisons: tally.comparisons.len(),
        num_ties: num_won(0.25, 0.75),
        num_left: num_won(0.75, 1.25),
        prompt: tally.prompt,
        pictures: tally.pictures,
        counts,
    }
}

fn habits(record: &StudyRecord<'_>, aspect: Aspect) -> Vec<Habits> {
    let mut by_rater: BTreeMap<&str, Vec<&Vote>> = BTreeMap::new();
    for vote in record.votes.iter().filter(|vote| vote.aspect == aspect) {
        by_rater.entry(vote.rater.as_str()).or_default().push(vote);
    }
    by_rater
        .into_iter()
        .map(|(rater, votes)| habits_of(rater, &votes))
        .collect()
}

fn habits_of(rater: &str, votes: &[&Vote]) -> Habits {
    let standing = standing(votes.iter().copied());
    let count = |is_meant: fn(&Vote) -> bool| standing.iter().filter(|vote| is_meant(vote)).count();
    let sessions: BTreeSet<u32> = standing.iter().map(|vote| vote.session).collect();
    let mut reactions: Vec<f64> = standing
        .iter()
        .filter(|vote| !vote.is_training)
        .map(|vote| f64::from(vote.reaction_ms))
        .collect();
    Habits {
        rater: rater.to_owned(),
        num_votes: count(|vote| !vote.is_training && !vote.is_repeat),
        num_training: count(|vote| vote.is_training),
        num_repeats: count(|vote| vote.is_repeat && !vote.is_training),
        num_taken_back: votes.iter().filter(|vote| vote.undo_of.is_some()).count(),
        num_sessions: sessions.len(),
        longest_session_min: sessions
            .iter()
            .map(|session| minutes(&standing, *session))
            .fold(0.0, f64::max),
        median_reaction_ms: median(&mut reactions),
    }
}

fn minutes(votes: &[&Vote], session: u32) -> f64 {
    let own = || votes.iter().filter(|vote| vote.session == session);
    let start = own().map(|vote| vote.shown_at).min();
    let end = own().map(|vote| vote.voted_at).max();
    start
        .zip(end)
        .map_or(0.0, |(start, end)| (end - start) as f64 / 60_000.0)
}

/// The middle value; 0 of none.
pub(super) fn median(values: &mut [f64]) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    match values.len() {
        0 => 0.0,
        num if num % 2 == 1 => values[num / 2],
        num => f64::midpoint(values[num / 2 - 1], values[num / 2]),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::World;
    use super::*;

    #[test]
    fn scores_give_a_panel_and_habits() {
        let world = World::scores();
        let analysis = analyse(&world.record(), Aspect::Quality, Screening::None);
        let panel = analysis.panel.unwrap();
        assert!((panel.plain[0].clone().unwrap().mos - 13.0 / 3.0).abs() < 1e-9);
        assert_eq!(panel.repeat_mae, Ok(1.0));
        assert!(analysis.scenes.is_empty());
        let ada = &analysis.habits[0];
        assert_eq!(
            (ada.num_votes, ada.num_repeats, ada.num_sessions),
            (4, 1, 1)
        );
        assert!((ada.median_reaction_ms - 1_500.0).abs() < 1e-9);
        assert!((ada.longest_session_min - 9_500.0 / 60_000.0).abs() < 1e-12);
    }

    #[test]
    fn pairs_give_strengths_by_prompt() {
        let world = World::pairs();
        let analysis = analyse(&world.record(), Aspect::Quality, Screening::None);
        assert!(analysis.panel.is_err());
        assert_eq!(analysis.num_votes, 4);
        let [first, second] = analysis.scenes.as_slice() else {
            panic!("expected two prompts");
        };
        assert_eq!(
            (first.num_comparisons, first.num_ties, first.num_left),
            (2, 0, 2)
        );
        let even = first.strengths.clone().unwrap();
        assert!(even.strength[0].abs() < 1e-12, "one win each");
        assert_eq!((second.num_ties, second.num_left), (1, 0));
    }

    #[test]
    fn a_median_is_the_middle() {
        let is = |mut values: Vec<f64>, middle: f64| (median(&mut values) - middle).abs() < 1e-12;
        assert!(is(vec![3.0, 1.0, 2.0], 2.0) && is(vec![4.0, 1.0], 2.5) && is(vec![], 0.0));
    }
}
