//! The job that lets the local model describe pictures: image by image, and aspect by aspect within an image.

use crate::domain::Aspect;
use crate::domain::Descriptions;
use crate::domain::ImageId;
use crate::jobs::context::JobContext;
use crate::jobs::error::JobError;
use crate::jobs::message::JobReport;
use crate::jobs::model_host::ModelHost;
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
    context.progress(0, 0, "Loading the model")?;
    let (catalog, pinned) = store.snapshot()?;
    let mut pipeline = Pipeline::new(host, store, &catalog, pinned)?;
    let known = pipeline.known(&catalog, |_| Descriptions::Local);
    let (rows, absent) = usable(&catalog, &request.images);
    let mut report = JobReport {
        failed: absent,
        ..JobReport::default()
    };
    let is_due = |image, aspect| request.again || !known.contains_key(&(image, aspect));
    let asked = rows.len() * request.aspects.len();
    let total = rows
        .iter()
        .flat_map(|record| request.aspects.iter().map(|aspect| (record.id, *aspect)))
        .filter(|(image, aspect)| is_due(*image, *aspect))
        .count();
    report.skipped = (asked - total) as u64;
    let stage = stage("Describing", request.aspects.iter().copied());
    let mut tried = 0;
    for record in rows {
        let mut picture = pipeline.picture(record);
        for aspect in request.aspects.iter().copied() {
            if !is_due(record.id, aspect) {
                continue;
            }
            context.progress(tried, total as u64, &stage)?;
            match pipeline.describe(record, &mut picture, aspect, context) {
                Ok(_) => report.done += 1,
                Err(error) if error.is_about_item() => report.failed.push(failed(record, &error)),
                Err(error) => return Err(error),
            }
            tried += 1;
        }
    }
    context.progress(tried, total as u64, &stage)?;
    report.summary = format!(
        "{} described, {} were described already, {} failed",
        report.done,
        report.skipped,
        report.failed.len()
    );
    Ok(report)
}
