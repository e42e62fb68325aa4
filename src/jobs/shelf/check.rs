//! Holding a model's files against what is known of them.

use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;

use crate::domain::HalfDownload;
use crate::domain::Interrupted;
use crate::domain::ModelKind;
use crate::jobs::context::JobContext;
use crate::jobs::error::JobError;
use crate::jobs::model_host::card_of_folder;
use crate::net;

use super::known;
use super::manifest::FileEntry;
use super::manifest::Origin;
use super::manifest::origin;
use super::problem_of;
use super::write_note;

/// Reads every file of a folder and holds it against what is known of it. A file of a download that has other bytes is
/// taken away, so that fetching again mends it.
pub(in crate::jobs) fn check(folder: &Path, context: &mut JobContext) -> Result<String, JobError> {
    let origin = origin(folder).unwrap_or_default();
    let no_model = |reason: String| JobError::NoWholeModel {
        reason,
        path: folder.to_path_buf(),
    };
    if origin.files.is_empty() {
        context.progress(0, 0, "Looking at the files")?;
        return match origin.kind {
            ModelKind::Model => card_of_folder(folder).map(|card| {
                format!(
                    "Its files are whole; SHA-256 of them all {}",
                    card.tag.sha256
                )
            }),
            kind => match problem_of(folder, kind) {
                None => Ok("Its files are whole".to_owned()),
                Some(reason) => Err(no_model(reason)),
            },
        };
    }
    let total = origin.files.iter().filter_map(|file| file.bytes).sum();
    let mut read = 0;
    let mut wrong = Vec::new();
    for file in &origin.files {
        let path = folder.join(&file.name);
        if let Some(reason) = fault(&path, file, &mut |more| {
            read += more;
            context.bytes(read, total, &file.name)
        })? {
            wrong.push((path, format!("{} {reason}", file.name)));
        }
    }
    if wrong.is_empty() {
        let sums = origin
            .files
            .iter()
            .filter(|file| file.sha256.is_some())
            .count();
        return Ok(format!(
            "All {} files are whole, {sums} of them by their SHA-256",
            origin.files.len()
        ));
    }
    let words: Vec<&str> = wrong.iter().map(|(_, words)| words.as_str()).collect();
    let words = words.join("; ");
    reopen(folder, &origin, &wrong)?;
    Err(no_model(format!("{words}; fetch it again to mend it")))
}

/// Turns a folder whose files are not as they should be back into a download that is not whole.
fn reopen(folder: &Path, origin: &Origin, wrong: &[(PathBuf, String)]) -> Result<(), JobError> {
    let Some(repository) = &origin.repository else {
        return Ok(());
    };
    write_note(&HalfDownload {
        source: known(&origin.name).map_or_else(|| repository.clone(), |known| known.name),
        name: origin.name.clone(),
        kind: origin.kind,
        repository: repository.clone(),
        revision: origin.commit.clone().unwrap_or_default(),
        commit: origin.commit.clone(),
        include: origin.files.iter().map(|file| file.name.clone()).collect(),
        licence: Some(origin.licence.clone()),
        bytes: origin.files.iter().map(|file| file.bytes).sum(),
        present: 0,
        folder: folder.to_path_buf(),
    })?;
    for (path, _) in wrong {
        // What is not there needs no taking away, and what cannot be taken away is found again by the next check.
        fs::remove_file(path).ok();
    }
    Ok(())
}

/// What is wrong with a file; `read` hears of every piece that was read.
fn fault(
    path: &Path,
    file: &FileEntry,
    read: &mut dyn FnMut(u64) -> Result<(), Interrupted>,
) -> Result<Option<String>, JobError> {
    let (len, found) = match net::sum_of(path, read) {
        Ok(summed) => summed?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(Some("is lacking".to_owned()));
        }
        Err(error) => return Ok(Some(format!("cannot be read ({error})"))),
    };
    if let Some(bytes) = file.bytes.filter(|bytes| *bytes != len) {
        return Ok(Some(format!("has {len} bytes in place of {bytes}")));
    }
    let is_other = file
        .sha256
        .as_ref()
        .is_some_and(|expected| *expected != found);
    Ok(is_other.then(|| "has other bytes than it should (SHA-256)".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_held_against_what_the_hub_said() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let entry = FileEntry {
            name: "a".to_owned(),
            bytes: Some(3),
            sha256: Some(
                "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad".to_owned(),
            ),
        };
        let fault = || fault(&path, &entry, &mut |_| Ok(())).unwrap();
        assert_eq!(fault().as_deref(), Some("is lacking"));
        fs::write(&path, "ab").unwrap();
        assert_eq!(fault().as_deref(), Some("has 2 bytes in place of 3"));
        fs::write(&path, "abd").unwrap();
        assert!(fault().is_some_and(|words| words.contains("SHA-256")));
        fs::write(&path, "abc").unwrap();
        assert_eq!(fault(), None);
    }
}
