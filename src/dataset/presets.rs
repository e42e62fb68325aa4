//! Wording of the two-round conversation: the presets in the program, and those read off imported conversations.

use std::collections::BTreeMap;
use std::collections::HashMap;

use crate::domain::Aspect;
use crate::domain::ConversationEntry;
use crate::domain::Preset;
use crate::domain::PresetAspect;

const ASSAY: &str = include_str!("../../assets/prompts/assay.toml");

/// Every preset in the program, the default one first.
pub fn presets() -> Vec<Preset> {
    [ASSAY]
        .into_iter()
        .filter_map(|text| toml::from_str(text).ok())
        .collect()
}

/// The preset that is used where nobody chose another.
///
/// # Panics
/// Never in a program whose tests passed: the file is part of it.
pub fn default_preset() -> Preset {
    toml::from_str(ASSAY).expect("the preset in the program is checked by a test")
}

/// Derives a preset from conversations by putting `{prompt}` back in place of the quoted prompt.
///
/// `prompts` are known by file name; without them the part in which requests differ is taken for the prompt. An aspect
/// that no conversation is about keeps the default wording. `None` if no aspect could be derived.
pub fn derive_preset<S: std::hash::BuildHasher>(
    name: &str,
    conversations: &[ConversationEntry],
    prompts: &HashMap<String, String, S>,
) -> Option<Preset> {
    let derive = |aspect: Aspect| {
        let about: Vec<&ConversationEntry> = conversations
            .iter()
            .filter(|entry| entry.aspect == aspect)
            .collect();
        let templates = about.iter().filter_map(|entry| {
            let prompt = prompts.get(&entry.file_name)?;
            with_placeholder(&entry.request, prompt)
        });
        let request = most_common(templates).or_else(|| differing_part(&about))?;
        let question = most_common(about.iter().map(|entry| entry.question.clone()))?;
        Some(PresetAspect { request, question })
    };
    let derived = Aspect::ALL.map(derive);
    if derived.iter().all(Option::is_none) {
        return None;
    }
    let default = default_preset();
    let [quality, correspondence, authenticity] = derived;
    Some(Preset {
        name: name.to_owned(),
        quality: quality.unwrap_or(default.quality),
        correspondence: correspondence.unwrap_or(default.correspondence),
        authenticity: authenticity.unwrap_or(default.authenticity),
    })
}

/// The request with its one quotation of the prompt taken out; `None` if it quotes none, or several.
fn with_placeholder(request: &str, prompt: &str) -> Option<String> {
    let prompt = prompt.trim();
    let is_once = !prompt.is_empty() && request.matches(prompt).count() == 1;
    is_once.then(|| request.replacen(prompt, "{prompt}", 1))
}

/// The most frequent text, the first by letters among equals: the same input gives the same preset.
fn most_common(texts: impl Iterator<Item = String>) -> Option<String> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for text in texts {
        *counts.entry(text).or_default() += 1;
    }
    counts
        .into_iter()
        .rev()
        .max_by_key(|(_, count)| *count)
        .map(|(text, _)| text)
}

/// What all requests begin and end with, with `{prompt}` between, moved out to the quotation marks around it.
fn differing_part(about: &[&ConversationEntry]) -> Option<String> {
    let first = about.first()?.request.as_str();
    let mut prefix = first.len();
    let mut suffix = first.len();
    for entry in about {
        prefix = prefix.min(common(first.bytes(), entry.request.bytes()));
        suffix = suffix.min(common(first.bytes().rev(), entry.request.bytes().rev()));
    }
    if prefix == first.len() || prefix + suffix > first.len() {
        return None;
    }
    // Prompts may share their first or last letters; the quotation marks show where they really begin and end.
    let start = first.get(..prefix)?.rfind('\'')? + 1;
    let end = first.len() - suffix;
    let end = end + first.get(end..)?.find('\'')?;
    (start <= end).then(|| format!("{}{{prompt}}{}", &first[..start], &first[end..]))
}

fn common(one: impl Iterator<Item = u8>, other: impl Iterator<Item = u8>) -> usize {
    one.zip(other).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Origin;

    fn entry(file_name: &str, prompt: &str) -> ConversationEntry {
        ConversationEntry {
            file_name: file_name.to_owned(),
            aspect: Aspect::Quality,
            origin: Origin::Teacher,
            request: format!("Look. Its prompt is '{prompt}'. What do you say?"),
            description: String::new(),
            question: "One word?".to_owned(),
            answer: None,
            source: String::new(),
        }
    }

    #[test]
    fn the_presets_in_the_program_are_whole() {
        let presets = presets();
        assert_eq!(presets[0], default_preset());
        assert_eq!(presets[0].name, Preset::DEFAULT);
        for preset in presets {
            for aspect in Aspect::ALL {
                assert!(preset.aspect(aspect).request.contains("{prompt}"));
                assert!(preset.aspect(aspect).question.contains("excellent"));
            }
        }
    }

    #[test]
    fn the_prompt_is_put_back_with_and_without_known_prompts() {
        let entries = [
            entry("a", "a cat, anime style"),
            entry("b", "a dog, anime style"),
        ];
        let prompts: HashMap<String, String> = [("a".to_owned(), "a cat, anime style ".to_owned())]
            .into_iter()
            .collect();
        for prompts in [prompts, HashMap::new()] {
            let preset = derive_preset("published", &entries, &prompts).unwrap();
            assert_eq!(
                preset.quality.request,
                "Look. Its prompt is '{prompt}'. What do you say?"
            );
            assert_eq!(preset.quality.question, "One word?");
            assert_eq!(preset.authenticity, default_preset().authenticity);
        }
    }

    #[test]
    fn nothing_to_read_off_gives_no_preset() {
        assert_eq!(
            derive_preset::<std::hash::RandomState>("x", &[], &HashMap::new()),
            None
        );
    }
}
