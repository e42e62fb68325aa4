//! Tags: which ones there are, how many of the pictures meant carry them, and which fit what is typed.

use crate::domain::ImageId;

use super::AppState;

/// What the list of tags remembers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TagsState {
    /// Whether the list is open.
    pub is_open: bool,
    /// What was typed.
    pub text: String,
}

/// What the list of tags can ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TagsCommand {
    /// Show the list.
    Open,
    /// Hide it.
    Close,
    /// Other text.
    SetText(String),
}

/// How far a tag is spread over the pictures meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    /// The tag.
    pub tag: String,
    /// Pictures that carry it, of those meant.
    pub num_tagged: usize,
    /// Pictures meant.
    pub num_images: usize,
}

impl Tally {
    /// Whether every picture meant carries it.
    pub fn is_on_all(&self) -> bool {
        self.num_tagged == self.num_images
    }
}

impl TagsState {
    pub(super) fn update(&mut self, command: TagsCommand) {
        match command {
            TagsCommand::Open => {
                *self = Self {
                    is_open: true,
                    text: String::new(),
                };
            }
            TagsCommand::Close => *self = Self::default(),
            TagsCommand::SetText(text) => self.text = text,
        }
    }

    /// The tag typed, without the blanks around it; `None` where there is none.
    pub fn typed(&self) -> Option<&str> {
        Some(self.text.trim()).filter(|text| !text.is_empty())
    }
}

/// The pictures that a tag goes on: the selected ones. A single one is meant itself, not everything shown, because
/// a tag on thousands of pictures is no slip to be made by a key.
pub fn tagged(state: &AppState) -> Vec<ImageId> {
    state.selection.images.iter().copied().collect()
}

/// Known tags that fit what is typed, those that begin with it first.
pub fn tallies(state: &AppState) -> Vec<Tally> {
    let Some(project) = &state.project else {
        return Vec::new();
    };
    let typed = state.tags.text.trim().to_lowercase();
    let images = tagged(state);
    let rows: Vec<_> = images
        .iter()
        .filter_map(|&image| project.row(image))
        .collect();
    let mut fitting: Vec<&String> = project
        .tags
        .iter()
        .filter(|tag| tag.to_lowercase().contains(&typed))
        .collect();
    fitting.sort_by_key(|tag| !tag.to_lowercase().starts_with(&typed));
    fitting
        .into_iter()
        .map(|tag| Tally {
            tag: tag.clone(),
            num_tagged: rows
                .iter()
                .filter(|row| row.record.tags.contains(tag))
                .count(),
            num_images: rows.len(),
        })
        .collect()
}

/// The tag that Enter puts on: the one typed, spelt as it is known where it is known.
pub fn entered(state: &AppState) -> Option<String> {
    let typed = state.tags.typed()?;
    let known = state.project.as_ref().and_then(|project| {
        let mut tags = project.tags.iter();
        tags.find(|tag| tag.to_lowercase() == typed.to_lowercase())
    });
    Some(known.map_or_else(|| typed.to_owned(), Clone::clone))
}
