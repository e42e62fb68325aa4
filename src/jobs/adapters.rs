//! Jobs over several aspects where each aspect has an adapter of its own: aspect by aspect, so that adapters are
//! swapped as rarely as can be.

use crate::domain::Aspect;
use crate::jobs::error::JobError;
use crate::jobs::message::JobReport;
use crate::jobs::model_host::ModelHost;
use crate::jobs::store_worker::StoreHandle;

/// Does `work` once for all aspects that one model serves, and adds up what it reports.
pub(super) fn by_model(
    host: &mut ModelHost,
    store: &StoreHandle,
    aspects: &[Aspect],
    mut work: impl FnMut(&mut ModelHost, &[Aspect]) -> Result<JobReport, JobError>,
) -> Result<JobReport, JobError> {
    let settings = store.call(|state| state.settings())?;
    let groups = host.groups(&settings, aspects)?;
    if let [only] = groups.as_slice() {
        host.work_for(only.first().copied());
        return work(host, only);
    }
    let mut whole = JobReport::default();
    let mut summaries = Vec::new();
    for group in &groups {
        host.work_for(group.first().copied());
        let report = work(host, group)?;
        whole.done += report.done;
        whole.skipped += report.skipped;
        for failed in report.failed {
            // A picture that is not there fails once, however many models were to look at it.
            if !whole.failed.contains(&failed) {
                whole.failed.push(failed);
            }
        }
        let names: Vec<&str> = group.iter().map(|aspect| aspect.name()).collect();
        summaries.push(format!("{}: {}", names.join(", "), report.summary));
    }
    whole.summary = summaries.join("; ");
    Ok(whole)
}
