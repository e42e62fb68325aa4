//! Simulated people who sit a study from the first trial to the last: each leans a way of his own, is unsure to a degree
//! of his own, takes his time, rests when a break is due, and answers a picture much as he did before. Some answer
//! without looking.

use std::collections::BTreeMap;

use crate::cli::session::Session;
use crate::domain::Catalog;
use crate::domain::ContentHash;
use crate::domain::Method;
use crate::domain::PairChoice;
use crate::domain::Shown;
use crate::domain::Study;
use crate::domain::Trial;
use crate::domain::Vote;
use crate::domain::VoteId;
use crate::domain::VoteToken;
use crate::domain::VoteValue;
use crate::domain::study::Sitting;
use crate::domain::study::next_pair;
use crate::domain::study::next_trial;
use crate::domain::study::order;
use crate::stats::SplitMix64;

/// Milliseconds of a day: raters come on days of their own.
const DAY_MS: i64 = 86_400_000;

/// Milliseconds from an answer to the next picture.
const NEXT_MS: i64 = 40;

/// A panel to be.
pub(super) struct Panel<'a> {
    pub(super) num_people: usize,
    pub(super) num_careless: usize,
    pub(super) catalog: &'a Catalog,
    pub(super) study: &'a Study,
}

/// One simulated rater.
struct Person {
    name: String,
    random: SplitMix64,
    /// How much higher than the panel, and how unsure, in shares of the scale.
    bias: f64,
    noise: f64,
    is_careless: bool,
    now: i64,
}

/// Lets everybody sit the study; milliseconds that each vote took to be saved.
pub(super) fn sit(session: &Session, panel: &Panel<'_>) -> anyhow::Result<Vec<f64>> {
    let liked = liked(panel);
    let mut milliseconds = Vec::new();
    let mut votes = Vec::new();
    for number in 1..=panel.num_people {
        let mut person = Person::new(panel, number);
        let order = order(&panel.study.protocol, &person.name);
        let mut own: Vec<Vote> = Vec::new();
        while let Some(trial) = next(panel, (&person.name, &order), &own, &votes) {
            let vote = person.answer(panel, trial, &own, &liked);
            let start = std::time::Instant::now();
            let stored = session.vote(vote)?;
            milliseconds.push(start.elapsed().as_secs_f64() * 1_000.0);
            if panel.study.protocol.method == Method::Pairs {
                votes.push(stored.clone());
            }
            own.push(stored);
        }
    }
    Ok(milliseconds)
}

fn next(
    panel: &Panel<'_>,
    (name, order): (&str, &[Trial]),
    own: &[Vote],
    votes: &[Vote],
) -> Option<Trial> {
    match panel.study.protocol.method {
        Method::Pairs => next_pair(&panel.study.protocol, name, votes),
        Method::Acr5 | Method::Continuous => next_trial(order, &own.iter().collect::<Vec<_>>()),
    }
}

/// How good each picture is, 0 to 1: by what people said of it where that is known, else by its content.
fn liked(panel: &Panel<'_>) -> BTreeMap<ContentHash, f64> {
    let scale = panel.catalog.info.scale;
    let aspect = panel.study.protocol.aspects.first().copied();
    let known = panel.catalog.images.iter().filter_map(|record| {
        let hash = record.file.hash()?;
        let by_content = f64::from(u16::from_le_bytes([hash.0[0], hash.0[1]])) / 65_535.0;
        let mos = aspect.and_then(|aspect| record.mos(aspect));
        Some((hash, mos.map_or(by_content, |mos| scale.fraction(mos))))
    });
    known.collect()
}

impl Person {
    fn new(panel: &Panel<'_>, number: usize) -> Self {
        let mut random = SplitMix64::new(panel.study.protocol.seed ^ (number as u64) << 32);
        let days = panel.num_people - number;
        let bias = 0.08 * normal(&mut random);
        let noise = 0.08 + 0.06 * uniform(&mut random);
        Self {
            name: format!("rehearsal {number:02}"),
            bias,
            noise,
            is_careless: number > panel.num_people - panel.num_careless.min(panel.num_people),
            now: super::now_ms() - (days as i64 + 1) * DAY_MS,
            random,
        }
    }

    fn answer(
        &mut self,
        panel: &Panel<'_>,
        trial: Trial,
        own: &[Vote],
        liked: &BTreeMap<ContentHash, f64>,
    ) -> Vote {
        let study = panel.study;
        let records: Vec<&Vote> = own.iter().collect();
        let mut sitting = Sitting::of(&study.protocol, &records, self.now);
        if let Some(until) = sitting.break_until {
            self.now = until + 5_000;
            sitting = Sitting::of(&study.protocol, &records, self.now);
        }
        let shown_at = self.now + NEXT_MS;
        let looked = match self.is_careless {
            true => 50.0 + 150.0 * uniform(&mut self.random),
            false => 900.0 * (0.6 * normal(&mut self.random)).exp(),
        };
        let reaction_ms = study.protocol.min_dwell_ms + looked as u32;
        self.now = shown_at + i64::from(reaction_ms);
        Vote {
            id: VoteId(0),
            token: VoteToken(0),
            study: study.id,
            protocol: study.hash,
            rater: self.name.clone(),
            session: sitting.session,
            trial: trial.index,
            shown: trial.what,
            aspect: trial.aspect,
            method: study.protocol.method,
            value: self.value(study.protocol.method, trial.what, liked),
            is_training: trial.is_training,
            is_repeat: trial.is_repeat,
            shown_at,
            voted_at: self.now,
            reaction_ms,
            zoom_max: 1.0,
            screen_px: [1920, 1080],
            dpi_scale: 1.0,
            app_version: env!("CARGO_PKG_VERSION").to_owned(),
            undo_of: None,
        }
        .sealed()
    }

    fn value(
        &mut self,
        method: Method,
        shown: Shown,
        liked: &BTreeMap<ContentHash, f64>,
    ) -> VoteValue {
        let scale = method.scale();
        let step = method.step();
        let felt = |hash: ContentHash, person: &mut Self| {
            if person.is_careless {
                return uniform(&mut person.random);
            }
            let liked = liked.get(&hash).copied().unwrap_or(0.5);
            liked + person.bias + person.noise * normal(&mut person.random)
        };
        match shown {
            Shown::One(hash) => {
                let score = scale.min + felt(hash, self) * (scale.max - scale.min);
                let steps = (score.clamp(scale.min, scale.max) / step).round();
                // Tenths as exactly as a number can be one.
                VoteValue::Score((steps * step * 10.0).round() / 10.0)
            }
            Shown::Pair { left, right } => {
                let apart = felt(left, self) - felt(right, self);
                VoteValue::Pair(match apart {
                    apart if apart.abs() < 0.05 => PairChoice::Tie,
                    apart if apart > 0.0 => PairChoice::Left,
                    _ => PairChoice::Right,
                })
            }
        }
    }
}

/// A number from 0 to 1.
fn uniform(random: &mut SplitMix64) -> f64 {
    random.below(1 << 32) as f64 / (1_u64 << 32) as f64
}

/// A number of the standard normal distribution, by the sum of twelve uniform ones.
fn normal(random: &mut SplitMix64) -> f64 {
    let sum: f64 = (0..12).map(|_| uniform(random)).sum();
    sum - 6.0
}
