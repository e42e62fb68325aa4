//! Fetching a model: what the hub has of it, whether there is room, several files at once, and the note that lets the
//! next run go on.

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use crate::domain::Fit;
use crate::domain::HalfDownload;
use crate::domain::Interrupted;
use crate::domain::KnownModel;
use crate::domain::ModelKind;
use crate::domain::Offer;
use crate::jobs::context::Flags;
use crate::jobs::context::JobContext;
use crate::jobs::error::JobError;
use crate::jobs::home::Home;
use crate::jobs::message::FetchRequest;
use crate::jobs::message::JobReport;
use crate::jobs::model_host::device_choice;
use crate::jobs::shelf;
use crate::jobs::workers::WorkerOptions;
use crate::ml::vlm::fit_of_config;
use crate::net;
use crate::net::Download;
use crate::net::Hub;
use crate::net::NetError;
use crate::net::Patience;
use crate::net::RemoteFile;
use crate::net::Repository;
use crate::net::Watch;

/// Files that are fetched side by side: enough to fill a line that gives each connection a part of itself, and few
/// enough for a hub that counts connections.
const NUM_LANES: usize = 4;

/// The revision where nobody names one.
const USUAL_REVISION: &str = "main";

/// How often the state of the lanes is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// Room that is left free on the disk, for everything else that writes there meanwhile.
const SPARE_BYTES: u64 = 64 * 1024 * 1024;

/// Somebody waits for the answer to a question: a short while of trying again.
const SHORT_PATIENCE: Patience = Patience {
    max_tries: 3,
    first_wait: Duration::from_millis(300),
    longest_wait: Duration::from_secs(1),
    longest_asked: Duration::from_secs(20),
};

/// What is to be fetched, and where it goes.
pub(super) struct Plan {
    hub: Hub,
    request: FetchRequest,
    pub(super) known: Option<KnownModel>,
    pub(super) name: String,
    pub(super) kind: ModelKind,
    pub(super) folder: PathBuf,
    pub(super) repository: Repository,
    pub(super) files: Vec<RemoteFile>,
}

/// Says what would be fetched, and whether it would fit. Nothing is written.
pub(super) fn ask(
    options: &WorkerOptions,
    request: &FetchRequest,
    context: &mut JobContext,
) -> Result<Offer, JobError> {
    let plan = Plan::make(&options.home, request, options.seed, context)?;
    let lane = Lane::new(context.flags());
    Ok(Offer {
        fit: plan.fit(&options.device, &lane)?,
        ..plan.offer()
    })
}

/// Fetches a model, and puts it among the program's models once it is whole.
pub(super) fn fetch(
    home: &Home,
    request: &FetchRequest,
    seed: u64,
    context: &mut JobContext,
) -> Result<JobReport, JobError> {
    let plan = Plan::make(home, request, seed, context)?;
    plan.check_place()?;
    let offer = plan.offer();
    if let (Some(bytes), Some(free)) = (offer.to_come(), offer.free)
        && bytes > 0
        && bytes + SPARE_BYTES > free
    {
        return Err(JobError::Net(NetError::NoSpace {
            needed: bytes,
            free,
            path: plan.folder,
        }));
    }
    if plan.is_whole() {
        return Ok(JobReport {
            skipped: plan.files.len() as u64,
            summary: format!("{} is here already, whole", plan.name),
            ..JobReport::default()
        });
    }
    plan.begin(context)?;
    plan.carry(context)?;
    shelf::finish(home, &plan)?;
    Ok(JobReport {
        done: plan.files.len() as u64,
        summary: format!(
            "{} is here: {} files in {}",
            plan.name,
            plan.files.len(),
            plan.folder.display()
        ),
        ..JobReport::default()
    })
}

impl Plan {
    fn make(
        home: &Home,
        request: &FetchRequest,
        seed: u64,
        context: &mut JobContext,
    ) -> Result<Self, JobError> {
        context.progress(0, 0, "Asking the hub")?;
        let known = shelf::known(&request.source);
        let repository = match &known {
            Some(known) => known.repository.clone(),
            None => repository_name(&request.source)?,
        };
        let hub = Hub::from_env(seed)?;
        let asking = hub.clone().with_patience(SHORT_PATIENCE);
        let lane = Lane::new(context.flags());
        let name = known
            .as_ref()
            .map_or_else(|| plain_name(&request.source), |known| known.name.clone());
        let folder = request
            .to
            .clone()
            .unwrap_or_else(|| home.models_folder().join(&name));
        let repository = listed(&asking, &repository, request, &folder, &lane)?;
        let include = match (&known, request.include.is_empty()) {
            (Some(known), true) => &known.include,
            _ => &request.include,
        };
        let files = net::needed(&repository.files, include);
        if files.is_empty() {
            return Err(nothing_wanted(&repository, include).into());
        }
        let kind = known
            .as_ref()
            .map_or_else(|| kind_of(&files), |known| known.kind);
        Ok(Self {
            hub,
            request: request.clone(),
            known,
            name,
            kind,
            folder,
            repository,
            files,
        })
    }

    fn offer(&self) -> Offer {
        let sizes: Option<Vec<u64>> = self.files.iter().map(|file| file.bytes).collect();
        Offer {
            source: self.request.source.clone(),
            name: self.name.clone(),
            kind: self.kind,
            repository: self.repository.name.clone(),
            commit: self.repository.commit.clone(),
            licence: self.licence(),
            page: self.repository.page.clone(),
            is_gated: self.repository.is_gated,
            parameters: self.repository.parameters,
            fit: None,
            num_files: self.files.len(),
            bytes: sizes.map(|sizes| sizes.iter().sum()),
            present: self
                .files
                .iter()
                .map(|file| shelf::present_bytes(&self.target(file)))
                .sum(),
            free: net::free_bytes(&self.folder),
            folder: self.folder.clone(),
        }
    }

    /// Whether it fits a device, by its configuration. What cannot be had or read of it is no reason to offer nothing.
    fn fit(&self, device: &str, lane: &Lane) -> Result<Option<Fit>, JobError> {
        if self.kind != ModelKind::Model {
            return Ok(None);
        }
        let hub = self.hub.clone().with_patience(SHORT_PATIENCE);
        let text = |name: &str| -> Result<Option<String>, Interrupted> {
            let files = &self.repository.files;
            let Some(file) = files.iter().find(|file| file.name == name) else {
                return Ok(None);
            };
            match hub.text(&self.repository, file, lane) {
                Err(NetError::Interrupted(stop)) => Err(stop),
                other => Ok(other.ok()),
            }
        };
        let Some(config) = text("config.json")? else {
            return Ok(None);
        };
        let preprocessor = text("preprocessor_config.json")?;
        let device = device_choice(device)?;
        Ok(fit_of_config(&config, preprocessor.as_deref(), device).ok())
    }

    /// The licence as the hub says it, else as the program knows it.
    pub(super) fn licence(&self) -> Option<String> {
        let told = self.repository.licence.clone();
        told.or_else(|| self.known.as_ref()?.licence.clone())
    }

    /// Notes the download, and lets nothing stay that is of another commit.
    fn begin(&self, context: &mut JobContext) -> Result<(), JobError> {
        let commit = Some(self.repository.commit.clone());
        if !shelf::is_of_commit(&self.folder, &self.repository.commit) {
            // Until all is looked through, what is here may be of two commits.
            shelf::write_note(&self.note(None))?;
            self.sift(context)?;
        }
        shelf::write_note(&self.note(commit))
    }

    /// Takes away what an earlier download left of other bytes. Files without a sum are small: they come again.
    fn sift(&self, context: &mut JobContext) -> Result<(), JobError> {
        let total = self.offer().present;
        let mut read = 0;
        for file in &self.files {
            let target = self.target(file);
            if self.download(file, &target).present().is_none() {
                continue;
            }
            let failed = |action| {
                let path = target.clone();
                move |source| JobError::File {
                    action,
                    source,
                    path,
                }
            };
            let summed = net::sum_of(&target, &mut |more| {
                read += more;
                context.bytes(read, total, "Comparing what is here with the hub's")
            });
            let (_, found) = summed.map_err(failed("read the file of the download"))??;
            if file.sha256.as_ref() != Some(&found) {
                fs::remove_file(&target).map_err(failed("take a former file away"))?;
            }
        }
        Ok(())
    }

    fn note(&self, commit: Option<String>) -> HalfDownload {
        HalfDownload {
            source: self.request.source.clone(),
            name: self.name.clone(),
            kind: self.kind,
            repository: self.repository.name.clone(),
            revision: self
                .request
                .revision
                .clone()
                .unwrap_or_else(|| USUAL_REVISION.to_owned()),
            commit,
            include: self.request.include.clone(),
            licence: self.licence(),
            bytes: self.offer().bytes,
            present: 0,
            folder: self.folder.clone(),
        }
    }

    /// Where a file goes. A manifest from the hub is kept under another name: ours says that the folder is whole.
    pub(super) fn target(&self, file: &RemoteFile) -> PathBuf {
        match file.name.as_str() {
            shelf::MANIFEST => self.folder.join(shelf::HUB_MANIFEST),
            name => self.folder.join(name),
        }
    }

    fn is_whole(&self) -> bool {
        shelf::is_whole(&self.folder)
            && self.files.iter().all(|file| {
                let target = self.target(file);
                self.download(file, &target).present().is_some()
            })
    }

    /// A folder that is not of this download's is left as it is.
    fn check_place(&self) -> Result<(), JobError> {
        if let Some(holds) = shelf::repository_in(&self.folder) {
            if holds != self.repository.name {
                let name = self.name.clone();
                return Err(JobError::NameTaken { name, holds });
            }
            return Ok(());
        }
        for file in &self.files {
            let path = self.target(file);
            if path.exists() && self.download(file, &path).present().is_none() {
                return Err(JobError::InTheWay { path });
            }
        }
        Ok(())
    }

    const fn download<'a>(&'a self, file: &'a RemoteFile, target: &'a Path) -> Download<'a> {
        Download {
            hub: &self.hub,
            repository: &self.repository,
            file,
            target,
        }
    }

    /// Fetches all files, several side by side. The first one that cannot be had stops the others; what came is kept.
    fn carry(&self, context: &mut JobContext) -> Result<(), JobError> {
        let mut files: Vec<&RemoteFile> = self.files.iter().collect();
        // The largest first, so that no lane is left with it alone at the end.
        files.sort_by_key(|file| std::cmp::Reverse(file.bytes.unwrap_or(0)));
        let total = self.offer().bytes.unwrap_or(0);
        let counts: Vec<Arc<AtomicU64>> = files.iter().map(|_| Arc::default()).collect();
        let lanes: Vec<Lane> = (0..NUM_LANES.min(files.len()))
            .map(|_| Lane::new(context.flags()))
            .collect();
        let next = AtomicUsize::new(0);
        let has_failed = Arc::new(AtomicBool::new(false));
        thread::scope(|scope| {
            let mut running = Vec::new();
            for lane in &lanes {
                let lane = lane.beside(&has_failed);
                let (files, counts, next) = (&files, &counts, &next);
                let work = move || self.work_off(files, counts, next, &lane);
                let named = thread::Builder::new().name("assay-lane".to_owned());
                let started = named.spawn_scoped(scope, work);
                running.push(started.map_err(|source| JobError::Thread {
                    name: "assay-lane",
                    source,
                })?);
            }
            while running.iter().any(|lane| !lane.is_finished()) {
                let done = counts
                    .iter()
                    .map(|count| count.load(Ordering::Relaxed))
                    .sum();
                let words = lanes.iter().find_map(Lane::words);
                let stage = words.unwrap_or_else(|| self.stage(&next));
                // A wish to stop is noticed by the lanes themselves.
                context.bytes(done, total, &stage).ok();
                thread::sleep(LOOK);
            }
            let outcomes: Vec<Result<(), NetError>> = running
                .into_iter()
                .map(|lane| {
                    lane.join()
                        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
                })
                .collect();
            first_failure(outcomes).map_err(JobError::from)
        })
    }

    fn stage(&self, next: &AtomicUsize) -> String {
        let begun = next.load(Ordering::Relaxed).min(self.files.len());
        format!("File {begun} of {}", self.files.len())
    }

    /// One lane: takes the next file until none is left.
    fn work_off(
        &self,
        files: &[&RemoteFile],
        counts: &[Arc<AtomicU64>],
        next: &AtomicUsize,
        lane: &Lane,
    ) -> Result<(), NetError> {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let (Some(file), Some(count)) = (files.get(at), counts.get(at)) else {
                return Ok(());
            };
            let target = self.target(file);
            let lane = lane.counting(count);
            if let Err(error) = self.download(file, &target).run(&lane) {
                lane.has_failed.store(true, Ordering::Relaxed);
                return Err(error);
            }
        }
    }
}

/// What the hub has of a repository: at the commit that a cut-off download began with, or else at the revision that was
/// asked for.
fn listed(
    hub: &Hub,
    name: &str,
    request: &FetchRequest,
    folder: &Path,
    lane: &Lane,
) -> Result<Repository, NetError> {
    let revision = request.revision.as_deref();
    if let Some(commit) = shelf::begun_commit(folder, name, revision) {
        match hub.repository(name, &commit, lane) {
            // Rewritten branches lose their commits; what is here is looked through before it goes on.
            Err(NetError::NoRevision { .. }) => {}
            other => return other,
        }
    }
    hub.repository(name, revision.unwrap_or(USUAL_REVISION), lane)
}

/// The failure that stopped the others, rather than that they were stopped.
fn first_failure(outcomes: Vec<Result<(), NetError>>) -> Result<(), NetError> {
    let (stopped, failed): (Vec<NetError>, Vec<NetError>) = outcomes
        .into_iter()
        .filter_map(Result::err)
        .partition(|error| matches!(error, NetError::Interrupted(_)));
    failed.into_iter().chain(stopped).next().map_or(Ok(()), Err)
}

/// What a thread of a download sees of its job.
#[derive(Clone)]
struct Lane {
    flags: Arc<Flags>,
    /// Another lane failed, so this one may stop as well.
    has_failed: Arc<AtomicBool>,
    count: Arc<AtomicU64>,
    words: Arc<Mutex<String>>,
}

impl Lane {
    fn new(flags: Arc<Flags>) -> Self {
        Self {
            flags,
            has_failed: Arc::default(),
            count: Arc::default(),
            words: Arc::default(),
        }
    }

    fn beside(&self, has_failed: &Arc<AtomicBool>) -> Self {
        Self {
            has_failed: Arc::clone(has_failed),
            ..self.clone()
        }
    }

    fn counting(&self, count: &Arc<AtomicU64>) -> Self {
        Self {
            count: Arc::clone(count),
            ..self.clone()
        }
    }

    fn words(&self) -> Option<String> {
        let words = self.words.lock().unwrap_or_else(PoisonError::into_inner);
        Some(words.clone()).filter(|words| !words.is_empty())
    }
}

impl Watch for Lane {
    fn check(&self) -> Result<(), Interrupted> {
        self.flags.check(|| self.has_failed.load(Ordering::Relaxed))
    }

    fn wait(&self, time: Duration) -> Result<(), Interrupted> {
        let is_over = || self.has_failed.load(Ordering::Relaxed);
        self.flags.wait(time, is_over)
    }

    fn has(&self, bytes: u64) {
        self.count.store(bytes, Ordering::Relaxed);
    }

    fn tell(&self, words: &str) {
        words.clone_into(&mut self.words.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// A repository as people write it: `owner/name`, or its page's address.
fn repository_name(source: &str) -> Result<String, JobError> {
    let path = source.split_once("://").map_or(source, |(_, rest)| {
        rest.split_once('/').map_or("", |(_, path)| path)
    });
    let path = path.trim_matches('/');
    let parts: Vec<&str> = path.split('/').take(2).collect();
    let is_plain = |part: &&str| {
        !part.is_empty()
            && part
                .chars()
                .all(|sign| sign.is_ascii_alphanumeric() || "-_.".contains(sign))
    };
    if parts.len() == 2 && parts.iter().all(is_plain) && net::is_safe_name(path) {
        return Ok(parts.join("/"));
    }
    Err(JobError::UnknownSource {
        name: source.to_owned(),
        known: shelf::known_models()
            .into_iter()
            .map(|known| known.name)
            .collect(),
    })
}

/// The last part of a repository's name, which names its folder.
fn plain_name(source: &str) -> String {
    let name = repository_name(source).unwrap_or_default();
    name.rsplit('/').next().unwrap_or_default().to_owned()
}

/// What files make up, where nobody knows it beforehand.
fn kind_of(files: &[RemoteFile]) -> ModelKind {
    let has = |name: &str| files.iter().any(|file| file.name == name);
    let is_checkpoint = |file: &RemoteFile| {
        Path::new(&file.name)
            .extension()
            .is_some_and(|ending| ending == "ckpt")
    };
    match () {
        () if has("adapter_config.json") => ModelKind::Adapter,
        () if files.iter().all(is_checkpoint) => ModelKind::Predictor,
        () => ModelKind::Model,
    }
}

fn nothing_wanted(repository: &Repository, include: &[String]) -> NetError {
    let mut example: Vec<&str> = repository
        .files
        .iter()
        .map(|file| file.name.as_str())
        .take(6)
        .collect();
    if repository.files.len() > example.len() {
        example.push("…");
    }
    NetError::NothingWanted {
        repository: repository.name.clone(),
        reason: match include {
            [] => {
                "looks like a model (weights, configuration, tokenizer); name files with --include"
                    .to_owned()
            }
            patterns => format!("matches {}", patterns.join(", ")),
        },
        example: match example.as_slice() {
            [] => "no files at all".to_owned(),
            names => names.join(", "),
        },
    }
}

/// Bytes of a folder's files, parts included.
pub(super) fn folder_bytes(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.file_type() {
            Ok(kind) if kind.is_dir() => folder_bytes(&entry.path()),
            _ => fs::metadata(entry.path()).map_or(0, |meta| meta.len()),
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_is_known_by_its_name_or_its_page() {
        for source in [
            "Qwen/Qwen2.5-VL-7B-Instruct",
            "https://hub.example/Qwen/Qwen2.5-VL-7B-Instruct",
            "https://hub.example/Qwen/Qwen2.5-VL-7B-Instruct/tree/main",
        ] {
            assert_eq!(
                repository_name(source).ok().as_deref(),
                Some("Qwen/Qwen2.5-VL-7B-Instruct")
            );
            assert_eq!(plain_name(source), "Qwen2.5-VL-7B-Instruct");
        }
        for source in [
            "",
            "gpt",
            "a/../b",
            "../etc",
            "a b/c",
            "a//",
            "https://hub.example",
        ] {
            assert!(repository_name(source).is_err(), "{source}");
        }
    }

    #[test]
    fn what_files_make_up_is_seen_by_their_names() {
        let files = |names: &[&str]| -> Vec<RemoteFile> {
            let file = |name: &&str| RemoteFile {
                name: (*name).to_owned(),
                bytes: None,
                sha256: None,
            };
            names.iter().map(file).collect()
        };
        let adapter = files(&["adapter_config.json", "adapter_model.safetensors"]);
        assert_eq!(kind_of(&adapter), ModelKind::Adapter);
        assert_eq!(kind_of(&files(&["a/b.ckpt"])), ModelKind::Predictor);
        assert_eq!(
            kind_of(&files(&["config.json", "b.ckpt"])),
            ModelKind::Model
        );
    }
}
