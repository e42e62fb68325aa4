//! Studies: their protocols, and what their votes come to. [`vote`] has the votes themselves.

mod reader;
mod vote;

#[cfg(test)]
mod tests;

pub use reader::StudyReader;
pub use vote::MergedVotes;
pub(super) use vote::all_votes;
pub(super) use vote::insert_vote;
pub(super) use vote::standing_vote;
pub(super) use vote::vote_of;

use std::collections::HashMap;

use rusqlite::Connection;
use rusqlite::OptionalExtension as _;
use rusqlite::Row;

use super::Project;
use super::StoreError;
use super::error::Fault;
use super::value;
use crate::domain::Aspect;
use crate::domain::ContentHash;
use crate::domain::Method;
use crate::domain::Protocol;
use crate::domain::ProtocolHash;
use crate::domain::Study;
use crate::domain::StudyId;
use crate::domain::StudyMos;

impl Project {
    /// Adds a study; one that is wrong is refused with what is wrong with it.
    pub fn create_study(
        &mut self,
        protocol: &Protocol,
        created_at: i64,
    ) -> Result<Study, StoreError> {
        check(protocol)?;
        self.write("save the study", |tx| {
            let id = insert(tx, protocol, created_at, false)?;
            study(tx, id)
        })
    }

    /// Changes a study's protocol; refused once a vote is in.
    pub fn change_study(&mut self, id: StudyId, protocol: &Protocol) -> Result<Study, StoreError> {
        check(protocol)?;
        self.write("change the study", |tx| {
            let held = study(tx, id)?;
            if held.is_quick || held.is_frozen {
                return Err(StoreError::FrozenStudy {
                    name: held.protocol.name,
                }
                .into());
            }
            tx.execute(
                "UPDATE study SET protocol = ?2, hash = ?3 WHERE id = ?1",
                (id.0, value::to_json(protocol)?, protocol.hash().0.0),
            )?;
            study(tx, id)
        })
    }

    /// The project's quick rating, made when it is first asked for.
    pub fn quick_study(&mut self, now: i64) -> Result<Study, StoreError> {
        let held = self.studies()?.into_iter().find(|study| study.is_quick);
        if let Some(study) = held {
            return Ok(study);
        }
        self.write("prepare quick rating", |tx| {
            let id = insert(tx, &Protocol::quick(), now, true)?;
            study(tx, id)
        })
    }

    /// Every study, oldest first.
    pub fn studies(&self) -> Result<Vec<Study>, StoreError> {
        self.read("read the studies", all)
    }

    /// One study.
    pub fn study(&self, id: StudyId) -> Result<Study, StoreError> {
        self.read("read the study", |conn| find(conn, id))?
            .ok_or(StoreError::Unknown {
                noun: "study",
                id: id.0,
            })
    }

    /// Keeps what a study's votes come to under an aspect, in place of what they came to before; answers the pictures
    /// whose opinion changed, in the order of their hashes. Nothing else is written: a vote changes few of many.
    pub fn set_study_mos(
        &mut self,
        study: StudyId,
        aspect: Aspect,
        mos: &[StudyMos],
    ) -> Result<Vec<ContentHash>, StoreError> {
        self.write("save the study's MOS", |tx| {
            let held = mos_of(tx, study, aspect)?.into_iter();
            let mut left: HashMap<ContentHash, StudyMos> =
                held.map(|row| (row.hash, row)).collect();
            let mut changed = Vec::new();
            for row in mos {
                if left.remove(&row.hash).as_ref() != Some(row) {
                    save_mos(tx, study, aspect, row)?;
                    changed.push(row.hash);
                }
            }
            for hash in left.into_keys() {
                delete_mos(tx, study, aspect, hash)?;
                changed.push(hash);
            }
            changed.sort_unstable();
            Ok(changed)
        })
    }

    /// What a study's votes came to under an aspect, by content hash.
    pub fn study_mos(&self, study: StudyId, aspect: Aspect) -> Result<Vec<StudyMos>, StoreError> {
        self.read("read the study's MOS", |conn| mos_of(conn, study, aspect))
    }
}

fn check(protocol: &Protocol) -> Result<(), StoreError> {
    protocol
        .check()
        .map_err(|faults| StoreError::WrongProtocol {
            name: protocol.name.clone(),
            faults: faults.join("; "),
        })
}

fn insert(
    conn: &Connection,
    protocol: &Protocol,
    created_at: i64,
    is_quick: bool,
) -> rusqlite::Result<StudyId> {
    conn.execute(
        "INSERT INTO study (protocol, hash, created_at, is_quick) VALUES (?1, ?2, ?3, ?4)",
        (
            value::to_json(protocol)?,
            protocol.hash().0.0,
            created_at,
            is_quick,
        ),
    )?;
    Ok(StudyId(conn.last_insert_rowid()))
}

const STUDY: &str =
    "SELECT *, EXISTS (SELECT 1 FROM vote WHERE study_id = study.id) AS is_frozen FROM study";

/// Every study, oldest first.
pub(super) fn all(conn: &Connection) -> rusqlite::Result<Vec<Study>> {
    conn.prepare_cached(&format!("{STUDY} ORDER BY id"))?
        .query_map((), from_row)?
        .collect()
}

fn find(conn: &Connection, id: StudyId) -> rusqlite::Result<Option<Study>> {
    conn.prepare_cached(&format!("{STUDY} WHERE id = ?1"))?
        .query_row([id.0], from_row)
        .optional()
}

/// How a study is rated.
pub(super) fn method(conn: &Connection, id: StudyId) -> rusqlite::Result<Method> {
    let word: String = conn
        .prepare_cached("SELECT json_extract(protocol, '$.method') FROM study WHERE id = ?1")?
        .query_row([id.0], |row| row.get(0))?;
    value::word("method", &word)
}

fn study(conn: &Connection, id: StudyId) -> Result<Study, Fault> {
    find(conn, id)?.ok_or_else(|| {
        StoreError::Unknown {
            noun: "study",
            id: id.0,
        }
        .into()
    })
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Study> {
    Ok(Study {
        id: StudyId(row.get("id")?),
        protocol: value::json(row, "protocol")?,
        hash: ProtocolHash(ContentHash(row.get("hash")?)),
        created_at: row.get("created_at")?,
        is_frozen: row.get("is_frozen")?,
        is_quick: row.get("is_quick")?,
    })
}

fn save_mos(
    conn: &Connection,
    study: StudyId,
    aspect: Aspect,
    row: &StudyMos,
) -> rusqlite::Result<()> {
    conn.prepare_cached(
        "INSERT OR REPLACE INTO study_mos VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?
    .execute((
        study.0,
        aspect.name(),
        row.hash.0,
        row.mos,
        row.std,
        row.ci95,
        row.num_ratings,
        &row.screening,
    ))?;
    Ok(())
}

/// What a study came to under an aspect.
pub(super) fn mos_of(
    conn: &Connection,
    study: StudyId,
    aspect: Aspect,
) -> rusqlite::Result<Vec<StudyMos>> {
    conn.prepare_cached("SELECT * FROM study_mos WHERE study_id = ?1 AND aspect = ?2")?
        .query_map((study.0, aspect.name()), mos_from_row)?
        .collect()
}

/// What one picture came to under an aspect of a study.
pub(super) fn one_mos(
    conn: &Connection,
    study: StudyId,
    aspect: Aspect,
    hash: ContentHash,
) -> rusqlite::Result<Option<StudyMos>> {
    conn.prepare_cached(
        "SELECT * FROM study_mos WHERE study_id = ?1 AND aspect = ?2 AND hash = ?3",
    )?
    .query_row((study.0, aspect.name(), hash.0), mos_from_row)
    .optional()
}

fn mos_from_row(row: &Row<'_>) -> rusqlite::Result<StudyMos> {
    Ok(StudyMos {
        hash: ContentHash(row.get("hash")?),
        mos: row.get("mos")?,
        std: row.get("std")?,
        ci95: row.get("ci95")?,
        num_ratings: row.get("num_ratings")?,
        screening: row.get("screening")?,
    })
}

fn delete_mos(
    conn: &Connection,
    study: StudyId,
    aspect: Aspect,
    hash: ContentHash,
) -> rusqlite::Result<()> {
    conn.prepare_cached("DELETE FROM study_mos WHERE study_id = ?1 AND aspect = ?2 AND hash = ?3")?
        .execute((study.0, aspect.name(), hash.0))?;
    Ok(())
}
