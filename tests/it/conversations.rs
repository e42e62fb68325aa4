//! Conversations in the published format: what is written is read back as it was, and what models said is held against
//! what people said.

use std::collections::BTreeSet;
use std::path::PathBuf;

use assay::dataset;
use assay::domain::Aspect;
use assay::domain::ConversationEntry;
use assay::domain::Origin;
use assay::domain::Problem;
use assay::domain::Split;
use assay::domain::SplitEntry;
use assay::store::Project;

use crate::datasets::real_data;
use crate::world::World;

/// What a conversation is, without the file that it came from.
type Told = (String, Aspect, Origin, [String; 3], Option<String>);

fn told(entry: &ConversationEntry) -> Told {
    let messages = [&entry.request, &entry.description, &entry.question];
    (
        entry.file_name.clone(),
        entry.aspect,
        entry.origin,
        messages.map(Clone::clone),
        entry.answer.clone(),
    )
}

/// What files hold.
struct Found {
    told: BTreeSet<Told>,
    splits: Vec<SplitEntry>,
    problems: Vec<Problem>,
}

fn read(paths: &[PathBuf]) -> Found {
    let found = dataset::read_conversations(paths).expect("the files are readable");
    Found {
        told: found.entries.iter().map(told).collect(),
        splits: found.splits,
        problems: found.problems,
    }
}

/// Entries as the published files have them: placeholder, four messages, and what the fine-tuned model said of a test
/// picture.
fn published(world: &World) -> PathBuf {
    let entry = |number: usize, more: &str| {
        format!(
            r#"{{"id": "{number}", "image": "/home/a/generator-{number}.png", "conversations": [
                {{"role": "user", "content": "<image>\nLook at 'prompt {}'. What of its quality?"}},
                {{"role": "assistant", "content": "Text {number} with \"quotes\",\nand 五."}},
                {{"role": "user", "content": "Rate the quality in one word."}},
                {{"role": "assistant", "content": "good"}}]{more}}}"#,
            number / 4
        )
    };
    let train: Vec<String> = (0..5).map(|number| entry(number, "")).collect();
    let response = r#", "response_0": "Soft.", "response_1": "fair""#;
    let test: Vec<String> = (5..8).map(|number| entry(number, response)).collect();
    world.write("told/quality_train.json", &format!("[{}]", train.join(",")));
    world.write("told/quality_test.json", &format!("[{}]", test.join(",")));
    world.path("told")
}

#[test]
fn written_conversations_are_read_back_as_they_came() {
    let world = World::with_pictures(8);
    std::fs::create_dir(world.path("told")).expect("the world can be written");
    let folder = published(&world);
    let import = [
        "import",
        "pictures",
        "--project",
        "p.assay",
        "--conversations",
        "told",
    ];
    let imported = world.run(&import);
    assert_eq!(imported.code, Some(0), "{}", imported.stderr);
    let export = |more: &[&str]| {
        let fixed = [
            "export",
            "--project",
            "p.assay",
            "--format",
            "conversations",
        ];
        world.run(&fixed.iter().chain(more).copied().collect::<Vec<_>>())
    };
    let written = export(&["--out", "out", "--json"]);
    assert_eq!(written.code, Some(0), "{}", written.stderr);
    assert_eq!(written.json()["rows"], 8);
    let (before, after) = (read(&[folder]), read(&[world.path("out")]));
    assert_eq!(after.told, before.told);
    assert_eq!(after.splits, before.splits);
    assert!(after.problems.is_empty(), "{:?}", after.problems);

    let one = export(&[
        "--out",
        "quality_train.json",
        "--aspect",
        "quality",
        "--split",
        "train",
    ]);
    assert_eq!(one.code, Some(0), "{}", one.stderr);
    let one = read(&[world.path("quality_train.json")]);
    assert_eq!(one.told.len(), 5);
    assert!(one.splits.iter().all(|entry| entry.split == Split::Train));
    let none = export(&["--out", "out2", "--aspect", "authenticity"]);
    assert_eq!(none.code, Some(1));
    assert!(none.stderr.contains("assay teach"), "{}", none.stderr);
}

#[test]
fn words_of_models_are_held_against_the_test_list() {
    let world = World::with_pictures(8);
    std::fs::create_dir(world.path("told")).expect("the world can be written");
    published(&world);
    let import = [
        "import",
        "pictures",
        "--project",
        "p.assay",
        "--conversations",
        "told",
    ];
    assert_eq!(world.run(&import).code, Some(0));
    let evaluate = [
        "evaluate",
        "--project",
        "p.assay",
        "--aspect",
        "quality",
        "--words",
        "--json",
    ];
    let value = world.run(&evaluate).json();
    // Pictures 5, 6 and 7 have the scores 0, 1 and 2, and the model said fair of each.
    assert_eq!(value["images"], 3);
    let model = &value["models"][0];
    assert_eq!(model["name"], "published");
    assert_eq!(model["words"]["n"], 3);
    let share = |name: &str| model["words"][name].as_f64().expect("a figure");
    assert!((share("accuracy") - 1.0 / 3.0).abs() < 1e-12);
    assert!((share("rough_accuracy") - 2.0 / 3.0).abs() < 1e-12);
    assert!((share("precision") - 1.0 / 9.0).abs() < 1e-12);
    assert!((share("f1") - 1.0 / 6.0).abs() < 1e-12);
    assert!(model["scores"]["srcc"].is_null());
    let none = [
        "evaluate",
        "--project",
        "p.assay",
        "--aspect",
        "correspondence",
        "--words",
    ];
    assert!(world.run(&none).stdout.contains("no model has described"));
}

#[test]
#[ignore = "reads the 2,982 pictures of AGIQA-3K"]
fn the_published_files_of_agiqa_3k_are_written_as_they_came() {
    let Some(data) = real_data("agiqa-3k") else {
        return;
    };
    let world = World::new();
    let path = data.to_string_lossy().into_owned();
    let imported = world.run(&["import", &path, "--project", "p.assay"]);
    assert_ne!(imported.code, Some(1), "{}", imported.stderr);
    let written = world.run(&[
        "export",
        "--project",
        "p.assay",
        "--format",
        "conversations",
        "--out",
        "out",
    ]);
    assert_eq!(written.code, Some(0), "{}", written.stderr);
    let before = read(&[data.join("conversations")]).told;
    let after = read(&[world.path("out")]).told;
    assert_eq!(after.len(), before.len());
    assert!(
        after == before,
        "{:?}",
        after.symmetric_difference(&before).next()
    );

    // The published model's own words against opinion scores. Over all 597 pictures of a list, which not every copy of
    // the dataset has, they are 0.6064 and 0.9799 for quality. The words in the published correspondence files are those
    // of the quality score, so that figures against them (0.6767 and 0.9933) are others.
    let project = Project::open(&world.path("p.assay")).expect("the project opens");
    let catalog = project.catalog().expect("the catalog is read");
    for (aspect, expected) in [
        (Aspect::Quality, [0.6080, 0.9769]),
        (Aspect::Correspondence, [0.5702, 0.9706]),
    ] {
        let found = assay::jobs::speakers(&catalog, aspect, Some(Split::Test));
        let words = &found.speakers[0].words;
        let got = [words.accuracy, words.rough_accuracy].map(Option::unwrap);
        for (got, expected) in got.into_iter().zip(expected) {
            let is_whole = words.n == 477;
            assert!(
                !is_whole || (got - expected).abs() < 5e-5,
                "{aspect}: {words:?}"
            );
        }
    }
}
