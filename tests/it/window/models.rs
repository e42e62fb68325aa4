//! Models: what is on this machine, and which of it can be used.

use std::path::PathBuf;

use assay::domain::AddOn;
use assay::domain::Aspect;
use assay::domain::Fit;
use assay::domain::FormNeed;
use assay::domain::HalfDownload;
use assay::domain::KnownModel;
use assay::domain::MemoryNeed;
use assay::domain::ModelCard;
use assay::domain::ModelKind;
use assay::domain::ModelTag;
use assay::domain::Offer;
use assay::domain::OpinionScale;
use assay::domain::Outlook;
use assay::domain::PredictorCard;
use assay::domain::PredictorId;
use assay::domain::Purpose;
use assay::domain::RunId;
use assay::domain::Settings;
use assay::domain::Shelf;
use assay::domain::Speed;
use assay::jobs::message::Control;
use assay::jobs::message::Event;
use assay::jobs::message::FetchRequest;
use assay::jobs::message::Job;
use assay::jobs::message::JobId;
use assay::jobs::message::Progress;
use assay::jobs::message::Unit;
use assay::state::Command;
use assay::state::Effect;
use assay::state::Screen;
use assay::state::command::Pick;
use assay::state::models::ModelsCommand;
use egui_kittest::kittest::Queryable as _;

use super::world;
use super::world::World;

const SIZE: [f32; 2] = [1280.0, 1200.0];

fn tag(name: &str) -> ModelTag {
    ModelTag {
        name: name.to_owned(),
        sha256: "ab".repeat(32),
    }
}

fn model(name: &str) -> ModelCard {
    ModelCard {
        tag: tag(name),
        summary: "A small model.".to_owned(),
        architecture: "minicpm-v-2.5".to_owned(),
        source: "trained by this program".to_owned(),
        licence: "Apache-2.0".to_owned(),
        num_parameters: 9_500_000,
        weights_bytes: 38_000_000,
        memory_bytes: 38_000_000,
        loaded_on: None,
        folder: None,
    }
}

fn showing() -> World {
    let mut catalog = world::catalog(20);
    catalog.predictors = vec![PredictorCard {
        id: PredictorId(4),
        name: "quality predictor of run 1".to_owned(),
        aspect: Aspect::Quality,
        scale: OpinionScale::ZERO_TO_FIVE,
        dataset: "World".to_owned(),
        split: "train".to_owned(),
        model: tag("mini"),
        preset: "assay".to_owned(),
        head: "xLSTM m,s,m,m, mean pooling".to_owned(),
        val: None,
        test: None,
        run: Some(RunId(1)),
    }];
    let mut world = World::with(catalog);
    world.hear(Event::Models(vec![model("mini")]));
    world.tell(Command::Show(Screen::Models));
    world
}

#[test]
fn the_card_says_name_licence_and_where() {
    let window = world::window(showing(), SIZE);
    window.get_by_label("mini");
    window.get_by_label("Apache-2.0");
    window.get_by_label("inside the program");
    window.get_by_label("not loaded");
    window.get_by_label("9.5 million");
}

#[test]
fn a_predictor_is_taken_into_use_by_one_click() {
    let mut window = world::window(showing(), SIZE);
    window
        .get_by_label("Use quality predictor of run 1")
        .click();
    window.run_steps(2);
    let expected = Effect::Submit(Job::UsePredictor {
        aspect: Aspect::Quality,
        predictor: Some(PredictorId(4)),
    });
    assert_eq!(window.state().effects, [expected]);
}

#[test]
fn a_folder_is_asked_for() {
    let mut window = world::window(showing(), SIZE);
    window.get_by_label("Add folder…").click();
    window.run_steps(2);
    assert_eq!(window.state().effects, [Effect::Pick(Pick::ModelFolder)]);
}

#[test]
fn without_answers_the_screen_says_that_it_looks() {
    let mut world = World::with(world::catalog(20));
    world.tell(Command::Show(Screen::Models));
    assert_eq!(world.effects, [Effect::Submit(Job::ListModels)]);
    let window = world::window(world, SIZE);
    window.get_by_label("Looking for models");
}

/// Forms of these bytes on a machine with 10 GB free.
fn fit(forms: &[(&str, u64)]) -> Fit {
    let need = |(form, weights): &(&str, u64)| FormNeed {
        form: (*form).to_owned(),
        is_quantised: form.starts_with('q'),
        need: MemoryNeed {
            weights: *weights,
            ..MemoryNeed::default()
        },
    };
    Fit::choose(
        "CPU",
        Some(10_000_000_000),
        forms.iter().map(need).collect(),
    )
}

#[test]
fn the_card_says_whether_it_fits_and_how_long_it_took() {
    let mut world = showing();
    let outlook =
        |fit, speeds| Event::Outlooks([("ab".repeat(32), Outlook { fit, speeds })].into());
    let fits = fit(&[
        ("f32", 32_000_000_000),
        ("q8_0", 8_500_000_000),
        ("q4_k", 4_800_000_000),
    ]);
    world.hear(outlook(
        Ok(Fit {
            adapters: 3,
            ..fits
        }),
        Vec::new(),
    ));
    let mut window = world::window(world, SIZE);
    window.get_by_label(
        "Fits on CPU quantised as q8_0: 8.50 GB of the 10.00 GB that are free, 3 adapters counted, one in use at a time",
    );
    window.get_by_label("f32 32.00 GB too large · q8_0 8.50 GB fits · q4_k 4.80 GB fits");
    window.get_by_label("not known: nothing was described with it on this machine yet");

    let speed = Speed {
        place: "CPU, q8_0".to_owned(),
        seconds: 4.25,
        count: 12,
    };
    window
        .state_mut()
        .hear(outlook(Ok(fit(&[("q4_k", 12_000_000_000)])), vec![speed]));
    window.run_steps(2);
    window.get_by_label_contains("Does not fit on CPU now: 12.00 GB at the smallest (q4_k)");
    window.get_by_label("4.25 s a description on CPU, q8_0 (mean of 12)");

    let why = "they lack 3 of 9 tensors".to_owned();
    window.state_mut().hear(outlook(Err(why), Vec::new()));
    window.run_steps(2);
    window.get_by_label("they lack 3 of 9 tensors");
}

#[test]
fn an_offer_says_whether_it_fits_before_it_is_fetched() {
    let mut world = with_shelf();
    world.hear(Event::Offered(Box::new(Offer {
        fit: Some(fit(&[("f32", 32_000_000_000), ("q4_k", 4_800_000_000)])),
        ..offer()
    })));
    let window = world::window(world, LONG);
    window.get_by_label("Fits on CPU quantised as q4_k: 4.80 GB of the 10.00 GB that are free");
}

/// What the workers say of the shelf: a base with an adapter, one adapter here, one model cut off half way.
fn shelf() -> Shelf {
    let known = |name: &str, kind, base: Option<&str>| KnownModel {
        name: name.to_owned(),
        kind,
        summary: format!("What {name} is"),
        repository: format!("owner/{name}"),
        include: Vec::new(),
        licence: (kind == ModelKind::Model).then(|| "apache-2.0".to_owned()),
        purpose: Purpose {
            base: base.map(str::to_owned),
            aspect: (kind != ModelKind::Model).then_some(Aspect::Quality),
            dataset: (kind != ModelKind::Model).then(|| "AGIQA-3K".to_owned()),
            ..Purpose::default()
        },
    };
    Shelf {
        known: vec![
            known("base", ModelKind::Model, None),
            known("rival", ModelKind::Model, None),
            known("tuned", ModelKind::Adapter, Some("base")),
            known("checkpoint", ModelKind::Predictor, Some("base")),
        ],
        add_ons: vec![AddOn {
            kind: ModelKind::Adapter,
            name: "mine".to_owned(),
            summary: "My own adapter".to_owned(),
            source: "/data/mine".to_owned(),
            licence: "not stated".to_owned(),
            purpose: Purpose {
                base: Some("owner/base".to_owned()),
                ..Purpose::default()
            },
            bytes: 1_200_000,
            folder: "/home/models/mine".into(),
            problem: Some("it lacks adapter_config.json".to_owned()),
        }],
        halves: vec![HalfDownload {
            source: "rival".to_owned(),
            name: "rival".to_owned(),
            kind: ModelKind::Model,
            repository: "owner/rival".to_owned(),
            revision: "main".to_owned(),
            commit: None,
            include: Vec::new(),
            licence: None,
            bytes: Some(16_000_000_000),
            present: 4_000_000_000,
            folder: "/home/models/rival".into(),
        }],
        here: vec!["mine".to_owned()],
        host: "hub.example".to_owned(),
        free_memory: Some(12_000_000_000),
    }
}

fn offer() -> Offer {
    Offer {
        source: "base".to_owned(),
        name: "base".to_owned(),
        kind: ModelKind::Model,
        repository: "owner/base".to_owned(),
        commit: "c0ffee".to_owned(),
        licence: Some("apache-2.0".to_owned()),
        page: "https://hub.example/owner/base".to_owned(),
        is_gated: true,
        parameters: Some(8_000_000_000),
        fit: None,
        num_files: 9,
        bytes: Some(16_100_000_000),
        present: 0,
        free: Some(90_000_000_000),
        folder: "/home/models/base".into(),
    }
}

fn with_shelf() -> World {
    let mut world = showing();
    world.hear(Event::Shelf(Box::new(shelf())));
    world
}

fn fetching(source: &str) -> FetchRequest {
    FetchRequest {
        source: source.to_owned(),
        ..FetchRequest::default()
    }
}

/// Long enough for everything, so that nothing has to be scrolled to.
const LONG: [f32; 2] = [1280.0, 2600.0];

#[test]
fn size_and_licence_are_on_the_screen_before_anything_is_fetched() {
    let mut window = world::window(with_shelf(), LONG);
    window.get_by_label("Download base…").click();
    window.run_steps(2);
    let asked = Effect::Submit(Job::AskModel(fetching("base")));
    assert_eq!(window.state().effects, [asked]);

    window.state_mut().hear(Event::Offered(Box::new(offer())));
    window.run_steps(2);
    window.get_by_label("16.10 GB in 9 files; 90.00 GB are free on the disk");
    window.get_by_label("licence to be accepted on its page");
    window.get_by_label_contains("q8_0 take 8.50 GB of the 12.00 GB");
    window
        .get_by_label("Accept the licence and download 16.10 GB")
        .click();
    window.run_steps(2);
    let fetched = Effect::Submit(Job::FetchModel(fetching("base")));
    assert_eq!(window.state().effects.last(), Some(&fetched));
}

#[test]
fn an_offer_without_room_cannot_be_taken_and_can_be_turned_down() {
    let mut world = with_shelf();
    world.hear(Event::Offered(Box::new(Offer {
        free: Some(1_000_000_000),
        ..offer()
    })));
    let mut window = world::window(world, LONG);
    window.get_by_label("too little room");
    window
        .get_by_label("Accept the licence and download 16.10 GB")
        .click();
    window.get_by_label("Not now").click();
    window.run_steps(2);
    assert_eq!(window.state().effects, []);
    window.get_by_label("Download base…");
}

#[test]
fn a_running_download_says_how_far_it_is_and_can_be_held_and_stopped() {
    let mut world = with_shelf();
    let id = JobId(7);
    world
        .state
        .jobs
        .submitted(id, Job::FetchModel(fetching("base")));
    world.hear(Event::JobStarted {
        job: id,
        title: "Download base".to_owned(),
        can_pause: true,
    });
    let progress = Progress {
        done: 4_000_000_000,
        total: 16_000_000_000,
        per_second: Some(34_100_000.0),
        seconds_left: Some(352.0),
        stage: "File 2 of 9".to_owned(),
        unit: Unit::Bytes,
    };
    world.hear(Event::JobProgress(id, progress));
    let mut window = world::window(world, LONG);
    let words = "4.00 GB of 16.00 GB · 34.1 MB/s · about 6 min left";
    // On its card, and on the strip below.
    assert_eq!(window.get_all_by_label(words).count(), 2);
    window.get_by_label("Pause download base").click();
    window.run_steps(2);
    window.get_by_label("Resume download base");
    window.get_by_label("Cancel download base").click();
    window.run_steps(2);
    let expected = [
        Effect::Control(id, Control::Pause),
        Effect::Control(id, Control::Cancel),
    ];
    assert_eq!(window.state().effects, expected);
}

#[test]
fn a_half_download_is_gone_on_with_or_thrown_away() {
    let mut window = world::window(with_shelf(), LONG);
    window.get_by_label("not whole");
    window.get_by_label("4.00 GB of 16.00 GB are here");
    window.get_by_label("Resume the download of rival").click();
    window
        .get_by_label("Throw away the download of rival")
        .click();
    window.run_steps(2);
    let folder = PathBuf::from("/home/models/rival");
    let resumed = FetchRequest {
        revision: Some("main".to_owned()),
        to: Some(folder.clone()),
        ..fetching("rival")
    };
    let expected = [
        Effect::Submit(Job::FetchModel(resumed)),
        Effect::Submit(Job::ForgetDownload { folder }),
    ];
    assert_eq!(window.state().effects, expected);
}

#[test]
fn without_a_network_the_card_says_what_else_can_be_done() {
    let mut world = with_shelf();
    let id = JobId(3);
    world
        .state
        .jobs
        .submitted(id, Job::AskModel(fetching("base")));
    let reason = "cannot reach hub.example: no route; copy the files and add their folder";
    world.hear(Event::JobFailed(id, reason.to_owned()));
    let mut window = world::window(world, LONG);
    window.get_by_label(reason);
    window.get_by_label("Hide why base was not fetched").click();
    window.run_steps(2);
    assert!(window.query_by_label(reason).is_none());
}

#[test]
fn adapters_stand_under_their_base_and_say_what_they_lack() {
    let window = world::window(with_shelf(), LONG);
    let top = |label: &str| window.get_by_label(label).rect().top();
    assert!(top("What base is") < top("mine") && top("mine") < top("What rival is"));
    assert!(top("What base is") < top("tuned") && top("tuned") < top("What rival is"));
    window.get_by_label("Cannot be used: it lacks adapter_config.json");
    assert!(top("Published predictors") < top("checkpoint"));
}

#[test]
fn an_adapter_is_put_in_for_an_aspect_and_a_published_predictor_taken_in() {
    let mut world = showing();
    let model = world.state.models.cards[0].tag.name.clone();
    let mut shelf = shelf();
    let whole = |kind, name: &str, base: &str, aspect| AddOn {
        kind,
        name: name.to_owned(),
        purpose: Purpose {
            base: Some(base.to_owned()),
            aspect,
            ..Purpose::default()
        },
        folder: PathBuf::from("/home/models").join(name),
        problem: None,
        ..shelf.add_ons[0].clone()
    };
    let quality = Some(Aspect::Quality);
    shelf.add_ons = vec![
        whole(ModelKind::Adapter, "sharp", &model, quality),
        whole(ModelKind::Adapter, "any", &model, None),
        whole(ModelKind::Predictor, "fitting", &model, quality),
        whole(ModelKind::Predictor, "strange", "owner/other", quality),
    ];
    world.hear(Event::Shelf(Box::new(shelf)));
    let mut settings = Settings::default();
    *settings.adapter.get_mut(Aspect::Authenticity) = Some("/home/models/any".to_owned());
    world.hear(Event::SettingsChanged(settings));
    let mut window = world::window(world, LONG);
    window.get_by_label("in use for authenticity");
    let presses = [
        "Use sharp for quality",
        "Use any for correspondence",
        "Take out any for authenticity",
        "Use fitting",
        // Belongs to a model that is not in use: nothing happens.
        "Use strange",
    ];
    for label in presses {
        window.get_by_label(label).click();
        window.run_steps(2);
    }
    let put = |aspect, name: Option<&str>| {
        let adapter = name.map(|name| PathBuf::from("/home/models").join(name));
        Effect::Submit(Job::UseAdapter { aspect, adapter })
    };
    let expected = [
        put(Aspect::Quality, Some("sharp")),
        put(Aspect::Correspondence, Some("any")),
        put(Aspect::Authenticity, None),
        Effect::Submit(Job::AddPredictor {
            path: "/home/models/fitting".into(),
            aspect: None,
        }),
    ];
    assert_eq!(window.state().effects, expected);
}

#[test]
fn a_folder_is_added_by_its_path_and_checked_on_its_card() {
    let mut world = with_shelf();
    world.tell(Command::Models(ModelsCommand::SetFolderText(
        "/data/model".to_owned(),
    )));
    let folder = PathBuf::from("/home/models/mine");
    world.hear(Event::ModelChecked {
        folder: folder.clone(),
        outcome: Err("adapter_model.safetensors is lacking".to_owned()),
    });
    let mut window = world::window(world, LONG);
    window.get_by_label("Add the folder").click();
    window.run_steps(2);
    window.get_by_label("adapter_model.safetensors is lacking");
    window.get_by_label("Check mine").click();
    window.run_steps(2);
    let expected = [
        Effect::Submit(Job::AddModel {
            folder: "/data/model".into(),
        }),
        Effect::Submit(Job::CheckModel { folder }),
    ];
    assert_eq!(window.state().effects, expected);
}

#[test]
fn a_folder_dropped_on_models_is_added() {
    let mut world = with_shelf();
    world.tell(Command::Drop(vec!["/data/model".into()]));
    let expected = Effect::Submit(Job::AddModel {
        folder: "/data/model".into(),
    });
    assert_eq!(world.effects, [expected]);
}

#[test]
fn another_repository_is_looked_up_by_its_name() {
    let mut world = with_shelf();
    world.tell(Command::Models(ModelsCommand::SetSourceText(
        "owner/other".to_owned(),
    )));
    let mut window = world::window(world, LONG);
    window.get_by_label("Look it up").click();
    window.run_steps(2);
    let asked = Effect::Submit(Job::AskModel(fetching("owner/other")));
    assert_eq!(window.state().effects, [asked]);
    window.state_mut().hear(Event::Offered(Box::new(Offer {
        source: "owner/other".to_owned(),
        ..offer()
    })));
    window.run_steps(2);
    window.get_by_label("Accept the licence and download 16.10 GB");
}

#[test]
fn every_widget_of_the_shelf_has_a_name() {
    let mut world = with_shelf();
    world.hear(Event::Offered(Box::new(offer())));
    let window = world::window(world, LONG);
    assert_eq!(window.unnamed_widgets(), Vec::<String>::new());
}

#[test]
fn every_widget_of_models_has_a_name() {
    let window = world::window(showing(), SIZE);
    assert_eq!(window.unnamed_widgets(), Vec::<String>::new());
}
