//! A small catalog with a row of every status.

use crate::domain::Aspect;
use crate::domain::AspectMap;
use crate::domain::Catalog;
use crate::domain::ContentHash;
use crate::domain::Description;
use crate::domain::DescriptionId;
use crate::domain::FileState;
use crate::domain::ImageId;
use crate::domain::ImageRecord;
use crate::domain::ModelTag;
use crate::domain::OpinionScale;
use crate::domain::Origin;
use crate::domain::PredictorId;
use crate::domain::ProjectInfo;
use crate::domain::Provenance;
use crate::domain::Score;
use crate::domain::Split;
use crate::domain::Truth;

/// Quality of five images: scored, described, only a teacher's text, missing, unreadable.
pub(super) fn catalog() -> Catalog {
    let mut scored = image(1, "a/scored.jpg", present());
    "a \"cat\", sitting".clone_into(&mut scored.prompt);
    "data.csv".clone_into(&mut scored.prompt_source);
    *scored.split.get_mut(Aspect::Quality) = Some(Split::Test);
    *scored.truth.get_mut(Aspect::Quality) = Some(Truth {
        mos: 2.5,
        std: Some(0.5),
        num_ratings: Some(20),
    });
    let reason = "no file here: relocate".to_owned();
    let mut missing = image(4, "d/missing.jpg", FileState::Missing { reason });
    *missing.truth.get_mut(Aspect::Quality) = Some(Truth {
        mos: 1.5,
        std: None,
        num_ratings: None,
    });
    let reason = "cut off: copy it again".to_owned();
    let images = vec![
        scored,
        image(2, "b/described.jpg", present()),
        image(3, "c/told.jpg", present()),
        missing,
        image(5, "e/unreadable.jpg", FileState::Unreadable { reason }),
    ];
    Catalog {
        images,
        descriptions: vec![
            description(1, 1, Origin::Local, "Sharp."),
            description(2, 1, Origin::Local, "Written later."),
            description(3, 2, Origin::Local, "Blurred."),
            description(4, 3, Origin::Teacher, "Told."),
        ],
        scores: vec![Score {
            image: ImageId(1),
            aspect: Aspect::Quality,
            value: 3.25,
            predictor: PredictorId(0),
            description: Some(DescriptionId(1)),
            made: made(),
        }],
        ..Catalog::of(ProjectInfo {
            path: "test.assay".to_owned(),
            dataset: "Test set".to_owned(),
            layout: "table".to_owned(),
            root: "/pictures".to_owned(),
            scale: OpinionScale::ZERO_TO_FIVE,
            is_demo: false,
        })
    }
}

fn present() -> FileState {
    FileState::Present {
        hash: ContentHash([7; 32]),
        width: 512,
        height: 512,
    }
}

fn image(id: i64, path: &str, file: FileState) -> ImageRecord {
    ImageRecord {
        id: ImageId(id),
        path: path.to_owned(),
        file,
        prompt: String::new(),
        prompt_source: String::new(),
        generator: None,
        style: None,
        tags: Vec::new(),
        truth: AspectMap::default(),
        split: AspectMap::default(),
    }
}

fn description(id: i64, image: i64, origin: Origin, text: &str) -> Description {
    Description {
        id: DescriptionId(id),
        image: ImageId(image),
        aspect: Aspect::Quality,
        origin,
        request: "Describe it.".to_owned(),
        text: text.to_owned(),
        question: "One word?".to_owned(),
        answer: None,
        made: made(),
    }
}

fn made() -> Provenance {
    Provenance {
        model: Some(ModelTag {
            name: "mini".to_owned(),
            sha256: "ab".repeat(32),
        }),
        preset: Some("assay".to_owned()),
        settings: serde_json::json!({}),
        seed: 7,
        program_version: "0.1.0".to_owned(),
        unix_time: 2_000,
    }
}
