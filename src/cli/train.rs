//! `assay train`: trains a predictor for each aspect that was asked for, or goes on with a run that was cut off.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use anyhow::anyhow;
use serde_json::Value;
use serde_json::json;

use crate::cli::args::Common;
use crate::cli::exit::Exit;
use crate::cli::output;
use crate::cli::project::figures_json;
use crate::cli::project::figures_words;
use crate::cli::project::has_truth;
use crate::cli::session::Session;
use crate::cli::study;
use crate::cli::train_args::TrainArgs;
use crate::domain::Aspect;
use crate::domain::Catalog;
use crate::domain::EpochFigures;
use crate::domain::Figures;
use crate::domain::LearnFrom;
use crate::domain::RunId;
use crate::domain::RunRecord;
use crate::domain::RunStatus;
use crate::domain::TrainSettings;
use crate::jobs::message::Event;
use crate::jobs::message::Job;
use crate::stats;

/// `assay train --project P`.
pub(super) fn train(args: &TrainArgs, common: &Common) -> anyhow::Result<Exit> {
    let faults = args.faults();
    if !faults.is_empty() {
        let reason = faults.join("\n");
        output::say(&format!("assay: {reason}"));
        if common.json {
            output::answer(true, &json!({ "error": reason }), "");
        }
        return Ok(Exit::Usage);
    }
    let session = Session::start(common, None)?;
    let catalog = session.open(&args.project)?;
    let from = learn_from(args, &catalog)?;
    let aspects = learnable(args, &catalog, &from);
    if aspects.is_empty() {
        anyhow::bail!(
            "no picture of the project has a ground truth: import a table with opinion scores"
        );
    }
    let mut num_failed = 0;
    let mut values = Vec::new();
    let mut words = Vec::new();
    for aspect in aspects {
        let dataset = catalog.info.dataset.as_str();
        let settings = args.settings((aspect, dataset), common.seed(), from.clone());
        let plan = match args.fit.folds {
            None => vec![settings],
            Some(num) => settings.folds(num),
        };
        let mut runs = Vec::with_capacity(plan.len());
        for settings in plan {
            let (run, failed) = train_one(&session, &catalog, settings)?;
            num_failed += failed;
            words.push(run_words(&run));
            runs.push(run);
        }
        if args.fit.folds.is_some() {
            let (value, said) = folds(&runs);
            values.push(value);
            words.push(said);
        } else {
            values.extend(runs.iter().map(run_json));
        }
    }
    let is_list = args.aspect.all || args.aspect.list.len() > 1;
    let value = if is_list {
        Value::Array(values)
    } else {
        values.remove(0)
    };
    output::answer(common.json, &value, &words.join("\n"));
    Ok(Exit::of_batch(num_failed))
}

/// The aspects that were asked for; of all, those that there are opinions of.
fn learnable(args: &TrainArgs, catalog: &Catalog, from: &LearnFrom) -> Vec<Aspect> {
    let study = from.study.and_then(|id| catalog.study(id));
    let mut aspects = args.aspect.list.clone();
    if args.aspect.all {
        aspects.retain(|aspect| match study {
            Some(study) => study.protocol.aspects.contains(aspect),
            None => has_truth(catalog, *aspect),
        });
    }
    aspects
}

/// A cross-validation: its runs, and mean and standard deviation over them of each figure.
fn folds(runs: &[RunRecord]) -> (Value, String) {
    type Pick = fn(&Figures) -> Option<f64>;
    const PICKS: [(&str, Pick); 3] = [
        ("srcc", |figures| figures.srcc),
        ("plcc", |figures| figures.plcc),
        ("rmse", |figures| figures.rmse),
    ];
    let mut value = json!({ "runs": runs.iter().map(run_json).collect::<Vec<_>>() });
    let mut words = format!("{} folds", runs.len());
    let val: Vec<&Figures> = runs.iter().filter_map(best).map(|best| &best.val).collect();
    let test: Vec<&Figures> = runs
        .iter()
        .filter_map(|run| run.test_after.as_ref())
        .collect();
    for (part, figures) in [("val", val), ("test", test)] {
        let mut of_part = serde_json::Map::new();
        for (name, pick) in PICKS {
            let values: Vec<f64> = figures.iter().copied().filter_map(pick).collect();
            let spread = stats::mean_and_deviation(&values).ok();
            let said = spread.map_or_else(
                || "undefined".to_owned(),
                |(mean, deviation)| format!("{mean:.4} ± {deviation:.4}"),
            );
            write!(words, "\n  {part} {name} {said} over {}", values.len()).ok();
            let spread =
                spread.map(|(mean, sd)| json!({ "mean": mean, "sd": sd, "n": values.len() }));
            of_part.insert(name.to_owned(), spread.unwrap_or(Value::Null));
        }
        value[part] = Value::Object(of_part);
    }
    (value, words)
}

/// The pictures that were asked for. A generator, a tag or a study that the project does not have is a mistake.
fn learn_from(args: &TrainArgs, catalog: &Catalog) -> anyhow::Result<LearnFrom> {
    let from = &args.from;
    for wanted in &from.generators {
        let known = catalog
            .images
            .iter()
            .filter_map(|row| row.generator.as_ref());
        known_word("generator", wanted, known)?;
    }
    if let Some(wanted) = &from.tag {
        known_word(
            "tag",
            wanted,
            catalog.images.iter().flat_map(|row| &row.tags),
        )?;
    }
    let study = from
        .study
        .as_deref()
        .map(|wanted| study::choose(catalog, Some(wanted)));
    Ok(LearnFrom {
        generators: from.generators.clone(),
        tag: from.tag.clone(),
        study: study.transpose()?.map(|study| study.id),
    })
}

fn known_word<'a>(
    noun: &str,
    wanted: &String,
    known: impl Iterator<Item = &'a String>,
) -> anyhow::Result<()> {
    let known: BTreeSet<&String> = known.collect();
    if known.contains(wanted) {
        return Ok(());
    }
    if known.is_empty() {
        anyhow::bail!("no picture of the project has a {noun}: leave {wanted:?} out");
    }
    let words: Vec<&str> = known.iter().map(|word| word.as_str()).collect();
    anyhow::bail!(
        "there is no {noun} {wanted:?}: there are {}",
        words.join(", ")
    )
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
        "head": run.settings.head.kind,
        "pooling": run.settings.head.pooling,
        "selected_on": run.settings.selection.name(),
        "fold": run.settings.fold,
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
