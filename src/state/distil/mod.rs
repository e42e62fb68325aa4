//! Distil: a teacher's descriptions are asked for, reviewed, learned by the local model, and held against the test list.
//! Four steps, each of which can be begun, stopped and gone on with by itself.

pub mod evaluate;
pub mod review;
pub mod teacher;
pub mod tune;

use crate::jobs::message::Event;
use crate::jobs::message::Job;
use crate::jobs::message::JobId;

use super::AppState;
use super::command::Effect;
use super::command::Screen;
use super::keys::Action;

pub use evaluate::EvaluateCommand;
pub use review::ReviewCommand;
pub use teacher::TeacherCommand;
pub use tune::TuneCommand;

/// The four steps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Step {
    /// Who teaches, and what it is asked.
    #[default]
    Teacher,
    /// Reading what it said.
    Review,
    /// The local model learns it.
    Tune,
    /// Before and after on the test list.
    Evaluate,
}

impl Step {
    /// All of them, in their order.
    pub const ALL: [Self; 4] = [Self::Teacher, Self::Review, Self::Tune, Self::Evaluate];

    /// Its name on screen.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Teacher => "Teacher",
            Self::Review => "Review",
            Self::Tune => "Fine-tune",
            Self::Evaluate => "Evaluate",
        }
    }
}

/// What Distil remembers.
#[derive(Debug, Clone, Default)]
pub struct DistilState {
    /// The step shown.
    pub step: Step,
    /// Step 1.
    pub teacher: teacher::TeacherState,
    /// Step 2.
    pub review: review::ReviewState,
    /// Step 3.
    pub tune: tune::TuneState,
    /// Step 4.
    pub evaluate: evaluate::EvaluateState,
}

/// What Distil can ask for.
#[derive(Debug, Clone, PartialEq)]
pub enum DistilCommand {
    /// Show a step.
    Go(Step),
    /// Step 1.
    Teacher(TeacherCommand),
    /// Step 2.
    Review(ReviewCommand),
    /// Step 3.
    Tune(TuneCommand),
    /// Step 4.
    Evaluate(EvaluateCommand),
}

/// Carries a command of Distil out.
pub(super) fn update(state: &mut AppState, command: DistilCommand) -> Vec<Effect> {
    match command {
        DistilCommand::Go(step) => {
            state.distil.step = step;
            review::refresh(state);
            Vec::new()
        }
        DistilCommand::Teacher(command) => teacher::update(state, command),
        DistilCommand::Review(command) => review::update(state, command),
        DistilCommand::Tune(command) => tune::update(state, command),
        DistilCommand::Evaluate(command) => evaluate::update(state, command),
    }
}

/// What the screen lacks and can be asked for now, each thing once.
pub fn wanted(state: &AppState) -> Vec<DistilCommand> {
    match state.distil.step {
        Step::Teacher => teacher::wanted(state)
            .into_iter()
            .map(DistilCommand::Teacher)
            .collect(),
        Step::Review => Vec::new(),
        Step::Tune => tune::wanted(state)
            .into_iter()
            .map(DistilCommand::Tune)
            .collect(),
        Step::Evaluate => evaluate::wanted(state)
            .map(DistilCommand::Evaluate)
            .into_iter()
            .collect(),
    }
}

/// Closes what lies open while reviewing, if anything does. What was typed is kept.
pub(super) fn back(state: &mut AppState) -> bool {
    let is_shown = state.screen == Screen::Distil && state.distil.step == Step::Review;
    if is_shown {
        review::drop_idle_draft(state);
    }
    let review = &mut state.distil.review;
    let is_open = review.rejection.is_some() || review.is_editing;
    if is_shown && is_open {
        review.rejection = None;
        review.is_editing = false;
    }
    is_shown && is_open
}

/// How far a step is, in a few words.
pub fn status(state: &AppState, step: Step) -> String {
    match step {
        Step::Teacher => teacher::status(state),
        Step::Review => review::status(state),
        Step::Tune => tune::status(state),
        Step::Evaluate => evaluate::status(state),
    }
}

/// What a key of the reviewing step asks for; nothing on other steps.
pub(super) fn key(state: &AppState, action: Action) -> Option<DistilCommand> {
    if state.distil.step != Step::Review {
        return None;
    }
    let command = match action {
        Action::NextText => ReviewCommand::Step(1),
        Action::PreviousText => ReviewCommand::Step(-1),
        Action::Accept => ReviewCommand::Accept,
        Action::Edit => ReviewCommand::Edit,
        Action::SaveText => ReviewCommand::SaveDraft,
        Action::Reject => ReviewCommand::Reject,
        Action::Unreview => ReviewCommand::Reset,
        Action::History => ReviewCommand::ToggleHistory,
        _ => return None,
    };
    Some(DistilCommand::Review(command))
}

/// Takes an event in that is about this screen alone; answers the others.
pub(super) fn apply(state: &mut AppState, event: Event) -> Option<Event> {
    match event {
        Event::TeacherSpent(job, usage) => state.distil.teacher.usage = Some((job, usage)),
        Event::TeachingEstimated(request, found) => {
            state.distil.teacher.estimated(&request, Ok(found));
        }
        Event::KeyFound(address, source) => state.distil.teacher.key_found(address, source),
        Event::TeacherGreeted(address, outcome) => state.distil.teacher.greeted(address, outcome),
        Event::Evaluated(found) => state.distil.evaluate.take(*found),
        Event::Tunings(runs) => state.distil.tune.take_runs(runs),
        Event::TuneChanged(run) => state.distil.tune.change(*run),
        Event::TuneStepped(id, step) => state.distil.tune.stepped(id, step),
        Event::TuneEpochDone(id, epoch) => state.distil.tune.epoch_done(&id, epoch),
        Event::TuneEstimated(found) => state.distil.tune.estimated(*found),
        other => return Some(other),
    }
    None
}

/// A job ended as a whole, before its words are forgotten.
pub(super) fn job_failed(state: &mut AppState, job: JobId, reason: &str) {
    match state.jobs.job(job).cloned() {
        Some(Job::EstimateTeaching(request)) => {
            let outcome = Err(reason.to_owned());
            state.distil.teacher.estimated(&request, outcome);
        }
        Some(Job::EstimateTuning(settings)) => {
            state.distil.tune.not_estimated(settings, reason.to_owned());
        }
        Some(Job::GreetTeacher(address)) => {
            let outcome = Err(reason.to_owned());
            state.distil.teacher.greeted(address, outcome);
        }
        Some(Job::EvaluateModels { .. }) => state.distil.evaluate.is_asked = false,
        Some(Job::KeepKey { .. }) => {
            state.distil.teacher.key_refusal = Some(reason.to_owned());
        }
        _ => {}
    }
}

/// A job ended.
pub(super) fn job_ended(state: &mut AppState, job: JobId) {
    match state.jobs.job(job) {
        Some(Job::Teach(_)) => {
            state.distil.teacher.estimate = teacher::Estimate::Unknown;
        }
        Some(Job::Tune(_) | Job::ResumeTuning(_)) => state.distil.tune.ended(),
        _ => {}
    }
    results_changed(state);
}

/// What figures are made of has changed.
pub(super) fn results_changed(state: &mut AppState) {
    state.distil.evaluate.is_stale = true;
}

/// What was taught, or what people said of it, has changed.
pub(super) fn texts_changed(state: &mut AppState) {
    state.distil.teacher.estimate = teacher::Estimate::Unknown;
    state.distil.tune.estimate = tune::Estimate::Unknown;
    review::refresh_if_shown(state);
}

/// A project was opened: another one, or the same in another state.
pub(super) fn project_opened(state: &mut AppState, is_same: bool) {
    if !is_same {
        state.distil.review = review::ReviewState::default();
        state.distil.evaluate = evaluate::EvaluateState::default();
        state.distil.step = Step::default();
    }
    texts_changed(state);
    results_changed(state);
}
