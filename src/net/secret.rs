//! A key or a token: it goes into one header of one request, and nowhere else.

use std::fmt;

/// A key or a token. It has no `Display` and is not serialisable; its `Debug` says nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes a secret as it is typed; `None` if nothing is left without the blanks around it.
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        (!text.is_empty()).then(|| Self(text.to_owned()))
    }

    /// Reads it from an environment variable; `None` where that is not set or empty.
    pub fn from_env(variable: &str) -> Option<Self> {
        Self::new(&std::env::var(variable).ok()?)
    }

    /// Reads several of them, parted by commas or blanks, from an environment variable.
    pub fn all_from_env(variable: &str) -> Vec<Self> {
        Self::all_in(&std::env::var(variable).unwrap_or_default())
    }

    /// Takes several of them, parted by commas or blanks.
    pub fn all_in(text: &str) -> Vec<Self> {
        let parts = text.split([',', ' ', '\n']);
        parts.filter_map(Self::new).collect()
    }

    /// The value of an `Authorization` header.
    pub(super) fn bearer(&self) -> String {
        format!("Bearer {}", self.0)
    }

    /// The value of a header that holds nothing else.
    pub(super) fn bare(&self) -> String {
        self.0.clone()
    }

    /// Whether it can stand in a header at all: a key with a line break in it would end the header.
    pub fn is_plain(&self) -> bool {
        self.0.bytes().all(|byte| byte.is_ascii_graphic())
    }

    /// Whether several of them in one text, parted by commas, can each stand in a header.
    pub fn is_plain_list(&self) -> bool {
        Self::all_in(&self.0).iter().all(Self::is_plain)
    }

    /// Words without the secret, for messages of servers that repeat what they were sent.
    pub fn hidden_in(&self, words: &str) -> String {
        words.replace(&self.0, "[key]")
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_says_nothing_of_itself() {
        let secret = Secret::new(" hf_abc \n").unwrap();
        assert_eq!(format!("{secret:?}"), "Secret");
        assert_eq!(secret.bearer(), "Bearer hf_abc");
        assert_eq!(
            secret.hidden_in("no such key: hf_abc!"),
            "no such key: [key]!"
        );
        assert_eq!(Secret::new("  "), None);
    }

    #[test]
    fn a_key_with_a_line_break_is_not_plain() {
        assert!(Secret::new("sk-1_a").unwrap().is_plain());
        assert!(!Secret::new("sk-1\r\nX-Evil: 1").unwrap().is_plain());
    }
}
