//! A command's hold on the workers: hands in one job, shows how it goes, and waits for its end.

use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context as _;
use anyhow::anyhow;
use anyhow::bail;

use crate::cli::args::Common;
use crate::cli::output::Bar;
use crate::domain::Catalog;
use crate::domain::ModelCard;
use crate::domain::Operation;
use crate::domain::PredictorCard;
use crate::domain::Vote;
use crate::jobs;
use crate::jobs::Home;
use crate::jobs::WorkerOptions;
use crate::jobs::Workers;
use crate::jobs::message::Event;
use crate::jobs::message::Job;
use crate::jobs::message::JobReport;

/// How often an idle wait looks whether Ctrl-C was pressed.
const STOP_LOOK: Duration = Duration::from_millis(100);

/// Workers, and the wish to stop.
pub(super) struct Session {
    workers: Workers,
    stop: Stop,
}

/// What undo and redo would do.
#[derive(Debug, Default)]
pub(super) struct Turns {
    pub(super) undo: Option<Operation>,
    pub(super) redo: Option<Operation>,
}

/// Set once Ctrl-C was pressed.
#[derive(Clone)]
pub(super) struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Whether it was pressed.
    pub(super) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Listens for Ctrl-C from now on: the work ends in order instead of being cut off.
pub(super) fn stop_on_ctrl_c() -> anyhow::Result<Stop> {
    let stop = Stop(Arc::new(AtomicBool::new(false)));
    let pressed = stop.clone();
    ctrlc::set_handler(move || pressed.0.store(true, Ordering::Relaxed))
        .context("cannot listen for Ctrl-C")?;
    Ok(stop)
}

impl Session {
    /// Starts the workers; `project` is where a dataset that is opened keeps its project.
    pub(super) fn start(common: &Common, project: Option<PathBuf>) -> anyhow::Result<Self> {
        let options = worker_options(common, project)?;
        let stop = stop_on_ctrl_c()?;
        let workers = Workers::start(options, Arc::new(|| {}))?;
        Ok(Self { workers, stop })
    }

    /// Opens a project file and answers what is in it.
    pub(super) fn open(&self, path: &Path) -> anyhow::Result<Catalog> {
        if path.exists() && !jobs::is_project(path) {
            bail!(
                "this is no project: import it into one with `assay import`: {}",
                path.display()
            );
        }
        let mut catalog = None;
        let job = Job::Open {
            path: path.to_path_buf(),
        };
        self.run(job, &mut |event| {
            if let Event::ProjectOpened(opened) = event {
                catalog = Some(*opened);
            }
        })?;
        catalog.ok_or_else(|| anyhow!("nothing was opened: {}", path.display()))
    }

    /// The predictors of the program that read the model in use.
    pub(super) fn embedded_predictors(&self) -> anyhow::Result<Vec<PredictorCard>> {
        Ok(self.models()?.1)
    }

    /// The models that there are, the one in use first, and the predictors of the program that read it.
    pub(super) fn models(&self) -> anyhow::Result<(Vec<ModelCard>, Vec<PredictorCard>)> {
        let (mut models, mut predictors) = (Vec::new(), Vec::new());
        self.run(Job::ListModels, &mut |event| match event {
            Event::Models(cards) => models = cards,
            Event::EmbeddedPredictors(cards) => predictors = cards,
            _ => {}
        })?;
        Ok((models, predictors))
    }

    /// Hands in a job that changes the project; answers its report and what the project says of undoing.
    pub(super) fn change(&self, job: Job) -> anyhow::Result<(JobReport, Turns)> {
        let mut turns = Turns::default();
        let report = self.run(job, &mut |event| match event {
            Event::UndoChanged { undo, redo } => turns = Turns { undo, redo },
            Event::ProjectOpened(catalog) => {
                turns = Turns {
                    undo: catalog.undo,
                    redo: catalog.redo,
                }
            }
            _ => {}
        })?;
        Ok((report, turns))
    }

    /// Hands a vote in and waits until it is saved.
    pub(super) fn vote(&self, vote: Vote) -> anyhow::Result<Vote> {
        let token = vote.token;
        let job = self.workers.submit(Job::Vote(vote));
        loop {
            match self.workers.events().recv() {
                Ok(Event::Voted(stored)) if stored.token == token => return Ok(stored),
                Ok(Event::JobFailed(failed, reason)) if failed == job => bail!(reason),
                Ok(_) => {}
                Err(_) => bail!("the workers have stopped"),
            }
        }
    }

    /// Hands a quiet job in and waits for its answer, which `pick` knows.
    pub(super) fn ask<T>(
        &self,
        job: Job,
        mut pick: impl FnMut(Event) -> Option<T>,
    ) -> anyhow::Result<T> {
        let id = self.workers.submit(job);
        loop {
            if self.stop.is_set() {
                self.workers.stop_all();
                bail!("stopped on request");
            }
            match self.workers.events().recv_timeout(STOP_LOOK) {
                Ok(Event::JobFailed(failed, reason)) if failed == id => bail!(reason),
                Ok(event) => {
                    if let Some(answer) = pick(event) {
                        return Ok(answer);
                    }
                }
                Err(error) if error.is_timeout() => {}
                Err(_) => bail!("the workers have stopped"),
            }
        }
    }

    /// Hands a job in and waits for its end; `on_event` sees everything else that happens.
    pub(super) fn run(
        &self,
        job: Job,
        on_event: &mut dyn FnMut(Event),
    ) -> anyhow::Result<JobReport> {
        let id = self.workers.submit(job);
        let mut bar = Bar::new();
        let ended = loop {
            if self.stop.is_set() {
                self.workers.stop_all();
            }
            let event = match self.workers.events().recv_timeout(STOP_LOOK) {
                Ok(event) => event,
                Err(error) if error.is_timeout() => continue,
                Err(_) => break Err(anyhow!("the workers have stopped")),
            };
            match event {
                Event::JobProgress(job, progress) if job == id => bar.show(&progress),
                Event::JobDone(job, report) if job == id => break Ok(report),
                Event::JobFailed(job, reason) if job == id => break Err(anyhow!(reason)),
                Event::Notice(words) => bar.say(&words),
                event => on_event(event),
            }
        };
        bar.clear();
        let report = ended?;
        if report.cancelled {
            bail!(
                "stopped on request: what was done is saved, the same command goes on from there"
            );
        }
        Ok(report)
    }
}

/// Common flags as the workers want them.
pub(super) fn worker_options(
    common: &Common,
    project: Option<PathBuf>,
) -> anyhow::Result<WorkerOptions> {
    Ok(WorkerOptions {
        device: common.device.clone(),
        model: common.model.clone(),
        dtype: common.dtype.0,
        adapter: common.adapter.clone(),
        project,
        seed: common.seed(),
        ..WorkerOptions::new(Home::find()?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_given_up_on_ctrl_c() {
        let home = tempfile::tempdir().unwrap();
        let options = WorkerOptions::new(Home::at(home.path().to_path_buf()));
        let session = Session {
            workers: Workers::start(options, Arc::new(|| {})).unwrap(),
            stop: Stop(Arc::new(AtomicBool::new(true))),
        };
        let asked = session.ask(Job::ListTunings, |_| None::<()>);
        assert_eq!(asked.unwrap_err().to_string(), "stopped on request");
    }
}
