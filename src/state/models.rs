//! Models: the cards, the folder asked for, and which predictors can be used with the model in use.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::domain::{
    self, AddOn, Aspect, AspectMap, HalfDownload, KnownModel, ModelCard, ModelKind, ModelTag,
    Offer, Outlook, Precision, PredictorCard, PredictorId, Shelf, Verdict,
};
use crate::jobs::message::{FetchRequest, Job};

use super::AppState;
use super::actions::duration_in_words;
use super::command::Effect;
use super::jobs::RunningJob;

/// What Models remembers.
#[derive(Debug, Clone, Default)]
pub struct ModelsState {
    /// Cards of the models that there are; the first is the one in use. Empty until the workers answered.
    pub cards: Vec<ModelCard>,
    /// What describes each aspect now; nothing until the workers answered.
    pub tags: AspectMap<Option<ModelTag>>,
    /// How they would do on this machine, by their hashes.
    pub outlooks: BTreeMap<String, Outlook>,
    /// Folders among the program's models that hold no whole model, each with what is wrong.
    pub broken: Vec<(PathBuf, String)>,
    /// Adapters, predictors, half downloads, and what could be fetched.
    pub shelf: Shelf,
    /// What the hub answered, by what was asked for; kept until it is fetched or turned down.
    pub offers: BTreeMap<String, Offer>,
    /// Why the hub could not be asked, by what was asked for.
    pub refusals: BTreeMap<String, String>,
    /// What came of reading a model's files, by its folder.
    pub checks: BTreeMap<PathBuf, Result<String, String>>,
    /// What stands in the folder field.
    pub folder_text: String,
    /// What stands in the field for a repository.
    pub source_text: String,
}

/// What Models can ask for.
#[derive(Debug, Clone, PartialEq)]
pub enum ModelsCommand {
    /// Say again what models there are.
    List,
    /// Other text in the folder field.
    SetFolderText(String),
    /// Other text in the field for a repository.
    SetSourceText(String),
    /// Use a model folder (`None`: the embedded one).
    Use(Option<PathBuf>),
    /// Put an adapter into the model for an aspect, or take it out.
    UseAdapter(Aspect, Option<PathBuf>),
    /// Take a published predictor into the project and into use.
    UsePublished(PathBuf),
    /// Take a folder among the program's models.
    Add(PathBuf),
    /// Read a model's files.
    Check(PathBuf),
    /// Ask the hub what a model consists of.
    Ask(String),
    /// Turn an offer down, or put away why there is none.
    TurnDown(String),
    /// Fetch what was offered; its licence was on the screen.
    Fetch(String),
    /// Go on with a download that was cut off.
    Resume(PathBuf),
    /// Take away what came of a download.
    Forget(PathBuf),
}

impl ModelsState {
    pub(super) fn update(&mut self, command: ModelsCommand) -> Vec<Effect> {
        let job = match command {
            ModelsCommand::List => Job::ListModels,
            ModelsCommand::SetFolderText(text) => {
                self.folder_text = text;
                return Vec::new();
            }
            ModelsCommand::SetSourceText(text) => {
                self.source_text = text;
                return Vec::new();
            }
            ModelsCommand::Use(folder) => Job::UseModel { folder },
            ModelsCommand::UseAdapter(aspect, adapter) => Job::UseAdapter { aspect, adapter },
            ModelsCommand::UsePublished(path) => Job::AddPredictor { path, aspect: None },
            ModelsCommand::Add(folder) => {
                self.folder_text.clear();
                Job::AddModel { folder }
            }
            ModelsCommand::Check(folder) => {
                self.checks.remove(&folder);
                Job::CheckModel { folder }
            }
            ModelsCommand::Ask(source) => {
                self.refusals.remove(&source);
                Job::AskModel(request(source))
            }
            ModelsCommand::TurnDown(source) => {
                self.refusals.remove(&source);
                self.offers.remove(&source);
                return Vec::new();
            }
            ModelsCommand::Fetch(source) => {
                self.offers.remove(&source);
                Job::FetchModel(request(source))
            }
            ModelsCommand::Resume(folder) => match self.half_in(&folder) {
                Some(half) => Job::FetchModel(FetchRequest {
                    revision: Some(half.revision.clone()),
                    include: half.include.clone(),
                    to: Some(folder),
                    ..request(half.source.clone())
                }),
                None => return Vec::new(),
            },
            ModelsCommand::Forget(folder) => Job::ForgetDownload { folder },
        };
        vec![Effect::Submit(job)]
    }

    /// Takes in what the hub offers.
    pub(super) fn offered(&mut self, offer: Offer) {
        self.refusals.remove(&offer.source);
        self.offers.insert(offer.source.clone(), offer);
    }

    /// Takes in why a question to the hub, or a download, came to nothing.
    pub(super) fn job_failed(&mut self, job: Option<&Job>, reason: &str) {
        if let Some(Job::AskModel(request) | Job::FetchModel(request)) = job {
            self.refusals
                .insert(request.source.clone(), reason.to_owned());
        }
    }

    /// Takes in what is on the shelf now.
    pub(super) fn shelved(&mut self, shelf: Shelf) {
        self.checks
            .retain(|folder, _| !shelf.halves.iter().any(|half| half.folder == *folder));
        self.shelf = shelf;
    }

    fn half_in(&self, folder: &Path) -> Option<&HalfDownload> {
        self.shelf.halves.iter().find(|half| half.folder == *folder)
    }

    /// A known model's half download.
    pub fn half(&self, name: &str) -> Option<&HalfDownload> {
        self.shelf.halves.iter().find(|half| half.name == name)
    }

    /// What describes an aspect: the model in use, with the aspect's adapter where it has one.
    pub fn tag(&self, aspect: Aspect) -> Option<&ModelTag> {
        let first = self.cards.first().map(|card| &card.tag);
        self.tags.get(aspect).as_ref().or(first)
    }

    /// Whether a known model is here, whole.
    pub fn is_here(&self, name: &str) -> bool {
        self.shelf.here.iter().any(|here| here == name)
    }

    /// Known models of a kind that are not here yet, whole or in part.
    pub fn to_fetch(&self, kind: ModelKind) -> impl Iterator<Item = &KnownModel> {
        let known = self.shelf.known.iter();
        known.filter(move |known| known.kind == kind && !self.is_here(&known.name))
    }

    /// Adapters that are here and belong to a model: by the name of the list, or by its repository.
    pub fn adapters_of(&self, model: &str) -> impl Iterator<Item = &AddOn> {
        let model = model.to_owned();
        self.shelf.add_ons.iter().filter(move |add_on| {
            add_on.kind == ModelKind::Adapter && self.is_made_for(add_on, &model)
        })
    }

    /// Whether an adapter or a predictor says that it belongs to a model.
    pub fn is_made_for(&self, add_on: &AddOn, model: &str) -> bool {
        let known = self.shelf.known.iter().find(|known| known.name == model);
        let repository = known.map(|known| known.repository.as_str());
        let base = add_on.purpose.base.as_deref();
        base.is_some_and(|base| base == model || Some(base) == repository)
    }
}

fn request(source: String) -> FetchRequest {
    FetchRequest {
        source,
        ..FetchRequest::default()
    }
}

/// Whether the hub is being asked for this.
pub fn is_asked(state: &AppState, source: &str) -> bool {
    state
        .jobs
        .is_running(|job| matches!(job, Job::AskModel(request) if request.source == source))
}

/// The running download of this.
pub fn download<'a>(state: &'a AppState, source: &str) -> Option<&'a RunningJob> {
    state.jobs.running.iter().find(|running| {
        let job = state.jobs.job(running.id);
        job.is_some_and(|job| matches!(job, Job::FetchModel(request) if request.source == source))
    })
}

/// Whether this folder's files are being read.
pub fn is_checked(state: &AppState, folder: &Path) -> bool {
    state
        .jobs
        .is_running(|job| matches!(job, Job::CheckModel { folder: checked } if checked == folder))
}

/// The verdict in a sentence: "Fits on CPU as f32: 32.00 GB of the 40.00 GB that are free".
pub fn fit_words(fit: &domain::Fit) -> String {
    let Some(form) = fit.form() else {
        return "What it takes is not known".to_owned();
    };
    let need = bytes_words(form.need.total());
    let free = fit.free.map(bytes_words);
    let (place, name) = (&fit.device, &form.form);
    let words = match (fit.verdict(), free) {
        (Verdict::Fits, Some(free)) => {
            format!("Fits on {place} as {name}: {need} of the {free} that are free")
        }
        (Verdict::FitsQuantised, Some(free)) => {
            format!("Fits on {place} quantised as {name}: {need} of the {free} that are free")
        }
        (Verdict::DoesNotFit, Some(free)) => format!(
            "Does not fit on {place} now: {need} at the smallest ({name}), and {free} are free. Close other programs, or \
             choose a smaller model"
        ),
        (_, None) => format!("Takes {need} on {place} as {name}; how much is free is not known"),
    };
    match fit.adapters {
        0 => words,
        1 => format!("{words}, its adapter counted"),
        number => format!("{words}, {number} adapters counted, one in use at a time"),
    }
}

/// How so many weights fit into the memory that is free: bytes at each precision, and a plain verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fit {
    /// Bytes of the weights at each precision, and whether they fit; `None` where free memory is not known.
    pub rows: Vec<(Precision, u64, Option<bool>)>,
    /// One sentence.
    pub verdict: String,
}

/// Holds weights against free memory. What a conversation needs beside them is not counted.
pub fn fit(weights: u64, free: Option<u64>) -> Fit {
    let rows: Vec<(Precision, u64, Option<bool>)> = Precision::ALL
        .into_iter()
        .map(|precision| {
            let bytes = precision.bytes(weights);
            (precision, bytes, free.map(|free| bytes <= free))
        })
        .collect();
    let best = rows.iter().find(|(_, _, fits)| *fits == Some(true));
    let verdict = match (best, free) {
        (_, None) => "How much memory is free is not known here".to_owned(),
        (Some((Precision::F32, ..)), Some(free)) => {
            format!(
                "Its weights fit in the {} that are free, at full precision",
                bytes_words(free)
            )
        }
        (Some((Precision::Half, ..)), Some(free)) => {
            format!(
                "Its weights fit in the {} that are free, at 16 bits",
                bytes_words(free)
            )
        }
        (Some((precision, bytes, _)), Some(free)) => format!(
            "Its weights fit quantised: {} take {} of the {} that are free",
            precision.word(),
            bytes_words(*bytes),
            bytes_words(free)
        ),
        (None, Some(free)) => format!(
            "Its weights do not fit now: {} at the smallest, and {} are free",
            bytes_words(Precision::Q4.bytes(weights)),
            bytes_words(free)
        ),
    };
    Fit { rows, verdict }
}

/// "1.2 GB of 16.9 GB · 34.1 MB/s · about 8 min left".
pub fn progress_words(job: &RunningJob) -> String {
    let progress = &job.progress;
    let mut words = match progress.total {
        0 => bytes_words(progress.done),
        total => format!("{} of {}", bytes_words(progress.done), bytes_words(total)),
    };
    let mut add = |more: &str| {
        words.push_str(" · ");
        words.push_str(more);
    };
    if job.is_paused {
        add("paused");
        return words;
    }
    if let Some(rate) = progress.per_second {
        add(&format!("{}/s", bytes_words(rate as u64)));
    }
    if let Some(seconds) = progress.seconds_left {
        add(&format!("{} left", duration_in_words(seconds)));
    }
    words
}

/// A predictor as the Models screen lists it.
#[derive(Debug, Clone, PartialEq)]
pub struct PredictorEntry<'a> {
    /// Its card.
    pub card: &'a PredictorCard,
    /// Whether it comes with the program.
    pub is_embedded: bool,
    /// Whether it scores its aspect now.
    pub is_in_use: bool,
    /// Why it cannot be used now; `None` where it can.
    pub obstacle: Option<String>,
}

impl PredictorEntry<'_> {
    /// What to ask for to take it into use: the embedded one has no number.
    pub fn wanted(&self) -> Option<PredictorId> {
        (!self.is_embedded).then_some(self.card.id)
    }
}

/// Every predictor: those of the program first, then those of the project, newest first.
pub fn predictors(state: &AppState) -> Vec<PredictorEntry<'_>> {
    let embedded = state.embedded.iter().map(|card| (card, true));
    let own = state.project.iter().flat_map(|project| {
        // An embedded predictor that has scored is kept in the project as well; it is listed once.
        project
            .predictors
            .iter()
            .rev()
            .filter(|card| !state.embedded.iter().any(|other| is_same(card, other)))
            .map(|card| (card, false))
    });
    embedded
        .chain(own)
        .map(|(card, is_embedded)| entry(state, card, is_embedded))
        .collect()
}

/// Whether a card of the project is that of an embedded predictor under a number of the project.
fn is_same(card: &PredictorCard, embedded: &PredictorCard) -> bool {
    card.run.is_none()
        && card.aspect == embedded.aspect
        && card.name == embedded.name
        && card.model == embedded.model
}

fn entry<'a>(state: &AppState, card: &'a PredictorCard, is_embedded: bool) -> PredictorEntry<'a> {
    let chosen = state
        .project
        .as_ref()
        .and_then(|project| *project.settings.predictor.get(card.aspect));
    let is_in_use = state.project.is_some()
        && match is_embedded {
            true => chosen.is_none(),
            false => chosen == Some(card.id),
        };
    PredictorEntry {
        card,
        is_embedded,
        is_in_use,
        obstacle: obstacle(state, card),
    }
}

fn obstacle(state: &AppState, card: &PredictorCard) -> Option<String> {
    if state.project.is_none() {
        return Some("Open a project first: the choice is kept in it".to_owned());
    }
    let model = state.models.tag(card.aspect)?;
    (card.model != *model).then(|| {
        format!(
            "It reads only what {} says, and the model in use is {}",
            card.model.name, model.name
        )
    })
}

/// The model and the adapters that the open project asks for; those of a project without choices where none is open.
pub fn choice(state: &AppState) -> (Option<String>, AspectMap<Option<String>>) {
    let settings = state.project.as_ref().map(|project| &project.settings);
    settings.map_or_else(Default::default, |settings| {
        (settings.model.clone(), settings.adapter.clone())
    })
}

/// Aspects that an adapter can be put in for: the one that it was made for, or every one where nobody says.
pub fn aspects_of(add_on: &AddOn) -> Vec<Aspect> {
    match add_on.purpose.aspect {
        Some(aspect) => vec![aspect],
        None => Aspect::ALL.into(),
    }
}

/// Whether the project puts this adapter into the model for an aspect.
pub fn is_put_in(state: &AppState, add_on: &AddOn, aspect: Aspect) -> bool {
    let chosen = state
        .project
        .as_ref()
        .and_then(|project| project.settings.adapter.get(aspect).as_ref());
    chosen.is_some_and(|chosen| {
        let chosen = Path::new(chosen);
        chosen == add_on.folder || Some(chosen.as_os_str()) == add_on.folder.file_name()
    })
}

/// Why an adapter or a predictor of the shelf cannot be used now; `None` where it can.
pub fn add_on_obstacle(state: &AppState, add_on: &AddOn) -> Option<String> {
    if state.project.is_none() {
        return Some("Open a project first: the choice is kept in it".to_owned());
    }
    let model = state.models.cards.first()?;
    let base = add_on.purpose.base.as_deref()?;
    (!state.models.is_made_for(add_on, &model.tag.name)).then(|| {
        format!(
            "It belongs to {base}, and the model in use is {}: use that one first",
            model.tag.name
        )
    })
}

/// Bytes in words: "38.1 MB".
pub fn bytes_words(bytes: u64) -> String {
    let value = bytes as f64;
    match bytes {
        0..=999 => format!("{bytes} bytes"),
        1_000..=999_999 => format!("{:.1} kB", value / 1e3),
        1_000_000..=999_999_999 => format!("{:.1} MB", value / 1e6),
        _ => format!("{:.2} GB", value / 1e9),
    }
}

/// A number of parameters in words: "9.5 million".
pub fn parameters_words(number: u64) -> String {
    let value = number as f64;
    match number {
        0..=999_999 => super::actions::grouped(number as usize),
        1_000_000..=999_999_999 => format!("{:.1} million", value / 1e6),
        _ => format!("{:.2} billion", value / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        Aspect, AspectMap, Catalog, ModelTag, OpinionScale, ProjectInfo, RunId, Settings,
    };
    use crate::jobs::message::Event;
    use crate::state;

    fn card(id: i64, name: &str, run: Option<i64>, model: &str) -> PredictorCard {
        PredictorCard {
            id: PredictorId(id),
            name: name.to_owned(),
            aspect: Aspect::Quality,
            scale: OpinionScale::ZERO_TO_FIVE,
            dataset: "D".to_owned(),
            split: "train".to_owned(),
            model: ModelTag {
                name: model.to_owned(),
                sha256: model.to_owned(),
            },
            preset: "assay".to_owned(),
            head: "xLSTM".to_owned(),
            val: None,
            test: None,
            run: run.map(RunId),
        }
    }

    fn state_with(predictors: Vec<PredictorCard>, chosen: Option<i64>) -> AppState {
        let mut state = AppState {
            embedded: vec![card(0, "built in", None, "mini")],
            ..AppState::default()
        };
        let chosen = chosen.map(PredictorId);
        let catalog = Catalog {
            settings: Settings {
                predictor: AspectMap::from_fn(|_| chosen),
                ..Settings::default()
            },
            predictors,
            ..Catalog::of(ProjectInfo::any())
        };
        state::apply(&mut state, Event::ProjectOpened(Box::new(catalog)));
        state
    }

    #[test]
    fn an_embedded_predictor_is_listed_once() {
        let own = vec![
            card(1, "built in", None, "mini"),
            card(2, "mine", Some(1), "mini"),
        ];
        let state = state_with(own, None);
        let list = predictors(&state);
        let names: Vec<&str> = list.iter().map(|entry| entry.card.name.as_str()).collect();
        assert_eq!(names, ["built in", "mine"]);
        assert!(list[0].is_in_use && !list[1].is_in_use);
        assert_eq!(list[0].wanted(), None);
    }

    #[test]
    fn a_predictor_of_another_model_cannot_be_used() {
        let mut state = state_with(vec![card(2, "mine", Some(1), "other")], Some(2));
        state.models.cards = vec![ModelCard {
            tag: card(0, "", None, "mini").model,
            summary: String::new(),
            architecture: String::new(),
            source: String::new(),
            licence: String::new(),
            num_parameters: 0,
            weights_bytes: 0,
            memory_bytes: 0,
            loaded_on: None,
            folder: None,
        }];
        let list = predictors(&state);
        assert_eq!(list[0].obstacle, None);
        assert!(list[1].is_in_use);
        let obstacle = list[1].obstacle.as_deref().unwrap_or_default();
        assert!(obstacle.contains("other") && obstacle.contains("mini"));
    }

    #[test]
    fn a_verdict_names_the_best_precision_that_fits() {
        let verdict = |gb: f64| fit(8_000_000_000, Some((gb * 1e9) as u64)).verdict;
        assert!(verdict(40.0).contains("full precision"));
        assert!(verdict(20.0).contains("16 bits"));
        assert!(verdict(10.0).contains("q8_0 take 8.50 GB of the 10.00 GB"));
        assert!(verdict(5.0).contains("q4_k take 4.50 GB"));
        assert!(verdict(2.0).contains("do not fit now: 4.50 GB at the smallest"));
        assert!(fit(1, None).verdict.contains("not known"));
    }

    #[test]
    fn what_was_refused_is_asked_again_and_then_forgotten() {
        let mut models = ModelsState::default();
        let ask = || ModelsCommand::Ask("o/n".to_owned());
        let [Effect::Submit(job)] = &models.update(ask())[..] else {
            panic!("expected a job");
        };
        models.job_failed(Some(job), "no network");
        assert_eq!(
            models.refusals.get("o/n").map(String::as_str),
            Some("no network")
        );
        models.update(ask());
        assert!(models.refusals.is_empty());
    }

    #[test]
    fn a_download_goes_on_as_it_began() {
        let half = HalfDownload {
            source: "o/n".to_owned(),
            name: "n".to_owned(),
            kind: ModelKind::Model,
            repository: "o/n".to_owned(),
            revision: "v1".to_owned(),
            commit: None,
            include: vec!["*.gguf".to_owned()],
            licence: None,
            bytes: None,
            present: 3,
            folder: PathBuf::from("/models/n"),
        };
        let mut models = ModelsState::default();
        models.shelf.halves.push(half);
        let effects = models.update(ModelsCommand::Resume(PathBuf::from("/models/n")));
        let expected = FetchRequest {
            source: "o/n".to_owned(),
            revision: Some("v1".to_owned()),
            include: vec!["*.gguf".to_owned()],
            to: Some(PathBuf::from("/models/n")),
        };
        assert_eq!(effects, [Effect::Submit(Job::FetchModel(expected))]);
        assert_eq!(
            models.update(ModelsCommand::Resume(PathBuf::from("/other"))),
            []
        );
    }

    #[test]
    fn sizes_are_words() {
        assert_eq!(bytes_words(38_123_456), "38.1 MB");
        assert_eq!(bytes_words(17_000_000_000), "17.00 GB");
        assert_eq!(parameters_words(9_500_000), "9.5 million");
        assert_eq!(parameters_words(999), "999");
    }
}
