//! Scenes by and under water: boats, canoes, lighthouses, fish.

use crate::dataset::demo::canvas::Area;
use crate::dataset::demo::canvas::Canvas;
use crate::dataset::demo::canvas::Rgb;
use crate::dataset::demo::canvas::S;
use crate::dataset::demo::dice::Dice;
use crate::dataset::demo::maths;
use crate::dataset::demo::scene::Facts;
use crate::dataset::demo::shape;

use super::backdrop::{Mood, crest, firs, mist, mountains, pigment, sky, spread, water};
use super::extras;

/// Sailing boats with their mirror images.
pub(super) fn boats(c: &mut Canvas, f: &Facts, m: &Mood, dice: &mut Dice) {
    let horizon = S * dice.between(0.54, 0.62);
    sky(c, m, horizon, dice);
    if dice.chance(0.5) {
        mountains(
            c,
            m,
            horizon,
            60.0,
            (Rgb(0.40, 0.42, 0.52), 0.68),
            dice.seed(),
        );
    }
    extras::standing(c, f, m, (S * 0.5, horizon), dice);
    extras::flying(c, f, m, dice);
    let mut places: Vec<(f32, f32, f32)> = spread(f.count, dice)
        .into_iter()
        .map(|(x, size)| {
            let near = dice.between(0.15, 1.0);
            (
                x,
                horizon + 16.0 + 84.0 * near,
                (130.0 + 60.0 * near) * size.max(0.66),
            )
        })
        .collect();
    places.sort_by(|a, b| a.1.total_cmp(&b.1));
    water(c, m, horizon, (Rgb(0.06, 0.26, 0.38), 1.0), dice);
    for (x, y, h) in places {
        mirror(c, f, m, (x, y, h));
        let area = Area(x - h * 0.45, y - h * 1.05, x + h * 0.45, y + h * 0.12);
        c.subject(area, |c| boat(c, f, m, (x, y, h), 1.0));
    }
    mist(c, m, horizon, 60.0, dice);
}

/// The boat's broken image in the water.
fn mirror(c: &mut Canvas, f: &Facts, m: &Mood, at: (f32, f32, f32)) {
    let (x, y, h) = at;
    let tone = m.own(pigment(f.hue), 0.5);
    c.veil(
        Area(x - h * 0.4, y, x + h * 0.4, y + h * 0.7),
        tone,
        |px, py| {
            let d = py - y;
            let sway = maths::noise(py * 0.22, x, 4) - 0.5;
            let half = h * 0.3 * (1.0 - d / (h * 0.7));
            let cover = maths::smooth(half, half * 0.6, (px - x + sway * 16.0).abs());
            cover * 0.5 * (1.0 - d / (h * 0.7)) * (0.4 + maths::noise(px * 0.05, py * 0.5, 8))
        },
    );
}

/// Hull, mast and two sails; `up` is 1 upright.
fn boat(c: &mut Canvas, f: &Facts, m: &Mood, at: (f32, f32, f32), up: f32) {
    let (x, y, h) = at;
    let side = -m.side();
    let top = y - h * up;
    let foot = y - h * 0.12;
    c.shape(
        Area(x - h * 0.5, top - 2.0, x + h * 0.5, y),
        |px, py| shape::line(px, py, (x, top), (x, foot), h * 0.009 + 0.5),
        |_, _| m.own(Rgb(0.36, 0.24, 0.15), 0.6),
    );
    let sail = pigment(f.hue);
    let main = [
        (x + side * 3.0, top + h * 0.04),
        (x + side * h * 0.36, foot - h * 0.03),
        (x + side * 3.0, foot - h * 0.03),
    ];
    let jib = [
        (x - side * 2.0, top + h * 0.14),
        (x - side * h * 0.27, foot - h * 0.02),
        (x - side * 3.0, foot - h * 0.06),
    ];
    for (corners, bright) in [(main, 0.9), (jib, 0.6)] {
        c.shape(
            Area(x - h * 0.5, top, x + h * 0.5, y),
            |px, py| shape::polygon(px, py, &corners) - 1.0,
            |px, py| {
                let seam =
                    1.0 - 0.10 * maths::smooth(0.42, 0.5, ((py / h * 7.0).fract() - 0.5).abs());
                let belly = 0.3 * ((px - x).abs() / (h * 0.3))
                    + 0.12 * maths::noise(px * 0.03, py * 0.03, 2);
                m.own(sail, bright - belly) * seam
            },
        );
    }
    let hull = [
        (x - h * 0.38, y - h * 0.13),
        (x + h * 0.36, y - h * 0.13),
        (x + h * 0.24, y + h * 0.02),
        (x - h * 0.26, y + h * 0.02),
    ];
    c.shape(
        Area(x - h * 0.5, y - h * 0.2, x + h * 0.5, y + h * 0.1),
        |px, py| shape::polygon(px, py, &hull) - 2.0,
        |_, py| {
            let v = (py - (y - h * 0.13)) / (h * 0.15);
            let tone = if v < 0.26 {
                Rgb(0.95, 0.93, 0.88)
            } else {
                Rgb(0.45, 0.27, 0.16)
            };
            m.own(tone, 0.85 - 0.45 * v)
        },
    );
}

/// Canoes on a lake that mirrors mountains and firs.
pub(super) fn canoes(c: &mut Canvas, f: &Facts, m: &Mood, dice: &mut Dice) {
    let shore = S * dice.between(0.5, 0.56);
    sky(c, m, shore, dice);
    extras::flying(c, f, m, dice);
    mountains(
        c,
        m,
        shore - 10.0,
        150.0,
        (Rgb(0.46, 0.48, 0.58), 0.5),
        dice.seed(),
    );
    mountains(
        c,
        m,
        shore + 4.0,
        105.0,
        (Rgb(0.32, 0.35, 0.36), 0.22),
        dice.seed(),
    );
    mist(c, m, shore - 8.0, 40.0, dice);
    extras::standing(c, f, m, (S * 0.5, shore - 4.0), dice);
    let line = dice.seed();
    firs(
        c,
        m,
        |x| shore + 5.0 * maths::noise(x * 0.02, 0.0, line),
        (44.0, 0.16),
        dice,
    );
    water(c, m, shore, (Rgb(0.08, 0.24, 0.28), 0.35), dice);
    mist(c, m, shore + 8.0, 26.0, dice);
    for (i, (x, size)) in spread(f.count, dice).into_iter().enumerate() {
        let y = shore + 60.0 + 48.0 * (i % 3) as f32 + dice.between(0.0, 16.0);
        let w = (74.0 * size + 10.0) * (0.8 + 0.35 * (y - shore) / (S - shore));
        c.subject(Area(x - w, y - w * 0.35, x + w, y + w * 0.3), |c| {
            canoe(c, f, m, (x, y, w));
        });
    }
}

/// One canoe with a dark inside, a paddle and its shadow on the water.
fn canoe(c: &mut Canvas, f: &Facts, m: &Mood, at: (f32, f32, f32)) {
    let (x, y, w) = at;
    let tone = pigment(f.hue);
    let bend = |px: f32| ((px - x) / w).clamp(-1.0, 1.0);
    c.veil(
        Area(x - w * 1.1, y, x + w * 1.1, y + w * 0.5),
        tone * 0.25,
        |px, py| {
            let b = bend(px);
            0.65 * (1.0 - b * b) * (1.0 - ((py - y) / (w * 0.45))).max(0.0)
        },
    );
    c.shape(
        Area(x - w - 2.0, y - w * 0.4, x + w + 2.0, y + w * 0.3),
        |px, py| {
            let b = bend(px);
            let rim = y - w * (0.10 + 0.16 * b * b * b * b);
            let keel = y + w * 0.17 * (1.0 - b * b);
            (rim - py).max(py - keel).max((px - x).abs() - w) * 0.9
        },
        |px, py| {
            let b = bend(px);
            let rim = y - w * (0.10 + 0.16 * b * b * b * b);
            let v = (py - rim) / (w * 0.26);
            let plank = 1.0 - 0.12 * maths::smooth(0.4, 0.5, ((v * 3.0).fract() - 0.5).abs());
            if py - rim < 2.2 {
                m.own(Rgb(0.72, 0.52, 0.30), 0.9)
            } else {
                m.own(tone * plank, 0.95 - 0.55 * v)
            }
        },
    );
    c.shape(
        Area(x - w, y - w * 0.3, x + w, y + w * 0.1),
        |px, py| shape::ellipse(px, py, (x, y - w * 0.09), w * 0.72, w * 0.055),
        |px, _| m.own(Rgb(0.30, 0.20, 0.13), 0.3 + 0.3 * bend(px).abs()),
    );
    c.shape(
        Area(x - w, y - w * 0.5, x + w, y + w * 0.2),
        |px, py| {
            shape::line(
                px,
                py,
                (x - w * 0.34, y - w * 0.3),
                (x + w * 0.2, y - w * 0.05),
                w * 0.014 + 0.6,
            )
        },
        |_, _| m.own(Rgb(0.75, 0.58, 0.36), 0.9),
    );
}

/// Lighthouses on a cliff.
pub(super) fn lighthouses(c: &mut Canvas, f: &Facts, m: &Mood, dice: &mut Dice) {
    let horizon = S * dice.between(0.6, 0.66);
    sky(c, m, horizon, dice);
    extras::flying(c, f, m, dice);
    extras::standing(c, f, m, (S * 0.5 - m.side() * 130.0, horizon), dice);
    water(c, m, horizon, (Rgb(0.05, 0.25, 0.36), 1.1), dice);
    let seed = dice.seed();
    let places = spread(f.count, dice);
    let rocks = |x: f32| {
        let near = places
            .iter()
            .map(|p| (x - p.0).abs())
            .fold(f32::MAX, f32::min);
        let shelf = (1.0 - near / 230.0).max(0.0);
        let steps = 46.0 * (maths::fbm(x * 0.025, 9.0, 4, seed ^ 8) - 0.5);
        crest(x, S - 8.0 - 118.0 * shelf - steps, 40.0, (0.03, 5), seed)
    };
    for (x, size) in &places {
        let foot = rocks(*x) + 10.0;
        let h = 235.0 * size.min(1.1);
        c.subject(Area(x - h * 0.2, foot - h * 1.15, x + h * 0.2, foot), |c| {
            lighthouse(c, f, m, (*x, foot, h));
        });
    }
    c.shape(
        Area(0.0, S * 0.55, S, S),
        |x, y| (rocks(x) - y) * 0.7,
        |x, y| {
            let down = y - rocks(x);
            let face = maths::fbm(x * 0.03, y * 0.05, 5, seed ^ 3);
            let left = maths::fbm((x + m.side() * 5.0) * 0.03, y * 0.05, 5, seed ^ 3);
            let moss = maths::smooth(26.0, 4.0, down + 30.0 * (face - 0.5));
            let tone = Rgb(0.46, 0.41, 0.37).mix(Rgb(0.34, 0.46, 0.22), moss * 0.8);
            m.lit(tone * (0.7 + 0.5 * face), 0.5 + (face - left) * 6.0)
        },
    );
    mist(c, m, horizon + 16.0, 60.0, dice);
}

/// One lighthouse with bands of the asked colour.
fn lighthouse(c: &mut Canvas, f: &Facts, m: &Mood, at: (f32, f32, f32)) {
    let (x, foot, h) = at;
    let top = foot - h;
    let half = |py: f32| h * (0.062 + 0.05 * ((py - top) / h).clamp(0.0, 1.2));
    let band = pigment(f.hue);
    let other = if f.hue == crate::dataset::demo::scene::Hue::White {
        Rgb(0.90, 0.88, 0.84)
    } else {
        Rgb(0.96, 0.95, 0.92)
    };
    c.shape(
        Area(x - h * 0.2, top, x + h * 0.2, foot + 4.0),
        |px, py| ((px - x).abs() - half(py)).max(top - py).max(py - foot),
        |px, py| {
            let a = (px - x) / half(py);
            let stripe = ((py - top) / h * 5.0) as i32 % 2 == 0;
            let tone = if stripe { band } else { other };
            m.own(tone, 0.55 + 0.5 * a * m.side() - 0.25 * a * a)
        },
    );
    for k in [0.3, 0.55, 0.8] {
        c.shape(
            Area::around(x, top + h * k, 10.0),
            |px, py| shape::rounded(px, py, (x, top + h * k), (h * 0.014, h * 0.022), 1.5),
            |_, _| {
                if m.dark() {
                    Rgb(1.0, 0.85, 0.45)
                } else {
                    m.own(Rgb(0.15, 0.17, 0.22), 0.7)
                }
            },
        );
    }
    let lamp = top - h * 0.05;
    if m.dark() {
        c.glow(x, lamp, h * 0.6, Rgb(0.75, 0.65, 0.35));
        beam(c, (x, lamp), m.side());
    }
    c.shape(
        Area::around(x, lamp, h * 0.1),
        |px, py| shape::rounded(px, py, (x, lamp), (h * 0.045, h * 0.05), 2.0),
        |px, _| {
            Rgb(1.0, 0.93, 0.68).mix(
                m.own(Rgb(0.5, 0.55, 0.6), 0.6),
                ((px - x).abs() / (h * 0.05)).min(1.0) * 0.6,
            )
        },
    );
    let dark = m.own(band * 0.55, 0.6);
    c.shape(
        Area::around(x, top, h * 0.13),
        |px, py| shape::rounded(px, py, (x, top), (h * 0.085, h * 0.012), 1.5),
        |_, _| dark,
    );
    let cap = [
        (x - h * 0.065, lamp - h * 0.045),
        (x + h * 0.065, lamp - h * 0.045),
        (x, lamp - h * 0.12),
    ];
    c.shape(
        Area::around(x, lamp - h * 0.08, h * 0.1),
        |px, py| shape::polygon(px, py, &cap) - 1.0,
        |_, _| m.own(band, 0.7),
    );
}

/// The beam of a lit lighthouse.
fn beam(c: &mut Canvas, lamp: (f32, f32), side: f32) {
    c.change(Area::ALL, |x, y, p| {
        let (dx, dy) = (
            (x - lamp.0) * -side,
            y - lamp.1 + (x - lamp.0) * -side * 0.16,
        );
        if dx < 4.0 {
            return p;
        }
        let spread = (1.0 - dy.abs() / (3.0 + dx * 0.12)).max(0.0);
        p + Rgb(0.55, 0.5, 0.32) * (spread * (1.0 - dx / 480.0).max(0.0))
    });
}

/// Fish in sunlit water over a reef.
pub(super) fn fish(c: &mut Canvas, f: &Facts, m: &Mood, dice: &mut Dice) {
    let (seed, tint) = (dice.seed(), dice.unit());
    let near = Rgb(0.30, 0.80, 0.86).mix(Rgb(0.36, 0.74, 0.90), tint);
    let deep = Rgb(0.02, 0.22, 0.42).mix(Rgb(0.03, 0.28, 0.40), tint);
    c.change(Area::ALL, |x, y, _| {
        let ray = maths::fbm((x + y * 0.45 * m.side()) * 0.014, 0.5, 3, seed);
        let light = maths::smooth(0.45, 0.75, ray) * (1.0 - y / S) * 0.36;
        near.mix(deep, (y / S).sqrt()) + Rgb(0.8, 0.95, 0.85) * light
    });
    reef(c, m, (S * 0.80, 70.0, 0.55), dice);
    reef(c, m, (S * 0.88, 60.0, 0.2), dice);
    extras::standing(c, f, m, (S * 0.5, S * 0.91), dice);
    for (i, (x, size)) in spread(f.count, dice).into_iter().enumerate() {
        let y = S * (0.2 + 0.17 * (i % 3) as f32 + dice.between(0.0, 0.1));
        let r = 66.0 * size * dice.between(0.9, 1.1);
        let way = if dice.chance(0.5) { 1.0 } else { -1.0 };
        c.subject(
            Area(x - r * 1.3, y - r * 0.8, x + r * 1.3, y + r * 0.8),
            |c| one_fish(c, pigment(f.hue), (x, y, r), way),
        );
    }
    for _ in 0..dice.below(24) + 14 {
        let (x, y, r) = (
            dice.unit() * S,
            dice.unit() * S * 0.8,
            dice.between(1.5, 6.0),
        );
        c.shape(
            Area::around(x, y, r + 2.0),
            |px, py| (shape::circle(px, py, x, y, r)).abs() - 0.5,
            |_, _| Rgb(0.85, 0.97, 1.0),
        );
    }
}

/// A bank of coral.
fn reef(c: &mut Canvas, m: &Mood, look: (f32, f32, f32), dice: &mut Dice) {
    let (base, tall, far) = look;
    let seed = dice.seed();
    let sea = Rgb(0.08, 0.42, 0.56);
    let tones = [
        Rgb(0.90, 0.42, 0.40),
        Rgb(0.93, 0.66, 0.36),
        Rgb(0.66, 0.38, 0.64),
        Rgb(0.45, 0.66, 0.42),
    ];
    for _ in 0..26 {
        let (x, r) = (dice.unit() * S, dice.between(10.0, 30.0));
        let y = crest(x, base, tall, (0.01, 3), seed) + 6.0;
        let tone = dice.pick(&tones).mix(sea, far);
        coral(c, tone, (x, y, r), (dice.below(2), seed));
    }
    c.shape(
        Area(0.0, base - tall, S, S),
        |x, y| crest(x, base, tall, (0.01, 3), seed) - y,
        |x, y| {
            let v = maths::fbm(x * 0.05, y * 0.07, 4, seed);
            let light = maths::smooth(0.5, 0.8, maths::fbm(x * 0.03, y * 0.06, 2, seed ^ 1)) * 0.3;
            (Rgb(0.82, 0.72, 0.52) * (0.6 + 0.5 * v + light))
                .mix(sea, far)
                .tint(m.light)
        },
    );
}

/// One coral: a rough ball, or a bent branch. `look` is kind and seed.
fn coral(c: &mut Canvas, tone: Rgb, at: (f32, f32, f32), look: (usize, u32)) {
    let (x, y, r) = at;
    let (kind, seed) = look;
    c.shape(
        Area(x - r, y - r * 1.6, x + r, y + r),
        |px, py| {
            if kind == 0 {
                let bumps = 3.0 * maths::noise(px * 0.3, py * 0.3, seed);
                return shape::circle(px, py, x, y, r * 0.8) + bumps;
            }
            let half = r * 0.16 * (1.0 + maths::noise(px * 0.1, py * 0.25, seed));
            ((px - x + 4.0 * maths::sin(py * 0.12)).abs() - half).max(y - r * 1.5 - py)
        },
        |px, py| {
            let rough = maths::fbm(px * 0.15, py * 0.15, 3, seed);
            tone * (0.72 + 0.5 * rough - 0.25 * (py - y) / r)
        },
    );
}

/// One fish with stripes, fins and an eye.
fn one_fish(c: &mut Canvas, tone: Rgb, at: (f32, f32, f32), way: f32) {
    let (x, y, r) = at;
    let local = |px: f32, py: f32| ((px - x) * way / r, (py - y) / r);
    let fin = tone * 0.75 + Rgb::grey(0.08);
    c.shape(
        Area::around(x, y, r * 1.5),
        |px, py| {
            let (u, v) = local(px, py);
            let tail = shape::polygon(
                u,
                v,
                &[(-0.7, 0.0), (-1.25, -0.46), (-1.08, 0.0), (-1.25, 0.46)],
            );
            let back = shape::polygon(u, v, &[(0.35, -0.4), (-0.5, -0.72), (-0.55, -0.2)]);
            let belly = shape::polygon(u, v, &[(0.1, 0.4), (-0.4, 0.68), (-0.45, 0.2)]);
            tail.min(back).min(belly) * r - 1.5
        },
        |px, py| {
            let (u, v) = local(px, py);
            fin * (0.85 + 0.25 * maths::sin((v * 24.0 + u * 6.0) * 1.0))
        },
    );
    c.shape(
        Area::around(x, y, r * 1.2),
        |px, py| {
            let (u, v) = local(px, py);
            let half = 0.5 * (1.0 - u * u).max(0.0) * (1.0 + 0.22 * u);
            (v.abs() - half).max(u.abs() - 0.98) * r * 0.75
        },
        |px, py| {
            let (u, v) = local(px, py);
            let stripe = maths::smooth(0.10, 0.06, (u - 0.22).abs()).max(maths::smooth(
                0.11,
                0.07,
                (u + 0.32).abs(),
            ));
            let scale = 1.0 - 0.12 * maths::noise(u * 26.0, v * 26.0, 4);
            let lit = 0.98 - 0.62 * (v + 0.15);
            (tone
                .mix(Rgb(0.98, 0.97, 0.94), stripe * 0.9)
                .mix(Rgb::WHITE, (0.25 * (v - 0.2)).max(0.0))
                * scale)
                * lit.clamp(0.35, 1.2)
        },
    );
    let (ex, ey) = (x + way * r * 0.62, y - r * 0.1);
    c.shape(
        Area::around(ex, ey, r * 0.2),
        |px, py| shape::circle(px, py, ex, ey, r * 0.11),
        |_, _| Rgb::WHITE,
    );
    c.shape(
        Area::around(ex, ey, r * 0.2),
        |px, py| shape::circle(px, py, ex + way * r * 0.02, ey, r * 0.06),
        |_, _| Rgb(0.05, 0.05, 0.08),
    );
}
