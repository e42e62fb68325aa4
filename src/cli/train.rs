//! `assay train`: trains a predictor for each aspect that was asked for, or goes on with a run that was cut off.

use anyhow::anyhow;
use serde_json::Value;
use serde_json::json;

use crate::cli::args::Common;
use crate::cli::args::TrainArgs;
use crate::cli::exit::Exit;
use crate::cli::output;
use crate::cli::project::figures_json;
use crate::cli::project::figures_words;
use crate::cli::project::has_truth;
use crate::cli::session::Session;
use crate::domain::Aspect;
use crate::domain::Catalog;
use crate::domain::EpochFigures;
use crate::domain::Figures;
use crate::domain::RunId;
use crate::domain::RunRecord;
use crate::domain::RunStatus;
use crate::domain::TrainSettings;
use crate::jobs::message::Event;
use crate::jobs::message::Job;

/// `assay train --project P`.
pub(super) fn train(args: &TrainArgs, common: &Common) -> anyhow::Result<Exit> {
    let session = Session::start(common, None)?;
    let catalog = session.open(&args.project)?;
    let aspects = args.aspect.list.iter().copied();
    let aspects: Vec<Aspect> = aspects
        .filter(|aspect| !args.aspect.all || has_truth(&catalog, *aspect))
        .collect();
    if aspects.is_empty() {
        anyhow::bail!(
            "no picture of the project has a ground truth: import a table with opinion scores"
        );
    }
    let mut num_failed = 0;
    let mut values = Vec::new();
    let mut words = Vec::new();
    for aspect in aspects {
        let settings = settings(args, aspect, common.seed());
        let (run, failed) = train_one(&session, &catalog, settings)?;
        num_failed += failed;
        values.push(run_json(&run));
        words.push(run_words(&run));
    }
    let value = if args.aspect.all {
        Value::Array(values)
    } else {
        values.remove(0)
    };
    output::answer(common.json, &value, &words.join("\n"));
    Ok(Exit::of_batch(num_failed))
}

fn settings(args: &TrainArgs, aspect: Aspect, seed: u64) -> TrainSettings {
    let usual = TrainSettings::new(aspect);
    TrainSettings {
        epochs: args.epochs.unwrap_or(usual.epochs),
        batch_size: args.batch_size.unwrap_or(usual.batch_size),
        learning_rate: args.learning_rate.unwrap_or(usual.learning_rate),
        weight_decay: args.weight_decay.unwrap_or(usual.weight_decay),
        val_fraction: args.val_fraction.unwrap_or(usual.val_fraction),
        seed,
        descriptions: args.descriptions,
        ..usual
    }
}

fn train_one(
    session: &Session,
    catalog: &Catalog,
    settings: TrainSettings,
) -> anyhow::Result<(RunRecord, usize)> {
    let job = match cut_off_run(catalog, &settings) {
        Some(run) => {
            output::say(&format!("Going on with run {}, which was cut off", run.0));
            Job::ResumeTraining(run)
        }
        None => Job::Train(settings),
    };
    let mut last = None;
    let report = session.run(job, &mut |event| match event {
        Event::EpochDone(_, figures) => output::say(&epoch_words(&figures)),
        Event::RunChanged(run) => last = Some(run),
        _ => {}
    })?;
    output::list_failures(&report.failed);
    let run = last.ok_or_else(|| anyhow!("the training said nothing of its run"))?;
    Ok((run, report.failed.len()))
}

/// The newest run with the same settings that did not end.
fn cut_off_run(catalog: &Catalog, settings: &TrainSettings) -> Option<RunId> {
    let runs = catalog.runs.iter().rev();
    runs.filter(|run| run.status == RunStatus::Running)
        .find(|run| run.settings == *settings)
        .map(|run| run.id)
}

fn epoch_words(figures: &EpochFigures) -> String {
    format!(
        "epoch {}: training loss {:.4}, validation loss {:.4}, validation SRCC {}, {:.1} s",
        figures.epoch,
        figures.train_loss,
        figures.val_loss,
        figures
            .val
            .srcc
            .map_or_else(|| "undefined".to_owned(), |srcc| format!("{srcc:.4}")),
        figures.seconds
    )
}

fn best(run: &RunRecord) -> Option<&EpochFigures> {
    let epoch = run.best_epoch?;
    run.epochs.iter().find(|figures| figures.epoch == epoch)
}

fn run_json(run: &RunRecord) -> Value {
    let optional = |figures: Option<&Figures>| figures.map_or(Value::Null, figures_json);
    json!({
        "run": run.id.0,
        "aspect": run.settings.aspect,
        "epochs": run.epochs.len(),
        "best_epoch": run.best_epoch,
        "images": { "train": run.num_images[0], "val": run.num_images[1], "test": run.num_images[2] },
        "val": optional(best(run).map(|figures| &figures.val)),
        "test": optional(run.test_after.as_ref()),
        "test_before": optional(run.test_before.as_ref()),
        "predictor": run.predictor.map(|predictor| predictor.0),
    })
}

fn run_words(run: &RunRecord) -> String {
    let words =
        |figures: Option<&Figures>| figures.map_or_else(|| "none".to_owned(), figures_words);
    format!(
        "run {}, {}: best epoch {} of {}\n  validation: {}\n  test before: {}\n  test after: {}",
        run.id.0,
        run.settings.aspect,
        run.best_epoch
            .map_or_else(|| "none".to_owned(), |epoch| epoch.to_string()),
        run.epochs.len(),
        words(best(run).map(|figures| &figures.val)),
        words(run.test_before.as_ref()),
        words(run.test_after.as_ref()),
    )
}
