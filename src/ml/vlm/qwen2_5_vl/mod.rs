//! Qwen2.5-VL (Bai et al. 2025): a vision transformer with windows at the picture's own size, a merger of 2 x 2 patches,
//! Qwen2.5 with positions in three directions.
//!
//! Source: `modeling_qwen2_5_vl.py`, `vision_utils.py` and `image_processing_pil_qwen2_vl.py` of transformers 5.23, and
//! the configuration of the hub's `Qwen/Qwen2.5-VL-7B-Instruct`. Names of fields mirror the checkpoint's tensors.

mod chat;
mod config;
mod image;
mod model;
mod positions;
mod vision;
mod window;

pub use config::Config;
pub use model::{Qwen2_5Vl, list};

#[cfg(test)]
mod tests;
