//! Jobs that change what a project works with: model, adapters, predictors, wording. Each is one change that can be undone.

use std::path::Path;
use std::path::PathBuf;

use crate::dataset;
use crate::domain::Aspect;
use crate::domain::AspectMap;
use crate::domain::Catalog;
use crate::domain::Operation;
use crate::domain::PredictorCard;
use crate::domain::PredictorId;
use crate::domain::Settings;
use crate::jobs::context::JobContext;
use crate::jobs::error::JobError;
use crate::jobs::evaluate::EMBEDDED;
use crate::jobs::evaluate::descriptions_of;
use crate::jobs::lone::predictor_file;
use crate::jobs::message::Event;
use crate::jobs::message::JobReport;
use crate::jobs::model_host::ModelChoice;
use crate::jobs::model_host::ModelHost;
use crate::jobs::model_host::announce_models;
use crate::jobs::pipeline::known;
use crate::jobs::presets;
use crate::jobs::presets::preset_in_use;
use crate::jobs::published::PublishedPredictor;
use crate::jobs::scoring;
use crate::jobs::scoring::Loaded;
use crate::jobs::scoring::ScoreRequest;
use crate::jobs::shelf;
use crate::jobs::shelf::FoundPredictor;
use crate::jobs::store_worker::Pinned;
use crate::jobs::store_worker::StoreHandle;

/// Takes a predictor into use, then scores again what is described: cached features make that a matter of seconds.
pub(super) fn use_predictor(
    host: &mut ModelHost,
    store: &StoreHandle,
    (aspect, predictor): (Aspect, Option<PredictorId>),
    context: &mut JobContext,
) -> Result<JobReport, JobError> {
    let (catalog, pinned) = store.snapshot()?;
    let name = predictor_name(&catalog, aspect, predictor)?;
    let words = format!("Use {name} for {aspect}");
    change_settings(&pinned, words, move |settings| {
        *settings.predictor.get_mut(aspect) = predictor;
    })?;
    let tag = ModelChoice::tag_of(host.options(), &catalog.settings, aspect)?;
    let preset = preset_in_use(&catalog)?;
    let read = descriptions_of(&catalog, predictor.unwrap_or(EMBEDDED));
    let known = known(&catalog, |_| read, &tag, &preset.name);
    let request = ScoreRequest {
        images: scoring::described_images(&catalog, &known, aspect),
        aspects: vec![aspect],
        descriptions: None,
    };
    if request.images.is_empty() {
        return Ok(JobReport::done(format!("{name} is in use for {aspect}")));
    }
    scoring::score(host, store, &request, context)
}

/// Takes a predictor from a file, or from a folder of the shelf, into the project and into use. One that is in the
/// project already is not kept twice.
pub(super) fn add_predictor(
    host: &mut ModelHost,
    store: &StoreHandle,
    (path, aspect): (&Path, Option<Aspect>),
    context: &mut JobContext,
) -> Result<JobReport, JobError> {
    context.progress(0, 0, "Reading the predictor")?;
    let (catalog, pinned) = store.snapshot()?;
    let preset = preset_in_use(&catalog)?.name;
    let found = shelf::predictor_in(&host.options().home, path)?;
    let mut loaded = if PublishedPredictor::is_one(&found.file) {
        let mut loaded = published(&found, aspect).load_for(host.options(), &catalog.settings)?;
        // It reads whatever wording the project has; one of ours says which one it learned with.
        loaded.card.preset.clone_from(&preset);
        loaded
    } else {
        predictor_file(&found.file)?
    };
    if let Some(name) = found.name {
        loaded.card.name = name;
    }
    let aspect = loaded.card.aspect;
    let tag = ModelChoice::tag_of(host.options(), &catalog.settings, aspect)?;
    scoring::check_fits(&loaded.card, &tag, &preset)?;
    let id = keep(&catalog, &pinned, loaded)?;
    use_predictor(host, store, (aspect, Some(id)), context)
}

/// A checkpoint with what the shelf knows of it.
fn published(found: &FoundPredictor, aspect: Option<Aspect>) -> PublishedPredictor {
    let of = PublishedPredictor::of(&found.file, None, aspect.or(found.purpose.aspect));
    PublishedPredictor {
        scale: found.purpose.scale.unwrap_or(of.scale),
        dataset: found.purpose.dataset.clone().unwrap_or(of.dataset),
        ..of
    }
}

/// The number of a predictor in the project, into which it is put where it is not there yet.
fn keep(catalog: &Catalog, pinned: &Pinned, loaded: Loaded) -> Result<PredictorId, JobError> {
    let Loaded { card, predictor } = loaded;
    let is_it = |kept: &&PredictorCard| {
        let id = kept.id;
        **kept == PredictorCard { id, ..card.clone() }
    };
    if let Some(kept) = catalog.predictors.iter().find(is_it) {
        return Ok(kept.id);
    }
    let weights = predictor.to_bytes()?;
    pinned.call(move |project, events| {
        let kept = project.add_predictor(&card, &weights)?;
        let id = kept.id;
        events.send(Event::PredictorSaved(kept));
        Ok(id)
    })
}

/// Takes a wording into use. What was said in the former one stays, and counts again when that one comes back.
pub(super) fn use_preset(store: &StoreHandle, wanted: Option<&str>) -> Result<JobReport, JobError> {
    let (catalog, pinned) = store.snapshot()?;
    let default = dataset::default_preset().name;
    let name = match wanted {
        Some(wanted) => presets::find(&catalog, wanted)?.name,
        None => default.clone(),
    };
    let preset = Some(name.clone()).filter(|name| *name != default);
    let words = format!("Use the wording {name}");
    change_settings(&pinned, words, |settings| settings.preset = preset)?;
    Ok(JobReport::done(format!("The wording {name} is in use")))
}

/// Takes a model into use. It is loaded by the first job that needs it. Adapters of another model go out of use.
pub(super) fn use_model(
    host: &ModelHost,
    store: &StoreHandle,
    folder: Option<PathBuf>,
) -> Result<JobReport, JobError> {
    let (catalog, pinned) = store.snapshot()?;
    let mut settings = catalog.settings;
    let model = folder.map(|folder| folder.to_string_lossy().into_owned());
    let put = move |settings: &mut Settings| {
        if settings.model != model {
            settings.adapter = AspectMap::default();
        }
        settings.model = model;
    };
    put.clone()(&mut settings);
    // Hashing a large folder takes a while, in which other choices may be made.
    let card = ModelChoice::of(host.options(), &settings)?.card()?;
    let words = format!("Use the model {}", card.tag.name);
    change_settings(&pinned, words, put)?;
    announce_models(store, host.options())?;
    Ok(JobReport::done(format!("{} is in use", card.tag.name)))
}

/// Puts an adapter into the model for an aspect, or takes it out (`None`).
pub(super) fn use_adapter(
    host: &ModelHost,
    store: &StoreHandle,
    aspect: Aspect,
    adapter: Option<&Path>,
) -> Result<JobReport, JobError> {
    let (catalog, pinned) = store.snapshot()?;
    let mut settings = catalog.settings;
    if let Some(folder) = adapter {
        ModelChoice::of(host.options(), &settings)?.accepts(folder, host.options())?;
    }
    let folder = adapter.map(|folder| folder.to_string_lossy().into_owned());
    settings.adapter.get_mut(aspect).clone_from(&folder);
    let tag = ModelChoice::tag_of(host.options(), &settings, aspect)?;
    let words = match adapter.and_then(Path::file_name) {
        Some(name) => format!("Use the adapter {} for {aspect}", name.to_string_lossy()),
        None => format!("Use no adapter for {aspect}"),
    };
    change_settings(&pinned, words, move |settings| {
        *settings.adapter.get_mut(aspect) = folder;
    })?;
    announce_models(store, host.options())?;
    Ok(JobReport::done(format!("{} describes {aspect}", tag.name)))
}

/// How a predictor is called that is to be taken into use for an aspect.
fn predictor_name(
    catalog: &Catalog,
    aspect: Aspect,
    predictor: Option<PredictorId>,
) -> Result<String, JobError> {
    let Some(id) = predictor else {
        return Ok("the embedded predictor".to_owned());
    };
    let mut cards = catalog.predictors.iter();
    cards
        .find(|card| card.id == id && card.aspect == aspect)
        .map(|card| card.name.clone())
        .ok_or(JobError::UnknownPredictor {
            aspect,
            number: id.0,
        })
}

/// Changes choices as they are now, as one operation of the user's, then says so. What was chosen while a job was at work
/// stays.
pub(super) fn change_settings(
    pinned: &Pinned,
    words: String,
    change: impl FnOnce(&mut Settings) + Send + 'static,
) -> Result<(), JobError> {
    pinned.call(move |project, events| {
        let settings = project.change_settings(&Operation(words), change)?;
        events.send(Event::SettingsChanged(settings));
        let (undo, redo) = project.undo_state()?;
        events.send(Event::UndoChanged { undo, redo });
        Ok(())
    })
}
