//! One selection for every screen: the picture in focus, and the set that actions are about.

use std::collections::BTreeSet;

use crate::domain::ImageId;

use super::project::Project;
use super::view::View;

/// What is selected.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// The picture that the panel and Inspect show.
    pub focus: Option<ImageId>,
    /// Every selected picture, the focus included.
    pub images: BTreeSet<ImageId>,
    /// Counts up whenever the focus moved by key or from another screen: the gallery then scrolls to it.
    pub scroll_request: u64,
    anchor: Option<ImageId>,
}

/// What can be done to the selection.
#[derive(Debug, Clone, PartialEq)]
pub enum SelectionCommand {
    /// Select this one only.
    Only(ImageId),
    /// Add it, or take it out.
    Toggle(ImageId),
    /// Everything shown between the last plain click and this one.
    ExtendTo(ImageId),
    /// Exactly these; the first comes into focus (a brush in a plot, rows of a table).
    Set(Vec<ImageId>),
    /// Everything shown.
    All,
    /// Nothing but the focus.
    Clear,
    /// Move the focus by so many places of the list shown.
    Step(isize),
    /// To the first of the list shown.
    First,
    /// To the last of the list shown.
    Last,
}

impl Selection {
    /// Whether actions are about a chosen set rather than about all that is shown.
    pub fn is_many(&self) -> bool {
        self.images.len() > 1
    }

    /// Whether an image is selected.
    pub fn contains(&self, image: ImageId) -> bool {
        self.images.contains(&image)
    }

    /// Carries a command out over the list shown.
    pub(super) fn update(&mut self, command: SelectionCommand, project: &Project, view: &View) {
        match command {
            SelectionCommand::Only(image) => self.only(image),
            SelectionCommand::Toggle(image) => self.toggle(image),
            SelectionCommand::ExtendTo(image) => self.extend_to(image, project, view),
            SelectionCommand::Set(images) => self.set(images),
            SelectionCommand::All => {
                self.images = view
                    .visible
                    .iter()
                    .map(|&idx| project.rows[idx].record.id)
                    .collect();
            }
            SelectionCommand::Clear => self.images = self.focus.into_iter().collect(),
            SelectionCommand::Step(by) => self.step(by, project, view),
            SelectionCommand::First => self.go_to(view.image_at(project, 0)),
            SelectionCommand::Last => {
                self.go_to(view.image_at(project, view.visible.len().saturating_sub(1)));
            }
        }
    }

    /// Forgets images that the project no longer has.
    pub(super) fn keep_known(&mut self, project: &Project) {
        self.images
            .retain(|&image| project.row_idx(image).is_some());
        self.focus = self.focus.filter(|&image| project.row_idx(image).is_some());
        self.anchor = self.focus;
    }

    fn only(&mut self, image: ImageId) {
        self.focus = Some(image);
        self.anchor = Some(image);
        self.images = BTreeSet::from([image]);
    }

    fn toggle(&mut self, image: ImageId) {
        if self.images.remove(&image) {
            if self.focus == Some(image) {
                self.focus = self.images.last().copied();
            }
        } else {
            self.images.insert(image);
            self.focus = Some(image);
        }
        self.anchor = self.focus;
    }

    fn extend_to(&mut self, image: ImageId, project: &Project, view: &View) {
        let from = self
            .anchor
            .and_then(|anchor| view.position(project, anchor));
        let (Some(from), Some(to)) = (from, view.position(project, image)) else {
            self.only(image);
            return;
        };
        self.images = view.visible[from.min(to)..=from.max(to)]
            .iter()
            .map(|&idx| project.rows[idx].record.id)
            .collect();
        self.focus = Some(image);
    }

    fn set(&mut self, images: Vec<ImageId>) {
        self.focus = images.first().copied().or(self.focus);
        self.anchor = self.focus;
        self.images = images.into_iter().collect();
        self.scroll_request += 1;
    }

    fn step(&mut self, by: isize, project: &Project, view: &View) {
        let last = view.visible.len().saturating_sub(1);
        let to = match self.focus.and_then(|image| view.position(project, image)) {
            Some(at) => at.saturating_add_signed(by).min(last),
            None => 0,
        };
        self.go_to(view.image_at(project, to));
    }

    fn go_to(&mut self, image: Option<ImageId>) {
        if let Some(image) = image {
            self.only(image);
            self.scroll_request += 1;
        }
    }
}
