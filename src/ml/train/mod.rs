//! Training of a predictor from cached features and opinion scores.
//!
//! A run is repeated by its settings alone: initial weights, order and batches follow from the seed and the epoch, all
//! sums are taken in a fixed order, and a checkpoint after each epoch (and within a long one) holds everything that the next one needs, so a
//! run that was cut off ends with the same weights as one that was not.

mod adamw;
mod checkpoint;
mod fit;
mod init;
mod learner;
mod loss;
mod order;
mod projection;
mod schedule;
#[cfg(test)]
mod tests;
mod validation;

pub use adamw::AdamW;
pub(in crate::ml) use adamw::squared_norm;
pub use fit::Example;
pub use fit::TrainData;
pub use fit::TrainEvent;
pub use fit::Trained;
pub use fit::fit;
pub use init::initial_weights;
pub use loss::loss_and_gradient;
pub use projection::{FullProjection, LmHead, first_product, full_projection_bytes};
pub use validation::{cut_fold, cut_validation};
