//! Predictors as they were published: Lightning checkpoints that project logits. They are read without running a byte
//! of them, and folded with the head of their multimodal model once, so that they read hidden states like every other
//! predictor here.
//!
//! **Source** strawhatboy/M3-AGIQA at 2f76702 (names, the projection of logits); xlstm 1.0.6,
//! `blocks/slstm/cell.py` (the layouts of the sLSTM's two backends).

mod fold;
mod slstm;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use candle_core::{DType, Tensor};

use super::MlError;
use super::predictor::{Predictor, PredictorConfig};
use super::state_dict::StateDict;
use super::vlm::weights::{NamedMatrix, PickleFiles, SafetensorsFiles, Source};

pub use fold::HeadMatrix;

/// The dictionary of a Lightning checkpoint that holds the weights.
const STATE_DICT: &str = "state_dict";
/// What Lightning puts before the names of the network.
const PREFIX: &str = "model.";
/// The projection of logits.
const PROJECTION: &str = "W.weight";

/// A published predictor, its weights not read yet.
pub struct Checkpoint {
    path: PathBuf,
    source: Arc<dyn Source>,
    /// Width of the stack.
    dim: usize,
    /// Logits that it reads.
    vocabulary: usize,
}

impl Checkpoint {
    /// Whether a file is such a checkpoint by its name.
    pub fn is_named_like_one(path: &Path) -> bool {
        path.extension().is_some_and(|ending| {
            ["ckpt", "pth", "pt", "bin"]
                .iter()
                .any(|known| ending.eq_ignore_ascii_case(known))
        })
    }

    /// Reads the names and sizes of a checkpoint.
    ///
    /// # Errors
    /// Files of another kind, and networks of another make, in words.
    pub fn open(path: &Path) -> Result<Self, MlError> {
        let source = PickleFiles::open(vec![path.to_owned()], Some(STATE_DICT))
            .map_err(|error| malformed(path, error.to_string()))?;
        Self::of_source(path, Arc::new(source))
    }

    /// The same of weights at hand.
    ///
    /// # Errors
    /// Networks of another make, in words.
    pub fn of_source(path: &Path, source: Arc<dyn Source>) -> Result<Self, MlError> {
        let name = format!("{PREFIX}{PROJECTION}");
        let shape = source.shape(&name);
        let Some(&[dim, vocabulary]) = shape.as_deref() else {
            return Err(malformed(
                path,
                format!("it has no matrix {name}: expected a predictor of M3-AGIQA"),
            ));
        };
        let checkpoint = Self {
            path: path.to_owned(),
            source,
            dim,
            vocabulary,
        };
        checkpoint.check()?;
        Ok(checkpoint)
    }

    /// Width of the projection's input: the vocabulary of its model, or the width of hidden states where the predictor
    /// was trained without the head.
    pub const fn vocabulary(&self) -> usize {
        self.vocabulary
    }

    /// Every weight of the network must be there in its shape, and nothing else.
    fn check(&self) -> Result<(), MlError> {
        // The sequence limit is no weight: any will do here.
        let config = PredictorConfig::new(self.vocabulary, self.dim, 512);
        if let Some(problem) = config.problem() {
            return Err(malformed(&self.path, problem));
        }
        let mut faults = Vec::new();
        let mut known = Vec::new();
        for parameter in config.parameters(0.0, 1.0) {
            let name = format!("{PREFIX}{}", parameter.name);
            match self.source.shape(&name) {
                None => faults.push(format!("{name} is missing")),
                Some(found) if slstm::fits(&name, &found, &parameter.shape) => {}
                Some(found) => faults.push(format!(
                    "{name} is {found:?}, expected {:?}",
                    parameter.shape
                )),
            }
            known.push(name);
        }
        let surplus = self.source.names().into_iter();
        faults.extend(
            surplus
                .filter(|name| name.starts_with(PREFIX) && !known.contains(name))
                .map(|name| format!("{name} is not known")),
        );
        if faults.is_empty() {
            return Ok(());
        }
        let more = faults.len().saturating_sub(4);
        faults.truncate(4);
        let mut words = faults.join("; ");
        if more > 0 {
            words = format!("{words}; and {more} more");
        }
        Err(malformed(
            &self.path,
            format!("{words}: expected the published xLSTM predictor (blocks m, s, m, m; 4 heads)"),
        ))
    }

    /// The predictor over hidden states: its projection folded with `head`, its sLSTM in the plain layout.
    /// `context_length` is the token limit that it was trained with. `alive` is asked now and then whether to go on.
    ///
    /// # Errors
    /// A head of another vocabulary, and weights that cannot be read.
    pub fn fold(
        &self,
        head: Option<&dyn HeadMatrix>,
        context_length: usize,
        mut alive: impl FnMut() -> Result<(), MlError>,
    ) -> Result<Predictor, MlError> {
        let projection = self.read(&format!("{PREFIX}{PROJECTION}"))?;
        let folded = match head {
            None => projection,
            Some(head) => {
                let (vocabulary, hidden) = head.shape();
                if vocabulary != self.vocabulary {
                    return Err(malformed(
                        &self.path,
                        format!(
                            "it reads logits of {} tokens, and the model's head has {vocabulary}: choose the model \
                             that it was trained on",
                            self.vocabulary
                        ),
                    ));
                }
                fold::fold(&projection, head, hidden, &mut alive)?
            }
        };
        let config = PredictorConfig::new(folded.dim(1)?, self.dim, context_length);
        let mut weights = StateDict::default();
        for parameter in config.parameters(0.0, 1.0) {
            alive()?;
            let tensor = if parameter.name == PROJECTION {
                folded.clone()
            } else {
                self.plain(&parameter.name, &parameter.shape)?
            };
            let values = tensor.flatten_all()?.to_vec1()?;
            weights.insert(parameter.name, &parameter.shape, values);
        }
        Predictor::new(config, weights)
    }

    /// A weight of the stack or of the last layers, in the plain layout.
    fn plain(&self, name: &str, shape: &[usize]) -> Result<Tensor, MlError> {
        let stored = self.read(&format!("{PREFIX}{name}"))?;
        let Some(cell) = name.strip_suffix(slstm::BIAS) else {
            return Ok(slstm::plain_kernel(name, &stored, shape)?);
        };
        let kernel = format!("{PREFIX}{cell}{}", slstm::KERNEL);
        let kernel = self.source.shape(&kernel).unwrap_or_default();
        Ok(slstm::plain_bias(&stored, &kernel)?)
    }

    fn read(&self, name: &str) -> Result<Tensor, MlError> {
        Ok(self.source.read(name)?.to_dtype(DType::F32)?)
    }
}

/// The head `lm_head.weight` of safetensors files, under any prefix.
///
/// # Errors
/// Files without one.
pub fn head_of_files(paths: Vec<PathBuf>) -> Result<NamedMatrix, MlError> {
    let first = paths.first().cloned().unwrap_or_default();
    let source = SafetensorsFiles::open(paths)?;
    let names = source.names();
    let named = |wanted: &str| names.iter().find(|name| name.ends_with(wanted)).cloned();
    // A file that was made for this alone holds one matrix under any name.
    let only = || match &names[..] {
        [only] => Some(only.clone()),
        _ => None,
    };
    let name = named("lm_head.weight")
        .or_else(only)
        .or_else(|| named("embed_tokens.weight"));
    match name {
        Some(name) => Ok((Arc::new(source), name)),
        None => Err(malformed(
            &first,
            "it holds no lm_head.weight: name a file with the head of the model, or the model itself".to_owned(),
        )),
    }
}

fn malformed(path: &Path, reason: String) -> MlError {
    MlError::Malformed {
        what: "the predictor's checkpoint",
        reason,
        path: path.to_owned(),
    }
}
