//! Bytes that may be longer than SQLite takes in one value: the first part stands in the row itself, where all of it
//! stood in earlier versions, and the rest in rows of their own.

use rusqlite::Connection;

/// Bytes in one value. SQLite takes 1,000,000,000 (`SQLITE_MAX_LENGTH`), and binds and reads a value as a whole.
pub(super) const PART_BYTES: usize = 64 << 20;

/// Whose bytes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Owner {
    /// A run's state to resume from.
    Checkpoint,
    /// A predictor's weights.
    Predictor,
}

impl Owner {
    const fn insert(self) -> &'static str {
        match self {
            Self::Checkpoint => {
                "INSERT INTO checkpoint_part (run_id, part, bytes) VALUES (?1, ?2, ?3)"
            }
            Self::Predictor => {
                "INSERT INTO predictor_part (predictor_id, part, bytes) VALUES (?1, ?2, ?3)"
            }
        }
    }

    const fn select(self) -> &'static str {
        match self {
            Self::Checkpoint => "SELECT bytes FROM checkpoint_part WHERE run_id = ?1 ORDER BY part",
            Self::Predictor => {
                "SELECT bytes FROM predictor_part WHERE predictor_id = ?1 ORDER BY part"
            }
        }
    }
}

/// The part that stands in the row itself, and what is left for [`write`].
pub(super) fn split(bytes: &[u8], part_bytes: usize) -> (&[u8], &[u8]) {
    bytes.split_at(part_bytes.min(bytes.len()))
}

/// Adds the parts behind the first one; those of an earlier state are gone already.
pub(super) fn write(
    conn: &Connection,
    (owner, id): (Owner, i64),
    rest: &[u8],
    part_bytes: usize,
) -> rusqlite::Result<()> {
    let mut statement = conn.prepare_cached(owner.insert())?;
    for (number, part) in rest.chunks(part_bytes).enumerate() {
        statement.execute((id, number as i64, part))?;
    }
    Ok(())
}

/// Adds the parts behind the first one to it. Both are to be read in one transaction.
pub(super) fn append(
    conn: &Connection,
    (owner, id): (Owner, i64),
    first: &mut Vec<u8>,
) -> rusqlite::Result<()> {
    let mut statement = conn.prepare_cached(owner.select())?;
    let mut rows = statement.query([id])?;
    while let Some(row) = rows.next()? {
        let part = row.get_ref("bytes")?.as_blob()?;
        first.extend_from_slice(part);
    }
    Ok(())
}
