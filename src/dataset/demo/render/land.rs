//! Open land: tents among dunes, tulips in a meadow, mushrooms in a forest.

use crate::dataset::demo::canvas::Area;
use crate::dataset::demo::canvas::Canvas;
use crate::dataset::demo::canvas::Rgb;
use crate::dataset::demo::canvas::S;
use crate::dataset::demo::dice::Dice;
use crate::dataset::demo::maths;
use crate::dataset::demo::scene::Facts;
use crate::dataset::demo::shape;

use super::backdrop::{Mood, crest, firs, hill, mist, mountains, pigment, sky, spread};
use super::extras;

/// Tents between dunes.
pub(super) fn tents(c: &mut Canvas, f: &Facts, m: &Mood, dice: &mut Dice) {
    let horizon = S * dice.between(0.5, 0.56);
    sky(c, m, horizon + 20.0, dice);
    extras::flying(c, f, m, dice);
    dune(c, m, (horizon + 4.0, 34.0, 0.5), dice.seed());
    extras::standing(c, f, m, (S * 0.5, horizon + 34.0), dice);
    dune(c, m, (horizon + 52.0, 62.0, 0.25), dice.seed());
    mist(c, m, horizon + 20.0, 50.0, dice);
    dune(c, m, (horizon + 108.0, 50.0, 0.08), dice.seed());
    for (x, size) in spread(f.count, dice) {
        let w = 84.0 * size.max(0.8);
        let y = S * dice.between(0.8, 0.86);
        c.veil(
            Area(x - w * 1.8, y - w * 0.2, x + w * 1.8, y + w * 0.3),
            m.shade * 0.4,
            |px, py| {
                0.75 * maths::smooth(
                    1.0,
                    0.4,
                    maths::length(
                        (px - x + m.side() * w * 0.4) / (w * 1.3),
                        (py - y) / (w * 0.16),
                    ),
                )
            },
        );
        c.subject(Area(x - w, y - w * 1.15, x + w, y), |c| {
            tent(c, f, m, (x, y, w));
        });
    }
    dune(c, m, (S * 0.93, 30.0, 0.0), dice.seed());
}

/// A dune with wind ripples, one face lit and one in shade.
fn dune(c: &mut Canvas, m: &Mood, look: (f32, f32, f32), seed: u32) {
    let (base, tall, depth) = look;
    let side = m.side();
    let height = |x: f32| {
        let wave = maths::sin(x * 0.011 + (seed % 628) as f32 * 0.01)
            + 0.4 * maths::sin(x * 0.023 + (seed % 311) as f32 * 0.02);
        base - tall * (0.5 * wave + 0.3 * maths::noise(x * 0.008, 1.0, seed))
    };
    c.shape(
        Area(0.0, base - tall * 1.4, S, S),
        |x, y| (height(x) - y) * 0.9,
        |x, y| {
            let down = y - height(x);
            let lean = height(x + 4.0) - height(x - 4.0)
                + 0.7 * (maths::noise(x * 0.012, down * 0.03, seed ^ 2) - 0.5) * 12.0;
            let bend = 18.0 * maths::fbm(x * 0.01, y * 0.014, 3, seed ^ 1);
            let ripple =
                maths::sin(down * (0.75 - 0.4 * (1.0 - depth)) + bend) * 0.05 * (1.0 - depth);
            let lit = 0.62 + lean * 0.055 * side + ripple - down * 0.0012;
            let fine = 0.97 + 0.06 * maths::hash(x as i32, y as i32, seed);
            m.air(m.lit(Rgb(0.90, 0.70, 0.44) * fine, lit), depth)
        },
    );
}

/// One tent with seams, an open door and a pole.
fn tent(c: &mut Canvas, f: &Facts, m: &Mood, at: (f32, f32, f32)) {
    let (x, y, w) = at;
    let tone = pigment(f.hue);
    let top = y - w * 1.05;
    let body = [
        (x - w * 0.95, y),
        (x - w * 0.12, top),
        (x + w * 0.12, top),
        (x + w * 0.95, y),
    ];
    c.shape(
        Area(x - w, top - 2.0, x + w, y + 2.0),
        |px, py| {
            shape::polygon(px, py, &body) + w * 0.05 * maths::sin((py - top) / (y - top) * 3.1)
        },
        |px, py| {
            let t = ((py - top) / (y - top)).max(0.05);
            let a = (px - x) / (w * t);
            let seam = 1.0 - 0.2 * maths::smooth(0.4, 0.5, ((a * 3.0 + 9.5).fract() - 0.5).abs());
            let stripe = if (a * 3.0 + 9.0) as i32 % 2 == 0 {
                tone
            } else {
                tone.mix(Rgb(0.97, 0.92, 0.82), 0.28)
            };
            m.own(stripe, 0.55 + 0.42 * a * m.side() + 0.1 * (1.0 - t)) * seam
        },
    );
    let door = [(x - w * 0.26, y), (x, top + w * 0.42), (x + w * 0.26, y)];
    let inside = if m.dark() {
        Rgb(1.0, 0.72, 0.32)
    } else {
        m.own(Rgb(0.20, 0.13, 0.10), 0.4)
    };
    c.shape(
        Area(x - w * 0.3, top, x + w * 0.3, y + 1.0),
        |px, py| shape::polygon(px, py, &door),
        |_, py| inside * (0.6 + 0.5 * (py - top) / w),
    );
    if m.dark() {
        c.glow(x, y - w * 0.2, w * 0.9, Rgb(0.45, 0.26, 0.08));
    }
    c.shape(
        Area(x - 3.0, top - w * 0.25, x + w * 0.3, top + 3.0),
        |px, py| shape::line(px, py, (x, top), (x, top - w * 0.2), 1.2),
        |_, _| m.own(Rgb(0.4, 0.28, 0.18), 0.6),
    );
    let flag = [
        (x, top - w * 0.2),
        (x + w * 0.2, top - w * 0.14),
        (x, top - w * 0.08),
    ];
    c.shape(
        Area(x - 2.0, top - w * 0.25, x + w * 0.25, top),
        |px, py| shape::polygon(px, py, &flag),
        |_, _| m.own(tone, 0.9),
    );
}

/// Large tulips before a meadow.
pub(super) fn tulips(c: &mut Canvas, f: &Facts, m: &Mood, dice: &mut Dice) {
    let horizon = S * dice.between(0.42, 0.5);
    sky(c, m, horizon + 20.0, dice);
    extras::flying(c, f, m, dice);
    if dice.chance(0.5) {
        mountains(
            c,
            m,
            horizon + 8.0,
            90.0,
            (Rgb(0.44, 0.48, 0.56), 0.6),
            dice.seed(),
        );
    }
    hill(
        c,
        m,
        horizon + 6.0,
        26.0,
        (Rgb(0.36, 0.55, 0.32), 0.45),
        dice.seed(),
    );
    let line = dice.seed();
    firs(
        c,
        m,
        |x| horizon + 26.0 + 8.0 * maths::noise(x * 0.02, 0.0, line),
        (22.0, 0.4),
        dice,
    );
    extras::standing(c, f, m, (S * 0.5, horizon + 40.0), dice);
    mist(c, m, horizon + 20.0, 40.0, dice);
    hill(
        c,
        m,
        horizon + 48.0,
        22.0,
        (Rgb(0.36, 0.62, 0.24), 0.1),
        dice.seed(),
    );
    specks(c, m, horizon + 62.0, dice);
    blades(c, m, (S * 0.82, 340), dice);
    for (x, size) in spread(f.count, dice) {
        let r = 50.0 * size.max(0.6);
        let y = S * dice.between(0.46, 0.58);
        let lean = dice.between(-16.0, 16.0);
        c.subject(Area(x - r, y - r * 1.2, x + r, y + r), |c| {
            tulip(c, f, m, (x, y, r), lean);
        });
    }
    blades(c, m, (S * 1.02, 130), dice);
}

/// Small daisies strewn over the meadow.
fn specks(c: &mut Canvas, m: &Mood, top: f32, dice: &mut Dice) {
    for _ in 0..260 {
        let d = dice.unit();
        let (x, y) = (dice.unit() * S, top + d * d * (S - top));
        let r = 0.7 + 2.2 * d;
        let tone = dice.pick(&[
            Rgb(0.98, 0.97, 0.92),
            Rgb(0.98, 0.92, 0.60),
            Rgb(0.86, 0.84, 0.96),
        ]);
        c.shape(
            Area::around(x, y, 5.0),
            |px, py| shape::ellipse(px, py, (x, y), r, r * 0.7),
            |_, _| m.lit(tone, 0.8),
        );
    }
}

/// Blades of grass with their feet around a line.
fn blades(c: &mut Canvas, m: &Mood, look: (f32, usize), dice: &mut Dice) {
    for _ in 0..look.1 {
        let (x, y) = (dice.unit() * S, look.0 + dice.between(-40.0, 60.0));
        let (h, lean) = (dice.between(26.0, 66.0), dice.between(-14.0, 14.0));
        let tone = Rgb(0.20, 0.48, 0.14).mix(Rgb(0.50, 0.68, 0.22), dice.unit());
        let left = x.min(x + lean) - 3.0;
        c.shape(
            Area(left, y - h, left + lean.abs() + 6.0, y),
            |px, py| {
                let t = ((y - py) / h).clamp(0.0, 1.0);
                (px - x - lean * t * t).abs() - 1.9 * (1.0 - t)
            },
            |_, py| m.lit(tone, 0.35 + 0.5 * (y - py) / h),
        );
    }
}

/// One tulip of three petals on a stem with two leaves.
fn tulip(c: &mut Canvas, f: &Facts, m: &Mood, at: (f32, f32, f32), lean: f32) {
    let (x, y, r) = at;
    let green = Rgb(0.26, 0.54, 0.22);
    let foot = (x + lean, S + 10.0);
    c.shape(
        Area(x - 30.0, y, x + 30.0, S),
        |px, py| shape::line(px, py, (x, y + r * 0.6), foot, r * 0.06 + 1.0),
        |px, _| m.own(green, 0.6 + 0.1 * m.side() * (px - x)),
    );
    for side in [-1.0, 1.0] {
        c.shape(
            Area(x - r * 1.6, y + r, x + r * 1.6, S),
            |px, py| {
                let t = ((py - y - r) / (S - y - r)).clamp(0.0, 1.0);
                let mid = foot.0 + side * r * (1.05 * (1.0 - t) * (0.35 + t));
                (px - mid).abs() - r * 0.2 * maths::sin(t * 2.9 + 0.1).max(0.0)
            },
            |px, py| {
                m.own(
                    green * (0.9 + 0.2 * maths::noise(px * 0.4, py * 0.04, 2)),
                    0.55 + 0.3 * side * m.side(),
                )
            },
        );
    }
    let tone = pigment(f.hue);
    for (dx, wide, bright) in [(-0.42, 0.42, 0.55), (0.42, 0.42, 0.6), (0.0, 0.5, 0.88)] {
        c.shape(
            Area(x - r * 1.1, y - r * 1.3, x + r * 1.1, y + r),
            |px, py| {
                let v = (py - y) / r;
                let t = ((v + 1.05) / 1.8).clamp(0.0, 1.0);
                let open = dx * (1.0 - 0.45 * t * t);
                let half = wide * maths::smooth(0.0, 0.62, t) * maths::smooth(1.08, 0.7, t);
                (((px - x) / r - open).abs() - half)
                    .max(-1.05 - v)
                    .max(v - 0.78)
                    * r
                    * 0.8
            },
            |px, py| {
                let (u, v) = ((px - x) / r - dx, (py - y) / r);
                let vein = 0.94 + 0.1 * maths::noise(u * 16.0, v * 1.6, 8);
                let tip = tone.mix(Rgb(1.0, 0.95, 0.8), maths::smooth(-0.5, -1.1, v) * 0.28);
                m.own(
                    tip * vein,
                    bright + 0.35 * u * m.side() - 0.28 * v - 0.4 * u * u,
                )
            },
        );
    }
}

/// Mushrooms between trunks that fade into fog.
pub(super) fn mushrooms(c: &mut Canvas, f: &Facts, m: &Mood, dice: &mut Dice) {
    let fog = m.horizon.mix(Rgb(0.62, 0.72, 0.66).tint(m.light), 0.55);
    let glow = m.sun.0;
    c.change(Area::ALL, |x, y, _| {
        let near = 1.0 - maths::length((x - glow) / S, (y - S * 0.25) / S);
        fog * (0.62 + 0.5 * near.max(0.0))
    });
    let floor = S * dice.between(0.62, 0.68);
    for (count, depth) in [(16, 0.8), (11, 0.55), (7, 0.28)] {
        for _ in 0..count {
            trunk(
                c,
                m,
                (dice.unit() * S, floor + 30.0 * (1.0 - depth)),
                (fog, depth),
                dice,
            );
        }
        haze(c, fog, (floor, 0.34), dice.seed());
    }
    extras::standing(c, f, m, (S * 0.5, floor + 26.0), dice);
    forest_floor(c, m, (floor, fog), dice.seed());
    for (x, size) in spread(f.count, dice) {
        let r = 62.0 * size.max(0.62);
        let y = S * dice.between(0.64, 0.74);
        let seed = dice.seed();
        c.subject(Area(x - r, y - r * 0.8, x + r, y + r * 1.2), |c| {
            mushroom(c, f, m, (x, y, r), seed);
        });
    }
    shafts(c, m, dice.seed());
    blades(c, m, (S * 1.02, 90), dice);
}

/// Moss and leaves, paler where the fog begins.
fn forest_floor(c: &mut Canvas, m: &Mood, look: (f32, Rgb), seed: u32) {
    let (floor, fog) = look;
    c.shape(
        Area(0.0, floor - 20.0, S, S),
        |x, y| crest(x, floor + 26.0, 26.0, (0.01, 4), seed) - y,
        |x, y| {
            let v = maths::fbm(x * 0.05, y * 0.1, 4, seed ^ 1);
            let leaf = maths::fbm(x * 0.2, y * 0.35, 2, seed ^ 2);
            let tone = Rgb(0.24, 0.34, 0.15)
                .mix(Rgb(0.46, 0.30, 0.15), maths::smooth(0.45, 0.65, v))
                * (0.6 + 0.8 * leaf);
            m.lit(tone, 0.6).mix(fog, 0.4 * maths::smooth(S, floor, y))
        },
    );
}

/// One trunk with bark and boughs.
fn trunk(c: &mut Canvas, m: &Mood, foot: (f32, f32), look: (Rgb, f32), dice: &mut Dice) {
    let (x, y) = foot;
    let (fog, depth) = look;
    let w = (1.1 - depth) * dice.between(13.0, 26.0);
    let (lean, seed) = (dice.between(-18.0, 18.0), dice.seed());
    let bark = Rgb(0.27, 0.21, 0.17);
    let mid = move |py: f32| x + lean * (y - py) / S + 3.0 * maths::noise(py * 0.02, 0.0, seed);
    c.shape(
        Area(x - 60.0, 0.0, x + 60.0, y + 20.0),
        |px, py| (px - mid(py)).abs() - w * (0.8 + 0.5 * maths::smooth(y - 60.0, y + 20.0, py)),
        |px, py| {
            let a = (px - mid(py)) / w;
            let rough = maths::fbm(px * 0.35, py * 0.05, 3, seed);
            m.lit(bark * (0.7 + 0.6 * rough), 0.5 + 0.4 * a * m.side())
                .mix(fog, depth)
        },
    );
    for _ in 0..4 {
        let by = dice.between(20.0, y * 0.6);
        let side = if dice.chance(0.5) { 1.0 } else { -1.0 };
        let tip = (
            mid(by) + side * dice.between(26.0, 70.0),
            by - dice.between(8.0, 42.0),
        );
        c.shape(
            Area(mid(by) - 75.0, tip.1 - 5.0, mid(by) + 75.0, by + 6.0),
            |px, py| {
                shape::line(
                    px,
                    py,
                    (mid(by), by),
                    tip,
                    w * 0.12 * (1.3 - (px - mid(by)).abs() / 70.0),
                )
            },
            |_, _| m.lit(bark * 0.8, 0.4).mix(fog, depth),
        );
    }
}

/// Fog drifting between the trunks.
fn haze(c: &mut Canvas, fog: Rgb, look: (f32, f32), seed: u32) {
    let (level, thick) = look;
    c.veil(Area(0.0, 0.0, S, level + 60.0), fog, |x, y| {
        let drift = maths::fbm(x * 0.006, y * 0.014, 4, seed);
        thick * (0.3 + drift) * maths::smooth(-80.0, level, y)
    });
}

/// Slanting shafts of light.
fn shafts(c: &mut Canvas, m: &Mood, seed: u32) {
    let bright = m.disc * if m.dark() { 0.12 } else { 0.24 };
    c.change(Area(0.0, 0.0, S, S * 0.85), |x, y, p| {
        let along = (x + m.side() * y * 0.5) * 0.013;
        let beam = maths::smooth(0.52, 0.8, maths::fbm(along, 0.5, 2, seed));
        p + bright * (beam * (1.0 - y / (S * 0.85)))
    });
}

/// One mushroom with a spotted cap.
fn mushroom(c: &mut Canvas, f: &Facts, m: &Mood, at: (f32, f32, f32), seed: u32) {
    let (x, y, r) = at;
    let tone = pigment(f.hue);
    c.veil(
        Area(x - r, y + r * 0.9, x + r, y + r * 1.4),
        Rgb(0.04, 0.05, 0.03),
        |px, py| {
            0.6 * maths::smooth(
                1.0,
                0.2,
                maths::length((px - x) / r, (py - y - r * 1.14) / (r * 0.2)),
            )
        },
    );
    c.shape(
        Area(x - r * 0.5, y - r * 0.1, x + r * 0.5, y + r * 1.25),
        |px, py| shape::drop(px, py, (x, y + r * 0.2), (r * 0.15, r * 0.23), r * 0.82),
        |px, py| {
            m.own(
                Rgb(0.94, 0.90, 0.80) * (0.88 + 0.16 * maths::noise(px * 0.5, py * 0.08, 1)),
                0.5 + 1.6 * m.side() * (px - x) / r + 0.3 * maths::smooth(y + r, y, py),
            )
        },
    );
    let gill = y + r * 0.12;
    c.shape(
        Area(x - r, y - r * 0.3, x + r, y + r * 0.5),
        |px, py| shape::ellipse(px, py, (x, gill), r * 0.88, r * 0.15),
        |px, _| {
            m.own(
                Rgb(0.80, 0.72, 0.58) * (0.75 + 0.25 * maths::sin((px - x) / r * 60.0)),
                0.35,
            )
        },
    );
    c.shape(
        Area(x - r - 2.0, y - r, x + r + 2.0, y + r * 0.3),
        |px, py| {
            shape::ellipse(px, py, (x, y + r * 0.12), r * 0.97, r * 0.84)
                .max(py - gill + r * 0.05 - r * 0.1 * (1.0 - ((px - x) / r) * ((px - x) / r)))
        },
        |px, py| {
            let (u, v) = ((px - x) / r, (py - y - r * 0.12) / (r * 0.84));
            let (su, sv) = (u / (1.25 - 0.6 * u * u), v);
            let cell = (su * 4.2, sv * 3.4);
            let (i, j) = (cell.0.floor(), cell.1.floor());
            let jx = maths::hash(i as i32, j as i32, seed) * 0.4 + 0.3;
            let jy = maths::hash(i as i32, j as i32, seed ^ 1) * 0.4 + 0.3;
            let spot = maths::smooth(0.3, 0.22, maths::length(cell.0 - i - jx, cell.1 - j - jy));
            let dot = if f.hue == crate::dataset::demo::scene::Hue::White {
                Rgb(0.62, 0.52, 0.42)
            } else {
                Rgb(0.97, 0.95, 0.88)
            };
            let shine = maths::smooth(0.35, 0.0, maths::length(u - m.side() * 0.3, v + 0.6));
            m.own(
                tone.mix(dot, spot * 0.92),
                0.42 - 0.62 * v + 0.36 * u * m.side() - 0.25 * u * u,
            ) + Rgb::grey(0.16 * shine)
        },
    );
}
