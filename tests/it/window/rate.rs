//! Rate: a study from the empty page to its results, driven by label and by key.

use assay::domain::Aspect;
use assay::domain::Catalog;
use assay::domain::ContentHash;
use assay::domain::FileState;
use assay::domain::Method;
use assay::domain::PairChoice;
use assay::domain::Protocol;
use assay::domain::Study;
use assay::domain::StudyId;
use assay::domain::StudyPicture;
use assay::domain::Vote;
use assay::domain::VoteId;
use assay::domain::VoteValue;
use assay::jobs::message::Event;
use assay::jobs::message::Job;
use assay::jobs::message::JobId;
use assay::state::Command;
use assay::state::Effect;
use assay::state::Screen;
use assay::state::rate::RateCommand;
use assay::state::rate::sitting::Step;
use egui::Key;
use egui::Modifiers;
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable as _;

use super::world;
use super::world::World;

pub(super) const SIZE: [f32; 2] = [1280.0, 800.0];

/// A study of the world's pictures that have a file.
pub(super) fn study(catalog: &Catalog, method: Method) -> Study {
    let picture = |record: &assay::domain::ImageRecord| {
        let FileState::Present { hash, .. } = record.file else {
            return None;
        };
        Some(StudyPicture {
            hash,
            path: record.path.clone(),
            prompt: record.prompt.clone(),
        })
    };
    let protocol = Protocol {
        pictures: catalog.images.iter().filter_map(picture).collect(),
        num_discarded_training: 1,
        min_dwell_ms: 0,
        repeat_share: 0.0,
        pairs_per_rater: 6,
        ..Protocol::new("Panel one", method)
    };
    assert_eq!(protocol.check(), Ok(()));
    Study {
        id: StudyId(1),
        hash: protocol.hash(),
        protocol,
        created_at: 0,
        is_frozen: false,
        is_quick: false,
    }
}

pub(super) fn with_study(method: Method) -> World {
    let mut catalog = world::catalog(12);
    catalog.studies = vec![study(&catalog, method)];
    World::with(catalog)
}

/// The pictures that the sitting wants come from the disk.
pub(super) fn prepare(window: &mut Harness<'static, World>) {
    let ctx = window.ctx.clone();
    let sitting = window.state().state.rate.sitting.as_ref();
    let images = sitting.map_or_else(Vec::new, |sitting| {
        let showing = sitting.showing().map(|showing| showing.images.clone());
        let mut images = showing.unwrap_or_default();
        images.extend(&sitting.ahead);
        images
    });
    for image in images {
        let picture = world::picture(image.0);
        window
            .state_mut()
            .textures
            .add_picture(&ctx, image, &picture);
    }
    window.run_steps(2);
}

/// A rater sits before the first trial.
pub(super) fn seated(world: World) -> Harness<'static, World> {
    let mut window = world::window(world, SIZE);
    window
        .state_mut()
        .tell(Command::Rate(RateCommand::Sit(StudyId(1))));
    window.run_steps(3);
    window.get_by_label("Rater's name").type_text("Ada");
    window.run_steps(2);
    window.key_press(Key::Enter);
    window.run_steps(2);
    window.key_press(Key::Enter);
    window.run_steps(2);
    prepare(&mut window);
    window
}

/// The disk answers the last record that was handed in.
pub(super) fn commit(window: &mut Harness<'static, World>) -> Vote {
    let world = window.state_mut();
    let number = world.effects.len() as i64;
    let vote = match world.effects.last() {
        Some(Effect::Submit(Job::Vote(vote) | Job::TakeBackVote(vote))) => vote,
        Some(Effect::Submit(Job::QuickVotes(votes))) => votes.last().expect("a vote"),
        other => panic!("expected a vote, got {other:?}"),
    };
    let vote = Vote {
        id: VoteId(number),
        ..vote.clone()
    };
    world.hear(Event::Voted(vote.clone()));
    window.run_steps(3);
    vote
}

pub(super) fn trial(window: &Harness<'static, World>) -> usize {
    let sitting = window.state().state.rate.sitting.as_ref();
    let showing = sitting.and_then(|sitting| sitting.showing());
    showing.expect("a trial is on screen").trial.index
}

#[test]
fn the_empty_page_leads_to_a_form_that_makes_a_study() {
    let mut window = world::window(World::with(world::catalog(40)), SIZE);
    window.get_by_label("Rate").click();
    window.run_steps(3);
    window.get_by_label("No study yet");
    window.get_by_label("Make the first study…").click();
    window.run_steps(3);
    assert_eq!(window.unnamed_widgets(), Vec::<String>::new());
    window.get_by_label("Correspondence").click();
    window.run_steps(3);
    window.get_by_label("Question of correspondence");
    window.get_by_label("Make the study").click();
    window.run_steps(3);
    let Some(Effect::Submit(Job::CreateStudy(protocol))) = window.state().effects.last() else {
        panic!("expected a study, got {:?}", window.state().effects);
    };
    assert_eq!(protocol.name, "Study 1");
    assert_eq!(protocol.aspects, [Aspect::Quality, Aspect::Correspondence]);
    assert_eq!(
        protocol.pictures.len(),
        36,
        "pictures without a file are left out"
    );
}

#[test]
fn a_form_with_a_fault_says_what_is_wrong_and_makes_nothing() {
    let mut window = world::window(World::with(world::catalog(12)), SIZE);
    window.state_mut().tell(Command::Rate(RateCommand::New));
    window.run_steps(3);
    let fault = "11 pictures are too few for repeats 20 trials apart: add pictures, or set the share of repeats to 0";
    window.get_by_label(fault);
    window.get_by_label("Make the study").click();
    window.run_steps(2);
    assert!(window.state().effects.is_empty());
}

#[test]
fn keys_alone_carry_a_rater_through_the_words() {
    let mut window = seated(with_study(Method::Acr5));
    window.get_by_label("How good is the quality of this picture?");
    window.get_by_label("Practice: these answers do not count");
    window.key_press(Key::Space);
    window.run_steps(2);
    assert!(window.state().effects.is_empty(), "Space answers nothing");
    window.key_press(Key::Num4);
    window.run_steps(2);
    assert_eq!(trial(&window), 0, "the next picture waits for the disk");
    let vote = commit(&mut window);
    assert_eq!(vote.value, VoteValue::Score(4.0));
    assert_eq!(trial(&window), 1);
    window.get_by_label("2 of 12");
    window.key_press(Key::Backspace);
    window.run_steps(2);
    let undo = commit(&mut window);
    assert_eq!(undo.undo_of, Some(vote.token));
    assert_eq!(trial(&window), 0);
    window.key_press(Key::Escape);
    window.run_steps(3);
    assert!(window.state().state.rate.sitting.is_none());
    window.get_by_label("Rate in Panel one");
}

#[test]
fn buttons_answer_as_keys_do() {
    let mut window = seated(with_study(Method::Acr5));
    window.get_by_label_contains("Excellent").click();
    window.run_steps(2);
    assert_eq!(commit(&mut window).value, VoteValue::Score(5.0));
}

#[test]
fn a_score_is_typed_and_entered() {
    let mut window = seated(with_study(Method::Continuous));
    window.get_by_label("Score from 0 to 5, not given yet");
    window.key_press(Key::Num3);
    window.key_press(Key::Num7);
    window.run_steps(2);
    window.get_by_label("3.7");
    window.key_press(Key::Enter);
    window.run_steps(2);
    assert_eq!(commit(&mut window).value, VoteValue::Score(3.7));
}

#[test]
fn arrows_choose_between_two_pictures() {
    let mut window = seated(with_study(Method::Pairs));
    let left = window.get_by_label("Left picture").rect();
    let right = window.get_by_label("Right picture").rect();
    assert!(left.right() <= right.left());
    for (key, choice) in [
        (Key::ArrowLeft, PairChoice::Left),
        (Key::ArrowDown, PairChoice::Tie),
        (Key::ArrowRight, PairChoice::Right),
    ] {
        window.key_press(key);
        window.run_steps(2);
        assert_eq!(commit(&mut window).value, VoteValue::Pair(choice));
        prepare(&mut window);
    }
}

#[test]
fn an_unsaved_vote_is_said_and_tried_again() {
    let mut window = seated(with_study(Method::Acr5));
    window.key_press(Key::Num2);
    window.run_steps(2);
    let world = window.state_mut();
    let Some(Effect::Submit(job)) = world.effects.last().cloned() else {
        panic!("expected a vote");
    };
    world.state.jobs.submitted(JobId(9), job.clone());
    world.hear(Event::JobFailed(JobId(9), "the disk is full".to_owned()));
    window.run_steps(2);
    window.get_by_label(
        "Your answer is not saved yet: the disk is full or away. Please call for help",
    );
    window.get_by_label("Try again").click();
    window.run_steps(2);
    assert_eq!(window.state().effects.last(), Some(&Effect::Submit(job)));
    commit(&mut window);
    assert_eq!(trial(&window), 1);
}

#[test]
fn an_answer_lights_up_only_after_the_shortest_look() {
    let mut world = with_study(Method::Acr5);
    let project = world.state.project.as_mut().expect("open");
    project.studies[0].protocol.min_dwell_ms = 1_000;
    let mut window = seated(world);
    window.key_press(Key::Num3);
    window.run_steps(2);
    assert!(window.state().effects.is_empty());
    let now = &mut window.state_mut().state.rate.now;
    now.steady_ms += 1_000;
    now.unix_ms += 1_000;
    window.key_press(Key::Num3);
    window.run_steps(2);
    assert_eq!(window.state().effects.len(), 1);
}

#[test]
fn every_widget_of_a_sitting_has_a_name() {
    for method in Method::ALL {
        let window = seated(with_study(method));
        assert_eq!(window.unnamed_widgets(), Vec::<String>::new(), "{method}");
    }
}

#[test]
fn results_show_raters_pictures_and_what_screening_changes() {
    let mut world = with_study(Method::Acr5);
    for vote in votes(&world, &["Ada", "Bo", "Cem"]) {
        world.hear(Event::Voted(vote));
    }
    world.tell(Command::Rate(RateCommand::ShowResults(StudyId(1))));
    let mut window = world::window(world, SIZE);
    assert_eq!(window.state().state.screen, Screen::Rate);
    window.get_by_label("3 raters, 33 votes that count");
    window.get_by_label("11 pictures");
    window.get_by_label("What screening changes");
    window.get_by_label("Cem");
    assert_eq!(window.unnamed_widgets(), Vec::<String>::new());
    window.get_by_label("Use as ground truth").click();
    window.run_steps(2);
    let expected = Effect::Submit(Job::UseStudyAsTruth {
        aspect: Aspect::Quality,
        study: Some(StudyId(1)),
    });
    assert_eq!(window.state().effects, [expected]);
}

/// Votes of several raters on every picture of the study.
pub(super) fn votes(world: &World, raters: &[&str]) -> Vec<Vote> {
    let project = world.state.project.as_ref().expect("open");
    let study = &project.studies[0];
    let mut votes = Vec::new();
    for (column, rater) in raters.iter().enumerate() {
        for trial in assay::domain::study::order(&study.protocol, rater) {
            let number = votes.len() as i64 + 1;
            let seed = trial.what.pictures()[0].0[0];
            let score = 1 + (seed as usize * 7 + column * (seed as usize % 3)) % 5;
            let vote = Vote {
                id: VoteId(number),
                token: assay::domain::VoteToken::default(),
                study: study.id,
                protocol: study.hash,
                rater: (*rater).to_owned(),
                session: 1,
                trial: trial.index,
                shown: trial.what,
                aspect: trial.aspect,
                method: study.protocol.method,
                value: VoteValue::Score(score as f64),
                is_training: trial.is_training,
                is_repeat: trial.is_repeat,
                shown_at: number * 2_000,
                voted_at: number * 2_000 + 900,
                reaction_ms: 900,
                zoom_max: 1.0,
                screen_px: [1280, 800],
                dpi_scale: 1.0,
                app_version: "0".to_owned(),
                undo_of: None,
            };
            votes.push(vote.sealed());
        }
    }
    votes
}

#[test]
fn number_keys_rate_in_the_gallery_and_in_inspect() {
    let mut window = world::window(World::with(world::catalog(12)), SIZE);
    window.key_press(Key::Num5);
    window.run_steps(2);
    let vote = commit(&mut window);
    assert_eq!(vote.shown.pictures(), [ContentHash([1; 32])]);
    window.get_by_label("Rated 5 Excellent for quality by me. Ctrl+Z takes it back");
    window.key_press(Key::Enter);
    window.run_steps(3);
    assert_eq!(window.state().state.screen, Screen::Inspect);
    window.key_press(Key::Num1);
    window.run_steps(2);
    assert_eq!(commit(&mut window).value, VoteValue::Score(1.0));
    window.key_press_modifiers(Modifiers::COMMAND, Key::Z);
    window.run_steps(2);
    assert_eq!(
        window.state().effects.last(),
        Some(&Effect::Submit(Job::Undo))
    );
}

#[test]
fn a_rater_who_is_through_is_thanked() {
    let mut window = seated(with_study(Method::Acr5));
    for _ in 0..12 {
        prepare(&mut window);
        window.key_press(Key::Num3);
        window.run_steps(2);
        commit(&mut window);
    }
    let sitting = window.state().state.rate.sitting.as_ref();
    assert_eq!(sitting.map(|sitting| &sitting.step), Some(&Step::Thanks));
    window.get_by_label("Thank you, Ada");
    window.get_by_label("Next rater").click();
    window.run_steps(2);
    window.get_by_label("Rater's name");
}

#[test]
fn a_key_on_forty_pictures_is_saved_as_one_change() {
    let mut window = world::window(World::with(world::catalog(44)), SIZE);
    let images = (1..=44).map(assay::domain::ImageId).collect();
    let select = assay::state::selection::SelectionCommand::Set(images);
    window.state_mut().tell(Command::Selection(select));
    window.run_steps(2);
    window.key_press(Key::Num4);
    window.run_steps(2);
    let Some(Effect::Submit(Job::QuickVotes(votes))) = window.state().effects.last() else {
        panic!("expected votes, got {:?}", window.state().effects);
    };
    let votes = votes.clone();
    assert_eq!(votes.len(), 40, "pictures without a file get no vote");
    assert_eq!(window.state().effects.len(), 1);
    for vote in votes {
        window.state_mut().hear(Event::Voted(vote));
    }
    window.run_steps(2);
    window.get_by_label("Rated 40 pictures 4 Good for quality by me. Ctrl+Z takes all of it back");
}
