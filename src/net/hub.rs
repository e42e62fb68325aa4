//! A hub-style server: what a repository holds, and under which licence.
//!
//! The interface is that of the Hugging Face hub, which mirrors and private servers speak as well:
//! `GET /api/models/NAME/revision/REVISION?blobs=true` lists files with sizes and, for large ones, their SHA-256;
//! `GET /NAME/resolve/COMMIT/FILE` gives bytes, mostly by a redirect to another host; `X-Error-Code` says what a
//! refusal is about.

use std::fmt;
use std::fmt::Write as _;

use serde::Deserialize;
use serde_json::Value;

use super::Client;
use super::NetError;
use super::Watch;
use super::client::Answer;
use super::client::Failure;
use super::client::check_address;
use super::client::host_in;
use super::client::persist;
use super::client::read_failure;
use super::patience::Patience;
use super::secret::Secret;
use super::select::is_safe_name;

/// The server that is asked where nobody names another.
const USUAL_ENDPOINT: &str = "https://huggingface.co";

/// Names another server; the hub's own clients read the same variable.
const ENDPOINT_VARIABLE: &str = "HF_ENDPOINT";

/// Holds the token for private and gated repositories.
const TOKEN_VARIABLE: &str = "HF_TOKEN";

/// A listing of a repository with ten thousand files has a few megabytes.
const MAX_LISTING: u64 = 64 * 1024 * 1024;

/// A configuration has a few kilobytes.
const MAX_TEXT: u64 = 4 * 1024 * 1024;

/// A server, and what it may be told.
#[derive(Clone)]
pub struct Hub {
    endpoint: String,
    token: Option<Secret>,
    pub(super) client: Client,
    pub(super) patience: Patience,
    pub(super) seed: u64,
}

/// A file of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteFile {
    /// Path in the repository, with `/` between its parts.
    pub name: String,
    /// Its size; some mirrors do not tell.
    pub bytes: Option<u64>,
    /// SHA-256 as 64 hexadecimal digits; told for large files.
    pub sha256: Option<String>,
}

/// A repository at one commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository {
    /// `owner/name`.
    pub name: String,
    /// The commit that files are taken from; the revision that was asked for, where the server names no commit.
    pub commit: String,
    /// The licence's short name, where one is given.
    pub licence: Option<String>,
    /// Where people read about it, and accept its licence.
    pub page: String,
    /// Whether people have to ask for it, or to accept its licence, before they get its files.
    pub is_gated: bool,
    /// Number of parameters, where the server counted them.
    pub parameters: Option<u64>,
    /// Everything in it.
    pub files: Vec<RemoteFile>,
}

/// The listing as the server sends it; fields that are not needed are left out.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Listing {
    sha: Option<String>,
    #[serde(default)]
    siblings: Vec<Sibling>,
    card_data: Option<Value>,
    #[serde(default)]
    tags: Vec<String>,
    gated: Option<Value>,
    safetensors: Option<Tensors>,
}

#[derive(Debug, Deserialize)]
struct Sibling {
    rfilename: String,
    size: Option<u64>,
    lfs: Option<Large>,
}

#[derive(Debug, Deserialize)]
struct Large {
    sha256: Option<String>,
    size: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct Tensors {
    total: Option<u64>,
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub")
            .field("endpoint", &self.host())
            .finish_non_exhaustive()
    }
}

impl Hub {
    /// The server and token that the environment names.
    ///
    /// # Errors
    /// An `HF_ENDPOINT` that is no address, or an `HF_TOKEN` that cannot be sent.
    pub fn from_env(seed: u64) -> Result<Self, NetError> {
        let endpoint = std::env::var(ENDPOINT_VARIABLE).unwrap_or_default();
        let endpoint = match endpoint.trim() {
            "" => USUAL_ENDPOINT,
            given => given,
        };
        Self::at(endpoint, Secret::from_env(TOKEN_VARIABLE), seed)
    }

    /// A server by its address.
    ///
    /// # Errors
    /// An address that is none, or a token that cannot be sent.
    pub fn at(endpoint: &str, token: Option<Secret>, seed: u64) -> Result<Self, NetError> {
        let endpoint = endpoint.trim_end_matches('/');
        check_address(endpoint, ENDPOINT_VARIABLE)?;
        if token.as_ref().is_some_and(|token| !token.is_plain()) {
            return Err(NetError::UnusableToken);
        }
        Ok(Self {
            endpoint: endpoint.to_owned(),
            token,
            client: Client::default(),
            patience: Patience::default(),
            seed,
        })
    }

    /// The same server, asked with other patience.
    pub fn with_patience(mut self, patience: Patience) -> Self {
        self.patience = patience;
        self
    }

    /// The server's name.
    pub fn host(&self) -> String {
        host_in(&self.endpoint)
    }

    /// Says what a repository holds at a revision: a branch, a tag or a commit.
    ///
    /// # Errors
    /// No network, no such repository or revision, a licence that was not accepted, an answer that is no listing, or a
    /// file name that would leave the model's folder.
    pub fn repository(
        &self,
        name: &str,
        revision: &str,
        watch: &dyn Watch,
    ) -> Result<Repository, NetError> {
        let url = format!(
            "{}/api/models/{}/revision/{}?blobs=true",
            self.endpoint,
            encoded(name, true),
            encoded(revision, false)
        );
        let text = persist(&self.patience, self.seed, watch, |_| {
            let answer = self.client.get(&url, &[], self.token.as_ref())?;
            self.listing_text(answer, name, revision)
        })?;
        let listing: Listing =
            serde_json::from_str(&text).map_err(|error| NetError::Malformed {
                host: self.host(),
                what: format!("the list of files of {name}"),
                reason: error.to_string(),
            })?;
        self.understood(listing, name, revision)
    }

    /// A small file of text, e.g. the configuration.
    ///
    /// # Errors
    /// As [`Hub::repository`]; a file that is not there.
    pub fn text(
        &self,
        repository: &Repository,
        file: &RemoteFile,
        watch: &dyn Watch,
    ) -> Result<String, NetError> {
        let url = self.file_url(repository, file);
        persist(&self.patience, self.seed, watch, |_| {
            let mut answer = self.client.get(&url, &[], self.token.as_ref())?;
            let (name, commit) = (&repository.name, &repository.commit);
            if answer.status != 200 {
                return Err(self.refusal(answer, name, commit, Some(&file.name)));
            }
            let host = answer.host.clone();
            let body = answer.body.with_config().limit(MAX_TEXT);
            body.read_to_string()
                .map_err(|error| read_failure(&host, &error.into_io()))
        })
    }

    /// Where a file's bytes are asked for.
    pub(super) fn file_url(&self, repository: &Repository, file: &RemoteFile) -> String {
        format!(
            "{}/{}/resolve/{}/{}",
            self.endpoint,
            encoded(&repository.name, true),
            encoded(&repository.commit, false),
            encoded(&file.name, true)
        )
    }

    pub(super) const fn token(&self) -> Option<&Secret> {
        self.token.as_ref()
    }

    fn listing_text(
        &self,
        mut answer: Answer,
        name: &str,
        revision: &str,
    ) -> Result<String, Failure> {
        if answer.status != 200 {
            return Err(self.refusal(answer, name, revision, None));
        }
        if answer.is_page() {
            return Err(Failure::Final(NetError::WebPage {
                what: format!("the list of files of {name}"),
                host: answer.host,
            }));
        }
        let host = answer.host.clone();
        let read = answer
            .body
            .with_config()
            .limit(MAX_LISTING)
            .read_to_string();
        read.map_err(|error| read_failure(&host, &error.into_io()))
    }

    fn understood(
        &self,
        listing: Listing,
        name: &str,
        revision: &str,
    ) -> Result<Repository, NetError> {
        let files: Vec<RemoteFile> = listing.siblings.into_iter().map(RemoteFile::from).collect();
        if let Some(file) = files.iter().find(|file| !is_safe_name(&file.name)) {
            return Err(NetError::UnsafeName {
                name: file.name.clone(),
            });
        }
        let tagged = listing
            .tags
            .iter()
            .find_map(|tag| tag.strip_prefix("license:"));
        Ok(Repository {
            name: name.to_owned(),
            commit: listing.sha.unwrap_or_else(|| revision.to_owned()),
            licence: licence(listing.card_data.as_ref()).or_else(|| tagged.map(str::to_owned)),
            page: self.page(name),
            is_gated: listing
                .gated
                .is_some_and(|gated| !matches!(gated, Value::Bool(false) | Value::Null)),
            parameters: listing.safetensors.and_then(|tensors| tensors.total),
            files,
        })
    }

    /// What an answer means that is neither the listing nor a file's bytes.
    pub(super) fn refusal(
        &self,
        answer: Answer,
        repository: &str,
        revision: &str,
        file: Option<&str>,
    ) -> Failure {
        if let Some(failure) = answer.passing_failure() {
            return failure;
        }
        let host = answer.host.clone();
        let status = answer.status;
        let what = file.map_or_else(
            || format!("the list of files of {repository}"),
            str::to_owned,
        );
        let page = self.page(repository);
        let repository = repository.to_owned();
        let error = match (answer.header("x-error-code"), status) {
            (Some("GatedRepo"), _) | (None, 403) if host == self.host() => NetError::Gated {
                repository,
                page,
                token: self.token_words(),
            },
            (Some("RevisionNotFound"), _) => NetError::NoRevision {
                repository,
                revision: revision.to_owned(),
            },
            (Some("EntryNotFound"), _) | (None, 404) if file.is_some() => NetError::NoFile {
                repository,
                revision: revision.to_owned(),
                file: what,
                page,
            },
            // Hubs answer 401 for what is private or not there at all, so as not to tell which.
            (Some("RepoNotFound"), _) | (None, 404) => NetError::NoRepository { host, repository },
            (_, 401) if self.token.is_some() => NetError::BadToken { host },
            (_, 401) => NetError::NoRepository { host, repository },
            _ => NetError::Refused {
                host,
                what,
                status,
                words: answer.words(self.token.as_ref()),
            },
        };
        Failure::Final(error)
    }

    const fn token_words(&self) -> &'static str {
        match self.token {
            Some(_) => " (the one that is set now is of an account that has not)",
            None => "",
        }
    }

    fn page(&self, repository: &str) -> String {
        // A password in the endpoint is not for messages.
        let (scheme, rest) = self
            .endpoint
            .split_once("://")
            .unwrap_or(("https", &self.endpoint));
        let place = rest.split_once('@').map_or(rest, |(_, place)| place);
        format!("{scheme}://{place}/{repository}")
    }
}

impl From<Sibling> for RemoteFile {
    fn from(sibling: Sibling) -> Self {
        let large = sibling.lfs;
        let is_hash =
            |text: &String| text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        Self {
            name: sibling.rfilename,
            bytes: large.as_ref().and_then(|large| large.size).or(sibling.size),
            sha256: large
                .and_then(|large| large.sha256)
                .filter(is_hash)
                .map(|hash| hash.to_ascii_lowercase()),
        }
    }
}

/// The licence of a model card: a word, or a list of words; `other` is explained by its name.
fn licence(card: Option<&Value>) -> Option<String> {
    let card = card?;
    let word = match card.get("license")? {
        Value::String(word) => word.clone(),
        Value::Array(words) => words
            .iter()
            .filter_map(Value::as_str)
            .collect::<Vec<_>>()
            .join(", "),
        _ => return None,
    };
    match card.get("license_name").and_then(Value::as_str) {
        Some(name) if word == "other" => Some(name.to_owned()),
        _ => Some(word).filter(|word| !word.is_empty()),
    }
}

/// Percent-encodes what may not stand in a path as it is (RFC 3986, section 3.3); slashes stay where they part folders.
fn encoded(text: &str, keeps_slashes: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        let is_plain = byte.is_ascii_alphanumeric()
            || b"-._~".contains(&byte)
            || keeps_slashes && byte == b'/';
        if is_plain {
            out.push(byte as char);
        } else {
            // A text takes all that is written to it.
            write!(out, "%{byte:02X}").ok();
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hub() -> Hub {
        Hub::at("https://me:secret@hub.example/", Secret::new("hf_token"), 1).unwrap()
    }

    #[test]
    fn the_listing_of_the_hub_is_read() {
        let text = r#"{
            "id": "o/n", "sha": "c0ffee", "gated": "auto", "private": false,
            "tags": ["safetensors", "license:apache-2.0"],
            "cardData": {"license": "other", "license_name": "tongyi-qianwen"},
            "safetensors": {"parameters": {"BF16": 8}, "total": 8},
            "siblings": [
                {"rfilename": "config.json", "size": 12, "blobId": "b"},
                {"rfilename": "m.safetensors", "size": 130, "lfs": {"sha256": "ABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABAB", "size": 900, "pointerSize": 130}},
                {"rfilename": "old"}
            ]}"#;
        let repository = hub()
            .understood(serde_json::from_str(text).unwrap(), "o/n", "main")
            .unwrap();
        assert_eq!(repository.commit, "c0ffee");
        assert_eq!(repository.licence.as_deref(), Some("tongyi-qianwen"));
        assert!(repository.is_gated);
        assert_eq!(repository.parameters, Some(8));
        assert_eq!(repository.page, "https://hub.example/o/n");
        let sizes: Vec<Option<u64>> = repository.files.iter().map(|file| file.bytes).collect();
        assert_eq!(sizes, [Some(12), Some(900), None]);
        assert_eq!(repository.files[1].sha256, Some("ab".repeat(32)));
    }

    #[test]
    fn a_file_that_would_leave_the_folder_ends_it() {
        let listing = serde_json::json!({ "siblings": [{ "rfilename": "../../.profile" }] });
        let listing = serde_json::from_value(listing).unwrap();
        let error = hub().understood(listing, "o/n", "main").unwrap_err();
        assert!(matches!(error, NetError::UnsafeName { .. }), "{error}");
    }

    #[test]
    fn signs_that_mean_something_in_an_address_are_packed() {
        assert_eq!(
            encoded("a/best-epoch=14 b?.ckpt", true),
            "a/best-epoch%3D14%20b%3F.ckpt"
        );
        assert_eq!(encoded("refs/pr/1", false), "refs%2Fpr%2F1");
        assert_eq!(encoded("模", true), "%E6%A8%A1");
    }

    #[test]
    fn a_hub_says_neither_its_token_nor_its_password() {
        let words = format!("{:?} {} {}", hub(), hub().host(), hub().page("o/n"));
        assert!(
            !words.contains("secret") && !words.contains("hf_token"),
            "{words}"
        );
    }

    #[test]
    fn an_endpoint_that_is_no_address_is_refused() {
        for text in [
            "hub.example",
            "ftp://hub.example",
            "",
            "https://",
            "http://a b",
        ] {
            assert!(Hub::at(text, None, 1).is_err(), "{text}");
        }
        let token = Secret::new("two words");
        assert!(matches!(
            Hub::at("http://h", token, 1),
            Err(NetError::UnusableToken)
        ));
    }
}
