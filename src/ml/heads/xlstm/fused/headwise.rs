//! Block-diagonal maps of strided rows, in blocks of a few values.

use crate::compute::kernels::Put;
use crate::compute::real::Real;

/// Rows inside a slice: where the first begins, and how far apart they are.
#[derive(Clone, Copy)]
pub(super) struct Rows {
    pub(super) start: usize,
    pub(super) apart: usize,
}

/// Each block `(part, part)` of a weight transposed.
pub(super) fn transposed<T: Real>(weight: &[T], part: usize) -> Vec<T> {
    let mut out = vec![T::zero(); weight.len()];
    for (out, weight) in out.chunks_mut(part * part).zip(weight.chunks(part * part)) {
        for row in 0..part {
            for col in 0..part {
                out[col * part + row] = weight[row * part + col];
            }
        }
    }
    out
}

/// `out[block][l] (+)= sum_j taps[block][j][l] x[block][j]` for `num_rows` rows.
pub(super) fn apply<T: Real>(
    (x, from): (&[T], Rows),
    (taps, part): (&[T], usize),
    (out, to, put): (&mut [T], Rows, Put),
    num_rows: usize,
) {
    let width = taps.len() / part;
    for t in 0..num_rows {
        let x = &x[from.start + t * from.apart..][..width];
        let out = &mut out[to.start + t * to.apart..][..width];
        if put == Put::Set {
            out.fill(T::zero());
        }
        if part == 4 {
            row_of_four(x, taps, out);
        } else {
            let blocks = out.chunks_mut(part).zip(x.chunks(part));
            for ((out, x), taps) in blocks.zip(taps.chunks(part * part)) {
                for (&x, taps) in x.iter().zip(taps.chunks(part)) {
                    for (y, &tap) in out.iter_mut().zip(taps) {
                        *y = tap.mul_add(x, *y);
                    }
                }
            }
        }
    }
}

fn row_of_four<T: Real>(x: &[T], taps: &[T], out: &mut [T]) {
    let (x, taps) = (x.as_chunks::<4>().0, taps.as_chunks::<16>().0);
    for ((out, x), taps) in out.as_chunks_mut::<4>().0.iter_mut().zip(x).zip(taps) {
        let mut sums = *out;
        for j in 0..4 {
            for l in 0..4 {
                sums[l] = taps[j * 4 + l].mul_add(x[j], sums[l]);
            }
        }
        *out = sums;
    }
}

/// `grad[block][o][i] += sum_t g[t][block][o] x[t][block][i]`.
pub(super) fn outer<T: Real>(
    (g, g_rows): (&[T], Rows),
    (x, x_rows): (&[T], Rows),
    (grad, part): (&mut [T], usize),
    num_rows: usize,
) {
    for (block, grad) in grad.chunks_mut(part * part).enumerate() {
        if let (4, Ok(grad)) = (part, <&mut [T; 16]>::try_from(&mut *grad)) {
            let mut sums = *grad;
            for t in 0..num_rows {
                let g = &g[g_rows.start + t * g_rows.apart + block * 4..][..4];
                let x = &x[x_rows.start + t * x_rows.apart + block * 4..][..4];
                for o in 0..4 {
                    for i in 0..4 {
                        sums[o * 4 + i] = g[o].mul_add(x[i], sums[o * 4 + i]);
                    }
                }
            }
            *grad = sums;
            continue;
        }
        for t in 0..num_rows {
            let g = &g[g_rows.start + t * g_rows.apart + block * part..][..part];
            let x = &x[x_rows.start + t * x_rows.apart + block * part..][..part];
            for (row, &g) in grad.chunks_mut(part).zip(g) {
                for (sum, &x) in row.iter_mut().zip(x) {
                    *sum = g.mul_add(x, *sum);
                }
            }
        }
    }
}
