//! The palette: every command by name, with its keys. Menus, tooltips and keys read the same list.

use super::AppState;
use super::actions;
use super::command::Command;
use super::command::Pick;
use super::command::Screen;
use super::command::Target;
use super::dialogs::DialogCommand;
use super::gallery::GalleryCommand;
use super::inspect::InspectCommand;
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
    pub keys: &'static str,
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
    let mut entries = screens(state);
    entries.extend(files(state));
    if state.project.is_some() {
        entries.extend(work(state));
        entries.extend(looking());
    }
    entries.extend(always(state));
    entries
}

fn entry(title: impl Into<String>, keys: &'static str, command: Command) -> Entry {
    Entry {
        title: title.into(),
        keys,
        command,
    }
}

fn screens(state: &AppState) -> Vec<Entry> {
    const KEYS: [&str; 5] = ["Alt+1", "Alt+2", "Alt+3", "Alt+4", "Alt+5"];
    let mut entries = vec![entry("Go to Start", "", Command::Show(Screen::Start))];
    if state.project.is_some() {
        entries.extend(Screen::NAVIGATION.iter().zip(KEYS).map(|(&screen, keys)| {
            entry(
                format!("Go to {}", screen.title()),
                keys,
                Command::Show(screen),
            )
        }));
    }
    entries
}

fn files(state: &AppState) -> Vec<Entry> {
    let mut entries = vec![
        entry("Open…", "Ctrl+O", Command::Dialog(DialogCommand::Open)),
        entry("Open the demo", "", Command::OpenDemo),
    ];
    if state.project.is_some() {
        entries.push(entry(
            "Export…",
            "Ctrl+E",
            Command::Dialog(DialogCommand::Export),
        ));
        entries.push(entry(
            "Find moved pictures…",
            "",
            Command::Dialog(DialogCommand::Pick(Pick::ImageRoot)),
        ));
    }
    entries
}

fn work(state: &AppState) -> Vec<Entry> {
    let mut entries = Vec::new();
    for &aspect in &state.gallery.action_aspects {
        let count = actions::grouped(*state.scope.to_describe.get(aspect));
        entries.push(entry(
            format!("Describe {} of {count} images", aspect.name()),
            "",
            Command::Describe {
                target: Target::Scope,
                aspects: vec![aspect],
                again: false,
            },
        ));
        let count = actions::grouped(state.scope.num_usable());
        entries.push(entry(
            format!("Score {} of {count} images", aspect.name()),
            "",
            Command::Score {
                target: Target::Scope,
                aspects: vec![aspect],
            },
        ));
    }
    if let Some(project) = &state.project {
        if let Some(undo) = &project.undo {
            entries.push(entry(format!("Undo {}", undo.0), "Ctrl+Z", Command::Undo));
        }
        if let Some(redo) = &project.redo {
            entries.push(entry(
                format!("Redo {}", redo.0),
                "Ctrl+Shift+Z",
                Command::Redo,
            ));
        }
    }
    entries
}

fn looking() -> Vec<Entry> {
    vec![
        entry("Search", "/", Command::Gallery(GalleryCommand::FocusSearch)),
        entry(
            "Preview the picture",
            "Space",
            Command::Gallery(GalleryCommand::TogglePreview),
        ),
        entry(
            "Refresh the list",
            "F5",
            Command::Gallery(GalleryCommand::Refresh),
        ),
        entry(
            "Select all shown",
            "Ctrl+A",
            Command::Selection(SelectionCommand::All),
        ),
        entry(
            "Select nothing",
            "",
            Command::Selection(SelectionCommand::Clear),
        ),
        entry(
            "Next picture",
            "Right",
            Command::Selection(SelectionCommand::Step(1)),
        ),
        entry(
            "Previous picture",
            "Left",
            Command::Selection(SelectionCommand::Step(-1)),
        ),
        entry(
            "Fit the picture",
            "F",
            Command::Picture(InspectCommand::Fit),
        ),
        entry(
            "Show pixels one to one",
            "1",
            Command::Picture(InspectCommand::OneToOne),
        ),
        entry(
            "Show the conversation word for word",
            "C",
            Command::Picture(InspectCommand::ToggleConversation),
        ),
    ]
}

fn always(state: &AppState) -> Vec<Entry> {
    let theme = state.theme.other();
    vec![
        entry(
            format!("Use {} colours", format!("{theme:?}").to_lowercase()),
            "Ctrl+T",
            Command::SetTheme(theme),
        ),
        entry(
            "Show or hide the panel on the right",
            "Ctrl+B",
            Command::TogglePanel,
        ),
        entry("Keys", "F1", Command::Dialog(DialogCommand::Keys)),
        entry(
            "Palette",
            "Ctrl+K",
            Command::Palette(PaletteCommand::Toggle),
        ),
        entry("Quit", "Ctrl+Q", Command::Quit),
    ]
}
