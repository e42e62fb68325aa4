//! Train: the settings of the next run, what it would learn from, and the live figures of the present one.

pub mod data;
pub mod plan;
pub mod reports;
pub mod runs;

use std::collections::BTreeSet;

use crate::domain::{
    Aspect, Contest, Descriptions, FeatureUsage, LearnFrom, Origin, PredictorId, RunId, RunRecord,
    RunStatus, TrainSettings,
};
use crate::jobs::message::Control;
use crate::jobs::message::Job;
use crate::jobs::message::JobId;

use super::AppState;
use super::command::Effect;
use super::command::Screen;
use super::jobs::JobsCommand;
use super::jobs::RunningJob;
pub use data::DataSummary;

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

/// What is known of the feature cache.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CacheState {
    /// Nothing yet.
    #[default]
    Unknown,
    /// It is being measured.
    Asked,
    /// This.
    Known(FeatureUsage),
}

/// What Train remembers.
#[derive(Debug, Clone)]
pub struct TrainState {
    /// Settings of the next runs; their aspect is the first of [`TrainState::aspects`].
    pub settings: TrainSettings,
    /// The aspects that are trained one after another, in the order of [`Aspect::ALL`].
    pub aspects: Vec<Aspect>,
    /// Parts of a cross-validation; `None`: one run an aspect.
    pub num_folds: Option<u32>,
    /// Whether the advanced settings are unfolded.
    pub is_advanced: bool,
    /// The run whose curves and figures are shown; `None` means the newest.
    pub chosen: Option<RunId>,
    /// Runs held against each other.
    pub reports: reports::Reports,
    /// Live figures.
    pub live: Option<LiveStep>,
    /// What the next runs would learn from, one for each aspect.
    pub data: Vec<DataSummary>,
    /// Room that the cached features take.
    pub cache: CacheState,
    /// Whether the project has published descriptions to read.
    pub has_published: bool,
    /// Runs of the trainings that go on; others that say they run were cut off.
    pub working: BTreeSet<RunId>,
    /// A training was asked for and the workers have not taken it up yet: a second click must not start another.
    pub is_asked: bool,
}

impl Default for TrainState {
    fn default() -> Self {
        Self {
            settings: TrainSettings::new(Aspect::Quality),
            aspects: vec![Aspect::Quality],
            num_folds: None,
            is_advanced: false,
            chosen: None,
            reports: reports::Reports::default(),
            live: None,
            data: Vec::new(),
            cache: CacheState::default(),
            has_published: false,
            working: BTreeSet::new(),
            is_asked: false,
        }
    }
}

/// What Train can ask for.
#[derive(Debug, Clone, PartialEq)]
pub enum TrainCommand {
    /// Other settings.
    SetSettings(TrainSettings),
    /// Train this aspect too, or no longer.
    ToggleAspect(Aspect),
    /// Cross-validate in so many parts, or not.
    SetFolds(Option<u32>),
    /// Train for so long.
    SetBudget(plan::Budget),
    /// Show or hide the advanced settings.
    ToggleAdvanced,
    /// Look at a run.
    Choose(RunId),
    /// Look at a run so many places later.
    StepRun(isize),
    /// Mark a run to be compared with another, or take the mark off.
    Mark(RunId),
    /// Look at single runs again.
    ClearMarks,
    /// Hold against each other what the screen shows.
    Report(Contest),
    /// Measure the feature cache.
    MeasureCache,
    /// Delete the oldest cached features until at most so many bytes are left.
    Prune(u64),
    /// Train with the settings shown.
    Start,
    /// End the run that is trained; the best epoch so far is kept, and the next run begins.
    Stop,
    /// End all runs; the best epoch of the one that is trained is kept.
    StopAll,
    /// Go on with a run that was cut off.
    Resume(RunId),
    /// Go on with every run that was cut off.
    ResumeAll,
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
        TrainCommand::ToggleAspect(aspect) => toggle_aspect(state, aspect),
        TrainCommand::SetFolds(folds) => {
            state.train.num_folds = folds;
            refresh(state);
        }
        TrainCommand::SetBudget(budget) => {
            state.train.settings.epochs = budget.epochs();
            state.train.settings.patience = budget.patience();
        }
        TrainCommand::ToggleAdvanced => state.train.is_advanced ^= true,
        TrainCommand::Choose(run) => state.train.chosen = Some(run),
        TrainCommand::StepRun(by) => step_run(state, by),
        TrainCommand::Mark(run) => state.train.reports.mark(run),
        TrainCommand::ClearMarks => state.train.reports.marked.clear(),
        TrainCommand::Report(contest) => return state.train.reports.ask(contest),
        TrainCommand::MeasureCache => {
            if state.train.cache == CacheState::Unknown {
                state.train.cache = CacheState::Asked;
                return vec![Effect::Submit(Job::MeasureFeatures)];
            }
        }
        TrainCommand::Prune(max_bytes) => {
            return vec![Effect::Submit(Job::PruneFeatures { max_bytes })];
        }
        TrainCommand::Start => {
            refresh(state);
            if obstacle(state).is_none() {
                let runs = plan::runs(&state.train);
                return ask(state, runs.into_iter().map(Job::Train).collect());
            }
        }
        TrainCommand::Resume(run) => {
            if !is_busy(state) {
                return ask(state, vec![Job::ResumeTraining(run)]);
            }
        }
        TrainCommand::ResumeAll => {
            if !is_busy(state) {
                let runs = cut_off(state).map(|run| Job::ResumeTraining(run.id));
                let jobs = runs.collect();
                return ask(state, jobs);
            }
        }
        TrainCommand::Stop => return stop(state, 1),
        TrainCommand::StopAll => return stop(state, usize::MAX),
        TrainCommand::Use { aspect, predictor } => {
            return vec![Effect::Submit(Job::UsePredictor { aspect, predictor })];
        }
    }
    Vec::new()
}

fn toggle_aspect(state: &mut AppState, aspect: Aspect) {
    let train = &mut state.train;
    match train.aspects.iter().position(|known| *known == aspect) {
        // The last one stays: a training of nothing is none.
        Some(_) if train.aspects.len() == 1 => {}
        Some(at) => {
            train.aspects.remove(at);
        }
        None => {
            train.aspects.push(aspect);
            train.aspects.sort_unstable();
        }
    }
    if let Some(first) = train.aspects.first() {
        train.settings.aspect = *first;
    }
    refresh(state);
}

/// Ends the first trainings that go on. The last ones are told first, so that none of them begins meanwhile.
fn stop(state: &mut AppState, most: usize) -> Vec<Effect> {
    let jobs: Vec<JobId> = training_jobs(state)
        .filter(|job| !job.is_stopping)
        .take(most)
        .map(|job| job.id)
        .collect();
    let stopping = jobs.into_iter().rev();
    stopping
        .flat_map(|id| state.jobs.update(JobsCommand::Control(id, Control::Cancel)))
        .collect()
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

fn ask(state: &mut AppState, jobs: Vec<Job>) -> Vec<Effect> {
    if jobs.is_empty() {
        return Vec::new();
    }
    state.train.is_asked = true;
    state.train.reports.marked.clear();
    // The run that is about to begin is the one to look at.
    state.train.chosen = match jobs.first() {
        Some(Job::ResumeTraining(run)) => Some(*run),
        _ => None,
    };
    jobs.into_iter().map(Effect::Submit).collect()
}

const fn is_training(job: &Job) -> bool {
    matches!(job, Job::Train(_) | Job::ResumeTraining(_))
}

/// Whether the feature cache is another one after the job.
const fn fills_cache(job: &Job) -> bool {
    is_training(job)
        || matches!(
            job,
            Job::Describe { .. } | Job::Score { .. } | Job::Features(_) | Job::PruneFeatures { .. }
        )
}

/// The training jobs that have not ended, in their order.
pub fn training_jobs(state: &AppState) -> impl Iterator<Item = &RunningJob> {
    let running = state.jobs.running.iter();
    running.filter(|running| state.jobs.job(running.id).is_some_and(is_training))
}

/// The training job that is at work, or next.
pub fn training_job(state: &AppState) -> Option<&RunningJob> {
    training_jobs(state).next()
}

/// The run that is trained right now: the one of the live figures, or the oldest that goes on.
pub fn active(state: &AppState) -> Option<RunId> {
    let working = &state.train.working;
    let live = state.train.live.map(|live| live.run);
    live.filter(|run| working.contains(run))
        .or_else(|| working.first().copied())
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
    let runs = plan::runs(&state.train);
    if let Some(fault) = runs.first().and_then(|run| run.faults().into_iter().next()) {
        return Some(fault);
    }
    state.train.data.iter().find_map(DataSummary::obstacle)
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
    run.status == RunStatus::Running && !state.train.working.contains(&run.id)
}

/// Every run that was cut off, oldest first.
pub fn cut_off(state: &AppState) -> impl Iterator<Item = &RunRecord> {
    let runs = state.project.iter().flat_map(|project| &project.runs);
    runs.filter(|run| is_cut_off(state, run))
}

/// Counts anew what the next runs would learn from.
pub(super) fn refresh(state: &mut AppState) {
    state.train.has_published = state.project.as_ref().is_some_and(|project| {
        project.rows.iter().any(|row| {
            let has = |aspect| row.newest_description(aspect, Origin::Published).is_some();
            Aspect::ALL.into_iter().any(has)
        })
    });
    state.train.data = match &state.project {
        Some(project) => {
            let plan = plan::runs(&state.train);
            // The parts of a cross-validation learn from equally many.
            let firsts = plan
                .iter()
                .filter(|run| run.fold.is_none_or(|fold| fold.number == 0));
            firsts
                .map(|settings| {
                    let model = state.models.tag(settings.aspect);
                    DataSummary::count(project, settings, model)
                })
                .collect()
        }
        None => Vec::new(),
    };
}

/// Counts anew where that can be seen.
pub(super) fn refresh_if_shown(state: &mut AppState) {
    if state.screen == Screen::Train {
        refresh(state);
    }
}

/// Another project lies on the table: nothing of the one before is meant any more.
pub(super) fn project_changed(state: &mut AppState) {
    let train = &mut state.train;
    train.chosen = None;
    train.live = None;
    train.working.clear();
    train.reports.forget();
    train.cache = CacheState::Unknown;
    train.settings.learn_from = LearnFrom::default();
    train.settings.descriptions = Descriptions::Local;
}

/// A job was taken up.
pub(super) fn job_started(state: &mut AppState, job: JobId) {
    match state.jobs.job(job) {
        Some(Job::Train(_)) => state.train.is_asked = false,
        Some(Job::ResumeTraining(run)) => {
            state.train.working.insert(*run);
            state.train.is_asked = false;
        }
        _ => {}
    }
}

/// A job ended.
pub(super) fn job_ended(state: &mut AppState, job: JobId) {
    if state.jobs.job(job).is_some_and(fills_cache) {
        state.train.cache = CacheState::Unknown;
    }
    if state.jobs.job(job).is_some_and(is_training) {
        state.train.is_asked = false;
        state.train.live = None;
        let is_last = training_jobs(state).all(|running| running.id == job);
        if is_last {
            state.train.working.clear();
        }
    }
    refresh_if_shown(state);
}

/// A run was saved. While trainings go on, only their own runs are saved as running.
pub(super) fn run_changed(state: &mut AppState, run: &RunRecord) {
    if run.status != RunStatus::Running {
        state.train.working.remove(&run.id);
        if state.train.live.is_some_and(|live| live.run == run.id) {
            state.train.live = None;
        }
        state.train.reports.run_changed(run.id);
    } else if training_job(state).is_some() {
        state.train.working.insert(run.id);
    }
}
