//! What the window (or the command line) asks of the workers, and what they answer.
//!
//! Closed enums: whoever reads these two lists knows all that can happen.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::domain::{
    Aspect, AspectMap, Budget, Catalog, ContentHash, Contest, Description, Descriptions,
    EpochFigures, Evaluation, FeatureUsage, ImageId, ImageRecord, ImportSummary, KeySource,
    ModelCard, ModelTag, Offer, Operation, Outlook, Picture, PredictorCard, PredictorId, Prices,
    Protocol, RatingsFormat, ReviewRecord, ReviewWish, RunId, RunRecord, RunReport, Score,
    Settings, Shelf, Split, Study, StudyId, TeachEstimate, TeachFailure, TeacherKind,
    TrainSettings, TuneEpoch, TuneEstimate, TuneId, TuneRun, TuneSettings, TuneStep, Usage, Vote,
};
pub use crate::export::ConversationWish;
pub use crate::export::ratings::{Analysis, Scene, Sides};
pub use crate::net::Secret;
use crate::stats::raters::Screening;

/// A running piece of work, as the jobs strip lists it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JobId(pub u64);

/// Work for the workers.
#[derive(Debug, Clone, PartialEq)]
pub enum Job {
    /// Open a project file, or make a project for a dataset folder, a table or a folder of images and open it.
    Open {
        /// Project file, folder or table.
        path: PathBuf,
    },
    /// Write the demo dataset (if it is not there yet) where the program keeps its data, and open its project.
    OpenDemo,
    /// Read a dataset into the open project.
    Import(ImportRequest),
    /// Let the local model describe pictures; skips those that this model and preset have described.
    Describe {
        /// Pictures.
        images: Vec<ImageId>,
        /// Aspects.
        aspects: Vec<Aspect>,
        /// Describe again what is described already; the former description is kept in history.
        again: bool,
    },
    /// Predict scores with the predictors in use; describes first where a description is lacking.
    Score {
        /// Pictures.
        images: Vec<ImageId>,
        /// Aspects.
        aspects: Vec<Aspect>,
        /// Whose descriptions are read; `None`: those that the predictor learned from.
        descriptions: Option<Descriptions>,
    },
    /// Take the hidden states of conversations into the cache; describes first where a description is lacking.
    Features(FeaturesRequest),
    /// Train a predictor from features and ground truth.
    Train(TrainSettings),
    /// Go on with a run that was cut off.
    ResumeTraining(RunId),
    /// Fine-tune a local model on the teacher's conversations of the project's training images.
    Tune(TuneSettings),
    /// Go on with a fine-tuning that was cut off.
    ResumeTuning(TuneId),
    /// End a fine-tuning that was cut off with its best epoch so far, which becomes an adapter among the models.
    TakeTuning(TuneId),
    /// Say what a fine-tuning would be: conversations, steps, memory. Listed nowhere; answered by
    /// [`Event::TuneEstimated`], or by [`Event::JobFailed`].
    EstimateTuning(TuneSettings),
    /// Say what fine-tunings there are. Listed nowhere; answered by [`Event::Tunings`].
    ListTunings,
    /// Take a fine-tuning's checkpoints away; an adapter that came out of it stays.
    ForgetTuning(TuneId),
    /// Hold test predictions of runs against each other. Listed nowhere; answered by [`Event::RunsReported`].
    ReportRuns(Contest),
    /// Say how much room the cached features take. Listed nowhere; answered by [`Event::FeaturesMeasured`].
    MeasureFeatures,
    /// Delete the oldest cached features until at most so many bytes are left.
    PruneFeatures {
        /// Bytes that may stay.
        max_bytes: u64,
    },
    /// Take a predictor into use for its aspect (`None`: back to the embedded one), and score again from cached features.
    UsePredictor {
        /// Aspect.
        aspect: Aspect,
        /// Predictor of the project.
        predictor: Option<PredictorId>,
    },
    /// Use another wording of the conversation (`None`: the default one).
    UsePreset {
        /// Name of a preset of the program, or of the one that is read off the project's imported conversations.
        preset: Option<String>,
    },
    /// Write the table.
    Export(ExportRequest),
    /// Put a tag on pictures or take it off; can be undone.
    SetTag {
        /// Pictures.
        images: Vec<ImageId>,
        /// The tag.
        tag: String,
        /// Put on (`true`) or take off.
        on: bool,
    },
    /// Look for a picture's missing file below another folder, for all rows of the project.
    Relocate {
        /// New image root.
        root: PathBuf,
    },
    /// Make a study.
    CreateStudy(Protocol),
    /// Change the protocol of a study that nobody has voted in yet.
    ChangeStudy {
        /// Study.
        study: StudyId,
        /// New protocol.
        protocol: Protocol,
    },
    /// Save a vote. Listed nowhere; answered by [`Event::Voted`] once it is on disk, or by [`Event::JobFailed`].
    Vote(Vote),
    /// Save what one key of quick rating gave: one change, taken back as one. Listed nowhere; answered by one
    /// [`Event::Voted`] a vote once all are on disk, or by [`Event::JobFailed`].
    QuickVotes(Vec<Vote>),
    /// Save the record that takes a vote back ([`Vote::taken_back`]). Listed and answered as a vote is.
    TakeBackVote(Vote),
    /// Take a study's MOS as the ground truth of an aspect (`None`: the dataset's own again); can be undone.
    UseStudyAsTruth {
        /// Aspect.
        aspect: Aspect,
        /// Study.
        study: Option<StudyId>,
    },
    /// Write a study's votes or its report.
    ExportRatings(RatingsExport),
    /// Take the votes of a file into a study; each vote once.
    ImportRatings(RatingsImport),
    /// Write a study with its pictures as one file for raters at another machine.
    PackStudy {
        /// Study.
        study: StudyId,
        /// File to write, `NAME.assaystudy`.
        out: PathBuf,
    },
    /// Take in the studies and votes of a package that came back, or of another project; each vote once.
    MergeStudies {
        /// Package or project file.
        path: PathBuf,
    },
    /// Take the last change of the user's back.
    Undo,
    /// Bring it again.
    Redo,
    /// Say what models there are.
    ListModels,
    /// Use another model folder (`None`: the embedded one).
    UseModel {
        /// Folder with a `model.toml`.
        folder: Option<PathBuf>,
    },
    /// Put an adapter into the model for one aspect (`None`: what the model's own folder says); can be undone.
    UseAdapter {
        /// Aspect.
        aspect: Aspect,
        /// Its name among the program's models, or its folder.
        adapter: Option<PathBuf>,
    },
    /// Take a predictor from a file, or from a folder among the program's models, into the project and into use.
    AddPredictor {
        /// A published checkpoint, weights that `assay models save` wrote, or the folder of one of them.
        path: PathBuf,
        /// What it scores; what is known of it if not given.
        aspect: Option<Aspect>,
    },
    /// Ask the hub what a model consists of; answered by [`Event::Offered`]. Nothing is fetched.
    AskModel(FetchRequest),
    /// Fetch a model, going on where it was cut off. Whoever asks has shown the licence.
    FetchModel(FetchRequest),
    /// Let a teacher on another machine describe pictures; skips those that it has described.
    Teach(TeachRequest),
    /// Say what teaching would ask and cost. Listed nowhere; answered by [`Event::TeachingEstimated`], or by
    /// [`Event::JobFailed`].
    EstimateTeaching(TeachRequest),
    /// Say where a teacher's keys are. Listed nowhere; answered by [`Event::KeyFound`].
    LookForKey(TeacherAddress),
    /// Keep a key in the keyring of the desktop, or take it away (`None`); answered by [`Event::KeyFound`].
    KeepKey {
        /// The teacher.
        teacher: TeacherAddress,
        /// The key, or several parted by commas.
        key: Option<Secret>,
    },
    /// Ask a teacher whether it is there and takes the key, which costs nothing; answered by [`Event::TeacherGreeted`].
    GreetTeacher(TeacherAddress),
    /// Hold what models said of one list, and what predictors made of it, against opinion scores. Listed nowhere;
    /// answered by [`Event::Evaluated`].
    EvaluateModels {
        /// Aspect.
        aspect: Aspect,
        /// The list; `None` means all pictures.
        split: Option<Split>,
    },
    /// Write conversations in the published format.
    ExportConversations {
        /// Which.
        wish: ConversationWish,
        /// A file that ends in `.json`, or a folder.
        out: PathBuf,
    },
    /// Say of taught texts that they are right, or wrong, or how they should read: one change, taken back as one. Listed
    /// nowhere; answered by [`Event::Reviewed`], or by [`Event::JobFailed`].
    Review {
        /// What is said of which text.
        wishes: Vec<ReviewWish>,
        /// Who says it; may be empty.
        author: String,
    },
    /// Take away what came of a download that is not whole.
    ForgetDownload {
        /// Its folder.
        folder: PathBuf,
    },
    /// Take a folder of files into the program's models, where it lies; it is only read.
    AddModel {
        /// The folder.
        folder: PathBuf,
    },
    /// Read every file of a model and hold it against what is known of it; answered by [`Event::ModelChecked`].
    CheckModel {
        /// The folder.
        folder: PathBuf,
    },
}

impl Job {
    /// Whether it saves what a rater answered, or takes that back.
    pub const fn is_vote(&self) -> bool {
        matches!(
            self,
            Self::Vote(_) | Self::QuickVotes(_) | Self::TakeBackVote(_)
        )
    }

    /// Whether nobody is told that it began and ended, but of its result: what people do many times a minute.
    pub const fn is_quiet(&self) -> bool {
        self.is_vote()
            || matches!(
                self,
                Self::ReportRuns(_)
                    | Self::EstimateTuning(_)
                    | Self::ListTunings
                    | Self::Review { .. }
                    | Self::EstimateTeaching(_)
                    | Self::LookForKey(_)
                    | Self::EvaluateModels { .. }
                    | Self::MeasureFeatures
            )
    }

    /// Whether it means the rows, runs or choices of the project that was open when it was asked for.
    pub const fn is_about_project(&self) -> bool {
        !matches!(
            self,
            Self::Open { .. }
                | Self::OpenDemo
                | Self::Import(_)
                | Self::ListModels
                | Self::ListTunings
                | Self::ForgetTuning(_)
                | Self::TakeTuning(_)
                | Self::AskModel(_)
                | Self::FetchModel(_)
                | Self::LookForKey(_)
                | Self::KeepKey { .. }
                | Self::GreetTeacher(_)
                | Self::ForgetDownload { .. }
                | Self::AddModel { .. }
                | Self::CheckModel { .. }
        )
    }
}

/// Small, frequent wishes that are no jobs: newest wins, nothing is listed in the jobs strip.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// Thumbnails of what is on screen, most wanted first; replaces the wish before.
    Thumbnails(Vec<ImageId>),
    /// The whole picture for Inspect; replaces the wish before.
    FullPicture(ImageId),
    /// Whole pictures that will be wanted soon, first wanted first; replaces the wish before. Each is answered by
    /// [`Event::FullPicture`], or by [`Event::PictureFailed`].
    Preload(Vec<ImageId>),
    /// Some pictures of these projects, which are not open; replaces the wish before.
    Strips(Vec<PathBuf>),
    /// What a study's votes come to; replaces the wish before. Answered by [`Event::StudyResults`].
    Results(ResultsRequest),
}

/// What to do with a running job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    /// Stop after the item in hand (within one token for describing).
    Cancel,
    /// Hold until resumed.
    Pause,
    /// Go on.
    Resume,
}

/// A dataset to read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImportRequest {
    /// Folder or table.
    pub path: PathBuf,
    /// Layout word; `None` or `auto` means: find out.
    pub layout: Option<String>,
    /// Published conversation files.
    pub conversations: Vec<PathBuf>,
    /// Column names of a table whose columns have other names: (our name, theirs).
    pub columns: Vec<(String, String)>,
}

/// Features to take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeaturesRequest {
    /// Pictures.
    pub images: Vec<ImageId>,
    /// Aspects.
    pub aspects: Vec<Aspect>,
    /// Whose descriptions are read.
    pub descriptions: Descriptions,
    /// Safetensors file that the features are written to as well.
    pub out: Option<PathBuf>,
}

/// A model to ask for or to fetch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FetchRequest {
    /// A name of the list of known models, or a repository `owner/name`.
    pub source: String,
    /// Branch, tag or commit; `None` means `main`.
    pub revision: Option<String>,
    /// Patterns of the files that are wanted; none means what a model needs.
    pub include: Vec<String>,
    /// Folder that it goes into; `None` means a folder of its name among the program's models.
    pub to: Option<PathBuf>,
}

/// Descriptions to ask a teacher for.
#[derive(Debug, Clone, PartialEq)]
pub struct TeachRequest {
    /// Pictures.
    pub images: Vec<ImageId>,
    /// Aspects.
    pub aspects: Vec<Aspect>,
    /// Interface that the teacher speaks.
    pub kind: TeacherKind,
    /// Address of its server.
    pub base: String,
    /// Its model.
    pub model: String,
    /// Environment variable that holds its keys.
    pub key_variable: String,
    /// Whether all aspects are asked for in one answer.
    pub together: bool,
    /// Whether opinion scores are shown, where that is allowed at all.
    pub shows_scores: bool,
    /// Questions asked at once.
    pub lanes: usize,
    /// Requests a minute at most.
    pub per_minute: Option<u32>,
    /// What may be used up.
    pub budget: Budget,
    /// What tokens cost.
    pub prices: Prices,
    /// Whether to ask again for what it has described.
    pub again: bool,
}

/// Where a teacher is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TeacherAddress {
    /// Interface that it speaks.
    pub kind: TeacherKind,
    /// Address of its server.
    pub base: String,
    /// Its model.
    pub model: String,
    /// Environment variable that may hold its keys.
    pub key_variable: String,
}

/// A table to write.
#[derive(Debug, Clone, PartialEq)]
pub struct ExportRequest {
    /// `csv` or `jsonl`.
    pub format: String,
    /// File to write; replaced only once the new one is whole.
    pub out: PathBuf,
    /// Pictures; empty means all.
    pub images: Vec<ImageId>,
    /// Aspects.
    pub aspects: Vec<Aspect>,
}

/// A file of a study to write.
#[derive(Debug, Clone, PartialEq)]
pub struct RatingsExport {
    /// Study.
    pub study: StudyId,
    /// The kind of file.
    pub format: RatingsFormat,
    /// Aspect; `None` means all that the study asks for, or its only one where the file holds one.
    pub aspect: Option<Aspect>,
    /// How the report screens raters.
    pub screening: Screening,
    /// File to write; replaced only once the new one is whole.
    pub out: PathBuf,
}

/// Results to compute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResultsRequest {
    /// Tells the answer to this request from one to an older request.
    pub serial: u64,
    /// Study.
    pub study: StudyId,
    /// Aspect.
    pub aspect: Aspect,
    /// How ratings become scores.
    pub screening: Screening,
}

/// What a study's votes come to.
#[derive(Debug, Clone, PartialEq)]
pub struct StudyResults {
    /// What was asked.
    pub request: ResultsRequest,
    /// The figures, or why there are none.
    pub outcome: Result<Analysis, String>,
}

/// A file of votes to read.
#[derive(Debug, Clone, PartialEq)]
pub struct RatingsImport {
    /// Study that the votes go to.
    pub study: StudyId,
    /// File.
    pub path: PathBuf,
    /// The kind of file; `None` means: find out.
    pub format: Option<RatingsFormat>,
    /// Aspect of a file that does not name one; `None` means the study's only one.
    pub aspect: Option<Aspect>,
}

/// What a job counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Unit {
    /// Pictures, rows, steps.
    #[default]
    Items,
    /// Bytes.
    Bytes,
}

/// How far a job is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Progress {
    /// Items done.
    pub done: u64,
    /// Items in all; 0 while unknown.
    pub total: u64,
    /// Items a second over the last ones; `None` until known.
    pub per_second: Option<f64>,
    /// Seconds left; `None` until known.
    pub seconds_left: Option<f64>,
    /// What is being done, e.g. "Describing quality".
    pub stage: String,
    /// What is counted.
    pub unit: Unit,
}

/// An item that a job could not do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedItem {
    /// The picture, where it is about one.
    pub image: Option<ImageId>,
    /// Its path.
    pub path: String,
    /// Why, and what to do.
    pub reason: String,
}

/// What a job came to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct JobReport {
    /// Items done.
    pub done: u64,
    /// Items that were done already.
    pub skipped: u64,
    /// Items that failed.
    pub failed: Vec<FailedItem>,
    /// Whether it was cancelled.
    pub cancelled: bool,
    /// Seconds it took.
    pub seconds: f64,
    /// One sentence for people.
    pub summary: String,
}

impl JobReport {
    /// So many items done, in one sentence.
    pub fn of(done: u64, summary: String) -> Self {
        Self {
            done,
            summary,
            ..Self::default()
        }
    }

    /// One thing done, in one sentence.
    pub fn done(summary: String) -> Self {
        Self::of(1, summary)
    }
}

/// What the workers say. Results of record are on disk when their event is sent.
#[derive(Debug, Clone)]
pub enum Event {
    /// A project was opened, or changed as a whole (import, relocate, undo).
    ProjectOpened(Box<Catalog>),
    /// Rows changed.
    ImagesChanged(Vec<ImageRecord>),
    /// An import ended.
    Imported(ImportSummary),
    /// A description grows: text so far. Not on disk.
    Streaming {
        /// Picture.
        image: ImageId,
        /// Aspect.
        aspect: Aspect,
        /// Text so far.
        text: String,
    },
    /// A description was saved.
    Described(Description),
    /// Reviews were saved; they hold from now on.
    Reviewed(Vec<ReviewRecord>),
    /// A teacher said nothing about pictures; noted in the project.
    TeachFailed(Vec<TeachFailure>),
    /// What a running teaching job has used up so far. Not on disk.
    TeacherSpent(JobId, Usage),
    /// What teaching would ask and cost.
    TeachingEstimated(Box<TeachRequest>, TeachEstimate),
    /// What models said was held against opinion scores. Made anew each time, and not on disk.
    Evaluated(Box<Evaluation>),
    /// Where a teacher's keys are.
    KeyFound(TeacherAddress, KeySource),
    /// A teacher answered, or why it did not.
    TeacherGreeted(TeacherAddress, Result<String, String>),
    /// Scores were saved.
    Scored(Vec<Score>),
    /// A run began, went on an epoch, or ended; saved.
    RunChanged(RunRecord),
    /// Live figures within an epoch: (run, epoch, step, steps, running loss). Not on disk.
    TrainStep {
        /// Run.
        run: RunId,
        /// Epoch, counted from 1.
        epoch: u32,
        /// Step within the epoch, counted from 1.
        step: u32,
        /// Steps an epoch.
        steps: u32,
        /// Mean loss of the epoch so far.
        loss: f64,
    },
    /// An epoch's figures were saved.
    EpochDone(RunId, EpochFigures),
    /// All fine-tunings, newest first, whatever project they learn from.
    Tunings(Vec<TuneRun>),
    /// A fine-tuning began, saved a checkpoint, went on an epoch, or ended; saved. Its adapter's folder stands in it
    /// once it is done, and is listed by [`Event::Shelf`].
    TuneChanged(Box<TuneRun>),
    /// Live figures of a fine-tuning's step. Not on disk.
    TuneStepped(TuneId, TuneStep),
    /// An epoch's figures were saved; epoch 0 is the base.
    TuneEpochDone(TuneId, TuneEpoch),
    /// What a fine-tuning would be.
    TuneEstimated(Box<TuneEstimate>),
    /// Test predictions of runs were held against each other. Made anew each time, and not on disk.
    RunsReported(Box<RunReport>),
    /// Room that the cached features of the open project take.
    FeaturesMeasured(FeatureUsage),
    /// A predictor was saved.
    PredictorSaved(PredictorCard),
    /// Studies were made, changed or frozen; all of them.
    StudiesChanged(Vec<Study>),
    /// A vote, or the record that takes one back, was saved.
    Voted(Vote),
    /// A study's figures were computed.
    StudyResults(Box<StudyResults>),
    /// The project's choices changed.
    SettingsChanged(Settings),
    /// What undo and redo would do now.
    UndoChanged {
        /// Undo.
        undo: Option<Operation>,
        /// Redo.
        redo: Option<Operation>,
    },
    /// The models that there are; the first is the one in use.
    Models(Vec<ModelCard>),
    /// How the models would do on this machine, by their hashes.
    Outlooks(BTreeMap<String, Outlook>),
    /// Folders among the program's models that hold no whole model, each with what is wrong.
    BrokenModels(Vec<(PathBuf, String)>),
    /// What else lies among the program's models, and what could be fetched.
    Shelf(Box<Shelf>),
    /// The hub answered what a model consists of.
    Offered(Box<Offer>),
    /// A model's files were read: what was found, or what is wrong with them.
    ModelChecked {
        /// Its folder.
        folder: PathBuf,
        /// A sentence either way.
        outcome: Result<String, String>,
    },
    /// The embedded predictors that fit the model in use.
    EmbeddedPredictors(Vec<PredictorCard>),
    /// What describes each aspect: the model in use, with the aspect's adapter where it has one.
    ModelTags(AspectMap<ModelTag>),
    /// A thumbnail: at most 256 pixels on its longer side.
    Thumbnail {
        /// Content hash of the picture it shows.
        hash: ContentHash,
        /// Picture.
        image: ImageId,
        /// Pixels.
        picture: Picture,
    },
    /// A picture could not be decoded for the screen.
    PictureFailed {
        /// Content hash of the picture that was wanted.
        hash: ContentHash,
        /// Picture.
        image: ImageId,
        /// Why.
        reason: String,
    },
    /// The whole picture, for Inspect or for the next trial.
    FullPicture {
        /// Content hash of the picture that was wanted.
        hash: ContentHash,
        /// Picture.
        image: ImageId,
        /// Pixels.
        picture: Picture,
    },
    /// Some pictures of a project that is not open, as far as its cache has them.
    Strip {
        /// Project file.
        project: PathBuf,
        /// Whether that file is there.
        is_there: bool,
        /// Thumbnails.
        pictures: Vec<Picture>,
    },
    /// A job was taken up.
    JobStarted {
        /// Job.
        job: JobId,
        /// What it is, e.g. "Describe 597 images".
        title: String,
        /// Whether pausing makes sense.
        can_pause: bool,
    },
    /// A job got on.
    JobProgress(JobId, Progress),
    /// A job ended, whole or cancelled.
    JobDone(JobId, JobReport),
    /// A job ended by an error or a panic; the program goes on.
    JobFailed(JobId, String),
    /// Something worth saying that belongs to no job.
    Notice(String),
}
