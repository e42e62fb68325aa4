//! How raters compared: which side they took, and whether they answered hidden repeats as before.

use std::collections::BTreeMap;

use crate::domain::Aspect;
use crate::domain::ContentHash;
use crate::domain::PairChoice;
use crate::domain::Shown;
use crate::domain::Vote;
use crate::domain::VoteValue;
use crate::domain::study::opinions;
use crate::domain::study::standing;

/// How one rater compared pictures.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sides {
    /// The rater's name.
    pub rater: String,
    /// Comparisons that count.
    pub num_comparisons: usize,
    /// Those that the left picture won.
    pub num_left: usize,
    /// Those without a difference.
    pub num_ties: usize,
    /// Hidden repeats that have a first answer.
    pub num_repeats: usize,
    /// Those among them that were answered otherwise.
    pub num_otherwise: usize,
}

/// Every rater who compared, by name.
pub(super) fn sides(votes: &[Vote], aspect: Aspect) -> Vec<Sides> {
    let mut by_rater: BTreeMap<&str, Sides> = BTreeMap::new();
    for vote in opinions(votes, aspect) {
        let VoteValue::Pair(choice) = vote.value else {
            continue;
        };
        let own = by_rater.entry(&vote.rater).or_default();
        own.num_comparisons += 1;
        own.num_left += usize::from(choice == PairChoice::Left);
        own.num_ties += usize::from(choice == PairChoice::Tie);
    }
    for (rater, is_otherwise) in repeats(votes, aspect) {
        if let Some(own) = by_rater.get_mut(rater) {
            own.num_repeats += 1;
            own.num_otherwise += usize::from(is_otherwise);
        }
    }
    let named = by_rater.into_iter().map(|(rater, own)| Sides {
        rater: rater.to_owned(),
        ..own
    });
    named.collect()
}

/// The rater of each hidden repeat, and whether it was answered otherwise than before. Repeats come with the sides
/// changed.
fn repeats(votes: &[Vote], aspect: Aspect) -> Vec<(&str, bool)> {
    let mut standing = standing(votes);
    standing.retain(|vote| vote.aspect == aspect && !vote.is_training);
    let mut first: BTreeMap<(&str, ContentHash, ContentHash), f64> = BTreeMap::new();
    for vote in standing.iter().filter(|vote| !vote.is_repeat) {
        if let Some((left, right, won)) = won(vote) {
            first.insert((&vote.rater, left, right), won);
        }
    }
    let again = standing.iter().filter(|vote| vote.is_repeat);
    again
        .filter_map(|vote| {
            let (left, right, won) = won(vote)?;
            let turned = first.get(&(vote.rater.as_str(), right, left));
            let same = first.get(&(vote.rater.as_str(), left, right));
            let before = turned.map(|won| 1.0 - won).or(same.copied())?;
            Some((vote.rater.as_str(), (before - won).abs() > 0.25))
        })
        .collect()
}

fn won(vote: &Vote) -> Option<(ContentHash, ContentHash, f64)> {
    let (Shown::Pair { left, right }, VoteValue::Pair(choice)) = (vote.shown, vote.value) else {
        return None;
    };
    Some((left, right, choice.left_won()))
}

#[cfg(test)]
mod tests {
    use super::super::testing::World;
    use super::*;

    #[test]
    fn sides_and_ties_are_counted_by_rater() {
        let world = World::pairs();
        let sides = sides(&world.votes, Aspect::Quality);
        let total = |num: fn(&Sides) -> usize| sides.iter().map(num).sum::<usize>();
        assert_eq!(total(|own| own.num_comparisons), 4);
        assert_eq!(
            (total(|own| own.num_left), total(|own| own.num_ties)),
            (2, 1)
        );
    }

    #[test]
    fn a_repeat_with_the_sides_changed_is_the_same_answer_turned() {
        let mut votes = World::pairs().votes;
        let first = votes[0].clone();
        let Shown::Pair { left, right } = first.shown else {
            panic!("expected a pair");
        };
        let again = |choice, trial| Vote {
            is_repeat: true,
            trial,
            shown: Shown::Pair {
                left: right,
                right: left,
            },
            value: VoteValue::Pair(choice),
            ..first.clone()
        };
        votes.push(again(PairChoice::Right, 90).sealed());
        votes.push(again(PairChoice::Left, 91).sealed());
        let sides = sides(&votes, Aspect::Quality);
        let own = sides.iter().find(|own| own.rater == first.rater).unwrap();
        assert_eq!((own.num_repeats, own.num_otherwise), (2, 1));
    }
}
