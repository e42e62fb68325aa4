//! What keys can stand for: the name of each action, where it holds, its first key, and its command.

use crate::state::AppState;
use crate::state::Command;
use crate::state::command::Screen;
use crate::state::dialogs::DialogCommand;
use crate::state::distil;
use crate::state::gallery::GalleryCommand;
use crate::state::inspect::InspectCommand;
use crate::state::palette::PaletteCommand;
use crate::state::rate::RateCommand;
use crate::state::rate::quick::QuickCommand;
use crate::state::selection::SelectionCommand;
use crate::state::tags::TagsCommand;
use crate::state::train::TrainCommand;

/// Pictures that a page passes, in rows.
const PAGE_ROWS: isize = 4;

/// Where a key holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// On every screen.
    Everywhere,
    /// On screens that show the list of pictures in some form.
    Pictures,
    /// In the gallery.
    Gallery,
    /// In Inspect.
    Inspect,
    /// Where the keys rate what is selected.
    Rating,
    /// In Train.
    Train,
    /// In Distil, where texts are reviewed.
    Distil,
}

impl Place {
    /// Every place, in the order of the list of keys: what one screen has alone comes first.
    pub const ALL: [Self; 7] = [
        Self::Gallery,
        Self::Inspect,
        Self::Train,
        Self::Distil,
        Self::Rating,
        Self::Pictures,
        Self::Everywhere,
    ];

    /// Its heading.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Everywhere => "Everywhere",
            Self::Pictures => "Gallery, Inspect and Compare",
            Self::Gallery => "Gallery",
            Self::Inspect => "Inspect",
            Self::Rating => "Gallery and Inspect",
            Self::Train => "Train",
            Self::Distil => "Distil, reviewing",
        }
    }

    /// Whether its keys hold on a screen.
    pub const fn holds_on(self, screen: Screen) -> bool {
        match self {
            Self::Everywhere => true,
            Self::Pictures => matches!(screen, Screen::Gallery | Screen::Inspect | Screen::Compare),
            Self::Gallery => matches!(screen, Screen::Gallery),
            Self::Inspect => matches!(screen, Screen::Inspect),
            Self::Rating => matches!(screen, Screen::Gallery | Screen::Inspect),
            Self::Train => matches!(screen, Screen::Train),
            Self::Distil => matches!(screen, Screen::Distil),
        }
    }

    /// Whether a key of one could be meant for the other on some screen.
    pub fn meets(self, other: Self) -> bool {
        Screen::NAVIGATION
            .iter()
            .any(|&screen| self.holds_on(screen) && other.holds_on(screen))
    }
}

/// What a key can stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// The palette.
    Palette,
    /// The list of keys.
    Keys,
    /// One step back.
    Back,
    /// Open something.
    Open,
    /// Write a table.
    Export,
    /// Take the last change back.
    Undo,
    /// Bring it again.
    Redo,
    /// The search field.
    Search,
    /// Another screen.
    Go(Screen),
    /// Light or dark.
    Theme,
    /// The panel on the right.
    Panel,
    /// Whether things may fade.
    Motion,
    /// Close the window.
    Quit,
    /// One picture on.
    Next,
    /// One picture back.
    Previous,
    /// One row up.
    Up,
    /// One row down.
    Down,
    /// Several rows up.
    PageUp,
    /// Several rows down.
    PageDown,
    /// To the first picture.
    First,
    /// To the last picture.
    Last,
    /// Look at the picture in focus.
    Inspect,
    /// Everything shown.
    SelectAll,
    /// The list anew.
    Refresh,
    /// The picture large.
    Preview,
    /// Tags of the pictures.
    Tag,
    /// One of the five words, 1 to 5, for what is selected.
    Rate(u8),
    /// As large as fits.
    Fit,
    /// Pixel by pixel.
    OneToOne,
    /// The prompt whole.
    Prompt,
    /// The conversation word for word.
    Conversation,
    /// The origin before.
    PreviousOrigin,
    /// The next origin.
    NextOrigin,
    /// The run before.
    PreviousRun,
    /// The next run.
    NextRun,
    /// The next text to review.
    NextText,
    /// The text before.
    PreviousText,
    /// The text is right.
    Accept,
    /// Change the text.
    Edit,
    /// Keep the new words.
    SaveText,
    /// The text is wrong.
    Reject,
    /// Say nothing of the text any more.
    Unreview,
    /// Earlier forms of the text.
    History,
}

/// An action with its name in the settings, its name on screen, where it holds, and its first key.
pub(super) struct Definition {
    pub(super) action: Action,
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    pub(super) place: Place,
    pub(super) key: &'static str,
}

const fn define(
    action: Action,
    id: &'static str,
    title: &'static str,
    place: Place,
    key: &'static str,
) -> Definition {
    Definition {
        action,
        id,
        title,
        place,
        key,
    }
}

/// Every action, in the order of the list of keys. An `id` is never given another meaning: settings hold it.
#[rustfmt::skip]
pub(super) const DEFINITIONS: &[Definition] = &[
    define(Action::Palette, "palette", "Commands by name", Place::Everywhere, "Ctrl+K"),
    define(Action::Keys, "keys", "Keys", Place::Everywhere, "F1"),
    define(Action::Back, "back", "One step back", Place::Everywhere, "Escape"),
    define(Action::Open, "open", "Open…", Place::Everywhere, "Ctrl+O"),
    define(Action::Export, "export", "Export…", Place::Everywhere, "Ctrl+E"),
    define(Action::Undo, "undo", "Undo", Place::Everywhere, "Ctrl+Z"),
    define(Action::Redo, "redo", "Redo", Place::Everywhere, "Ctrl+Shift+Z"),
    define(Action::Search, "search", "Search", Place::Everywhere, "/"),
    define(Action::Go(Screen::Gallery), "gallery", "Go to Gallery", Place::Everywhere, "Alt+1"),
    define(Action::Go(Screen::Inspect), "go-inspect", "Go to Inspect", Place::Everywhere, "Alt+2"),
    define(Action::Go(Screen::Compare), "compare", "Go to Compare", Place::Everywhere, "Alt+3"),
    define(Action::Go(Screen::Train), "train", "Go to Train", Place::Everywhere, "Alt+4"),
    define(Action::Go(Screen::Distil), "distil", "Go to Distil", Place::Everywhere, "Alt+5"),
    define(Action::Go(Screen::Rate), "rate", "Go to Rate", Place::Everywhere, "Alt+6"),
    define(Action::Go(Screen::Models), "models", "Go to Models", Place::Everywhere, "Alt+7"),
    define(Action::Go(Screen::Start), "start", "Go to Start", Place::Everywhere, "Alt+Home"),
    define(Action::Theme, "theme", "Light or dark", Place::Everywhere, "Ctrl+T"),
    define(Action::Panel, "panel", "Show or hide the panel on the right", Place::Everywhere, "Ctrl+B"),
    define(Action::Motion, "motion", "More or less motion", Place::Everywhere, "Ctrl+M"),
    define(Action::Quit, "quit", "Quit", Place::Everywhere, "Ctrl+Q"),
    define(Action::Next, "next", "Next picture", Place::Pictures, "Right"),
    define(Action::Previous, "previous", "Previous picture", Place::Pictures, "Left"),
    define(Action::Up, "up", "One row up", Place::Pictures, "Up"),
    define(Action::Down, "down", "One row down", Place::Pictures, "Down"),
    define(Action::PageUp, "page-up", "Several rows up", Place::Pictures, "PageUp"),
    define(Action::PageDown, "page-down", "Several rows down", Place::Pictures, "PageDown"),
    define(Action::First, "first", "First picture", Place::Pictures, "Home"),
    define(Action::Last, "last", "Last picture", Place::Pictures, "End"),
    define(Action::Inspect, "inspect", "Inspect the picture", Place::Pictures, "Enter"),
    define(Action::SelectAll, "select-all", "Select all shown", Place::Pictures, "Ctrl+A"),
    define(Action::Tag, "tag", "Tag the pictures…", Place::Pictures, "T"),
    define(Action::Rate(1), "rate-1", "Rate 1, bad", Place::Rating, "1"),
    define(Action::Rate(2), "rate-2", "Rate 2, poor", Place::Rating, "2"),
    define(Action::Rate(3), "rate-3", "Rate 3, fair", Place::Rating, "3"),
    define(Action::Rate(4), "rate-4", "Rate 4, good", Place::Rating, "4"),
    define(Action::Rate(5), "rate-5", "Rate 5, excellent", Place::Rating, "5"),
    define(Action::Refresh, "refresh", "Refresh the list", Place::Pictures, "F5"),
    define(Action::Preview, "preview", "Preview the picture", Place::Gallery, "Space"),
    define(Action::Fit, "fit", "Fit the picture", Place::Inspect, "F"),
    define(Action::OneToOne, "one-to-one", "Show pixels one to one", Place::Inspect, "O"),
    define(Action::Prompt, "prompt", "Show the whole prompt, or three lines", Place::Inspect, "P"),
    define(Action::Conversation, "conversation", "Show the conversation word for word", Place::Inspect, "C"),
    define(Action::PreviousOrigin, "previous-origin", "Previous origin of descriptions", Place::Inspect, "["),
    define(Action::NextOrigin, "next-origin", "Next origin of descriptions", Place::Inspect, "]"),
    define(Action::PreviousRun, "previous-run", "Previous run", Place::Train, "["),
    define(Action::NextRun, "next-run", "Next run", Place::Train, "]"),
    define(Action::NextText, "next-text", "Next text", Place::Distil, "Right"),
    define(Action::PreviousText, "previous-text", "Previous text", Place::Distil, "Left"),
    define(Action::Accept, "accept", "Accept the text", Place::Distil, "A"),
    define(Action::Edit, "edit", "Edit the text", Place::Distil, "E"),
    define(Action::SaveText, "save-text", "Save the edited text", Place::Distil, "Ctrl+Enter"),
    define(Action::Reject, "reject", "Reject the text…", Place::Distil, "X"),
    define(Action::Unreview, "unreview", "Take the review back", Place::Distil, "U"),
    define(Action::History, "history", "Earlier forms of the text", Place::Distil, "H"),
];

impl Action {
    /// Every action, in the order of the list of keys.
    pub fn all() -> impl Iterator<Item = Self> {
        DEFINITIONS.iter().map(|definition| definition.action)
    }

    pub(super) fn definition(self) -> &'static Definition {
        DEFINITIONS
            .iter()
            .find(|definition| definition.action == self)
            .unwrap_or(&DEFINITIONS[0])
    }

    /// Its name on screen.
    pub fn title(self) -> &'static str {
        self.definition().title
    }

    /// Where it holds.
    pub fn place(self) -> Place {
        self.definition().place
    }

    /// Whether a text field has such an action of its own, which goes first while one types.
    pub const fn is_of_fields(self) -> bool {
        matches!(self, Self::Undo | Self::Redo | Self::SelectAll)
    }
}

/// What an action asks for now; `None` where it makes no sense.
pub fn command(action: Action, state: &AppState) -> Option<Command> {
    if state.project.is_some() {
        over_pictures(action, state).or_else(|| always(action, state))
    } else {
        always(action, state)
    }
}

/// Actions that need no project.
fn always(action: Action, state: &AppState) -> Option<Command> {
    Some(match action {
        Action::Palette => Command::Palette(PaletteCommand::Toggle),
        Action::Keys => Command::Dialog(DialogCommand::Keys),
        Action::Back => Command::Back,
        Action::Open => Command::Dialog(DialogCommand::Open),
        Action::Theme => Command::SetTheme(state.theme.other()),
        Action::Motion => Command::ToggleMotion,
        Action::Go(screen @ (Screen::Start | Screen::Models)) => Command::Show(screen),
        Action::Quit => Command::Quit,
        _ => return None,
    })
}

fn over_pictures(action: Action, state: &AppState) -> Option<Command> {
    let row = match state.screen {
        Screen::Gallery => state.gallery.columns as isize,
        _ => 1,
    };
    let step = |by| Command::Selection(SelectionCommand::Step(by));
    Some(match action {
        Action::Export => Command::Dialog(DialogCommand::Export),
        Action::Undo => Command::Undo,
        Action::Redo => Command::Redo,
        Action::Go(screen) => Command::Show(screen),
        Action::Search => Command::Gallery(GalleryCommand::FocusSearch),
        Action::Panel => Command::TogglePanel,
        Action::Next => step(1),
        Action::Previous => step(-1),
        Action::Up => step(-row),
        Action::Down => step(row),
        Action::PageUp => step(-row * PAGE_ROWS),
        Action::PageDown => step(row * PAGE_ROWS),
        Action::First => Command::Selection(SelectionCommand::First),
        Action::Last => Command::Selection(SelectionCommand::Last),
        Action::SelectAll => Command::Selection(SelectionCommand::All),
        Action::Refresh => Command::Gallery(GalleryCommand::Refresh),
        Action::Inspect if state.screen != Screen::Inspect => {
            Command::Inspect(state.selection.focus?)
        }
        Action::Preview => Command::Gallery(GalleryCommand::TogglePreview),
        Action::Tag if state.screen != Screen::Compare => Command::Tags(TagsCommand::Open),
        Action::Rate(number) => Command::Rate(RateCommand::Quick(QuickCommand::Rate(number))),
        Action::Fit => Command::Picture(InspectCommand::Fit),
        Action::OneToOne => Command::Picture(InspectCommand::OneToOne),
        Action::Prompt => Command::Picture(InspectCommand::TogglePrompt),
        Action::Conversation => Command::Picture(InspectCommand::ToggleConversation),
        Action::PreviousOrigin => Command::Picture(InspectCommand::StepOrigin(-1)),
        Action::NextOrigin => Command::Picture(InspectCommand::StepOrigin(1)),
        Action::PreviousRun => Command::Train(TrainCommand::StepRun(-1)),
        Action::NextRun => Command::Train(TrainCommand::StepRun(1)),
        other => return distil::key(state, other).map(Command::Distil),
    })
}
