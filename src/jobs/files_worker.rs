//! The thread that reads datasets and writes tables, so that neither holds up the project or the model.

use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use crossbeam_channel::Receiver;

use crate::dataset;
use crate::dataset::Source;
use crate::dataset::demo::DemoSettings;
use crate::domain::FileState;
use crate::domain::ImageId;
use crate::domain::ImportBatch;
use crate::domain::ImportSummary;
use crate::jobs::context::JobContext;
use crate::jobs::error::JobError;
use crate::jobs::home::make_parent;
use crate::jobs::message::Event;
use crate::jobs::message::ImportRequest;
use crate::jobs::message::Job;
use crate::jobs::message::JobReport;
use crate::jobs::model_host::announce_models;
use crate::jobs::prune;
use crate::jobs::ratings;
use crate::jobs::run_report;
use crate::jobs::store_worker::Pinned;
use crate::jobs::store_worker::StoreHandle;
use crate::jobs::store_worker::file_of;
use crate::jobs::study_package;
use crate::jobs::table;
use crate::jobs::teach;
use crate::jobs::tune;
use crate::jobs::words;
use crate::jobs::workers::Task;
use crate::jobs::workers::WorkerOptions;
use crate::jobs::workers::spawn;
use crate::media;
use crate::store::Project;
use crate::store::StoreError;

/// The first bytes of every project file: it is a SQLite database.
const SQLITE_MAGIC: &[u8] = b"SQLite format 3\0";

/// Starts the files worker. It ends when the sender of its tasks is dropped.
pub(super) fn start(
    tasks: Receiver<Task>,
    store: StoreHandle,
    options: WorkerOptions,
) -> Result<JoinHandle<()>, JobError> {
    spawn("assay-files", move || {
        let mut worker = FilesWorker {
            store: store.clone(),
            options,
        };
        for task in tasks {
            let Task { job, context } = task;
            // Opening goes on with the project that it opened itself; figures for the screen are of whichever is on it.
            let is_free = matches!(job, Job::Open { .. } | Job::OpenDemo) || job.is_quiet();
            worker.store = store.held_to(context.project().filter(|_| !is_free));
            match job {
                Job::ReportRuns(contest) => {
                    context.run_quietly(|| run_report::report(&worker.store, contest));
                }
                Job::MeasureFeatures => {
                    context.run_quietly(|| run_report::measure(&worker.store));
                }
                Job::EstimateTuning(settings) => {
                    let events = context.events().clone();
                    context.run_quietly(|| {
                        tune::estimate(&worker.store, &worker.options, &settings, &events)
                    });
                }
                Job::ListTunings => {
                    let events = context.events().clone();
                    let runs = tune::list(&worker.options.home);
                    context.run_quietly(|| {
                        events.send(Event::Tunings(runs));
                        Ok(())
                    });
                }
                Job::EvaluateModels { aspect, split } => {
                    context.run_quietly(|| words::tell(&worker.store, aspect, split));
                }
                Job::EstimateTeaching(request) => {
                    context.run_quietly(|| teach::tell_estimate(&worker.store, request));
                }
                job => context.run(|context| worker.work(job, context)),
            }
        }
    })
}

struct FilesWorker {
    store: StoreHandle,
    options: WorkerOptions,
}

impl FilesWorker {
    fn work(&self, job: Job, context: &mut JobContext) -> Result<JobReport, JobError> {
        match job {
            Job::Open { path } => self.open(&path, context),
            Job::OpenDemo => self.open_demo(context),
            Job::Import(request) => self.import(&request, context),
            Job::Relocate { root } => self.relocate(&root, context),
            Job::Export(request) => table::export(&self.store, &request, context),
            Job::ExportConversations { wish, out } => {
                table::conversations(&self.store, &wish, &out, context)
            }
            Job::ListModels => self.list_models(),
            Job::ExportRatings(request) => ratings::export(&self.store, &request, context),
            Job::ImportRatings(request) => ratings::import(&self.store, &request, context),
            Job::PackStudy { study, out } => study_package::pack(&self.store, study, &out, context),
            Job::PruneFeatures { max_bytes } => prune::prune(&self.store, max_bytes, context),
            Job::MergeStudies { path } => study_package::merge(&self.store, &path, context),
            Job::ForgetTuning(run) => {
                let home = &self.options.home;
                tune::forget(home, &run)?;
                context.events().send(Event::Tunings(tune::list(home)));
                Ok(JobReport::done(format!(
                    "The fine-tuning {run} was taken away"
                )))
            }
            _ => Err(JobError::Misplaced),
        }
    }

    /// Opens a project file as it is. For anything else its project is opened, then brought up to date with the files.
    fn open(&self, path: &Path, context: &mut JobContext) -> Result<JobReport, JobError> {
        context.progress(0, 0, "Opening")?;
        if is_project(path) {
            study_package::unpack(path, context)?;
            self.open_project(path)?;
            return Ok(JobReport::done(format!("Opened {}", path.display())));
        }
        fs::metadata(path).map_err(|source| JobError::File {
            action: "open it (check the path)",
            source,
            path: path.to_path_buf(),
        })?;
        let project = self.project_for(path);
        let request = ImportRequest {
            path: path.to_path_buf(),
            ..ImportRequest::default()
        };
        let known = project.is_file();
        if known {
            self.open_project(&project)?;
        }
        let summary = self.read_into(&request, &project, known, context)?;
        context.events().send(Event::Notice(format!(
            "The project of {} is kept in {}",
            path.display(),
            project.display()
        )));
        Ok(import_report(&summary))
    }

    /// Opens the demo's project; on the first start its scenes are made first.
    fn open_demo(&self, context: &mut JobContext) -> Result<JobReport, JobError> {
        let project = self.options.home.demo_project();
        let folder = self.options.home.demo_folder();
        make_parent(&folder)?;
        dataset::demo::write(&folder, &DemoSettings::default(), &mut |done, total| {
            context.progress(done, total, "Painting the demo scenes")
        })?;
        if project.is_file() {
            self.open_project(&project)?;
            return Ok(JobReport::done("Opened the demo".to_owned()));
        }
        let request = ImportRequest {
            path: folder,
            ..ImportRequest::default()
        };
        let summary = self.read_into(&request, &project, false, context)?;
        Ok(import_report(&summary))
    }

    /// Reads a dataset into the open project, or into a new one where none is open.
    fn import(
        &self,
        request: &ImportRequest,
        context: &mut JobContext,
    ) -> Result<JobReport, JobError> {
        let open = self.store.project_path()?;
        let project = open
            .clone()
            .unwrap_or_else(|| self.project_for(&request.path));
        let summary = self.read_into(request, &project, open.is_some(), context)?;
        Ok(import_report(&summary))
    }

    fn project_for(&self, dataset: &Path) -> PathBuf {
        self.options
            .project
            .clone()
            .unwrap_or_else(|| self.options.home.project_for(dataset))
    }

    fn open_project(&self, path: &Path) -> Result<(), JobError> {
        // A project is the same one from whichever folder it is opened.
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
        let home = self.options.home.clone();
        let remember = self.options.remember;
        self.store.call(move |state| {
            let project = Project::open(&path)?;
            state.take(project, path.clone())?;
            if remember {
                // A note that could not be written costs a click at the next start.
                home.remember_project(&path).ok();
            }
            Ok(())
        })
    }

    /// Reads everything first, then commits it at once: a read that fails or is cancelled leaves no project behind.
    /// A dataset that does not belong into the open project gets one of its own, where the caller named none.
    fn read_into(
        &self,
        request: &ImportRequest,
        project: &Path,
        is_open: bool,
        context: &mut JobContext,
    ) -> Result<ImportSummary, JobError> {
        let pinned = if is_open {
            Some(self.store.snapshot()?.1)
        } else {
            None
        };
        let source = Source {
            path: request.path.clone(),
            layout: request.layout.clone(),
            conversations: request.conversations.clone(),
            columns: request.columns.clone(),
        };
        let batch = dataset::read(&source, &mut |done, total| {
            context.progress(done, total, "Reading")
        })?;
        context.progress(0, 0, "Saving")?;
        let batch = Arc::new(batch);
        let summary = match pinned {
            None => self.save_as(&batch, project)?,
            Some(pinned) => match save_into(&pinned, &batch) {
                Err(JobError::Store(
                    StoreError::OtherDataset { .. } | StoreError::OtherScale { .. },
                )) if self.options.project.is_none() => {
                    self.save_as(&batch, &self.options.home.project_for(&request.path))?
                }
                saved => saved?,
            },
        };
        context.events().send(Event::Imported(summary.clone()));
        Ok(summary)
    }

    /// Takes a dataset into a project that is made for it, or was made earlier, and opens that.
    fn save_as(&self, batch: &Arc<ImportBatch>, project: &Path) -> Result<ImportSummary, JobError> {
        make_parent(project)?;
        let path = project.to_path_buf();
        let batch = Arc::clone(batch);
        let time = unix_time();
        let summary = self.store.call(move |state| {
            let mut project = Project::open_or_create(&path)?;
            let summary = project.import(&batch, time)?;
            state.take(project, path)?;
            Ok(summary)
        })?;
        if self.options.remember {
            // A note that could not be written costs a click at the next start.
            self.options.home.remember_project(project).ok();
        }
        Ok(summary)
    }

    fn list_models(&self) -> Result<JobReport, JobError> {
        announce_models(&self.store, &self.options)?;
        Ok(JobReport::default())
    }

    /// Looks for every row's file below another folder.
    fn relocate(&self, root: &Path, context: &mut JobContext) -> Result<JobReport, JobError> {
        let root = fs::canonicalize(root).map_err(|source| JobError::File {
            action: "look into the folder",
            source,
            path: root.to_path_buf(),
        })?;
        let root = root.to_string_lossy().into_owned();
        let (catalog, pinned) = self.store.snapshot()?;
        let total = catalog.images.len() as u64;
        let mut states = Vec::with_capacity(catalog.images.len());
        for (done, record) in catalog.images.iter().enumerate() {
            context.progress(done as u64, total, "Looking for pictures")?;
            states.push((record.id, media::probe(&file_of(&root, &record.path))));
        }
        let found = states.iter().filter(|(_, file)| file.is_present()).count();
        if found == 0 {
            let example = catalog.images.first().map(|record| record.path.clone());
            return Err(JobError::NothingThere {
                pictures: states.len(),
                example: example.unwrap_or_default(),
                root: PathBuf::from(root),
            });
        }
        save_root(&pinned, root, states)?;
        Ok(JobReport::of(
            found as u64,
            format!("Found {found} of {total} pictures"),
        ))
    }
}

/// Takes a dataset into the open project.
fn save_into(pinned: &Pinned, batch: &Arc<ImportBatch>) -> Result<ImportSummary, JobError> {
    let batch = Arc::clone(batch);
    let time = unix_time();
    let summary = pinned.call(move |project, _| Ok(project.import(&batch, time)?))?;
    pinned.announce()?;
    Ok(summary)
}

fn save_root(
    pinned: &Pinned,
    root: String,
    states: Vec<(ImageId, FileState)>,
) -> Result<(), JobError> {
    pinned.call(move |project, _| Ok(project.relocate(&root, &states)?))?;
    pinned.announce()
}

/// Whether a path is a project file, by its name or its first bytes.
pub fn is_project(path: &Path) -> bool {
    if path.is_dir() {
        return false;
    }
    if path.extension().is_some_and(|ending| ending == "assay") {
        return true;
    }
    let mut start = [0; SQLITE_MAGIC.len()];
    fs::File::open(path)
        .and_then(|mut file| file.read_exact(&mut start))
        .is_ok_and(|()| start == SQLITE_MAGIC)
}

/// The column names of a table as importing it would read them; none where it cannot be read.
pub fn table_columns(path: &Path) -> Vec<String> {
    let mut columns = dataset::table_header(path).unwrap_or_default();
    columns.retain(|column| !column.is_empty());
    columns
}

fn import_report(summary: &ImportSummary) -> JobReport {
    let words = format!(
        "{} rows: {} with a picture, {} missing, {} unreadable; {} rejected",
        summary.rows, summary.with_file, summary.missing, summary.unreadable, summary.rejected
    );
    JobReport::of(summary.rows as u64, words)
}

/// Seconds since 1970-01-01 UTC.
pub(super) fn unix_time() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs() as i64)
}

/// Milliseconds since 1970-01-01 UTC.
pub(super) fn now_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as i64)
}
