//! `assay study` on a small world: from a protocol to votes, figures, files, packages and ground truth.

use std::fs;

use image::Rgb;
use image::RgbImage;
use serde_json::Value;

use crate::world::World;

/// Raters of [`votes`].
const NUM_RATERS: usize = 4;

/// A project of small pictures, each with a prompt and an opinion score.
fn with_pictures(prompts: &[&str]) -> World {
    let world = World::new();
    fs::create_dir(world.path("set")).expect("the world can be written");
    let mut table = vec!["image_path,prompt,mos_quality".to_owned()];
    for (idx, prompt) in prompts.iter().enumerate() {
        let shade = u8::try_from(20 * idx).expect("a dozen pictures at most");
        let picture = RgbImage::from_pixel(16, 12, Rgb([shade, 255 - shade, 90]));
        let file = world.path(&format!("set/{idx:02}.png"));
        picture.save(file).expect("a picture can be written");
        table.push(format!("{idx:02}.png,{prompt},{}", idx as f64 / 3.0));
    }
    world.write("set/data.csv", &table.join("\n"));
    let imported = world.run(&["import", "set/data.csv", "--project", "demo.assay"]);
    assert_eq!(imported.code, Some(0), "{}", imported.stderr);
    world
}

/// Twelve pictures of twelve prompts.
fn with_twelve() -> World {
    with_pictures(&[
        "a cat", "a dog", "a hen", "a fox", "a cow", "a pig", "a rat", "an owl", "an elk", "a bee",
        "a fly", "an ant",
    ])
}

/// A world with a study of twelve pictures.
fn with_study(flags: &[&str]) -> World {
    let world = with_twelve();
    let mut arguments = vec!["create", "--name", "Pilot", "--repeat-share", "0"];
    arguments.extend(flags);
    study(&world, &arguments);
    world
}

/// An ITU matrix of four raters who agree but for the last, who turns the scale round.
fn votes(num_pictures: usize) -> String {
    let row = |picture: usize| {
        let score = 1 + picture % 5;
        let scores = [score, score.min(4), (score + picture % 2).min(5), 6 - score];
        scores.map(|score| format!("{score}.0")).join(",")
    };
    (0..num_pictures)
        .map(|picture| row(picture) + "\n")
        .collect()
}

fn rated() -> World {
    let world = with_study(&[]);
    world.write("votes.csv", &votes(12));
    let read = study(&world, &["import", "votes.csv"]);
    assert_eq!(read["done"], 12 * NUM_RATERS, "{read}");
    world
}

/// Runs `assay study ACTION ... --project demo.assay --json` to a good end.
fn study(world: &World, arguments: &[&str]) -> Value {
    let mut all = vec!["study"];
    all.extend(arguments);
    all.extend(["--project", "demo.assay", "--json"]);
    let answer = world.run(&all);
    assert_eq!(answer.code, Some(0), "{:?}: {}", all, answer.stderr);
    answer.json()
}

#[test]
fn a_study_is_made_from_flags_and_listed() {
    let world = with_study(&["--aspect", "quality", "--aspect", "correspondence"]);
    let listed = study(&world, &["list"]);
    let own: Vec<&Value> = listed
        .as_array()
        .unwrap()
        .iter()
        .filter(|study| study["is_quick"] == false)
        .collect();
    assert_eq!(own.len(), 1, "{listed}");
    assert_eq!(own[0]["name"], "Pilot");
    assert_eq!(own[0]["pictures"], 12);
    assert_eq!(own[0]["is_frozen"], false);
    assert_eq!(own[0]["aspects"].as_array().unwrap().len(), 2);
}

#[test]
fn a_study_is_made_from_a_protocol_and_a_wrong_one_is_refused_in_words() {
    let world = with_twelve();
    world.write(
        "protocol.toml",
        "name = \"From a file\"\nmethod = \"continuous\"\naspects = [\"authenticity\"]\nrepeat_share = 0\n\
         height_px = 512\nnum_discarded_training = 2\n[questions]\nauthenticity = \"Is it real?\"\n",
    );
    let made = study(&world, &["create", "--protocol", "protocol.toml"]);
    assert_eq!(made["method"], "continuous");
    assert_eq!(made["trials_per_rater"], 14);
    for (text, words) in [
        ("name = \"x\"\nshuffle = true\n", "shuffle"),
        ("method = \"acr5\"\n", "no name"),
        ("name = \"x\"\nrepeat_share = 0.5\n", "repeats"),
        ("name = \"x\"\npictures = [\"none.png\"]\n", "none.png"),
    ] {
        world.write("wrong.toml", text);
        let arguments = [
            "study",
            "create",
            "--project",
            "demo.assay",
            "--protocol",
            "wrong.toml",
        ];
        let refused = world.run(&arguments);
        assert_eq!(refused.code, Some(1), "{text}");
        assert!(refused.stderr.contains(words), "{}", refused.stderr);
    }
}

#[test]
fn training_pictures_span_the_known_scores() {
    let world = with_study(&["--training", "3"]);
    let listed = study(&world, &["list"]);
    let own = listed
        .as_array()
        .unwrap()
        .iter()
        .find(|study| study["is_quick"] == false);
    assert_eq!(own.unwrap()["training"], 3);
    assert_eq!(own.unwrap()["pictures"], 9);
}

#[test]
fn votes_come_in_once_and_give_scores_with_intervals() {
    let world = rated();
    let again = study(&world, &["import", "votes.csv"]);
    assert_eq!(
        (&again["done"], &again["skipped"]),
        (&0.into(), &(12 * NUM_RATERS).into())
    );

    let figures = study(&world, &["stats", "--screening", "none"]);
    let quality = &figures[0];
    assert_eq!(quality["scale"], "1-5");
    let first = &quality["pictures"][0];
    // 1, 1, 1 and 5: mean 2, standard deviation 2, interval 1.95996 * 2 / sqrt(4).
    assert_eq!(
        (&first["mos"], &first["std"], &first["n"]),
        (&2.0.into(), &2.0.into(), &4.into())
    );
    assert!((first["ci95"].as_f64().unwrap() - 1.95996).abs() < 1e-12);
    assert!(quality["agreement"]["repeat_mae"].is_null());
    assert!(quality["reasons"]["repeat_mae"].is_string());

    let screened = study(&world, &["stats", "--screening", "correlation"]);
    let rejected: Vec<bool> = screened[0]["raters"]
        .as_array()
        .unwrap()
        .iter()
        .map(|rater| rater["is_rejected"].as_bool().unwrap())
        .collect();
    assert_eq!(rejected, [false, false, false, true]);
}

#[test]
fn a_bad_row_is_exit_code_three_and_the_good_ones_come_in() {
    let world = with_study(&[]);
    world.write("votes.csv", &votes(12).replacen("1.0", "9.0", 1));
    let arguments = [
        "study",
        "import",
        "votes.csv",
        "--project",
        "demo.assay",
        "--json",
    ];
    let read = world.run(&arguments);
    assert_eq!(read.code, Some(3), "{}", read.stderr);
    let json = read.json();
    assert_eq!(json["done"], 12 * NUM_RATERS - 1);
    assert!(
        json["failed"][0]["path"]
            .as_str()
            .unwrap()
            .ends_with("votes.csv:1"),
        "{json}"
    );
    world.write("short.csv", "1,2\n3,4\n");
    let refused = world.run(&["study", "import", "short.csv", "--project", "demo.assay"]);
    assert_eq!(refused.code, Some(1));
    assert!(
        refused.stderr.contains("2 rows, but the study has 12"),
        "{}",
        refused.stderr
    );
}

#[test]
fn every_file_goes_out_and_the_long_table_comes_back_whole() {
    let world = rated();
    for (format, rows) in [("long", 48), ("matrix", 12), ("sureal", 12)] {
        let written = study(&world, &["export", "--format", format, "--out", format]);
        assert_eq!(written["rows"], rows, "{format}");
    }
    assert_eq!(fs::read_to_string(world.path("matrix")).unwrap(), votes(12));
    let again = study(&world, &["import", "long"]);
    assert_eq!((&again["done"], &again["skipped"]), (&0.into(), &48.into()));
    let pairs = [
        "study",
        "export",
        "--format",
        "pairs",
        "--out",
        "p.csv",
        "--project",
        "demo.assay",
    ];
    let refused = world.run(&pairs);
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("no pairs"), "{}", refused.stderr);
    assert!(!world.path("p.csv").exists());
}

#[test]
fn the_report_is_one_page_without_script() {
    let world = rated();
    let written = study(&world, &["report", "--out", "report.html"]);
    assert_eq!(written["pictures"], 12);
    let page = fs::read_to_string(world.path("report.html")).unwrap();
    for words in [
        "Pilot",
        "Rater 4",
        "ITU-T P.910 annex E",
        "ICC(2,k)",
        "<svg",
        "</html>",
    ] {
        assert!(page.contains(words), "{words}");
    }
    assert!(!page.contains("<script") && !page.contains("http"));
}

#[test]
fn comparisons_give_strengths_by_prompt() {
    let world = with_pictures(&["a cat", "a cat", "a cat", "a cat", "a dog"]);
    study(
        &world,
        &[
            "create",
            "--name",
            "Pairs",
            "--method",
            "pairs",
            "--repeat-share",
            "0",
        ],
    );
    let nothing = study(&world, &["stats"]);
    assert!(nothing[0]["reason"].is_string(), "{nothing}");
    world.write(
        "pairs.csv",
        "Observer,Session,Scene,Condition_1,Condition_2,Selection\n\
         Ada,1,a cat,00.png,01.png,1\nAda,1,a cat,01.png,02.png,1\nAda,1,a cat,02.png,00.png,1\n\
         Ada,1,a cat,00.png,03.png,1\nAda,1,a cat,03.png,00.png,0\n",
    );
    assert_eq!(study(&world, &["import", "pairs.csv"])["done"], 5);
    let figures = study(&world, &["stats"]);
    let scene = &figures[0]["prompts"][0];
    assert_eq!(
        (&scene["comparisons"], &scene["ties"]),
        (&5.into(), &1.into()),
        "{figures}"
    );
    let pictures = scene["pictures"].as_array().unwrap();
    let strengths: Vec<f64> = pictures
        .iter()
        .map(|picture| picture["strength"].as_f64().unwrap())
        .collect();
    assert!(strengths.iter().sum::<f64>().abs() < 1e-9 && strengths[0] > strengths[3]);
    assert_eq!(
        study(&world, &["export", "--format", "pairs", "--out", "p.csv"])["rows"],
        5
    );
    assert_eq!(
        study(&world, &["report", "--out", "pairs.html"])["pictures"],
        4
    );
}

#[test]
fn a_studys_scores_become_ground_truth_and_go_again() {
    let world = rated();
    let used = study(&world, &["use", "--aspect", "quality"]);
    assert_eq!(used["pictures"], 12);
    assert!(
        used["ground_truth"].as_str().unwrap().contains("Pilot"),
        "{used}"
    );
    let listed = study(&world, &["list"]);
    let own = listed
        .as_array()
        .unwrap()
        .iter()
        .find(|study| study["name"] == "Pilot")
        .unwrap();
    assert_eq!(own["ground_truth_of"][0], "quality");
    let back = study(&world, &["use", "--aspect", "quality", "--own"]);
    assert!(
        !back["ground_truth"].as_str().unwrap().contains("Pilot"),
        "{back}"
    );
}

#[test]
fn a_package_goes_out_and_its_votes_come_back_once() {
    let world = with_study(&[]);
    let packed = study(&world, &["package", "--out", "pilot.assaystudy"]);
    assert_eq!(packed["pictures"], 12);
    world.write("votes.csv", &votes(12));
    let there = world.run(&[
        "study",
        "import",
        "votes.csv",
        "--project",
        "pilot.assaystudy",
        "--json",
    ]);
    assert_eq!(there.code, Some(0), "{}", there.stderr);
    for (added, known) in [(48, 0), (0, 48)] {
        let merged = study(&world, &["merge", "pilot.assaystudy"]);
        assert_eq!(
            (&merged["done"], &merged["skipped"]),
            (&added.into(), &known.into())
        );
    }
}

#[test]
fn a_study_that_is_not_there_is_named_with_those_that_are() {
    let world = with_study(&[]);
    let arguments = [
        "study",
        "stats",
        "--project",
        "demo.assay",
        "--study",
        "Main",
    ];
    let missing = world.run(&arguments);
    assert_eq!(missing.code, Some(1));
    assert!(
        missing.stderr.contains("Main") && missing.stderr.contains("Pilot"),
        "{}",
        missing.stderr
    );
    assert_eq!(world.run(&["study"]).code, Some(2));
    let word = [
        "study",
        "stats",
        "--project",
        "demo.assay",
        "--screening",
        "p911",
    ];
    assert_eq!(world.run(&word).code, Some(2));
}
