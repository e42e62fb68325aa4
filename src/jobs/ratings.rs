//! The jobs that write a study's files and read votes from them.

use crate::dataset;
use crate::dataset::RatingsTarget;
use crate::domain::Problem;
use crate::domain::ProblemKind;
use crate::domain::Study;
use crate::domain::StudyId;
use crate::domain::grouped;
use crate::export::ratings::RatingsRequest;
use crate::export::ratings::StudyRecord;
use crate::export::ratings::write_ratings_file;
use crate::jobs::context::JobContext;
use crate::jobs::error::JobError;
use crate::jobs::files_worker::now_ms;
use crate::jobs::home::make_parent;
use crate::jobs::message::Event;
use crate::jobs::message::FailedItem;
use crate::jobs::message::JobReport;
use crate::jobs::message::RatingsExport;
use crate::jobs::message::RatingsImport;
use crate::jobs::store_worker::StoreHandle;
use crate::jobs::study;
use crate::store::StoreError;

/// Writes a study's votes or its report; the file that was there is replaced only once the new one is whole.
pub(super) fn export(
    store: &StoreHandle,
    request: &RatingsExport,
    context: &mut JobContext,
) -> Result<JobReport, JobError> {
    context.progress(0, 0, "Writing the study")?;
    let (catalog, _) = store.snapshot()?;
    let study = known(catalog.study(request.study), request.study)?;
    let record = StudyRecord::new(
        study,
        &catalog.votes,
        &catalog.images,
        &catalog.info.dataset,
    );
    let wanted = RatingsRequest {
        format: request.format,
        aspect: request.aspect,
        screening: request.screening,
        now: now_ms(),
    };
    make_parent(&request.out)?;
    let num_rows = write_ratings_file(&record, wanted, &request.out)?;
    Ok(JobReport {
        done: num_rows as u64,
        summary: format!(
            "{} ({}, {num_rows} rows) written to {}",
            study.protocol.name,
            request.format,
            request.out.display()
        ),
        ..JobReport::default()
    })
}

/// Takes the votes of a file into a study: each once however often it is read. What is wrong with one is listed.
pub(super) fn import(
    store: &StoreHandle,
    request: &RatingsImport,
    context: &mut JobContext,
) -> Result<JobReport, JobError> {
    context.progress(0, 0, "Reading votes")?;
    let (catalog, pinned) = store.snapshot()?;
    let target = RatingsTarget {
        study: known(catalog.study(request.study), request.study)?,
        images: &catalog.images,
        aspect: request.aspect,
    };
    let batch = dataset::read_ratings(&request.path, request.format, target)?;
    let id = request.study;
    let votes = batch.votes;
    let merged = pinned.call(move |project, _| Ok(project.merge_votes(id, &votes)?))?;
    store.call(study::refresh_all_truth)?;
    pinned.announce()?;
    if let Some(words) = study::twice_words(&merged) {
        context.events().send(Event::Notice(words));
    }
    let mut failed: Vec<FailedItem> = Vec::new();
    for problem in batch.problems {
        match problem.kind {
            ProblemKind::Rejected => failed.push(failure(problem)),
            ProblemKind::Warning => {
                let failure = failure(problem);
                let words = format!("{}: {}", failure.path, failure.reason);
                context.events().send(Event::Notice(words));
            }
        }
    }
    failed.extend(merged.refused.into_iter().map(|(reason, num)| FailedItem {
        image: None,
        path: request.path.display().to_string(),
        reason: format!("{num} records were left out: {reason}"),
    }));
    Ok(JobReport {
        done: merged.added as u64,
        skipped: merged.known as u64,
        summary: format!(
            "{} votes came in from the {} table, {} were here already, {} rows did not",
            grouped(merged.added),
            batch.format,
            grouped(merged.known),
            grouped(failed.len())
        ),
        failed,
        ..JobReport::default()
    })
}

fn known(study: Option<&Study>, id: StudyId) -> Result<&Study, JobError> {
    study.ok_or_else(|| {
        StoreError::Unknown {
            noun: "study",
            id: id.0,
        }
        .into()
    })
}

fn failure(problem: Problem) -> FailedItem {
    let line = problem
        .line
        .map_or_else(String::new, |line| format!(":{line}"));
    FailedItem {
        image: None,
        path: format!("{}{line}", problem.file),
        reason: problem.message,
    }
}
