//! Votes that come from files: which file, which study they are for, and what came of it.

use std::path::Path;
use std::path::PathBuf;

use crate::domain::{Aspect, RatingsFormat, Study, StudyId};
use crate::jobs::message::Job;
use crate::jobs::message::JobId;
use crate::jobs::message::JobReport;
use crate::jobs::message::RatingsImport;
use crate::state::AppState;
use crate::state::command::Screen;
use crate::state::dialogs::Dialog;

use super::Page;

/// Endings of tables; everything else is a package or a project.
const TABLES: [&str; 4] = ["csv", "tsv", "txt", "json"];

/// Choices of what votes are taken from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TakeVotes {
    /// What stands in the path field.
    pub path_text: String,
    /// Study that a table's votes are for; packages know theirs.
    pub study: Option<StudyId>,
    /// What kind of table it is; `None` means: find out.
    pub format: Option<RatingsFormat>,
    /// Aspect of a table that holds one and does not name it.
    pub aspect: Option<Aspect>,
}

/// What votes are taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VotesSource {
    /// A package that came back, or another project.
    Project,
    /// A table of votes.
    Table,
}

/// What came of votes from a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Intake {
    /// The file.
    pub path: PathBuf,
    /// What came in, or why nothing could.
    pub outcome: Result<JobReport, String>,
}

impl VotesSource {
    /// What a file holds, by its ending.
    pub fn of(path: &Path) -> Self {
        let ending = path.extension().and_then(|ending| ending.to_str());
        let ending = ending.unwrap_or_default().to_ascii_lowercase();
        match TABLES.contains(&ending.as_str()) {
            true => Self::Table,
            false => Self::Project,
        }
    }

    /// Whether a file that was let go over the list of studies is meant to bring votes.
    fn is_likely(path: &Path) -> bool {
        let ending = path.extension().and_then(|ending| ending.to_str());
        Self::of(path) == Self::Table || matches!(ending, Some("assaystudy" | "assay"))
    }
}

impl TakeVotes {
    /// The file; `None` before one is named.
    pub fn path(&self) -> Option<PathBuf> {
        let text = self.path_text.trim();
        (!text.is_empty()).then(|| PathBuf::from(text))
    }

    /// What the file holds.
    pub fn source(&self) -> Option<VotesSource> {
        self.path().map(|path| VotesSource::of(&path))
    }

    /// The work, once everything that it needs is chosen.
    pub fn job(&self) -> Option<Job> {
        let path = self.path()?;
        Some(match VotesSource::of(&path) {
            VotesSource::Project => Job::MergeStudies { path },
            VotesSource::Table => Job::ImportRatings(RatingsImport {
                study: self.study?,
                path,
                format: self.format,
                aspect: self.aspect,
            }),
        })
    }
}

/// Shows where votes are to be taken from. Tables go to the study on screen, else to the newest.
pub(in crate::state) fn open(state: &mut AppState, path: Option<&Path>) {
    let shown = (state.screen == Screen::Rate && state.rate.page == Page::Results)
        .then_some(state.rate.results.study)
        .flatten();
    let studies = state.project.iter().flat_map(|project| &project.studies);
    let newest = studies
        .clone()
        .rfind(|study| !study.is_quick)
        .or_else(|| studies.clone().next());
    let study = studies
        .clone()
        .find(|study| Some(study.id) == shown)
        .or(newest);
    state.dialog = Dialog::TakeVotes(TakeVotes {
        path_text: path.map_or_else(String::new, |path| path.display().to_string()),
        study: study.map(|study| study.id),
        format: None,
        aspect: study.and_then(usual_aspect),
    });
}

/// The aspect that a table is taken to hold where it says none: the first of several; nothing to choose of one.
pub fn usual_aspect(study: &Study) -> Option<Aspect> {
    match study.protocol.aspects.as_slice() {
        [first, _, ..] => Some(*first),
        _ => None,
    }
}

/// Takes a file that was let go over the window, where it is meant to bring votes; whether it is.
pub(in crate::state) fn dropped(state: &mut AppState, path: &Path) -> bool {
    if let Dialog::TakeVotes(choices) = &mut state.dialog {
        choices.path_text = path.display().to_string();
        return true;
    }
    let is_meant =
        state.project.is_some() && state.screen == Screen::Rate && VotesSource::is_likely(path);
    if is_meant {
        open(state, Some(path));
    }
    is_meant
}

/// A job ended: what came of votes from a file is shown, as soon as nothing else has the window.
pub(in crate::state) fn job_ended(
    state: &mut AppState,
    job: JobId,
    outcome: &Result<JobReport, String>,
) {
    let path = match state.jobs.job(job) {
        Some(Job::ImportRatings(request)) => request.path.clone(),
        Some(Job::MergeStudies { path }) => path.clone(),
        _ => return,
    };
    let outcome = outcome.clone();
    state.rate.intake = Some(Intake { path, outcome });
    if !state.dialog.is_open() {
        state.dialog = Dialog::VotesReport;
    }
}
