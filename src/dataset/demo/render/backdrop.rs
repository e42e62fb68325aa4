//! Light and surroundings that painters share: sky, sun, stars, clouds, ridges, water, mist.

use crate::dataset::demo::canvas::Area;
use crate::dataset::demo::canvas::Canvas;
use crate::dataset::demo::canvas::Rgb;
use crate::dataset::demo::canvas::S;
use crate::dataset::demo::canvas::SIZE;
use crate::dataset::demo::dice::Dice;
use crate::dataset::demo::maths;
use crate::dataset::demo::scene::Facts;
use crate::dataset::demo::scene::Family;
use crate::dataset::demo::scene::Hue;
use crate::dataset::demo::scene::Time;
use crate::dataset::demo::shape;

/// The light of a scene.
pub(in crate::dataset::demo) struct Mood {
    /// Sky at the top.
    pub(super) zenith: Rgb,
    /// Sky at the horizon, also the colour of haze.
    pub(super) horizon: Rgb,
    /// What the light does to coloured things.
    pub(super) light: Rgb,
    /// What the shade does to coloured things.
    pub(super) shade: Rgb,
    /// Where sun or moon stand, in pixels.
    pub(super) sun: (f32, f32),
    /// Colour of sun or moon.
    pub(super) disc: Rgb,
    /// Time of day.
    pub(super) time: Time,
    /// Whether the sky is left without a moon by night: where a prompt may ask for one, it is a thing of its own.
    pub(super) moonless: bool,
    /// Thickness of mist, 0 to 1.
    pub(super) mist: f32,
}

impl Mood {
    /// The light that the facts ask for, with some variation.
    pub(super) fn of(facts: &Facts, dice: &mut Dice) -> Self {
        let (zenith, horizon, light, shade, disc) = palette(facts.time, dice.below(2));
        let side = if dice.chance(0.5) {
            dice.between(0.14, 0.34)
        } else {
            dice.between(0.66, 0.86)
        };
        let height = match facts.time {
            Time::Dawn => dice.between(0.3, 0.42),
            Time::Sunset => dice.between(0.36, 0.46),
            Time::Day => dice.between(0.1, 0.2),
            Time::Night => dice.between(0.12, 0.24),
        };
        Self {
            zenith,
            horizon,
            light,
            shade,
            sun: (side * S, height * S),
            disc,
            time: facts.time,
            moonless: matches!(facts.family, Family::City | Family::Lanterns),
            mist: if facts.misty {
                dice.between(0.55, 0.8)
            } else {
                0.12
            },
        }
    }

    /// Whether it is night.
    pub(super) fn dark(&self) -> bool {
        self.time == Time::Night
    }

    /// A coloured thing in this light: `lit` is 1 facing the light and 0 turned away.
    pub(super) fn lit(&self, colour: Rgb, lit: f32) -> Rgb {
        colour.tint(self.shade.mix(self.light, lit.clamp(0.0, 1.0)))
    }

    /// The subject in this light: the eye allows for the colour of the light, so its own colour stays plain.
    pub(super) fn own(&self, colour: Rgb, lit: f32) -> Rgb {
        let light = self.light.mix(Rgb::grey(1.04), 0.62);
        let dusk = if self.dark() { 0.34 } else { 0.5 };
        let shade = self.shade.mix(Rgb::grey(dusk), 0.5);
        colour.tint(shade.mix(light, lit.clamp(0.0, 1.0)))
    }

    /// A thing seen through `depth` (0 near, 1 far) of air.
    pub(super) fn air(&self, colour: Rgb, depth: f32) -> Rgb {
        colour.mix(
            self.horizon,
            (depth * (0.55 + self.mist * 0.45)).clamp(0.0, 0.95),
        )
    }

    /// -1 where the light comes from the left, 1 from the right.
    pub(super) fn side(&self) -> f32 {
        if self.sun.0 < S * 0.5 { -1.0 } else { 1.0 }
    }
}

/// Sky top, sky low, light, shade and disc of a time of day.
fn palette(time: Time, variant: usize) -> (Rgb, Rgb, Rgb, Rgb, Rgb) {
    match (time, variant) {
        (Time::Dawn, 0) => (
            Rgb(0.42, 0.55, 0.78),
            Rgb(1.0, 0.82, 0.70),
            Rgb(1.08, 0.95, 0.86),
            Rgb(0.50, 0.50, 0.64),
            Rgb(1.0, 0.93, 0.78),
        ),
        (Time::Dawn, _) => (
            Rgb(0.55, 0.55, 0.80),
            Rgb(0.99, 0.78, 0.79),
            Rgb(1.06, 0.92, 0.90),
            Rgb(0.50, 0.46, 0.62),
            Rgb(1.0, 0.90, 0.82),
        ),
        (Time::Day, 0) => (
            Rgb(0.20, 0.46, 0.84),
            Rgb(0.76, 0.89, 0.97),
            Rgb(1.12, 1.09, 1.0),
            Rgb(0.55, 0.62, 0.74),
            Rgb(1.0, 0.98, 0.88),
        ),
        (Time::Day, _) => (
            Rgb(0.26, 0.58, 0.86),
            Rgb(0.84, 0.94, 0.93),
            Rgb(1.10, 1.08, 1.0),
            Rgb(0.58, 0.62, 0.70),
            Rgb(1.0, 0.98, 0.90),
        ),
        (Time::Sunset, 0) => (
            Rgb(0.26, 0.22, 0.48),
            Rgb(1.0, 0.58, 0.26),
            Rgb(1.10, 0.78, 0.56),
            Rgb(0.40, 0.30, 0.44),
            Rgb(1.0, 0.86, 0.52),
        ),
        (Time::Sunset, _) => (
            Rgb(0.42, 0.26, 0.50),
            Rgb(0.99, 0.50, 0.38),
            Rgb(1.08, 0.74, 0.60),
            Rgb(0.40, 0.28, 0.42),
            Rgb(1.0, 0.80, 0.50),
        ),
        (Time::Night, 0) => (
            Rgb(0.03, 0.05, 0.15),
            Rgb(0.13, 0.20, 0.40),
            Rgb(0.56, 0.62, 0.84),
            Rgb(0.20, 0.23, 0.40),
            Rgb(0.95, 0.95, 0.88),
        ),
        (Time::Night, _) => (
            Rgb(0.02, 0.06, 0.14),
            Rgb(0.12, 0.24, 0.38),
            Rgb(0.56, 0.66, 0.80),
            Rgb(0.20, 0.25, 0.37),
            Rgb(0.97, 0.94, 0.86),
        ),
    }
}

/// The pigment of a subject's colour.
pub(super) fn pigment(hue: Hue) -> Rgb {
    match hue {
        Hue::Red => Rgb(0.88, 0.12, 0.13),
        Hue::Orange => Rgb(0.98, 0.50, 0.08),
        Hue::Yellow => Rgb(0.98, 0.82, 0.14),
        Hue::Green => Rgb(0.16, 0.64, 0.28),
        Hue::Blue => Rgb(0.12, 0.36, 0.88),
        Hue::Purple => Rgb(0.52, 0.20, 0.72),
        Hue::Pink => Rgb(0.97, 0.50, 0.68),
        Hue::White => Rgb(0.96, 0.95, 0.93),
    }
}

/// Sky down to `horizon`, with sun or moon, stars and clouds.
pub(super) fn sky(c: &mut Canvas, m: &Mood, horizon: f32, dice: &mut Dice) {
    let wobble = dice.seed();
    c.change(Area(0.0, 0.0, S, horizon + 2.0), |x, y, _| {
        let t = (y / horizon).clamp(0.0, 1.0);
        let t = t * t * (1.6 - 0.6 * t);
        let d = maths::length(x - m.sun.0, (y - m.sun.1) * 1.4) / S;
        let warm = (1.0 - d * 1.5).max(0.0);
        let glow = if m.dark() { 0.25 } else { 0.4 };
        let haze = 0.03 * (maths::noise(x * 0.008, y * 0.02, wobble) - 0.5);
        m.zenith.mix(m.horizon, (t + haze).clamp(0.0, 1.0)) + m.disc * (warm * warm * glow * 0.6)
    });
    if m.dark() {
        stars(c, horizon, 150, dice);
    }
    disc(c, m);
    clouds(c, m, horizon, dice);
}

/// Stars above `horizon`.
pub(super) fn stars(c: &mut Canvas, horizon: f32, count: usize, dice: &mut Dice) {
    for _ in 0..count {
        let (x, y) = (dice.unit() * S, dice.unit() * horizon);
        let r = dice.between(0.5, 1.3);
        let b = dice.between(0.4, 1.0);
        let tone = Rgb(b, b * dice.between(0.85, 1.0), b * dice.between(0.85, 1.1));
        c.shape(
            Area::around(x, y, 4.0),
            |px, py| shape::circle(px, py, x, y, r),
            |_, _| tone,
        );
        if dice.chance(0.08) {
            c.glow(x, y, 9.0, tone * 0.6);
        }
    }
}

/// Sun or moon.
fn disc(c: &mut Canvas, m: &Mood) {
    let (x, y) = m.sun;
    let r = match m.time {
        Time::Day => 20.0,
        Time::Night => 22.0,
        Time::Dawn => 26.0,
        Time::Sunset => 34.0,
    };
    if m.dark() && m.moonless {
        return;
    }
    if m.dark() {
        c.glow(x, y, 110.0, Rgb(0.22, 0.24, 0.34));
        moon(c, x, y, r, m.disc);
    } else {
        c.glow(x, y, r * 5.0, m.disc * 0.45);
        c.shape(
            Area::around(x, y, r + 2.0),
            |px, py| shape::circle(px, py, x, y, r),
            |_, _| m.disc.mix(Rgb::WHITE, 0.4),
        );
    }
}

/// A full moon with its grey plains.
pub(super) fn moon(c: &mut Canvas, x: f32, y: f32, r: f32, tone: Rgb) {
    c.shape(
        Area::around(x, y, r + 2.0),
        |px, py| shape::circle(px, py, x, y, r),
        |px, py| {
            let plain = maths::fbm((px - x) / r * 1.7, (py - y) / r * 1.7, 3, 77);
            tone * (1.0 - 0.35 * maths::smooth(0.5, 0.62, plain))
        },
    );
}

/// Layers of cloud, lit from where the sun stands.
fn clouds(c: &mut Canvas, m: &Mood, horizon: f32, dice: &mut Dice) {
    let seed = dice.seed();
    let amount = dice.between(0.36, 0.56);
    let stretch = dice.between(0.007, 0.013);
    let (bright, dim) = match m.time {
        Time::Dawn => (Rgb(1.0, 0.90, 0.86), Rgb(0.78, 0.68, 0.78)),
        Time::Day => (Rgb::WHITE, Rgb(0.80, 0.86, 0.93)),
        Time::Sunset => (Rgb(1.0, 0.70, 0.44), Rgb(0.56, 0.32, 0.46)),
        Time::Night => (Rgb(0.28, 0.32, 0.50), Rgb(0.11, 0.13, 0.26)),
    };
    let shift = m.side() * -9.0;
    c.change(Area(0.0, 0.0, S, horizon), |x, y, p| {
        let depth = 0.4 + y / horizon;
        let at = |dx: f32, dy: f32| {
            maths::fbm(
                (x + dx) * stretch * depth,
                (y + dy) * 0.021 * depth,
                5,
                seed,
            )
        };
        let v = at(0.0, 0.0);
        let cover = maths::smooth(1.0 - amount, 1.02 - amount * 0.6, v);
        if cover <= 0.0 {
            return p;
        }
        let lit = (0.55 + (v - at(shift, -8.0)) * 5.0).clamp(0.0, 1.0);
        p.mix(
            dim.mix(bright, lit),
            cover * 0.85 * (1.0 - 0.5 * (y / horizon)),
        )
    });
}

/// Height of a ridge at `x`: a rugged line around `base`, `tall` pixels high.
pub(super) fn crest(x: f32, base: f32, tall: f32, rough: (f32, u32), seed: u32) -> f32 {
    base - tall * (maths::fbm(x * rough.0 + 40.0, 3.7, rough.1, seed) - 0.35) * 1.6
}

/// A range of mountains with lit and shaded faces; `snow` is the height fraction above which snow lies.
pub(super) fn mountains(
    c: &mut Canvas,
    m: &Mood,
    base: f32,
    tall: f32,
    look: (Rgb, f32),
    seed: u32,
) {
    let (rock, depth) = look;
    let side = m.side();
    let line: Vec<f32> = (0..=SIZE)
        .map(|x| crest(x as f32, base, tall, (0.0075, 6), seed))
        .collect();
    c.shape(
        Area(0.0, 0.0, S, base + 2.0),
        |x, y| line[x as usize] - y,
        |x, y| {
            let down = y - line[x as usize];
            let face = maths::fbm(x * 0.03 + down * side * 0.022, down * 0.012, 5, seed ^ 9);
            let slope = maths::fbm(
                (x + side * 7.0) * 0.03 + down * side * 0.022,
                down * 0.012,
                5,
                seed ^ 9,
            );
            let lit = (0.5 + (face - slope) * 5.0).clamp(0.0, 1.0);
            let snow = maths::smooth(0.16, 0.0, down / tall - 0.30 + (face - 0.5) * 0.9);
            let tone = rock.mix(Rgb(0.95, 0.96, 1.0), snow * 0.9) * (0.8 + 0.4 * face);
            m.air(
                m.lit(tone, lit),
                depth + 0.25 * (down / tall).clamp(0.0, 1.0),
            )
        },
    );
}

/// A soft hill line filled with a meadow or a wood.
pub(super) fn hill(c: &mut Canvas, m: &Mood, base: f32, tall: f32, look: (Rgb, f32), seed: u32) {
    let (grass, depth) = look;
    let line: Vec<f32> = (0..=SIZE)
        .map(|x| crest(x as f32, base, tall, (0.0042, 3), seed))
        .collect();
    c.shape(
        Area(0.0, base - tall * 2.0, S, S),
        |x, y| (line[x as usize] - y) * 0.9,
        |x, y| {
            let down = y - line[x as usize];
            let fields = maths::fbm(x * 0.012, down * 0.03, 4, seed ^ 5);
            let fine = maths::fbm(x * 0.16, down * 0.3, 2, seed ^ 6);
            let slope = line[(x as usize).min(SIZE - 4) + 3] - line[x as usize];
            let lit = 0.62 + slope * 0.22 * m.side() - down * 0.0012;
            let tone =
                grass.mix(Rgb(0.62, 0.62, 0.24), (fields - 0.45) * 1.1) * (0.84 + 0.32 * fine);
            m.air(m.lit(tone, lit), depth)
        },
    );
}

/// A row of firs standing on a line.
pub(super) fn firs(
    c: &mut Canvas,
    m: &Mood,
    line: impl Fn(f32) -> f32,
    look: (f32, f32),
    dice: &mut Dice,
) {
    let (tall, depth) = look;
    let mut x = -tall * 0.3;
    while x < S + tall * 0.3 {
        let h = tall * dice.between(0.6, 1.15);
        fir(c, m, (x, line(x.clamp(0.0, S - 1.0)) + 2.0), h, depth);
        x += h * dice.between(0.18, 0.42);
    }
}

/// One fir with its foot at a place.
pub(super) fn fir(c: &mut Canvas, m: &Mood, foot: (f32, f32), h: f32, depth: f32) {
    let (x, y) = foot;
    let seed = (x * 13.0 + y * 7.0) as i32 as u32;
    c.shape(
        Area(x - h * 0.3, y - h, x + h * 0.3, y + 1.0),
        |px, py| {
            let t = ((py - (y - h)) / h).clamp(0.0, 1.0);
            let tier = t * 6.0;
            let step = tier - tier.floor();
            let rag = maths::noise(px * 0.35, py * 0.35, seed) - 0.5;
            let half = h * 0.24 * t * (0.62 + 0.38 * step) + rag * h * 0.03 + 0.4;
            ((px - x).abs() - half).max(y - h - py).max(py - y)
        },
        |px, py| {
            let lit = 0.4 + 0.5 * m.side() * (px - x) / (h * 0.24);
            let fine = maths::noise(px * 0.5, py * 0.5, seed);
            m.air(
                m.lit(Rgb(0.13, 0.30, 0.20) * (0.75 + 0.5 * fine), lit),
                depth,
            )
        },
    );
}

/// Water from `top` to `low` that mirrors what stands above it.
pub(super) fn water(c: &mut Canvas, m: &Mood, top: f32, look: (Rgb, f32), dice: &mut Dice) {
    let (deep, rough) = look;
    let seed = dice.seed();
    let above = c.clone();
    c.change(Area(0.0, top, S, S), |x, y, _| {
        let d = y - top;
        let near = d / (S - top);
        let wave = maths::fbm(x * 0.02 / (0.25 + near), d * 0.35 / (0.2 + near), 3, seed) - 0.5;
        let bend = wave * (4.0 + 46.0 * near) * rough;
        let mirror = above.sample(x + bend * 0.7, top - 1.0 - d * 0.92 + bend);
        let tone = deep
            .mix(m.horizon, 0.35 * (1.0 - near))
            .tint(m.shade.mix(m.light, 0.7));
        let blend = 0.72 - 0.34 * near;
        let crestlight = maths::smooth(0.12, 0.3, wave) * rough;
        let path = 1.0 - ((x - m.sun.0).abs() / (30.0 + 90.0 * near)).min(1.0);
        tone.mix(mirror, blend)
            + m.horizon * (crestlight * 0.16)
            + m.disc
                * (path
                    * maths::smooth(0.02, 0.2, wave)
                    * if m.time == Time::Day { 0.25 } else { 0.5 })
    });
}

/// Mist in drifts, thickest at `level`.
pub(super) fn mist(c: &mut Canvas, m: &Mood, level: f32, reach: f32, dice: &mut Dice) {
    let seed = dice.seed();
    let tone = m.horizon.mix(Rgb::WHITE.tint(m.light), 0.25);
    let thick = m.mist;
    c.veil(Area(0.0, level - reach, S, level + reach), tone, |x, y| {
        let v = 1.0 - ((y - level) / reach).abs();
        let drift = maths::fbm(x * 0.006, y * 0.022, 4, seed);
        v.max(0.0) * (0.35 + drift) * thick
    });
}

/// The direction from a ball's middle to the light, and how much a point of the ball is lit.
pub(super) fn ball(m: &Mood, dx: f32, dy: f32) -> f32 {
    let z = (1.0 - dx * dx - dy * dy).max(0.0).sqrt();
    (dx * m.side() * 0.5 - dy * 0.55 + z * 0.66).max(0.0)
}

/// Subjects side by side without hiding one another: `count` columns of the picture, shaken, with a size factor.
pub(super) fn spread(count: usize, dice: &mut Dice) -> Vec<(f32, f32)> {
    let width = S * 0.86 / count as f32;
    let shrink = match count {
        1 => 1.25,
        2 => 1.05,
        3 => 0.85,
        4 => 0.7,
        5 => 0.58,
        _ => 0.5,
    };
    let mut places: Vec<(f32, f32)> = (0..count)
        .map(|i| {
            let shake = if count == 1 { 0.3 } else { 0.13 };
            let x = S * 0.07 + width * (i as f32 + 0.5 + dice.between(-shake, shake));
            (x, shrink * dice.between(0.88, 1.1))
        })
        .collect();
    dice.shuffle(&mut places);
    places
}
