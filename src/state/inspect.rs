//! Inspect: how the picture lies in its frame, and what is unfolded beside it.

use crate::domain::Aspect;
use crate::domain::Description;

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
}

impl InspectState {
    pub(super) fn update(&mut self, command: InspectCommand) {
        match command {
            InspectCommand::Fit => self.place(Zoom::Fit, [0.0, 0.0]),
            InspectCommand::OneToOne => self.place(Zoom::Scale(1.0), [0.0, 0.0]),
            InspectCommand::Place { scale, pan } => {
                self.place(Zoom::Scale(scale.clamp(0.05, 64.0)), pan);
            }
            InspectCommand::TogglePrompt => self.is_prompt_unfolded ^= true,
            InspectCommand::ToggleConversation => self.is_conversation_unfolded ^= true,
        }
    }

    fn place(&mut self, zoom: Zoom, pan: [f32; 2]) {
        self.zoom = zoom;
        self.pan = pan;
    }
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
