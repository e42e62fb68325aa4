//! What a teacher may be asked, and what it may be shown.
//!
//! A teacher that knows a picture's opinion score writes a description that carries it. So a score can be shown only in
//! the form of a [`ShownScore`], and one can be made of a training image's row alone.

use serde::{Deserialize, Serialize};

use super::{Aspect, ImageId, ImageRecord, OpinionScale, Preset, Split};

/// An opinion score that a teacher may see. There is no way to make one but [`ShownScore::of`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ShownScore {
    mos: f64,
    scale: OpinionScale,
}

impl ShownScore {
    /// The score of an image in the training list of this aspect, which stands in the validation or test list of none:
    /// a description is read under every aspect, and a word about one of them may tell of another.
    pub fn of(record: &ImageRecord, aspect: Aspect, scale: OpinionScale) -> Option<Self> {
        let is_held_back = Aspect::ALL
            .iter()
            .any(|other| matches!(record.split.get(*other), Some(Split::Val | Split::Test)));
        let is_training = *record.split.get(aspect) == Some(Split::Train);
        let mos = record.mos(aspect)?;
        (is_training && !is_held_back).then_some(Self { mos, scale })
    }

    /// The score.
    pub const fn mos(&self) -> f64 {
        self.mos
    }

    /// Its scale.
    pub const fn scale(&self) -> OpinionScale {
        self.scale
    }

    /// What a teacher hears of it.
    fn words(&self, aspect: &str) -> String {
        format!(
            "People rated its {aspect} {:.2} on a scale from {} to {}, higher being better. Let the description agree with \
             that, and do not mention the rating, the scale or any number of it.\n",
            self.mos, self.scale.min, self.scale.max
        )
    }
}

/// One aspect of a question.
#[derive(Debug, Clone, PartialEq)]
pub struct AskedAspect {
    /// The aspect.
    pub aspect: Aspect,
    /// Message 1 as the local model will be asked, which the description has to answer.
    pub request: String,
    /// What people said, where the teacher may see it.
    pub shown: Option<ShownScore>,
}

impl AskedAspect {
    fn words(&self) -> String {
        let name = self.aspect.name();
        let shown = self
            .shown
            .map_or_else(String::new, |shown| shown.words(name));
        format!("\nTask \"{name}\": {}\n{shown}", self.request)
    }
}

/// A question to a teacher about one picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// The picture.
    pub image: ImageId,
    /// The aspects that are asked for at once.
    pub aspects: Vec<AskedAspect>,
}

impl Question {
    /// A question about a picture in the wording of a preset. Scores are shown where that is allowed at all.
    pub fn about(
        record: &ImageRecord,
        aspects: &[Aspect],
        preset: &Preset,
        scale: OpinionScale,
        shows_scores: bool,
    ) -> Self {
        let asked = |aspect: &Aspect| AskedAspect {
            aspect: *aspect,
            request: preset.request(*aspect, &record.prompt),
            shown: ShownScore::of(record, *aspect, scale).filter(|_| shows_scores),
        };
        Self {
            image: record.id,
            aspects: aspects.iter().map(asked).collect(),
        }
    }

    /// The question in words: what to look at, what people said where it may be told, and how to answer.
    pub fn words(&self) -> String {
        let tasks: String = self.aspects.iter().map(AskedAspect::words).collect();
        let keys: Vec<String> = self
            .aspects
            .iter()
            .map(|asked| format!("\"{}\": \"...\"", asked.aspect.name()))
            .collect();
        format!(
            "Look at the picture and write a description for each task below. Write two to four plain sentences that name \
             what can be seen in this very picture, good and bad.\n{tasks}\nAnswer with one JSON object and nothing \
             else: {{{}}}",
            keys.join(", ")
        )
    }

    /// Whether a description gives away a score that was shown with the question.
    pub fn gives_away(&self, aspect: Aspect, text: &str) -> bool {
        let shown = self
            .aspects
            .iter()
            .filter(|asked| asked.aspect == aspect)
            .find_map(|asked| asked.shown);
        shown.is_some_and(|shown| {
            let forms = [
                format!("{:.2}", shown.mos),
                format!("{:.1}", shown.mos),
                shown.mos.to_string(),
            ];
            let mut numbers = text.split(|sign: char| !(sign.is_ascii_digit() || sign == '.'));
            // A whole number may count what is in the picture.
            numbers.any(|number| {
                number.contains('.')
                    && forms
                        .iter()
                        .any(|form| form == number.trim_end_matches('.'))
            })
        })
    }
}

/// The interface that a teacher speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TeacherKind {
    /// Google's `generateContent`.
    Gemini,
    /// Chat completions, as `OpenAI`, vLLM, Ollama and LM Studio have them.
    OpenAi,
}

/// What a teaching job may use up. `None` is no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Budget {
    /// Requests.
    pub requests: Option<u64>,
    /// Tokens, read and written.
    pub tokens: Option<u64>,
    /// Money, in the currency of the prices.
    pub money: Option<f64>,
}

/// Prices of a teacher by the million tokens, as its maker names them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Prices {
    /// Of a million tokens read.
    pub input: f64,
    /// Of a million tokens written.
    pub output: f64,
}

/// What was used up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Requests.
    pub requests: u64,
    /// Tokens read.
    pub input: u64,
    /// Tokens written.
    pub output: u64,
}

impl Usage {
    /// Both together.
    pub fn add(&mut self, other: Self) {
        self.requests += other.requests;
        self.input += other.input;
        self.output += other.output;
    }

    /// Its cost.
    pub fn cost(&self, prices: Prices) -> f64 {
        (self.input as f64).mul_add(prices.input, self.output as f64 * prices.output) / 1e6
    }

    /// Which part of a budget is used up, in words; `None` while a request of the mean size still fits.
    pub fn exhausts(&self, budget: Budget, prices: Prices) -> Option<String> {
        // The next request is taken to be as large as the mean of those before it.
        let next = |used: f64| used / self.requests.max(1) as f64;
        if let Some(most) = budget.requests.filter(|most| self.requests >= *most) {
            return Some(format!("{most} requests were made, which is the budget"));
        }
        let tokens = (self.input + self.output) as f64;
        if let Some(most) = budget
            .tokens
            .filter(|most| tokens + next(tokens) > *most as f64)
        {
            return Some(format!("{tokens} tokens were used of a budget of {most}"));
        }
        let cost = self.cost(prices);
        let most = budget.money.filter(|most| cost + next(cost) > *most)?;
        Some(format!("{cost:.4} were spent of a budget of {most}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{AspectMap, FileState, PresetAspect, Truth};

    fn record(splits: [Option<Split>; 3]) -> ImageRecord {
        let truth = Truth {
            mos: 3.27,
            std: None,
            num_ratings: None,
        };
        ImageRecord {
            id: ImageId(1),
            path: "1.png".to_owned(),
            file: FileState::Missing {
                reason: String::new(),
            },
            prompt: "a fox".to_owned(),
            prompt_source: String::new(),
            generator: None,
            style: None,
            tags: Vec::new(),
            truth: AspectMap::from_fn(|_| Some(truth)),
            split: AspectMap::from_fn(|aspect| {
                let at = Aspect::ALL.iter().position(|other| *other == aspect);
                at.and_then(|at| splits[at])
            }),
        }
    }

    fn question(splits: [Option<Split>; 3], shows_scores: bool) -> Question {
        let aspect = |word: &str| PresetAspect {
            request: format!("Judge the {word} of \"{{prompt}}\"."),
            question: String::new(),
        };
        let preset = Preset {
            name: "p".to_owned(),
            quality: aspect("quality"),
            correspondence: aspect("correspondence"),
            authenticity: aspect("authenticity"),
        };
        let scale = OpinionScale::ZERO_TO_FIVE;
        Question::about(&record(splits), &Aspect::ALL, &preset, scale, shows_scores)
    }

    const TRAIN: Option<Split> = Some(Split::Train);

    #[test]
    fn a_score_is_shown_for_training_images_and_no_others() {
        assert!(question([TRAIN; 3], true).words().contains("3.27"));
        assert!(!question([TRAIN; 3], false).words().contains("3.27"));
        let choices = [None, TRAIN, Some(Split::Val), Some(Split::Test)];
        for quality in choices {
            for correspondence in choices {
                for authenticity in choices {
                    let splits = [quality, correspondence, authenticity];
                    let is_held_back = splits
                        .iter()
                        .any(|split| matches!(split, Some(Split::Val | Split::Test)));
                    let question = question(splits, true);
                    let words = question.words();
                    if is_held_back {
                        assert!(
                            !words.contains("3.27") && !words.contains("rated"),
                            "{splits:?}"
                        );
                    }
                    for asked in &question.aspects {
                        let at = Aspect::ALL.iter().position(|other| *other == asked.aspect);
                        let is_training = at.is_some_and(|at| splits[at] == TRAIN);
                        assert_eq!(
                            asked.shown.is_some(),
                            is_training && !is_held_back,
                            "{splits:?}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn a_description_that_names_the_score_gives_it_away() {
        let shown = question([TRAIN; 3], true);
        assert!(shown.gives_away(Aspect::Quality, "I would rate it 3.27."));
        assert!(shown.gives_away(Aspect::Quality, "About 3.3 of 5"));
        assert!(!shown.gives_away(
            Aspect::Quality,
            "Three trees, 3 of them green, at 3.9 metres."
        ));
        let blind = question([TRAIN; 3], false);
        assert!(!blind.gives_away(Aspect::Quality, "3.27"));
    }

    #[test]
    fn a_budget_stops_before_it_is_overdrawn() {
        let used = Usage {
            requests: 10,
            input: 9_000,
            output: 1_000,
        };
        let prices = Prices {
            input: 1.0,
            output: 10.0,
        };
        assert!((used.cost(prices) - 0.019).abs() < 1e-12);
        let of = |budget| used.exhausts(budget, prices);
        assert_eq!(of(Budget::default()), None);
        let requests = |most| Budget {
            requests: Some(most),
            ..Budget::default()
        };
        assert!(of(requests(10)).is_some() && of(requests(11)).is_none());
        let tokens = |most| Budget {
            tokens: Some(most),
            ..Budget::default()
        };
        assert!(of(tokens(10_999)).is_some() && of(tokens(11_000)).is_none());
        let money = |most| Budget {
            money: Some(most),
            ..Budget::default()
        };
        assert!(of(money(0.0208)).is_some() && of(money(0.021)).is_none());
    }
}
