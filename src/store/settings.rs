//! The user's choices in a project.

use rusqlite::Connection;

use super::Project;
use super::StoreError;
use super::undo;
use super::undo::Change;
use super::value;
use crate::domain::Operation;
use crate::domain::Settings;

impl Project {
    /// The project's choices.
    pub fn settings(&self) -> Result<Settings, StoreError> {
        self.read("read the settings", get)
    }

    /// Changes the choices; can be undone as `operation`.
    pub fn set_settings(
        &mut self,
        settings: &Settings,
        operation: &Operation,
    ) -> Result<(), StoreError> {
        self.write("save the settings", |tx| {
            if get(tx)? == *settings {
                return Ok(());
            }
            let change = Change::Settings(Box::new(settings.clone()));
            Ok(undo::transact(tx, operation, &[change])?)
        })
    }
}

pub(super) fn get(conn: &Connection) -> rusqlite::Result<Settings> {
    conn.query_row("SELECT json FROM settings", (), |row| {
        value::json(row, "json")
    })
}

pub(super) fn set(conn: &Connection, settings: &Settings) -> rusqlite::Result<()> {
    conn.execute("UPDATE settings SET json = ?1", [value::to_json(settings)?])?;
    Ok(())
}

pub(super) fn insert_default(conn: &Connection) -> rusqlite::Result<()> {
    conn.execute(
        "INSERT OR IGNORE INTO settings (id, json) VALUES (1, ?1)",
        [value::to_json(&Settings::default())?],
    )?;
    Ok(())
}
