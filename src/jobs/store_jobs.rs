//! Jobs that change the project alone: tags, studies and votes, undo and redo. The store worker does them between other calls.

use crate::domain::ImageId;
use crate::domain::ImageRecord;
use crate::jobs::context::JobContext;
use crate::jobs::error::JobError;
use crate::jobs::files_worker::now_ms;
use crate::jobs::message::Event;
use crate::jobs::message::Job;
use crate::jobs::message::JobReport;
use crate::jobs::review;
use crate::jobs::store_worker::StoreState;
use crate::jobs::study;

/// Does a job on the store worker's thread.
pub(super) fn run(state: &mut StoreState, job: Job, context: JobContext) {
    if let Job::Vote(vote) | Job::TakeBackVote(vote) = &job {
        context.run_quietly(|| study::vote(state, vote));
        return;
    }
    if let Job::QuickVotes(votes) = &job {
        context.run_quietly(|| study::quick_votes(state, votes));
        return;
    }
    let project = context.project();
    if let Job::Review { wishes, author } = &job {
        context.run_quietly(|| {
            state.check(project)?;
            review::review(state, wishes, author)
        });
        return;
    }
    context.run(|_| change(state, job, project));
}

fn change(state: &mut StoreState, job: Job, project: Option<u64>) -> Result<JobReport, JobError> {
    state.check(project)?;
    match job {
        Job::SetTag { images, tag, on } => set_tag(state, &images, &tag, on),
        Job::CreateStudy(protocol) => study::create(state, &protocol),
        Job::ChangeStudy { study, protocol } => study::change(state, study, &protocol),
        Job::UseStudyAsTruth { aspect, study } => study::use_as_truth(state, aspect, study),
        Job::Undo => turn(state, Turn::Undo),
        Job::Redo => turn(state, Turn::Redo),
        _ => Err(JobError::Misplaced),
    }
}

#[derive(Clone, Copy)]
enum Turn {
    Undo,
    Redo,
}

fn set_tag(
    state: &mut StoreState,
    images: &[ImageId],
    tag: &str,
    on: bool,
) -> Result<JobReport, JobError> {
    let changed: Vec<ImageRecord> = state.work(|project, _| {
        project.set_tag(images, tag, on)?;
        Ok(project.images(images)?)
    })?;
    let done = changed.len() as u64;
    state.events().send(Event::ImagesChanged(changed));
    state.announce_undo()?;
    Ok(JobReport {
        done,
        ..JobReport::default()
    })
}

/// Undo and redo may touch anything, so the listener gets the project as a whole.
fn turn(state: &mut StoreState, turn: Turn) -> Result<JobReport, JobError> {
    let operation = state.work(|project, _| {
        Ok(match turn {
            Turn::Undo => project.undo(now_ms())?,
            Turn::Redo => project.redo(now_ms())?,
        })
    })?;
    let Some(operation) = operation else {
        return Ok(JobReport {
            skipped: 1,
            summary: "There is nothing left to take back or bring again".to_owned(),
            ..JobReport::default()
        });
    };
    study::refresh_all_truth(state)?;
    state.announce()?;
    Ok(JobReport {
        done: 1,
        summary: operation.0,
        ..JobReport::default()
    })
}
