//! The projection of logits: `P` of width times vocabulary values before the head, `z = P (W h) + b`.
//!
//! Both maps are linear, so `z = A h + b` with `A = P W` of width times hidden values, and
//! `dL/dP = (sum_t dz_t h_t^T) W^T = dL/dA W^T`. A step that knows `A` and `dL/dA` needs no logits: in one pass over the
//! vocabulary, each part of `W` gives its part of the gradient of `P`, moves that part of `P` by AdamW, and adds to the
//! next `A`. That pass costs the same for any number of tokens; for few tokens the logits themselves are cheaper.
//!
//! **Source** arXiv 2502.13763, section 3.4; `W` is the multimodal model's `lm_head`, which stays as it is.

use std::sync::Arc;

use candle_core::DType;
use candle_core::Device;
use candle_core::Tensor;
use half::f16;
use half::slice::HalfFloatSliceExt as _;
use rand::Rng as _;
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;

use super::adamw::Step;
use crate::compute::kernels::Hands;
use crate::compute::kernels::Mat;
use crate::compute::kernels::Put;
use crate::compute::kernels::product;
use crate::ml::MlError;

/// Entries of the vocabulary that are worked on at once: at a hidden width of 4096 they take 32 MB in single precision.
const PART: usize = 2048;

/// Stream of random numbers of the first `P`; 0 draws the other weights, epochs follow from 1 on.
const STREAM: u64 = u64::MAX;

/// The map from last hidden states to logits, `(vocabulary, hidden)`, as the model has it: in half precision where the
/// model's weights are, so that the one of 128256 x 4096 takes 1.05 GB.
#[derive(Debug, Clone, PartialEq)]
pub struct LmHead {
    vocab: usize,
    hidden: usize,
    values: Values,
}

#[derive(Debug, Clone, PartialEq)]
enum Values {
    Half(Arc<[f16]>),
    Single(Arc<[f32]>),
}

impl LmHead {
    /// From a model's tensor `(vocabulary, hidden)`.
    pub fn new(weight: &Tensor) -> Result<Self, MlError> {
        let (vocab, hidden) = weight.dims2()?;
        let weight = weight.to_device(&Device::Cpu)?.flatten_all()?;
        let values = match weight.dtype() {
            DType::F16 => Values::Half(weight.to_vec1::<f16>()?.into()),
            _ => Values::Single(weight.to_dtype(DType::F32)?.to_vec1::<f32>()?.into()),
        };
        Ok(Self {
            vocab,
            hidden,
            values,
        })
    }

    /// Number of entries of the vocabulary.
    pub const fn vocab(&self) -> usize {
        self.vocab
    }

    /// Width of the hidden states.
    pub const fn hidden(&self) -> usize {
        self.hidden
    }

    /// Rows of the vocabulary in single precision; `space` holds them where they are not.
    fn rows<'a>(&'a self, start: usize, rows: usize, space: &'a mut Vec<f32>) -> &'a [f32] {
        let range = start * self.hidden..(start + rows) * self.hidden;
        match &self.values {
            Values::Single(values) => &values[range],
            Values::Half(values) => {
                space.resize(range.len(), 0.0);
                values[range].convert_to_f32_slice(space);
                space
            }
        }
    }

    /// Parts of the vocabulary: where each begins, and its length.
    fn parts(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let vocab = self.vocab;
        (0..vocab)
            .step_by(PART)
            .map(move |start| (start, PART.min(vocab - start)))
    }
}

/// `P` with its optimiser's state.
#[derive(Debug, Clone)]
pub struct FullProjection {
    lm_head: LmHead,
    dim: usize,
    /// `(vocabulary, width)`: a part of the vocabulary lies in one piece.
    weights: Vec<f32>,
    moments: [Vec<f32>; 2],
}

/// Bytes that training `P` takes beside the model's `lm_head`: weights, two moments, the product and its gradient, and what
/// a step works on, which is one part of the vocabulary or, for few tokens, their logits and the gradient of `P`.
pub const fn full_projection_bytes(dim: usize, vocab: usize, hidden: usize) -> u64 {
    let part = if vocab < PART { vocab } else { PART };
    let by_part = part * (hidden + dim);
    let by_logits = most_tokens(dim, hidden) * vocab + dim * vocab;
    let work = if by_part > by_logits {
        by_part
    } else {
        by_logits
    };
    4 * (3 * dim * vocab + 2 * dim * hidden + work) as u64
}

/// Fewest tokens whose logits do not pay.
const fn most_tokens(dim: usize, hidden: usize) -> usize {
    (2 * dim * hidden).div_ceil(hidden + 2 * dim)
}

/// Whether the logits of this many tokens cost less than the pass over the vocabulary, by their multiplications:
/// `tokens * vocab * (hidden + 2 dim)` against `2 * dim * hidden * vocab`.
pub(super) const fn logits_pay(tokens: usize, dim: usize, hidden: usize) -> bool {
    tokens < most_tokens(dim, hidden)
}

/// The first `P` by Xavier's bound, drawn entry by entry of the vocabulary, in `(vocabulary, width)`.
fn first_weights(dim: usize, vocab: usize, seed: u64) -> Vec<f32> {
    let bound = (6.0 / (dim + vocab) as f64).sqrt() as f32;
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(STREAM);
    (0..dim * vocab)
        .map(|_| random.random_range(-1.0_f32..1.0) * bound)
        .collect()
}

/// The first `A` of a folded projection: the product of a first `P` and `lm_head`, `(width, hidden)`.
pub fn first_product(lm_head: &LmHead, dim: usize, seed: u64) -> Vec<f32> {
    FullProjection::new(lm_head.clone(), dim, seed).product()
}

impl FullProjection {
    /// The first `P` of a seed.
    pub fn new(lm_head: LmHead, dim: usize, seed: u64) -> Self {
        let weights = first_weights(dim, lm_head.vocab, seed);
        let zeros = vec![0.0; weights.len()];
        Self {
            lm_head,
            dim,
            weights,
            moments: [zeros.clone(), zeros],
        }
    }

    /// `P` and its moments, `(vocabulary, width)` each, to be written down.
    pub fn state(&self) -> [&[f32]; 3] {
        [&self.weights, &self.moments[0], &self.moments[1]]
    }

    /// Takes over what [`Self::state`] answered.
    pub fn set_state(&mut self, [weights, mean, square]: [&[f32]; 3]) -> Result<(), MlError> {
        let all = [weights, mean, square];
        if all.iter().any(|values| values.len() != self.weights.len()) {
            let why = "the projection's state belongs to a model of another vocabulary";
            return Err(MlError::Weights(why.to_owned()));
        }
        self.weights.copy_from_slice(weights);
        self.moments[0].copy_from_slice(mean);
        self.moments[1].copy_from_slice(square);
        Ok(())
    }

    /// `A = P W`, `(width, hidden)`.
    pub fn product(&self) -> Vec<f32> {
        let (dim, hidden) = (self.dim, self.lm_head.hidden);
        let mut out = vec![0.0; dim * hidden];
        let mut space = Vec::new();
        for (start, rows) in self.lm_head.parts() {
            let head = self.lm_head.rows(start, rows, &mut space);
            let own = &self.weights[start * dim..][..rows * dim];
            add_product(&mut out, own, head, [dim, rows, hidden]);
        }
        out
    }

    /// Squared norm of `dL/dP` from that of `A`, part by part of the vocabulary: where the norm has a limit, a step makes
    /// this pass before its own.
    pub fn squared_norm(&self, grad_product: &[f32]) -> f64 {
        let (dim, hidden) = (self.dim, self.lm_head.hidden);
        let mut space = Vec::new();
        let mut total = 0.0;
        let mut grad = Vec::new();
        for (start, rows) in self.lm_head.parts() {
            let head = self.lm_head.rows(start, rows, &mut space);
            gradient(&mut grad, head, grad_product, [rows, hidden, dim]);
            total += squares(&grad);
        }
        total
    }

    /// One step from the gradient of `A`; answers the next `A`.
    pub(super) fn step(&mut self, grad_product: &[f32], step: Step) -> Vec<f32> {
        let (dim, hidden) = (self.dim, self.lm_head.hidden);
        let mut out = vec![0.0; dim * hidden];
        let (mut space, mut grad) = (Vec::new(), Vec::new());
        for (start, rows) in self.lm_head.parts() {
            let head = self.lm_head.rows(start, rows, &mut space);
            gradient(&mut grad, head, grad_product, [rows, hidden, dim]);
            let own = start * dim..(start + rows) * dim;
            let weights = &mut self.weights[own.clone()];
            let [mean, square] = &mut self.moments;
            step.apply(weights, &grad, [&mut mean[own.clone()], &mut square[own]]);
            add_product(&mut out, weights, head, [dim, rows, hidden]);
        }
        out
    }

    /// Logits of `tokens` hidden states `(tokens, hidden)`: `(tokens, vocabulary)`.
    pub fn logits(&self, hidden_states: &[f32]) -> Vec<f32> {
        let (hidden, vocab) = (self.lm_head.hidden, self.lm_head.vocab);
        let tokens = hidden_states.len() / hidden;
        let mut out = vec![0.0; tokens * vocab];
        let mut space = Vec::new();
        for (start, rows) in self.lm_head.parts() {
            let head = self.lm_head.rows(start, rows, &mut space);
            let to = (&mut out[start..], vocab, Put::Set);
            let operands = (
                Mat::rows(hidden_states, hidden),
                Mat::rows(head, hidden).t(),
            );
            product(to, operands, [tokens, hidden, rows], 1.0, Hands::All);
        }
        out
    }

    /// `P` applied to logits, without its bias: `(tokens, width)`.
    pub fn project(&self, logits: &[f32]) -> Vec<f32> {
        let (dim, vocab) = (self.dim, self.lm_head.vocab);
        let tokens = logits.len() / vocab;
        let mut out = vec![0.0; tokens * dim];
        let operands = (Mat::rows(logits, vocab), Mat::rows(&self.weights, dim));
        product(
            (&mut out, dim, Put::Set),
            operands,
            [tokens, vocab, dim],
            1.0,
            Hands::All,
        );
        out
    }

    /// The gradient of `P` from logits and the gradient of what [`Self::project`] answered: `(vocabulary, width)`.
    pub fn gradient_by_logits(&self, logits: &[f32], grad: &[f32]) -> Vec<f32> {
        let (dim, vocab) = (self.dim, self.lm_head.vocab);
        let tokens = grad.len() / dim;
        let mut out = vec![0.0; vocab * dim];
        let operands = (Mat::rows(logits, vocab).t(), Mat::rows(grad, dim));
        product(
            (&mut out, dim, Put::Set),
            operands,
            [vocab, tokens, dim],
            1.0,
            Hands::All,
        );
        out
    }

    /// One step from the gradient of `P` itself. The product `A` is out of date afterwards.
    pub(super) fn step_by_gradient(&mut self, gradient: &[f32], step: Step) {
        let [mean, square] = &mut self.moments;
        step.apply(&mut self.weights, gradient, [mean, square]);
    }
}

/// Sum of squares, by chunks in their order.
pub(super) fn squares(values: &[f32]) -> f64 {
    use rayon::prelude::*;
    let chunks = values.par_chunks(1 << 14).map(|chunk| {
        let squares = chunk.iter().map(|&g| f64::from(g) * f64::from(g));
        squares.sum::<f64>()
    });
    chunks.collect::<Vec<f64>>().iter().sum()
}

/// `out (dim, hidden) += weights (rows, dim)^T head (rows, hidden)`.
fn add_product(out: &mut [f32], weights: &[f32], head: &[f32], [dim, rows, hidden]: [usize; 3]) {
    let operands = (Mat::rows(weights, dim).t(), Mat::rows(head, hidden));
    product(
        (out, hidden, Put::Add),
        operands,
        [dim, rows, hidden],
        1.0,
        Hands::All,
    );
}

/// `out (rows, dim) = head (rows, hidden) grad_product (dim, hidden)^T`.
fn gradient(
    out: &mut Vec<f32>,
    head: &[f32],
    grad_product: &[f32],
    [rows, hidden, dim]: [usize; 3],
) {
    out.resize(rows * dim, 0.0);
    let operands = (Mat::rows(head, hidden), Mat::rows(grad_product, hidden).t());
    product(
        (out, dim, Put::Set),
        operands,
        [rows, hidden, dim],
        1.0,
        Hands::All,
    );
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    /// Singles of the fixture that torch made (`tests/fixtures/projection/make.py`).
    struct Golden(HashMap<String, Tensor>);

    impl Golden {
        fn load() -> Result<Self, MlError> {
            let bytes = include_bytes!("../../../tests/fixtures/projection/reference.safetensors");
            Ok(Self(candle_core::safetensors::load_buffer(
                bytes,
                &Device::Cpu,
            )?))
        }

        fn get(&self, name: &str) -> Result<Vec<f32>, MlError> {
            Ok(self.0[name].flatten_all()?.to_vec1()?)
        }

        /// A weight as ours lie: `(vocabulary, width)`.
        fn turned(&self, name: &str) -> Result<Vec<f32>, MlError> {
            Ok(self.0[name].t()?.flatten_all()?.to_vec1()?)
        }

        fn projection(&self) -> Result<FullProjection, MlError> {
            let lm_head = LmHead::new(&self.0["lm_head"])?;
            let mut full = FullProjection::new(lm_head, 8, 0);
            let first = self.turned("weight.0")?;
            let zeros = vec![0.0; first.len()];
            full.set_state([&first, &zeros, &zeros])?;
            Ok(full)
        }
    }

    fn assert_close(ours: &[f32], theirs: &[f32], what: &str) {
        assert_eq!(ours.len(), theirs.len());
        let largest = theirs.iter().fold(0.0_f32, |max, x| max.max(x.abs()));
        for (ours, theirs) in ours.iter().zip(theirs) {
            assert!(
                (ours - theirs).abs() <= 1e-4 * largest,
                "{what}: {ours} {theirs}"
            );
        }
    }

    /// `z` without bias from the product, and the gradient of the product from that of `z`.
    fn through_product(
        product_: &[f32],
        states: &[f32],
        factors: &[f32],
        bias: &[f32],
    ) -> (Vec<f32>, Vec<f32>) {
        let (hidden, dim) = (product_.len() / bias.len(), bias.len());
        let tokens = states.len() / hidden;
        let mut z = bias.repeat(tokens);
        let operands = (Mat::rows(states, hidden), Mat::rows(product_, hidden).t());
        product(
            (&mut z, dim, Put::Add),
            operands,
            [tokens, hidden, dim],
            1.0,
            Hands::All,
        );
        let slope = slopes(&z, factors);
        let mut grad = vec![0.0; product_.len()];
        let operands = (Mat::rows(&slope, dim).t(), Mat::rows(states, hidden));
        product(
            (&mut grad, hidden, Put::Set),
            operands,
            [dim, tokens, hidden],
            1.0,
            Hands::All,
        );
        (z, grad)
    }

    /// Gradient of `sum(factors * tanh(z))`.
    fn slopes(z: &[f32], factors: &[f32]) -> Vec<f32> {
        let pairs = z.iter().zip(factors);
        pairs
            .map(|(z, c)| c * (1.0 - z.tanh() * z.tanh()))
            .collect()
    }

    #[test]
    fn the_factored_step_equals_torch_on_explicit_logits() -> Result<(), MlError> {
        let golden = Golden::load()?;
        let mut full = golden.projection()?;
        let mut product = full.product();
        let mut bias = vec![0.0; 8];
        for step in 1..=2 {
            let get = |name: &str| golden.get(&format!("{name}.{step}"));
            let (z, grad) = through_product(&product, &get("hidden")?, &get("factors")?, &bias);
            assert_close(&z, &get("z")?, "z");
            let mut space = Vec::new();
            let head = full.lm_head.rows(0, 50, &mut space);
            let mut grad_p = Vec::new();
            gradient(&mut grad_p, head, &grad, [50, 12, 8]);
            let theirs = golden.turned(&format!("grad.{step}"))?;
            assert_close(&grad_p, &theirs, "gradient");
            assert!((full.squared_norm(&grad) - squares(&theirs)).abs() < 1e-3 * squares(&theirs));
            product = full.step(&grad, Step::new(step, 1e-2, 0.1));
            assert_close(
                full.state()[0],
                &golden.turned(&format!("weight.{step}"))?,
                "weight",
            );
            assert_close(&product, &full.product(), "product");
            bias = get("bias")?;
        }
        Ok(())
    }

    #[test]
    fn the_step_by_logits_equals_torch() -> Result<(), MlError> {
        let golden = Golden::load()?;
        let mut full = golden.projection()?;
        let mut bias = vec![0.0; 8];
        for step in 1..=2 {
            let get = |name: &str| golden.get(&format!("{name}.{step}"));
            let logits = full.logits(&get("hidden")?);
            let projected = full.project(&logits);
            let z: Vec<f32> = projected
                .iter()
                .enumerate()
                .map(|(i, z)| z + bias[i % 8])
                .collect();
            assert_close(&z, &get("z")?, "z");
            let grad = full.gradient_by_logits(&logits, &slopes(&z, &get("factors")?));
            assert_close(&grad, &golden.turned(&format!("grad.{step}"))?, "gradient");
            full.step_by_gradient(&grad, Step::new(step, 1e-2, 0.1));
            assert_close(
                full.state()[0],
                &golden.turned(&format!("weight.{step}"))?,
                "weight",
            );
            bias = get("bias")?;
        }
        Ok(())
    }

    #[test]
    fn half_precision_keeps_a_head_that_has_it() -> Result<(), MlError> {
        let golden = Golden::load()?;
        let half = golden.0["lm_head"].to_dtype(DType::F16)?;
        let single = LmHead::new(&half.to_dtype(DType::F32)?)?;
        let half = LmHead::new(&half)?;
        assert!(matches!(half.values, Values::Half(_)));
        assert_eq!(first_product(&half, 8, 3), first_product(&single, 8, 3));
        Ok(())
    }

    #[test]
    fn logits_pay_for_few_tokens_only() {
        assert!(logits_pay(477, 512, 4096));
        assert!(!logits_pay(2 * 477, 512, 4096));
        // 65.7 M weights, their moments and gradient, and the logits of 819 tokens.
        let bytes = full_projection_bytes(512, 128_256, 4096);
        assert!((1.45e9..1.55e9).contains(&(bytes as f64)), "{bytes}");
    }
}
