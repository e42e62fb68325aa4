//! Compare: predictions against ground truth. What is drawn is computed when results change, not per frame.

use crate::domain::Aspect;

use super::project::Project;
use super::view::View;

/// What Compare remembers.
#[derive(Debug, Clone)]
pub struct CompareState {
    /// The aspect compared.
    pub aspect: Aspect,
    /// Whether results came in since the last `refresh`.
    pub is_stale: bool,
}

impl Default for CompareState {
    fn default() -> Self {
        Self {
            aspect: Aspect::Quality,
            is_stale: true,
        }
    }
}

/// What Compare can ask for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum CompareCommand {
    /// Compare another aspect.
    SetAspect(Aspect),
    /// Compute with the results that came in since.
    Refresh,
}

impl CompareState {
    pub(super) fn update(&mut self, command: CompareCommand, project: &Project, view: &View) {
        match command {
            CompareCommand::SetAspect(aspect) => self.aspect = aspect,
            CompareCommand::Refresh => {}
        }
        self.refresh(project, view);
    }

    /// Computes what is drawn. Called when the screen is shown, when a command changes it, and when a job ends.
    pub(super) fn refresh(&mut self, _project: &Project, _view: &View) {
        self.is_stale = false;
    }
}
