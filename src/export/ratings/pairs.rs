//! Comparisons as a table: observer, session, scene, both conditions, and which was chosen.
//!
//! The columns are those of pwcmp (M. Perez-Ortiz, R. K. Mantiuk, "A practical guide and software for analysing
//! pairwise comparison experiments", 2017): `Selection` is 1 or 2. A tie, which pwcmp has no word for, is 0.

use std::io::Write;

use super::StudyRecord;
use crate::domain::Aspect;
use crate::domain::PairChoice;
use crate::domain::Shown;
use crate::domain::VoteValue;
use crate::domain::study::opinions;
use crate::export::write::ExportError;
use crate::export::write::csv_fault;

/// The columns of the table.
const COLUMNS: [&str; 6] = [
    "Observer",
    "Session",
    "Scene",
    "Condition_1",
    "Condition_2",
    "Selection",
];

pub(super) fn write(
    record: &StudyRecord<'_>,
    aspect: Aspect,
    sink: &mut dyn Write,
) -> Result<usize, ExportError> {
    let mut votes = opinions(record.votes.iter().copied(), aspect);
    votes.sort_by_key(|vote| (vote.rater.as_str(), vote.trial));
    if votes.is_empty() {
        return Err(ExportError::Study(format!(
            "nobody has compared pictures for {aspect} in this study yet: collect votes first"
        )));
    }
    let mut writer = csv::WriterBuilder::new()
        .terminator(csv::Terminator::Any(b'\n'))
        .from_writer(sink);
    writer.write_record(COLUMNS).map_err(csv_fault)?;
    let mut num_rows = 0;
    for vote in votes {
        let (Shown::Pair { left, right }, VoteValue::Pair(choice)) = (vote.shown, vote.value)
        else {
            continue;
        };
        let selection = match choice {
            PairChoice::Left => "1",
            PairChoice::Right => "2",
            PairChoice::Tie => "0",
        };
        let row = [
            vote.rater.as_str(),
            &vote.session.to_string(),
            record.prompt(left),
            &record.path(left),
            &record.path(right),
            selection,
        ];
        writer.write_record(row).map_err(csv_fault)?;
        num_rows += 1;
    }
    writer.flush()?;
    Ok(num_rows)
}

#[cfg(test)]
mod tests {
    use super::super::testing::World;
    use super::*;

    #[test]
    fn the_chosen_side_is_one_or_two_and_a_tie_is_zero() {
        let world = World::pairs();
        let mut bytes = Vec::new();
        let num = write(&world.record(), Aspect::Quality, &mut bytes).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(num, lines.len() - 1);
        assert_eq!(lines[0], COLUMNS.join(","));
        assert_eq!(
            lines[1],
            "Ada,1,\"a \"\"cat\"\", sitting\",a/0.png,a/1.png,1"
        );
        assert!(lines.iter().any(|line| line.ends_with(",0")));
        assert!(lines.iter().any(|line| line.ends_with(",2")));
    }
}
