//! How far raters agree with themselves, from hidden repeats.

use crate::stats::StatsError;
use crate::stats::mae;
use crate::stats::srcc;

/// A picture that a rater was shown twice.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Repeat {
    /// The rater's column.
    pub rater: usize,
    /// The score at first sight.
    pub first: f64,
    /// The score at the repeat.
    pub again: f64,
}

/// Mean absolute difference between the two scores.
pub fn repeat_mae(repeats: &[Repeat]) -> Result<f64, StatsError> {
    let (first, again) = sides(repeats)?;
    mae(&again, &first)
}

/// Rank correlation of the two scores (test-retest SRCC).
pub fn test_retest(repeats: &[Repeat]) -> Result<f64, StatsError> {
    let (first, again) = sides(repeats)?;
    srcc(&again, &first)
}

fn sides(repeats: &[Repeat]) -> Result<(Vec<f64>, Vec<f64>), StatsError> {
    if repeats.is_empty() {
        return Err(StatsError::NoRepeats);
    }
    Ok(repeats
        .iter()
        .map(|repeat| (repeat.first, repeat.again))
        .unzip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_give_an_error_and_a_correlation() {
        let repeat = |first, again| Repeat {
            rater: 0,
            first,
            again,
        };
        let repeats = [repeat(1.0, 2.0), repeat(3.0, 3.0), repeat(5.0, 4.0)];
        assert_eq!(repeat_mae(&repeats), Ok(2.0 / 3.0));
        assert!(test_retest(&repeats).is_ok_and(|srcc| (srcc - 1.0).abs() < 1e-12));
        assert_eq!(repeat_mae(&[]), Err(StatsError::NoRepeats));
        let flat = [repeat(3.0, 3.0), repeat(3.0, 3.0)];
        assert_eq!(test_retest(&flat), Err(StatsError::AllEqual));
    }
}
