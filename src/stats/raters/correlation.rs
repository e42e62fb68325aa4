//! Screening by correlation with the panel.

use super::RatingMatrix;
use super::bias::means;
use super::bias::need_raters;
use super::matrix::mean;
use super::matrix::std;
use crate::stats::StatsError;
use crate::stats::plcc;

/// No rater who correlates better than this is turned away.
const MAX_THRESHOLD: f64 = 0.7;

/// Correlations this close to the threshold are at it, so that rounding decides about nobody.
const ROUNDING: f64 = 1e-12;

/// Each rater's correlation with the panel, and who is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct CorrelationScreening {
    /// Pearson's correlation of each rater with the mean opinion scores of the same pictures.
    pub correlation: Vec<Result<f64, StatsError>>,
    /// Raters above it are kept.
    pub threshold: f64,
    /// Whether each rater is rejected. One whose correlation is undefined cannot be shown to go along, and is.
    pub is_rejected: Vec<bool>,
    /// Whether every rater met the condition, so that none was rejected.
    pub all_would_be: bool,
}

/// Keeps raters whose correlation with the panel's means is above min(0.7, mean - standard deviation of all
/// correlations); the deviation is the population's. If all would be rejected, none is.
///
/// **Source** ITU-R BT.1788-1, annex 2, section 3; ITU-T P.913 (06/2021), clause 12.3.
pub fn correlation_screening(matrix: &RatingMatrix) -> Result<CorrelationScreening, StatsError> {
    need_raters(matrix, 2)?;
    let mos = means(matrix);
    let correlation: Vec<_> = (0..matrix.num_raters())
        .map(|rater| with_panel(matrix, rater, &mos))
        .collect();
    let defined: Vec<f64> = correlation.iter().flatten().copied().collect();
    let average = mean(defined.iter().copied()).ok_or(StatsError::AllEqual)?;
    let threshold = (average - std(&defined, 0).unwrap_or(0.0)).min(MAX_THRESHOLD);
    let mut is_rejected: Vec<bool> = correlation
        .iter()
        .map(|r| !r.as_ref().is_ok_and(|r| r - threshold > ROUNDING))
        .collect();
    let all_would_be = is_rejected.iter().all(|is_rejected| *is_rejected);
    if all_would_be {
        is_rejected.fill(false);
    }
    Ok(CorrelationScreening {
        correlation,
        threshold,
        is_rejected,
        all_would_be,
    })
}

fn with_panel(matrix: &RatingMatrix, rater: usize, mos: &[f64]) -> Result<f64, StatsError> {
    let pairs = matrix.column(rater).zip(mos.iter().copied());
    let (own, panel): (Vec<f64>, Vec<f64>) = pairs.filter(|(score, _)| !score.is_nan()).unzip();
    plcc(&own, &panel)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rater_who_always_says_the_same_is_rejected_with_the_reason() -> Result<(), StatsError> {
        let rows: Vec<Vec<f64>> = (1..=5).map(f64::from).map(|v| vec![v, v, 3.0]).collect();
        let screening = correlation_screening(&RatingMatrix::from_rows(&rows)?)?;
        assert_eq!(screening.correlation[2], Err(StatsError::AllEqual));
        assert_eq!(screening.is_rejected, [false, false, true]);
        Ok(())
    }

    #[test]
    fn nobody_is_rejected_when_everybody_would_be() -> Result<(), StatsError> {
        let rows = [
            vec![1.0, 3.0],
            vec![3.0, 1.0],
            vec![2.0, 2.5],
            vec![2.5, 2.0],
        ];
        let screening = correlation_screening(&RatingMatrix::from_rows(&rows)?)?;
        assert!(screening.all_would_be);
        assert_eq!(screening.is_rejected, [false, false]);
        Ok(())
    }
}
