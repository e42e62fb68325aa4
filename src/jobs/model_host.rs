//! The model worker's own: the loaded model, and which one is wanted.

use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use crate::compute::DeviceChoice;
use crate::compute::give_back;
use crate::domain::Aspect;
use crate::domain::AspectMap;
use crate::domain::Fit;
use crate::domain::ModelCard;
use crate::domain::ModelTag;
use crate::domain::PredictorCard;
use crate::domain::Settings;
use crate::jobs::error::JobError;
use crate::jobs::home::Home;
use crate::jobs::message::Event;
use crate::jobs::outlook;
use crate::jobs::shelf;
use crate::jobs::store_worker::StoreHandle;
use crate::jobs::workers::WorkerOptions;
use crate::ml::embedded_predictors;
use crate::ml::vlm::LoadWish;
use crate::ml::vlm::LocalModel;
use crate::ml::vlm::ModelFiles;
use crate::ml::vlm::keep_hashes_at;
use crate::ml::vlm::weights::Form;
use crate::ml::vlm::weights::NamedMatrix;
use crate::ml::vlm::weights::Shelf;

/// Which model is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ModelChoice {
    /// The one inside the binary.
    Embedded,
    /// A model folder.
    Folder(PathBuf),
    /// One of them with an adapter in it.
    Adapted(Box<Self>, PathBuf),
}

impl ModelChoice {
    /// What the command line said, else what the project says, else the embedded model.
    pub(super) fn of(options: &WorkerOptions, settings: &Settings) -> Result<Self, JobError> {
        Self::of_aspect(options, settings, None)
    }

    /// The same for an aspect, which may have an adapter of its own.
    pub(super) fn of_aspect(
        options: &WorkerOptions,
        settings: &Settings,
        aspect: Option<Aspect>,
    ) -> Result<Self, JobError> {
        keep_hashes_at(options.home.hashes_note());
        let wanted = options
            .model
            .clone()
            .or_else(|| settings.model.as_ref().map(PathBuf::from));
        let base = wanted.map_or(Ok(Self::Embedded), |name| Self::find(&name, &options.home))?;
        let of_project = |aspect| settings.adapter.get(aspect).as_ref().map(Path::new);
        let own = match (&options.adapter, aspect) {
            (Some(adapter), _) => Some(adapter_folder(adapter, &options.home)),
            (None, Some(aspect)) => match of_project(aspect) {
                Some(adapter) => Some(adapter_folder(adapter, &options.home)),
                None => base.files().0.adapter_of(aspect)?,
            },
            (None, None) => None,
        };
        Ok(match own {
            Some(adapter) => Self::Adapted(Box::new(base.base().clone()), adapter),
            None => base,
        })
    }

    /// What describes an aspect, without loading it.
    pub(super) fn tag_of(
        options: &WorkerOptions,
        settings: &Settings,
        aspect: Aspect,
    ) -> Result<ModelTag, JobError> {
        Ok(Self::of_aspect(options, settings, Some(aspect))?
            .card()?
            .tag)
    }

    /// Whether an adapter goes into it, as far as the adapter's folder tells.
    pub(super) fn accepts(&self, adapter: &Path, options: &WorkerOptions) -> Result<(), JobError> {
        let folder = adapter_folder(adapter, &options.home);
        let Some(named) = shelf::base_of_adapter(&folder) else {
            return Ok(());
        };
        let theirs = Self::over_base(folder.clone(), &options.home)?;
        // One model may lie in two folders: the user's own, and the one of ours that points there.
        let (theirs, own) = (theirs.base().card()?.tag, self.base().card()?.tag);
        if theirs.sha256 == own.sha256 {
            return Ok(());
        }
        let in_use = own.name;
        Err(JobError::NoWholeModel {
            reason: format!(
                "it is an adapter of {named}, and the model in use is {in_use}: use {named} first"
            ),
            path: folder,
        })
    }

    /// Itself without an adapter.
    fn base(&self) -> &Self {
        match self {
            Self::Adapted(base, _) => base,
            other => other,
        }
    }

    /// The files, and the adapter that goes into them.
    fn files(&self) -> (ModelFiles, Option<&Path>) {
        match self {
            Self::Embedded => (ModelFiles::Embedded, None),
            Self::Folder(folder) => (ModelFiles::Folder(folder.clone()), None),
            Self::Adapted(base, adapter) => (base.files().0, Some(adapter)),
        }
    }

    /// Whether it fits a device with the adapters that take turns over it; `freed` bytes will be there beside what is free
    /// now.
    pub(super) fn fit(&self, device: DeviceChoice, freed: u64) -> Result<Fit, JobError> {
        let (files, adapter) = self.files();
        Ok(files.fit(device, adapter, freed)?)
    }

    /// The matrix that makes its logits.
    pub(super) fn head(&self) -> Result<NamedMatrix, JobError> {
        let (files, adapter) = self.files();
        Ok(files.head(adapter)?)
    }

    /// A folder by path, or by name among the program's models.
    fn find(name: &Path, home: &Home) -> Result<Self, JobError> {
        if name.as_os_str() == embedded_card()?.tag.name.as_str() && !name.is_dir() {
            return Ok(Self::Embedded);
        }
        let below = home.models_folder().join(name);
        let folder = [name.to_path_buf(), below.clone()]
            .into_iter()
            .find(|folder| folder.is_dir())
            .ok_or_else(|| JobError::NoModel {
                name: name.display().to_string(),
                looked: below,
            })?;
        match shelf::is_adapter(&folder) {
            true => Self::over_base(folder, home),
            false => Ok(Self::Folder(folder)),
        }
    }

    /// An adapter's folder over the model that it belongs to.
    fn over_base(folder: PathBuf, home: &Home) -> Result<Self, JobError> {
        let lacks = |reason: String| JobError::NoWholeModel {
            reason,
            path: folder.clone(),
        };
        let Some(base) = shelf::base_of_adapter(&folder) else {
            return Err(lacks(
                "it is an adapter and does not say of which model: choose the model, and give the adapter with --adapter"
                    .to_owned(),
            ));
        };
        let named = Self::find(Path::new(&base), home).ok();
        let named = named.filter(|found| !matches!(found, Self::Adapted(..)));
        let of_repository = || {
            let known = shelf::known(&base).map(|known| known.repository);
            let repository = known.unwrap_or_else(|| base.clone());
            let mut folders = shelf::model_folders(home).into_iter();
            let found = folders.find(|folder| {
                let theirs = shelf::repository_in(folder);
                theirs.is_some_and(|theirs| theirs.eq_ignore_ascii_case(&repository))
            });
            found.map(Self::Folder)
        };
        match named.or_else(of_repository) {
            Some(found) => Ok(Self::Adapted(Box::new(found), folder)),
            None => Err(lacks(format!(
                "it is an adapter of {base}, which is not here: fetch or add that model first"
            ))),
        }
    }

    /// Its card, without loading it.
    pub(super) fn card(&self) -> Result<ModelCard, JobError> {
        let (files, adapter) = self.files();
        Ok(files.card_with(adapter)?)
    }

    pub(super) fn load(
        &self,
        device: DeviceChoice,
        form: Option<Form>,
        shelf: &Arc<Shelf>,
    ) -> Result<LocalModel, JobError> {
        let (files, adapter) = self.files();
        let wish = LoadWish {
            device,
            form,
            adapter: adapter.map(Path::to_owned),
        };
        Ok(LocalModel::open_over(&files, &wish, shelf)?)
    }
}

/// The loaded model. It stays loaded until another one is wanted.
pub(super) struct ModelHost {
    options: WorkerOptions,
    loaded: Option<(ModelChoice, LocalModel)>,
    /// What models with different adapters share of the base that is loaded.
    shelf: Arc<Shelf>,
    /// The aspect that is worked on.
    aspect: Option<Aspect>,
}

impl ModelHost {
    pub(super) fn new(options: WorkerOptions) -> Self {
        Self {
            options,
            loaded: None,
            shelf: Arc::default(),
            aspect: None,
        }
    }

    /// Lets the loaded model go, where something else needs the memory.
    pub(super) fn release(&mut self) {
        let device = self.loaded.take().map(|(_, model)| model.device().clone());
        self.shelf = Arc::default();
        if let Some(device) = device {
            give_back(&device);
        }
    }

    /// The aspect whose adapter is wanted from now on.
    pub(super) const fn work_for(&mut self, aspect: Option<Aspect>) {
        self.aspect = aspect;
    }

    /// Aspects in groups that one model serves, that of the loaded model first.
    pub(super) fn groups(
        &self,
        settings: &Settings,
        aspects: &[Aspect],
    ) -> Result<Vec<Vec<Aspect>>, JobError> {
        let mut groups: Vec<(ModelChoice, Vec<Aspect>)> = Vec::new();
        for aspect in aspects.iter().copied() {
            let choice = ModelChoice::of_aspect(&self.options, settings, Some(aspect))?;
            match groups.iter_mut().find(|(known, _)| *known == choice) {
                Some((_, group)) => group.push(aspect),
                None => groups.push((choice, vec![aspect])),
            }
        }
        let loaded = self.loaded.as_ref().map(|(choice, _)| choice);
        groups.sort_by_key(|(choice, _)| loaded != Some(choice));
        Ok(groups.into_iter().map(|(_, group)| group).collect())
    }

    pub(super) const fn options(&self) -> &WorkerOptions {
        &self.options
    }

    /// The model that the project (or the command line) wants, loaded now if it was not.
    pub(super) fn model(
        &mut self,
        settings: &Settings,
        store: &StoreHandle,
    ) -> Result<&mut LocalModel, JobError> {
        let choice = ModelChoice::of_aspect(&self.options, settings, self.aspect)?;
        if self
            .loaded
            .as_ref()
            .is_none_or(|(loaded, _)| *loaded != choice)
        {
            // Two models at once may not fit into memory; what adapters leave alone of one base stays.
            let is_same_base =
                |(loaded, _): &(ModelChoice, LocalModel)| loaded.base() == choice.base();
            if !self.loaded.as_ref().is_some_and(is_same_base) {
                self.shelf = Arc::default();
            }
            self.loaded = None;
            let device = device_choice(&self.options.device)?;
            let model = choice.load(device, self.options.dtype, &self.shelf)?;
            let card = model.card().clone();
            self.loaded = Some((choice, model));
            store.call(move |state| {
                state.loaded_model = Some(card);
                Ok(())
            })?;
            announce_models(store, &self.options)?;
        }
        let (_, model) = self.loaded.as_mut().ok_or(JobError::WorkersStopped)?;
        Ok(model)
    }
}

/// An adapter by its folder, or by its name among the program's models.
fn adapter_folder(name: &Path, home: &Home) -> PathBuf {
    let below = home.models_folder().join(name);
    match !name.is_dir() && below.is_dir() {
        true => below,
        false => name.to_path_buf(),
    }
}

/// A model that is to be tuned.
pub(super) struct TuneBase {
    pub(super) files: ModelFiles,
    pub(super) wish: LoadWish,
    /// What those who look for it call it: its repository, or its name.
    pub(super) name: String,
}

/// The model that is to be tuned: the named one, or else that which the project uses.
pub(super) fn tune_base(
    options: &WorkerOptions,
    settings: &Settings,
    named: Option<&Path>,
) -> Result<TuneBase, JobError> {
    let choice = match named {
        Some(name) => ModelChoice::find(name, &options.home)?,
        None => ModelChoice::of(options, settings)?,
    };
    let (files, adapter) = choice.files();
    let repository = match &files {
        ModelFiles::Embedded => None,
        ModelFiles::Folder(folder) => shelf::repository_in(folder),
    };
    Ok(TuneBase {
        name: repository.map_or_else(|| Ok(files.manifest()?.name), Ok::<_, JobError>)?,
        wish: LoadWish {
            device: device_choice(&options.device)?,
            form: options.dtype,
            adapter: adapter.map(Path::to_owned),
        },
        files,
    })
}

/// Reads a device word of the command line.
pub(super) fn device_choice(word: &str) -> Result<DeviceChoice, JobError> {
    word.parse().map_err(JobError::Device)
}

/// The embedded predictors that read this model's features.
pub(super) fn fitting_predictors(tag: &ModelTag) -> Vec<(PredictorCard, &'static [u8])> {
    embedded_predictors()
        .into_iter()
        .filter(|(card, _)| card.model == *tag)
        .collect()
}

/// Says which models there are (the one in use first) and which embedded predictors fit it.
/// Reading their cards takes a while for large models: it is done on the caller's thread, not the store worker's.
pub(super) fn announce_models(
    store: &StoreHandle,
    options: &WorkerOptions,
) -> Result<(), JobError> {
    let (settings, loaded, events) = store.call(|state| {
        let events = state.events().clone();
        Ok((state.settings()?, state.loaded_model.clone(), events))
    })?;
    let in_use = ModelChoice::of(options, &settings)?.card()?;
    let mut cards = vec![in_use.clone(), embedded_card()?];
    let mut broken = Vec::new();
    for folder in shelf::model_folders(&options.home) {
        match card_of_folder(&folder) {
            Ok(card) => cards.push(card),
            Err(error) => broken.push((folder, error.to_string())),
        }
    }
    let mut is_first = true;
    cards.retain(|card| std::mem::take(&mut is_first) || card.tag != in_use.tag);
    for card in &mut cards {
        card.loaded_on = loaded
            .as_ref()
            .filter(|loaded| loaded.tag == card.tag)
            .and_then(|loaded| loaded.loaded_on.clone());
    }
    let outlooks = outlook::outlooks(options, &cards, loaded.as_ref());
    events.send(Event::Models(cards));
    events.send(Event::Outlooks(outlooks));
    events.send(Event::BrokenModels(broken));
    events.send(Event::Shelf(Box::new(shelf::shelf(&options.home))));
    // An adapter that is not whole is told by the job that needs it.
    let tags = AspectMap::from_fn(|aspect| {
        let own = ModelChoice::tag_of(options, &settings, aspect);
        own.unwrap_or_else(|_| in_use.tag.clone())
    });
    let fits = |(card, _): &(PredictorCard, _)| card.model == *tags.get(card.aspect);
    let fitting = embedded_predictors().into_iter().filter(fits);
    events.send(Event::EmbeddedPredictors(
        fitting.map(|(card, _)| card).collect(),
    ));
    events.send(Event::ModelTags(tags));
    Ok(())
}

/// The embedded model and every folder below the program's models that holds a whole one.
pub(super) fn all_cards(home: &Home) -> Result<Vec<ModelCard>, JobError> {
    keep_hashes_at(home.hashes_note());
    let found = shelf::model_folders(home);
    // A folder that is no whole model is left out here; choosing it by name says what is wrong with it.
    let whole = found
        .iter()
        .filter_map(|folder| card_of_folder(folder).ok());
    Ok(std::iter::once(embedded_card()?).chain(whole).collect())
}

/// The card of the embedded model.
pub(super) fn embedded_card() -> Result<ModelCard, JobError> {
    Ok(ModelFiles::Embedded.card()?)
}

pub(super) fn card_of_folder(folder: &Path) -> Result<ModelCard, JobError> {
    Ok(ModelFiles::Folder(folder.to_owned()).card()?)
}
