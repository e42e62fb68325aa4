//! Words, JSON documents and provenance as columns, and back.

use std::str::FromStr;

use rusqlite::Row;
use rusqlite::types::Type;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::domain::Aspect;
use crate::domain::ModelTag;
use crate::domain::Origin;
use crate::domain::Provenance;
use crate::domain::Split;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A value as a JSON column.
pub(super) fn to_json<T: Serialize>(value: &T) -> rusqlite::Result<String> {
    serde_json::to_string(value)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}

/// A value out of a JSON column.
pub(super) fn json<T: DeserializeOwned>(row: &Row<'_>, column: &str) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    serde_json::from_str(&text).map_err(|error| unreadable(column, error))
}

/// A value out of a JSON column that may be null.
pub(super) fn optional_json<T: DeserializeOwned>(
    row: &Row<'_>,
    column: &str,
) -> rusqlite::Result<Option<T>> {
    let text: Option<String> = row.get(column)?;
    text.map(|text| serde_json::from_str(&text))
        .transpose()
        .map_err(|error| unreadable(column, error))
}

/// A word out of a column as what it names.
pub(super) fn word<T: FromStr<Err = String>>(column: &str, word: &str) -> rusqlite::Result<T> {
    T::from_str(word).map_err(|error| unreadable(column, error))
}

pub(super) fn aspect(row: &Row<'_>) -> rusqlite::Result<Aspect> {
    let word: String = row.get("aspect")?;
    Aspect::from_str(&word).map_err(|error| unreadable("aspect", error))
}

pub(super) fn split(row: &Row<'_>) -> rusqlite::Result<Split> {
    let word: String = row.get("split")?;
    Split::from_str(&word).map_err(|error| unreadable("split", error))
}

pub(super) fn origin(row: &Row<'_>) -> rusqlite::Result<Origin> {
    let word: String = row.get("origin")?;
    Origin::ALL
        .into_iter()
        .find(|origin| origin.name() == word)
        .ok_or_else(|| unreadable("origin", format!("unknown origin {word:?}")))
}

/// The columns `model_name` and `model_sha256` where both must be there.
pub(super) fn model(row: &Row<'_>) -> rusqlite::Result<ModelTag> {
    Ok(ModelTag {
        name: row.get("model_name")?,
        sha256: row.get("model_sha256")?,
    })
}

/// The columns that say what made a description or a score.
pub(super) fn provenance(row: &Row<'_>) -> rusqlite::Result<Provenance> {
    let name: Option<String> = row.get("model_name")?;
    let sha256: Option<String> = row.get("model_sha256")?;
    let seed: i64 = row.get("seed")?;
    Ok(Provenance {
        model: name
            .zip(sha256)
            .map(|(name, sha256)| ModelTag { name, sha256 }),
        preset: row.get("preset")?,
        settings: json(row, "settings")?,
        seed: seed.cast_unsigned(),
        program_version: row.get("program_version")?,
        unix_time: row.get("unix_time")?,
    })
}

fn unreadable(column: &str, error: impl Into<BoxError>) -> rusqlite::Error {
    let error: BoxError = format!("column {column}: {}", error.into()).into();
    rusqlite::Error::FromSqlConversionFailure(0, Type::Text, error)
}
