//! Models: the cards, the folder asked for, and which predictors can be used with the model in use.

use std::path::PathBuf;

use crate::domain::{ModelCard, PredictorCard, PredictorId};
use crate::jobs::message::Job;

use super::AppState;
use super::command::Effect;

/// What Models remembers.
#[derive(Debug, Clone, Default)]
pub struct ModelsState {
    /// Cards of the models that there are; the first is the one in use. Empty until the workers answered.
    pub cards: Vec<ModelCard>,
    /// Folders among the program's models that hold no whole model, each with what is wrong.
    pub broken: Vec<(PathBuf, String)>,
    /// What stands in the folder field.
    pub folder_text: String,
}

/// What Models can ask for.
#[derive(Debug, Clone, PartialEq)]
pub enum ModelsCommand {
    /// Say again what models there are.
    List,
    /// Other text in the folder field.
    SetFolderText(String),
    /// Use a model folder (`None`: the embedded one).
    Use(Option<PathBuf>),
}

impl ModelsState {
    pub(super) fn update(&mut self, command: ModelsCommand) -> Vec<Effect> {
        match command {
            ModelsCommand::List => vec![Effect::Submit(Job::ListModels)],
            ModelsCommand::SetFolderText(text) => {
                self.folder_text = text;
                Vec::new()
            }
            ModelsCommand::Use(folder) => vec![Effect::Submit(Job::UseModel { folder })],
        }
    }
}

/// A predictor as the Models screen lists it.
#[derive(Debug, Clone, PartialEq)]
pub struct PredictorEntry<'a> {
    /// Its card.
    pub card: &'a PredictorCard,
    /// Whether it comes with the program.
    pub is_embedded: bool,
    /// Whether it scores its aspect now.
    pub is_in_use: bool,
    /// Why it cannot be used now; `None` where it can.
    pub obstacle: Option<String>,
}

impl PredictorEntry<'_> {
    /// What to ask for to take it into use: the embedded one has no number.
    pub fn wanted(&self) -> Option<PredictorId> {
        (!self.is_embedded).then_some(self.card.id)
    }
}

/// Every predictor: those of the program first, then those of the project, newest first.
pub fn predictors(state: &AppState) -> Vec<PredictorEntry<'_>> {
    let embedded = state.embedded.iter().map(|card| (card, true));
    let own = state.project.iter().flat_map(|project| {
        // An embedded predictor that has scored is kept in the project as well; it is listed once.
        project
            .predictors
            .iter()
            .rev()
            .filter(|card| !state.embedded.iter().any(|other| is_same(card, other)))
            .map(|card| (card, false))
    });
    embedded
        .chain(own)
        .map(|(card, is_embedded)| entry(state, card, is_embedded))
        .collect()
}

/// Whether a card of the project is that of an embedded predictor under a number of the project.
fn is_same(card: &PredictorCard, embedded: &PredictorCard) -> bool {
    card.run.is_none()
        && card.aspect == embedded.aspect
        && card.name == embedded.name
        && card.model == embedded.model
}

fn entry<'a>(state: &AppState, card: &'a PredictorCard, is_embedded: bool) -> PredictorEntry<'a> {
    let chosen = state
        .project
        .as_ref()
        .and_then(|project| *project.settings.predictor.get(card.aspect));
    let is_in_use = state.project.is_some()
        && match is_embedded {
            true => chosen.is_none(),
            false => chosen == Some(card.id),
        };
    PredictorEntry {
        card,
        is_embedded,
        is_in_use,
        obstacle: obstacle(state, card),
    }
}

fn obstacle(state: &AppState, card: &PredictorCard) -> Option<String> {
    if state.project.is_none() {
        return Some("Open a project first: the choice is kept in it".to_owned());
    }
    let model = &state.models.cards.first()?.tag;
    (card.model != *model).then(|| {
        format!(
            "It reads only what {} says, and the model in use is {}",
            card.model.name, model.name
        )
    })
}

/// Bytes in words: "38.1 MB".
pub fn bytes_words(bytes: u64) -> String {
    let value = bytes as f64;
    match bytes {
        0..=999 => format!("{bytes} bytes"),
        1_000..=999_999 => format!("{:.1} kB", value / 1e3),
        1_000_000..=999_999_999 => format!("{:.1} MB", value / 1e6),
        _ => format!("{:.2} GB", value / 1e9),
    }
}

/// A number of parameters in words: "9.5 million".
pub fn parameters_words(number: u64) -> String {
    let value = number as f64;
    match number {
        0..=999_999 => super::actions::grouped(number as usize),
        1_000_000..=999_999_999 => format!("{:.1} million", value / 1e6),
        _ => format!("{:.2} billion", value / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        Aspect, AspectMap, Catalog, ModelTag, OpinionScale, ProjectInfo, RunId, Settings,
    };
    use crate::jobs::message::Event;
    use crate::state;

    fn card(id: i64, name: &str, run: Option<i64>, model: &str) -> PredictorCard {
        PredictorCard {
            id: PredictorId(id),
            name: name.to_owned(),
            aspect: Aspect::Quality,
            scale: OpinionScale::ZERO_TO_FIVE,
            dataset: "D".to_owned(),
            split: "train".to_owned(),
            model: ModelTag {
                name: model.to_owned(),
                sha256: model.to_owned(),
            },
            preset: "assay".to_owned(),
            head: "xLSTM".to_owned(),
            val: None,
            test: None,
            run: run.map(RunId),
        }
    }

    fn state_with(predictors: Vec<PredictorCard>, chosen: Option<i64>) -> AppState {
        let mut state = AppState {
            embedded: vec![card(0, "built in", None, "mini")],
            ..AppState::default()
        };
        let chosen = chosen.map(PredictorId);
        let catalog = Catalog {
            info: ProjectInfo {
                path: String::new(),
                dataset: "D".to_owned(),
                layout: String::new(),
                root: String::new(),
                scale: OpinionScale::ZERO_TO_FIVE,
                is_demo: false,
            },
            settings: Settings {
                predictor: AspectMap::from_fn(|_| chosen),
                ..Settings::default()
            },
            images: Vec::new(),
            descriptions: Vec::new(),
            scores: Vec::new(),
            predictors,
            runs: Vec::new(),
            studies: Vec::new(),
            votes: Vec::new(),
            undo: None,
            redo: None,
        };
        state::apply(&mut state, Event::ProjectOpened(Box::new(catalog)));
        state
    }

    #[test]
    fn an_embedded_predictor_is_listed_once() {
        let own = vec![
            card(1, "built in", None, "mini"),
            card(2, "mine", Some(1), "mini"),
        ];
        let state = state_with(own, None);
        let list = predictors(&state);
        let names: Vec<&str> = list.iter().map(|entry| entry.card.name.as_str()).collect();
        assert_eq!(names, ["built in", "mine"]);
        assert!(list[0].is_in_use && !list[1].is_in_use);
        assert_eq!(list[0].wanted(), None);
    }

    #[test]
    fn a_predictor_of_another_model_cannot_be_used() {
        let mut state = state_with(vec![card(2, "mine", Some(1), "other")], Some(2));
        state.models.cards = vec![ModelCard {
            tag: card(0, "", None, "mini").model,
            summary: String::new(),
            architecture: String::new(),
            source: String::new(),
            licence: String::new(),
            num_parameters: 0,
            weights_bytes: 0,
            memory_bytes: 0,
            loaded_on: None,
            folder: None,
        }];
        let list = predictors(&state);
        assert_eq!(list[0].obstacle, None);
        assert!(list[1].is_in_use);
        let obstacle = list[1].obstacle.as_deref().unwrap_or_default();
        assert!(obstacle.contains("other") && obstacle.contains("mini"));
    }

    #[test]
    fn sizes_are_words() {
        assert_eq!(bytes_words(38_123_456), "38.1 MB");
        assert_eq!(bytes_words(17_000_000_000), "17.00 GB");
        assert_eq!(parameters_words(9_500_000), "9.5 million");
        assert_eq!(parameters_words(999), "999");
    }
}
