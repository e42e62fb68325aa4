//! What people say of taught texts: saved, then told.

use crate::domain::ReviewWish;
use crate::jobs::error::JobError;
use crate::jobs::files_worker::unix_time;
use crate::jobs::message::Event;
use crate::jobs::store_worker::StoreState;

/// Saves reviews as one change.
pub(super) fn review(
    state: &mut StoreState,
    wishes: &[ReviewWish],
    author: &str,
) -> Result<(), JobError> {
    let records = state.work(|project, _| Ok(project.review(wishes, author, unix_time())?))?;
    if records.is_empty() {
        return Ok(());
    }
    state.events().send(Event::Reviewed(records));
    state.announce_undo()
}
