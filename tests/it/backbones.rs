//! Folders of the hub with LLaVA-1.5 and Qwen2.5-VL, small and random (`tests/fixtures`), do what the embedded model
//! does. That they compute the right thing is shown beside their code.

use std::fs;
use std::path::Path;
use std::path::PathBuf;

use assay::compute::DeviceChoice;
use assay::domain::Conversation;
use assay::domain::Features;
use assay::domain::Picture;
use assay::ml::vlm::LocalModel;
use assay::ml::vlm::ModelFiles;
use assay::ml::vlm::fit_of_config;
use serde_json::Value;
use serde_json::json;

use crate::device::device;
use crate::device::load;
use crate::world::World;

const BACKBONES: [(&str, &str); 2] = [("llava", "llava-1.5"), ("qwen2_5_vl", "qwen2.5-vl")];

fn folder(fixture: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(fixture)
        .join("model")
}

fn picture() -> Picture {
    let rgb: Vec<u8> = (0..90 * 61 * 3u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    Picture {
        width: 90,
        height: 61,
        rgb: rgb.into(),
    }
}

fn conversation(description: &str) -> Conversation {
    Conversation {
        request: "Describe its quality.".to_owned(),
        description: description.to_owned(),
        question: "Rate it.".to_owned(),
    }
}

fn worst(a: &Features, b: &Features) -> f32 {
    let pairs = a.values.iter().zip(b.values.iter());
    pairs
        .map(|(a, b)| (a.to_f32() - b.to_f32()).abs())
        .fold(0.0, f32::max)
}

/// A copy of a fixture's folder in a world, with one more word in its `config.json`.
fn copy_with(world: &World, fixture: &str, key: &str, value: Value) -> PathBuf {
    let copy = world.path(fixture);
    fs::create_dir(&copy).expect("the fixture can be copied");
    for entry in fs::read_dir(folder(fixture))
        .expect("the fixture can be copied")
        .flatten()
    {
        fs::copy(entry.path(), copy.join(entry.file_name())).expect("the fixture can be copied");
    }
    let config = copy.join("config.json");
    let mut json: Value =
        serde_json::from_str(&fs::read_to_string(&config).expect("the fixture can be copied"))
            .expect("the fixture can be copied");
    json[key] = value;
    fs::write(config, json.to_string()).expect("the fixture can be copied");
    copy
}

#[test]
fn one_pass_gives_the_features_of_the_two_pass_way() {
    for (fixture, architecture) in BACKBONES {
        let model = load(&folder(fixture));
        assert_eq!(model.card().architecture, architecture);
        let mut settings = model.settings();
        settings.max_new_tokens = 24;
        let asked = ("Describe its quality.", "Rate it.");
        let made = model
            .describe(&picture(), asked, &settings, &mut |_| Ok(()))
            .unwrap();
        let again = model
            .features(&picture(), &conversation(&made.text))
            .unwrap();
        assert_eq!(made.features.num_tokens, again.num_tokens, "{fixture}");
        let worst = worst(&made.features, &again);
        assert!(
            worst < 2e-2,
            "{fixture}: half precision rounds near 1e-3 of values up to 8; got {worst}"
        );
    }
}

/// The embedded model as a folder of the hub: no `model.toml`, and a `config.json` that says its kind.
fn hub_minicpm(world: &World) -> PathBuf {
    let copy = world.path("MiniCPM-Llama3-V-2_5");
    fs::create_dir(&copy).expect("a folder can be made");
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/mini");
    for name in ["tokenizer.json", "model.safetensors"] {
        fs::copy(from.join(name), copy.join(name)).expect("the model can be copied");
    }
    let config = fs::read_to_string(from.join("config.json")).expect("the model is there");
    let mut config: Value = serde_json::from_str(&config).expect("JSON");
    config["model_type"] = json!("minicpmv");
    fs::write(copy.join("config.json"), config.to_string()).expect("the model can be copied");
    copy
}

#[test]
fn a_folder_of_minicpm_needs_no_manifest() {
    let world = World::new();
    let model = load(&hub_minicpm(&world));
    assert_eq!(model.card().architecture, "minicpm-v-2.5");
    assert_eq!(model.card().tag.name, "MiniCPM-Llama3-V-2_5");
    let embedded = LocalModel::embedded(device()).unwrap();
    let said = conversation("It is sharp.");
    let [ours, theirs] =
        [&model, &embedded].map(|model| model.features(&picture(), &said).unwrap());
    assert!(worst(&ours, &theirs) == 0.0, "the same weights");
}

#[test]
fn a_model_is_weighed_by_its_configuration_as_by_its_files() {
    let world = World::new();
    let folders = BACKBONES.map(|(fixture, _)| folder(fixture));
    for folder in folders.into_iter().chain([hub_minicpm(&world)]) {
        let text = |name: &str| fs::read_to_string(folder.join(name)).ok();
        let config = text("config.json").expect("every model has one");
        let preprocessor = text("preprocessor_config.json");
        let before = fit_of_config(&config, preprocessor.as_deref(), DeviceChoice::Cpu).unwrap();
        let files = ModelFiles::Folder(folder.clone());
        let after = files.fit(DeviceChoice::Cpu, None, 0).unwrap();
        assert_eq!(before.forms, after.forms, "{}", folder.display());
        assert_eq!(before.chosen, 0, "small ones fit in single precision");
    }
    assert!(fit_of_config("{\"model_type\": \"bert\"}", None, DeviceChoice::Cpu).is_err());
}

#[test]
fn a_limit_within_the_picture_leaves_the_beginning_as_it_was() {
    for (fixture, _) in BACKBONES {
        let world = World::new();
        let limited = copy_with(&world, fixture, "max_len", json!(26));
        let [limited, whole] = [limited, folder(fixture)].map(|folder| {
            let model = load(&folder);
            model
                .features(&picture(), &conversation("It is sharp."))
                .unwrap()
        });
        assert_eq!(limited.num_tokens, 26, "{fixture}");
        let worst = worst(&limited, &whole);
        assert!(worst < 2e-2, "{fixture}: {worst}");
    }
}

#[test]
fn hub_folders_describe_and_give_features() {
    for (fixture, architecture) in BACKBONES {
        let world = World::with_pictures(4);
        let model = folder(fixture).display().to_string();
        let run = |command: &[&str]| {
            let more = ["--project", "demo.assay", "--model", &model, "--json"];
            let words: Vec<&str> = command.iter().chain(&more).copied().collect();
            let answer = world.run(&words);
            assert_eq!(
                answer.code,
                Some(0),
                "{fixture} {command:?}: {}",
                answer.stderr
            );
            answer.json()
        };
        let aspect = ["--aspect", "quality"];
        let described = run(&[&["describe"], &aspect[..]].concat());
        assert_eq!(described["done"], json!(4), "{described}");
        let out = world.path("f.safetensors").display().to_string();
        let picture = world.path("pictures/generator-1.png").display().to_string();
        let features = [
            "features", &picture, "--out", &out, "--model", &model, "--json",
        ];
        let features = world.run(&[&features[..], &aspect[..]].concat());
        assert_eq!(features.code, Some(0), "{fixture}: {}", features.stderr);
        let checked = world.run(&["models", "check", "--model", &model]);
        assert_eq!(checked.code, Some(0), "{fixture}: {}", checked.stderr);
        assert!(checked.stdout.contains(architecture), "{}", checked.stdout);
    }
}

#[test]
fn a_folder_that_is_something_else_says_what_is_known() {
    let world = World::with_pictures(4);
    let other = copy_with(&world, "llava", "model_type", json!("bert"));
    let model = other.display().to_string();
    let answer = world.run(&[
        "describe",
        "--project",
        "demo.assay",
        "--aspect",
        "quality",
        "--model",
        &model,
    ]);
    assert_ne!(answer.code, Some(0), "{}", answer.stdout);
    assert!(answer.stderr.contains("model.toml"), "{}", answer.stderr);
    let siglip = json!({"model_type": "siglip_vision_model"});
    let world = World::with_pictures(4);
    let other = copy_with(&world, "llava", "vision_config", siglip);
    let model = other.display().to_string();
    let answer = world.run(&[
        "describe",
        "--project",
        "demo.assay",
        "--aspect",
        "quality",
        "--model",
        &model,
    ]);
    assert_ne!(answer.code, Some(0), "{}", answer.stdout);
    assert!(
        answer.stderr.contains("clip_vision_model"),
        "{}",
        answer.stderr
    );
}
