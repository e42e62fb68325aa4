//! `assay teach` against teachers on this machine that speak the real wire formats, with the faults they really make.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::io::BufRead as _;
use std::io::BufReader;
use std::io::Read as _;
use std::io::Write as _;
use std::net::TcpListener;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::thread;

use assay::domain::Origin;
use assay::domain::Split;
use assay::store::Project;
use serde_json::Value;
use serde_json::json;

use crate::world::Answer;
use crate::world::World;

/// Keys that must show up nowhere but in a header.
const KEYS: &str = "sk-firstNeverSeen,sk-secondNeverSeen";

/// A request as it came.
#[derive(Debug, Clone)]
struct Request {
    path: String,
    headers: BTreeMap<String, String>,
    body: Value,
}

/// What a teacher answers: status, headers, body.
type Reply = (u16, Vec<(&'static str, String)>, Value);

/// What decides an answer: the request, and how many came before it.
type Script = dyn Fn(&Request, usize) -> Reply + Send + Sync;

/// A teacher that does what its script says. It ends with the test's process.
#[derive(Clone)]
struct TeacherServer {
    url: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl TeacherServer {
    fn with(script: impl Fn(&Request, usize) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port on this machine");
        let url = format!("http://{}", listener.local_addr().expect("a bound port"));
        let server = Self {
            url,
            requests: Arc::default(),
        };
        let script: Arc<Script> = Arc::new(script);
        let accepted = server.clone();
        let listening = move || {
            for stream in listener.incoming().flatten() {
                let (server, script) = (accepted.clone(), Arc::clone(&script));
                let serving = move || server.serve(&stream, script.as_ref()).ok();
                thread::Builder::new()
                    .name("connection".to_owned())
                    .spawn(serving)
                    .expect("a thread");
            }
        };
        thread::Builder::new()
            .name("server".to_owned())
            .spawn(listening)
            .expect("a thread");
        server
    }

    fn serve(&self, mut stream: &TcpStream, script: &Script) -> io::Result<()> {
        let mut reader = BufReader::new(stream.try_clone()?);
        while let Some(request) = read_request(&mut reader)? {
            let number = {
                let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
                requests.push(request.clone());
                requests.len() - 1
            };
            let (status, headers, body) = script(&request, number);
            let body = body.to_string();
            let headers: String = headers
                .iter()
                .flat_map(|(name, value)| [name, ": ", value, "\r\n"])
                .collect();
            let len = body.len();
            let head = format!("HTTP/1.1 {status} Words\r\nContent-Length: {len}\r\n{headers}\r\n");
            stream.write_all((head + &body).as_bytes())?;
        }
        Ok(())
    }

    fn requests(&self) -> Vec<Request> {
        self.requests
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

fn read_request(reader: &mut BufReader<TcpStream>) -> io::Result<Option<Request>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut headers = BTreeMap::new();
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let len = headers
        .get("content-length")
        .and_then(|len| len.parse().ok())
        .unwrap_or(0);
    let mut body = vec![0; len];
    reader.read_exact(&mut body)?;
    let body = serde_json::from_slice(&body).unwrap_or_default();
    Ok(Some(Request {
        path,
        headers,
        body,
    }))
}

impl Request {
    /// The words that were put to the teacher.
    fn words(&self) -> String {
        let gemini = self.body.pointer("/contents/0/parts/1/text");
        let chat = self.body.pointer("/messages/0/content/0/text");
        gemini
            .or(chat)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    }
}

fn told() -> String {
    let text = "The picture shows soft bands of colour and no fine detail at all.";
    json!({ "quality": text, "correspondence": text, "authenticity": text }).to_string()
}

fn gemini(text: &str) -> Reply {
    let body = json!({
        "candidates": [{ "content": { "parts": [{ "text": text }], "role": "model" }, "finishReason": "STOP" }],
        "usageMetadata": { "promptTokenCount": 300, "candidatesTokenCount": 50, "totalTokenCount": 350 },
    });
    (200, Vec::new(), body)
}

fn chat(text: &str) -> Reply {
    let body = json!({
        "id": "c", "object": "chat.completion",
        "choices": [{ "index": 0, "message": { "role": "assistant", "content": text }, "finish_reason": "stop" }],
        "usage": { "prompt_tokens": 700, "completion_tokens": 60, "total_tokens": 760 },
    });
    (200, Vec::new(), body)
}

/// Six pictures with opinion scores that no text holds by chance: three to learn from, one to choose by, two to test.
fn world() -> World {
    let world = World::with_pictures(6);
    let splits = ["train", "train", "train", "val", "test", "test"];
    let rows = splits.iter().enumerate().map(|(number, split)| {
        format!("generator-{number}.png,prompt {number},2.7{number},4.1{number},{split}\n")
    });
    let table =
        "name,prompt,mos_quality,mos_correspondence,split\n".to_owned() + &rows.collect::<String>();
    world.write("pictures/data.csv", &table);
    let imported = world.run(&["import", "pictures", "--project", "taught.assay"]);
    assert_eq!(imported.code, Some(0), "{}", imported.stderr);
    world
}

fn teach(world: &World, server: &TeacherServer, kind: &str, more: &[&str]) -> Answer {
    let fixed = [
        "teach",
        "--project",
        "taught.assay",
        "--teacher",
        kind,
        "--teacher-model",
        "m-1",
        "--base",
        &server.url,
        "--key-variable",
        "TEST_KEYS",
    ];
    let arguments: Vec<&str> = fixed.iter().chain(more).copied().collect();
    let answer = world.run_with(&[("TEST_KEYS", KEYS)], &arguments);
    assert!(
        !(answer.stderr.clone() + &answer.stdout).contains("NeverSeen"),
        "a key was said: {}",
        answer.stderr
    );
    answer
}

fn project(world: &World) -> assay::domain::Catalog {
    let project = Project::open(&world.path("taught.assay")).expect("the project opens");
    project.catalog().expect("the catalog is read")
}

#[test]
fn scores_are_shown_for_the_training_list_alone_even_when_all_is_asked_for() {
    let world = world();
    let server = TeacherServer::with(|_, _| gemini(&told()));
    let answer = teach(&world, &server, "gemini", &["--split", "all", "--json"]);
    assert_eq!(answer.code, Some(0), "{}", answer.stderr);
    assert_eq!(answer.json()["done"], 18);
    let requests = server.requests();
    assert_eq!(requests.len(), 6, "all aspects in one request");
    for request in &requests {
        assert_eq!(request.path, "/v1beta/models/m-1:generateContent");
        assert!(request.headers["x-goog-api-key"].starts_with("sk-"));
        let number = (0..6).find(|number| {
            request.words().contains(&format!("\"prompt {number}\""))
                || request.words().contains(&format!("prompt {number}"))
        });
        let number = number.expect("the prompt is quoted");
        let is_shown = request.words().contains("2.7") || request.words().contains("4.1");
        assert_eq!(
            is_shown,
            number < 3,
            "picture {number}: {}",
            request.words()
        );
        assert_eq!(
            request.body["contents"][0]["parts"][0]["inline_data"]["mime_type"],
            "image/png"
        );
    }
    let catalog = project(&world);
    for told in catalog
        .descriptions
        .iter()
        .filter(|told| told.origin == Origin::Teacher)
    {
        let record = catalog
            .images
            .iter()
            .find(|record| record.id == told.image)
            .expect("its row");
        let is_training = *record.split.get(told.aspect) == Some(Split::Train);
        let shown = &told.made.settings["shown_score"];
        assert!(shown.is_null() || is_training, "{told:?}");
    }
    // No key in the project, its cache, or what leaves it.
    let exported = world.run(&[
        "export",
        "--project",
        "taught.assay",
        "--format",
        "jsonl",
        "--out",
        "out.jsonl",
    ]);
    assert_eq!(exported.code, Some(0), "{}", exported.stderr);
    for name in ["taught.assay", "out.jsonl"] {
        let bytes = fs::read(world.path(name)).expect("it is there");
        assert!(
            !String::from_utf8_lossy(&bytes).contains("NeverSeen"),
            "{name}"
        );
    }
}

#[test]
fn what_was_told_is_not_asked_for_again() {
    let world = world();
    let server = TeacherServer::with(|_, _| gemini(&told()));
    let first = teach(
        &world,
        &server,
        "gemini",
        &["--max-requests", "2", "--lanes", "3", "--json"],
    );
    assert_eq!(first.code, Some(0), "{}", first.stderr);
    assert_eq!(server.requests().len(), 2);
    assert!(
        first.json()["words"]
            .as_str()
            .is_some_and(|words| words.contains("budget")),
        "{}",
        first.stdout
    );
    let second = teach(&world, &server, "gemini", &["--json"]).json();
    assert_eq!(
        (&second["done"], &second["skipped"]),
        (&json!(3), &json!(6))
    );
    assert_eq!(server.requests().len(), 3);
    let third = teach(&world, &server, "gemini", &["--json"]).json();
    assert_eq!((&third["done"], &third["skipped"]), (&json!(0), &json!(9)));
    assert_eq!(server.requests().len(), 3);
}

#[test]
fn keys_take_turns_and_a_quota_is_waited_for() {
    let world = world();
    let server = TeacherServer::with(|request, _| {
        if request.headers["x-goog-api-key"].contains("first") {
            let retry =
                json!({ "@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "30s" });
            let error = json!({ "code": 429, "status": "RESOURCE_EXHAUSTED", "message": "Quota exceeded", "details": [retry] });
            return (429, Vec::new(), json!({ "error": error }));
        }
        gemini(&told())
    });
    let answer = teach(&world, &server, "gemini", &["--lanes", "1", "--json"]);
    assert_eq!(answer.code, Some(0), "{}", answer.stderr);
    let first = server
        .requests()
        .iter()
        .filter(|request| request.headers["x-goog-api-key"].contains("first"))
        .count();
    assert_eq!(
        first, 1,
        "it rests for the thirty seconds that were asked for"
    );
    assert_eq!(answer.json()["done"], 9);
}

#[test]
fn a_blocked_picture_is_listed_and_the_others_go_on() {
    let world = world();
    let server = TeacherServer::with(|request, _| match request.words().contains("prompt 1") {
        true => (
            200,
            Vec::new(),
            json!({ "promptFeedback": { "blockReason": "SAFETY" } }),
        ),
        false => gemini(&told()),
    });
    let answer = teach(&world, &server, "gemini", &["--json"]);
    assert_eq!(answer.code, Some(3));
    let value = answer.json();
    assert_eq!(value["done"], 6);
    let reason = value["failed"][0]["reason"].as_str().unwrap_or_default();
    assert!(reason.contains("SAFETY"), "{reason}");
    // It is noted in the project with every aspect that was asked for, until a teacher answers.
    let failures = project(&world).reviews.failures;
    assert_eq!(failures.len(), 3);
    assert!(failures[0].reason.contains("SAFETY") && failures[0].teacher == "m-1");
    let kinder = TeacherServer::with(|_, _| gemini(&told()));
    let answer = teach(&world, &kinder, "gemini", &["--json"]);
    assert_eq!(answer.json()["done"], 3);
    assert!(project(&world).reviews.failures.is_empty());
}

/// A session bus that nobody listens on, as on a server.
const NO_BUS: (&str, &str) = ("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent/bus");

#[test]
fn without_a_keyring_the_variable_is_named_and_the_key_is_not_said() {
    let world = World::new();
    let arguments = ["teach", "--teacher", "openai", "--keep-key"];
    let answer = world.run_fed(&[NO_BUS], &arguments, "sk-NeverSeen\n");
    assert_eq!(answer.code, Some(1));
    let said = answer.stderr + &answer.stdout;
    assert!(
        said.contains("OPENAI_API_KEY") && said.contains("no keyring"),
        "{said}"
    );
    assert!(!said.contains("NeverSeen"), "{said}");
    let empty = world.run_fed(&[NO_BUS], &arguments, "");
    assert!(empty.stderr.contains("no key came"), "{}", empty.stderr);
}

#[test]
fn a_makers_own_server_is_not_asked_without_a_key() {
    let world = world();
    let arguments = [
        "teach",
        "--project",
        "taught.assay",
        "--teacher",
        "gemini",
        "--teacher-model",
        "m-1",
    ];
    let variables = [NO_BUS, ("GEMINI_API_KEY", "")];
    let answer = world.run_with(&variables, &arguments);
    assert_eq!(answer.code, Some(1));
    assert!(
        answer
            .stderr
            .contains("there is no key for generativelanguage.googleapis.com")
            && answer.stderr.contains("GEMINI_API_KEY"),
        "{}",
        answer.stderr
    );
}

#[test]
fn a_teacher_is_greeted_before_anything_is_sent() {
    let world = World::new();
    let server = TeacherServer::with(|request, _| {
        if request
            .headers
            .get("authorization")
            .is_some_and(|key| key.contains("second"))
        {
            let error =
                json!({ "message": "Incorrect API key provided", "code": "invalid_api_key" });
            return (401, Vec::new(), json!({ "error": error }));
        }
        match request.path.as_str() {
            "/models" => (
                200,
                Vec::new(),
                json!({ "data": [{ "id": "m-1" }, { "id": "llava:latest" }] }),
            ),
            _ => (
                200,
                Vec::new(),
                json!({ "models": [{ "name": "models/m-1" }] }),
            ),
        }
    });
    let greet = |kind: &str, model: &str, keys: &str| {
        let arguments = [
            "teach",
            "--test",
            "--teacher",
            kind,
            "--teacher-model",
            model,
            "--base",
            &server.url,
            "--key-variable",
            "TEST_KEYS",
        ];
        world.run_with(&[("TEST_KEYS", keys)], &arguments)
    };
    for (kind, model) in [("openai", "m-1"), ("openai", "llava"), ("gemini", "m-1")] {
        let answer = greet(kind, model, "sk-first");
        assert_eq!(answer.code, Some(0), "{kind} {model}: {}", answer.stderr);
        assert!(answer.stdout.contains("takes the key"), "{}", answer.stdout);
    }
    assert!(greet("openai", "m-1", "").stdout.contains("without a key"));
    let unknown = greet("openai", "m-9", "sk-first");
    assert_eq!(unknown.code, Some(1));
    assert!(
        unknown.stderr.contains("m-9 is not among them") && unknown.stderr.contains("llava:latest"),
        "{}",
        unknown.stderr
    );
    let refused = greet("openai", "m-1", "sk-first,sk-second");
    assert!(
        refused.stderr.contains("does not accept key 2"),
        "{}",
        refused.stderr
    );
    assert!(
        server
            .requests()
            .iter()
            .all(|request| request.body.is_null()),
        "no picture was sent"
    );
}

#[test]
fn an_answer_that_is_not_as_asked_is_repaired_asked_again_or_listed() {
    let world = world();
    let server = TeacherServer::with(|request, number| {
        let words = request.words();
        match (
            words.contains("prompt 0"),
            words.contains("prompt 1"),
            number,
        ) {
            (true, _, _) => gemini(&format!("```json\n{}\n```", told())),
            (_, true, _) => gemini("I would rather talk about something else."),
            (_, _, _) if words.contains("2.72") => {
                gemini(&told().replace("no fine", "2.72 of 5, no fine"))
            }
            _ => gemini(&told()),
        }
    });
    let answer = teach(&world, &server, "gemini", &["--lanes", "1", "--json"]);
    let value = answer.json();
    assert_eq!(value["done"], 3, "{value}");
    let reasons = value["failed"].to_string();
    assert!(
        reasons.contains("no JSON object") && reasons.contains("giving the score"),
        "{reasons}"
    );
    assert_eq!(server.requests().len(), 1 + 3 + 3);
}

#[test]
fn chat_completions_are_asked_as_servers_want_it() {
    let world = world();
    let server = TeacherServer::with(|request, number| {
        if request.body.get("response_format").is_some() {
            let error = json!({ "message": "response_format is not supported", "type": "invalid_request_error" });
            return (400, Vec::new(), json!({ "error": error }));
        }
        if number == 2 {
            return (
                429,
                vec![("Retry-After", "0".to_owned())],
                json!({ "error": { "message": "slow down" } }),
            );
        }
        chat(&told())
    });
    let answer = teach(
        &world,
        &server,
        "openai",
        &["--each", "--aspect", "quality", "--lanes", "1", "--json"],
    );
    assert_eq!(answer.code, Some(0), "{}", answer.stderr);
    assert_eq!(answer.json()["done"], 3);
    let requests = server.requests();
    assert!(
        requests
            .iter()
            .all(|request| request.path == "/chat/completions")
    );
    let url = requests[0].body["messages"][0]["content"][1]["image_url"]["url"]
        .as_str()
        .unwrap_or_default();
    assert!(url.starts_with("data:image/png;base64,iVBOR"), "{url}");
    assert!(requests[0].headers["authorization"].starts_with("Bearer sk-"));
    assert_eq!(
        requests
            .iter()
            .filter(|request| request.body.get("response_format").is_some())
            .count(),
        1
    );
}

#[test]
fn keys_that_do_not_work_end_it_without_being_said() {
    let world = world();
    let server = TeacherServer::with(|request, _| {
        let key = request.headers["authorization"]
            .trim_start_matches("Bearer ")
            .to_owned();
        let error = json!({ "message": format!("Incorrect API key provided: {key}"), "code": "invalid_api_key" });
        (401, Vec::new(), json!({ "error": error }))
    });
    let answer = teach(&world, &server, "openai", &[]);
    assert_eq!(answer.code, Some(1));
    assert!(
        answer.stderr.contains("no key of TEST_KEYS works any more"),
        "{}",
        answer.stderr
    );
    assert!(answer.stderr.contains("[key]"), "{}", answer.stderr);
}

#[test]
fn an_estimate_asks_nothing() {
    let world = world();
    let server = TeacherServer::with(|_, _| gemini(&told()));
    let answer = teach(&world, &server, "gemini", &["--estimate", "--json"]);
    let value = answer.json();
    assert_eq!(
        (&value["requests"], &value["shown_scores"]),
        (&json!(3), &json!(3))
    );
    let blind = teach(
        &world,
        &server,
        "gemini",
        &["--estimate", "--blind", "--json"],
    )
    .json();
    assert_eq!(blind["shown_scores"], 0);
    assert!(server.requests().is_empty());
}
