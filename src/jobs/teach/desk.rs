//! What the lanes of one teaching job share: when the next request may be made, what was spent, what came of it.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use crate::domain::Budget;
use crate::domain::Interrupted;
use crate::domain::Prices;
use crate::domain::Usage;
use crate::jobs::context::Flags;
use crate::jobs::message::FailedItem;
use crate::jobs::message::TeachRequest;
use crate::net::Watch;
use crate::net::teacher::Desk;
use crate::net::teacher::TeacherError;

/// What the lanes of one job share: its flags, its purse and what came of it.
pub(super) struct SharedDesk {
    flags: Arc<Flags>,
    began: Instant,
    /// Set once a lane met something that is not about one picture.
    has_ended: AtomicBool,
    pub(super) done: AtomicU64,
    pub(super) answered: AtomicU64,
    budget: Budget,
    prices: Prices,
    /// Time between two requests.
    pace: Duration,
    purse: Mutex<Purse>,
    failed: Mutex<Vec<FailedItem>>,
    words: Mutex<String>,
}

#[derive(Debug, Default)]
pub(super) struct Purse {
    pub(super) usage: Usage,
    /// Requests that were let through and have not been answered.
    open: u64,
    /// When the next request may be made.
    next: Duration,
}

impl SharedDesk {
    pub(super) fn new(flags: Arc<Flags>, request: &TeachRequest) -> Self {
        let pace = request.per_minute.map_or(Duration::ZERO, |number| {
            Duration::from_mins(1) / number.max(1)
        });
        Self {
            flags,
            began: Instant::now(),
            has_ended: AtomicBool::new(false),
            done: AtomicU64::new(0),
            answered: AtomicU64::new(0),
            budget: request.budget,
            prices: request.prices,
            pace,
            purse: Mutex::default(),
            failed: Mutex::default(),
            words: Mutex::default(),
        }
    }

    /// Stops the other lanes, and passes the reason on.
    pub(super) fn end(&self, error: TeacherError) -> TeacherError {
        self.has_ended.store(true, Ordering::Relaxed);
        error
    }

    pub(super) fn purse(&self) -> MutexGuard<'_, Purse> {
        // Counts stay whole if a thread dies while it holds them, so a poisoned lock is as good as any.
        self.purse.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn failed(&self) -> MutexGuard<'_, Vec<FailedItem>> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn words(&self) -> String {
        self.words
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Watch for SharedDesk {
    fn check(&self) -> Result<(), Interrupted> {
        self.flags.check(|| self.has_ended.load(Ordering::Relaxed))
    }

    fn wait(&self, time: Duration) -> Result<(), Interrupted> {
        let is_over = || self.has_ended.load(Ordering::Relaxed);
        self.flags.wait(time, is_over)
    }

    fn has(&self, _bytes: u64) {}

    fn tell(&self, words: &str) {
        words.clone_into(&mut self.words.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Desk for SharedDesk {
    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    fn leave(&self) -> Result<(), TeacherError> {
        let wait = {
            let mut purse = self.purse();
            // Requests on their way count as made, so that several lanes do not overdraw together.
            let with_open = Usage {
                requests: purse.usage.requests + purse.open,
                ..purse.usage
            };
            if let Some(words) = with_open.exhausts(self.budget, self.prices) {
                return Err(TeacherError::Budget(words));
            }
            let now = self.now();
            let at = purse.next.max(now);
            purse.next = at + self.pace;
            purse.open += 1;
            at.saturating_sub(now)
        };
        if !wait.is_zero() {
            self.wait(wait)?;
        }
        Ok(())
    }

    fn spent(&self, usage: Usage) {
        let mut purse = self.purse();
        purse.open = purse.open.saturating_sub(1);
        purse.usage.add(usage);
    }
}
