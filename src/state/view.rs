//! Which rows are shown, and in which order. Computed when a condition changes, never per frame.

use std::cmp::Ordering;

use crate::domain::{Aspect, Filter, ImageId, OpinionScale, SortKey};

use super::project::{Project, Row};

/// Bars of the score histogram.
pub const HISTOGRAM_BARS: usize = 25;

/// The filter, the order, and what came of them.
#[derive(Debug, Clone, Default)]
pub struct View {
    /// Conditions.
    pub filter: Filter,
    /// What the order goes by.
    pub sort: SortKey,
    /// Whether the order is turned round; images that lack the value stay last.
    pub descending: bool,
    /// Rows shown, as positions in [`Project::rows`], in order.
    pub visible: Vec<usize>,
    /// Ground truth of the images that pass every condition but the ranges.
    pub mos_histogram: [u32; HISTOGRAM_BARS],
    /// Predictions of the same images.
    pub score_histogram: [u32; HISTOGRAM_BARS],
    /// Prediction minus ground truth of the same images, from minus the scale's width to plus it.
    pub error_histogram: [u32; HISTOGRAM_BARS],
    /// Whether results came in since, so that filter or order would answer otherwise now.
    /// The list waits for the user, because nothing may jump under the pointer.
    pub is_stale: bool,
}

impl View {
    /// The aspect that filter and histogram are about.
    pub fn aspect(&self) -> Aspect {
        self.filter.aspect.unwrap_or(Aspect::Quality)
    }

    /// Whether any condition is set.
    pub fn is_filtered(&self) -> bool {
        let open = Filter {
            aspect: self.filter.aspect,
            ..Filter::default()
        };
        self.filter != open
    }

    /// Whether results that arrive can change what is shown.
    pub fn depends_on_results(&self) -> bool {
        matches!(self.sort, SortKey::Score(_) | SortKey::Error(_))
            || self.filter.score_range.is_some()
            || self.filter.error_range.is_some()
            || self.filter.has_description.is_some()
            || self.filter.has_score.is_some()
    }

    /// Computes the list and the histograms anew.
    pub fn refresh(&mut self, project: &Project) {
        let aspect = self.aspect();
        let needles: Vec<String> = self
            .filter
            .search
            .split_whitespace()
            .map(str::to_lowercase)
            .collect();
        let scale = project.info.scale;
        self.is_stale = false;
        self.mos_histogram = [0; HISTOGRAM_BARS];
        self.score_histogram = [0; HISTOGRAM_BARS];
        self.error_histogram = [0; HISTOGRAM_BARS];
        self.visible.clear();
        for (idx, row) in project.rows.iter().enumerate() {
            if !passes_words(&self.filter, &needles, row, aspect) {
                continue;
            }
            let mos = row.record.mos(aspect);
            let score = row.predicted(aspect);
            let error = row.error(aspect);
            let (on_scale, of_error) = ([scale.min, scale.max], error_bounds(scale));
            count(&mut self.mos_histogram, mos, on_scale);
            count(&mut self.score_histogram, score, on_scale);
            count(&mut self.error_histogram, error, of_error);
            let filter = &self.filter;
            if in_range(filter.mos_range, on_scale, mos)
                && in_range(filter.score_range, on_scale, score)
                && in_range(filter.error_range, of_error, error)
            {
                self.visible.push(idx);
            }
        }
        sort(&mut self.visible, project, self.sort, self.descending);
    }

    /// Where an image stands in the list shown.
    pub fn position(&self, project: &Project, image: ImageId) -> Option<usize> {
        let idx = project.row_idx(image)?;
        self.visible.iter().position(|&visible| visible == idx)
    }

    /// The image at a place of the list shown.
    pub fn image_at(&self, project: &Project, position: usize) -> Option<ImageId> {
        let row = project.rows.get(*self.visible.get(position)?)?;
        Some(row.record.id)
    }
}

fn passes_words(filter: &Filter, needles: &[String], row: &Row, aspect: Aspect) -> bool {
    let record = &row.record;
    let holds = |wanted: Option<bool>, is: bool| wanted.is_none_or(|wanted| wanted == is);
    needles
        .iter()
        .all(|needle| row.haystack.contains(needle.as_str()))
        && (filter.split.is_none() || filter.split == *record.split.get(aspect))
        && (filter.generator.is_none() || filter.generator == record.generator)
        && filter
            .tag
            .as_ref()
            .is_none_or(|tag| record.tags.contains(tag))
        && holds(filter.has_file, record.file.is_present())
        && holds(
            filter.has_description,
            row.local_description(aspect).is_some(),
        )
        && holds(filter.has_score, row.predicted(aspect).is_some())
}

/// Whether a value lies in a range. A bound at the end of what can be dragged is open: a predictor may answer beyond the
/// scale, and nobody who raises the lower bound means to lose its highest scores.
fn in_range(range: Option<[f64; 2]>, ends: [f64; 2], value: Option<f64>) -> bool {
    match (range, value) {
        (None, _) => true,
        (Some([low, high]), Some(value)) => {
            (low <= ends[0] || low <= value) && (high >= ends[1] || value <= high)
        }
        (Some(_), None) => false,
    }
}

/// The errors that a scale allows; only a prediction beyond the scale can be further off than the scale is wide.
pub const fn error_bounds(scale: OpinionScale) -> [f64; 2] {
    let width = scale.max - scale.min;
    [-width, width]
}

fn count(histogram: &mut [u32; HISTOGRAM_BARS], value: Option<f64>, [low, high]: [f64; 2]) {
    if let Some(value) = value {
        let fraction = ((value - low) / (high - low)).clamp(0.0, 1.0);
        let bar = (fraction * HISTOGRAM_BARS as f64) as usize;
        histogram[bar.min(HISTOGRAM_BARS - 1)] += 1;
    }
}

fn sort(visible: &mut [usize], project: &Project, key: SortKey, descending: bool) {
    let rows = &project.rows;
    let turned = |ordering: Ordering| {
        if descending {
            ordering.reverse()
        } else {
            ordering
        }
    };
    match key {
        SortKey::Path => {
            visible.sort_by(|&a, &b| turned(rows[a].record.path.cmp(&rows[b].record.path)));
        }
        SortKey::Prompt => {
            visible.sort_by(|&a, &b| turned(rows[a].haystack.cmp(&rows[b].haystack)));
        }
        SortKey::Mos(_) | SortKey::Score(_) | SortKey::Error(_) => {
            visible.sort_by(|&a, &b| {
                match (sort_value(&rows[a], key), sort_value(&rows[b], key)) {
                    (Some(a), Some(b)) => turned(a.total_cmp(&b)),
                    (Some(_), None) => Ordering::Less,
                    (None, Some(_)) => Ordering::Greater,
                    (None, None) => Ordering::Equal,
                }
            });
        }
    }
}

fn sort_value(row: &Row, key: SortKey) -> Option<f64> {
    match key {
        SortKey::Mos(aspect) => row.record.mos(aspect),
        SortKey::Score(aspect) => row.predicted(aspect),
        SortKey::Error(aspect) => row.error(aspect).map(f64::abs),
        SortKey::Path | SortKey::Prompt => None,
    }
}
