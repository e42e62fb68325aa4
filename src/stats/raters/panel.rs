//! Everything that a report says of a panel, in one call.

use super::BradleyTerry;
use super::Opinion;
use super::PairCounts;
use super::RatingMatrix;
use super::Repeat;
use super::Screened;
use super::Screening;
use super::agreement::icc2k;
use super::agreement::krippendorff_alpha;
use super::bradley_terry::bradley_terry;
use super::mos_ci95;
use super::repeats::repeat_mae;
use super::repeats::test_retest;
use super::screening::screen;
use crate::stats::StatsError;

/// Ties added to every compared pair where plain strengths are not finite: half a win of either side.
const PRIOR_TIES: f64 = 1.0;

/// A panel's scores, its raters, and how far they agree.
#[derive(Debug, Clone, PartialEq)]
pub struct Panel {
    /// Scores and raters after screening.
    pub screened: Screened,
    /// Plain means of all raters, to see what screening changes.
    pub plain: Vec<Result<Opinion, StatsError>>,
    /// ICC(2,k): how reliable the panel's mean is.
    pub icc2k: Result<f64, StatsError>,
    /// Krippendorff's alpha, interval scale: how far single raters agree.
    pub alpha: Result<f64, StatsError>,
    /// Mean absolute difference of hidden repeats.
    pub repeat_mae: Result<f64, StatsError>,
    /// Rank correlation of hidden repeats.
    pub test_retest: Result<f64, StatsError>,
    /// The mean absolute difference of each rater's repeats.
    pub rater_repeat_mae: Vec<Result<f64, StatsError>>,
}

/// Screens a panel and takes every figure of it. Fails only where there is no rating at all.
pub fn panel(
    matrix: &RatingMatrix,
    repeats: &[Repeat],
    screening: Screening,
) -> Result<Panel, StatsError> {
    let of_rater = |rater: usize| {
        let own = repeats.iter().filter(|repeat| repeat.rater == rater);
        repeat_mae(&own.copied().collect::<Vec<_>>())
    };
    Ok(Panel {
        screened: screen(matrix, screening)?,
        plain: mos_ci95(matrix),
        icc2k: icc2k(matrix),
        alpha: krippendorff_alpha(matrix),
        repeat_mae: repeat_mae(repeats),
        test_retest: test_retest(repeats),
        rater_repeat_mae: (0..matrix.num_raters()).map(of_rater).collect(),
    })
}

/// Strengths by plain maximum likelihood, or, where a picture won or lost every comparison, with a tie added to every
/// pair that was compared ([`BradleyTerry::prior_ties`] says so).
pub fn strengths(counts: &PairCounts) -> Result<BradleyTerry, StatsError> {
    match bradley_terry(counts, 0.0) {
        Err(StatsError::NotConnected { .. }) => bradley_terry(counts, PRIOR_TIES),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_call_has_every_figure_or_its_reason() -> Result<(), StatsError> {
        let rows = [vec![1.0, 2.0], vec![3.0, 3.0], vec![5.0, 4.0]];
        let repeats = [Repeat {
            rater: 1,
            first: 2.0,
            again: 3.0,
        }];
        let panel = panel(&RatingMatrix::from_rows(&rows)?, &repeats, Screening::Bt500)?;
        assert!(panel.icc2k? > 0.8 && panel.alpha? > 0.5);
        assert_eq!(panel.repeat_mae, Ok(1.0));
        assert_eq!(
            panel.rater_repeat_mae,
            [Err(StatsError::NoRepeats), Ok(1.0)]
        );
        assert!(panel.test_retest.is_err(), "one repeat has no correlation");
        Ok(())
    }

    #[test]
    fn strengths_say_whether_ties_were_added() -> Result<(), StatsError> {
        let mut counts = PairCounts::new(2);
        counts.add(0, 1, 1.0);
        assert!((strengths(&counts)?.prior_ties - PRIOR_TIES).abs() < 1e-12);
        counts.add(0, 1, 0.0);
        assert!(strengths(&counts)?.prior_ties.abs() < 1e-12);
        Ok(())
    }
}
