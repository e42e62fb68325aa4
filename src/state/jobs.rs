//! What the jobs strip knows: running jobs with their progress, and the reports of those that ended.

use crate::domain::ImageId;
use crate::jobs::message::Control;
use crate::jobs::message::FailedItem;
use crate::jobs::message::Job;
use crate::jobs::message::JobId;
use crate::jobs::message::JobReport;
use crate::jobs::message::Progress;
use crate::jobs::message::TeachRequest;

use super::command::Effect;

/// Ended jobs kept for their report.
const KEPT_REPORTS: usize = 20;

/// A job that was handed to the workers.
#[derive(Debug, Clone)]
pub struct RunningJob {
    /// Its number.
    pub id: JobId,
    /// What it is, e.g. "Describe 597 images".
    pub title: String,
    /// Whether pausing makes sense.
    pub can_pause: bool,
    /// Whether the user holds it.
    pub is_paused: bool,
    /// Whether the user asked it to stop; it ends after the item in hand.
    pub is_stopping: bool,
    /// How far it is.
    pub progress: Progress,
}

/// A job that ended.
#[derive(Debug, Clone)]
pub struct EndedJob {
    /// Its number.
    pub id: JobId,
    /// What it was.
    pub title: String,
    /// What it came to, or why it failed as a whole.
    pub outcome: Result<JobReport, String>,
}

impl EndedJob {
    /// Items that failed.
    pub fn failed(&self) -> &[FailedItem] {
        match &self.outcome {
            Ok(report) => &report.failed,
            Err(_) => &[],
        }
    }
}

/// Jobs by their state.
#[derive(Debug, Clone, Default)]
pub struct JobsState {
    /// Jobs that have not ended, oldest first.
    pub running: Vec<RunningJob>,
    /// Jobs that ended, newest first.
    pub ended: Vec<EndedJob>,
    /// The job whose log and failed items are unfolded.
    pub unfolded: Option<JobId>,
    /// Descriptions a second when the local model last worked; the base of estimates.
    pub describe_rate: Option<f64>,
    /// Scores a second when a predictor last worked on pictures.
    pub score_rate: Option<f64>,
    submitted: Vec<(JobId, Job)>,
    /// The last job that was handed in for a project that is open no more.
    former: Option<JobId>,
}

/// What the strip can ask for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum JobsCommand {
    /// Cancel, pause or go on.
    Control(JobId, Control),
    /// Show or hide a job's log and failed items.
    Unfold(Option<JobId>),
    /// Run a job again for the items that failed.
    Retry(JobId),
    /// Forget the report of an ended job.
    Dismiss(JobId),
}

impl JobsState {
    /// Remembers what was handed to the workers, for Retry and for rates.
    pub fn submitted(&mut self, id: JobId, job: Job) {
        let kind = Kind::of(&job);
        self.submitted.push((id, job));
        let known = self.submitted.iter();
        if known.filter(|(_, job)| Kind::of(job) == kind).count() <= 4 * KEPT_REPORTS {
            return;
        }
        // What runs for hours is still asked about: whatever follows, it stays.
        let is_over = |id: JobId| self.running.iter().all(|running| running.id != id);
        let mut known = self.submitted.iter();
        if let Some(oldest) = known.position(|(id, job)| Kind::of(job) == kind && is_over(*id)) {
            self.submitted.remove(oldest);
        }
    }

    /// Forgets what ended jobs of the former project were: tried again, they would take this project's pictures.
    pub(super) fn project_changed(&mut self) {
        self.former = self.submitted.last().map(|(id, _)| *id);
        let ended = &self.ended;
        self.submitted.retain(|(id, job)| {
            !job.is_about_project() || ended.iter().all(|ended| ended.id != *id)
        });
    }

    /// What was asked for under a number.
    pub fn job(&self, id: JobId) -> Option<&Job> {
        self.submitted
            .iter()
            .find(|(known, _)| *known == id)
            .map(|(_, job)| job)
    }

    /// Whether something runs for which `is_kind` holds.
    pub fn is_running(&self, is_kind: impl Fn(&Job) -> bool) -> bool {
        self.running
            .iter()
            .any(|running| self.job(running.id).is_some_and(&is_kind))
    }

    pub(super) fn update(&mut self, command: JobsCommand) -> Vec<Effect> {
        match command {
            JobsCommand::Control(id, control) => {
                self.mark(id, control);
                return vec![Effect::Control(id, control)];
            }
            JobsCommand::Unfold(id) => self.unfolded = id,
            JobsCommand::Retry(id) => return self.retry(id),
            JobsCommand::Dismiss(id) => self.ended.retain(|job| job.id != id),
        }
        Vec::new()
    }

    pub(super) fn start(&mut self, id: JobId, title: String, can_pause: bool) {
        self.running.push(RunningJob {
            id,
            title,
            can_pause,
            is_paused: false,
            is_stopping: false,
            progress: Progress::default(),
        });
    }

    pub(super) fn progress(&mut self, id: JobId, progress: Progress) {
        match self.job(id) {
            Some(Job::Describe { .. }) => {
                self.describe_rate = progress.per_second.or(self.describe_rate);
            }
            // A training that finds pictures without a description describes them first.
            Some(Job::Train(_) | Job::ResumeTraining(_))
                if progress.stage.starts_with("Describing") =>
            {
                self.describe_rate = progress.per_second.or(self.describe_rate);
            }
            Some(Job::Score { .. }) => {
                self.score_rate = progress.per_second.or(self.score_rate);
            }
            _ => {}
        }
        if let Some(job) = self.running.iter_mut().find(|job| job.id == id) {
            job.progress = progress;
        }
    }

    pub(super) fn end(&mut self, id: JobId, outcome: Result<JobReport, String>) {
        let is_told_elsewhere = match self.job(id) {
            Some(Job::ListModels) => outcome.is_ok(),
            // Their screen says it, and asks again with the next change of a setting.
            Some(Job::EstimateTeaching(_) | Job::EstimateTuning(_)) => true,
            _ => false,
        };
        let title = match self.running.iter().position(|job| job.id == id) {
            Some(idx) => self.running.remove(idx).title,
            // Votes are listed only when they fail.
            None if self.job(id).is_some_and(Job::is_vote) => "Save a vote".to_owned(),
            // Figures of runs are not listed either.
            None if matches!(self.job(id), Some(Job::ReportRuns(_))) => "Compare runs".to_owned(),
            None if matches!(self.job(id), Some(Job::Review { .. })) => "Save a review".to_owned(),
            None if matches!(self.job(id), Some(Job::EvaluateModels { .. })) => {
                "Compare models".to_owned()
            }
            None if matches!(self.job(id), Some(Job::MeasureFeatures)) => {
                "Measure the feature cache".to_owned()
            }
            None => "Job".to_owned(),
        };
        // Its own project is not open any more: nothing is left to try again.
        if self.former.is_some_and(|former| id <= former) {
            self.submitted
                .retain(|(known, job)| *known != id || !job.is_about_project());
        }
        // A list that was read shows itself: as a report of work it would stand where one is looked for.
        if is_told_elsewhere {
            return;
        }
        self.ended.insert(0, EndedJob { id, title, outcome });
        self.ended.truncate(KEPT_REPORTS);
    }

    fn mark(&mut self, id: JobId, control: Control) {
        if let Some(job) = self.running.iter_mut().find(|job| job.id == id) {
            match control {
                Control::Cancel => job.is_stopping = true,
                Control::Pause => job.is_paused = true,
                Control::Resume => job.is_paused = false,
            }
        }
    }

    fn retry(&mut self, id: JobId) -> Vec<Effect> {
        let failed: Vec<ImageId> = self
            .ended
            .iter()
            .find(|job| job.id == id)
            .map(|job| job.failed().iter().filter_map(|item| item.image).collect())
            .unwrap_or_default();
        let Some(job) = self.job(id).cloned() else {
            return Vec::new();
        };
        self.ended.retain(|ended| ended.id != id);
        self.unfolded = None;
        vec![Effect::Submit(narrowed(job, failed))]
    }
}

/// Jobs that crowd out only one another: votes and figures come by the hundred and are never retried from the strip.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Vote,
    Quiet,
    Listed,
}

impl Kind {
    const fn of(job: &Job) -> Self {
        if job.is_vote() {
            Self::Vote
        } else if job.is_quiet() {
            Self::Quiet
        } else {
            Self::Listed
        }
    }
}

/// The same job for the failed images only; jobs that name no images run whole.
fn narrowed(job: Job, failed: Vec<ImageId>) -> Job {
    match job {
        Job::Describe { aspects, again, .. } if !failed.is_empty() => Job::Describe {
            images: failed,
            aspects,
            again,
        },
        Job::Score {
            aspects,
            descriptions,
            ..
        } if !failed.is_empty() => Job::Score {
            images: failed,
            aspects,
            descriptions,
        },
        Job::Teach(request) if !failed.is_empty() => Job::Teach(TeachRequest {
            images: failed,
            ..request
        }),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Aspect;

    fn score() -> Job {
        Job::Score {
            images: vec![ImageId(1)],
            aspects: vec![Aspect::Quality],
            descriptions: None,
        }
    }

    fn run(jobs: &mut JobsState, id: u64, job: Job) {
        jobs.submitted(JobId(id), job);
        jobs.start(JobId(id), "A job".to_owned(), true);
    }

    #[test]
    fn a_long_job_is_known_however_much_is_asked_meanwhile() {
        let mut jobs = JobsState::default();
        run(&mut jobs, 1, score());
        jobs.submitted(JobId(2), Job::Undo);
        for id in 3..300 {
            jobs.submitted(JobId(id), Job::MeasureFeatures);
        }
        // Figures crowd out one another, and nothing else.
        assert_eq!(jobs.job(JobId(2)), Some(&Job::Undo));
        assert!(jobs.job(JobId(3)).is_none());
        for id in 300..500 {
            jobs.submitted(JobId(id), Job::ListModels);
        }
        assert!(jobs.job(JobId(2)).is_none());
        assert_eq!(jobs.job(JobId(1)), Some(&score()));
        assert!(jobs.submitted.len() <= 2 * 4 * KEPT_REPORTS + 1);
    }

    #[test]
    fn nothing_of_another_project_is_tried_again() {
        let mut jobs = JobsState::default();
        let open = Job::Open {
            path: "b".to_owned().into(),
        };
        for (id, job) in [(1, score()), (2, score()), (3, open.clone())] {
            run(&mut jobs, id, job);
        }
        jobs.end(JobId(1), Err("no".to_owned()));
        jobs.project_changed();
        for id in [2, 3] {
            jobs.end(JobId(id), Err("no".to_owned()));
        }
        assert!(jobs.retry(JobId(1)).is_empty() && jobs.retry(JobId(2)).is_empty());
        assert_eq!(jobs.retry(JobId(3)), [Effect::Submit(open)]);
        run(&mut jobs, 4, score());
        jobs.end(JobId(4), Err("no".to_owned()));
        assert_eq!(jobs.retry(JobId(4)), [Effect::Submit(score())]);
    }
}
