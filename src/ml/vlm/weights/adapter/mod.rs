//! Adapters as the package `peft` writes them: a folder with `adapter_config.json` and `adapter_model.safetensors` or
//! `.bin`. Low-rank changes are added to the base's matrices while these are read, and modules that were saved whole
//! take the place of the base's.
//!
//! **Source** peft 0.21 (`tuners/lora/layer.py`, `utils/save_and_load.py`); Hu et al. 2021, arXiv 2106.09685;
//! rsLoRA: Kalajdzievski 2023, arXiv 2312.03732.

mod config;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use candle_core::quantized::GgmlDType;
use candle_core::{DType, Tensor};

pub use self::config::AdapterConfig;
pub(super) use self::config::{Targets, is_within};
use super::pickle::PickleFiles;
use super::{SafetensorsFiles, Source, Wanted};
use crate::ml::MlError;

/// Names that peft gives weights files.
const WEIGHTS: [&str; 2] = ["adapter_model.safetensors", "adapter_model.bin"];
/// Its configuration.
const CONFIG: &str = "adapter_config.json";
/// What peft puts before the names of the base.
const PREFIX: &str = "base_model.model.";
/// Buffers that older programs saved and that are computed: they are passed over.
const COMPUTED: [&str; 3] = ["pos_embed", "position_ids", "rotary_emb.inv_freq"];
/// Most names that an error lists.
const LISTED: usize = 6;

/// An adapter, its weights not read yet.
pub struct Adapter {
    folder: PathBuf,
    config: AdapterConfig,
    source: Arc<dyn Source>,
    changes: BTreeMap<String, Change>,
}

/// What becomes of one tensor of the base.
#[derive(Debug, Clone, PartialEq)]
enum Change {
    /// This tensor of the adapter stands in its place.
    Whole(String),
    /// `scale * B A` is added to it.
    LowRank {
        a: String,
        b: String,
        scale: f64,
        /// Whether the product is stored the other way round: embeddings, and layers that keep inputs first.
        transposed: bool,
    },
}

/// Tensors of one low-rank change as they are found.
#[derive(Default)]
struct Pair {
    a: Option<String>,
    b: Option<String>,
    is_embedding: bool,
}

impl Adapter {
    /// Reads the configuration and the names of a folder.
    ///
    /// # Errors
    /// [`MlError::Malformed`] that says what is lacking, or what kind of adapter this is and that it is not known here.
    pub fn open(folder: &Path) -> Result<Self, MlError> {
        let config = AdapterConfig::read(&folder.join(CONFIG))?;
        let file = Self::weights_file(folder)?;
        let source: Arc<dyn Source> = if file.extension().is_some_and(|ending| ending == "bin") {
            Arc::new(PickleFiles::open(vec![file], None)?)
        } else {
            Arc::new(SafetensorsFiles::open(vec![file])?)
        };
        let changes = changes(&config, &*source).map_err(|reason| malformed(folder, reason))?;
        Ok(Self {
            folder: folder.to_owned(),
            config,
            source,
            changes,
        })
    }

    /// Its files, for its hash.
    ///
    /// # Errors
    /// A folder without weights.
    pub fn files(folder: &Path) -> Result<Vec<PathBuf>, MlError> {
        Ok(vec![folder.join(CONFIG), Self::weights_file(folder)?])
    }

    fn weights_file(folder: &Path) -> Result<PathBuf, MlError> {
        let mut files = WEIGHTS.iter().map(|name| folder.join(name));
        files.find(|file| file.is_file()).ok_or_else(|| {
            malformed(
                folder,
                "it lacks adapter_model.safetensors (or .bin); an adapter folder holds it beside adapter_config.json"
                    .to_owned(),
            )
        })
    }

    /// The same for a base whose tensors have other names: those that `others` knows for each, the first that is wanted.
    #[must_use]
    pub fn renamed(mut self, wanted: &Wanted, others: impl Fn(&str) -> Vec<String>) -> Self {
        let named = std::mem::take(&mut self.changes).into_iter();
        self.changes = named
            .map(|(name, change)| {
                let known = wanted.contains_key(&name);
                let found = others(&name)
                    .into_iter()
                    .find(|other| wanted.contains_key(other));
                (found.filter(|_| !known).unwrap_or(name), change)
            })
            .collect();
        self
    }

    /// Its configuration.
    pub const fn config(&self) -> &AdapterConfig {
        &self.config
    }

    /// Names of the base's tensors that it changes.
    pub fn changed(&self) -> BTreeSet<String> {
        self.changes.keys().cloned().collect()
    }

    /// Holds it against the tensors that a backbone reads.
    ///
    /// # Errors
    /// [`MlError::Malformed`] that names what is lacking, what is too much, and what has other shapes.
    pub fn check(&self, wanted: &Wanted) -> Result<(), MlError> {
        let mut faults = Vec::new();
        let surplus: Vec<&str> = self
            .changes
            .keys()
            .filter(|name| !wanted.contains_key(*name))
            .map(String::as_str)
            .collect();
        if !surplus.is_empty() {
            faults.push(format!("the model has no {}", listed(&surplus)));
        }
        let lacking = self.lacking(wanted)?;
        let lacking: Vec<&str> = lacking.iter().map(String::as_str).collect();
        if !lacking.is_empty() {
            faults.push(format!("it lacks weights for {}", listed(&lacking)));
        }
        let shapes: Vec<String> = self
            .changes
            .iter()
            .filter_map(|(name, change)| {
                let shape = &wanted.get(name)?.shape;
                let made = self.shape_of(change)?;
                let fits = made.iter().product::<usize>() == shape.iter().product::<usize>()
                    && made.first() == shape.first();
                (!fits).then(|| format!("{name} {made:?} where the model has {shape:?}"))
            })
            .collect();
        let shapes: Vec<&str> = shapes.iter().map(String::as_str).collect();
        if !shapes.is_empty() {
            faults.push(format!("it holds {}", listed(&shapes)));
        }
        if faults.is_empty() {
            return Ok(());
        }
        let base = match &self.config.base_model_name_or_path {
            Some(base) => format!("it was made for {base:?}"),
            None => "it does not say what it was made for".to_owned(),
        };
        Err(malformed(
            &self.folder,
            format!(
                "{}; {base}: choose that model, or another adapter",
                faults.join("; ")
            ),
        ))
    }

    /// Targets and whole modules of the configuration that have no weights.
    fn lacking(&self, wanted: &Wanted) -> Result<Vec<String>, MlError> {
        let targets = self
            .config
            .targets()
            .map_err(|reason| malformed(&self.folder, reason))?;
        let lacking = wanted.iter().filter(|(name, slot)| {
            let module = name.strip_suffix(".weight").unwrap_or(name);
            let is_target = slot.is_matrix && name.ends_with(".weight") && targets.take(module);
            (is_target || self.config.saves_whole(name)) && !self.changes.contains_key(*name)
        });
        Ok(lacking.map(|(name, _)| name.clone()).collect())
    }

    /// Shape of what a change makes.
    fn shape_of(&self, change: &Change) -> Option<Vec<usize>> {
        match change {
            Change::Whole(name) => self.source.shape(name),
            Change::LowRank {
                a, b, transposed, ..
            } => {
                let width: usize = self.source.shape(a)?.iter().skip(1).product();
                let out = *self.source.shape(b)?.first()?;
                Some(if *transposed {
                    vec![width, out]
                } else {
                    vec![out, width]
                })
            }
        }
    }

    /// A base with this adapter in it.
    pub fn over(self: &Arc<Self>, base: Arc<dyn Source>) -> Arc<dyn Source> {
        Arc::new(Adapted {
            base,
            adapter: self.clone(),
        })
    }

    fn merged(
        &self,
        base: &Tensor,
        a: &str,
        b: &str,
        scale: f64,
        transposed: bool,
    ) -> candle_core::Result<Tensor> {
        let single = |name: &str| -> candle_core::Result<Tensor> {
            let tensor = self.source.read(name)?.to_dtype(DType::F32)?;
            let rows = tensor.dim(0)?;
            tensor.reshape((rows, ()))
        };
        let product = single(b)?.matmul(&single(a)?)?;
        let product = if transposed { product.t()? } else { product };
        base.to_dtype(DType::F32)? + (product.reshape(base.dims())? * scale)?
    }
}

/// A base's tensors with an adapter's changes.
struct Adapted {
    base: Arc<dyn Source>,
    adapter: Arc<Adapter>,
}

impl Source for Adapted {
    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        match self.adapter.changes.get(name) {
            Some(Change::Whole(stored)) => self.adapter.source.shape(stored),
            _ => self.base.shape(name),
        }
    }

    fn read(&self, name: &str) -> candle_core::Result<Tensor> {
        match self.adapter.changes.get(name) {
            None => self.base.read(name),
            Some(Change::Whole(stored)) => self.adapter.source.read(stored),
            Some(Change::LowRank {
                a,
                b,
                scale,
                transposed,
            }) => {
                let base = self.base.read(name)?;
                let merged = self.adapter.merged(&base, a, b, *scale, *transposed);
                merged.map_err(|error| error.context(name.to_owned()))
            }
        }
    }

    fn read_rows(&self, name: &str, start: usize, len: usize) -> candle_core::Result<Tensor> {
        match self.adapter.changes.get(name) {
            None => self.base.read_rows(name, start, len),
            Some(Change::Whole(stored)) => self.adapter.source.read_rows(stored, start, len),
            Some(Change::LowRank { .. }) => self.read(name)?.narrow(0, start, len),
        }
    }

    fn has_cheap_rows(&self, name: &str) -> bool {
        !matches!(self.adapter.changes.get(name), Some(Change::LowRank { .. }))
            && self.base.has_cheap_rows(name)
    }

    fn read_blocks(&self, name: &str) -> candle_core::Result<Option<(GgmlDType, Vec<u8>)>> {
        if self.adapter.changes.contains_key(name) {
            return Ok(None);
        }
        self.base.read_blocks(name)
    }

    fn names(&self) -> Vec<String> {
        let mut names: BTreeSet<String> = self.base.names().into_iter().collect();
        names.extend(self.adapter.changed());
        names.into_iter().collect()
    }
}

/// What the tensors of an adapter are for.
fn changes(
    config: &AdapterConfig,
    source: &dyn Source,
) -> Result<BTreeMap<String, Change>, String> {
    let mut changes = BTreeMap::new();
    let mut pairs: BTreeMap<String, Pair> = BTreeMap::new();
    for stored in source.names() {
        let name = stored.strip_prefix(PREFIX).unwrap_or(&stored);
        if COMPUTED.iter().any(|computed| name.ends_with(computed)) {
            continue;
        }
        let name = name.replace(".base_layer.", ".");
        if let Some((module, part)) = name.split_once(".lora_") {
            let pair = pairs.entry(module.to_owned()).or_default();
            match part.split('.').next() {
                Some("A") if part.ends_with("weight") => pair.a = Some(stored),
                Some("B") if part.ends_with("weight") => pair.b = Some(stored),
                Some("embedding_A") => (pair.a, pair.is_embedding) = (Some(stored), true),
                Some("embedding_B") => (pair.b, pair.is_embedding) = (Some(stored), true),
                _ => {
                    return Err(format!(
                        "{stored} is of a kind of LoRA that is not known here"
                    ));
                }
            }
        } else if !name.contains(".original_module.") {
            let name = name.replace(".modules_to_save.default.", ".");
            changes.insert(
                name.replace(".modules_to_save.", "."),
                Change::Whole(stored),
            );
        }
    }
    for (module, pair) in pairs {
        let (Some(a), Some(b)) = (pair.a, pair.b) else {
            return Err(format!(
                "{module} has only one of its two low-rank matrices"
            ));
        };
        let rank = source.shape(&a).and_then(|shape| shape.first().copied());
        let expected = config.rank(&module)?;
        if rank != Some(expected) {
            return Err(format!(
                "{a} is of rank {}, and {CONFIG} says {expected}",
                rank.unwrap_or(0)
            ));
        }
        let change = Change::LowRank {
            a,
            b,
            scale: config.scale(&module)?,
            transposed: pair.is_embedding || config.fan_in_fan_out,
        };
        changes.insert(format!("{module}.weight"), change);
    }
    if changes.is_empty() {
        return Err("it changes nothing".to_owned());
    }
    Ok(changes)
}

/// The first few names, and how many more there are.
fn listed(names: &[&str]) -> String {
    let mut words = names[..names.len().min(LISTED)].join(", ");
    if names.len() > LISTED {
        words = format!("{words} and {} more", names.len() - LISTED);
    }
    words
}

fn malformed(folder: &Path, reason: String) -> MlError {
    MlError::Malformed {
        what: "the adapter",
        reason,
        path: folder.to_owned(),
    }
}

#[cfg(test)]
mod tests;
