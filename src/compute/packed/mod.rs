//! Products of vectors with matrices that are kept in ggml's blocks or in half precision, on the CPU.
//!
//! Few vectors (a decoding step) are bound by the memory that the matrix is read from: blocks are multiplied as they are,
//! with vectors in 8 bits (`few`, AVX-512 VNNI). Many vectors (a prompt) are bound by arithmetic: blocks become bf16 some
//! rows at a time, and go through the CPU's matrix unit (`many`, AMX), or, where there is none, bytes, which meet vectors in
//! 8 bits (`bytes`, AVX-512 VNNI). Where a CPU lacks these instructions, [`Vectors::new`] answers `None` and the caller has
//! another way.
//!
//! **Source** of the layouts: ggml, `ggml-common.h` (`block_q8_0`, `block_q4_K`, `block_q6_K`) and `ggml-quants.c`.

mod bytes;
mod few;
mod layout;
mod many;

pub use layout::{Half, Layout, bytes_of, widen};

/// Vectors up to which a matrix is multiplied block by block: beyond, what puts rows in order first is quicker. Measured at
/// 4096 x 4096.
const FEW: usize = 8;

/// Vectors that are made ready for products with matrices of one layout.
pub struct Vectors(Ready);

enum Ready {
    Few(few::Ready),
    Many(many::Ready),
    Bytes(bytes::Ready),
}

impl Vectors {
    /// Whether this CPU has a kernel for so many vectors.
    pub fn has_kernel(layout: Layout, count: usize) -> bool {
        match count <= FEW {
            true => few::is_there(),
            false => has_unit(layout) || bytes::is_there(layout),
        }
    }

    /// Takes `x (count, width)`; `None` where this CPU has no kernel for it.
    pub fn new(layout: Layout, x: &[f32], width: usize) -> Option<Self> {
        let count = x.len() / width.max(1);
        let is_fit = x.len() == count * width && width.is_multiple_of(layout.block().0);
        if !is_fit || count == 0 || !Self::has_kernel(layout, count) {
            return None;
        }
        Some(Self(if count <= FEW {
            Ready::Few(few::Ready::new(layout, x, width))
        } else if has_unit(layout) {
            Ready::Many(many::Ready::new(x, width))
        } else {
            Ready::Bytes(bytes::Ready::new(layout, x, width)?)
        }))
    }

    /// Multiplies rows of a matrix as they lie in memory: `out (count, rows)`.
    ///
    /// # Panics
    /// Where rows or `out` are not of the vectors' sizes: a mistake of the caller's.
    pub fn times(&self, layout: Layout, rows: &[u8], out: &mut [f32]) {
        match &self.0 {
            Ready::Few(ready) => ready.times(layout, rows, out),
            Ready::Many(ready) => ready.times(layout, rows, out),
            Ready::Bytes(ready) => ready.times(layout, rows, out),
        }
    }
}

/// Whether a matrix unit multiplies this layout: what is finer than bf16 is not made coarser.
fn has_unit(layout: Layout) -> bool {
    layout != Layout::F16 && many::is_there()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes of a layout that decode to numbers of about one, whatever they are.
    fn bytes(layout: Layout, rows: usize, width: usize) -> Vec<u8> {
        let (elements, size) = layout.block();
        let mut state = 7_u32;
        let mut next = move || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        let scale = |value: f32| half::f16::from_f32(value).to_le_bytes();
        let mut bytes = Vec::new();
        for _ in 0..rows * width / elements {
            let mut block: Vec<u8> = (0..size).map(|_| next()).collect();
            match layout {
                Layout::Q8 => block[..2].copy_from_slice(&scale(0.008)),
                Layout::Q4K => {
                    block[..2].copy_from_slice(&scale(0.003));
                    block[2..4].copy_from_slice(&scale(0.02));
                }
                Layout::Q6K => block[208..].copy_from_slice(&scale(0.0005)),
                Layout::Bf16 => {
                    let value = half::bf16::from_f32(f32::from(block[0]) / 128.0 - 1.0);
                    block.copy_from_slice(&value.to_le_bytes());
                }
                Layout::F16 => {
                    let value = half::f16::from_f32(f32::from(block[0]) / 128.0 - 1.0);
                    block.copy_from_slice(&value.to_le_bytes());
                }
            }
            bytes.extend(block);
        }
        bytes
    }

    /// Vectors of unlike size, a row each.
    fn vectors_of(count: usize, width: usize) -> Vec<f32> {
        (0..count * width)
            .map(|at| ((at * 37 % 101) as f32 / 50.0 - 1.0) * (1.0 + (at / width) as f32))
            .collect()
    }

    /// Holds products against those with the widened rows, summed in double precision.
    fn check(what: &str, out: &[f32], (x, wide): (&[f32], &[f32]), width: usize) {
        let rows = wide.len() / width;
        for (x, out) in x.chunks_exact(width).zip(out.chunks_exact(rows)) {
            let expected = wide.chunks_exact(width).map(|row| {
                let pairs = x.iter().zip(row);
                pairs.map(|(a, b)| f64::from(a * b)).sum::<f64>()
            });
            let expected: Vec<f64> = expected.collect();
            let largest = expected.iter().fold(0_f64, |most, x| most.max(x.abs()));
            for (got, expected) in out.iter().zip(expected) {
                let apart = (f64::from(*got) - expected).abs() / largest;
                assert!(apart < 1.2e-2, "{what}: {got} for {expected}");
            }
        }
    }

    #[test]
    fn kernels_agree_with_what_is_widened() {
        let (rows, width) = (53, 768);
        for layout in Layout::ALL {
            let bytes = bytes(layout, rows, width);
            let mut wide = vec![0_f32; rows * width];
            widen(layout, &bytes, &mut wide);
            for count in [1, 3, 8, 9, 41] {
                let what = format!("{layout:?}, {count} vectors");
                let x = vectors_of(count, width);
                let mut ready = Vec::from_iter(Vectors::new(layout, &x, width));
                // Also where the CPU's matrix unit goes before it.
                if bytes::is_there(layout) {
                    ready.extend(
                        bytes::Ready::new(layout, &x, width)
                            .map(Ready::Bytes)
                            .map(Vectors),
                    );
                }
                if ready.is_empty() {
                    eprintln!("{what}: no kernel on this CPU");
                }
                for vectors in ready {
                    let mut out = vec![f32::NAN; count * rows];
                    vectors.times(layout, &bytes, &mut out);
                    check(&what, &out, (&x, &wide), width);
                }
            }
        }
    }
}
