//! Start: projects opened before with their pictures, the path field, and what a newcomer sees.

use std::path::PathBuf;

use assay::jobs::message::Event;
use assay::jobs::message::Job;
use assay::jobs::message::Wish;
use assay::state::Effect;
use assay::state::start::RecentProject;
use egui_kittest::kittest::Queryable as _;

use super::world;
use super::world::World;

const SIZE: [f32; 2] = [1280.0, 800.0];

fn remembering() -> World {
    let mut world = World::new();
    world.state.start.recent = [("a.assay", "Autumn", 2_982), ("b.assay", "Birds", 240)]
        .map(|(path, title, num_images)| RecentProject {
            path: path.to_owned(),
            title: title.to_owned(),
            num_images,
            is_gone: false,
        })
        .to_vec();
    world
}

#[test]
fn without_projects_the_list_says_what_will_stand_there() {
    let window = world::window(World::new(), SIZE);
    window.get_by_label("Recent projects");
    window.get_by_label("Projects that you open will be listed here, with some of their pictures");
    assert_eq!(window.unnamed_widgets(), Vec::<String>::new());
}

#[test]
fn a_project_opened_before_shows_its_pictures_and_opens_by_a_click() {
    let mut window = world::window(remembering(), SIZE);
    let wish = Wish::Strips(vec![PathBuf::from("a.assay"), PathBuf::from("b.assay")]);
    assert_eq!(window.state_mut().textures.take_wishes(), [wish]);
    let ctx = window.ctx.clone();
    let pictures = [world::picture(1), world::picture(2)];
    window
        .state_mut()
        .textures
        .add_strip(&ctx, PathBuf::from("a.assay"), &pictures);
    window.run_steps(2);
    assert_eq!(window.state_mut().textures.strip("a.assay").len(), 2);
    assert!(window.state_mut().textures.take_wishes().is_empty());
    window.get_by_label("Open Autumn").click();
    window.run_steps(2);
    let path = PathBuf::from("a.assay");
    let expected = Effect::Submit(Job::Open { path });
    assert_eq!(window.state().effects, [expected]);
    assert_eq!(window.unnamed_widgets(), Vec::<String>::new());
}

#[test]
fn a_project_whose_file_is_gone_says_so_and_can_be_forgotten() {
    let mut world = remembering();
    world.hear(Event::Strip {
        project: PathBuf::from("b.assay"),
        is_there: false,
        pictures: Vec::new(),
    });
    let mut window = world::window(world, SIZE);
    window.get_by_label("Birds, its file is gone").click();
    window.run_steps(2);
    assert!(window.state().effects.is_empty());
    window.get_by_label("Forget Birds").click();
    window.run_steps(2);
    assert!(window.query_by_label("Birds, its file is gone").is_none());
    window.get_by_label("Open Autumn");
}

#[test]
fn a_typed_path_is_opened() {
    let mut window = world::window(World::new(), SIZE);
    window.get_by_label("Path").focus();
    window.run_steps(2);
    window.get_by_label("Path").type_text("/data/pictures");
    window.run_steps(2);
    window.get_by_label("Open").click();
    window.run_steps(2);
    let path = PathBuf::from("/data/pictures");
    let expected = Effect::Submit(Job::Open { path });
    assert_eq!(window.state().effects, [expected]);
}
