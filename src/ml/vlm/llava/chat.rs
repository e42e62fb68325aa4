//! The conversation as tokens: Vicuna's words, one picture before the first request.
//!
//! Source: the multi-turn form of transformers' page on it, which is the one that the model learned from
//! (`conv_vicuna_v1` of the model's own code, without its system message, as on the hub):
//! `USER: <image>\nREQUEST ASSISTANT: ANSWER</s>USER: QUESTION ASSISTANT:`.

use std::fmt::Write as _;

use tokenizers::Tokenizer;

use crate::ml::MlError;
use crate::ml::vlm::backbone::{Ending, Sequence};

/// Holds the picture's place in the text.
const IMAGE: &str = "<image>";

/// Ends an answer.
const END: &str = "</s>";

/// A tokenizer with the ids that the template needs.
pub(super) struct Chat {
    tokenizer: Tokenizer,
    begin: u32,
    image: u32,
    ends: [u32; 1],
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
                    "the tokenizer has no token {token}: it is not one of LLaVA-1.5"
                ))
            };
            tokenizer.token_to_id(token).ok_or_else(missing)
        };
        let (begin, image, end) = (id("<s>")?, id(IMAGE)?, id(END)?);
        Ok(Self {
            tokenizer,
            begin,
            image,
            ends: [end],
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
    ///
    /// The text is split as a whole: `SentencePiece` sets a space before every stretch of text, so parts that are split
    /// on their own come out as other tokens.
    pub(super) fn sequence(
        &self,
        num_image: usize,
        messages: &[&str],
        ending: Ending,
    ) -> Result<Sequence, MlError> {
        let encoding = self
            .tokenizer
            .encode(text(messages, ending), false)
            .map_err(|error| MlError::Input(error.to_string()))?;
        let mut sequence = Sequence {
            ids: vec![self.begin],
            image_bounds: Vec::new(),
        };
        for id in encoding.get_ids() {
            // The first is ours; later ones are words of a message that happen to read so.
            if *id == self.image && sequence.image_bounds.is_empty() {
                let first = sequence.ids.len();
                sequence.ids.extend(std::iter::repeat_n(*id, num_image));
                sequence.image_bounds.push([first, first + num_image]);
            } else {
                sequence.ids.push(*id);
            }
        }
        Ok(sequence)
    }
}

fn text(messages: &[&str], ending: Ending) -> String {
    let mut text = String::new();
    for (turn, message) in messages.iter().enumerate() {
        let message = message.trim();
        let written = match turn {
            0 => write!(text, "USER: {IMAGE}\n{message}"),
            turn if turn % 2 == 1 => write!(text, " ASSISTANT: {message}{END}"),
            _ => write!(text, "USER: {message}"),
        };
        debug_assert!(written.is_ok(), "a string takes all that is written");
    }
    if ending == Ending::Generate {
        text.push_str(" ASSISTANT:");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_is_the_published_one() {
        assert_eq!(
            text(&[" What is it? "], Ending::Generate),
            "USER: <image>\nWhat is it? ASSISTANT:"
        );
        assert_eq!(
            text(&["What?", "A hand.", "Rate it."], Ending::Bare),
            "USER: <image>\nWhat? ASSISTANT: A hand.</s>USER: Rate it."
        );
    }
}
