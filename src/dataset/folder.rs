//! A plain folder of pictures: prompts come from the files themselves or from text files beside them.

use std::path::Path;

use super::error::DatasetError;
use super::files;
use crate::domain::AspectMap;
use crate::domain::ImportRow;
use crate::domain::Interrupted;
use crate::domain::Problem;
use crate::domain::ProblemKind;
use crate::media;

/// Rows of every picture below a folder, or of the one picture given.
pub(super) fn read_folder(
    root: &Path,
    only: Option<&Path>,
    progress: &mut dyn FnMut(u64, u64) -> Result<(), Interrupted>,
) -> Result<(Vec<ImportRow>, Vec<Problem>), DatasetError> {
    let (paths, mut problems) = match only {
        Some(file) => (vec![file.to_owned()], Vec::new()),
        None => files::walk(root),
    };
    if paths.is_empty() {
        return Err(DatasetError::NoPictures {
            path: root.to_owned(),
        });
    }
    let read = files::in_parallel(&paths, |path| read_picture(root, path), progress)?;
    let mut rows = Vec::with_capacity(read.len());
    for (row, note) in read {
        problems.extend(note.map(|message| Problem {
            kind: ProblemKind::Warning,
            file: row.path.clone(),
            line: None,
            message,
        }));
        rows.push(row);
    }
    Ok((rows, problems))
}

/// The prompt in a file or beside it, with where it was found; empty where there is none.
pub(super) fn prompt_of(path: &Path) -> (String, String) {
    media::prompt_in_file(path)
        .or_else(|| media::prompt_in_sidecar(path))
        .unwrap_or_default()
}

fn read_picture(root: &Path, path: &Path) -> (ImportRow, Option<String>) {
    let probe = media::inspect(path);
    let (prompt, prompt_source) = prompt_of(path);
    let row = ImportRow {
        path: files::relative_to(root, path),
        file: probe.state,
        prompt,
        prompt_source,
        generator: None,
        style: None,
        tags: Vec::new(),
        truth: AspectMap::default(),
        split: AspectMap::default(),
    };
    (row, probe.note)
}
