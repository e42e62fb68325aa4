//! Adapters that peft wrote, merged here and by peft.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use candle_core::{DType, Device, Tensor};

use super::Adapter;
use crate::ml::MlError;
use crate::ml::vlm::kv_cache::KvCache;
use crate::ml::vlm::minicpm_v::{Config, MiniCpmV};
use crate::ml::vlm::ops::Mode;
use crate::ml::vlm::weights::{Census, Form, SafetensorsFiles, Shelf, Source, Wanted, Weights};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/peft")
        .join(name)
}

/// The sizes of `tests/fixtures/peft/make.py`.
fn config() -> Config {
    let config = serde_json::json!({
        "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "vocab_size": 24, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
        "vision_config": {
            "hidden_size": 12, "intermediate_size": 20, "num_hidden_layers": 1, "num_attention_heads": 2,
            "patch_size": 4, "position_grid": 4, "layer_norm_eps": 1e-6, "stem": null, "position_ids": "published",
        },
        "query_num": 3, "resampler_heads": 2, "scale_resolution": 16, "max_slice_nums": 2, "max_len": 64,
    });
    serde_json::from_value(config).expect("a configuration")
}

fn base() -> candle_core::Result<Arc<dyn Source>> {
    Ok(Arc::new(SafetensorsFiles::open(vec![fixture(
        "base.safetensors",
    )])?))
}

fn wanted() -> candle_core::Result<Wanted> {
    let census = Arc::new(Census::default());
    let weights = Weights::new(census.clone(), Form::F32, &Device::Cpu);
    MiniCpmV::new(&config(), Mode::Inference, &weights)?;
    Ok(census.wanted())
}

fn worst(a: &Tensor, b: &Tensor) -> candle_core::Result<f32> {
    (a - b)?.abs()?.flatten_all()?.max(0)?.to_scalar::<f32>()
}

#[test]
fn merged_adapters_equal_peft() -> Result<(), MlError> {
    let golden = candle_core::safetensors::load(fixture("golden.safetensors"), &Device::Cpu)?;
    let wanted = wanted()?;
    for name in ["regex", "list", "pickle"] {
        let adapter = Arc::new(Adapter::open(&fixture(name))?);
        adapter.check(&wanted)?;
        let source = adapter.over(base()?);
        // 1. Every tensor that peft's merge changed is the same here, and nothing else is changed
        let prefix = format!("{name}.merged.");
        let mut changed = 0;
        let sorted: BTreeMap<_, _> = golden.iter().collect();
        for (key, expected) in sorted {
            let Some(key) = key.strip_prefix(&prefix) else {
                continue;
            };
            let ours = source.read(key)?.to_dtype(DType::F32)?;
            assert!(worst(&ours, expected)? < 1e-6, "{name}: {key}");
            changed += 1;
        }
        assert_eq!(changed, adapter.changed().len(), "{name}");
        // 2. The model says the same
        let weights = Weights::new(source, Form::F32, &Device::Cpu);
        let model = MiniCpmV::new(&config(), Mode::Inference, &weights)?;
        let ids = golden["ids"].to_dtype(DType::U32)?;
        let embeds = model.llm().embed(&ids)?.unsqueeze(0)?;
        let hidden = model.llm().forward(&embeds, &mut KvCache::default())?;
        let logits = model.llm().logits(&hidden)?.squeeze(0)?;
        let hidden = hidden.squeeze(0)?;
        let (h, l) = (format!("{name}.hidden"), format!("{name}.logits"));
        assert!(worst(&hidden, &golden[&h])? < 1e-5, "{name}");
        assert!(worst(&logits, &golden[&l])? < 1e-4, "{name}");
    }
    Ok(())
}

/// A copy of an adapter with changed words in its configuration.
fn changed(name: &str, from: &str, to: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for file in Adapter::files(&fixture(name)).expect("the fixture is whole") {
        let target = folder.path().join(file.file_name().unwrap_or_default());
        std::fs::copy(file, target).expect("copied");
    }
    let path = folder.path().join("adapter_config.json");
    let text = std::fs::read_to_string(&path).expect("readable");
    assert!(text.contains(from), "{from}");
    std::fs::write(path, text.replace(from, to)).expect("written");
    folder
}

fn refusal(folder: &Path) -> String {
    let opened = Adapter::open(folder);
    let checked = opened.and_then(|adapter| adapter.check(&wanted()?));
    checked
        .err()
        .map(|error| error.to_string())
        .unwrap_or_default()
}

#[test]
fn kinds_that_are_not_known_are_refused_in_words() {
    for (from, to, word) in [
        ("\"LORA\"", "\"LOHA\"", "LOHA"),
        ("\"use_dora\": false", "\"use_dora\": true", "DoRA"),
        ("\"bias\": \"none\"", "\"bias\": \"all\"", "biases"),
        ("\"r\": 8", "\"r\": 16", "of rank 8"),
    ] {
        let folder = changed("regex", from, to);
        let words = refusal(folder.path());
        assert!(words.contains(word), "{words}");
    }
}

#[test]
fn what_is_lacking_and_what_is_too_much_is_named() {
    let folder = changed(
        "regex",
        "(q_proj|k_proj|v_proj|o_proj)",
        "(q_proj|k_proj|v_proj|o_proj)|llm.lm_head",
    );
    assert!(refusal(folder.path()).contains("lacks weights for llm.lm_head.weight"));
    let folder = changed("pickle", "\"lm_head\"\n", "\"lm_head\", \"vpm\"\n");
    let words = refusal(folder.path());
    assert!(
        words.contains("vpm.embeddings.patch_embedding.bias") && words.contains("more"),
        "{words}"
    );
    let mut smaller = wanted().expect("a census");
    smaller.remove("llm.lm_head.weight");
    let adapter = Adapter::open(&fixture("pickle")).expect("whole");
    let words = adapter
        .check(&smaller)
        .err()
        .map(|e| e.to_string())
        .unwrap_or_default();
    assert!(
        words.contains("the model has no llm.lm_head.weight"),
        "{words}"
    );
}

/// A source that counts what is read of it.
struct Counted(Arc<dyn Source>, std::sync::atomic::AtomicUsize);

impl Source for Counted {
    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.0.shape(name)
    }

    fn read(&self, name: &str) -> candle_core::Result<Tensor> {
        self.1.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        self.0.read(name)
    }

    fn names(&self) -> Vec<String> {
        self.0.names()
    }
}

#[test]
fn a_second_adapter_over_a_base_reads_only_what_it_changes() -> Result<(), MlError> {
    let golden = candle_core::safetensors::load(fixture("golden.safetensors"), &Device::Cpu)?;
    let base = Arc::new(Counted(base()?, std::sync::atomic::AtomicUsize::new(0)));
    let read = || base.1.swap(0, std::sync::atomic::Ordering::Relaxed);
    let shelf = Arc::new(Shelf::default());
    let mut models = Vec::new();
    for name in ["regex", "list"] {
        let adapter = Arc::new(Adapter::open(&fixture(name))?);
        let weights = Weights::new(adapter.over(base.clone()), Form::F32, &Device::Cpu)
            .with_shelf(&shelf, adapter.changed());
        models.push((name, MiniCpmV::new(&config(), Mode::Inference, &weights)?));
        let count = read();
        if name == "list" {
            // Nine matrices are changed; what the first adapter had replaced is read now, and the packed projection
            // and the transposed matrix of the resampler are made anew.
            assert!(count < wanted()?.len(), "{count} tensors were read");
        }
    }
    // Both are there at once, and neither disturbs the other
    for (name, model) in &models {
        let embeds = model
            .llm()
            .embed(&golden["ids"].to_dtype(DType::U32)?)?
            .unsqueeze(0)?;
        let hidden = model
            .llm()
            .forward(&embeds, &mut KvCache::default())?
            .squeeze(0)?;
        assert!(
            worst(&hidden, &golden[&format!("{name}.hidden")])? < 1e-5,
            "{name}"
        );
    }
    Ok(())
}
