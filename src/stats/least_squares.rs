//! Solving: small dense systems, and nonlinear least squares by Levenberg and Marquardt.

/// Steps after which a fit is taken as it stands. Most settle within a few dozen; where the best curve lies at infinity
/// (data that a straight line or an exponential fits better) the last steps change the figures below 1e-6.
const MAX_STEPS: usize = 500;

/// Fits `P` parameters by least squares from `start`; answers them with the sum of squares.
///
/// `model` answers the value at `x` and its derivatives by the parameters. `None` if no finite fit was found.
///
/// **Source** D. Marquardt, "An algorithm for least-squares estimation of nonlinear parameters",
/// J. SIAM 11 (1963); damping scaled with the diagonal.
pub(super) fn levenberg_marquardt<const P: usize>(
    x: &[f64],
    y: &[f64],
    start: [f64; P],
    model: impl Fn(&[f64; P], f64) -> (f64, [f64; P]),
) -> Option<([f64; P], f64)> {
    let error = |parameters: &[f64; P]| -> f64 {
        let residuals = x.iter().zip(y).map(|(&x, &y)| y - model(parameters, x).0);
        residuals.map(|r| r * r).sum()
    };
    let mut parameters = start;
    let mut sum = error(&parameters);
    let mut damping = 1e-3;
    let mut settled = 0;
    for _ in 0..MAX_STEPS {
        let (matrix, right) = normal_equations(x, y, &parameters, &model);
        let Some((next, next_sum)) = descend(&parameters, sum, &mut damping, &error, |damping| {
            let mut damped = matrix.clone();
            for (i, row) in damped.iter_mut().enumerate() {
                row[i] += damping * row[i].max(f64::MIN_POSITIVE);
            }
            solve(damped, right.clone())
        }) else {
            break;
        };
        let gain = (sum - next_sum) / sum.max(f64::MIN_POSITIVE);
        parameters = next;
        sum = next_sum;
        // Two steps in a row without a gain worth naming: one alone may be a timid step under heavy damping.
        settled = if gain < 1e-15 { settled + 1 } else { 0 };
        if settled == 2 {
            break;
        }
    }
    (sum.is_finite() && parameters.iter().all(|p| p.is_finite())).then_some((parameters, sum))
}

/// Solves a square system by Gaussian elimination with row exchange; `None` where it is singular.
pub(super) fn solve(mut matrix: Vec<Vec<f64>>, mut right: Vec<f64>) -> Option<Vec<f64>> {
    let n = right.len();
    let largest = matrix.iter().flatten().fold(0.0_f64, |m, v| m.max(v.abs()));
    for column in 0..n {
        let pivot = (column..n)
            .max_by(|&a, &b| matrix[a][column].abs().total_cmp(&matrix[b][column].abs()))?;
        // Below this the pivot is rounding of a singular matrix, not information.
        if matrix[pivot][column].abs() <= largest * 1e-15 || !largest.is_finite() {
            return None;
        }
        matrix.swap(column, pivot);
        right.swap(column, pivot);
        for row in column + 1..n {
            let (above, below) = matrix.split_at_mut(row);
            let (above, below) = (&above[column], &mut below[0]);
            let factor = below[column] / above[column];
            for (value, &other) in below.iter_mut().zip(above).skip(column) {
                *value -= factor * other;
            }
            right[row] -= factor * right[column];
        }
    }
    for row in (0..n).rev() {
        let known: f64 = (row + 1..n).map(|c| matrix[row][c] * right[c]).sum();
        right[row] = (right[row] - known) / matrix[row][row];
    }
    right.iter().all(|v| v.is_finite()).then_some(right)
}

fn normal_equations<const P: usize>(
    x: &[f64],
    y: &[f64],
    parameters: &[f64; P],
    model: &impl Fn(&[f64; P], f64) -> (f64, [f64; P]),
) -> (Vec<Vec<f64>>, Vec<f64>) {
    let mut matrix = vec![vec![0.0; P]; P];
    let mut right = vec![0.0; P];
    for (&x, &y) in x.iter().zip(y) {
        let (value, gradient) = model(parameters, x);
        for row in 0..P {
            right[row] += gradient[row] * (y - value);
            for column in 0..P {
                matrix[row][column] += gradient[row] * gradient[column];
            }
        }
    }
    (matrix, right)
}

/// Raises the damping until a step lowers the error; `None` when even a crawl does not.
fn descend<const P: usize>(
    parameters: &[f64; P],
    sum: f64,
    damping: &mut f64,
    error: &impl Fn(&[f64; P]) -> f64,
    step: impl Fn(f64) -> Option<Vec<f64>>,
) -> Option<([f64; P], f64)> {
    while *damping < 1e12 {
        if let Some(delta) = step(*damping) {
            let mut next = *parameters;
            for (value, change) in next.iter_mut().zip(&delta) {
                *value += change;
            }
            let next_sum = error(&next);
            if next_sum <= sum {
                *damping = (*damping / 10.0).max(1e-15);
                return Some((next, next_sum));
            }
        }
        *damping *= 10.0;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_is_solved_and_a_singular_one_refused() {
        let matrix = vec![vec![0.0, 2.0], vec![3.0, 1.0]];
        assert_eq!(solve(matrix, vec![4.0, 5.0]), Some(vec![1.0, 2.0]));
        assert_eq!(
            solve(vec![vec![1.0, 2.0], vec![2.0, 4.0]], vec![1.0, 2.0]),
            None
        );
    }

    #[test]
    fn an_exponential_is_found_again() {
        let x: Vec<f64> = (0..20).map(f64::from).collect();
        let y: Vec<f64> = x.iter().map(|x| 3.0 * (-0.2 * x).exp()).collect();
        let fit = levenberg_marquardt(&x, &y, [1.0, -0.1], |[a, b], x| {
            let e = (b * x).exp();
            (a * e, [e, a * x * e])
        });
        assert!(fit.is_some_and(|(p, _)| (p[0] - 3.0).abs() < 1e-9 && (p[1] + 0.2).abs() < 1e-9));
    }
}
