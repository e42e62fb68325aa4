//! Predictors inside the binary, which score with the embedded model before anybody has trained one.
//!
//! `assay models save` writes such a pair of files from a project.

use crate::domain::PredictorCard;
use crate::domain::PredictorId;

macro_rules! predictor {
    ($aspect:literal) => {
        (
            include_str!(concat!("../../models/mini/predictors/", $aspect, ".json")),
            include_bytes!(concat!(
                "../../models/mini/predictors/",
                $aspect,
                ".safetensors"
            )),
        )
    };
}

/// Card (JSON) and weights (safetensors) of each, from `models/mini/predictors`.
static FILES: &[(&str, &[u8])] = &[predictor!("quality"), predictor!("correspondence")];

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ml::Predictor;
    use crate::ml::vlm::ModelFiles;

    #[test]
    fn every_card_can_be_read_and_names_the_model_inside_the_program() {
        let cards = embedded_predictors();
        assert_eq!(cards.len(), FILES.len());
        let model = ModelFiles::Embedded
            .card()
            .expect("the embedded model is whole");
        for (card, weights) in cards {
            assert_eq!(card.model, model.tag, "{}", card.name);
            assert!(
                Predictor::from_bytes(&card, weights).is_ok(),
                "{}",
                card.name
            );
            assert!(card.test.is_some(), "{} must say how good it is", card.name);
        }
    }
}
