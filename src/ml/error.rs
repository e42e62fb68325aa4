//! What can go wrong with models, features and training, in words that say what to do.

use std::path::PathBuf;

use crate::domain::Interrupted;

/// A failure of the model room.
#[derive(Debug, thiserror::Error)]
pub enum MlError {
    /// Somebody asked the work to stop.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
    /// A tensor operation failed: shapes, dtypes, or memory.
    #[error("tensor computation failed: {0}")]
    Tensor(#[from] candle_core::Error),
    /// A file of a model could not be read.
    #[error("cannot read {what}: {source}; check that the file is there and readable: {path}")]
    Read {
        /// What it holds, e.g. "the tokenizer".
        what: &'static str,
        /// Where it should be.
        path: PathBuf,
        /// Why it could not be read.
        source: std::io::Error,
    },
    /// A file of a model was read but does not hold what it should.
    #[error("{what} is not usable: {reason}: {path}")]
    Malformed {
        /// What it should hold, e.g. "model.toml".
        what: &'static str,
        /// What was expected and what came.
        reason: String,
        /// The file.
        path: PathBuf,
    },
    /// Bytes of weights or of a checkpoint are damaged or belong to something else.
    #[error("cannot use these weights: {0}")]
    Weights(String),
    /// Features come from another model than the one that the predictor learned from.
    #[error(
        "this predictor reads features of width {expected}, these have width {got}: \
         use the model that its card names, or train a predictor for this one"
    )]
    WrongFeatures {
        /// Width that the predictor reads.
        expected: usize,
        /// Width that came.
        got: usize,
    },
    /// A loss or a gradient was no finite number; no weight has moved by it.
    #[error(
        "training diverged: start again with a lower learning rate, or with features that hold finite numbers"
    )]
    Diverged,
    /// Features that were there can no longer be read.
    #[error("{0}")]
    Vanished(String),
    /// A value that makes no sense where it stands.
    #[error("{0}")]
    Input(String),
}

impl MlError {
    /// Whether this is a stop on request and no failure.
    pub const fn is_interrupted(&self) -> bool {
        matches!(self, Self::Interrupted(_))
    }
}
