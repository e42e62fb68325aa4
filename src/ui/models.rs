//! Models on this machine.

use crate::state::AppState;
use crate::state::Command;

use super::textures::Textures;

/// Draws the screen.
pub fn show(
    ui: &mut egui::Ui,
    state: &AppState,
    _textures: &mut Textures,
    _out: &mut Vec<Command>,
) {
    ui.heading(state.screen.title());
    ui.weak("This screen is not built yet.");
}
