//! Steps of fine-tuning on a model folder: seconds and tokens a conversation, and peak memory. Its other half is
//! `side_by_side/tune.py`; `side_by_side/tune.sh` runs both.
//!
//! cargo bench --bench tune -- FOLDER PRESET STEPS [BYTES|- [DEVICE]], BYTES for layers that are kept whole; weights are
//! in single precision on the CPU, and in the form that the program chooses on another DEVICE, such as cuda:0

#![expect(clippy::print_stdout, reason = "a bench prints what it measured")]

use std::path::PathBuf;
use std::time::Instant;

use assay::compute::DeviceChoice;
use assay::compute::PeakMeter;
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
    assay::compute::settle();
    let preset: TunePreset = preset.parse().expect("a preset");
    let settings = TuneSettings {
        dropout: 0.0,
        rank: 8,
        ..TuneSettings::new("bench", preset, vec![Aspect::Quality])
    };
    // Bytes for layers that are kept whole; what the plan has room for if not given.
    let room: Option<u64> = arguments
        .next()
        .filter(|word| word != "-")
        .map(|room| room.parse().expect("a number of bytes"));
    let device: DeviceChoice = arguments
        .next()
        .map_or(DeviceChoice::Cpu, |word| word.parse().expect("a device"));
    let files = ModelFiles::Folder(PathBuf::from(folder));
    let wish = LoadWish {
        form: (device == DeviceChoice::Cpu).then_some(Form::F32),
        ..LoadWish::on(device)
    };
    let architecture = files.architecture().expect("a model");
    let scope = scope(&settings, architecture);
    let begun = Instant::now();
    let model = load_to_tune(&files, &wish, &scope, settings.max_len).expect("a model");
    let (need, form) = (model.plan.need, model.plan.form);
    let room = room.unwrap_or(need.kept);
    let tuner = Tuner::new(model, &settings).expect("something to train");
    let mut tuner = tuner.with_room(room);
    println!("loaded in {:.1} s", begun.elapsed().as_secs_f64());
    let meter = PeakMeter::start(tuner.device());
    let taken = timed(&mut tuner, steps);
    let seconds: f64 = taken.iter().map(|(seconds, _)| seconds).sum::<f64>() / taken.len() as f64;
    let tokens = taken.first().map_or(0, |(_, tokens)| *tokens);
    let peak = match meter.peak() {
        Some(bytes) => format!("peak of tensors {:.2} GB", bytes as f64 / 1e9),
        None => resident(),
    };
    println!(
        "Assay {preset}, {form}: {seconds:.3} s a conversation, {:.0} tokens/s, {peak}, estimated {:.2} GB and {:.2} GB \
         for layers that are kept",
        tokens as f64 / seconds,
        need.total() as f64 / 1e9,
        room as f64 / 1e9
    );
}

/// Seconds and tokens of every step behind the first.
fn timed(tuner: &mut Tuner, steps: u32) -> Vec<(f64, usize)> {
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
        tuner.device().synchronize().expect("the device goes on");
        let seconds = begun.elapsed().as_secs_f64();
        println!(
            "step {step}: {seconds:.3} s, {} tokens, loss {:.4}",
            heard.tokens,
            heard.loss()
        );
        if step > 0 {
            taken.push((seconds, heard.tokens));
        }
    }
    taken
}

/// The most memory that this process had.
fn resident() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find(|line| line.starts_with("VmHWM"));
    peak.unwrap_or("VmHWM unknown").to_owned()
}
