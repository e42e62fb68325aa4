//! What can be chosen for a training run from the command line, and what becomes of it in the project.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;

use assay::domain::Aspect;
use assay::domain::Picture;
use assay::domain::RunId;
use assay::domain::RunStatus;
use assay::domain::Selection;
use assay::domain::Split;
use assay::media;
use assay::store::Project;
use serde_json::Value;

use crate::world::Answer;
use crate::world::World;

fn train(world: &World, more: &[&str]) -> Answer {
    let start = ["train", "--project", "demo.assay", "--json"];
    let words: Vec<&str> = start.iter().chain(more).copied().collect();
    world.run(&words)
}

fn well(world: &World, more: &[&str]) -> Value {
    let answer = train(world, more);
    assert_eq!(answer.code, Some(0), "{more:?}: {}", answer.stderr);
    answer.json()
}

fn project(world: &World) -> Project {
    Project::open(&world.path("demo.assay")).expect("a whole project")
}

#[test]
fn what_does_not_fit_together_is_wrong_usage_in_words() {
    let world = World::new();
    for (wrong, words) in [
        (&["--projection", "full"][..], "hidden states are read"),
        (
            &["--loss", "ranknet", "--batch-size", "1"],
            "at least 2 images",
        ),
        (&["--head", "mlp", "--published-quirks"], "no slips"),
        (&["--dim", "102"], "multiple of 4"),
        (
            &["--protocol", "published", "--folds", "3"],
            "cross-validation",
        ),
    ] {
        let answer = train(&world, wrong);
        assert_eq!(answer.code, Some(2), "{wrong:?}: {}", answer.stderr);
        assert!(answer.stderr.contains(words), "{}", answer.stderr);
        assert!(answer.json()["error"].is_string());
    }
    let unknown = train(&world, &["--head", "cnn"]);
    assert_eq!(unknown.code, Some(2));
    assert!(unknown.stderr.contains("mamba2"), "{}", unknown.stderr);
}

#[test]
fn a_run_learns_from_what_was_chosen_and_keeps_its_test() {
    let world = World::with_demo(48);
    let unknown = train(&world, &["--generator", "nobody"]);
    assert_eq!(unknown.code, Some(1));
    assert!(unknown.stderr.contains("there are "), "{}", unknown.stderr);
    let untagged = train(&world, &["--tag", "mine"]);
    assert!(untagged.stderr.contains("tag"), "{}", untagged.stderr);

    let both = well(
        &world,
        &["--aspect", "quality,correspondence", "--epochs", "2"],
    );
    let runs = both.as_array().expect("a run for each aspect");
    assert_eq!(runs.len(), 2);
    let all = &runs[0]["images"];

    let catalog = project(&world).catalog().expect("a catalog");
    let named = catalog
        .images
        .iter()
        .filter_map(|row| row.generator.clone());
    let named: BTreeSet<String> = named.collect();
    let mut more = vec!["--aspect", "quality", "--epochs", "2"];
    for generator in named.iter().take(2) {
        more.extend(["--generator", generator]);
    }
    let some = well(&world, &more);
    let learned =
        |images: &Value| images["train"].as_u64().unwrap() + images["val"].as_u64().unwrap();
    assert!(learned(&some["images"]) < learned(all), "{some}");
    assert_eq!(some["images"]["test"], all["test"], "the same test list");

    let project = project(&world);
    let catalog = project.catalog().unwrap();
    assert!(catalog.runs.iter().all(|run| run.status == RunStatus::Done));
    let run = RunId(some["run"].as_i64().unwrap());
    let tests = project.run_tests(run).unwrap();
    assert_eq!(Some(tests.len() as u64), some["images"]["test"].as_u64());
    assert!(
        tests
            .iter()
            .all(|test| test.before.is_some() && test.after.is_some())
    );
    let card = catalog.predictors.iter().find(|card| card.run == Some(run));
    let split = &card.expect("a predictor of the run").split;
    assert!(split.contains("only pictures of"), "{split}");
}

#[test]
fn a_cross_validation_answers_mean_and_spread_and_takes_nothing_into_use() {
    let world = World::with_demo(48);
    let answer = well(
        &world,
        &["--aspect", "quality", "--folds", "2", "--epochs", "1"],
    );
    assert_eq!(answer["runs"].as_array().map(Vec::len), Some(2));
    assert!(answer["val"].is_object() && answer["test"].is_object());
    let catalog = project(&world).catalog().unwrap();
    assert!(catalog.runs.iter().all(|run| run.settings.fold.is_some()));
    assert!(
        catalog
            .settings
            .predictor
            .iter()
            .all(|(_, in_use)| in_use.is_none())
    );
    let is_selected = |run: &assay::domain::RunRecord| run.settings.selection;
    assert!(
        catalog
            .runs
            .iter()
            .all(|run| is_selected(run) == Selection::Validation)
    );
}

#[test]
fn a_predictor_reads_the_messages_that_it_was_asked_to_and_is_scored_by_them() {
    let world = World::with_demo(48);
    let run = |more: &[&str]| {
        let start = ["--aspect", "quality", "--epochs", "2", "--head", "mlp"];
        well(&world, &[&start[..], more].concat())
    };
    let usual = run(&[]);
    let alone = run(&["--reads", "request"]);
    assert_eq!(usual["images"], alone["images"]);
    assert_ne!(usual["test"], alone["test"], "it reads something else");
    let answered = run(&["--reads", "answered", "--also", "correspondence,quality"]);
    assert_eq!(usual["images"], answered["images"]);

    let card = project(&world).catalog().unwrap().predictors.pop().unwrap();
    let words =
        "reads the whole conversation with its answer, after what is said of correspondence";
    assert!(card.split.contains(words), "{}", card.split);
    // What it reads of other aspects was described on the way, and scoring reads the same again.
    let score = || world.run_on_demo("score", "quality");
    let scored = score();
    assert_eq!(scored.code, Some(0), "{}", scored.stderr);
    assert_eq!(scored.json()["failed"].as_array().map(Vec::len), Some(0));
    // A file of weights has no place for it.
    let save = [
        "models",
        "save",
        "--project",
        "demo.assay",
        "--aspect",
        "quality",
    ];
    let refused = world.run(&[&save[..], &["--out", "out.safetensors"]].concat());
    assert_eq!(refused.code, Some(1));
    assert!(
        refused.stderr.contains("after what is said"),
        "{}",
        refused.stderr
    );
    let wrong = train(&world, &["--reads", "all"]);
    assert_eq!(wrong.code, Some(2));
}

/// Twenty pictures by each of two generators, in folders of their own under the same file names, as datasets of generated
/// pictures often come; no split.
fn with_namesakes(prompt: impl Fn(usize) -> String) -> World {
    let world = World::new();
    let mut table = "image_path,prompt,mos_quality\n".to_owned();
    for (shade, generator) in ["sd", "mj"].into_iter().enumerate() {
        fs::create_dir_all(world.path("set").join(generator)).expect("the world can be written");
        for number in 0..20 {
            let picture = Picture {
                width: 16,
                height: 16,
                rgb: (0..16 * 16 * 3)
                    .map(|at| (at * 7 + number * 5 + shade * 3) as u8)
                    .collect(),
            };
            let bytes = media::encode_png(&picture).expect("a picture of 16 by 16");
            let name = format!("{generator}/{number:04}.png");
            fs::write(world.path("set").join(&name), bytes).expect("the world can be written");
            writeln!(table, "{name},{},{}", prompt(number), number % 5).expect("a text takes it");
        }
    }
    world.write("set/data.csv", &table);
    let imported = world.run(&["import", "set/data.csv", "--project", "demo.assay"]);
    assert_eq!(imported.code, Some(0), "{}", imported.stderr);
    world
}

/// The list of every image under quality.
fn splits(world: &World) -> Vec<Option<Split>> {
    let images = project(world).catalog().expect("a catalog").images;
    assert_eq!(images.len(), 40);
    let split = |image: &assay::domain::ImageRecord| *image.split.get(Aspect::Quality);
    images.iter().map(split).collect()
}

#[test]
fn a_dataset_without_a_split_gets_one_for_files_of_the_same_name_too() {
    let world = with_namesakes(|number| format!("scene {number}"));
    let run = well(&world, &["--aspect", "quality", "--epochs", "1"]);
    let num = |part: &str| run["images"][part].as_u64().unwrap();
    assert_eq!(num("test"), 8, "{run}");
    assert_eq!(num("train") + num("val"), 32, "{run}");
    let splits = splits(&world);
    let count = |split| splits.iter().filter(|own| **own == Some(split)).count();
    assert_eq!([count(Split::Train), count(Split::Test)], [32, 8]);
}

#[test]
fn a_dataset_that_no_test_list_can_be_cut_from_is_refused_and_left_alone() {
    let world = with_namesakes(|_| String::new());
    let refused = train(&world, &["--aspect", "quality", "--epochs", "1"]);
    assert_eq!(refused.code, Some(1));
    assert!(
        refused.stderr.contains("no test list can be cut"),
        "{}",
        refused.stderr
    );
    assert!(
        refused.stderr.contains("column split"),
        "{}",
        refused.stderr
    );
    assert_eq!(splits(&world), vec![None; 40]);
}
