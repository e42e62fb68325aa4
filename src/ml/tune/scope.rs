//! From settings to the parts of a backbone that are trained.

use crate::domain::TunePreset;
use crate::domain::TuneSettings;
use crate::ml::vlm::Architecture;
use crate::ml::vlm::weights::TuneScope;

/// The parts that settings mean for a backbone.
pub fn scope(settings: &TuneSettings, architecture: Architecture) -> TuneScope {
    let [language, vision] = architecture.attention_patterns();
    let (target, whole): (&str, &[&str]) = match settings.preset {
        TunePreset::Light => (language, &[]),
        TunePreset::Paper => (vision, &[]),
        TunePreset::Published => (language, architecture.whole_modules()),
    };
    let whole = whole.iter().map(|module| (*module).to_owned()).collect();
    TuneScope {
        target: Some(settings.target.clone().unwrap_or_else(|| target.to_owned())),
        whole: settings.whole.clone().unwrap_or(whole),
        rank: settings.rank,
        alpha: settings.alpha,
        dropout: settings.dropout,
        seed: settings.seed,
    }
}
