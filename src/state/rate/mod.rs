//! Rate: studies, the sittings in them, quick rating, and what came of the votes.

pub mod form;
pub mod intake;
mod plan;
pub mod quick;
pub mod results;
pub mod sitting;

use crate::domain::{ImageId, Study, StudyId, Vote, VoteValue};
use crate::jobs::message::Job;
use crate::jobs::message::JobId;
use crate::jobs::message::StudyResults;

use super::AppState;
use super::actions;
use super::command::Effect;
use super::command::Screen;
use super::notices::Tone;

use form::Form;
use form::FormCommand;
use intake::Intake;
use quick::Quick;
use quick::QuickCommand;
use results::Results;
use results::ResultsCommand;
use sitting::Desk;
use sitting::Display;
use sitting::Sitting;
use sitting::Skipped;

/// What the clocks showed. The app reads them; nothing below it does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Moment {
    /// Milliseconds since 1970-01-01 UTC, by a clock that people set.
    pub unix_ms: i64,
    /// Milliseconds since the program began, by a clock that nobody sets.
    pub steady_ms: u64,
}

impl Moment {
    /// Milliseconds that have passed since an earlier moment.
    pub const fn since(self, earlier: Self) -> u64 {
        self.steady_ms.saturating_sub(earlier.steady_ms)
    }
}

/// The pages of the screen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Page {
    /// Every study, and quick rating.
    #[default]
    Studies,
    /// The form of a study.
    Form,
    /// What the votes of a study say.
    Results,
}

/// What Rate remembers.
#[derive(Debug, Clone, Default)]
pub struct RateState {
    /// What the clocks showed when this frame began.
    pub now: Moment,
    /// The page shown.
    pub page: Page,
    /// The form of a study.
    pub form: Form,
    /// The sitting that has the window for itself.
    pub sitting: Option<Sitting>,
    /// Pictures that the last sitting could not show.
    pub skipped: Vec<Skipped>,
    /// What the votes of a study say.
    pub results: Results,
    /// Quick rating.
    pub quick: Quick,
    /// What came of the last votes from a file.
    pub intake: Option<Intake>,
}

/// What Rate can ask for.
#[derive(Debug, Clone, PartialEq)]
pub enum RateCommand {
    /// Show the list of studies.
    List,
    /// Show the form of a new study over the pictures in scope.
    New,
    /// Show the form of a study that nobody has voted in yet.
    Change(StudyId),
    /// The form.
    Form(FormCommand),
    /// Let somebody sit down before a study.
    Sit(StudyId),
    /// The sitting.
    Sitting(SittingCommand),
    /// Show what the votes of a study say.
    ShowResults(StudyId),
    /// The results.
    Results(ResultsCommand),
    /// Quick rating.
    Quick(QuickCommand),
}

/// What a sitting can ask for.
#[derive(Debug, Clone, PartialEq)]
pub enum SittingCommand {
    /// Another name.
    SetName(String),
    /// The name is given.
    Begin,
    /// Read on.
    GoOn,
    /// The pictures of a trial are on screen.
    Shown {
        /// The trial's place in the rater's order.
        trial: usize,
        /// What they are shown on.
        display: Display,
    },
    /// An answer.
    Answer(VoteValue),
    /// Put the handle of the continuous scale somewhere.
    Slide(f64),
    /// Move it by so many tenths.
    Nudge(i32),
    /// A digit of a score is typed.
    Digit(u8),
    /// Answer with the score at which the handle stands.
    Confirm,
    /// Hand in again what could not be saved.
    TryAgain,
    /// Take the last answer back.
    TakeBack,
    /// Another rater takes the seat.
    NextRater,
    /// Leave; it goes on at the same trial another time.
    Leave,
}

/// Carries a command out.
pub(super) fn update(state: &mut AppState, command: RateCommand) -> Vec<Effect> {
    match command {
        RateCommand::List => state.rate.page = Page::Studies,
        RateCommand::New => new_form(state),
        RateCommand::Change(study) => change_form(state, study),
        RateCommand::Form(command) => return form(state, command),
        RateCommand::Sit(study) => sit(state, study),
        RateCommand::Sitting(command) => return sitting(state, command),
        RateCommand::ShowResults(study) => {
            state.rate.page = Page::Results;
            state.screen = Screen::Rate;
            state.rate.results.choose(study);
            refresh_results(state);
        }
        RateCommand::Results(command) => return results::update(state, command),
        RateCommand::Quick(command) => return quick::update(state, command),
    }
    Vec::new()
}

/// A study of the open project.
pub fn study(state: &AppState, id: StudyId) -> Option<&Study> {
    let studies = &state.project.as_ref()?.studies;
    studies.iter().find(|study| study.id == id)
}

/// A record was committed.
pub(super) fn voted(state: &mut AppState, vote: &Vote) {
    quick::voted(state, vote);
    with_desk(state, |sitting, desk| sitting.voted(vote.token, desk));
}

/// A job failed: a sitting holds on to a record that could not be committed.
pub(super) fn job_failed(state: &mut AppState, job: JobId, reason: &str) {
    if let Some(Job::Vote(vote) | Job::TakeBackVote(vote)) = state.jobs.job(job)
        && let Some(sitting) = &mut state.rate.sitting
    {
        sitting.failed(vote.token, reason.to_owned());
    }
}

/// A picture could not be decoded for the screen.
pub(super) fn picture_failed(state: &mut AppState, image: ImageId) {
    with_desk(state, |sitting, desk| sitting.picture_failed(image, desk));
}

/// The project changed as a whole: what is shown follows, and a sitting in a study that is gone ends.
pub(super) fn project_opened(state: &mut AppState, is_same: bool) {
    let keeps = |sitting: &Sitting| study(state, sitting.study.id).is_some();
    if !is_same || !state.rate.sitting.as_ref().is_some_and(keeps) {
        state.rate.sitting = None;
    }
    if !is_same {
        state.rate.page = Page::Studies;
        state.rate.skipped.clear();
        state.rate.results.forget();
        state.rate.quick.forget();
        state.rate.intake = None;
    }
    state.rate.results.forget_rows();
    refresh_if_shown(state);
}

/// A worker counted the votes of a study.
pub(super) fn results_came(state: &mut AppState, results: StudyResults) {
    if let Some(project) = &state.project {
        state.rate.results.take(results, project);
    }
}

/// Studies were made or changed.
pub(super) fn studies_changed(state: &mut AppState) {
    refresh_if_shown(state);
}

/// Asks for the results anew if they are on screen and votes came in since.
pub(super) fn refresh_if_shown(state: &mut AppState) {
    if state.screen == Screen::Rate && state.rate.page == Page::Results {
        refresh_results(state);
    }
}

fn refresh_results(state: &mut AppState) {
    if let Some(project) = &state.project {
        state.rate.results.refresh(project);
    }
}

fn scope(state: &AppState) -> Vec<ImageId> {
    state.project.as_ref().map_or_else(Vec::new, |project| {
        actions::images_in_scope(project, &state.view, &state.selection)
    })
}

fn new_form(state: &mut AppState) {
    let scope = scope(state);
    if let Some(project) = &state.project {
        state.rate.form = Form::new(project, scope);
        state.rate.page = Page::Form;
        state.screen = Screen::Rate;
    }
}

fn change_form(state: &mut AppState, id: StudyId) {
    let scope = scope(state);
    let (Some(project), Some(study)) = (&state.project, study(state, id)) else {
        return;
    };
    if study.is_frozen {
        let words =
            "This study has votes, so its protocol stays as it is; make a new study instead";
        state.notices.say(Tone::Info, words.to_owned());
        return;
    }
    state.rate.form = Form::of(study, project, scope);
    state.rate.page = Page::Form;
}

fn form(state: &mut AppState, command: FormCommand) -> Vec<Effect> {
    let Some(project) = &state.project else {
        return Vec::new();
    };
    let form = &mut state.rate.form;
    match command {
        FormCommand::Set(protocol) => form.set(*protocol, project),
        FormCommand::SetSource(source) => form.set_source(source, project),
        FormCommand::SetLimit(limit) => form.set_limit(limit, project),
        FormCommand::Save if form.faults.is_empty() => {
            let protocol = form.assembled();
            let job = match form.study {
                Some(study) => Job::ChangeStudy { study, protocol },
                None => Job::CreateStudy(protocol),
            };
            state.rate.page = Page::Studies;
            return vec![Effect::Submit(job)];
        }
        FormCommand::Save => {}
    }
    Vec::new()
}

fn sit(state: &mut AppState, id: StudyId) {
    let Some(study) = study(state, id).filter(|study| !study.is_quick) else {
        return;
    };
    let sitting = Sitting::new(study.clone());
    // What failed before may be there again: a disk that was unplugged.
    state.picture_failures.clear();
    state.rate.skipped.clear();
    state.rate.sitting = Some(sitting);
}

fn sitting(state: &mut AppState, command: SittingCommand) -> Vec<Effect> {
    let now = state.rate.now;
    match command {
        SittingCommand::SetName(name) => on_sitting(state, |sitting| sitting.rater = name),
        SittingCommand::Begin => with_desk(state, Sitting::begin),
        SittingCommand::GoOn => with_desk(state, Sitting::go_on),
        SittingCommand::Shown { trial, display } => {
            on_sitting(state, |sitting| sitting.shown(trial, display, now));
        }
        SittingCommand::Slide(score) => on_sitting(state, |sitting| sitting.slide_to(score)),
        SittingCommand::Nudge(tenths) => on_sitting(state, |sitting| sitting.nudge(tenths)),
        SittingCommand::Digit(digit) => on_sitting(state, |sitting| sitting.digit(digit)),
        SittingCommand::NextRater => {
            keep_skipped(state);
            on_sitting(state, Sitting::next_rater);
        }
        SittingCommand::Leave => leave(state),
        SittingCommand::Answer(_)
        | SittingCommand::Confirm
        | SittingCommand::TryAgain
        | SittingCommand::TakeBack => return hand_in(state, &command),
    }
    Vec::new()
}

/// Commands that send a record to the disk.
fn hand_in(state: &mut AppState, command: &SittingCommand) -> Vec<Effect> {
    let now = state.rate.now;
    let mut vote = None;
    with_desk(state, |sitting, desk| {
        vote = match command {
            SittingCommand::Answer(value) => sitting.answer(*value, now),
            SittingCommand::Confirm => sitting.confirm(now),
            SittingCommand::TryAgain => sitting.try_again(now),
            SittingCommand::TakeBack => sitting.take_back(desk),
            _ => None,
        };
    });
    let submit = |vote: Vote| {
        Effect::Submit(match vote.undo_of {
            None => Job::Vote(vote),
            Some(_) => Job::TakeBackVote(vote),
        })
    };
    vote.map(submit).into_iter().collect()
}

fn leave(state: &mut AppState) {
    keep_skipped(state);
    state.rate.sitting = None;
    state.rate.page = Page::Studies;
    state.screen = Screen::Rate;
}

fn keep_skipped(state: &mut AppState) {
    if let Some(sitting) = &mut state.rate.sitting {
        let known = &mut state.rate.skipped;
        for skipped in sitting.skipped.drain(..) {
            if !known.contains(&skipped) {
                known.push(skipped);
            }
        }
    }
}

fn on_sitting(state: &mut AppState, act: impl FnOnce(&mut Sitting)) {
    if let Some(sitting) = &mut state.rate.sitting {
        act(sitting);
    }
}

fn with_desk(state: &mut AppState, act: impl FnOnce(&mut Sitting, Desk<'_>)) {
    let AppState {
        rate,
        project,
        picture_failures,
        ..
    } = state;
    if let (Some(sitting), Some(project)) = (&mut rate.sitting, project) {
        let desk = Desk {
            project,
            failures: picture_failures,
            now: rate.now,
        };
        act(sitting, desk);
    }
}

#[cfg(test)]
mod tests;
