//! Small studies with votes.

use super::StudyRecord;
use crate::domain::Aspect;
use crate::domain::ContentHash;
use crate::domain::Method;
use crate::domain::PairChoice;
use crate::domain::Protocol;
use crate::domain::Shown;
use crate::domain::Study;
use crate::domain::StudyId;
use crate::domain::StudyPicture;
use crate::domain::Vote;
use crate::domain::VoteId;
use crate::domain::VoteToken;
use crate::domain::VoteValue;

/// A study and its votes.
pub(super) struct World {
    pub(super) study: Study,
    pub(super) votes: Vec<Vote>,
}

impl World {
    pub(super) fn record(&self) -> StudyRecord<'_> {
        StudyRecord::new(&self.study, &self.votes, &[], "Test set")
    }

    /// Four pictures of two prompts by three raters, the last of whom left one out, and a repeat of Ada's.
    pub(super) fn scores() -> Self {
        let study = study(Method::Acr5);
        let scores: [(&str, &[f64]); 3] = [
            ("Ada", &[5.0, 3.0, 2.0, 1.0]),
            ("Bo", &[4.0, 3.0, 1.0, 2.0]),
            ("Cy <b>", &[4.0, 4.0, 2.0]),
        ];
        let mut votes: Vec<Vote> = scores
            .iter()
            .flat_map(|(rater, scores)| {
                let of_rater = scores.iter().enumerate();
                of_rater.map(|(idx, score)| {
                    vote(
                        &study,
                        rater,
                        idx,
                        Shown::One(hash(idx)),
                        VoteValue::Score(*score),
                    )
                })
            })
            .collect();
        let repeat = vote(&study, "Ada", 4, Shown::One(hash(1)), VoteValue::Score(4.0));
        votes.push(
            Vote {
                is_repeat: true,
                ..repeat
            }
            .sealed(),
        );
        Self { study, votes }
    }

    /// Two prompts of two pictures, compared by two raters.
    pub(super) fn pairs() -> Self {
        let study = study(Method::Pairs);
        let pair = |rater, trial, left, right, choice| {
            let shown = Shown::Pair {
                left: hash(left),
                right: hash(right),
            };
            vote(&study, rater, trial, shown, VoteValue::Pair(choice))
        };
        let votes = vec![
            pair("Ada", 0, 0, 1, PairChoice::Left),
            pair("Ada", 1, 3, 2, PairChoice::Tie),
            pair("Bo", 0, 1, 0, PairChoice::Left),
            pair("Bo", 1, 2, 3, PairChoice::Right),
        ];
        Self { study, votes }
    }
}

pub(super) fn hash(idx: usize) -> ContentHash {
    ContentHash([u8::try_from(idx).unwrap_or(255); 32])
}

fn study(method: Method) -> Study {
    let prompts = ["a \"cat\", sitting", "a dog & a bone"];
    let protocol = Protocol {
        pictures: (0..4)
            .map(|idx| StudyPicture {
                hash: hash(idx),
                path: format!("a/{idx}.png"),
                prompt: prompts[idx / 2].to_owned(),
            })
            .collect(),
        num_discarded_training: 0,
        ..Protocol::new("Cats & dogs", method)
    };
    Study {
        id: StudyId(1),
        hash: protocol.hash(),
        protocol,
        created_at: 1_700_000_000_000,
        is_frozen: true,
        is_quick: false,
    }
}

fn vote(study: &Study, rater: &str, trial: usize, shown: Shown, value: VoteValue) -> Vote {
    let at = 1_700_000_100_000 + 2_000 * trial as i64;
    Vote {
        id: VoteId(0),
        token: VoteToken(0),
        study: study.id,
        protocol: study.hash,
        rater: rater.to_owned(),
        session: 1,
        trial,
        shown,
        aspect: Aspect::Quality,
        method: study.protocol.method,
        value,
        is_training: false,
        is_repeat: false,
        shown_at: at,
        voted_at: at + 1_500,
        reaction_ms: 1_500,
        zoom_max: 1.25,
        screen_px: [1920, 1080],
        dpi_scale: 1.0,
        app_version: "0.1.0".to_owned(),
        undo_of: None,
    }
    .sealed()
}
