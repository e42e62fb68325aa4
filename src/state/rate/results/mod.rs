//! What the votes of a study say: raters, pictures, and what screening changes. Counted by a worker when votes came in
//! or a choice changed; the screen keeps what it has until then.

mod digest;
mod pairs;

use crate::domain::{Aspect, Method, Study, StudyId};
use crate::jobs::message::Job;
use crate::jobs::message::ResultsRequest;
use crate::jobs::message::StudyResults;
use crate::state::AppState;
use crate::state::Project;
use crate::state::command::Effect;
use crate::stats::raters::Screening;

pub use digest::Change;
pub use digest::Digest;
pub use digest::Figure;
pub use digest::PictureRow;
pub use digest::RaterRow;
pub use pairs::PairRow;

/// What the order of the pictures goes by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Order {
    /// Highest score first.
    #[default]
    Best,
    /// Lowest score first.
    Worst,
    /// Widest interval first: where raters disagree.
    Unsure,
    /// Largest change by screening first.
    Changed,
}

/// The results on screen.
#[derive(Debug, Clone)]
pub struct Results {
    /// The study.
    pub study: Option<StudyId>,
    /// The aspect.
    pub aspect: Aspect,
    /// How ratings become scores.
    pub screening: Screening,
    /// What the order of the pictures goes by.
    pub order: Order,
    /// The figures, or the reason in words where there are none; `None` until the first come.
    pub digest: Option<Result<Digest, String>>,
    /// Whether newer figures are on their way.
    pub is_counting: bool,
    /// Counts up whenever other figures are shown.
    pub revision: u64,
    asked: Option<Asked>,
    wish: Option<ResultsRequest>,
    counted: Option<Counted>,
    serial: u64,
}

/// What was asked for last, with what it hangs on.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Asked {
    request: ResultsRequest,
    num_votes: usize,
}

/// The figures that the digest was made of, and the rows and scores that it was laid beside.
#[derive(Debug, Clone)]
struct Counted {
    results: StudyResults,
    project: Option<u64>,
}

/// What the results can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResultsCommand {
    /// Another aspect.
    SetAspect(Aspect),
    /// Another way of making scores of ratings.
    SetScreening(Screening),
    /// Another order of the pictures.
    SetOrder(Order),
    /// Let the study's scores be the ground truth of its aspect, or (`false`) the dataset's own again.
    UseAsTruth(bool),
}

impl Default for Results {
    fn default() -> Self {
        Self {
            study: None,
            aspect: Aspect::Quality,
            screening: Screening::default(),
            order: Order::default(),
            digest: None,
            is_counting: false,
            revision: 0,
            asked: None,
            wish: None,
            counted: None,
            serial: 0,
        }
    }
}

impl Results {
    /// Shows another study.
    pub(super) fn choose(&mut self, study: StudyId) {
        self.study = Some(study);
    }

    /// Another project was opened. What is still on its way belongs to the former one.
    pub(super) fn forget(&mut self) {
        *self = Self {
            serial: self.serial,
            revision: self.revision,
            ..Self::default()
        };
    }

    /// The project was read anew: figures are laid beside its rows again.
    pub(super) fn forget_rows(&mut self) {
        if let Some(counted) = &mut self.counted {
            counted.project = None;
        }
    }

    /// What is to be counted, once.
    pub(in crate::state) fn take_wish(&mut self) -> Option<ResultsRequest> {
        self.wish.take()
    }

    /// Asks for figures if anything that they hang on changed. What is there stays on screen until they come, unless
    /// it is of another study or aspect.
    pub(super) fn refresh(&mut self, project: &Project) {
        let Some(study) = self.study_of(project) else {
            self.forget();
            return;
        };
        if !study.protocol.aspects.contains(&self.aspect) {
            self.aspect = first_aspect(study, project);
        }
        let is_of_these = |counted: &Counted| {
            let request = counted.results.request;
            (request.study, request.aspect) == (study.id, self.aspect)
        };
        if !self.counted.as_ref().is_some_and(is_of_these) {
            self.counted = None;
            self.digest = None;
        }
        let wanted = Asked {
            request: ResultsRequest {
                serial: self.serial,
                study: study.id,
                aspect: self.aspect,
                screening: self.screening,
            },
            num_votes: project.votes_of(study.id).len(),
        };
        if self.asked != Some(wanted) {
            self.ask(wanted);
        }
        self.lay_out(project);
    }

    /// Figures came; those that were asked for before something changed are left aside.
    pub(super) fn take(&mut self, results: StudyResults, project: &Project) {
        let is_wanted = |asked: Asked| asked.request == results.request;
        if !self.asked.is_some_and(is_wanted) {
            return;
        }
        self.is_counting = false;
        self.counted = Some(Counted {
            results,
            project: None,
        });
        self.lay_out(project);
    }

    /// Puts the pictures into the order that was chosen.
    fn sort(&mut self) {
        if let Some(Ok(digest)) = &mut self.digest {
            digest.sort(self.order);
            self.revision += 1;
        }
    }

    fn ask(&mut self, wanted: Asked) {
        self.serial += 1;
        let request = ResultsRequest {
            serial: self.serial,
            ..wanted.request
        };
        self.asked = Some(Asked { request, ..wanted });
        self.wish = Some(request);
        self.is_counting = true;
    }

    /// Lays the figures beside rows and scores, where either is newer than what is on screen.
    fn lay_out(&mut self, project: &Project) {
        let Some(study) = self.study_of(project) else {
            return;
        };
        let Some(counted) = &mut self.counted else {
            return;
        };
        if counted.project == Some(project.revision) {
            return;
        }
        counted.project = Some(project.revision);
        let screening = counted.results.request.screening;
        let digest = match &counted.results.outcome {
            Err(reason) => Err(reason.clone()),
            Ok(analysis) => match study.protocol.method {
                Method::Pairs => pairs::digest(project, study, analysis),
                Method::Acr5 | Method::Continuous => {
                    digest::digest(project, study, (analysis, screening))
                }
            },
        };
        self.digest = Some(digest);
        self.revision += 1;
        self.sort();
    }

    fn study_of<'a>(&self, project: &'a Project) -> Option<&'a Study> {
        let mut studies = project.studies.iter();
        studies.find(|study| Some(study.id) == self.study)
    }
}

/// The first aspect that has a vote, or the first that is asked.
fn first_aspect(study: &Study, project: &Project) -> Aspect {
    let votes = project.votes_of(study.id);
    let has_votes = |aspect: &&Aspect| votes.iter().any(|vote| vote.aspect == **aspect);
    let aspects = &study.protocol.aspects;
    let first = aspects.iter().find(has_votes).or_else(|| aspects.first());
    first.copied().unwrap_or(Aspect::Quality)
}

pub(super) fn update(state: &mut AppState, command: ResultsCommand) -> Vec<Effect> {
    let results = &mut state.rate.results;
    match command {
        ResultsCommand::SetAspect(aspect) => results.aspect = aspect,
        ResultsCommand::SetScreening(screening) => results.screening = screening,
        ResultsCommand::SetOrder(order) => {
            results.order = order;
            results.sort();
        }
        ResultsCommand::UseAsTruth(is_used) => {
            let job = Job::UseStudyAsTruth {
                aspect: results.aspect,
                study: results.study.filter(|_| is_used),
            };
            return vec![Effect::Submit(job)];
        }
    }
    if let Some(project) = &state.project {
        results.refresh(project);
    }
    Vec::new()
}
