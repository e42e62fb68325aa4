//! The protocol of a study: everything that decides what raters see and are asked.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::Digest as _;
use sha2::Sha256;

use crate::domain::{Aspect, AspectMap, ContentHash, OpinionScale, Truth};

/// Pictures of one prompt at most in a pair comparison: 500 make 124,750 pairs, far beyond what people can compare.
pub const MAX_PICTURES_A_PROMPT: usize = 500;

/// Share of hidden repeats at most; ITU-R BT.500 and P.910 have 5 to 10 %.
const MAX_REPEAT_SHARE: f64 = 0.2;

/// Raters that a new study is planned for: ITU-R BT.500-15 asks for at least 15.
const USUAL_RATERS: usize = 15;

/// A study's number in the project file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct StudyId(pub i64);

/// How raters answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// Absolute category rating with five words, 1 bad to 5 excellent (ITU-T P.910, clause 6.1).
    Acr5,
    /// A continuous scale, 0 to 5 in steps of 0.1, as AGIQA-3K was rated.
    Continuous,
    /// Pair comparison of pictures of one prompt, ties allowed (ITU-T P.910, clause 6.4).
    Pairs,
}

impl Method {
    /// Every method, the most common first.
    pub const ALL: [Self; 3] = [Self::Acr5, Self::Continuous, Self::Pairs];

    /// The words of absolute category rating, worst first, as raters read them.
    pub const WORDS: [&'static str; 5] = ["Bad", "Poor", "Fair", "Good", "Excellent"];

    /// The word in files and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Acr5 => "acr5",
            Self::Continuous => "continuous",
            Self::Pairs => "pairs",
        }
    }

    /// The name as a heading on screen.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Acr5 => "Five words (ACR)",
            Self::Continuous => "Continuous scale",
            Self::Pairs => "Pair comparison",
        }
    }

    /// The scale of a single answer. A comparison is worth 0 (lost) to 1 (won); it makes no MOS.
    pub const fn scale(self) -> OpinionScale {
        match self {
            Self::Acr5 => OpinionScale { min: 1.0, max: 5.0 },
            Self::Continuous => OpinionScale { min: 0.0, max: 5.0 },
            Self::Pairs => OpinionScale { min: 0.0, max: 1.0 },
        }
    }

    /// Distance of neighbouring answers.
    pub const fn step(self) -> f64 {
        match self {
            Self::Acr5 => 1.0,
            Self::Continuous => 0.1,
            Self::Pairs => 0.5,
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for Method {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let word = text.trim().to_ascii_lowercase();
        Self::ALL
            .into_iter()
            .find(|method| method.name() == word)
            .ok_or_else(|| format!("expected acr5, continuous or pairs, got {text:?}"))
    }
}

/// A picture of a study. Path and prompt are for those who analyse; the study screen shows the prompt at most.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StudyPicture {
    /// The picture: ratings belong to its content, wherever it lies.
    pub hash: ContentHash,
    /// Where it lay when the study was made, relative to the image root.
    pub path: String,
    /// The prompt that made it; empty where unknown.
    pub prompt: String,
}

/// How large pictures are shown: the same way for all of a study.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Presentation {
    /// One picture pixel is one screen pixel.
    OneToOne,
    /// Scaled to this height on screen.
    Fixed {
        /// Screen pixels.
        height_px: u32,
    },
}

/// What raters see and are asked. Its hash stands with every vote; once one is in, it no longer changes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Protocol {
    /// Name for people.
    pub name: String,
    /// How raters answer.
    pub method: Method,
    /// What is asked, one after the other: all pictures under one aspect, then all under the next.
    pub aspects: Vec<Aspect>,
    /// The question of each aspect as raters read it.
    pub questions: AspectMap<String>,
    /// The pictures, training pictures included.
    pub pictures: Vec<StudyPicture>,
    /// Pictures that are shown first, in this order, and whose votes never count; best from all of the range.
    pub training: Vec<ContentHash>,
    /// Presentations at the beginning that do not count. Where `training` has fewer, pictures of the study are shown
    /// once before their turn (ITU-R BT.500-15, clause 2.6: about five).
    pub num_discarded_training: usize,
    /// Seed of the order.
    pub seed: u64,
    /// Share of pictures that come a second time without a word, 0 to 0.2.
    pub repeat_share: f64,
    /// Trials between a picture and its repeat, at least.
    pub repeat_gap: usize,
    /// Milliseconds that a picture is looked at before an answer is taken.
    pub min_dwell_ms: u32,
    /// Minutes after which a break is due; 0 for no breaks.
    pub session_minutes: u32,
    /// Seconds that a break lasts at least.
    pub break_seconds: u32,
    /// Whether the prompt is hidden while an aspect is asked.
    pub hide_prompt: AspectMap<bool>,
    /// How large pictures are shown.
    pub presentation: Presentation,
    /// What raters read before they begin.
    pub instructions: String,
    /// Comparisons that a rater makes under each aspect, training aside (pair comparison only).
    pub pairs_per_rater: usize,
    /// Raters that the study is planned for; 0 where nobody said. More or fewer may take part: the report names both
    /// numbers. Left out of the JSON where it is 0, so that protocols from before it keep their hash.
    #[serde(default, skip_serializing_if = "is_unsaid")]
    pub num_raters: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
const fn is_unsaid(num: &usize) -> bool {
    *num == 0
}

/// SHA-256 of a protocol as JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProtocolHash(pub ContentHash);

impl fmt::Display for ProtocolHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A study in the project.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Study {
    /// Its number in the project file.
    pub id: StudyId,
    /// What raters see and are asked.
    pub protocol: Protocol,
    /// Hash of the protocol.
    pub hash: ProtocolHash,
    /// Milliseconds since 1970-01-01 UTC.
    pub created_at: i64,
    /// Whether a vote is in, so that the protocol no longer changes.
    pub is_frozen: bool,
    /// Whether it is the project's quick rating: any picture, at any time, without a protocol to keep to.
    pub is_quick: bool,
}

/// What a study's votes on one picture come to under an aspect, on the scale of its method.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StudyMos {
    /// The picture.
    pub hash: ContentHash,
    /// Mean opinion score.
    pub mos: f64,
    /// Standard deviation of the ratings, where there are two.
    pub std: Option<f64>,
    /// Half the width of the 95 % confidence interval, where it is defined.
    pub ci95: Option<f64>,
    /// Number of ratings.
    pub num_ratings: u32,
    /// Word of the screening that made it ("p910", ...).
    pub screening: String,
}

impl StudyMos {
    /// The opinion as ground truth of a project with another scale, laid onto it from end to end.
    pub fn on(&self, own: OpinionScale, project: OpinionScale) -> Truth {
        let width = (project.max - project.min) / (own.max - own.min);
        Truth {
            mos: project.min + (self.mos - own.min) * width,
            std: self.std.map(|std| std * width),
            num_ratings: Some(self.num_ratings),
        }
    }
}

impl Protocol {
    /// A protocol with the usual choices and no pictures yet.
    pub fn new(name: &str, method: Method) -> Self {
        Self {
            name: name.to_owned(),
            method,
            aspects: vec![Aspect::Quality],
            questions: AspectMap::from_fn(|aspect| question(method, aspect).to_owned()),
            pictures: Vec::new(),
            training: Vec::new(),
            num_discarded_training: 5,
            seed: 1,
            repeat_share: 0.05,
            repeat_gap: 20,
            min_dwell_ms: 1_000,
            session_minutes: 30,
            break_seconds: 300,
            hide_prompt: AspectMap::from_fn(|aspect| aspect != Aspect::Correspondence),
            presentation: Presentation::OneToOne,
            instructions: INSTRUCTIONS.to_owned(),
            pairs_per_rater: 200,
            num_raters: USUAL_RATERS,
        }
    }

    /// The protocol of quick rating: five words for any picture.
    pub fn quick() -> Self {
        Self {
            aspects: Aspect::ALL.to_vec(),
            num_discarded_training: 0,
            repeat_share: 0.0,
            min_dwell_ms: 0,
            session_minutes: 0,
            break_seconds: 0,
            hide_prompt: AspectMap::from_fn(|_| false),
            instructions: String::new(),
            // As when it was first hashed.
            num_raters: 0,
            ..Self::new("Quick rating", Method::Acr5)
        }
    }

    /// The hash that stands with every vote.
    pub fn hash(&self) -> ProtocolHash {
        let mut hasher = Sha256::new();
        // Cannot fail: a hasher takes every byte, and JSON refuses only maps whose keys are no text.
        serde_json::to_writer(&mut hasher, self).ok();
        ProtocolHash(ContentHash(hasher.finalize().into()))
    }

    /// What is wrong with the protocol, each as a sentence for the one who writes it.
    pub fn check(&self) -> Result<(), Vec<String>> {
        let mut faults = Vec::new();
        self.check_questions(&mut faults);
        self.check_pictures(&mut faults);
        self.check_timing(&mut faults);
        match self.method {
            Method::Acr5 | Method::Continuous => self.check_repeats(&mut faults),
            Method::Pairs => self.check_pairs(&mut faults),
        }
        if faults.is_empty() {
            Ok(())
        } else {
            Err(faults)
        }
    }

    /// A picture of the study.
    pub fn picture(&self, hash: ContentHash) -> Option<&StudyPicture> {
        self.pictures.iter().find(|picture| picture.hash == hash)
    }

    /// The pictures that count: all but those for training.
    pub fn rated_pictures(&self) -> Vec<&StudyPicture> {
        let training: BTreeSet<ContentHash> = self.training.iter().copied().collect();
        self.pictures
            .iter()
            .filter(|picture| !training.contains(&picture.hash))
            .collect()
    }

    fn check_questions(&self, faults: &mut Vec<String>) {
        let mut fault = |text: &str| faults.push(text.to_owned());
        if self.name.trim().is_empty() {
            fault("The study has no name: give it one");
        }
        if self.aspects.is_empty() {
            fault("Nothing is asked: choose at least one aspect");
        }
        for (idx, aspect) in self.aspects.iter().enumerate() {
            if self.aspects[..idx].contains(aspect) {
                fault(&format!("The aspect {aspect} stands twice: name it once"));
            }
            if self.questions.get(*aspect).trim().is_empty() {
                fault(&format!("The question of {aspect} is empty: write it"));
            }
        }
    }

    fn check_pictures(&self, faults: &mut Vec<String>) {
        let mut known = BTreeSet::new();
        let num_twice = self
            .pictures
            .iter()
            .filter(|picture| !known.insert(picture.hash))
            .count();
        if num_twice > 0 {
            faults.push(format!(
                "{num_twice} pictures are in the study twice (same content): take one of each out"
            ));
        }
        let strange = self.training.iter().filter(|hash| !known.contains(hash));
        if strange.count() > 0 {
            faults.push(
                "A training picture is not among the pictures of the study: add it there too"
                    .to_owned(),
            );
        }
        let training: BTreeSet<&ContentHash> = self.training.iter().collect();
        if training.len() < self.training.len() {
            faults.push("A training picture stands twice: name it once".to_owned());
        }
        if known.len() <= training.len() {
            faults.push(
                "No picture is left to rate: choose pictures besides those for training".to_owned(),
            );
        }
    }

    fn check_timing(&self, faults: &mut Vec<String>) {
        if self.session_minutes > 60 {
            faults.push(format!(
                "Sessions of {} minutes tire raters: at most 60, better 30 (ITU-R BT.500)",
                self.session_minutes
            ));
        }
        if self.min_dwell_ms > 60_000 {
            faults.push(format!(
                "A picture would be shown for {} s before an answer is taken: at most 60 s",
                self.min_dwell_ms / 1_000
            ));
        }
        if let Presentation::Fixed { height_px } = self.presentation
            && !(64..=8_192).contains(&height_px)
        {
            faults.push(format!(
                "Pictures would be {height_px} pixels high: choose 64 to 8,192"
            ));
        }
        if !(0.0..=MAX_REPEAT_SHARE).contains(&self.repeat_share) {
            faults.push(format!(
                "The share of repeats is {}: choose 0 to {MAX_REPEAT_SHARE}",
                self.repeat_share
            ));
        }
    }

    fn check_repeats(&self, faults: &mut Vec<String>) {
        let num_rated = self.rated_pictures().len();
        if self.repeat_share > 0.0 && num_rated > 0 && num_rated < self.repeat_gap {
            faults.push(format!(
                "{num_rated} pictures are too few for repeats {} trials apart: add pictures, or set the share of repeats to 0",
                self.repeat_gap
            ));
        }
    }

    fn check_pairs(&self, faults: &mut Vec<String>) {
        if self.pairs_per_rater == 0 {
            faults.push("A rater would compare nothing: ask for at least one pair".to_owned());
        }
        let mut by_prompt: BTreeMap<&str, usize> = BTreeMap::new();
        for picture in self.rated_pictures() {
            if !picture.prompt.trim().is_empty() {
                *by_prompt.entry(picture.prompt.trim()).or_default() += 1;
            }
        }
        if by_prompt.values().all(|num| *num < 2) {
            faults.push(
                "No prompt has two pictures to compare: add pictures, or choose another method"
                    .to_owned(),
            );
        }
        if let Some((prompt, num)) = by_prompt
            .iter()
            .find(|(_, num)| **num > MAX_PICTURES_A_PROMPT)
        {
            faults.push(format!(
                "{num} pictures of one prompt are more than people can compare: at most {MAX_PICTURES_A_PROMPT} (prompt: {prompt})"
            ));
        }
    }
}

/// At most `num` pictures whose known values (a MOS, a score) are spread evenly from the lowest to the highest:
/// what training should show.
pub fn spanning(known: &[(ContentHash, f64)], num: usize) -> Vec<ContentHash> {
    let mut sorted: Vec<_> = known
        .iter()
        .filter(|(_, value)| value.is_finite())
        .collect();
    sorted.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
    let num = num.min(sorted.len());
    (0..num)
        .map(|idx| {
            let last = sorted.len() - 1;
            sorted[(idx * last).checked_div(num - 1).unwrap_or(last / 2)].0
        })
        .collect()
}

const INSTRUCTIONS: &str = "You will see pictures that a computer made, one after the other. Answer the question below \
    each picture by your first impression. There are no right or wrong answers. The first few pictures are for practice.";

const fn question(method: Method, aspect: Aspect) -> &'static str {
    match (method, aspect) {
        (Method::Pairs, Aspect::Quality) => "Which picture has the better quality?",
        (Method::Pairs, Aspect::Correspondence) => "Which picture fits the prompt better?",
        (Method::Pairs, Aspect::Authenticity) => "Which picture looks more real?",
        (_, Aspect::Quality) => "How good is the quality of this picture?",
        (_, Aspect::Correspondence) => "How well does this picture fit the prompt?",
        (_, Aspect::Authenticity) => "How real does this picture look?",
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A protocol with `num_prompts` prompts of `num_each` pictures.
    pub(crate) fn protocol(method: Method, num_prompts: usize, num_each: usize) -> Protocol {
        let pictures = (0..num_prompts * num_each)
            .map(|idx| StudyPicture {
                hash: hash(idx),
                path: format!("{idx}.png"),
                prompt: format!("prompt {}", idx % num_prompts),
            })
            .collect();
        Protocol {
            pictures,
            ..Protocol::new("Test", method)
        }
    }

    pub(crate) fn hash(idx: usize) -> ContentHash {
        let mut bytes = [3; 32];
        bytes[..8].copy_from_slice(&(idx as u64).to_le_bytes());
        ContentHash(bytes)
    }

    #[test]
    fn a_usual_protocol_is_right() {
        for method in Method::ALL {
            assert_eq!(protocol(method, 30, 4).check(), Ok(()));
        }
    }

    #[test]
    fn every_fault_is_named() {
        let mut wrong = protocol(Method::Acr5, 2, 3);
        wrong.name = " ".to_owned();
        wrong.aspects = vec![Aspect::Quality, Aspect::Quality];
        *wrong.questions.get_mut(Aspect::Quality) = String::new();
        wrong.pictures.push(wrong.pictures[0].clone());
        wrong.training = vec![hash(99)];
        wrong.session_minutes = 90;
        wrong.presentation = Presentation::Fixed { height_px: 1 };
        let faults = wrong.check().unwrap_err();
        let expected = [
            "no name",
            "question of quality is empty",
            "quality stands twice",
            "question of quality is empty",
            "1 pictures are in the study twice",
            "training picture is not among",
            "Sessions of 90 minutes",
            "1 pixels high",
            "7 pictures are too few for repeats",
        ];
        assert_eq!(faults.len(), expected.len(), "{faults:#?}");
        for (fault, words) in faults.iter().zip(expected) {
            assert!(fault.contains(words), "{fault} / {words}");
        }
    }

    #[test]
    fn comparing_needs_two_pictures_of_a_prompt() {
        let faults = protocol(Method::Pairs, 5, 1).check().unwrap_err();
        assert!(faults[0].contains("No prompt has two pictures"));
        let faults = protocol(Method::Pairs, 1, MAX_PICTURES_A_PROMPT + 1)
            .check()
            .unwrap_err();
        assert!(faults[0].contains("more than people can compare"));
    }

    #[test]
    fn the_hash_knows_every_change_and_survives_saving() {
        let one = protocol(Method::Acr5, 3, 3);
        let json = serde_json::to_string(&one).unwrap();
        let back: Protocol = serde_json::from_str(&json).unwrap();
        assert_eq!(back.hash(), one.hash());
        let other = Protocol {
            min_dwell_ms: 1_001,
            ..one.clone()
        };
        assert_ne!(other.hash(), one.hash());
    }

    #[test]
    fn a_protocol_from_before_raters_were_planned_keeps_its_hash() {
        let unsaid = Protocol {
            num_raters: 0,
            ..protocol(Method::Acr5, 3, 3)
        };
        let json = serde_json::to_string(&unsaid).unwrap();
        assert!(!json.contains("num_raters"));
        let back: Protocol = serde_json::from_str(&json).unwrap();
        assert_eq!((back.num_raters, back.hash()), (0, unsaid.hash()));
        let planned = Protocol {
            num_raters: 15,
            ..unsaid.clone()
        };
        assert_ne!(planned.hash(), unsaid.hash());
    }

    #[test]
    fn five_words_fall_into_the_fifths_of_any_scale() {
        let on = |mos: f64| {
            let opinion = StudyMos {
                hash: hash(1),
                mos,
                std: Some(0.8),
                ci95: None,
                num_ratings: 5,
                screening: "p910".to_owned(),
            };
            opinion.on(Method::Acr5.scale(), OpinionScale::ZERO_TO_FIVE)
        };
        for (word, rating) in crate::domain::Rating::ALL.into_iter().enumerate() {
            let truth = on(word as f64 + 1.0);
            let scale = OpinionScale::ZERO_TO_FIVE;
            assert_eq!(crate::domain::Rating::of_score(truth.mos, scale), rating);
        }
        assert_eq!(on(1.0).std, Some(1.0));
    }

    #[test]
    fn training_spans_the_range() {
        let known: Vec<_> = (0..11).map(|idx| (hash(idx), (10 - idx) as f64)).collect();
        let chosen = spanning(&known, 3);
        assert_eq!(chosen, [hash(10), hash(5), hash(0)]);
        assert_eq!(spanning(&known, 1), [hash(5)]);
        assert_eq!(spanning(&known, 99).len(), 11);
        assert!(spanning(&[], 5).is_empty());
    }
}
