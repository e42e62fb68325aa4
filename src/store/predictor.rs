//! Predictors of the project: their cards, and their weights.

use rusqlite::Connection;
use rusqlite::OptionalExtension as _;
use rusqlite::Row;

use super::Project;
use super::StoreError;
use super::parts;
use super::parts::Owner;
use super::parts::PART_BYTES;
use super::value;
use crate::domain::OpinionScale;
use crate::domain::PredictorCard;
use crate::domain::PredictorId;
use crate::domain::RunId;

/// Columns of the card: everything but the weights, so that a catalog never reads those.
const CARD: &str = "id, name, aspect, scale_min, scale_max, dataset, split, model_name, model_sha256, preset, \
                    head, val, test, run_id";

impl Project {
    /// Saves a predictor and answers its card with its number.
    pub fn add_predictor(
        &mut self,
        card: &PredictorCard,
        weights: &[u8],
    ) -> Result<PredictorCard, StoreError> {
        self.write("save a predictor", |tx| Ok(insert(tx, card, weights)?))
    }

    /// The card of one predictor.
    pub fn predictor(&self, id: PredictorId) -> Result<PredictorCard, StoreError> {
        self.read("read a predictor", |conn| {
            conn.query_row(
                &format!("SELECT {CARD} FROM predictor WHERE id = ?1"),
                [id.0],
                from_row,
            )
            .optional()
        })?
        .ok_or(unknown(id))
    }

    /// The weights of one predictor, byte for byte as they were saved.
    pub fn predictor_weights(&self, id: PredictorId) -> Result<Vec<u8>, StoreError> {
        self.read("read a predictor's weights", |conn| {
            let conn = conn.unchecked_transaction()?;
            let first: Option<Vec<u8>> = conn
                .query_row(
                    "SELECT weights FROM predictor WHERE id = ?1",
                    [id.0],
                    |row| row.get(0),
                )
                .optional()?;
            let Some(mut weights) = first else {
                return Ok(None);
            };
            parts::append(&conn, (Owner::Predictor, id.0), &mut weights)?;
            Ok(Some(weights))
        })?
        .ok_or(unknown(id))
    }
}

const fn unknown(id: PredictorId) -> StoreError {
    StoreError::Unknown {
        noun: "predictor",
        id: id.0,
    }
}

/// Adds a predictor and answers its card with its number; `card.id` is not looked at.
pub(super) fn insert(
    conn: &Connection,
    card: &PredictorCard,
    weights: &[u8],
) -> rusqlite::Result<PredictorCard> {
    insert_in_parts(conn, card, weights, PART_BYTES)
}

fn insert_in_parts(
    conn: &Connection,
    card: &PredictorCard,
    weights: &[u8],
    part_bytes: usize,
) -> rusqlite::Result<PredictorCard> {
    let (first, rest) = parts::split(weights, part_bytes);
    let optional = |figures: &Option<_>| figures.as_ref().map(value::to_json).transpose();
    conn.prepare_cached(
        "INSERT INTO predictor (name, aspect, scale_min, scale_max, dataset, split, model_name, model_sha256,
             preset, head, val, test, run_id, weights)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
    )?
    .execute((
        &card.name,
        card.aspect.name(),
        card.scale.min,
        card.scale.max,
        &card.dataset,
        &card.split,
        &card.model.name,
        &card.model.sha256,
        &card.preset,
        &card.head,
        optional(&card.val)?,
        optional(&card.test)?,
        card.run.map(|run| run.0),
        first,
    ))?;
    let id = PredictorId(conn.last_insert_rowid());
    parts::write(conn, (Owner::Predictor, id.0), rest, part_bytes)?;
    Ok(PredictorCard { id, ..card.clone() })
}

/// Every card, oldest first.
pub(super) fn all(conn: &Connection) -> rusqlite::Result<Vec<PredictorCard>> {
    conn.prepare_cached(&format!("SELECT {CARD} FROM predictor ORDER BY id"))?
        .query_map((), from_row)?
        .collect()
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<PredictorCard> {
    Ok(PredictorCard {
        id: PredictorId(row.get("id")?),
        name: row.get("name")?,
        aspect: value::aspect(row)?,
        scale: OpinionScale {
            min: row.get("scale_min")?,
            max: row.get("scale_max")?,
        },
        dataset: row.get("dataset")?,
        split: row.get("split")?,
        model: value::model(row)?,
        preset: row.get("preset")?,
        head: row.get("head")?,
        val: value::optional_json(row, "val")?,
        test: value::optional_json(row, "test")?,
        run: row.get::<_, Option<i64>>("run_id")?.map(RunId),
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::World;
    use super::super::testing::card;
    use super::*;
    use crate::domain::Figures;

    #[test]
    fn weights_come_back_byte_for_byte() {
        let mut world = World::empty();
        let weights: Vec<u8> = (0..3_000_000_u32).map(|at| (at * 31) as u8).collect();
        let card = PredictorCard {
            test: Some(Figures {
                n: 12,
                srcc: Some(0.731),
                ..Figures::default()
            }),
            ..card()
        };
        let saved = world.project.add_predictor(&card, &weights).unwrap();
        world.reopen();
        assert_eq!(world.project.predictor(saved.id).unwrap(), saved);
        assert_eq!(world.project.predictor_weights(saved.id).unwrap(), weights);
    }

    #[test]
    fn weights_of_many_parts_come_back_byte_for_byte() {
        let mut world = World::empty();
        let weights: Vec<u8> = (0..103).collect();
        let saved = world.project.write("save a predictor", |tx| {
            Ok(insert_in_parts(tx, &card(), &weights, 10)?)
        });
        let id = saved.unwrap().id;
        world.reopen();
        assert_eq!(world.project.predictor_weights(id).unwrap(), weights);
    }

    #[test]
    fn an_unknown_predictor_is_an_error_in_words() {
        let world = World::empty();
        let error = world.project.predictor_weights(PredictorId(3)).unwrap_err();
        assert!(error.to_string().contains("predictor 3"), "{error}");
    }
}
