//! Everything of a project that the window keeps in memory.

use serde::{Deserialize, Serialize};

use super::{
    Aspect, AspectMap, Description, ImageRecord, OpinionScale, PredictorCard, PredictorId, Reviews,
    RunRecord, Score, Study, StudyId, Vote,
};

/// The project as a whole.
#[derive(Debug, Clone, PartialEq)]
pub struct ProjectInfo {
    /// Path of the project file.
    pub path: String,
    /// Name of the dataset in it.
    pub dataset: String,
    /// Layout word of the import.
    pub layout: String,
    /// Image root as an absolute path.
    pub root: String,
    /// Scale of its MOS.
    pub scale: OpinionScale,
    /// Whether it is the synthetic demo; every screen says so.
    pub is_demo: bool,
}

#[cfg(test)]
impl ProjectInfo {
    /// A project of tests that are about something else.
    pub(crate) fn any() -> Self {
        Self {
            path: "a.assay".to_owned(),
            dataset: "A".to_owned(),
            layout: "table".to_owned(),
            root: "/".to_owned(),
            scale: OpinionScale::ZERO_TO_FIVE,
            is_demo: false,
        }
    }
}

/// Choices stored in the project.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// The predictor in use for each aspect; `None` means the embedded one, if it fits.
    pub predictor: AspectMap<Option<PredictorId>>,
    /// The prompt preset's name; `None` means the default.
    pub preset: Option<String>,
    /// The model folder's name or path; `None` means the embedded one.
    pub model: Option<String>,
    /// The adapter that goes into the model for each aspect, by name or folder; `None` means what the model's folder says.
    #[serde(default)]
    pub adapter: AspectMap<Option<String>>,
    /// The study whose MOS are the ground truth of an aspect; `None` means the dataset's own.
    #[serde(default)]
    pub ground_truth: AspectMap<Option<StudyId>>,
}

/// A change of the user's that can be undone, as the Edit menu names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation(pub String);

/// The project in memory: rows and the newest results of each.
#[derive(Debug, Clone, PartialEq)]
pub struct Catalog {
    /// The project.
    pub info: ProjectInfo,
    /// Its choices.
    pub settings: Settings,
    /// Rows in the order of their path.
    pub images: Vec<ImageRecord>,
    /// Every description, oldest first; one that somebody edited in the words that hold.
    pub descriptions: Vec<Description>,
    /// The newest score by (image, aspect, predictor), oldest first.
    pub scores: Vec<Score>,
    /// Every predictor of the project.
    pub predictors: Vec<PredictorCard>,
    /// Every run, oldest first.
    pub runs: Vec<RunRecord>,
    /// Every study, oldest first; quick rating is one of them.
    pub studies: Vec<Study>,
    /// Every record of every study, oldest first, also those that take one back.
    pub votes: Vec<Vote>,
    /// What people said of taught texts.
    pub reviews: Reviews,
    /// What undo would take back.
    pub undo: Option<Operation>,
    /// What redo would bring again.
    pub redo: Option<Operation>,
}

impl Catalog {
    /// A project in which nothing stands yet.
    pub fn of(info: ProjectInfo) -> Self {
        Self {
            info,
            settings: Settings::default(),
            images: Vec::new(),
            descriptions: Vec::new(),
            scores: Vec::new(),
            predictors: Vec::new(),
            runs: Vec::new(),
            studies: Vec::new(),
            votes: Vec::new(),
            reviews: Reviews::default(),
            undo: None,
            redo: None,
        }
    }

    /// A study of the project.
    pub fn study(&self, id: StudyId) -> Option<&Study> {
        self.studies.iter().find(|study| study.id == id)
    }

    /// Whose opinions the ground truth of an aspect is, as screens, cards and tables name it: the dataset, or a study
    /// of the project with the scale that was laid onto the project's.
    pub fn truth_name(&self, aspect: Aspect) -> String {
        let Some(id) = self.settings.ground_truth.get(aspect) else {
            return self.info.dataset.clone();
        };
        let Some(study) = self.study(*id) else {
            return format!("study {}", id.0);
        };
        let protocol = &study.protocol;
        let scale = protocol.method.scale();
        if scale == self.info.scale {
            format!("study \u{201c}{}\u{201d}", protocol.name)
        } else {
            let project = self.info.scale;
            format!(
                "study \u{201c}{}\u{201d} ({scale} laid onto {project})",
                protocol.name
            )
        }
    }
}
