//! The xLSTM stack of M3-AGIQA: names and meaning of the weights are those of the package `xlstm` 1.0.6 with its
//! plain backend, every dimension comes from the configuration.
//!
//! The two cells are custom operations over whole sequences with backward passes of their own: as graphs of small
//! tensor operations, the sLSTM would be one graph a time step and the mLSTM a dozen passes over `seq x seq` scores.
//!
//! **Source** M. Beck et al., "xLSTM: Extended Long Short-Term Memory", arXiv 2405.04517; package `xlstm` 1.0.6.

mod block;
mod config;
mod fused;
mod mlstm;
mod mlstm_cell;
#[cfg(test)]
mod oracle;
mod parameters;
mod slstm;
mod slstm_cell;
mod stack;
#[cfg(test)]
mod tests;

pub use config::XlstmConfig;
pub use mlstm_cell::MlstmForm;
pub use stack::XlstmStack;
