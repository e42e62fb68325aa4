//! A tokenizer for a small model: byte-level BPE trained on the words that it will read and write.

use tokenizers::models::bpe::{BPE, BpeTrainerBuilder};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{AddedToken, Tokenizer, TokenizerBuilder};

use super::speech::SpeechExample;
use crate::domain::Conversation;
use crate::ml::MlError;
use crate::ml::vlm::minicpm_v::chat::{Chat, Role, SPECIAL_TOKENS, UNK};

/// Trains a tokenizer of at most `vocab_size` tokens on `texts`; the same texts in the same order give the same one.
///
/// # Errors
/// What the trainer answers.
pub fn train_tokenizer(texts: &[String], vocab_size: usize) -> Result<Tokenizer, MlError> {
    let failed = |error: tokenizers::Error| {
        MlError::Input(format!("the tokenizer cannot be trained: {error}"))
    };
    let special: Vec<AddedToken> = SPECIAL_TOKENS
        .iter()
        .chain([&UNK])
        .map(|token| AddedToken::from(*token, true))
        .collect();
    let mut trainer = BpeTrainerBuilder::new()
        .vocab_size(vocab_size)
        .min_frequency(2)
        .show_progress(false)
        .special_tokens(special)
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .build();
    let bytes = ByteLevel::new(false, true, true);
    let mut tokenizer = TokenizerBuilder::new()
        .with_model(BPE::default())
        .with_normalizer(None::<tokenizers::normalizers::NFC>)
        .with_pre_tokenizer(Some(bytes))
        .with_post_processor(None::<ByteLevel>)
        .with_decoder(Some(bytes))
        .build()
        .map_err(failed)?;
    tokenizer
        .train(&mut trainer, texts.iter().map(String::as_str))
        .map_err(failed)?;
    let json = tokenizer.to_string(false).map_err(failed)?;
    Tokenizer::from_bytes(json.as_bytes()).map_err(failed)
}

/// What a description begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    /// A sentence like every other.
    Usual,
    /// A sentence of one form that says what is wrong, as those about demo scenes have it.
    Lead,
}

/// What stands beside a conversation.
#[derive(Debug, Clone, Copy)]
pub struct Told {
    /// Index of its picture.
    pub picture: usize,
    /// The opinion score.
    pub score: f32,
    /// What the description begins with.
    pub opening: Opening,
}

/// A conversation of four messages as a speech example.
///
/// # Errors
/// Text that the tokenizer cannot split.
pub fn speech_example(
    chat: &Chat,
    queries: usize,
    conversation: &Conversation,
    answer: &str,
    told: Told,
) -> Result<SpeechExample, MlError> {
    let mut sequence = chat.start();
    chat.push_picture(&mut sequence, None, queries, &conversation.request)?;
    let image = sequence.image_bounds[0];
    let mut readings: Vec<usize> = (image[1]..sequence.ids.len()).collect();
    let untold = readings.len() - 1;
    let mut targets = Vec::new();
    let mut speak =
        |sequence: &mut _, text: &str| push_assistant(chat, sequence, text, &mut targets);
    speak(&mut sequence, &conversation.description)?;
    let lead = match told.opening {
        Opening::Usual => 0,
        Opening::Lead => chat
            .encode(first_sentence(&conversation.description))?
            .len(),
    };
    let question = sequence.ids.len();
    chat.push(&mut sequence, Role::User, &conversation.question)?;
    readings.extend(question..sequence.ids.len());
    speak(&mut sequence, answer)?;
    Ok(SpeechExample {
        picture: told.picture,
        image,
        ids: sequence.ids,
        targets,
        lead,
        readings,
        untold,
        score: told.score,
    })
}

/// A text as far as its first sentence goes.
fn first_sentence(text: &str) -> &str {
    text.find(". ").map_or(text, |at| &text[..=at])
}

fn push_assistant(
    chat: &Chat,
    sequence: &mut crate::ml::vlm::Sequence,
    text: &str,
    targets: &mut Vec<usize>,
) -> Result<(), MlError> {
    let first = sequence.ids.len() + chat.header(Role::Assistant)?.len();
    chat.push(sequence, Role::Assistant, text)?;
    targets.extend(first..sequence.ids.len());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lead_is_the_first_sentence_of_those_that_have_one() {
        let description = "This picture suffers from blur. The quality is low.";
        let conversation = Conversation {
            request: "Say what you see.".to_owned(),
            description: description.to_owned(),
            question: "How good?".to_owned(),
        };
        let texts = [conversation.request.clone(), description.to_owned()];
        let chat = Chat::new(train_tokenizer(&texts, 400).unwrap()).unwrap();
        let told = |opening| Told {
            picture: 0,
            score: 2.0,
            opening,
        };
        let example =
            |opening| speech_example(&chat, 4, &conversation, "poor", told(opening)).unwrap();
        let with = example(Opening::Lead);
        let ids: Vec<u32> = with.targets[..with.lead]
            .iter()
            .map(|at| with.ids[*at])
            .collect();
        assert_eq!(
            chat.decode(&ids).unwrap(),
            "This picture suffers from blur."
        );
        assert_eq!(example(Opening::Usual).lead, 0);
    }
}
