//! Tokens a second of the decoder at about one billion parameters: a prompt at once, then tokens one by one.
//!
//! `cargo bench --bench llama -- FILE.gguf [PROMPT TOKENS]` reads a file of `side_by_side/gguf_model.py`;
//! `-- f32|bf16|f16|q8_0|q4_k [PROMPT TOKENS]` makes noise of the same geometry in that form. Prints one line of JSON.

#![expect(clippy::print_stdout, reason = "a bench prints what it measured")]

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use assay::ml::vlm::KvCache;
use assay::ml::vlm::llama::{Llama, LlmConfig};
use assay::ml::vlm::ops::Mode;
use assay::ml::vlm::weights::{Census, Form, Source, Weights, gguf};
use candle_core::{DType, Device, Result, Tensor};

/// That of `side_by_side/gguf_model.py`.
const CONFIG: LlmConfig = LlmConfig {
    hidden_size: 2048,
    intermediate_size: 8192,
    num_hidden_layers: 16,
    num_attention_heads: 32,
    num_key_value_heads: 8,
    vocab_size: 32000,
    rms_norm_eps: 1e-5,
    rope_theta: 5e5,
    qkv_bias: false,
};

/// Rounds, of which the best counts.
const ROUNDS: usize = 3;

fn main() -> Result<()> {
    assay::compute::settle();
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|w| w != "--bench")
        .collect();
    let Some(what) = words.first() else {
        println!("give a GGUF file or a form of weights");
        return Ok(());
    };
    let number = |at: usize, usual: usize| -> usize {
        let word = words.get(at).and_then(|word| word.parse().ok());
        word.unwrap_or(usual)
    };
    let (prompt, tokens) = (number(1, 512), number(2, 48));
    let llama = if let Ok(form) = what.parse::<Form>() {
        noise(form)?
    } else {
        let file = gguf::open(Path::new(what), "")?;
        let weights = Weights::new(file, Form::Q4K, &Device::Cpu);
        Llama::new(&CONFIG, Mode::Inference, &weights)?
    };
    let (mut prefill, mut decode) = (0_f64, 0_f64);
    for _ in 0..ROUNDS {
        let mut cache = KvCache::default();
        let start = Instant::now();
        pass(
            &llama,
            (0..prompt).map(|n| (37 * n + 5) % 31000),
            &mut cache,
        )?;
        prefill = prefill.max(prompt as f64 / start.elapsed().as_secs_f64());
        let start = Instant::now();
        for n in 0..tokens {
            pass(&llama, std::iter::once((91 * n + 3) % 31000), &mut cache)?;
        }
        decode = decode.max(tokens as f64 / start.elapsed().as_secs_f64());
    }
    println!("{{\"assay\": \"{what}\", \"prefill\": {prefill:.2}, \"decode\": {decode:.2}}}");
    Ok(())
}

/// Reads tokens, and makes the logits of the last one.
fn pass(llama: &Llama, ids: impl Iterator<Item = usize>, cache: &mut KvCache) -> Result<f32> {
    let ids: Vec<u32> = ids.map(|id| id as u32).collect();
    let embeds = llama.embed(&Tensor::new(ids, &Device::Cpu)?)?;
    let states = llama.forward(&embeds.unsqueeze(0)?, cache)?;
    let last = states.narrow(1, states.dim(1)? - 1, 1)?;
    llama.logits(&last)?.max_all()?.to_scalar::<f32>()
}

fn noise(form: Form) -> Result<Llama> {
    let census = Arc::new(Census::default());
    let listing = Weights::new(census.clone(), Form::F32, &Device::Cpu);
    drop(Llama::new(&CONFIG, Mode::Inference, &listing)?);
    let pool = Tensor::randn(0_f32, 0.02, 1 << 20, &Device::Cpu)?.to_vec1::<f32>()?;
    let noise = Arc::new(Noise { census, pool });
    Llama::new(
        &CONFIG,
        Mode::Inference,
        &Weights::new(noise, form, &Device::Cpu),
    )
}

/// Tensors of the census's shapes, of the same numbers over and over.
struct Noise {
    census: Arc<Census>,
    pool: Vec<f32>,
}

impl Source for Noise {
    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.census.shape(name)
    }

    fn read(&self, name: &str) -> Result<Tensor> {
        let shape = self.shape(name).unwrap_or_default();
        self.read_rows(name, 0, shape.first().copied().unwrap_or(1))
    }

    fn read_rows(&self, name: &str, start: usize, len: usize) -> Result<Tensor> {
        let mut shape = self.shape(name).unwrap_or_default();
        shape[0] = len;
        if shape.len() == 1 {
            return Tensor::ones(shape, DType::F32, &Device::Cpu);
        }
        let width = shape[1];
        let values = self
            .pool
            .iter()
            .cycle()
            .skip(start * width % self.pool.len());
        let values: Vec<f32> = values.take(len * width).copied().collect();
        Tensor::from_vec(values, shape, &Device::Cpu)
    }

    fn has_cheap_rows(&self, _: &str) -> bool {
        true
    }

    fn names(&self) -> Vec<String> {
        self.census.names()
    }
}
