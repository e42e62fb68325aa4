//! From a sequence to one vector.

use candle_core::DType;
use candle_core::Device;
use candle_core::Result;
use candle_core::Tensor;

use crate::domain::Pooling;

/// `x (batch, seq, width)` to `(batch, width)`; what lies behind a sequence's length takes no part.
pub(crate) fn pool(x: &Tensor, lengths: &[usize], pooling: Pooling) -> Result<Tensor> {
    let (_, seq, _) = x.dims3()?;
    match pooling {
        Pooling::Max => max(x, lengths),
        Pooling::Mean => weighted(x, lengths, |row, length| row[..length].fill(1.0)),
        Pooling::Last => weighted(x, lengths, |row, length| row[length - 1] = 1.0),
        Pooling::FirstLast => weighted(x, lengths, |row, length| {
            // A single token is both.
            row[0] += 1.0;
            row[length - 1] += 1.0;
        }),
    }
    .map_err(|error| error.context(format!("pooling of {seq} tokens")))
}

/// Weighted mean over the tokens: a product of `(batch, 1, seq)` and `x`.
fn weighted(x: &Tensor, lengths: &[usize], mark: impl Fn(&mut [f64], usize)) -> Result<Tensor> {
    let (batch, seq, _) = x.dims3()?;
    let mut weights = vec![0.0; batch * seq];
    for (row, &length) in weights.chunks_mut(seq.max(1)).zip(lengths) {
        mark(row, length);
        let total: f64 = row.iter().sum();
        for weight in row {
            *weight /= total;
        }
    }
    let weights = Tensor::from_vec(weights, (batch, 1, seq), &Device::Cpu)?.to_dtype(x.dtype())?;
    weights.matmul(&x.contiguous()?)?.squeeze(1)
}

/// Largest value of each channel; the gradient goes to the first token that has it.
fn max(x: &Tensor, lengths: &[usize]) -> Result<Tensor> {
    let (batch, seq, _) = x.dims3()?;
    let floor = f64::from(f32::MIN);
    let mut hidden = vec![0.0; batch * seq];
    for (row, &length) in hidden.chunks_mut(seq.max(1)).zip(lengths) {
        row[length..].fill(floor);
    }
    let hidden = Tensor::from_vec(hidden, (batch, seq, 1), &Device::Cpu)?.to_dtype(x.dtype())?;
    let places = x.detach().broadcast_add(&hidden)?.argmax_keepdim(1)?;
    debug_assert_eq!(places.dtype(), DType::U32);
    x.contiguous()?.gather(&places.contiguous()?, 1)?.squeeze(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ml::layers::check;

    const LENGTHS: [usize; 3] = [4, 1, 3];

    fn pooled(pooling: Pooling) -> Result<Vec<Vec<f64>>> {
        // Padding holds the largest values of all, which must not be seen.
        let x: Vec<f64> = (0..24)
            .map(|i| [3.0, -1.0, 2.0, 7.0, -5.0, 4.0][i % 6] - i as f64)
            .collect();
        let x = Tensor::from_vec(x, (3, 4, 2), &Device::Cpu)?;
        let mut mask = vec![0.0; 12];
        for (row, &length) in mask.chunks_mut(4).zip(&LENGTHS) {
            row[length..].fill(1e3);
        }
        let x = x.broadcast_add(&Tensor::from_vec(mask, (3, 4, 1), &Device::Cpu)?)?;
        pool(&x, &LENGTHS, pooling)?.to_vec2()
    }

    #[test]
    fn padding_is_in_none_of_them() -> Result<()> {
        // By hand: row 0 (3,-2) (0,4) (-9,-1) (-3,-8), row 1 (-6,3), row 2 (-13,-18) (-16,-12) (-25,-17).
        assert_eq!(
            pooled(Pooling::Mean)?,
            [[-2.25, -1.75], [-6.0, 3.0 - 5.0], [-18.0, -47.0 / 3.0]].map(|row| row.to_vec())
        );
        Ok(())
    }

    #[test]
    fn gradients_equal_finite_differences() -> Result<()> {
        let x = check::random(&[3, 4, 2], 1)?;
        for pooling in Pooling::ALL {
            check::gradients(std::slice::from_ref(&x), |t| pool(&t[0], &LENGTHS, pooling))?;
        }
        Ok(())
    }
}
