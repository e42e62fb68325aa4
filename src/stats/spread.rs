//! Mean and standard deviation of a few figures: runs of a cross-validation, or of several seeds.

use super::StatsError;
use super::correlation::mean;
use super::error::check_pair;

/// Mean and sample standard deviation (`n - 1` in the denominator).
///
/// # Errors
///
/// Where there are fewer than two values, or one is not finite.
pub fn mean_and_deviation(values: &[f64]) -> Result<(f64, f64), StatsError> {
    check_pair(values, values, 2)?;
    let mean = mean(values);
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    Ok((mean, (squares / (values.len() - 1) as f64).sqrt()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deviation_is_that_of_a_sample() -> Result<(), StatsError> {
        // NumPy: np.std([2, 4, 4, 5], ddof=1).
        let (mean, deviation) = mean_and_deviation(&[2.0, 4.0, 4.0, 5.0])?;
        assert!((mean - 3.75).abs() < 1e-12 && (deviation - 1.258_305_739_211_791_6).abs() < 1e-12);
        assert!(mean_and_deviation(&[1.0]).is_err());
        Ok(())
    }
}
