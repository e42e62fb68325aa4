//! A file that is on its way: `NAME.part` with what came, and beside it `NAME.part.json` with what it is a part of.
//!
//! Only bytes that are known to be on the disk count when a download is taken up again by another run of the program:
//! after a power cut the end of a file may be there in length alone.

use std::fs;
use std::fs::File;
use std::fs::OpenOptions;
use std::fs::TryLockError;
use std::io;
use std::io::Read as _;
use std::io::Seek as _;
use std::io::SeekFrom;
use std::io::Write as _;
use std::path::Path;
use std::path::PathBuf;

use serde::Deserialize;
use serde::Serialize;
use sha2::Digest as _;
use sha2::Sha256;

use super::NetError;
use super::Watch;
use super::hub::RemoteFile;
use crate::domain::ContentHash;

/// Ending of a file that is not whole.
pub const PART_ENDING: &str = ".part";

/// Ending of what is known of it.
pub const STATE_ENDING: &str = ".part.json";

/// After so many bytes, what came is forced to the disk. So much is fetched again after a kill or a power cut.
const SYNC_EVERY: u64 = 8 * 1024 * 1024;

/// Bytes read at once when what came before is hashed again.
const HASH_CHUNK: usize = 1024 * 1024;

/// What is known of a part.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct State {
    /// Size of the whole file.
    bytes: Option<u64>,
    /// SHA-256 of the whole file.
    sha256: Option<String>,
    /// The server's mark of this very content.
    etag: Option<String>,
    /// Bytes that are known to be on the disk.
    safe: u64,
}

/// A file that is on its way; nobody else writes to it meanwhile.
pub(super) struct Part {
    target: PathBuf,
    part: PathBuf,
    note: PathBuf,
    file: File,
    state: State,
    /// Bytes that came.
    len: u64,
    hasher: Sha256,
}

impl Part {
    /// Takes up the part of a file, or begins one. What came before counts if it is a part of this very content.
    pub(super) fn open(
        target: &Path,
        file: &RemoteFile,
        watch: &dyn Watch,
    ) -> Result<Self, NetError> {
        let part = with_ending(target, PART_ENDING);
        let note = with_ending(target, STATE_ENDING);
        if let Some(folder) = target.parent() {
            fs::create_dir_all(folder).map_err(at("make the folder", folder))?;
        }
        let handle = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&part)
            .map_err(at("write the download", &part))?;
        // File systems without locks are rare, and two downloads at once rarer: any other error is passed over.
        if let Err(TryLockError::WouldBlock) = handle.try_lock() {
            return Err(NetError::InUse { path: part });
        }
        let wanted = State {
            bytes: file.bytes,
            sha256: file.sha256.clone(),
            ..State::default()
        };
        let known = read_state(&note)
            .filter(|known| (known.bytes, &known.sha256) == (wanted.bytes, &wanted.sha256));
        let mut part = Self {
            target: target.to_path_buf(),
            part,
            note,
            file: handle,
            state: known.unwrap_or(wanted),
            len: 0,
            hasher: Sha256::new(),
        };
        part.take_up(watch)?;
        Ok(part)
    }

    /// Bytes that came.
    pub(super) const fn len(&self) -> u64 {
        self.len
    }

    /// The server's mark of the content that came; `None` where it gave none that proves the same bytes.
    pub(super) fn etag(&self) -> Option<&str> {
        self.state.etag.as_deref()
    }

    /// Begins anew.
    pub(super) fn restart(&mut self) -> Result<(), NetError> {
        self.state.etag = None;
        self.state.safe = 0;
        self.len = 0;
        self.hasher = Sha256::new();
        self.cut_to(0)?;
        self.write_state()
    }

    /// Notes which content the bytes to come are of.
    pub(super) fn mark(&mut self, etag: Option<&str>) -> Result<(), NetError> {
        // A weak mark (W/) stands for what means the same, not for the same bytes (RFC 9110, section 8.8.1).
        self.state.etag = etag.filter(|etag| etag.starts_with('"')).map(str::to_owned);
        self.write_state()
    }

    /// Appends what came.
    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<(), NetError> {
        let written = self.file.write_all(bytes);
        written.map_err(at("write the download", &self.part))?;
        self.hasher.update(bytes);
        self.len += bytes.len() as u64;
        if self.len - self.state.safe >= SYNC_EVERY {
            self.settle()?;
        }
        Ok(())
    }

    /// Forces what came to the disk and notes it.
    pub(super) fn settle(&mut self) -> Result<(), NetError> {
        if self.state.safe == self.len {
            return Ok(());
        }
        let synced = self.file.sync_data();
        synced.map_err(at("write the download to the disk", &self.part))?;
        self.state.safe = self.len;
        self.write_state()
    }

    /// SHA-256 of what came.
    pub(super) fn hash(&self) -> String {
        ContentHash(self.hasher.clone().finalize().into()).to_string()
    }

    /// Gives the whole file its name. Only then is there a file of that name.
    pub(super) fn finish(self) -> Result<(), NetError> {
        let synced = self.file.sync_all();
        synced.map_err(at("write the download to the disk", &self.part))?;
        fs::rename(&self.part, &self.target).map_err(at("name the download", &self.target))?;
        sync_folder(&self.target);
        // A note without a part is harmless, and the next download of this file writes over it.
        fs::remove_file(&self.note).ok();
        Ok(())
    }

    /// Takes what came away.
    pub(super) fn discard(self) {
        fs::remove_file(&self.part).ok();
        fs::remove_file(&self.note).ok();
    }

    /// Hashes the bytes that are known to be on the disk, and forgets those behind them.
    fn take_up(&mut self, watch: &dyn Watch) -> Result<(), NetError> {
        let meta = self
            .file
            .metadata()
            .map_err(at("read the download", &self.part))?;
        if self.state.safe > meta.len() {
            self.state.safe = 0;
            self.state.etag = None;
        }
        self.cut_to(self.state.safe)?;
        self.file
            .rewind()
            .map_err(at("read the download", &self.part))?;
        let mut chunk = vec![0; HASH_CHUNK];
        while self.len < self.state.safe {
            watch.check()?;
            let read = self.file.read(&mut chunk);
            let count = read.map_err(at("read the download", &self.part))?;
            if count == 0 {
                break;
            }
            self.hasher.update(&chunk[..count]);
            self.len += count as u64;
        }
        watch.has(self.len);
        Ok(())
    }

    fn cut_to(&mut self, len: u64) -> Result<(), NetError> {
        let cut = self
            .file
            .set_len(len)
            .and_then(|()| self.file.seek(SeekFrom::Start(len)));
        cut.map(drop).map_err(at("write the download", &self.part))
    }

    fn write_state(&self) -> Result<(), NetError> {
        write_beside(&self.note, &self.state)
    }
}

/// Writes a note whole or not at all.
pub(super) fn write_beside<T: Serialize>(note: &Path, value: &T) -> Result<(), NetError> {
    let text = serde_json::to_vec(value).map_err(io::Error::other);
    let text = text.map_err(at("write the note of the download", note))?;
    let new = with_ending(note, ".new");
    fs::write(&new, text)
        .and_then(|()| fs::rename(&new, note))
        .map_err(at("write the note of the download", note))
}

/// An error of the file system with its path.
pub(super) fn at(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> NetError {
    move |source| NetError::File {
        action,
        source,
        path: path.to_path_buf(),
    }
}

fn read_state(note: &Path) -> Option<State> {
    serde_json::from_slice(&fs::read(note).ok()?).ok()
}

pub(super) fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

/// Makes a new name last through a power cut, where the system can.
fn sync_folder(file: &Path) {
    if let Some(folder) = file.parent().and_then(|folder| File::open(folder).ok()) {
        folder.sync_all().ok();
    }
}
