//! From a table to rows with files: where each picture is, what state it is in, and what the table says of it.

use std::collections::HashMap;
use std::path::Path;

use super::columns::Field;
use super::detect::TableKind;
use super::error::DatasetError;
use super::files;
use super::files::Located;
use super::files::file_name;
use super::folder::prompt_of;
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

/// Reads a table and looks at every file that it names.
pub(super) fn read_table(
    path: &Path,
    kind: TableKind,
    columns: &[(String, String)],
    progress: &mut dyn FnMut(u64, u64) -> Result<(), Interrupted>,
) -> Result<ImportBatch, DatasetError> {
    let base = path.parent().unwrap_or(path);
    let file = files::last_part(path);
    let mut table = table::read_table(path, &file, columns)?;
    warn_of_lacking_columns(&mut table, kind, &file);
    let scale = match kind {
        TableKind::Agiqa | TableKind::Demo => OpinionScale::ZERO_TO_FIVE,
        TableKind::Any => table::guess_scale(&table.rows),
    };
    table::reject_beyond(&mut table, scale, &file);
    let names: Vec<&str> = table.rows.iter().map(|row| row.name.as_str()).collect();
    let located = files::locate(base, &names);
    let looked_at = look_at_all(&table.rows, &located, progress)?;
    let mut log = Log {
        file: &file,
        problems: table.problems,
    };
    for (position, message) in located.doubts {
        log.add(ProblemKind::Warning, table.rows[position].line, message);
    }
    let found = located.relative.into_iter().zip(looked_at);
    let rows = import_rows(table.rows.into_iter().zip(found), kind, &mut log);
    let mut problems = log.problems;
    problems.sort_by_key(|problem| problem.line);
    Ok(ImportBatch {
        dataset: dataset_name(path, kind),
        layout: layout_word(kind).to_owned(),
        root: located.root.to_string_lossy().into_owned(),
        scale,
        rows,
        splits: Vec::new(),
        conversations: Vec::new(),
        problems,
    })
}

/// Problems of one table.
struct Log<'a> {
    file: &'a str,
    problems: Vec<Problem>,
}

impl Log<'_> {
    fn add(&mut self, kind: ProblemKind, line: u64, message: String) {
        self.problems.push(Problem {
            kind,
            file: self.file.to_owned(),
            line: Some(line),
            message,
        });
    }
}

/// Puts rows and files together; a file that two rows name belongs to the first.
fn import_rows(
    found: impl Iterator<Item = (TableRow, (String, LookedAt))>,
    kind: TableKind,
    log: &mut Log<'_>,
) -> Vec<ImportRow> {
    let mut rows = Vec::new();
    let mut lines: HashMap<String, u64> = HashMap::new();
    for (row, (path, looked)) in found {
        if let Some(former) = lines.get(&path) {
            let message = format!(
                "{} is the same file as that of line {former}; this row did not come in, keep one of the two",
                row.name
            );
            log.add(ProblemKind::Rejected, row.line, message);
            continue;
        }
        lines.insert(path.clone(), row.line);
        if let Some(note) = &looked.note {
            let message = format!("{}: {note}", row.name);
            log.add(ProblemKind::Warning, row.line, message);
        }
        rows.push(import_row(row, path, looked, kind, log.file));
    }
    rows
}

fn look_at_all(
    rows: &[TableRow],
    located: &Located,
    progress: &mut dyn FnMut(u64, u64) -> Result<(), Interrupted>,
) -> Result<Vec<LookedAt>, Interrupted> {
    let prompts = rows.iter().map(|row| row.prompt.as_str());
    let wanted: Vec<(Option<&Path>, &str)> = located
        .absolute
        .iter()
        .map(Option::as_deref)
        .zip(prompts)
        .collect();
    files::in_parallel(&wanted, |(path, prompt)| look_at(*path, prompt), progress)
}

/// What was found out about one row's file.
struct LookedAt {
    state: Option<FileState>,
    note: Option<String>,
    /// Prompt and its place, only asked for where the table has none.
    prompt: (String, String),
}

fn look_at(path: Option<&Path>, table_prompt: &str) -> LookedAt {
    let probe = path.map(media::inspect);
    let prompt = path
        .filter(|_| table_prompt.is_empty())
        .map(prompt_of)
        .unwrap_or_default();
    let (state, note) = probe.map_or((None, None), |probe| (Some(probe.state), probe.note));
    LookedAt {
        state,
        note,
        prompt,
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
                Some(folder) if is_plain => files::last_part(folder),
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
