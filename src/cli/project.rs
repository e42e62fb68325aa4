//! Work on the pictures of a project: describe, score, evaluate.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;
use serde_json::json;

use crate::cli::args::Common;
use crate::cli::args::DescribeArgs;
use crate::cli::args::EvaluateArgs;
use crate::cli::args::ScoreArgs;
use crate::cli::args::Selection;
use crate::cli::args::SplitChoice;
use crate::cli::exit::Exit;
use crate::cli::output;
use crate::cli::session::Session;
use crate::domain::Aspect;
use crate::domain::Catalog;
use crate::domain::Figures;
use crate::domain::FileState;
use crate::domain::ImageId;
use crate::domain::ImageRecord;
use crate::domain::PredictorCard;
use crate::domain::WordFigures;
use crate::jobs;
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
pub(super) fn score(project: &Path, args: &ScoreArgs, common: &Common) -> anyhow::Result<Exit> {
    let session = Session::start(common, None)?;
    let catalog = session.open(project)?;
    let descriptions = args.descriptions;
    run_batches(
        &session,
        &catalog,
        &args.selection,
        common,
        |images, aspects| Job::Score {
            images,
            aspects,
            descriptions,
        },
    )
}

/// Runs one job where all aspects mean the same pictures, or one for each aspect where splits differ.
pub(super) fn run_batches(
    session: &Session,
    catalog: &Catalog,
    selection: &Selection,
    common: &Common,
    job: impl Fn(Vec<ImageId>, Vec<Aspect>) -> Job,
) -> anyhow::Result<Exit> {
    let is_one = selection.split == SplitChoice::All || !selection.images.is_empty();
    let groups: Vec<Vec<Aspect>> = if is_one {
        vec![selection.aspect.list.clone()]
    } else {
        let aspects = selection.aspect.list.iter();
        aspects.map(|aspect| vec![*aspect]).collect()
    };
    let chosen: Vec<(Vec<Aspect>, Chosen)> = groups
        .into_iter()
        .map(|aspects| {
            let chosen = Chosen::of(catalog, &aspects, selection, common.limit)?;
            Ok((aspects, chosen))
        })
        .collect::<anyhow::Result<_>>()?;
    let left_out = LeftOut::of(catalog, chosen.iter().map(|(_, chosen)| chosen));
    if chosen.iter().all(|(_, chosen)| chosen.images.is_empty()) {
        anyhow::bail!("{}", left_out.nothing_left(selection.split));
    }
    left_out.say();
    let mut total = JobReport::default();
    for (aspects, chosen) in chosen {
        if chosen.images.is_empty() {
            continue;
        }
        let report = session.run(job(chosen.images, aspects), &mut |_| {})?;
        total.done += report.done;
        total.skipped += report.skipped;
        total.seconds += report.seconds;
        total.failed.extend(report.failed);
    }
    output::list_failures(&total.failed);
    let words = format!(
        "{} done, {} were done already, {} failed, {:.1} s",
        total.done,
        total.skipped,
        total.failed.len(),
        total.seconds
    );
    let mut value = report_json(&total);
    if let Some(value) = value.as_object_mut() {
        value.insert("left_out".to_owned(), left_out.json());
    }
    output::answer(common.json, &value, &words);
    Ok(Exit::of_batch(total.failed.len()))
}

/// Pictures to work on.
struct Chosen {
    images: Vec<ImageId>,
    /// Pictures of the split that are not there or cannot be read. Those that were named are worked on all the same, so
    /// that each is said to have failed.
    absent: Vec<ImageId>,
}

impl Chosen {
    fn of(
        catalog: &Catalog,
        aspects: &[Aspect],
        selection: &Selection,
        limit: Option<usize>,
    ) -> anyhow::Result<Self> {
        let all = usize::MAX;
        if !selection.images.is_empty() {
            let mut images = choose_for(catalog, aspects, selection, None)?;
            images.truncate(limit.unwrap_or(all));
            let absent = Vec::new();
            return Ok(Self { images, absent });
        }
        let is_there: BTreeSet<ImageId> = catalog
            .images
            .iter()
            .filter(|record| record.file.is_present())
            .map(|record| record.id)
            .collect();
        let meant = choose_for(catalog, aspects, selection, None)?;
        let (mut images, absent): (Vec<_>, Vec<_>) = meant
            .into_iter()
            .partition(|image| is_there.contains(image));
        images.truncate(limit.unwrap_or(all));
        Ok(Self { images, absent })
    }
}

/// Pictures that a batch leaves out because there is nothing to look at, each counted once.
struct LeftOut {
    missing: usize,
    unreadable: usize,
}

impl LeftOut {
    fn of<'a>(catalog: &Catalog, chosen: impl Iterator<Item = &'a Chosen>) -> Self {
        let absent: BTreeSet<ImageId> = chosen.flat_map(|chosen| &chosen.absent).copied().collect();
        let rows = catalog.images.iter().filter(|row| absent.contains(&row.id));
        let is_missing = |row: &&ImageRecord| matches!(row.file, FileState::Missing { .. });
        let missing = rows.filter(is_missing).count();
        Self {
            missing,
            unreadable: absent.len() - missing,
        }
    }

    fn json(&self) -> Value {
        json!({ "missing": self.missing, "unreadable": self.unreadable })
    }

    /// One line for each kind, with what to do.
    fn say(&self) {
        if self.missing > 0 {
            output::say(&format!(
                "{} missing, left out: if they were moved, `assay relocate FOLDER --project P` finds them",
                images_words(self.missing)
            ));
        }
        if self.unreadable > 0 {
            output::say(&format!(
                "{} unreadable, left out: the table of `assay export` says why",
                images_words(self.unreadable)
            ));
        }
    }

    fn nothing_left(&self, split: SplitChoice) -> String {
        if self.missing + self.unreadable == 0 {
            return format!(
                "no picture of the project is in the split {}: choose another one",
                split.name()
            );
        }
        format!(
            "nothing to look at: {} missing and {} unreadable; if they were moved, `assay relocate FOLDER --project P` finds them",
            images_words(self.missing),
            self.unreadable
        )
    }
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

/// Pictures that a selection means, for any of its aspects, whether they are there or not.
pub(super) fn choose(
    catalog: &Catalog,
    selection: &Selection,
    limit: Option<usize>,
) -> anyhow::Result<Vec<ImageId>> {
    choose_for(catalog, &selection.aspect.list, selection, limit)
}

fn choose_for(
    catalog: &Catalog,
    aspects: &[Aspect],
    selection: &Selection,
    limit: Option<usize>,
) -> anyhow::Result<Vec<ImageId>> {
    let is_meant = |record: &&ImageRecord| {
        let mut aspects = aspects.iter();
        aspects.any(|aspect| selection.split.takes(*record.split.get(*aspect)))
    };
    let named = named(catalog, &selection.images)?;
    let is_named = |record: &&ImageRecord| named.is_empty() || named.contains(&record.id);
    Ok(catalog
        .images
        .iter()
        .filter(is_named)
        .filter(is_meant)
        .take(limit.unwrap_or(usize::MAX))
        .map(|record| record.id)
        .collect())
}

/// The pictures of these paths; a path that is in no row is a mistake of whoever wrote it.
pub(super) fn named(catalog: &Catalog, paths: &[String]) -> anyhow::Result<BTreeSet<ImageId>> {
    let by_path = |path: &String| {
        let mut rows = catalog.images.iter();
        let found = rows.find(|record| record.path == path.replace('\\', "/"));
        found.map(|record| record.id).ok_or_else(|| {
            let example = catalog.images.first();
            let example = example.map_or("", |record| record.path.as_str());
            anyhow::anyhow!(
                "the project has no picture {path}: write its path as the project does, such as {example}"
            )
        })
    };
    paths.iter().map(by_path).collect()
}

/// `assay evaluate --project P`.
pub(super) fn evaluate(args: &EvaluateArgs, common: &Common) -> anyhow::Result<Exit> {
    let session = Session::start(common, None)?;
    let catalog = session.open(&args.project)?;
    let embedded = session.embedded_predictors()?;
    let rows: Vec<(Value, String)> = args
        .aspect
        .list
        .iter()
        .filter(|aspect| !args.aspect.all || has_truth(&catalog, **aspect))
        .map(|aspect| {
            let mut row = evaluate_one(&catalog, &embedded, *aspect, args.split);
            if args.words {
                add_speakers(&catalog, *aspect, args.split, &mut row);
            }
            row
        })
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

fn evaluate_one(
    catalog: &Catalog,
    embedded: &[PredictorCard],
    aspect: Aspect,
    split: SplitChoice,
) -> (Value, String) {
    let mut figures = figures::evaluate(catalog, aspect, |record| {
        split.takes(*record.split.get(aspect))
    });
    let card = figures::card_in_use(catalog, embedded, aspect);
    if card.is_none() && figures.n == 0 {
        figures.reason = Some(format!(
            "nothing scores {aspect} from the model and wording in use: train a predictor"
        ));
    }
    let mut value = json!({
        "aspect": aspect,
        "split": split.name(),
        "scale": catalog.info.scale.to_string(),
        "predictor": card.map(|card| &card.name),
        "ground_truth": catalog.truth_name(aspect),
    });
    if let (Some(value), Value::Object(more)) = (value.as_object_mut(), figures_json(&figures)) {
        value.extend(more);
    }
    let words = format!(
        "{aspect}, {} split, scale {}, {}, held against {}: {}",
        split.name(),
        catalog.info.scale,
        card.map_or("no predictor", |card| card.name.as_str()),
        catalog.truth_name(aspect),
        figures_words(&figures)
    );
    (value, words)
}

/// What every model said of these pictures, beside the scores.
fn add_speakers(
    catalog: &Catalog,
    aspect: Aspect,
    split: SplitChoice,
    (value, words): &mut (Value, String),
) {
    let split = match split {
        SplitChoice::All => None,
        SplitChoice::One(split) => Some(split),
    };
    let found = jobs::speakers(catalog, aspect, split);
    value["images"] = json!(found.num_images);
    value["models"] = json!(found.speakers);
    if found.speakers.is_empty() {
        words.push_str("\n  no model has described any of these pictures");
    }
    for speaker in &found.speakers {
        let line = format!(
            "\n  {}: {}; scores of its descriptions: {}",
            speaker.name,
            word_figures(&speaker.words),
            figures_words(&speaker.scores)
        );
        words.push_str(&line);
    }
}

fn word_figures(figures: &WordFigures) -> String {
    let named = [
        ("word accuracy", figures.accuracy),
        ("rough accuracy", figures.rough_accuracy),
        ("weighted precision", figures.precision),
        ("weighted F1", figures.f1),
    ];
    let without = match figures.without_word {
        0 => String::new(),
        num => format!(", {num} answers without a word count as wrong"),
    };
    let reason = figures
        .reason
        .as_ref()
        .map_or_else(String::new, |reason| format!(" ({reason})"));
    format!("n {}, {}{without}{reason}", figures.n, named_words(&named))
}

/// Figures beside their names.
fn named_words(named: &[(&str, Option<f64>)]) -> String {
    let words = named.iter().map(|(name, value)| match value {
        Some(value) => format!("{name} {value:.4}"),
        None => format!("{name} undefined"),
    });
    words.collect::<Vec<_>>().join(", ")
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
    let reason = figures
        .reason
        .as_ref()
        .map_or_else(String::new, |reason| format!(" ({reason})"));
    format!("n {}, {}{reason}", figures.n, named_words(&named))
}

/// "1 image", "120 images".
pub(super) fn images_words(count: usize) -> String {
    match count {
        1 => "1 image".to_owned(),
        count => format!("{count} images"),
    }
}
