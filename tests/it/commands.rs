//! The commands that change a project, take features, and read published descriptions.

use std::fs;

use assay::domain::Aspect;
use assay::domain::Catalog;
use assay::domain::ImageId;
use assay::domain::Origin;
use assay::domain::Split;
use assay::store::Project;
use serde_json::Value;
use serde_json::json;

use crate::world::Answer;
use crate::world::World;

/// Runs a command on the demo's project, which must end well, and answers its JSON.
fn on_demo(world: &World, command: &[&str]) -> Value {
    let answer = try_on_demo(world, command);
    assert_eq!(answer.code, Some(0), "{command:?}: {}", answer.stderr);
    answer.json()
}

fn try_on_demo(world: &World, command: &[&str]) -> Answer {
    let more = ["--project", "demo.assay", "--json"];
    let words: Vec<&str> = command.iter().chain(&more).copied().collect();
    world.run(&words)
}

fn catalog(world: &World) -> Catalog {
    let project = Project::open(&world.path("demo.assay"));
    project
        .and_then(|project| project.catalog())
        .expect("a whole project")
}

#[test]
fn a_tag_is_put_on_taken_back_and_brought_again() {
    let world = World::with_demo(4);
    let path = catalog(&world).images[0].path.clone();
    let is_tagged = |world: &World| {
        let tags = &catalog(world).images[0].tags;
        tags.contains(&"mine".to_owned())
    };
    let tagged = on_demo(&world, &["tag", "mine", &path]);
    assert_eq!(
        (&tagged["images"], &tagged["changed"]),
        (&json!(1), &json!(1))
    );
    assert!(is_tagged(&world));
    let again = on_demo(&world, &["tag", "mine", &path]);
    assert_eq!(again["changed"], json!(0));

    let undone = on_demo(&world, &["undo"]);
    assert!(
        undone["operation"].is_string() && !is_tagged(&world),
        "{undone}"
    );
    on_demo(&world, &["redo"]);
    assert!(is_tagged(&world));
    on_demo(&world, &["tag", "mine", "--split", "all", "--remove"]);
    assert!(!is_tagged(&world));
    let nothing = on_demo(&world, &["redo"]);
    assert!(nothing["operation"].is_null(), "{nothing}");

    let unknown = try_on_demo(&world, &["tag", "mine", "images/none.jpg"]);
    assert_eq!(unknown.code, Some(1));
    assert!(
        unknown.stderr.contains(&path),
        "an example of a path: {}",
        unknown.stderr
    );
    assert_eq!(try_on_demo(&world, &["tag", "mine"]).code, Some(2));
}

#[test]
fn moved_pictures_are_found_and_a_wrong_folder_changes_nothing() {
    let world = World::with_demo(4);
    let root = catalog(&world).info.root;
    fs::rename(world.path("demo"), world.path("moved")).unwrap();
    fs::create_dir(world.path("empty")).unwrap();
    let wrong = try_on_demo(&world, &["relocate", "empty"]);
    assert_eq!(wrong.code, Some(1), "{}", wrong.stdout);
    assert!(wrong.stderr.contains("images/"), "{}", wrong.stderr);
    assert_eq!(catalog(&world).info.root, root);

    let moved = on_demo(&world, &["relocate", "moved"]);
    assert_eq!((&moved["found"], &moved["missing"]), (&json!(4), &json!(0)));
    assert!(catalog(&world).info.root.ends_with("moved"));
    on_demo(&world, &["undo"]);
    assert_eq!(catalog(&world).info.root, root);
}

#[test]
fn missing_pictures_are_left_out_and_counted_unless_one_is_named() {
    let world = World::with_demo(3);
    let path = catalog(&world).images[1].path.clone();
    fs::remove_file(world.path("demo").join(&path)).unwrap();
    world.run(&["import", "demo", "--project", "demo.assay"]);
    let quality = ["--aspect", "quality"];
    let describe = [&["describe"], &quality[..]].concat();
    let all = try_on_demo(&world, &describe);
    assert_eq!(all.code, Some(0), "{}", all.stderr);
    assert!(all.stderr.contains("1 image missing"), "{}", all.stderr);
    assert!(all.stderr.contains("assay relocate"), "{}", all.stderr);
    let json = all.json();
    assert_eq!(
        (&json["done"], &json["left_out"]["missing"]),
        (&json!(2), &json!(1))
    );
    assert_eq!(json["failed"], json!([]));

    let named = try_on_demo(&world, &[&describe[..], &["--image", &path]].concat());
    assert_eq!(named.code, Some(3), "{}", named.stderr);
    assert_eq!(named.json()["failed"][0]["path"], json!(path));

    on_demo(
        &world,
        &[
            "export", "--format", "csv", "--out", "t.csv", "--aspect", "quality",
        ],
    );
    let mut table = csv::Reader::from_path(world.path("t.csv")).unwrap();
    let rows: Vec<csv::StringRecord> = table.records().map(Result::unwrap).collect();
    let statuses: Vec<&str> = rows.iter().map(|row| &row[15]).collect();
    assert_eq!(statuses, ["described", "missing", "described"]);
    assert_eq!(&rows[0][17], "local");
}

#[test]
fn a_project_says_what_it_could_work_with_and_takes_it() {
    let world = World::with_demo(3);
    let presets = on_demo(&world, &["use", "preset"]);
    assert_eq!(presets["in_use"], json!("assay"));
    assert_eq!(presets["presets"].as_array().map(Vec::len), Some(1));
    let conversations = conversations(&catalog(&world), |_| Some("Published."));
    world.write("quality_res.json", &conversations.to_string());
    import_conversations(&world);
    let presets = on_demo(&world, &["use", "preset"]);
    let name = presets["presets"][1]["name"].as_str().unwrap().to_owned();
    assert!(name.starts_with("published-"), "{name}");
    on_demo(&world, &["use", "preset", "published"]);
    assert_eq!(on_demo(&world, &["use", "preset"])["in_use"], json!(name));
    on_demo(&world, &["undo"]);
    assert_eq!(
        on_demo(&world, &["use", "preset"])["in_use"],
        json!("assay")
    );
    let unknown = try_on_demo(&world, &["use", "preset", "nothing"]);
    assert!(
        unknown.code == Some(1) && unknown.stderr.contains(&name),
        "{}",
        unknown.stderr
    );

    let models = on_demo(&world, &["use", "model"]);
    assert_eq!(models["in_use"]["tag"]["name"], json!("mini"));
    on_demo(&world, &["use", "model", "mini"]);
    assert_eq!(try_on_demo(&world, &["use", "model", "none"]).code, Some(1));

    let quality = ["use", "predictor", "--aspect", "quality"];
    let listed = on_demo(&world, &quality);
    assert_eq!(listed["in_use"]["id"], json!(0));
    on_demo(&world, &[&quality[..], &["embedded"]].concat());
    let unknown = try_on_demo(&world, &[&quality[..], &["7"]].concat());
    assert_eq!(unknown.code, Some(1));
    assert!(
        unknown.stderr.contains("assay use predictor"),
        "{}",
        unknown.stderr
    );
}

#[test]
fn an_aspect_without_a_predictor_names_none() {
    let world = World::with_demo(3);
    let evaluate = |aspect| on_demo(&world, &["evaluate", "--aspect", aspect]);
    let with = evaluate("quality");
    assert!(
        with["predictor"]
            .as_str()
            .is_some_and(|name| name.contains("mini")),
        "{with}"
    );
    let without = evaluate("authenticity");
    assert!(without["predictor"].is_null(), "{without}");
    let reason = without["reason"].as_str().unwrap();
    assert!(reason.contains("train a predictor"), "{reason}");
}

#[test]
fn features_of_a_picture_go_to_a_file_word_for_word() {
    let world = World::with_demo(1);
    let path = format!("demo/{}", catalog(&world).images[0].path);
    let words = [
        "--prompt",
        "a boat",
        "--request",
        "Look.",
        "--description",
        "Sharp.",
    ];
    let start = [
        "features",
        &path,
        "--aspect",
        "quality",
        "--question",
        "One word?",
    ];
    let out = ["--out", "f.safetensors", "--max-len", "40", "--json"];
    let answer = world.run(&[&start[..], &words[..], &out[..]].concat());
    assert_eq!(answer.code, Some(0), "{}", answer.stderr);
    let json = answer.json();
    assert_eq!(json["tokens"], json!(40));
    assert_eq!(json["conversation"]["description"], json!("Sharp."));
    let bytes = fs::read(world.path("f.safetensors")).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let hidden = file.tensor("hidden").unwrap();
    let width = json["hidden"].as_u64().unwrap() as usize;
    assert_eq!(hidden.shape(), [40, width]);
    assert_eq!(file.tensor("token_ids").unwrap().shape(), [40]);
    assert_eq!(file.tensor("image_bounds").unwrap().shape()[1], 2);
    let no_aspect = world.run(&["features", &path, "--out", "f.safetensors"]);
    assert_eq!(no_aspect.code, Some(1), "{}", no_aspect.stderr);
    assert_eq!(world.run(&["features", &path]).code, Some(2));
}

/// A published conversation file about quality: a teacher's text for every picture, `response_0` where it is given.
fn conversations(
    catalog: &Catalog,
    response: impl Fn(Option<Split>) -> Option<&'static str>,
) -> Value {
    let entry = |record: &assay::domain::ImageRecord| {
        let request = format!(
            "<image>\nThe prompt is '{}'. How good is it?",
            record.prompt
        );
        let mut entry = json!({
            "id": record.id.0.to_string(),
            "image": record.file_name(),
            "conversations": [
                { "role": "user", "content": request },
                { "role": "assistant", "content": format!("Told. {}", record.path) },
                { "role": "user", "content": "Rate the quality in one word." },
                { "role": "assistant", "content": "fair" },
            ],
        });
        if let Some(text) = response(*record.split.get(Aspect::Quality)) {
            entry["response_0"] = json!(format!("{text} {}", record.path));
            entry["response_1"] = json!("good");
        }
        entry
    };
    catalog.images.iter().map(entry).collect()
}

fn import_conversations(world: &World) {
    let import = ["import", "demo", "--conversations", "quality_res.json"];
    on_demo(world, &import);
}

/// What scores were made from, by the split of their picture.
fn scored_from(catalog: &Catalog) -> Vec<(Option<Split>, Origin)> {
    let split_of = |image: ImageId| {
        let mut images = catalog.images.iter();
        let record = images.find(|record| record.id == image);
        record.and_then(|record| *record.split.get(Aspect::Quality))
    };
    let origin_of = |score: &assay::domain::Score| {
        let mut descriptions = catalog.descriptions.iter();
        let read = descriptions.find(|description| Some(description.id) == score.description);
        read.expect("a score says what it was made from").origin
    };
    let scores = catalog.scores.iter();
    scores
        .map(|score| (split_of(score.image), origin_of(score)))
        .collect()
}

#[test]
fn published_descriptions_are_scored_and_a_teachers_never_is() {
    let world = World::with_demo(24);
    let is_test = |split| (split == Some(Split::Test)).then_some("It looks soft.");
    let conversations = conversations(&catalog(&world), is_test);
    world.write("quality_res.json", &conversations.to_string());
    import_conversations(&world);
    let num_test = conversations.as_array().unwrap().iter();
    let num_test = num_test
        .filter(|entry| entry.get("response_0").is_some())
        .count();
    let published = ["--aspect", "quality", "--descriptions", "published"];

    // The embedded predictor may read them too; training images have a teacher's text alone, which counts for nothing.
    let train_only = [&["score"], &published[..], &["--split", "train"]].concat();
    let refused = try_on_demo(&world, &train_only);
    assert_eq!(refused.code, Some(1), "{}", refused.stdout);
    assert!(refused.stderr.contains("response_0"), "{}", refused.stderr);
    let scored = try_on_demo(&world, &[&["score"], &published[..]].concat());
    assert_eq!(scored.code, Some(0), "{}", scored.stderr);
    assert_eq!(scored.json()["done"], json!(num_test));
    assert!(
        scored.stderr.contains("have no published description"),
        "{}",
        scored.stderr
    );

    let features = on_demo(
        &world,
        &[&["features"], &published[..], &["--split", "test"]].concat(),
    );
    assert_eq!(
        (&features["done"], &features["skipped"]),
        (&json!(0), &json!(num_test))
    );

    let train = [&["train", "--epochs", "1"], &published[..]].concat();
    let run = on_demo(&world, &train);
    assert_eq!(run["test"]["n"], json!(num_test));
    let catalog = catalog(&world);
    let local = catalog
        .descriptions
        .iter()
        .filter(|d| d.origin == Origin::Local);
    assert_eq!(local.count(), 0, "nothing had to be described");
    for (split, origin) in scored_from(&catalog) {
        assert_eq!((split, origin), (Some(Split::Test), Origin::Published));
    }

    // The predictor goes on reading what it learned to read, out of the window's reach or the command line's.
    let again = on_demo(&world, &["score", "--aspect", "quality", "--split", "test"]);
    assert_eq!(
        (&again["done"], &again["skipped"]),
        (&json!(0), &json!(num_test))
    );
    features_file_scores_like_the_project(&world, &catalog);
    let out = [
        "export", "--format", "csv", "--out", "t.csv", "--aspect", "quality",
    ];
    on_demo(&world, &out);
    let mut table = csv::Reader::from_path(world.path("t.csv")).unwrap();
    for row in table.records().map(Result::unwrap) {
        let is_scored = &row[15] == "scored";
        assert_eq!(is_scored, &row[17] == "published", "{row:?}");
        assert!(!row[5].contains("Told."), "{row:?}");
    }
}

/// Features that are written out are those that were scored, and a predictor of a file scores them alike.
fn features_file_scores_like_the_project(world: &World, catalog: &Catalog) {
    let save = || {
        let arguments = ["models", "save", "--aspect", "quality"];
        on_demo(
            world,
            &[&arguments[..], &["--out", "q.safetensors"]].concat(),
        );
    };
    // A file that is there is replaced by a whole one and never written over: the other name still shows the old bytes.
    world.write("q.safetensors", "old");
    fs::hard_link(world.path("q.safetensors"), world.path("former")).expect("a second name");
    save();
    assert_eq!(fs::read(world.path("former")).expect("it is there"), b"old");
    let out = ["--descriptions", "published", "--out", "f.safetensors"];
    let features = ["features", "--aspect", "quality", "--split", "test"];
    on_demo(world, &[&features[..], &out[..]].concat());
    let score = [
        "score",
        "--features",
        "f.safetensors",
        "--predictor",
        "q.safetensors",
        "--json",
    ];
    let scored = world.run(&score);
    assert_eq!(scored.code, Some(0), "{}", scored.stderr);
    let json = scored.json();
    let rows = json["rows"].as_array().expect("many pictures");
    assert!(!rows.is_empty());
    let in_use = catalog
        .settings
        .predictor
        .get(Aspect::Quality)
        .expect("training took it into use");
    for row in rows {
        let mut images = catalog.images.iter();
        let image = images
            .find(|record| row["image"] == json!(record.path))
            .expect("a picture of the project");
        let mut scores = catalog.scores.iter();
        let kept = scores.find(|score| score.image == image.id && score.predictor == in_use);
        let kept = kept.expect("training scored it").value;
        let difference = kept - row["score"].as_f64().expect("a number");
        assert!(difference.abs() < 1e-5, "{difference}");
    }
}
