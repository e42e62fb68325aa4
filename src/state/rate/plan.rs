//! What comes next in a sitting, and what may come after that: pure functions of the protocol and the votes so far.

use std::collections::BTreeSet;

use crate::domain::study::Presentation;
use crate::domain::study::next_pair_among;
use crate::domain::study::standing;
use crate::domain::{
    ContentHash, Method, PairChoice, Protocol, Study, Trial, Vote, VoteId, VoteToken, VoteValue,
};

/// Trials whose pictures are prepared ahead.
const AHEAD: usize = 3;

/// Who sits before which study, and what was answered so far.
pub(super) struct Seat<'a> {
    /// The study.
    pub(super) study: &'a Study,
    /// The rater.
    pub(super) rater: &'a str,
    /// The rater's order; empty where the next trial hangs on the answers.
    pub(super) order: &'a [Trial],
    /// Every record of the study: which pair comes next hangs on what all raters answered.
    pub(super) votes: &'a [Vote],
    /// The rater's own.
    pub(super) own: Vec<&'a Vote>,
    /// Whether a picture can be shown.
    pub(super) is_there: &'a dyn Fn(ContentHash) -> bool,
}

/// The next trial, and the pictures that were passed over on the way to it.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Upcoming {
    /// The trial; `None` when nothing is left that can be shown.
    pub(super) trial: Option<Trial>,
    /// Pictures that cannot be shown.
    pub(super) passed_over: Vec<ContentHash>,
}

impl Seat<'_> {
    /// The first trial without a standing answer whose pictures can be shown.
    pub(super) fn next(&self) -> Upcoming {
        let protocol = &self.study.protocol;
        if protocol.method == Method::Pairs {
            let missing = protocol.rated_pictures().into_iter();
            return Upcoming {
                trial: next_pair_among(protocol, self.rater, self.votes, self.is_there),
                passed_over: missing
                    .map(|picture| picture.hash)
                    .filter(|&hash| !(self.is_there)(hash))
                    .collect(),
            };
        }
        let mut next = Upcoming::default();
        for trial in self.open_trials() {
            let missing = self.missing(&trial);
            if missing.is_empty() {
                next.trial = Some(trial);
                break;
            }
            next.passed_over.extend(missing);
        }
        next
    }

    /// Pictures that the next answers lead to, the soonest first; `given` is the trial on screen.
    pub(super) fn ahead(&self, given: Option<Trial>) -> Vec<ContentHash> {
        let trials = match self.study.protocol.method {
            Method::Pairs => self.pairs_ahead(given),
            Method::Acr5 | Method::Continuous => self
                .open_trials()
                .filter(|trial| Some(trial.index) != given.map(|given| given.index))
                .filter(|trial| self.missing(trial).is_empty())
                .take(AHEAD)
                .collect(),
        };
        let mut pictures = Vec::new();
        for hash in trials.iter().flat_map(|trial| trial.what.pictures()) {
            if !pictures.contains(&hash) {
                pictures.push(hash);
            }
        }
        pictures
    }

    fn open_trials(&self) -> impl Iterator<Item = Trial> {
        let own = standing(self.own.iter().copied());
        let done: BTreeSet<usize> = own.iter().map(|vote| vote.trial).collect();
        let trials = self.order.iter().copied();
        trials.filter(move |trial| !done.contains(&trial.index))
    }

    fn missing(&self, trial: &Trial) -> Vec<ContentHash> {
        let mut pictures = trial.what.pictures();
        pictures.retain(|&hash| !(self.is_there)(hash));
        pictures
    }

    /// The pairs that follow each possible answer to the one on screen.
    fn pairs_ahead(&self, given: Option<Trial>) -> Vec<Trial> {
        let protocol = &self.study.protocol;
        let Some(given) = given else {
            return self.next().trial.into_iter().collect();
        };
        [PairChoice::Left, PairChoice::Right, PairChoice::Tie]
            .into_iter()
            .filter_map(|choice| {
                let vote = record(self.study, self.rater, given, VoteValue::Pair(choice));
                let votes = self.votes.iter().chain(std::iter::once(&vote));
                next_pair_among(protocol, self.rater, votes, self.is_there)
            })
            .collect()
    }
}

/// Screen pixels that the tallest picture of a study needs in the size that the study asks for. `height` is a picture's
/// own, where it is there.
pub(super) fn tallest_px(protocol: &Protocol, height: impl Fn(ContentHash) -> Option<u32>) -> u32 {
    match protocol.presentation {
        Presentation::Fixed { height_px } => height_px,
        Presentation::OneToOne => {
            let pictures = protocol.pictures.iter();
            let heights = pictures.filter_map(|picture| height(picture.hash));
            heights.max().unwrap_or(0)
        }
    }
}

/// The record of an answer, without the circumstances under which it was given.
pub(super) fn record(study: &Study, rater: &str, trial: Trial, value: VoteValue) -> Vote {
    Vote {
        id: VoteId(0),
        token: VoteToken::default(),
        study: study.id,
        protocol: study.hash,
        rater: rater.to_owned(),
        session: 1,
        trial: trial.index,
        shown: trial.what,
        aspect: trial.aspect,
        method: study.protocol.method,
        value,
        is_training: trial.is_training,
        is_repeat: trial.is_repeat,
        shown_at: 0,
        voted_at: 0,
        reaction_ms: 0,
        zoom_max: 1.0,
        screen_px: [0, 0],
        dpi_scale: 1.0,
        app_version: env!("CARGO_PKG_VERSION").to_owned(),
        undo_of: None,
    }
}

/// The prompt that needs most room, of those that the study shows.
pub(super) fn longest_prompt(protocol: &Protocol) -> String {
    let is_shown = |aspect| !*protocol.hide_prompt.get(aspect);
    if !protocol.aspects.iter().copied().any(is_shown) {
        return String::new();
    }
    // A letter of the Latin alphabet is about half as wide as a Chinese character.
    let width = |prompt: &str| -> usize {
        let widths = prompt.chars().map(|c| if c.is_ascii() { 1 } else { 2 });
        widths.sum()
    };
    let longest = protocol.pictures.iter();
    longest
        .max_by_key(|picture| width(&picture.prompt))
        .map(|picture| picture.prompt.clone())
        .unwrap_or_default()
}
