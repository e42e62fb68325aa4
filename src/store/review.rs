//! Reviews of taught texts: records that are only added, and which of them holds.

use rusqlite::Connection;
use rusqlite::OptionalExtension as _;
use rusqlite::Row;

use super::Project;
use super::StoreError;
use super::description;
use super::undo;
use super::undo::Change;
use super::value;
use crate::domain::Description;
use crate::domain::DescriptionId;
use crate::domain::ImageId;
use crate::domain::Judgement;
use crate::domain::Operation;
use crate::domain::Origin;
use crate::domain::ReviewAct;
use crate::domain::ReviewId;
use crate::domain::ReviewRecord;
use crate::domain::ReviewWish;
use crate::domain::Reviews;
use crate::domain::TeachFailure;

impl Project {
    /// Notes what somebody says of taught texts, as one change that can be undone. Answers the records that came of it;
    /// what is so already makes none.
    pub fn review(
        &mut self,
        wishes: &[ReviewWish],
        author: &str,
        unix_time: i64,
    ) -> Result<Vec<ReviewRecord>, StoreError> {
        self.write("save a review", |tx| {
            let mut records = Vec::new();
            for wish in wishes {
                let Some(original) = taught_text(tx, wish.description)? else {
                    return Err(StoreError::Unknown {
                        noun: "teacher's description",
                        id: wish.description.0,
                    }
                    .into());
                };
                let before = standing(tx, wish.description)?;
                let Some(draft) = drafted(wish, &original, before.as_ref()) else {
                    continue;
                };
                let draft = ReviewRecord {
                    author: author.trim().to_owned(),
                    unix_time,
                    ..draft
                };
                records.push(insert(tx, draft)?);
            }
            let changes: Vec<Change> = records
                .iter()
                .map(|record| Change::Review {
                    description: record.description,
                    record: Some(record.id),
                })
                .collect();
            undo::transact(tx, &operation(&records), &changes)?;
            Ok(records)
        })
    }

    /// Saves what a teacher said about a picture, whatever it failed to say before. Answers the descriptions with their
    /// numbers.
    pub fn add_lessons(&mut self, drafts: &[Description]) -> Result<Vec<Description>, StoreError> {
        self.write("save a teacher's descriptions", |tx| {
            let mut saved = Vec::with_capacity(drafts.len());
            for draft in drafts {
                saved.push(description::insert_checked(tx, draft)?);
                tx.prepare_cached("DELETE FROM teach_failure WHERE image_id = ?1 AND aspect = ?2")?
                    .execute((draft.image.0, draft.aspect.name()))?;
            }
            Ok(saved)
        })
    }

    /// Notes that a teacher said nothing, so that those pictures are found again.
    pub fn note_teach_failures(&mut self, failures: &[TeachFailure]) -> Result<(), StoreError> {
        self.write("note what a teacher did not say", |tx| {
            let mut insert = tx.prepare_cached(
                "INSERT OR REPLACE INTO teach_failure (image_id, aspect, teacher, reason, unix_time)
                 VALUES (?1, ?2, ?3, ?4, ?5)",
            )?;
            for failure in failures {
                insert.execute((
                    failure.image.0,
                    failure.aspect.name(),
                    &failure.teacher,
                    &failure.reason,
                    failure.unix_time,
                ))?;
            }
            Ok(())
        })
    }
}

/// Everything that was said of taught texts.
pub(super) fn all(conn: &Connection) -> rusqlite::Result<Reviews> {
    let records = conn
        .prepare_cached("SELECT * FROM review_record ORDER BY id")?
        .query_map((), record)?
        .collect::<rusqlite::Result<_>>()?;
    let in_force = conn
        .prepare_cached("SELECT description_id, record_id FROM review")?
        .query_map((), |row| {
            Ok((DescriptionId(row.get(0)?), ReviewId(row.get(1)?)))
        })?
        .collect::<rusqlite::Result<_>>()?;
    let failures = conn
        .prepare_cached("SELECT * FROM teach_failure ORDER BY image_id, aspect")?
        .query_map((), |row| {
            Ok(TeachFailure {
                image: ImageId(row.get("image_id")?),
                aspect: value::aspect(row)?,
                teacher: row.get("teacher")?,
                reason: row.get("reason")?,
                unix_time: row.get("unix_time")?,
            })
        })?
        .collect::<rusqlite::Result<_>>()?;
    Ok(Reviews {
        records,
        in_force,
        failures,
        ..Reviews::default()
    })
}

/// Lets another record hold for a description, or none. Answers the change that takes this back.
pub(super) fn point(
    conn: &Connection,
    description: DescriptionId,
    to: Option<ReviewId>,
) -> rusqlite::Result<Option<Change>> {
    let before = standing(conn, description)?.map(|record| record.id);
    if before == to {
        return Ok(None);
    }
    match to {
        Some(record) => conn.execute(
            "INSERT OR REPLACE INTO review (description_id, record_id) VALUES (?1, ?2)",
            (description.0, record.0),
        )?,
        None => conn.execute(
            "DELETE FROM review WHERE description_id = ?1",
            [description.0],
        )?,
    };
    Ok(Some(Change::Review {
        description,
        record: before,
    }))
}

/// What a teacher wrote under this number; `None` where no teacher wrote anything.
fn taught_text(conn: &Connection, id: DescriptionId) -> rusqlite::Result<Option<String>> {
    conn.prepare_cached("SELECT text FROM description WHERE id = ?1 AND origin = ?2")?
        .query_row((id.0, Origin::Teacher.name()), |row| row.get(0))
        .optional()
}

fn standing(conn: &Connection, id: DescriptionId) -> rusqlite::Result<Option<ReviewRecord>> {
    conn.prepare_cached(
        "SELECT review_record.* FROM review_record JOIN review ON record_id = review_record.id
         WHERE review.description_id = ?1",
    )?
    .query_row([id.0], record)
    .optional()
}

/// The record that a wish comes to; `None` where everything is so already.
fn drafted(
    wish: &ReviewWish,
    original: &str,
    before: Option<&ReviewRecord>,
) -> Option<ReviewRecord> {
    let text = before.and_then(|record| record.text.clone());
    let (text, reason) = match &wish.act {
        ReviewAct::Accept => (text, None),
        ReviewAct::Edit(words) => {
            let words = words.trim();
            let is_new = !words.is_empty() && words != original.trim();
            (is_new.then(|| words.to_owned()), None)
        }
        ReviewAct::Reject(reason) => (text, Some(reason.trim().to_owned())),
        ReviewAct::Reset => (None, None),
    };
    let verdict = match (&wish.act, &text) {
        (ReviewAct::Reset, _) => Judgement::Unreviewed,
        (ReviewAct::Reject(_), _) => Judgement::Rejected,
        (_, Some(_)) => Judgement::Edited,
        (_, None) => Judgement::Accepted,
    };
    let is_so = match before {
        Some(before) => (before.verdict, &before.text, &before.reason) == (verdict, &text, &reason),
        None => verdict == Judgement::Unreviewed,
    };
    (!is_so).then(|| ReviewRecord {
        id: ReviewId(0),
        description: wish.description,
        verdict,
        text,
        reason,
        author: String::new(),
        edited_from: before.filter(|before| before.text.is_some()).map(|b| b.id),
        unix_time: 0,
    })
}

fn insert(conn: &Connection, draft: ReviewRecord) -> rusqlite::Result<ReviewRecord> {
    conn.prepare_cached(
        "INSERT INTO review_record (description_id, verdict, text, reason, author, edited_from, unix_time)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute((
        draft.description.0,
        draft.verdict.name(),
        &draft.text,
        &draft.reason,
        &draft.author,
        draft.edited_from.map(|id| id.0),
        draft.unix_time,
    ))?;
    Ok(ReviewRecord {
        id: ReviewId(conn.last_insert_rowid()),
        ..draft
    })
}

fn record(row: &Row<'_>) -> rusqlite::Result<ReviewRecord> {
    let verdict: String = row.get("verdict")?;
    let edited_from: Option<i64> = row.get("edited_from")?;
    Ok(ReviewRecord {
        id: ReviewId(row.get("id")?),
        description: DescriptionId(row.get("description_id")?),
        verdict: value::word("verdict", &verdict)?,
        text: row.get("text")?,
        reason: row.get("reason")?,
        author: row.get("author")?,
        edited_from: edited_from.map(ReviewId),
        unix_time: row.get("unix_time")?,
    })
}

/// "Accept one description", "Reject 12 descriptions".
fn operation(records: &[ReviewRecord]) -> Operation {
    let verb = match records.first().map(|record| record.verdict) {
        Some(Judgement::Edited) => "Edit",
        Some(Judgement::Rejected) => "Reject",
        Some(Judgement::Unreviewed) => "Take back the review of",
        Some(Judgement::Accepted) | None => "Accept",
    };
    Operation(match records.len() {
        1 => format!("{verb} one description"),
        num => format!("{verb} {num} descriptions"),
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::World;
    use super::super::testing::batch;
    use super::super::testing::conversation;
    use super::super::testing::description;
    use super::*;
    use crate::domain::Aspect;

    const NOW: i64 = 7_000;

    /// A project with two taught texts, numbers 1 and 2.
    fn taught() -> World {
        let mut world = World::with_images(2);
        for (image, text) in [(1, "Soft, grey."), (2, "Sharp.")] {
            let draft = Description {
                origin: Origin::Teacher,
                ..description(image, text)
            };
            world.project.add_description(&draft).unwrap();
        }
        world
    }

    fn say(world: &mut World, number: i64, act: ReviewAct) -> Vec<ReviewRecord> {
        let wish = ReviewWish {
            description: DescriptionId(number),
            act,
        };
        world.project.review(&[wish], " Ada ", NOW).unwrap()
    }

    /// Text, verdict and reason of description 1 as the file has them.
    fn stands(world: &mut World) -> (String, Judgement, Option<String>) {
        world.reopen();
        let catalog = world.project.catalog().unwrap();
        let record = catalog.reviews.standing(DescriptionId(1));
        (
            catalog.descriptions[0].text.clone(),
            catalog.reviews.verdict(DescriptionId(1)),
            record.and_then(|record| record.reason.clone()),
        )
    }

    fn edit(text: &str) -> ReviewAct {
        ReviewAct::Edit(text.to_owned())
    }

    #[test]
    fn every_text_is_kept_with_who_wrote_it_and_from_what() {
        let mut world = taught();
        say(&mut world, 1, ReviewAct::Accept);
        say(&mut world, 1, edit("Soft and grey."));
        say(&mut world, 1, edit("Soft, grey, with a halo."));
        say(&mut world, 1, ReviewAct::Reject("no halo there".to_owned()));
        let reason = Some("no halo there".to_owned());
        let text = "Soft, grey, with a halo.".to_owned();
        assert_eq!(stands(&mut world), (text, Judgement::Rejected, reason));
        let catalog = world.project.catalog().unwrap();
        let history: Vec<_> = catalog.reviews.history(DescriptionId(1)).collect();
        let verdicts: Vec<_> = history.iter().map(|record| record.verdict).collect();
        use Judgement::{Accepted, Edited, Rejected};
        assert_eq!(verdicts, [Accepted, Edited, Edited, Rejected]);
        assert_eq!(history[1].edited_from, None, "the teacher's own text");
        assert_eq!(history[2].edited_from, Some(history[1].id));
        assert!(history.iter().all(|record| record.author == "Ada"));
        assert_eq!(catalog.reviews.originals[&DescriptionId(1)], "Soft, grey.");
    }

    #[test]
    fn reviews_are_undone_and_brought_again_by_the_same_list() {
        let mut world = taught();
        say(&mut world, 1, edit("Grey."));
        say(&mut world, 1, ReviewAct::Reject("wrong".to_owned()));
        let rejected = stands(&mut world);
        let undone = world.project.undo(NOW).unwrap().unwrap();
        assert_eq!(undone.0, "Reject one description");
        assert_eq!(
            stands(&mut world),
            ("Grey.".to_owned(), Judgement::Edited, None)
        );
        world.project.undo(NOW).unwrap();
        let taught = ("Soft, grey.".to_owned(), Judgement::Unreviewed, None);
        assert_eq!(stands(&mut world), taught);
        assert_eq!(world.project.undo(NOW).unwrap(), None);
        world.project.redo(NOW).unwrap();
        world.project.redo(NOW).unwrap();
        assert_eq!(stands(&mut world), rejected);
        let catalog = world.project.catalog().unwrap();
        assert_eq!(catalog.reviews.records.len(), 2, "nothing is erased");
    }

    #[test]
    fn several_texts_are_one_change_and_what_is_so_already_is_none() {
        let mut world = taught();
        let wish = |number| ReviewWish {
            description: DescriptionId(number),
            act: ReviewAct::Accept,
        };
        let both = [wish(1), wish(2)];
        assert_eq!(world.project.review(&both, "", NOW).unwrap().len(), 2);
        assert!(world.project.review(&both, "", NOW).unwrap().is_empty());
        assert!(say(&mut world, 1, edit(" Soft, grey. ")).is_empty());
        let undone = world.project.undo(NOW).unwrap().unwrap();
        assert_eq!(undone.0, "Accept 2 descriptions");
        assert_eq!(stands(&mut world).1, Judgement::Unreviewed);
        say(&mut world, 2, ReviewAct::Reset);
        assert_eq!(world.project.undo_state().unwrap().0, None);
    }

    #[test]
    fn only_a_teachers_text_is_reviewed() {
        let mut world = World::with_images(1);
        world
            .project
            .add_description(&description(1, "our own"))
            .unwrap();
        let wish = ReviewWish {
            description: DescriptionId(1),
            act: ReviewAct::Accept,
        };
        let error = world.project.review(&[wish], "", NOW).unwrap_err();
        assert!(error.to_string().contains("teacher"), "{error}");
    }

    #[test]
    fn an_edited_text_does_not_come_in_a_second_time() {
        let mut world = World::empty();
        let mut batch = batch(1);
        let told = conversation("0.jpg", Aspect::Quality, "Soft.");
        batch.conversations.push(told);
        world.project.import(&batch, NOW).unwrap();
        say(&mut world, 1, edit("Soft, with six fingers."));
        let again = world.project.import(&batch, NOW).unwrap();
        assert_eq!(again.descriptions, 0);
        assert_eq!(stands(&mut world).0, "Soft, with six fingers.");
    }

    #[test]
    fn the_text_to_learn_from_is_the_one_that_somebody_approved_of() {
        let mut world = taught();
        let newer = Description {
            origin: Origin::Teacher,
            ..description(1, "Newer.")
        };
        world.project.add_description(&newer).unwrap();
        let lesson = |world: &World| {
            let catalog = world.project.catalog().unwrap();
            let lessons = catalog.lessons();
            let key = (ImageId(1), description(1, "").aspect);
            lessons.get(&key).map(|told| told.text.clone())
        };
        assert_eq!(lesson(&world).as_deref(), Some("Newer."));
        say(&mut world, 1, edit("Soft."));
        assert_eq!(lesson(&world).as_deref(), Some("Soft."));
        say(&mut world, 1, ReviewAct::Reject("wrong".to_owned()));
        assert_eq!(lesson(&world).as_deref(), Some("Newer."));
        say(&mut world, 3, ReviewAct::Reject("wrong".to_owned()));
        assert_eq!(lesson(&world), None);
    }

    #[test]
    fn a_failure_is_found_again_until_a_teacher_answers() {
        let mut world = taught();
        let draft = Description {
            origin: Origin::Teacher,
            ..description(1, "At last.")
        };
        let failure = TeachFailure {
            image: ImageId(1),
            aspect: draft.aspect,
            teacher: "big".to_owned(),
            reason: "SAFETY".to_owned(),
            unix_time: NOW,
        };
        world
            .project
            .note_teach_failures(std::slice::from_ref(&failure))
            .unwrap();
        world.reopen();
        let failures = |world: &World| world.project.catalog().unwrap().reviews.failures;
        assert_eq!(failures(&world), [failure]);
        world.project.add_lessons(&[draft]).unwrap();
        assert!(failures(&world).is_empty());
    }
}
