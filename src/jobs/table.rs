//! The jobs that write the project's table, and its conversations.

use std::path::Path;

use crate::export;
use crate::export::ConversationWish;
use crate::export::Format;
use crate::export::Selection;
use crate::jobs::context::JobContext;
use crate::jobs::error::JobError;
use crate::jobs::home::make_parent;
use crate::jobs::message::ExportRequest;
use crate::jobs::message::JobReport;
use crate::jobs::store_worker::StoreHandle;

/// Writes the table; the file that was there is replaced only once the new one is whole.
pub(super) fn export(
    store: &StoreHandle,
    request: &ExportRequest,
    context: &mut JobContext,
) -> Result<JobReport, JobError> {
    let format: Format = request.format.parse()?;
    context.progress(0, 0, "Writing the table")?;
    let (catalog, _) = store.snapshot()?;
    let selection = Selection {
        images: request.images.clone(),
        aspects: request.aspects.clone(),
    };
    make_parent(&request.out)?;
    let num_rows = export::write_file(&catalog, &selection, format, &request.out)?;
    Ok(JobReport {
        done: num_rows as u64,
        summary: format!("{num_rows} rows written to {}", request.out.display()),
        ..JobReport::default()
    })
}

/// Writes conversations in the published format; each file is replaced only once the new one is whole.
pub(super) fn conversations(
    store: &StoreHandle,
    wish: &ConversationWish,
    out: &Path,
    context: &mut JobContext,
) -> Result<JobReport, JobError> {
    context.progress(0, 0, "Writing conversations")?;
    let (catalog, _) = store.snapshot()?;
    make_parent(out)?;
    let files = export::write_conversations(&catalog, wish, out)?;
    let done: usize = files.iter().map(|(_, num)| num).sum();
    let words = match files.len() {
        1 => "1 file".to_owned(),
        num => format!("{num} files"),
    };
    Ok(JobReport {
        done: done as u64,
        summary: format!("{done} conversations written to {words}: {}", out.display()),
        ..JobReport::default()
    })
}
