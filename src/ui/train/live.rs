//! A training that runs: where it stands, its curves, and the button that ends it.

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
use crate::ui::tokens::Palette;

use super::curves;

/// Draws the training that runs.
pub(super) fn show(ui: &mut Ui, state: &AppState, project: &Project, out: &mut Vec<Command>) {
    let run = state.train.active.and_then(|run| project.run(run));
    let job = train::training_job(state);
    let live = state.train.live;
    ui.label(place(state, run, job));
    bar(ui, state, run, job);
    ui.horizontal(|ui| {
        stop(ui, run, job, out);
        if let Some(seconds) = job.and_then(|job| job.progress.seconds_left) {
            ui.label(format!("{} left", duration_in_words(seconds)));
        }
        if let Some(live) = live {
            ui.weak(format!(
                "step {} of {}, loss {:.4}",
                live.step, live.steps, live.loss
            ));
        }
    });
    if let Some(run) = run {
        curves::show(ui, run, live);
    }
}

fn place(state: &AppState, run: Option<&RunRecord>, job: Option<&RunningJob>) -> String {
    match (run, job, state.train.live) {
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
    }
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
