//! Wordings that a project can use: those of the program, and the one in which its imported conversations were held.

use std::collections::HashMap;

use crate::dataset;
use crate::domain::Aspect;
use crate::domain::Catalog;
use crate::domain::ConversationEntry;
use crate::domain::Description;
use crate::domain::Origin;
use crate::domain::Preset;
use crate::jobs::error::JobError;
use crate::media;

/// Digits of its hash that tell the wording of one conversation file from another's.
const MARK_LEN: usize = 8;

/// Every wording that a project can use, the default one first.
pub fn presets(catalog: &Catalog) -> Vec<Preset> {
    let mut presets = dataset::presets();
    presets.extend(published(catalog));
    presets
}

/// The wording that a project wants.
pub(super) fn preset_in_use(catalog: &Catalog) -> Result<Preset, JobError> {
    match &catalog.settings.preset {
        None => Ok(dataset::default_preset()),
        Some(name) => find(catalog, name),
    }
}

/// A wording by its name, or by what the name of only one wording begins with.
pub(super) fn find(catalog: &Catalog, name: &str) -> Result<Preset, JobError> {
    let all = presets(catalog);
    if let Some(preset) = all.iter().find(|preset| preset.name == name) {
        return Ok(preset.clone());
    }
    let mut alike = all.iter().filter(|preset| preset.name.starts_with(name));
    match (alike.next(), alike.next()) {
        (Some(preset), None) if !name.is_empty() => Ok(preset.clone()),
        _ => Err(JobError::NoPreset {
            name: name.to_owned(),
            known: all.iter().map(|preset| preset.name.clone()).collect(),
        }),
    }
}

/// The wording read off the imported conversations, unless it is one of the program's own. Its words are in its name, because a predictor is tied to it by that.
fn published(catalog: &Catalog) -> Option<Preset> {
    let imported = catalog.descriptions.iter();
    let about: Vec<ConversationEntry> = imported
        .filter(|description| description.origin != Origin::Local)
        .map(wording)
        .collect();
    let prompts: HashMap<String, String> = catalog
        .images
        .iter()
        .map(|record| (record.id.0.to_string(), record.prompt.clone()))
        .collect();
    let preset = dataset::derive_preset("published", &about, &prompts)?;
    let is_ours = |ours: &Preset| {
        let mut aspects = Aspect::ALL.into_iter();
        aspects.all(|aspect| ours.aspect(aspect) == preset.aspect(aspect))
    };
    if dataset::presets().iter().any(is_ours) {
        return None;
    }
    let words = serde_json::to_vec(&preset).ok()?;
    let mark = media::hash_bytes(&words).to_string();
    Some(Preset {
        name: format!("{}-{}", preset.name, &mark[..MARK_LEN]),
        ..preset
    })
}

/// What was asked, without what was answered.
fn wording(description: &Description) -> ConversationEntry {
    ConversationEntry {
        file_name: description.image.0.to_string(),
        aspect: description.aspect,
        origin: description.origin,
        request: description.request.clone(),
        description: String::new(),
        question: description.question.clone(),
        answer: None,
        source: String::new(),
    }
}
