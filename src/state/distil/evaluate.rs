//! Step 4: the models that have described the test list, two of them side by side.

use crate::domain::{Aspect, AspectMap, Evaluation, ImageId, Origin, Speaker, Split};
use crate::jobs::message::Job;
use crate::state::AppState;
use crate::state::command::Effect;

/// What step 4 remembers.
#[derive(Debug, Clone)]
pub struct EvaluateState {
    /// The aspect shown.
    pub aspect: Aspect,
    /// What was found, by aspect.
    pub found: AspectMap<Option<Evaluation>>,
    /// Whether it was asked for and has not come.
    pub is_asked: bool,
    /// Whether what was found is old.
    pub is_stale: bool,
    /// The speaker on the left by name and wording; `None` means the one before the last.
    pub before: Option<SpeakerKey>,
    /// The one on the right; `None` means the newest.
    pub after: Option<SpeakerKey>,
}

/// What tells speakers apart: origin, hash of the model, wording.
pub type SpeakerKey = (Origin, Option<String>, Option<String>);

impl Default for EvaluateState {
    fn default() -> Self {
        Self {
            aspect: Aspect::Quality,
            found: AspectMap::default(),
            is_asked: false,
            is_stale: true,
            before: None,
            after: None,
        }
    }
}

/// What step 4 can ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EvaluateCommand {
    /// Another aspect.
    SetAspect(Aspect),
    /// Compute the figures.
    Ask,
    /// The speaker on the left.
    SetBefore(SpeakerKey),
    /// The speaker on the right.
    SetAfter(SpeakerKey),
    /// Let the model in use describe the test list.
    Describe,
    /// Let the predictor in use score what the model in use says of the test list.
    Score,
}

/// Carries a command out.
pub(super) fn update(state: &mut AppState, command: EvaluateCommand) -> Vec<Effect> {
    let aspect = state.distil.evaluate.aspect;
    match command {
        EvaluateCommand::SetAspect(aspect) => {
            state.distil.evaluate.aspect = aspect;
            state.distil.evaluate.before = None;
            state.distil.evaluate.after = None;
            state.distil.evaluate.is_stale = true;
        }
        EvaluateCommand::Ask => {
            let evaluate = &mut state.distil.evaluate;
            evaluate.is_asked = true;
            evaluate.is_stale = false;
            let split = Some(Split::Test);
            return vec![Effect::Submit(Job::EvaluateModels { aspect, split })];
        }
        EvaluateCommand::SetBefore(key) => state.distil.evaluate.before = Some(key),
        EvaluateCommand::SetAfter(key) => state.distil.evaluate.after = Some(key),
        EvaluateCommand::Describe => {
            let images = test_images(state, aspect);
            if !images.is_empty() {
                return vec![Effect::Submit(Job::Describe {
                    images,
                    aspects: vec![aspect],
                    again: false,
                })];
            }
        }
        EvaluateCommand::Score => {
            let images = test_images(state, aspect);
            if !images.is_empty() {
                return vec![Effect::Submit(Job::Score {
                    images,
                    aspects: vec![aspect],
                    descriptions: None,
                })];
            }
        }
    }
    Vec::new()
}

impl EvaluateState {
    pub(super) fn take(&mut self, found: Evaluation) {
        self.is_asked = false;
        let aspect = found.aspect;
        *self.found.get_mut(aspect) = Some(found);
    }

    /// What was found of the aspect shown.
    pub fn shown(&self) -> Option<&Evaluation> {
        self.found.get(self.aspect).as_ref()
    }

    /// The two that are held against each other. Where only one has spoken, there is nothing on the left.
    pub fn sides(&self) -> (Option<&Speaker>, Option<&Speaker>) {
        let Some(found) = self.shown() else {
            return (None, None);
        };
        let named = |key: &Option<SpeakerKey>| {
            let key = key.as_ref()?;
            found
                .speakers
                .iter()
                .find(|speaker| self::key(speaker) == *key)
        };
        let after = named(&self.after).or_else(|| found.speakers.last());
        let others = || {
            let rest = found.speakers.iter().rev();
            rest.filter(|speaker| after.is_none_or(|after| key(after) != key(speaker)))
        };
        // Before a fine-tuning, a model of this program spoke; a published system is somebody else.
        let before = named(&self.before)
            .or_else(|| others().find(|speaker| speaker.origin == Origin::Local))
            .or_else(|| others().next());
        (before, after)
    }
}

/// What tells a speaker from others.
pub fn key(speaker: &Speaker) -> SpeakerKey {
    let hash = speaker.model.as_ref().map(|model| model.sha256.clone());
    (speaker.origin, hash, speaker.preset.clone())
}

/// Pictures of the test list with a file and an opinion score.
pub fn test_images(state: &AppState, aspect: Aspect) -> Vec<ImageId> {
    let rows = state.project.iter().flat_map(|project| &project.rows);
    rows.filter(|row| {
        row.record.file.is_present()
            && row.record.mos(aspect).is_some()
            && *row.record.split.get(aspect) == Some(Split::Test)
    })
    .map(|row| row.record.id)
    .collect()
}

/// Whether the model in use has described all of the test list.
pub fn num_undescribed(state: &AppState, aspect: Aspect) -> usize {
    let in_use = state.models.tag(aspect);
    let images = test_images(state, aspect);
    let is_described = |image: &ImageId| {
        state.row(*image).is_some_and(|row| {
            let mut texts = row.descriptions.get(aspect).iter();
            texts.any(|text| {
                text.origin == Origin::Local
                    && in_use.is_some()
                    && text.made.model.as_ref() == in_use
            })
        })
    };
    images.iter().filter(|image| !is_described(image)).count()
}

/// What a figure is computed from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Basis {
    /// The answered rating words.
    Words,
    /// The predictor's scores.
    Scores,
}

/// One line of the table: name, what it means, and how it is read off a speaker.
#[derive(Debug, Clone, Copy)]
pub struct Line {
    /// Its name.
    pub name: &'static str,
    /// What it means.
    pub hint: &'static str,
    /// What it is computed from.
    pub basis: Basis,
    /// Its value.
    pub pick: fn(&Speaker) -> Option<f64>,
}

impl Line {
    /// Why it is undefined.
    pub const fn reason<'a>(&self, speaker: &'a Speaker) -> Option<&'a String> {
        match self.basis {
            Basis::Words => speaker.words.reason.as_ref(),
            Basis::Scores => speaker.scores.reason.as_ref(),
        }
    }

    /// Pictures behind it.
    pub const fn count(&self, speaker: &Speaker) -> usize {
        match self.basis {
            Basis::Words => speaker.words.n,
            Basis::Scores => speaker.scores.n,
        }
    }

    /// What changed from one side to the other; nothing where they are not about equally many pictures, whose figures
    /// are no measure of each other.
    pub fn change(&self, before: Option<&Speaker>, after: Option<&Speaker>) -> Option<f64> {
        let (before, after) = (before?, after?);
        let is_like = self.count(before) == self.count(after);
        let change = (self.pick)(after)? - (self.pick)(before)?;
        is_like.then_some(change)
    }
}

/// Whether both sides have figures about different pictures.
pub fn is_unlike(before: Option<&Speaker>, after: Option<&Speaker>) -> bool {
    match (before, after) {
        (Some(before), Some(after)) => before.words.n != after.words.n,
        _ => false,
    }
}

/// Every line, in its order.
pub const LINES: [Line; 6] = [
    Line {
        name: "Word accuracy",
        hint: "Share of pictures whose answered word is that of the opinion score",
        basis: Basis::Words,
        pick: |speaker| speaker.words.accuracy,
    },
    Line {
        name: "Rough accuracy",
        hint: "The same, with a word one step away counted as right",
        basis: Basis::Words,
        pick: |speaker| speaker.words.rough_accuracy,
    },
    Line {
        name: "Precision, weighted",
        hint: "By word, weighted with the pictures that truly have it; as scikit-learn computes it",
        basis: Basis::Words,
        pick: |speaker| speaker.words.precision,
    },
    Line {
        name: "F1, weighted",
        hint: "By word, weighted likewise",
        basis: Basis::Words,
        pick: |speaker| speaker.words.f1,
    },
    Line {
        name: "Predictor SRCC",
        hint: "Rank correlation of the scores that a predictor makes of its descriptions",
        basis: Basis::Scores,
        pick: |speaker| speaker.scores.srcc,
    },
    Line {
        name: "Predictor PLCC",
        hint: "Linear correlation of those scores",
        basis: Basis::Scores,
        pick: |speaker| speaker.scores.plcc,
    },
];

/// What is not known yet and can be asked for.
pub(super) fn wanted(state: &AppState) -> Option<EvaluateCommand> {
    let evaluate = &state.distil.evaluate;
    // While a job runs, figures would be computed anew at every picture.
    let is_quiet = state.jobs.running.is_empty() || evaluate.shown().is_none();
    (evaluate.is_stale && !evaluate.is_asked && is_quiet && state.project.is_some())
        .then_some(EvaluateCommand::Ask)
}

/// How far the step is, in a few words.
pub(super) fn status(state: &AppState) -> String {
    let (before, after) = state.distil.evaluate.sides();
    let accuracy = |speaker: Option<&Speaker>| speaker.and_then(|speaker| speaker.words.accuracy);
    match (accuracy(before), accuracy(after)) {
        (Some(before), Some(after)) => format!("Words {before:.3}, then {after:.3}"),
        (None, Some(after)) => format!("Words {after:.3}"),
        _ => "Not compared yet".to_owned(),
    }
}
