//! Pictures made smaller.

/// Means of squares of `by` pixels of pictures in rows of `width` pixels of `channels` values, one picture below the other:
/// `(height, width, channels)` to `(height / by, width / by, channels)`. Sides are multiples of `by`.
pub fn means_of_squares(values: &[f32], [width, channels]: [usize; 2], by: usize) -> Vec<f32> {
    let out_row = width / by * channels;
    let mut means = vec![0f32; values.len() / (by * by)];
    let share = 1.0 / (by * by) as f32;
    let mut sums = vec![0f32; width * channels];
    let rows = values.chunks_exact(width * channels * by);
    for (out, rows) in means.chunks_exact_mut(out_row).zip(rows) {
        sums.fill(0.0);
        for row in rows.chunks_exact(width * channels) {
            sums.iter_mut()
                .zip(row)
                .for_each(|(sum, value)| *sum += value);
        }
        let squares = sums.chunks_exact(by * channels);
        for (out, square) in out.chunks_exact_mut(channels).zip(squares) {
            for pixel in square.chunks_exact(channels) {
                out.iter_mut()
                    .zip(pixel)
                    .for_each(|(sum, value)| *sum += value);
            }
            for sum in out {
                *sum *= share;
            }
        }
    }
    means
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Result, Tensor};

    use super::*;

    #[test]
    fn the_means_are_those_of_every_square() -> Result<()> {
        let values: Vec<f32> = (0..8 * 12 * 3)
            .map(|at: usize| (at * at % 97) as f32)
            .collect();
        let ours = means_of_squares(&values, [12, 3], 4);
        let theirs = Tensor::from_vec(values, (2, 4, 3, 4, 3), &Device::Cpu)?;
        let theirs: Vec<f32> = theirs.mean((1, 3))?.flatten_all()?.to_vec1()?;
        let apart = ours.iter().zip(&theirs).map(|(a, b)| (a - b).abs());
        assert_eq!(ours.len(), theirs.len());
        assert!(apart.fold(0.0, f32::max) < 1e-4);
        Ok(())
    }
}
