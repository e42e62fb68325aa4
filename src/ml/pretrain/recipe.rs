//! What a small model is made of and learns from, and for how long.

use serde::{Deserialize, Serialize};

use super::lesson::Lesson;
use crate::ml::vlm::minicpm_v::stem::{OverviewConfig, StemConfig, StemLayer};
use crate::stats;

/// Where a small model learns from, and how long. Read from `recipe.toml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recipe {
    /// Demo scenes, generated with a seed of their own so that the program's demo stays unseen.
    pub demo_count: usize,
    /// Their seed.
    pub demo_seed: u64,
    /// Share of them, others each time, that a pass behind the first steps takes: real pictures are few, and more scenes
    /// than they are would drown them.
    #[serde(default = "one")]
    pub demo_share: f64,
    /// Teacher words that the stem learns as labels.
    pub label_words: usize,
    /// Channels of the stem's six convolutions.
    pub channels: [usize; 6],
    /// Side of the blocks whose frequencies are told of every patch beside what the stem learns; without it none are.
    #[serde(default)]
    pub spectrum: Option<usize>,
    /// Share of the pooled values left out while the stem learns.
    pub see_dropout: f64,
    /// Weight of the labels beside the opinion scores while the stem learns.
    pub label_weight: f64,
    /// Passes of the first step.
    pub see_epochs: usize,
    /// Passes in which the resampler alone learns to tell what is known of a picture, before the language model does.
    #[serde(default)]
    pub look_epochs: usize,
    /// Passes of the second step.
    pub speak_epochs: usize,
    /// Share of the second step's learning rate at which what makes image tokens goes on learning.
    #[serde(default = "one")]
    pub vision_rate: f64,
    /// Times that the first sentence about a demo scene, which says what is wrong with it, counts in the second step.
    #[serde(default = "one")]
    pub lead_weight: f64,
    /// Weight of the opinion scores' squared error beside the words' cross entropy in the second step.
    pub score_weight: f64,
    /// Weight beside them of what is known of the picture, foretold from the image tokens alone.
    pub facts_weight: f64,
    /// Tokens of the tokenizer.
    pub vocab_size: usize,
    /// Seed of everything else.
    pub seed: u64,
    /// How an overview learns what is wrong where; without it there is none.
    #[serde(default)]
    pub survey: Option<Survey>,
}

/// What the overview learns from, and how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Survey {
    /// Demo scenes, of which no other step learns.
    pub scenes: usize,
    /// Their seed.
    pub seed: u64,
    /// Passes.
    pub epochs: usize,
}

const fn one() -> f64 {
    1.0
}

/// The stem of a recipe: what a few neighbouring pixels look like, then four times and twice halved.
pub fn mini_stem(recipe: &Recipe) -> StemConfig {
    let strides = [(4, 4), (3, 1), (3, 2), (3, 1), (3, 2), (3, 1)];
    let layer = |(channels, (kernel, stride)): (usize, (usize, usize))| StemLayer {
        channels,
        kernel,
        stride,
    };
    let layers = recipe.channels.into_iter().zip(strides).map(layer);
    StemConfig {
        layers: layers.collect(),
        cell: 4,
        spectrum: recipe.spectrum,
        overview: recipe.survey.map(|_| mini_overview()),
    }
}

/// The overview of a recipe that has one: a quarter of the sides, four times halved, a pixel a patch.
pub fn mini_overview() -> OverviewConfig {
    let layer = |(channels, kernel, stride)| StemLayer {
        channels,
        kernel,
        stride,
    };
    let layers = [
        (24, 3, 2),
        (32, 3, 1),
        (48, 3, 2),
        (64, 3, 1),
        (96, 3, 2),
        (96, 3, 1),
        (128, 3, 2),
        (128, 3, 1),
        (64, 1, 1),
    ];
    OverviewConfig {
        reduce: 4,
        layers: layers.map(layer).to_vec(),
        cell: 1,
    }
}

/// Rows and columns of patches of a 512-pixel picture.
pub const GRID: [usize; 2] = [8, 8];

/// What a step's notes belong to: the recipe, and whatever is learned from.
pub(super) fn identity(recipe: &Recipe, lessons: &[Lesson]) -> String {
    let one = |lesson: &Lesson| {
        let [width, height] = [lesson.picture.width, lesson.picture.height];
        let said = lesson.talks.iter().map(|talk| talk.description.as_str());
        let said: Vec<&str> = said.collect();
        format!(
            "{} {width} {height} {:?} {said:?}",
            lesson.prompt, lesson.mos
        )
    };
    let hash = stats::fnv1a(&lessons.iter().map(one).collect::<String>());
    format!("{recipe:?} {} {hash:x}", lessons.len())
}
