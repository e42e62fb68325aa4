//! An mLSTM block: norm, projections up, causal convolution, queries, keys and values, the cell, its norm, the skip
//! around it, the output gate, projection down, and the residual.

use rayon::prelude::*;

use super::Given;
use super::Kernel;
use super::add_columns;
use super::cell::Gradient;
use super::cell::Head;
use super::cell::Trace as HeadTrace;
use super::headwise;
use super::headwise::Rows;
use super::parts;
use super::parts_mut;
use super::silu;
use crate::compute::kernels::Hands;
use crate::compute::kernels::Mat;
use crate::compute::kernels::Put;
use crate::compute::kernels::product;
use crate::compute::real::Real;
use crate::compute::scratch::Scratch;
use crate::ml::heads::xlstm::XlstmConfig;
use crate::ml::layers::by_channel;
use crate::ml::layers::by_tap;
use crate::ml::layers::conv_silu_back;
use crate::ml::layers::convolve;
use crate::ml::layers::norm_rows;
use crate::ml::layers::norm_rows_back;

/// Dimensions of the block.
#[derive(Debug, Clone, Copy)]
pub(in crate::ml::heads::xlstm) struct Mlstm {
    dim: usize,
    inner: usize,
    heads: usize,
    taps: usize,
    part: usize,
}

/// What the backward pass reads of one sequence.
pub(in crate::ml::heads::xlstm) struct Trace<T: Real> {
    /// `(seq, inner)`: what is convolved, and what is remembered.
    memory: Scratch<T>,
    /// `(seq, inner)`: the output gate before its SiLU.
    gate: Scratch<T>,
    /// `(seq, 3, inner)`.
    qkv: Scratch<T>,
    /// `(seq, 2, heads)`.
    gates: Scratch<T>,
    /// `(seq, inner)`: outputs of the cell.
    h: Scratch<T>,
    heads: Vec<HeadTrace<T>>,
}

/// Activations that are cheap to compute again.
struct Again<T: Real> {
    /// Before the SiLU of the convolution, and behind it.
    before: Scratch<T>,
    convolved: Scratch<T>,
    /// The cell's outputs behind their norm.
    normed: Scratch<T>,
}

impl Mlstm {
    pub(in crate::ml::heads::xlstm) fn new(config: &XlstmConfig) -> Self {
        Self {
            dim: config.dim,
            inner: config.inner(),
            heads: config.num_heads,
            taps: config.conv_kernel,
            part: config.qkv_block_size,
        }
    }

    /// norm, up (memory, gate), convolution, its bias, q, k, v, gates (input, forget), their biases, norm of the cell,
    /// skip, down.
    const fn sizes(&self) -> [usize; 13] {
        let Self {
            dim,
            inner,
            heads,
            taps,
            part,
        } = *self;
        [
            dim,
            inner * dim,
            inner * dim,
            inner * taps,
            inner,
            inner * part,
            inner * part,
            inner * part,
            2 * heads * 3 * inner,
            2 * heads,
            inner,
            inner,
            dim * inner,
        ]
    }

    const fn qkv_rows(&self, which: usize) -> Rows {
        Rows {
            start: which * self.inner,
            apart: 3 * self.inner,
        }
    }

    const fn inner_rows(&self) -> Rows {
        Rows {
            start: 0,
            apart: self.inner,
        }
    }

    fn head<'a, T>(&self, qkv: &'a [T], gates: &'a [T], head: usize) -> Head<'a, T> {
        Head {
            qkv,
            gates,
            heads: self.heads,
            head,
            width: self.inner / self.heads,
        }
    }

    /// Works on all heads, at once where all hands are there.
    fn each_head<R: Send>(&self, hands: Hands, work: impl Fn(usize) -> R + Sync + Send) -> Vec<R> {
        match hands {
            Hands::One => (0..self.heads).map(work).collect(),
            Hands::All => (0..self.heads).into_par_iter().map(work).collect(),
        }
    }

    /// Queries, keys and values: the first two see the convolved half, values the plain one.
    fn qkv<T: Real>(&self, convolved: &[T], memory: &[T], weights: [&[T]; 3]) -> Scratch<T> {
        let seq = memory.len() / self.inner;
        let mut qkv = Scratch::new(seq * 3 * self.inner);
        for (which, weight) in weights.into_iter().enumerate() {
            let x = if which < 2 { convolved } else { memory };
            let taps = headwise::transposed(weight, self.part);
            headwise::apply(
                (x, self.inner_rows()),
                (&taps, self.part),
                (&mut qkv, self.qkv_rows(which), Put::Set),
                seq,
            );
        }
        qkv
    }

    /// Copies a head's rows between `(seq, width)` and its place among rows of `apart` values.
    fn place<T: Real>(&self, rows: &[T], out: &mut [T], start: usize, apart: usize) {
        let width = self.inner / self.heads;
        for (t, row) in rows.chunks(width).enumerate() {
            out[t * apart + start..][..width].copy_from_slice(row);
        }
    }

    fn again<T: Real>(&self, trace: &Trace<T>, weights: &[T]) -> Again<T> {
        let [_, _, _, conv, conv_bias, _, _, _, _, _, outnorm, ..] = parts(weights, self.sizes());
        let mut before = Scratch::new(trace.memory.len());
        convolve(
            &trace.memory,
            &by_tap(conv, self.inner),
            conv_bias,
            &mut before,
        );
        let convolved = silu(&before);
        let mut normed = Scratch::new(trace.h.len());
        norm_rows(&trace.h, outnorm, self.heads, &mut normed);
        Again {
            before,
            convolved,
            normed,
        }
    }

    fn scatter<T: Real>(&self, heads: &[Gradient<T>], grad_qkv: &mut [T], grad_gates: &mut [T]) {
        let width = self.inner / self.heads;
        for (head, gradient) in heads.iter().enumerate() {
            for (which, rows) in gradient.qkv.iter().enumerate() {
                let start = which * self.inner + head * width;
                self.place(rows, grad_qkv, start, 3 * self.inner);
            }
            for (which, gates) in gradient.gates.iter().enumerate() {
                for (t, &gate) in gates.iter().enumerate() {
                    grad_gates[(t * 2 + which) * self.heads + head] = gate;
                }
            }
        }
    }
}

/// `y = (normed + skip * convolved) * silu(gate)`, row by row.
fn gated<T: Real>(again: &Again<T>, gate: &[T], skip: &[T]) -> Scratch<T> {
    let width = skip.len();
    let mut out = Scratch::new(gate.len());
    let rows = out.chunks_mut(width).zip(gate.chunks(width));
    let sides = again
        .normed
        .chunks(width)
        .zip(again.convolved.chunks(width));
    for ((out, z), (h, c)) in rows.zip(sides) {
        let (z, h, c) = (&z[..width], &h[..width], &c[..width]);
        for i in 0..width {
            out[i] = skip[i].mul_add(c[i], h[i]) * (z[i] * z[i].sigmoid());
        }
    }
    out
}

/// Gradients of [`gated`]: `grad_y` becomes that of the sum of normed and skip; answers those of the gate and of the
/// convolved half, and adds to the skip's.
fn gated_back<T: Real>(
    again: &Again<T>,
    (gate, skip): (&[T], &[T]),
    grad_y: &mut [T],
    grad_skip: &mut [T],
) -> (Scratch<T>, Scratch<T>) {
    let width = skip.len();
    let mut grad_gate = Scratch::new(gate.len());
    let mut grad_convolved = Scratch::new(gate.len());
    for start in (0..gate.len()).step_by(width) {
        let row = start..start + width;
        let (z, h) = (&gate[row.clone()], &again.normed[row.clone()]);
        let (c, g) = (&again.convolved[row.clone()], &mut grad_y[row.clone()]);
        let (grad_z, grad_c) = (&mut grad_gate[row.clone()], &mut grad_convolved[row]);
        for i in 0..width {
            let s = z[i].sigmoid();
            let silu = z[i] * s;
            let sum = skip[i].mul_add(c[i], h[i]);
            grad_z[i] = g[i] * sum * s * (T::one() + z[i] * (T::one() - s));
            g[i] *= silu;
            grad_c[i] = g[i] * skip[i];
            grad_skip[i] = g[i].mul_add(c[i], grad_skip[i]);
        }
    }
    (grad_gate, grad_convolved)
}

impl Kernel for Mlstm {
    type Trace<T: Real> = Trace<T>;

    fn dim(&self) -> usize {
        self.dim
    }

    fn num_weights(&self) -> usize {
        self.sizes().iter().sum()
    }

    fn forward<T: Real>(&self, x: &[T], weights: &[T], out: &mut [T], hands: Hands) -> Trace<T> {
        let (dim, inner, one) = (self.dim, self.inner, T::one());
        let seq = x.len() / dim;
        let [_, _, _, _, _, _, _, _, _, _, outnorm, skip, down] = parts(weights, self.sizes());
        let Read {
            memory,
            gate,
            before,
            convolved,
            qkv,
            gates,
        } = self.read(x, weights, hands);
        // 3. The cell.
        let heads = self.each_head(hands, |head| self.head(&qkv, &gates, head).forward());
        let mut h = Scratch::new(seq * inner);
        for (head, trace) in heads.iter().enumerate() {
            self.place(&trace.h, &mut h, head * (inner / self.heads), inner);
        }
        let mut normed = Scratch::new(seq * inner);
        norm_rows(&h, outnorm, self.heads, &mut normed);
        // 4. Skip, output gate, down, and the residual.
        let again = Again {
            before,
            convolved,
            normed,
        };
        let y = gated(&again, &gate, skip);
        out.copy_from_slice(x);
        let operands = (Mat::rows(&y, inner), Mat::rows(down, inner).t());
        product(
            (out, dim, Put::Add),
            operands,
            [seq, inner, dim],
            one,
            hands,
        );
        Trace {
            memory,
            gate,
            qkv,
            gates,
            h,
            heads,
        }
    }

    fn backward<T: Real>(
        &self,
        given: Given<'_, T, Trace<T>>,
        grad_x: &mut [T],
        grad_weights: &mut [T],
        hands: Hands,
    ) {
        let (dim, inner, one) = (self.dim, self.inner, T::one());
        let Given {
            x,
            weights,
            trace,
            grad,
        } = given;
        let seq = x.len() / dim;
        let again = self.again(trace, weights);
        let [_, _, _, _, _, _, _, _, _, _, outnorm, skip, down] = parts(weights, self.sizes());
        let (front, back) = grad_weights.split_at_mut(self.num_weights() - dim * inner - 2 * inner);
        let [grad_outnorm, grad_skip, grad_down] = parts_mut(back, [inner, inner, dim * inner]);
        // 4. Down, output gate and skip.
        let y = gated(&again, &trace.gate, skip);
        let g = Mat::rows(grad, dim);
        product(
            (grad_down, inner, Put::Add),
            (g.t(), Mat::rows(&y, inner)),
            [dim, seq, inner],
            one,
            hands,
        );
        let mut grad_y = y;
        let operands = (g, Mat::rows(down, inner));
        product(
            (&mut grad_y, inner, Put::Set),
            operands,
            [seq, dim, inner],
            one,
            hands,
        );
        let (grad_gate, grad_convolved) =
            gated_back(&again, (&trace.gate, skip), &mut grad_y, grad_skip);
        // 3. The cell and its norm.
        let mut grad_h = Scratch::filled(seq * inner, T::zero());
        norm_rows_back(
            (&trace.h, outnorm),
            self.heads,
            &grad_y,
            &mut grad_h,
            grad_outnorm,
        );
        let before = Before {
            again,
            grad_h,
            grad_gate,
            grad_convolved,
        };
        self.backward_front(&given, before, grad_x, front, hands);
    }
}

/// What the cell and the output gate read; see [`Trace`] and [`Again`].
struct Read<T: Real> {
    memory: Scratch<T>,
    gate: Scratch<T>,
    before: Scratch<T>,
    convolved: Scratch<T>,
    qkv: Scratch<T>,
    gates: Scratch<T>,
}

impl Mlstm {
    /// From the block's input to the cell.
    fn read<T: Real>(&self, x: &[T], weights: &[T], hands: Hands) -> Read<T> {
        let (dim, inner, one) = (self.dim, self.inner, T::one());
        let seq = x.len() / dim;
        let [
            norm,
            up,
            up_gate,
            conv,
            conv_bias,
            q,
            k,
            v,
            weight,
            bias,
            ..,
        ] = parts(weights, self.sizes());
        // 1. Norm, and up in halves. (seq, inner) each
        let mut normed = Scratch::new(x.len());
        norm_rows(x, norm, 1, &mut normed);
        let raise = |weight: &[T]| {
            let mut out = Scratch::new(seq * inner);
            let operands = (Mat::rows(&normed, dim), Mat::rows(weight, dim).t());
            let to = (&mut out[..], inner, Put::Set);
            product(to, operands, [seq, dim, inner], one, hands);
            out
        };
        let (memory, gate) = (raise(up), raise(up_gate));
        // 2. The convolution, and what the cell reads.
        let mut before = Scratch::new(seq * inner);
        convolve(&memory, &by_tap(conv, inner), conv_bias, &mut before);
        let convolved = silu(&before);
        let qkv = self.qkv(&convolved, &memory, [q, k, v]);
        let mut gates = Scratch::stacked([seq, bias.len()], std::iter::repeat(bias));
        let operands = (Mat::rows(&qkv, 3 * inner), Mat::rows(weight, 3 * inner).t());
        let to = (&mut gates[..], 2 * self.heads, Put::Add);
        let shape = [seq, 3 * inner, 2 * self.heads];
        product(to, operands, shape, one, hands);
        Read {
            memory,
            gate,
            before,
            convolved,
            qkv,
            gates,
        }
    }
}

/// Gradients at the cell.
struct Before<T: Real> {
    again: Again<T>,
    grad_h: Scratch<T>,
    grad_gate: Scratch<T>,
    grad_convolved: Scratch<T>,
}

impl Mlstm {
    /// Through the cell, the gates, queries, keys and values: `(grad_memory, grad_convolved)`.
    fn backward_cell<T: Real>(
        &self,
        (trace, weights): (&Trace<T>, &[T]),
        convolved: &[T],
        (grad_h, mut grad_convolved): (&[T], Scratch<T>),
        [grad_q, grad_k, grad_v, grad_gate, grad_bias]: [&mut [T]; 5],
        hands: Hands,
    ) -> (Scratch<T>, Scratch<T>) {
        let (inner, width) = (self.inner, self.inner / self.heads);
        let seq = grad_h.len() / inner;
        let [_, _, _, _, _, q, k, v, gate_weight, ..] = parts(weights, self.sizes());
        let heads = self.each_head(hands, |head| {
            let rows = grad_h.chunks(inner);
            let own = rows.map(|row| &row[head * width..][..width]);
            let own = Scratch::stacked([seq, width], own);
            self.head(&trace.qkv, &trace.gates, head)
                .backward(&trace.heads[head], &own)
        });
        let mut grad_qkv = Scratch::new(trace.qkv.len());
        let mut grad_gates = Scratch::new(trace.gates.len());
        self.scatter(&heads, &mut grad_qkv, &mut grad_gates);
        // The gates read q, k and v too.
        add_columns(&grad_gates, grad_bias);
        let (g, num) = (Mat::rows(&grad_gates, 2 * self.heads), 2 * self.heads);
        let operands = (g.t(), Mat::rows(&trace.qkv, 3 * inner));
        product(
            (grad_gate, 3 * inner, Put::Add),
            operands,
            [num, seq, 3 * inner],
            T::one(),
            hands,
        );
        let operands = (g, Mat::rows(gate_weight, 3 * inner));
        product(
            (&mut grad_qkv, 3 * inner, Put::Add),
            operands,
            [seq, num, 3 * inner],
            T::one(),
            hands,
        );
        let mut grad_memory = Scratch::filled(trace.memory.len(), T::zero());
        let maps = [(q, grad_q), (k, grad_k), (v, grad_v)];
        for (which, (weight, grad_weight)) in maps.into_iter().enumerate() {
            let (x, grad_x) = if which < 2 {
                (convolved, &mut grad_convolved)
            } else {
                (&trace.memory[..], &mut grad_memory)
            };
            let from = (&grad_qkv[..], self.qkv_rows(which));
            headwise::outer(from, (x, self.inner_rows()), (grad_weight, self.part), seq);
            let to = (&mut grad_x[..], self.inner_rows(), Put::Add);
            headwise::apply(from, (weight, self.part), to, seq);
        }
        (grad_memory, grad_convolved)
    }

    /// From the cell back to the block's input.
    fn backward_front<T: Real>(
        &self,
        given: &Given<'_, T, Trace<T>>,
        before: Before<T>,
        grad_x: &mut [T],
        grad_weights: &mut [T],
        hands: Hands,
    ) {
        let (dim, inner, one) = (self.dim, self.inner, T::one());
        let Given {
            x, weights, trace, ..
        } = *given;
        let seq = x.len() / dim;
        let [norm, up, up_gate, conv, ..] = parts(weights, self.sizes());
        let sizes = self.sizes();
        let front: [usize; 10] = std::array::from_fn(|i| sizes[i]);
        let [
            grad_norm,
            grad_up,
            grad_up_gate,
            grad_conv,
            grad_conv_bias,
            q,
            k,
            v,
            gate,
            bias,
        ] = parts_mut(grad_weights, front);
        let (mut grad_memory, grad_convolved) = self.backward_cell(
            (trace, weights),
            &before.again.convolved,
            (&before.grad_h, before.grad_convolved),
            [q, k, v, gate, bias],
            hands,
        );
        // 2. The convolution.
        let taps = by_tap(conv, inner);
        let mut grad_taps = vec![T::zero(); taps.len() + inner];
        let mut seen = before.again.before;
        conv_silu_back(
            (&trace.memory, &taps),
            (&mut seen, &grad_convolved),
            &mut grad_memory,
            &mut grad_taps,
        );
        let (grad_taps, grad_bias) = grad_taps.split_at(taps.len());
        add_columns(&by_channel(grad_taps, inner), grad_conv);
        add_columns(grad_bias, grad_conv_bias);
        // 1. Up, and the norm.
        let mut normed = Scratch::new(x.len());
        norm_rows(x, norm, 1, &mut normed);
        let mut grad_normed = Scratch::filled(x.len(), T::zero());
        let halves = [
            (&grad_memory, up, grad_up),
            (&before.grad_gate, up_gate, grad_up_gate),
        ];
        for (grad, weight, grad_weight) in halves {
            let g = Mat::rows(grad, inner);
            let operands = (g.t(), Mat::rows(&normed, dim));
            product(
                (grad_weight, dim, Put::Add),
                operands,
                [inner, seq, dim],
                one,
                hands,
            );
            let operands = (g, Mat::rows(weight, dim));
            product(
                (&mut grad_normed, dim, Put::Add),
                operands,
                [seq, inner, dim],
                one,
                hands,
            );
        }
        grad_x.copy_from_slice(given.grad);
        norm_rows_back((x, norm), 1, &grad_normed, grad_x, grad_norm);
    }
}
