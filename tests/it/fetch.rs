//! Downloads of models: whatever hubs, networks and kills do, a file is whole or it is not there, and nothing that came
//! is fetched twice without need.

use std::cell::Cell;
use std::cell::RefCell;
use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use assay::domain::Interrupted;
use assay::net::Download;
use assay::net::Hub;
use assay::net::NetError;
use assay::net::Patience;
use assay::net::Repository;
use assay::net::Secret;
use assay::net::Watch;
use serde_json::json;
use tempfile::TempDir;

use crate::hub_server::Fault;
use crate::hub_server::HubServer;
use crate::hub_server::noise;
use crate::hub_server::sha256;

/// The large file of the stories: bigger than what is forced to the disk at once, so that there are safe bytes.
const BIG: usize = 20 * 1024 * 1024;

/// A token that must show up nowhere.
const TOKEN: &str = "hf_neverToBeSeen";

/// Waits that are over at once, and counted.
const IMPATIENT: Patience = Patience {
    max_tries: 4,
    first_wait: Duration::from_millis(1),
    longest_wait: Duration::from_millis(4),
    longest_asked: Duration::from_secs(5),
};

/// Listens, and stops after so many bytes if it is told to.
#[derive(Default)]
struct Listener {
    stop_at: Option<u64>,
    has: Cell<u64>,
    waits: RefCell<Vec<Duration>>,
    words: RefCell<Vec<String>>,
}

impl Watch for Listener {
    fn check(&self) -> Result<(), Interrupted> {
        match self.stop_at {
            Some(stop_at) if self.has.get() >= stop_at => Err(Interrupted),
            _ => Ok(()),
        }
    }

    fn wait(&self, time: Duration) -> Result<(), Interrupted> {
        self.waits.borrow_mut().push(time);
        Ok(())
    }

    fn has(&self, bytes: u64) {
        self.has.set(bytes);
    }

    fn tell(&self, words: &str) {
        self.words.borrow_mut().push(words.to_owned());
    }
}

/// A hub with one big and one small file, a place to fetch to, and somebody who listens.
struct Story {
    server: HubServer,
    folder: TempDir,
    big: Vec<u8>,
    listener: Listener,
}

impl Story {
    fn new() -> Self {
        Self::of_size(BIG)
    }

    fn of_size(len: usize) -> Self {
        let big = noise(len, 7);
        let files = [
            ("model.safetensors", big.clone()),
            ("config.json", b"{}".to_vec()),
        ];
        Self {
            server: HubServer::with(&files),
            folder: tempfile::tempdir().expect("a folder for temporary files"),
            big,
            listener: Listener::default(),
        }
    }

    fn hub(&self) -> Hub {
        hub(&self.server)
    }

    fn repository(&self) -> Result<Repository, NetError> {
        self.hub().repository("o/n", "main", &self.listener)
    }

    fn target(&self) -> PathBuf {
        self.folder.path().join("model.safetensors")
    }

    fn fetch(&self) -> Result<(), NetError> {
        let hub = self.hub();
        let repository = hub.repository("o/n", "main", &Listener::default())?;
        fetch(
            &hub,
            &repository,
            "model.safetensors",
            &self.target(),
            &self.listener,
        )
    }

    /// The file is there, whole, and nothing is left beside it.
    fn is_whole(&self) {
        let found = fs::read(self.target()).expect("the file is there");
        assert_eq!(sha256(&found), sha256(&self.big));
        assert_eq!(names(self.folder.path()), ["model.safetensors"]);
    }

    /// There is no file of that name.
    fn is_not_there(&self) {
        assert!(!self.target().exists(), "a part was taken for the whole");
    }

    /// First bytes that were asked for, request by request.
    fn asked(&self) -> Vec<u64> {
        let from = |range: &String| {
            range
                .strip_prefix("bytes=")?
                .strip_suffix('-')?
                .parse()
                .ok()
        };
        let requests = self.server.requests("model.safetensors");
        let ranges = requests.iter().map(|request| request.headers.get("range"));
        ranges
            .map(|range| range.and_then(from).unwrap_or(0))
            .collect()
    }
}

fn hub(server: &HubServer) -> Hub {
    let hub = Hub::at(&server.url(), Secret::new(TOKEN), 1).expect("an address");
    hub.with_patience(IMPATIENT)
}

fn fetch(
    hub: &Hub,
    repository: &Repository,
    name: &str,
    target: &Path,
    watch: &dyn Watch,
) -> Result<(), NetError> {
    let file = repository
        .files
        .iter()
        .find(|file| file.name == name)
        .expect("it is listed");
    Download {
        hub,
        repository,
        file,
        target,
    }
    .run(watch)
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .expect("a folder")
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

fn refused(status: u16, code: &str) -> Fault {
    Fault::Answer(
        status,
        vec![("X-Error-Code", code.to_owned())],
        String::new(),
    )
}

/// What came of a download, in the words that people read.
fn words(result: Result<(), NetError>) -> String {
    let error = result.expect_err("it cannot work").to_string();
    assert!(
        !error.contains(TOKEN) && !error.contains("very-secret"),
        "{error}"
    );
    error
}

#[test]
fn a_file_comes_whole() {
    let story = Story::new();
    story.fetch().expect("nothing is wrong");
    story.is_whole();
    assert_eq!(story.listener.has.get(), BIG as u64);
    // A second time nothing is asked for.
    story.fetch().expect("nothing is wrong");
    assert_eq!(story.asked(), [0]);
}

#[test]
fn a_connection_that_breaks_is_taken_up_where_it_broke() {
    let story = Story::new();
    let third = BIG / 3;
    story.server.plant(
        "model.safetensors",
        &[
            Fault::CutAfter(third),
            Fault::CutAfter(third),
            Fault::Silence,
        ],
    );
    story.fetch().expect("it goes on");
    story.is_whole();
    let asked = story.asked();
    assert_eq!(asked[0], 0);
    assert_eq!(asked.len(), 4, "{asked:?}");
    assert!(
        asked[1] > 0 && asked[2] > asked[1] && asked[3] == asked[2],
        "{asked:?}"
    );
    let marks = story.server.requests("model.safetensors");
    assert_eq!(
        marks[1].headers.get("if-range"),
        Some(&format!("\"{}\"", sha256(&story.big)))
    );
}

#[test]
fn a_hundred_breaks_are_no_reason_to_give_up_while_bytes_come_through() {
    let story = Story::of_size(1_000_000);
    story
        .server
        .plant_always("model.safetensors", Fault::CutAfter(20_000));
    story.fetch().expect("it gets there in small steps");
    story.is_whole();
    assert!(story.asked().len() >= 50);
}

#[test]
fn breaks_without_a_byte_end_with_what_came_kept() {
    let story = Story::new();
    story
        .server
        .plant("model.safetensors", &[Fault::CutAfter(BIG / 2)]);
    story
        .server
        .plant_always("model.safetensors", Fault::Silence);
    let error = words(story.fetch());
    assert!(error.contains("broke off 4 times in a row"), "{error}");
    story.is_not_there();
    story.server.mend();
    story.fetch().expect("the network is back");
    story.is_whole();
    assert!(
        story.asked().last() > Some(&(BIG as u64 / 4)),
        "{:?}",
        story.asked()
    );
}

#[test]
fn a_stop_keeps_what_came_and_the_next_run_goes_on_from_there() {
    let mut story = Story::new();
    story.listener.stop_at = Some(BIG as u64 / 2);
    assert!(matches!(story.fetch(), Err(NetError::Interrupted(_))));
    story.is_not_there();
    let kept = fs::metadata(story.folder.path().join("model.safetensors.part"))
        .expect("a part")
        .len();
    assert!(kept >= BIG as u64 / 2);
    story.listener = Listener::default();
    story.fetch().expect("it goes on");
    story.is_whole();
    assert_eq!(story.asked(), [0, kept]);
}

#[test]
fn after_a_power_cut_only_what_is_known_to_be_on_the_disk_counts() {
    let mut story = Story::new();
    story.listener.stop_at = Some(BIG as u64 / 2);
    assert!(story.fetch().is_err());
    // The file system kept the length and lost the bytes behind the last sync, as ext4 and XFS may.
    let part = story.folder.path().join("model.safetensors.part");
    let safe = fs::metadata(&part).expect("a part").len();
    let mut bytes = fs::read(&part).expect("a part");
    bytes.extend(vec![0; 300_000]);
    fs::write(&part, bytes).expect("the part can be written");
    story.listener = Listener::default();
    story.fetch().expect("it goes on");
    story.is_whole();
    assert_eq!(story.asked(), [0, safe]);
}

#[test]
fn a_part_that_rotted_is_noticed_and_fetched_anew() {
    let mut story = Story::new();
    story.listener.stop_at = Some(BIG as u64 / 2);
    assert!(story.fetch().is_err());
    let part = story.folder.path().join("model.safetensors.part");
    let mut bytes = fs::read(&part).expect("a part");
    bytes[1000] ^= 1;
    fs::write(&part, bytes).expect("the part can be written");
    story.listener = Listener::default();
    story.fetch().expect("the sum tells");
    story.is_whole();
    let asked = story.asked();
    assert_eq!((asked.len(), asked.last()), (3, Some(&0)), "{asked:?}");
}

#[test]
fn a_file_that_changed_on_the_hub_starts_anew() {
    let mut story = Story::new();
    story.listener.stop_at = Some(BIG as u64 / 2);
    assert!(story.fetch().is_err());
    story.big = noise(BIG, 8);
    story.server.put("model.safetensors", story.big.clone());
    story.listener = Listener::default();
    story.fetch().expect("the new one comes");
    story.is_whole();
    assert_eq!(story.asked(), [0, 0]);
}

#[test]
fn a_file_that_changes_behind_its_listing_is_noticed_by_its_mark() {
    let story = Story::new();
    let hub = story.hub();
    let mut repository = story.repository().expect("a listing");
    for file in &mut repository.files {
        file.sha256 = None;
    }
    let stopping = Listener {
        stop_at: Some(BIG as u64 / 2),
        ..Listener::default()
    };
    assert!(
        fetch(
            &hub,
            &repository,
            "model.safetensors",
            &story.target(),
            &stopping
        )
        .is_err()
    );
    let new = noise(BIG, 8);
    story.server.put("model.safetensors", new.clone());
    let again = fetch(
        &hub,
        &repository,
        "model.safetensors",
        &story.target(),
        &story.listener,
    );
    again.expect("the new one comes whole");
    assert_eq!(
        sha256(&fs::read(story.target()).expect("a file")),
        sha256(&new)
    );
}

#[test]
fn without_mark_and_sum_nothing_is_pieced_together() {
    let story = Story::new();
    story.server.forget_etags();
    let hub = story.hub();
    let mut repository = story.repository().expect("a listing");
    for file in &mut repository.files {
        file.sha256 = None;
    }
    let stopping = Listener {
        stop_at: Some(BIG as u64 / 2),
        ..Listener::default()
    };
    assert!(
        fetch(
            &hub,
            &repository,
            "model.safetensors",
            &story.target(),
            &stopping
        )
        .is_err()
    );
    fetch(
        &hub,
        &repository,
        "model.safetensors",
        &story.target(),
        &story.listener,
    )
    .expect("it comes");
    story.is_whole();
    assert_eq!(story.asked(), [0, 0]);
}

#[test]
fn a_server_without_ranges_sends_it_all_again() {
    let story = Story::new();
    story.server.plant(
        "model.safetensors",
        &[Fault::CutAfter(BIG / 2), Fault::NoRanges],
    );
    story.fetch().expect("it comes");
    story.is_whole();
}

#[test]
fn another_piece_than_the_asked_one_is_not_taken() {
    let story = Story::new();
    story.server.plant(
        "model.safetensors",
        &[Fault::CutAfter(BIG / 2), Fault::OtherPiece],
    );
    story.fetch().expect("it comes");
    story.is_whole();
}

#[test]
fn lengths_that_lie_end_it_and_leave_nothing() {
    for more in [-1000, 1000] {
        let story = Story::new();
        story
            .server
            .plant_always("model.safetensors", Fault::LengthOff(more));
        let error = words(story.fetch());
        let said = format!(
            "should have {BIG} bytes and the server sends {}",
            BIG as i64 + more
        );
        assert!(error.contains(&said), "{error}");
        assert_eq!(names(story.folder.path()), Vec::<String>::new());
    }
}

#[test]
fn wrong_bytes_are_fetched_once_more_and_then_named() {
    let story = Story::new();
    story
        .server
        .plant("model.safetensors", &[Fault::WrongBytes]);
    story.fetch().expect("the second time is right");
    story.is_whole();

    let story = Story::new();
    story
        .server
        .plant_always("model.safetensors", Fault::WrongBytes);
    let error = words(story.fetch());
    assert!(
        error.contains(&sha256(&story.big)) && error.contains("twice"),
        "{error}"
    );
    assert_eq!(names(story.folder.path()), Vec::<String>::new());
    assert_eq!(story.asked(), [0, 0]);
}

#[test]
fn a_busy_hub_is_waited_for_as_long_as_it_asks() {
    let story = Story::new();
    let busy = |status| Fault::Answer(status, vec![("Retry-After", "2".to_owned())], String::new());
    story
        .server
        .plant("model.safetensors", &[busy(429), busy(503)]);
    story.fetch().expect("it comes in the end");
    story.is_whole();
    let waits = story.listener.waits.borrow();
    assert!(
        waits.iter().all(|wait| *wait >= Duration::from_secs(2)),
        "{waits:?}"
    );
    assert_eq!(waits.len(), 2);
    assert!(
        story
            .listener
            .words
            .borrow()
            .iter()
            .any(|words| words.contains("is busy"))
    );
}

#[test]
fn a_hub_that_asks_for_hours_is_not_waited_for() {
    let story = Story::new();
    let busy = Fault::Answer(
        429,
        vec![("Retry-After", "10800".to_owned())],
        String::new(),
    );
    story.server.plant_always("model.safetensors", busy);
    let error = words(story.fetch());
    assert!(error.contains("come back in 3 h"), "{error}");
    assert_eq!(story.asked().len(), 1);
}

#[test]
fn a_hub_that_is_always_busy_is_given_up() {
    let story = Story::new();
    story
        .server
        .plant_always("model.safetensors", refused(503, "Busy"));
    let error = words(story.fetch());
    assert!(error.contains("busy (status 503)"), "{error}");
    assert_eq!(story.asked().len(), 4);
}

#[test]
fn large_files_come_from_a_second_host_that_never_hears_the_token() {
    let big = noise(BIG, 7);
    let (server, cdn) = HubServer::with_cdn(&[("model.safetensors", big.clone())]);
    let folder = tempfile::tempdir().expect("a folder for temporary files");
    let target = folder.path().join("model.safetensors");
    cdn.plant("model.safetensors", &[Fault::CutAfter(BIG / 2)]);
    let hub = hub(&server);
    let listener = Listener::default();
    let repository = hub.repository("o/n", "main", &listener).expect("a listing");
    fetch(&hub, &repository, "model.safetensors", &target, &listener).expect("it comes");
    assert_eq!(sha256(&fs::read(&target).expect("a file")), sha256(&big));
    let told = |server: &HubServer| {
        let requests = server.requests("model.safetensors");
        let tokens = requests
            .iter()
            .map(|request| request.headers.get("authorization").cloned());
        tokens.collect::<Vec<_>>()
    };
    let bearer = Some(format!("Bearer {TOKEN}"));
    assert_eq!(told(&server), [bearer.clone(), bearer]);
    assert_eq!(told(&cdn), [None, None]);
    let resumed = cdn.requests("model.safetensors");
    assert!(
        resumed[1].headers.contains_key("range"),
        "the range goes to the second host as well"
    );
}

#[test]
fn redirects_without_end_and_to_odd_places_end_it() {
    let story = Story::new();
    let to = |place: &str| Fault::Answer(302, vec![("Location", place.to_owned())], String::new());
    story
        .server
        .plant_always("model.safetensors", to("model.safetensors"));
    let error = words(story.fetch());
    assert!(error.contains("from one address to the next"), "{error}");
    story
        .server
        .plant_always("model.safetensors", to("file:///etc/passwd"));
    let error = words(story.fetch());
    assert!(error.contains("not followed"), "{error}");
}

#[test]
fn a_web_page_in_place_of_a_file_is_not_taken_for_it() {
    let story = Story::new();
    let page = |status| {
        let headers = vec![("Content-Type", "text/html; charset=utf-8".to_owned())];
        Fault::Answer(
            status,
            headers,
            "<html>Please sign in to the network</html>".to_owned(),
        )
    };
    story.server.plant_always("model.safetensors", page(200));
    let error = words(story.fetch());
    assert!(
        error.contains("a web page came in place of model.safetensors"),
        "{error}"
    );
    story.is_not_there();
    story.server.plant_always("revision/main", page(200));
    let error = story.repository().expect_err("no listing").to_string();
    assert!(
        error.contains("a web page came in place of the list of files"),
        "{error}"
    );
}

#[test]
fn refusals_say_what_to_do() {
    for (ending, fault, expected) in [
        (
            "revision/main",
            refused(403, "GatedRepo"),
            "accept it there, then set HF_TOKEN",
        ),
        (
            "revision/main",
            refused(401, "RepoNotFound"),
            "has no repository o/n, or it is private",
        ),
        (
            "revision/main",
            refused(404, "RevisionNotFound"),
            "o/n has no revision main",
        ),
        (
            "revision/main",
            Fault::Answer(401, Vec::new(), String::new()),
            "does not accept the token",
        ),
        (
            "model.safetensors",
            refused(403, "GatedRepo"),
            "accept it there",
        ),
        (
            "model.safetensors",
            refused(404, "EntryNotFound"),
            "has no file model.safetensors",
        ),
        (
            "model.safetensors",
            Fault::Answer(404, Vec::new(), String::new()),
            "has no file model.safetensors",
        ),
        (
            "model.safetensors",
            Fault::Answer(451, Vec::new(), format!("not here, {TOKEN}")),
            "with status 451: not here, [key]",
        ),
    ] {
        let story = Story::new();
        story.server.plant_always(ending, fault);
        let error = words(story.fetch());
        assert!(error.contains(expected), "{error}");
        story.is_not_there();
    }
}

#[test]
fn a_listing_that_is_none_or_leaves_the_folder_is_refused() {
    let story = Story::new();
    story.server.plant(
        "revision/main",
        &[Fault::Answer(200, Vec::new(), "[1, 2".to_owned())],
    );
    let error = story.repository().expect_err("no listing").to_string();
    assert!(
        error.contains("something else than was expected"),
        "{error}"
    );
    story
        .server
        .list(json!({ "siblings": [{ "rfilename": "../model.toml", "size": 3 }] }));
    let error = story.repository().expect_err("no listing").to_string();
    assert!(error.contains("../model.toml"), "{error}");
}

#[test]
fn nobody_at_the_address_is_said_at_once() {
    let hub = Hub::at("http://127.0.0.1:9", None, 1).expect("an address");
    let hub = hub.with_patience(IMPATIENT);
    let error = hub
        .repository("o/n", "main", &Listener::default())
        .expect_err("nobody is there");
    assert!(matches!(error, NetError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains("needs no network"), "{error}");
}

#[test]
fn two_downloads_of_one_file_do_not_mix() {
    struct Intruder<'a>(&'a Story, RefCell<Option<String>>);
    impl Watch for Intruder<'_> {
        fn check(&self) -> Result<(), Interrupted> {
            Ok(())
        }
        fn wait(&self, _time: Duration) -> Result<(), Interrupted> {
            Ok(())
        }
        fn has(&self, bytes: u64) {
            if bytes > 0 && self.1.borrow().is_none() {
                *self.1.borrow_mut() = Some(words(self.0.fetch()));
            }
        }
        fn tell(&self, _words: &str) {}
    }
    let story = Story::new();
    let hub = story.hub();
    let repository = story.repository().expect("a listing");
    let intruder = Intruder(&story, RefCell::new(None));
    fetch(
        &hub,
        &repository,
        "model.safetensors",
        &story.target(),
        &intruder,
    )
    .expect("the first one goes on");
    story.is_whole();
    let said = intruder.1.borrow().clone().unwrap_or_default();
    assert!(
        said.contains("another download writes here already"),
        "{said}"
    );
}
