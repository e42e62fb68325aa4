//! One record for every answer, and which of them count.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::Digest as _;
use sha2::Sha256;

use super::{Method, Protocol, ProtocolHash, Shown, StudyId};
use crate::domain::{Aspect, ContentHash};

/// A vote's number in the project file; 0 before it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct VoteId(pub i64);

/// What makes a vote this vote on every machine: the same token is the same vote, and is stored once.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct VoteToken(pub u128);

impl VoteToken {
    /// Reads 32 hexadecimal digits; `None` if they are not that.
    pub fn from_hex(hex: &str) -> Option<Self> {
        let is_hex = hex.len() == 32 && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_hex
            .then(|| u128::from_str_radix(hex, 16).ok())
            .flatten()
            .map(Self)
    }
}

impl fmt::Display for VoteToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for VoteToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VoteToken({self})")
    }
}

impl Serialize for VoteToken {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for VoteToken {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let hex = String::deserialize(deserializer)?;
        Self::from_hex(&hex)
            .ok_or_else(|| serde::de::Error::custom("expected 32 hexadecimal digits"))
    }
}

/// Which of two pictures was preferred.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PairChoice {
    /// The one on the left.
    Left,
    /// The one on the right.
    Right,
    /// Neither.
    Tie,
}

impl PairChoice {
    /// Every choice.
    pub const ALL: [Self; 3] = [Self::Left, Self::Right, Self::Tie];

    /// The word in files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::Right => "right",
            Self::Tie => "tie",
        }
    }
}

impl std::str::FromStr for PairChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|choice| choice.name() == text)
            .ok_or_else(|| format!("expected left, right or tie, got {text:?}"))
    }
}

/// What was answered.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VoteValue {
    /// A number on the method's scale.
    Score(f64),
    /// A preference.
    Pair(PairChoice),
}

/// One answer with the circumstances under which it was given. Records are added, never changed nor erased.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Vote {
    /// Its number; 0 before it is stored.
    pub id: VoteId,
    /// What makes it this vote; made by [`Vote::sealed`].
    pub token: VoteToken,
    /// The study.
    pub study: StudyId,
    /// Hash of the protocol under which it was given.
    pub protocol: ProtocolHash,
    /// Who voted.
    pub rater: String,
    /// The rater's session, counted from 1.
    pub session: u32,
    /// Position of the trial in the rater's order.
    pub trial: usize,
    /// The picture or pictures.
    pub shown: Shown,
    /// What was asked.
    pub aspect: Aspect,
    /// How it was asked; names the scale of the value.
    pub method: Method,
    /// What was answered.
    pub value: VoteValue,
    /// Whether the trial was for practice.
    pub is_training: bool,
    /// Whether the trial was a hidden repeat.
    pub is_repeat: bool,
    /// When the picture was on screen, in milliseconds since 1970-01-01 UTC.
    pub shown_at: i64,
    /// When the answer was given, likewise.
    pub voted_at: i64,
    /// Milliseconds from picture to answer, by a clock that nobody sets.
    pub reaction_ms: u32,
    /// Largest zoom that was used, in screen pixels a picture pixel.
    pub zoom_max: f64,
    /// Screen size in pixels, width and height.
    pub screen_px: [u32; 2],
    /// Screen pixels a point.
    pub dpi_scale: f64,
    /// Version of the program.
    pub app_version: String,
    /// The vote that this record takes back; the rest then repeats that vote.
    pub undo_of: Option<VoteToken>,
}

impl Vote {
    /// The vote with its token: 128 bits of a SHA-256 over all that was recorded but the numbers of one project file.
    /// The same record handed in twice is one vote, and no two raters share a millisecond of the same trial.
    pub fn sealed(self) -> Self {
        let record = Self {
            id: VoteId(0),
            study: StudyId(0),
            token: VoteToken(0),
            ..self.clone()
        };
        let mut hasher = Sha256::new();
        // Cannot fail, as in `Protocol::hash`.
        serde_json::to_writer(&mut hasher, &record).ok();
        let token = hasher
            .finalize()
            .iter()
            .take(16)
            .fold(0_u128, |token, byte| (token << 8) | u128::from(*byte));
        Self {
            token: VoteToken(token),
            ..self
        }
    }

    /// The record that takes this vote back at a given time.
    pub fn taken_back(&self, now: i64) -> Self {
        Self {
            id: VoteId(0),
            undo_of: Some(self.token),
            voted_at: now,
            ..self.clone()
        }
        .sealed()
    }

    /// The score, where a score was given.
    pub const fn score(&self) -> Option<f64> {
        match self.value {
            VoteValue::Score(score) => Some(score),
            VoteValue::Pair(_) => None,
        }
    }

    /// Whether the record can stand in a study; if not, what is wrong with it. An open picture list takes any picture.
    pub fn check(&self, protocol: &Protocol, is_open: bool) -> Result<(), String> {
        if self.rater.trim().is_empty() {
            return Err("the vote has no rater: enter a name first".to_owned());
        }
        if self.method != protocol.method || !self.is_value_of_method() {
            return Err(format!(
                "{:?} is no answer of the method {}: choose one that the screen offers",
                self.value, protocol.method
            ));
        }
        if !protocol.aspects.contains(&self.aspect) {
            return Err(format!(
                "the study does not ask for {}: choose one of its aspects",
                self.aspect
            ));
        }
        let is_known = |hash: &ContentHash| is_open || protocol.picture(*hash).is_some();
        if !self.shown.pictures().iter().all(is_known) {
            return Err("the picture is not one of the study's: choose one of these".to_owned());
        }
        Ok(())
    }

    fn is_value_of_method(&self) -> bool {
        match (self.method, self.value, self.shown) {
            (Method::Acr5 | Method::Continuous, VoteValue::Score(score), Shown::One(_)) => {
                let scale = self.method.scale();
                let steps = (score - scale.min) / self.method.step();
                (scale.min..=scale.max).contains(&score) && (steps - steps.round()).abs() < 1e-6
            }
            (Method::Pairs, VoteValue::Pair(_), Shown::Pair { left, right }) => left != right,
            _ => false,
        }
    }
}

/// Votes that were not taken back, in the order given. Records that take back are not among them.
pub fn standing<'a>(votes: impl IntoIterator<Item = &'a Vote>) -> Vec<&'a Vote> {
    let votes: Vec<&Vote> = votes.into_iter().collect();
    let undone: BTreeSet<VoteToken> = votes.iter().filter_map(|vote| vote.undo_of).collect();
    votes
        .into_iter()
        .filter(|vote| vote.undo_of.is_none() && !undone.contains(&vote.token))
        .collect()
}

/// Votes that count as opinions on an aspect: standing, neither practice nor repeats, and of several that a rater
/// gave of the same picture (as quick rating allows) the newest.
pub fn opinions<'a>(votes: impl IntoIterator<Item = &'a Vote>, aspect: Aspect) -> Vec<&'a Vote> {
    let mut newest: BTreeMap<(StudyId, &str, Shown, usize), &Vote> = BTreeMap::new();
    for vote in standing(votes) {
        if vote.aspect != aspect || vote.is_training || vote.is_repeat {
            continue;
        }
        // The same pair may be compared again on purpose; the same picture is rated once.
        let trial = match vote.shown {
            Shown::One(_) => 0,
            Shown::Pair { .. } => vote.trial,
        };
        let key = (vote.study, vote.rater.as_str(), vote.shown, trial);
        let held = newest.entry(key).or_insert(vote);
        if (held.voted_at, held.id) <= (vote.voted_at, vote.id) {
            *held = vote;
        }
    }
    newest.into_values().collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::domain::study::protocol::tests::{hash, protocol};

    /// A score of a picture, one second after the one before.
    pub(crate) fn vote(rater: &str, picture: usize, score: f64) -> Vote {
        let at = 1_000 * (picture as i64 + 1);
        Vote {
            id: VoteId(0),
            token: VoteToken(0),
            study: StudyId(1),
            protocol: protocol(Method::Acr5, 5, 6).hash(),
            rater: rater.to_owned(),
            session: 1,
            trial: picture,
            shown: Shown::One(hash(picture)),
            aspect: Aspect::Quality,
            method: Method::Acr5,
            value: VoteValue::Score(score),
            is_training: false,
            is_repeat: false,
            shown_at: at - 800,
            voted_at: at,
            reaction_ms: 800,
            zoom_max: 1.0,
            screen_px: [1920, 1080],
            dpi_scale: 1.0,
            app_version: "0.1.0".to_owned(),
            undo_of: None,
        }
        .sealed()
    }

    #[test]
    fn a_token_is_of_the_record_and_not_of_the_project() {
        let one = vote("Ada", 1, 3.0);
        let elsewhere = Vote {
            id: VoteId(77),
            study: StudyId(9),
            ..one.clone()
        };
        assert_eq!(elsewhere.sealed().token, one.token);
        assert_ne!(vote("Bo", 1, 3.0).token, one.token);
        assert_ne!(one.taken_back(5_000).token, one.token);
        let hex = one.token.to_string();
        assert_eq!(VoteToken::from_hex(&hex), Some(one.token));
        assert_eq!(
            VoteToken::from_hex("+0123456789abcdef0123456789abcde"),
            None
        );
    }

    #[test]
    fn a_vote_taken_back_does_not_stand_and_is_not_erased() {
        let (one, two) = (vote("Ada", 1, 3.0), vote("Ada", 2, 4.0));
        let votes = [one.clone(), two.clone(), two.taken_back(9_000)];
        assert_eq!(standing(&votes), [&one]);
        let again = vote("Ada", 2, 5.0);
        let votes = [
            one.clone(),
            two.clone(),
            two.taken_back(9_000),
            again.clone(),
        ];
        assert_eq!(standing(&votes), [&one, &again]);
    }

    #[test]
    fn practice_repeats_and_older_votes_are_no_opinions() {
        let older = vote("Ada", 1, 3.0);
        let newer = Vote {
            voted_at: 99_000,
            value: VoteValue::Score(5.0),
            ..older.clone()
        }
        .sealed();
        let practice = Vote {
            is_training: true,
            ..vote("Ada", 2, 1.0)
        };
        let repeat = Vote {
            is_repeat: true,
            ..vote("Ada", 3, 1.0)
        };
        let other = vote("Bo", 1, 2.0);
        let votes = [newer.clone(), older, practice, repeat, other.clone()];
        assert_eq!(opinions(&votes, Aspect::Quality), [&newer, &other]);
        assert!(opinions(&votes, Aspect::Authenticity).is_empty());
    }

    #[test]
    fn what_the_method_does_not_offer_is_refused() {
        let protocol = protocol(Method::Acr5, 5, 6);
        let check = |vote: Vote| vote.check(&protocol, false);
        assert_eq!(check(vote("Ada", 1, 3.0)), Ok(()));
        assert!(check(vote("Ada", 1, 3.5)).is_err());
        assert!(check(vote("Ada", 1, 6.0)).is_err());
        assert!(check(vote("Ada", 1, f64::NAN)).is_err());
        assert!(check(vote(" ", 1, 3.0)).is_err());
        assert!(check(vote("Ada", 99, 3.0)).is_err());
        assert_eq!(vote("Ada", 99, 3.0).check(&protocol, true), Ok(()));
        let tenths = Vote {
            method: Method::Continuous,
            ..vote("Ada", 1, 3.7)
        };
        assert!(tenths.is_value_of_method());
        assert!(
            !Vote {
                value: VoteValue::Score(3.75),
                ..tenths
            }
            .is_value_of_method()
        );
        let other = Vote {
            aspect: Aspect::Authenticity,
            ..vote("Ada", 1, 3.0)
        };
        assert!(check(other).unwrap_err().contains("authenticity"));
    }
}
