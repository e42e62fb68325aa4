//! Models as the rest of the program sees them: a name, a hash, a card; and the features they give.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Which model made a result. Results of two models never mix.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ModelTag {
    /// The model folder's name.
    pub name: String,
    /// SHA-256 over its weights and configuration, as 64 hexadecimal digits.
    pub sha256: String,
}

/// What the Models screen says of a model: its `model.toml`, and what was found beside it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelCard {
    /// Name and hash.
    pub tag: ModelTag,
    /// One sentence.
    pub summary: String,
    /// Architecture word of `model.toml`, e.g. `minicpm-v-2.5`.
    pub architecture: String,
    /// Where it came from.
    pub source: String,
    /// Its licence.
    pub licence: String,
    /// Number of parameters.
    pub num_parameters: u64,
    /// Bytes of its weights on disk.
    pub weights_bytes: u64,
    /// Bytes of its weights once loaded.
    pub memory_bytes: u64,
    /// Device and dtype in words once loaded, e.g. "CPU, f32"; `None` while not loaded.
    pub loaded_on: Option<String>,
    /// Folder on disk; `None` for the model inside the binary.
    pub folder: Option<String>,
}

/// Last hidden states of a conversation: `(tokens, hidden)`, half precision, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct Features {
    /// Number of tokens T after the cut at the sequence limit.
    pub num_tokens: usize,
    /// Width H of the language model.
    pub hidden: usize,
    /// `T * H` values, after the final norm.
    pub values: Halves,
}

/// Half-precision values that lie in memory of their own, or where somebody lends them, such as a file mapped into memory.
#[derive(Debug, Clone)]
pub struct Halves(Source);

#[derive(Debug, Clone)]
enum Source {
    Owned(Arc<[half::f16]>),
    Lent(Arc<dyn LentHalves>),
}

/// Somebody who lends values.
pub trait LentHalves: Send + Sync + std::fmt::Debug {
    /// The values.
    fn halves(&self) -> &[half::f16];

    /// Why they can no longer be read, if that is so: asked before a step reads them.
    fn problem(&self) -> Option<String>;
}

impl Halves {
    /// Values that stay where they are.
    pub const fn lent(lender: Arc<dyn LentHalves>) -> Self {
        Self(Source::Lent(lender))
    }

    /// Whether they take no memory of their own.
    pub const fn is_lent(&self) -> bool {
        matches!(self.0, Source::Lent(_))
    }

    /// Why they can no longer be read, if that is so.
    pub fn problem(&self) -> Option<String> {
        match &self.0 {
            Source::Owned(_) => None,
            Source::Lent(lender) => lender.problem(),
        }
    }
}

impl std::ops::Deref for Halves {
    type Target = [half::f16];

    fn deref(&self) -> &Self::Target {
        match &self.0 {
            Source::Owned(values) => values,
            Source::Lent(lender) => lender.halves(),
        }
    }
}

impl PartialEq for Halves {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl From<Arc<[half::f16]>> for Halves {
    fn from(values: Arc<[half::f16]>) -> Self {
        Self(Source::Owned(values))
    }
}

impl From<Vec<half::f16>> for Halves {
    fn from(values: Vec<half::f16>) -> Self {
        Self(Source::Owned(values.into()))
    }
}

impl FromIterator<half::f16> for Halves {
    fn from_iter<I: IntoIterator<Item = half::f16>>(values: I) -> Self {
        Self(Source::Owned(values.into_iter().collect()))
    }
}
