//! Votes from files: the dialog, files that are let go over the window, and what came of them.

use std::path::PathBuf;

use assay::domain::Aspect;
use assay::domain::Method;
use assay::domain::RatingsFormat;
use assay::domain::StudyId;
use assay::jobs::message::Event;
use assay::jobs::message::FailedItem;
use assay::jobs::message::Job;
use assay::jobs::message::JobId;
use assay::jobs::message::JobReport;
use assay::jobs::message::RatingsImport;
use assay::state::Command;
use assay::state::Effect;
use assay::state::Screen;
use assay::state::dialogs::Dialog;
use assay::state::rate::RateCommand;
use egui::Key;
use egui::accesskit::Role;
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable as _;

use super::rate::SIZE;
use super::rate::with_study;
use super::world;
use super::world::World;

fn import(path: &str, format: Option<RatingsFormat>) -> Effect {
    Effect::Submit(Job::ImportRatings(RatingsImport {
        study: StudyId(1),
        path: PathBuf::from(path),
        format,
        aspect: None,
    }))
}

fn type_path(window: &mut Harness<'static, World>, path: &str) {
    // A click on the button that opened the dialog left the focus there.
    window.get_by_label("Path").focus();
    window.run_steps(3);
    window.get_by_label("Path").type_text(path);
    window.run_steps(3);
}

#[test]
fn a_table_goes_to_the_newest_study_and_a_package_to_its_own() {
    let mut window = world::window(with_study(Method::Acr5), SIZE);
    window.state_mut().tell(Command::Show(Screen::Rate));
    window.run_steps(3);
    window.get_by_label("Take votes in…").click();
    window.run_steps(3);
    type_path(&mut window, "/lab/votes.csv");
    assert_eq!(window.unnamed_widgets(), Vec::<String>::new());
    window.get_by_role_and_label(Role::ComboBox, "Votes for the study");
    window
        .get_by_role_and_label(Role::ComboBox, "Kind of table")
        .click();
    window.run_steps(3);
    window.get_by_label("ITU matrix (CSV)").click();
    window.run_steps(3);
    window.get_by_label("Take the votes in").click();
    window.run_steps(3);
    let matrix = Some(RatingsFormat::Matrix);
    assert_eq!(window.state().effects, [import("/lab/votes.csv", matrix)]);

    window.get_by_label("Take votes in…").click();
    window.run_steps(3);
    type_path(&mut window, "/lab/ada.assaystudy");
    window.get_by_label("Open it instead");
    window.key_press(Key::Enter);
    window.run_steps(3);
    let merged = Effect::Submit(Job::MergeStudies {
        path: PathBuf::from("/lab/ada.assaystudy"),
    });
    assert_eq!(window.state().effects.last(), Some(&merged));
}

#[test]
fn a_study_of_several_aspects_asks_which_one_a_table_holds() {
    let mut world = with_study(Method::Acr5);
    let project = world.state.project.as_mut().expect("open");
    project.studies[0].protocol.aspects = Aspect::ALL.to_vec();
    world.tell(Command::Show(Screen::Rate));
    world.tell(Command::Drop(vec![PathBuf::from("/lab/matrix.csv")]));
    let mut window = world::window(world, SIZE);
    window
        .get_by_role_and_label(Role::ComboBox, "Aspect, if it names none")
        .click();
    window.run_steps(3);
    // The card of quick rating below the dialog has one too.
    let options = window.get_all_by_label("Authenticity");
    options.last().expect("an option").click();
    window.run_steps(3);
    window.get_by_label("Take the votes in").click();
    window.run_steps(3);
    let Some(Effect::Submit(Job::ImportRatings(request))) = window.state().effects.last() else {
        panic!("expected an import, got {:?}", window.state().effects);
    };
    assert_eq!(request.aspect, Some(Aspect::Authenticity));
}

#[test]
fn what_is_let_go_over_the_window_is_known_by_screen_and_columns() {
    let mut world = with_study(Method::Acr5);
    let table = PathBuf::from("/lab/votes.csv");
    world.tell(Command::Drop(vec![table.clone()]));
    assert_eq!(world.effects, [Effect::ReadColumns(table.clone())]);
    let columns = |names: &str| names.split(',').map(str::to_owned).collect();
    world.tell(Command::TableColumns {
        path: table.clone(),
        columns: columns("token,rater,value"),
    });
    assert!(matches!(world.state.dialog, Dialog::TakeVotes(_)));
    world.tell(Command::Back);
    world.tell(Command::TableColumns {
        path: table.clone(),
        columns: columns("name,prompt"),
    });
    assert!(matches!(
        world.effects.last(),
        Some(Effect::Submit(Job::Open { .. }))
    ));
    world.tell(Command::Show(Screen::Rate));
    world.tell(Command::Drop(vec![PathBuf::from("/lab/osaka.json")]));
    let Dialog::TakeVotes(choices) = &world.state.dialog else {
        panic!("expected the dialog, got {:?}", world.state.dialog);
    };
    assert_eq!(choices.path_text, "/lab/osaka.json");
    world.tell(Command::Drop(vec![table]));
    let Dialog::TakeVotes(choices) = &world.state.dialog else {
        panic!("expected the dialog, got {:?}", world.state.dialog);
    };
    assert_eq!(choices.path_text, "/lab/votes.csv");
}

#[test]
fn what_came_in_and_what_was_refused_is_said_with_its_line() {
    let mut world = with_study(Method::Acr5);
    world.tell(Command::Show(Screen::Rate));
    let Effect::Submit(job) = import("/lab/votes.csv", None) else {
        panic!("expected a job");
    };
    world.state.jobs.submitted(JobId(5), job);
    let refused = |line: u32| FailedItem {
        image: None,
        path: format!("/lab/votes.csv:{line}"),
        reason: "expected a number or nan, got \"x\"".to_owned(),
    };
    let report = JobReport {
        done: 1_240,
        skipped: 12,
        failed: vec![refused(7), refused(19)],
        ..JobReport::default()
    };
    world.hear(Event::JobDone(JobId(5), report));
    let mut window = world::window(world, SIZE);
    window.get_by_label("Votes from votes.csv");
    window.get_by_label("1,240 came in, 12 were here already.");
    window.get_by_label("2 entries were refused:");
    window.get_by_label("votes.csv:19: expected a number or nan, got \"x\"");
    window.get_by_label("Copy the list").click();
    window.run_steps(2);
    let Some(Effect::Copy(text)) = window.state().effects.last() else {
        panic!("expected text, got {:?}", window.state().effects);
    };
    assert!(text.starts_with("/lab/votes.csv:7: "), "{text}");
    window.get_by_label("Close").click();
    window.run_steps(2);
    assert_eq!(window.state().state.dialog, Dialog::None);
}

#[test]
fn a_report_waits_until_the_rater_has_left() {
    let mut world = with_study(Method::Acr5);
    let Effect::Submit(job) = import("/lab/secret.csv", None) else {
        panic!("expected a job");
    };
    world.state.jobs.submitted(JobId(5), job);
    world.tell(Command::Rate(RateCommand::Sit(StudyId(1))));
    let reason = "this is no table of ratings: /lab/secret.csv".to_owned();
    world.hear(Event::JobFailed(JobId(5), reason));
    let mut window = world::window(world, SIZE);
    assert!(window.query_by_label_contains("secret").is_none());
    window.key_press(Key::Escape);
    window.run_steps(3);
    window.get_by_label("Votes from secret.csv");
    window.get_by_label("Nothing came in.");
}
