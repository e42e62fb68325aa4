//! Why something could not be fetched, in words that say what to do.

use std::io;
use std::path::PathBuf;

use crate::domain::Interrupted;

/// Why something could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// Somebody asked to stop: an ordinary end.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
    /// No connection came about.
    #[error(
        "cannot reach {host}: {reason}; check the network (HF_ENDPOINT names another server), or copy the files by other means and add their folder, which needs no network"
    )]
    Unreachable {
        /// The server.
        host: String,
        /// What the system said.
        reason: String,
    },
    /// Connections broke off again and again.
    #[error(
        "the connection to {host} broke off {tries} times in a row without a byte coming through, the last time because: {reason}; what came so far is kept, start it again to go on"
    )]
    Cut {
        /// The server.
        host: String,
        /// Tries without progress.
        tries: u32,
        /// Why the last one ended.
        reason: String,
    },
    /// The server is busy for longer than anybody waits.
    #[error(
        "{host} is busy (status {status}) and asks to come back {when}; what came so far is kept, start it again then"
    )]
    Busy {
        /// The server.
        host: String,
        /// 429 or 503.
        status: u16,
        /// "in 40 min", "later".
        when: String,
    },
    /// A teacher is not there, or does not let anybody in.
    #[error("cannot ask {host}: {reason}; check address, model and key")]
    NoTeacher {
        /// The server.
        host: String,
        /// Why not.
        reason: String,
    },
    /// Nothing can be kept, or what is kept cannot be read.
    #[error("this machine has no keyring that opens ({reason})")]
    Keyring {
        /// What the system said.
        reason: String,
    },
    /// The licence has to be accepted by a person.
    #[error(
        "{repository} is given only to people who accepted its licence: sign in at {page} and accept it there, then set HF_TOKEN to a token of that account{token}"
    )]
    Gated {
        /// The repository.
        repository: String,
        /// Where the licence is accepted.
        page: String,
        /// What is known of the token in use, with what comes before it.
        token: &'static str,
    },
    /// The token is not accepted.
    #[error(
        "{host} does not accept the token in HF_TOKEN (status 401): make a new one with the right to read, or unset it for public models"
    )]
    BadToken {
        /// The server.
        host: String,
    },
    /// Nobody knows the repository, or it is private.
    #[error(
        "{host} has no repository {repository}, or it is private: check the name, and for a private one set HF_TOKEN to a token that may read it"
    )]
    NoRepository {
        /// The server.
        host: String,
        /// The repository.
        repository: String,
    },
    /// The repository has no such revision.
    #[error(
        "{repository} has no revision {revision}: give a branch, a tag or a commit of it, or leave --revision out"
    )]
    NoRevision {
        /// The repository.
        repository: String,
        /// What was asked for.
        revision: String,
    },
    /// The repository has no such file.
    #[error(
        "{repository} at {revision} has no file {file}: it may have been renamed, look at {page}"
    )]
    NoFile {
        /// The repository.
        repository: String,
        /// The revision.
        revision: String,
        /// What was asked for.
        file: String,
        /// Where the files are listed.
        page: String,
    },
    /// Nothing of the repository is wanted.
    #[error("nothing in {repository} {reason}; it holds {example}")]
    NothingWanted {
        /// The repository.
        repository: String,
        /// "matches *.gguf", "looks like a model (...)".
        reason: String,
        /// Some of its files.
        example: String,
    },
    /// Another answer than the asked one.
    #[error("{host} answered {what} with status {status}{words}")]
    Refused {
        /// The server.
        host: String,
        /// What was asked for.
        what: String,
        /// HTTP status.
        status: u16,
        /// What the server said, with what comes before it; may be empty.
        words: String,
    },
    /// A web page came in place of a file.
    #[error(
        "a web page came in place of {what}: something between here and {host} answers for it, such as a proxy or a page to sign in to the network; open {host} in a browser, then try again"
    )]
    WebPage {
        /// What was asked for.
        what: String,
        /// The server.
        host: String,
    },
    /// The server says two different sizes.
    #[error(
        "{file} should have {expected} bytes and the server sends {found}: nothing of it was kept, try again later or choose another revision"
    )]
    WrongSize {
        /// The file.
        file: String,
        /// What the listing says.
        expected: u64,
        /// What came, or was announced.
        found: u64,
    },
    /// The bytes are not those that the listing promises.
    #[error(
        "{file} came with the SHA-256 {found} in place of {expected}, twice: nothing of it was kept; something on the way changes it, try another network or server"
    )]
    WrongHash {
        /// The file.
        file: String,
        /// What the listing says.
        expected: String,
        /// What came.
        found: String,
    },
    /// The server sends from one place to the next.
    #[error("{host} sends from one address to the next without end when asked for {what}")]
    Redirects {
        /// The server.
        host: String,
        /// What was asked for.
        what: String,
    },
    /// A redirect to an address that is not to be followed.
    #[error("{host} sends to an address that is not followed ({reason}) when asked for {what}")]
    BadRedirect {
        /// The server.
        host: String,
        /// What was asked for.
        what: String,
        /// Why not.
        reason: &'static str,
    },
    /// A name that would leave the model's folder.
    #[error(
        "the repository names a file {name:?}, which would not stay in the model's folder: nothing was fetched"
    )]
    UnsafeName {
        /// As the server said it.
        name: String,
    },
    /// The listing is not as it should be.
    #[error("{host} answered {what} with something else than was expected: {reason}")]
    Malformed {
        /// The server.
        host: String,
        /// What was asked for.
        what: String,
        /// What was expected and what came.
        reason: String,
    },
    /// A key cannot stand in a header.
    #[error(
        "{variable} holds a key with signs that no key has: set it again, several keys parted by commas"
    )]
    UnusableKey {
        /// The environment variable.
        variable: String,
    },
    /// The address of the server is none.
    #[error("{variable} should be an address like https://example.org and is {text:?}")]
    BadEndpoint {
        /// What names it.
        variable: &'static str,
        /// As it was given, without what may be a password in it.
        text: String,
    },
    /// The token cannot stand in a header.
    #[error("HF_TOKEN holds blanks or other signs that no token has: set it again")]
    UnusableToken,
    /// Too little room.
    #[error(
        "there is too little room: {needed} bytes are to come and {free} are free; make room, or choose another disk with --to: {}", path.display()
    )]
    NoSpace {
        /// Bytes that are to come.
        needed: u64,
        /// Bytes that are free.
        free: u64,
        /// Where.
        path: PathBuf,
    },
    /// Another program fetches into the same place.
    #[error("another download writes here already: wait for it, or stop it first: {}", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// A file of ours could not be read or written.
    #[error("cannot {action}: {source}: {}", path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// Why.
        source: io::Error,
        /// Where.
        path: PathBuf,
    },
}
