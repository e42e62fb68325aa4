//! Rate: the studies, the form of a new one, what their votes say, and the sitting that has the window for itself.

mod form;
mod intake;
mod results;
mod sitting;
mod studies;

use egui::Ui;

use crate::state::AppState;
use crate::state::Command;
use crate::state::rate::Page;

use super::textures::Textures;

pub(super) use intake::report as votes_report;
pub(super) use intake::show as take_votes;
pub(super) use sitting::read_keys as sitting_keys;
pub(super) use sitting::show as sitting;

/// Draws the screen.
pub fn show(ui: &mut Ui, state: &AppState, textures: &mut Textures, out: &mut Vec<Command>) {
    let Some(project) = &state.project else {
        ui.weak("Open a project to let people rate its pictures.");
        return;
    };
    match state.rate.page {
        Page::Studies => studies::show(ui, state, project, out),
        Page::Form => form::show(ui, state, project, out),
        Page::Results => results::show(ui, state, project, textures, out),
    }
}
