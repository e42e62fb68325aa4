//! The order in which a rater sees the pictures.

use std::collections::BTreeMap;
use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::dice::Dice;
use super::{Method, Protocol, StudyPicture};
use crate::domain::{Aspect, ContentHash};

/// What is on screen in a trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Shown {
    /// One picture to be rated.
    One(ContentHash),
    /// Two pictures to be compared.
    Pair {
        /// On the left.
        left: ContentHash,
        /// On the right.
        right: ContentHash,
    },
}

impl Shown {
    /// The pictures on screen, left to right.
    pub fn pictures(&self) -> Vec<ContentHash> {
        match self {
            Self::One(hash) => vec![*hash],
            Self::Pair { left, right } => vec![*left, *right],
        }
    }
}

/// One question to one rater. Its session is a matter of time, see [`super::Sitting`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trial {
    /// Position in the rater's order, from 0, counted through all aspects.
    pub index: usize,
    /// What is asked.
    pub aspect: Aspect,
    /// What is on screen.
    pub what: Shown,
    /// Whether it is for practice, so that its vote does not count.
    pub is_training: bool,
    /// Whether it is a hidden repeat.
    pub is_repeat: bool,
}

/// Every trial of a rater, by protocol and name alone: practice first, then all pictures with the hidden repeats, and
/// so for one aspect after the other. No prompt comes twice in a row where that can be avoided. Pair comparison is
/// chosen trial by trial instead ([`super::next_pair`]), and has no order here.
pub fn order(protocol: &Protocol, rater: &str) -> Vec<Trial> {
    if protocol.method == Method::Pairs {
        return Vec::new();
    }
    let mut trials: Vec<Trial> = Vec::new();
    for aspect in aspects_of(protocol, rater) {
        let mut dice = dice(protocol, rater, aspect.name());
        for (hash, part) in block(protocol, &mut dice) {
            trials.push(Trial {
                index: trials.len(),
                aspect,
                what: Shown::One(hash),
                is_training: part == Part::Training,
                is_repeat: part == Part::Repeat,
            });
        }
    }
    trials
}

/// Chance for one rater and purpose.
pub(super) fn dice(protocol: &Protocol, rater: &str, purpose: &str) -> Dice {
    let hash = protocol.hash();
    Dice::of(&[&hash.0.0, rater.trim().as_bytes(), purpose.as_bytes()])
}

/// Aspects in the rater's order, so that none always comes when people are tired.
pub(super) fn aspects_of(protocol: &Protocol, rater: &str) -> Vec<Aspect> {
    let mut aspects = protocol.aspects.clone();
    dice(protocol, rater, "aspects").shuffle(&mut aspects);
    aspects
}

/// The prompt for the sake of order: pictures without one are each their own.
pub(super) fn prompt_key(picture: &StudyPicture) -> String {
    match picture.prompt.trim() {
        "" => format!("\u{0}{}", picture.hash),
        prompt => prompt.to_owned(),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Training,
    First,
    Repeat,
}

/// A picture with its prompt as a number, for speed.
#[derive(Debug, Clone, Copy)]
struct Item {
    hash: ContentHash,
    prompt: usize,
}

fn block(protocol: &Protocol, dice: &mut Dice) -> Vec<(ContentHash, Part)> {
    let mut prompts = BTreeMap::new();
    let items: Vec<Item> = protocol
        .rated_pictures()
        .into_iter()
        .map(|picture| {
            let next = prompts.len();
            let prompt = *prompts.entry(prompt_key(picture)).or_insert(next);
            Item {
                hash: picture.hash,
                prompt,
            }
        })
        .collect();
    let main = without_neighbours(items, prompts.len(), dice);
    let training = training(protocol, &main, dice);
    let repeated = with_repeats(main, protocol, dice);
    training
        .into_iter()
        .map(|hash| (hash, Part::Training))
        .chain(repeated)
        .collect()
}

/// The training pictures, filled up with pictures of the study that come later in the main part: those at its end are
/// shown longest before their turn.
fn training(protocol: &Protocol, main: &[Item], dice: &mut Dice) -> Vec<ContentHash> {
    let mut training = protocol.training.clone();
    let num_lacking = protocol
        .num_discarded_training
        .saturating_sub(training.len());
    let mut rest: Vec<ContentHash> = main
        .iter()
        .skip(main.len() / 2)
        .map(|item| item.hash)
        .collect();
    dice.shuffle(&mut rest);
    training.extend(rest.into_iter().take(num_lacking));
    training
}

/// A random order in which no prompt follows itself, where there is one.
///
/// With `n` pictures left, that stays possible as long as no prompt has more than half of them, rounded up: one that
/// would have more after this step comes now. Else the next picture of the shuffled rest comes that has another prompt.
fn without_neighbours(mut items: Vec<Item>, num_prompts: usize, dice: &mut Dice) -> Vec<Item> {
    let mut num_left = vec![0_usize; num_prompts];
    for item in &items {
        num_left[item.prompt] += 1;
    }
    // How many prompts have that many pictures left, so that the largest number is known without looking at all.
    let mut histogram = vec![0_usize; items.len() + 1];
    for num in &num_left {
        histogram[*num] += 1;
    }
    let mut largest = num_left.iter().copied().max().unwrap_or(0);
    dice.shuffle(&mut items);
    let mut rest: VecDeque<Item> = items.into();
    let mut ordered: Vec<Item> = Vec::with_capacity(rest.len());
    while !rest.is_empty() {
        let last = ordered.last().map(|item| item.prompt);
        let is_pressing = largest > (rest.len() - 1).div_ceil(2);
        let pressing = |item: &Item| !is_pressing || num_left[item.prompt] == largest;
        let is_other = |item: &Item| Some(item.prompt) != last;
        let at = rest
            .iter()
            .position(|item| is_other(item) && pressing(item))
            .or_else(|| rest.iter().position(is_other))
            .unwrap_or(0);
        let Some(item) = rest.remove(at) else {
            break;
        };
        let num = &mut num_left[item.prompt];
        histogram[*num] -= 1;
        *num -= 1;
        histogram[*num] += 1;
        while largest > 0 && histogram[largest] == 0 {
            largest -= 1;
        }
        ordered.push(item);
    }
    ordered
}

/// Slips the hidden repeats in, each far enough behind its first showing and beside no picture of its prompt where
/// that can be avoided. A later one only widens the gap of those before.
fn with_repeats(main: Vec<Item>, protocol: &Protocol, dice: &mut Dice) -> Vec<(ContentHash, Part)> {
    let gap = protocol.repeat_gap.max(1);
    let num_repeats = num_repeats(main.len(), protocol.repeat_share);
    let num_early = (main.len() + 1).saturating_sub(gap);
    let mut early: Vec<Item> = main.iter().take(num_early).copied().collect();
    dice.shuffle(&mut early);
    let mut ordered: Vec<(Item, Part)> = main.into_iter().map(|item| (item, Part::First)).collect();
    for item in early.into_iter().take(num_repeats) {
        let first = ordered
            .iter()
            .position(|(other, _)| other.hash == item.hash)
            .unwrap_or(0);
        let is_free = |at: usize| {
            let before = ordered.get(at.wrapping_sub(1));
            let is_other = |near: Option<&(Item, Part)>| {
                near.is_none_or(|(near, _)| near.prompt != item.prompt)
            };
            is_other(before) && is_other(ordered.get(at))
        };
        let places: Vec<usize> = (first + gap..=ordered.len()).collect();
        let free: Vec<usize> = places.iter().copied().filter(|at| is_free(*at)).collect();
        let places = if free.is_empty() { places } else { free };
        if let Some(at) = places.get(dice.below(places.len())) {
            ordered.insert(*at, (item, Part::Repeat));
        }
    }
    ordered
        .into_iter()
        .map(|(item, part)| (item.hash, part))
        .collect()
}

/// Number of repeats of a share; one at least where any are wanted.
fn num_repeats(num_pictures: usize, share: f64) -> usize {
    if share <= 0.0 {
        return 0;
    }
    ((num_pictures as f64 * share).round() as usize).max(1)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::super::protocol::tests::{hash, protocol};
    use super::*;

    fn prompts(protocol: &Protocol, trials: &[Trial]) -> Vec<String> {
        trials
            .iter()
            .flat_map(|trial| trial.what.pictures())
            .filter_map(|hash| protocol.picture(hash).map(prompt_key))
            .collect()
    }

    fn num_neighbours(protocol: &Protocol, trials: &[Trial]) -> usize {
        let main: Vec<Trial> = trials
            .iter()
            .filter(|trial| !trial.is_training)
            .copied()
            .collect();
        let prompts = prompts(protocol, &main);
        prompts.windows(2).filter(|two| two[0] == two[1]).count()
    }

    #[test]
    fn three_thousand_pictures_are_in_order_at_once() {
        let protocol = protocol(Method::Acr5, 300, 10);
        let start = std::time::Instant::now();
        let trials = order(&protocol, "Ada");
        println!("{} trials in {:?}", trials.len(), start.elapsed());
        assert_eq!(trials.len(), 5 + 3_000 + 150);
        assert_eq!(num_neighbours(&protocol, &trials), 0);
    }

    #[test]
    fn practice_comes_first_and_in_the_order_given() {
        let mut protocol = protocol(Method::Continuous, 10, 5);
        protocol.training = vec![hash(7), hash(3)];
        let trials = order(&protocol, "Ada");
        let practice: Vec<&Trial> = trials
            .iter()
            .take_while(|trial| trial.is_training)
            .collect();
        assert_eq!(practice.len(), 5);
        assert_eq!(practice[0].what, Shown::One(hash(7)));
        assert_eq!(practice[1].what, Shown::One(hash(3)));
        let main = &trials[5..];
        assert!(main.iter().all(|trial| !trial.is_training));
        let is_training = |trial: &Trial| protocol.training.contains(&trial.what.pictures()[0]);
        assert!(!main.iter().any(is_training));
    }

    #[test]
    fn aspects_come_one_after_the_other_and_not_always_in_the_same_order() {
        let mut protocol = protocol(Method::Acr5, 6, 5);
        protocol.aspects = Aspect::ALL.to_vec();
        let mut firsts = BTreeSet::new();
        for rater in ["Ada", "Bo", "Cem", "Dan", "Eva", "Fay", "Gus"] {
            let trials = order(&protocol, rater);
            let changes = trials
                .windows(2)
                .filter(|two| two[0].aspect != two[1].aspect);
            assert_eq!(changes.count(), 2);
            assert!(
                trials
                    .iter()
                    .enumerate()
                    .all(|(at, trial)| trial.index == at)
            );
            firsts.insert(trials[0].aspect);
        }
        assert!(firsts.len() > 1);
    }

    #[test]
    fn one_prompt_for_all_is_no_reason_to_hang() {
        let protocol = protocol(Method::Acr5, 1, 40);
        assert_eq!(order(&protocol, "Ada").len(), 5 + 40 + 2);
    }

    #[test]
    fn pictures_without_a_prompt_are_no_neighbours() {
        let mut protocol = protocol(Method::Acr5, 1, 40);
        for picture in &mut protocol.pictures {
            picture.prompt = String::new();
        }
        let trials = order(&protocol, "Ada");
        assert_eq!(num_neighbours(&protocol, &trials), 0);
    }

    proptest! {
        #[test]
        fn an_order_keeps_its_promises(
            sizes in prop::collection::vec(1_usize..8, 1..12),
            share in 0.0..0.2_f64,
            gap in 1_usize..25,
            seed in any::<u64>(),
        ) {
            let mut protocol = protocol(Method::Acr5, 1, sizes.iter().sum());
            let owners = sizes.iter().enumerate().flat_map(|(prompt, num)| vec![prompt; *num]);
            for (picture, owner) in protocol.pictures.iter_mut().zip(owners) {
                picture.prompt = format!("prompt {owner}");
            }
            protocol.seed = seed;
            protocol.repeat_share = share;
            protocol.repeat_gap = gap;
            let trials = order(&protocol, "Ada");
            prop_assert_eq!(&trials, &order(&protocol, " Ada "), "the same rater, the same order");

            // Every picture once, besides practice and repeats.
            let mut firsts = BTreeMap::new();
            for trial in trials.iter().filter(|trial| !trial.is_training) {
                if trial.is_repeat {
                    let first = firsts.get(&trial.what);
                    prop_assert!(first.is_some_and(|first| trial.index - first >= gap));
                } else {
                    prop_assert_eq!(firsts.insert(trial.what, trial.index), None);
                }
            }
            prop_assert_eq!(firsts.len(), protocol.pictures.len());

            // Without repeats, a prompt follows itself only where it has more than half of all pictures.
            protocol.repeat_share = 0.0;
            let trials = order(&protocol, "Ada");
            let total = protocol.pictures.len();
            let largest = sizes.iter().copied().max().unwrap_or(0);
            let unavoidable = (2 * largest).saturating_sub(total + 1);
            prop_assert_eq!(num_neighbours(&protocol, &trials), unavoidable);
        }
    }
}
