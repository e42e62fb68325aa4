//! Scores: one committed row each, only of pictures that are there.

use rusqlite::Connection;
use rusqlite::Row;

use super::Project;
use super::StoreError;
use super::error::Fault;
use super::value;
use crate::domain::DescriptionId;
use crate::domain::ImageId;
use crate::domain::PredictorId;
use crate::domain::Score;

impl Project {
    /// Saves scores, all or none. A score of the same image, aspect, predictor and description is replaced.
    pub fn add_scores(&mut self, scores: &[Score]) -> Result<(), StoreError> {
        self.write("save scores", |tx| {
            scores.iter().try_for_each(|score| insert(tx, score))
        })
    }
}

fn insert(conn: &Connection, score: &Score) -> Result<(), Fault> {
    if !score.value.is_finite() {
        return Err(StoreError::NotFinite {
            image: score.image,
            value: score.value,
        }
        .into());
    }
    let made = &score.made;
    let inserted = conn
        .prepare_cached(
            "INSERT OR REPLACE INTO score (image_id, image_hash, aspect, value, predictor_id, description_id,
                 model_name, model_sha256, preset, settings, seed, program_version, unix_time)
             SELECT id, hash, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12
             FROM image WHERE id = ?1 AND state = 'present'",
        )?
        .execute((
            score.image.0,
            score.aspect.name(),
            score.value,
            score.predictor.0,
            score.description.map(|description| description.0),
            made.model.as_ref().map(|model| &model.name),
            made.model.as_ref().map(|model| &model.sha256),
            &made.preset,
            value::to_json(&made.settings)?,
            made.seed.cast_signed(),
            &made.program_version,
            made.unix_time,
        ))?;
    if inserted == 0 {
        return Err(StoreError::NoFile { image: score.image }.into());
    }
    Ok(())
}

/// The newest score by image, aspect and predictor, oldest first; only of pictures that are as they were scored.
pub(super) fn newest(conn: &Connection) -> rusqlite::Result<Vec<Score>> {
    conn.prepare_cached(
        "SELECT * FROM score WHERE id IN (
             SELECT max(score.id) FROM score JOIN image ON image.id = image_id
             WHERE score.image_hash = image.hash
             GROUP BY image_id, aspect, predictor_id)
         ORDER BY id",
    )?
    .query_map((), from_row)?
    .collect()
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Score> {
    Ok(Score {
        image: ImageId(row.get("image_id")?),
        aspect: value::aspect(row)?,
        value: row.get("value")?,
        predictor: PredictorId(row.get("predictor_id")?),
        description: row
            .get::<_, Option<i64>>("description_id")?
            .map(DescriptionId),
        made: value::provenance(row)?,
    })
}
