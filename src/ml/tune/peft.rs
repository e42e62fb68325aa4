//! What was trained, as a folder that the package `peft` loads: `adapter_config.json` and `adapter_model.safetensors`.
//!
//! **Source** peft 0.21, `config.py`, `utils/save_and_load.py`.

use std::collections::BTreeSet;
use std::collections::HashMap;
use std::fs;
use std::path::Path;

use serde_json::json;

use super::checkpoint::Stored;
use super::checkpoint::write_file;
use super::tuner::Tuner;
use crate::ml::MlError;
use crate::ml::vlm::Architecture;

/// What peft puts before the names of the base.
const PREFIX: &str = "base_model.model.";

/// The pattern of what was changed. `LLaVA` reads a layer before the tower's last one, and those behind it are not there to
/// be trained: peft, which has them, would miss their tensors under a pattern that means every layer.
fn target_of(tuner: &Tuner) -> Option<String> {
    let target = tuner.model.tuned.scope().target.clone()?;
    if tuner.model.architecture != Architecture::Llava || !target.contains("vision_tower") {
        return Some(target);
    }
    let layer = |name: &str| {
        let (_, behind) = name.split_once("vision_tower")?.1.split_once(".layers.")?;
        behind.split('.').next()?.parse::<usize>().ok()
    };
    let layers: BTreeSet<usize> = tuner
        .weights()
        .filter_map(|(name, _)| layer(name))
        .collect();
    let layers: Vec<String> = layers.iter().map(usize::to_string).collect();
    Some(target.replace(r"layers\.\d+", &format!(r"layers\.({})", layers.join("|"))))
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
        "target_modules": target_of(tuner),
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
    let named = |name: &str| {
        let name = tuner.model.architecture.name_in_memory(name);
        format!("{PREFIX}{name}")
    };
    let tensors = tuner
        .weights()
        .map(|(name, value)| (named(name), Stored::tensor(value)));
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    write_file(
        &folder.join("adapter_model.safetensors"),
        tensors.collect(),
        metadata,
    )
}
