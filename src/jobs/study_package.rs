//! Packages for raters at another machine, and votes that come back.
//!
//! A package is a project with one study, no ground truth, no scores and no votes, that carries its pictures' bytes
//! under names that say nothing. It is opened like any project; its pictures are laid out in its cache folder, and its
//! votes are saved into the package itself, so that the one file goes there and back.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

use crate::domain::AspectMap;
use crate::domain::Catalog;
use crate::domain::ContentHash;
use crate::domain::FileState;
use crate::domain::ImageRecord;
use crate::domain::ImportBatch;
use crate::domain::ImportRow;
use crate::domain::Study;
use crate::domain::StudyId;
use crate::domain::Vote;
use crate::jobs::context::JobContext;
use crate::jobs::error::JobError;
use crate::jobs::files_worker::unix_time;
use crate::jobs::home::make_parent;
use crate::jobs::message::Event;
use crate::jobs::message::JobReport;
use crate::jobs::store_worker::StoreHandle;
use crate::jobs::store_worker::file_of;
use crate::jobs::study;
use crate::media;
use crate::net;
use crate::store::MergedVotes;
use crate::store::Project;
use crate::store::StoreError;
use crate::store::cache_folder;

/// Layout word of a package.
const LAYOUT: &str = "study";

/// Folder of a package's pictures, below its cache folder.
const PICTURES: &str = "pictures";

/// Writes a study with its pictures as one file. A file that is there is never replaced: it may hold votes.
pub(super) fn pack(
    store: &StoreHandle,
    id: StudyId,
    out: &Path,
    context: &mut JobContext,
) -> Result<JobReport, JobError> {
    let (catalog, _) = store.snapshot()?;
    let study = catalog.study(id).filter(|study| !study.is_quick);
    let study = study.ok_or(JobError::NothingToPack)?;
    if out.exists() {
        return Err(StoreError::Exists {
            path: out.to_path_buf(),
        }
        .into());
    }
    let sources = sources(&catalog, study)?;
    make_parent(out)?;
    let part = part_of(out);
    let written = write(&part, &catalog, study, &sources, context);
    // Half a package is no package.
    let finished = written.and_then(|()| fs::rename(&part, out).map_err(file_error("name", out)));
    if finished.is_err() {
        for name in [part.clone(), beside(&part, "-wal"), beside(&part, "-shm")] {
            fs::remove_file(name).ok();
        }
    }
    finished?;
    Ok(JobReport {
        done: sources.len() as u64,
        summary: format!(
            "Packed {} with {} pictures: let raters open {} in Assay, and take their votes from it when it comes back",
            study.protocol.name,
            sources.len(),
            out.display()
        ),
        ..JobReport::default()
    })
}

/// Lays the pictures of a package out for decoding, where they are not. Any other project is left as it is.
pub(super) fn unpack(path: &Path, context: &mut JobContext) -> Result<(), JobError> {
    let mut project = Project::open(path)?;
    let packed = project.packed_pictures()?;
    if packed.is_empty() {
        return Ok(());
    }
    // Before anything is written: a package may come from anywhere.
    check_names(path, &packed)?;
    let folder = cache_folder(path).join(PICTURES);
    fs::create_dir_all(&folder).map_err(file_error("make the folder of pictures", &folder))?;
    let total = packed.len() as u64;
    for (done, (hash, name)) in packed.into_iter().enumerate() {
        context.progress(done as u64, total, "Unpacking pictures")?;
        let file = folder.join(&name);
        if media::hash_file(&file).is_ok_and(|held| held == hash) {
            continue;
        }
        let bytes = project.packed_picture(hash)?;
        if media::hash_bytes(&bytes) != hash {
            return Err(unfit(path, &name, "is not the one that its hash names"));
        }
        let part = part_of(&file);
        fs::write(&part, bytes).map_err(file_error("unpack a picture", &part))?;
        fs::rename(&part, &file).map_err(file_error("unpack a picture", &file))?;
    }
    let folder = std::path::absolute(&folder).unwrap_or(folder);
    project.note_root(&folder.to_string_lossy())?;
    Ok(())
}

/// Takes in the studies and votes of another file; each vote once, however often it comes.
pub(super) fn merge(
    store: &StoreHandle,
    path: &Path,
    context: &mut JobContext,
) -> Result<JobReport, JobError> {
    context.progress(0, 0, "Reading votes")?;
    let (_, pinned) = store.snapshot()?;
    let other = Project::open(path)?;
    let mut studies: Vec<(Study, Vec<Vote>)> = Vec::new();
    for study in other.studies()?.into_iter().filter(|study| !study.is_quick) {
        let votes = other.votes(study.id)?;
        studies.push((study, votes));
    }
    if studies.is_empty() {
        return Err(JobError::NoStudies {
            path: path.to_path_buf(),
        });
    }
    let merged = pinned.call(move |project, _| {
        let mut all = MergedVotes::default();
        for (study, votes) in &studies {
            let (_, merged) = project.merge_study(&study.protocol, study.created_at, votes)?;
            all.add(merged);
        }
        Ok(all)
    })?;
    store.call(study::refresh_all_truth)?;
    pinned.announce()?;
    if let Some(words) = study::twice_words(&merged) {
        context.events().send(Event::Notice(words));
    }
    Ok(study::merge_report(merged, path))
}

/// Refuses names that would lead out of the folder that pictures are unpacked into.
fn check_names(path: &Path, packed: &[(ContentHash, String)]) -> Result<(), JobError> {
    let is_plain = |name: &str| net::is_safe_name(name) && !name.contains(['/', '\\']);
    match packed.iter().find(|(_, name)| !is_plain(name)) {
        None => Ok(()),
        Some((_, name)) => Err(unfit(path, name, "has a name that is no plain file name")),
    }
}

fn unfit(path: &Path, picture: &str, reason: &str) -> JobError {
    JobError::Malformed {
        what: "the package",
        reason: format!(
            "its picture {picture:?} {reason}, so it was not unpacked; ask whoever made the package for a new one"
        ),
        path: path.to_path_buf(),
    }
}

/// A picture on its way into a package.
struct Packed<'a> {
    hash: ContentHash,
    record: &'a ImageRecord,
    file: PathBuf,
}

/// Where the study's pictures lie; all of them have to be there.
fn sources<'a>(catalog: &'a Catalog, study: &Study) -> Result<Vec<Packed<'a>>, JobError> {
    let by_hash: BTreeMap<ContentHash, &ImageRecord> = catalog
        .images
        .iter()
        .filter_map(|record| Some((record.file.hash()?, record)))
        .collect();
    let mut missing = Vec::new();
    let mut sources = Vec::new();
    for picture in &study.protocol.pictures {
        let Some(record) = by_hash.get(&picture.hash) else {
            missing.push(picture.path.clone());
            continue;
        };
        sources.push(Packed {
            hash: picture.hash,
            record,
            file: file_of(&catalog.info.root, &record.path),
        });
    }
    match missing.first() {
        None => Ok(sources),
        Some(first) => Err(JobError::CannotPack {
            missing: missing.len(),
            first: first.clone(),
        }),
    }
}

fn write(
    part: &Path,
    catalog: &Catalog,
    study: &Study,
    sources: &[Packed<'_>],
    context: &mut JobContext,
) -> Result<(), JobError> {
    // What a kill left behind is no package; it is made anew.
    fs::remove_file(part).ok();
    let mut project = Project::create(part)?;
    project.import(&batch(catalog, study, sources), unix_time())?;
    project.merge_study(&study.protocol, study.created_at, &[])?;
    for (done, source) in sources.iter().enumerate() {
        context.progress(done as u64, sources.len() as u64, "Packing pictures")?;
        let bytes = fs::read(&source.file).map_err(file_error("pack a picture", &source.file))?;
        if media::hash_bytes(&bytes) != source.hash {
            return Err(JobError::CannotPack {
                missing: 1,
                first: format!("{} (it has changed)", source.file.display()),
            });
        }
        project.pack_picture(source.hash, &blind_name(source), &bytes)?;
    }
    Ok(())
}

/// The rows of a package: the pictures with their prompts, and nothing that tells where they come from.
fn batch(catalog: &Catalog, study: &Study, sources: &[Packed<'_>]) -> ImportBatch {
    ImportBatch {
        dataset: study.protocol.name.clone(),
        layout: LAYOUT.to_owned(),
        root: String::new(),
        scale: catalog.info.scale,
        rows: sources.iter().map(row).collect(),
        splits: Vec::new(),
        conversations: Vec::new(),
        problems: Vec::new(),
    }
}

fn row(source: &Packed<'_>) -> ImportRow {
    let (width, height) = match source.record.file {
        FileState::Present { width, height, .. } => (width, height),
        FileState::Missing { .. } | FileState::Unreadable { .. } => (0, 0),
    };
    ImportRow {
        path: blind_name(source),
        file: FileState::Present {
            hash: source.hash,
            width,
            height,
        },
        prompt: source.record.prompt.clone(),
        prompt_source: LAYOUT.to_owned(),
        generator: None,
        style: None,
        tags: Vec::new(),
        truth: AspectMap::default(),
        split: AspectMap::default(),
    }
}

/// The content hash with the file's ending: names of datasets often tell the generator. An ending that not every
/// system takes (`.jpg?w=100`) is left away; the format is told from the content.
fn blind_name(source: &Packed<'_>) -> String {
    let name = source.record.file_name();
    let is_plain = |ending: &str| ending.chars().all(|sign| sign.is_ascii_alphanumeric());
    match name.rsplit_once('.') {
        Some((_, ending)) if is_plain(ending) && !ending.is_empty() => {
            format!("{}.{}", source.hash, ending.to_lowercase())
        }
        _ => source.hash.to_string(),
    }
}

fn part_of(file: &Path) -> PathBuf {
    beside(file, ".part")
}

fn beside(file: &Path, ending: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

fn file_error<'a>(
    action: &'static str,
    path: &'a Path,
) -> impl FnOnce(std::io::Error) -> JobError + 'a {
    move |source| JobError::File {
        action,
        source,
        path: path.to_path_buf(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crossbeam_channel::bounded;

    use super::*;
    use crate::jobs::context::EventSender;
    use crate::jobs::context::Register;
    use crate::jobs::message::JobId;

    /// Unpacks a package of one picture of that name, a folder deep in `home`.
    fn unpacked(home: &Path, name: &str, hash: ContentHash, bytes: &[u8]) -> Result<(), JobError> {
        let package = home.join("inbox").join("theirs.assay");
        fs::create_dir_all(home.join("inbox")).unwrap();
        let mut project = Project::create(&package).unwrap();
        project.pack_picture(hash, name, bytes).unwrap();
        drop(project);
        let (sender, _events) = bounded(100);
        let sender = EventSender::new(sender, Arc::new(|| {}));
        let mut context = JobContext::new(JobId(1), &Register::default(), sender);
        unpack(&package, &mut context)
    }

    fn pictures(home: &Path) -> PathBuf {
        cache_folder(&home.join("inbox").join("theirs.assay")).join(PICTURES)
    }

    #[test]
    fn a_package_never_writes_outside_its_folder() {
        let elsewhere = tempfile::tempdir().unwrap();
        let absolute = elsewhere.path().join("bashrc");
        let names = [
            "../../../bashrc",
            "..\\bashrc",
            "a/b.png",
            "..",
            absolute.to_str().unwrap(),
        ];
        for name in names {
            let home = tempfile::tempdir().unwrap();
            fs::write(home.path().join("bashrc"), "mine").unwrap();
            let bytes = b"theirs";
            let error = unpacked(home.path(), name, media::hash_bytes(bytes), bytes).unwrap_err();
            let words = error.to_string();
            assert!(words.contains("theirs.assay"), "{words}");
            assert!(words.contains(&format!("{name:?}")), "{words}");
            assert_eq!(fs::read(home.path().join("bashrc")).unwrap(), b"mine");
            assert!(!absolute.exists() && !pictures(home.path()).exists());
        }
    }

    #[test]
    fn a_packed_picture_of_other_content_is_not_unpacked() {
        let home = tempfile::tempdir().unwrap();
        let error = unpacked(home.path(), "a.png", media::hash_bytes(b"one"), b"another");
        let words = error.unwrap_err().to_string();
        assert!(
            words.contains("theirs.assay") && words.contains("a.png"),
            "{words}"
        );
        assert!(!pictures(home.path()).join("a.png").exists());
    }

    #[test]
    fn a_packed_picture_is_laid_out_under_its_name() {
        let home = tempfile::tempdir().unwrap();
        unpacked(home.path(), "a.png", media::hash_bytes(b"one"), b"one").unwrap();
        assert_eq!(
            fs::read(pictures(home.path()).join("a.png")).unwrap(),
            b"one"
        );
    }
}
