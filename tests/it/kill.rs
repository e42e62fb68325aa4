//! `kill -9` at random moments: the project stays whole, and at most the item in flight is lost.

use std::thread;
use std::time::Duration;

use assay::domain::RunStatus;
use assay::store::Project;

use crate::world::World;

/// Kills of each kind, as the figure in the closing note has them.
const NUM_KILLS: u64 = 20;

#[test]
#[ignore = "twenty kills take minutes"]
fn killing_a_description_loses_at_most_the_one_in_flight() {
    let world = World::with_demo(60);
    let describe = ["describe", "--project", "demo.assay", "--aspect", "all"];
    let mut before = 0;
    for kill in 0..NUM_KILLS {
        kill_after(&world, &describe, 900 + 397 * kill % 2500);
        let catalog = whole(&world);
        let local = catalog
            .descriptions
            .iter()
            .filter(|description| description.origin == assay::domain::Origin::Local)
            .count();
        assert!(
            local >= before,
            "descriptions were lost: {before} before, {local} now"
        );
        println!(
            "kill {kill}: {local} descriptions kept, {} new",
            local - before
        );
        before = local;
    }
}

#[test]
#[ignore = "twenty kills take minutes"]
fn killing_a_training_loses_at_most_the_epoch_in_flight() {
    let world = World::with_demo(24);
    let described = world.run(&["describe", "--project", "demo.assay", "--aspect", "quality"]);
    assert_eq!(described.code, Some(0), "{}", described.stderr);
    let train = [
        "train",
        "--project",
        "demo.assay",
        "--aspect",
        "quality",
        "--epochs",
        "200",
    ];
    let mut before = 0;
    for kill in 0..NUM_KILLS {
        kill_after(&world, &train, 1500 + 631 * kill % 4000);
        let catalog = whole(&world);
        assert!(
            catalog.runs.len() <= 1,
            "the same command goes on with the same run"
        );
        let Some(run) = catalog.runs.first() else {
            continue;
        };
        assert!(run.epochs.len() >= before, "epochs were lost");
        println!(
            "kill {kill}: {} epochs kept, {} new",
            run.epochs.len(),
            run.epochs.len() - before
        );
        before = run.epochs.len();
        if run.status != RunStatus::Running {
            break;
        }
    }
    assert!(before > 0, "no epoch was ever saved");
}

fn kill_after(world: &World, arguments: &[&str], milliseconds: u64) {
    let mut child = world.start(arguments);
    thread::sleep(Duration::from_millis(milliseconds));
    // `kill` is SIGKILL; a child that has ended by itself is no failure.
    child.kill().ok();
    child.wait().expect("the killed program is collected");
}

/// Opens the project as the program does; it must be sound.
fn whole(world: &World) -> assay::domain::Catalog {
    let path = world.path("demo.assay");
    let project = Project::open(&path).expect("the project opens after a kill");
    assert_eq!(
        project.check().expect("the check runs"),
        None,
        "the project is corrupt"
    );
    project.catalog().expect("the catalog is read after a kill")
}
