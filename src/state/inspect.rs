//! Inspect: how the picture lies in its frame, and what is unfolded beside it.

use crate::domain::{Aspect, Description, Origin};

use super::project::Row;

/// How large the picture is shown.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub enum Zoom {
    /// As large as fits.
    #[default]
    Fit,
    /// Screen pixels per picture pixel.
    Scale(f32),
}

/// What Inspect remembers.
#[derive(Debug, Clone, Default)]
pub struct InspectState {
    /// How large.
    pub zoom: Zoom,
    /// Where the picture's centre lies off the frame's centre, in points.
    pub pan: [f32; 2],
    /// Whether the prompt is shown whole.
    pub is_prompt_unfolded: bool,
    /// Whether requests and questions of the conversation are shown.
    pub is_conversation_unfolded: bool,
    /// The one origin whose descriptions are shown; `None` shows all side by side.
    pub origin: Option<Origin>,
}

/// What Inspect can ask for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum InspectCommand {
    /// Fit the picture into its frame.
    Fit,
    /// One picture pixel on one screen pixel.
    OneToOne,
    /// Zoom and move.
    Place {
        /// Screen pixels per picture pixel.
        scale: f32,
        /// Offset of the centre in points.
        pan: [f32; 2],
    },
    /// Show the prompt whole, or its first three lines.
    TogglePrompt,
    /// Show the conversation word for word, or the descriptions only.
    ToggleConversation,
    /// Show the descriptions of one origin, or of all side by side.
    SetOrigin(Option<Origin>),
    /// Go so many origins on; all of them side by side count as one.
    StepOrigin(isize),
}

impl InspectState {
    /// Carries a command out; `origins` are those of the picture in focus.
    pub(super) fn update(&mut self, command: InspectCommand, origins: &[Origin]) {
        match command {
            InspectCommand::Fit => self.place(Zoom::Fit, [0.0, 0.0]),
            InspectCommand::OneToOne => self.place(Zoom::Scale(1.0), [0.0, 0.0]),
            InspectCommand::Place { scale, pan } => {
                self.place(Zoom::Scale(scale.clamp(0.05, 64.0)), pan);
            }
            InspectCommand::TogglePrompt => self.is_prompt_unfolded ^= true,
            InspectCommand::ToggleConversation => self.is_conversation_unfolded ^= true,
            InspectCommand::SetOrigin(origin) => self.origin = origin,
            InspectCommand::StepOrigin(by) => self.step_origin(by, origins),
        }
    }

    /// The origin shown alone, where the picture in focus has more than one.
    pub fn only_origin(&self, origins: &[Origin]) -> Option<Origin> {
        self.origin
            .filter(|origin| origins.len() > 1 && origins.contains(origin))
    }

    fn step_origin(&mut self, by: isize, origins: &[Origin]) {
        let places = origins.len() as isize + 1;
        let at = self
            .only_origin(origins)
            .and_then(|origin| origins.iter().position(|&other| other == origin))
            .map_or(0, |position| position as isize + 1);
        let to = (at + by).rem_euclid(places);
        self.origin = usize::try_from(to - 1)
            .ok()
            .and_then(|position| origins.get(position).copied());
    }

    fn place(&mut self, zoom: Zoom, pan: [f32; 2]) {
        self.zoom = zoom;
        self.pan = pan;
    }
}

/// Who described a picture, or could: the local model always can.
pub fn origins(row: &Row) -> Vec<Origin> {
    Origin::ALL
        .into_iter()
        .filter(|&origin| {
            let has_said = |aspect| row.newest_description(aspect, origin).is_some();
            origin == Origin::Local || Aspect::ALL.into_iter().any(has_said)
        })
        .collect()
}

/// The text that Copy puts on the clipboard: what was said, by whom, about what.
pub fn description_as_text(aspect: Aspect, description: &Description) -> String {
    let answer = description.answer.as_deref().unwrap_or("no answer");
    format!(
        "{} ({}): {}\n{answer}",
        aspect.title(),
        description.origin.name(),
        description.text
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_gone_through_in_a_round() {
        let origins = [Origin::Local, Origin::Teacher];
        let mut state = InspectState::default();
        let mut step = |by| {
            state.update(InspectCommand::StepOrigin(by), &origins);
            state.origin
        };
        assert_eq!(step(1), Some(Origin::Local));
        assert_eq!(step(1), Some(Origin::Teacher));
        assert_eq!(step(1), None);
        assert_eq!(step(-1), Some(Origin::Teacher));
    }

    #[test]
    fn an_origin_that_a_picture_lacks_hides_nothing() {
        let mut state = InspectState::default();
        let teacher = InspectCommand::SetOrigin(Some(Origin::Teacher));
        state.update(teacher, &[]);
        assert_eq!(state.only_origin(&[Origin::Local]), None);
        assert_eq!(state.only_origin(&[Origin::Local, Origin::Published]), None);
    }
}
