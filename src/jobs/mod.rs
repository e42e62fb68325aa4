//! Messages, workers and the pipeline.

pub mod message;
