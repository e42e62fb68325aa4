//! How far a figure would move with another draw of pictures.

use super::StatsError;
use super::error::check_pair;

/// A percentile interval of a figure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Resamples in which the figure was defined, of those that were asked for.
    pub defined: usize,
}

/// How often and how wide to resample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Resampling {
    /// Number of resamples.
    pub count: usize,
    /// Confidence level, e.g. 0.95.
    pub level: f64,
    /// Seed of the draw: the same seed gives the same interval.
    pub seed: u64,
}

/// The percentile bootstrap interval of `figure` over pairs drawn with replacement.
///
/// Percentiles interpolate linearly between order statistics, as NumPy's default does.
pub fn bootstrap_interval(
    pred: &[f64],
    truth: &[f64],
    resampling: Resampling,
    figure: impl Fn(&[f64], &[f64]) -> Result<f64, StatsError>,
) -> Result<Interval, StatsError> {
    check_pair(pred, truth, 2)?;
    if !(resampling.level > 0.0 && resampling.level < 1.0) {
        return Err(StatsError::BadLevel(resampling.level.to_string()));
    }
    figure(pred, truth)?;
    let n = pred.len();
    let mut random = SplitMix64::new(resampling.seed);
    let (mut left, mut right) = (vec![0.0; n], vec![0.0; n]);
    let mut values = Vec::with_capacity(resampling.count);
    for _ in 0..resampling.count {
        for (l, r) in left.iter_mut().zip(&mut right) {
            let position = random.below(n as u64) as usize;
            *l = pred[position];
            *r = truth[position];
        }
        values.extend(figure(&left, &right));
    }
    if values.is_empty() {
        return Err(StatsError::AllEqual);
    }
    Ok(percentile_interval(values, resampling.level))
}

/// The interval that holds the middle `level` of the values, of which there must be one at least.
pub(super) fn percentile_interval(mut values: Vec<f64>, level: f64) -> Interval {
    values.sort_unstable_by(f64::total_cmp);
    let tail = (1.0 - level) / 2.0;
    Interval {
        low: percentile(&values, tail),
        high: percentile(&values, 1.0 - tail),
        defined: values.len(),
    }
}

/// A small generator of random numbers, so that figures need no library for it.
///
/// **Source** G. Steele, D. Lea, C. Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
#[derive(Debug, Clone)]
pub struct SplitMix64(u64);

impl SplitMix64 {
    /// A generator; equal seeds give equal numbers.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub const fn next_bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A whole number below `bound` (which must not be 0): the high half of the 128-bit product,
    /// whose bias of at most `bound / 2^64` no resampling can notice.
    pub const fn below(&mut self, bound: u64) -> u64 {
        ((self.next_bits() as u128 * bound as u128) >> 64) as u64
    }
}

/// FNV-1a of a text: tells one name's random numbers, or one run's notes, from another's.
///
/// **Source** G. Fowler, L. C. Noll, K.-P. Vo, D. Eastlake, "The FNV non-cryptographic hash algorithm".
pub fn fnv1a(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

fn percentile(sorted: &[f64], share: f64) -> f64 {
    let place = share * (sorted.len() - 1) as f64;
    let below = place.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (sorted[above] - sorted[below]) * (place - below as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::plcc;

    const RESAMPLING: Resampling = Resampling {
        count: 200,
        level: 0.95,
        seed: 7,
    };

    #[test]
    fn the_same_seed_gives_the_same_interval() -> Result<(), StatsError> {
        let pred: Vec<f64> = (0..40).map(|i| f64::from(i % 9)).collect();
        let truth: Vec<f64> = (0..40).map(|i| f64::from(i % 7)).collect();
        let first = bootstrap_interval(&pred, &truth, RESAMPLING, plcc)?;
        assert_eq!(first, bootstrap_interval(&pred, &truth, RESAMPLING, plcc)?);
        assert!(first.low < first.high);
        Ok(())
    }

    #[test]
    fn an_undefined_figure_has_no_interval() {
        let result = bootstrap_interval(&[1.0; 5], &[1.0, 2.0, 3.0, 4.0, 5.0], RESAMPLING, plcc);
        assert_eq!(result, Err(StatsError::AllEqual));
    }

    #[test]
    fn a_level_outside_its_range_is_refused() {
        let wrong = Resampling {
            level: 1.0,
            ..RESAMPLING
        };
        let result = bootstrap_interval(&[1.0, 2.0], &[1.0, 2.0], wrong, plcc);
        assert!(matches!(result, Err(StatsError::BadLevel(_))));
    }
}
