//! `assay models`: what there is, and whether it works.

use serde_json::json;

use crate::cli::args::Common;
use crate::cli::args::ModelsAction;
use crate::cli::exit::Exit;
use crate::cli::output;
use crate::cli::session;
use crate::domain::ModelCard;
use crate::jobs;
use crate::jobs::Loner;

/// `assay models list` and `assay models check`.
pub(super) fn models(action: ModelsAction, common: &Common) -> anyhow::Result<Exit> {
    match action {
        ModelsAction::List => list(common),
        ModelsAction::Check => check(common),
    }
}

fn list(common: &Common) -> anyhow::Result<Exit> {
    let options = session::worker_options(common, None)?;
    let cards = jobs::models(&options.home)?;
    let words: Vec<String> = cards.iter().map(card_words).collect();
    output::answer(common.json, &json!({ "models": cards }), &words.join("\n"));
    Ok(Exit::Done)
}

/// Loads the model and every embedded predictor that reads it.
fn check(common: &Common) -> anyhow::Result<Exit> {
    let options = session::worker_options(common, None)?;
    let loner = Loner::load(&options)?;
    let predictors = loner.check_predictors()?;
    let card = loner.card();
    let words: Vec<String> = predictors
        .iter()
        .map(|card| format!("  {} ({}, {})", card.name, card.aspect, card.dataset))
        .collect();
    let words = format!(
        "{}\nloaded on {}; predictors that read it:\n{}",
        card_words(card),
        card.loaded_on.as_deref().unwrap_or("nothing"),
        words.join("\n")
    );
    let value = json!({ "model": card, "predictors": predictors });
    output::answer(common.json, &value, &words);
    Ok(Exit::Done)
}

fn card_words(card: &ModelCard) -> String {
    format!(
        "{} ({}, {:.1} million parameters, {}): {}\n  {}\n  sha256 {}",
        card.tag.name,
        card.architecture,
        card.num_parameters as f64 / 1e6,
        card.licence,
        card.summary,
        card.folder.as_deref().unwrap_or("inside the program"),
        card.tag.sha256
    )
}
