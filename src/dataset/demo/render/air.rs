//! Things that fly: balloons by day, paper lanterns by night.

use crate::dataset::demo::canvas::Area;
use crate::dataset::demo::canvas::Canvas;
use crate::dataset::demo::canvas::Rgb;
use crate::dataset::demo::canvas::S;
use crate::dataset::demo::dice::Dice;
use crate::dataset::demo::maths;
use crate::dataset::demo::scene::Facts;
use crate::dataset::demo::shape;

use super::backdrop::{Mood, firs, hill, mist, mountains, pigment, sky, spread, water};
use super::extras;

/// Balloons over three lines of hills.
pub(super) fn balloons(c: &mut Canvas, f: &Facts, m: &Mood, dice: &mut Dice) {
    let horizon = S * dice.between(0.66, 0.74);
    sky(c, m, horizon + 30.0, dice);
    if dice.chance(0.6) {
        mountains(
            c,
            m,
            horizon + 10.0,
            120.0,
            (Rgb(0.42, 0.44, 0.52), 0.55),
            dice.seed(),
        );
    }
    hill(
        c,
        m,
        horizon,
        40.0,
        (Rgb(0.36, 0.52, 0.30), 0.5),
        dice.seed(),
    );
    mist(c, m, horizon + 12.0, 46.0, dice);
    extras::standing(c, f, m, (S * 0.5, horizon + 34.0), dice);
    hill(
        c,
        m,
        horizon + 46.0,
        46.0,
        (Rgb(0.33, 0.53, 0.24), 0.22),
        dice.seed(),
    );
    mist(c, m, horizon + 62.0, 40.0, dice);
    let front = dice.seed();
    firs(
        c,
        m,
        |x| horizon + 104.0 + 16.0 * maths::noise(x * 0.02, 0.0, front),
        (34.0, 0.08),
        dice,
    );
    hill(
        c,
        m,
        horizon + 112.0,
        36.0,
        (Rgb(0.25, 0.45, 0.18), 0.0),
        dice.seed(),
    );
    let stripes = dice.below(3);
    for (x, size) in spread(f.count, dice) {
        let r = 66.0 * size;
        let y = S * dice.between(0.2, 0.42) + 8.0;
        c.subject(Area(x - r, y - r, x + r, y + r * 2.1), |c| {
            balloon(c, f, m, (x, y, r), stripes);
        });
    }
    extras::flying(c, f, m, dice);
}

/// One balloon: envelope with gores, ropes and basket.
fn balloon(c: &mut Canvas, f: &Facts, m: &Mood, at: (f32, f32, f32), stripes: usize) {
    let (x, y, r) = at;
    let (basket, w) = (y + r * 1.78, r * 0.16);
    let rope = m.own(Rgb(0.28, 0.2, 0.15), 0.6);
    for side in [-1.0, 1.0] {
        c.shape(
            Area(x - r, y + r, x + r, basket + 4.0),
            |px, py| {
                shape::line(
                    px,
                    py,
                    (x + side * r * 0.26, y + r * 1.15),
                    (x + side * w * 0.9, basket - w),
                    0.7,
                )
            },
            |_, _| rope,
        );
    }
    let main = pigment(f.hue);
    let second = if stripes == 0 {
        main * 0.8
    } else {
        Rgb(0.97, 0.95, 0.88)
    };
    let glow = if m.dark() { 0.55 } else { 0.0 };
    c.shape(
        Area(x - r - 2.0, y - r - 2.0, x + r + 2.0, y + r * 1.6),
        |px, py| shape::drop(px, py, (x, y), (r, r * 0.2), r * 1.1).max(py - y - r * 1.24),
        |px, py| {
            let (u, v) = ((px - x) / r, (py - y) / r);
            let width = if v < 0.3 {
                (1.0 - v * v).max(0.02).sqrt()
            } else {
                (0.96 - (v - 0.3) * 0.72).max(0.2)
            };
            let a = (u / width).clamp(-1.0, 1.0);
            let turn = a * (1.0 + 0.35 * a * a) * 3.4;
            let odd = match stripes {
                2 => (v * 3.0 + 20.0) as i32 % 3 == 0,
                _ => (turn + 20.5) as i32 % 3 == 0,
            };
            let gore = 1.0 - 0.16 * maths::smooth(0.38, 0.5, ((turn + 20.5).fract() - 0.5).abs());
            let tone = if odd { second } else { main };
            let z = (1.0 - a * a * 0.98).max(0.0).sqrt();
            let lit = 0.42 * z + 0.34 * a * m.side() - 0.26 * v + 0.24;
            let warm = tone.tint(Rgb(1.2, 0.9, 0.55)) * (glow * (0.4 + 0.6 * z) * (0.7 + 0.5 * v));
            (m.own(tone, lit) + warm) * gore
        },
    );
    c.shape(
        Area::around(x, basket, w * 2.0),
        |px, py| shape::rounded(px, py, (x, basket), (w, w * 0.85), w * 0.25),
        |px, py| {
            let weave = 0.85 + 0.2 * maths::noise(px * 0.8, py * 1.4, 3);
            m.own(
                Rgb(0.60, 0.40, 0.20) * weave,
                0.6 + 0.4 * m.side() * (px - x) / w,
            )
        },
    );
    if m.dark() {
        c.glow(x, y + r * 1.3, r * 0.5, Rgb(0.9, 0.55, 0.15));
    }
}

/// Paper lanterns above a river at night, a crowd of small ones behind.
pub(super) fn lanterns(c: &mut Canvas, f: &Facts, m: &Mood, dice: &mut Dice) {
    let shore = S * dice.between(0.66, 0.72);
    sky(c, m, shore, dice);
    mountains(
        c,
        m,
        shore,
        110.0,
        (Rgb(0.22, 0.24, 0.36), 0.35),
        dice.seed(),
    );
    extras::standing(c, f, m, (S * 0.5, shore), dice);
    let line = dice.seed();
    firs(
        c,
        m,
        |x| shore - 3.0 + 5.0 * maths::noise(x * 0.03, 0.0, line),
        (26.0, 0.1),
        dice,
    );
    for (x, size) in spread(f.count, dice) {
        let r = 46.0 * size;
        let y = S * dice.between(0.2, 0.46);
        c.subject(Area(x - r, y - r * 1.3, x + r, y + r * 1.5), |c| {
            lantern(c, pigment(f.hue), (x, y, r));
        });
    }
    extras::flying(c, f, m, dice);
    c.marking = false;
    water(c, m, shore, (Rgb(0.05, 0.08, 0.18), 0.55), dice);
}

/// One lantern, lit from within.
fn lantern(c: &mut Canvas, tone: Rgb, at: (f32, f32, f32)) {
    let (x, y, r) = at;
    c.glow(
        x,
        y + r * 0.3,
        r * 3.2,
        tone.mix(Rgb(1.0, 0.6, 0.2), 0.4) * 0.5,
    );
    c.shape(
        Area(x - r, y - r * 1.4, x + r, y + r * 1.5),
        |px, py| {
            let v = (py - y) / r;
            let half = r * (0.74 - 0.16 * v - 0.2 * (v + 0.1) * (v + 0.1));
            ((px - x).abs() - half).max((py - y).abs() - r * 1.15)
        },
        |px, py| {
            let (u, v) = ((px - x) / r, (py - y) / r);
            let fire = 1.0 - maths::length(u * 0.9, (v - 0.75) * 0.62).min(1.0);
            let rib = 1.0 - 0.14 * maths::smooth(0.36, 0.5, ((v * 4.0 + 10.0).fract() - 0.5).abs());
            let paper = 0.95 + 0.1 * maths::noise(px * 0.3, py * 0.3, 5);
            (tone * (0.62 + 0.5 * fire) + Rgb(1.0, 0.72, 0.3) * (fire * fire * 0.75))
                * (rib * paper)
        },
    );
    c.shape(
        Area(x - r, y + r, x + r, y + r * 1.4),
        |px, py| shape::rounded(px, py, (x, y + r * 1.16), (r * 0.4, r * 0.07), 2.0),
        |_, _| Rgb(0.35, 0.2, 0.08),
    );
}
