//! Held against transformers 5.23 (`tests/fixtures/llava/make.py`): a small random model, in single precision.

use candle_core::Result;

use super::config::{Config, ImageConfig};
use super::image::square;
use super::model::Llava;
use crate::ml::vlm::backbone::{Backbone as _, Ending};
use crate::ml::vlm::golden::{Golden, difference, picture, sha256};
use crate::ml::vlm::hub_config::{CLIP_MEAN, CLIP_STD, Normalisation};
use crate::ml::vlm::kv_cache::KvCache;
use crate::ml::vlm::ops::Mode;
use crate::ml::vlm::tape::Tape;
use crate::ml::vlm::weights::Weights;

/// Largest difference as a part of the largest value of a tensor; the noise of singles is near 2e-6.
const TOLERANCE: f32 = 1e-5;

fn golden() -> Golden {
    Golden::open("llava")
}

fn load(golden: &Golden, weights: &Weights) -> Llava {
    let config = Config::read(
        &golden.text("model/config.json"),
        Some(&golden.text("model/preprocessor_config.json")),
    )
    .unwrap();
    Llava::new(&config, Mode::Inference, weights, golden.tokenizer()).unwrap()
}

fn model(golden: &Golden) -> Llava {
    load(golden, &golden.weights())
}

#[test]
fn pictures_are_brought_to_size_as_the_processor_does() {
    let cases = golden().json("processor.json");
    let config = ImageConfig {
        pads: false,
        shortest_edge: 336,
        crop: 336,
        mean: CLIP_MEAN,
        std: CLIP_STD,
    };
    let stride = cases["stride"].as_u64().unwrap() as usize;
    let normalisation = Normalisation::new(config.mean, config.std);
    for case in cases["cases"].as_array().unwrap() {
        let [width, height]: [u32; 2] = serde_json::from_value(case["size"].clone()).unwrap();
        let square = square(&picture(width, height), &config);
        assert_eq!(sha256(&square), case["sha256"], "{width} x {height}");
        let expected: Vec<f32> = serde_json::from_value(case["values"].clone()).unwrap();
        // Values stand channel by channel there.
        let area = 336 * 336;
        let values: Vec<f32> = (0..3 * area)
            .step_by(stride)
            .map(|at| normalisation.value(square.rgb[at % area * 3 + at / area], at / area))
            .collect();
        assert_eq!(values, expected, "{width} x {height}");
    }
}

#[test]
fn conversations_are_the_processors_tokens() {
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
        assert_eq!(whole.image_bounds, asked.image_bounds);
        assert!(whole.ids.starts_with(&asked.ids));
        let [start, end] = asked.image_bounds[0];
        assert_eq!(end - start, 16);
    }
}

#[test]
fn a_word_that_reads_like_the_placeholder_is_no_second_picture() {
    let golden = golden();
    let model = model(&golden);
    let seen = model.look(&picture(60, 60)).unwrap();
    let sequence = model
        .sequence(&seen, &["What does <image> mean?"], Ending::Generate)
        .unwrap();
    assert_eq!(sequence.image_bounds.len(), 1);
    assert!(model.embeds(&sequence, &seen).is_ok());
}

#[test]
fn tower_and_projector_match_the_reference() -> Result<()> {
    let golden = golden();
    let model = model(&golden);
    for (number, picture) in golden.pictures().iter().enumerate() {
        let named = |name: &str| golden.tensor(&format!("{number}.asked.{name}"));
        let inspected = &model.inspect(picture).unwrap()[0];
        assert!(difference(&inspected.pixels, named("pixels"))? < 1e-9);
        let patches = model.patches(&square(picture, model.image_config()))?;
        let states = model.vision().states(&patches, &mut Tape::off())?;
        assert_eq!(states.len(), 3, "the last layer is not run");
        for (state, name) in states.iter().zip(["vision.start", "vision.0", "vision.1"]) {
            let worst = difference(state, named(name))?;
            assert!(worst < TOLERANCE, "{number} {name}: {worst}");
        }
        let worst = difference(&inspected.features, named("projected"))?;
        assert!(worst < TOLERANCE, "{number} projected: {worst}");
    }
    Ok(())
}

#[test]
fn every_layer_of_the_decoder_matches_the_reference() -> Result<()> {
    let golden = golden();
    let model = model(&golden);
    let [request, description, question] = golden.messages();
    for (number, picture) in golden.pictures().iter().enumerate() {
        let named = |name: &str| golden.tensor(&format!("{number}.whole.{name}"));
        let seen = model.look(picture).unwrap();
        let messages = [&*request, &*description, &*question];
        let whole = model.sequence(&seen, &messages, Ending::Bare).unwrap();
        let embeds = model.embeds(&whole, &seen).unwrap().unsqueeze(0)?;
        let mut states = Vec::new();
        let watched = model
            .llm()
            .forward_watched(&embeds, &mut |state| states.push(state.clone()))?;
        for (index, state) in states[1..].iter().enumerate() {
            let worst = difference(state, named(&format!("layer.{index}")))?;
            assert!(worst < TOLERANCE, "{number} layer {index}: {worst}");
        }
        let mut cache = KvCache::default();
        let end = whole.ids.len();
        let last = model.pass(&whole, end, &seen, &mut cache).unwrap();
        for (state, name) in [
            (&watched, "last"),
            (&last, "last"),
            (&model.logits(&last).unwrap(), "logits"),
        ] {
            let worst = difference(state, named(name))?;
            assert!(worst < TOLERANCE, "{number} {name}: {worst}");
        }
    }
    Ok(())
}

#[test]
fn greedy_words_are_the_references_with_and_without_a_cache() -> Result<()> {
    let golden = golden();
    golden.holds_greedy_words(&model(&golden))
}

#[test]
fn checkpoints_of_every_version_of_transformers_are_read() -> Result<()> {
    let golden = golden();
    let expected = model(&golden).look(&picture(50, 70)).unwrap();
    let rules: [&[(&str, &str)]; 2] = [
        &[
            ("language_model.lm_head", "lm_head"),
            ("language_model.model", "model.language_model"),
            ("vision_tower", "model.vision_tower"),
            ("multi_modal_projector", "model.multi_modal_projector"),
        ],
        &[
            ("language_model.lm_head", "lm_head"),
            ("language_model.model", "model.language_model"),
            ("vision_tower.vision_model", "model.vision_tower"),
            ("multi_modal_projector", "model.multi_modal_projector"),
        ],
    ];
    for rules in rules {
        let weights = golden.renamed_weights(|name| {
            let rule = rules.iter().find(|(old, _)| name.starts_with(old));
            rule.map_or_else(|| name.to_owned(), |(old, new)| name.replacen(old, new, 1))
        });
        let seen = load(&golden, &weights).look(&picture(50, 70)).unwrap();
        assert!(difference(&seen.images[0], &expected.images[0])? < 1e-7);
    }
    let foreign = golden.renamed_weights(|name| match name {
        "multi_modal_projector.linear_1.weight" => "model.mm_projector.0.weight".to_owned(),
        other => other.replacen("language_model.model", "model", 1),
    });
    let config = Config::read(&golden.text("model/config.json"), None).unwrap();
    let refused = Llava::new(&config, Mode::Inference, &foreign, golden.tokenizer());
    assert!(refused.is_err_and(|error| error.to_string().contains("llava-hf")));
    Ok(())
}
