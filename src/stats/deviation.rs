//! How far predictions lie from the truth, on the scale of the truth.

use super::StatsError;
use super::error::check_pair;

/// Root mean square error.
pub fn rmse(pred: &[f64], truth: &[f64]) -> Result<f64, StatsError> {
    check_pair(pred, truth, 1)?;
    let sum: f64 = pred.iter().zip(truth).map(|(p, t)| (p - t).powi(2)).sum();
    Ok((sum / pred.len() as f64).sqrt())
}

/// Mean absolute error.
pub fn mae(pred: &[f64], truth: &[f64]) -> Result<f64, StatsError> {
    check_pair(pred, truth, 1)?;
    let sum: f64 = pred.iter().zip(truth).map(|(p, t)| (p - t).abs()).sum();
    Ok(sum / pred.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_picture_is_enough_for_an_error_and_none_is_not() {
        assert_eq!(rmse(&[1.0], &[3.0]), Ok(2.0));
        assert_eq!(mae(&[1.0], &[3.0]), Ok(2.0));
        assert_eq!(
            rmse(&[], &[]),
            Err(StatsError::TooFew { needed: 1, got: 0 })
        );
    }
}
