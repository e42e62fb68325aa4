//! Products of a few rows with one matrix, again and again: what a recurrence does at every step.
//!
//! A general matrix product packs its operands anew each time, which costs as much as the product itself where there
//! are only a few rows. Here the matrix is packed once, and up to eight rows are multiplied while a panel of it is in
//! registers.

use crate::compute::real::Real;

/// Columns of a panel.
const LANES: usize = 16;
/// Rows that are multiplied at once at most.
pub(crate) const ROWS: usize = 8;

/// A matrix `(k, n)` cut into panels of `LANES` columns, zeros behind the last column.
#[derive(Debug)]
pub(crate) struct Panels<T> {
    values: Vec<[T; LANES]>,
    k: usize,
    n: usize,
}

impl<T: Real> Panels<T> {
    /// Packs `at(row, column)` of a `(k, n)` matrix.
    pub(crate) fn pack(k: usize, n: usize, at: impl Fn(usize, usize) -> T) -> Self {
        let mut values = Vec::with_capacity(n.div_ceil(LANES) * k);
        for start in (0..n).step_by(LANES) {
            values.extend((0..k).map(|row| {
                std::array::from_fn(|lane| match start + lane {
                    column if column < n => at(row, column),
                    _ => T::zero(),
                })
            }));
        }
        Self { values, k, n }
    }

    /// `out (rows, n) += lhs (rows, k) * self`, at most [`ROWS`] rows. A row's result does not depend on the others.
    pub(crate) fn add_product(&self, lhs: &[T], out: &mut [T], rows: usize) {
        match rows {
            0 => {}
            1 => self.multiply::<1>(lhs, out, rows),
            2 => self.multiply::<2>(lhs, out, rows),
            3..=4 => self.multiply::<4>(lhs, out, rows),
            _ => self.multiply::<ROWS>(lhs, out, rows),
        }
    }

    fn multiply<const R: usize>(&self, lhs: &[T], out: &mut [T], rows: usize) {
        let by_k: Vec<[T; R]> = (0..self.k)
            .map(|i| {
                std::array::from_fn(|row| match row < rows {
                    true => lhs[row * self.k + i],
                    false => T::zero(),
                })
            })
            .collect();
        for (panel, columns) in self.values.chunks_exact(self.k.max(1)).enumerate() {
            let sums = block(columns, &by_k);
            let start = panel * LANES;
            let width = LANES.min(self.n - start);
            for (row, sums) in sums.iter().enumerate().take(rows) {
                let out = &mut out[row * self.n + start..][..width];
                for (out, &sum) in out.iter_mut().zip(sums) {
                    *out += sum;
                }
            }
        }
    }
}

/// The sums of one panel stay in registers from the first row of the matrix to the last.
#[inline(never)]
fn block<T: Real, const R: usize>(columns: &[[T; LANES]], by_k: &[[T; R]]) -> [[T; LANES]; R] {
    let mut sums = [[T::zero(); LANES]; R];
    for (column, a) in columns.iter().zip(by_k) {
        for (sums, &a) in sums.iter_mut().zip(a) {
            for (sum, &value) in sums.iter_mut().zip(column) {
                *sum = a.mul_add(value, *sum);
            }
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_product_for_any_number_of_rows() {
        let (k, n) = (5, 19);
        let matrix = |row: usize, column: usize| (row * 31 + column * 7) as f64 % 5.0 - 2.0;
        let panels = Panels::pack(k, n, matrix);
        for rows in 0..=ROWS {
            let lhs: Vec<f64> = (0..rows * k).map(|i| i as f64 % 7.0 - 3.0).collect();
            let mut out = vec![1.0; rows * n];
            panels.add_product(&lhs, &mut out, rows);
            for (i, value) in out.iter().enumerate() {
                let products = (0..k).map(|j| lhs[i / n * k + j] * matrix(j, i % n));
                let expected = 1.0 + products.sum::<f64>();
                assert!((value - expected).abs() < 1e-12);
            }
        }
    }
}
