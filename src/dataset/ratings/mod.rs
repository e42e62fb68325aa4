//! Ratings from files: the four tables that `export::ratings` writes, and those of other programs in the same form.
//!
//! - long CSV (one row a vote, every field): votes come in as they were, by their token.
//! - ITU matrix: rows are the pictures of the study in the protocol's order, columns become raters by number.
//! - sureal JSON: pictures by `sha256` or `path`.
//! - pairs CSV: conditions by path.
//!
//! The last three know no times and no circumstances; such votes carry zeros there. Reading the same file twice gives
//! the same tokens, so that nothing comes in twice. A vote that does not belong to the study is a problem with its
//! line, and the others come in.

mod long;
mod matrix;
mod pairs;
mod sureal;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

use csv::StringRecord;

use super::error::DatasetError;
use super::table::LineCounter;
use super::table::has_decimal_comma;
use super::table::reader;
use super::table::rejected;
use super::text::read_text;
use crate::domain::Aspect;
use crate::domain::ContentHash;
use crate::domain::ImageRecord;
use crate::domain::Problem;
use crate::domain::ProblemKind;
use crate::domain::RatingsFormat;
use crate::domain::Shown;
use crate::domain::Study;
use crate::domain::Vote;
use crate::domain::VoteId;
use crate::domain::VoteToken;
use crate::domain::VoteValue;

/// Where the votes belong.
#[derive(Debug, Clone, Copy)]
pub struct RatingsTarget<'a> {
    /// The study.
    pub study: &'a Study,
    /// The project's pictures, for a study with an open list.
    pub images: &'a [ImageRecord],
    /// What the votes of a file are about that does not say it; `None` means the study's only aspect.
    pub aspect: Option<Aspect>,
}

/// Votes of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct RatingsBatch {
    /// What kind of file it was.
    pub format: RatingsFormat,
    /// The votes, with their tokens, in the order of the file.
    pub votes: Vec<Vote>,
    /// What was wrong, with lines (entries of JSON).
    pub problems: Vec<Problem>,
}

/// Reads a file of ratings. `format` is told from the content where it is not given.
pub fn read_ratings(
    path: &Path,
    format: Option<RatingsFormat>,
    target: RatingsTarget<'_>,
) -> Result<RatingsBatch, DatasetError> {
    let content = read_text(path)?;
    let format = match format {
        Some(format) => format,
        None => detect(&content.text).ok_or_else(|| not_ratings(path))?,
    };
    let mut reading = Reading::new(path, &content.text, target);
    if let Some(message) = content.warning {
        let kind = ProblemKind::Warning;
        reading.problem(kind, None, message);
    }
    match format {
        RatingsFormat::Long => long::read(&mut reading)?,
        RatingsFormat::Matrix => matrix::read(&mut reading)?,
        RatingsFormat::Sureal => sureal::read(&mut reading)?,
        RatingsFormat::Pairs => pairs::read(&mut reading)?,
        RatingsFormat::Report => return Err(not_ratings(path)),
    }
    Ok(RatingsBatch {
        format,
        votes: reading.votes,
        problems: reading.problems,
    })
}

fn not_ratings(path: &Path) -> DatasetError {
    DatasetError::NotADataset {
        what: "this is no table of ratings: expected long CSV, an ITU matrix, sureal JSON or pairs CSV, as `assay \
               study export` writes them"
            .to_owned(),
        path: path.to_owned(),
    }
}

fn detect(text: &str) -> Option<RatingsFormat> {
    let start = text.trim_start();
    if start.starts_with('{') {
        return Some(RatingsFormat::Sureal);
    }
    RatingsFormat::of_columns(reader(text).headers().ok()?.iter())
}

/// A file while it is read.
struct Reading<'a> {
    path: &'a Path,
    text: &'a str,
    target: RatingsTarget<'a>,
    by_path: BTreeMap<&'a str, ContentHash>,
    votes: Vec<Vote>,
    problems: Vec<Problem>,
}

/// What a table without circumstances says of a vote.
struct Bare<'a> {
    rater: &'a str,
    session: u32,
    trial: usize,
    aspect: Aspect,
    shown: Shown,
    value: VoteValue,
}

impl<'a> Reading<'a> {
    fn new(path: &'a Path, text: &'a str, target: RatingsTarget<'a>) -> Self {
        let of_project = target
            .images
            .iter()
            .filter_map(|image| Some((image.path.as_str(), image.file.hash()?)));
        let of_study = target.study.protocol.pictures.iter();
        let of_study = of_study.map(|picture| (picture.path.as_str(), picture.hash));
        Self {
            path,
            text,
            target,
            // The protocol's own word goes last, and so before the project's.
            by_path: of_project.chain(of_study).collect(),
            votes: Vec::new(),
            problems: Vec::new(),
        }
    }

    /// The picture of a path or of 64 hexadecimal digits.
    fn picture(&self, name: &str) -> Result<ContentHash, String> {
        let name = name.trim();
        ContentHash::from_hex(name)
            .or_else(|| self.by_path.get(name).copied())
            .ok_or_else(|| {
                format!("no picture {name:?} in the study: correct the path, or give its SHA-256")
            })
    }

    /// The aspect of a file that holds one.
    fn aspect(&self) -> Result<Aspect, DatasetError> {
        let aspects = &self.target.study.protocol.aspects;
        match (self.target.aspect, aspects.as_slice()) {
            (Some(aspect), _) => Ok(aspect),
            (None, [aspect]) => Ok(*aspect),
            (None, several) => {
                let names: Vec<&str> = several.iter().map(|aspect| aspect.name()).collect();
                Err(self.fault(format!(
                    "the study asks for {}: say which one this file holds, with --aspect",
                    names.join(", ")
                )))
            }
        }
    }

    /// A file that cannot be read as a whole.
    fn fault(&self, what: String) -> DatasetError {
        DatasetError::NotADataset {
            what,
            path: self.path.to_owned(),
        }
    }

    fn problem(&mut self, kind: ProblemKind, line: Option<u64>, message: String) {
        self.problems.push(Problem {
            kind,
            file: self.path.display().to_string(),
            line,
            message,
        });
    }

    /// Takes a vote in, or says on which line why not.
    fn take(&mut self, line: u64, vote: Result<Vote, String>) {
        let study = self.target.study;
        let checked = vote.and_then(|vote| {
            vote.check(&study.protocol, study.is_quick)?;
            Ok(vote)
        });
        match checked {
            Ok(vote) => self.votes.push(vote),
            Err(message) => {
                let file = self.path.display().to_string();
                self.problems.push(rejected(&file, line, message));
            }
        }
    }

    /// A vote that knows no circumstances. Without a time every reading of the file gives the same token.
    fn bare(&self, bare: &Bare<'_>) -> Vote {
        let study = self.target.study;
        Vote {
            id: VoteId(0),
            token: VoteToken(0),
            study: study.id,
            protocol: study.hash,
            rater: bare.rater.trim().to_owned(),
            session: bare.session,
            trial: bare.trial,
            shown: bare.shown,
            aspect: bare.aspect,
            method: study.protocol.method,
            value: bare.value,
            is_training: false,
            is_repeat: false,
            shown_at: 0,
            voted_at: 0,
            reaction_ms: 0,
            zoom_max: 0.0,
            screen_px: [0, 0],
            dpi_scale: 0.0,
            app_version: String::new(),
            undo_of: None,
        }
        .sealed()
    }
}

/// Every record below the line of names, with the line on which it begins; `fields` says where a column stands.
fn records(text: &str) -> Result<(Fields, Vec<(u64, StringRecord)>), String> {
    let mut reader = reader(text);
    let header = reader.headers().map_err(|error| error.to_string())?;
    let fields = Fields {
        names: header.iter().map(|name| name.trim().to_owned()).collect(),
        has_decimal_comma: has_decimal_comma(text),
    };
    let mut lines = LineCounter::new(text);
    let mut records = Vec::new();
    let mut record = StringRecord::new();
    loop {
        let start = reader.position().byte() as usize;
        match reader.read_record(&mut record) {
            Ok(true) => records.push((lines.line_of_record(start), record.clone())),
            Ok(false) => return Ok((fields, records)),
            Err(error) => {
                let line = lines.line_of_record(start);
                return Err(format!("line {line}: {error}"));
            }
        }
    }
}

/// The columns of a table.
struct Fields {
    names: Vec<String>,
    /// Whether numbers may be written with a comma.
    has_decimal_comma: bool,
}

impl Fields {
    /// A cell by its column's name; empty where the table lacks the column.
    fn cell<'r>(&self, record: &'r StringRecord, name: &str) -> &'r str {
        let at = self
            .names
            .iter()
            .position(|column| column.eq_ignore_ascii_case(name));
        at.and_then(|at| record.get(at)).unwrap_or_default()
    }

    /// A number by its column's name, with a point where a comma may stand for it.
    fn number<'r>(&self, record: &'r StringRecord, name: &str) -> Cow<'r, str> {
        let cell = self.cell(record, name);
        match self.has_decimal_comma {
            true => Cow::Owned(cell.replacen(',', ".", 1)),
            false => Cow::Borrowed(cell),
        }
    }

    /// The columns of `needed` that the table lacks.
    fn lacking(&self, needed: &[&str]) -> Vec<String> {
        let has = |name: &str| {
            self.names
                .iter()
                .any(|column| column.eq_ignore_ascii_case(name))
        };
        let lacking = needed.iter().filter(|name| !has(name));
        lacking.map(|name| (*name).to_owned()).collect()
    }

    /// Whether a record has as many cells as there are columns; otherwise what is wrong with it.
    fn check(&self, record: &StringRecord) -> Result<(), String> {
        if record.len() == self.names.len() {
            return Ok(());
        }
        Err(format!(
            "{} fields, but line 1 names {} columns; check for a missing comma or an open quote",
            record.len(),
            self.names.len()
        ))
    }
}

#[cfg(test)]
mod tests;
