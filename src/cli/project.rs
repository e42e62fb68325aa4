//! Work on the pictures of a project: describe, score, evaluate.

use std::path::Path;

use serde_json::Value;
use serde_json::json;

use crate::cli::args::Common;
use crate::cli::args::DescribeArgs;
use crate::cli::args::EvaluateArgs;
use crate::cli::args::Selection;
use crate::cli::args::SplitChoice;
use crate::cli::exit::Exit;
use crate::cli::output;
use crate::cli::session::Session;
use crate::domain::Aspect;
use crate::domain::Catalog;
use crate::domain::Figures;
use crate::domain::ImageId;
use crate::domain::ImageRecord;
use crate::jobs::evaluate as figures;
use crate::jobs::message::FailedItem;
use crate::jobs::message::Job;
use crate::jobs::message::JobReport;

/// `assay describe --project P`.
pub(super) fn describe(args: &DescribeArgs, common: &Common) -> anyhow::Result<Exit> {
    let session = Session::start(common, None)?;
    let catalog = session.open(&args.project)?;
    let again = args.again;
    run_batches(
        &session,
        &catalog,
        &args.selection,
        common,
        |images, aspects| Job::Describe {
            images,
            aspects,
            again,
        },
    )
}

/// `assay score --project P`.
pub(super) fn score(
    project: &Path,
    selection: &Selection,
    common: &Common,
) -> anyhow::Result<Exit> {
    let session = Session::start(common, None)?;
    let catalog = session.open(project)?;
    run_batches(&session, &catalog, selection, common, |images, aspects| {
        Job::Score { images, aspects }
    })
}

/// Runs one job where all aspects mean the same pictures, or one for each aspect where splits differ.
fn run_batches(
    session: &Session,
    catalog: &Catalog,
    selection: &Selection,
    common: &Common,
    job: impl Fn(Vec<ImageId>, Vec<Aspect>) -> Job,
) -> anyhow::Result<Exit> {
    let groups: Vec<Vec<Aspect>> = if selection.split == SplitChoice::All {
        vec![selection.aspect.list.clone()]
    } else {
        let aspects = selection.aspect.list.iter();
        aspects.map(|aspect| vec![*aspect]).collect()
    };
    let mut total = JobReport::default();
    for aspects in groups {
        let images = choose_for(catalog, &aspects, selection.split, common.limit);
        if images.is_empty() {
            continue;
        }
        let report = session.run(job(images, aspects), &mut |_| {})?;
        total.done += report.done;
        total.skipped += report.skipped;
        total.seconds += report.seconds;
        total.failed.extend(report.failed);
    }
    if total.done + total.skipped == 0 && total.failed.is_empty() {
        anyhow::bail!(
            "no picture of the project is in the split {}: choose another one",
            selection.split.name()
        );
    }
    output::list_failures(&total.failed);
    let words = format!(
        "{} done, {} were done already, {} failed, {:.1} s",
        total.done,
        total.skipped,
        total.failed.len(),
        total.seconds
    );
    output::answer(common.json, &report_json(&total), &words);
    Ok(Exit::of_batch(total.failed.len()))
}

/// A batch as `--json` answers it.
pub(super) fn report_json(report: &JobReport) -> Value {
    json!({
        "done": report.done,
        "skipped": report.skipped,
        "failed": report.failed.iter().map(failure_json).collect::<Vec<_>>(),
        "seconds": report.seconds,
    })
}

fn failure_json(item: &FailedItem) -> Value {
    json!({ "path": item.path, "reason": item.reason })
}

/// Pictures that a selection means, for any of its aspects.
pub(super) fn choose(
    catalog: &Catalog,
    selection: &Selection,
    limit: Option<usize>,
) -> Vec<ImageId> {
    choose_for(catalog, &selection.aspect.list, selection.split, limit)
}

fn choose_for(
    catalog: &Catalog,
    aspects: &[Aspect],
    split: SplitChoice,
    limit: Option<usize>,
) -> Vec<ImageId> {
    let is_meant = |record: &&ImageRecord| {
        aspects
            .iter()
            .any(|aspect| split.takes(*record.split.get(*aspect)))
    };
    catalog
        .images
        .iter()
        .filter(is_meant)
        .take(limit.unwrap_or(usize::MAX))
        .map(|record| record.id)
        .collect()
}

/// `assay evaluate --project P`.
pub(super) fn evaluate(args: &EvaluateArgs, common: &Common) -> anyhow::Result<Exit> {
    let session = Session::start(common, None)?;
    let catalog = session.open(&args.project)?;
    let rows: Vec<(Value, String)> = args
        .aspect
        .list
        .iter()
        .filter(|aspect| !args.aspect.all || has_truth(&catalog, **aspect))
        .map(|aspect| evaluate_one(&catalog, *aspect, args.split))
        .collect();
    if rows.is_empty() {
        anyhow::bail!(
            "no picture of the project has a ground truth: import a table with opinion scores"
        );
    }
    let words: Vec<&str> = rows.iter().map(|(_, words)| words.as_str()).collect();
    let words = words.join("\n");
    let mut values: Vec<Value> = rows.iter().map(|(value, _)| value.clone()).collect();
    let value = if args.aspect.all {
        Value::Array(values)
    } else {
        values.remove(0)
    };
    output::answer(common.json, &value, &words);
    Ok(Exit::Done)
}

/// Whether any picture has a ground truth for the aspect.
pub(super) fn has_truth(catalog: &Catalog, aspect: Aspect) -> bool {
    let mut images = catalog.images.iter();
    images.any(|record| record.mos(aspect).is_some())
}

fn evaluate_one(catalog: &Catalog, aspect: Aspect, split: SplitChoice) -> (Value, String) {
    let figures = figures::evaluate(catalog, aspect, |record| {
        split.takes(*record.split.get(aspect))
    });
    let mut value = json!({
        "aspect": aspect,
        "split": split.name(),
        "scale": catalog.info.scale.to_string(),
        "predictor": predictor_name(catalog, aspect),
    });
    if let (Some(value), Value::Object(more)) = (value.as_object_mut(), figures_json(&figures)) {
        value.extend(more);
    }
    let words = format!(
        "{aspect}, {} split, scale {}: {}",
        split.name(),
        catalog.info.scale,
        figures_words(&figures)
    );
    (value, words)
}

fn predictor_name(catalog: &Catalog, aspect: Aspect) -> String {
    let in_use = figures::predictor_in_use(catalog, aspect);
    let card = catalog.predictors.iter().find(|card| card.id == in_use);
    card.map_or_else(|| "embedded".to_owned(), |card| card.name.clone())
}

/// Figures as `--json` answers them: `null` and a reason where one is undefined.
pub(super) fn figures_json(figures: &Figures) -> Value {
    serde_json::to_value(figures).unwrap_or(Value::Null)
}

/// Figures on one line.
pub(super) fn figures_words(figures: &Figures) -> String {
    let named = [
        ("SRCC", figures.srcc),
        ("PLCC", figures.plcc),
        ("PLCC after the 4-parameter fit", figures.plcc_fit4),
        ("after the 5-parameter fit", figures.plcc_fit5),
        ("KRCC", figures.krcc),
        ("RMSE", figures.rmse),
    ];
    let words: Vec<String> = named
        .iter()
        .map(|(name, value)| {
            let value = value.map_or_else(|| "undefined".to_owned(), |value| format!("{value:.4}"));
            format!("{name} {value}")
        })
        .collect();
    let reason = figures
        .reason
        .as_ref()
        .map_or_else(String::new, |reason| format!(" ({reason})"));
    format!("n {}, {}{reason}", figures.n, words.join(", "))
}
