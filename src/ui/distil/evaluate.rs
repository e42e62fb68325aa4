//! Step 4: before and after on the test list, side by side.

use egui::Button;
use egui::Grid;
use egui::Label;
use egui::RichText;
use egui::ScrollArea;
use egui::Ui;
use egui::vec2;

use crate::domain::{Aspect, Evaluation, Speaker};
use crate::state::AppState;
use crate::state::Command;
use crate::state::Screen;
use crate::state::actions;
use crate::state::actions::grouped;
use crate::state::distil::DistilCommand;
use crate::state::distil::EvaluateCommand;
use crate::state::distil::evaluate;
use crate::state::distil::evaluate::LINES;
use crate::state::distil::evaluate::Line;
use crate::ui::tokens::GAP;
use crate::ui::tokens::GROUP_GAP;
use crate::ui::tokens::SMALL;
use crate::ui::tokens::STEP;
use crate::ui::train;
use crate::ui::train::card;
use crate::ui::train::page;

use super::texts;

/// Height of a line of figures.
const LINE: f32 = 22.0;

/// A number of a speaker.
type Count = fn(&Speaker) -> usize;

/// Draws the step.
pub(super) fn show(ui: &mut Ui, state: &AppState, out: &mut Vec<Command>) {
    ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
        page(ui, |ui| {
            ui.horizontal_wrapped(|ui| {
                for aspect in Aspect::ALL {
                    let is_on = state.distil.evaluate.aspect == aspect;
                    if ui.add(Button::selectable(is_on, aspect.title())).clicked() {
                        push(out, EvaluateCommand::SetAspect(aspect));
                    }
                }
            });
            card(ui, "Before and after", |ui| sides(ui, state, out));
            ui.add_space(GAP);
            card(ui, "What is still to be done", |ui| to_do(ui, state, out));
            ui.add_space(GROUP_GAP);
        });
    });
}

fn push(out: &mut Vec<Command>, command: EvaluateCommand) {
    out.push(Command::Distil(DistilCommand::Evaluate(command)));
}

fn sides(ui: &mut Ui, state: &AppState, out: &mut Vec<Command>) {
    let Some(found) = state.distil.evaluate.shown() else {
        ui.weak("Comparing");
        return;
    };
    if found.num_images == 0 {
        ui.label(format!(
            "No picture of the test list has an opinion score for {}. Without a test list, the first training of a predictor cuts one.",
            found.aspect
        ));
        return;
    }
    if found.speakers.is_empty() {
        ui.label("No model has described the test list yet.");
        return;
    }
    let (before, after) = state.distil.evaluate.sides();
    choices(ui, found, (before, after), out);
    table(ui, (before, after));
    if evaluate::is_unlike(before, after) {
        let words = "The two have not spoken about equally many pictures, so no change is shown: let both describe the whole list.";
        texts::obstacle(ui, words);
    }
    let words = format!(
        "Test list, {} images with a score by {}. The words are the answers that models gave after their own descriptions; answers without a word count as wrong. Undefined figures say why at the pointer.",
        grouped(found.num_images),
        found.truth
    );
    ui.add_space(STEP);
    ui.add(Label::new(RichText::new(words).weak().size(SMALL)).wrap());
}

/// Which two are held against each other.
fn choices(
    ui: &mut Ui,
    found: &Evaluation,
    (before, after): (Option<&Speaker>, Option<&Speaker>),
    out: &mut Vec<Command>,
) {
    let names: Vec<String> = found.speakers.iter().map(speaker_words).collect();
    let all: Vec<(usize, &str)> = names.iter().map(String::as_str).enumerate().collect();
    let place = |speaker: Option<&Speaker>| {
        let key = evaluate::key(speaker?);
        found
            .speakers
            .iter()
            .position(|known| evaluate::key(known) == key)
    };
    ui.horizontal_wrapped(|ui| {
        if let Some(at) = place(before) {
            let label = ui.weak("Before");
            train::choose(ui, ("evaluate_before", 240.0), &all, at, |at| {
                let key = evaluate::key(&found.speakers[at]);
                push(out, EvaluateCommand::SetBefore(key));
            })
            .labelled_by(label.id);
        }
        if let Some(at) = place(after) {
            let label = ui.weak("After");
            train::choose(ui, ("evaluate_after", 240.0), &all, at, |at| {
                let key = evaluate::key(&found.speakers[at]);
                push(out, EvaluateCommand::SetAfter(key));
            })
            .labelled_by(label.id);
        }
    });
}

fn speaker_words(speaker: &Speaker) -> String {
    match &speaker.preset {
        Some(preset) => format!("{}, wording {preset}", speaker.name),
        None => format!("{} descriptions", speaker.name),
    }
}

fn table(ui: &mut Ui, (before, after): (Option<&Speaker>, Option<&Speaker>)) {
    Grid::new("evaluate_figures")
        .num_columns(4)
        .min_col_width(96.0)
        .min_row_height(LINE)
        .spacing(vec2(2.0 * GAP, STEP))
        .show(ui, |ui| {
            for heading in ["", "Before", "After", "Change"] {
                ui.weak(heading);
            }
            ui.end_row();
            for line in &LINES {
                figure_line(ui, line, (before, after));
            }
            let counts: [(&str, Count); 3] = [
                ("Answers, n", |speaker| speaker.words.n),
                ("of them without a word", |speaker| {
                    speaker.words.without_word
                }),
                ("Scores, n", |speaker| speaker.scores.n),
            ];
            for (name, count) in counts {
                ui.weak(name);
                for speaker in [before, after] {
                    let words = speaker.map_or_else(String::new, |speaker| grouped(count(speaker)));
                    ui.weak(words);
                }
                ui.end_row();
            }
            ui.weak("Predictor");
            for speaker in [before, after] {
                let name = speaker.and_then(|speaker| speaker.predictor_name.as_deref());
                ui.weak(name.unwrap_or(""));
            }
            ui.end_row();
        });
}

/// A figure; where it is undefined, the reason for the pointer.
fn figure(ui: &mut Ui, line: &Line, speaker: Option<&Speaker>) {
    let Some(speaker) = speaker else {
        ui.weak("none");
        return;
    };
    if let Some(value) = (line.pick)(speaker) {
        ui.label(format!("{value:.4}"));
    } else {
        let reason = line.reason(speaker).map_or("", String::as_str);
        ui.weak("undefined").on_hover_text(reason);
    }
}

fn figure_line(ui: &mut Ui, line: &Line, (before, after): (Option<&Speaker>, Option<&Speaker>)) {
    ui.label(line.name).on_hover_text(line.hint);
    for speaker in [before, after] {
        figure(ui, line, speaker);
    }
    let change = line.change(before, after);
    ui.label(change.map_or_else(String::new, |change| format!("{change:+.4}")));
    ui.end_row();
}

/// What the model in use lacks before its figures are whole.
fn to_do(ui: &mut Ui, state: &AppState, out: &mut Vec<Command>) {
    let aspect = state.distil.evaluate.aspect;
    let in_use = state.models.tag(aspect);
    let name = in_use.map_or("the model in use", |tag| tag.name.as_str());
    let all = evaluate::test_images(state, aspect).len();
    let lacking = evaluate::num_undescribed(state, aspect);
    let is_busy = !state.jobs.running.is_empty();
    if all == 0 {
        ui.weak("Nothing, without a test list.");
        return;
    }
    ui.horizontal_wrapped(|ui| {
        if lacking == 0 {
            ui.label(format!(
                "{name} has described all {} test images.",
                grouped(all)
            ));
            return;
        }
        let words = format!("Describe {} test images with {name}", grouped(lacking));
        let time = actions::describe_seconds(&state.jobs, lacking);
        let time = time.map_or_else(String::new, |seconds| {
            format!("; {}", actions::duration_in_words(seconds))
        });
        let hint = format!("What is described stays{time}");
        let button = ui.add_enabled(!is_busy, Button::new(words));
        if button.on_hover_text(hint).clicked() {
            push(out, EvaluateCommand::Describe);
        }
    });
    let project = state.project.as_ref();
    let card = project.and_then(|project| project.predictor_card(aspect));
    let fits = card.filter(|card| in_use == Some(&card.model));
    ui.horizontal_wrapped(|ui| {
        if let Some(card) = fits {
            let words = format!("Score them with {}", card.name);
            let button = ui.add_enabled(!is_busy && lacking < all, Button::new(words));
            if button.clicked() {
                push(out, EvaluateCommand::Score);
            }
        } else {
            ui.label(format!(
                "No {aspect} predictor reads what {name} says: train one."
            ));
            if ui.button("Go to Train").clicked() {
                out.push(Command::Show(Screen::Train));
            }
        }
    });
    if is_busy {
        texts::obstacle(ui, "A job is running; its progress stands below");
    }
}
