//! Predictors inside the binary, which score with the embedded model before anybody has trained one.

use crate::domain::PredictorCard;

/// Card (JSON) and weights (safetensors) of each, from `models/mini/predictors`.
static FILES: &[(&str, &[u8])] = &[];

/// Cards and weights. A card that cannot be read counts as absent: `assay models check` lists what is there.
pub fn embedded_predictors() -> Vec<(PredictorCard, &'static [u8])> {
    FILES
        .iter()
        .filter_map(|(card, weights)| Some((serde_json::from_str(card).ok()?, *weights)))
        .collect()
}
