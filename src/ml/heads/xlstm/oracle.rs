//! The cells again, step by step in plain tensor operations: what the fused forms are held against in tests.

use candle_core::Result;
use candle_core::Tensor;

/// `max(x, 0) - ln(1 + e^-|x|)` taken from the other end.
fn log_sigmoid(x: &Tensor) -> Result<Tensor> {
    let negative_part = x.neg()?.relu()?.neg()?;
    negative_part - (x.abs()?.neg()?.exp()? + 1.0)?.log()?
}

/// The sLSTM recurrence as a graph of steps, with the gradient through the stabiliser left in.
pub(super) fn slstm_steps(wx: &Tensor, recurrent: &Tensor) -> Result<Tensor> {
    let (batch, seq, _) = wx.dims3()?;
    let (heads, _, width) = recurrent.dims3()?;
    let wx = wx.reshape((batch, seq, 4, heads, width))?;
    let zero = Tensor::zeros((batch, heads, width), wx.dtype(), wx.device())?;
    let (mut y, mut c, mut n, mut m) = (zero.clone(), zero.clone(), zero.clone(), zero);
    let mut out = Vec::with_capacity(seq);
    for t in 0..seq {
        // (heads, batch, width) x (heads, width, 4 * width), then gates first.
        let ry = y
            .transpose(0, 1)?
            .contiguous()?
            .matmul(&recurrent.transpose(1, 2)?)?;
        let ry = ry
            .reshape((heads, batch, 4, width))?
            .permute((1, 2, 0, 3))?;
        let raw = (wx.narrow(1, t, 1)?.squeeze(1)? + ry)?;
        let gate = |index: usize| raw.narrow(1, index, 1)?.squeeze(1);
        let (i, f, z, o) = (gate(0)?, gate(1)?, gate(2)?, gate(3)?);
        let kept = (&m + log_sigmoid(&f)?)?;
        m = if t == 0 { i.clone() } else { i.maximum(&kept)? };
        let enter = (&i - &m)?.exp()?;
        let keep = (&kept - &m)?.exp()?;
        c = ((&keep * c)? + (&enter * z.tanh()?)?)?;
        n = ((&keep * n)? + &enter)?;
        y = (candle_nn::ops::sigmoid(&o)? * (&c / &n)?)?;
        out.push(y.reshape((batch, 1, heads * width))?);
    }
    Tensor::cat(&out, 1)
}

/// The mLSTM cell in its recurrent form: a matrix memory that is decayed and added to at every step.
pub(super) fn mlstm_steps(qkv: &Tensor, gates: &Tensor) -> Result<Tensor> {
    let (batch, seq, triple) = qkv.dims3()?;
    let heads = gates.dim(2)? / 2;
    let width = triple / 3 / heads;
    let (dtype, device) = (qkv.dtype(), qkv.device());
    let qkv = qkv.reshape((batch, seq, 3, heads, width))?;
    let gates = gates.reshape((batch, seq, 2, heads))?;
    let mut memory = Tensor::zeros((batch, heads, width, width), dtype, device)?;
    let mut normaliser = Tensor::zeros((batch, heads, width, 1), dtype, device)?;
    let mut m = Tensor::zeros((batch, heads, 1, 1), dtype, device)?;
    let mut out = Vec::with_capacity(seq);
    for t in 0..seq {
        let part = |index: usize| {
            qkv.narrow(1, t, 1)?
                .narrow(2, index, 1)?
                .squeeze(1)?
                .squeeze(1)
        };
        let gate = |index: usize| {
            let gate = gates.narrow(1, t, 1)?.narrow(2, index, 1)?;
            gate.reshape((batch, heads, 1, 1))
        };
        let q = part(0)?.unsqueeze(2)?.contiguous()?;
        let k = (part(1)?.unsqueeze(3)? / (width as f64).sqrt())?;
        let v = part(2)?.unsqueeze(2)?.contiguous()?;
        let i = gate(0)?;
        let kept = (log_sigmoid(&gate(1)?)? + &m)?;
        // The very first step has nothing to keep; the reference starts from m = 0 there too.
        m = i.maximum(&kept)?;
        let (enter, keep) = ((&i - &m)?.exp()?, (&kept - &m)?.exp()?);
        memory = (memory.broadcast_mul(&keep)? + k.broadcast_mul(&enter)?.matmul(&v)?)?;
        normaliser = (normaliser.broadcast_mul(&keep)? + k.broadcast_mul(&enter)?)?;
        let scale = q.matmul(&normaliser)?.abs()?.maximum(&m.neg()?.exp()?)?;
        let h = q.matmul(&memory)?.broadcast_div(&(scale + 1e-6)?)?;
        out.push(h.reshape((batch, 1, heads * width))?);
    }
    Tensor::cat(&out, 1)
}
