//! A whole run: epochs of steps, the validation part after each, checkpoints, and the best epoch's adapter.

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;
use std::time::Instant;

use rand::SeedableRng as _;
use rand::seq::SliceRandom as _;
use rand_chacha::ChaCha8Rng;

use super::checkpoint;
use super::checkpoint::Progress;
use super::lesson::Lesson;
use super::peft::write_adapter;
use super::schedule::learning_rate;
use super::tuner::Pictures;
use super::tuner::Tuner;
use crate::domain::Interrupted;
use crate::domain::TuneEpoch;
use crate::domain::TuneStep;
use crate::ml::MlError;

/// What a run learns from, and where it keeps its state.
pub struct TuneData<'a> {
    /// Conversations to learn.
    pub train: &'a [Lesson],
    /// Conversations that choose the epoch.
    pub val: &'a [Lesson],
    /// Where pictures come from.
    pub pictures: &'a mut Pictures<'a>,
    /// The run's folder, which is there.
    pub folder: &'a Path,
    /// How often the state is saved within an epoch.
    pub save_every: Duration,
}

/// What happens on the way.
#[derive(Debug, Clone, PartialEq)]
pub enum TuneEvent {
    /// A conversation of a step is about to be read: a stop now leaves no trace of the step.
    Reading,
    /// A step was taken.
    Step(TuneStep),
    /// A conversation of the validation part is about to be read: how many were, and how many there are.
    Validating(usize, usize),
    /// The state was saved: a run that is cut off goes on from here.
    Saved(Progress),
    /// An epoch ended, and its figures are saved.
    Epoch(Progress),
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq)]
pub struct TuneOutcome {
    /// How far it came.
    pub progress: Progress,
    /// The best epoch's adapter.
    pub adapter: PathBuf,
    /// Whether it ended before its last epoch, and why where nobody stopped it.
    pub stopped: Option<String>,
}

/// What hears of a run, and may stop it.
pub type OnEvent<'a> = dyn FnMut(TuneEvent) -> Result<(), Interrupted> + 'a;

/// Trains, or goes on where a checkpoint in the folder was saved.
///
/// # Errors
/// [`MlError::Interrupted`] where `on_event` asks to stop: the state is saved by then. [`best`] answers what there is of it.
pub fn tune(
    tuner: &mut Tuner,
    data: &mut TuneData<'_>,
    base: &str,
    on_event: &mut OnEvent<'_>,
) -> Result<TuneOutcome, MlError> {
    if data.train.is_empty() || data.val.is_empty() {
        let text = "there must be conversations to learn from and some to validate with";
        return Err(MlError::Input(text.to_owned()));
    }
    let hash = tuner.model.card.tag.sha256.clone();
    let counts = [data.train.len(), data.val.len()];
    let fresh = Progress::start(&tuner.settings, &hash, counts);
    let progress = checkpoint::read(data.folder, &fresh, tuner)?.unwrap_or(fresh);
    let mut run = Run {
        tuner,
        progress,
        base,
        saved: Instant::now(),
    };
    let outcome = run.all(data, on_event);
    let stopped = match outcome {
        Ok(()) => None,
        Err(MlError::Interrupted(stop)) => {
            // A step that was not whole left no trace, so this is where the last one ended.
            checkpoint::write(data.folder, &run.progress, run.tuner)?;
            on_event(TuneEvent::Saved(run.progress.clone())).ok();
            return Err(stop.into());
        }
        Err(MlError::Diverged) if run.progress.best_epoch.is_some() => Some(
            "training diverged: the best epoch before was kept; a lower learning rate helps"
                .to_owned(),
        ),
        Err(error) => return Err(error),
    };
    let progress = run.progress;
    let adapter = best(data.folder, &progress).ok_or_else(|| {
        MlError::Weights("no epoch ended, so nothing was learned that could be kept".to_owned())
    })?;
    Ok(TuneOutcome {
        progress,
        adapter,
        stopped,
    })
}

/// The adapter of the best epoch so far, where one has ended.
pub fn best(folder: &Path, progress: &Progress) -> Option<PathBuf> {
    let folder = folder.join(best_name(progress.best_epoch?));
    folder.is_dir().then_some(folder)
}

fn best_name(epoch: u32) -> String {
    format!("best-{epoch}")
}

/// Steps of a whole run.
pub fn steps_of(num_lessons: usize, step_size: usize, epochs: u32) -> u64 {
    (num_lessons.div_ceil(step_size.max(1)) as u64) * u64::from(epochs)
}

/// The order of an epoch's conversations.
fn order(count: usize, seed: u64, epoch: u32) -> Vec<usize> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(u64::from(epoch) + 1);
    let mut order: Vec<usize> = (0..count).collect();
    order.shuffle(&mut random);
    order
}

struct Run<'a> {
    tuner: &'a mut Tuner,
    progress: Progress,
    base: &'a str,
    saved: Instant,
}

impl Run<'_> {
    fn all(&mut self, data: &mut TuneData<'_>, on_event: &mut OnEvent<'_>) -> Result<(), MlError> {
        if self.progress.epochs.is_empty() {
            self.measure(data, None, on_event)?;
        }
        let epochs = self.tuner.settings.epochs;
        loop {
            let epoch = self.progress.epochs.len() as u32;
            if epoch > epochs {
                return Ok(());
            }
            self.epoch(epoch, data, on_event)?;
        }
    }

    fn epoch(
        &mut self,
        epoch: u32,
        data: &mut TuneData<'_>,
        on_event: &mut OnEvent<'_>,
    ) -> Result<(), MlError> {
        let settings = self.tuner.settings.clone();
        let size = settings.step_size();
        let order = order(data.train.len(), settings.seed, epoch);
        let steps = steps_of(data.train.len(), size, settings.epochs);
        let an_epoch = order.len().div_ceil(size);
        let mut pace = Pace::default();
        let before = self.progress.seconds;
        let begun = Instant::now();
        let done = self.progress.steps - u64::from(epoch - 1) * an_epoch as u64;
        for batch in order.chunks(size).skip(done as usize) {
            let lessons: Vec<&Lesson> = batch.iter().map(|at| &data.train[*at]).collect();
            let rate = learning_rate(&settings, self.progress.steps, steps);
            let mut go_on = || on_event(TuneEvent::Reading);
            let heard = self.tuner.step(&lessons, rate, data.pictures, &mut go_on)?;
            self.progress.steps = self.tuner.optimiser.steps();
            self.progress.sum = (f64::from_bits(self.progress.sum) + heard.sum).to_bits();
            self.progress.targets += heard.targets as u64;
            self.progress.seconds = before + begun.elapsed().as_secs_f64();
            let left = steps - self.progress.steps;
            let (tokens_per_second, seconds_left) = pace.note(heard.tokens, left);
            on_event(TuneEvent::Step(TuneStep {
                step: self.progress.steps,
                steps,
                epoch,
                loss: heard.loss(),
                learning_rate: rate,
                grad_norm: heard.grad_norm,
                tokens_per_second,
                seconds_left,
            }))?;
            if self.saved.elapsed() >= data.save_every {
                self.save(data.folder)?;
                on_event(TuneEvent::Saved(self.progress.clone()))?;
            }
        }
        let mean = f64::from_bits(self.progress.sum) / self.progress.targets.max(1) as f64;
        self.measure(data, Some(mean), on_event)
    }

    /// Reads the validation part, keeps the adapter where it is the best so far, and saves the state.
    fn measure(
        &mut self,
        data: &mut TuneData<'_>,
        train_loss: Option<f64>,
        on_event: &mut OnEvent<'_>,
    ) -> Result<(), MlError> {
        let begun = Instant::now();
        let total = data.val.len();
        let mut go_on = |done| on_event(TuneEvent::Validating(done, total));
        let val = self.tuner.figures(data.val, data.pictures, &mut go_on)?;
        let epoch = self.progress.epochs.len() as u32;
        let former = self.progress.best_epoch;
        // The base itself, epoch 0, is there to be compared with: whoever trains wants something trained.
        let best_loss = f64::from_bits(self.progress.best_loss);
        let is_best = epoch > 0 && (former.is_none() || val.loss < best_loss);
        if is_best {
            self.progress.best_epoch = Some(epoch);
            self.progress.best_loss = val.loss.to_bits();
            write_adapter(self.tuner, self.base, &data.folder.join(best_name(epoch)))?;
        }
        self.progress.epochs.push(TuneEpoch {
            epoch,
            train_loss,
            val,
            seconds: self.progress.seconds + begun.elapsed().as_secs_f64(),
        });
        (
            self.progress.sum,
            self.progress.targets,
            self.progress.seconds,
        ) = (0, 0, 0.0);
        self.save(data.folder)?;
        if let Some(former) = former.filter(|_| is_best) {
            fs::remove_dir_all(data.folder.join(best_name(former))).ok();
        }
        Ok(on_event(TuneEvent::Epoch(self.progress.clone()))?)
    }

    fn save(&mut self, folder: &Path) -> Result<(), MlError> {
        checkpoint::write(folder, &self.progress, self.tuner)?;
        self.saved = Instant::now();
        Ok(())
    }
}

/// Tokens and steps a second over the last steps.
#[derive(Default)]
struct Pace {
    last: Option<Instant>,
    /// Tokens and seconds of a step, late ones counting more.
    step: Option<[f64; 2]>,
}

impl Pace {
    fn note(&mut self, tokens: usize, steps_left: u64) -> (Option<f64>, Option<f64>) {
        let now = Instant::now();
        if let Some(last) = self.last.replace(now) {
            let new = [tokens as f64, (now - last).as_secs_f64()];
            self.step = Some(match self.step {
                Some(old) => [0, 1].map(|at| 0.9 * old[at] + 0.1 * new[at]),
                None => new,
            });
        }
        let Some([tokens, seconds]) = self.step.filter(|step| step[1] > 0.0) else {
            return (None, None);
        };
        (Some(tokens / seconds), Some(seconds * steps_left as f64))
    }
}
