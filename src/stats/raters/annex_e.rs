//! Scores, biases and inconsistencies estimated together.

use super::RatingMatrix;
use super::bias::biases;
use super::bias::means;
use super::bias::need_raters;
use super::matrix::mean;
use super::matrix::present;
use super::matrix::settled;
use super::matrix::std;
use crate::stats::StatsError;

/// Below this change of all scores together the estimate has settled.
const SETTLED: f64 = 1e-8;
/// Keeps the weight of a rater without any deviation finite.
const EPSILON: f64 = 1e-8;
/// Rounds after which the estimate is taken as it stands.
const MAX_ITERATIONS: usize = 1000;

/// Scores and raters as ITU-T P.910 annex E estimates them together.
#[derive(Debug, Clone, PartialEq)]
pub struct AnnexE {
    /// Each picture's score.
    pub mos: Vec<f64>,
    /// Each picture's standard deviation of the score (SOS), from the spread of its own residuals.
    pub sos: Vec<f64>,
    /// Each rater's bias; they sum to 0.
    pub bias: Vec<f64>,
    /// Each rater's inconsistency: the standard deviation of what bias and score leave unexplained.
    pub inconsistency: Vec<f64>,
    /// Rounds that it took.
    pub num_iterations: usize,
}

/// Estimates scores, biases and inconsistencies by alternating projection; a rater weighs by the inverse square of
/// the inconsistency, so nobody needs to be rejected. Every picture needs a rating, and every rater two.
///
/// **Source** ITU-T P.910 (10/2023), annex E, and ITU-T P.913 (06/2021), clause 12.6; equal to Netflix's sureal
/// (`P910AnnexEModel`).
pub fn p910_annex_e(matrix: &RatingMatrix) -> Result<AnnexE, StatsError> {
    need_raters(matrix, 2)?;
    check_filled(matrix)?;
    let mut psi = means(matrix);
    let mut bias: Vec<f64> = biases(matrix).into_iter().flatten().collect();
    let mut num_iterations = 0;
    let residual = loop {
        let residual = matrix.map(|picture, rater, score| score - psi[picture] - bias[rater]);
        let weights: Vec<f64> = column_stds(&residual)
            .iter()
            .map(|sigma| 1.0 / (sigma.powi(2) + EPSILON))
            .collect();
        let next = weighted_means(matrix, &bias, &weights);
        bias = (0..matrix.num_raters())
            .map(|rater| {
                let apart = matrix.column(rater).zip(&next);
                mean(apart.map(|(score, psi)| score - psi)).unwrap_or(0.0)
            })
            .collect();
        num_iterations += 1;
        let moved: f64 = psi.iter().zip(&next).map(|(a, b)| (a - b).powi(2)).sum();
        psi = next;
        if moved.sqrt() < SETTLED || num_iterations >= MAX_ITERATIONS {
            break residual;
        }
    };
    let shift = mean(bias.iter().copied()).unwrap_or(0.0);
    Ok(AnnexE {
        mos: psi.iter().map(|psi| settled(psi + shift)).collect(),
        sos: residual.rows().map(sos).collect(),
        bias: bias.iter().map(|bias| settled(bias - shift)).collect(),
        inconsistency: column_stds(&residual),
        num_iterations,
    })
}

fn check_filled(matrix: &RatingMatrix) -> Result<(), StatsError> {
    if matrix
        .rows()
        .any(|row| row.iter().all(|score| score.is_nan()))
    {
        return Err(StatsError::TooFewRatings { needed: 1, got: 0 });
    }
    let fewest = (0..matrix.num_raters())
        .map(|rater| matrix.num_rated(rater))
        .min();
    match fewest {
        Some(got) if got < 2 => Err(StatsError::TooFewRatings { needed: 2, got }),
        _ => Ok(()),
    }
}

fn column_stds(residual: &RatingMatrix) -> Vec<f64> {
    (0..residual.num_raters())
        .map(|rater| std(&present(residual.column(rater)), 0).unwrap_or(0.0))
        .collect()
}

fn weighted_means(matrix: &RatingMatrix, bias: &[f64], weights: &[f64]) -> Vec<f64> {
    let of_row = |row: &[f64]| {
        let (mut sum, mut total) = (0.0, 0.0);
        for ((score, bias), weight) in row.iter().zip(bias).zip(weights) {
            if !score.is_nan() {
                sum += weight * (score - bias);
                total += weight;
            }
        }
        sum / total
    };
    matrix.rows().map(of_row).collect()
}

/// 1 / sqrt(sum of 1 / sigma^2 over the picture's ratings).
fn sos(residuals: &[f64]) -> f64 {
    let residuals = present(residuals.iter().copied());
    let sigma = std(&residuals, 0).unwrap_or(0.0);
    sigma / (residuals.len() as f64).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raters_who_differ_by_bias_alone_are_consistent() -> Result<(), StatsError> {
        let rows: Vec<Vec<f64>> = (1..=5).map(f64::from).map(|v| vec![v, v + 1.0]).collect();
        let estimate = p910_annex_e(&RatingMatrix::from_rows(&rows)?)?;
        assert!((estimate.bias[1] - 0.5).abs() < 1e-12);
        assert!(estimate.inconsistency.iter().all(|sigma| *sigma < 1e-12));
        assert!((estimate.mos[2] - 3.5).abs() < 1e-12);
        Ok(())
    }

    #[test]
    fn equal_ratings_stay_tied_whoever_gave_them() -> Result<(), StatsError> {
        // One rater a picture, as in a study that has just begun: nothing tells raters apart, and nothing may tell
        // equal answers apart.
        let rows: Vec<Vec<f64>> = (0..60)
            .map(|picture: usize| {
                let mut row = vec![f64::NAN; 7];
                row[picture % 7] = (picture * 5 % 11) as f64 / 10.0 + 1.0;
                row
            })
            .collect();
        let matrix = RatingMatrix::from_rows(&rows)?;
        let estimate = p910_annex_e(&matrix)?;
        let plain = means(&matrix);
        let srcc = crate::stats::srcc(&estimate.mos, &plain)?;
        assert!((srcc - 1.0).abs() < 1e-12, "{srcc}");
        Ok(())
    }

    #[test]
    fn undefined_cases_say_why() -> Result<(), StatsError> {
        let one = RatingMatrix::from_rows(&[vec![1.0], vec![2.0]])?;
        assert_eq!(
            p910_annex_e(&one),
            Err(StatsError::TooFewRaters { needed: 2, got: 1 })
        );
        let nan = f64::NAN;
        let sparse = RatingMatrix::from_rows(&[vec![1.0, 2.0], vec![2.0, nan], vec![1.0, nan]])?;
        assert_eq!(
            p910_annex_e(&sparse),
            Err(StatsError::TooFewRatings { needed: 2, got: 1 })
        );
        Ok(())
    }
}
