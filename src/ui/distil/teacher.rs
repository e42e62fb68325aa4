//! Step 1: who teaches, what it is asked, what that costs, and the button.

use egui::Button;
use egui::DragValue;
use egui::Grid;
use egui::Id;
use egui::Label;
use egui::RichText;
use egui::ScrollArea;
use egui::TextEdit;
use egui::Ui;
use egui::vec2;

use crate::domain::{Aspect, KeySource, TeacherKind, TeacherSettings};
use crate::state::AppState;
use crate::state::Command;
use crate::state::Screen;
use crate::state::actions::grouped;
use crate::state::command::Secret;
use crate::state::distil::DistilCommand;
use crate::state::distil::TeacherCommand;
use crate::state::distil::teacher;
use crate::state::distil::teacher::Greeting;
use crate::ui::tokens::GAP;
use crate::ui::tokens::GROUP_GAP;
use crate::ui::tokens::SMALL;
use crate::ui::train;
use crate::ui::train::card;
use crate::ui::train::page;
use crate::ui::widgets::chip;
use crate::ui::widgets::start_button::start_button;

use super::texts;

/// Width of the names of fields.
const NAME: f32 = 88.0;

/// Budget that is set when a limit is switched on.
const USUAL_REQUESTS: u64 = 1_000;
const USUAL_TOKENS: u64 = 1_000_000;
const USUAL_MONEY: f64 = 5.0;
const USUAL_PACE: u32 = 60;

/// Pictures of a first try.
const FIRST_TRY: usize = 20;

/// Draws the step.
pub(super) fn show(ui: &mut Ui, state: &AppState, out: &mut Vec<Command>) {
    ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
        page(ui, |ui| {
            ui.columns(2, |columns| {
                if let [left, right] = columns {
                    card(left, "Who teaches", |ui| who(ui, state, out));
                    card(right, "What it is asked", |ui| what(ui, state, out));
                }
            });
            ui.add_space(GAP);
            card(ui, "Ask", |ui| ask(ui, state, out));
            ui.add_space(GROUP_GAP);
        });
    });
}

fn push(out: &mut Vec<Command>, command: TeacherCommand) {
    out.push(Command::Distil(DistilCommand::Teacher(command)));
}

fn set(
    settings: &TeacherSettings,
    out: &mut Vec<Command>,
    change: impl FnOnce(&mut TeacherSettings),
) {
    let mut settings = settings.clone();
    change(&mut settings);
    push(out, TeacherCommand::Set(settings));
}

fn who(ui: &mut Ui, state: &AppState, out: &mut Vec<Command>) {
    let settings = &state.distil.teacher.settings;
    Grid::new("teacher_who")
        .num_columns(2)
        .min_col_width(NAME)
        .spacing(vec2(GAP, GAP))
        .show(ui, |ui| {
            interface(ui, settings, out);
            let hint =
                "Where the server is; for chat completions what stands before /chat/completions";
            if let Some(base) = texts::text_row(
                ui,
                ("Address", hint),
                settings.kind.usual_base(),
                &settings.base,
            ) {
                set(settings, out, |settings| settings.base = base);
            }
            let example = match settings.kind {
                TeacherKind::Gemini => "such as gemini-2.5-flash",
                TeacherKind::OpenAi => "as the server calls it",
            };
            let hint = "A model that looks at pictures, by its maker's name for it";
            if let Some(model) = texts::text_row(ui, ("Model", hint), example, &settings.model) {
                set(settings, out, |settings| settings.model = model);
            }
            let label = ui.label("Key");
            ui.vertical(|ui| key(ui, state, label.id, out));
            ui.end_row();
        });
    connection(ui, state, out);
}

fn interface(ui: &mut Ui, settings: &TeacherSettings, out: &mut Vec<Command>) {
    let label = ui.label("Interface");
    let kinds = TeacherKind::ALL.map(|kind| (kind, kind.title()));
    let width = ui.available_width().min(220.0);
    train::choose(ui, ("teacher_kind", width), &kinds, settings.kind, |kind| {
        push(out, TeacherCommand::SetKind(kind));
    })
    .labelled_by(label.id)
    .on_hover_text("Google's generateContent, or chat completions as OpenAI, vLLM, Ollama and LM Studio have them");
    ui.end_row();
}

/// Where the key is, and the field to keep one. What is typed stays in this field: no project, no log and no setting
/// has it.
fn key(ui: &mut Ui, state: &AppState, label: Id, out: &mut Vec<Command>) {
    let teacher = &state.distil.teacher;
    let variable = &teacher.settings.key_variable;
    ui.horizontal_wrapped(|ui| match teacher.key_source() {
        None => {
            ui.weak("Looking for it");
        }
        Some(KeySource::Variable) => {
            chip::chip(
                ui,
                &format!("in {variable}"),
                "The environment variable goes first",
            );
        }
        Some(KeySource::Keyring) => {
            chip::chip(
                ui,
                "in the keyring",
                "Kept by the desktop, under the server's name",
            );
            if ui.button("Take it away").clicked() {
                push(out, TeacherCommand::KeepKey(None));
            }
        }
        Some(KeySource::NotNeeded) => {
            ui.weak("None; a server of your own may need none");
        }
        Some(KeySource::None) => {
            chip::warning(
                ui,
                "none yet",
                "Enter one below, or set the variable before the program starts",
            );
        }
        Some(KeySource::NoKeyring(reason)) => {
            chip::warning(ui, "no keyring here", reason);
        }
    });
    match teacher.key_source() {
        Some(KeySource::Variable | KeySource::Keyring) => {}
        Some(KeySource::NoKeyring(_)) => {
            let words =
                format!("This machine keeps no keys. Set {variable} before the program starts.");
            ui.add(Label::new(RichText::new(words).weak().size(SMALL)).wrap());
        }
        _ => enter_key(ui, label, out),
    }
    if let Some(reason) = &teacher.key_refusal {
        texts::wrong(ui, reason);
    }
}

fn enter_key(ui: &mut Ui, label: Id, out: &mut Vec<Command>) {
    let id = Id::unique("teacher_key");
    let mut text: String = ui.data(|data| data.get_temp(id)).unwrap_or_default();
    ui.horizontal(|ui| {
        let button = "Keep in the keyring";
        let room = ui.available_width() - 150.0;
        let field = TextEdit::singleline(&mut text)
            .password(true)
            .hint_text("paste it here")
            .align(egui::Align2::LEFT_CENTER)
            .desired_width(room.max(80.0));
        ui.add(field).labelled_by(label);
        let secret = Secret::new(&text);
        let hint =
            "The desktop's keyring keeps it; several keys are parted by commas and used in turn";
        if ui
            .add_enabled(secret.is_some(), Button::new(button))
            .on_hover_text(hint)
            .on_disabled_hover_text("Paste a key first")
            .clicked()
        {
            push(out, TeacherCommand::KeepKey(secret));
            text.clear();
        }
    });
    ui.data_mut(|data| data.insert_temp(id, text));
}

fn connection(ui: &mut Ui, state: &AppState, out: &mut Vec<Command>) {
    let teacher = &state.distil.teacher;
    let is_named = teacher.settings.faults().is_empty();
    let is_asked = matches!(teacher.greeting, Some(Greeting::Asked(_)));
    ui.horizontal_wrapped(|ui| {
        if ui
            .add_enabled(is_named && !is_asked, Button::new("Test the connection"))
            .on_hover_text("Asks for the server's list of models, which costs nothing")
            .on_disabled_hover_text("Name address and model first")
            .clicked()
        {
            push(out, TeacherCommand::Greet);
        }
        if is_asked {
            ui.spinner();
            ui.weak("Waiting for an answer");
        }
    });
    match &teacher.greeting {
        Some(Greeting::Answered(_, Ok(words))) => {
            ui.add(Label::new(words).wrap());
        }
        Some(Greeting::Answered(_, Err(reason))) => texts::wrong(ui, reason),
        Some(Greeting::Asked(_)) | None => {}
    }
}

fn what(ui: &mut Ui, state: &AppState, out: &mut Vec<Command>) {
    let settings = &state.distil.teacher.settings;
    ui.horizontal_wrapped(|ui| {
        for aspect in Aspect::ALL {
            let mut is_on = settings.aspects.contains(&aspect);
            if ui.checkbox(&mut is_on, aspect.title()).changed() {
                set(settings, out, |settings| {
                    settings.aspects.retain(|known| *known != aspect);
                    if is_on {
                        settings.aspects.push(aspect);
                        settings.aspects.sort_unstable();
                    }
                });
            }
        }
    });
    for (together, words, hint) in [
        (true, "All aspects in one answer", "One request a picture"),
        (
            false,
            "Each aspect in a request of its own",
            "Longer and dearer; aspects do not mix",
        ),
    ] {
        let is_on = settings.together == together;
        if ui.radio(is_on, words).on_hover_text(hint).clicked() {
            set(settings, out, |settings| settings.together = together);
        }
    }
    let mut shows = settings.shows_scores;
    if ui
        .checkbox(&mut shows, "Show it the opinion scores")
        .on_hover_text("As the paper does, so that its words agree with people")
        .changed()
    {
        set(settings, out, |settings| settings.shows_scores = shows);
    }
    ui.add(Label::new(RichText::new("Of training pictures alone: whoever is validated or tested on is described without, and a text that names its score is asked for again.").weak().size(SMALL)).wrap());
    limit(ui, state, out);
    let words = match state.distil.teacher.is_advanced {
        true => "Hide limits and prices",
        false => "Limits and prices",
    };
    if ui.button(words).clicked() {
        push(out, TeacherCommand::ToggleAdvanced);
    }
    if state.distil.teacher.is_advanced {
        limits(ui, settings, out);
    }
}

fn limit(ui: &mut Ui, state: &AppState, out: &mut Vec<Command>) {
    let limit = state.distil.teacher.limit;
    let mut is_on = limit.is_some();
    ui.horizontal(|ui| {
        let words = "Only the first pictures, to try";
        if ui.checkbox(&mut is_on, words).changed() {
            push(out, TeacherCommand::SetLimit(is_on.then_some(FIRST_TRY)));
        }
        if let Some(mut num) = limit {
            let field = DragValue::new(&mut num).range(1..=1_000_000).speed(0.5);
            if ui.add(field).accessible_name("Pictures at most").changed() {
                push(out, TeacherCommand::SetLimit(Some(num)));
            }
        }
    });
}

fn limits(ui: &mut Ui, settings: &TeacherSettings, out: &mut Vec<Command>) {
    let mut new = settings.clone();
    Grid::new("teacher_limits")
        .num_columns(2)
        .min_col_width(NAME)
        .spacing(vec2(GAP, GAP / 2.0))
        .show(ui, |ui| {
            let lanes = DragValue::new(&mut new.lanes).range(1..=16).speed(0.1);
            train::row(
                ui,
                "At once",
                "Questions that are on their way at the same time",
                lanes,
            );
            number(
                ui,
                ("Requests a minute", "What the server allows"),
                &mut new.per_minute,
                USUAL_PACE,
            );
            number(
                ui,
                ("Most requests", "The job stops there"),
                &mut new.budget.requests,
                USUAL_REQUESTS,
            );
            number(
                ui,
                ("Most tokens", "Read and written; the job stops before"),
                &mut new.budget.tokens,
                USUAL_TOKENS,
            );
            for (name, price) in [
                ("Price in", &mut new.prices.input),
                ("Price out", &mut new.prices.output),
            ] {
                let field = DragValue::new(price)
                    .range(0.0..=10_000.0)
                    .speed(0.01)
                    .max_decimals(4);
                train::row(
                    ui,
                    name,
                    "Of a million tokens, in the currency of the budget",
                    field,
                );
            }
            let hint = "The job stops before more is spent; needs both prices";
            number(ui, ("Most money", hint), &mut new.budget.money, USUAL_MONEY);
            let hint = "The environment variable that goes before the keyring";
            let label = ui.label("Key variable").on_hover_text(hint);
            texts::field(ui, &mut new.key_variable, "NAME").labelled_by(label.id);
            ui.end_row();
        });
    if new != *settings {
        push(out, TeacherCommand::Set(new));
    }
}

/// A number that can be switched off.
fn number<T: egui::emath::Numeric>(
    ui: &mut Ui,
    (name, hint): (&str, &str),
    value: &mut Option<T>,
    usual: T,
) {
    let mut is_on = value.is_some();
    let mut new = value.unwrap_or(usual);
    train::optional(ui, (name, hint), &mut is_on, |ui| {
        let field = DragValue::new(&mut new)
            .range(T::from_f64(1.0)..=T::from_f64(1e9))
            .speed(1.0);
        ui.add(field).accessible_name(name);
    });
    *value = is_on.then_some(new);
}

fn ask(ui: &mut Ui, state: &AppState, out: &mut Vec<Command>) {
    if let Some(job) = teacher::job(state) {
        texts::running(ui, job, "Stop asking", out);
        if let Some(words) = teacher::spent_words(state) {
            ui.label(words);
        }
        ui.weak("Each text is saved as it comes and can be reviewed at once.");
        return;
    }
    let obstacle = teacher::obstacle(state);
    ui.horizontal_wrapped(|ui| {
        if start_button(ui, button_words(state), obstacle.as_deref()) {
            push(out, TeacherCommand::Start);
        }
        let has_lists = state.project.as_ref().is_some_and(teacher::has_lists);
        if !has_lists && ui.button("Go to Train").clicked() {
            out.push(Command::Show(Screen::Train));
        }
    });
    match &obstacle {
        Some(reason) => texts::obstacle(ui, reason),
        None => {
            ui.add(Label::new(teacher::estimate_words(state)).wrap());
        }
    }
    if let Some(job) = teacher::last(state) {
        texts::ended(ui, state, job, out);
    }
    let words = "Pictures leave this machine for the server named above. Nothing is overwritten, and what is described already is not asked for again.";
    ui.add(Label::new(RichText::new(words).weak().size(SMALL)).wrap());
}

fn button_words(state: &AppState) -> String {
    match teacher::request(state).images.len() {
        1 => "Ask about 1 picture".to_owned(),
        num => format!("Ask about {} pictures", grouped(num)),
    }
}
