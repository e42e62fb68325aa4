//! Train: the settings of the next run, the live figures of the present one, and the run looked at.

use crate::domain::{Aspect, PredictorId, RunId, TrainSettings};
use crate::jobs::message::Job;

use super::command::Effect;

/// Where a run stands within its epoch. Not on disk.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LiveStep {
    /// Run.
    pub run: RunId,
    /// Epoch, counted from 1.
    pub epoch: u32,
    /// Step within the epoch, counted from 1.
    pub step: u32,
    /// Steps an epoch.
    pub steps: u32,
    /// Mean loss of the epoch so far.
    pub loss: f64,
}

/// What Train remembers.
#[derive(Debug, Clone)]
pub struct TrainState {
    /// Settings of the next run.
    pub settings: TrainSettings,
    /// Whether the advanced settings are unfolded.
    pub is_advanced: bool,
    /// The run whose curves and figures are shown; `None` means the newest.
    pub chosen: Option<RunId>,
    /// Live figures.
    pub live: Option<LiveStep>,
}

impl Default for TrainState {
    fn default() -> Self {
        Self {
            settings: TrainSettings::new(Aspect::Quality),
            is_advanced: false,
            chosen: None,
            live: None,
        }
    }
}

/// What Train can ask for.
#[derive(Debug, Clone, PartialEq)]
pub enum TrainCommand {
    /// Other settings.
    SetSettings(TrainSettings),
    /// Show or hide the advanced settings.
    ToggleAdvanced,
    /// Look at a run.
    Choose(RunId),
    /// Train with the settings shown.
    Start,
    /// Go on with a run that was cut off.
    Resume(RunId),
    /// Take a predictor into use (`None`: the embedded one).
    Use {
        /// Its aspect.
        aspect: Aspect,
        /// The predictor.
        predictor: Option<PredictorId>,
    },
}

impl TrainState {
    pub(super) fn update(&mut self, command: TrainCommand) -> Vec<Effect> {
        match command {
            TrainCommand::SetSettings(settings) => self.settings = settings,
            TrainCommand::ToggleAdvanced => self.is_advanced ^= true,
            TrainCommand::Choose(run) => self.chosen = Some(run),
            TrainCommand::Start => {
                return vec![Effect::Submit(Job::Train(self.settings.clone()))];
            }
            TrainCommand::Resume(run) => return vec![Effect::Submit(Job::ResumeTraining(run))],
            TrainCommand::Use { aspect, predictor } => {
                return vec![Effect::Submit(Job::UsePredictor { aspect, predictor })];
            }
        }
        Vec::new()
    }
}
