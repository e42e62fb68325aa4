//! Sentences for the user that belong to no screen.

use std::collections::VecDeque;

/// Notices kept; older ones have been seen or do not matter any more.
const KEPT: usize = 5;

/// How a notice looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Something went as asked.
    Info,
    /// Something went wrong.
    Error,
}

/// One sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Its number.
    pub id: u64,
    /// The sentence.
    pub text: String,
    /// How it looks.
    pub tone: Tone,
}

/// Notices that have not been dismissed, oldest first.
#[derive(Debug, Clone, Default)]
pub struct Notices {
    list: VecDeque<Notice>,
    next_id: u64,
}

impl Notices {
    /// Notices that have not been dismissed, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Notice> {
        self.list.iter()
    }

    /// Says something.
    pub(super) fn say(&mut self, tone: Tone, text: String) {
        // The same sentence twice in a row says no more than once.
        if self.list.back().is_some_and(|last| last.text == text) {
            return;
        }
        self.list.push_back(Notice {
            id: self.next_id,
            text,
            tone,
        });
        self.next_id += 1;
        if self.list.len() > KEPT {
            self.list.pop_front();
        }
    }

    /// Takes a notice off the screen.
    pub(super) fn dismiss(&mut self, id: u64) {
        self.list.retain(|notice| notice.id != id);
    }
}
