//! The job that lets the local model describe pictures: several at once, all aspects of a picture together.

use std::time::Instant;

use crate::domain::Aspect;
use crate::domain::Descriptions;
use crate::domain::ImageId;
use crate::domain::ImageRecord;
use crate::jobs::adapters::by_model;
use crate::jobs::context::JobContext;
use crate::jobs::error::JobError;
use crate::jobs::message::JobReport;
use crate::jobs::model_host::ModelHost;
use crate::jobs::pipeline::Known;
use crate::jobs::pipeline::Pipeline;
use crate::jobs::pipeline::failed;
use crate::jobs::pipeline::stage;
use crate::jobs::pipeline::usable;
use crate::jobs::store_worker::StoreHandle;

/// What to describe.
pub(super) struct DescribeRequest {
    pub(super) images: Vec<ImageId>,
    pub(super) aspects: Vec<Aspect>,
    pub(super) again: bool,
}

/// Describes what is not described yet. A picture that fails is listed, and the job goes on.
pub(super) fn describe(
    host: &mut ModelHost,
    store: &StoreHandle,
    request: &DescribeRequest,
    context: &mut JobContext,
) -> Result<JobReport, JobError> {
    by_model(host, store, &request.aspects, |host, aspects| {
        let request = DescribeRequest {
            images: request.images.clone(),
            aspects: aspects.to_vec(),
            again: request.again,
        };
        describe_by_one(host, store, &request, context)
    })
}

fn describe_by_one(
    host: &mut ModelHost,
    store: &StoreHandle,
    request: &DescribeRequest,
    context: &mut JobContext,
) -> Result<JobReport, JobError> {
    context.progress(0, 0, "Loading the model")?;
    let (catalog, pinned) = store.snapshot()?;
    let pipeline = Pipeline::new(host, store, &catalog, pinned)?;
    let known = pipeline.known(&catalog, |_| Descriptions::Local);
    let (rows, absent) = usable(&catalog, &request.images);
    let mut report = JobReport {
        failed: absent,
        ..JobReport::default()
    };
    let asked = rows.len() * request.aspects.len();
    let due = match request.again {
        true => due(&rows, &request.aspects, &Known::new()),
        false => due(&rows, &request.aspects, &known),
    };
    let total: usize = due.iter().map(|(_, aspects)| aspects.len()).sum();
    report.skipped = (asked - total) as u64;
    let stage = stage("Describing", request.aspects.iter().copied());
    let mut tried = 0;
    context.progress(tried, total as u64, &stage)?;
    let start = Instant::now();
    pipeline.describe_all(&due, context, &mut |record, made, context| {
        match made {
            Ok(_) => report.done += 1,
            Err(error) if error.is_about_item() => report.failed.push(failed(record, &error)),
            Err(error) => return Err(error),
        }
        tried += 1;
        Ok(context.progress(tried, total as u64, &stage)?)
    })?;
    pipeline.keep_speed(report.done, start.elapsed());
    report.summary = format!(
        "{} described, {} were described already, {} failed",
        report.done,
        report.skipped,
        report.failed.len()
    );
    Ok(report)
}

/// What is asked about each picture and not known; pictures of which everything is known are left out.
pub(super) fn due<'a>(
    rows: &[&'a ImageRecord],
    aspects: &[Aspect],
    known: &Known,
) -> Vec<(&'a ImageRecord, Vec<Aspect>)> {
    let lacking = |record: &ImageRecord| {
        let aspects = aspects.iter().copied();
        aspects
            .filter(|aspect| !known.contains_key(&(record.id, *aspect)))
            .collect::<Vec<Aspect>>()
    };
    rows.iter()
        .map(|record| (*record, lacking(record)))
        .filter(|(_, aspects)| !aspects.is_empty())
        .collect()
}

/// Describes what a job needs and does not know yet, and adds it to what is known. What fails is left out: whoever needs
/// it finds out why.
pub(super) fn describe_lacking(
    pipeline: &Pipeline<'_>,
    rows: &[&ImageRecord],
    aspects: &[Aspect],
    known: &mut Known,
    context: &mut JobContext,
) -> Result<(), JobError> {
    let due = due(rows, aspects, known);
    let total: usize = due.iter().map(|(_, aspects)| aspects.len()).sum();
    let stage = stage("Describing", aspects.iter().copied());
    let mut tried = 0;
    pipeline.describe_all(&due, context, &mut |record, made, context| {
        tried += 1;
        match made {
            Ok(made) => {
                let aspect = made.description.aspect;
                known.insert((record.id, aspect), made.description);
            }
            Err(error) if error.is_about_item() => {}
            Err(error) => return Err(error),
        }
        Ok(context.progress(tried, total as u64, &stage)?)
    })
}
