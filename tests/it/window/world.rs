//! A small world for stories of the window: a project of painted pictures, and a window that answers commands.

use std::sync::Arc;

use assay::domain::Aspect;
use assay::domain::AspectMap;
use assay::domain::Catalog;
use assay::domain::ContentHash;
use assay::domain::Description;
use assay::domain::DescriptionId;
use assay::domain::FileState;
use assay::domain::ImageId;
use assay::domain::ImageRecord;
use assay::domain::OpinionScale;
use assay::domain::Origin;
use assay::domain::Picture;
use assay::domain::PredictorId;
use assay::domain::ProjectInfo;
use assay::domain::Provenance;
use assay::domain::Score;
use assay::domain::Split;
use assay::domain::Truth;
use assay::export::ratings::StudyRecord;
use assay::export::ratings::analyse;
use assay::jobs::message::Event;
use assay::jobs::message::StudyResults;
use assay::jobs::message::Wish;
use assay::state;
use assay::state::AppState;
use assay::state::Command;
use assay::state::Effect;
use assay::state::Theme;
use assay::ui::shell;
use assay::ui::textures::Textures;
use assay::ui::tokens;
use egui_kittest::Harness;

/// Words that the missing rows of the world give as their reason.
pub(super) const MISSING: &str = "no such file; put it back or use Find moved pictures";

/// State and textures of a window, and the effects that its commands had.
pub(super) struct World {
    pub(super) state: AppState,
    pub(super) textures: Textures,
    pub(super) effects: Vec<Effect>,
    theme: Option<Theme>,
}

impl World {
    pub(super) fn new() -> Self {
        Self {
            state: AppState::default(),
            textures: Textures::default(),
            effects: Vec::new(),
            theme: None,
        }
    }

    /// A world with an open project.
    pub(super) fn with(catalog: Catalog) -> Self {
        let mut world = Self::new();
        world.hear(Event::ProjectOpened(Box::new(catalog)));
        world
    }

    pub(super) fn hear(&mut self, event: Event) {
        state::apply(&mut self.state, event);
    }

    pub(super) fn tell(&mut self, command: Command) {
        let effects = state::update(&mut self.state, command);
        self.effects.extend(effects);
    }

    fn frame(&mut self, ui: &mut egui::Ui) {
        if self.theme != Some(self.state.theme) {
            tokens::apply(ui.ctx(), self.state.theme, self.state.is_motion_reduced);
            self.theme = Some(self.state.theme);
        }
        let mut commands = Vec::new();
        self.textures.upload(ui.ctx());
        shell::show(ui, &self.state, &mut self.textures, &mut commands);
        for command in commands {
            self.tell(command);
        }
        self.count();
    }

    /// Counts the votes of a study where the screen wishes for it, as the worker does.
    fn count(&mut self) {
        let Some(Wish::Results(request)) = self.state.take_wish() else {
            return;
        };
        let project = self.state.project.as_ref().expect("open");
        let mut studies = project.studies.iter();
        let study = studies.find(|study| study.id == request.study);
        let study = study.expect("the study is there");
        let record = StudyRecord::new(study, project.votes_of(study.id), &[], "");
        let outcome = Ok(analyse(&record, request.aspect, request.screening));
        let results = StudyResults { request, outcome };
        self.hear(Event::StudyResults(Box::new(results)));
    }
}

/// The window over a world.
pub(super) fn window(world: World, size: [f32; 2]) -> Harness<'static, World> {
    let mut harness = Harness::builder()
        .with_size(size)
        .with_max_steps(16)
        .build_ui_state(|ui, world: &mut World| world.frame(ui), world);
    harness.run_steps(3);
    harness
}

/// A project of `num_images` rows; every tenth has no file.
pub(super) fn catalog(num_images: i64) -> Catalog {
    Catalog {
        images: (1..=num_images).map(image).collect(),
        ..Catalog::of(ProjectInfo {
            path: "world.assay".to_owned(),
            dataset: "World".to_owned(),
            layout: "table".to_owned(),
            root: "/".to_owned(),
            scale: OpinionScale::ZERO_TO_FIVE,
            is_demo: false,
        })
    }
}

fn image(number: i64) -> ImageRecord {
    let mos = (number * 37 % 50) as f64 / 10.0;
    let truth = Truth {
        mos,
        std: Some(0.4),
        num_ratings: Some(21),
    };
    let split = if number % 5 == 0 {
        Split::Test
    } else {
        Split::Train
    };
    ImageRecord {
        id: ImageId(number),
        path: format!("images/p{number:05}.png"),
        file: if number % 10 == 0 {
            FileState::Missing {
                reason: MISSING.to_owned(),
            }
        } else {
            FileState::Present {
                hash: ContentHash([number as u8; 32]),
                width: 64,
                height: 48,
            }
        },
        prompt: if number % 2 == 0 {
            "a red fox in the snow".to_owned()
        } else {
            "a lighthouse at night".to_owned()
        },
        prompt_source: "data.csv".to_owned(),
        generator: Some(if number % 3 == 0 { "alpha" } else { "beta" }.to_owned()),
        style: None,
        tags: Vec::new(),
        truth: AspectMap::from_fn(|aspect| (aspect != Aspect::Authenticity).then_some(truth)),
        split: AspectMap::from_fn(|_| Some(split)),
    }
}

fn made() -> Provenance {
    Provenance {
        model: None,
        preset: Some("assay".to_owned()),
        settings: serde_json::Value::Null,
        seed: 42,
        program_version: "0".to_owned(),
        unix_time: 0,
    }
}

pub(super) fn description(number: i64, image: i64, origin: Origin, text: &str) -> Description {
    Description {
        id: DescriptionId(number),
        image: ImageId(image),
        aspect: Aspect::Quality,
        origin,
        request: "Describe the quality of this picture.".to_owned(),
        text: text.to_owned(),
        question: "Answer with one word.".to_owned(),
        answer: Some("The quality is good.".to_owned()),
        made: made(),
    }
}

pub(super) fn score(image: i64, value: f64) -> Score {
    Score {
        image: ImageId(image),
        aspect: Aspect::Quality,
        value,
        predictor: PredictorId(0),
        description: None,
        made: made(),
    }
}

/// A picture that tells left from right and top from bottom.
pub(super) fn picture(number: i64) -> Picture {
    let (width, height) = (64, 48);
    let tint = (number * 53 % 200) as u8;
    let rgb: Vec<u8> = (0..height)
        .flat_map(|y| (0..width).flat_map(move |x| [x as u8 * 3 + 20, y as u8 * 4 + 20, tint]))
        .collect();
    Picture {
        width,
        height,
        rgb: Arc::from(rgb),
    }
}
