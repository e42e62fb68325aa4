//! `assay models`: what there is, and whether it works.

pub(super) mod args;
mod fetch;

use std::path::Path;

use anyhow::Context as _;
use serde_json::json;

use crate::cli::args::Common;
use crate::cli::exit::Exit;
use crate::cli::models::args::ModelsAction;
use crate::cli::models::args::RecipeArgs;
use crate::cli::output;
use crate::cli::session;
use crate::domain::Aspect;
use crate::domain::KnownModel;
use crate::domain::ModelCard;
use crate::domain::Outlook;
use crate::domain::Shelf;
use crate::jobs;
use crate::jobs::Loner;
use crate::jobs::evaluate::predictor_in_use;
use crate::jobs::evaluate::reading_of;
use crate::ml::pretrain::recipe::Recipe;
use crate::store::Project;

/// `assay models`.
pub(super) fn models(action: &ModelsAction, common: &Common) -> anyhow::Result<Exit> {
    match action {
        ModelsAction::List => list(common),
        ModelsAction::Check { which: None } => check(common),
        ModelsAction::Check { which: Some(which) } => fetch::check(which, common),
        ModelsAction::Fetch(args) => fetch::fetch(args, common),
        ModelsAction::Add { folder } => fetch::add(folder, common),
        ModelsAction::Save {
            project,
            aspect,
            out,
        } => save(project, *aspect, out, common),
        ModelsAction::Train(args) => train(args, common),
    }
}

fn list(common: &Common) -> anyhow::Result<Exit> {
    let options = session::worker_options(common, None)?;
    let cards = jobs::models(&options.home)?;
    let shelf = jobs::shelf(&options.home);
    let outlooks = jobs::outlooks(&options, &cards);
    let with_outlook = |card: &ModelCard| {
        let outlook = outlook_words(outlooks.get(&card.tag.sha256));
        format!("{}\n  {outlook}", card_words(card))
    };
    let mut words: Vec<String> = cards.iter().map(with_outlook).collect();
    words.extend(shelf_words(&shelf));
    let value = json!({
        "models": cards,
        "outlooks": outlooks,
        "add_ons": shelf.add_ons,
        "half_downloads": shelf.halves,
        "known": shelf.known,
    });
    output::answer(common.json, &value, &words.join("\n"));
    Ok(Exit::Done)
}

/// What lies beside models, and what could be fetched.
fn shelf_words(shelf: &Shelf) -> Vec<String> {
    let mut words = Vec::new();
    for add_on in &shelf.add_ons {
        let problem = add_on.problem.as_ref().map_or_else(String::new, |reason| {
            format!("\n  cannot be used: {reason}")
        });
        words.push(format!(
            "{} ({}, {}): {}\n  {}{problem}",
            add_on.name,
            add_on.kind.word(),
            add_on.licence,
            add_on.summary,
            add_on.folder.display()
        ));
    }
    for half in &shelf.halves {
        let of = half.bytes.map_or_else(String::new, |bytes| {
            format!(" of {}", output::bytes_words(bytes))
        });
        words.push(format!(
            "{} (not whole): {}{of} are here; `assay models fetch {}` goes on",
            half.name,
            output::bytes_words(half.present),
            half.source
        ));
    }
    let is_here = |name: &String| {
        shelf.here.contains(name) || shelf.halves.iter().any(|half| half.name == *name)
    };
    let others: Vec<&KnownModel> = shelf
        .known
        .iter()
        .filter(|known| !is_here(&known.name))
        .collect();
    if !others.is_empty() {
        words.push(format!(
            "To fetch from {} with `assay models fetch NAME`:",
            shelf.host
        ));
    }
    for known in others {
        let purpose = known.purpose.words();
        let made_for = if purpose.is_empty() {
            purpose
        } else {
            format!(" ({purpose})")
        };
        words.push(format!("  {}: {}{made_for}", known.name, known.summary));
    }
    words
}

/// Loads the model and every embedded predictor that reads it.
fn check(common: &Common) -> anyhow::Result<Exit> {
    let options = session::worker_options(common, None)?;
    let outlook = jobs::outlook_of_model(&options)?;
    output::say(&outlook_words(Some(&outlook)));
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
    let value = json!({ "model": card, "predictors": predictors, "fit": outlook.fit.ok(), "speeds": outlook.speeds });
    output::answer(common.json, &value, &words);
    Ok(Exit::Done)
}

/// Weights as they stand in the project, and the card that says what they are.
fn save(project: &Path, aspect: Aspect, out: &Path, common: &Common) -> anyhow::Result<Exit> {
    let project = Project::open(project)?;
    let catalog = project.catalog()?;
    let id = predictor_in_use(&catalog, aspect);
    let card = catalog
        .predictors
        .iter()
        .find(|card| card.id == id)
        .with_context(|| format!("no {aspect} predictor of the project is in use: train one"))?;
    let reading = reading_of(&catalog, id);
    anyhow::ensure!(
        reading.is_usual(),
        "this predictor {}, which a file cannot say: train one that reads request, description and question",
        reading.words()
    );
    let beside = out.with_extension("json");
    let write = |path: &Path, bytes: &[u8]| {
        jobs::write_whole(path, bytes).with_context(|| format!("cannot write {}", path.display()))
    };
    write(out, &project.predictor_weights(id)?)?;
    write(&beside, serde_json::to_string_pretty(card)?.as_bytes())?;
    let words = format!("{} written to {}", card.name, out.display());
    let value = json!({ "predictor": card, "weights": out, "card": beside });
    output::answer(common.json, &value, &words);
    Ok(Exit::Done)
}

/// Makes a small model as a recipe says, and says on the way how far it is.
fn train(args: &RecipeArgs, common: &Common) -> anyhow::Result<Exit> {
    let text = std::fs::read_to_string(&args.recipe)
        .with_context(|| format!("cannot read the recipe {}", args.recipe.display()))?;
    let recipe: Recipe = toml::from_str(&text)
        .with_context(|| format!("the recipe is malformed: {}", args.recipe.display()))?;
    jobs::corpus::make_small_model(
        &recipe,
        args.dataset.as_deref(),
        &args.out,
        args.keep_stem.then_some(jobs::corpus::KeepStem),
        &mut |line| output::say(&line),
    )?;
    let value = json!({ "model": args.out });
    output::answer(
        common.json,
        &value,
        &format!("the model is in {}", args.out.display()),
    );
    Ok(Exit::Done)
}

/// Whether it fits, and how long it took so far.
fn outlook_words(outlook: Option<&Outlook>) -> String {
    let Some(outlook) = outlook else {
        return "nothing is known of its size".to_owned();
    };
    let fit = match &outlook.fit {
        Ok(fit) => format!("it {fit}"),
        Err(reason) => format!("whether it fits is not known: {reason}"),
    };
    let speeds: Vec<String> = outlook.speeds.iter().map(ToString::to_string).collect();
    match speeds.as_slice() {
        [] => format!("{fit}; how long a description takes was not measured here yet"),
        speeds => format!("{fit}; {}", speeds.join(", ")),
    }
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
