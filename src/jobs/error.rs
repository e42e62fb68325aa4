//! Why a job could not be done, in words that say what to do.

use std::io;
use std::path::PathBuf;

use crate::dataset::DatasetError;
use crate::dataset::demo::DemoError;
use crate::domain::Aspect;
use crate::domain::Interrupted;
use crate::export::ExportError;
use crate::media::MediaError;
use crate::ml::MlError;
use crate::net::NetError;
use crate::stats::StatsError;
use crate::store::StoreError;

/// Why a job could not be done.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// Somebody asked the job to stop: an ordinary end, reported as such.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
    /// The job needs a project and none is open.
    #[error("no project is open: open a project, a dataset folder or a table first")]
    NoProject,
    /// Another project was opened while the job ran.
    #[error(
        "the project was closed while the job waited or ran: what it saved is there, open it and start the job again to go on"
    )]
    ProjectClosed,
    /// A file of features is of one model.
    #[error(
        "each aspect has an adapter of its own, and a file of features is of one model: name one aspect with --aspect"
    )]
    AdaptersInOneFile,
    /// The program is going down.
    #[error("the workers have stopped")]
    WorkersStopped,
    /// The operating system would not start a thread.
    #[error("cannot start the thread {name}: {source}")]
    Thread {
        /// Name of the thread.
        name: &'static str,
        /// Why.
        source: io::Error,
    },
    /// A file or folder of the program's own could not be read or written.
    #[error("cannot {action}: {source}: {}", path.display())]
    File {
        /// What was tried, e.g. "write the table".
        action: &'static str,
        /// Why.
        source: io::Error,
        /// Where.
        path: PathBuf,
    },
    /// The project refused, or its file could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A picture could not be decoded.
    #[error(transparent)]
    Media(#[from] MediaError),
    /// A dataset could not be read.
    #[error(transparent)]
    Dataset(DatasetError),
    /// The demo could not be made.
    #[error(transparent)]
    Demo(DemoError),
    /// The table could not be written.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// The model or a predictor could not do its work.
    #[error(transparent)]
    Ml(MlError),
    /// Something could not be fetched.
    #[error(transparent)]
    Net(NetError),
    /// A teacher cannot be asked without a key.
    #[error(
        "there is no key for {host}: put one into the environment variable {variable}, or keep one in the keyring of the desktop (assay teach --keep-key){keyring}"
    )]
    NoKey {
        /// The server.
        host: String,
        /// The environment variable.
        variable: String,
        /// Why the keyring has none, with what comes before it; may be empty.
        keyring: String,
    },
    /// A teacher that described nothing.
    #[error("{0}")]
    Teacher(String),
    /// Neither a known model nor a repository.
    #[error(
        "there is no model {name} in the list: give one of {}, or a repository of the hub as owner/name", known.join(", ")
    )]
    UnknownSource {
        /// What was asked for.
        name: String,
        /// What there is.
        known: Vec<String>,
    },
    /// A file of the user's has the name of one that is to come.
    #[error("this file is here already with another size than the one that is to come, and is left as it is: choose an empty folder: {}", path.display())]
    InTheWay {
        /// The file.
        path: PathBuf,
    },
    /// The folder among the program's models belongs to another repository.
    #[error("a folder of the name {name} holds {holds} already: choose another folder with --to")]
    NameTaken {
        /// Name of the folder.
        name: String,
        /// The repository in it.
        holds: String,
    },
    /// A folder that is no model, or not a whole one.
    #[error("this is no whole model: {reason}: {}", path.display())]
    NoWholeModel {
        /// What it lacks, and what to do.
        reason: String,
        /// The folder.
        path: PathBuf,
    },
    /// Only what the program fetched itself may be taken away.
    #[error("this is no download of the program's, so nothing was taken away: {}", path.display())]
    NoDownload {
        /// The folder.
        path: PathBuf,
    },
    /// The row has no picture that can be used.
    #[error("{0}")]
    NoPicture(String),
    /// The file holds other bytes than those that were imported.
    #[error("the picture changed since it was imported: import the dataset again")]
    Changed,
    /// No such device.
    #[error("{0}")]
    Device(String),
    /// Published descriptions were to be read and there are none.
    #[error(
        "none of these pictures has a published description: import a conversation file with response_0 (assay import --conversations FILE), or read the local model's own"
    )]
    NoPublished,
    /// A picture whose published description was to be read has none.
    #[error("it has no published {aspect} description: read the local model's own")]
    NoDescription {
        /// What was to be read about.
        aspect: Aspect,
    },
    /// A file was read and does not hold what it should.
    #[error("{what} is not usable: {reason}: {}", path.display())]
    Malformed {
        /// What it should hold, e.g. "the predictor's card".
        what: &'static str,
        /// What was expected and what came.
        reason: String,
        /// The file.
        path: PathBuf,
    },
    /// A predictor was asked for another aspect than its own.
    #[error("{predictor} scores {has}, not {wanted}: ask for {has}, or name another predictor")]
    PredictorOfOtherAspect {
        /// Name of the predictor.
        predictor: String,
        /// What it scores.
        has: Aspect,
        /// What was asked for.
        wanted: Aspect,
    },
    /// A folder in which none of the project's pictures lies.
    #[error("none of the project's {pictures} pictures is in it, so nothing was changed: choose the folder that holds {example}: {}", root.display())]
    NothingThere {
        /// Pictures of the project.
        pictures: usize,
        /// Path of one of them below the image root.
        example: String,
        /// The folder.
        root: PathBuf,
    },
    /// There is no model of the name that was asked for.
    #[error("there is no model {name}: give a folder that holds a model.toml, or put it here: {}", looked.display())]
    NoModel {
        /// Name or path as given.
        name: String,
        /// Where a model of that name would lie.
        looked: PathBuf,
    },
    /// Neither the program nor the project has a preset of that name.
    #[error("there is no wording {name:?}: choose one of {}", known.join(", "))]
    NoPreset {
        /// What was asked for.
        name: String,
        /// What there is.
        known: Vec<String>,
    },
    /// Nothing that could score the aspect reads this model's features.
    #[error(
        "there is no {aspect} predictor for the model {model} with the wording {preset}: train one"
    )]
    NoPredictor {
        /// What was to be scored.
        aspect: Aspect,
        /// The model in use.
        model: String,
        /// The preset in use.
        preset: String,
    },
    /// The project's choice is not among its predictors.
    #[error("the {aspect} predictor in use is no longer in the project: choose another one")]
    NoSuchPredictor {
        /// What was to be scored.
        aspect: Aspect,
    },
    /// A predictor was to be taken into use that the project does not have.
    #[error(
        "the project has no {aspect} predictor {number}: `assay use predictor --aspect {aspect}` lists those that there are"
    )]
    UnknownPredictor {
        /// What it should score.
        aspect: Aspect,
        /// Its number.
        number: i64,
    },
    /// A predictor was to read features of another model or preset.
    #[error(
        "{predictor} reads features of {wants}, and in use is {has}: choose the model of its card, or train a predictor for this one"
    )]
    PredictorOfOther {
        /// Name of the predictor.
        predictor: String,
        /// What it learned from.
        wants: String,
        /// What is in use.
        has: String,
    },
    /// A run was to go on with another model or preset than it began with.
    #[error("run {run} began with {wants}: choose that model to go on with it, or start a new run")]
    RunOfOther {
        /// Number of the run.
        run: i64,
        /// What it began with.
        wants: String,
    },
    /// A run was to go on with other images than it began with.
    #[error(
        "run {run} began with {} training and {} validation images, and now there are {} and {}: bring back those that went missing (put the files back and import again, or relocate) to go on with it, or start a new run with another seed",
        had[0], had[1], has[0], has[1]
    )]
    RunOfOtherImages {
        /// Number of the run.
        run: i64,
        /// Training and validation images that it began with.
        had: [usize; 2],
        /// Those that there are now.
        has: [usize; 2],
    },
    /// No run of that number was cut off.
    #[error("run {run} is not one that was cut off: start a new run")]
    NothingToResume {
        /// Number of the run.
        run: i64,
    },
    /// Nothing to learn from.
    #[error(
        "no picture of the project has a {aspect} score to learn from: import a table with opinion scores"
    )]
    NoTruth {
        /// What was to be learned.
        aspect: Aspect,
    },
    /// The dataset has no split, and none with a test list can be cut.
    #[error(
        "there is no {aspect} split, and no test list can be cut: the {num_images} images with a score have {num_prompts} different prompts, and images of one prompt, or of none, stay together: import a table with their prompts, or one with a column split (train, val or test)"
    )]
    NoSplit {
        /// What was to be learned.
        aspect: Aspect,
        /// Images with a picture and a score.
        num_images: usize,
        /// Different prompts that they have.
        num_prompts: usize,
    },
    /// Too little to learn from.
    #[error(
        "training needs at least {least} {aspect} training images with a picture and a score, and a validation part beside them; there are {found} in all"
    )]
    TooFewToTrain {
        /// What was to be learned.
        aspect: Aspect,
        /// Training and validation images that there are.
        found: usize,
        /// Fewest training images.
        least: usize,
    },
    /// A pair comparison was to give ground truth.
    #[error(
        "{study} compares pictures of one prompt with each other, which makes no scores that hold across prompts: choose a study with the five words or the continuous scale"
    )]
    PairsAreNoTruth {
        /// Name of the study.
        study: String,
    },
    /// A study without votes on an aspect was to give ground truth.
    #[error("nobody has voted on {aspect} in {study} yet: let raters vote first")]
    NoVotes {
        /// Name of the study.
        study: String,
        /// What was asked for.
        aspect: Aspect,
    },
    /// A package would lack pictures.
    #[error(
        "{missing} of the study's pictures have no readable file, e.g. {first}: find them first (relocate), then pack again"
    )]
    CannotPack {
        /// Number of pictures.
        missing: usize,
        /// Path of the first one.
        first: String,
    },
    /// Quick rating, or no study of the project, was to be packed.
    #[error("there is no such study to pack: choose one that was made with a protocol")]
    NothingToPack,
    /// Nothing to merge.
    #[error("this holds no study: choose a package that came back from raters, or a project with studies: {}", path.display())]
    NoStudies {
        /// The file.
        path: PathBuf,
    },
    /// Ratings made no statistics.
    #[error(transparent)]
    Stats(#[from] StatsError),
    /// One picture failed, for what was asked of it; the reason is another error's.
    #[error("{0}")]
    Picture(String),
    /// Work on the project panicked; its transaction was rolled back.
    #[error("the project's worker made a mistake, nothing was changed: {0}")]
    Panic(String),
    /// A job came to a worker that does not do it.
    #[error("the job came to the wrong worker: a mistake in the program")]
    Misplaced,
    /// There is no place for the program's own data.
    #[error(
        "found no folder for the program's data: set ASSAY_HOME to a folder that can be written"
    )]
    NoHome,
}

impl JobError {
    /// Whether it is about one picture only, so that a batch goes on with the next.
    pub(super) const fn is_about_item(&self) -> bool {
        matches!(
            self,
            Self::Media(_)
                | Self::Ml(_)
                | Self::Changed
                | Self::Store(StoreError::Changed { .. } | StoreError::NoFile { .. })
                | Self::NoPicture(_)
                | Self::NoDescription { .. }
                | Self::Picture(_)
        )
    }
}

impl From<NetError> for JobError {
    fn from(error: NetError) -> Self {
        match error {
            NetError::Interrupted(stop) => Self::Interrupted(stop),
            error => Self::Net(error),
        }
    }
}

impl From<MlError> for JobError {
    fn from(error: MlError) -> Self {
        match error {
            MlError::Interrupted(stop) => Self::Interrupted(stop),
            error => Self::Ml(error),
        }
    }
}

impl From<DatasetError> for JobError {
    fn from(error: DatasetError) -> Self {
        match error {
            DatasetError::Interrupted(stop) => Self::Interrupted(stop),
            error => Self::Dataset(error),
        }
    }
}

impl From<DemoError> for JobError {
    fn from(error: DemoError) -> Self {
        match error {
            DemoError::Interrupted(stop) => Self::Interrupted(stop),
            error => Self::Demo(error),
        }
    }
}
