//! `ComfyUI` stores no prompt but the graph of nodes that made the picture; the prompt is found by walking back from
//! the node that saved it.

use std::collections::HashSet;

use serde_json::Map;
use serde_json::Value;

/// Longer chains of nodes are not followed.
const MAX_DEPTH: usize = 100;

/// Inputs in which text nodes keep their text.
const TEXT_INPUTS: [&str; 8] = [
    "text", "text_g", "text_l", "t5xxl", "clip_l", "prompt", "string", "value",
];

/// What a text that is found further up the graph is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Role {
    Unknown,
    Positive,
    Negative,
}

/// The positive texts of a graph `{id: {class_type, inputs}}`, one a line; `None` if it is no graph or holds none.
pub(super) fn prompt(text: &str) -> Option<String> {
    let graph: Value = serde_json::from_str(&without_bare_numbers(text)).ok()?;
    let nodes = graph.as_object()?;
    let mut walk = Walk {
        nodes,
        visited: HashSet::new(),
        found: Vec::new(),
    };
    let savers = nodes.iter().filter(|(_, node)| saves(node));
    for (id, _) in savers {
        walk.back_from(id, Role::Unknown, 0);
    }
    (!walk.found.is_empty()).then(|| walk.found.join("\n"))
}

fn saves(node: &Value) -> bool {
    node.get("class_type")
        .and_then(Value::as_str)
        .is_some_and(|class| class.contains("SaveImage") || class.contains("PreviewImage"))
}

struct Walk<'a> {
    nodes: &'a Map<String, Value>,
    visited: HashSet<(&'a str, Role)>,
    found: Vec<&'a str>,
}

impl<'a> Walk<'a> {
    fn back_from(&mut self, id: &'a str, role: Role, depth: usize) {
        if depth > MAX_DEPTH || !self.visited.insert((id, role)) {
            return;
        }
        let inputs = self.nodes.get(id).and_then(|node| node.get("inputs"));
        let Some(inputs) = inputs.and_then(Value::as_object) else {
            return;
        };
        for (name, value) in inputs {
            if let Some(source) = linked(value) {
                self.back_from(source, role_through(name, role), depth + 1);
            } else if role == Role::Positive && TEXT_INPUTS.contains(&name.as_str()) {
                let text = value.as_str().map_or("", str::trim);
                if !text.is_empty() && !self.found.contains(&text) {
                    self.found.push(text);
                }
            }
        }
    }
}

/// A link is `[node id, output]`.
fn linked(value: &Value) -> Option<&str> {
    match value.as_array()?.as_slice() {
        [Value::String(id), Value::Number(_)] => Some(id),
        _ => None,
    }
}

fn role_through(input: &str, role: Role) -> Role {
    match (input, role) {
        ("positive", _) | ("conditioning" | "guider", Role::Unknown) => Role::Positive,
        ("negative", _) => Role::Negative,
        (_, role) => role,
    }
}

/// Python writes `NaN` and `Infinity`, which are no JSON; outside strings they become `null`.
fn without_bare_numbers(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for (position, part) in quoted_parts(text).enumerate() {
        if position % 2 == 0 {
            let part = part.replace("-Infinity", "null");
            plain.push_str(&part.replace("Infinity", "null").replace("NaN", "null"));
        } else {
            plain.push_str(part);
        }
    }
    plain
}

/// Parts outside and inside of strings in turn; the inside ones keep their quotation marks.
fn quoted_parts(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    let mut is_inside = false;
    std::iter::from_fn(move || {
        if rest.is_empty() && !is_inside {
            return None;
        }
        let end = if is_inside {
            end_of_string(rest)
        } else {
            rest.find('"').unwrap_or(rest.len())
        };
        is_inside = !is_inside && end < rest.len();
        let (part, after) = rest.split_at(end);
        rest = after;
        Some(part)
    })
}

/// Length of a string with both of its quotation marks.
fn end_of_string(text: &str) -> usize {
    let mut is_escaped = false;
    for (position, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            b'"' if !is_escaped => return position + 1,
            b'\\' => is_escaped = !is_escaped,
            _ => is_escaped = false,
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRAPH: &str = r#"{
        "1": {"class_type": "SaveImage", "inputs": {"images": ["2", 0], "filename_prefix": "x"}},
        "2": {"class_type": "VAEDecode", "inputs": {"samples": ["3", 0], "vae": ["6", 2]}},
        "3": {"class_type": "KSampler", "inputs": {"seed": 3, "cfg": NaN, "model": ["6", 0],
              "positive": ["4", 0], "negative": ["5", 0]}},
        "4": {"class_type": "CLIPTextEncode", "inputs": {"text": ["7", 0], "clip": ["6", 1]}},
        "5": {"class_type": "CLIPTextEncode", "inputs": {"text": "blurry", "clip": ["6", 1]}},
        "6": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "m.safetensors"}},
        "7": {"class_type": "String", "inputs": {"value": "a fox named \"NaN\", {snow}"}}
    }"#;

    #[test]
    fn the_positive_text_is_found_through_links() {
        assert_eq!(
            prompt(GRAPH).as_deref(),
            Some("a fox named \"NaN\", {snow}")
        );
    }

    #[test]
    fn a_guider_s_conditioning_counts_as_positive() {
        let graph = r#"{"1": {"class_type": "PreviewImage", "inputs": {"images": ["2", 0]}},
            "2": {"class_type": "SamplerCustomAdvanced", "inputs": {"guider": ["3", 0]}},
            "3": {"class_type": "BasicGuider", "inputs": {"conditioning": ["4", 0]}},
            "4": {"class_type": "CLIPTextEncode", "inputs": {"text": "a cat"}}}"#;
        assert_eq!(prompt(graph).as_deref(), Some("a cat"));
    }

    #[test]
    fn circles_end() {
        let graph = r#"{"1": {"class_type": "SaveImage", "inputs": {"positive": ["1", 0]}}}"#;
        assert_eq!(prompt(graph), None);
    }

    proptest::proptest! {
        #[test]
        fn no_text_is_lost_or_panics_on(text in "[\"\\\\a{}N \\PC]{0,60}") {
            let whole: String = quoted_parts(&text).collect();
            proptest::prop_assert_eq!(&whole, &text);
            prompt(&text);
        }
    }
}
