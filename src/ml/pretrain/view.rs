//! Pictures to learn from, as patches, and the parts of them that are shown: a part of a picture, as it is, is a new
//! picture.

use candle_core::{Device, Result, Tensor};
use rand::Rng as _;
use rand::seq::SliceRandom as _;
use rand_chacha::ChaCha8Rng;

use super::facts::Facts;
use super::pupil::BothPatches;
use crate::ml::vlm::minicpm_v::MiniCpmV;

/// All pictures that something is learned from, on one grid of patches.
#[derive(Debug, Clone, Copy)]
pub struct Pictures<'a> {
    /// Patches by picture.
    pub patches: &'a [BothPatches],
    /// What is known of each.
    pub facts: &'a [Facts],
    /// Whether a picture is a painted scene: what is said of it may be true of one corner, so that it is only shown whole.
    pub is_scene: &'a [bool],
    /// Share of the scenes, others each time, that a pass takes beside all else.
    pub scene_share: f64,
    /// Rows and columns of patches.
    pub grid: [usize; 2],
}

impl Pictures<'_> {
    /// What is known of some pictures.
    pub(super) fn facts_of(&self, batch: &[usize]) -> Vec<&Facts> {
        batch.iter().map(|&picture| &self.facts[picture]).collect()
    }

    /// How many a pass takes of things that are about a picture each.
    pub(super) fn count_in_pass<T>(&self, all: &[T], picture: impl Fn(&T) -> usize) -> usize {
        let scenes = all.iter().filter(|one| self.is_scene[picture(one)]).count();
        all.len() - scenes + self.taken(scenes)
    }

    /// What a pass takes of them, in random order.
    pub(super) fn pass<'t, T>(
        &self,
        all: &'t [T],
        picture: impl Fn(&T) -> usize,
        rng: &mut ChaCha8Rng,
    ) -> Vec<&'t T> {
        let (mut scenes, mut taken): (Vec<&T>, Vec<&T>) =
            all.iter().partition(|one| self.is_scene[picture(one)]);
        scenes.shuffle(rng);
        scenes.truncate(self.taken(scenes.len()));
        taken.append(&mut scenes);
        taken.shuffle(rng);
        taken
    }

    fn taken(&self, scenes: usize) -> usize {
        ((scenes as f64 * self.scene_share).ceil() as usize).min(scenes)
    }

    /// A random view of each picture, mirrored half of the time. Those that may be shown in part are so, two in three:
    /// parts of one size, at least `smallest` rows and columns large.
    pub(super) fn views(
        &self,
        batch: &[usize],
        smallest: usize,
        rng: &mut ChaCha8Rng,
    ) -> Vec<View> {
        let grid = self.grid;
        let part = grid.map(|full| rng.random_range(smallest.min(full)..=full));
        let one = |&picture: &usize| {
            // Whole ones among them, lest the number of patches tells what kind of picture it is.
            let is_whole = self.is_scene[picture] || rng.random_ratio(1, 3);
            let size = if is_whole { grid } else { part };
            View {
                is_mirrored: rng.random_bool(0.5),
                at: [0, 1].map(|axis| rng.random_range(0..=grid[axis] - size[axis])),
                size,
            }
        };
        batch.iter().map(one).collect()
    }

    /// Views of so many pictures as they are.
    pub(super) fn as_they_are(&self, count: usize) -> Vec<View> {
        let whole = View {
            is_mirrored: false,
            at: [0, 0],
            size: self.grid,
        };
        vec![whole; count]
    }

    /// Image tokens `(batch, queries, hidden)` of pictures, each in its view.
    ///
    /// # Errors
    /// Failed tensor operations.
    pub(super) fn image_tokens(
        &self,
        model: &MiniCpmV,
        batch: &[usize],
        views: &[View],
    ) -> Result<Tensor> {
        let mut sizes: Vec<[usize; 2]> = views.iter().map(|view| view.size).collect();
        sizes.sort_unstable();
        sizes.dedup();
        let (mut tokens, mut place) = (Vec::new(), vec![0u32; batch.len()]);
        let mut count = 0;
        for size in sizes {
            let mut patches = Vec::new();
            for (at, view) in views.iter().enumerate().filter(|(_, v)| v.size == size) {
                patches.push(view.of(&self.patches[batch[at]], self.grid)?);
                place[at] = count;
                count += 1;
            }
            tokens.push(model.image_tokens(&Tensor::stack(&patches, 0)?, size)?);
        }
        match tokens.as_slice() {
            [all] => Ok(all.clone()),
            parts => Tensor::cat(parts, 0)?.index_select(&Tensor::new(place, &Device::Cpu)?, 0),
        }
    }
}

/// A part of a picture's patches.
#[derive(Debug, Clone, Copy)]
pub(super) struct View {
    is_mirrored: bool,
    /// First row and column.
    at: [usize; 2],
    /// Rows and columns.
    size: [usize; 2],
}

impl View {
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

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;

    use super::*;

    const PICTURES: Pictures<'_> = Pictures {
        patches: &[],
        facts: &[],
        is_scene: &[true, false, true, true, false, true, true],
        scene_share: 0.4,
        grid: [8, 8],
    };

    #[test]
    fn a_pass_takes_all_photographs_and_its_share_of_the_scenes_others_each_time() {
        let all: Vec<usize> = (0..7).collect();
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        let mut seen = std::collections::BTreeSet::<usize>::new();
        for _ in 0..20 {
            let pass = PICTURES.pass(&all, |picture| *picture, &mut rng);
            assert_eq!(pass.len(), PICTURES.count_in_pass(&all, |picture| *picture));
            let scenes = pass.iter().filter(|one| PICTURES.is_scene[***one]).count();
            assert_eq!((scenes, pass.len()), (2, 4));
            seen.extend(pass);
        }
        assert_eq!(seen.len(), all.len());
    }

    #[test]
    fn scenes_are_seen_whole_and_others_in_parts_of_one_size_or_whole() {
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        let (mut parts, mut whole) = (0, 0);
        for _ in 0..20 {
            let views = PICTURES.views(&[0, 1, 4, 4, 1, 2], 5, &mut rng);
            assert!([0, 5].iter().all(|at| views[*at].size == [8, 8]));
            let others: Vec<[usize; 2]> = views[1..5].iter().map(|view| view.size).collect();
            let mut sizes: Vec<_> = others.iter().filter(|size| **size != [8, 8]).collect();
            (parts, whole) = (parts + sizes.len(), whole + 4 - sizes.len());
            sizes.dedup();
            assert!(sizes.len() <= 1);
            assert!(views.iter().all(|view| {
                (0..2).all(|axis| view.size[axis] >= 5 && view.at[axis] + view.size[axis] <= 8)
            }));
        }
        assert!(parts > whole && whole > 10, "{parts} {whole}");
    }
}
