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

/// Their names in the file, and the hub's.
type Names = &'static [(&'static str, &'static str)];

/// Names of tensors that are kept as they are.
struct Layout {
    /// Tensors that have no `weight` or `bias` behind their name.
    bare: Names,
    /// Linear maps and norms outside the layers.
    whole: Names,
    /// What stands before a layer's number.
    layers: &'static str,
    /// Linear maps and norms within a layer.
    layer: Names,
}

/// Names within a layer of SigLIP's tower and of CLIP's.
const TOWER_LAYER: Names = &[
    ("attn_q", "self_attn.q_proj"),
    ("attn_k", "self_attn.k_proj"),
    ("attn_v", "self_attn.v_proj"),
    ("attn_out", "self_attn.out_proj"),
    ("ln1", "layer_norm1"),
    ("ln2", "layer_norm2"),
    ("ffn_up", "mlp.fc1"),
    ("ffn_down", "mlp.fc2"),
];

static RESAMPLER: Layout = Layout {
    bare: &[("resampler.query", "resampler.query")],
    whole: &[
        ("v.patch_embd", "vpm.embeddings.patch_embedding"),
        ("v.position_embd", "vpm.embeddings.position_embedding"),
        ("v.post_ln", "vpm.post_layernorm"),
        ("resampler.kv", "resampler.kv_proj"),
        ("resampler.attn.out", "resampler.attn.out_proj"),
        ("resampler.ln_q", "resampler.ln_q"),
        ("resampler.ln_kv", "resampler.ln_kv"),
        ("resampler.ln_post", "resampler.ln_post"),
    ],
    layers: "vpm.encoder.layers",
    layer: TOWER_LAYER,
};

static MLP: Layout = Layout {
    bare: &[(
        "v.class_embd",
        "vision_tower.vision_model.embeddings.class_embedding",
    )],
    whole: &[
        (
            "v.patch_embd",
            "vision_tower.vision_model.embeddings.patch_embedding",
        ),
        (
            "v.position_embd",
            "vision_tower.vision_model.embeddings.position_embedding",
        ),
        ("v.pre_ln", "vision_tower.vision_model.pre_layrnorm"),
        ("v.post_ln", "vision_tower.vision_model.post_layernorm"),
        ("mm.0", "multi_modal_projector.linear_1"),
        // Today's converter counts as the hub does, older ones counted the activation in between.
        ("mm.1", "multi_modal_projector.linear_1"),
        ("mm.2", "multi_modal_projector.linear_2"),
    ],
    layers: "vision_tower.vision_model.encoder.layers",
    layer: TOWER_LAYER,
};

static MERGER: Layout = Layout {
    bare: &[],
    whole: &[
        ("v.post_ln", "visual.merger.ln_q"),
        ("mm.0", "visual.merger.mlp.0"),
        ("mm.2", "visual.merger.mlp.2"),
    ],
    layers: "visual.blocks",
    layer: &[
        ("attn_qkv", "attn.qkv"),
        ("attn_out", "attn.proj"),
        ("ln1", "norm1"),
        ("ln2", "norm2"),
        ("ffn_gate", "mlp.gate_proj"),
        ("ffn_up", "mlp.up_proj"),
        ("ffn_down", "mlp.down_proj"),
    ],
};

impl Layout {
    /// The hub's name of a tensor; nothing where it is none of these.
    fn hub_name(&self, stored: &str, is_swapped: bool) -> Option<String> {
        let named = |names: Names, stored: &str| {
            let found = names.iter().find(|(theirs, _)| *theirs == stored);
            found.map(|(_, hub)| *hub)
        };
        if let Some(hub) = named(self.bare, stored) {
            return Some(hub.to_owned());
        }
        let (stored, end) = stored.rsplit_once('.')?;
        let Some(in_layer) = stored.strip_prefix("v.blk.") else {
            return Some(format!("{}.{end}", named(self.whole, stored)?));
        };
        let (number, part) = in_layer.split_once('.')?;
        let part = match part {
            "ffn_up" if is_swapped => "ffn_down",
            "ffn_down" if is_swapped => "ffn_up",
            part => part,
        };
        let part = named(self.layer, part)?;
        Some(format!("{}.{number}.{part}.{end}", self.layers))
    }
}

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

    const fn layout(self) -> &'static Layout {
        match self {
            Self::Resampler => &RESAMPLER,
            Self::Mlp => &MLP,
            Self::Merger => &MERGER,
        }
    }

    /// Tensors that the converter cut or turned; those whose parts are not in the file as well.
    fn made(self, file: &GgufTensors) -> Vec<(String, Part)> {
        let packed = |before: &str, end: &str| {
            Part::Below(
                ["q", "k", "v"]
                    .map(|part| format!("{before}{part}.{end}"))
                    .into(),
            )
        };
        let mut made = Vec::new();
        match self {
            Self::Resampler => {
                for end in ["weight", "bias"] {
                    let name = format!("resampler.attn.in_proj_{end}");
                    made.push((name, packed("resampler.attn.", end)));
                }
                let proj = "resampler.proj.weight".to_owned();
                made.push(("resampler.proj".to_owned(), Part::Transposed(proj)));
            }
            Self::Mlp => {}
            Self::Merger => {
                let halves = ["v.patch_embd.weight", "v.patch_embd.weight.1"].map(str::to_owned);
                let name = "visual.patch_embed.proj.weight".to_owned();
                made.push((name, Part::Apart(halves.into())));
                let attention = (0..)
                    .map(|layer| (layer, format!("v.blk.{layer}.attn_")))
                    .take_while(|(_, before)| file.shape(&format!("{before}q.weight")).is_some());
                for (layer, before) in attention {
                    for end in ["weight", "bias"] {
                        let name = format!("visual.blocks.{layer}.attn.qkv.{end}");
                        made.push((name, packed(&before, end)));
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
            if let Some(name) = projector.layout().hub_name(stored, is_swapped) {
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
