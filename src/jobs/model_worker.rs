//! The thread that owns the model: describing, features, scoring, and the first part of training.

use std::thread::JoinHandle;

use crossbeam_channel::Receiver;
use crossbeam_channel::Sender;

use crate::compute::give_back_pages;
use crate::jobs::choose;
use crate::jobs::context::JobContext;
use crate::jobs::describe;
use crate::jobs::describe::DescribeRequest;
use crate::jobs::error::JobError;
use crate::jobs::features;
use crate::jobs::message::Job;
use crate::jobs::message::JobReport;
use crate::jobs::model_host::ModelHost;
use crate::jobs::prepare;
use crate::jobs::prepare::Prepared;
use crate::jobs::prepare::TrainWish;
use crate::jobs::scoring;
use crate::jobs::scoring::ScoreRequest;
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
            give_back_pages();
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
        let store = self.store.held_to(context.project());
        context.run_or_hand_on(
            |context| prepare::prepare(&mut self.host, &store, wish, context),
            |mut context, prepared| {
                // Another training may be going on: what was told of the preparation is over. A job that was cancelled
                // meanwhile ends at the trainer.
                context.progress(0, 0, "Waiting to train").ok();
                // Fails only while the program goes down, and then the run stays ready to resume.
                trainer.send(TrainTask { prepared, context }).ok();
            },
        );
    }

    fn work(&mut self, job: Job, context: &mut JobContext) -> Result<JobReport, JobError> {
        let store = self.store.held_to(context.project());
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
                describe::describe(&mut self.host, &store, &request, context)
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
                scoring::score(&mut self.host, &store, &request, context)
            }
            Job::Tune(settings) => {
                let wish = TuneWish::New(Box::new(settings));
                tune::tune(&mut self.host, &store, wish, context)
            }
            Job::ResumeTuning(run) => {
                tune::tune(&mut self.host, &store, TuneWish::Resume(run), context)
            }
            // Here, so that no fine-tuning of this program works on it meanwhile; whichever project is open.
            Job::TakeTuning(run) => {
                tune::take(&self.store, self.host.options(), &run, context.events())
            }
            Job::UsePredictor { aspect, predictor } => {
                choose::use_predictor(&mut self.host, &store, (aspect, predictor), context)
            }
            Job::AddPredictor { path, aspect } => {
                choose::add_predictor(&mut self.host, &store, (&path, aspect), context)
            }
            Job::UseModel { folder } => choose::use_model(&self.host, &store, folder),
            Job::UseAdapter { aspect, adapter } => {
                choose::use_adapter(&self.host, &store, aspect, adapter.as_deref())
            }
            Job::UsePreset { preset } => choose::use_preset(&store, preset.as_deref()),
            Job::Features(request) => features::features(&mut self.host, &store, &request, context),
            _ => Err(JobError::Misplaced),
        }
    }
}
