//! Readers of dataset layouts, tables, ratings and conversation files; prompt presets; the demo generator.
//!
//! A reader hands over one [`ImportBatch`](crate::domain::ImportBatch): rows, split lists, conversations, and a
//! [`Problem`](crate::domain::Problem) with file and line for everything that was wrong. Good rows come in whatever
//! stands beside them. Nothing here writes to a user's folder, and reading twice gives the same batch.

pub mod demo;

mod columns;
mod conversations;
mod detect;
mod entries;
mod error;
mod files;
mod folder;
mod presets;
mod ratings;
mod read;
mod rows;
mod table;
mod text;

pub use conversations::read_conversations;
pub use error::DatasetError;
pub use presets::default_preset;
pub use presets::derive_preset;
pub use presets::presets;
pub use ratings::RatingsBatch;
pub use ratings::RatingsTarget;
pub use ratings::read_ratings;
pub use read::LAYOUTS;
pub use read::Source;
pub use read::read;
pub use table::header as table_header;
