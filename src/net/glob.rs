//! File name patterns as hub clients know them: `*` for anything (folders too), `?` for one sign.

/// Whether a name matches a pattern.
pub fn matches(pattern: &str, name: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    let (mut at, mut in_name) = (0, 0);
    // Where the last star stood, and how much of the name it has swallowed.
    let mut star = None;
    while in_name < name.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, in_name));
                at += 1;
            }
            Some(&sign) if sign == '?' || sign == name[in_name] => {
                at += 1;
                in_name += 1;
            }
            _ => {
                let Some((star_at, swallowed)) = star else {
                    return false;
                };
                star = Some((star_at, swallowed + 1));
                at = star_at + 1;
                in_name = swallowed + 1;
            }
        }
    }
    pattern[at..].iter().all(|&sign| sign == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_swallow_anything_and_question_marks_one_sign() {
        for (pattern, name, expected) in [
            ("*.gguf", "model-q4_k.gguf", true),
            ("*.gguf", "folder/model.gguf", true),
            ("*.gguf", "model.gguf.part", false),
            ("model-0000?-of-*", "model-00002-of-00007.safetensors", true),
            (
                "model-0000?-of-*",
                "model-00012-of-00017.safetensors",
                false,
            ),
            ("a*b*c", "axxbyybzzc", true),
            ("a*b*c", "axxbyybzz", false),
            ("", "", true),
            ("", "a", false),
            ("**", "anything/at/all", true),
            (
                "agiqa-3k/alignment/*.ckpt",
                "agiqa-3k/alignment/best-epoch=14-val_SRCC=0.87.ckpt",
                true,
            ),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }
}
