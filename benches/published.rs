//! Training at the published geometry: T 477, hidden 4096, vocabulary 128256, width 512, on random features.
//!
//! `cargo bench --bench published -- steps [N]`: seconds a sample of one step, folded and full, beside the machine's own
//! matrix product. `-- epoch [IMAGES]`: an epoch over features in mapped cache files, with its peak memory.
//! `benches/side_by_side/predictor.sh` runs the first beside torch.

#![expect(clippy::print_stdout, reason = "a bench prints what it measured")]

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use assay::compute::MappedFile;
use assay::compute::kernels::Hands;
use assay::compute::kernels::Mat;
use assay::compute::kernels::Put;
use assay::compute::kernels::product;
use assay::domain::Aspect;
use assay::domain::ContentHash;
use assay::domain::Conversation;
use assay::domain::Features;
use assay::domain::Halves;
use assay::domain::HeadInput;
use assay::domain::Interrupted;
use assay::domain::LentHalves;
use assay::domain::Projection;
use assay::domain::TrainSettings;
use assay::ml::train::Example;
use assay::ml::train::LmHead;
use assay::ml::train::TrainData;
use assay::ml::train::TrainEvent;
use assay::ml::train::fit;
use assay::stats::SplitMix64;
use assay::store::FeatureCache;
use assay::store::FeatureKey;
use candle_core::DType;
use candle_core::Device;
use candle_core::Tensor;
use half::f16;

const TOKENS: usize = 477;
const HIDDEN: usize = 4096;
const VOCAB: usize = 128_256;
const DIM: usize = 512;
/// Training images of AGIQA-3K in the published split.
const IMAGES: usize = 2385;

fn main() {
    assay::compute::settle();
    let mut arguments = std::env::args().skip(1).filter(|word| word != "--bench");
    let what = arguments.next();
    let number = arguments.next().and_then(|word| word.parse().ok());
    match what.as_deref() {
        Some("steps") => steps(number.unwrap_or(3)),
        Some("epoch") => epoch(number.unwrap_or(64)),
        // `cargo bench` without words: heavy work is asked for by name.
        _ => println!("say `-- steps [N]` or `-- epoch [IMAGES]`"),
    }
}

fn features(seed: u64) -> Features {
    let mut random = SplitMix64::new(seed);
    let values = (0..TOKENS * HIDDEN)
        .map(|_| f16::from_f32(random.below(2000) as f32 / 1000.0 - 1.0))
        .collect();
    Features {
        num_tokens: TOKENS,
        hidden: HIDDEN,
        values,
    }
}

fn settings(projection: Projection, batch_size: usize) -> TrainSettings {
    let mut settings = TrainSettings::published(Aspect::Quality);
    settings.head.input = HeadInput::Logits;
    settings.head.projection = projection;
    settings.batch_size = batch_size;
    settings.epochs = 1;
    settings
}

/// `GFLOP/s` of this machine's matrix product on all cores.
fn peak() -> f64 {
    const N: usize = 2048;
    let values = vec![0.5_f32; N * N];
    let mut out = vec![0.0_f32; N * N];
    let once = |out: &mut [f32]| {
        let start = Instant::now();
        let operands = (Mat::rows(&values, N), Mat::rows(&values, N));
        product((out, N, Put::Set), operands, [N, N, N], 1.0, Hands::All);
        start.elapsed().as_secs_f64()
    };
    let best = (0..5).map(|_| once(&mut out)).fold(f64::INFINITY, f64::min);
    2.0 * (N as f64).powi(3) / best / 1e9
}

/// Floating-point operations of one sample: the stack forward and twice backward, the projection forward and backward by
/// its weight.
fn work(projection: Projection, batch: usize) -> f64 {
    let (t, inner, ffn) = (TOKENS as f64, 1024.0, 704.0);
    let (d, hidden, vocab) = (DIM as f64, HIDDEN as f64, VOCAB as f64);
    let mlstm =
        2.0 * (2.0 * inner * d + d * inner + 8.0 * 3.0 * inner + 12.0 * inner) + 2.0 * t * inner;
    let slstm = 2.0 * (8.0 * d * d / 4.0 + 3.0 * ffn * d);
    let stack = 3.0 * t * (3.0 * mlstm + slstm);
    let folded = 2.0 * 2.0 * t * hidden * d;
    let pass = 2.0 * 2.0 * d * hidden * vocab / batch as f64;
    let logits = 2.0 * t * vocab * (hidden + 2.0 * d);
    match projection {
        Projection::Folded => stack + folded,
        Projection::Full => stack + (folded + pass).min(logits),
    }
}

fn lm_head() -> LmHead {
    let mut random = SplitMix64::new(7);
    let values: Vec<f16> = (0..VOCAB * HIDDEN)
        .map(|_| f16::from_f32((random.below(2000) as f32 / 1000.0 - 1.0) * 0.02))
        .collect();
    let weight =
        Tensor::from_vec(values, (VOCAB, HIDDEN), &Device::Cpu).expect("a tensor of this shape");
    assert_eq!(weight.dtype(), DType::F16);
    LmHead::new(&weight).expect("a matrix")
}

fn examples(count: usize) -> Vec<Example> {
    (0..count)
        .map(|i| Example {
            features: features(i as u64),
            mos: 1.0 + (i % 4) as f64,
        })
        .collect()
}

fn steps(number: usize) {
    let peak_before = peak();
    println!("matrix product of 2048^3 on all cores: {peak_before:.0} GFLOP/s");
    let mut data = TrainData {
        lm_head: Some(lm_head()),
        ..TrainData::default()
    };
    let cases = [
        (Projection::Folded, 1, number * 4),
        (Projection::Folded, 8, number),
        (Projection::Full, 1, number.min(3)),
        (Projection::Full, 8, number.min(3)),
    ];
    for (projection, batch, steps) in cases {
        // One more step than is timed: the first begins with the first product. Two more, so that no epoch ends.
        data.train = examples(batch * (steps + 2));
        let seconds = median_step(&data, &settings(projection, batch), steps) / batch as f64;
        let rate = work(projection, batch) / seconds / 1e9;
        println!(
            "{} at batch {batch}: {seconds:.3} s a sample, {rate:.0} GFLOP/s, {:.0} % of the matrix product",
            projection.name(),
            100.0 * rate / peak_before
        );
    }
    println!("peak memory: {:.1} GB", peak_memory() / 1e9);
}

/// Median seconds between the ends of steps.
fn median_step(data: &TrainData, settings: &TrainSettings, steps: usize) -> f64 {
    let mut times = Vec::new();
    let mut last = None;
    let stopped = fit(data, settings, None, &mut |event| {
        if let TrainEvent::Step { step, .. } = event {
            if let Some(last) = last.replace(Instant::now()) {
                times.push(Instant::now().duration_since(last).as_secs_f64());
            }
            if step as usize > steps {
                return Err(Interrupted);
            }
        }
        Ok(())
    });
    assert!(stopped.is_err_and(|error| error.is_interrupted()));
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

#[derive(Debug)]
struct Mapped(MappedFile);

impl LentHalves for Mapped {
    fn halves(&self) -> &[f16] {
        self.0
            .halves(self.0.bytes().len() - 2 * TOKENS * HIDDEN..self.0.bytes().len())
            .unwrap_or_default()
    }

    fn problem(&self) -> Option<String> {
        self.0.problem()
    }
}

/// Writes features of random numbers to a cache and maps them.
fn mapped(folder: &Path, count: usize) -> Vec<Example> {
    let cache = FeatureCache::open(folder);
    let conversation = Conversation {
        request: String::new(),
        description: String::new(),
        question: String::new(),
    };
    let one = |i: usize| {
        let mut hash = [0; 32];
        hash[..8].copy_from_slice(&(i as u64).to_le_bytes());
        let key = FeatureKey::new(
            ContentHash(hash),
            ("random", "f32"),
            &conversation.messages(),
            512,
        );
        cache
            .put(&key, &features(i as u64))
            .expect("room on the disk");
        let file = MappedFile::open(&cache.path(&key)).expect("the file just written");
        Example {
            features: Features {
                num_tokens: TOKENS,
                hidden: HIDDEN,
                values: Halves::lent(Arc::new(Mapped(file))),
            },
            mos: 1.0 + (i % 4) as f64,
        }
    };
    (0..count).map(one).collect()
}

fn epoch(count: usize) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let data = TrainData {
        train: mapped(folder.path(), count),
        lm_head: Some(lm_head()),
        ..TrainData::default()
    };
    let before = peak_memory();
    let mut seconds = 0.0;
    let mut start = None;
    fit(
        &data,
        &settings(Projection::Folded, 8),
        None,
        &mut |event| {
            match event {
                // The first step begins with the first product, which is made once a run.
                TrainEvent::Step { step: 1, .. } => start = Some(Instant::now()),
                TrainEvent::Step { step, steps, .. } if step == steps => {
                    seconds = start.map_or(0.0, |start| start.elapsed().as_secs_f64());
                }
                _ => {}
            }
            Ok(())
        },
    )
    .expect("a run on random features");
    let sample = seconds / (count - 8) as f64;
    println!(
        "{count} mapped images, folded, batch 8: {sample:.3} s an image, so {:.1} min an epoch of {IMAGES}",
        sample * IMAGES as f64 / 60.0
    );
    println!(
        "peak memory {:.2} GB, {:.2} GB before training (lm_head among them; {:.1} GB of features stay in their files)",
        peak_memory() / 1e9,
        before / 1e9,
        (count * TOKENS * HIDDEN * 2) as f64 / 1e9
    );
}

/// Largest resident memory so far, in bytes; mapped pages count where they are resident.
fn peak_memory() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    kilobytes.unwrap_or(f64::NAN) * 1024.0
}
