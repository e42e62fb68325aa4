//! What one press begins: a run for each aspect and part, with the time that it may take.

use crate::domain::{Aspect, HeadSettings, RunId, RunRecord, TrainSettings};
use crate::state::AppState;
use crate::state::actions;
use crate::state::project::Project;

use super::TrainState;

/// How long to look for a better predictor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Budget {
    /// Within a minute for a few thousand images.
    Quick,
    /// What suits a few thousand images.
    Usual,
    /// As long as it gets better.
    Thorough,
}

impl Budget {
    /// All of them, the shortest first.
    pub const ALL: [Self; 3] = [Self::Quick, Self::Usual, Self::Thorough];

    /// Its name on screen.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Quick => "Quick",
            Self::Usual => "Usual",
            Self::Thorough => "Thorough",
        }
    }

    /// Epochs at most.
    pub const fn epochs(self) -> u32 {
        match self {
            // On AGIQA-3K later ones change the validation SRCC by less than 0.005 (docs/EXPERIMENTS.md).
            Self::Quick => 3,
            Self::Usual => 20,
            Self::Thorough => 60,
        }
    }

    /// Epochs without a better one after which it ends.
    pub const fn patience(self) -> Option<u32> {
        match self {
            Self::Quick => None,
            Self::Usual => Some(TrainSettings::USUAL_PATIENCE),
            Self::Thorough => Some(12),
        }
    }

    /// The budget that settings stand for; `None` where the user set epochs or patience by hand.
    pub fn of(settings: &TrainSettings) -> Option<Self> {
        Self::ALL.into_iter().find(|budget| {
            budget.epochs() == settings.epochs && budget.patience() == settings.patience
        })
    }
}

/// The runs that one press begins, in their order.
pub fn runs(train: &TrainState) -> Vec<TrainSettings> {
    let of_aspect = |aspect: &Aspect| {
        let settings = TrainSettings {
            aspect: *aspect,
            ..train.settings.clone()
        };
        match train.num_folds {
            None => vec![settings],
            Some(num) => settings.folds(num),
        }
    };
    train.aspects.iter().flat_map(of_aspect).collect()
}

/// How fast a head learns, as a run of the project measured it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Speed {
    /// Seconds an image and epoch.
    pub seconds: f64,
    /// The run that it was measured in.
    pub run: RunId,
    /// Whether that run had the same head, input and width.
    pub is_same_head: bool,
}

/// The speed of the newest run with the same head; of the newest run at all where there is none.
pub fn speed(project: &Project, head: &HeadSettings) -> Option<Speed> {
    let measured = |run: &&RunRecord| !run.epochs.is_empty();
    let is_same = |run: &&RunRecord| {
        let other = run.settings.head;
        (other.kind, other.dim, other.input, other.projection)
            == (head.kind, head.dim, head.input, head.projection)
    };
    let newest = || project.runs.iter().rev().filter(measured);
    let run = newest().find(is_same).or_else(|| newest().next())?;
    let seconds: f64 = run.epochs.iter().map(|epoch| epoch.seconds).sum();
    let passes = run.epochs.len() as f64 * run.num_images[0].max(1) as f64;
    Some(Speed {
        seconds: seconds / passes,
        run: run.id,
        is_same_head: is_same(&run),
    })
}

/// Images and epochs that one press learns from, each image counted once an epoch.
fn passes(state: &AppState, epochs: u32) -> f64 {
    let train = &state.train;
    let runs = f64::from(train.num_folds.unwrap_or(1));
    let images: usize = train.data.iter().map(super::DataSummary::num_learned).sum();
    images as f64 * runs * f64::from(epochs)
}

/// Seconds that the epochs of one press may take, with so many of them; `None` before any run was measured.
pub fn training_seconds(state: &AppState, epochs: u32) -> Option<f64> {
    let project = state.project.as_ref()?;
    let speed = speed(project, &state.train.settings.head)?;
    Some(speed.seconds * passes(state, epochs))
}

/// Descriptions that must be made before the epochs begin.
pub fn num_to_describe(state: &AppState) -> usize {
    let data = state.train.data.iter();
    data.map(super::DataSummary::num_to_describe).sum()
}

/// How long one press may take, in words.
pub fn estimate(state: &AppState) -> String {
    let to_describe = num_to_describe(state);
    let describing = match to_describe {
        0 => Some(0.0),
        number => actions::describe_seconds(&state.jobs, number),
    };
    let training = training_seconds(state, state.train.settings.epochs);
    let speed = state
        .project
        .as_ref()
        .and_then(|project| speed(project, &state.train.settings.head));
    match (training, describing, speed) {
        (Some(training), Some(describing), Some(speed)) => {
            let time = actions::duration_in_words(training + describing);
            match speed.is_same_head {
                true => format!("{time} at the speed of run {}", speed.run.0),
                false => format!(
                    "{time} at the speed of run {}, whose head was another",
                    speed.run.0
                ),
            }
        }
        (Some(training), None, _) => format!(
            "{} for the epochs, and describing {} before",
            actions::duration_in_words(training),
            super::data::images(to_describe)
        ),
        _ => "How long it takes will stand here after the first run.".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_press_is_a_run_for_each_aspect_and_part() {
        let mut train = TrainState::default();
        assert_eq!(runs(&train), [TrainSettings::new(Aspect::Quality)]);
        train.aspects = vec![Aspect::Quality, Aspect::Correspondence];
        train.num_folds = Some(3);
        let runs = runs(&train);
        let aspects: Vec<Aspect> = runs.iter().map(|run| run.aspect).collect();
        assert_eq!(aspects[2..4], [Aspect::Quality, Aspect::Correspondence]);
        assert_eq!(runs.len(), 6);
        assert!(runs.iter().all(|run| run.fold.is_some_and(|f| f.of == 3)));
    }

    #[test]
    fn a_budget_is_known_by_its_epochs() {
        let usual = TrainSettings::new(Aspect::Quality);
        assert_eq!(Budget::of(&usual), Some(Budget::Usual));
        let by_hand = TrainSettings {
            epochs: 21,
            ..usual
        };
        assert_eq!(Budget::of(&by_hand), None);
    }
}
