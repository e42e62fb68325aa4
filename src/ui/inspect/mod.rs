//! Inspect: one picture down to its pixels, and everything that was said about it.

mod conversation;
mod picture;

use egui::Button;
use egui::CentralPanel;
use egui::Frame;
use egui::Margin;
use egui::Panel;
use egui::ScrollArea;
use egui::Ui;

use crate::domain::{Aspect, Origin};
use crate::state::AppState;
use crate::state::Command;
use crate::state::Row;
use crate::state::actions::grouped;
use crate::state::inspect;
use crate::state::inspect::InspectCommand;
use crate::state::inspect::Zoom;
use crate::state::keys;
use crate::state::keys::Action;

use super::panel;
use super::textures::Textures;
use super::tokens::GAP;
use super::tokens::Palette;
use super::widgets::chip;
use super::widgets::tags;

pub(super) use picture::paint_tiles;
pub(super) use picture::show as picture_ui;

/// Draws the screen.
pub fn show(ui: &mut Ui, state: &AppState, textures: &mut Textures, out: &mut Vec<Command>) {
    let palette = Palette::in_use(ui);
    let bar = Frame::new()
        .fill(palette.panel)
        .inner_margin(Margin::symmetric(12, 8));
    let width = ui.available_width();
    Panel::right("inspect_column")
        .resizable(true)
        .default_size((width * 0.46).clamp(360.0, 760.0))
        .min_size(320.0)
        .max_size((width - 280.0).max(320.0))
        .frame(bar)
        .show(ui, |ui| column(ui, state, out));
    Panel::bottom("inspect_bar")
        .frame(bar)
        .show(ui, |ui| toolbar(ui, state, out));
    CentralPanel::default()
        .frame(Frame::new().fill(palette.ground))
        .show(ui, |ui| {
            picture::show(ui, state, textures, out);
        });
}

fn toolbar(ui: &mut Ui, state: &AppState, out: &mut Vec<Command>) {
    ui.horizontal(|ui| {
        let keys = &state.keys.map;
        for (words, action) in [("Previous", Action::Previous), ("Next", Action::Next)] {
            let hint = keys.hint(action.title(), action);
            if ui.button(words).on_hover_text(hint).clicked() {
                out.extend(keys::command(action, state));
            }
        }
        let is_fit = state.inspect.zoom == Zoom::Fit;
        let is_one = state.inspect.zoom == Zoom::Scale(1.0);
        for (is_on, words, action) in [
            (is_fit, "Fit", Action::Fit),
            (is_one, "1:1", Action::OneToOne),
        ] {
            let hint = keys.hint(action.title(), action);
            let button = Button::selectable(is_on, words);
            if ui.add(button).on_hover_text(hint).clicked() {
                out.extend(keys::command(action, state));
            }
        }
        if let Zoom::Scale(scale) = state.inspect.zoom {
            ui.weak(format!("{:.0} %", scale * 100.0));
        }
        place(ui, state);
    });
}

fn place(ui: &mut Ui, state: &AppState) {
    let (Some(project), Some(image)) = (&state.project, state.selection.focus) else {
        return;
    };
    if let Some(position) = state.view.position(project, image) {
        let all = grouped(state.view.visible.len());
        ui.weak(format!("{} of {all}", grouped(position + 1)));
    }
    if let Some(row) = state.focused()
        && let crate::domain::FileState::Present { width, height, .. } = row.record.file
    {
        ui.weak(format!("{width} × {height} pixels"));
    }
}

fn column(ui: &mut Ui, state: &AppState, out: &mut Vec<Command>) {
    let (Some(project), Some(row)) = (&state.project, state.focused()) else {
        ui.weak("Select a picture in the gallery.");
        return;
    };
    ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
        // The bar lies over the content.
        ui.set_max_width(ui.available_width() - GAP);
        head(ui, state, row, out);
        panel::prompt(ui, state, row, out);
        ui.horizontal_wrapped(|ui| told_by(ui, state, row, out));
        for aspect in Aspect::ALL {
            conversation::aspect_ui(ui, (state, project, row), aspect, out);
        }
    });
}

/// Name, facts and tags of the picture.
fn head(ui: &mut Ui, state: &AppState, row: &Row, out: &mut Vec<Command>) {
    ui.horizontal_wrapped(|ui| {
        ui.strong(row.record.file_name())
            .on_hover_text(&row.record.path);
        if let Some(generator) = &row.record.generator {
            chip::chip(ui, generator, "The model that made the picture");
        }
        if let Some(reason) = row.record.file.reason() {
            chip::warning(ui, "no picture", reason);
        }
        for tag in &row.record.tags {
            chip::chip(ui, tag, "Tag");
        }
        tags::button(ui, state, out);
    });
}

/// Whose descriptions are shown, and how much of the conversation.
fn told_by(ui: &mut Ui, state: &AppState, row: &Row, out: &mut Vec<Command>) {
    let keys = &state.keys.map;
    let origins = inspect::origins(row);
    if origins.len() > 1 {
        let only = state.inspect.only_origin(&origins);
        let all = std::iter::once(None).chain(origins.into_iter().map(Some));
        let hint = keys.hint("Next", Action::NextOrigin);
        for origin in all {
            let words = origin.map_or("Side by side", Origin::name);
            let button = Button::selectable(only == origin, words);
            if ui.add(button).on_hover_text(&hint).clicked() {
                out.push(Command::Picture(InspectCommand::SetOrigin(origin)));
            }
        }
    }
    let mut is_open = state.inspect.is_conversation_unfolded;
    let words = "Requests and answers word for word";
    let hint = keys.hint("The conversation as it happened", Action::Conversation);
    if ui
        .checkbox(&mut is_open, words)
        .on_hover_text(hint)
        .changed()
    {
        out.push(Command::Picture(InspectCommand::ToggleConversation));
    }
}
