//! What the user waits for when scoring and training: one score from cached features, one epoch, by every head.

use std::collections::BTreeMap;
use std::collections::HashMap;

use assay::domain::Aspect;
use assay::domain::Features;
use assay::domain::HeadKind;
use assay::domain::HeadSettings;
use assay::domain::TrainSettings;
use assay::ml::MlError;
use assay::ml::Predictor;
use assay::ml::heads::xlstm::MlstmForm;
use assay::ml::heads::xlstm::XlstmConfig;
use assay::ml::heads::xlstm::XlstmStack;
use assay::ml::predictor::PredictorConfig;
use assay::ml::train::Example;
use assay::ml::train::TrainData;
use assay::ml::train::fit;
use assay::ml::train::initial_weights;
use assay::stats::SplitMix64;
use candle_core::DType;
use candle_core::Device;
use candle_core::Var;
use candle_nn::VarBuilder;

/// Width of the embedded model's hidden states.
const HIDDEN: usize = 192;

fn main() {
    assay::compute::settle();
    divan::main();
}

fn features(num_tokens: usize, random: &mut SplitMix64) -> Features {
    let values = (0..num_tokens * HIDDEN)
        .map(|_| half::f16::from_f32(random.below(2000) as f32 / 1000.0 - 1.0))
        .collect();
    Features {
        num_tokens,
        hidden: HIDDEN,
        values,
    }
}

#[divan::bench(args = [160, 512])]
fn score_one_picture(bencher: divan::Bencher<'_, '_>, num_tokens: usize) {
    let config = PredictorConfig::new(HIDDEN, 96, 512);
    let weights = initial_weights(&config.parameters(2.5, 1.0), 1);
    let predictor = Predictor::new(config, weights);
    let features = features(num_tokens, &mut SplitMix64::new(1));
    bencher.bench(|| match &predictor {
        Ok(predictor) => predictor.score(&features),
        Err(error) => Err(MlError::Weights(error.to_string())),
    });
}

/// Sequences as long as the conversations of the embedded model; AGIQA-3K has 37 times as many for training.
#[divan::bench(args = [64], sample_count = 5)]
fn training_epoch(bencher: divan::Bencher<'_, '_>, count: usize) {
    let mut random = SplitMix64::new(1);
    let mut example = || Example {
        features: features(160 - random.below(40) as usize, &mut random),
        mos: random.below(50) as f64 / 10.0,
    };
    let data = TrainData {
        train: (0..count).map(|_| example()).collect(),
        ..TrainData::default()
    };
    let settings = TrainSettings {
        epochs: 1,
        ..TrainSettings::new(Aspect::Quality)
    };
    bencher.bench(|| fit(&data, &settings, None, &mut |_| Ok(())));
}

/// The same epoch by every head at its usual width.
#[divan::bench(args = HeadKind::ALL, sample_count = 5)]
fn training_epoch_of_a_head(bencher: divan::Bencher<'_, '_>, kind: HeadKind) {
    let mut random = SplitMix64::new(1);
    let mut example = || Example {
        features: features(160 - random.below(40) as usize, &mut random),
        mos: random.below(50) as f64 / 10.0,
    };
    let data = TrainData {
        train: (0..64).map(|_| example()).collect(),
        ..TrainData::default()
    };
    let settings = TrainSettings {
        epochs: 1,
        head: HeadSettings::of(kind),
        ..TrainSettings::new(Aspect::Quality)
    };
    bencher.bench(|| fit(&data, &settings, None, &mut |_| Ok(())));
}

/// The published stack, forward and backward, with its mLSTM memory in each form, as a graph of operations; `fused` is
/// what training uses.
#[divan::bench(args = ["fused", "parallel", "chunkwise 64", "chunkwise 128", "chunkwise 256"], sample_count = 3)]
fn published_stack(bencher: divan::Bencher<'_, '_>, form: &str) {
    let config = XlstmConfig::m3_agiqa(512, 768);
    let weights = initial_weights(&config.parameters(), 1);
    let form = match form.split_once(' ') {
        Some((_, len)) => len.parse().ok().map(MlstmForm::Chunkwise),
        None => (form == "parallel").then_some(MlstmForm::Parallel),
    };
    let once = || -> Result<(), MlError> {
        let mut vars = HashMap::new();
        let tensors: BTreeMap<_, _> = weights.tensors()?.into_iter().collect();
        for (name, tensor) in tensors {
            vars.insert(name, Var::from_tensor(&tensor)?.as_tensor().clone());
        }
        let vb = VarBuilder::from_tensors(vars, DType::F32, &Device::Cpu);
        let stack = XlstmStack::new(&config, &vb)?;
        let x = Var::randn(0.0_f32, 1.0, (2, 477, 512), &Device::Cpu)?;
        let y = match form {
            Some(form) => stack.forward_as(&x, form)?,
            None => stack.forward(&x)?,
        };
        y.sqr()?.sum_all()?.backward()?;
        Ok(())
    };
    bencher.bench(once);
}
