//! Fine-tuning held against torch and peft: `tests/fixtures/tune/make.py` made what is expected.
//!
//! Gradients: the largest difference of a tensor's samples is at most 1e-3 of its largest sample, and its norm is within
//! 1e-3. Losses of 50 steps: within 1e-3 of each other's, relative.

use std::collections::HashMap;
use std::path::Path;
use std::path::PathBuf;

use assay::domain::Aspect;
use assay::domain::Interrupted;
use assay::domain::Picture;
use assay::domain::Rating;
use assay::domain::TunePreset;
use assay::domain::TuneSettings;
use assay::ml::MlError;
use assay::ml::tune::Lesson;
use assay::ml::tune::Tuner;
use assay::ml::tune::learning_rate;
use assay::ml::tune::scope;
use assay::ml::tune::write_adapter;
use assay::ml::vlm::Architecture;
use assay::ml::vlm::LoadWish;
use assay::ml::vlm::LocalModel;
use assay::ml::vlm::ModelFiles;
use assay::ml::vlm::load_to_tune;
use candle_core::Device;
use candle_core::Tensor;
use serde::Deserialize;
use serde::Serialize;

use crate::device::single;
use crate::minicpm::SmallModel;
use crate::minicpm::picture;
use crate::minicpm::uniform;

/// Largest difference of gradients over the largest value, and of losses over the loss.
const TOLERANCE: f64 = 1e-3;

#[derive(Deserialize)]
struct Golden {
    question: String,
    pictures: Vec<[u32; 2]>,
    rank: usize,
    alpha: f64,
    lessons: Vec<Said>,
    presets: HashMap<String, Run>,
}

#[derive(Deserialize)]
struct Said {
    picture: usize,
    request: String,
    text: String,
    word: String,
}

#[derive(Deserialize)]
struct Run {
    rate: f64,
    loss: f64,
    losses: Vec<f64>,
    norms: Vec<f64>,
    num_trained: u64,
    names: Vec<String>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tune")
}

fn golden() -> Golden {
    let text = std::fs::read_to_string(folder().join("golden.json")).expect("the fixture");
    serde_json::from_str(&text).expect("the fixture's form")
}

impl Golden {
    fn lessons(&self) -> Vec<Lesson> {
        let lesson = |said: &Said| Lesson {
            picture: said.picture,
            messages: [&said.request, &said.text, &self.question, &said.word].map(String::clone),
            word: said.word.parse::<Rating>().ok(),
        };
        self.lessons.iter().map(lesson).collect()
    }

    fn settings(&self, preset: TunePreset) -> TuneSettings {
        TuneSettings {
            rank: self.rank,
            alpha: self.alpha,
            dropout: 0.0,
            learning_rate: self.presets[preset.name()].rate,
            warmup: 0.1,
            weight_decay: 0.1,
            beta2: 0.95,
            max_norm: Some(1.0),
            ..TuneSettings::new("golden", preset, vec![Aspect::Quality])
        }
    }

    fn asked(&self, lesson: &Lesson) -> Asked {
        Asked {
            messages: lesson.messages.clone(),
            picture: self.picture(lesson.picture).expect("a picture"),
        }
    }

    #[expect(clippy::unnecessary_wraps, reason = "what a tuner calls may fail")]
    fn picture(&self, number: usize) -> Result<Picture, MlError> {
        let [width, height] = self.pictures[number];
        Ok(picture(width, height))
    }
}

/// A tuner of the small model whose changes are made by the fixture's formula.
fn tuner(model: &SmallModel, settings: &TuneSettings) -> Tuner {
    tuner_of((model.path(), Architecture::MiniCpmV), settings)
}

/// The same of a folder's model.
fn tuner_of((model, architecture): (&Path, Architecture), settings: &TuneSettings) -> Tuner {
    let files = ModelFiles::Folder(model.to_owned());
    let wish = single();
    let scope = scope(settings, architecture);
    let loaded = load_to_tune(&files, &wish, &scope, settings.max_len).expect("the small model");
    let mut tuner = Tuner::new(loaded, settings).expect("something to train");
    let changes: Vec<(String, Vec<usize>)> = tuner
        .weights()
        .filter(|(name, _)| name.contains(".lora_"))
        .map(|(name, tensor)| (name.to_owned(), tensor.dims().to_vec()))
        .collect();
    for (name, shape) in changes {
        let values = uniform(&name, shape.iter().product());
        let values: Vec<f32> = values.into_iter().map(|value| value * 0.05).collect();
        let values = Tensor::from_vec(values, shape, &Device::Cpu).expect("values");
        tuner.set_weight(&name, &values).expect("a name");
    }
    tuner
}

#[expect(clippy::unnecessary_wraps, reason = "what a tuner calls may fail")]
fn go_on() -> Result<(), Interrupted> {
    Ok(())
}

/// Every `len / 48`th value, at most 48, as the fixture keeps them.
fn sampled(tensor: &Tensor) -> Vec<f32> {
    let flat = tensor.flatten_all().expect("a tensor");
    let flat = flat.to_vec1::<f32>().expect("values");
    let step = (flat.len() / 48).max(1);
    flat.into_iter().step_by(step).take(48).collect()
}

#[test]
fn gradients_of_every_preset_are_those_of_torch_and_peft() {
    let golden = golden();
    let expected =
        candle_core::safetensors::load(folder().join("golden.safetensors"), &Device::Cpu)
            .expect("the fixture");
    let model = SmallModel::of_side(112);
    let lessons = golden.lessons();
    for preset in TunePreset::ALL {
        let run = &golden.presets[preset.name()];
        let mut tuner = tuner(&model, &golden.settings(preset));
        let mut names: Vec<String> = tuner.weights().map(|(name, _)| name.to_owned()).collect();
        names.sort();
        assert_eq!(names, run.names, "{preset}");
        let count: usize = tuner.weights().map(|(_, tensor)| tensor.elem_count()).sum();
        assert_eq!(count as u64, run.num_trained, "{preset}");
        let two = [&lessons[0], &lessons[1]];
        let mut pictures = |number| golden.picture(number);
        let (gradients, heard) = tuner
            .gradients(&two, 0, &mut pictures, &mut go_on)
            .expect("gradients");
        assert!(
            (heard.loss() - run.loss).abs() < 1e-5 * run.loss,
            "{preset}: {} against {}",
            heard.loss(),
            run.loss
        );
        assert!(
            (heard.grad_norm - run.norms[0]).abs() < TOLERANCE * run.norms[0],
            "{preset}"
        );
        for ((name, _), gradient) in tuner.weights().zip(&gradients) {
            let gradient = gradient
                .as_ref()
                .unwrap_or_else(|| panic!("{preset}: {name}"));
            let theirs = sampled(&expected[&format!("{preset}.{name}")]);
            let norm = f64::from(sampled(&expected[&format!("{preset}.norm.{name}")])[0]);
            let own = gradient.sqr().and_then(|square| square.sum_all());
            let own = own.and_then(|sum| sum.to_scalar::<f32>()).expect("a norm");
            let own = f64::from(own).sqrt();
            if name.ends_with("k_proj.bias") {
                // Softmax does not see what is added to all of a row: rounding is all that there is, on both sides.
                assert!(own.max(norm) < 1e-5 * heard.grad_norm, "{preset}: {name}");
                continue;
            }
            let ours = sampled(gradient);
            let largest = theirs
                .iter()
                .fold(0_f32, |most, value| most.max(value.abs()));
            let apart = ours.iter().zip(&theirs);
            let apart = apart.fold(0_f32, |most, (a, b)| most.max((a - b).abs()));
            // Samples may all be of rows that were not looked up.
            let relative = f64::from(apart) / f64::from(largest).max(1e-3 * norm);
            assert!(
                relative < TOLERANCE,
                "{preset}: {name} is off by {relative}"
            );
            assert!(
                (own - norm).abs() < TOLERANCE * norm,
                "{preset}: {name} {own} {norm}"
            );
        }
    }
}

/// Steps through the fixture's order and answers the losses.
fn losses(golden: &Golden, preset: TunePreset, model: &SmallModel, steps: u64) -> Vec<f64> {
    let (settings, lessons) = (golden.settings(preset), golden.lessons());
    let mut tuner = tuner(model, &settings);
    let mut pictures = |number| golden.picture(number);
    let one = |step: u64| {
        let at = |place: u64| &lessons[((2 * step + place) % 5) as usize];
        let rate = learning_rate(&settings, step, 50);
        let heard = tuner.step(&[at(0), at(1)], rate, &mut pictures, &mut go_on);
        heard.expect("a step").loss()
    };
    (0..steps).map(one).collect()
}

fn overlay(steps: u64) {
    let (golden, model) = (golden(), SmallModel::of_side(112));
    for preset in TunePreset::ALL {
        let ours = losses(&golden, preset, &model, steps);
        let theirs = &golden.presets[preset.name()].losses;
        let apart = ours.iter().zip(theirs).map(|(a, b)| (a - b).abs() / b);
        let worst = apart.fold(0.0, f64::max);
        assert!(worst < TOLERANCE, "{preset}: {worst}\n{ours:?}\n{theirs:?}");
    }
}

#[test]
fn the_first_steps_have_the_losses_of_torch_and_peft() {
    overlay(4);
}

#[test]
#[ignore = "half a minute: the whole of 50 steps of every preset"]
fn fifty_steps_have_the_losses_of_torch_and_peft() {
    overlay(50);
}

/// Where adapters of a test go: to whom asks for them, to be held against peft itself (`tests/fixtures/tune/check.py` and
/// `check_hub.py`), or to a folder that ends with the test.
fn place_of_adapters() -> (PathBuf, tempfile::TempDir) {
    let kept = std::env::var_os("ASSAY_KEEP_ADAPTERS").map(PathBuf::from);
    let temporary = tempfile::tempdir().expect("a folder");
    (
        kept.unwrap_or_else(|| temporary.path().to_owned()),
        temporary,
    )
}

/// Writes what was trained, and reads it back: the merged model says of the same words what the trained one says.
fn assert_read_back(
    (tuner, base): (&mut Tuner, &Path),
    (golden, lessons): (&Golden, &[Lesson]),
    folder: &Path,
    ends_twice: bool,
) -> Read {
    write_adapter(tuner, "the base", folder).expect("an adapter");
    let mut pictures = |number| golden.picture(number);
    let trained = tuner.figures(lessons, &mut pictures, &mut |_| Ok(()));
    let trained = trained.expect("figures").loss;
    let asked: Vec<Asked> = lessons.iter().map(|lesson| golden.asked(lesson)).collect();
    let read = loss_of(&merged(base, folder), &asked, ends_twice);
    assert!(
        (trained - read.loss).abs() < 1e-4 * read.loss,
        "{}: {trained} {}",
        folder.display(),
        read.loss
    );
    read
}

#[test]
fn what_was_trained_is_read_back_into_the_model() {
    let (golden, model) = (golden(), SmallModel::of_side(112));
    let lessons = golden.lessons();
    let (place, _temporary) = place_of_adapters();
    for preset in TunePreset::ALL {
        let mut tuner = tuner(&model, &golden.settings(preset));
        let mut pictures = |number| golden.picture(number);
        for rate in [1e-3, 1e-3] {
            let heard = tuner.step(&[&lessons[0]], rate, &mut pictures, &mut go_on);
            heard.expect("a step");
        }
        let folder = place.join(preset.name());
        let trained = (&mut tuner, model.path());
        let ends_twice = preset == TunePreset::Published;
        let read = assert_read_back(trained, (&golden, &lessons), &folder, ends_twice);
        std::fs::write(folder.join("loss.txt"), format!("{}\n", read.loss)).expect("a file");
    }
}

/// A base with an adapter merged into it, in the form for use.
fn merged(base: &Path, adapter: &Path) -> LocalModel {
    let wish = LoadWish {
        adapter: Some(adapter.to_owned()),
        ..single()
    };
    LocalModel::open(&ModelFiles::Folder(base.to_owned()), &wish).expect("the adapter is read")
}

#[test]
fn adapters_of_hub_models_are_read_back_too() {
    let golden = golden();
    let lesson = &golden.lessons()[1];
    let (place, _temporary) = place_of_adapters();
    for (fixture, architecture) in [
        ("llava", Architecture::Llava),
        ("qwen2_5_vl", Architecture::Qwen2_5Vl),
    ] {
        let base =
            Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/{fixture}/model"));
        for preset in [TunePreset::Light, TunePreset::Paper] {
            let mut tuner = tuner_of((&base, architecture), &golden.settings(preset));
            let mut pictures = |number| golden.picture(number);
            let heard = tuner.step(&[lesson], 1e-3, &mut pictures, &mut go_on);
            heard.expect("a step");
            let folder = place.join(format!("{fixture}-{}", preset.name()));
            let one = std::slice::from_ref(lesson);
            let read = assert_read_back((&mut tuner, &base), (&golden, one), &folder, false);
            let text = serde_json::to_string(&read).expect("JSON");
            std::fs::write(folder.join("read.json"), text).expect("a file");
            // The last of LLaVA's three vision layers is never read, so peft must not look for it.
            let config = std::fs::read_to_string(folder.join("adapter_config.json")).expect("text");
            let has_layer =
                |layer| config.contains(&format!("vision_tower.encoder.layers.{layer}."));
            let sees = (fixture, preset) == ("llava", TunePreset::Paper);
            assert_eq!([0, 1, 2].map(has_layer), [sees, sees, false], "{config}");
        }
    }
}

/// A lesson with its picture.
struct Asked {
    messages: [String; 4],
    picture: Picture,
}

/// What a model foretold.
#[derive(Default, Serialize)]
struct Read {
    /// Mean cross entropy of the assistant's words.
    loss: f64,
    /// Tokens of the last conversation, and of its words the place from which each was foretold.
    ids: Vec<u32>,
    foretold: Vec<(usize, u32)>,
    /// Width and height of the last picture.
    picture: [u32; 2],
}

/// Mean cross entropy of the assistant's words, by the model in the form for use.
fn loss_of(model: &LocalModel, asked: &[Asked], ends_twice: bool) -> Read {
    let (mut sum, mut count, mut read) = (0.0, 0, Read::default());
    for Asked { messages, picture } in asked {
        let backbone = model.backbone();
        let seen = backbone.look(picture).expect("seen");
        let messages: Vec<&str> = messages.iter().map(String::as_str).collect();
        let sequence = |messages: &[&str], ending| backbone.sequence(&seen, messages, ending);
        let whole = sequence(&messages, assay::ml::vlm::Ending::Bare).expect("tokens");
        let mut foretold = Vec::new();
        for answer in [1, 3] {
            let start = sequence(&messages[..answer], assay::ml::vlm::Ending::Generate);
            let start = start.expect("tokens").ids.len();
            let end = whole.ids[start..]
                .iter()
                .position(|id| backbone.ends().contains(id));
            let end = start + end.expect("an end");
            foretold.extend((start..=end).map(|at| (at - 1, whole.ids[at])));
            if ends_twice && answer == 1 {
                foretold.push((end, whole.ids[end]));
            }
        }
        let mut cache = assay::ml::vlm::KvCache::default();
        let states = backbone.pass(&whole, whole.ids.len(), &seen, &mut cache);
        let logits = backbone.logits(&states.expect("states")).expect("logits");
        let likely = logits
            .squeeze(0)
            .and_then(|logits| candle_nn::ops::log_softmax(&logits, 1));
        let likely: Vec<Vec<f32>> = likely.and_then(|l| l.to_vec2()).expect("likelihoods");
        for &(from, id) in &foretold {
            sum -= f64::from(likely[from][id as usize]);
            count += 1;
        }
        read = Read {
            loss: 0.0,
            ids: whole.ids.clone(),
            foretold,
            picture: [picture.width, picture.height],
        };
    }
    Read {
        loss: sum / f64::from(count),
        ..read
    }
}
