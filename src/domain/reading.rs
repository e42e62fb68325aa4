//! Which messages of a conversation a predictor reads: the ablations of M3-AGIQA (arXiv 2502.13763, sections "Image
//! Descriptions" and "Conversation Rounds").

use std::fmt::Display;
use std::fmt::Formatter;
use std::str::FromStr;

use serde::Deserialize;
use serde::Serialize;

use super::Aspect;
use super::Conversation;

/// How far the conversation about the predictor's own aspect is read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rounds {
    /// Request and question in one message; nobody has described anything (the paper's "without ID").
    Request,
    /// Messages 1 to 3: request, description, question (the paper's final system).
    #[default]
    Described,
    /// Messages 1 to 4, the model's own rating word too (the paper's "full conversation").
    Answered,
}

impl Rounds {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Request, Self::Described, Self::Answered];

    /// The word on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Described => "described",
            Self::Answered => "answered",
        }
    }

    /// In two words, for a list to choose from.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Request => "request only",
            Self::Described => "with description",
            Self::Answered => "with answer too",
        }
    }

    /// In words: "reads ...".
    pub const fn words(self) -> &'static str {
        match self {
            Self::Request => "the request alone",
            Self::Described => "request, description and question",
            Self::Answered => "the whole conversation with its answer",
        }
    }
}

impl Display for Rounds {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Rounds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut all = Self::ALL.into_iter();
        all.find(|rounds| rounds.name() == text).ok_or_else(|| {
            let known = Self::ALL.map(Self::name).join(", ");
            format!("expected one of {known}, got {text:?}")
        })
    }
}

/// What a predictor reads.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Reading {
    /// How much of the conversation about its own aspect.
    pub rounds: Rounds,
    /// Aspects whose request and description come before it, in this order.
    pub also: Vec<Aspect>,
}

impl Reading {
    /// Whether it is messages 1 to 3 and nothing else.
    pub fn is_usual(&self) -> bool {
        *self == Self::default()
    }

    /// Aspects that must be described for a predictor of `own`.
    pub fn aspects(&self, own: Aspect) -> Vec<Aspect> {
        let others = self.also.iter().copied().filter(|aspect| *aspect != own);
        others.chain([own]).collect()
    }

    /// The messages, by turns of user and assistant; `None` where something that is read was not said. `said` gives an
    /// aspect's conversation with its answer.
    pub fn messages(
        &self,
        own: Aspect,
        mut said: impl FnMut(Aspect) -> Option<(Conversation, Option<String>)>,
    ) -> Option<Vec<String>> {
        let mut messages = Vec::new();
        for aspect in self.aspects(own) {
            let (conversation, answer) = said(aspect)?;
            let Conversation {
                request,
                description,
                question,
            } = conversation;
            if aspect != own {
                messages.extend([request, description]);
                continue;
            }
            match self.rounds {
                Rounds::Request => messages.push(format!("{request} {question}")),
                Rounds::Described => messages.extend([request, description, question]),
                Rounds::Answered => messages.extend([request, description, question, answer?]),
            }
        }
        Some(messages)
    }

    /// For a card: "reads the request alone, after the description of correspondence"; empty where it is the usual.
    pub fn words(&self) -> String {
        if self.is_usual() {
            return String::new();
        }
        let names: Vec<&str> = self.also.iter().map(|aspect| aspect.name()).collect();
        let after = match names.is_empty() {
            true => String::new(),
            false => format!(", after what is said of {}", names.join(" and ")),
        };
        format!("reads {}{after}", self.rounds.words())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said of everything but authenticity; only of quality is it answered.
    fn said(aspect: Aspect) -> Option<(Conversation, Option<String>)> {
        let word = |what: &str| format!("{what} {}", aspect.name());
        let conversation = Conversation {
            request: word("ask"),
            description: word("tell"),
            question: word("rate"),
        };
        match aspect {
            Aspect::Quality => Some((conversation, Some(word("good")))),
            Aspect::Correspondence => Some((conversation, None)),
            Aspect::Authenticity => None,
        }
    }

    #[test]
    fn messages_are_by_turns_and_end_with_the_predictors_own_aspect() {
        let read = |rounds, also: &[Aspect]| {
            let also = also.to_vec();
            Reading { rounds, also }.messages(Aspect::Quality, said)
        };
        let usual = read(Rounds::Described, &[]).unwrap();
        assert_eq!(usual, ["ask quality", "tell quality", "rate quality"]);
        let alone = read(Rounds::Request, &[]).unwrap();
        assert_eq!(alone, ["ask quality rate quality"]);
        let whole = read(Rounds::Answered, &[]).unwrap();
        assert_eq!(whole.last().unwrap(), "good quality");
        // Its own aspect is read once, at the end.
        let more = read(
            Rounds::Described,
            &[Aspect::Quality, Aspect::Correspondence],
        )
        .unwrap();
        assert_eq!(more[..2], ["ask correspondence", "tell correspondence"]);
        assert_eq!(more.len(), 5);
        let unanswered = Reading {
            rounds: Rounds::Answered,
            also: Vec::new(),
        };
        assert_eq!(unanswered.messages(Aspect::Correspondence, said), None);
        assert_eq!(read(Rounds::Described, &[Aspect::Authenticity]), None);
    }

    #[test]
    fn only_what_is_unusual_is_told() {
        assert_eq!(Reading::default().words(), "");
        let reading = Reading {
            rounds: Rounds::Request,
            also: vec![Aspect::Correspondence],
        };
        assert_eq!(
            reading.words(),
            "reads the request alone, after what is said of correspondence"
        );
        assert!(
            "all"
                .parse::<Rounds>()
                .unwrap_err()
                .contains("request, described, answered")
        );
    }
}
