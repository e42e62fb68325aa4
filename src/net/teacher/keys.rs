//! Several keys in turn: one that has to rest is passed over, one that no longer works is struck off.

use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use super::TeacherError;
use crate::net::Secret;

/// The keys of one environment variable. None at all is a server that asks for none.
#[derive(Debug)]
pub(super) struct Keys {
    variable: String,
    secrets: Vec<Secret>,
    /// Nothing else is kept here, and each change is one assignment, so a poisoned lock is as good as any.
    states: Mutex<States>,
}

#[derive(Debug, Default)]
struct States {
    next: usize,
    until: Vec<Duration>,
    struck_off: Vec<Option<String>>,
}

/// Whose turn it is.
#[derive(Debug)]
pub(super) enum Turn<'a> {
    /// Ask with this key; its number is for [`Keys::rest`] and [`Keys::strike_off`].
    Ask(usize, Option<&'a Secret>),
    /// All of them rest for so long.
    Rest(Duration),
    /// None works.
    NoneLeft(TeacherError),
}

impl Keys {
    pub(super) fn new(variable: &str, secrets: Vec<Secret>) -> Self {
        let num = secrets.len().max(1);
        Self {
            variable: variable.to_owned(),
            secrets,
            states: Mutex::new(States {
                next: 0,
                until: vec![Duration::ZERO; num],
                struck_off: vec![None; num],
            }),
        }
    }

    /// Number of keys; a server that asks for none counts as one.
    pub(super) fn len(&self) -> u32 {
        self.secrets.len().max(1) as u32
    }

    /// Every key.
    pub(super) fn all(&self) -> &[Secret] {
        &self.secrets
    }

    /// The next key that may be used.
    pub(super) fn turn(&self, now: Duration) -> Turn<'_> {
        let mut states = self.lock();
        let num = states.until.len();
        let from = states.next;
        let mut in_turn = (0..num).map(|step| (from + step) % num);
        if let Some(idx) =
            in_turn.find(|idx| states.struck_off[*idx].is_none() && states.until[*idx] <= now)
        {
            states.next = (idx + 1) % num;
            return Turn::Ask(idx, self.secrets.get(idx));
        }
        let resting = (0..num).filter(|idx| states.struck_off[*idx].is_none());
        if let Some(until) = resting.map(|idx| states.until[idx]).min() {
            Turn::Rest(until.saturating_sub(now))
        } else {
            let reasons: Vec<String> = states
                .struck_off
                .iter()
                .enumerate()
                .filter_map(|(idx, reason)| Some(format!("key {}: {}", idx + 1, reason.as_ref()?)))
                .collect();
            Turn::NoneLeft(TeacherError::Keys {
                variable: self.variable.clone(),
                reasons: reasons.join("; "),
            })
        }
    }

    /// Lets a key rest until then.
    pub(super) fn rest(&self, idx: usize, until: Duration) {
        self.lock().until[idx] = until;
    }

    /// Uses a key no more.
    pub(super) fn strike_off(&self, idx: usize, reason: String) {
        self.lock().struck_off[idx] = Some(reason);
    }

    fn lock(&self) -> MutexGuard<'_, States> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(keys: &Keys, now: u64) -> Option<usize> {
        match keys.turn(Duration::from_secs(now)) {
            Turn::Ask(idx, _) => Some(idx),
            _ => None,
        }
    }

    #[test]
    fn keys_take_turns_rest_and_are_struck_off() {
        let secrets = ["a", "b", "c"].map(|text| Secret::new(text).unwrap());
        let keys = Keys::new("KEYS", secrets.to_vec());
        assert_eq!(
            [0; 4].map(|now| used(&keys, now)),
            [Some(0), Some(1), Some(2), Some(0)]
        );
        keys.rest(1, Duration::from_secs(30));
        assert_eq!(
            [0; 3].map(|now| used(&keys, now)),
            [Some(2), Some(0), Some(2)]
        );
        keys.strike_off(0, "not valid".to_owned());
        keys.strike_off(2, "no money left".to_owned());
        assert!(
            matches!(keys.turn(Duration::from_secs(10)), Turn::Rest(time) if time == Duration::from_secs(20))
        );
        assert_eq!(used(&keys, 30), Some(1));
        keys.strike_off(1, "not valid".to_owned());
        let Turn::NoneLeft(error) = keys.turn(Duration::ZERO) else {
            panic!("expected an error");
        };
        assert!(
            error.to_string().contains("KEYS")
                && error.to_string().contains("key 3: no money left")
        );
    }

    #[test]
    fn a_server_without_keys_is_asked_without_one() {
        let keys = Keys::new("KEYS", Vec::new());
        assert!(matches!(keys.turn(Duration::ZERO), Turn::Ask(0, None)));
    }
}
