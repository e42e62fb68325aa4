//! Reading a study on a connection of its own, so that nobody who votes waits while a large one is counted.

use std::path::Path;
use std::path::PathBuf;

use rusqlite::Connection;
use rusqlite::OpenFlags;

use super::find;
use super::vote::votes_of;
use crate::domain::Study;
use crate::domain::StudyId;
use crate::domain::Vote;
use crate::store::StoreError;

/// A way into a project that reads studies and changes nothing. It sees every vote that was committed before it asks.
#[derive(Debug)]
pub struct StudyReader {
    conn: Connection,
    path: PathBuf,
}

impl StudyReader {
    /// Opens the file of a project that is open for writing elsewhere in the program, and so is of this version.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let conn = Connection::open_with_flags(path, flags)
            .map_err(|error| StoreError::of_sql("read the votes", path, error))?;
        Ok(Self {
            conn,
            path: path.to_path_buf(),
        })
    }

    /// A study with every record of it, as one moment had them.
    pub fn study(&mut self, id: StudyId) -> Result<(Study, Vec<Vote>), StoreError> {
        let fault = |error| StoreError::of_sql("read the votes", &self.path, error);
        let tx = self.conn.transaction().map_err(fault)?;
        let study = find(&tx, id).map_err(fault)?;
        let study = study.ok_or(StoreError::Unknown {
            noun: "study",
            id: id.0,
        })?;
        let votes = votes_of(&tx, id).map_err(fault)?;
        Ok((study, votes))
    }
}
