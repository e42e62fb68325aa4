//! What a multimodal model has to offer so that it can describe pictures and give features: one trait for all of them.
//!
//! A picture is looked at once ([`Backbone::look`]). Messages become tokens with places for it
//! ([`Backbone::sequence`]). Tokens go through the decoder behind what a cache holds ([`Backbone::pass`]), and from
//! then on one at a time for many conversations at once ([`Backbone::step`]). Positions are the backbone's own affair:
//! it computes those of a sequence from its tokens and its picture, and the cache remembers each row's next one.
//!
//! Tensors that are handed out are in the model's own dtype on its own device.

use candle_core::Tensor;

use super::kv_cache::KvCache;
use super::tape::Tape;
use crate::domain::Picture;
use crate::ml::MlError;

/// Tokens of a conversation, with places for a picture.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sequence {
    /// Token ids.
    pub ids: Vec<u32>,
    /// First and one-past-last position of the tokens of each picture or slice, in order.
    pub image_bounds: Vec<[usize; 2]>,
}

impl Sequence {
    /// Cuts it behind `limit` tokens; what is left of a picture's tokens keeps its place.
    pub fn cut(&mut self, limit: usize) {
        self.ids.truncate(limit);
        self.image_bounds.retain_mut(|[start, end]| {
            *end = (*end).min(limit);
            start < end
        });
    }
}

/// A picture as the decoder reads it.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Image tokens `(tokens, hidden)` of each picture or slice, in the order of [`Sequence::image_bounds`].
    pub images: Vec<Tensor>,
    /// How they lie: columns and rows of slices behind a thumbnail (MiniCPM-V), or of merged patches (Qwen-VL);
    /// `None` for a picture that was not cut.
    pub grid: Option<[u32; 2]>,
}

/// What stands behind the last message of a sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Nothing: what a predictor reads.
    Bare,
    /// The header behind which the model answers.
    Generate,
}

/// Sizes that those around a model need to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// Width of the hidden states.
    pub hidden_size: usize,
    /// Tokens in the vocabulary.
    pub vocab_size: usize,
    /// Token limit of a conversation whose features are taken.
    pub max_len: usize,
    /// Tokens of a prompt beyond which the published tool cuts it before generating.
    pub max_prompt: usize,
}

/// One picture or slice on its way through the model, for comparison with other programs.
#[derive(Debug, Clone)]
pub struct Inspected {
    /// What enters the tower, `(3, height, width)`, normalised.
    pub pixels: Tensor,
    /// Position id of every patch, `(patches)`, u32.
    pub position_ids: Tensor,
    /// What leaves the tower, `(patches, vision_hidden)`.
    pub vision: Tensor,
    /// What the decoder reads, `(tokens, hidden)`.
    pub features: Tensor,
}

/// A multimodal model behind which [`LocalModel`](super::LocalModel) does not look.
pub trait Backbone: Send + Sync {
    /// Its sizes.
    fn facts(&self) -> Facts;

    /// The tokens that end an answer.
    fn ends(&self) -> &[u32];

    /// Tokens as plain text, special ones left out.
    ///
    /// # Errors
    /// Ids outside the vocabulary.
    fn decode(&self, ids: &[u32]) -> Result<String, MlError>;

    /// Encodes a picture.
    ///
    /// # Errors
    /// A picture without pixels, failed tensor operations.
    fn look(&self, picture: &Picture) -> Result<Seen, MlError> {
        self.look_taped(picture, &mut Tape::off())
    }

    /// The same with its layers kept on a tape, where the way back is wanted.
    ///
    /// # Errors
    /// As [`Backbone::look`].
    fn look_taped<'a>(&'a self, picture: &Picture, tape: &mut Tape<'a>) -> Result<Seen, MlError>;

    /// The parts of [`Backbone::look`], kept apart; pictures and slices in order.
    ///
    /// # Errors
    /// As [`Backbone::look`].
    fn inspect(&self, picture: &Picture) -> Result<Vec<Inspected>, MlError>;

    /// Messages as tokens: user, assistant and user by turns, the picture before the first. Sequences that begin with
    /// the same messages begin with the same tokens, as far as the tokenizer lets them.
    ///
    /// # Errors
    /// Text that the tokenizer cannot split.
    fn sequence(&self, seen: &Seen, messages: &[&str], ending: Ending)
    -> Result<Sequence, MlError>;

    /// Embeddings `(tokens, hidden)` of a whole sequence, the picture's features in their places.
    ///
    /// # Errors
    /// Ids outside the vocabulary.
    fn embeds(&self, sequence: &Sequence, seen: &Seen) -> Result<Tensor, MlError>;

    /// Puts the tokens of a sequence up to `end` behind those that the one row of the cache holds, which must be the
    /// sequence's own beginning. Answers the hidden states after the final norm of the new ones, `(1, new, hidden)`.
    ///
    /// # Errors
    /// Nothing left to read, failed tensor operations.
    fn pass(
        &self,
        sequence: &Sequence,
        end: usize,
        seen: &Seen,
        cache: &mut KvCache,
    ) -> Result<Tensor, MlError>;

    /// Hidden states after the final norm of a whole sequence, `(1, tokens, hidden)`, without a cache, its layers kept on
    /// a tape.
    ///
    /// # Errors
    /// Failed tensor operations.
    fn whole_taped<'a>(
        &'a self,
        sequence: &Sequence,
        seen: &Seen,
        tape: &mut Tape<'a>,
    ) -> Result<Tensor, MlError>;

    /// Puts one token of text behind every row of the cache. Answers hidden states `(rows, 1, hidden)` after the
    /// final norm. A row's result does not depend on its company but for the rounding of products.
    ///
    /// # Errors
    /// Another number of ids than rows, failed tensor operations.
    fn step(&self, ids: &[u32], cache: &mut KvCache) -> Result<Tensor, MlError>;

    /// Logits `(rows, seq, vocab)` of hidden states after the final norm.
    ///
    /// # Errors
    /// Failed tensor operations.
    fn logits(&self, hidden: &Tensor) -> Result<Tensor, MlError>;

    /// The matrix `(vocab, hidden)` that makes logits of hidden states: predictors fold their projection with it.
    ///
    /// # Errors
    /// Failed tensor operations.
    fn lm_head(&self) -> Result<Tensor, MlError>;
}
