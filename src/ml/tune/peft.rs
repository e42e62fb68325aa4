//! What was trained, as a folder that the package `peft` loads: `adapter_config.json` and `adapter_model.safetensors`.
//!
//! **Source** peft 0.21, `config.py`, `utils/save_and_load.py`.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use serde_json::json;

use super::checkpoint::Stored;
use super::checkpoint::write_file;
use super::tuner::Tuner;
use crate::ml::MlError;

/// What peft puts before the names of the base.
const PREFIX: &str = "base_model.model.";

/// A trained tensor's name as peft knows it, without [`PREFIX`].
fn name_in_memory(tuner: &Tuner, name: &str) -> String {
    tuner.model.architecture.name_in_memory(name)
}

/// Names of the products that were changed, and not the pattern that found them: peft would apply a pattern to layers that
/// it has and that are never read either, as the last of `LLaVA`'s tower, and would miss their tensors.
fn targets(tuner: &Tuner) -> Option<Vec<String>> {
    let product = |(name, _)| {
        let name = name_in_memory(tuner, name);
        Some(name.strip_suffix(".lora_A.weight")?.to_owned())
    };
    let names: Vec<String> = tuner.weights().filter_map(product).collect();
    (!names.is_empty()).then_some(names)
}

/// Writes what a tuner trained into a folder, which is made; `base` is the model's name for those who look for it.
///
/// # Errors
/// A folder that cannot be written.
pub fn write_adapter(tuner: &Tuner, base: &str, folder: &Path) -> Result<(), MlError> {
    let scope = tuner.model.tuned.scope();
    let config = json!({
        "peft_type": "LORA",
        "task_type": null,
        "base_model_name_or_path": base,
        "inference_mode": true,
        "r": scope.rank,
        "lora_alpha": scope.alpha,
        "lora_dropout": scope.dropout,
        "target_modules": targets(tuner),
        "modules_to_save": (!scope.whole.is_empty()).then_some(&scope.whole),
        "bias": "none",
        "fan_in_fan_out": false,
        "init_lora_weights": true,
    });
    let path = folder.join("adapter_config.json");
    let text = serde_json::to_string_pretty(&config).map_err(std::io::Error::other);
    fs::create_dir_all(folder)
        .and(text)
        .and_then(|text| fs::write(&path, text + "\n"))
        .map_err(|error| {
            MlError::Vanished(format!(
                "cannot save the adapter: {error}; make room on the disk, then resume: {}",
                path.display()
            ))
        })?;
    let tensors = tuner.weights().map(|(name, value)| {
        let name = format!("{PREFIX}{}", name_in_memory(tuner, name));
        (name, Stored::tensor(value))
    });
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    write_file(
        &folder.join("adapter_model.safetensors"),
        tensors.collect(),
        metadata,
    )
}
