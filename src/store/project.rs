//! Making and opening the project file, and the one way to read and write it.

use std::ffi::OsString;
use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::MAIN_DB;
use rusqlite::OpenFlags;
use rusqlite::Transaction;
use rusqlite::TransactionBehavior;

use super::StoreError;
use super::error::Fault;
use super::migrate;
use super::settings;
use crate::domain::OpinionScale;
use crate::domain::Study;

/// How long a write waits for another program's write to the same project.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// The first sixteen bytes of every SQLite file.
const SQLITE_MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// An open project: the one write connection to its file.
#[derive(Debug)]
pub struct Project {
    pub(super) conn: Connection,
    pub(super) path: PathBuf,
    /// The study that was voted in last: its protocol is long, and is read once and not for every vote.
    pub(super) voted_in: Option<Arc<Study>>,
}

/// The folder of what can be made again, beside a project file: `NAME.assay.cache`.
pub fn cache_folder(project: &Path) -> PathBuf {
    let mut name = OsString::from(project.as_os_str());
    name.push(".cache");
    PathBuf::from(name)
}

impl Project {
    /// Makes an empty project. A file of zero bytes, as a kill in this very moment leaves, is taken over.
    pub fn create(path: &Path) -> Result<Self, StoreError> {
        if fs::metadata(path).is_ok_and(|meta| !meta.is_file() || meta.len() > 0) {
            return Err(StoreError::Exists {
                path: path.to_path_buf(),
            });
        }
        if let Some(folder) = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty())
        {
            fs::create_dir_all(folder).map_err(|source| StoreError::Io {
                operation: "make the project's folder",
                path: folder.to_path_buf(),
                source,
            })?;
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
        Self::connect(path, flags)
    }

    /// Opens a project, taking it to this program's version first.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        check_file(path)?;
        let mut project = Self::connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        project.follow_moved_root()?;
        Ok(project)
    }

    /// Opens the project, or makes it where there is no file or an empty one.
    pub fn open_or_create(path: &Path) -> Result<Self, StoreError> {
        match fs::metadata(path) {
            Ok(meta) if meta.len() > 0 => Self::open(path),
            _ => Self::create(path),
        }
    }

    /// Whether the file is sound from page to page; what SQLite found where it is not.
    pub fn check(&self) -> Result<Option<String>, StoreError> {
        self.read("check the project", |conn| {
            let found: String =
                conn.pragma_query_value(None, "integrity_check", |row| row.get(0))?;
            Ok((found != "ok").then_some(found))
        })
    }

    /// The project file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The folder of what can be made again.
    pub fn cache_folder(&self) -> PathBuf {
        cache_folder(&self.path)
    }

    fn connect(path: &Path, flags: OpenFlags) -> Result<Self, StoreError> {
        let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let fault = |error| StoreError::of_sql("open the project", path, error);
        let mut conn = Connection::open_with_flags(path, flags).map_err(fault)?;
        conn.busy_timeout(BUSY_TIMEOUT).map_err(fault)?;
        if conn.is_readonly(MAIN_DB).map_err(fault)? {
            return Err(StoreError::ReadOnly {
                path: path.to_path_buf(),
            });
        }
        check_kind(&conn, path)?;
        // FULL: a commit that was answered survives a power cut too, not only the end of the process.
        conn.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;",
        )
        .map_err(fault)?;
        conn.set_prepared_statement_cache_capacity(64);
        migrate::migrate(&mut conn, migrate::STEPS).map_err(fault)?;
        let mut project = Self {
            conn,
            path: path.to_path_buf(),
            voted_in: None,
        };
        let home = project.home();
        // Also proves that the file can be written, before the user has done anything.
        project.write("prepare the project", |tx| {
            let scale = OpinionScale::ZERO_TO_FIVE;
            tx.execute(
                "INSERT OR IGNORE INTO project (id, dataset, layout, root, home, scale_min, scale_max)
                 VALUES (1, '', '', '', ?1, ?2, ?3)",
                (&home, scale.min, scale.max),
            )?;
            Ok(settings::insert_default(tx)?)
        })?;
        Ok(project)
    }

    /// The folder that the project file stands in, absolute.
    pub(super) fn home(&self) -> String {
        let path = std::path::absolute(&self.path).unwrap_or_else(|_| self.path.clone());
        path.parent()
            .map(|parent| parent.to_string_lossy().into_owned())
            .unwrap_or_default()
    }

    /// Where project and images were moved together, the image root is found at its new place.
    fn follow_moved_root(&mut self) -> Result<(), StoreError> {
        let (root, home): (String, String) = self.read("read the image root", |conn| {
            conn.query_row("SELECT root, home FROM project", (), |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
        })?;
        let now = self.home();
        if home == now {
            return Ok(());
        }
        let moved = Path::new(&root)
            .strip_prefix(&home)
            .ok()
            .map(|below| Path::new(&now).join(below))
            .filter(|moved| moved.is_dir() && !Path::new(&root).is_dir());
        let root = moved.map_or(root, |moved| moved.to_string_lossy().into_owned());
        self.write("note where the images are", |tx| {
            tx.execute("UPDATE project SET root = ?1, home = ?2", (&root, &now))?;
            Ok(())
        })
    }

    /// Reads.
    pub(super) fn read<T>(
        &self,
        operation: &'static str,
        act: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        act(&self.conn).map_err(|error| StoreError::of_sql(operation, &self.path, error))
    }

    /// Does `act` as one transaction: all of it is on disk when this answers `Ok`, nothing of it otherwise.
    pub(super) fn write<T>(
        &mut self,
        operation: &'static str,
        act: impl FnOnce(&Transaction<'_>) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        let result = self
            .conn
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(Fault::from)
            .and_then(|tx| {
                let value = act(&tx)?;
                tx.commit()?;
                Ok(value)
            });
        result.map_err(|fault| fault.at(operation, &self.path))
    }
}

/// What can be said of the file before SQLite sees it.
fn check_file(path: &Path) -> Result<(), StoreError> {
    let not_a_project = |found| StoreError::NotAProject {
        path: path.to_path_buf(),
        found,
    };
    let meta = fs::metadata(path).map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => StoreError::NotFound {
            path: path.to_path_buf(),
        },
        _ => StoreError::Io {
            operation: "open the project",
            path: path.to_path_buf(),
            source,
        },
    })?;
    if !meta.is_file() {
        return Err(not_a_project("it is a folder"));
    }
    if meta.len() == 0 {
        return Err(not_a_project("the file is empty"));
    }
    let mut header = [0; 100];
    let read = fs::File::open(path).and_then(|mut file| file.read_exact(&mut header));
    if read.is_err() || !header.starts_with(SQLITE_MAGIC) {
        return Err(not_a_project("its beginning is no project's"));
    }
    // While a write-ahead log is there, the newest pages may stand in it and the file be shorter.
    let mut log = OsString::from(path.as_os_str());
    log.push("-wal");
    if fs::metadata(log).is_ok_and(|meta| meta.len() > 0) {
        return Ok(());
    }
    let expected = expected_len(&header);
    if meta.len() < expected {
        return Err(StoreError::Damaged {
            path: path.to_path_buf(),
            reason: format!("{} of {expected} bytes are there", meta.len()),
        });
    }
    Ok(())
}

/// Length of a SQLite file by its header: page size (bytes 16-17, where 1 stands for 65,536) times number of
/// pages (bytes 28-31), see <https://www.sqlite.org/fileformat.html>, section 1.3.
fn expected_len(header: &[u8; 100]) -> u64 {
    let page_size = match u16::from_be_bytes([header[16], header[17]]) {
        1 => 65_536,
        size => u64::from(size),
    };
    let num_pages = u32::from_be_bytes([header[28], header[29], header[30], header[31]]);
    page_size * u64::from(num_pages)
}

/// Refuses SQLite files of other programs and projects of newer ones.
fn check_kind(conn: &Connection, path: &Path) -> Result<(), StoreError> {
    let fault = |error| StoreError::of_sql("open the project", path, error);
    let version = migrate::version(conn).map_err(fault)?;
    let application: i64 = conn
        .pragma_query_value(None, "application_id", |row| row.get(0))
        .map_err(fault)?;
    let tables: i64 = conn
        .query_row("SELECT count(*) FROM sqlite_schema", (), |row| row.get(0))
        .map_err(fault)?;
    if tables > 0 && application != migrate::APPLICATION_ID {
        return Err(StoreError::NotAProject {
            path: path.to_path_buf(),
            found: "a SQLite file of another program",
        });
    }
    let known = migrate::newest(migrate::STEPS);
    if version > known {
        return Err(StoreError::Newer {
            path: path.to_path_buf(),
            found: version,
            known,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::World;
    use super::*;

    #[test]
    fn a_new_project_is_empty_and_opens_again() {
        let mut world = World::empty();
        let before = world.project.catalog().unwrap();
        assert!(before.images.is_empty() && before.undo.is_none());
        world.reopen();
        assert_eq!(world.project.catalog().unwrap(), before);
    }

    #[test]
    fn a_project_is_not_made_over_a_file() {
        let world = World::empty();
        let error = Project::create(&world.path()).unwrap_err();
        assert!(matches!(error, StoreError::Exists { .. }), "{error}");
    }

    #[test]
    fn a_file_of_no_bytes_is_taken_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("killed.assay");
        fs::write(&path, b"").unwrap();
        assert!(Project::open(&path).is_err());
        drop(Project::open_or_create(&path).unwrap());
        Project::open(&path).unwrap();
    }

    #[test]
    fn files_that_are_no_project_are_named_as_such() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data.csv");
        for bytes in [
            b"name,mos\n".to_vec(),
            vec![0xff; 5_000],
            SQLITE_MAGIC.to_vec(),
        ] {
            fs::write(&path, bytes).unwrap();
            let error = Project::open(&path).unwrap_err();
            assert!(matches!(error, StoreError::NotAProject { .. }), "{error}");
        }
        let error = Project::open(folder.path()).unwrap_err();
        assert!(error.to_string().contains("folder"), "{error}");
        let error = Project::open(&folder.path().join("nothing")).unwrap_err();
        assert!(matches!(error, StoreError::NotFound { .. }), "{error}");
    }

    #[test]
    fn another_programs_database_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("other.db");
        let other = Connection::open(&path).unwrap();
        other
            .execute_batch("CREATE TABLE note (text TEXT)")
            .unwrap();
        drop(other);
        let before = fs::read(&path).unwrap();
        let error = Project::open(&path).unwrap_err();
        assert!(error.to_string().contains("another program"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), before);
    }

    #[test]
    fn a_project_of_a_newer_program_is_refused() {
        let world = World::empty();
        world
            .project
            .conn
            .pragma_update(None, "user_version", 99)
            .unwrap();
        let error = Project::open(&world.path()).unwrap_err();
        assert!(error.to_string().contains("version 99"), "{error}");
    }

    #[test]
    fn a_cut_off_project_is_damaged_at_every_length() {
        let world = World::with_images(200);
        let path = world.path();
        let World { folder, project } = world;
        drop(project);
        let bytes = fs::read(&path).unwrap();
        for part in 1..8 {
            let cut = folder.path().join(format!("cut{part}.assay"));
            fs::write(&cut, &bytes[..bytes.len() * part / 8]).unwrap();
            let error = Project::open(&cut).unwrap_err();
            assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
        }
    }

    #[test]
    fn overwritten_pages_give_an_error_and_no_panic() {
        let world = World::with_images(200);
        let path = world.path();
        let World { folder, project } = world;
        drop(project);
        let bytes = fs::read(&path).unwrap();
        for start in (100..bytes.len()).step_by(bytes.len() / 12) {
            let mut spoiled = bytes.clone();
            let end = (start + 3_000).min(spoiled.len());
            spoiled[start..end].fill(0xa5);
            let file = folder.path().join("spoiled.assay");
            fs::write(&file, spoiled).unwrap();
            // Whether it is noticed depends on the page; what matters is that nothing panics.
            let result = Project::open(&file).and_then(|project| project.catalog());
            if let Err(error) = result {
                assert!(error.to_string().contains("spoiled.assay"), "{error}");
            }
        }
    }

    #[test]
    fn a_place_that_cannot_be_written_is_named() {
        let world = World::empty();
        let error = Project::create(&world.path().join("below/a/file.assay")).unwrap_err();
        assert!(matches!(error, StoreError::Io { .. }), "{error}");
        assert!(error.to_string().contains("test.assay"), "{error}");
    }

    #[test]
    fn a_moved_project_finds_the_images_that_moved_with_it() {
        let mut world = World::empty();
        let old = world.folder.path().join("old");
        fs::create_dir_all(old.join("images")).unwrap();
        let path = old.join("p.assay");
        world.project = Project::create(&path).unwrap();
        let root = old.join("images").to_string_lossy().into_owned();
        world.project.set_root(&root).unwrap();
        let new = world.folder.path().join("new");
        fs::rename(&old, &new).unwrap();
        world.project = Project::open(&new.join("p.assay")).unwrap();
        assert_eq!(
            world.project.info().unwrap().root,
            new.join("images").to_string_lossy()
        );
    }

    #[test]
    fn a_reader_sees_commits_while_the_writer_is_open() {
        let mut world = World::with_images(3);
        let reader = Project::open(&world.path()).unwrap();
        let first = reader.catalog().unwrap().images[0].id;
        world.project.set_tag(&[first], "seen", true).unwrap();
        assert_eq!(reader.catalog().unwrap().images[0].tags, ["seen"]);
    }
}
