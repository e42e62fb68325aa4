//! Which files of a repository a model needs.

use super::glob::matches;
use super::hub::RemoteFile;

/// Endings that are part of a model as this program reads it.
const WANTED: [&str; 10] = [
    "*.safetensors",
    // Models that this program made say so themselves.
    "model.toml",
    "*.json",
    "*.jinja",
    "tokenizer.model",
    "*.tiktoken",
    "merges.txt",
    "vocab.txt",
    "LICENSE*",
    "LICENCE*",
];

/// Weights in the older format, for repositories that hold no others.
const OLDER_WEIGHTS: [&str; 2] = ["pytorch_model*.bin", "adapter_model*.bin"];

/// What is beside a model and no part of it.
const UNWANTED: [&str; 4] = [
    // The same weights once more, in the layout of another program.
    "consolidated*",
    "trainer_state.json",
    "training_args*",
    "*_results.json",
];

/// The files that a model needs: with patterns exactly those that match one, without them weights, configuration,
/// tokenizer and licence at the top of the repository.
pub fn needed(files: &[RemoteFile], patterns: &[String]) -> Vec<RemoteFile> {
    let chosen = |is_wanted: &dyn Fn(&str) -> bool| -> Vec<RemoteFile> {
        let named = files.iter().filter(|file| is_wanted(&file.name));
        named.cloned().collect()
    };
    if !patterns.is_empty() {
        return chosen(&|name| patterns.iter().any(|pattern| matches(pattern, name)));
    }
    let has_safetensors = files
        .iter()
        .any(|file| is_top(&file.name) && matches("*.safetensors", &file.name));
    chosen(&|name| {
        let is_wanted = WANTED.iter().any(|pattern| matches(pattern, name))
            || !has_safetensors && OLDER_WEIGHTS.iter().any(|pattern| matches(pattern, name));
        // The index of the older format names files that are not fetched.
        let is_other_index = has_safetensors && matches("pytorch_model*.json", name);
        let is_unwanted = UNWANTED.iter().any(|pattern| matches(pattern, name));
        is_top(name) && is_wanted && !is_other_index && !is_unwanted
    })
}

fn is_top(name: &str) -> bool {
    !name.contains('/')
}

/// Whether a name stays in the folder that it is put into, on every system.
pub fn is_safe_name(name: &str) -> bool {
    let is_plain = |part: &str| {
        !part.is_empty()
            && part != "."
            && part != ".."
            && !part.ends_with(['.', ' '])
            && !part
                .chars()
                .any(|sign| sign.is_control() || "\\:*?\"<>|".contains(sign))
    };
    !name.is_empty() && name.len() <= 1024 && name.split('/').all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(names: &[&str]) -> Vec<RemoteFile> {
        let file = |name: &&str| RemoteFile {
            name: (*name).to_owned(),
            bytes: Some(1),
            sha256: None,
        };
        names.iter().map(file).collect()
    }

    fn chosen(names: &[&str], patterns: &[&str]) -> Vec<String> {
        let patterns: Vec<String> = patterns.iter().map(|text| (*text).to_owned()).collect();
        let found = needed(&files(names), &patterns);
        found.into_iter().map(|file| file.name).collect()
    }

    #[test]
    fn a_model_is_weights_configuration_tokenizer_and_licence() {
        let all = [
            ".gitattributes",
            "LICENSE",
            "README.md",
            "config.json",
            "consolidated.safetensors",
            "generation_config.json",
            "merges.txt",
            "model-00001-of-00002.safetensors",
            "model-00002-of-00002.safetensors",
            "model-q4_k.gguf",
            "model.safetensors.index.json",
            "modeling_minicpmv.py",
            "onnx/config.json",
            "pytorch_model-00001-of-00001.bin",
            "pytorch_model.bin.index.json",
            "tokenizer.json",
            "trainer_state.json",
            "training_args.bin",
        ];
        let expected = [
            "LICENSE",
            "config.json",
            "generation_config.json",
            "merges.txt",
            "model-00001-of-00002.safetensors",
            "model-00002-of-00002.safetensors",
            "model.safetensors.index.json",
            "tokenizer.json",
        ];
        assert_eq!(chosen(&all, &[]), expected);
        assert_eq!(chosen(&all, &["*.gguf"]), ["model-q4_k.gguf"]);
    }

    #[test]
    fn older_weights_are_taken_where_there_are_no_others() {
        let all = ["adapter_config.json", "adapter_model.bin", "optimizer.bin"];
        assert_eq!(
            chosen(&all, &[]),
            ["adapter_config.json", "adapter_model.bin"]
        );
    }

    #[test]
    fn patterns_reach_into_folders() {
        let all = ["a/b/best-epoch=14.ckpt", "a/c/other.ckpt", "config.json"];
        assert_eq!(chosen(&all, &["a/b/*.ckpt"]), ["a/b/best-epoch=14.ckpt"]);
    }

    #[test]
    fn a_name_that_would_leave_the_folder_is_not_safe() {
        for name in ["config.json", "a/b=1 c.ckpt", ".gitattributes", "模型.json"] {
            assert!(is_safe_name(name), "{name}");
        }
        for name in [
            "",
            "/etc/passwd",
            "../x",
            "a/../../x",
            "a//b",
            "a/",
            "C:/x",
            "a\\b",
            "x\0",
            "x.",
            "./x",
            "a\nb",
        ] {
            assert!(!is_safe_name(name), "{name:?}");
        }
    }
}
