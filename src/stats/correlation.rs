//! Correlations (Pearson, Spearman, Kendall) and the area under the ROC curve, ties honoured.

use std::cmp::Ordering;

use super::StatsError;
use super::error::check_pair;

/// Pearson's linear correlation (PLCC).
pub fn plcc(pred: &[f64], truth: &[f64]) -> Result<f64, StatsError> {
    check_pair(pred, truth, 2)?;
    let (mean_p, mean_t) = (mean(pred), mean(truth));
    let (mut both, mut left, mut right) = (0.0, 0.0, 0.0);
    for (&p, &t) in pred.iter().zip(truth) {
        let (p, t) = (p - mean_p, t - mean_t);
        both += p * t;
        left += p * p;
        right += t * t;
    }
    // Equal values leave a residue of rounding in the sums, so equality is asked of the values.
    if all_equal(pred) || all_equal(truth) || left <= 0.0 || right <= 0.0 {
        return Err(StatsError::AllEqual);
    }
    Ok((both / (left.sqrt() * right.sqrt())).clamp(-1.0, 1.0))
}

/// Spearman's rank correlation (SRCC): Pearson's correlation of average ranks.
pub fn srcc(pred: &[f64], truth: &[f64]) -> Result<f64, StatsError> {
    check_pair(pred, truth, 2)?;
    plcc(&average_ranks(pred), &average_ranks(truth))
}

/// Kendall's tau-b (KRCC), which corrects for ties on either side, in `O(n log n)`.
///
/// **Source** W. R. Knight, "A computer method for calculating Kendall's tau with ungrouped data",
/// JASA 61 (1966): sort by one side, count the exchanges of a merge sort on the other.
pub fn krcc(pred: &[f64], truth: &[f64]) -> Result<f64, StatsError> {
    check_pair(pred, truth, 2)?;
    let mut pairs: Vec<(f64, f64)> = pred.iter().copied().zip(truth.iter().copied()).collect();
    pairs.sort_unstable_by(|a, b| order(a.0, b.0).then(order(a.1, b.1)));
    let tied_left = tied_pairs(pairs.chunk_by(|a, b| same(a.0, b.0)));
    let tied_both = tied_pairs(pairs.chunk_by(|a, b| same(a.0, b.0) && same(a.1, b.1)));
    let mut right: Vec<f64> = pairs.iter().map(|pair| pair.1).collect();
    let exchanges = sort_counting(&mut right);
    let tied_right = tied_pairs(right.chunk_by(|a, b| same(*a, *b)));

    let all = num_pairs(pairs.len());
    if tied_left == all || tied_right == all {
        return Err(StatsError::AllEqual);
    }
    let score = (all + tied_both) as f64 - (tied_left + tied_right) as f64 - 2.0 * exchanges as f64;
    let scale = ((all - tied_left) as f64).sqrt() * ((all - tied_right) as f64).sqrt();
    Ok((score / scale).clamp(-1.0, 1.0))
}

/// Area under the ROC curve: the chance that a value of a picture that has a property is higher than one of a picture
/// that has it not, ties counting half (Mann and Whitney's U over the number of pairs).
///
/// # Errors
/// [`StatsError::AllEqual`] where all have it or none has.
pub fn auc(values: &[f64], has: &[bool]) -> Result<f64, StatsError> {
    let truth: Vec<f64> = has.iter().map(|has| f64::from(u8::from(*has))).collect();
    check_pair(values, &truth, 2)?;
    let with = truth.iter().sum::<f64>();
    let without = truth.len() as f64 - with;
    if with * without == 0.0 {
        return Err(StatsError::AllEqual);
    }
    let ranks = average_ranks(values);
    let sum: f64 = ranks.iter().zip(&truth).map(|(rank, has)| rank * has).sum();
    Ok((sum - with * (with + 1.0) / 2.0) / (with * without))
}

/// Ranks from 1, equal values sharing the mean of their ranks.
pub fn average_ranks(values: &[f64]) -> Vec<f64> {
    let mut by_value: Vec<usize> = (0..values.len()).collect();
    by_value.sort_unstable_by(|&a, &b| order(values[a], values[b]));
    let mut ranks = vec![0.0; values.len()];
    let mut before = 0;
    for group in by_value.chunk_by(|&a, &b| same(values[a], values[b])) {
        let rank = before as f64 + f64::midpoint(group.len() as f64, 1.0);
        for &position in group {
            ranks[position] = rank;
        }
        before += group.len();
    }
    ranks
}

pub(super) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

pub(super) fn all_equal(values: &[f64]) -> bool {
    values.windows(2).all(|pair| same(pair[0], pair[1]))
}

/// Order of finite values. Adding 0 turns -0 into 0: rounded predictions hold both, and they are a tie.
fn order(a: f64, b: f64) -> Ordering {
    (a + 0.0).total_cmp(&(b + 0.0))
}

/// Ties are exact: two scores differ or they do not.
fn same(a: f64, b: f64) -> bool {
    order(a, b) == Ordering::Equal
}

const fn num_pairs(n: usize) -> u64 {
    let n = n as u64;
    n * n.saturating_sub(1) / 2
}

fn tied_pairs<'a, T: 'a>(groups: impl Iterator<Item = &'a [T]>) -> u64 {
    groups.map(|group| num_pairs(group.len())).sum()
}

/// Sorts ascending by merging and counts how many pairs stood the wrong way round.
fn sort_counting(values: &mut [f64]) -> u64 {
    let n = values.len();
    let mut buffer = values.to_vec();
    let mut exchanges = 0;
    let mut width = 1;
    while width < n {
        for start in (0..n).step_by(2 * width) {
            let middle = (start + width).min(n);
            let end = (start + 2 * width).min(n);
            exchanges += merge(&values[start..end], middle - start, &mut buffer[start..end]);
        }
        values.copy_from_slice(&buffer);
        width *= 2;
    }
    exchanges
}

fn merge(runs: &[f64], middle: usize, out: &mut [f64]) -> u64 {
    let (mut left, mut right) = (0, middle);
    let mut exchanges = 0;
    for slot in out {
        let take_right = right < runs.len() && (left == middle || runs[right] < runs[left]);
        if take_right {
            exchanges += (middle - left) as u64;
            *slot = runs[right];
            right += 1;
        } else {
            *slot = runs[left];
            left += 1;
        }
    }
    exchanges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constant_scores_have_no_correlation() {
        let (flat, rising) = ([0.1; 4], [1.0, 2.0, 3.0, 4.0]);
        for figure in [srcc, plcc, krcc] {
            assert_eq!(figure(&flat, &rising), Err(StatsError::AllEqual));
            assert_eq!(figure(&rising, &flat), Err(StatsError::AllEqual));
        }
    }

    #[test]
    fn bad_input_is_refused_with_its_reason() {
        for figure in [srcc, plcc, krcc] {
            assert_eq!(
                figure(&[1.0], &[2.0]),
                Err(StatsError::TooFew { needed: 2, got: 1 })
            );
            assert_eq!(
                figure(&[1.0, 2.0], &[1.0]),
                Err(StatsError::LengthMismatch { left: 2, right: 1 })
            );
            assert_eq!(
                figure(&[1.0, 2.0, 3.0], &[1.0, f64::NAN, 2.0]),
                Err(StatsError::NotFinite { position: 1 })
            );
        }
    }

    #[test]
    fn kendall_equals_the_count_over_all_pairs() {
        let mut random = crate::stats::SplitMix64::new(3);
        for n in [2, 3, 17, 64, 101] {
            let draw = |random: &mut crate::stats::SplitMix64| random.below(7) as f64;
            let left: Vec<f64> = (0..n).map(|_| draw(&mut random)).collect();
            let right: Vec<f64> = (0..n).map(|_| draw(&mut random)).collect();
            let (mut score, mut free_left, mut free_right) = (0.0, 0.0, 0.0);
            for i in 0..n {
                for j in 0..i {
                    let sign = |d: f64| if d == 0.0 { 0.0 } else { d.signum() };
                    let (l, r) = (sign(left[i] - left[j]), sign(right[i] - right[j]));
                    score += l * r;
                    free_left += l * l;
                    free_right += r * r;
                }
            }
            match krcc(&left, &right) {
                Ok(tau) => assert!((tau - score / f64::sqrt(free_left * free_right)).abs() < 1e-12),
                Err(reason) => assert!(free_left * free_right == 0.0, "{reason}"),
            }
        }
    }

    #[test]
    fn zero_and_minus_zero_are_a_tie() {
        let truth = [1.0, 2.0, 3.0, 4.0];
        let with_minus = krcc(&[0.0, -0.0, 1.0, 2.0], &truth);
        assert_eq!(with_minus, krcc(&[0.0, 0.0, 1.0, 2.0], &truth));
    }

    #[test]
    fn ranks_of_ties_are_their_mean() {
        assert_eq!(
            average_ranks(&[2.0, 1.0, 2.0, 5.0, 2.0]),
            [3.0, 1.0, 3.0, 5.0, 3.0]
        );
    }
}
