//! A training that runs: where it stands among those that were asked for, its curves, and the buttons that end it.

use egui::Button;
use egui::ProgressBar;
use egui::Ui;

use crate::domain::RunRecord;
use crate::state::AppState;
use crate::state::Command;
use crate::state::Project;
use crate::state::actions::duration_in_words;
use crate::state::actions::grouped;
use crate::state::jobs::RunningJob;
use crate::state::train;
use crate::state::train::LiveStep;
use crate::state::train::TrainCommand;
use crate::state::train::plan;
use crate::ui::tokens::Palette;

use super::curves;

/// Draws the training that runs.
pub(super) fn show(ui: &mut Ui, state: &AppState, project: &Project, out: &mut Vec<Command>) {
    let run = train::active(state).and_then(|run| project.run(run));
    let job = train::training_job(state);
    let live = state.train.live;
    let num_jobs = train::training_jobs(state).count();
    ui.label(place(state, run, job));
    bar(ui, state, run, job);
    ui.horizontal_wrapped(|ui| {
        stop(ui, run, job, out);
        if num_jobs > 1 {
            stop_all(ui, num_jobs, out);
        }
        if let Some(words) = time_left(project, run, (job, num_jobs)) {
            ui.label(words);
        }
        if let Some(live) = live {
            ui.weak(format!(
                "step {} of {}, loss {:.4}",
                live.step, live.steps, live.loss
            ));
        }
    });
    if let Some(run) = run {
        curves::show(ui, &[run], live);
    }
}

fn place(state: &AppState, run: Option<&RunRecord>, job: Option<&RunningJob>) -> String {
    let words = match (run, job, state.train.live) {
        (Some(run), _, Some(live)) => format!(
            "Run {}: epoch {} of {}",
            run.id.0, live.epoch, run.settings.epochs
        ),
        (Some(run), Some(job), None) => format!("Run {}: {}", run.id.0, job.progress.stage),
        (None, Some(job), _) if job.progress.total > 0 => format!(
            "{}: {} of {}",
            job.progress.stage,
            grouped(job.progress.done as usize),
            grouped(job.progress.total as usize)
        ),
        (None, Some(job), _) if !job.progress.stage.is_empty() => job.progress.stage.clone(),
        _ => "Waiting for the model".to_owned(),
    };
    let more = train::training_jobs(state).count().saturating_sub(1);
    match (run, more) {
        (Some(run), 1..) => format!("{words} ({}); {more} more to come", run.settings.aspect),
        (None, 1..) => format!("{words}; {more} more to come"),
        (_, 0) => words,
    }
}

/// What is left of this run, and of all where others follow: those take as long as this one, as far as one knows.
fn time_left(
    project: &Project,
    run: Option<&RunRecord>,
    (job, num_jobs): (Option<&RunningJob>, usize),
) -> Option<String> {
    let left = job?.progress.seconds_left?;
    let words = format!("{} left", duration_in_words(left));
    let run = run.filter(|_| num_jobs > 1);
    let of_all = run.and_then(|run| {
        let speed = plan::speed(project, &run.settings.head)?;
        let each = speed.seconds * run.num_images[0] as f64 * f64::from(run.settings.epochs);
        Some(left + each * (num_jobs - 1) as f64)
    });
    Some(match of_all {
        Some(seconds) => format!("{words} of this run, {} of all", duration_in_words(seconds)),
        None => words,
    })
}

fn bar(ui: &mut Ui, state: &AppState, run: Option<&RunRecord>, job: Option<&RunningJob>) {
    let fraction = match (run, state.train.live) {
        (Some(run), Some(live)) => fraction(run, live),
        _ => job.map_or(0.0, |job| match job.progress.total {
            0 => 0.0,
            total => job.progress.done as f32 / total as f32,
        }),
    };
    let fill = Palette::in_use(ui)
        .aspect(run.map_or(state.train.settings.aspect, |run| run.settings.aspect));
    ui.add(
        ProgressBar::new(fraction)
            .desired_width(ui.available_width())
            .desired_height(8.0)
            .fill(fill),
    )
    .accessible_name("Progress of the training");
}

/// How much of a run lies behind.
fn fraction(run: &RunRecord, live: LiveStep) -> f32 {
    let within = f64::from(live.step) / f64::from(live.steps.max(1));
    let behind = f64::from(live.epoch.saturating_sub(1)) + within;
    (behind / f64::from(run.settings.epochs.max(1))) as f32
}

fn stop(ui: &mut Ui, run: Option<&RunRecord>, job: Option<&RunningJob>, out: &mut Vec<Command>) {
    let has_epoch = run.is_some_and(|run| run.best_epoch.is_some());
    let (words, hint) = match (job.is_some_and(|job| job.is_stopping), has_epoch) {
        (true, _) => ("Stopping", "It ends after the step in hand"),
        (false, true) => (
            "Stop and keep the best",
            "The best epoch so far becomes the predictor",
        ),
        (false, false) => (
            "Stop",
            "No epoch is done yet: descriptions are kept, but no predictor comes out",
        ),
    };
    let can_stop = job.is_some_and(|job| !job.is_stopping);
    if ui
        .add_enabled(can_stop, Button::new(words))
        .on_hover_text(hint)
        .on_disabled_hover_text(hint)
        .clicked()
    {
        out.push(Command::Train(TrainCommand::Stop));
    }
}

fn stop_all(ui: &mut Ui, num_jobs: usize, out: &mut Vec<Command>) {
    let hint = "Runs that are done stay; of the one in hand the best epoch is kept, the others do not begin";
    let words = format!("Stop all {num_jobs}");
    if ui.button(words).on_hover_text(hint).clicked() {
        out.push(Command::Train(TrainCommand::StopAll));
    }
}
