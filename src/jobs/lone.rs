//! Pictures without a project: one picture or the rows of a small table, described and scored, nothing kept.

use std::path::Path;

use crate::domain::Aspect;
use crate::domain::Interrupted;
use crate::domain::ModelCard;
use crate::domain::PredictorCard;
use crate::domain::Preset;
use crate::domain::Settings;
use crate::jobs::decode;
use crate::jobs::error::JobError;
use crate::jobs::home::Home;
use crate::jobs::model_host::ModelChoice;
use crate::jobs::model_host::all_cards;
use crate::jobs::model_host::device_choice;
use crate::jobs::model_host::fitting_predictors;
use crate::jobs::model_host::preset_in_use;
use crate::jobs::scoring::embedded_predictor;
use crate::jobs::workers::WorkerOptions;
use crate::media;
use crate::ml::predictor::Predictor;
use crate::ml::vlm::LocalModel;

/// The model and the wording, ready for pictures.
pub struct Loner {
    model: LocalModel,
    preset: Preset,
}

/// What was said of a picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Assessed {
    /// The aspect.
    pub aspect: Aspect,
    /// The prompt that the picture was judged by; empty where none was given or found.
    pub prompt: String,
    /// Message 2.
    pub description: String,
    /// Message 4.
    pub answer: String,
    /// Score on the scale of the card.
    pub score: f64,
    /// The predictor that gave it.
    pub predictor: PredictorCard,
}

impl Loner {
    /// Loads the model that the options name.
    pub fn load(options: &WorkerOptions) -> Result<Self, JobError> {
        let settings = Settings::default();
        let device = device_choice(&options.device)?;
        Ok(Self {
            model: ModelChoice::of(options, &settings)?.load(device)?,
            preset: preset_in_use(&settings)?,
        })
    }

    /// The model's card.
    pub const fn card(&self) -> &ModelCard {
        self.model.card()
    }

    /// Reads every embedded predictor that fits the model, and answers their cards.
    pub fn check_predictors(&self) -> Result<Vec<PredictorCard>, JobError> {
        fitting_predictors(&self.model.card().tag)
            .into_iter()
            .map(|(card, weights)| {
                Predictor::from_bytes(&card, weights)?;
                Ok(card)
            })
            .collect()
    }

    /// Whether an embedded predictor scores the aspect from this model and wording.
    pub fn can_score(&self, aspect: Aspect) -> bool {
        fitting_predictors(&self.model.card().tag)
            .iter()
            .any(|(card, _)| card.aspect == aspect && card.preset == self.preset.name)
    }

    /// Describes and scores a picture. `on_text` hears the description grow and may stop it.
    pub fn assess(
        &mut self,
        path: &Path,
        prompt: Option<&str>,
        aspect: Aspect,
        on_text: &mut dyn FnMut(&str) -> Result<(), Interrupted>,
    ) -> Result<Assessed, JobError> {
        let tag = self.model.card().tag.clone();
        let loaded = embedded_predictor(aspect, &tag, &self.preset.name)?;
        let picture = decode::load(path)?;
        let prompt = prompt
            .map(str::to_owned)
            .or_else(|| media::prompt_in_file(path).map(|(prompt, _)| prompt))
            .unwrap_or_default();
        let request = self.preset.request(aspect, &prompt);
        let question = self.preset.aspect(aspect).question.clone();
        let settings = self.model.settings();
        let described = self
            .model
            .describe(&picture, (&request, &question), &settings, on_text)?;
        Ok(Assessed {
            aspect,
            prompt,
            description: described.text,
            answer: described.answer,
            score: loaded.predictor.score(&described.features)?,
            predictor: loaded.card,
        })
    }
}

/// Every model that the program has: the embedded one, then the folders below its data folder.
pub fn models(home: &Home) -> Result<Vec<ModelCard>, JobError> {
    all_cards(home)
}
