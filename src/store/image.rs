//! Rows of the dataset: files, prompts, ground truth, splits and tags.

use std::collections::HashMap;

use rusqlite::Connection;
use rusqlite::OptionalExtension as _;
use rusqlite::Row;

use super::Project;
use super::StoreError;
use super::truth;
use super::value;
use crate::domain::Aspect;
use crate::domain::AspectMap;
use crate::domain::ContentHash;
use crate::domain::FileState;
use crate::domain::ImageId;
use crate::domain::ImageRecord;
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

    /// The rows of some images, in the order asked for; numbers that the project does not know are left out.
    pub fn images(&self, ids: &[ImageId]) -> Result<Vec<ImageRecord>, StoreError> {
        self.read("read images", |conn| {
            let all = truth::all_images(conn)?;
            let by_id: HashMap<ImageId, ImageRecord> =
                all.into_iter().map(|image| (image.id, image)).collect();
            Ok(ids.iter().filter_map(|id| by_id.get(id).cloned()).collect())
        })
    }
}

/// Every row with the dataset's own ground truth, in the order of its path.
pub(super) fn all(conn: &Connection) -> rusqlite::Result<Vec<ImageRecord>> {
    let mut images = conn
        .prepare_cached("SELECT * FROM image ORDER BY path")?
        .query_map((), from_row)?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    let position: HashMap<i64, usize> = images
        .iter()
        .enumerate()
        .map(|(idx, image)| (image.id.0, idx))
        .collect();
    let find = |row: &Row<'_>| -> rusqlite::Result<Option<usize>> {
        Ok(position.get(&row.get("image_id")?).copied())
    };

    let mut statement = conn.prepare_cached("SELECT * FROM truth")?;
    let mut rows = statement.query(())?;
    while let Some(row) = rows.next()? {
        if let Some(idx) = find(row)? {
            *images[idx].truth.get_mut(value::aspect(row)?) = Some(truth(row)?);
        }
    }
    let mut statement = conn.prepare_cached("SELECT * FROM split")?;
    let mut rows = statement.query(())?;
    while let Some(row) = rows.next()? {
        if let Some(idx) = find(row)? {
            *images[idx].split.get_mut(value::aspect(row)?) = Some(value::split(row)?);
        }
    }
    let mut statement = conn.prepare_cached("SELECT * FROM tag ORDER BY tag")?;
    let mut rows = statement.query(())?;
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
            conn.prepare_cached("INSERT OR REPLACE INTO split VALUES (?1, ?2, ?3)")?
                .execute((id.0, aspect.name(), split.name()))?;
        }
    }
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
    use super::super::testing::missing;
    use super::super::testing::present;
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
    fn images_come_in_the_order_asked_for() {
        let world = World::with_images(5);
        let ids = [ImageId(4), ImageId(99), ImageId(2)];
        let images = world.project.images(&ids).unwrap();
        let got: Vec<i64> = images.iter().map(|image| image.id.0).collect();
        assert_eq!(got, [4, 2]);
    }
}
