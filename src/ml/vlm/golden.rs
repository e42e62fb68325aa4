//! What the golden tests of the backbones share: pictures made from integers, tensors read, differences measured.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use candle_core::{DType, Device, Result, Tensor};
use sha2::{Digest as _, Sha256};
use tokenizers::Tokenizer;

use super::backbone::{Backbone, Ending};
use super::kv_cache::KvCache;
use super::llama::argmax;
use super::weights::{Form, SafetensorsFiles, Weights};
use crate::domain::Picture;

/// A folder of `tests/fixtures`.
pub(super) struct Golden {
    folder: PathBuf,
    tensors: std::collections::HashMap<String, Tensor>,
}

impl Golden {
    /// Reads `reference.safetensors` of a folder.
    pub(super) fn open(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/fixtures")
            .join(name);
        let path = folder.join("reference.safetensors");
        let tensors = candle_core::safetensors::load(path, &Device::Cpu).unwrap();
        Self { folder, tensors }
    }

    /// A tensor by its name.
    pub(super) fn tensor(&self, name: &str) -> &Tensor {
        self.tensors
            .get(name)
            .unwrap_or_else(|| panic!("no tensor {name} in the fixture"))
    }

    /// Whole numbers by their name.
    pub(super) fn numbers(&self, name: &str) -> Vec<u32> {
        let tensor = self.tensor(name).to_dtype(DType::U32).unwrap();
        tensor.flatten_all().unwrap().to_vec1().unwrap()
    }

    /// A file of the folder as text.
    pub(super) fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.join(name)).unwrap()
    }

    /// A file of the folder as JSON.
    pub(super) fn json(&self, name: &str) -> serde_json::Value {
        serde_json::from_str(&self.text(name)).unwrap()
    }

    /// Messages 1 to 3 of `processor.json`.
    pub(super) fn messages(&self) -> [String; 3] {
        let said = self.json("processor.json");
        ["request", "description", "question"].map(|part| said[part].as_str().unwrap().to_owned())
    }

    /// The pictures whose sizes `processor.json` lists.
    pub(super) fn pictures(&self) -> Vec<Picture> {
        let sizes = self.json("processor.json")["pictures"].clone();
        let sizes: Vec<[u32; 2]> = serde_json::from_value(sizes).unwrap();
        sizes.into_iter().map(|[w, h]| picture(w, h)).collect()
    }

    /// Sixteen greedy words after message 1 are the reference's for every picture, on a cache and each time anew.
    pub(super) fn holds_greedy_words(&self, model: &dyn Backbone) -> Result<()> {
        let [request, ..] = self.messages();
        for (number, picture) in self.pictures().iter().enumerate() {
            let expected = self.numbers(&format!("{number}.asked.greedy"));
            for is_cached in [true, false] {
                assert_eq!(greedy(model, picture, &request, is_cached)?, expected);
            }
        }
        Ok(())
    }

    /// The model's weights in single precision.
    pub(super) fn weights(&self) -> Weights {
        let file = self.folder.join("model/model.safetensors");
        let source = SafetensorsFiles::open(vec![file]).unwrap();
        Weights::new(Arc::new(source), Form::F32, &Device::Cpu)
    }

    /// The model's weights under other names.
    pub(super) fn renamed_weights(&self, rename: impl Fn(&str) -> String) -> Weights {
        let file = self.folder.join("model/model.safetensors");
        let stored = candle_core::safetensors::load(file, &Device::Cpu).unwrap();
        let renamed = stored
            .into_iter()
            .map(|(name, tensor)| (rename(&name), tensor.to_dtype(DType::F32).unwrap()));
        Weights::from_tensors(renamed.collect())
    }

    /// The model's tokenizer.
    pub(super) fn tokenizer(&self) -> Tokenizer {
        Tokenizer::from_file(self.folder.join("model/tokenizer.json")).unwrap()
    }
}

/// Greedy ids, on a cache or each time anew.
fn greedy(
    model: &dyn Backbone,
    picture: &Picture,
    request: &str,
    is_cached: bool,
) -> Result<Vec<u32>> {
    let seen = model.look(picture).unwrap();
    let mut sequence = model.sequence(&seen, &[request], Ending::Generate).unwrap();
    let mut cache = KvCache::default();
    let end = sequence.ids.len();
    let mut states = model.pass(&sequence, end, &seen, &mut cache).unwrap();
    let mut made = Vec::new();
    for _ in 0..16 {
        let last: Tensor = states.narrow(1, states.dim(1)? - 1, 1)?;
        let id = argmax(&model.logits(&last).unwrap())?;
        made.push(id);
        sequence.ids.push(id);
        if is_cached {
            states = model.step(&[id], &mut cache).unwrap();
        } else {
            cache = KvCache::default();
            let end = sequence.ids.len();
            states = model.pass(&sequence, end, &seen, &mut cache).unwrap();
        }
    }
    Ok(made)
}

/// A slope with noise, made from integers as in `make.py`.
pub(super) fn picture(width: u32, height: u32) -> Picture {
    let (w, h) = (u64::from(width), u64::from(height));
    let byte = |i: u64| {
        let noise = (i.wrapping_mul(2_654_435_761) & 0xFFFF_FFFF) >> 24;
        let (y, x, c) = (i / (w * 3), i / 3 % w, i % 3);
        ((x * 160 / w + y * 60 / h + noise / 8 + c * 3) & 255) as u8
    };
    Picture {
        width,
        height,
        rgb: (0..w * h * 3).map(byte).collect::<Vec<u8>>().into(),
    }
}

/// SHA-256 of a picture's bytes.
pub(super) fn sha256(picture: &Picture) -> String {
    format!("{:x}", Sha256::digest(&picture.rgb))
}

/// Largest difference as a part of the largest value.
pub(super) fn difference(got: &Tensor, expected: &Tensor) -> Result<f32> {
    assert_eq!(got.elem_count(), expected.elem_count(), "sizes differ");
    let (got, expected) = (got.flatten_all()?, expected.flatten_all()?);
    let largest = expected.abs()?.max(0)?.to_scalar::<f32>()?;
    let worst = (got - expected)?.abs()?.max(0)?.to_scalar::<f32>()?;
    Ok(worst / largest)
}
