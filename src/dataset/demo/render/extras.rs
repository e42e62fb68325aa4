//! The second things of a scene: a castle, a windmill, birds, a candle and the like.

use crate::dataset::demo::canvas::Area;
use crate::dataset::demo::canvas::Canvas;
use crate::dataset::demo::canvas::Rgb;
use crate::dataset::demo::canvas::S;
use crate::dataset::demo::dice::Dice;
use crate::dataset::demo::maths;
use crate::dataset::demo::scene::Extra;
use crate::dataset::demo::scene::Facts;
use crate::dataset::demo::scene::Family;
use crate::dataset::demo::shape;

use super::backdrop::{Mood, moon};

/// Paints the second thing if it flies or hangs in the sky.
pub(super) fn flying(c: &mut Canvas, f: &Facts, m: &Mood, dice: &mut Dice) {
    let (x, y) = (
        S * 0.5 - m.side() * dice.between(80.0, 150.0),
        S * dice.between(0.12, 0.2),
    );
    match f.extra {
        Some(Extra::Birds) => birds(c, m, (x, y), dice),
        Some(Extra::Rainbow) => rainbow(c, m),
        Some(Extra::Moon) if f.family != Family::Glass => {
            c.glow(x, y + 10.0, 130.0, Rgb(0.3, 0.3, 0.26));
            moon(c, x, y + 10.0, 34.0, Rgb(1.0, 0.97, 0.86));
        }
        Some(Extra::Rocket) => rocket(c, (x, S * 0.8)),
        Some(Extra::Comet) => comet(c, (x, y)),
        _ => {}
    }
}

/// Paints the second thing if it stands; `ground` is a free place near the middle.
pub(super) fn standing(c: &mut Canvas, f: &Facts, m: &Mood, ground: (f32, f32), dice: &mut Dice) {
    let side = if dice.chance(0.5) { -1.0 } else { 1.0 };
    let at = (ground.0 + side * dice.between(95.0, 165.0), ground.1);
    let corner = (ground.0 + side * dice.between(165.0, 200.0), ground.1);
    match f.extra {
        Some(Extra::Castle) => castle(c, m, at),
        Some(Extra::Windmill) => windmill(c, m, at, dice.between(0.1, 1.4)),
        Some(Extra::Island) => island(c, m, at),
        Some(Extra::Bridge) => bridge(c, m, ground.1),
        Some(Extra::Candle) => candle(c, m, corner),
        Some(Extra::Bottle) => bottle(c, m, corner),
        Some(Extra::Pyramid) => pyramid(c, m, at),
        Some(Extra::Palm) => palm(c, m, at, 120.0),
        Some(Extra::Starfish) => starfish(c, m, at),
        Some(Extra::Anchor) => anchor(c, m, at),
        Some(Extra::Snowman) => snowman(c, m, at),
        Some(Extra::Lamp) => lamp(c, m, at),
        Some(Extra::Bench) => bench(c, m, at),
        Some(Extra::Owl) => owl(c, m, at),
        Some(Extra::Moon) if f.family == Family::Glass => {
            moon(c, S * 0.5, S * 0.925, 27.0, Rgb(1.0, 0.97, 0.86));
        }
        Some(Extra::Heart) => heart(c, (S * 0.5, S * 0.9)),
        _ => {}
    }
}

/// A flock in a loose wedge.
fn birds(c: &mut Canvas, m: &Mood, at: (f32, f32), dice: &mut Dice) {
    let tone = if m.dark() {
        Rgb(0.62, 0.66, 0.78)
    } else {
        m.lit(Rgb(0.16, 0.16, 0.20), 0.4)
    };
    for i in 0..9 {
        let (k, side) = ((i / 2) as f32, if i % 2 == 0 { 1.0 } else { -1.0 });
        let (x, y) = (
            at.0 + side * k * 21.0 + dice.between(-5.0, 5.0),
            at.1 + k * 12.0 + dice.between(-5.0, 5.0),
        );
        let (w, lift) = (dice.between(9.0, 13.0), dice.between(3.0, 7.0));
        for wing in [-1.0, 1.0] {
            c.shape(
                Area::around(x, y, 18.0),
                |px, py| {
                    let t = ((px - x) * wing / w).clamp(0.0, 1.0);
                    let arc = y - lift * maths::sin(t * 2.3);
                    ((py - arc).abs() - 1.5 * (1.1 - t))
                        .max(-(px - x) * wing)
                        .max((px - x) * wing - w)
                },
                |_, _| tone,
            );
        }
    }
}

/// A rainbow across the sky.
fn rainbow(c: &mut Canvas, m: &Mood) {
    let x0 = S * 0.5 - m.side() * 40.0;
    let strength = if m.dark() { 0.4 } else { 0.55 };
    let bands = [
        Rgb(0.95, 0.25, 0.25),
        Rgb(0.99, 0.6, 0.2),
        Rgb(0.99, 0.92, 0.3),
        Rgb(0.35, 0.8, 0.4),
        Rgb(0.3, 0.5, 0.95),
        Rgb(0.6, 0.35, 0.85),
    ];
    c.change(Area(0.0, 0.0, S, S * 0.72), |x, y, p| {
        let d = (maths::length(x - x0, y - S * 0.72) - 232.0) / 34.0;
        if !(0.0..1.0).contains(&d) {
            return p;
        }
        let place = (1.0 - d) * 5.0;
        let i = (place as usize).min(4);
        let tone = bands[i].mix(bands[i + 1], place - i as f32);
        let soft = maths::smooth(0.0, 0.16, d) * maths::smooth(1.0, 0.84, d);
        p.mix(
            tone,
            soft * strength * (0.1 + 0.9 * maths::smooth(S * 0.6, S * 0.4, y)),
        )
    });
}

/// A rocket with its flame.
fn rocket(c: &mut Canvas, at: (f32, f32)) {
    let (x, y) = at;
    let turned = move |px: f32, py: f32| {
        let (dx, dy) = (px - x, py - y);
        (dx * 0.82 + dy * 0.57, dy * 0.82 - dx * 0.57)
    };
    c.change(Area::around(x, y, 110.0), |px, py, p| {
        let (u, v) = turned(px, py);
        let fire = (1.0 - u.abs() / (13.0 - (v - 34.0) * 0.14).max(1.0)).max(0.0)
            * maths::smooth(96.0, 36.0, v)
            * maths::smooth(28.0, 36.0, v);
        p + Rgb(1.0, 0.62, 0.2) * fire + Rgb(0.4, 0.4, 0.3) * (fire * fire)
    });
    c.shape(
        Area::around(x, y, 60.0),
        |px, py| {
            let (u, v) = turned(px, py);
            shape::polygon(
                u,
                v,
                &[
                    (-12.0, 8.0),
                    (-26.0, 40.0),
                    (0.0, 28.0),
                    (26.0, 40.0),
                    (12.0, 8.0),
                ],
            ) - 1.0
        },
        |px, py| Rgb(0.82, 0.18, 0.16) * (0.8 + 0.01 * turned(px, py).0),
    );
    c.shape(
        Area::around(x, y, 60.0),
        |px, py| {
            let (u, v) = turned(px, py);
            shape::ellipse(u, v, (0.0, 0.0), 15.0, 46.0).max(v - 32.0)
        },
        |px, py| {
            let (u, v) = turned(px, py);
            let tone = if v < -24.0 {
                Rgb(0.85, 0.2, 0.18)
            } else {
                Rgb(0.92, 0.93, 0.95)
            };
            let port = maths::smooth(7.5, 6.5, maths::length(u, v + 8.0));
            (tone * (0.72 - 0.022 * u)).mix(Rgb(0.2, 0.5, 0.8), port)
        },
    );
}

/// A comet with its tail.
fn comet(c: &mut Canvas, at: (f32, f32)) {
    let (x, y) = at;
    c.change(
        Area(x - 20.0, y - 20.0, x + 190.0, y + 110.0),
        |px, py, p| {
            let (dx, dy) = (px - x, py - y);
            let (u, v) = (dx * 0.9 + dy * 0.44, dy * 0.9 - dx * 0.44);
            let tail = if u < 0.0 {
                0.0
            } else {
                (1.0 - v.abs() / (5.0 + u * 0.11)).max(0.0) * (1.0 - u / 185.0).max(0.0)
            };
            p + Rgb(0.6, 0.82, 1.0) * (tail * (0.55 + 0.35 * maths::noise(u * 0.05, v * 0.4, 3)))
        },
    );
    c.glow(x, y, 34.0, Rgb(0.7, 0.85, 1.0));
    c.shape(
        Area::around(x, y, 12.0),
        |px, py| shape::circle(px, py, x, y, 7.0),
        |_, _| Rgb::WHITE,
    );
}

/// A castle of three towers.
fn castle(c: &mut Canvas, m: &Mood, at: (f32, f32)) {
    let (x, y) = at;
    let stone = Rgb(0.70, 0.66, 0.62);
    for (dx, w, h) in [
        (0.0, 46.0, 44.0),
        (-46.0, 14.0, 76.0),
        (46.0, 14.0, 70.0),
        (4.0, 17.0, 104.0),
    ] {
        let (cx, top) = (x + dx, y - h);
        c.shape(
            Area(cx - w - 4.0, top - 12.0, cx + w + 4.0, y + 4.0),
            |px, py| {
                let notch = if ((px - cx + 200.0) / 7.0) as i32 % 2 == 0 {
                    6.0
                } else {
                    0.0
                };
                ((px - cx).abs() - w)
                    .max(top - notch - py)
                    .max(py - y - 2.0)
            },
            |px, py| {
                let v = 0.86 + 0.24 * maths::noise(px * 0.22, py * 0.34, 3);
                m.air(
                    m.lit(stone * v, 0.55 + 0.35 * m.side() * (px - cx) / w),
                    0.22,
                )
            },
        );
        if w < 20.0 {
            let roof = [(cx - w - 4.0, top), (cx, top - 34.0), (cx + w + 4.0, top)];
            c.shape(
                Area(cx - w - 6.0, top - 36.0, cx + w + 6.0, top + 2.0),
                |px, py| shape::polygon(px, py, &roof),
                |px, _| {
                    m.air(
                        m.lit(Rgb(0.62, 0.24, 0.20), 0.55 + 0.4 * m.side() * (px - cx) / w),
                        0.2,
                    )
                },
            );
            let light = if m.dark() {
                Rgb(1.0, 0.82, 0.42)
            } else {
                m.lit(Rgb(0.2, 0.2, 0.24), 0.5)
            };
            c.shape(
                Area::around(cx, top + 20.0, 8.0),
                |px, py| shape::rounded(px, py, (cx, top + 20.0), (2.6, 5.0), 2.0),
                |_, _| light,
            );
        }
    }
}

/// A windmill with four sails.
fn windmill(c: &mut Canvas, m: &Mood, at: (f32, f32), turn: f32) {
    let (x, y) = at;
    let top = y - 92.0;
    let body = [
        (x - 24.0, y + 2.0),
        (x - 15.0, top),
        (x + 15.0, top),
        (x + 24.0, y + 2.0),
    ];
    c.shape(
        Area(x - 30.0, top - 2.0, x + 30.0, y + 4.0),
        |px, py| shape::polygon(px, py, &body),
        |px, py| {
            m.air(
                m.lit(
                    Rgb(0.92, 0.89, 0.82) * (0.92 + 0.1 * maths::noise(px * 0.2, py * 0.2, 2)),
                    0.6 + 0.016 * m.side() * (px - x),
                ),
                0.12,
            )
        },
    );
    c.shape(
        Area(x - 22.0, top - 26.0, x + 22.0, top + 2.0),
        |px, py| shape::ellipse(px, py, (x, top), 19.0, 22.0).max(py - top),
        |px, _| {
            m.air(
                m.lit(Rgb(0.50, 0.28, 0.22), 0.6 + 0.02 * m.side() * (px - x)),
                0.12,
            )
        },
    );
    c.shape(
        Area::around(x, y - 10.0, 16.0),
        |px, py| shape::rounded(px, py, (x, y - 10.0), (6.0, 12.0), 5.0),
        |_, _| m.lit(Rgb(0.34, 0.22, 0.16), 0.5),
    );
    let hub = (x, top - 4.0);
    for i in 0..4 {
        let a = turn + i as f32 * std::f32::consts::FRAC_PI_2;
        let (sx, sy) = (maths::cos(a), maths::sin(a));
        c.shape(
            Area::around(hub.0, hub.1, 76.0),
            |px, py| {
                let (dx, dy) = (px - hub.0, py - hub.1);
                let (u, v) = (dx * sx + dy * sy, dy * sx - dx * sy);
                let sail = shape::rounded(u, v, (42.0, 7.0), (28.0, 7.0), 1.0);
                sail.min(shape::line(u, v, (0.0, 0.0), (70.0, 0.0), 1.6))
            },
            |px, py| {
                let (dx, dy) = (px - hub.0, py - hub.1);
                let u = dx * sx + dy * sy;
                let bar = maths::smooth(0.3, 0.5, ((u / 8.0 + 20.0).fract() - 0.5).abs());
                m.lit(Rgb(0.97, 0.94, 0.88), 0.85)
                    .mix(m.lit(Rgb(0.4, 0.28, 0.2), 0.6), bar * 0.55)
            },
        );
    }
}

/// An island with two palms.
fn island(c: &mut Canvas, m: &Mood, at: (f32, f32)) {
    let (x, y) = at;
    palm(c, m, (x - 14.0, y - 6.0), 66.0);
    palm(c, m, (x + 18.0, y - 4.0), 84.0);
    c.shape(
        Area(x - 74.0, y - 30.0, x + 74.0, y + 2.0),
        |px, py| shape::ellipse(px, py, (x, y + 2.0), 66.0, 20.0).max(py - y - 1.0),
        |px, py| {
            m.lit(
                Rgb(0.88, 0.78, 0.54).mix(
                    Rgb(0.34, 0.5, 0.22),
                    maths::smooth(y - 6.0, y - 15.0, py + 4.0 * maths::noise(px * 0.2, 0.0, 1)),
                ),
                0.7,
            )
        },
    );
}

/// A palm tree.
fn palm(c: &mut Canvas, m: &Mood, at: (f32, f32), h: f32) {
    let (x, y) = at;
    let bend = h * 0.16;
    let head = (x + bend, y - h);
    c.shape(
        Area(x - h * 0.2, y - h - 2.0, x + h * 0.4, y),
        |px, py| {
            let t = ((y - py) / h).clamp(0.0, 1.0);
            (px - x - bend * t * t).abs() - h * (0.034 - 0.014 * t)
        },
        |_, py| {
            m.lit(
                Rgb(0.52, 0.38, 0.24) * (0.86 + 0.2 * maths::sin(py * 1.1)),
                0.6,
            )
        },
    );
    for i in 0..7 {
        let a = -2.9 + i as f32 * 0.44;
        let (dx, dy) = (maths::cos(a), maths::sin(a));
        c.shape(
            Area::around(head.0, head.1, h * 0.6),
            |px, py| {
                let (qx, qy) = (px - head.0, py - head.1);
                let t = ((qx * dx + qy * dy) / (h * 0.44)).clamp(0.0, 1.0);
                let droop = h * 0.2 * t * t;
                let (mx, my) = (dx * h * 0.44 * t, dy * h * 0.44 * t + droop);
                maths::length(qx - mx, qy - my) - h * 0.045 * (1.0 - t * 0.8)
            },
            |_, py| m.lit(Rgb(0.20, 0.46, 0.20), 0.7 - 0.8 * (py - head.1) / h),
        );
    }
}

/// A suspension bridge across the whole picture.
fn bridge(c: &mut Canvas, m: &Mood, y: f32) {
    let deck = y - 24.0;
    let tone = if m.dark() {
        Rgb(0.52, 0.40, 0.40)
    } else {
        m.lit(Rgb(0.66, 0.30, 0.24), 0.7)
    };
    let towers = [S * 0.26, S * 0.74];
    c.shape(
        Area(0.0, deck - 100.0, S, y + 2.0),
        |px, py| {
            let span = (px - S * 0.5) / (S * 0.24);
            let cable = if span.abs() < 1.0 {
                deck - 6.0 - 78.0 * span * span
            } else {
                deck - 84.0 + (span.abs() - 1.0) * 78.0
            };
            let rope = (py - cable).abs() - 1.3;
            let hanger = (((px / 12.0).fract() - 0.5).abs() * 12.0 - 0.3)
                .max(cable - py)
                .max(py - deck);
            let road = (py - deck).abs() - 3.4;
            let legs = towers
                .iter()
                .map(|t| ((px - t).abs() - 4.2).max(deck - 90.0 - py))
                .fold(f32::MAX, f32::min);
            rope.min(hanger).min(road).min(legs)
        },
        |_, py| tone * (0.8 + 0.3 * (deck - py + 40.0).abs() / 100.0),
    );
    if m.dark() {
        for i in 0..14 {
            c.glow(
                S * (i as f32 + 0.5) / 14.0,
                deck - 5.0,
                12.0,
                Rgb(1.0, 0.75, 0.35),
            );
        }
    }
}

/// A burning candle.
fn candle(c: &mut Canvas, m: &Mood, at: (f32, f32)) {
    let (x, y) = at;
    let top = y - 108.0;
    c.glow(x, top - 22.0, 120.0, Rgb(0.42, 0.26, 0.08));
    c.shape(
        Area(x - 40.0, y - 12.0, x + 40.0, y + 16.0),
        |px, py| shape::ellipse(px, py, (x, y + 2.0), 34.0, 10.0),
        |px, _| m.lit(Rgb(0.72, 0.58, 0.30), 0.6 + 0.01 * m.side() * (px - x)),
    );
    c.shape(
        Area(x - 18.0, top - 2.0, x + 18.0, y + 6.0),
        |px, py| {
            shape::rounded(px, py, (x, y - 52.0), (14.0, 56.0), 4.0)
                + 1.5 * maths::noise(px * 0.2, py * 0.08, 4)
        },
        |px, py| {
            m.lit(Rgb(0.96, 0.92, 0.82), 0.68 + 0.02 * m.side() * (px - x))
                + Rgb(0.5, 0.26, 0.06) * maths::smooth(top + 46.0, top, py)
        },
    );
    c.shape(
        Area(x - 2.0, top - 9.0, x + 2.0, top + 4.0),
        |px, py| shape::line(px, py, (x, top + 3.0), (x, top - 7.0), 0.9),
        |_, _| Rgb(0.12, 0.1, 0.1),
    );
    c.shape(
        Area(x - 12.0, top - 44.0, x + 12.0, top),
        |px, py| shape::drop(px, py, (x, top - 34.0), (1.0, 7.0), 20.0),
        |px, py| {
            Rgb(1.0, 0.86, 0.42).mix(
                Rgb(1.0, 0.98, 0.86),
                maths::smooth(9.0, 1.0, maths::length(px - x, (py - top + 15.0) * 0.6)),
            )
        },
    );
}

/// A green glass bottle.
fn bottle(c: &mut Canvas, m: &Mood, at: (f32, f32)) {
    let (x, y) = at;
    c.veil(
        Area(x - 60.0, y - 16.0, x + 60.0, y + 18.0),
        Rgb(0.04, 0.05, 0.04),
        |px, py| {
            0.6 * maths::smooth(
                1.0,
                0.3,
                maths::length((px - x + m.side() * 14.0) / 48.0, (py - y) / 13.0),
            )
        },
    );
    c.shape(
        Area(x - 34.0, y - 190.0, x + 34.0, y + 4.0),
        |px, py| {
            let body = shape::rounded(px, py, (x, y - 56.0), (27.0, 58.0), 9.0);
            let neck = shape::rounded(px, py, (x, y - 142.0), (9.0, 44.0), 2.0);
            shape::blend(body, neck, 26.0)
        },
        |px, py| {
            let a = (px - x) / 27.0;
            let shine = maths::smooth(0.13, 0.0, (a - m.side() * 0.5).abs());
            let tag = if (py - y + 58.0).abs() < 26.0 && a.abs() < 0.96 {
                0.9
            } else {
                0.0
            };
            let glass = m.lit(
                Rgb(0.14, 0.40, 0.25),
                0.3 + 0.5 * a * a + 0.2 * a * m.side(),
            );
            glass.mix(m.lit(Rgb(0.93, 0.88, 0.74), 0.66 + 0.3 * a * m.side()), tag)
                + Rgb::grey(0.4 * shine)
        },
    );
}

/// A pyramid of stone blocks.
fn pyramid(c: &mut Canvas, m: &Mood, at: (f32, f32)) {
    let (x, y) = at;
    let ridge = x + m.side() * 22.0;
    let outline = [(x - 100.0, y + 26.0), (x, y - 96.0), (x + 100.0, y + 26.0)];
    c.shape(
        Area(x - 104.0, y - 98.0, x + 104.0, y + 28.0),
        |px, py| shape::polygon(px, py, &outline),
        |px, py| {
            let edge = x + (ridge - x) * (py - y + 96.0) / 122.0;
            let facing = (px - edge) * m.side() > 0.0;
            let row = 1.0 - 0.14 * maths::smooth(0.36, 0.5, ((py / 8.0).fract() - 0.5).abs());
            let v = 0.9 + 0.18 * maths::noise(px * 0.12, (py / 8.0).floor(), 2);
            m.air(
                m.lit(
                    Rgb(0.86, 0.68, 0.44) * (row * v),
                    if facing { 0.95 } else { 0.15 },
                ),
                0.16,
            )
        },
    );
}

/// A starfish on the sand.
fn starfish(c: &mut Canvas, m: &Mood, at: (f32, f32)) {
    let (x, y) = at;
    c.shape(
        Area::around(x, y, 48.0),
        |px, py| {
            let (dx, dy) = (px - x, (py - y) * 1.35);
            let a = maths::atan2(dy, dx) + 0.4;
            let d = maths::length(dx, dy);
            (d - (23.0 + 18.0 * maths::cos(a * 5.0)) - 2.0) * 0.6
        },
        |px, py| {
            let dot = maths::smooth(0.6, 0.75, maths::noise(px * 0.34, py * 0.34, 7));
            m.lit(
                Rgb(0.95, 0.48, 0.18).mix(Rgb(1.0, 0.82, 0.5), dot),
                0.85 - 0.012 * (py - y),
            )
        },
    );
}

/// An old anchor.
fn anchor(c: &mut Canvas, m: &Mood, at: (f32, f32)) {
    let (x, y) = (at.0, at.1 - 34.0);
    c.shape(
        Area::around(x, y, 70.0),
        |px, py| {
            let stem = shape::line(px, py, (x, y - 34.0), (x, y + 44.0), 4.6);
            let stock = shape::line(px, py, (x - 22.0, y - 22.0), (x + 22.0, y - 22.0), 3.8);
            let eye = shape::circle(px, py, x, y - 43.0, 8.0).abs() - 2.8;
            let arms = (shape::circle(px, py, x, y + 6.0, 38.0).abs() - 5.0).max(y + 14.0 - py);
            let left = shape::polygon(
                px,
                py,
                &[
                    (x - 52.0, y + 24.0),
                    (x - 38.0, y - 2.0),
                    (x - 26.0, y + 22.0),
                ],
            );
            let right = shape::polygon(
                px,
                py,
                &[
                    (x + 26.0, y + 22.0),
                    (x + 38.0, y - 2.0),
                    (x + 52.0, y + 24.0),
                ],
            );
            stem.min(stock).min(eye).min(arms).min(left).min(right)
        },
        |px, py| {
            m.lit(
                Rgb(0.30, 0.27, 0.27)
                    .mix(Rgb(0.52, 0.32, 0.2), maths::fbm(px * 0.1, py * 0.1, 3, 5)),
                0.6,
            )
        },
    );
}

/// A snowman with hat, carrot and scarf.
fn snowman(c: &mut Canvas, m: &Mood, at: (f32, f32)) {
    let (x, y) = at;
    for (dy, r) in [(-26.0, 32.0), (-72.0, 24.0), (-108.0, 17.0)] {
        c.shape(
            Area::around(x, y + dy, r + 2.0),
            |px, py| shape::circle(px, py, x, y + dy, r),
            |px, py| {
                m.lit(
                    Rgb(0.97, 0.98, 1.0),
                    0.2 + 0.85 * super::backdrop::ball(m, (px - x) / r, (py - y - dy) / r),
                )
            },
        );
    }
    let dark = m.lit(Rgb(0.12, 0.12, 0.15), 0.6);
    c.shape(
        Area::around(x, y - 126.0, 34.0),
        |px, py| {
            shape::rounded(px, py, (x, y - 136.0), (12.0, 12.0), 1.0).min(shape::rounded(
                px,
                py,
                (x, y - 122.0),
                (20.0, 2.6),
                1.0,
            ))
        },
        |_, _| dark,
    );
    for (dx, dy) in [(-6.0, -112.0), (6.0, -112.0), (0.0, -80.0), (0.0, -66.0)] {
        c.shape(
            Area::around(x + dx, y + dy, 5.0),
            |px, py| shape::circle(px, py, x + dx, y + dy, 2.4),
            |_, _| dark,
        );
    }
    c.shape(
        Area::around(x, y - 104.0, 22.0),
        |px, py| {
            shape::polygon(
                px,
                py,
                &[(x, y - 108.0), (x + 17.0, y - 104.0), (x, y - 102.0)],
            )
        },
        |_, _| m.lit(Rgb(0.96, 0.5, 0.14), 0.8),
    );
    c.shape(
        Area::around(x, y - 92.0, 40.0),
        |px, py| {
            shape::rounded(px, py, (x, y - 92.0), (17.0, 4.0), 3.0).min(shape::rounded(
                px,
                py,
                (x - 10.0, y - 80.0),
                (4.0, 13.0),
                2.0,
            ))
        },
        |_, _| m.lit(Rgb(0.82, 0.18, 0.2), 0.7),
    );
}

/// A street lamp, lit unless it is day.
fn lamp(c: &mut Canvas, m: &Mood, at: (f32, f32)) {
    let (x, y) = at;
    let head = y - 210.0;
    let iron = m.lit(Rgb(0.14, 0.16, 0.18), 0.5);
    c.glow(x, head, 120.0, Rgb(0.5, 0.4, 0.2));
    c.shape(
        Area(x - 12.0, head, x + 12.0, y),
        |px, py| {
            shape::line(px, py, (x, head + 14.0), (x, y), 2.8).min(shape::rounded(
                px,
                py,
                (x, y - 8.0),
                (7.0, 9.0),
                2.0,
            ))
        },
        |_, _| iron,
    );
    let glass = [
        (x - 8.0, head + 14.0),
        (x - 13.0, head - 14.0),
        (x + 13.0, head - 14.0),
        (x + 8.0, head + 14.0),
    ];
    c.shape(
        Area::around(x, head, 22.0),
        |px, py| shape::polygon(px, py, &glass),
        |px, py| Rgb(1.0, 0.9, 0.62) * (1.06 - 0.02 * maths::length(px - x, py - head)),
    );
    let cap = [
        (x - 16.0, head - 14.0),
        (x, head - 28.0),
        (x + 16.0, head - 14.0),
    ];
    c.shape(
        Area::around(x, head - 18.0, 22.0),
        |px, py| shape::polygon(px, py, &cap),
        |_, _| iron,
    );
}

/// A wooden bench.
fn bench(c: &mut Canvas, m: &Mood, at: (f32, f32)) {
    let (x, y) = at;
    for dx in [-42.0, 42.0] {
        c.shape(
            Area(x + dx - 8.0, y - 58.0, x + dx + 8.0, y + 2.0),
            |px, py| shape::line(px, py, (x + dx, y - 54.0), (x + dx, y), 2.6),
            |_, _| m.lit(Rgb(0.16, 0.16, 0.18), 0.5),
        );
    }
    for dy in [-52.0, -42.0, -25.0, -19.0] {
        c.shape(
            Area(x - 58.0, y + dy - 5.0, x + 58.0, y + dy + 5.0),
            |px, py| shape::rounded(px, py, (x, y + dy), (54.0, 3.6), 1.5),
            |px, py| {
                m.lit(
                    Rgb(0.58, 0.36, 0.20) * (0.86 + 0.24 * maths::noise(px * 0.06, py * 0.9, 6)),
                    0.75,
                )
            },
        );
    }
}

/// An owl on a post.
fn owl(c: &mut Canvas, m: &Mood, at: (f32, f32)) {
    let (x, y) = (at.0, at.1 - 86.0);
    c.shape(
        Area(x - 16.0, y + 30.0, x + 16.0, y + 112.0),
        |px, py| shape::rounded(px, py, (x, y + 70.0), (11.0, 40.0), 3.0),
        |px, py| {
            m.lit(
                Rgb(0.36, 0.27, 0.2) * (0.8 + 0.4 * maths::noise(px * 0.3, py * 0.06, 2)),
                0.55,
            )
        },
    );
    c.shape(
        Area::around(x, y, 50.0),
        |px, py| {
            let body = shape::ellipse(px, py, (x, y + 4.0), 25.0, 36.0);
            let ears = shape::polygon(
                px,
                py,
                &[
                    (x - 22.0, y - 40.0),
                    (x - 6.0, y - 26.0),
                    (x - 20.0, y - 14.0),
                ],
            )
            .min(shape::polygon(
                px,
                py,
                &[
                    (x + 22.0, y - 40.0),
                    (x + 20.0, y - 14.0),
                    (x + 6.0, y - 26.0),
                ],
            ));
            body.min(ears)
        },
        |px, py| {
            let bar = maths::smooth(0.4, 0.7, maths::noise(px * 0.16, py * 0.4, 9));
            let chest = maths::smooth(16.0, 8.0, (px - x).abs()) * maths::smooth(y, y + 8.0, py);
            m.lit(
                Rgb(0.52, 0.38, 0.25).mix(Rgb(0.90, 0.82, 0.68), chest * 0.7) * (1.0 - 0.3 * bar),
                0.65 + 0.01 * m.side() * (px - x),
            )
        },
    );
    for side in [-10.0, 10.0] {
        c.shape(
            Area::around(x + side, y - 14.0, 12.0),
            |px, py| shape::circle(px, py, x + side, y - 14.0, 9.0),
            |_, _| Rgb(0.99, 0.84, 0.3),
        );
        c.shape(
            Area::around(x + side, y - 14.0, 8.0),
            |px, py| shape::circle(px, py, x + side, y - 14.0, 4.6),
            |_, _| Rgb(0.05, 0.05, 0.06),
        );
    }
    c.shape(
        Area::around(x, y - 6.0, 10.0),
        |px, py| {
            shape::polygon(
                px,
                py,
                &[(x - 4.0, y - 9.0), (x + 4.0, y - 9.0), (x, y + 1.0)],
            )
        },
        |_, _| Rgb(0.88, 0.6, 0.2),
    );
}

/// A heart of red glass.
fn heart(c: &mut Canvas, at: (f32, f32)) {
    let (x, y) = at;
    let distance = move |px: f32, py: f32| {
        let (u, v) = ((px - x).abs(), py - y);
        let lobe = shape::circle(u, v, 17.0, -10.0, 19.0);
        let point = shape::polygon(u, v, &[(-1.0, -16.0), (33.5, 0.0), (-1.0, 38.0)]);
        lobe.min(point)
    };
    c.shape(
        Area::around(x, y, 54.0),
        |px, py| distance(px, py) - 4.0,
        |px, py| {
            let k = (0.5 - distance(px, py)).clamp(0.0, 1.0);
            Rgb::grey(0.08).mix(
                Rgb(0.95, 0.12, 0.2) * (0.8 + 0.5 * maths::fbm(px * 0.05, py * 0.05, 3, 2)),
                k,
            )
        },
    );
}
