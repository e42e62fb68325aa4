//! The list of keys: whose key it is, another key by pressing it, and tooltips that follow.

use assay::domain::ImageId;
use assay::state::Command;
use assay::state::Screen;
use assay::state::dialogs::Dialog;
use assay::state::inspect::Zoom;
use assay::state::keys::Action;
use egui::Key;
use egui::Modifiers;
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable as _;

use super::world;
use super::world::World;

const SIZE: [f32; 2] = [1280.0, 900.0];

fn listing(screen: Screen) -> Harness<'static, World> {
    let mut world = World::with(world::catalog(20));
    world.tell(Command::Show(screen));
    let mut window = world::window(world, SIZE);
    window.key_press(Key::F1);
    window.run_steps(8);
    window
}

fn press(window: &mut Harness<'static, World>, modifiers: Modifiers, key: Key) {
    window.key_press_modifiers(modifiers, key);
    window.run_steps(8);
}

fn click(window: &mut Harness<'static, World>, label: &str) {
    window.get_by_label(label).click();
    window.run_steps(8);
}

#[test]
fn f1_lists_the_keys_of_this_screen() {
    let mut window = listing(Screen::Inspect);
    window.get_by_label("Key of Fit the picture: F");
    window.get_by_label("Key of Next origin of descriptions: ]");
    assert!(window.query_by_label_contains("Preview").is_none());
    click(&mut window, "Of every screen");
    window.get_by_label("Key of Preview the picture: Space");
    window.get_by_label("Key of Next run: ]");
    assert_eq!(window.unnamed_widgets(), Vec::<String>::new());
}

#[test]
fn another_key_is_given_by_pressing_it() {
    let mut window = listing(Screen::Inspect);
    click(&mut window, "Key of Show pixels one to one: O");
    window.get_by_label("Key of Show pixels one to one: Press a key…");
    press(&mut window, Modifiers::NONE, Key::X);
    window.get_by_label("Key of Show pixels one to one: X");
    press(&mut window, Modifiers::NONE, Key::Escape);
    assert_eq!(window.state().state.dialog, Dialog::None);
    press(&mut window, Modifiers::NONE, Key::O);
    assert_eq!(window.state().state.inspect.zoom, Zoom::Fit);
    press(&mut window, Modifiers::NONE, Key::X);
    assert_eq!(window.state().state.inspect.zoom, Zoom::Scale(1.0));
}

#[test]
fn a_key_that_is_taken_is_named_and_can_be_taken_over() {
    let mut window = listing(Screen::Inspect);
    click(&mut window, "Key of Fit the picture: F");
    press(&mut window, Modifiers::COMMAND, Key::K);
    assert!(!window.state().state.palette.is_open);
    window.get_by_label("Ctrl+K is the key of \"Commands by name\" already.");
    click(&mut window, "Use it for \"Fit the picture\"");
    window.get_by_label("Key of Fit the picture: Ctrl+K");
    window.get_by_label("Key of Commands by name: none");
    click(&mut window, "Reset all");
    window.get_by_label("Key of Commands by name: Ctrl+K");
}

#[test]
fn escape_leaves_the_key_as_it_is_and_the_list_open() {
    let mut window = listing(Screen::Inspect);
    click(&mut window, "Key of Fit the picture: F");
    press(&mut window, Modifiers::NONE, Key::Escape);
    window.get_by_label("Key of Fit the picture: F");
    assert_eq!(window.state().state.dialog, Dialog::Keys);
    assert_eq!(window.state().state.keys.listening, None);
}

#[test]
fn a_changed_key_can_be_reset_alone() {
    let mut window = listing(Screen::Inspect);
    click(&mut window, "Key of Fit the picture: F");
    press(&mut window, Modifiers::SHIFT, Key::G);
    window.get_by_label("Key of Fit the picture: Shift+G");
    click(&mut window, "Reset the key of Fit the picture");
    window.get_by_label("Key of Fit the picture: F");
    assert!(!window.state().state.keys.map.is_any_changed());
}

#[test]
fn tooltips_and_palette_say_the_key_that_holds() {
    let mut window = listing(Screen::Train);
    click(&mut window, "Key of Go to Models: Alt+7");
    press(&mut window, Modifiers::NONE, Key::F7);
    assert_eq!(
        window
            .state()
            .state
            .keys
            .map
            .words(Action::Go(Screen::Models)),
        "F7"
    );
    press(&mut window, Modifiers::NONE, Key::Escape);
    window.get_by_label("Models").hover();
    window.run_steps(40);
    window.get_by_label("Go to Models (F7)");
    press(&mut window, Modifiers::NONE, Key::F7);
    assert_eq!(window.state().state.screen, Screen::Models);
}

#[test]
fn letters_typed_into_a_field_stand_for_nothing_else() {
    let mut window = world::window(World::with(world::catalog(20)), SIZE);
    window.get_by_label("Search").focus();
    window.run_steps(2);
    press(&mut window, Modifiers::NONE, Key::T);
    press(&mut window, Modifiers::NONE, Key::ArrowRight);
    assert!(!window.state().state.tags.is_open);
    assert_eq!(window.state().state.selection.focus, Some(ImageId(1)));
}
