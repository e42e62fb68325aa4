//! Many vectors on a CPU without a matrix unit: both sides in 8 bits (AVX-512 VNNI).
//!
//! 16 rows at a time are brought into the order that the instruction reads: of each row the next four weights, as bytes
//! without a sign. What a group of weights is worth, and what it is off by, stand beside them: a product is
//! `worth · scale · Σ q·x - offset · Σ x` over groups, the inner sum exact in integers.
#![cfg_attr(
    target_arch = "x86_64",
    expect(
        unsafe_code,
        reason = "vector instructions, after the CPU was asked for them"
    )
)]

use rayon::prelude::*;

use super::Layout;
use super::layout::{narrowed, q4k_scales, scale};

/// Vectors that one pass over some rows serves.
const TOGETHER: usize = 12;

/// Rows of a panel: one a lane.
const LANES: usize = 16;

/// Vectors in 8 bits, `TOGETHER` side by side, and zeros where there are fewer.
pub(super) struct Ready {
    width: usize,
    count: usize,
    groups: Groups,
    /// `(passes, groups, TOGETHER, values of a group)`
    bytes: Vec<i8>,
    /// What a unit of a group's bytes is worth, `(passes, groups, TOGETHER)`.
    scales: Vec<f32>,
    /// Sums of a group's values in their own size, likewise.
    sums: Vec<f32>,
}

/// How a row is cut: weights that share a scale.
#[derive(Clone, Copy)]
struct Groups {
    /// Four-byte words of a group.
    words: usize,
    /// Groups of a row.
    count: usize,
}

impl Groups {
    fn of(layout: Layout, width: usize) -> Option<Self> {
        let words = words_of(layout)?;
        Some(Self {
            words,
            count: width / (4 * words),
        })
    }
}

/// Four-byte words of a layout's group; `None` for layouts that are not of integers.
const fn words_of(layout: Layout) -> Option<usize> {
    match layout {
        Layout::Q8 | Layout::Q4K => Some(8),
        Layout::Q6K => Some(4),
        Layout::Bf16 | Layout::F16 => None,
    }
}

/// Whether the CPU has the instructions, and the layout is one for them.
#[cfg(target_arch = "x86_64")]
pub(super) fn is_there(layout: Layout) -> bool {
    words_of(layout).is_some()
        && is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vnni")
}

#[cfg(not(target_arch = "x86_64"))]
pub(super) const fn is_there(_: Layout) -> bool {
    false
}

impl Ready {
    /// Takes `x (count, width)`; `None` for a layout that is not of integers.
    pub(super) fn new(layout: Layout, x: &[f32], width: usize) -> Option<Self> {
        let groups = Groups::of(layout, width)?;
        let count = x.len() / width;
        let slots = count.div_ceil(TOGETHER) * groups.count * TOGETHER;
        let mut ready = Self {
            width,
            count,
            groups,
            bytes: vec![0; slots * 4 * groups.words],
            scales: vec![0.0; slots],
            sums: vec![0.0; slots],
        };
        let one = groups.count * TOGETHER;
        let passes = ready.bytes.par_chunks_mut(one * 4 * groups.words);
        let beside = ready
            .scales
            .par_chunks_mut(one)
            .zip(ready.sums.par_chunks_mut(one));
        passes
            .zip(beside)
            .zip(x.par_chunks(TOGETHER * width))
            .for_each(|((bytes, (scales, sums)), x)| {
                for (vector, values) in x.chunks_exact(width).enumerate() {
                    for (group, values) in values.chunks_exact(4 * groups.words).enumerate() {
                        let slot = group * TOGETHER + vector;
                        let bytes = &mut bytes[slot * values.len()..][..values.len()];
                        scales[slot] = narrowed(values, bytes);
                        let sum: i32 = bytes.iter().map(|byte| i32::from(*byte)).sum();
                        sums[slot] = sum as f32 * scales[slot];
                    }
                }
            });
        Some(ready)
    }

    #[cfg(not(target_arch = "x86_64"))]
    pub(super) fn times(&self, _: Layout, _: &[u8], _: &mut [f32]) {}

    #[cfg(target_arch = "x86_64")]
    pub(super) fn times(&self, layout: Layout, rows: &[u8], out: &mut [f32]) {
        let (row_bytes, num_rows) = layout.rows((self.width, self.count), rows, out);
        let mut panel = Panel::new(self.groups);
        for (at, rows) in rows.chunks(LANES * row_bytes).enumerate() {
            for (lane, row) in rows.chunks_exact(row_bytes).enumerate() {
                panel.put(layout, row, lane);
            }
            let some = rows.len() / row_bytes;
            for first in (0..self.count).step_by(TOGETHER) {
                // SAFETY: vectors are made only where the CPU has the instructions (`is_there`).
                let products = unsafe { x86::product(&panel, self, first / TOGETHER) };
                let vectors = first..self.count.min(first + TOGETHER);
                for (vector, products) in vectors.zip(&products) {
                    out[vector * num_rows + at * LANES..][..some]
                        .copy_from_slice(&products[..some]);
                }
            }
        }
    }
}

/// 16 rows in the kernel's order.
struct Panel {
    groups: Groups,
    /// `(groups, words, LANES)`, four weights each.
    words: Vec<u32>,
    /// What a unit of a group's weights is worth, `(groups, LANES)`.
    worth: Vec<f32>,
    /// What every weight of a group is less than its byte says, likewise.
    offsets: Vec<f32>,
}

impl Panel {
    fn new(groups: Groups) -> Self {
        let slots = groups.count * LANES;
        Self {
            groups,
            words: vec![0; slots * groups.words],
            worth: vec![0.0; slots],
            offsets: vec![0.0; slots],
        }
    }

    /// Puts a row into its lane.
    fn put(&mut self, layout: Layout, row: &[u8], lane: usize) {
        let (_, size) = layout.block();
        for (block, bytes) in row.chunks_exact(size).enumerate() {
            match layout {
                Layout::Q8 => self.put_q8(block, bytes, lane),
                Layout::Q4K => self.put_q4k(8 * block, bytes, lane),
                Layout::Q6K => self.put_q6k(16 * block, bytes, lane),
                Layout::Bf16 | Layout::F16 => {}
            }
        }
    }

    fn put_word(&mut self, group: usize, word: usize, lane: usize, four: u32) {
        self.words[(group * self.groups.words + word) * LANES + lane] = four;
    }

    fn put_worth(&mut self, group: usize, lane: usize, worth: f32, offset: f32) {
        self.worth[group * LANES + lane] = worth;
        self.offsets[group * LANES + lane] = offset;
    }

    /// Signed bytes become unsigned ones by adding 128.
    fn put_q8(&mut self, group: usize, block: &[u8], lane: usize) {
        let d = scale(block);
        self.put_worth(group, lane, d, 128.0 * d);
        for (word, four) in block[2..].chunks_exact(4).enumerate() {
            self.put_word(group, word, lane, word_of(four) ^ 0x8080_8080);
        }
    }

    fn put_q4k(&mut self, first: usize, block: &[u8], lane: usize) {
        let (d, dmin) = (scale(block), scale(&block[2..]));
        let (scales, mins) = q4k_scales(&block[4..16]);
        for (part, (scale, min)) in scales.into_iter().zip(mins).enumerate() {
            self.put_worth(
                first + part,
                lane,
                d * f32::from(scale),
                dmin * f32::from(min),
            );
        }
        for (at, four) in block[16..].chunks_exact(4).enumerate() {
            let (pair, word, both) = (at / 8, at % 8, word_of(four));
            self.put_word(first + 2 * pair, word, lane, both & 0x0f0f_0f0f);
            self.put_word(first + 2 * pair + 1, word, lane, both >> 4 & 0x0f0f_0f0f);
        }
    }

    fn put_q6k(&mut self, first: usize, block: &[u8], lane: usize) {
        let d = scale(&block[208..]);
        for (group, scale) in block[192..208].iter().enumerate() {
            let worth = d * f32::from(scale.cast_signed());
            self.put_worth(first + group, lane, worth, 32.0 * worth);
        }
        for half in 0..2 {
            let (low, high) = (&block[64 * half..][..64], &block[128 + 32 * half..][..32]);
            for at in 0..32 {
                let nibble = word_of(&low[4 * (at % 16)..]) >> (4 * (at / 16)) & 0x0f0f_0f0f;
                let upper = word_of(&high[4 * (at % 8)..]) >> (2 * (at / 8)) & 0x0303_0303;
                let group = first + 8 * half + at / 4;
                self.put_word(group, at % 4, lane, nibble | upper << 4);
            }
        }
    }
}

const fn word_of(bytes: &[u8]) -> u32 {
    u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
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

    use super::{LANES, Panel, Ready, TOGETHER};

    /// Products of a panel's rows with the vectors of one pass.
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    pub(super) fn product(panel: &Panel, x: &Ready, pass: usize) -> [[f32; LANES]; TOGETHER] {
        match panel.groups.words {
            4 => of_groups::<4>(panel, x, pass),
            _ => of_groups::<8>(panel, x, pass),
        }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    fn of_groups<const WORDS: usize>(
        panel: &Panel,
        x: &Ready,
        pass: usize,
    ) -> [[f32; LANES]; TOGETHER] {
        let groups = panel.groups.count;
        let slots = pass * groups * TOGETHER..(pass + 1) * groups * TOGETHER;
        let bytes = &x.bytes[slots.start * 4 * WORDS..slots.end * 4 * WORDS];
        let (scales, sums) = (&x.scales[slots.clone()], &x.sums[slots]);
        assert!(
            panel.words.len() == groups * WORDS * LANES
                && panel.worth.len() == groups * LANES
                && panel.offsets.len() == groups * LANES,
            "a panel has its groups"
        );
        let mut totals = [_mm512_setzero_ps(); TOGETHER];
        for group in 0..groups {
            // SAFETY: the group is one of the panel's and of each vector's, whose lengths are looked at above.
            unsafe {
                let rows = panel.words.as_ptr().add(group * WORDS * LANES);
                let values = bytes.as_ptr().add(group * TOGETHER * 4 * WORDS);
                let mut parts = [_mm512_setzero_si512(); TOGETHER];
                for word in 0..WORDS {
                    let four = _mm512_loadu_si512(rows.add(word * LANES).cast());
                    for (vector, part) in parts.iter_mut().enumerate() {
                        let at = values.add((vector * WORDS + word) * 4).cast::<[u8; 4]>();
                        let same = _mm512_set1_epi32(i32::from_le_bytes(*at));
                        *part = _mm512_dpbusd_epi32(*part, four, same);
                    }
                }
                let worth = _mm512_loadu_ps(panel.worth.as_ptr().add(group * LANES));
                let offset = _mm512_loadu_ps(panel.offsets.as_ptr().add(group * LANES));
                for (vector, (part, total)) in parts.iter().zip(&mut totals).enumerate() {
                    let slot = group * TOGETHER + vector;
                    let worth = _mm512_mul_ps(worth, _mm512_set1_ps(*scales.get_unchecked(slot)));
                    *total = _mm512_fmadd_ps(_mm512_cvtepi32_ps(*part), worth, *total);
                    let sum = _mm512_set1_ps(*sums.get_unchecked(slot));
                    *total = _mm512_fnmadd_ps(offset, sum, *total);
                }
            }
        }
        totals.map(|total| {
            let mut lanes = [0.0; LANES];
            // SAFETY: as many values as there are lanes.
            unsafe { _mm512_storeu_ps(lanes.as_mut_ptr(), total) };
            lanes
        })
    }
}
