//! What stands in the table: plain rows, before any format.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::collections::HashSet;

use serde::Serialize;

use crate::domain::Aspect;
use crate::domain::AspectMap;
use crate::domain::Catalog;
use crate::domain::Description;
use crate::domain::DescriptionId;
use crate::domain::FileState;
use crate::domain::ImageId;
use crate::domain::ImageRecord;
use crate::domain::OpinionScale;
use crate::domain::Origin;
use crate::domain::PredictorCard;
use crate::domain::PredictorId;
use crate::domain::Rating;
use crate::domain::Score;
use crate::domain::Truth;

/// Names of the columns in their order: those of [`ExportRow`].
pub const COLUMNS: [&str; 19] = [
    "image_path",
    "sha256",
    "prompt",
    "prompt_source",
    "aspect",
    "description",
    "score",
    "rating",
    "mos",
    "mos_std",
    "n_ratings",
    "split",
    "model_id",
    "model_sha256",
    "seed",
    "status",
    "error",
    "description_origin",
    "mos_source",
];

/// Which rows are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// Pictures; empty means all.
    pub images: Vec<ImageId>,
    /// Aspects; empty means those that anything is known about (quality if nothing is).
    pub aspects: Vec<Aspect>,
}

/// How far a row got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// There is a score.
    Scored,
    /// There is a description of the local model and no score yet.
    Described,
    /// The picture is there and nobody has looked at it yet.
    NotScored,
    /// There is no file.
    Missing,
    /// There is a file that is no picture.
    Unreadable,
}

impl Status {
    /// The word in the table.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Scored => "scored",
            Self::Described => "described",
            Self::NotScored => "not_scored",
            Self::Missing => "missing",
            Self::Unreadable => "unreadable",
        }
    }
}

/// One row: an image under an aspect. Fields are the columns, in order.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ExportRow {
    /// Path relative to the image root.
    pub image_path: String,
    /// Content hash; `None` where there is no readable file.
    pub sha256: Option<String>,
    /// Generation prompt; `None` where unknown.
    pub prompt: Option<String>,
    /// Where the prompt was found.
    pub prompt_source: Option<String>,
    /// Aspect.
    pub aspect: Aspect,
    /// What the local model said, or else the published model. Never a teacher's text, who may know the MOS.
    pub description: Option<String>,
    /// Predicted MOS on the predictor's scale.
    pub score: Option<f64>,
    /// The word of the score.
    pub rating: Option<Rating>,
    /// Ground truth.
    pub mos: Option<f64>,
    /// Its standard deviation.
    pub mos_std: Option<f64>,
    /// Ratings behind it.
    pub n_ratings: Option<u32>,
    /// Split of the aspect.
    pub split: Option<&'static str>,
    /// The model whose features were scored, or that wrote the description.
    pub model_id: Option<String>,
    /// Its hash.
    pub model_sha256: Option<String>,
    /// Seed of it.
    pub seed: Option<u64>,
    /// How far it got.
    pub status: Status,
    /// Why there is nothing to score; `None` where nothing is wrong.
    pub error: Option<String>,
    /// Who wrote the description.
    pub description_origin: Option<Origin>,
    /// Whose opinions the ground truth is: the dataset, or a study of the project; `None` where there is none.
    pub mos_source: Option<String>,
}

/// The table of a project, in the order of its images and aspects.
pub fn rows(catalog: &Catalog, selection: &Selection) -> Vec<ExportRow> {
    let aspects = aspects(catalog, selection);
    let wanted: HashSet<ImageId> = selection.images.iter().copied().collect();
    let found = Found::new(catalog);
    catalog
        .images
        .iter()
        .filter(|image| wanted.is_empty() || wanted.contains(&image.id))
        .flat_map(|image| aspects.iter().map(|aspect| found.row(image, *aspect)))
        .collect()
}

/// The aspects asked for, each once; without a wish, those with truth, descriptions or scores.
fn aspects(catalog: &Catalog, selection: &Selection) -> Vec<Aspect> {
    let is_wanted = |aspect: Aspect| {
        if selection.aspects.is_empty() {
            catalog
                .images
                .iter()
                .any(|image| image.mos(aspect).is_some())
                || catalog.scores.iter().any(|score| score.aspect == aspect)
                || catalog
                    .descriptions
                    .iter()
                    .any(|description| description.aspect == aspect)
        } else {
            selection.aspects.contains(&aspect)
        }
    };
    let aspects: Vec<Aspect> = Aspect::ALL
        .into_iter()
        .filter(|aspect| is_wanted(*aspect))
        .collect();
    if aspects.is_empty() {
        vec![Aspect::Quality]
    } else {
        aspects
    }
}

/// The catalog's results by image and aspect.
struct Found<'a> {
    scale: OpinionScale,
    truth_names: AspectMap<String>,
    predictors: BTreeMap<PredictorId, &'a PredictorCard>,
    scores: HashMap<(ImageId, Aspect), &'a Score>,
    /// The newest of the local model, or else the newest published one.
    descriptions: HashMap<(ImageId, Aspect), &'a Description>,
    by_id: HashMap<DescriptionId, &'a Description>,
}

impl<'a> Found<'a> {
    fn new(catalog: &'a Catalog) -> Self {
        let mut scores = HashMap::new();
        for score in &catalog.scores {
            let in_use = *catalog.settings.predictor.get(score.aspect);
            let key = (score.image, score.aspect);
            // The newest score counts, but one of the predictor in use goes before any other's.
            let before: Option<&&Score> = scores.get(&key);
            let is_used = |score: &Score| score.predictor == in_use.unwrap_or(PredictorId(0));
            if before.is_none_or(|before| is_used(score) || !is_used(before)) {
                scores.insert(key, score);
            }
        }
        let mut descriptions = HashMap::new();
        for origin in [Origin::Published, Origin::Local] {
            for description in catalog.descriptions.iter().filter(|d| d.origin == origin) {
                descriptions.insert((description.image, description.aspect), description);
            }
        }
        Self {
            scale: catalog.info.scale,
            truth_names: AspectMap::from_fn(|aspect| catalog.truth_name(aspect)),
            predictors: catalog
                .predictors
                .iter()
                .map(|card| (card.id, card))
                .collect(),
            scores,
            descriptions,
            by_id: catalog.descriptions.iter().map(|d| (d.id, d)).collect(),
        }
    }

    fn row(&self, image: &ImageRecord, aspect: Aspect) -> ExportRow {
        let key = (image.id, aspect);
        let score = self
            .scores
            .get(&key)
            .copied()
            .filter(|score| image.file.is_present() && score.value.is_finite());
        // Beside a score stands the text that it was made from.
        let read = score
            .and_then(|score| score.description)
            .and_then(|id| self.by_id.get(&id));
        let description = read.or_else(|| self.descriptions.get(&key)).copied();
        let made = score
            .map(|score| &score.made)
            .or_else(|| description.map(|description| &description.made));
        let model = made.and_then(|made| made.model.as_ref());
        let truth: Option<Truth> = *image.truth.get(aspect);
        ExportRow {
            image_path: image.path.clone(),
            sha256: image.file.hash().map(|hash| hash.to_string()),
            prompt: not_empty(&image.prompt),
            prompt_source: not_empty(&image.prompt_source),
            aspect,
            description: description.map(|description| description.text.clone()),
            score: score.map(|score| score.value),
            rating: score.map(|score| Rating::of_score(score.value, self.scale_of(score))),
            mos: truth.map(|truth| truth.mos),
            mos_std: truth.and_then(|truth| truth.std),
            n_ratings: truth.and_then(|truth| truth.num_ratings),
            split: image.split.get(aspect).map(crate::domain::Split::name),
            model_id: model.map(|model| model.name.clone()),
            model_sha256: model.map(|model| model.sha256.clone()),
            seed: made.filter(|_| model.is_some()).map(|made| made.seed),
            status: status(&image.file, score, description),
            error: image.file.reason().map(str::to_owned),
            description_origin: description.map(|description| description.origin),
            mos_source: truth.map(|_| self.truth_names.get(aspect).clone()),
        }
    }

    /// The scale of a score is its predictor's; one that is not in the project stands on the project's scale.
    fn scale_of(&self, score: &Score) -> OpinionScale {
        self.predictors
            .get(&score.predictor)
            .map_or(self.scale, |card| card.scale)
    }
}

fn status(file: &FileState, score: Option<&Score>, description: Option<&Description>) -> Status {
    match file {
        FileState::Missing { .. } => Status::Missing,
        FileState::Unreadable { .. } => Status::Unreadable,
        FileState::Present { .. } if score.is_some() => Status::Scored,
        FileState::Present { .. } => match description {
            Some(description) if description.origin == Origin::Local => Status::Described,
            _ => Status::NotScored,
        },
    }
}

fn not_empty(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::testing::catalog;
    use super::*;
    use crate::domain::ContentHash;

    fn statuses(catalog: &Catalog) -> Vec<&'static str> {
        let rows = rows(catalog, &Selection::default());
        rows.iter().map(|row| row.status.word()).collect()
    }

    #[test]
    fn the_status_says_how_far_a_row_got() {
        let expected = ["scored", "described", "not_scored", "missing", "unreadable"];
        assert_eq!(statuses(&catalog()), expected);
    }

    #[test]
    fn a_missing_image_has_a_reason_and_never_a_score() {
        let mut catalog = catalog();
        let mut score = catalog.scores[0].clone();
        score.image = catalog.images[3].id;
        catalog.scores.push(score);
        let row = &rows(&catalog, &Selection::default())[3];
        assert_eq!(
            (row.score, row.rating, row.status),
            (None, None, Status::Missing)
        );
        assert!(row.error.is_some());
    }

    #[test]
    fn a_teachers_text_is_never_exported_as_a_description() {
        let mut catalog = catalog();
        let row = &rows(&catalog, &Selection::default())[2];
        assert_eq!(row.description, None);
        catalog.descriptions.last_mut().unwrap().origin = Origin::Published;
        let row = &rows(&catalog, &Selection::default())[2];
        assert_eq!(row.description.as_deref(), Some("Told."));
        assert_eq!(row.description_origin, Some(Origin::Published));
        assert_eq!(row.status, Status::NotScored);
    }

    #[test]
    fn the_predictor_in_use_goes_before_others() {
        let mut catalog = catalog();
        let other = Score {
            predictor: PredictorId(3),
            value: 1.0,
            ..catalog.scores[0].clone()
        };
        catalog.scores.push(other);
        let score = |catalog: &Catalog| rows(catalog, &Selection::default())[0].score;
        assert_eq!(score(&catalog), Some(3.25));
        *catalog.settings.predictor.get_mut(Aspect::Quality) = Some(PredictorId(3));
        assert_eq!(score(&catalog), Some(1.0));
        *catalog.settings.predictor.get_mut(Aspect::Quality) = Some(PredictorId(9));
        assert_eq!(
            score(&catalog),
            Some(1.0),
            "none of the one in use: the newest"
        );
    }

    #[test]
    fn a_selection_narrows_images_and_aspects() {
        let catalog = catalog();
        let selection = Selection {
            images: vec![catalog.images[4].id, catalog.images[1].id],
            aspects: vec![Aspect::Authenticity, Aspect::Quality],
        };
        let rows = rows(&catalog, &selection);
        let got: Vec<(&str, Aspect)> = rows
            .iter()
            .map(|row| (row.image_path.as_str(), row.aspect))
            .collect();
        let expected = [
            ("b/described.jpg", Aspect::Quality),
            ("b/described.jpg", Aspect::Authenticity),
            ("e/unreadable.jpg", Aspect::Quality),
            ("e/unreadable.jpg", Aspect::Authenticity),
        ];
        assert_eq!(got, expected);
    }

    #[test]
    fn hashes_stand_beside_readable_files_only() {
        let rows = rows(&catalog(), &Selection::default());
        let hash = rows[0].sha256.as_deref().and_then(ContentHash::from_hex);
        assert!(hash.is_some());
        assert_eq!(rows[4].sha256, None);
    }
}
