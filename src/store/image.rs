//! Rows of the dataset: files, prompts, ground truth, splits and tags.

use std::collections::HashMap;

use rusqlite::Connection;
use rusqlite::OptionalExtension as _;
use rusqlite::Row;
use rusqlite::params_from_iter;

use super::Project;
use super::StoreError;
use super::error::Fault;
use super::truth;
use super::value;
use crate::domain::Aspect;
use crate::domain::AspectMap;
use crate::domain::ContentHash;
use crate::domain::FileState;
use crate::domain::ImageId;
use crate::domain::ImageRecord;
use crate::domain::Split;
use crate::domain::Truth;

impl Project {
    /// Notes what was found of the files. Facts of the disk, so nothing to undo.
    pub fn update_file_states(
        &mut self,
        states: &[(ImageId, FileState)],
    ) -> Result<(), StoreError> {
        self.write("note the state of files", |tx| {
            for (image, state) in states {
                set_file(tx, *image, state)?;
            }
            Ok(())
        })
    }

    /// Puts images into lists of aspects, whatever their files are called; those that stand in another one move. An image
    /// that the project does not know is refused, and then nothing is changed. As an import's lists, nothing to undo.
    pub fn set_splits(&mut self, lists: &[(ImageId, Aspect, Split)]) -> Result<(), StoreError> {
        self.write("save the split", |tx| {
            for (image, aspect, split) in lists {
                set_split(tx, *image, *aspect, *split)?;
            }
            Ok(())
        })
    }

    /// The rows of some images, in the order asked for; numbers that the project does not know are left out.
    pub fn images(&self, ids: &[ImageId]) -> Result<Vec<ImageRecord>, StoreError> {
        self.read("read images", |conn| {
            let rows = truth::some_images(conn, ids)?;
            let by_id: HashMap<ImageId, ImageRecord> =
                rows.into_iter().map(|image| (image.id, image)).collect();
            Ok(ids.iter().filter_map(|id| by_id.get(id).cloned()).collect())
        })
    }
}

/// Every row with the dataset's own ground truth, in the order of its path.
pub(super) fn all(conn: &Connection) -> rusqlite::Result<Vec<ImageRecord>> {
    rows_of(conn, None)
}

/// As [`all`], of some images: nothing is read of the others.
pub(super) fn some(conn: &Connection, ids: &[ImageId]) -> rusqlite::Result<Vec<ImageRecord>> {
    let numbers: Vec<i64> = ids.iter().map(|id| id.0).collect();
    rows_of(conn, Some(&value::to_json(&numbers)?))
}

/// Every row, or those of the numbers in a JSON list.
fn rows_of(conn: &Connection, wanted: Option<&str>) -> rusqlite::Result<Vec<ImageRecord>> {
    let chosen = |column: &str| match wanted {
        Some(_) => format!("WHERE {column} IN (SELECT value FROM json_each(?1))"),
        None => String::new(),
    };
    let (by_id, by_image) = (chosen("id"), chosen("image_id"));
    let wanted = || params_from_iter(wanted.iter());
    let mut images = conn
        .prepare_cached(&format!("SELECT * FROM image {by_id} ORDER BY path"))?
        .query_map(wanted(), from_row)?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    let position: HashMap<i64, usize> = images
        .iter()
        .enumerate()
        .map(|(idx, image)| (image.id.0, idx))
        .collect();
    let find = |row: &Row<'_>| -> rusqlite::Result<Option<usize>> {
        Ok(position.get(&row.get("image_id")?).copied())
    };

    let mut statement = conn.prepare_cached(&format!("SELECT * FROM truth {by_image}"))?;
    let mut rows = statement.query(wanted())?;
    while let Some(row) = rows.next()? {
        if let Some(idx) = find(row)? {
            *images[idx].truth.get_mut(value::aspect(row)?) = Some(truth(row)?);
        }
    }
    let mut statement = conn.prepare_cached(&format!("SELECT * FROM split {by_image}"))?;
    let mut rows = statement.query(wanted())?;
    while let Some(row) = rows.next()? {
        if let Some(idx) = find(row)? {
            *images[idx].split.get_mut(value::aspect(row)?) = Some(value::split(row)?);
        }
    }
    let mut statement =
        conn.prepare_cached(&format!("SELECT * FROM tag {by_image} ORDER BY tag"))?;
    let mut rows = statement.query(wanted())?;
    while let Some(row) = rows.next()? {
        if let Some(idx) = find(row)? {
            images[idx].tags.push(row.get("tag")?);
        }
    }
    Ok(images)
}

/// Adds a row and answers its number; `record.id` is not looked at, and tags go another way.
pub(super) fn insert(conn: &Connection, record: &ImageRecord) -> rusqlite::Result<ImageId> {
    conn.prepare_cached(
        "INSERT INTO image (path, state, reason, prompt, prompt_source, imported_tags)
         VALUES (?1, 'missing', '', '', '', '[]')",
    )?
    .execute([&record.path])?;
    let id = ImageId(conn.last_insert_rowid());
    update(conn, id, record)?;
    Ok(id)
}

/// Overwrites everything of a row but its tags.
pub(super) fn update(conn: &Connection, id: ImageId, record: &ImageRecord) -> rusqlite::Result<()> {
    conn.prepare_cached(
        "UPDATE image SET path = ?2, prompt = ?3, prompt_source = ?4, generator = ?5, style = ?6
         WHERE id = ?1",
    )?
    .execute((
        id.0,
        &record.path,
        &record.prompt,
        &record.prompt_source,
        &record.generator,
        &record.style,
    ))?;
    set_file(conn, id, &record.file)?;
    for aspect in Aspect::ALL {
        if let Some(truth) = record.truth.get(aspect) {
            conn.prepare_cached("INSERT OR REPLACE INTO truth VALUES (?1, ?2, ?3, ?4, ?5)")?
                .execute((id.0, aspect.name(), truth.mos, truth.std, truth.num_ratings))?;
        }
        if let Some(split) = record.split.get(aspect) {
            set_split(conn, id, aspect, *split)?;
        }
    }
    Ok(())
}

fn set_split(
    conn: &Connection,
    image: ImageId,
    aspect: Aspect,
    split: Split,
) -> rusqlite::Result<()> {
    conn.prepare_cached("INSERT OR REPLACE INTO split VALUES (?1, ?2, ?3)")?
        .execute((image.0, aspect.name(), split.name()))?;
    Ok(())
}

/// Puts a tag on; answers whether that changed anything.
pub(super) fn add_tag(conn: &Connection, image: ImageId, tag: &str) -> rusqlite::Result<bool> {
    let mut statement =
        conn.prepare_cached("INSERT OR IGNORE INTO tag (image_id, tag) VALUES (?1, ?2)")?;
    Ok(statement.execute((image.0, tag))? > 0)
}

/// Takes a tag off; answers whether that changed anything.
pub(super) fn remove_tag(conn: &Connection, image: ImageId, tag: &str) -> rusqlite::Result<bool> {
    let mut statement = conn.prepare_cached("DELETE FROM tag WHERE image_id = ?1 AND tag = ?2")?;
    Ok(statement.execute((image.0, tag))? > 0)
}

/// Tags that imports have brought so far, by image.
pub(super) fn imported_tags(conn: &Connection) -> rusqlite::Result<HashMap<ImageId, Vec<String>>> {
    conn.prepare_cached("SELECT id, imported_tags FROM image")?
        .query_map((), |row| {
            Ok((ImageId(row.get("id")?), value::json(row, "imported_tags")?))
        })?
        .collect()
}

pub(super) fn set_imported_tags(
    conn: &Connection,
    image: ImageId,
    tags: &[String],
) -> rusqlite::Result<()> {
    conn.prepare_cached("UPDATE image SET imported_tags = ?2 WHERE id = ?1")?
        .execute((image.0, value::to_json(&tags)?))?;
    Ok(())
}

/// Writes the state of a row's file.
pub(super) fn set_file(
    conn: &Connection,
    image: ImageId,
    file: &FileState,
) -> rusqlite::Result<()> {
    let word = match file {
        FileState::Present { .. } => "present",
        FileState::Missing { .. } => "missing",
        FileState::Unreadable { .. } => "unreadable",
    };
    let size = match file {
        FileState::Present { width, height, .. } => Some((*width, *height)),
        FileState::Missing { .. } | FileState::Unreadable { .. } => None,
    };
    conn.prepare_cached(
        "UPDATE image SET state = ?2, hash = ?3, width = ?4, height = ?5, reason = ?6 WHERE id = ?1",
    )?
    .execute((
        image.0,
        word,
        file.hash().map(|hash| hash.0),
        size.map(|size| size.0),
        size.map(|size| size.1),
        file.reason(),
    ))?;
    Ok(())
}

/// The state of one row's file; `None` where the project has no such row.
pub(super) fn file(conn: &Connection, image: ImageId) -> rusqlite::Result<Option<FileState>> {
    conn.prepare_cached("SELECT state, hash, width, height, reason FROM image WHERE id = ?1")?
        .query_row([image.0], file_state)
        .optional()
}

/// Refuses a row that stands for another picture than the one that was looked at.
pub(super) fn check_seen(
    conn: &Connection,
    image: ImageId,
    seen: ContentHash,
) -> Result<(), Fault> {
    let held = file(conn, image)?.ok_or(StoreError::Unknown {
        noun: "image",
        id: image.0,
    })?;
    match held.hash() == Some(seen) {
        true => Ok(()),
        false => Err(StoreError::Changed { image }.into()),
    }
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<ImageRecord> {
    Ok(ImageRecord {
        id: ImageId(row.get("id")?),
        path: row.get("path")?,
        file: file_state(row)?,
        prompt: row.get("prompt")?,
        prompt_source: row.get("prompt_source")?,
        generator: row.get("generator")?,
        style: row.get("style")?,
        tags: Vec::new(),
        truth: AspectMap::default(),
        split: AspectMap::default(),
    })
}

fn file_state(row: &Row<'_>) -> rusqlite::Result<FileState> {
    let state: String = row.get("state")?;
    let reason: Option<String> = row.get("reason")?;
    let reason = reason.unwrap_or_default();
    Ok(match state.as_str() {
        "present" => FileState::Present {
            hash: ContentHash(row.get("hash")?),
            width: row.get("width")?,
            height: row.get("height")?,
        },
        "missing" => FileState::Missing { reason },
        _ => FileState::Unreadable { reason },
    })
}

fn truth(row: &Row<'_>) -> rusqlite::Result<Truth> {
    Ok(Truth {
        mos: row.get("mos")?,
        std: row.get("std")?,
        num_ratings: row.get("num_ratings")?,
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::World;
    use super::super::testing::batch;
    use super::super::testing::missing;
    use super::super::testing::present;
    use super::super::testing::row;
    use super::*;

    #[test]
    fn states_of_files_are_kept_with_their_reason() {
        let mut world = World::with_images(3);
        let ids: Vec<ImageId> = (1..=3).map(ImageId).collect();
        let unreadable = FileState::Unreadable {
            reason: "cut off after 12 bytes: copy it again".to_owned(),
        };
        let states = [
            (ids[0], missing()),
            (ids[1], unreadable.clone()),
            (ids[2], present(9)),
        ];
        world.project.update_file_states(&states).unwrap();
        world.reopen();
        let images = world.project.images(&ids).unwrap();
        let files: Vec<&FileState> = images.iter().map(|image| &image.file).collect();
        assert_eq!(files, [&missing(), &unreadable, &present(9)]);
    }

    #[test]
    fn lists_are_kept_by_image_and_not_by_file_name() {
        let mut world = World::empty();
        let mut twins = batch(0);
        twins.rows = vec![
            row("mj/0001.png", present(1)),
            row("sd/0001.png", present(2)),
        ];
        world.project.import(&twins, 5).unwrap();
        let lists = [
            (ImageId(1), Aspect::Quality, Split::Train),
            (ImageId(2), Aspect::Quality, Split::Test),
        ];
        world.project.set_splits(&lists).unwrap();
        let moved = (ImageId(1), Aspect::Quality, Split::Val);
        world.project.set_splits(&[moved]).unwrap();
        // All or nothing: the first of these two is fine.
        let unknown = [
            (ImageId(2), Aspect::Quality, Split::Val),
            (ImageId(99), Aspect::Quality, Split::Val),
        ];
        world.project.set_splits(&unknown).unwrap_err();
        world.reopen();
        let images = world.project.images(&[ImageId(1), ImageId(2)]).unwrap();
        let splits: Vec<Option<Split>> = images
            .iter()
            .map(|image| *image.split.get(Aspect::Quality))
            .collect();
        assert_eq!(splits, [Some(Split::Val), Some(Split::Test)]);
        assert_eq!(*images[0].split.get(Aspect::Correspondence), None);
    }

    #[test]
    fn some_images_are_as_they_are_among_all_and_read_through_their_index() {
        let mut world = World::with_images(5);
        let lists = [(ImageId(2), Aspect::Quality, Split::Test)];
        world.project.set_splits(&lists).unwrap();
        world.project.set_tag(&[ImageId(2)], "mine", true).unwrap();
        let all = world.project.catalog().unwrap().images;
        let some = world.project.images(&[ImageId(2), ImageId(5)]).unwrap();
        assert_eq!(some, [all[1].clone(), all[4].clone()]);
        let plan: Vec<String> = ["image", "truth", "split", "tag"]
            .iter()
            .map(|table| {
                let column = if *table == "image" { "id" } else { "image_id" };
                let sql = format!(
                    "EXPLAIN QUERY PLAN SELECT * FROM {table}
                     WHERE {column} IN (SELECT value FROM json_each('[2]'))"
                );
                let conn = &world.project.conn;
                conn.query_row(&sql, (), |row| row.get("detail")).unwrap()
            })
            .collect();
        for detail in plan {
            assert!(detail.starts_with("SEARCH"), "{detail}");
        }
    }

    #[test]
    fn images_come_in_the_order_asked_for() {
        let world = World::with_images(5);
        let ids = [ImageId(4), ImageId(99), ImageId(2)];
        let images = world.project.images(&ids).unwrap();
        let got: Vec<i64> = images.iter().map(|image| image.id.0).collect();
        assert_eq!(got, [4, 2]);
    }
}
