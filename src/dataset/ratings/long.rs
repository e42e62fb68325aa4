//! One row a vote, with every field of the record.

use std::str::FromStr;

use csv::StringRecord;

use super::Fields;
use super::Reading;
use super::records;
use crate::dataset::error::DatasetError;
use crate::domain::ContentHash;
use crate::domain::Method;
use crate::domain::PairChoice;
use crate::domain::ProtocolHash;
use crate::domain::Shown;
use crate::domain::Vote;
use crate::domain::VoteId;
use crate::domain::VoteToken;
use crate::domain::VoteValue;

/// Columns without which a row is no record. `study`, `scale`, paths and prompts are for people and not read.
const NEEDED: [&str; 19] = [
    "token",
    "protocol",
    "rater",
    "session",
    "trial",
    "aspect",
    "method",
    "image",
    "value",
    "is_training",
    "is_repeat",
    "shown_at",
    "voted_at",
    "reaction_ms",
    "zoom_max",
    "screen_width_px",
    "screen_height_px",
    "dpi_scale",
    "app_version",
];

pub(super) fn read(reading: &mut Reading<'_>) -> Result<(), DatasetError> {
    let (fields, records) = records(reading.text).map_err(|what| reading.fault(what))?;
    let lacking = fields.lacking(&NEEDED);
    if !lacking.is_empty() {
        return Err(reading.fault(format!(
            "line 1: the columns {} are missing, without which a row is no vote",
            lacking.join(", ")
        )));
    }
    for (line, record) in records {
        let vote = fields
            .check(&record)
            .and_then(|()| vote(reading, &fields, &record));
        reading.take(line, vote);
    }
    Ok(())
}

fn vote(reading: &Reading<'_>, fields: &Fields, record: &StringRecord) -> Result<Vote, String> {
    let cell = |name: &str| fields.cell(record, name);
    let number = |name: &str| fields.number(record, name);
    let study = reading.target.study;
    let protocol = ContentHash::from_hex(cell("protocol"))
        .map(ProtocolHash)
        .ok_or_else(|| {
            format!(
                "column protocol: expected a SHA-256, got {:?}",
                cell("protocol")
            )
        })?;
    if protocol != study.hash {
        return Err(format!(
            "the vote was given under another protocol ({protocol}): import it into the study of that protocol"
        ));
    }
    let token = token(cell("token"), "token")?;
    let undo_of = match cell("undo_of") {
        "" => None,
        word => Some(self::token(word, "undo_of")?),
    };
    let left = reading.picture(cell("image"))?;
    let shown = match cell("image_right") {
        "" => Shown::One(left),
        right => Shown::Pair {
            left,
            right: reading.picture(right)?,
        },
    };
    let method: Method = parse(cell("method"), "method")?;
    let vote = Vote {
        id: VoteId(0),
        token,
        study: study.id,
        protocol,
        rater: cell("rater").to_owned(),
        session: parse(cell("session"), "session")?,
        trial: parse(cell("trial"), "trial")?,
        shown,
        aspect: parse(cell("aspect"), "aspect")?,
        method,
        value: value(&number("value"), method)?,
        is_training: parse(cell("is_training"), "is_training")?,
        is_repeat: parse(cell("is_repeat"), "is_repeat")?,
        shown_at: parse(cell("shown_at"), "shown_at")?,
        voted_at: parse(cell("voted_at"), "voted_at")?,
        reaction_ms: parse(cell("reaction_ms"), "reaction_ms")?,
        zoom_max: parse(&number("zoom_max"), "zoom_max")?,
        screen_px: [
            parse(cell("screen_width_px"), "screen_width_px")?,
            parse(cell("screen_height_px"), "screen_height_px")?,
        ],
        dpi_scale: parse(&number("dpi_scale"), "dpi_scale")?,
        app_version: cell("app_version").to_owned(),
        undo_of,
    };
    if vote.clone().sealed().token != token {
        return Err(
            "the row was changed after it was written: its token no longer fits; take it from the original file"
                .to_owned(),
        );
    }
    Ok(vote)
}

fn value(word: &str, method: Method) -> Result<VoteValue, String> {
    match method {
        Method::Pairs => parse::<PairChoice>(word, "value").map(VoteValue::Pair),
        Method::Acr5 | Method::Continuous => parse(word, "value").map(VoteValue::Score),
    }
}

fn token(word: &str, column: &str) -> Result<VoteToken, String> {
    VoteToken::from_hex(word)
        .ok_or_else(|| format!("column {column}: expected 32 hexadecimal digits, got {word:?}"))
}

fn parse<T: FromStr>(word: &str, column: &str) -> Result<T, String>
where
    T::Err: std::fmt::Display,
{
    word.trim()
        .parse()
        .map_err(|error| format!("column {column}: {error}, got {word:?}; correct it"))
}
