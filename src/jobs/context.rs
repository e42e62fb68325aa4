//! What a running job holds: the flags that stop it, the way to the listener, and its progress.

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use crossbeam_channel::Sender;

use crate::domain::Interrupted;
use crate::jobs::error::JobError;
use crate::jobs::message::Control;
use crate::jobs::message::Event;
use crate::jobs::message::JobId;
use crate::jobs::message::JobReport;
use crate::jobs::message::Progress;
use crate::jobs::message::Unit;
use crate::jobs::progress::Meter;
use crate::jobs::workers::Waker;

/// How often a paused job looks whether it may go on.
const PAUSE_LOOK: Duration = Duration::from_millis(20);

/// The way to whoever listens. Sending waits while the listener is behind, and is nothing once it has gone.
#[derive(Clone)]
pub(super) struct EventSender {
    sender: Sender<Event>,
    waker: Waker,
}

impl EventSender {
    pub(super) fn new(sender: Sender<Event>, waker: Waker) -> Self {
        Self { sender, waker }
    }

    /// Sends an event and wakes the listener.
    pub(super) fn send(&self, event: Event) {
        if self.sender.send(event).is_ok() {
            (self.waker)();
        }
    }
}

/// What the user asked of a running job.
#[derive(Debug, Default)]
pub(super) struct Flags {
    cancelled: AtomicBool,
    paused: AtomicBool,
    leaving: AtomicBool,
}

impl Flags {
    pub(super) fn set(&self, control: Control) {
        match control {
            Control::Cancel => self.cancelled.store(true, Ordering::Relaxed),
            Control::Pause => self.paused.store(true, Ordering::Relaxed),
            Control::Resume => self.paused.store(false, Ordering::Relaxed),
        }
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    pub(super) fn is_paused(&self) -> bool {
        self.paused.load(Ordering::Relaxed)
    }

    /// Waits while the job is paused; an error once it is cancelled, or once `is_over` says that others of its threads
    /// have ended it.
    pub(super) fn check(&self, is_over: impl Fn() -> bool) -> Result<(), Interrupted> {
        loop {
            if self.is_cancelled() || is_over() {
                return Err(Interrupted);
            }
            if !self.is_paused() {
                return Ok(());
            }
            thread::sleep(PAUSE_LOOK);
        }
    }

    /// Lets this much time go by, checking all along.
    pub(super) fn wait(
        &self,
        time: Duration,
        is_over: impl Fn() -> bool,
    ) -> Result<(), Interrupted> {
        let since = Instant::now();
        while let Some(left) = time
            .checked_sub(since.elapsed())
            .filter(|left| !left.is_zero())
        {
            self.check(&is_over)?;
            thread::sleep(left.min(PAUSE_LOOK));
        }
        self.check(is_over)
    }
}

/// The flags of every job that has not ended.
#[derive(Debug, Clone, Default)]
pub(super) struct Register(Arc<Mutex<BTreeMap<JobId, Arc<Flags>>>>);

impl Register {
    pub(super) fn add(&self, job: JobId) -> Arc<Flags> {
        let flags = Arc::new(Flags::default());
        self.lock().insert(job, Arc::clone(&flags));
        flags
    }

    pub(super) fn control(&self, job: JobId, control: Control) {
        if let Some(flags) = self.lock().get(&job) {
            flags.set(control);
        }
    }

    /// Cancels everything because the program is going down: what can resume is left ready to.
    pub(super) fn leave_all(&self) {
        for flags in self.lock().values() {
            flags.leaving.store(true, Ordering::Relaxed);
            flags.set(Control::Cancel);
        }
    }

    fn remove(&self, job: JobId) {
        self.lock().remove(&job);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<JobId, Arc<Flags>>> {
        // The map stays whole if a thread dies while holding it, so a poisoned lock is as good as any.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a thread that helps a job looks at between its steps.
#[derive(Clone)]
pub(super) struct Watch(Arc<Flags>);

impl Watch {
    /// Waits while the job is paused; an error once it is cancelled.
    pub(super) fn check(&self) -> Result<(), Interrupted> {
        self.0.check(|| false)
    }
}

/// A running job's hold on the outside.
pub(super) struct JobContext {
    id: JobId,
    flags: Arc<Flags>,
    register: Register,
    events: EventSender,
    meter: Meter,
    started: Option<Instant>,
    project: Option<u64>,
}

/// How a worker left a job.
pub(super) enum Outcome {
    /// It is over.
    Ended(JobReport),
    /// Another worker goes on with it and will end it.
    HandedOn,
}

impl JobContext {
    pub(super) fn new(id: JobId, register: &Register, events: EventSender) -> Self {
        Self {
            id,
            flags: register.add(id),
            register: register.clone(),
            events,
            meter: Meter::default(),
            started: None,
            project: None,
        }
    }

    /// Notes which project was open when the job was handed out.
    pub(super) const fn hold_to(&mut self, project: Option<u64>) {
        self.project = project;
    }

    /// The project that the job is about, for `StoreHandle::held_to`.
    pub(super) const fn project(&self) -> Option<u64> {
        self.project
    }

    /// The job's number.
    pub(super) const fn id(&self) -> JobId {
        self.id
    }

    /// The way to the listener.
    pub(super) const fn events(&self) -> &EventSender {
        &self.events
    }

    /// For threads that help.
    pub(super) fn watch(&self) -> Watch {
        Watch(Arc::clone(&self.flags))
    }

    /// Waits while the job is paused; an error once it is cancelled.
    pub(super) fn check(&mut self) -> Result<(), Interrupted> {
        let was_paused = self.flags.is_paused();
        self.flags.check(|| false)?;
        if was_paused {
            self.meter.restart();
        }
        Ok(())
    }

    /// Whether the user cancelled the job; leaving the program is not that.
    pub(super) fn is_cancelled(&self) -> bool {
        self.flags.is_cancelled() && !self.is_leaving()
    }

    /// The flags themselves, for the threads that a job has of its own.
    pub(super) fn flags(&self) -> Arc<Flags> {
        Arc::clone(&self.flags)
    }

    /// As [`JobContext::progress`], where bytes are counted.
    pub(super) fn bytes(&mut self, done: u64, total: u64, stage: &str) -> Result<(), Interrupted> {
        if let Some(progress) = self.meter.note(Instant::now(), done, total, stage) {
            let unit = Unit::Bytes;
            let progress = Progress { unit, ..progress };
            self.events.send(Event::JobProgress(self.id, progress));
        }
        self.check()
    }

    /// Whether the job was cancelled because the program is going down.
    pub(super) fn is_leaving(&self) -> bool {
        self.flags.leaving.load(Ordering::Relaxed)
    }

    /// Publishes how far the job is (throttled), then as [`JobContext::check`].
    pub(super) fn progress(
        &mut self,
        done: u64,
        total: u64,
        stage: &str,
    ) -> Result<(), Interrupted> {
        self.progress_only(done, total, stage);
        self.check()
    }

    /// Publishes how far the job is, in a part of it that is short and better not cut off.
    pub(super) fn progress_only(&mut self, done: u64, total: u64, stage: &str) {
        if let Some(progress) = self.meter.note(Instant::now(), done, total, stage) {
            self.events.send(Event::JobProgress(self.id, progress));
        }
    }

    /// Runs the job's work. Its end, an error or a panic become the one closing event, and the worker goes on.
    pub(super) fn run(mut self, work: impl FnOnce(&mut Self) -> Result<JobReport, JobError>) {
        let ended = self.guarded(|context| work(context).map(Outcome::Ended));
        self.close(ended);
    }

    /// As [`JobContext::run`], for work that may hand the job on: `hand_on` then gets the context.
    pub(super) fn run_or_hand_on<T>(
        mut self,
        work: impl FnOnce(&mut Self) -> Result<T, JobError>,
        hand_on: impl FnOnce(Self, T),
    ) {
        let mut handed = None;
        let ended = self.guarded(|context| {
            handed = Some(work(context)?);
            Ok(Outcome::HandedOn)
        });
        match (ended, handed) {
            (Ok(Outcome::HandedOn), Some(rest)) => hand_on(self, rest),
            (ended, _) => self.close(ended),
        }
    }

    /// Runs work that is listed nowhere: its success is told by the event of its result alone. It is done even while
    /// the program goes down, since what a person answered is not asked again.
    pub(super) fn run_quietly(self, work: impl FnOnce() -> Result<(), JobError>) {
        match catch_unwind(AssertUnwindSafe(work)) {
            Ok(Ok(())) => self.register.remove(self.id),
            Ok(Err(error)) => self.close(Err(error.to_string())),
            Err(panic) => self.close(Err(panic_words(panic.as_ref()))),
        }
    }

    fn guarded(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<Outcome, JobError>,
    ) -> Result<Outcome, String> {
        self.started.get_or_insert_with(Instant::now);
        let result = catch_unwind(AssertUnwindSafe(|| {
            self.check()?;
            work(self)
        }));
        match result {
            Ok(Ok(outcome)) => Ok(outcome),
            Ok(Err(JobError::Interrupted(_))) => Ok(Outcome::Ended(JobReport {
                cancelled: true,
                summary: "Cancelled".to_owned(),
                ..JobReport::default()
            })),
            Ok(Err(error)) => Err(error.to_string()),
            Err(panic) => Err(format!(
                "the job ended by a mistake in the program: {}",
                panic_words(panic.as_ref())
            )),
        }
    }

    fn close(self, ended: Result<Outcome, String>) {
        self.register.remove(self.id);
        match ended {
            Ok(Outcome::HandedOn) => {}
            Ok(Outcome::Ended(mut report)) => {
                report.seconds = self
                    .started
                    .map_or(0.0, |started| started.elapsed().as_secs_f64());
                self.events.send(Event::JobDone(self.id, report));
            }
            Err(reason) => self.events.send(Event::JobFailed(self.id, reason)),
        }
    }
}

/// The words of a panic, where it has some.
pub(super) fn panic_words(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|words| (*words).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no words were given".to_owned())
}

#[cfg(test)]
mod tests {
    use crossbeam_channel::Receiver;
    use crossbeam_channel::bounded;

    use super::*;

    fn context() -> (JobContext, Register, Receiver<Event>) {
        let (sender, events) = bounded(64);
        let register = Register::default();
        let sender = EventSender::new(sender, Arc::new(|| {}));
        let context = JobContext::new(JobId(1), &register, sender);
        (context, register, events)
    }

    #[test]
    fn a_panic_in_a_job_becomes_job_failed() {
        let (context, _, events) = context();
        context.run(|_| panic!("the planted fault"));
        let Ok(Event::JobFailed(JobId(1), reason)) = events.try_recv() else {
            panic!("expected JobFailed");
        };
        assert!(reason.contains("the planted fault"));
    }

    #[test]
    fn a_job_cancelled_while_it_waited_does_nothing() {
        let (context, register, events) = context();
        register.control(JobId(1), Control::Cancel);
        context.run(|_| panic!("it should not have run"));
        let Ok(Event::JobDone(_, report)) = events.try_recv() else {
            panic!("expected JobDone");
        };
        assert!(report.cancelled);
    }

    #[test]
    fn a_paused_job_goes_on_when_resumed() {
        let (mut context, register, _events) = context();
        register.control(JobId(1), Control::Pause);
        let other = register.clone();
        let resume = thread::Builder::new()
            .spawn(move || {
                thread::sleep(Duration::from_millis(60));
                other.control(JobId(1), Control::Resume);
            })
            .unwrap();
        let before = Instant::now();
        assert_eq!(context.check(), Ok(()));
        assert!(before.elapsed() >= Duration::from_millis(50));
        resume.join().unwrap();
    }

    #[test]
    fn a_job_handed_on_is_closed_by_the_one_who_takes_it() {
        let (context, _, events) = context();
        context.run_or_hand_on(
            |_| Ok(7),
            |context, rest| {
                assert_eq!(rest, 7);
                context.run(|_| Ok(JobReport::default()));
            },
        );
        assert!(matches!(events.try_recv(), Ok(Event::JobDone(..))));
        assert!(events.try_recv().is_err());
    }
}
