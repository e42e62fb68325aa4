//! Exit codes, as shell scripts read them.

use std::process::ExitCode;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    /// Everything was done.
    Done,
    /// Nothing, or not all, was done; the reason was said.
    Failed,
    /// The command line was wrong.
    Usage,
    /// Done, but some items failed and were listed.
    SomeFailed,
}

impl Exit {
    /// The end of a batch in which this many items failed.
    pub(super) const fn of_batch(num_failed: usize) -> Self {
        if num_failed == 0 {
            Self::Done
        } else {
            Self::SomeFailed
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::SomeFailed => 3,
        })
    }
}
