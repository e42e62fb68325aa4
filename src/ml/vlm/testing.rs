//! A model with too little memory, for tests of those who have to live with it.

use candle_core::Tensor;

use super::backbone::{Backbone, Ending, Facts, Inspected, Seen, Sequence};
use super::kv_cache::KvCache;
use super::local::LocalModel;
use super::tape::Tape;
use crate::compute::DeviceChoice;
use crate::domain::Picture;
use crate::ml::MlError;

/// The embedded model, taken for a large one, with memory for so many rows of a batch and no more.
pub(crate) fn cramped(rows: usize) -> LocalModel {
    let inner = LocalModel::embedded(DeviceChoice::Cpu).expect("the embedded model is whole");
    let mut card = inner.card().clone();
    card.num_parameters = u64::MAX;
    let settings = inner.settings();
    LocalModel::of(Box::new(Cramped { inner, rows }), card, settings)
}

struct Cramped {
    inner: LocalModel,
    rows: usize,
}

impl Backbone for Cramped {
    fn facts(&self) -> Facts {
        self.inner.backbone().facts()
    }

    fn ends(&self) -> &[u32] {
        self.inner.backbone().ends()
    }

    fn decode(&self, ids: &[u32]) -> Result<String, MlError> {
        self.inner.backbone().decode(ids)
    }

    fn look_taped<'a>(&'a self, picture: &Picture, tape: &mut Tape<'a>) -> Result<Seen, MlError> {
        self.inner.backbone().look_taped(picture, tape)
    }

    fn inspect(&self, picture: &Picture) -> Result<Vec<Inspected>, MlError> {
        self.inner.backbone().inspect(picture)
    }

    fn sequence(
        &self,
        seen: &Seen,
        messages: &[&str],
        ending: Ending,
    ) -> Result<Sequence, MlError> {
        self.inner.backbone().sequence(seen, messages, ending)
    }

    fn embeds(&self, sequence: &Sequence, seen: &Seen) -> Result<Tensor, MlError> {
        self.inner.backbone().embeds(sequence, seen)
    }

    fn pass(
        &self,
        sequence: &Sequence,
        end: usize,
        seen: &Seen,
        cache: &mut KvCache,
    ) -> Result<Tensor, MlError> {
        self.inner.backbone().pass(sequence, end, seen, cache)
    }

    fn whole_taped<'a>(
        &'a self,
        sequence: &Sequence,
        seen: &Seen,
        tape: &mut Tape<'a>,
    ) -> Result<Tensor, MlError> {
        self.inner.backbone().whole_taped(sequence, seen, tape)
    }

    fn step(&self, ids: &[u32], cache: &mut KvCache) -> Result<Tensor, MlError> {
        if ids.len() > self.rows {
            let error = candle_core::Error::Msg("out of memory".to_owned());
            return Err(MlError::Tensor(error));
        }
        self.inner.backbone().step(ids, cache)
    }

    fn logits(&self, hidden: &Tensor) -> Result<Tensor, MlError> {
        self.inner.backbone().logits(hidden)
    }

    fn lm_head(&self) -> Result<Tensor, MlError> {
        self.inner.backbone().lm_head()
    }
}
