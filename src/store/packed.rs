//! Bytes of pictures that travel with a project: a package for raters at another machine is a project with them.

use rusqlite::OptionalExtension as _;

use super::Project;
use super::StoreError;
use crate::domain::ContentHash;

impl Project {
    /// Takes the bytes of a picture into the project, under the name of the file that they are laid out as.
    pub fn pack_picture(
        &mut self,
        hash: ContentHash,
        file_name: &str,
        bytes: &[u8],
    ) -> Result<(), StoreError> {
        self.write("pack a picture", |tx| {
            tx.execute(
                "INSERT OR REPLACE INTO packed_picture VALUES (?1, ?2, ?3)",
                (hash.0, file_name, bytes),
            )?;
            Ok(())
        })
    }

    /// Hashes and file names of the pictures that travel with the project; none in most projects.
    pub fn packed_pictures(&self) -> Result<Vec<(ContentHash, String)>, StoreError> {
        self.read("list the packed pictures", |conn| {
            conn.prepare_cached("SELECT hash, file_name FROM packed_picture ORDER BY hash")?
                .query_map((), |row| Ok((ContentHash(row.get(0)?), row.get(1)?)))?
                .collect()
        })
    }

    /// The bytes of a packed picture; empty where the project does not carry it.
    pub fn packed_picture(&self, hash: ContentHash) -> Result<Vec<u8>, StoreError> {
        self.read("read a packed picture", |conn| {
            let bytes = conn
                .prepare_cached("SELECT bytes FROM packed_picture WHERE hash = ?1")?
                .query_row([hash.0], |row| row.get(0))
                .optional()?;
            Ok(bytes.unwrap_or_default())
        })
    }

    /// Notes where the packed pictures were laid out. No change of the user's, so nothing to undo.
    pub fn note_root(&mut self, root: &str) -> Result<(), StoreError> {
        let home = self.home();
        self.write("note where the pictures are", |tx| {
            tx.execute("UPDATE project SET root = ?1, home = ?2", (root, &home))?;
            Ok(())
        })
    }
}
