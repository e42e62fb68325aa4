//! Train: the settings of the next run, what it would learn from, and the live figures of the present one.

pub mod data;
pub mod runs;

use crate::domain::{Aspect, PredictorId, RunId, RunRecord, RunStatus, TrainSettings};
use crate::jobs::message::Control;
use crate::jobs::message::Job;
use crate::jobs::message::JobId;

use super::AppState;
use super::command::Effect;
use super::command::Screen;
use super::jobs::JobsCommand;
use super::jobs::RunningJob;
use data::DataSummary;

/// Where a run stands within its epoch. Not on disk.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LiveStep {
    /// Run.
    pub run: RunId,
    /// Epoch, counted from 1.
    pub epoch: u32,
    /// Step within the epoch, counted from 1.
    pub step: u32,
    /// Steps an epoch.
    pub steps: u32,
    /// Mean loss of the epoch so far.
    pub loss: f64,
}

/// What Train remembers.
#[derive(Debug, Clone)]
pub struct TrainState {
    /// Settings of the next run.
    pub settings: TrainSettings,
    /// Whether the advanced settings are unfolded.
    pub is_advanced: bool,
    /// The run whose curves and figures are shown; `None` means the newest.
    pub chosen: Option<RunId>,
    /// Live figures.
    pub live: Option<LiveStep>,
    /// What the next run would learn from.
    pub data: DataSummary,
    /// The run that is being trained right now; others that say they run were cut off.
    pub active: Option<RunId>,
    /// A training was asked for and the workers have not taken it up yet: a second click must not start another.
    pub is_asked: bool,
}

impl Default for TrainState {
    fn default() -> Self {
        Self {
            settings: TrainSettings::new(Aspect::Quality),
            is_advanced: false,
            chosen: None,
            live: None,
            data: DataSummary::default(),
            active: None,
            is_asked: false,
        }
    }
}

/// What Train can ask for.
#[derive(Debug, Clone, PartialEq)]
pub enum TrainCommand {
    /// Other settings.
    SetSettings(TrainSettings),
    /// Show or hide the advanced settings.
    ToggleAdvanced,
    /// Look at a run.
    Choose(RunId),
    /// Look at a run so many places later.
    StepRun(isize),
    /// Train with the settings shown.
    Start,
    /// End the training that runs; the best epoch so far is kept.
    Stop,
    /// Go on with a run that was cut off.
    Resume(RunId),
    /// Take a predictor into use (`None`: the embedded one).
    Use {
        /// Its aspect.
        aspect: Aspect,
        /// The predictor.
        predictor: Option<PredictorId>,
    },
}

/// Carries a command of Train out.
pub(super) fn update(state: &mut AppState, command: TrainCommand) -> Vec<Effect> {
    match command {
        TrainCommand::SetSettings(settings) => {
            state.train.settings = settings;
            refresh(state);
        }
        TrainCommand::ToggleAdvanced => state.train.is_advanced ^= true,
        TrainCommand::Choose(run) => state.train.chosen = Some(run),
        TrainCommand::StepRun(by) => step_run(state, by),
        TrainCommand::Start => {
            refresh(state);
            if obstacle(state).is_none() {
                let settings = state.train.settings.clone();
                return ask(state, Job::Train(settings));
            }
        }
        TrainCommand::Resume(run) => {
            if !is_busy(state) {
                return ask(state, Job::ResumeTraining(run));
            }
        }
        TrainCommand::Stop => {
            if let Some(id) = training_job(state).map(|job| job.id) {
                return state.jobs.update(JobsCommand::Control(id, Control::Cancel));
            }
        }
        TrainCommand::Use { aspect, predictor } => {
            return vec![Effect::Submit(Job::UsePredictor { aspect, predictor })];
        }
    }
    Vec::new()
}

fn step_run(state: &mut AppState, by: isize) {
    let (Some(shown), Some(project)) = (shown_run(state).map(|run| run.id), &state.project) else {
        return;
    };
    let at = project.runs.iter().position(|run| run.id == shown);
    let to = at.and_then(|at| at.checked_add_signed(by));
    if let Some(run) = to.and_then(|to| project.runs.get(to)) {
        state.train.chosen = Some(run.id);
    }
}

fn ask(state: &mut AppState, job: Job) -> Vec<Effect> {
    state.train.is_asked = true;
    // The run that is about to begin is the one to look at.
    state.train.chosen = match job {
        Job::ResumeTraining(run) => Some(run),
        _ => None,
    };
    vec![Effect::Submit(job)]
}

const fn is_training(job: &Job) -> bool {
    matches!(job, Job::Train(_) | Job::ResumeTraining(_))
}

/// The training job that runs.
pub fn training_job(state: &AppState) -> Option<&RunningJob> {
    state
        .jobs
        .running
        .iter()
        .find(|running| state.jobs.job(running.id).is_some_and(is_training))
}

/// Whether a training runs or was asked for.
pub fn is_busy(state: &AppState) -> bool {
    state.train.is_asked || training_job(state).is_some()
}

/// Why training cannot begin now, and what to do; `None` where it can.
pub fn obstacle(state: &AppState) -> Option<String> {
    if state.project.is_none() {
        return Some("Open a project first".to_owned());
    }
    if is_busy(state) {
        return Some("A training runs already; wait for it or stop it".to_owned());
    }
    state.train.data.obstacle()
}

/// The run whose curves and figures are shown.
pub fn shown_run(state: &AppState) -> Option<&RunRecord> {
    let project = state.project.as_ref()?;
    state
        .train
        .chosen
        .and_then(|run| project.run(run))
        .or_else(|| project.runs.last())
}

/// Whether a run was cut off and can go on.
pub fn is_cut_off(state: &AppState, run: &RunRecord) -> bool {
    run.status == RunStatus::Running && state.train.active != Some(run.id)
}

/// Counts anew what the next run would learn from.
pub(super) fn refresh(state: &mut AppState) {
    state.train.data = match &state.project {
        Some(project) => {
            let model = state.models.cards.first().map(|card| &card.tag);
            DataSummary::count(project, &state.train.settings, model)
        }
        None => DataSummary::default(),
    };
}

/// Counts anew where that can be seen.
pub(super) fn refresh_if_shown(state: &mut AppState) {
    if state.screen == Screen::Train {
        refresh(state);
    }
}

/// Another project lies on the table: nothing of the one before is meant any more.
pub(super) fn forget_runs(state: &mut AppState) {
    state.train.chosen = None;
    state.train.active = None;
    state.train.live = None;
}

/// A job was taken up.
pub(super) fn job_started(state: &mut AppState, job: JobId) {
    match state.jobs.job(job) {
        Some(Job::Train(_)) => state.train.is_asked = false,
        Some(Job::ResumeTraining(run)) => {
            state.train.active = Some(*run);
            state.train.is_asked = false;
        }
        _ => {}
    }
}

/// A job ended.
pub(super) fn job_ended(state: &mut AppState, job: JobId) {
    if state.jobs.job(job).is_some_and(is_training) {
        state.train.is_asked = false;
        state.train.active = None;
        state.train.live = None;
    }
    refresh_if_shown(state);
}

/// A run was saved. While a training runs, only its own run is saved as running.
pub(super) fn run_changed(state: &mut AppState, run: &RunRecord) {
    if run.status != RunStatus::Running {
        if state.train.active == Some(run.id) {
            state.train.active = None;
            state.train.live = None;
        }
    } else if training_job(state).is_some() {
        state.train.active = Some(run.id);
    }
}
