//! Sequence models between the projection and the regression head of a predictor.

pub mod xlstm;
