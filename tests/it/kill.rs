//! `kill -9` at random moments: the project stays whole, and at most the item in flight is lost.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use assay::domain::Catalog;
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

#[test]
fn killing_raters_loses_no_vote_and_makes_none_twice() {
    println!("{}", kill_raters(8));
}

#[test]
#[ignore = "two hundred kills take minutes"]
fn killing_raters_two_hundred_times_loses_no_vote_and_makes_none_twice() {
    println!("{}", kill_raters(200));
}

/// Kills the program while votes stream in, each time so many milliseconds after a vote was answered. A token on its
/// stdout is a vote that was answered: it has to be in the project for ever, once. Answers what came of it.
fn kill_raters(num_kills: u64) -> String {
    let world = World::with_pictures(40);
    let mut answered: BTreeSet<String> = BTreeSet::new();
    let mut num_before = 0;
    for kill in 0..num_kills {
        let out = world.path("tokens.txt");
        let rehearse = [
            "rehearse",
            "--project",
            "demo.assay",
            "--count",
            "1000000",
            "--tokens",
        ];
        let mut child = world.start_into(&rehearse, &out);
        let text = || fs::read_to_string(&out).unwrap_or_default();
        let start = Instant::now();
        // In the stream of votes, after the first of them up to the tenth, and then some.
        let wanted = kill as usize % 10 + 1;
        while text().lines().count() < wanted && start.elapsed() < Duration::from_mins(1) {
            thread::sleep(Duration::from_millis(1));
        }
        // From 0 to 31 ms in steps that never line up with the disk.
        thread::sleep(Duration::from_micros(7_919 * kill % 31_000));
        child.kill().ok();
        child.wait().expect("the killed program is collected");

        // The last line may be cut off; what stands before it was said.
        let said = text();
        let said = said.rsplit_once('\n').map_or("", |(whole, _)| whole);
        answered.extend(said.lines().map(str::to_owned));
        let catalog = whole(&world);
        check_votes(&catalog, &answered);
        let unanswered = catalog.votes.len() - answered.len();
        assert!(
            unanswered <= kill as usize + 1,
            "{unanswered} votes were saved and not answered after {} kills",
            kill + 1
        );
        assert!(catalog.votes.len() > num_before, "no vote came in");
        num_before = catalog.votes.len();
    }
    format!(
        "{num_kills} kills: {num_before} votes saved, {} of them answered, none lost, none twice",
        answered.len()
    )
}

/// Every answered vote is there, none is there twice, and each rater's trials have no gap.
fn check_votes(catalog: &Catalog, answered: &BTreeSet<String>) {
    let tokens: Vec<String> = catalog.votes.iter().map(|v| v.token.to_string()).collect();
    let unique: BTreeSet<String> = tokens.iter().cloned().collect();
    assert_eq!(unique.len(), tokens.len(), "a vote is there twice");
    let lost: Vec<&String> = answered.difference(&unique).collect();
    assert!(lost.is_empty(), "votes were lost: {lost:?}");
    let mut trials: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for vote in &catalog.votes {
        trials.entry(&vote.rater).or_default().push(vote.trial);
    }
    for (rater, trials) in trials {
        assert!(
            trials.iter().copied().eq(0..trials.len()),
            "{rater} went through the trials {trials:?}"
        );
    }
}

fn kill_after(world: &World, arguments: &[&str], milliseconds: u64) {
    let mut child = world.start(arguments);
    thread::sleep(Duration::from_millis(milliseconds));
    // `kill` is SIGKILL; a child that has ended by itself is no failure.
    child.kill().ok();
    child.wait().expect("the killed program is collected");
}

/// Opens the project as the program does; it must be sound.
fn whole(world: &World) -> Catalog {
    let path = world.path("demo.assay");
    let project = Project::open(&path).expect("the project opens after a kill");
    assert_eq!(
        project.check().expect("the check runs"),
        None,
        "the project is corrupt"
    );
    project.catalog().expect("the catalog is read after a kill")
}
