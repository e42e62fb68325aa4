//! `assay tune` as a user meets it, on the demo's conversations and the model inside the binary.

use std::collections::BTreeSet;
use std::fs;
use std::thread;
use std::time::Duration;

use assay::domain::Aspect;
use assay::domain::Split;
use assay::domain::TunePreset;
use assay::domain::TuneRun;
use assay::domain::TuneSettings;
use assay::jobs::Workers;
use assay::jobs::message::Control;
use assay::jobs::message::Event;
use assay::jobs::message::Job;
use assay::jobs::message::JobReport;
use assay::store::Project;
use serde_json::Value;
use serde_json::json;

use crate::pipeline::listen;
use crate::pipeline::open;
use crate::pipeline::workers;
use crate::world::World;

const FAST: [&str; 8] = [
    "--accumulation",
    "2",
    "--rank",
    "2",
    "--val-fraction",
    "0.2",
    "--learning-rate",
    "1e-3",
];

fn tune(out: &'static str, more: &[&'static str]) -> Vec<&'static str> {
    let fixed = ["tune", "--project", "demo.assay", "--out", out, "--json"];
    fixed.iter().chain(&FAST).chain(more).copied().collect()
}

#[test]
fn a_model_learns_from_the_teacher_and_its_adapter_is_used() {
    let world = World::with_demo(20);
    let said = world.run(&tune("mine", &["--estimate"]));
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    let estimate = said.json();
    let [train, val] =
        ["train", "val"].map(|part| estimate["conversations"][part].as_u64().unwrap());
    assert!(train > val && val > 0, "{estimate}");
    assert!(estimate["fits"].as_bool().unwrap());

    let tuned = world.run(&tune("mine", &["--epochs", "2"]));
    assert_eq!(tuned.code, Some(0), "{}", tuned.stderr);
    let json = tuned.json();
    assert_eq!(json["steps"].as_u64(), Some(2 * train.div_ceil(2)));
    let epochs = json["epochs"].as_array().unwrap();
    assert_eq!(epochs.len(), 3, "the base and two epochs");
    let loss = |at: usize| epochs[at]["val"]["loss"].as_f64().unwrap();
    assert!(loss(2) < loss(0), "{epochs:?}");
    assert!(epochs[0]["val"]["word_accuracy"].is_number(), "{epochs:?}");
    assert!(json["measured_bytes"].as_u64().unwrap() > 1 << 20);
    let folder = json["adapter"].as_str().unwrap();
    for file in [
        "adapter_config.json",
        "adapter_model.safetensors",
        "model.toml",
    ] {
        assert!(fs::exists(format!("{folder}/{file}")).unwrap(), "{file}");
    }

    let listed = world.run(&["tune", "--list", "--json"]).json();
    assert_eq!(listed[0]["status"], "Done");
    let again = world.run(&tune("mine", &[]));
    assert_eq!(again.code, Some(1));
    assert!(again.stderr.contains("called mine"), "{}", again.stderr);
    // The name suffices to use it, and what it says is told from what the base says.
    let arguments = [
        "describe",
        "--project",
        "demo.assay",
        "--aspect",
        "quality",
        "--limit",
        "1",
    ];
    let described = world.run(&[&arguments[..], &["--adapter", "mine", "--json"]].concat());
    assert_eq!(described.code, Some(0), "{}", described.stderr);
    let project = Project::open(&world.path("demo.assay")).unwrap();
    let catalog = project.catalog().unwrap();
    let models: BTreeSet<String> = catalog
        .descriptions
        .iter()
        .filter_map(|told| Some(told.made.model.as_ref()?.name.clone()))
        .collect();
    assert!(models.contains("mini with mine"), "{models:?}");
    let forgotten = world.run(&["tune", "--forget", "mine"]);
    assert_eq!(forgotten.code, Some(0), "{}", forgotten.stderr);
    assert!(fs::exists(folder).unwrap(), "the adapter stays");
}

#[test]
fn a_killed_run_goes_on_and_ends_like_one_that_was_not() {
    let adapter = |world: &World, json: &Value| {
        let folder = json["adapter"].as_str().unwrap().to_owned();
        fs::read(world.path(&folder).join("adapter_model.safetensors")).unwrap()
    };
    let whole = World::with_demo(20);
    let expected = whole.run(&tune("mine", &["--epochs", "2"]));
    let expected = adapter(&whole, &expected.json());
    let world = World::with_demo(20);
    let mut kills = 0;
    while kills < 3 {
        let mut child = world.start(&tune("mine", &["--epochs", "2"]));
        thread::sleep(Duration::from_millis(1500 + 700 * kills));
        child.kill().ok();
        child.wait().unwrap();
        kills += 1;
    }
    let ended = world.run(&tune("mine", &["--epochs", "2"]));
    if ended.code == Some(0) {
        assert_eq!(adapter(&world, &ended.json()), expected);
    } else {
        // A fast machine was through before it was killed.
        assert!(ended.stderr.contains("called mine"), "{}", ended.stderr);
    }
}

#[test]
fn a_picture_of_the_test_list_is_in_no_conversation() {
    let world = World::with_demo(20);
    let project = Project::open(&world.path("demo.assay")).unwrap();
    let catalog = project.catalog().unwrap();
    let num_train = catalog.images.iter().filter(|image| {
        let mut splits = Aspect::ALL.iter().map(|aspect| *image.split.get(*aspect));
        *image.split.get(Aspect::Quality) == Some(Split::Train)
            && splits.all(|split| !matches!(split, Some(Split::Test)))
    });
    let num_train = num_train.count() as u64;
    drop(project);
    let estimate = world.run(&tune("mine", &["--estimate"])).json();
    let count = |part: &str| estimate["conversations"][part].as_u64().unwrap();
    assert!(count("train") + count("val") <= num_train, "{estimate}");
}

/// A project without a split, whose pictures are all described by a teacher under quality.
fn without_a_split() -> World {
    let world = World::with_pictures(24);
    let entry = |number: usize| {
        let said = |role: &str, content: String| json!({ "role": role, "content": content });
        json!({
            "id": number.to_string(),
            "image": format!("generator-{number}.png"),
            "conversations": [
                said("user", format!("<image>\nLook at 'prompt {}'. What of its quality?", number / 4)),
                said("assistant", format!("A soft picture with {number} stripes.")),
                said("user", "Rate the quality in one word.".to_owned()),
                said("assistant", "good".to_owned()),
            ],
        })
    };
    let entries: Vec<Value> = (0..24).map(entry).collect();
    fs::create_dir(world.path("told")).expect("a folder of its own");
    world.write("told/quality.json", &json!(entries).to_string());
    let import = ["import", "pictures", "--project", "demo.assay"];
    let imported = world.run(&[&import[..], &["--conversations", "told"]].concat());
    assert_eq!(imported.code, Some(0), "{}", imported.stderr);
    world
}

#[test]
fn a_project_without_a_split_is_estimated_as_it_is_tuned() {
    let world = without_a_split();
    let splits = || -> BTreeSet<Option<Split>> {
        let project = Project::open(&world.path("demo.assay")).unwrap();
        let images = project.catalog().unwrap().images;
        let split = |image: &assay::domain::ImageRecord| *image.split.get(Aspect::Quality);
        images.iter().map(split).collect()
    };
    let estimated = world.run(&tune("mine", &["--estimate"]));
    assert_eq!(estimated.code, Some(0), "{}", estimated.stderr);
    let estimate = estimated.json()["conversations"].clone();
    let count = |part: &str| estimate[part].as_u64().unwrap();
    assert!(count("train") > 0 && count("val") > 0, "{estimate}");
    // An estimate changes nothing; the run keeps the split that was foreseen.
    assert_eq!(splits(), BTreeSet::from([None]));
    let tuned = world.run(&tune("mine", &["--epochs", "1"]));
    assert_eq!(tuned.code, Some(0), "{}", tuned.stderr);
    assert_eq!(tuned.json()["conversations"], estimate);
    assert_eq!(
        splits(),
        BTreeSet::from([Some(Split::Train), Some(Split::Test)])
    );
}

#[test]
fn a_project_that_nobody_rated_is_tuned_on_what_the_teacher_said() {
    let world = without_a_split();
    fs::remove_file(world.path("demo.assay")).unwrap();
    let rows = (0..24).map(|number| format!("generator-{number}.png,prompt {}\n", number / 4));
    let table = "name,prompt\n".to_owned() + &rows.collect::<String>();
    world.write("pictures/data.csv", &table);
    let import = ["import", "pictures", "--project", "demo.assay"];
    let imported = world.run(&[&import[..], &["--conversations", "told"]].concat());
    assert_eq!(imported.code, Some(0), "{}", imported.stderr);
    let tuned = world.run(&tune("mine", &["--epochs", "1"]));
    assert_eq!(tuned.code, Some(0), "{}", tuned.stderr);
    let count = tuned.json()["conversations"]["train"].as_u64().unwrap();
    assert!(
        (8..24).contains(&count),
        "some prompts are set aside: {count}"
    );
}

/// Tunes, does `control` to the job after the first epoch, and answers its report with the run as it was last heard of.
fn tuned(workers: &Workers, job: Job, control: Option<Control>) -> (JobReport, TuneRun) {
    let job = workers.submit(job);
    let (mut last, mut report) = (None, None);
    listen(workers, |event| {
        match event {
            Event::TuneEpochDone(_, epoch) if epoch.epoch == 1 => {
                if let Some(control) = control {
                    workers.control(job, control);
                }
            }
            Event::TuneChanged(run) => last = Some(*run),
            Event::JobDone(done, ended) if done == job => report = Some(ended),
            Event::JobFailed(failed, reason) if failed == job => panic!("{reason}"),
            _ => {}
        }
        report.is_some()
    });
    (report.expect("a report"), last.expect("a run"))
}

#[test]
fn a_run_that_was_stopped_goes_on_or_ends_with_its_best_epoch() {
    let world = World::with_demo(20);
    let of_three_epochs = |name: &str| {
        Job::Tune(TuneSettings {
            accumulation: 2,
            rank: 2,
            val_fraction: 0.2,
            learning_rate: 1e-3,
            epochs: 3,
            ..TuneSettings::new(name, TunePreset::Light, vec![Aspect::Quality])
        })
    };
    let checkpoint = |name: &str| {
        let folder = world.path("home").join("tunings").join(name);
        folder.join("checkpoint.safetensors").exists()
    };
    let workers = workers(&world);
    open(&workers, &world.path("demo.assay"));
    for name in ["mine", "other"] {
        let (report, run) = tuned(&workers, of_three_epochs(name), Some(Control::Cancel));
        assert!(report.cancelled, "{report:?}");
        assert!(run.can_resume() && run.can_take(), "{run:?}");
        assert!(run.adapter.is_none() && checkpoint(name), "{run:?}");
    }
    let resume = Job::ResumeTuning(assay::domain::TuneId("mine".to_owned()));
    let (_, run) = tuned(&workers, resume, None);
    assert_eq!(run.status, assay::domain::RunStatus::Done);
    assert_eq!(run.epochs.len(), 4, "the base and three epochs");
    drop(workers);

    let taken = world.run(&["tune", "--take", "other", "--json"]);
    assert_eq!(taken.code, Some(0), "{}", taken.stderr);
    let json = taken.json();
    assert_eq!(json["best_epoch"], 1, "{json}");
    let folder = world.path(json["adapter"].as_str().unwrap());
    assert!(folder.join("model.toml").exists() && !checkpoint("other"));
    let again = world.run(&["tune", "--take", "other"]);
    assert_eq!(again.code, Some(1));
    assert!(again.stderr.contains("it has ended"), "{}", again.stderr);
}

#[test]
fn what_cannot_be_learned_is_said_in_words() {
    let world = World::with_pictures(4);
    world.write(
        "pictures/data.csv",
        "name,prompt,mos_quality,split\ngenerator-0.png,a,2.5,train\n",
    );
    let imported = world.run(&["import", "pictures", "--project", "demo.assay"]);
    assert!(imported.code.is_some(), "{}", imported.stderr);
    let refused = world.run(&tune("mine", &[]));
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("assay teach"), "{}", refused.stderr);
    let wrong = world.run(&tune("../mine", &["--dropout", "1"]));
    assert_eq!(wrong.code, Some(2));
    assert!(wrong.stderr.contains("folder") && wrong.stderr.contains("Dropout"));
}
