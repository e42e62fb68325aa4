//! What can be chosen for a training run from the command line, and what becomes of it in the project.

use std::collections::BTreeSet;

use assay::domain::RunId;
use assay::domain::RunStatus;
use assay::domain::Selection;
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
