//! Signed distances: negative inside, positive outside, about one per pixel at the edge.
//!
//! The formulas are the well-known ones for circles, boxes, capsules and polygons.

use super::maths::length;

/// A circle.
pub(super) fn circle(x: f32, y: f32, cx: f32, cy: f32, r: f32) -> f32 {
    length(x - cx, y - cy) - r
}

/// An ellipse with half axes `a` and `b`; near its edge the distance is good to a few percent.
pub(super) fn ellipse(x: f32, y: f32, c: (f32, f32), a: f32, b: f32) -> f32 {
    let (dx, dy) = (x - c.0, y - c.1);
    let k = length(dx / a, dy / b);
    let g = length(dx / (a * a), dy / (b * b)).max(1e-6);
    k * (k - 1.0) / g
}

/// A box around a centre with half sizes `w` and `h` and rounded corners.
pub(super) fn rounded(x: f32, y: f32, c: (f32, f32), half: (f32, f32), r: f32) -> f32 {
    let qx = (x - c.0).abs() - half.0 + r;
    let qy = (y - c.1).abs() - half.1 + r;
    length(qx.max(0.0), qy.max(0.0)) + qx.max(qy).min(0.0) - r
}

/// A thick line from `a` to `b`.
pub(super) fn line(x: f32, y: f32, a: (f32, f32), b: (f32, f32), r: f32) -> f32 {
    let (px, py) = (x - a.0, y - a.1);
    let (bx, by) = (b.0 - a.0, b.1 - a.1);
    let t = ((px * bx + py * by) / (bx * bx + by * by).max(1e-6)).clamp(0.0, 1.0);
    length(px - bx * t, py - by * t) - r
}

/// A drop: a circle of radius `r1` at the top joined to one of radius `r2`, `h` below it.
pub(super) fn drop(x: f32, y: f32, c: (f32, f32), radii: (f32, f32), h: f32) -> f32 {
    let (px, py) = ((x - c.0).abs(), y - c.1);
    let (r1, r2) = radii;
    let b = ((r1 - r2) / h).clamp(-0.99, 0.99);
    let a = (1.0 - b * b).sqrt();
    let k = py * a - px * b;
    if k < 0.0 {
        length(px, py) - r1
    } else if k > a * h {
        length(px, py - h) - r2
    } else {
        px * a + py * b - r1
    }
}

/// A polygon of at least three corners.
pub(super) fn polygon(x: f32, y: f32, v: &[(f32, f32)]) -> f32 {
    let mut d = f32::MAX;
    let mut sign = 1.0;
    let mut j = v.len() - 1;
    for i in 0..v.len() {
        let (ex, ey) = (v[j].0 - v[i].0, v[j].1 - v[i].1);
        let (wx, wy) = (x - v[i].0, y - v[i].1);
        let t = ((wx * ex + wy * ey) / (ex * ex + ey * ey).max(1e-6)).clamp(0.0, 1.0);
        let (bx, by) = (wx - ex * t, wy - ey * t);
        d = d.min(bx * bx + by * by);
        let above = y >= v[i].1;
        let below = y < v[j].1;
        let left = ex * wy > ey * wx;
        if (above && below && left) || (!above && !below && !left) {
            sign = -sign;
        }
        j = i;
    }
    sign * d.sqrt()
}

/// Two shapes melted together over about `k` pixels.
pub(super) fn blend(a: f32, b: f32, k: f32) -> f32 {
    let h = (0.5 + 0.5 * (b - a) / k).clamp(0.0, 1.0);
    b + (a - b) * h - k * h * (1.0 - h)
}
