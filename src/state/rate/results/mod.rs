//! What the votes of a study say: raters, pictures, and what screening changes. Computed when votes come in or a choice
//! changes, never per frame.

mod digest;
mod pairs;

use crate::domain::{Aspect, Method, Study, StudyId};
use crate::jobs::message::Job;
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
    /// The figures; the reason in words where there are none.
    pub digest: Result<Digest, String>,
    /// Counts up whenever the figures were computed anew.
    pub revision: u64,
    computed: Option<Version>,
}

/// What the figures hang on.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Version {
    study: StudyId,
    aspect: Aspect,
    screening: Screening,
    order: Order,
    num_votes: usize,
    results: u64,
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
            digest: Err("No study is chosen".to_owned()),
            revision: 0,
            computed: None,
        }
    }
}

impl Results {
    /// Shows another study.
    pub(super) fn choose(&mut self, study: StudyId) {
        self.study = Some(study);
    }

    /// Computes the figures if anything that they hang on changed.
    pub(super) fn refresh(&mut self, project: &Project) {
        let study = project
            .studies
            .iter()
            .find(|study| Some(study.id) == self.study);
        let Some(study) = study else {
            *self = Self::default();
            return;
        };
        if !study.protocol.aspects.contains(&self.aspect) {
            self.aspect = first_aspect(study, project);
        }
        let version = Version {
            study: study.id,
            aspect: self.aspect,
            screening: self.screening,
            order: self.order,
            num_votes: project.votes_of(study.id).len(),
            results: project.revision,
        };
        if self.computed == Some(version) {
            return;
        }
        let digest = match study.protocol.method {
            Method::Pairs => pairs::digest(project, study, self.aspect),
            Method::Acr5 | Method::Continuous => {
                digest::digest(project, study, self.aspect, self.screening)
            }
        };
        self.digest = digest.map(|mut digest| {
            digest.sort(self.order);
            digest
        });
        self.computed = Some(version);
        self.revision += 1;
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
        ResultsCommand::SetOrder(order) => results.order = order,
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
