//! The conversation as tokens: Llama 3 headers, image placeholders, messages trimmed.

use tokenizers::Tokenizer;

use crate::ml::MlError;
use crate::ml::vlm::backbone::{Ending, Sequence};

/// Names of the special tokens, in the order in which a small model's tokenizer numbers them.
pub const SPECIAL_TOKENS: [&str; 9] = [
    "<|begin_of_text|>",
    "<|end_of_text|>",
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<|eot_id|>",
    "<image>",
    "</image>",
    "<slice>",
    "</slice>",
];

/// The token that holds an image token's place.
pub const UNK: &str = "<unk>";

/// A tokenizer with the ids that the template needs.
pub struct Chat {
    tokenizer: Tokenizer,
    ids: [u32; 9],
    unk: u32,
}

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The one who asks.
    User,
    /// The model.
    Assistant,
}

impl Role {
    const fn word(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Assistant => "assistant",
        }
    }
}

impl Chat {
    /// Wraps a tokenizer.
    ///
    /// # Errors
    /// A special token that the vocabulary lacks, named.
    pub fn new(tokenizer: Tokenizer) -> Result<Self, MlError> {
        let id = |token: &str| {
            let missing = || {
                MlError::Input(format!(
                    "the tokenizer has no token {token}: it is not one of MiniCPM-V"
                ))
            };
            tokenizer.token_to_id(token).ok_or_else(missing)
        };
        let mut ids = [0; 9];
        for (slot, token) in ids.iter_mut().zip(SPECIAL_TOKENS) {
            *slot = id(token)?;
        }
        let unk = id(UNK)?;
        Ok(Self {
            tokenizer,
            ids,
            unk,
        })
    }

    /// The tokens that end an answer: of the text, of the message.
    pub const fn ends(&self) -> [u32; 2] {
        [self.ids[1], self.ids[4]]
    }

    /// Plain text as tokens.
    ///
    /// # Errors
    /// Text that the tokenizer cannot split.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, MlError> {
        let encoding = self
            .tokenizer
            .encode(text, false)
            .map_err(|error| MlError::Input(error.to_string()))?;
        Ok(encoding.get_ids().to_vec())
    }

    /// Tokens as plain text, special ones left out.
    ///
    /// # Errors
    /// Ids outside the vocabulary.
    pub fn decode(&self, ids: &[u32]) -> Result<String, MlError> {
        self.tokenizer
            .decode(ids, true)
            .map_err(|error| MlError::Input(error.to_string()))
    }

    /// The start of every conversation.
    pub fn start(&self) -> Sequence {
        Sequence {
            ids: vec![self.ids[0]],
            image_bounds: Vec::new(),
        }
    }

    /// The header behind which a message of `role` stands.
    ///
    /// # Errors
    /// Text that the tokenizer cannot split.
    pub fn header(&self, role: Role) -> Result<Vec<u32>, MlError> {
        let mut ids = vec![self.ids[2]];
        ids.extend(self.encode(role.word())?);
        ids.push(self.ids[3]);
        ids.extend(self.encode("\n\n")?);
        Ok(ids)
    }

    /// Appends a message: header, trimmed content, end.
    ///
    /// # Errors
    /// Text that the tokenizer cannot split.
    pub fn push(&self, sequence: &mut Sequence, role: Role, content: &str) -> Result<(), MlError> {
        sequence.ids.extend(self.header(role)?);
        sequence.ids.extend(self.encode(content.trim())?);
        sequence.ids.push(self.ids[4]);
        Ok(())
    }

    /// Appends message 1: image placeholders, a newline, the request. `grid` is columns and rows of slices.
    ///
    /// # Errors
    /// Text that the tokenizer cannot split.
    pub fn push_picture(
        &self,
        sequence: &mut Sequence,
        grid: Option<[u32; 2]>,
        queries: usize,
        request: &str,
    ) -> Result<(), MlError> {
        sequence.ids.extend(self.header(Role::User)?);
        self.push_placeholder(sequence, queries);
        if let Some([cols, rows]) = grid {
            sequence.ids.push(self.ids[7]);
            for row in 0..rows {
                if row > 0 {
                    sequence.ids.extend(self.encode("\n")?);
                }
                (0..cols).for_each(|_| self.push_placeholder(sequence, queries));
            }
            sequence.ids.push(self.ids[8]);
        }
        sequence
            .ids
            .extend(self.encode(&format!("\n{}", request.trim()))?);
        sequence.ids.push(self.ids[4]);
        Ok(())
    }

    fn push_placeholder(&self, sequence: &mut Sequence, queries: usize) {
        sequence.ids.push(self.ids[5]);
        let first = sequence.ids.len();
        sequence.ids.extend(std::iter::repeat_n(self.unk, queries));
        sequence.image_bounds.push([first, first + queries]);
        sequence.ids.push(self.ids[6]);
    }

    /// Messages of user and assistant by turns, the picture in the first.
    ///
    /// # Errors
    /// Text that the tokenizer cannot split.
    pub fn messages(
        &self,
        grid: Option<[u32; 2]>,
        queries: usize,
        messages: &[&str],
        ending: Ending,
    ) -> Result<Sequence, MlError> {
        let mut sequence = self.start();
        let Some((request, others)) = messages.split_first() else {
            return Err(MlError::Input("a conversation has messages".to_owned()));
        };
        self.push_picture(&mut sequence, grid, queries, request)?;
        for (message, role) in others
            .iter()
            .zip([Role::Assistant, Role::User].into_iter().cycle())
        {
            self.push(&mut sequence, role, message)?;
        }
        if ending == Ending::Generate {
            sequence.ids.extend(self.header(Role::Assistant)?);
        }
        Ok(sequence)
    }
}
