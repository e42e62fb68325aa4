//! Keys: which command a key stands for on the screen shown. Text fields keep their keys.

use egui::Context;
use egui::Key;
use egui::Modifiers;

use crate::state::AppState;
use crate::state::Command;
use crate::state::Screen;
use crate::state::dialogs::DialogCommand;
use crate::state::gallery::GalleryCommand;
use crate::state::inspect::InspectCommand;
use crate::state::palette;
use crate::state::palette::PaletteCommand;
use crate::state::selection::SelectionCommand;

/// Pictures that Page Up and Page Down pass, in rows.
const PAGE_ROWS: isize = 4;

/// Turns the keys pressed in this frame into commands.
pub fn read(ctx: &Context, state: &AppState, out: &mut Vec<Command>) {
    everywhere(ctx, state, out);
    if state.palette.is_open {
        palette_keys(ctx, state, out);
        return;
    }
    // In a field of a screen, Escape leaves the field; in a dialog it closes the dialog.
    let is_typing = ctx.egui_wants_keyboard_input() && !state.dialog.is_open();
    // An open menu closes itself.
    let is_menu_open = egui::Popup::is_any_open(ctx);
    if !is_typing && !is_menu_open && pressed(ctx, Modifiers::NONE, Key::Escape) {
        out.push(Command::Back);
    }
    let is_free = !ctx.egui_wants_keyboard_input() && !state.dialog.is_open();
    if is_free && state.project.is_some() {
        browsing(ctx, state, out);
        if state.screen == Screen::Inspect {
            inspecting(ctx, out);
        }
    }
}

fn pressed(ctx: &Context, modifiers: Modifiers, key: Key) -> bool {
    ctx.input_mut(|input| input.consume_key(modifiers, key))
}

/// Keys with a modifier work while typing, too.
fn everywhere(ctx: &Context, state: &AppState, out: &mut Vec<Command>) {
    let ctrl = Modifiers::COMMAND;
    let table = [
        (Key::K, Command::Palette(PaletteCommand::Toggle)),
        (Key::O, Command::Dialog(DialogCommand::Open)),
        (Key::T, Command::SetTheme(state.theme.other())),
        (Key::B, Command::TogglePanel),
        (Key::Q, Command::Quit),
    ];
    // A field keeps its own undo.
    let is_free = !ctx.egui_wants_keyboard_input();
    if is_free && pressed(ctx, ctrl.plus(Modifiers::SHIFT), Key::Z) {
        out.push(Command::Redo);
    }
    if is_free && pressed(ctx, ctrl, Key::Z) {
        out.push(Command::Undo);
    }
    for (key, command) in table {
        if pressed(ctx, ctrl, key) {
            out.push(command);
        }
    }
    if state.project.is_some() && pressed(ctx, ctrl, Key::E) {
        out.push(Command::Dialog(DialogCommand::Export));
    }
    if pressed(ctx, Modifiers::NONE, Key::F1) {
        out.push(Command::Dialog(DialogCommand::Keys));
    }
    let digits = [Key::Num1, Key::Num2, Key::Num3, Key::Num4, Key::Num5];
    for (screen, key) in Screen::NAVIGATION.into_iter().zip(digits) {
        if pressed(ctx, Modifiers::ALT, key) {
            out.push(Command::Show(screen));
        }
    }
}

fn palette_keys(ctx: &Context, state: &AppState, out: &mut Vec<Command>) {
    if pressed(ctx, Modifiers::NONE, Key::Escape) {
        out.push(Command::Back);
    }
    if pressed(ctx, Modifiers::NONE, Key::ArrowDown) {
        out.push(Command::Palette(PaletteCommand::Step(1)));
    }
    if pressed(ctx, Modifiers::NONE, Key::ArrowUp) {
        out.push(Command::Palette(PaletteCommand::Step(-1)));
    }
    if pressed(ctx, Modifiers::NONE, Key::Enter)
        && let Some(entry) = palette::matching(state)
            .into_iter()
            .nth(state.palette.chosen)
    {
        out.push(Command::Palette(PaletteCommand::Toggle));
        out.push(entry.command);
    }
}

fn browsing(ctx: &Context, state: &AppState, out: &mut Vec<Command>) {
    let row = match state.screen {
        Screen::Gallery => state.gallery.columns as isize,
        _ => 1,
    };
    let steps = [
        (Key::ArrowLeft, -1),
        (Key::ArrowRight, 1),
        (Key::ArrowUp, -row),
        (Key::ArrowDown, row),
        (Key::PageUp, -row * PAGE_ROWS),
        (Key::PageDown, row * PAGE_ROWS),
    ];
    for (key, by) in steps {
        if pressed(ctx, Modifiers::NONE, key) {
            out.push(Command::Selection(SelectionCommand::Step(by)));
        }
    }
    let table = [
        (Key::Home, Command::Selection(SelectionCommand::First)),
        (Key::End, Command::Selection(SelectionCommand::Last)),
        (Key::F5, Command::Gallery(GalleryCommand::Refresh)),
        (Key::Slash, Command::Gallery(GalleryCommand::FocusSearch)),
    ];
    for (key, command) in table {
        if pressed(ctx, Modifiers::NONE, key) {
            out.push(command);
        }
    }
    if pressed(ctx, Modifiers::COMMAND, Key::A) {
        out.push(Command::Selection(SelectionCommand::All));
    }
    // A button that has the keyboard takes Enter and Space itself.
    let is_held = ctx.memory(|memory| memory.focused().is_some());
    if is_held {
        return;
    }
    if pressed(ctx, Modifiers::NONE, Key::Space) && state.screen == Screen::Gallery {
        out.push(Command::Gallery(GalleryCommand::TogglePreview));
    }
    if state.screen != Screen::Inspect
        && let Some(image) = state.selection.focus
        && pressed(ctx, Modifiers::NONE, Key::Enter)
    {
        out.push(Command::Inspect(image));
    }
}

fn inspecting(ctx: &Context, out: &mut Vec<Command>) {
    let table = [
        (Key::F, InspectCommand::Fit),
        (Key::Num1, InspectCommand::OneToOne),
        (Key::C, InspectCommand::ToggleConversation),
        (Key::P, InspectCommand::TogglePrompt),
    ];
    for (key, command) in table {
        if pressed(ctx, Modifiers::NONE, key) {
            out.push(Command::Picture(command));
        }
    }
}
