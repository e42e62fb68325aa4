//! Floats for hand-written kernels: single precision in use, double precision for finite differences.

use std::ops::Neg;

use candle_core::CpuStorage;
use candle_core::Layout;
use candle_core::Result;
use candle_core::Tensor;
use candle_core::WithDType;
use candle_core::bail;

/// A float that kernels compute in.
pub trait Real: WithDType + Neg<Output = Self> {
    /// `e^x`.
    fn exp(self) -> Self;
    /// `ln(1 + x)`.
    fn ln_1p(self) -> Self;
    /// Hyperbolic tangent.
    fn tanh(self) -> Self;
    /// Square root.
    fn sqrt(self) -> Self;
    /// Distance from zero.
    fn abs(self) -> Self;
    /// The larger of two.
    fn at_least(self, other: Self) -> Self;
    /// `self * a + b`, in one instruction where the machine has it.
    fn mul_add(self, a: Self, b: Self) -> Self;

    /// `1 / (1 + e^-x)`.
    fn sigmoid(self) -> Self {
        Self::one() / (Self::one() + (-self).exp())
    }

    /// `ln(sigmoid(x))`, exact at both ends.
    fn log_sigmoid(self) -> Self {
        let zero = Self::zero();
        let floor = if self < zero { self } else { zero };
        floor - (-self.abs()).exp().ln_1p()
    }
}

macro_rules! real {
    ($float:ident) => {
        impl Real for $float {
            fn exp(self) -> Self {
                $float::exp(self)
            }

            fn ln_1p(self) -> Self {
                $float::ln_1p(self)
            }

            fn tanh(self) -> Self {
                $float::tanh(self)
            }

            fn sqrt(self) -> Self {
                $float::sqrt(self)
            }

            fn abs(self) -> Self {
                $float::abs(self)
            }

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
        }
    };
}

real!(f32);
real!(f64);

/// The values of a contiguous storage.
pub(crate) fn contiguous<'a, T: Real>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [T]> {
    let values = storage.as_slice::<T>()?;
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&values[start..end]),
        None => bail!("expected a contiguous tensor, got {layout:?}"),
    }
}

/// The values of a tensor, row-major.
pub(crate) fn values<T: Real>(tensor: &Tensor) -> Result<Vec<T>> {
    tensor.flatten_all()?.to_vec1()
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

/// Inner product, in eight running sums that the compiler can keep in one register.
#[expect(
    clippy::inline_always,
    reason = "the loops around it are vectorised only with it inside"
)]
#[inline(always)]
pub(crate) fn dot<T: Real>(a: &[T], b: &[T]) -> T {
    let mut sums = [T::zero(); 8];
    let (chunks_a, chunks_b) = (a.chunks_exact(8), b.chunks_exact(8));
    let mut rest = T::zero();
    for (x, y) in chunks_a.remainder().iter().zip(chunks_b.remainder()) {
        rest = x.mul_add(*y, rest);
    }
    for (x, y) in chunks_a.zip(chunks_b) {
        for lane in 0..8 {
            sums[lane] = x[lane].mul_add(y[lane], sums[lane]);
        }
    }
    sums.into_iter().fold(rest, |total, sum| total + sum)
}
