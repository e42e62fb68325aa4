//! What a model needs in memory, told before a byte of its weights is read.

use super::llama::LlmConfig;
use std::collections::BTreeMap;

use super::weights::{Form, Wanted};
use crate::domain::{Fit, FormNeed, MemoryNeed, TuneNeed};

/// The sizes that activations depend on.
#[derive(Debug, Clone, PartialEq)]
pub struct Sizes {
    /// The decoder.
    pub llm: LlmConfig,
    /// Tokens of a full conversation.
    pub max_len: usize,
    /// Width of the vision tower, of its feed-forward, and its heads.
    pub vision: [usize; 3],
    /// Patches of the largest picture that goes through the tower at once.
    pub patches: usize,
}

impl Sizes {
    /// Bytes of keys and values of a full conversation in f32.
    pub const fn kv_bytes(&self) -> u64 {
        (2 * self.llm.num_hidden_layers * self.llm.kv_width() * self.max_len * 4) as u64
    }
}

/// Bytes of a number of the CPU's activations, and of a GPU's half types.
const fn number_bytes(form: Form, is_gpu: bool) -> u64 {
    match form {
        Form::Bf16 | Form::F16 if is_gpu => 2,
        _ => 4,
    }
}

/// Bytes of everything that a backbone reads.
pub fn weights_bytes(wanted: &Wanted, form: Form, is_gpu: bool) -> u64 {
    let plain = number_bytes(form, is_gpu);
    wanted
        .iter()
        .map(|(name, slot)| {
            let elements: u64 = slot.shape.iter().map(|len| *len as u64).product();
            match slot.is_matrix {
                true => form.kind_of(name, &slot.shape).bytes(elements),
                false => elements * plain,
            }
        })
        .sum()
}

/// What describing `batch` pictures at once needs.
pub fn need(wanted: &Wanted, sizes: &Sizes, form: Form, batch: usize, is_gpu: bool) -> MemoryNeed {
    let bytes = number_bytes(form, is_gpu);
    let llm = &sizes.llm;
    let tokens = (sizes.max_len * batch) as u64;
    let kv = 2 * (llm.num_hidden_layers * llm.kv_width()) as u64;
    MemoryNeed {
        weights: weights_bytes(wanted, form, is_gpu),
        cache: tokens * kv * bytes,
        activations: (decoder(sizes).max(tower(sizes))) * bytes * batch as u64
            + widened(sizes, form, is_gpu),
    }
}

/// Values at the widest place of the decoder: within a feed-forward or an attention.
fn decoder(sizes: &Sizes) -> u64 {
    let llm = &sizes.llm;
    let (tokens, hidden) = (sizes.max_len as u64, llm.hidden_size as u64);
    let stream = 4 * tokens * hidden;
    let feed_forward = 4 * tokens * llm.intermediate_size as u64;
    let attention = 3 * llm.num_attention_heads as u64 * tokens * tokens + 3 * tokens * hidden;
    stream + feed_forward.max(attention) + llm.vocab_size as u64
}

/// The same of the vision tower.
fn tower(sizes: &Sizes) -> u64 {
    let [width, inner, heads] = sizes.vision.map(|size| size as u64);
    let patches = sizes.patches as u64;
    let attention = 3 * heads * patches * patches + 3 * patches * width;
    4 * patches * width + (3 * patches * inner).max(attention)
}

/// Bytes of what is widened to single precision while it is multiplied on a CPU: a segment of a quantised matrix, or
/// the whole of a narrow one.
fn widened(sizes: &Sizes, form: Form, is_gpu: bool) -> u64 {
    let llm = &sizes.llm;
    let head = (llm.vocab_size * llm.hidden_size) as u64;
    match form {
        Form::F32 => 0,
        _ if is_gpu => 0,
        Form::Bf16 | Form::F16 => 4 * head,
        Form::Q8 | Form::Q4K => 4 * (1 << 23),
    }
}

/// The forms that are tried, the most exact first. Half types save memory on a CPU and cost time there, so what is
/// quantised comes before them only where it is smaller.
pub const fn candidates(is_gpu: bool) -> &'static [Form] {
    match is_gpu {
        true => &[Form::Bf16, Form::Q8, Form::Q4K],
        false => &[Form::F32, Form::Q8, Form::Q4K],
    }
}

/// The best form for a device with so much free memory.
pub fn choose(
    wanted: &Wanted,
    sizes: &Sizes,
    batch: usize,
    (device, is_gpu): (&str, bool),
    free: Option<u64>,
) -> (Fit, Form) {
    let forms = candidates(is_gpu);
    let needs = forms.iter().map(|form| FormNeed {
        form: form.name().to_owned(),
        is_quantised: matches!(form, Form::Q8 | Form::Q4K),
        need: need(wanted, sizes, *form, batch, is_gpu),
    });
    let fit = Fit::choose(device, free, needs.collect());
    let form = forms[fit.chosen.min(forms.len() - 1)];
    (fit, form)
}

/// What training parts of a model takes, one conversation at a time: the frozen weights, what enters each layer, the
/// largest layer's activations with their gradients, and what is trained.
pub fn tune_need(
    (wanted, trained): (&Wanted, &BTreeMap<String, Vec<usize>>),
    sizes: &Sizes,
    form: Form,
    is_gpu: bool,
) -> TuneNeed {
    let bytes = number_bytes(form, is_gpu);
    let count = |shape: &Vec<usize>| shape.iter().product::<usize>() as u64;
    let is_whole = |name: &String| trained.contains_key(name);
    let frozen: Wanted = wanted
        .iter()
        .filter(|(name, _)| !is_whole(name))
        .map(|(name, slot)| (name.clone(), slot.clone()))
        .collect();
    let num_trained: u64 = trained.values().map(count).sum();
    let llm = &sizes.llm;
    let tokens = sizes.max_len as u64;
    let inputs = tokens * (llm.hidden_size * (llm.num_hidden_layers + 2)) as u64;
    let kept = TRAINED_COPIES * 4 * num_trained;
    TuneNeed {
        model: MemoryNeed {
            weights: weights_bytes(&frozen, form, is_gpu),
            cache: inputs * bytes,
            activations: decoder_graph(sizes).max(tower(sizes)) * bytes
                + widened(sizes, form, is_gpu)
                + LOGITS_AT_ONCE * 8 * 4 * llm.vocab_size as u64,
        },
        trained: match is_gpu {
            // What the device computes with; the rest stays with the optimiser.
            true => num_trained * 2 * bytes,
            false => kept,
        },
    }
}

/// Copies of what is trained: the weights, their gradient, its sum, and the optimiser's two moments.
const TRAINED_COPIES: u64 = 5;

/// Target tokens whose logits are there at once.
pub const LOGITS_AT_ONCE: u64 = 64;

/// Values of a decoder layer's graph with the gradients on the way back.
fn decoder_graph(sizes: &Sizes) -> u64 {
    let llm = &sizes.llm;
    let (tokens, hidden) = (sizes.max_len as u64, llm.hidden_size as u64);
    let stream = 16 * tokens * hidden;
    let feed_forward = 5 * tokens * llm.intermediate_size as u64;
    let attention = 5 * llm.num_attention_heads as u64 * tokens * tokens;
    stream + feed_forward + attention
}

/// The best form of the frozen weights for a device with so much free memory, or the one that was asked for.
pub fn choose_tune(
    parts: (&Wanted, &BTreeMap<String, Vec<usize>>),
    sizes: &Sizes,
    asked: Option<Form>,
    is_gpu: bool,
    free: Option<u64>,
) -> (Form, TuneNeed) {
    let forms = match asked {
        Some(form) => vec![form],
        None => candidates(is_gpu).to_vec(),
    };
    let mut chosen = (Form::F32, TuneNeed::default());
    for form in forms {
        chosen = (form, tune_need(parts, sizes, form, is_gpu));
        if free.is_none_or(|free| chosen.1.total() <= free) {
            break;
        }
    }
    chosen
}
