//! The sLSTM recurrence over whole sequences as one operation.
//!
//! Within a head, step `t` reads the head's output of step `t - 1`:
//! `raw = wx_t + R y_{t-1}`, `m_t = max(i, m_{t-1} + logsigmoid(f))` (step 0: `i`), `i' = exp(i - m_t)`,
//! `f' = exp(m_{t-1} + logsigmoid(f) - m_t)`, `c = f' c + i' tanh(z)`, `n = f' n + i'`, `y = sigmoid(o) c / n`.
//! The stabiliser `m` scales `c` and `n` alike and leaves `y` unchanged, so it is a constant to the gradient.

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
use crate::ml::layers::values;

/// Values that the backward pass reads, for each element of a step.
const SAVED: usize = 7;

/// Runs the recurrence: `wx (batch, seq, 4 * dim)` holds the gates' inputs with their bias, gates i, f, z, o in this
/// order; `recurrent (heads, 4 * head_dim, head_dim)`. Answers `(batch, seq, dim)`.
pub(super) fn slstm_cell(wx: &Tensor, recurrent: &Tensor) -> Result<Tensor> {
    let (wx, recurrent) = (wx.contiguous()?, recurrent.contiguous()?);
    match wx.dtype() {
        DType::F64 => wx.apply_op2(&recurrent, Scan::<f64>(OnceLock::new())),
        _ => wx.apply_op2(&recurrent, Scan::<f32>(OnceLock::new())),
    }
}

/// The operation; it keeps what its own forward pass computed, by batch and head.
struct Scan<T>(OnceLock<Vec<Trace<T>>>);

/// One head of one sequence: per step `SAVED` rows of `head_dim`, and the outputs.
struct Trace<T> {
    saved: Vec<T>,
    y: Vec<T>,
}

#[derive(Clone, Copy)]
struct Dims {
    seq: usize,
    heads: usize,
    width: usize,
}

impl Dims {
    fn of(wx: &Shape, recurrent: &Shape) -> Result<(usize, Self)> {
        let (batch, seq, gates) = wx.dims3()?;
        let (heads, rows, width) = recurrent.dims3()?;
        if rows != 4 * width || gates != 4 * heads * width {
            bail!("sLSTM: inputs of width {gates} do not fit {heads} heads of {rows} x {width}")
        }
        Ok((batch, Self { seq, heads, width }))
    }

    /// Where gate `gate` of a head begins in `wx`.
    const fn gate(&self, batch: usize, t: usize, gate: usize, head: usize) -> usize {
        (((batch * self.seq + t) * 4 + gate) * self.heads + head) * self.width
    }

    /// Where a head's output begins.
    const fn out(&self, batch: usize, t: usize, head: usize) -> usize {
        ((batch * self.seq + t) * self.heads + head) * self.width
    }
}

impl<T: Real> CustomOp2 for Scan<T> {
    fn name(&self) -> &'static str {
        "slstm-cell"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (batch, dims) = Dims::of(l1.shape(), l2.shape())?;
        let wx = contiguous::<T>(s1, l1)?;
        let by_input = transposed(contiguous::<T>(s2, l2)?, dims);
        let traces: Vec<Trace<T>> = (0..batch * dims.heads)
            .into_par_iter()
            .map(|task| forward(wx, &by_input, dims, task))
            .collect();
        let mut out = vec![T::zero(); batch * dims.seq * dims.heads * dims.width];
        for (task, trace) in traces.iter().enumerate() {
            for (t, y) in trace.y.chunks(dims.width).enumerate() {
                let at = dims.out(task / dims.heads, t, task % dims.heads);
                out[at..at + dims.width].copy_from_slice(y);
            }
        }
        // A second forward of the same operation cannot happen; if it did, the first trace would stay.
        self.0.get_or_init(|| traces);
        let shape = Shape::from((batch, dims.seq, dims.heads * dims.width));
        Ok((T::to_cpu_storage_owned(out), shape))
    }

    fn bwd(
        &self,
        arg1: &Tensor,
        arg2: &Tensor,
        _res: &Tensor,
        grad_res: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (batch, dims) = Dims::of(arg1.shape(), arg2.shape())?;
        let Some(traces) = self.0.get() else {
            bail!("sLSTM: backward before forward")
        };
        let recurrent = values::<T>(arg2)?;
        let grad = values::<T>(grad_res)?;
        let raw: Vec<Vec<T>> = traces
            .par_iter()
            .enumerate()
            .map(|(task, trace)| backward(trace, &recurrent, &grad, dims, task))
            .collect();
        let mut grad_wx = vec![T::zero(); arg1.elem_count()];
        for (task, raw) in raw.iter().enumerate() {
            for (row, values) in raw.chunks(dims.width).enumerate() {
                let at = dims.gate(task / dims.heads, row / 4, row % 4, task % dims.heads);
                grad_wx[at..at + dims.width].copy_from_slice(values);
            }
        }
        let device = arg1.device();
        Ok((
            Some(Tensor::from_vec(grad_wx, arg1.shape(), device)?),
            Some(recurrent_gradient(traces, &raw, batch, dims)?),
        ))
    }
}

/// `R` by input: `(heads, head_dim, 4 * head_dim)`, so that one input's row is added to all gates at once.
fn transposed<T: Real>(recurrent: &[T], dims: Dims) -> Vec<T> {
    let (rows, width) = (4 * dims.width, dims.width);
    let mut out = vec![T::zero(); recurrent.len()];
    for head in 0..dims.heads {
        let at = head * rows * width;
        for row in 0..rows {
            for column in 0..width {
                out[at + column * rows + row] = recurrent[at + row * width + column];
            }
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
        add_scaled4(
            out,
            [a[i], a[i + 1], a[i + 2], a[i + 3]],
            [row(0), row(1), row(2), row(3)],
        );
    }
    for i in fours..a.len() {
        for (sum, &value) in out.iter_mut().zip(&rows[i * n..][..n]) {
            *sum = a[i].mul_add(value, *sum);
        }
    }
}

fn forward<T: Real>(wx: &[T], by_input: &[T], dims: Dims, task: usize) -> Trace<T> {
    let (batch, head, width) = (task / dims.heads, task % dims.heads, dims.width);
    let by_input = &by_input[head * 4 * width * width..][..4 * width * width];
    let mut saved = vec![T::zero(); dims.seq * SAVED * width];
    let mut ys = vec![T::zero(); dims.seq * width];
    let zero = || vec![T::zero(); width];
    let (mut c, mut n, mut m) = (zero(), zero(), zero());
    let mut raw = vec![T::zero(); 4 * width];
    for t in 0..dims.seq {
        for gate in 0..4 {
            let at = dims.gate(batch, t, gate, head);
            raw[gate * width..][..width].copy_from_slice(&wx[at..at + width]);
        }
        if t > 0 {
            add_rows(&mut raw, &ys[(t - 1) * width..][..width], by_input);
        }
        let (saved, y) = (&mut saved[t * SAVED * width..], &mut ys[t * width..]);
        for j in 0..width {
            let (i, f) = (raw[j], raw[width + j]);
            let kept = m[j] + f.log_sigmoid();
            m[j] = if t == 0 { i } else { i.at_least(kept) };
            let (enter, keep) = ((i - m[j]).exp(), (kept - m[j]).exp());
            let (z, o) = (raw[2 * width + j].tanh(), raw[3 * width + j].sigmoid());
            c[j] = keep * c[j] + enter * z;
            n[j] = keep * n[j] + enter;
            y[j] = o * c[j] / n[j];
            let values = [enter, keep, z, o, c[j], n[j], (-f).sigmoid()];
            for (row, value) in values.into_iter().enumerate() {
                saved[row * width + j] = value;
            }
        }
    }
    Trace { saved, y: ys }
}

/// Gradient of the gates' inputs: `(seq, 4, head_dim)`.
fn backward<T: Real>(
    trace: &Trace<T>,
    recurrent: &[T],
    grad: &[T],
    dims: Dims,
    task: usize,
) -> Vec<T> {
    let (batch, head, width) = (task / dims.heads, task % dims.heads, dims.width);
    let recurrent = &recurrent[head * 4 * width * width..][..4 * width * width];
    let mut raw = vec![T::zero(); dims.seq * 4 * width];
    let zero = || vec![T::zero(); width];
    let (mut grad_c, mut grad_n, mut grad_y) = (zero(), zero(), zero());
    let one = T::one();
    for t in (0..dims.seq).rev() {
        let at = dims.out(batch, t, head);
        for (sum, &g) in grad_y.iter_mut().zip(&grad[at..at + width]) {
            *sum += g;
        }
        let now = &trace.saved[t * SAVED * width..][..SAVED * width];
        let before = t
            .checked_sub(1)
            .map(|t| &trace.saved[t * SAVED * width..][..SAVED * width]);
        let raw = &mut raw[t * 4 * width..][..4 * width];
        for j in 0..width {
            let [enter, keep, z, o, c, n, forget] = std::array::from_fn(|row| now[row * width + j]);
            let (c_before, n_before) = before.map_or((T::zero(), T::zero()), |rows| {
                (rows[4 * width + j], rows[5 * width + j])
            });
            let ratio = c / n;
            let along = grad_y[j] * o / n;
            let grad_c_now = grad_c[j] + along;
            let grad_n_now = grad_n[j] - along * ratio;
            raw[j] = (grad_c_now * z + grad_n_now) * enter;
            raw[width + j] = (grad_c_now * c_before + grad_n_now * n_before) * keep * forget;
            raw[2 * width + j] = grad_c_now * enter * (one - z * z);
            raw[3 * width + j] = grad_y[j] * ratio * o * (one - o);
            grad_c[j] = grad_c_now * keep;
            grad_n[j] = grad_n_now * keep;
        }
        grad_y.fill(T::zero());
        add_rows(&mut grad_y, raw, recurrent);
    }
    raw
}

/// `dR = sum over batch and steps of draw_t y_{t-1}^T`: one matrix product a head.
fn recurrent_gradient<T: Real>(
    traces: &[Trace<T>],
    raw: &[Vec<T>],
    batch: usize,
    dims: Dims,
) -> Result<Tensor> {
    let Dims { seq, heads, width } = dims;
    let mut before = Vec::with_capacity(traces.len() * seq * width);
    for trace in traces {
        before.extend(std::iter::repeat_n(T::zero(), width.min(seq * width)));
        before.extend_from_slice(&trace.y[..seq.saturating_sub(1) * width]);
    }
    let device = candle_core::Device::Cpu;
    let by_head = |values: Vec<T>, columns: usize| -> Result<Tensor> {
        Tensor::from_vec(values, (batch, heads, seq, columns), &device)?
            .transpose(0, 1)?
            .reshape((heads, batch * seq, columns))
    };
    let raw = by_head(raw.concat(), 4 * width)?;
    raw.transpose(1, 2)?.matmul(&by_head(before, width)?)
}
