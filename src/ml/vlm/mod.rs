//! Local multimodal language models, a folder per backbone.

pub mod backbone;
pub mod bicubic;
#[cfg(test)]
mod golden;
pub mod hub_config;
pub mod kv_cache;
pub mod llama;
pub mod llava;
pub mod minicpm_v;
pub mod ops;
pub mod qwen2_5_vl;
pub mod tape;
pub mod weights;

mod architecture;
mod decoding;
mod encoder;
mod files;
mod fingerprint;
pub mod fit;
mod folder;
mod fused;
mod hash_memo;
mod known;
mod load;
mod local;
#[cfg(test)]
pub(crate) mod testing;

pub use architecture::Architecture;
pub use backbone::{Backbone, Ending, Facts, Inspected, Seen, Sequence};
pub use decoding::{Ask, Batch, GenerateSettings, Sampling, SoFar, Ticket};
pub use files::{Manifest, ModelFiles};
pub use fingerprint::{of_files as hash_of_files, of_parts as hash_of_parts};
pub use hash_memo::keep_hashes_at;
pub use kv_cache::KvCache;
pub use load::{LoadWish, TuneModel, TunePlan, fit_of_config, load_to_tune, plan_tune};
pub use local::{Described, LocalModel, Parts, Plan, Trace, Values};
