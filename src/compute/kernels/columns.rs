//! A matrix whose columns are computed by different threads.

use candle_core::Result;
use rayon::prelude::*;

/// A matrix `(rows, width)` of which `step` columns are computed at once: `work` fills `(rows, columns)` of a number, the
/// last of which may have fewer.
///
/// # Errors
/// Whatever `work` answers.
pub fn by_columns(
    (rows, width): (usize, usize),
    step: usize,
    work: &(dyn Fn(usize, &mut [f32]) -> Result<()> + Sync),
) -> Result<Vec<f32>> {
    let mut whole = vec![0.0; rows * width];
    if rows == 1 {
        let parts = whole.par_chunks_mut(step).enumerate();
        parts.try_for_each(|(at, part)| work(at, part))?;
        return Ok(whole);
    }
    let place = Place(whole.as_mut_ptr());
    (0..width.div_ceil(step))
        .into_par_iter()
        .try_for_each_init(Vec::new, |part: &mut Vec<f32>, at| -> Result<()> {
            let columns = step.min(width - at * step);
            part.resize(rows * columns, 0.0);
            work(at, part)?;
            for (row, values) in part.chunks_exact(columns).enumerate() {
                place.put(row * width + at * step, values);
            }
            Ok(())
        })?;
    Ok(whole)
}

/// Where the matrix lies.
#[derive(Clone, Copy)]
struct Place(*mut f32);

#[expect(unsafe_code, reason = "threads write to one matrix")]
// SAFETY: only `by_columns` has one, whose parts write to columns of their own while nobody reads.
unsafe impl Sync for Place {}

impl Place {
    #[expect(unsafe_code, reason = "threads write to one matrix")]
    fn put(&self, start: usize, values: &[f32]) {
        // SAFETY: `by_columns` asks for whole parts of rows that are in the matrix, each of them once.
        unsafe { std::ptr::copy_nonoverlapping(values.as_ptr(), self.0.add(start), values.len()) };
    }
}

#[cfg(test)]
mod tests {
    use candle_core::bail;

    use super::*;

    #[test]
    fn every_part_comes_to_its_columns() -> Result<()> {
        for (rows, width, step) in [(1, 1, 4), (1, 10, 3), (3, 10, 3), (5, 9, 3), (2, 7, 9)] {
            let whole = by_columns((rows, width), step, &|at, part| {
                let columns = part.len() / rows;
                for (place, value) in part.iter_mut().enumerate() {
                    *value = (place / columns * 100 + at * step + place % columns) as f32;
                }
                Ok(())
            })?;
            for (place, value) in whole.into_iter().enumerate() {
                assert_eq!(value as usize, place / width * 100 + place % width);
            }
        }
        assert!(by_columns((2, 9), 2, &|_, _| bail!("no")).is_err());
        Ok(())
    }
}
