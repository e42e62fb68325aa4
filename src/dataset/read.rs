//! From a path to an [`ImportBatch`]: find out what stands there, read it, look at every file, add conversations.

use std::collections::HashMap;
use std::collections::HashSet;
use std::path::Path;
use std::path::PathBuf;

use super::columns::Field;
use super::conversations::Conversations;
use super::conversations::files_in;
use super::conversations::read_conversations;
use super::detect::Plan;
use super::detect::TableKind;
use super::detect::plan;
use super::error::DatasetError;
use super::files;
use super::files::file_name;
use super::folder::prompt_of;
use super::folder::read_folder;
use super::table;
use super::table::Table;
use super::table::TableRow;
use crate::domain::Aspect;
use crate::domain::FileState;
use crate::domain::ImportBatch;
use crate::domain::ImportRow;
use crate::domain::Interrupted;
use crate::domain::OpinionScale;
use crate::domain::Problem;
use crate::domain::ProblemKind;
use crate::media;

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
    let mut batch = match plan(&path, layout)? {
        Plan::Table { table, kind } => read_table(&table, kind, &request.columns, progress)?,
        Plan::Folder { folder } => read_pictures(&folder, None, progress)?,
        Plan::Picture { file } => {
            let folder = file.parent().unwrap_or(&file);
            read_pictures(folder, Some(&file), progress)?
        }
    };
    let is_known = batch.layout == "agiqa-3k" || batch.layout == "demo";
    let conversations = if request.conversations.is_empty() && is_known {
        files_in(&Path::new(&batch.root).join("conversations"))
    } else {
        request.conversations.clone()
    };
    add_conversations(&mut batch, read_conversations(&conversations)?);
    Ok(batch)
}

fn read_pictures(
    folder: &Path,
    only: Option<&Path>,
    progress: &mut dyn FnMut(u64, u64) -> Result<(), Interrupted>,
) -> Result<ImportBatch, DatasetError> {
    let (rows, problems) = read_folder(folder, only, progress)?;
    Ok(ImportBatch {
        dataset: last_part(folder),
        layout: "folder".to_owned(),
        root: folder.to_string_lossy().into_owned(),
        scale: OpinionScale::ZERO_TO_FIVE,
        rows,
        splits: Vec::new(),
        conversations: Vec::new(),
        problems,
    })
}

fn read_table(
    path: &Path,
    kind: TableKind,
    columns: &[(String, String)],
    progress: &mut dyn FnMut(u64, u64) -> Result<(), Interrupted>,
) -> Result<ImportBatch, DatasetError> {
    let base = path.parent().unwrap_or(path);
    let file = last_part(path);
    let mut table = table::read_table(path, &file, columns)?;
    warn_of_lacking_columns(&mut table, kind, &file);
    let scale = match kind {
        TableKind::Agiqa | TableKind::Demo => OpinionScale::ZERO_TO_FIVE,
        TableKind::Any => table::guess_scale(&table.rows),
    };
    table::reject_beyond(&mut table, scale, &file);
    let names: Vec<&str> = table.rows.iter().map(|row| row.name.as_str()).collect();
    let located = files::locate(base, &names);
    let wanted: Vec<(Option<PathBuf>, bool)> = located
        .absolute
        .into_iter()
        .zip(table.rows.iter().map(|row| row.prompt.is_empty()))
        .collect();
    let looked_at = files::in_parallel(
        &wanted,
        |(path, lacks_prompt)| look_at(path.as_deref(), *lacks_prompt),
        progress,
    )?;
    let mut batch = ImportBatch {
        dataset: dataset_name(path, kind),
        layout: layout_word(kind).to_owned(),
        root: located.root.to_string_lossy().into_owned(),
        scale,
        rows: Vec::with_capacity(table.rows.len()),
        splits: Vec::new(),
        conversations: Vec::new(),
        problems: table.problems,
    };
    let mut lines = HashMap::new();
    for ((row, relative), looked) in table.rows.into_iter().zip(located.relative).zip(looked_at) {
        if let Some(former) = lines.insert(relative.clone(), row.line) {
            batch.problems.push(Problem {
                kind: ProblemKind::Rejected,
                file: file.clone(),
                line: Some(row.line),
                message: format!(
                    "{} is the same file as that of line {former}; this row did not come in, keep one of the two",
                    row.name
                ),
            });
            lines.insert(relative, former);
            continue;
        }
        batch
            .problems
            .extend(looked.note.as_ref().map(|note| Problem {
                kind: ProblemKind::Warning,
                file: file.clone(),
                line: Some(row.line),
                message: format!("{}: {note}", row.name),
            }));
        batch
            .rows
            .push(import_row(row, relative, looked, kind, &file));
    }
    batch.problems.sort_by_key(|problem| problem.line);
    Ok(batch)
}

/// What was found out about one row's file.
struct LookedAt {
    state: Option<FileState>,
    note: Option<String>,
    /// Prompt and its place, only asked for where the table has none.
    prompt: (String, String),
}

fn look_at(path: Option<&Path>, lacks_prompt: bool) -> LookedAt {
    let Some(path) = path else {
        return LookedAt {
            state: None,
            note: None,
            prompt: (String::new(), String::new()),
        };
    };
    let probe = media::inspect(path);
    LookedAt {
        state: Some(probe.state),
        note: probe.note,
        prompt: if lacks_prompt {
            prompt_of(path)
        } else {
            (String::new(), String::new())
        },
    }
}

fn import_row(
    row: TableRow,
    path: String,
    looked: LookedAt,
    kind: TableKind,
    file: &str,
) -> ImportRow {
    let reason = format!(
        "there is no file {path} in the dataset's folder; put it there and import again, or choose the folder that holds it as image root"
    );
    let generator = row.generator.or_else(|| {
        let is_named = kind == TableKind::Agiqa;
        is_named.then(|| generator_of(&path)).flatten()
    });
    let (prompt, prompt_source) = if row.prompt.is_empty() {
        looked.prompt
    } else {
        (row.prompt, file.to_owned())
    };
    ImportRow {
        path,
        file: looked.state.unwrap_or(FileState::Missing { reason }),
        prompt,
        prompt_source,
        generator,
        style: row.style,
        tags: row.tags,
        truth: row.truth,
        split: row.split,
    }
}

/// AGIQA-3K's file names begin with the generator: `sd1.5_lowstep_081.jpg`.
fn generator_of(path: &str) -> Option<String> {
    let (generator, _) = file_name(path).split_once('_')?;
    (!generator.is_empty()).then(|| generator.to_owned())
}

fn warn_of_lacking_columns(table: &mut Table, kind: TableKind, file: &str) {
    let mut lacking = Vec::new();
    if !table.columns.has(Field::Prompt) {
        lacking.push((
            "prompt",
            "prompts are taken from the pictures where they hold them",
        ));
    }
    let expected: &[(Aspect, &str)] = match kind {
        TableKind::Agiqa => &[
            (Aspect::Quality, "mos_quality"),
            (Aspect::Correspondence, "mos_align"),
        ],
        TableKind::Demo => &[
            (Aspect::Quality, "mos_quality"),
            (Aspect::Correspondence, "mos_align"),
            (Aspect::Authenticity, "mos_authenticity"),
        ],
        TableKind::Any => &[],
    };
    for (aspect, name) in expected {
        let has_it = table.columns.has(Field::Mos(Some(*aspect)))
            || (*aspect == Aspect::Quality && table.columns.has(Field::Mos(None)));
        if !has_it {
            lacking.push((*name, "that aspect comes in without ground truth"));
        }
    }
    for (name, consequence) in lacking {
        table.problems.push(Problem {
            kind: ProblemKind::Warning,
            file: file.to_owned(),
            line: Some(1),
            message: format!(
                "no column {name}: {consequence}; add it, or say which column it is with --columns {name}=COLUMN"
            ),
        });
    }
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
                images.push(entry.file_name.clone())
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

fn dataset_name(table: &Path, kind: TableKind) -> String {
    match kind {
        TableKind::Agiqa => "AGIQA-3K".to_owned(),
        TableKind::Demo => "Assay demo (synthetic)".to_owned(),
        TableKind::Any => {
            let stem = table
                .file_stem()
                .map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
            let is_plain = stem == "data" || stem == "metadata";
            match table.parent() {
                Some(folder) if is_plain => last_part(folder),
                _ => stem,
            }
        }
    }
}

const fn layout_word(kind: TableKind) -> &'static str {
    match kind {
        TableKind::Agiqa => "agiqa-3k",
        TableKind::Demo => "demo",
        TableKind::Any => "table",
    }
}

fn last_part(path: &Path) -> String {
    path.file_name().map_or_else(
        || path.to_string_lossy().into_owned(),
        |name| name.to_string_lossy().into_owned(),
    )
}
