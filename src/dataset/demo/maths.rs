//! Elementary functions and noise that give the same bits on every machine.
//!
//! The system's `sin` and `exp` differ in their last digit from one C library to the next. A demo picture
//! must not, so everything here is made of additions, products, square roots and rounding, which IEEE 754 fixes.
//! The approximations are good to about four digits: plenty for eight-bit pixels.

/// Sine of an angle in radians.
pub(super) fn sin(x: f32) -> f32 {
    let turns = x * std::f32::consts::FRAC_1_PI * 0.5;
    let t = turns - (turns + 0.5).floor();
    // A parabola through the zeros, then one step towards the sine (error below 0.001).
    let y = 8.0 * t - 16.0 * t * t.abs();
    0.225 * (y * y.abs() - y) + y
}

/// Cosine of an angle in radians.
pub(super) fn cos(x: f32) -> f32 {
    sin(x + std::f32::consts::FRAC_PI_2)
}

/// Two to the power of `x`, for `x` between -100 and 100.
pub(super) fn exp2(x: f32) -> f32 {
    let x = x.clamp(-100.0, 100.0);
    let whole = x.floor();
    let f = x - whole;
    let part = 1.0 + f * (0.695_556 + f * (0.226_173 + f * 0.078_245));
    part * f32::from_bits(((whole as i32 + 127) as u32) << 23)
}

/// e to the power of `x`.
pub(super) fn exp(x: f32) -> f32 {
    exp2(x * std::f32::consts::LOG2_E)
}

/// Angle of the point (x, y) in radians, from -pi to pi.
pub(super) fn atan2(y: f32, x: f32) -> f32 {
    let (ax, ay) = (x.abs(), y.abs());
    let a = ax.min(ay) / ax.max(ay).max(1e-9);
    let s = a * a;
    let mut r = ((-0.046_496_5 * s + 0.159_314_2) * s - 0.327_622_76) * s * a + a;
    if ay > ax {
        r = std::f32::consts::FRAC_PI_2 - r;
    }
    if x < 0.0 {
        r = std::f32::consts::PI - r;
    }
    if y < 0.0 { -r } else { r }
}

/// Length of the vector (x, y).
pub(super) fn length(x: f32, y: f32) -> f32 {
    (x * x + y * y).sqrt()
}

/// 0 below `a`, 1 above `b`, a smooth step between.
pub(super) fn smooth(a: f32, b: f32, x: f32) -> f32 {
    let t = ((x - a) / (b - a)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

/// The value between `a` and `b` at `t`.
pub(super) fn lerp(a: f32, b: f32, t: f32) -> f32 {
    a + (b - a) * t
}

/// A number from 0 to 1 for a cell of a grid.
pub(super) fn hash(x: i32, y: i32, seed: u32) -> f32 {
    let mut h = (x as u32)
        .wrapping_mul(0x9E37_79B1)
        .wrapping_add((y as u32).wrapping_mul(0x85EB_CA77))
        .wrapping_add(seed.wrapping_mul(0xC2B2_AE3D));
    h ^= h >> 15;
    h = h.wrapping_mul(0x2C1B_3C6D);
    h ^= h >> 12;
    h = h.wrapping_mul(0x297A_2D39);
    h ^= h >> 15;
    (h >> 8) as f32 / 16_777_216.0
}

/// Value noise from 0 to 1 with cells of size 1.
pub(super) fn noise(x: f32, y: f32, seed: u32) -> f32 {
    let (fx, fy) = (x.floor(), y.floor());
    let (ix, iy) = (fx as i32, fy as i32);
    let (u, v) = (x - fx, y - fy);
    let (u, v) = (u * u * (3.0 - 2.0 * u), v * v * (3.0 - 2.0 * v));
    let top = lerp(hash(ix, iy, seed), hash(ix + 1, iy, seed), u);
    let low = lerp(hash(ix, iy + 1, seed), hash(ix + 1, iy + 1, seed), u);
    lerp(top, low, v)
}

/// Fractal noise, about 0.5 on average, from 0 to 1: `octaves` layers, each half as large and half as strong.
pub(super) fn fbm(x: f32, y: f32, octaves: u32, seed: u32) -> f32 {
    let (mut sum, mut weight, mut total, mut scale) = (0.0, 0.5, 0.0, 1.0);
    for octave in 0..octaves {
        sum += weight * noise(x * scale, y * scale, seed.wrapping_add(octave * 101));
        total += weight;
        weight *= 0.5;
        scale *= 2.03;
    }
    sum / total
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn approximations_stay_close_to_the_true_functions() {
        for i in -400..400 {
            let x = i as f32 * 0.05;
            assert!((sin(x) - x.sin()).abs() < 2e-3, "sin {x}");
            assert!((cos(x) - x.cos()).abs() < 2e-3, "cos {x}");
            let e = exp2(x * 0.3);
            assert!((e / (x * 0.3).exp2() - 1.0).abs() < 1e-3, "exp2 {x}");
            let (s, c) = (x.sin(), x.cos());
            assert!((atan2(s, c) - s.atan2(c)).abs() < 5e-3, "atan2 {x}");
        }
    }

    #[test]
    fn noise_stays_within_its_range() {
        for i in 0..1000 {
            let value = fbm(i as f32 * 0.37 - 90.0, i as f32 * -0.21, 5, 7);
            assert!((0.0..=1.0).contains(&value));
        }
    }
}
