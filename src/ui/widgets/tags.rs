//! Tags of the selected pictures: a button, and the list behind it in which one types and ticks.

use egui::Align2;
use egui::Button;
use egui::Checkbox;
use egui::Key;
use egui::Popup;
use egui::PopupCloseBehavior;
use egui::ScrollArea;
use egui::TextEdit;
use egui::Ui;

use crate::state::AppState;
use crate::state::Command;
use crate::state::actions::grouped;
use crate::state::command::Target;
use crate::state::keys::Action;
use crate::state::tags;
use crate::state::tags::TagsCommand;
use crate::state::tags::Tally;

/// Width of the list.
const WIDTH: f32 = 280.0;

/// Height of the list before it scrolls.
const HEIGHT: f32 = 280.0;

/// Draws the button, and the list while it is open.
pub fn button(ui: &mut Ui, state: &AppState, out: &mut Vec<Command>) {
    let number = state.selection.images.len();
    let name = match number {
        0 | 1 => "Tag the picture…".to_owned(),
        number => format!("Tag {} images…", grouped(number)),
    };
    let hint = state.keys.map.hint(
        "Put a tag on the selected pictures or take it off",
        Action::Tag,
    );
    let response = ui
        .add_enabled(number > 0, Button::new("Tag…").selected(state.tags.is_open))
        .accessible_name(name)
        .on_hover_text(hint)
        .on_disabled_hover_text("Select a picture first");
    let mut is_open = state.tags.is_open && number > 0;
    if response.clicked() {
        is_open = !is_open;
    }
    Popup::from_response(&response)
        .open_bool(&mut is_open)
        .close_behavior(PopupCloseBehavior::CloseOnClickOutside)
        .show(|ui| {
            ui.set_width(WIDTH);
            list(ui, state, out);
        });
    if is_open != state.tags.is_open {
        out.push(Command::Tags(match is_open {
            true => TagsCommand::Open,
            false => TagsCommand::Close,
        }));
    }
}

fn list(ui: &mut Ui, state: &AppState, out: &mut Vec<Command>) {
    let mut text = state.tags.text.clone();
    let field = TextEdit::singleline(&mut text)
        .hint_text("Type a tag, Enter puts it on or takes it off")
        .align(Align2::LEFT_CENTER)
        .desired_width(f32::INFINITY);
    let response = ui.add(field).accessible_name("Known or new tag");
    if response.changed() {
        out.push(Command::Tags(TagsCommand::SetText(text)));
    }
    let is_entered = response.lost_focus() && ui.input(|input| input.key_pressed(Key::Enter));
    if is_entered && let Some(tag) = tags::entered(state) {
        let is_on_all = tags::tallies(state)
            .iter()
            .any(|tally| tally.tag == tag && tally.is_on_all());
        put(state, tag, !is_on_all, out);
        out.push(Command::Tags(TagsCommand::SetText(String::new())));
    }
    // What is typed belongs here as long as the list is open.
    response.request_focus();
    let tallies = tags::tallies(state);
    if tallies.is_empty() {
        ui.weak(match state.tags.typed() {
            Some(tag) => format!("\"{tag}\" is a new tag"),
            None => "No picture has a tag yet".to_owned(),
        });
    }
    ScrollArea::vertical()
        .max_height(HEIGHT)
        .auto_shrink([false, true])
        .show(ui, |ui| {
            ui.spacing_mut().item_spacing.y = 0.0;
            for tally in &tallies {
                row(ui, state, tally, out);
            }
        });
    ui.weak("Undo takes the last tag back.");
}

fn row(ui: &mut Ui, state: &AppState, tally: &Tally, out: &mut Vec<Command>) {
    let mut is_on = tally.is_on_all();
    let is_mixed = tally.num_tagged > 0 && !is_on;
    let words = match tally.num_images {
        1 => tally.tag.clone(),
        all => format!(
            "{}  ({} of {})",
            tally.tag,
            grouped(tally.num_tagged),
            grouped(all)
        ),
    };
    let checkbox = Checkbox::new(&mut is_on, words).indeterminate(is_mixed);
    if ui.add(checkbox).clicked() {
        put(state, tally.tag.clone(), !tally.is_on_all(), out);
    }
}

fn put(state: &AppState, tag: String, on: bool, out: &mut Vec<Command>) {
    out.push(Command::SetTag {
        target: Target::Images(tags::tagged(state)),
        tag,
        on,
    });
}
