//! Inspect: what is being said appears as it comes, beside what others said.

use assay::domain::Aspect;
use assay::domain::ImageId;
use assay::domain::Origin;
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
    window.key_press(Key::Num1);
    window.run_steps(2);
    assert_eq!(window.state().state.inspect.zoom, Zoom::Scale(1.0));
    window.key_press(Key::F);
    window.run_steps(2);
    assert_eq!(window.state().state.inspect.zoom, Zoom::Fit);
    window.key_press(Key::ArrowRight);
    window.run_steps(2);
    assert_eq!(window.state().state.selection.focus, Some(ImageId(4)));
}

#[test]
fn every_widget_of_inspect_has_a_name() {
    let window = world::window(inspecting(), SIZE);
    assert_eq!(window.unnamed_widgets(), Vec::<String>::new());
}
