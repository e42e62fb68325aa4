//! The thread that counts votes: figures of a study for the window, on a connection of its own, so that neither the
//! window nor anybody who votes waits for a large panel.

use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::path::Path;
use std::thread::JoinHandle;

use crossbeam_channel::Receiver;

use crate::export::ratings::Analysis;
use crate::export::ratings::StudyRecord;
use crate::export::ratings::analyse;
use crate::jobs::context::EventSender;
use crate::jobs::context::panic_words;
use crate::jobs::error::JobError;
use crate::jobs::message::Event;
use crate::jobs::message::ResultsRequest;
use crate::jobs::message::StudyResults;
use crate::jobs::store_worker::StoreHandle;
use crate::jobs::workers::spawn;
use crate::store::StudyReader;

/// Starts the thread. It ends when the sender of its wishes is dropped.
pub(super) fn start(
    wanted: Receiver<ResultsRequest>,
    store: StoreHandle,
    events: EventSender,
) -> Result<JoinHandle<()>, JobError> {
    spawn("assay-results", move || {
        for request in wanted {
            let project = match store.project_path() {
                Ok(Some(project)) => project,
                // Nobody looks at results without a project.
                Ok(None) => continue,
                Err(_) => return,
            };
            let outcome = catch_unwind(AssertUnwindSafe(|| results(&project, request)));
            let outcome =
                outcome.unwrap_or_else(|panic| Err(JobError::Panic(panic_words(panic.as_ref()))));
            events.send(Event::StudyResults(Box::new(StudyResults {
                request,
                outcome: outcome.map_err(|error| error.to_string()),
            })));
        }
    })
}

fn results(project: &Path, request: ResultsRequest) -> Result<Analysis, JobError> {
    let (study, votes) = StudyReader::open(project)?.study(request.study)?;
    // Paths and prompts are the window's: figures are made of votes and protocol alone.
    let record = StudyRecord::new(&study, &votes, &[], "");
    Ok(analyse(&record, request.aspect, request.screening))
}
