//! Figures with their number of pictures, what they rest on, and the same by generator.

use egui::Grid;
use egui::Rect;
use egui::Sense;
use egui::Ui;
use egui::pos2;
use egui::vec2;

use crate::state::Command;
use crate::state::actions::grouped;
use crate::state::compare::BARS;
use crate::state::compare::Group;
use crate::state::selection::SelectionCommand;
use crate::stats::StatsError;
use crate::ui::tokens::GAP;
use crate::ui::tokens::GROUP_GAP;
use crate::ui::tokens::Palette;
use crate::ui::widgets::predictor_card;

use super::View;

/// Height of the tallest bar of the histogram.
const BAR_HEIGHT: f32 = 72.0;

/// Draws the column.
pub(super) fn show(ui: &mut Ui, view: View<'_>, out: &mut Vec<Command>) {
    table(ui, view);
    if let Some(verdict) = &view.comparison.verdict {
        ui.add_space(GAP);
        ui.label(verdict);
    }
    ui.add_space(GROUP_GAP);
    card(ui, view);
    ui.add_space(GROUP_GAP);
    if !view.comparison.groups.is_empty() {
        generators(ui, view, out);
        ui.add_space(GROUP_GAP);
    }
    histogram(ui, view);
}

fn table(ui: &mut Ui, view: View<'_>) {
    let figures = &view.comparison.figures;
    let scale = view.project.info.scale;
    let lines = [
        (
            "SRCC",
            "Spearman's rank correlation: is the order right?",
            &figures.srcc,
        ),
        (
            "PLCC",
            "Pearson's correlation of the raw predictions",
            &figures.plcc,
        ),
        (
            "PLCC, 4-parameter fit",
            "Pearson's correlation after a rising four-parameter logistic curve, as video quality groups report it",
            &figures.plcc_fit4,
        ),
        ("KRCC", "Kendall's tau-b", &figures.krcc),
    ];
    let n = grouped(figures.n);
    ui.strong(format!("Agreement over {n} pictures"));
    Grid::new("compare_agreement")
        .num_columns(2)
        .spacing(vec2(GROUP_GAP, GAP / 2.0))
        .show(ui, |ui| {
            for (name, hint, figure) in lines {
                ui.weak(name).on_hover_text(hint);
                match figure {
                    Ok(value) => ui.strong(format!("{value:.4}")),
                    Err(reason) => ui.weak(reason.to_string()),
                };
                ui.end_row();
            }
            ui.weak("RMSE")
                .on_hover_text("Root mean square error of the raw predictions");
            match &figures.rmse {
                Ok(value) => ui.strong(format!("{value:.3} on {scale}")),
                Err(reason) => ui.weak(reason.to_string()),
            };
            ui.end_row();
        });
    if let Err(reason) = &view.comparison.curve {
        ui.weak(format!("No fitted curve: {reason}"));
    }
}

fn card(ui: &mut Ui, view: View<'_>) {
    let aspect = view.state.compare.aspect;
    let card = view.project.predictor_card(aspect);
    ui.strong("Predictor in use");
    predictor_card::show(ui, card);
    if let Some(card) = card
        && card.scale != view.project.info.scale
    {
        ui.colored_label(
            Palette::in_use(ui).warning,
            format!(
                "It scores on {}, the dataset stands on {}: correlations hold, errors do not.",
                card.scale, view.project.info.scale
            ),
        );
    }
}

fn generators(ui: &mut Ui, view: View<'_>, out: &mut Vec<Command>) {
    ui.strong("By generator");
    Grid::new("compare_generators")
        .num_columns(5)
        .striped(true)
        .spacing(vec2(GAP * 1.5, GAP / 2.0))
        .show(ui, |ui| {
            for title in ["Generator", "n", "SRCC", "PLCC", "RMSE"] {
                ui.weak(title);
            }
            ui.end_row();
            for group in &view.comparison.groups {
                generator(ui, group, out);
            }
        });
}

fn generator(ui: &mut Ui, group: &Group, out: &mut Vec<Command>) {
    let hint = format!(
        "Select the {} pictures of {}",
        group.images.len(),
        group.name
    );
    if ui.link(&group.name).on_hover_text(hint).clicked() {
        let images = group.images.clone();
        out.push(Command::Selection(SelectionCommand::Set(images)));
    }
    ui.label(grouped(group.images.len()));
    for figure in [&group.srcc, &group.plcc, &group.rmse] {
        figure_ui(ui, figure);
    }
    ui.end_row();
}

fn figure_ui(ui: &mut Ui, figure: &Result<f64, StatsError>) {
    match figure {
        Ok(value) => ui.label(format!("{value:.3}")),
        Err(reason) => ui.weak("–").on_hover_text(reason.to_string()),
    };
}

/// How often which error: to the left of the middle the prediction is too low.
fn histogram(ui: &mut Ui, view: View<'_>) {
    let comparison = view.comparison;
    ui.strong("Errors");
    let palette = Palette::in_use(ui);
    let colour = palette.aspect(view.state.compare.aspect);
    let size = vec2(ui.available_width(), BAR_HEIGHT);
    let (rect, _) = ui.allocate_exact_size(size, Sense::hover());
    let most = comparison
        .histogram
        .iter()
        .copied()
        .max()
        .unwrap_or(0)
        .max(1);
    let width = rect.width() / BARS as f32;
    for (idx, &bar) in comparison.histogram.iter().enumerate() {
        let left = rect.left() + idx as f32 * width;
        let top = rect.bottom() - rect.height() * bar as f32 / most as f32;
        let bar = Rect::from_min_max(pos2(left, top), pos2(left + width - 1.0, rect.bottom()));
        ui.painter().rect_filled(bar, 0.0, colour);
    }
    let middle = rect.center().x;
    let line = egui::Stroke::new(1.0, palette.ink);
    ui.painter().vline(middle, rect.y_range(), line);
    ui.columns(3, |columns| {
        columns[0].weak(format!("{:+.2} too low", -comparison.reach));
        columns[1].vertical_centered(|ui| ui.weak("0"));
        let right = egui::Layout::right_to_left(egui::Align::Min);
        columns[2].with_layout(right, |ui| {
            ui.weak(format!("{:+.2} too high", comparison.reach))
        });
    });
}
