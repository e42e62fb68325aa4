//! The project as one table: a row for each image and aspect, as CSV or as JSON lines.
//!
//! A superset of the published tool's table (`image_path,prompt,aspect,description,score,rating`), so that its
//! readers read ours. UTF-8, RFC 4180 with line feeds, `.` decimals, empty for null, relative paths with the
//! picture's SHA-256. The status column says in a word why a row has no score, the error column in a sentence.
//!
//! Beside it [`ratings`]: the files of a study; and conversations in the published format.
//!
//! Not here: anything about which pictures are shown; the caller names them.

pub mod ratings;

mod conversations;
mod table;
#[cfg(test)]
mod testing;
mod write;

pub use conversations::ConversationWish;
pub use conversations::write_conversations;
pub use table::COLUMNS;
pub use table::ExportRow;
pub use table::Selection;
pub use table::Status;
pub use table::rows;
pub use write::ExportError;
pub use write::Format;
pub use write::write;
pub use write::write_csv;
pub use write::write_file;
pub use write::write_jsonl;
