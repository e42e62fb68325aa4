//! Recurrences over whole sequences as one operation: at every step a cell sees its input and a product with its own
//! output of the step before.
//!
//! Several heads run side by side, each with its own recurrent weights; a head may run from the last token to the
//! first. Sequences of a batch have lengths of their own: a reversed head begins at each sequence's own last token, and
//! padding is neither read nor written (its outputs are 0). Sequences are taken in groups, so that the recurrent
//! weights are read once a step for all of a group.

use std::marker::PhantomData;
use std::sync::OnceLock;

use candle_core::CpuStorage;
use candle_core::CustomOp3;
use candle_core::DType;
use candle_core::Layout;
use candle_core::Result;
use candle_core::Shape;
use candle_core::Tensor;
use candle_core::bail;
use rayon::prelude::*;

use super::panels::Panels;
use super::panels::ROWS;
use crate::compute::kernels::Hands;
use crate::compute::kernels::Mat;
use crate::compute::kernels::Put;
use crate::compute::kernels::product;
use crate::compute::real::Real;
use crate::compute::real::contiguous;
use crate::compute::real::values;

/// One step of one head of one sequence, forward.
pub(crate) struct Step<'a, T> {
    /// Whether it is the sequence's first.
    pub(crate) is_first: bool,
    /// `(gates, width)`: what the gates take from the input.
    pub(crate) input: &'a [T],
    /// `(gates, width)`: what they take from the output of the step before, with the recurrent bias.
    pub(crate) recurrent: &'a [T],
    /// `(width)`: the output of the step before, zeros at first.
    pub(crate) before: &'a [T],
    /// `(states, width)`: what the cell keeps beside its output, zeros at first.
    pub(crate) state: &'a mut [T],
    /// `(saved, width)`: what the way back needs.
    pub(crate) saved: &'a mut [T],
    /// `(width)`: the output.
    pub(crate) y: &'a mut [T],
}

/// The same step on the way back.
pub(crate) struct StepBack<'a, T> {
    /// `(saved, width)` of this step.
    pub(crate) saved: &'a [T],
    /// `(saved, width)` of the step before, zeros at first.
    pub(crate) saved_before: &'a [T],
    /// `(width)`: the output of the step before, zeros at first.
    pub(crate) before: &'a [T],
    /// `(width)`: gradient of the output.
    pub(crate) grad_y: &'a [T],
    /// `(states, width)`: gradient of the state after this step, to be replaced by that of the state before it.
    pub(crate) grad_state: &'a mut [T],
    /// `(gates, width)`: to be set.
    pub(crate) grad_input: &'a mut [T],
    /// `(gates, width)`: to be set.
    pub(crate) grad_recurrent: &'a mut [T],
    /// `(width)`: gradient of the output before on ways that pass by the recurrent weights, to be set.
    pub(crate) grad_before: &'a mut [T],
}

/// What happens within a step.
pub(crate) trait Cell: Send + Sync + 'static {
    /// Name of the operation.
    const NAME: &'static str;
    /// Gates, each with `width` values and `width` rows of recurrent weights.
    const GATES: usize;
    /// Rows of state beside the output.
    const STATES: usize;
    /// Rows that the way back needs.
    const SAVED: usize;

    /// Forward.
    fn step<T: Real>(step: Step<'_, T>);
    /// Back.
    fn back<T: Real>(step: StepBack<'_, T>);
}

/// Which steps there are.
#[derive(Debug, Clone)]
pub(crate) struct Course {
    /// Length of each sequence of the batch.
    pub(crate) lengths: Vec<usize>,
    /// For each head whether it runs from the last token to the first.
    pub(crate) reversed: Vec<bool>,
}

/// Runs the cell over whole sequences.
///
/// `input (batch, seq, gates * heads * width)` with the gates outermost, `recurrent (heads, gates * width, width)`,
/// `bias (heads, gates * width)` is added to every product with `recurrent`. Answers `(batch, seq, heads * width)`.
pub(crate) fn scan<C: Cell>(
    input: &Tensor,
    recurrent: &Tensor,
    bias: &Tensor,
    course: Course,
) -> Result<Tensor> {
    let (input, recurrent) = (input.contiguous()?, recurrent.contiguous()?);
    let bias = bias.contiguous()?;
    match input.dtype() {
        DType::F64 => input.apply_op3(&recurrent, &bias, Scan::<f64, C>::new(course)),
        _ => input.apply_op3(&recurrent, &bias, Scan::<f32, C>::new(course)),
    }
}

/// The operation; it keeps what its own forward pass computed, by head and group of sequences.
struct Scan<T, C> {
    course: Course,
    traces: OnceLock<Vec<Trace<T>>>,
    cell: PhantomData<C>,
}

/// One head of one group: `(steps, rows, saved, width)` and `(steps, rows, width)`.
struct Trace<T> {
    saved: Vec<T>,
    y: Vec<T>,
}

/// One head of up to `ROWS` sequences.
#[derive(Clone, Copy)]
struct Task<'a> {
    head: usize,
    is_reversed: bool,
    first: usize,
    lengths: &'a [usize],
    dims: Dims,
}

#[derive(Clone, Copy)]
struct Dims {
    seq: usize,
    heads: usize,
    width: usize,
}

impl Task<'_> {
    const fn rows(&self) -> usize {
        self.lengths.len()
    }

    fn steps(&self) -> usize {
        self.lengths.iter().copied().max().unwrap_or(0)
    }

    /// Position of a row's step in its sequence; `None` once it has ended.
    fn time(&self, row: usize, step: usize) -> Option<usize> {
        let length = self.lengths[row];
        (step < length).then(|| {
            if self.is_reversed {
                length - 1 - step
            } else {
                step
            }
        })
    }

    /// Where gate `gate` of a row begins in the input.
    const fn gate(&self, row: usize, time: usize, gates: usize, gate: usize) -> usize {
        let Dims { seq, heads, width } = self.dims;
        ((((self.first + row) * seq + time) * gates + gate) * heads + self.head) * width
    }

    /// Where a row's output begins.
    const fn out(&self, row: usize, time: usize) -> usize {
        let Dims { seq, heads, width } = self.dims;
        (((self.first + row) * seq + time) * heads + self.head) * width
    }
}

impl<T: Real, C: Cell> Scan<T, C> {
    const fn new(course: Course) -> Self {
        Self {
            course,
            traces: OnceLock::new(),
            cell: PhantomData,
        }
    }

    fn dims(&self, input: &Shape, recurrent: &Shape, bias: &Shape) -> Result<Dims> {
        let (batch, seq, all) = input.dims3()?;
        let (heads, rows, width) = recurrent.dims3()?;
        let fits = rows == C::GATES * width
            && all == C::GATES * heads * width
            && bias.dims2()? == (heads, rows);
        if !fits {
            bail!(
                "{}: inputs of width {all} do not fit {heads} heads of {rows} x {width}",
                C::NAME
            )
        }
        let Course { lengths, reversed } = &self.course;
        if lengths.len() != batch || reversed.len() != heads || lengths.iter().any(|&l| l > seq) {
            bail!(
                "{}: lengths or directions do not fit {batch} sequences of {seq}",
                C::NAME
            )
        }
        Ok(Dims { seq, heads, width })
    }

    fn tasks(&self, dims: Dims) -> Vec<Task<'_>> {
        let mut tasks = Vec::new();
        for (head, &is_reversed) in self.course.reversed.iter().enumerate() {
            for (group, lengths) in self.course.lengths.chunks(ROWS).enumerate() {
                tasks.push(Task {
                    head,
                    is_reversed,
                    first: group * ROWS,
                    lengths,
                    dims,
                });
            }
        }
        tasks
    }
}

impl<T: Real, C: Cell> CustomOp3 for Scan<T, C> {
    fn name(&self) -> &'static str {
        C::NAME
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
        s3: &CpuStorage,
        l3: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let dims = self.dims(l1.shape(), l2.shape(), l3.shape())?;
        let Dims { seq, heads, width } = dims;
        let (input, recurrent) = (contiguous::<T>(s1, l1)?, contiguous::<T>(s2, l2)?);
        let bias = contiguous::<T>(s3, l3)?;
        let block = C::GATES * width;
        let panels: Vec<Panels<T>> = (0..heads)
            .map(|head| {
                let weights = &recurrent[head * block * width..][..block * width];
                Panels::pack(width, block, |i, gate| weights[gate * width + i])
            })
            .collect();
        let tasks = self.tasks(dims);
        let traces: Vec<Trace<T>> = tasks
            .par_iter()
            .map(|task| {
                let bias = &bias[task.head * block..][..block];
                forward::<T, C>(*task, input, &panels[task.head], bias)
            })
            .collect();
        let mut out = vec![T::zero(); self.course.lengths.len() * seq * heads * width];
        for (task, trace) in tasks.iter().zip(&traces) {
            for (at, y) in trace.y.chunks_exact(width.max(1)).enumerate() {
                if let Some(time) = task.time(at % task.rows(), at / task.rows()) {
                    out[task.out(at % task.rows(), time)..][..width].copy_from_slice(y);
                }
            }
        }
        // A second forward of the same operation cannot happen; if it did, the first trace would stay.
        self.traces.get_or_init(|| traces);
        let shape = Shape::from((self.course.lengths.len(), seq, heads * width));
        Ok((T::to_cpu_storage_owned(out), shape))
    }

    fn bwd(
        &self,
        arg1: &Tensor,
        arg2: &Tensor,
        arg3: &Tensor,
        _res: &Tensor,
        grad_res: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let dims = self.dims(arg1.shape(), arg2.shape(), arg3.shape())?;
        let Some(traces) = self.traces.get() else {
            bail!("{}: backward before forward", C::NAME)
        };
        let (recurrent, grad) = (values::<T>(arg2)?, values::<T>(grad_res)?);
        let (width, block) = (dims.width, C::GATES * dims.width);
        let panels: Vec<Panels<T>> = recurrent
            .chunks_exact((block * width).max(1))
            .map(|weights| Panels::pack(block, width, |gate, i| weights[gate * width + i]))
            .collect();
        let tasks = self.tasks(dims);
        let grads: Vec<TaskGradient<T>> = tasks
            .par_iter()
            .zip(traces)
            .map(|(task, trace)| backward::<T, C>(*task, trace, &panels[task.head], &grad))
            .collect();
        let mut grad_input = vec![T::zero(); arg1.elem_count()];
        let mut grad_recurrent = vec![T::zero(); recurrent.len()];
        let mut grad_bias = vec![T::zero(); dims.heads * block];
        for (task, gradient) in tasks.iter().zip(grads) {
            for (at, row) in gradient.input.chunks_exact(block.max(1)).enumerate() {
                let (row_idx, step) = (at % task.rows(), at / task.rows());
                if let Some(time) = task.time(row_idx, step) {
                    for (gate, values) in row.chunks_exact(width).enumerate() {
                        let at = task.gate(row_idx, time, C::GATES, gate);
                        grad_input[at..at + width].copy_from_slice(values);
                    }
                }
            }
            add(
                &mut grad_recurrent[task.head * block * width..],
                &gradient.weights,
            );
            add(&mut grad_bias[task.head * block..], &gradient.bias);
        }
        let device = arg1.device();
        Ok((
            Some(Tensor::from_vec(grad_input, arg1.shape(), device)?),
            Some(Tensor::from_vec(grad_recurrent, arg2.shape(), device)?),
            Some(Tensor::from_vec(grad_bias, arg3.shape(), device)?),
        ))
    }
}

fn add<T: Real>(out: &mut [T], values: &[T]) {
    for (out, &value) in out.iter_mut().zip(values) {
        *out += value;
    }
}

fn forward<T: Real, C: Cell>(
    task: Task<'_>,
    input: &[T],
    panels: &Panels<T>,
    bias: &[T],
) -> Trace<T> {
    let (rows, width) = (task.rows(), task.dims.width);
    let block = C::GATES * width;
    let mut trace = Trace {
        saved: vec![T::zero(); task.steps() * rows * C::SAVED * width],
        y: vec![T::zero(); task.steps() * rows * width],
    };
    let mut state = vec![T::zero(); rows * C::STATES * width];
    let mut before = vec![T::zero(); rows * width];
    let mut product = vec![T::zero(); rows * block];
    let mut gates = vec![T::zero(); block];
    for step in 0..task.steps() {
        for row in product.chunks_exact_mut(block) {
            row.copy_from_slice(bias);
        }
        if step > 0 {
            before.copy_from_slice(&trace.y[(step - 1) * rows * width..][..rows * width]);
            panels.add_product(&before, &mut product, rows);
        }
        for row in 0..rows {
            let Some(time) = task.time(row, step) else {
                continue;
            };
            for (gate, out) in gates.chunks_exact_mut(width).enumerate() {
                out.copy_from_slice(&input[task.gate(row, time, C::GATES, gate)..][..width]);
            }
            let at = step * rows + row;
            C::step(Step {
                is_first: step == 0,
                input: &gates,
                recurrent: &product[row * block..][..block],
                before: &before[row * width..][..width],
                state: &mut state[row * C::STATES * width..][..C::STATES * width],
                saved: &mut trace.saved[at * C::SAVED * width..][..C::SAVED * width],
                y: &mut trace.y[at * width..][..width],
            });
        }
    }
    trace
}

struct TaskGradient<T> {
    /// `(steps, rows, gates, width)`.
    input: Vec<T>,
    weights: Vec<T>,
    bias: Vec<T>,
}

fn backward<T: Real, C: Cell>(
    task: Task<'_>,
    trace: &Trace<T>,
    panels: &Panels<T>,
    grad: &[T],
) -> TaskGradient<T> {
    let (rows, steps, width) = (task.rows(), task.steps(), task.dims.width);
    let (block, saved) = (C::GATES * width, C::SAVED * width);
    let mut grad_input = vec![T::zero(); steps * rows * block];
    let mut grad_recurrent = vec![T::zero(); steps * rows * block];
    let mut grad_state = vec![T::zero(); rows * C::STATES * width];
    let mut grad_y = vec![T::zero(); rows * width];
    let zeros = vec![T::zero(); saved.max(width)];
    for step in (0..steps).rev() {
        let mut grad_before = vec![T::zero(); rows * width];
        for row in 0..rows {
            let Some(time) = task.time(row, step) else {
                continue;
            };
            let grad_y = &mut grad_y[row * width..][..width];
            add(grad_y, &grad[task.out(row, time)..][..width]);
            let at = step * rows + row;
            let earlier = at.checked_sub(rows);
            C::back(StepBack {
                saved: &trace.saved[at * saved..][..saved],
                saved_before: earlier
                    .map_or(&zeros[..saved], |at| &trace.saved[at * saved..][..saved]),
                before: earlier.map_or(&zeros[..width], |at| &trace.y[at * width..][..width]),
                grad_y,
                grad_state: &mut grad_state[row * C::STATES * width..][..C::STATES * width],
                grad_input: &mut grad_input[at * block..][..block],
                grad_recurrent: &mut grad_recurrent[at * block..][..block],
                grad_before: &mut grad_before[row * width..][..width],
            });
        }
        let now = &grad_recurrent[step * rows * block..][..rows * block];
        panels.add_product(now, &mut grad_before, rows);
        grad_y = grad_before;
    }
    let mut bias = vec![T::zero(); block];
    for row in grad_recurrent.chunks_exact(block.max(1)) {
        add(&mut bias, row);
    }
    // Every step but the first read the output of the one before: one product for all of them.
    let inner = steps.saturating_sub(1) * rows;
    let mut weights = vec![T::zero(); block * width];
    if inner > 0 {
        let operands = (
            Mat::rows(&grad_recurrent[rows * block..], block).t(),
            Mat::rows(&trace.y, width),
        );
        let out = (&mut weights[..], width, Put::Set);
        product(out, operands, [block, inner, width], T::one(), Hands::One);
    }
    TaskGradient {
        input: grad_input,
        weights,
        bias,
    }
}
