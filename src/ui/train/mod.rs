//! Train: what to learn from, what to train, the button; then the live curves, and the runs to compare.

mod chosen;
mod curves;
mod figures;
mod learn_from;
mod live;
mod pictures;
mod runs;
mod scatter;
mod settings;
mod start;
mod versus;

use egui::Frame;
use egui::Margin;
use egui::RichText;
use egui::ScrollArea;
use egui::Ui;

use crate::domain::{ImageId, TrainSettings};
use crate::state::AppState;
use crate::state::Command;
use crate::state::selection::SelectionCommand;
use crate::state::train;
use crate::state::train::CacheState;
use crate::state::train::TrainCommand;

pub(super) use settings::choose;
pub(super) use settings::optional;
pub(super) use settings::row;

use super::textures::Textures;
use super::tokens::BODY;
use super::tokens::GAP;
use super::tokens::GROUP_GAP;
use super::tokens::Palette;
use super::tokens::RADIUS;
use super::tokens::STEP;
use super::widgets::chip;

/// Wider than this, sentences are hard to follow.
pub(super) const WIDEST: f32 = 1240.0;

/// Draws the screen.
pub fn show(ui: &mut Ui, state: &AppState, textures: &mut Textures, out: &mut Vec<Command>) {
    let Some(project) = &state.project else {
        ui.weak("Open a project to train a predictor.");
        return;
    };
    if state.train.cache == CacheState::Unknown {
        out.push(Command::Train(TrainCommand::MeasureCache));
    }
    if let Some(contest) = train::reports::wanted(state) {
        out.push(Command::Train(TrainCommand::Report(contest)));
    }
    ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
        page(ui, |ui| {
            ui.heading("Train a predictor");
            ui.columns(2, |columns| {
                let [left, right] = columns else {
                    return;
                };
                card(left, "1  What to learn from", |ui| {
                    learn_from::show(ui, state, project, out);
                });
                card(right, "2  What to train", |ui| {
                    settings::show(ui, state, out);
                });
            });
            if train::is_busy(state) {
                card(ui, "3  Train", |ui| live::show(ui, state, project, out));
            } else {
                card(ui, "3  Train", |ui| start::show(ui, state, out));
            }
            ui.add_space(GAP);
            runs::show(ui, state, project, (textures, out));
            ui.add_space(GROUP_GAP);
        });
    });
}

/// What a click on a picture asks for: with the command key it adds to the selection.
fn select(ui: &Ui, image: ImageId) -> Command {
    let is_adding = ui.input(|input| input.modifiers.command);
    Command::Selection(match is_adding {
        true => SelectionCommand::Toggle(image),
        false => SelectionCommand::Only(image),
    })
}

/// Says of a run that the test list chose its epoch.
fn test_list_chip(ui: &mut Ui) {
    let hint = "The test list chose the best epoch, as the published code does it: its test figures are too good";
    chip::warning(ui, "chosen on test", hint);
}

/// Asks for the settings with a change.
fn set(settings: &TrainSettings, out: &mut Vec<Command>, change: impl FnOnce(&mut TrainSettings)) {
    let mut settings = settings.clone();
    change(&mut settings);
    out.push(Command::Train(TrainCommand::SetSettings(settings)));
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
