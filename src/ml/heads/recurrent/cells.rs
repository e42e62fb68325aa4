//! One step of an LSTM and of a GRU, forward and back.

use crate::compute::real::Real;
use crate::compute::real::parts;
use crate::compute::real::parts_mut;
use crate::ml::layers::scan::Cell;
use crate::ml::layers::scan::Step;
use crate::ml::layers::scan::StepBack;

/// Gates i, f, g, o: `c = sigmoid(f) c + sigmoid(i) tanh(g)`, `h = sigmoid(o) tanh(c)`.
pub(super) struct Lstm;

impl Cell for Lstm {
    const NAME: &'static str = "lstm";
    const GATES: usize = 4;
    const STATES: usize = 1;
    /// i, f, g, o, the cell before, the cell's tanh.
    const SAVED: usize = 6;

    fn step<T: Real>(step: Step<'_, T>) {
        let width = step.y.len();
        let [wi, wf, wg, wo] = parts::<4, T>(step.input, width);
        let [ri, rf, rg, ro] = parts::<4, T>(step.recurrent, width);
        let [c] = parts_mut::<1, T>(step.state, width);
        let [i, f, g, o, before, squashed] = parts_mut::<6, T>(step.saved, width);
        for j in 0..width {
            i[j] = (wi[j] + ri[j]).sigmoid();
            f[j] = (wf[j] + rf[j]).sigmoid();
            g[j] = (wg[j] + rg[j]).tanh();
            o[j] = (wo[j] + ro[j]).sigmoid();
        }
        for j in 0..width {
            before[j] = c[j];
            c[j] = f[j] * c[j] + i[j] * g[j];
            squashed[j] = c[j].tanh();
            step.y[j] = o[j] * squashed[j];
        }
    }

    fn back<T: Real>(step: StepBack<'_, T>) {
        let width = step.grad_y.len();
        let [i, f, g, o, before, squashed] = parts::<6, T>(step.saved, width);
        let [grad_c] = parts_mut::<1, T>(step.grad_state, width);
        let [gi, gf, gg, go] = parts_mut::<4, T>(step.grad_input, width);
        let one = T::one();
        for j in 0..width {
            let h = step.grad_y[j];
            let c = grad_c[j] + h * o[j] * (one - squashed[j] * squashed[j]);
            gi[j] = c * g[j] * i[j] * (one - i[j]);
            gf[j] = c * before[j] * f[j] * (one - f[j]);
            gg[j] = c * i[j] * (one - g[j] * g[j]);
            go[j] = h * squashed[j] * o[j] * (one - o[j]);
            grad_c[j] = c * f[j];
        }
        step.grad_recurrent.copy_from_slice(step.grad_input);
    }
}

/// Gates r, z, n: `n = tanh(input_n + sigmoid(r) recurrent_n)`, `h = (1 - sigmoid(z)) n + sigmoid(z) h`.
pub(super) struct Gru;

impl Cell for Gru {
    const NAME: &'static str = "gru";
    const GATES: usize = 3;
    const STATES: usize = 0;
    /// r, z, n, the recurrent part of n.
    const SAVED: usize = 4;

    fn step<T: Real>(step: Step<'_, T>) {
        let width = step.y.len();
        let [wr, wz, wn] = parts::<3, T>(step.input, width);
        let [rr, rz, rn] = parts::<3, T>(step.recurrent, width);
        let [r, z, n, inner] = parts_mut::<4, T>(step.saved, width);
        let before = &step.before[..width];
        for j in 0..width {
            r[j] = (wr[j] + rr[j]).sigmoid();
            z[j] = (wz[j] + rz[j]).sigmoid();
            inner[j] = rn[j];
            n[j] = (wn[j] + r[j] * rn[j]).tanh();
            step.y[j] = n[j] + z[j] * (before[j] - n[j]);
        }
    }

    fn back<T: Real>(step: StepBack<'_, T>) {
        let width = step.grad_y.len();
        let [r, z, n, inner] = parts::<4, T>(step.saved, width);
        let [gr, gz, gn] = parts_mut::<3, T>(step.grad_input, width);
        let [rr, rz, rn] = parts_mut::<3, T>(step.grad_recurrent, width);
        let before = &step.before[..width];
        let one = T::one();
        for j in 0..width {
            let h = step.grad_y[j];
            gn[j] = h * (one - z[j]) * (one - n[j] * n[j]);
            gz[j] = h * (before[j] - n[j]) * z[j] * (one - z[j]);
            gr[j] = gn[j] * inner[j] * r[j] * (one - r[j]);
            (rr[j], rz[j], rn[j]) = (gr[j], gz[j], gn[j] * r[j]);
            step.grad_before[j] = h * z[j];
        }
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Result;
    use candle_core::Tensor;

    use super::*;
    use crate::ml::layers::check;
    use crate::ml::layers::scan::Course;
    use crate::ml::layers::scan::scan;

    /// Both directions, sequences of several lengths, the longest one shorter than the padded one.
    fn course() -> Course {
        Course {
            lengths: vec![4, 1, 3],
            reversed: vec![false, true],
        }
    }

    fn gradients<C: Cell>() -> Result<()> {
        let (width, rows) = (3, C::GATES * 3);
        let input = (check::random(&[3, 5, 2 * rows], 1)? * 2.0)?;
        let recurrent = check::random(&[2, rows, width], 2)?;
        let bias = check::random(&[2, rows], 3)?;
        check::gradients(&[input, recurrent, bias], |t| {
            scan::<C>(&t[0], &t[1], &t[2], course())
        })
    }

    #[test]
    fn gradients_equal_finite_differences() -> Result<()> {
        gradients::<Lstm>()?;
        gradients::<Gru>()
    }

    #[test]
    fn a_long_batch_equals_its_sequences() -> Result<()> {
        // More sequences than are taken at once.
        let input = check::random(&[11, 4, 2 * 12], 1)?;
        let recurrent = check::random(&[2, 12, 3], 2)?;
        let bias = check::random(&[2, 12], 3)?;
        let run = |input: &Tensor, lengths: Vec<usize>| {
            let reversed = vec![false, true];
            scan::<Lstm>(input, &recurrent, &bias, Course { lengths, reversed })
        };
        let lengths: Vec<usize> = (0..11).map(|row| row % 4 + 1).collect();
        let all = run(&input, lengths.clone())?;
        for (row, length) in lengths.into_iter().enumerate() {
            let one = run(&input.narrow(0, row, 1)?, vec![length])?;
            check::assert_close(&all.narrow(0, row, 1)?, &one, 1e-12)?;
        }
        Ok(())
    }

    #[test]
    fn lengths_that_do_not_fit_are_refused() -> Result<()> {
        let input = check::random(&[3, 3, 2 * 12], 1)?;
        let recurrent = check::random(&[2, 12, 3], 2)?;
        let bias = check::random(&[2, 12], 3)?;
        assert!(scan::<Lstm>(&input, &recurrent, &bias, course()).is_err());
        Ok(())
    }
}
