//! GGUF files of a language model (llama.cpp), under the names of the hub's checkpoints. Quantised matrices stay as
//! they are.
//!
//! **Source** llama.cpp, `gguf-py/gguf/tensor_mapping.py` (names) and `convert_hf_to_gguf.py`, `LlamaModel.permute`:
//! rows of q and k of the architecture `llama` stand in the order of interleaved rotary pairs there, and in halves
//! here.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use candle_core::quantized::gguf_file::{Content, TensorInfo};
use candle_core::quantized::{GgmlDType, QStorage, QTensor};
use candle_core::{Device, Result, Tensor, bail};

use super::Source;

/// A language model in one file.
pub struct GgufFile {
    path: PathBuf,
    start: u64,
    entries: BTreeMap<String, Entry>,
}

struct Entry {
    dtype: GgmlDType,
    shape: Vec<usize>,
    offset: u64,
    /// Heads whose rows stand interleaved.
    interleaved: Option<usize>,
}

/// Names within a layer.
const LAYER: [(&str, &str); 12] = [
    ("attn_norm.weight", "input_layernorm.weight"),
    ("attn_q.weight", "self_attn.q_proj.weight"),
    ("attn_k.weight", "self_attn.k_proj.weight"),
    ("attn_v.weight", "self_attn.v_proj.weight"),
    ("attn_output.weight", "self_attn.o_proj.weight"),
    ("attn_q.bias", "self_attn.q_proj.bias"),
    ("attn_k.bias", "self_attn.k_proj.bias"),
    ("attn_v.bias", "self_attn.v_proj.bias"),
    ("ffn_norm.weight", "post_attention_layernorm.weight"),
    ("ffn_gate.weight", "mlp.gate_proj.weight"),
    ("ffn_up.weight", "mlp.up_proj.weight"),
    ("ffn_down.weight", "mlp.down_proj.weight"),
];

impl GgufFile {
    /// Reads the header. `prefix` stands before the names of the decoder in the backbone, e.g. `llm.`.
    ///
    /// # Errors
    /// A file that is no GGUF file, or of a model that is not known here, named.
    pub fn open(path: &Path, prefix: &str) -> Result<Self> {
        Self::read_header(path, prefix).map_err(|error| error.with_path(path))
    }

    fn read_header(path: &Path, prefix: &str) -> Result<Self> {
        let content = Content::read(&mut BufReader::new(File::open(path)?))?;
        let text = |key: &str| -> Option<String> {
            let value = content.metadata.get(key)?.to_string().ok()?;
            Some(value.clone())
        };
        let architecture = text("general.architecture").unwrap_or_default();
        let count = |key: &str| -> Option<usize> {
            let value = content.metadata.get(&format!("{architecture}.{key}"))?;
            Some(
                value
                    .to_u64()
                    .or_else(|_| value.to_u32().map(u64::from))
                    .ok()? as usize,
            )
        };
        let permutes = match architecture.as_str() {
            "llama" => true,
            "qwen2" | "qwen2vl" => false,
            other => bail!("expected a language model of the kind llama or qwen2, got {other:?}"),
        };
        let Some(heads) = count("attention.head_count") else {
            bail!("it does not say how many heads it has")
        };
        let kv_heads = count("attention.head_count_kv").unwrap_or(heads);
        let mut entries = BTreeMap::new();
        let stored: BTreeMap<_, _> = content.tensor_infos.iter().collect();
        for (stored, info) in stored {
            let Some(name) = hub_name(stored) else {
                continue;
            };
            let interleaved = match stored.rsplit_once("attn_").map(|(_, part)| part) {
                Some("q.weight" | "q.bias") if permutes => Some(heads),
                Some("k.weight" | "k.bias") if permutes => Some(kv_heads),
                _ => None,
            };
            entries.insert(format!("{prefix}{name}"), entry(info, interleaved));
        }
        Ok(Self {
            path: path.to_owned(),
            start: content.tensor_data_offset,
            entries,
        })
    }

    /// The bytes of a tensor, rows in the order of the hub's checkpoints.
    fn bytes(&self, entry: &Entry) -> Result<Vec<u8>> {
        let elements: usize = entry.shape.iter().product();
        let len = elements / entry.dtype.block_size() * entry.dtype.type_size();
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(self.start + entry.offset))?;
        let mut bytes = vec![0; len];
        file.read_exact(&mut bytes)?;
        match entry.interleaved {
            Some(heads) => in_halves(&bytes, entry.shape[0], heads),
            None => Ok(bytes),
        }
    }

    fn entry(&self, name: &str) -> Result<&Entry> {
        match self.entries.get(name) {
            Some(entry) => Ok(entry),
            None => bail!("the weights lack {name}"),
        }
    }
}

impl Source for GgufFile {
    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.entries.get(name).map(|entry| entry.shape.clone())
    }

    fn read(&self, name: &str) -> Result<Tensor> {
        let entry = self.entry(name)?;
        let bytes = self.bytes(entry)?;
        let storage = QStorage::from_data(bytes.into(), &Device::Cpu, entry.dtype)?;
        QTensor::new(storage, entry.shape.as_slice())?.dequantize(&Device::Cpu)
    }

    fn read_blocks(&self, name: &str) -> Result<Option<(GgmlDType, Vec<u8>)>> {
        let entry = self.entry(name)?;
        match entry.dtype {
            GgmlDType::F32 | GgmlDType::F16 | GgmlDType::BF16 => Ok(None),
            dtype => Ok(Some((dtype, self.bytes(entry)?))),
        }
    }

    fn names(&self) -> Vec<String> {
        self.entries.keys().cloned().collect()
    }
}

fn entry(info: &TensorInfo, interleaved: Option<usize>) -> Entry {
    Entry {
        dtype: info.ggml_dtype,
        shape: info.shape.dims().to_vec(),
        offset: info.offset,
        interleaved,
    }
}

/// The hub's name of a tensor.
fn hub_name(stored: &str) -> Option<String> {
    match stored {
        "token_embd.weight" => return Some("model.embed_tokens.weight".to_owned()),
        "output_norm.weight" => return Some("model.norm.weight".to_owned()),
        "output.weight" => return Some("lm_head.weight".to_owned()),
        _ => {}
    }
    let (layer, part) = stored.strip_prefix("blk.")?.split_once('.')?;
    let (_, name) = LAYER.iter().find(|(theirs, _)| *theirs == part)?;
    Some(format!("model.layers.{layer}.{name}"))
}

/// Rows `(head, pair, half)` brought into the order `(head, half, pair)`.
fn in_halves(bytes: &[u8], rows: usize, heads: usize) -> Result<Vec<u8>> {
    if heads == 0 || !rows.is_multiple_of(2 * heads) {
        bail!("{rows} rows do not divide into {heads} heads of pairs")
    }
    let (width, row) = (rows / heads, bytes.len() / rows);
    let mut out = Vec::with_capacity(bytes.len());
    for head in 0..heads {
        for half in 0..2 {
            for pair in 0..width / 2 {
                let from = (head * width + 2 * pair + half) * row;
                out.extend_from_slice(&bytes[from..from + row]);
            }
        }
    }
    Ok(out)
}

/// Several sources as one: what the first has is taken from it.
pub struct Joined(Vec<std::sync::Arc<dyn Source>>);

impl Joined {
    /// Joins them.
    pub const fn new(sources: Vec<std::sync::Arc<dyn Source>>) -> Self {
        Self(sources)
    }

    fn with(&self, name: &str) -> Result<&dyn Source> {
        let found = self.0.iter().find(|source| source.shape(name).is_some());
        match found {
            Some(source) => Ok(&**source),
            None => bail!("the weights lack {name}"),
        }
    }
}

impl Source for Joined {
    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.0.iter().find_map(|source| source.shape(name))
    }

    fn read(&self, name: &str) -> Result<Tensor> {
        self.with(name)?.read(name)
    }

    fn read_rows(&self, name: &str, start: usize, len: usize) -> Result<Tensor> {
        self.with(name)?.read_rows(name, start, len)
    }

    fn has_cheap_rows(&self, name: &str) -> bool {
        self.with(name)
            .is_ok_and(|source| source.has_cheap_rows(name))
    }

    fn read_blocks(&self, name: &str) -> Result<Option<(GgmlDType, Vec<u8>)>> {
        self.with(name)?.read_blocks(name)
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.0.iter().flat_map(|source| source.names()).collect();
        names.sort();
        names.dedup();
        names
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use candle_core::DType;
    use candle_core::quantized::gguf_file::{self, Value};

    use super::*;
    use crate::ml::vlm::weights::{Form, SafetensorsFiles, Weights};

    /// What llama.cpp's converter does to the rows of q and k.
    fn permuted(weight: &Tensor, heads: usize) -> Result<Tensor> {
        let (rows, width) = weight.dims2()?;
        weight
            .reshape((heads, 2, rows / heads / 2, width))?
            .transpose(1, 2)?
            .reshape((rows, width))
    }

    fn stored_name(hub: &str) -> Option<String> {
        let layer = hub.strip_prefix("llm.model.layers.");
        let known = match hub {
            "llm.model.embed_tokens.weight" => Some("token_embd.weight"),
            "llm.model.norm.weight" => Some("output_norm.weight"),
            "llm.lm_head.weight" => Some("output.weight"),
            _ => None,
        };
        known.map(str::to_owned).or_else(|| {
            let (index, part) = layer?.split_once('.')?;
            let (theirs, _) = LAYER.iter().find(|(_, ours)| *ours == part)?;
            Some(format!("blk.{index}.{theirs}"))
        })
    }

    fn base() -> Result<SafetensorsFiles> {
        let path =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/peft/base.safetensors");
        SafetensorsFiles::open(vec![path])
    }

    /// The decoder of the peft fixture (4 heads, 2 key heads), as a converter would write it.
    fn write(path: &Path, kind: GgmlDType) -> Result<()> {
        let base = base()?;
        let mut tensors = Vec::new();
        for name in base.names() {
            let Some(stored) = stored_name(&name) else {
                continue;
            };
            let mut tensor = base.read(&name)?;
            if name.ends_with("q_proj.weight") {
                tensor = permuted(&tensor, 4)?;
            } else if name.ends_with("k_proj.weight") {
                tensor = permuted(&tensor, 2)?;
            }
            let kind = if tensor.rank() == 2 {
                kind
            } else {
                GgmlDType::F32
            };
            tensors.push((stored, QTensor::quantize(&tensor, kind)?));
        }
        let architecture = Value::String("llama".to_owned());
        let (heads, kv_heads) = (Value::U32(4), Value::U32(2));
        let metadata = [
            ("general.architecture", &architecture),
            ("llama.attention.head_count", &heads),
            ("llama.attention.head_count_kv", &kv_heads),
        ];
        let tensors: Vec<(&str, &QTensor)> =
            tensors.iter().map(|(name, t)| (name.as_str(), t)).collect();
        gguf_file::write(&mut File::create(path)?, &metadata, &tensors)
    }

    #[test]
    fn a_converted_decoder_comes_back_under_its_names_and_in_its_order() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("model.gguf");
        for kind in [GgmlDType::F32, GgmlDType::F16] {
            write(&path, kind)?;
            let (file, base) = (GgufFile::open(&path, "llm.")?, base()?);
            assert_eq!(file.names().len(), 2 + 1 + 2 * 9);
            for name in file.names() {
                let (ours, theirs) = (file.read(&name)?, base.read(&name)?);
                let apart = (ours - theirs)?.abs()?.flatten_all()?.max(0)?;
                assert!(apart.to_scalar::<f32>()? < 2e-3, "{name}");
            }
        }
        // With the vision part from the other file, a whole model
        let joined = Joined::new(vec![
            Arc::new(GgufFile::open(&path, "llm.")?),
            Arc::new(base()?),
        ]);
        let weights = Weights::new(Arc::new(joined), Form::F32, &Device::Cpu);
        assert!(weights.contains("vpm.post_layernorm.weight"));
        assert!(weights.matrix((24, 16), "llm.lm_head.weight").is_ok());
        std::fs::write(&path, b"GGUX")?;
        assert!(GgufFile::open(&path, "llm.").is_err());
        Ok(())
    }

    #[test]
    fn blocks_are_permuted_as_their_rows_are() -> Result<()> {
        let weight = Tensor::rand(-1f32, 1.0, (16, 64), &Device::Cpu)?;
        let blocks = QTensor::quantize(&permuted(&weight, 4)?, GgmlDType::Q8_0)?;
        let bytes = in_halves(&blocks.data()?, 16, 4)?;
        let storage = QStorage::from_data(bytes.into(), &Device::Cpu, GgmlDType::Q8_0)?;
        let back = QTensor::new(storage, (16, 64))?.dequantize(&Device::Cpu)?;
        let apart = (back - weight)?.abs()?.max_all()?.to_dtype(DType::F32)?;
        assert!(apart.to_scalar::<f32>()? < 1e-2);
        Ok(())
    }
}
