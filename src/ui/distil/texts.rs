//! Fields with a name, and running jobs, as the steps of this screen share them.

use egui::Align2;
use egui::Label;
use egui::ProgressBar;
use egui::Response;
use egui::RichText;
use egui::TextEdit;
use egui::Ui;

use crate::state::AppState;
use crate::state::Command;
use crate::state::actions::duration_in_words;
use crate::state::actions::grouped;
use crate::state::command::Control;
use crate::state::jobs::EndedJob;
use crate::state::jobs::JobsCommand;
use crate::state::jobs::RunningJob;
use crate::ui::tokens::Palette;

/// Narrowest field for an address or a name.
const MIN_FIELD: f32 = 140.0;

/// A named field for a line of text in a grid; the new text once it changed.
pub(super) fn text_row(
    ui: &mut Ui,
    (name, hint): (&str, &str),
    example: &str,
    text: &str,
) -> Option<String> {
    let label = ui.label(name).on_hover_text(hint);
    let mut new = text.to_owned();
    let response = field(ui, &mut new, example).labelled_by(label.id);
    let is_changed = response.on_hover_text(hint).changed();
    ui.end_row();
    is_changed.then_some(new)
}

/// A field for a line of text over the room there is.
pub(super) fn field(ui: &mut Ui, text: &mut String, example: &str) -> Response {
    let width = ui.available_width().max(MIN_FIELD);
    let field = TextEdit::singleline(text)
        .hint_text(example.to_owned())
        .align(Align2::LEFT_CENTER)
        .desired_width(width);
    ui.add(field)
}

/// Something that went wrong, in full.
pub(super) fn wrong(ui: &mut Ui, words: &str) {
    let ink = Palette::in_use(ui).error;
    ui.add(Label::new(RichText::new(words).color(ink)).wrap());
}

/// Why something cannot be done now.
pub(super) fn obstacle(ui: &mut Ui, words: &str) {
    let ink = Palette::in_use(ui).warning;
    ui.add(Label::new(RichText::new(words).color(ink)).wrap());
}

/// A running job: its bar, how far it is, and what can be done to it.
pub(super) fn running(ui: &mut Ui, job: &RunningJob, stop: &str, out: &mut Vec<Command>) {
    let progress = &job.progress;
    let part = match progress.total {
        0 => 0.0,
        total => progress.done as f32 / total as f32,
    };
    ui.add(
        ProgressBar::new(part)
            .desired_width(ui.available_width())
            .desired_height(8.0)
            .fill(Palette::in_use(ui).accent),
    )
    .accessible_name(format!("Progress of {}", job.title));
    ui.horizontal_wrapped(|ui| {
        buttons(ui, job, stop, out);
        ui.label(words(job));
    });
    if !progress.stage.is_empty() {
        ui.weak(&progress.stage);
    }
}

fn buttons(ui: &mut Ui, job: &RunningJob, stop: &str, out: &mut Vec<Command>) {
    if job.is_stopping {
        ui.weak("Stopping");
        return;
    }
    let mut button = |ui: &mut Ui, words: &str, hint: &str, control: Control| {
        if ui.button(words).on_hover_text(hint).clicked() {
            out.push(Command::Jobs(JobsCommand::Control(job.id, control)));
        }
    };
    let hint = "What is done stays; starting again goes on from there";
    button(ui, stop, hint, Control::Cancel);
    match job.is_paused {
        true => button(ui, "Go on", "Go on where it was held", Control::Resume),
        false => button(ui, "Hold", "Hold until you let it go on", Control::Pause),
    }
}

fn words(job: &RunningJob) -> String {
    let progress = &job.progress;
    let words = match progress.total {
        0 => String::new(),
        total => format!(
            "{} of {}",
            grouped(progress.done as usize),
            grouped(total as usize)
        ),
    };
    match (job.is_paused, progress.seconds_left) {
        (true, _) => format!("{words}, held"),
        (false, Some(seconds)) => format!("{words}, {} left", duration_in_words(seconds)),
        (false, None) => words,
    }
}

/// What the last job of a kind came to, with Retry where something went wrong.
pub(super) fn ended(ui: &mut Ui, state: &AppState, job: &EndedJob, out: &mut Vec<Command>) {
    let num_failed = job.failed().len();
    match &job.outcome {
        Ok(report) if !report.summary.is_empty() => {
            ui.add(Label::new(RichText::new(&report.summary).weak()).wrap());
        }
        Ok(_) => {}
        Err(reason) => wrong(ui, reason),
    }
    let is_wrong = job.outcome.is_err() || num_failed > 0;
    if is_wrong && state.jobs.job(job.id).is_some() {
        let words = match num_failed {
            0 => "Retry".to_owned(),
            1 => "Retry the one that failed".to_owned(),
            num => format!("Retry the {} that failed", grouped(num)),
        };
        if ui.button(words).clicked() {
            out.push(Command::Jobs(JobsCommand::Retry(job.id)));
        }
    }
}
