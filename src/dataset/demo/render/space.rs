//! Planets before a nebula.

use crate::dataset::demo::canvas::Area;
use crate::dataset::demo::canvas::Canvas;
use crate::dataset::demo::canvas::Rgb;
use crate::dataset::demo::canvas::S;
use crate::dataset::demo::dice::Dice;
use crate::dataset::demo::maths;
use crate::dataset::demo::scene::Facts;
use crate::dataset::demo::shape;

use super::backdrop::{Mood, pigment, spread, stars};
use super::extras;

/// Planets, some with rings, before stars and a nebula.
pub(super) fn planets(c: &mut Canvas, f: &Facts, m: &Mood, dice: &mut Dice) {
    let (seed, turn) = (dice.seed(), dice.unit());
    let one = Rgb(0.34, 0.10, 0.42).mix(Rgb(0.08, 0.26, 0.46), turn);
    let two = Rgb(0.62, 0.24, 0.26).mix(Rgb(0.12, 0.44, 0.42), dice.unit());
    c.change(Area::ALL, |x, y, _| {
        let fold = maths::fbm(x * 0.006, y * 0.006, 4, seed ^ 1) * 2.4;
        let a = maths::fbm(x * 0.005 + fold, y * 0.005, 5, seed);
        let b = maths::fbm(x * 0.007, y * 0.007 + fold, 5, seed ^ 2);
        Rgb(0.015, 0.015, 0.05)
            + one * (maths::smooth(0.38, 0.8, a) * 0.9)
            + two * (maths::smooth(0.5, 0.85, b) * 0.7)
    });
    stars(c, S, 320, dice);
    extras::flying(c, f, m, dice);
    for (x, size) in spread(f.count, dice) {
        let r = 88.0 * size;
        let y = S * dice.between(0.36, 0.64);
        let look = (dice.below(3), dice.chance(0.5), dice.seed());
        let reach = if look.1 { r * 1.7 } else { r };
        c.subject(Area(x - reach, y - r, x + reach, y + r), |c| {
            planet(c, pigment(f.hue), m, (x, y, r), look);
        });
    }
}

/// One planet; `look` is kind of surface, rings or not, seed.
fn planet(c: &mut Canvas, tone: Rgb, m: &Mood, at: (f32, f32, f32), look: (usize, bool, u32)) {
    let (x, y, r) = at;
    let (kind, rings, seed) = look;
    c.glow(x, y, r * 1.7, tone * 0.28);
    if rings {
        ring(c, tone, at, -1.0);
    }
    let side = m.side();
    c.shape(
        Area::around(x, y, r + 2.0),
        |px, py| shape::circle(px, py, x, y, r),
        |px, py| {
            let (u, v) = ((px - x) / r, (py - y) / r);
            let z = (1.0 - u * u - v * v).max(0.0).sqrt();
            let (su, sv) = (u / (0.5 + z), v / (0.5 + z));
            let fold = maths::fbm(su * 2.0 + 9.0, sv * 2.0, 4, seed);
            let value = match kind {
                0 => maths::fbm(su * 0.9 + fold * 0.5, sv * 7.0 + fold * 1.6, 4, seed ^ 1),
                1 => maths::fbm(su * 2.6 + fold, sv * 2.6 + fold, 5, seed ^ 2),
                _ => {
                    0.35 + 0.5
                        * maths::smooth(0.46, 0.54, maths::fbm(su * 2.2, sv * 2.2, 5, seed ^ 3))
                }
            };
            let skin = (tone * (0.5 + 0.85 * value))
                .mix(Rgb(0.98, 0.95, 0.9), maths::smooth(0.62, 0.85, value) * 0.4);
            let light = (u * side * 0.72 - v * 0.4 + z * 0.56).max(0.0);
            let rim = (1.0 - z) * (1.0 - z) * light;
            skin * (0.05 + 1.05 * light) + tone * (rim * 0.5)
        },
    );
    if rings {
        ring(c, tone, at, 1.0);
    }
}

/// Half of a planet's rings: the near one for 1, the far one for -1.
fn ring(c: &mut Canvas, tone: Rgb, at: (f32, f32, f32), near: f32) {
    let (x, y, r) = at;
    let pale = tone.mix(Rgb(0.9, 0.84, 0.72), 0.6);
    let place = move |px: f32, py: f32| {
        let (dx, dy) = (px - x, py - y);
        let (u, v) = (dx * 0.966 + dy * 0.259, dy * 0.966 - dx * 0.259);
        (maths::length(u, v * 4.0) / r, v)
    };
    c.shape(
        Area::around(x, y, r * 1.85),
        |px, py| {
            let (d, v) = place(px, py);
            ((d - 1.5).abs() * r * 0.5 - r * 0.11).max(-v * near)
        },
        |px, py| {
            let (d, _) = place(px, py);
            pale * (0.55 + 0.55 * maths::noise(d * 26.0, 0.0, 6))
        },
    );
}
