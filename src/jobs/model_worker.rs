//! The thread that owns the model: describing, features, scoring, and the first part of training.

use std::path::PathBuf;
use std::thread::JoinHandle;

use crossbeam_channel::Receiver;
use crossbeam_channel::Sender;

use crate::domain::Aspect;
use crate::domain::Operation;
use crate::domain::PredictorId;
use crate::domain::Settings;
use crate::jobs::context::JobContext;
use crate::jobs::describe;
use crate::jobs::describe::DescribeRequest;
use crate::jobs::error::JobError;
use crate::jobs::message::Event;
use crate::jobs::message::Job;
use crate::jobs::message::JobReport;
use crate::jobs::model_host::ModelChoice;
use crate::jobs::model_host::ModelHost;
use crate::jobs::model_host::announce_models;
use crate::jobs::model_host::preset_in_use;
use crate::jobs::pipeline::known;
use crate::jobs::prepare;
use crate::jobs::prepare::Prepared;
use crate::jobs::prepare::TrainWish;
use crate::jobs::scoring;
use crate::jobs::scoring::ScoreRequest;
use crate::jobs::store_worker::Pinned;
use crate::jobs::store_worker::StoreHandle;
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
            Job::Score { images, aspects } => {
                let request = ScoreRequest { images, aspects };
                scoring::score(&mut self.host, &self.store, &request, context)
            }
            Job::UsePredictor { aspect, predictor } => {
                self.use_predictor(aspect, predictor, context)
            }
            Job::UseModel { folder } => self.use_model(folder),
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
        let name = predictor.map_or("the embedded predictor".to_owned(), |id| {
            let card = catalog.predictors.iter().find(|card| card.id == id);
            card.map_or_else(|| format!("predictor {}", id.0), |card| card.name.clone())
        });
        let mut settings = catalog.settings.clone();
        *settings.predictor.get_mut(aspect) = predictor;
        save_settings(&pinned, settings, format!("Use {name} for {aspect}"))?;
        let tag = ModelChoice::of(self.host.options(), &catalog.settings)?
            .card()?
            .tag;
        let preset = preset_in_use(&catalog.settings)?;
        let known = known(&catalog, &tag, &preset.name);
        let request = ScoreRequest {
            images: scoring::described_images(&known, aspect),
            aspects: vec![aspect],
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
