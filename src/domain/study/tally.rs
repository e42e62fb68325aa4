//! Votes as tables that statistics can be made of.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use super::{PairChoice, Shown, Study, Vote, VoteValue, opinions, standing};
use crate::domain::{Aspect, ContentHash};

/// Opinions on one aspect: rows are pictures, columns are raters.
#[derive(Debug, Clone, PartialEq)]
pub struct Tally {
    /// Pictures in the protocol's order, then any others that were rated; training pictures are not among them.
    pub pictures: Vec<ContentHash>,
    /// Raters by name.
    pub raters: Vec<String>,
    /// A row a picture, a score a rater; NaN where the rater did not rate the picture.
    pub scores: Vec<Vec<f64>>,
    /// Hidden repeats that were answered.
    pub repeats: Vec<Retest>,
}

/// A picture that a rater scored twice, as positions in a [`Tally`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Retest {
    /// The picture's row.
    pub picture: usize,
    /// The rater's column.
    pub rater: usize,
    /// The score at first sight.
    pub first: f64,
    /// The score at the repeat.
    pub again: f64,
}

/// Comparisons within one prompt under one aspect.
#[derive(Debug, Clone, PartialEq)]
pub struct SceneTally {
    /// The prompt; empty where the protocol knows none.
    pub prompt: String,
    /// Its pictures that were compared, in the protocol's order.
    pub pictures: Vec<ContentHash>,
    /// Every comparison that counts.
    pub comparisons: Vec<Comparison>,
}

/// One comparison, as positions in a [`SceneTally`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Comparison {
    /// The picture on the left.
    pub left: usize,
    /// The picture on the right.
    pub right: usize,
    /// What the left one won: 1, 0, or 0.5 for a tie.
    pub won: f64,
}

impl PairChoice {
    /// What the picture on the left won: 1, 0, or 0.5 for a tie.
    pub const fn left_won(self) -> f64 {
        match self {
            Self::Left => 1.0,
            Self::Right => 0.0,
            Self::Tie => 0.5,
        }
    }
}

/// Scores of single pictures as a table. Rows and columns depend on the protocol and the votes alone.
pub fn tally(study: &Study, votes: &[Vote], aspect: Aspect) -> Tally {
    let own = || votes.iter().filter(|vote| vote.study == study.id);
    let opinions = opinions(own(), aspect);
    let pictures = pictures_of(study, &opinions);
    let raters: BTreeSet<&str> = opinions.iter().map(|vote| vote.rater.as_str()).collect();
    let raters: Vec<String> = raters.into_iter().map(str::to_owned).collect();
    let rows = positions(&pictures);
    let columns = positions(&raters);
    let place = |vote: &Vote| match vote.shown {
        Shown::One(hash) => Some((*rows.get(&hash)?, *columns.get(&vote.rater)?)),
        Shown::Pair { .. } => None,
    };
    let mut scores = vec![vec![f64::NAN; raters.len()]; pictures.len()];
    for vote in opinions {
        if let (Some((row, column)), Some(score)) = (place(vote), vote.score()) {
            scores[row][column] = score;
        }
    }
    let again = standing(own())
        .into_iter()
        .filter(|vote| vote.is_repeat && !vote.is_training && vote.aspect == aspect);
    let repeats = again.filter_map(|vote| {
        let (picture, rater) = place(vote)?;
        let first = scores[picture][rater];
        Some(Retest {
            picture,
            rater,
            first,
            again: vote.score()?,
        })
    });
    Tally {
        repeats: repeats.filter(|repeat| !repeat.first.is_nan()).collect(),
        pictures,
        raters,
        scores,
    }
}

/// Comparisons of pairs, prompt by prompt in the protocol's order.
pub fn scene_tallies(study: &Study, votes: &[Vote], aspect: Aspect) -> Vec<SceneTally> {
    let own = votes.iter().filter(|vote| vote.study == study.id);
    let opinions = opinions(own, aspect);
    let compared: BTreeSet<ContentHash> = opinions
        .iter()
        .flat_map(|vote| vote.shown.pictures())
        .collect();
    let mut scenes: Vec<SceneTally> = Vec::new();
    let mut by_prompt: BTreeMap<&str, usize> = BTreeMap::new();
    let mut places = BTreeMap::new();
    let pictures = pictures_of(study, &opinions);
    for hash in pictures.into_iter().filter(|hash| compared.contains(hash)) {
        let known = study.protocol.picture(hash);
        let prompt = known.map_or("", |picture| picture.prompt.trim());
        let scene = *by_prompt.entry(prompt).or_insert_with(|| {
            scenes.push(SceneTally {
                prompt: prompt.to_owned(),
                pictures: Vec::new(),
                comparisons: Vec::new(),
            });
            scenes.len() - 1
        });
        places.insert(hash, (scene, scenes[scene].pictures.len()));
        scenes[scene].pictures.push(hash);
    }
    for vote in opinions {
        let (Shown::Pair { left, right }, VoteValue::Pair(choice)) = (vote.shown, vote.value)
        else {
            continue;
        };
        if let (Some((scene, left)), Some((other, right))) = (places.get(&left), places.get(&right))
            && scene == other
        {
            scenes[*scene].comparisons.push(Comparison {
                left: *left,
                right: *right,
                won: choice.left_won(),
            });
        }
    }
    scenes.retain(|scene| !scene.comparisons.is_empty());
    scenes
}

fn pictures_of(study: &Study, opinions: &[&Vote]) -> Vec<ContentHash> {
    let rated = study.protocol.rated_pictures();
    let mut pictures: Vec<ContentHash> = rated.iter().map(|picture| picture.hash).collect();
    let mut known: BTreeSet<ContentHash> = pictures.iter().copied().collect();
    let others: BTreeSet<ContentHash> = opinions
        .iter()
        .flat_map(|vote| vote.shown.pictures())
        .filter(|hash| known.insert(*hash))
        .collect();
    pictures.extend(others);
    pictures
}

fn positions<T: Clone + Ord>(items: &[T]) -> BTreeMap<T, usize> {
    items.iter().cloned().zip(0..).collect()
}

#[cfg(test)]
mod tests {
    use super::super::protocol::tests::{hash, protocol};
    use super::super::vote::tests::vote;
    use super::super::{Method, StudyId};
    use super::*;

    fn study(method: Method) -> Study {
        let protocol = protocol(method, 2, 3);
        Study {
            id: StudyId(1),
            hash: protocol.hash(),
            protocol,
            created_at: 0,
            is_frozen: true,
            is_quick: false,
        }
    }

    #[test]
    fn rows_are_the_pictures_of_the_protocol_and_columns_the_raters() {
        let votes = [vote("Bo", 4, 2.0), vote("Ada", 0, 5.0), vote("Ada", 4, 3.0)];
        let tally = tally(&study(Method::Acr5), &votes, Aspect::Quality);
        assert_eq!(tally.pictures, (0..6).map(hash).collect::<Vec<_>>());
        assert_eq!(tally.raters, ["Ada", "Bo"]);
        assert_eq!(tally.scores[4], [3.0, 2.0]);
        assert!(tally.scores[0][1].is_nan() && tally.scores[1][0].is_nan());
    }

    #[test]
    fn repeats_are_held_against_the_first_score_and_kept_out_of_the_table() {
        let repeat = |rater, picture, score| Vote {
            is_repeat: true,
            trial: 90,
            ..vote(rater, picture, score)
        };
        let votes = [
            vote("Ada", 2, 4.0),
            repeat("Ada", 2, 3.0),
            repeat("Ada", 3, 1.0),
        ];
        let tally = tally(&study(Method::Acr5), &votes, Aspect::Quality);
        let expected = Retest {
            picture: 2,
            rater: 0,
            first: 4.0,
            again: 3.0,
        };
        assert_eq!(tally.repeats, [expected]);
        assert_eq!(tally.scores[2], [4.0]);
    }

    #[test]
    fn a_picture_outside_the_protocol_and_a_training_picture() {
        let mut study = study(Method::Acr5);
        study.protocol.training = vec![hash(5)];
        let practice = Vote {
            is_training: true,
            ..vote("Ada", 5, 1.0)
        };
        let tally = tally(&study, &[practice, vote("Ada", 77, 2.0)], Aspect::Quality);
        assert!(!tally.pictures.contains(&hash(5)));
        assert_eq!(tally.pictures.last(), Some(&hash(77)));
        assert_eq!(tally.scores[5], [2.0]);
    }

    #[test]
    fn comparisons_stand_by_prompt() {
        let compared = |trial: usize, left: usize, right: usize, choice| Vote {
            trial,
            shown: Shown::Pair {
                left: hash(left),
                right: hash(right),
            },
            method: Method::Pairs,
            value: VoteValue::Pair(choice),
            ..vote("Ada", trial, 1.0)
        };
        let votes = [
            compared(0, 0, 2, PairChoice::Left),
            compared(1, 1, 3, PairChoice::Tie),
            compared(2, 2, 0, PairChoice::Right),
            compared(3, 0, 1, PairChoice::Left),
        ];
        let scenes = scene_tallies(&study(Method::Pairs), &votes, Aspect::Quality);
        assert_eq!(scenes.len(), 2);
        assert_eq!(scenes[0].prompt, "prompt 0");
        assert_eq!(
            scenes[0].pictures,
            [hash(0), hash(2)],
            "4 was never compared"
        );
        let won: Vec<f64> = scenes[0].comparisons.iter().map(|c| c.won).collect();
        assert_eq!(won, [1.0, 0.0], "the pair across prompts is none");
        assert!((scenes[1].comparisons[0].won - 0.5).abs() < 1e-12);
    }
}
