//! Keys of teachers in the keyring of the desktop: the Secret Service on Linux, the keychain on macOS, the credential
//! manager on Windows. A machine without a desktop has none, and an environment variable serves there.

use keyring::Entry;
use keyring::Error;

use super::NetError;
use super::Secret;

/// The name under which the keyring lists what is ours.
const SERVICE: &str = "assay";

/// The keys that are kept for a server; none where nothing is.
///
/// # Errors
/// No keyring answers, or it is locked.
pub fn kept_keys(host: &str) -> Result<Vec<Secret>, NetError> {
    match entry(host).and_then(|entry| entry.get_password()) {
        Ok(text) => Ok(Secret::all_in(&text)),
        Err(Error::NoEntry) => Ok(Vec::new()),
        Err(error) => Err(fault(&error)),
    }
}

/// Keeps the keys for a server, in the place of those that were.
///
/// # Errors
/// No keyring answers, or it is locked.
pub fn keep_key(host: &str, secret: &Secret) -> Result<(), NetError> {
    let kept = entry(host).and_then(|entry| entry.set_password(&secret.bare()));
    kept.map_err(|error| fault(&error))
}

/// Takes the keys for a server away; whether there were any.
///
/// # Errors
/// No keyring answers, or it is locked.
pub fn forget_key(host: &str) -> Result<bool, NetError> {
    match entry(host).and_then(|entry| entry.delete_credential()) {
        Ok(()) => Ok(true),
        Err(Error::NoEntry) => Ok(false),
        Err(error) => Err(fault(&error)),
    }
}

fn entry(host: &str) -> keyring::Result<Entry> {
    Entry::new(SERVICE, host)
}

/// The system's words. None of these errors prints what was read or was to be kept.
fn fault(error: &Error) -> NetError {
    let reason = match (error, Entry::store_status()) {
        (Error::NoDefaultStore, Err(why)) => why.to_string(),
        (Error::BadEncoding(_) | Error::BadDataFormat(..), _) => {
            "what it holds is no text".to_owned()
        }
        (error, _) => error.to_string(),
    };
    NetError::Keyring { reason }
}
