//! What each picture of the demo will be: decided before anything is painted, so that any picture can be
//! painted alone and an interrupted run can go on.

use std::collections::BTreeMap;

use crate::domain::Aspect;
use crate::domain::AspectMap;
use crate::domain::Split;

use super::canvas::Canvas;
use super::defects::Defect;
use super::defects::Planted;
use super::defects::plant;
use super::dice::Dice;
use super::raters::Opinion;
use super::raters::Panel;
use super::raters::true_scores;
use super::render;
use super::scene::Facts;
use super::scene::Family;
use super::scene::Style;
use super::scene::Time;
use super::words;

/// A pretended image generator: how often it fails under each aspect, and how strongly.
struct Generator {
    name: &'static str,
    quality: f32,
    correspondence: f32,
    authenticity: f32,
    strength: (f32, f32),
}

/// The pretended generators. Every prompt is given to each of them.
const GENERATORS: [Generator; 4] = [
    Generator {
        name: "demo-alpha",
        quality: 0.35,
        correspondence: 0.35,
        authenticity: 0.30,
        strength: (0.12, 0.6),
    },
    Generator {
        name: "demo-beta",
        quality: 0.45,
        correspondence: 0.80,
        authenticity: 0.45,
        strength: (0.2, 0.8),
    },
    Generator {
        name: "demo-gamma",
        quality: 0.55,
        correspondence: 0.50,
        authenticity: 0.85,
        strength: (0.25, 1.0),
    },
    Generator {
        name: "demo-delta",
        quality: 0.95,
        correspondence: 0.60,
        authenticity: 0.50,
        strength: (0.3, 1.0),
    },
];

/// Share of the prompts that are learned from.
const TRAIN: f32 = 0.7;

/// One picture of the demo.
#[derive(Debug, Clone)]
pub(super) struct Item {
    /// File name.
    pub(super) name: String,
    /// Prompt.
    pub(super) prompt: String,
    /// Name of the pretended generator.
    pub(super) generator: &'static str,
    /// What the prompt asks for.
    pub(super) asked: Facts,
    /// What the picture shows.
    pub(super) shown: Facts,
    /// What is wrong with it.
    pub(super) planted: Vec<Planted>,
    /// Train or test: the same for all pictures of a prompt.
    pub(super) split: Split,
    /// What the panel says.
    pub(super) opinions: AspectMap<Opinion>,
    /// Description under each aspect.
    pub(super) descriptions: AspectMap<String>,
    seed: u64,
    stream: u64,
}

impl Item {
    /// Paints it.
    pub(super) fn paint(&self) -> Canvas {
        self.paint_with(&mut plant)
    }

    /// Paints it, with something that plants its defects: those of authenticity before the style, of quality behind it.
    pub(super) fn paint_with(
        &self,
        plant: &mut dyn FnMut(&mut Canvas, Planted, &mut Dice),
    ) -> Canvas {
        let mut dice = Dice::new(self.seed, self.stream * 2 + 1);
        let mut canvas = render::paint(&self.shown, &mut dice);
        for planted in self.of(Aspect::Authenticity) {
            plant(&mut canvas, planted, &mut dice);
        }
        render::finish(&mut canvas, &self.shown, &mut dice);
        for planted in self.of(Aspect::Quality) {
            plant(&mut canvas, planted, &mut dice);
        }
        canvas
    }

    /// Defects of one aspect.
    pub(super) fn of(&self, aspect: Aspect) -> impl Iterator<Item = Planted> {
        self.planted
            .iter()
            .copied()
            .filter(move |planted| planted.defect.aspect() == aspect)
    }
}

/// Draws every picture of the demo.
pub(super) fn plan(seed: u64, count: usize) -> Vec<Item> {
    let panel = Panel::new(seed);
    let groups = count.div_ceil(GENERATORS.len());
    let prompts = prompts(seed, groups);
    let splits = splits(seed, &prompts);
    (0..count)
        .map(|i| {
            let (group, generator) = (i / GENERATORS.len(), &GENERATORS[i % GENERATORS.len()]);
            let (asked, prompt) = &prompts[group];
            let mut dice = Dice::new(seed, i as u64 * 2);
            let (shown, planted) = spoil(*asked, generator, &mut dice);
            let truth = true_scores(&planted, &mut dice);
            let opinions = AspectMap::from_fn(|aspect| panel.rate(*truth.get(aspect), &mut dice));
            let descriptions = AspectMap::from_fn(|aspect| {
                words::describe(aspect, asked, &shown, &planted, &mut dice)
            });
            let short = generator.name.trim_start_matches("demo-");
            Item {
                name: format!("scene_{:04}_{short}.jpg", group + 1),
                prompt: prompt.clone(),
                generator: generator.name,
                asked: *asked,
                shown,
                planted,
                split: splits[prompt.as_str()],
                opinions,
                descriptions,
                seed,
                stream: i as u64,
            }
        })
        .collect()
}

/// The prompts, each kind of scene equally often; a wording that was there already is drawn again a few times.
fn prompts(seed: u64, groups: usize) -> Vec<(Facts, String)> {
    let mut dice = Dice::new(seed, u64::MAX - 1);
    let mut families = Family::ALL;
    let mut prompts: Vec<(Facts, String)> = Vec::with_capacity(groups);
    for group in 0..groups {
        if group % families.len() == 0 {
            dice.shuffle(&mut families);
        }
        let family = families[group % families.len()];
        let mut drawn = draw(family, &mut dice);
        for _ in 0..20 {
            if !prompts.iter().any(|(_, text)| *text == drawn.1) {
                break;
            }
            drawn = draw(family, &mut dice);
        }
        prompts.push(drawn);
    }
    prompts
}

/// One prompt with its facts.
fn draw(family: Family, dice: &mut Dice) -> (Facts, String) {
    let facts = Facts::draw(family, dice);
    let prompt = facts.prompt(dice);
    (facts, prompt)
}

/// Cuts the prompts, not the pictures, into train and test.
fn splits(seed: u64, prompts: &[(Facts, String)]) -> BTreeMap<&str, Split> {
    let mut texts: Vec<&str> = prompts.iter().map(|(_, text)| text.as_str()).collect();
    texts.sort_unstable();
    texts.dedup();
    Dice::new(seed, u64::MAX - 2).shuffle(&mut texts);
    let train = (texts.len() as f32 * TRAIN).round() as usize;
    texts
        .into_iter()
        .enumerate()
        .map(|(i, text)| (text, if i < train { Split::Train } else { Split::Test }))
        .collect()
}

/// What a generator makes of the facts: at most three defects, at most two of an aspect.
fn spoil(asked: Facts, g: &Generator, dice: &mut Dice) -> (Facts, Vec<Planted>) {
    let mut planted: Vec<Planted> = Vec::new();
    let mut shown = asked;
    // Correspondence first: what is shown decides which other defects can be seen.
    let mut aspects = [Aspect::Quality, Aspect::Authenticity];
    dice.shuffle(&mut aspects);
    let aspects = [Aspect::Correspondence, aspects[0], aspects[1]];
    for aspect in aspects {
        let rate = match aspect {
            Aspect::Quality => g.quality,
            Aspect::Correspondence => g.correspondence,
            Aspect::Authenticity => g.authenticity,
        };
        for chance in [rate, rate * 0.55] {
            if planted.len() >= 3 || !dice.chance(chance) {
                break;
            }
            let strength = dice.between(g.strength.0, g.strength.1);
            let next = match aspect {
                Aspect::Quality => pick(&fitting(&shown), &planted, strength, dice),
                Aspect::Authenticity => pick(&Defect::AUTHENTICITY, &planted, strength, dice),
                Aspect::Correspondence => misread(&mut shown, asked, &planted, strength, dice),
            };
            planted.extend(next);
        }
    }
    (shown, planted)
}

/// Defects of quality that can be seen in such a picture: too little light does not show by night, nor do steps
/// where a poster or ink has steps of its own.
fn fitting(shown: &Facts) -> Vec<Defect> {
    let mut list = Defect::QUALITY.to_vec();
    list.retain(|defect| match defect {
        Defect::Underexposed => shown.time != Time::Night,
        Defect::Banding => !matches!(shown.style, Style::Poster | Style::Ink),
        _ => true,
    });
    list
}

/// A defect that goes with those planted already.
fn pick(all: &[Defect], planted: &[Planted], strength: f32, dice: &mut Dice) -> Option<Planted> {
    let soft = [Defect::Blur, Defect::LowResolution, Defect::Ringing];
    let light = [Defect::Overexposed, Defect::Underexposed, Defect::Banding];
    let clash = |a: Defect, b: Defect| {
        a == b
            || (soft.contains(&a) && soft.contains(&b))
            || (light.contains(&a) && light.contains(&b))
    };
    let free: Vec<Defect> = all
        .iter()
        .copied()
        .filter(|defect| !planted.iter().any(|p| clash(p.defect, *defect)))
        .collect();
    (!free.is_empty()).then(|| Planted {
        defect: dice.pick(&free),
        strength,
    })
}

/// Respects in which the picture can still go against the prompt.
fn misreadings(shown: &Facts, asked: &Facts, planted: &[Planted], strength: f32) -> Vec<Defect> {
    let mut free = vec![Defect::WrongCount, Defect::WrongColour];
    if asked.extra.is_some() {
        free.extend([Defect::MissingObject, Defect::WrongObject]);
    }
    if asked.family.has_time() {
        free.push(Defect::WrongTime);
    }
    if asked.family != Family::Glass {
        free.push(Defect::WrongStyle);
    }
    if strength > 0.5 && shown == asked {
        free.extend([Defect::WrongSubject; 2]);
    }
    let objects = [Defect::MissingObject, Defect::WrongObject];
    let taken = |defect: Defect| {
        planted.iter().any(|p| {
            p.defect == defect
                || p.defect == Defect::WrongSubject
                || (objects.contains(&p.defect) && objects.contains(&defect))
        })
    };
    free.retain(|defect| !taken(*defect));
    free
}

/// Changes what is shown against what was asked, in a respect that is still as asked.
fn misread(
    shown: &mut Facts,
    asked: Facts,
    planted: &[Planted],
    strength: f32,
    dice: &mut Dice,
) -> Option<Planted> {
    let free = misreadings(shown, &asked, planted, strength);
    if free.is_empty() {
        return None;
    }
    let defect = dice.pick(&free);
    *shown = match defect {
        Defect::WrongCount => shown.with_other_count(strength, dice),
        Defect::WrongColour => shown.with_other_hue(dice),
        Defect::MissingObject => Facts {
            extra: None,
            ..*shown
        },
        Defect::WrongObject => shown.with_other_extra(dice),
        Defect::WrongTime => shown.with_other_time(dice),
        Defect::WrongStyle => shown.with_other_style(dice),
        _ => other_subject(asked, dice),
    };
    // A wrong number can be a little wrong; the others are wrong altogether.
    let strength = match defect {
        Defect::WrongCount => match shown.count.abs_diff(asked.count) {
            1 => 0.45,
            2 => 0.7,
            _ => 0.95,
        },
        _ => 0.75 + 0.25 * strength,
    };
    Some(Planted { defect, strength })
}

/// A scene about something else, in the style that was asked for.
fn other_subject(asked: Facts, dice: &mut Dice) -> Facts {
    let others: Vec<Family> = Family::ALL
        .into_iter()
        .filter(|family| *family != asked.family && *family != Family::Glass)
        .collect();
    let family = dice.pick(&others);
    Facts {
        style: asked.style,
        ..Facts::draw(family, dice)
    }
}
