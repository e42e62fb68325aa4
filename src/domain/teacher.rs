//! Who is asked to teach, how, and what that will cost, as far as one knows beforehand.

use serde::{Deserialize, Serialize};

use super::{Aspect, Budget, Prices, TeacherKind, Usage};

/// Everything that the user chose about a teacher. Keys are no part of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TeacherSettings {
    /// Interface that it speaks.
    pub kind: TeacherKind,
    /// Address of its server.
    pub base: String,
    /// Its model; empty until one was chosen.
    pub model: String,
    /// Environment variable that may hold its keys.
    pub key_variable: String,
    /// Aspects to describe.
    pub aspects: Vec<Aspect>,
    /// Whether all aspects are asked for in one answer.
    pub together: bool,
    /// Whether opinion scores are shown, where that is allowed at all.
    pub shows_scores: bool,
    /// Questions asked at once.
    pub lanes: usize,
    /// Requests a minute at most.
    pub per_minute: Option<u32>,
    /// What may be used up.
    pub budget: Budget,
    /// What tokens cost.
    pub prices: Prices,
}

impl Default for TeacherSettings {
    fn default() -> Self {
        Self::of(TeacherKind::Gemini)
    }
}

impl TeacherSettings {
    /// The usual settings with an interface.
    pub fn of(kind: TeacherKind) -> Self {
        Self {
            kind,
            base: kind.usual_base().to_owned(),
            model: String::new(),
            key_variable: kind.usual_variable().to_owned(),
            aspects: Aspect::ALL.to_vec(),
            together: true,
            shows_scores: true,
            lanes: 4,
            per_minute: None,
            budget: Budget::default(),
            prices: Prices::default(),
        }
    }

    /// The same with another interface, at its maker's own address.
    pub fn with_kind(&self, kind: TeacherKind) -> Self {
        Self {
            kind,
            base: kind.usual_base().to_owned(),
            key_variable: kind.usual_variable().to_owned(),
            model: String::new(),
            ..self.clone()
        }
    }

    /// What is lacking before anything can be asked, with what to do; empty where nothing is.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let mut fault = |is_wrong: bool, words: &str| {
            if is_wrong {
                faults.push(words.to_owned());
            }
        };
        let base = self.base.trim();
        fault(
            !(base.starts_with("http://") || base.starts_with("https://")),
            "Give the teacher's address: it begins with http:// or https://",
        );
        fault(
            self.model.trim().is_empty(),
            "Name the teacher's model, as its maker calls it",
        );
        fault(
            self.aspects.is_empty(),
            "Choose at least one aspect to describe",
        );
        let has_prices = self.prices.input > 0.0 || self.prices.output > 0.0;
        fault(
            self.budget.money.is_some() && !has_prices,
            "A budget of money needs the prices of tokens",
        );
        faults
    }
}

impl TeacherKind {
    /// Both, in the order of the list.
    pub const ALL: [Self; 2] = [Self::Gemini, Self::OpenAi];

    /// Its name on screen.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Gemini => "Gemini",
            Self::OpenAi => "OpenAI-compatible",
        }
    }

    /// The maker's own address.
    pub const fn usual_base(self) -> &'static str {
        match self {
            Self::Gemini => "https://generativelanguage.googleapis.com",
            Self::OpenAi => "https://api.openai.com/v1",
        }
    }

    /// The environment variable that the maker's own programs read.
    pub const fn usual_variable(self) -> &'static str {
        match self {
            Self::Gemini => "GEMINI_API_KEY",
            Self::OpenAi => "OPENAI_API_KEY",
        }
    }

    /// Tokens that a picture costs, as the makers document it.
    ///
    /// **Source:** ai.google.dev, "Image understanding": 258 for a picture of at most 384 pixels a side, else 258 a tile
    /// of 768. platform.openai.com, "Images and vision", high detail: scaled into 2048, then to 768 on the shorter side;
    /// 85 and 170 a tile of 512. Other servers and newer models count otherwise, so this is a rule of thumb.
    pub fn picture_tokens(self, width: u32, height: u32) -> u64 {
        let (width, height) = (f64::from(width.max(1)), f64::from(height.max(1)));
        let tiles = |width: f64, height: f64, side: f64| {
            ((width / side).ceil() * (height / side).ceil()) as u64
        };
        match self {
            Self::Gemini if width <= 384.0 && height <= 384.0 => 258,
            Self::Gemini => 258 * tiles(width, height, 768.0),
            Self::OpenAi => {
                let scale = (2048.0 / width.max(height)).min(1.0);
                let scale = scale * (768.0 / (width.min(height) * scale)).min(1.0);
                85 + 170 * tiles((width * scale).round(), (height * scale).round(), 512.0)
            }
        }
    }
}

/// Where a teacher's keys are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// In the environment variable.
    Variable,
    /// In the keyring of the desktop.
    Keyring,
    /// Nowhere, and the server may well let in whoever comes.
    NotNeeded,
    /// Nowhere.
    None,
    /// Not in the variable, and no keyring answers; why.
    NoKeyring(String),
}

/// What a teaching job would ask, and about what it would use up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct TeachEstimate {
    /// Requests, if every first answer is as asked.
    pub requests: u64,
    /// Descriptions that are to come.
    pub descriptions: u64,
    /// Descriptions that are there already.
    pub skipped: u64,
    /// Pictures among those meant that cannot be read.
    pub absent: u64,
    /// Requests in which the teacher sees an opinion score.
    pub shown: u64,
    /// Tokens of the words in them.
    pub word_tokens: u64,
    /// Tokens of the pictures, by the makers' rule.
    pub picture_tokens: u64,
    /// Tokens of the answers.
    pub answer_tokens: u64,
}

impl TeachEstimate {
    /// What would be used up.
    pub const fn usage(&self) -> Usage {
        Usage {
            requests: self.requests,
            input: self.word_tokens + self.picture_tokens,
            output: self.answer_tokens,
        }
    }

    /// Its cost, where prices are known.
    pub fn cost(&self, prices: Prices) -> Option<f64> {
        let cost = self.usage().cost(prices);
        (cost > 0.0).then_some(cost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_cost_what_their_makers_say() {
        let gemini = |width, height| TeacherKind::Gemini.picture_tokens(width, height);
        assert_eq!(gemini(384, 200), 258);
        assert_eq!(gemini(512, 512), 258);
        assert_eq!(gemini(1024, 1024), 4 * 258);
        let open_ai = |width, height| TeacherKind::OpenAi.picture_tokens(width, height);
        // The two examples of the maker's page.
        assert_eq!(open_ai(1024, 1024), 765);
        assert_eq!(open_ai(2048, 4096), 1105);
        assert_eq!(open_ai(512, 512), 255);
    }

    #[test]
    fn what_is_lacking_is_said_with_what_to_do() {
        let settings = TeacherSettings::default();
        assert_eq!(settings.faults().len(), 1, "the model alone");
        let named = TeacherSettings {
            model: "m".to_owned(),
            ..settings
        };
        assert!(named.faults().is_empty());
        let mut other = named.with_kind(TeacherKind::OpenAi);
        assert_eq!(other.base, "https://api.openai.com/v1");
        other.base = "localhost:1234".to_owned();
        other.budget.money = Some(1.0);
        other.aspects.clear();
        assert_eq!(other.faults().len(), 4, "{:?}", other.faults());
        let text = serde_json::to_string(&named).unwrap();
        assert_eq!(
            serde_json::from_str::<TeacherSettings>(&text).unwrap(),
            named
        );
    }
}
