//! MiniCPM-Llama3-V-2.5 held against torch at a small size: `tests/fixtures/minicpm/make.py` made what is expected.
//!
//! Tolerance in f32: the largest difference is at most 1e-4 of the root mean square of what is expected. Pixels are
//! equal to the byte, token ids and generated ids are equal.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

use assay::compute::DeviceChoice;
use assay::domain::Conversation;
use assay::domain::Picture;
use assay::media;
use assay::ml::vlm::GenerateSettings;
use assay::ml::vlm::LoadWish;
use assay::ml::vlm::LocalModel;
use assay::ml::vlm::ModelFiles;
use assay::ml::vlm::Parts;
use assay::ml::vlm::Values;
use assay::ml::vlm::llama::Llama;
use assay::ml::vlm::llama::LlmConfig;
use assay::ml::vlm::ops::Mode;
use assay::ml::vlm::weights::Form;
use assay::ml::vlm::weights::Weights;
use candle_core::DType;
use candle_core::Device;
use candle_core::Tensor;
use serde_json::Value;
use serde_json::json;
use tempfile::TempDir;

use crate::device::device;

/// Width of the small model, of its tower, and its image tokens a slice.
const HIDDEN: usize = 256;
const VISION: usize = 96;
const QUERIES: usize = 96;
/// Largest difference over the root mean square, in f32.
const TOLERANCE: f32 = 1e-4;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/minicpm")
        .join(name)
}

/// `config.json` in the hub's form.
fn config(vocab: usize) -> Value {
    json!({
        "hidden_size": HIDDEN, "intermediate_size": 320, "num_hidden_layers": 3, "num_attention_heads": 4,
        "num_key_value_heads": 2, "vocab_size": vocab, "rms_norm_eps": 1e-5, "rope_theta": 500_000.0,
        "model_type": "minicpmv", "architectures": ["MiniCPMV"], "version": "2.5", "batch_vision_input": true,
        "query_num": QUERIES, "image_size": 448, "slice_mode": true, "drop_vision_last_layer": false,
        "slice_config": { "max_slice_nums": 9, "patch_size": 14, "model_type": "minicpmv" },
        "vision_config": {
            "hidden_size": VISION, "image_size": 980, "intermediate_size": 128, "model_type": "idefics2",
            "num_attention_heads": 4, "num_hidden_layers": 3, "patch_size": 14
        }
    })
}

/// Names and shapes of the checkpoint.
fn shapes(vocab: usize) -> Vec<(String, Vec<usize>)> {
    let mut shapes: Vec<(String, Vec<usize>)> = Vec::new();
    let mut add = |name: String, shape: &[usize]| shapes.push((name, shape.to_vec()));
    for name in ["llm.model.embed_tokens", "llm.lm_head"] {
        add(format!("{name}.weight"), &[vocab, HIDDEN]);
    }
    add("llm.model.norm.weight".to_owned(), &[HIDDEN]);
    for layer in 0..3 {
        let layer = format!("llm.model.layers.{layer}");
        for name in ["input_layernorm", "post_attention_layernorm"] {
            add(format!("{layer}.{name}.weight"), &[HIDDEN]);
        }
        for (name, out, width) in [
            ("self_attn.q_proj", HIDDEN, HIDDEN),
            ("self_attn.k_proj", 128, HIDDEN),
            ("self_attn.v_proj", 128, HIDDEN),
            ("self_attn.o_proj", HIDDEN, HIDDEN),
            ("mlp.gate_proj", 320, HIDDEN),
            ("mlp.up_proj", 320, HIDDEN),
            ("mlp.down_proj", HIDDEN, 320),
        ] {
            add(format!("{layer}.{name}.weight"), &[out, width]);
        }
    }
    let mut linear = |name: String, shape: &[usize]| {
        add(format!("{name}.bias"), &shape[..1]);
        add(format!("{name}.weight"), shape);
    };
    linear(
        "vpm.embeddings.patch_embedding".to_owned(),
        &[VISION, 3, 14, 14],
    );
    linear("vpm.post_layernorm".to_owned(), &[VISION]);
    for layer in 0..3 {
        let layer = format!("vpm.encoder.layers.{layer}");
        for name in ["layer_norm1", "layer_norm2"] {
            linear(format!("{layer}.{name}"), &[VISION]);
        }
        for name in ["q_proj", "k_proj", "v_proj", "out_proj"] {
            linear(format!("{layer}.self_attn.{name}"), &[VISION, VISION]);
        }
        linear(format!("{layer}.mlp.fc1"), &[128, VISION]);
        linear(format!("{layer}.mlp.fc2"), &[VISION, 128]);
    }
    for name in ["ln_q", "ln_kv", "ln_post"] {
        linear(format!("resampler.{name}"), &[HIDDEN]);
    }
    linear("resampler.attn.out_proj".to_owned(), &[HIDDEN, HIDDEN]);
    for (name, shape) in [
        (
            "vpm.embeddings.position_embedding.weight",
            &[4900, VISION][..],
        ),
        ("resampler.query", &[QUERIES, HIDDEN]),
        ("resampler.proj", &[HIDDEN, HIDDEN]),
        ("resampler.kv_proj.weight", &[HIDDEN, VISION]),
        ("resampler.attn.in_proj_weight", &[3 * HIDDEN, HIDDEN]),
        ("resampler.attn.in_proj_bias", &[3 * HIDDEN]),
    ] {
        add(name.to_owned(), shape);
    }
    shapes
}

/// Numbers in -1..1: `SplitMix64` from the FNV-1a hash of the name, 24 bits each.
pub(crate) fn uniform(name: &str, count: usize) -> Vec<f32> {
    let seed = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    (1..=count as u64)
        .map(|place| {
            let z = seed.wrapping_add(place.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            ((z ^ (z >> 31)) >> 40) as f32 / (1 << 23) as f32 - 1.0
        })
        .collect()
}

fn scale(values: &mut [f32], by: f32) {
    for value in values {
        *value *= by;
    }
}

/// A weight by the formula of `make.py`. `end` is the row of the head that is louder.
fn weight(name: &str, shape: &[usize], end: usize) -> Vec<f32> {
    let mut values = uniform(name, shape.iter().product());
    let is_looked_up =
        name.contains("embed") && !name.contains("patch_embedding") || name.ends_with("query");
    if name.ends_with("bias") {
        scale(&mut values, 0.1);
    } else if shape.len() == 1 {
        values = values.iter().map(|value| 1.0 + value * 0.1).collect();
    } else if !is_looked_up {
        let width: usize = shape[1..].iter().product();
        scale(&mut values, (3.0 / (width as f64).sqrt()) as f32);
    }
    if name == "llm.lm_head.weight" {
        scale(&mut values[end * HIDDEN..][..HIDDEN], 1.55);
    }
    values
}

/// A model folder with the small model in it.
pub(crate) struct SmallModel {
    folder: TempDir,
    tensors: HashMap<String, Tensor>,
    vocab: usize,
}

impl SmallModel {
    pub(crate) fn new() -> Self {
        let file =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/minicpm/tokenizer.json");
        let tokenizer = tokenizers::Tokenizer::from_file(&file).expect("a tokenizer");
        let vocab = tokenizer.get_vocab_size(true);
        let end = tokenizer.token_to_id("<|eot_id|>").expect("an end") as usize;
        let tensors: HashMap<String, Tensor> = shapes(vocab)
            .into_iter()
            .map(|(name, shape)| {
                let values = weight(&name, &shape, end);
                let tensor = Tensor::from_vec(values, shape, &Device::Cpu).expect("a tensor");
                (name, tensor)
            })
            .collect();
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        fs::copy(file, path("tokenizer.json")).expect("a copy");
        candle_core::safetensors::save(&tensors, path("model.safetensors")).expect("weights");
        fs::write(path("config.json"), config(vocab).to_string()).expect("a file");
        fs::write(path("model.toml"), MANIFEST).expect("a file");
        Self {
            folder,
            tensors,
            vocab,
        }
    }

    /// With slices of the area of a square of this side.
    pub(crate) fn of_side(side: u32) -> Self {
        let model = Self::new();
        let preprocessor = json!({ "scale_resolution": side }).to_string();
        fs::write(model.path().join("preprocessor_config.json"), preprocessor).expect("a file");
        model
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn load(&self) -> LocalModel {
        self.load_as(Form::F32)
    }

    /// With its matrices in a form; activations stay in single precision on the CPU.
    fn load_as(&self, form: Form) -> LocalModel {
        let files = ModelFiles::Folder(self.path().to_owned());
        let wish = LoadWish {
            form: Some(form),
            ..LoadWish::on(device())
        };
        LocalModel::open(&files, &wish).expect("the small model loads")
    }

    /// Changes `config.json`.
    fn configure(&self, change: impl FnOnce(&mut Value)) {
        let mut config = config(self.vocab);
        change(&mut config);
        fs::write(self.path().join("config.json"), config.to_string()).expect("a file");
    }
}

const MANIFEST: &str = r#"
name = "small"
summary = "made by a formula"
architecture = "minicpm-v-2.5"
source = "tests"
licence = "MIT"
"#;

/// The picture by the formula of `make.py`.
pub(crate) fn picture(width: u32, height: u32) -> Picture {
    let mut rgb = Vec::new();
    for y in 0..u64::from(height) {
        for x in 0..u64::from(width) {
            rgb.extend((1..=3).map(|c| ((x * x * 3 + y * y * 5 + x * y * c) >> 7) as u8));
        }
    }
    Picture {
        width,
        height,
        rgb: rgb.into(),
    }
}

fn picture_named(name: &str) -> Picture {
    match name.split_once('x') {
        Some((width, height)) => picture(
            width.parse().expect("a width"),
            height.parse().expect("a height"),
        ),
        None => media::load_for_model(&fixture(name)).expect("a picture"),
    }
}

fn checksum(bytes: impl Iterator<Item = u8>) -> u64 {
    let terms = bytes
        .zip(1..)
        .map(|(byte, place): (u8, u64)| place * u64::from(byte));
    terms.fold(0, u64::wrapping_add) & 0xffff_ffff
}

/// The bytes that pixels `(3, height, width)` were made of, channels last.
fn bytes_of(pixels: &Values) -> Vec<u8> {
    let plane = pixels.shape[1] * pixels.shape[2];
    let byte = |value: f32| ((value * 0.5 + 0.5) * 255.0).round() as u8;
    (0..plane)
        .flat_map(|at| (0..3).map(move |channel| channel * plane + at))
        .map(|at| byte(pixels.numbers[at]))
        .collect()
}

struct Reference {
    facts: Value,
    tensors: HashMap<String, Tensor>,
}

impl Reference {
    fn read() -> Self {
        let text = fs::read_to_string(fixture("reference.json")).expect("the fixture");
        let file = fixture("reference.safetensors");
        Self {
            facts: serde_json::from_str(&text).expect("JSON"),
            tensors: candle_core::safetensors::load(file, &Device::Cpu).expect("tensors"),
        }
    }

    fn floats(&self, name: &str) -> Vec<f32> {
        self.tensors[name].to_vec1().expect("a vector")
    }

    fn ids(&self, name: &str) -> Vec<u32> {
        let ids = self.tensors[name].to_dtype(DType::U32).expect("integers");
        ids.to_vec1().expect("a vector")
    }

    fn conversation(&self) -> Conversation {
        let message = |at: usize| {
            self.facts["messages"][at]
                .as_str()
                .expect("a text")
                .to_owned()
        };
        Conversation {
            request: message(0),
            description: message(1),
            question: message(2),
        }
    }

    /// The largest difference over the root mean square of every `stride`th number.
    fn difference(&self, name: &str, found: &[f32], stride: usize) -> f32 {
        let wanted = self.floats(name);
        let found: Vec<f32> = found.iter().copied().step_by(stride).collect();
        assert_eq!(found.len(), wanted.len(), "{name}");
        let square: f32 = wanted.iter().map(|value| value * value).sum();
        let size = (square / wanted.len() as f32).sqrt();
        let pairs = found.iter().zip(&wanted);
        pairs.fold(0.0, |worst: f32, (a, b)| worst.max((a - b).abs())) / size
    }

    fn close(&self, name: &str, found: &[f32], stride: usize) -> f32 {
        let difference = self.difference(name, found, stride);
        assert!(difference < TOLERANCE, "{name}: {difference:e}");
        difference
    }
}

fn integers(value: &Value) -> Vec<u32> {
    let values = value.as_array().expect("a list").iter();
    values
        .map(|value| value.as_u64().expect("a number") as u32)
        .collect()
}

#[test]
fn slices_and_pixels_are_pillows_to_the_byte() {
    let (reference, model) = (Reference::read(), SmallModel::new().load());
    for wanted in reference.facts["pictures"].as_array().unwrap() {
        let name = wanted["name"].as_str().unwrap();
        let picture = picture_named(name);
        let whole = checksum(picture.rgb.iter().copied());
        assert_eq!(Some(whole), wanted["checksum"].as_u64(), "{name}");
        let parts = model.parts(&picture).unwrap();
        let slices = wanted["slices"].as_array().unwrap();
        assert_eq!(parts.len(), slices.len(), "{name}");
        for (index, (part, slice)) in parts.iter().zip(slices).enumerate() {
            let pixels = &part.pixels;
            let size = [pixels.shape[2] as u32, pixels.shape[1] as u32];
            assert_eq!(size[..], integers(&slice["size"]), "{name} {index}");
            let found = checksum(bytes_of(pixels).into_iter());
            assert_eq!(Some(found), slice["checksum"].as_u64(), "{name} {index}");
            reference.close(&format!("{name}.pixels.{index}"), &pixels.numbers, 40_009);
        }
    }
}

fn check_parts(reference: &Reference, name: &str, reading: &str, parts: &[Parts]) {
    for (index, part) in parts.iter().enumerate() {
        let key = |what: &str| format!("{name}.{reading}.{what}.{index}");
        let wanted = reference.ids(&key("ids"));
        let ids: Vec<u32> = part.position_ids.iter().copied().step_by(17).collect();
        // Ids of padding are not handed out.
        assert_eq!(ids[..], wanted[..ids.len()], "{}", key("ids"));
        let vision = reference.close(&key("vision"), &part.vision.numbers, 997);
        let resampler = reference.close(&key("resampler"), &part.resampler.numbers, 251);
        assert!(vision.max(resampler) < TOLERANCE, "{}", key(""));
    }
}

#[test]
fn tower_and_resampler_are_torchs_in_both_readings_of_the_mask() {
    let (reference, small) = (Reference::read(), SmallModel::new());
    let model = small.load();
    for wanted in reference.facts["pictures"].as_array().unwrap() {
        let name = wanted["name"].as_str().unwrap();
        let parts = model.parts(&picture_named(name)).unwrap();
        check_parts(&reference, name, "published", &parts);
    }
    small.configure(|config| config["vision_config"]["position_ids"] = json!("masked"));
    let parts = small.load().parts(&picture_named("512x512")).unwrap();
    check_parts(&reference, "512x512", "masked", &parts);
}

#[test]
fn tokens_hidden_states_and_logits_are_torchs() {
    let (reference, small) = (Reference::read(), SmallModel::new());
    let model = small.load();
    let prefix = "llm.";
    let tensors = small.tensors.iter();
    let tensors = tensors
        .filter_map(|(name, tensor)| Some((name.strip_prefix(prefix)?.to_owned(), tensor.clone())));
    let config: LlmConfig = serde_json::from_value(config(small.vocab)).unwrap();
    let weights = Weights::from_tensors(tensors.collect());
    let llama = Llama::new(&config, Mode::Inference, &weights).unwrap();
    for run in reference.facts["runs"].as_array().unwrap() {
        let name = run["picture"].as_str().unwrap();
        let conversation = reference.conversation();
        let picture = picture_named(name);
        let trace = model.trace(&picture, &conversation, 4096, true).unwrap();
        assert_eq!(trace.token_ids, reference.ids(&format!("{name}.token_ids")));
        let bounds = run["bounds"].as_array().unwrap().iter().map(integers);
        let found = trace
            .image_bounds
            .iter()
            .map(|pair| pair.map(|bound| bound as u32).to_vec());
        assert!(found.eq(bounds), "{name}");
        // Every layer
        let embeds = Tensor::from_slice(
            &trace.embeds.numbers,
            trace.embeds.shape.clone(),
            &Device::Cpu,
        );
        let mut layers = Vec::new();
        llama
            .forward_watched(&embeds.unwrap().unsqueeze(0).unwrap(), &mut |states| {
                layers.push(states.flatten_all().unwrap().to_vec1::<f32>().unwrap());
            })
            .unwrap();
        // torch lists the last layer's states after the final norm.
        layers.pop();
        layers.push(trace.hidden.numbers);
        let differences: Vec<f32> = layers
            .iter()
            .enumerate()
            .map(|(at, states)| reference.close(&format!("{name}.hidden.{at}"), states, 211))
            .collect();
        let logits = trace.logits.unwrap();
        let last = reference.close(&format!("{name}.logits"), &logits.numbers, 4099);
        println!("{name}: layers {differences:?}, logits {last:.1e}");
    }
}

/// Root mean square of the difference over that of what is expected.
fn distance(found: &[f32], wanted: &[f32]) -> f32 {
    let square = |values: &mut dyn Iterator<Item = f32>| values.map(|v| v * v).sum::<f32>();
    let difference = square(&mut found.iter().zip(wanted).map(|(a, b)| a - b));
    (difference / square(&mut wanted.iter().copied())).sqrt()
}

/// What halving the weights costs, against torch in single precision: matrices of large random weights, so more than a
/// trained model would lose.
#[test]
fn half_precision_weights_move_the_hidden_states_by_their_rounding() {
    let (reference, small) = (Reference::read(), SmallModel::new());
    let conversation = reference.conversation();
    // Off the CPU activations are of that type as well.
    let bf16 = if device() == DeviceChoice::Cpu {
        3e-2
    } else {
        4e-2
    };
    for (form, tolerance) in [(Form::F16, 4e-3), (Form::Bf16, bf16)] {
        let model = small.load_as(form);
        for name in ["512x512", "768x512"] {
            let picture = picture_named(name);
            let trace = model.trace(&picture, &conversation, 4096, false).unwrap();
            let found: Vec<f32> = trace.hidden.numbers.into_iter().step_by(211).collect();
            let distance = distance(&found, &reference.floats(&format!("{name}.hidden.3")));
            println!("{form} {name}: {distance:.1e}");
            assert!(distance < tolerance, "{form} {name}: {distance:e}");
        }
    }
}

#[test]
fn a_cut_conversation_keeps_what_stands_before_the_cut() {
    let (reference, model) = (Reference::read(), SmallModel::new().load());
    let picture = picture(1024, 1024);
    let whole = model
        .trace(&picture, &reference.conversation(), 4096, false)
        .unwrap();
    for limit in [512, 768] {
        let cut = model
            .trace(&picture, &reference.conversation(), limit, false)
            .unwrap();
        assert_eq!(cut.token_ids, whole.token_ids[..limit]);
        assert_eq!(cut.num_cut, whole.token_ids.len() - limit);
        let inside = whole
            .image_bounds
            .iter()
            .filter(|[start, _]| *start < limit);
        assert_eq!(cut.image_bounds.len(), inside.count());
        let last = cut.image_bounds.last().unwrap();
        assert!(last[1] <= limit, "{last:?}");
        // The picture's last tokens stand at 701: the smaller limit cuts into them, the larger does not.
        assert_eq!(cut.num_image_tokens_cut > 0, limit == 512);
        let pairs = cut.hidden.numbers.iter().zip(&whole.hidden.numbers);
        let worst = pairs.fold(0.0, |worst: f32, (a, b)| worst.max((a - b).abs()));
        assert!(worst < 1e-3, "{worst}");
    }
}

#[test]
fn greedy_and_beams_say_what_transformers_says() {
    let (reference, model) = (Reference::read(), SmallModel::new().load());
    let greedy = GenerateSettings {
        max_new_tokens: 32,
        ..GenerateSettings::default()
    };
    let beam = GenerateSettings {
        max_new_tokens: 32,
        ..GenerateSettings::published_minicpm()
    };
    for run in reference.facts["runs"].as_array().unwrap() {
        let picture = picture_named(run["picture"].as_str().unwrap());
        let request = reference.conversation().request;
        for (key, settings) in [("greedy", greedy), ("beam", beam)] {
            let ids = model.speak(&picture, &[&request], &settings).unwrap();
            assert_eq!(ids, integers(&run[key]), "{} {key}", run["picture"]);
        }
    }
}
