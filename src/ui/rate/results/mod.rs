//! What the votes of a study say: raters, pictures, agreement, what screening changes, and people against the predictor.

mod bar;
mod pictures;
mod raters;

use egui::CentralPanel;
use egui::Frame;
use egui::Grid;
use egui::Margin;
use egui::Panel;
use egui::ScrollArea;
use egui::Ui;
use egui::vec2;

use crate::domain::{Method, Study};
use crate::state::AppState;
use crate::state::Command;
use crate::state::Project;
use crate::state::actions::grouped;
use crate::state::rate;
use crate::state::rate::results::Change;
use crate::state::rate::results::Digest;
use crate::state::rate::results::Figure;
use crate::ui::compare;
use crate::ui::textures::Textures;
use crate::ui::tokens::GAP;
use crate::ui::tokens::GROUP_GAP;
use crate::ui::tokens::Palette;
use crate::ui::train::card;

/// Height of the plot of people against the predictor.
const PLOT: f32 = 320.0;

/// What every part of the page draws from.
#[derive(Clone, Copy)]
struct View<'a> {
    state: &'a AppState,
    project: &'a Project,
    study: &'a Study,
}

/// Draws the page.
pub(super) fn show(
    ui: &mut Ui,
    state: &AppState,
    project: &Project,
    textures: &mut Textures,
    out: &mut Vec<Command>,
) {
    let results = &state.rate.results;
    let Some(study) = results.study.and_then(|study| rate::study(state, study)) else {
        ui.weak("The study is not there any more.");
        return;
    };
    let view = View {
        state,
        project,
        study,
    };
    let frame = Frame::new()
        .fill(Palette::in_use(ui).panel)
        .inner_margin(Margin::symmetric(16, 10));
    Panel::top("results_bar")
        .frame(frame)
        .show(ui, |ui| bar::show(ui, view, out));
    let digest = match &results.digest {
        Some(Ok(digest)) => digest,
        Some(Err(reason)) => {
            let hint = "Figures will stand here as soon as the first vote is in.";
            page_of_words(ui, frame, (reason, hint));
            return;
        }
        None => {
            let words = ("Counting the votes…", "A large panel takes a moment.");
            page_of_words(ui, frame, words);
            return;
        }
    };
    let width = ui.available_width();
    Panel::right("results_figures")
        .frame(frame)
        .resizable(true)
        .default_size((width * 0.36).clamp(320.0, 460.0))
        .size_range(300.0..=560.0)
        .show(ui, |ui| {
            ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
                figures(ui, view, digest, textures, out);
            });
        });
    CentralPanel::default().frame(frame).show(ui, |ui| {
        raters::show(ui, view, digest);
        ui.add_space(GROUP_GAP);
        pictures::show(ui, view, digest, textures, out);
    });
}

fn page_of_words(ui: &mut Ui, frame: Frame, (words, hint): (&str, &str)) {
    CentralPanel::default().frame(frame).show(ui, |ui| {
        ui.vertical_centered(|ui| {
            ui.add_space(GROUP_GAP * 4.0);
            ui.heading(words);
            ui.weak(hint);
        });
    });
}

fn figures(
    ui: &mut Ui,
    view: View<'_>,
    digest: &Digest,
    textures: &mut Textures,
    out: &mut Vec<Command>,
) {
    card(ui, "Agreement", |ui| agreement(ui, &digest.agreement));
    if let Some(reason) = &digest.not_screened {
        card(ui, "Not screened", |ui| {
            ui.colored_label(Palette::in_use(ui).warning, reason);
            ui.weak("Scores are plain means.");
        });
    }
    if let Some(change) = &digest.change {
        card(ui, "What screening changes", |ui| {
            changed(ui, (view, digest), change);
        });
    }
    if view.study.protocol.method != Method::Pairs {
        card(ui, "People against the predictor", |ui| {
            plot(ui, view, digest, textures, out);
        });
    }
}

fn agreement(ui: &mut Ui, figures: &[Figure]) {
    Grid::new("study_agreement")
        .num_columns(2)
        .spacing(vec2(GROUP_GAP, GAP / 2.0))
        .show(ui, |ui| {
            for figure in figures {
                ui.weak(figure.name).on_hover_text(figure.hint);
                match &figure.value {
                    Ok(value) => ui.strong(format!("{value:.3}")),
                    Err(reason) => ui.add(egui::Label::new(reason.to_string()).wrap()),
                };
                ui.end_row();
            }
        });
}

fn changed(ui: &mut Ui, (view, digest): (View<'_>, &Digest), change: &Change) {
    let scale = view.study.protocol.method.scale();
    let screening = digest.screening.label();
    let rejected = match change.num_rejected {
        0 => "leaves no rater out".to_owned(),
        1 => "leaves 1 rater out".to_owned(),
        num => format!("leaves {num} raters out"),
    };
    ui.label(format!("{screening} {rejected}."));
    ui.label(format!(
        "Scores move by {:.3} on average and {:.3} at most, on {scale}.",
        change.mean, change.most
    ));
    let order = match &change.srcc {
        Ok(srcc) => format!("rank correlation before and after {srcc:.4}"),
        Err(reason) => format!("no rank correlation: {reason}"),
    };
    let moved = grouped(change.num_moved);
    let noun = match change.num_moved {
        1 => "picture changes its rank",
        _ => "pictures change their rank",
    };
    ui.label(format!("{moved} {noun}; {order}."));
}

fn plot(
    ui: &mut Ui,
    view: View<'_>,
    digest: &Digest,
    textures: &mut Textures,
    out: &mut Vec<Command>,
) {
    let comparison = &digest.comparison;
    let aspect = view.state.rate.results.aspect;
    if comparison.pairs.is_empty() {
        ui.weak(format!(
            "None of these pictures has a {aspect} score of a predictor. Score them in the gallery to see both here."
        ));
        return;
    }
    let scatter = compare::View {
        state: view.state,
        project: view.project,
        comparison,
        aspect,
        truth_scale: view.study.protocol.method.scale(),
        truth_study: Some(&view.study.protocol.name),
    };
    let figures = &comparison.figures;
    let figure = |value: &Result<f64, _>| match value {
        Ok(value) => format!("{value:.3}"),
        Err(_) => "undefined".to_owned(),
    };
    ui.label(format!(
        "SRCC {}, PLCC {} over {} pictures",
        figure(&figures.srcc),
        figure(&figures.plcc),
        grouped(figures.n)
    ));
    let size = vec2(ui.available_width(), PLOT.min(ui.available_width()));
    ui.allocate_ui(size, |ui| {
        ui.set_max_size(size);
        compare::scatter::show(ui, scatter, textures, out);
    });
}
