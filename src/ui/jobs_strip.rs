//! The strip at the bottom: running jobs, and what the last ones came to.

use egui::Align;
use egui::CollapsingHeader;
use egui::Label;
use egui::Layout;
use egui::ProgressBar;
use egui::RichText;
use egui::ScrollArea;
use egui::Ui;

use crate::state::AppState;
use crate::state::Command;
use crate::state::actions::duration_in_words;
use crate::state::actions::grouped;
use crate::state::command::Control;
use crate::state::command::Progress;
use crate::state::command::Unit;
use crate::state::jobs::EndedJob;
use crate::state::jobs::JobsCommand;
use crate::state::jobs::RunningJob;
use crate::state::models::progress_words;

use super::tokens::Palette;
use super::tokens::ROW_HEIGHT;

/// Height of the list of failed items.
const LOG_HEIGHT: f32 = 180.0;

/// Height of a line of that list.
const LOG_LINE: f32 = 20.0;

/// Running jobs that are shown at once; a cross-validation is thirty.
const SHOWN_RUNNING: usize = 3;

/// Lines of the list of the others.
const OTHER_LINES: usize = 4;

/// Ended jobs with failures that are shown at once.
const SHOWN_WRONG: usize = 2;

/// Draws the strip.
pub fn show(ui: &mut Ui, state: &AppState, out: &mut Vec<Command>) {
    let unfolded = state
        .jobs
        .ended
        .iter()
        .find(|job| Some(job.id) == state.jobs.unfolded);
    if let Some(job) = unfolded {
        ui.scope(|ui| log(ui, job, state, out));
        ui.separator();
    }
    all_running(ui, state, out);
    let wrong = state.jobs.ended.iter().filter(|job| went_wrong(job));
    for job in wrong.take(SHOWN_WRONG) {
        ended(ui, job, state, out);
    }
    if !state.jobs.running.is_empty() {
        return;
    }
    match state.jobs.ended.first() {
        Some(job) if went_wrong(job) => {}
        Some(job) => ended(ui, job, state, out),
        None => line(ui, |ui| {
            ui.weak("No job is running");
        }),
    }
}

/// Whether a job left something that the user should see even while others run.
fn went_wrong(job: &EndedJob) -> bool {
    job.outcome.is_err() || !job.failed().is_empty()
}

fn line(ui: &mut Ui, content: impl FnOnce(&mut Ui)) {
    ui.allocate_ui_with_layout(
        egui::vec2(ui.available_width(), ROW_HEIGHT),
        Layout::left_to_right(Align::Center),
        content,
    );
}

/// What is at work, and the rest in a list to unfold, so that the strip never takes the window.
fn all_running(ui: &mut Ui, state: &AppState, out: &mut Vec<Command>) {
    let waits = |job: &&RunningJob| job.progress == Progress::default();
    let jobs = &state.jobs.running;
    let at_work = jobs.iter().filter(|job| !waits(job));
    let ordered: Vec<&RunningJob> = at_work.chain(jobs.iter().filter(waits)).collect();
    let (shown, others) = ordered.split_at(ordered.len().min(SHOWN_RUNNING));
    for job in shown {
        running(ui, job, out);
    }
    if others.is_empty() {
        return;
    }
    let words = match others.iter().all(waits) {
        true => format!("and {} more waiting", grouped(others.len())),
        false => format!("and {} more", grouped(others.len())),
    };
    CollapsingHeader::new(words)
        .id_salt("other_jobs")
        .show(ui, |ui| {
            let height = ROW_HEIGHT + ui.spacing().item_spacing.y;
            let height = height * OTHER_LINES.min(others.len()) as f32;
            // The strip grows for them: what it has left now is next to nothing.
            let size = egui::vec2(ui.available_width(), height);
            ui.allocate_ui(size, |ui| {
                ScrollArea::vertical().auto_shrink(false).show_rows(
                    ui,
                    ROW_HEIGHT,
                    others.len(),
                    |ui, rows| {
                        for job in &others[rows] {
                            running(ui, job, out);
                        }
                    },
                );
            });
        });
}

fn running(ui: &mut Ui, job: &RunningJob, out: &mut Vec<Command>) {
    let progress = &job.progress;
    line(ui, |ui| {
        ui.label(&job.title);
        let fraction = match progress.total {
            0 => 0.0,
            total => progress.done as f32 / total as f32,
        };
        ui.add(
            ProgressBar::new(fraction)
                .desired_width(200.0)
                .desired_height(8.0)
                .fill(Palette::in_use(ui).accent),
        )
        .accessible_name(format!("Progress of {}", job.title));
        ui.label(facts(job));
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            buttons(ui, job, out);
            ui.add(Label::new(RichText::new(&progress.stage).weak()).truncate());
        });
    });
}

fn buttons(ui: &mut Ui, job: &RunningJob, out: &mut Vec<Command>) {
    if job.is_stopping {
        ui.weak("Stopping after this item");
        return;
    }
    let control = |control| Command::Jobs(JobsCommand::Control(job.id, control));
    let hint = "What is done stays; starting again goes on from there";
    if ui.button("Cancel").on_hover_text(hint).clicked() {
        out.push(control(Control::Cancel));
    }
    if job.can_pause {
        let (words, wanted) = if job.is_paused {
            ("Resume", Control::Resume)
        } else {
            ("Pause", Control::Pause)
        };
        if ui.button(words).clicked() {
            out.push(control(wanted));
        }
    }
}

/// Counts, speed and time left, as far as they are known.
fn facts(job: &RunningJob) -> String {
    let progress = &job.progress;
    if progress.unit == Unit::Bytes {
        return progress_words(job);
    }
    let mut facts = Vec::new();
    if progress.total > 0 {
        let (done, total) = (progress.done as usize, progress.total as usize);
        facts.push(format!("{} of {}", grouped(done), grouped(total)));
    }
    if job.is_paused {
        facts.push("paused".to_owned());
        return facts.join(" · ");
    }
    if let Some(rate) = progress.per_second {
        facts.push(match rate {
            rate if rate < 1.0 => format!("{:.1} s each", 1.0 / rate.max(1e-6)),
            rate => format!("{rate:.1} per s"),
        });
    }
    if let Some(seconds) = progress.seconds_left {
        facts.push(format!("{} left", duration_in_words(seconds)));
    }
    facts.join(" · ")
}

fn ended(ui: &mut Ui, job: &EndedJob, state: &AppState, out: &mut Vec<Command>) {
    let palette = Palette::in_use(ui);
    let words = match &job.outcome {
        Ok(report) if report.summary.is_empty() => RichText::new(&job.title).weak(),
        Ok(report) => RichText::new(&report.summary).weak(),
        Err(reason) => RichText::new(format!("{}: {reason}", job.title)).color(palette.error),
    };
    let num_failed = job.failed().len();
    // The buttons first, from the right: however long the words are, they leave room for them.
    ui.allocate_ui_with_layout(
        egui::vec2(ui.available_width(), ROW_HEIGHT),
        Layout::right_to_left(Align::Center),
        |ui| {
            if ui.button("Dismiss").clicked() {
                out.push(Command::Jobs(JobsCommand::Dismiss(job.id)));
            }
            let can_retry = num_failed > 0 || job.outcome.is_err();
            if can_retry && state.jobs.job(job.id).is_some() && ui.button("Retry").clicked() {
                out.push(Command::Jobs(JobsCommand::Retry(job.id)));
            }
            if num_failed > 0 && ui.button(format!("{num_failed} failed…")).clicked() {
                let wanted = (state.jobs.unfolded != Some(job.id)).then_some(job.id);
                out.push(Command::Jobs(JobsCommand::Unfold(wanted)));
            }
            ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                ui.add(Label::new(words).truncate());
            });
        },
    );
}

fn log(ui: &mut Ui, job: &EndedJob, state: &AppState, out: &mut Vec<Command>) {
    let palette = Palette::in_use(ui);
    ui.horizontal(|ui| {
        ui.strong(format!("{}: items that failed", job.title));
        if ui.button("Hide").clicked() {
            out.push(Command::Jobs(JobsCommand::Unfold(None)));
        }
    });
    ui.spacing_mut().interact_size.y = LOG_LINE;
    ui.spacing_mut().item_spacing.y = 0.0;
    ScrollArea::vertical()
        .max_height(LOG_HEIGHT)
        .auto_shrink([false, true])
        .show_rows(ui, LOG_LINE, job.failed().len(), |ui, rows| {
            for item in &job.failed()[rows] {
                ui.horizontal(|ui| {
                    let known = item.image.filter(|&image| state.row(image).is_some());
                    match known {
                        Some(image) if ui.link(&item.path).clicked() => {
                            out.push(Command::Inspect(image));
                        }
                        Some(_) => {}
                        None => {
                            ui.label(&item.path);
                        }
                    }
                    ui.colored_label(palette.error, &item.reason);
                });
            }
        });
}
