//! 2-D convolution, channels last, as patches times weights; forward and backward split by picture among threads.

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

use super::conv_tiles::{Plan, Scratch};
use super::{Mat, Put, multiply};
use crate::compute::real::{contiguous, with_values};

/// Geometry of a convolution with a square kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConvSpec {
    /// Kernel height and width.
    pub kernel: usize,
    /// Step in both directions.
    pub stride: usize,
    /// Zeros around the input on each side.
    pub padding: usize,
    /// Whether the gradient of the input is wanted: not for the first layer.
    pub input_gradient: bool,
}

/// Convolution of `input (batch, height, width, in)` with `weight (out, kernel * kernel * in)`, f32, contiguous, to
/// `(batch, out_height, out_width, out)`. A weight row runs over kernel rows, kernel columns, input channels.
///
/// # Errors
/// Wrong ranks, types or sizes.
pub fn conv2d(input: &Tensor, weight: &Tensor, spec: ConvSpec) -> Result<Tensor> {
    input.apply_op2(weight, Conv(spec, Precision::Single))
}

/// The same with operands rounded to 16-bit floats where the CPU has tiles for them and the sizes fill those; sums stay
/// in single precision. For training: several times quicker, and blind to the third digit.
///
/// # Errors
/// Wrong ranks, types or sizes.
pub fn conv2d_rounded(input: &Tensor, weight: &Tensor, spec: ConvSpec) -> Result<Tensor> {
    input.apply_op2(weight, Conv(spec, Precision::Rounded))
}

/// `x (.., in)` times `weight (out, in)` transposed, rounded as in [`conv2d_rounded`]: a convolution of one tap. The first
/// dimension is shared out among threads.
///
/// # Errors
/// Wrong ranks, types or sizes.
pub fn linear_rounded(x: &Tensor, weight: &Tensor) -> Result<Tensor> {
    let spec = ConvSpec {
        kernel: 1,
        stride: 1,
        padding: 0,
        input_gradient: true,
    };
    let (&[first, .., width], out) = (x.dims(), weight.dim(0)?) else {
        bail!("linear_rounded expects rows of values, got {:?}", x.shape())
    };
    let rows = x.elem_count() / first.max(1) / width.max(1);
    let x_rows = x.reshape((first, 1, rows, width))?.contiguous()?;
    let mut dims = x.dims().to_vec();
    if let Some(last) = dims.last_mut() {
        *last = out;
    }
    conv2d_rounded(&x_rows, &weight.contiguous()?, spec)?.reshape(dims)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Precision {
    Single,
    Rounded,
}

impl Precision {
    fn plan<'a>(self, shapes: &'a Shapes, weight: &[f32]) -> Option<Plan<'a>> {
        match self {
            Self::Single => None,
            Self::Rounded => Plan::new(shapes, weight),
        }
    }
}

/// Bytes of patches that one tile unfolds at a time: about half a second-level cache.
const TILE_VALUES: usize = 96 * 1024;

#[derive(Debug, Clone, Copy)]
pub(super) struct Shapes {
    pub(super) spec: ConvSpec,
    batch: usize,
    pub(super) in_size: [usize; 2],
    pub(super) in_channels: usize,
    pub(super) out_size: [usize; 2],
    pub(super) out_channels: usize,
}

impl Shapes {
    fn new(spec: ConvSpec, input: &[usize], weight: &[usize]) -> Result<Self> {
        let (&[batch, height, width, in_channels], &[out_channels, patch]) = (input, weight) else {
            bail!(
                "conv2d expects input (batch, height, width, in) and weight (out, patch), got {input:?} and {weight:?}"
            )
        };
        if patch != spec.kernel * spec.kernel * in_channels {
            bail!(
                "conv2d expects weight rows of {} values, got {patch}",
                spec.kernel * spec.kernel * in_channels
            )
        }
        if height.min(width) + 2 * spec.padding < spec.kernel {
            bail!(
                "conv2d expects pictures no smaller than its kernel of {}, got {width}x{height}",
                spec.kernel
            )
        }
        let out = |size: usize| (size + 2 * spec.padding - spec.kernel) / spec.stride + 1;
        let out_size = [out(height), out(width)];
        Ok(Self {
            spec,
            batch,
            in_size: [height, width],
            in_channels,
            out_size,
            out_channels,
        })
    }

    pub(super) const fn patch(&self) -> usize {
        self.spec.kernel * self.spec.kernel * self.in_channels
    }

    const fn in_len(&self) -> usize {
        self.in_size[0] * self.in_size[1] * self.in_channels
    }

    const fn out_len(&self) -> usize {
        self.out_size[0] * self.out_size[1] * self.out_channels
    }

    /// Output rows whose patches fit a tile.
    fn tile_rows(&self) -> usize {
        (TILE_VALUES / (self.patch() * self.out_size[1])).clamp(1, self.out_size[0])
    }

    fn tiles(&self) -> impl Iterator<Item = (usize, usize)> {
        let (rows, step) = (self.out_size[0], self.tile_rows());
        (0..rows)
            .step_by(step)
            .map(move |start| (start, step.min(rows - start)))
    }

    /// For one kernel row of one output position: where its values stand in the input row and in the patch row.
    fn span(&self, out_col: usize) -> (usize, usize, usize) {
        let start = (out_col * self.spec.stride) as isize - self.spec.padding as isize;
        let first = start.max(0) as usize;
        let last = (start + self.spec.kernel as isize).clamp(0, self.in_size[1] as isize) as usize;
        (first, last.max(first), (first as isize - start) as usize)
    }

    /// The input row under kernel row `tap` of output row `row`; `None` in the padding.
    fn in_row(&self, row: usize, tap: usize) -> Option<usize> {
        (row * self.spec.stride + tap)
            .checked_sub(self.spec.padding)
            .filter(|&r| r < self.in_size[0])
    }

    /// Calls `copy(input range start, patch range start, length)` for every run of values that a tile shares with
    /// the input.
    fn for_each_run(
        &self,
        (start, count): (usize, usize),
        mut copy: impl FnMut(usize, usize, usize),
    ) {
        let (c, width, k) = (self.in_channels, self.in_size[1], self.spec.kernel);
        for row in start..start + count {
            for tap in 0..k {
                let Some(in_row) = self.in_row(row, tap) else {
                    continue;
                };
                for col in 0..self.out_size[1] {
                    let (first, last, skip) = self.span(col);
                    let position = (row - start) * self.out_size[1] + col;
                    let into = position * self.patch() + (tap * k + skip) * c;
                    copy((in_row * width + first) * c, into, (last - first) * c);
                }
            }
        }
    }

    fn unfold(&self, picture: &[f32], tile: (usize, usize), patches: &mut Vec<f32>) {
        patches.clear();
        patches.resize(tile.1 * self.out_size[1] * self.patch(), 0.0);
        self.for_each_run(tile, |from, into, len| {
            patches[into..into + len].copy_from_slice(&picture[from..from + len]);
        });
    }

    fn fold(&self, patches: &[f32], tile: (usize, usize), picture: &mut [f32]) {
        self.for_each_run(tile, |into, from, len| {
            for (sum, value) in picture[into..into + len]
                .iter_mut()
                .zip(&patches[from..from + len])
            {
                *sum += value;
            }
        });
    }

    fn tile_range(&self, (start, count): (usize, usize)) -> std::ops::Range<usize> {
        let row = self.out_size[1] * self.out_channels;
        start * row..(start + count) * row
    }

    fn forward_picture(
        &self,
        picture: &[f32],
        weight: &[f32],
        out: &mut [f32],
        patches: &mut Vec<f32>,
    ) {
        for tile in self.tiles() {
            self.unfold(picture, tile, patches);
            let shape = [tile.1 * self.out_size[1], self.patch(), self.out_channels];
            let out = &mut out[self.tile_range(tile)];
            let patches = Mat::rows(patches, self.patch());
            let weight = Mat::rows(weight, self.patch()).t();
            multiply(out, Put::Set, (patches, weight), shape);
        }
    }

    /// Adds this picture's part to `grad_weight`; writes `grad_picture` where one is wanted.
    fn backward_picture(
        &self,
        (picture, grad_out): (&[f32], &[f32]),
        weight: &[f32],
        grads: Gradients<'_>,
    ) {
        let Gradients {
            grad_picture,
            grad_weight,
            patches,
        } = grads;
        let (patch, out) = (self.patch(), self.out_channels);
        let mut grad_picture = grad_picture;
        for tile in self.tiles() {
            let positions = tile.1 * self.out_size[1];
            let grad_out = &grad_out[self.tile_range(tile)];
            self.unfold(picture, tile, patches);
            let grad_out = Mat::rows(grad_out, out);
            let operands = (grad_out.t(), Mat::rows(patches, patch));
            multiply(grad_weight, Put::Add, operands, [out, positions, patch]);
            if let Some(grad_picture) = grad_picture.as_deref_mut() {
                let operands = (grad_out, Mat::rows(weight, patch));
                multiply(patches, Put::Set, operands, [positions, out, patch]);
                self.fold(patches, tile, grad_picture);
            }
        }
    }
}

/// What a thread works in.
#[derive(Default)]
struct Room {
    patches: Vec<f32>,
    tiles: Scratch,
}

struct Gradients<'a> {
    grad_picture: Option<&'a mut [f32]>,
    grad_weight: &'a mut [f32],
    patches: &'a mut Vec<f32>,
}

struct Conv(ConvSpec, Precision);

impl CustomOp2 for Conv {
    fn name(&self) -> &'static str {
        "conv2d"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let shapes = Shapes::new(self.0, l1.dims(), l2.dims())?;
        let (input, weight) = (contiguous(s1, l1)?, contiguous(s2, l2)?);
        let plan = self.1.plan(&shapes, weight);
        let mut out = vec![0.0; shapes.batch * shapes.out_len()];
        out.par_chunks_mut(shapes.out_len())
            .zip(input.par_chunks(shapes.in_len()))
            .for_each_init(Room::default, |room, (out, picture)| match &plan {
                Some(plan) => plan.forward(picture, out, &mut room.tiles),
                None => shapes.forward_picture(picture, weight, out, &mut room.patches),
            });
        let [height, width] = shapes.out_size;
        Ok((
            CpuStorage::F32(out),
            Shape::from((shapes.batch, height, width, shapes.out_channels)),
        ))
    }

    fn bwd(
        &self,
        input: &Tensor,
        weight: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let grad = grad.contiguous()?;
        let shapes = Shapes::new(self.0, input.dims(), weight.dims())?;
        let (grad_input, grad_weight) = shapes.backward(input, weight, &grad, self.1)?;
        Ok((grad_input, Some(grad_weight)))
    }
}

impl Shapes {
    fn backward(
        &self,
        input: &Tensor,
        weight: &Tensor,
        grad: &Tensor,
        precision: Precision,
    ) -> Result<(Option<Tensor>, Tensor)> {
        let wanted = self.spec.input_gradient;
        let mut grad_input = vec![0.0; if wanted { input.elem_count() } else { 0 }];
        let grad_weight = with_values([input, weight, grad], |[input, weight, grad]| {
            let plan = precision.plan(self, weight);
            let weight = (weight, plan.as_ref());
            let parts = self.gradient_parts((input, grad), weight, &mut grad_input);
            let weight = weight.0;
            let mut sum = vec![0.0; weight.len()];
            for part in parts {
                for (sum, value) in sum.iter_mut().zip(part) {
                    *sum += value;
                }
            }
            Ok(sum)
        })?;
        let grad_input = wanted
            .then(|| Tensor::from_vec(grad_input, input.shape(), input.device()))
            .transpose()?;
        Ok((
            grad_input,
            Tensor::from_vec(grad_weight, weight.shape(), weight.device())?,
        ))
    }

    /// Weight gradients of fixed groups of pictures, to be summed in order: the same sum whatever the number of
    /// threads. Fills `grad_input` where it is not empty.
    fn gradient_parts(
        &self,
        (input, grad): (&[f32], &[f32]),
        (weight, plan): (&[f32], Option<&Plan<'_>>),
        grad_input: &mut [f32],
    ) -> Vec<Vec<f32>> {
        let mut grad_pictures = grad_input.chunks_mut(self.in_len());
        let per_group = self.batch.div_ceil(GRADIENT_GROUPS).max(1);
        let groups: Vec<Vec<_>> = (0..self.batch)
            .step_by(per_group)
            .map(|start| {
                (start..self.batch.min(start + per_group))
                    .map(|index| (index, grad_pictures.next()))
                    .collect()
            })
            .collect();
        let one_group = |group: Vec<(usize, Option<&mut [f32]>)>| {
            let (mut grad_weight, mut room) = (vec![0.0; weight.len()], Room::default());
            for (index, grad_picture) in group {
                let picture = &input[index * self.in_len()..][..self.in_len()];
                let grad_out = &grad[index * self.out_len()..][..self.out_len()];
                if let Some(plan) = plan {
                    let both = (picture, grad_out);
                    plan.backward(both, &mut grad_weight, grad_picture, &mut room.tiles);
                    continue;
                }
                let grads = Gradients {
                    grad_picture,
                    grad_weight: &mut grad_weight,
                    patches: &mut room.patches,
                };
                self.backward_picture((picture, grad_out), weight, grads);
            }
            grad_weight
        };
        groups.into_par_iter().map(one_group).collect()
    }
}

/// Parts into which the pictures of a batch are cut for the weight gradient.
const GRADIENT_GROUPS: usize = 16;

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};

    use super::*;
    use crate::compute::check::central_difference;

    fn random(len: usize, seed: u64) -> Vec<f32> {
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        (0..len)
            .map(|_| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                ((state >> 40) as f32 / (1u64 << 24) as f32) - 0.5
            })
            .collect()
    }

    const SPECS: [ConvSpec; 3] = [
        ConvSpec {
            kernel: 3,
            stride: 1,
            padding: 1,
            input_gradient: true,
        },
        ConvSpec {
            kernel: 3,
            stride: 2,
            padding: 1,
            input_gradient: true,
        },
        ConvSpec {
            kernel: 4,
            stride: 4,
            padding: 0,
            input_gradient: true,
        },
    ];

    #[test]
    fn forward_equals_candles_own_convolution() -> Result<()> {
        for spec in SPECS {
            let input = Tensor::from_vec(random(2 * 8 * 12 * 3, 1), (2, 8, 12, 3), &Device::Cpu)?;
            let patch = spec.kernel * spec.kernel * 3;
            let weight = Tensor::from_vec(random(5 * patch, 2), (5, patch), &Device::Cpu)?;
            let ours = conv2d(&input, &weight, spec)?;
            let theirs_weight = weight
                .reshape((5, spec.kernel, spec.kernel, 3))?
                .permute((0, 3, 1, 2))?
                .contiguous()?;
            let theirs = input
                .permute((0, 3, 1, 2))?
                .contiguous()?
                .conv2d(&theirs_weight, spec.padding, spec.stride, 1, 1)?
                .permute((0, 2, 3, 1))?;
            let difference = (ours - theirs)?.abs()?.max_all()?.to_scalar::<f32>()?;
            assert!(difference < 1e-5, "{spec:?}: {difference}");
        }
        Ok(())
    }

    #[test]
    fn a_rounded_product_is_one_of_matrices() -> Result<()> {
        let x = Var::from_vec(random(3 * 32 * 64, 8), (3, 32, 64), &Device::Cpu)?;
        let weight = Var::from_vec(random(96 * 64, 9), (96, 64), &Device::Cpu)?;
        let exact = x
            .reshape((96, 64))?
            .matmul(&weight.t()?)?
            .reshape((3, 32, 96))?;
        let rounded = linear_rounded(&x, &weight)?;
        let mix = Tensor::from_vec(random(3 * 32 * 96, 10), (3, 32, 96), &Device::Cpu)?;
        assert_close([exact, rounded], &mix, &[&x, &weight], "linear")
    }

    /// What is exact and what is rounded are the same to two digits, and so are gradients of their sums weighed by `mix`.
    fn assert_close(
        [exact, rounded]: [Tensor; 2],
        mix: &Tensor,
        vars: &[&Var],
        what: &str,
    ) -> Result<()> {
        let grads = |out: &Tensor| (out * mix)?.sum_all()?.backward();
        let (a, b) = (grads(&exact)?, grads(&rounded)?);
        let mut pairs = vec![(exact, rounded)];
        for var in vars {
            pairs.push((
                a.get(var).expect("has one").clone(),
                b.get(var).expect("has one").clone(),
            ));
        }
        for (exact, rounded) in pairs {
            let size = exact.sqr()?.mean_all()?.to_scalar::<f32>()?.sqrt();
            let error = (&exact - &rounded)?.abs()?.max_all()?.to_scalar::<f32>()?;
            assert!(
                error < 0.03 * size,
                "{what} {:?}: {error} of {size}",
                exact.shape()
            );
        }
        Ok(())
    }

    #[test]
    fn rounded_operands_give_the_same_to_two_digits() -> Result<()> {
        if !super::super::tiles::available() {
            eprintln!("skipped: this CPU has no tiles");
        }
        for spec in SPECS {
            let spec = ConvSpec {
                input_gradient: spec.padding > 0,
                ..spec
            };
            let channels = if spec.padding == 0 { 3 } else { 64 };
            let side = 20 * spec.stride;
            let shape = (2, 16 * spec.stride, side, channels);
            let count = 2 * 16 * spec.stride * side * channels;
            let patch = spec.kernel * spec.kernel * channels;
            let input = Var::from_vec(random(count, 5), shape, &Device::Cpu)?;
            let weight = Var::from_vec(random(96 * patch, 6), (96, patch), &Device::Cpu)?;
            let exact = conv2d(&input, &weight, spec)?;
            let rounded = conv2d_rounded(&input, &weight, spec)?;
            let mix = Tensor::from_vec(random(exact.elem_count(), 7), exact.shape(), &Device::Cpu)?;
            let vars: &[&Var] = if spec.input_gradient {
                &[&weight, &input]
            } else {
                &[&weight]
            };
            assert_close([exact, rounded], &mix, vars, &format!("{spec:?}"))?;
        }
        Ok(())
    }

    #[test]
    fn gradients_equal_finite_differences() -> Result<()> {
        for spec in SPECS {
            let patch = spec.kernel * spec.kernel * 2;
            let input = Var::from_vec(random(2 * 8 * 8 * 2, 3), (2, 8, 8, 2), &Device::Cpu)?;
            let weight = Var::from_vec(random(3 * patch, 4), (3, patch), &Device::Cpu)?;
            let loss =
                |input: &Tensor, weight: &Tensor| conv2d(input, weight, spec)?.sqr()?.sum_all();
            let grads = loss(&input, &weight)?.backward()?;
            for var in [&input, &weight] {
                let grad = grads
                    .get(var)
                    .expect("has a gradient")
                    .flatten_all()?
                    .to_vec1::<f32>()?;
                let is_input = var.shape() == input.shape();
                for probe in [0, grad.len() / 3, grad.len() - 1] {
                    let numeric = central_difference(var, probe, 1e-2, |moved| match is_input {
                        true => loss(moved, &weight),
                        false => loss(&input, moved),
                    })?;
                    let analytic = f64::from(grad[probe]);
                    assert!(
                        (numeric - analytic).abs() < 2e-2 * (1.0 + analytic.abs()),
                        "{spec:?} {numeric} {analytic}"
                    );
                }
            }
        }
        Ok(())
    }
}
