//! An sLSTM block: norm, causal convolution, gates, the recurrence, its norm and the residual; then norm, gated
//! feed-forward part and the residual.

use rayon::prelude::*;

use super::Given;
use super::Kernel;
use super::add_columns;
use super::parts;
use super::parts_mut;
use super::scan;
use super::scan::Place;
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
pub(in crate::ml::heads::xlstm) struct Slstm {
    dim: usize,
    heads: usize,
    taps: usize,
    inner: usize,
}

/// What the backward pass reads of one sequence.
pub(in crate::ml::heads::xlstm) struct Trace<T: Real> {
    heads: Vec<scan::Trace<T>>,
    /// `(seq, dim)`: outputs of the recurrence.
    y: Scratch<T>,
    /// `(seq, dim)`: the input of the feed-forward part.
    middle: Scratch<T>,
    /// `(seq, inner)`: before the GELU.
    gate: Scratch<T>,
    /// `(seq, inner)`: what is gated.
    up: Scratch<T>,
}

/// Weights of the recurrent half.
const NUM_FRONT: usize = 10;

impl Slstm {
    pub(in crate::ml::heads::xlstm) fn new(config: &XlstmConfig) -> Self {
        Self {
            dim: config.dim,
            heads: config.num_heads,
            taps: config.conv_kernel,
            inner: config.ffn_inner(),
        }
    }

    /// norm, convolution, its bias, gates i, f, z, o, recurrent, bias, norm of the recurrence.
    const fn front_sizes(&self) -> [usize; NUM_FRONT] {
        let (dim, square) = (self.dim, self.dim * (self.dim / self.heads));
        [
            dim,
            dim * self.taps,
            dim,
            square,
            square,
            square,
            square,
            4 * square,
            4 * dim,
            dim,
        ]
    }

    /// norm, up (gate, gated), down.
    const fn back_sizes(&self) -> [usize; 4] {
        let square = self.inner * self.dim;
        [self.dim, square, square, square]
    }

    fn halves<'a, T>(&self, weights: &'a [T]) -> ([&'a [T]; NUM_FRONT], [&'a [T]; 4]) {
        let (front, back) = weights.split_at(self.front_sizes().iter().sum());
        (
            parts(front, self.front_sizes()),
            parts(back, self.back_sizes()),
        )
    }

    const fn place(&self, head: usize) -> Place {
        Place {
            heads: self.heads,
            head,
            width: self.dim / self.heads,
        }
    }

    fn each_head<R: Send>(&self, hands: Hands, work: impl Fn(usize) -> R + Sync + Send) -> Vec<R> {
        match hands {
            Hands::One => (0..self.heads).map(work).collect(),
            Hands::All => (0..self.heads).into_par_iter().map(work).collect(),
        }
    }

    /// A head's part of each row, gathered.
    fn gather<T: Real>(&self, rows: &[T], head: usize) -> Scratch<T> {
        let width = self.dim / self.heads;
        let parts = rows
            .chunks(self.dim)
            .map(|row| &row[head * width..][..width]);
        Scratch::stacked([rows.len() / self.dim, width], parts)
    }

    /// Inputs of the gates with their bias, `(seq, 4, dim)`: i and f see the convolved input, z and o the plain one.
    fn inputs<T: Real>(
        &self,
        [convolved, plain]: [&[T]; 2],
        gates: [&[T]; 4],
        bias: &[T],
    ) -> Scratch<T> {
        let (dim, width) = (self.dim, self.dim / self.heads);
        let seq = plain.len() / dim;
        let mut out = Scratch::stacked([seq, bias.len()], std::iter::repeat(bias));
        for (gate, weight) in gates.into_iter().enumerate() {
            let x = if gate < 2 { convolved } else { plain };
            for head in 0..self.heads {
                let to = (&mut out[gate * dim + head * width..], 4 * dim, Put::Add);
                let weight = Mat::rows(&weight[head * width * width..], width).t();
                let operands = (Mat::rows(&x[head * width..], dim), weight);
                product(to, operands, [seq, width, width], T::one(), Hands::One);
            }
        }
        out
    }

    /// Gradients of [`Self::inputs`], added.
    fn inputs_back<T: Real>(
        &self,
        grad: &[T],
        ([convolved, plain], gates): ([&[T]; 2], [&[T]; 4]),
        [grad_convolved, grad_plain]: [&mut [T]; 2],
        grad_gates: [&mut [T]; 4],
    ) {
        let (dim, width, one) = (self.dim, self.dim / self.heads, T::one());
        let seq = plain.len() / dim;
        for (gate, (weight, grad_weight)) in gates.into_iter().zip(grad_gates).enumerate() {
            let (x, grad_x) = if gate < 2 {
                (convolved, &mut *grad_convolved)
            } else {
                (plain, &mut *grad_plain)
            };
            for head in 0..self.heads {
                let square = head * width * width;
                let g = Mat::rows(&grad[gate * dim + head * width..], 4 * dim);
                let to = (&mut grad_weight[square..], width, Put::Add);
                let operands = (g.t(), Mat::rows(&x[head * width..], dim));
                product(to, operands, [width, seq, width], one, Hands::One);
                let to = (&mut grad_x[head * width..], dim, Put::Add);
                let operands = (g, Mat::rows(&weight[square..], width));
                product(to, operands, [seq, width, width], one, Hands::One);
            }
        }
    }

    /// The feed-forward half: `out` holds its input and has the result added. Answers both halves of the way up.
    fn feed_forward<T: Real>(
        &self,
        weights: [&[T]; 4],
        out: &mut [T],
        hands: Hands,
    ) -> (Scratch<T>, Scratch<T>) {
        let (dim, inner, one) = (self.dim, self.inner, T::one());
        let seq = out.len() / dim;
        let [norm, up_gate, up, down] = weights;
        let mut normed = Scratch::new(out.len());
        norm_rows(out, norm, 1, &mut normed);
        let raise = |weight: &[T]| {
            let mut out = Scratch::new(seq * inner);
            let operands = (Mat::rows(&normed, dim), Mat::rows(weight, dim).t());
            product(
                (&mut out, inner, Put::Set),
                operands,
                [seq, dim, inner],
                one,
                hands,
            );
            out
        };
        let (gate, up) = (raise(up_gate), raise(up));
        let act = gate.iter().zip(&up[..]).map(|(&g, &u)| gelu(g).0 * u);
        let act = Scratch::of(gate.len(), act);
        let operands = (Mat::rows(&act, inner), Mat::rows(down, inner).t());
        product(
            (out, dim, Put::Add),
            operands,
            [seq, inner, dim],
            one,
            hands,
        );
        (gate, up)
    }

    /// `grad_x` holds the gradient of the result and becomes that of the input.
    fn feed_forward_back<T: Real>(
        &self,
        trace: &Trace<T>,
        [norm, up_gate, up, down]: [&[T]; 4],
        grad_x: &mut [T],
        [grad_norm, grad_up_gate, grad_up, grad_down]: [&mut [T]; 4],
        hands: Hands,
    ) {
        let (dim, inner, one) = (self.dim, self.inner, T::one());
        let seq = grad_x.len() / dim;
        let mut grad_act = Scratch::new(seq * inner);
        let g = Mat::rows(grad_x, dim);
        let to = (&mut grad_act[..], inner, Put::Set);
        product(
            to,
            (g, Mat::rows(down, inner)),
            [seq, dim, inner],
            one,
            hands,
        );
        let mut grads = [Scratch::new(seq * inner), grad_act];
        let mut act = Scratch::new(seq * inner);
        {
            let [grad_gate, grad_up] = &mut grads;
            let (grad_gate, grad_up) = (&mut grad_gate[..], &mut grad_up[..]);
            let n = act.len();
            let (gate, up) = (&trace.gate[..n], &trace.up[..n]);
            for i in 0..n {
                let (value, slope) = gelu(gate[i]);
                act[i] = value * up[i];
                grad_gate[i] = grad_up[i] * up[i] * slope;
                grad_up[i] *= value;
            }
        }
        product(
            (grad_down, inner, Put::Add),
            (g.t(), Mat::rows(&act, inner)),
            [dim, seq, inner],
            one,
            hands,
        );
        let mut normed = Scratch::new(grad_x.len());
        norm_rows(&trace.middle, norm, 1, &mut normed);
        let mut grad_normed = Scratch::filled(grad_x.len(), T::zero());
        let both = [(up_gate, grad_up_gate), (up, grad_up)];
        for (grad, (weight, grad_weight)) in grads.iter().zip(both) {
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
        norm_rows_back((&trace.middle, norm), 1, &grad_normed, grad_x, grad_norm);
    }

    /// Through the recurrence of all heads: the gradient of the gates' inputs, `(seq, 4, dim)`.
    fn recurrence_back<T: Real>(
        &self,
        trace: &Trace<T>,
        recurrent: &[T],
        grad_y: &[T],
        grad_recurrent: &mut [T],
        hands: Hands,
    ) -> Scratch<T> {
        let width = self.dim / self.heads;
        let square = 4 * width * width;
        let heads = self.each_head(hands, |head| {
            let own = self.gather(grad_y, head);
            let recurrent = &recurrent[head * square..][..square];
            scan::backward(&trace.heads[head], recurrent, &own, width)
        });
        let mut grad = Scratch::new(grad_y.len() * 4);
        for (head, raw) in heads.iter().enumerate() {
            for (row, values) in raw.chunks(width).enumerate() {
                let at = self.place(head).gate(row / 4, row % 4);
                grad[at..at + width].copy_from_slice(values);
            }
            let later = raw.len() / (4 * width) - 1;
            if later > 0 {
                let to = (&mut grad_recurrent[head * square..], width, Put::Add);
                let now = Mat::rows(&raw[4 * width..], 4 * width).t();
                let before = Mat::rows(&trace.heads[head].y, width);
                product(
                    to,
                    (now, before),
                    [4 * width, later, width],
                    T::one(),
                    hands,
                );
            }
        }
        grad
    }
}

/// `x Phi(x)` and its slope.
#[expect(clippy::inline_always, reason = "vectorised only inside its loop")]
#[inline(always)]
fn gelu<T: Real>(x: T) -> (T, T) {
    let half = T::from_f64(0.5);
    let share = half * (T::one() + (x * T::from_f64(std::f64::consts::FRAC_1_SQRT_2)).erf());
    // 1 / sqrt(2 pi)
    let density = T::from_f64(0.398_942_280_401_432_7) * (-half * x * x).exp();
    (x * share, density.mul_add(x, share))
}

impl Kernel for Slstm {
    type Trace<T: Real> = Trace<T>;

    fn dim(&self) -> usize {
        self.dim
    }

    fn num_weights(&self) -> usize {
        self.front_sizes().iter().sum::<usize>() + self.back_sizes().iter().sum::<usize>()
    }

    fn forward<T: Real>(&self, x: &[T], weights: &[T], out: &mut [T], hands: Hands) -> Trace<T> {
        let (front, back) = self.halves(weights);
        let [
            norm,
            conv,
            conv_bias,
            i,
            f,
            z,
            o,
            recurrent,
            bias,
            group_norm,
        ] = front;
        let mut normed = Scratch::new(x.len());
        norm_rows(x, norm, 1, &mut normed);
        let mut before = Scratch::new(x.len());
        convolve(&normed, &by_tap(conv, self.dim), conv_bias, &mut before);
        let convolved = silu(&before);
        let wx = self.inputs([&convolved, &normed], [i, f, z, o], bias);
        let width = self.dim / self.heads;
        let square = 4 * width * width;
        let heads = self.each_head(hands, |head| {
            scan::forward(&wx, &recurrent[head * square..][..square], self.place(head))
        });
        let mut y = Scratch::new(x.len());
        for (head, trace) in heads.iter().enumerate() {
            for (row, values) in y.chunks_mut(self.dim).zip(trace.y.chunks(width)) {
                row[head * width..][..width].copy_from_slice(values);
            }
        }
        norm_rows(&y, group_norm, self.heads, out);
        for (out, &x) in out.iter_mut().zip(x) {
            *out += x;
        }
        let middle = Scratch::stacked([1, out.len()], std::iter::once(&*out));
        let (gate, up) = self.feed_forward(back, out, hands);
        Trace {
            heads,
            y,
            middle,
            gate,
            up,
        }
    }

    fn backward<T: Real>(
        &self,
        given: Given<'_, T, Trace<T>>,
        grad_x: &mut [T],
        grad_weights: &mut [T],
        hands: Hands,
    ) {
        let Given {
            x,
            weights,
            trace,
            grad,
        } = given;
        let (front, back) = self.halves(weights);
        let (grad_front, grad_back) = grad_weights.split_at_mut(self.front_sizes().iter().sum());
        let grad_back = parts_mut(grad_back, self.back_sizes());
        grad_x.copy_from_slice(grad);
        self.feed_forward_back(trace, back, grad_x, grad_back, hands);
        let [norm, conv, conv_bias, i, f, z, o, recurrent, _, group_norm] = front;
        let [
            grad_norm,
            grad_conv,
            grad_conv_bias,
            grad_i,
            grad_f,
            grad_z,
            grad_o,
            grad_recurrent,
            grad_bias,
            grad_group,
        ] = parts_mut(grad_front, self.front_sizes());
        let mut grad_y = Scratch::filled(x.len(), T::zero());
        norm_rows_back(
            (&trace.y, group_norm),
            self.heads,
            grad_x,
            &mut grad_y,
            grad_group,
        );
        let grad_wx = self.recurrence_back(trace, recurrent, &grad_y, grad_recurrent, hands);
        add_columns(&grad_wx, grad_bias);
        let mut normed = Scratch::new(x.len());
        norm_rows(x, norm, 1, &mut normed);
        let taps = by_tap(conv, self.dim);
        let mut before = Scratch::new(x.len());
        convolve(&normed, &taps, conv_bias, &mut before);
        let convolved = silu(&before);
        let mut grad_convolved = Scratch::filled(x.len(), T::zero());
        let mut grad_normed = Scratch::filled(x.len(), T::zero());
        self.inputs_back(
            &grad_wx,
            ([&convolved, &normed], [i, f, z, o]),
            [&mut grad_convolved, &mut grad_normed],
            [grad_i, grad_f, grad_z, grad_o],
        );
        let mut grad_taps = vec![T::zero(); taps.len() + self.dim];
        let through = (&mut before[..], &grad_convolved[..]);
        conv_silu_back((&normed, &taps), through, &mut grad_normed, &mut grad_taps);
        let (grad_taps, bias) = grad_taps.split_at(taps.len());
        add_columns(&by_channel(grad_taps, self.dim), grad_conv);
        add_columns(bias, grad_conv_bias);
        norm_rows_back((x, norm), 1, &grad_normed, grad_x, grad_norm);
    }
}
