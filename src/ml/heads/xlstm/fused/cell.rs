//! The mLSTM cell of one head in blocks of rows, as matrix products.
//!
//! With `F_t = sum_{s<=t} logsigmoid(f_s)`, `b_s = i_s - F_s` and `M_t = max_{s<=t} b_s`, the stabilised decay of
//! `mlstm_cell` is `exp(log D_ts - m_t) = exp(b_s - M_t)` and `m_t = F_t + M_t`. Memory is linear in the sequence: a
//! block of rows holds its scores against all columns before it, and the backward pass computes them again.

use crate::compute::kernels::Hands;
use crate::compute::kernels::Mat;
use crate::compute::kernels::Put;
use crate::compute::kernels::product;
use crate::compute::real::Real;
use crate::compute::real::dot;
use crate::compute::real::total;
use crate::compute::scratch::Scratch;

/// Rows of a block: enough for the products to run well, few enough to waste little above the diagonal.
const ROWS: usize = 64;
/// Added to the normaliser, as in the reference.
const EPS: f64 = 1e-6;

/// One head of one sequence inside the tensors of all heads.
#[derive(Clone, Copy)]
pub(super) struct Head<'a, T> {
    /// `(seq, 3, heads, width)`: q, k, v.
    pub(super) qkv: &'a [T],
    /// `(seq, 2, heads)`: input and forget gates before their activation.
    pub(super) gates: &'a [T],
    pub(super) heads: usize,
    pub(super) head: usize,
    pub(super) width: usize,
}

/// What the backward pass reads.
pub(super) struct Trace<T: Real> {
    /// `(seq, width)`.
    pub(super) h: Scratch<T>,
    /// `sign(sum) / N_t` where the sum of scores sets the normaliser, else 0.
    slope: Vec<T>,
    /// `1 / N_t`.
    scale: Vec<T>,
}

/// Gradients of one head.
pub(super) struct Gradient<T: Real> {
    /// `(seq, width)` of q, k and v.
    pub(super) qkv: [Scratch<T>; 3],
    /// Of input and forget gates.
    pub(super) gates: [Vec<T>; 2],
}

/// Gates of a head, summed up.
struct Decay<T> {
    /// `F_t`.
    sum: Vec<T>,
    /// `b_s`.
    entry: Vec<T>,
    /// `M_t`.
    max: Vec<T>,
}

impl<'a, T: Real> Head<'a, T> {
    const fn apart(&self) -> usize {
        3 * self.heads * self.width
    }

    const fn seq(&self) -> usize {
        self.gates.len() / (2 * self.heads)
    }

    /// Rows of q (0), k (1) or v (2) from `row` on.
    fn rows(&self, which: usize, row: usize) -> Mat<'a, T> {
        let at = row * self.apart() + (which * self.heads + self.head) * self.width;
        Mat::rows(&self.qkv[at..], self.apart())
    }

    fn gate(&self, which: usize, t: usize) -> T {
        self.gates[(t * 2 + which) * self.heads + self.head]
    }

    fn decay(&self) -> Decay<T> {
        let seq = self.seq();
        let mut decay = Decay {
            sum: Vec::with_capacity(seq),
            entry: Vec::with_capacity(seq),
            max: Vec::with_capacity(seq),
        };
        let mut sum = T::zero();
        for t in 0..seq {
            sum += self.gate(1, t).log_sigmoid();
            let entry = self.gate(0, t) - sum;
            let max = decay
                .max
                .last()
                .map_or(entry, |max: &T| max.at_least(entry));
            decay.sum.push(sum);
            decay.entry.push(entry);
            decay.max.push(max);
        }
        decay
    }

    fn shrink(&self) -> T {
        T::one() / T::from_f64(self.width as f64).sqrt()
    }

    /// `q_t k_s / sqrt(width)` for a block of rows against `cols` columns.
    fn scores(&self, start: usize, [rows, cols]: [usize; 2], out: &mut [T]) {
        let operands = (self.rows(0, start), self.rows(1, 0).t());
        let shape = [rows, self.width, cols];
        product(
            (out, cols, Put::Set),
            operands,
            shape,
            self.shrink(),
            Hands::One,
        );
    }

    pub(super) fn forward(&self) -> Trace<T> {
        let (seq, width) = (self.seq(), self.width);
        let decay = self.decay();
        let mut trace = Trace {
            h: Scratch::new(seq * width),
            slope: Vec::with_capacity(seq),
            scale: Vec::with_capacity(seq),
        };
        let mut scores = Scratch::new(ROWS.min(seq) * seq);
        for start in (0..seq).step_by(ROWS) {
            let rows = ROWS.min(seq - start);
            let cols = start + rows;
            let scores = &mut scores[..rows * cols];
            self.scores(start, [rows, cols], scores);
            for (t, row) in (start..).zip(scores.chunks_mut(cols)) {
                let (live, dead) = row.split_at_mut(t + 1);
                dead.fill(T::zero());
                let max = decay.max[t];
                for (score, &entry) in live.iter_mut().zip(&decay.entry) {
                    *score *= (entry - max).exp();
                }
                let sum = total(live);
                let floor = (-(decay.sum[t] + max)).exp();
                let scale = T::one() / (sum.abs().at_least(floor) + T::from_f64(EPS));
                for score in live {
                    *score *= scale;
                }
                let sign = if sum < T::zero() { -scale } else { scale };
                let is_sum = sum.abs() > floor;
                trace.slope.push(if is_sum { sign } else { T::zero() });
                trace.scale.push(scale);
            }
            let h = (&mut trace.h[start * width..], width, Put::Set);
            let operands = (Mat::rows(scores, cols), self.rows(2, 0));
            product(h, operands, [rows, cols, width], T::one(), Hands::One);
        }
        trace
    }

    /// `grad (seq, width)` is the gradient of the outputs.
    pub(super) fn backward(&self, trace: &Trace<T>, grad: &[T]) -> Gradient<T> {
        let (seq, width) = (self.seq(), self.width);
        let decay = self.decay();
        let zeros = || Scratch::filled(seq * width, T::zero());
        let (mut grad_q, mut grad_k, mut grad_v) = (Scratch::new(seq * width), zeros(), zeros());
        let (mut grad_entry, mut grad_sum) = (vec![T::zero(); seq], vec![T::zero(); seq]);
        let largest = ROWS.min(seq) * seq;
        let (mut scores, mut grad_scores) = (Scratch::new(largest), Scratch::new(largest));
        let mut change = vec![T::zero(); seq];
        for start in (0..seq).step_by(ROWS) {
            let rows = ROWS.min(seq - start);
            let cols = start + rows;
            let scores = &mut scores[..rows * cols];
            let grad_scores = &mut grad_scores[..rows * cols];
            self.scores(start, [rows, cols], scores);
            let g = Mat::rows(&grad[start * width..], width);
            let (to, one) = ((&mut *grad_scores, cols, Put::Set), Hands::One);
            product(
                to,
                (g, self.rows(2, 0).t()),
                [rows, width, cols],
                T::one(),
                one,
            );
            let both = scores.chunks_mut(cols).zip(grad_scores.chunks_mut(cols));
            for (t, (a, grad_a)) in (start..).zip(both) {
                let part = t * width..(t + 1) * width;
                let along = trace.slope[t] * dot(&grad[part.clone()], &trace.h[part]);
                let change = &mut change[..=t];
                let row = (a, grad_a, &mut *change);
                let slopes = (trace.scale[t], along);
                grad_sum[t] = back_row(row, (&decay.entry, decay.max[t]), slopes);
                for (sum, &change) in grad_entry.iter_mut().zip(&*change) {
                    *sum += change;
                }
            }
            let (a, grad_a) = (Mat::rows(scores, cols), Mat::rows(grad_scores, cols));
            let q = (&mut grad_q[start * width..], width, Put::Set);
            product(
                q,
                (grad_a, self.rows(1, 0)),
                [rows, cols, width],
                self.shrink(),
                one,
            );
            let k = (&mut grad_k[..], width, Put::Add);
            product(
                k,
                (grad_a.t(), self.rows(0, start)),
                [cols, rows, width],
                self.shrink(),
                one,
            );
            let v = (&mut grad_v[..], width, Put::Add);
            product(v, (a.t(), g), [cols, rows, width], T::one(), one);
        }
        let grad_forget = self.forget_gradient(&grad_sum, &grad_entry);
        Gradient {
            qkv: [grad_q, grad_k, grad_v],
            gates: [grad_entry, grad_forget],
        }
    }

    /// Through the running sum of `logsigmoid(f)`.
    fn forget_gradient(&self, grad_sum: &[T], grad_entry: &[T]) -> Vec<T> {
        let mut out = vec![T::zero(); grad_sum.len()];
        let mut later = T::zero();
        for t in (0..out.len()).rev() {
            later += grad_sum[t] - grad_entry[t];
            out[t] = later * (-self.gate(1, t)).sigmoid();
        }
        out
    }
}

/// Row `t`: the scores become the normalised `A`, the gradient of `A` becomes that of the raw scores, and `change` that of
/// `log D`. Answers the sum of the latter.
fn back_row<T: Real>(
    (a, grad_a, change): (&mut [T], &mut [T], &mut [T]),
    (entry, max): (&[T], T),
    (scale, along): (T, T),
) -> T {
    let n = change.len();
    a[n..].fill(T::zero());
    grad_a[n..].fill(T::zero());
    let (a, grad_a, entry) = (&mut a[..n], &mut grad_a[..n], &entry[..n]);
    for s in 0..n {
        let decay = (entry[s] - max).exp();
        let score = a[s] * decay;
        // h = (sum of A v) / N: `along` is the normaliser's own slope, where the sum of scores sets it.
        let slope = grad_a[s].mul_add(scale, -along);
        change[s] = slope * score;
        a[s] = score * scale;
        grad_a[s] = slope * decay;
    }
    total(change)
}
