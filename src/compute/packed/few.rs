//! Few vectors: every block is read once, and multiplied as it is.
#![cfg_attr(
    target_arch = "x86_64",
    expect(
        unsafe_code,
        reason = "vector instructions, after the CPU was asked for them"
    )
)]

use super::Layout;
use super::layout::narrowed;

/// Vectors in the form that the layout's kernel reads.
pub(super) struct Ready {
    width: usize,
    count: usize,
    /// As they came, for half types.
    plain: Vec<f32>,
    /// In 8 bits, in the kernel's order.
    bytes: Vec<i8>,
    /// What a unit of a block's bytes is worth: one a block of the layout.
    scales: Vec<f32>,
    /// Sums of 32 (`Q4_K`) or 16 (`Q6_K`) values, in their own size.
    sums: Vec<f32>,
}

/// Vectors that one pass over a row serves.
const TOGETHER: usize = 4;

/// Whether the CPU has the instructions.
#[cfg(target_arch = "x86_64")]
pub(super) fn is_there() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vnni")
        && is_x86_feature_detected!("f16c")
}

#[cfg(not(target_arch = "x86_64"))]
pub(super) const fn is_there() -> bool {
    false
}

impl Ready {
    pub(super) fn new(layout: Layout, x: &[f32], width: usize) -> Self {
        let mut ready = Self {
            width,
            count: x.len() / width,
            plain: Vec::new(),
            bytes: Vec::new(),
            scales: Vec::new(),
            sums: Vec::new(),
        };
        let (block, _) = layout.block();
        match layout {
            Layout::Bf16 | Layout::F16 => x.clone_into(&mut ready.plain),
            _ => x
                .chunks_exact(block)
                .for_each(|block| ready.push(layout, block)),
        }
        ready
    }

    /// Appends a block in 8 bits.
    fn push(&mut self, layout: Layout, block: &[f32]) {
        let start = self.bytes.len();
        self.bytes.resize(start + block.len(), 0);
        let scale = narrowed(block, &mut self.bytes[start..]);
        self.scales.push(scale);
        let sums_of = match layout {
            Layout::Q4K => 32,
            Layout::Q6K => 16,
            _ => return,
        };
        let bytes = &mut self.bytes[start..];
        self.sums.extend(bytes.chunks_exact(sums_of).map(|part| {
            let sum: i32 = part.iter().map(|q| i32::from(*q)).sum();
            sum as f32 * scale
        }));
        if layout == Layout::Q4K {
            // 64 bytes of a block hold the lower halves of parts 0 and 2 and the upper ones of parts 1 and 3.
            for part in bytes.chunks_exact_mut(128) {
                let (first, second) = part.split_at_mut(64);
                first[32..].swap_with_slice(&mut second[..32]);
            }
        }
    }

    #[cfg(not(target_arch = "x86_64"))]
    pub(super) fn times(&self, _: Layout, _: &[u8], _: &mut [f32]) {}

    #[cfg(target_arch = "x86_64")]
    pub(super) fn times(&self, layout: Layout, rows: &[u8], out: &mut [f32]) {
        let (row_bytes, num_rows) = layout.rows((self.width, self.count), rows, out);
        for (at, row) in rows.chunks_exact(row_bytes).enumerate() {
            for first in (0..self.count).step_by(TOGETHER) {
                let some = TOGETHER.min(self.count - first);
                // SAFETY: vectors are made only where the CPU has the instructions (`is_there`); the row is as wide as they are.
                let values = unsafe {
                    match some {
                        1 => x86::row::<1>(self, layout, row, first),
                        2 => x86::row::<2>(self, layout, row, first),
                        3 => x86::row::<3>(self, layout, row, first),
                        _ => x86::row::<4>(self, layout, row, first),
                    }
                };
                for (vector, value) in values.into_iter().take(some).enumerate() {
                    out[(first + vector) * num_rows + at] = value;
                }
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    #[cfg_attr(
        not(test),
        expect(
            clippy::wildcard_imports,
            reason = "a kernel is written in the words of its instruction set"
        )
    )]
    use std::arch::x86_64::*;

    use super::{Layout, Ready, TOGETHER};

    /// Products of a row with `N` vectors from `first` on.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,f16c")]
    pub(super) unsafe fn row<const N: usize>(
        x: &Ready,
        layout: Layout,
        row: &[u8],
        first: usize,
    ) -> [f32; TOGETHER] {
        let mut out = [0.0; TOGETHER];
        // SAFETY: the row is as wide as the vectors, which the caller has made sure of.
        let sums = unsafe {
            match layout {
                Layout::Q8 => q8::<N>(x, row, first),
                Layout::Q4K => q4k::<N>(x, row, first),
                Layout::Q6K => q6k::<N>(x, row, first),
                Layout::Bf16 => plain::<N>(x, row, first, true),
                Layout::F16 => plain::<N>(x, row, first, false),
            }
        };
        out[..N].copy_from_slice(&sums);
        out
    }

    #[target_feature(enable = "avx512f,f16c")]
    unsafe fn scale(at: *const u8) -> f32 {
        // SAFETY: two bytes of the block.
        let bits = unsafe { at.cast::<u16>().read_unaligned() };
        _mm_cvtss_f32(_mm_cvtph_ps(_mm_cvtsi32_si128(i32::from(bits))))
    }

    #[target_feature(enable = "avx512f")]
    unsafe fn load(at: *const u8) -> __m512i {
        // SAFETY: 64 bytes, which the caller has made sure of.
        unsafe { _mm512_loadu_si512(at.cast()) }
    }

    /// Indices that spread the byte `parts[0]` of each 16 over the first half of the lanes, and `parts[1]` over the other.
    #[target_feature(enable = "avx512f")]
    fn spread(parts: [i32; 2]) -> __m512i {
        let fill = 0x8080_8000_u32.cast_signed();
        let [a, b] = parts.map(|part| fill | part);
        _mm512_set_epi32(b, b, b, b, b, b, b, b, a, a, a, a, a, a, a, a)
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,f16c")]
    unsafe fn q4k<const N: usize>(x: &Ready, row: &[u8], first: usize) -> [f32; N] {
        let blocks = x.width / 256;
        let nibble = _mm512_set1_epi8(15);
        let order = [
            spread([0, 2]),
            spread([1, 3]),
            spread([4, 6]),
            spread([5, 7]),
        ];
        let mut sums = [_mm512_setzero_ps(); N];
        let mut offsets = [_mm256_setzero_ps(); N];
        for block in 0..blocks {
            // SAFETY: `block` is one of the row's and of each vector's.
            unsafe {
                let at = row.as_ptr().add(144 * block);
                let (d, dmin) = (scale(at), scale(at.add(2)));
                let word = |n: usize| at.add(4 + 4 * n).cast::<u32>().read_unaligned();
                let (a, b, c) = (word(0), word(1), word(2));
                let low = |word: u32| u64::from(word & 0x3f3f_3f3f);
                let high = |four: u32, two: u32| {
                    u64::from(four & 0x0f0f_0f0f | (two >> 6 & 0x0303_0303) << 4) << 32
                };
                let scales = _mm512_set1_epi64((low(a) | high(c, a)).cast_signed());
                let mins = _mm_cvtsi64_si128((low(b) | high(c >> 4, b)).cast_signed());
                let mins = _mm256_mul_ps(
                    _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(mins)),
                    _mm256_set1_ps(dmin),
                );
                let bytes = [load(at.add(16)), load(at.add(80))];
                let parts = [
                    _mm512_and_si512(bytes[0], nibble),
                    _mm512_and_si512(_mm512_srli_epi16::<4>(bytes[0]), nibble),
                    _mm512_and_si512(bytes[1], nibble),
                    _mm512_and_si512(_mm512_srli_epi16::<4>(bytes[1]), nibble),
                ];
                for (n, total) in sums.iter_mut().enumerate() {
                    let vector = first + n;
                    let q = x
                        .bytes
                        .as_ptr()
                        .add(vector * x.width + 256 * block)
                        .cast::<u8>();
                    let mut sum = _mm512_setzero_si512();
                    for (part, (bytes, order)) in parts.iter().zip(&order).enumerate() {
                        let product = _mm512_dpbusd_epi32(
                            _mm512_setzero_si512(),
                            *bytes,
                            load(q.add(64 * part)),
                        );
                        let scale = _mm512_shuffle_epi8(scales, *order);
                        sum = _mm512_add_epi32(sum, _mm512_mullo_epi32(product, scale));
                    }
                    let worth = d * x.scales.get_unchecked(vector * blocks + block);
                    let worth = _mm512_set1_ps(worth);
                    *total = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum), worth, *total);
                    let eight = x.sums.as_ptr().add((vector * blocks + block) * 8);
                    offsets[n] = _mm256_fmadd_ps(mins, _mm256_loadu_ps(eight), offsets[n]);
                }
            }
        }
        std::array::from_fn(|n| {
            let offset = _mm512_castps256_ps512(offsets[n]);
            let offset = _mm512_maskz_mov_ps(0xff, offset);
            _mm512_reduce_add_ps(_mm512_sub_ps(sums[n], offset))
        })
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,f16c")]
    unsafe fn q6k<const N: usize>(x: &Ready, row: &[u8], first: usize) -> [f32; N] {
        let blocks = x.width / 256;
        let (nibble, two) = (_mm512_set1_epi8(15), _mm512_set1_epi8(0x30));
        // Bits 0 and 1 of the first 32 bytes, 2 and 3 of the second, brought to places 4 and 5.
        let lower = _mm512_set_epi64(2, 2, 2, 2, 4, 4, 4, 4);
        let upper = _mm512_set_epi64(2, 2, 2, 2, 0, 0, 0, 0);
        let four = _mm512_set_epi32(3, 3, 3, 3, 2, 2, 2, 2, 1, 1, 1, 1, 0, 0, 0, 0);
        let mut sums = [_mm512_setzero_ps(); N];
        for block in 0..blocks {
            // SAFETY: `block` is one of the row's and of each vector's.
            unsafe {
                let at = row.as_ptr().add(210 * block);
                let d = scale(at.add(208));
                let scales = _mm512_cvtepi8_epi32(_mm_loadu_si128(at.add(192).cast()));
                let mut parts = [_mm512_setzero_si512(); 4];
                for half in 0..2 {
                    let low = load(at.add(64 * half));
                    let high = _mm256_loadu_si256(at.add(128 + 32 * half).cast());
                    let high = _mm512_broadcast_i64x4(high);
                    // Shifts are of 64 bits: what comes over from a neighbouring byte is masked away.
                    let first = _mm512_sllv_epi64(high, lower);
                    let second = _mm512_srlv_epi64(high, upper);
                    parts[2 * half] = _mm512_or_si512(
                        _mm512_and_si512(low, nibble),
                        _mm512_and_si512(first, two),
                    );
                    parts[2 * half + 1] = _mm512_or_si512(
                        _mm512_and_si512(_mm512_srli_epi16::<4>(low), nibble),
                        _mm512_and_si512(second, two),
                    );
                }
                let offset = _mm512_mul_ps(_mm512_cvtepi32_ps(scales), _mm512_set1_ps(-32.0 * d));
                for (n, total) in sums.iter_mut().enumerate() {
                    let vector = first + n;
                    let q = x
                        .bytes
                        .as_ptr()
                        .add(vector * x.width + 256 * block)
                        .cast::<u8>();
                    let mut sum = _mm512_setzero_si512();
                    for (part, bytes) in parts.iter().enumerate() {
                        let product = _mm512_dpbusd_epi32(
                            _mm512_setzero_si512(),
                            *bytes,
                            load(q.add(64 * part)),
                        );
                        let own = _mm512_add_epi32(four, _mm512_set1_epi32(4 * part as i32));
                        let scale = _mm512_permutexvar_epi32(own, scales);
                        sum = _mm512_add_epi32(sum, _mm512_mullo_epi32(product, scale));
                    }
                    let worth = d * x.scales.get_unchecked(vector * blocks + block);
                    let worth = _mm512_set1_ps(worth);
                    *total = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum), worth, *total);
                    let sixteen = x.sums.as_ptr().add((vector * blocks + block) * 16);
                    *total = _mm512_fmadd_ps(offset, _mm512_loadu_ps(sixteen), *total);
                }
            }
        }
        std::array::from_fn(|n| _mm512_reduce_add_ps(sums[n]))
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,f16c")]
    unsafe fn q8<const N: usize>(x: &Ready, row: &[u8], first: usize) -> [f32; N] {
        let blocks = x.width / 32;
        let half = _mm512_set1_epi8(-128);
        let mut sums = [_mm512_setzero_ps(); N];
        let mut block = 0;
        while block < blocks {
            let is_pair = block + 1 < blocks;
            // SAFETY: `block` is one of the row's and of each vector's, and so is the next where there are two.
            unsafe {
                let at = row.as_ptr().add(34 * block);
                let thirty_two = |at: *const u8| _mm256_loadu_si256(at.cast());
                let both =
                    |a: __m256i, b: __m256i| _mm512_inserti64x4::<1>(_mm512_castsi256_si512(a), b);
                let none = _mm256_setzero_si256();
                let (next, next_d) = match is_pair {
                    true => (thirty_two(at.add(36)), scale(at.add(34))),
                    false => (none, 0.0),
                };
                let w = both(thirty_two(at.add(2)), next);
                let d = scale(at);
                // Bytes of vectors are made positive by adding 128, whose share is taken off again.
                let share = _mm512_dpbusd_epi32(_mm512_setzero_si512(), half, w);
                for (n, total) in sums.iter_mut().enumerate() {
                    let vector = first + n;
                    let q = x
                        .bytes
                        .as_ptr()
                        .add(vector * x.width + 32 * block)
                        .cast::<u8>();
                    let q = match is_pair {
                        true => load(q),
                        false => both(thirty_two(q), none),
                    };
                    let q = _mm512_xor_si512(q, half);
                    let product = _mm512_dpbusd_epi32(_mm512_setzero_si512(), q, w);
                    let product = _mm512_cvtepi32_ps(_mm512_sub_epi32(product, share));
                    let scales = x.scales.as_ptr().add(vector * blocks + block);
                    let second = match is_pair {
                        true => next_d * *scales.add(1),
                        false => 0.0,
                    };
                    let worth = _mm512_mask_blend_ps(
                        0xff00,
                        _mm512_set1_ps(d * *scales),
                        _mm512_set1_ps(second),
                    );
                    *total = _mm512_fmadd_ps(product, worth, *total);
                }
            }
            block += 2;
        }
        std::array::from_fn(|n| _mm512_reduce_add_ps(sums[n]))
    }

    /// Half types, in single precision: exact but for the order of the sum.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,f16c")]
    unsafe fn plain<const N: usize>(
        x: &Ready,
        row: &[u8],
        first: usize,
        is_bf16: bool,
    ) -> [f32; N] {
        let mut sums = [[_mm512_setzero_ps(); 2]; N];
        let mut at = 0;
        while at < x.width {
            for turn in 0..2 {
                let left = x.width.saturating_sub(at).min(16);
                let mask = ((1_u32 << left) - 1) as u16;
                // SAFETY: what lies beyond the row's end is masked away and never touched.
                unsafe {
                    let bits =
                        _mm256_maskz_loadu_epi16(mask, row.as_ptr().wrapping_add(2 * at).cast());
                    let w = match is_bf16 {
                        true => _mm512_castsi512_ps(_mm512_slli_epi32::<16>(
                            _mm512_cvtepu16_epi32(bits),
                        )),
                        false => _mm512_cvtph_ps(bits),
                    };
                    for (n, total) in sums.iter_mut().enumerate() {
                        let values = x.plain.as_ptr().wrapping_add((first + n) * x.width + at);
                        let values = _mm512_maskz_loadu_ps(mask, values);
                        total[turn] = _mm512_fmadd_ps(w, values, total[turn]);
                    }
                }
                at += 16;
            }
        }
        std::array::from_fn(|n| _mm512_reduce_add_ps(_mm512_add_ps(sums[n][0], sums[n][1])))
    }
}
