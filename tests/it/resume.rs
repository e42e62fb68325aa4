//! A training run that is killed again and again ends with the very weights of one that was not.

use std::thread;
use std::time::Duration;

use assay::domain::PredictorId;
use assay::domain::RunStatus;
use assay::store::Project;

use crate::world::World;

const TRAIN: [&str; 9] = [
    "train",
    "--project",
    "demo.assay",
    "--aspect",
    "quality",
    "--epochs",
    "200",
    "--seed",
    "5",
];

/// Weights of the predictor of the only run, its number of epochs, and how the run ended.
pub(crate) fn outcome(world: &World) -> (Option<Vec<u8>>, usize, RunStatus) {
    let project = Project::open(&world.path("demo.assay")).expect("the project opens");
    let catalog = project.catalog().expect("the catalog is read");
    let [run] = &catalog.runs[..] else {
        panic!("{} runs where one was asked for", catalog.runs.len())
    };
    let weights = |id: PredictorId| {
        project
            .predictor_weights(id)
            .expect("its weights are there")
    };
    (
        run.predictor.map(weights),
        run.epochs.len(),
        run.status.clone(),
    )
}

/// A world whose demo pictures have their descriptions of quality.
pub(crate) fn described() -> World {
    let world = World::with_demo(24);
    let answer = world.run(&["describe", "--project", "demo.assay", "--aspect", "quality"]);
    assert_eq!(answer.code, Some(0), "{}", answer.stderr);
    world
}

#[test]
#[ignore = "describing, and a dozen kills, take minutes"]
fn a_killed_training_ends_with_the_weights_of_one_that_was_not() {
    let whole = described();
    let answer = whole.run(&TRAIN);
    assert_eq!(answer.code, Some(0), "{}", answer.stderr);
    let (expected, epochs, _) = outcome(&whole);

    let killed = described();
    let mut kills = 0;
    for kill in 0..40_u64 {
        let mut child = killed.start(&TRAIN);
        // From 0.45 s on, a little later each time, so that every epoch is hit somewhere.
        let limit = Duration::from_millis(450 + 50 * kill);
        let step = Duration::from_millis(10);
        let mut waited = Duration::ZERO;
        let ended = loop {
            if let Some(status) = child.try_wait().expect("a child of ours") {
                break Some(status);
            }
            if waited >= limit {
                break None;
            }
            thread::sleep(step);
            waited += step;
        };
        if ended.is_some_and(|status| status.success()) {
            break;
        }
        child.kill().ok();
        child.wait().expect("the killed program is collected");
        kills += 1;
    }
    let (weights, killed_epochs, status) = outcome(&killed);
    println!("{kills} kills, {killed_epochs} epochs, {status:?}");
    assert!(kills > 3, "the run was hardly ever killed");
    assert_eq!(status, RunStatus::Done);
    assert_eq!(killed_epochs, epochs);
    assert!(weights.is_some() && weights == expected, "other weights");
}
