//! Where a teacher's keys come from: an environment variable first, then the keyring of the desktop.

use crate::domain::KeySource;
use crate::domain::TeacherKind;
use crate::jobs::error::JobError;
use crate::net;
use crate::net::NetError;
use crate::net::Secret;

/// Keys with the name of the place that they came from.
pub(super) struct FoundKeys {
    pub(super) place: String,
    pub(super) keys: Vec<Secret>,
}

/// The keys for a server. A server of one's own may need none; the makers' own do.
pub(super) fn find(kind: TeacherKind, base: &str, variable: &str) -> Result<FoundKeys, JobError> {
    let found = |place: &str, keys| FoundKeys {
        place: place.to_owned(),
        keys,
    };
    let keys = Secret::all_from_env(variable);
    if !keys.is_empty() || is_here(base) {
        return Ok(found(variable, keys));
    }
    let host = net::host_in(base);
    let kept = net::kept_keys(&host);
    match kept {
        Ok(keys) if !keys.is_empty() => Ok(found("the keyring", keys)),
        _ if needs_none(kind, base) => Ok(found(variable, Vec::new())),
        Ok(_) => Err(JobError::NoKey {
            host,
            variable: variable.to_owned(),
            keyring: String::new(),
        }),
        Err(error) => Err(JobError::NoKey {
            host,
            variable: variable.to_owned(),
            keyring: format!(" ({error})"),
        }),
    }
}

/// Where the keys for a server are, without reading more than that.
pub(in crate::jobs) fn look(kind: TeacherKind, base: &str, variable: &str) -> KeySource {
    if !Secret::all_from_env(variable).is_empty() {
        return KeySource::Variable;
    }
    if is_here(base) {
        return KeySource::NotNeeded;
    }
    match net::kept_keys(&net::host_in(base)) {
        Ok(keys) if !keys.is_empty() => KeySource::Keyring,
        Ok(_) => match needs_none(kind, base) {
            true => KeySource::NotNeeded,
            false => KeySource::None,
        },
        Err(error) => KeySource::NoKeyring(error.to_string()),
    }
}

/// Keeps a key for a server, or takes it away.
pub(in crate::jobs) fn keep(
    base: &str,
    variable: &str,
    key: Option<&Secret>,
) -> Result<String, JobError> {
    let host = net::host_in(base);
    let kept = match key {
        Some(key) if !key.is_plain_list() => {
            return Err(NetError::UnusableKey {
                variable: "the field".to_owned(),
            }
            .into());
        }
        Some(key) => net::keep_key(&host, key).map(|()| format!("The key for {host} is kept")),
        None => net::forget_key(&host).map(|was_there| match was_there {
            true => format!("The key for {host} was taken away"),
            false => format!("There was no key for {host}"),
        }),
    };
    kept.map_err(|error| {
        JobError::Teacher(format!(
            "{error}: put the key into the environment variable {variable} instead"
        ))
    })
}

/// Whether a server is on this very machine: its keys, if any, are nothing to be kept.
fn is_here(base: &str) -> bool {
    let host = net::host_in(base);
    let name = host
        .rsplit_once(':')
        .map_or(host.as_str(), |(name, _)| name);
    matches!(name, "localhost" | "127.0.0.1" | "[::1]" | "::1")
}

/// Whether the server is not the maker's own, so that it may let in whoever comes.
fn needs_none(kind: TeacherKind, base: &str) -> bool {
    net::host_in(base) != net::host_in(kind.usual_base())
}
