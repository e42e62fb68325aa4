//! Making a small model from nothing: the stem learns to see, the resampler to tell what was seen, the language model to
//! speak.

pub mod facts;
pub mod lesson;
pub mod look;
pub mod mini;
mod optimiser;
pub mod passes;
pub mod pupil;
pub mod speech;
pub mod tokens;
pub mod tower;
mod view;
