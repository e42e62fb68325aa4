//! From files to a model: what it reads is known, held against the files, and weighed, before a byte of the weights is
//! read.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use candle_core::Device;

use super::architecture::Architecture;
use super::files::ModelFiles;
use super::fit::{self, Sizes};
use super::local::LocalModel;
use super::weights::{Adapter, Census, Form, Shelf, Source, Wanted, Weights};
use crate::compute::{DeviceChoice, free_memory};
use crate::domain::{Fit, Verdict};
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
    let (fit, best) = weigh(&wanted, sizes, &open.device, &open.name);
    let form = match files {
        // Its few megabytes fit everywhere, and its predictors know it in single precision.
        ModelFiles::Embedded => wish.form.unwrap_or(Form::F32),
        ModelFiles::Folder(_) => wish.form.unwrap_or(best),
    };
    if wish.form.is_none() && fit.verdict() == Verdict::DoesNotFit {
        return Err(MlError::Input(format!(
            "{} {fit}: close other programs, choose another device, or ask for a form with --dtype all the same",
            card.tag.name
        )));
    }
    let weights = Weights::new(source, form, &open.device).with_shelf(shelf, own);
    let backbone = architecture.backbone(files, &weights)?;
    card.loaded_on = Some(format!("{}, {form}", open.name));
    let settings = files.manifest()?.generation;
    Ok(LocalModel::of(backbone, card, settings).on(&open.device, form))
}

/// Whether and how a model fits, without reading its weights.
///
/// # Errors
/// Files that are lacking or malformed.
pub(super) fn fit_of(files: &ModelFiles, device: DeviceChoice) -> Result<Fit, MlError> {
    let open = device.open().map_err(MlError::Input)?;
    let architecture = files.architecture()?;
    let sizes = architecture.sizes(files)?;
    let Read { wanted, .. } = source_of(files, architecture, &LoadWish::on(device))?;
    Ok(weigh(&wanted, sizes, &open.device, &open.name).0)
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
            let adapter = Arc::new(Adapter::open(folder)?);
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

fn weigh(wanted: &Wanted, mut sizes: Sizes, device: &Device, name: &str) -> (Fit, Form) {
    sizes.max_len += GENERATED;
    let place = (name, !device.is_cpu());
    fit::choose(wanted, &sizes, 1, place, free_memory(device))
}

/// Tokens that a cache has room for beside a conversation's.
const GENERATED: usize = 160;
