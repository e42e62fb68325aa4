//! From a path to an [`ImportBatch`]: find out what stands there, read it, look at every file, add conversations.

use std::collections::HashSet;
use std::path::Path;
use std::path::PathBuf;

use super::conversations::Conversations;
use super::conversations::files_in;
use super::conversations::read_conversations;
use super::detect::Plan;
use super::detect::plan;
use super::error::DatasetError;
use super::files;
use super::files::file_name;
use super::folder::read_folder;
use super::rows::read_table;
use crate::domain::ImportBatch;
use crate::domain::Interrupted;
use crate::domain::OpinionScale;
use crate::domain::Problem;
use crate::domain::ProblemKind;

/// Layout words that [`Source::layout`] may hold.
pub const LAYOUTS: [&str; 5] = ["auto", "agiqa-3k", "table", "folder", "demo"];

/// A dataset to read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Source {
    /// Folder, table or single picture.
    pub path: PathBuf,
    /// One of [`LAYOUTS`]; `None` means `auto`.
    pub layout: Option<String>,
    /// Conversation files, or folders of them. Where none are given, a folder `conversations` beside the table of a
    /// known layout is read.
    pub conversations: Vec<PathBuf>,
    /// Column names of a table: (our name, theirs).
    pub columns: Vec<(String, String)>,
}

/// Reads a dataset. `progress` hears (files looked at, files in all) and may stop the reading.
///
/// # Errors
/// Only where nothing can be read at all; what is wrong with single rows is in the batch's problems.
pub fn read(
    request: &Source,
    progress: &mut dyn FnMut(u64, u64) -> Result<(), Interrupted>,
) -> Result<ImportBatch, DatasetError> {
    let path = files::absolute(&request.path)?;
    let layout = request.layout.as_deref().unwrap_or("auto");
    let plan = plan(&path, layout)?;
    // A wrong path among them is said at once, not after every picture was looked at.
    let mut conversations = read_conversations(&request.conversations)?;
    let mut batch = match plan {
        Plan::Table { table, kind } => read_table(&table, kind, &request.columns, progress)?,
        Plan::Folder { folder } => read_pictures(&folder, None, progress)?,
        Plan::Picture { file } => {
            let folder = file.parent().unwrap_or(&file);
            read_pictures(folder, Some(&file), progress)?
        }
    };
    let is_known = batch.layout == "agiqa-3k" || batch.layout == "demo";
    if request.conversations.is_empty() && is_known {
        let beside = files_in(&Path::new(&batch.root).join("conversations"));
        conversations = read_conversations(&beside)?;
    }
    add_conversations(&mut batch, conversations);
    Ok(batch)
}

fn read_pictures(
    folder: &Path,
    only: Option<&Path>,
    progress: &mut dyn FnMut(u64, u64) -> Result<(), Interrupted>,
) -> Result<ImportBatch, DatasetError> {
    let (rows, problems) = read_folder(folder, only, progress)?;
    Ok(ImportBatch {
        dataset: files::last_part(folder),
        layout: "folder".to_owned(),
        root: folder.to_string_lossy().into_owned(),
        scale: OpinionScale::ZERO_TO_FIVE,
        rows,
        splits: Vec::new(),
        conversations: Vec::new(),
        problems,
    })
}

/// Keeps the conversations whose picture is in the dataset and says how many are not.
fn add_conversations(batch: &mut ImportBatch, found: Conversations) {
    let names: HashSet<&str> = batch.rows.iter().map(|row| file_name(&row.path)).collect();
    let mut strangers: Vec<(String, Vec<String>)> = Vec::new();
    for entry in &found.entries {
        if names.contains(entry.file_name.as_str()) {
            continue;
        }
        match strangers.last_mut() {
            Some((source, images)) if *source == entry.source => {
                images.push(entry.file_name.clone());
            }
            _ => strangers.push((entry.source.clone(), vec![entry.file_name.clone()])),
        }
    }
    batch.problems.extend(found.problems);
    for (source, images) in strangers {
        batch.problems.push(Problem {
            kind: ProblemKind::Warning,
            file: source,
            line: None,
            message: format!(
                "{} conversations are about pictures that are not in the dataset, first {}; check that the file belongs to it",
                images.len(),
                images[0]
            ),
        });
    }
    let entries = found.entries.into_iter();
    let conversations = entries.filter(|entry| names.contains(entry.file_name.as_str()));
    let splits = found.splits.into_iter();
    let splits = splits.filter(|entry| names.contains(entry.file_name.as_str()));
    let (conversations, splits) = (conversations.collect(), splits.collect());
    batch.conversations = conversations;
    batch.splits = splits;
}
