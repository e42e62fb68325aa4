//! From the names in a table to files on disk: where they are, what they are, and how a project names them.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::path::Component;
use std::path::Path;
use std::path::PathBuf;

use rayon::prelude::*;

use super::error::DatasetError;
use crate::domain::Interrupted;
use crate::domain::Problem;
use crate::domain::ProblemKind;
use crate::media;

/// Folders deeper than this are not looked into; a loop of links would never end.
const MAX_DEPTH: usize = 32;

/// Files that one chunk of parallel work holds: small enough that stopping is answered at once.
const CHUNK: usize = 64;

/// Where a dataset's files are.
#[derive(Debug)]
pub(super) struct Located {
    /// Folder that every relative path starts from.
    pub(super) root: PathBuf,
    /// Path relative to the root, `/` between parts, for each name.
    pub(super) relative: Vec<String>,
    /// The file, where there is one.
    pub(super) absolute: Vec<Option<PathBuf>>,
    /// Places of names that several files answer to, with what to do.
    pub(super) doubts: Vec<(usize, String)>,
}

/// Finds each name: as it stands, relative to `base`, or by its file name anywhere below `base`.
pub(super) fn locate(base: &Path, names: &[&str]) -> Located {
    let mut index = None;
    let mut doubts = Vec::new();
    let mut absolute = Vec::with_capacity(names.len());
    for (position, name) in names.iter().enumerate() {
        let there = normalise(&base.join(name));
        if there.is_file() {
            absolute.push(Some(there));
            continue;
        }
        let index = index.get_or_insert_with(|| Index::of(base));
        let candidates = index.find(file_name(name));
        if let [first, second, ..] = candidates.as_slice() {
            let message = format!(
                "{name} could be {} or {}, and the first was taken; name it with its folder",
                relative_to(base, first),
                relative_to(base, second)
            );
            doubts.push((position, message));
        }
        absolute.push(candidates.into_iter().next());
    }
    let root = absolute
        .iter()
        .flatten()
        .fold(base.to_owned(), |root, path| common_ancestor(&root, path));
    let folder = usual_folder(&root, absolute.iter().flatten());
    let relative = names
        .iter()
        .zip(&absolute)
        .map(|(name, path)| match path {
            Some(path) => relative_to(&root, path),
            None => guess(name, &folder),
        })
        .collect();
    Located {
        root,
        relative,
        absolute,
        doubts,
    }
}

/// Every picture below a folder in the order of its path, and what was passed over.
pub(super) fn walk(folder: &Path) -> (Vec<PathBuf>, Vec<Problem>) {
    let mut files = Vec::new();
    let mut problems = Vec::new();
    walk_into(folder, folder, 0, &mut files, &mut problems);
    files.sort();
    (files, problems)
}

/// Runs `work` on every item on all cores, in order, asking between chunks whether to go on.
pub(super) fn in_parallel<T: Sync, R: Send>(
    items: &[T],
    work: impl Fn(&T) -> R + Sync + Send,
    progress: &mut dyn FnMut(u64, u64) -> Result<(), Interrupted>,
) -> Result<Vec<R>, Interrupted> {
    let total = items.len() as u64;
    let mut results = Vec::with_capacity(items.len());
    for chunk in items.chunks(CHUNK) {
        progress(results.len() as u64, total)?;
        results.par_extend(chunk.par_iter().map(&work));
    }
    progress(total, total)?;
    Ok(results)
}

/// The last part of a path, whichever way its slashes lean.
pub(super) fn file_name(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}

/// The name of a file or folder, or the whole path where it has none.
pub(super) fn last_part(path: &Path) -> String {
    path.file_name().map_or_else(
        || path.to_string_lossy().into_owned(),
        |name| name.to_string_lossy().into_owned(),
    )
}

/// An absolute path without `.` and `..`, whether or not it exists.
pub(super) fn absolute(path: &Path) -> Result<PathBuf, DatasetError> {
    std::path::absolute(path)
        .map(|path| normalise(&path))
        .map_err(|source| DatasetError::Read {
            path: path.to_owned(),
            source,
        })
}

/// How problems and paths name a file: relative to the root where it lies below it, `/` between parts.
pub(super) fn relative_to(root: &Path, path: &Path) -> String {
    let relative = path.strip_prefix(root).unwrap_or(path);
    let parts: Vec<_> = relative
        .components()
        .map(|part| part.as_os_str().to_string_lossy())
        .collect();
    if parts.first().is_some_and(|part| part == "/") {
        path.to_string_lossy().into_owned()
    } else {
        parts.join("/")
    }
}

/// Whether a file is a picture by its name.
pub(super) fn is_picture(path: &Path) -> bool {
    extension(path).is_some_and(|extension| media::EXTENSIONS.contains(&extension.as_str()))
}

/// A file name's ending in lower case.
pub(super) fn extension(path: &Path) -> Option<String> {
    Some(path.extension()?.to_str()?.to_ascii_lowercase())
}

fn walk_into(
    top: &Path,
    folder: &Path,
    depth: usize,
    files: &mut Vec<PathBuf>,
    problems: &mut Vec<Problem>,
) {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => {
            problems.push(passed_over(
                relative_to(top, folder),
                format!("the folder cannot be opened ({error}); check that you may read it"),
            ));
            return;
        }
    };
    for entry in entries.flatten() {
        let path = entry.path();
        let is_hidden = entry.file_name().to_string_lossy().starts_with('.');
        // Links to folders are not followed: they lead out of the dataset or round in circles.
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if is_folder && !is_hidden && depth < MAX_DEPTH {
            walk_into(top, &path, depth + 1, files, problems);
        } else if !is_folder && !is_hidden && is_picture(&path) {
            files.push(path);
        } else if !is_folder && is_foreign_picture(&path) {
            problems.push(passed_over(
                relative_to(top, &path),
                "Assay does not read this format; save the picture as PNG or JPEG".to_owned(),
            ));
        }
    }
}

fn passed_over(file: String, message: String) -> Problem {
    Problem {
        kind: ProblemKind::Rejected,
        file,
        line: None,
        message,
    }
}

fn is_foreign_picture(path: &Path) -> bool {
    const FOREIGN: [&str; 9] = [
        "heic", "heif", "avif", "jxl", "jp2", "psd", "svg", "exr", "tga",
    ];
    extension(path).is_some_and(|extension| FOREIGN.contains(&extension.as_str()))
}

/// Pictures below a folder by file name, case ignored.
struct Index(HashMap<String, Vec<PathBuf>>);

impl Index {
    fn of(folder: &Path) -> Self {
        let mut names: HashMap<String, Vec<PathBuf>> = HashMap::new();
        for path in walk(folder).0 {
            if let Some(name) = path.file_name() {
                let name = name.to_string_lossy().to_lowercase();
                names.entry(name).or_default().push(path);
            }
        }
        Self(names)
    }

    /// Files of exactly this name, or else those whose name differs in case only, in the order of their paths.
    fn find(&self, name: &str) -> Vec<PathBuf> {
        let Some(paths) = self.0.get(&name.to_lowercase()) else {
            return Vec::new();
        };
        let is_exact = |path: &&PathBuf| path.file_name().is_some_and(|found| found == name);
        let exact: Vec<PathBuf> = paths.iter().filter(is_exact).cloned().collect();
        if exact.is_empty() {
            paths.clone()
        } else {
            exact
        }
    }
}

/// Takes `.` and `..` out by their letters, without asking the disk, so that missing files have paths too.
fn normalise(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                plain.pop();
            }
            other => plain.push(other),
        }
    }
    plain
}

fn common_ancestor(folder: &Path, path: &Path) -> PathBuf {
    folder
        .ancestors()
        .find(|ancestor| path.starts_with(ancestor))
        .unwrap_or(folder)
        .to_owned()
}

/// The folder that holds most of the files, relative to the root: where a missing one would be.
fn usual_folder<'a>(root: &Path, files: impl Iterator<Item = &'a PathBuf>) -> String {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for folder in files.filter_map(|path| path.parent()) {
        *counts.entry(relative_to(root, folder)).or_default() += 1;
    }
    counts
        .into_iter()
        .max_by_key(|(_, count)| *count)
        .map(|(folder, _)| folder)
        .unwrap_or_default()
}

/// Where a file that is not there would be.
fn guess(name: &str, folder: &str) -> String {
    let is_plain_relative = name.contains('/')
        && !Path::new(name).is_absolute()
        && !name
            .split('/')
            .any(|part| part == ".." || part.ends_with(':'));
    if is_plain_relative {
        relative_to(Path::new(""), &normalise(Path::new(name)))
    } else if folder.is_empty() {
        file_name(name).to_owned()
    } else {
        format!("{folder}/{}", file_name(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_below_the_table_and_missing_ones_are_put_with_the_rest() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("images")).unwrap();
        std::fs::write(folder.path().join("images/a.jpg"), b"x").unwrap();
        let located = locate(
            folder.path(),
            &["a.jpg", "b.jpg", "/elsewhere/c.jpg", "sub/d.jpg"],
        );
        assert_eq!(located.root, folder.path());
        assert_eq!(
            located.relative,
            ["images/a.jpg", "images/b.jpg", "images/c.jpg", "sub/d.jpg"]
        );
        assert!(located.absolute[0].is_some() && located.absolute[1].is_none());
        assert_eq!(located.doubts, []);
        std::fs::create_dir(folder.path().join("more")).unwrap();
        std::fs::write(folder.path().join("more/a.jpg"), b"y").unwrap();
        let located = locate(folder.path(), &["b.jpg", "a.jpg"]);
        assert_eq!(located.relative[1], "images/a.jpg");
        assert_eq!(located.doubts[0].0, 1);
        assert!(located.doubts[0].1.contains("images/a.jpg or more/a.jpg"));
    }

    #[test]
    fn files_beside_the_table_s_folder_move_the_root_up() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("tables")).unwrap();
        std::fs::write(folder.path().join("a.jpg"), b"x").unwrap();
        let located = locate(&folder.path().join("tables"), &["../a.jpg"]);
        assert_eq!(located.root, folder.path());
        assert_eq!(located.relative, ["a.jpg"]);
    }

    #[test]
    fn parallel_work_stops_on_request() {
        let items: Vec<u64> = (0..1000).collect();
        let stopped = in_parallel(&items, |item| item * 2, &mut |done, _| {
            if done >= 128 {
                Err(Interrupted)
            } else {
                Ok(())
            }
        });
        assert_eq!(stopped, Err(Interrupted));
        let all = in_parallel(&items, |item| item * 2, &mut |_, _| Ok(())).unwrap();
        assert_eq!(all[999], 1998);
    }
}
