//! Step 1: who teaches, where its key is, what it will be asked, and what that will cost.

use std::fmt::Write as _;

use crate::domain::{
    Aspect, ImageId, KeySource, Origin, Prices, Split, TeachEstimate, TeacherKind, TeacherSettings,
    Usage, grouped,
};
use crate::jobs::message::Job;
use crate::jobs::message::JobId;
use crate::jobs::message::Secret;
use crate::jobs::message::TeachRequest;
use crate::jobs::message::TeacherAddress;
use crate::state::AppState;
use crate::state::command::Effect;
use crate::state::jobs::EndedJob;
use crate::state::jobs::RunningJob;
use crate::state::project::Project;
use crate::state::project::Row;

/// What is known of the next job's size.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Estimate {
    /// Nothing yet.
    #[default]
    Unknown,
    /// It is being counted.
    Asked(Box<TeachRequest>),
    /// This, or why it cannot be counted.
    Known(Box<TeachRequest>, Result<TeachEstimate, String>),
}

/// What came of asking a teacher whether it is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Greeting {
    /// No answer yet.
    Asked(TeacherAddress),
    /// This.
    Answered(TeacherAddress, Result<String, String>),
}

/// What step 1 remembers.
#[derive(Debug, Clone, Default)]
pub struct TeacherState {
    /// Who is asked, and how.
    pub settings: TeacherSettings,
    /// Pictures at most, for a first try; `None` means all.
    pub limit: Option<usize>,
    /// Where the keys are of the teacher with this address.
    pub key: Option<(TeacherAddress, KeySource)>,
    /// The address whose keys are being looked for.
    pub key_asked: Option<TeacherAddress>,
    /// Why a key could not be kept.
    pub key_refusal: Option<String>,
    /// Whether it was there.
    pub greeting: Option<Greeting>,
    /// What the next job would ask.
    pub estimate: Estimate,
    /// What a job has used up so far.
    pub usage: Option<(JobId, Usage)>,
    /// Whether limits and prices are unfolded.
    pub is_advanced: bool,
}

/// What step 1 can ask for.
#[derive(Debug, Clone, PartialEq)]
pub enum TeacherCommand {
    /// Another interface, at its maker's own address.
    SetKind(TeacherKind),
    /// Other settings.
    Set(TeacherSettings),
    /// Pictures at most.
    SetLimit(Option<usize>),
    /// Show or hide limits and prices.
    ToggleAdvanced,
    /// Look where the keys are.
    LookForKey,
    /// Keep a key in the keyring, or take it away.
    KeepKey(Option<Secret>),
    /// Ask whether it is there.
    Greet,
    /// Count what would be asked.
    Estimate,
    /// Ask.
    Start,
}

/// Carries a command out.
pub(super) fn update(state: &mut AppState, command: TeacherCommand) -> Vec<Effect> {
    let address = address(&state.distil.teacher.settings);
    let request = request(state);
    let is_possible = obstacle(state).is_none();
    let teacher = &mut state.distil.teacher;
    let job = match command {
        TeacherCommand::SetKind(kind) => {
            teacher.settings = teacher.settings.with_kind(kind);
            teacher.forget();
            return Vec::new();
        }
        TeacherCommand::Set(settings) => {
            teacher.settings = settings;
            teacher.forget();
            return Vec::new();
        }
        TeacherCommand::SetLimit(limit) => {
            teacher.limit = limit;
            return Vec::new();
        }
        TeacherCommand::ToggleAdvanced => {
            teacher.is_advanced ^= true;
            return Vec::new();
        }
        TeacherCommand::LookForKey => {
            teacher.key_asked = Some(address.clone());
            Job::LookForKey(address)
        }
        TeacherCommand::KeepKey(key) => {
            teacher.key_refusal = None;
            Job::KeepKey {
                teacher: address,
                key,
            }
        }
        TeacherCommand::Greet => {
            teacher.greeting = Some(Greeting::Asked(address.clone()));
            Job::GreetTeacher(address)
        }
        TeacherCommand::Estimate => {
            teacher.estimate = Estimate::Asked(Box::new(request.clone()));
            Job::EstimateTeaching(request)
        }
        TeacherCommand::Start if is_possible => Job::Teach(request),
        TeacherCommand::Start => return Vec::new(),
    };
    vec![Effect::Submit(job)]
}

impl TeacherState {
    /// What was found out about another address is not about this one.
    fn forget(&mut self) {
        let address = address(&self.settings);
        self.key_refusal = None;
        let of = |greeting: &Greeting| match greeting {
            Greeting::Asked(asked) | Greeting::Answered(asked, _) => *asked == address,
        };
        self.greeting = self.greeting.take().filter(of);
    }

    pub(super) fn estimated(
        &mut self,
        request: &TeachRequest,
        outcome: Result<TeachEstimate, String>,
    ) {
        if let Estimate::Asked(asked) = &self.estimate
            && **asked == *request
        {
            self.estimate = Estimate::Known(asked.clone(), outcome);
        }
    }

    pub(super) fn key_found(&mut self, address: TeacherAddress, source: KeySource) {
        if self.key_asked.as_ref() == Some(&address) {
            self.key_asked = None;
        }
        self.key = Some((address, source));
    }

    pub(super) fn greeted(&mut self, address: TeacherAddress, outcome: Result<String, String>) {
        if self.greeting == Some(Greeting::Asked(address.clone())) {
            self.greeting = Some(Greeting::Answered(address, outcome));
        }
    }

    /// Where the keys of the teacher shown are; `None` until that is known.
    pub fn key_source(&self) -> Option<&KeySource> {
        let (known, source) = self.key.as_ref()?;
        let shown = address(&self.settings);
        let is_same = known.base == shown.base && known.key_variable == shown.key_variable;
        is_same.then_some(source)
    }

    /// What the next job would ask, as far as it was counted for these settings.
    pub fn known_estimate(&self) -> Option<&Result<TeachEstimate, String>> {
        match &self.estimate {
            Estimate::Known(_, outcome) => Some(outcome),
            Estimate::Unknown | Estimate::Asked(_) => None,
        }
    }
}

/// Where the teacher is found.
pub fn address(settings: &TeacherSettings) -> TeacherAddress {
    TeacherAddress {
        kind: settings.kind,
        base: settings.base.trim().to_owned(),
        model: settings.model.trim().to_owned(),
        key_variable: settings.key_variable.trim().to_owned(),
    }
}

/// The job that the settings stand for.
pub fn request(state: &AppState) -> TeachRequest {
    let teacher = &state.distil.teacher;
    let settings = &teacher.settings;
    let mut images = state
        .project
        .as_ref()
        .map_or_else(Vec::new, |project| images(project, &settings.aspects));
    images.truncate(teacher.limit.unwrap_or(usize::MAX));
    let TeacherAddress {
        kind,
        base,
        model,
        key_variable,
    } = address(settings);
    TeachRequest {
        images,
        aspects: settings.aspects.clone(),
        kind,
        base,
        model,
        key_variable,
        together: settings.together,
        shows_scores: settings.shows_scores,
        lanes: settings.lanes,
        per_minute: settings.per_minute,
        budget: settings.budget,
        prices: settings.prices,
        again: false,
    }
}

/// Pictures that are there and may be learned from: in the training or validation list of one of the aspects, and tested
/// under none.
fn images(project: &Project, aspects: &[Aspect]) -> Vec<ImageId> {
    let rows = project.rows.iter();
    rows.filter(|row| row.record.file.is_present() && is_lesson(row, aspects))
        .map(|row| row.record.id)
        .collect()
}

fn is_lesson(row: &Row, aspects: &[Aspect]) -> bool {
    let split = |aspect: Aspect| *row.record.split.get(aspect);
    let is_tested = Aspect::ALL
        .into_iter()
        .any(|aspect| split(aspect) == Some(Split::Test));
    let mut wanted = aspects.iter();
    !is_tested && wanted.any(|aspect| matches!(split(*aspect), Some(Split::Train | Split::Val)))
}

/// Whether any picture stands in a list to learn from: a dataset may come without one.
pub fn has_lists(project: &Project) -> bool {
    project.rows.iter().any(|row| is_lesson(row, &Aspect::ALL))
}

/// The teaching job that runs or waits.
pub fn job(state: &AppState) -> Option<&RunningJob> {
    let running = state.jobs.running.iter();
    running
        .into_iter()
        .find(|running| matches!(state.jobs.job(running.id), Some(Job::Teach(_))))
}

/// Why asking cannot begin now, and what to do; `None` where it can.
pub fn obstacle(state: &AppState) -> Option<String> {
    let Some(project) = &state.project else {
        return Some("Open a project first".to_owned());
    };
    if job(state).is_some() {
        return Some("A teacher is being asked already; wait for it or cancel it".to_owned());
    }
    let teacher = &state.distil.teacher;
    if let Some(fault) = teacher.settings.faults().into_iter().next() {
        return Some(fault);
    }
    if !has_lists(project) {
        return Some(
            "No picture stands in a training list yet: the first training of a predictor cuts one"
                .to_owned(),
        );
    }
    match teacher.key_source() {
        Some(KeySource::None | KeySource::NoKeyring(_)) if needs_key(&teacher.settings) => {
            return Some(format!(
                "There is no key: enter one, or set {} before the program starts",
                teacher.settings.key_variable
            ));
        }
        _ => {}
    }
    match teacher.known_estimate() {
        Some(Ok(found)) if found.requests == 0 => {
            Some("This teacher has described all of them".to_owned())
        }
        Some(Err(reason)) => Some(reason.clone()),
        _ => None,
    }
}

/// Whether the server is its maker's own, which lets nobody in without a key.
fn needs_key(settings: &TeacherSettings) -> bool {
    settings.base.trim().trim_end_matches('/') == settings.kind.usual_base()
}

/// What is not known yet and can be asked for.
pub(super) fn wanted(state: &AppState) -> Vec<TeacherCommand> {
    let teacher = &state.distil.teacher;
    let shown = address(&teacher.settings);
    let mut wanted = Vec::new();
    let is_looked_for = teacher
        .key_asked
        .as_ref()
        .is_some_and(|asked| asked.base == shown.base && asked.key_variable == shown.key_variable);
    if teacher.key_source().is_none() && !is_looked_for {
        wanted.push(TeacherCommand::LookForKey);
    }
    if state.project.is_none() {
        return wanted;
    }
    let request = request(state);
    let is_counted = match &teacher.estimate {
        Estimate::Unknown => false,
        Estimate::Asked(asked) | Estimate::Known(asked, _) => counts_alike(asked, &request),
    };
    if !is_counted && !request.model.is_empty() && job(state).is_none() {
        wanted.push(TeacherCommand::Estimate);
    }
    wanted
}

/// Whether two jobs would ask the same: addresses, limits and prices do not count.
fn counts_alike(left: &TeachRequest, right: &TeachRequest) -> bool {
    let of = |request: &TeachRequest| TeachRequest {
        base: String::new(),
        key_variable: String::new(),
        lanes: 0,
        per_minute: None,
        budget: crate::domain::Budget::default(),
        prices: crate::domain::Prices::default(),
        ..request.clone()
    };
    of(left) == of(right)
}

/// How far the step is, in a few words.
pub(super) fn status(state: &AppState) -> String {
    if let Some(job) = job(state) {
        return match job.progress.total {
            0 => "Asking".to_owned(),
            total => format!(
                "Asking, {} of {}",
                grouped(job.progress.done as usize),
                grouped(total as usize)
            ),
        };
    }
    match num_taught(state) {
        0 => "Nothing taught yet".to_owned(),
        1 => "1 text".to_owned(),
        num => format!("{} texts", grouped(num)),
    }
}

/// Texts that teachers have written.
pub fn num_taught(state: &AppState) -> usize {
    let rows = state.project.iter().flat_map(|project| &project.rows);
    rows.flat_map(|row| Aspect::ALL.map(|aspect| row.descriptions.get(aspect)))
        .flatten()
        .filter(|text| text.origin == Origin::Teacher)
        .count()
}

/// The newest teaching job that ended, while its report is kept.
pub fn last(state: &AppState) -> Option<&EndedJob> {
    let mut ended = state.jobs.ended.iter();
    ended.find(|ended| matches!(state.jobs.job(ended.id), Some(Job::Teach(_))))
}

/// What would be asked and used up, in a sentence.
pub fn estimate_words(state: &AppState) -> String {
    let teacher = &state.distil.teacher;
    match (&teacher.estimate, teacher.known_estimate()) {
        (Estimate::Asked(_), _) => "Counting what is to be asked".to_owned(),
        (_, Some(Ok(found))) => words_of(found, teacher.settings.prices),
        (_, Some(Err(reason))) => reason.clone(),
        (_, None) => "What it costs will stand here once the model is named".to_owned(),
    }
}

fn words_of(found: &TeachEstimate, prices: Prices) -> String {
    let usage = found.usage();
    let cost = match found.cost(prices) {
        Some(cost) => format!(", about {cost:.2} at these prices"),
        None => ", cost unknown without prices".to_owned(),
    };
    let skipped = match found.skipped {
        0 => String::new(),
        num => format!("; {} texts are there already", grouped(num as usize)),
    };
    format!(
        "{} requests for {} texts: about {} tokens read and {} written{cost}{skipped}",
        grouped(found.requests as usize),
        grouped(found.descriptions as usize),
        tokens_words(usage.input),
        tokens_words(usage.output)
    )
}

/// "940", "12,400", "1.9 million".
pub fn tokens_words(tokens: u64) -> String {
    match tokens {
        0..=999_999 => grouped(tokens as usize),
        _ => format!("{:.1} million", tokens as f64 / 1e6),
    }
}

/// What a running job has used up, beside its budget.
pub fn spent_words(state: &AppState) -> Option<String> {
    let (id, usage) = state.distil.teacher.usage?;
    job(state).filter(|job| job.id == id)?;
    let Some(Job::Teach(request)) = state.jobs.job(id) else {
        return None;
    };
    let of = |most: Option<u64>| {
        most.map_or_else(String::new, |most| format!(" of {}", tokens_words(most)))
    };
    let mut words = format!(
        "{}{} requests, {}{} tokens",
        grouped(usage.requests as usize),
        of(request.budget.requests),
        tokens_words(usage.input + usage.output),
        of(request.budget.tokens)
    );
    let cost = usage.cost(request.prices);
    if cost > 0.0 {
        let most = request.budget.money;
        let most = most.map_or_else(String::new, |most| format!(" of {most:.2}"));
        // Writing to a text cannot fail.
        write!(words, ", cost {cost:.4}{most}").ok();
    }
    Some(words)
}
