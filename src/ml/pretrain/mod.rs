//! Making a small model from nothing: first the stem learns to see, then the language model learns to speak.

pub mod facts;
pub mod lesson;
pub mod mini;
pub mod speech;
pub mod tokens;
pub mod tower;
