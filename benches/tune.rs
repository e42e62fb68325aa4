//! Steps of fine-tuning on a model folder: seconds and tokens a conversation, and peak memory. Its other half is
//! `side_by_side/tune.py`; `side_by_side/tune.sh` runs both.
//!
//! cargo bench --bench tune -- FOLDER PRESET STEPS [BYTES], BYTES for layers that are kept whole

#![expect(clippy::print_stdout, reason = "a bench prints what it measured")]

use std::path::PathBuf;
use std::time::Instant;

use assay::compute::DeviceChoice;
use assay::domain::Aspect;
use assay::domain::Picture;
use assay::domain::TunePreset;
use assay::domain::TuneSettings;
use assay::ml::tune::Lesson;
use assay::ml::tune::Tuner;
use assay::ml::tune::scope;
use assay::ml::vlm::LoadWish;
use assay::ml::vlm::ModelFiles;
use assay::ml::vlm::load_to_tune;
use assay::ml::vlm::weights::Form;

/// Words that the conversation is filled up with; `tune.py` has the same.
const SENTENCE: &str =
    "The boat is sharp and well lit, but the sky shows noise and the reflections do not fit. ";

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|word| word != "--bench");
    let (Some(folder), Some(preset)) = (arguments.next(), arguments.next()) else {
        println!("give a model folder, a preset and a number of steps");
        return;
    };
    let steps: u32 = arguments
        .next()
        .map_or(2, |steps| steps.parse().expect("a number"));
    assay::compute::settle_threads();
    let preset: TunePreset = preset.parse().expect("a preset");
    let settings = TuneSettings {
        dropout: 0.0,
        rank: 8,
        ..TuneSettings::new("bench", preset, vec![Aspect::Quality])
    };
    let files = ModelFiles::Folder(PathBuf::from(folder));
    let wish = LoadWish {
        form: Some(Form::F32),
        ..LoadWish::on(DeviceChoice::Cpu)
    };
    let architecture = files.architecture().expect("a model");
    let scope = scope(&settings, architecture);
    let model = load_to_tune(&files, &wish, &scope, settings.max_len).expect("a model");
    let need = model.plan.need;
    // Bytes for layers that are kept whole; what the plan has room for if not given.
    let room: Option<u64> = arguments
        .next()
        .map(|room| room.parse().expect("a number of bytes"));
    let room = room.unwrap_or(need.kept);
    let tuner = Tuner::new(model, &settings).expect("something to train");
    let mut tuner = tuner.with_room(room);
    let side = 512_u32;
    let byte = |i: u32| (i.wrapping_mul(2_654_435_761) >> 24) as u8;
    let rgb: Vec<u8> = (0..side * side * 3).map(byte).collect();
    let mut taken = Vec::new();
    for step in 0..=steps {
        let lesson = Lesson {
            // Another picture each time, as training has it.
            picture: step as usize,
            messages: [
                "Describe the visual quality of this picture.".to_owned(),
                SENTENCE.repeat(6),
                "Rate it in one word of [bad, poor, fair, good, excellent].".to_owned(),
                "good".to_owned(),
            ],
            word: None,
        };
        let mut pictures = |_| {
            Ok(Picture {
                width: side,
                height: side,
                rgb: rgb.clone().into(),
            })
        };
        let begun = Instant::now();
        let heard = tuner
            .step(&[&lesson], 1e-4, &mut pictures, &mut || Ok(()))
            .expect("a step");
        let seconds = begun.elapsed().as_secs_f64();
        println!(
            "step {step}: {seconds:.2} s, {} tokens, loss {:.4}",
            heard.tokens,
            heard.loss()
        );
        if step > 0 {
            taken.push((seconds, heard.tokens));
        }
    }
    let seconds: f64 = taken.iter().map(|(seconds, _)| seconds).sum::<f64>() / taken.len() as f64;
    let tokens = taken.first().map_or(0, |(_, tokens)| *tokens);
    let peak = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = peak
        .lines()
        .find(|line| line.starts_with("VmHWM"))
        .unwrap_or("VmHWM unknown");
    println!(
        "Assay {preset}: {seconds:.2} s a conversation, {:.0} tokens/s, {peak}, estimated {:.2} GB",
        tokens as f64 / seconds,
        (need.total() + room) as f64 / 1e9
    );
}
