//! The local multimodal model, the predictor, and their training.

pub mod error;

pub use error::MlError;
pub mod pretrain;
pub mod vlm;
