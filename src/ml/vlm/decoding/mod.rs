//! Conversations on their way through a decoder: what was read, what is said next, many at once.

mod batch;
mod choose;
mod passed;
mod search;
mod settings;
#[cfg(test)]
mod tests;

pub use batch::{Ask, Batch, SoFar, Ticket};
pub use settings::{GenerateSettings, Sampling};

pub(super) use passed::Passed;

use candle_core::{D, DType, Tensor};

use self::search::{Search, Turn};
use super::backbone::{Backbone, Seen, Sequence};
use crate::ml::MlError;

/// Tokens generated behind a sequence, the end included where it came: one answer alone.
///
/// # Errors
/// Settings that make no sense, failed tensor operations.
pub(super) fn speak(
    backbone: &dyn Backbone,
    sequence: Sequence,
    seen: &Seen,
    settings: GenerateSettings,
) -> Result<Vec<u32>, MlError> {
    settings.check()?;
    let mut passed = Passed::start(backbone, sequence, seen)?;
    let mut last = passed.last()?;
    let mut search = Search::new(settings, backbone.ends());
    loop {
        let logits = backbone.logits(&last)?;
        match search.advance(rows_of(&logits)?, &mut |_| Ok(()))? {
            Turn::Over => return Ok(search.best()?.ids),
            Turn::GoOn(parents) => {
                passed.cache.select(&parents)?;
                last = backbone.step(&search.last_ids(), &mut passed.cache)?;
            }
        }
    }
}

/// Logits `(rows, 1, vocab)` as numbers.
fn rows_of(logits: &Tensor) -> Result<Vec<Vec<f32>>, MlError> {
    Ok(logits.squeeze(1)?.to_dtype(DType::F32)?.to_vec2()?)
}

/// The likeliest token of every row of logits `(rows, 1, vocab)`, found where they are.
fn likeliest_of(logits: &Tensor) -> Result<Vec<u32>, MlError> {
    Ok(logits.squeeze(1)?.argmax(D::Minus1)?.to_vec1()?)
}
