//! Training runs and what they resume from.

use rusqlite::Connection;
use rusqlite::OptionalExtension as _;
use rusqlite::Row;

use super::Project;
use super::StoreError;
use super::parts;
use super::parts::Owner;
use super::parts::PART_BYTES;
use super::predictor;
use super::value;
use crate::domain::PredictorCard;
use crate::domain::PredictorId;
use crate::domain::RunId;
use crate::domain::RunRecord;

impl Project {
    /// Saves a run: a new one where its number is 0, else over the one with its number.
    pub fn save_run(&mut self, run: &RunRecord) -> Result<RunRecord, StoreError> {
        self.write("save a run", |tx| Ok(save(tx, run)?))
    }

    /// Saves a run together with the state that it resumes from, so that the two always agree.
    pub fn save_epoch(
        &mut self,
        run: &RunRecord,
        checkpoint: &[u8],
    ) -> Result<RunRecord, StoreError> {
        self.write("save an epoch", |tx| {
            let run = save(tx, run)?;
            set_checkpoint(tx, run.id, checkpoint, PART_BYTES)?;
            Ok(run)
        })
    }

    /// Ends a run in one act: its predictor comes in, the run names it, and nothing is left to resume.
    pub fn finish_run(
        &mut self,
        run: &RunRecord,
        card: &PredictorCard,
        weights: &[u8],
    ) -> Result<(RunRecord, PredictorCard), StoreError> {
        self.write("save a finished run", |tx| {
            let run = save(tx, run)?;
            let card = PredictorCard {
                run: Some(run.id),
                ..card.clone()
            };
            let card = predictor::insert(tx, &card, weights)?;
            let run = RunRecord {
                predictor: Some(card.id),
                ..run
            };
            save(tx, &run)?;
            tx.execute("DELETE FROM checkpoint WHERE run_id = ?1", [run.id.0])?;
            Ok((run, card))
        })
    }

    /// Saves the state that a run resumes from, in place of the one before.
    pub fn save_checkpoint(&mut self, run: RunId, checkpoint: &[u8]) -> Result<(), StoreError> {
        self.write("save a checkpoint", |tx| {
            Ok(set_checkpoint(tx, run, checkpoint, PART_BYTES)?)
        })
    }

    /// The state that a run resumes from, if it has one.
    pub fn checkpoint(&self, run: RunId) -> Result<Option<Vec<u8>>, StoreError> {
        self.read("read a checkpoint", |conn| {
            // One read transaction, so that all parts are of the same state.
            let conn = conn.unchecked_transaction()?;
            let first: Option<Vec<u8>> = conn
                .query_row(
                    "SELECT bytes FROM checkpoint WHERE run_id = ?1",
                    [run.0],
                    |row| row.get(0),
                )
                .optional()?;
            let Some(mut bytes) = first else {
                return Ok(None);
            };
            parts::append(&conn, (Owner::Checkpoint, run.0), &mut bytes)?;
            Ok(Some(bytes))
        })
    }

    /// Forgets the state that a run resumes from.
    pub fn drop_checkpoint(&mut self, run: RunId) -> Result<(), StoreError> {
        self.write("drop a checkpoint", |tx| {
            tx.execute("DELETE FROM checkpoint WHERE run_id = ?1", [run.0])?;
            Ok(())
        })
    }

    /// One run.
    pub fn run(&self, id: RunId) -> Result<RunRecord, StoreError> {
        self.read("read a run", |conn| {
            conn.query_row("SELECT * FROM run WHERE id = ?1", [id.0], from_row)
                .optional()
        })?
        .ok_or(StoreError::Unknown {
            noun: "run",
            id: id.0,
        })
    }
}

/// Puts a state in the place of the one before, cut into parts of so many bytes.
fn set_checkpoint(
    conn: &Connection,
    run: RunId,
    bytes: &[u8],
    part_bytes: usize,
) -> rusqlite::Result<()> {
    // The parts behind the first one go with the row.
    conn.execute("DELETE FROM checkpoint WHERE run_id = ?1", [run.0])?;
    let (first, rest) = parts::split(bytes, part_bytes);
    conn.execute(
        "INSERT INTO checkpoint (run_id, bytes) VALUES (?1, ?2)",
        (run.0, first),
    )?;
    parts::write(conn, (Owner::Checkpoint, run.0), rest, part_bytes)
}

fn save(conn: &Connection, run: &RunRecord) -> rusqlite::Result<RunRecord> {
    let id = (run.id.0 != 0).then_some(run.id.0);
    let [num_train, num_val, num_test] = run.num_images.map(|num| num as i64);
    let optional = |figures: &Option<_>| figures.as_ref().map(value::to_json).transpose();
    // Not INSERT OR REPLACE: that would delete the row first, and its checkpoint with it.
    conn.prepare_cached(
        "INSERT INTO run (id, settings, model_name, model_sha256, preset, num_train, num_val, num_test,
             status, epochs, best_epoch, previous_id, predictor_id, test_before, test_after, unix_time)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)
         ON CONFLICT (id) DO UPDATE SET settings = ?2, model_name = ?3, model_sha256 = ?4, preset = ?5,
             num_train = ?6, num_val = ?7, num_test = ?8, status = ?9, epochs = ?10, best_epoch = ?11,
             previous_id = ?12, predictor_id = ?13, test_before = ?14, test_after = ?15, unix_time = ?16",
    )?
    .execute((
        id,
        value::to_json(&run.settings)?,
        &run.model.name,
        &run.model.sha256,
        &run.preset,
        num_train,
        num_val,
        num_test,
        value::to_json(&run.status)?,
        value::to_json(&run.epochs)?,
        run.best_epoch,
        run.previous.map(|predictor| predictor.0),
        run.predictor.map(|predictor| predictor.0),
        optional(&run.test_before)?,
        optional(&run.test_after)?,
        run.unix_time,
    ))?;
    Ok(RunRecord {
        id: RunId(id.unwrap_or_else(|| conn.last_insert_rowid())),
        ..run.clone()
    })
}

/// Every run, oldest first.
pub(super) fn all(conn: &Connection) -> rusqlite::Result<Vec<RunRecord>> {
    conn.prepare_cached("SELECT * FROM run ORDER BY id")?
        .query_map((), from_row)?
        .collect()
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<RunRecord> {
    let count = |column| row.get::<_, i64>(column).map(|num| num as usize);
    let predictor = |column| {
        let id: rusqlite::Result<Option<i64>> = row.get(column);
        id.map(|id| id.map(PredictorId))
    };
    Ok(RunRecord {
        id: RunId(row.get("id")?),
        settings: value::json(row, "settings")?,
        model: value::model(row)?,
        preset: row.get("preset")?,
        num_images: [count("num_train")?, count("num_val")?, count("num_test")?],
        status: value::json(row, "status")?,
        epochs: value::json(row, "epochs")?,
        best_epoch: row.get("best_epoch")?,
        previous: predictor("previous_id")?,
        predictor: predictor("predictor_id")?,
        test_before: value::optional_json(row, "test_before")?,
        test_after: value::optional_json(row, "test_after")?,
        unix_time: row.get("unix_time")?,
    })
}

#[cfg(test)]
mod tests {
    use super::super::migrate;
    use super::super::testing::World;
    use super::super::testing::card;
    use super::super::testing::run;
    use super::*;
    use crate::domain::EpochFigures;
    use crate::domain::Figures;
    use crate::domain::RunStatus;

    fn epoch(epoch: u32) -> EpochFigures {
        EpochFigures {
            epoch,
            train_loss: 0.5,
            val: Figures {
                n: 10,
                srcc: Some(0.6),
                reason: Some("no fit".to_owned()),
                ..Figures::default()
            },
            val_loss: 0.25,
            seconds: 1.5,
        }
    }

    #[test]
    fn a_run_grows_under_its_number() {
        let mut world = World::empty();
        let mut saved = world.project.save_run(&run()).unwrap();
        for number in 1..=3 {
            saved.epochs.push(epoch(number));
            saved.best_epoch = Some(number);
            saved = world
                .project
                .save_epoch(&saved, &[number as u8; 9])
                .unwrap();
        }
        world.reopen();
        assert_eq!(world.project.catalog().unwrap().runs, [saved.clone()]);
        let checkpoint = world.project.checkpoint(saved.id).unwrap();
        assert_eq!(checkpoint.unwrap(), [3; 9]);
    }

    #[test]
    fn saving_a_run_keeps_its_checkpoint() {
        let mut world = World::empty();
        let saved = world.project.save_run(&run()).unwrap();
        world.project.save_checkpoint(saved.id, b"state").unwrap();
        world.project.save_run(&saved).unwrap();
        let kept = world.project.checkpoint(saved.id).unwrap();
        assert_eq!(kept.unwrap(), b"state");
        world.project.drop_checkpoint(saved.id).unwrap();
        assert_eq!(world.project.checkpoint(saved.id).unwrap(), None);
    }

    #[test]
    fn a_finished_run_and_its_predictor_name_each_other() {
        let mut world = World::empty();
        let saved = world.project.save_epoch(&run(), b"state").unwrap();
        let done = RunRecord {
            status: RunStatus::Done,
            ..saved
        };
        let (run, card) = world
            .project
            .finish_run(&done, &card(), b"weights")
            .unwrap();
        assert_eq!((run.predictor, card.run), (Some(card.id), Some(run.id)));
        assert_eq!(world.project.checkpoint(run.id).unwrap(), None);
        assert_eq!(world.project.run(run.id).unwrap(), run);
        assert_eq!(world.project.catalog().unwrap().predictors, [card]);
    }

    #[test]
    fn a_reason_of_failure_is_kept() {
        let mut world = World::empty();
        let failed = RunRecord {
            status: RunStatus::Failed("no memory".to_owned()),
            ..run()
        };
        let saved = world.project.save_run(&failed).unwrap();
        assert_eq!(world.project.run(saved.id).unwrap().status, failed.status);
    }

    #[test]
    fn a_checkpoint_of_many_parts_comes_back_whole_and_leaves_nothing_behind() {
        let mut world = World::empty();
        let run = world.project.save_run(&run()).unwrap().id;
        let num_parts = |world: &World| -> i64 {
            let count = "SELECT count(*) FROM checkpoint_part";
            let conn = &world.project.conn;
            conn.query_row(count, (), |row| row.get(0)).unwrap()
        };
        for (len, expected) in [(103, 10), (40, 3), (10, 0), (0, 0)] {
            let state: Vec<u8> = (0..len).collect();
            let saved = world.project.write("save a checkpoint", |tx| {
                Ok(set_checkpoint(tx, run, &state, 10)?)
            });
            saved.unwrap();
            assert_eq!(num_parts(&world), expected, "{len} bytes");
            let kept = world.project.checkpoint(run).unwrap();
            assert_eq!(kept.unwrap(), state);
        }
        set_checkpoint(&world.project.conn, run, &[7; 103], 10).unwrap();
        world.project.drop_checkpoint(run).unwrap();
        assert_eq!(num_parts(&world), 0);
        assert_eq!(world.project.checkpoint(run).unwrap(), None);
    }

    #[test]
    fn a_checkpoint_of_an_earlier_version_is_read() {
        let mut conn = Connection::open_in_memory().unwrap();
        migrate::migrate(&mut conn, &migrate::STEPS[..4]).unwrap();
        let run = save(&conn, &run()).unwrap().id;
        let insert = "INSERT INTO checkpoint (run_id, bytes) VALUES (?1, ?2)";
        conn.execute(insert, (run.0, b"as it was")).unwrap();
        migrate::migrate(&mut conn, migrate::STEPS).unwrap();
        let mut world = World::empty();
        world.project.conn = conn;
        let kept = world.project.checkpoint(run).unwrap();
        assert_eq!(kept.unwrap(), b"as it was");
    }

    #[test]
    fn a_checkpoint_of_no_run_is_refused() {
        let mut world = World::empty();
        world.project.save_checkpoint(RunId(5), b"x").unwrap_err();
    }
}
