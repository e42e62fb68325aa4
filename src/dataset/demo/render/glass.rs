//! A stained glass window: stars of one colour in a field of many.

use crate::dataset::demo::canvas::Area;
use crate::dataset::demo::canvas::Canvas;
use crate::dataset::demo::canvas::Rgb;
use crate::dataset::demo::canvas::S;
use crate::dataset::demo::dice::Dice;
use crate::dataset::demo::maths;
use crate::dataset::demo::scene::Facts;
use crate::dataset::demo::scene::Hue;
use crate::dataset::demo::shape;

use super::backdrop::{Mood, pigment};
use super::extras;

/// The window: panes between leads, an arch of stone, stars of the asked colour.
pub(super) fn window(c: &mut Canvas, f: &Facts, m: &Mood, dice: &mut Dice) {
    let tones = field_tones(f.hue, dice);
    let cell = S / CELLS as f32;
    let seeds: Vec<(f32, f32, Rgb)> = (0..CELLS * CELLS)
        .map(|i| {
            let tone = dice.pick(&tones) * dice.between(0.75, 1.1);
            let (x, y) = ((i % CELLS) as f32, (i / CELLS) as f32);
            let (dx, dy) = (dice.between(0.08, 0.92), dice.between(0.08, 0.92));
            ((x + dx) * cell, (y + dy) * cell, tone)
        })
        .collect();
    let seed = dice.seed();
    panes(c, &seeds, m, seed);
    let places = star_places(f.count, dice);
    for (x, y, r) in places {
        let turn = dice.between(0.0, 1.2);
        c.glow(x, y, r * 1.8, pigment(f.hue) * 0.25);
        c.subject(Area::around(x, y, r), |c| star(c, f, m, (x, y, r), turn));
    }
    extras::flying(c, f, m, dice);
    extras::standing(c, f, m, (S * 0.5, S * 0.82), dice);
    arch(c, dice.seed());
}

/// Colours of the field: none near the colour of the stars.
fn field_tones(hue: Hue, dice: &mut Dice) -> Vec<Rgb> {
    let cool = [
        Rgb(0.10, 0.26, 0.62),
        Rgb(0.08, 0.42, 0.56),
        Rgb(0.16, 0.50, 0.42),
        Rgb(0.28, 0.20, 0.56),
    ];
    let warm = [
        Rgb(0.66, 0.14, 0.16),
        Rgb(0.80, 0.42, 0.12),
        Rgb(0.56, 0.18, 0.36),
        Rgb(0.76, 0.60, 0.22),
    ];
    match hue {
        Hue::Red | Hue::Orange | Hue::Yellow | Hue::Pink => cool.to_vec(),
        Hue::Blue | Hue::Green | Hue::Purple => warm.to_vec(),
        Hue::White => {
            if dice.chance(0.5) {
                cool.to_vec()
            } else {
                warm.to_vec()
            }
        }
    }
}

/// Cells along each side of the grid from which panes are made.
const CELLS: usize = 9;

/// Panes by nearest seed, leads where two are equally near. A seed never leaves its cell, so only near cells count.
fn panes(c: &mut Canvas, seeds: &[(f32, f32, Rgb)], m: &Mood, seed: u32) {
    let cell = S / CELLS as f32;
    let near = |v: f32| {
        let i = (v / cell) as usize;
        i.saturating_sub(2)..(i + 3).min(CELLS)
    };
    c.change(Area::ALL, |x, y, _| {
        let from = |p: &(f32, f32, Rgb)| (x - p.0) * (x - p.0) + (y - p.1) * (y - p.1);
        let (mut first, mut second) = ((f32::MAX, &seeds[0]), (f32::MAX, &seeds[0]));
        for row in near(y) {
            for p in &seeds[row * CELLS..][near(x)] {
                let d = from(p);
                if d < first.0 {
                    second = first;
                    first = (d, p);
                } else if d < second.0 {
                    second = (d, p);
                }
            }
        }
        let apart = maths::length(first.1.0 - second.1.0, first.1.1 - second.1.1).max(1.0);
        let edge = (second.0 - first.0) / (2.0 * apart);
        lead(glow(first.1.2, (x, y), m, seed), edge - 2.2)
    });
}

/// Glass with light behind it, brighter towards the sun, with streaks and bubbles.
fn glow(tone: Rgb, at: (f32, f32), m: &Mood, seed: u32) -> Rgb {
    let (x, y) = at;
    let streak = maths::fbm(x * 0.02, y * 0.006, 4, seed);
    let fine = maths::noise(x * 0.25, y * 0.25, seed ^ 3);
    let sun = 1.25 - maths::length(x - m.sun.0, y - S * 0.35) / S * 0.85;
    tone * (sun * (0.62 + 0.62 * streak + 0.1 * fine))
        + Rgb(0.3, 0.26, 0.18) * ((sun - 0.85).max(0.0) * streak)
}

/// Lead where the distance to the edge of a pane is below 0.
fn lead(glass: Rgb, inside: f32) -> Rgb {
    let k = (inside + 0.5).clamp(0.0, 1.0);
    let shine = maths::smooth(-2.4, -0.6, inside) * 0.10;
    Rgb::grey(0.07 + shine).mix(glass, k)
}

/// Places of the stars on a ring, or one in the middle.
fn star_places(count: usize, dice: &mut Dice) -> Vec<(f32, f32, f32)> {
    let start = dice.unit() * std::f32::consts::TAU;
    (0..count)
        .map(|i| {
            if count == 1 {
                return (S * 0.5, S * 0.45, 128.0);
            }
            let a = start + i as f32 * std::f32::consts::TAU / count as f32;
            let r = if count < 4 { 74.0 } else { 56.0 };
            (
                S * 0.5 + 118.0 * maths::cos(a),
                S * 0.48 + 118.0 * maths::sin(a),
                r,
            )
        })
        .collect()
}

/// A star of five points in panes of its own.
fn star(c: &mut Canvas, f: &Facts, m: &Mood, at: (f32, f32, f32), turn: f32) {
    let (x, y, r) = at;
    let corners: Vec<(f32, f32)> = (0..10)
        .map(|i| {
            let a = turn + i as f32 * std::f32::consts::PI / 5.0;
            let d = if i % 2 == 0 { r } else { r * 0.45 };
            (x + d * maths::sin(a), y - d * maths::cos(a))
        })
        .collect();
    let tone = pigment(f.hue);
    c.shape(
        Area::around(x, y, r + 4.0),
        |px, py| shape::polygon(px, py, &corners) - 2.5,
        |px, py| {
            let mut inside = -shape::polygon(px, py, &corners);
            for corner in &corners {
                inside = inside.min(shape::line(px, py, (x, y), *corner, 1.1));
            }
            let facet = maths::atan2(py - y, px - x) * 1.6 + turn * 7.0;
            let shade = 0.82 + 0.16 * maths::sin(facet * 3.0);
            let light = glow(tone, (px, py), m, 5) * shade + tone * 0.25;
            lead(light, inside - 1.2)
        },
    );
}

/// The stone around the window.
fn arch(c: &mut Canvas, seed: u32) {
    c.shape(
        Area::ALL,
        |x, y| {
            let round = shape::circle(x, y, S * 0.5, S * 0.5, S * 0.455);
            let tall = shape::rounded(x, y, (S * 0.5, S * 0.74), (S * 0.455, S * 0.24), 2.0);
            -round.min(tall)
        },
        |x, y| {
            let edge = shape::circle(x, y, S * 0.5, S * 0.5, S * 0.455).min(shape::rounded(
                x,
                y,
                (S * 0.5, S * 0.74),
                (S * 0.455, S * 0.24),
                2.0,
            ));
            let v = maths::fbm(x * 0.05, y * 0.05, 5, seed);
            let row = (y / 42.0).floor();
            let joint = ((y / 42.0).fract() - 0.5)
                .abs()
                .max((((x + row * 31.0) / 74.0).fract() - 0.5).abs());
            let gap = maths::smooth(0.47, 0.5, joint);
            Rgb(0.36, 0.34, 0.33)
                * ((0.45 + 0.6 * v)
                    * (1.0 - 0.5 * gap)
                    * (0.45 + 0.55 * maths::smooth(0.0, 26.0, edge)))
        },
    );
}
