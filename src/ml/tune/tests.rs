//! The engine on the model inside the binary. What torch and peft make of the same is in `tests/it/tune.rs`.

use std::cell::RefCell;
use std::fs;
use std::path::Path;
use std::time::Duration;

use candle_core::Device;
use candle_core::Tensor;

use super::*;
use crate::compute::DeviceChoice;
use crate::domain::Aspect;
use crate::domain::Interrupted;
use crate::domain::Picture;
use crate::domain::Rating;
use crate::domain::TunePreset;
use crate::domain::TuneSettings;
use crate::ml::MlError;
use crate::ml::vlm::Architecture;
use crate::ml::vlm::LoadWish;
use crate::ml::vlm::ModelFiles;
use crate::ml::vlm::load_to_tune;
use crate::ml::vlm::weights::Form;

fn settings(preset: TunePreset) -> TuneSettings {
    TuneSettings {
        rank: 2,
        alpha: 4.0,
        dropout: 0.25,
        learning_rate: 1e-3,
        warmup: 0.1,
        weight_decay: 0.1,
        batch_size: 1,
        accumulation: 2,
        epochs: 2,
        ..TuneSettings::new("test", preset, vec![Aspect::Quality])
    }
}

fn lessons(count: usize) -> Vec<Lesson> {
    let words = Rating::ALL;
    let lesson = |at: usize| Lesson {
        picture: at % 2,
        messages: [
            format!("Describe picture {at}."),
            format!("A {} picture with {at} boats.", words[at % 5]),
            "Rate it.".to_owned(),
            words[at % 5].word().to_owned(),
        ],
        word: Some(words[at % 5]),
    };
    (0..count).map(lesson).collect()
}

#[expect(clippy::unnecessary_wraps, reason = "what a tuner calls may fail")]
fn pictures(number: usize) -> Result<Picture, MlError> {
    let side = 128_u32;
    let byte = |i: u32| ((i + number as u32).wrapping_mul(2_654_435_761) >> 24) as u8;
    Ok(Picture {
        width: side,
        height: side,
        rgb: (0..side * side * 3).map(byte).collect::<Vec<u8>>().into(),
    })
}

#[expect(clippy::unnecessary_wraps, reason = "what a tuner calls may fail")]
fn go_on() -> Result<(), Interrupted> {
    Ok(())
}

fn tuner_as(settings: &TuneSettings, form: Form) -> Tuner {
    let wish = LoadWish {
        form: Some(form),
        ..LoadWish::on(DeviceChoice::Cpu)
    };
    let scope = scope(settings, Architecture::MiniCpmV);
    let model = load_to_tune(&ModelFiles::Embedded, &wish, &scope, settings.max_len).unwrap();
    Tuner::new(model, settings).unwrap()
}

/// A tuner both of whose low-rank matrices differ from 0.
fn tuner(settings: &TuneSettings) -> Tuner {
    let mut tuner = tuner_as(settings, Form::F32);
    stir(&mut tuner);
    tuner
}

fn stir(tuner: &mut Tuner) {
    let named: Vec<(String, Tensor)> = tuner
        .weights()
        .filter(|(name, _)| name.contains("lora_B"))
        .map(|(name, tensor)| (name.to_owned(), tensor.clone()))
        .collect();
    for (name, tensor) in named {
        let values = (0..tensor.elem_count()).map(|i| (i as f32 * 1.3).sin() * 0.05);
        let values = Tensor::from_iter(values, &Device::Cpu).unwrap();
        let values = values.reshape(tensor.dims()).unwrap();
        tuner.set_weight(&name, &values).unwrap();
    }
}

fn gradients(tuner: &mut Tuner, lessons: &[&Lesson], number: u64) -> (Vec<Tensor>, Heard) {
    let (found, heard) = tuner
        .gradients(lessons, number, &mut pictures, &mut go_on)
        .unwrap();
    let names: Vec<String> = tuner.weights().map(|(name, _)| name.to_owned()).collect();
    let all = found.into_iter().zip(names);
    let all = all.map(|(gradient, name)| gradient.unwrap_or_else(|| panic!("{name} has none")));
    (all.collect(), heard)
}

/// Largest difference of any gradient, by the largest value of that gradient. The biases of keys have none but for
/// rounding, since softmax does not see them: no tensor counts for less than a ten-thousandth of the largest value of all.
fn apart(a: &[Tensor], b: &[Tensor]) -> f32 {
    let largest = |tensor: &Tensor| {
        let most = tensor.abs().unwrap().max_all().unwrap();
        most.to_scalar::<f32>().unwrap()
    };
    let all = b.iter().map(largest).fold(0.0, f32::max);
    let pairs = a.iter().zip(b);
    let pairs = pairs.map(|(a, b)| largest(&(a - b).unwrap()) / largest(b).max(1e-4 * all));
    pairs.fold(0.0, f32::max)
}

#[test]
fn gradients_are_those_of_finite_differences() {
    for preset in TunePreset::ALL {
        let settings = TuneSettings {
            dropout: 0.0,
            ..settings(preset)
        };
        let mut tuner = tuner(&settings);
        let lessons = lessons(2);
        let both = [&lessons[0], &lessons[1]];
        let (gradients, _) = gradients(&mut tuner, &both, 0);
        let all: Vec<(String, Tensor)> = tuner
            .weights()
            .map(|(name, tensor)| (name.to_owned(), tensor.copy().unwrap()))
            .collect();
        let step = 1 + all.len() / 12;
        for ((name, start), gradient) in all.iter().zip(&gradients).step_by(step) {
            // Along the gradient itself the loss changes by its squared norm.
            let norm = gradient.sqr().unwrap().sum_all().unwrap();
            let norm = f64::from(norm.to_scalar::<f32>().unwrap()).sqrt();
            let reach = 1e-3 / norm.max(1e-2);
            let mut loss_at = |sign: f64| {
                let moved = (start + (gradient * (sign * reach / norm)).unwrap()).unwrap();
                tuner.set_weight(name, &moved).unwrap();
                let (_, heard) = tuner
                    .gradients(&both, 0, &mut pictures, &mut go_on)
                    .unwrap();
                heard.loss()
            };
            let numeric = (loss_at(1.0) - loss_at(-1.0)) / (2.0 * reach);
            tuner.set_weight(name, start).unwrap();
            assert!(
                (numeric - norm).abs() < 0.02 * norm + 1e-4,
                "{preset}: {name}: {numeric} against {norm}"
            );
        }
    }
}

#[test]
fn keeping_only_inputs_gives_the_gradients_of_whole_graphs() {
    for preset in TunePreset::ALL {
        let settings = settings(preset);
        let lessons = lessons(3);
        let all: Vec<&Lesson> = lessons.iter().collect();
        let (kept, heard) = gradients(&mut tuner(&settings).with_room(0), &all, 7);
        // A run may go on where there is more room or less.
        let one = tuner(&settings).model.plan.graphs.decoder;
        for room in [one, u64::MAX] {
            let (roomy, _) = gradients(&mut tuner(&settings).with_room(room), &all, 7);
            assert!(apart(&roomy, &kept) <= 0.0, "{preset}, {room} bytes");
        }
        let mut whole = tuner(&settings).without_checkpoints();
        let (plain, plainly) = gradients(&mut whole, &all, 7);
        assert!((heard.loss() - plainly.loss()).abs() < 1e-6);
        let far = apart(&kept, &plain);
        assert!(far < 1e-6, "{preset}: {far}");
        // Other values are left out in another step, and none where nothing is drawn.
        let (other, _) = gradients(&mut whole, &all, 8);
        assert!(apart(&other, &plain) > 1e-2, "{preset}");
        let (again, _) = gradients(&mut whole, &all, 7);
        assert!(apart(&again, &plain) < 1e-6, "{preset}");
    }
}

#[test]
fn gathered_batches_are_one_larger_batch() {
    let of = |batch_size, accumulation| TuneSettings {
        batch_size,
        accumulation,
        ..settings(TunePreset::Light)
    };
    let lessons = lessons(4);
    let all: Vec<&Lesson> = lessons.iter().collect();
    let weights = |settings: &TuneSettings| {
        let mut tuner = tuner(settings);
        for batch in all.chunks(settings.step_size()) {
            tuner.step(batch, 1e-3, &mut pictures, &mut go_on).unwrap();
        }
        let weights = tuner.weights().map(|(_, tensor)| tensor.copy().unwrap());
        weights.collect::<Vec<Tensor>>()
    };
    assert!(apart(&weights(&of(4, 1)), &weights(&of(1, 4))) < 1e-7);
    // A step's gradient is the mean over target tokens, and not over conversations.
    let mut tuner = tuner(&TuneSettings {
        dropout: 0.0,
        ..settings(TunePreset::Light)
    });
    let (both, heard) = gradients(&mut tuner, &all[..2], 0);
    let parts = [0, 1].map(|at| gradients(&mut tuner, &all[at..=at], 0));
    let share = |at: usize| parts[at].1.targets as f64 / heard.targets as f64;
    let mean: Vec<Tensor> = (0..both.len())
        .map(|at| {
            let part = |of: usize| (&parts[of].0[at] * share(of)).unwrap();
            (part(0) + part(1)).unwrap()
        })
        .collect();
    assert!(apart(&mean, &both) < 1e-4);
}

#[test]
fn a_quantised_base_has_nearly_the_same_gradient() {
    let settings = TuneSettings {
        dropout: 0.0,
        ..settings(TunePreset::Light)
    };
    let lessons = lessons(2);
    let both = [&lessons[0], &lessons[1]];
    let (exact, _) = gradients(&mut tuner(&settings), &both, 0);
    for (form, within) in [(Form::Bf16, 0.1), (Form::Q8, 0.15)] {
        let mut tuner = tuner_as(&settings, form);
        stir(&mut tuner);
        let (near, _) = gradients(&mut tuner, &both, 0);
        let apart = apart(&near, &exact);
        assert!(apart > 0.0 && apart < within, "{form}: {apart}");
    }
}

#[test]
fn targets_are_the_assistants_words_and_ends() {
    let tuner = tuner(&settings(TunePreset::Light));
    let backbone = &*tuner.model.backbone;
    let seen = backbone.look(&pictures(0).unwrap()).unwrap();
    let lesson = &lessons(1)[0];
    let told = |max_len, twice| lesson.told(backbone, &seen, max_len, twice).unwrap();
    let whole = told(512, false);
    let text: Vec<u32> = whole.targets.iter().map(|target| target.id).collect();
    let end = backbone.ends()[1];
    let ends: Vec<usize> = (0..text.len()).filter(|at| text[*at] == end).collect();
    assert_eq!(ends.len(), 2);
    assert_eq!(ends[1], text.len() - 1);
    assert_eq!(
        backbone.decode(&text[..ends[0]]).unwrap().trim(),
        lesson.messages[1]
    );
    assert_eq!(backbone.decode(&text[ends[0]..]).unwrap().trim(), "bad");
    for target in &whole.targets {
        assert_eq!(whole.sequence.ids[target.from + 1], target.id);
    }
    let twice = told(512, true);
    assert_eq!(twice.targets.len(), whole.targets.len() + 1);
    assert!(twice.targets.contains(&Target {
        from: whole.targets[ends[0]].from + 1,
        id: end
    }));
    let cut = told(whole.sequence.ids.len() - 1, false);
    assert_eq!(cut.targets.len(), whole.targets.len() - 1);
    assert!(cut.word_at.is_some());
}

/// A run in a folder; `stop_at` is the event at which it is stopped, after which it goes on in another process' stead.
fn run(folder: &Path, stop_at: Option<usize>) -> Option<TuneOutcome> {
    let settings = settings(TunePreset::Light);
    let (train, val) = (lessons(5), lessons(2));
    let mut tuner = tuner_as(&settings, Form::F32);
    let mut source = pictures;
    let mut data = TuneData {
        train: &train,
        val: &val,
        pictures: &mut source,
        folder,
        save_every: Duration::ZERO,
    };
    let num = RefCell::new(0);
    let ended = tune(&mut tuner, &mut data, "mini", &mut |_| {
        *num.borrow_mut() += 1;
        match stop_at {
            Some(stop) if *num.borrow() > stop => Err(Interrupted),
            _ => Ok(()),
        }
    });
    match ended {
        Ok(outcome) => Some(outcome),
        Err(MlError::Interrupted(_)) => None,
        Err(error) => panic!("{error}"),
    }
}

/// A run's end without what depends on the clock, and its adapter's bytes.
fn end(outcome: TuneOutcome) -> (Progress, Vec<u8>) {
    let mut progress = outcome.progress;
    for epoch in &mut progress.epochs {
        epoch.seconds = 0.0;
    }
    progress.seconds = 0.0;
    let file = outcome.adapter.join("adapter_model.safetensors");
    (progress, fs::read(file).unwrap())
}

#[test]
fn a_run_that_is_stopped_anywhere_ends_with_the_same_bits() {
    let folder = || tempfile::tempdir().unwrap();
    let place = folder();
    let whole = end(run(place.path(), None).unwrap());
    assert_eq!(whole.0.steps, 6);
    assert_eq!(whole.0.epochs.len(), 3);
    let at = folder();
    let mut stops = 0;
    // Stopped again and again, later each time, it goes on until it is through.
    let outcome = loop {
        if let Some(outcome) = run(at.path(), Some(3 + stops % 4)) {
            break outcome;
        }
        stops += 1;
        assert!(stops < 60, "it does not come to an end");
    };
    assert!(stops > 4, "{stops}");
    assert_eq!(end(outcome), whole);
    let left: Vec<_> = fs::read_dir(at.path()).unwrap().collect();
    assert_eq!(
        left.len(),
        2,
        "the checkpoint and the best epoch's adapter: {left:?}"
    );
}

#[test]
fn a_checkpoint_of_other_settings_is_refused() {
    let place = tempfile::tempdir().unwrap();
    assert!(run(place.path(), Some(6)).is_none());
    let settings = TuneSettings {
        learning_rate: 2e-3,
        ..settings(TunePreset::Light)
    };
    let mut tuner = tuner_as(&settings, Form::F32);
    let fresh = Progress::start(&settings, "", [5, 2]);
    let read = checkpoint::read(place.path(), &fresh, &mut tuner);
    assert!(read.is_err_and(|error| error.to_string().contains("other settings")));
}

#[test]
fn a_scope_that_names_nothing_is_refused_in_words() {
    let settings = TuneSettings {
        target: Some("decoder.*".to_owned()),
        ..settings(TunePreset::Light)
    };
    let scope = scope(&settings, Architecture::MiniCpmV);
    let wish = LoadWish::on(DeviceChoice::Cpu);
    let loaded = load_to_tune(&ModelFiles::Embedded, &wish, &scope, 512);
    let words = loaded.err().unwrap().to_string();
    assert!(
        words.contains("name nothing") && words.contains("llm."),
        "{words}"
    );
}

#[test]
fn every_backbone_has_the_gradients_of_finite_differences() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    for (name, architecture) in [
        ("llava", Architecture::Llava),
        ("qwen2_5_vl", Architecture::Qwen2_5Vl),
    ] {
        let files = ModelFiles::Folder(fixtures.join(name).join("model"));
        let wish = LoadWish {
            form: Some(Form::F32),
            ..LoadWish::on(DeviceChoice::Cpu)
        };
        for preset in TunePreset::ALL {
            let settings = TuneSettings {
                dropout: 0.0,
                max_len: 4096,
                ..settings(preset)
            };
            let scope = scope(&settings, architecture);
            let tuner = || {
                let model = load_to_tune(&files, &wish, &scope, 4096).unwrap();
                let mut tuner = Tuner::new(model, &settings).unwrap();
                stir(&mut tuner);
                tuner
            };
            let lessons = lessons(1);
            let one = [&lessons[0]];
            let mut kept = tuner().with_room(0);
            let (found, heard) = kept.gradients(&one, 0, &mut pictures, &mut go_on).unwrap();
            let mut whole = tuner().without_checkpoints();
            let (plain, _) = whole.gradients(&one, 0, &mut pictures, &mut go_on).unwrap();
            let both: Vec<(Tensor, Tensor)> = found
                .iter()
                .flatten()
                .cloned()
                .zip(plain.into_iter().flatten())
                .collect();
            let (a, b): (Vec<Tensor>, Vec<Tensor>) = both.into_iter().unzip();
            assert!(!a.is_empty() && apart(&a, &b) < 1e-3, "{name} {preset}");
            // Along the gradient the loss changes by the square of its norm.
            let reach = 1e-3 / heard.grad_norm.max(1e-2) / heard.grad_norm;
            let start: Vec<(String, Tensor)> = kept
                .weights()
                .map(|(name, tensor)| (name.to_owned(), tensor.copy().unwrap()))
                .collect();
            let mut loss_at = |sign: f64| {
                for ((name, start), gradient) in start.iter().zip(&found) {
                    let Some(gradient) = gradient else { continue };
                    let moved = (start + (gradient * (sign * reach)).unwrap()).unwrap();
                    kept.set_weight(name, &moved).unwrap();
                }
                let (_, heard) = kept.gradients(&one, 0, &mut pictures, &mut go_on).unwrap();
                heard.loss()
            };
            let numeric = (loss_at(1.0) - loss_at(-1.0)) / (2.0 * reach);
            let square = heard.grad_norm * heard.grad_norm;
            assert!(
                (numeric - square).abs() < 0.03 * square,
                "{name} {preset}: {numeric} {square}"
            );
        }
    }
}
