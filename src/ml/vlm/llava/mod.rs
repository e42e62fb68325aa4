//! LLaVA-1.5 (Liu et al. 2023, "Improved Baselines with Visual Instruction Tuning"): CLIP ViT-L/14 at 336 pixels, a
//! projector of two layers, Vicuna.
//!
//! Source: `modeling_llava.py`, `modeling_clip.py` and their processors in transformers 5.23, and the configuration of
//! the hub's `llava-hf/llava-1.5-7b-hf`. Names of fields mirror the checkpoint's tensors.

mod chat;
mod clip;
mod config;
mod image;
mod model;
mod names;

pub use config::Config;
pub use model::{Llava, list};

#[cfg(test)]
mod tests;
