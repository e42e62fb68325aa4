//! Distil: four steps, each of which says what it lacks, and texts that are read, edited and rejected by key.

use assay::domain::Aspect;
use assay::domain::Catalog;
use assay::domain::DescriptionId;
use assay::domain::Evaluation;
use assay::domain::Figures;
use assay::domain::ImageId;
use assay::domain::Judgement;
use assay::domain::KeySource;
use assay::domain::MemoryNeed;
use assay::domain::ModelTag;
use assay::domain::Origin;
use assay::domain::ReviewAct;
use assay::domain::ReviewId;
use assay::domain::ReviewRecord;
use assay::domain::ReviewWish;
use assay::domain::RunStatus;
use assay::domain::Speaker;
use assay::domain::Split;
use assay::domain::TeachEstimate;
use assay::domain::TeachFailure;
use assay::domain::TuneEstimate;
use assay::domain::TuneId;
use assay::domain::TuneNeed;
use assay::domain::TunePreset;
use assay::domain::TuneRun;
use assay::domain::TuneSettings;
use assay::domain::TuneStep;
use assay::domain::Usage;
use assay::domain::WordFigures;
use assay::jobs::message::Control;
use assay::jobs::message::Event;
use assay::jobs::message::Job;
use assay::jobs::message::JobId;
use assay::jobs::message::Progress;
use assay::state::Command;
use assay::state::Effect;
use assay::state::Screen;
use assay::state::distil::DistilCommand;
use assay::state::distil::EvaluateCommand;
use assay::state::distil::Step;
use assay::state::distil::TeacherCommand;
use assay::state::distil::TuneCommand;
use assay::state::distil::teacher;
use egui::Key;
use egui::Modifiers;
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable as _;

use super::world;
use super::world::World;

const SIZE: [f32; 2] = [1280.0, 1000.0];

/// Pictures 1 to 4 with a taught text each, of which picture 4 is tested on.
fn taught() -> Catalog {
    let mut catalog = world::catalog(20);
    for image in 1..=4 {
        let told = world::description(
            image,
            image,
            Origin::Teacher,
            &format!("Taught text {image}."),
        );
        catalog.descriptions.push(told);
    }
    for aspect in Aspect::ALL {
        *catalog.images[3].split.get_mut(aspect) = Some(Split::Test);
    }
    catalog
}

fn distil(catalog: Catalog, step: Step) -> World {
    let mut world = World::with(catalog);
    world.tell(Command::Show(Screen::Distil));
    world.tell(Command::Distil(DistilCommand::Go(step)));
    world
}

fn submitted(window: &Harness<'_, World>, is_meant: impl Fn(&Job) -> bool) -> Vec<Job> {
    let effects = window.state().effects.iter();
    effects
        .filter_map(|effect| match effect {
            Effect::Submit(job) if is_meant(job) => Some(job.clone()),
            _ => None,
        })
        .collect()
}

fn reviews(window: &Harness<'_, World>) -> Vec<ReviewWish> {
    let jobs = submitted(window, |job| matches!(job, Job::Review { .. }));
    jobs.into_iter()
        .flat_map(|job| match job {
            Job::Review { wishes, .. } => wishes,
            _ => Vec::new(),
        })
        .collect()
}

/// The workers' answer to a review.
fn reviewed(id: i64, description: i64, verdict: Judgement, text: Option<&str>) -> Event {
    Event::Reviewed(vec![ReviewRecord {
        id: ReviewId(id),
        description: DescriptionId(description),
        verdict,
        text: text.map(str::to_owned),
        reason: (verdict == Judgement::Rejected).then(|| "Says nothing".to_owned()),
        author: "Ada".to_owned(),
        edited_from: None,
        unix_time: 1_700_000_000,
    }])
}

fn key(window: &mut Harness<'_, World>, key: Key) {
    window.key_press(key);
    window.run_steps(3);
}

#[test]
fn without_a_teacher_the_screen_says_what_is_lacking() {
    let mut window = world::window(distil(world::catalog(20), Step::Teacher), SIZE);
    window.get_by_label("Step 1  Teacher: Nothing taught yet");
    window.get_by_label_contains("Name the teacher's model");
    window
        .get_by_label("Step 2  Review: Nothing to read yet")
        .click();
    window.run_steps(3);
    window.get_by_label_contains("No teacher has described anything yet");
    window.get_by_label("Go to Teacher").click();
    window.run_steps(3);
    assert_eq!(window.state().state.distil.step, Step::Teacher);
}

#[test]
fn the_cost_is_said_before_anything_is_asked() {
    let mut window = world::window(distil(world::catalog(20), Step::Teacher), SIZE);
    let mut settings = window.state().state.distil.teacher.settings.clone();
    settings.model = "m-1".to_owned();
    settings.prices.input = 1.0;
    settings.prices.output = 10.0;
    let command = TeacherCommand::Set(settings);
    window
        .state_mut()
        .tell(Command::Distil(DistilCommand::Teacher(command)));
    window.run_steps(3);
    let asked = submitted(&window, |job| matches!(job, Job::EstimateTeaching(_)));
    let [Job::EstimateTeaching(request)] = asked.as_slice() else {
        panic!("asked once: {asked:?}");
    };
    // Every fifth picture is tested on, every tenth has no file.
    assert_eq!(request.images.len(), 16);
    let looked = submitted(&window, |job| matches!(job, Job::LookForKey(_)));
    assert!(!looked.is_empty());

    let found = TeachEstimate {
        requests: 16,
        descriptions: 48,
        word_tokens: 8_000,
        picture_tokens: 4_128,
        answer_tokens: 3_360,
        ..TeachEstimate::default()
    };
    let address = teacher::address(&window.state().state.distil.teacher.settings);
    window
        .state_mut()
        .hear(Event::KeyFound(address, KeySource::Variable));
    window
        .state_mut()
        .hear(Event::TeachingEstimated(Box::new(request.clone()), found));
    window.run_steps(3);
    window.get_by_label_contains(
        "16 requests for 48 texts: about 12,128 tokens read and 3,360 written, about 0.05",
    );
    window.get_by_label("in GEMINI_API_KEY");
    window.get_by_label("Ask about 16 pictures").click();
    window.run_steps(3);
    let [Job::Teach(teach)] = &submitted(&window, |job| matches!(job, Job::Teach(_)))[..] else {
        panic!("one job");
    };
    assert!(teach.shows_scores && teach.together);
}

#[test]
fn a_machine_without_a_keyring_says_to_use_the_variable() {
    let mut world = distil(world::catalog(20), Step::Teacher);
    let mut settings = world.state.distil.teacher.settings.clone();
    settings.model = "m-1".to_owned();
    let address = teacher::address(&settings);
    let command = TeacherCommand::Set(settings);
    world.tell(Command::Distil(DistilCommand::Teacher(command)));
    let why = "this machine has no keyring that opens (no bus)".to_owned();
    world.hear(Event::KeyFound(address, KeySource::NoKeyring(why)));
    let window = world::window(world, SIZE);
    window.get_by_label("no keyring here");
    window.get_by_label_contains("Set GEMINI_API_KEY before the program starts");
    window.get_by_label_contains("There is no key: enter one");
}

#[test]
fn a_key_goes_to_the_keyring_and_stays_on_no_screen() {
    let mut world = distil(world::catalog(20), Step::Teacher);
    let settings = world.state.distil.teacher.settings.clone();
    let address = teacher::address(&settings);
    world.hear(Event::KeyFound(address, KeySource::None));
    let mut window = world::window(world, SIZE);
    let field = window.get_by_role_and_label(egui::accesskit::Role::PasswordInput, "Key");
    field.focus();
    window.run_steps(2);
    window
        .get_by_role_and_label(egui::accesskit::Role::PasswordInput, "Key")
        .type_text("sk-NeverSeen");
    window.run_steps(2);
    window.get_by_label("Keep in the keyring").click();
    window.run_steps(3);
    let kept = submitted(&window, |job| {
        matches!(job, Job::KeepKey { key: Some(_), .. })
    });
    assert_eq!(kept.len(), 1);
    let words = format!("{:?}", window.state().state) + &format!("{:?}", window.state().effects);
    assert!(!words.contains("NeverSeen"));
}

#[test]
fn a_dataset_without_lists_is_sent_to_train() {
    let mut catalog = world::catalog(20);
    for record in &mut catalog.images {
        for aspect in Aspect::ALL {
            *record.split.get_mut(aspect) = None;
        }
    }
    let mut world = distil(catalog, Step::Teacher);
    let mut settings = world.state.distil.teacher.settings.clone();
    settings.model = "m-1".to_owned();
    world.tell(Command::Distil(DistilCommand::Teacher(
        TeacherCommand::Set(settings),
    )));
    let mut window = world::window(world, SIZE);
    window.get_by_label_contains("No picture stands in a training list yet");
    window.get_by_label("Go to Train").click();
    window.run_steps(2);
    assert_eq!(window.state().state.screen, Screen::Train);
}

#[test]
fn a_running_teacher_shows_what_it_spends_and_can_be_stopped() {
    let mut world = distil(taught(), Step::Teacher);
    let mut settings = world.state.distil.teacher.settings.clone();
    settings.model = "m-1".to_owned();
    settings.budget.requests = Some(100);
    world.tell(Command::Distil(DistilCommand::Teacher(
        TeacherCommand::Set(settings),
    )));
    let request = teacher::request(&world.state);
    world.state.jobs.submitted(JobId(7), Job::Teach(request));
    world.hear(Event::JobStarted {
        job: JobId(7),
        title: "Ask m-1 about 16 images".to_owned(),
        can_pause: true,
    });
    let progress = Progress {
        done: 4,
        total: 16,
        stage: "Asking m-1".to_owned(),
        ..Progress::default()
    };
    world.hear(Event::JobProgress(JobId(7), progress));
    let usage = Usage {
        requests: 5,
        input: 3_000,
        output: 700,
    };
    world.hear(Event::TeacherSpent(JobId(7), usage));
    let mut window = world::window(world, SIZE);
    window.get_by_label("Step 1  Teacher: Asking, 4 of 16");
    window.get_by_label("5 of 100 requests, 3,700 tokens");
    window.get_by_label("Stop asking").click();
    window.run_steps(2);
    let stop = Effect::Control(JobId(7), Control::Cancel);
    assert!(window.state().effects.contains(&stop));
    let reason = "cannot reach host: no route".to_owned();
    window.state_mut().hear(Event::JobFailed(JobId(7), reason));
    window.run_steps(3);
    assert_eq!(
        window.get_all_by_label("Retry").count(),
        2,
        "in the step and in the strip"
    );
}

#[test]
fn texts_are_accepted_and_rejected_by_key_one_after_another() {
    let mut window = world::window(distil(taught(), Step::Review), SIZE);
    window.get_by_label("Unreviewed 4");
    window.get_by_label("Taught text 1.");
    window.get_by_label("People: 3.70 on 0-5");
    key(&mut window, Key::A);
    window
        .state_mut()
        .hear(reviewed(1, 1, Judgement::Accepted, None));
    window.run_steps(3);
    window.get_by_label("Taught text 2.");
    window.get_by_label("Accepted 1");
    assert_eq!(window.state().state.selection.focus, Some(ImageId(2)));

    key(&mut window, Key::X);
    window.get_by_label("Why is it wrong?");
    window.get_by_label("Says nothing").click();
    window.run_steps(3);
    window
        .state_mut()
        .hear(reviewed(2, 2, Judgement::Rejected, None));
    window.run_steps(3);
    window.get_by_label("Taught text 3.");
    key(&mut window, Key::ArrowRight);
    window.get_by_label("Taught text 4.");
    window.get_by_label_contains("The opinion score is not shown");
    let wish = |description, act| ReviewWish {
        description: DescriptionId(description),
        act,
    };
    let expected = [
        wish(1, ReviewAct::Accept),
        wish(2, ReviewAct::Reject("Says nothing".to_owned())),
    ];
    assert_eq!(reviews(&window), expected);
}

#[test]
fn an_edited_text_is_saved_in_its_new_words_and_keeps_its_history() {
    let mut window = world::window(distil(taught(), Step::Review), SIZE);
    key(&mut window, Key::E);
    window.get_by_label("The text").type_text(" And soft.");
    window.run_steps(3);
    // Letters that stand for actions go into the field.
    assert!(reviews(&window).is_empty());
    window.key_press_modifiers(Modifiers::COMMAND, Key::Enter);
    window.run_steps(3);
    let [wish] = &reviews(&window)[..] else {
        panic!("one review");
    };
    assert!(matches!(&wish.act, ReviewAct::Edit(text) if text.contains("And soft.")));
    window.state_mut().hear(reviewed(
        1,
        1,
        Judgement::Edited,
        Some("Taught text 1. And soft."),
    ));
    window.run_steps(3);
    window.get_by_label("Edited 1").click();
    window.run_steps(3);
    window.get_by_label("Taught text 1. And soft.");
    window.get_by_label("History, 1").click();
    window.run_steps(3);
    window.get_by_label("Taught text 1.");
    window.get_by_label_contains("by Ada, 2023-11-14");
}

#[test]
fn a_draft_is_kept_while_others_are_read() {
    let mut window = world::window(distil(taught(), Step::Review), SIZE);
    key(&mut window, Key::E);
    window.get_by_label("The text").type_text(" Half a thought");
    window.run_steps(3);
    window.get_by_label("Next").click();
    window.run_steps(3);
    window.get_by_label("Taught text 2.");
    window.get_by_label("Previous").click();
    window.run_steps(3);
    let draft = &window.state().state.distil.review.drafts[&DescriptionId(1)];
    assert!(draft.contains("Half a thought"), "{draft}");
    assert!(window.state().state.distil.review.is_editing);
    window.get_by_label("Leave it as it was").click();
    window.run_steps(3);
    window.get_by_label("Taught text 1.");
}

#[test]
fn failed_pictures_are_listed_with_their_reason_and_asked_about_again() {
    let mut catalog = taught();
    catalog.reviews.failures.push(TeachFailure {
        image: ImageId(6),
        aspect: Aspect::Quality,
        teacher: "m-1".to_owned(),
        reason: "it does not look at this picture (SAFETY)".to_owned(),
        unix_time: 1_700_000_000,
    });
    let mut window = world::window(distil(catalog, Step::Review), SIZE);
    window.get_by_label("Failed 1").click();
    window.run_steps(3);
    window.get_by_label_contains("(SAFETY)");
    window.get_by_label("Ask again").click();
    window.run_steps(3);
    let [Job::Teach(request)] = &submitted(&window, |job| matches!(job, Job::Teach(_)))[..] else {
        panic!("one job");
    };
    assert_eq!(request.images, [ImageId(6)]);
}

#[test]
fn all_that_is_listed_is_accepted_as_one_change() {
    let mut window = world::window(distil(taught(), Step::Review), SIZE);
    window.get_by_label("Accept all 4").click();
    window.run_steps(3);
    let jobs = submitted(&window, |job| matches!(job, Job::Review { .. }));
    assert_eq!(jobs.len(), 1);
    assert_eq!(reviews(&window).len(), 4);
}

fn estimate(settings: TuneSettings, free: u64) -> TuneEstimate {
    TuneEstimate {
        settings,
        base: ModelTag {
            name: "mini".to_owned(),
            sha256: String::new(),
        },
        num_conversations: [1_234, 60],
        steps: 462,
        num_trained: 2_000_000,
        form: "f32".to_owned(),
        need: TuneNeed {
            model: MemoryNeed::default(),
            trained: 3_000_000_000,
            kept: 0,
        },
        free: Some(free),
    }
}

#[test]
fn fine_tuning_says_whether_it_fits_before_it_begins() {
    let mut window = world::window(distil(taught(), Step::Tune), SIZE);
    let asked = submitted(&window, |job| {
        matches!(job, Job::EstimateTuning(_) | Job::ListTunings)
    });
    assert_eq!(asked.len(), 2, "{asked:?}");
    window.state_mut().hear(Event::Tunings(Vec::new()));
    let settings = window.state().state.distil.tune.settings.clone();
    let found = estimate(settings.clone(), 1_000_000_000);
    window
        .state_mut()
        .hear(Event::TuneEstimated(Box::new(found)));
    window.run_steps(3);
    window.get_by_label("No adapters yet");
    window.get_by_label_contains("Too large: it takes about 3.00 GB");
    window.get_by_label_contains("choose a lighter preset");
    window
        .get_by_label("Fine-tune on 1,234 conversations")
        .click();
    window.run_steps(3);
    assert!(submitted(&window, |job| matches!(job, Job::Tune(_))).is_empty());

    window.get_by_label("As the paper says").click();
    window.run_steps(3);
    let settings = window.state().state.distil.tune.settings.clone();
    assert_eq!((settings.preset, settings.rank), (TunePreset::Paper, 64));
    let found = estimate(settings.clone(), 8_000_000_000);
    window
        .state_mut()
        .hear(Event::TuneEstimated(Box::new(found)));
    window.run_steps(3);
    window.get_by_label_contains("It fits: about 3.00 GB of the 8.00 GB");
    window
        .get_by_label("Fine-tune on 1,234 conversations")
        .click();
    window.run_steps(3);
    let jobs = submitted(&window, |job| matches!(job, Job::Tune(_)));
    assert_eq!(jobs, [Job::Tune(settings)]);
}

fn run(name: &str, status: RunStatus) -> TuneRun {
    TuneRun {
        id: TuneId(name.to_owned()),
        settings: TuneSettings::new(name, TunePreset::Light, vec![Aspect::Quality]),
        base: ModelTag {
            name: "mini".to_owned(),
            sha256: String::new(),
        },
        project: "world.assay".to_owned(),
        wording: "assay".to_owned(),
        num_conversations: [90, 5],
        num_trained: 3,
        adapter: (status == RunStatus::Done).then(|| format!("/home/models/{name}")),
        status,
        steps_done: 5,
        steps: 10,
        epochs: Vec::new(),
        best_epoch: None,
        estimated: None,
        measured_bytes: None,
        seconds: 1.0,
        unix_time: 1_700_000_000,
    }
}

#[test]
fn a_run_is_followed_stopped_and_gone_on_with() {
    let mut world = distil(taught(), Step::Tune);
    let settings = world.state.distil.tune.settings.clone();
    world.state.jobs.submitted(JobId(4), Job::Tune(settings));
    world.hear(Event::JobStarted {
        job: JobId(4),
        title: "Fine-tune tuned-1".to_owned(),
        can_pause: true,
    });
    let running = run("tuned-1", RunStatus::Running);
    world.hear(Event::TuneChanged(Box::new(running)));
    let step = TuneStep {
        step: 3,
        steps: 10,
        epoch: 1,
        loss: 2.5,
        learning_rate: 1e-4,
        grad_norm: 1.0,
        tokens_per_second: Some(420.0),
        seconds_left: Some(70.0),
    };
    world.hear(Event::TuneStepped(TuneId("tuned-1".to_owned()), step));
    let mut window = world::window(world, [1280.0, 1600.0]);
    window.get_by_label("Epoch 1, step 3 of 10");
    window.get_by_label("loss 2.500 · 420 tokens/s · about 70 s left");
    window.get_by_label("Step 3  Fine-tune: Step 3 of 10");
    window.get_by_label("Stop").click();
    window.run_steps(3);
    assert!(
        window
            .state()
            .effects
            .contains(&Effect::Control(JobId(4), Control::Cancel))
    );

    let reason = "the disk is full".to_owned();
    window.state_mut().hear(Event::JobFailed(JobId(4), reason));
    window.run_steps(3);
    window.get_by_label("cut off");
    window.get_by_label("Resume").click();
    window.run_steps(3);
    let id = TuneId("tuned-1".to_owned());
    let jobs = submitted(&window, |job| matches!(job, Job::ResumeTuning(_)));
    assert_eq!(jobs, [Job::ResumeTuning(id)]);
}

#[test]
fn a_stopped_run_can_end_with_its_best_epoch() {
    let mut world = distil(taught(), Step::Tune);
    let mut stopped = run("fox", RunStatus::Running);
    world.hear(Event::Tunings(vec![stopped.clone()]));
    let mut window = world::window(world, SIZE);
    window.get_by_label("Resume");
    assert!(
        window
            .query_by_label("Take the best epoch of fox")
            .is_none()
    );
    stopped.best_epoch = Some(2);
    window
        .state_mut()
        .hear(Event::TuneChanged(Box::new(stopped)));
    window.run_steps(3);
    window.get_by_label("Take the best epoch of fox").click();
    window.run_steps(3);
    let jobs = submitted(&window, |job| matches!(job, Job::TakeTuning(_)));
    assert_eq!(jobs, [Job::TakeTuning(TuneId("fox".to_owned()))]);
}

#[test]
fn what_came_out_of_a_run_is_taken_into_use_by_one_click() {
    let mut world = distil(taught(), Step::Tune);
    world.hear(Event::Tunings(vec![run("fox", RunStatus::Done)]));
    let mut window = world::window(world, SIZE);
    window.get_by_label("done");
    window.get_by_label("Use fox").click();
    window.run_steps(3);
    let jobs = submitted(&window, |job| matches!(job, Job::UseModel { .. }));
    let folder = Some("/home/models/fox".into());
    assert_eq!(jobs, [Job::UseModel { folder }]);
    // A name that is taken is not offered again.
    let name = TuneCommand::SetName("fox".to_owned());
    window
        .state_mut()
        .tell(Command::Distil(DistilCommand::Tune(name)));
    window.run_steps(3);
    window.get_by_label_contains("There is a run fox already");
}

fn speaker(name: &str, accuracy: Option<f64>, srcc: Option<f64>) -> Speaker {
    let reason = Some("no predictor has scored what this model says".to_owned());
    Speaker {
        name: name.to_owned(),
        origin: Origin::Local,
        model: Some(ModelTag {
            name: name.to_owned(),
            sha256: name.to_owned(),
        }),
        preset: Some("assay".to_owned()),
        num_described: 4,
        words: WordFigures {
            n: 4,
            accuracy,
            rough_accuracy: accuracy,
            precision: accuracy,
            f1: accuracy,
            ..WordFigures::default()
        },
        predictor: None,
        predictor_name: None,
        scores: Figures {
            n: 4,
            srcc,
            plcc: srcc,
            reason: reason.filter(|_| srcc.is_none()),
            ..Figures::default()
        },
        unix_time: 0,
    }
}

#[test]
fn before_and_after_stand_side_by_side_and_undefined_is_said() {
    let mut window = world::window(distil(taught(), Step::Evaluate), SIZE);
    let ask = Job::EvaluateModels {
        aspect: Aspect::Quality,
        split: Some(Split::Test),
    };
    assert_eq!(submitted(&window, |job| *job == ask).len(), 1);
    let found = Evaluation {
        aspect: Aspect::Quality,
        split: Some(Split::Test),
        num_images: 3,
        truth: "World".to_owned(),
        speakers: vec![
            speaker("mini", Some(0.25), Some(0.5)),
            speaker("tuned-1", Some(0.75), None),
        ],
    };
    let mut unlike = found.clone();
    unlike.speakers[1].words.n = 2;
    window.state_mut().hear(Event::Evaluated(Box::new(unlike)));
    window.run_steps(3);
    window.get_by_label_contains("not spoken about equally many pictures");
    assert!(window.query_by_label("+0.5000").is_none());
    window.state_mut().hear(Event::Evaluated(Box::new(found)));
    window.run_steps(3);
    window.get_by_label("Step 4  Evaluate: Words 0.250, then 0.750");
    assert_eq!(window.get_all_by_label("+0.5000").count(), 4);
    assert_eq!(window.get_all_by_label("undefined").count(), 2);
    window.get_by_label_contains("Test list, 3 images with a score by World");
    // Nothing is asked for twice.
    assert_eq!(submitted(&window, |job| *job == ask).len(), 1);
    window
        .get_by_label_contains("test images with the model in use")
        .click();
    window.run_steps(3);
    let jobs = submitted(&window, |job| matches!(job, Job::Describe { .. }));
    let [Job::Describe { images, .. }] = jobs.as_slice() else {
        panic!("{jobs:?}");
    };
    assert!(images.contains(&ImageId(4)) && !images.contains(&ImageId(1)));
}

#[test]
fn nothing_described_is_said_and_no_figure_is_shown() {
    let mut world = distil(world::catalog(20), Step::Evaluate);
    world.tell(Command::Distil(DistilCommand::Evaluate(
        EvaluateCommand::SetAspect(Aspect::Authenticity),
    )));
    world.hear(Event::Evaluated(Box::new(Evaluation {
        aspect: Aspect::Authenticity,
        split: Some(Split::Test),
        num_images: 0,
        truth: "World".to_owned(),
        speakers: Vec::new(),
    })));
    let window = world::window(world, SIZE);
    window.get_by_label_contains("has an opinion score for authenticity");
    window.get_by_label("Step 4  Evaluate: Not compared yet");
}
