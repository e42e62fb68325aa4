//! The list of keys: those of this screen, or of all; each can be given another key.

use egui::Button;
use egui::Grid;
use egui::ScrollArea;
use egui::Ui;
use egui::vec2;

use crate::state::AppState;
use crate::state::Command;
use crate::state::keys::Action;
use crate::state::keys::Conflict;
use crate::state::keys::KeysCommand;
use crate::state::keys::Place;

use super::tokens::GAP;
use super::tokens::Palette;
use super::tokens::ROW_HEIGHT;
use super::tokens::STEP;

/// Height that the window keeps around the list.
const AROUND: f32 = 260.0;

/// Width of a key's button.
const KEY_WIDTH: f32 = 128.0;

/// Width of an action's name.
const TITLE_WIDTH: f32 = 280.0;

/// Draws the content of the dialog.
pub(super) fn show(ui: &mut Ui, state: &AppState, out: &mut Vec<Command>) {
    ui.heading("Keys");
    ui.horizontal(|ui| head(ui, state, out));
    if let Some(conflict) = &state.keys.conflict {
        ask(ui, conflict, out);
    }
    ui.add_space(GAP);
    // One height from the first frame on: a dialog that grows moves away from under the pointer.
    let height = (ui.ctx().content_rect().height() - AROUND).max(AROUND);
    ScrollArea::vertical()
        .max_height(height)
        .min_scrolled_height(height)
        .auto_shrink(false)
        .show(ui, |ui| {
            for place in Place::ALL {
                if state.keys.is_whole || place.holds_on(state.screen) {
                    section(ui, state, place, out);
                }
            }
            ui.weak("Shift and click selects a row of pictures, Ctrl and click one more. The wheel zooms in Inspect.");
        });
}

fn head(ui: &mut Ui, state: &AppState, out: &mut Vec<Command>) {
    let of_screen = format!("Of {}", state.screen.title());
    for (words, is_whole) in [(of_screen.as_str(), false), ("Of every screen", true)] {
        let is_on = state.keys.is_whole == is_whole;
        if ui.add(Button::selectable(is_on, words)).clicked() && !is_on {
            out.push(Command::Keys(KeysCommand::ToggleWhole));
        }
    }
    if state.keys.map.is_any_changed() && ui.button("Reset all").clicked() {
        out.push(Command::Keys(KeysCommand::ResetAll));
    }
}

/// Names whose key it is, and lets the user decide.
fn ask(ui: &mut Ui, conflict: &Conflict, out: &mut Vec<Command>) {
    let Conflict {
        action,
        chord,
        rival,
    } = conflict;
    let words = format!("{chord} is the key of \"{}\" already.", rival.title());
    ui.horizontal_wrapped(|ui| {
        ui.colored_label(Palette::in_use(ui).warning, words);
        let take = format!("Use it for \"{}\"", action.title());
        if ui
            .button(take)
            .on_hover_text("The other one is left without a key")
            .clicked()
        {
            out.push(Command::Keys(KeysCommand::TakeOver));
        }
        if ui.button("Press another key").clicked() {
            out.push(Command::Keys(KeysCommand::Listen(*action)));
        }
    });
}

fn section(ui: &mut Ui, state: &AppState, place: Place, out: &mut Vec<Command>) {
    ui.strong(place.title());
    let actions = Action::all().filter(|action| action.place() == place);
    Grid::new(("keys", place.title()))
        .num_columns(3)
        .striped(true)
        .spacing(vec2(GAP, STEP / 2.0))
        .show(ui, |ui| {
            for action in actions {
                row(ui, state, action, out);
                ui.end_row();
            }
        });
    ui.add_space(GAP);
}

fn row(ui: &mut Ui, state: &AppState, action: Action, out: &mut Vec<Command>) {
    let map = &state.keys.map;
    ui.scope(|ui| {
        ui.set_min_width(TITLE_WIDTH);
        ui.label(action.title());
    });
    let is_listening = state.keys.listening == Some(action);
    let key = map.words(action);
    let words = match (is_listening, key.is_empty()) {
        (true, _) => "Press a key…",
        (false, true) => "none",
        (false, false) => &key,
    };
    let button = Button::new(words)
        .selected(is_listening)
        .min_size(vec2(KEY_WIDTH, ROW_HEIGHT));
    let response = ui
        .add(button)
        .accessible_name(format!("Key of {}: {words}", action.title()))
        .on_hover_text("Click, then press the new key. Escape leaves it as it is.");
    if response.clicked() {
        out.push(Command::Keys(if is_listening {
            KeysCommand::StopListening
        } else {
            KeysCommand::Listen(action)
        }));
    }
    ui.horizontal(|ui| change(ui, state, action, out));
}

fn change(ui: &mut Ui, state: &AppState, action: Action, out: &mut Vec<Command>) {
    let map = &state.keys.map;
    if map.is_changed(action)
        && ui
            .small_button("Reset")
            .accessible_name(format!("Reset the key of {}", action.title()))
            .on_hover_text("The first key again")
            .clicked()
    {
        out.push(Command::Keys(KeysCommand::Reset(action)));
    }
    let is_listening = state.keys.listening == Some(action);
    if is_listening && ui.small_button("No key").clicked() {
        out.push(Command::Keys(KeysCommand::Clear(action)));
    }
    // Settings from elsewhere may give two actions one key.
    if let Some(rival) = map
        .chord(action)
        .and_then(|chord| map.rival(action, &chord))
    {
        let words = format!("also: {}", rival.title());
        ui.colored_label(Palette::in_use(ui).warning, words);
    }
}
