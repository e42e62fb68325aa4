//! What a step makes smaller: value and gradient by formula, for a batch of scores.
//!
//! The published losses are meant for opinions of 0 to 5; `unit` says how many points of the scale one of those points is,
//! so that the threshold of Huber's and the margins of the others mean the same on every scale.
//!
//! **Source** strawhatboy/M3-AGIQA at 2f76702, `loss.py` and `wrapper.py` (which loss goes by which name).

use crate::domain::Loss;

/// Kept away from the root of 0 (fidelity).
const EPS: f64 = 1e-6;
/// Margin of the hinge by itself.
const MARGIN: f64 = 1.0;
/// Margin of the hinge beside the squared error.
const SMALL_MARGIN: f64 = 0.001;
/// Weight of the squared error in a mixture.
const MSE_WEIGHT: f64 = 0.8;

/// Value of a loss, and its gradient by every score.
///
/// A loss of pairs of fewer than two scores has no pair to compare: its gradient is 0, and the squared error's part of a
/// mixture remains.
pub fn loss_and_gradient(loss: Loss, scores: &[f64], truth: &[f64], unit: f64) -> (f64, Vec<f64>) {
    let scaled = |values: &[f64]| -> Vec<f64> { values.iter().map(|value| value / unit).collect() };
    // Squared and absolute errors keep the scale's own points, as the curves show them.
    let (value, gradient) = match loss {
        Loss::Mse => return mse(scores, truth),
        Loss::Mae => return mae(scores, truth),
        _ => of_unit_scale(loss, &scaled(scores), &scaled(truth)),
    };
    (value, gradient.into_iter().map(|g| g / unit).collect())
}

fn of_unit_scale(loss: Loss, scores: &[f64], truth: &[f64]) -> (f64, Vec<f64>) {
    match loss {
        Loss::Mse => mse(scores, truth),
        Loss::Mae => mae(scores, truth),
        Loss::Huber => huber(scores, truth),
        Loss::Fidelity => fidelity(scores, truth),
        Loss::Margin => margin(scores, truth, MARGIN),
        Loss::RankNet => ranknet(scores, truth),
        Loss::MarginMse => mixed(&mse(scores, truth), &margin(scores, truth, SMALL_MARGIN)),
        Loss::RankNetMse => mixed(&mse(scores, truth), &ranknet(scores, truth)),
    }
}

fn mixed(first: &(f64, Vec<f64>), second: &(f64, Vec<f64>)) -> (f64, Vec<f64>) {
    let mix = |a: f64, b: f64| MSE_WEIGHT * a + (1.0 - MSE_WEIGHT) * b;
    let gradient = first.1.iter().zip(&second.1).map(|(&a, &b)| mix(a, b));
    (mix(first.0, second.0), gradient.collect())
}

/// Mean over the scores of a function of the error, and its slope.
fn mean_of(scores: &[f64], truth: &[f64], of: impl Fn(f64) -> (f64, f64)) -> (f64, Vec<f64>) {
    let n = scores.len().max(1) as f64;
    let (mut value, mut gradient) = (0.0, Vec::with_capacity(scores.len()));
    for (score, truth) in scores.iter().zip(truth) {
        let (loss, slope) = of(score - truth);
        value += loss;
        gradient.push(slope / n);
    }
    (value / n, gradient)
}

fn mse(scores: &[f64], truth: &[f64]) -> (f64, Vec<f64>) {
    mean_of(scores, truth, |error| (error * error, 2.0 * error))
}

fn mae(scores: &[f64], truth: &[f64]) -> (f64, Vec<f64>) {
    let sign = |error: f64| if error == 0.0 { 0.0 } else { error.signum() };
    mean_of(scores, truth, |error| (error.abs(), sign(error)))
}

/// Quadratic below an error of 1 (PyTorch's smooth L1).
fn huber(scores: &[f64], truth: &[f64]) -> (f64, Vec<f64>) {
    mean_of(scores, truth, |error| {
        if error.abs() < 1.0 {
            (0.5 * error * error, error)
        } else {
            (error.abs() - 0.5, error.signum())
        }
    })
}

/// Sum over all ordered pairs `(i, j)` of a function of `scores[i] - scores[j]` and of whether `i` is truly higher.
fn sum_of_pairs(
    scores: &[f64],
    truth: &[f64],
    of: impl Fn(f64, f64) -> (f64, f64),
) -> (f64, Vec<f64>) {
    let (mut value, mut gradient) = (0.0, vec![0.0; scores.len()]);
    for i in 0..scores.len() {
        for j in 0..scores.len() {
            let (loss, slope) = of(scores[i] - scores[j], truth[i] - truth[j]);
            value += loss;
            gradient[i] += slope;
            gradient[j] -= slope;
        }
    }
    (value, gradient)
}

fn divided((value, gradient): (f64, Vec<f64>), count: f64) -> (f64, Vec<f64>) {
    (
        value / count,
        gradient.into_iter().map(|g| g / count).collect(),
    )
}

/// `1 - sqrt(p p^) - sqrt((1 - p)(1 - p^))` with `p^` the chance that the one is higher and `p` whether it is.
fn fidelity(scores: &[f64], truth: &[f64]) -> (f64, Vec<f64>) {
    let sum = sum_of_pairs(scores, truth, |score, truth| {
        let x = score / std::f64::consts::SQRT_2;
        let chance = 0.5 * (1.0 + candle_core::cpu::erf::erf_f64(x));
        let density = (-x * x).exp() / std::f64::consts::PI.sqrt() / std::f64::consts::SQRT_2;
        // Of two equal truths, both count as higher.
        if truth >= 0.0 {
            let root = (chance + EPS).sqrt();
            (1.0 - root - EPS.sqrt(), -0.5 / root * density)
        } else {
            let root = (1.0 - chance + EPS).sqrt();
            (1.0 - EPS.sqrt() - root, 0.5 / root * density)
        }
    });
    divided(sum, (scores.len() * scores.len()).max(1) as f64)
}

/// `max(0, margin - difference)` of the pairs whose order is known. As published, every other pair adds the margin itself
/// to the value, and the sum is divided by the number of the former.
fn margin(scores: &[f64], truth: &[f64], margin: f64) -> (f64, Vec<f64>) {
    let num_pairs = truth
        .iter()
        .map(|a| truth.iter().filter(|b| a > b).count())
        .sum::<usize>();
    if num_pairs == 0 {
        return (0.0, vec![0.0; scores.len()]);
    }
    let sum = sum_of_pairs(scores, truth, |score, truth| {
        if truth <= 0.0 {
            (margin, 0.0)
        } else if margin >= score {
            (margin - score, -1.0)
        } else {
            (0.0, 0.0)
        }
    });
    divided(sum, num_pairs as f64)
}

/// Cross entropy of the order of pairs; of two equal truths, neither counts as higher.
///
/// **Source** C. Burges et al., "Learning to rank using gradient descent", ICML 2005.
fn ranknet(scores: &[f64], truth: &[f64]) -> (f64, Vec<f64>) {
    let sum = sum_of_pairs(scores, truth, |score, truth| {
        let is_higher = if truth > 0.0 { 1.0 } else { 0.0 };
        let log_sigmoid = |x: f64| x.min(0.0) - (-x.abs()).exp().ln_1p();
        let value = -is_higher * log_sigmoid(score) - (1.0 - is_higher) * log_sigmoid(-score);
        (value, 1.0 / (1.0 + (-score).exp()) - is_higher)
    });
    divided(sum, (scores.len() * scores.len()).max(1) as f64)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    struct Case {
        loss: Loss,
        scores: Vec<f64>,
        truth: Vec<f64>,
        value: f64,
        gradient: Vec<f64>,
    }

    fn close(ours: f64, theirs: f64, tolerance: f64) -> bool {
        (ours - theirs).abs() <= tolerance * theirs.abs().max(1.0)
    }

    #[test]
    fn losses_equal_torch_in_value_and_gradient() {
        let text = include_str!("../../../tests/fixtures/losses/reference.json");
        let cases: Vec<Case> = serde_json::from_str(text).unwrap();
        for loss in Loss::ALL {
            assert!(cases.iter().any(|case| case.loss == loss), "{loss:?}");
        }
        for case in cases {
            let (value, gradient) = loss_and_gradient(case.loss, &case.scores, &case.truth, 1.0);
            assert!(close(value, case.value, 1e-9), "{:?}: {value}", case.loss);
            assert_eq!(gradient.len(), case.gradient.len());
            for (ours, theirs) in gradient.iter().zip(&case.gradient) {
                assert!(
                    close(*ours, *theirs, 1e-9),
                    "{:?}: {ours} {theirs}",
                    case.loss
                );
            }
        }
    }

    #[test]
    fn gradients_equal_finite_differences_on_every_scale() {
        // No difference is a margin: there the hinge has no slope.
        let scores = [2.13, 3.4, 0.7, 4.9, 3.1];
        let truth = [2.4, 3.0, 1.9, 3.3, 3.0];
        for loss in Loss::ALL {
            for unit in [1.0, 20.0] {
                let scaled = |values: [f64; 5]| values.map(|value| value * unit);
                let (scores, truth) = (scaled(scores), scaled(truth));
                let (_, gradient) = loss_and_gradient(loss, &scores, &truth, unit);
                for at in 0..scores.len() {
                    let moved = |by: f64| {
                        let mut scores = scores;
                        scores[at] += by;
                        loss_and_gradient(loss, &scores, &truth, unit).0
                    };
                    let numeric = (moved(1e-5) - moved(-1e-5)) / 2e-5;
                    assert!(close(gradient[at], numeric, 1e-6), "{loss:?} at {at}");
                }
            }
        }
    }

    #[test]
    fn one_score_alone_has_no_pair_to_learn_from() {
        for loss in Loss::ALL.into_iter().filter(|loss| loss.is_of_pairs()) {
            let (value, gradient) = loss_and_gradient(loss, &[2.0], &[3.0], 1.0);
            assert!(value.is_finite());
            let is_mixed = matches!(loss, Loss::MarginMse | Loss::RankNetMse);
            assert_eq!(gradient[0] != 0.0, is_mixed, "{loss:?}");
            let (value, gradient) = loss_and_gradient(loss, &[], &[], 1.0);
            assert!(value.is_finite() && gradient.is_empty());
        }
    }
}
