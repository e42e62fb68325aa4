//! Compare: predictions against ground truth. What is drawn is computed when results change, not per frame.

mod comparison;
mod known;

use crate::domain::{Aspect, Split};

use super::project::Project;

pub use comparison::BARS;
pub use comparison::Comparison;
pub use comparison::Group;
pub use comparison::Pair;

/// Which end of the list of residuals stands on top.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Order {
    /// Largest error first.
    #[default]
    Worst,
    /// Smallest error first.
    Best,
}

/// What Compare remembers.
#[derive(Debug, Clone)]
pub struct CompareState {
    /// The aspect compared.
    pub aspect: Aspect,
    /// The part of the dataset that the user chose: `Some(None)` is all of it, `None` leaves it to the program.
    pub chosen: Option<Option<Split>>,
    /// Which end of the list of residuals stands on top.
    pub order: Order,
    /// Whether results came in since the last `refresh`.
    pub is_stale: bool,
    /// Counts up whenever the comparison was computed anew.
    pub revision: u64,
    /// Everything that is drawn.
    pub comparison: Comparison,
}

impl Default for CompareState {
    fn default() -> Self {
        Self {
            aspect: Aspect::Quality,
            chosen: None,
            order: Order::default(),
            is_stale: true,
            revision: 0,
            comparison: Comparison::default(),
        }
    }
}

/// What Compare can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CompareCommand {
    /// Compare another aspect.
    SetAspect(Aspect),
    /// Compare over another part of the dataset; `None` is all of it.
    SetSplit(Option<Split>),
    /// Turn the list of residuals round.
    SetOrder(Order),
    /// Compute with the results that came in since.
    Refresh,
}

impl CompareState {
    pub(super) fn update(&mut self, command: CompareCommand, project: &Project) {
        match command {
            CompareCommand::SetAspect(aspect) => self.aspect = aspect,
            CompareCommand::SetSplit(split) => self.chosen = Some(split),
            CompareCommand::SetOrder(order) => {
                self.order = order;
                return;
            }
            CompareCommand::Refresh => {}
        }
        self.refresh(project);
    }

    /// Computes what is drawn. Called when the screen is shown, when a command changes it, and when a job ends.
    pub(super) fn refresh(&mut self, project: &Project) {
        let split = self
            .chosen
            .unwrap_or_else(|| comparison::usual_split(project, self.aspect));
        self.comparison = Comparison::of(project, self.aspect, split);
        self.revision += 1;
        self.is_stale = false;
    }
}

#[cfg(test)]
mod tests;
