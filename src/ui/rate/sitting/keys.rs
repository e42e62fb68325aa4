//! Keys of a sitting. Held keys answer once; Space reads on in a long prompt; Tab and everything else do nothing.

use egui::Context;
use egui::Event;
use egui::Key;
use egui::Modifiers;

use crate::domain::{Method, PairChoice, VoteValue};
use crate::state::AppState;
use crate::state::Command;
use crate::state::rate::SittingCommand;
use crate::state::rate::sitting::Sitting;
use crate::state::rate::sitting::Step;

use super::command;
use super::prompt;
use super::prompt::Scroll;

/// Digits with their keys.
const DIGITS: [Key; 10] = [
    Key::Num0,
    Key::Num1,
    Key::Num2,
    Key::Num3,
    Key::Num4,
    Key::Num5,
    Key::Num6,
    Key::Num7,
    Key::Num8,
    Key::Num9,
];

/// Turns the keys pressed in this frame into commands.
pub(in crate::ui) fn read(ctx: &Context, state: &AppState, out: &mut Vec<Command>) {
    let Some(sitting) = &state.rate.sitting else {
        return;
    };
    if pressed(ctx, Modifiers::COMMAND, Key::Q) {
        out.push(Command::Quit);
    }
    if pressed(ctx, Modifiers::NONE, Key::Escape) {
        out.push(command(SittingCommand::Leave));
    }
    let enter = pressed(ctx, Modifiers::NONE, Key::Enter);
    match &sitting.step {
        Step::Name if enter => out.push(command(SittingCommand::Begin)),
        Step::Name => {}
        Step::Instructions | Step::Question(_) | Step::Break { .. } if enter => {
            out.push(command(SittingCommand::GoOn));
        }
        Step::Thanks if enter => out.push(command(SittingCommand::NextRater)),
        Step::Instructions | Step::Question(_) | Step::Break { .. } | Step::Thanks => {
            back(ctx, out);
        }
        Step::Trial(_) => trial(ctx, sitting, enter, out),
    }
}

fn trial(ctx: &Context, sitting: &Sitting, enter: bool, out: &mut Vec<Command>) {
    back(ctx, out);
    let has_failed = sitting
        .pending
        .as_ref()
        .is_some_and(|pending| pending.failure.is_some());
    if enter && has_failed {
        out.push(command(SittingCommand::TryAgain));
    }
    match sitting.protocol().method {
        Method::Acr5 => words(ctx, out),
        Method::Continuous => continuous(ctx, enter, out),
        Method::Pairs => pairs(ctx, out),
    }
    read_on(ctx, sitting.protocol().method);
    // A button that was clicked before would take these.
    for key in [Key::Tab, Key::Enter] {
        pressed(ctx, Modifiers::NONE, key);
    }
    pressed(ctx, Modifiers::SHIFT, Key::Tab);
}

/// Keys that scroll the prompt: Space for every method, and what the method's answers leave free. Held ones go on.
fn read_on(ctx: &Context, method: Method) {
    let mut table = vec![(Modifiers::SHIFT, Key::Space, Scroll::Pages(-1.0))];
    if method != Method::Continuous {
        table.push((Modifiers::NONE, Key::PageDown, Scroll::Pages(1.0)));
        table.push((Modifiers::NONE, Key::PageUp, Scroll::Pages(-1.0)));
    }
    if method == Method::Acr5 {
        table.push((Modifiers::NONE, Key::ArrowDown, Scroll::Lines(1.0)));
        table.push((Modifiers::NONE, Key::ArrowUp, Scroll::Lines(-1.0)));
    }
    for (modifiers, key, scroll) in table {
        if ctx.input_mut(|input| input.consume_key(modifiers, key)) {
            prompt::ask(ctx, scroll);
        }
    }
    // After the table: Space alone would take Shift with Space too.
    if pressed(ctx, Modifiers::NONE, Key::Space) {
        prompt::ask(ctx, Scroll::ReadOn);
    }
}

fn back(ctx: &Context, out: &mut Vec<Command>) {
    let is_back =
        pressed(ctx, Modifiers::NONE, Key::Backspace) || pressed(ctx, Modifiers::COMMAND, Key::Z);
    if is_back {
        out.push(command(SittingCommand::TakeBack));
    }
}

fn words(ctx: &Context, out: &mut Vec<Command>) {
    for (digit, key) in DIGITS.into_iter().enumerate().skip(1).take(5) {
        if pressed(ctx, Modifiers::NONE, key) {
            let value = VoteValue::Score(digit as f64);
            out.push(command(SittingCommand::Answer(value)));
        }
    }
}

fn continuous(ctx: &Context, enter: bool, out: &mut Vec<Command>) {
    for (digit, key) in DIGITS.into_iter().enumerate() {
        if pressed(ctx, Modifiers::NONE, key) {
            out.push(command(SittingCommand::Digit(digit as u8)));
        }
    }
    let steps = [
        (Key::ArrowLeft, -1),
        (Key::ArrowRight, 1),
        (Key::ArrowDown, -1),
        (Key::ArrowUp, 1),
        (Key::PageDown, -5),
        (Key::PageUp, 5),
    ];
    for (key, tenths) in steps {
        // Held arrows move on.
        if ctx.input_mut(|input| input.consume_key(Modifiers::NONE, key)) {
            out.push(command(SittingCommand::Nudge(tenths)));
        }
    }
    for (key, score) in [(Key::Home, 0.0), (Key::End, 5.0)] {
        if pressed(ctx, Modifiers::NONE, key) {
            out.push(command(SittingCommand::Slide(score)));
        }
    }
    if enter {
        out.push(command(SittingCommand::Confirm));
    }
}

fn pairs(ctx: &Context, out: &mut Vec<Command>) {
    let table = [
        (Key::ArrowLeft, PairChoice::Left),
        (Key::Num1, PairChoice::Left),
        (Key::ArrowRight, PairChoice::Right),
        (Key::Num2, PairChoice::Right),
        (Key::ArrowDown, PairChoice::Tie),
        (Key::Num0, PairChoice::Tie),
    ];
    for (key, choice) in table {
        if pressed(ctx, Modifiers::NONE, key) {
            out.push(command(SittingCommand::Answer(VoteValue::Pair(choice))));
        }
    }
}

/// Whether a key went down in this frame. A key that is held goes down once: otherwise one answer would fall on the
/// next picture too.
fn pressed(ctx: &Context, modifiers: Modifiers, key: Key) -> bool {
    ctx.input_mut(|input| {
        let mut is_fresh = false;
        input.events.retain(|event| match event {
            Event::Key {
                key: pressed,
                pressed: true,
                repeat,
                modifiers: held,
                ..
            } if *pressed == key && held.matches_logically(modifiers) => {
                is_fresh |= !repeat;
                false
            }
            _ => true,
        });
        is_fresh
    })
}
