//! `assay use`: what a project works with, and what it could work with.

use std::path::Path;
use std::path::PathBuf;

use serde_json::Value;
use serde_json::json;

use crate::cli::args::Common;
use crate::cli::args::UseArgs;
use crate::cli::exit::Exit;
use crate::cli::output;
use crate::cli::project::figures_words;
use crate::cli::session::Session;
use crate::domain::Aspect;
use crate::domain::PredictorCard;
use crate::domain::PredictorId;
use crate::jobs;
use crate::jobs::evaluate::card_in_use;
use crate::jobs::message::Job;
use crate::jobs::message::JobReport;

/// The word for the predictors inside the program.
const EMBEDDED: &str = "embedded";

/// The word that takes an adapter out.
const NONE: &str = "none";

/// `assay use`.
pub(super) fn choose(what: &UseArgs, common: &Common) -> anyhow::Result<Exit> {
    let session = Session::start(common, None)?;
    match what {
        UseArgs::Predictor {
            which: None,
            project,
            aspect,
        } => list_predictors(&session, project, *aspect, common),
        UseArgs::Predictor {
            which: Some(which),
            project,
            aspect,
        } => use_predictor(&session, project, *aspect, which, common),
        UseArgs::Model { which, project } => use_model(&session, project, which.as_deref(), common),
        UseArgs::Adapter {
            which,
            project,
            aspect,
        } => use_adapter(&session, project, *aspect, which.as_deref(), common),
        UseArgs::Preset { which, project } => {
            use_preset(&session, project, which.as_deref(), common)
        }
    }
}

fn list_predictors(
    session: &Session,
    project: &Path,
    aspect: Aspect,
    common: &Common,
) -> anyhow::Result<Exit> {
    let catalog = session.open(project)?;
    let embedded = session.embedded_predictors()?;
    let in_use = card_in_use(&catalog, &embedded, aspect);
    let cards: Vec<&PredictorCard> = catalog
        .predictors
        .iter()
        .chain(&embedded)
        .filter(|card| card.aspect == aspect)
        .collect();
    let words: Vec<String> = cards
        .iter()
        .map(|card| predictor_words(card, in_use == Some(card)))
        .collect();
    let words = match words.is_empty() {
        true => format!("nothing scores {aspect}: train a predictor"),
        false => words.join("\n"),
    };
    let value = json!({ "aspect": aspect, "in_use": in_use, "predictors": cards });
    output::answer(common.json, &value, &words);
    Ok(Exit::Done)
}

fn predictor_words(card: &PredictorCard, is_in_use: bool) -> String {
    let number = match card.id {
        PredictorId(0) => EMBEDDED.to_owned(),
        PredictorId(number) => number.to_string(),
    };
    let test = card.test.as_ref().map_or_else(
        || "not tested".to_owned(),
        |test| format!("test: {}", figures_words(test)),
    );
    format!(
        "{} {number}: {} ({}, {}; {}, model {}, wording {})\n    {test}",
        if is_in_use { "*" } else { " " },
        card.name,
        card.dataset,
        card.split,
        card.scale,
        card.model.name,
        card.preset,
    )
}

fn use_predictor(
    session: &Session,
    project: &Path,
    aspect: Aspect,
    which: &str,
    common: &Common,
) -> anyhow::Result<Exit> {
    let job = match which {
        EMBEDDED => Job::UsePredictor {
            aspect,
            predictor: None,
        },
        other => match other.parse() {
            Ok(number) => Job::UsePredictor {
                aspect,
                predictor: Some(PredictorId(number)),
            },
            Err(_) => Job::AddPredictor {
                path: other.into(),
                aspect: Some(aspect),
            },
        },
    };
    session.open(project)?;
    let report = session.run(job, &mut |_| {})?;
    output::list_failures(&report.failed);
    answer(
        json!({ "aspect": aspect, "predictor": which }),
        &report,
        common,
    );
    Ok(Exit::of_batch(report.failed.len()))
}

fn use_model(
    session: &Session,
    project: &Path,
    which: Option<&Path>,
    common: &Common,
) -> anyhow::Result<Exit> {
    session.open(project)?;
    let (models, _) = session.models()?;
    let Some(which) = which else {
        let words: Vec<String> = models
            .iter()
            .enumerate()
            .map(|(position, card)| {
                let mark = if position == 0 { "*" } else { " " };
                format!("{mark} {}: {}", card.tag.name, card.summary)
            })
            .collect();
        let value = json!({ "in_use": models.first(), "models": models });
        output::answer(common.json, &value, &words.join("\n"));
        return Ok(Exit::Done);
    };
    let is_embedded = |card: &&crate::domain::ModelCard| card.folder.is_none();
    let embedded = models.iter().find(is_embedded).map(|card| &card.tag.name);
    let is_name = !which.is_dir() && embedded.is_some_and(|name| which == Path::new(name));
    // A folder is kept by its whole path, because the next command may be given elsewhere.
    let folder = match is_name {
        true => None,
        false => Some(std::fs::canonicalize(which).unwrap_or(PathBuf::from(which))),
    };
    let report = session.run(Job::UseModel { folder }, &mut |_| {})?;
    answer(json!({ "model": which }), &report, common);
    Ok(Exit::Done)
}

fn use_adapter(
    session: &Session,
    project: &Path,
    aspect: Aspect,
    which: Option<&Path>,
    common: &Common,
) -> anyhow::Result<Exit> {
    let catalog = session.open(project)?;
    let Some(which) = which else {
        let in_use = catalog.settings.adapter.get(aspect);
        let words = in_use.as_deref().map_or_else(
            || format!("no adapter of the project's goes into the model for {aspect}"),
            |name| format!("* {name}"),
        );
        let value = json!({ "aspect": aspect, "in_use": in_use });
        output::answer(common.json, &value, &words);
        return Ok(Exit::Done);
    };
    // A folder is kept by its whole path, because the next command may be given elsewhere.
    let adapter = (which != Path::new(NONE)).then(|| match which.is_dir() {
        true => std::fs::canonicalize(which).unwrap_or_else(|_| which.to_owned()),
        false => which.to_owned(),
    });
    let job = Job::UseAdapter { aspect, adapter };
    let report = session.run(job, &mut |_| {})?;
    answer(
        json!({ "aspect": aspect, "adapter": which }),
        &report,
        common,
    );
    Ok(Exit::Done)
}

fn use_preset(
    session: &Session,
    project: &Path,
    which: Option<&str>,
    common: &Common,
) -> anyhow::Result<Exit> {
    let catalog = session.open(project)?;
    let presets = jobs::presets(&catalog);
    let Some(which) = which else {
        let default = presets.first().map(|preset| &preset.name);
        let in_use = catalog.settings.preset.as_ref().or(default);
        let words: Vec<String> = presets
            .iter()
            .map(|preset| {
                let mark = if in_use == Some(&preset.name) {
                    "*"
                } else {
                    " "
                };
                format!("{mark} {}\n    {}", preset.name, preset.quality.request)
            })
            .collect();
        let value = json!({ "in_use": in_use, "presets": presets });
        output::answer(common.json, &value, &words.join("\n"));
        return Ok(Exit::Done);
    };
    let preset = Some(which.to_owned());
    let report = session.run(Job::UsePreset { preset }, &mut |_| {})?;
    answer(json!({ "preset": which }), &report, common);
    Ok(Exit::Done)
}

/// What was chosen, and what came of it.
fn answer(mut value: Value, report: &JobReport, common: &Common) {
    if let Some(value) = value.as_object_mut() {
        value.insert("summary".to_owned(), json!(report.summary));
    }
    output::answer(common.json, &value, &report.summary);
}
