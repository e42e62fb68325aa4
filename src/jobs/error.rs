//! Why a job could not be done, in words that say what to do.

use std::io;
use std::path::PathBuf;

use crate::domain::Interrupted;

/// Why a job could not be done.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// Somebody asked the job to stop: an ordinary end, reported as such.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
    /// The job needs a project and none is open.
    #[error("no project is open: open a project, a dataset folder or a table first")]
    NoProject,
    /// Another project was opened while the job ran.
    #[error(
        "the project was closed while the job ran: what it saved is there, start it again to go on"
    )]
    ProjectClosed,
    /// The program is going down.
    #[error("the workers have stopped")]
    WorkersStopped,
    /// The operating system would not start a thread.
    #[error("cannot start the thread {name}: {source}")]
    Thread {
        /// Name of the thread.
        name: &'static str,
        /// Why.
        source: io::Error,
    },
    /// A file or folder of the program's own could not be read or written.
    #[error("cannot {action}: {source}: {}", path.display())]
    File {
        /// What was tried, e.g. "write the table".
        action: &'static str,
        /// Why.
        source: io::Error,
        /// Where.
        path: PathBuf,
    },
    /// There is no place for the program's own data.
    #[error(
        "found no folder for the program's data: set ASSAY_HOME to a folder that can be written"
    )]
    NoHome,
}
