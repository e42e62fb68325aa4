//! What a panel of raters said, as figures: mean opinion scores with intervals, screening of raters, strengths from
//! pairs, and how far raters agree with one another and with themselves.
//!
//! Ratings come as a [`RatingMatrix`] (rows pictures, columns raters, NaN where a rater did not rate) or as
//! [`PairCounts`]. Hidden repeats stay out of the matrix: they measure the rater, not the picture.
//! [`screen`] is the one door that screens, reports and the window use; what it is made of can be called alone.

mod agreement;
mod annex_e;
mod bias;
mod bradley_terry;
mod correlation;
mod matrix;
mod mos;
mod panel;
#[cfg(test)]
mod reference;
mod rejection;
mod repeats;
mod screening;

pub use agreement::{icc2k, krippendorff_alpha};
pub use annex_e::{AnnexE, p910_annex_e};
pub use bias::{BiasRemoved, p913_bias};
pub use bradley_terry::{BradleyTerry, PairCounts, bradley_terry};
pub use correlation::{CorrelationScreening, correlation_screening};
pub use matrix::RatingMatrix;
pub use mos::{Opinion, mos_ci95};
pub use panel::{Panel, panel, strengths};
pub use rejection::{Bt500, bt500};
pub use repeats::{Repeat, repeat_mae, test_retest};
pub use screening::{RaterFigures, Screened, Screening, Verdict, screen};

/// The two-sided 95 % quantile of the normal distribution, as ITU-T P.910 and Netflix's sureal round it.
pub const Z95: f64 = 1.95996;
