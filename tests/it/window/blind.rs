//! What a rater sees and a screen reader says during a sitting: nothing that could sway an answer.
//!
//! The whole accessibility tree is walked at every step of a sitting, for every method and aspect, in a project whose
//! every field that must not be seen holds a word of its own.

use std::collections::BTreeSet;

use assay::domain::Aspect;
use assay::domain::AspectMap;
use assay::domain::Catalog;
use assay::domain::Description;
use assay::domain::Method;
use assay::domain::Origin;
use assay::domain::PairChoice;
use assay::domain::StudyId;
use assay::domain::Truth;
use assay::domain::Vote;
use assay::domain::VoteValue;
use assay::jobs::message::Event;
use assay::jobs::message::Job;
use assay::jobs::message::JobId;
use assay::state::Command;
use assay::state::Effect;
use assay::state::rate::RateCommand;
use assay::state::rate::SittingCommand;
use assay::state::rate::sitting::Step;
use egui::Key;
use egui::accesskit;
use egui_kittest::Harness;
use egui_kittest::kittest::NodeT as _;
use egui_kittest::kittest::Queryable as _;

use super::rate;
use super::world;
use super::world::World;

/// What stands somewhere in the project and must not stand on screen.
const FORBIDDEN: [&str; 17] = [
    "secretfolder",
    "secretfile",
    "secretgenerator",
    "secretstyle",
    "secrettag",
    "secretdataset",
    "secretproject",
    "secretdescription",
    "secretrequest",
    "secretanswer",
    "secretsource",
    "secretjob",
    "secretstudy",
    "secretrater",
    // Ground truth and prediction of every picture.
    "4.321",
    "3.123",
    // The other rater's votes.
    "1.9",
];

/// A project that gives every picture away in every field.
fn leaky(method: Method, aspect: Aspect) -> World {
    let mut catalog = world::catalog(12);
    "secretdataset".clone_into(&mut catalog.info.dataset);
    "/secretfolder/secretproject.assay".clone_into(&mut catalog.info.path);
    "/secretfolder".clone_into(&mut catalog.info.root);
    for record in &mut catalog.images {
        record.path = format!(
            "secretfolder/secretfile_secretgenerator_{}.png",
            record.id.0
        );
        record.generator = Some("secretgenerator".to_owned());
        record.style = Some("secretstyle".to_owned());
        record.tags = vec!["secrettag".to_owned()];
        "secretsource".clone_into(&mut record.prompt_source);
        record.truth = AspectMap::from_fn(|_| {
            Some(Truth {
                mos: 4.321,
                std: Some(0.4),
                num_ratings: Some(21),
            })
        });
        catalog.scores.push(world::score(record.id.0, 3.123));
    }
    catalog.descriptions = (1..=12).map(description).collect();
    let mut study = rate::study(&catalog, method);
    "secretstudy".clone_into(&mut study.protocol.name);
    study.protocol.aspects = vec![aspect];
    study.protocol.session_minutes = 1;
    study.protocol.break_seconds = 60;
    study.hash = study.protocol.hash();
    catalog.studies = vec![study];
    World::with(with_other_votes(catalog))
}

fn description(image: i64) -> Description {
    Description {
        request: "secretrequest".to_owned(),
        answer: Some("secretanswer".to_owned()),
        ..world::description(image, image, Origin::Local, "secretdescription")
    }
}

/// Somebody rated before.
fn with_other_votes(mut catalog: Catalog) -> Catalog {
    if catalog.studies[0].protocol.method == Method::Continuous {
        let world = World::with(catalog.clone());
        let votes = rate::votes(&world, &["secretrater"]).into_iter();
        let other = |vote: Vote| Vote {
            value: VoteValue::Score(1.9),
            ..vote
        };
        catalog.votes = votes.map(|vote| other(vote).sealed()).collect();
    }
    catalog
}

/// Jobs run and fail, notices wait, and a dialog was open when the rater sat down.
fn disturb(world: &mut World) {
    world.state.jobs.submitted(JobId(1), Job::OpenDemo);
    world.hear(Event::JobStarted {
        job: JobId(1),
        title: "secretjob".to_owned(),
        can_pause: false,
    });
    world.hear(Event::Notice("secretjob".to_owned()));
    world.state.say_error("secretfile".to_owned());
}

/// Every word of the accessibility tree, and the number of its nodes.
fn words(window: &Harness<'static, World>) -> (BTreeSet<String>, usize) {
    let mut words = BTreeSet::new();
    let mut num_nodes = 0;
    let mut open = vec![window.root().accesskit_node()];
    while let Some(node) = open.pop() {
        num_nodes += 1;
        let data: &accesskit::Node = node.data();
        for text in [
            node.label(),
            node.value(),
            data.description().map(str::to_owned),
            data.placeholder().map(str::to_owned),
            data.tooltip().map(str::to_owned),
            data.url().map(str::to_owned),
            data.author_id().map(str::to_owned),
            data.class_name().map(str::to_owned),
            data.role_description().map(str::to_owned),
            data.state_description().map(str::to_owned),
            data.keyboard_shortcut().map(str::to_owned),
        ]
        .into_iter()
        .flatten()
        {
            words.insert(text);
        }
        if let Some(number) = data.numeric_value() {
            words.insert(number.to_string());
        }
        open.extend(node.children());
    }
    (words, num_nodes)
}

/// Walks the tree; how many nodes it looked at.
fn check(window: &Harness<'static, World>, place: &str) -> usize {
    let (words, num_nodes) = words(window);
    for text in &words {
        for forbidden in FORBIDDEN {
            assert!(
                !text.to_lowercase().contains(forbidden),
                "{place} says {text:?}"
            );
        }
    }
    assert!(num_nodes > 3, "{place} has only {num_nodes} nodes");
    num_nodes
}

fn answer(window: &mut Harness<'static, World>, method: Method, number: usize) {
    let value = match method {
        Method::Acr5 => VoteValue::Score((number % 5 + 1) as f64),
        Method::Continuous => VoteValue::Score(0.5),
        Method::Pairs => VoteValue::Pair(PairChoice::Tie),
    };
    let command = RateCommand::Sitting(SittingCommand::Answer(value));
    window.state_mut().tell(Command::Rate(command));
    window.run_steps(1);
}

/// Sits through a whole study and looks at every step; nodes and pages that were looked at.
fn sit_through(method: Method, aspect: Aspect) -> (usize, usize) {
    let mut world = leaky(method, aspect);
    disturb(&mut world);
    let mut window = world::window(world, rate::SIZE);
    assert!(
        words(&window)
            .0
            .iter()
            .any(|text| text.contains("secretfile")),
        "before the sitting the names are there to be found"
    );
    let sit = Command::Rate(RateCommand::Sit(StudyId(1)));
    window.state_mut().tell(sit);
    window.run_steps(3);
    let place = |step: &str| format!("{method} {aspect}, {step}");
    let mut num_nodes = check(&window, &place("name"));
    let mut num_pages = 1;
    window.get_by_label("Rater's name").type_text("Ada");
    window.run_steps(2);
    let mut hasten = 0;
    for number in 0..200 {
        let sitting = window.state().state.rate.sitting.as_ref();
        let step = sitting.map(|sitting| sitting.step.clone());
        match step {
            Some(Step::Thanks) => break,
            Some(Step::Trial(_)) => {
                rate::prepare(&mut window);
                num_nodes += check(&window, &place(&format!("trial {number}")));
                // A trial a quarter of a minute, so that breaks come.
                hasten += 15_000;
                pass(&mut window, 15_000);
                answer(&mut window, method, number);
                num_nodes += check(&window, &place("waiting for the disk"));
                fail_once(&mut window, number);
                num_nodes += check(&window, &place("unsaved"));
                rate::commit(&mut window);
                num_pages += 2;
            }
            _ => {
                pass(&mut window, 60_000);
                window.key_press(Key::Enter);
                window.run_steps(2);
            }
        }
        num_nodes += check(&window, &place("after it"));
        num_pages += 1;
    }
    assert!(hasten > 60_000, "breaks came");
    let sitting = window.state().state.rate.sitting.as_ref();
    assert_eq!(sitting.map(|sitting| &sitting.step), Some(&Step::Thanks));
    (num_nodes, num_pages)
}

pub(super) fn pass(window: &mut Harness<'static, World>, ms: u64) {
    let now = &mut window.state_mut().state.rate.now;
    now.steady_ms += ms;
    now.unix_ms += ms as i64;
}

/// The disk refuses the first record of a sitting with words that name a file.
fn fail_once(window: &mut Harness<'static, World>, number: usize) {
    let world = window.state_mut();
    let Some(Effect::Submit(job)) = world.effects.last().cloned() else {
        panic!("expected a vote, got {:?}", world.effects.last());
    };
    let id = JobId(100 + number as u64);
    world.state.jobs.submitted(id, job);
    let reason = "cannot save the vote: the disk is full: /secretfolder/secretproject.assay";
    world.hear(Event::JobFailed(id, reason.to_owned()));
    window.run_steps(1);
}

#[test]
fn nothing_that_could_sway_a_rater_is_on_screen_or_read_aloud() {
    let (mut num_nodes, mut num_pages) = (0, 0);
    for method in Method::ALL {
        for aspect in Aspect::ALL {
            let (nodes, pages) = sit_through(method, aspect);
            num_nodes += nodes;
            num_pages += pages;
        }
    }
    println!(
        "looked at {num_nodes} nodes on {num_pages} pages of {} sittings for {} words",
        Method::ALL.len() * Aspect::ALL.len(),
        FORBIDDEN.len()
    );
}
