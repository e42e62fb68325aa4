//! What a teaching job would ask and cost, before it does.

use crate::domain::Catalog;
use crate::domain::FileState;
use crate::domain::ImageRecord;
use crate::domain::TeachEstimate;
use crate::jobs::error::JobError;
use crate::jobs::message::Event;
use crate::jobs::message::TeachRequest;
use crate::jobs::pipeline::usable;
use crate::jobs::presets::preset_in_use;
use crate::jobs::store_worker::StoreHandle;

use super::questions;

/// Signs a token, by the usual rule for English.
const SIGNS_A_TOKEN: usize = 4;

/// Tokens of two to four sentences with their part of the JSON. The published descriptions of AGIQA-3K have 50 words in
/// the mean, which are about 65 tokens.
const ANSWER_TOKENS: u64 = 70;

/// What would be asked, and about what it would use up. The words are counted, pictures by the makers' rule, answers by
/// what teachers usually write.
pub fn estimate(catalog: &Catalog, request: &TeachRequest) -> Result<TeachEstimate, JobError> {
    let preset = preset_in_use(catalog)?;
    let (rows, absent) = usable(catalog, &request.images);
    let (questions, skipped) = questions(catalog, request, &preset, &rows);
    let mut found = TeachEstimate {
        requests: questions.len() as u64,
        skipped,
        absent: absent.len() as u64,
        ..TeachEstimate::default()
    };
    for (record, question) in &questions {
        let signs = question.words().chars().count();
        let num_aspects = question.aspects.len() as u64;
        let is_shown = question.aspects.iter().any(|asked| asked.shown.is_some());
        found.shown += u64::from(is_shown);
        found.descriptions += num_aspects;
        found.word_tokens += signs.div_ceil(SIGNS_A_TOKEN) as u64;
        found.picture_tokens += picture_tokens(record, request);
        found.answer_tokens += ANSWER_TOKENS * num_aspects;
    }
    Ok(found)
}

fn picture_tokens(record: &ImageRecord, request: &TeachRequest) -> u64 {
    match record.file {
        FileState::Present { width, height, .. } => request.kind.picture_tokens(width, height),
        FileState::Missing { .. } | FileState::Unreadable { .. } => 0,
    }
}

/// The job behind [`Event::TeachingEstimated`].
pub(in crate::jobs) fn tell_estimate(
    store: &StoreHandle,
    request: TeachRequest,
) -> Result<(), JobError> {
    let (catalog, _) = store.snapshot()?;
    let found = estimate(&catalog, &request)?;
    store.call(move |state| {
        let event = Event::TeachingEstimated(Box::new(request), found);
        state.events().send(event);
        Ok(())
    })
}
