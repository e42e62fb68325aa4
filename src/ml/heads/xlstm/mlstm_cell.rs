//! The mLSTM cell in its parallel form over whole sequences as one operation.
//!
//! Per head with `F_t = sum_{s<=t} logsigmoid(f_s)`: `log D_ts = F_t - F_s + i_s` for `s <= t`, `m_t = max_s log D_ts`,
//! `A_ts = (q_t k_s / sqrt(head_dim)) exp(log D_ts - m_t)`, `N_t = max(|sum_s A_ts|, exp(-m_t)) + eps`,
//! `h_t = sum_s A_ts v_s / N_t`. Only the lower triangle is ever computed. The stabiliser `m` cancels (up to the
//! epsilon of 1e-6) and is a constant to the gradient.

use std::sync::OnceLock;

use candle_core::CpuStorage;
use candle_core::CustomOp2;
use candle_core::DType;
use candle_core::Layout;
use candle_core::Result;
use candle_core::Shape;
use candle_core::Tensor;
use candle_core::bail;
use rayon::prelude::*;

use crate::ml::layers::Real;
use crate::ml::layers::add_scaled4;
use crate::ml::layers::contiguous;
use crate::ml::layers::dot;
use crate::ml::layers::values;

/// Added to the normaliser, as in the reference.
const EPS: f64 = 1e-6;

/// Runs the cell: `qkv (batch, seq, 3 * inner)` holds q, k, v one behind the other, `gates (batch, seq, 2 * heads)` the
/// input gates and then the forget gates before their activation. Answers `(batch, seq, inner)`.
pub(super) fn mlstm_cell(qkv: &Tensor, gates: &Tensor) -> Result<Tensor> {
    let (qkv, gates) = (qkv.contiguous()?, gates.contiguous()?);
    match qkv.dtype() {
        DType::F64 => qkv.apply_op2(&gates, Cell::<f64>(OnceLock::new())),
        _ => qkv.apply_op2(&gates, Cell::<f32>(OnceLock::new())),
    }
}

/// The operation; it keeps the outputs and normalisers of its own forward pass, by batch and head.
struct Cell<T>(OnceLock<Vec<Trace<T>>>);

struct Trace<T> {
    /// `(seq, head_dim)`.
    h: Vec<T>,
    /// The signed share `1 / N_t` where the sum of scores sets the normaliser, else 0: `sign(sum) / N_t`.
    slope: Vec<T>,
    /// `1 / N_t`.
    scale: Vec<T>,
    /// Row maxima of `log D`.
    m: Vec<T>,
}

#[derive(Clone, Copy)]
struct Dims {
    seq: usize,
    heads: usize,
    width: usize,
}

impl Dims {
    fn of(qkv: &Shape, gates: &Shape) -> Result<(usize, Self)> {
        let (batch, seq, inner) = qkv.dims3()?;
        let heads = gates.dims3()?.2 / 2;
        if heads == 0 || inner % (3 * heads) != 0 {
            bail!("mLSTM: width {inner} does not divide into q, k, v of {heads} heads")
        }
        let width = inner / (3 * heads);
        Ok((batch, Self { seq, heads, width }))
    }
}

/// One head of one sequence, gathered.
struct Head<T> {
    /// `(seq, head_dim)`.
    q: Vec<T>,
    /// `(seq, head_dim)`, already divided by `sqrt(head_dim)`.
    k: Vec<T>,
    /// `(seq, head_dim)`.
    v: Vec<T>,
    /// Input gates.
    input: Vec<T>,
    /// Forget gates before their activation.
    forget: Vec<T>,
    /// Running sum of the logarithms of the forget gates.
    sum: Vec<T>,
}

impl<T: Real> Head<T> {
    fn gather(qkv: &[T], gates: &[T], dims: Dims, task: usize) -> Self {
        let Dims { seq, heads, width } = dims;
        let (batch, head) = (task / heads, task % heads);
        let part = |which: usize| -> Vec<T> {
            let mut out = Vec::with_capacity(seq * width);
            for t in 0..seq {
                let at = (((batch * seq + t) * 3 + which) * heads + head) * width;
                out.extend_from_slice(&qkv[at..at + width]);
            }
            out
        };
        let gate = |which: usize| -> Vec<T> {
            (0..seq)
                .map(|t| gates[((batch * seq + t) * 2 + which) * heads + head])
                .collect()
        };
        let shrink = T::one() / T::from_f64(width as f64).sqrt();
        let mut k = part(1);
        for value in &mut k {
            *value *= shrink;
        }
        let forget = gate(1);
        let mut total = T::zero();
        let running = forget.iter().map(|f| {
            total += f.log_sigmoid();
            total
        });
        let sum = running.collect();
        Self {
            q: part(0),
            k,
            v: part(2),
            input: gate(0),
            forget,
            sum,
        }
    }

    /// Row `t` of the decay: `exp(log D_ts - m)` for `s <= t`.
    fn decay(&self, t: usize, m: T, out: &mut [T]) {
        for (s, out) in out.iter_mut().enumerate() {
            *out = (self.sum[t] - self.sum[s] + self.input[s] - m).exp();
        }
    }

    fn row_max(&self, t: usize) -> T {
        let first = self.sum[t] - self.sum[0] + self.input[0];
        (1..=t).fold(first, |max, s| {
            max.at_least(self.sum[t] - self.sum[s] + self.input[s])
        })
    }
}

impl<T: Real> CustomOp2 for Cell<T> {
    fn name(&self) -> &'static str {
        "mlstm-cell"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (batch, dims) = Dims::of(l1.shape(), l2.shape())?;
        let (qkv, gates) = (contiguous::<T>(s1, l1)?, contiguous::<T>(s2, l2)?);
        let Dims { seq, heads, width } = dims;
        let traces: Vec<Trace<T>> = (0..batch * heads)
            .into_par_iter()
            .map(|task| forward(&Head::gather(qkv, gates, dims, task), dims))
            .collect();
        let mut out = vec![T::zero(); batch * seq * heads * width];
        for (task, trace) in traces.iter().enumerate() {
            for (t, h) in trace.h.chunks(width).enumerate() {
                let at = ((task / heads * seq + t) * heads + task % heads) * width;
                out[at..at + width].copy_from_slice(h);
            }
        }
        // A second forward of the same operation cannot happen; if it did, the first trace would stay.
        self.0.get_or_init(|| traces);
        let shape = Shape::from((batch, seq, heads * width));
        Ok((T::to_cpu_storage_owned(out), shape))
    }

    fn bwd(
        &self,
        arg1: &Tensor,
        arg2: &Tensor,
        _res: &Tensor,
        grad_res: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (_, dims) = Dims::of(arg1.shape(), arg2.shape())?;
        let Some(traces) = self.0.get() else {
            bail!("mLSTM: backward before forward")
        };
        let (qkv, gates) = (values::<T>(arg1)?, values::<T>(arg2)?);
        let grad = values::<T>(grad_res)?;
        let heads: Vec<HeadGradient<T>> = traces
            .par_iter()
            .enumerate()
            .map(|(task, trace)| {
                let head = Head::gather(&qkv, &gates, dims, task);
                backward(&head, trace, &head_rows(&grad, dims, task), dims)
            })
            .collect();
        let mut grad_qkv = vec![T::zero(); qkv.len()];
        let mut grad_gates = vec![T::zero(); gates.len()];
        for (task, gradient) in heads.iter().enumerate() {
            gradient.scatter(&mut grad_qkv, &mut grad_gates, dims, task);
        }
        let device = arg1.device();
        Ok((
            Some(Tensor::from_vec(grad_qkv, arg1.shape(), device)?),
            Some(Tensor::from_vec(grad_gates, arg2.shape(), device)?),
        ))
    }
}

struct HeadGradient<T> {
    qkv: [Vec<T>; 3],
    gates: [Vec<T>; 2],
}

impl<T: Real> HeadGradient<T> {
    fn scatter(&self, grad_qkv: &mut [T], grad_gates: &mut [T], dims: Dims, task: usize) {
        let Dims { seq, heads, width } = dims;
        let (batch, head) = (task / heads, task % heads);
        for (which, rows) in self.qkv.iter().enumerate() {
            for (t, row) in rows.chunks(width).enumerate() {
                let at = (((batch * seq + t) * 3 + which) * heads + head) * width;
                grad_qkv[at..at + width].copy_from_slice(row);
            }
        }
        for (which, gates) in self.gates.iter().enumerate() {
            for (t, &gate) in gates.iter().enumerate() {
                grad_gates[((batch * seq + t) * 2 + which) * heads + head] = gate;
            }
        }
    }
}

/// A head's rows of a `(batch, seq, inner)` tensor.
fn head_rows<T: Real>(values: &[T], dims: Dims, task: usize) -> Vec<T> {
    let Dims { seq, heads, width } = dims;
    let mut out = Vec::with_capacity(seq * width);
    for t in 0..seq {
        let at = ((task / heads * seq + t) * heads + task % heads) * width;
        out.extend_from_slice(&values[at..at + width]);
    }
    out
}

/// Rows turned into columns.
fn transposed<T: Real>(rows: &[T], width: usize) -> Vec<T> {
    let n = rows.len() / width;
    let mut out = vec![T::zero(); rows.len()];
    for (t, row) in rows.chunks(width).enumerate() {
        for (d, &value) in row.iter().enumerate() {
            out[d * n + t] = value;
        }
    }
    out
}

/// `out += sum_i a[i] rows[i][..out.len()]` where rows lie `stride` apart.
fn add_rows<T: Real>(out: &mut [T], a: &[T], rows: &[T], stride: usize) {
    let n = out.len();
    let fours = a.len() / 4 * 4;
    for i in (0..fours).step_by(4) {
        let row = |j: usize| &rows[(i + j) * stride..][..n];
        add_scaled4(
            out,
            [a[i], a[i + 1], a[i + 2], a[i + 3]],
            [row(0), row(1), row(2), row(3)],
        );
    }
    for i in fours..a.len() {
        for (sum, &value) in out.iter_mut().zip(&rows[i * stride..][..n]) {
            *sum = a[i].mul_add(value, *sum);
        }
    }
}

fn forward<T: Real>(head: &Head<T>, dims: Dims) -> Trace<T> {
    let Dims { seq, width, .. } = dims;
    let columns = transposed(&head.k, width);
    let mut trace = Trace {
        h: vec![T::zero(); seq * width],
        slope: Vec::with_capacity(seq),
        scale: Vec::with_capacity(seq),
        m: Vec::with_capacity(seq),
    };
    let (mut scores, mut decay) = (vec![T::zero(); seq], vec![T::zero(); seq]);
    for t in 0..seq {
        let (scores, decay) = (&mut scores[..=t], &mut decay[..=t]);
        let m = head.row_max(t);
        head.decay(t, m, decay);
        scores.fill(T::zero());
        add_rows(scores, &head.q[t * width..][..width], &columns, seq);
        let mut total = T::zero();
        for (score, &decay) in scores.iter_mut().zip(decay.iter()) {
            *score *= decay;
            total += *score;
        }
        let floor = (-m).exp();
        let scale = T::one() / (total.abs().at_least(floor) + T::from_f64(EPS));
        let h = &mut trace.h[t * width..][..width];
        add_rows(h, scores, &head.v, width);
        for value in h {
            *value *= scale;
        }
        let sign = if total < T::zero() { -scale } else { scale };
        trace
            .slope
            .push(if total.abs() > floor { sign } else { T::zero() });
        trace.scale.push(scale);
        trace.m.push(m);
    }
    trace
}

/// Row `t` of the gradient: of the raw scores in `grad_scores`, of `log D` in `grad_decay`, the scores themselves
/// (normalised) in `scores`.
struct Rows<T> {
    scores: Vec<T>,
    grad_scores: Vec<T>,
    grad_decay: Vec<T>,
}

fn backward<T: Real>(head: &Head<T>, trace: &Trace<T>, grad: &[T], dims: Dims) -> HeadGradient<T> {
    let Dims { seq, width, .. } = dims;
    let (k_columns, v_columns) = (transposed(&head.k, width), transposed(&head.v, width));
    let zero = || vec![T::zero(); seq * width];
    let (mut grad_q, mut grad_k, mut grad_v) = (zero(), zero(), zero());
    let (mut grad_input, mut grad_sum) = (vec![T::zero(); seq], vec![T::zero(); seq]);
    // Four rows at a time, so that the sums over t of k and v read and write their rows once for four products.
    let mut rows: [Rows<T>; 4] = std::array::from_fn(|_| Rows {
        scores: vec![T::zero(); seq],
        grad_scores: vec![T::zero(); seq],
        grad_decay: vec![T::zero(); seq],
    });
    let nothing = vec![T::zero(); width];
    for start in (0..seq).step_by(4) {
        let end = (start + 4).min(seq);
        for (t, rows) in (start..end).zip(&mut rows) {
            let h = &trace.h[t * width..][..width];
            let g = &grad[t * width..][..width];
            back_row(head, trace, (&k_columns, &v_columns), (t, g, h), rows);
            add_rows(
                &mut grad_q[t * width..][..width],
                &rows.grad_scores[..=t],
                &head.k,
                width,
            );
            for (s, &change) in rows.grad_decay[..=t].iter().enumerate() {
                grad_input[s] += change;
                grad_sum[t] += change;
                grad_sum[s] -= change;
            }
        }
        let row_of = |values: &'_ [T], t: usize| -> Vec<T> {
            if t < end {
                values[t * width..][..width].to_vec()
            } else {
                nothing.clone()
            }
        };
        let g: [Vec<T>; 4] = std::array::from_fn(|j| row_of(grad, start + j));
        let q: [Vec<T>; 4] = std::array::from_fn(|j| row_of(&head.q, start + j));
        for s in 0..end {
            let seen = |j: usize, values: &[T]| {
                if s <= start + j && start + j < end {
                    values[s]
                } else {
                    T::zero()
                }
            };
            let a = std::array::from_fn(|j| seen(j, &rows[j].scores));
            let b = std::array::from_fn(|j| seen(j, &rows[j].grad_scores));
            add_scaled4(
                &mut grad_v[s * width..][..width],
                a,
                [&g[0], &g[1], &g[2], &g[3]],
            );
            add_scaled4(
                &mut grad_k[s * width..][..width],
                b,
                [&q[0], &q[1], &q[2], &q[3]],
            );
        }
    }
    let shrink = T::one() / T::from_f64(width as f64).sqrt();
    for value in &mut grad_k {
        *value *= shrink;
    }
    let grad_forget = forget_gradient(&head.forget, &grad_sum);
    HeadGradient {
        qkv: [grad_q, grad_k, grad_v],
        gates: [grad_input, grad_forget],
    }
}

fn back_row<T: Real>(
    head: &Head<T>,
    trace: &Trace<T>,
    (k_columns, v_columns): (&[T], &[T]),
    (t, g, h): (usize, &[T], &[T]),
    rows: &mut Rows<T>,
) {
    let (width, seq) = (g.len(), head.input.len());
    let decay = &mut rows.grad_decay[..=t];
    let scores = &mut rows.scores[..=t];
    let grad_scores = &mut rows.grad_scores[..=t];
    head.decay(t, trace.m[t], decay);
    scores.fill(T::zero());
    add_rows(scores, &head.q[t * width..][..width], k_columns, seq);
    grad_scores.fill(T::zero());
    add_rows(grad_scores, g, v_columns, seq);
    // h = (sum of A v) / N: the normaliser's own slope, where the sum of scores sets it.
    let (scale, slope) = (trace.scale[t], trace.slope[t]);
    let through_sum = slope * dot(g, h);
    for s in 0..=t {
        let grad_a = grad_scores[s] * scale - through_sum;
        let a = scores[s] * decay[s];
        grad_scores[s] = grad_a * decay[s];
        decay[s] = grad_a * a;
        scores[s] = a * scale;
    }
}

/// Through the running sum of `logsigmoid(f)`.
fn forget_gradient<T: Real>(forget: &[T], grad_sum: &[T]) -> Vec<T> {
    let mut out = vec![T::zero(); forget.len()];
    let mut later = T::zero();
    for t in (0..forget.len()).rev() {
        later += grad_sum[t];
        out[t] = later * (-forget[t]).sigmoid();
    }
    out
}
