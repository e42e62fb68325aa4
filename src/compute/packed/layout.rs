//! The layouts, and what their bytes say.

use half::{bf16, f16};

/// How the rows of a matrix lie in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// 32 weights of 8 bits with a scale.
    Q8,
    /// 256 weights of 4 bits, with scale and offset for each 32.
    Q4K,
    /// 256 weights of 6 bits, with a scale for each 16.
    Q6K,
    /// Half of single precision.
    Bf16,
    /// Half precision.
    F16,
}

impl Layout {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Q8, Self::Q4K, Self::Q6K, Self::Bf16, Self::F16];

    /// Weights of a block, and its bytes.
    pub const fn block(self) -> (usize, usize) {
        match self {
            Self::Q8 => (32, 34),
            Self::Q4K => (256, 144),
            Self::Q6K => (256, 210),
            Self::Bf16 | Self::F16 => (1, 2),
        }
    }

    /// Bytes of a row.
    pub const fn row_bytes(self, width: usize) -> usize {
        let (elements, bytes) = self.block();
        width / elements * bytes
    }

    /// Bytes of a row, and how many rows there are, for products of rows as wide as `count` vectors.
    ///
    /// # Panics
    /// Rows or results of other sizes.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn rows(
        self,
        (width, count): (usize, usize),
        rows: &[u8],
        out: &[f32],
    ) -> (usize, usize) {
        let (row_bytes, num_rows) = (self.row_bytes(width), out.len() / count);
        assert!(
            rows.len() == num_rows * row_bytes && out.len() == num_rows * count,
            "rows and results belong to the vectors"
        );
        (row_bytes, num_rows)
    }
}

/// A number of 16 bits whose bytes may be read as they lie: both of the crate's half types are one `u16`.
pub trait Half: sealed::Sealed {}

mod sealed {
    pub trait Sealed {}
    impl Sealed for half::f16 {}
    impl Sealed for half::bf16 {}
}

impl Half for f16 {}
impl Half for bf16 {}

/// The bytes of numbers in half precision.
#[expect(unsafe_code, reason = "numbers are looked at as their bytes")]
pub const fn bytes_of<T: Half>(values: &[T]) -> &[u8] {
    // SAFETY: both types are `repr(transparent)` over `u16`, which has no padding, and bytes have no alignment.
    unsafe { std::slice::from_raw_parts(values.as_ptr().cast(), size_of_val(values)) }
}

/// Rows in single precision.
pub fn widen(layout: Layout, bytes: &[u8], out: &mut [f32]) {
    let (elements, size) = layout.block();
    let blocks = bytes.chunks_exact(size).zip(out.chunks_exact_mut(elements));
    match layout {
        Layout::Q8 => blocks.for_each(|(block, out)| q8(block, out)),
        Layout::Q4K => blocks.for_each(|(block, out)| q4k(block, out)),
        Layout::Q6K => blocks.for_each(|(block, out)| q6k(block, out)),
        Layout::Bf16 => blocks.for_each(|(b, out)| {
            out.fill(bf16::from_le_bytes([b[0], b[1]]).to_f32());
        }),
        Layout::F16 => blocks.for_each(|(b, out)| {
            out.fill(f16::from_le_bytes([b[0], b[1]]).to_f32());
        }),
    }
}

/// The half-precision number at the start of `bytes`.
pub(super) fn scale(bytes: &[u8]) -> f32 {
    f16::from_le_bytes([bytes[0], bytes[1]]).to_f32()
}

/// Writes values in 8 bits, and answers what a unit of them is worth.
pub(super) fn narrowed(values: &[f32], bytes: &mut [i8]) -> f32 {
    let largest = values.iter().fold(0_f32, |most, x| most.max(x.abs()));
    let (scale, inverse) = match largest > 0.0 {
        true => (largest / 127.0, 127.0 / largest),
        false => (0.0, 0.0),
    };
    for (byte, value) in bytes.iter_mut().zip(values) {
        *byte = (value * inverse).round() as i8;
    }
    scale
}

fn q8(block: &[u8], out: &mut [f32]) {
    let d = scale(block);
    for (out, q) in out.iter_mut().zip(&block[2..]) {
        *out = d * f32::from(q.cast_signed());
    }
}

/// Scales and offsets of the eight parts of a `Q4_K` block: 6 bits each, the upper two of the last four apart.
pub(super) fn q4k_scales(packed: &[u8]) -> ([u8; 8], [u8; 8]) {
    let of = |first: usize, shift: u32| {
        std::array::from_fn(|at| match at {
            0..4 => packed[first + at] & 63,
            _ => packed[at + 4] >> shift & 15 | packed[first + at - 4] >> 6 << 4,
        })
    };
    (of(0, 0), of(4, 4))
}

fn q4k(block: &[u8], out: &mut [f32]) {
    let (d, dmin) = (scale(block), scale(&block[2..]));
    let (scales, mins) = q4k_scales(&block[4..16]);
    let parts = block[16..].chunks_exact(32).zip(out.chunks_exact_mut(64));
    for (pair, (bytes, out)) in parts.enumerate() {
        let (low, high) = out.split_at_mut(32);
        for (half, out) in [low, high].into_iter().enumerate() {
            let d = d * f32::from(scales[2 * pair + half]);
            let min = dmin * f32::from(mins[2 * pair + half]);
            for (out, q) in out.iter_mut().zip(bytes) {
                *out = d * f32::from(*q >> (4 * half) & 15) - min;
            }
        }
    }
}

fn q6k(block: &[u8], out: &mut [f32]) {
    let d = scale(&block[208..]);
    for half in 0..2 {
        let (low, high) = (&block[64 * half..][..64], &block[128 + 32 * half..][..32]);
        let scales = &block[192 + 8 * half..][..8];
        for (at, out) in out[128 * half..][..128].iter_mut().enumerate() {
            let nibble = low[at % 64] >> (4 * (at / 64)) & 15;
            let upper = high[at % 32] >> (2 * (at / 32)) & 3;
            let q = i16::from(nibble | upper << 4) - 32;
            *out = d * f32::from(scales[at / 16].cast_signed()) * f32::from(q);
        }
    }
}
