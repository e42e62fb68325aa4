//! The picture while it is painted: colours as floats, shapes by signed distance, a mask of the subject.
//!
//! Coordinates are pixels, x to the right and y down. A shape is a function that is negative inside; its edge
//! is softened over one pixel. While `marking` is on, what is painted is also noted as part of the subject,
//! which the planted defects use to find something worth damaging.

use std::ops::Add;
use std::ops::Mul;

use crate::domain::Picture;

use super::maths;

/// Width and height of every demo picture.
pub(super) const SIZE: usize = 512;

/// Width and height as a float.
pub(super) const S: f32 = SIZE as f32;

/// A colour as the screen shows it, 0 to 1 each; light may push it above 1 until it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Rgb(pub(super) f32, pub(super) f32, pub(super) f32);

impl Rgb {
    /// A grey.
    pub(super) const fn grey(v: f32) -> Self {
        Self(v, v, v)
    }

    /// Black.
    pub(super) const BLACK: Self = Self::grey(0.0);

    /// White.
    pub(super) const WHITE: Self = Self::grey(1.0);

    /// The colour between `self` and `other` at `t`.
    pub(super) fn mix(self, other: Self, t: f32) -> Self {
        self * (1.0 - t) + other * t
    }

    /// Channel by channel, as light through coloured glass.
    pub(super) fn tint(self, other: Self) -> Self {
        Self(self.0 * other.0, self.1 * other.1, self.2 * other.2)
    }

    /// Perceived brightness.
    pub(super) fn luma(self) -> f32 {
        0.299 * self.0 + 0.587 * self.1 + 0.114 * self.2
    }

    /// More (above 1) or less (below 1) colourful.
    pub(super) fn saturate(self, amount: f32) -> Self {
        Self::grey(self.luma()).mix(self, amount)
    }

    /// Each channel through a function.
    pub(super) fn map(self, f: impl Fn(f32) -> f32) -> Self {
        Self(f(self.0), f(self.1), f(self.2))
    }
}

impl Add for Rgb {
    type Output = Self;

    fn add(self, o: Self) -> Self {
        Self(self.0 + o.0, self.1 + o.1, self.2 + o.2)
    }
}

impl Mul<f32> for Rgb {
    type Output = Self;

    fn mul(self, k: f32) -> Self {
        Self(self.0 * k, self.1 * k, self.2 * k)
    }
}

/// A rectangle in pixels: left, top, right, bottom.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Area(
    pub(super) f32,
    pub(super) f32,
    pub(super) f32,
    pub(super) f32,
);

impl Area {
    /// The whole picture.
    pub(super) const ALL: Self = Self(0.0, 0.0, S, S);

    /// The square around a point.
    pub(super) fn around(x: f32, y: f32, reach: f32) -> Self {
        Self(x - reach, y - reach, x + reach, y + reach)
    }

    /// Its middle.
    pub(super) fn centre(self) -> (f32, f32) {
        (f32::midpoint(self.0, self.2), f32::midpoint(self.1, self.3))
    }

    /// The part of it inside the picture as pixel ranges.
    fn pixels(self) -> (usize, usize, usize, usize) {
        let cut = |v: f32| (v.max(0.0) as usize).min(SIZE);
        (
            cut(self.0.floor()),
            cut(self.1.floor()),
            cut(self.2.ceil()),
            cut(self.3.ceil()),
        )
    }
}

/// A picture in the making.
#[derive(Clone)]
pub(super) struct Canvas {
    /// Pixels, rows from the top.
    pub(super) px: Vec<Rgb>,
    /// How far each pixel belongs to the subject, 0 to 1.
    pub(super) mask: Vec<f32>,
    /// Where each of the subjects stands.
    pub(super) subjects: Vec<Area>,
    /// Whether painting also fills the mask.
    pub(super) marking: bool,
}

impl Canvas {
    /// A black picture.
    pub(super) fn new() -> Self {
        Self {
            px: vec![Rgb::BLACK; SIZE * SIZE],
            mask: vec![0.0; SIZE * SIZE],
            subjects: Vec::new(),
            marking: false,
        }
    }

    /// Changes every pixel of an area from its place and its colour.
    pub(super) fn change(&mut self, area: Area, f: impl Fn(f32, f32, Rgb) -> Rgb) {
        let (x0, y0, x1, y1) = area.pixels();
        for y in y0..y1 {
            let row = &mut self.px[y * SIZE..(y + 1) * SIZE];
            for (x, p) in row.iter_mut().enumerate().take(x1).skip(x0) {
                *p = f(x as f32 + 0.5, y as f32 + 0.5, *p);
            }
        }
    }

    /// Paints a shape: `distance` is negative inside, `colour` is asked where the shape covers.
    pub(super) fn shape(
        &mut self,
        area: Area,
        distance: impl Fn(f32, f32) -> f32,
        colour: impl Fn(f32, f32) -> Rgb,
    ) {
        let (x0, y0, x1, y1) = area.pixels();
        for y in y0..y1 {
            for x in x0..x1 {
                let (fx, fy) = (x as f32 + 0.5, y as f32 + 0.5);
                let cover = (0.5 - distance(fx, fy)).clamp(0.0, 1.0);
                if cover > 0.0 {
                    let i = y * SIZE + x;
                    self.px[i] = self.px[i].mix(colour(fx, fy), cover);
                    if self.marking {
                        self.mask[i] = self.mask[i].max(cover);
                    }
                }
            }
        }
    }

    /// Lays a soft-edged colour over the picture: `cover` is from 0 to 1.
    pub(super) fn veil(&mut self, area: Area, colour: Rgb, cover: impl Fn(f32, f32) -> f32) {
        self.change(area, |x, y, p| p.mix(colour, cover(x, y).clamp(0.0, 1.0)));
    }

    /// Adds light around a point.
    pub(super) fn glow(&mut self, x: f32, y: f32, reach: f32, light: Rgb) {
        self.change(Area::around(x, y, reach), |px, py, p| {
            let d = maths::length(px - x, py - y) / reach;
            let k = (1.0 - d).max(0.0);
            p + light * (k * k * k)
        });
    }

    /// Runs `paint` with marking on and notes where the subject stands.
    pub(super) fn subject(&mut self, area: Area, paint: impl FnOnce(&mut Self)) {
        let before = std::mem::replace(&mut self.marking, true);
        paint(self);
        self.marking = before;
        self.subjects.push(area);
    }

    /// The pixel nearest to a place; the border goes on for ever.
    pub(super) fn at(&self, x: f32, y: f32) -> Rgb {
        let cut = |v: f32| (v.max(0.0) as usize).min(SIZE - 1);
        self.px[cut(y) * SIZE + cut(x)]
    }

    /// The colour at a place between pixels.
    pub(super) fn sample(&self, x: f32, y: f32) -> Rgb {
        let (x, y) = (x - 0.5, y - 0.5);
        let (fx, fy) = (x.floor(), y.floor());
        let top = self.at(fx, fy).mix(self.at(fx + 1.0, fy), x - fx);
        let low = self
            .at(fx, fy + 1.0)
            .mix(self.at(fx + 1.0, fy + 1.0), x - fx);
        top.mix(low, y - fy)
    }

    /// The finished picture in eight bits.
    pub(super) fn picture(&self) -> Picture {
        let byte = |v: f32| (v.clamp(0.0, 1.0) * 255.0 + 0.5) as u8;
        let rgb = self
            .px
            .iter()
            .flat_map(|p| [byte(p.0), byte(p.1), byte(p.2)])
            .collect::<Vec<u8>>();
        Picture {
            width: SIZE as u32,
            height: SIZE as u32,
            rgb: rgb.into(),
        }
    }
}
