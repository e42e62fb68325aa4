//! What a small model learns from: pictures with opinion scores and teacher descriptions.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use crate::domain::{Aspect, AspectMap, Picture};

/// One picture to learn from.
#[derive(Debug, Clone)]
pub struct Lesson {
    /// File it came from.
    pub file: PathBuf,
    /// Pixels.
    pub picture: Picture,
    /// Prompt.
    pub prompt: String,
    /// Generator, where known.
    pub generator: Option<String>,
    /// Planted defects, of demo scenes.
    pub tags: Vec<String>,
    /// Whether it is a demo scene.
    pub is_demo: bool,
    /// Ground-truth MOS by aspect.
    pub mos: AspectMap<Option<f64>>,
    /// Teacher's conversations.
    pub talks: Vec<Talk>,
    /// Whether it belongs to the validation part, cut by prompt.
    pub is_val: bool,
}

/// A teacher's description and rating word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Talk {
    /// Aspect.
    pub aspect: Aspect,
    /// Message 2.
    pub description: String,
    /// Message 4.
    pub answer: String,
}

/// Names of the yes/no labels that lessons carry: generators, series (a generator's settings, as file names tell them),
/// planted defects, and words of the teacher that are neither rare nor everywhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelNames {
    generators: Vec<String>,
    series: Vec<String>,
    tags: Vec<String>,
    words: Vec<String>,
}

impl LabelNames {
    /// Collects the labels of lessons, at most `max_words` words.
    pub fn of(lessons: &[Lesson], max_words: usize) -> Self {
        let generators: BTreeSet<_> = lessons
            .iter()
            .filter_map(|lesson| lesson.generator.clone())
            .collect();
        let series: BTreeSet<_> = lessons.iter().filter_map(series_of).collect();
        let demo = lessons.iter().filter(|lesson| lesson.is_demo);
        let tags: BTreeSet<_> = demo
            .flat_map(|lesson| lesson.tags.iter().cloned())
            .collect();
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for lesson in lessons {
            for word in words_of(lesson) {
                *counts.entry(word).or_default() += 1;
            }
        }
        let total = lessons.len();
        let usual = |count: usize| count * 50 > total && count * 5 < total * 2;
        let mut words: Vec<_> = counts
            .into_iter()
            .filter(|(word, count)| word.len() > 3 && usual(*count))
            .collect();
        words.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        words.truncate(max_words);
        let words = words.into_iter().map(|(word, _)| word).collect();
        Self {
            generators: generators.into_iter().collect(),
            series: series.into_iter().collect(),
            tags: tags.into_iter().collect(),
            words,
        }
    }

    /// Number of labels.
    pub const fn len(&self) -> usize {
        self.generators.len() + self.series.len() + self.tags.len() + self.words.len()
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The planted defects among the labels, and at which label they begin.
    pub fn tags(&self) -> (usize, &[String]) {
        (self.generators.len() + self.series.len(), &self.tags)
    }

    /// Labels of a lesson; `None` where it does not tell.
    pub fn labels(&self, lesson: &Lesson) -> Vec<Option<bool>> {
        let words = words_of(lesson);
        let generator = |name: &String| lesson.generator.as_ref().map(|own| own == name);
        let own = series_of(lesson);
        let series = |name: &String| own.as_ref().map(|own| own == name);
        let tag = |name: &String| lesson.is_demo.then(|| lesson.tags.contains(name));
        let word = |name: &String| (!words.is_empty()).then(|| words.contains(name));
        let generators = self.generators.iter().map(generator);
        generators
            .chain(self.series.iter().map(series))
            .chain(self.tags.iter().map(tag))
            .chain(self.words.iter().map(word))
            .collect()
    }
}

/// What stands before the number of a real picture's file name: `sd1.5_lowstep` of `sd1.5_lowstep_017.jpg`.
fn series_of(lesson: &Lesson) -> Option<String> {
    let stem = lesson.file.file_stem()?.to_str()?;
    let (series, number) = stem.rsplit_once('_')?;
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    (is_number && !lesson.is_demo).then(|| series.to_owned())
}

fn words_of(lesson: &Lesson) -> BTreeSet<String> {
    let text = lesson
        .talks
        .iter()
        .map(|talk| talk.description.to_lowercase());
    let words = text.flat_map(|text| {
        text.split(|c: char| !c.is_alphabetic())
            .filter(|word| !word.is_empty())
            .map(str::to_owned)
            .collect::<Vec<_>>()
    });
    words.collect()
}
