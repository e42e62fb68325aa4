//! One file from a repository to this machine, whatever happens on the way.

use std::fs;
use std::io::Read as _;
use std::path::Path;

use super::Hub;
use super::NetError;
use super::Watch;
use super::client::Answer;
use super::client::Failure;
use super::client::persist;
use super::client::read_failure;
use super::hub::RemoteFile;
use super::hub::Repository;
use super::part::Part;
use super::patience::chance;

/// Bytes read from the connection at once.
const CHUNK: usize = 128 * 1024;

/// A wrong sum may come from a cache on the way; the same wrong sum twice does not go away.
const MAX_WRONG_HASHES: u32 = 2;

/// A file to fetch.
#[derive(Debug, Clone, Copy)]
pub struct Download<'a> {
    /// The server.
    pub hub: &'a Hub,
    /// The repository at a commit.
    pub repository: &'a Repository,
    /// The file.
    pub file: &'a RemoteFile,
    /// Where it goes. It has this name only once it is whole.
    pub target: &'a Path,
}

impl Download<'_> {
    /// Fetches the file, going on where an earlier run of this or another process stopped. A file that is there with
    /// the right size is left as it is: it has that name because it was whole.
    ///
    /// # Errors
    /// What another try would not change, or what it did not change as often as the hub's patience allows.
    pub fn run(&self, watch: &dyn Watch) -> Result<(), NetError> {
        if let Some(bytes) = self.present() {
            watch.has(bytes);
            return Ok(());
        }
        let mut part = Part::open(self.target, self.file, watch)?;
        let mut wrong_hashes = 0;
        loop {
            let fetched = self.fetch(&mut part, watch);
            // Whatever came of it, what came is kept for the next run.
            part.settle()?;
            if let Err(NetError::WrongSize { .. }) = &fetched {
                part.discard();
                return fetched;
            }
            fetched?;
            let found = part.hash();
            let expected = match &self.file.sha256 {
                Some(expected) if *expected != found => expected.clone(),
                _ => return part.finish(),
            };
            wrong_hashes += 1;
            if wrong_hashes >= MAX_WRONG_HASHES {
                part.discard();
                return Err(NetError::WrongHash {
                    file: self.file.name.clone(),
                    expected,
                    found,
                });
            }
            part.restart()?;
            watch.has(0);
        }
    }

    /// The size of the file if it is whole on this machine.
    pub fn present(&self) -> Option<u64> {
        let meta = fs::metadata(self.target)
            .ok()
            .filter(fs::Metadata::is_file)?;
        let is_whole = self.file.bytes.is_none_or(|bytes| bytes == meta.len());
        is_whole.then_some(meta.len())
    }

    /// Fetches until the part is as long as the file.
    fn fetch(&self, part: &mut Part, watch: &dyn Watch) -> Result<(), NetError> {
        let hub = self.hub;
        // Files that are fetched side by side wait for times of their own.
        let seed = hub.seed ^ (chance(hub.seed, self.file.name.len() as u64) * 1e9) as u64;
        persist(&hub.patience, seed, watch, |has_progress| {
            if self.file.bytes == Some(part.len()) {
                return Ok(());
            }
            let before = part.len();
            let fetched = self.attempt(part, watch);
            *has_progress = part.len() > before;
            fetched
        })
    }

    fn attempt(&self, part: &mut Part, watch: &dyn Watch) -> Result<(), Failure> {
        let url = self.hub.file_url(self.repository, self.file);
        if part.len() > 0 && part.etag().is_none() && self.file.sha256.is_none() {
            // Nothing would tell a part of this content from a part of another one of the same size.
            part.restart()?;
            watch.has(0);
        }
        let range = format!("bytes={}-", part.len());
        let etag = part.etag().map(str::to_owned);
        let mut headers = Vec::new();
        if part.len() > 0 {
            headers.push(("range", range.as_str()));
            if let Some(etag) = &etag {
                headers.push(("if-range", etag.as_str()));
            }
        }
        let answer = self.hub.client.get(&url, &headers, self.hub.token())?;
        let from = self.begins_at(&answer, part.len());
        match (answer.status, from) {
            (206, Some(from)) if from == part.len() => {}
            (200, _) => {
                self.refuse_page(&answer)?;
                if part.len() > 0 {
                    // The server knows no ranges, or the file is another one now.
                    part.restart()?;
                    watch.has(0);
                }
            }
            (206 | 416, _) => {
                // Another piece than the asked one, or none because the file is shorter now.
                part.restart()?;
                watch.has(0);
                return Err(Failure::Cut {
                    host: answer.host,
                    reason: "it sent another piece of the file than the asked one".to_owned(),
                });
            }
            _ => {
                let commit = &self.repository.commit;
                let name = &self.repository.name;
                return Err(self
                    .hub
                    .refusal(answer, name, commit, Some(&self.file.name)));
            }
        }
        self.check_announced(&answer, part.len())?;
        part.mark(answer.header("etag"))?;
        self.read(answer, part, watch)
    }

    /// The first byte of a partial answer, if it is a piece of a file of the right size.
    fn begins_at(&self, answer: &Answer, len: u64) -> Option<u64> {
        let range = answer.header("content-range")?.strip_prefix("bytes ")?;
        let (range, whole) = range.split_once('/')?;
        let from = range.split_once('-')?.0.trim().parse().ok()?;
        let is_same = match (whole.trim().parse::<u64>(), self.file.bytes) {
            (Ok(whole), Some(bytes)) => whole == bytes,
            (Ok(whole), None) => whole >= len,
            (Err(_), _) => true,
        };
        is_same.then_some(from)
    }

    /// A page in place of a file comes with status 200 from proxies and from networks that want a sign-in.
    fn refuse_page(&self, answer: &Answer) -> Result<(), NetError> {
        let announced = answer.body.content_length();
        let is_as_long = announced.is_some() && announced == self.file.bytes;
        if answer.is_page() && !is_as_long {
            return Err(NetError::WebPage {
                what: self.file.name.clone(),
                host: answer.host.clone(),
            });
        }
        Ok(())
    }

    /// Holds what the answer says of its length against what the listing said.
    fn check_announced(&self, answer: &Answer, len: u64) -> Result<(), NetError> {
        let (Some(announced), Some(bytes)) = (answer.body.content_length(), self.file.bytes) else {
            return Ok(());
        };
        if len + announced == bytes {
            return Ok(());
        }
        Err(NetError::WrongSize {
            file: self.file.name.clone(),
            expected: bytes,
            found: len + announced,
        })
    }

    fn read(&self, answer: Answer, part: &mut Part, watch: &dyn Watch) -> Result<(), Failure> {
        let host = answer.host;
        let announced = answer.body.content_length().map(|bytes| part.len() + bytes);
        let mut body = answer.body.into_reader();
        let mut chunk = vec![0; CHUNK];
        loop {
            watch.check()?;
            let count = body
                .read(&mut chunk)
                .map_err(|error| read_failure(&host, &error))?;
            if count == 0 {
                break;
            }
            part.append(&chunk[..count])?;
            watch.has(part.len());
            if self.file.bytes.is_some_and(|bytes| part.len() > bytes) {
                return Err(Failure::Final(NetError::WrongSize {
                    file: self.file.name.clone(),
                    expected: self.file.bytes.unwrap_or_default(),
                    found: part.len(),
                }));
            }
        }
        match self.file.bytes.or(announced) {
            Some(bytes) if part.len() < bytes => Err(Failure::Cut {
                host,
                reason: format!("it ended after {} of {bytes} bytes", part.len()),
            }),
            _ => Ok(()),
        }
    }
}
