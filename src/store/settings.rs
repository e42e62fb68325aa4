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
        self.change_settings(operation, |held| held.clone_from(settings))
            .map(drop)
    }

    /// Changes some of the choices as they are now, whatever was chosen since they were read, and answers all of them; can
    /// be undone as `operation`.
    pub fn change_settings(
        &mut self,
        operation: &Operation,
        change: impl FnOnce(&mut Settings),
    ) -> Result<Settings, StoreError> {
        self.write("save the settings", |tx| {
            let held = get(tx)?;
            let mut settings = held.clone();
            change(&mut settings);
            if settings != held {
                let change = Change::Settings(Box::new(settings.clone()));
                undo::transact(tx, operation, &[change])?;
            }
            Ok(settings)
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

#[cfg(test)]
mod tests {
    use super::super::testing::World;
    use super::*;
    use crate::domain::Aspect;
    use crate::domain::PredictorId;

    #[test]
    fn a_change_of_one_choice_keeps_what_was_chosen_meanwhile() {
        let mut world = World::empty();
        let operation = Operation("Choose".to_owned());
        let before = world.project.settings().unwrap();
        // While somebody hashes a folder, another program takes a predictor into use.
        let mut other = Project::open(&world.path()).unwrap();
        let chosen = other.change_settings(&operation, |settings| {
            *settings.predictor.get_mut(Aspect::Quality) = Some(PredictorId(7));
        });
        chosen.unwrap();
        let after = world.project.change_settings(&operation, |settings| {
            settings.model = Some("/models/large".to_owned());
        });
        let after = after.unwrap();
        assert_eq!(*after.predictor.get(Aspect::Quality), Some(PredictorId(7)));
        assert_eq!(world.project.settings().unwrap(), after);
        world.project.undo(1).unwrap();
        world.project.undo(2).unwrap();
        assert_eq!(world.project.settings().unwrap(), before);
    }
}
