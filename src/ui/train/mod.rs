//! Train: what to learn from, what to train, the button; then the live curves, and the runs to compare.

mod curves;
mod live;
mod runs;
mod steps;

use egui::Frame;
use egui::Margin;
use egui::RichText;
use egui::ScrollArea;
use egui::Ui;

use crate::state::AppState;
use crate::state::Command;
use crate::state::train;

use super::textures::Textures;
use super::tokens::BODY;
use super::tokens::GAP;
use super::tokens::GROUP_GAP;
use super::tokens::Palette;
use super::tokens::RADIUS;
use super::tokens::STEP;

/// Wider than this, sentences are hard to follow.
const WIDEST: f32 = 1240.0;

/// Draws the screen.
pub fn show(ui: &mut Ui, state: &AppState, _textures: &mut Textures, out: &mut Vec<Command>) {
    let Some(project) = &state.project else {
        ui.weak("Open a project to train a predictor.");
        return;
    };
    ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
        page(ui, |ui| {
            ui.heading("Train a predictor");
            ui.columns(2, |columns| {
                let [left, right] = columns else {
                    return;
                };
                card(left, "1  What to learn from", |ui| {
                    steps::data(ui, state, project, out);
                });
                card(right, "2  What to train", |ui| {
                    steps::settings(ui, state, out);
                });
            });
            if train::is_busy(state) {
                card(ui, "3  Train", |ui| live::show(ui, state, project, out));
            } else {
                card(ui, "3  Train", |ui| steps::start(ui, state, project, out));
            }
            ui.add_space(GAP);
            runs::show(ui, state, project, out);
            ui.add_space(GROUP_GAP);
        });
    });
}

/// Room around a screen's content, no wider than can be read.
pub(super) fn page(ui: &mut Ui, content: impl FnOnce(&mut Ui)) {
    Frame::new()
        .inner_margin(Margin::symmetric(20, 16))
        .show(ui, |ui| {
            ui.set_max_width(ui.available_width().min(WIDEST));
            content(ui);
        });
}

/// A raised box with a title.
pub(super) fn card(ui: &mut Ui, title: &str, content: impl FnOnce(&mut Ui)) {
    Frame::new()
        .fill(Palette::in_use(ui).raised)
        .corner_radius(RADIUS)
        .inner_margin(Margin::same(12))
        .show(ui, |ui| {
            ui.set_min_width(ui.available_width());
            ui.with_layout(egui::Layout::top_down(egui::Align::LEFT), |ui| {
                ui.label(RichText::new(title).strong().size(BODY));
                ui.add_space(STEP);
                content(ui);
            });
        });
}
