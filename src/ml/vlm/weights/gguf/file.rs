//! A GGUF file: its header, and a tensor's bytes when they are asked for.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{BufReader, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use candle_core::quantized::gguf_file::{Content, TensorInfo, Value};
use candle_core::quantized::{GgmlDType, QStorage, QTensor};
use candle_core::{Device, Result, Tensor, bail};

/// Tensors under the names that the file gives them.
pub(super) struct GgufTensors {
    path: PathBuf,
    start: u64,
    facts: HashMap<String, Value>,
    tensors: BTreeMap<String, TensorInfo>,
}

impl GgufTensors {
    /// Reads the header.
    ///
    /// # Errors
    /// A file that is no GGUF file.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let content = Content::read(&mut BufReader::new(File::open(path)?))?;
        Ok(Self {
            path: path.to_owned(),
            start: content.tensor_data_offset,
            facts: content.metadata,
            tensors: content.tensor_infos.into_iter().collect(),
        })
    }

    /// What the header says in words.
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        let text = self.facts.get(key)?.to_string().ok()?;
        Some(text.as_str())
    }

    /// What the header says in a whole number, of whatever width.
    pub(super) fn count(&self, key: &str) -> Option<usize> {
        match *self.facts.get(key)? {
            Value::U32(count) => Some(count as usize),
            Value::U64(count) => usize::try_from(count).ok(),
            Value::I32(count) => usize::try_from(count).ok(),
            Value::I64(count) => usize::try_from(count).ok(),
            _ => None,
        }
    }

    /// Names of all tensors, in order.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// A tensor's shape, rows first.
    pub(super) fn shape(&self, name: &str) -> Option<&[usize]> {
        Some(self.tensors.get(name)?.shape.dims())
    }

    /// How a tensor is kept.
    pub(super) fn dtype(&self, name: &str) -> Result<GgmlDType> {
        Ok(self.info(name)?.ggml_dtype)
    }

    /// A tensor's bytes.
    pub(super) fn bytes(&self, name: &str) -> Result<Vec<u8>> {
        let info = self.info(name)?;
        let elements = info.shape.elem_count();
        let len = elements / info.ggml_dtype.block_size() * info.ggml_dtype.type_size();
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(self.start + info.offset))?;
        let mut bytes = vec![0; len];
        file.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// `bytes` as a tensor of the shape and kind that `name` has, in single precision.
    pub(super) fn tensor(&self, name: &str, bytes: Vec<u8>) -> Result<Tensor> {
        let info = self.info(name)?;
        let storage = QStorage::from_data(bytes.into(), &Device::Cpu, info.ggml_dtype)?;
        QTensor::new(storage, info.shape.clone())?.dequantize(&Device::Cpu)
    }

    fn info(&self, name: &str) -> Result<&TensorInfo> {
        match self.tensors.get(name) {
            Some(info) => Ok(info),
            None => bail!("the weights lack {name}"),
        }
    }
}
