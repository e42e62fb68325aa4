//! The form of a study: which pictures, what is asked, how it is shown; what is still wrong, and what it will cost.

use egui::Align2;
use egui::Button;
use egui::DragValue;
use egui::Grid;
use egui::RichText;
use egui::ScrollArea;
use egui::TextEdit;
use egui::Ui;
use egui::vec2;

use crate::domain::study::Presentation;
use crate::domain::{Aspect, Method, Protocol};
use crate::state::AppState;
use crate::state::Command;
use crate::state::Project;
use crate::state::actions::grouped;
use crate::state::rate::RateCommand;
use crate::state::rate::form::Form;
use crate::state::rate::form::FormCommand;
use crate::state::rate::form::Source;
use crate::ui::tokens::GAP;
use crate::ui::tokens::GROUP_GAP;
use crate::ui::tokens::Palette;
use crate::ui::tokens::ROW_HEIGHT;
use crate::ui::train::card;
use crate::ui::train::page;

use super::studies::effort_words;
use super::studies::small;

/// Height in pixels that is offered where pictures are scaled.
const USUAL_HEIGHT: u32 = 512;

/// Width of the questions' fields.
const QUESTION_WIDTH: f32 = 320.0;

/// Draws the page.
pub(super) fn show(ui: &mut Ui, state: &AppState, project: &Project, out: &mut Vec<Command>) {
    let form = &state.rate.form;
    let mut protocol = form.protocol.clone();
    ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
        page(ui, |ui| {
            ui.horizontal(|ui| {
                if ui
                    .button("Studies")
                    .on_hover_text("Back to all studies (Esc)")
                    .clicked()
                {
                    out.push(Command::Rate(RateCommand::List));
                }
                ui.heading(match form.study {
                    Some(_) => "Change the study",
                    None => "New study",
                });
            });
            ui.add_space(GAP);
            ui.columns(2, |columns| {
                let [left, right] = columns else {
                    return;
                };
                card(left, "1  Which pictures", |ui| {
                    pictures(ui, state, project, &mut protocol, out);
                });
                card(left, "3  How it is shown", |ui| shown(ui, &mut protocol));
                card(right, "2  What is asked", |ui| asked(ui, &mut protocol));
            });
            card(ui, "4  Make it", |ui| finish(ui, form, &mut protocol, out));
            ui.add_space(GROUP_GAP);
        });
    });
    if protocol != form.protocol {
        push(out, FormCommand::Set(Box::new(protocol)));
    }
}

fn push(out: &mut Vec<Command>, command: FormCommand) {
    out.push(Command::Rate(RateCommand::Form(command)));
}

fn pictures(
    ui: &mut Ui,
    state: &AppState,
    project: &Project,
    protocol: &mut Protocol,
    out: &mut Vec<Command>,
) {
    let form = &state.rate.form;
    let scope = if state.selection.is_many() {
        format!("The {} selected", grouped(state.scope.num_images))
    } else {
        format!(
            "The {} that the gallery shows",
            grouped(state.scope.num_images)
        )
    };
    let all = format!("All {} of the project", grouped(project.rows.len()));
    let mut sources = vec![(Source::Scope, scope), (Source::All, all)];
    if form.study.is_some() {
        sources.insert(0, (Source::Kept, "Those that the study has".to_owned()));
    }
    for (source, words) in sources {
        if ui.radio(form.source == source, words).clicked() {
            push(out, FormCommand::SetSource(source));
        }
    }
    if form.source != Source::Kept {
        limit(ui, form, out);
    }
    ui.horizontal(|ui| {
        let field = DragValue::new(&mut protocol.num_discarded_training)
            .range(0..=20)
            .speed(0.1);
        let label = ui.label("Practice trials before it counts");
        ui.add(field).labelled_by(label.id);
    });
    let training = match form.num_training {
        0 => "Practice shows pictures of the study before their turn.".to_owned(),
        num => format!("{num} more pictures, from the worst to the best known, are for practice."),
    };
    small(
        ui,
        &format!("{} pictures are rated. {training}", grouped(form.num_rated)),
    );
}

fn limit(ui: &mut Ui, form: &Form, out: &mut Vec<Command>) {
    ui.horizontal(|ui| {
        let mut is_limited = form.limit.is_some();
        if ui.checkbox(&mut is_limited, "At most").changed() {
            let limit = is_limited.then_some(form.num_offered.clamp(1, 100));
            push(out, FormCommand::SetLimit(limit));
        }
        let mut limit = form.limit.unwrap_or(form.num_offered);
        let field = DragValue::new(&mut limit)
            .range(1..=form.num_offered.max(1))
            .speed(0.5);
        let response = ui
            .add_enabled(is_limited, field)
            .accessible_name("Pictures at most");
        if response.changed() {
            push(out, FormCommand::SetLimit(Some(limit)));
        }
        ui.weak(match form.protocol.method {
            Method::Pairs => "pictures, whole prompts drawn by the seed",
            Method::Acr5 | Method::Continuous => "pictures, drawn by the seed",
        });
    });
}

fn asked(ui: &mut Ui, protocol: &mut Protocol) {
    ui.horizontal(|ui| {
        let label = ui.label("Name");
        let field = TextEdit::singleline(&mut protocol.name)
            .align(Align2::LEFT_CENTER)
            .desired_width(f32::INFINITY);
        ui.add(field)
            .labelled_by(label.id)
            .on_hover_text("For you; raters do not see it");
    });
    ui.add_space(GAP / 2.0);
    for (method, hint) in [
        (Method::Acr5, "1 bad to 5 excellent, one key an answer"),
        (
            Method::Continuous,
            "0 to 5 in tenths, as AGIQA-3K was rated",
        ),
        (
            Method::Pairs,
            "which of two pictures of one prompt is better",
        ),
    ] {
        ui.horizontal(|ui| {
            ui.radio_value(&mut protocol.method, method, method.title());
            ui.weak(hint);
        });
    }
    ui.add_space(GAP / 2.0);
    for aspect in Aspect::ALL {
        question(ui, protocol, aspect);
    }
    ui.add_space(GAP / 2.0);
    let label = ui.label("Instructions");
    let field = TextEdit::multiline(&mut protocol.instructions)
        .desired_rows(4)
        .desired_width(f32::INFINITY);
    ui.add(field)
        .labelled_by(label.id)
        .on_hover_text("Read by every rater before the first picture");
    if protocol.method == Method::Pairs {
        ui.horizontal(|ui| {
            let label = ui.label("Comparisons a rater and aspect");
            let field = DragValue::new(&mut protocol.pairs_per_rater)
                .range(1..=5_000)
                .speed(0.5);
            ui.add(field).labelled_by(label.id);
        });
    }
}

fn question(ui: &mut Ui, protocol: &mut Protocol, aspect: Aspect) {
    let mut is_on = protocol.aspects.contains(&aspect);
    let palette = Palette::in_use(ui);
    let ink = if is_on {
        palette.aspect(aspect)
    } else {
        palette.faint
    };
    ui.horizontal(|ui| {
        let words = RichText::new(aspect.title()).color(ink);
        if ui.checkbox(&mut is_on, words).changed() {
            protocol.aspects.retain(|&known| known != aspect);
            if is_on {
                protocol.aspects.push(aspect);
                protocol.aspects.sort_unstable();
            }
        }
    });
    if !is_on {
        return;
    }
    ui.horizontal(|ui| {
        ui.add_space(GROUP_GAP);
        let question = protocol.questions.get_mut(aspect);
        let width = QUESTION_WIDTH.min(ui.available_width() - 150.0);
        ui.add(
            TextEdit::singleline(question)
                .align(Align2::LEFT_CENTER)
                .desired_width(width.max(120.0)),
        )
        .accessible_name(format!("Question of {aspect}"));
        let is_hidden = protocol.hide_prompt.get_mut(aspect);
        let mut is_shown = !*is_hidden;
        let hint = "Show the prompt that made the picture while this is asked";
        if ui
            .checkbox(&mut is_shown, "Show prompt")
            .accessible_name(format!("Show the prompt for {aspect}"))
            .on_hover_text(hint)
            .changed()
        {
            *is_hidden = !is_shown;
        }
    });
}

fn shown(ui: &mut Ui, protocol: &mut Protocol) {
    presentation(ui, protocol);
    Grid::new("study_timing")
        .num_columns(3)
        .spacing(vec2(GROUP_GAP, GAP / 2.0))
        .show(ui, |ui| timing(ui, protocol));
}

fn presentation(ui: &mut Ui, protocol: &mut Protocol) {
    let is_fixed = matches!(protocol.presentation, Presentation::Fixed { .. });
    ui.horizontal(|ui| {
        if ui.radio(!is_fixed, "One to one").clicked() {
            protocol.presentation = Presentation::OneToOne;
        }
        ui.weak("a picture pixel is a screen pixel");
    });
    ui.horizontal(|ui| {
        if ui.radio(is_fixed, "All of the same height").clicked() && !is_fixed {
            protocol.presentation = Presentation::Fixed {
                height_px: USUAL_HEIGHT,
            };
        }
        if let Presentation::Fixed { height_px } = &mut protocol.presentation {
            ui.add(
                DragValue::new(height_px)
                    .range(64..=8_192)
                    .suffix(" pixels"),
            )
            .accessible_name("Height of the pictures");
        }
    });
}

fn timing(ui: &mut Ui, protocol: &mut Protocol) {
    let mut seconds = f64::from(protocol.min_dwell_ms) / 1_000.0;
    let field = DragValue::new(&mut seconds)
        .range(0.0..=60.0)
        .speed(0.02)
        .fixed_decimals(1)
        .suffix(" s");
    if row(ui, "Shortest look", field, "before an answer is taken") {
        protocol.min_dwell_ms = (seconds * 1_000.0).round() as u32;
    }
    let mut percent = protocol.repeat_share * 100.0;
    let field = DragValue::new(&mut percent)
        .range(0.0..=20.0)
        .speed(0.1)
        .max_decimals(0)
        .suffix(" %");
    if row(
        ui,
        "Hidden repeats",
        field,
        "of the pictures come again unannounced",
    ) {
        protocol.repeat_share = (percent / 100.0 * 1_000.0).round() / 1_000.0;
    }
    let field = DragValue::new(&mut protocol.repeat_gap)
        .range(1..=500)
        .speed(0.2);
    row(ui, "Repeat after", field, "trials at least");
    let field = DragValue::new(&mut protocol.session_minutes)
        .range(0..=60)
        .speed(0.2)
        .suffix(" min");
    row(
        ui,
        "Break after",
        field,
        "0 for none; ITU-R BT.500 says 30 at most",
    );
    let mut minutes = f64::from(protocol.break_seconds) / 60.0;
    let field = DragValue::new(&mut minutes)
        .range(0.0..=60.0)
        .speed(0.05)
        .max_decimals(1)
        .suffix(" min");
    if row(ui, "Break lasts", field, "at least") {
        protocol.break_seconds = (minutes * 60.0).round() as u32;
    }
    let field = DragValue::new(&mut protocol.seed).speed(0.2);
    row(
        ui,
        "Seed",
        field,
        "of every rater's order and of what is drawn",
    );
}

/// A named field with what it means; whether it changed.
fn row(ui: &mut Ui, name: &str, field: DragValue<'_>, hint: &str) -> bool {
    let label = ui.label(name);
    let response = ui
        .add_sized(vec2(80.0, ROW_HEIGHT), field)
        .labelled_by(label.id)
        .on_hover_text(hint);
    small(ui, hint);
    ui.end_row();
    response.changed()
}

fn raters(ui: &mut Ui, protocol: &mut Protocol) {
    ui.horizontal(|ui| {
        let label = ui.label("Raters planned");
        let field = DragValue::new(&mut protocol.num_raters)
            .range(0..=500)
            .speed(0.1);
        ui.add(field).labelled_by(label.id);
        ui.weak("at least 15 by ITU-R BT.500; more or fewer may take part");
    });
}

fn finish(ui: &mut Ui, form: &Form, protocol: &mut Protocol, out: &mut Vec<Command>) {
    raters(ui, protocol);
    for fault in &form.faults {
        ui.colored_label(Palette::in_use(ui).warning, fault);
    }
    ui.horizontal_wrapped(|ui| {
        let words = match form.study {
            Some(_) => "Save the changes",
            None => "Make the study",
        };
        let button = Button::new(RichText::new(words).strong())
            .min_size(vec2(200.0, ROW_HEIGHT + GAP))
            .fill(Palette::in_use(ui).accent_ground);
        if ui
            .add_enabled(form.faults.is_empty(), button)
            .on_disabled_hover_text("Something is still wrong, see above")
            .clicked()
        {
            push(out, FormCommand::Save);
        }
        ui.weak(effort_words(form.seconds_per_rater(), form.num_trials));
    });
    small(
        ui,
        "The protocol is kept in the project with its hash, and stays as it is once the first vote is in.",
    );
}
