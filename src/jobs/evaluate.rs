//! Holds scores against ground truth: which scores count, and the figures of a comparison.

use std::collections::BTreeMap;

use crate::dataset;
use crate::domain::Aspect;
use crate::domain::Catalog;
use crate::domain::Descriptions;
use crate::domain::Figures;
use crate::domain::ImageId;
use crate::domain::ImageRecord;
use crate::domain::PredictorCard;
use crate::domain::PredictorId;
use crate::domain::Reading;
use crate::domain::Score;
use crate::domain::TrainSettings;
use crate::ml::eval;

/// Number of the embedded predictor of each aspect.
pub const EMBEDDED: PredictorId = PredictorId(0);

/// The predictor in use for an aspect.
pub fn predictor_in_use(catalog: &Catalog, aspect: Aspect) -> PredictorId {
    catalog.settings.predictor.get(aspect).unwrap_or(EMBEDDED)
}

/// The card of the predictor in use for an aspect; `None` where nothing scores it. `embedded` are the program's own that
/// read the model in use; only one that reads the wording in use counts.
pub fn card_in_use<'a>(
    catalog: &'a Catalog,
    embedded: &'a [PredictorCard],
    aspect: Aspect,
) -> Option<&'a PredictorCard> {
    let in_use = predictor_in_use(catalog, aspect);
    if in_use != EMBEDDED {
        return catalog.predictors.iter().find(|card| card.id == in_use);
    }
    let default = dataset::default_preset().name;
    let preset = catalog.settings.preset.as_ref().unwrap_or(&default);
    let mut embedded = embedded.iter();
    embedded.find(|card| card.aspect == aspect && card.preset == *preset)
}

/// Whose descriptions a predictor learned from: that stands in the settings of its run.
pub fn descriptions_of(catalog: &Catalog, predictor: PredictorId) -> Descriptions {
    settings_of(catalog, predictor).map_or(Descriptions::Local, |settings| settings.descriptions)
}

/// Which messages a predictor reads: that stands there as well.
pub fn reading_of(catalog: &Catalog, predictor: PredictorId) -> Reading {
    settings_of(catalog, predictor)
        .map_or_else(Reading::default, |settings| settings.reading.clone())
}

fn settings_of(catalog: &Catalog, predictor: PredictorId) -> Option<&TrainSettings> {
    let card = catalog
        .predictors
        .iter()
        .find(|card| card.id == predictor)?;
    let run = catalog
        .runs
        .iter()
        .find(|record| Some(record.id) == card.run)?;
    Some(&run.settings)
}

/// Scores of one aspect by one predictor: the newest of each picture.
pub fn scores_by(
    catalog: &Catalog,
    aspect: Aspect,
    predictor: PredictorId,
) -> BTreeMap<ImageId, &Score> {
    catalog
        .scores
        .iter()
        .filter(|score| score.aspect == aspect && score.predictor == predictor)
        .map(|score| (score.image, score))
        .collect()
}

/// Figures of the predictor in use over the pictures that `takes` lets through and that have a file, a score and a MOS.
pub fn evaluate(
    catalog: &Catalog,
    aspect: Aspect,
    takes: impl Fn(&ImageRecord) -> bool,
) -> Figures {
    let scores = scores_by(catalog, aspect, predictor_in_use(catalog, aspect));
    let (pred, truth): (Vec<f64>, Vec<f64>) = catalog
        .images
        .iter()
        .filter(|record| record.file.is_present() && takes(record))
        .filter_map(|record| Some((scores.get(&record.id)?.value, record.mos(aspect)?)))
        .unzip();
    figures(&pred, &truth)
}

/// Figures of predictions against the truth.
pub fn figures(pred: &[f64], truth: &[f64]) -> Figures {
    if pred.is_empty() {
        return Figures {
            reason: Some("no picture has both a score and a ground truth: score first".to_owned()),
            ..Figures::default()
        };
    }
    eval::figures(pred, truth)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_scores_have_no_figures_but_a_reason() {
        let figures = figures(&[], &[]);
        assert_eq!((figures.n, figures.srcc, figures.rmse), (0, None, None));
        assert!(figures.reason.unwrap().contains("score first"));
    }

    #[test]
    fn perfect_scores_have_perfect_figures() {
        let truth = [1.0, 2.0, 3.5, 4.0, 4.5, 2.5];
        let figures = figures(&truth, &truth);
        assert_eq!(figures.n, 6);
        assert!((figures.srcc.unwrap() - 1.0).abs() < 1e-12);
        assert!(figures.rmse.unwrap() < 1e-12);
    }
}
