//! The thread that owns the model: describing, features, scoring, and the first part of training.

use std::path::PathBuf;
use std::thread::JoinHandle;

use crossbeam_channel::Receiver;
use crossbeam_channel::Sender;

use crate::dataset;
use crate::domain::Aspect;
use crate::domain::Catalog;
use crate::domain::Operation;
use crate::domain::PredictorId;
use crate::domain::Settings;
use crate::jobs::context::JobContext;
use crate::jobs::describe;
use crate::jobs::describe::DescribeRequest;
use crate::jobs::error::JobError;
use crate::jobs::evaluate::EMBEDDED;
use crate::jobs::evaluate::descriptions_of;
use crate::jobs::features;
use crate::jobs::message::Event;
use crate::jobs::message::Job;
use crate::jobs::message::JobReport;
use crate::jobs::model_host::ModelChoice;
use crate::jobs::model_host::ModelHost;
use crate::jobs::model_host::announce_models;
use crate::jobs::pipeline::known;
use crate::jobs::prepare;
use crate::jobs::prepare::Prepared;
use crate::jobs::prepare::TrainWish;
use crate::jobs::presets;
use crate::jobs::presets::preset_in_use;
use crate::jobs::scoring;
use crate::jobs::scoring::ScoreRequest;
use crate::jobs::store_worker::Pinned;
use crate::jobs::store_worker::StoreHandle;
use crate::jobs::tune;
use crate::jobs::tune::TuneWish;
use crate::jobs::workers::Task;
use crate::jobs::workers::WorkerOptions;
use crate::jobs::workers::spawn;

/// A training job whose features are at hand, on its way to the trainer.
pub(super) struct TrainTask {
    pub(super) prepared: Prepared,
    pub(super) context: JobContext,
}

/// Starts the model worker. It ends when the sender of its tasks is dropped.
pub(super) fn start(
    tasks: Receiver<Task>,
    trainer: Sender<TrainTask>,
    store: StoreHandle,
    options: WorkerOptions,
) -> Result<JoinHandle<()>, JobError> {
    spawn("assay-model", move || {
        let mut worker = ModelWorker {
            host: ModelHost::new(options),
            store,
            trainer,
        };
        for task in tasks {
            worker.take(task);
        }
    })
}

struct ModelWorker {
    host: ModelHost,
    store: StoreHandle,
    trainer: Sender<TrainTask>,
}

impl ModelWorker {
    fn take(&mut self, task: Task) {
        let Task { job, context } = task;
        match job {
            Job::Train(settings) => self.prepare(&TrainWish::New(settings), context),
            Job::ResumeTraining(run) => self.prepare(&TrainWish::Resume(run), context),
            job => context.run(|context| self.work(job, context)),
        }
    }

    fn prepare(&mut self, wish: &TrainWish, context: JobContext) {
        let trainer = self.trainer.clone();
        context.run_or_hand_on(
            |context| prepare::prepare(&mut self.host, &self.store, wish, context),
            |context, prepared| {
                // Fails only while the program goes down, and then the run stays ready to resume.
                trainer.send(TrainTask { prepared, context }).ok();
            },
        );
    }

    fn work(&mut self, job: Job, context: &mut JobContext) -> Result<JobReport, JobError> {
        match job {
            Job::Describe {
                images,
                aspects,
                again,
            } => {
                let request = DescribeRequest {
                    images,
                    aspects,
                    again,
                };
                describe::describe(&mut self.host, &self.store, &request, context)
            }
            Job::Score {
                images,
                aspects,
                descriptions,
            } => {
                let request = ScoreRequest {
                    images,
                    aspects,
                    descriptions,
                };
                scoring::score(&mut self.host, &self.store, &request, context)
            }
            Job::Tune(settings) => {
                let wish = TuneWish::New(Box::new(settings));
                tune::tune(&mut self.host, &self.store, wish, context)
            }
            Job::ResumeTuning(run) => {
                tune::tune(&mut self.host, &self.store, TuneWish::Resume(run), context)
            }
            Job::UsePredictor { aspect, predictor } => {
                self.use_predictor(aspect, predictor, context)
            }
            Job::UseModel { folder } => self.use_model(folder),
            Job::UsePreset { preset } => self.use_preset(preset.as_deref()),
            Job::Features(request) => {
                features::features(&mut self.host, &self.store, &request, context)
            }
            _ => Err(JobError::Misplaced),
        }
    }

    /// Takes a predictor into use, then scores again what is described: cached features make that a matter of seconds.
    fn use_predictor(
        &mut self,
        aspect: Aspect,
        predictor: Option<PredictorId>,
        context: &mut JobContext,
    ) -> Result<JobReport, JobError> {
        let (catalog, pinned) = self.store.snapshot()?;
        let name = predictor_name(&catalog, aspect, predictor)?;
        let mut settings = catalog.settings.clone();
        *settings.predictor.get_mut(aspect) = predictor;
        save_settings(&pinned, settings, format!("Use {name} for {aspect}"))?;
        let tag = ModelChoice::of_aspect(self.host.options(), &catalog.settings, Some(aspect))?
            .card()?
            .tag;
        let preset = preset_in_use(&catalog)?;
        let read = descriptions_of(&catalog, predictor.unwrap_or(EMBEDDED));
        let known = known(&catalog, |_| read, &tag, &preset.name);
        let request = ScoreRequest {
            images: scoring::described_images(&catalog, &known, aspect),
            aspects: vec![aspect],
            descriptions: None,
        };
        if request.images.is_empty() {
            return Ok(JobReport {
                done: 1,
                summary: format!("{name} is in use for {aspect}"),
                ..JobReport::default()
            });
        }
        scoring::score(&mut self.host, &self.store, &request, context)
    }

    /// Takes a wording into use. What was said in the former one stays, and counts again when that one comes back.
    fn use_preset(&self, wanted: Option<&str>) -> Result<JobReport, JobError> {
        let (catalog, pinned) = self.store.snapshot()?;
        let default = dataset::default_preset().name;
        let name = match wanted {
            Some(wanted) => presets::find(&catalog, wanted)?.name,
            None => default.clone(),
        };
        let mut settings = catalog.settings;
        settings.preset = Some(name.clone()).filter(|name| *name != default);
        save_settings(&pinned, settings, format!("Use the wording {name}"))?;
        Ok(JobReport {
            done: 1,
            summary: format!("The wording {name} is in use"),
            ..JobReport::default()
        })
    }

    /// Takes a model into use. It is loaded by the first job that needs it.
    fn use_model(&mut self, folder: Option<PathBuf>) -> Result<JobReport, JobError> {
        let (catalog, pinned) = self.store.snapshot()?;
        let mut settings = catalog.settings;
        settings.model = folder.map(|folder| folder.to_string_lossy().into_owned());
        let card = ModelChoice::of(self.host.options(), &settings)?.card()?;
        let words = format!("Use the model {}", card.tag.name);
        save_settings(&pinned, settings, words)?;
        announce_models(&self.store, self.host.options())?;
        Ok(JobReport {
            done: 1,
            summary: format!("{} is in use", card.tag.name),
            ..JobReport::default()
        })
    }
}

/// How a predictor is called that is to be taken into use for an aspect.
fn predictor_name(
    catalog: &Catalog,
    aspect: Aspect,
    predictor: Option<PredictorId>,
) -> Result<String, JobError> {
    let Some(id) = predictor else {
        return Ok("the embedded predictor".to_owned());
    };
    let mut cards = catalog.predictors.iter();
    cards
        .find(|card| card.id == id && card.aspect == aspect)
        .map(|card| card.name.clone())
        .ok_or(JobError::UnknownPredictor {
            aspect,
            number: id.0,
        })
}

/// Saves changed choices as one operation of the user's, then says so.
pub(super) fn save_settings(
    pinned: &Pinned,
    settings: Settings,
    words: String,
) -> Result<(), JobError> {
    pinned.call(move |project, events| {
        project.set_settings(&settings, &Operation(words))?;
        events.send(Event::SettingsChanged(settings));
        let (undo, redo) = project.undo_state()?;
        events.send(Event::UndoChanged { undo, redo });
        Ok(())
    })
}
