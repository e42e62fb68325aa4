//! Reading the JSON that was asked for: as it is, repaired where there is one way only to understand it, or not at all.

use serde_json::Map;
use serde_json::Value;

use super::wire::Reply;
use crate::domain::Aspect;
use crate::domain::Question;

/// Shorter than this, a text describes nothing.
const MIN_CHARS: usize = 20;

/// The description of each asked aspect, or what is wrong with the answer.
pub(super) fn read(question: &Question, reply: &Reply) -> Result<Vec<(Aspect, String)>, String> {
    if reply.is_cut_off {
        return Err("because it was cut off at its longest length".to_owned());
    }
    let object = object(&reply.text).ok_or_else(|| {
        let begin: String = reply.text.trim().chars().take(60).collect();
        format!("with {begin:?}, which is no JSON object")
    })?;
    let asked = question.aspects.iter().map(|asked| asked.aspect);
    asked
        .map(|aspect| {
            let text = text_of(&object, aspect, question.aspects.len() == 1)?;
            if question.gives_away(aspect, &text) {
                return Err(format!("giving the score of {aspect} away"));
            }
            Ok((aspect, text))
        })
        .collect()
}

fn text_of(object: &Map<String, Value>, aspect: Aspect, is_only: bool) -> Result<String, String> {
    let is_name = |name: &str| {
        let name = name.trim().to_ascii_lowercase();
        name == aspect.name()
            || aspect == Aspect::Correspondence && (name == "alignment" || name == "align")
    };
    let mut named = object
        .iter()
        .filter(|(name, _)| is_name(name))
        .map(|(_, value)| value);
    let value = named.next().or_else(|| {
        // One text for one task can be meant for that task only.
        let mut values = object.values().filter(|value| value.is_string());
        values.next().filter(|_| is_only && object.len() == 1)
    });
    let text = match value {
        Some(Value::String(text)) => text.split_whitespace().collect::<Vec<_>>().join(" "),
        Some(_) => return Err(format!("with something else than a text for {aspect}")),
        None => return Err(format!("without {aspect}")),
    };
    match text.chars().count() {
        0..MIN_CHARS => Err(format!(
            "with {text:?} for {aspect}, which describes nothing"
        )),
        _ => Ok(text),
    }
}

/// The one object in a text: whole, in a code fence, or with words before or behind it.
fn object(text: &str) -> Option<Map<String, Value>> {
    let parse = |text: &str| serde_json::from_str::<Map<String, Value>>(text).ok();
    let text = text.trim();
    if let Some(object) = parse(text) {
        return Some(object);
    }
    let (from, to) = (text.find('{')?, text.rfind('}')?);
    let inner = text.get(from..=to)?;
    // A comma before the end is what people and models add, and JSON alone forbids.
    parse(inner).or_else(|| {
        let before = inner.strip_suffix('}')?.trim_end().strip_suffix(',')?;
        parse(&format!("{before}}}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::AskedAspect;
    use crate::domain::ImageId;
    use crate::domain::Usage;

    const SHARP: &str = "The fox is sharp against a soft background.";

    fn read_text(text: &str, aspects: &[Aspect]) -> Result<Vec<(Aspect, String)>, String> {
        let asked = |aspect: &Aspect| AskedAspect {
            aspect: *aspect,
            request: String::new(),
            shown: None,
        };
        let question = Question {
            image: ImageId(1),
            aspects: aspects.iter().map(asked).collect(),
        };
        let reply = Reply {
            text: text.to_owned(),
            is_cut_off: false,
            usage: Usage::default(),
        };
        read(&question, &reply)
    }

    #[test]
    fn an_answer_is_repaired_where_it_can_mean_one_thing_only() {
        for text in [
            format!("{{\"quality\": \"{SHARP}\"}}"),
            format!("```json\n{{\"quality\": \"{SHARP}\"}}\n```"),
            format!("Here it is: {{\"Quality\": \"{SHARP}\",}} I hope it helps!"),
            "{\"quality\": \"The fox is sharp\\n against a  soft background.\"}".to_owned(),
            format!("{{\"description\": \"{SHARP}\"}}"),
        ] {
            let expected = Ok(vec![(Aspect::Quality, SHARP.to_owned())]);
            assert_eq!(read_text(&text, &[Aspect::Quality]), expected, "{text}");
        }
        let both = format!("{{\"alignment\": \"{SHARP}\", \"quality\": \"{SHARP}\"}}");
        let aspects = [Aspect::Quality, Aspect::Correspondence];
        assert_eq!(read_text(&both, &aspects).map(|texts| texts.len()), Ok(2));
    }

    #[test]
    fn an_answer_that_could_mean_several_things_is_not_guessed_at() {
        let aspects = [Aspect::Quality, Aspect::Correspondence];
        for (text, aspects, reason) in [
            (
                "The fox is sharp.".to_owned(),
                &aspects[..1],
                "no JSON object",
            ),
            (
                format!("{{\"description\": \"{SHARP}\"}}"),
                &aspects[..],
                "without quality",
            ),
            (
                format!("{{\"a\": \"{SHARP}\", \"b\": \"{SHARP}\"}}"),
                &aspects[..1],
                "without quality",
            ),
            (
                format!("{{\"quality\": \"{SHARP}\""),
                &aspects[..1],
                "no JSON object",
            ),
            (
                "{\"quality\": 3}".to_owned(),
                &aspects[..1],
                "something else than a text",
            ),
            (
                "{\"quality\": \"good\"}".to_owned(),
                &aspects[..1],
                "describes nothing",
            ),
            (
                "{\"quality\": \"\"}".to_owned(),
                &aspects[..1],
                "describes nothing",
            ),
        ] {
            let error = read_text(&text, aspects).unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
