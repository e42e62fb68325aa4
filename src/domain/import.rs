//! What readers of datasets hand over: rows, conversations, and problems with file and line.

use serde::{Deserialize, Serialize};

use super::{Aspect, AspectMap, FileState, OpinionScale, Origin, Split, Truth};

/// One row as read from a dataset.
#[derive(Debug, Clone, PartialEq)]
pub struct ImportRow {
    /// Path relative to the image root, `/` between parts.
    pub path: String,
    /// State of the file.
    pub file: FileState,
    /// Prompt; empty where unknown.
    pub prompt: String,
    /// Where the prompt was found.
    pub prompt_source: String,
    /// Generator, where known.
    pub generator: Option<String>,
    /// Style word, where given.
    pub style: Option<String>,
    /// Known defects and the like.
    pub tags: Vec<String>,
    /// Ground truth by aspect.
    pub truth: AspectMap<Option<Truth>>,
    /// Split by aspect.
    pub split: AspectMap<Option<Split>>,
}

/// A picture's place in a split list, matched by file name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SplitEntry {
    /// File name, without folders.
    pub file_name: String,
    /// Aspect of the list.
    pub aspect: Aspect,
    /// Which list.
    pub split: Split,
}

/// One conversation of an imported file, matched by file name.
#[derive(Debug, Clone, PartialEq)]
pub struct ConversationEntry {
    /// File name, without folders.
    pub file_name: String,
    /// Aspect talked about.
    pub aspect: Aspect,
    /// Who wrote the description.
    pub origin: Origin,
    /// Message 1 without the image placeholder.
    pub request: String,
    /// Message 2.
    pub description: String,
    /// Message 3.
    pub question: String,
    /// Message 4.
    pub answer: Option<String>,
    /// Name of the file it came from.
    pub source: String,
}

/// How bad a problem is for its row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProblemKind {
    /// The row came in; something about it is worth knowing.
    Warning,
    /// The row did not come in.
    Rejected,
}

/// Something wrong with the input, where it stands, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Whether the row was lost by it.
    pub kind: ProblemKind,
    /// File in which it stands.
    pub file: String,
    /// Line (tables) or entry (JSON), counted from 1.
    pub line: Option<u64>,
    /// What is wrong and what to do.
    pub message: String,
}

/// Everything read from one dataset.
#[derive(Debug, Clone, PartialEq)]
pub struct ImportBatch {
    /// Name of the dataset, e.g. "AGIQA-3K".
    pub dataset: String,
    /// Layout word: `agiqa-3k`, `table`, `folder`, `demo`, ...
    pub layout: String,
    /// Folder that paths are relative to; absolute.
    pub root: String,
    /// Scale of every MOS in it.
    pub scale: OpinionScale,
    /// Rows.
    pub rows: Vec<ImportRow>,
    /// Split lists from conversation files.
    pub splits: Vec<SplitEntry>,
    /// Conversations.
    pub conversations: Vec<ConversationEntry>,
    /// What was wrong.
    pub problems: Vec<Problem>,
}

/// What an import did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportSummary {
    /// Rows now in the project from this dataset.
    pub rows: usize,
    /// Of these, with a readable file.
    pub with_file: usize,
    /// Of these, without a file.
    pub missing: usize,
    /// Of these, with a file that cannot be decoded.
    pub unreadable: usize,
    /// Rows that did not come in.
    pub rejected: usize,
    /// Rows that were new or changed.
    pub changed: usize,
    /// Descriptions that came in.
    pub descriptions: usize,
    /// What was wrong, row by row.
    pub problems: Vec<Problem>,
}
