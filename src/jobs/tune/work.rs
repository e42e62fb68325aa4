//! The job itself, on the model worker: it needs the memory that a loaded model takes.

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;
use std::time::Instant;

use crate::compute::PeakMeter;
use crate::domain::Catalog;
use crate::domain::Interrupted;
use crate::domain::ModelTag;
use crate::domain::Preset;
use crate::domain::RunStatus;
use crate::domain::TrainSettings;
use crate::domain::TuneEstimate;
use crate::domain::TuneId;
use crate::domain::TuneRun;
use crate::domain::TuneSettings;
use crate::jobs::context::EventSender;
use crate::jobs::context::JobContext;
use crate::jobs::decode;
use crate::jobs::error::JobError;
use crate::jobs::files_worker::unix_time;
use crate::jobs::home::Home;
use crate::jobs::message::Event;
use crate::jobs::message::FailedItem;
use crate::jobs::message::JobReport;
use crate::jobs::model_host::ModelHost;
use crate::jobs::model_host::TuneBase;
use crate::jobs::model_host::announce_models;
use crate::jobs::model_host::tune_base;
use crate::jobs::presets::preset_in_use;
use crate::jobs::progress::Throttle;
use crate::jobs::split;
use crate::jobs::split::Parted;
use crate::jobs::split::with_splits;
use crate::jobs::store_worker::Pinned;
use crate::jobs::store_worker::StoreHandle;
use crate::jobs::workers::WorkerOptions;
use crate::ml::MlError;
use crate::ml::tune;
use crate::ml::tune::Progress;
use crate::ml::tune::TuneData;
use crate::ml::tune::TuneEvent;
use crate::ml::tune::TuneOutcome;
use crate::ml::tune::Tuner;
use crate::ml::vlm::load_to_tune;
use crate::ml::vlm::plan_tune;
use crate::ml::vlm::weights::TuneScope;

use super::adapter;
use super::memory;
use super::runs;
use super::talks;
use super::talks::Talks;

/// How often the state is saved within an epoch: what a kill costs at most.
const SAVE_EVERY: Duration = Duration::from_mins(1);

/// What was asked for.
pub(in crate::jobs) enum TuneWish {
    /// A new run, or one of the same settings that was cut off.
    New(Box<TuneSettings>),
    /// A run that was cut off.
    Resume(TuneId),
}

/// Everything that a run needs, before the model is loaded.
struct Ready {
    settings: TuneSettings,
    catalog: Catalog,
    preset: Preset,
    talks: Talks,
    base: TuneBase,
    tag: ModelTag,
    scope: TuneScope,
}

/// Says what a fine-tuning would be.
pub(in crate::jobs) fn estimate(
    store: &StoreHandle,
    options: &WorkerOptions,
    settings: &TuneSettings,
    events: &EventSender,
) -> Result<(), JobError> {
    let (catalog, _) = store.snapshot()?;
    // As the run would find it, which cuts and keeps the splits that are lacking; an estimate changes nothing.
    let catalog = split::foreseen(catalog, &settings.aspects)?;
    let ready = ready(catalog, options, settings.clone())?;
    let plan = plan_tune(
        &ready.base.files,
        &ready.base.wish,
        &ready.scope,
        settings.max_len,
    )?;
    let num_train = ready.talks.train.len();
    events.send(Event::TuneEstimated(Box::new(TuneEstimate {
        settings: settings.clone(),
        base: ready.tag,
        num_conversations: [num_train, ready.talks.val.len()],
        steps: tune::steps_of(num_train, settings.step_size(), settings.epochs),
        num_trained: plan.num_trained(),
        form: plan.form.name().to_owned(),
        need: plan.need,
        free: plan.free,
    })));
    Ok(())
}

fn ready(
    catalog: Catalog,
    options: &WorkerOptions,
    settings: TuneSettings,
) -> Result<Ready, JobError> {
    let faults = settings.faults();
    if !faults.is_empty() {
        return Err(MlError::Input(faults.join("; ")).into());
    }
    let preset = preset_in_use(&catalog)?;
    let talks = talks::gather(&catalog, &settings, &preset);
    talks.check(&settings)?;
    let base = tune_base(
        options,
        &catalog.settings,
        settings.base.as_deref().map(Path::new),
    )?;
    let tag = base.files.card_with(base.wish.adapter.as_deref())?.tag;
    let scope = tune::scope(&settings, base.files.architecture()?);
    Ok(Ready {
        settings,
        catalog,
        preset,
        talks,
        base,
        tag,
        scope,
    })
}

/// Trains, or goes on with a run that was cut off.
pub(in crate::jobs) fn tune(
    host: &mut ModelHost,
    store: &StoreHandle,
    wish: TuneWish,
    context: &mut JobContext,
) -> Result<JobReport, JobError> {
    context.progress(0, 0, "Gathering the conversations")?;
    let options = host.options().clone();
    let home = &options.home;
    let (catalog, pinned) = store.snapshot()?;
    let (settings, known) = match wish {
        TuneWish::New(settings) => (*settings, None),
        TuneWish::Resume(id) => {
            let run = runs::find(home, &id)?;
            if !run.can_resume() {
                let words = format!("{id} is not a fine-tuning that was cut off: start a new one");
                return Err(MlError::Input(words).into());
            }
            (run.settings.clone(), Some(run))
        }
    };
    let known = match known {
        Some(run) => Some(run),
        None => free_name(home, &settings)?,
    };
    let catalog = split_all(catalog, &settings, &pinned, context)?;
    let mut ready = ready(catalog, &options, settings)?;
    let failed = ready.talks.look(&ready.catalog, context)?;
    ready.talks.check(&ready.settings)?;
    let run = begin(home, &ready, known, context)?;
    // Two models at once may not fit into memory.
    host.release();
    memory::reset_peak();
    context.progress(0, run.steps, "Loading the model")?;
    let mut work = Work {
        home,
        run,
        events: context.events().clone(),
        begun: Instant::now(),
        before: 0.0,
        meter: None,
    };
    work.before = work.run.seconds;
    let outcome = work.train(&ready, context);
    if let Some(meter) = work.meter.take() {
        meter.end();
    }
    work.end(&ready, outcome, failed, (store, &options))
}

/// A dataset without a split gets one of each aspect before anything learns from it.
fn split_all(
    mut catalog: Catalog,
    settings: &TuneSettings,
    pinned: &Pinned,
    context: &JobContext,
) -> Result<Catalog, JobError> {
    for aspect in &settings.aspects {
        let asked = (&TrainSettings::new(*aspect), Parted::AllIfUnscored);
        catalog = with_splits(catalog, asked, pinned, context)?;
    }
    Ok(catalog)
}

/// The run of these settings that was cut off, if there is one; a name that something else has is refused.
fn free_name(home: &Home, settings: &TuneSettings) -> Result<Option<TuneRun>, JobError> {
    let taken = |what: &str| {
        let words = format!(
            "there is {what} called {}: choose another name, or take that one away first",
            settings.name
        );
        Err(MlError::Input(words).into())
    };
    match runs::find(home, &TuneId(settings.name.clone())) {
        Ok(run) if run.settings == *settings && run.can_resume() => return Ok(Some(run)),
        Ok(run) if run.can_resume() => {
            return taken("a fine-tuning with other settings that was cut off");
        }
        _ => {}
    }
    match home.models_folder().join(&settings.name).exists() {
        true => taken("a model or an adapter"),
        false => Ok(None),
    }
}

/// Notes the run, so that it can be gone on with from here.
fn begin(
    home: &Home,
    ready: &Ready,
    known: Option<TuneRun>,
    context: &JobContext,
) -> Result<TuneRun, JobError> {
    let settings = &ready.settings;
    let counts = [ready.talks.train.len(), ready.talks.val.len()];
    if let Some(run) = known {
        if run.num_conversations != counts
            || run.base != ready.tag
            || run.wording != ready.preset.name
        {
            let words = format!(
                "{} learns from {} and {} conversations in the wording {} with the model {}; the project has {} and {} in \
                 the wording {}, and the model is {}: open its project and choose what it began with, or start another run",
                run.id,
                run.num_conversations[0],
                run.num_conversations[1],
                run.wording,
                run.base.name,
                counts[0],
                counts[1],
                ready.preset.name,
                ready.tag.name
            );
            return Err(MlError::Input(words).into());
        }
        return Ok(run);
    }
    let plan = plan_tune(
        &ready.base.files,
        &ready.base.wish,
        &ready.scope,
        settings.max_len,
    )?;
    let id = TuneId(settings.name.clone());
    // What is left of a run of this name that has ended is of no use to another.
    fs::remove_dir_all(runs::folder(home, &id)).ok();
    let run = TuneRun {
        id,
        settings: settings.clone(),
        base: ready.tag.clone(),
        project: ready.catalog.info.path.clone(),
        wording: ready.preset.name.clone(),
        num_conversations: counts,
        num_trained: plan.num_trained(),
        status: RunStatus::Running,
        steps_done: 0,
        steps: tune::steps_of(counts[0], settings.step_size(), settings.epochs),
        epochs: Vec::new(),
        best_epoch: None,
        adapter: None,
        estimated: Some(plan.need),
        measured_bytes: None,
        seconds: 0.0,
        unix_time: unix_time(),
    };
    runs::save(home, &run)?;
    context
        .events()
        .send(Event::TuneChanged(Box::new(run.clone())));
    Ok(run)
}

/// A run that is being worked on.
struct Work<'a> {
    home: &'a Home,
    run: TuneRun,
    events: EventSender,
    begun: Instant,
    /// Seconds of work before this time.
    before: f64,
    /// Watches the device that the model is on.
    meter: Option<PeakMeter>,
}

impl Work<'_> {
    fn folder(&self) -> PathBuf {
        runs::folder(self.home, &self.run.id)
    }

    fn train(&mut self, ready: &Ready, context: &mut JobContext) -> Result<TuneOutcome, JobError> {
        let settings = &ready.settings;
        let base = &ready.base;
        let model = load_to_tune(&base.files, &base.wish, &ready.scope, settings.max_len)?;
        let mut tuner = Tuner::new(model, settings)?;
        self.meter = Some(PeakMeter::start(tuner.device()));
        let folder = self.folder();
        let files = &ready.talks.files;
        let mut pictures = |number: usize| {
            decode::load_for_model(&files[number]).map_err(|error| {
                MlError::Vanished(format!(
                    "{error}; bring the picture back, then resume: {}",
                    files[number].display()
                ))
            })
        };
        let mut data = TuneData {
            train: &ready.talks.train,
            val: &ready.talks.val,
            pictures: &mut pictures,
            folder: &folder,
            save_every: SAVE_EVERY,
        };
        let (mut throttle, mut fault) = (Throttle::default(), None);
        let trained = tune::tune(&mut tuner, &mut data, &base.name, &mut |event| {
            self.hear(event, &mut throttle, context)
                .map_err(|error| match error {
                    JobError::Interrupted(stop) => stop,
                    error => {
                        fault = Some(error);
                        Interrupted
                    }
                })
        });
        match fault {
            Some(error) => Err(error),
            None => Ok(trained?),
        }
    }

    fn hear(
        &mut self,
        event: TuneEvent,
        throttle: &mut Throttle,
        context: &mut JobContext,
    ) -> Result<(), JobError> {
        match event {
            TuneEvent::Reading => context.check()?,
            TuneEvent::Validating(done, total) => {
                context.progress(done as u64, total as u64, "Validating")?;
            }
            TuneEvent::Step(step) => {
                if throttle.passes(Instant::now()) {
                    self.events
                        .send(Event::TuneStepped(self.run.id.clone(), step));
                }
                context.progress(step.step, step.steps, "Fine-tuning")?;
            }
            TuneEvent::Saved(progress) => self.note(&progress)?,
            TuneEvent::Epoch(progress) => {
                self.note(&progress)?;
                if let Some(epoch) = progress.epochs.last() {
                    let epoch = epoch.clone();
                    self.events
                        .send(Event::TuneEpochDone(self.run.id.clone(), epoch));
                }
            }
        }
        Ok(())
    }

    /// Writes down how far the run is, and says so.
    fn note(&mut self, progress: &Progress) -> Result<(), JobError> {
        self.run.steps_done = progress.steps;
        self.run.epochs.clone_from(&progress.epochs);
        self.run.best_epoch = progress.best_epoch;
        self.save()
    }

    fn save(&mut self) -> Result<(), JobError> {
        self.run.seconds = self.before + self.begun.elapsed().as_secs_f64();
        // The estimate is of the device that the model is on, and so is what it is held against.
        let of_device = self.meter.as_ref().and_then(PeakMeter::peak);
        let peak = of_device.or_else(memory::peak);
        self.run.measured_bytes = peak.max(self.run.measured_bytes);
        runs::save(self.home, &self.run)?;
        self.events
            .send(Event::TuneChanged(Box::new(self.run.clone())));
        Ok(())
    }

    /// What becomes of the run: an adapter among the models, a run that waits, or one that failed.
    fn end(
        &mut self,
        ready: &Ready,
        outcome: Result<TuneOutcome, JobError>,
        failed: Vec<FailedItem>,
        (store, options): (&StoreHandle, &WorkerOptions),
    ) -> Result<JobReport, JobError> {
        let outcome = match outcome {
            Ok(outcome) => outcome,
            // The run stays as its last checkpoint left it, ready to resume.
            Err(error) if can_go_on(&error) => return Err(error),
            Err(error) => {
                self.run.status = RunStatus::Failed(error.to_string());
                self.save()?;
                return Err(error);
            }
        };
        let info = &ready.catalog.info;
        adapter::place(self.home, &mut self.run, &outcome.adapter, Some(info))?;
        self.run.status = match outcome.stopped {
            None => RunStatus::Done,
            Some(_) => RunStatus::Stopped,
        };
        self.save()?;
        adapter::drop_checkpoint(self.home, &self.run);
        announce_models(store, options)?;
        Ok(adapter::report(&self.run, failed, outcome.stopped))
    }
}

/// Whether what ended the work leaves a run that can go on: somebody stopped it, in whichever way, or the cause lies outside
/// of it and can be mended.
const fn can_go_on(error: &JobError) -> bool {
    matches!(
        error,
        JobError::Interrupted(_) | JobError::File { .. } | JobError::Ml(MlError::Vanished(_))
    )
}
