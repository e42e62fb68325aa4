//! Runs that were cut off in their middle: what is done to them afterwards never costs the epochs that they have.

use std::fs;
use std::path::Path;

use assay::domain::Aspect;
use assay::domain::RunId;
use assay::domain::RunRecord;
use assay::domain::RunStatus;
use assay::domain::Split;
use assay::domain::TrainSettings;
use assay::jobs::message::Control;
use assay::jobs::message::Event;
use assay::jobs::message::Job;
use assay::store::Project;

use crate::pipeline::listen;
use crate::pipeline::open;
use crate::pipeline::workers;
use crate::resume::described;
use crate::world::World;

/// Settings of a run that never ends by itself while a test lasts.
fn endless(seed: u64) -> TrainSettings {
    TrainSettings {
        epochs: 100_000,
        patience: None,
        seed,
        ..TrainSettings::new(Aspect::Quality)
    }
}

/// Does a job of training until an epoch is saved, and leaves the program then; why it failed where it did.
fn until_an_epoch(world: &World, job: Job) -> Result<RunId, String> {
    let workers = workers(world);
    open(&workers, &world.path("demo.assay"));
    let job = workers.submit(job);
    let (mut run, mut ended) = (None, None);
    listen(&workers, |event| {
        match event {
            Event::EpochDone(id, _) => {
                run = Some(id);
                workers.stop_all();
            }
            Event::JobDone(done, _) if done == job => ended = Some(Ok(())),
            Event::JobFailed(failed, reason) if failed == job => ended = Some(Err(reason)),
            _ => {}
        }
        ended.is_some()
    });
    ended.expect("it was heard")?;
    Ok(run.expect("an epoch was done"))
}

/// A run as it stands in the project, which must have something to go on from.
fn record(world: &World, run: RunId) -> RunRecord {
    let project = Project::open(&world.path("demo.assay")).expect("the project opens");
    let checkpoint = project.checkpoint(run).expect("the project is read");
    assert!(checkpoint.is_some(), "there is no checkpoint");
    project.run(run).expect("the run is there")
}

#[test]
fn a_resumed_run_that_is_cancelled_while_it_waits_can_still_go_on() {
    let world = described();
    let run = until_an_epoch(&world, Job::Train(endless(1))).expect("it trains");
    let before = record(&world, run);
    assert_eq!(before.status, RunStatus::Running);

    let workers = workers(&world);
    let catalog = open(&workers, &world.path("demo.assay"));
    let busy = workers.submit(Job::Train(endless(2)));
    listen(&workers, |event| matches!(event, Event::EpochDone(..)));
    workers.control(busy, Control::Pause);
    let waiting = workers.submit(Job::ResumeTraining(run));
    // The model worker does one job after the other: when this one is done, the resumed run waits for the trainer.
    let next = workers.submit(Job::Describe {
        images: vec![catalog.images[0].id],
        aspects: vec![Aspect::Quality],
        again: false,
    });
    listen(&workers, |event| match event {
        Event::JobFailed(_, reason) => panic!("{reason}"),
        Event::JobDone(job, _) => job == next,
        _ => false,
    });
    workers.control(waiting, Control::Cancel);
    workers.control(busy, Control::Cancel);
    let mut report = None;
    listen(&workers, |event| {
        if let Event::JobDone(job, done) = event
            && job == waiting
        {
            report = Some(done);
        }
        report.is_some()
    });
    assert!(report.is_some_and(|report| report.cancelled));
    drop(workers);
    assert_eq!(record(&world, run), before);
}

#[test]
fn a_run_waits_until_a_picture_that_went_missing_is_back() {
    let world = described();
    let run = until_an_epoch(&world, Job::Train(endless(1))).expect("it trains");
    let before = record(&world, run);
    let project = Project::open(&world.path("demo.assay")).expect("the project opens");
    let catalog = project.catalog().expect("the catalog is read");
    drop(project);
    let is_train = |split| split == Some(Split::Train);
    let mut images = catalog.images.iter();
    let learned = images.find(|image| is_train(*image.split.get(Aspect::Quality)));
    let learned = learned.expect("the demo has a split");
    let file = Path::new(&catalog.info.root).join(&learned.path);
    let import_again = || world.run(&["import", "demo", "--project", "demo.assay"]);

    let hidden = world.path("hidden.png");
    fs::rename(&file, &hidden).expect("the world can be written");
    import_again();
    let reason = until_an_epoch(&world, Job::ResumeTraining(run)).expect_err("one is missing");
    let [train, val, _] = before.num_images;
    let began = format!("began with {train} training and {val} validation images");
    assert!(reason.contains(&began), "{reason}");
    assert!(reason.contains("bring back"), "{reason}");
    assert_eq!(record(&world, run), before, "nothing was changed");

    fs::rename(&hidden, &file).expect("the world can be written");
    import_again();
    assert_eq!(until_an_epoch(&world, Job::ResumeTraining(run)), Ok(run));
    let after = record(&world, run);
    assert_eq!(after.status, RunStatus::Running);
    assert!(after.epochs.len() > before.epochs.len());
}
