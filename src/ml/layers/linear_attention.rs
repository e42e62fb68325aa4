//! Gated linear attention of one head, forward and back, in chunks.
//!
//! `y_t = sum_{s<=t} exp(F_t - F_s + i_s - M_t) (q_t k_s) v_s` with `F` the running sum of the logarithms of a decay,
//! `i` the logarithms of an input gate, and `M_t` a stabiliser. The memory of mLSTM and the state-space layers of
//! Mamba2 are both of this form.
//!
//! Within a chunk the sum is taken as it stands, by tiles of rows; what lies before the chunk comes in through a state
//! of `dk x dv` values. One chunk as long as the sequence is the parallel form, short ones the chunkwise form: what is
//! kept between forward and back is the inputs alone, and the work grows with the length, not with its square.
//!
//! **Source** the chunkwise forms of T. Dao, A. Gu, arXiv 2405.21060, section 6, and M. Beck et al., arXiv 2405.04517,
//! appendix A, derived anew with one stabiliser for both.

use crate::compute::kernels::Hands;
use crate::compute::kernels::Mat;
use crate::compute::kernels::Put;
use crate::compute::kernels::product;
use crate::compute::real::Real;
use crate::compute::real::dot;

/// Rows of a tile.
const TILE: usize = 64;

/// One head of one sequence.
#[derive(Debug)]
pub(crate) struct Inputs<T> {
    /// `(seq, dk)`.
    pub(crate) q: Vec<T>,
    /// `(seq, dk)`.
    pub(crate) k: Vec<T>,
    /// `(seq, dv)`.
    pub(crate) v: Vec<T>,
    /// Logarithm of the decay of every step.
    pub(crate) log_decay: Vec<T>,
    /// Logarithm of the input gate of every step.
    pub(crate) log_input: Vec<T>,
    /// Width of queries and keys.
    pub(crate) dk: usize,
    /// Width of values.
    pub(crate) dv: usize,
}

/// What comes out.
#[derive(Debug)]
pub(crate) struct Outputs<T> {
    /// `(seq, dv)`, divided by `exp(M_t)`.
    pub(crate) y: Vec<T>,
    /// `M_t`: the largest exponent of each step.
    pub(crate) m: Vec<T>,
}

/// Gradients of [`Inputs`].
#[derive(Debug)]
pub(crate) struct Gradients<T> {
    /// `(seq, dk)`.
    pub(crate) q: Vec<T>,
    /// `(seq, dk)`.
    pub(crate) k: Vec<T>,
    /// `(seq, dv)`.
    pub(crate) v: Vec<T>,
    /// By step.
    pub(crate) log_decay: Vec<T>,
    /// By step.
    pub(crate) log_input: Vec<T>,
}

/// What a chunk knows of those before it: `sum k v^T`, divided by `exp(m)`.
struct State<T> {
    memory: Vec<T>,
    m: T,
}

/// A part of the sequence with its exponents, counted from its own start.
struct Chunk<T> {
    start: usize,
    len: usize,
    /// Running sum of the logarithms of the decay, the chunk's own.
    sum: Vec<T>,
    /// `i_s - sum_s`: the exponent of `s` at `t` is this plus `sum_t`.
    own: Vec<T>,
    /// `M_t - sum_t`: the largest of the above up to `t`, and of the state's.
    top: Vec<T>,
}

impl<T: Real> Chunk<T> {
    fn new(x: &Inputs<T>, start: usize, len: usize, state: Option<&State<T>>) -> Self {
        let (mut sum, mut own, mut top) = (Vec::new(), Vec::new(), Vec::new());
        let mut total = T::zero();
        let mut largest = state.map(|state| state.m);
        for t in start..start + len {
            total += x.log_decay[t];
            let exponent = x.log_input[t] - total;
            let now = largest.map_or(exponent, |largest| largest.at_least(exponent));
            largest = Some(now);
            sum.push(total);
            own.push(exponent);
            top.push(now);
        }
        Self {
            start,
            len,
            sum,
            own,
            top,
        }
    }

    fn last_top(&self) -> T {
        self.top.last().copied().unwrap_or_else(T::zero)
    }

    /// What a row takes of the state.
    fn share_of_state(&self, row: usize, state: &State<T>) -> T {
        (state.m - self.top[row]).exp()
    }

    /// What goes on into the next state, of the state and of each row.
    fn handed_on(&self, row: usize) -> T {
        (self.own[row] - self.last_top()).exp()
    }

    fn state_kept(&self, state: &State<T>) -> T {
        (state.m - self.last_top()).exp()
    }

    /// Rows `first..end` of the weights `exp(own_s - top_t)` over `s < end`; 0 behind the diagonal.
    fn weights(&self, first: usize, end: usize, out: &mut [T]) {
        for (row, out) in (first..end).zip(out.chunks_exact_mut(end)) {
            let top = self.top[row];
            let (seen, unseen) = out.split_at_mut(row + 1);
            for (out, &own) in seen.iter_mut().zip(&self.own) {
                *out = (own - top).exp();
            }
            unseen.fill(T::zero());
        }
    }

    fn rows<'a>(&self, values: &'a [T], width: usize) -> &'a [T] {
        &values[self.start * width..][..self.len * width]
    }
}

fn chunks(
    seq: usize,
    len: usize,
) -> impl DoubleEndedIterator<Item = (usize, usize)> + ExactSizeIterator {
    let len = len.max(1);
    (0..seq.div_ceil(len)).map(move |i| (i * len, len.min(seq - i * len)))
}

/// Rows scaled one by one.
fn scaled<T: Real>(rows: &[T], width: usize, by: impl Fn(usize) -> T) -> Vec<T> {
    let mut out = rows.to_vec();
    for (row, values) in out.chunks_exact_mut(width).enumerate() {
        let factor = by(row);
        for value in values {
            *value *= factor;
        }
    }
    out
}

/// `out (m, n) += lhs (m, k) rhs (k, n)` on the calling thread.
fn add<T: Real>(out: &mut [T], lhs: Mat<'_, T>, rhs: Mat<'_, T>, shape: [usize; 3]) {
    product(
        (out, shape[2], Put::Add),
        (lhs, rhs),
        shape,
        T::one(),
        Hands::One,
    );
}

/// The same in place of what stands there.
fn set<T: Real>(out: &mut [T], lhs: Mat<'_, T>, rhs: Mat<'_, T>, shape: [usize; 3]) {
    product(
        (out, shape[2], Put::Set),
        (lhs, rhs),
        shape,
        T::one(),
        Hands::One,
    );
}

/// Forward in chunks of `chunk_len` steps.
pub(crate) fn forward<T: Real>(x: &Inputs<T>, chunk_len: usize) -> Outputs<T> {
    let seq = x.log_decay.len();
    let mut out = Outputs {
        y: vec![T::zero(); seq * x.dv],
        m: Vec::with_capacity(seq),
    };
    let mut state: Option<State<T>> = None;
    let mut scores = Vec::new();
    for (start, len) in chunks(seq, chunk_len) {
        let chunk = Chunk::new(x, start, len, state.as_ref());
        out.m.extend(
            chunk
                .sum
                .iter()
                .zip(&chunk.top)
                .map(|(&sum, &top)| sum + top),
        );
        let y = &mut out.y[start * x.dv..][..len * x.dv];
        within(x, &chunk, y, &mut scores);
        if let Some(state) = &state {
            let q = scaled(chunk.rows(&x.q, x.dk), x.dk, |row| {
                chunk.share_of_state(row, state)
            });
            let memory = Mat::rows(&state.memory, x.dv);
            add(y, Mat::rows(&q, x.dk), memory, [len, x.dk, x.dv]);
        }
        if start + len < seq {
            state = Some(next_state(x, &chunk, state));
        }
    }
    out
}

/// The chunk's own share of its outputs.
fn within<T: Real>(x: &Inputs<T>, chunk: &Chunk<T>, y: &mut [T], scratch: &mut Vec<T>) {
    let (dk, dv) = (x.dk, x.dv);
    let (q, k, v) = (
        chunk.rows(&x.q, dk),
        chunk.rows(&x.k, dk),
        chunk.rows(&x.v, dv),
    );
    for first in (0..chunk.len).step_by(TILE) {
        let end = (first + TILE).min(chunk.len);
        let rows = end - first;
        scratch.clear();
        scratch.resize(2 * rows * end, T::zero());
        let (scores, weights) = scratch.split_at_mut(rows * end);
        let tile = Mat::rows(&q[first * dk..], dk);
        set(scores, tile, Mat::rows(k, dk).t(), [rows, dk, end]);
        chunk.weights(first, end, weights);
        for (score, &weight) in scores.iter_mut().zip(weights.iter()) {
            *score *= weight;
        }
        let out = &mut y[first * dv..][..rows * dv];
        set(
            out,
            Mat::rows(scores, end),
            Mat::rows(v, dv),
            [rows, end, dv],
        );
    }
}

fn next_state<T: Real>(x: &Inputs<T>, chunk: &Chunk<T>, state: Option<State<T>>) -> State<T> {
    let (dk, dv, len) = (x.dk, x.dv, chunk.len);
    let mut memory = match state {
        Some(state) => {
            let kept = chunk.state_kept(&state);
            let mut memory = state.memory;
            for value in &mut memory {
                *value *= kept;
            }
            memory
        }
        None => vec![T::zero(); dk * dv],
    };
    let k = scaled(chunk.rows(&x.k, dk), dk, |row| chunk.handed_on(row));
    let v = Mat::rows(chunk.rows(&x.v, dv), dv);
    add(&mut memory, Mat::rows(&k, dk).t(), v, [dk, len, dv]);
    let total = chunk.sum.last().copied().unwrap_or_else(T::zero);
    State {
        memory,
        m: total + chunk.last_top(),
    }
}

/// Back in the same chunks from the gradient `(seq, dv)` of `y`. Stabilisers are constants: whoever divides by what
/// they scale alike makes them cancel.
pub(crate) fn backward<T: Real>(x: &Inputs<T>, grad_y: &[T], chunk_len: usize) -> Gradients<T> {
    let seq = x.log_decay.len();
    let mut grads = Gradients {
        q: vec![T::zero(); seq * x.dk],
        k: vec![T::zero(); seq * x.dk],
        v: vec![T::zero(); seq * x.dv],
        log_decay: vec![T::zero(); seq],
        log_input: vec![T::zero(); seq],
    };
    // States are computed anew rather than kept, so that memory stays linear in the length.
    let mut states: Vec<Option<State<T>>> = vec![None];
    for (start, len) in chunks(seq, chunk_len).filter(|(start, len)| start + len < seq) {
        let before = states.last().and_then(Option::as_ref);
        let chunk = Chunk::new(x, start, len, before);
        let copy = before.map(|state| State {
            memory: state.memory.clone(),
            m: state.m,
        });
        states.push(Some(next_state(x, &chunk, copy)));
    }
    let mut grad_memory: Option<Vec<T>> = None;
    let mut scratch = Vec::new();
    for ((start, len), state) in chunks(seq, chunk_len).zip(states).rev() {
        let chunk = Chunk::new(x, start, len, state.as_ref());
        let mut sums = vec![T::zero(); len];
        back_within(x, &chunk, grad_y, &mut grads, &mut sums, &mut scratch);
        if let Some(grad_memory) = &grad_memory {
            back_into_state(x, &chunk, grad_memory, &mut grads, &mut sums);
        }
        grad_memory = state.map(|state| {
            let later = grad_memory.take();
            back_from_state(x, (&chunk, &state), later, grad_y, &mut grads, &mut sums)
        });
        let mut later = T::zero();
        for (out, &sum) in grads.log_decay[start..start + len]
            .iter_mut()
            .zip(&sums)
            .rev()
        {
            later += sum;
            *out = later;
        }
    }
    grads
}

/// Through the rows' own products; `sums` gathers the gradient of the running sums.
fn back_within<T: Real>(
    x: &Inputs<T>,
    chunk: &Chunk<T>,
    grad_y: &[T],
    grads: &mut Gradients<T>,
    sums: &mut [T],
    scratch: &mut Vec<T>,
) {
    let (dk, dv, start) = (x.dk, x.dv, chunk.start);
    let (q, k, v) = (
        chunk.rows(&x.q, dk),
        chunk.rows(&x.k, dk),
        chunk.rows(&x.v, dv),
    );
    let grad_y = chunk.rows(grad_y, dv);
    for first in (0..chunk.len).step_by(TILE) {
        let end = (first + TILE).min(chunk.len);
        let rows = end - first;
        scratch.clear();
        scratch.resize(3 * rows * end, T::zero());
        let (scores, rest) = scratch.split_at_mut(rows * end);
        let (weights, grad) = rest.split_at_mut(rows * end);
        let tile = Mat::rows(&q[first * dk..], dk);
        let grad_tile = Mat::rows(&grad_y[first * dv..], dv);
        set(scores, tile, Mat::rows(k, dk).t(), [rows, dk, end]);
        set(grad, grad_tile, Mat::rows(v, dv).t(), [rows, dv, end]);
        chunk.weights(first, end, weights);
        let log_input = &mut grads.log_input[start..start + chunk.len];
        for (row, t) in (first..end).enumerate() {
            let range = row * end..row * end + t + 1;
            let (scores, grad) = (&mut scores[range.clone()], &mut grad[range.clone()]);
            let mut total = T::zero();
            let columns = sums.iter_mut().zip(log_input.iter_mut());
            let cells = scores.iter_mut().zip(grad).zip(&weights[range]);
            for (((score, grad), &weight), (sum, input)) in cells.zip(columns) {
                *score *= weight;
                let change = *grad * *score;
                *grad *= weight;
                total += change;
                *sum -= change;
                *input += change;
            }
            sums[t] += total;
        }
        // Behind the diagonal nothing was seen.
        for (row, t) in (first..end).enumerate() {
            scores[row * end + t + 1..(row + 1) * end].fill(T::zero());
            grad[row * end + t + 1..(row + 1) * end].fill(T::zero());
        }
        let (a, g) = (&*scores, &*grad);
        let grad_q = &mut grads.q[(start + first) * dk..][..rows * dk];
        add(grad_q, Mat::rows(g, end), Mat::rows(k, dk), [rows, end, dk]);
        add(
            &mut grads.k[start * dk..],
            Mat::rows(g, end).t(),
            tile,
            [end, rows, dk],
        );
        add(
            &mut grads.v[start * dv..],
            Mat::rows(a, end).t(),
            grad_tile,
            [end, rows, dv],
        );
    }
}

/// Through what the chunk hands on to the next.
fn back_into_state<T: Real>(
    x: &Inputs<T>,
    chunk: &Chunk<T>,
    grad_memory: &[T],
    grads: &mut Gradients<T>,
    sums: &mut [T],
) {
    let (dk, dv, len, start) = (x.dk, x.dv, chunk.len, chunk.start);
    let v = chunk.rows(&x.v, dv);
    let mut grad_k = vec![T::zero(); len * dk];
    let memory = Mat::rows(grad_memory, dv).t();
    set(&mut grad_k, Mat::rows(v, dv), memory, [len, dv, dk]);
    let grad_k = scaled(&grad_k, dk, |row| chunk.handed_on(row));
    let k = chunk.rows(&x.k, dk);
    let mut all = T::zero();
    for (row, sum) in sums.iter_mut().enumerate() {
        let range = row * dk..(row + 1) * dk;
        let change = dot(&k[range.clone()], &grad_k[range.clone()]);
        all += change;
        *sum -= change;
        grads.log_input[start + row] += change;
        for (out, &value) in grads.k[start * dk..][range.clone()]
            .iter_mut()
            .zip(&grad_k[range])
        {
            *out += value;
        }
    }
    if let Some(last) = sums.last_mut() {
        *last += all;
    }
    let k = scaled(k, dk, |row| chunk.handed_on(row));
    let memory = Mat::rows(grad_memory, dv);
    add(
        &mut grads.v[start * dv..],
        Mat::rows(&k, dk),
        memory,
        [len, dk, dv],
    );
}

/// Through what the chunk took of the state; answers the state's gradient.
fn back_from_state<T: Real>(
    x: &Inputs<T>,
    (chunk, state): (&Chunk<T>, &State<T>),
    later: Option<Vec<T>>,
    grad_y: &[T],
    grads: &mut Gradients<T>,
    sums: &mut [T],
) -> Vec<T> {
    let (dk, dv, len, start) = (x.dk, x.dv, chunk.len, chunk.start);
    let grad_y = chunk.rows(grad_y, dv);
    let q = chunk.rows(&x.q, dk);
    let mut grad_q = vec![T::zero(); len * dk];
    let memory = Mat::rows(&state.memory, dv).t();
    set(&mut grad_q, Mat::rows(grad_y, dv), memory, [len, dv, dk]);
    let grad_q = scaled(&grad_q, dk, |row| chunk.share_of_state(row, state));
    for (row, sum) in sums.iter_mut().enumerate() {
        let range = row * dk..(row + 1) * dk;
        *sum += dot(&q[range.clone()], &grad_q[range.clone()]);
        for (out, &value) in grads.q[start * dk..][range.clone()]
            .iter_mut()
            .zip(&grad_q[range])
        {
            *out += value;
        }
    }
    let mut grad_memory = match later {
        Some(mut later) => {
            let kept = chunk.state_kept(state);
            let through = dot(&later, &state.memory) * kept;
            if let Some(last) = sums.last_mut() {
                *last += through;
            }
            for value in &mut later {
                *value *= kept;
            }
            later
        }
        None => vec![T::zero(); dk * dv],
    };
    let q = scaled(q, dk, |row| chunk.share_of_state(row, state));
    let rows = Mat::rows(grad_y, dv);
    add(&mut grad_memory, Mat::rows(&q, dk).t(), rows, [dk, len, dv]);
    grad_memory
}
