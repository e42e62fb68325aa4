//! Fine-tuning of a local multimodal model on conversations: low-rank changes and whole modules.
//!
//! One conversation goes through the model at a time, its layers kept on a [`tape`](crate::ml::vlm::tape), so that memory
//! is the weights, one layer's activations and what is trained. A step's gradient is the mean over all target tokens of
//! its conversations. Everything random follows from seed, epoch and step, so that a run that was cut off ends with the
//! same bits as one that was not.

mod checkpoint;
mod fit;
mod lesson;
mod optimiser;
mod peft;
mod schedule;
mod scope;
mod tuner;

#[cfg(test)]
mod tests;

pub use checkpoint::Progress;
pub use fit::{OnEvent, TuneData, TuneEvent, TuneOutcome, best, steps_of, tune};
pub use lesson::{Lesson, Target};
pub use peft::write_adapter;
pub use schedule::learning_rate;
pub use scope::scope;
pub use tuner::{Heard, Pictures, Tuner};
