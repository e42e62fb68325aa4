//! describe -> score -> train -> evaluate on a small demo, from the command line and through the workers.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use assay::domain::Aspect;
use assay::domain::Catalog;
use assay::domain::ImageId;
use assay::jobs::Home;
use assay::jobs::WorkerOptions;
use assay::jobs::Workers;
use assay::jobs::message::Control;
use assay::jobs::message::Event;
use assay::jobs::message::Job;
use assay::jobs::message::JobId;
use assay::jobs::message::JobReport;

use crate::world::World;

/// No job of these tests takes longer, even on a busy machine.
const PATIENCE: Duration = Duration::from_mins(5);

#[test]
fn described_pictures_are_skipped_and_missing_ones_are_listed() {
    let world = World::with_demo(6);
    let describe = || world.run_on_demo("describe", "quality");
    let first = describe();
    assert_eq!(first.code, Some(0), "{}", first.stderr);
    assert_eq!(first.json()["done"].as_u64(), Some(6));
    let second = describe().json();
    assert_eq!(
        (second["done"].as_u64(), second["skipped"].as_u64()),
        (Some(0), Some(6))
    );

    let image = std::fs::read_dir(world.path("demo/images"))
        .unwrap()
        .next()
        .unwrap();
    std::fs::remove_file(image.unwrap().path()).unwrap();
    let again = [
        "describe",
        "--project",
        "demo.assay",
        "--aspect",
        "quality",
        "--again",
        "--json",
    ];
    let third = world.run(&again);
    assert_eq!(third.code, Some(3), "{}", third.stderr);
    let third = third.json();
    assert_eq!(third["done"].as_u64(), Some(5));
    assert_eq!(third["failed"].as_array().map(Vec::len), Some(1));
}

#[test]
fn a_picture_that_was_made_anew_behind_the_project_is_neither_described_nor_scored() {
    let world = World::with_demo(4);
    let images = std::fs::read_dir(world.path("demo/images")).unwrap();
    let mut images: Vec<_> = images.map(|entry| entry.unwrap().path()).collect();
    images.sort();
    std::fs::copy(&images[0], &images[1]).unwrap();
    for command in ["describe", "score"] {
        let answer = world.run_on_demo(command, "quality");
        assert_eq!(answer.code, Some(3), "{}", answer.stderr);
        let answer = answer.json();
        let failed = answer["failed"].as_array().unwrap();
        assert_eq!(failed.len(), 1, "{answer}");
        let words = failed[0].to_string();
        assert!(words.contains("changed since it was imported"), "{words}");
    }
}

#[test]
fn training_gives_a_predictor_that_scores_and_is_evaluated() {
    let world = World::with_demo(40);
    let trained = world.run(&[
        "train",
        "--project",
        "demo.assay",
        "--aspect",
        "quality",
        "--epochs",
        "2",
        "--json",
    ]);
    assert_eq!(trained.code, Some(0), "{}", trained.stderr);
    let run = trained.json();
    assert_eq!(run["epochs"].as_u64(), Some(2));
    assert!(
        run["predictor"].is_u64() && run["test"]["n"].as_u64() > Some(0),
        "{run}"
    );

    let evaluate = || world.run_on_demo("evaluate", "quality");
    let figures = evaluate().json();
    assert_eq!(figures["n"], run["test"]["n"]);
    assert_eq!(
        figures["rmse"], run["test"]["rmse"],
        "stored scores are those of the run"
    );

    let scored = world.run_on_demo("score", "quality");
    let scored = scored.json();
    assert_eq!(
        (scored["done"].as_u64(), scored["skipped"].as_u64()),
        (Some(0), Some(40))
    );
}

#[test]
fn a_job_is_cancelled_while_others_go_on() {
    let world = World::with_demo(8);
    let workers = workers(&world);
    let catalog = open(&workers, &world.path("demo.assay"));
    let images: Vec<ImageId> = catalog.images.iter().map(|record| record.id).collect();
    let describing = workers.submit(Job::Describe {
        images: images.clone(),
        aspects: Aspect::ALL.to_vec(),
        again: false,
    });
    let tagging = workers.submit(Job::SetTag {
        images,
        tag: "mine".to_owned(),
        on: true,
    });
    let (mut described, mut asked_at, mut tagged, mut report) = (0, None, false, None);
    listen(&workers, |event| {
        match event {
            Event::Streaming { .. } if asked_at.is_none() => {
                workers.control(describing, Control::Cancel);
                asked_at = Some(Instant::now());
            }
            Event::Described(_) => described += 1,
            Event::JobDone(job, _) if job == tagging => tagged = true,
            Event::JobDone(job, done) if job == describing => report = Some(done),
            _ => {}
        }
        report.is_some() && tagged
    });
    assert!(report.is_some_and(|report| report.cancelled));
    assert!(described < 24, "it should have stopped early");
}

#[test]
fn undo_takes_a_tag_back_and_the_window_hears_of_it() {
    let world = World::with_demo(4);
    let workers = workers(&world);
    let catalog = open(&workers, &world.path("demo.assay"));
    let before = catalog.images[0].tags.clone();
    let tag = workers.submit(Job::SetTag {
        images: vec![catalog.images[0].id],
        tag: "mine".to_owned(),
        on: true,
    });
    finish(&workers, tag);
    let undo = workers.submit(Job::Undo);
    let mut opened = None;
    listen(&workers, |event| {
        if let Event::ProjectOpened(catalog) = event {
            opened = Some(catalog);
            return false;
        }
        matches!(event, Event::JobDone(job, _) if job == undo)
    });
    assert_eq!(opened.unwrap().images[0].tags, before);
}

#[test]
fn a_job_without_a_project_fails_in_words_and_the_workers_go_on() {
    let world = World::new();
    let workers = workers(&world);
    for _ in 0..2 {
        let job = workers.submit(Job::Describe {
            images: vec![ImageId(1)],
            aspects: vec![Aspect::Quality],
            again: false,
        });
        let mut failed = None;
        listen(&workers, |event| {
            if let Event::JobFailed(ended, reason) = event
                && ended == job
            {
                failed = Some(reason);
            }
            failed.is_some()
        });
        assert!(failed.unwrap().contains("no project is open"));
    }
}

/// Workers in a world, with the data folder that the program run there has.
pub(crate) fn workers(world: &World) -> Workers {
    let options = WorkerOptions::new(Home::at(world.path("home")));
    Workers::start(options, Arc::new(|| {})).expect("the workers start")
}

/// Opens a project and answers what is in it.
pub(crate) fn open(workers: &Workers, project: &Path) -> Catalog {
    workers.submit(Job::Open {
        path: project.to_path_buf(),
    });
    let mut opened = None;
    listen(workers, |event| {
        if let Event::ProjectOpened(catalog) = event {
            opened = Some(*catalog);
        }
        opened.is_some()
    });
    opened.expect("the project opens")
}

fn finish(workers: &Workers, job: JobId) -> JobReport {
    let mut report = None;
    listen(workers, |event| {
        match event {
            Event::JobDone(ended, done) if ended == job => report = Some(done),
            Event::JobFailed(ended, reason) if ended == job => panic!("{reason}"),
            _ => {}
        }
        report.is_some()
    });
    report.expect("the job ends")
}

/// Hears events until `is_enough`.
pub(crate) fn listen(workers: &Workers, mut is_enough: impl FnMut(Event) -> bool) {
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        if let Ok(event) = workers.events().recv_timeout(Duration::from_millis(100))
            && is_enough(event)
        {
            return;
        }
    }
    panic!("nothing more was heard");
}
