//! Weights as users have them: in other forms, with adapters, and published predictors.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

use candle_core::Device;
use candle_core::Tensor;

use crate::world::World;

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn load(path: &Path) -> HashMap<String, Tensor> {
    candle_core::safetensors::load(path, &Device::Cpu).expect("a safetensors file")
}

#[test]
fn a_published_checkpoint_scores_a_file_of_features_like_torch() {
    let world = World::new();
    let golden = load(&repository("tests/fixtures/published/small.safetensors"));
    let hidden = HashMap::from([("hidden", golden["states.0"].clone())]);
    let file = world.path("features.safetensors");
    candle_core::safetensors::save(&hidden, &file).expect("written");
    let head = HashMap::from([("lm_head.weight", golden["lm_head.weight"].clone())]);
    candle_core::safetensors::save(&head, world.path("head.safetensors")).expect("written");
    let checkpoint = repository("tests/fixtures/published/cuda.ckpt");
    let arguments = [
        "score",
        "--features",
        "features.safetensors",
        "--predictor",
        checkpoint.to_str().expect("a path"),
        "--lm-head",
        "head.safetensors",
        "--json",
    ];
    let theirs = f64::from(golden["score.0"].to_scalar::<f32>().expect("a number"));
    // Folded, then read back from what was kept
    for _ in 0..2 {
        let answer = world.run(&arguments);
        assert_eq!(answer.code, Some(0), "{}", answer.stderr);
        let ours = answer.json()["score"].as_f64().expect("a score");
        assert!((ours - theirs).abs() < 1e-4, "{ours} against {theirs}");
    }
    // Another model's head is refused
    let head = golden["lm_head.weight"].narrow(0, 0, 39).expect("rows");
    let head = HashMap::from([("lm_head.weight", head.contiguous().expect("rows"))]);
    candle_core::safetensors::save(&head, world.path("head.safetensors")).expect("written");
    let refused = world.run(&arguments);
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("40 tokens"), "{}", refused.stderr);
}

/// The embedded model as a folder.
fn mini(world: &World) -> PathBuf {
    let folder = world.path("mini");
    fs::create_dir_all(&folder).expect("a folder");
    for name in [
        "model.toml",
        "config.json",
        "tokenizer.json",
        "model.safetensors",
    ] {
        fs::copy(repository("models/mini").join(name), folder.join(name)).expect("copied");
    }
    folder
}

const TUNED: &str = "llm.model.layers.0.self_attn.q_proj";

fn full(rows: usize, width: usize, value: f32) -> Tensor {
    Tensor::full(value, (rows, width), &Device::Cpu).expect("numbers")
}

/// A change of rank 1 to one matrix of a model, as peft would write it.
fn write_adapter(model: &Path, adapter: &Path, value: f32) {
    let base = load(&model.join("model.safetensors"));
    let (rows, width) = base[&format!("{TUNED}.weight")].dims2().expect("a matrix");
    fs::create_dir_all(adapter).expect("a folder");
    let prefix = format!("base_model.model.{TUNED}");
    let pair = HashMap::from([
        (format!("{prefix}.lora_A.weight"), full(1, width, 1.0)),
        (format!("{prefix}.lora_B.weight"), full(rows, 1, value)),
    ]);
    candle_core::safetensors::save(&pair, adapter.join("adapter_model.safetensors"))
        .expect("written");
    let config = r#"{"peft_type": "LORA", "r": 1, "lora_alpha": 1, "target_modules": "llm\\.model\\.layers\\.0\\.self_attn\\.q_proj"}"#;
    fs::write(adapter.join("adapter_config.json"), config).expect("written");
}

fn hidden(world: &World, more: &[&str]) -> (Tensor, String) {
    let fixed = [
        "features",
        "demo/picture.png",
        "--prompt",
        "a cat",
        "--aspect",
        "quality",
        "--description",
        "It is sharp.",
        "--model",
        "mini",
        "--out",
        "out.safetensors",
        "--json",
    ];
    let arguments: Vec<&str> = fixed.iter().chain(more).copied().collect();
    let answer = world.run(&arguments);
    assert_eq!(answer.code, Some(0), "{}", answer.stderr);
    let out = load(&world.path("out.safetensors"));
    (out["hidden"].clone(), answer.stdout)
}

fn distance(a: &Tensor, b: &Tensor) -> f32 {
    let norm = |x: &Tensor| {
        let square = x.sqr().and_then(|x| x.sum_all());
        square
            .and_then(|x| x.to_scalar::<f32>())
            .expect("a number")
            .sqrt()
    };
    norm(&(a - b).expect("equal shapes")) / norm(a)
}

fn with_picture() -> World {
    let world = World::with_demo(1);
    let mut pictures = fs::read_dir(world.path("demo/images")).expect("pictures");
    let first = pictures
        .next()
        .expect("a picture")
        .expect("a picture")
        .path();
    fs::copy(first, world.path("demo/picture.png")).expect("copied");
    world
}

#[test]
fn a_model_in_fewer_bits_gives_nearly_the_same_features() {
    let world = with_picture();
    mini(&world);
    let (exact, _) = hidden(&world, &["--dtype", "f32"]);
    for (form, within) in [("f16", 5e-3), ("bf16", 4e-2), ("q8_0", 6e-2)] {
        let (other, _) = hidden(&world, &["--dtype", form]);
        let distance = distance(&exact, &other);
        // Its weights are stored in half precision, so that f16 loses nothing.
        assert!(distance > 0.0 || form == "f16", "{form}: {distance}");
        assert!(distance < within, "{form}: {distance}");
    }
    let wrong = world.run(&["models", "check", "--model", "mini", "--dtype", "int3"]);
    assert_eq!(wrong.code, Some(2));
}

#[test]
fn an_adapter_changes_what_the_model_says_and_what_it_is_called() {
    let world = with_picture();
    let folder = mini(&world);
    let adapter = world.path("adapter");
    write_adapter(&folder, &adapter, 0.1);
    let (plain, _) = hidden(&world, &[]);
    let (adapted, _) = hidden(&world, &["--adapter", "adapter"]);
    assert!(distance(&plain, &adapted) > 1e-4);
    let card = |more: &[&str]| {
        let start = ["models", "check", "--model", "mini", "--json"];
        let arguments: Vec<&str> = start.iter().chain(more).copied().collect();
        world.run(&arguments).json()["model"]["tag"].clone()
    };
    let (without, with) = (card(&[]), card(&["--adapter", "adapter"]));
    assert_ne!(without["sha256"], with["sha256"]);
    assert_eq!(with["name"].as_str(), Some("mini with adapter"));
    // An adapter that says whose it is can be asked for like a model.
    let alone = ["models", "check", "--model", "adapter", "--json"];
    assert_eq!(world.run(&alone).code, Some(1), "whose it is was not said");
    world.write(
        "adapter/model.toml",
        "kind = \"adapter\"\nbase = \"mini\"\n",
    );
    let alone = world.run(&alone).json()["model"]["tag"].clone();
    assert_eq!(alone["name"], with["name"]);
    world.write(
        "adapter/model.toml",
        "kind = \"adapter\"\nbase = \"owner/other\"\n",
    );
    let lacking = world.run(&["models", "check", "--model", "adapter"]);
    assert!(
        lacking.stderr.contains("an adapter of owner/other"),
        "{}",
        lacking.stderr
    );
    // An adapter of another model is refused, and what is wrong is named
    let other = HashMap::from([
        (
            "base_model.model.llm.model.layers.99.self_attn.q_proj.lora_A.weight".to_owned(),
            full(1, 8, 1.0),
        ),
        (
            "base_model.model.llm.model.layers.99.self_attn.q_proj.lora_B.weight".to_owned(),
            full(8, 1, 1.0),
        ),
    ]);
    candle_core::safetensors::save(&other, adapter.join("adapter_model.safetensors"))
        .expect("written");
    let refused = world.run(&["models", "check", "--model", "mini", "--adapter", "adapter"]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("layers.99"), "{}", refused.stderr);
}

#[test]
fn each_aspect_speaks_through_the_adapter_that_the_model_names_for_it() {
    let world = with_picture();
    let folder = mini(&world);
    for (aspect, value) in [("quality", 0.0004), ("authenticity", -0.0004)] {
        write_adapter(&folder, &folder.join(aspect), value);
    }
    let mut manifest = fs::read_to_string(folder.join("model.toml")).expect("a manifest");
    manifest.push_str("\n[adapters]\nquality = \"quality\"\nauthenticity = \"authenticity\"\n");
    fs::write(folder.join("model.toml"), manifest).expect("written");
    let answer = world.run(&[
        "describe",
        "--project",
        "demo.assay",
        "--model",
        "mini",
        "--aspect",
        "all",
        "--json",
    ]);
    assert_eq!(answer.code, Some(0), "{}", answer.stderr);
    assert_eq!(answer.json()["done"].as_u64(), Some(3), "{}", answer.stdout);
    // Each description remembers the model with the adapter that made it
    assert_eq!(
        describers(&world),
        ["mini", "mini with authenticity", "mini with quality"]
    );
    // A second time nothing is due
    let again = world.run(&[
        "describe",
        "--project",
        "demo.assay",
        "--model",
        "mini",
        "--aspect",
        "all",
        "--json",
    ]);
    assert_eq!(again.json()["skipped"].as_u64(), Some(3));
}

/// Names of the models that described the demo, in order.
fn describers(world: &World) -> Vec<String> {
    let project = assay::store::Project::open(&world.path("demo.assay")).expect("a project");
    let catalog = project.catalog().expect("a catalog");
    let mut names: Vec<String> = catalog
        .descriptions
        .iter()
        .filter_map(|description| Some(description.made.model.as_ref()?.name.clone()))
        .collect();
    names.sort();
    names
}

#[test]
fn a_project_takes_an_adapter_for_one_aspect_and_a_published_predictor_over_it() {
    let world = with_picture();
    let folder = mini(&world);
    write_adapter(&folder, &world.path("sharper"), 0.1);
    let choose = |what: &[&str]| {
        let arguments = [&["use"], what, &["--project", "demo.assay"]].concat();
        world.run(&arguments)
    };
    let is_done = |what: &[&str]| {
        let answer = choose(what);
        assert_eq!(answer.code, Some(0), "{what:?}: {}", answer.stderr);
        answer
    };
    is_done(&["model", "mini"]);
    is_done(&["adapter", "sharper", "--aspect", "quality"]);
    // The checkpoint is folded with the head of what describes quality now, and kept in the project.
    let checkpoint = repository("tests/fixtures/published/mini.ckpt");
    let checkpoint = checkpoint.to_str().expect("a path");
    is_done(&["predictor", checkpoint, "--aspect", "quality"]);
    is_done(&["predictor", checkpoint, "--aspect", "quality"]);
    let score = || world.run_on_demo("score", "quality");
    let scored = score();
    assert_eq!(scored.json()["done"].as_u64(), Some(1), "{}", scored.stderr);
    assert_eq!(describers(&world), ["mini with sharper"]);
    let listed = is_done(&["predictor", "--aspect", "quality", "--json"]).json();
    assert_eq!(listed["in_use"]["model"]["name"], "mini with sharper");
    let names = listed["predictors"].as_array().expect("a list");
    let kept = names.iter().filter(|card| card["name"] == "mini").count();
    assert_eq!(kept, 1, "taken in twice, kept once: {listed}");
    // Another aspect goes on without an adapter, and so does quality once it is taken out.
    let describe = |aspect| {
        let arguments = ["describe", "--project", "demo.assay", "--aspect", aspect];
        assert_eq!(world.run(&arguments).code, Some(0));
    };
    describe("authenticity");
    is_done(&["adapter", "none", "--aspect", "quality"]);
    describe("quality");
    assert_eq!(describers(&world), ["mini", "mini", "mini with sharper"]);
    let refused = score();
    assert!(
        refused.stderr.contains("mini with sharper"),
        "{}",
        refused.stderr
    );
    // An adapter of another model is refused before anything is changed.
    world.write(
        "sharper/model.toml",
        "kind = \"adapter\"\nbase = \"owner/other\"\n",
    );
    let refused = choose(&["adapter", "sharper", "--aspect", "quality"]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("owner/other"), "{}", refused.stderr);
}

#[test]
fn a_published_checkpoint_scores_alone_and_converted_alike() {
    let world = with_picture();
    mini(&world);
    let checkpoint = repository("tests/fixtures/published/mini.ckpt");
    let checkpoint = checkpoint.to_str().expect("a path");
    let score = |predictor: &str| {
        let picture = ["score", "demo/picture.png", "--prompt", "a cat"];
        let by = ["--model", "mini", "--predictor", predictor];
        let arguments = [&picture[..], &["--aspect", "quality"], &by, &["--json"]].concat();
        let answer = world.run(&arguments);
        assert_eq!(answer.code, Some(0), "{}", answer.stderr);
        answer.json()["score"].as_f64().expect("a score")
    };
    let convert = |out: &str, more: &[&str]| {
        let fixed = ["convert", checkpoint, "--model", "mini", "--out", out];
        world.run(&[&fixed[..], &["--json"], more].concat())
    };
    let before = score(checkpoint);
    let converted = convert("quality.safetensors", &["--scale", "0-5"]);
    assert_eq!(converted.code, Some(0), "{}", converted.stderr);
    assert_eq!(converted.json()["predictor"]["aspect"], "quality");
    let after = score("quality.safetensors");
    assert!((before - after).abs() < 1e-4, "{before} against {after}");
    // What cannot be is refused in words, and writes nothing.
    let refusals: [(&str, &[&str], &str); 3] = [
        ("other.safetensors", &["--scale", "5-0"], "MIN-MAX"),
        ("demo/picture.png/quality.safetensors", &[], "picture.png"),
        (
            "other.safetensors",
            &["--lm-head", "none.safetensors"],
            "none.safetensors",
        ),
    ];
    for (out, more, words) in refusals {
        let refused = convert(out, more);
        assert!(refused.code.is_some_and(|code| code > 0), "{words}");
        assert!(refused.stderr.contains(words), "{}", refused.stderr);
        assert!(!world.path(out).exists(), "{out}");
    }
}
