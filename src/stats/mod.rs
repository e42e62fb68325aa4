//! Correlations, fits, bootstrap, classification and rater figures. Slices in, `Result` out.
//!
//! Pure arithmetic: no files, no tensors, no random numbers but a seeded generator of its own. Every function
//! refuses input for which its figure does not exist ([`StatsError`] says why) instead of answering a number.

mod agreement;
mod bootstrap;
mod classification;
mod correlation;
mod deviation;
mod error;
mod fit;
mod least_squares;
mod paired;
pub mod raters;
#[cfg(test)]
mod reference;
mod spread;
mod words;

pub use agreement::{Agreement, agreement};
pub use bootstrap::{Interval, Resampling, SplitMix64, bootstrap_interval, fnv1a};
pub use classification::{Classification, classification};
pub use correlation::{auc, average_ranks, krcc, plcc, srcc};
pub use deviation::{mae, rmse};
pub use error::StatsError;
pub use fit::{Logistic4, Logistic5, Polynomial, plcc_fit4, plcc_fit5, polynomial_fit};
pub use paired::{Paired, paired_bootstrap};
pub use spread::mean_and_deviation;
pub use words::{fixed, signed};
