//! The gallery: cell size, preview, and how conditions change.

use crate::domain::{Aspect, Filter, SortKey};

use super::view::View;

/// Smallest side of a cell in points.
pub const MIN_CELL: f32 = 96.0;

/// Largest side of a cell in points; thumbnails are not sharper than this.
pub const MAX_CELL: f32 = 320.0;

/// What the gallery remembers.
#[derive(Debug, Clone)]
pub struct GalleryState {
    /// Side of a cell in points.
    pub cell_size: f32,
    /// Whether the picture in focus is shown large above the grid.
    pub preview: bool,
    /// Counts up when the search field should take the keyboard.
    pub search_request: u64,
    /// Columns of the last frame, so that up and down know how far to go.
    pub columns: usize,
    /// Aspects that the action bar is about.
    pub action_aspects: Vec<Aspect>,
}

impl Default for GalleryState {
    fn default() -> Self {
        Self {
            cell_size: 176.0,
            preview: false,
            search_request: 0,
            columns: 1,
            action_aspects: vec![Aspect::Quality, Aspect::Correspondence],
        }
    }
}

/// What the gallery can ask for.
#[derive(Debug, Clone, PartialEq)]
pub enum GalleryCommand {
    /// Other conditions.
    SetFilter(Filter),
    /// Another order.
    Sort {
        /// What it goes by.
        key: SortKey,
        /// Turned round.
        descending: bool,
    },
    /// Compute the list anew with the results that came in since.
    Refresh,
    /// Another cell size in points.
    SetCellSize(f32),
    /// So many columns fit now.
    SetColumns(usize),
    /// Show or hide the large preview.
    TogglePreview,
    /// Let the search field take the keyboard.
    FocusSearch,
    /// Put an aspect on the action bar, or take it off.
    ToggleAspect(Aspect),
}

impl GalleryState {
    /// Carries a command out; `true` if the list has to be computed anew.
    pub(super) fn update(&mut self, command: GalleryCommand, view: &mut View) -> bool {
        match command {
            GalleryCommand::SetFilter(filter) => {
                let changed = filter != view.filter;
                view.filter = filter;
                return changed;
            }
            GalleryCommand::Sort { key, descending } => {
                view.sort = key;
                view.descending = descending;
                return true;
            }
            GalleryCommand::Refresh => return true,
            GalleryCommand::SetCellSize(size) => self.cell_size = size.clamp(MIN_CELL, MAX_CELL),
            GalleryCommand::SetColumns(columns) => self.columns = columns.max(1),
            GalleryCommand::TogglePreview => self.preview = !self.preview,
            GalleryCommand::FocusSearch => self.search_request += 1,
            GalleryCommand::ToggleAspect(aspect) => self.toggle_aspect(aspect),
        }
        false
    }

    fn toggle_aspect(&mut self, aspect: Aspect) {
        if self.action_aspects.contains(&aspect) {
            // An action about no aspect would be a button that does nothing.
            if self.action_aspects.len() > 1 {
                self.action_aspects.retain(|&known| known != aspect);
            }
        } else {
            self.action_aspects.push(aspect);
            self.action_aspects.sort_unstable();
        }
    }
}
