//! The palette: every command by name, with its keys. Menus, tooltips and keys read the same list.

use crate::domain::{Aspect, Operation};

use super::AppState;
use super::actions;
use super::command::Command;
use super::command::Target;
use super::dialogs::DialogCommand;
use super::keys;
use super::keys::Action;
use super::keys::Place;
use super::project::Project;
use super::rate::RateCommand;
use super::rate::quick::QuickCommand;
use super::selection::SelectionCommand;

/// What the palette remembers.
#[derive(Debug, Clone, Default)]
pub struct PaletteState {
    /// Whether it lies over the screen.
    pub is_open: bool,
    /// What was typed.
    pub query: String,
    /// The entry that Enter runs, among those that match.
    pub chosen: usize,
}

/// What the palette can ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PaletteCommand {
    /// Show or hide it.
    Toggle,
    /// Other text.
    SetQuery(String),
    /// Move the choice up or down.
    Step(isize),
}

/// One command by name.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Its name, in sentence case.
    pub title: String,
    /// Its keys; empty where it has none.
    pub keys: String,
    /// What it asks for.
    pub command: Command,
}

impl PaletteState {
    pub(super) fn update(&mut self, command: PaletteCommand, num_matches: usize) {
        match command {
            PaletteCommand::Toggle => {
                *self = Self {
                    is_open: !self.is_open,
                    ..Self::default()
                };
            }
            PaletteCommand::SetQuery(query) => {
                self.query = query;
                self.chosen = 0;
            }
            PaletteCommand::Step(by) => {
                let last = num_matches.saturating_sub(1);
                self.chosen = self.chosen.saturating_add_signed(by).min(last);
            }
        }
    }
}

/// Entries whose words contain everything typed, in the order of the list.
pub fn matching(state: &AppState) -> Vec<Entry> {
    let query = state.palette.query.to_lowercase();
    let words: Vec<&str> = query.split_whitespace().collect();
    entries(state)
        .into_iter()
        .filter(|entry| {
            let title = entry.title.to_lowercase();
            words.iter().all(|word| title.contains(word))
        })
        .collect()
}

/// Every command that makes sense now.
pub fn entries(state: &AppState) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Action::all()
        .filter(|action| action.place() == Place::Everywhere)
        .filter_map(|action| by_key(state, action))
        .collect();
    entries.extend(files(state));
    if state.project.is_some() {
        entries.extend(work(state));
        entries.extend(rating(state));
    }
    let of_screen = Action::all()
        .filter(|action| action.place() != Place::Everywhere)
        .filter(|action| action.place().holds_on(state.screen));
    entries.extend(of_screen.filter_map(|action| by_key(state, action)));
    entries
}

fn entry(title: impl Into<String>, command: Command) -> Entry {
    Entry {
        title: title.into(),
        keys: String::new(),
        command,
    }
}

/// The entry of an action that a key stands for, where it makes sense now.
fn by_key(state: &AppState, action: Action) -> Option<Entry> {
    let operation = |pick: fn(&Project) -> &Option<Operation>| {
        let project = state.project.as_ref()?;
        pick(project).as_ref().map(|operation| operation.0.clone())
    };
    let title = match action {
        Action::Undo => format!("Undo {}", operation(|project| &project.undo)?),
        Action::Redo => format!("Redo {}", operation(|project| &project.redo)?),
        Action::Theme => {
            let theme = format!("{:?}", state.theme.other()).to_lowercase();
            format!("Use {theme} colours")
        }
        Action::Motion if state.is_motion_reduced => "More motion".to_owned(),
        Action::Motion => "Less motion".to_owned(),
        other => other.title().to_owned(),
    };
    Some(Entry {
        title,
        keys: state.keys.map.words(action),
        command: keys::command(action, state)?,
    })
}

fn files(state: &AppState) -> Vec<Entry> {
    let mut entries = vec![entry("Open the demo", Command::OpenDemo)];
    if state.project.is_some() {
        let relocate = Command::Dialog(DialogCommand::Relocate);
        entries.push(entry("Find moved pictures…", relocate));
        let clear = Command::Selection(SelectionCommand::Clear);
        entries.push(entry("Select nothing", clear));
    }
    entries
}

fn work(state: &AppState) -> Vec<Entry> {
    let mut entries = Vec::new();
    for &aspect in &state.gallery.action_aspects {
        let count = actions::grouped(*state.scope.to_describe.get(aspect));
        entries.push(entry(
            format!("Describe {} of {count} images", aspect.name()),
            Command::Describe {
                target: Target::Scope,
                aspects: vec![aspect],
                again: false,
            },
        ));
        let count = actions::grouped(state.scope.num_usable());
        entries.push(entry(
            format!("Score {} of {count} images", aspect.name()),
            Command::Score {
                target: Target::Scope,
                aspects: vec![aspect],
            },
        ));
    }
    entries
}

fn rating(state: &AppState) -> Vec<Entry> {
    let mut entries = vec![entry("New study…", Command::Rate(RateCommand::New))];
    let studies = state.project.iter().flat_map(|project| &project.studies);
    for study in studies {
        let name = &study.protocol.name;
        if !study.is_quick {
            let sit = Command::Rate(RateCommand::Sit(study.id));
            entries.push(entry(format!("Rate in {name}"), sit));
        }
        let results = Command::Rate(RateCommand::ShowResults(study.id));
        entries.push(entry(format!("Results of {name}"), results));
    }
    let quick = |command| Command::Rate(RateCommand::Quick(command));
    for aspect in Aspect::ALL {
        let title = format!("Let the keys 1 to 5 rate {aspect}");
        entries.push(entry(title, quick(QuickCommand::SetAspect(aspect))));
    }
    entries
}
