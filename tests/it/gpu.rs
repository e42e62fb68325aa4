//! Fine-tuning on another device held against the CPU: the same gradients, the same steps, the same values left out. Runs
//! where `ASSAY_TEST_DEVICE` names one; the other stories of models run on it as well.

use assay::compute::DeviceChoice;
use assay::domain::Aspect;
use assay::domain::Interrupted;
use assay::domain::Picture;
use assay::domain::TunePreset;
use assay::domain::TuneSettings;
use assay::ml::MlError;
use assay::ml::tune::Lesson;
use assay::ml::tune::Tuner;
use assay::ml::tune::scope;
use assay::ml::vlm::Architecture;
use assay::ml::vlm::LoadWish;
use assay::ml::vlm::ModelFiles;
use assay::ml::vlm::load_to_tune;
use assay::ml::vlm::weights::Form;
use candle_core::Tensor;

use crate::device::device;
use crate::minicpm::SmallModel;
use crate::minicpm::picture;

fn settings(preset: TunePreset) -> TuneSettings {
    TuneSettings {
        rank: 4,
        alpha: 8.0,
        dropout: 0.25,
        weight_decay: 0.1,
        ..TuneSettings::new("device", preset, vec![Aspect::Quality])
    }
}

fn lesson() -> Lesson {
    let said = [
        "Describe it.",
        "The boat is sharp and the sky shows noise.",
        "Rate it.",
        "good",
    ];
    Lesson {
        picture: 0,
        messages: said.map(str::to_owned),
        word: None,
    }
}

#[expect(clippy::unnecessary_wraps, reason = "what a tuner calls may fail")]
fn pictures(_: usize) -> Result<Picture, MlError> {
    Ok(picture(200, 120))
}

#[expect(clippy::unnecessary_wraps, reason = "what a tuner calls may fail")]
fn go_on() -> Result<(), Interrupted> {
    Ok(())
}

fn tuner(model: &SmallModel, preset: TunePreset, place: (DeviceChoice, Form)) -> Tuner {
    let settings = settings(preset);
    let wish = LoadWish {
        form: Some(place.1),
        ..LoadWish::on(place.0)
    };
    let files = ModelFiles::Folder(model.path().to_owned());
    let scope = scope(&settings, Architecture::MiniCpmV);
    let loaded = load_to_tune(&files, &wish, &scope, settings.max_len).expect("the small model");
    let mut tuner = Tuner::new(loaded, &settings).expect("something to train");
    // Changes that change something: half of them are zeros at first.
    let named: Vec<_> = tuner
        .weights()
        .filter(|(name, _)| name.contains(".lora_B"))
        .map(|(name, tensor)| (name.to_owned(), tensor.dims().to_vec()))
        .collect();
    for (name, dims) in named {
        let count: usize = dims.iter().product();
        let values = (0..count).map(|at| ((at as f32) * 1.7).sin() * 0.05);
        let values = Tensor::from_vec(
            values.collect::<Vec<f32>>(),
            dims,
            &candle_core::Device::Cpu,
        );
        tuner
            .set_weight(&name, &values.expect("values"))
            .expect("a name");
    }
    tuner
}

fn values(tensor: &Tensor) -> Vec<f32> {
    let flat = tensor.flatten_all().and_then(|flat| flat.to_vec1());
    flat.expect("single-precision values")
}

/// Distance of two vectors over the length of the second.
fn apart(ours: &[f32], theirs: &[f32]) -> f64 {
    let square = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>();
    let pairs = ours.iter().zip(theirs);
    let between = square(&mut pairs.map(|(a, b)| f64::from(*a) - f64::from(*b)));
    let whole = square(&mut theirs.iter().map(|v| f64::from(*v)));
    (between / whole.max(1e-30)).sqrt()
}

/// The worst tensor's distance of the gradients of a step, by its name; what is next to nothing is left out.
fn worst(ours: &mut Tuner, theirs: &mut Tuner) -> (f64, String) {
    let lesson = lesson();
    let of = |tuner: &mut Tuner| {
        tuner
            .gradients(&[&lesson], 3, &mut pictures, &mut go_on)
            .expect("gradients")
    };
    let ((ours_found, heard), (theirs_found, by)) = (of(ours), of(theirs));
    let off = (heard.loss() - by.loss()).abs() / by.loss();
    let mut worst = (off, "the loss".to_owned());
    let names = ours.weights().map(|(name, _)| name.to_owned());
    for ((name, a), b) in names.zip(&ours_found).zip(&theirs_found) {
        let (Some(a), Some(b)) = (a, b) else {
            assert_eq!(a.is_some(), b.is_some(), "{name}");
            continue;
        };
        let (a, b) = (values(a), values(b));
        let norm = b.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
        if norm > 1e-4 * by.grad_norm {
            let apart = apart(&a, &b);
            if apart > worst.0 {
                worst = (apart, name);
            }
        }
    }
    worst
}

#[test]
fn a_device_tunes_as_the_cpu_does() {
    let device = device();
    if std::env::var_os("ASSAY_TEST_DEVICE").is_none() {
        eprintln!("skipped: ASSAY_TEST_DEVICE names no device");
        return;
    }
    let model = SmallModel::of_side(112);
    for preset in TunePreset::ALL {
        let mut theirs = tuner(&model, preset, (DeviceChoice::Cpu, Form::F32));
        // These random weights are large: torch's own gradients under autocast to bf16 are up to 0.18 from its own.
        for (form, within) in [(Form::F32, 1e-3), (Form::Bf16, 0.4)] {
            let mut ours = tuner(&model, preset, (device, form));
            let (worst, name) = worst(&mut ours, &mut theirs);
            eprintln!("{preset} {form}: gradients differ by {worst:.1e} at most ({name})");
            assert!(worst < within, "{preset} {form}: {name} is off by {worst}");
        }
        let mut ours = tuner(&model, preset, (device, Form::F32));
        for tuner in [&mut ours, &mut theirs] {
            for _ in 0..3 {
                let heard = tuner.step(&[&lesson()], 1e-3, &mut pictures, &mut go_on);
                heard.expect("a step");
            }
        }
        for ((name, ours), (_, theirs)) in ours.weights().zip(theirs.weights()) {
            if name.ends_with("k_proj.bias") {
                // Softmax does not see it: the optimiser follows the rounding, which is each device's own.
                continue;
            }
            let apart = apart(&values(ours), &values(theirs));
            assert!(apart < 1e-2, "{preset}: {name} moved elsewhere, by {apart}");
        }
    }
}
