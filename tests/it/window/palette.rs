//! The palette and the dialogs: by key, by name, and back.

use std::path::PathBuf;

use assay::jobs::message::ExportRequest;
use assay::jobs::message::Job;
use assay::state::Command;
use assay::state::Effect;
use assay::state::Screen;
use assay::state::Theme;
use assay::state::dialogs::Dialog;
use egui::Key;
use egui::Modifiers;
use egui_kittest::kittest::Queryable as _;

use super::world;
use super::world::World;

const SIZE: [f32; 2] = [1280.0, 800.0];

#[test]
fn the_palette_runs_the_command_whose_words_are_typed() {
    let mut window = world::window(World::with(world::catalog(20)), SIZE);
    window.key_press_modifiers(Modifiers::COMMAND, Key::K);
    window.run_steps(3);
    window.get_by_label("Command").type_text("go to models");
    window.run_steps(3);
    window.key_press(Key::Enter);
    window.run_steps(3);
    assert_eq!(window.state().state.screen, Screen::Models);
    assert!(!window.state().state.palette.is_open);
}

#[test]
fn escape_closes_one_thing_at_a_time() {
    let mut window = world::window(World::with(world::catalog(20)), SIZE);
    window.key_press(Key::F1);
    window.run_steps(2);
    window.key_press_modifiers(Modifiers::COMMAND, Key::K);
    window.run_steps(2);
    window.key_press(Key::Escape);
    window.run_steps(2);
    assert!(!window.state().state.palette.is_open);
    assert_eq!(window.state().state.dialog, Dialog::Keys);
    window.key_press(Key::Escape);
    window.run_steps(2);
    assert_eq!(window.state().state.dialog, Dialog::None);
}

#[test]
fn the_theme_changes_by_key() {
    let mut window = world::window(World::with(world::catalog(20)), SIZE);
    window.key_press_modifiers(Modifiers::COMMAND, Key::T);
    window.run_steps(2);
    assert_eq!(window.state().state.theme, Theme::Light);
}

#[test]
fn export_writes_where_the_path_field_says() {
    let mut window = world::window(World::with(world::catalog(20)), SIZE);
    window.key_press_modifiers(Modifiers::COMMAND, Key::E);
    window.run_steps(3);
    window.get_by_label("Path").focus();
    window.run_steps(2);
    window.get_by_label("Path").type_text("out.csv");
    window.run_steps(2);
    window.get_by_label("Export 20 images").click();
    window.run_steps(2);
    let expected = Effect::Submit(Job::Export(ExportRequest {
        format: "csv".to_owned(),
        out: PathBuf::from("out.csv"),
        images: Vec::new(),
        aspects: assay::domain::Aspect::ALL.to_vec(),
    }));
    assert_eq!(window.state().effects, [expected]);
}

#[test]
fn a_table_with_unknown_columns_asks_which_is_which() {
    let mut world = World::new();
    world.tell(Command::TableColumns {
        path: PathBuf::from("odd.csv"),
        columns: vec!["bild".to_owned(), "worte".to_owned()],
    });
    let mut window = world::window(world, SIZE);
    window.get_by_label("Which column is which?");
    window.get_by_label("File name or path of the picture");
    assert_eq!(window.unnamed_widgets(), Vec::<String>::new());
    window.key_press(Key::Escape);
    window.run_steps(2);
    assert!(window.query_by_label("Which column is which?").is_none());
}

#[test]
fn a_newcomer_finds_the_demo_on_the_first_screen() {
    let mut window = world::window(World::new(), SIZE);
    window.get_by_label("Try the demo").click();
    window.run_steps(2);
    assert_eq!(window.state().effects, [Effect::Submit(Job::OpenDemo)]);
}
