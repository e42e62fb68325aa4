//! Still lifes on a wooden table.

use crate::dataset::demo::canvas::Area;
use crate::dataset::demo::canvas::Canvas;
use crate::dataset::demo::canvas::Rgb;
use crate::dataset::demo::canvas::S;
use crate::dataset::demo::dice::Dice;
use crate::dataset::demo::maths;
use crate::dataset::demo::scene::Facts;
use crate::dataset::demo::shape;

use super::backdrop::{Mood, ball, pigment, sky, spread};
use super::extras;

/// A wall above a table, with soft light from one side.
fn room(c: &mut Canvas, m: &Mood, edge: f32, dice: &mut Dice) {
    let wall = dice.pick(&[
        Rgb(0.52, 0.56, 0.52),
        Rgb(0.62, 0.53, 0.46),
        Rgb(0.42, 0.48, 0.56),
        Rgb(0.56, 0.48, 0.54),
        Rgb(0.36, 0.34, 0.36),
    ]);
    let wood = dice.pick(&[
        Rgb(0.58, 0.37, 0.21),
        Rgb(0.46, 0.29, 0.18),
        Rgb(0.70, 0.52, 0.34),
    ]);
    let seed = dice.seed();
    let side = m.side();
    c.change(Area::ALL, |x, y, _| {
        let near = 1.0 - maths::length(x / S - 0.5 - side * 0.45, y / S - 0.1) * 0.75;
        if y < edge {
            let plaster = 0.94 + 0.12 * maths::fbm(x * 0.02, y * 0.02, 4, seed);
            m.lit(wall * plaster, (near * 0.95).max(0.05))
        } else {
            let d = (y - edge) / (S - edge);
            let depth = 0.35 + d;
            let u = (x - S * 0.5) / depth;
            let board = (u / 130.0 + 20.0).floor();
            let gap = maths::smooth(0.488, 0.5, ((u / 130.0 + 20.0).fract() - 0.5).abs());
            let grain = maths::fbm(
                u * 0.06 + board * 9.0,
                y * 0.008 + 0.02 * maths::sin(u * 0.05),
                4,
                seed ^ 2,
            );
            let ring = 0.5 + 0.5 * maths::sin(grain * 38.0);
            let tone = wood
                * (0.72 + 0.3 * grain + 0.13 * ring + 0.08 * maths::hash(board as i32, 1, seed))
                * (1.0 - 0.45 * gap);
            m.lit(tone, near * 0.8 + 0.24) * (0.86 + 0.2 * d)
        }
    });
    c.veil(Area(0.0, edge, S, edge + 12.0), Rgb::BLACK, |_, y| {
        0.35 * (1.0 - (y - edge) / 12.0)
    });
}

/// A soft shadow on the table, falling away from the light.
fn shadow(c: &mut Canvas, m: &Mood, at: (f32, f32), half: (f32, f32)) {
    let (x, y) = (at.0 - m.side() * half.0 * 0.35, at.1);
    c.veil(
        Area(
            x - half.0 * 1.6,
            y - half.1 * 2.0,
            x + half.0 * 1.6,
            y + half.1 * 2.0,
        ),
        Rgb(0.05, 0.03, 0.04),
        |px, py| {
            let d = maths::length((px - x) / (half.0 * 1.5), (py - y) / (half.1 * 1.7));
            0.72 * maths::smooth(1.0, 0.25, d)
        },
    );
}

/// A bowl heaped with fruits.
pub(super) fn fruits(c: &mut Canvas, f: &Facts, m: &Mood, dice: &mut Dice) {
    let edge = S * dice.between(0.52, 0.58);
    room(c, m, edge, dice);
    let (x, y, w) = (S * dice.between(0.42, 0.58), S * 0.70, 148.0);
    extras::standing(c, f, m, (x, y + 12.0), dice);
    shadow(c, m, (x, y + 66.0), (w * 1.05, 30.0));
    let glaze = dice.pick(&[
        Rgb(0.90, 0.90, 0.88),
        Rgb(0.30, 0.46, 0.62),
        Rgb(0.42, 0.54, 0.46),
        Rgb(0.84, 0.76, 0.62),
    ]);
    c.shape(
        Area(x - w, y - 50.0, x + w, y + 50.0),
        |px, py| shape::ellipse(px, py, (x, y - 14.0), w, 36.0),
        |_, py| m.lit(glaze * 0.5, 0.3 + (py - y + 50.0) * 0.006),
    );
    heap(c, f, m, (x, y, w), dice);
    bowl_front(c, m, (x, y, w), glaze);
}

/// The outside of the bowl and its foot, in front of what lies in it.
fn bowl_front(c: &mut Canvas, m: &Mood, at: (f32, f32, f32), glaze: Rgb) {
    let (x, y, w) = at;
    c.shape(
        Area(x - w - 2.0, y - 50.0, x + w + 2.0, y + 90.0),
        |px, py| {
            shape::ellipse(px, py, (x, y - 14.0), w, 92.0)
                .max(-shape::ellipse(px, py, (x, y - 22.0), w * 0.985, 34.0))
                .max(y - 14.0 - py)
                .max(py - y - 66.0)
        },
        |px, py| {
            let (u, v) = ((px - x) / w, (py - y + 14.0) / 92.0);
            let band = maths::smooth(0.05, 0.02, (v - 0.32).abs()) * 0.4;
            let shine = maths::smooth(
                0.16,
                0.0,
                maths::length(u - m.side() * 0.5, (v - 0.2) * 0.8),
            );
            m.lit(
                glaze.mix(Rgb(0.2, 0.24, 0.4), band),
                0.86 + 0.36 * u * m.side() - 0.75 * v,
            ) + Rgb::grey(0.35 * shine)
        },
    );
    c.shape(
        Area(x - w * 0.6, y + 50.0, x + w * 0.6, y + 84.0),
        |px, py| shape::rounded(px, py, (x, y + 66.0), (w * 0.4, 8.0), 4.0),
        |px, _| m.lit(glaze * 0.8, 0.4 + 0.3 * m.side() * (px - x) / w),
    );
}

/// The fruits of a bowl, each an apple-like ball with stalk and shine.
fn heap(c: &mut Canvas, f: &Facts, m: &Mood, bowl: (f32, f32, f32), dice: &mut Dice) {
    let (x, y, w) = bowl;
    let low = f.count.min(4);
    let r = if f.count > 2 { 47.0 } else { 60.0 };
    let step = (w * 1.42 / low as f32).min(r * 1.7);
    let mut places: Vec<(f32, f32)> = Vec::new();
    for i in 0..f.count.saturating_sub(low) {
        let n = f.count - low;
        places.push((
            x + (i as f32 - (n - 1) as f32 * 0.5) * step,
            y - 26.0 - r * 1.12,
        ));
    }
    for i in 0..low {
        places.push((
            x + (i as f32 - (low - 1) as f32 * 0.5) * step,
            y - 20.0 - r * 0.25 + dice.between(-4.0, 4.0),
        ));
    }
    for (fx, fy) in places {
        let r = r * dice.between(0.94, 1.04);
        let seed = dice.seed();
        c.subject(Area::around(fx, fy, r), |c| {
            fruit(c, f, m, (fx, fy, r), seed);
        });
    }
}

/// One fruit.
fn fruit(c: &mut Canvas, f: &Facts, m: &Mood, at: (f32, f32, f32), seed: u32) {
    let (x, y, r) = at;
    let tone = pigment(f.hue);
    c.shape(
        Area::around(x, y, r + 2.0),
        |px, py| {
            shape::circle(px, py, x, y, r).max(-shape::circle(px, py, x, y - r * 1.22, r * 0.3))
        },
        |px, py| {
            let (u, v) = ((px - x) / r, (py - y) / r);
            let speck = maths::fbm(u * 5.0, v * 2.0, 3, seed);
            let skin = tone.mix(
                Rgb(0.98, 0.86, 0.42),
                maths::smooth(0.52, 0.8, speck) * 0.35,
            );
            let lit = ball(m, u, v);
            let edge = maths::smooth(0.72, 1.0, maths::length(u, v));
            let shine = maths::smooth(0.28, 0.02, maths::length(u - m.side() * 0.36, v + 0.42));
            m.own(skin * (0.9 + 0.16 * speck), lit * 1.05 + 0.06) * (1.0 - 0.3 * edge)
                + Rgb::grey(0.55 * shine * shine)
        },
    );
    c.shape(
        Area::around(x, y - r, r * 0.5),
        |px, py| {
            shape::line(
                px,
                py,
                (x, y - r * 0.84),
                (x + r * 0.1, y - r * 1.2),
                r * 0.035 + 0.4,
            )
        },
        |_, _| m.own(Rgb(0.34, 0.24, 0.12), 0.6),
    );
    c.shape(
        Area::around(x, y - r, r * 0.7),
        |px, py| {
            let (dx, dy) = (px - x - r * 0.3, py - y + r * 1.1);
            shape::ellipse(
                dx * 0.9 + dy * 0.43,
                dy * 0.9 - dx * 0.43,
                (0.0, 0.0),
                r * 0.26,
                r * 0.1,
            )
        },
        |px, _| m.own(Rgb(0.30, 0.56, 0.20), 0.6 + 0.5 * (px - x) / r),
    );
}

/// Cups on a table by a window.
pub(super) fn cups(c: &mut Canvas, f: &Facts, m: &Mood, dice: &mut Dice) {
    let edge = S * dice.between(0.56, 0.6);
    room(c, m, edge, dice);
    let (wx, wy, ww, wh) = (S * 0.5 - m.side() * 30.0, S * 0.27, 150.0, 118.0);
    let mut outside = Canvas::new();
    sky(&mut outside, m, S * 0.52, dice);
    super::backdrop::hill(
        &mut outside,
        m,
        S * 0.42,
        40.0,
        (Rgb(0.34, 0.52, 0.28), 0.3),
        dice.seed(),
    );
    c.shape(
        Area(
            wx - ww - 12.0,
            wy - wh - 12.0,
            wx + ww + 12.0,
            wy + wh + 12.0,
        ),
        |x, y| shape::rounded(x, y, (wx, wy), (ww + 9.0, wh + 9.0), 2.0),
        |_, y| m.lit(Rgb(0.90, 0.88, 0.83), 0.8 - y * 0.001),
    );
    c.shape(
        Area(wx - ww, wy - wh, wx + ww, wy + wh),
        |x, y| {
            let pane = shape::rounded(x, y, (wx, wy), (ww, wh), 1.0);
            pane.max(4.0 - (x - wx).abs()).max(4.0 - (y - wy).abs())
        },
        |x, y| outside.at(x, y),
    );
    extras::standing(c, f, m, (S * 0.5, S * 0.80), dice);
    for (x, size) in spread(f.count, dice) {
        let r = 62.0 * size.min(1.1);
        let y = S * dice.between(0.74, 0.80);
        shadow(c, m, (x, y + r * 0.62), (r * 1.2, r * 0.3));
        c.subject(Area(x - r, y - r, x + r * 1.5, y + r * 0.8), |c| {
            cup(c, f, m, (x, y, r));
        });
    }
}

/// One cup with handle, tea and steam, on its saucer.
fn cup(c: &mut Canvas, f: &Facts, m: &Mood, at: (f32, f32, f32)) {
    let (x, y, r) = at;
    let tone = pigment(f.hue);
    let (top, foot) = (y - r * 0.72, y + r * 0.58);
    c.shape(
        Area(x - r * 1.5, foot - r * 0.4, x + r * 1.5, foot + r * 0.4),
        |px, py| shape::ellipse(px, py, (x, foot + 2.0), r * 1.32, r * 0.27),
        |px, py| {
            m.own(
                tone.mix(Rgb::WHITE, 0.25),
                0.62 + 0.3 * m.side() * (px - x) / r - 0.3 * (py - foot) / r,
            )
        },
    );
    c.shape(
        Area(x + r * 0.5, top, x + r * 1.6, foot),
        |px, py| {
            shape::ellipse(px, py, (x + r * 0.9, y - r * 0.12), r * 0.36, r * 0.4).abs() - r * 0.075
        },
        |px, py| {
            m.own(
                tone,
                0.75 - 0.5 * (py - top) / (r * 1.3) + 0.2 * m.side() * (px - x - r) / r,
            )
        },
    );
    let half = move |py: f32| {
        let t = ((py - top) / (foot - top)).clamp(0.0, 1.0);
        r * (0.92 - 0.34 * t * t * t)
    };
    c.shape(
        Area(x - r, top, x + r, foot + r * 0.2),
        |px, py| {
            ((px - x).abs() - half(py)).max(top - py).max(
                py - foot
                    - r * 0.1 * (1.0 - ((px - x) / half(py)) * ((px - x) / half(py))).max(0.0),
            )
        },
        |px, py| {
            let a = ((px - x) / half(py)).clamp(-1.0, 1.0);
            let band = maths::smooth(0.07, 0.04, ((py - top) / r - 0.34).abs());
            let z = (1.0 - a * a).sqrt();
            let shine = maths::smooth(0.14, 0.0, (a - m.side() * 0.48).abs())
                * maths::smooth(foot, top, py);
            m.own(
                tone.mix(Rgb(0.97, 0.95, 0.9), band * 0.85),
                0.3 + 0.48 * z + 0.42 * a * m.side(),
            ) + Rgb::grey(0.3 * shine)
        },
    );
    c.shape(
        Area(x - r, top - r * 0.3, x + r, top + r * 0.3),
        |px, py| shape::ellipse(px, py, (x, top), r * 0.92, r * 0.2),
        |_, _| m.own(tone.mix(Rgb::WHITE, 0.3), 0.9),
    );
    c.shape(
        Area(x - r, top - r * 0.3, x + r, top + r * 0.3),
        |px, py| shape::ellipse(px, py, (x, top + r * 0.02), r * 0.84, r * 0.16),
        |px, py| {
            m.own(
                Rgb(0.45, 0.24, 0.10),
                0.5 + 0.4 * m.side() * (px - x) / r + 1.2 * (py - top) / r,
            )
        },
    );
    c.veil(
        Area(x - r, top - r * 1.5, x + r, top),
        Rgb::WHITE.tint(m.light),
        |px, py| {
            let rise = (top - py) / (r * 1.5);
            let sway = maths::sin(rise * 7.0 + x) * r * 0.16 * rise;
            let wisp = (maths::smooth(r * 0.2, 0.0, (px - x - sway - r * 0.2).abs())).max(
                maths::smooth(r * 0.16, 0.0, (px - x + sway + r * 0.25).abs()),
            );
            0.34 * wisp * (1.0 - rise) * maths::smooth(0.0, 0.12, rise)
        },
    );
}
