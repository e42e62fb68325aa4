//! `assay models fetch`, `add`, `check` and `list` against a hub on this machine: the files of the small model stand in
//! for a large one.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use crate::hub_server::Fault;
use crate::hub_server::HubServer;
use crate::hub_server::noise;
use crate::hub_server::sha256;
use crate::world::Answer;
use crate::world::World;

/// A token that must show up nowhere.
const TOKEN: &str = "hf_neverToBeSeen";

/// Nobody listens here.
const NOBODY: &str = "http://127.0.0.1:9";

fn mini(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("models/mini")
        .join(name);
    fs::read(path).expect("the small model lies in the repository")
}

/// The small model as a repository of a hub.
fn small_model() -> Vec<(&'static str, Vec<u8>)> {
    let names = ["config.json", "tokenizer.json", "model.safetensors"];
    let mut files: Vec<(&str, Vec<u8>)> = names.iter().map(|name| (*name, mini(name))).collect();
    files.push(("README.md", b"not needed".to_vec()));
    files
}

fn run(world: &World, endpoint: &str, arguments: &[&str]) -> Answer {
    let variables = [("HF_ENDPOINT", endpoint), ("HF_TOKEN", TOKEN)];
    let answer = world.run_with(&variables, arguments);
    assert!(
        !answer.stderr.contains(TOKEN) && !answer.stdout.contains(TOKEN),
        "the token was said"
    );
    answer
}

/// Every file below a folder that is text.
fn texts(folder: &Path) -> String {
    let mut text = String::new();
    for path in fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
    {
        if path.is_dir() {
            text.push_str(&texts(&path));
        } else {
            text.push_str(&String::from_utf8_lossy(
                &fs::read(&path).unwrap_or_default(),
            ));
        }
    }
    text
}

#[test]
fn a_fetched_model_is_listed_whole_and_can_be_loaded() {
    let world = World::new();
    let (server, _cdn) = HubServer::with_cdn(&small_model());
    let hub = server.url();
    let asked = run(&world, &hub, &["models", "fetch", "o/n"]);
    assert_eq!(asked.code, Some(1), "without a yes nothing is fetched");
    assert!(
        asked.stderr.contains("licence: apache-2.0"),
        "{}",
        asked.stderr
    );
    assert!(asked.stderr.contains("3 files"), "{}", asked.stderr);
    assert!(!world.path("home/models/n").exists());

    let fetched = run(&world, &hub, &["models", "fetch", "o/n", "--yes", "--json"]);
    assert_eq!(fetched.code, Some(0), "{}", fetched.stderr);
    assert_eq!(fetched.json()["done"], 3);
    assert!(
        server.requests("README.md").is_empty(),
        "only what a model needs"
    );
    assert!(!texts(&world.path("home")).contains(TOKEN));

    let listed = run(&world, NOBODY, &["models", "list", "--json"]).json();
    let models = listed["models"].as_array().expect("a list");
    let card = models
        .iter()
        .find(|card| card["tag"]["name"] == "n")
        .expect("it is listed");
    assert_eq!(card["licence"], "apache-2.0");
    assert_eq!(card["architecture"], "minicpm-v-2.5");
    assert_eq!(listed["half_downloads"], serde_json::json!([]));

    let checked = run(&world, NOBODY, &["models", "check", "n"]);
    assert_eq!(checked.code, Some(0), "{}", checked.stderr);
    assert!(
        checked.stdout.contains("All 3 files are whole"),
        "{}",
        checked.stdout
    );
    let loaded = run(
        &world,
        NOBODY,
        &["models", "check", "--model", "n", "--json"],
    );
    assert_eq!(loaded.code, Some(0), "{}", loaded.stderr);

    let again = run(&world, &hub, &["models", "fetch", "o/n", "--yes", "--json"]).json();
    assert_eq!(again["skipped"], 3);
    assert_eq!(server.requests("model.safetensors").len(), 1);
}

#[test]
fn a_killed_download_goes_on_and_is_never_taken_for_whole() {
    let world = World::new();
    let big = noise(40 * 1024 * 1024, 3);
    let mut files = small_model();
    files.push(("model-2.safetensors", big.clone()));
    let server = HubServer::with(&files);
    server.plant("model-2.safetensors", &[Fault::Slow(20 * 1024 * 1024)]);
    let hub = server.url();
    let variables = [("HF_ENDPOINT", hub.as_str()), ("HF_TOKEN", TOKEN)];
    let mut child = world.start_with(&variables, &["models", "fetch", "o/n", "--yes"]);
    let part = world.path("home/models/n/model-2.safetensors.part");
    let begun = Instant::now();
    while fs::metadata(&part).map_or(0, |meta| meta.len()) < 12 * 1024 * 1024 {
        assert!(begun.elapsed() < Duration::from_mins(1), "nothing came");
        thread::sleep(Duration::from_millis(5));
    }
    // `kill` is SIGKILL.
    child.kill().expect("it runs");
    child.wait().expect("the killed program is collected");

    let listed = run(&world, NOBODY, &["models", "list", "--json"]).json();
    let half = &listed["half_downloads"][0];
    assert_eq!(half["name"], "n");
    assert!(half["present"].as_u64() < half["bytes"].as_u64(), "{half}");
    let names: Vec<&str> = listed["models"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|card| card["tag"]["name"].as_str())
        .collect();
    assert!(!names.contains(&"n"), "{names:?}");
    let used = run(&world, NOBODY, &["models", "check", "--model", "n"]);
    assert_eq!(used.code, Some(1), "a half model is not loaded");

    // The licence was accepted: the same command goes on without asking.
    let fetched = run(&world, &hub, &["models", "fetch", "o/n", "--json"]);
    assert_eq!(fetched.code, Some(0), "{}", fetched.stderr);
    let found =
        fs::read(world.path("home/models/n/model-2.safetensors")).expect("the file is there");
    assert_eq!(sha256(&found), sha256(&big));
    let requests = server.requests("model-2.safetensors");
    let from = requests[1]
        .headers
        .get("range")
        .cloned()
        .unwrap_or_default();
    assert!(
        from.starts_with("bytes=") && from != "bytes=0-",
        "it began anew: {from:?}"
    );
    assert!(!texts(&world.path("home")).contains(TOKEN));
    assert!(!world.path("home/models/n/download.json").exists());
}

#[test]
fn a_file_that_rotted_is_found_and_mended() {
    let world = World::new();
    let server = HubServer::with(&small_model());
    let hub = server.url();
    let fetched = run(&world, &hub, &["models", "fetch", "o/n", "--yes"]);
    assert_eq!(fetched.code, Some(0), "{}", fetched.stderr);
    let path = world.path("home/models/n/model.safetensors");
    let mut bytes = fs::read(&path).expect("the file is there");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, bytes).expect("the world can be written");

    let checked = run(&world, NOBODY, &["models", "check", "n"]);
    assert_eq!(checked.code, Some(1));
    assert!(
        checked.stderr.contains("model.safetensors has other bytes"),
        "{}",
        checked.stderr
    );
    let listed = run(&world, NOBODY, &["models", "list"]).stdout;
    assert!(listed.contains("n (not whole)"), "{listed}");
    let mended = run(&world, &hub, &["models", "fetch", "o/n"]);
    assert_eq!(mended.code, Some(0), "{}", mended.stderr);
    assert_eq!(run(&world, NOBODY, &["models", "check", "n"]).code, Some(0));
}

#[test]
fn a_download_goes_on_with_its_commit_and_never_mixes_two() {
    let world = World::new();
    let server = HubServer::with(&small_model());
    let hub = server.url();
    let fetched = run(&world, &hub, &["models", "fetch", "o/n", "--yes"]);
    assert_eq!(fetched.code, Some(0), "{}", fetched.stderr);
    let path = |name: &str| world.path("home/models/n").join(name);
    fs::remove_file(path("tokenizer.json")).expect("the file is there");
    let checked = run(&world, NOBODY, &["models", "check", "n"]);
    assert_eq!(checked.code, Some(1), "it is a half download again");

    // The branch moves on: files of the same sizes and other bytes.
    let mut weights = mini("model.safetensors");
    let middle = weights.len() / 2;
    weights[middle] ^= 1;
    let mut config = mini("config.json");
    config.push(b' ');
    server.put("config.json", config.clone());
    server.put("model.safetensors", weights.clone());
    server.list(serde_json::json!({ "sha": "beef".repeat(10) }));
    let former = format!("/revision/{}", "c0ffee00".repeat(5));
    assert!(server.requests(&former).is_empty());
    let gone = vec![("X-Error-Code", "RevisionNotFound".to_owned())];
    server.plant_always(&former, Fault::Answer(404, gone, String::new()));

    let mended = run(&world, &hub, &["models", "fetch", "o/n"]);
    assert_eq!(mended.code, Some(0), "{}", mended.stderr);
    assert!(!server.requests(&former).is_empty(), "it was not asked for");
    let read = |name: &str| fs::read(path(name)).expect("the file is there");
    assert_eq!(read("config.json"), config);
    assert_eq!(sha256(&read("model.safetensors")), sha256(&weights));
    let checked = run(&world, NOBODY, &["models", "check", "n"]);
    assert_eq!(checked.code, Some(0), "{}", checked.stderr);
}

#[test]
fn a_folder_is_added_without_a_network_and_only_read() {
    let world = World::new();
    let folder = world.path("data/my model");
    fs::create_dir_all(&folder).expect("the world can be written");
    for (name, bytes) in small_model() {
        fs::write(folder.join(name), bytes).expect("the world can be written");
    }
    let before = texts(&folder);
    let added = run(&world, NOBODY, &["models", "add", "data/my model"]);
    assert_eq!(added.code, Some(0), "{}", added.stderr);
    let loaded = run(
        &world,
        NOBODY,
        &["models", "check", "--model", "my model", "--json"],
    );
    assert_eq!(loaded.code, Some(0), "{}", loaded.stderr);
    let listed = run(&world, NOBODY, &["models", "list"]).stdout;
    assert!(listed.contains("my model (minicpm-v-2.5"), "{listed}");
    assert_eq!(texts(&folder), before);
    assert_eq!(
        fs::read_dir(&folder).expect("a folder").count(),
        4,
        "nothing was written into it"
    );

    // The disk is unplugged: the model says what it lacks and comes back with it.
    fs::rename(&folder, world.path("data/away")).expect("the world can be written");
    let gone = run(&world, NOBODY, &["models", "check", "my model"]);
    assert_eq!(gone.code, Some(1));
    assert!(gone.stderr.contains("lacks"), "{}", gone.stderr);
    fs::rename(world.path("data/away"), &folder).expect("the world can be written");
    assert_eq!(
        run(&world, NOBODY, &["models", "check", "my model"]).code,
        Some(0)
    );
}

#[test]
fn a_folder_that_is_no_whole_model_is_refused_with_what_it_lacks() {
    let world = World::new();
    fs::create_dir(world.path("half")).expect("the world can be written");
    world.write("half/config.json", "{}");
    let refused = run(&world, NOBODY, &["models", "add", "half"]);
    assert_eq!(refused.code, Some(1));
    assert!(
        refused.stderr.contains("lacks tokenizer.json"),
        "{}",
        refused.stderr
    );
    assert!(!world.path("home/models/half").exists());
    let nothing = run(&world, NOBODY, &["models", "add", "nowhere"]);
    assert!(nothing.stderr.contains("nowhere"), "{}", nothing.stderr);
}

#[test]
fn a_download_never_writes_over_a_file_of_the_users() {
    let world = World::new();
    let server = HubServer::with(&small_model());
    fs::create_dir(world.path("mine")).expect("the world can be written");
    world.write("mine/config.json", "my own notes");
    let refused = run(
        &world,
        &server.url(),
        &["models", "fetch", "o/n", "--to", "mine", "--yes"],
    );
    assert_eq!(refused.code, Some(1));
    assert!(
        refused.stderr.contains("left as it is"),
        "{}",
        refused.stderr
    );
    assert_eq!(
        fs::read_to_string(world.path("mine/config.json"))
            .ok()
            .as_deref(),
        Some("my own notes")
    );

    let fetched = run(
        &world,
        &server.url(),
        &["models", "fetch", "o/n", "--to", "elsewhere", "--yes"],
    );
    assert_eq!(fetched.code, Some(0), "{}", fetched.stderr);
    let listed = run(&world, NOBODY, &["models", "list"]).stdout;
    assert!(listed.contains("home/models/elsewhere"), "{listed}");
}

#[test]
fn only_what_matches_is_fetched_and_nothing_that_does_is_said() {
    let world = World::new();
    let server = HubServer::with(&[
        ("a/best=1.ckpt", b"weights".to_vec()),
        ("b/other.ckpt", b"w".to_vec()),
    ]);
    let hub = server.url();
    let nothing = run(&world, &hub, &["models", "fetch", "o/n", "--yes"]);
    assert!(
        nothing.stderr.contains("looks like a model"),
        "{}",
        nothing.stderr
    );
    assert!(
        nothing.stderr.contains("a/best=1.ckpt"),
        "{}",
        nothing.stderr
    );
    let fetched = run(
        &world,
        &hub,
        &["models", "fetch", "o/n", "--include", "a/*", "--yes"],
    );
    assert_eq!(fetched.code, Some(0), "{}", fetched.stderr);
    assert!(world.path("home/models/n/a/best=1.ckpt").is_file());
    assert!(!world.path("home/models/n/b").exists());
    let listed = run(&world, NOBODY, &["models", "list"]).stdout;
    assert!(listed.contains("n (predictor"), "{listed}");
}

#[test]
fn without_a_network_the_command_says_so_and_what_else_to_do() {
    let world = World::new();
    let answer = run(
        &world,
        NOBODY,
        &["models", "fetch", "qwen2.5-vl-7b", "--yes"],
    );
    assert_eq!(answer.code, Some(1));
    assert!(
        answer.stderr.contains("cannot reach 127.0.0.1:9"),
        "{}",
        answer.stderr
    );
    assert!(
        answer.stderr.contains("needs no network"),
        "{}",
        answer.stderr
    );
    let unknown = run(&world, NOBODY, &["models", "fetch", "gpt"]);
    assert!(
        unknown.stderr.contains("minicpm-llama3-v-2.5"),
        "{}",
        unknown.stderr
    );
}
