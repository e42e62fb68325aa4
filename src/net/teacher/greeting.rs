//! Asking a teacher whether it is there, which costs nothing: the list of its models, and whether the wanted one is
//! among them.

use serde_json::Value;

use super::Teacher;
use super::wire;
use super::wire::Trouble;
use crate::domain::TeacherKind;
use crate::net::Client;
use crate::net::NetError;
use crate::net::Secret;
use crate::net::client::Failure;

/// Names of models that are said where the wanted one is not among them.
const MAX_NAMES: usize = 6;

impl Teacher {
    /// Asks for the models with each key once. Answers a sentence for people.
    ///
    /// # Errors
    /// The server cannot be reached, takes a key for none, or does not have the model.
    pub fn greet(&self) -> Result<String, NetError> {
        let keys: Vec<Option<&Secret>> = match self.keys.all() {
            [] => vec![None],
            keys => keys.iter().map(Some).collect(),
        };
        let mut names = Vec::new();
        for (idx, key) in keys.iter().enumerate() {
            let place = (keys.len() > 1).then_some(idx + 1);
            names = self
                .models(*key)
                .map_err(|trouble| self.refused(trouble, place))?;
        }
        if !names.iter().any(|name| self.is_wanted(name)) && !names.is_empty() {
            let some: Vec<&str> = names.iter().take(MAX_NAMES).map(String::as_str).collect();
            let more = if names.len() > MAX_NAMES { ", …" } else { "" };
            return Err(NetError::Malformed {
                host: self.host(),
                what: "the question for its models".to_owned(),
                reason: format!(
                    "{} is not among them; it has {}{more}",
                    self.model,
                    some.join(", ")
                ),
            });
        }
        let with = match self.keys.all().len() {
            0 => "without a key".to_owned(),
            1 => "and takes the key".to_owned(),
            num => format!("and takes all {num} keys"),
        };
        let has = match names.is_empty() {
            true => "it does not list its models",
            false => "it has the model",
        };
        Ok(format!("{} answers {with}; {has}", self.host()))
    }

    /// Names of its models; none where it lists them in no way that is known.
    fn models(&self, key: Option<&Secret>) -> Result<Vec<String>, Trouble> {
        let header = key.map(|key| wire::header(self.kind, key));
        let headers: Vec<(&str, &str)> = header
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let url = match self.kind {
            TeacherKind::Gemini => format!("{}/v1beta/models?pageSize=1000", self.base),
            TeacherKind::OpenAi => format!("{}/models", self.base),
        };
        // No redirect is followed with a key, as for questions.
        // A list comes at once, or not at all: nobody waits as long as for an answer about a picture.
        let answer = Client::default()
            .get_here(&url, &headers)
            .map_err(Trouble::Failed)?;
        let value = wire::json_of(answer, key)?;
        let list = value.get("models").or_else(|| value.get("data"));
        let names = list.and_then(Value::as_array).into_iter().flatten();
        Ok(names
            .filter_map(|model| model.get("name").or_else(|| model.get("id"))?.as_str())
            .map(|name| name.trim_start_matches("models/").to_owned())
            .collect())
    }

    /// Ollama has `llava:latest` where `llava` is asked for.
    fn is_wanted(&self, name: &str) -> bool {
        let wanted = self.model.trim_start_matches("models/");
        name == wanted
            || name
                .split_once(":latest")
                .is_some_and(|(name, _)| name == wanted)
    }

    fn refused(&self, trouble: Trouble, place: Option<usize>) -> NetError {
        let which = place.map_or_else(|| "the key".to_owned(), |place| format!("key {place}"));
        match trouble {
            Trouble::Failed(Failure::Final(error)) => error,
            Trouble::Failed(
                Failure::Unreachable { host, reason } | Failure::Cut { host, reason },
            ) => NetError::NoTeacher { host, reason },
            Trouble::Failed(Failure::Busy { host, status, .. })
            | Trouble::KeyRests { host, status, .. } => NetError::NoTeacher {
                host,
                reason: format!("it is busy (status {status})"),
            },
            Trouble::KeyGone(words) | Trouble::Picture(words) => NetError::NoTeacher {
                host: self.host(),
                reason: match words.as_str() {
                    "" => format!("it does not accept {which}"),
                    words => format!("it does not accept {which}: {words}"),
                },
            },
            Trouble::NoJsonMode => NetError::NoTeacher {
                host: self.host(),
                reason: "it answers nothing".to_owned(),
            },
        }
    }
}
