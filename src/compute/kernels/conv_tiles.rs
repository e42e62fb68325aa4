//! The convolution on matrix tiles: operands rounded to 16-bit floats, sums in single precision.
//!
//! Nothing is unfolded: a tile's rows are sixteen neighbouring positions of a padded picture, loaded from where they
//! stand, and every tap of the kernel is a step of the sum that begins elsewhere.

use super::conv::Shapes;
use super::tiles::{self, DEPTH, Job, TILE, Tiles, to_half};

/// What a picture is turned into on its way.
#[derive(Default)]
pub(super) struct Scratch {
    plane: Vec<u16>,
    turned: Vec<u16>,
    pairs: Vec<u16>,
}

/// A convolution laid out for tiles.
pub(super) struct Plan<'a> {
    shapes: &'a Shapes,
    forward: Vec<u16>,
    /// One for each phase of the stride, see [`Plan::input_gradient`].
    backward: Vec<Sweep>,
}

/// One pass over a plane: at every place, the same steps.
struct Sweep {
    steps: Vec<[usize; 2]>,
    weights: Vec<u16>,
    phase: [usize; 2],
}

/// Values of one group of weights and one step: two tiles side by side.
const STEP: usize = 2 * TILE * DEPTH;

impl<'a> Plan<'a> {
    /// `None` where the CPU has no tiles, or the sizes do not fill them.
    pub(super) fn new(shapes: &'a Shapes, weight: &[f32]) -> Option<Self> {
        let spec = shapes.spec;
        let [height, width] = shapes.out_size;
        let whole = shapes.in_size == [height * spec.stride, width * spec.stride];
        let patchwise = spec.kernel == spec.stride && spec.padding == 0 && !spec.input_gradient;
        let centred = spec.kernel == 2 * spec.padding + 1
            && spec.stride <= 2
            && shapes.in_channels.is_multiple_of(DEPTH);
        let fits = width >= TILE
            && (width * height).is_multiple_of(DEPTH)
            && width.is_multiple_of(2)
            && shapes.out_channels.is_multiple_of(2 * TILE);
        if !(tiles::available() && whole && fits && (patchwise || centred)) {
            return None;
        }
        let mut plan = Self {
            shapes,
            forward: Vec::new(),
            backward: Vec::new(),
        };
        plan.forward = plan.pack_forward(weight);
        if spec.input_gradient {
            let phases = (0..spec.stride).flat_map(|y| (0..spec.stride).map(move |x| [y, x]));
            plan.backward = phases
                .map(|phase| plan.pack_backward(weight, phase))
                .collect();
        }
        Some(plan)
    }

    fn is_patchwise(&self) -> bool {
        self.shapes.spec.padding == 0
    }

    /// Taps that remain, and values of each: a kernel as large as its stride is one tap of all its values.
    fn taps(&self) -> (usize, usize) {
        if self.is_patchwise() {
            (1, self.shapes.patch().next_multiple_of(DEPTH))
        } else {
            (self.shapes.spec.kernel.pow(2), self.shapes.in_channels)
        }
    }

    fn pack_forward(&self, weight: &[f32]) -> Vec<u16> {
        let (taps, depth) = self.taps();
        let patch = self.shapes.patch();
        let value = |out: usize, step: usize, at: usize| {
            let index = step * DEPTH + at;
            if index < patch {
                weight[out * patch + index]
            } else {
                0.0
            }
        };
        pack(self.shapes.out_channels, taps * depth / DEPTH, value)
    }

    fn pack_backward(&self, weight: &[f32], phase: [usize; 2]) -> Sweep {
        let Shapes {
            spec,
            in_channels,
            out_channels,
            out_size,
            ..
        } = *self.shapes;
        let row = (out_size[1] + 2 * spec.padding) * out_channels;
        let reach = |phase: usize| {
            let far = move |tap: usize| phase + (1 + spec.stride) * spec.padding - tap;
            (0..spec.kernel)
                .filter(move |&tap| {
                    (phase + spec.padding + spec.stride * spec.kernel - tap)
                        .is_multiple_of(spec.stride)
                })
                .map(move |tap| (tap, far(tap) / spec.stride))
        };
        let mut taps = Vec::new();
        for (y, down) in reach(phase[0]) {
            for (x, right) in reach(phase[1]) {
                taps.push((y * spec.kernel + x, down * row + right * out_channels));
            }
        }
        let blocks = out_channels / DEPTH;
        let patch = self.shapes.patch();
        let value = |channel: usize, step: usize, at: usize| {
            let (tap, out) = (taps[step / blocks].0, step % blocks * DEPTH + at);
            weight[out * patch + tap * in_channels + channel]
        };
        let weights = pack(in_channels, taps.len() * blocks, value);
        let starts = taps
            .iter()
            .flat_map(|(_, start)| (0..blocks).map(move |block| start + block * DEPTH));
        let steps = starts
            .enumerate()
            .map(|(index, start)| [start, index * STEP])
            .collect();
        Sweep {
            steps,
            weights,
            phase,
        }
    }

    /// Positions of the output in groups of sixteen of a row; the last group of a row may overlap the one before.
    fn places(&self) -> impl Iterator<Item = (usize, usize)> {
        let [height, width] = self.shapes.out_size;
        let columns = move || {
            (0..width)
                .step_by(TILE)
                .map(move |col| col.min(width - TILE))
        };
        (0..height).flat_map(move |row| columns().map(move |col| (row, col)))
    }

    pub(super) fn forward(&self, picture: &[f32], out: &mut [f32], scratch: &mut Scratch) {
        let (taps, depth) = self.taps();
        let Shapes {
            spec,
            out_channels,
            out_size,
            ..
        } = *self.shapes;
        let row = self.plane(picture, &mut scratch.plane);
        let start = |tap: usize| tap / spec.kernel * row + tap % spec.kernel * depth;
        let starts = (0..taps)
            .flat_map(|tap| (0..depth / DEPTH).map(move |block| start(tap) + block * DEPTH));
        let steps: Vec<_> = starts
            .enumerate()
            .map(|(index, start)| [start, index * STEP])
            .collect();
        let stride = if self.is_patchwise() { 1 } else { spec.stride };
        let places: Vec<_> = self
            .places()
            .map(|(y, x)| {
                (
                    y * stride * row + x * stride * depth,
                    (y * out_size[1] + x) * out_channels,
                )
            })
            .collect();
        let steps = (steps.as_slice(), stride * depth);
        sweep(
            (&scratch.plane, steps),
            &self.forward,
            &places,
            (out, out_channels, out_channels),
        );
    }

    /// Adds the picture's part to `grad_weight`, writes `grad_picture` where one is wanted.
    pub(super) fn backward(
        &self,
        (picture, grad): (&[f32], &[f32]),
        grad_weight: &mut [f32],
        grad_picture: Option<&mut [f32]>,
        scratch: &mut Scratch,
    ) {
        self.weight_gradient((picture, grad), grad_weight, scratch);
        if let Some(grad_picture) = grad_picture {
            self.input_gradient(grad, grad_picture, scratch);
        }
    }

    /// The input's gradient is a convolution of the output's. With a stride of two there are four of them, one for each
    /// parity of rows and columns, as only every second tap meets a given position.
    fn input_gradient(&self, grad: &[f32], grad_picture: &mut [f32], scratch: &mut Scratch) {
        let Shapes {
            spec,
            in_channels,
            out_channels,
            out_size,
            in_size,
            ..
        } = *self.shapes;
        let row = padded(
            grad,
            (out_size, out_channels),
            spec.padding,
            &mut scratch.plane,
        );
        for Sweep {
            steps,
            weights,
            phase,
        } in &self.backward
        {
            let places: Vec<_> = self
                .places()
                .map(|(y, x)| {
                    let (down, right) = (y * spec.stride + phase[0], x * spec.stride + phase[1]);
                    (
                        y * row + x * out_channels,
                        (down * in_size[1] + right) * in_channels,
                    )
                })
                .collect();
            let apart = spec.stride * in_channels;
            let steps = (steps.as_slice(), out_channels);
            sweep(
                (&scratch.plane, steps),
                weights,
                &places,
                (grad_picture, apart, in_channels),
            );
        }
    }

    fn weight_gradient(
        &self,
        (picture, grad): (&[f32], &[f32]),
        grad_weight: &mut [f32],
        scratch: &mut Scratch,
    ) {
        let (taps, depth) = self.taps();
        let Shapes {
            out_channels,
            out_size,
            ..
        } = *self.shapes;
        let positions = out_size[0] * out_size[1];
        // Rows a multiple of 4 kB apart would all want the same few lines of the cache.
        let apart = positions + DEPTH;
        turn(grad, out_channels, apart, &mut scratch.turned);
        let row = self.plane(picture, &mut scratch.plane);
        let begins = self.pairs((&scratch.plane, row, depth), &mut scratch.pairs);
        let steps: Vec<_> = (0..positions / DEPTH)
            .map(|step| [step * DEPTH, step * DEPTH * depth])
            .collect();
        let width = taps * depth;
        let mut sums = vec![0.0; out_channels * width];
        let tiles = Tiles::lay_out();
        for out in (0..out_channels).step_by(2 * TILE) {
            for (tap, begin) in begins.iter().enumerate() {
                for channel in (0..depth).step_by(2 * TILE) {
                    let right = begin + 2 * channel;
                    let sum = out * width + tap * depth + channel;
                    let job = Job {
                        left: &scratch.turned,
                        left_at: [out * apart, (out + TILE) * apart],
                        left_apart: apart,
                        right: &scratch.pairs,
                        right_at: [right, right + 2 * TILE],
                        right_apart: 2 * depth,
                        steps: &steps,
                        out_at: [sum, sum + TILE * width],
                        out_apart: width,
                    };
                    tiles.run(&job, &mut sums);
                }
            }
        }
        let patch = self.shapes.patch();
        for (into, from) in grad_weight
            .chunks_exact_mut(patch)
            .zip(sums.chunks_exact(width))
        {
            for (into, from) in into.iter_mut().zip(from) {
                *into += from;
            }
        }
    }

    /// The input in 16-bit floats; from row to row.
    fn plane(&self, picture: &[f32], plane: &mut Vec<u16>) -> usize {
        let Shapes {
            spec,
            in_channels,
            in_size,
            ..
        } = *self.shapes;
        if self.is_patchwise() {
            return self.patchwise(picture, plane);
        }
        padded(picture, (in_size, in_channels), spec.padding, plane)
    }

    fn patchwise(&self, picture: &[f32], plane: &mut Vec<u16>) -> usize {
        let (_, depth) = self.taps();
        let Shapes {
            spec,
            in_channels,
            out_size,
            in_size,
            ..
        } = *self.shapes;
        plane.clear();
        plane.resize(out_size[0] * out_size[1] * depth, 0);
        let run = spec.kernel * in_channels;
        for (position, patch) in plane.chunks_exact_mut(depth).enumerate() {
            let (y, x) = (position / out_size[1], position % out_size[1]);
            for (tap, into) in patch[..spec.kernel * run].chunks_exact_mut(run).enumerate() {
                let from = ((y * spec.stride + tap) * in_size[1] + x * spec.stride) * in_channels;
                halves(&picture[from..from + run], into);
            }
        }
        out_size[1] * depth
    }

    /// Neighbouring positions in pairs, as right operands want them, and where each tap's begin. Taps of one column share
    /// theirs; rows that a stride leaves out between two stand in a part of their own.
    fn pairs(
        &self,
        (plane, row, depth): (&[u16], usize, usize),
        pairs: &mut Vec<u16>,
    ) -> Vec<usize> {
        let [height, width] = self.shapes.out_size;
        let (kernel, stride) = match self.is_patchwise() {
            true => (1, 1),
            false => (self.shapes.spec.kernel, self.shapes.spec.stride),
        };
        let rows = height + (kernel - 1) / stride;
        let part = rows * width * depth;
        pairs.resize(kernel * stride * part, 0);
        for (index, part) in pairs.chunks_exact_mut(part).enumerate() {
            let (column, phase) = (index / stride, index % stride);
            for (y, line) in part.chunks_exact_mut(width * depth).enumerate() {
                let from = &plane[(y * stride + phase) * row + column * depth..];
                for (x, pair) in line.chunks_exact_mut(2 * depth).enumerate() {
                    let first = &from[2 * x * stride * depth..][..depth];
                    let second = &from[(2 * x + 1) * stride * depth..][..depth];
                    for ((pair, first), second) in pair.chunks_exact_mut(2).zip(first).zip(second) {
                        pair[0] = *first;
                        pair[1] = *second;
                    }
                }
            }
        }
        let begin = |tap: usize| {
            let (y, x) = (tap / kernel, tap % kernel);
            (x * stride + y % stride) * part + y / stride * width * depth
        };
        (0..kernel * kernel).map(begin).collect()
    }
}

/// Weights in the order in which a sweep reads them: groups of 32 columns, steps, two tiles, pairs of values.
fn pack(columns: usize, steps: usize, value: impl Fn(usize, usize, usize) -> f32) -> Vec<u16> {
    let mut packed = Vec::with_capacity(columns / 32 * steps * STEP);
    for group in (0..columns).step_by(2 * TILE) {
        for step in 0..steps {
            for half in [group, group + TILE] {
                for pair in 0..DEPTH / 2 {
                    for column in half..half + TILE {
                        packed.push(to_half(value(column, step, 2 * pair)));
                        packed.push(to_half(value(column, step, 2 * pair + 1)));
                    }
                }
            }
        }
    }
    packed
}

/// Every group of 32 columns at every pair of places. A place is where it begins in the plane and in `out`.
fn sweep(
    (plane, (steps, plane_apart)): (&[u16], (&[[usize; 2]], usize)),
    weights: &[u16],
    places: &[(usize, usize)],
    (out, out_apart, columns): (&mut [f32], usize, usize),
) {
    let tiles = Tiles::lay_out();
    for group in 0..columns / (2 * TILE) {
        let right = group * steps.len() * STEP;
        for pair in places.chunks(2) {
            let (first, second) = (pair[0], pair[pair.len() - 1]);
            let job = Job {
                left: plane,
                left_at: [first.0, second.0],
                left_apart: plane_apart,
                right: weights,
                right_at: [right, right + TILE * DEPTH],
                right_apart: DEPTH,
                steps,
                out_at: [first.1, second.1].map(|at| at + group * 2 * TILE),
                out_apart,
            };
            tiles.run(&job, out);
        }
    }
}

/// A picture with zeros around it; from row to row.
fn padded(
    values: &[f32],
    ([_, width], channels): ([usize; 2], usize),
    padding: usize,
    plane: &mut Vec<u16>,
) -> usize {
    let row = (width + 2 * padding) * channels;
    let height = values.len() / (width * channels);
    plane.clear();
    plane.resize((height + 2 * padding) * row, 0);
    for (y, line) in values.chunks_exact(width * channels).enumerate() {
        let start = (y + padding) * row + padding * channels;
        halves(line, &mut plane[start..start + width * channels]);
    }
    row
}

fn halves(from: &[f32], into: &mut [u16]) {
    for (into, from) in into.iter_mut().zip(from) {
        *into = to_half(*from);
    }
}

/// Rows of channels to rows of positions, `apart` from each other.
fn turn(values: &[f32], channels: usize, apart: usize, turned: &mut Vec<u16>) {
    turned.resize(channels * apart, 0);
    let block = TILE * channels;
    for (index, block) in values.chunks(block).enumerate() {
        for channel in 0..channels {
            let start = channel * apart + index * TILE;
            for (at, into) in turned[start..start + block.len() / channels]
                .iter_mut()
                .enumerate()
            {
                *into = to_half(block[at * channels + channel]);
            }
        }
    }
}
