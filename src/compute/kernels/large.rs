//! Large products, in tiles that threads take as they come.
//!
//! A product that is split evenly among threads waits for the slowest of them, and each thread brings a matrix that lies
//! the other way into the order of its instructions before any of them has used it. A tile is small enough to be packed,
//! multiplied and given its bias while it is in the cache of one core. Nor is the result cleared first, as candle's is: a
//! step of fine-tuning writes gigabytes of them.

use rayon::prelude::*;

use super::product::{Mat, Put, write_product};
use crate::compute::real::Real;

/// Columns of a tile: whole vectors of the gemm crate's instructions, few enough for the second level of the cache.
const COLUMNS: [usize; 2] = [64, 256];

/// Fewest rows of a tile where there are more, and most.
const LEAST_ROWS: usize = 48;
const MOST_ROWS: usize = 1024;

/// Tiles that there should be at least, where a result can be cut further: enough to keep several threads busy to the end.
const TILES: usize = 8;

/// Multiplications below which calling other threads costs more than they bring.
const SMALL: usize = 1 << 19;

/// How a result is cut, by its shape alone: whoever computes it gets the same bits.
#[derive(Clone, Copy)]
struct Tiles {
    rows: [usize; 2],
    columns: [usize; 2],
}

impl Tiles {
    fn of(rows: usize, columns: usize) -> Self {
        let [least, most] = COLUMNS;
        let down = rows.div_ceil(MOST_ROWS).max(1);
        let width = columns
            .div_ceil(TILES.div_ceil(down))
            .next_multiple_of(least)
            .clamp(least, most);
        // Where there are few columns rows are cut further.
        let across = columns.div_ceil(width).max(1);
        let down = down.max(TILES.div_ceil(across).min(rows / LEAST_ROWS));
        Self {
            rows: [rows, rows.div_ceil(down).max(1)],
            columns: [columns, width],
        }
    }

    /// First row and height, first column and width of each.
    fn all(self) -> Vec<[[usize; 2]; 2]> {
        let parts = |[all, size]: [usize; 2]| {
            let starts = (0..all).step_by(size);
            starts.map(move |start| [start, size.min(all - start)])
        };
        // Tiles of the same columns stand together: they share what is read most often.
        parts(self.columns)
            .flat_map(|columns| parts(self.rows).map(move |rows| [rows, columns]))
            .collect()
    }
}

/// Where a result is written.
struct Place<T>(*mut T);

#[expect(
    unsafe_code,
    reason = "tiles of one matrix are written by several threads"
)]
// SAFETY: threads write to parts that do not overlap.
unsafe impl<T: Send> Sync for Place<T> {}

impl<T> Place<T> {
    const fn get(&self) -> *mut T {
        self.0
    }
}

/// `lhs (m, k) * rhs (k, n)`, and `bias (n)` added to every row: `(m, n)`, row by row, by all threads.
///
/// # Panics
/// Where a slice is too short for its shape.
#[expect(unsafe_code, reason = "the result is written before it is a slice")]
pub fn large_product<T: Real>(
    (lhs, rhs): (Mat<'_, T>, Mat<'_, T>),
    bias: Option<&[T]>,
    [m, k, n]: [usize; 3],
) -> Vec<T> {
    assert!(
        lhs.holds(m, k) && rhs.holds(k, n) && bias.is_none_or(|bias| bias.len() == n),
        "a matrix is shorter than its shape"
    );
    let mut out: Vec<T> = Vec::with_capacity(m * n);
    let place = Place(out.as_mut_ptr());
    let write = |&[[row, height], [column, width]]: &[[usize; 2]; 2]| {
        // SAFETY: operands hold their shapes, and tiles are parts of `out`'s capacity that do not overlap, each written
        // whole: by the product, whose `Put::Set` reads nothing, and only then read again.
        unsafe {
            let tile = place.get().add(row * n + column);
            let operands = (lhs.from(row, 0), rhs.from(0, column));
            let (to, shape) = ((tile, n, Put::Set), [height, k, width]);
            write_product(to, operands, shape, T::one(), gemm::Parallelism::None);
            let Some(bias) = bias else { return };
            for row in 0..height {
                let row = std::slice::from_raw_parts_mut(tile.add(row * n), width);
                add(row, &bias[column..column + width]);
            }
        }
    };
    let tiles = Tiles::of(m, n).all();
    match m * n * k < SMALL {
        true => tiles.iter().for_each(write),
        false => tiles.par_iter().with_max_len(1).for_each(write),
    }
    // SAFETY: every value is in a tile, and all tiles are written.
    unsafe { out.set_len(m * n) };
    out
}

fn add<T: Real>(row: &mut [T], bias: &[T]) {
    for (value, &bias) in row.iter_mut().zip(bias) {
        *value += bias;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compute::check::numbers;
    use crate::compute::kernels::{Hands, product};

    #[test]
    fn tiles_are_the_product_and_its_bias() {
        for [m, k, n] in [
            [1, 5, 3],
            [7, 64, 300],
            [1030, 9, 70],
            [2100, 3, 513],
            [4, 0, 2],
        ] {
            let (lhs, rhs, bias) = (numbers(m * k, 1), numbers(k * n, 2), numbers(n, 3));
            let ways = [
                (Mat::rows(&lhs, k), Mat::rows(&rhs, n)),
                (Mat::rows(&lhs, k), Mat::rows(&rhs, k).t()),
                (Mat::rows(&lhs, m).t(), Mat::rows(&rhs, n)),
            ];
            for operands in ways {
                let mut plain = vec![0.0; m * n];
                let all = (&mut plain[..], n, Put::Set);
                product(all, operands, [m, k, n], 1.0, Hands::One);
                let large = |bias| large_product(operands, bias, [m, k, n]);
                assert_eq!(large(None), plain);
                for row in plain.chunks_exact_mut(n) {
                    add(row, &bias);
                }
                assert_eq!(large(Some(&bias)), plain);
            }
        }
    }

    #[test]
    fn a_product_of_nothing_is_what_is_added() {
        let nothing = (Mat::rows(&[], 0), Mat::rows(&[], 2));
        let out = large_product(nothing, Some(&[1.5, -1.0][..]), [2, 0, 2]);
        assert_eq!(out, [1.5, -1.0, 1.5, -1.0]);
        assert!(large_product::<f32>(nothing, None, [0, 0, 2]).is_empty());
    }

    #[test]
    fn tiles_cover_a_result_once_and_are_several_where_it_is_large() {
        for [rows, columns, least] in [
            [1, 1, 1],
            [5, 65, 2],
            [491, 8, 8],
            [491, 192, 8],
            [491, 1024, 8],
            [130, 32_000, 125],
            [3072, 1152, 15],
        ] {
            let tiles = Tiles::of(rows, columns).all();
            let covered: usize = tiles.iter().map(|[[_, h], [_, w]]| h * w).sum();
            assert_eq!(covered, rows * columns);
            assert!(tiles.len() >= least, "{}", tiles.len());
        }
    }
}
