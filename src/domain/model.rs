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
    pub values: Arc<[half::f16]>,
}
