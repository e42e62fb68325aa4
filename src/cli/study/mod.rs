//! `assay study`: subjective studies without a window: made, listed, counted, written, read, packed and merged.

pub(super) mod args;
mod create;
mod files;
mod stats;

use serde_json::Value;
use serde_json::json;

use crate::cli::args::Common;
use crate::cli::exit::Exit;
use crate::cli::output;
use crate::cli::session::Session;
use crate::cli::study::args::StudyAction;
use crate::domain::Aspect;
use crate::domain::Catalog;
use crate::domain::Study;
use crate::domain::Vote;
use crate::domain::study::standing;
use crate::export::ratings::StudyRecord;
use crate::jobs::message::Job;

/// `assay study ACTION`.
pub(super) fn study(action: &StudyAction, common: &Common) -> anyhow::Result<Exit> {
    match action {
        StudyAction::List { project } => {
            let catalog = Session::start(common, None)?.open(project)?;
            list(&catalog, common);
            Ok(Exit::Done)
        }
        StudyAction::Create(args) => create::create(args, common),
        StudyAction::Stats(args) => stats::stats(args, common),
        StudyAction::Report(args) => files::report(args, common),
        StudyAction::Export(args) => files::export(args, common),
        StudyAction::Import(args) => files::import(args, common),
        StudyAction::Package { chosen, out } => files::package(chosen, out, common),
        StudyAction::Merge { file, project } => files::merge(file, project, common),
        StudyAction::Use(args) => use_as_truth(args, common),
    }
}

fn list(catalog: &Catalog, common: &Common) {
    let rows: Vec<(Value, String)> = catalog
        .studies
        .iter()
        .map(|study| described(catalog, study))
        .collect();
    let mut words: Vec<String> = rows.iter().map(|(_, words)| words.clone()).collect();
    if words.is_empty() {
        words.push("no study yet: make one with `assay study create`".to_owned());
    }
    let values: Vec<Value> = rows.into_iter().map(|(value, _)| value).collect();
    output::answer(common.json, &Value::Array(values), &words.join("\n"));
}

/// A study as `--json` answers it, and on one line.
fn described(catalog: &Catalog, study: &Study) -> (Value, String) {
    let protocol = &study.protocol;
    let record = record(catalog, study);
    let standing = standing(record.votes.iter().copied());
    let is_counted = |vote: &&&Vote| !vote.is_training && !vote.is_repeat;
    let num_votes = standing.iter().filter(is_counted).count();
    let raters: std::collections::BTreeSet<&str> =
        standing.iter().map(|vote| vote.rater.as_str()).collect();
    let truth_of: Vec<Aspect> = catalog
        .settings
        .ground_truth
        .iter()
        .filter(|(_, truth)| **truth == Some(study.id))
        .map(|(aspect, _)| aspect)
        .collect();
    let value = json!({
        "study": study.id.0,
        "name": protocol.name,
        "method": protocol.method.name(),
        "scale": protocol.method.scale().to_string(),
        "aspects": protocol.aspects,
        "pictures": protocol.rated_pictures().len(),
        "training": protocol.training.len(),
        "raters": raters.len(),
        "votes": num_votes,
        "is_frozen": study.is_frozen,
        "is_quick": study.is_quick,
        "ground_truth_of": truth_of,
        "protocol_sha256": study.hash,
    });
    let aspects: Vec<&str> = protocol
        .aspects
        .iter()
        .map(|aspect| aspect.name())
        .collect();
    let pictures = if study.is_quick {
        "an open list of pictures".to_owned()
    } else {
        format!("{} pictures", protocol.rated_pictures().len())
    };
    let state = if study.is_frozen {
        "frozen"
    } else {
        "no votes yet"
    };
    let mut words = format!(
        "{} {}: {} of {}, {pictures}, {} raters, {num_votes} votes, {state}",
        study.id.0,
        protocol.name,
        protocol.method,
        aspects.join(", "),
        raters.len(),
    );
    for aspect in truth_of {
        words.push_str("; ground truth of ");
        words.push_str(aspect.name());
    }
    (value, words)
}

/// A study of a catalog with all that its files are made from.
fn record<'a>(catalog: &'a Catalog, study: &'a Study) -> StudyRecord<'a> {
    StudyRecord::new(
        study,
        &catalog.votes,
        &catalog.images,
        &catalog.info.dataset,
    )
}

/// The study that is meant: by number or name, or the only one where nothing was said.
pub(super) fn choose<'a>(catalog: &'a Catalog, wanted: Option<&str>) -> anyhow::Result<&'a Study> {
    let studies = &catalog.studies;
    let names = || {
        let names: Vec<String> = studies
            .iter()
            .map(|study| format!("{} ({})", study.id.0, study.protocol.name))
            .collect();
        if names.is_empty() {
            "none; make one with `assay study create`".to_owned()
        } else {
            names.join(", ")
        }
    };
    let Some(wanted) = wanted else {
        // Quick rating is there by itself, and meant only where it is named or alone.
        let own: Vec<&Study> = studies.iter().filter(|study| !study.is_quick).collect();
        let list = if own.is_empty() {
            studies.iter().collect()
        } else {
            own
        };
        return match list.as_slice() {
            [only] => Ok(only),
            _ => anyhow::bail!("say which study with --study: there are {}", names()),
        };
    };
    let by_id = wanted.parse().ok();
    let is_meant = |study: &&Study| Some(study.id.0) == by_id;
    let is_named = |study: &&Study| study.protocol.name.trim() == wanted.trim();
    let found = studies
        .iter()
        .find(is_meant)
        .or_else(|| studies.iter().find(is_named));
    found.ok_or_else(|| anyhow::anyhow!("there is no study {wanted:?}: there are {}", names()))
}

fn use_as_truth(args: &args::UseArgs, common: &Common) -> anyhow::Result<Exit> {
    let session = Session::start(common, None)?;
    let catalog = session.open(&args.project)?;
    let study = match (&args.study, args.own) {
        (_, true) => None,
        (wanted, false) => Some(choose(&catalog, wanted.as_deref())?.id),
    };
    let job = Job::UseStudyAsTruth {
        aspect: args.aspect,
        study,
    };
    let report = session.run(job, &mut |_| {})?;
    let catalog = session.open(&args.project)?;
    let num_rated = catalog
        .images
        .iter()
        .filter(|image| image.mos(args.aspect).is_some())
        .count();
    let value = json!({
        "aspect": args.aspect,
        "study": study.map(|study| study.0),
        "ground_truth": catalog.truth_name(args.aspect),
        "pictures": num_rated,
    });
    let words = format!("{}: {num_rated} pictures have a MOS", report.summary);
    output::answer(common.json, &value, &words);
    Ok(Exit::Done)
}
