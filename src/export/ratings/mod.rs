//! Files of a study's ratings: tables that other programs read, and the report that people read.
//!
//! - `long`: one row a vote, with every field of the record. Nothing is left out, so it reads back as it was.
//! - `matrix`: ITU matrix, rows pictures, columns raters, `nan` where there is no score.
//! - `sureal`: JSON as Netflix's sureal loads it.
//! - `pairs`: comparisons as Mantiuk's pwcmp reads them.
//! - `report`: a page that stands alone and can be printed.
//!
//! Matrix, sureal and pairs hold what counts as an opinion: votes that stand, without training and hidden repeats.
//! `dataset::ratings` reads all four tables.

mod analysis;
mod long;
mod matrix;
mod pairs;
mod record;
mod report;
mod sides;
mod sureal;
#[cfg(test)]
mod testing;

use std::io::Write;
use std::path::Path;

pub use analysis::{Analysis, Habits, Scene, analyse};
pub use long::COLUMNS as LONG_COLUMNS;
pub use record::StudyRecord;
pub use sides::Sides;

use super::write::ExportError;
use super::write::replace;
use crate::domain::Aspect;
use crate::domain::Method;
use crate::domain::RatingsFormat;
use crate::stats::raters::Screening;

/// What to write, and how.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RatingsRequest {
    /// The kind of file.
    pub format: RatingsFormat,
    /// The aspect; `None` means all, or the only one where the file holds just one.
    pub aspect: Option<Aspect>,
    /// How the report screens.
    pub screening: Screening,
    /// The report's date, in milliseconds since 1970-01-01 UTC.
    pub now: i64,
}

/// Writes a study to a file, which is replaced only once the new one is whole. Answers the number of rows: votes,
/// pictures, or comparisons.
pub fn write_ratings_file(
    record: &StudyRecord<'_>,
    request: RatingsRequest,
    out: &Path,
) -> Result<usize, ExportError> {
    replace(out, |sink| write_ratings(record, request, sink))
}

/// Writes a study to any sink. Answers the number of rows: votes, pictures, or comparisons.
pub fn write_ratings(
    record: &StudyRecord<'_>,
    request: RatingsRequest,
    sink: &mut dyn Write,
) -> Result<usize, ExportError> {
    match request.format {
        RatingsFormat::Long => long::write(record, request.aspect, sink),
        RatingsFormat::Matrix => matrix::write(record, scored_aspect(record, request)?, sink),
        RatingsFormat::Sureal => sureal::write(record, scored_aspect(record, request)?, sink),
        RatingsFormat::Pairs => pairs::write(record, paired_aspect(record, request)?, sink),
        RatingsFormat::Report => report::write(record, request, sink),
    }
}

fn scored_aspect(record: &StudyRecord<'_>, request: RatingsRequest) -> Result<Aspect, ExportError> {
    if record.study.protocol.method == Method::Pairs {
        return Err(ExportError::Study(format!(
            "the study compares pairs, which have no {} file: choose pairs or long",
            request.format
        )));
    }
    one_aspect(record, request)
}

fn paired_aspect(record: &StudyRecord<'_>, request: RatingsRequest) -> Result<Aspect, ExportError> {
    if record.study.protocol.method != Method::Pairs {
        return Err(ExportError::Study(
            "the study scores single pictures, which are no pairs: choose matrix, sureal or long"
                .to_owned(),
        ));
    }
    one_aspect(record, request)
}

fn one_aspect(record: &StudyRecord<'_>, request: RatingsRequest) -> Result<Aspect, ExportError> {
    let aspects = &record.study.protocol.aspects;
    let names = || {
        let names: Vec<&str> = aspects.iter().map(|aspect| aspect.name()).collect();
        names.join(", ")
    };
    match (request.aspect, aspects.as_slice()) {
        (Some(aspect), asked) if asked.contains(&aspect) => Ok(aspect),
        (Some(aspect), _) => Err(ExportError::Study(format!(
            "the study did not ask for {aspect}, only for {}: choose one of these",
            names()
        ))),
        (None, [aspect]) => Ok(*aspect),
        (None, _) => Err(ExportError::Study(format!(
            "a {} file holds one aspect, and the study asked for {}: choose one of these",
            request.format,
            names()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::testing::World;
    use super::*;

    fn request(format: RatingsFormat, aspect: Option<Aspect>) -> RatingsRequest {
        RatingsRequest {
            format,
            aspect,
            screening: Screening::default(),
            now: 0,
        }
    }

    #[test]
    fn a_file_of_one_aspect_needs_to_know_which() {
        let mut world = World::scores();
        world.study.protocol.aspects = vec![Aspect::Quality, Aspect::Authenticity];
        let write = |aspect| {
            let request = request(RatingsFormat::Matrix, aspect);
            write_ratings(&world.record(), request, &mut Vec::new())
        };
        let words = write(None).unwrap_err().to_string();
        assert!(words.contains("quality, authenticity"), "{words}");
        let words = write(Some(Aspect::Correspondence)).unwrap_err().to_string();
        assert!(words.contains("did not ask"), "{words}");
        assert!(write(Some(Aspect::Quality)).is_ok());
    }

    #[test]
    fn pairs_are_no_matrix_and_scores_are_no_pairs() {
        for (world, format) in [
            (World::pairs(), RatingsFormat::Matrix),
            (World::pairs(), RatingsFormat::Sureal),
            (World::scores(), RatingsFormat::Pairs),
        ] {
            let request = request(format, None);
            let error = write_ratings(&world.record(), request, &mut Vec::new()).unwrap_err();
            assert!(error.to_string().contains("choose"), "{error}");
        }
    }
}
