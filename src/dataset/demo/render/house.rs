//! Built places: a city by night or day, cabins in the snow, umbrellas in a street.

use crate::dataset::demo::canvas::Area;
use crate::dataset::demo::canvas::Canvas;
use crate::dataset::demo::canvas::Rgb;
use crate::dataset::demo::canvas::S;
use crate::dataset::demo::dice::Dice;
use crate::dataset::demo::maths;
use crate::dataset::demo::scene::Facts;
use crate::dataset::demo::scene::Time;
use crate::dataset::demo::shape;

use super::backdrop::{Mood, crest, fir, firs, mist, mountains, pigment, sky, spread, water};
use super::extras;

/// A skyline by a river; the subject is tall coloured towers among grey blocks.
pub(super) fn city(c: &mut Canvas, f: &Facts, m: &Mood, dice: &mut Dice) {
    let shore = S * dice.between(0.70, 0.76);
    sky(c, m, shore, dice);
    extras::flying(c, f, m, dice);
    for depth in [0.75, 0.5, 0.25] {
        let mut x = -10.0;
        while x < S {
            let w = dice.between(22.0, 46.0);
            let h = dice.between(60.0, 170.0) * (0.6 + 0.4 * depth);
            let tone = Rgb(0.44, 0.47, 0.55) * dice.between(0.8, 1.15);
            block(c, m, (x, shore - h, x + w, shore), (tone, depth), dice);
            x += w + dice.between(-4.0, 10.0);
        }
    }
    for (x, size) in spread(f.count, dice) {
        let (w, h) = (34.0 * size.max(0.6) + 12.0, dice.between(225.0, 300.0));
        let area = Area(x - w, shore - h, x + w, shore);
        c.subject(area, |c| {
            tower(c, f, m, (x, shore, w, h), dice);
        });
    }
    mist(c, m, shore - 30.0, 80.0, dice);
    extras::standing(c, f, m, (S * 0.5, shore), dice);
    c.change(Area(0.0, shore - 3.0, S, shore + 1.0), |_, _, _| {
        m.lit(Rgb(0.25, 0.25, 0.28), 0.5)
    });
    water(c, m, shore, (Rgb(0.06, 0.14, 0.24), 0.7), dice);
}

/// How bright the windows burn.
fn window_light(m: &Mood) -> f32 {
    match m.time {
        Time::Night => 1.0,
        Time::Sunset => 0.55,
        Time::Dawn => 0.3,
        Time::Day => 0.0,
    }
}

/// A grey building with windows.
fn block(c: &mut Canvas, m: &Mood, at: (f32, f32, f32, f32), look: (Rgb, f32), dice: &mut Dice) {
    let (x0, y0, x1, y1) = at;
    let (tone, depth) = look;
    let seed = dice.seed();
    let (wx, wy) = (dice.between(5.0, 7.5), dice.between(6.5, 10.0));
    let burn = window_light(m) * (1.0 - depth * 0.6);
    let side = m.side();
    c.shape(
        Area(x0 - 1.0, y0 - 1.0, x1 + 1.0, y1),
        |x, y| (x0 - x).max(x - x1).max(y0 - y),
        |x, y| {
            let lit = 0.45 + 0.35 * side * ((x - x0) / (x1 - x0) - 0.5) * 2.0;
            m.air(m.lit(tone, lit), depth).mix(
                pane(x - x0, y - y0, (wx, wy, seed), burn, m),
                (1.0 - depth) * cover(x - x0, y - y0, (wx, wy)),
            )
        },
    );
}

/// How far a place of a wall is window.
fn cover(x: f32, y: f32, cell: (f32, f32)) -> f32 {
    let (u, v) = ((x / cell.0).fract(), (y / cell.1).fract());
    let inside = maths::smooth(0.16, 0.3, u) * maths::smooth(0.92, 0.78, u);
    inside * maths::smooth(0.2, 0.34, v) * maths::smooth(0.88, 0.74, v)
}

/// The colour of a window.
fn pane(x: f32, y: f32, cell: (f32, f32, u32), burn: f32, m: &Mood) -> Rgb {
    let (i, j) = ((x / cell.0) as i32, (y / cell.1) as i32);
    let on = maths::hash(i, j, cell.2) < 0.2 + 0.4 * burn;
    let warm = maths::hash(i, j, cell.2 ^ 7);
    let glass = m.zenith.mix(m.horizon, 0.4) * 0.75;
    if on && burn > 0.0 {
        glass.mix(Rgb(1.0, 0.80 + 0.12 * warm, 0.42 + 0.4 * warm), burn)
    } else {
        glass * (0.6 + 0.3 * warm)
    }
}

/// A tall tower of the asked colour with a stepped or pointed top.
fn tower(c: &mut Canvas, f: &Facts, m: &Mood, at: (f32, f32, f32, f32), dice: &mut Dice) {
    let (x, foot, w, h) = at;
    let top = foot - h;
    let (kind, seed) = (dice.below(3), dice.seed());
    let half = w * 0.5;
    let tone = pigment(f.hue);
    let burn = window_light(m);
    let own = if m.dark() { tone * 0.42 } else { Rgb::BLACK };
    let width = move |y: f32| {
        let t = (y - top) / h;
        match kind {
            0 if t < 0.12 => half * 0.45,
            0 if t < 0.28 => half * 0.72,
            1 if t < 0.2 => half * (t / 0.2).max(0.05),
            _ => half,
        }
    };
    c.shape(
        Area(x - w, top - 2.0, x + w, foot),
        |px, py| ((px - x).abs() - width(py)).max(top - py),
        |px, py| {
            let a = (px - x) / half;
            let lit = 0.6 + 0.4 * a * m.side();
            let wall = m.own(tone, lit) + own * (0.6 + 0.4 * ((py - top) / h));
            let rib = 1.0
                - 0.18 * maths::smooth(0.38, 0.5, (((px - x) / 8.0 + 40.0).fract() - 0.5).abs());
            (wall * rib).mix(
                pane(px - x + 400.0, py - top, (8.0, 9.0, seed), burn, m),
                0.85 * cover(px - x + 400.0, py - top, (8.0, 9.0)),
            )
        },
    );
    c.shape(
        Area(x - 3.0, top - 36.0, x + 3.0, top + 2.0),
        |px, py| shape::line(px, py, (x, top), (x, top - 30.0), 0.9),
        |_, _| m.own(Rgb(0.5, 0.5, 0.55), 0.6),
    );
    if burn > 0.4 {
        c.glow(x, top - 30.0, 14.0, tone * 0.9);
    }
}

/// Cabins with coloured walls and snow on their roofs.
pub(super) fn cabins(c: &mut Canvas, f: &Facts, m: &Mood, dice: &mut Dice) {
    let ground = S * dice.between(0.56, 0.62);
    sky(c, m, ground, dice);
    extras::flying(c, f, m, dice);
    mountains(
        c,
        m,
        ground + 6.0,
        160.0,
        (Rgb(0.56, 0.60, 0.70), 0.45),
        dice.seed(),
    );
    let line = dice.seed();
    firs(
        c,
        m,
        |x| ground + 14.0 + 10.0 * maths::noise(x * 0.02, 0.0, line),
        (54.0, 0.3),
        dice,
    );
    mist(c, m, ground, 50.0, dice);
    snowfield(c, m, (ground + 8.0, 26.0), dice);
    for _ in 0..5 {
        let (x, h) = (dice.unit() * S, dice.between(70.0, 120.0));
        fir(c, m, (x, ground + 52.0), h, 0.1);
    }
    for (x, size) in spread(f.count, dice) {
        let w = 66.0 * size.max(0.85);
        let y = ground + 92.0 + dice.between(-14.0, 30.0);
        c.subject(Area(x - w * 1.1, y - w * 1.6, x + w * 1.1, y), |c| {
            cabin(c, f, m, (x, y, w));
        });
    }
    snowfield(c, m, (S * 0.87, 18.0), dice);
    extras::standing(c, f, m, (S * 0.5, S * 0.90), dice);
    snowfall(c, m, dice);
}

/// Flakes in the air.
fn snowfall(c: &mut Canvas, m: &Mood, dice: &mut Dice) {
    for _ in 0..130 {
        let (x, y, r) = (dice.unit() * S, dice.unit() * S, dice.between(0.6, 2.0));
        c.shape(
            Area::around(x, y, 4.0),
            |px, py| shape::circle(px, py, x, y, r),
            |_, _| Rgb::grey(if m.dark() { 0.8 } else { 1.0 }),
        );
    }
}

/// Snow with soft blue hollows.
fn snowfield(c: &mut Canvas, m: &Mood, at: (f32, f32), dice: &mut Dice) {
    let (top, tall) = at;
    let seed = dice.seed();
    c.shape(
        Area(0.0, top - tall * 2.0, S, S),
        |x, y| crest(x, top, tall, (0.005, 2), seed) - y,
        |x, y| {
            let fold = maths::fbm(x * 0.01, y * 0.025, 4, seed ^ 1);
            let next = maths::fbm((x + m.side() * 6.0) * 0.01, y * 0.025, 4, seed ^ 1);
            let sparkle = maths::smooth(0.985, 1.0, maths::hash(x as i32, y as i32, seed)) * 0.12;
            m.lit(Rgb(0.94, 0.96, 1.0), 0.72 + (fold - next) * 2.6) + Rgb::grey(sparkle)
        },
    );
}

/// One cabin: wall of logs, door, window, roof under snow, chimney with smoke.
fn cabin(c: &mut Canvas, f: &Facts, m: &Mood, at: (f32, f32, f32)) {
    let (x, y, w) = at;
    let eave = y - w * 0.75;
    let wall = pigment(f.hue).mix(Rgb(0.5, 0.36, 0.26), 0.12);
    smoke(c, m, (x + w * 0.45, y - w * 1.65), w);
    chimney(c, m, at, eave);
    let body = [
        (x - w * 0.78, y),
        (x - w * 0.78, eave),
        (x, y - w * 1.42),
        (x + w * 0.78, eave),
        (x + w * 0.78, y),
    ];
    c.shape(
        Area(x - w, y - w * 1.5, x + w, y + 1.0),
        |px, py| shape::polygon(px, py, &body),
        |px, py| {
            let log =
                1.0 - 0.22 * maths::smooth(0.34, 0.5, ((py / (w * 0.11)).fract() - 0.5).abs());
            m.own(
                wall * (log * (0.92 + 0.16 * maths::noise(px * 0.06, py * 0.8, 2))),
                0.62 + 0.3 * m.side() * (px - x) / w,
            )
        },
    );
    openings(c, m, at);
    snowy_roof(c, m, at, eave);
}

/// A chimney of brick.
fn chimney(c: &mut Canvas, m: &Mood, at: (f32, f32, f32), eave: f32) {
    let (x, y, w) = at;
    c.shape(
        Area(x + w * 0.3, y - w * 1.7, x + w * 0.6, eave),
        |px, py| {
            shape::rounded(
                px,
                py,
                (x + w * 0.45, y - w * 1.25),
                (w * 0.1, w * 0.36),
                1.0,
            )
        },
        |px, py| {
            m.own(
                Rgb(0.52, 0.36, 0.32) * (0.8 + 0.3 * maths::noise(px * 0.3, py * 0.5, 1)),
                0.6,
            )
        },
    );
}

/// Windows, lit from within, and a door.
fn openings(c: &mut Canvas, m: &Mood, at: (f32, f32, f32)) {
    let (x, y, w) = at;
    let burn = 0.35 + 0.65 * window_light(m);
    let light = Rgb(0.36, 0.42, 0.5).mix(Rgb(1.0, 0.80, 0.42), burn);
    for wx in [x - w * 0.42, x + w * 0.42] {
        if burn > 0.6 {
            c.glow(wx, y - w * 0.38, w * 0.55, Rgb(0.5, 0.32, 0.1));
        }
        c.shape(
            Area::around(wx, y - w * 0.38, w * 0.3),
            |px, py| shape::rounded(px, py, (wx, y - w * 0.38), (w * 0.16, w * 0.17), 1.0),
            |px, py| {
                let bar = (px - wx).abs().min((py - y + w * 0.38).abs());
                if bar < w * 0.025
                    || (px - wx).abs() > w * 0.135
                    || (py - y + w * 0.38).abs() > w * 0.145
                {
                    m.own(Rgb(0.93, 0.9, 0.84), 0.8)
                } else {
                    light
                }
            },
        );
    }
    c.shape(
        Area(x - w * 0.2, y - w * 0.6, x + w * 0.2, y),
        |px, py| shape::rounded(px, py, (x, y - w * 0.26), (w * 0.13, w * 0.27), 2.0),
        |_, _| m.own(Rgb(0.33, 0.21, 0.14), 0.7),
    );
}

/// Two slopes under thick snow.
fn snowy_roof(c: &mut Canvas, m: &Mood, at: (f32, f32, f32), eave: f32) {
    let (x, y, w) = at;
    for side in [-1.0, 1.0] {
        c.shape(
            Area(x - w * 1.2, y - w * 1.7, x + w * 1.2, y),
            |px, py| {
                shape::line(
                    px,
                    py,
                    (x, y - w * 1.47),
                    (x + side * w * 0.92, eave + w * 0.05),
                    w * 0.1,
                ) + 1.5 * maths::noise(px * 0.1, 0.0, 3)
            },
            |px, py| {
                m.own(
                    Rgb(0.97, 0.98, 1.0),
                    0.75 + 0.25 * side * m.side() - 0.006 * (py - y + w).max(0.0)
                        + 0.05 * maths::noise(px * 0.1, py * 0.1, 4),
                )
            },
        );
    }
}

/// Smoke from a chimney.
fn smoke(c: &mut Canvas, m: &Mood, at: (f32, f32), w: f32) {
    let (x, y) = at;
    let tone = m.lit(Rgb(0.9, 0.9, 0.93), 0.7);
    c.veil(Area(x - w, y - w * 1.8, x + w * 1.6, y), tone, |px, py| {
        let rise = (y - py) / (w * 1.8);
        let drift = x + rise * rise * w * 0.7 + (maths::noise(py * 0.05, x, 5) - 0.5) * w * 0.25;
        let half = w * (0.06 + 0.26 * rise);
        let puff = maths::fbm(px * 0.06, py * 0.06, 3, 11);
        maths::smooth(half, 0.0, (px - drift).abs()) * (1.0 - rise) * puff * 1.1
    });
}

/// People under umbrellas in a wet street with lamps and shop windows.
pub(super) fn umbrellas(c: &mut Canvas, f: &Facts, m: &Mood, dice: &mut Dice) {
    let ground = S * dice.between(0.58, 0.63);
    sky(c, m, ground, dice);
    c.veil(
        Area(0.0, 0.0, S, ground),
        m.horizon.saturate(0.5) * 0.85,
        |_, _| 0.45,
    );
    for side in [0.0, 1.0] {
        let mut x: f32 = 0.0;
        while x < 205.0 {
            let w = dice.between(46.0, 78.0);
            let far = x / 205.0;
            let h = 330.0 * (1.0 - far * 0.62) * dice.between(0.85, 1.1);
            let tone = dice.pick(&[
                Rgb(0.55, 0.42, 0.38),
                Rgb(0.46, 0.48, 0.52),
                Rgb(0.62, 0.54, 0.44),
                Rgb(0.44, 0.40, 0.46),
            ]);
            let left = if side == 0.0 { x } else { S - x - w };
            block(
                c,
                m,
                (left, ground + 6.0 - h, left + w, ground + 8.0),
                (tone, far * 0.75),
                dice,
            );
            x += w;
        }
    }
    if m.time != Time::Day {
        shop_lights(c, ground, dice);
    }
    mist(c, m, ground - 20.0, 90.0, dice);
    let seed = dice.seed();
    let above = c.clone();
    c.change(Area(0.0, ground, S, S), |x, y, _| {
        let d = y - ground;
        let puddle = maths::smooth(0.4, 0.6, maths::fbm(x * 0.008, d * 0.03, 4, seed));
        let ripple = (maths::noise(x * 0.12, d * 0.4, seed) - 0.5) * 7.0;
        let mirror = above.sample(x + ripple, ground - d * 1.2 + ripple * 1.5);
        let stone = m.lit(
            Rgb(0.34, 0.35, 0.39) * (0.8 + 0.35 * maths::fbm(x * 0.07, d * 0.16, 3, seed ^ 4)),
            0.55,
        );
        stone.mix(mirror, 0.25 + 0.5 * puddle)
    });
    extras::standing(c, f, m, (S * 0.5, ground + 42.0), dice);
    for (i, (x, size)) in spread(f.count, dice).into_iter().enumerate() {
        let h = 205.0 * size.clamp(0.55, 1.05);
        let y = ground + 92.0 + 22.0 * (i % 2) as f32 + dice.between(0.0, 12.0);
        walker_mirror(c, f, m, (x, y, h));
        c.subject(Area(x - h * 0.4, y - h, x + h * 0.4, y), |c| {
            walker(c, f, m, (x, y, h), dice);
        });
    }
    for _ in 0..260 {
        let (x, y, l) = (dice.unit() * S, dice.unit() * S, dice.between(8.0, 22.0));
        let b = dice.between(0.1, 0.32);
        c.change(Area(x - l * 0.3, y - 1.0, x + 2.0, y + l), |px, py, p| {
            let k = (0.9 - shape::line(px, py, (x, y), (x - l * 0.2, y + l), 0.2)).clamp(0.0, 1.0);
            p + Rgb(0.9, 0.95, 1.0) * (k * b)
        });
    }
}

/// Warm light from shops and from the far end of the street.
fn shop_lights(c: &mut Canvas, ground: f32, dice: &mut Dice) {
    c.glow(S * 0.5, ground - 6.0, 230.0, Rgb(0.80, 0.55, 0.28));
    for side in [0.0, 1.0] {
        for i in 0..3 {
            let far = i as f32 / 3.0;
            let x = (side - (0.08 + 0.26 * far) * (side * 2.0 - 1.0)) * S;
            let (w, h) = (44.0 * (1.0 - far * 0.6), 30.0 * (1.0 - far * 0.55));
            let y = ground + 4.0 - h;
            let tone = dice.pick(&[
                Rgb(1.0, 0.78, 0.42),
                Rgb(1.0, 0.88, 0.62),
                Rgb(0.98, 0.62, 0.36),
            ]);
            c.glow(x, y, w * 2.6, tone * 0.5);
            c.shape(
                Area(x - w, y - h, x + w, y + h),
                |px, py| shape::rounded(px, py, (x, y), (w * 0.8, h * 0.8), 2.0),
                |px, py| {
                    tone * (0.95 - 0.3 * (px - x).abs() / w
                        + 0.15 * maths::noise(px * 0.12, py * 0.12, 3))
                },
            );
        }
    }
}

/// The walker's image in the wet street.
fn walker_mirror(c: &mut Canvas, f: &Facts, m: &Mood, at: (f32, f32, f32)) {
    let (x, y, h) = at;
    let tone = m.own(pigment(f.hue), 0.45);
    c.veil(
        Area(x - h * 0.4, y, x + h * 0.4, y + h * 0.9),
        tone,
        |px, py| {
            let d = (py - y) / h;
            let sway = (maths::noise(px * 0.05, py * 0.3, 9) - 0.5) * 14.0;
            let half = if d > 0.45 { h * 0.33 } else { h * 0.06 };
            let fade = if d > 0.45 { 0.5 } else { 0.25 };
            maths::smooth(half, half * 0.5, (px - x + sway).abs()) * fade * (1.0 - d).max(0.0)
        },
    );
}

/// One walker in a dark coat under an umbrella of eight panels.
fn walker(c: &mut Canvas, f: &Facts, m: &Mood, at: (f32, f32, f32), dice: &mut Dice) {
    let (x, y, h) = at;
    let coat = dice.pick(&[
        Rgb(0.22, 0.24, 0.32),
        Rgb(0.34, 0.27, 0.24),
        Rgb(0.28, 0.32, 0.28),
    ]);
    let stride = h * dice.between(0.03, 0.06);
    for side in [-1.0, 1.0] {
        c.shape(
            Area(x - h * 0.2, y - h * 0.3, x + h * 0.2, y + 2.0),
            |px, py| {
                shape::line(
                    px,
                    py,
                    (x, y - h * 0.26),
                    (x + side * stride, y - 2.0),
                    h * 0.022,
                )
            },
            |_, _| m.own(coat * 0.6, 0.4),
        );
    }
    c.shape(
        Area(x - h * 0.2, y - h * 0.68, x + h * 0.2, y),
        |px, py| shape::drop(px, py, (x, y - h * 0.5), (h * 0.066, h * 0.1), h * 0.28),
        |px, py| {
            m.own(
                coat * (0.9 + 0.2 * maths::noise(px * 0.1, py * 0.04, 3)),
                0.55 + 3.0 * m.side() * (px - x) / h,
            )
        },
    );
    c.shape(
        Area::around(x, y - h * 0.61, h * 0.08),
        |px, py| shape::circle(px, py, x, y - h * 0.61, h * 0.05),
        |_, _| m.own(Rgb(0.80, 0.62, 0.50), 0.6),
    );
    let hub = y - h * 0.66;
    c.shape(
        Area(x - 4.0, hub - h * 0.3, x + 4.0, y - h * 0.4),
        |px, py| shape::line(px, py, (x + 3.0, y - h * 0.42), (x, hub - h * 0.25), 1.0),
        |_, _| Rgb(0.12, 0.12, 0.14),
    );
    let tone = pigment(f.hue);
    let r = h * 0.36;
    c.shape(
        Area(x - r - 2.0, hub - r, x + r + 2.0, hub + 4.0),
        |px, py| {
            let u = (px - x) / r;
            let scallop = h * 0.022 * ((u * 2.5 + 10.0).fract() - 0.5).abs() * 2.0;
            shape::ellipse(px, py, (x, hub + 2.0), r, r * 0.74).max(py - hub + scallop - h * 0.01)
        },
        |px, py| {
            let (u, v) = ((px - x) / r, (hub - py) / (r * 0.74));
            let width = (1.0 - v * v).max(0.02).sqrt();
            let panel = (u / width * 2.5 + 10.5).fract();
            let rib = 1.0 - 0.22 * maths::smooth(0.4, 0.5, (panel - 0.5).abs());
            m.own(tone, 0.5 + 0.42 * v + 0.3 * u * m.side()) * rib
        },
    );
}
