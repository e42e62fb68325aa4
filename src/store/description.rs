//! Descriptions: one committed row each.

use rusqlite::Connection;
use rusqlite::Row;

use super::Project;
use super::StoreError;
use super::error::Fault;
use super::image;
use super::value;
use crate::domain::ContentHash;
use crate::domain::Description;
use crate::domain::DescriptionId;
use crate::domain::ImageId;

impl Project {
    /// Saves a description and answers it with its number.
    pub fn add_description(
        &mut self,
        description: &Description,
    ) -> Result<Description, StoreError> {
        self.write("save a description", |tx| insert_checked(tx, description))
    }

    /// As [`Project::add_description`], of a picture that was looked at: refused where the row stands for another one
    /// by now.
    pub fn add_description_of(
        &mut self,
        description: &Description,
        seen: ContentHash,
    ) -> Result<Description, StoreError> {
        self.write("save a description", |tx| {
            image::check_seen(tx, description.image, seen)?;
            insert_checked(tx, description)
        })
    }
}

/// Adds a row about an image that is there, and answers it with its number.
pub(super) fn insert_checked(
    conn: &Connection,
    description: &Description,
) -> Result<Description, Fault> {
    if image::file(conn, description.image)?.is_none() {
        return Err(StoreError::Unknown {
            noun: "image",
            id: description.image.0,
        }
        .into());
    }
    Ok(Description {
        id: insert(conn, description)?,
        ..description.clone()
    })
}

/// Adds a row and answers its number; `description.id` is not looked at.
pub(super) fn insert(
    conn: &Connection,
    description: &Description,
) -> rusqlite::Result<DescriptionId> {
    let made = &description.made;
    conn.prepare_cached(
        "INSERT INTO description (image_id, image_hash, aspect, origin, request, text, question, answer,
             model_name, model_sha256, preset, settings, seed, program_version, unix_time)
         VALUES (?1, (SELECT hash FROM image WHERE id = ?1), ?2, ?3, ?4, ?5, ?6, ?7,
             ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
    )?
    .execute((
        description.image.0,
        description.aspect.name(),
        description.origin.name(),
        &description.request,
        &description.text,
        &description.question,
        &description.answer,
        made.model.as_ref().map(|model| &model.name),
        made.model.as_ref().map(|model| &model.sha256),
        &made.preset,
        value::to_json(&made.settings)?,
        made.seed.cast_signed(),
        &made.program_version,
        made.unix_time,
    ))?;
    Ok(DescriptionId(conn.last_insert_rowid()))
}

/// Every description of the pictures as they are now, oldest first. Imported ones are about the dataset's
/// picture, whichever file stands for it; our own are about the bytes that were looked at.
pub(super) fn all(conn: &Connection) -> rusqlite::Result<Vec<Description>> {
    conn.prepare_cached(
        "SELECT description.* FROM description JOIN image ON image.id = image_id
         WHERE origin <> 'local' OR image_hash IS NULL OR image.hash IS NULL OR image_hash = image.hash
         ORDER BY description.id",
    )?
    .query_map((), from_row)?
    .collect()
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Description> {
    Ok(Description {
        id: DescriptionId(row.get("id")?),
        image: ImageId(row.get("image_id")?),
        aspect: value::aspect(row)?,
        origin: value::origin(row)?,
        request: row.get("request")?,
        text: row.get("text")?,
        question: row.get("question")?,
        answer: row.get("answer")?,
        made: value::provenance(row)?,
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::World;
    use super::super::testing::description;
    use super::super::testing::missing;
    use super::super::testing::present;
    use super::*;

    #[test]
    fn a_description_comes_back_word_for_word() {
        let mut world = World::with_images(1);
        let text = "Sharp, but the left \u{201c}hand\u{201d} has six fingers.\n\u{4e94}";
        let saved = world
            .project
            .add_description(&description(1, text))
            .unwrap();
        assert_ne!(saved.id, DescriptionId(0));
        world.reopen();
        assert_eq!(world.project.catalog().unwrap().descriptions, [saved]);
    }

    #[test]
    fn describing_again_keeps_the_former_description() {
        let mut world = World::with_images(1);
        for _ in 0..2 {
            world
                .project
                .add_description(&description(1, "same"))
                .unwrap();
        }
        assert_eq!(world.project.catalog().unwrap().descriptions.len(), 2);
    }

    #[test]
    fn an_unknown_image_cannot_be_described() {
        let mut world = World::with_images(1);
        let error = world
            .project
            .add_description(&description(7, "x"))
            .unwrap_err();
        assert!(
            matches!(error, StoreError::Unknown { id: 7, .. }),
            "{error}"
        );
    }

    #[test]
    fn words_about_a_picture_that_the_row_no_longer_stands_for_are_not_saved() {
        let mut world = World::with_images(2);
        let seen = present(0).hash().unwrap();
        let draft = description(1, "what was there");
        for now in [present(77), missing()] {
            world
                .project
                .update_file_states(&[(ImageId(1), now)])
                .unwrap();
            let error = world.project.add_description_of(&draft, seen).unwrap_err();
            assert!(matches!(error, StoreError::Changed { .. }), "{error}");
        }
        let states = [(ImageId(1), present(0))];
        world.project.update_file_states(&states).unwrap();
        world.project.add_description_of(&draft, seen).unwrap();
        assert_eq!(world.project.catalog().unwrap().descriptions.len(), 1);
    }

    #[test]
    fn our_words_about_another_picture_are_not_shown() {
        let mut world = World::with_images(1);
        world
            .project
            .add_description(&description(1, "old"))
            .unwrap();
        let shown = |world: &World| world.project.catalog().unwrap().descriptions.len();
        let states = |file| [(ImageId(1), file)];
        world
            .project
            .update_file_states(&states(present(77)))
            .unwrap();
        assert_eq!(shown(&world), 0, "the file holds another picture now");
        world
            .project
            .update_file_states(&states(missing()))
            .unwrap();
        assert_eq!(shown(&world), 1, "what was said of the lost picture stays");
        world
            .project
            .update_file_states(&states(present(0)))
            .unwrap();
        assert_eq!(shown(&world), 1, "the picture is back");
    }
}
