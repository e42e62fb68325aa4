//! The decoder of a language model as llama.cpp keeps it, under the names of the hub's checkpoints.
//!
//! **Source** llama.cpp, `gguf-py/gguf/tensor_mapping.py` (names) and `convert_hf_to_gguf.py`, `LlamaModel.permute`:
//! rows of q and k of the architecture `llama` stand in the order of interleaved rotary pairs there, and in halves
//! here.

use std::collections::BTreeMap;

use candle_core::quantized::GgmlDType;
use candle_core::{Result, Tensor, bail};

use super::file::GgufTensors;
use crate::ml::vlm::weights::Source;

/// A language model in one file. Quantised matrices stay as they are.
pub(super) struct GgufDecoder {
    file: GgufTensors,
    places: BTreeMap<String, Place>,
}

struct Place {
    stored: String,
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

impl GgufDecoder {
    /// Names the tensors of a file. `prefix` stands before the names of the decoder in the backbone, e.g. `llm.`.
    ///
    /// # Errors
    /// A model that is not known here, named.
    pub(super) fn new(file: GgufTensors, prefix: &str) -> Result<Self> {
        let architecture = file.text("general.architecture").unwrap_or_default();
        let permutes = match architecture {
            "llama" => true,
            "qwen2" | "qwen2vl" => false,
            other => bail!(
                "expected a language model of the kind llama or qwen2, or a vision part of the kind clip, got {other:?}"
            ),
        };
        let count = |key: &str| file.count(&format!("{architecture}.{key}"));
        let Some(heads) = count("attention.head_count") else {
            bail!("it does not say how many heads it has")
        };
        let kv_heads = count("attention.head_count_kv").unwrap_or(heads);
        let mut places = BTreeMap::new();
        for stored in file.names() {
            let Some(name) = hub_name(stored) else {
                continue;
            };
            let interleaved = match stored.rsplit_once("attn_").map(|(_, part)| part) {
                Some("q.weight" | "q.bias") if permutes => Some(heads),
                Some("k.weight" | "k.bias") if permutes => Some(kv_heads),
                _ => None,
            };
            let stored = stored.to_owned();
            places.insert(
                format!("{prefix}{name}"),
                Place {
                    stored,
                    interleaved,
                },
            );
        }
        Ok(Self { file, places })
    }

    fn place(&self, name: &str) -> Result<&Place> {
        match self.places.get(name) {
            Some(place) => Ok(place),
            None => bail!("the weights lack {name}"),
        }
    }

    /// The bytes of a tensor, rows in the order of the hub's checkpoints.
    fn bytes(&self, place: &Place) -> Result<Vec<u8>> {
        let bytes = self.file.bytes(&place.stored)?;
        match (place.interleaved, self.file.shape(&place.stored)) {
            (Some(heads), Some(shape)) => in_halves(&bytes, shape[0], heads),
            _ => Ok(bytes),
        }
    }
}

impl Source for GgufDecoder {
    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        let place = self.places.get(name)?;
        self.file.shape(&place.stored).map(<[usize]>::to_vec)
    }

    fn read(&self, name: &str) -> Result<Tensor> {
        let place = self.place(name)?;
        self.file.tensor(&place.stored, self.bytes(place)?)
    }

    fn read_blocks(&self, name: &str) -> Result<Option<(GgmlDType, Vec<u8>)>> {
        let place = self.place(name)?;
        match self.file.dtype(&place.stored)? {
            GgmlDType::F32 | GgmlDType::F16 | GgmlDType::BF16 => Ok(None),
            dtype => Ok(Some((dtype, self.bytes(place)?))),
        }
    }

    fn names(&self) -> Vec<String> {
        self.places.keys().cloned().collect()
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

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::path::Path;
    use std::sync::Arc;

    use candle_core::quantized::gguf_file::{self, Value};
    use candle_core::quantized::{QStorage, QTensor};
    use candle_core::{DType, Device};

    use super::*;
    use crate::ml::vlm::weights::{Form, Joined, SafetensorsFiles, Weights, gguf};

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
            let (file, base) = (gguf::open(&path, "llm.")?, base()?);
            assert_eq!(file.names().len(), 2 + 1 + 2 * 9);
            for name in file.names() {
                let (ours, theirs) = (file.read(&name)?, base.read(&name)?);
                let apart = (ours - theirs)?.abs()?.flatten_all()?.max(0)?;
                assert!(apart.to_scalar::<f32>()? < 2e-3, "{name}");
            }
        }
        // With the vision part from the other file, a whole model
        let joined = Joined::new(vec![gguf::open(&path, "llm.")?, Arc::new(base()?)]);
        let weights = Weights::new(Arc::new(joined), Form::F32, &Device::Cpu);
        assert!(weights.contains("vpm.post_layernorm.weight"));
        assert!(weights.matrix((24, 16), "llm.lm_head.weight").is_ok());
        std::fs::write(&path, b"GGUX")?;
        assert!(gguf::open(&path, "llm.").is_err());
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
