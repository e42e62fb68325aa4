//! The ITU matrix: a row a picture, a column a rater, nothing but numbers and `nan`.

use std::io::Write;

use super::StudyRecord;
use crate::domain::Aspect;
use crate::domain::study::tally;
use crate::export::write::ExportError;

/// Rows are the protocol's pictures in its order, columns the raters by name; there is no line of names, as programs
/// for such matrices expect none.
pub(super) fn write(
    record: &StudyRecord<'_>,
    aspect: Aspect,
    sink: &mut dyn Write,
) -> Result<usize, ExportError> {
    let tally = tally(record.study, &record.owned_votes(), aspect);
    if tally.raters.is_empty() {
        return Err(ExportError::Study(format!(
            "nobody has rated {aspect} in this study yet: collect votes first"
        )));
    }
    for row in &tally.scores {
        let cells: Vec<String> = row.iter().map(|score| cell(*score)).collect();
        writeln!(sink, "{}", cells.join(","))?;
    }
    Ok(tally.scores.len())
}

fn cell(score: f64) -> String {
    if score.is_nan() {
        "nan".to_owned()
    } else {
        format!("{score:?}")
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::World;
    use super::*;

    #[test]
    fn raters_are_columns_and_gaps_are_nan() {
        let world = World::scores();
        let mut bytes = Vec::new();
        let num = write(&world.record(), Aspect::Quality, &mut bytes).unwrap();
        assert_eq!(num, 4);
        let text = String::from_utf8(bytes).unwrap();
        assert_eq!(text, "5.0,4.0,4.0\n3.0,3.0,4.0\n2.0,1.0,2.0\n1.0,2.0,nan\n");
    }

    #[test]
    fn a_study_without_votes_says_so() {
        let mut world = World::scores();
        world.votes.clear();
        let error = write(&world.record(), Aspect::Quality, &mut Vec::new()).unwrap_err();
        assert!(error.to_string().contains("nobody has rated"), "{error}");
    }
}
