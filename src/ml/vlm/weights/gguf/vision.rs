//! The vision part of a model as llama.cpp keeps it (`mmproj`), under the names of the hub's checkpoints.
//!
//! **Source** llama.cpp: `gguf-py/gguf/tensor_mapping.py` (names of today's converter),
//! `tools/mtmd/legacy-models/minicpmv-convert-image-encoder-to-gguf.py` (`MiniCPM-V`: the packed projection cut in
//! three, the last matrix transposed), and the converter of Qwen2.5-VL, which cuts the patches' kernel in two along
//! time and may cut the packed projection in three. Older converters exchanged `ffn_up` and `ffn_down`; their shapes
//! tell.

use std::collections::BTreeMap;

use candle_core::{Result, Tensor, bail};

use super::file::GgufTensors;
use crate::ml::vlm::weights::Source;

/// A vision part in one file.
pub(super) struct GgufVision {
    file: GgufTensors,
    parts: BTreeMap<String, Part>,
}

/// How a tensor of the hub's checkpoint is made of the file's.
enum Part {
    Whole(String),
    Transposed(String),
    /// One below the other.
    Below(Vec<String>),
    /// Side by side along a new third dimension.
    Apart(Vec<String>),
}

/// What stands between the tower and the language model.
#[derive(Clone, Copy)]
enum Projector {
    /// MiniCPM-V's.
    Resampler,
    /// `LLaVA`'s.
    Mlp,
    /// Qwen2.5-VL's.
    Merger,
}

/// Names of the whole tower, SigLIP's and CLIP's.
const TOWER: [(&str, &str); 4] = [
    ("v.patch_embd", "embeddings.patch_embedding"),
    ("v.position_embd", "embeddings.position_embedding"),
    ("v.pre_ln", "pre_layrnorm"),
    ("v.post_ln", "post_layernorm"),
];

/// Names within a layer of these towers.
const TOWER_LAYER: [(&str, &str); 8] = [
    ("attn_q", "self_attn.q_proj"),
    ("attn_k", "self_attn.k_proj"),
    ("attn_v", "self_attn.v_proj"),
    ("attn_out", "self_attn.out_proj"),
    ("ln1", "layer_norm1"),
    ("ln2", "layer_norm2"),
    ("ffn_up", "mlp.fc1"),
    ("ffn_down", "mlp.fc2"),
];

/// Names within a layer of Qwen's tower.
const QWEN_LAYER: [(&str, &str); 7] = [
    ("attn_qkv", "attn.qkv"),
    ("attn_out", "attn.proj"),
    ("ln1", "norm1"),
    ("ln2", "norm2"),
    ("ffn_gate", "mlp.gate_proj"),
    ("ffn_up", "mlp.up_proj"),
    ("ffn_down", "mlp.down_proj"),
];

/// Names of the resampler's and the projectors' linear maps and norms.
const RESAMPLER: [(&str, &str); 5] = [
    ("resampler.kv", "resampler.kv_proj"),
    ("resampler.attn.out", "resampler.attn.out_proj"),
    ("resampler.ln_q", "resampler.ln_q"),
    ("resampler.ln_kv", "resampler.ln_kv"),
    ("resampler.ln_post", "resampler.ln_post"),
];

const MLP: [(&str, &str); 3] = [
    ("mm.0", "multi_modal_projector.linear_1"),
    // Today's converter counts as the hub does, older ones counted the activation in between.
    ("mm.1", "multi_modal_projector.linear_1"),
    ("mm.2", "multi_modal_projector.linear_2"),
];

const MERGER: [(&str, &str); 3] = [
    ("v.post_ln", "visual.merger.ln_q"),
    ("mm.0", "visual.merger.mlp.0"),
    ("mm.2", "visual.merger.mlp.2"),
];

impl Projector {
    fn of(file: &GgufTensors) -> Result<Self> {
        let word = file
            .text("clip.projector_type")
            .or_else(|| file.text("clip.vision.projector_type"));
        match word {
            Some("resampler") => match file.count("clip.minicpmv_version") {
                None | Some(2) => Ok(Self::Resampler),
                Some(version) => bail!(
                    "expected the vision part of MiniCPM-Llama3-V-2.5 (version 2), got that of version {version}"
                ),
            },
            Some("mlp") => Ok(Self::Mlp),
            Some("qwen2.5vl_merger") => Ok(Self::Merger),
            other => bail!(
                "expected a vision part of the kind resampler, mlp or qwen2.5vl_merger, got {:?}",
                other.unwrap_or_default()
            ),
        }
    }

    /// The hub's name of a tensor that is kept as it is.
    fn hub_name(self, stored: &str, is_swapped: bool) -> Option<String> {
        let alone = match (self, stored) {
            (Self::Mlp, "v.class_embd") => "vision_tower.vision_model.embeddings.class_embedding",
            (Self::Resampler, "resampler.query") => "resampler.query",
            _ => "",
        };
        if !alone.is_empty() {
            return Some(alone.to_owned());
        }
        let (stored, end) = stored.rsplit_once('.')?;
        let named = |table: &[(&str, &str)], part: &str| -> Option<String> {
            let found = table.iter().find(|(theirs, _)| *theirs == part)?;
            Some(found.1.to_owned())
        };
        let (tower, layers, joint): (_, &[_], &[_]) = match self {
            Self::Resampler => ("vpm.", &TOWER_LAYER, &RESAMPLER),
            Self::Mlp => ("vision_tower.vision_model.", &TOWER_LAYER, &MLP),
            Self::Merger => ("visual.", &QWEN_LAYER, &MERGER),
        };
        if let Some(name) = named(joint, stored) {
            return Some(format!("{name}.{end}"));
        }
        if let Some((layer, part)) = stored
            .strip_prefix("v.blk.")
            .and_then(|rest| rest.split_once('.'))
        {
            let part = match part {
                "ffn_up" if is_swapped => "ffn_down",
                "ffn_down" if is_swapped => "ffn_up",
                part => part,
            };
            let within = if matches!(self, Self::Merger) {
                "blocks"
            } else {
                "encoder.layers"
            };
            return Some(format!(
                "{tower}{within}.{layer}.{}.{end}",
                named(layers, part)?
            ));
        }
        if matches!(self, Self::Merger) {
            return None;
        }
        Some(format!("{tower}{}.{end}", named(&TOWER, stored)?))
    }

    /// Tensors that the converter cut or turned.
    fn made(self, file: &GgufTensors) -> Vec<(String, Part)> {
        let all = |before: &str, ends: [&str; 3], after: &str| -> Option<Vec<String>> {
            let names = ends.map(|end| format!("{before}{end}.{after}"));
            let are_there = names.iter().all(|name| file.shape(name).is_some());
            are_there.then(|| names.into())
        };
        let mut made = Vec::new();
        match self {
            Self::Resampler => {
                for end in ["weight", "bias"] {
                    if let Some(names) = all("resampler.attn.", ["q", "k", "v"], end) {
                        made.push((format!("resampler.attn.in_proj_{end}"), Part::Below(names)));
                    }
                }
                let proj = "resampler.proj.weight".to_owned();
                made.push(("resampler.proj".to_owned(), Part::Transposed(proj)));
            }
            Self::Mlp => {}
            Self::Merger => {
                let halves = ["v.patch_embd.weight", "v.patch_embd.weight.1"].map(str::to_owned);
                made.push((
                    "visual.patch_embed.proj.weight".to_owned(),
                    Part::Apart(halves.into()),
                ));
                for layer in 0.. {
                    let before = format!("v.blk.{layer}.attn_");
                    let Some(weights) = all(&before, ["q", "k", "v"], "weight") else {
                        break;
                    };
                    let name = format!("visual.blocks.{layer}.attn.qkv");
                    made.push((format!("{name}.weight"), Part::Below(weights)));
                    if let Some(biases) = all(&before, ["q", "k", "v"], "bias") {
                        made.push((format!("{name}.bias"), Part::Below(biases)));
                    }
                }
            }
        }
        made
    }
}

impl GgufVision {
    /// Names the tensors of a file.
    ///
    /// # Errors
    /// A vision part that is not known here, named.
    pub(super) fn new(file: GgufTensors) -> Result<Self> {
        let projector = Projector::of(&file)?;
        let rows_of = |name: &str| file.shape(name).map_or(0, |shape| shape[0]);
        let is_swapped = rows_of("v.blk.0.ffn_down.weight") > rows_of("v.blk.0.ffn_up.weight");
        let mut parts = BTreeMap::new();
        for stored in file.names() {
            if let Some(name) = projector.hub_name(stored, is_swapped) {
                parts.insert(name, Part::Whole(stored.to_owned()));
            }
        }
        for (name, part) in projector.made(&file) {
            if part
                .stored()
                .iter()
                .all(|stored| file.shape(stored).is_some())
            {
                parts.insert(name, part);
            }
        }
        Ok(Self { file, parts })
    }

    fn stored(&self, name: &str) -> Result<Tensor> {
        self.file.tensor(name, self.file.bytes(name)?)
    }
}

impl Part {
    fn stored(&self) -> &[String] {
        match self {
            Self::Whole(name) | Self::Transposed(name) => std::slice::from_ref(name),
            Self::Below(names) | Self::Apart(names) => names,
        }
    }
}

impl Source for GgufVision {
    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        let part = self.parts.get(name)?;
        let mut shape = self.file.shape(&part.stored()[0])?.to_vec();
        match part {
            Part::Whole(_) => {}
            Part::Transposed(_) => shape.reverse(),
            Part::Below(names) => shape[0] *= names.len(),
            Part::Apart(names) => shape.insert(2, names.len()),
        }
        Some(shape)
    }

    fn read(&self, name: &str) -> Result<Tensor> {
        let Some(part) = self.parts.get(name) else {
            bail!("the weights lack {name}")
        };
        let stored = || -> Result<Vec<Tensor>> {
            part.stored().iter().map(|name| self.stored(name)).collect()
        };
        match part {
            Part::Whole(name) => self.stored(name),
            Part::Transposed(name) => self.stored(name)?.t()?.contiguous(),
            Part::Below(_) => Tensor::cat(&stored()?, 0),
            Part::Apart(_) => Tensor::stack(&stored()?, 2),
        }
    }

    fn names(&self) -> Vec<String> {
        self.parts.keys().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use candle_core::DType;

    use super::*;
    use crate::ml::vlm::weights::{SafetensorsFiles, gguf};

    fn fixture(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/fixtures")
            .join(name)
    }

    /// Every tensor of the file under the hub's name, and how many of the hub's vision part the file lacks.
    fn compared(file: &str, hub: &str, vision: [&str; 2], tolerance: f32) -> Result<usize> {
        let ours = gguf::open(&fixture(file), "llm.")?;
        let theirs = SafetensorsFiles::open(vec![fixture(hub)])?;
        for name in ours.names() {
            let (a, b) = (ours.read(&name)?, theirs.read(&name)?);
            assert_eq!(a.dims(), b.dims(), "{name}");
            assert_eq!(ours.shape(&name).as_deref(), Some(b.dims()), "{name}");
            let apart = (a - b.to_dtype(DType::F32)?)?.abs()?.max_all()?;
            assert!(apart.to_scalar::<f32>()? <= tolerance, "{name}");
        }
        let is_there: std::collections::BTreeSet<String> = ours.names().into_iter().collect();
        let wanted = theirs.names();
        let of_vision = wanted
            .iter()
            .filter(|name| vision.iter().any(|start| name.starts_with(start)));
        Ok(of_vision.filter(|name| !is_there.contains(*name)).count())
    }

    #[test]
    fn vision_parts_by_llama_cpp_come_back_under_the_hubs_names() -> Result<()> {
        let minicpm = |file| compared(file, "peft/base.safetensors", ["vpm.", "resampler."], 1e-3);
        assert_eq!(minicpm("gguf/minicpm.gguf")?, 0);
        assert_eq!(minicpm("gguf/minicpm_swapped.gguf")?, 0);
        let qwen = "qwen2_5_vl/model/model.safetensors";
        let qwen = compared("gguf/qwen2_5_vl.gguf", qwen, ["visual.", "visual."], 0.0)?;
        assert_eq!(qwen, 0);
        // Without its last layer (16 tensors), which is not read
        let llava = "llava/model/model.safetensors";
        let parts = ["vision_tower.", "multi_modal_projector."];
        assert_eq!(compared("gguf/llava.gguf", llava, parts, 0.0)?, 16);
        Ok(())
    }

    #[test]
    fn the_vision_part_of_another_model_is_named() -> Result<()> {
        use candle_core::quantized::gguf_file::{self, Value};
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("mmproj.gguf");
        let word = |text: &str| Value::String(text.to_owned());
        let told = |projector: &str, version: i32| -> Result<String> {
            let (clip, kind, version) = (word("clip"), word(projector), Value::I32(version));
            let facts = [
                ("general.architecture", &clip),
                ("clip.projector_type", &kind),
                ("clip.minicpmv_version", &version),
            ];
            gguf_file::write(&mut std::fs::File::create(&path)?, &facts, &[])?;
            Ok(gguf::open(&path, "")
                .err()
                .map_or_else(String::new, |error| error.to_string()))
        };
        assert!(told("pixtral", 0)?.contains("got \"pixtral\""));
        assert!(told("resampler", 3)?.contains("got that of version 3"));
        assert!(told("resampler", 2)?.is_empty());
        Ok(())
    }
}
