//! What the texts of an image file mean: which program wrote them, and which part is the prompt.

use serde_json::Value;

use super::Text;
use super::comfy;

/// Takes the prompt out of one text.
type Reader = fn(&str) -> Option<String>;

/// The prompt and the key that it stood under; programs are told apart by their keys, most specific first.
pub(super) fn prompt(texts: &[Text]) -> Option<(String, String)> {
    let by_key = |key: &str| texts.iter().find(|text| text.key == key);
    let is_novel_ai = by_key("Software").is_some_and(|text| text.value == "NovelAI");
    let readers: [(&str, Reader); 11] = [
        ("Model", swarm_or_comfy),
        ("parameters", json_or_parameters),
        ("UserComment", json_or_parameters),
        ("invokeai_metadata", |text| {
            string_at(text, &["positive_prompt"])
        }),
        ("sd-metadata", invoke_old),
        ("Dream", dream),
        ("Description", if is_novel_ai { prose } else { midjourney }),
        ("prompt", comfy::prompt),
        ("XML:com.adobe.xmp", draw_things),
        ("prompt", prose),
        ("Prompt", prose),
    ];
    readers.into_iter().find_map(|(key, read)| {
        let found = read(&by_key(key)?.value)?;
        let found = found.trim();
        (!found.is_empty()).then(|| (found.to_owned(), key.to_owned()))
    })
}

/// The grammar of A1111 `parameters` and of sidecar files: prompt lines, then optional negative prompt, then settings.
pub(super) fn parameters(text: &str) -> String {
    let mut lines: Vec<&str> = text.trim().lines().collect();
    if lines.len() > 1 && lines.last().is_some_and(|line| is_settings(line)) {
        lines.pop();
    }
    let prompt: Vec<&str> = lines
        .into_iter()
        .take_while(|line| !line.trim_start().starts_with("Negative prompt:"))
        .map(str::trim_end)
        .collect();
    prompt.join("\n").trim().to_owned()
}

/// Whether a line reads `Key: value, Key: value, Key: value`: three keys or more make it settings.
fn is_settings(line: &str) -> bool {
    let mut is_quoted = false;
    let mut is_escaped = false;
    let fields = line.split(|letter: char| {
        // Commas within quoted values belong to them.
        let is_comma = letter == ',' && !is_quoted;
        if letter == '"' && !is_escaped {
            is_quoted = !is_quoted;
        }
        is_escaped = letter == '\\' && !is_escaped;
        is_comma
    });
    let is_key = |field: &str| {
        field.split_once(':').is_some_and(|(key, _)| {
            let key = key.trim();
            key.starts_with(|letter: char| letter.is_alphanumeric() || letter == '_')
                && key
                    .chars()
                    .all(|letter| letter.is_alphanumeric() || "_ -/".contains(letter))
        })
    };
    fields.filter(|field| is_key(field)).count() >= 3
}

fn json_or_parameters(text: &str) -> Option<String> {
    if let Ok(Value::Object(_)) = serde_json::from_str(text) {
        return swarm(text)
            .or_else(|| string_at(text, &["prompt"]))
            .or_else(|| string_at(text, &["c"]));
    }
    Some(parameters(text))
}

/// WebP files of `ComfyUI` keep the graph in EXIF as `prompt:{...}`.
fn swarm_or_comfy(text: &str) -> Option<String> {
    swarm(text).or_else(|| comfy::prompt(text.strip_prefix("prompt:")?))
}

fn swarm(text: &str) -> Option<String> {
    string_at(text, &["sui_image_params", "prompt"])
}

fn string_at(text: &str, path: &[&str]) -> Option<String> {
    let value: Value = serde_json::from_str(text).ok()?;
    path.iter()
        .try_fold(&value, |value, key| value.get(key))?
        .as_str()
        .map(str::to_owned)
}

/// `image.prompt` is a string or a list of weighted prompts.
fn invoke_old(text: &str) -> Option<String> {
    let value: Value = serde_json::from_str(text).ok()?;
    let prompt = value.get("image")?.get("prompt")?;
    prompt
        .as_str()
        .or_else(|| prompt.get(0)?.get("prompt")?.as_str())
        .map(str::to_owned)
}

/// `"prompt" -s 30 -S seed`.
fn dream(text: &str) -> Option<String> {
    let text = text.trim().strip_prefix('"')?;
    Some(text.rsplit_once('"')?.0.to_owned())
}

/// Anything but a JSON document: a graph of nodes is no prompt.
fn prose(text: &str) -> Option<String> {
    (!text.trim_start().starts_with(['{', '['])).then(|| text.to_owned())
}

/// Midjourney appends its options and a job number to the prompt.
fn midjourney(text: &str) -> Option<String> {
    let (text, _job) = text.split_once("Job ID:")?;
    prose(text.split(" --").next()?)
}

/// Draw Things keeps a JSON object in the XMP's `exif:UserComment`, its prompt under `c`.
fn draw_things(text: &str) -> Option<String> {
    let comment = &text[text.find("exif:UserComment")?..];
    let json = &comment[comment.find('{')?..];
    let json = &json[..json.find('<').unwrap_or(json.len())];
    let json = json
        .replace("&quot;", "\"")
        .replace("&#34;", "\"")
        .replace("&apos;", "'")
        .replace("&#39;", "'")
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&");
    let mut values = serde_json::Deserializer::from_str(&json).into_iter::<Value>();
    let value = values.next()?.ok()?;
    value.get("c")?.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(key: &str, value: &str) -> Option<(String, String)> {
        prompt(&[Text {
            key: key.to_owned(),
            value: value.to_owned(),
        }])
    }

    #[test]
    fn parameters_are_cut_before_negative_prompt_and_settings() {
        let text = "a fox,\nin snow\nNegative prompt: blurry\nSteps: 20, Sampler: Euler a, CFG scale: 7, Size: 512x512";
        assert_eq!(parameters(text), "a fox,\nin snow");
    }

    #[test]
    fn a_last_line_of_few_keys_is_still_prompt() {
        assert_eq!(
            parameters("a sign\nthat says: stop"),
            "a sign\nthat says: stop"
        );
    }

    #[test]
    fn commas_in_quoted_values_do_not_make_keys() {
        assert!(!is_settings("Note: \"a: b, c: d, e: f\""));
        assert!(is_settings("Steps: 2, Note: \"x, y\", Seed: 1"));
    }

    #[test]
    fn programs_are_told_apart_by_key() {
        let text = |key, value| found(key, value).map(|(prompt, _)| prompt);
        assert_eq!(text("Dream", "\"a cat\" -s 30").as_deref(), Some("a cat"));
        assert_eq!(
            text("invokeai_metadata", r#"{"positive_prompt":"a cat"}"#).as_deref(),
            Some("a cat")
        );
        assert_eq!(
            text(
                "sd-metadata",
                r#"{"image":{"prompt":[{"prompt":"a cat"}]}}"#
            )
            .as_deref(),
            Some("a cat")
        );
        assert_eq!(
            text("parameters", r#"{"sui_image_params":{"prompt":"a cat"}}"#).as_deref(),
            Some("a cat")
        );
        assert_eq!(
            text("Description", "a cat --ar 2:1 --v 6 Job ID: 12").as_deref(),
            Some("a cat")
        );
        assert_eq!(text("Description", "a screenshot"), None);
        assert_eq!(text("Software", "GIMP"), None);
        let xmp =
            "<exif:UserComment><rdf:li>{&quot;c&quot;: &quot;a cat &amp; a dog&quot;}</rdf:li>";
        assert_eq!(
            text("XML:com.adobe.xmp", xmp).as_deref(),
            Some("a cat & a dog")
        );
    }
}
