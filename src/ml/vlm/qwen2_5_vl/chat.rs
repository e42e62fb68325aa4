//! The conversation as tokens: `ChatML` with the default system message, one picture before the first request.
//!
//! Source: the chat template of the hub's `Qwen/Qwen2.5-VL-7B-Instruct`.

use tokenizers::Tokenizer;

use crate::ml::MlError;
use crate::ml::vlm::backbone::{Ending, Sequence};

/// What the template says where no system message is given.
const SYSTEM: &str = "You are a helpful assistant.";

/// A tokenizer with the ids that the template needs.
pub(super) struct Chat {
    tokenizer: Tokenizer,
    start: u32,
    vision_start: u32,
    vision_end: u32,
    image_pad: u32,
    /// End of a message, end of a text.
    ends: [u32; 2],
}

impl Chat {
    /// Wraps a tokenizer.
    ///
    /// # Errors
    /// A special token that the vocabulary lacks, named.
    pub(super) fn new(tokenizer: Tokenizer) -> Result<Self, MlError> {
        let id = |token: &str| {
            let missing = || {
                MlError::Input(format!(
                    "the tokenizer has no token {token}: it is not one of Qwen2.5-VL"
                ))
            };
            tokenizer.token_to_id(token).ok_or_else(missing)
        };
        Ok(Self {
            start: id("<|im_start|>")?,
            vision_start: id("<|vision_start|>")?,
            vision_end: id("<|vision_end|>")?,
            image_pad: id("<|image_pad|>")?,
            ends: [id("<|im_end|>")?, id("<|endoftext|>")?],
            tokenizer,
        })
    }

    /// The tokens that end an answer.
    pub(super) const fn ends(&self) -> &[u32] {
        &self.ends
    }

    /// Tokens as plain text, special ones left out.
    pub(super) fn decode(&self, ids: &[u32]) -> Result<String, MlError> {
        self.tokenizer
            .decode(ids, true)
            .map_err(|error| MlError::Input(error.to_string()))
    }

    /// Messages by turns, with `num_image` places for the picture.
    pub(super) fn sequence(
        &self,
        num_image: usize,
        messages: &[&str],
        ending: Ending,
    ) -> Result<Sequence, MlError> {
        let mut sequence = Sequence::default();
        self.push(&mut sequence, &format!("system\n{SYSTEM}"))?;
        for (turn, message) in messages.iter().enumerate() {
            let message = message.trim();
            match turn {
                0 => self.push_picture(&mut sequence, num_image, message)?,
                turn if turn % 2 == 1 => {
                    self.push(&mut sequence, &format!("assistant\n{message}"))?;
                }
                _ => self.push(&mut sequence, &format!("user\n{message}"))?,
            }
        }
        if ending == Ending::Generate {
            sequence.ids.push(self.start);
            sequence.ids.extend(self.encode("assistant\n")?);
        }
        Ok(sequence)
    }

    fn encode(&self, text: &str) -> Result<Vec<u32>, MlError> {
        let encoding = self
            .tokenizer
            .encode(text, false)
            .map_err(|error| MlError::Input(error.to_string()))?;
        Ok(encoding.get_ids().to_vec())
    }

    fn push(&self, sequence: &mut Sequence, message: &str) -> Result<(), MlError> {
        sequence.ids.push(self.start);
        sequence.ids.extend(self.encode(message)?);
        self.end(sequence)
    }

    fn push_picture(
        &self,
        sequence: &mut Sequence,
        num_image: usize,
        request: &str,
    ) -> Result<(), MlError> {
        sequence.ids.push(self.start);
        sequence.ids.extend(self.encode("user\n")?);
        sequence.ids.push(self.vision_start);
        let first = sequence.ids.len();
        sequence
            .ids
            .extend(std::iter::repeat_n(self.image_pad, num_image));
        sequence.image_bounds.push([first, first + num_image]);
        sequence.ids.push(self.vision_end);
        sequence.ids.extend(self.encode(request)?);
        self.end(sequence)
    }

    fn end(&self, sequence: &mut Sequence) -> Result<(), MlError> {
        sequence.ids.push(self.ends[0]);
        sequence.ids.extend(self.encode("\n")?);
        Ok(())
    }
}
