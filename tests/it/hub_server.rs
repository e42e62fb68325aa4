//! A hub on this machine: real HTTP/1.1 with ranges, kept connections and redirects, and the faults that hubs, mirrors
//! and networks have, planted where a test wants them.

use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::io;
use std::io::BufRead as _;
use std::io::BufReader;
use std::io::Write as _;
use std::net::TcpListener;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::thread;
use std::time::Duration;

use assay::domain::ContentHash;
use serde_json::Value;
use serde_json::json;
use sha2::Digest as _;
use sha2::Sha256;

/// Files of this size and more come with a SHA-256 and from the second host, as on the real hub.
const LARGE: usize = 1000;

/// What goes wrong with one request.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// The connection breaks after so many bytes of the body.
    CutAfter(usize),
    /// The connection breaks before anything was said.
    Silence,
    /// Another answer: status, headers, body.
    Answer(u16, Vec<(&'static str, String)>, String),
    /// `Content-Length` says so many bytes more (or less) than there are.
    LengthOff(i64),
    /// The right number of wrong bytes.
    WrongBytes,
    /// Ranges are ignored: the whole file comes with status 200.
    NoRanges,
    /// A piece that begins elsewhere than asked.
    OtherPiece,
    /// So many bytes a second.
    Slow(usize),
}

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) path: String,
    pub(crate) headers: BTreeMap<String, String>,
}

#[derive(Default)]
struct Inside {
    files: BTreeMap<String, Vec<u8>>,
    etags: BTreeMap<String, String>,
    listing: Value,
    faults: BTreeMap<String, VecDeque<Fault>>,
    always: BTreeMap<String, Fault>,
    requests: Vec<Request>,
    /// Where large files are fetched from.
    cdn: Option<String>,
}

/// A running server. It ends with the test's process.
#[derive(Clone)]
pub(crate) struct HubServer {
    address: String,
    inside: Arc<Mutex<Inside>>,
}

impl HubServer {
    /// A server with one repository `o/n` of these files, which all come from itself.
    pub(crate) fn with(files: &[(&str, Vec<u8>)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port on this machine");
        let address = listener.local_addr().expect("a bound port").to_string();
        let server = Self {
            address,
            inside: Arc::default(),
        };
        for (name, bytes) in files {
            server.put(name, bytes.clone());
        }
        let accepted = server.clone();
        let listening = move || {
            for stream in listener.incoming().flatten() {
                let server = accepted.clone();
                let serving = move || server.serve(&stream).ok();
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

    /// The same files, the large ones from a second host as on the real hub. Answers both.
    pub(crate) fn with_cdn(files: &[(&str, Vec<u8>)]) -> (Self, Self) {
        let (hub, cdn) = (Self::with(files), Self::with(files));
        hub.lock().cdn = Some(cdn.url().replace("127.0.0.1", "localhost"));
        (hub, cdn)
    }

    /// Its address.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Puts a file into the repository, or another content under its name.
    pub(crate) fn put(&self, name: &str, bytes: Vec<u8>) {
        let mut inside = self.lock();
        inside
            .etags
            .insert(name.to_owned(), format!("\"{}\"", sha256(&bytes)));
        inside.files.insert(name.to_owned(), bytes);
    }

    /// The server says nothing that proves two contents of a file the same.
    pub(crate) fn forget_etags(&self) {
        self.lock().etags.clear();
    }

    /// Fields of the listing beside the files, in place of the usual ones.
    pub(crate) fn list(&self, fields: Value) {
        self.lock().listing = fields;
    }

    /// The next requests for a path of the server that ends so go wrong, one after the other.
    pub(crate) fn plant(&self, ending: &str, faults: &[Fault]) {
        let faults = faults.iter().cloned().collect();
        self.lock().faults.insert(ending.to_owned(), faults);
    }

    /// Every request for a path that ends so goes wrong.
    pub(crate) fn plant_always(&self, ending: &str, fault: Fault) {
        self.lock().always.insert(ending.to_owned(), fault);
    }

    /// Nothing goes wrong from now on.
    pub(crate) fn mend(&self) {
        let mut inside = self.lock();
        inside.faults.clear();
        inside.always.clear();
    }

    /// The requests so far for paths that end so.
    pub(crate) fn requests(&self, ending: &str) -> Vec<Request> {
        let inside = self.lock();
        let all = inside.requests.iter();
        all.filter(|request| request.path.ends_with(ending))
            .cloned()
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers the requests of one connection until it ends or is to break.
    fn serve(&self, stream: &TcpStream) -> io::Result<()> {
        let mut reader = BufReader::new(stream.try_clone()?);
        while let Some(request) = read_request(&mut reader)? {
            let fault = self.note(&request);
            let is_kept = self.answer(stream, &request, fault)?;
            if !is_kept {
                return stream.shutdown(std::net::Shutdown::Both);
            }
        }
        Ok(())
    }

    fn note(&self, request: &Request) -> Option<Fault> {
        let mut inside = self.lock();
        inside.requests.push(request.clone());
        let ends_so = |ending: &String| request.path.ends_with(ending.as_str());
        let planted = inside
            .faults
            .iter_mut()
            .find(|(ending, faults)| ends_so(ending) && !faults.is_empty())
            .and_then(|(_, faults)| faults.pop_front());
        planted.or_else(|| {
            let always = inside.always.iter().find(|(ending, _)| ends_so(ending));
            always.map(|(_, fault)| fault.clone())
        })
    }

    /// Answers one request; whether the connection stays.
    fn answer(
        &self,
        mut stream: &TcpStream,
        request: &Request,
        fault: Option<Fault>,
    ) -> io::Result<bool> {
        match fault {
            Some(Fault::Silence) => return Ok(false),
            Some(Fault::Answer(status, headers, body)) => {
                let headers: Vec<String> = headers
                    .iter()
                    .map(|(name, value)| format!("{name}: {value}"))
                    .collect();
                say(stream, status, &headers, body.len() as i64)?;
                stream.write_all(body.as_bytes())?;
                return Ok(true);
            }
            _ => {}
        }
        if request.path.starts_with("/api/models/") {
            let listing = self.listing().to_string();
            say(
                stream,
                200,
                &["Content-Type: application/json".to_owned()],
                listing.len() as i64,
            )?;
            stream.write_all(listing.as_bytes())?;
            return Ok(true);
        }
        let name = request
            .path
            .split_once("/resolve/")
            .and_then(|(_, rest)| rest.split_once('/'));
        let name = name.map(|(_, name)| decoded(name)).unwrap_or_default();
        let inside = self.lock();
        let Some(bytes) = inside.files.get(&name).cloned() else {
            drop(inside);
            say(stream, 404, &["X-Error-Code: EntryNotFound".to_owned()], 0)?;
            return Ok(true);
        };
        let etag = inside.etags.get(&name).cloned();
        let cdn = inside.cdn.clone().filter(|_| bytes.len() >= LARGE);
        drop(inside);
        if let Some(cdn) = cdn {
            let place = format!("Location: {cdn}{}?Signature=very-secret", request.path);
            say(stream, 302, &[place], 0)?;
            return Ok(true);
        }
        send(stream, request, (bytes, etag), fault)
    }

    fn listing(&self) -> Value {
        let inside = self.lock();
        let files: Vec<Value> = inside
            .files
            .iter()
            .map(|(name, bytes)| {
                let mut file = json!({ "rfilename": name, "size": bytes.len() });
                if bytes.len() >= LARGE {
                    file["lfs"] = json!({ "sha256": sha256(bytes), "size": bytes.len() });
                }
                file
            })
            .collect();
        let mut listing = json!({
            "id": "o/n",
            "sha": "c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00",
            "cardData": { "license": "apache-2.0" },
            "siblings": files,
        });
        for (name, value) in inside.listing.as_object().into_iter().flatten() {
            listing[name] = value.clone();
        }
        listing
    }
}

/// Sends a file or the piece of it that was asked for; whether the connection stays.
#[expect(clippy::needless_pass_by_value, reason = "the fault is used up")]
fn send(
    mut stream: &TcpStream,
    request: &Request,
    (mut bytes, etag): (Vec<u8>, Option<String>),
    fault: Option<Fault>,
) -> io::Result<bool> {
    let whole = bytes.len();
    let header = |name: &str| request.headers.get(name);
    let is_same = header("if-range").is_none_or(|wanted| Some(wanted) == etag.as_ref());
    let from = header("range")
        .and_then(|range| {
            range
                .strip_prefix("bytes=")?
                .strip_suffix('-')?
                .parse::<usize>()
                .ok()
        })
        .filter(|_| is_same && !matches!(fault, Some(Fault::NoRanges)));
    let mut headers: Vec<String> = etag.iter().map(|etag| format!("ETag: {etag}")).collect();
    headers.push("Accept-Ranges: bytes".to_owned());
    let mut status = 200;
    if let Some(from) = from {
        if from >= whole {
            headers.push(format!("Content-Range: bytes */{whole}"));
            say(stream, 416, &headers, 0)?;
            return Ok(true);
        }
        let from = if matches!(fault, Some(Fault::OtherPiece)) {
            0
        } else {
            from
        };
        headers.push(format!("Content-Range: bytes {from}-{}/{whole}", whole - 1));
        bytes.drain(..from);
        status = 206;
    }
    let mut announced = bytes.len() as i64;
    let mut is_kept = true;
    match fault {
        Some(Fault::LengthOff(more)) => {
            announced += more;
            is_kept = false;
        }
        Some(Fault::WrongBytes) => bytes.iter_mut().for_each(|byte| *byte ^= 0x55),
        Some(Fault::CutAfter(most)) => {
            bytes.truncate(most);
            is_kept = false;
        }
        _ => {}
    }
    say(stream, status, &headers, announced)?;
    if let Some(Fault::Slow(per_second)) = fault {
        for piece in bytes.chunks((per_second / 50).max(1)) {
            stream.write_all(piece)?;
            thread::sleep(Duration::from_millis(20));
        }
    } else {
        stream.write_all(&bytes)?;
    }
    Ok(is_kept)
}

fn say(mut stream: &TcpStream, status: u16, headers: &[String], len: i64) -> io::Result<()> {
    let mut head = format!("HTTP/1.1 {status} Words\r\nContent-Length: {len}\r\n");
    for header in headers {
        head.push_str(header);
        head.push_str("\r\n");
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes())
}

fn read_request(reader: &mut BufReader<TcpStream>) -> io::Result<Option<Request>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let path = line.split(' ').nth(1).unwrap_or_default();
    let path = path.split('?').next().unwrap_or_default().to_owned();
    let mut headers = BTreeMap::new();
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            return Ok(Some(Request { path, headers }));
        };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
}

fn decoded(name: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = name.as_bytes();
    while let [first, after @ ..] = rest {
        let hex = after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        if let Some(byte) = hex
            .and_then(|hex| u8::from_str_radix(hex, 16).ok())
            .filter(|_| *first == b'%')
        {
            bytes.push(byte);
            rest = &after[2..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// As 64 hexadecimal digits.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    ContentHash(Sha256::digest(bytes).into()).to_string()
}

/// So many bytes that no two pieces of them are alike.
pub(crate) fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut bytes: Vec<u8> = (0..len.div_ceil(8))
        .flat_map(|_| next().to_le_bytes())
        .collect();
    bytes.truncate(len);
    bytes
}
