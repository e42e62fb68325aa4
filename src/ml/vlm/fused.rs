//! candle's fused operations with a way back, for devices and types that have no kernels of ours.
//!
//! Gradients are computed in single precision whatever the type of the operands (double where they are double), and
//! rounded once. Sums over rows are products with a row of ones: a reduction along rows is what a GPU does badly, and a
//! half type's product is added up in single precision.

use candle_core::{D, DType, Result, Tensor};
use candle_nn::ops;

use super::known::known;
use crate::compute::gpu;
use crate::ml::heads::dropout::{Dropout, limit_and_factor};

/// The type that gradients of operands of a type are computed in.
const fn wide(dtype: DType) -> DType {
    match dtype {
        DType::F64 => DType::F64,
        _ => DType::F32,
    }
}

fn widened(x: &Tensor) -> Result<Tensor> {
    x.detach().to_dtype(wide(x.dtype()))
}

/// Sum of the rows of `x (.., width)`: `(width)`.
fn sum_of_rows(x: &Tensor) -> Result<Tensor> {
    let width = x.dim(D::Minus1)?;
    let rows = x.elem_count() / width.max(1);
    let ones = Tensor::ones((1, rows), x.dtype(), x.device())?;
    ones.matmul(&x.reshape((rows, width))?)?.squeeze(0)
}

fn mean(x: &Tensor) -> Result<Tensor> {
    x.mean_keepdim(D::Minus1)
}

/// Softmax over the last dimension.
pub(super) fn softmax(x: &Tensor) -> Result<Tensor> {
    let out = ops::softmax_last_dim(&x.detach().contiguous()?)?;
    let dtype = x.dtype();
    known([x], out, move |out, grad| {
        if let Some(grad) = gpu::softmax_back(out, grad) {
            return Ok([Some(grad?)]);
        }
        let [out, grad] = [widened(out)?, widened(grad)?];
        let along = (&out * &grad)?.sum_keepdim(D::Minus1)?;
        let grad = (grad.broadcast_sub(&along)? * out)?;
        Ok([Some(grad.to_dtype(dtype)?)])
    })
}

/// The same of attention scores `(.., seq, keys)`, in which a token sees itself and what is before it; `None` where there is
/// no kernel for it.
pub(super) fn softmax_causal(scores: &Tensor, seq: usize) -> Option<Result<Tensor>> {
    let out = gpu::softmax_causal(&scores.detach(), seq)?;
    let back = |out: &Tensor, grad: &Tensor| Ok([gpu::softmax_back(out, grad).transpose()?]);
    Some(out.and_then(|out| known([scores], out, back)))
}

/// What a norm over the last dimension makes of its operand before it is scaled, and the way back through that.
struct Normed {
    /// `(x - mean) / deviation`; the mean is left out where the norm leaves it out.
    values: Tensor,
    /// `1 / deviation`, `(.., 1)`.
    scale: Tensor,
    is_centred: bool,
}

impl Normed {
    fn of(x: &Tensor, eps: f64, is_centred: bool) -> Result<Self> {
        let mut x = widened(x)?;
        if is_centred {
            x = x.broadcast_sub(&mean(&x)?)?;
        }
        let scale = (mean(&x.sqr()?)? + eps)?.sqrt()?.recip()?;
        Ok(Self {
            values: x.broadcast_mul(&scale)?,
            scale,
            is_centred,
        })
    }

    /// From the gradient of the values to that of the operand.
    fn back(&self, grad: &Tensor) -> Result<Tensor> {
        let along = mean(&(grad * &self.values)?)?;
        let mut moved = (grad - self.values.broadcast_mul(&along)?)?;
        if self.is_centred {
            moved = moved.broadcast_sub(&mean(grad)?)?;
        }
        moved.broadcast_mul(&self.scale)
    }
}

/// Root-mean-square norm over the last dimension.
pub(super) fn rms_norm(x: &Tensor, weight: &Tensor, eps: f64) -> Result<Tensor> {
    let [x_in, weight_in] = [x.detach(), weight.detach()];
    // candle's norms are for the types that models come in.
    let out = match x.dtype() {
        DType::F64 => Normed::of(&x_in, eps, false)?
            .values
            .broadcast_mul(&weight_in)?,
        _ => ops::rms_norm(&x_in.contiguous()?, &weight_in, eps as f32)?,
    };
    let norm = Norm {
        eps,
        is_centred: false,
        wanted: [x, weight].map(Tensor::track_op),
    };
    known([x, weight], out, move |_, grad| {
        norm.back(&x_in, &weight_in, grad)
    })
}

/// Layer norm over the last dimension.
pub(super) fn layer_norm(x: &Tensor, weight: &Tensor, bias: &Tensor, eps: f64) -> Result<Tensor> {
    let [x_in, weight_in] = [x.detach(), weight.detach()];
    let bias_in = bias.detach();
    let out = match x.dtype() {
        DType::F64 => {
            let values = Normed::of(&x_in, eps, true)?.values;
            values.broadcast_mul(&weight_in)?.broadcast_add(&bias_in)?
        }
        _ => ops::layer_norm(&x_in.contiguous()?, &weight_in, &bias_in, eps as f32)?,
    };
    let norm = Norm {
        eps,
        is_centred: true,
        wanted: [x, weight].map(Tensor::track_op),
    };
    let is_bias_wanted = bias.track_op();
    known([x, weight, bias], out, move |_, grad| {
        let [grad_x, grad_weight] = norm.back(&x_in, &weight_in, grad)?;
        let grad_bias = is_bias_wanted.then(|| sum_of_rows(grad)).transpose()?;
        Ok([grad_x, grad_weight, grad_bias])
    })
}

/// A norm over the last dimension and what of it is wanted on the way back: its operand's gradient, its scale's.
struct Norm {
    eps: f64,
    /// Whether the mean is taken off first.
    is_centred: bool,
    wanted: [bool; 2],
}

impl Norm {
    fn back(&self, x: &Tensor, weight: &Tensor, grad: &Tensor) -> Result<[Option<Tensor>; 2]> {
        let [of_x, of_weight] = self.wanted;
        let mut grad_x = match of_x {
            true => gpu::norm_back([x, weight, grad], self.eps, self.is_centred).transpose()?,
            false => None,
        };
        if (!of_x || grad_x.is_some()) && !of_weight {
            return Ok([grad_x, None]);
        }
        let (dtype, grad) = (x.dtype(), widened(grad)?);
        let normed = Normed::of(x, self.eps, self.is_centred)?;
        if of_x && grad_x.is_none() {
            let scaled = grad.broadcast_mul(&widened(weight)?)?;
            grad_x = Some(normed.back(&scaled)?.to_dtype(dtype)?);
        }
        let grad_weight = || sum_of_rows(&(&grad * &normed.values)?)?.to_dtype(weight.dtype());
        Ok([grad_x, of_weight.then(grad_weight).transpose()?])
    }
}

/// Rotary position embedding in the half-split form; its way back turns the other way.
pub(super) fn rope(x: &Tensor, cos: &Tensor, sin: &Tensor) -> Result<Tensor> {
    let out = candle_nn::rotary_emb::rope(&x.detach().contiguous()?, cos, sin)?;
    let (cos, other_way) = (cos.clone(), sin.neg()?);
    known([x], out, move |_, grad| {
        let grad = candle_nn::rotary_emb::rope(grad, &cos, &other_way)?;
        Ok([Some(grad)])
    })
}

/// `silu(gate) * up`.
pub(super) fn silu_times(gate: &Tensor, up: &Tensor) -> Result<Tensor> {
    let [gate_in, up_in] = [gate.detach(), up.detach()];
    let out = gpu::silu_times(&gate_in, &up_in).unwrap_or_else(|| gate_in.silu()? * &up_in)?;
    let dtype = gate.dtype();
    known([gate, up], out, move |_, grad| {
        if let Some(grads) = gpu::silu_times_back(&gate_in, &up_in, grad) {
            return Ok(grads?.map(Some));
        }
        let [gate, up, grad] = [widened(&gate_in)?, widened(&up_in)?, widened(grad)?];
        let sigmoid = ops::sigmoid(&gate)?;
        let silu = (&gate * &sigmoid)?;
        // silu' = sigmoid + silu (1 - sigmoid)
        let slope = (&sigmoid + (&silu * (1.0 - &sigmoid)?)?)?;
        let grad_gate = ((&grad * up)? * slope)?;
        let grad_up = (grad * silu)?;
        Ok([
            Some(grad_gate.to_dtype(dtype)?),
            Some(grad_up.to_dtype(dtype)?),
        ])
    })
}

/// A kernel for the gradient of a function of single values, of its operand and its result's gradient.
type Kernel = fn(&Tensor, &Tensor) -> Option<Result<Tensor>>;

/// A function of single values, given with its slope, and with a kernel for devices that have one.
fn each(
    x: &Tensor,
    out: impl Fn(&Tensor) -> Result<Tensor>,
    kernel: Kernel,
    slope: impl Fn(&Tensor) -> Result<Tensor> + Send + Sync + 'static,
) -> Result<Tensor> {
    let x_in = x.detach();
    let out = out(&x_in)?;
    known([x], out, move |_, grad| {
        if let Some(grad) = kernel(&x_in, grad) {
            return Ok([Some(grad?)]);
        }
        let grad = (widened(grad)? * slope(&widened(&x_in)?)?)?;
        Ok([Some(grad.to_dtype(x_in.dtype())?)])
    })
}

/// GELU by its hyperbolic tangent: `x (1 + tanh u) / 2`, `u = sqrt(2 / pi) (x + 0.044715 x^3)`.
pub(super) fn gelu(x: &Tensor) -> Result<Tensor> {
    each(x, Tensor::gelu, gpu::gelu_back, |x| {
        let root = std::f64::consts::FRAC_2_PI.sqrt();
        let square = x.sqr()?;
        let tanh = ((x * square.affine(0.044_715, 1.0)?)? * root)?.tanh()?;
        // (1 + tanh u + x (1 - tanh^2 u) u') / 2
        let inner = square.affine(3.0 * 0.044_715 * root, root)?;
        let bend = (tanh.sqr()?.affine(-1.0, 1.0)? * (x * inner)?)?;
        ((tanh + bend)? + 1.0)? * 0.5
    })
}

/// `x * sigmoid(1.702 x)`.
pub(super) fn quick_gelu(x: &Tensor) -> Result<Tensor> {
    let out = |x: &Tensor| x * ops::sigmoid(&(x * 1.702)?)?;
    each(x, out, gpu::quick_gelu_back, |x| {
        let sigmoid = ops::sigmoid(&(x * 1.702)?)?;
        // s + 1.702 x s (1 - s)
        let bend = (sigmoid.affine(-1.0, 1.0)? * (x * 1.702)?)?;
        &sigmoid * (bend + 1.0)?
    })
}

/// A share `rate` of the values set to 0 and the others raised; the seed says which, the same on every device.
pub(super) fn leave_out(x: &Tensor, rate: f64, seed: u64) -> Result<Tensor> {
    let (limit, kept) = limit_and_factor(rate);
    let Some(out) = gpu::leave_out(x, seed, limit, kept) else {
        return Dropout::seeded(seed).apply(x, rate);
    };
    known([x], out?, move |_, grad| {
        let grad = gpu::leave_out(grad, seed, limit, kept);
        Ok([grad.transpose()?])
    })
}

/// `x (.., width)` plus a bias.
pub(super) fn add_bias(x: &Tensor, bias: &Tensor) -> Result<Tensor> {
    let out = x.detach().broadcast_add(&bias.detach())?;
    let [of_x, of_bias] = [x, bias].map(Tensor::track_op);
    known([x, bias], out, move |_, grad| {
        let grad_bias = of_bias.then(|| sum_of_rows(grad)).transpose()?;
        Ok([of_x.then(|| grad.clone()), grad_bias])
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ml::layers::check;

    #[test]
    fn every_operation_has_the_gradients_of_finite_differences() -> Result<()> {
        let x = check::random(&[2, 3, 6], 1)?;
        let y = check::random(&[2, 3, 6], 2)?;
        let [weight, bias] = [check::random(&[6], 3)?, check::random(&[6], 4)?];
        let one = std::slice::from_ref(&x);
        check::gradients(one, |t| softmax(&t[0]))?;
        check::gradients(&[x.clone(), weight.clone()], |t| {
            rms_norm(&t[0], &t[1], 1e-5)
        })?;
        let all = [x.clone(), weight, bias.clone()];
        check::gradients(&all, |t| layer_norm(&t[0], &t[1], &t[2], 1e-6))?;
        check::gradients(&[x.clone(), y], |t| silu_times(&t[0], &t[1]))?;
        check::gradients(one, |t| gelu(&t[0]))?;
        check::gradients(one, |t| quick_gelu(&t[0]))?;
        check::gradients(&[x.clone(), bias], |t| add_bias(&t[0], &t[1]))?;
        let angles = check::random(&[3, 3], 5)?;
        let heads = x.unsqueeze(0)?;
        check::gradients(&[heads], |t| rope(&t[0], &angles.cos()?, &angles.sin()?))
    }

    #[test]
    fn norms_of_candle_are_those_that_the_ways_back_belong_to() -> Result<()> {
        let x = check::random(&[2, 3, 6], 1)?;
        let [weight, bias] = [check::random(&[6], 3)?, check::random(&[6], 4)?];
        let single = |x: &Tensor| x.to_dtype(DType::F32);
        let [x32, weight32, bias32] = [single(&x)?, single(&weight)?, single(&bias)?];
        let ours = single(&rms_norm(&x, &weight, 1e-5)?)?;
        check::assert_close(&rms_norm(&x32, &weight32, 1e-5)?, &ours, 1e-6)?;
        let ours = single(&layer_norm(&x, &weight, &bias, 1e-6)?)?;
        check::assert_close(&layer_norm(&x32, &weight32, &bias32, 1e-6)?, &ours, 1e-6)
    }

    #[test]
    fn half_types_differ_by_their_rounding() -> Result<()> {
        let x = check::random(&[2, 40, 64], 1)?.to_dtype(DType::BF16)?;
        let weight = check::random(&[64], 3)?.to_dtype(DType::BF16)?;
        let mut gradients = Vec::new();
        for dtype in [DType::F32, DType::BF16] {
            let [x, weight] = [x.to_dtype(dtype)?, weight.to_dtype(dtype)?];
            let [x, weight] = [
                candle_core::Var::from_tensor(&x)?,
                candle_core::Var::from_tensor(&weight)?,
            ];
            let out = softmax(&rms_norm(&x, &weight, 1e-5)?)?;
            let grads = (out.sqr()? * 64.0)?.sum_all()?.backward()?;
            let of =
                |var: &candle_core::Var| grads.get(var.as_tensor()).unwrap().to_dtype(DType::F32);
            gradients.push([of(&x)?, of(&weight)?]);
        }
        for (single, half) in gradients[0].iter().zip(&gradients[1]) {
            check::assert_close(half, single, 4e-2)?;
        }
        Ok(())
    }
}
