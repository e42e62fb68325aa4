//! Gallery: counts, filters, selection, what the action bar offers, and why a picture is not there.

use assay::domain::Filter;
use assay::domain::ImageId;
use assay::jobs::message::Event;
use assay::jobs::message::Job;
use assay::state::Command;
use assay::state::Effect;
use assay::state::gallery::GalleryCommand;
use egui::Key;
use egui::Modifiers;
use egui_kittest::kittest::Queryable as _;

use super::world;
use super::world::World;

const SIZE: [f32; 2] = [1280.0, 800.0];

#[test]
fn counts_of_shown_and_all_follow_the_search() {
    let mut window = world::window(World::with(world::catalog(100)), SIZE);
    window.get_by_label("100 of 100 shown");
    window.get_by_label("10 without a file");
    window.get_by_label("Search").focus();
    window.run_steps(2);
    window.get_by_label("Search").type_text("fox");
    window.run_steps(3);
    window.get_by_label("50 of 100 shown");
    window.get_by_label("Clear filters").click();
    window.run_steps(3);
    window.get_by_label("100 of 100 shown");
}

#[test]
fn counts_lie_over_nothing_else_in_any_window() {
    for width in [1000.0, 1140.0, 1280.0, 1920.0] {
        let mut window = world::window(World::with(world::catalog(100)), [width, 640.0]);
        let picture = |number| window.get_by_label_contains(number);
        picture("p00001.png,").click();
        window.run_steps(2);
        let last = window.get_by_label_contains("p00002.png,");
        last.click_modifiers(Modifiers::SHIFT);
        window.run_steps(3);
        let place = |label| window.get_by_label(label).rect();
        let counts = ["100 of 100 shown", "10 without a file", "2 selected"];
        for other in ["Search", "Sort: file name", "Lowest first", "Split"] {
            let other = place(other);
            let over = counts.map(|label| place(label).intersects(other));
            assert_eq!(over, [false; 3], "{width}: {other}");
        }
    }
}

#[test]
fn a_split_is_chosen_from_its_chip() {
    let mut window = world::window(World::with(world::catalog(100)), SIZE);
    window.get_by_label("Split").click();
    window.run_steps(3);
    window.get_by_label("test").click();
    window.run_steps(3);
    window.get_by_label("Split: test");
    window.get_by_label("20 of 100 shown");
}

#[test]
fn the_action_bar_names_how_many_it_is_about() {
    let mut window = world::window(World::with(world::catalog(100)), SIZE);
    window.get_by_label("Describe 90 images");
    let cells = [
        "p00001.png, a lighthouse at night",
        "p00004.png, a red fox in the snow",
    ];
    window.get_by_label(cells[0]).click();
    window.run_steps(2);
    window
        .get_by_label(cells[1])
        .click_modifiers(Modifiers::SHIFT);
    window.run_steps(3);
    window.get_by_label("4 selected");
    window.get_by_label("Describe 4 images").click();
    window.run_steps(2);
    let described = window
        .state()
        .effects
        .iter()
        .find_map(|effect| match effect {
            Effect::Submit(Job::Describe { images, .. }) => Some(images.clone()),
            _ => None,
        });
    assert_eq!(described, Some((1..=4).map(ImageId).collect()));
}

#[test]
fn arrows_move_the_focus_and_enter_inspects() {
    let mut window = world::window(World::with(world::catalog(100)), SIZE);
    window.key_press(Key::ArrowRight);
    window.run_steps(2);
    assert_eq!(window.state().state.selection.focus, Some(ImageId(2)));
    let columns = window.state().state.gallery.columns as i64;
    window.key_press(Key::ArrowDown);
    window.run_steps(2);
    assert_eq!(
        window.state().state.selection.focus,
        Some(ImageId(2 + columns))
    );
    window.key_press(Key::Enter);
    window.run_steps(3);
    window.get_by_label("Fit");
}

#[test]
fn a_missing_file_says_why() {
    let mut world = World::with(world::catalog(20));
    world.hear(Event::Notice("Opened World".to_owned()));
    let window = world::window(world, SIZE);
    let label = format!("p00010.png, {}", world::MISSING);
    window.get_by_label(&label);
}

#[test]
fn twenty_thousand_rows_draw_only_what_is_on_screen() {
    let window = world::window(World::with(world::catalog(20_000)), SIZE);
    window.get_by_label("20,000 of 20,000 shown");
    let cells = window.query_all_by_label_contains("p0").count();
    assert!(cells < 80, "{cells} cells were laid out");
}

#[test]
fn a_range_of_errors_keeps_the_pictures_that_are_so_far_off() {
    let mut catalog = world::catalog(100);
    // People gave picture 1 a score of 3.7.
    catalog.scores = vec![world::score(1, 4.9), world::score(2, 2.4)];
    let mut window = world::window(World::with(catalog), SIZE);
    window.get_by_label("Range").click();
    window.run_steps(3);
    window.get_by_label("Quality error: predicted minus people");
    window.get_by_label("Range of errors");
    let filter = Filter {
        error_range: Some([1.0, 5.0]),
        ..Filter::default()
    };
    let command = GalleryCommand::SetFilter(filter);
    window.state_mut().tell(Command::Gallery(command));
    window.run_steps(3);
    window.get_by_label("1 of 100 shown");
    window.get_by_label("Range: error 1.0 to 5.0");
}

#[test]
fn new_thumbnails_fade_in_unless_motion_is_reduced() {
    let num_frames = |is_reduced: bool| {
        let mut world = World::with(world::catalog(4));
        world.state.is_motion_reduced = is_reduced;
        let mut window = world::window(world, SIZE);
        window.run();
        for number in 1..=4 {
            let picture = world::picture(number);
            window
                .state_mut()
                .textures
                .add_thumbnail(ImageId(number), picture);
        }
        window.run()
    };
    assert!(num_frames(false) > num_frames(true));
}

#[test]
fn every_widget_of_the_gallery_has_a_name() {
    let window = world::window(World::with(world::catalog(30)), SIZE);
    assert_eq!(window.unnamed_widgets(), Vec::<String>::new());
}
