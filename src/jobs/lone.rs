//! Pictures without a project: one picture or the rows of a small table, described and scored, nothing kept.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use crate::dataset;
use crate::domain::Aspect;
use crate::domain::Conversation;
use crate::domain::Descriptions;
use crate::domain::Interrupted;
use crate::domain::ModelCard;
use crate::domain::Outlook;
use crate::domain::PredictorCard;
use crate::domain::Preset;
use crate::domain::Settings;
use crate::jobs::decode;
use crate::jobs::error::JobError;
use crate::jobs::feature_file::FeatureReader;
use crate::jobs::feature_file::Scored;
use crate::jobs::features;
use crate::jobs::home::Home;
use crate::jobs::model_host::ModelChoice;
use crate::jobs::model_host::all_cards;
use crate::jobs::model_host::device_choice;
use crate::jobs::model_host::fitting_predictors;
use crate::jobs::outlook;
use crate::jobs::pipeline::Maker;
use crate::jobs::published::PublishedPredictor;
use crate::jobs::scoring::Loaded;
use crate::jobs::scoring::check_fits;
use crate::jobs::scoring::embedded_predictor;
use crate::jobs::trace_file;
use crate::jobs::workers::WorkerOptions;
use crate::media;
use crate::ml::predictor::Predictor;
use crate::ml::vlm::LocalModel;

/// The model and the wording, ready for pictures.
pub struct Loner {
    model: LocalModel,
    preset: Preset,
    options: WorkerOptions,
    /// A predictor from a file, in place of those inside the program.
    predictor: Option<Loaded>,
}

/// A conversation whose hidden states are to be written to a file.
#[derive(Debug, Clone, Default)]
pub struct FeatureWish {
    /// The prompt that made the picture; read out of its file if not given.
    pub prompt: Option<String>,
    /// Message 1 word for word, in place of the preset's.
    pub request: Option<String>,
    /// Message 2 word for word; what the model says if not given.
    pub description: Option<String>,
    /// Message 3 word for word, in place of the preset's.
    pub question: Option<String>,
    /// Tokens after which the conversation is cut; the model's own limit if not given.
    pub max_len: Option<usize>,
    /// Also everything on the way: pixels, tower, resampler, embeddings, logits, first generated tokens.
    pub all: bool,
}

impl FeatureWish {
    const fn is_word_for_word(&self) -> bool {
        self.request.is_some() || self.description.is_some() || self.question.is_some()
    }
}

/// What was written for a [`FeatureWish`].
#[derive(Debug, Clone, PartialEq)]
pub struct WrittenFeatures {
    /// Messages 1 to 3.
    pub conversation: Conversation,
    /// Tokens of them, after the cut.
    pub num_tokens: usize,
    /// Width of their hidden states.
    pub hidden: usize,
    /// Pictures and slices among them.
    pub num_images: usize,
    /// Tokens that the limit cut off.
    pub num_cut: usize,
    /// Tokens of the picture among those that were cut off.
    pub num_image_tokens_cut: usize,
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
    /// Tokens of the prompt that the model left out, because it is longer than the model reads.
    pub num_cut: usize,
}

impl Loner {
    /// Loads the model that the options name.
    pub fn load(options: &WorkerOptions) -> Result<Self, JobError> {
        let settings = Settings::default();
        let device = device_choice(&options.device)?;
        Ok(Self {
            model: ModelChoice::of(options, &settings)?.load(
                device,
                options.dtype,
                &Arc::default(),
            )?,
            options: options.clone(),
            preset: dataset::default_preset(),
            predictor: None,
        })
    }

    /// Scores by a predictor that `assay models save` wrote or that was published, in place of those inside the program.
    pub fn with_predictor(mut self, file: &Path) -> Result<Self, JobError> {
        let loaded = if PublishedPredictor::is_one(file) {
            PublishedPredictor::of(file, None, None).load(&self.options)?
        } else {
            predictor_file(file)?
        };
        check_fits(&loaded.card, &self.card().tag, &self.preset.name)?;
        self.predictor = Some(loaded);
        Ok(self)
    }

    /// The aspect that the predictor from a file scores.
    pub fn only_aspect(&self) -> Option<Aspect> {
        self.predictor.as_ref().map(|loaded| loaded.card.aspect)
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

    /// Whether the predictor from a file, or else one of the program's, scores the aspect from this model and wording.
    pub fn can_score(&self, aspect: Aspect) -> bool {
        if let Some(only) = self.only_aspect() {
            return only == aspect;
        }
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
        let embedded;
        let loaded = match &self.predictor {
            Some(loaded) if loaded.card.aspect == aspect => loaded,
            Some(loaded) => {
                return Err(JobError::PredictorOfOtherAspect {
                    predictor: loaded.card.name.clone(),
                    has: loaded.card.aspect,
                    wanted: aspect,
                });
            }
            None => {
                embedded = embedded_predictor(aspect, &self.model.card().tag, &self.preset.name)?;
                &embedded
            }
        };
        let picture = decode::load_for_model(path)?;
        let prompt = prompt_of(path, prompt);
        let request = self.preset.request(aspect, &prompt);
        let question = self.preset.aspect(aspect).question.clone();
        let settings = self.model.settings().with_seed(self.options.seed);
        let described = self
            .model
            .describe(&picture, (&request, &question), &settings, on_text)?;
        Ok(Assessed {
            aspect,
            prompt,
            description: described.text,
            answer: described.answer,
            score: loaded.predictor.score(&described.features)?,
            predictor: loaded.card.clone(),
            num_cut: described.num_cut,
        })
    }

    /// Writes tokens, image bounds and hidden states of a picture's conversation to a safetensors file.
    pub fn write_features(
        &mut self,
        path: &Path,
        aspect: Aspect,
        wish: &FeatureWish,
        out: &Path,
        on_text: &mut dyn FnMut(&str) -> Result<(), Interrupted>,
    ) -> Result<WrittenFeatures, JobError> {
        let picture = decode::load_for_model(path)?;
        let prompt = prompt_of(path, wish.prompt.as_deref());
        let usual = || self.preset.request(aspect, &prompt);
        let request = wish.request.clone().unwrap_or_else(usual);
        let usual = || self.preset.aspect(aspect).question.clone();
        let question = wish.question.clone().unwrap_or_else(usual);
        let description = if let Some(description) = &wish.description {
            description.clone()
        } else {
            let settings = self.model.settings().with_seed(self.options.seed);
            let messages = (request.as_str(), question.as_str());
            self.model
                .describe(&picture, messages, &settings, on_text)?
                .text
        };
        let conversation = Conversation {
            request,
            description,
            question,
        };
        let max_len = wish.max_len.unwrap_or(self.model.max_len());
        let trace = self
            .model
            .trace(&picture, &conversation, max_len, wish.all)?;
        let maker = Maker {
            tag: self.model.card().tag.clone(),
            form: self.model.form(),
            preset: self.preset.name.clone(),
            max_len,
            seed: 0,
        };
        let mut facts = features::facts(&maker, Descriptions::Local);
        if wish.is_word_for_word() {
            // Whose words they are, the caller alone knows.
            facts.remove("preset");
            facts.remove("descriptions");
        }
        trace_file::write(&trace, &facts, out, |file| match wish.all {
            true => {
                let about = (&picture, conversation.request.as_str());
                trace_file::push_all(file, &self.model, about, &trace)
            }
            false => Ok(()),
        })?;
        Ok(WrittenFeatures {
            conversation,
            num_tokens: trace.token_ids.len(),
            hidden: trace.hidden.shape[1],
            num_images: trace.image_bounds.len(),
            num_cut: trace.num_cut,
            num_image_tokens_cut: trace.num_image_tokens_cut,
        })
    }
}

/// The prompt that was given, or else the one in the picture's file.
fn prompt_of(path: &Path, given: Option<&str>) -> String {
    given
        .map(str::to_owned)
        .or_else(|| media::prompt_in_file(path).map(|(prompt, _)| prompt))
        .unwrap_or_default()
}

/// What scores a file of features.
#[derive(Debug, Clone)]
pub enum FeaturePredictor {
    /// Weights as `assay models save` writes them.
    Saved(std::path::PathBuf),
    /// A published checkpoint, with the head that it is folded with.
    Published(PublishedPredictor),
}

/// Scores a file of features by a predictor of a file, without any model. Answers the predictor's card, and whether the
/// file says which model and wording its features are of.
pub fn score_features(
    features: &Path,
    predictor: &FeaturePredictor,
    options: &WorkerOptions,
) -> Result<(PredictorCard, Vec<Scored>, bool), JobError> {
    let mut file = FeatureReader::open(features)?;
    let (Loaded { card, predictor }, is_known) = match predictor {
        FeaturePredictor::Saved(path) => {
            let loaded = predictor_file(path)?;
            let is_known = file.check(&loaded.card)?;
            (loaded, is_known)
        }
        // A checkpoint does not say what it reads.
        FeaturePredictor::Published(published) => (published.load(options)?, false),
    };
    let mut scored = Vec::new();
    for name in file.names(&card)? {
        let score = predictor.score(&file.features(&name)?)?;
        // hidden/ASPECT/PATH, or hidden alone
        let name = name.splitn(3, '/').nth(2).unwrap_or_default().to_owned();
        scored.push(Scored { name, score });
    }
    Ok((card, scored, is_known))
}

/// Weights as `assay models save` writes them, with the card beside them.
pub(super) fn predictor_file(weights: &Path) -> Result<Loaded, JobError> {
    let beside = weights.with_extension("json");
    let read = |path: &Path, action| {
        fs::read(path).map_err(|source| JobError::File {
            action,
            source,
            path: path.to_path_buf(),
        })
    };
    let bytes = read(weights, "read the predictor")?;
    let card = read(
        &beside,
        "read the predictor's card, which `assay models save` writes beside its weights",
    )?;
    let card: PredictorCard =
        serde_json::from_slice(&card).map_err(|error| JobError::Malformed {
            what: "the predictor's card",
            reason: error.to_string(),
            path: beside,
        })?;
    let predictor = Predictor::from_bytes(&card, &bytes)?;
    Ok(Loaded { card, predictor })
}

/// Whether, and in which form, the model in use fits the device, told before it is loaded; and how long it took so far.
pub fn outlook_of_model(options: &WorkerOptions) -> Result<Outlook, JobError> {
    let choice = ModelChoice::of(options, &Settings::default())?;
    outlook::of_choice(options, &choice)
}

/// The same of every model that the program has, by its hash.
pub fn outlooks(
    options: &WorkerOptions,
    cards: &[ModelCard],
) -> std::collections::BTreeMap<String, Outlook> {
    outlook::outlooks(options, cards, None)
}

/// Every model that the program has: the embedded one, then the folders below its data folder.
pub fn models(home: &Home) -> Result<Vec<ModelCard>, JobError> {
    all_cards(home)
}
