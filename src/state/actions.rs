//! What the action bar says: how many pictures an action would be about, and how long it may take.

pub use crate::domain::grouped;
use crate::domain::{Aspect, AspectMap, ImageId};

use super::jobs::JobsState;
use super::models::ModelsState;
use super::project::Project;
use super::selection::Selection;
use super::view::View;

/// Counts over the pictures that actions are about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    /// Pictures in all.
    pub num_images: usize,
    /// Of these, without a usable file: no action touches them.
    pub num_without_file: usize,
    /// Of those with a file, not yet described by the model and wording in use.
    pub to_describe: AspectMap<usize>,
    /// Of those with a file, without a score of the predictor in use.
    pub to_score: AspectMap<usize>,
}

impl Scope {
    /// Pictures with a usable file.
    pub fn num_usable(&self) -> usize {
        self.num_images - self.num_without_file
    }

    /// Counts over the selected pictures, or over all that are shown.
    pub(super) fn count(
        project: &Project,
        models: &ModelsState,
        view: &View,
        selection: &Selection,
    ) -> Self {
        let mut scope = Self::default();
        for_each_row(project, view, selection, |idx| {
            let row = &project.rows[idx];
            scope.num_images += 1;
            if !row.record.file.is_present() {
                scope.num_without_file += 1;
                return;
            }
            for aspect in Aspect::ALL {
                let undescribed = !project.is_described(row, aspect, models.tag(aspect));
                let unscored = row.predicted(aspect).is_none();
                *scope.to_describe.get_mut(aspect) += usize::from(undescribed);
                *scope.to_score.get_mut(aspect) += usize::from(unscored);
            }
        });
        scope
    }
}

/// The pictures that actions are about: the selected ones if several are, otherwise all that are shown.
pub fn images_in_scope(project: &Project, view: &View, selection: &Selection) -> Vec<ImageId> {
    let mut images = Vec::new();
    for_each_row(project, view, selection, |idx| {
        images.push(project.rows[idx].record.id);
    });
    images
}

fn for_each_row(
    project: &Project,
    view: &View,
    selection: &Selection,
    mut visit: impl FnMut(usize),
) {
    if selection.is_many() {
        selection
            .images
            .iter()
            .filter_map(|&image| project.row_idx(image))
            .for_each(visit);
    } else {
        view.visible.iter().for_each(|&idx| visit(idx));
    }
}

/// Seconds that describing so many pictures may take, from the rate of the last job; `None` before any ran.
pub fn describe_seconds(jobs: &JobsState, num_descriptions: usize) -> Option<f64> {
    let rate = jobs.describe_rate.filter(|rate| *rate > 0.0)?;
    Some(num_descriptions as f64 / rate)
}

/// A span of time in words that fit a button: "about 40 s", "about 12 min", "about 3 h".
pub fn duration_in_words(seconds: f64) -> String {
    match seconds {
        s if s < 1.0 => "under 1 s".to_owned(),
        s if s < 90.0 => format!("about {s:.0} s"),
        s if s < 5400.0 => format!("about {:.0} min", s / 60.0),
        s => format!("about {:.1} h", s / 3600.0),
    }
}
