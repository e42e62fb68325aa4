//! Conversations to learn from, and which of their tokens the model has to foretell.
//!
//! **Source** the fine-tuning code of MiniCPM-V (OpenBMB/MiniCPM-V, `finetune/dataset.py`), which M3-AGIQA was made with:
//! the assistant's words and the token that ends its message are learned, headers and everything else are not.

use crate::domain::Rating;
use crate::ml::MlError;
use crate::ml::vlm::{Backbone, Ending, Seen, Sequence};

/// Messages 1 to 4 about one picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lesson {
    /// The picture's number.
    pub picture: usize,
    /// User and assistant by turns.
    pub messages: [String; 4],
    /// The word of message 4, where it is one of the five.
    pub word: Option<Rating>,
}

/// A token to be foretold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// Position whose hidden state foretells it.
    pub from: usize,
    /// The token.
    pub id: u32,
}

/// A conversation as the model learns it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) sequence: Sequence,
    pub(super) targets: Vec<Target>,
    /// Position whose hidden state foretells the word of message 4; `None` where it was cut off.
    pub(super) word_at: Option<usize>,
}

impl Lesson {
    /// The conversation as tokens, cut at `max_len`. `ends_twice`: as in the published training, the token that ends an
    /// assistant's message is also what is to come behind itself, but for the last message.
    pub(super) fn told(
        &self,
        backbone: &dyn Backbone,
        seen: &Seen,
        max_len: usize,
        ends_twice: bool,
    ) -> Result<Told, MlError> {
        let messages: Vec<&str> = self.messages.iter().map(String::as_str).collect();
        let mut sequence = backbone.sequence(seen, &messages, Ending::Bare)?;
        let mut targets = Vec::new();
        let mut word_at = None;
        for answer in [1, 3] {
            let before = backbone.sequence(seen, &messages[..answer], Ending::Generate)?;
            let start = before.ids.len();
            if !sequence.ids.starts_with(&before.ids) {
                // A tokenizer that joins signs over the border: the words would be learned from the wrong place.
                return Err(MlError::Input(format!(
                    "message {} does not begin with a token of its own",
                    answer + 1
                )));
            }
            let is_end = |id: &u32| backbone.ends().contains(id);
            let Some(len) = sequence.ids[start..].iter().position(is_end) else {
                continue;
            };
            let foretold = (start..=start + len).map(|at| Target {
                from: at - 1,
                id: sequence.ids[at],
            });
            targets.extend(foretold);
            if answer == 3 {
                word_at = Some(start - 1);
            } else if ends_twice {
                targets.push(Target {
                    from: start + len,
                    id: sequence.ids[start + len],
                });
            }
        }
        sequence.cut(max_len);
        // What stands behind the cut is not learned.
        let len = sequence.ids.len();
        targets.retain(|target| target.from + 1 < len);
        Ok(Told {
            word_at: word_at.filter(|at| at + 1 < len),
            sequence,
            targets,
        })
    }
}

/// The first token of each of the five words as message 4, worst first; `None` where two of them begin alike.
pub(super) fn first_tokens(
    backbone: &dyn Backbone,
    lesson: &Lesson,
) -> Result<Option<[u32; 5]>, MlError> {
    let seen = Seen {
        images: Vec::new(),
        grid: None,
    };
    let mut tokens = [0; 5];
    for (token, word) in tokens.iter_mut().zip(Rating::ALL) {
        let [request, text, question, _] = &lesson.messages;
        let messages = [request.as_str(), text, question, word.word()];
        let before = backbone.sequence(&seen, &messages[..3], Ending::Generate)?;
        let whole = backbone.sequence(&seen, &messages, Ending::Bare)?;
        match whole.ids.get(before.ids.len()) {
            Some(id) => *token = *id,
            None => return Ok(None),
        }
    }
    let is_told_apart = (1..5).all(|at| !tokens[..at].contains(&tokens[at]));
    Ok(is_told_apart.then_some(tokens))
}
