//! The run: epochs, the choice of the best one, events, resuming and stopping.

use std::time::Instant;

use super::checkpoint;
use super::checkpoint::Progress;
use super::init::initial_weights;
use super::learner::Learner;
use super::order::batches;
use crate::domain::EpochFigures;
use crate::domain::Features;
use crate::domain::Figures;
use crate::domain::HeadSettings;
use crate::domain::Interrupted;
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
/// Share of the steps over which the learning rate rises to its peak.
const WARM_UP: f64 = 0.05;
/// What the cosine leaves of the peak learning rate at the end.
const FLOOR: f64 = 0.05;

/// One picture to learn from.
#[derive(Debug, Clone, PartialEq)]
pub struct Example {
    /// Hidden states of its conversation.
    pub features: Features,
    /// Its mean opinion score.
    pub mos: f64,
}

/// What a run learns from, and what chooses its best epoch.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TrainData {
    /// Learned from.
    pub train: Vec<Example>,
    /// Only looked at; where it is empty, the training loss chooses.
    pub val: Vec<Example>,
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
        /// Mean squared error of the epoch so far.
        loss: f64,
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
}

/// Trains a predictor, or goes on from a checkpoint of the same run.
///
/// # Errors
/// [`MlError::Interrupted`] where `on_event` asks to stop before a first epoch has ended; after that a stop answers the
/// best predictor so far. Data that nothing can be learned from, and training that diverges, are errors in words.
pub fn fit(
    data: &TrainData,
    settings: &TrainSettings,
    resume: Option<&[u8]>,
    on_event: &mut dyn FnMut(TrainEvent) -> Result<(), Interrupted>,
) -> Result<Trained, MlError> {
    let targets = Targets::of(data)?;
    let config = config_for(data, &settings.head)?;
    let fresh = Progress::start(config, settings, data);
    let mut session = match resume {
        Some(bytes) => Session::resume(data, targets, bytes, &fresh)?,
        None => Session::start(data, targets, fresh)?,
    };
    let mut stopped = false;
    while session.next_epoch() <= settings.epochs.max(1) {
        match session.epoch(on_event) {
            Ok(()) => {}
            Err(MlError::Interrupted(_)) if session.progress.best_epoch.is_some() => {
                stopped = true;
                break;
            }
            Err(error) => return Err(error),
        }
    }
    session.finish(stopped)
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

fn config_for(data: &TrainData, head: &HeadSettings) -> Result<PredictorConfig, MlError> {
    let hidden = data.train.first().map_or(0, |e| e.features.hidden);
    let mut longest = CONTEXT;
    for example in data.train.iter().chain(&data.val) {
        check(&example.features, hidden)?;
        longest = longest.max(example.features.num_tokens);
    }
    let config = PredictorConfig::of(head, hidden, longest);
    match config.problem() {
        Some(problem) => Err(MlError::Input(format!("{problem}: choose another width"))),
        None => Ok(config),
    }
}

struct Session<'a> {
    data: &'a TrainData,
    targets: Targets,
    progress: Progress,
    learner: Learner,
    best: StateDict,
}

impl<'a> Session<'a> {
    fn start(data: &'a TrainData, targets: Targets, progress: Progress) -> Result<Self, MlError> {
        let Targets { mean, variance } = targets;
        let parameters = progress.config.parameters(mean, variance.sqrt());
        let weights = initial_weights(&parameters, progress.settings.seed);
        let learner = Learner::new(&progress.config, &weights, progress.settings.weight_decay)?;
        Ok(Self {
            data,
            targets,
            progress,
            learner,
            best: weights,
        })
    }

    fn resume(
        data: &'a TrainData,
        targets: Targets,
        bytes: &[u8],
        fresh: &Progress,
    ) -> Result<Self, MlError> {
        let (progress, learner, best) = checkpoint::read(bytes, fresh)?;
        Ok(Self {
            data,
            targets,
            progress,
            learner,
            best,
        })
    }

    const fn next_epoch(&self) -> u32 {
        self.progress.epochs.len() as u32 + 1
    }

    fn epoch(
        &mut self,
        on_event: &mut dyn FnMut(TrainEvent) -> Result<(), Interrupted>,
    ) -> Result<(), MlError> {
        let start = Instant::now();
        let epoch = self.next_epoch();
        let lengths: Vec<usize> = self
            .data
            .train
            .iter()
            .map(|e| e.features.num_tokens)
            .collect();
        let Progress { settings, .. } = &self.progress;
        let batches = batches(&lengths, settings.batch_size.max(1), settings.seed, epoch);
        let (mut sum, mut count) = (0.0, 0);
        let mut last = None;
        for (step, positions) in batches.iter().enumerate() {
            let rate = self.learning_rate(batches.len());
            sum += self.step(positions, rate)? * positions.len() as f64;
            count += positions.len();
            let event = TrainEvent::Step {
                epoch,
                step: step as u32 + 1,
                steps: batches.len() as u32,
                loss: sum / f64::from(count as u32),
            };
            last = Some(event.clone());
            on_event(event)?;
        }
        // While validating, the last step is said again and again, so that a stop is heard within a batch.
        let (val, val_loss) = self.validate(|| match &last {
            Some(event) => Ok(on_event(event.clone())?),
            None => Ok(()),
        })?;
        let train_loss = sum / f64::from(count as u32);
        let figures = EpochFigures {
            epoch,
            train_loss,
            val,
            val_loss: val_loss.unwrap_or(train_loss),
            seconds: start.elapsed().as_secs_f64(),
        };
        self.close_epoch(figures, on_event)
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
        let targets: Vec<f32> = examples.map(|e| e.mos as f32).collect();
        let context = self.progress.config.context_length();
        let batch = Batch::new(&features, context)?;
        let unit = self.targets.variance;
        // What is left out follows from the seed and the step, so that a resumed run leaves out the same.
        let steps = self.learner.optimiser.steps;
        let dropout = Dropout::seeded(mixed(self.progress.settings.seed, steps));
        self.learner
            .step(&batch, &targets, unit, learning_rate, &dropout)
    }

    /// Rises in a line, then falls as a cosine over the whole run.
    fn learning_rate(&self, steps_an_epoch: usize) -> f64 {
        let total = f64::from(self.progress.settings.epochs.max(1)) * steps_an_epoch as f64;
        let done = self.learner.optimiser.steps as f64;
        let warm_up = (total * WARM_UP).max(1.0);
        let rising = ((done + 1.0) / warm_up).min(1.0);
        let along = ((done - warm_up) / (total - warm_up).max(1.0)).clamp(0.0, 1.0);
        let falling =
            FLOOR + (1.0 - FLOOR) * f64::midpoint(1.0, (along * std::f64::consts::PI).cos());
        self.progress.settings.learning_rate * rising * falling
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
        let figures = figures(&pred, &truth);
        let loss = figures.rmse.map(|rmse| rmse * rmse);
        Ok((figures, loss))
    }

    fn finish(self, stopped: bool) -> Result<Trained, MlError> {
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
