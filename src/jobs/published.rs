//! Published predictors: a checkpoint is folded with the head of its model once; the result is kept among the program's
//! own files, as weights with a card beside them.

use std::fs;
use std::path::Path;
use std::path::PathBuf;

use crate::dataset;
use crate::domain::Aspect;
use crate::domain::ModelTag;
use crate::domain::OpinionScale;
use crate::domain::PredictorCard;
use crate::domain::PredictorId;
use crate::domain::Settings;
use crate::jobs::error::JobError;
use crate::jobs::home::make_parent;
use crate::jobs::lone::predictor_file;
use crate::jobs::model_host::ModelChoice;
use crate::jobs::scoring::Loaded;
use crate::jobs::workers::WorkerOptions;
use crate::ml::published::Checkpoint;
use crate::ml::published::head_of_files;
use crate::ml::vlm::hash_of_files;
use crate::ml::vlm::hash_of_parts;

/// Longest sequence of the published predictors (AIGIQA-20K; the others were cut at 512 before they were read).
const CONTEXT_LENGTH: usize = 768;

/// A checkpoint, and what is known of it.
#[derive(Debug, Clone)]
pub struct PublishedPredictor {
    /// The checkpoint.
    pub checkpoint: PathBuf,
    /// A safetensors file with the head; that of the model in use if not given.
    pub lm_head: Option<PathBuf>,
    /// What it scores; read off its path if not given.
    pub aspect: Option<Aspect>,
    /// The scale of its scores.
    pub scale: OpinionScale,
    /// The dataset that it learned from, in words.
    pub dataset: String,
}

impl PublishedPredictor {
    /// A checkpoint of which nothing else is known.
    pub fn of(checkpoint: &Path, lm_head: Option<PathBuf>, aspect: Option<Aspect>) -> Self {
        Self {
            checkpoint: checkpoint.to_owned(),
            lm_head,
            aspect,
            scale: OpinionScale::ZERO_TO_FIVE,
            dataset: "a published checkpoint".to_owned(),
        }
    }

    /// Whether a file is a checkpoint, by its name.
    pub fn is_one(file: &Path) -> bool {
        Checkpoint::is_named_like_one(file)
    }

    /// What it scores: what was said, or else what a part of its path says, or else quality.
    pub fn aspect(&self) -> Aspect {
        let in_path = || {
            let mut parts = self.checkpoint.iter().rev();
            parts.find_map(|part| part.to_str()?.parse().ok())
        };
        self.aspect.or_else(in_path).unwrap_or(Aspect::Quality)
    }

    /// The predictor with its card, for the model that the options name: from what was kept, or folded now and kept.
    pub(super) fn load(&self, options: &WorkerOptions) -> Result<Loaded, JobError> {
        self.load_over(options, || ModelChoice::of(options, &Settings::default()))
    }

    /// The same for what describes its aspect in a project.
    pub(super) fn load_for(
        &self,
        options: &WorkerOptions,
        settings: &Settings,
    ) -> Result<Loaded, JobError> {
        self.load_over(options, || {
            ModelChoice::of_aspect(options, settings, Some(self.aspect()))
        })
    }

    fn load_over(
        &self,
        options: &WorkerOptions,
        choice: impl FnOnce() -> Result<ModelChoice, JobError>,
    ) -> Result<Loaded, JobError> {
        let (tag, head) = if let Some(file) = &self.lm_head {
            let tag = ModelTag {
                name: file_name(file),
                sha256: hash_of_files(std::slice::from_ref(file))?,
            };
            (tag, None)
        } else {
            let choice = choice()?;
            (choice.card()?.tag, Some(choice))
        };
        let card = self.card(tag);
        let kept = self.kept_at(options, &card)?;
        if kept.is_file() {
            let kept = predictor_file(&kept)?;
            // The fold is the same whatever is said of it.
            return Ok(Loaded { card, ..kept });
        }
        let head = match (&self.lm_head, head) {
            (Some(file), _) => head_of_files(vec![file.clone()])?,
            (None, Some(choice)) => choice.head()?,
            (None, None) => return Err(JobError::WorkersStopped),
        };
        let checkpoint = Checkpoint::open(&self.checkpoint)?;
        let predictor = checkpoint.fold(Some(&head), CONTEXT_LENGTH, || Ok(()))?;
        write(&kept, &card, &predictor.to_bytes()?)?;
        Ok(Loaded { card, predictor })
    }

    /// Folds it into weights at `out` with the card beside them, as `assay models save` writes them.
    pub fn convert(&self, options: &WorkerOptions, out: &Path) -> Result<PredictorCard, JobError> {
        let Loaded { card, predictor } = self.load(options)?;
        write(out, &card, &predictor.to_bytes()?)?;
        Ok(card)
    }

    fn card(&self, model: ModelTag) -> PredictorCard {
        PredictorCard {
            id: PredictorId(0),
            name: file_name(&self.checkpoint),
            aspect: self.aspect(),
            scale: self.scale,
            dataset: self.dataset.clone(),
            split: "as published".to_owned(),
            model,
            preset: dataset::default_preset().name,
            head: "xLSTM m,s,m,m, mean pooling".to_owned(),
            val: None,
            test: None,
            run: None,
        }
    }

    /// Where the fold of this checkpoint and this head is kept.
    fn kept_at(&self, options: &WorkerOptions, card: &PredictorCard) -> Result<PathBuf, JobError> {
        let own = hash_of_files(std::slice::from_ref(&self.checkpoint))?;
        let name = hash_of_parts(&[own.as_bytes(), card.model.sha256.as_bytes()]);
        let folder = options.home.folder().join("predictors");
        Ok(folder.join(format!("{}.safetensors", &name[..32])))
    }
}

/// Weights, and the card beside them.
fn write(out: &Path, card: &PredictorCard, bytes: &[u8]) -> Result<(), JobError> {
    make_parent(out)?;
    let put = |path: &Path, bytes: &[u8]| {
        let beside = path.with_extension("part");
        fs::write(&beside, bytes)
            .and_then(|()| fs::rename(&beside, path))
            .map_err(|source| JobError::File {
                action: "write the predictor",
                source,
                path: path.to_owned(),
            })
    };
    let json = serde_json::to_vec_pretty(card).map_err(|error| JobError::Malformed {
        what: "the predictor's card",
        reason: error.to_string(),
        path: out.to_owned(),
    })?;
    // The card first: weights without one are of no use.
    put(&out.with_extension("json"), &json)?;
    put(out, bytes)
}

fn file_name(path: &Path) -> String {
    path.file_stem()
        .map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}
