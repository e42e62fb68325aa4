//! Step 3: what the local model learns, with which settings, whether it fits, and how far it is.

use std::collections::BTreeMap;

use crate::domain::{
    Aspect, ModelKind, TuneEpoch, TuneEstimate, TuneId, TunePreset, TuneRun, TuneSettings, TuneStep,
};
use crate::jobs::message::Control;
use crate::jobs::message::Job;
use crate::state::AppState;
use crate::state::command::Effect;
use crate::state::jobs::EndedJob;
use crate::state::jobs::JobsCommand;
use crate::state::jobs::RunningJob;

/// Points of a live curve at most; older ones are thinned out.
const MAX_POINTS: usize = 2_000;

/// What is known of the next run.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Estimate {
    /// Nothing yet.
    #[default]
    Unknown,
    /// It is being worked out.
    Asked(Box<TuneSettings>),
    /// This.
    Known(Box<TuneEstimate>),
    /// Why there is none.
    Refused(Box<TuneSettings>, String),
}

/// What step 3 remembers.
#[derive(Debug, Clone)]
pub struct TuneState {
    /// Settings of the next run.
    pub settings: TuneSettings,
    /// Whether the name was typed; else it follows from preset and number.
    pub is_named: bool,
    /// Whether the advanced settings are unfolded.
    pub is_advanced: bool,
    /// Every run, newest first; `None` until the workers answered.
    pub runs: Option<Vec<TuneRun>>,
    /// Whether they were asked.
    pub is_listed: bool,
    /// The run whose curves are shown; `None` means the newest.
    pub chosen: Option<TuneId>,
    /// What the next run would be.
    pub estimate: Estimate,
    /// The step that a run is at.
    pub live: Option<(TuneId, TuneStep)>,
    /// Losses by step of the run that goes on.
    pub losses: Vec<[f64; 2]>,
}

impl Default for TuneState {
    fn default() -> Self {
        Self {
            settings: TuneSettings::new("tuned-1", TunePreset::Light, Aspect::ALL.to_vec()),
            is_named: false,
            is_advanced: false,
            runs: None,
            is_listed: false,
            chosen: None,
            estimate: Estimate::Unknown,
            live: None,
            losses: Vec::new(),
        }
    }
}

/// What step 3 can ask for.
#[derive(Debug, Clone, PartialEq)]
pub enum TuneCommand {
    /// Other settings.
    Set(Box<TuneSettings>),
    /// Another name.
    SetName(String),
    /// A preset's usual settings.
    SetPreset(TunePreset),
    /// Show or hide the advanced settings.
    ToggleAdvanced,
    /// Say what runs there are.
    List,
    /// Work out what the next run would be.
    Estimate,
    /// Learn.
    Start,
    /// Stop; the last checkpoint stays, so that it can go on.
    Stop,
    /// Go on with a run that was stopped or cut off.
    Resume(TuneId),
    /// End such a run with its best epoch so far.
    Take(TuneId),
    /// Take a run's checkpoints away.
    Forget(TuneId),
    /// Look at a run.
    Choose(TuneId),
    /// Let the project use the model that came out of a run.
    Use(TuneId),
}

/// Carries a command out.
pub(super) fn update(state: &mut AppState, command: TuneCommand) -> Vec<Effect> {
    let tune = &mut state.distil.tune;
    match command {
        TuneCommand::Set(settings) => tune.settings = *settings,
        TuneCommand::SetName(name) => {
            tune.is_named = !name.trim().is_empty();
            tune.settings.name = name;
        }
        TuneCommand::SetPreset(preset) => set_preset(tune, preset),
        TuneCommand::ToggleAdvanced => tune.is_advanced ^= true,
        TuneCommand::List => {
            tune.is_listed = true;
            return vec![Effect::Submit(Job::ListTunings)];
        }
        TuneCommand::Estimate => {
            let settings = tune.settings.clone();
            tune.estimate = Estimate::Asked(Box::new(settings.clone()));
            return vec![Effect::Submit(Job::EstimateTuning(settings))];
        }
        TuneCommand::Start => {
            if obstacle(state).is_none() {
                let tune = &mut state.distil.tune;
                tune.begin(None);
                return vec![Effect::Submit(Job::Tune(tune.settings.clone()))];
            }
        }
        TuneCommand::Stop => {
            if let Some(id) = job(state).map(|job| job.id) {
                let stop = JobsCommand::Control(id, Control::Cancel);
                return state.jobs.update(stop);
            }
        }
        TuneCommand::Resume(id) => {
            if job(state).is_none() {
                state.distil.tune.begin(Some(id.clone()));
                return vec![Effect::Submit(Job::ResumeTuning(id))];
            }
        }
        TuneCommand::Take(id) => {
            let run = state.distil.tune.run(&id);
            if run.is_some_and(|run| can_take(state, run)) {
                return vec![Effect::Submit(Job::TakeTuning(id))];
            }
        }
        TuneCommand::Forget(id) => return vec![Effect::Submit(Job::ForgetTuning(id))],
        TuneCommand::Choose(id) => tune.chosen = Some(id),
        TuneCommand::Use(id) => return use_model(state, &id),
    }
    Vec::new()
}

fn set_preset(tune: &mut TuneState, preset: TunePreset) {
    let kept = &tune.settings;
    tune.settings = TuneSettings {
        base: kept.base.clone(),
        teacher: kept.teacher.clone(),
        seed: kept.seed,
        ..TuneSettings::new(&kept.name, preset, kept.aspects.clone())
    };
}

/// The folder of what came out is taken for the project's model.
fn use_model(state: &AppState, id: &TuneId) -> Vec<Effect> {
    let run = state.distil.tune.run(id);
    match run.and_then(|run| run.adapter.clone()) {
        Some(folder) => {
            let folder = Some(folder.into());
            vec![Effect::Submit(Job::UseModel { folder })]
        }
        None => Vec::new(),
    }
}

impl TuneState {
    /// A run begins, or goes on: its curve is the one to look at.
    fn begin(&mut self, run: Option<TuneId>) {
        self.live = None;
        self.losses.clear();
        self.chosen = Some(run.unwrap_or_else(|| TuneId(self.settings.name.clone())));
    }

    pub(super) fn take_runs(&mut self, runs: Vec<TuneRun>) {
        self.runs = Some(runs);
        self.name();
    }

    pub(super) fn change(&mut self, run: TuneRun) {
        let runs = self.runs.get_or_insert_default();
        match runs.iter_mut().find(|known| known.id == run.id) {
            Some(known) => *known = run,
            None => runs.insert(0, run),
        }
    }

    pub(super) fn stepped(&mut self, id: TuneId, step: TuneStep) {
        if self.live.as_ref().is_some_and(|(known, _)| *known != id) {
            self.losses.clear();
        }
        self.losses.push([step.step as f64, step.loss]);
        if self.losses.len() > MAX_POINTS {
            let mut at = 0;
            self.losses.retain(|_| {
                at += 1;
                at % 2 == 0
            });
        }
        self.live = Some((id, step));
    }

    pub(super) fn epoch_done(&mut self, id: &TuneId, epoch: TuneEpoch) {
        let mut runs = self.runs.iter_mut().flatten();
        if let Some(run) = runs.find(|run| run.id == *id) {
            run.epochs.retain(|known| known.epoch != epoch.epoch);
            run.epochs.push(epoch);
        }
    }

    pub(super) fn estimated(&mut self, found: TuneEstimate) {
        if let Estimate::Asked(asked) = &self.estimate
            && **asked == found.settings
        {
            self.estimate = Estimate::Known(Box::new(found));
        }
    }

    pub(super) fn not_estimated(&mut self, settings: TuneSettings, reason: String) {
        if let Estimate::Asked(asked) = &self.estimate
            && **asked == settings
        {
            self.estimate = Estimate::Refused(Box::new(settings), reason);
        }
    }

    /// A run ended: the next one gets a name of its own, and memory may be free again.
    pub(super) fn ended(&mut self) {
        self.live = None;
        self.estimate = Estimate::Unknown;
        self.is_named = false;
        self.is_listed = false;
        self.name();
    }

    /// The first free name, where none was typed.
    fn name(&mut self) {
        if self.is_named {
            return;
        }
        let taken = |name: &str| {
            let mut runs = self.runs.iter().flatten();
            runs.any(|run| run.id.0 == name)
        };
        let free = (1..).map(|number| format!("tuned-{number}"));
        if let Some(name) = free.into_iter().find(|name| !taken(name)) {
            self.settings.name = name;
        }
    }

    /// A run by its name.
    pub fn run(&self, id: &TuneId) -> Option<&TuneRun> {
        self.runs.iter().flatten().find(|run| run.id == *id)
    }

    /// The run that is shown.
    pub fn shown(&self) -> Option<&TuneRun> {
        let chosen = self.chosen.as_ref().and_then(|id| self.run(id));
        chosen.or_else(|| self.runs.as_ref()?.first())
    }

    /// What is known of the next run, for the settings shown.
    pub fn known_estimate(&self) -> Option<Result<&TuneEstimate, &str>> {
        match &self.estimate {
            Estimate::Known(found) if found.settings == self.settings => Some(Ok(found)),
            Estimate::Refused(settings, reason) if **settings == self.settings => Some(Err(reason)),
            _ => None,
        }
    }
}

/// The fine-tuning that runs or waits.
pub fn job(state: &AppState) -> Option<&RunningJob> {
    let mut running = state.jobs.running.iter();
    running.find(|running| {
        matches!(
            state.jobs.job(running.id),
            Some(Job::Tune(_) | Job::ResumeTuning(_))
        )
    })
}

/// Runs that learn from the open project, newest first, and those of other projects behind them.
pub fn runs(state: &AppState) -> Vec<&TuneRun> {
    let own = state
        .project
        .as_ref()
        .map_or("", |project| &project.info.path);
    let all = || state.distil.tune.runs.iter().flatten();
    let ours = all().filter(|run| run.project == own);
    ours.chain(all().filter(|run| run.project != own)).collect()
}

/// Whether a run can go on, and no job works on it.
pub fn can_resume(state: &AppState, run: &TuneRun) -> bool {
    run.can_resume() && job(state).is_none()
}

/// Whether a run can end with its best epoch so far, and no job works on it.
pub fn can_take(state: &AppState, run: &TuneRun) -> bool {
    run.can_take() && job(state).is_none()
}

/// Models that can be tuned, by what is asked for with what is said: the one in use first.
pub fn bases(state: &AppState) -> Vec<(Option<String>, String)> {
    let in_use = state.models.cards.first();
    let in_use = in_use.map_or_else(
        || "The model in use".to_owned(),
        |card| format!("{}, in use", card.tag.name),
    );
    let others = state.models.cards.iter().skip(1).map(|card| {
        let name = card.folder.clone().unwrap_or_else(|| card.tag.name.clone());
        (Some(name), card.tag.name.clone())
    });
    std::iter::once((None, in_use)).chain(others).collect()
}

/// Teachers whose texts the project has, with the number of texts each.
pub fn teachers(state: &AppState) -> Vec<(String, usize)> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let rows = state.project.iter().flat_map(|project| &project.rows);
    for row in rows {
        for (_, texts) in row.descriptions.iter() {
            for text in texts {
                let imported = text.made.settings.get("imported_from");
                let imported = imported.and_then(|name| name.as_str());
                if text.origin == crate::domain::Origin::Teacher
                    && let Some(name) = text.teacher().or(imported)
                {
                    *counts.entry(name.to_owned()).or_default() += 1;
                }
            }
        }
    }
    counts.into_iter().collect()
}

/// Adapters that are here already, whatever made them.
pub fn num_adapters(state: &AppState) -> usize {
    let add_ons = state.models.shelf.add_ons.iter();
    add_ons
        .filter(|add_on| add_on.kind == ModelKind::Adapter)
        .count()
}

/// Why learning cannot begin now, and what to do; `None` where it can.
pub fn obstacle(state: &AppState) -> Option<String> {
    if state.project.is_none() {
        return Some("Open a project first".to_owned());
    }
    if job(state).is_some() {
        return Some("A fine-tuning runs already; wait for it or stop it".to_owned());
    }
    let tune = &state.distil.tune;
    if let Some(fault) = tune.settings.faults().into_iter().next() {
        return Some(fault);
    }
    if tune.run(&TuneId(tune.settings.name.clone())).is_some() {
        return Some(format!(
            "There is a run {} already: choose another name, or go on with it below",
            tune.settings.name
        ));
    }
    match tune.known_estimate() {
        Some(Err(reason)) => Some(reason.to_owned()),
        Some(Ok(found)) if !found.fits() => Some(
            "It does not fit into memory: choose a lighter preset, a shorter limit of tokens, or a smaller model"
                .to_owned(),
        ),
        _ => None,
    }
}

/// What is not known yet and can be asked for.
pub(super) fn wanted(state: &AppState) -> Vec<TuneCommand> {
    let tune = &state.distil.tune;
    let mut wanted = Vec::new();
    if !tune.is_listed {
        wanted.push(TuneCommand::List);
    }
    let is_asked = match &tune.estimate {
        Estimate::Unknown => false,
        Estimate::Asked(settings) | Estimate::Refused(settings, _) => **settings == tune.settings,
        Estimate::Known(found) => found.settings == tune.settings,
    };
    let can_ask = state.project.is_some() && tune.settings.faults().is_empty();
    if !is_asked && can_ask && job(state).is_none() {
        wanted.push(TuneCommand::Estimate);
    }
    wanted
}

/// How far the step is, in a few words.
pub(super) fn status(state: &AppState) -> String {
    let tune = &state.distil.tune;
    if let Some(job) = job(state) {
        return match &tune.live {
            Some((_, step)) => format!("Step {} of {}", step.step, step.steps),
            None if job.progress.stage.is_empty() => "Waiting".to_owned(),
            None => job.progress.stage.clone(),
        };
    }
    let runs = runs(state);
    let done = runs.iter().filter(|run| run.adapter.is_some()).count();
    match (runs.len(), done) {
        (0, _) => "No run yet".to_owned(),
        (_, 0) => "No run has ended yet".to_owned(),
        (_, 1) => "1 model tuned".to_owned(),
        (_, num) => format!("{num} models tuned"),
    }
}

/// The newest fine-tuning that ended, while its report is kept.
pub fn last(state: &AppState) -> Option<&EndedJob> {
    let mut ended = state.jobs.ended.iter();
    ended.find(|ended| {
        matches!(
            state.jobs.job(ended.id),
            Some(Job::Tune(_) | Job::ResumeTuning(_))
        )
    })
}
