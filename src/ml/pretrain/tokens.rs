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

/// A conversation of four messages as a speech example.
///
/// # Errors
/// Text that the tokenizer cannot split.
pub fn speech_example(
    chat: &Chat,
    queries: usize,
    conversation: &Conversation,
    answer: &str,
    (picture, score): (usize, f32),
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
    let question = sequence.ids.len();
    chat.push(&mut sequence, Role::User, &conversation.question)?;
    readings.extend(question..sequence.ids.len());
    speak(&mut sequence, answer)?;
    Ok(SpeechExample {
        picture,
        image,
        ids: sequence.ids,
        targets,
        readings,
        untold,
        score,
    })
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
