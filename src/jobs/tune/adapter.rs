//! What comes out of a run: the best epoch's adapter among the models, and the words about it.

use std::fs;
use std::path::Path;
use std::path::PathBuf;

use crate::domain::ProjectInfo;
use crate::domain::RunStatus;
use crate::domain::TuneEpoch;
use crate::domain::TuneId;
use crate::domain::TuneRun;
use crate::jobs::context::EventSender;
use crate::jobs::error::JobError;
use crate::jobs::home::Home;
use crate::jobs::message::Event;
use crate::jobs::message::FailedItem;
use crate::jobs::message::JobReport;
use crate::jobs::model_host::announce_models;
use crate::jobs::shelf;
use crate::jobs::store_worker::StoreHandle;
use crate::jobs::workers::WorkerOptions;
use crate::ml::MlError;

use super::runs;

/// Ends a run that was cut off with its best epoch so far, which becomes an adapter among the models.
pub(in crate::jobs) fn take(
    store: &StoreHandle,
    options: &WorkerOptions,
    id: &TuneId,
    events: &EventSender,
) -> Result<JobReport, JobError> {
    let home = &options.home;
    let mut run = runs::find(home, id)?;
    let folder = best(home, &run).filter(|_| run.can_resume());
    let Some(folder) = folder else {
        let reason = match run.can_resume() {
            true => "it has no epoch yet that could be taken: resume it first",
            false => "it has ended, so there is nothing left to take",
        };
        return Err(MlError::Input(format!("{id}: {reason}")).into());
    };
    // Another project than its own says nothing of what it learned from.
    let open = store.snapshot().ok().map(|(catalog, _)| catalog.info);
    let info = open.filter(|info| info.path == run.project);
    place(home, &mut run, &folder, info.as_ref())?;
    run.status = RunStatus::Stopped;
    runs::save(home, &run)?;
    events.send(Event::TuneChanged(Box::new(run.clone())));
    drop_checkpoint(home, &run);
    announce_models(store, options)?;
    Ok(report(&run, Vec::new(), None))
}

/// The adapter of a run's best epoch so far, where one has ended.
fn best(home: &Home, run: &TuneRun) -> Option<PathBuf> {
    let name = format!("best-{}", run.best_epoch?);
    let folder = runs::folder(home, &run.id).join(name);
    folder.is_dir().then_some(folder)
}

/// Puts a run's adapter among the models, and notes where.
pub(super) fn place(
    home: &Home,
    run: &mut TuneRun,
    folder: &Path,
    project: Option<&ProjectInfo>,
) -> Result<(), JobError> {
    let aspects = &run.settings.aspects;
    let aspect = match aspects.as_slice() {
        [only] => Some(*only),
        _ => None,
    };
    let names: Vec<&str> = aspects.iter().map(|aspect| aspect.name()).collect();
    let made = shelf::MadeAdapter {
        name: run.id.0.clone(),
        summary: format!(
            "Tuned here on {} conversations about {} ({} preset, epoch {})",
            run.num_conversations[0],
            names.join(", "),
            run.settings.preset,
            run.best_epoch.unwrap_or(0)
        ),
        aspect,
        project,
        wording: run.wording.clone(),
    };
    let place = shelf::place_adapter(home, folder, made)?;
    run.adapter = Some(place.display().to_string());
    Ok(())
}

/// Takes the checkpoint of a run that has ended away: nobody goes on from it.
pub(super) fn drop_checkpoint(home: &Home, run: &TuneRun) {
    fs::remove_file(runs::folder(home, &run.id).join("checkpoint.safetensors")).ok();
}

/// What a run that has ended came to.
pub(super) fn report(run: &TuneRun, failed: Vec<FailedItem>, note: Option<String>) -> JobReport {
    let of = |epoch: Option<u32>| run.epochs.iter().find(|known| Some(known.epoch) == epoch);
    let words = |epoch: Option<&TuneEpoch>| {
        let Some(epoch) = epoch else {
            return "unknown".to_owned();
        };
        let share = epoch.val.word_accuracy;
        let share = share.map_or_else(String::new, |share| {
            format!(", {:.1} % of words", share * 100.0)
        });
        format!("{:.4}{share}", epoch.val.loss)
    };
    let note = note.map_or_else(String::new, |note| format!("; {note}"));
    JobReport {
        done: run.steps_done,
        failed,
        summary: format!(
            "{} is among the models: best epoch {} of {}, validation loss {} (before: {}){note}",
            run.id,
            run.best_epoch.unwrap_or(0),
            run.epochs.len().saturating_sub(1),
            words(of(run.best_epoch)),
            words(of(Some(0))),
        ),
        ..JobReport::default()
    }
}
