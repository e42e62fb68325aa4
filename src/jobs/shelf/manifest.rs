//! `model.toml` of a folder among the program's models: what it is, where it came from, and which files it has.

use std::fs;
use std::fs::File;
use std::io;
use std::path::Path;
use std::path::PathBuf;

use serde::Deserialize;
use serde::Serialize;

use crate::domain::ModelKind;
use crate::domain::Purpose;
use crate::jobs::error::JobError;

use super::MANIFEST;

/// What stands in a manifest of ours beside what a model's own says.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Origin {
    #[serde(default)]
    pub(super) name: String,
    #[serde(default)]
    pub(super) kind: ModelKind,
    #[serde(default)]
    pub(super) summary: String,
    #[serde(default)]
    pub(super) source: String,
    #[serde(default)]
    pub(super) licence: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) architecture: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) repository: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) commit: Option<String>,
    /// The user's folder that the files lie in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) folder: Option<PathBuf>,
    #[serde(flatten)]
    pub(super) purpose: Purpose,
    #[serde(default, rename = "file", skip_serializing_if = "Vec::is_empty")]
    pub(super) files: Vec<FileEntry>,
}

/// A file as the hub listed it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct FileEntry {
    pub(super) name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) bytes: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) sha256: Option<String>,
}

pub(super) fn origin(folder: &Path) -> Option<Origin> {
    toml::from_str(&fs::read_to_string(folder.join(MANIFEST)).ok()?).ok()
}

/// The word for what `config.json` describes: one of those that the program runs, or the hub's own word for it.
pub(super) fn architecture(folder: &Path) -> Option<String> {
    let text = fs::read_to_string(folder.join("config.json")).ok()?;
    let config: serde_json::Value = serde_json::from_str(&text).ok()?;
    let kind = config.get("model_type").and_then(serde_json::Value::as_str);
    // A small model of this program's says nothing of its kind; its picture tower has a stem.
    let is_ours = kind.is_none() && config.pointer("/vision_config").is_some();
    Some(match kind {
        Some("minicpmv") => "minicpm-v-2.5".to_owned(),
        Some("llava") => "llava-1.5".to_owned(),
        Some("qwen2_5_vl") => "qwen2.5-vl".to_owned(),
        None if is_ours => "minicpm-v-2.5".to_owned(),
        other => other.unwrap_or("unknown").to_owned(),
    })
}

/// Writes our manifest over the fields of the model's own, where it has one.
pub(super) fn write_manifest(folder: &Path, own: &Path, origin: Origin) -> Result<(), JobError> {
    let mut table: toml::Table = fs::read_to_string(own)
        .ok()
        .and_then(|text| toml::from_str(&text).ok())
        .unwrap_or_default();
    let path = folder.join(MANIFEST);
    let ours = toml::Table::try_from(origin).map_err(io::Error::other);
    let written = ours.and_then(|ours| {
        // What a model says of itself stands: predictors know it by its own name.
        let kept = ["name", "summary", "architecture", "source", "licence"];
        for (key, value) in ours {
            if !(kept.contains(&key.as_str()) && table.contains_key(&key)) {
                table.insert(key, value);
            }
        }
        let text = toml::to_string(&table).map_err(io::Error::other)?;
        write_whole(&path, text.as_bytes())
    });
    written.map_err(|source| JobError::File {
        action: "write the model's manifest",
        source,
        path,
    })
}

/// Writes a file whole or not at all.
///
/// # Errors
/// A folder that cannot be written, or a disk that is full: what was there before still is.
pub fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = with_ending(path, ".new");
    fs::write(&new, bytes)?;
    File::open(&new)?.sync_all()?;
    fs::rename(&new, path)
}

pub(super) fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}
