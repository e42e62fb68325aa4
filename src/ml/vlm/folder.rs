//! Whether a folder holds a whole model: which files are lacking, and which were cut off.
//!
//! Only names, sizes and headers are looked at, so that a model of many gigabytes is judged at once.

use std::collections::BTreeSet;
use std::fs;
use std::fs::File;
use std::io;
use std::io::Read as _;
use std::path::Path;
use std::path::PathBuf;

use super::architecture::Architecture;
use crate::ml::MlError;

/// Files that every model folder holds beside its weights.
const FILES: [&str; 3] = [MANIFEST, "config.json", "tokenizer.json"];

/// Says what the model is; a hub's folder says so by its `config.json`.
const MANIFEST: &str = "model.toml";

/// Says which weights a model in several files has.
const INDEX: &str = "model.safetensors.index.json";

/// Longest header of a weights file; the format allows no more.
const MAX_HEADER: u64 = 100_000_000;

/// The weights of a folder: safetensors, or else torch's archives, then GGUF files; each in the order of their names.
pub(super) fn weights(folder: &Path) -> Result<Vec<PathBuf>, MlError> {
    let entries = fs::read_dir(folder).map_err(|source| MlError::Read {
        what: "the model folder",
        path: folder.to_owned(),
        source,
    })?;
    let mut all: Vec<PathBuf> = entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .collect();
    all.sort();
    let ending_in = |wanted: &str| -> Vec<PathBuf> {
        let has = |path: &&PathBuf| path.extension().is_some_and(|ending| ending == wanted);
        all.iter().filter(has).cloned().collect()
    };
    let mut files = ending_in("safetensors");
    if files.is_empty() {
        // The same tensors as torch used to write them; where both are there, one of them is enough.
        files = ending_in("bin");
    }
    files.extend(ending_in("gguf"));
    Ok(files)
}

/// Looks whether everything is there.
///
/// # Errors
/// [`MlError::Malformed`] that names what is lacking or cut off, and what to do.
pub(super) fn check(folder: &Path) -> Result<(), MlError> {
    let unusable = |reason| MlError::Malformed {
        what: "the model folder",
        reason,
        path: folder.to_owned(),
    };
    let files = weights(folder)?;
    let lacking = lacking(folder, &files);
    if !lacking.is_empty() {
        return Err(unusable(format!(
            "it lacks {}; a model folder holds model.toml, config.json, tokenizer.json and weights (.safetensors), \
             so copy or download what is lacking, or choose another folder",
            in_words(&lacking)
        )));
    }
    for file in &files {
        if let Some((expected, found)) = cut_off(file) {
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            return Err(unusable(format!(
                "{name} should have {expected} bytes and has {found}: it was cut off, copy or download it again"
            )));
        }
    }
    Ok(())
}

fn lacking(folder: &Path, weights: &[PathBuf]) -> Vec<String> {
    let is_there = |name: &str| folder.join(name).is_file();
    let mut lacking: Vec<String> = FILES
        .into_iter()
        .filter(|name| !(is_there(name) || *name == MANIFEST && is_hubs(folder)))
        .map(str::to_owned)
        .collect();
    let named = indexed(&folder.join(INDEX));
    if weights.is_empty() && named.is_empty() {
        lacking.push("weights (.safetensors)".to_owned());
    }
    lacking.extend(named.into_iter().filter(|name| !is_there(name)));
    lacking
}

/// Whether the `config.json` is that of a model of the hub that this program runs.
fn is_hubs(folder: &Path) -> bool {
    let config = fs::read_to_string(folder.join("config.json"));
    config.is_ok_and(|config| Architecture::of_config(&config).is_some())
}

/// Names of the weights files that an index lists; none where there is no index that can be read.
fn indexed(index: &Path) -> BTreeSet<String> {
    let read = || -> Option<BTreeSet<String>> {
        let text = fs::read_to_string(index).ok()?;
        let index: serde_json::Value = serde_json::from_str(&text).ok()?;
        let files = index.get("weight_map")?.as_object()?.values();
        Some(
            files
                .filter_map(|name| name.as_str().map(str::to_owned))
                .collect(),
        )
    };
    read().unwrap_or_default()
}

/// The bytes that a weights file should have and those that it has, where they differ.
fn cut_off(file: &Path) -> Option<(u64, u64)> {
    let found = fs::metadata(file).ok()?.len();
    let expected = expected_bytes(file).unwrap_or(None)?;
    (expected > found).then_some((expected, found))
}

/// The length that the header of a safetensors file promises; `None` for a header that promises nothing, which is
/// for the loader to judge.
fn expected_bytes(file: &Path) -> io::Result<Option<u64>> {
    let mut file = File::open(file)?;
    let mut start = [0; 8];
    if file.read_exact(&mut start).is_err() {
        return Ok(Some(start.len() as u64));
    }
    let header_len = u64::from_le_bytes(start);
    if header_len > MAX_HEADER {
        return Ok(None);
    }
    let mut header = Vec::new();
    file.take(header_len).read_to_end(&mut header)?;
    let before = start.len() as u64 + header_len;
    if (header.len() as u64) < header_len {
        return Ok(Some(before));
    }
    let Ok(header) = serde_json::from_slice::<serde_json::Value>(&header) else {
        return Ok(None);
    };
    let ends = header
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(_, tensor)| tensor.get("data_offsets")?.get(1)?.as_u64());
    Ok(ends.max().map(|end| before + end))
}

/// "a", "a and b", "a, b and c".
fn in_words(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [only] => only.clone(),
        [before @ .., last] => format!("{} and {last}", before.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A weights file of one tensor of four bytes.
    fn weights_file() -> Vec<u8> {
        let header = br#"{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header);
        bytes.extend([0; 4]);
        bytes
    }

    fn whole() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in FILES {
            fs::write(folder.path().join(name), "{}").unwrap();
        }
        fs::write(folder.path().join("model.safetensors"), weights_file()).unwrap();
        folder
    }

    fn error(folder: &Path) -> String {
        check(folder).unwrap_err().to_string()
    }

    #[test]
    fn a_whole_folder_passes() {
        check(whole().path()).unwrap();
    }

    #[test]
    fn everything_that_is_lacking_is_named_at_once() {
        let folder = whole();
        fs::remove_file(folder.path().join("config.json")).unwrap();
        fs::remove_file(folder.path().join("tokenizer.json")).unwrap();
        let words = error(folder.path());
        assert!(
            words.contains("lacks config.json and tokenizer.json"),
            "{words}"
        );
        let empty = tempfile::tempdir().unwrap();
        let words = error(empty.path());
        assert!(
            words.contains("tokenizer.json and weights (.safetensors)"),
            "{words}"
        );
    }

    #[test]
    fn a_folder_of_the_hub_needs_no_manifest() {
        let folder = whole();
        fs::remove_file(folder.path().join(MANIFEST)).unwrap();
        let words = error(folder.path());
        assert!(words.contains("lacks model.toml"), "{words}");
        let config = folder.path().join("config.json");
        fs::write(config, r#"{"model_type": "llava"}"#).unwrap();
        check(folder.path()).unwrap();
    }

    #[test]
    fn a_part_that_the_index_names_must_be_there() {
        let folder = whole();
        let index = r#"{"weight_map":{"a":"model.safetensors","b":"model-2.safetensors"}}"#;
        fs::write(folder.path().join(INDEX), index).unwrap();
        let words = error(folder.path());
        assert!(words.contains("lacks model-2.safetensors;"), "{words}");
    }

    #[test]
    fn weights_that_were_cut_off_are_noticed_at_every_byte() {
        let folder = whole();
        let file = folder.path().join("model.safetensors");
        let bytes = weights_file();
        for len in 0..bytes.len() {
            fs::write(&file, &bytes[..len]).unwrap();
            let words = error(folder.path());
            assert!(words.contains("cut off"), "{len}: {words}");
        }
    }
}
