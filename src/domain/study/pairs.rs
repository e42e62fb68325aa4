//! Which two pictures a rater compares next.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use super::order::{aspects_of, dice, prompt_key};
use super::{PairChoice, Protocol, Shown, Trial, Vote, VoteValue, standing};
use crate::domain::{Aspect, ContentHash};

/// Number of trials of a rater in a pair comparison, as long as there are pairs.
pub fn num_pair_trials(protocol: &Protocol) -> usize {
    protocol.aspects.len() * trials_of_block(protocol)
}

/// The next comparison of a rater, by protocol, name and the votes of all so far: of pairs that the rater has not seen
/// those of the least compared pictures, and of these the one whose outcome is least certain. Sides are balanced.
/// `None` when the rater is through.
pub fn next_pair<'a>(
    protocol: &Protocol,
    rater: &str,
    votes: impl IntoIterator<Item = &'a Vote>,
) -> Option<Trial> {
    next_pair_among(protocol, rater, votes, &|_| true)
}

/// [`next_pair`] among the pictures that can be shown: a file that is gone keeps nobody from comparing the others.
pub fn next_pair_among<'a>(
    protocol: &Protocol,
    rater: &str,
    votes: impl IntoIterator<Item = &'a Vote>,
    is_there: &dyn Fn(ContentHash) -> bool,
) -> Option<Trial> {
    let rater = rater.trim();
    let standing = standing(votes);
    let own: Vec<&Vote> = standing
        .iter()
        .copied()
        .filter(|vote| vote.rater.trim() == rater)
        .collect();
    let index = own.len();
    let per_block = trials_of_block(protocol);
    aspects_of(protocol, rater).into_iter().find_map(|aspect| {
        let own: Vec<&Vote> = own
            .iter()
            .copied()
            .filter(|vote| vote.aspect == aspect)
            .collect();
        if own.len() >= per_block {
            return None;
        }
        let is_training = own.len() < protocol.num_discarded_training;
        let repeat = repeat(protocol, rater, &own, is_training, is_there);
        let is_repeat = repeat.is_some();
        let what = repeat.or_else(|| {
            let known = Known::of(&standing, &own, aspect);
            most_informative(protocol, rater, &known, &own, is_there)
        })?;
        Some(Trial {
            index,
            aspect,
            what,
            is_training,
            is_repeat,
        })
    })
}

const fn trials_of_block(protocol: &Protocol) -> usize {
    protocol.num_discarded_training + protocol.pairs_per_rater
}

/// Where the share of repeats has fallen behind: a pair that the rater saw long enough ago and only once, with the
/// sides changed.
fn repeat(
    protocol: &Protocol,
    rater: &str,
    own: &[&Vote],
    is_training: bool,
    is_there: &dyn Fn(ContentHash) -> bool,
) -> Option<Shown> {
    let num_counted = own.len().checked_sub(protocol.num_discarded_training)?;
    let num_due = ((num_counted + 1) as f64 * protocol.repeat_share).floor() as usize;
    let num_repeated = own.iter().filter(|vote| vote.is_repeat).count();
    if is_training || num_repeated >= num_due {
        return None;
    }
    let seen_twice: BTreeSet<_> = own
        .iter()
        .filter(|vote| vote.is_repeat)
        .filter_map(|vote| unordered(vote.shown))
        .collect();
    let last = last_prompt(protocol, own);
    let num_old = own.len().saturating_sub(protocol.repeat_gap.max(1) - 1);
    let old: Vec<Shown> = own
        .iter()
        .take(num_old)
        .filter(|vote| !vote.is_training && !vote.is_repeat)
        .map(|vote| vote.shown)
        .filter(|shown| unordered(*shown).is_some_and(|pair| !seen_twice.contains(&pair)))
        .filter(|shown| prompt_of(protocol, *shown) != last)
        .filter(|shown| shown.pictures().into_iter().all(is_there))
        .collect();
    let mut dice = dice(protocol, rater, &format!("repeat {}", own.len()));
    let Shown::Pair { left, right } = *old.get(dice.below(old.len()))? else {
        return None;
    };
    Some(Shown::Pair {
        left: right,
        right: left,
    })
}

/// The prompt that was just on screen.
fn last_prompt(protocol: &Protocol, own: &[&Vote]) -> Option<String> {
    prompt_of(protocol, own.last()?.shown)
}

fn prompt_of(protocol: &Protocol, shown: Shown) -> Option<String> {
    let hash = *shown.pictures().first()?;
    protocol.picture(hash).map(prompt_key)
}

/// What the votes say of pictures and pairs under one aspect.
struct Known {
    /// Comparisons, wins (ties are half of one) and showings on the left by picture.
    pictures: BTreeMap<ContentHash, Tally>,
    /// Comparisons by pair.
    pairs: BTreeMap<(ContentHash, ContentHash), usize>,
    /// Pairs that the rater has seen.
    seen: BTreeSet<(ContentHash, ContentHash)>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    num: usize,
    wins: f64,
    lefts: usize,
}

impl Tally {
    /// Share of comparisons won, drawn to a half as long as there are few (Laplace's rule of succession).
    fn strength(self) -> f64 {
        (self.wins + 1.0) / (self.num as f64 + 2.0)
    }
}

impl Known {
    fn of(standing: &[&Vote], own: &[&Vote], aspect: Aspect) -> Self {
        let mut known = Self {
            pictures: BTreeMap::new(),
            pairs: BTreeMap::new(),
            seen: own
                .iter()
                .filter_map(|vote| unordered(vote.shown))
                .collect(),
        };
        for vote in standing.iter().filter(|vote| vote.aspect == aspect) {
            let (Shown::Pair { left, right }, VoteValue::Pair(choice)) = (vote.shown, vote.value)
            else {
                continue;
            };
            let won = match choice {
                PairChoice::Left => 1.0,
                PairChoice::Tie => 0.5,
                PairChoice::Right => 0.0,
            };
            if let Some(pair) = unordered(vote.shown) {
                *known.pairs.entry(pair).or_default() += 1;
            }
            for (hash, wins, lefts) in [(left, won, 1), (right, 1.0 - won, 0)] {
                let tally = known.pictures.entry(hash).or_default();
                tally.num += 1;
                tally.wins += wins;
                tally.lefts += lefts;
            }
        }
        known
    }

    fn picture(&self, hash: ContentHash) -> Tally {
        self.pictures.get(&hash).copied().unwrap_or_default()
    }
}

fn most_informative(
    protocol: &Protocol,
    rater: &str,
    known: &Known,
    own: &[&Vote],
    is_there: &dyn Fn(ContentHash) -> bool,
) -> Option<Shown> {
    let mut groups: BTreeMap<String, Vec<ContentHash>> = BTreeMap::new();
    let there = protocol.rated_pictures().into_iter();
    for picture in there.filter(|picture| is_there(picture.hash)) {
        groups
            .entry(prompt_key(picture))
            .or_default()
            .push(picture.hash);
    }
    let last = last_prompt(protocol, own);
    let mut dice = dice(protocol, rater, &format!("pair {}", own.len()));
    let mut best: Option<(Rank, Pair)> = None;
    for (prompt, group) in &groups {
        for pair in unseen(group, known) {
            let rank = rank(pair, known, last.as_ref() == Some(prompt), dice.next());
            if best.as_ref().is_none_or(|(held, _)| rank < *held) {
                best = Some((rank, pair));
            }
        }
    }
    let (_, (one, other)) = best?;
    let (lefts, other_lefts) = (known.picture(one).lefts, known.picture(other).lefts);
    let is_one_left = match lefts.cmp(&other_lefts) {
        std::cmp::Ordering::Less => true,
        std::cmp::Ordering::Greater => false,
        std::cmp::Ordering::Equal => dice.next() & 1 == 0,
    };
    let (left, right) = if is_one_left {
        (one, other)
    } else {
        (other, one)
    };
    Some(Shown::Pair { left, right })
}

type Pair = (ContentHash, ContentHash);

/// Lower is more informative: another prompt than just now, fewer comparisons of the two pictures, then of the pair,
/// then a closer race (in thousandths), then chance.
type Rank = (bool, usize, usize, u32, u64);

fn rank(pair: Pair, known: &Known, is_last_prompt: bool, chance: u64) -> Rank {
    let (one, other) = (known.picture(pair.0), known.picture(pair.1));
    let race = (one.strength() - other.strength()).abs();
    (
        is_last_prompt,
        one.num + other.num,
        known.pairs.get(&pair).copied().unwrap_or(0),
        (race * 1_000.0).round() as u32,
        chance,
    )
}

fn unseen<'a>(group: &'a [ContentHash], known: &'a Known) -> impl Iterator<Item = Pair> + 'a {
    group.iter().enumerate().flat_map(move |(idx, one)| {
        group[idx + 1..]
            .iter()
            .map(|other| sorted(*one, *other))
            .filter(|pair| !known.seen.contains(pair))
    })
}

/// The two pictures whatever their sides.
fn unordered(shown: Shown) -> Option<Pair> {
    match shown {
        Shown::One(_) => None,
        Shown::Pair { left, right } => Some(sorted(left, right)),
    }
}

fn sorted(one: ContentHash, other: ContentHash) -> Pair {
    if one <= other {
        (one, other)
    } else {
        (other, one)
    }
}

#[cfg(test)]
mod tests {
    use super::super::protocol::tests::{hash, protocol};
    use super::super::vote::tests::vote;
    use super::super::{Method, VoteId};
    use super::*;

    /// Lets a rater vote until there is nothing more to compare.
    fn sit(protocol: &Protocol, rater: &str, votes: &mut Vec<Vote>) -> Vec<Trial> {
        let mut trials = Vec::new();
        while let Some(trial) = next_pair(protocol, rater, &*votes) {
            let number = votes.len();
            votes.push(answer(rater, trial, number));
            trials.push(trial);
        }
        trials
    }

    fn answer(rater: &str, trial: Trial, number: usize) -> Vote {
        let choices = [PairChoice::Left, PairChoice::Right, PairChoice::Tie];
        Vote {
            id: VoteId(number as i64 + 1),
            trial: trial.index,
            shown: trial.what,
            aspect: trial.aspect,
            method: Method::Pairs,
            value: VoteValue::Pair(choices[number % 3]),
            is_training: trial.is_training,
            is_repeat: trial.is_repeat,
            ..vote(rater, number, 1.0)
        }
        .sealed()
    }

    fn small() -> Protocol {
        Protocol {
            pairs_per_rater: 40,
            repeat_share: 0.1,
            repeat_gap: 10,
            ..protocol(Method::Pairs, 6, 5)
        }
    }

    #[test]
    fn a_rater_compares_as_many_pairs_as_the_protocol_says() {
        let protocol = small();
        let trials = sit(&protocol, "Ada", &mut Vec::new());
        assert_eq!(trials.len(), num_pair_trials(&protocol));
        assert_eq!(trials.iter().filter(|trial| trial.is_training).count(), 5);
        assert!(
            trials
                .iter()
                .enumerate()
                .all(|(at, trial)| trial.index == at)
        );
        let mut seen = BTreeMap::new();
        for trial in &trials {
            let pair = unordered(trial.what).unwrap();
            let first = seen.insert(pair, *trial);
            if trial.is_repeat {
                let first = first.unwrap();
                assert!(trial.index - first.index >= 10 && first.what != trial.what);
            } else {
                assert!(first.is_none(), "a pair came twice");
            }
        }
        assert_eq!(trials.iter().filter(|trial| trial.is_repeat).count(), 4);
    }

    #[test]
    fn a_picture_that_is_gone_is_never_shown_and_the_others_are() {
        let protocol = small();
        let gone = hash(3);
        let mut votes: Vec<Vote> = Vec::new();
        while let Some(trial) = next_pair_among(&protocol, "Ada", &votes, &|hash| hash != gone) {
            assert!(!trial.what.pictures().contains(&gone));
            votes.push(answer("Ada", trial, votes.len()));
        }
        assert_eq!(votes.len(), num_pair_trials(&protocol));
    }

    #[test]
    fn both_pictures_have_the_same_prompt_and_no_prompt_comes_twice_in_a_row() {
        let protocol = small();
        let trials = sit(&protocol, "Ada", &mut Vec::new());
        let prompt = |hash| prompt_key(protocol.picture(hash).unwrap());
        let mut last = None;
        for trial in &trials {
            let Shown::Pair { left, right } = trial.what else {
                panic!("a pair comparison shows pairs");
            };
            assert_eq!(prompt(left), prompt(right));
            assert_ne!(last, Some(prompt(left)));
            last = Some(prompt(left));
        }
    }

    #[test]
    fn comparisons_and_sides_are_spread_evenly() {
        let protocol = small();
        let mut votes = Vec::new();
        for rater in ["Ada", "Bo", "Cem"] {
            sit(&protocol, rater, &mut votes);
        }
        let standing = standing(&votes);
        let known = Known::of(&standing, &[], Aspect::Quality);
        let nums: Vec<usize> = known.pictures.values().map(|tally| tally.num).collect();
        let (least, most) = (nums.iter().min().unwrap(), nums.iter().max().unwrap());
        assert!(nums.len() == 30 && most - least <= 4, "{nums:?}");
        for tally in known.pictures.values() {
            let right = tally.num - tally.lefts;
            assert!(tally.lefts.abs_diff(right) <= 3, "{tally:?}");
        }
    }

    #[test]
    fn a_comparison_taken_back_comes_again() {
        let protocol = small();
        let mut votes = Vec::new();
        for number in 0..7 {
            let trial = next_pair(&protocol, "Ada", &votes).unwrap();
            votes.push(answer("Ada", trial, number));
        }
        let last = votes[6].clone();
        votes.push(last.taken_back(99_000));
        let again = next_pair(&protocol, "Ada", &votes).unwrap();
        assert_eq!((again.what, again.index), (last.shown, last.trial));
    }

    #[test]
    fn a_rater_who_has_seen_every_pair_is_through() {
        let protocol = Protocol {
            repeat_share: 0.0,
            ..protocol(Method::Pairs, 2, 3)
        };
        assert_eq!(sit(&protocol, "Ada", &mut Vec::new()).len(), 6);
    }

    #[test]
    fn thirteen_thousand_pairs_are_chosen_from_at_once() {
        let protocol = protocol(Method::Pairs, 300, 10);
        let start = std::time::Instant::now();
        assert!(next_pair(&protocol, "Ada", &[]).is_some());
        println!("next of 13,500 pairs in {:?}", start.elapsed());
    }
}
