//! What a model needs in memory, told before a byte of its weights is read.

use super::llama::LlmConfig;
use super::weights::{Form, Wanted};
use crate::domain::{Fit, FormNeed, MemoryNeed};

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
