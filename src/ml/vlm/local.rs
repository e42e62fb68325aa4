//! The local model as the pipeline uses it: describe a picture, and take the features of a conversation.

use std::path::Path;

use candle_core::{DType, Tensor};

use super::backbone::{Backbone, Ending, Facts, Seen, Sequence};
use super::files::{GenerateSettings, ModelFiles};
use super::kv_cache::KvCache;
use super::llama::argmax;
use super::minicpm_v::{Chat, MiniCpmBackbone, MiniCpmV};
use super::ops::Mode;
use super::weights::Form;
use crate::compute::DeviceChoice;
use crate::domain::{Conversation, Features, Interrupted, ModelCard, Picture};
use crate::ml::MlError;

/// A loaded multimodal model.
pub struct LocalModel {
    backbone: Box<dyn Backbone>,
    card: ModelCard,
    settings: GenerateSettings,
}

/// What came of describing a picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Described {
    /// Message 2.
    pub text: String,
    /// Message 4 as answered.
    pub answer: String,
    /// Last hidden states of messages 1 to 3.
    pub features: Features,
    /// Tokens generated for message 2.
    pub num_tokens: usize,
    /// Whether the model ended its answer by itself.
    pub finished: bool,
}

/// Messages 1 to 3 as the model reads them, token by token.
#[derive(Debug, Clone, PartialEq)]
pub struct Trace {
    /// Token ids, cut at the limit.
    pub token_ids: Vec<u32>,
    /// First and one-past-last position of each picture's features; none lies beyond the cut.
    pub image_bounds: Vec<[usize; 2]>,
    /// Hidden states after the final norm, a row for each token.
    pub hidden: Vec<f32>,
    /// Width of a row.
    pub width: usize,
}

/// Tokens of the one-word answer.
const ANSWER_TOKENS: usize = 8;

/// Tokens that went through the decoder, with their hidden states.
struct Passed {
    ids: Vec<u32>,
    states: Vec<Tensor>,
    cache: KvCache,
}

impl LocalModel {
    /// The model inside the binary.
    ///
    /// # Errors
    /// A device that cannot be opened.
    pub fn embedded(device: DeviceChoice) -> Result<Self, MlError> {
        Self::from_files(&ModelFiles::Embedded, device)
    }

    /// A model folder.
    ///
    /// # Errors
    /// Missing or malformed files, a device that cannot be opened.
    pub fn load(folder: &Path, device: DeviceChoice) -> Result<Self, MlError> {
        Self::from_files(&ModelFiles::Folder(folder.to_owned()), device)
    }

    fn from_files(files: &ModelFiles, device: DeviceChoice) -> Result<Self, MlError> {
        let open = device.open().map_err(MlError::Input)?;
        let config = files.config()?;
        let model = MiniCpmV::new(
            &config,
            Mode::Inference,
            &files.weights(Form::F32, &open.device)?,
        )?;
        let backbone = MiniCpmBackbone::new(model, Chat::new(files.tokenizer()?)?);
        let mut card = files.card()?;
        card.loaded_on = Some(format!("{}, f32", open.name));
        let settings = files.manifest()?.generation;
        Ok(Self::of(Box::new(backbone), card, settings))
    }

    /// A model of parts at hand.
    pub fn of(backbone: Box<dyn Backbone>, card: ModelCard, settings: GenerateSettings) -> Self {
        Self {
            backbone,
            card,
            settings,
        }
    }

    /// Its card.
    pub const fn card(&self) -> &ModelCard {
        &self.card
    }

    /// The network.
    pub fn backbone(&self) -> &dyn Backbone {
        &*self.backbone
    }

    /// Token limit of a conversation whose features are taken.
    pub fn max_len(&self) -> usize {
        self.facts().max_len
    }

    /// The settings that its `model.toml` asks for.
    pub const fn settings(&self) -> GenerateSettings {
        self.settings
    }

    fn facts(&self) -> Facts {
        self.backbone.facts()
    }

    /// Describes a picture and rates it in one word; `on_text` hears the text so far after every token and may stop.
    ///
    /// One pass: the picture is encoded once, and message 3 goes through the decoder behind the description that was
    /// just generated, so that the hidden states of messages 1 to 3 come for free. Where the description's text does
    /// not give the generated tokens back, they are taken anew from its text.
    ///
    /// # Errors
    /// [`MlError::Interrupted`] where `on_text` stops it; failed tensor operations.
    pub fn describe(
        &self,
        picture: &Picture,
        (request, question): (&str, &str),
        settings: &GenerateSettings,
        on_text: &mut dyn FnMut(&str) -> Result<(), Interrupted>,
    ) -> Result<Described, MlError> {
        let seen = self.backbone.look(picture)?;
        // 1. Message 1 and the header behind which the description stands
        let sequence = self
            .backbone
            .sequence(&seen, &[request], Ending::Generate)?;
        let mut passed = self.prefill(sequence, &seen)?;
        // 2. The description, token by token
        let before = passed.ids.len();
        let finished = self.generate(&mut passed, settings, on_text)?;
        let num_tokens = passed.ids.len() - before;
        let text = self.backbone.decode(&passed.ids[before..])?;
        let text = if finished {
            text.trim().to_owned()
        } else {
            whole_sentences(&text)
        };
        // 3. Message 3
        let messages = [request, &text, question];
        let whole = self.backbone.sequence(&seen, &messages, Ending::Bare)?;
        let bare = whole.ids.len();
        let asked = self.backbone.sequence(&seen, &messages, Ending::Generate)?;
        let mut passed = self.go_on(passed, asked, &seen)?;
        let features = self.features_of(&passed, bare)?;
        // 4. The word
        let before = passed.ids.len();
        let short = GenerateSettings {
            max_new_tokens: ANSWER_TOKENS,
            ..GenerateSettings::default()
        };
        self.generate(&mut passed, &short, &mut |_| Ok(()))?;
        let answer = self
            .backbone
            .decode(&passed.ids[before..])?
            .trim()
            .to_owned();
        Ok(Described {
            text,
            answer,
            features,
            num_tokens,
            finished,
        })
    }

    /// Last hidden states of messages 1 to 3, cut at [`LocalModel::max_len`].
    ///
    /// # Errors
    /// Failed tensor operations.
    pub fn features(
        &self,
        picture: &Picture,
        conversation: &Conversation,
    ) -> Result<Features, MlError> {
        let seen = self.backbone.look(picture)?;
        let whole = self.read(&seen, conversation)?;
        let bare = whole.ids.len();
        self.features_of(&self.prefill(whole, &seen)?, bare)
    }

    /// Tokens and last hidden states of messages 1 to 3 in single precision, cut at `max_len`: what other programs and
    /// comparisons with them ask for.
    ///
    /// # Errors
    /// Failed tensor operations.
    pub fn trace(
        &self,
        picture: &Picture,
        conversation: &Conversation,
        max_len: usize,
    ) -> Result<Trace, MlError> {
        let seen = self.backbone.look(picture)?;
        let whole = self.read(&seen, conversation)?;
        let bounds = whole.image_bounds.clone();
        let passed = self.prefill(whole, &seen)?;
        let states = Tensor::cat(&passed.states, 1)?.squeeze(0)?;
        let num_tokens = states.dim(0)?.min(max_len);
        let hidden = states.narrow(0, 0, num_tokens)?.flatten_all()?;
        Ok(Trace {
            token_ids: passed.ids[..num_tokens].to_vec(),
            image_bounds: bounds
                .into_iter()
                .map(|[start, end]| [start, end.min(num_tokens)])
                .filter(|[start, end]| start < end)
                .collect(),
            hidden: hidden.to_dtype(DType::F32)?.to_vec1()?,
            width: self.facts().hidden_size,
        })
    }

    fn read(&self, seen: &Seen, conversation: &Conversation) -> Result<Sequence, MlError> {
        let Conversation {
            request,
            description,
            question,
        } = conversation;
        self.backbone
            .sequence(seen, &[request, description, question], Ending::Bare)
    }

    fn prefill(&self, sequence: Sequence, seen: &Seen) -> Result<Passed, MlError> {
        let mut cache = KvCache::default();
        let end = sequence.ids.len();
        let states = self.backbone.pass(&sequence, end, seen, &mut cache)?;
        Ok(Passed {
            ids: sequence.ids,
            states: vec![states],
            cache,
        })
    }

    /// Brings `passed` to `whole`: on the same cache where it begins like it, else from the start.
    fn go_on(&self, mut passed: Passed, whole: Sequence, seen: &Seen) -> Result<Passed, MlError> {
        if whole.ids.len() <= passed.ids.len() || !whole.ids.starts_with(&passed.ids) {
            return self.prefill(whole, seen);
        }
        let end = whole.ids.len();
        let states = self.backbone.pass(&whole, end, seen, &mut passed.cache)?;
        passed.states.push(states);
        passed.ids = whole.ids;
        Ok(passed)
    }

    /// Greedy decoding until an end token or the limit; answers whether the end came.
    fn generate(
        &self,
        passed: &mut Passed,
        settings: &GenerateSettings,
        on_text: &mut dyn FnMut(&str) -> Result<(), Interrupted>,
    ) -> Result<bool, MlError> {
        let before = passed.ids.len();
        for _ in 0..settings.max_new_tokens {
            let Some(last) = passed.states.last() else {
                return Ok(false);
            };
            let last = last.narrow(1, last.dim(1)? - 1, 1)?;
            let logits = self.backbone.logits(&last)?;
            let id = argmax(&restrain(&logits, &passed.ids[before..], settings)?)?;
            if self.backbone.ends().contains(&id) {
                return Ok(true);
            }
            passed
                .states
                .push(self.backbone.step(&[id], &mut passed.cache)?);
            passed.ids.push(id);
            on_text(self.backbone.decode(&passed.ids[before..])?.trim_start())?;
        }
        Ok(false)
    }

    /// Features of the first `bare` tokens, cut at the limit.
    fn features_of(&self, passed: &Passed, bare: usize) -> Result<Features, MlError> {
        let states = Tensor::cat(&passed.states, 1)?.squeeze(0)?;
        let num_tokens = bare.min(self.max_len());
        let values = states
            .narrow(0, 0, num_tokens)?
            .flatten_all()?
            .to_dtype(DType::F16)?
            .to_vec1::<half::f16>()?;
        Ok(Features {
            num_tokens,
            hidden: self.facts().hidden_size,
            values: values.into(),
        })
    }
}

/// Logits after the repetition rules.
fn restrain(
    logits: &Tensor,
    generated: &[u32],
    settings: &GenerateSettings,
) -> candle_core::Result<Tensor> {
    let n = settings.no_repeat_ngram;
    if generated.is_empty() || (settings.repetition_penalty - 1.0).abs() < f32::EPSILON && n == 0 {
        return Ok(logits.clone());
    }
    let device = logits.device();
    let mut values = logits
        .flatten_all()?
        .to_dtype(DType::F32)?
        .to_vec1::<f32>()?;
    let mut penalised: Vec<u32> = generated.to_vec();
    penalised.sort_unstable();
    penalised.dedup();
    for id in penalised {
        let value = &mut values[id as usize];
        *value = if *value > 0.0 {
            *value / settings.repetition_penalty
        } else {
            *value * settings.repetition_penalty
        };
    }
    if n > 1 && generated.len() >= n {
        let tail = &generated[generated.len() + 1 - n..];
        for window in generated
            .windows(n)
            .filter(|window| window.starts_with(tail))
        {
            values[window[n - 1] as usize] = f32::NEG_INFINITY;
        }
    }
    let len = values.len();
    Tensor::from_vec(values, (1, len), device)
}

/// Text up to its last full stop; all of it where it has none.
fn whole_sentences(text: &str) -> String {
    let end = text.rfind(['.', '!', '?']).map_or(text.len(), |at| at + 1);
    text[..end].trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(width: u32, height: u32) -> Picture {
        let rgb: Vec<u8> = (0..width * height * 3)
            .map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8)
            .collect();
        Picture {
            width,
            height,
            rgb: rgb.into(),
        }
    }

    #[test]
    fn one_pass_gives_the_features_of_the_two_pass_way() -> Result<(), MlError> {
        let model = LocalModel::embedded(DeviceChoice::Cpu)?;
        for size in [[512, 512], [700, 400]] {
            let picture = picture(size[0], size[1]);
            let settings = model.settings();
            let made = model.describe(
                &picture,
                ("Describe its quality.", "Rate it."),
                &settings,
                &mut |_| Ok(()),
            )?;
            let conversation = Conversation {
                request: "Describe its quality.".to_owned(),
                description: made.text.clone(),
                question: "Rate it.".to_owned(),
            };
            let again = model.features(&picture, &conversation)?;
            assert_eq!(made.features.num_tokens, again.num_tokens);
            let worst = made.features.values.iter().zip(again.values.iter());
            let worst = worst
                .map(|(a, b)| (a.to_f32() - b.to_f32()).abs())
                .fold(0.0, f32::max);
            assert!(
                worst < 2e-2,
                "half precision rounds near 1e-3 of values up to 8; got {worst}"
            );
        }
        Ok(())
    }

    #[test]
    fn describing_stops_within_one_token() -> Result<(), MlError> {
        let model = LocalModel::embedded(DeviceChoice::Cpu)?;
        let (settings, mut heard) = (model.settings(), 0);
        let stopped = model.describe(
            &picture(512, 512),
            ("Describe it.", "Rate it."),
            &settings,
            &mut |_| {
                heard += 1;
                if heard == 3 { Err(Interrupted) } else { Ok(()) }
            },
        );
        assert!(matches!(stopped, Err(MlError::Interrupted(_))) && heard == 3);
        Ok(())
    }

    #[test]
    fn no_run_of_tokens_is_generated_twice() -> candle_core::Result<()> {
        let logits = Tensor::new(&[[[0f32, 5.0, 1.0]]], &candle_core::Device::Cpu)?;
        let settings = GenerateSettings {
            no_repeat_ngram: 2,
            ..GenerateSettings::default()
        };
        assert_eq!(argmax(&restrain(&logits, &[2, 1, 0, 2], &settings)?)?, 2);
        Ok(())
    }

    #[test]
    fn a_cut_answer_ends_with_a_sentence() {
        assert_eq!(whole_sentences("It is sharp. The sky is"), "It is sharp.");
    }
}
