//! The sLSTM recurrence over whole sequences as one operation.
//!
//! Within a head, step `t` reads the head's output of step `t - 1`:
//! `raw = wx_t + R y_{t-1}`, `m_t = max(i, m_{t-1} + logsigmoid(f))` (step 0: `i`), `i' = exp(i - m_t)`,
//! `f' = exp(m_{t-1} + logsigmoid(f) - m_t)`, `c = f' c + i' tanh(z)`, `n = f' n + i'`, `y = sigmoid(o) c / n`.
//! The stabiliser `m` scales `c` and `n` alike and leaves `y` unchanged, so it is a constant to the gradient.

use candle_core::Result;
use candle_core::Tensor;

use crate::compute::real::Real;
use crate::compute::real::parts;
use crate::compute::real::parts_mut;
use crate::ml::layers::scan::Cell;
use crate::ml::layers::scan::Course;
use crate::ml::layers::scan::Step;
use crate::ml::layers::scan::StepBack;
use crate::ml::layers::scan::scan;

/// Runs the recurrence: `wx (batch, seq, 4 * dim)` holds the gates' inputs with their bias, gates i, f, z, o in this
/// order; `recurrent (heads, 4 * head_dim, head_dim)`. Answers `(batch, seq, dim)`.
pub(super) fn slstm_cell(wx: &Tensor, recurrent: &Tensor) -> Result<Tensor> {
    let (batch, seq, _) = wx.dims3()?;
    let (heads, rows, _) = recurrent.dims3()?;
    let bias = Tensor::zeros((heads, rows), wx.dtype(), wx.device())?;
    let course = Course {
        lengths: vec![seq; batch],
        reversed: vec![false; heads],
    };
    scan::<Slstm>(wx, recurrent, &bias, course)
}

struct Slstm;

impl Cell for Slstm {
    const NAME: &'static str = "slstm-cell";
    const GATES: usize = 4;
    const STATES: usize = 3;
    const SAVED: usize = 7;

    fn step<T: Real>(step: Step<'_, T>) {
        let width = step.y.len();
        let [wi, wf, wz, wo] = parts::<4, T>(step.input, width);
        let [ri, rf, rz, ro] = parts::<4, T>(step.recurrent, width);
        let [c, n, m] = parts_mut::<3, T>(step.state, width);
        let [enter, keep, z, o, c_out, n_out, forget] = parts_mut::<7, T>(step.saved, width);
        for j in 0..width {
            let (i, f) = (wi[j] + ri[j], wf[j] + rf[j]);
            let kept = m[j] + f.log_sigmoid();
            let top = if step.is_first { i } else { i.at_least(kept) };
            enter[j] = (i - top).exp();
            keep[j] = (kept - top).exp();
            forget[j] = (-f).sigmoid();
            m[j] = top;
        }
        for j in 0..width {
            z[j] = (wz[j] + rz[j]).tanh();
            o[j] = (wo[j] + ro[j]).sigmoid();
            c[j] = keep[j] * c[j] + enter[j] * z[j];
            n[j] = keep[j] * n[j] + enter[j];
            (c_out[j], n_out[j]) = (c[j], n[j]);
            step.y[j] = o[j] * c[j] / n[j];
        }
    }

    fn back<T: Real>(step: StepBack<'_, T>) {
        let width = step.grad_y.len();
        let [enter, keep, z, o, c, n, forget] = parts::<7, T>(step.saved, width);
        let [_, _, _, _, c_before, n_before, _] = parts::<7, T>(step.saved_before, width);
        let [grad_c, grad_n, _] = parts_mut::<3, T>(step.grad_state, width);
        let [gi, gf, gz, go] = parts_mut::<4, T>(step.grad_input, width);
        let one = T::one();
        for j in 0..width {
            let ratio = c[j] / n[j];
            let along = step.grad_y[j] * o[j] / n[j];
            let grad_c_now = grad_c[j] + along;
            let grad_n_now = grad_n[j] - along * ratio;
            gi[j] = (grad_c_now * z[j] + grad_n_now) * enter[j];
            gf[j] = (grad_c_now * c_before[j] + grad_n_now * n_before[j]) * keep[j] * forget[j];
            gz[j] = grad_c_now * enter[j] * (one - z[j] * z[j]);
            go[j] = step.grad_y[j] * ratio * o[j] * (one - o[j]);
            grad_c[j] = grad_c_now * keep[j];
            grad_n[j] = grad_n_now * keep[j];
        }
        step.grad_recurrent.copy_from_slice(step.grad_input);
    }
}
