//! The local multimodal model, the predictor, and their training.

mod embedded;
pub mod error;
pub mod eval;
pub mod heads;
pub mod layers;
mod network;
pub mod predictor;
pub mod pretrain;
pub mod published;
pub mod state_dict;
pub mod train;
pub mod tune;
pub mod vlm;

pub use embedded::embedded_predictors;
pub use error::MlError;
pub use predictor::Predictor;
