//! A rater's bias, and opinion scores without it.

use super::Opinion;
use super::RatingMatrix;
use super::matrix::mean;
use super::mos_ci95;
use crate::stats::StatsError;

/// Opinion scores with every rater's bias taken off.
#[derive(Debug, Clone, PartialEq)]
pub struct BiasRemoved {
    /// Each rater's bias: how much higher than the panel the rater scores; `None` for one without ratings.
    pub bias: Vec<Option<f64>>,
    /// Each picture's opinion after it.
    pub pictures: Vec<Result<Opinion, StatsError>>,
}

/// Takes each rater's mean distance from the panel off the rater's scores, then averages again.
///
/// **Source** ITU-T P.913 (06/2021), clause 12.4.
pub fn p913_bias(matrix: &RatingMatrix) -> Result<BiasRemoved, StatsError> {
    need_raters(matrix, 2)?;
    let bias = biases(matrix);
    let unbiased = matrix.map(|_, rater, score| score - bias[rater].unwrap_or(0.0));
    Ok(BiasRemoved {
        pictures: mos_ci95(&unbiased),
        bias,
    })
}

/// Each rater's mean distance from the mean opinion scores.
pub(super) fn biases(matrix: &RatingMatrix) -> Vec<Option<f64>> {
    let mos = means(matrix);
    (0..matrix.num_raters())
        .map(|rater| {
            mean(
                matrix
                    .column(rater)
                    .zip(&mos)
                    .map(|(score, mos)| score - mos),
            )
        })
        .collect()
}

/// Each picture's plain mean; NaN where it has no rating.
pub(super) fn means(matrix: &RatingMatrix) -> Vec<f64> {
    matrix
        .rows()
        .map(|row| mean(row.iter().copied()).unwrap_or(f64::NAN))
        .collect()
}

/// Refuses a panel of fewer raters: nobody can be held against the others.
pub(super) fn need_raters(matrix: &RatingMatrix, needed: usize) -> Result<(), StatsError> {
    let got = (0..matrix.num_raters())
        .filter(|rater| matrix.num_rated(*rater) > 0)
        .count();
    if got < needed {
        return Err(StatsError::TooFewRaters { needed, got });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rater_who_scores_higher_throughout_changes_no_order() -> Result<(), StatsError> {
        let rows = [vec![1.0, 3.0], vec![2.0, 4.0], vec![3.0, 5.0]];
        let removed = p913_bias(&RatingMatrix::from_rows(&rows)?)?;
        assert_eq!(removed.bias, [Some(-1.0), Some(1.0)]);
        for (opinion, mos) in removed.pictures.into_iter().zip([2.0, 3.0, 4.0]) {
            let opinion = opinion?;
            assert_eq!((opinion.mos, opinion.ci95), (mos, Ok(0.0)));
        }
        Ok(())
    }

    #[test]
    fn one_rater_has_nobody_to_differ_from() -> Result<(), StatsError> {
        let matrix = RatingMatrix::from_rows(&[vec![1.0, f64::NAN], vec![2.0, f64::NAN]])?;
        assert_eq!(
            p913_bias(&matrix),
            Err(StatsError::TooFewRaters { needed: 2, got: 1 })
        );
        Ok(())
    }
}
