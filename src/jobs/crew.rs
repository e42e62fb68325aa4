//! Threads that describe pictures together, while the job's own thread commits what they find.
//!
//! A small model on the CPU is quickest with a picture a core: its matrices are too small to share. A large one is
//! quickest on one thread with many answers in one batch. How many of each, the model says ([`LocalModel::plan`]). What
//! comes of a picture does not depend on who else is described.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::num::NonZero;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use crossbeam_channel::Receiver;
use crossbeam_channel::RecvTimeoutError;
use crossbeam_channel::Sender;
use crossbeam_channel::bounded;

use crate::domain::Aspect;
use crate::domain::ContentHash;
use crate::domain::ImageId;
use crate::domain::Interrupted;
use crate::jobs::context::EventSender;
use crate::jobs::context::Watch;
use crate::jobs::context::panic_words;
use crate::jobs::decode;
use crate::jobs::error::JobError;
use crate::jobs::message::Event;
use crate::jobs::progress::Throttle;
use crate::ml::MlError;
use crate::ml::vlm::Ask;
use crate::ml::vlm::Batch;
use crate::ml::vlm::Described;
use crate::ml::vlm::GenerateSettings;
use crate::ml::vlm::LocalModel;
use crate::ml::vlm::Plan;
use crate::ml::vlm::Ticket;

/// Results that may wait to be committed.
const MAX_WAITING_RESULTS: usize = 16;

/// How often the job is looked after while nothing is found.
const LOOK_AFTER: Duration = Duration::from_millis(100);

/// A picture, and what is asked about it.
pub(super) struct Task {
    pub(super) image: ImageId,
    /// The picture that the project knows: no other one is described in its place.
    pub(super) hash: ContentHash,
    pub(super) path: PathBuf,
    pub(super) asks: Vec<(Aspect, Ask)>,
}

/// What came of one question about one task's picture.
pub(super) struct Found {
    /// Number of the task.
    pub(super) task: usize,
    /// Number of the question among the task's.
    pub(super) ask: usize,
    pub(super) described: Result<Described, JobError>,
}

/// What every thread of a crew sees.
struct Shared<'a> {
    model: &'a LocalModel,
    settings: GenerateSettings,
    tasks: &'a [Task],
    /// The next task that nobody has taken.
    next: AtomicUsize,
    /// Set when the job cannot go on.
    is_over: AtomicBool,
    watch: Watch,
    events: EventSender,
}

impl Shared<'_> {
    fn check(&self) -> Result<(), Interrupted> {
        match self.is_over.load(Ordering::Relaxed) {
            true => Err(Interrupted),
            false => self.watch.check(),
        }
    }
}

/// Works through the tasks; `take` commits what was found, in the order in which it comes, and is called with nothing
/// now and then, to look after the job. Cancelling is heard within one token, and what was committed stays.
///
/// # Errors
/// [`Interrupted`], what `take` answers, and failures that concern more than one picture.
pub(super) fn describe_all(
    model: &LocalModel,
    settings: GenerateSettings,
    tasks: &[Task],
    (watch, events): (Watch, EventSender),
    take: &mut dyn FnMut(Option<Found>) -> Result<(), JobError>,
) -> Result<(), JobError> {
    let plan = model.plan();
    let shared = Shared {
        model,
        settings,
        tasks,
        next: AtomicUsize::new(0),
        is_over: AtomicBool::new(false),
        watch,
        events,
    };
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let num_threads = plan.threads.min(cores).min(tasks.len());
    thread::scope(|scope| {
        let (sender, found) = bounded(MAX_WAITING_RESULTS);
        let threads = (0..num_threads)
            .map(|number| {
                let (shared, sender) = (&shared, sender.clone());
                thread::Builder::new()
                    .name(format!("assay-describe-{number}"))
                    .spawn_scoped(scope, move || work(shared, plan, &sender))
                    .map_err(|source| JobError::Thread {
                        name: "assay-describe",
                        source,
                    })
            })
            .collect::<Result<Vec<_>, JobError>>();
        drop(sender);
        let taken = match &threads {
            Ok(_) => take_all(&found, take),
            Err(_) => Ok(()),
        };
        if taken.is_err() || threads.is_err() {
            shared.is_over.store(true, Ordering::Relaxed);
        }
        // Whoever waits to hand something over is let go.
        drop(found);
        let mut ended = taken;
        for thread in threads? {
            let end = thread
                .join()
                .unwrap_or_else(|panic| Err(JobError::Panic(panic_words(panic.as_ref()))));
            // The first failure tells why; the others stopped because of it.
            if ended.is_ok() || matches!(ended, Err(JobError::Interrupted(_))) && end.is_err() {
                ended = end;
            }
        }
        ended
    })
}

fn take_all(
    found: &Receiver<Found>,
    take: &mut dyn FnMut(Option<Found>) -> Result<(), JobError>,
) -> Result<(), JobError> {
    loop {
        match found.recv_timeout(LOOK_AFTER) {
            Ok(found) => take(Some(found))?,
            Err(RecvTimeoutError::Timeout) => take(None)?,
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
    }
}

/// One thread's work: alone on its core where there are several.
fn work(shared: &Shared<'_>, plan: Plan, sender: &Sender<Found>) -> Result<(), JobError> {
    let worked = || {
        let result = Worker::new(shared, sender, plan.members).and_then(Worker::run);
        if result.is_err() {
            shared.is_over.store(true, Ordering::Relaxed);
        }
        result
    };
    if plan.threads == 1 {
        return worked();
    }
    let alone = rayon::ThreadPoolBuilder::new().num_threads(1).build();
    match alone {
        Ok(pool) => pool.install(worked),
        // Without a pool of its own it is slower and no less right.
        Err(_) => worked(),
    }
}

/// One picture and what is due of it, by number of its task and of its asks.
type Due = (usize, Vec<usize>);

struct Worker<'a> {
    shared: &'a Shared<'a>,
    sender: &'a Sender<Found>,
    batch: Batch<'a>,
    members: usize,
    /// Whom a ticket was given to.
    tickets: BTreeMap<Ticket, (usize, usize)>,
    /// What a failure of everybody left to be done again.
    again: Vec<Due>,
    throttle: Throttle,
}

impl<'a> Worker<'a> {
    fn new(
        shared: &'a Shared<'a>,
        sender: &'a Sender<Found>,
        members: usize,
    ) -> Result<Self, JobError> {
        Ok(Self {
            shared,
            sender,
            batch: shared.model.batch(&shared.settings)?,
            members,
            tickets: BTreeMap::new(),
            again: Vec::new(),
            throttle: Throttle::default(),
        })
    }

    fn run(mut self) -> Result<(), JobError> {
        loop {
            self.fill()?;
            if self.batch.is_empty() {
                return Ok(());
            }
            match self.step() {
                Err(JobError::Ml(error)) => self.start_over(&error)?,
                other => other?,
            }
        }
    }

    fn next(&mut self) -> Option<Due> {
        self.again.pop().or_else(|| {
            let number = self.shared.next.fetch_add(1, Ordering::Relaxed);
            let task = self.shared.tasks.get(number)?;
            Some((number, (0..task.asks.len()).collect()))
        })
    }

    /// Lets pictures join while there is room.
    fn fill(&mut self) -> Result<(), JobError> {
        while self.batch.is_empty() || self.batch.len() < self.members {
            self.shared.check()?;
            let Some((number, due)) = self.next() else {
                return Ok(());
            };
            let task = &self.shared.tasks[number];
            let asks: Vec<Ask> = due.iter().map(|at| task.asks[*at].1.clone()).collect();
            let joined = decode::load_known_for_model(&task.path, task.hash)
                .and_then(|picture| Ok(self.batch.join(&picture, &asks)?));
            match joined {
                Ok(tickets) => {
                    let asked = due.into_iter().map(|at| (number, at));
                    self.tickets.extend(tickets.into_iter().zip(asked));
                }
                Err(JobError::Ml(MlError::Tensor(_))) if !self.batch.is_empty() => {
                    // Most likely there is no memory for one more.
                    self.members = self.batch.len();
                    self.again.push((number, due));
                }
                Err(error) => self.fail(number, &due, &error)?,
            }
        }
        Ok(())
    }

    /// Says of everything that is due of a picture that it failed.
    fn fail(&self, task: usize, due: &[usize], error: &dyn Display) -> Result<(), JobError> {
        due.iter().try_for_each(|ask| {
            let error = JobError::Picture(error.to_string());
            self.hand_over(task, *ask, Err(error))
        })
    }

    /// After a step that failed for everybody (most likely memory ran out): half as many begin anew; one alone fails.
    fn start_over(&mut self, error: &MlError) -> Result<(), JobError> {
        let num_members = self.tickets.len();
        let mut due: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (task, ask) in std::mem::take(&mut self.tickets).into_values() {
            due.entry(task).or_default().push(ask);
        }
        self.batch = self.shared.model.batch(&self.shared.settings)?;
        if num_members > 1 {
            self.members = (num_members / 2).max(1);
            // One question at a time where one picture's were too many.
            let split = due.len() == 1;
            self.again.extend(due.into_iter().flat_map(|(task, asks)| {
                let size = if split { 1 } else { asks.len() };
                let parts: Vec<Due> = asks.chunks(size).map(|a| (task, a.to_vec())).collect();
                parts
            }));
            return Ok(());
        }
        let error = with_help(error);
        due.iter()
            .try_for_each(|(task, asks)| self.fail(*task, asks, &error))
    }

    fn step(&mut self) -> Result<(), JobError> {
        let Self {
            shared,
            batch,
            tickets,
            throttle,
            ..
        } = self;
        let is_shown = throttle.passes(Instant::now());
        let done = batch.step(&mut |ticket, so_far| {
            if let (true, Some((task, ask))) = (is_shown, tickets.get(&ticket)) {
                let task = &shared.tasks[*task];
                shared.events.send(Event::Streaming {
                    image: task.image,
                    aspect: task.asks[*ask].0,
                    text: so_far.text(),
                });
            }
            shared.check()
        })?;
        for (ticket, described) in done {
            if let Some((task, ask)) = self.tickets.remove(&ticket) {
                self.hand_over(task, ask, described.map_err(JobError::from))?;
            }
        }
        Ok(())
    }

    fn hand_over(
        &self,
        task: usize,
        ask: usize,
        described: Result<Described, JobError>,
    ) -> Result<(), JobError> {
        let found = Found {
            task,
            ask,
            described,
        };
        // Nobody takes it any more: the job is over.
        self.sender
            .send(found)
            .or(Err(JobError::Interrupted(Interrupted)))
    }
}

/// What one answer alone failed of, and what would help where that was memory.
fn with_help(error: &MlError) -> String {
    let words = error.to_string();
    match words.to_lowercase().contains("out of memory") {
        true => format!(
            "{words}; the smallest batch does not fit: give smaller weights (--dtype q8_0 or q4_k), fewer beams, or \
             --device cpu, or close other programs"
        ),
        false => words,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::domain::Picture;
    use crate::jobs::context::JobContext;
    use crate::jobs::context::Register;
    use crate::jobs::message::Control;
    use crate::jobs::message::JobId;
    use crate::media;
    use crate::ml::vlm::testing::cramped;

    fn tasks(folder: &std::path::Path, count: usize) -> Vec<Task> {
        let asks = [Aspect::Quality, Aspect::Correspondence].map(|aspect| {
            let ask = Ask {
                request: format!("Describe the {aspect}."),
                question: format!("Rate the {aspect}."),
            };
            (aspect, ask)
        });
        let task = |number: usize| {
            let rgb: Vec<u8> = (0..96 * 64 * 3)
                .map(|at| (at * (number + 2) / 40) as u8)
                .collect();
            let picture = Picture {
                width: 96,
                height: 64,
                rgb: rgb.into(),
            };
            let path = folder.join(format!("{number}.png"));
            let bytes = media::encode_png(&picture).unwrap();
            std::fs::write(&path, &bytes).unwrap();
            Task {
                image: ImageId(number as i64),
                hash: media::hash_bytes(&bytes),
                path,
                asks: asks.to_vec(),
            }
        };
        (0..count).map(task).collect()
    }

    fn outside() -> (JobContext, Register, Receiver<Event>) {
        let (sender, events) = bounded(10_000);
        let register = Register::default();
        let sender = EventSender::new(sender, Arc::new(|| {}));
        (
            JobContext::new(JobId(1), &register, sender),
            register,
            events,
        )
    }

    fn settings() -> GenerateSettings {
        GenerateSettings {
            max_new_tokens: 12,
            ..GenerateSettings::default()
        }
    }

    /// What came of each picture's aspects, by their positions.
    type All = BTreeMap<(usize, usize), Result<Described, JobError>>;

    fn describe(model: &LocalModel, tasks: &[Task]) -> Result<All, JobError> {
        let (context, _register, _events) = outside();
        let mut all = BTreeMap::new();
        let outside = (context.watch(), context.events().clone());
        describe_all(model, settings(), tasks, outside, &mut |found| {
            let Some(found) = found else {
                return Ok(());
            };
            let former = all.insert((found.task, found.ask), found.described);
            assert!(former.is_none(), "nothing is handed over twice");
            Ok(())
        })?;
        Ok(all)
    }

    #[test]
    fn a_batch_without_memory_is_halved_until_it_fits_and_loses_nothing() -> Result<(), JobError> {
        let folder = tempfile::tempdir().unwrap();
        let tasks = tasks(folder.path(), 5);
        let roomy = describe(&cramped(usize::MAX), &tasks)?;
        assert_eq!(roomy.len(), 10);
        for rows in [1, 3] {
            let narrow = describe(&cramped(rows), &tasks)?;
            assert_eq!(narrow.len(), roomy.len());
            for (which, described) in narrow {
                let described = described?;
                assert_eq!(described.text, roomy[&which].as_ref().unwrap().text);
            }
        }
        let none = describe(&cramped(0), &tasks)?;
        assert_eq!(none.len(), 10);
        assert!(
            none.values().all(|described| described
                .as_ref()
                .is_err_and(|error| error.is_about_item()
                    && error.to_string().contains("out of memory")
                    && error.to_string().contains("--dtype q8_0 or q4_k")))
        );
        Ok(())
    }

    #[test]
    fn a_picture_that_cannot_be_decoded_fails_alone() -> Result<(), JobError> {
        let folder = tempfile::tempdir().unwrap();
        let tasks = tasks(folder.path(), 3);
        std::fs::write(&tasks[1].path, "no picture").unwrap();
        let all = describe(&cramped(usize::MAX), &tasks)?;
        for ((task, _), described) in all {
            assert_eq!(described.is_err(), task == 1);
        }
        Ok(())
    }

    #[test]
    fn a_picture_that_is_another_one_by_now_fails_alone() -> Result<(), JobError> {
        let folder = tempfile::tempdir().unwrap();
        let tasks = tasks(folder.path(), 3);
        // Made anew behind the open project: a whole picture, and not the one that was imported.
        std::fs::copy(&tasks[0].path, &tasks[1].path).unwrap();
        let all = describe(&cramped(usize::MAX), &tasks)?;
        for ((task, _), described) in all {
            let error = described.err().map(|error| error.to_string());
            let is_told = |words: &String| words.contains("changed since it was imported");
            assert_eq!(error.as_ref().is_some_and(is_told), task == 1, "{error:?}");
        }
        Ok(())
    }

    #[test]
    fn cancelling_ends_the_crew_and_keeps_what_was_handed_over() {
        let folder = tempfile::tempdir().unwrap();
        let tasks = tasks(folder.path(), 6);
        for model in [
            cramped(usize::MAX),
            LocalModel::embedded(crate::compute::DeviceChoice::Cpu).unwrap(),
        ] {
            let (context, register, _events) = outside();
            let mut num_found = 0;
            let outside = (context.watch(), context.events().clone());
            let ended = describe_all(&model, settings(), &tasks, outside, &mut |found| {
                num_found += usize::from(found.is_some());
                register.control(JobId(1), Control::Cancel);
                Ok(())
            });
            assert!(matches!(ended, Err(JobError::Interrupted(_))));
            assert!(num_found < 12, "{num_found}");
        }
    }

    #[test]
    fn what_goes_wrong_with_the_project_ends_the_job_with_its_reason() {
        let folder = tempfile::tempdir().unwrap();
        let tasks = tasks(folder.path(), 4);
        let (context, _register, _events) = outside();
        let outside = (context.watch(), context.events().clone());
        let model = cramped(usize::MAX);
        let ended = describe_all(&model, settings(), &tasks, outside, &mut |_| {
            Err(JobError::ProjectClosed)
        });
        assert!(matches!(ended, Err(JobError::ProjectClosed)));
    }
}
