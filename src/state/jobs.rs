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
        // Votes come by the hundred and are never retried from the strip: they crowd out only one another.
        let of_kind = is_vote(&job);
        self.submitted.push((id, job));
        let same = |(_, known): &&(JobId, Job)| is_vote(known) == of_kind;
        if self.submitted.iter().filter(same).count() > 4 * KEPT_REPORTS
            && let Some(oldest) = self.submitted.iter().position(|known| same(&known))
        {
            self.submitted.remove(oldest);
        }
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
            None if self.job(id).is_some_and(is_vote) => "Save a vote".to_owned(),
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

/// What people do many times a minute, and what is listed only when it fails.
fn is_vote(job: &Job) -> bool {
    matches!(
        job,
        Job::Vote(_) | Job::QuickVotes(_) | Job::TakeBackVote(_)
    )
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
