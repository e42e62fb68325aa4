//! Where the program keeps what is its own: projects made for datasets, the demo, downloaded models.
//!
//! User files are only read, so a project made for a dataset lives here and not beside it.

use std::fs;
use std::path::Path;
use std::path::PathBuf;

use super::error::JobError;

/// The program's data folder: `ASSAY_HOME` where it is set, else the platform's place for such data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home(PathBuf);

impl Home {
    /// Finds the folder; it is made when something is first written to it.
    pub fn find() -> Result<Self, JobError> {
        if let Some(folder) = std::env::var_os("ASSAY_HOME").filter(|text| !text.is_empty()) {
            return Ok(Self(PathBuf::from(folder)));
        }
        directories::ProjectDirs::from("", "", "assay")
            .map(|places| Self(places.data_dir().to_path_buf()))
            .ok_or(JobError::NoHome)
    }

    /// Takes a folder as it is.
    pub const fn at(folder: PathBuf) -> Self {
        Self(folder)
    }

    /// The folder itself.
    pub fn folder(&self) -> &Path {
        &self.0
    }

    /// Folder of the demo dataset.
    pub fn demo_folder(&self) -> PathBuf {
        self.0.join("demo")
    }

    /// Project file of the demo.
    pub fn demo_project(&self) -> PathBuf {
        self.0.join("projects").join("demo.assay")
    }

    /// Folder in which models are looked for, one folder each.
    pub fn models_folder(&self) -> PathBuf {
        self.0.join("models")
    }

    /// Note of the hashes of large files, for the next start.
    pub(super) fn hashes_note(&self) -> PathBuf {
        self.0.join("hashes.json")
    }

    /// Folder of fine-tuning runs, one folder each.
    pub fn tunings_folder(&self) -> PathBuf {
        self.0.join("tunings")
    }

    /// The project file for a dataset: named after it, and told apart from its namesakes by its whole path.
    pub fn project_for(&self, dataset: &Path) -> PathBuf {
        let whole = fs::canonicalize(dataset).unwrap_or_else(|_| dataset.to_path_buf());
        let name = whole.file_stem().map_or_else(
            || "dataset".to_owned(),
            |stem| stem.to_string_lossy().into_owned(),
        );
        let mark = fnv1a(whole.to_string_lossy().as_bytes());
        self.0
            .join("projects")
            .join(format!("{name}-{mark:08x}.assay"))
    }

    /// The project that was open last, if it is still there.
    pub fn last_project(&self) -> Option<PathBuf> {
        let path = PathBuf::from(fs::read_to_string(self.last_project_note()).ok()?.trim());
        path.is_file().then_some(path)
    }

    /// Remembers the project for the next start.
    pub fn remember_project(&self, project: &Path) -> Result<(), JobError> {
        let note = self.last_project_note();
        make_parent(&note)?;
        let whole = fs::canonicalize(project).unwrap_or_else(|_| project.to_path_buf());
        fs::write(&note, whole.to_string_lossy().as_bytes()).map_err(|source| JobError::File {
            action: "remember the project for the next start",
            source,
            path: note,
        })
    }

    fn last_project_note(&self) -> PathBuf {
        self.0.join("last-project.txt")
    }
}

/// Makes the folder in which a file is about to be written.
pub(super) fn make_parent(file: &Path) -> Result<(), JobError> {
    let Some(folder) = file.parent().filter(|path| !path.as_os_str().is_empty()) else {
        return Ok(());
    };
    fs::create_dir_all(folder).map_err(|source| JobError::File {
        action: "make the folder",
        source,
        path: folder.to_path_buf(),
    })
}

/// FNV-1a, 32 bits: tells paths apart in file names, nothing more.
fn fnv1a(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datasets_of_the_same_name_get_projects_of_their_own() {
        let home = Home::at(PathBuf::from("home"));
        let first = home.project_for(Path::new("/a/pictures"));
        let second = home.project_for(Path::new("/b/pictures"));
        assert_ne!(first, second);
        assert!(
            first
                .file_name()
                .unwrap()
                .to_string_lossy()
                .starts_with("pictures-")
        );
        assert_eq!(first, home.project_for(Path::new("/a/pictures")));
    }

    #[test]
    fn the_last_project_is_forgotten_once_its_file_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path().join("home"));
        let project = folder.path().join("p.assay");
        fs::write(&project, b"x").unwrap();
        home.remember_project(&project).unwrap();
        assert_eq!(
            home.last_project(),
            Some(fs::canonicalize(&project).unwrap())
        );
        fs::remove_file(&project).unwrap();
        assert_eq!(home.last_project(), None);
    }
}
