//! Train: one click is one run, a run can be ended and taken back, and what is doubtful is said before the click.

use assay::domain::Aspect;
use assay::domain::Catalog;
use assay::domain::EpochFigures;
use assay::domain::Figures;
use assay::domain::ModelTag;
use assay::domain::PredictorId;
use assay::domain::RunId;
use assay::domain::RunRecord;
use assay::domain::RunStatus;
use assay::domain::TrainSettings;
use assay::jobs::message::Control;
use assay::jobs::message::Event;
use assay::jobs::message::Job;
use assay::jobs::message::JobId;
use assay::jobs::message::JobReport;
use assay::state::Command;
use assay::state::Effect;
use assay::state::Screen;
use egui_kittest::kittest::NodeT as _;
use egui_kittest::kittest::Queryable as _;

use super::world;
use super::world::World;

const SIZE: [f32; 2] = [1280.0, 1400.0];

/// A world of 100 pictures, where no prompt stands in two lists.
fn catalog() -> Catalog {
    let mut catalog = world::catalog(100);
    for record in &mut catalog.images {
        record.prompt = format!("scene {}", record.id.0);
    }
    catalog
}

fn training(catalog: Catalog) -> World {
    let mut world = World::with(catalog);
    world.tell(Command::Show(Screen::Train));
    world
}

fn figures(srcc: f64) -> Figures {
    Figures {
        n: 20,
        srcc: Some(srcc),
        plcc: Some(srcc),
        rmse: Some(0.5),
        ..Figures::default()
    }
}

fn run(status: RunStatus) -> RunRecord {
    let epoch = |epoch: u32| EpochFigures {
        epoch,
        train_loss: 1.0 / f64::from(epoch),
        val: figures(0.1 * f64::from(epoch)),
        val_loss: 1.2 / f64::from(epoch),
        seconds: 1.0,
    };
    RunRecord {
        id: RunId(7),
        settings: TrainSettings::new(Aspect::Quality),
        model: ModelTag {
            name: "mini".to_owned(),
            sha256: "0".repeat(64),
        },
        preset: "assay".to_owned(),
        num_images: [65, 7, 10],
        status,
        epochs: (1..=4).map(epoch).collect(),
        best_epoch: Some(4),
        previous: None,
        predictor: None,
        test_before: None,
        test_after: None,
        unix_time: 1_795_413_480,
    }
}

fn finished() -> Catalog {
    let mut catalog = catalog();
    *catalog.settings.predictor.get_mut(Aspect::Quality) = Some(PredictorId(3));
    catalog.runs = vec![RunRecord {
        predictor: Some(PredictorId(3)),
        previous: Some(PredictorId(2)),
        test_before: Some(figures(0.58)),
        test_after: Some(figures(0.71)),
        ..run(RunStatus::Done)
    }];
    catalog
}

fn start(world: &mut World) {
    let job = Job::Train(TrainSettings::new(Aspect::Quality));
    world.state.jobs.submitted(JobId(1), job);
    world.hear(Event::JobStarted {
        job: JobId(1),
        title: "Train a quality predictor".to_owned(),
        can_pause: true,
    });
}

#[test]
fn two_clicks_are_one_run() {
    let mut window = world::window(training(catalog()), SIZE);
    let words = "Train on 72 images";
    window.get_by_label(words).click();
    window.run_steps(1);
    if let Some(button) = window.query_by_label(words) {
        button.click();
    }
    window.run_steps(2);
    let job = Job::Train(TrainSettings::new(Aspect::Quality));
    assert_eq!(window.state().effects, [Effect::Submit(job)]);
}

#[test]
fn a_running_training_can_be_stopped_and_no_other_begun() {
    let mut world = training(catalog());
    start(&mut world);
    world.hear(Event::RunChanged(run(RunStatus::Running)));
    world.hear(Event::TrainStep {
        run: RunId(7),
        epoch: 5,
        step: 2,
        steps: 4,
        loss: 0.2,
    });
    let mut window = world::window(world, SIZE);
    assert!(window.query_by_label("Train on 72 images").is_none());
    window.get_by_label("Run 7: epoch 5 of 20");
    window.get_by_label("Curves of run 7: correlation");
    window.get_by_label("Stop and keep the best").click();
    window.run_steps(2);
    assert_eq!(
        window.state().effects,
        [Effect::Control(JobId(1), Control::Cancel)]
    );
    window.get_by_label("Stopping");
}

#[test]
fn a_finished_run_says_what_it_brought_and_can_be_taken_back() {
    let mut window = world::window(training(finished()), SIZE);
    window.get_by_label("SRCC on 20 images of the test list rose from 0.580 to 0.710.");
    window.get_by_label("Roll back").click();
    window.run_steps(2);
    let expected = Effect::Submit(Job::UsePredictor {
        aspect: Aspect::Quality,
        predictor: Some(PredictorId(2)),
    });
    assert_eq!(window.state().effects, [expected]);
}

#[test]
fn a_run_that_was_cut_off_goes_on() {
    let mut catalog = catalog();
    catalog.runs = vec![run(RunStatus::Running)];
    let mut window = world::window(training(catalog), SIZE);
    window.get_by_label("Go on").click();
    window.run_steps(2);
    assert_eq!(
        window.state().effects,
        [Effect::Submit(Job::ResumeTraining(RunId(7)))]
    );
}

#[test]
fn the_end_of_another_job_leaves_the_live_figures() {
    let mut world = training(catalog());
    start(&mut world);
    world.hear(Event::RunChanged(run(RunStatus::Running)));
    let other = Job::UsePredictor {
        aspect: Aspect::Quality,
        predictor: None,
    };
    world.state.jobs.submitted(JobId(2), other);
    world.hear(Event::JobDone(JobId(2), JobReport::default()));
    assert_eq!(world.state.train.active, Some(RunId(7)));
    world.hear(Event::JobDone(JobId(1), JobReport::default()));
    assert_eq!(world.state.train.active, None);
}

#[test]
fn shared_prompts_and_lacking_scores_are_said_before_the_click() {
    let mut window = world::window(training(world::catalog(100)), SIZE);
    window.get_by_label(
        "1 prompt stands in both train and test: test figures will look better than they are.",
    );
    window.get_by_label("Authenticity").click();
    window.run_steps(2);
    let button = window.get_by_label_contains("Train on 0 images");
    assert!(button.accesskit_node().is_disabled());
}

#[test]
fn every_widget_of_train_has_a_name() {
    let mut window = world::window(training(finished()), SIZE);
    window.get_by_label("Advanced settings").click();
    window.run_steps(2);
    window.get_by_label("Learning rate");
    assert_eq!(window.unnamed_widgets(), Vec::<String>::new());
}
