//! The palette: type a few letters, run a command.

use egui::Align2;
use egui::Area;
use egui::Button;
use egui::Frame;
use egui::Id;
use egui::Order;
use egui::ScrollArea;
use egui::Sense;
use egui::TextEdit;
use egui::Ui;
use egui::vec2;

use crate::state::AppState;
use crate::state::Command;
use crate::state::palette;
use crate::state::palette::Entry;
use crate::state::palette::PaletteCommand;

use super::tokens::GROUP_GAP;
use super::tokens::Palette;
use super::tokens::ROW_HEIGHT;

/// Width of the palette.
const WIDTH: f32 = 520.0;

/// Height of the list.
const HEIGHT: f32 = 360.0;

/// Draws the palette over everything, if it is open.
pub fn show(ui: &Ui, state: &AppState, out: &mut Vec<Command>) {
    if !state.palette.is_open {
        return;
    }
    let screen = ui.ctx().content_rect();
    let veil = Area::new(Id::unique("palette_veil"))
        .order(Order::Middle)
        .fixed_pos(screen.min)
        .show(ui.ctx(), |ui| {
            let (rect, response) = ui.allocate_exact_size(screen.size(), Sense::click());
            ui.painter()
                .rect_filled(rect, 0.0, Palette::in_use(ui).veil);
            response
        });
    if veil.inner.clicked() {
        out.push(Command::Palette(PaletteCommand::Toggle));
    }
    Area::new(Id::unique("palette"))
        .order(Order::Foreground)
        .anchor(Align2::CENTER_TOP, vec2(0.0, 4.0 * GROUP_GAP))
        .show(ui.ctx(), |ui| {
            Frame::window(ui.style()).show(ui, |ui| {
                ui.set_width(WIDTH);
                content(ui, state, out);
            });
        });
}

fn content(ui: &mut Ui, state: &AppState, out: &mut Vec<Command>) {
    let mut query = state.palette.query.clone();
    let field = TextEdit::singleline(&mut query)
        .hint_text("Type a command")
        .align(Align2::LEFT_CENTER)
        .desired_width(f32::INFINITY);
    let response = ui.add(field).accessible_name("Command");
    if response.changed() {
        out.push(Command::Palette(PaletteCommand::SetQuery(query)));
    }
    response.request_focus();
    let entries = palette::matching(state);
    if entries.is_empty() {
        ui.weak("No command has these words");
    }
    ScrollArea::vertical()
        .max_height(HEIGHT)
        .auto_shrink([false, true])
        .show(ui, |ui| {
            for (idx, entry) in entries.into_iter().enumerate() {
                row(ui, entry, idx == state.palette.chosen, out);
            }
        });
}

fn row(ui: &mut Ui, entry: Entry, is_chosen: bool, out: &mut Vec<Command>) {
    let button = Button::selectable(is_chosen, entry.title.as_str())
        .shortcut_text(entry.keys.as_str())
        .min_size(vec2(ui.available_width(), ROW_HEIGHT));
    let response = ui.add(button);
    if is_chosen {
        response.scroll_to_me(None);
    }
    if response.clicked() {
        out.push(Command::Palette(PaletteCommand::Toggle));
        out.push(entry.command);
    }
}
