//! Pieces that several screens draw.

pub mod chip;
pub mod histogram;
pub mod icon;
pub mod predictor_card;
pub mod score_mark;
pub mod start_button;
pub mod tags;
pub mod text;
