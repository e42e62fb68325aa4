//! Keys: which key stands for which action, what the user made of that, and the list in which it is changed.

mod action;
mod chord;

use std::collections::BTreeMap;

pub use action::Action;
pub use action::Place;
pub use action::command;
pub use chord::Chord;

/// Which key stands for which action: the first keys, and what the user changed of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keymap {
    /// By the action's name in the settings; `None` is an action without a key.
    changed: BTreeMap<String, Option<Chord>>,
}

impl Keymap {
    /// Reads what [`Keymap::saved`] wrote. What cannot be read keeps its first key.
    pub fn restored(saved: &BTreeMap<String, String>) -> Self {
        let changed = saved
            .iter()
            .filter_map(|(id, text)| {
                let chord = match text.as_str() {
                    "" => None,
                    text => Some(text.parse().ok()?),
                };
                Some((id.clone(), chord))
            })
            .collect();
        Self { changed }
    }

    /// What the user changed, for the settings: names of actions with their keys, empty where they have none.
    pub fn saved(&self) -> BTreeMap<String, String> {
        let words =
            |chord: &Option<Chord>| chord.as_ref().map_or_else(String::new, Chord::to_string);
        self.changed
            .iter()
            .map(|(id, chord)| (id.clone(), words(chord)))
            .collect()
    }

    /// The key of an action.
    pub fn chord(&self, action: Action) -> Option<Chord> {
        let definition = action.definition();
        match self.changed.get(definition.id) {
            Some(chord) => chord.clone(),
            None => definition.key.parse().ok(),
        }
    }

    /// The key of an action in words; empty where it has none.
    pub fn words(&self, action: Action) -> String {
        self.chord(action)
            .map_or_else(String::new, |chord| chord.to_string())
    }

    /// Words for a tooltip, with the key behind them.
    pub fn hint(&self, words: &str, action: Action) -> String {
        match self.chord(action) {
            Some(chord) => format!("{words} ({chord})"),
            None => words.to_owned(),
        }
    }

    /// Whether the user gave an action another key, or took its key away.
    pub fn is_changed(&self, action: Action) -> bool {
        self.changed.contains_key(action.definition().id)
    }

    /// Whether any key is not the first one.
    pub fn is_any_changed(&self) -> bool {
        !self.changed.is_empty()
    }

    /// Another action that the same key stands for on some screen.
    pub fn rival(&self, action: Action, chord: &Chord) -> Option<Action> {
        Action::all().find(|&other| {
            other != action
                && other.place().meets(action.place())
                && self
                    .chord(other)
                    .is_some_and(|taken| taken.is_met_by(chord) || chord.is_met_by(&taken))
        })
    }

    fn set(&mut self, action: Action, chord: Option<Chord>) {
        let definition = action.definition();
        if chord == definition.key.parse().ok() {
            self.changed.remove(definition.id);
        } else {
            self.changed.insert(definition.id.to_owned(), chord);
        }
    }
}

/// A key that was pressed for an action and is another one's already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// The action that was to get the key.
    pub action: Action,
    /// The key.
    pub chord: Chord,
    /// Whose key it is.
    pub rival: Action,
}

/// Keys, and what the list of keys remembers.
#[derive(Debug, Clone, Default)]
pub struct KeysState {
    /// Which key stands for what.
    pub map: Keymap,
    /// The action that gets the next key pressed.
    pub listening: Option<Action>,
    /// A key that somebody else has.
    pub conflict: Option<Conflict>,
    /// Whether the list shows the keys of every screen.
    pub is_whole: bool,
}

/// What the list of keys can ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeysCommand {
    /// Show the keys of every screen, or of this one.
    ToggleWhole,
    /// Give an action the next key that is pressed.
    Listen(Action),
    /// Leave it as it is.
    StopListening,
    /// A key was pressed for the action that waits for one.
    Press(Chord),
    /// Take the key from the action that has it.
    TakeOver,
    /// Leave an action without a key.
    Clear(Action),
    /// Give an action its first key again.
    Reset(Action),
    /// Give every action its first key again.
    ResetAll,
}

impl KeysState {
    pub(super) fn update(&mut self, command: KeysCommand) {
        let conflict = self.conflict.take();
        match command {
            KeysCommand::ToggleWhole => self.is_whole ^= true,
            KeysCommand::Listen(action) => self.listening = Some(action),
            KeysCommand::StopListening => self.listening = None,
            KeysCommand::Press(chord) => self.press(chord),
            KeysCommand::TakeOver => self.take_over(conflict),
            KeysCommand::Clear(action) => {
                self.listening = None;
                self.map.set(action, None);
            }
            KeysCommand::Reset(action) => self.reset(action),
            KeysCommand::ResetAll => self.map = Keymap::default(),
        }
    }

    /// Waits for no key any more: the list was closed.
    pub(super) fn rest(&mut self) {
        self.listening = None;
        self.conflict = None;
    }

    fn press(&mut self, chord: Chord) {
        if let Some(action) = self.listening.take() {
            self.give(action, chord);
        }
    }

    fn reset(&mut self, action: Action) {
        if let Ok(chord) = action.definition().key.parse() {
            self.give(action, chord);
        }
    }

    /// Gives an action a key, or asks first where another action has it.
    fn give(&mut self, action: Action, chord: Chord) {
        match self.map.rival(action, &chord) {
            None => self.map.set(action, Some(chord)),
            Some(rival) => {
                self.conflict = Some(Conflict {
                    action,
                    chord,
                    rival,
                });
            }
        }
    }

    fn take_over(&mut self, conflict: Option<Conflict>) {
        if let Some(conflict) = conflict {
            self.map.set(conflict.rival, None);
            self.give(conflict.action, conflict.chord);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chord(text: &str) -> Chord {
        text.parse().unwrap()
    }

    fn pressed(state: &mut KeysState, action: Action, text: &str) {
        state.update(KeysCommand::Listen(action));
        state.update(KeysCommand::Press(chord(text)));
    }

    #[test]
    fn first_keys_can_be_read_and_are_nobody_elses() {
        let map = Keymap::default();
        for action in Action::all() {
            let first = map.chord(action).unwrap_or_else(|| panic!("{action:?}"));
            assert_eq!(map.rival(action, &first), None, "{action:?}");
        }
    }

    #[test]
    fn an_id_names_one_action() {
        let mut ids: Vec<&str> = Action::all().map(|action| action.definition().id).collect();
        let num_actions = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), num_actions);
    }

    #[test]
    fn a_pressed_key_is_kept_and_comes_back_from_the_settings() {
        let mut state = KeysState::default();
        pressed(&mut state, Action::Fit, "Shift+F");
        assert_eq!(state.map.words(Action::Fit), "Shift+F");
        assert_eq!(state.map.hint("Fit", Action::Fit), "Fit (Shift+F)");
        let restored = Keymap::restored(&state.map.saved());
        assert_eq!(restored, state.map);
        state.update(KeysCommand::Reset(Action::Fit));
        assert_eq!(state.map, Keymap::default());
    }

    #[test]
    fn a_key_that_is_taken_names_whose_it_is() {
        let mut state = KeysState::default();
        pressed(&mut state, Action::Fit, "Ctrl+K");
        let conflict = state.conflict.clone().unwrap();
        assert_eq!(conflict.rival, Action::Palette);
        assert_eq!(state.map.words(Action::Fit), "F");
        state.update(KeysCommand::TakeOver);
        assert_eq!(state.map.words(Action::Fit), "Ctrl+K");
        assert_eq!(state.map.chord(Action::Palette), None);
        assert_eq!(state.map.hint("Commands", Action::Palette), "Commands");
        let restored = Keymap::restored(&state.map.saved());
        assert_eq!(restored.chord(Action::Palette), None);
        state.update(KeysCommand::ResetAll);
        assert_eq!(state.map.words(Action::Palette), "Ctrl+K");
    }

    #[test]
    fn the_same_key_may_serve_two_screens() {
        let mut state = KeysState::default();
        pressed(&mut state, Action::Preview, "F");
        assert_eq!(state.conflict, None);
        assert_eq!(state.map.words(Action::Preview), "F");
        assert_eq!(state.map.words(Action::Fit), "F");
    }

    #[test]
    fn settings_that_cannot_be_read_leave_the_first_key() {
        let saved = [("fit", "Hyper+F"), ("tag", "G")]
            .map(|(id, key)| (id.to_owned(), key.to_owned()))
            .into();
        let map = Keymap::restored(&saved);
        assert_eq!(map.words(Action::Fit), "F");
        assert_eq!(map.words(Action::Tag), "G");
    }
}
