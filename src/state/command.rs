//! What the user can ask for, and what that asks of the world outside the state.

use std::path::PathBuf;

use crate::domain::Aspect;
use crate::domain::ImageId;
pub use crate::jobs::message::Control;
use crate::jobs::message::Job;
pub use crate::jobs::message::JobId;
pub use crate::jobs::message::Progress;
pub use crate::jobs::message::Secret;
pub use crate::jobs::message::Unit;
pub use crate::jobs::message::Wish;

use super::compare::CompareCommand;
use super::dialogs::DialogCommand;
use super::distil::DistilCommand;
use super::gallery::GalleryCommand;
use super::inspect::InspectCommand;
use super::jobs::JobsCommand;
use super::keys::KeysCommand;
use super::models::ModelsCommand;
use super::palette::PaletteCommand;
use super::rate::RateCommand;
use super::selection::SelectionCommand;
use super::start::StartCommand;
use super::tags::TagsCommand;
use super::train::TrainCommand;

/// The screens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Screen {
    /// No project yet, or another one wanted.
    #[default]
    Start,
    /// The grid.
    Gallery,
    /// One picture with everything said about it.
    Inspect,
    /// Predictions against ground truth.
    Compare,
    /// Train a predictor.
    Train,
    /// Teach the local model: a teacher's texts, their review, fine-tuning, before and after.
    Distil,
    /// Human opinion scores: studies, sittings, results.
    Rate,
    /// Models on this machine.
    Models,
}

impl Screen {
    /// Screens of the navigation, in order.
    pub const NAVIGATION: [Self; 7] = [
        Self::Gallery,
        Self::Inspect,
        Self::Compare,
        Self::Train,
        Self::Distil,
        Self::Rate,
        Self::Models,
    ];

    /// Its name on screen.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Start => "Start",
            Self::Gallery => "Gallery",
            Self::Inspect => "Inspect",
            Self::Compare => "Compare",
            Self::Train => "Train",
            Self::Distil => "Distil",
            Self::Rate => "Rate",
            Self::Models => "Models",
        }
    }
}

/// Light or dark.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Theme {
    /// Light chrome.
    Light,
    /// Dark chrome, the one in which pictures stand out most.
    #[default]
    Dark,
}

impl Theme {
    /// The other one.
    pub const fn other(self) -> Self {
        match self {
            Self::Light => Self::Dark,
            Self::Dark => Self::Light,
        }
    }
}

/// What a file dialog of the desktop is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pick {
    /// A folder of images or a dataset to open.
    OpenFolder,
    /// A project or a table to open.
    OpenFile,
    /// A model folder to add.
    ModelFolder,
    /// A file to export to.
    ExportFile,
    /// A file about a study to write.
    StudyFile,
    /// A package or another project to take votes from.
    VotesFile,
    /// Where the pictures are now.
    ImageRoot,
}

/// Pictures that a piece of work is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// The selected ones if several are, otherwise all that are shown.
    Scope,
    /// These.
    Images(Vec<ImageId>),
}

/// Everything that the user can ask for.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Show a screen.
    Show(Screen),
    /// Inspect this picture.
    Inspect(ImageId),
    /// One step back: close what lies on top, else go to the gallery.
    Back,
    /// Change the selection.
    Selection(SelectionCommand),
    /// The gallery.
    Gallery(GalleryCommand),
    /// The picture in Inspect.
    Picture(InspectCommand),
    /// Compare.
    Compare(CompareCommand),
    /// Train.
    Train(TrainCommand),
    /// Distil.
    Distil(DistilCommand),
    /// Rate.
    Rate(RateCommand),
    /// Models.
    Models(ModelsCommand),
    /// The palette.
    Palette(PaletteCommand),
    /// Dialogs.
    Dialog(DialogCommand),
    /// Start.
    Start(StartCommand),
    /// The list of keys.
    Keys(KeysCommand),
    /// The list of tags.
    Tags(TagsCommand),
    /// The jobs strip.
    Jobs(JobsCommand),
    /// Open a project, a dataset, a table or a folder of images.
    Open(PathBuf),
    /// Something was let go over the window.
    Drop(Vec<PathBuf>),
    /// A table's columns were read; sent by the app, which alone touches files here.
    TableColumns {
        /// The table.
        path: PathBuf,
        /// Its columns; empty where they could not be read.
        columns: Vec<String>,
    },
    /// The desktop's dialog answered.
    Picked {
        /// What was asked.
        pick: Pick,
        /// The answer.
        path: PathBuf,
    },
    /// The desktop has no dialogs.
    NoPicker(Pick),
    /// Open the demo dataset.
    OpenDemo,
    /// Let the local model describe.
    Describe {
        /// Pictures.
        target: Target,
        /// Aspects.
        aspects: Vec<Aspect>,
        /// Also those that are described already; the former text is kept.
        again: bool,
    },
    /// Predict scores.
    Score {
        /// Pictures.
        target: Target,
        /// Aspects.
        aspects: Vec<Aspect>,
    },
    /// Put a tag on the selected pictures or take it off.
    SetTag {
        /// Pictures.
        target: Target,
        /// The tag.
        tag: String,
        /// On or off.
        on: bool,
    },
    /// Take the last change back.
    Undo,
    /// Bring it again.
    Redo,
    /// Put text on the clipboard.
    Copy(String),
    /// Light or dark.
    SetTheme(Theme),
    /// Show or hide the panel of the selected picture.
    TogglePanel,
    /// Let new things fade in, or let them stand there at once.
    ToggleMotion,
    /// Take a notice off the screen.
    DismissNotice(u64),
    /// Close the window.
    Quit,
}

/// What a command asks of the world outside the state. The app carries it out.
#[expect(
    clippy::large_enum_variant,
    reason = "a frame has a handful of effects at most, and a job moves on at once"
)]
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Hand a job to the workers.
    Submit(Job),
    /// Cancel, pause or resume a job.
    Control(JobId, Control),
    /// Show a file dialog of the desktop.
    Pick(Pick),
    /// Read the column names of a table and answer with [`Command::TableColumns`].
    ReadColumns(PathBuf),
    /// Put text on the clipboard.
    Copy(String),
    /// Close the window.
    Quit,
}
