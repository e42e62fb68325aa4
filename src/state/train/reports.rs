//! Runs held against each other: which two, and what the workers found of them.

use std::collections::BTreeMap;

use crate::domain::{Contest, RunId, RunRecord, RunReport, RunStatus};
use crate::jobs::message::Job;
use crate::jobs::message::JobId;
use crate::state::AppState;
use crate::state::command::Effect;

/// Most runs that are compared at once.
const SIDES: usize = 2;

/// Reports that came, and the one that is waited for.
#[derive(Debug, Clone, Default)]
pub struct Reports {
    /// Runs marked to be compared, the one marked first before the other.
    pub marked: Vec<RunId>,
    found: BTreeMap<Contest, Result<Box<RunReport>, String>>,
    asked: Option<Contest>,
}

impl Reports {
    /// Marks a run, or takes the mark off. A third mark takes the place of the older one.
    pub(super) fn mark(&mut self, run: RunId) {
        if let Some(at) = self.marked.iter().position(|known| *known == run) {
            self.marked.remove(at);
            return;
        }
        if self.marked.len() == SIDES {
            self.marked.remove(0);
        }
        self.marked.push(run);
    }

    /// The two runs that are compared: the older one first.
    pub fn pair(&self) -> Option<(RunId, RunId)> {
        match self.marked.as_slice() {
            [a, b] => Some((*a.min(b), *a.max(b))),
            _ => None,
        }
    }

    /// What was found; `None` while it is not there yet.
    pub fn of(&self, contest: Contest) -> Option<Result<&RunReport, &str>> {
        let found = self.found.get(&contest)?;
        Some(match found {
            Ok(report) => Ok(report.as_ref()),
            Err(reason) => Err(reason.as_str()),
        })
    }

    /// Asks the workers for a report, unless it is there or asked for.
    pub(super) fn ask(&mut self, contest: Contest) -> Vec<Effect> {
        if self.found.contains_key(&contest) || self.asked.is_some() {
            return Vec::new();
        }
        self.asked = Some(contest);
        vec![Effect::Submit(Job::ReportRuns(contest))]
    }

    /// A report came.
    pub(in crate::state) fn take(&mut self, report: Box<RunReport>) {
        if self.asked == Some(report.contest) {
            self.asked = None;
        }
        self.found.insert(report.contest, Ok(report));
    }

    /// Another project lies on the table.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    /// A run changed: what was found of it is old.
    pub(super) fn run_changed(&mut self, run: RunId) {
        self.found.retain(|contest, _| match contest {
            Contest::BeforeAfter(own) => *own != run,
            Contest::Runs(a, b) => *a != run && *b != run,
        });
    }
}

/// A job failed: where it was a report, the reason stands in its place.
pub(in crate::state) fn job_failed(state: &mut AppState, job: JobId, reason: &str) {
    if let Some(Job::ReportRuns(contest)) = state.jobs.job(job) {
        let contest = *contest;
        let reports = &mut state.train.reports;
        reports.found.insert(contest, Err(reason.to_owned()));
        reports.asked = None;
    }
}

/// The report that the screen shows and that is not there yet.
pub fn wanted(state: &AppState) -> Option<Contest> {
    let reports = &state.train.reports;
    if reports.asked.is_some() {
        return None;
    }
    let contest = shown(state)?;
    (!reports.found.contains_key(&contest)).then_some(contest)
}

/// What the screen holds against each other: the two marked runs, or the chosen run and what was before it.
pub fn shown(state: &AppState) -> Option<Contest> {
    if let Some((first, second)) = state.train.reports.pair() {
        let project = state.project.as_ref()?;
        let (a, b) = (project.run(first)?, project.run(second)?);
        let is_one_aspect = a.settings.aspect == b.settings.aspect;
        let both = is_one_aspect && is_tested(a) && is_tested(b);
        return both.then_some(Contest::Runs(first, second));
    }
    let run = super::shown_run(state)?;
    is_tested(run).then_some(Contest::BeforeAfter(run.id))
}

/// Whether a run has ended with test figures.
pub fn is_tested(run: &RunRecord) -> bool {
    run.status != RunStatus::Running && run.test_after.is_some()
}
