//! Matrix products over strided slices of either precision, on one thread or on all.

use candle_core::WithDType;

/// A matrix inside a slice: element `(row, col)` stands at `row * rows_apart + col * cols_apart`.
#[derive(Debug, Clone, Copy)]
pub struct Mat<'a, T> {
    values: &'a [T],
    rows_apart: usize,
    cols_apart: usize,
}

impl<'a, T> Mat<'a, T> {
    /// Rows that begin `apart` values from each other.
    pub const fn rows(values: &'a [T], apart: usize) -> Self {
        Self {
            values,
            rows_apart: apart,
            cols_apart: 1,
        }
    }

    /// The transpose of the same.
    pub const fn t(self) -> Self {
        Self {
            values: self.values,
            rows_apart: self.cols_apart,
            cols_apart: self.rows_apart,
        }
    }

    /// The part that begins at a row and a column, both within it.
    pub(super) fn from(self, row: usize, col: usize) -> Self {
        Self {
            values: &self.values[row * self.rows_apart + col * self.cols_apart..],
            ..self
        }
    }

    /// Whether the slice is as long as a matrix of this shape.
    pub(super) const fn holds(self, rows: usize, cols: usize) -> bool {
        let last =
            rows.saturating_sub(1) * self.rows_apart + cols.saturating_sub(1) * self.cols_apart;
        rows == 0 || cols == 0 || last < self.values.len()
    }
}

/// Who computes a product. The result is the same to the bit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hands {
    /// The calling thread: for work that is split among threads already.
    One,
    /// All threads.
    All,
}

/// What a product does with what stands in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// Overwrites it.
    Set,
    /// Adds to it.
    Add,
}

/// `out (m, n) = scale * lhs (m, k) * rhs (k, n)`, or `out +=` it; the rows of `out` begin `apart` values from each other.
///
/// # Panics
/// Where a slice is too short for its shape.
#[expect(unsafe_code, reason = "the gemm crate takes raw pointers")]
pub fn product<T: WithDType>(
    (out, apart, into): (&mut [T], usize, Put),
    (lhs, rhs): (Mat<'_, T>, Mat<'_, T>),
    [m, k, n]: [usize; 3],
    scale: T,
    hands: Hands,
) {
    let fits = m.saturating_sub(1) * apart + n <= out.len() && (m < 2 || n <= apart);
    assert!(
        (m == 0 || n == 0 || fits) && lhs.holds(m, k) && rhs.holds(k, n),
        "a matrix is shorter than its shape"
    );
    let threads = match hands {
        Hands::One => gemm::Parallelism::None,
        Hands::All => gemm::Parallelism::Rayon(0),
    };
    // SAFETY: the assertion above keeps every index within its slice and the rows of `out` apart; `out` is borrowed
    // mutably, so that it overlaps neither operand.
    unsafe {
        write_product(
            (out.as_mut_ptr(), apart, into),
            (lhs, rhs),
            [m, k, n],
            scale,
            threads,
        );
    }
}

/// What [`product`] does, to where `out` points: with [`Put::Set`] nothing needs to stand there.
///
/// # Safety
/// Both operands hold their shape, `out` is valid for `m` rows of `n` values that begin `apart` from each other and do not
/// overlap, and nothing else reads or writes these meanwhile.
#[expect(unsafe_code, reason = "the gemm crate takes raw pointers")]
pub(super) unsafe fn write_product<T: WithDType>(
    (out, apart, into): (*mut T, usize, Put),
    (lhs, rhs): (Mat<'_, T>, Mat<'_, T>),
    [m, k, n]: [usize; 3],
    scale: T,
    threads: gemm::Parallelism,
) {
    // SAFETY: the caller's.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out,
            1,
            apart as isize,
            into == Put::Add,
            lhs.values.as_ptr(),
            lhs.cols_apart as isize,
            lhs.rows_apart as isize,
            rhs.values.as_ptr(),
            rhs.cols_apart as isize,
            rhs.rows_apart as isize,
            T::one(),
            scale,
            false,
            false,
            false,
            threads,
        );
    }
}

/// The same in single precision by the calling thread, into rows that lie one behind the other.
///
/// # Panics
/// Where a slice is too short for its shape.
pub fn multiply(
    out: &mut [f32],
    into: Put,
    operands: (Mat<'_, f32>, Mat<'_, f32>),
    shape: [usize; 3],
) {
    product((out, shape[2], into), operands, shape, 1.0, Hands::One);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compute::check::numbers;

    #[test]
    fn strided_products_equal_sums_of_products() {
        let (m, k, n) = (5, 7, 3);
        let (lhs, rhs) = (numbers(m * 9, 1), numbers(n * 8, 2));
        for into in [Put::Set, Put::Add] {
            let mut out = vec![0.5; m * 4];
            let operands = (Mat::rows(&lhs, 9), Mat::rows(&rhs, 8).t());
            product((&mut out, 4, into), operands, [m, k, n], 2.0, Hands::One);
            for row in 0..m {
                for col in 0..n {
                    let sum: f32 = (0..k).map(|i| lhs[row * 9 + i] * rhs[col * 8 + i]).sum();
                    let start = if into == Put::Add { 0.5 } else { 0.0 };
                    assert!((out[row * 4 + col] - start - 2.0 * sum).abs() < 1e-4);
                }
                assert!(
                    (out[row * 4 + 3] - 0.5).abs() < f32::EPSILON,
                    "beside the columns"
                );
            }
        }
    }

    #[test]
    fn all_hands_give_the_bits_of_one() {
        let (m, k, n) = (477, 512, 391);
        let (lhs, rhs) = (numbers(m * k, 1), numbers(k * n, 2));
        let with = |hands| {
            let mut out = vec![0.0; m * n];
            let operands = (Mat::rows(&lhs, k), Mat::rows(&rhs, n));
            product((&mut out, n, Put::Set), operands, [m, k, n], 1.0, hands);
            out
        };
        assert_eq!(with(Hands::One), with(Hands::All));
    }
}
