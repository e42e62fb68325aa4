//! One single-threaded f32 matrix product over slices, for kernels that split their work among threads themselves.

/// A row-major or transposed view of a slice: element `(row, col)` stands at `row * row_stride + col * col_stride`.
#[derive(Debug, Clone, Copy)]
pub struct Matrix<'a> {
    values: &'a [f32],
    row_stride: usize,
    col_stride: usize,
}

impl<'a> Matrix<'a> {
    /// `values` as rows of `cols` values.
    pub const fn rows(values: &'a [f32], cols: usize) -> Self {
        Self {
            values,
            row_stride: cols,
            col_stride: 1,
        }
    }

    /// The transpose of `values` seen as rows of `cols` values.
    pub const fn transposed(values: &'a [f32], cols: usize) -> Self {
        Self {
            values,
            row_stride: 1,
            col_stride: cols,
        }
    }

    fn holds(self, rows: usize, cols: usize) -> bool {
        rows == 0
            || cols == 0
            || (rows - 1) * self.row_stride + (cols - 1) * self.col_stride < self.values.len()
    }
}

/// `out (m, n) = lhs (m, k) * rhs (k, n)`, or `out +=` it where `accumulate` is 1 rather than 0.
///
/// # Panics
/// Where a slice is too short for its shape.
#[expect(unsafe_code, reason = "the gemm crate takes raw pointers")]
pub fn multiply(
    out: &mut [f32],
    lhs: Matrix<'_>,
    rhs: Matrix<'_>,
    [m, k, n]: [usize; 3],
    accumulate: f32,
) {
    assert!(
        out.len() >= m * n && lhs.holds(m, k) && rhs.holds(k, n),
        "a matrix is shorter than its shape"
    );
    // SAFETY: the assertion above keeps every index within its slice, and `out` is borrowed mutably, so that it
    // overlaps neither operand.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            n as isize,
            accumulate != 0.0,
            lhs.values.as_ptr(),
            lhs.col_stride as isize,
            lhs.row_stride as isize,
            rhs.values.as_ptr(),
            rhs.col_stride as isize,
            rhs.row_stride as isize,
            accumulate,
            1.0,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}
