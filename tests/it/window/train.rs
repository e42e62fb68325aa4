//! Train: one click is one run, a run can be ended and taken back, and what is doubtful is said before the click.

use assay::domain::Aspect;
use assay::domain::Catalog;
use assay::domain::Contest;
use assay::domain::EpochFigures;
use assay::domain::FeatureUsage;
use assay::domain::FigureReport;
use assay::domain::Figures;
use assay::domain::ImageId;
use assay::domain::ModelTag;
use assay::domain::PairedFigure;
use assay::domain::PredictorId;
use assay::domain::Range;
use assay::domain::Ranged;
use assay::domain::RunId;
use assay::domain::RunRecord;
use assay::domain::RunReport;
use assay::domain::RunStatus;
use assay::domain::Selection;
use assay::domain::Tested;
use assay::domain::TrainSettings;
use assay::jobs::message::Control;
use assay::jobs::message::Event;
use assay::jobs::message::Job;
use assay::jobs::message::JobId;
use assay::jobs::message::JobReport;
use assay::state::Command;
use assay::state::Effect;
use assay::state::Screen;
use assay::state::train;
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

/// What was asked for beside the measuring of the cache, which the screen asks for by itself.
fn asked(window: &egui_kittest::Harness<'static, World>) -> Vec<Effect> {
    let is_quiet = |effect: &&Effect| **effect != Effect::Submit(Job::MeasureFeatures);
    let effects = window.state().effects.iter();
    effects.filter(is_quiet).cloned().collect()
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
    assert_eq!(asked(&window), [Effect::Submit(job)]);
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
    assert_eq!(asked(&window), [Effect::Control(JobId(1), Control::Cancel)]);
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
    assert_eq!(window.state().effects.last(), Some(&expected));
}

#[test]
fn a_run_that_was_cut_off_goes_on() {
    let mut catalog = catalog();
    catalog.runs = vec![run(RunStatus::Running)];
    let mut window = world::window(training(catalog), SIZE);
    window.get_by_label("Go on").click();
    window.run_steps(2);
    assert_eq!(
        asked(&window),
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
    assert_eq!(train::active(&world.state), Some(RunId(7)));
    world.hear(Event::JobDone(JobId(1), JobReport::default()));
    assert_eq!(train::active(&world.state), None);
}

#[test]
fn shared_prompts_and_lacking_scores_are_said_before_the_click() {
    let mut window = world::window(training(world::catalog(100)), SIZE);
    window.get_by_label(
        "1 prompt stands in both train and test: test figures will look better than they are.",
    );
    window.get_by_label("Authenticity").click();
    window.run_steps(2);
    let toggle = window.query_all_by_label("Quality").next();
    toggle.expect("the toggle of quality").click();
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

/// The predictions of both predictors on 20 test pictures, as the worker reports them.
fn report(contest: Contest) -> RunReport {
    let ranged = |value: f64| Ranged {
        value,
        range: Range {
            low: value - 0.05,
            high: value + 0.05,
        },
    };
    let paired = PairedFigure {
        first: ranged(0.58),
        second: ranged(0.71),
        difference: ranged(0.13),
        p_value: 0.004,
    };
    let pictures = (1..=20).map(|image| Tested {
        image: ImageId(image * 5),
        mos: 2.5,
        first: Some(3.5 - image as f64 / 20.0),
        second: 2.9,
    });
    RunReport {
        contest,
        aspect: Some(Aspect::Quality),
        first: Some(figures(0.58)),
        second: figures(0.71),
        figures: vec![FigureReport {
            name: "SRCC",
            alone: Ok(paired.second),
            paired: Ok(paired),
        }],
        pictures: pictures.collect(),
        notes: Vec::new(),
        resamples: 2000,
    }
}

/// Two finished runs, of which the second one is in use.
fn two_runs() -> Catalog {
    let mut catalog = finished();
    let second = RunRecord {
        id: RunId(8),
        ..catalog.runs[0].clone()
    };
    catalog.runs.push(second);
    catalog
}

#[test]
fn several_aspects_are_one_press_and_a_run_each() {
    let mut window = world::window(training(catalog()), SIZE);
    window.get_by_label("Correspondence").click();
    window.run_steps(2);
    window
        .get_by_label("Train 2 predictors on 72 images each")
        .click();
    window.run_steps(2);
    let jobs = [Aspect::Quality, Aspect::Correspondence]
        .map(|aspect| Effect::Submit(Job::Train(TrainSettings::new(aspect))));
    assert_eq!(asked(&window), jobs);
}

#[test]
fn of_several_runs_one_can_be_stopped_or_all() {
    let mut world = training(catalog());
    for (id, aspect) in [(1, Aspect::Quality), (2, Aspect::Correspondence)] {
        let job = Job::Train(TrainSettings::new(aspect));
        world.state.jobs.submitted(JobId(id), job);
        world.hear(Event::JobStarted {
            job: JobId(id),
            title: "Train".to_owned(),
            can_pause: true,
        });
    }
    world.hear(Event::RunChanged(run(RunStatus::Running)));
    let next = RunRecord {
        id: RunId(8),
        epochs: Vec::new(),
        best_epoch: None,
        ..run(RunStatus::Running)
    };
    world.hear(Event::RunChanged(next.clone()));
    assert_eq!(train::active(&world.state), Some(RunId(7)));
    assert!(!train::is_cut_off(&world.state, &next));
    let mut window = world::window(world, SIZE);
    window.get_by_label_contains("1 more to come");
    window.get_by_label("Stop all 2").click();
    window.run_steps(2);
    let cancel = |id| Effect::Control(JobId(id), Control::Cancel);
    // The one that waits is told first, so that it does not begin meanwhile.
    assert_eq!(asked(&window), [cancel(2), cancel(1)]);
}

#[test]
fn the_jobs_of_a_cross_validation_leave_room_for_the_screen() {
    let mut world = training(catalog());
    for id in 1..=30 {
        let job = Job::Train(TrainSettings::new(Aspect::Quality));
        world.state.jobs.submitted(JobId(id), job);
        world.hear(Event::JobStarted {
            job: JobId(id),
            title: format!("Train part {id}"),
            can_pause: true,
        });
    }
    let mut window = world::window(world, SIZE);
    window.get_by_label("Train part 3");
    assert!(window.query_by_label("Train part 4").is_none());
    window.get_by_label("and 27 more waiting").click();
    window.run_steps(16);
    window.get_by_label("Train part 4");
    // Four of them fit, whatever the strip had left when they were unfolded.
    window.get_by_label("Train part 7");
    let top = window.get_by_label("Train part 1").rect().top();
    assert!(top > SIZE[1] - 400.0, "the strip begins at {top}");
}

#[test]
fn runs_that_were_cut_off_go_on_together() {
    let mut catalog = catalog();
    catalog.runs = vec![
        run(RunStatus::Running),
        RunRecord {
            id: RunId(8),
            ..run(RunStatus::Running)
        },
    ];
    let mut window = world::window(training(catalog), SIZE);
    window
        .get_by_label("Go on with 2 runs that were cut off")
        .click();
    window.run_steps(2);
    let jobs = [7, 8].map(|id| Effect::Submit(Job::ResumeTraining(RunId(id))));
    assert_eq!(asked(&window), jobs);
}

#[test]
fn intervals_and_pictures_come_from_a_worker_once() {
    // High enough that the pictures at the foot of the page can be clicked.
    let mut window = world::window(training(finished()), [1280.0, 2400.0]);
    window.run_steps(4);
    let contest = Contest::BeforeAfter(RunId(7));
    let wish = Effect::Submit(Job::ReportRuns(contest));
    assert_eq!(asked(&window), [wish]);
    window.get_by_label("Intervals and the paired test are being computed");
    window
        .state_mut()
        .hear(Event::RunsReported(Box::new(report(contest))));
    window.run_steps(3);
    window.get_by_label_contains("a difference of +0.130 (95 % interval +0.080 to +0.180");
    window.get_by_label("0.710 [0.660, 0.760]");
    window.get_by_label("After: predicted over true quality scores of 20 pictures");
    let picture = "p00005.png, error +0.95 to +0.40";
    window.get_by_label(picture).click();
    window.run_steps(2);
    let focus = window.state().state.selection.focus;
    assert_eq!(focus, Some(ImageId(5)));
    assert_eq!(asked(&window).len(), 1, "asked once");
}

#[test]
fn two_marked_runs_are_held_against_each_other() {
    let mut window = world::window(training(two_runs()), SIZE);
    for name in ["Compare run 7", "Compare run 8"] {
        window.get_by_label(name).click();
        window.run_steps(2);
    }
    let contest = Contest::Runs(RunId(7), RunId(8));
    let asked = Effect::Submit(Job::ReportRuns(contest));
    window
        .state_mut()
        .hear(Event::RunsReported(Box::new(report(Contest::BeforeAfter(
            RunId(8),
        )))));
    window.run_steps(3);
    assert_eq!(window.state().effects.last(), Some(&asked));
    window
        .state_mut()
        .hear(Event::RunsReported(Box::new(report(contest))));
    window.run_steps(3);
    window.get_by_label("Run 8 against run 7");
    window.get_by_label("Curves of runs 7 and 8: correlation");
    window.get_by_label_contains("run 8 is better");
    assert_eq!(window.unnamed_widgets(), Vec::<String>::new());
    window.get_by_label("Close the comparison").click();
    window.run_steps(2);
    window.get_by_label("Run 8: quality, finished");
}

#[test]
fn a_choice_on_the_test_list_is_warned_of_and_marked() {
    let mut catalog = finished();
    catalog.runs[0].settings.selection = Selection::TestList;
    let mut window = world::window(training(catalog), SIZE);
    assert!(window.query_all_by_label("chosen on test").count() >= 2);
    window.get_by_label("Advanced settings").click();
    window.run_steps(2);
    window.get_by_label("Published protocol").click();
    window.run_steps(2);
    window.get_by_label_contains("The test list chooses the best epoch, so its figures");
    let settings = &window.state().state.train.settings;
    assert_eq!(*settings, TrainSettings::published(Aspect::Quality));
}

#[test]
fn generators_narrow_what_is_learned_from_and_not_the_test() {
    let mut window = world::window(training(catalog()), SIZE);
    window.get_by_label("All 2 generators").click();
    window.run_steps(2);
    window.get_by_label("alpha").click();
    window.run_steps(2);
    window.get_by_label_contains("of other generators or without the tag are left out.");
    window.get_by_label_contains("10 images of the test list are only reported");
    let from = &window.state().state.train.settings.learn_from;
    assert_eq!(from.generators, ["alpha"]);
}

#[test]
fn parts_of_a_cross_validation_have_a_mean_and_a_spread() {
    let mut catalog = finished();
    let plain = catalog.runs[0].clone();
    catalog.runs = (0..3)
        .map(|number| RunRecord {
            id: RunId(10 + i64::from(number)),
            settings: plain.settings.folds(3)[number as usize].clone(),
            test_after: Some(figures(0.6 + 0.1 * f64::from(number))),
            predictor: None,
            ..plain.clone()
        })
        .collect();
    let window = world::window(training(catalog), SIZE);
    window.get_by_label_contains("Part 3 of 3 of a cross-validation");
    window.get_by_label_contains("over 3 of 3 parts: SRCC 0.700 \u{b1} 0.100");
}

#[test]
fn the_cache_says_its_size_beforehand_and_makes_room() {
    let mut world = training(catalog());
    let usage = FeatureUsage {
        files: 10,
        bytes: 20_000_000,
    };
    world.hear(Event::FeaturesMeasured(usage));
    let mut window = world::window(world, SIZE);
    window.get_by_label_contains("holds 20.0 MB; what is to be described will add about");
    window.get_by_label("Make room").click();
    window.run_steps(2);
    window
        .get_by_label("Delete the oldest half (10.0 MB)")
        .click();
    window.run_steps(2);
    let max_bytes = 10_000_000;
    let prune = Effect::Submit(Job::PruneFeatures { max_bytes });
    assert_eq!(asked(&window), [prune]);
}
