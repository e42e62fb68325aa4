//! The state-space recurrence of Mamba2 over whole sequences as one operation, in chunks.
//!
//! Per head: `h_t = exp(dt_t A) h_{t-1} + dt_t x_t B_t^T`, `y_t = h_t C_t + D x_t`; `B` and `C` are the same for all
//! heads. With `C` as queries, `B` as keys and `dt x` as values that is gated linear attention with decay `dt A`.

use std::marker::PhantomData;

use candle_core::CpuStorage;
use candle_core::CustomOp3;
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
use crate::ml::layers::linear_attention::Gradients;
use crate::ml::layers::linear_attention::Inputs;
use crate::ml::layers::linear_attention::backward;
use crate::ml::layers::linear_attention::forward;

/// Steps of a chunk: states are small, so short chunks do the least work.
const CHUNK: usize = 64;

/// `xbc (batch, seq, inner + 2 * state)` holds x, B, C; `dt (batch, seq, heads)` is positive; `a_and_d (2, heads)` holds
/// A, which is negative, and D. Answers `(batch, seq, inner)`.
pub(super) fn ssd(xbc: &Tensor, dt: &Tensor, a_and_d: &Tensor, state: usize) -> Result<Tensor> {
    let (xbc, dt, a_and_d) = (xbc.contiguous()?, dt.contiguous()?, a_and_d.contiguous()?);
    match xbc.dtype() {
        DType::F64 => xbc.apply_op3(&dt, &a_and_d, Ssd::<f64>::new(state)),
        _ => xbc.apply_op3(&dt, &a_and_d, Ssd::<f32>::new(state)),
    }
}

/// It keeps nothing: the inputs are all that the way back needs.
struct Ssd<T> {
    state: usize,
    float: PhantomData<T>,
}

impl<T> Ssd<T> {
    const fn new(state: usize) -> Self {
        let float = PhantomData;
        Self { state, float }
    }
}

#[derive(Clone, Copy)]
struct Dims {
    batch: usize,
    seq: usize,
    heads: usize,
    /// Channels of a head.
    width: usize,
    state: usize,
}

impl Dims {
    fn of(xbc: &Shape, dt: &Shape, a_and_d: &Shape, state: usize) -> Result<Self> {
        let (batch, seq, all) = xbc.dims3()?;
        let heads = dt.dims3()?.2;
        let inner = all.saturating_sub(2 * state);
        if heads == 0 || !inner.is_multiple_of(heads) || a_and_d.dims2()? != (2, heads) {
            bail!("SSD: {all} channels do not hold x, B and C of {heads} heads")
        }
        Ok(Self {
            batch,
            seq,
            heads,
            width: inner / heads,
            state,
        })
    }

    const fn inner(self) -> usize {
        self.heads * self.width
    }

    const fn all(self) -> usize {
        self.inner() + 2 * self.state
    }

    fn gather<T: Real>(self, xbc: &[T], dt: &[T], a: &[T], task: usize) -> Inputs<T> {
        let (batch, head) = (task / self.heads, task % self.heads);
        let mut x = Inputs {
            q: Vec::with_capacity(self.seq * self.state),
            k: Vec::with_capacity(self.seq * self.state),
            v: Vec::with_capacity(self.seq * self.width),
            log_decay: Vec::with_capacity(self.seq),
            log_input: vec![T::zero(); self.seq],
            dk: self.state,
            dv: self.width,
        };
        for t in 0..self.seq {
            let row = &xbc[(batch * self.seq + t) * self.all()..][..self.all()];
            let dt = dt[(batch * self.seq + t) * self.heads + head];
            x.k.extend_from_slice(&row[self.inner()..][..self.state]);
            x.q.extend_from_slice(&row[self.inner() + self.state..]);
            x.v.extend(
                row[head * self.width..][..self.width]
                    .iter()
                    .map(|&x| x * dt),
            );
            x.log_decay.push(dt * a[head]);
        }
        x
    }
}

/// The values of a head's x in row `t`.
fn x_of<T>(xbc: &[T], dims: Dims, task: usize, t: usize) -> &[T] {
    let (batch, head) = (task / dims.heads, task % dims.heads);
    &xbc[(batch * dims.seq + t) * dims.all() + head * dims.width..][..dims.width]
}

impl<T: Real> CustomOp3 for Ssd<T> {
    fn name(&self) -> &'static str {
        "ssd"
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
        let dims = Dims::of(l1.shape(), l2.shape(), l3.shape(), self.state)?;
        let (xbc, dt) = (contiguous::<T>(s1, l1)?, contiguous::<T>(s2, l2)?);
        let (a, d) = contiguous::<T>(s3, l3)?.split_at(dims.heads);
        let (width, inner) = (dims.width, dims.inner());
        let heads: Vec<Vec<T>> = (0..dims.batch * dims.heads)
            .into_par_iter()
            .map(|task| forward(&dims.gather(xbc, dt, a, task), CHUNK).y)
            .collect();
        let mut out = vec![T::zero(); dims.batch * dims.seq * inner];
        for (task, y) in heads.iter().enumerate() {
            let (batch, head) = (task / dims.heads, task % dims.heads);
            for (t, y) in y.chunks_exact(width).enumerate() {
                let out = &mut out[(batch * dims.seq + t) * inner + head * width..][..width];
                for ((out, &y), &x) in out.iter_mut().zip(y).zip(x_of(xbc, dims, task, t)) {
                    *out = d[head].mul_add(x, y);
                }
            }
        }
        let shape = Shape::from((dims.batch, dims.seq, inner));
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
        let dims = Dims::of(arg1.shape(), arg2.shape(), arg3.shape(), self.state)?;
        let (xbc, dt) = (values::<T>(arg1)?, values::<T>(arg2)?);
        let (a_and_d, grad) = (values::<T>(arg3)?, values::<T>(grad_res)?);
        let (a, d) = a_and_d.split_at(dims.heads);
        let heads: Vec<HeadGradient<T>> = (0..dims.batch * dims.heads)
            .into_par_iter()
            .map(|task| {
                let grad = own_rows(&grad, dims, task);
                let inner = backward(&dims.gather(&xbc, &dt, a, task), &grad, CHUNK);
                HeadGradient { inner, grad }
            })
            .collect();
        let mut out = Sums {
            xbc: vec![T::zero(); xbc.len()],
            dt: vec![T::zero(); dt.len()],
            a_and_d: vec![T::zero(); 2 * dims.heads],
        };
        for (task, gradient) in heads.iter().enumerate() {
            gradient.add_to(&mut out, (&xbc, &dt, a, d), dims, task);
        }
        let device = arg1.device();
        Ok((
            Some(Tensor::from_vec(out.xbc, arg1.shape(), device)?),
            Some(Tensor::from_vec(out.dt, arg2.shape(), device)?),
            Some(Tensor::from_vec(out.a_and_d, arg3.shape(), device)?),
        ))
    }
}

/// A head's rows of `(batch, seq, inner)`.
fn own_rows<T: Real>(values: &[T], dims: Dims, task: usize) -> Vec<T> {
    let (batch, head) = (task / dims.heads, task % dims.heads);
    let mut out = Vec::with_capacity(dims.seq * dims.width);
    for t in 0..dims.seq {
        let at = (batch * dims.seq + t) * dims.inner() + head * dims.width;
        out.extend_from_slice(&values[at..at + dims.width]);
    }
    out
}

struct HeadGradient<T> {
    inner: Gradients<T>,
    /// `(seq, width)`: gradient of the head's output.
    grad: Vec<T>,
}

struct Sums<T> {
    xbc: Vec<T>,
    dt: Vec<T>,
    a_and_d: Vec<T>,
}

impl<T: Real> HeadGradient<T> {
    fn add_to(
        &self,
        out: &mut Sums<T>,
        (xbc, dt, a, d): (&[T], &[T], &[T], &[T]),
        dims: Dims,
        task: usize,
    ) {
        let (batch, head) = (task / dims.heads, task % dims.heads);
        let (width, state, inner) = (dims.width, dims.state, dims.inner());
        for t in 0..dims.seq {
            let row = batch * dims.seq + t;
            let at = row * dims.heads + head;
            let x = x_of(xbc, dims, task, t);
            let own = t * width..(t + 1) * width;
            let (grad_v, grad) = (&self.inner.v[own.clone()], &self.grad[own]);
            let grad_decay = self.inner.log_decay[t];
            out.dt[at] = dot(x, grad_v) + a[head] * grad_decay;
            out.a_and_d[head] += dt[at] * grad_decay;
            out.a_and_d[dims.heads + head] += dot(x, grad);
            let sums = &mut out.xbc[row * dims.all()..][..dims.all()];
            let own = sums[head * width..][..width].iter_mut();
            for ((sum, &v), &g) in own.zip(grad_v).zip(grad) {
                *sum = d[head].mul_add(g, dt[at] * v);
            }
            let (grad_b, grad_c) = sums[inner..].split_at_mut(state);
            let part = t * state..(t + 1) * state;
            for (sum, &value) in grad_b.iter_mut().zip(&self.inner.k[part.clone()]) {
                *sum += value;
            }
            for (sum, &value) in grad_c.iter_mut().zip(&self.inner.q[part]) {
                *sum += value;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;
    use crate::ml::layers::check;

    const STATE: usize = 3;
    const HEADS: usize = 2;
    const WIDTH: usize = 4;

    fn inputs(batch: usize, seq: usize) -> Result<[Tensor; 3]> {
        let xbc = check::random(&[batch, seq, HEADS * WIDTH + 2 * STATE], 1)?;
        let dt = (check::random(&[batch, seq, HEADS], 2)?.abs()? * 0.5)?;
        let a_and_d = Tensor::new(&[[-0.3, -2.0], [1.0, 0.5]], &Device::Cpu)?;
        Ok([xbc, dt, a_and_d])
    }

    /// The recurrence as it is written, step by step.
    fn steps([xbc, dt, a_and_d]: &[Tensor; 3]) -> Result<Vec<f64>> {
        let (batch, seq, all) = xbc.dims3()?;
        let (xbc, dt) = (values::<f64>(xbc)?, values::<f64>(dt)?);
        let a_and_d = values::<f64>(a_and_d)?;
        let mut out = Vec::new();
        for row in 0..batch {
            let mut h = [0.0; HEADS * WIDTH * STATE];
            for t in 0..seq {
                let now = &xbc[(row * seq + t) * all..][..all];
                let (x, bc) = now.split_at(HEADS * WIDTH);
                for (i, &x) in x.iter().enumerate() {
                    let dt = dt[(row * seq + t) * HEADS + i / WIDTH];
                    let decay = (dt * a_and_d[i / WIDTH]).exp();
                    let mut y = a_and_d[HEADS + i / WIDTH] * x;
                    for n in 0..STATE {
                        let h = &mut h[i * STATE + n];
                        *h = decay * *h + dt * x * bc[n];
                        y += *h * bc[STATE + n];
                    }
                    out.push(y);
                }
            }
        }
        Ok(out)
    }

    #[test]
    fn chunks_equal_the_steps() -> Result<()> {
        for seq in [1, 5, CHUNK, 2 * CHUNK + 7] {
            let inputs = inputs(2, seq)?;
            let ours = ssd(&inputs[0], &inputs[1], &inputs[2], STATE)?;
            let theirs = Tensor::from_vec(steps(&inputs)?, ours.shape(), &Device::Cpu)?;
            check::assert_close(&ours, &theirs, 1e-12)?;
        }
        Ok(())
    }

    #[test]
    fn gradients_equal_finite_differences() -> Result<()> {
        check::gradients(&inputs(2, 5)?, |t| ssd(&t[0], &t[1], &t[2], STATE))?;
        // Over the border of a chunk.
        check::gradients(&inputs(1, CHUNK + 3)?, |t| ssd(&t[0], &t[1], &t[2], STATE))
    }
}
