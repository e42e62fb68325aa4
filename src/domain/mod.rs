//! The words of the trade: images, aspects, scales, splits, descriptions, conversations, scores, runs,
//! studies and their votes.
//!
//! Pure data with the rules that belong to it. No files, no threads, no drawing, no tensors.
//! Every other room speaks in these types, so a value means the same thing from the store to the screen.

mod aspect;
mod catalog;
mod columns;
mod conversation;
mod count;
mod download;
mod evaluation;
mod filter;
mod fit;
mod image;
mod import;
mod model;
mod reading;
mod review;
mod run;
mod run_report;
mod score;
pub mod study;
mod teacher;
mod teaching;
mod training;
mod training_rules;
mod tuning;
mod usage;

pub use aspect::{Aspect, AspectMap};
pub use catalog::{Catalog, Operation, ProjectInfo, Settings};
pub use columns::{IMAGE_COLUMNS, is_image_column, plain_column};
pub use conversation::{
    Conversation, Description, DescriptionId, Descriptions, Origin, Preset, PresetAspect,
    Provenance,
};
pub use count::grouped;
pub use download::{AddOn, HalfDownload, KnownModel, ModelKind, Offer, Precision, Purpose, Shelf};
pub use evaluation::{Evaluation, Speaker, WordFigures};
pub use filter::{Filter, SortKey};
pub use fit::{Fit, FormNeed, MemoryNeed, Outlook, Speed, Verdict};
pub use image::{ContentHash, FileState, ImageId, ImageRecord, Picture, Truth};
pub use import::{
    ConversationEntry, ImportBatch, ImportRow, ImportSummary, Problem, ProblemKind, SplitEntry,
};
pub use model::{Features, Halves, LentHalves, ModelCard, ModelTag};
pub use reading::{Reading, Rounds};
pub use review::{Judgement, ReviewAct, ReviewId, ReviewRecord, ReviewWish, Reviews, TeachFailure};
pub use run::{EpochFigures, Figures, PredictorCard, PredictorId, RunId, RunRecord, RunStatus};
pub use run_report::{
    Contest, FigureReport, PairedFigure, Range, Ranged, RunReport, TestPrediction, Tested,
};
pub use score::{Interrupted, OpinionScale, Rating, Score, Split};
pub use study::{
    Method, PairChoice, Protocol, ProtocolHash, RatingsFormat, Shown, Study, StudyId, StudyMos,
    StudyPicture, Trial, Vote, VoteId, VoteToken, VoteValue,
};
pub use teacher::{KeySource, TeachEstimate, TeacherSettings};
pub use teaching::{AskedAspect, Budget, Prices, Question, ShownScore, TeacherKind, Usage};
pub use training::{
    Fold, HeadInput, HeadKind, HeadSettings, LearnFrom, Loss, Pooling, Projection, Schedule,
    Selection, TrainSettings,
};
pub use tuning::{
    TuneEpoch, TuneEstimate, TuneFigures, TuneId, TuneNeed, TunePreset, TuneRun, TuneSettings,
    TuneStep,
};
pub use usage::FeatureUsage;
