//! A model on disk or inside the binary: `model.toml`, `config.json`, `tokenizer.json`, weights.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Serialize};
use tokenizers::Tokenizer;

use super::architecture::Architecture;
use super::decoding::GenerateSettings;
use super::fingerprint;
use super::folder;
use super::hash_memo;
use super::minicpm_v::Config;
use super::weights::{
    Adapter, Joined, NamedMatrix, PickleFiles, SafetensorsBytes, SafetensorsFiles, Source, gguf,
};
use crate::compute::DeviceChoice;
use crate::domain::{Aspect, Fit, ModelCard, ModelTag};
use crate::ml::MlError;

/// What `model.toml` says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Name of the model.
    pub name: String,
    /// One sentence.
    pub summary: String,
    /// [`Architecture::word`].
    pub architecture: String,
    /// Where it came from.
    pub source: String,
    /// Its licence.
    pub licence: String,
    /// How it is asked to speak.
    #[serde(default)]
    pub generation: GenerateSettings,
    /// Adapters of single aspects: folders, from the model's own on.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub adapters: BTreeMap<Aspect, PathBuf>,
}

/// How pictures are brought to size, in the hub's folders.
const PREPROCESSOR: &str = "preprocessor_config.json";

/// Where a model's files are.
pub enum ModelFiles {
    /// Inside the binary.
    Embedded,
    /// A folder.
    Folder(PathBuf),
}

static MINI_MANIFEST: &str = include_str!("../../../models/mini/model.toml");
static MINI_CONFIG: &str = include_str!("../../../models/mini/config.json");
static MINI_TOKENIZER: &[u8] = include_bytes!("../../../models/mini/tokenizer.json");
static MINI_WEIGHTS: &[u8] = include_bytes!("../../../models/mini/model.safetensors");

impl ModelFiles {
    /// The manifest.
    ///
    /// # Errors
    /// A missing or malformed `model.toml`.
    pub fn manifest(&self) -> Result<Manifest, MlError> {
        if let Some(manifest) = self.hub_manifest() {
            return Ok(manifest);
        }
        let text = self.text("model.toml", "model.toml", MINI_MANIFEST)?;
        toml::from_str(&text)
            .map_err(|error| self.malformed("model.toml", "model.toml", error.to_string()))
    }

    /// The sizes of a MiniCPM-V.
    ///
    /// # Errors
    /// A missing or malformed `config.json`.
    pub fn config(&self) -> Result<Config, MlError> {
        self.read_config(Config::read)
    }

    /// The sizes as a backbone reads them from `config.json` and, where it is there, `preprocessor_config.json`.
    pub(super) fn read_config<C>(
        &self,
        read: impl FnOnce(&str, Option<&str>) -> Result<C, String>,
    ) -> Result<C, MlError> {
        let text = self.text("the configuration", "config.json", MINI_CONFIG)?;
        let preprocessor = match self {
            Self::Embedded => None,
            Self::Folder(folder) => std::fs::read_to_string(folder.join(PREPROCESSOR)).ok(),
        };
        read(&text, preprocessor.as_deref())
            .map_err(|reason| self.malformed("the configuration", "config.json", reason))
    }

    /// The backbone that the manifest names.
    ///
    /// # Errors
    /// A missing or malformed `model.toml`, and an architecture that is not known here.
    pub fn architecture(&self) -> Result<Architecture, MlError> {
        Architecture::of_word(&self.manifest()?.architecture)
            .map_err(|reason| self.malformed("model.toml", "model.toml", reason))
    }

    /// What stands for `model.toml` in a hub's folder.
    fn hub_manifest(&self) -> Option<Manifest> {
        let Self::Folder(folder) = self else {
            return None;
        };
        if folder.join("model.toml").exists() {
            return None;
        }
        let config = std::fs::read_to_string(folder.join("config.json")).ok()?;
        Some(Architecture::of_config(&config)?.manifest(folder))
    }

    /// The tokenizer.
    ///
    /// # Errors
    /// A missing or malformed `tokenizer.json`.
    pub fn tokenizer(&self) -> Result<Tokenizer, MlError> {
        let loaded = match self {
            Self::Embedded => Tokenizer::from_bytes(MINI_TOKENIZER),
            Self::Folder(folder) => Tokenizer::from_file(folder.join("tokenizer.json")),
        };
        loaded.map_err(|error| self.malformed("the tokenizer", "tokenizer.json", error.to_string()))
    }

    /// Where the weights are read from. What a GGUF file has is taken from it, the rest from the other files.
    ///
    /// # Errors
    /// Missing or malformed weights.
    pub fn source(&self) -> Result<Arc<dyn Source>, MlError> {
        let Self::Folder(folder) = self else {
            return Ok(Arc::new(SafetensorsBytes::new(MINI_WEIGHTS)?));
        };
        let is = |path: &Path, ending: &str| path.extension().is_some_and(|found| found == ending);
        let (ggufs, others): (Vec<PathBuf>, Vec<PathBuf>) = folder::weights(folder)?
            .into_iter()
            .partition(|path| is(path, "gguf"));
        let mut sources: Vec<Arc<dyn Source>> = Vec::new();
        if !ggufs.is_empty() {
            let decoder = self.architecture()?.decoder();
            for path in ggufs {
                sources.push(gguf::open(&path, decoder)?);
            }
        }
        if others.iter().any(|path| is(path, "bin")) {
            sources.push(Arc::new(PickleFiles::open(others, None)?));
        } else if !others.is_empty() {
            sources.push(Arc::new(SafetensorsFiles::open(others)?));
        }
        Ok(Arc::new(Joined::new(sources)))
    }

    /// The matrix that makes logits of hidden states, as predictors are folded with it.
    ///
    /// # Errors
    /// Weights without one.
    pub fn head(&self, adapter: Option<&Path>) -> Result<NamedMatrix, MlError> {
        let mut source = self.source()?;
        if let Some(folder) = adapter {
            source = Arc::new(Adapter::open(folder)?).over(source);
        }
        let names = source.names();
        let named = |end: &str| names.iter().find(|name| name.ends_with(end)).cloned();
        // Models without a head of their own use the token embedding.
        match named("lm_head.weight").or_else(|| named("embed_tokens.weight")) {
            Some(name) => Ok((source, name)),
            None => Err(MlError::Weights("they hold no lm_head.weight".to_owned())),
        }
    }

    /// Its card, hash included.
    ///
    /// # Errors
    /// Missing, cut off or malformed files, and an architecture that is not known here.
    pub fn card(&self) -> Result<ModelCard, MlError> {
        if let Self::Folder(path) = self {
            folder::check(path)?;
        }
        let manifest = self.manifest()?;
        let architecture = self.architecture()?;
        let sizes = architecture.sizes(self)?;
        let sha256 = self.hash(architecture)?;
        let weights_bytes = self.weights_bytes()?;
        let bytes_per_weight = 2;
        let num_parameters = weights_bytes / bytes_per_weight;
        Ok(ModelCard {
            tag: ModelTag {
                name: manifest.name,
                sha256,
            },
            summary: manifest.summary,
            architecture: manifest.architecture,
            source: manifest.source,
            licence: manifest.licence,
            num_parameters,
            weights_bytes,
            memory_bytes: num_parameters * 4 + sizes.kv_bytes(),
            loaded_on: None,
            folder: match self {
                Self::Embedded => None,
                Self::Folder(folder) => Some(folder.display().to_string()),
            },
        })
    }

    /// The adapter that the model's own `model.toml` names for an aspect.
    ///
    /// # Errors
    /// A missing or malformed `model.toml`.
    pub fn adapter_of(&self, aspect: Aspect) -> Result<Option<PathBuf>, MlError> {
        let Self::Folder(folder) = self else {
            return Ok(None);
        };
        let adapter = self.manifest()?.adapters.remove(&aspect);
        Ok(adapter.map(|path| folder.join(path)))
    }

    /// The card of this model with an adapter in it: its name and its hash tell of both, so that what the two make
    /// never mixes with what either makes alone.
    ///
    /// # Errors
    /// As [`ModelFiles::card`], and an adapter folder that is not whole.
    pub fn card_with(&self, adapter: Option<&Path>) -> Result<ModelCard, MlError> {
        let mut card = self.card()?;
        if let Some(folder) = adapter {
            let own = hash_memo::of_files(&Adapter::files(folder)?)?;
            let name = folder.file_name().unwrap_or_default().to_string_lossy();
            card.tag = ModelTag {
                name: format!("{} with {name}", card.tag.name),
                sha256: fingerprint::of_parts(&[card.tag.sha256.as_bytes(), own.as_bytes()]),
            };
        }
        Ok(card)
    }

    /// The folders of all adapters that the model's own `model.toml` names.
    ///
    /// # Errors
    /// A missing or malformed `model.toml`.
    pub fn adapters(&self) -> Result<Vec<PathBuf>, MlError> {
        let Self::Folder(folder) = self else {
            return Ok(Vec::new());
        };
        let named = self.manifest()?.adapters.into_values();
        Ok(named.map(|path| folder.join(path)).collect())
    }

    /// Whether it fits a device with its adapters, and in which form, told from headers alone. `adapter` is used in place
    /// of those that its `model.toml` names; `freed` bytes will be there beside what is free now.
    ///
    /// # Errors
    /// Files that are lacking or malformed.
    pub fn fit(
        &self,
        device: DeviceChoice,
        adapter: Option<&Path>,
        freed: u64,
    ) -> Result<Fit, MlError> {
        super::load::fit_of(self, device, adapter, freed)
    }

    fn hash(&self, architecture: Architecture) -> Result<String, MlError> {
        // The bytes of the program cannot change while it runs.
        static EMBEDDED: OnceLock<String> = OnceLock::new();
        match self {
            Self::Embedded => Ok(EMBEDDED
                .get_or_init(|| {
                    fingerprint::of_parts(&[MINI_CONFIG.as_bytes(), MINI_TOKENIZER, MINI_WEIGHTS])
                })
                .clone()),
            Self::Folder(folder) => {
                let mut files = vec![folder.join("config.json"), folder.join("tokenizer.json")];
                // Says how pictures are brought to size. The first architecture's hashes were given without it.
                let seen = folder.join(PREPROCESSOR);
                if architecture != Architecture::MiniCpmV && seen.exists() {
                    files.push(seen);
                }
                files.extend(self.weight_files()?);
                hash_memo::of_files(&files)
            }
        }
    }

    fn weights_bytes(&self) -> Result<u64, MlError> {
        if matches!(self, Self::Embedded) {
            return Ok(MINI_WEIGHTS.len() as u64);
        }
        let files = self.weight_files()?;
        files.iter().try_fold(0, |sum, path| {
            let meta = std::fs::metadata(path).map_err(|source| MlError::Read {
                what: "a file of the model",
                path: path.clone(),
                source,
            })?;
            Ok(sum + meta.len())
        })
    }

    fn weight_files(&self) -> Result<Vec<PathBuf>, MlError> {
        let Self::Folder(folder) = self else {
            return Ok(Vec::new());
        };
        folder::weights(folder)
    }

    fn text(
        &self,
        what: &'static str,
        name: &str,
        embedded: &'static str,
    ) -> Result<String, MlError> {
        match self {
            Self::Embedded => Ok(embedded.to_owned()),
            Self::Folder(folder) => {
                let path = folder.join(name);
                std::fs::read_to_string(&path).map_err(|source| MlError::Read {
                    what,
                    path,
                    source,
                })
            }
        }
    }

    fn malformed(&self, what: &'static str, name: &str, reason: String) -> MlError {
        let folder = match self {
            Self::Embedded => Path::new("models/mini"),
            Self::Folder(folder) => folder,
        };
        MlError::Malformed {
            what,
            reason,
            path: folder.join(name),
        }
    }
}
