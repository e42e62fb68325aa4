//! Teachers: large models on other machines that describe pictures for the local one to learn from.
//!
//! A question shows a score only where [`Question`] holds one, and that type alone decides so. Keys are [`Secret`]s:
//! they go into one header, and what servers repeat of them is blacked out.

mod answer;
mod greeting;
mod keys;
mod wire;

use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::domain::Aspect;
use crate::domain::Interrupted;
use crate::domain::Question;
use crate::domain::TeacherKind;
use crate::domain::Usage;

use super::Client;
use super::NetError;
use super::Patience;
use super::Secret;
use super::Watch;
use super::client::Failure;
use super::client::when_words;
use super::patience::chance;

use keys::Keys;
use keys::Turn;
use wire::Reply;
use wire::Trouble;

/// Answers that are not as asked, before a picture is listed as failed.
const MAX_ANSWERS: u32 = 3;

/// What a teacher asks of whoever runs it.
pub trait Desk: Watch {
    /// Time since some moment of the caller's.
    fn now(&self) -> Duration;

    /// Waits until another request may be made; an error in words once the budget is used up.
    ///
    /// # Errors
    /// [`TeacherError::Budget`], or that the work is to stop.
    fn leave(&self) -> Result<(), TeacherError>;

    /// A request used so much.
    fn spent(&self, usage: Usage);
}

/// Why a teacher gave no description.
#[derive(Debug, thiserror::Error)]
pub enum TeacherError {
    /// Somebody asked to stop.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
    /// About this picture only; others may be described.
    #[error("{0}")]
    Picture(String),
    /// The budget is used up.
    #[error("{0}")]
    Budget(String),
    /// No key works any more.
    #[error("no key of {variable} works any more: {reasons}")]
    Keys {
        /// The environment variable that they are in.
        variable: String,
        /// Why not, key by key.
        reasons: String,
    },
    /// The server cannot be asked.
    #[error(transparent)]
    Net(NetError),
}

impl From<NetError> for TeacherError {
    fn from(error: NetError) -> Self {
        match error {
            NetError::Interrupted(stop) => Self::Interrupted(stop),
            error => Self::Net(error),
        }
    }
}

/// A picture as it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// `image/png`, `image/jpeg` or `image/webp`.
    pub mime: &'static str,
    /// Its bytes in base64 (RFC 4648).
    pub base64: String,
}

impl Sent {
    /// Packs a picture's bytes.
    pub fn new(mime: &'static str, bytes: &[u8]) -> Self {
        Self {
            mime,
            base64: wire::base64(bytes),
        }
    }
}

/// A teacher. Several threads may ask it at once.
#[derive(Debug)]
pub struct Teacher {
    kind: TeacherKind,
    base: String,
    model: String,
    keys: Keys,
    client: Client,
    patience: Patience,
    seed: u64,
    /// Whether the server takes the wish for JSON; some older ones refuse it.
    takes_json_mode: AtomicBool,
    count: AtomicU64,
}

impl Teacher {
    /// A teacher by its interface, address and model. `variable` is where the keys came from, for messages; a server on
    /// one's own machine may need none.
    ///
    /// # Errors
    /// An address that is none, or a key that cannot be sent.
    pub fn new(
        kind: TeacherKind,
        base: &str,
        model: &str,
        (variable, keys): (&str, Vec<Secret>),
        seed: u64,
    ) -> Result<Self, NetError> {
        if keys.iter().any(|key| !key.is_plain()) {
            return Err(NetError::UnusableKey {
                variable: variable.to_owned(),
            });
        }
        let base = base.trim().trim_end_matches('/');
        super::client::check_address(base, "--base")?;
        Ok(Self {
            kind,
            base: base.to_owned(),
            model: model.to_owned(),
            keys: Keys::new(variable, keys),
            client: Client::patient(),
            patience: Patience::default(),
            seed,
            takes_json_mode: AtomicBool::new(true),
            count: AtomicU64::new(0),
        })
    }

    /// The same teacher, asked with other patience.
    pub fn with_patience(mut self, patience: Patience) -> Self {
        self.patience = patience;
        self
    }

    /// The server's name.
    pub fn host(&self) -> String {
        super::client::host_in(&self.base)
    }

    /// Asks for descriptions of a picture. An answer that is not the asked JSON is repaired where that is certain, else
    /// asked for again.
    ///
    /// # Errors
    /// What is wrong with this picture, or what keeps any picture from being described.
    pub fn ask(
        &self,
        question: &Question,
        picture: &Sent,
        desk: &dyn Desk,
    ) -> Result<Vec<(Aspect, String)>, TeacherError> {
        let mut reason = String::new();
        for _ in 0..MAX_ANSWERS {
            let reply = self.request(question, picture, desk)?;
            match answer::read(question, &reply) {
                Ok(texts) => return Ok(texts),
                Err(fault) => reason = fault,
            }
        }
        Err(TeacherError::Picture(format!(
            "{} answered {MAX_ANSWERS} times with something else than was asked, the last time {reason}",
            self.model
        )))
    }

    /// One answer, whatever it takes: keys in turn, waits that were asked for, connections that break.
    fn request(
        &self,
        question: &Question,
        picture: &Sent,
        desk: &dyn Desk,
    ) -> Result<Reply, TeacherError> {
        let mut failures = 0;
        loop {
            desk.check()?;
            let (idx, key) = match self.keys.turn(desk.now()) {
                Turn::Ask(idx, key) => (idx, key),
                Turn::Rest(time) => {
                    desk.tell(&format!(
                        "every key rests, trying again {}",
                        when_words(Some(time))
                    ));
                    desk.wait(time)?;
                    desk.tell("");
                    continue;
                }
                Turn::NoneLeft(error) => return Err(error),
            };
            desk.leave()?;
            let trouble = match self.once(question, picture, key) {
                Ok(reply) => {
                    desk.spent(reply.usage);
                    return Ok(reply);
                }
                Err(trouble) => trouble,
            };
            desk.spent(Usage {
                requests: 1,
                ..Usage::default()
            });
            failures += 1;
            self.bear(trouble, (idx, failures), desk)?;
        }
    }

    fn once(
        &self,
        question: &Question,
        picture: &Sent,
        key: Option<&Secret>,
    ) -> Result<Reply, Trouble> {
        let wants_json = self.takes_json_mode.load(Ordering::Relaxed);
        let words = question.words();
        let (url, body) = wire::request(
            self.kind,
            (&self.base, &self.model),
            &words,
            picture,
            wants_json,
        );
        let header = key.map(|key| wire::header(self.kind, key));
        let answer = self
            .client
            .post(&url, header, &body)
            .map_err(Trouble::Failed)?;
        wire::reply(self.kind, answer, key, wants_json)
    }

    /// Deals with what went wrong: an error where another try would not help.
    fn bear(
        &self,
        trouble: Trouble,
        (idx, failures): (usize, u32),
        desk: &dyn Desk,
    ) -> Result<(), TeacherError> {
        let chance = chance(self.seed, self.count.fetch_add(1, Ordering::Relaxed));
        let usual = self.patience.wait(failures, chance);
        match trouble {
            Trouble::Picture(reason) => Err(TeacherError::Picture(reason)),
            Trouble::KeyGone(reason) => {
                self.keys.strike_off(idx, reason);
                Ok(())
            }
            Trouble::NoJsonMode => {
                self.takes_json_mode.store(false, Ordering::Relaxed);
                Ok(())
            }
            Trouble::KeyRests {
                host,
                status,
                asked,
            } => {
                let wait = match asked {
                    Some(asked) => self.patience.asked(asked, chance),
                    None => usual,
                };
                let wait = wait.filter(|_| failures < self.patience.max_tries * self.keys.len());
                let wait = wait.ok_or_else(|| NetError::Busy {
                    host,
                    status,
                    when: when_words(asked),
                })?;
                self.keys.rest(idx, desk.now() + wait);
                Ok(())
            }
            Trouble::Failed(Failure::Final(error)) => Err(error.into()),
            Trouble::Failed(failure) => {
                let (wait, words) =
                    super::client::pause(&self.patience, failures, chance, failure)?;
                desk.tell(&words);
                desk.wait(wait)?;
                desk.tell("");
                Ok(())
            }
        }
    }
}
