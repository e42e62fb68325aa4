//! Strengths of pictures from votes on pairs.

use super::Z95;
use crate::stats::StatsError;
use crate::stats::least_squares::solve;

/// Below this largest change of a strength the fit has settled.
const SETTLED: f64 = 1e-13;
/// Newton's steps at most; from equal strengths a dozen do.
const MAX_STEPS: usize = 200;

/// How often each picture won against each other one; a tie is half a win of either.
#[derive(Debug, Clone, PartialEq)]
pub struct PairCounts {
    /// `wins[i][j]`: wins of `i` over `j`.
    wins: Vec<Vec<f64>>,
}

/// Strengths on the logit scale: a picture beats another with probability 1 / (1 + exp(other - own)).
#[derive(Debug, Clone, PartialEq)]
pub struct BradleyTerry {
    /// Each picture's strength; they sum to 0.
    pub strength: Vec<f64>,
    /// Its standard error, from the inverse of the information matrix.
    pub std: Vec<f64>,
    /// Half the width of its 95 % confidence interval.
    pub ci95: Vec<f64>,
    /// Ties added to every pair that was compared; 0 for the plain maximum likelihood.
    pub prior_ties: f64,
}

impl PairCounts {
    /// No comparison of any of that many pictures.
    pub fn new(num_pictures: usize) -> Self {
        Self {
            wins: vec![vec![0.0; num_pictures]; num_pictures],
        }
    }

    /// Counts one vote: `won` is 1 where `left` was chosen, 0 where `right` was, 0.5 for a tie.
    ///
    /// # Panics
    /// If a picture is outside the counts.
    pub fn add(&mut self, left: usize, right: usize, won: f64) {
        self.wins[left][right] += won;
        self.wins[right][left] += 1.0 - won;
    }

    /// Number of pictures.
    pub const fn num_pictures(&self) -> usize {
        self.wins.len()
    }

    /// How often two pictures were compared.
    pub fn num_compared(&self, a: usize, b: usize) -> f64 {
        self.wins[a][b] + self.wins[b][a]
    }

    /// Comparisons of one picture with any other.
    pub fn num_comparisons(&self, picture: usize) -> f64 {
        (0..self.num_pictures())
            .map(|other| self.num_compared(picture, other))
            .sum()
    }

    /// Share of its comparisons that a picture won, ties half; `None` if it was never compared.
    pub fn win_rate(&self, picture: usize) -> Option<f64> {
        let num = self.num_comparisons(picture);
        (num > 0.0).then(|| self.wins[picture].iter().sum::<f64>() / num)
    }

    fn with_ties(&self, ties: f64) -> Self {
        let mut counts = self.clone();
        for a in 0..self.num_pictures() {
            for b in 0..a {
                if self.num_compared(a, b) > 0.0 {
                    counts.wins[a][b] += ties / 2.0;
                    counts.wins[b][a] += ties / 2.0;
                }
            }
        }
        counts
    }

    /// Pictures reached from the first by following wins (or losses, where `backwards`).
    fn reached(&self, backwards: bool) -> Vec<bool> {
        let mut reached = vec![false; self.num_pictures()];
        let mut open = vec![0];
        while let Some(a) = open.pop() {
            if std::mem::replace(&mut reached[a], true) {
                continue;
            }
            let leads = |b: &usize| {
                let wins = if backwards {
                    self.wins[*b][a]
                } else {
                    self.wins[a][*b]
                };
                wins > 0.0
            };
            open.extend((0..self.num_pictures()).filter(leads));
        }
        reached
    }

    /// Ford's condition: in every parting of the pictures each side has won against the other.
    fn check_connected(&self) -> Result<(), StatsError> {
        if let Some(picture) = self.reached(false).iter().position(|reached| !reached) {
            return Err(StatsError::NotConnected { picture });
        }
        if self.reached(true).contains(&false) {
            return Err(StatsError::NotConnected { picture: 0 });
        }
        Ok(())
    }
}

/// Fits strengths by maximum likelihood. `prior_ties` adds that many ties to every pair that was compared, which makes
/// strengths finite where a picture won (or lost) every comparison; 0 adds none.
///
/// **Source** R. A. Bradley, M. E. Terry, "Rank analysis of incomplete block designs", Biometrika 39 (1952); existence
/// after L. R. Ford, American Mathematical Monthly 64 (1957). Equal to choix and to statsmodels' binomial model.
pub fn bradley_terry(counts: &PairCounts, prior_ties: f64) -> Result<BradleyTerry, StatsError> {
    let num = counts.num_pictures();
    if num < 2 {
        return Err(StatsError::TooFew {
            needed: 2,
            got: num,
        });
    }
    let counts = counts.with_ties(prior_ties);
    counts.check_connected()?;
    let mut strength = vec![0.0; num];
    let mut fit = log_likelihood(&counts, &strength);
    for _ in 0..MAX_STEPS {
        let (information, gradient) = derivatives(&counts, &strength);
        let step = solve(information, gradient).ok_or(StatsError::NoFit("pairs say too little"))?;
        let (next, next_fit) = climb(&counts, &strength, &step, fit);
        let moved = step.iter().fold(0.0_f64, |most, step| most.max(step.abs()));
        (strength, fit) = (next, next_fit);
        if moved < SETTLED {
            break;
        }
    }
    let std = standard_errors(&counts, &strength)?;
    Ok(BradleyTerry {
        ci95: std.iter().map(|std| Z95 * std).collect(),
        std,
        strength,
        prior_ties,
    })
}

fn win_probability(own: f64, other: f64) -> f64 {
    1.0 / (1.0 + (other - own).exp())
}

fn log_likelihood(counts: &PairCounts, strength: &[f64]) -> f64 {
    let mut sum = 0.0;
    for (wins, own) in counts.wins.iter().zip(strength) {
        for (won, other) in wins.iter().zip(strength) {
            if *won > 0.0 {
                sum -= won * (other - own).exp().ln_1p();
            }
        }
    }
    sum
}

/// The information matrix, with 1 added everywhere so that strengths keep summing to 0, and the gradient.
fn derivatives(counts: &PairCounts, strength: &[f64]) -> (Vec<Vec<f64>>, Vec<f64>) {
    let num = strength.len();
    let mut information = vec![vec![1.0; num]; num];
    let mut gradient = vec![0.0; num];
    for a in 0..num {
        for b in 0..num {
            let compared = counts.num_compared(a, b);
            if a == b || compared <= 0.0 {
                continue;
            }
            let p = win_probability(strength[a], strength[b]);
            gradient[a] += counts.wins[a][b] - compared * p;
            information[a][a] += compared * p * (1.0 - p);
            information[a][b] -= compared * p * (1.0 - p);
        }
    }
    (information, gradient)
}

/// Goes the step, or a half of it as often as the likelihood would fall: the last half hardly moves at all.
fn climb(counts: &PairCounts, from: &[f64], step: &[f64], fit: f64) -> (Vec<f64>, f64) {
    let mut size = 1.0;
    loop {
        let next: Vec<f64> = from
            .iter()
            .zip(step)
            .map(|(s, step)| s + size * step)
            .collect();
        let next_fit = log_likelihood(counts, &next);
        if next_fit >= fit || size < 1e-9 {
            return (next, next_fit);
        }
        // At the optimum rounding alone may lower the likelihood: there the whole step is as good.
        if fit - next_fit < 1e-12 * fit.abs() {
            return (next, next_fit);
        }
        size /= 2.0;
    }
}

fn standard_errors(counts: &PairCounts, strength: &[f64]) -> Result<Vec<f64>, StatsError> {
    let num = strength.len();
    let (information, _) = derivatives(counts, strength);
    (0..num)
        .map(|picture| {
            let unit = (0..num)
                .map(|at| f64::from(u8::from(at == picture)))
                .collect();
            let column = solve(information.clone(), unit);
            let column = column.ok_or(StatsError::NoFit("pairs say too little"))?;
            // The inverse of (information + 1) exceeds the pseudo-inverse by 1 / n^2 everywhere.
            let variance = column[picture] - 1.0 / (num as f64).powi(2);
            Ok(variance.max(0.0).sqrt())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_pictures_have_the_odds_of_their_wins() -> Result<(), StatsError> {
        let mut counts = PairCounts::new(2);
        for won in [1.0, 1.0, 1.0, 0.0] {
            counts.add(0, 1, won);
        }
        let fitted = bradley_terry(&counts, 0.0)?;
        assert!((fitted.strength[0] - fitted.strength[1] - 3.0_f64.ln()).abs() < 1e-12);
        assert!((fitted.strength[0] + fitted.strength[1]).abs() < 1e-12);
        assert_eq!(counts.win_rate(0), Some(0.75));
        Ok(())
    }

    #[test]
    fn ties_alone_make_pictures_equal() -> Result<(), StatsError> {
        let mut counts = PairCounts::new(3);
        for (a, b) in [(0, 1), (1, 2)] {
            counts.add(a, b, 0.5);
        }
        let fitted = bradley_terry(&counts, 0.0)?;
        assert!(fitted.strength.iter().all(|s| s.abs() < 1e-12));
        assert!(
            fitted.std[0] > fitted.std[1],
            "the middle one was compared more often"
        );
        Ok(())
    }

    #[test]
    fn a_picture_that_always_wins_has_no_finite_strength_without_a_prior() -> Result<(), StatsError>
    {
        let mut counts = PairCounts::new(3);
        for (a, b, won) in [(1, 0, 1.0), (1, 2, 1.0), (0, 2, 1.0), (0, 2, 0.0)] {
            counts.add(a, b, won);
        }
        assert_eq!(
            bradley_terry(&counts, 0.0),
            Err(StatsError::NotConnected { picture: 1 })
        );
        let fitted = bradley_terry(&counts, 1.0)?;
        assert!(fitted.strength[1] > fitted.strength[0]);
        assert!(fitted.std.iter().all(|std| std.is_finite() && *std > 0.0));
        Ok(())
    }

    #[test]
    fn pictures_that_were_never_compared_are_said() {
        let mut counts = PairCounts::new(4);
        counts.add(0, 1, 0.5);
        counts.add(2, 3, 0.5);
        assert_eq!(
            bradley_terry(&counts, 1.0),
            Err(StatsError::NotConnected { picture: 2 })
        );
        assert_eq!(counts.win_rate(2), Some(0.5));
        assert_eq!(PairCounts::new(1).win_rate(0), None);
        assert_eq!(
            bradley_terry(&PairCounts::new(1), 0.0),
            Err(StatsError::TooFew { needed: 2, got: 1 })
        );
    }
}
