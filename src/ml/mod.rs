//! The local multimodal model, the predictor, and their training.

pub mod error;
pub mod heads;
pub mod layers;
pub mod pretrain;
pub mod vlm;

pub use error::MlError;
