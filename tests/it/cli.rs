//! The command line as a user meets it: exit codes, one JSON document on stdout, words on stderr.

use std::fs;

use crate::datasets::real_data;
use crate::world::World;

#[test]
fn wrong_usage_is_exit_code_two_and_help_is_none() {
    let world = World::new();
    assert_eq!(world.run(&["--help"]).code, Some(0));
    assert_eq!(world.run(&["--version"]).code, Some(0));
    assert_eq!(world.run(&["frobnicate"]).code, Some(2));
    assert_eq!(world.run(&["score"]).code, Some(2));
    let unknown = world.run(&["describe", "--project", "p.assay", "--aspect", "beauty"]);
    assert_eq!(unknown.code, Some(2));
    assert!(
        unknown
            .stderr
            .contains("quality, correspondence or authenticity")
    );
}

#[test]
fn a_failure_says_the_path_and_what_to_do() {
    let world = World::new();
    let missing = world.run(&["evaluate", "--project", "none.assay", "--json"]);
    assert_eq!(missing.code, Some(1));
    assert!(missing.stderr.contains("none.assay"), "{}", missing.stderr);
    assert!(
        missing.json()["error"]
            .as_str()
            .unwrap()
            .contains("none.assay")
    );
    world.write("table.csv", "image_path,prompt\na.png,a cat\n");
    let table = world.run(&["evaluate", "--project", "table.csv"]);
    assert_eq!(table.code, Some(1));
    assert!(table.stderr.contains("assay import"), "{}", table.stderr);
}

#[test]
fn importing_twice_changes_nothing_and_missing_pictures_are_counted() {
    let world = World::with_demo(12);
    let again = world.run(&["import", "demo", "--project", "demo.assay", "--json"]);
    let json = again.json();
    assert_eq!(
        (json["rows"].as_u64(), json["changed"].as_u64()),
        (Some(12), Some(0))
    );

    let first = fs::read_dir(world.path("demo/images"))
        .unwrap()
        .next()
        .unwrap();
    fs::remove_file(first.unwrap().path()).unwrap();
    let json = world
        .run(&["import", "demo", "--project", "demo.assay", "--json"])
        .json();
    assert_eq!(
        (json["with_file"].as_u64(), json["missing"].as_u64()),
        (Some(11), Some(1))
    );
}

#[test]
fn a_rejected_row_is_exit_code_three_and_the_good_rows_come_in() {
    let world = World::with_demo(4);
    let table = fs::read_to_string(world.path("demo/data.csv")).unwrap();
    let second = table.lines().nth(1).unwrap().to_owned();
    world.write("demo/data.csv", &format!("{table}{second}\n"));
    let imported = world.run(&["import", "demo", "--project", "new.assay", "--json"]);
    assert_eq!(imported.code, Some(3), "{}", imported.stderr);
    let json = imported.json();
    assert_eq!(
        (json["rows"].as_u64(), json["rejected"].as_u64()),
        (Some(4), Some(1))
    );
}

#[test]
fn figures_without_scores_are_null_with_a_reason() {
    let world = World::with_demo(4);
    let json = world.run_on_demo("evaluate", "quality").json();
    assert_eq!(json["n"].as_u64(), Some(0));
    assert!(json["srcc"].is_null() && json["reason"].is_string());
    assert_eq!(
        (&json["aspect"], &json["split"]),
        (&"quality".into(), &"test".into())
    );
}

#[test]
fn the_table_goes_out_as_csv_and_as_json_lines() {
    let world = World::with_demo(4);
    for format in ["csv", "jsonl"] {
        let out = format!("table.{format}");
        let exported = world.run(&[
            "export",
            "--project",
            "demo.assay",
            "--format",
            format,
            "--out",
            &out,
            "--aspect",
            "quality",
            "--json",
        ]);
        assert_eq!(exported.json()["rows"].as_u64(), Some(4));
        let lines = fs::read_to_string(world.path(&out))
            .unwrap()
            .lines()
            .count();
        assert_eq!(lines, if format == "csv" { 5 } else { 4 });
    }
    let unknown = world.run(&[
        "export",
        "--project",
        "demo.assay",
        "--format",
        "xls",
        "--out",
        "t.xls",
    ]);
    assert_eq!(unknown.code, Some(1));
    assert!(unknown.stderr.contains("csv or jsonl"));
}

#[test]
fn agiqa_3k_comes_in_whole_with_its_missing_pictures() {
    let Some(dataset) = real_data("agiqa-3k") else {
        return;
    };
    let world = World::new();
    let dataset = dataset.to_string_lossy().into_owned();
    let json = world
        .run(&["import", &dataset, "--project", "p.assay", "--json"])
        .json();
    let count = |name: &str| json[name].as_u64();
    assert_eq!(
        (
            count("rows"),
            count("with_file"),
            count("missing"),
            count("rejected")
        ),
        (Some(2982), Some(2862), Some(120), Some(0))
    );
}
