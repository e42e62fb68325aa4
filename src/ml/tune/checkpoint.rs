//! Everything that the next step of a fine-tuning needs, as one file that is whole or not there.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fs;
use std::fs::File;
use std::io;
use std::io::Read as _;
use std::path::Path;

use candle_core::Device;
use candle_core::Tensor;
use safetensors::Dtype;
use safetensors::tensor::View;
use serde::Deserialize;
use serde::Serialize;

use super::optimiser::Values;
use super::tuner::Tuner;
use crate::compute::real::with_values;
use crate::domain::TuneEpoch;
use crate::domain::TuneSettings;
use crate::ml::MlError;
use crate::ml::vlm::weights::SafetensorsFiles;
use crate::ml::vlm::weights::Source as _;

/// Its name in a run's folder.
const FILE: &str = "checkpoint.safetensors";

/// Key of the document in the metadata.
const KEY: &str = "progress";

/// How far a run is. Order, values that are left out and rates follow from the settings and these numbers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Settings and data of the run; another run's checkpoint is refused.
    pub identity: String,
    /// Steps of the optimiser.
    pub steps: u64,
    /// Curve so far; epoch 0 first.
    pub epochs: Vec<TuneEpoch>,
    /// The best epoch so far.
    pub best_epoch: Option<u32>,
    /// Bits of the best epoch's validation loss.
    pub best_loss: u64,
    /// Bits of the sum of losses of the epoch that is going on.
    pub sum: u64,
    /// Its target tokens so far.
    pub targets: u64,
    /// Its seconds so far.
    pub seconds: f64,
    /// The curve's numbers to the bit: reading a number back from its digits may be off in the last one.
    exact: Vec<[u64; 4]>,
}

impl Progress {
    /// A run that has not begun.
    pub(super) fn start(settings: &TuneSettings, base: &str, counts: [usize; 2]) -> Self {
        let settings = serde_json::to_string(settings).unwrap_or_default();
        Self {
            identity: format!("{settings} {base} {counts:?}"),
            ..Self::default()
        }
    }

    /// A copy to be written down.
    fn written(&self) -> Self {
        let exact = self.epochs.iter().map(|epoch| {
            let val = &epoch.val;
            let numbers = [
                epoch.train_loss,
                Some(val.loss),
                val.word_accuracy,
                val.rough_accuracy,
            ];
            numbers.map(|number| number.unwrap_or(f64::NAN).to_bits())
        });
        Self {
            exact: exact.collect(),
            ..self.clone()
        }
    }

    /// Puts the numbers of the curve back as they were.
    fn restored(mut self) -> Self {
        for (epoch, bits) in self.epochs.iter_mut().zip(self.exact.drain(..)) {
            let [train_loss, loss, word, rough] = bits.map(f64::from_bits);
            epoch.train_loss = epoch.train_loss.map(|_| train_loss);
            epoch.val.loss = loss;
            epoch.val.word_accuracy = epoch.val.word_accuracy.map(|_| word);
            epoch.val.rough_accuracy = epoch.val.rough_accuracy.map(|_| rough);
        }
        self
    }
}

/// Single-precision values on their way into a file.
pub(super) struct Stored<'a> {
    shape: Vec<usize>,
    values: Values<'a>,
}

impl<'a> Stored<'a> {
    pub(super) fn tensor(tensor: &'a Tensor) -> Self {
        Self {
            shape: tensor.dims().to_vec(),
            values: Values::Tensor(tensor),
        }
    }
}

impl View for Stored<'_> {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        let bytes = |values: &[f32]| {
            values
                .iter()
                .flat_map(|value| value.to_le_bytes())
                .collect()
        };
        Cow::Owned(match self.values {
            Values::Slice(values) => bytes(values),
            // A tensor that is trained lies in one piece.
            Values::Tensor(tensor) => tensor
                .to_device(&Device::Cpu)
                .and_then(|tensor| {
                    with_values([&tensor], |[values]: [&[f32]; 1]| Ok(bytes(values)))
                })
                .unwrap_or_default(),
        })
    }

    fn data_len(&self) -> usize {
        4 * self.shape.iter().product::<usize>()
    }
}

/// Writes a safetensors file whole or not at all.
pub(super) fn write_file(
    path: &Path,
    tensors: Vec<(String, Stored<'_>)>,
    metadata: HashMap<String, String>,
) -> Result<(), MlError> {
    let new = path.with_extension("new");
    let written = safetensors::serialize_to_file(tensors, Some(metadata), &new)
        .map_err(io::Error::other)
        .and_then(|()| File::open(&new)?.sync_all())
        .and_then(|()| fs::rename(&new, path));
    written.map_err(|error| {
        MlError::Vanished(format!(
            "cannot save what was trained: {error}; make room on the disk, then resume: {}",
            path.display()
        ))
    })
}

/// Saves a run's state in its folder.
pub(super) fn write(folder: &Path, progress: &Progress, tuner: &Tuner) -> Result<(), MlError> {
    let mut tensors = Vec::new();
    for (at, (name, weight)) in tuner.weights().enumerate() {
        let [mean, square] = tuner.optimiser.moments(at).map(|values| Stored {
            shape: weight.dims().to_vec(),
            values,
        });
        tensors.push((format!("weight.{name}"), Stored::tensor(weight)));
        tensors.push((format!("mean.{name}"), mean));
        tensors.push((format!("square.{name}"), square));
    }
    let json =
        serde_json::to_string(&progress.written()).map_err(|e| MlError::Weights(e.to_string()))?;
    let metadata = HashMap::from([(KEY.to_owned(), json)]);
    write_file(&folder.join(FILE), tensors, metadata)
}

/// Brings a tuner to where a run's state was saved; `None` where nothing was saved yet.
pub(super) fn read(
    folder: &Path,
    fresh: &Progress,
    tuner: &mut Tuner,
) -> Result<Option<Progress>, MlError> {
    let path = folder.join(FILE);
    if !path.exists() {
        return Ok(None);
    }
    let progress = document(&path).map_err(|source| MlError::Read {
        what: "the checkpoint",
        path: path.clone(),
        source,
    })?;
    if progress.identity != fresh.identity {
        let why = "this checkpoint belongs to other settings, another model or other conversations: start the run anew";
        return Err(MlError::Weights(why.to_owned()));
    }
    let file = SafetensorsFiles::open(vec![path])?;
    let (names, optimiser) = (&tuner.names, &mut tuner.optimiser);
    for (at, name) in names.iter().enumerate() {
        optimiser.set(at, &file.read(&format!("weight.{name}"))?)?;
        for (which, moment) in ["mean", "square"].into_iter().enumerate() {
            optimiser.set_moment(at, which, &file.read(&format!("{moment}.{name}"))?)?;
        }
    }
    optimiser.set_steps(progress.steps);
    tuner.model.tuned.refresh()?;
    Ok(Some(progress))
}

/// The document of a file's metadata.
fn document(path: &Path) -> io::Result<Progress> {
    let mut file = File::open(path)?;
    let mut len = [0; 8];
    file.read_exact(&mut len)?;
    let mut header = Vec::new();
    file.take(u64::from_le_bytes(len))
        .read_to_end(&mut header)?;
    let header: serde_json::Value = serde_json::from_slice(&header)?;
    let text = header.pointer(&format!("/__metadata__/{KEY}"));
    let text = text.and_then(serde_json::Value::as_str).unwrap_or_default();
    let progress: Progress = serde_json::from_str(text)?;
    Ok(progress.restored())
}
