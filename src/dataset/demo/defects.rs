//! Known defects and how strongly each is planted: the ground truth behind the simulated raters.
//!
//! Defects of authenticity are worked into the scene before its style, defects of quality into the finished
//! picture. Defects of correspondence change the facts that are painted and need nothing here.

use crate::domain::Aspect;

use super::canvas::Area;
use super::canvas::Canvas;
use super::canvas::Rgb;
use super::canvas::S;
use super::canvas::SIZE;
use super::dice::Dice;
use super::maths;
use super::signal;

/// Something wrong with a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Defect {
    /// Out of focus.
    Blur,
    /// Grain of the sensor kind.
    Noise,
    /// Squares of strong compression.
    Blocking,
    /// Halos of too much sharpening.
    Ringing,
    /// A tint over everything.
    Cast,
    /// Too bright.
    Overexposed,
    /// Too dark.
    Underexposed,
    /// Few, large pixels.
    LowResolution,
    /// Steps in what should be smooth.
    Banding,
    /// A twisted part.
    Warped,
    /// A part that is there twice.
    Doubled,
    /// A patch of texture over and over.
    Repeating,
    /// A structure that runs down.
    Melted,
    /// Shadows that fall two ways.
    Shadows,
    /// More or fewer subjects than asked.
    WrongCount,
    /// Subjects of another colour.
    WrongColour,
    /// The second thing is not there.
    MissingObject,
    /// Another second thing.
    WrongObject,
    /// Another time of day.
    WrongTime,
    /// Another style.
    WrongStyle,
    /// Another subject altogether.
    WrongSubject,
}

impl Defect {
    /// Defects of quality.
    pub(super) const QUALITY: [Self; 9] = [
        Self::Blur,
        Self::Noise,
        Self::Blocking,
        Self::Ringing,
        Self::Cast,
        Self::Overexposed,
        Self::Underexposed,
        Self::LowResolution,
        Self::Banding,
    ];

    /// Defects of authenticity.
    pub(super) const AUTHENTICITY: [Self; 5] = [
        Self::Warped,
        Self::Doubled,
        Self::Repeating,
        Self::Melted,
        Self::Shadows,
    ];

    /// Those that can be seen in the picture alone: of quality, then of authenticity.
    pub(super) fn visible() -> impl Iterator<Item = Self> {
        Self::QUALITY.into_iter().chain(Self::AUTHENTICITY)
    }

    /// Its tag, the word that the description uses, and the points it costs at full strength.
    const fn facts(self) -> (&'static str, &'static str, f64) {
        match self {
            Self::Blur => ("blur", "blur", 4.0),
            Self::Noise => ("noise", "noise", 3.6),
            Self::Blocking => ("blocking", "block", 3.8),
            Self::Ringing => ("ringing", "halo", 3.2),
            Self::Cast => ("colour cast", "cast", 3.0),
            Self::Overexposed => ("overexposed", "overexposed", 3.6),
            Self::Underexposed => ("underexposed", "underexposed", 3.6),
            Self::LowResolution => ("low resolution", "resolution", 4.2),
            Self::Banding => ("banding", "banding", 3.0),
            Self::Warped => ("warped part", "warp", 3.8),
            Self::Doubled => ("doubled part", "doubled", 3.4),
            Self::Repeating => ("repeating texture", "repeat", 4.0),
            Self::Melted => ("melted structure", "melt", 4.0),
            Self::Shadows => ("impossible shadow", "shadow", 3.0),
            Self::WrongCount => ("wrong count", "instead of", 2.4),
            Self::WrongColour => ("wrong colour", "colour", 2.4),
            Self::MissingObject => ("missing object", "missing", 2.2),
            Self::WrongObject => ("wrong object", "in place of", 2.0),
            Self::WrongTime => ("wrong time", "time of day", 2.4),
            Self::WrongStyle => ("wrong style", "style", 2.0),
            Self::WrongSubject => ("wrong subject", "does not show", 4.2),
        }
    }

    /// The tag in the table.
    pub(super) const fn tag(self) -> &'static str {
        self.facts().0
    }

    /// A word that stands in every sentence about it, and in no sentence without it.
    pub(super) const fn keyword(self) -> &'static str {
        self.facts().1
    }

    /// Points of the scale that it costs at full strength.
    pub(super) const fn weight(self) -> f64 {
        self.facts().2
    }

    /// What it spoils.
    pub(super) fn aspect(self) -> Aspect {
        if Self::QUALITY.contains(&self) {
            Aspect::Quality
        } else if Self::AUTHENTICITY.contains(&self) {
            Aspect::Authenticity
        } else {
            Aspect::Correspondence
        }
    }
}

/// A defect with its strength, above 0 and at most 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Planted {
    /// What.
    pub(super) defect: Defect,
    /// How strongly.
    pub(super) strength: f32,
}

impl Planted {
    /// 0 slight, 1 clear, 2 strong: the three grades that descriptions tell apart.
    pub(super) fn grade(self) -> usize {
        usize::from(self.strength >= 0.38) + usize::from(self.strength >= 0.68)
    }

    /// Points of the scale that it costs.
    pub(super) fn cost(self) -> f64 {
        self.defect.weight() * f64::from(self.strength)
    }
}

/// Works a defect into the picture. Defects of correspondence leave it as it is.
pub(super) fn plant(c: &mut Canvas, planted: Planted, dice: &mut Dice) {
    let s = planted.strength;
    match planted.defect {
        Defect::Blur => c.px = signal::blur(&c.px, 0.9 + 5.0 * s),
        Defect::Noise => noise(c, 0.05 + 0.24 * s, dice.seed()),
        Defect::Blocking => signal::blocks(c, 0.10 + 0.62 * s),
        Defect::Ringing => ringing(c, s),
        Defect::Cast => cast(c, s, dice),
        Defect::Overexposed => c.change(Area::ALL, |_, _, p| {
            p.map(|v| (v * (1.15 + 1.35 * s) + 0.22 * s).min(1.0))
        }),
        Defect::Underexposed => c.change(Area::ALL, |_, _, p| {
            p.map(|v| v.max(0.0) * (0.60 - 0.42 * s))
        }),
        Defect::LowResolution => coarse(c, 2 + (9.0 * s) as usize),
        Defect::Banding => {
            let steps = 8.0 - 5.5 * s;
            c.change(Area::ALL, |_, _, p| {
                p.map(|v| (v.clamp(0.0, 1.0) * steps + 0.5).floor() / steps)
            });
        }
        Defect::Warped => warp(c, s, dice),
        Defect::Doubled => double(c, s, dice),
        Defect::Repeating => repeat(c, s, dice),
        Defect::Melted => melt(c, s, dice),
        Defect::Shadows => shadows(c, s),
        Defect::WrongCount
        | Defect::WrongColour
        | Defect::MissingObject
        | Defect::WrongObject
        | Defect::WrongTime
        | Defect::WrongStyle
        | Defect::WrongSubject => {}
    }
}

/// Grain, mostly in brightness and a little in colour.
fn noise(c: &mut Canvas, amount: f32, seed: u32) {
    let bell = |x: i32, y: i32, s: u32| {
        let draws = (0..4)
            .map(|k| maths::hash(x, y, s.wrapping_add(k * 977)))
            .sum::<f32>();
        (draws - 2.0) * 1.73
    };
    c.change(Area::ALL, |x, y, p| {
        let (x, y) = (x as i32, y as i32);
        let grey = bell(x, y, seed) * amount * 0.75;
        let part = |k: u32| grey + bell(x, y, seed ^ k) * amount * 0.55;
        p.map(|v| v.clamp(0.0, 1.0)) + Rgb(part(0x51), part(0xA7), part(0xF3))
    });
}

/// Too much sharpening: bright and dark halos along every edge.
fn ringing(c: &mut Canvas, s: f32) {
    let soft = signal::blur(&c.px, 2.2 + 1.6 * s);
    let gain = 1.2 + 4.2 * s;
    for (p, b) in c.px.iter_mut().zip(&soft) {
        *p = (*p + (*p + *b * -1.0) * gain).map(|v| v.clamp(0.0, 1.0));
    }
}

/// A tint over everything.
fn cast(c: &mut Canvas, s: f32, dice: &mut Dice) {
    let tint = dice.pick(&[
        Rgb(0.55, 1.15, 0.55),
        Rgb(1.2, 0.55, 1.1),
        Rgb(1.2, 1.0, 0.35),
        Rgb(0.45, 0.8, 1.3),
    ]);
    let amount = 0.3 + 0.65 * s;
    c.change(Area::ALL, |_, _, p| {
        let toned = Rgb::grey(p.luma()).tint(tint) + tint * 0.06;
        p.tint(Rgb::WHITE.mix(tint, amount))
            .mix(toned, amount * 0.55)
    });
}

/// Squares of `n` pixels with one colour each.
fn coarse(c: &mut Canvas, n: usize) {
    let before = c.px.clone();
    for (i, p) in c.px.iter_mut().enumerate() {
        let (x, y) = (i % SIZE / n * n, i / SIZE / n * n);
        let mut sum = Rgb::BLACK;
        let mut count = 0.0;
        for k in 0..4 {
            let (dx, dy) = ((k % 2) * n / 2, (k / 2) * n / 2);
            if x + dx < SIZE && y + dy < SIZE {
                sum = sum + before[(y + dy) * SIZE + x + dx];
                count += 1.0;
            }
        }
        *p = sum * (1.0 / count);
    }
}

/// One of the subjects, or the middle of the picture.
fn some_subject(c: &Canvas, dice: &mut Dice) -> Area {
    if c.subjects.is_empty() {
        return Area(S * 0.3, S * 0.3, S * 0.7, S * 0.7);
    }
    let Area(x0, y0, x1, y1) = dice.pick(&c.subjects);
    Area(x0.max(0.0), y0.max(0.0), x1.min(S), y1.min(S))
}

/// Twists a subject about its middle and lets its outline wobble.
fn warp(c: &mut Canvas, s: f32, dice: &mut Dice) {
    let area = some_subject(c, dice);
    let (cx, cy) = area.centre();
    let reach = (area.2 - area.0).max(area.3 - area.1) * 0.62 + 26.0;
    let twist = (0.9 + 2.3 * s) * if dice.chance(0.5) { 1.0 } else { -1.0 };
    let before = c.clone();
    let seed = dice.seed();
    c.change(Area::around(cx, cy, reach), |x, y, p| {
        let (dx, dy) = (x - cx, y - cy);
        let d = maths::length(dx, dy) / reach;
        if d >= 1.0 {
            return p;
        }
        let fade = (1.0 - d) * (1.0 - d);
        let a = twist * fade * (0.45 + d * 1.6);
        let (sin, cos) = (maths::sin(a), maths::cos(a));
        let push = (8.0 + 26.0 * s) * maths::smooth(1.0, 0.6, d);
        let wx = (maths::noise(x * 0.035, y * 0.035, seed) - 0.5) * push;
        let wy = (maths::noise(x * 0.035, y * 0.035, seed ^ 1) - 0.5) * push;
        before.sample(cx + dx * cos - dy * sin + wx, cy + dx * sin + dy * cos + wy)
    });
}

/// Lays a second image of a subject beside the first.
fn double(c: &mut Canvas, s: f32, dice: &mut Dice) {
    let area = some_subject(c, dice);
    let (w, h) = (area.2 - area.0, area.3 - area.1);
    let way = if area.centre().0 < S * 0.5 { 1.0 } else { -1.0 };
    let shift = (
        way * w * (0.2 + 0.22 * s) + way * 5.0,
        -h * (0.03 + 0.1 * s),
    );
    let before = c.clone();
    let strength = 0.5 + 0.42 * s;
    let moved = Area(
        area.0 + shift.0,
        area.1 + shift.1,
        area.2 + shift.0,
        area.3 + shift.1,
    );
    c.change(moved, |x, y, p| {
        let (sx, sy) = (x - shift.0, y - shift.1);
        if !(0.0..S).contains(&sx) || !(0.0..S).contains(&sy) {
            return p;
        }
        let cover = before.mask[sy as usize * SIZE + sx as usize];
        p.mix(before.at(sx, sy), cover * strength)
    });
}

/// Fills a wide patch with copies of one small piece of the subject's surroundings.
fn repeat(c: &mut Canvas, s: f32, dice: &mut Dice) {
    let area = some_subject(c, dice);
    let (cx, cy) = area.centre();
    let tile = 30.0 + 26.0 * dice.unit();
    let from = (
        (cx + (area.2 - area.0) * 0.3 - tile * 0.5).clamp(0.0, S - tile),
        (cy - tile * 0.5).clamp(0.0, S - tile),
    );
    let reach = 80.0 + 130.0 * s;
    let at = (
        (cx + dice.between(-90.0, 90.0)).clamp(110.0, S - 110.0),
        (cy + dice.between(10.0, 110.0)).clamp(110.0, S - 90.0),
    );
    let before = c.clone();
    let seed = dice.seed();
    c.change(Area::around(at.0, at.1, reach * 1.3), |x, y, p| {
        let ragged = 0.75 + 0.5 * maths::fbm(x * 0.02, y * 0.02, 3, seed);
        let d = maths::length(x - at.0, y - at.1) / (reach * ragged);
        let cover = maths::smooth(1.0, 0.88, d);
        let (u, v) = (
            (x - at.0 + 40.0 * tile) / tile,
            (y - at.1 + 40.0 * tile) / tile,
        );
        let copy = before.sample(from.0 + u.fract() * tile, from.1 + v.fract() * tile);
        p.mix(copy, cover * (0.6 + 0.38 * s))
    });
}

/// Lets the lower part of a subject run down in drips.
fn melt(c: &mut Canvas, s: f32, dice: &mut Dice) {
    let area = some_subject(c, dice);
    let (w, h) = (area.2 - area.0, area.3 - area.1);
    let top = area.1 + h * (0.5 - 0.3 * s);
    let drip = (h * (0.25 + 0.55 * s)).clamp(30.0, 190.0);
    let seed = dice.seed();
    let before = c.clone();
    let wide = Area(area.0 - w * 0.15, top, area.2 + w * 0.15, area.3 + drip);
    let mid = area.centre().0;
    c.change(wide, |x, y, p| {
        let edge = maths::smooth(w * 0.66, w * 0.46, (x - mid).abs());
        let run = maths::noise(x * 0.085, 0.5, seed);
        let run = (0.25 + 0.95 * run * run * 1.4) * edge;
        let fall = (y - top) / (area.3 + drip - top);
        let pull = drip * run * maths::smooth(0.0, 0.7, fall) * maths::smooth(1.02, 0.75, fall);
        let sway = (maths::noise(x * 0.03, y * 0.03, seed ^ 1) - 0.5) * 22.0 * s * edge;
        let melted = before.sample(x + sway, (y - pull).max(top - 4.0));
        p.mix(melted, maths::smooth(0.0, 0.04, fall))
    });
}

/// Gives each subject two dark shadows that fall opposite ways.
fn shadows(c: &mut Canvas, s: f32) {
    let dark = 0.42 + 0.42 * s;
    let mask = c.mask.clone();
    let before = c.clone();
    for Area(x0, y0, x1, y1) in before.subjects.iter().copied() {
        let (x0, y0, x1, foot) = (x0.max(0.0), y0.max(0.0), x1.min(S), y1.min(S - 1.0));
        let back = foot > S * 0.8;
        let h = foot - y0;
        let reach = h * 0.75 + 10.0;
        let area = Area(
            x0 - h * 1.1,
            if back { foot - reach } else { foot },
            x1 + h * 1.1,
            foot + reach,
        );
        c.change(area, |x, y, p| {
            let d = if back { foot - y } else { y - foot };
            let own = mask[y as usize * SIZE + x as usize];
            let source = foot - d / 0.75 - 1.0;
            if d < 0.0 || source < y0 {
                return p;
            }
            let cover = [1.15, -0.85].iter().map(|slope| {
                let sx = x - d * slope;
                if sx < x0 || sx >= x1 {
                    0.0
                } else {
                    mask[source as usize * SIZE + sx as usize]
                }
            });
            let cover = cover.fold(0.0, f32::max) * (1.0 - own) * (1.0 - 0.4 * d / reach);
            p.mix(Rgb(0.03, 0.03, 0.07), cover * dark)
        });
    }
}
