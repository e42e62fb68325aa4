//! Changes of the user's, and how they are taken back.
//!
//! A [`Change`] is applied and answered by its inverse; the inverses of an operation are written in the same
//! transaction as the operation. Undoing applies them and keeps what they answer for redoing.

use rusqlite::Connection;
use rusqlite::OptionalExtension as _;
use serde::Deserialize;
use serde::Serialize;

use super::Project;
use super::StoreError;
use super::image;
use super::review;
use super::settings;
use super::study;
use super::value;
use crate::domain::DescriptionId;
use crate::domain::FileState;
use crate::domain::ImageId;
use crate::domain::Operation;
use crate::domain::ReviewId;
use crate::domain::Settings;
use crate::domain::Vote;
use crate::domain::VoteToken;

/// Operations that can be undone at most; older ones are forgotten.
const MAX_DEPTH: i64 = 200;

/// A change that knows its inverse.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Change {
    /// A tag on (or off) pictures.
    Tag {
        tag: String,
        images: Vec<ImageId>,
        on: bool,
    },
    /// Other choices.
    Settings(Box<Settings>),
    /// Another image root.
    Root { root: String, home: String },
    /// Other states of files, as a change of the root brings.
    Files(Vec<(ImageId, FileState)>),
    /// A vote of quick rating taken back, by a record of its own.
    TakeBackVote(VoteToken),
    /// A vote that was taken back, given again, by a record of its own.
    VoteAgain(VoteToken),
    /// Another review that holds for a description, or none.
    Review {
        description: DescriptionId,
        record: Option<ReviewId>,
    },
}

impl Project {
    /// Puts a tag on pictures or takes it off; can be undone. Nothing is noted where nothing changes.
    pub fn set_tag(&mut self, images: &[ImageId], tag: &str, on: bool) -> Result<(), StoreError> {
        let tag = tag.trim();
        if tag.is_empty() {
            return Ok(());
        }
        let operation = Operation(tag_words(
            if on { "Tag" } else { "Untag" },
            images.len(),
            tag,
        ));
        let change = Change::Tag {
            tag: tag.to_owned(),
            images: images.to_vec(),
            on,
        };
        self.write("change tags", |tx| Ok(transact(tx, &operation, &[change])?))
    }

    /// Takes another folder as image root; can be undone.
    pub fn set_root(&mut self, root: &str) -> Result<(), StoreError> {
        self.relocate(root, &[])
    }

    /// Takes another folder as image root together with what was found of the files there; undone as one.
    pub fn relocate(
        &mut self,
        root: &str,
        states: &[(ImageId, FileState)],
    ) -> Result<(), StoreError> {
        let changes = [
            Change::Root {
                root: root.to_owned(),
                home: self.home(),
            },
            Change::Files(states.to_vec()),
        ];
        self.write("change the image root", |tx| {
            let operation = Operation("Relocate images".to_owned());
            Ok(transact(tx, &operation, &changes)?)
        })
    }

    /// Takes back the user's last change and answers what it was. `now` (milliseconds since 1970-01-01 UTC) is noted
    /// where a vote is taken back.
    pub fn undo(&mut self, now: i64) -> Result<Option<Operation>, StoreError> {
        self.write("undo", |tx| Ok(turn(tx, "undo", "redo", now)?))
    }

    /// Brings again what was last taken back and answers what it was; `now` as in [`Project::undo`].
    pub fn redo(&mut self, now: i64) -> Result<Option<Operation>, StoreError> {
        self.write("redo", |tx| Ok(turn(tx, "redo", "undo", now)?))
    }

    /// What [`Project::undo`] and [`Project::redo`] would do now.
    pub fn undo_state(&self) -> Result<(Option<Operation>, Option<Operation>), StoreError> {
        self.read("read the undo list", state)
    }
}

/// The tops of both stacks: undo, redo.
pub(super) fn state(conn: &Connection) -> rusqlite::Result<(Option<Operation>, Option<Operation>)> {
    let words = |top: Option<Entry>| top.map(|entry| Operation(entry.operation));
    Ok((words(top(conn, "undo")?), words(top(conn, "redo")?)))
}

/// Applies the changes of one operation and keeps their inverses. What was undone before cannot be redone then.
pub(super) fn transact(
    conn: &Connection,
    operation: &Operation,
    changes: &[Change],
) -> rusqlite::Result<()> {
    // No time is needed: votes are given by `append_vote`, which notes their inverse itself.
    let inverses = apply_all(conn, changes, 0)?;
    if inverses.is_empty() {
        return Ok(());
    }
    note(conn, operation, &inverses)
}

/// Notes what would take a change back that was made already. What was undone before cannot be redone then.
pub(super) fn note(
    conn: &Connection,
    operation: &Operation,
    inverses: &[Change],
) -> rusqlite::Result<()> {
    conn.execute("DELETE FROM undo WHERE stack = 'redo'", ())?;
    push(conn, "undo", &operation.0, inverses)?;
    conn.execute(
        "DELETE FROM undo WHERE id NOT IN (SELECT id FROM undo ORDER BY id DESC LIMIT ?1)",
        [MAX_DEPTH],
    )?;
    Ok(())
}

struct Entry {
    id: i64,
    operation: String,
    changes: Vec<Change>,
}

fn top(conn: &Connection, stack: &str) -> rusqlite::Result<Option<Entry>> {
    conn.prepare_cached("SELECT * FROM undo WHERE stack = ?1 ORDER BY id DESC LIMIT 1")?
        .query_row([stack], |row| {
            Ok(Entry {
                id: row.get("id")?,
                operation: row.get("operation")?,
                changes: value::json(row, "changes")?,
            })
        })
        .optional()
}

fn push(
    conn: &Connection,
    stack: &str,
    operation: &str,
    changes: &[Change],
) -> rusqlite::Result<()> {
    conn.execute(
        "INSERT INTO undo (stack, operation, changes) VALUES (?1, ?2, ?3)",
        (stack, operation, value::to_json(&changes)?),
    )?;
    Ok(())
}

/// Applies the top of one stack and puts its inverse on the other.
fn turn(conn: &Connection, from: &str, to: &str, now: i64) -> rusqlite::Result<Option<Operation>> {
    let Some(entry) = top(conn, from)? else {
        return Ok(None);
    };
    let inverses = apply_all(conn, &entry.changes, now)?;
    conn.execute("DELETE FROM undo WHERE id = ?1", [entry.id])?;
    push(conn, to, &entry.operation, &inverses)?;
    Ok(Some(Operation(entry.operation)))
}

/// Applies changes in order; the inverses come back in the order that takes them back. Empty if nothing changed.
fn apply_all(conn: &Connection, changes: &[Change], now: i64) -> rusqlite::Result<Vec<Change>> {
    let mut inverses = Vec::new();
    for change in changes {
        inverses.extend(apply(conn, change, now)?);
    }
    inverses.reverse();
    Ok(inverses)
}

fn apply(conn: &Connection, change: &Change, now: i64) -> rusqlite::Result<Option<Change>> {
    match change {
        Change::Tag { tag, images, on } => {
            let set = if *on {
                image::add_tag
            } else {
                image::remove_tag
            };
            let mut changed = Vec::new();
            for image in images {
                if image::file(conn, *image)?.is_some() && set(conn, *image, tag)? {
                    changed.push(*image);
                }
            }
            Ok((!changed.is_empty()).then(|| Change::Tag {
                tag: tag.clone(),
                images: changed,
                on: !on,
            }))
        }
        Change::Settings(new) => {
            let old = settings::get(conn)?;
            settings::set(conn, new)?;
            Ok(Some(Change::Settings(Box::new(old))))
        }
        Change::Root { root, home } => {
            let (old_root, old_home): (String, String) =
                conn.query_row("SELECT root, home FROM project", (), |row| {
                    Ok((row.get(0)?, row.get(1)?))
                })?;
            conn.execute("UPDATE project SET root = ?1, home = ?2", (root, home))?;
            Ok((old_root != *root).then_some(Change::Root {
                root: old_root,
                home: old_home,
            }))
        }
        Change::Files(states) => {
            let mut old = Vec::new();
            for (image, state) in states {
                if let Some(before) = image::file(conn, *image)? {
                    old.push((*image, before));
                    image::set_file(conn, *image, state)?;
                }
            }
            Ok((!old.is_empty()).then_some(Change::Files(old)))
        }
        Change::TakeBackVote(token) => take_back(conn, *token, now),
        Change::VoteAgain(token) => vote_again(conn, *token, now),
        Change::Review {
            description,
            record,
        } => review::point(conn, *description, *record),
    }
}

fn take_back(conn: &Connection, token: VoteToken, now: i64) -> rusqlite::Result<Option<Change>> {
    let Some(vote) = study::standing_vote(conn, token)? else {
        return Ok(None);
    };
    study::insert_vote(conn, &vote.taken_back(now))?;
    Ok(Some(Change::VoteAgain(token)))
}

fn vote_again(conn: &Connection, token: VoteToken, now: i64) -> rusqlite::Result<Option<Change>> {
    let Some(vote) = study::vote_of(conn, token)? else {
        return Ok(None);
    };
    let again = Vote {
        // Later than the first time even by a clock that was set back, so that it is a record of its own.
        voted_at: now.max(vote.voted_at + 1),
        ..vote
    };
    let again = again.sealed();
    study::insert_vote(conn, &again)?;
    Ok(Some(Change::TakeBackVote(again.token)))
}

fn tag_words(verb: &str, num_images: usize, tag: &str) -> String {
    match num_images {
        1 => format!("{verb} one image \u{201c}{tag}\u{201d}"),
        num => format!("{verb} {num} images \u{201c}{tag}\u{201d}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::World;
    use super::super::testing::missing;
    use super::super::testing::present;
    use super::*;
    use crate::domain::Aspect;
    use crate::domain::Catalog;
    use crate::domain::PredictorId;

    const NOW: i64 = 9_000_000;

    /// The catalog without the undo list itself.
    fn content(world: &World) -> Catalog {
        let catalog = world.project.catalog().expect("a catalog");
        Catalog {
            undo: None,
            redo: None,
            ..catalog
        }
    }

    fn use_predictor(world: &mut World, number: i64) {
        let mut settings = world.project.settings().expect("settings");
        *settings.predictor.get_mut(Aspect::Quality) = Some(PredictorId(number));
        let operation = Operation(format!("Use predictor {number}"));
        world
            .project
            .set_settings(&settings, &operation)
            .expect("settings are saved");
    }

    #[test]
    fn every_change_can_be_taken_back_and_brought_again() {
        let mut world = World::with_images(3);
        let ids: Vec<ImageId> = (1..=3).map(ImageId).collect();
        let mut before = vec![content(&world)];
        world.project.set_tag(&ids[..2], "keep", true).unwrap();
        before.push(content(&world));
        use_predictor(&mut world, 4);
        before.push(content(&world));
        let states = [(ids[0], missing()), (ids[1], present(50))];
        world.project.relocate("/elsewhere", &states).unwrap();
        before.push(content(&world));
        world.project.set_tag(&ids, "keep", false).unwrap();
        before.push(content(&world));

        for earlier in before.iter().rev().skip(1) {
            assert!(world.project.undo(NOW).unwrap().is_some());
            assert_eq!(content(&world), *earlier);
            world.reopen();
        }
        assert_eq!(world.project.undo(NOW).unwrap(), None);
        for later in &before[1..] {
            assert!(world.project.redo(NOW).unwrap().is_some());
            assert_eq!(content(&world), *later);
        }
        assert_eq!(world.project.redo(NOW).unwrap(), None);
    }

    #[test]
    fn undoing_a_tag_spares_those_who_had_it_before() {
        let mut world = World::with_images(2);
        world.project.set_tag(&[ImageId(1)], "keep", true).unwrap();
        let both = [ImageId(1), ImageId(2)];
        world.project.set_tag(&both, "keep", true).unwrap();
        world.project.undo(NOW).unwrap();
        let images = world.project.images(&both).unwrap();
        assert_eq!(images[0].tags, ["keep"]);
        assert!(images[1].tags.is_empty());
    }

    #[test]
    fn a_new_change_forgets_what_was_undone() {
        let mut world = World::with_images(1);
        use_predictor(&mut world, 1);
        world.project.undo(NOW).unwrap();
        use_predictor(&mut world, 2);
        let (undo, redo) = world.project.undo_state().unwrap();
        assert_eq!(undo, Some(Operation("Use predictor 2".to_owned())));
        assert_eq!(redo, None);
    }

    #[test]
    fn changes_that_change_nothing_are_not_listed() {
        let mut world = World::with_images(1);
        let settings = world.project.settings().unwrap();
        let root = world.project.info().unwrap().root;
        let operation = Operation("Nothing".to_owned());
        world.project.set_settings(&settings, &operation).unwrap();
        world.project.set_root(&root).unwrap();
        world.project.set_tag(&[ImageId(1)], "x", false).unwrap();
        world.project.set_tag(&[ImageId(9)], "x", true).unwrap();
        world.project.set_tag(&[ImageId(1)], "  ", true).unwrap();
        assert_eq!(world.project.undo_state().unwrap(), (None, None));
    }

    #[test]
    fn the_oldest_changes_are_forgotten() {
        let mut world = World::with_images(1);
        for number in 1..=MAX_DEPTH + 20 {
            use_predictor(&mut world, number);
        }
        let mut undone = 0;
        while world.project.undo(NOW).unwrap().is_some() {
            undone += 1;
        }
        assert_eq!(undone, MAX_DEPTH);
        assert_ne!(
            *world
                .project
                .settings()
                .unwrap()
                .predictor
                .get(Aspect::Quality),
            None
        );
    }
}
