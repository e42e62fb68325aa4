//! Where a rater stands: the trial that comes next, the session, and whether a break is due.

use std::collections::BTreeSet;

use super::{Protocol, StudyId, Trial, Vote, standing};

/// A rater's session, as the clock and the votes so far have it. Quitting or a crash changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sitting {
    /// Number of the session that the next vote belongs to, counted from 1.
    pub session: u32,
    /// When it began, in milliseconds since 1970-01-01 UTC; `None` before its first vote.
    pub started_at: Option<i64>,
    /// Until when the rater rests; `None` when the next trial may be shown.
    pub break_until: Option<i64>,
}

impl Sitting {
    /// The sitting of one rater at a given time; `votes` are that rater's in this study, also those taken back.
    ///
    /// A session ends with the vote that fills its minutes, or by a pause as long as a break.
    pub fn of(protocol: &Protocol, votes: &[&Vote], now: i64) -> Self {
        let session_ms = i64::from(protocol.session_minutes) * 60_000;
        let break_ms = i64::from(protocol.break_seconds) * 1_000;
        let mut times: Vec<(i64, i64)> = votes
            .iter()
            .filter(|vote| vote.undo_of.is_none())
            .map(|vote| (vote.shown_at, vote.voted_at))
            .collect();
        times.sort_unstable();

        let mut sitting = Self::new(1);
        let mut last = None;
        for (shown_at, voted_at) in times {
            if sitting.break_until.is_some() || has_rested(last, shown_at, break_ms) {
                sitting = Self::new(sitting.session + 1);
            }
            let started_at = *sitting.started_at.get_or_insert(shown_at);
            if session_ms > 0 && voted_at - started_at >= session_ms {
                sitting.break_until = Some(voted_at + break_ms);
            }
            last = Some(voted_at);
        }
        let is_break_over = sitting.break_until.is_some_and(|until| until <= now);
        if is_break_over || has_rested(last, now, break_ms) {
            sitting = Self::new(sitting.session + 1);
        }
        sitting
    }

    const fn new(session: u32) -> Self {
        Self {
            session,
            started_at: None,
            break_until: None,
        }
    }
}

fn has_rested(last: Option<i64>, now: i64, break_ms: i64) -> bool {
    break_ms > 0 && last.is_some_and(|last| now - last >= break_ms)
}

/// One rater's records in a study, also those taken back, in the order given.
pub fn of_rater<'a>(
    votes: impl IntoIterator<Item = &'a Vote>,
    study: StudyId,
    rater: &str,
) -> Vec<&'a Vote> {
    let rater = rater.trim();
    votes
        .into_iter()
        .filter(|vote| vote.study == study && vote.rater.trim() == rater)
        .collect()
}

/// The first trial of a rater's [`super::order`] without a standing vote; `own` are the rater's records in the study.
pub fn next_trial(order: &[Trial], own: &[&Vote]) -> Option<Trial> {
    let done: BTreeSet<usize> = standing(own.iter().copied())
        .iter()
        .map(|vote| vote.trial)
        .collect();
    order
        .iter()
        .find(|trial| !done.contains(&trial.index))
        .copied()
}

#[cfg(test)]
mod tests {
    use super::super::protocol::tests::protocol;
    use super::super::vote::tests::vote;
    use super::super::{Method, order};
    use super::*;

    /// Votes whose pictures were shown a second before, at these seconds.
    fn votes_at(seconds: &[i64]) -> Vec<Vote> {
        seconds
            .iter()
            .enumerate()
            .map(|(idx, second)| Vote {
                shown_at: (second - 1) * 1_000,
                voted_at: second * 1_000,
                ..vote("Ada", idx, 3.0)
            })
            .collect()
    }

    fn sitting(seconds: &[i64], now: i64) -> Sitting {
        let protocol = Protocol {
            session_minutes: 1,
            break_seconds: 30,
            ..protocol(Method::Acr5, 5, 6)
        };
        let votes = votes_at(seconds);
        Sitting::of(&protocol, &votes.iter().collect::<Vec<_>>(), now * 1_000)
    }

    #[test]
    fn a_full_session_ends_in_a_break_and_the_next_one_follows() {
        let first = sitting(&[1, 20], 22);
        assert_eq!((first.session, first.started_at), (1, Some(0)));
        assert_eq!(first.break_until, None);
        let full = sitting(&[1, 20, 40, 60], 70);
        assert_eq!((full.session, full.break_until), (1, Some(90_000)));
        let next = sitting(&[1, 20, 40, 60], 90);
        assert_eq!((next.session, next.started_at), (2, None));
        let going = sitting(&[1, 20, 40, 60, 95], 96);
        assert_eq!((going.session, going.started_at), (2, Some(94_000)));
        assert_eq!(going.break_until, None);
    }

    #[test]
    fn who_stays_away_as_long_as_a_break_has_had_one() {
        assert_eq!(sitting(&[1, 2], 40).session, 2);
        assert_eq!(sitting(&[1, 2, 40], 41).session, 2);
        assert_eq!(sitting(&[], 5).session, 1);
    }

    #[test]
    fn without_session_minutes_there_is_one_session() {
        let votes = votes_at(&[1, 9_000]);
        let votes: Vec<&Vote> = votes.iter().collect();
        let sitting = Sitting::of(&Protocol::quick(), &votes, 99_000_000);
        assert_eq!((sitting.session, sitting.break_until), (1, None));
    }

    #[test]
    fn the_next_trial_is_the_first_without_a_standing_vote() {
        let protocol = protocol(Method::Acr5, 5, 6);
        let order = order(&protocol, "Ada");
        let votes: Vec<Vote> = order[..3]
            .iter()
            .map(|trial| Vote {
                trial: trial.index,
                shown: trial.what,
                ..vote("Ada", trial.index, 3.0)
            })
            .collect();
        let mut own: Vec<&Vote> = votes.iter().collect();
        assert_eq!(next_trial(&order, &own), Some(order[3]));
        let back = votes[1].taken_back(60_000);
        own.push(&back);
        assert_eq!(next_trial(&order, &own), Some(order[1]));
        assert_eq!(next_trial(&order[..1], &own), None);
        assert_eq!(of_rater(&votes, StudyId(1), " Ada ").len(), 3);
        assert!(of_rater(&votes, StudyId(2), "Ada").is_empty());
    }
}
