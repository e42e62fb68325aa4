//! What predictors said of the test pictures of each run.

use rusqlite::Row;

use super::Project;
use super::StoreError;
use crate::domain::ContentHash;
use crate::domain::ImageId;
use crate::domain::RunId;
use crate::domain::TestPrediction;

impl Project {
    /// Keeps the test predictions of a run, in place of those before.
    pub fn save_run_tests(
        &mut self,
        run: RunId,
        tests: &[TestPrediction],
    ) -> Result<(), StoreError> {
        self.write("save test predictions", |tx| {
            tx.execute("DELETE FROM run_test WHERE run_id = ?1", [run.0])?;
            let mut insert = tx.prepare_cached(
                "INSERT INTO run_test (run_id, image_id, image_hash, mos, before, after)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?;
            for test in tests {
                insert.execute((
                    run.0,
                    test.image.0,
                    test.hash.0,
                    test.mos,
                    test.before,
                    test.after,
                ))?;
            }
            Ok(())
        })
    }

    /// The test predictions of a run, in the order of the pictures' numbers; none for a run of a version that kept none.
    pub fn run_tests(&self, run: RunId) -> Result<Vec<TestPrediction>, StoreError> {
        self.read("read test predictions", |conn| {
            conn.prepare_cached("SELECT * FROM run_test WHERE run_id = ?1 ORDER BY image_id")?
                .query_map([run.0], from_row)?
                .collect()
        })
    }
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<TestPrediction> {
    Ok(TestPrediction {
        image: ImageId(row.get("image_id")?),
        hash: ContentHash(row.get("image_hash")?),
        mos: row.get("mos")?,
        before: row.get("before")?,
        after: row.get("after")?,
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::World;
    use super::super::testing::hash;
    use super::super::testing::run;
    use super::*;

    fn test(image: i64, after: f64) -> TestPrediction {
        TestPrediction {
            image: ImageId(image),
            hash: hash(image as u64),
            mos: 2.5,
            before: (image == 1).then_some(0.1 + 0.2),
            after: Some(after),
        }
    }

    #[test]
    fn test_predictions_come_back_as_they_were_and_once() {
        let mut world = World::with_images(3);
        let run = world.project.save_run(&run()).unwrap().id;
        assert_eq!(world.project.run_tests(run).unwrap(), []);
        let first = [test(1, 1.0), test(2, 2.0), test(3, 3.0)];
        world.project.save_run_tests(run, &first).unwrap();
        let second = [test(1, 4.0), test(2, 5.0)];
        world.project.save_run_tests(run, &second).unwrap();
        world.reopen();
        assert_eq!(world.project.run_tests(run).unwrap(), second);
    }

    #[test]
    fn predictions_of_no_run_are_refused() {
        let mut world = World::with_images(1);
        let wrong = world.project.save_run_tests(RunId(9), &[test(1, 1.0)]);
        wrong.unwrap_err();
    }
}
