//! What is known of lessons, and how well it is foretold of pictures that nothing was learned from.

use super::facts::Facts;
use super::lesson::{LabelNames, Lesson};
use crate::domain::Aspect;
use crate::stats;

/// Opinion-score columns that the stem learns: real quality and correspondence, then the demo's three aspects.
pub(super) const COLUMNS: usize = 5;

/// Those of real pictures, which come first.
pub(super) const REAL_COLUMNS: usize = 2;

pub(super) fn facts(names: &LabelNames, lesson: &Lesson) -> Facts {
    Facts {
        scores: score_columns(lesson),
        labels: names.labels(lesson),
    }
}

pub(super) fn score_columns(lesson: &Lesson) -> Vec<Option<f32>> {
    let mos = |aspect| lesson.mos.get(aspect).map(|mos| mos as f32);
    let [quality, correspondence, authenticity] = Aspect::ALL.map(mos);
    if lesson.is_demo {
        vec![None, None, quality, correspondence, authenticity]
    } else {
        vec![quality, correspondence, None, None, None]
    }
}

/// Mean SRCC of the columns that choose the epoch: the real pictures', where there are any. The demo's correspondence and
/// authenticity are hardly seen in crops: their SRCC on some fifty pictures is noise, which must not choose.
pub(super) fn mean_of_told(figures: &[Option<f64>]) -> f64 {
    let mean = |figures: &[Option<f64>]| {
        let known: Vec<f64> = figures.iter().flatten().copied().collect();
        (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
    };
    let (real, demo) = figures.split_at(REAL_COLUMNS);
    mean(real).or_else(|| mean(demo)).unwrap_or(0.0)
}

/// SRCC of every column, foretold of pictures, with what is known of them.
pub(super) fn agreement(foretold: &[Vec<f32>], known: &[&Facts]) -> Vec<Option<f64>> {
    (0..COLUMNS)
        .map(|column| {
            let pairs = known.iter().zip(&foretold[column]);
            srcc(pairs.filter_map(|(facts, foretold)| Some((*foretold, facts.scores[column]?))))
        })
        .collect()
}

/// SRCC of pairs of what was foretold and what people said; `None` where there is none.
pub(super) fn srcc(pairs: impl Iterator<Item = (f32, f32)>) -> Option<f64> {
    let (foretold, truth): (Vec<f64>, Vec<f64>) = pairs
        .map(|(foretold, truth)| (f64::from(foretold), f64::from(truth)))
        .unzip();
    stats::srcc(&foretold, &truth).ok()
}

/// How well image tokens tell every planted defect from its absence.
pub(super) fn defects_told(names: &LabelNames, seen: &[Vec<f32>], known: &[&Facts]) -> String {
    let (start, tags) = names.tags();
    let one = |(at, tag): (usize, &String)| {
        let pairs = seen.iter().zip(known).filter_map(|(row, facts)| {
            let has = facts.labels[start + at]?;
            Some((f64::from(row[COLUMNS + start + at]), has))
        });
        let (logits, has): (Vec<f64>, Vec<bool>) = pairs.unzip();
        area_words(tag, &logits, &has)
    };
    let all: Vec<String> = tags.iter().enumerate().map(one).collect();
    all.join(", ")
}

/// A defect and how well logits tell it from its absence.
pub(super) fn area_words(tag: &str, logits: &[f64], has: &[bool]) -> String {
    match stats::auc(logits, has) {
        Ok(auc) => format!("{tag} {auc:.2}"),
        Err(_) => format!("{tag} -"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn real_pictures_choose_the_epoch_and_the_demo_only_without_them() {
        let figures = [Some(0.7), Some(0.5), Some(0.9), Some(-0.9), None];
        assert!((mean_of_told(&figures) - 0.6).abs() < 1e-9);
        let demo = [None, None, Some(0.9), Some(-0.5), None];
        assert!((mean_of_told(&demo) - 0.2).abs() < 1e-9);
    }
}
