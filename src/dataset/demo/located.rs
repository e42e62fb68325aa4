//! Scenes with the places of what is wrong in them: whoever plants a defect sees which pixels it changes.

use rayon::iter::IntoParallelRefIterator as _;
use rayon::iter::ParallelExtend as _;
use rayon::iter::ParallelIterator as _;

use crate::domain::Aspect;
use crate::domain::Picture;

use super::DemoSettings;
use super::canvas::Rgb;
use super::canvas::SIZE;
use super::defects::Defect;
use super::defects::plant;
use super::plan::Item;
use super::plan::plan;

/// Tags of the defects that have a place: those of quality, which are everywhere, then those of authenticity.
pub fn located_tags() -> Vec<&'static str> {
    Defect::visible().map(Defect::tag).collect()
}

/// Share of a cell's pixels from which on a defect counts as being in it.
const TOUCHED: f32 = 0.08;

/// Change of a pixel, summed over its colours, from which on it counts.
const CHANGED: f32 = 0.1;

/// Scenes painted between two reports of progress.
const BATCH: usize = 64;

/// Paints the scenes of a demo, and takes of each what `keep` makes of the picture and of what is wrong in each of `grid`
/// by `grid` cells, row by row: bit `n` for defect `n` of [`located_tags`]. `progress` hears scenes done and in all.
pub fn located<T: Send>(
    settings: &DemoSettings,
    grid: usize,
    keep: impl Fn(Picture, Vec<u32>) -> T + Sync,
    progress: &mut dyn FnMut(usize, usize),
) -> Vec<T> {
    let one = |item: &Item| {
        let (picture, cells) = paint(item, grid);
        keep(picture, cells)
    };
    let mut all = Vec::with_capacity(settings.count);
    for batch in plan(settings.seed, settings.count).chunks(BATCH) {
        all.par_extend(batch.par_iter().map(one));
        progress(all.len(), settings.count);
    }
    all
}

fn paint(item: &Item, grid: usize) -> (Picture, Vec<u32>) {
    let mut cells = vec![0_u32; grid * grid];
    let canvas = item.paint_with(&mut |canvas, planted, dice| {
        let bit = bit(planted.defect);
        if planted.defect.aspect() == Aspect::Quality {
            plant(canvas, planted, dice);
            for cell in &mut cells {
                *cell |= bit;
            }
            return;
        }
        let before = canvas.px.clone();
        plant(canvas, planted, dice);
        let shares = changed_shares(&before, &canvas.px, grid);
        for (cell, share) in cells.iter_mut().zip(shares) {
            *cell |= if share > TOUCHED { bit } else { 0 };
        }
    });
    (canvas.picture(), cells)
}

/// The bit of a defect; none of those of correspondence, which have no place.
fn bit(defect: Defect) -> u32 {
    let at = Defect::visible().position(|own| own == defect);
    at.map_or(0, |at| 1 << at)
}

/// Of every cell the share of its pixels that are not as before.
fn changed_shares(before: &[Rgb], now: &[Rgb], grid: usize) -> Vec<f32> {
    let side = SIZE / grid;
    let mut changed = vec![0_u32; grid * grid];
    for (at, (a, b)) in before.iter().zip(now).enumerate() {
        let apart = (a.0 - b.0).abs() + (a.1 - b.1).abs() + (a.2 - b.2).abs();
        let cell = at / SIZE / side * grid + at % SIZE / side;
        changed[cell] += u32::from(apart > CHANGED);
    }
    let pixels = (side * side) as f32;
    changed
        .into_iter()
        .map(|count| count as f32 / pixels)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scenes_tell_where_something_was_planted() {
        let settings = DemoSettings { seed: 3, count: 24 };
        let mut heard = Vec::new();
        let items = plan(settings.seed, settings.count);
        let both = |picture, cells| (picture, cells);
        let told = located(&settings, 8, both, &mut |done, all| heard.push((done, all)));
        assert_eq!(heard, [(24, 24)]);
        let mut partial = 0;
        for (item, (picture, cells)) in items.iter().zip(told) {
            assert_eq!(picture, item.paint().picture());
            for defect in Defect::visible() {
                let is_planted = item.planted.iter().any(|p| p.defect == defect);
                let touched = cells.iter().filter(|cell| **cell & bit(defect) > 0).count();
                if !is_planted {
                    assert_eq!(touched, 0, "{}", defect.tag());
                } else if defect.aspect() == Aspect::Quality {
                    assert_eq!(touched, 64, "{}", defect.tag());
                }
                partial += usize::from((1..64).contains(&touched));
            }
        }
        assert!(partial > 3, "{partial}");
    }
}
