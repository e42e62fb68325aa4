//! What the window knows: the open project, the selection, the screens' own memory.
//!
//! Commands go in through [`update()`], events of the workers through [`apply()`]; both are plain functions.
//! No egui, no threads, no files: a test drives the whole window's behaviour without a window.

pub mod actions;
mod apply;
pub mod command;
pub mod compare;
pub mod dialogs;
pub mod distil;
pub mod gallery;
pub mod inspect;
pub mod jobs;
pub mod keys;
pub mod models;
pub mod notices;
pub mod palette;
pub mod project;
pub mod rate;
pub mod selection;
pub mod start;
pub mod tags;
pub mod train;
mod update;
pub mod view;

use std::collections::BTreeMap;

use crate::domain::{ContentHash, ImageId, ImportSummary, PredictorCard};
use crate::jobs::message::Wish;

pub use apply::apply;
pub use command::Command;
pub use command::Effect;
pub use command::Screen;
pub use command::Theme;
pub use project::Project;
pub use project::Row;
pub use project::VoteCount;
pub use update::update;

/// Everything that the window knows. The GUI thread owns it.
#[derive(Debug, Clone)]
pub struct AppState {
    /// The open project.
    pub project: Option<Project>,
    /// The screen shown.
    pub screen: Screen,
    /// What is selected, on every screen.
    pub selection: selection::Selection,
    /// Which rows are shown, in which order.
    pub view: view::View,
    /// Counts over the pictures that actions are about.
    pub scope: actions::Scope,
    /// Start's memory.
    pub start: start::StartState,
    /// The gallery's memory.
    pub gallery: gallery::GalleryState,
    /// Inspect's memory.
    pub inspect: inspect::InspectState,
    /// Compare's memory.
    pub compare: compare::CompareState,
    /// Train's memory.
    pub train: train::TrainState,
    /// Distil's memory.
    pub distil: distil::DistilState,
    /// Rate's memory.
    pub rate: rate::RateState,
    /// Models' memory.
    pub models: models::ModelsState,
    /// The palette.
    pub palette: palette::PaletteState,
    /// Which key stands for what.
    pub keys: keys::KeysState,
    /// The list of tags.
    pub tags: tags::TagsState,
    /// The dialog that lies over the screen.
    pub dialog: dialogs::Dialog,
    /// Running and ended jobs.
    pub jobs: jobs::JobsState,
    /// Sentences for the user.
    pub notices: notices::Notices,
    /// What the last import did.
    pub import: Option<ImportSummary>,
    /// Predictors that come with the program.
    pub embedded: Vec<PredictorCard>,
    /// Pictures that could not be decoded for the screen, with the reason.
    pub picture_failures: BTreeMap<ImageId, String>,
    /// Light or dark.
    pub theme: Theme,
    /// Whether the panel of the selected picture is shown.
    pub is_panel_open: bool,
    /// Whether new things stand there at once instead of fading in.
    pub is_motion_reduced: bool,
}

impl Default for AppState {
    fn default() -> Self {
        Self {
            project: None,
            screen: Screen::Start,
            selection: selection::Selection::default(),
            view: view::View::default(),
            scope: actions::Scope::default(),
            start: start::StartState::default(),
            gallery: gallery::GalleryState::default(),
            inspect: inspect::InspectState::default(),
            compare: compare::CompareState::default(),
            train: train::TrainState::default(),
            distil: distil::DistilState::default(),
            rate: rate::RateState::default(),
            models: models::ModelsState::default(),
            palette: palette::PaletteState::default(),
            keys: keys::KeysState::default(),
            tags: tags::TagsState::default(),
            dialog: dialogs::Dialog::default(),
            jobs: jobs::JobsState::default(),
            notices: notices::Notices::default(),
            import: None,
            embedded: Vec::new(),
            picture_failures: BTreeMap::new(),
            theme: Theme::default(),
            is_panel_open: true,
            is_motion_reduced: false,
        }
    }
}

impl AppState {
    /// An image with all that is known of it.
    pub fn row(&self, image: ImageId) -> Option<&Row> {
        self.project.as_ref()?.row(image)
    }

    /// Whether a row's file has this content. What was decoded for the project before is of other files.
    pub fn has_file(&self, image: ImageId, hash: ContentHash) -> bool {
        self.row(image)
            .is_some_and(|row| row.record.file.hash() == Some(hash))
    }

    /// The picture in focus with all that is known of it.
    pub fn focused(&self) -> Option<&Row> {
        self.row(self.selection.focus?)
    }

    /// Tells the user of something that went wrong in the window itself.
    pub fn say_error(&mut self, text: String) {
        self.notices.say(notices::Tone::Error, text);
    }

    /// What the screens wish to have computed, each wish once; the app hands it to the workers.
    pub fn take_wish(&mut self) -> Option<Wish> {
        self.rate.results.take_wish().map(Wish::Results)
    }

    /// Computes the list shown anew, and the counts that hang on it.
    fn refresh_view(&mut self) {
        if let Some(project) = &self.project {
            self.view.refresh(project);
        }
        self.recount();
    }

    fn recount(&mut self) {
        if let Some(project) = &self.project {
            self.scope = actions::Scope::count(project, &self.models, &self.view, &self.selection);
        }
    }
}

#[cfg(test)]
mod tests;
