//! Rejection of raters who often stand far off on both sides.

use super::RatingMatrix;
use super::bias::need_raters;
use super::matrix::all_equal;
use super::matrix::mean;
use super::matrix::present;
use super::matrix::std;
use crate::stats::StatsError;

/// Share of far-off ratings above which a rater is looked at.
const MAX_SHARE: f64 = 0.05;
/// Imbalance of far-off ratings below which they are erratic rather than a bias.
const MAX_IMBALANCE: f64 = 0.3;

/// The screening of ITU-R BT.500, and its counts.
#[derive(Debug, Clone, PartialEq)]
pub struct Bt500 {
    /// How often each rater stood far above the panel (P).
    pub above: Vec<usize>,
    /// How often each rater stood far below the panel (Q).
    pub below: Vec<usize>,
    /// (P + Q) / pictures of each rater.
    pub share: Vec<f64>,
    /// |P - Q| / (P + Q) of each rater; `None` where neither ever happened.
    pub imbalance: Vec<Option<f64>>,
    /// Whether each rater is rejected.
    pub is_rejected: Vec<bool>,
    /// Whether every rater met the condition, so that none was rejected.
    pub all_would_be: bool,
}

/// Rejects raters of whom more than 5 % of ratings stand far off, on both sides about as often. Far off is two
/// standard deviations where the ratings of the picture look normal (kurtosis 2 to 4), sqrt(20) elsewhere. If all
/// would be rejected, none is. Ratings of a picture that all agree put nobody far off.
///
/// **Source** ITU-R BT.500-15, annex 1, section 2.3.1.
pub fn bt500(matrix: &RatingMatrix) -> Result<Bt500, StatsError> {
    need_raters(matrix, 2)?;
    let num = matrix.num_raters();
    let (mut above, mut below) = (vec![0; num], vec![0; num]);
    for row in matrix.rows() {
        let Some((low, high)) = usual_range(row) else {
            continue;
        };
        for (rater, score) in row.iter().enumerate() {
            above[rater] += usize::from(*score >= high);
            below[rater] += usize::from(*score <= low);
        }
    }
    Ok(judge(above, below, matrix.num_pictures()))
}

/// Scores at or beyond these are far off; `None` where all agree, or nobody rated.
fn usual_range(row: &[f64]) -> Option<(f64, f64)> {
    let scores = present(row.iter().copied());
    if all_equal(scores.iter().copied()) {
        return None;
    }
    let mu = mean(scores.iter().copied())?;
    let sigma = std(&scores, 0)?;
    let moment = |power: i32| mean(scores.iter().map(|score| (score - mu).powi(power)));
    let kurtosis = moment(4)? / moment(2)?.powi(2);
    let width = if (2.0..=4.0).contains(&kurtosis) {
        2.0
    } else {
        20.0_f64.sqrt()
    };
    Some((mu - width * sigma, mu + width * sigma))
}

fn judge(above: Vec<usize>, below: Vec<usize>, num_pictures: usize) -> Bt500 {
    let sides = || above.iter().zip(&below);
    let share: Vec<f64> = sides()
        .map(|(p, q)| (p + q) as f64 / num_pictures as f64)
        .collect();
    let imbalance: Vec<Option<f64>> = sides()
        .map(|(p, q)| (p + q > 0).then(|| p.abs_diff(*q) as f64 / (p + q) as f64))
        .collect();
    let mut is_rejected: Vec<bool> = share
        .iter()
        .zip(&imbalance)
        .map(|(share, imbalance)| {
            *share > MAX_SHARE && imbalance.is_some_and(|imbalance| imbalance < MAX_IMBALANCE)
        })
        .collect();
    let all_would_be = is_rejected.iter().all(|is_rejected| *is_rejected);
    if all_would_be {
        is_rejected.fill(false);
    }
    Bt500 {
        above,
        below,
        share,
        imbalance,
        is_rejected,
        all_would_be,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratings_that_all_agree_put_nobody_far_off() -> Result<(), StatsError> {
        let screening = bt500(&RatingMatrix::from_rows(&vec![vec![0.1; 6]; 20])?)?;
        assert_eq!((screening.above, screening.below), (vec![0; 6], vec![0; 6]));
        assert_eq!(screening.imbalance, vec![None; 6]);
        assert!(screening.is_rejected.iter().all(|is_rejected| !is_rejected));
        Ok(())
    }

    #[test]
    fn nobody_is_rejected_when_everybody_would_be() {
        let screening = judge(vec![3, 4], vec![3, 4], 20);
        assert!(screening.all_would_be);
        assert_eq!(screening.is_rejected, [false, false]);
        let screening = judge(vec![3, 0], vec![3, 0], 20);
        assert_eq!(screening.is_rejected, [true, false]);
    }

    #[test]
    fn a_rater_who_is_far_off_on_one_side_only_is_biased_and_stays() {
        assert_eq!(
            judge(vec![9, 0], vec![0, 0], 20).is_rejected,
            [false, false]
        );
    }
}
