//! Comparisons: `Observer,Session,Scene,Condition_1,Condition_2,Selection`, where 1 and 2 name the condition that was
//! chosen and 0 is a tie.

use std::collections::BTreeMap;

use csv::StringRecord;

use super::Bare;
use super::Fields;
use super::Reading;
use super::records;
use crate::dataset::error::DatasetError;
use crate::domain::Aspect;
use crate::domain::PairChoice;
use crate::domain::Shown;
use crate::domain::Vote;
use crate::domain::VoteValue;

/// Columns without which a row is no comparison; `Scene` is for people.
const NEEDED: [&str; 4] = ["Observer", "Condition_1", "Condition_2", "Selection"];

pub(super) fn read(reading: &mut Reading<'_>) -> Result<(), DatasetError> {
    let aspect = reading.aspect()?;
    let (fields, records) = records(reading.text).map_err(|what| reading.fault(what))?;
    let lacking = fields.lacking(&NEEDED);
    if !lacking.is_empty() {
        return Err(reading.fault(format!(
            "line 1: the columns {} are missing, without which a row is no comparison",
            lacking.join(", ")
        )));
    }
    let mut trials: BTreeMap<String, usize> = BTreeMap::new();
    for (line, record) in records {
        let trial = trials
            .entry(fields.cell(&record, "Observer").trim().to_owned())
            .or_default();
        let vote = fields
            .check(&record)
            .and_then(|()| vote(reading, &fields, &record, (*trial, aspect)));
        *trial += 1;
        reading.take(line, vote);
    }
    Ok(())
}

fn vote(
    reading: &Reading<'_>,
    fields: &Fields,
    record: &StringRecord,
    (trial, aspect): (usize, Aspect),
) -> Result<Vote, String> {
    let cell = |name: &str| fields.cell(record, name).trim();
    let choice = match cell("Selection") {
        "1" => PairChoice::Left,
        "2" => PairChoice::Right,
        "0" => PairChoice::Tie,
        other => {
            return Err(format!(
                "column Selection: expected 1, 2 or 0 for a tie, got {other:?}"
            ));
        }
    };
    let session = match cell("Session") {
        "" => 1,
        word => word
            .parse()
            .map_err(|_not_a_number| format!("column Session: expected a number, got {word:?}"))?,
    };
    Ok(reading.bare(&Bare {
        rater: cell("Observer"),
        session,
        trial,
        aspect,
        shown: Shown::Pair {
            left: reading.picture(cell("Condition_1"))?,
            right: reading.picture(cell("Condition_2"))?,
        },
        value: VoteValue::Pair(choice),
    }))
}
