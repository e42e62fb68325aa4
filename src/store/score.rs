//! Scores: one committed row each, only of pictures that are there.

use rusqlite::Connection;
use rusqlite::Row;

use super::Project;
use super::StoreError;
use super::error::Fault;
use super::image;
use super::value;
use crate::domain::ContentHash;
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

    /// Saves a score of a picture that was looked at: refused where the row stands for another one by now.
    pub fn add_score_of(&mut self, score: &Score, seen: ContentHash) -> Result<(), StoreError> {
        self.write("save a score", |tx| {
            image::check_seen(tx, score.image, seen)?;
            insert(tx, score)
        })
    }

    /// Saves what can be saved of a batch of scores with the content that each is of, and answers those scores; the
    /// others are of pictures that changed or went away meanwhile.
    pub fn add_standing_scores(
        &mut self,
        scores: &[(Score, ContentHash)],
    ) -> Result<Vec<Score>, StoreError> {
        self.write("save scores", |tx| {
            let mut saved = Vec::with_capacity(scores.len());
            for (score, seen) in scores {
                let stands = image::check_seen(tx, score.image, *seen);
                match stands.and_then(|()| insert(tx, score)) {
                    Ok(()) => saved.push(score.clone()),
                    Err(Fault::Refused(StoreError::Changed { .. } | StoreError::NoFile { .. })) => {
                    }
                    Err(fault) => return Err(fault),
                }
            }
            Ok(saved)
        })
    }
}

/// Adds a row. A score read off words of our own about another picture than the row's is none of the row's.
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
             FROM image WHERE id = ?1 AND state = 'present' AND NOT EXISTS (
                 SELECT 1 FROM description WHERE description.id = ?5 AND origin = 'local' AND image_hash <> hash)",
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
    if inserted > 0 {
        return Ok(());
    }
    let image = score.image;
    let is_there = image::file(conn, image)?.is_some_and(|file| file.is_present());
    Err(match is_there {
        true => StoreError::Changed { image },
        false => StoreError::NoFile { image },
    }
    .into())
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

#[cfg(test)]
mod tests {
    use super::super::testing::World;
    use super::super::testing::description;
    use super::super::testing::missing;
    use super::super::testing::present;
    use super::super::testing::score;
    use super::*;

    #[test]
    fn the_newest_score_of_a_predictor_wins() {
        let mut world = World::with_images(1);
        let described = world.project.add_description(&description(1, "a")).unwrap();
        let with_text = Score {
            description: Some(described.id),
            ..score(1, 2.0)
        };
        world
            .project
            .add_scores(&[score(1, 1.0), with_text])
            .unwrap();
        assert_eq!(values(&world), [2.0]);
        world.project.add_scores(&[score(1, 3.0)]).unwrap();
        assert_eq!(values(&world), [3.0]);
    }

    #[test]
    fn the_same_key_is_replaced_and_not_added() {
        let mut world = World::with_images(1);
        for value in [1.0, 2.0, 3.0] {
            world.project.add_scores(&[score(1, value)]).unwrap();
        }
        let rows: i64 = world
            .project
            .conn
            .query_row("SELECT count(*) FROM score", (), |row| row.get(0))
            .unwrap();
        assert_eq!((rows, values(&world)), (1, vec![3.0]));
    }

    #[test]
    fn two_predictors_have_a_score_each() {
        let mut world = World::with_images(1);
        let other = Score {
            predictor: PredictorId(4),
            ..score(1, 4.0)
        };
        world.project.add_scores(&[score(1, 1.0), other]).unwrap();
        assert_eq!(values(&world), [1.0, 4.0]);
    }

    #[test]
    fn a_score_comes_back_with_what_made_it() {
        let mut world = World::with_images(1);
        let given = score(1, 0.1 + 0.2);
        world
            .project
            .add_scores(std::slice::from_ref(&given))
            .unwrap();
        world.reopen();
        assert_eq!(world.project.catalog().unwrap().scores, [given]);
    }

    #[test]
    fn a_missing_image_never_gets_a_score() {
        let mut world = World::with_images(2);
        let states = [(ImageId(2), missing())];
        world.project.update_file_states(&states).unwrap();
        let error = world
            .project
            .add_scores(&[score(1, 1.0), score(2, 1.0)])
            .unwrap_err();
        assert!(matches!(error, StoreError::NoFile { .. }), "{error}");
        assert!(values(&world).is_empty(), "all or none");
    }

    #[test]
    fn a_score_of_a_file_that_went_away_is_not_shown() {
        let mut world = World::with_images(1);
        world.project.add_scores(&[score(1, 1.0)]).unwrap();
        let states = |file| [(ImageId(1), file)];
        world
            .project
            .update_file_states(&states(missing()))
            .unwrap();
        assert!(values(&world).is_empty());
        world
            .project
            .update_file_states(&states(present(5)))
            .unwrap();
        assert!(values(&world).is_empty(), "another picture stands there");
        world
            .project
            .update_file_states(&states(present(0)))
            .unwrap();
        assert_eq!(values(&world), [1.0]);
    }

    #[test]
    fn a_score_of_other_bytes_than_the_rows_is_not_saved() {
        let mut world = World::with_images(2);
        let described = world.project.add_description(&description(1, "a")).unwrap();
        let read = Score {
            description: Some(described.id),
            ..score(1, 1.0)
        };
        let (seen, states) = (
            present(0).hash().unwrap(),
            [(ImageId(1), present(77)), (ImageId(2), present(1))],
        );
        world.project.update_file_states(&states).unwrap();
        let errors = [
            world.project.add_score_of(&score(1, 1.0), seen),
            world.project.add_scores(std::slice::from_ref(&read)),
        ];
        for error in errors.map(Result::unwrap_err) {
            assert!(matches!(error, StoreError::Changed { .. }), "{error}");
        }
        let other = score(2, 2.0);
        let batch = [(read, seen), (other.clone(), present(1).hash().unwrap())];
        let saved = world.project.add_standing_scores(&batch).unwrap();
        assert_eq!(saved, [other], "what was not saved is told by its absence");
        assert_eq!(values(&world), [2.0]);
    }

    #[test]
    fn what_is_no_number_is_no_score() {
        let mut world = World::with_images(1);
        for value in [f64::NAN, f64::INFINITY] {
            let error = world.project.add_scores(&[score(1, value)]).unwrap_err();
            assert!(matches!(error, StoreError::NotFinite { .. }), "{error}");
        }
    }

    fn values(world: &World) -> Vec<f64> {
        let scores = world.project.catalog().expect("a catalog").scores;
        scores.iter().map(|score| score.value).collect()
    }
}
