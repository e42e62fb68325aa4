//! Taking in what a reader of datasets hands over.
//!
//! Rows are matched by path, so importing the same dataset twice changes nothing. A row whose picture stands
//! under a new name (same content, old file gone) keeps its number, and with it everything said about it. What
//! an import does not say (an empty prompt, no ground truth) leaves what is known as it is.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::collections::HashSet;
use std::path::Path;

use rusqlite::Connection;

use super::Project;
use super::StoreError;
use super::catalog;
use super::description;
use super::error::Fault;
use super::image;
use crate::domain::Aspect;
use crate::domain::AspectMap;
use crate::domain::ContentHash;
use crate::domain::ConversationEntry;
use crate::domain::Description;
use crate::domain::DescriptionId;
use crate::domain::FileState;
use crate::domain::ImageId;
use crate::domain::ImageRecord;
use crate::domain::ImportBatch;
use crate::domain::ImportRow;
use crate::domain::ImportSummary;
use crate::domain::Origin;
use crate::domain::Problem;
use crate::domain::ProblemKind;
use crate::domain::ProjectInfo;
use crate::domain::Provenance;

impl Project {
    /// Takes a dataset in, as one transaction. `unix_time` is noted with the descriptions that come in.
    pub fn import(
        &mut self,
        batch: &ImportBatch,
        unix_time: i64,
    ) -> Result<ImportSummary, StoreError> {
        let home = self.home();
        self.write("import the dataset", |tx| {
            let images = image::all(tx)?;
            let info = catalog::info(tx)?;
            check_fits(&info, &images, batch)?;
            set_project(tx, batch, &home)?;
            import(tx, images, &info.root, batch, unix_time)
        })
    }
}

/// A row on its way in.
struct Pending {
    record: ImageRecord,
    /// Tags of this import.
    tags: Vec<String>,
    /// Whether this import has the row.
    is_listed: bool,
    is_changed: bool,
}

/// One dataset and one scale a project. The same dataset may come from a new place, the same folder with a table.
fn check_fits(
    info: &ProjectInfo,
    images: &[ImageRecord],
    batch: &ImportBatch,
) -> Result<(), StoreError> {
    if images.is_empty() {
        return Ok(());
    }
    let is_same = info.root == batch.root
        || info.dataset == batch.dataset && is_moved(&info.root, images, batch);
    if !is_same {
        return Err(StoreError::OtherDataset {
            held: info.dataset.clone(),
            held_root: info.root.clone(),
            offered: batch.dataset.clone(),
            offered_root: batch.root.clone(),
        });
    }
    let has_truth = |aspect| images.iter().any(|image| image.mos(aspect).is_some());
    if info.scale != batch.scale && Aspect::ALL.into_iter().any(has_truth) {
        return Err(StoreError::OtherScale {
            held: info.scale,
            offered: batch.scale,
        });
    }
    Ok(())
}

/// Whether a dataset of the same name is the same one at another place: what was imported lies no longer where it was,
/// or a picture has the same bytes under the same path. `images` is a common name for a folder.
fn is_moved(old_root: &str, images: &[ImageRecord], batch: &ImportBatch) -> bool {
    let held: HashMap<&str, ContentHash> = images
        .iter()
        .filter_map(|image| Some((image.path.as_str(), image.file.hash()?)))
        .collect();
    let is_held = |row: &ImportRow| {
        let hash = row.file.hash();
        hash.is_some() && held.get(row.path.as_str()).copied() == hash
    };
    let is_there = |image: &ImageRecord| Path::new(old_root).join(&image.path).exists();
    batch.rows.iter().any(is_held) || !images.iter().any(is_there)
}

fn set_project(conn: &Connection, batch: &ImportBatch, home: &str) -> rusqlite::Result<()> {
    conn.execute(
        "UPDATE project SET dataset = ?1, layout = ?2, root = ?3, home = ?4, scale_min = ?5, scale_max = ?6",
        (
            &batch.dataset,
            &batch.layout,
            &batch.root,
            home,
            batch.scale.min,
            batch.scale.max,
        ),
    )?;
    Ok(())
}

fn import(
    conn: &Connection,
    images: Vec<ImageRecord>,
    old_root: &str,
    batch: &ImportBatch,
    unix_time: i64,
) -> Result<ImportSummary, Fault> {
    let mut problems = batch.problems.clone();
    let mut pending = merge(images, old_root, batch);
    let by_name = names(&pending);
    set_splits(&mut pending, &by_name, batch, &mut problems);
    let changed = save(conn, &mut pending)?;
    let descriptions = add_conversations(
        conn,
        &pending,
        &by_name,
        &batch.conversations,
        unix_time,
        &mut problems,
    )?;

    let listed = || pending.iter().filter(|row| row.is_listed);
    let count =
        |test: fn(&FileState) -> bool| listed().filter(|row| test(&row.record.file)).count();
    Ok(ImportSummary {
        rows: listed().count(),
        with_file: count(FileState::is_present),
        missing: count(|file| matches!(file, FileState::Missing { .. })),
        unreadable: count(|file| matches!(file, FileState::Unreadable { .. })),
        rejected: problems
            .iter()
            .filter(|problem| problem.kind == ProblemKind::Rejected)
            .count(),
        changed,
        descriptions,
        problems,
    })
}

/// The project's rows with those of the import laid over them; new ones have number 0.
fn merge(images: Vec<ImageRecord>, old_root: &str, batch: &ImportBatch) -> Vec<Pending> {
    let mut pending: Vec<Pending> = images
        .into_iter()
        .map(|record| Pending {
            record,
            tags: Vec::new(),
            is_listed: false,
            is_changed: false,
        })
        .collect();
    let mut by_path: HashMap<String, usize> = pending
        .iter()
        .enumerate()
        .map(|(idx, row)| (row.record.path.clone(), idx))
        .collect();
    let listed: HashSet<&str> = batch.rows.iter().map(|row| row.path.as_str()).collect();
    let mut renamed = left_behind(&pending, &listed, old_root, &batch.root);

    for row in &batch.rows {
        let known = by_path
            .get(&row.path)
            .copied()
            .or_else(|| renamed.remove(&row.file.hash()?));
        let idx = known.unwrap_or_else(|| {
            pending.push(empty(&row.path));
            pending.len() - 1
        });
        by_path.insert(row.path.clone(), idx);
        lay_over(&mut pending[idx], row);
    }
    pending
}

/// Rows by content that the import does not name and whose file is gone: a new path of that content is a move.
fn left_behind(
    pending: &[Pending],
    listed: &HashSet<&str>,
    old_root: &str,
    new_root: &str,
) -> HashMap<ContentHash, usize> {
    let is_gone = |path: &str| {
        [old_root, new_root]
            .iter()
            .all(|root| !Path::new(root).join(path).exists())
    };
    pending
        .iter()
        .enumerate()
        .filter(|(_, row)| !listed.contains(row.record.path.as_str()))
        .filter_map(|(idx, row)| Some((row.record.file.hash()?, idx)))
        .filter(|(_, idx)| is_gone(&pending[*idx].record.path))
        .collect()
}

fn empty(path: &str) -> Pending {
    Pending {
        record: ImageRecord {
            id: ImageId(0),
            path: path.to_owned(),
            file: FileState::Missing {
                reason: String::new(),
            },
            prompt: String::new(),
            prompt_source: String::new(),
            generator: None,
            style: None,
            tags: Vec::new(),
            truth: AspectMap::default(),
            split: AspectMap::default(),
        },
        tags: Vec::new(),
        is_listed: false,
        is_changed: true,
    }
}

fn lay_over(pending: &mut Pending, row: &ImportRow) {
    let before = pending.record.clone();
    let record = &mut pending.record;
    record.path.clone_from(&row.path);
    record.file = row.file.clone();
    if !row.prompt.is_empty() {
        record.prompt.clone_from(&row.prompt);
        record.prompt_source.clone_from(&row.prompt_source);
    }
    record.generator = row.generator.clone().or(record.generator.take());
    record.style = row.style.clone().or(record.style.take());
    for aspect in Aspect::ALL {
        let truth = record.truth.get_mut(aspect);
        *truth = row.truth.get(aspect).or(*truth);
        let split = record.split.get_mut(aspect);
        *split = row.split.get(aspect).or(*split);
    }
    pending.tags.clone_from(&row.tags);
    pending.is_listed = true;
    pending.is_changed |= pending.record != before;
}

/// Rows by file name: several where the same name stands in several folders.
fn names(pending: &[Pending]) -> HashMap<String, Vec<usize>> {
    let mut names: HashMap<String, Vec<usize>> = HashMap::new();
    for (idx, row) in pending.iter().enumerate() {
        let name = row.record.file_name().to_owned();
        names.entry(name).or_default().push(idx);
    }
    names
}

fn set_splits(
    pending: &mut [Pending],
    by_name: &HashMap<String, Vec<usize>>,
    batch: &ImportBatch,
    problems: &mut Vec<Problem>,
) {
    let mut strays = Strays::default();
    for entry in &batch.splits {
        let source = format!("{} {} list", entry.aspect, entry.split);
        let Some(idx) = strays.find(by_name, &entry.file_name, &source) else {
            continue;
        };
        let row = &mut pending[idx];
        let split = row.record.split.get_mut(entry.aspect);
        row.is_changed |= *split != Some(entry.split);
        *split = Some(entry.split);
    }
    problems.extend(strays.problems());
}

/// Writes new and changed rows and their tags; answers how many there were.
fn save(conn: &Connection, pending: &mut [Pending]) -> rusqlite::Result<usize> {
    let imported = image::imported_tags(conn)?;
    let mut changed = 0;
    for row in pending.iter_mut() {
        if row.record.id.0 == 0 {
            row.record.id = image::insert(conn, &row.record)?;
        } else if row.is_changed {
            image::update(conn, row.record.id, &row.record)?;
        }
        let mut seen = imported.get(&row.record.id).cloned().unwrap_or_default();
        let num_seen = seen.len();
        for tag in &row.tags {
            if !seen.contains(tag) {
                image::add_tag(conn, row.record.id, tag)?;
                seen.push(tag.clone());
            }
        }
        if seen.len() > num_seen {
            row.is_changed = true;
            image::set_imported_tags(conn, row.record.id, &seen)?;
        }
        changed += usize::from(row.is_changed);
    }
    Ok(changed)
}

/// What makes two imported conversations the same one.
type ConversationKey = (ImageId, Aspect, Origin, String, Option<String>);

fn add_conversations(
    conn: &Connection,
    pending: &[Pending],
    by_name: &HashMap<String, Vec<usize>>,
    entries: &[ConversationEntry],
    unix_time: i64,
    problems: &mut Vec<Problem>,
) -> rusqlite::Result<usize> {
    if entries.is_empty() {
        return Ok(0);
    }
    let mut known: HashSet<ConversationKey> = description::all(conn)?
        .into_iter()
        .map(|d| (d.image, d.aspect, d.origin, d.text, d.answer))
        .collect();
    let mut strays = Strays::default();
    let mut added = 0;
    for entry in entries {
        let Some(idx) = strays.find(by_name, &entry.file_name, &entry.source) else {
            continue;
        };
        let description = imported(pending[idx].record.id, entry, unix_time);
        let key = (
            description.image,
            description.aspect,
            description.origin,
            description.text.clone(),
            description.answer.clone(),
        );
        if known.insert(key) {
            description::insert(conn, &description)?;
            added += 1;
        }
    }
    problems.extend(strays.problems());
    Ok(added)
}

fn imported(image: ImageId, entry: &ConversationEntry, unix_time: i64) -> Description {
    Description {
        id: DescriptionId(0),
        image,
        aspect: entry.aspect,
        origin: entry.origin,
        request: entry.request.clone(),
        text: entry.description.clone(),
        question: entry.question.clone(),
        answer: entry.answer.clone(),
        made: Provenance {
            model: None,
            preset: None,
            settings: serde_json::json!({ "imported_from": entry.source }),
            seed: 0,
            program_version: env!("CARGO_PKG_VERSION").to_owned(),
            unix_time,
        },
    }
}

/// File names that could not be matched to one row, gathered so that each list gives one problem, not thousands.
#[derive(Default)]
struct Strays {
    unknown: BTreeMap<String, Vec<String>>,
    ambiguous: BTreeMap<String, Vec<String>>,
}

impl Strays {
    fn find(
        &mut self,
        by_name: &HashMap<String, Vec<usize>>,
        name: &str,
        source: &str,
    ) -> Option<usize> {
        let list = match by_name.get(name).map(Vec::as_slice) {
            Some([idx]) => return Some(*idx),
            Some(_) => &mut self.ambiguous,
            None => &mut self.unknown,
        };
        list.entry(source.to_owned())
            .or_default()
            .push(name.to_owned());
        None
    }

    fn problems(self) -> impl Iterator<Item = Problem> {
        let words = |what: &'static str| {
            move |(file, names): (String, Vec<String>)| Problem {
                kind: ProblemKind::Warning,
                message: format!(
                    "{} entries left out, e.g. {}: {what}",
                    names.len(),
                    names.first().map_or("", String::as_str)
                ),
                file,
                line: None,
            }
        };
        let unknown =
            words("no image of the dataset has this file name; check that the file belongs to it");
        let ambiguous =
            words("several images of the dataset have this file name; give each its own");
        self.unknown
            .into_iter()
            .map(unknown)
            .chain(self.ambiguous.into_iter().map(ambiguous))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::World;
    use super::super::testing::batch;
    use super::super::testing::conversation;
    use super::super::testing::missing;
    use super::super::testing::present;
    use super::super::testing::row;
    use super::*;
    use crate::domain::OpinionScale;
    use crate::domain::Split;
    use crate::domain::SplitEntry;

    /// A dataset with splits, tags, conversations and a missing file.
    fn full(num: usize) -> ImportBatch {
        let mut batch = batch(num);
        batch.rows[0].file = missing();
        batch.rows[1].tags = vec!["noise".to_owned(), "blur".to_owned()];
        for idx in 0..num {
            let file_name = format!("{idx}.jpg");
            batch.splits.push(SplitEntry {
                file_name: file_name.clone(),
                aspect: Aspect::Quality,
                split: if idx % 5 == 0 {
                    Split::Test
                } else {
                    Split::Train
                },
            });
            for aspect in Aspect::ALL {
                batch.conversations.push(conversation(
                    &file_name,
                    aspect,
                    &format!("{aspect} of {idx}"),
                ));
            }
        }
        batch
    }

    #[test]
    fn everything_of_a_dataset_comes_in() {
        let mut world = World::empty();
        let summary = world.project.import(&full(10), 5).unwrap();
        let expected = ImportSummary {
            rows: 10,
            with_file: 9,
            missing: 1,
            changed: 10,
            descriptions: 30,
            ..ImportSummary::default()
        };
        assert_eq!(summary, expected);
        let catalog = world.project.catalog().unwrap();
        assert_eq!(catalog.info.dataset, "Test set");
        assert_eq!(catalog.images[1].tags, ["blur", "noise"]);
        assert_eq!(
            *catalog.images[5].split.get(Aspect::Quality),
            Some(Split::Test)
        );
        assert_eq!(*catalog.images[5].split.get(Aspect::Authenticity), None);
        assert_eq!(catalog.images[5].mos(Aspect::Quality), Some(2.5));
        assert_eq!(catalog.descriptions[4].made.unix_time, 5);
    }

    #[test]
    fn importing_twice_changes_nothing() {
        let mut world = World::empty();
        world.project.import(&full(10), 5).unwrap();
        let before = world.project.catalog().unwrap();
        let again = world.project.import(&full(10), 6).unwrap();
        assert_eq!((again.changed, again.descriptions, again.rows), (0, 0, 10));
        assert_eq!(world.project.catalog().unwrap(), before);
    }

    #[test]
    fn a_tag_that_was_taken_off_stays_off() {
        let mut world = World::empty();
        world.project.import(&full(2), 5).unwrap();
        world.project.set_tag(&[ImageId(2)], "blur", false).unwrap();
        let again = world.project.import(&full(2), 6).unwrap();
        assert_eq!(again.changed, 0);
        assert_eq!(world.project.catalog().unwrap().images[1].tags, ["noise"]);
    }

    #[test]
    fn a_poorer_import_takes_nothing_away() {
        let mut world = World::empty();
        world.project.import(&full(3), 5).unwrap();
        let before = world.project.catalog().unwrap();
        let mut folder = batch(3);
        folder.rows[0].file = missing();
        for row in &mut folder.rows {
            row.prompt = String::new();
            row.prompt_source = "none".to_owned();
            row.generator = None;
            row.truth = AspectMap::default();
        }
        assert_eq!(world.project.import(&folder, 6).unwrap().changed, 0);
        assert_eq!(world.project.catalog().unwrap().images, before.images);
    }

    #[test]
    fn a_changed_row_is_counted_and_written() {
        let mut world = World::with_images(3);
        let mut changed = batch(3);
        changed.rows[2].prompt = "another prompt".to_owned();
        assert_eq!(world.project.import(&changed, 6).unwrap().changed, 1);
        let images = world.project.catalog().unwrap().images;
        assert_eq!(images[2].prompt, "another prompt");
    }

    #[test]
    fn a_renamed_picture_keeps_its_number() {
        let mut world = World::with_images(3);
        let mut renamed = batch(3);
        renamed.rows[1].path = "moved/to/b.jpg".to_owned();
        let summary = world.project.import(&renamed, 6).unwrap();
        assert_eq!((summary.rows, summary.changed), (3, 1));
        let images = world.project.catalog().unwrap().images;
        assert_eq!(images.len(), 3);
        assert_eq!(
            (images[2].path.as_str(), images[2].id),
            ("moved/to/b.jpg", ImageId(2))
        );
    }

    #[test]
    fn equal_pictures_of_two_names_are_two_rows() {
        let mut world = World::empty();
        let mut twins = batch(0);
        twins.rows = vec![row("a.jpg", present(1)), row("b.jpg", present(1))];
        assert_eq!(world.project.import(&twins, 5).unwrap().rows, 2);
        assert_eq!(world.project.import(&twins, 5).unwrap().changed, 0);
    }

    #[test]
    fn names_that_fit_no_row_or_two_rows_are_told_once_a_list() {
        let mut world = World::empty();
        let mut batch = batch(0);
        batch.rows = vec![row("a/x.jpg", present(1)), row("b/x.jpg", present(2))];
        for name in ["x.jpg", "nowhere.jpg", "nowhere either.jpg"] {
            batch
                .conversations
                .push(conversation(name, Aspect::Quality, name));
        }
        let summary = world.project.import(&batch, 5).unwrap();
        assert_eq!(summary.descriptions, 0);
        let messages: Vec<&str> = summary
            .problems
            .iter()
            .map(|problem| problem.message.as_str())
            .collect();
        assert_eq!(messages.len(), 2);
        assert!(messages[0].starts_with("2 entries left out, e.g. nowhere.jpg"));
        assert!(messages[1].contains("several images"));
    }

    #[test]
    fn another_dataset_or_scale_is_refused_and_changes_nothing() {
        let mut world = World::with_images(2);
        let before = world.project.catalog().unwrap();
        let mut other = batch(2);
        other.dataset = "Other".to_owned();
        other.root = "/other".to_owned();
        let error = world.project.import(&other, 5).unwrap_err();
        assert!(matches!(error, StoreError::OtherDataset { .. }), "{error}");
        let mut other = batch(2);
        other.scale = OpinionScale { min: 1.0, max: 5.0 };
        let error = world.project.import(&other, 5).unwrap_err();
        assert!(error.to_string().contains("0-5"), "{error}");
        assert_eq!(world.project.catalog().unwrap(), before);
    }

    #[test]
    fn another_dataset_in_a_folder_of_the_same_name_is_refused() {
        let mut world = World::empty();
        let place = |name: &str| world.folder.path().join(name).join("images");
        let (first, second) = (place("exp1"), place("exp2"));
        for folder in [&first, &second] {
            std::fs::create_dir_all(folder).unwrap();
            std::fs::write(folder.join("a.jpg"), "a picture").unwrap();
        }
        let at = |root: &Path, seed| {
            let mut batch = batch(0);
            batch.dataset = "images".to_owned();
            batch.root = root.to_string_lossy().into_owned();
            batch.rows = vec![row("a.jpg", present(seed)), row("b.jpg", missing())];
            batch
        };
        world.project.import(&at(&first, 1), 5).unwrap();
        let before = world.project.catalog().unwrap();
        let error = world.project.import(&at(&second, 2), 6).unwrap_err();
        assert!(matches!(error, StoreError::OtherDataset { .. }), "{error}");
        assert_eq!(world.project.catalog().unwrap(), before);
        // A copy of the dataset is the dataset, and so is one that was moved and whose pictures were edited.
        world.project.import(&at(&second, 1), 7).unwrap();
        std::fs::remove_dir_all(&second).unwrap();
        world.project.import(&at(&first, 3), 8).unwrap();
        let images = world.project.catalog().unwrap().images;
        assert_eq!(images[0].file, present(3));
    }

    #[test]
    fn three_thousand_rows_come_in_under_two_seconds() {
        let mut world = World::empty();
        let batch = full(3_000);
        let start = std::time::Instant::now();
        let summary = world.project.import(&batch, 5).unwrap();
        assert_eq!((summary.changed, summary.descriptions), (3_000, 9_000));
        let seconds = start.elapsed().as_secs_f64();
        println!("3,000 rows and 9,000 descriptions: {seconds:.2} s");
        // The limit is for an optimised build on a machine that others use too.
        assert!(cfg!(debug_assertions) || seconds < 2.0, "{seconds} s");
    }
}
