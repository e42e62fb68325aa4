//! The local model as the pipeline uses it: describe a picture, and take the features of a conversation.

use std::path::Path;
use std::sync::Arc;

use candle_core::{DType, Device, Tensor};

use super::backbone::{Backbone, Ending, Facts, Seen, Sequence};
use super::decoding;
use super::decoding::{Ask, Batch, GenerateSettings, Passed};
use super::files::ModelFiles;
use super::load::{LoadWish, load};
use super::weights::{Form, Shelf};
use crate::compute::{DeviceChoice, free_memory};
use crate::domain::{Conversation, Features, Interrupted, ModelCard, Picture};
use crate::ml::MlError;

/// How a job's pictures are best shared out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Threads with a batch of their own, each on one core, and no more than there are cores; 1: one batch, whose
    /// products use all cores.
    pub threads: usize,
    /// Answers in a batch before no more pictures join it.
    pub members: usize,
}

/// Parameters below which a model is quickest with a picture a core: its matrices are too small to share. Measured on
/// two cores with the embedded model (3.2 million): 17 pictures a second on a core each, 9 with products shared.
const SMALL: u64 = 100_000_000;

/// Most answers that a large model generates at once, on a CPU and on a GPU: beyond, a step takes longer by as much as
/// it does more.
const MEMBERS: [usize; 2] = [8, 32];

/// What the memory beside the weights is used for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Room {
    /// Bytes of one answer more in a batch, all its beams.
    pub(super) member: u64,
    /// Bytes that are left for what is computed.
    pub(super) spare: u64,
}

impl Room {
    /// Answers that fit at once into so much free memory; as many as are of use where that is not known.
    fn members(self, free: Option<u64>, most: usize) -> usize {
        let (Some(free), true) = (free, self.member > 0) else {
            return most;
        };
        let members = free.saturating_sub(self.spare) / self.member;
        usize::try_from(members).unwrap_or(most).clamp(1, most)
    }
}

/// A loaded multimodal model.
pub struct LocalModel {
    backbone: Box<dyn Backbone>,
    device: Device,
    room: Room,
    card: ModelCard,
    form: Form,
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
    /// Tokens of the prompt that lie beyond the model's limit, and were not read before it answered.
    pub num_cut: usize,
}

/// Messages 1 to 3 as the model reads them, token by token.
#[derive(Debug, Clone, PartialEq)]
pub struct Trace {
    /// Token ids, cut at the limit.
    pub token_ids: Vec<u32>,
    /// First and one-past-last position of each picture's features; none lies beyond the cut.
    pub image_bounds: Vec<[usize; 2]>,
    /// Tokens that were cut off.
    pub num_cut: usize,
    /// Tokens of the picture among them. The published tool fails there; here what is left is read.
    pub num_image_tokens_cut: usize,
    /// Hidden states after the final norm, `(tokens, hidden)`.
    pub hidden: Values,
    /// What entered the decoder, `(tokens, hidden)`.
    pub embeds: Values,
    /// Logits `(tokens, vocab)`, where they were asked for.
    pub logits: Option<Values>,
}

/// A tensor that left the model: numbers in single precision.
#[derive(Debug, Clone, PartialEq)]
pub struct Values {
    /// Lengths of its dimensions.
    pub shape: Vec<usize>,
    /// Its numbers, the last dimension fastest.
    pub numbers: Vec<f32>,
}

impl Values {
    fn of(tensor: &Tensor) -> Result<Self, MlError> {
        Ok(Self {
            shape: tensor.dims().to_vec(),
            numbers: tensor.flatten_all()?.to_dtype(DType::F32)?.to_vec1()?,
        })
    }
}

/// One picture or slice inside the model.
#[derive(Debug, Clone, PartialEq)]
pub struct Parts {
    /// What entered the tower, `(3, height, width)`.
    pub pixels: Values,
    /// Position id of every patch.
    pub position_ids: Vec<u32>,
    /// What left the tower, `(patches, vision_hidden)`.
    pub vision: Values,
    /// What the decoder reads, `(tokens, hidden)`.
    pub resampler: Values,
}

impl LocalModel {
    /// The model inside the binary.
    ///
    /// # Errors
    /// A device that cannot be opened.
    pub fn embedded(device: DeviceChoice) -> Result<Self, MlError> {
        Self::open(&ModelFiles::Embedded, &LoadWish::on(device))
    }

    /// A model folder.
    ///
    /// # Errors
    /// Missing or malformed files, a device that cannot be opened.
    pub fn load(folder: &Path, device: DeviceChoice) -> Result<Self, MlError> {
        Self::open(
            &ModelFiles::Folder(folder.to_owned()),
            &LoadWish::on(device),
        )
    }

    /// A model in the form, on the device and with the adapter that are wished for.
    ///
    /// # Errors
    /// As [`LocalModel::load`]; an adapter of another model; in words what would help where memory is too small.
    pub fn open(files: &ModelFiles, wish: &LoadWish) -> Result<Self, MlError> {
        load(files, wish, &Arc::default())
    }

    /// The same, sharing what an adapter leaves alone with the models that were loaded over the same base, in the same
    /// form and on the same device, from the same shelf.
    ///
    /// # Errors
    /// As [`LocalModel::open`].
    pub fn open_over(
        files: &ModelFiles,
        wish: &LoadWish,
        shelf: &Arc<Shelf>,
    ) -> Result<Self, MlError> {
        load(files, wish, shelf)
    }

    /// A model of parts at hand, on the CPU in single precision.
    pub fn of(backbone: Box<dyn Backbone>, card: ModelCard, settings: GenerateSettings) -> Self {
        Self {
            backbone,
            device: Device::Cpu,
            room: Room::default(),
            card,
            form: Form::F32,
            settings,
        }
    }

    /// The same on the device and in the form of its tensors.
    #[must_use]
    pub(super) fn on(mut self, device: &Device, form: Form, room: Room) -> Self {
        self.device = device.clone();
        self.form = form;
        self.room = room;
        self
    }

    /// Its card.
    pub const fn card(&self) -> &ModelCard {
        &self.card
    }

    /// The device that it is on.
    pub const fn device(&self) -> &Device {
        &self.device
    }

    /// The form of its weights, on which its hidden states depend.
    pub const fn form(&self) -> Form {
        self.form
    }

    /// The network.
    pub fn backbone(&self) -> &dyn Backbone {
        &*self.backbone
    }

    /// How a job's pictures are best shared out, with the memory that is free now.
    pub fn plan(&self) -> Plan {
        let is_on_cpu = self.device.is_cpu();
        let most = MEMBERS[usize::from(!is_on_cpu)];
        match is_on_cpu && self.card.num_parameters < SMALL {
            true => Plan {
                threads: usize::MAX,
                members: 1,
            },
            false => Plan {
                threads: 1,
                members: self.room.members(free_memory(&self.device), most),
            },
        }
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

    /// Answers on their way, nobody among them yet.
    ///
    /// # Errors
    /// Settings that make no sense.
    pub fn batch(&self, settings: &GenerateSettings) -> Result<Batch<'_>, MlError> {
        Batch::new(&*self.backbone, *settings)
    }

    /// Describes a picture and rates it in one word; `on_text` hears the text so far after every token and may stop.
    ///
    /// One pass: the picture is encoded once, and message 3 goes through the decoder behind the description that was
    /// just generated, so that the hidden states of messages 1 to 3 come for free. Where the description's text does
    /// not give the generated tokens back, they are taken anew from the first that differs.
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
        let mut batch = self.batch(settings)?;
        let ask = Ask {
            request: request.to_owned(),
            question: question.to_owned(),
        };
        batch.join(picture, &[ask])?;
        loop {
            let done = batch.step(&mut |_, so_far| on_text(&so_far.text()))?;
            if let Some((_, described)) = done.into_iter().next() {
                return described;
            }
        }
    }

    /// Token ids generated behind the first messages of a conversation, the end included where it came.
    ///
    /// # Errors
    /// Settings that make no sense; failed tensor operations.
    pub fn speak(
        &self,
        picture: &Picture,
        messages: &[&str],
        settings: &GenerateSettings,
    ) -> Result<Vec<u32>, MlError> {
        let seen = self.backbone.look(picture)?;
        let sequence = self.backbone.sequence(&seen, messages, Ending::Generate)?;
        decoding::speak(&*self.backbone, sequence, &seen, *settings)
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
        self.features_of(picture, &conversation.messages())
    }

    /// The same of any messages of user and assistant by turns, the picture before the first.
    ///
    /// # Errors
    /// No messages; failed tensor operations.
    pub fn features_of(&self, picture: &Picture, messages: &[&str]) -> Result<Features, MlError> {
        let seen = self.backbone.look(picture)?;
        let whole = self.backbone.sequence(&seen, messages, Ending::Bare)?;
        self.up_to(whole, &seen, self.max_len())?.all_features()
    }

    /// What happens to a picture before the decoder reads it; pictures and slices in order.
    ///
    /// # Errors
    /// Failed tensor operations.
    pub fn parts(&self, picture: &Picture) -> Result<Vec<Parts>, MlError> {
        let inspected = self.backbone.inspect(picture)?.into_iter();
        inspected
            .map(|part| {
                Ok(Parts {
                    pixels: Values::of(&part.pixels)?,
                    position_ids: part.position_ids.to_vec1()?,
                    vision: Values::of(&part.vision)?,
                    resampler: Values::of(&part.features)?,
                })
            })
            .collect()
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
        with_logits: bool,
    ) -> Result<Trace, MlError> {
        let seen = self.backbone.look(picture)?;
        let whole = self.read(&seen, conversation)?;
        let num_places: usize = whole.image_bounds.iter().map(|[a, b]| b - a).sum();
        let mut cut = whole.clone();
        cut.cut(max_len);
        let num_left: usize = cut.image_bounds.iter().map(|[a, b]| b - a).sum();
        let image_bounds = cut.image_bounds.clone();
        let embeds = self.backbone.embeds(&cut, &seen)?;
        let passed = Passed::start(&*self.backbone, cut, &seen)?;
        let states = passed.states()?.squeeze(0)?;
        Ok(Trace {
            token_ids: passed.ids,
            image_bounds,
            num_cut: whole.ids.len().saturating_sub(max_len),
            num_image_tokens_cut: num_places - num_left,
            hidden: Values::of(&states)?,
            embeds: Values::of(&embeds)?,
            logits: if with_logits {
                Some(Values::of(
                    &self.backbone.logits(&states.unsqueeze(0)?)?.squeeze(0)?,
                )?)
            } else {
                None
            },
        })
    }

    fn read(&self, seen: &Seen, conversation: &Conversation) -> Result<Sequence, MlError> {
        self.backbone
            .sequence(seen, &conversation.messages(), Ending::Bare)
    }

    /// Puts as much of a sequence through the decoder as is asked for: what stands behind leaves no trace before it.
    fn up_to(&self, mut whole: Sequence, seen: &Seen, limit: usize) -> Result<Passed, MlError> {
        whole.cut(limit);
        Passed::start(&*self.backbone, whole, seen)
    }
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
    fn a_batch_is_as_large_as_memory_allows() {
        let room = Room {
            member: 100,
            spare: 50,
        };
        for (free, members) in [(0, 1), (149, 1), (250, 2), (449, 3), (100_000, 8)] {
            assert_eq!(room.members(Some(free), 8), members, "{free} free");
        }
        assert_eq!(room.members(None, 8), 8);
        assert_eq!(Room::default().members(Some(1), 8), 8);
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
}
