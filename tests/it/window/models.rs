//! Models: what is on this machine, and which of it can be used.

use assay::domain::Aspect;
use assay::domain::ModelCard;
use assay::domain::ModelTag;
use assay::domain::OpinionScale;
use assay::domain::PredictorCard;
use assay::domain::PredictorId;
use assay::domain::RunId;
use assay::jobs::message::Event;
use assay::jobs::message::Job;
use assay::state::Command;
use assay::state::Effect;
use assay::state::Screen;
use assay::state::command::Pick;
use egui_kittest::kittest::Queryable as _;

use super::world;
use super::world::World;

const SIZE: [f32; 2] = [1280.0, 1200.0];

fn tag(name: &str) -> ModelTag {
    ModelTag {
        name: name.to_owned(),
        sha256: "ab".repeat(32),
    }
}

fn model(name: &str) -> ModelCard {
    ModelCard {
        tag: tag(name),
        summary: "A small model.".to_owned(),
        architecture: "minicpm-v-2.5".to_owned(),
        source: "trained by this program".to_owned(),
        licence: "Apache-2.0".to_owned(),
        num_parameters: 9_500_000,
        weights_bytes: 38_000_000,
        memory_bytes: 38_000_000,
        loaded_on: None,
        folder: None,
    }
}

fn showing() -> World {
    let mut catalog = world::catalog(20);
    catalog.predictors = vec![PredictorCard {
        id: PredictorId(4),
        name: "quality predictor of run 1".to_owned(),
        aspect: Aspect::Quality,
        scale: OpinionScale::ZERO_TO_FIVE,
        dataset: "World".to_owned(),
        split: "train".to_owned(),
        model: tag("mini"),
        preset: "assay".to_owned(),
        head: "xLSTM m,s,m,m, mean pooling".to_owned(),
        val: None,
        test: None,
        run: Some(RunId(1)),
    }];
    let mut world = World::with(catalog);
    world.hear(Event::Models(vec![model("mini")]));
    world.tell(Command::Show(Screen::Models));
    world
}

#[test]
fn the_card_says_name_licence_and_where() {
    let window = world::window(showing(), SIZE);
    window.get_by_label("mini");
    window.get_by_label("Apache-2.0");
    window.get_by_label("inside the program");
    window.get_by_label("not loaded");
    window.get_by_label("9.5 million");
}

#[test]
fn a_predictor_is_taken_into_use_by_one_click() {
    let mut window = world::window(showing(), SIZE);
    window
        .get_by_label("Use quality predictor of run 1")
        .click();
    window.run_steps(2);
    let expected = Effect::Submit(Job::UsePredictor {
        aspect: Aspect::Quality,
        predictor: Some(PredictorId(4)),
    });
    assert_eq!(window.state().effects, [expected]);
}

#[test]
fn a_folder_is_asked_for() {
    let mut window = world::window(showing(), SIZE);
    window.get_by_label("Add folder…").click();
    window.run_steps(2);
    assert_eq!(window.state().effects, [Effect::Pick(Pick::ModelFolder)]);
}

#[test]
fn without_answers_the_screen_says_that_it_looks() {
    let mut world = World::with(world::catalog(20));
    world.tell(Command::Show(Screen::Models));
    assert_eq!(world.effects, [Effect::Submit(Job::ListModels)]);
    let window = world::window(world, SIZE);
    window.get_by_label("Looking for models");
}

#[test]
fn every_widget_of_models_has_a_name() {
    let window = world::window(showing(), SIZE);
    assert_eq!(window.unnamed_widgets(), Vec::<String>::new());
}
