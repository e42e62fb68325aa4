//! Checkpoints against torch and xlstm 1.0.6 (`tests/fixtures/published/make.py`).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use candle_core::{DType, Device, Tensor};

use super::{Checkpoint, HeadMatrix};
use crate::domain::Features;
use crate::ml::MlError;
use crate::ml::predictor::PredictorConfig;
use crate::ml::vlm::weights::Source;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/published")
        .join(name)
}

fn features(states: &Tensor) -> Result<Features, MlError> {
    let (num_tokens, hidden) = states.dims2()?;
    let values: Vec<half::f16> = states.flatten_all()?.to_dtype(DType::F16)?.to_vec1()?;
    Ok(Features {
        num_tokens,
        hidden,
        values: values.into(),
    })
}

#[test]
fn small_checkpoints_of_both_backends_score_like_torch() -> Result<(), MlError> {
    let golden = candle_core::safetensors::load(fixture("small.safetensors"), &Device::Cpu)?;
    for name in ["cuda.ckpt", "vanilla.ckpt"] {
        let checkpoint = Checkpoint::open(&fixture(name))?;
        assert_eq!(checkpoint.vocabulary(), 40);
        let head: &dyn HeadMatrix = &golden["lm_head.weight"];
        let predictor = checkpoint.fold(Some(head), 32, || Ok(()))?;
        for index in 0..2 {
            let ours = predictor.score(&features(&golden[&format!("states.{index}")])?)?;
            let theirs = f64::from(golden[&format!("score.{index}")].to_scalar::<f32>()?);
            assert!(
                (ours - theirs).abs() < 1e-5,
                "{name}: {ours} against {theirs}"
            );
        }
    }
    Ok(())
}

#[test]
fn what_is_no_published_predictor_is_refused_in_words() -> Result<(), MlError> {
    let words = |result: Result<Checkpoint, MlError>| {
        result
            .err()
            .map(|error| error.to_string())
            .unwrap_or_default()
    };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("legacy.ckpt");
    std::fs::write(&path, b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.").expect("written");
    assert!(words(Checkpoint::open(&path)).contains("older versions"));
    // A head of another vocabulary
    let checkpoint = Checkpoint::open(&fixture("cuda.ckpt"))?;
    let other = Tensor::zeros((41, 24), DType::F32, &Device::Cpu)?;
    let error = checkpoint.fold(Some(&other), 32, || Ok(())).err();
    assert!(error.is_some_and(|error| error.to_string().contains("40 tokens")));
    // A missing tensor, and one of another shape
    let hashed = Hashed::of(&PredictorConfig::new(40, 32, 32));
    let mut without = hashed.clone();
    without
        .shapes
        .retain(|(name, _)| !name.ends_with("fc.0.bias"));
    let refused = words(Checkpoint::of_source(&path, Arc::new(without)));
    assert!(refused.contains("model.fc.0.bias is missing"), "{refused}");
    let mut wrong = hashed;
    for (name, shape) in &mut wrong.shapes {
        if name.ends_with("fc.2.weight") {
            *shape = vec![2, 128];
        }
    }
    let refused = words(Checkpoint::of_source(&path, Arc::new(wrong)));
    assert!(refused.contains("[2, 128], expected [1, 128]"), "{refused}");
    Ok(())
}

/// The numbers of `hashed` in the script: splitmix64 of the position, begun by FNV-1a of the name.
fn hashed(name: &str, start: usize, count: usize, scale: f32) -> Vec<f32> {
    let fnv = |seed: u64, byte: u8| (seed ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    let seed = name.bytes().fold(0xcbf2_9ce4_8422_2325, fnv);
    let number = |at: usize| {
        let z = seed.wrapping_add((at as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let z = z ^ (z >> 31);
        ((z >> 40) as f32 / (1 << 23) as f32 - 1.0) * scale
    };
    (start..start + count).map(number).collect()
}

/// The script's weights, made as they are asked for.
#[derive(Clone)]
struct Hashed {
    shapes: Vec<(String, Vec<usize>)>,
}

impl Hashed {
    fn of(config: &PredictorConfig) -> Self {
        let parameters = config.parameters(0.0, 1.0).into_iter();
        Self {
            shapes: parameters
                .map(|parameter| (format!("model.{}", parameter.name), parameter.shape))
                .collect(),
        }
    }
}

impl Source for Hashed {
    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        let found = self.shapes.iter().find(|(known, _)| known == name);
        found.map(|(_, shape)| shape.clone())
    }

    fn read(&self, name: &str) -> candle_core::Result<Tensor> {
        let shape = self.shape(name).unwrap_or_default();
        let scale = match &shape[..] {
            [_] => 0.4,
            other => (1.5 / (other[other.len() - 1] as f64).sqrt()) as f32,
        };
        let name = name.trim_start_matches("model.");
        let values = hashed(name, 0, shape.iter().product(), scale);
        Tensor::from_vec(values, shape, &Device::Cpu)
    }

    fn names(&self) -> Vec<String> {
        self.shapes.iter().map(|(name, _)| name.clone()).collect()
    }
}

/// The script's head.
struct HashedHead(usize, usize);

impl HeadMatrix for HashedHead {
    fn shape(&self) -> (usize, usize) {
        (self.0, self.1)
    }

    fn rows(&self, start: usize, len: usize) -> candle_core::Result<Tensor> {
        let values = hashed("lm_head", start * self.1, len * self.1, 0.05);
        Tensor::from_vec(values, (len, self.1), &Device::Cpu)
    }
}

#[test]
#[ignore = "a product of 512 x 128256 x 4096: half a minute"]
fn the_published_geometry_scores_like_torch() -> Result<(), MlError> {
    let golden = std::fs::read_to_string(fixture("published.json")).expect("the fixture");
    let golden: serde_json::Value = serde_json::from_str(&golden).expect("JSON");
    let number = |key: &str| golden[key].as_u64().unwrap_or_default() as usize;
    let (vocabulary, hidden) = (number("vocabulary"), number("hidden"));
    let (dim, tokens) = (number("dim"), number("tokens"));
    let source = Hashed::of(&PredictorConfig::new(vocabulary, dim, 512));
    let checkpoint = Checkpoint::of_source(Path::new("hashed"), Arc::new(source))?;
    let predictor = checkpoint.fold(Some(&HashedHead(vocabulary, hidden)), 512, || Ok(()))?;
    let states = hashed("states", 0, tokens * hidden, 2.0);
    let states = Tensor::from_vec(states, (tokens, hidden), &Device::Cpu)?;
    let ours = predictor.score(&features(&states)?)?;
    let theirs = golden["score"].as_f64().unwrap_or(f64::NAN);
    assert!((ours - theirs).abs() < 1e-4, "{ours} against {theirs}");
    Ok(())
}
