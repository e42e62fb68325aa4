//! Curves through (prediction, truth) pairs: the logistic maps that image quality work puts before Pearson's
//! correlation, and the polynomial that is drawn through a scatter plot.

use super::StatsError;
use super::correlation::{all_equal, mean, plcc};
use super::error::check_pair;
use super::least_squares::{levenberg_marquardt, solve};

/// The monotone four-parameter logistic map.
///
/// `f(x) = (b0 - b1) / (1 + exp(-(x - b2) / |b3|)) + b1`
///
/// **Source** VQEG, "Final report from the Video Quality Experts Group on the validation of objective models",
/// 2000, section on fitting; the form of ITU-T tutorials and of most published IQA code.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Logistic4(pub [f64; 4]);

/// The five-parameter map, a logistic and a straight line.
///
/// `f(x) = b0 (1/2 - 1 / (1 + exp(b1 (x - b2)))) + b3 x + b4`
///
/// **Source** H. Sheikh, M. Sabir, A. Bovik, "A statistical evaluation of recent full reference image quality
/// assessment algorithms", IEEE TIP 15 (2006), equations 8 and 9.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Logistic5(pub [f64; 5]);

/// A polynomial in `(x - centre) / half_width`, lowest power first.
#[derive(Debug, Clone, PartialEq)]
pub struct Polynomial {
    centre: f64,
    half_width: f64,
    coefficients: Vec<f64>,
}

impl Logistic4 {
    /// Fits by least squares.
    pub fn fit(x: &[f64], y: &[f64]) -> Result<Self, StatsError> {
        let scale = Standardised::of(x, y, 4)?;
        let (low, high) = range(y);
        let (high, low) = if scale.falls {
            (low, high)
        } else {
            (high, low)
        };
        // In standard units of x; half, one and two deviations are the slopes of good, fair and flat data.
        let starts = [0.5, 1.0, 2.0].map(|width| [high, low, 0.0, width]);
        let [b0, b1, b2, b3] = best(&scale.z, y, &starts, |b, z| {
            let s = sigmoid((z - b[2]) / b[3]);
            let slope = (b[0] - b[1]) * s * (1.0 - s);
            let value = (b[0] - b[1]) * s + b[1];
            let by_width = -slope * (z - b[2]) / (b[3] * b[3]);
            (value, [s, 1.0 - s, -slope / b[3], by_width])
        })?;
        // A negative width turns the curve round: the same curve with the two ends exchanged.
        let (b0, b1) = if b3 < 0.0 { (b1, b0) } else { (b0, b1) };
        let centre = scale.mean + b2 * scale.deviation;
        Ok(Self([b0, b1, centre, (b3 * scale.deviation).abs()]))
    }

    /// The mapped value.
    pub fn predict(&self, x: f64) -> f64 {
        let [b0, b1, b2, b3] = self.0;
        (b0 - b1) * sigmoid((x - b2) / b3) + b1
    }
}

impl Logistic5 {
    /// Fits by least squares.
    pub fn fit(x: &[f64], y: &[f64]) -> Result<Self, StatsError> {
        let scale = Standardised::of(x, y, 5)?;
        let (low, high) = range(y);
        let sign = if scale.falls { -1.0 } else { 1.0 };
        let height = sign * (high - low);
        let starts = [0.5, 1.0, 2.0, 4.0].map(|steepness| [height, steepness, 0.0, 0.0, mean(y)]);
        let b = best(&scale.z, y, &starts, |b, z| {
            let s = sigmoid(b[1] * (z - b[2]));
            let slope = b[0] * s * (1.0 - s);
            let value = b[0] * (s - 0.5) + b[3] * z + b[4];
            let gradient = [s - 0.5, slope * (z - b[2]), -slope * b[1], z, 1.0];
            (value, gradient)
        })?;
        let line = b[3] / scale.deviation;
        Ok(Self([
            b[0],
            b[1] / scale.deviation,
            scale.mean + b[2] * scale.deviation,
            line,
            b[4] - line * scale.mean,
        ]))
    }

    /// The mapped value.
    pub fn predict(&self, x: f64) -> f64 {
        let [b0, b1, b2, b3, b4] = self.0;
        b0 * (sigmoid(b1 * (x - b2)) - 0.5) + b3 * x + b4
    }
}

impl Polynomial {
    /// The mapped value.
    pub fn predict(&self, x: f64) -> f64 {
        let z = (x - self.centre) / self.half_width;
        self.coefficients
            .iter()
            .rev()
            .fold(0.0, |sum, coefficient| sum * z + coefficient)
    }
}

/// Fits a polynomial of the given order by least squares.
pub fn polynomial_fit(x: &[f64], y: &[f64], order: usize) -> Result<Polynomial, StatsError> {
    check_pair(x, y, order + 1)?;
    let (low, high) = range(x);
    let (centre, half_width) = (f64::midpoint(low, high), (high - low) / 2.0);
    if half_width <= 0.0 {
        return Err(StatsError::AllEqual);
    }
    let terms = order + 1;
    let mut matrix = vec![vec![0.0; terms]; terms];
    let mut right = vec![0.0; terms];
    for (&x, &y) in x.iter().zip(y) {
        let z = (x - centre) / half_width;
        let powers: Vec<f64> = (0..terms).map(|power| z.powi(power as i32)).collect();
        for row in 0..terms {
            right[row] += powers[row] * y;
            for column in 0..terms {
                matrix[row][column] += powers[row] * powers[column];
            }
        }
    }
    let coefficients = solve(matrix, right).ok_or(StatsError::NoFit(
        "too few different scores for a curve of this order",
    ))?;
    Ok(Polynomial {
        centre,
        half_width,
        coefficients,
    })
}

/// Pearson's correlation after the four-parameter logistic map of the predictions.
pub fn plcc_fit4(pred: &[f64], truth: &[f64]) -> Result<f64, StatsError> {
    let curve = Logistic4::fit(pred, truth)?;
    let mapped: Vec<f64> = pred.iter().map(|&x| curve.predict(x)).collect();
    plcc(&mapped, truth)
}

/// Pearson's correlation after the five-parameter logistic map of the predictions.
pub fn plcc_fit5(pred: &[f64], truth: &[f64]) -> Result<f64, StatsError> {
    let curve = Logistic5::fit(pred, truth)?;
    let mapped: Vec<f64> = pred.iter().map(|&x| curve.predict(x)).collect();
    plcc(&mapped, truth)
}

/// Predictions in units of their own deviation, so that one set of starts suits every scale.
struct Standardised {
    z: Vec<f64>,
    mean: f64,
    deviation: f64,
    falls: bool,
}

impl Standardised {
    fn of(x: &[f64], y: &[f64], num_parameters: usize) -> Result<Self, StatsError> {
        check_pair(x, y, num_parameters + 1)?;
        if all_equal(x) || all_equal(y) {
            return Err(StatsError::AllEqual);
        }
        let mean = mean(x);
        let sum: f64 = x.iter().map(|x| (x - mean).powi(2)).sum();
        let deviation = (sum / x.len() as f64).sqrt();
        let z = x.iter().map(|x| (x - mean) / deviation).collect();
        Ok(Self {
            z,
            mean,
            deviation,
            falls: plcc(x, y)? < 0.0,
        })
    }
}

/// The fit with the smallest error over several starts: the error has more than one valley.
fn best<const P: usize>(
    x: &[f64],
    y: &[f64],
    starts: &[[f64; P]],
    model: impl Fn(&[f64; P], f64) -> (f64, [f64; P]),
) -> Result<[f64; P], StatsError> {
    starts
        .iter()
        .filter_map(|start| levenberg_marquardt(x, y, *start, &model))
        .min_by(|a, b| a.1.total_cmp(&b.1))
        .map(|(parameters, _)| parameters)
        .ok_or(StatsError::NoFit("the curve did not settle"))
}

fn range(values: &[f64]) -> (f64, f64) {
    values
        .iter()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &v| {
            (low.min(v), high.max(v))
        })
}

fn sigmoid(x: f64) -> f64 {
    if x >= 0.0 {
        1.0 / (1.0 + (-x).exp())
    } else {
        let e = x.exp();
        e / (1.0 + e)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid() -> Vec<f64> {
        (0..50).map(|i| f64::from(i) / 10.0).collect()
    }

    #[test]
    fn a_logistic_curve_is_found_again() -> Result<(), StatsError> {
        let truth = Logistic4([4.5, 0.5, 2.4, 0.6]);
        let x = grid();
        let y: Vec<f64> = x.iter().map(|&x| truth.predict(x)).collect();
        let found = Logistic4::fit(&x, &y)?;
        for (found, truth) in found.0.iter().zip(truth.0) {
            assert!((found - truth).abs() < 1e-7);
        }
        Ok(())
    }

    #[test]
    fn the_fit_does_not_care_for_the_scale_of_the_predictions() -> Result<(), StatsError> {
        let x = grid();
        let y: Vec<f64> = x.iter().map(|x| (x * 1.3).sin() + x).collect();
        let scaled: Vec<f64> = x.iter().map(|x| 2e4 * x - 7e5).collect();
        assert!((plcc_fit4(&x, &y)? - plcc_fit4(&scaled, &y)?).abs() < 1e-9);
        assert!((plcc_fit5(&x, &y)? - plcc_fit5(&scaled, &y)?).abs() < 1e-9);
        Ok(())
    }

    #[test]
    fn falling_scores_are_mapped_the_right_way_round() -> Result<(), StatsError> {
        let x = grid();
        let y: Vec<f64> = x
            .iter()
            .map(|x| 1.0 / (1.0 + (2.0 * x - 5.0).exp()))
            .collect();
        assert!(plcc_fit4(&x, &y)? > 0.999_999);
        assert!(plcc_fit5(&x, &y)? > 0.999_999);
        Ok(())
    }

    #[test]
    fn a_curve_needs_more_pictures_than_parameters() {
        let four = [1.0, 2.0, 3.0, 4.0];
        assert_eq!(
            plcc_fit4(&four, &four),
            Err(StatsError::TooFew { needed: 5, got: 4 })
        );
    }

    #[test]
    fn a_polynomial_needs_enough_different_scores() {
        let x = [1.0, 1.0, 1.0, 2.0, 2.0, 2.0];
        assert!(matches!(
            polynomial_fit(&x, &x, 4),
            Err(StatsError::NoFit(_))
        ));
    }
}
