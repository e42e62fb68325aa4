//! The mLSTM cell over whole sequences as one operation, in any of its forms.
//!
//! Per head with `F_t = sum_{s<=t} logsigmoid(f_s)`: `log D_ts = F_t - F_s + i_s` for `s <= t`, `m_t = max_s log D_ts`,
//! `A_ts = (q_t k_s / sqrt(head_dim)) exp(log D_ts - m_t)`, `N_t = max(|sum_s A_ts|, exp(-m_t)) + eps`,
//! `h_t = sum_s A_ts v_s / N_t`. The stabiliser `m` cancels (up to the epsilon of 1e-6) and is a constant to the
//! gradient.
//!
//! That is gated linear attention with a normaliser, and the normaliser is one more value that is 1 everywhere.

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

use crate::compute::real::Real;
use crate::compute::real::contiguous;
use crate::compute::real::dot;
use crate::compute::real::values;
use crate::ml::layers::linear_attention::Inputs;
use crate::ml::layers::linear_attention::backward;
use crate::ml::layers::linear_attention::forward;

/// Added to the normaliser, as in the reference.
const EPS: f64 = 1e-6;
/// Columns behind the values: a column of ones and zeros that fill a register.
const EXTRA: usize = 8;

/// How the memory of an mLSTM is computed: the same function in other orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MlstmForm {
    /// Every pair of steps at once: work grows with the square of the length.
    Parallel,
    /// Pairs within chunks of so many steps, and a memory between them: work grows with the length.
    Chunkwise(usize),
    /// A memory that every step adds to.
    Recurrent,
}

impl MlstmForm {
    fn chunk_len(self, seq: usize) -> usize {
        match self {
            Self::Parallel => seq,
            Self::Chunkwise(len) => len.clamp(1, seq.max(1)),
            Self::Recurrent => 1,
        }
    }
}

/// Runs the cell: `qkv (batch, seq, 3 * inner)` holds q, k, v one behind the other, `gates (batch, seq, 2 * heads)` the
/// input gates and then the forget gates before their activation. Answers `(batch, seq, inner)`.
pub(super) fn mlstm_cell(qkv: &Tensor, gates: &Tensor, form: MlstmForm) -> Result<Tensor> {
    let (qkv, gates) = (qkv.contiguous()?, gates.contiguous()?);
    match qkv.dtype() {
        DType::F64 => qkv.apply_op2(&gates, Cell::<f64>::new(form)),
        _ => qkv.apply_op2(&gates, Cell::<f32>::new(form)),
    }
}

/// The operation; it keeps the outputs and normalisers of its own forward pass, by batch and head.
struct Cell<T> {
    form: MlstmForm,
    traces: OnceLock<Vec<Trace<T>>>,
}

struct Trace<T> {
    /// `(seq, head_dim)`.
    h: Vec<T>,
    /// The signed share `1 / N_t` where the sum of scores sets the normaliser, else 0: `sign(sum) / N_t`.
    slope: Vec<T>,
    /// `1 / N_t`.
    scale: Vec<T>,
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

    /// Where part `which` (q, k, v) of a head's row begins.
    const fn part(self, task: usize, t: usize, which: usize) -> usize {
        let (batch, head) = (task / self.heads, task % self.heads);
        (((batch * self.seq + t) * 3 + which) * self.heads + head) * self.width
    }

    /// Where gate `which` (input, forget) of a head stands.
    const fn gate(self, task: usize, t: usize, which: usize) -> usize {
        let (batch, head) = (task / self.heads, task % self.heads);
        ((batch * self.seq + t) * 2 + which) * self.heads + head
    }

    /// Where a head's output begins.
    const fn out(self, task: usize, t: usize) -> usize {
        let (batch, head) = (task / self.heads, task % self.heads);
        ((batch * self.seq + t) * self.heads + head) * self.width
    }

    fn shrink<T: Real>(self) -> T {
        T::one() / T::from_f64(self.width as f64).sqrt()
    }

    /// One head of one sequence, gathered: keys divided by `sqrt(head_dim)`, a column of ones behind the values.
    fn gather<T: Real>(self, qkv: &[T], gates: &[T], task: usize) -> Inputs<T> {
        let Self { seq, width, .. } = self;
        let dv = width + EXTRA;
        let mut x = Inputs {
            q: Vec::with_capacity(seq * width),
            k: Vec::with_capacity(seq * width),
            v: vec![T::zero(); seq * dv],
            log_decay: Vec::with_capacity(seq),
            log_input: Vec::with_capacity(seq),
            dk: width,
            dv,
        };
        let shrink = self.shrink::<T>();
        for t in 0..seq {
            let part = |which| &qkv[self.part(task, t, which)..][..width];
            x.q.extend_from_slice(part(0));
            x.k.extend(part(1).iter().map(|&k| k * shrink));
            x.v[t * dv..][..width].copy_from_slice(part(2));
            x.v[t * dv + width] = T::one();
            x.log_input.push(gates[self.gate(task, t, 0)]);
            x.log_decay.push(gates[self.gate(task, t, 1)].log_sigmoid());
        }
        x
    }
}

impl<T: Real> Cell<T> {
    const fn new(form: MlstmForm) -> Self {
        Self {
            form,
            traces: OnceLock::new(),
        }
    }

    fn trace(&self, x: &Inputs<T>) -> Trace<T> {
        let (width, dv) = (x.dk, x.dv);
        let out = forward(x, self.form.chunk_len(x.log_decay.len()));
        let mut trace = Trace {
            h: Vec::with_capacity(out.m.len() * width),
            slope: Vec::with_capacity(out.m.len()),
            scale: Vec::with_capacity(out.m.len()),
        };
        for (row, &m) in out.y.chunks_exact(dv).zip(&out.m) {
            let (total, floor) = (row[width], (-m).exp());
            let scale = T::one() / (total.abs().at_least(floor) + T::from_f64(EPS));
            trace
                .h
                .extend(row[..width].iter().map(|&value| value * scale));
            let sign = if total < T::zero() { -scale } else { scale };
            let is_set_by_sum = total.abs() > floor;
            trace
                .slope
                .push(if is_set_by_sum { sign } else { T::zero() });
            trace.scale.push(scale);
        }
        trace
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
            .map(|task| self.trace(&dims.gather(qkv, gates, task)))
            .collect();
        let mut out = vec![T::zero(); batch * seq * heads * width];
        for (task, trace) in traces.iter().enumerate() {
            for (t, h) in trace.h.chunks(width).enumerate() {
                out[dims.out(task, t)..][..width].copy_from_slice(h);
            }
        }
        // A second forward of the same operation cannot happen; if it did, the first trace would stay.
        self.traces.get_or_init(|| traces);
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
        let Some(traces) = self.traces.get() else {
            bail!("mLSTM: backward before forward")
        };
        let (qkv, gates) = (values::<T>(arg1)?, values::<T>(arg2)?);
        let grad = values::<T>(grad_res)?;
        let chunk_len = self.form.chunk_len(dims.seq);
        let heads: Vec<_> = traces
            .par_iter()
            .enumerate()
            .map(|(task, trace)| {
                let x = dims.gather(&qkv, &gates, task);
                backward(&x, &through_normaliser(trace, &grad, dims, task), chunk_len)
            })
            .collect();
        let mut grad_qkv = vec![T::zero(); qkv.len()];
        let mut grad_gates = vec![T::zero(); gates.len()];
        let (width, shrink) = (dims.width, dims.shrink::<T>());
        for (task, head) in heads.iter().enumerate() {
            for t in 0..dims.seq {
                let row = t * width..(t + 1) * width;
                grad_qkv[dims.part(task, t, 0)..][..width].copy_from_slice(&head.q[row.clone()]);
                let out = &mut grad_qkv[dims.part(task, t, 1)..][..width];
                for (out, &k) in out.iter_mut().zip(&head.k[row]) {
                    *out = k * shrink;
                }
                let v = &head.v[t * (width + EXTRA)..][..width];
                grad_qkv[dims.part(task, t, 2)..][..width].copy_from_slice(v);
                let forget = dims.gate(task, t, 1);
                grad_gates[dims.gate(task, t, 0)] = head.log_input[t];
                grad_gates[forget] = head.log_decay[t] * (-gates[forget]).sigmoid();
            }
        }
        let device = arg1.device();
        Ok((
            Some(Tensor::from_vec(grad_qkv, arg1.shape(), device)?),
            Some(Tensor::from_vec(grad_gates, arg2.shape(), device)?),
        ))
    }
}

/// Gradient of a head's sums, with that of the normaliser in the column of ones.
fn through_normaliser<T: Real>(trace: &Trace<T>, grad: &[T], dims: Dims, task: usize) -> Vec<T> {
    let (width, dv) = (dims.width, dims.width + EXTRA);
    let mut out = vec![T::zero(); dims.seq * dv];
    for (t, row) in out.chunks_exact_mut(dv).enumerate() {
        let g = &grad[dims.out(task, t)..][..width];
        for (out, &g) in row.iter_mut().zip(g) {
            *out = g * trace.scale[t];
        }
        row[width] = -trace.slope[t] * dot(g, &trace.h[t * width..][..width]);
    }
    out
}
