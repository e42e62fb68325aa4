//! Held against transformers 5.23 (`tests/fixtures/qwen2_5_vl/make.py`): a small random model, in single precision.

use candle_core::{DType, Device, Result, Tensor};

use super::config::{Config, ImageConfig, VisionConfig};
use super::image::{patches, smart_resize};
use super::model::Qwen2_5Vl;
use super::positions::{positions, rotary};
use super::window::Windows;
use crate::ml::vlm::backbone::{Backbone as _, Ending};
use crate::ml::vlm::bicubic::resize;
use crate::ml::vlm::golden::{Golden, difference, picture, sha256};
use crate::ml::vlm::hub_config::{CLIP_MEAN, CLIP_STD, Normalisation};
use crate::ml::vlm::kv_cache::KvCache;
use crate::ml::vlm::ops::Mode;
use crate::ml::vlm::weights::Weights;

/// Largest difference as a part of the largest value of a tensor; the noise of singles is near 2e-6.
const TOLERANCE: f32 = 1e-5;

fn golden() -> Golden {
    Golden::open("qwen2_5_vl")
}

fn config(golden: &Golden) -> Config {
    Config::read(
        &golden.text("model/config.json"),
        Some(&golden.text("model/preprocessor_config.json")),
    )
    .unwrap()
}

fn load(golden: &Golden, config: &Config, weights: &Weights) -> Qwen2_5Vl {
    Qwen2_5Vl::new(config, Mode::Inference, weights, golden.tokenizer()).unwrap()
}

fn model(golden: &Golden) -> Qwen2_5Vl {
    load(golden, &config(golden), &golden.weights())
}

#[test]
fn pictures_are_brought_to_size_as_the_processor_does() {
    let golden = golden();
    let cases = golden.json("processor.json");
    let stride = cases["stride"].as_u64().unwrap() as usize;
    let normalisation = Normalisation::new(CLIP_MEAN, CLIP_STD);
    let vision: VisionConfig = config(&golden).vision;
    let mut hashed = 0;
    for case in cases["cases"].as_array().unwrap() {
        let size: [u32; 2] = serde_json::from_value(case["size"].clone()).unwrap();
        let number = |name: &str| case[name].as_u64().unwrap() as u32;
        let config = ImageConfig {
            factor: 28,
            min_pixels: number("min_pixels"),
            max_pixels: number("max_pixels"),
            mean: CLIP_MEAN,
            std: CLIP_STD,
        };
        let expected: [u32; 2] = serde_json::from_value(case["resized"].clone()).unwrap();
        let resized = smart_resize(size, &config).unwrap();
        assert_eq!(resized, expected, "{case}");
        if case["sha256"].is_null() {
            continue;
        }
        hashed += 1;
        let resized = resize(&picture(size[0], size[1]), resized);
        assert_eq!(sha256(&resized), case["sha256"], "{size:?}");
        let (values, grid) = patches(&resized, &vision, &normalisation);
        assert_eq!(grid, [expected[1] as usize / 14, expected[0] as usize / 14]);
        let sampled: Vec<f32> = values.into_iter().step_by(stride).take(24).collect();
        let expected: Vec<f32> = serde_json::from_value(case["values"].clone()).unwrap();
        assert_eq!(sampled, expected, "{size:?}");
    }
    assert!(hashed > 10);
}

#[test]
fn conversations_and_positions_are_the_references() {
    let golden = golden();
    let model = model(&golden);
    let [request, description, question] = golden.messages();
    for (number, picture) in golden.pictures().iter().enumerate() {
        let seen = model.look(picture).unwrap();
        let sequence = |messages: &[&str], ending| model.sequence(&seen, messages, ending).unwrap();
        let asked = sequence(&[&request], Ending::Generate);
        assert_eq!(asked.ids, golden.numbers(&format!("{number}.asked.ids")));
        let whole = sequence(&[&request, &description, &question], Ending::Bare);
        assert_eq!(whole.ids, golden.numbers(&format!("{number}.whole.ids")));
        assert!(whole.ids.starts_with(&asked.ids));
        for (sequence, kind) in [(&asked, "asked"), (&whole, "whole")] {
            let [cols, rows] = seen.grid.unwrap().map(|side| side as usize);
            let placed = positions(sequence, [rows, cols]);
            let expected = golden.numbers(&format!("{number}.whole.positions"));
            let tokens = expected.len() / 3;
            for (at, position) in placed[..sequence.ids.len()].iter().enumerate() {
                let expected = [0, 1, 2].map(|axis| expected[axis * tokens + at]);
                assert_eq!(*position, expected, "{kind} {at}");
            }
        }
        let delta = golden.tensor(&format!("{number}.whole.delta"));
        let delta = delta.flatten_all().unwrap().to_vec1::<i64>().unwrap()[0];
        let [cols, rows] = seen.grid.unwrap().map(|side| side as usize);
        let next = positions(&whole, [rows, cols])[whole.ids.len()];
        assert_eq!(i64::from(next[0]), whole.ids.len() as i64 + delta);
    }
}

#[test]
fn tower_and_merger_match_the_reference() -> Result<()> {
    let golden = golden();
    let model = model(&golden);
    for (number, picture) in golden.pictures().iter().enumerate() {
        let named = |name: &str| golden.tensor(&format!("{number}.asked.{name}"));
        let (patches, grid) = model.patches(picture).unwrap();
        assert_eq!(
            golden.numbers(&format!("{number}.asked.grid"))[1..],
            grid.map(|g| g as u32)
        );
        let values = patches.flatten_all()?.to_vec1::<f32>()?;
        let sampled: Vec<f32> = values.into_iter().step_by(101).collect();
        let expected = golden.tensor(&format!("{number}.pixels"));
        assert_eq!(sampled, expected.to_vec1::<f32>()?);
        let windows = Windows::new(grid.map(|side| side / 2), 4);
        assert_eq!(
            windows.order,
            golden.numbers(&format!("{number}.asked.window_index"))
        );
        let ends = golden.numbers(&format!("{number}.asked.cu_window_seqlens"));
        let lens: Vec<usize> = ends
            .windows(2)
            .map(|pair| (pair[1] - pair[0]) as usize / 4)
            .collect();
        assert_eq!(windows.lens, lens);
        let states = model.vision().states(&patches, grid)?;
        for (index, state) in states[1..].iter().enumerate() {
            let worst = difference(state, named(&format!("vision.{index}")))?;
            assert!(worst < TOLERANCE, "{number} vision {index}: {worst}");
        }
        let seen = model.look(picture).unwrap();
        let worst = difference(&seen.images[0], named("merged"))?;
        assert!(worst < TOLERANCE, "{number} merged: {worst}");
    }
    Ok(())
}

#[test]
fn every_layer_of_the_decoder_matches_the_reference() -> Result<()> {
    let golden = golden();
    let (config, model) = (config(&golden), model(&golden));
    let [request, description, question] = golden.messages();
    for (number, picture) in golden.pictures().iter().enumerate() {
        let named = |name: &str| golden.tensor(&format!("{number}.whole.{name}"));
        let seen = model.look(picture).unwrap();
        let messages = [&*request, &*description, &*question];
        let whole = model.sequence(&seen, &messages, Ending::Bare).unwrap();
        let embeds = model.embeds(&whole, &seen).unwrap().unsqueeze(0)?;
        let [cols, rows] = seen.grid.unwrap().map(|side| side as usize);
        let placed = positions(&whole, [rows, cols]);
        let turns = rotary(
            &placed[..whole.ids.len()],
            &config,
            DType::F32,
            &Device::Cpu,
        )?;
        let mut states = Vec::new();
        let watch = &mut |state: &Tensor| states.push(state.clone());
        model.llm().forward_watched_at(&embeds, &turns, watch)?;
        for (index, state) in states[1..].iter().enumerate() {
            let worst = difference(state, named(&format!("layer.{index}")))?;
            assert!(worst < TOLERANCE, "{number} layer {index}: {worst}");
        }
        let mut cache = KvCache::default();
        let end = whole.ids.len();
        let last = model.pass(&whole, end, &seen, &mut cache).unwrap();
        let worst = difference(&last, named("last"))?;
        assert!(worst < TOLERANCE, "{number} last: {worst}");
        let tail = last.narrow(1, end - 16, 16)?;
        let worst = difference(&model.logits(&tail).unwrap(), named("logits"))?;
        assert!(worst < TOLERANCE, "{number} logits: {worst}");
    }
    Ok(())
}

#[test]
fn a_picture_cut_in_the_middle_goes_on_where_it_stopped() -> Result<()> {
    let golden = golden();
    let model = model(&golden);
    let [request, description, question] = golden.messages();
    let seen = model.look(&golden.pictures()[0]).unwrap();
    let messages = [&*request, &*description, &*question];
    let whole = model.sequence(&seen, &messages, Ending::Bare).unwrap();
    let mut cache = KvCache::default();
    let end = whole.ids.len();
    let [start, _] = whole.image_bounds[0];
    let parts: Vec<Tensor> = [start + 5, start + 9, end - 7, end]
        .into_iter()
        .map(|end| model.pass(&whole, end, &seen, &mut cache).unwrap())
        .collect();
    let worst = difference(&Tensor::cat(&parts, 1)?, golden.tensor("0.whole.last"))?;
    assert!(worst < TOLERANCE, "{worst}");
    Ok(())
}

#[test]
fn greedy_words_are_the_references_with_and_without_a_cache() -> Result<()> {
    let golden = golden();
    golden.holds_greedy_words(&model(&golden))
}

#[test]
fn a_tied_head_is_the_token_embedding() -> Result<()> {
    let golden = golden();
    let tied = Config {
        is_tied: true,
        ..config(&golden)
    };
    let weights = golden.renamed_weights(|name| name.replace("lm_head", "unused"));
    let model = load(&golden, &tied, &weights);
    let last = golden.tensor("0.whole.last");
    let tail = last.narrow(1, last.dim(1)? - 4, 4)?;
    let worst = difference(
        &model.logits(&tail).unwrap(),
        golden.tensor("0.whole.tied_logits"),
    )?;
    assert!(worst < TOLERANCE, "{worst}");
    let untied = Config {
        is_tied: false,
        ..tied
    };
    let refused = Qwen2_5Vl::new(&untied, Mode::Inference, &weights, golden.tokenizer());
    assert!(refused.is_err_and(|error| error.to_string().contains("lm_head.weight")));
    Ok(())
}

#[test]
fn checkpoints_of_every_version_of_transformers_are_read() -> Result<()> {
    let golden = golden();
    let newer = golden.renamed_weights(|name| {
        let renamed = name.replacen("model.", "model.language_model.", 1);
        match name.starts_with("visual.") {
            true => format!("model.{name}"),
            false => renamed,
        }
    });
    let model = load(&golden, &config(&golden), &newer);
    let seen = model.look(&golden.pictures()[0]).unwrap();
    assert!(difference(&seen.images[0], golden.tensor("0.asked.merged"))? < TOLERANCE);
    Ok(())
}
