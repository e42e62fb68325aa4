//! How a picture is made: photo, flat poster, watercolour, ink, oil. Each works on the finished scene.

use crate::dataset::demo::canvas::Area;
use crate::dataset::demo::canvas::Canvas;
use crate::dataset::demo::canvas::Rgb;
use crate::dataset::demo::canvas::S;
use crate::dataset::demo::canvas::SIZE;
use crate::dataset::demo::dice::Dice;
use crate::dataset::demo::maths;
use crate::dataset::demo::scene::Style;

/// Turns the clean scene into the style.
pub(super) fn apply(c: &mut Canvas, style: Style, dice: &mut Dice) {
    let seed = dice.seed();
    match style {
        Style::Photo => photo(c),
        Style::Poster => poster(c),
        Style::Watercolour => watercolour(c, seed),
        Style::Ink => ink(c, seed),
        Style::Oil => oil(c, seed),
    }
}

/// A gentle tone curve and darker corners.
fn photo(c: &mut Canvas) {
    c.change(Area::ALL, |x, y, p| {
        let d = maths::length(x / S - 0.5, y / S - 0.5);
        let corner = 1.0 - 0.5 * maths::smooth(0.42, 0.85, d);
        p.map(|v| {
            let v = v.clamp(0.0, 1.0);
            (v * 0.72 + 0.28 * v * v * (3.0 - 2.0 * v)) * corner
        })
    });
}

/// Few tones, strong colours, clean edges.
fn poster(c: &mut Canvas) {
    c.px = brush(&c.px, 4);
    c.change(Area::ALL, |_, _, p| {
        let l = p.luma().clamp(0.02, 1.0);
        let steps = l * 6.0;
        let i = steps.floor();
        let level = (i + maths::smooth(0.46, 0.54, steps - i)) / 6.0;
        let level = 0.06 + 0.94 * level;
        (p * (level / l)).saturate(1.35).map(|v| v.clamp(0.0, 1.0))
    });
}

/// Bleeding edges, granulating pigment, paper that shows at the border.
fn watercolour(c: &mut Canvas, seed: u32) {
    let before = c.clone();
    c.change(Area::ALL, |x, y, _| {
        let dx = (maths::fbm(x * 0.03, y * 0.03, 3, seed) - 0.5) * 11.0;
        let dy = (maths::fbm(x * 0.03, y * 0.03, 3, seed ^ 1) - 0.5) * 11.0;
        before.sample(x + dx, y + dy)
    });
    c.px = brush(&c.px, 3);
    let wet = c.clone();
    c.change(Area::ALL, |x, y, p| {
        let step = |a: Rgb, b: Rgb| (a.luma() - b.luma()).abs();
        let edge = step(wet.at(x + 1.5, y), wet.at(x - 2.5, y))
            + step(wet.at(x, y + 1.5), wet.at(x, y - 2.5));
        let pool = 1.0 - 0.22 * maths::smooth(0.05, 0.35, edge);
        let bloom = maths::fbm(x * 0.009, y * 0.009, 4, seed ^ 2);
        let grain = maths::noise(x * 0.7, y * 0.7, seed ^ 3);
        let paper =
            Rgb(0.985, 0.972, 0.94) * (0.965 + 0.05 * maths::noise(x * 0.45, y * 0.45, seed ^ 4));
        let rim = maths::length(((x - S * 0.5).abs() - S * 0.5).max(-60.0), 0.0).min(
            maths::length(((y - S * 0.5).abs() - S * 0.5).max(-60.0), 0.0),
        );
        let ragged = rim + 16.0 * (maths::fbm(x * 0.04, y * 0.04, 3, seed ^ 5) - 0.5);
        let paint = maths::smooth(7.0, 15.0, ragged) * (0.80 + 0.14 * bloom + 0.06 * grain);
        let tone = (p * pool)
            .map(|v| 0.08 + 0.92 * v.clamp(0.0, 1.0))
            .saturate(1.12);
        paper.mix(tone, paint.clamp(0.0, 1.0))
    });
}

/// Dark contour lines, hatching in the shade, a pale wash of colour.
fn ink(c: &mut Canvas, seed: u32) {
    let smooth = brush(&c.px, 2);
    let luma: Vec<f32> = smooth.iter().map(|p| p.luma().clamp(0.0, 1.0)).collect();
    let at = |x: i32, y: i32| {
        luma[y.clamp(0, SIZE as i32 - 1) as usize * SIZE + x.clamp(0, SIZE as i32 - 1) as usize]
    };
    for y in 0..SIZE as i32 {
        for x in 0..SIZE as i32 {
            let gx = at(x + 1, y - 1) + 2.0 * at(x + 1, y) + at(x + 1, y + 1)
                - at(x - 1, y - 1)
                - 2.0 * at(x - 1, y)
                - at(x - 1, y + 1);
            let gy = at(x - 1, y + 1) + 2.0 * at(x, y + 1) + at(x + 1, y + 1)
                - at(x - 1, y - 1)
                - 2.0 * at(x, y - 1)
                - at(x + 1, y - 1);
            let (fx, fy) = (x as f32, y as f32);
            let press = 0.75 + 0.5 * maths::noise(fx * 0.05, fy * 0.05, seed);
            let line = maths::smooth(0.16, 0.5, maths::length(gx, gy) * press);
            let i = y as usize * SIZE + x as usize;
            let l = luma[i];
            let wave = 1.6 * maths::noise(fx * 0.03, fy * 0.03, seed ^ 1);
            let one = maths::smooth(0.34, 0.1, (((fx + fy) * 0.17 + wave).fract() - 0.5).abs());
            let two = maths::smooth(
                0.34,
                0.1,
                (((fx - fy) * 0.17 + wave + 300.0).fract() - 0.5).abs(),
            );
            let hatch =
                one * maths::smooth(0.5, 0.22, l) * 0.5 + two * maths::smooth(0.26, 0.08, l) * 0.5;
            let paper = Rgb(0.975, 0.955, 0.905);
            let wash = paper.tint(
                smooth[i]
                    .saturate(1.05)
                    .map(|v| 0.34 + 0.66 * v.clamp(0.0, 1.0)),
            );
            c.px[i] = wash.mix(Rgb(0.10, 0.10, 0.14), (line + hatch).min(0.94));
        }
    }
}

/// Thick strokes that follow the forms, with the relief of paint.
fn oil(c: &mut Canvas, seed: u32) {
    c.px = brush(&c.px, 4);
    let flat = c.clone();
    c.change(Area::ALL, |x, y, _| {
        let turn = maths::fbm(x * 0.006, y * 0.006, 3, seed) * 9.0;
        let (dx, dy) = (maths::cos(turn), maths::sin(turn));
        let (u, v) = (x * dx + y * dy, y * dx - x * dy);
        let stroke = maths::noise(u * 0.045, v * 0.3, seed ^ 1);
        let shift = (stroke - 0.5) * 9.0;
        let paint = flat.sample(x + dx * shift, y + dy * shift);
        let relief = stroke - maths::noise((u - 1.2) * 0.045, (v - 1.2) * 0.3, seed ^ 1);
        let hair = maths::noise(u * 0.1, v * 0.9, seed ^ 2) - 0.5;
        paint.saturate(1.12) * (1.0 + relief * 0.34 + hair * 0.07)
    });
}

/// Kuwahara's filter: each pixel takes the mean of the calmest of four squares of `r` + 1 pixels at its corner.
fn brush(px: &[Rgb], r: usize) -> Vec<Rgb> {
    let n = SIZE + 1;
    let mut sums = vec![[0.0_f64; 4]; n * n];
    for y in 0..SIZE {
        let mut row = [0.0_f64; 4];
        for x in 0..SIZE {
            let p = px[y * SIZE + x];
            let l = f64::from(p.luma());
            for (sum, v) in
                row.iter_mut()
                    .zip([f64::from(p.0), f64::from(p.1), f64::from(p.2), l * l])
            {
                *sum += v;
            }
            for k in 0..4 {
                sums[(y + 1) * n + x + 1][k] = sums[y * n + x + 1][k] + row[k];
            }
        }
    }
    let mut out = Vec::with_capacity(px.len());
    for y in 0..SIZE {
        for x in 0..SIZE {
            out.push(calmest(&sums, (x, y), r));
        }
    }
    out
}

/// The mean colour of the square with the least spread.
fn calmest(sums: &[[f64; 4]], at: (usize, usize), r: usize) -> Rgb {
    let n = SIZE + 1;
    let (x, y) = at;
    let (mut best, mut colour) = (f64::MAX, Rgb::BLACK);
    for (x0, x1) in [(x.saturating_sub(r), x + 1), (x, (x + r + 1).min(SIZE))] {
        for (y0, y1) in [(y.saturating_sub(r), y + 1), (y, (y + r + 1).min(SIZE))] {
            let area = ((x1 - x0) * (y1 - y0)) as f64;
            let mut mean = [0.0; 4];
            for (k, m) in mean.iter_mut().enumerate() {
                *m = (sums[y1 * n + x1][k] - sums[y0 * n + x1][k] - sums[y1 * n + x0][k]
                    + sums[y0 * n + x0][k])
                    / area;
            }
            let l = 0.299 * mean[0] + 0.587 * mean[1] + 0.114 * mean[2];
            let spread = mean[3] - l * l;
            if spread < best {
                best = spread;
                colour = Rgb(mean[0] as f32, mean[1] as f32, mean[2] as f32);
            }
        }
    }
    colour
}
