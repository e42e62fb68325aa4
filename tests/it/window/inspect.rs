//! Inspect: what is being said appears as it comes, beside what others said.

use std::path::PathBuf;

use assay::domain::Aspect;
use assay::domain::Figures;
use assay::domain::ImageId;
use assay::domain::ModelTag;
use assay::domain::OpinionScale;
use assay::domain::Origin;
use assay::domain::PredictorCard;
use assay::domain::PredictorId;
use assay::jobs::message::Event;
use assay::jobs::message::Job;
use assay::state::Command;
use assay::state::Effect;
use assay::state::inspect::Zoom;
use egui::Key;
use egui_kittest::kittest::Queryable as _;

use super::world;
use super::world::World;

const SIZE: [f32; 2] = [1280.0, 800.0];

fn inspecting() -> World {
    let mut world = World::with(world::catalog(20));
    world.tell(Command::Inspect(ImageId(3)));
    world
}

#[test]
fn text_appears_while_it_is_written_and_stays_when_saved() {
    let mut window = world::window(inspecting(), SIZE);
    window.state_mut().hear(Event::Streaming {
        image: ImageId(3),
        aspect: Aspect::Quality,
        text: "The sky is".to_owned(),
    });
    window.run_steps(2);
    window.get_by_label("The sky is");
    window.get_by_label("Being written");
    let text = "The sky is sharp.";
    window.state_mut().hear(Event::Described(world::description(
        1,
        3,
        Origin::Local,
        text,
    )));
    window.run_steps(2);
    window.get_by_label(text);
    assert!(window.query_by_label("Being written").is_none());
}

#[test]
fn origins_stand_side_by_side() {
    let mut catalog = world::catalog(20);
    catalog.descriptions = vec![
        world::description(1, 3, Origin::Teacher, "Told by the teacher."),
        world::description(2, 3, Origin::Local, "Seen by the local model."),
    ];
    let mut world = World::with(catalog);
    world.tell(Command::Inspect(ImageId(3)));
    let window = world::window(world, SIZE);
    let local = window.get_by_label("Seen by the local model.").rect();
    let teacher = window.get_by_label("Told by the teacher.").rect();
    assert!(local.right() <= teacher.left());
    assert!((local.top() - teacher.top()).abs() < 8.0);
}

#[test]
fn describing_again_asks_for_this_picture_and_aspect_only() {
    let mut catalog = world::catalog(20);
    catalog.descriptions = vec![world::description(2, 3, Origin::Local, "Seen.")];
    let mut world = World::with(catalog);
    world.tell(Command::Inspect(ImageId(3)));
    let mut window = world::window(world, SIZE);
    window.get_by_label("Describe again").click();
    window.run_steps(2);
    let expected = Effect::Submit(Job::Describe {
        images: vec![ImageId(3)],
        aspects: vec![Aspect::Quality],
        again: true,
    });
    assert_eq!(window.state().effects, [expected]);
}

#[test]
fn the_score_mark_says_prediction_truth_error_and_scale() {
    let mut catalog = world::catalog(20);
    catalog.scores = vec![world::score(3, 1.5)];
    let mut world = World::with(catalog);
    world.tell(Command::Inspect(ImageId(3)));
    let window = world::window(world, SIZE);
    window.get_by_label("Quality, predicted 1.50, people 1.10 ± 0.40, error +0.40, scale 0-5");
}

#[test]
fn keys_fit_and_show_pixels_one_to_one() {
    let mut window = world::window(inspecting(), SIZE);
    window.key_press(Key::O);
    window.run_steps(2);
    assert_eq!(window.state().state.inspect.zoom, Zoom::Scale(1.0));
    window.key_press(Key::F);
    window.run_steps(2);
    assert_eq!(window.state().state.inspect.zoom, Zoom::Fit);
    window.key_press(Key::ArrowRight);
    window.run_steps(2);
    assert_eq!(window.state().state.selection.focus, Some(ImageId(4)));
}

/// A predictor for quality that learned from this dataset, and none for the other aspects.
fn with_card(dataset: &str) -> World {
    let figures = |srcc| Figures {
        n: 1_597,
        srcc: Some(srcc),
        plcc: Some(0.5),
        rmse: Some(0.75),
        ..Figures::default()
    };
    let mut catalog = world::catalog(20);
    catalog.scores = vec![world::score(3, 1.5)];
    let card = PredictorCard {
        id: PredictorId(0),
        name: "mini quality".to_owned(),
        aspect: Aspect::Quality,
        scale: OpinionScale::ZERO_TO_FIVE,
        dataset: dataset.to_owned(),
        split: "train".to_owned(),
        model: ModelTag {
            name: "mini".to_owned(),
            sha256: "ab".repeat(32),
        },
        preset: "assay".to_owned(),
        head: "xLSTM".to_owned(),
        val: Some(figures(0.625)),
        test: Some(figures(0.6)),
        run: None,
    };
    let mut world = World::with(catalog);
    world.hear(Event::EmbeddedPredictors(vec![card]));
    world.tell(Command::Inspect(ImageId(3)));
    world
}

#[test]
fn beside_a_score_stands_what_it_rests_on() {
    let window = world::window(with_card("World"), SIZE);
    window.get_by_label("mini quality");
    window.get_by_label("Learned from World (train), reads mini with the wording assay");
    window.get_by_label("Validation SRCC 0.625, PLCC 0.500, n 1,597");
    window.get_by_label("Test SRCC 0.600, PLCC 0.500, n 1,597");
    window.get_by_label("No correspondence predictor fits the model in use");
    assert!(window.query_by_label_contains("has not learned").is_none());
}

#[test]
fn a_predictor_from_elsewhere_is_said_to_be_one() {
    let window = world::window(with_card("Another"), SIZE);
    window.get_by_label("It has not learned from this dataset");
}

#[test]
fn brackets_go_through_the_origins() {
    let mut catalog = world::catalog(20);
    catalog.descriptions = vec![
        world::description(1, 3, Origin::Teacher, "Told by the teacher."),
        world::description(2, 3, Origin::Local, "Seen by the local model."),
    ];
    let mut world = World::with(catalog);
    world.tell(Command::Inspect(ImageId(3)));
    let mut window = world::window(world, SIZE);
    window.key_press(Key::CloseBracket);
    window.run_steps(2);
    window.get_by_label("Seen by the local model.");
    assert!(window.query_by_label("Told by the teacher.").is_none());
    window.key_press(Key::CloseBracket);
    window.run_steps(2);
    window.get_by_label("Told by the teacher.");
    assert!(window.query_by_label("Seen by the local model.").is_none());
    window.get_by_label("Side by side").click();
    window.run_steps(2);
    window.get_by_label("Seen by the local model.");
    window.get_by_label("Told by the teacher.");
}

#[test]
fn a_picture_without_a_file_says_why_and_what_to_do() {
    let mut world = World::with(world::catalog(20));
    world.tell(Command::Inspect(ImageId(10)));
    let mut window = world::window(world, SIZE);
    window.get_by_label("No picture to show");
    window.get_by_label(world::MISSING);
    window.get_by_label("images/p00010.png");
    window.get_by_label("Find moved pictures…").click();
    window.run_steps(6);
    window.get_by_label("2 of 20 pictures have no file. They are looked for under their names in the folder that you choose; nothing is moved.");
    window.get_by_label("Path").focus();
    window.run_steps(2);
    window.get_by_label("Path").type_text("/elsewhere");
    window.run_steps(2);
    assert_eq!(window.unnamed_widgets(), Vec::<String>::new());
    window.get_by_label("Look there").click();
    window.run_steps(2);
    let root = PathBuf::from("/elsewhere");
    let expected = Effect::Submit(Job::Relocate { root });
    assert_eq!(window.state().effects, [expected]);
}

#[test]
fn every_widget_of_inspect_has_a_name() {
    let window = world::window(inspecting(), SIZE);
    assert_eq!(window.unnamed_widgets(), Vec::<String>::new());
}

#[test]
fn a_short_prompt_has_nothing_to_fold() {
    let mut catalog = world::catalog(20);
    catalog.images[3].prompt = "a red fox in the snow ".repeat(60);
    let mut world = World::with(catalog);
    world.tell(Command::Inspect(ImageId(4)));
    let mut window = world::window(world, SIZE);
    window.get_by_label("Show all").click();
    window.run_steps(3);
    window.get_by_label("Show less");
    window.key_press(Key::ArrowLeft);
    window.key_press(Key::P);
    window.run_steps(3);
    assert!(window.query_by_label("Show less").is_none());
    assert!(window.query_by_label("Show all").is_none());
}
