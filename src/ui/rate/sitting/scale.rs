//! The answers: five words, a continuous scale, or left, right and neither; and what became of the last one.

use egui::Button;
use egui::RichText;
use egui::Ui;
use egui::vec2;

use crate::domain::{Method, PairChoice, VoteValue};
use crate::state::AppState;
use crate::state::Command;
use crate::state::rate::Moment;
use crate::state::rate::SittingCommand;
use crate::state::rate::sitting::PATIENCE_MS;
use crate::state::rate::sitting::Pending;
use crate::state::rate::sitting::Showing;
use crate::state::rate::sitting::Sitting;
use crate::ui::tokens::BODY;
use crate::ui::tokens::GAP;
use crate::ui::tokens::ROW_HEIGHT;
use crate::ui::tokens::SMALL;
use crate::ui::tokens::STUDY;

use super::command;
use super::slider;

/// Width of a word's button.
const WORD_WIDTH: f32 = 136.0;

/// Width of a comparison's button.
const SIDE_WIDTH: f32 = 200.0;

/// Width of the line about an answer that is not saved.
const UNSAVED_WIDTH: f32 = 620.0;

/// Height of an answer's button.
const HEIGHT: f32 = 48.0;

/// Height of the answers with the line below.
pub(super) const WHOLE_HEIGHT: f32 = HEIGHT + GAP + ROW_HEIGHT;

/// Draws the scale of the method with its keys.
pub(super) fn show(
    ui: &mut Ui,
    state: &AppState,
    (sitting, showing, is_scrolled): (&Sitting, &Showing, bool),
    out: &mut Vec<Command>,
) {
    let now = state.rate.now;
    wake(ui, sitting, now);
    let is_open = sitting.is_open(now);
    match sitting.protocol().method {
        Method::Acr5 => words(ui, sitting, is_open, out),
        Method::Continuous => slider::show(ui, sitting, (showing, is_open), out),
        Method::Pairs => pairs(ui, sitting, is_open, out),
    }
    foot(ui, (sitting, is_scrolled), now, out);
}

/// Asks for a frame at the moment when answers open, and when patience with an unsaved one ends.
fn wake(ui: &Ui, sitting: &Sitting, now: Moment) {
    let in_ms = |ms: u64| ui.request_repaint_after(std::time::Duration::from_millis(ms));
    if let Some(left) = sitting.dwell_left(now).filter(|&left| left > 0) {
        in_ms(left);
    }
    if let Some(pending) = &sitting.pending {
        in_ms(PATIENCE_MS.saturating_sub(now.since(pending.since)).max(50));
    }
}

/// Buttons of one width in the middle of the line.
fn row(ui: &mut Ui, num: usize, width: f32, content: impl FnOnce(&mut Ui)) {
    let whole = num as f32 * width + (num - 1) as f32 * GAP;
    ui.horizontal(|ui| {
        ui.add_space(((ui.available_width() - whole) / 2.0).max(0.0));
        content(ui);
    });
}

/// An answer with its key; marked once it is given.
fn answer(
    ui: &mut Ui,
    (words, key): (&str, &str),
    (value, width): (VoteValue, f32),
    (sitting, is_open): (&Sitting, bool),
    out: &mut Vec<Command>,
) {
    let is_given = sitting
        .pending
        .as_ref()
        .is_some_and(|pending| pending.vote.value == value && pending.vote.undo_of.is_none());
    let label = RichText::new(words).size(BODY + 2.0);
    let key = RichText::new(key).size(SMALL).color(STUDY.faint);
    let button = Button::new((label, key))
        .selected(is_given)
        .min_size(vec2(width, HEIGHT));
    if ui.add_enabled(is_open, button).clicked() {
        out.push(command(SittingCommand::Answer(value)));
    }
}

fn words(ui: &mut Ui, sitting: &Sitting, is_open: bool, out: &mut Vec<Command>) {
    row(ui, Method::WORDS.len(), WORD_WIDTH, |ui| {
        for (idx, word) in Method::WORDS.iter().enumerate() {
            let number = idx + 1;
            let value = VoteValue::Score(number as f64);
            answer(
                ui,
                (word, &number.to_string()),
                (value, WORD_WIDTH),
                (sitting, is_open),
                out,
            );
        }
    });
}

fn pairs(ui: &mut Ui, sitting: &Sitting, is_open: bool, out: &mut Vec<Command>) {
    let answers = [
        ("Left", "Left arrow", PairChoice::Left),
        ("No difference", "Down", PairChoice::Tie),
        ("Right", "Right arrow", PairChoice::Right),
    ];
    row(ui, answers.len(), SIDE_WIDTH, |ui| {
        for (words, key, choice) in answers {
            let value = VoteValue::Pair(choice);
            answer(
                ui,
                (words, key),
                (value, SIDE_WIDTH),
                (sitting, is_open),
                out,
            );
        }
    });
}

/// The line below: the keys, or what keeps the last answer from being saved.
fn foot(
    ui: &mut Ui,
    (sitting, is_scrolled): (&Sitting, bool),
    now: Moment,
    out: &mut Vec<Command>,
) {
    let late = sitting
        .pending
        .as_ref()
        .filter(|pending| pending.failure.is_some() || now.since(pending.since) > PATIENCE_MS);
    // As high with a message as without, so that the picture stays where it is.
    ui.allocate_ui(vec2(ui.available_width(), ROW_HEIGHT), |ui| {
        ui.set_min_height(ROW_HEIGHT);
        match late {
            None => {
                let mut words = super::key_words(sitting.protocol().method).to_owned();
                if is_scrolled {
                    words.push_str(", Space reads on in the prompt");
                }
                ui.vertical_centered(|ui| {
                    ui.add_space(GAP / 2.0);
                    ui.label(RichText::new(words).size(SMALL).color(STUDY.faint));
                });
            }
            Some(pending) => unsaved(ui, pending, out),
        }
    });
}

fn unsaved(ui: &mut Ui, pending: &Pending, out: &mut Vec<Command>) {
    // Never the reason itself: it names files, and files name generators. The jobs strip has it.
    let words = match &pending.failure {
        Some(_) => "Your answer is not saved yet: the disk is full or away. Please call for help",
        None => "Your answer is not saved yet: the disk does not answer",
    };
    row(ui, 1, UNSAVED_WIDTH, |ui| {
        if ui.button("Try again").on_hover_text("Enter").clicked() {
            out.push(command(SittingCommand::TryAgain));
        }
        ui.label(RichText::new(words).color(STUDY.error));
    });
}
