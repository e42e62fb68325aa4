//! What can go wrong with a project file, in words that say what to do.

use std::io;
use std::path::Path;
use std::path::PathBuf;

use rusqlite::ErrorCode;

use crate::domain::ImageId;
use crate::domain::OpinionScale;

/// Why a project could not be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no file at the path.
    #[error("there is no project file here: check the path, or import a dataset to make one: {path}", path = .path.display())]
    NotFound {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// There is something else at the path.
    #[error("this is not an Assay project ({found}): choose a .assay file, or import it as a dataset: {path}", path = .path.display())]
    NotAProject {
        /// The file.
        path: PathBuf,
        /// What it looks like.
        found: &'static str,
    },
    /// A project was to be made where one is.
    #[error("there is a file here already: open it, or choose another name: {path}", path = .path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The project was written by a newer program.
    #[error("the project has version {found} and this program knows versions up to {known}: use a newer Assay: {path}", path = .path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Version of the file.
        found: i64,
        /// Newest version that this program reads.
        known: i64,
    },
    /// The file is cut off or overwritten.
    #[error("the project file is damaged ({reason}): restore a copy, or import the dataset into a new project: {path}", path = .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// How it shows.
        reason: String,
    },
    /// The file or its folder cannot be written.
    #[error("the project cannot be written (it needs a file and a folder with write permission): copy it elsewhere: {path}", path = .path.display())]
    ReadOnly {
        /// The file.
        path: PathBuf,
    },
    /// Another program holds the project's write lock.
    #[error("another program has been writing to the project for too long: close it and try again: {path}", path = .path.display())]
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// The disk is full.
    #[error("the disk is full, nothing was saved: make room and try again: {path}", path = .path.display())]
    DiskFull {
        /// The file.
        path: PathBuf,
    },
    /// Any other answer of SQLite.
    #[error("could not {operation}: {source}: {path}", path = .path.display())]
    Sql {
        /// What was tried.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// A file or folder operation failed.
    #[error("could not {operation}: {source}: {path}", path = .path.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another dataset was to be imported into the project.
    #[error(
        "the project holds the dataset {held:?} below {held_root}, not {offered:?} below {offered_root}: import it into a project of its own"
    )]
    OtherDataset {
        /// Dataset of the project.
        held: String,
        /// Its image root.
        held_root: String,
        /// Dataset of the import.
        offered: String,
        /// Its image root.
        offered_root: String,
    },
    /// Opinion scores on two scales do not go into one project.
    #[error(
        "the project's opinion scores stand on {held} and those of the import on {offered}: import it into a project of its own"
    )]
    OtherScale {
        /// Scale of the project.
        held: OpinionScale,
        /// Scale of the import.
        offered: OpinionScale,
    },
    /// A score of a picture that is not there.
    #[error("image {image:?} has no readable file and cannot have a score: find the file (relocate) and score again", image = .image.0)]
    NoFile {
        /// The row.
        image: ImageId,
    },
    /// The row came to stand for another picture while the model looked at the one before.
    #[error(
        "the picture of image {image} was imported anew, or its file went away, while it was worked on, so nothing was saved of it: start again", image = .image.0
    )]
    Changed {
        /// The row.
        image: ImageId,
    },
    /// A score that is no number.
    #[error("the score of image {image:?} is {value}, which is no score: retrain or choose another predictor", image = .image.0)]
    NotFinite {
        /// The row.
        image: ImageId,
        /// What came.
        value: f64,
    },
    /// A study that raters could not sit.
    #[error("the study {name:?} is not ready: {faults}")]
    WrongProtocol {
        /// Name of the study.
        name: String,
        /// What is wrong, as sentences.
        faults: String,
    },
    /// A study that has votes was to be changed.
    #[error(
        "people have voted in the study {name:?}, so its protocol no longer changes: make a new study from it"
    )]
    FrozenStudy {
        /// Name of the study.
        name: String,
    },
    /// A vote that cannot be taken.
    #[error("the vote was not saved: {reason}")]
    VoteRefused {
        /// Why, and what to do.
        reason: String,
    },
    /// A number that the project does not know.
    #[error("the project has no {noun} {id}: open the project again to see what it holds")]
    Unknown {
        /// What was asked for.
        noun: &'static str,
        /// Its number.
        id: i64,
    },
}

impl StoreError {
    /// Sorts an answer of SQLite into what the user can do about it.
    pub(super) fn of_sql(operation: &'static str, path: &Path, source: rusqlite::Error) -> Self {
        let path = path.to_path_buf();
        match source.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => Self::NotAProject {
                path,
                found: "its beginning is no project's",
            },
            Some(ErrorCode::DatabaseCorrupt) => Self::Damaged {
                path,
                reason: source.to_string(),
            },
            Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
                Self::ReadOnly { path }
            }
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy { path },
            Some(ErrorCode::DiskFull) => Self::DiskFull { path },
            _ => Self::Sql {
                operation,
                path,
                source,
            },
        }
    }
}

/// What went wrong inside a transaction, before the project's path is added to it.
#[derive(Debug)]
pub(super) enum Fault {
    /// SQLite answered so.
    Sql(rusqlite::Error),
    /// The request itself cannot be met.
    Refused(StoreError),
}

impl Fault {
    pub(super) fn at(self, operation: &'static str, path: &Path) -> StoreError {
        match self {
            Self::Sql(source) => StoreError::of_sql(operation, path, source),
            Self::Refused(error) => error,
        }
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(source: rusqlite::Error) -> Self {
        Self::Sql(source)
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Refused(error)
    }
}
