//! Requests over HTTP: who is asked, what is sent, and what an answer that is none means.
//!
//! Redirects are followed here and not by the library, because a token may go to the server that it is for and to no
//! other: hubs send to the hosts that hold the bytes, and those are none of the token's business.

use std::io;
use std::time::Duration;

use ureq::Agent;
use ureq::Body;
use ureq::http::HeaderMap;
use ureq::http::Response;
use ureq::http::Uri;

use super::NetError;
use super::Watch;
use super::patience::Patience;
use super::patience::chance;
use super::patience::retry_after;
pub(super) use super::patience::when_words;
use super::secret::Secret;

/// Redirects that are followed; the library's own number.
const MAX_REDIRECTS: usize = 10;

/// Until a connection stands.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// Until the answer begins.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Between two pieces of an answer. A connection that stalls for longer is cut here and taken up again; a wish to stop
/// is noticed after this time at the latest.
const STALL_TIMEOUT: Duration = Duration::from_secs(10);

/// Until a model on another machine has looked at a picture and written about it.
const THINKING_TIMEOUT: Duration = Duration::from_mins(5);

/// The parts of an error's answer that are read for its words.
const MAX_WORDS: u64 = 4096;

/// Speaks HTTP. One for all requests of a download: connections are kept and used again.
#[derive(Debug, Clone)]
pub struct Client {
    agent: Agent,
}

/// An answer whose body has not been read yet.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Body,
    /// The server that gave it, after redirects.
    pub(super) host: String,
}

/// Why a try failed, and whether another one may do better.
#[derive(Debug)]
pub(super) enum Failure {
    /// Another try would end the same way.
    Final(NetError),
    /// No connection came about.
    Unreachable { host: String, reason: String },
    /// The connection broke off, or the server had a bad moment.
    Cut { host: String, reason: String },
    /// The server is busy and may have said for how long.
    Busy {
        host: String,
        status: u16,
        asked: Option<Duration>,
    },
}

impl From<NetError> for Failure {
    fn from(error: NetError) -> Self {
        Self::Final(error)
    }
}

impl From<crate::domain::Interrupted> for Failure {
    fn from(stop: crate::domain::Interrupted) -> Self {
        Self::Final(stop.into())
    }
}

impl Default for Client {
    fn default() -> Self {
        Self::with_timeouts(ANSWER_TIMEOUT, STALL_TIMEOUT)
    }
}

impl Client {
    /// One for servers that think for a while before they answer.
    pub(super) fn patient() -> Self {
        Self::with_timeouts(THINKING_TIMEOUT, THINKING_TIMEOUT)
    }

    fn with_timeouts(answer: Duration, stall: Duration) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            // What is fetched is packed already, and ranges count the bytes as they are.
            .accept_encoding("identity")
            .user_agent(concat!("assay/", env!("CARGO_PKG_VERSION")))
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_recv_response(Some(answer))
            .timeout_per_read(Some(stall))
            .build();
        Self {
            agent: config.into(),
        }
    }

    /// Sends JSON to an address; redirects are not followed, since the key would go along.
    pub(super) fn post(
        &self,
        url: &str,
        secret: Option<(&'static str, String)>,
        body: &str,
    ) -> Result<Answer, Failure> {
        let uri = parsed(url)?;
        let host = host_of(&uri);
        let mut request = self
            .agent
            .post(uri)
            .header("content-type", "application/json");
        if let Some((name, value)) = secret {
            request = request.header(name, value);
        }
        let response = request.send(body).map_err(|error| failure(&host, &error))?;
        Ok(answer(response, host))
    }

    /// Asks for an address where a key goes along, so that no redirect is followed.
    pub(super) fn get_here(&self, url: &str, headers: &[(&str, &str)]) -> Result<Answer, Failure> {
        let uri = parsed(url)?;
        let host = host_of(&uri);
        let mut request = self.agent.get(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.call().map_err(|error| failure(&host, &error))?;
        Ok(answer(response, host))
    }

    /// Asks for an address; `headers` go to every server on the way, the token to the first one alone.
    pub(super) fn get(
        &self,
        url: &str,
        headers: &[(&str, &str)],
        token: Option<&Secret>,
    ) -> Result<Answer, Failure> {
        let first = parsed(url)?;
        let mut at = first.clone();
        for _ in 0..=MAX_REDIRECTS {
            let mut request = self.agent.get(at.clone());
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            if let Some(token) = token.filter(|_| origin(&at) == origin(&first)) {
                request = request.header("authorization", token.bearer());
            }
            let host = host_of(&at);
            let response = request.call().map_err(|error| failure(&host, &error))?;
            let status = response.status().as_u16();
            if !matches!(status, 301 | 302 | 303 | 307 | 308) {
                return Ok(answer(response, host));
            }
            at = target(&at, &response, url)?;
        }
        Err(Failure::Final(NetError::Redirects {
            host: host_of(&first),
            what: path_of(&first),
        }))
    }
}

impl Answer {
    /// A header as text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Whether it is a web page.
    pub(super) fn is_page(&self) -> bool {
        self.header("content-type").is_some_and(|kind| {
            kind.trim_start()
                .to_ascii_lowercase()
                .starts_with("text/html")
        })
    }

    /// The failure that a status means which everybody treats alike: busy servers and bad moments.
    pub(super) fn passing_failure(&self) -> Option<Failure> {
        let host = self.host.clone();
        match self.status {
            429 | 503 => Some(Failure::Busy {
                host,
                status: self.status,
                asked: self
                    .header("retry-after")
                    .and_then(|value| retry_after(value, self.header("date"))),
            }),
            408 | 500 | 502 | 504 => Some(Failure::Cut {
                host,
                reason: format!("it answered with status {}", self.status),
            }),
            _ => None,
        }
    }

    /// The first words of a body that says why something was refused; nothing of a web page.
    pub(super) fn words(mut self, token: Option<&Secret>) -> String {
        if self.is_page() {
            return String::new();
        }
        let words = self
            .body
            .with_config()
            .limit(MAX_WORDS)
            .lossy_utf8(true)
            .read_to_string();
        let words = words.unwrap_or_default();
        let said: String = words.split_whitespace().collect::<Vec<_>>().join(" ");
        let said: String = said.chars().take(200).collect();
        let said = token.map_or_else(|| said.clone(), |token| token.hidden_in(&said));
        match said.as_str() {
            "" => String::new(),
            said => format!(": {said}"),
        }
    }
}

/// Tries until it works, it cannot work, or patience has ended. `attempt` says whether it got further than the one
/// before: then counting begins anew.
pub(super) fn persist<T>(
    patience: &Patience,
    seed: u64,
    watch: &dyn Watch,
    mut attempt: impl FnMut(&mut bool) -> Result<T, Failure>,
) -> Result<T, NetError> {
    let mut failures = 0;
    let mut count = 0;
    loop {
        watch.check()?;
        let mut has_progress = false;
        let failure = match attempt(&mut has_progress) {
            Ok(done) => return Ok(done),
            Err(Failure::Final(error)) => return Err(error),
            Err(failure) => failure,
        };
        failures = if has_progress { 1 } else { failures + 1 };
        count += 1;
        let chance = chance(seed, count);
        let (wait, words) = pause(patience, failures, chance, failure)?;
        watch.tell(&words);
        watch.wait(wait)?;
        watch.tell("");
    }
}

/// How long to wait after a failure, with the words for it; an error where patience ends.
pub(super) fn pause(
    patience: &Patience,
    failures: u32,
    chance: f64,
    failure: Failure,
) -> Result<(Duration, String), NetError> {
    let usual = patience.wait(failures, chance);
    match failure {
        Failure::Final(error) => Err(error),
        Failure::Unreachable { host, reason } => match usual {
            Some(wait) => Ok((wait, format!("cannot reach {host}, trying again"))),
            None => Err(NetError::Unreachable { host, reason }),
        },
        Failure::Cut { host, reason } => match usual {
            Some(wait) => Ok((
                wait,
                format!("the connection to {host} broke off, taking it up again"),
            )),
            None => Err(NetError::Cut {
                host,
                tries: failures,
                reason,
            }),
        },
        Failure::Busy {
            host,
            status,
            asked,
        } => {
            let wait = match asked {
                Some(asked) => usual.and_then(|_| patience.asked(asked, chance)),
                None => usual,
            };
            match wait {
                Some(wait) => {
                    let when = when_words(Some(wait));
                    Ok((wait, format!("{host} is busy, trying again {when}")))
                }
                None => Err(NetError::Busy {
                    host,
                    status,
                    when: when_words(asked),
                }),
            }
        }
    }
}

/// What a failing read of a body means.
pub(super) fn read_failure(host: &str, error: &io::Error) -> Failure {
    Failure::Cut {
        host: host.to_owned(),
        reason: error.to_string(),
    }
}

fn answer(response: Response<Body>, host: String) -> Answer {
    let (parts, body) = response.into_parts();
    Answer {
        status: parts.status.as_u16(),
        headers: parts.headers,
        body,
        host,
    }
}

fn failure(host: &str, error: &ureq::Error) -> Failure {
    let host = host.to_owned();
    let reason = error.to_string();
    match error {
        ureq::Error::Io(source) if is_about_connecting(source) => {
            Failure::Unreachable { host, reason }
        }
        ureq::Error::HostNotFound
        | ureq::Error::ConnectionFailed
        | ureq::Error::Timeout(ureq::Timeout::Resolve | ureq::Timeout::Connect) => {
            Failure::Unreachable { host, reason }
        }
        ureq::Error::Io(_) | ureq::Error::Timeout(_) | ureq::Error::Protocol(_) => {
            Failure::Cut { host, reason }
        }
        // Certificates, proxies and addresses do not mend themselves.
        _ => Failure::Final(NetError::Unreachable { host, reason }),
    }
}

fn is_about_connecting(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::AddrNotAvailable
            | io::ErrorKind::NotFound
    )
}

fn parsed(url: &str) -> Result<Uri, NetError> {
    check_address(
        url.split('?').next().unwrap_or_default(),
        "the server's address",
    )?;
    url.parse()
        .map_err(|_invalid| bad_address(url, "the server's address"))
}

/// Refuses what is no address of a server. `variable` is what names it, for the message.
pub(super) fn check_address(url: &str, variable: &'static str) -> Result<(), NetError> {
    let uri: Option<Uri> = url.parse().ok();
    let is_address = uri.is_some_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https"))
            && uri.host().is_some_and(|host| !host.is_empty())
            && uri.query().is_none()
    });
    match is_address {
        true => Ok(()),
        false => Err(bad_address(url, variable)),
    }
}

/// Names an address without what may be a password or a key in it.
fn bad_address(url: &str, variable: &'static str) -> NetError {
    let plain = url.split('?').next().unwrap_or_default();
    let plain = plain.rsplit('@').next().unwrap_or_default();
    NetError::BadEndpoint {
        variable,
        text: plain.to_owned(),
    }
}

/// Where an answer sends to.
fn target(at: &Uri, response: &Response<Body>, asked: &str) -> Result<Uri, NetError> {
    let bad = |reason| NetError::BadRedirect {
        host: host_of(at),
        what: asked
            .parse()
            .map_or_else(|_| String::new(), |uri: Uri| path_of(&uri)),
        reason,
    };
    let location = response
        .headers()
        .get("location")
        .and_then(|value| value.to_str().ok())
        .ok_or_else(|| bad("it names none"))?;
    let uri: Option<Uri> = joined(at, location).parse().ok();
    let uri = uri.ok_or_else(|| bad("it is malformed"))?;
    match (at.scheme_str(), uri.scheme_str()) {
        (Some("https"), Some("http")) => Err(bad("it is not encrypted")),
        (_, Some("http" | "https")) if uri.host().is_some() => Ok(uri),
        _ => Err(bad("it is not on the web")),
    }
}

/// An address as a page at another one names it (RFC 3986, section 5.2, without dot segments).
fn joined(at: &Uri, location: &str) -> String {
    let location = location.split('#').next().unwrap_or_default();
    let scheme = at.scheme_str().unwrap_or("https");
    let authority = at.authority().map_or("", |authority| authority.as_str());
    if location.contains("://") {
        return location.to_owned();
    }
    if let Some(rest) = location.strip_prefix("//") {
        return format!("{scheme}://{rest}");
    }
    if location.starts_with('/') {
        return format!("{scheme}://{authority}{location}");
    }
    let folder = at.path().rsplit_once('/').map_or("", |(folder, _)| folder);
    format!("{scheme}://{authority}{folder}/{location}")
}

/// Scheme, host and port: whom a token may be told.
fn origin(uri: &Uri) -> (Option<&str>, Option<String>, u16) {
    let usual = if uri.scheme_str() == Some("http") {
        80
    } else {
        443
    };
    (
        uri.scheme_str(),
        uri.host().map(str::to_ascii_lowercase),
        uri.port_u16().unwrap_or(usual),
    )
}

/// The server's name, with its port where that is not the usual one; nothing of a password.
pub(super) fn host_of(uri: &Uri) -> String {
    let host = uri.host().unwrap_or("the server");
    uri.port_u16()
        .map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// The server's name in an address.
pub fn host_in(url: &str) -> String {
    let uri: Option<Uri> = url.parse().ok();
    uri.map_or_else(|| "the server".to_owned(), |uri| host_of(&uri))
}

/// The path without what comes after a question mark: signed addresses carry keys there.
fn path_of(uri: &Uri) -> String {
    uri.path().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(text: &str) -> Uri {
        text.parse().unwrap()
    }

    #[test]
    fn a_place_is_named_whole_or_in_part() {
        let at = uri("https://hub.example/a/b?c=d");
        for (location, expected) in [
            ("https://cdn.example/x?key=1", "https://cdn.example/x?key=1"),
            ("//cdn.example/x", "https://cdn.example/x"),
            ("/x/y?z", "https://hub.example/x/y?z"),
            ("x#part", "https://hub.example/a/x"),
        ] {
            assert_eq!(joined(&at, location), expected);
        }
    }

    #[test]
    fn a_token_is_for_one_scheme_host_and_port() {
        let first = uri("https://Hub.example/a");
        assert_eq!(origin(&first), origin(&uri("https://hub.example:443/b")));
        for other in [
            "http://hub.example/a",
            "https://hub.example:8443/a",
            "https://cdn.hub.example/a",
            "https://hub.example.org/a",
        ] {
            assert_ne!(origin(&first), origin(&uri(other)), "{other}");
        }
    }

    #[test]
    fn an_address_that_is_none_is_named_without_its_password() {
        let Err(NetError::BadEndpoint { text, .. }) = parsed("ftp://me:secret@host/x") else {
            panic!("expected an error");
        };
        assert_eq!(text, "host/x");
    }
}
