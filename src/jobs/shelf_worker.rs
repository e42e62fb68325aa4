//! The threads that speak with other machines and look after models: one for downloads and one for teachers, which both
//! take hours, and one for everything that is asked meanwhile.

use std::path::Path;
use std::thread::JoinHandle;

use crossbeam_channel::Receiver;

use crate::jobs::context::JobContext;
use crate::jobs::error::JobError;
use crate::jobs::fetch;
use crate::jobs::message::Event;
use crate::jobs::message::Job;
use crate::jobs::message::JobReport;
use crate::jobs::model_host::announce_models;
use crate::jobs::shelf;
use crate::jobs::store_worker::StoreHandle;
use crate::jobs::teach;
use crate::jobs::workers::Task;
use crate::jobs::workers::WorkerOptions;
use crate::jobs::workers::spawn;

/// Starts one of these threads. It ends when the sender of its tasks is dropped.
pub(super) fn start(
    name: &'static str,
    tasks: Receiver<Task>,
    store: StoreHandle,
    options: WorkerOptions,
) -> Result<JoinHandle<()>, JobError> {
    spawn(name, move || {
        let worker = ShelfWorker { store, options };
        for task in tasks {
            let Task { job, context } = task;
            if let Job::LookForKey(teacher) = job {
                let events = context.events().clone();
                context.run_quietly(|| {
                    teach::tell_key(&events, teacher);
                    Ok(())
                });
                continue;
            }
            context.run(|context| worker.work(job, context));
        }
    })
}

struct ShelfWorker {
    store: StoreHandle,
    options: WorkerOptions,
}

impl ShelfWorker {
    fn work(&self, job: Job, context: &mut JobContext) -> Result<JobReport, JobError> {
        let home = &self.options.home;
        match job {
            Job::AskModel(request) => {
                let offer = fetch::ask(&self.options, &request, context)?;
                let summary = format!(
                    "{} has {} files to fetch",
                    offer.repository, offer.num_files
                );
                context.events().send(Event::Offered(Box::new(offer)));
                Ok(JobReport::done(summary))
            }
            Job::FetchModel(request) => {
                let fetched = fetch::fetch(home, &request, self.options.seed, context);
                // Also what was cut off is to be seen, and gone on with.
                announce_models(&self.store, &self.options)?;
                fetched
            }
            Job::Teach(request) => {
                let store = self.store.held_to(context.project());
                teach::teach(&store, &request, self.options.seed, context)
            }
            Job::KeepKey { teacher, key } => {
                teach::keep_key(teacher, key.as_ref(), context).map(JobReport::done)
            }
            Job::GreetTeacher(teacher) => {
                teach::greet(teacher, self.options.seed, context).map(JobReport::done)
            }
            Job::ForgetDownload { folder } => {
                shelf::forget(&folder)?;
                announce_models(&self.store, &self.options)?;
                Ok(JobReport::done(
                    "What came of the download was taken away".to_owned(),
                ))
            }
            Job::AddModel { folder } => {
                let added = shelf::add(home, &folder)?;
                context.events().send(Event::ModelChecked {
                    folder: added.folder,
                    outcome: Ok("Added just now; its files are whole".to_owned()),
                });
                announce_models(&self.store, &self.options)?;
                Ok(JobReport::done(added.summary))
            }
            Job::CheckModel { folder } => self.check(&folder, context),
            _ => Err(JobError::Misplaced),
        }
    }

    fn check(&self, folder: &Path, context: &mut JobContext) -> Result<JobReport, JobError> {
        let outcome = match shelf::check(folder, context) {
            Ok(words) => Ok(words),
            Err(JobError::Interrupted(stop)) => return Err(stop.into()),
            Err(error) => Err(error.to_string()),
        };
        context.events().send(Event::ModelChecked {
            folder: folder.to_path_buf(),
            outcome: outcome.clone(),
        });
        if outcome.is_err() {
            announce_models(&self.store, &self.options)?;
        }
        outcome
            .map(JobReport::done)
            .map_err(|reason| JobError::NoWholeModel {
                reason,
                path: folder.to_path_buf(),
            })
    }
}
