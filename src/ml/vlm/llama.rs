//! The Llama decoder (Touvron et al. 2023, Grattafiori et al. 2024) of every backbone, with a key-value cache that is
//! passed in and out.

use candle_core::{D, DType, Device, Result, Tensor};
use candle_nn::VarBuilder;
use serde::{Deserialize, Serialize};

use super::ops::{Mode, attention, causal_mask, linear, merge_heads, split_heads};

/// Sizes of a decoder.
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
}

/// Keys and values of every layer for the tokens seen so far.
#[derive(Debug, Clone, Default)]
pub struct KvCache {
    layers: Vec<Option<(Tensor, Tensor)>>,
}

impl KvCache {
    /// Tokens in the cache.
    ///
    /// # Errors
    /// Never for caches that a decoder filled.
    pub fn len(&self) -> Result<usize> {
        self.layers
            .first()
            .and_then(Option::as_ref)
            .map_or(Ok(0), |(keys, _)| keys.dim(2))
    }

    /// Whether nothing was seen yet.
    ///
    /// # Errors
    /// Never for caches that a decoder filled.
    pub fn is_empty(&self) -> Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Appends the new keys and values of a layer and answers all of them.
    fn extend(&mut self, layer: usize, keys: Tensor, values: Tensor) -> Result<(Tensor, Tensor)> {
        if self.layers.len() <= layer {
            self.layers.resize(layer + 1, None);
        }
        let both = match self.layers[layer].take() {
            Some((old_keys, old_values)) => (
                Tensor::cat(&[&old_keys, &keys], 2)?,
                Tensor::cat(&[&old_values, &values], 2)?,
            ),
            None => (keys, values),
        };
        self.layers[layer] = Some(both.clone());
        Ok(both)
    }
}

struct Layer {
    input_layernorm: Tensor,
    q_proj: Tensor,
    k_proj: Tensor,
    v_proj: Tensor,
    o_proj: Tensor,
    post_attention_layernorm: Tensor,
    gate_proj: Tensor,
    up_proj: Tensor,
    down_proj: Tensor,
}

impl Layer {
    fn new(cfg: &LlmConfig, vb: &VarBuilder<'_>) -> Result<Self> {
        let (width, inner) = (cfg.hidden_size, cfg.intermediate_size);
        let kv = width / cfg.num_attention_heads * cfg.num_key_value_heads;
        let (attn, mlp) = (vb.pp("self_attn"), vb.pp("mlp"));
        Ok(Self {
            input_layernorm: vb.get(width, "input_layernorm.weight")?,
            q_proj: attn.get((width, width), "q_proj.weight")?,
            k_proj: attn.get((kv, width), "k_proj.weight")?,
            v_proj: attn.get((kv, width), "v_proj.weight")?,
            o_proj: attn.get((width, width), "o_proj.weight")?,
            post_attention_layernorm: vb.get(width, "post_attention_layernorm.weight")?,
            gate_proj: mlp.get((inner, width), "gate_proj.weight")?,
            up_proj: mlp.get((inner, width), "up_proj.weight")?,
            down_proj: mlp.get((width, inner), "down_proj.weight")?,
        })
    }

    fn mlp(&self, x: &Tensor) -> Result<Tensor> {
        let gate = linear(x, &self.gate_proj, None)?.silu()?;
        linear(
            &(gate * linear(x, &self.up_proj, None)?)?,
            &self.down_proj,
            None,
        )
    }
}

/// The decoder with its token embedding and its head.
pub struct Llama {
    cfg: LlmConfig,
    embed_tokens: Tensor,
    layers: Vec<Layer>,
    norm: Tensor,
    lm_head: Tensor,
    mode: Mode,
}

/// Where new tokens stand and what they see.
struct Positions<'a> {
    cos: &'a Tensor,
    sin: &'a Tensor,
    mask: Option<&'a Tensor>,
}

impl Llama {
    /// Loads `model.*` and `lm_head.weight` of a Llama checkpoint.
    ///
    /// # Errors
    /// Missing or wrongly shaped tensors.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "candle's builders are passed by value everywhere"
    )]
    pub fn new(cfg: &LlmConfig, mode: Mode, vb: VarBuilder<'_>) -> Result<Self> {
        let model = vb.pp("model");
        let layers =
            (0..cfg.num_hidden_layers).map(|index| Layer::new(cfg, &model.pp("layers").pp(index)));
        Ok(Self {
            cfg: cfg.clone(),
            embed_tokens: model.get((cfg.vocab_size, cfg.hidden_size), "embed_tokens.weight")?,
            layers: layers.collect::<Result<_>>()?,
            norm: model.get(cfg.hidden_size, "norm.weight")?,
            lm_head: vb.get((cfg.vocab_size, cfg.hidden_size), "lm_head.weight")?,
            mode,
        })
    }

    /// Embeddings `(tokens, hidden)` of `ids (tokens)`.
    ///
    /// # Errors
    /// Ids outside the vocabulary.
    pub fn embed(&self, ids: &Tensor) -> Result<Tensor> {
        self.embed_tokens.index_select(ids, 0)
    }

    /// Last hidden states after the final norm, `(batch, seq, hidden)`, of `embeds (batch, seq, hidden)` that follow
    /// what the cache holds.
    ///
    /// # Errors
    /// Failed tensor operations.
    pub fn forward(&self, embeds: &Tensor, cache: &mut KvCache) -> Result<Tensor> {
        self.run(embeds, Some(cache))
    }

    /// The same without a cache, for training.
    ///
    /// # Errors
    /// Failed tensor operations.
    pub fn forward_whole(&self, embeds: &Tensor) -> Result<Tensor> {
        self.run(embeds, None)
    }

    fn run(&self, embeds: &Tensor, mut cache: Option<&mut KvCache>) -> Result<Tensor> {
        let seq = embeds.dim(1)?;
        let past = cache.as_ref().map_or(Ok(0), |cache| cache.len())?;
        let (cos, sin) = self.rotary(past, seq, embeds.dtype(), embeds.device())?;
        let mask = if seq == 1 {
            None
        } else {
            Some(causal_mask(seq, past, embeds.dtype(), embeds.device())?)
        };
        let positions = Positions {
            cos: &cos,
            sin: &sin,
            mask: mask.as_ref(),
        };
        let eps = self.cfg.rms_norm_eps;
        let mut x = embeds.clone();
        for (index, layer) in self.layers.iter().enumerate() {
            let normed = self.mode.rms_norm(&x, &layer.input_layernorm, eps)?;
            x = (self.attend(
                layer,
                &normed,
                &positions,
                cache.as_deref_mut().map(|cache| (index, cache)),
            )? + x)?;
            let normed = self
                .mode
                .rms_norm(&x, &layer.post_attention_layernorm, eps)?;
            x = (layer.mlp(&normed)? + x)?;
        }
        self.mode.rms_norm(&x, &self.norm, eps)
    }

    fn attend(
        &self,
        layer: &Layer,
        x: &Tensor,
        positions: &Positions<'_>,
        cache: Option<(usize, &mut KvCache)>,
    ) -> Result<Tensor> {
        // 1. Project: (batch, seq, hidden) -> (batch, heads, seq, head_dim)
        let q = split_heads(
            &linear(x, &layer.q_proj, None)?,
            self.cfg.num_attention_heads,
        )?;
        let k = split_heads(
            &linear(x, &layer.k_proj, None)?,
            self.cfg.num_key_value_heads,
        )?;
        let v = split_heads(
            &linear(x, &layer.v_proj, None)?,
            self.cfg.num_key_value_heads,
        )?;
        // 2. Rotate
        let q = self.mode.rope(&q, positions.cos, positions.sin)?;
        let k = self.mode.rope(&k, positions.cos, positions.sin)?;
        // 3. Join the past
        let (k, v) = match cache {
            Some((index, cache)) => cache.extend(index, k, v.contiguous()?)?,
            None => (k, v),
        };
        // 4. Each group of query heads shares a key head
        let groups = self.cfg.num_attention_heads / self.cfg.num_key_value_heads;
        let (k, v) = (repeat_heads(&k, groups)?, repeat_heads(&v, groups)?);
        let out = attention(self.mode, &q, &k, &v, positions.mask)?;
        linear(&merge_heads(&out)?, &layer.o_proj, None)
    }

    /// Logits `(batch, seq, vocab)` of last hidden states.
    ///
    /// # Errors
    /// Failed tensor operations.
    pub fn logits(&self, hidden: &Tensor) -> Result<Tensor> {
        linear(hidden, &self.lm_head, None)
    }

    fn rotary(
        &self,
        start: usize,
        seq: usize,
        dtype: DType,
        device: &Device,
    ) -> Result<(Tensor, Tensor)> {
        let half = self.cfg.hidden_size / self.cfg.num_attention_heads / 2;
        let angles: Vec<f32> = (start..start + seq)
            .flat_map(|position| {
                (0..half).map(move |i| {
                    let wavelength = self.cfg.rope_theta.powf(i as f64 / half as f64);
                    (position as f64 / wavelength) as f32
                })
            })
            .collect();
        let angles = Tensor::from_vec(angles, (seq, half), device)?;
        Ok((
            angles.cos()?.to_dtype(dtype)?,
            angles.sin()?.to_dtype(dtype)?,
        ))
    }
}

fn repeat_heads(x: &Tensor, times: usize) -> Result<Tensor> {
    if times == 1 {
        return Ok(x.clone());
    }
    let (batch, heads, seq, dim) = x.dims4()?;
    x.unsqueeze(2)?
        .expand((batch, heads, times, seq, dim))?
        .reshape((batch, heads * times, seq, dim))
}

/// The position of the largest logit.
///
/// # Errors
/// Failed tensor operations.
pub fn argmax(logits: &Tensor) -> Result<u32> {
    logits.flatten_all()?.argmax(D::Minus1)?.to_scalar::<u32>()
}
