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

use crate::domain::Aspect;
use crate::state::AppState;
use crate::state::Command;
use crate::state::actions::grouped;
use crate::state::inspect::InspectCommand;
use crate::state::inspect::Zoom;
use crate::state::selection::SelectionCommand;

use super::panel;
use super::textures::Textures;
use super::tokens::Palette;

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
        let step = |by| Command::Selection(SelectionCommand::Step(by));
        if ui.button("Previous").on_hover_text("Left").clicked() {
            out.push(step(-1));
        }
        if ui.button("Next").on_hover_text("Right").clicked() {
            out.push(step(1));
        }
        let is_fit = state.inspect.zoom == Zoom::Fit;
        let is_one = state.inspect.zoom == Zoom::Scale(1.0);
        for (is_on, words, hint, command) in [
            (is_fit, "Fit", "F", InspectCommand::Fit),
            (is_one, "1:1", "1", InspectCommand::OneToOne),
        ] {
            if ui
                .add(Button::selectable(is_on, words))
                .on_hover_text(hint)
                .clicked()
            {
                out.push(Command::Picture(command));
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
        ui.horizontal(|ui| {
            ui.strong(row.record.file_name());
            if let Some(generator) = &row.record.generator {
                super::widgets::chip::chip(ui, generator, "The model that made the picture");
            }
            for tag in &row.record.tags {
                super::widgets::chip::chip(ui, tag, "Tag");
            }
        });
        if let Some(reason) = row.record.file.reason() {
            ui.colored_label(Palette::in_use(ui).error, reason);
        }
        panel::prompt(ui, state, row, out);
        let mut is_open = state.inspect.is_conversation_unfolded;
        let words = "Show requests and answers word for word";
        if ui
            .checkbox(&mut is_open, words)
            .on_hover_text("C")
            .changed()
        {
            out.push(Command::Picture(InspectCommand::ToggleConversation));
        }
        for aspect in Aspect::ALL {
            conversation::aspect_ui(ui, (state, project, row), aspect, out);
        }
    });
}
