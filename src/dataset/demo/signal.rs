//! Filters of whole pictures: Gaussian blur and the squares of strong compression.

use super::canvas::Canvas;
use super::canvas::Rgb;
use super::canvas::SIZE;
use super::maths;

/// Gaussian blur with a deviation of `sigma` pixels; the border goes on for ever.
pub(super) fn blur(px: &[Rgb], sigma: f32) -> Vec<Rgb> {
    let reach = (sigma * 2.6).ceil() as usize;
    let mut weights: Vec<f32> = (0..=reach)
        .map(|i| maths::exp(-0.5 * (i as f32 / sigma) * (i as f32 / sigma)))
        .collect();
    let total = weights[0] + 2.0 * weights[1..].iter().sum::<f32>();
    for w in &mut weights {
        *w /= total;
    }
    let across = pass(px, &weights);
    pass(&across, &weights)
}

/// Blurs along rows and turns the picture over its diagonal, so that two passes blur both ways.
fn pass(px: &[Rgb], weights: &[f32]) -> Vec<Rgb> {
    let mut out = vec![Rgb::BLACK; px.len()];
    for (y, row) in px.chunks_exact(SIZE).enumerate() {
        for x in 0..SIZE {
            let mut sum = row[x] * weights[0];
            for (i, w) in weights.iter().enumerate().skip(1) {
                sum = sum + (row[x.saturating_sub(i)] + row[(x + i).min(SIZE - 1)]) * *w;
            }
            out[x * SIZE + y] = sum;
        }
    }
    out
}

/// Side of a square of the transform.
const N: usize = 8;

/// cos(k pi / 16) for k from 0 to 8, written out because library cosines differ between machines.
const COS: [f32; 9] = [
    1.0,
    0.980_785_3,
    0.923_879_5,
    0.831_469_6,
    std::f32::consts::FRAC_1_SQRT_2,
    0.555_570_2,
    0.382_683_4,
    0.195_090_3,
    0.0,
];

/// cos(k pi / 16) for any k.
fn cosine(k: usize) -> f32 {
    match k % 32 {
        k @ 0..=8 => COS[k],
        k @ 9..=16 => -COS[16 - k],
        k @ 17..=24 => -COS[k - 16],
        k => COS[32 - k],
    }
}

/// The basis of the cosine transform: `[frequency][place]`.
fn basis() -> [[f32; N]; N] {
    let mut basis = [[0.0; N]; N];
    for (k, row) in basis.iter_mut().enumerate() {
        for (x, v) in row.iter_mut().enumerate() {
            let scale = if k == 0 { 0.353_553_4 } else { 0.5 };
            *v = scale * cosine((2 * x + 1) * k);
        }
    }
    basis
}

/// Rounds the cosine transform of each 8x8 square coarsely, as strong JPEG compression does.
pub(super) fn blocks(c: &mut Canvas, step: f32) {
    let basis = basis();
    for by in (0..SIZE).step_by(N) {
        for bx in (0..SIZE).step_by(N) {
            let place = |i: usize| (by + i / N) * SIZE + bx + i % N;
            let mut light = [0.0; N * N];
            let mut red = [0.0; N * N];
            let mut blue = [0.0; N * N];
            for (i, ((l, r), b)) in light.iter_mut().zip(&mut red).zip(&mut blue).enumerate() {
                let p = c.px[place(i)].map(|v| v.clamp(0.0, 1.0));
                *l = p.luma();
                *r = p.0 - *l;
                *b = p.2 - *l;
            }
            round(&mut light, step, &basis);
            round(&mut red, step * 2.2, &basis);
            round(&mut blue, step * 2.2, &basis);
            for (i, ((l, r), b)) in light.iter().zip(&red).zip(&blue).enumerate() {
                let (r, b) = (r + l, b + l);
                c.px[place(i)] = Rgb(r, (l - 0.299 * r - 0.114 * b) / 0.587, b);
            }
        }
    }
}

/// Transforms, rounds and transforms back one square; higher frequencies are rounded more coarsely.
fn round(square: &mut [f32; N * N], step: f32, basis: &[[f32; N]; N]) {
    let mut spectrum = turn(square, |k, x| basis[k][x]);
    for (i, v) in spectrum.iter_mut().enumerate() {
        let step = step * (0.55 + 0.45 * (i % N + i / N) as f32);
        *v = (*v / step + 0.5).floor() * step;
    }
    *square = turn(&spectrum, |x, k| basis[k][x]);
}

/// Applies a transform to rows, then to columns.
fn turn(square: &[f32; N * N], weight: impl Fn(usize, usize) -> f32) -> [f32; N * N] {
    let mut half = [0.0; N * N];
    for y in 0..N {
        for k in 0..N {
            half[k * N + y] = (0..N).map(|x| weight(k, x) * square[y * N + x]).sum();
        }
    }
    let mut full = [0.0; N * N];
    for k in 0..N {
        for j in 0..N {
            full[j * N + k] = (0..N).map(|y| weight(j, y) * half[k * N + y]).sum();
        }
    }
    full
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_with_a_fine_step_keep_the_picture() {
        let mut c = Canvas::new();
        c.change(super::super::canvas::Area::ALL, |x, y, _| {
            Rgb(x / 600.0, y / 700.0, maths::noise(x * 0.1, y * 0.1, 3))
        });
        let before = c.px.clone();
        blocks(&mut c, 1e-4);
        for (a, b) in before.iter().zip(&c.px) {
            assert!((a.0 - b.0).abs() + (a.1 - b.1).abs() + (a.2 - b.2).abs() < 0.01);
        }
    }

    #[test]
    fn blur_keeps_the_mean() {
        let px: Vec<Rgb> = (0..SIZE * SIZE)
            .map(|i| Rgb::grey(maths::hash(i as i32, 0, 1)))
            .collect();
        let mean = |px: &[Rgb]| px.iter().map(|p| f64::from(p.0)).sum::<f64>() / px.len() as f64;
        assert!((mean(&px) - mean(&blur(&px, 3.0))).abs() < 2e-3);
    }
}
