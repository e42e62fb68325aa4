//! A dataset goes into a project file and out as a table, and the file keeps what it promised when it is killed.

use std::io::BufRead as _;
use std::io::BufReader;
use std::path::Path;
use std::process::Command;
use std::process::Stdio;

use assay::dataset;
use assay::dataset::Source;
use assay::domain::Aspect;
use assay::domain::Catalog;
use assay::domain::Description;
use assay::domain::DescriptionId;
use assay::domain::ImageId;
use assay::domain::Origin;
use assay::domain::Provenance;
use assay::domain::Split;
use assay::export;
use assay::export::Format;
use assay::export::Selection;
use assay::store::Project;

/// Names the project to the child process that is going to be killed.
const CHILD_PROJECT: &str = "ASSAY_TEST_CHILD_PROJECT";

#[test]
fn agiqa_3k_goes_into_a_project_once_and_out_as_a_table() {
    let Some(folder) = crate::datasets::real_data("agiqa-3k") else {
        return;
    };
    let source = Source {
        path: folder,
        ..Source::default()
    };
    let batch = dataset::read(&source, &mut |_, _| Ok(())).unwrap();
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("agiqa.assay");
    let mut project = Project::create(&path).unwrap();

    let started = std::time::Instant::now();
    let summary = project.import(&batch, 1).unwrap();
    println!("imported in {:.2} s", started.elapsed().as_secs_f64());
    assert_eq!((summary.rows, summary.missing), (2982, 120));
    assert_eq!(summary.descriptions, 2 * (2982 + 597));
    let catalog = project.catalog().unwrap();
    let again = project.import(&batch, 2).unwrap();
    assert_eq!((again.changed, again.descriptions), (0, 0));
    assert!(
        project.catalog().unwrap() == catalog,
        "the second import changed something"
    );

    for aspect in [Aspect::Quality, Aspect::Correspondence] {
        assert_eq!(num_in_split(&catalog, aspect, Split::Train), 2385);
        assert_eq!(num_in_split(&catalog, aspect, Split::Test), 597);
    }
    let out = home.path().join("agiqa.csv");
    let num_rows = export::write_file(&catalog, &Selection::default(), Format::Csv, &out).unwrap();
    assert_eq!(num_rows, 2 * 2982);
    let mut table = csv::Reader::from_path(&out).unwrap();
    let num_missing = table
        .records()
        .map(Result::unwrap)
        .filter(|row| &row[15] == "missing" && row[6].is_empty() && !row[16].is_empty())
        .count();
    assert_eq!(num_missing, 2 * 120);
}

fn num_in_split(catalog: &Catalog, aspect: Aspect, split: Split) -> usize {
    let images = catalog.images.iter();
    images
        .filter(|image| *image.split.get(aspect) == Some(split))
        .count()
}

#[test]
fn what_was_answered_survives_kill_9() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("pictures");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("a.png"), b"no picture, but a row").unwrap();
    let path = home.path().join("killed.assay");
    let source = Source {
        path: folder,
        ..Source::default()
    };
    let batch = dataset::read(&source, &mut |_, _| Ok(())).unwrap();
    let mut project = Project::create(&path).unwrap();
    project.import(&batch, 1).unwrap();
    drop(project);

    let mut before = 0;
    for kill in 0..12 {
        let answered = write_until_killed(&path, 1 + kill * 7);
        let project = Project::open(&path).unwrap();
        let saved = project.catalog().unwrap().descriptions.len();
        assert!(
            saved == before + answered || saved == before + answered + 1,
            "kill {kill}: {answered} answered, {} saved",
            saved - before
        );
        before = saved;
    }
    println!("12 kills, {before} descriptions, none lost");
}

/// Runs the child below, kills it once it has answered `enough`, and gives what it answered in all.
fn write_until_killed(path: &Path, enough: usize) -> usize {
    let mut child = Command::new(std::env::current_exe().expect("this test's binary"))
        .args(["--exact", "project::child_that_writes_until_it_is_killed"])
        .arg("--nocapture")
        .env(CHILD_PROJECT, path)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the child starts");
    let stdout = child.stdout.take().expect("a pipe");
    let mut answered = 0;
    for line in BufReader::new(stdout).lines() {
        answered += usize::from(line.is_ok_and(|line| line.ends_with("saved")));
        if answered == enough {
            child.kill().expect("the child can be killed");
        }
    }
    child.wait().expect("the child has ended");
    answered
}

#[test]
fn child_that_writes_until_it_is_killed() {
    let Some(path) = std::env::var_os(CHILD_PROJECT) else {
        return;
    };
    let mut project = Project::open(Path::new(&path)).unwrap();
    println!();
    for number in 0..100_000 {
        project.add_description(&description(number)).unwrap();
        println!("{number} saved");
    }
}

fn description(number: u64) -> Description {
    Description {
        id: DescriptionId(0),
        image: ImageId(1),
        aspect: Aspect::Quality,
        origin: Origin::Local,
        request: "Describe it.".to_owned(),
        text: "word ".repeat(200),
        question: "One word?".to_owned(),
        answer: Some("fair".to_owned()),
        made: Provenance {
            model: None,
            preset: None,
            settings: serde_json::json!({}),
            seed: number,
            program_version: "0.1.0".to_owned(),
            unix_time: 0,
        },
    }
}
