//! MiniCPM-Llama3-V-2.5: SigLIP tower, perceiver resampler, Llama decoder.
//!
//! Source: the model's own `modeling_minicpmv.py`, `resampler.py` and configuration on its hub page. Names of fields
//! mirror the checkpoint's tensors, so that the code is also the map of the weights.

mod backbone;
pub mod chat;
pub mod config;
pub mod model;
pub mod resampler;
pub mod slicing;
pub mod spectrum;
pub mod stem;
pub mod vision;

pub use backbone::MiniCpmBackbone;
pub use chat::Chat;
pub use config::Config;
pub use model::MiniCpmV;

#[cfg(test)]
mod tests;
