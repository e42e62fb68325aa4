//! The thread that owns the open project: every change goes through it, and its event is sent after the commit.
//!
//! Other workers hand it closures and wait for the answer. They hold a [`Pinned`] project, so that what a job found out
//! about one project is never written into another one that was opened meanwhile.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;

use crossbeam_channel::Sender;
use crossbeam_channel::bounded;

use crate::domain::Catalog;
use crate::domain::ContentHash;
use crate::domain::ImageId;
use crate::domain::ModelCard;
use crate::domain::Settings;
use crate::jobs::context::EventSender;
use crate::jobs::context::panic_words;
use crate::jobs::error::JobError;
use crate::jobs::files_worker::now_ms;
use crate::jobs::message::Event;
use crate::jobs::workers::spawn;
use crate::store::Project;

/// Calls that may wait before their senders wait too.
const MAX_WAITING_CALLS: usize = 256;

type Call = Box<dyn FnOnce(&mut StoreState) + Send>;

/// Where a picture lies, for those who decode it.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// The picture.
    pub(super) image: ImageId,
    /// Its content hash.
    pub(super) hash: ContentHash,
    /// Its file.
    pub(super) path: PathBuf,
}

/// An open project with what is asked of it often.
struct Opened {
    project: Project,
    path: PathBuf,
    places: BTreeMap<ImageId, Place>,
}

/// What the store worker owns.
pub(super) struct StoreState {
    opened: Option<Opened>,
    generation: Arc<AtomicU64>,
    events: EventSender,
    /// The model that is loaded, for the list of models.
    pub(super) loaded_model: Option<ModelCard>,
}

/// The way to the store worker.
#[derive(Clone)]
pub(super) struct StoreHandle {
    calls: Sender<Call>,
    /// Counts the projects that were opened. Read without asking the store worker, which may be at work for a while.
    generation: Arc<AtomicU64>,
    /// The only project that a snapshot may be of; `None`: whichever is open.
    held: Option<u64>,
}

/// The project that was open when a job began. Answers an error once another one is open.
#[derive(Clone)]
pub(super) struct Pinned {
    store: StoreHandle,
    generation: u64,
    path: PathBuf,
}

/// Starts the store worker. It ends when the last handle is dropped.
pub(super) fn start(events: EventSender) -> Result<(StoreHandle, JoinHandle<()>), JobError> {
    let (calls, waiting) = bounded::<Call>(MAX_WAITING_CALLS);
    let generation = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&generation);
    let thread = spawn("assay-store", move || {
        let mut state = StoreState {
            opened: None,
            generation: counted,
            events,
            loaded_model: None,
        };
        for call in waiting {
            call(&mut state);
        }
    })?;
    let handle = StoreHandle {
        calls,
        generation,
        held: None,
    };
    Ok((handle, thread))
}

impl StoreHandle {
    /// The project that is open now, for [`StoreHandle::held_to`]; `None` if none was opened yet.
    pub(super) fn open_now(&self) -> Option<u64> {
        Some(self.generation.load(Ordering::Relaxed)).filter(|&generation| generation > 0)
    }

    /// The same way, with snapshots of that project alone: a job that waited must not run on the next one. Before the
    /// first project nobody can have named a picture, so that a job of then takes whichever is open.
    pub(super) fn held_to(&self, project: Option<u64>) -> Self {
        Self {
            held: project,
            ..self.clone()
        }
    }

    /// Lets the store worker do something and waits for the answer.
    pub(super) fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut StoreState) -> Result<T, JobError> + Send + 'static,
    ) -> Result<T, JobError> {
        let (reply, answer) = bounded(1);
        self.post(move |state| {
            let result = catch_unwind(AssertUnwindSafe(|| work(state)));
            let result =
                result.unwrap_or_else(|panic| Err(JobError::Panic(panic_words(panic.as_ref()))));
            // Whoever asked may have gone; what was committed is committed.
            reply.send(result).ok();
        })?;
        answer.recv().unwrap_or(Err(JobError::WorkersStopped))
    }

    /// Lets the store worker do something in its own time.
    pub(super) fn post(
        &self,
        work: impl FnOnce(&mut StoreState) + Send + 'static,
    ) -> Result<(), JobError> {
        self.calls
            .send(Box::new(work))
            .or(Err(JobError::WorkersStopped))
    }

    /// The project as it is now, and a hold on it.
    pub(super) fn snapshot(&self) -> Result<(Catalog, Pinned), JobError> {
        let store = self.clone();
        self.call(move |state| {
            state.check(store.held)?;
            let opened = state.opened.as_ref().ok_or(JobError::NoProject)?;
            let catalog = opened.project.catalog()?;
            let pinned = Pinned {
                store,
                generation: state.generation(),
                path: opened.path.clone(),
            };
            Ok((catalog, pinned))
        })
    }

    /// Path of the open project; `None` if none is open.
    pub(super) fn project_path(&self) -> Result<Option<PathBuf>, JobError> {
        self.call(|state| Ok(state.opened.as_ref().map(|opened| opened.path.clone())))
    }

    /// Where these pictures lie; those without a file are left out.
    pub(super) fn places(&self, images: Vec<ImageId>) -> Result<(PathBuf, Vec<Place>), JobError> {
        self.call(move |state| {
            let opened = state.opened.as_ref().ok_or(JobError::NoProject)?;
            let places = images
                .iter()
                .filter_map(|image| opened.places.get(image).cloned())
                .collect();
            Ok((opened.path.clone(), places))
        })
    }
}

impl Pinned {
    /// Path of the project file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Works on the project, if it is still the open one, and says what came of it once it is committed.
    pub(super) fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Project, &EventSender) -> Result<T, JobError> + Send + 'static,
    ) -> Result<T, JobError> {
        let generation = self.generation;
        self.store.call(move |state| {
            state.check(Some(generation))?;
            state.work(work)
        })
    }

    /// The project as it is now.
    pub(super) fn catalog(&self) -> Result<Catalog, JobError> {
        self.call(|project, _| Ok(project.catalog()?))
    }

    /// Says that the project changed as a whole.
    pub(super) fn announce(&self) -> Result<(), JobError> {
        let generation = self.generation;
        self.store.call(move |state| {
            state.check(Some(generation))?;
            state.announce()
        })
    }
}

impl StoreState {
    /// The way to the listener.
    pub(super) const fn events(&self) -> &EventSender {
        &self.events
    }

    /// An error where another project is open than the one that a job is held to.
    pub(super) fn check(&self, held: Option<u64>) -> Result<(), JobError> {
        match held {
            Some(held) if held != self.generation() => Err(JobError::ProjectClosed),
            _ => Ok(()),
        }
    }

    /// Works on the open project.
    pub(super) fn work<T>(
        &mut self,
        work: impl FnOnce(&mut Project, &EventSender) -> Result<T, JobError>,
    ) -> Result<T, JobError> {
        let opened = self.opened.as_mut().ok_or(JobError::NoProject)?;
        work(&mut opened.project, &self.events)
    }

    /// Takes a project in the place of the one that was open, and says so.
    pub(super) fn take(&mut self, mut project: Project, path: PathBuf) -> Result<(), JobError> {
        // There from the start, so that the first key that rates a picture finds it.
        project.quick_study(now_ms())?;
        self.generation.fetch_add(1, Ordering::Relaxed);
        self.opened = Some(Opened {
            project,
            path,
            places: BTreeMap::new(),
        });
        self.announce()
    }

    fn generation(&self) -> u64 {
        self.generation.load(Ordering::Relaxed)
    }

    /// Rows of the open project that show these pictures; the hashes are in order.
    pub(super) fn images_of(&self, hashes: &[ContentHash]) -> Vec<ImageId> {
        let places = self.opened.iter().flat_map(|opened| opened.places.values());
        places
            .filter(|place| hashes.binary_search(&place.hash).is_ok())
            .map(|place| place.image)
            .collect()
    }

    /// Choices of the open project; the usual ones where none is open.
    pub(super) fn settings(&self) -> Result<Settings, JobError> {
        self.opened.as_ref().map_or_else(
            || Ok(Settings::default()),
            |opened| Ok(opened.project.settings()?),
        )
    }

    /// Reads the project anew and tells the listener all of it.
    pub(super) fn announce(&mut self) -> Result<(), JobError> {
        let opened = self.opened.as_mut().ok_or(JobError::NoProject)?;
        let catalog = opened.project.catalog()?;
        opened.places = places_of(&catalog);
        self.events.send(Event::ProjectOpened(Box::new(catalog)));
        Ok(())
    }

    /// Tells the listener what undo and redo would do now.
    pub(super) fn announce_undo(&mut self) -> Result<(), JobError> {
        let opened = self.opened.as_mut().ok_or(JobError::NoProject)?;
        let (undo, redo) = opened.project.undo_state()?;
        self.events.send(Event::UndoChanged { undo, redo });
        Ok(())
    }
}

/// The file of a row of the project.
pub(super) fn file_of(root: &str, path: &str) -> PathBuf {
    path.split('/')
        .fold(PathBuf::from(root), |folder, part| folder.join(part))
}

fn places_of(catalog: &Catalog) -> BTreeMap<ImageId, Place> {
    catalog
        .images
        .iter()
        .filter_map(|record| {
            let place = Place {
                image: record.id,
                hash: record.file.hash()?,
                path: file_of(&catalog.info.root, &record.path),
            };
            Some((record.id, place))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(store: &StoreHandle, path: PathBuf) {
        store
            .call(move |state| {
                let project = Project::open_or_create(&path)?;
                state.take(project, path)
            })
            .unwrap();
    }

    #[test]
    fn a_job_that_waited_never_runs_on_the_project_that_came_after() {
        let folder = tempfile::tempdir().unwrap();
        let (sender, _events) = bounded(100);
        let events = EventSender::new(sender, Arc::new(|| {}));
        let (store, thread) = start(events).unwrap();
        let early = store.held_to(store.open_now());
        open(&store, folder.path().join("a.assay"));
        let waiting = store.held_to(store.open_now());
        assert!(waiting.snapshot().is_ok());
        open(&store, folder.path().join("b.assay"));
        let error = waiting.snapshot().err().unwrap();
        assert!(matches!(error, JobError::ProjectClosed), "{error}");
        assert!(store.snapshot().is_ok() && early.snapshot().is_ok());
        drop((early, waiting, store));
        thread.join().unwrap();
    }
}
