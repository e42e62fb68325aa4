//! From files to a model: what it reads is known, held against the files, and weighed, before a byte of the weights is
//! read.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use candle_core::Device;

use super::architecture::Architecture;
use super::backbone::Backbone;
use super::decoding::GenerateSettings;
use super::files::ModelFiles;
use super::fit::{self, LayerGraphs, OptimiserHome, Sizes};
use super::local::{LocalModel, Room};
use super::ops::Mode;
use super::weights::{Adapter, Census, Form, Shelf, Source, TuneScope, Tuned, Wanted, Weights};
use crate::compute::{DeviceChoice, free_memory};
use crate::domain::{Aspect, Fit, ModelCard, TuneNeed, Verdict};
use crate::ml::MlError;

/// How a model is to be loaded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoadWish {
    /// Where it runs.
    pub device: DeviceChoice,
    /// The form of its weights; the best that fits if not given.
    pub form: Option<Form>,
    /// An adapter folder of peft that is merged into it.
    pub adapter: Option<PathBuf>,
}

impl LoadWish {
    /// The best form on a device, no adapter.
    pub const fn on(device: DeviceChoice) -> Self {
        Self {
            device,
            form: None,
            adapter: None,
        }
    }
}

/// Loads a model.
pub(super) fn load(
    files: &ModelFiles,
    wish: &LoadWish,
    shelf: &Arc<Shelf>,
) -> Result<LocalModel, MlError> {
    let mut card = files.card_with(wish.adapter.as_deref())?;
    let open = wish.device.open().map_err(MlError::Input)?;
    let architecture = files.architecture()?;
    let sizes = architecture.sizes(files)?;
    let Read {
        source,
        wanted,
        own,
    } = source_of(files, architecture, wish)?;
    let generation = files.manifest()?.generation;
    let sizes = in_full(sizes, &generation);
    let adapters = adapters_of(files, wish.adapter.as_deref());
    let weighed = fit::Load {
        wanted: &wanted,
        sizes: &sizes,
        adapters: &adapters,
        rows: generation.num_beams,
    };
    let (fit, best) = fit::choose(
        &weighed,
        &open.device,
        &open.name,
        free_memory(&open.device),
    );
    // What others left on the shelf is of one form, and of memory that is taken already.
    let asked = wish.form.or_else(|| shelf.form());
    let form = match files {
        // Its few megabytes fit everywhere, and its predictors know it in single precision.
        ModelFiles::Embedded => asked.unwrap_or(Form::F32),
        ModelFiles::Folder(_) => asked.unwrap_or(best),
    };
    if asked.is_none() && fit.verdict() == Verdict::DoesNotFit {
        return Err(MlError::Input(format!(
            "{} {fit}: close other programs, choose another device, or ask for a form with --dtype all the same",
            card.tag.name
        )));
    }
    let is_gpu = !open.device.is_cpu();
    let need = weighed.need(form, is_gpu);
    let room = Room {
        member: weighed.row_bytes(form, is_gpu) * generation.num_beams as u64,
        spare: need.activations,
    };
    shelf.settle(form);
    let weights = Weights::new(source, form, &open.device).with_shelf(shelf, own);
    let backbone = architecture.backbone(files, Mode::Inference, &weights)?;
    card.loaded_on = Some(format!("{}, {form}", open.name));
    card.memory_bytes = need.total();
    Ok(LocalModel::of(backbone, card, generation).on(&open.device, form, room))
}

/// Whether and how a model fits with its adapters, without reading its weights; `freed` bytes will be there beside what
/// is free now.
///
/// # Errors
/// Files that are lacking or malformed.
pub(super) fn fit_of(
    files: &ModelFiles,
    device: DeviceChoice,
    adapter: Option<&Path>,
    freed: u64,
) -> Result<Fit, MlError> {
    let architecture = files.architecture()?;
    let read = source_of(files, architecture, &LoadWish::on(device))?;
    let weighed = Weighed {
        wanted: read.wanted,
        sizes: architecture.sizes(files)?,
        generation: files.manifest()?.generation,
        adapters: adapters_of(files, adapter),
    };
    weighed.on(device, freed)
}

/// The same of a model that is not here: told from its configuration.
///
/// # Errors
/// A configuration of a model that this program does not run, or that is malformed.
pub fn fit_of_config(
    config: &str,
    preprocessor: Option<&str>,
    device: DeviceChoice,
) -> Result<Fit, MlError> {
    let architecture = Architecture::of_config(config)
        .ok_or_else(|| MlError::Input("the program does not run models of its kind".to_owned()))?;
    let census = Arc::new(Census::default());
    let listing = Weights::new(census.clone(), Form::F32, &Device::Cpu);
    let sizes = architecture.list_of_config(config, preprocessor, &listing)?;
    let weighed = Weighed {
        wanted: census.wanted(),
        sizes,
        generation: GenerateSettings::default(),
        adapters: Vec::new(),
    };
    weighed.on(device, 0)
}

struct Weighed {
    wanted: Wanted,
    sizes: Sizes,
    generation: GenerateSettings,
    adapters: Vec<BTreeSet<String>>,
}

impl Weighed {
    fn on(self, device: DeviceChoice, freed: u64) -> Result<Fit, MlError> {
        let open = device.open().map_err(MlError::Input)?;
        let sizes = in_full(self.sizes, &self.generation);
        let load = fit::Load {
            wanted: &self.wanted,
            sizes: &sizes,
            adapters: &self.adapters,
            rows: self.generation.num_beams,
        };
        let free = free_memory(&open.device).map(|free| free + freed);
        Ok(fit::choose(&load, &open.device, &open.name, free).0)
    }
}

/// Sizes with room for what is generated behind a conversation.
const fn in_full(mut sizes: Sizes, generation: &GenerateSettings) -> Sizes {
    sizes.max_len += generation.max_new_tokens;
    sizes
}

/// Names that each adapter changes of those that take turns over one base; one that cannot be read says so when its turn
/// comes.
fn adapters_of(files: &ModelFiles, wished: Option<&Path>) -> Vec<BTreeSet<String>> {
    let named = files.adapters().unwrap_or_default();
    let changed = |folder: &Path| Some(Adapter::open(folder).ok()?.changed());
    match wished {
        Some(folder) if !named.iter().any(|named| named == folder) => {
            changed(folder).into_iter().collect()
        }
        _ => {
            let mut all: Vec<_> = named.iter().filter_map(|folder| changed(folder)).collect();
            if !all.is_empty() && all.len() < Aspect::ALL.len() {
                // Other aspects are described by the base itself.
                all.push(BTreeSet::new());
            }
            all
        }
    }
}

/// What a model is read from.
struct Read {
    source: Arc<dyn Source>,
    wanted: Wanted,
    /// Names that an adapter changes.
    own: BTreeSet<String>,
}

/// The weights with the adapter in them, and what the backbone reads of them; whatever is lacking is named.
fn source_of(
    files: &ModelFiles,
    architecture: Architecture,
    wish: &LoadWish,
) -> Result<Read, MlError> {
    let base = files.source()?;
    let census = Arc::new(Census::over(&*base));
    let listing = Weights::new(census.clone(), Form::F32, &Device::Cpu);
    architecture.list(files, &listing)?;
    let wanted = census.wanted();
    let (source, own) = match &wish.adapter {
        None => (base, BTreeSet::new()),
        Some(folder) => {
            let others = |name: &str| architecture.other_names(name);
            let adapter = Arc::new(Adapter::open(folder)?.renamed(&wanted, others));
            adapter.check(&wanted)?;
            (adapter.over(base), adapter.changed())
        }
    };
    let lacking: Vec<&String> = wanted
        .keys()
        .filter(|name| source.shape(name).is_none())
        .collect();
    match lacking.as_slice() {
        [] => Ok(Read {
            source,
            wanted,
            own,
        }),
        [first, ..] => Err(MlError::Weights(format!(
            "they lack {} of {} tensors that the configuration asks for, {first} among them: the folder holds part of \
             a model, or config.json belongs to another one",
            lacking.len(),
            wanted.len()
        ))),
    }
}

/// What training parts of a model would take, told before a byte of its weights is read.
#[derive(Debug, Clone)]
pub struct TunePlan {
    /// Names of what would be trained, with their shapes.
    pub trained: BTreeMap<String, Vec<usize>>,
    /// Form of the frozen weights.
    pub form: Form,
    /// Memory.
    pub need: TuneNeed,
    /// Bytes of a layer's graph.
    pub graphs: LayerGraphs,
    /// Where the optimiser is.
    pub home: OptimiserHome,
    /// Bytes free on the device.
    pub free: Option<u64>,
}

impl TunePlan {
    /// Parameters that would be trained.
    pub fn num_trained(&self) -> u64 {
        let counts = self
            .trained
            .values()
            .map(|shape| shape.iter().product::<usize>());
        counts.sum::<usize>() as u64
    }
}

/// A model of which parts are trained.
pub struct TuneModel {
    /// The network, in the form that has gradients.
    pub backbone: Box<dyn Backbone>,
    /// What is trained of it.
    pub tuned: Arc<Tuned>,
    /// The base's card.
    pub card: ModelCard,
    /// The base's backbone.
    pub architecture: Architecture,
    /// What it takes.
    pub plan: TunePlan,
}

/// Says what training parts of a model takes; `max_len` is the longest conversation.
///
/// # Errors
/// Files that are lacking or malformed; a scope that names nothing of this model.
pub fn plan_tune(
    files: &ModelFiles,
    wish: &LoadWish,
    scope: &TuneScope,
    max_len: usize,
) -> Result<TunePlan, MlError> {
    let architecture = files.architecture()?;
    let Read { wanted, .. } = source_of(files, architecture, wish)?;
    let tuned = Tuned::new(scope).map_err(MlError::Input)?;
    plan_of(files, wish, &wanted, &tuned, max_len)
}

fn plan_of(
    files: &ModelFiles,
    wish: &LoadWish,
    wanted: &Wanted,
    tuned: &Tuned,
    max_len: usize,
) -> Result<TunePlan, MlError> {
    let open = wish.device.open().map_err(MlError::Input)?;
    let trained = tuned.shapes(wanted);
    if trained.is_empty() {
        let some: Vec<&str> = wanted
            .keys()
            .step_by(1 + wanted.len() / 4)
            .map(String::as_str)
            .collect();
        return Err(MlError::Input(format!(
            "the target pattern and the whole modules name nothing of this model, whose tensors are called {}, ...",
            some.join(", ")
        )));
    }
    let mut sizes = files.architecture()?.sizes(files)?;
    sizes.max_len = max_len;
    let free = free_memory(&open.device);
    let parts = (wanted, &trained);
    let chosen = fit::choose_tune(parts, &sizes, wish.form, &open.device, free);
    Ok(TunePlan {
        form: chosen.form,
        need: chosen.need,
        graphs: chosen.graphs,
        home: chosen.home,
        trained,
        free,
    })
}

/// Loads a model to train parts of it.
///
/// # Errors
/// As [`plan_tune`]; in words what would help where memory is too small.
pub fn load_to_tune(
    files: &ModelFiles,
    wish: &LoadWish,
    scope: &TuneScope,
    max_len: usize,
) -> Result<TuneModel, MlError> {
    let card = files.card_with(wish.adapter.as_deref())?;
    let open = wish.device.open().map_err(MlError::Input)?;
    let architecture = files.architecture()?;
    let Read { source, wanted, .. } = source_of(files, architecture, wish)?;
    let tuned = Tuned::new(scope).map_err(MlError::Input)?;
    let plan = plan_of(files, wish, &wanted, &tuned, max_len)?;
    let tuned = Arc::new(match plan.home {
        OptimiserHome::Device => tuned.optimised_on(&open.device),
        OptimiserHome::Host => tuned,
    });
    let total = plan.need.total();
    if wish.form.is_none() && plan.free.is_some_and(|free| total > free) {
        return Err(MlError::Input(format!(
            "fine-tuning {} takes about {:.1} GB and {:.1} GB are free: close other programs, train less (a lower rank, \
             no whole modules), cut conversations earlier, or ask for a form with --dtype all the same",
            card.tag.name,
            total as f64 / 1e9,
            plan.free.unwrap_or(0) as f64 / 1e9
        )));
    }
    let weights = Weights::new(source, plan.form, &open.device).with_tuned(&tuned);
    Ok(TuneModel {
        backbone: architecture.backbone(files, Mode::Training, &weights)?,
        tuned,
        card,
        architecture,
        plan,
    })
}
