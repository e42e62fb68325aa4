//! The two wire formats: Gemini's `generateContent` (v1beta) and `OpenAI`'s chat completions, as the servers speak them.

use std::time::Duration;

use serde_json::Value;
use serde_json::json;

use super::Sent;
use crate::domain::TeacherKind;
use crate::domain::Usage;
use crate::net::NetError;
use crate::net::Secret;
use crate::net::client::Answer;
use crate::net::client::Failure;
use crate::net::client::read_failure;
use crate::net::patience::retry_after;

/// An answer has a few hundred words.
const MAX_ANSWER: u64 = 4 * 1024 * 1024;

/// Words of a server's error that are passed on.
const MAX_WORDS: usize = 240;

/// What a teacher said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) text: String,
    pub(super) is_cut_off: bool,
    pub(super) usage: Usage,
}

/// Why it said nothing.
#[derive(Debug)]
pub(super) enum Trouble {
    /// It does not speak about this picture.
    Picture(String),
    /// This key does not work any more.
    KeyGone(String),
    /// This key has asked too often.
    KeyRests {
        host: String,
        status: u16,
        asked: Option<Duration>,
    },
    /// The server refuses the wish for JSON.
    NoJsonMode,
    /// The connection, or the server as a whole.
    Failed(Failure),
}

/// Address and body of a request.
pub(super) fn request(
    kind: TeacherKind,
    (base, model): (&str, &str),
    words: &str,
    picture: &Sent,
    wants_json: bool,
) -> (String, String) {
    match kind {
        TeacherKind::Gemini => {
            let mut body = json!({
                "contents": [{ "role": "user", "parts": [
                    { "inline_data": { "mime_type": picture.mime, "data": picture.base64 } },
                    { "text": words },
                ] }],
            });
            if wants_json {
                body["generationConfig"] = json!({ "responseMimeType": "application/json" });
            }
            let model = model.strip_prefix("models/").unwrap_or(model);
            (
                format!("{base}/v1beta/models/{model}:generateContent"),
                body.to_string(),
            )
        }
        TeacherKind::OpenAi => {
            let url = format!("data:{};base64,{}", picture.mime, picture.base64);
            let mut body = json!({
                "model": model,
                "messages": [{ "role": "user", "content": [
                    { "type": "text", "text": words },
                    { "type": "image_url", "image_url": { "url": url } },
                ] }],
            });
            if wants_json {
                body["response_format"] = json!({ "type": "json_object" });
            }
            (format!("{base}/chat/completions"), body.to_string())
        }
    }
}

/// The header that holds the key: never the address, which stands in logs.
pub(super) fn header(kind: TeacherKind, key: &Secret) -> (&'static str, String) {
    match kind {
        TeacherKind::Gemini => ("x-goog-api-key", key.bare()),
        TeacherKind::OpenAi => ("authorization", key.bearer()),
    }
}

/// Understands an answer.
pub(super) fn reply(
    kind: TeacherKind,
    answer: Answer,
    key: Option<&Secret>,
    wants_json: bool,
) -> Result<Reply, Trouble> {
    let value = read(answer, key, wants_json)?;
    match kind {
        TeacherKind::Gemini => gemini(&value),
        TeacherKind::OpenAi => open_ai(&value),
    }
}

/// The JSON of an answer that is one.
pub(super) fn json_of(answer: Answer, key: Option<&Secret>) -> Result<Value, Trouble> {
    read(answer, key, false)
}

fn read(mut answer: Answer, key: Option<&Secret>, wants_json: bool) -> Result<Value, Trouble> {
    let host = answer.host.clone();
    let is_page = answer.is_page();
    let read = answer.body.with_config().limit(MAX_ANSWER).read_to_string();
    let text = read.map_err(|error| Trouble::Failed(read_failure(&host, &error.into_io())))?;
    let value: Option<Value> = serde_json::from_str(&text).ok();
    if answer.status != 200 {
        return Err(refusal(&answer, value.as_ref(), key, wants_json));
    }
    value.ok_or_else(|| {
        let what = "the question".to_owned();
        Trouble::Failed(Failure::Final(match is_page {
            true => NetError::WebPage { what, host },
            false => NetError::Malformed {
                host,
                what,
                reason: "it is no JSON; check the address of the teacher".to_owned(),
            },
        }))
    })
}

fn gemini(value: &Value) -> Result<Reply, Trouble> {
    if let Some(reason) = value
        .pointer("/promptFeedback/blockReason")
        .and_then(Value::as_str)
    {
        return Err(Trouble::Picture(format!(
            "the teacher does not look at this picture ({reason})"
        )));
    }
    let end = value
        .pointer("/candidates/0/finishReason")
        .and_then(Value::as_str)
        .unwrap_or("STOP");
    let parts = value
        .pointer("/candidates/0/content/parts")
        .and_then(Value::as_array);
    // Parts that think aloud are no answer.
    let is_answer = |part: &&Value| part.get("thought") != Some(&Value::Bool(true));
    let text: String = parts
        .into_iter()
        .flatten()
        .filter(is_answer)
        .filter_map(|part| part.get("text")?.as_str())
        .collect();
    if !matches!(end, "STOP" | "MAX_TOKENS") {
        return Err(Trouble::Picture(format!(
            "the teacher stopped speaking about this picture ({end})"
        )));
    }
    let tokens = |name: &str| {
        value
            .pointer(&format!("/usageMetadata/{name}"))
            .and_then(Value::as_u64)
            .unwrap_or(0)
    };
    Ok(Reply {
        text,
        is_cut_off: end == "MAX_TOKENS",
        usage: Usage {
            requests: 1,
            input: tokens("promptTokenCount"),
            output: tokens("candidatesTokenCount") + tokens("thoughtsTokenCount"),
        },
    })
}

fn open_ai(value: &Value) -> Result<Reply, Trouble> {
    let choice = value.pointer("/choices/0").unwrap_or(&Value::Null);
    let end = choice
        .get("finish_reason")
        .and_then(Value::as_str)
        .unwrap_or("stop");
    if let Some(refusal) = choice.pointer("/message/refusal").and_then(Value::as_str) {
        let words: String = refusal.chars().take(MAX_WORDS).collect();
        return Err(Trouble::Picture(format!(
            "the teacher refused to speak about this picture: {words}"
        )));
    }
    if end == "content_filter" {
        return Err(Trouble::Picture(
            "the teacher's filter held its words about this picture back".to_owned(),
        ));
    }
    let content = choice.pointer("/message/content");
    let text = match content {
        Some(Value::String(text)) => text.clone(),
        // Some servers answer in parts, as they are asked.
        Some(Value::Array(parts)) => parts
            .iter()
            .filter_map(|part| part.get("text")?.as_str())
            .collect(),
        _ => String::new(),
    };
    let tokens = |name: &str| {
        value
            .pointer(&format!("/usage/{name}"))
            .and_then(Value::as_u64)
            .unwrap_or(0)
    };
    Ok(Reply {
        text,
        is_cut_off: end == "length",
        usage: Usage {
            requests: 1,
            input: tokens("prompt_tokens"),
            output: tokens("completion_tokens"),
        },
    })
}

/// What an answer means that is none.
fn refusal(
    answer: &Answer,
    value: Option<&Value>,
    key: Option<&Secret>,
    wants_json: bool,
) -> Trouble {
    let said = error_words(value, key);
    let lower = said.to_ascii_lowercase();
    let host = answer.host.clone();
    let code = value
        .and_then(|value| value.pointer("/error/code"))
        .and_then(Value::as_str)
        .unwrap_or_default();
    let is_empty_purse =
        code == "insufficient_quota" || lower.contains("billing") || has_daily_quota(value);
    let is_about_key = matches!(answer.status, 401 | 403)
        || lower.contains("api key")
        || lower.contains("api_key");
    match answer.status {
        429 if is_empty_purse => Trouble::KeyGone(said),
        402 => Trouble::KeyGone(said),
        429 => Trouble::KeyRests {
            host,
            status: 429,
            asked: asked_wait(answer, value),
        },
        400 | 401 | 403 if is_about_key => Trouble::KeyGone(said),
        400 | 422 if wants_json && lower.contains("response_format") => Trouble::NoJsonMode,
        // A picture that is too large, or that the server cannot read, is about this picture alone.
        413 => Trouble::Picture(format!("the teacher finds the picture too large: {said}")),
        400 | 422 if lower.contains("image") => {
            Trouble::Picture(format!("the teacher cannot read the picture: {said}"))
        }
        _ => match answer.passing_failure() {
            Some(failure) => Trouble::Failed(failure),
            None => Trouble::Failed(Failure::Final(NetError::Refused {
                host,
                what: "the question".to_owned(),
                status: answer.status,
                words: match said.as_str() {
                    "" => "; check the address and the name of the model".to_owned(),
                    said => format!(": {said}"),
                },
            })),
        },
    }
}

/// The server's own words, without the key.
fn error_words(value: Option<&Value>, key: Option<&Secret>) -> String {
    let error = value.and_then(|value| value.get("error").or_else(|| value.get(0)?.get("error")));
    let words = match error {
        Some(Value::String(words)) => words.as_str(),
        Some(error) => error
            .get("message")
            .and_then(Value::as_str)
            .unwrap_or_default(),
        None => value
            .and_then(|value| value.get("detail")?.as_str())
            .unwrap_or_default(),
    };
    let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
    let words = key.map_or_else(|| words.clone(), |key| key.hidden_in(&words));
    words.chars().take(MAX_WORDS).collect()
}

/// How long a server asks to wait: a header, or Gemini's `RetryInfo`.
fn asked_wait(answer: &Answer, value: Option<&Value>) -> Option<Duration> {
    let by_header = answer
        .header("retry-after")
        .and_then(|text| retry_after(text, answer.header("date")));
    by_header.or_else(|| {
        let details = value?.pointer("/error/details")?.as_array()?;
        let delay = details
            .iter()
            .find_map(|detail| detail.get("retryDelay")?.as_str())?;
        let seconds: f64 = delay.strip_suffix('s')?.parse().ok()?;
        Duration::try_from_secs_f64(seconds).ok()
    })
}

/// Whether a quota was hit that opens again tomorrow only.
fn has_daily_quota(value: Option<&Value>) -> bool {
    let details = value.and_then(|value| value.pointer("/error/details")?.as_array());
    let violations = details
        .into_iter()
        .flatten()
        .filter_map(|detail| detail.get("violations")?.as_array());
    violations.flatten().any(|violation| {
        let id = violation.get("quotaId").and_then(Value::as_str);
        id.is_some_and(|id| id.contains("PerDay"))
    })
}

/// Base64 with padding (RFC 4648, section 4).
pub(super) fn base64(bytes: &[u8]) -> String {
    const SIGNS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let mut three = [0; 3];
        three[..group.len()].copy_from_slice(group);
        let bits = u32::from_be_bytes([0, three[0], three[1], three[2]]);
        for place in 0..4 {
            let sign = SIGNS[((bits >> (18 - 6 * place)) & 63) as usize];
            out.push(if place > group.len() {
                '='
            } else {
                sign as char
            });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_rfc_4648() {
        for (bytes, expected) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(bytes.as_bytes()), expected);
        }
        assert_eq!(base64(&[0xfb, 0xff, 0xfe]), "+//+");
    }

    #[test]
    fn gemini_answers_are_understood() {
        let answer = |end: &str| {
            json!({
                "candidates": [{
                    "content": { "role": "model", "parts": [
                        { "thought": true, "text": "Hm." }, { "text": "{\"quality\":" }, { "text": " \"x\"}" },
                    ] },
                    "finishReason": end,
                }],
                "usageMetadata": { "promptTokenCount": 300, "candidatesTokenCount": 40, "thoughtsTokenCount": 5 },
            })
        };
        let reply = gemini(&answer("STOP")).unwrap();
        assert_eq!(reply.text, "{\"quality\": \"x\"}");
        let usage = Usage {
            requests: 1,
            input: 300,
            output: 45,
        };
        assert_eq!(reply.usage, usage);
        assert!(gemini(&answer("MAX_TOKENS")).unwrap().is_cut_off);
        for blocked in [
            answer("SAFETY"),
            answer("RECITATION"),
            json!({ "promptFeedback": { "blockReason": "SAFETY" } }),
        ] {
            assert!(matches!(gemini(&blocked), Err(Trouble::Picture(_))));
        }
    }

    #[test]
    fn chat_completions_are_understood() {
        let answer = |message: Value, end: &str| {
            json!({
                "choices": [{ "index": 0, "message": message, "finish_reason": end }],
                "usage": { "prompt_tokens": 700, "completion_tokens": 60 },
            })
        };
        let said = answer(json!({ "role": "assistant", "content": "{}" }), "stop");
        let reply = open_ai(&said).unwrap();
        assert_eq!(
            (reply.text.as_str(), reply.usage.input, reply.usage.output),
            ("{}", 700, 60)
        );
        let parts = answer(
            json!({ "content": [{ "type": "text", "text": "{}" }] }),
            "length",
        );
        let reply = open_ai(&parts).unwrap();
        assert!(reply.text == "{}" && reply.is_cut_off);
        let refused = answer(json!({ "content": null, "refusal": "I cannot." }), "stop");
        assert!(matches!(open_ai(&refused), Err(Trouble::Picture(_))));
        let filtered = answer(json!({ "content": "" }), "content_filter");
        assert!(matches!(open_ai(&filtered), Err(Trouble::Picture(_))));
    }
}
