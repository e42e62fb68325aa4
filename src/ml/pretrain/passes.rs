//! How far a training is, written down after every pass, so that one that was cut off goes on to the same bits.

use std::cell::Cell;
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use candle_core::{Device, Error, Result, Tensor};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::optimiser::Optimiser;

/// Key of the document in the file, whose bytes are a tensor.
const DOCUMENT: &str = "document";

/// The passes of one step of a recipe.
pub struct Passes {
    file: PathBuf,
    /// Recipe and lessons.
    identity: String,
    best: Cell<f64>,
}

/// What is written down beside weights and moments.
#[derive(Serialize, Deserialize)]
struct Document {
    identity: String,
    /// Passes that are done.
    pass: usize,
    /// Bits of the best figure so far.
    best: u64,
    /// Where the random numbers are, in decimal digits: JSON has no numbers of this size.
    word: String,
    /// The order that the last pass took examples in.
    order: Vec<usize>,
    /// Steps of each group of weights.
    steps: Vec<u64>,
}

/// What a training goes on with.
pub(super) struct State<'a> {
    /// Weights and moments.
    pub(super) optimiser: &'a mut Optimiser,
    /// Random numbers, seeded as at the start.
    pub(super) rng: &'a mut ChaCha8Rng,
    /// The order of examples, where one pass's follows from that of the one before.
    pub(super) order: &'a mut Vec<usize>,
}

impl Passes {
    /// Of a step by its name, in a model's folder; `worst` is a figure that any pass is better than.
    pub fn new(folder: &Path, step: &str, identity: String, worst: f64) -> Self {
        Self {
            file: folder.join("steps").join(format!("{step}.safetensors")),
            identity,
            best: Cell::new(worst),
        }
    }

    /// The best figure so far.
    pub const fn best(&self) -> f64 {
        self.best.get()
    }

    /// Notes a better one.
    pub fn set_best(&self, figure: f64) {
        self.best.set(figure);
    }

    /// Passes that an earlier run has done, if there was one: its weights wait to be taken over.
    ///
    /// # Errors
    /// A file that cannot be read, or that belongs to another recipe or to other lessons, in words.
    pub fn begun(&self) -> Result<Option<usize>> {
        Ok(self.read()?.map(|(document, _)| document.pass))
    }

    fn read(&self) -> Result<Option<(Document, HashMap<String, Tensor>)>> {
        if !self.file.exists() {
            return Ok(None);
        }
        let in_words = |why: String| {
            let what = "take it away to begin anew, or choose another folder";
            Error::Msg(format!("{why}; {what}: {}", self.file.display()))
        };
        let tensors =
            candle_core::safetensors::load(&self.file, &Device::Cpu).map_err(|error| {
                in_words(format!("what an earlier run left cannot be read ({error})"))
            })?;
        let bytes = tensors.get(DOCUMENT).map(Tensor::to_vec1::<u8>);
        let bytes = bytes.transpose()?.unwrap_or_default();
        let document: Document = serde_json::from_slice(&bytes).map_err(|error| {
            in_words(format!("what an earlier run left makes no sense ({error})"))
        })?;
        if document.identity != self.identity {
            let why = "an earlier run of another recipe, or from other pictures, was cut off here";
            return Err(in_words(why.to_owned()));
        }
        Ok(Some((document, tensors)))
    }

    /// Takes over what an earlier run left: the passes that it has done, 0 where there was none.
    ///
    /// # Errors
    /// As [`Passes::begun`]; weights of other shapes.
    pub(super) fn resume(&self, state: &mut State<'_>) -> Result<usize> {
        let Some((document, tensors)) = self.read()? else {
            return Ok(0);
        };
        let word = document.word.parse::<u128>();
        state.optimiser.put_back(&tensors, &document.steps)?;
        state.rng.set_word_pos(word.map_err(Error::wrap)?);
        *state.order = document.order;
        self.best.set(f64::from_bits(document.best));
        Ok(document.pass)
    }

    /// Writes down where a training is after a pass, as a whole or not at all.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub(super) fn save(&self, pass: usize, state: &State<'_>) -> Result<()> {
        let (mut tensors, steps) = state.optimiser.state()?;
        let document = Document {
            identity: self.identity.clone(),
            pass,
            best: self.best.get().to_bits(),
            word: state.rng.get_word_pos().to_string(),
            order: state.order.clone(),
            steps,
        };
        let bytes = serde_json::to_vec(&document).map_err(Error::wrap)?;
        let count = bytes.len();
        let document = Tensor::from_vec(bytes, count, &Device::Cpu)?;
        tensors.insert(DOCUMENT.to_owned(), document);
        if let Some(folder) = self.file.parent() {
            fs::create_dir_all(folder)?;
        }
        let new = self.file.with_extension("new");
        candle_core::safetensors::save(&tensors, &new)?;
        Ok(fs::rename(&new, &self.file)?)
    }

    /// Takes the notes away: the step is done.
    pub fn end(&self) {
        fs::remove_file(&self.file).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Picture;
    use crate::ml::pretrain::course::Course;
    use crate::ml::pretrain::facts::Facts;
    use crate::ml::pretrain::tower::{TowerEpoch, TowerExample, TowerSettings, train_tower};
    use crate::ml::vlm::minicpm_v::stem::{StemConfig, StemLayer};

    fn example(number: usize) -> TowerExample {
        let side = 24_u32;
        let byte = |at: u32| {
            (at.wrapping_mul(2_654_435_761)
                .wrapping_add(number as u32 * 77)
                >> 23) as u8
        };
        TowerExample {
            picture: Picture {
                width: side,
                height: side,
                rgb: (0..side * side * 3).map(byte).collect(),
            },
            facts: Facts {
                scores: vec![Some(number as f32 / 4.0)],
                labels: vec![Some(number.is_multiple_of(2))],
            },
        }
    }

    /// The bits of the last stem, of a training that is cut off after `stop` passes where one is given.
    fn train(folder: &Path, stop: Option<usize>) -> Result<Vec<u32>> {
        let layer = StemLayer {
            channels: 4,
            kernel: 4,
            stride: 4,
        };
        let config = StemConfig {
            layers: vec![layer],
            cell: 2,
            spectrum: None,
            overview: None,
        };
        let settings = TowerSettings {
            course: Course {
                epochs: 5,
                batch_size: 4,
                learning_rate: 1e-2,
                weight_decay: 0.05,
            },
            crop: 16,
            label_weight: 1.0,
            hidden: 6,
            dropout: 0.2,
            seed: 3,
        };
        let examples: Vec<TowerExample> = (0..9).map(example).collect();
        let passes = Passes::new(folder, "see", "recipe".to_owned(), 0.0);
        let mut bits = Vec::new();
        let mut on_epoch = |epoch: TowerEpoch| {
            if stop == Some(epoch.epoch) {
                return Ok(false);
            }
            let (weight, _) = &epoch.stem.layers()[0];
            let values = weight.flatten_all()?.to_vec1::<f32>()?;
            bits = values.into_iter().map(f32::to_bits).collect();
            passes.set_best(epoch.epoch as f64);
            Ok(true)
        };
        train_tower(
            &config,
            (&examples, &examples[..2]),
            &settings,
            &passes,
            &mut on_epoch,
        )?;
        Ok(bits)
    }

    #[test]
    fn a_training_that_was_cut_off_ends_with_the_same_bits() -> Result<()> {
        let [whole, cut] = [tempfile::tempdir()?, tempfile::tempdir()?];
        let expected = train(whole.path(), None)?;
        train(cut.path(), Some(2))?;
        let passes = || Passes::new(cut.path(), "see", "recipe".to_owned(), 0.0);
        assert_eq!(passes().begun()?, Some(1));
        train(cut.path(), Some(4))?;
        assert_eq!(passes().begun()?, Some(3));
        assert_eq!(train(cut.path(), None)?, expected);
        assert_eq!(passes().begun()?, Some(5));
        passes().end();
        assert_eq!(passes().begun()?, None);
        Ok(())
    }

    #[test]
    fn what_another_recipe_left_is_refused_in_words() -> Result<()> {
        let folder = tempfile::tempdir()?;
        train(folder.path(), Some(3))?;
        let other = Passes::new(folder.path(), "see", "another".to_owned(), 0.0);
        let refused = other.begun().map_err(|error| error.to_string());
        assert!(refused.is_err_and(
            |words| words.contains("another recipe") && words.contains("see.safetensors")
        ));
        fs::write(folder.path().join("steps/see.safetensors"), b"PK")?;
        let refused = other.begun().map_err(|error| error.to_string());
        assert!(refused.is_err_and(|words| words.contains("cannot be read")));
        Ok(())
    }
}
