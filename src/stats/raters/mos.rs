//! The mean opinion score and how sure it is.

use super::RatingMatrix;
use super::Z95;
use super::matrix::mean;
use super::matrix::settled;
use super::matrix::std;
use crate::stats::StatsError;

/// What a panel thinks of one picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Opinion {
    /// The mean opinion score.
    pub mos: f64,
    /// Sample standard deviation of the ratings (divided by n - 1); one rating has none.
    pub std: Result<f64, StatsError>,
    /// Half the width of the 95 % confidence interval of the mean; one rating has none.
    pub ci95: Result<f64, StatsError>,
    /// Ratings behind it.
    pub num_ratings: usize,
}

/// Mean and 95 % confidence interval of each picture: 1.95996 s / sqrt(n), s with n - 1.
///
/// **Source** ITU-T P.910 (10/2023), clause 12; ITU-R BT.500-15, annex 1, section 2.2.
pub fn mos_ci95(matrix: &RatingMatrix) -> Vec<Result<Opinion, StatsError>> {
    (0..matrix.num_pictures())
        .map(|picture| opinion(&matrix.scores(picture)))
        .collect()
}

/// The opinion that ratings of one picture come to.
pub(super) fn opinion(scores: &[f64]) -> Result<Opinion, StatsError> {
    let mos =
        mean(scores.iter().copied()).ok_or(StatsError::TooFewRatings { needed: 1, got: 0 })?;
    let std = std(scores, 1).ok_or(StatsError::TooFewRatings {
        needed: 2,
        got: scores.len(),
    });
    Ok(Opinion {
        mos: settled(mos),
        ci95: std
            .clone()
            .map(|std| Z95 * std / (scores.len() as f64).sqrt()),
        std,
        num_ratings: scores.len(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_rating_has_a_mean_and_no_interval() -> Result<(), StatsError> {
        let matrix = RatingMatrix::from_rows(&[vec![4.0, f64::NAN], vec![f64::NAN, f64::NAN]])?;
        let opinions = mos_ci95(&matrix);
        let one = opinions[0].clone()?;
        assert_eq!((one.mos, one.num_ratings), (4.0, 1));
        assert_eq!(
            one.ci95,
            Err(StatsError::TooFewRatings { needed: 2, got: 1 })
        );
        assert_eq!(
            opinions[1],
            Err(StatsError::TooFewRatings { needed: 1, got: 0 })
        );
        Ok(())
    }

    #[test]
    fn ratings_that_agree_have_an_interval_of_no_width() -> Result<(), StatsError> {
        let matrix = RatingMatrix::from_rows(&[vec![0.1, 0.1, 0.1]])?;
        assert!(mos_ci95(&matrix)[0].clone()?.ci95? < 1e-15);
        Ok(())
    }
}
