//! Keys: which command a key stands for on the screen shown. Text fields keep their keys.

use egui::Context;
use egui::Event;
use egui::Key;
use egui::Modifiers;

use crate::state::AppState;
use crate::state::Command;
use crate::state::dialogs::Dialog;
use crate::state::keys;
use crate::state::keys::Action;
use crate::state::keys::Chord;
use crate::state::keys::KeysCommand;
use crate::state::keys::Place;
use crate::state::palette;
use crate::state::palette::PaletteCommand;

use super::rate;

/// Turns the keys pressed in this frame into commands.
pub fn read(ctx: &Context, state: &AppState, out: &mut Vec<Command>) {
    if state.rate.sitting.is_some() {
        rate::sitting_keys(ctx, state, out);
        return;
    }
    if state.dialog == Dialog::Keys && state.keys.listening.is_some() {
        listen(ctx, out);
        return;
    }
    if state.palette.is_open {
        palette_keys(ctx, state, out);
    }
    let hands = Hands::of(ctx, state);
    ctx.input_mut(|input| {
        input.events.retain(|event| {
            let command = pressed(event).and_then(|chord| hands.command(state, &chord));
            let is_ours = command.is_some();
            // A key that is held rates once.
            let is_again = matches!(event, Event::Key { repeat: true, .. });
            out.extend(
                command.filter(|command| !(is_again && matches!(command, Command::Rate(_)))),
            );
            !is_ours
        });
    });
}

/// The key that an event presses, as the list of keys names it.
fn pressed(event: &Event) -> Option<Chord> {
    let Event::Key {
        key,
        pressed: true,
        modifiers,
        ..
    } = event
    else {
        return None;
    };
    Some(chord(*key, *modifiers))
}

fn chord(key: Key, modifiers: Modifiers) -> Chord {
    // Symbols in words would be hard to find on the keyboard; arrows as symbols are in no font of ours.
    let symbol = key.symbol_or_name();
    let name = match key {
        Key::Plus => key.name(),
        _ if symbol.is_ascii() => symbol,
        _ => key.name(),
    };
    Chord {
        ctrl: modifiers.command,
        alt: modifiers.alt,
        shift: modifiers.shift,
        key: name.to_owned(),
    }
}

/// Who has the keyboard at the moment.
struct Hands {
    /// A text field.
    is_typing: bool,
    /// A button or the like, which takes Enter and Space itself.
    is_held: bool,
    /// An open menu, which closes itself.
    is_menu_open: bool,
}

impl Hands {
    fn of(ctx: &Context, state: &AppState) -> Self {
        Self {
            is_typing: ctx.egui_wants_keyboard_input(),
            is_held: ctx.memory(|memory| memory.focused().is_some()),
            is_menu_open: egui::Popup::is_any_open(ctx) || state.tags.is_open,
        }
    }

    /// What a key asks for here and now.
    fn command(&self, state: &AppState, chord: &Chord) -> Option<Command> {
        let is_meant = |action: &Action| {
            let known = state.keys.map.chord(*action);
            known.is_some_and(|known| known.is_met_by(chord)) && self.leaves(state, *action, chord)
        };
        Action::all()
            .filter(is_meant)
            .find_map(|action| keys::command(action, state))
    }

    /// Whether a key that stands for an action may be taken for it.
    fn leaves(&self, state: &AppState, action: Action, chord: &Chord) -> bool {
        let is_covered = state.palette.is_open || state.dialog.is_open();
        if action == Action::Back {
            // In a field of a screen it leaves the field; in a dialog it closes the dialog.
            return is_covered || !(self.is_typing || self.is_menu_open);
        }
        if self.is_typing && (chord.is_typed() || action.is_of_fields()) {
            return false;
        }
        if self.is_held && chord.is_click() {
            return false;
        }
        match action.place() {
            Place::Everywhere => !(is_covered && chord.is_typed()),
            place => !is_covered && place.holds_on(state.screen),
        }
    }
}

/// The next key that is pressed goes to the action that waits for one. Escape leaves it as it is.
fn listen(ctx: &Context, out: &mut Vec<Command>) {
    ctx.input_mut(|input| {
        let chord = input.events.iter().find_map(|event| match event {
            Event::Key { key, .. } if is_held_down(*key) => None,
            event => pressed(event),
        });
        if let Some(chord) = chord {
            out.push(Command::Keys(match chord.key.as_str() {
                "Escape" => KeysCommand::StopListening,
                _ => KeysCommand::Press(chord),
            }));
        }
        input
            .events
            .retain(|event| !matches!(event, Event::Key { .. } | Event::Text(_)));
    });
}

/// Whether a key does nothing alone, but with others.
const fn is_held_down(key: Key) -> bool {
    matches!(
        key,
        Key::ShiftLeft
            | Key::ShiftRight
            | Key::ControlLeft
            | Key::ControlRight
            | Key::AltLeft
            | Key::AltRight
            | Key::SuperLeft
            | Key::SuperRight
    )
}

/// Keys of the palette itself, which are those of every list.
fn palette_keys(ctx: &Context, state: &AppState, out: &mut Vec<Command>) {
    let pressed = |key| ctx.input_mut(|input| input.consume_key(Modifiers::NONE, key));
    if pressed(Key::ArrowDown) {
        out.push(Command::Palette(PaletteCommand::Step(1)));
    }
    if pressed(Key::ArrowUp) {
        out.push(Command::Palette(PaletteCommand::Step(-1)));
    }
    if pressed(Key::Enter)
        && let Some(entry) = palette::matching(state)
            .into_iter()
            .nth(state.palette.chosen)
    {
        out.push(Command::Palette(PaletteCommand::Toggle));
        out.push(entry.command);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_names_that_can_be_found_on_the_keyboard() {
        let ctrl_shift = Modifiers::COMMAND | Modifiers::SHIFT;
        for (key, modifiers, words) in [
            (Key::Z, ctrl_shift, "Ctrl+Shift+Z"),
            (Key::ArrowLeft, Modifiers::NONE, "Left"),
            (Key::OpenBracket, Modifiers::NONE, "["),
            (Key::Slash, Modifiers::NONE, "/"),
            (Key::Plus, Modifiers::NONE, "Plus"),
            (Key::Num1, Modifiers::ALT, "Alt+1"),
        ] {
            assert_eq!(chord(key, modifiers).to_string(), words);
        }
    }

    #[test]
    fn every_first_key_is_a_key_of_the_toolkit() {
        let map = keys::Keymap::default();
        for action in Action::all() {
            let first = map.chord(action).map(|chord| chord.key).unwrap_or_default();
            assert!(Key::from_name(&first).is_some(), "{action:?}: {first}");
        }
    }
}
