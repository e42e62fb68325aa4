//! Rows with the ground truth that is in use: the dataset's own, or what a study of the project came to.

use std::collections::HashMap;

use rusqlite::Connection;

use super::catalog;
use super::image;
use super::settings;
use super::study;
use crate::domain::Aspect;
use crate::domain::ContentHash;
use crate::domain::ImageId;
use crate::domain::ImageRecord;
use crate::domain::OpinionScale;
use crate::domain::StudyId;
use crate::domain::Truth;

/// Every row, in the order of its path. Under an aspect whose ground truth is a study's, pictures that nobody rated
/// there have none: opinions of two sources never stand in one column.
pub(super) fn all_images(conn: &Connection) -> rusqlite::Result<Vec<ImageRecord>> {
    let mut images = image::all(conn)?;
    let settings = settings::get(conn)?;
    // All opinions at once: the many look-ups of `some_images` would take longer here.
    for (aspect, study) in settings.ground_truth.iter() {
        let Some(study) = study else {
            continue;
        };
        let scale = catalog::info(conn)?.scale;
        let truths = truths(conn, *study, aspect, scale)?;
        for image in &mut images {
            let truth = image.file.hash().and_then(|hash| truths.get(&hash));
            *image.truth.get_mut(aspect) = truth.copied();
        }
    }
    Ok(images)
}

/// As [`all_images`], of some images: nothing is read of the others.
pub(super) fn some_images(
    conn: &Connection,
    ids: &[ImageId],
) -> rusqlite::Result<Vec<ImageRecord>> {
    let mut images = image::some(conn, ids)?;
    let settings = settings::get(conn)?;
    for (aspect, study) in settings.ground_truth.iter() {
        let Some(study) = study else {
            continue;
        };
        let scale = catalog::info(conn)?.scale;
        let own = study::method(conn, *study)?.scale();
        for image in &mut images {
            let opinion = match image.file.hash() {
                Some(hash) => study::one_mos(conn, *study, aspect, hash)?,
                None => None,
            };
            *image.truth.get_mut(aspect) = opinion.map(|opinion| opinion.on(own, scale));
        }
    }
    Ok(images)
}

/// A study's opinions on the project's scale.
fn truths(
    conn: &Connection,
    id: StudyId,
    aspect: Aspect,
    scale: OpinionScale,
) -> rusqlite::Result<HashMap<ContentHash, Truth>> {
    let own = study::method(conn, id)?.scale();
    let opinions = study::mos_of(conn, id, aspect)?;
    Ok(opinions
        .into_iter()
        .map(|opinion| (opinion.hash, opinion.on(own, scale)))
        .collect())
}
