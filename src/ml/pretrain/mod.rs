//! Making a small model from nothing: the stem learns to see and its overview where something is wrong (`sight`), the
//! resampler to tell what was seen and the language model to speak (`voice`).

pub mod course;
mod cut;
pub mod facts;
mod figures;
pub mod lesson;
pub mod look;
mod optimiser;
pub mod passes;
pub mod pupil;
pub mod recipe;
pub mod sight;
pub mod speech;
pub mod survey;
pub mod tokens;
pub mod tower;
mod trunk;
pub mod view;
pub mod voice;
