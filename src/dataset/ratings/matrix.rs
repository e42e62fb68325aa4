//! The ITU matrix: a row a picture, a column a rater, nothing but numbers and `nan`.
//!
//! Where columns are parted by semicolons or tabs, as spreadsheets write them in countries with a decimal comma, a comma
//! in a cell is one.

use super::Bare;
use super::Reading;
use crate::dataset::error::DatasetError;
use crate::domain::Shown;
use crate::domain::VoteValue;

pub(super) fn read(reading: &mut Reading<'_>) -> Result<(), DatasetError> {
    let aspect = reading.aspect()?;
    let rated = reading.target.study.protocol.rated_pictures();
    let pictures: Vec<_> = rated.iter().map(|picture| picture.hash).collect();
    let separator = separator(reading.text);
    let rows: Vec<(u64, Vec<&str>)> = reading
        .text
        .lines()
        .zip(1..)
        .filter(|(line, _)| !line.trim().is_empty())
        .map(|(line, number)| (number, line.split(separator).collect()))
        .collect();
    if rows.len() != pictures.len() {
        return Err(reading.fault(format!(
            "{} rows, but the study has {} pictures to rate: a matrix has a row a picture, in the protocol's order",
            rows.len(),
            pictures.len()
        )));
    }
    let num_raters = rows.first().map_or(0, |(_, cells)| cells.len());
    let num_digits = num_raters.to_string().len();
    for (trial, ((line, cells), picture)) in rows.into_iter().zip(pictures).enumerate() {
        if cells.len() != num_raters {
            let what = format!(
                "{} columns, but the first row has {num_raters}: a matrix has a column a rater, and nan for gaps",
                cells.len()
            );
            reading.take(line, Err(what));
            continue;
        }
        for (column, cell) in cells.into_iter().enumerate() {
            let rater = format!("Rater {:0num_digits$}", column + 1);
            let vote = match score(cell) {
                Ok(None) => continue,
                Ok(Some(score)) => Ok(reading.bare(&Bare {
                    rater: &rater,
                    session: 1,
                    trial,
                    aspect,
                    shown: Shown::One(picture),
                    value: VoteValue::Score(score),
                })),
                Err(what) => Err(what),
            };
            let named = |what: String| format!("column {}: {what}", column + 1);
            reading.take(line, vote.map_err(named));
        }
    }
    Ok(())
}

/// What parts the columns.
fn separator(text: &str) -> char {
    let wide = [';', '\t'].into_iter().find(|mark| text.contains(*mark));
    wide.unwrap_or(',')
}

/// A score; `None` where there is none.
fn score(cell: &str) -> Result<Option<f64>, String> {
    match cell.trim() {
        "" => Ok(None),
        word if word.eq_ignore_ascii_case("nan") => Ok(None),
        word => word
            .replacen(',', ".", 1)
            .parse()
            .map(Some)
            .map_err(|_not_a_number| format!("expected a number or nan, got {word:?}")),
    }
}
