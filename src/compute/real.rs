//! Floats for hand-written kernels: single precision in use, double precision for finite differences.
//!
//! The functions of single precision are polynomials without branches and calls, so that the loops around them are
//! vectorised: the C library's take about 5 ns a value, these about 0.4. They are within 2e-7 of the exact value,
//! relative to it, and answer NaN to NaN.

use std::ops::Neg;

use candle_core::CpuStorage;
use candle_core::Layout;
use candle_core::Result;
use candle_core::Storage;
use candle_core::Tensor;
use candle_core::WithDType;
use candle_core::bail;

use crate::compute::scratch::Kept;

/// A float that kernels compute in.
pub trait Real: WithDType + Neg<Output = Self> + Kept {
    /// `e^x`.
    fn exp(self) -> Self;
    /// Hyperbolic tangent.
    fn tanh(self) -> Self;
    /// The error function.
    fn erf(self) -> Self;
    /// `ln(sigmoid(x))`, exact at both ends.
    fn log_sigmoid(self) -> Self;
    /// Square root.
    fn sqrt(self) -> Self;
    /// Distance from zero.
    fn abs(self) -> Self;
    /// The larger of two.
    fn at_least(self, other: Self) -> Self;
    /// `self * a + b`, in one instruction where the machine has it.
    fn mul_add(self, a: Self, b: Self) -> Self;

    /// `1 / (1 + e^-x)`.
    #[expect(clippy::inline_always, reason = "vectorised only inside its loop")]
    #[inline(always)]
    fn sigmoid(self) -> Self {
        Self::one() / (Self::one() + (-self).exp())
    }
}

macro_rules! plain {
    ($float:ident) => {
        #[inline(always)]
        fn sqrt(self) -> Self {
            $float::sqrt(self)
        }

        #[inline(always)]
        fn abs(self) -> Self {
            $float::abs(self)
        }

        #[inline(always)]
        fn at_least(self, other: Self) -> Self {
            $float::max(self, other)
        }

        #[inline(always)]
        fn mul_add(self, a: Self, b: Self) -> Self {
            // Without the instruction, `mul_add` is a slow library call.
            if cfg!(target_feature = "fma") {
                $float::mul_add(self, a, b)
            } else {
                self * a + b
            }
        }
    };
}

#[expect(
    clippy::inline_always,
    reason = "the loops around them are vectorised only with them inside"
)]
impl Real for f32 {
    plain!(f32);

    #[inline(always)]
    fn exp(self) -> Self {
        exp(self)
    }

    #[inline(always)]
    fn tanh(self) -> Self {
        tanh(self)
    }

    #[inline(always)]
    fn erf(self) -> Self {
        erf(self)
    }

    #[inline(always)]
    fn log_sigmoid(self) -> Self {
        log_sigmoid(self)
    }
}

impl Real for f64 {
    plain!(f64);

    fn exp(self) -> Self {
        Self::exp(self)
    }

    fn tanh(self) -> Self {
        Self::tanh(self)
    }

    fn erf(self) -> Self {
        candle_core::cpu::erf::erf_f64(self)
    }

    fn log_sigmoid(self) -> Self {
        self.min(0.0) - Self::exp(-Self::abs(self)).ln_1p()
    }
}

/// Horner's rule, the highest power first.
#[inline]
fn horner<const N: usize>(x: f32, coefficients: [f32; N]) -> f32 {
    let mut sum = coefficients[0];
    for coefficient in &coefficients[1..] {
        sum = Real::mul_add(sum, x, *coefficient);
    }
    sum
}

/// `e^x = 2^n e^r` with `|r| <= ln 2 / 2`. **Source** Cephes library, `expf` (the polynomial).
#[inline]
fn exp(x: f32) -> f32 {
    /// Added to a small number, it leaves the nearest integer in the low bits of the sum.
    const ROUND: f32 = 12_582_912.0;
    /// The ends between which the result is a normal number.
    const ENDS: [f32; 2] = [-87.33, 88.72];
    let inside = if x < ENDS[0] { ENDS[0] } else { x };
    let inside = if inside > ENDS[1] { ENDS[1] } else { inside };
    let shifted = Real::mul_add(inside, std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    // ln 2 in two parts, the first of which has few digits, so that n times it is exact.
    let r = Real::mul_add(n, -0.693_359_4, inside);
    let r = Real::mul_add(n, 2.121_944_4e-4, r);
    let p = horner(
        r,
        [
            1.987_569_1e-4,
            1.398_2e-3,
            8.333_452e-3,
            4.166_579_6e-2,
            0.166_666_65,
            0.5,
        ],
    );
    let power = Real::mul_add(p, r * r, r) + 1.0;
    let scaled = f32::from_bits(power.to_bits().wrapping_add(shifted.to_bits() << 23));
    if x < ENDS[0] { 0.0 } else { scaled }
}

/// Near 0 a polynomial, since `1 - 2 / (e^2x + 1)` loses all digits there. **Source** Cephes library, `tanhf`.
#[expect(clippy::inline_always, reason = "vectorised only inside its loop")]
#[inline(always)]
fn tanh(x: f32) -> f32 {
    let far = 1.0 - 2.0 / (exp(2.0 * f32::abs(x)) + 1.0);
    let square = x * x;
    let near = horner(
        square,
        [
            -5.704_988_7e-3,
            2.063_908_8e-2,
            -5.373_971_4e-2,
            0.133_314_42,
            -0.333_332_8,
        ],
    );
    let near = Real::mul_add(near * square, x, x);
    if f32::abs(x) < 0.625 {
        near
    } else {
        far.copysign(x)
    }
}

/// `min(x, 0) - ln(1 + e^-|x|)`; the logarithm as `2 artanh(y / (2 + y))`, whose series ends soon for `y <= 1`.
#[expect(clippy::inline_always, reason = "vectorised only inside its loop")]
#[inline(always)]
fn log_sigmoid(x: f32) -> f32 {
    let y = exp(-f32::abs(x));
    let s = y / (2.0 + y);
    let series = horner(
        s * s,
        [
            2.0 / 17.0,
            2.0 / 15.0,
            2.0 / 13.0,
            2.0 / 11.0,
            2.0 / 9.0,
            2.0 / 7.0,
            2.0 / 5.0,
            2.0 / 3.0,
            2.0,
        ],
    );
    let below = if x < 0.0 { x } else { 0.0 };
    below - s * series
}

/// **Source** M. Abramowitz, I. Stegun, "Handbook of mathematical functions", 7.1.26: within 1.5e-7, absolute.
#[expect(clippy::inline_always, reason = "vectorised only inside its loop")]
#[inline(always)]
fn erf(x: f32) -> f32 {
    let magnitude = f32::abs(x);
    let t = 1.0 / Real::mul_add(magnitude, 0.327_591_1, 1.0);
    let p = horner(
        t,
        [
            1.061_405_4,
            -1.453_152,
            1.421_413_8,
            -0.284_496_72,
            0.254_829_6,
        ],
    );
    (1.0 - p * t * exp(-magnitude * magnitude)).copysign(x)
}

/// The values of a contiguous storage.
pub(crate) fn contiguous<'a, T: WithDType>(
    storage: &'a CpuStorage,
    layout: &Layout,
) -> Result<&'a [T]> {
    let values = storage.as_slice::<T>()?;
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&values[start..end]),
        None => bail!("expected a contiguous tensor, got {layout:?}"),
    }
}

/// The values of a tensor, row-major, copied.
pub(crate) fn values<T: Real>(tensor: &Tensor) -> Result<Vec<T>> {
    tensor.flatten_all()?.to_vec1()
}

/// Runs `work` on the values of contiguous tensors where they lie.
pub(crate) fn with_values<const N: usize, T: Real, R>(
    tensors: [&Tensor; N],
    work: impl FnOnce([&[T]; N]) -> Result<R>,
) -> Result<R> {
    let guards = tensors.map(Tensor::storage_and_layout);
    let mut slices: [&[T]; N] = [&[]; N];
    for (slice, (storage, layout)) in slices.iter_mut().zip(&guards) {
        let Storage::Cpu(storage) = &**storage else {
            bail!("expected a tensor on the CPU")
        };
        *slice = contiguous(storage, layout)?;
    }
    work(slices)
}

/// `out += a[0] rows[0] + .. + a[3] rows[3]`: four rows at once, so that `out` is read and written once for four products.
#[expect(
    clippy::inline_always,
    reason = "the loops around it are vectorised only with it inside"
)]
#[inline(always)]
pub(crate) fn add_scaled4<T: Real>(out: &mut [T], a: [T; 4], rows: [&[T]; 4]) {
    let n = out.len();
    let [r0, r1, r2, r3] = rows.map(|row| &row[..n]);
    for i in 0..n {
        let low = a[0].mul_add(r0[i], a[1].mul_add(r1[i], out[i]));
        out[i] = a[2].mul_add(r2[i], a[3].mul_add(r3[i], low));
    }
}

/// Running sums that the compiler keeps in registers.
const LANES: usize = 16;

/// Inner product.
#[expect(
    clippy::inline_always,
    reason = "the loops around it are vectorised only with it inside"
)]
#[inline(always)]
pub(crate) fn dot<T: Real>(a: &[T], b: &[T]) -> T {
    sum_of(a, b, Real::mul_add)
}

/// Sum of all values.
#[expect(
    clippy::inline_always,
    reason = "the loops around it are vectorised only with it inside"
)]
#[inline(always)]
pub(crate) fn total<T: Real>(a: &[T]) -> T {
    sum_of(a, a, |x, _, sum| sum + x)
}

/// Folds pairs of values into [`LANES`] running sums, always in the same order.
#[expect(
    clippy::inline_always,
    reason = "the loops around it are vectorised only with it inside"
)]
#[inline(always)]
pub(crate) fn sum_of<T: Real>(a: &[T], b: &[T], add: impl Fn(T, T, T) -> T) -> T {
    let mut sums = [T::zero(); LANES];
    let (chunks_a, chunks_b) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let mut rest = T::zero();
    for (&x, &y) in chunks_a.remainder().iter().zip(chunks_b.remainder()) {
        rest = add(x, y, rest);
    }
    for (x, y) in chunks_a.zip(chunks_b) {
        for lane in 0..LANES {
            sums[lane] = add(x[lane], y[lane], sums[lane]);
        }
    }
    // Halved and halved again: a sum of one value after the other would wait for each.
    let mut lanes = LANES / 2;
    while lanes > 0 {
        for lane in 0..lanes {
            sums[lane] += sums[lane + lanes];
        }
        lanes /= 2;
    }
    sums[0] + rest
}

/// Exponent below which nothing is left: smaller results would be numbers that processors are slow with.
const LEAST: f64 = -80.0;

/// A row of scores becomes `softmax(scale * scores)`; infinitely small ones get nothing.
pub(crate) fn softmax_row<T: Real>(row: &mut [T], scale: T) {
    let (most, least) = (largest(row), T::from_f64(LEAST));
    for share in row.iter_mut() {
        let exponent = (*share - most) * scale;
        let share_of = exponent.at_least(least).exp();
        *share = if exponent < least {
            T::zero()
        } else {
            share_of
        };
    }
    let part = T::one() / total(row);
    for share in row.iter_mut() {
        *share *= part;
    }
}

/// The largest value of a row that is a number.
#[inline]
fn largest<T: Real>(row: &[T]) -> T {
    let larger = |a, b| if b > a { b } else { a };
    let mut lanes = [T::from_f64(f64::NEG_INFINITY); LANES];
    let (chunks, rest) = row.as_chunks::<LANES>();
    for chunk in chunks {
        for (lane, &value) in lanes.iter_mut().zip(chunk) {
            *lane = larger(*lane, value);
        }
    }
    let all = lanes.into_iter().chain(rest.iter().copied());
    all.fold(T::from_f64(f64::NEG_INFINITY), larger)
}

/// `N` equal parts of a slice, `width` values each.
pub(crate) fn parts<const N: usize, T>(values: &[T], width: usize) -> [&[T]; N] {
    std::array::from_fn(|part| &values[part * width..][..width])
}

/// `N` equal parts of a slice to be written, `width` values each.
pub(crate) fn parts_mut<const N: usize, T>(values: &mut [T], width: usize) -> [&mut [T]; N] {
    let mut chunks = values.chunks_exact_mut(width);
    std::array::from_fn(|_| chunks.next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    /// Largest error of `ours` on a fine grid, relative to the exact value or to `floor`, whichever is larger.
    fn error(ours: fn(f32) -> f32, exact: fn(f64) -> f64, floor: f64) -> f64 {
        let grid = (-100_000..=100_000).map(|at| at as f32 * 8e-4);
        grid.map(|x| {
            let exact = exact(f64::from(x));
            (f64::from(ours(x)) - exact).abs() / exact.abs().max(floor)
        })
        .fold(0.0, f64::max)
    }

    #[test]
    fn fast_functions_are_as_exact_as_single_precision() {
        assert!(error(Real::exp, f64::exp, 1e-37) < 2e-7);
        assert!(error(Real::tanh, f64::tanh, 1e-30) < 2e-7);
        assert!(error(Real::erf, candle_core::cpu::erf::erf_f64, 1.0) < 5e-7);
        assert!(error(Real::log_sigmoid, Real::log_sigmoid, 1e-30) < 3e-7);
        assert!(error(Real::sigmoid, Real::sigmoid, 1e-30) < 3e-7);
    }

    #[test]
    fn softmax_is_candles_own_and_masks_hide() -> Result<()> {
        let row: [f64; 7] = std::array::from_fn(|at| 9.0 * (at as f64 * 12.9).sin());
        let theirs = candle_nn::ops::softmax(&Tensor::new(&row, &Device::Cpu)?, 0)?;
        let mut ours = row;
        softmax_row(&mut ours, 1.0);
        for (ours, theirs) in ours.iter().zip(theirs.to_vec1::<f64>()?) {
            assert!((ours - theirs).abs() < 1e-12);
        }
        let mut masked = [0.5_f32, f32::NEG_INFINITY, -200.0, 0.5];
        softmax_row(&mut masked, 1.0);
        assert!((masked[0] - 0.5).abs() < 1e-6 && masked[1] == 0.0 && masked[2] < 1e-30);
        Ok(())
    }

    #[test]
    fn ends_and_nan_are_answered() {
        assert_eq!(Real::exp(-1000.0_f32).to_bits(), 0.0_f32.to_bits());
        assert!(Real::exp(1000.0_f32) > 3e38);
        assert_eq!(Real::tanh(50.0_f32).to_bits(), 1.0_f32.to_bits());
        assert_eq!(Real::tanh(-50.0_f32).to_bits(), (-1.0_f32).to_bits());
        for function in [<f32 as Real>::exp, Real::tanh, Real::erf, Real::log_sigmoid] {
            assert!(function(f32::NAN).is_nan());
        }
    }
}
