//! A key with what is held down with it, in words: "Ctrl+Shift+Z".

use std::fmt;
use std::str::FromStr;

/// A key with what is held down with it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Chord {
    /// Control; Command on a Mac.
    pub ctrl: bool,
    /// Alt; Option on a Mac.
    pub alt: bool,
    /// Shift.
    pub shift: bool,
    /// Name of the key: "K", "F1", "Left", "/".
    pub key: String,
}

impl Chord {
    /// A key alone.
    pub fn plain(key: impl Into<String>) -> Self {
        Self {
            ctrl: false,
            alt: false,
            shift: false,
            key: key.into(),
        }
    }

    /// Whether a text field takes it for text, or for moving about in it.
    pub fn is_typed(&self) -> bool {
        let is_function = self.key.len() > 1
            && self
                .key
                .strip_prefix('F')
                .is_some_and(|number| number.parse::<u8>().is_ok());
        !self.ctrl && !self.alt && !is_function
    }

    /// Whether a button that has the keyboard takes it for a click.
    pub fn is_click(&self) -> bool {
        matches!(self.key.as_str(), "Enter" | "Space") && !self.ctrl && !self.alt
    }

    /// Whether pressing `other` means this one. Which keys have to be held for "[" or "/" hangs on the layout of
    /// the keyboard, so that only Control counts there.
    pub fn is_met_by(&self, other: &Self) -> bool {
        let is_symbol =
            self.key.len() == 1 && self.key.starts_with(|c: char| c.is_ascii_punctuation());
        let holds = self.alt == other.alt && self.shift == other.shift;
        self.key == other.key && self.ctrl == other.ctrl && (is_symbol || holds)
    }
}

impl fmt::Display for Chord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (is_held, name) in [
            (self.ctrl, "Ctrl+"),
            (self.alt, "Alt+"),
            (self.shift, "Shift+"),
        ] {
            if is_held {
                f.write_str(name)?;
            }
        }
        f.write_str(&self.key)
    }
}

impl FromStr for Chord {
    type Err = String;

    /// Reads what [`fmt::Display`] writes.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut chord = Self::plain("");
        let mut rest = text.trim();
        while let Some((held, after)) = rest.split_once('+').filter(|(_, after)| !after.is_empty())
        {
            let flag = match held {
                "Ctrl" => &mut chord.ctrl,
                "Alt" => &mut chord.alt,
                "Shift" => &mut chord.shift,
                _ => {
                    return Err(format!(
                        "expected Ctrl, Alt or Shift before a key, got {held:?} in {text:?}"
                    ));
                }
            };
            *flag = true;
            rest = after;
        }
        if rest.is_empty() {
            return Err(format!("expected a key such as Ctrl+K, got {text:?}"));
        }
        rest.clone_into(&mut chord.key);
        Ok(chord)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chord_reads_back_as_written() {
        for text in ["Ctrl+K", "Ctrl+Shift+Z", "F1", "/", "Alt+1", "Page Up"] {
            let chord: Chord = text.parse().unwrap();
            assert_eq!(chord.to_string(), text);
        }
        assert!("".parse::<Chord>().is_err());
        assert!("Hyper+K".parse::<Chord>().is_err());
    }

    #[test]
    fn symbols_do_not_hang_on_the_layout_of_the_keyboard() {
        let slash: Chord = "/".parse().unwrap();
        assert!(slash.is_met_by(&"Shift+/".parse().unwrap()));
        assert!(!slash.is_met_by(&"Ctrl+/".parse().unwrap()));
        let letter: Chord = "F".parse().unwrap();
        assert!(!letter.is_met_by(&"Shift+F".parse().unwrap()));
    }

    #[test]
    fn fields_keep_letters_and_leave_the_rest() {
        for (text, is_typed) in [("F", true), ("/", true), ("F5", false), ("Ctrl+F", false)] {
            assert_eq!(
                text.parse::<Chord>().unwrap().is_typed(),
                is_typed,
                "{text}"
            );
        }
    }
}
