//! Taking a folder of the user's among the program's models: links to its files, and a manifest.

use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;

use crate::domain::ModelKind;
use crate::domain::Purpose;
use crate::jobs::error::JobError;
use crate::jobs::home::Home;
use crate::jobs::model_host::card_of_folder;
use crate::net;

use super::MANIFEST;
use super::NOTE;
use super::files_below;
use super::known;
use super::known_models;
use super::manifest::Origin;
use super::manifest::architecture;
use super::manifest::origin;
use super::manifest::with_ending;
use super::manifest::write_manifest;
use super::problem_of;

/// What was taken in.
pub(in crate::jobs) struct Added {
    /// Its folder among the program's models.
    pub(in crate::jobs) folder: PathBuf,
    /// One sentence.
    pub(in crate::jobs) summary: String,
}

/// Takes a folder of the user's into the program's models: links to its files, and a manifest. Nothing is written into
/// the folder itself. A folder that is no whole model, adapter or checkpoint is refused with what it lacks.
pub(in crate::jobs) fn add(home: &Home, folder: &Path) -> Result<Added, JobError> {
    let folder = fs::canonicalize(folder).map_err(|source| JobError::File {
        action: "look into the folder",
        source,
        path: folder.to_path_buf(),
    })?;
    let no_model = |reason: &str| JobError::NoWholeModel {
        reason: reason.to_owned(),
        path: folder.clone(),
    };
    if !folder.is_dir() {
        return Err(no_model("a folder was expected and this is a file"));
    }
    if folder.join(NOTE).is_file() {
        return Err(no_model(
            "its download is not finished; fetch it again to go on",
        ));
    }
    let theirs = origin(&folder);
    let kind = found_kind(&folder, theirs.as_ref());
    let place = free_place(home, &folder);
    let making = with_ending(&place, ".new");
    fs::remove_dir_all(&making).ok();
    let made = link_all(&folder, &making).and_then(|()| {
        let name = place
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let origin = described(&folder, &name, kind, theirs);
        write_manifest(&making, &folder.join(MANIFEST), origin)?;
        let problem = match kind {
            ModelKind::Model => card_of_folder(&making).err().map(|error| error.to_string()),
            kind => problem_of(&making, kind),
        };
        problem.map_or(Ok(()), |reason| Err(no_model(&reason)))
    });
    let placed = made.and_then(|()| {
        fs::remove_dir_all(&place).ok();
        fs::rename(&making, &place).map_err(|source| JobError::File {
            action: "take the folder in",
            source,
            path: place.clone(),
        })
    });
    if let Err(error) = placed {
        fs::remove_dir_all(&making).ok();
        return Err(error);
    }
    let name = place.file_name().unwrap_or_default().to_string_lossy();
    Ok(Added {
        summary: format!(
            "{name} ({}) was added; its files stay in {}",
            kind.word(),
            folder.display()
        ),
        folder: place,
    })
}

/// What a folder of the user's looks like.
fn found_kind(folder: &Path, theirs: Option<&Origin>) -> ModelKind {
    let files = files_below(folder);
    let has = |pattern: &str| files.iter().any(|name| net::matches_glob(pattern, name));
    match () {
        () if has("adapter_config.json") => ModelKind::Adapter,
        () if has("*.ckpt") && !has("config.json") => ModelKind::Predictor,
        () => theirs.map_or(ModelKind::Model, |theirs| theirs.kind),
    }
}

/// The folder's place among the program's models: its own from before, or the first free name.
fn free_place(home: &Home, folder: &Path) -> PathBuf {
    let name = folder
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let mut number = 1;
    loop {
        let name = match number {
            1 => name.clone(),
            number => format!("{name}-{number}"),
        };
        let place = home.models_folder().join(name);
        let is_own = origin(&place).is_some_and(|origin| origin.folder.as_deref() == Some(folder));
        if is_own || !place.exists() {
            return place;
        }
        number += 1;
    }
}

/// Makes a folder of links to the files of another one.
fn link_all(folder: &Path, place: &Path) -> Result<(), JobError> {
    for name in files_below(folder) {
        if name == MANIFEST {
            continue;
        }
        let link = place.join(&name);
        let made = link.parent().map_or(Ok(()), fs::create_dir_all);
        made.and_then(|()| link_to(&folder.join(&name), &link)).map_err(|source| JobError::File {
            action: "link to the folder's files (where the system has no links, copy the folder among the program's models)",
            source,
            path: link,
        })?;
    }
    fs::create_dir_all(place).map_err(|source| JobError::File {
        action: "make the folder",
        source,
        path: place.to_path_buf(),
    })
}

#[cfg(unix)]
fn link_to(file: &Path, link: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(file, link)
}

#[cfg(windows)]
fn link_to(file: &Path, link: &Path) -> io::Result<()> {
    std::os::windows::fs::symlink_file(file, link).or_else(|_| fs::hard_link(file, link))
}

/// What a folder of the user's is, in the words of its own manifest as far as it has one.
fn described(folder: &Path, name: &str, kind: ModelKind, theirs: Option<Origin>) -> Origin {
    let theirs = theirs.unwrap_or_default();
    let told = |text: String, otherwise: &str| match text.as_str() {
        "" => otherwise.to_owned(),
        _ => text,
    };
    let place = folder.display().to_string();
    // What the list of known models says of a repository's folder is good for a copy of it too.
    let known = known(name).or_else(|| {
        let name = name.to_lowercase();
        let all = known_models();
        all.into_iter().find(|known| {
            known
                .repository
                .to_lowercase()
                .ends_with(&format!("/{name}"))
        })
    });
    let purpose = known
        .as_ref()
        .map(|known| known.purpose.clone())
        .unwrap_or_default();
    let summary = known
        .as_ref()
        .map_or("Added by its folder", |known| &known.summary);
    let licence = known.as_ref().and_then(|known| known.licence.as_deref());
    Origin {
        name: told(theirs.name, name),
        kind,
        summary: told(theirs.summary, summary),
        source: told(theirs.source, &place),
        licence: told(theirs.licence, licence.unwrap_or("not stated")),
        architecture: theirs.architecture.or_else(|| architecture(folder)),
        repository: theirs.repository,
        commit: theirs.commit,
        folder: Some(folder.to_path_buf()),
        purpose: Purpose {
            base: theirs
                .purpose
                .base
                .or_else(|| adapter_base(folder))
                .or(purpose.base),
            aspect: theirs.purpose.aspect.or(purpose.aspect),
            dataset: theirs.purpose.dataset.or(purpose.dataset),
            scale: theirs.purpose.scale.or(purpose.scale),
            note: theirs.purpose.note.or(purpose.note),
        },
        files: Vec::new(),
    }
}

/// The base that an adapter's own configuration names.
pub(super) fn adapter_base(folder: &Path) -> Option<String> {
    let text = fs::read_to_string(folder.join("adapter_config.json")).ok()?;
    let config: serde_json::Value = serde_json::from_str(&text).ok()?;
    config
        .get("base_model_name_or_path")?
        .as_str()
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::super::shelf;
    use super::*;

    #[test]
    fn an_adapter_says_what_it_lacks() {
        let folder = tempfile::tempdir().unwrap();
        let problem = || problem_of(folder.path(), ModelKind::Adapter).unwrap_or_default();
        assert!(problem().contains("adapter_config.json"));
        let config = r#"{"base_model_name_or_path": "openbmb/MiniCPM-Llama3-V-2_5"}"#;
        fs::write(folder.path().join("adapter_config.json"), config).unwrap();
        assert!(problem().contains("adapter_model.safetensors"));
        let home = Home::at(folder.path().join("home"));
        assert!(add(&home, folder.path()).is_err());
        assert!(!home.models_folder().join("adapter").exists());
        fs::write(folder.path().join("adapter_model.bin"), "weights").unwrap();
        assert_eq!(problem(), "");
        let added = add(&home, folder.path()).unwrap();
        let shelf = shelf(&home);
        assert_eq!(shelf.add_ons.len(), 1);
        assert_eq!(
            shelf.add_ons[0].purpose.base.as_deref(),
            Some("openbmb/MiniCPM-Llama3-V-2_5")
        );
        assert_eq!(shelf.add_ons[0].problem, None);
        // Adding it again is no second one, and nothing was written into the user's folder but what the test put there.
        assert_eq!(add(&home, folder.path()).unwrap().folder, added.folder);
    }
}
