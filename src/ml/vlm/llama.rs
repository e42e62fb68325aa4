//! The decoder of the Llama family (Llama 3: Grattafiori et al. 2024), with a key-value cache that is passed in.
//!
//! Qwen2 is the same but for biases of the attention's first three projections and for its positions, so both are
//! configuration here. Rounding follows transformers: angles are products of f32 numbers.

use std::ops::Range;

use candle_core::{D, DType, Device, Result, Tensor};
use serde::{Deserialize, Serialize};

use super::backbone::Sequence;
use super::kv_cache::KvCache;
use super::ops::{
    Linear, Mask, Mode, grouped_attention, is_ours, merge_heads, silu_times, split_heads,
};
use super::tape::Tape;
use super::weights::{Matrix, Weights};
use crate::compute::gpu;
use crate::compute::kernels::{Sees, attention, attention_behind};

/// The decoder's sizes, under the names of a checkpoint's `config.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LlmConfig {
    /// Width.
    pub hidden_size: usize,
    /// Width of the gated feed-forward.
    pub intermediate_size: usize,
    /// Layers.
    pub num_hidden_layers: usize,
    /// Query heads.
    pub num_attention_heads: usize,
    /// Key and value heads.
    pub num_key_value_heads: usize,
    /// Tokens in the vocabulary.
    pub vocab_size: usize,
    /// Added to the mean square in the norm.
    pub rms_norm_eps: f64,
    /// Base of the rotary wavelengths.
    pub rope_theta: f64,
    /// Whether the projections to queries, keys and values have biases (Qwen2).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub qkv_bias: bool,
}

impl LlmConfig {
    /// Width of a head.
    pub const fn head_dim(&self) -> usize {
        self.hidden_size / self.num_attention_heads
    }

    /// Width of all keys of a token, and of all values.
    pub const fn kv_width(&self) -> usize {
        self.head_dim() * self.num_key_value_heads
    }

    /// The factor of each pair of a head's values: its angle at position 1.
    pub fn inverse_wavelengths(&self) -> Vec<f32> {
        let width = self.head_dim();
        let exponents = (0..width / 2).map(|i| (2 * i) as f32 / width as f32);
        exponents
            .map(|exponent| 1.0 / (self.rope_theta as f32).powf(exponent))
            .collect()
    }
}

/// Cosines and sines of new tokens, `(seq, head_dim / 2)`, or `(rows, seq, head_dim / 2)` where rows differ.
#[derive(Debug, Clone)]
pub struct Rotary {
    /// Cosines.
    pub cos: Tensor,
    /// Sines.
    pub sin: Tensor,
}

impl Rotary {
    /// From angles in the shape of its tensors.
    ///
    /// # Errors
    /// Failed tensor operations.
    pub fn of_angles(angles: &Tensor, dtype: DType) -> Result<Self> {
        Ok(Self {
            cos: angles.cos()?.to_dtype(dtype)?,
            sin: angles.sin()?.to_dtype(dtype)?,
        })
    }
}

struct Layer {
    input_layernorm: Tensor,
    q_proj: Linear,
    k_proj: Linear,
    v_proj: Linear,
    o_proj: Linear,
    post_attention_layernorm: Tensor,
    gate_proj: Linear,
    up_proj: Linear,
    down_proj: Linear,
}

impl Layer {
    fn new(cfg: &LlmConfig, weights: &Weights) -> Result<Self> {
        let (width, inner, kv) = (cfg.hidden_size, cfg.intermediate_size, cfg.kv_width());
        let (attn, mlp) = (weights.pp("self_attn"), weights.pp("mlp"));
        let attn = |name: &str, out: usize| match cfg.qkv_bias {
            true => Linear::with_bias(out, width, &attn.pp(name)),
            false => Linear::new(out, width, &attn.pp(name)),
        };
        Ok(Self {
            input_layernorm: weights.get(width, "input_layernorm.weight")?,
            q_proj: attn("q_proj", width)?,
            k_proj: attn("k_proj", kv)?,
            v_proj: attn("v_proj", kv)?,
            o_proj: Linear::new(width, width, &weights.pp("self_attn").pp("o_proj"))?,
            post_attention_layernorm: weights.get(width, "post_attention_layernorm.weight")?,
            gate_proj: Linear::new(inner, width, &mlp.pp("gate_proj"))?,
            up_proj: Linear::new(inner, width, &mlp.pp("up_proj"))?,
            down_proj: Linear::new(width, inner, &mlp.pp("down_proj"))?,
        })
    }

    fn mlp(&self, x: &Tensor) -> Result<Tensor> {
        let (gate, up) = (self.gate_proj.forward(x)?, self.up_proj.forward(x)?);
        self.down_proj.forward(&silu_times(&gate, &up)?)
    }
}

/// The decoder with its token embedding and its head.
pub struct Llama {
    cfg: LlmConfig,
    embed_tokens: Matrix,
    layers: Vec<Layer>,
    norm: Tensor,
    lm_head: Linear,
    inverse_wavelengths: Vec<f32>,
    mode: Mode,
}

/// Where new tokens stand and what they see.
#[derive(Clone)]
struct Positions {
    rotary: Rotary,
    seen: Seen,
}

/// What a token sees: always itself and those before it. The fused forms are the CPU's and need no mask.
#[derive(Clone)]
enum Seen {
    /// There is nothing but the new tokens.
    Fused,
    /// Each row's columns from its first on, and the new tokens.
    FusedBehind(Vec<usize>),
    /// There is nothing but the new tokens, on a GPU.
    Before,
    /// All, or what an additive mask leaves of them.
    Masked(Option<Tensor>),
}

impl Seen {
    /// Of tokens `embeds (rows, seq, hidden)` that follow what a cache holds.
    fn behind(cache: &KvCache, embeds: &Tensor) -> Result<Self> {
        if cache.is_empty() && gpu::has_kernels(embeds) {
            return Ok(Self::Before);
        }
        if !is_ours(embeds) {
            let mask = cache.mask(embeds.dim(1)?, embeds.dtype(), embeds.device())?;
            return Ok(Self::Masked(mask));
        }
        Ok(match cache.is_empty() {
            true => Self::Fused,
            false => Self::FusedBehind(cache.firsts()),
        })
    }
}

impl Llama {
    /// Loads `model.*` and `lm_head.weight` of a Llama checkpoint.
    ///
    /// # Errors
    /// Missing or wrongly shaped tensors.
    pub fn new(cfg: &LlmConfig, mode: Mode, weights: &Weights) -> Result<Self> {
        let head = weights.pp("lm_head");
        Self::of_parts(cfg, mode, &weights.pp("model"), Some(&head))
    }

    /// Loads `embed_tokens`, `layers` and `norm` from one place and the head's `weight` from another; without one, the
    /// token embedding is the head as well.
    ///
    /// # Errors
    /// Missing or wrongly shaped tensors.
    pub fn of_parts(
        cfg: &LlmConfig,
        mode: Mode,
        model: &Weights,
        head: Option<&Weights>,
    ) -> Result<Self> {
        let (vocab, width) = (cfg.vocab_size, cfg.hidden_size);
        let layers =
            (0..cfg.num_hidden_layers).map(|index| Layer::new(cfg, &model.pp("layers").pp(index)));
        let embed_tokens = model.matrix((vocab, width), "embed_tokens.weight")?;
        Ok(Self {
            cfg: cfg.clone(),
            layers: layers.collect::<Result<_>>()?,
            norm: model.get(width, "norm.weight")?,
            lm_head: match head {
                Some(head) => Linear::new(vocab, width, head)?,
                None => Linear::of(embed_tokens.clone(), None),
            },
            embed_tokens,
            inverse_wavelengths: cfg.inverse_wavelengths(),
            mode,
        })
    }

    /// Its sizes.
    pub const fn config(&self) -> &LlmConfig {
        &self.cfg
    }

    /// Embeddings `(tokens, hidden)` of `ids (tokens)`.
    ///
    /// # Errors
    /// Ids outside the vocabulary.
    pub fn embed(&self, ids: &Tensor) -> Result<Tensor> {
        self.embed_tokens.rows(ids)
    }

    /// Embeddings `(tokens, hidden)` of the tokens of a sequence in `range`, image tokens in their places.
    ///
    /// # Errors
    /// Ids outside the vocabulary.
    pub fn embed_sequence(
        &self,
        sequence: &Sequence,
        images: &[Tensor],
        range: Range<usize>,
    ) -> Result<Tensor> {
        // 1. Pieces in their order, and all text in one: where the embedding is trained, each look into it has a gradient
        // of its size. What stands in an image's place need not be in the vocabulary.
        let (mut pieces, mut text, mut at) = (Vec::new(), Vec::new(), range.start);
        for (bounds, image) in sequence.image_bounds.iter().zip(images) {
            let [first, last] = bounds.map(|bound| bound.clamp(at, range.end));
            text.extend_from_slice(&sequence.ids[at..first]);
            pieces.push((None, first - at));
            if last > first {
                let shown = image.narrow(0, first - bounds[0], last - first)?;
                pieces.push((Some(shown), 0));
            }
            at = last;
        }
        text.extend_from_slice(&sequence.ids[at.min(range.end)..range.end]);
        pieces.push((None, range.end.saturating_sub(at)));
        // 2. (text, hidden) cut where the images stand
        let text = match text.is_empty() {
            true => None,
            false => Some(self.embed(&Tensor::new(text, self.norm.device())?)?),
        };
        let (mut parts, mut read) = (Vec::new(), 0);
        for (image, len) in pieces {
            match (image, &text) {
                (Some(image), _) => parts.push(image),
                (None, Some(text)) if len > 0 => parts.push(text.narrow(0, read, len)?),
                _ => {}
            }
            read += len;
        }
        Tensor::cat(&parts, 0)
    }

    /// Last hidden states after the final norm, `(rows, seq, hidden)`, of `embeds (rows, seq, hidden)` that follow
    /// what the cache holds, one position after the other.
    ///
    /// # Errors
    /// Failed tensor operations.
    pub fn forward(&self, embeds: &Tensor, cache: &mut KvCache) -> Result<Tensor> {
        let (rows, seq, _) = embeds.dims3()?;
        let mut starts = cache.next_positions();
        starts.resize(rows, 0);
        let rotary = self.rotary(&starts, seq, embeds.dtype(), embeds.device())?;
        let next: Vec<usize> = starts.iter().map(|start| start + seq).collect();
        self.forward_at(embeds, &rotary, &next, cache)
    }

    /// The same at positions of the caller's; `next` are those of the tokens to come, one a row.
    ///
    /// # Errors
    /// Failed tensor operations.
    pub fn forward_at(
        &self,
        embeds: &Tensor,
        rotary: &Rotary,
        next: &[usize],
        cache: &mut KvCache,
    ) -> Result<Tensor> {
        let seq = embeds.dim(1)?;
        let positions = Positions {
            rotary: rotary.clone(),
            seen: Seen::behind(cache, embeds)?,
        };
        let mut x = embeds.clone();
        for (index, layer) in self.layers.iter().enumerate() {
            x = self.layer(layer, &x, &positions, Some((index, &mut *cache)))?;
        }
        cache.advance(seq, next);
        self.mode.rms_norm(&x, &self.norm, self.cfg.rms_norm_eps)
    }

    /// The same without a cache, for training.
    ///
    /// # Errors
    /// Failed tensor operations.
    pub fn forward_whole(&self, embeds: &Tensor) -> Result<Tensor> {
        self.forward_watched(embeds, &mut |_| {})
    }

    /// The same, kept on a tape.
    ///
    /// # Errors
    /// Failed tensor operations.
    pub fn forward_taped<'a>(&'a self, embeds: &Tensor, tape: &mut Tape<'a>) -> Result<Tensor> {
        let rotary = self.rotary(&[0], embeds.dim(1)?, embeds.dtype(), embeds.device())?;
        self.run(embeds, &rotary, tape, &mut |_| {})
    }

    /// The same at positions of the caller's.
    ///
    /// # Errors
    /// Failed tensor operations.
    pub fn forward_taped_at<'a>(
        &'a self,
        embeds: &Tensor,
        rotary: &Rotary,
        tape: &mut Tape<'a>,
    ) -> Result<Tensor> {
        self.run(embeds, rotary, tape, &mut |_| {})
    }

    /// As [`Llama::forward_whole`]; `watch` sees what enters the first layer and what leaves each of them.
    ///
    /// # Errors
    /// Failed tensor operations.
    pub fn forward_watched(
        &self,
        embeds: &Tensor,
        watch: &mut dyn FnMut(&Tensor),
    ) -> Result<Tensor> {
        let rotary = self.rotary(&[0], embeds.dim(1)?, embeds.dtype(), embeds.device())?;
        self.forward_watched_at(embeds, &rotary, watch)
    }

    /// The same at positions of the caller's.
    ///
    /// # Errors
    /// Failed tensor operations.
    pub fn forward_watched_at(
        &self,
        embeds: &Tensor,
        rotary: &Rotary,
        watch: &mut dyn FnMut(&Tensor),
    ) -> Result<Tensor> {
        self.run(embeds, rotary, &mut Tape::off(), watch)
    }

    /// All layers over a whole sequence; `watch` sees what enters the first and what leaves each of them.
    fn run<'a>(
        &'a self,
        embeds: &Tensor,
        rotary: &Rotary,
        tape: &mut Tape<'a>,
        watch: &mut dyn FnMut(&Tensor),
    ) -> Result<Tensor> {
        let positions = Positions {
            rotary: rotary.clone(),
            seen: Seen::behind(&KvCache::default(), embeds)?,
        };
        let mut x = embeds.clone();
        watch(&x);
        for layer in &self.layers {
            let positions = positions.clone();
            x = tape.layer(&x, move |x| self.layer(layer, x, &positions, None))?;
            watch(&x);
        }
        self.mode.rms_norm(&x, &self.norm, self.cfg.rms_norm_eps)
    }

    fn layer(
        &self,
        layer: &Layer,
        x: &Tensor,
        positions: &Positions,
        cache: Option<(usize, &mut KvCache)>,
    ) -> Result<Tensor> {
        let eps = self.cfg.rms_norm_eps;
        let normed = self.mode.rms_norm(x, &layer.input_layernorm, eps)?;
        let x = (self.attend(layer, &normed, positions, cache)? + x)?;
        let normed = self
            .mode
            .rms_norm(&x, &layer.post_attention_layernorm, eps)?;
        layer.mlp(&normed)? + x
    }

    fn attend(
        &self,
        layer: &Layer,
        x: &Tensor,
        positions: &Positions,
        cache: Option<(usize, &mut KvCache)>,
    ) -> Result<Tensor> {
        // 1. Project: (rows, seq, hidden) -> (rows, heads, seq, head_dim)
        let (heads, kv_heads) = (self.cfg.num_attention_heads, self.cfg.num_key_value_heads);
        let q = split_heads(&layer.q_proj.forward(x)?, heads)?;
        let k = split_heads(&layer.k_proj.forward(x)?, kv_heads)?;
        let v = split_heads(&layer.v_proj.forward(x)?, kv_heads)?;
        // 2. Rotate
        let Rotary { cos, sin } = &positions.rotary;
        let (q, k) = (self.mode.rope(&q, cos, sin)?, self.mode.rope(&k, cos, sin)?);
        let [k, v] = [k.contiguous()?, v.contiguous()?];
        // 3. Join the past
        let (all_k, all_v) = match cache {
            Some((index, cache)) => cache.extend(index, &k, &v)?,
            None => (k.clone(), v.clone()),
        };
        // 4. Each group of query heads shares a key head
        let q = q.contiguous()?;
        let out = match &positions.seen {
            Seen::Fused => attention(&q, &k, &v, Sees::Before)?,
            Seen::FusedBehind(firsts) => attention_behind(&q, &all_k, &all_v, firsts)?,
            Seen::Before => grouped_attention(self.mode, &q, &all_k, &all_v, Mask::Before)?,
            Seen::Masked(mask) => {
                let mask = mask.as_ref().map_or(Mask::None, Mask::Added);
                grouped_attention(self.mode, &q, &all_k, &all_v, mask)?
            }
        };
        layer.o_proj.forward(&merge_heads(&out)?)
    }

    /// Logits `(rows, seq, vocab)` of last hidden states.
    ///
    /// # Errors
    /// Failed tensor operations.
    pub fn logits(&self, hidden: &Tensor) -> Result<Tensor> {
        self.lm_head.forward(hidden)
    }

    /// The head's matrix `(vocab, hidden)`.
    ///
    /// # Errors
    /// Failed tensor operations.
    pub fn lm_head(&self) -> Result<Tensor> {
        self.lm_head.weight()
    }

    /// Cosines and sines of `seq` positions behind each row's start.
    fn rotary(
        &self,
        starts: &[usize],
        seq: usize,
        dtype: DType,
        device: &Device,
    ) -> Result<Rotary> {
        let is_one = starts.windows(2).all(|pair| pair[0] == pair[1]);
        let starts = if is_one { &starts[..1] } else { starts };
        let half = self.inverse_wavelengths.len();
        let mut angles = Vec::with_capacity(starts.len() * seq * half);
        for position in starts.iter().flat_map(|start| *start..start + seq) {
            angles.extend(
                self.inverse_wavelengths
                    .iter()
                    .map(|inverse| position as f32 * inverse),
            );
        }
        let angles = match is_one {
            true => Tensor::from_vec(angles, (seq, half), device)?,
            false => Tensor::from_vec(angles, (starts.len(), seq, half), device)?,
        };
        Rotary::of_angles(&angles, dtype)
    }
}

/// The position of the largest logit.
///
/// # Errors
/// Failed tensor operations.
pub fn argmax(logits: &Tensor) -> Result<u32> {
    logits.flatten_all()?.argmax(D::Minus1)?.to_scalar::<u32>()
}
