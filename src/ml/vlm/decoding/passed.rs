//! Tokens that went through the decoder, with the hidden states that they left.

use candle_core::{DType, Tensor};

use crate::domain::Features;
use crate::ml::MlError;
use crate::ml::vlm::backbone::{Backbone, Seen, Sequence};
use crate::ml::vlm::kv_cache::KvCache;

/// One conversation inside the decoder.
pub(crate) struct Passed {
    /// Its tokens.
    pub(crate) ids: Vec<u32>,
    /// Hidden states `(1, tokens, hidden)` of them, in pieces.
    pub(crate) states: Vec<Tensor>,
    /// Their keys and values.
    pub(crate) cache: KvCache,
}

impl Passed {
    /// Puts a sequence through.
    ///
    /// # Errors
    /// Failed tensor operations.
    pub(crate) fn start(
        backbone: &dyn Backbone,
        sequence: Sequence,
        seen: &Seen,
    ) -> Result<Self, MlError> {
        let mut cache = KvCache::default();
        let states = backbone.pass(&sequence, sequence.ids.len(), seen, &mut cache)?;
        Ok(Self {
            ids: sequence.ids,
            states: vec![states],
            cache,
        })
    }

    /// Puts sequences about one picture through. What they all begin with (the template's head and the image tokens)
    /// is read once.
    ///
    /// # Errors
    /// Failed tensor operations.
    pub(crate) fn start_all(
        backbone: &dyn Backbone,
        sequences: Vec<Sequence>,
        seen: &Seen,
    ) -> Result<Vec<Self>, MlError> {
        let [first, others @ ..] = &sequences[..] else {
            return Ok(Vec::new());
        };
        let shared = others
            .iter()
            .map(|other| common(&first.ids, &other.ids))
            .fold(first.ids.len(), usize::min);
        let shortest = sequences.iter().map(|s| s.ids.len()).min().unwrap_or(0);
        let shared = shared.min(shortest.saturating_sub(1));
        if others.is_empty() || shared == 0 {
            let start = |sequence| Self::start(backbone, sequence, seen);
            return sequences.into_iter().map(start).collect();
        }
        let mut cache = KvCache::default();
        let states = backbone.pass(first, shared, seen, &mut cache)?;
        let go_on = |sequence: Sequence| {
            let start = Self {
                ids: sequence.ids[..shared].to_vec(),
                states: vec![states.clone()],
                cache: cache.fork()?,
            };
            start.go_on(backbone, sequence, seen)
        };
        sequences.into_iter().map(go_on).collect()
    }

    /// Brings it to `whole`: on the same cache as far as that begins alike (which the picture must), else from the
    /// start.
    ///
    /// # Errors
    /// Failed tensor operations.
    pub(crate) fn go_on(
        mut self,
        backbone: &dyn Backbone,
        whole: Sequence,
        seen: &Seen,
    ) -> Result<Self, MlError> {
        // The last token is always read anew, for the state that the next one is chosen from.
        let alike = common(&self.ids, &whole.ids).min(whole.ids.len().saturating_sub(1));
        let pictures_end = whole.image_bounds.last().map_or(0, |[_, end]| *end);
        if alike < self.ids.len() {
            if alike < pictures_end {
                return Self::start(backbone, whole, seen);
            }
            self.states = vec![self.states()?.narrow(1, 0, alike)?];
            self.cache.truncate(alike);
        }
        let end = whole.ids.len();
        self.states
            .push(backbone.pass(&whole, end, seen, &mut self.cache)?);
        self.ids = whole.ids;
        Ok(self)
    }

    /// All hidden states, `(1, tokens, hidden)`.
    ///
    /// # Errors
    /// Failed tensor operations.
    pub(crate) fn states(&self) -> Result<Tensor, MlError> {
        Ok(Tensor::cat(&self.states, 1)?)
    }

    /// Hidden states of the last token, `(1, 1, hidden)`.
    ///
    /// # Errors
    /// Nothing that was read.
    pub(crate) fn last(&self) -> Result<Tensor, MlError> {
        let last = self
            .states
            .last()
            .ok_or_else(|| MlError::Input("nothing was read".to_owned()))?;
        Ok(last.narrow(1, last.dim(1)? - 1, 1)?)
    }

    /// Features of all its tokens.
    ///
    /// # Errors
    /// As [`Passed::features`].
    pub(crate) fn all_features(&self) -> Result<Features, MlError> {
        self.features(self.ids.len())
    }

    /// Features of the first `num_tokens` tokens, half precision.
    ///
    /// # Errors
    /// Hidden states that are no numbers.
    pub(crate) fn features(&self, num_tokens: usize) -> Result<Features, MlError> {
        let states = self.states()?.squeeze(0)?.narrow(0, 0, num_tokens)?;
        let values = states
            .flatten_all()?
            .to_dtype(DType::F16)?
            .to_vec1::<half::f16>()?;
        if values.iter().any(|value| !value.is_finite()) {
            let why = "the model's hidden states are no numbers that half precision holds: its weights are damaged, or \
                       too large for this precision (try --dtype bf16 or f32)";
            return Err(MlError::Input(why.to_owned()));
        }
        Ok(Features {
            num_tokens,
            hidden: states.dim(1)?,
            values: values.into(),
        })
    }
}

/// Tokens that two sequences begin with alike.
fn common(a: &[u32], b: &[u32]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}
