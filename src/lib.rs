//! Assay looks at AI-generated images with a local multimodal model: it describes them, predicts their mean
//! opinion scores, holds the predictions against ground truth, and learns from it.
//!
//! Modules are listed bottom to top: each may use only those above it (`docs/ARCHITECTURE.md`).

pub mod domain;

pub mod stats;

pub mod compute;

pub mod media;

pub mod dataset;

pub mod store;

pub mod net;

pub mod ml;

pub mod export;

pub mod jobs;

pub mod state;

pub mod ui;

pub mod app;

pub mod cli;
