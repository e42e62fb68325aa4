//! The threads, their queues, and the one handle on them.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::thread;
use std::thread::JoinHandle;

use crossbeam_channel::Receiver;
use crossbeam_channel::Sender;
use crossbeam_channel::bounded;
use crossbeam_channel::never;

use crate::jobs::context::EventSender;
use crate::jobs::context::JobContext;
use crate::jobs::context::Register;
use crate::jobs::decode::Decoders;
use crate::jobs::dispatch;
use crate::jobs::dispatch::Place;
use crate::jobs::error::JobError;
use crate::jobs::files_worker;
use crate::jobs::home::Home;
use crate::jobs::latest::Latest;
use crate::jobs::latest::latest;
use crate::jobs::message::Control;
use crate::jobs::message::Event;
use crate::jobs::message::Job;
use crate::jobs::message::JobId;
use crate::jobs::message::ResultsRequest;
use crate::jobs::message::Wish;
use crate::jobs::model_worker;
use crate::jobs::results;
use crate::jobs::shelf_worker;
use crate::jobs::store_jobs;
use crate::jobs::store_worker;
use crate::jobs::store_worker::StoreHandle;
use crate::jobs::trainer;
use crate::ml::vlm::weights::Form;

/// Called after every event: the window asks for a frame in it.
pub type Waker = Arc<dyn Fn() + Send + Sync>;

/// Jobs that may wait before a worker; nobody piles up more by hand.
const MAX_WAITING_JOBS: usize = 256;

/// Trainings that may wait with their features in memory.
const MAX_WAITING_TRAININGS: usize = 4;

/// Events that may wait for the listener before workers wait for it.
const MAX_WAITING_EVENTS: usize = 1024;

/// What the workers need to know at the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerOptions {
    /// Where the program keeps its own data.
    pub home: Home,
    /// Device word: `auto`, `cpu`, `cuda:N` or `metal`.
    pub device: String,
    /// Model folder; `None` means the project's choice, or else the embedded model.
    pub model: Option<PathBuf>,
    /// Where the project of an opened dataset goes; `None` means the program's data folder.
    pub project: Option<PathBuf>,
    /// Form of the model's weights; the best that fits if not given.
    pub dtype: Option<Form>,
    /// An adapter folder that is merged into the model.
    pub adapter: Option<PathBuf>,
    /// Seed of everything random.
    pub seed: u64,
    /// Whether the project that is opened is noted, to be opened at the next start.
    pub remember: bool,
}

impl WorkerOptions {
    /// The choices of somebody who chose nothing.
    pub fn new(home: Home) -> Self {
        Self {
            home,
            device: "auto".to_owned(),
            model: None,
            dtype: None,
            adapter: None,
            project: None,
            seed: 42,
            remember: false,
        }
    }
}

/// A job on its way to a worker.
pub(super) struct Task {
    pub(super) job: Job,
    pub(super) context: JobContext,
}

/// The handle on all workers. Dropping it cancels what runs and waits until every thread has ended.
pub struct Workers {
    tasks: Option<Sender<Task>>,
    decoders: Option<Decoders>,
    results: Option<Latest<ResultsRequest>>,
    events: Receiver<Event>,
    sender: EventSender,
    register: Register,
    next_job: AtomicU64,
    threads: Vec<JoinHandle<()>>,
}

impl Workers {
    /// Starts the threads. A project is opened by the first [`Job::Open`] or [`Job::OpenDemo`].
    pub fn start(options: WorkerOptions, waker: Waker) -> Result<Self, JobError> {
        let (sender, events) = bounded(MAX_WAITING_EVENTS);
        let sender = EventSender::new(sender, waker);
        let (store, store_thread) = store_worker::start(sender.clone())?;
        let (decoders, decoder_threads) = Decoders::start(&store, &sender)?;
        let mut threads = vec![store_thread];
        threads.extend(decoder_threads);
        let (results, wanted_results) = latest();
        threads.push(results::start(
            wanted_results,
            store.clone(),
            sender.clone(),
        )?);

        let (files, files_tasks) = bounded(MAX_WAITING_JOBS);
        let (model, model_tasks) = bounded(MAX_WAITING_JOBS);
        let (training, train_tasks) = bounded(MAX_WAITING_TRAININGS);
        let (downloads, download_tasks) = bounded(MAX_WAITING_JOBS);
        let (shelf, shelf_tasks) = bounded(MAX_WAITING_JOBS);
        let (teacher, teacher_tasks) = bounded(MAX_WAITING_JOBS);
        let files_thread = files_worker::start(files_tasks, store.clone(), options.clone())?;
        for (name, tasks) in [
            ("assay-download", download_tasks),
            ("assay-shelf", shelf_tasks),
            ("assay-teacher", teacher_tasks),
        ] {
            threads.push(shelf_worker::start(
                name,
                tasks,
                store.clone(),
                options.clone(),
            )?);
        }
        let model_thread = model_worker::start(model_tasks, training, store.clone(), options)?;
        threads.extend([files_thread, model_thread, trainer::start(train_tasks)?]);

        let (tasks, waiting) = intake();
        let desks = Desks {
            store,
            files,
            model,
            downloads,
            shelf,
            teacher,
        };
        threads.push(spawn("assay-dispatch", move || {
            for task in waiting {
                desks.hand_out(task);
            }
        })?);
        Ok(Self {
            tasks: Some(tasks),
            decoders: Some(decoders),
            results: Some(results),
            events,
            sender,
            register: Register::default(),
            next_job: AtomicU64::new(1),
            threads,
        })
    }

    /// Hands a job in; it waits its turn. What becomes of it comes as events with the number returned here.
    pub fn submit(&self, job: Job) -> JobId {
        let id = JobId(self.next_job.fetch_add(1, Ordering::Relaxed));
        let context = JobContext::new(id, &self.register, self.sender.clone());
        if let Some(tasks) = &self.tasks {
            // Fails only while the program goes down.
            tasks.send(Task { job, context }).ok();
        }
        id
    }

    /// Cancels, pauses or resumes a job that has not ended.
    pub fn control(&self, job: JobId, control: Control) {
        self.register.control(job, control);
    }

    /// Stops every job as on leaving the program: what can resume is left ready to.
    pub fn stop_all(&self) {
        self.register.leave_all();
    }

    /// Asks for pictures or figures for the screen. Newer wishes replace older ones.
    pub fn wish(&self, wish: Wish) {
        if let Wish::Results(request) = wish {
            if let Some(results) = &self.results {
                results.replace(request);
            }
        } else if let Some(decoders) = &self.decoders {
            decoders.wish(wish);
        }
    }

    /// What the workers say, in the order in which it happened.
    pub const fn events(&self) -> &Receiver<Event> {
        &self.events
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.register.leave_all();
        self.tasks = None;
        self.decoders = None;
        self.results = None;
        // Whoever waits to send to a full queue is let go by this.
        self.events = never();
        for thread in self.threads.drain(..) {
            // A thread that died of a panic has nothing more to lose.
            thread.join().ok();
        }
    }
}

/// The way in for jobs. A full queue would have to stop the window or to lose a job, and a vote is never lost; what waits
/// here was handed in by a person, so that it stays little. Behind the dispatcher all queues are bounded.
#[expect(
    clippy::disallowed_methods,
    reason = "back-pressure would be felt by the window's thread"
)]
fn intake() -> (Sender<Task>, Receiver<Task>) {
    crossbeam_channel::unbounded()
}

/// The ways to the workers that do jobs.
struct Desks {
    store: StoreHandle,
    files: Sender<Task>,
    model: Sender<Task>,
    downloads: Sender<Task>,
    shelf: Sender<Task>,
    teacher: Sender<Task>,
}

impl Desks {
    fn hand_out(&self, mut task: Task) {
        task.context.hold_to(self.store.open_now());
        announce(&task);
        // Sending fails only while the program goes down, and then nobody waits for the job.
        match dispatch::place(&task.job) {
            Place::Store => {
                let Task { job, context } = task;
                self.store
                    .post(move |state| store_jobs::run(state, job, context))
                    .ok();
            }
            Place::Files => {
                self.files.send(task).ok();
            }
            Place::Model => {
                self.model.send(task).ok();
            }
            Place::Downloads => {
                self.downloads.send(task).ok();
            }
            Place::Shelf => {
                self.shelf.send(task).ok();
            }
            Place::Teacher => {
                self.teacher.send(task).ok();
            }
        }
    }
}

/// Says that a job was taken in, unless it is a quiet one.
fn announce(task: &Task) {
    if task.job.is_quiet() {
        return;
    }
    task.context.events().send(Event::JobStarted {
        job: task.context.id(),
        title: dispatch::title(&task.job),
        can_pause: dispatch::can_pause(&task.job),
    });
}

/// Starts a named thread.
pub(super) fn spawn(
    name: &'static str,
    work: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>, JobError> {
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(work)
        .map_err(|source| JobError::Thread { name, source })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn jobs_that_pile_up_are_late_and_never_lost() {
        let home = tempfile::tempdir().unwrap();
        let options = WorkerOptions::new(Home::at(home.path().to_path_buf()));
        let workers = Workers::start(options, Arc::new(|| {})).unwrap();
        // More than all queues on the way hold while nobody listens.
        let num_jobs = 2 * (MAX_WAITING_EVENTS + 2 * MAX_WAITING_JOBS);
        let votes = (0..num_jobs).map(|_| workers.submit(Job::QuickVotes(Vec::new())));
        let mut answered: Vec<JobId> = Vec::new();
        let handed_in: Vec<JobId> = votes.collect();
        while answered.len() < num_jobs {
            let event = workers.events().recv_timeout(Duration::from_mins(1));
            if let Event::JobFailed(job, _) = event.expect("an answer to every job") {
                answered.push(job);
            }
        }
        assert_eq!(answered, handed_in);
    }
}
