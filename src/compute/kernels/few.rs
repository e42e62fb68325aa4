//! Rows of a matrix times a few vectors: the matrix is read once, as it lies. A product for many vectors packs it first,
//! which for a dozen costs more than the product itself.
#![cfg_attr(
    target_arch = "x86_64",
    expect(
        unsafe_code,
        reason = "vector instructions, after the CPU was asked for them"
    )
)]

use crate::compute::real::dot;

/// Vectors up to which this is quicker than a product for many.
pub const FEW: usize = 32;

/// Products of `rows (n, width)` with the vectors `x (count, width)`, into `out (count, n)`.
///
/// # Panics
/// Slices that do not fit.
pub fn few(x: &[f32], rows: &[f32], width: usize, out: &mut [f32]) {
    let (count, n) = (x.len() / width, rows.len() / width);
    assert!(
        x.len() == count * width && rows.len() == n * width && out.len() == count * n,
        "vectors, rows and results belong together"
    );
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx512f") {
        // SAFETY: the CPU has the instructions.
        unsafe { x86::few(x, rows, width, out) };
        return;
    }
    for (at, row) in rows.chunks_exact(width).enumerate() {
        for (vector, x) in x.chunks_exact(width).enumerate() {
            out[vector * n + at] = dot(x, row);
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        __m512, _mm512_fmadd_ps, _mm512_maskz_loadu_ps, _mm512_reduce_add_ps, _mm512_setzero_ps,
    };

    /// Rows and vectors whose sums are kept in registers together.
    const SIDE: usize = 4;

    #[target_feature(enable = "avx512f")]
    pub(super) fn few(x: &[f32], rows: &[f32], width: usize, out: &mut [f32]) {
        let n = rows.len() / width;
        for (group, rows) in rows.chunks(SIDE * width).enumerate() {
            for (some, x) in x.chunks(SIDE * width).enumerate() {
                let mut put = |row: usize, vector: usize, value: f32| {
                    out[(some * SIDE + vector) * n + group * SIDE + row] = value;
                };
                if rows.len() == SIDE * width {
                    of_rows::<SIDE>(rows, x, width, &mut put);
                    continue;
                }
                for (at, row) in rows.chunks_exact(width).enumerate() {
                    of_rows::<1>(row, x, width, &mut |_, vector, value| {
                        put(at, vector, value);
                    });
                }
            }
        }
    }

    #[target_feature(enable = "avx512f")]
    fn of_rows<const R: usize>(
        rows: &[f32],
        x: &[f32],
        width: usize,
        put: &mut impl FnMut(usize, usize, f32),
    ) {
        match x.len() / width {
            1 => block::<R, 1>(rows, x, width, put),
            2 => block::<R, 2>(rows, x, width, put),
            3 => block::<R, 3>(rows, x, width, put),
            _ => block::<R, SIDE>(rows, x, width, put),
        }
    }

    /// Products of `R` rows with `V` vectors.
    #[target_feature(enable = "avx512f")]
    fn block<const R: usize, const V: usize>(
        rows: &[f32],
        x: &[f32],
        width: usize,
        put: &mut impl FnMut(usize, usize, f32),
    ) {
        assert!(
            rows.len() >= R * width && x.len() >= V * width,
            "whole rows"
        );
        let mut sums = [[_mm512_setzero_ps(); V]; R];
        for at in (0..width).step_by(16) {
            let mask = ((1_u32 << (width - at).min(16)) - 1) as u16;
            let load = |values: &[f32], which: usize| -> __m512 {
                // SAFETY: the assertion above; what lies beyond a row's end is masked away and never touched.
                unsafe { _mm512_maskz_loadu_ps(mask, values.as_ptr().add(which * width + at)) }
            };
            let x: [__m512; V] = std::array::from_fn(|vector| load(x, vector));
            for (row, sums) in sums.iter_mut().enumerate() {
                let row = load(rows, row);
                for (sum, x) in sums.iter_mut().zip(x) {
                    *sum = _mm512_fmadd_ps(row, x, *sum);
                }
            }
        }
        for (row, sums) in sums.into_iter().enumerate() {
            for (vector, sum) in sums.into_iter().enumerate() {
                put(row, vector, _mm512_reduce_add_ps(sum));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compute::check::numbers;

    #[test]
    fn products_are_sums_of_products() {
        for (n, count, width) in [(1, 1, 1), (3, 2, 16), (9, 5, 37), (8, 12, 64), (5, FEW, 19)] {
            let (rows, x) = (numbers(n * width, 1), numbers(count * width, 2));
            let mut out = vec![f32::NAN; count * n];
            few(&x, &rows, width, &mut out);
            for (vector, out) in out.chunks_exact(n).enumerate() {
                for (row, out) in out.iter().enumerate() {
                    let pairs = rows[row * width..][..width]
                        .iter()
                        .zip(&x[vector * width..][..width]);
                    let exact: f64 = pairs.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
                    assert!(
                        (f64::from(*out) - exact).abs() < 1e-5,
                        "{n} {count} {width}"
                    );
                }
            }
        }
    }
}
