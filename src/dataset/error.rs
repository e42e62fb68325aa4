//! Why a dataset as a whole could not be read or written. What is wrong with single rows is a `Problem` instead.

use std::io;
use std::path::PathBuf;

use crate::domain::Interrupted;
use crate::media::MediaError;

/// Why a dataset could not be read or written, with the file and what to do.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    /// Nothing stands at the path.
    #[error("there is no such file or folder; check the path: {}", path.display())]
    NotFound {
        /// The path given.
        path: PathBuf,
    },
    /// The operating system refused to let it be read.
    #[error("cannot be read ({source}); check that you may open it: {}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The operating system refused to let it be written.
    #[error("cannot be written ({source}); check the free space and that you may write there: {}", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A picture could not be encoded.
    #[error("a picture could not be made ({source}): {}", path.display())]
    Picture {
        /// The file that was to be written.
        path: PathBuf,
        /// The encoder's reason.
        source: MediaError,
    },
    /// A text file beyond the budget.
    #[error("{bytes} bytes are more than the {limit} that Assay reads as one table; split it: {}", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
        /// The budget.
        limit: u64,
    },
    /// A file of another kind was given as a dataset.
    #[error("{what}: {}", path.display())]
    NotADataset {
        /// What it is and what to do.
        what: String,
        /// The file.
        path: PathBuf,
    },
    /// A layout word that no reader has.
    #[error("unknown layout {layout:?}, expected one of {}", super::LAYOUTS.join(", "))]
    UnknownLayout {
        /// The word given.
        layout: String,
    },
    /// The layout asked for needs a table, and there is none.
    #[error("no data.csv beside or above the pictures, which the layout {layout} needs; give the table itself or import it as a folder: {}", path.display())]
    NoTable {
        /// The layout.
        layout: &'static str,
        /// The folder.
        path: PathBuf,
    },
    /// Several tables, none of which has a known name.
    #[error("several tables ({}) could be meant; give the one to read: {}", names.join(", "), path.display())]
    SeveralTables {
        /// Their names.
        names: Vec<String>,
        /// The folder.
        path: PathBuf,
    },
    /// A table without the column that names the picture file.
    #[error("line 1: no column names the picture file: expected image_path, name or file_name, found {}; say which it is with --columns image_path=COLUMN: {}", quoted(found), path.display())]
    NoPathColumn {
        /// The columns there are.
        found: Vec<String>,
        /// The table.
        path: PathBuf,
    },
    /// A mapping to a column that the table lacks.
    #[error("the table has no column {theirs:?} for {ours}, only {}; correct --columns: {}", quoted(found), path.display())]
    NoSuchColumn {
        /// Our name.
        ours: String,
        /// The column asked for.
        theirs: String,
        /// The columns there are.
        found: Vec<String>,
        /// The table.
        path: PathBuf,
    },
    /// A mapping from a name that Assay has no column for.
    #[error("{ours:?} is no column of Assay's; expected one of {}", expected.join(", "))]
    UnknownColumn {
        /// The name given.
        ours: String,
        /// The names there are.
        expected: Vec<&'static str>,
    },
    /// A table of no rows at all.
    #[error("the table is empty; it needs a line of column names and a line for each picture: {}", path.display())]
    EmptyTable {
        /// The table.
        path: PathBuf,
    },
    /// A folder without a single picture.
    #[error("no picture ({}) in this folder or below it; choose the folder that holds them: {}", crate::media::EXTENSIONS.join(", "), path.display())]
    NoPictures {
        /// The folder.
        path: PathBuf,
    },
    /// Somebody asked to stop.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

fn quoted(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
    names.join(", ")
}
