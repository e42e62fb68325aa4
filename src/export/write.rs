//! The table as bytes, to any sink or to a file that is replaced only once the new one is whole.

use std::fs;
use std::fs::File;
use std::io;
use std::io::BufWriter;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;
use std::str::FromStr;

use super::table;
use super::table::COLUMNS;
use super::table::ExportRow;
use super::table::Selection;
use crate::domain::Catalog;

/// Why a table could not be written.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// There is no such format.
    #[error("cannot export as {format:?}: choose csv or jsonl")]
    UnknownFormat {
        /// What was asked for.
        format: String,
    },
    /// The file or its folder could not be written; what was there before still is.
    #[error("could not write the file ({source}): check the folder, or choose another: {path}", path = .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The sink did not take the bytes.
    #[error("could not write the file: {0}")]
    Sink(#[from] io::Error),
    /// No conversation of the kind that was asked for.
    #[error(
        "there is no conversation to write: let a teacher describe pictures first (assay teach), or choose another aspect or list"
    )]
    NoConversations,
    /// One name for several files.
    #[error(
        "{num} files come of it, one for each aspect and list: give a folder, or one aspect and one list"
    )]
    SeveralFiles {
        /// How many.
        num: usize,
    },
    /// A study has nothing of the kind that was asked for.
    #[error("{0}")]
    Study(String),
}

/// A format of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Comma-separated values with a header line.
    Csv,
    /// One JSON object a line.
    Jsonl,
}

impl FromStr for Format {
    type Err = ExportError;

    fn from_str(word: &str) -> Result<Self, ExportError> {
        match word.trim().to_ascii_lowercase().as_str() {
            "csv" => Ok(Self::Csv),
            "jsonl" => Ok(Self::Jsonl),
            _ => Err(ExportError::UnknownFormat {
                format: word.to_owned(),
            }),
        }
    }
}

/// Writes the table to a file: beside it first, then in its place. Answers the number of rows.
pub fn write_file(
    catalog: &Catalog,
    selection: &Selection,
    format: Format,
    out: &Path,
) -> Result<usize, ExportError> {
    replace(out, |sink| write(catalog, selection, format, sink))
}

/// Writes a file beside its place, and puts it there once it is whole. Answers what `fill` answers.
pub(super) fn replace<T>(
    out: &Path,
    fill: impl FnOnce(&mut dyn Write) -> Result<T, ExportError>,
) -> Result<T, ExportError> {
    let fault = |source| ExportError::File {
        path: out.to_path_buf(),
        source,
    };
    if out.is_dir() {
        return Err(fault(io::ErrorKind::IsADirectory.into()));
    }
    let mut name = out.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    let part = out.with_file_name(name);
    let result =
        write_part(&part, fill).and_then(|filled| Ok(fs::rename(&part, out).map(|()| filled)?));
    result.map_err(|error| {
        // Nothing is lost by a part that stays: the next export writes over it.
        drop(fs::remove_file(&part));
        match error {
            ExportError::Sink(source) => fault(source),
            other => other,
        }
    })
}

fn write_part<T>(
    part: &Path,
    fill: impl FnOnce(&mut dyn Write) -> Result<T, ExportError>,
) -> Result<T, ExportError> {
    let mut sink = BufWriter::new(File::create(part)?);
    let filled = fill(&mut sink)?;
    sink.into_inner()
        .map_err(io::IntoInnerError::into_error)?
        .sync_all()?;
    Ok(filled)
}

/// Writes the table. Answers the number of rows.
pub fn write(
    catalog: &Catalog,
    selection: &Selection,
    format: Format,
    sink: &mut dyn Write,
) -> Result<usize, ExportError> {
    match format {
        Format::Csv => write_csv(catalog, selection, sink),
        Format::Jsonl => write_jsonl(catalog, selection, sink),
    }
}

/// Writes the table as CSV. Answers the number of rows.
pub fn write_csv(
    catalog: &Catalog,
    selection: &Selection,
    sink: &mut dyn Write,
) -> Result<usize, ExportError> {
    let rows = table::rows(catalog, selection);
    let mut writer = csv::WriterBuilder::new()
        .terminator(csv::Terminator::Any(b'\n'))
        .from_writer(sink);
    writer.write_record(COLUMNS).map_err(csv_fault)?;
    for row in &rows {
        writer.write_record(fields(row)).map_err(csv_fault)?;
    }
    writer.flush()?;
    Ok(rows.len())
}

/// Writes the table as JSON lines, with null where CSV is empty. Answers the number of rows.
pub fn write_jsonl(
    catalog: &Catalog,
    selection: &Selection,
    sink: &mut dyn Write,
) -> Result<usize, ExportError> {
    let rows = table::rows(catalog, selection);
    for row in &rows {
        serde_json::to_writer(&mut *sink, row).map_err(io::Error::from)?;
        sink.write_all(b"\n")?;
    }
    sink.flush()?;
    Ok(rows.len())
}

/// The columns as text, in the order of [`COLUMNS`]. Numbers in the shortest form that reads back as the same.
fn fields(row: &ExportRow) -> [String; 19] {
    fn text<T: ToString>(value: Option<&T>) -> String {
        value.map(T::to_string).unwrap_or_default()
    }
    [
        row.image_path.clone(),
        text(row.sha256.as_ref()),
        text(row.prompt.as_ref()),
        text(row.prompt_source.as_ref()),
        row.aspect.to_string(),
        text(row.description.as_ref()),
        text(row.score.as_ref()),
        text(row.rating.as_ref()),
        text(row.mos.as_ref()),
        text(row.mos_std.as_ref()),
        text(row.n_ratings.as_ref()),
        text(row.split.as_ref()),
        text(row.model_id.as_ref()),
        text(row.model_sha256.as_ref()),
        text(row.seed.as_ref()),
        row.status.word().to_owned(),
        text(row.error.as_ref()),
        row.description_origin
            .map_or("", crate::domain::Origin::name)
            .to_owned(),
        text(row.mos_source.as_ref()),
    ]
}

pub(super) fn csv_fault(error: csv::Error) -> ExportError {
    ExportError::Sink(io::Error::from(error))
}

#[cfg(test)]
mod tests {
    use super::super::testing::catalog;
    use super::*;

    fn csv_text(catalog: &Catalog) -> String {
        let mut bytes = Vec::new();
        write_csv(catalog, &Selection::default(), &mut bytes).expect("memory takes all bytes");
        String::from_utf8(bytes).expect("UTF-8")
    }

    #[test]
    fn csv_quotes_what_needs_it_and_leaves_null_empty() {
        let text = csv_text(&catalog());
        let lines: Vec<&str> = text.split('\n').collect();
        assert_eq!(lines[0], COLUMNS.join(","));
        let hash = "07".repeat(32);
        let model = "ab".repeat(32);
        assert_eq!(
            lines[1],
            format!(
                "a/scored.jpg,{hash},\"a \"\"cat\"\", sitting\",data.csv,quality,Sharp.,3.25,good,\
                 2.5,0.5,20,test,mini,{model},7,scored,,local,Test set"
            )
        );
        assert_eq!(
            lines[4],
            "d/missing.jpg,,,,quality,,,,1.5,,,,,,,missing,no file here: relocate,,Test set"
        );
        assert!(!text.contains('\r') && text.ends_with('\n'));
    }

    #[test]
    fn csv_reads_back_with_line_breaks_in_it() {
        let mut catalog = catalog();
        catalog.images[0].prompt = "two\nlines, \u{4e94}".to_owned();
        let text = csv_text(&catalog);
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
        assert_eq!(rows.len(), catalog.images.len());
        assert_eq!(&rows[0][2], "two\nlines, \u{4e94}");
    }

    #[test]
    fn json_lines_have_the_columns_in_order_and_null() {
        let mut bytes = Vec::new();
        let num = write_jsonl(&catalog(), &Selection::default(), &mut bytes).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        let lines: Vec<serde_json::Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(num, lines.len());
        let names: Vec<&String> = lines[0].as_object().unwrap().keys().collect();
        assert_eq!(names, COLUMNS.iter().collect::<Vec<_>>());
        assert_eq!(lines[0]["score"], 3.25);
        assert_eq!(lines[0]["rating"], "good");
        assert_eq!(lines[2]["status"], "not_scored");
        assert!(lines[2]["score"].is_null());
    }

    #[test]
    fn scores_keep_every_digit() {
        let mut catalog = catalog();
        catalog.scores[0].value = 0.1 + 0.2;
        assert!(csv_text(&catalog).contains(",0.30000000000000004,"));
    }

    #[test]
    fn a_file_is_replaced_only_by_a_whole_one() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("table.csv");
        fs::write(&out, "old").unwrap();
        let selection = Selection::default();
        let num = write_file(&catalog(), &selection, Format::Csv, &out).unwrap();
        assert_eq!(num, 5);
        assert_eq!(fs::read_to_string(&out).unwrap(), csv_text(&catalog()));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_place_that_cannot_be_written_is_named_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let selection = Selection::default();
        for out in [
            folder.path().to_path_buf(),
            folder.path().join("no/such/t.csv"),
        ] {
            let error = write_file(&catalog(), &selection, Format::Jsonl, &out).unwrap_err();
            let words = error.to_string();
            assert!(words.contains(&out.display().to_string()), "{words}");
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn an_unknown_format_is_named() {
        let error = Format::from_str("xlsx").unwrap_err();
        assert!(error.to_string().contains("csv or jsonl"), "{error}");
        assert_eq!(Format::from_str(" CSV ").unwrap(), Format::Csv);
    }
}
