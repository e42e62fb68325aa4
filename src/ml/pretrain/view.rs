//! Parts of pictures, as patches: a part of a picture, as it is, is a new picture to learn from.

use candle_core::{Result, Tensor};
use rand::Rng as _;
use rand_chacha::ChaCha8Rng;

use super::pupil::BothPatches;

/// A part of a picture's patches.
#[derive(Debug, Clone, Copy)]
pub(super) struct View {
    is_mirrored: bool,
    /// First row and column.
    at: [usize; 2],
    /// Rows and columns.
    pub(super) size: [usize; 2],
}

impl View {
    pub(super) const fn whole(grid: [usize; 2]) -> Self {
        Self {
            is_mirrored: false,
            at: [0, 0],
            size: grid,
        }
    }

    /// Patches in view.
    fn of(self, patches: &BothPatches, [rows, cols]: [usize; 2]) -> Result<Tensor> {
        let patches = &patches[usize::from(self.is_mirrored)];
        let values = patches.dim(1)?;
        let ([y, x], [height, width]) = (self.at, self.size);
        patches
            .reshape((rows, cols, values))?
            .narrow(0, y, height)?
            .narrow(1, x, width)?
            .reshape((height * width, values))
    }
}

/// Patches `(batch, rows * cols, values)` of pictures, each in a view of one size, all of them on one grid.
pub(super) fn in_view<'a>(
    patches: impl Iterator<Item = &'a BothPatches>,
    views: &[View],
    grid: [usize; 2],
) -> Result<Tensor> {
    let some = patches.zip(views).map(|(both, view)| view.of(both, grid));
    Tensor::stack(&some.collect::<Result<Vec<_>>>()?, 0)
}

/// Random views of one size for a batch, at least `smallest` rows and columns large.
pub(super) fn views(
    count: usize,
    grid: [usize; 2],
    smallest: usize,
    rng: &mut ChaCha8Rng,
) -> Vec<View> {
    let size = grid.map(|full| rng.random_range(smallest.min(full)..=full));
    let one = |_| View {
        is_mirrored: rng.random_bool(0.5),
        at: [0, 1].map(|axis| rng.random_range(0..=grid[axis] - size[axis])),
        size,
    };
    (0..count).map(one).collect()
}
