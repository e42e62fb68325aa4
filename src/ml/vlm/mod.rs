//! Local multimodal language models, a folder per backbone.

pub mod bicubic;
pub mod llama;
pub mod minicpm_v;
pub mod ops;

mod files;
mod fingerprint;
mod folder;
mod local;

pub use files::{GenerateSettings, Manifest, ModelFiles};
pub use local::{Described, LocalModel, Trace};
