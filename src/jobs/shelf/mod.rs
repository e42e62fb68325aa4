//! The program's models folder: what lies in it, taking folders in, and holding files against what is known of them.
//!
//! A folder below it is a whole model, adapter or predictor once it has a `model.toml` and no note of a download. The
//! files of a folder that the user added stay where they are: ours holds links to them and the manifest alone.

mod add;
mod check;
mod made;
mod manifest;

use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;

use serde::Deserialize;
use sysinfo::MemoryRefreshKind;
use sysinfo::System;

use crate::domain::AddOn;
use crate::domain::HalfDownload;
use crate::domain::KnownModel;
use crate::domain::ModelKind;
use crate::domain::Purpose;
use crate::domain::Shelf;
use crate::jobs::error::JobError;
use crate::jobs::fetch::Plan;
use crate::jobs::fetch::folder_bytes;
use crate::jobs::home::Home;
use crate::net;
use crate::net::Hub;

pub(super) use add::add;
pub(super) use check::check;
pub(super) use made::MadeAdapter;
pub(super) use made::place_adapter;

use add::adapter_base;
use manifest::FileEntry;
use manifest::Origin;
use manifest::architecture;
use manifest::origin;
use manifest::with_ending;
use manifest::write_manifest;
pub use manifest::write_whole;

/// Says that a folder is whole, and what it is.
pub(super) const MANIFEST: &str = "model.toml";

/// The manifest that came with a download.
pub(super) const HUB_MANIFEST: &str = "model.hub.toml";

/// The note of a download that is not whole.
const NOTE: &str = "download.json";

static KNOWN: &str = include_str!("../../../assets/models.toml");

/// The list of known models.
#[derive(Debug, Deserialize)]
struct Known {
    model: Vec<KnownModel>,
}

/// The models that the program knows of.
///
/// # Panics
/// Never in a program whose tests passed: the list is part of it.
pub(super) fn known_models() -> Vec<KnownModel> {
    let known: Known = toml::from_str(KNOWN).expect("the list in the program is checked by a test");
    known.model
}

/// A known model by its name, or by its repository where that holds one model only.
pub(super) fn known(source: &str) -> Option<KnownModel> {
    let all = known_models();
    let by_name = all
        .iter()
        .find(|known| known.name.eq_ignore_ascii_case(source));
    let mut of_repository = all
        .iter()
        .filter(|known| known.repository.eq_ignore_ascii_case(source));
    let by_repository = of_repository
        .next()
        .filter(|_| of_repository.next().is_none());
    by_name.or(by_repository).cloned()
}

/// Everything among the program's models beside whole models, and what could be fetched.
pub fn shelf(home: &Home) -> Shelf {
    let mut shelf = Shelf {
        known: known_models(),
        host: Hub::from_env(0).map_or_else(|error| error.to_string(), |hub| hub.host()),
        free_memory: free_memory(),
        ..Shelf::default()
    };
    for folder in folders(home) {
        if let Some(half) = half(&folder) {
            shelf.halves.push(half);
            continue;
        }
        let Some(origin) = origin(&folder) else {
            continue;
        };
        shelf.here.extend(
            folder
                .file_name()
                .map(|name| name.to_string_lossy().into_owned()),
        );
        if origin.kind != ModelKind::Model {
            shelf.add_ons.push(add_on(folder, origin));
        }
    }
    shelf
}

/// The folders below the program's models that should hold a model which describes by itself.
pub(super) fn model_folders(home: &Home) -> Vec<PathBuf> {
    let mut folders = folders(home);
    folders.retain(|folder| {
        let kind = origin(folder).map_or(ModelKind::Model, |origin| origin.kind);
        kind == ModelKind::Model && !folder.join(NOTE).is_file()
    });
    folders
}

/// Whether a folder holds something whole.
pub(super) fn is_whole(folder: &Path) -> bool {
    folder.join(MANIFEST).is_file() && !folder.join(NOTE).is_file()
}

/// Whether a folder holds an adapter and no model.
pub(super) fn is_adapter(folder: &Path) -> bool {
    folder.join("adapter_config.json").is_file() && !folder.join("config.json").is_file()
}

/// The model that an adapter's folder says it belongs to, by name or repository.
pub(super) fn base_of_adapter(folder: &Path) -> Option<String> {
    origin(folder).and_then(|origin| origin.purpose.base)
}

/// A predictor's file, and what is known of it.
pub(super) struct FoundPredictor {
    pub(super) file: PathBuf,
    pub(super) name: Option<String>,
    pub(super) purpose: Purpose,
}

/// The predictor at a path, or of a name among the program's models: a file, or the one that a folder holds.
pub(super) fn predictor_in(home: &Home, path: &Path) -> Result<FoundPredictor, JobError> {
    let below = home.models_folder().join(path);
    let path = match path.exists() {
        true => path,
        false => &below,
    };
    if !path.exists() {
        return Err(JobError::File {
            action: "find the predictor",
            source: io::ErrorKind::NotFound.into(),
            path: path.to_owned(),
        });
    }
    if !path.is_dir() {
        return Ok(FoundPredictor {
            file: path.to_owned(),
            name: None,
            purpose: Purpose::default(),
        });
    }
    let files = files_below(path);
    let ending_in = |ending: &str| files.iter().find(|name| name.ends_with(ending));
    let Some(file) = ending_in(".ckpt").or_else(|| ending_in(".safetensors")) else {
        return Err(JobError::NoWholeModel {
            reason: "it lacks its checkpoint (.ckpt or .safetensors); copy or download it again"
                .to_owned(),
            path: path.to_owned(),
        });
    };
    let origin = origin(path).unwrap_or_default();
    Ok(FoundPredictor {
        file: path.join(file),
        name: Some(origin.name).filter(|name| !name.is_empty()),
        purpose: origin.purpose,
    })
}

/// The repository that a folder of ours holds, or has begun to.
pub(super) fn repository_in(folder: &Path) -> Option<String> {
    match half(folder) {
        Some(half) => Some(half.repository),
        None => origin(folder)?.repository,
    }
}

/// The commit that a cut-off download began with, where it is the one that is asked for: a branch may have moved on, and
/// files of two commits are no model.
pub(super) fn begun_commit(
    folder: &Path,
    repository: &str,
    revision: Option<&str>,
) -> Option<String> {
    let half = half(folder).filter(|half| {
        half.repository == repository && revision.is_none_or(|asked| asked == half.revision)
    })?;
    half.commit.filter(|commit| is_commit(commit))
}

/// Whether what lies in a folder is of this commit, as far as a download of ours put it there.
pub(super) fn is_of_commit(folder: &Path, commit: &str) -> bool {
    let held = match half(folder) {
        Some(half) => half.commit,
        None => match origin(folder).filter(|origin| origin.repository.is_some()) {
            Some(origin) => origin.commit,
            None => return true,
        },
    };
    held.as_deref() == Some(commit) && is_commit(commit)
}

/// Whether this names one content for ever: a commit's hash (SHA-1 or SHA-256) and no branch or tag.
fn is_commit(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Notes a download before its first byte comes.
pub(super) fn write_note(note: &HalfDownload) -> Result<(), JobError> {
    let folder = &note.folder;
    let path = folder.join(NOTE);
    let text = serde_json::to_vec_pretty(note).map_err(io::Error::other);
    let written = fs::create_dir_all(folder)
        .and(text)
        .and_then(|text| write_whole(&path, &text));
    written.map_err(|source| JobError::File {
        action: "write the note of the download",
        source,
        path,
    })
}

/// Bytes of a file that are on this machine: the whole of it, or its part.
pub(super) fn present_bytes(target: &Path) -> u64 {
    let len = |path: &Path| fs::metadata(path).map(|meta| meta.len());
    len(target)
        .or_else(|_| len(&with_ending(target, net::PART_ENDING)))
        .unwrap_or(0)
}

/// Writes the manifest of a download that is whole now, and takes its note away.
pub(super) fn finish(home: &Home, plan: &Plan) -> Result<(), JobError> {
    let known = plan.known.as_ref();
    let repository = &plan.repository;
    let summary = known.map_or_else(
        || format!("{} from the hub", repository.name),
        |known| known.summary.clone(),
    );
    let entry = |file: &net::RemoteFile| FileEntry {
        name: plan.target(file).strip_prefix(&plan.folder).map_or_else(
            |_| file.name.clone(),
            |name| name.to_string_lossy().replace('\\', "/"),
        ),
        bytes: file.bytes,
        sha256: file.sha256.clone(),
    };
    let origin = Origin {
        name: plan.name.clone(),
        kind: plan.kind,
        summary,
        source: format!("{} at {}", repository.page, repository.commit),
        licence: plan.licence().unwrap_or_else(|| "not stated".to_owned()),
        architecture: architecture(&plan.folder),
        repository: Some(repository.name.clone()),
        commit: Some(repository.commit.clone()),
        folder: None,
        purpose: known.map(|known| known.purpose.clone()).unwrap_or_default(),
        files: plan.files.iter().map(entry).collect(),
    };
    write_manifest(&plan.folder, &plan.folder.join(HUB_MANIFEST), origin)?;
    let note = plan.folder.join(NOTE);
    fs::remove_file(&note).map_err(|source| JobError::File {
        action: "take the note of the download away",
        source,
        path: note,
    })?;
    if plan.folder.parent() != Some(&home.models_folder()) {
        add(home, &plan.folder)?;
    }
    Ok(())
}

/// Takes away what came of a download that is not whole.
pub(super) fn forget(folder: &Path) -> Result<(), JobError> {
    if half(folder).is_none() {
        return Err(JobError::NoDownload {
            path: folder.to_path_buf(),
        });
    }
    fs::remove_dir_all(folder).map_err(|source| JobError::File {
        action: "take the download away",
        source,
        path: folder.to_path_buf(),
    })
}

fn folders(home: &Home) -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = fs::read_dir(home.models_folder())
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|folder| folder.is_dir() && folder.extension().is_none_or(|ending| ending != "new"))
        .collect();
    folders.sort();
    folders
}

fn half(folder: &Path) -> Option<HalfDownload> {
    let note: HalfDownload = serde_json::from_slice(&fs::read(folder.join(NOTE)).ok()?).ok()?;
    let notes = [folder.join(NOTE), folder.join(HUB_MANIFEST)];
    let beside: u64 = notes
        .iter()
        .map(|path| fs::metadata(path).map_or(0, |meta| meta.len()))
        .sum();
    Some(HalfDownload {
        present: folder_bytes(folder).saturating_sub(beside),
        folder: folder.to_path_buf(),
        ..note
    })
}

fn add_on(folder: PathBuf, origin: Origin) -> AddOn {
    AddOn {
        kind: origin.kind,
        problem: problem_of(&folder, origin.kind),
        name: origin.name,
        summary: origin.summary,
        source: origin.source,
        licence: origin.licence,
        purpose: origin.purpose,
        bytes: folder_bytes(&folder),
        folder,
    }
}

/// What an adapter or a predictor lacks.
fn problem_of(folder: &Path, kind: ModelKind) -> Option<String> {
    let files = files_below(folder);
    let has = |pattern: &str| files.iter().any(|name| net::matches_glob(pattern, name));
    let lacks = |what: &str| Some(format!("it lacks {what}; copy or download it again"));
    match kind {
        ModelKind::Adapter if !has("adapter_config.json") => lacks("adapter_config.json"),
        ModelKind::Adapter if !has("adapter_model*.safetensors") && !has("adapter_model*.bin") => {
            lacks("its weights (adapter_model.safetensors or adapter_model.bin)")
        }
        ModelKind::Predictor if !has("*.ckpt") && !has("*.safetensors") => {
            lacks("its checkpoint (.ckpt or .safetensors)")
        }
        ModelKind::Model | ModelKind::Adapter | ModelKind::Predictor => None,
    }
}

/// Names of files below a folder, with `/` between parts; links are followed.
fn files_below(folder: &Path) -> Vec<String> {
    let mut names = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(place) = folders.pop() {
        for path in fs::read_dir(&place)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path())
        {
            // Folders of versions and caches are deep and hold no model.
            let is_hidden = path
                .file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with('.'));
            if path.is_dir() && !is_hidden {
                folders.push(path);
            } else if path.is_file()
                && let Ok(name) = path.strip_prefix(folder)
            {
                names.push(name.to_string_lossy().replace('\\', "/"));
            }
        }
    }
    names.sort();
    names
}

fn free_memory() -> Option<u64> {
    let mut system = System::new().ok()?;
    system.refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
    Some(system.available_memory()).filter(|bytes| *bytes > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_known_models_is_whole() {
        let known = known_models();
        let of = |kind| known.iter().filter(|known| known.kind == kind).count();
        assert_eq!(of(ModelKind::Model), 3);
        assert_eq!(of(ModelKind::Adapter), 6);
        assert_eq!(of(ModelKind::Predictor), 3);
        for model in &known {
            if model.kind != ModelKind::Model {
                assert!(
                    model.purpose.aspect.is_some() && model.purpose.dataset.is_some(),
                    "{}",
                    model.name
                );
                assert_eq!(model.purpose.base.as_deref(), Some("minicpm-llama3-v-2.5"));
            }
            assert!(net::is_safe_name(&model.name) && !model.name.contains('/'));
        }
        let mut names: Vec<&str> = known.iter().map(|known| known.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), known.len());
    }

    #[test]
    fn a_model_is_known_by_name_or_by_a_repository_of_its_own() {
        let name = |source| known(source).map(|known| known.name);
        assert_eq!(
            name("qwen/qwen2.5-vl-7b-instruct").as_deref(),
            Some("qwen2.5-vl-7b")
        );
        assert_eq!(name("QWEN2.5-VL-7B").as_deref(), Some("qwen2.5-vl-7b"));
        // Three checkpoints lie in it: which one is meant has to be said.
        assert_eq!(name("strawhat/m3-agiqa-predictor-checkpoints"), None);
    }
}
