//! Whether one set of predictions follows the truth better than another on the same pictures.

use super::Interval;
use super::Resampling;
use super::SplitMix64;
use super::StatsError;
use super::bootstrap::percentile_interval;
use super::error::check_pair;

/// What resampling says of two sets of predictions of the same pictures.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Paired {
    /// Figure of the second set minus figure of the first.
    pub difference: f64,
    /// Percentile interval of the first set's figure.
    pub first: Interval,
    /// Percentile interval of the second set's figure.
    pub second: Interval,
    /// Percentile interval of the difference.
    pub interval: Interval,
    /// Two-sided p-value of no difference: twice the smaller share of resamples on either side of 0, the original
    /// counted in (A. C. Davison, D. V. Hinkley, "Bootstrap methods and their application", 1997, section 4.2).
    pub p_value: f64,
}

/// The paired bootstrap of the difference of `figure` between `second` and `first`: each resample draws pictures with
/// replacement, the same ones for both sets, so that what makes a picture hard for both cancels out.
///
/// Resamples in which either figure is undefined count for neither. Draws are those of
/// [`bootstrap_interval`](super::bootstrap_interval) with the same seed.
///
/// # Errors
///
/// As `figure` on the whole sets; [`StatsError::AllEqual`] where it is undefined in every resample.
pub fn paired_bootstrap(
    first: &[f64],
    second: &[f64],
    truth: &[f64],
    resampling: Resampling,
    figure: impl Fn(&[f64], &[f64]) -> Result<f64, StatsError>,
) -> Result<Paired, StatsError> {
    check_pair(first, truth, 2)?;
    check_pair(second, truth, 2)?;
    if !(resampling.level > 0.0 && resampling.level < 1.0) {
        return Err(StatsError::BadLevel(resampling.level.to_string()));
    }
    let difference = figure(second, truth)? - figure(first, truth)?;
    let n = truth.len();
    let mut random = SplitMix64::new(resampling.seed);
    let (mut firsts, mut seconds, mut differences) = (Vec::new(), Vec::new(), Vec::new());
    let [mut a, mut b, mut t] = [vec![0.0; n], vec![0.0; n], vec![0.0; n]];
    for _ in 0..resampling.count {
        for place in 0..n {
            let drawn = random.below(n as u64) as usize;
            (a[place], b[place], t[place]) = (first[drawn], second[drawn], truth[drawn]);
        }
        if let (Ok(left), Ok(right)) = (figure(&a, &t), figure(&b, &t)) {
            firsts.push(left);
            seconds.push(right);
            differences.push(right - left);
        }
    }
    if differences.is_empty() {
        return Err(StatsError::AllEqual);
    }
    let share = |count: usize| (count + 1) as f64 / (differences.len() + 1) as f64;
    let below = share(differences.iter().filter(|d| **d <= 0.0).count());
    let above = share(differences.iter().filter(|d| **d >= 0.0).count());
    Ok(Paired {
        difference,
        p_value: (2.0 * below.min(above)).min(1.0),
        first: percentile_interval(firsts, resampling.level),
        second: percentile_interval(seconds, resampling.level),
        interval: percentile_interval(differences, resampling.level),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::bootstrap_interval;
    use crate::stats::plcc;
    use crate::stats::srcc;

    const RESAMPLING: Resampling = Resampling {
        count: 300,
        level: 0.95,
        seed: 7,
    };

    fn sets() -> [Vec<f64>; 3] {
        let truth: Vec<f64> = (0..60).map(|i| f64::from(i * 37 % 50) / 10.0).collect();
        let noise = |seed: u64| {
            let mut random = SplitMix64::new(seed);
            move || random.below(1000) as f64 / 1000.0 - 0.5
        };
        let (mut rough, mut fine) = (noise(1), noise(2));
        let first = truth.iter().map(|t| t + 6.0 * rough()).collect();
        let second = truth.iter().map(|t| t + fine()).collect();
        [first, second, truth]
    }

    #[test]
    fn a_better_set_is_found_better() -> Result<(), StatsError> {
        let [first, second, truth] = sets();
        let found = paired_bootstrap(&first, &second, &truth, RESAMPLING, srcc)?;
        assert!(found.difference > 0.0 && found.interval.low > 0.0);
        assert!(found.p_value < 0.05, "{}", found.p_value);
        let alone = bootstrap_interval(&first, &truth, RESAMPLING, srcc)?;
        assert_eq!(found.first, alone, "the same draws");
        Ok(())
    }

    #[test]
    fn a_set_is_no_better_than_itself() -> Result<(), StatsError> {
        let [first, _, truth] = sets();
        let found = paired_bootstrap(&first, &first, &truth, RESAMPLING, plcc)?;
        assert!(found.difference.abs() < 1e-15 && found.p_value >= 1.0);
        Ok(())
    }

    #[test]
    fn what_is_undefined_says_why() {
        let [first, _, truth] = sets();
        let flat = vec![2.0; truth.len()];
        let result = paired_bootstrap(&first, &flat, &truth, RESAMPLING, srcc);
        assert_eq!(result, Err(StatsError::AllEqual));
        let result = paired_bootstrap(&first[1..], &first, &truth, RESAMPLING, srcc);
        assert!(matches!(result, Err(StatsError::LengthMismatch { .. })));
        let wrong = Resampling {
            level: 0.0,
            ..RESAMPLING
        };
        let result = paired_bootstrap(&first, &first, &truth, wrong, srcc);
        assert!(matches!(result, Err(StatsError::BadLevel(_))));
    }
}
