//! Messages, workers and the pipeline.
//!
//! The window and the command line ask with a [`message::Job`] and listen for [`message::Event`]s.
//! Every thread of the program except the window's is started here, has a name, and is joined when [`Workers`] is dropped.
//! Nothing is shared between them but the flags that stop a job and its throttled progress.

mod adapters;
mod choose;
mod context;
pub mod corpus;
mod crew;
mod decode;
mod describe;
mod dispatch;
mod error;
pub mod evaluate;
mod feature_file;
mod features;
mod fetch;
mod files_worker;
#[cfg(test)]
mod half_precision;
mod home;
mod latest;
mod learn_from;
mod lone;
mod mapped_features;
pub mod message;
mod model_host;
mod model_worker;
mod outlook;
mod pipeline;
mod prepare;
mod presets;
mod progress;
mod prune;
mod published;
mod ratings;
mod results;
mod review;
mod run_report;
mod scoring;
mod shelf;
mod shelf_worker;
mod split;
mod store_jobs;
mod store_worker;
mod study;
mod study_package;
mod table;
mod teach;
mod trace_file;
mod trainer;
mod tune;
mod words;
mod workers;

pub use error::JobError;
pub use feature_file::Scored;
pub use files_worker::is_project;
pub use files_worker::table_columns;
pub use home::Home;
pub use lone::{
    Assessed, FeaturePredictor, FeatureWish, Loner, WrittenFeatures, models, outlook_of_model,
    outlooks, score_features,
};
pub use presets::presets;
pub use published::PublishedPredictor;
pub use shelf::shelf;
pub use shelf::write_whole;
pub use teach::estimate;
pub use words::speakers;
pub use workers::{Waker, WorkerOptions, Workers};
