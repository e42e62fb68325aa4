//! A model that is being trained: one step, and the figures of a validation part.

use candle_core::DType;
use candle_core::Device;
use candle_core::Tensor;
use candle_core::Var;

use super::lesson::Lesson;
use super::lesson::Told;
use super::lesson::first_tokens;
use super::optimiser::Optimiser;
use crate::domain::Interrupted;
use crate::domain::Picture;
use crate::domain::TuneFigures;
use crate::domain::TunePreset;
use crate::domain::TuneSettings;
use crate::ml::MlError;
use crate::ml::vlm::Seen;
use crate::ml::vlm::TuneModel;
use crate::ml::vlm::fit::LOGITS_AT_ONCE;
use crate::ml::vlm::tape::Grads;
use crate::ml::vlm::tape::Tape;
use crate::stats::SplitMix64;

/// Bytes of image tokens that are kept where the vision tower is not trained.
const KEPT_PICTURES: usize = 512 << 20;

/// Where pictures come from, by their number.
pub type Pictures<'a> = dyn FnMut(usize) -> Result<Picture, MlError> + 'a;

/// What a step or a validation heard of conversations.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Heard {
    /// Sum of the cross entropies of target tokens, in nats.
    pub sum: f64,
    /// Target tokens.
    pub targets: usize,
    /// All tokens that went through the model.
    pub tokens: usize,
    /// Norm of the mean gradient before it was cut; 0 where nothing was learned.
    pub grad_norm: f64,
}

impl Heard {
    /// What makes a mean over target tokens of a sum.
    fn per_target(&self) -> f64 {
        1.0 / self.targets.max(1) as f64
    }

    /// Mean cross entropy of a target token.
    pub fn loss(&self) -> f64 {
        self.sum / self.targets.max(1) as f64
    }
}

/// First tokens of the five words as the model's tokenizer has them.
#[derive(Debug, Clone, Copy)]
enum Words {
    /// Nobody asked for them yet.
    Unasked,
    /// Two of them begin alike.
    Alike,
    /// Worst first.
    Known([u32; 5]),
}

/// A model, what is trained of it, and its optimiser.
pub struct Tuner {
    pub(super) model: TuneModel,
    pub(super) settings: TuneSettings,
    pub(super) optimiser: Optimiser,
    /// Names of what is trained, in the optimiser's order.
    pub(super) names: Vec<String>,
    working: Vec<Var>,
    /// First tokens of the five words, once they were asked for.
    words: Words,
    seen: Vec<Option<Seen>>,
    seen_bytes: usize,
    /// Whether layers are kept by their inputs alone.
    is_checkpointed: bool,
    /// Bytes for layers that are kept whole all the same.
    room: u64,
}

impl Tuner {
    /// Of a model that was loaded for training.
    ///
    /// # Errors
    /// A model of which nothing is trained.
    pub fn new(model: TuneModel, settings: &TuneSettings) -> Result<Self, MlError> {
        let tuned = &model.tuned;
        let (names, working, masters) = (tuned.names(), tuned.working(), tuned.masters());
        if names.is_empty() {
            let text = "nothing of this model is trained: choose another target pattern";
            return Err(MlError::Input(text.to_owned()));
        }
        Ok(Self {
            settings: settings.clone(),
            optimiser: Optimiser::new(masters, settings)?,
            names,
            working,
            words: Words::Unasked,
            seen: Vec::new(),
            seen_bytes: 0,
            is_checkpointed: true,
            room: model.plan.need.kept,
            model,
        })
    }

    /// Keeps whole graphs in place of the inputs of layers: what the way of less memory is held against.
    #[must_use]
    pub fn without_checkpoints(mut self) -> Self {
        self.is_checkpointed = false;
        self
    }

    /// Keeps layers whole as far as these bytes go, in place of what the plan has room for.
    #[must_use]
    pub const fn with_room(mut self, bytes: u64) -> Self {
        self.room = bytes;
        self
    }

    /// The device that the model is on.
    pub fn device(&self) -> &Device {
        self.working[0].device()
    }

    /// Names and values of what is trained.
    pub fn weights(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        let names = self.names.iter().map(String::as_str);
        names.zip(self.optimiser.masters().iter().map(Var::as_tensor))
    }

    /// Puts other values in place of what is trained under a name.
    ///
    /// # Errors
    /// A name of nothing that is trained, or another shape.
    pub fn set_weight(&mut self, name: &str, values: &Tensor) -> Result<(), MlError> {
        let Some(at) = self.names.iter().position(|known| known == name) else {
            return Err(MlError::Input(format!(
                "nothing that is trained is called {name}"
            )));
        };
        self.optimiser.set(at, values)?;
        Ok(self.model.tuned.refresh()?)
    }

    /// The gradient of a step, in the order of [`Tuner::weights`], and what was heard on the way. `number` says which values
    /// are left out; 0 leaves none out.
    ///
    /// # Errors
    /// Pictures that cannot be had, failed tensor operations, or whatever `go_on` answers.
    pub fn gradients(
        &mut self,
        lessons: &[&Lesson],
        number: u64,
        pictures: &mut Pictures<'_>,
        go_on: &mut dyn FnMut() -> Result<(), Interrupted>,
    ) -> Result<(Vec<Option<Tensor>>, Heard), MlError> {
        let (sums, heard) = self.sums(lessons, number, pictures, go_on)?;
        let scale = heard.per_target();
        let scaled = |sum: Option<Tensor>| Ok(sum.map(|sum| sum * scale).transpose()?);
        let gradients = sums.into_iter().map(scaled);
        Ok((gradients.collect::<Result<_, MlError>>()?, heard))
    }

    /// The same of the sum over all target tokens; the norm in what was heard is that of the mean all the same.
    fn sums(
        &mut self,
        lessons: &[&Lesson],
        number: u64,
        pictures: &mut Pictures<'_>,
        go_on: &mut dyn FnMut() -> Result<(), Interrupted>,
    ) -> Result<(Vec<Option<Tensor>>, Heard), MlError> {
        let mut grads = Grads::default();
        let mut heard = Heard::default();
        for (place, lesson) in lessons.iter().enumerate() {
            go_on()?;
            self.model
                .tuned
                .draw(drawn(self.settings.seed, number, place));
            let learned = self.learn(lesson, pictures, &mut grads);
            self.model.tuned.draw(0);
            let learned = learned?;
            heard.sum += learned.sum;
            heard.targets += learned.targets;
            heard.tokens += learned.tokens;
        }
        // To where the optimiser is, one after the other: what was added up is let go.
        let mut single = |(var, master): (&Var, &Var)| -> Result<Option<Tensor>, MlError> {
            let Some(grad) = grads.take(var.as_tensor()) else {
                return Ok(None);
            };
            let grad = grad.to_device(master.device())?.to_dtype(DType::F32)?;
            Ok(Some(grad.contiguous()?))
        };
        let pairs = self.working.iter().zip(self.optimiser.masters());
        let sums = pairs.map(&mut single).collect::<Result<Vec<_>, _>>()?;
        heard.grad_norm = self.optimiser.norm(&sums)? * heard.per_target();
        Ok((sums, heard))
    }

    /// One step of the optimiser.
    ///
    /// # Errors
    /// As [`Tuner::gradients`]; [`MlError::Diverged`] where loss or gradient are no numbers, and then nothing has moved.
    pub fn step(
        &mut self,
        lessons: &[&Lesson],
        learning_rate: f64,
        pictures: &mut Pictures<'_>,
        go_on: &mut dyn FnMut() -> Result<(), Interrupted>,
    ) -> Result<Heard, MlError> {
        let number = self.optimiser.steps() + 1;
        let (sums, heard) = self.sums(lessons, number, pictures, go_on)?;
        if !heard.sum.is_finite() || !heard.grad_norm.is_finite() {
            return Err(MlError::Diverged);
        }
        let scale = heard.per_target();
        self.optimiser
            .step(&sums, scale, heard.grad_norm, learning_rate)?;
        self.model.tuned.refresh()?;
        Ok(heard)
    }

    /// Adds the gradient of one conversation: that of the sum over its target tokens.
    fn learn(
        &mut self,
        lesson: &Lesson,
        pictures: &mut Pictures<'_>,
        grads: &mut Grads,
    ) -> Result<Heard, MlError> {
        let known = self.known(lesson.picture);
        let mut tape = match self.is_checkpointed {
            true => Tape::with_room(self.room),
            false => Tape::off(),
        };
        let graphs = self.model.plan.graphs;
        tape.layers_of(graphs.tower);
        let backbone = &*self.model.backbone;
        let seen = match known {
            Some(seen) => seen,
            None => backbone.look_taped(&pictures(lesson.picture)?, &mut tape)?,
        };
        let told = self.told(lesson, &seen)?;
        let heard = Heard {
            targets: told.targets.len(),
            tokens: told.sequence.ids.len(),
            ..Heard::default()
        };
        if told.targets.is_empty() {
            return Ok(heard);
        }
        tape.layers_of(graphs.decoder);
        let states = backbone.whole_taped(&told.sequence, &seen, &mut tape)?;
        let rows = rows_of(&states, &told)?;
        let (sum, grad) = self.head(&rows, &told, grads)?;
        tape.backward_from(&rows, &grad, &self.working, grads)?;
        self.keep(lesson.picture, seen);
        Ok(Heard { sum, ..heard })
    }

    /// From the states that foretell, `(targets, hidden)`, to the sum of cross entropies and its gradient, some targets at
    /// a time: logits of all of them would be wider than anything else.
    fn head(
        &self,
        rows: &Tensor,
        told: &Told,
        grads: &mut Grads,
    ) -> Result<(f64, Tensor), MlError> {
        let (mut sum, mut parts) = (0.0, Vec::new());
        for (part, targets) in told.targets.chunks(LOGITS_AT_ONCE as usize).enumerate() {
            let start = part * LOGITS_AT_ONCE as usize;
            let states = rows.detach().narrow(0, start, targets.len())?;
            let states = Var::from_tensor(&states)?;
            let logits = self.logits(&states)?;
            let ids: Vec<u32> = targets.iter().map(|target| target.id).collect();
            let loss = cross_entropy(&logits, &ids)?;
            sum += f64::from(loss.to_scalar::<f32>()?);
            let mut own = self.working.clone();
            own.push(states.clone());
            let mut found = Grads::default();
            Tape::off().backward(&loss, &own, &mut found)?;
            parts.push(match found.get(&states) {
                Some(grad) => grad.to_dtype(states.dtype())?,
                None => states.zeros_like()?,
            });
            grads.join(&found, &self.working)?;
        }
        Ok((sum, Tensor::cat(&parts, 0)?))
    }

    fn logits(&self, states: &Tensor) -> Result<Tensor, MlError> {
        let logits = self.model.backbone.logits(&states.unsqueeze(0)?)?;
        Ok(logits.squeeze(0)?.to_dtype(DType::F32)?)
    }

    fn told(&self, lesson: &Lesson, seen: &Seen) -> Result<Told, MlError> {
        let ends_twice = self.settings.preset == TunePreset::Published;
        let max_len = self.settings.max_len;
        lesson.told(&*self.model.backbone, seen, max_len, ends_twice)
    }

    /// Figures of conversations; nothing moves and nothing is left out.
    ///
    /// # Errors
    /// As [`Tuner::gradients`].
    pub fn figures(
        &mut self,
        lessons: &[Lesson],
        pictures: &mut Pictures<'_>,
        go_on: &mut dyn FnMut(usize) -> Result<(), Interrupted>,
    ) -> Result<TuneFigures, MlError> {
        self.model.tuned.draw(0);
        let mut heard = Heard::default();
        let (mut num_words, mut right, mut near) = (0, 0, 0);
        for (done, lesson) in lessons.iter().enumerate() {
            go_on(done)?;
            let backbone = &*self.model.backbone;
            let seen = match self.known(lesson.picture) {
                Some(seen) => seen,
                None => backbone.look_taped(&pictures(lesson.picture)?, &mut Tape::on())?,
            };
            let told = self.told(lesson, &seen)?;
            if told.targets.is_empty() {
                continue;
            }
            // A tape that nobody unwinds lets what each layer computed go as well.
            let states = backbone.whole_taped(&told.sequence, &seen, &mut Tape::on())?;
            let rows = rows_of(&states.detach(), &told)?;
            for (part, targets) in told.targets.chunks(LOGITS_AT_ONCE as usize).enumerate() {
                let start = part * LOGITS_AT_ONCE as usize;
                let logits = self
                    .logits(&rows.narrow(0, start, targets.len())?)?
                    .detach();
                let ids: Vec<u32> = targets.iter().map(|target| target.id).collect();
                heard.sum += f64::from(cross_entropy(&logits, &ids)?.to_scalar::<f32>()?);
            }
            heard.targets += told.targets.len();
            if let Some((said, meant)) = self.said_word(lesson, &told, &states)? {
                num_words += 1;
                right += usize::from(said == meant);
                near += usize::from(said.abs_diff(meant) <= 1);
            }
            self.keep(lesson.picture, seen);
        }
        let share = |count: usize| (num_words > 0).then(|| count as f64 / num_words as f64);
        Ok(TuneFigures {
            n: lessons.len(),
            loss: heard.loss(),
            num_words,
            word_accuracy: share(right),
            rough_accuracy: share(near),
        })
    }

    /// Places among the five words of the most likely one and of the one that is meant.
    fn said_word(
        &mut self,
        lesson: &Lesson,
        told: &Told,
        states: &Tensor,
    ) -> Result<Option<(usize, usize)>, MlError> {
        let (Some(word), Some(at)) = (lesson.word, told.word_at) else {
            return Ok(None);
        };
        if matches!(self.words, Words::Unasked) {
            let found = first_tokens(&*self.model.backbone, lesson)?;
            self.words = found.map_or(Words::Alike, Words::Known);
        }
        let Words::Known(tokens) = self.words else {
            return Ok(None);
        };
        let states = states.squeeze(0)?.narrow(0, at, 1)?.detach();
        let logits = self.logits(&states)?.squeeze(0)?.to_vec1::<f32>()?;
        let of = |token: &u32| logits.get(*token as usize).copied().unwrap_or(f32::MIN);
        let mut best = 0;
        for place in 1..tokens.len() {
            if of(&tokens[place]) > of(&tokens[best]) {
                best = place;
            }
        }
        Ok(Some((best, word as usize)))
    }

    /// What was seen of a picture before, where that does not change.
    fn known(&self, picture: usize) -> Option<Seen> {
        self.seen.get(picture)?.clone()
    }

    /// Keeps what was seen of a picture, unless the vision tower is trained or too much is kept already.
    fn keep(&mut self, picture: usize, seen: Seen) {
        let is_trained = seen.images.iter().any(Tensor::track_op);
        let bytes = seen
            .images
            .iter()
            .map(|image| image.elem_count() * 4)
            .sum::<usize>();
        if is_trained || self.known(picture).is_some() || self.seen_bytes + bytes > KEPT_PICTURES {
            return;
        }
        if self.seen.len() <= picture {
            self.seen.resize_with(picture + 1, || None);
        }
        self.seen_bytes += bytes;
        self.seen[picture] = Some(seen);
    }
}

/// States `(targets, hidden)` that foretell the targets, of states `(1, tokens, hidden)`.
fn rows_of(states: &Tensor, told: &Told) -> Result<Tensor, MlError> {
    let from: Vec<u32> = told
        .targets
        .iter()
        .map(|target| target.from as u32)
        .collect();
    let from = Tensor::new(from, states.device())?;
    Ok(states.squeeze(0)?.index_select(&from, 0)?)
}

/// Sum of the cross entropies of tokens `ids`, of logits `(tokens, vocabulary)`.
fn cross_entropy(logits: &Tensor, ids: &[u32]) -> Result<Tensor, MlError> {
    let ids = Tensor::new(ids, logits.device())?.unsqueeze(1)?;
    let likely = candle_nn::ops::log_softmax(logits, 1)?;
    Ok(likely.gather(&ids, 1)?.sum_all()?.neg()?)
}

/// The number by which a step's conversation draws what is left out; 0 draws nothing.
fn drawn(seed: u64, number: u64, place: usize) -> u64 {
    if number == 0 {
        return 0;
    }
    let mixed = SplitMix64::new(seed ^ number.rotate_left(24) ^ (place as u64).rotate_left(48));
    let mut mixed = mixed;
    mixed.next_bits() | 1
}
