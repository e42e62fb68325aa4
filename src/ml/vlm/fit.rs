//! What a model needs in memory, told before a byte of its weights is read.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZero;

use candle_core::Device;

use super::llama::LlmConfig;
use super::weights::{Form, PART_ELEMENTS, Slot, Wanted};
use crate::compute::has_bf16;
use crate::compute::kernels::QUERIES;
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
    /// Layers of the vision tower.
    pub vision_layers: usize,
    /// Patches of the largest picture or slice.
    pub patches: usize,
    /// Pictures and slices that go through the tower together on a CPU, and on a GPU.
    pub pictures: [usize; 2],
}

impl Sizes {
    /// Bytes of keys and values of a full conversation in f32.
    pub const fn kv_bytes(&self) -> u64 {
        self.kv_values() * 4
    }

    /// Keys and values of a full conversation.
    const fn kv_values(&self) -> u64 {
        (2 * self.llm.num_hidden_layers * self.llm.kv_width() * self.max_len) as u64
    }
}

/// What is there of weights at most: those that are used now, and those that wait for another adapter's turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Held {
    now: u64,
    waiting: u64,
}

/// Bytes of a number of the CPU's activations, and of a GPU's half types.
const fn number_bytes(form: Form, is_gpu: bool) -> u64 {
    match form {
        Form::Bf16 | Form::F16 if is_gpu => 2,
        _ => 4,
    }
}

/// What a model with its adapters is weighed by.
pub struct Load<'a> {
    /// What the backbone reads.
    pub wanted: &'a Wanted,
    /// Its sizes.
    pub sizes: &'a Sizes,
    /// Names that each of its adapters changes.
    pub adapters: &'a [BTreeSet<String>],
    /// Conversations that are generated side by side, beams counted.
    pub rows: usize,
}

impl Load<'_> {
    /// Bytes of everything that the backbone reads.
    fn weights(&self, form: Form, is_gpu: bool) -> Held {
        let plain = number_bytes(form, is_gpu);
        let bytes = |(name, slot): (&String, &Slot)| {
            let elements: u64 = slot.shape.iter().map(|len| *len as u64).product();
            match slot.is_matrix {
                true => form.kind_of(name, &slot.shape).bytes(elements),
                false => elements * plain,
            }
        };
        let now = self.wanted.iter().map(bytes).sum();
        // The shelf keeps what one adapter leaves alone while another one's own copy of it is in use: nothing where they
        // change the same.
        let waiting = self.adapters.iter().map(|own| {
            let others = self.adapters.iter().filter(|other| *other != own);
            let left = self.wanted.iter().filter(|(name, _)| own.contains(*name));
            left.filter(|(name, _)| others.clone().any(|other| !other.contains(*name)))
                .map(bytes)
                .sum()
        });
        Held {
            now,
            waiting: waiting.max().unwrap_or(0),
        }
    }

    /// What describing takes.
    pub fn need(&self, form: Form, is_gpu: bool) -> MemoryNeed {
        let bytes = number_bytes(form, is_gpu);
        let Held { now, waiting } = self.weights(form, is_gpu);
        let cache = self.row_bytes(form, is_gpu) * self.rows as u64;
        let computed = decoder(self.sizes, is_gpu).max(tower(self.sizes, is_gpu)) * bytes;
        let computed = computed + widened(form, is_gpu);
        // Weights are read before anything is computed, so that the one takes the other's room.
        let reading = self.reading(form, is_gpu);
        MemoryNeed {
            weights: now + waiting,
            cache,
            activations: computed.max(reading.saturating_sub(cache)) + beside(is_gpu),
        }
    }

    /// Bytes of one conversation more that is generated beside the others.
    pub fn row_bytes(&self, form: Form, is_gpu: bool) -> u64 {
        self.sizes.kv_values() * number_bytes(form, is_gpu)
    }

    /// Bytes that are there beside the weights while the largest matrix is read and put into its form.
    fn reading(&self, form: Form, is_gpu: bool) -> u64 {
        let elements = |slot: &Slot| slot.shape.iter().map(|len| *len as u64).product::<u64>();
        let matrices = self.wanted.iter().filter(|(_, slot)| slot.is_matrix);
        let largest = |names: &dyn Fn(&String) -> bool| {
            let some = matrices.clone().filter(|(name, _)| names(name));
            some.map(|(_, slot)| elements(slot)).max().unwrap_or(0)
        };
        // A matrix that an adapter changes is made whole: as stored, widened, the change, and their sum.
        let merged = 14 * largest(&|name| self.adapters.iter().any(|own| own.contains(name)));
        let read = match (form, is_gpu) {
            (Form::F32 | Form::Bf16 | Form::F16, true) => 4 * largest(&|_| true),
            // A part on every thread: its bytes, the same as a tensor, and up to two copies in single precision.
            _ => 12 * PART_ELEMENTS as u64 * threads() as u64,
        };
        merged.max(read)
    }
}

fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

/// Values at the widest place of the decoder: within a feed-forward or an attention.
fn decoder(sizes: &Sizes, is_gpu: bool) -> u64 {
    let llm = &sizes.llm;
    let (tokens, hidden) = (sizes.max_len as u64, llm.hidden_size as u64);
    // 1. gate, up, their product, and what a product is put together of
    let feed_forward = 2 * tokens * hidden + 4 * tokens * llm.intermediate_size as u64;
    // 2. queries in three stages, keys, values and what comes out of them
    let attention =
        9 * tokens * hidden + scores([llm.num_attention_heads as u64, tokens, tokens], is_gpu);
    feed_forward.max(attention) + 4 * llm.vocab_size as u64
}

/// The same of the vision tower.
fn tower(sizes: &Sizes, is_gpu: bool) -> u64 {
    let [width, inner, heads] = sizes.vision.map(|size| size as u64);
    let patches = sizes.patches as u64;
    let pictures = sizes.pictures[usize::from(is_gpu)] as u64;
    let tokens = pictures * patches;
    let attention = 9 * tokens * width + scores([heads, tokens, patches], is_gpu);
    attention.max(3 * tokens * width + 3 * tokens * inner)
}

/// Values of an attention that are there at once: on a GPU all scores, the same softened, and one copy; on a CPU those of
/// some queries of a head on every thread.
fn scores([heads, queries, keys]: [u64; 3], is_gpu: bool) -> u64 {
    match is_gpu {
        true => 3 * heads * queries * keys,
        false => threads() as u64 * queries.min(QUERIES as u64) * keys,
    }
}

/// Bytes of what is widened to single precision while it is multiplied on a CPU.
const fn widened(form: Form, is_gpu: bool) -> u64 {
    match form {
        Form::F32 => 0,
        _ if is_gpu => 0,
        _ => 4 * PART_ELEMENTS as u64,
    }
}

/// Bytes that no size of the model explains: tokenizer, picture, buffers of the threads, and gaps between what was freed.
/// The median of what `benches/side_by_side/peak.py` measured beside everything else, 0.09 to 0.23 GB at nine sizes.
const fn beside(is_gpu: bool) -> u64 {
    if is_gpu { 0 } else { 140_000_000 }
}

/// The forms that are tried, the most exact first. Half types are quick where the device computes in them; a CPU
/// without such instructions would be slower than in single precision, and less exact than `q8_0` would be small.
pub fn candidates(device: &Device) -> Vec<Form> {
    let halves = match device {
        Device::Cpu => None,
        Device::Cuda(_) | Device::Metal(_) if has_bf16(device) => Some(Form::Bf16),
        Device::Cuda(_) | Device::Metal(_) => Some(Form::F16),
    };
    let whole = device.is_cpu().then_some(Form::F32);
    let small = [Form::Q8, Form::Q4K];
    whole.into_iter().chain(halves).chain(small).collect()
}

/// The best form for a device with so much free memory.
pub fn choose(load: &Load<'_>, device: &Device, name: &str, free: Option<u64>) -> (Fit, Form) {
    let is_gpu = !device.is_cpu();
    let forms = candidates(device);
    let needs = forms.iter().map(|form| FormNeed {
        form: form.name().to_owned(),
        is_quantised: matches!(form, Form::Q8 | Form::Q4K),
        need: load.need(*form, is_gpu),
    });
    let mut fit = Fit::choose(name, free, needs.collect());
    fit.adapters = load.adapters.len();
    let form = forms[fit.chosen.min(forms.len() - 1)];
    (fit, form)
}

/// Bytes of one layer's activations, which training may keep for the way back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LayerGraphs {
    /// Of the vision tower; 0 where it is not trained.
    pub tower: u64,
    /// Of the decoder.
    pub decoder: u64,
}

impl LayerGraphs {
    /// Of a model of which `trained` is trained.
    pub fn of(
        trained: &BTreeMap<String, Vec<usize>>,
        sizes: &Sizes,
        form: Form,
        is_gpu: bool,
    ) -> Self {
        let bytes = number_bytes(form, is_gpu);
        let tower = match trained.keys().any(|name| is_tower(name)) {
            true => tower_graph(sizes, is_gpu) * bytes,
            false => 0,
        };
        Self {
            tower,
            decoder: decoder_graph(sizes, is_gpu) * bytes,
        }
    }

    /// Bytes of all layers; the tower's run once for every few slices of a picture.
    const fn all(self, sizes: &Sizes, is_gpu: bool) -> u64 {
        let [together, all] = [sizes.pictures[is_gpu as usize], sizes.pictures[1]];
        let runs = sizes.vision_layers * all.div_ceil(together);
        self.tower * runs as u64 + self.decoder * sizes.llm.num_hidden_layers as u64
    }
}

/// Bytes of graphs that are kept so that layers need not run twice: all, or half of what is free beside the rest. The
/// other half is left for whatever else runs on the machine. None where nobody tells what is free.
fn kept(all: u64, need: u64, free: Option<u64>) -> u64 {
    let spare = free.map_or(0, |free| free.saturating_sub(need) / 2);
    all.min(spare)
}

/// Whether a tensor is of the vision tower.
fn is_tower(name: &str) -> bool {
    TOWERS.iter().any(|tower| name.contains(tower))
}

/// Where what is trained lies in single precision, with the optimiser's moments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OptimiserHome {
    /// Beside the model.
    Device,
    /// On the CPU, while the model is on a GPU that has no room for it: slower, since gradients and weights travel.
    Host,
}

/// What training parts of a model takes, one conversation at a time: the frozen weights, what enters each layer, the
/// largest layer's activations with their gradients, and what is trained.
pub fn tune_need(
    (wanted, trained): (&Wanted, &BTreeMap<String, Vec<usize>>),
    sizes: &Sizes,
    form: Form,
    is_gpu: bool,
    home: OptimiserHome,
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
    let largest = trained.values().map(count).max().unwrap_or(0);
    let seeing = match trained.keys().any(|name| is_tower(name)) {
        true => tower_graph(sizes, is_gpu),
        false => tower(sizes, is_gpu),
    };
    let load = Load {
        wanted: &frozen,
        sizes,
        adapters: &[],
        rows: 1,
    };
    let activations = decoder_graph(sizes, is_gpu).max(seeing) * bytes;
    let trained = match (is_gpu, home) {
        (false, _) => TRAINED_COPIES * 4 * num_trained,
        // What the device computes with and the sum of gradients, and the largest gradient on its way into that.
        (true, OptimiserHome::Host) => num_trained * (bytes + 4) + largest * (2 * bytes + 4),
        // The weights in single precision and two moments beside that.
        (true, OptimiserHome::Device) => num_trained * (bytes + 4 + 12) + largest * (2 * bytes + 4),
    };
    TuneNeed {
        model: MemoryNeed {
            weights: load.weights(form, is_gpu).now,
            cache: inputs * bytes,
            activations: activations
                + widened(form, is_gpu)
                + beside(is_gpu)
                + held(activations + trained, is_gpu)
                + LOGITS_AT_ONCE * 8 * 4 * llm.vocab_size as u64,
        },
        trained,
        kept: 0,
    }
}

/// Bytes that the allocator holds of tensors that are gone, of all that come and go in a step. With the published preset
/// at 0.2 G parameters 3.8 GB are measured where 3.45 would be foretold without it (`benches/side_by_side/tune.sh`).
const fn held(bytes: u64, is_gpu: bool) -> u64 {
    if is_gpu { 0 } else { bytes / 8 }
}

/// Copies of what is trained: the weights, their gradient, its sum, and the optimiser's two moments.
const TRAINED_COPIES: u64 = 5;

/// Target tokens whose logits are there at once.
pub const LOGITS_AT_ONCE: u64 = 64;

/// What stands in the names of the vision towers' weights.
const TOWERS: [&str; 3] = ["vpm.", "vision_tower.", "visual."];

/// Values of a tower layer's graph with the gradients on the way back.
fn tower_graph(sizes: &Sizes, is_gpu: bool) -> u64 {
    let [width, inner, heads] = sizes.vision.map(|size| size as u64);
    let patches = sizes.patches as u64;
    let tokens = sizes.pictures[usize::from(is_gpu)] as u64 * patches;
    let attention = graph_scores([heads, tokens, patches], is_gpu);
    16 * tokens * width + 5 * tokens * inner + attention
}

/// Scores of an attention that are there on the way back: on a GPU those of the graph; on a CPU the weights of some queries
/// of a head, which are computed again, and their change, on every thread.
fn graph_scores([heads, queries, keys]: [u64; 3], is_gpu: bool) -> u64 {
    match is_gpu {
        true => 5 * heads * queries * keys,
        false => 2 * scores([heads, queries, keys], is_gpu),
    }
}

/// Values of a decoder layer's graph with the gradients on the way back.
fn decoder_graph(sizes: &Sizes, is_gpu: bool) -> u64 {
    let llm = &sizes.llm;
    let (tokens, hidden) = (sizes.max_len as u64, llm.hidden_size as u64);
    let stream = 16 * tokens * hidden;
    let feed_forward = 5 * tokens * llm.intermediate_size as u64;
    let attention = graph_scores([llm.num_attention_heads as u64, tokens, tokens], is_gpu);
    stream + feed_forward + attention
}

/// How a model is trained on a device.
#[derive(Debug, Clone, Copy)]
pub struct TuneChoice {
    /// Form of the frozen weights.
    pub form: Form,
    /// What it takes.
    pub need: TuneNeed,
    /// Bytes of each layer's graph.
    pub graphs: LayerGraphs,
    /// Where the optimiser is.
    pub home: OptimiserHome,
}

/// The best form of the frozen weights for a device with so much free memory, or the one that was asked for, with the
/// optimiser on the device where there is room for it as well.
pub fn choose_tune(
    parts: (&Wanted, &BTreeMap<String, Vec<usize>>),
    sizes: &Sizes,
    asked: Option<Form>,
    device: &Device,
    free: Option<u64>,
) -> TuneChoice {
    let is_gpu = !device.is_cpu();
    let forms = match asked {
        Some(form) => vec![form],
        None => candidates(device),
    };
    let homes = match is_gpu {
        true => &[OptimiserHome::Device, OptimiserHome::Host][..],
        false => &[OptimiserHome::Device],
    };
    let mut chosen = (Form::F32, OptimiserHome::Host, TuneNeed::default());
    'found: for form in forms {
        for home in homes {
            let need = tune_need(parts, sizes, form, is_gpu, *home);
            chosen = (form, *home, need);
            if free.is_none_or(|free| need.total() <= free) {
                break 'found;
            }
        }
    }
    let (form, home, mut need) = chosen;
    let graphs = LayerGraphs::of(parts.1, sizes, form, is_gpu);
    need.kept = kept(graphs.all(sizes, is_gpu), need.total(), free);
    TuneChoice {
        form,
        need,
        graphs,
        home,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted() -> Wanted {
        ["a.weight", "b.weight", "c.weight"]
            .map(|name| {
                let slot = Slot {
                    shape: vec![512, 256],
                    is_matrix: true,
                };
                (name.to_owned(), slot)
            })
            .into()
    }

    fn sizes() -> Sizes {
        let llm = LlmConfig {
            hidden_size: 256,
            intermediate_size: 512,
            num_hidden_layers: 2,
            num_attention_heads: 4,
            num_key_value_heads: 2,
            vocab_size: 512,
            rms_norm_eps: 1e-5,
            rope_theta: 1e4,
            qkv_bias: false,
        };
        Sizes {
            llm,
            max_len: 100,
            vision: [64, 128, 2],
            vision_layers: 3,
            patches: 50,
            pictures: [3, 10],
        }
    }

    fn changed(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn adapters_cost_what_waits_for_their_turn() {
        let (wanted, sizes) = (wanted(), sizes());
        let weights = |adapters: &[BTreeSet<String>]| {
            let load = Load {
                wanted: &wanted,
                sizes: &sizes,
                adapters,
                rows: 1,
            };
            load.need(Form::F32, false).weights
        };
        let one = 512 * 256 * 4;
        assert_eq!(weights(&[]), 3 * one);
        // Each of three changes the same two: one copy at a time is there.
        let same = changed(&["a.weight", "b.weight"]);
        assert_eq!(
            weights(&[same.clone(), same.clone(), same.clone()]),
            3 * one
        );
        // What the first leaves alone lies on the shelf while the second has its own.
        assert_eq!(weights(&[same, changed(&["c.weight"])]), 5 * one);
    }

    #[test]
    fn every_row_costs_its_keys_and_values() {
        let (wanted, sizes) = (wanted(), sizes());
        let cache = |rows| {
            let load = Load {
                wanted: &wanted,
                sizes: &sizes,
                adapters: &[],
                rows,
            };
            load.need(Form::Q8, false).cache
        };
        assert_eq!(cache(1), 2 * 2 * 128 * 100 * 4);
        assert_eq!(cache(8), 8 * cache(1));
    }

    #[test]
    fn a_cpu_is_never_offered_half_types() {
        let names: Vec<&str> = candidates(&Device::Cpu)
            .iter()
            .map(|form| form.name())
            .collect();
        assert_eq!(names, ["f32", "q8_0", "q4_k"]);
    }
}
