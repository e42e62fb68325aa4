//! Many vectors: rows become bf16, some hundred at a time, and go through the matrix unit.
//!
//! The unit multiplies tiles of 16 x 32 by 32 x 16 in bf16 and adds up in single precision. Rows of the matrix are its
//! first operand as they lie in memory; vectors are its second, put into its order once for all rows.
#![cfg_attr(
    all(target_arch = "x86_64", target_os = "linux"),
    expect(
        unsafe_code,
        reason = "the matrix unit, after CPU and kernel were asked for it"
    )
)]

use rayon::prelude::*;

use super::Layout;

/// Side of a tile, and values that it takes of a row at once.
const SIDE: usize = 16;
const DEEP: usize = 32;
/// Rows, and vectors, that one pass through the unit multiplies.
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
const GROUP: usize = 2 * SIDE;

/// Vectors in the unit's order: tiles of 16 vectors by 32 values, pairs of a vector's values beside each other.
pub(super) struct Ready {
    width: usize,
    count: usize,
    /// Steps of 32 values.
    steps: usize,
    tiles: Vec<u16>,
}

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
pub(super) fn is_there() -> bool {
    unit::is_there()
}

#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
pub(super) const fn is_there() -> bool {
    false
}

impl Ready {
    pub(super) fn new(x: &[f32], width: usize) -> Self {
        let count = x.len() / width;
        let steps = width.div_ceil(DEEP);
        let pairs_of_tiles = count.div_ceil(2 * SIDE);
        let mut tiles = vec![0_u16; pairs_of_tiles * 2 * steps * SIDE * DEEP];
        tiles
            .par_chunks_mut(steps * SIDE * DEEP)
            .zip(x.par_chunks(SIDE * width))
            .for_each(|(tiles, x)| {
                for (vector, values) in x.chunks_exact(width).enumerate() {
                    for (at, pair) in values.chunks(2).enumerate() {
                        let place = 2 * vector + at * DEEP;
                        for (place, value) in tiles[place..].iter_mut().zip(pair) {
                            *place = half::bf16::from_f32(*value).to_bits();
                        }
                    }
                }
            });
        Self {
            width,
            count,
            steps,
            tiles,
        }
    }

    #[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
    pub(super) fn times(&self, _: Layout, _: &[u8], _: &mut [f32]) {}

    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    pub(super) fn times(&self, layout: Layout, rows: &[u8], out: &mut [f32]) {
        let (row_bytes, num_rows) = layout.rows((self.width, self.count), rows, out);
        let stride = self.steps * DEEP;
        let block = rows_of_block(stride).min(num_rows.next_multiple_of(GROUP));
        let mut narrow = vec![0_u16; block * stride];
        let unit = unit::Configured::new();
        for (at, rows) in rows.chunks(block * row_bytes).enumerate() {
            let places = narrow.chunks_exact_mut(stride);
            for (row, narrow) in rows.chunks_exact(row_bytes).zip(places) {
                // SAFETY: `is_there` asked for the instructions; the target is as long as the row is wide.
                unsafe { unit::narrowed(layout, row, &mut narrow[..self.width]) };
            }
            let place = (at * block, rows.len() / row_bytes, num_rows);
            self.block_times(&unit, &narrow, place, out);
        }
    }

    /// Products of a block of rows with all vectors: `some` rows from `first` on, of `num`.
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    fn block_times(
        &self,
        unit: &unit::Configured,
        narrow: &[u16],
        (first, some, num): (usize, usize, usize),
        out: &mut [f32],
    ) {
        let mut result = [0_f32; 4 * SIDE * SIDE];
        let pair = 2 * self.steps * SIDE * DEEP;
        for (pair, tiles) in self.tiles.chunks_exact(pair).enumerate() {
            let groups = narrow.chunks_exact(GROUP * self.steps * DEEP);
            for (group, narrow) in groups.take(some.div_ceil(GROUP)).enumerate() {
                unit::Configured::product(unit, narrow, tiles, self.steps, &mut result);
                let start = group * GROUP;
                for vector in pair * GROUP..self.count.min((pair + 1) * GROUP) {
                    let out = &mut out[vector * num + first + start..][..GROUP.min(some - start)];
                    take_column(&result, vector % GROUP, out);
                }
            }
        }
    }
}

/// Rows that are brought into bf16 at once: as many as half a cache of 2 MB holds, so that the vectors, which may be more
/// than it holds, are read once for all of them.
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
fn rows_of_block(stride: usize) -> usize {
    ((1 << 19) / stride / GROUP).max(1) * GROUP
}

/// What the rows of a group give for one of its 32 vectors.
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
fn take_column(result: &[f32], vector: usize, out: &mut [f32]) {
    for (tile, out) in out.chunks_mut(SIDE).enumerate() {
        let result = &result[(2 * tile + vector / SIDE) * SIDE * SIDE..][..SIDE * SIDE];
        for (out, line) in out.iter_mut().zip(result.chunks_exact(SIDE)) {
            *out = line[vector % SIDE];
        }
    }
}

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod unit {
    use std::arch::asm;
    #[cfg_attr(
        not(test),
        expect(
            clippy::wildcard_imports,
            reason = "a kernel is written in the words of its instruction set"
        )
    )]
    use std::arch::x86_64::*;
    use std::sync::OnceLock;

    use super::{DEEP, Layout, SIDE};
    use crate::compute::packed::layout::{q4k_scales, scale, widen};

    /// Whether the CPU has the unit, and the kernel lets this process use it.
    pub(super) fn is_there() -> bool {
        static IS_THERE: OnceLock<bool> = OnceLock::new();
        *IS_THERE.get_or_init(|| {
            // Intel SDM, CPUID leaf 7: bits 22 (AMX-BF16) and 24 (AMX-TILE) of EDX.
            let bits = __cpuid_count(7, 0).edx;
            let has_unit = bits & (1 << 22) != 0 && bits & (1 << 24) != 0;
            has_unit
                && is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512bf16")
                && may_use()
        })
    }

    /// Asks Linux for the unit's registers: `arch_prctl(ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA)`, granted to a process
    /// as a whole.
    fn may_use() -> bool {
        let answer: i64;
        // SAFETY: a call to the kernel that touches no memory of ours.
        unsafe {
            asm!(
                "syscall",
                inlateout("rax") 158_i64 => answer,
                in("rdi") 0x1023_i64,
                in("rsi") 18_i64,
                lateout("rcx") _,
                lateout("r11") _,
            );
        }
        answer == 0
    }

    /// The unit, configured for this thread until it is dropped: eight tiles of 16 rows of 64 bytes.
    pub(super) struct Configured(());

    impl Configured {
        pub(super) fn new() -> Self {
            let mut words = [0_u8; 64];
            words[0] = 1;
            for tile in 0..8 {
                words[16 + 2 * tile] = 64;
                words[48 + tile] = SIDE as u8;
            }
            // SAFETY: whoever makes vectors for the unit has asked `is_there`.
            unsafe { asm!("ldtilecfg [{}]", in(reg) words.as_ptr(), options(nostack)) };
            Self(())
        }

        /// Four tiles of results: rows 0-15 and 16-31 of `narrow`, each by the first and the second tile of vectors.
        pub(super) fn product(
            _configured: &Self,
            narrow: &[u16],
            tiles: &[u16],
            steps: usize,
            result: &mut [f32; 4 * SIDE * SIDE],
        ) {
            let stride = 2 * steps * DEEP;
            assert!(
                narrow.len() * 2 == 2 * SIDE * stride && tiles.len() == 2 * steps * SIDE * DEEP,
                "two tiles of rows and two of vectors"
            );
            let (upper, second) = (
                &narrow[SIDE * steps * DEEP..],
                &tiles[steps * SIDE * DEEP..],
            );
            // SAFETY: every tile lies within its slice, as the lengths above say; the unit is configured.
            unsafe {
                asm!(
                    "tilezero tmm0",
                    "tilezero tmm1",
                    "tilezero tmm2",
                    "tilezero tmm3",
                    "2:",
                    "tileloadd tmm4, [{a} + {stride}*1]",
                    "tileloadd tmm6, [{c} + {line}*1]",
                    "tdpbf16ps tmm0, tmm4, tmm6",
                    "tileloadd tmm7, [{d} + {line}*1]",
                    "tdpbf16ps tmm1, tmm4, tmm7",
                    "tileloadd tmm5, [{b} + {stride}*1]",
                    "tdpbf16ps tmm2, tmm5, tmm6",
                    "tdpbf16ps tmm3, tmm5, tmm7",
                    "add {a}, 64",
                    "add {b}, 64",
                    "add {c}, 1024",
                    "add {d}, 1024",
                    "dec {steps}",
                    "jnz 2b",
                    "tilestored [{out} + {line}*1], tmm0",
                    "tilestored [{out} + {line}*1 + 1024], tmm1",
                    "tilestored [{out} + {line}*1 + 2048], tmm2",
                    "tilestored [{out} + {line}*1 + 3072], tmm3",
                    a = inout(reg) narrow.as_ptr() => _,
                    b = inout(reg) upper.as_ptr() => _,
                    c = inout(reg) tiles.as_ptr() => _,
                    d = inout(reg) second.as_ptr() => _,
                    steps = inout(reg) steps => _,
                    stride = in(reg) stride,
                    line = in(reg) 64_usize,
                    out = in(reg) result.as_mut_ptr(),
                    options(nostack),
                );
            }
        }
    }

    impl Drop for Configured {
        fn drop(&mut self) {
            // SAFETY: the unit was configured by this thread.
            unsafe { asm!("tilerelease", options(nostack, nomem)) };
        }
    }

    /// A row in bf16.
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    pub(super) unsafe fn narrowed(layout: Layout, row: &[u8], out: &mut [u16]) {
        match layout {
            Layout::Q4K => q4k(row, out),
            Layout::Q8 => q8(row, out),
            Layout::Bf16 => {
                for (bytes, out) in row.chunks_exact(2).zip(out) {
                    *out = u16::from_le_bytes([bytes[0], bytes[1]]);
                }
            }
            _ => {
                let (elements, size) = layout.block();
                let mut wide = [0_f32; 256];
                let blocks = row.chunks_exact(size).zip(out.chunks_exact_mut(elements));
                for (block, out) in blocks {
                    widen(layout, block, &mut wide[..elements]);
                    for (wide, out) in wide[..elements].chunks(16).zip(out.chunks_mut(16)) {
                        // SAFETY: blocks of more than one value are multiples of 16 long.
                        unsafe { put(_mm512_loadu_ps(wide.as_ptr()), out) };
                    }
                }
            }
        }
    }

    /// Rounds 16 values to the nearest.
    #[target_feature(enable = "avx512f,avx512bf16")]
    fn put(values: __m512, out: &mut [u16]) {
        let narrow: __m256bh = _mm512_cvtneps_pbh(values);
        let out: &mut [u16; 16] = out.try_into().expect("16 values");
        // SAFETY: both are 16 numbers of 16 bits.
        *out = unsafe { std::mem::transmute::<__m256bh, [u16; 16]>(narrow) };
    }

    /// 16 bytes.
    #[target_feature(enable = "avx512f")]
    fn sixteen(bytes: &[u8]) -> __m128i {
        let bytes: &[u8; 16] = bytes.try_into().expect("16 bytes");
        // SAFETY: they are as many.
        unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    fn q8(row: &[u8], out: &mut [u16]) {
        for (block, out) in row.chunks_exact(34).zip(out.chunks_exact_mut(32)) {
            let d = scale(block);
            for (bytes, out) in block[2..].chunks_exact(16).zip(out.chunks_exact_mut(16)) {
                let q = _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(sixteen(bytes)));
                put(_mm512_mul_ps(q, _mm512_set1_ps(d)), out);
            }
        }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    fn q4k(row: &[u8], out: &mut [u16]) {
        for (block, out) in row.chunks_exact(144).zip(out.chunks_exact_mut(256)) {
            let (d, dmin) = (scale(block), scale(&block[2..]));
            let (scales, mins) = q4k_scales(&block[4..16]);
            for (pair, out) in out.chunks_exact_mut(64).enumerate() {
                for half in 0..2 {
                    let part = 2 * pair + half;
                    let worth = _mm512_set1_ps(d * f32::from(scales[part]));
                    let offset = _mm512_set1_ps(dmin * f32::from(mins[part]));
                    for at in 0..2 {
                        let bytes = &block[16 + 32 * pair + 16 * at..][..16];
                        let wide = _mm512_cvtepu8_epi32(sixteen(bytes));
                        let q = match half {
                            0 => _mm512_and_si512(wide, _mm512_set1_epi32(15)),
                            _ => _mm512_srli_epi32::<4>(wide),
                        };
                        let values = _mm512_fmsub_ps(_mm512_cvtepi32_ps(q), worth, offset);
                        put(values, &mut out[32 * half + 16 * at..][..16]);
                    }
                }
            }
        }
    }
}
