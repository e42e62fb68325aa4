//! Dialogs over the screens: open, map the columns of a table, export, keys of the screen.

use std::path::PathBuf;

use crate::domain::{Aspect, ImageId, RatingsFormat, StudyId, is_image_column};
use crate::jobs::message::ConversationWish;
use crate::jobs::message::ExportRequest;
use crate::jobs::message::ImportRequest;
use crate::jobs::message::Job;
use crate::jobs::message::RatingsExport;
use crate::stats::raters::Screening;

use super::command::Effect;
use super::command::Pick;
use super::rate::intake::TakeVotes;

/// Columns of ours that a table's own columns can be mapped to, with what they hold.
pub const COLUMNS: [(&str, &str); 11] = [
    ("image_path", "File name or path of the picture"),
    ("prompt", "Prompt that made the picture"),
    ("generator", "Model that made the picture"),
    ("style", "Style word"),
    ("mos_quality", "Quality score of people (MOS)"),
    ("std_quality", "Its standard deviation"),
    ("mos_align", "Correspondence score of people (MOS)"),
    ("std_align", "Its standard deviation"),
    ("mos_authenticity", "Authenticity score of people (MOS)"),
    ("std_authenticity", "Its standard deviation"),
    ("split", "Split: train, val or test"),
];

/// The mapping of a table's columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    /// The table.
    pub path: PathBuf,
    /// Its columns in their order.
    pub columns: Vec<String>,
    /// For each of [`COLUMNS`], the chosen column of the table.
    pub chosen: Vec<Option<usize>>,
}

impl Mapping {
    fn new(path: PathBuf, columns: Vec<String>) -> Self {
        let chosen = COLUMNS
            .iter()
            .map(|(name, _)| {
                columns
                    .iter()
                    .position(|column| column.eq_ignore_ascii_case(name))
            })
            .collect();
        Self {
            path,
            columns,
            chosen,
        }
    }

    /// Whether the picture's column is known, without which nothing can be read.
    pub fn is_complete(&self) -> bool {
        self.chosen.first().is_some_and(Option::is_some)
    }

    fn request(&self) -> ImportRequest {
        let columns = COLUMNS
            .iter()
            .zip(&self.chosen)
            .filter_map(|((ours, _), &chosen)| {
                let theirs = self.columns.get(chosen?)?;
                Some(((*ours).to_owned(), theirs.clone()))
            })
            .collect();
        ImportRequest {
            path: self.path.clone(),
            layout: Some("table".to_owned()),
            conversations: Vec::new(),
            columns,
        }
    }
}

/// The format of conversations among those of the table.
pub const CONVERSATIONS: &str = "conversations";

/// Choices of the export.
#[derive(Debug, Clone, PartialEq)]
pub struct ExportChoices {
    /// `csv`, `jsonl`, or [`CONVERSATIONS`].
    pub format: String,
    /// File to write; for conversations a folder.
    pub path_text: String,
    /// Only the pictures that the gallery shows or that are selected.
    pub only_scope: bool,
    /// Aspects.
    pub aspects: Vec<Aspect>,
}

/// A file about a study.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StudyFile {
    /// Its votes as a table, or the report.
    Ratings(RatingsFormat),
    /// The study with its pictures, for raters at another machine.
    Package,
}

/// Choices of a file about a study.
#[derive(Debug, Clone, PartialEq)]
pub struct StudyChoices {
    /// The study.
    pub study: StudyId,
    /// What is written.
    pub what: StudyFile,
    /// The aspect of files that hold one.
    pub aspect: Aspect,
    /// How the report makes scores of ratings.
    pub screening: Screening,
    /// File to write.
    pub path_text: String,
}

/// The dialog that lies over the screen.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Dialog {
    /// None.
    #[default]
    None,
    /// Open: a path field and pickers.
    Open {
        /// What stands in the path field.
        path_text: String,
    },
    /// Map the columns of a table.
    Map(Mapping),
    /// Export.
    Export(ExportChoices),
    /// Say where the pictures lie now.
    Relocate {
        /// What stands in the path field.
        path_text: String,
    },
    /// Write a file about a study.
    Study(StudyChoices),
    /// Take in votes from a package that came back, another project or a table.
    TakeVotes(TakeVotes),
    /// What came of them.
    VotesReport,
    /// Keys of the screen.
    Keys,
    /// What an import did, row by row.
    ImportReport,
}

/// What dialogs can ask for.
#[derive(Debug, Clone, PartialEq)]
pub enum DialogCommand {
    /// Show the Open dialog.
    Open,
    /// Show the Export dialog.
    Export,
    /// Show the Export dialog with conversations chosen.
    ExportConversations,
    /// Show the dialog that asks where the pictures lie now.
    Relocate,
    /// Look for the pictures in the folder of the path field.
    ConfirmRelocate,
    /// Show the choices of a file about a study.
    ExportStudy {
        /// The study.
        study: StudyId,
        /// What is offered first.
        what: StudyFile,
        /// The aspect of files that hold one.
        aspect: Aspect,
        /// How the report makes scores of ratings.
        screening: Screening,
    },
    /// Write another file about the study.
    SetStudyFile(StudyFile),
    /// Write the file about the study.
    WriteStudy,
    /// Show where votes are to be taken from.
    TakeVotes,
    /// Other choices of what votes are taken from.
    SetVotes(TakeVotes),
    /// Show what came of the last votes from a file.
    VotesReport,
    /// Take the votes in.
    ConfirmTakeVotes,
    /// Show the keys of the screen.
    Keys,
    /// Show what the last import did.
    ImportReport,
    /// Close whatever lies over the screen.
    Close,
    /// Other text in the path field.
    SetPath(String),
    /// Let the desktop's own dialog choose.
    Pick(Pick),
    /// Map one of our columns to one of the table's.
    MapColumn {
        /// Position in [`COLUMNS`].
        ours: usize,
        /// Position in the table.
        theirs: Option<usize>,
    },
    /// Read the table as mapped.
    ImportMapped,
    /// Other export choices.
    SetExport(ExportChoices),
    /// Write the table.
    ConfirmExport,
}

impl Dialog {
    /// Whether something lies over the screen.
    pub fn is_open(&self) -> bool {
        *self != Self::None
    }

    pub(super) fn update(&mut self, command: DialogCommand, scope: &[ImageId]) -> Vec<Effect> {
        match command {
            DialogCommand::Open => {
                *self = Self::Open {
                    path_text: String::new(),
                };
            }
            DialogCommand::Export => self.export("csv"),
            DialogCommand::ExportConversations => self.export(CONVERSATIONS),
            DialogCommand::Relocate => {
                *self = Self::Relocate {
                    path_text: String::new(),
                };
            }
            DialogCommand::ConfirmRelocate => return self.confirm_relocate(),
            DialogCommand::ExportStudy {
                study,
                what,
                aspect,
                screening,
            } => {
                *self = Self::Study(StudyChoices {
                    study,
                    what,
                    aspect,
                    screening,
                    path_text: String::new(),
                });
            }
            DialogCommand::SetStudyFile(what) => {
                if let Self::Study(choices) = self {
                    choices.what = what;
                }
            }
            DialogCommand::WriteStudy => return self.write_study(),
            // Which study the votes are for hangs on the project: `update` opens it.
            DialogCommand::TakeVotes => {}
            DialogCommand::SetVotes(choices) => *self = Self::TakeVotes(choices),
            DialogCommand::VotesReport => *self = Self::VotesReport,
            DialogCommand::ConfirmTakeVotes => return self.take_votes(),
            DialogCommand::Keys => *self = Self::Keys,
            DialogCommand::ImportReport => *self = Self::ImportReport,
            DialogCommand::Close => *self = Self::None,
            DialogCommand::SetPath(text) => self.set_path(text),
            DialogCommand::Pick(pick) => return vec![Effect::Pick(pick)],
            DialogCommand::MapColumn { ours, theirs } => self.map_column(ours, theirs),
            DialogCommand::ImportMapped => return self.import_mapped(),
            DialogCommand::SetExport(choices) => *self = Self::Export(choices),
            DialogCommand::ConfirmExport => return self.confirm_export(scope),
        }
        Vec::new()
    }

    /// Takes a table's columns in: reads it at once where they are known, asks where they are not.
    pub(super) fn table_columns(&mut self, path: PathBuf, columns: Vec<String>) -> Vec<Effect> {
        let is_known = columns.iter().any(|column| is_image_column(column));
        if is_known || columns.is_empty() {
            *self = Self::None;
            return vec![Effect::Submit(Job::Open { path })];
        }
        *self = Self::Map(Mapping::new(path, columns));
        Vec::new()
    }

    fn set_path(&mut self, text: String) {
        match self {
            Self::Open { path_text } | Self::Relocate { path_text } => *path_text = text,
            Self::TakeVotes(choices) => choices.path_text = text,
            Self::Export(choices) => choices.path_text = text,
            Self::Study(choices) => choices.path_text = text,
            Self::None | Self::Map(_) | Self::Keys | Self::ImportReport | Self::VotesReport => {}
        }
    }

    fn map_column(&mut self, ours: usize, theirs: Option<usize>) {
        if let Self::Map(mapping) = self
            && let Some(chosen) = mapping.chosen.get_mut(ours)
        {
            *chosen = theirs;
        }
    }

    fn import_mapped(&mut self) -> Vec<Effect> {
        let Self::Map(mapping) = self else {
            return Vec::new();
        };
        if !mapping.is_complete() {
            return Vec::new();
        }
        let request = mapping.request();
        *self = Self::None;
        vec![Effect::Submit(Job::Import(request))]
    }

    fn confirm_relocate(&mut self) -> Vec<Effect> {
        let Self::Relocate { path_text } = self else {
            return Vec::new();
        };
        let root = PathBuf::from(path_text.trim());
        if root.as_os_str().is_empty() {
            return Vec::new();
        }
        *self = Self::None;
        vec![Effect::Submit(Job::Relocate { root })]
    }

    fn write_study(&mut self) -> Vec<Effect> {
        let Self::Study(choices) = self else {
            return Vec::new();
        };
        let path = choices.path_text.trim();
        if path.is_empty() {
            return Vec::new();
        }
        let out = PathBuf::from(path);
        let study = choices.study;
        let job = match choices.what {
            StudyFile::Package => Job::PackStudy { study, out },
            StudyFile::Ratings(format) => Job::ExportRatings(RatingsExport {
                study,
                format,
                // A row a vote holds every aspect, and so does the report.
                aspect: match format {
                    RatingsFormat::Long | RatingsFormat::Report => None,
                    _ => Some(choices.aspect),
                },
                screening: choices.screening,
                out,
            }),
        };
        *self = Self::None;
        vec![Effect::Submit(job)]
    }

    fn take_votes(&mut self) -> Vec<Effect> {
        let Self::TakeVotes(choices) = self else {
            return Vec::new();
        };
        let Some(job) = choices.job() else {
            return Vec::new();
        };
        *self = Self::None;
        vec![Effect::Submit(job)]
    }

    fn export(&mut self, format: &str) {
        *self = Self::Export(ExportChoices {
            format: format.to_owned(),
            path_text: String::new(),
            only_scope: false,
            aspects: Aspect::ALL.to_vec(),
        });
    }

    fn confirm_export(&mut self, scope: &[ImageId]) -> Vec<Effect> {
        let Self::Export(choices) = self else {
            return Vec::new();
        };
        if choices.path_text.trim().is_empty() || choices.aspects.is_empty() {
            return Vec::new();
        }
        // A job that names no pictures is about all of them.
        if choices.only_scope && scope.is_empty() {
            return Vec::new();
        }
        let out = PathBuf::from(choices.path_text.trim());
        let aspects = choices.aspects.clone();
        let images = if choices.only_scope {
            scope.to_vec()
        } else {
            Vec::new()
        };
        let job = match choices.format.as_str() {
            CONVERSATIONS => Job::ExportConversations {
                wish: ConversationWish {
                    aspects,
                    split: None,
                    images,
                },
                out,
            },
            format => Job::Export(ExportRequest {
                format: format.to_owned(),
                out,
                images,
                aspects,
            }),
        };
        *self = Self::None;
        vec![Effect::Submit(job)]
    }
}
