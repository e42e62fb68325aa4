//! Tags: typed or ticked for the selected pictures, with the known ones to choose from.

use assay::domain::ImageId;
use assay::jobs::message::Event;
use assay::jobs::message::Job;
use assay::state::Command;
use assay::state::Effect;
use assay::state::selection::SelectionCommand;
use egui::Key;
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable as _;

use super::world;
use super::world::World;

const SIZE: [f32; 2] = [1280.0, 800.0];

/// Twenty pictures, three selected, two of them with a tag.
fn choosing() -> Harness<'static, World> {
    let mut catalog = world::catalog(20);
    for image in catalog.images.iter_mut().take(2) {
        image.tags = vec!["soft focus".to_owned()];
    }
    catalog.images[7].tags = vec!["extra fingers".to_owned()];
    let mut world = World::with(catalog);
    let three = SelectionCommand::Set((1..=3).map(ImageId).collect());
    world.tell(Command::Selection(three));
    world::window(world, SIZE)
}

fn tagged(images: std::ops::RangeInclusive<i64>, tag: &str, on: bool) -> Effect {
    Effect::Submit(Job::SetTag {
        images: images.map(ImageId).collect(),
        tag: tag.to_owned(),
        on,
    })
}

#[test]
fn a_typed_tag_goes_on_every_selected_picture() {
    let mut window = choosing();
    window.get_by_label("Tag 3 images…").click();
    window.run_steps(6);
    window
        .get_by_label("Known or new tag")
        .type_text("blurred sky");
    window.run_steps(2);
    window.get_by_label("\"blurred sky\" is a new tag");
    window.key_press(Key::Enter);
    window.run_steps(6);
    assert_eq!(window.state().effects, [tagged(1..=3, "blurred sky", true)]);
    assert!(window.state().state.tags.is_open, "more tags may follow");
    assert_eq!(window.state().state.tags.text, "");
}

#[test]
fn known_tags_are_offered_and_keep_their_spelling() {
    let mut window = choosing();
    window.key_press(Key::T);
    window.run_steps(6);
    window.get_by_label("extra fingers  (0 of 3)");
    window.get_by_label("Known or new tag").type_text("SOFT");
    window.run_steps(6);
    assert!(window.query_by_label("extra fingers  (0 of 3)").is_none());
    window.get_by_label("soft focus  (2 of 3)").click();
    window.run_steps(6);
    assert_eq!(window.state().effects, [tagged(1..=3, "soft focus", true)]);
    assert_eq!(window.unnamed_widgets(), Vec::<String>::new());
}

#[test]
fn a_tag_that_all_have_is_taken_off() {
    let mut window = choosing();
    let only_two = SelectionCommand::Set(vec![ImageId(1), ImageId(2)]);
    window.state_mut().tell(Command::Selection(only_two));
    window.key_press(Key::T);
    window.run_steps(6);
    window.get_by_label("soft focus  (2 of 2)").click();
    window.run_steps(6);
    assert_eq!(window.state().effects, [tagged(1..=2, "soft focus", false)]);
}

#[test]
fn a_change_of_tags_is_seen_and_named_by_undo() {
    let mut window = choosing();
    let mut record = window
        .state()
        .state
        .row(ImageId(3))
        .expect("a row")
        .record
        .clone();
    record.tags = vec!["soft focus".to_owned()];
    window.state_mut().hear(Event::ImagesChanged(vec![record]));
    let operation = assay::domain::Operation("tag \"soft focus\"".to_owned());
    window.state_mut().hear(Event::UndoChanged {
        undo: Some(operation),
        redo: None,
    });
    window.key_press(Key::T);
    window.run_steps(6);
    window.get_by_label("soft focus  (3 of 3)");
    window.get_by_label("Undo").click();
    window.run_steps(6);
    assert!(window.state().effects.contains(&Effect::Submit(Job::Undo)));
}

#[test]
fn escape_closes_the_list_and_nothing_else() {
    let mut window = choosing();
    window.key_press(Key::T);
    window.run_steps(6);
    window.key_press(Key::Escape);
    window.run_steps(6);
    assert!(!window.state().state.tags.is_open);
    window.get_by_label("3 selected");
}
