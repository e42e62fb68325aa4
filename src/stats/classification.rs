//! Figures of predicted words against true words, as M3-AGIQA reports them.

use super::StatsError;

/// How well predicted classes follow the true ones. Shares from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Classification {
    /// Number of pictures.
    pub n: usize,
    /// Share of exact hits.
    pub accuracy: f64,
    /// Share of predictions at most one class away from the truth.
    pub rough_accuracy: f64,
    /// Precision by class, weighted with the number of true pictures of each class.
    pub precision: f64,
    /// F1 by class, weighted likewise.
    pub f1: f64,
}

/// Holds predicted classes against true ones; classes are numbers from 0 in the order of the scale.
///
/// A class that was never predicted has precision 0, as scikit-learn's `zero_division=0` counts it.
pub fn classification(
    pred: &[usize],
    truth: &[usize],
    classes: usize,
) -> Result<Classification, StatsError> {
    if pred.len() != truth.len() {
        return Err(StatsError::LengthMismatch {
            left: pred.len(),
            right: truth.len(),
        });
    }
    if pred.is_empty() {
        return Err(StatsError::TooFew { needed: 1, got: 0 });
    }
    let outside = |pair: (&usize, &usize)| *pair.0 >= classes || *pair.1 >= classes;
    if let Some(position) = pred.iter().zip(truth).position(outside) {
        return Err(StatsError::UnknownClass {
            position,
            got: pred[position].max(truth[position]),
            classes,
        });
    }
    let n = pred.len();
    let share = |hit: fn(usize, usize) -> bool| {
        let hits = pred.iter().zip(truth).filter(|&(&p, &t)| hit(p, t)).count();
        hits as f64 / n as f64
    };
    let (precision, f1) = weighted(pred, truth, classes);
    Ok(Classification {
        n,
        accuracy: share(|p, t| p == t),
        rough_accuracy: share(|p, t| p.abs_diff(t) <= 1),
        precision,
        f1,
    })
}

fn weighted(pred: &[usize], truth: &[usize], classes: usize) -> (f64, f64) {
    let mut hits = vec![0.0; classes];
    let mut predicted = vec![0.0; classes];
    let mut support = vec![0.0; classes];
    for (&p, &t) in pred.iter().zip(truth) {
        predicted[p] += 1.0;
        support[t] += 1.0;
        if p == t {
            hits[p] += 1.0;
        }
    }
    let ratio = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { 0.0 };
    let n = pred.len() as f64;
    let (mut precision, mut f1) = (0.0, 0.0);
    for class in 0..classes {
        let weight = support[class] / n;
        precision += weight * ratio(hits[class], predicted[class]);
        f1 += weight * ratio(2.0 * hits[class], predicted[class] + support[class]);
    }
    (precision, f1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_outside_the_scale_is_refused() {
        assert_eq!(
            classification(&[0, 5], &[0, 1], 5),
            Err(StatsError::UnknownClass {
                position: 1,
                got: 5,
                classes: 5
            })
        );
    }

    #[test]
    fn rough_accuracy_forgives_one_class() -> Result<(), StatsError> {
        let figures = classification(&[0, 1, 2, 4], &[0, 2, 4, 4], 5)?;
        assert!((figures.accuracy - 0.5).abs() < 1e-12);
        assert!((figures.rough_accuracy - 0.75).abs() < 1e-12);
        Ok(())
    }
}
