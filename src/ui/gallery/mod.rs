//! Gallery: a toolbar of conditions, the virtual grid, and a bar that names what can be done.

mod action_bar;
mod cell;
mod grid;
mod toolbar;

use egui::CentralPanel;
use egui::Frame;
use egui::Margin;
use egui::Panel;
use egui::Ui;

use crate::state::AppState;
use crate::state::Command;
use crate::state::gallery::GalleryCommand;

use super::inspect;
use super::textures::Textures;
use super::tokens::Palette;

/// Draws the screen.
pub fn show(ui: &mut Ui, state: &AppState, textures: &mut Textures, out: &mut Vec<Command>) {
    let palette = Palette::in_use(ui);
    let bar = Frame::new()
        .fill(palette.panel)
        .inner_margin(Margin::symmetric(12, 8));
    Panel::top("gallery_toolbar")
        .frame(bar)
        .show(ui, |ui| toolbar::show(ui, state, out));
    Panel::bottom("gallery_actions")
        .frame(bar)
        .show(ui, |ui| action_bar::show(ui, state, out));
    CentralPanel::default()
        .frame(Frame::new().fill(palette.ground))
        .show(ui, |ui| {
            if state.gallery.preview && state.selection.focus.is_some() {
                preview(ui, state, textures, out);
            } else {
                grid::show(ui, state, textures, out);
            }
        });
}

fn preview(ui: &mut Ui, state: &AppState, textures: &mut Textures, out: &mut Vec<Command>) {
    let response = inspect::picture_ui(ui, state, textures, out);
    if response.double_clicked() {
        out.push(Command::Gallery(GalleryCommand::TogglePreview));
    }
}
