//! How far raters agree with one another.

use super::RatingMatrix;
use super::bias::need_raters;
use super::matrix::all_equal;
use super::matrix::mean;
use crate::stats::StatsError;

/// ICC(2,k): reliability of the mean of all raters, raters taken as a sample, absolute agreement. Only pictures that
/// every rater rated count, as the analysis of variance needs a full table.
///
/// **Source** P. E. Shrout, J. L. Fleiss, "Intraclass correlations: uses in assessing rater reliability",
/// Psychological Bulletin 86 (1979); also named ICC(A,k). Equal to pingouin's.
pub fn icc2k(matrix: &RatingMatrix) -> Result<f64, StatsError> {
    need_raters(matrix, 2)?;
    let rated = |rater| matrix.num_rated(rater) > 0;
    let matrix = &matrix.keep_raters(&(0..matrix.num_raters()).map(rated).collect::<Vec<_>>());
    let whole: Vec<&[f64]> = matrix
        .rows()
        .filter(|row| row.iter().all(|score| !score.is_nan()))
        .collect();
    if whole.len() < 2 {
        return Err(StatsError::TooFewShared {
            needed: 2,
            got: whole.len(),
        });
    }
    if all_equal(whole.iter().flat_map(|row| row.iter().copied())) {
        return Err(StatsError::NoSpread);
    }
    let (n, k) = (whole.len() as f64, matrix.num_raters() as f64);
    let average = |scores: &mut dyn Iterator<Item = f64>| mean(scores).unwrap_or(f64::NAN);
    let total = average(&mut whole.iter().flat_map(|row| row.iter().copied()));
    let rows: Vec<f64> = whole
        .iter()
        .map(|row| average(&mut row.iter().copied()))
        .collect();
    let columns: Vec<f64> = (0..matrix.num_raters())
        .map(|rater| average(&mut whole.iter().map(|row| row[rater])))
        .collect();
    let squares = |means: &[f64]| means.iter().map(|mean| (mean - total).powi(2)).sum::<f64>();
    let mut rest = 0.0;
    for (row, row_mean) in whole.iter().zip(&rows) {
        for (score, column_mean) in row.iter().zip(&columns) {
            rest += (score - row_mean - column_mean + total).powi(2);
        }
    }
    let between_pictures = k * squares(&rows) / (n - 1.0);
    let between_raters = n * squares(&columns) / (k - 1.0);
    let rest = rest / ((n - 1.0) * (k - 1.0));
    let scale = between_pictures + (between_raters - rest) / n;
    if scale <= 0.0 {
        return Err(StatsError::NoSpread);
    }
    Ok((between_pictures - rest) / scale)
}

/// Krippendorff's alpha for an interval scale; ratings may be missing. Pictures with one rating do not count.
///
/// **Source** K. Krippendorff, "Computing Krippendorff's alpha-reliability" (2011). Equal to the Python package
/// `krippendorff`.
pub fn krippendorff_alpha(matrix: &RatingMatrix) -> Result<f64, StatsError> {
    need_raters(matrix, 2)?;
    let units: Vec<Vec<f64>> = (0..matrix.num_pictures())
        .map(|picture| matrix.scores(picture))
        .filter(|scores| scores.len() > 1)
        .collect();
    if units.is_empty() {
        return Err(StatsError::TooFewShared { needed: 1, got: 0 });
    }
    let all: Vec<f64> = units.iter().flatten().copied().collect();
    if all_equal(all.iter().copied()) {
        return Err(StatsError::NoSpread);
    }
    // The sum of (a - b)^2 over ordered pairs is 2 m times the sum of squares around the mean.
    let observed: f64 = units
        .iter()
        .map(|unit| 2.0 * unit.len() as f64 * around_mean(unit) / (unit.len() as f64 - 1.0))
        .sum();
    let num = all.len() as f64;
    let expected = 2.0 * num * around_mean(&all) / (num - 1.0);
    Ok(1.0 - observed / expected)
}

fn around_mean(scores: &[f64]) -> f64 {
    let mean = mean(scores.iter().copied()).unwrap_or(f64::NAN);
    scores.iter().map(|score| (score - mean).powi(2)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raters_who_say_the_same_agree_wholly() -> Result<(), StatsError> {
        let rows: Vec<Vec<f64>> = (1..=5).map(f64::from).map(|v| vec![v; 3]).collect();
        let matrix = RatingMatrix::from_rows(&rows)?;
        assert!((icc2k(&matrix)? - 1.0).abs() < 1e-12);
        assert!((krippendorff_alpha(&matrix)? - 1.0).abs() < 1e-12);
        Ok(())
    }

    #[test]
    fn agreement_without_spread_or_shared_pictures_is_undefined() -> Result<(), StatsError> {
        let flat = RatingMatrix::from_rows(&vec![vec![3.0; 3]; 4])?;
        assert_eq!(icc2k(&flat), Err(StatsError::NoSpread));
        assert_eq!(krippendorff_alpha(&flat), Err(StatsError::NoSpread));
        let nan = f64::NAN;
        let apart = RatingMatrix::from_rows(&[vec![1.0, nan], vec![nan, 2.0]])?;
        assert_eq!(
            icc2k(&apart),
            Err(StatsError::TooFewShared { needed: 2, got: 0 })
        );
        assert_eq!(
            krippendorff_alpha(&apart),
            Err(StatsError::TooFewShared { needed: 1, got: 0 })
        );
        let alone = RatingMatrix::from_rows(&[vec![1.0], vec![2.0]])?;
        assert_eq!(
            icc2k(&alone),
            Err(StatsError::TooFewRaters { needed: 2, got: 1 })
        );
        Ok(())
    }
}
