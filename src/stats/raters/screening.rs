//! One door to all ways of making scores of ratings: what each rater is like, who is kept, what pictures get.

use std::fmt;
use std::str::FromStr;

use super::Opinion;
use super::RatingMatrix;
use super::Z95;
use super::annex_e::p910_annex_e;
use super::bias::biases;
use super::bias::means;
use super::bias::need_raters;
use super::bias::p913_bias;
use super::correlation::correlation_screening;
use super::matrix::present;
use super::matrix::std;
use super::mos_ci95;
use super::rejection::bt500;
use crate::stats::StatsError;
use crate::stats::signed;

/// How ratings become scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Screening {
    /// Plain means of all raters.
    None,
    /// ITU-R BT.500: erratic raters are rejected.
    Bt500,
    /// ITU-T P.913, clause 12.4: each rater's bias is taken off.
    P913Bias,
    /// Raters who do not correlate with the panel are rejected.
    Correlation,
    /// ITU-T P.910, annex E: raters weigh by their consistency.
    #[default]
    P910AnnexE,
}

/// A panel's scores and what its raters are like.
#[derive(Debug, Clone, PartialEq)]
pub struct Screened {
    /// How it was made.
    pub screening: Screening,
    /// Each picture's score; with annex E the interval is 1.95996 times its SOS.
    pub pictures: Vec<Result<Opinion, StatsError>>,
    /// Each rater.
    pub raters: Vec<RaterFigures>,
    /// Why no screening took place and the scores are plain means, where that is so.
    pub not_screened: Option<StatsError>,
    /// Rounds of annex E.
    pub num_iterations: Option<usize>,
}

/// What one rater is like.
#[derive(Debug, Clone, PartialEq)]
pub struct RaterFigures {
    /// Pictures rated.
    pub num_ratings: usize,
    /// How much higher than the panel the rater scores.
    pub bias: Result<f64, StatsError>,
    /// Standard deviation of what the bias leaves unexplained.
    pub inconsistency: Result<f64, StatsError>,
    /// Correlation with the panel's means, Pearson's.
    pub correlation: Result<f64, StatsError>,
    /// What the screening says.
    pub verdict: Verdict,
}

/// What a screening says of a rater.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Whether the rater's ratings were left out.
    pub is_rejected: bool,
    /// Why, or why not, with the figures that decided.
    pub reason: String,
}

impl Screening {
    /// Every way, plainest first.
    pub const ALL: [Self; 5] = [
        Self::None,
        Self::Bt500,
        Self::P913Bias,
        Self::Correlation,
        Self::P910AnnexE,
    ];

    /// The word on the command line and in files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Bt500 => "bt500",
            Self::P913Bias => "p913",
            Self::Correlation => "correlation",
            Self::P910AnnexE => "p910",
        }
    }

    /// What people call it.
    pub const fn label(self) -> &'static str {
        match self {
            Self::None => "Plain means",
            Self::Bt500 => "ITU-R BT.500 rejection",
            Self::P913Bias => "ITU-T P.913 bias removal",
            Self::Correlation => "Correlation with the panel",
            Self::P910AnnexE => "ITU-T P.910 annex E",
        }
    }
}

impl fmt::Display for Screening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Screening {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let word = text.trim().to_ascii_lowercase();
        Self::ALL
            .into_iter()
            .find(|screening| screening.name() == word)
            .ok_or_else(|| format!("expected none, bt500, p913, correlation or p910, got {text:?}"))
    }
}

/// Screens the raters and scores the pictures. Where the way asked for is undefined (one rater, say), scores are plain
/// means and the reason is in `not_screened`. A rater without ratings, or with too few for annex E, is left out and
/// told so. Fails only where there is no rating at all.
pub fn screen(matrix: &RatingMatrix, screening: Screening) -> Result<Screened, StatsError> {
    if matrix.num_ratings() == 0 {
        return Err(StatsError::TooFewRatings { needed: 1, got: 0 });
    }
    let screened = match screening {
        Screening::None => Ok(plain(matrix)),
        Screening::Bt500 => by_bt500(matrix),
        Screening::P913Bias => by_bias(matrix),
        Screening::Correlation => by_correlation(matrix),
        Screening::P910AnnexE => by_annex_e(matrix),
    };
    Ok(screened.unwrap_or_else(|why| Screened {
        screening,
        not_screened: Some(why),
        ..plain(matrix)
    }))
}

fn plain(matrix: &RatingMatrix) -> Screened {
    Screened {
        screening: Screening::None,
        pictures: mos_ci95(matrix),
        raters: figures(matrix, |_| {
            Verdict::kept("everybody counts the same".to_owned())
        }),
        not_screened: None,
        num_iterations: None,
    }
}

fn by_bt500(matrix: &RatingMatrix) -> Result<Screened, StatsError> {
    let result = bt500(matrix)?;
    let verdict = |rater: usize| {
        let (above, below) = (result.above[rater], result.below[rater]);
        let imbalance = result.imbalance[rater].map_or_else(
            || "no imbalance".to_owned(),
            |imbalance| format!("imbalance {imbalance:.2} (rejected below 0.30)"),
        );
        let mut reason = format!(
            "far above the panel {above} times, far below {below} times: {:.1} % of pictures (rejected above 5 %), {imbalance}",
            100.0 * result.share[rater]
        );
        if result.all_would_be {
            reason.push_str("; all raters would be rejected, so none is");
        }
        Verdict {
            is_rejected: result.is_rejected[rater],
            reason,
        }
    };
    Ok(rejecting(
        matrix,
        Screening::Bt500,
        &result.is_rejected,
        verdict,
    ))
}

fn by_correlation(matrix: &RatingMatrix) -> Result<Screened, StatsError> {
    let result = correlation_screening(matrix)?;
    let verdict = |rater: usize| {
        let mut reason = match &result.correlation[rater] {
            Ok(r) => format!(
                "correlation {r:.3} with the panel (kept above {:.3})",
                result.threshold
            ),
            Err(why) => format!("cannot be held against the panel: {why}"),
        };
        if result.all_would_be {
            reason.push_str("; all raters would be rejected, so none is");
        }
        Verdict {
            is_rejected: result.is_rejected[rater],
            reason,
        }
    };
    Ok(rejecting(
        matrix,
        Screening::Correlation,
        &result.is_rejected,
        verdict,
    ))
}

fn rejecting(
    matrix: &RatingMatrix,
    screening: Screening,
    is_rejected: &[bool],
    verdict: impl Fn(usize) -> Verdict,
) -> Screened {
    let keep: Vec<bool> = is_rejected.iter().map(|is_rejected| !is_rejected).collect();
    Screened {
        screening,
        pictures: mos_ci95(&matrix.keep_raters(&keep)),
        raters: figures(matrix, verdict),
        not_screened: None,
        num_iterations: None,
    }
}

fn by_bias(matrix: &RatingMatrix) -> Result<Screened, StatsError> {
    let result = p913_bias(matrix)?;
    let verdict = |rater: usize| {
        Verdict::kept(result.bias[rater].map_or_else(
            || "no ratings".to_owned(),
            |bias| format!("a bias of {} was taken off", signed(bias, 2)),
        ))
    };
    Ok(Screened {
        screening: Screening::P913Bias,
        raters: figures(matrix, verdict),
        pictures: result.pictures,
        not_screened: None,
        num_iterations: None,
    })
}

/// Annex E on the raters with two ratings and more, and the pictures that they rated.
fn by_annex_e(matrix: &RatingMatrix) -> Result<Screened, StatsError> {
    let keep: Vec<bool> = (0..matrix.num_raters())
        .map(|rater| matrix.num_rated(rater) > 1)
        .collect();
    let kept = matrix.keep_raters(&keep);
    need_raters(&kept, 2)?;
    let plain = mos_ci95(&kept);
    let rated: Vec<Vec<f64>> = (0..kept.num_pictures())
        .filter(|picture| plain[*picture].is_ok())
        .map(|picture| kept.row(picture).to_vec())
        .collect();
    let estimate = p910_annex_e(&RatingMatrix::from_rows(&rated)?)?;
    let mut scores = estimate.mos.iter().zip(&estimate.sos);
    let pictures = plain.into_iter().map(|opinion| {
        let opinion = opinion?;
        let (mos, sos) = scores
            .next()
            .ok_or(StatsError::TooFewRatings { needed: 1, got: 0 })?;
        Ok(Opinion {
            mos: *mos,
            ci95: opinion.ci95.map(|_| Z95 * sos),
            ..opinion
        })
    });
    let pictures = pictures.collect();
    let best = estimate
        .inconsistency
        .iter()
        .fold(f64::INFINITY, |a, b| a.min(*b));
    let mut raters = figures(matrix, |_| {
        Verdict::rejected("fewer than 2 ratings say nothing of consistency".to_owned())
    });
    let modelled = raters
        .iter_mut()
        .zip(&keep)
        .filter(|(_, is_kept)| **is_kept);
    let found = estimate.bias.iter().zip(&estimate.inconsistency);
    for ((rater, _), (bias, sigma)) in modelled.zip(found) {
        rater.bias = Ok(*bias);
        rater.inconsistency = Ok(*sigma);
        let weight = (best.powi(2) + 1e-8) / (sigma.powi(2) + 1e-8);
        rater.verdict = Verdict::kept(format!("relative weight {weight:.2}"));
    }
    Ok(Screened {
        screening: Screening::P910AnnexE,
        pictures,
        raters,
        not_screened: None,
        num_iterations: Some(estimate.num_iterations),
    })
}

/// Every rater by plain figures, with what the screening says.
fn figures(matrix: &RatingMatrix, verdict: impl Fn(usize) -> Verdict) -> Vec<RaterFigures> {
    let alone = need_raters(matrix, 2);
    let mos = means(matrix);
    let bias = biases(matrix);
    let correlation = correlation_screening(matrix);
    (0..matrix.num_raters())
        .map(|rater| {
            let num_ratings = matrix.num_rated(rater);
            let few = |needed| StatsError::TooFewRatings {
                needed,
                got: num_ratings,
            };
            let apart: Vec<f64> = present(matrix.column(rater).zip(&mos).map(|(o, mos)| o - mos));
            let enough = apart.len() > 1;
            RaterFigures {
                num_ratings,
                bias: alone
                    .clone()
                    .and_then(|()| bias[rater].ok_or_else(|| few(1))),
                inconsistency: alone
                    .clone()
                    .and_then(|()| std(&apart, 0).filter(|_| enough).ok_or_else(|| few(2))),
                correlation: match &correlation {
                    Ok(screening) => screening.correlation[rater].clone(),
                    Err(why) => Err(why.clone()),
                },
                verdict: verdict(rater),
            }
        })
        .collect()
}

impl Verdict {
    const fn kept(reason: String) -> Self {
        Self {
            is_rejected: false,
            reason,
        }
    }

    const fn rejected(reason: String) -> Self {
        Self {
            is_rejected: true,
            reason,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(rows: &[Vec<f64>]) -> RatingMatrix {
        RatingMatrix::from_rows(rows).expect("rows of equal length")
    }

    #[test]
    fn one_rater_gets_plain_means_and_the_reason() -> Result<(), StatsError> {
        let alone = matrix(&[vec![2.0], vec![4.0]]);
        let screened = screen(&alone, Screening::P910AnnexE)?;
        assert_eq!(
            screened.not_screened,
            Some(StatsError::TooFewRaters { needed: 2, got: 1 })
        );
        assert!((screened.pictures[1].clone()?.mos - 4.0).abs() < 1e-12);
        assert!(screened.raters[0].bias.is_err());
        Ok(())
    }

    #[test]
    fn nothing_rated_is_an_error() {
        let empty = matrix(&[vec![f64::NAN, f64::NAN]]);
        for screening in Screening::ALL {
            assert!(screen(&empty, screening).is_err());
        }
        assert!(screen(&matrix(&[]), Screening::None).is_err());
    }

    #[test]
    fn annex_e_leaves_out_a_rater_of_one_vote_and_says_so() -> Result<(), StatsError> {
        let nan = f64::NAN;
        let rows = [
            vec![1.0, 2.0, nan],
            vec![2.0, 3.0, nan],
            vec![4.0, 4.0, nan],
            vec![nan, nan, 5.0],
        ];
        let screened = screen(&matrix(&rows), Screening::P910AnnexE)?;
        assert!(screened.not_screened.is_none());
        assert!(screened.raters[2].verdict.is_rejected);
        assert!(!screened.raters[0].verdict.is_rejected);
        assert!(screened.pictures[0].is_ok() && screened.pictures[3].is_err());
        Ok(())
    }

    #[test]
    fn every_way_has_a_word_that_reads_back() {
        for screening in Screening::ALL {
            assert_eq!(screening.name().parse(), Ok(screening));
        }
        assert!("p911".parse::<Screening>().is_err());
    }
}
