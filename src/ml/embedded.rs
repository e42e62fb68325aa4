//! Predictors inside the binary, which score with the embedded model before anybody has trained one.
//!
//! `assay models save` writes such a pair of files from a project.

use crate::domain::PredictorCard;
use crate::domain::PredictorId;

/// Card (JSON) and weights (safetensors) of each, from `models/mini/predictors`.
static FILES: &[(&str, &[u8])] = &[];

/// Cards and weights. A card that cannot be read counts as absent: `assay models check` lists what is there.
pub fn embedded_predictors() -> Vec<(PredictorCard, &'static [u8])> {
    FILES
        .iter()
        .filter_map(|(card, weights)| {
            let card: PredictorCard = serde_json::from_str(card).ok()?;
            // Numbers belong to the project that it was trained in.
            let card = PredictorCard {
                id: PredictorId(0),
                run: None,
                ..card
            };
            Some((card, *weights))
        })
        .collect()
}
