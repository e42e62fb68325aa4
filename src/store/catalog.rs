//! The whole project as the window keeps it.

use rusqlite::Connection;

use super::Project;
use super::StoreError;
use super::description;
use super::predictor;
use super::review;
use super::run;
use super::score;
use super::settings;
use super::study;
use super::truth;
use super::undo;
use crate::domain::Catalog;
use crate::domain::OpinionScale;
use crate::domain::ProjectInfo;

impl Project {
    /// Everything in the project but weights and checkpoints.
    pub fn catalog(&self) -> Result<Catalog, StoreError> {
        self.read("read the project", |conn| {
            // One read transaction, so that all parts are of the same moment.
            let conn = conn.unchecked_transaction()?;
            let mut info = info(&conn)?;
            info.path = self.path.to_string_lossy().into_owned();
            let (undo, redo) = undo::state(&conn)?;
            let mut reviews = review::all(&conn)?;
            let mut descriptions = description::all(&conn)?;
            reviews.lay_over(&mut descriptions);
            Ok(Catalog {
                info,
                settings: settings::get(&conn)?,
                images: truth::all_images(&conn)?,
                descriptions,
                scores: score::newest(&conn)?,
                predictors: predictor::all(&conn)?,
                runs: run::all(&conn)?,
                studies: study::all(&conn)?,
                votes: study::all_votes(&conn)?,
                reviews,
                undo,
                redo,
            })
        })
    }

    /// The project as a whole, without its rows.
    pub fn info(&self) -> Result<ProjectInfo, StoreError> {
        let mut info = self.read("read the project", info)?;
        info.path = self.path.to_string_lossy().into_owned();
        Ok(info)
    }
}

pub(super) fn info(conn: &Connection) -> rusqlite::Result<ProjectInfo> {
    conn.query_row("SELECT * FROM project", (), |row| {
        let layout: String = row.get("layout")?;
        Ok(ProjectInfo {
            path: String::new(),
            dataset: row.get("dataset")?,
            is_demo: layout == "demo",
            layout,
            root: row.get("root")?,
            scale: OpinionScale {
                min: row.get("scale_min")?,
                max: row.get("scale_max")?,
            },
        })
    })
}
