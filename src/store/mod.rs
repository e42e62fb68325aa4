//! The project file and the caches beside it.
//!
//! A project is one SQLite file, `NAME.assay`. Everything in it came in by a committed transaction, so whatever
//! a method has answered is there after `kill -9`. [`Project`] is the one door; each noun has a file with its SQL,
//! and `schema/` has its tables. The folder `NAME.assay.cache` holds what can be made again ([`FeatureCache`],
//! [`ThumbnailCache`]) and can be deleted at any time.
//!
//! Not here: reading datasets, looking at picture files, and the wall clock. States of files and times are passed in.
//!
//! # Errors
//!
//! Every method of [`Project`] that fails says so with the project's path and what to do, as [`StoreError`].
//! The caches answer "not there" to whatever they cannot read.

mod cache;
mod catalog;
mod description;
mod error;
mod features;
mod image;
mod import;
mod migrate;
mod packed;
mod parts;
mod predictor;
mod project;
mod review;
mod run;
mod run_test;
mod score;
mod settings;
mod study;
#[cfg(test)]
mod testing;
mod thumbnails;
mod truth;
mod undo;
mod usage;
mod value;

pub use error::StoreError;
pub use features::{FeatureCache, FeatureKey};
pub use project::Project;
pub use project::cache_folder;
pub use study::MergedVotes;
pub use study::StudyReader;
pub use thumbnails::ThumbnailCache;
pub use usage::feature_usage;
