//! The sLSTM recurrence of one head of one sequence; the formulas stand in `slstm_cell`.

use super::parts;
use super::parts_mut;
use crate::compute::real::Real;
use crate::compute::real::add_scaled4;
use crate::compute::scratch::Scratch;

/// Values that the backward pass reads, for each element of a step: i', f', z, o, c, n, and the forget gate's slope.
const SAVED: usize = 7;

/// What the backward pass reads.
pub(super) struct Trace<T: Real> {
    /// `(seq, SAVED, width)`.
    saved: Scratch<T>,
    /// `(seq, width)`: the outputs.
    pub(super) y: Scratch<T>,
}

/// Where a head stands in rows of the gates' inputs `(seq, 4, heads, width)`.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) heads: usize,
    pub(super) head: usize,
    pub(super) width: usize,
}

impl Place {
    pub(super) const fn gate(self, t: usize, gate: usize) -> usize {
        ((t * 4 + gate) * self.heads + self.head) * self.width
    }
}

/// `R (4 * width, width)` by input, so that one input's row is added to all gates at once.
fn by_input<T: Real>(recurrent: &[T], width: usize) -> Vec<T> {
    let rows = 4 * width;
    let mut out = vec![T::zero(); recurrent.len()];
    for (row, values) in recurrent.chunks(width).enumerate() {
        for (column, &value) in values.iter().enumerate() {
            out[column * rows + row] = value;
        }
    }
    out
}

/// `out += sum_i a[i] rows[i]`, four rows at a time.
fn add_rows<T: Real>(out: &mut [T], a: &[T], rows: &[T]) {
    let n = out.len();
    let fours = a.len() / 4 * 4;
    for i in (0..fours).step_by(4) {
        let row = |j: usize| &rows[(i + j) * n..][..n];
        let factors = [a[i], a[i + 1], a[i + 2], a[i + 3]];
        add_scaled4(out, factors, [row(0), row(1), row(2), row(3)]);
    }
    for i in fours..a.len() {
        for (sum, &value) in out.iter_mut().zip(&rows[i * n..][..n]) {
            *sum = a[i].mul_add(value, *sum);
        }
    }
}

/// Runs a head over its sequence.
pub(super) fn forward<T: Real>(wx: &[T], recurrent: &[T], place: Place) -> Trace<T> {
    let width = place.width;
    let seq = wx.len() / (4 * place.heads * width);
    let by_input = by_input(recurrent, width);
    let mut trace = Trace {
        saved: Scratch::new(seq * SAVED * width),
        y: Scratch::new(seq * width),
    };
    let zeros = || vec![T::zero(); width];
    let mut state = [zeros(), zeros(), zeros()];
    let mut raw = vec![T::zero(); 4 * width];
    for t in 0..seq {
        for (gate, raw) in raw.chunks_mut(width).enumerate() {
            raw.copy_from_slice(&wx[place.gate(t, gate)..][..width]);
        }
        let (before, y) = trace.y.split_at_mut(t * width);
        if let Some(start) = before.len().checked_sub(width) {
            add_rows(&mut raw, &before[start..], &by_input);
        }
        let saved = &mut trace.saved[t * SAVED * width..][..SAVED * width];
        step(&raw, &mut state, t == 0, saved, &mut y[..width]);
    }
    trace
}

fn step<T: Real>(raw: &[T], state: &mut [Vec<T>; 3], is_first: bool, saved: &mut [T], y: &mut [T]) {
    let width = y.len();
    let [i, f, z, o] = parts(raw, [width; 4]);
    let [c, n, m] = state;
    let (c, n, m) = (&mut c[..width], &mut n[..width], &mut m[..width]);
    let [enter, keep, tanh, open, cell, norm, slope] = parts_mut(saved, [width; SAVED]);
    for j in 0..width {
        let kept = m[j] + f[j].log_sigmoid();
        let max = if is_first { i[j] } else { i[j].at_least(kept) };
        enter[j] = (i[j] - max).exp();
        keep[j] = (kept - max).exp();
        tanh[j] = z[j].tanh();
        open[j] = o[j].sigmoid();
        slope[j] = (-f[j]).sigmoid();
        m[j] = max;
    }
    for j in 0..width {
        c[j] = keep[j].mul_add(c[j], enter[j] * tanh[j]);
        n[j] = keep[j].mul_add(n[j], enter[j]);
        y[j] = open[j] * c[j] / n[j];
        cell[j] = c[j];
        norm[j] = n[j];
    }
}

/// Gradient of the gates' inputs, `(seq, 4, width)`; `grad (seq, width)` is that of the outputs.
pub(super) fn backward<T: Real>(
    trace: &Trace<T>,
    recurrent: &[T],
    grad: &[T],
    width: usize,
) -> Scratch<T> {
    let seq = grad.len() / width;
    let mut raw = Scratch::new(seq * 4 * width);
    let zeros = || vec![T::zero(); width];
    let (mut later, mut grad_y, nothing) = ([zeros(), zeros()], zeros(), zeros());
    for t in (0..seq).rev() {
        for (sum, &g) in grad_y.iter_mut().zip(&grad[t * width..]) {
            *sum += g;
        }
        let now = parts(
            &trace.saved[t * SAVED * width..][..SAVED * width],
            [width; SAVED],
        );
        let before = match t.checked_sub(1) {
            Some(t) => {
                let saved = &trace.saved[t * SAVED * width..];
                [&saved[4 * width..][..width], &saved[5 * width..][..width]]
            }
            None => [&nothing[..], &nothing[..]],
        };
        let raw = &mut raw[t * 4 * width..][..4 * width];
        step_back(now, before, &grad_y, &mut later, raw);
        grad_y.fill(T::zero());
        add_rows(&mut grad_y, raw, recurrent);
    }
    raw
}

fn step_back<T: Real>(
    now: [&[T]; SAVED],
    [c_before, n_before]: [&[T]; 2],
    grad_y: &[T],
    later: &mut [Vec<T>; 2],
    raw: &mut [T],
) {
    let width = grad_y.len();
    let [enter, keep, z, o, c, n, slope] = now;
    let [grad_i, grad_f, grad_z, grad_o] = parts_mut(raw, [width; 4]);
    let [grad_c, grad_n] = later;
    let (grad_c, grad_n) = (&mut grad_c[..width], &mut grad_n[..width]);
    let (c_before, n_before) = (&c_before[..width], &n_before[..width]);
    for j in 0..width {
        let ratio = c[j] / n[j];
        let along = grad_y[j] * o[j] / n[j];
        let grad_c_now = grad_c[j] + along;
        let grad_n_now = grad_n[j] - along * ratio;
        grad_i[j] = grad_c_now.mul_add(z[j], grad_n_now) * enter[j];
        grad_f[j] = grad_c_now.mul_add(c_before[j], grad_n_now * n_before[j]) * keep[j] * slope[j];
        grad_z[j] = grad_c_now * enter[j] * (T::one() - z[j] * z[j]);
        grad_o[j] = grad_y[j] * ratio * o[j] * (T::one() - o[j]);
        grad_c[j] = grad_c_now * keep[j];
        grad_n[j] = grad_n_now * keep[j];
    }
}
