//! Models: the cards, and the folder asked for.

use std::path::PathBuf;

use crate::domain::ModelCard;
use crate::jobs::message::Job;

use super::command::Effect;

/// What Models remembers.
#[derive(Debug, Clone, Default)]
pub struct ModelsState {
    /// Cards of the models that there are; the first is the one in use. Empty until the workers answered.
    pub cards: Vec<ModelCard>,
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
