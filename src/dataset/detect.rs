//! What stands at a path: which table, which folder, read by which layout.

use std::path::Path;
use std::path::PathBuf;

use super::columns::Columns;
use super::columns::is_agiqa;
use super::error::DatasetError;
use super::files::extension;
use super::files::is_picture;
use super::table::header;

/// Marks a folder that the demo generator wrote.
pub(super) const DEMO_MARKER: &str = "assay-demo.json";

/// Tables that are looked for by name, in this order.
const TABLE_NAMES: [&str; 4] = ["data.csv", "metadata.csv", "data.tsv", "metadata.tsv"];

/// How a dataset is to be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Plan {
    /// A table and the pictures that it names.
    Table { table: PathBuf, kind: TableKind },
    /// Every picture below a folder.
    Folder { folder: PathBuf },
    /// One picture.
    Picture { file: PathBuf },
}

/// Whose table it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TableKind {
    Agiqa,
    Demo,
    Any,
}

/// Decides how to read an absolute path.
pub(super) fn plan(path: &Path, layout: &str) -> Result<Plan, DatasetError> {
    if !path.exists() {
        return Err(DatasetError::NotFound {
            path: path.to_owned(),
        });
    }
    match layout {
        "auto" | "" => detect(path),
        "agiqa-3k" => table_plan(path, "agiqa-3k", TableKind::Agiqa),
        "demo" => table_plan(path, "demo", TableKind::Demo),
        "table" => table_plan(path, "table", TableKind::Any),
        "folder" if path.is_dir() => Ok(Plan::Folder {
            folder: path.to_owned(),
        }),
        "folder" => Ok(Plan::Picture {
            file: path.to_owned(),
        }),
        other => Err(DatasetError::UnknownLayout {
            layout: other.to_owned(),
        }),
    }
}

fn table_plan(path: &Path, layout: &'static str, kind: TableKind) -> Result<Plan, DatasetError> {
    if path.is_file() {
        return Ok(Plan::Table {
            table: path.to_owned(),
            kind,
        });
    }
    let table = table_in(path)?
        .or_else(|| path.parent().and_then(named_table))
        .ok_or_else(|| DatasetError::NoTable {
            layout,
            path: path.to_owned(),
        })?;
    Ok(Plan::Table { table, kind })
}

fn detect(path: &Path) -> Result<Plan, DatasetError> {
    if path.is_file() {
        return detect_file(path);
    }
    if let Some(table) = table_in(path)? {
        return Ok(Plan::Table {
            kind: kind_of(&table),
            table,
        });
    }
    // Somebody opened the folder of pictures itself: the table of a known dataset stands above it.
    let above = path.parent().and_then(named_table);
    if let Some(table) = above {
        let kind = kind_of(&table);
        if kind != TableKind::Any {
            return Ok(Plan::Table { table, kind });
        }
    }
    Ok(Plan::Folder {
        folder: path.to_owned(),
    })
}

fn detect_file(path: &Path) -> Result<Plan, DatasetError> {
    let not_a_dataset = |what: &str| DatasetError::NotADataset {
        what: what.to_owned(),
        path: path.to_owned(),
    };
    match extension(path).as_deref() {
        Some("csv" | "tsv" | "txt") => Ok(Plan::Table {
            kind: kind_of(path),
            table: path.to_owned(),
        }),
        Some("json" | "jsonl") => Err(not_a_dataset(
            "this is a conversation file; import the dataset that it is about and give it with --conversations",
        )),
        Some("xlsx" | "xls" | "ods") => Err(not_a_dataset(
            "this is a spreadsheet; save it as CSV and import that",
        )),
        Some("assay") => Err(not_a_dataset(
            "this is a project file; open it instead of importing it",
        )),
        Some("zip" | "7z" | "rar" | "gz" | "tar") => Err(not_a_dataset(
            "this is an archive; unpack it and import the folder",
        )),
        _ if is_picture(path) => Ok(Plan::Picture {
            file: path.to_owned(),
        }),
        _ => Err(not_a_dataset(
            "this is neither a folder, nor a table (.csv, .tsv), nor a picture; choose one of these",
        )),
    }
}

fn kind_of(table: &Path) -> TableKind {
    let is_demo = table
        .parent()
        .is_some_and(|folder| folder.join(DEMO_MARKER).is_file());
    if is_demo {
        TableKind::Demo
    } else if header(table).is_ok_and(|names| is_agiqa(&names)) {
        TableKind::Agiqa
    } else {
        TableKind::Any
    }
}

fn named_table(folder: &Path) -> Option<PathBuf> {
    TABLE_NAMES
        .into_iter()
        .map(|name| folder.join(name))
        .find(|path| path.is_file())
}

/// The table of a folder: one of a known name, or the only one that names pictures.
fn table_in(folder: &Path) -> Result<Option<PathBuf>, DatasetError> {
    if let Some(table) = named_table(folder) {
        return Ok(Some(table));
    }
    let entries = std::fs::read_dir(folder).map_err(|source| DatasetError::Read {
        path: folder.to_owned(),
        source,
    })?;
    let mut tables: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| matches!(extension(path).as_deref(), Some("csv" | "tsv")))
        .filter(|path| header(path).is_ok_and(|names| Columns::resolve(names, &[], path).is_ok()))
        .collect();
    tables.sort();
    if tables.len() > 1 {
        let name = |path: &PathBuf| super::files::relative_to(folder, path);
        return Err(DatasetError::SeveralTables {
            names: tables.iter().map(name).collect(),
            path: folder.to_owned(),
        });
    }
    Ok(tables.pop())
}
