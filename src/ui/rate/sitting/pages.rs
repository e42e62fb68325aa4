//! What stands between trials: the rater's name, the instructions, a new question, a break, thanks.

use egui::Align;
use egui::Button;
use egui::Frame;
use egui::Label;
use egui::Layout;
use egui::Margin;
use egui::RichText;
use egui::ScrollArea;
use egui::TextEdit;
use egui::Ui;
use egui::vec2;

use crate::domain::Aspect;
use crate::state::AppState;
use crate::state::Command;
use crate::state::actions::grouped;
use crate::state::rate::SittingCommand;
use crate::state::rate::sitting::Sitting;
use crate::state::rate::sitting::Step;
use crate::ui::tokens::GAP;
use crate::ui::tokens::GROUP_GAP;
use crate::ui::tokens::HEADING;
use crate::ui::tokens::QUESTION;
use crate::ui::tokens::RADIUS;
use crate::ui::tokens::ROW_HEIGHT;
use crate::ui::tokens::SMALL;
use crate::ui::tokens::STUDY;

use super::command;

/// Width of a page's card.
const WIDTH: f32 = 560.0;

/// Height that a page's text takes at most before it is scrolled.
const TEXT_HEIGHT: f32 = 320.0;

/// Draws the page of the step.
pub(super) fn show(ui: &mut Ui, state: &AppState, sitting: &Sitting, out: &mut Vec<Command>) {
    ui.vertical_centered(|ui| {
        ui.add_space((ui.available_height() * 0.2).max(GROUP_GAP));
        Frame::new()
            .fill(STUDY.panel)
            .corner_radius(RADIUS)
            .inner_margin(Margin::same(28))
            .show(ui, |ui| {
                ui.set_width(WIDTH.min(ui.available_width() - GROUP_GAP));
                ui.with_layout(Layout::top_down(Align::LEFT), |ui| {
                    page(ui, state, sitting, out);
                });
            });
    });
}

fn page(ui: &mut Ui, state: &AppState, sitting: &Sitting, out: &mut Vec<Command>) {
    ui.spacing_mut().item_spacing.y = GAP * 1.5;
    match &sitting.step {
        Step::Name => name(ui, sitting, out),
        Step::Instructions => instructions(ui, sitting, out),
        Step::Question(aspect) => question(ui, sitting, *aspect, out),
        Step::Break { until } => rest(ui, sitting, until - state.rate.now.unix_ms, out),
        Step::Thanks => thanks(ui, sitting, out),
        Step::Trial(_) => {}
    }
}

fn heading(ui: &mut Ui, words: &str) {
    ui.label(RichText::new(words).size(HEADING).strong());
}

fn primary(ui: &mut Ui, words: &str, is_open: bool) -> bool {
    let button = Button::new(RichText::new(words).strong())
        .fill(STUDY.accent_ground)
        .min_size(vec2(140.0, ROW_HEIGHT + GAP));
    ui.add_enabled(is_open, button)
        .on_hover_text("Enter")
        .clicked()
}

fn secondary(ui: &mut Ui, words: &str) -> bool {
    ui.add(Button::new(words).min_size(vec2(96.0, ROW_HEIGHT + GAP)))
        .clicked()
}

fn leave(ui: &mut Ui, out: &mut Vec<Command>) {
    if secondary(ui, "Leave") {
        out.push(command(SittingCommand::Leave));
    }
}

fn name(ui: &mut Ui, sitting: &Sitting, out: &mut Vec<Command>) {
    heading(ui, "Who is rating?");
    ui.label("The same name goes on where it stopped.");
    let mut rater = sitting.rater.clone();
    let field = TextEdit::singleline(&mut rater)
        .hint_text("Name or number")
        .font(egui::FontId::proportional(QUESTION))
        .margin(Margin::symmetric(10, 8))
        .desired_width(f32::INFINITY);
    let response = ui.add(field).accessible_name("Rater's name");
    if response.changed() {
        out.push(command(SittingCommand::SetName(rater)));
    }
    if !response.has_focus() {
        response.request_focus();
    }
    ui.add_space(GAP);
    ui.horizontal(|ui| {
        if primary(ui, "Continue", !sitting.rater.trim().is_empty()) {
            out.push(command(SittingCommand::Begin));
        }
        leave(ui, out);
    });
}

fn instructions(ui: &mut Ui, sitting: &Sitting, out: &mut Vec<Command>) {
    let protocol = sitting.protocol();
    let is_resumed = sitting.num_done > 0;
    if is_resumed {
        heading(ui, &format!("Welcome back, {}", sitting.rater));
        ui.label(format!(
            "You have answered {} of {}. It goes on where you stopped.",
            grouped(sitting.num_done),
            grouped(sitting.num_trials)
        ));
    } else {
        heading(ui, &format!("Welcome, {}", sitting.rater));
    }
    ScrollArea::vertical()
        .max_height(TEXT_HEIGHT)
        .auto_shrink([false, true])
        .show(ui, |ui| {
            if !protocol.instructions.trim().is_empty() {
                ui.label(protocol.instructions.trim());
            }
            ui.add_space(GAP);
            if let Some(aspect) = sitting.first_aspect() {
                let question = protocol.questions.get(aspect);
                ui.label(RichText::new(question).size(QUESTION).strong());
            }
            ui.add_space(GAP);
            let words = format!(
                "{} in all. Every answer is saved at once; Leave or Esc stops, and the same name goes on another time.",
                count_words(sitting)
            );
            ui.add(Label::new(RichText::new(words).color(STUDY.faint)).wrap());
            let keys = super::key_words(protocol.method);
            ui.label(RichText::new(format!("{keys}.")).color(STUDY.faint));
        });
    ui.add_space(GAP);
    ui.horizontal(|ui| {
        let words = if is_resumed { "Go on" } else { "Begin" };
        if primary(ui, words, true) {
            out.push(command(SittingCommand::GoOn));
        }
        leave(ui, out);
    });
}

fn count_words(sitting: &Sitting) -> String {
    let num = grouped(sitting.num_trials);
    match sitting.protocol().method {
        crate::domain::Method::Pairs => format!("{num} comparisons"),
        _ => format!("{num} pictures"),
    }
}

fn question(ui: &mut Ui, sitting: &Sitting, aspect: Aspect, out: &mut Vec<Command>) {
    heading(ui, "From here on, another question");
    let question = sitting.protocol().questions.get(aspect);
    ui.label(RichText::new(question).size(QUESTION).strong());
    ui.add_space(GAP);
    ui.horizontal(|ui| {
        if primary(ui, "Go on", true) {
            out.push(command(SittingCommand::GoOn));
        }
        leave(ui, out);
    });
}

fn rest(ui: &mut Ui, sitting: &Sitting, left_ms: i64, out: &mut Vec<Command>) {
    heading(ui, "Time for a break");
    ui.label(format!(
        "You have answered {} of {}. Look at something far away, stand up, have some water.",
        grouped(sitting.num_done),
        grouped(sitting.num_trials)
    ));
    let is_over = left_ms <= 0;
    let words = match is_over {
        true => "Go on whenever you like.".to_owned(),
        false => format!("It goes on in {}.", clock_words(left_ms)),
    };
    ui.label(RichText::new(words).size(QUESTION));
    if !is_over {
        let until_change = (left_ms - 1) % 1_000 + 1;
        ui.request_repaint_after(std::time::Duration::from_millis(until_change as u64));
    }
    ui.add_space(GAP);
    ui.horizontal(|ui| {
        if primary(ui, "Go on", is_over) {
            out.push(command(SittingCommand::GoOn));
        }
        leave(ui, out);
    });
}

/// Minutes and seconds: "4:05".
fn clock_words(left_ms: i64) -> String {
    let seconds = (left_ms.max(0) + 999) / 1_000;
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

fn thanks(ui: &mut Ui, sitting: &Sitting, out: &mut Vec<Command>) {
    heading(ui, &format!("Thank you, {}", sitting.rater));
    let lacking = sitting.num_trials.saturating_sub(sitting.num_done);
    let words = match lacking {
        0 => format!("All {} answers are saved.", grouped(sitting.num_done)),
        _ => format!(
            "{} of {} answers are saved; nothing else can be shown now.",
            grouped(sitting.num_done),
            grouped(sitting.num_trials)
        ),
    };
    ui.label(words);
    let num_skipped = sitting.skipped.len();
    if num_skipped > 0 {
        let noun = if num_skipped == 1 {
            "picture"
        } else {
            "pictures"
        };
        let words = format!(
            "{num_skipped} {noun} could not be shown and got no answer. They are listed on the Rate screen."
        );
        ui.label(RichText::new(words).color(STUDY.warning));
    }
    ui.add_space(GAP);
    ui.horizontal(|ui| {
        if primary(ui, "Next rater", true) {
            out.push(command(SittingCommand::NextRater));
        }
        if secondary(ui, "Close") {
            out.push(command(SittingCommand::Leave));
        }
        if sitting.can_take_back() {
            let hint = RichText::new("Backspace takes the last answer back").size(SMALL);
            ui.label(hint.color(STUDY.faint));
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_break_counts_down_to_nothing_and_not_beyond() {
        assert_eq!(clock_words(245_000), "4:05");
        assert_eq!(clock_words(244_001), "4:05");
        assert_eq!(clock_words(1), "0:01");
        assert_eq!(clock_words(-5), "0:00");
    }
}
