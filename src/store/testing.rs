//! A project in a temporary folder, and things to put into it.

use std::path::PathBuf;

use tempfile::TempDir;

use super::Project;
use crate::domain::Aspect;
use crate::domain::AspectMap;
use crate::domain::ContentHash;
use crate::domain::ConversationEntry;
use crate::domain::Description;
use crate::domain::DescriptionId;
use crate::domain::FileState;
use crate::domain::ImageId;
use crate::domain::ImportBatch;
use crate::domain::ImportRow;
use crate::domain::Method;
use crate::domain::ModelTag;
use crate::domain::OpinionScale;
use crate::domain::Origin;
use crate::domain::PredictorCard;
use crate::domain::PredictorId;
use crate::domain::Protocol;
use crate::domain::Provenance;
use crate::domain::RunId;
use crate::domain::RunRecord;
use crate::domain::RunStatus;
use crate::domain::Score;
use crate::domain::Shown;
use crate::domain::Study;
use crate::domain::StudyPicture;
use crate::domain::TrainSettings;
use crate::domain::Truth;
use crate::domain::Vote;
use crate::domain::VoteId;
use crate::domain::VoteToken;
use crate::domain::VoteValue;

/// A project that goes away with its folder.
pub(super) struct World {
    pub(super) folder: TempDir,
    pub(super) project: Project,
}

impl World {
    /// An empty project.
    pub(super) fn empty() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let project = Project::create(&folder.path().join("test.assay")).expect("a new project");
        Self { folder, project }
    }

    /// A project with `num` images named `0.jpg` and on.
    pub(super) fn with_images(num: usize) -> Self {
        let mut world = Self::empty();
        world
            .project
            .import(&batch(num), 1_000)
            .expect("the batch comes in");
        world
    }

    pub(super) fn path(&self) -> PathBuf {
        self.project.path().to_path_buf()
    }

    /// Drops the connection without ceremony and opens the file again.
    pub(super) fn reopen(&mut self) {
        self.project = Project::open(&self.path()).expect("the project opens again");
    }
}

pub(super) fn hash(seed: u64) -> ContentHash {
    let mut bytes = [7; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    ContentHash(bytes)
}

pub(super) fn present(seed: u64) -> FileState {
    FileState::Present {
        hash: hash(seed),
        width: 512,
        height: 512,
    }
}

pub(super) fn missing() -> FileState {
    FileState::Missing {
        reason: "no file here: relocate the images".to_owned(),
    }
}

pub(super) fn row(name: &str, file: FileState) -> ImportRow {
    ImportRow {
        path: name.to_owned(),
        file,
        prompt: format!("a picture called {name}"),
        prompt_source: "data.csv".to_owned(),
        generator: Some("painter".to_owned()),
        style: None,
        tags: Vec::new(),
        truth: AspectMap::from_fn(|aspect| {
            (aspect != Aspect::Authenticity).then_some(Truth {
                mos: 2.5,
                std: Some(0.5),
                num_ratings: Some(20),
            })
        }),
        split: AspectMap::default(),
    }
}

pub(super) fn batch(num: usize) -> ImportBatch {
    ImportBatch {
        dataset: "Test set".to_owned(),
        layout: "table".to_owned(),
        root: "/pictures".to_owned(),
        scale: OpinionScale::ZERO_TO_FIVE,
        rows: (0..num)
            .map(|idx| row(&format!("{idx}.jpg"), present(idx as u64)))
            .collect(),
        splits: Vec::new(),
        conversations: Vec::new(),
        problems: Vec::new(),
    }
}

pub(super) fn conversation(file_name: &str, aspect: Aspect, text: &str) -> ConversationEntry {
    ConversationEntry {
        file_name: file_name.to_owned(),
        aspect,
        origin: Origin::Teacher,
        request: "Describe it.".to_owned(),
        description: text.to_owned(),
        question: "One word?".to_owned(),
        answer: Some("good".to_owned()),
        source: "test.json".to_owned(),
    }
}

pub(super) fn model() -> ModelTag {
    ModelTag {
        name: "mini".to_owned(),
        sha256: "ab".repeat(32),
    }
}

pub(super) fn made() -> Provenance {
    Provenance {
        model: Some(model()),
        preset: Some("assay".to_owned()),
        settings: serde_json::json!({ "beams": 1 }),
        seed: u64::MAX,
        program_version: "0.1.0".to_owned(),
        unix_time: 2_000,
    }
}

pub(super) fn description(image: i64, text: &str) -> Description {
    Description {
        id: DescriptionId(0),
        image: ImageId(image),
        aspect: Aspect::Quality,
        origin: Origin::Local,
        request: "Describe it.".to_owned(),
        text: text.to_owned(),
        question: "One word?".to_owned(),
        answer: None,
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

pub(super) fn run() -> RunRecord {
    RunRecord {
        id: RunId(0),
        settings: TrainSettings::new(Aspect::Quality),
        model: model(),
        preset: "assay".to_owned(),
        num_images: [80, 10, 10],
        status: RunStatus::Running,
        epochs: Vec::new(),
        best_epoch: None,
        previous: None,
        predictor: None,
        test_before: None,
        test_after: None,
        unix_time: 3_000,
    }
}

pub(super) fn card() -> PredictorCard {
    PredictorCard {
        id: PredictorId(0),
        name: "Test predictor".to_owned(),
        aspect: Aspect::Quality,
        scale: OpinionScale::ZERO_TO_FIVE,
        dataset: "Test set".to_owned(),
        split: "train".to_owned(),
        model: model(),
        preset: "assay".to_owned(),
        head: "xLSTM m,s,m,m, mean pooling".to_owned(),
        val: None,
        test: None,
        run: None,
    }
}

/// A study of the first `num` images of [`batch`], ten prompts.
pub(super) fn protocol(num: usize) -> Protocol {
    Protocol {
        pictures: (0..num)
            .map(|idx| StudyPicture {
                hash: hash(idx as u64),
                path: format!("{idx}.jpg"),
                prompt: format!("prompt {}", idx % 10),
            })
            .collect(),
        ..Protocol::new("Test study", Method::Acr5)
    }
}

/// What a rater said of a picture, in the trial of the picture's number.
pub(super) fn vote(study: &Study, rater: &str, picture: usize, score: f64) -> Vote {
    let at = 1_000 * (picture as i64 + 1);
    Vote {
        id: VoteId(0),
        token: VoteToken(0),
        study: study.id,
        protocol: study.hash,
        rater: rater.to_owned(),
        session: 1,
        trial: picture,
        shown: Shown::One(hash(picture as u64)),
        aspect: Aspect::Quality,
        method: study.protocol.method,
        value: VoteValue::Score(score),
        is_training: false,
        is_repeat: false,
        shown_at: at - 800,
        voted_at: at,
        reaction_ms: 800,
        zoom_max: 0.1 + 0.2,
        screen_px: [2560, 1440],
        dpi_scale: 1.25,
        app_version: "0.1.0".to_owned(),
        undo_of: None,
    }
    .sealed()
}
