//! What is compared: aspect, part of the dataset, and how many pictures that leaves.

use egui::Button;
use egui::Ui;

use crate::domain::{Aspect, Split};
use crate::state::Command;
use crate::state::actions::grouped;
use crate::state::command::Target;
use crate::state::compare::CompareCommand;
use crate::ui::tokens::Palette;
use crate::ui::widgets::chip;

use super::View;

/// Draws the bar.
pub(super) fn show(ui: &mut Ui, view: View<'_>, out: &mut Vec<Command>) {
    ui.horizontal_wrapped(|ui| {
        aspects(ui, view, out);
        ui.separator();
        splits(ui, view, out);
        ui.separator();
        counts(ui, view, out);
    });
    if view.comparison.num_learned > 0 {
        warning(ui, view);
    }
}

fn aspects(ui: &mut Ui, view: View<'_>, out: &mut Vec<Command>) {
    let palette = Palette::in_use(ui);
    for aspect in Aspect::ALL {
        let is_on = view.state.compare.aspect == aspect;
        let words = egui::RichText::new(aspect.title()).color(palette.aspect(aspect));
        if ui.add(Button::selectable(is_on, words)).clicked() {
            out.push(Command::Compare(CompareCommand::SetAspect(aspect)));
        }
    }
}

fn splits(ui: &mut Ui, view: View<'_>, out: &mut Vec<Command>) {
    let aspect = view.state.compare.aspect;
    let exists = |split: Split| {
        let mut rows = view.project.rows.iter();
        rows.any(|row| *row.record.split.get(aspect) == Some(split))
    };
    let parts = Split::ALL.into_iter().filter(|&split| exists(split));
    for split in std::iter::once(None).chain(parts.map(Some)) {
        let (words, hint) = match split {
            None => ("All", "Every picture that people rated"),
            Some(Split::Train) => ("Train", "Pictures of the training list"),
            Some(Split::Val) => ("Val", "Pictures that choose the best epoch"),
            Some(Split::Test) => ("Test", "Pictures of the test list, which no training sees"),
        };
        let is_on = view.comparison.split == split;
        let button = ui.add(Button::selectable(is_on, words)).on_hover_text(hint);
        if button.clicked() {
            out.push(Command::Compare(CompareCommand::SetSplit(split)));
        }
    }
}

fn counts(ui: &mut Ui, view: View<'_>, out: &mut Vec<Command>) {
    let comparison = view.comparison;
    let (paired, rated) = (comparison.pairs.len(), comparison.num_rated);
    ui.weak(format!(
        "{} of {} rated pictures scored",
        grouped(paired),
        grouped(rated)
    ));
    if paired > 0 && !comparison.to_score.is_empty() {
        let words = format!("Score the other {}", grouped(comparison.to_score.len()));
        let hint = "Rated pictures of this part that have a file and no score yet";
        if ui.button(words).on_hover_text(hint).clicked() {
            out.push(score(view));
        }
    }
    if view.state.compare.is_stale {
        let hint = "Results came in since these figures were computed";
        if ui.button("Refresh").on_hover_text(hint).clicked() {
            out.push(Command::Compare(CompareCommand::Refresh));
        }
    }
}

fn warning(ui: &mut Ui, view: View<'_>) {
    let learned = grouped(view.comparison.num_learned);
    let all = grouped(view.comparison.pairs.len());
    ui.horizontal_wrapped(|ui| {
        chip::warning(ui, "Training pictures", "Choose Test for figures of pictures that were never learned from");
        ui.label(format!(
            "These figures include {learned} of {all} pictures that the predictor learned from: they flatter it."
        ));
    });
}

/// The command that scores what this part still lacks.
pub(super) fn score(view: View<'_>) -> Command {
    Command::Score {
        target: Target::Images(view.comparison.to_score.clone()),
        aspects: vec![view.state.compare.aspect],
    }
}
