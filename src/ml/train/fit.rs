//! The run: epochs, the choice of the best one, events, resuming and stopping.

use std::time::Duration;
use std::time::Instant;

use super::FullProjection;
use super::LmHead;
use super::checkpoint;
use super::checkpoint::Progress;
use super::checkpoint::Within;
use super::first_product;
use super::init::initial_weights;
use super::learner::Goal;
use super::learner::Learner;
use super::learner::Objective;
use super::learner::PROJECTION;
use super::loss_and_gradient;
use super::order::batches;
use super::schedule::learning_rate;
use crate::compute::scratch;
use crate::domain::EpochFigures;
use crate::domain::Features;
use crate::domain::Figures;
use crate::domain::HeadInput;
use crate::domain::Interrupted;
use crate::domain::Loss;
use crate::domain::Projection;
use crate::domain::TrainSettings;
use crate::ml::MlError;
use crate::ml::eval::figures;
use crate::ml::heads::Dropout;
use crate::ml::network::Batch;
use crate::ml::predictor::Predictor;
use crate::ml::predictor::PredictorConfig;
use crate::ml::predictor::check;
use crate::ml::predictor::run;
use crate::ml::state_dict::StateDict;
use crate::stats::SplitMix64;

/// Sequence limit of the published pipeline for AGIQA-3K; longer features raise it.
const CONTEXT: usize = 512;
/// Work that a crash may lose: an epoch that takes longer is saved in between.
const SAVE_EVERY: Duration = Duration::from_secs(30);

/// One picture to learn from.
#[derive(Debug, Clone, PartialEq)]
pub struct Example {
    /// Hidden states of its conversation.
    pub features: Features,
    /// Its mean opinion score.
    pub mos: f64,
}

/// What a run learns from, and what chooses its best epoch.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainData {
    /// Learned from.
    pub train: Vec<Example>,
    /// Only looked at; where it is empty, the training loss chooses.
    pub val: Vec<Example>,
    /// Points of the scale that are one point of 0-5, for which the published losses are meant.
    pub unit: f64,
    /// The model's map to logits, for a head that reads them.
    pub lm_head: Option<LmHead>,
}

impl Default for TrainData {
    fn default() -> Self {
        Self {
            train: Vec::new(),
            val: Vec::new(),
            unit: 1.0,
            lm_head: None,
        }
    }
}

/// What a run says while it goes on.
#[derive(Debug, Clone, PartialEq)]
pub enum TrainEvent {
    /// A step was taken.
    Step {
        /// Epoch, counted from 1.
        epoch: u32,
        /// Step within the epoch, counted from 1.
        step: u32,
        /// Steps an epoch.
        steps: u32,
        /// Mean loss of the epoch so far.
        loss: f64,
    },
    /// A long epoch has come so far.
    Saved {
        /// Everything that a resumed run needs.
        checkpoint: Vec<u8>,
    },
    /// An epoch ended.
    Epoch {
        /// Its figures.
        figures: EpochFigures,
        /// Whether it is the best so far.
        is_best: bool,
        /// Everything that a resumed run needs.
        checkpoint: Vec<u8>,
    },
}

/// What came out of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Trained {
    /// The best epoch's predictor, as [`Predictor::to_bytes`] writes it.
    pub weights: Vec<u8>,
    /// Its dimensions.
    pub config: PredictorConfig,
    /// The epoch whose weights these are.
    pub best_epoch: u32,
    /// The curve.
    pub epochs: Vec<EpochFigures>,
    /// Whether it was stopped before its last epoch.
    pub stopped: bool,
    /// Why it ended before its last epoch, if nobody stopped it.
    pub note: Option<String>,
}

/// Trains a predictor, or goes on from a checkpoint of the same run.
///
/// # Errors
/// [`MlError::Interrupted`] where `on_event` asks to stop before a first epoch has ended; after that a stop answers the
/// best predictor so far, and so does training that diverges. Data that nothing can be learned from is an error in words.
pub fn fit(
    data: &TrainData,
    settings: &TrainSettings,
    resume: Option<&[u8]>,
    on_event: &mut dyn FnMut(TrainEvent) -> Result<(), Interrupted>,
) -> Result<Trained, MlError> {
    let trained = fit_saving(SAVE_EVERY, data, settings, resume, on_event);
    scratch::release();
    trained
}

/// The same, saving within an epoch after so much time.
pub(super) fn fit_saving(
    save_every: Duration,
    data: &TrainData,
    settings: &TrainSettings,
    resume: Option<&[u8]>,
    on_event: &mut dyn FnMut(TrainEvent) -> Result<(), Interrupted>,
) -> Result<Trained, MlError> {
    let targets = Targets::of(data)?;
    let config = config_for(data, settings)?;
    let fresh = Progress::start(config, settings, data);
    let mut session = match resume {
        Some(bytes) => Session::resume(data, targets, bytes, &fresh)?,
        None => Session::start(data, targets, fresh)?,
    };
    session.save_every = save_every;
    let (mut stopped, mut note) = (false, None);
    while !session.is_over() {
        match session.epoch(on_event) {
            Ok(()) => {}
            Err(MlError::Interrupted(_)) if session.progress.best_epoch.is_some() => {
                stopped = true;
                break;
            }
            Err(MlError::Diverged) if session.progress.best_epoch.is_some() => {
                stopped = true;
                let epoch = session.next_epoch();
                note = Some(format!(
                    "Training diverged in epoch {epoch}: the best epoch before it was kept; a lower learning rate helps"
                ));
                break;
            }
            Err(error) => return Err(error),
        }
    }
    session.finish(stopped, note)
}

/// Mean and variance of the scores to learn.
#[derive(Debug, Clone, Copy)]
struct Targets {
    mean: f64,
    variance: f64,
}

impl Targets {
    fn of(data: &TrainData) -> Result<Self, MlError> {
        let n = data.train.len() as f64;
        if data.train.len() < 2 {
            let why = format!(
                "training needs at least 2 images with a score, there are {}",
                data.train.len()
            );
            return Err(MlError::Input(why));
        }
        let mut all = data.train.iter().chain(&data.val);
        if all.any(|example| !example.mos.is_finite()) {
            let why = "a score to learn from is not a finite number";
            return Err(MlError::Input(why.to_owned()));
        }
        let mean = data.train.iter().map(|e| e.mos).sum::<f64>() / n;
        let square: f64 = data.train.iter().map(|e| (e.mos - mean).powi(2)).sum();
        // Equal scores teach a constant; a variance of 0 must not blow the gradient up.
        let variance = if square > 0.0 { square / n } else { 1.0 };
        Ok(Self { mean, variance })
    }
}

fn config_for(data: &TrainData, settings: &TrainSettings) -> Result<PredictorConfig, MlError> {
    let hidden = data.train.first().map_or(0, |e| e.features.hidden);
    let mut longest = CONTEXT;
    for example in data.train.iter().chain(&data.val) {
        check(&example.features, hidden)?;
        longest = longest.max(example.features.num_tokens);
    }
    if settings.head.input == HeadInput::Logits {
        lm_head(data, hidden)?;
    }
    let config = PredictorConfig::of(&settings.head, hidden, longest);
    match config.problem() {
        Some(problem) => Err(MlError::Input(format!("{problem}: choose another width"))),
        None => Ok(config),
    }
}

/// The model's map to logits, which must fit its hidden states.
fn lm_head(data: &TrainData, hidden: usize) -> Result<&LmHead, MlError> {
    let why = match &data.lm_head {
        Some(lm_head) if lm_head.hidden() == hidden => return Ok(lm_head),
        Some(_) => "the model's lm_head has another width than its hidden states",
        None => "this model hands out no lm_head",
    };
    let why = format!("{why}: choose hidden states as the head's input");
    Err(MlError::Input(why))
}

struct Session<'a> {
    data: &'a TrainData,
    targets: Targets,
    progress: Progress,
    learner: Learner,
    best: StateDict,
    save_every: Duration,
}

/// The projection of logits, where all of it is trained.
fn full_projection(data: &TrainData, progress: &Progress) -> Option<FullProjection> {
    let head = &progress.settings.head;
    let is_full = head.input == HeadInput::Logits && head.projection == Projection::Full;
    let lm_head = data.lm_head.as_ref().filter(|_| is_full)?;
    let seed = progress.settings.seed;
    Some(FullProjection::new(
        lm_head.clone(),
        progress.config.head.dim(),
        seed,
    ))
}

impl<'a> Session<'a> {
    fn start(data: &'a TrainData, targets: Targets, progress: Progress) -> Result<Self, MlError> {
        let Targets { mean, variance } = targets;
        let Progress {
            config, settings, ..
        } = &progress;
        let parameters = config.parameters(mean, variance.sqrt());
        let mut weights = initial_weights(&parameters, settings.seed);
        let full = full_projection(data, &progress);
        if settings.head.input == HeadInput::Logits {
            let lm_head = lm_head(data, config.hidden_in)?;
            let product = match &full {
                Some(full) => full.product(),
                None => first_product(lm_head, config.head.dim(), settings.seed),
            };
            weights.insert(PROJECTION, &[config.head.dim(), config.hidden_in], product);
        }
        let learner = Learner::new(config, &weights, settings, full)?;
        Ok(Self {
            data,
            targets,
            progress,
            learner,
            best: weights,
            save_every: SAVE_EVERY,
        })
    }

    fn resume(
        data: &'a TrainData,
        targets: Targets,
        bytes: &[u8],
        fresh: &Progress,
    ) -> Result<Self, MlError> {
        let full = full_projection(data, fresh);
        let (progress, learner, best) = checkpoint::read(bytes, fresh, full)?;
        Ok(Self {
            data,
            targets,
            progress,
            learner,
            best,
            save_every: SAVE_EVERY,
        })
    }

    /// All epochs are done, or the last ones brought nothing better.
    fn is_over(&self) -> bool {
        let Progress {
            settings,
            epochs,
            best_epoch,
            ..
        } = &self.progress;
        let waited = epochs.len() as u32 - best_epoch.unwrap_or(0).min(epochs.len() as u32);
        let is_patient = settings.patience.is_none_or(|patience| waited < patience);
        epochs.len() as u32 >= settings.epochs.max(1) || !is_patient
    }

    const fn next_epoch(&self) -> u32 {
        self.progress.epochs.len() as u32 + 1
    }

    fn epoch(
        &mut self,
        on_event: &mut dyn FnMut(TrainEvent) -> Result<(), Interrupted>,
    ) -> Result<(), MlError> {
        let start = Instant::now();
        let spent = self.progress.within.seconds;
        let epoch = self.next_epoch();
        let batches = self.batches(epoch);
        let (mut last, mut saved) = (None, Instant::now());
        for step in self.progress.within.steps..batches.len() {
            let positions = &batches[step];
            let rate = learning_rate(
                &self.progress.settings,
                self.learner.optimiser.steps,
                batches.len(),
            );
            let loss = self.step(positions, rate)?;
            let within = &mut self.progress.within;
            within.steps = step + 1;
            let sum = f64::from_bits(within.sum) + loss * positions.len() as f64;
            within.sum = sum.to_bits();
            within.count += positions.len();
            within.seconds = spent + start.elapsed().as_secs_f64();
            let event = TrainEvent::Step {
                epoch,
                step: step as u32 + 1,
                steps: batches.len() as u32,
                loss: sum / within.count as f64,
            };
            last = Some(event.clone());
            on_event(event)?;
            if saved.elapsed() >= self.save_every && step + 1 < batches.len() {
                self.save(on_event)?;
                saved = Instant::now();
            }
        }
        // While validating, the last step is said again and again, so that a stop is heard within a batch.
        self.learner.refresh()?;
        let (val, val_loss) = self.validate(|| match &last {
            Some(event) => Ok(on_event(event.clone())?),
            None => Ok(()),
        })?;
        let Within { sum, count, .. } = self.progress.within;
        let train_loss = f64::from_bits(sum) / count as f64;
        let figures = EpochFigures {
            epoch,
            train_loss,
            val,
            val_loss: val_loss.unwrap_or(train_loss),
            seconds: spent + start.elapsed().as_secs_f64(),
        };
        self.close_epoch(figures, on_event)
    }

    fn batches(&self, epoch: u32) -> Vec<Vec<usize>> {
        let train = self.data.train.iter();
        let lengths: Vec<usize> = train.map(|e| e.features.num_tokens).collect();
        let settings = &self.progress.settings;
        let least = if settings.loss.is_of_pairs() { 2 } else { 1 };
        let sizes = (settings.batch_size.max(1), least);
        batches(&lengths, sizes, settings.seed, epoch)
    }

    fn save(
        &mut self,
        on_event: &mut dyn FnMut(TrainEvent) -> Result<(), Interrupted>,
    ) -> Result<(), MlError> {
        self.progress.steps = self.learner.optimiser.steps;
        let checkpoint = checkpoint::write(&self.progress, &self.learner, &self.best)?;
        on_event(TrainEvent::Saved { checkpoint })?;
        Ok(())
    }

    fn close_epoch(
        &mut self,
        figures: EpochFigures,
        on_event: &mut dyn FnMut(TrainEvent) -> Result<(), Interrupted>,
    ) -> Result<(), MlError> {
        let former = self.progress.best_epoch;
        let former = former.and_then(|best| self.progress.epochs.get(best as usize - 1));
        let is_best = former.is_none_or(|former| is_better(&figures, former));
        if is_best {
            self.progress.best_epoch = Some(figures.epoch);
            self.best = self.learner.weights()?;
        }
        self.progress.steps = self.learner.optimiser.steps;
        self.progress.epochs.push(figures.clone());
        self.progress.within = Within::default();
        let checkpoint = checkpoint::write(&self.progress, &self.learner, &self.best)?;
        on_event(TrainEvent::Epoch {
            figures,
            is_best,
            checkpoint,
        })?;
        Ok(())
    }

    fn step(&mut self, positions: &[usize], learning_rate: f64) -> Result<f64, MlError> {
        let examples = positions.iter().map(|&at| &self.data.train[at]);
        let features: Vec<&Features> = examples.clone().map(|e| &e.features).collect();
        let truth: Vec<f64> = examples.map(|e| e.mos).collect();
        if let Some(problem) = features.iter().find_map(|f| f.values.problem()) {
            return Err(MlError::Vanished(problem));
        }
        let batch = Batch::new(&features, self.progress.config.context_length())?;
        // What is left out follows from the seed and the step, so that a resumed run leaves out the same.
        let steps = self.learner.optimiser.steps;
        let dropout = Dropout::seeded(mixed(self.progress.settings.seed, steps));
        let goal = Goal {
            truth: &truth,
            objective: self.objective(),
            dropout: &dropout,
        };
        self.learner.step(&batch, &goal, learning_rate)
    }

    fn objective(&self) -> Objective {
        let loss = self.progress.settings.loss;
        Objective {
            loss,
            unit: self.data.unit,
            factor: match loss {
                Loss::Mse => 1.0 / self.targets.variance,
                _ => 1.0 / self.targets.variance.sqrt(),
            },
        }
    }

    fn validate(
        &self,
        alive: impl FnMut() -> Result<(), MlError>,
    ) -> Result<(Figures, Option<f64>), MlError> {
        if self.data.val.is_empty() {
            let reason = Some("no image was set aside for validation".to_owned());
            let none = Figures {
                reason,
                ..Figures::default()
            };
            return Ok((none, None));
        }
        let features: Vec<&Features> = self.data.val.iter().map(|e| &e.features).collect();
        let truth: Vec<f64> = self.data.val.iter().map(|e| e.mos).collect();
        let frozen = self.learner.frozen();
        let pred = run(frozen, &self.progress.config, &features, alive)?;
        let loss = loss_and_gradient(self.progress.settings.loss, &pred, &truth, self.data.unit).0;
        Ok((figures(&pred, &truth), Some(loss)))
    }

    fn finish(self, stopped: bool, note: Option<String>) -> Result<Trained, MlError> {
        let Progress {
            config,
            epochs,
            best_epoch,
            ..
        } = self.progress;
        let predictor = Predictor::new(config.clone(), self.best)?;
        Ok(Trained {
            weights: predictor.to_bytes()?,
            config,
            best_epoch: best_epoch.unwrap_or(0),
            epochs,
            stopped,
            note,
        })
    }
}

/// A seed of its own for every step.
fn mixed(seed: u64, step: u64) -> u64 {
    SplitMix64::new(seed ^ step.wrapping_mul(0x9e37_79b9_7f4a_7c15)).next_bits()
}

/// By rank correlation on the validation part; a defined one beats an undefined one, ties go to the smaller loss.
fn is_better(new: &EpochFigures, former: &EpochFigures) -> bool {
    let rank = |figures: &EpochFigures| figures.val.srcc.unwrap_or(f64::NEG_INFINITY);
    match rank(new).total_cmp(&rank(former)) {
        std::cmp::Ordering::Greater => true,
        std::cmp::Ordering::Equal => new.val_loss < former.val_loss,
        std::cmp::Ordering::Less => false,
    }
}
